"""Host facts as an input of the check: questions with answers.

A question is a kind and an argument; the answer is the empty text where it holds, else the key of a section [host …]
of CONTRACT.ini, a blank and the path to blame. Who asks the real host lives outside this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from meter.contracts.language import language

READABLE = "readable"
"""At least one path matches the pattern, and each match can be read."""
READ = "read"
"""The file can be read."""
WRITE = "write"
"""The file can be written, or made in its folder."""
ENVIRONMENT = "environment"
"""The environment variable is set."""


class Host(Protocol):
    """Answers questions; the same question has the same answer throughout a check."""

    def answer(self, kind: str, argument: str) -> str:
        """The empty text, or why it does not hold."""


class Assumed:
    """A host on which everything holds."""

    def answer(self, kind: str, argument: str) -> str:
        """Always the empty text."""
        del kind, argument
        return ""


class Recorded:
    """Answers from a record; what was not recorded does not hold."""

    def __init__(self, facts: Mapping[tuple[str, str], str]) -> None:
        self.facts = facts

    def answer(self, kind: str, argument: str) -> str:
        """The recorded answer."""
        return self.facts.get((kind, argument), "unrecorded")


def reason(answer: str) -> str:
    """An answer in words; one without a section stands for itself."""
    key, _, path = answer.partition(" ")
    return language().phrase("host", key, path=path) if key in language().words["host"] else answer


def remedy(answer: str, variant: str = "") -> str:
    """What mends it; as after the answer that nothing is there, where it has no section."""
    key, _, path = answer.partition(" ")
    return language().phrase("host", key if key in language().words["host"] else "missing", "help", variant, path=path)
