"""Contracts as plain values to be kept: what they state, without what stands for a clause that is missing anyway.

`meter.contracts.reader.recall` makes a contract of them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meter.contracts.language import language
from meter.contracts.model import Contract


def record(contract: Contract) -> dict[str, Any]:
    """The clauses that a contract states, or that its placement implies, as JSON values."""
    return _stated((), contract.body)


def _stated(path: tuple[str, ...], table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without clauses that have their default, and without tables that are empty then."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        clause = language().clauses.get((*path, name))
        if clause is None or value == clause.default or value is None:
            continue
        if clause.type == "table":
            below = _stated(clause.path, value)
            if below or clause.default != {}:
                found[name] = below
        elif clause.type == "tables":
            found[name] = [_stated(clause.path, entry) for entry in value]
        elif clause.type == "map<table>":
            found[name] = {key: _stated((*clause.path, "*"), entry) for key, entry in value.items()}
        else:
            found[name] = value
    return found
