"""Double counting: what a sum over a dimension would count twice.

Apart from the flow, because a rule that merges and a formula that sums ask the same question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from meter.contracts.language import language
from meter.contracts.seen import Crowd
from meter.contracts.variants import Domain, Variant

FEW: Final = 64
"""Of more parts that could contain another one those are looked for first that become one series with it."""
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


def twice(merging: Sequence[tuple[Variant, Variant]], dimension: str) -> tuple[int, int, Doubled] | None:
    """The first two parts of which one contains the other and that become one series, with their places.

    Args: `merging`, parts with what is made of them.
    """
    first: dict[object, int] = {}
    for place, (part, new) in enumerate(merging):
        first.setdefault((_looked_at(part, dimension), new), place)
    containing = _Containing(dimension)
    for place in first.values():
        containing.add(*merging[place], place)
    for place in first.values():
        part, new = merging[place]
        for other in containing.near(part, new):
            double = doubled(part, merging[other][0], dimension)
            if double is not None and new.meets(merging[other][1]):
                return place, other, double
    return None


def _looked_at(variant: Variant, dimension: str) -> object:
    """All of a variant that decides whether it contains another one."""
    if dimension in KINDS:
        return getattr(variant, dimension)
    domains = dict(variant.attributes)
    return dimension in domains, domains.get(dimension), dict(variant.parts).get(dimension, ())


class _Containing:
    """Parts that others could be contained in, found by their values of a dimension."""

    def __init__(self, dimension: str) -> None:
        self._dimension = dimension
        self._all = Crowd()
        self._total = Crowd()
        """Those that have no such dimension."""
        self._by: dict[str | None, list[int]] = {}
        """By value; `None` is any."""
        self._wholes: dict[str, set[str]] = {}

    def add(self, part: Variant, new: Variant, place: int) -> None:
        """Note a part, and what is made of it."""
        self._all.add(new, place)
        domains = dict(part.attributes)
        if self._dimension not in domains:
            self._total.add(new, place)
            return
        domain = domains[self._dimension]
        for value in (None,) if domain is None else domain:
            self._by.setdefault(value, []).append(place)
        for value, whole in dict(part.parts).get(self._dimension, ()):
            self._wholes.setdefault(value, set()).add(whole)

    def near(self, part: Variant, new: Variant) -> list[int]:
        """The places of all that could contain a part and that become one series with it, and perhaps some more."""
        domains = dict(part.attributes)
        if self._dimension in KINDS:
            return sorted(self._all.meeting(new))
        if self._dimension not in domains:
            return []
        values = {
            above for value in _values(domains[self._dimension], self._wholes) for above in _above(value, self._wholes)
        }
        found = [place for value in (None, *values) for place in self._by.get(value, ())] if values else []
        if len(found) > FEW:
            found = list(set(found).intersection(self._all.meeting(new)))
        return sorted({*found, *self._total.meeting(new)})


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


def wholes(variants: Iterable[Variant], dimension: str, whole: str) -> tuple[str, ...]:
    """The values of a dimension that are no part of another one there; of an open domain `whole` alone."""
    values: set[str] = set()
    above: dict[str, set[str]] = {}
    for variant in variants:
        if dimension in KINDS:
            values |= getattr(variant, dimension)
            continue
        domain = dict(variant.attributes).get(dimension, frozenset())
        if domain is None:
            return (whole,)
        values |= domain
        for part, each in dict(variant.parts).get(dimension, ()):
            above.setdefault(part, set()).add(each)
    if dimension in KINDS:
        return tuple(sorted(value for value in values if not values.intersection(ancestors(dimension, value))))
    return tuple(sorted(value for value in values if not values.intersection(_above(value, above))))


def summable(
    variants: Sequence[Variant], dimensions: Collection[str], dimension: str, whole: str
) -> tuple[str, tuple[str, ...]]:
    """A dimension and those of its values that count nothing twice where all of `dimensions` are summed over.

    Where an attribute tells a whole of resources or consumers from what it contains, the whole is what is left out: not
    every machine has it.

    Args: `dimension` is the one in which `whole` was found to contain something.
    """
    beneath = list(variants)
    for family in (kind for kind in KINDS if kind in dimensions):
        above = {kind for each in beneath for own in getattr(each, family) for kind in ancestors(family, own)}
        beneath = [each for each in beneath if not above.intersection(getattr(each, family))]
    tops = [each for each in variants if each not in beneath]
    for name in [dimension] if dimension not in KINDS else sorted(set(dimensions).difference(KINDS)):
        values = wholes(beneath, name, "")
        if values and "" not in values and not any(_has(each, name, values) for each in tops):
            return name, values
    return dimension, wholes(variants, dimension, whole)


def _has(variant: Variant, attribute: str, values: Collection[str]) -> bool:
    """Whether a variant could have one of these values, or is not told apart by the attribute."""
    domain = dict(variant.attributes).get(attribute)
    return domain is None or not domain.isdisjoint(values)


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
