"""Variants that were seen, and those of them that could have a series in common with another one.

One metric may have thousands of variants. Two can have a series in common only if they have a value in common in each
dimension, so that a variant is compared with those alone that have one with it in the dimension where these are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meter.contracts.variants import Domain, Variant

_Shape = tuple[str, tuple[str, ...]]
"""Metric and names of attributes; of other shapes nothing is in common."""


class Seen:
    """A set of variants, in the order in which they were added."""

    def __init__(self, variants: Iterable[Variant] = ()) -> None:
        self._added = 0
        self._all: dict[_Shape, dict[Variant, int]] = {}
        """With the place at which each was added."""
        self._by: dict[tuple[_Shape, int, str | None], dict[Variant, None]] = {}
        """By a value in a dimension; `None` is any value."""
        for variant in variants:
            self.add(variant)

    def add(self, variant: Variant) -> None:
        """Note a variant."""
        shape = _shape(variant)
        known = self._all.setdefault(shape, {})
        self._added += 1
        known.setdefault(variant, self._added)
        for dimension, values in enumerate(_domains(variant)):
            for value in (None,) if values is None else values:
                self._by.setdefault((shape, dimension, value), {})[variant] = None

    def remove(self, variant: Variant) -> None:
        """Forget a variant that was added."""
        shape = _shape(variant)
        del self._all[shape][variant]
        for dimension, values in enumerate(_domains(variant)):
            for value in (None,) if values is None else values:
                del self._by[shape, dimension, value][variant]

    def meeting(self, variant: Variant) -> Iterator[Variant]:
        """Those with which a variant could have a series in common."""
        shape = _shape(variant)
        known = self._all.get(shape, {})
        near: list[dict[Variant, None]] | None = None
        fewest = len(known)
        for dimension, values in enumerate(_domains(variant)):
            if values is not None:
                groups = [self._by.get((shape, dimension, value), {}) for value in (None, *values)]
                if (count := sum(map(len, groups))) < fewest:
                    near, fewest = groups, count
        if near is None:
            return (each for each in known if variant.meets(each))
        found = {each for group in near for each in group}
        return (each for each in sorted(found, key=known.__getitem__) if variant.meets(each))


class Crowd:
    """Places in a list of variants, of which many may be equal."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._places: dict[Variant, list[int]] = {}

    def add(self, variant: Variant, place: int) -> None:
        """Note that a variant stands at a place."""
        self._places.setdefault(variant, []).append(place)
        self._seen.add(variant)

    def meeting(self, variant: Variant) -> Iterator[int]:
        """Where those stand with which a variant could have a series in common."""
        return (place for each in self._seen.meeting(variant) for place in self._places[each])


def _shape(variant: Variant) -> _Shape:
    return variant.metric, tuple(name for name, _ in variant.attributes)


def _domains(variant: Variant) -> Iterator[Domain]:
    """The values in each dimension of a variant; of variants of one shape in one order."""
    yield variant.resource
    yield variant.consumer
    yield from (values for _, values in variant.attributes)
