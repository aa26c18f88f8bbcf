"""Constraints: relations between options and intervals, `TERM OP TERM`.

A term is a sum of products of numbers, quantities with unit, `config.NAME`, `count(config.NAME)` and, inside a rule,
`interval`. Durations count in nanoseconds, sizes in bytes. No `and`, no functions, no division: two constraints say
it better.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple

from meter.contracts.quantities import QuantityError, parse_duration, parse_size

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_SPLIT: Final = re.compile(r"(<=|>=|==|!=|<|>)")
_COUNT: Final = re.compile(r"count\(config\.([A-Za-z0-9_-]+)\)")
_CONFIG: Final = re.compile(r"config\.([A-Za-z0-9_-]+)")


class ConstraintError(ValueError):
    """A constraint is malformed; `why` names the variant of [type constraint] that says how, `word` is to blame."""

    def __init__(self, text: str, why: str, word: str = "") -> None:
        super().__init__(f"{text}: {why}")
        self.why = why
        self.word = word


class Factor(NamedTuple):
    """A number, or what `config`, `count` or `interval` stands for."""

    form: str
    name: str
    number: Fraction


class Constraint(NamedTuple):
    """A parsed constraint; sides are sums of products."""

    text: str
    left: tuple[tuple[Factor, ...], ...]
    op: str
    right: tuple[tuple[Factor, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The options it names, sorted."""
        sides = [factor.name for side in (self.left, self.right) for product in side for factor in product]
        return tuple(sorted({name for name in sides if name}))


@lru_cache(maxsize=1024)
def parse_constraint(text: str) -> Constraint:
    """A constraint from its text.

    Raises: ConstraintError.
    """
    parts = _SPLIT.split(text)
    if len(parts) != 3:
        raise ConstraintError(text, "operator")
    return Constraint(text, _term(text, parts[0]), parts[1], _term(text, parts[2]))


def _term(text: str, term: str) -> tuple[tuple[Factor, ...], ...]:
    return tuple(tuple(_factor(text, factor.strip()) for factor in part.split("*")) for part in term.split("+"))


def _factor(text: str, word: str) -> Factor:
    if word == "interval":
        return Factor("interval", "", Fraction(0))
    if found := _COUNT.fullmatch(word):
        return Factor("count", found[1], Fraction(0))
    if found := _CONFIG.fullmatch(word):
        return Factor("config", found[1], Fraction(0))
    if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", word):
        return Factor("number", "", Fraction(word))
    for parse in (parse_duration, parse_size):
        try:
            return Factor("number", "", Fraction(parse(word)))
        except QuantityError:
            continue
    raise ConstraintError(text, "term", word)


def holds(constraint: Constraint, config: Mapping[str, Any], interval: int | None = None) -> bool | None:
    """Whether a constraint holds; `None` where a term is not set or not known."""
    left = _value(constraint.left, config, interval)
    right = _value(constraint.right, config, interval)
    if left is None or right is None:
        return None
    return _OPERATORS[constraint.op](left, right)


def _value(term: tuple[tuple[Factor, ...], ...], config: Mapping[str, Any], interval: int | None) -> Fraction | None:
    total = Fraction(0)
    for product in term:
        result = Fraction(1)
        for factor in product:
            if factor.form == "number":
                result *= factor.number
            elif factor.form == "interval":
                if not interval:
                    return None
                result *= interval
            else:
                value = config.get(factor.name)
                if value is None:
                    return None
                # A float stands for the decimal number that was written: 0.1 is 1/10.
                result *= len(value) if factor.form == "count" else Fraction(str(value))
        total += result
    return total
