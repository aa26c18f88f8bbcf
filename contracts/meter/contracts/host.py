"""Host facts as an input of the check: questions with answers.

A question is a kind and an argument; the answer is the empty text where it holds, else the key of a section [host …]
of CONTRACT.ini, a blank and what is to blame, such as a path. Who asks the real host lives outside this package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from meter.contracts import sysctl
from meter.contracts.language import language

if TYPE_CHECKING:
    from meter.contracts.sent import Sent

READABLE = "readable"
"""At least one path matches the pattern, and each match can be read."""
READ = "read"
"""The file can be read."""
WRITE = "write"
"""The file can be written, or made in its folder."""
FILL = "fill"
"""The folder can be filled with files, or made in its folder."""
ENVIRONMENT = "environment"
"""The environment variable is set."""
CAPABILITY = "capability"
"""The process has the capability of Linux."""
LIBRARY = "library"
"""The dynamic linker finds the shared library."""
SYSCTL = "sysctl"
"""A setting of the kernel is a number in a range: `kernel.perf_event_paranoid<=1`."""
EVENT = "event"
"""The kernel counts events of a kind: `software` or `hardware`."""
PYTHON = "python"
"""The Python distribution is installed, in a range of versions: `rich` or `rich>=13,<15`."""
SCHEMA = "schema"
"""The plan file of another meter says what one of its outputs sends; the answer is then DIGEST and a digest."""
DIGEST: Final = "digest "
_OF_TREE: Final = {"unprivileged": 1, "other-value": 2}
"""Answers with so many words, behind which the folder stands where another one than this machine's was looked at."""
_CLASS: Final = re.compile(r"/sys/class/([A-Za-z0-9_-]+)/([A-Za-z0-9_.:*?-]+)/([A-Za-z0-9_/-]+)")
"""A file of a device, as a rule of udev can name it: its subsystem, the device or a pattern of it, and the file."""


class Host(Protocol):
    """Answers questions; the same question has the same answer throughout a check."""

    def answer(self, kind: str, argument: str) -> str:
        """The empty text, or why it does not hold."""

    def sent(self, reference: str) -> Sent:
        """What an output of another meter sends, where the answer to the question SCHEMA has a digest."""


class Assumed:
    """A host on which everything holds."""

    def answer(self, kind: str, argument: str) -> str:
        """Always the empty text."""
        del kind, argument
        return ""

    def sent(self, reference: str) -> Sent:
        """Nothing: what another meter sends cannot be assumed."""
        from meter.contracts.sent import Sent  # few backends have a source of other hosts

        del reference
        return Sent([], [])


class Recorded:
    """Answers from a record; what was not recorded does not hold.

    Args: `sent`, what outputs of other meters send, by the reference to each.
    """

    def __init__(self, facts: Mapping[tuple[str, str], str], sent: Mapping[str, Sent] = {}) -> None:
        self.facts = facts
        self._sent = sent

    def answer(self, kind: str, argument: str) -> str:
        """The recorded answer."""
        return self.facts.get((kind, argument), f"unrecorded {argument}")

    def sent(self, reference: str) -> Sent:
        """What was recorded of an output of another meter."""
        return self._sent[reference]


def reason(answer: str) -> str:
    """An answer in words; one without a section stands for itself."""
    key, facts = _parts(answer)
    return language().phrase("host", key, **facts) if key in language().words["host"] else answer


def command(answer: str) -> str:
    """The command that mends it, for a shell; the empty text where there is none that is sure to."""
    key, facts = _parts(answer)
    if "command" not in language().words["host"].get(key, {}) or facts["root"]:
        return ""
    import shlex  # only a fault has a command

    variant = "proc" if facts["path"].startswith("/proc/") else ""
    # Where several files may not be read the path is their pattern, which the shell is to fill in.
    parts = facts["wanted"].split("*") if key == "denied" else [facts["wanted"]]
    quoted = "*".join(part and shlex.quote(part) for part in parts)
    return language().phrase("host", key, "command", variant, **facts, quoted=quoted)


def permanent(answer: str) -> str:
    """The command that mends it for good, for a shell; the empty text where there is none that is sure to.

    What `command` does for files of /sys and for settings is over with the next boot, and what it does for capabilities
    with the process.
    """
    key, facts = _parts(answer)
    if facts["root"]:
        return ""
    if key == "denied":
        found = _CLASS.fullmatch(facts["path"])
        if found is None:
            return ""
        facts |= zip(("subsystem", "device", "attribute"), found.groups(), strict=True)
    return language().phrase("host", key, "permanent", **facts) if key in language().words["host"] else ""


def remedy(answer: str, variant: str = "") -> str:
    """What mends it, in the variant where there is one; as after the answer that nothing is there without a section."""
    key, facts = _parts(answer)
    known = key if key in language().words["host"] else "missing"
    if f"help.{variant}" not in language().words["host"][known]:
        variant = next((word for word in ("proc", "sys") if facts["path"].startswith(f"/{word}/")), "")
    variant = "tree" if facts["root"] else variant
    return language().phrase("host", known, "help", variant, **facts, command=command(answer))


def lasting(answer: str) -> bool:
    """Whether nothing that is known mends it on this host."""
    key, _ = _parts(answer)
    return "lasting" in language().words["host"].get(key, {"lasting": "yes"})


def missing(answer: str) -> str:
    """The path that is not there; the empty text where something else is the matter."""
    return answer.partition(" ")[2] if answer.startswith("missing ") else ""


def _parts(answer: str) -> tuple[str, dict[str, str]]:
    """The key of an answer, and its facts: what is to blame as a whole, and the words that some keys have in it."""
    from meter.contracts.diagnostics import listed, nearest  # only a fault has words

    key, _, path = answer.partition(" ")
    root = ""
    if key in _OF_TREE and path.count(" ") >= _OF_TREE[key]:
        *known, root = path.split(" ", _OF_TREE[key])
        path = " ".join(known)
    words = path.split(" ")
    wanted, got, choices, setting = path, "", words, {"name": "", "range": "", "value": ""}
    if key == "other-version":
        wanted, got = [*words, ""][:2]
    elif key == "other-value":
        wanted, got = [*words, ""][:2]
        setting = _setting(wanted, got)
    elif key == "unknown-output":
        wanted, choices = words[0], words[1:]
    facts = dict(language().words["text"]["program"])
    facts |= {"path": path, "wanted": wanted, "got": got, "word": path.removeprefix("CAP_").lower(), **setting}
    facts |= {"lower": path.lower(), "root": root}
    return key, {**facts, "choices": listed(choices), "near": nearest(wanted, choices)}


def _setting(wanted: str, got: str) -> dict[str, str]:
    """A setting of the kernel by its name, the numbers that will do, and the nearest of these to what it is."""
    name, range_ = sysctl.split(wanted)
    try:
        value = str(sysctl.nearest(int(got), range_))
    except ValueError:  # a record that somebody has edited
        value = ""
    return {"name": name, "range": range_, "value": value}
