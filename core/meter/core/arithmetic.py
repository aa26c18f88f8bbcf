"""The arithmetic of a formula, over one matrix for each operand, and why a result is missing.

Knows neither keys nor times; `computing` brings the operands together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from meter.contracts.formula.formulas import Node, Number, Product, Reading, parse
from meter.core.arrays import Array, finite

if TYPE_CHECKING:
    from meter.contracts.rules import Computes

ZERO: Final = "division by zero"
GREAT: Final = "too great for a number"
PART: Final = "a part is missing"
SHARE: Final = "a share is not between 0 and 1"


def because(text: str, why: str) -> str:
    """What is the matter, and what was said of it where it was found."""
    return f"{text}: {why}" if why and not why.startswith(text) else why or text


Evaluate = Callable[[Sequence[Array]], Array]


def compiled(node: Node, divisors: list[Evaluate]) -> Evaluate | float:
    """A tree as a function of the matrices of its readings, or a number; `divisors` gets all that it divides by.

    Numbers are put together first, as they cost a pass over the matrix each.
    """
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Reading):
        place = node.place
        return lambda operands: operands[place]
    if isinstance(node, Product):
        return _product(node, divisors)
    return _sum([(sign, compiled(term, divisors)) for sign, term in node.terms])


def _product(node: Product, divisors: list[Evaluate]) -> Evaluate | float:
    factors = [(sign, compiled(factor, divisors)) for sign, factor in node.factors]
    divisors += [each for sign, each in factors if sign < 0 and callable(each)]
    found = factors[0][1]
    for sign, factor in factors[1:]:
        found = _pair(found, factor, np.multiply if sign > 0 else np.divide)
    return found


def _sum(terms: Sequence[tuple[int, Evaluate | float]]) -> Evaluate | float:
    found = terms[0][1]
    for sign, term in terms[1:]:
        found = _pair(found, term, np.add if sign > 0 else np.subtract)
    return found


def _pair(one: Evaluate | float, other: Evaluate | float, operation: Any) -> Evaluate | float:
    """Two operands of one operation; the function calls of the common cases are as few as they can be."""
    if callable(one):
        if callable(other):
            return lambda operands: operation(one(operands), other(operands))
        return lambda operands: operation(one(operands), other)
    if callable(other):
        return lambda operands: operation(one, other(operands))
    with np.errstate(all="ignore"):
        return float(operation(one, other))


class Program:
    """The arithmetic of one formula, over one matrix for each operand."""

    __slots__ = ("_divisors", "_evaluate", "_factors", "_scale", "_shares")

    def __init__(self, computes: Computes) -> None:
        self._divisors: list[Evaluate] = []
        evaluate = compiled(parse(computes.formula).root, self._divisors)
        assert callable(evaluate)  # a formula reads something
        self._evaluate: Evaluate = evaluate
        factors = [operand.factor for operand in computes.operands]
        self._factors = None if all(factor == 1.0 for factor in factors) else factors
        self._scale = computes.scale
        self._shares = [place for place, operand in enumerate(computes.operands) if operand.share]

    def run(self, operands: Sequence[Array]) -> tuple[Array, list[tuple[Array, str]]]:
        """The values, f64[m, k], and where there is none, bool[m, k], with the reason."""
        factors = self._factors
        if factors is not None:
            operands = [
                values if factor == 1.0 else values * factor for values, factor in zip(operands, factors, strict=True)
            ]
        values = self._evaluate(operands)
        if self._scale != 1.0:
            values = values * self._scale
        if not self._shares and finite(values):
            return values, []
        return values, self._faults(operands, values)

    def _faults(self, operands: Sequence[Array], values: Array) -> list[tuple[Array, str]]:
        faults: list[tuple[Array, str]] = []
        for place in self._shares:
            outside = (operands[place] < 0.0) | (operands[place] > 1.0)
            if outside.any():
                faults.append((outside, SHARE))
        bad = ~np.isfinite(values)
        if bad.any():
            for divisor in self._divisors:
                zero = bad & np.equal(divisor(operands), 0.0)
                if zero.any():
                    faults.append((zero, ZERO))
            faults.append((bad, GREAT))
        return faults
