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
    if wanted.strip() == "*":
        return True
    result = True
    for part in wanted.split(","):
        found = _COMPARISON.fullmatch(part.strip())
        if found is None:
            raise ValueError(wanted)
        result &= _OPERATORS[found[1]](version, parse_version(found[2], short=True))
    return result
