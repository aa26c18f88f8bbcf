"""Host facts: the questions of the check, asked of the real host.

Imports nothing heavy: a warm check asks the recorded questions again to see whether the host is still the same.
"""

from __future__ import annotations

import os


class Probe:
    """Asks the host, once for each question, below `sysroot` and from `folder` for relative paths."""

    def __init__(self, folder: str = ".", sysroot: str | None = None) -> None:
        self.folder = folder
        self.sysroot = sysroot
        self.facts: dict[tuple[str, str], str] = {}

    def answer(self, kind: str, argument: str) -> str:
        """The empty text where it holds, else why not: the key of a section [host …] of CONTRACT.ini, and a path."""
        question = (kind, argument)
        if question not in self.facts:
            self.facts[question] = _QUESTIONS[kind](self, argument)
        return self.facts[question]

    def readable(self, pattern: str) -> str:
        """At least one path matches, and each match can be read."""
        root = (self.sysroot or "") if pattern.startswith(("/proc/", "/sys/")) else ""
        shown = f"{root}{pattern}"
        found = [shown]
        if set(pattern) & set("*?["):
            import glob  # brings `re`; most needs are plain paths

            found = [path for path in sorted(glob.glob(glob.escape(root) + pattern)) if os.path.exists(path)]
        if not found or not os.path.exists(found[0]):
            return f"missing {shown}"
        denied = [path for path in found if not os.access(path, os.R_OK)]
        return f"denied {denied[0]}" if denied else ""

    def read(self, path: str) -> str:
        """The file can be read."""
        full = os.path.join(self.folder, path)
        if not os.path.exists(full):
            return f"missing {full}"
        return "" if os.access(full, os.R_OK) else f"unreadable {full}"

    def write(self, path: str) -> str:
        """The file can be written, or made in its folder."""
        full = os.path.join(self.folder, path)
        if os.path.isdir(full):
            return f"is-folder {full}"
        if os.path.exists(full):
            return "" if os.access(full, os.W_OK) else f"unwritable {full}"
        parent = os.path.dirname(full) or "."
        if not os.path.exists(parent):
            return f"folder-missing {parent}"
        if not os.path.isdir(parent):
            return f"no-folder {parent}"
        if not os.access(parent, os.W_OK | os.X_OK):
            return f"folder-unwritable {parent}"
        return ""

    def environment(self, name: str) -> str:
        """The environment variable is set; its value is none of the lock's business."""
        del self
        return "" if name in os.environ else f"unset {name}"


_QUESTIONS = {
    "readable": Probe.readable,
    "read": Probe.read,
    "write": Probe.write,
    "environment": Probe.environment,
}
