"""Settings of the kernel: their names, and which whole numbers will do.

A range is a list of comparisons that all hold, `>=1,<4`; it is known as the intervals that it leaves, so that two texts
of one meaning are equal. Light: a check out of the lock asks for settings again, and imports this without `re`.
Source: sysctl(8), on names; Documentation/admin-guide/sysctl of Linux.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

Interval = tuple[float, float]
"""All whole numbers from the first to the second one; infinite where there is no bound."""

_OPERATORS: Final = ("<=", ">=", "==", "!=", "<", ">")
_LONGEST: Final = 20
"""Characters of a number: no setting of the kernel is wider than 64 bits."""


class RangeError(ValueError):
    """A text is no list of comparisons with whole numbers, or no number is in all of them."""


def path(name: str) -> str:
    """The file of a setting: `kernel.perf_event_paranoid` is /proc/sys/kernel/perf_event_paranoid.

    What separates the parts is the first of `.` and `/` in the name; the other one then stands for itself, turned over,
    as in `net/ipv4/conf/eth0.1/forwarding` or `net.ipv4.conf.eth0/1.forwarding`.
    """
    slashes, dots = name.find("/"), name.find(".")
    dotted = dots >= 0 and (slashes < 0 or dots < slashes)
    return "/proc/sys/" + (name.translate(str.maketrans("./", "/.")) if dotted else name)


def is_name(text: str) -> bool:
    """Whether a text can be the name of a setting: parts that are not empty and lead nowhere else."""
    parts = path(text).split("/")[3:]
    plain = all(sign.isalnum() or sign in "_-.:@" for part in parts for sign in part)
    return len(parts) > 1 and plain and text.isascii() and not {"", ".", ".."} & set(parts)


def split(requirement: str) -> tuple[str, str]:
    """Name and range of `kernel.perf_event_paranoid<=1`."""
    end = next((place for place, sign in enumerate(requirement) if sign in "<>=!"), len(requirement))
    return requirement[:end], requirement[end:]


def intervals(wanted: str) -> tuple[Interval, ...]:
    """What a range leaves of the whole numbers, in order.

    Raises: RangeError.
    """
    left: list[Interval] = [(-inf, inf)]
    for part in wanted.split(","):
        left = [both for one in left for other in _allowed(part.strip()) if (both := _both(one, other))]
    if not left:
        raise RangeError(wanted)
    return tuple(left)


def _both(one: Interval, other: Interval) -> Interval | None:
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low <= high else None


def _allowed(comparison: str) -> tuple[Interval, ...]:
    sign = next((each for each in _OPERATORS if comparison.startswith(each)), "")
    digits = comparison[len(sign) :].strip()
    if not sign or not digits.removeprefix("-").isdecimal() or not digits.isascii() or len(digits) > _LONGEST:
        raise RangeError(comparison)
    number = int(digits)
    below, above = (-inf, number - 1), (number + 1, inf)
    return {
        "<=": ((-inf, number),),
        ">=": ((number, inf),),
        "==": ((number, number),),
        "!=": (below, above),
        "<": (below,),
        ">": (above,),
    }[sign]


def within(value: int, wanted: str) -> bool:
    """Whether a number is in a range. Raises: RangeError."""
    return any(low <= value <= high for low, high in intervals(wanted))


def covers(outer: str, inner: str) -> bool:
    """Whether every number of one range is in another one, too. Raises: RangeError."""
    return covers_all(intervals(outer), intervals(inner))


def covers_all(outer: Iterable[Interval], inner: Iterable[Interval]) -> bool:
    """Whether every number of some intervals is in one of others, too."""
    whole = tuple(outer)
    return all(any(low <= least and most <= high for low, high in whole) for least, most in inner)


def nearest(value: int, wanted: str) -> int:
    """The number of a range that is the nearest to a value; of two the lower one. Raises: RangeError."""
    found = (int(min(max(value, low), high)) for low, high in intervals(wanted))
    return min(found, key=lambda number: (abs(number - value), number))
