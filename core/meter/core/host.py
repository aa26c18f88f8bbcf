"""Host facts: the questions of the check, asked of the real host.

Imports nothing heavy: a warm check asks the recorded questions again to see whether the host is still the same.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from meter.contracts.capabilities import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meter.contracts.host import Host
    from meter.contracts.sent import Sent

_LINKER_CACHE = "/etc/ld.so.cache"
_SETTING = 64
"""Characters of a setting that are read; a number has fewer."""
_LINKER_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")


class Probe:
    """Asks the host, once for each question, below `sysroot` and from `folder` for relative paths."""

    def __init__(self, folder: str = ".", sysroot: str | None = None) -> None:
        self.folder = folder
        self.sysroot = sysroot
        self.facts: dict[tuple[str, str], str] = {}
        self._installed: dict[str, str] | None = None
        self._sent: dict[str, Sent] = {}

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
        return f"denied {shown if len(denied) > 1 else denied[0]}" if denied else ""

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

    def fill(self, path: str) -> str:
        """Files can be made in the folder, or it can be made in its own."""
        full = os.path.join(self.folder, path)
        if not os.path.exists(full):
            return self.write(path)
        if not os.path.isdir(full):
            return f"no-folder {full}"
        return "" if os.access(full, os.W_OK | os.X_OK) else f"folder-unwritable {full}"

    def environment(self, name: str) -> str:
        """The environment variable is set; its value is none of the lock's business."""
        del self
        return "" if name in os.environ else f"unset {name}"

    def schema(self, reference: str) -> str:
        """The plan file of another meter says what one of its outputs sends: which `#MOUNTPOINT#LABEL` behind it."""
        from meter.contracts import sent  # few backends have a source of other hosts
        from meter.core import lock  # imports this module

        path, _, wanted = reference.partition("#")
        full = os.path.join(self.folder, path)
        if not os.path.exists(full):
            return f"missing {full}"
        try:
            outputs = sent.outputs(lock.read(full)["mounts"])
            names = sent.chosen(outputs, wanted)
            if len(names) == 1:
                self._sent[reference] = sent.sent(*outputs[names[0]])
                return f"digest {self._sent[reference].digest}"
        except (lock.LockError, LookupError, TypeError, StopIteration):
            return f"no-plan {full}"
        if not outputs:
            return f"no-output {full}"
        choices = " ".join(f"#{name}" for name in names or outputs)
        meant = f"#{wanted}"
        return f"several {choices}" if names else f"unknown-output {meant} {choices}"

    def sent(self, reference: str) -> Sent:
        """What an output of another meter sends."""
        self.answer("schema", reference)
        return self._sent[reference]

    def capability(self, name: str) -> str:
        """The process has a capability of Linux, in effect."""
        path = f"{self.sysroot or ''}/proc/self/status"
        try:
            with open(path, "rb") as file:
                lines = file.read().splitlines()
        except OSError:
            return f"missing {path}"
        effective = next((int(line.split()[1], 16) for line in lines if line.startswith(b"CapEff:")), 0)
        return "" if effective >> CAPABILITIES.index(name) & 1 else self._of(f"unprivileged {name}")

    def library(self, name: str) -> str:
        """The dynamic linker finds a shared library by its name; it is not loaded."""
        del self
        folders = os.environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":")
        # Where the linker looks first; then what `ldconfig` has found, of which the path is in the cache as a text.
        paths = [os.path.join(folder, name) for folder in folders if folder]
        paths += [f"{folder}/{name}" for folder in _LINKER_FOLDERS]
        try:
            with open(_LINKER_CACHE, "rb") as file:
                cache = file.read()
        except OSError:  # the linker of musl has none
            cache = b""
        end = cache.find(b"/" + os.fsencode(name) + b"\0")
        if end >= 0:
            paths.append(os.fsdecode(cache[cache.rfind(b"\0", 0, end) + 1 : end]) + f"/{name}")
        return "" if any(map(os.path.exists, paths)) else f"no-library {name}"

    def setting(self, requirement: str) -> str:
        """A setting of the kernel is a whole number in a range."""
        from meter.contracts import sysctl  # few plugins need one

        name, wanted = sysctl.split(requirement)
        path = f"{self.sysroot or ''}{sysctl.path(name)}"
        try:
            with open(path, encoding="ascii") as file:
                value = int(file.read(_SETTING))
        except PermissionError:
            return f"denied {path}"
        except (FileNotFoundError, NotADirectoryError):
            return f"missing {path}"
        except (OSError, ValueError):
            return f"no-number {path}"
        return "" if sysctl.within(value, wanted) else self._of(f"other-value {requirement} {value}")

    def event(self, kind: str) -> str:
        """The kernel counts events of a kind. A right that is lacking hides whether it does; others ask for it."""
        if self.sysroot is not None:
            return f"elsewhere {self.sysroot}"
        import errno  # few plugins need events

        from meter.core.perf_event import EXCLUDE_KERNEL, FIRST, Counted, open_counter
        from meter.core.plugin import Context

        try:
            os.close(open_counter(Context("host"), Counted(*FIRST[kind], bits=EXCLUDE_KERNEL), pid=0))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENOSYS):
                return f"no-counters {kind}" if kind == "hardware" else f"no-events {kind}"
        return ""

    def _of(self, answer: str) -> str:
        """An answer that no command for this machine changes where another folder is looked at."""
        return answer if self.sysroot is None else f"{answer} {self.sysroot}"

    def python(self, requirement: str) -> str:
        """A Python distribution can be imported from, in a range of versions."""
        from meter.contracts import distributions  # brings `re`; few plugins need more than meter does

        name, wanted = distributions.split(requirement)
        if self._installed is None:
            self._installed = {}
            for found, version in _distributions(sys.path):
                self._installed.setdefault(distributions.normal(found), version)
        installed = self._installed.get(distributions.normal(name))
        if installed is None:
            return f"uninstalled {requirement}"
        return "" if distributions.within(installed, wanted) else f"other-version {requirement} {installed or '?'}"


