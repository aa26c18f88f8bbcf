"""What is wrong with a formula, and where in its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from meter.contracts.formula.formulas import Node

Place = tuple[int, int]
"""Where something stands in the text of a formula: its first character, from 0, and the one behind its last."""


class FormulaFault(NamedTuple):
    """Why a formula gives nothing that is right: a code of CONTRACT.ini, its variant and facts, and where.

    `places` begins with what is wrong.
    """

    code: str
    variant: str
    places: tuple[Place, ...]
    facts: Mapping[str, str]


def fault(code: str, variant: str, nodes: Sequence[Node], **facts: str) -> FormulaFault:
    """One at some nodes; the first of them is meant."""
    return FormulaFault(code, variant, tuple((node.start, node.end) for node in nodes), facts)
