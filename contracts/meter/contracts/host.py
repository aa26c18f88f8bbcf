"""Host facts as an input of the check: questions with answers.

A question is a kind and an argument; the answer is the empty text where it holds, else the reason. Who asks the real
host lives outside this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

READABLE = "readable"
"""At least one path matches the pattern, and each match can be read."""
READ = "read"
"""The file can be read."""
WRITE = "write"
"""The file can be written, or made in its folder."""


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
        return self.facts.get((kind, argument), "not in the recorded facts")
