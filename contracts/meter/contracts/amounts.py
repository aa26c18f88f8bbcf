"""Amounts: a number with a unit of metrics, `95 W`, as configuration and constraints have them.

Apart from durations and sizes, which are whole numbers with short names of their own: an amount may be any number, and
its unit is one of UCUM's. Everything is exact until an amount is written in the unit that is asked for.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from meter.contracts.units import Unit, UnitError, Units, commensurable

LONGEST: Final = 100
"""Characters of the longest text that is read as an amount."""

# A unit that stands directly behind the number does not begin with a digit, so that `12` is no amount.
_AMOUNT: Final = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)(?: +([^\s.]\S*)|([^\s0-9.]\S*))"
)


class AmountError(ValueError):
    """A text is no amount in a unit.

    `why` is `form` (no number with something behind it), `unit` (what stands behind it is no unit), `dimension` (it
    measures something else), or `size` (no float holds it); `word` is what stands behind the number.
    """

    def __init__(self, why: str, word: str = "") -> None:
        super().__init__(why, word)
        self.why: Final = why
        self.word: Final = word


def parse(text: str, units: Units) -> tuple[Fraction, Unit]:
    """Number and unit of a text such as `95 W`, `1.5kW` or `2e3 J/s`.

    Raises: AmountError, `form` or `unit`.
    """
    found = _AMOUNT.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise AmountError("form")
    word = found[2] or found[3]
    try:
        return Fraction(found[1]), units.parse(word)
    except UnitError:
        raise AmountError("unit", word) from None


def in_base(number: Fraction, unit: Unit) -> Fraction:
    """An amount in the base units kg m s A K mol By rad."""
    return number * unit.ratio + unit.shift


def read(text: str, wanted: Unit, units: Units) -> float:
    """A text as a number of a unit: `1.5kW` is 1500 W, `20 Cel` is 293.15 K.

    Raises: AmountError.
    """
    number, unit = parse(text, units)
    if not commensurable(unit, wanted):
        raise AmountError("dimension", unit.text)
    try:
        return float((in_base(number, unit) - wanted.shift) / wanted.ratio)
    except OverflowError:
        raise AmountError("size", unit.text) from None
