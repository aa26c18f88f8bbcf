"""Faults planted one after the other, and the count of what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from meter.contracts.digests import digest
from tests.mutations.judge import DIGEST, NOWHERE, Fault, Verdict, faults, judge
from tests.mutations.reasons import Reason, reason

MANY = 2
"""So many faults of one kind in one clause are planted in the subset."""


class Census(NamedTuple):
    """What became of faults: by kind of fault and verdict; which reasons explained survivors; what nothing explains."""

    counts: Counter[tuple[str, str]]
    codes: Counter[str]
    reasons: Counter[Reason]
    unexplained: list[tuple[Fault, Verdict]]

    def of(self, kind: str, word: str) -> int:
        """How many faults of a kind have a verdict; of all kinds where none is named."""
        return sum(n for (each, verdict), n in self.counts.items() if kind in ("", each) and verdict == word)

    def kinds(self) -> list[str]:
        """The kinds of faults, the most frequent first."""
        totals = Counter[str]()
        for (kind, _), n in self.counts.items():
            totals[kind] += n
        return sorted(totals, key=lambda kind: (-totals[kind], kind))


def subset() -> Iterator[Fault]:
    """Some faults of every kind in every clause and word, so many of each: always the same ones."""
    groups: dict[tuple[str, str], list[Fault]] = {}
    for fault in faults():
        groups.setdefault((fault.clause, fault.mutation.kind), []).append(fault)
    for group in groups.values():
        yield from sorted(group, key=lambda fault: digest(fault.said.encode()))[:MANY]


def census(planted: Iterable[Fault]) -> Census:
    """Plant faults, one at a time."""
    found = Census(Counter(), Counter(), Counter(), [])
    for fault in planted:
        verdict = judge(fault)
        found.counts[fault.mutation.kind, verdict.word] += 1
        found.codes.update(verdict.codes[:1])
        if verdict.word in (DIGEST, NOWHERE):
            why = reason(fault, verdict)
            if why is None:
                found.unexplained.append((fault, verdict))
            else:
                found.reasons[why] += 1
    return found
