"""Durations and sizes: texts such as `1h30min` and `64MiB`, and the whole numbers of nanoseconds and bytes they mean.

Apart from the units of metrics because these are what a person types into a configuration: sums and short names are
welcome there, and a number is part of the text. Integers only, so that nothing is rounded, and light, because the warm
path reads intervals too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

LARGEST: Final = 2**63 - 1
"""The largest duration (ns) and size (bytes): what an i64 holds, about 292 years or 8 EiB."""

_NANOSECONDS: Final = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "min": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_BYTES: Final = {
    "TiB": 2**40,
    "TB": 10**12,
    "GiB": 2**30,
    "GB": 10**9,
    "MiB": 2**20,
    "MB": 10**6,
    "KiB": 2**10,
    "kB": 10**3,
    "B": 1,
}
_LONGEST: Final = 100  # characters; beyond it a text is no quantity, and reading it would cost more and more
# Any unit; which one it is, is looked up: a pattern that spells them all out takes five times as long to compile.
_TERM: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?([A-Za-z]+)")

_Term = tuple[str, str, int]  # digits before and after the point, and the factor of the unit

_DURATION_FORM: Final = "numbers, each with d, h, min, s, ms, us or ns, the larger unit first"
_SIZE_FORM: Final = "one number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB"


class QuantityError(ValueError):
    """A text is no duration or size.

    `text` is the text as written, `expected` a phrase that says what would have been one.
    """

    def __init__(self, text: str, expected: str) -> None:
        super().__init__(text, expected)
        self.text: Final = text
        self.expected: Final = expected


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as `100ms`, `1.5s` or `1h30min`.

    A sum names each unit (d h min s ms us ns) at most once, the larger first. A day has 24 hours.
    Raises: QuantityError for an empty text, a number without unit, a sign, blanks, a part of a nanosecond, and more
        than `LARGEST`.

    >>> parse_duration("1h30min")
    5400000000000
    """
    terms = _read(text, _NANOSECONDS)
    factors = [factor for _, _, factor in terms]
    if not terms or factors != sorted(set(factors), reverse=True):
        raise QuantityError(text, _DURATION_FORM)
    return _whole(text, terms, "ns")


def format_duration(ns: int) -> str:
    """The shortest exact text of a duration in nanoseconds; `parse_duration` gives the same number back.

    The text is one number with a unit, 1 or more, or a sum of whole numbers: the one with the fewest digits and points,
    then with the fewest terms, then with the largest unit. 0 is `0s`.
    Raises: QuantityError for a negative number and for more than `LARGEST`.

    >>> format_duration(1_500_000_000), format_duration(60_000_000_000), format_duration(3_601_000_000_000)
    ('1.5s', '1min', '1h1s')
    """
    if not 0 <= ns <= LARGEST:
        raise QuantityError(f"{ns}ns", f"0ns to {LARGEST}ns")
    if ns == 0:
        return "0s"
    terms = _terms(ns)
    number, unit = _one_term(ns, _NANOSECONDS)
    if sum(len(count) for count, _ in terms) < len(number):
        return "".join(count + unit for count, unit in terms)
    return number + unit


def parse_size(text: str) -> int:
    """Bytes of a size such as `512B`, `1.5MiB` or `2GB`; the names of UCUM (`By`, `kBy`, `MiBy`, …) mean the same.

    `k M G T` are powers of 1000, `Ki Mi Gi Ti` powers of 1024; `KB` is neither.
    Raises: QuantityError for an empty text, a number without unit, a sign, blanks, a part of a byte, and more than
        `LARGEST`.

    >>> parse_size("1.5KiB")
    1536
    """
    terms = _read(text.removesuffix("y") if text.endswith("By") else text, _BYTES)
    if len(terms) != 1:
        raise QuantityError(text, _SIZE_FORM)
    return _whole(text, terms, "B")


def format_size(size: int) -> str:
    """The shortest exact text of a size in bytes; `parse_size` gives the same number back.

    One number, 1 or more, with the unit that leaves the fewest digits and points, and the largest such unit. 0 is `0B`.
    Raises: QuantityError for a negative number and for more than `LARGEST`.

    >>> format_size(64 * 2**20), format_size(2_000_000)
    ('64MiB', '2MB')
    """
    if not 0 <= size <= LARGEST:
        raise QuantityError(f"{size}B", f"0B to {LARGEST}B")
    if size == 0:
        return "0B"
    return "".join(_one_term(size, _BYTES))


def _read(text: str, units: dict[str, int]) -> list[_Term]:
    """The terms of a text; none, if anything in it is not understood."""
    terms: list[_Term] = []
    at = 0
    while match := _TERM.match(text, at):
        whole, fraction, unit = match.groups("")
        if unit not in units:
            return []
        terms.append((whole, fraction, units[unit]))
        at = match.end()
    return terms if at == len(text) <= _LONGEST else []


def _whole(text: str, terms: list[_Term], unit: str) -> int:
    """The sum of decimal numbers times their factors; exact, and refused where it is not whole or too large."""
    places = max(len(fraction) for _, fraction, _ in terms)
    total = sum(int(whole + fraction.ljust(places, "0")) * factor for whole, fraction, factor in terms)
    result, rest = divmod(total, int("1" + "0" * places))
    if rest:
        raise QuantityError(text, f"a multiple of 1{unit}")
    if result > LARGEST:
        raise QuantityError(text, f"at most {LARGEST}{unit}")
    return result


def _one_term(amount: int, units: dict[str, int]) -> tuple[str, str]:
    """The shortest decimal number, and its unit, that means `amount`; `units` has the larger first, and 1 last."""
    found = [
        (number, unit)
        for unit, factor in units.items()
        if amount >= factor and (number := _decimal(amount, factor)) is not None
    ]
    return min(found, key=lambda term: len(term[0]))


def _decimal(amount: int, factor: int) -> str | None:
    """`amount / factor` as a decimal number, or None where it does not end."""
    whole, rest = divmod(amount, factor)
    places = 0
    while rest % factor and places <= factor.bit_length():
        places += 1
        rest *= 10
    if rest % factor:
        return None
    return f"{whole}.{rest // factor:0{places}}" if places else str(whole)


def _terms(ns: int) -> list[tuple[str, str]]:
    """A duration as whole numbers of units, the larger first."""
    terms = []
    for unit, factor in _NANOSECONDS.items():
        count, ns = divmod(ns, factor)
        if count:
            terms.append((str(count), unit))
    return terms
