"""Why planted faults may survive: `survivors.toml`, and which of its reasons holds for a fault."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.mutations.judge import NOWHERE, Fault, Verdict, guarded

FILE = Path(__file__).with_name("survivors.toml")


class Reason(NamedTuple):
    """Which survivors a reason explains: clauses as patterns, kinds of fault (any where none is named), a condition."""

    why: str
    clauses: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    only: str = ""

    def explains(self, fault: Fault, verdict: Verdict) -> bool:
        """Whether it holds for a fault that survived."""
        return (
            any(fnmatchcase(fault.clause, pattern) for pattern in self.clauses)
            and (not self.kinds or fault.mutation.kind in self.kinds)
            and (self.only != "same" or verdict.word == NOWHERE)
            and (self.only != "guarded" or guarded(fault))
        )


@cache
def reasons() -> tuple[Reason, ...]:
    """All of them."""
    found = tomllib.loads(FILE.read_text(encoding="utf-8"))["reason"]
    return tuple(
        Reason(says["why"], tuple(says["clauses"]), tuple(says.get("kinds", ())), says.get("only", ""))
        for says in found
    )


def reason(fault: Fault, verdict: Verdict) -> Reason | None:
    """The first reason that holds."""
    return next((each for each in reasons() if each.explains(fault, verdict)), None)
