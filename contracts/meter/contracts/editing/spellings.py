"""Spellings: the unit that a text can only mean although it is not written as one: `joules`, `KiB/sec`, `10 minutes`.

A spelling that stands for two things, such as `KB` or `mhz`, stands for none here. What there is to know stands in the
contract language: names and other spellings of units.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from meter.contracts import quantities
from meter.contracts.language import language
from meter.contracts.units import LONGEST, UnitError, commensurable

_SYMBOL: Final = re.compile(r"\{[^{}]*\}|[^\s0-9./(){}\[\]+-]+")
_TERM: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([^\s0-9.]+) *")
_AMOUNT: Final = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)( *)(\S.*)")
_BELOW: Final = re.compile(r"/([^/.()]+(?:\.[^/.()]+)+)")
_DURATIONS: Final = ("d", "h", "min", "s", "ms", "us", "ns")


@lru_cache(maxsize=1)
def _names() -> dict[str, frozenset[str]]:
    """What each spelling of a unit may stand for: as it is written, and in small letters."""
    units, words = language().units, language().words
    found: dict[str, set[str]] = {}

    def note(spelling: str, unit: str, *, folded: bool = True) -> None:
        found.setdefault(spelling, set()).add(unit)
        if folded:
            found.setdefault(spelling.casefold(), set()).add(unit)

    prefixes = {start: (start, *words["prefix"][start].get("alias", "").split()) for start in units.prefixes}
    for symbol, atom in units.atoms.items():
        name = atom.description.partition(",")[0].partition(" of ")[0]
        forms = (symbol, *words["unit"][symbol].get("alias", "").split())
        for form in forms:
            note(form, symbol, folded=len(form) > 1)  # `S` is no second, and `M` anything
        note(name, symbol)
        note(f"{name}s", symbol)
        for start, prefix in units.prefixes.items():
            if not (atom.binary if prefix.binary else atom.metric):
                continue
            note(f"{prefix.description}{name}", start + symbol)
            note(f"{prefix.description}{name}s", start + symbol)
            for written, form in itertools.product(prefixes[start], forms):
                note(written + form, start + symbol, folded=len(form) > 1 or not atom.binary)  # `kb`: of bits or bytes
    for spelling, says in words["spelling"].items():
        note(spelling, says["unit"])
        for start in units.prefixes if says.get("prefixes") == "yes" else ():
            note(start + spelling, start + says["unit"])
    return {spelling: frozenset(meant) for spelling, meant in found.items()}


def unit(text: str) -> str:
    """The unit that a text means which is none; the empty text where that is not certain.

    >>> unit("Joules"), unit("kB/sec"), unit("KB")
    ('J', 'kBy/s', '')
    """
    if not text.strip() or len(text) > LONGEST:
        return ""
    new = _SYMBOL.sub(lambda found: _symbol(found[0]), text.strip())
    return new if new != text and _is_unit(new) else ""


def _symbol(text: str) -> str:
    if text.startswith("{") or _is_unit(text):
        return text
    names = _names()
    meant = names.get(text) or (names.get(text.casefold(), frozenset()) if len(text) > 1 else frozenset())
    return next(iter(meant)) if len(meant) == 1 else text


def _is_unit(text: str) -> bool:
    try:
        language().units.parse(text)
    except UnitError:
        return False
    return True


def grouped(text: str, wanted: str) -> str:
    """A unit with all below its `/` in parentheses, where that makes it commensurable with the one that is wanted.

    The empty text where it does not. UCUM goes from left to right, people do not.

    >>> grouped("g/kW.h", "g/J"), grouped("W/m.K", "W/m")
    ('g/(kW.h)', '')
    """
    new, units = _BELOW.sub(r"/(\1)", text), language().units
    return new if new != text and _is_unit(new) and commensurable(units.parse(new), units.parse(wanted)) else ""


def duration(text: str) -> str:
    """The duration that a text means: blanks and names of its units are set right. Empty where that is not certain."""
    return _terms(text, quantities.parse_duration, _duration)


def size(text: str) -> str:
    """The size that a text means, as `duration`."""
    return _terms(text, quantities.parse_size, _size)


def _terms(text: str, parse: Callable[[str], int], term: Callable[[str], str]) -> str:
    if len(text) > LONGEST or not (re.fullmatch(rf"(?:{_TERM.pattern})+", text.strip())):
        return ""
    new = _TERM.sub(lambda found: found[1] + term(found[2]), text.strip())
    try:
        parse(new)
    except quantities.QuantityError:
        return ""
    return new if new != text else ""


def _duration(word: str) -> str:
    return next((each for each in _DURATIONS if each == word.casefold()), _symbol(word))


def _size(word: str) -> str:
    try:
        quantities.parse_size(f"1{word}")
    except quantities.QuantityError:
        return _symbol(word).removesuffix("y")
    return word


def amount(text: str) -> str:
    """The number with a unit that a text means; the empty text where that is not certain."""
    found = _AMOUNT.fullmatch(text.strip())
    new = unit(found[3]) if found else ""
    return f"{found[1]}{found[2]}{new}" if found and new else ""
