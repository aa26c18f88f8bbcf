"""Constraints: relations between options and intervals, `TERM OP TERM`.

A term is a sum of products of numbers, quantities with unit, `config.NAME`, `count(config.NAME)` and, inside a rule,
`interval`. All of them count in base units, durations in seconds and sizes in bytes, so that `config.power * interval`
is in joules. No `and`, no functions, no division: two constraints say it better.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple

from meter.contracts import amounts
from meter.contracts.quantities import QuantityError, parse_duration, parse_size
from meter.contracts.units import Dimension

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {">=": ("least", "most"), "<=": ("most", "least")}
"""What a term on the left and on the right has to be for an operator."""
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
    """A number in base units, or what `config`, `count` or `interval` stands for; `text` as it was written."""

    form: str
    name: str
    number: Fraction
    dimension: Dimension = ()
    text: str = ""


Product = tuple[Factor, ...]
_SECONDS: Final[Dimension] = (("s", 1),)
_BYTES: Final[Dimension] = (("By", 1),)
_NANOSECONDS: Final = 10**9


class Constraint(NamedTuple):
    """A parsed constraint; sides are sums of products."""

    text: str
    left: tuple[Product, ...]
    op: str
    right: tuple[Product, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The options it names, sorted."""
        sides = [factor.name for side in (self.left, self.right) for product in side for factor in product]
        return tuple(sorted({name for name in sides if name}))

    @property
    def of_interval(self) -> bool:
        """Whether it names the interval of what a rule reads."""
        sides = (*self.left, *self.right)
        return any(factor.form == "interval" for product in sides for factor in product)


@lru_cache(maxsize=1024)
def parse_constraint(text: str) -> Constraint:
    """A constraint from its text.

    Raises: ConstraintError.
    """
    parts = _SPLIT.split(text)
    if len(parts) != 3:
        raise ConstraintError(text, "operator")
    return Constraint(text, _term(text, parts[0]), parts[1], _term(text, parts[2]))


def _term(text: str, term: str) -> tuple[Product, ...]:
    return tuple(tuple(_factor(text, factor.strip()) for factor in part.split("*")) for part in term.split("+"))


def _factor(text: str, word: str) -> Factor:
    if word == "interval":
        return Factor("interval", "", Fraction(0), _SECONDS, word)
    if found := _COUNT.fullmatch(word):
        return Factor("count", found[1], Fraction(0), (), word)
    if found := _CONFIG.fullmatch(word):
        return Factor("config", found[1], Fraction(0), (), word)
    if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", word):
        return Factor("number", "", Fraction(word), (), word)
    for parse, scale, dimension in ((parse_duration, _NANOSECONDS, _SECONDS), (parse_size, 1, _BYTES)):
        try:
            return Factor("number", "", Fraction(parse(word), scale), dimension, word)
        except QuantityError:
            continue
    from meter.contracts.language import language  # the table of units: only amounts have one of these

    try:
        number, unit = amounts.parse(word, language().units)
    except amounts.AmountError:
        raise ConstraintError(text, "term", word) from None
    return Factor("number", "", amounts.in_base(number, unit), unit.dimension, word)


def bounds(
    constraint: Constraint, config: Mapping[str, Any], interval: int | None = None, types: Mapping[str, str] = {}
) -> dict[tuple[str, str], tuple[str, Fraction]]:
    """What each single term could be so that a constraint holds, all else as it is: `least` or `most`, and the number.

    By form and name of the term: `("config", NAME)`, `("interval", "")`. In base units; durations count in seconds.
    Empty for other operators than `>=` and `<=`; without terms that stand in more than one product.
    """
    if constraint.op not in _BOUNDS:
        return {}
    found: dict[tuple[str, str], tuple[str, Fraction]] = {}
    sides = (constraint.left, constraint.right)
    terms = [(factor.form, factor.name) for side in sides for product in side for factor in product]
    for nth, side in enumerate(sides):
        for product in side:
            for place, factor in enumerate(product):
                key = (factor.form, factor.name)
                if factor.form not in ("config", "interval") or terms.count(key) > 1:
                    continue
                rest = tuple(each for each in side if each is not product)
                others = [_value(each, config, interval, types) for each in (rest, sides[1 - nth])]
                by = _value((product[:place] + product[place + 1 :],), config, interval, types)
                if by is None or by <= 0 or others[0] is None or others[1] is None:
                    continue
                word = _BOUNDS[constraint.op][nth]
                found[key] = (word, (others[1] - others[0]) / by)
    return found


def holds(
    constraint: Constraint, config: Mapping[str, Any], interval: int | None = None, types: Mapping[str, str] = {}
) -> bool | None:
    """Whether a constraint holds; `None` where a term is not set or not known.

    Args: `config`, canonical values of options; `types`, the types of these, without which a value is a plain number;
        `interval`, in nanoseconds.
    """
    left = _value(constraint.left, config, interval, types)
    right = _value(constraint.right, config, interval, types)
    if left is None or right is None:
        return None
    return _OPERATORS[constraint.op](left, right)


def _value(
    term: tuple[Product, ...], config: Mapping[str, Any], interval: int | None, types: Mapping[str, str]
) -> Fraction | None:
    total = Fraction(0)
    for product in term:
        result = Fraction(1)
        for factor in product:
            if factor.form == "number":
                result *= factor.number
            elif factor.form == "interval":
                if not interval:
                    return None
                result *= Fraction(interval, _NANOSECONDS)
            else:
                value = config.get(factor.name)
                if value is None:
                    return None
                result *= len(value) if factor.form == "count" else _in_base(value, types.get(factor.name, ""))
        total += result
    return total


def _in_base(value: float, type_: str) -> Fraction:
    """The value of an option in base units; a float stands for the decimal number that was written: 0.1 is 1/10."""
    if type_ == "duration":
        return Fraction(int(value), _NANOSECONDS)
    number = Fraction(str(value))
    if not (found := _QUANTITY.fullmatch(type_)):
        return number
    from meter.contracts.language import language  # as in _factor

    return amounts.in_base(number, language().units.parse(found[1]))


def dimension_of(type_: str) -> Dimension:
    """The dimension of an option's values; empty where they are plain numbers."""
    if type_ in _DIMENSIONS:
        return _DIMENSIONS[type_]
    if not (found := _QUANTITY.fullmatch(type_)):
        return ()
    from meter.contracts.language import language  # as in _factor

    return language().units.parse(found[1]).dimension


def mixed(constraint: Constraint, types: Mapping[str, str]) -> tuple[str, str] | None:
    """Two terms of a constraint that measure different things, as they were written; None where there are none.

    A plain number stands beside anything: `config.window > 0`.
    """
    first: tuple[Dimension, str] | None = None
    for product in (*constraint.left, *constraint.right):
        powers: dict[str, int] = {}
        for factor in product:
            own = dimension_of(types.get(factor.name, "")) if factor.form == "config" else factor.dimension
            for base, power in own:
                powers[base] = powers.get(base, 0) + power
        dimension = tuple(sorted((base, power) for base, power in powers.items() if power))
        text = " * ".join(factor.text for factor in product)
        if first is None and dimension:
            first = dimension, text
        elif first is not None and dimension and dimension != first[0]:
            return first[1], text
    return None


_QUANTITY: Final = re.compile(r"quantity\((.+)\)")
_DIMENSIONS: Final[Mapping[str, Dimension]] = {"duration": _SECONDS, "size": _BYTES}
