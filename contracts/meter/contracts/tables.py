"""What each table of a contract may hold: CONTRACT.ini seen from one place of a contract of one placement.

Worked out once for each kind of table, as the reader asks again for every table of every contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from meter.contracts.language import ABSENT, Clause, language


class Shape(NamedTuple):
    """A clause's type taken apart: `list<selector|option>` is a list of selectors, or an option in its place."""

    container: str
    """`list`, `map`, or empty."""
    item: str
    option: bool


class Table(NamedTuple):
    """The clauses of one table."""

    known: Mapping[str, Clause]
    """All that CONTRACT.ini has below the table, by name."""
    strange: frozenset[str]
    """Those that do not belong to this placement."""
    defaults: Mapping[str, Any]
    """What stands for clauses that are not stated; shared, so never to be changed."""
    asked: tuple[Clause, ...]
    """Those whose absence means more than a default: obligatory ones, linted ones, tables with such clauses."""


@lru_cache(maxsize=256)
def shape(type_: str) -> Shape:
    """A type as CONTRACT.ini writes it, taken apart."""
    plain = type_.removesuffix("|option")
    container, _, item = plain.rpartition("<")
    return Shape(container, item.rstrip(">"), plain != type_)


@lru_cache(maxsize=512)
def table(path: tuple[str, ...], placement: str | None) -> Table:
    """The clauses below a path in a contract of a placement; `None` is an unknown one, to which all may belong."""
    known = language().below.get(path, {})
    others = {word for word in language().words["placement"] if word != placement}
    strange = frozenset(
        name for name, clause in known.items() if placement and clause.placements and placement not in clause.placements
    )
    defaults: dict[str, Any] = {}
    asked: list[Clause] = []
    for name, clause in known.items():
        if name in strange:
            if clause.default is not ABSENT:
                defaults[name] = clause.default
        elif clause.obligatory not in ("no", "advised", *others):
            asked.append(clause)
        elif clause.type == "table" and clause.default is not ABSENT:
            inner = table(clause.path, placement)
            if inner.asked or clause.default:
                asked.append(clause)
            else:
                defaults[name] = inner.defaults
        elif clause.default is not ABSENT:
            defaults[name] = clause.default
    return Table(known, strange, defaults, tuple(asked))