class Beside:
    """Another host's answers, and this one's about plan files of other meters, which are files of the check."""

    def __init__(self, host: Host, probe: Probe) -> None:
        self._host = host
        self._probe = probe

    def answer(self, kind: str, argument: str) -> str:
        """The answer of the other host, or of this one."""
        return (self._probe if kind == "schema" else self._host).answer(kind, argument)

    def sent(self, reference: str) -> Sent:
        """What an output of another meter sends."""
        return self._probe.sent(reference)


def _distributions(roots: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and version of every distribution in some folders, those that are imported first come first.

    Names of folders say it: importlib.metadata, which reads their files, takes longer than a whole check out of the
    lock. An egg-info may not name its version.
    """
    for root in roots:
        try:
            names = sorted(os.listdir(root or "."))
        except OSError:  # a zip file, or a folder that is not there
            continue
        for entry in names:
            stem, suffix = os.path.splitext(entry)
            if suffix not in (".dist-info", ".egg-info"):
                continue
            name, dash, version = stem.rpartition("-")
            if suffix == ".egg-info" and version.startswith("py") and "-" in name:
                name, dash, version = name.rpartition("-")
            yield (name, version) if dash else (stem, _stated(os.path.join(root or ".", entry, "PKG-INFO")))


def _stated(path: str) -> str:
    """The version that the metadata of a distribution state; the empty text where they cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return next((line[8:].strip() for line in file if line.startswith("Version:")), "")
    except OSError:
        return ""


_QUESTIONS = {
    "readable": Probe.readable,
    "read": Probe.read,
    "write": Probe.write,
    "fill": Probe.fill,
    "environment": Probe.environment,
    "capability": Probe.capability,
    "library": Probe.library,
    "sysctl": Probe.setting,
    "event": Probe.event,
    "python": Probe.python,
    "schema": Probe.schema,
}
