"""The rules of replacement: what a change of a contract is called, and what it means to those who use the old one.

CONTRACT.ini says all of it: a clause names the lattice in which its values are compared and its variance, the lattice
what kind of change each outcome is, and a rule the words for it. This module only puts the three together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from attrs import field, frozen

from meter.contracts.language import Clause, fill, language

SIDES: Final = ("more", "less", "other")
"""What a new contract says beside the old one."""
FALLBACK: Final = "clause-changed"


@frozen(kw_only=True)
class DiffRule:
    """One section `[rule ID]`."""

    name: str
    clauses: tuple[str, ...]
    change: tuple[str, ...]
    level: str
    here: str
    """The fact of a mount that shows that it takes no harm; empty where none does."""
    texts: Mapping[str, str] = field(repr=False)

    def text(self, facts: Mapping[str, str]) -> str:
        """What has changed."""
        return fill(self.texts["text"], facts)

    def help(self, facts: Mapping[str, str]) -> str:
        """What follows, or what keeps the new version able to stand for the old one."""
        return fill(self.texts["help"], facts)


@frozen(kw_only=True)
class _Book:
    rules: Mapping[str, DiffRule]
    by_change: Mapping[tuple[str, str], DiffRule]


@lru_cache(maxsize=1)
def book() -> Mapping[str, DiffRule]:
    """Every rule, in the order of the file."""
    return _book().rules


@lru_cache(maxsize=1)
def _book() -> _Book:
    rules = {
        name: DiffRule(
            name=name,
            clauses=tuple(says.get("clauses", "").split()),
            change=tuple(says.get("change", "").split()),
            level=says.get("class", ""),
            here=says.get("here", ""),
            texts=says,
        )
        for name, says in language().words["rule"].items()
    }
    by_change = {(clause, change): rule for rule in rules.values() for clause in rule.clauses for change in rule.change}
    return _Book(rules=rules, by_change=by_change)


def rule_of(clause: Clause, outcome: str) -> DiffRule:
    """The rule for an outcome of comparing the values of a clause."""
    return _book().by_change.get((clause.name, outcome), book()[FALLBACK])


def level_of(clause: Clause, outcome: str) -> str:
    """The class of an outcome: what its rule says, else what the clause's variance makes of it."""
    rule = rule_of(clause, outcome)
    if rule.level:
        return rule.level
    lattice = language().words["lattice"][clause.lattice]
    side = next(side for side in SIDES if outcome in lattice.get(side, "").split())
    return language().words["variance"][clause.variance][side]


def outcomes(clause: Clause) -> tuple[str, ...]:
    """Every outcome that comparing the values of a clause can have."""
    lattice = language().words["lattice"][clause.lattice]
    return tuple(outcome for side in SIDES for outcome in lattice.get(side, "").split())


def worst(levels: Iterable[str]) -> str:
    """The worst of some classes; the best one where there is none."""
    order = language().values("class")
    return max(levels, key=order.index, default=order[0])


def step_of(level: str) -> str:
    """The version step that a release with a change of that class owes."""
    return language().words["class"][level]["step"]


def at_start(level: str) -> str:
    """What becomes of a mounted backend at its next start."""
    return language().words["class"][level]["start"]


def is_ignored(clause: Clause) -> bool:
    """Whether a clause only tells people something."""
    best = language().values("class")[0]
    return all(language().words["variance"][clause.variance][side] == best for side in SIDES)
