"""Joining: the same series in fewer variants, as a plan shows them.

Two variants that differ in one set only are one with both sets together. Of all such pairs the first is joined, as the
variants are sorted, until there is none: so nothing depends on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush

from meter.contracts.variants import Domain, Variant

_Blank = tuple[int, Variant]
"""A dimension, and a variant without its values in it: those that differ in nothing else have the same."""


def joined(variants: Iterable[Variant]) -> list[Variant]:
    """Variants joined as far as they are one product set, sorted."""
    alike: dict[Variant, set[Variant]] = {}
    for variant in variants:
        bare = variant
        for dimension in range(2 + len(variant.attributes)):
            bare = _with(bare, dimension, frozenset())
        alike.setdefault(bare, set()).add(variant)
    return sorted((each for group in alike.values() for each in _joined(group)), key=_text)


def _joined(variants: set[Variant]) -> Sequence[Variant]:
    """Variants that differ in nothing but the sets of their dimensions, joined."""
    if len(variants) == 1:
        return list(variants)
    there: dict[Variant, str] = {}
    of: dict[_Blank, dict[Variant, None]] = {}
    waiting: list[tuple[str, Variant]] = []
    """Variants that could be the first of a pair."""

    def add(variant: Variant) -> None:
        there[variant] = _text(variant)
        for blank in _blanks(variant):
            near = of.setdefault(blank, {})
            near[variant] = None
            if len(near) > 1:
                for each in near if len(near) == 2 else (variant,):
                    heappush(waiting, (there[each], each))

    def remove(variant: Variant) -> None:
        del there[variant]
        for blank in _blanks(variant):
            del of[blank][variant]

    for variant in variants:
        add(variant)
    heapify(waiting)
    while waiting:
        _, one = heappop(waiting)
        if one not in there:
            continue
        groups = [(blank[0], of[blank]) for blank in _blanks(one) if len(of[blank]) > 1]
        if not groups:
            continue
        dimension, group = groups[0]
        if len(group) == len(there):  # nothing else is there, and all of it becomes one
            return [_whole(list(group), dimension)]
        _, other, dimension = min((there[each], each, at) for at, near in groups for each in near if each != one)
        remove(one)
        remove(other)
        whole = _whole([one, other], dimension)
        if whole not in there:
            add(whole)
    return list(there)


def _text(variant: Variant) -> str:
    return str(variant.to_json())


def _blanks(variant: Variant) -> Iterator[_Blank]:
    for dimension in range(2 + len(variant.attributes)):
        yield dimension, _with(variant, dimension, frozenset())


def _values(variant: Variant, dimension: int) -> Domain:
    kinds = (variant.resource, variant.consumer)
    return kinds[dimension] if dimension < 2 else variant.attributes[dimension - 2][1]


def _with(variant: Variant, dimension: int, values: Domain) -> Variant:
    """A variant with other values in a dimension: resource, consumer, then its attributes."""
    if dimension < 2:
        assert values is not None
        return variant._replace(resource=values) if dimension == 0 else variant._replace(consumer=values)
    return variant.with_domain(variant.attributes[dimension - 2][0], values)


def _whole(group: Sequence[Variant], dimension: int) -> Variant:
    """Variants that differ in one dimension only as one; of any value and some others, any."""
    sets = [_values(variant, dimension) for variant in group]
    closed = [values for values in sets if values is not None]
    return _with(group[0], dimension, frozenset().union(*closed) if len(closed) == len(sets) else None)
