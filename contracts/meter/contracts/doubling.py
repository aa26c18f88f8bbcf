"""Double counting: what a sum over a dimension would count twice.

Apart from the flow, because a rule that merges and a formula that sums ask the same question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from meter.contracts.language import language
from meter.contracts.variants import Domain, Variant

KINDS: Final = ("resource", "consumer")
"""The dimensions that every key has, whose values are kinds with a tree of their own."""


class Doubled(NamedTuple):
    """Why two variants cannot be summed over a dimension.

    `how` is empty where `part` is a part of `whole`, `nests` where one thing of the kind `part` can lie in another, and
    `total` where one of the two has no such dimension and is the total over it.
    """

    how: str
    part: str = ""
    whole: str = ""


def doubled(one: Variant, other: Variant, dimension: str) -> Doubled | None:
    """What of `other` contains what of `one`, if the series of both were summed over a dimension."""
    if dimension in KINDS:
        return _of_kinds(getattr(one, dimension), getattr(other, dimension), dimension)
    ones, others = dict(one.attributes), dict(other.attributes)
    if dimension not in ones:
        return None
    if dimension not in others:
        return Doubled("total")
    wholes: dict[str, set[str]] = {}
    for part, whole in (*dict(one.parts).get(dimension, ()), *dict(other.parts).get(dimension, ())):
        wholes.setdefault(part, set()).add(whole)
    if not wholes:
        return None
    for value in _values(ones[dimension], wholes):
        for above in _above(value, wholes):
            if others[dimension] is None or above in (others[dimension] or ()):
                return Doubled("", value, above)
    return None


def _of_kinds(kinds: frozenset[str], wholes: frozenset[str], family: str) -> Doubled | None:
    for kind in sorted(kinds):
        for above in ancestors(family, kind):
            if above in wholes:
                return Doubled("", kind, above)
    nested = next((kind for kind in sorted(kinds) if language().says(family, kind, "nests")), None)
    return None if nested is None else Doubled("nests", nested)


def _values(domain: Domain, wholes: Mapping[str, set[str]]) -> Iterable[str]:
    """The values that can be parts; of an open domain all that are said to be."""
    return sorted(wholes if domain is None else domain.intersection(wholes))


def _above(value: str, wholes: Mapping[str, set[str]]) -> Iterator[str]:
    """Everything that a value is a part of, directly or not."""
    seen = {value}
    level = [value]
    while level:
        level = sorted({whole for each in level for whole in wholes.get(each, ())} - seen)
        seen.update(level)
        yield from level


def ancestors(family: str, kind: str) -> Iterator[str]:
    """The kinds above one in its tree."""
    while kind := language().words[family][kind].get("parent", ""):
        yield kind
