"""Versions and ranges of versions, by the rules of Semantic Versioning 2.0.0 (https://semver.org).

A range is a list of comparisons that all hold, `>=1.2,<2`, or `*`. Parts left out of a range's version are 0.
"""

from __future__ import annotations

import operator
import re
from functools import lru_cache
from typing import Final

from attrs import field, frozen

_SHORT: Final = re.compile(r"(0|[1-9]\d*)(?:\.(0|[1-9]\d*))?(?:\.(0|[1-9]\d*))?", re.ASCII)
_WHOLE: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*))*))?"
    r"(?:\+[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*)?",
    re.ASCII,
)
_COMPARISON: Final = re.compile(r"(<=|>=|==|!=|<|>)\s*(\S+)")
_OPERATORS: Final = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


@frozen(order=True)
class Version:
    """A version; ordered as section 11 of the specification says, build metadata left aside."""

    release: tuple[int, int, int]
    pre: tuple[tuple[int, int, str], ...]
    text: str = field(eq=False, order=False)

    def __str__(self) -> str:
        return self.text

    @property
    def final(self) -> bool:
        """Whether it is a release, no version before one."""
        return self.pre == _FINAL


_FINAL: Final = ((2, 0, ""),)
"""Sorts behind every pre-release."""


@lru_cache(maxsize=4096)
def parse_version(text: str, *, short: bool = False) -> Version:
    """A version from its text; `short` also takes `1` and `1.2`.

    Raises: ValueError.
    """
    if short and (found := _SHORT.fullmatch(text)):
        parts = [int(part or 0) for part in found.groups()]
        return Version((parts[0], parts[1], parts[2]), _FINAL, text)
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        raise ValueError(text)
    pre: tuple[tuple[int, int, str], ...] = _FINAL
    if whole[4] is not None:
        pre = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in whole[4].split("."))
    return Version((int(whole[1]), int(whole[2]), int(whole[3])), pre, text)


@lru_cache(maxsize=4096)
def satisfies(version: Version, wanted: str) -> bool:
    """Whether a version lies in a range.

    Raises: ValueError, the range is malformed.
    """
    return all(_OPERATORS[op](version, limit) for op, limit in _comparisons(wanted))


@lru_cache(maxsize=4096)
def covers(outer: str, inner: str) -> bool:
    """Whether every version of one range lies in another one, too.

    Between any two versions there is taken to be a third: `>=1.0.1-0` does not cover `>1.0.0`, though it does.

    Raises: ValueError, a range is malformed.
    """
    comparisons = {wanted: _comparisons(wanted) for wanted in (outer, inner)}
    limits = sorted({limit for of in comparisons.values() for _, limit in of})
    # Comparisons change their answer at limits only: one version below the first limit, at it, above it, and so on.
    spots = range(max(1, 2 * len(limits) + 1))

    def lies(spot: int, wanted: str) -> bool:
        return all(_OPERATORS[op](spot, 2 * limits.index(limit) + 1) for op, limit in comparisons[wanted])

    return all(lies(spot, outer) for spot in spots if lies(spot, inner))


def stands_for(new: Version, old: Version) -> bool:
    """Whether a version may be taken where an older one was: not lower, and of the same major one."""
    return new >= old and kept(new) == kept(old)


def kept(version: Version) -> tuple[int, int]:
    """What has to stay the same while nothing breaks: the first number, and before 1.0.0 the second one as well."""
    major, minor, _ = version.release
    return (major, 0) if major else (0, minor)


def _comparisons(wanted: str) -> list[tuple[str, Version]]:
    if wanted.strip() == "*":
        return []
    found = [_COMPARISON.fullmatch(part.strip()) for part in wanted.split(",")]
    if None in found:
        raise ValueError(wanted)
    return [(each[1], parse_version(each[2], short=True)) for each in found if each is not None]
