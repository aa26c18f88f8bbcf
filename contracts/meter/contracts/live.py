"""What goes on along a chain: the variants behind the instances so far, by metric, and what each instance changed.

In a large backend an instance has to do with few of the metrics that reach it. Whoever follows a chain looks only at
these, and keeps for each instance what came and what went instead of all that there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from meter.contracts.seen import Seen
from meter.contracts.variants import Variant


class Step(NamedTuple):
    """What one instance does to the variants that go on: the parts that it takes, what ends, what there is instead.

    Whatever passes it is the same object before and behind it and stands in neither; an output changes nothing.
    """

    taken: tuple[Variant, ...] = ()
    gone: tuple[Variant, ...] = ()
    come: tuple[Variant, ...] = ()


class Live:
    """Variants by metric; those of one metric in the order in which they came."""

    def __init__(self) -> None:
        self._by: dict[str, list[Variant]] = {}
        self._seen: dict[str, Seen] = {}

    def __iter__(self) -> Iterator[Variant]:
        return chain.from_iterable(self._by.values())

    def __contains__(self, metric: str) -> bool:
        return metric in self._by

    def of(self, metrics: Iterable[str] | None) -> list[Variant]:
        """The variants of some metrics, of all where it is `None`."""
        if metrics is None:
            return list(self)
        return [variant for metric in sorted(metrics) for variant in self._by.get(metric, ())]

    def meeting(self, variant: Variant) -> Iterator[Variant]:
        """Those with which a variant could have a series in common."""
        metric = variant.metric
        if metric not in self._seen:
            self._seen[metric] = Seen(self._by.get(metric, ()))
        return self._seen[metric].meeting(variant)

    def add(self, variant: Variant) -> None:
        """Put a variant in."""
        self._by.setdefault(variant.metric, []).append(variant)
        if variant.metric in self._seen:
            self._seen[variant.metric].add(variant)

    def instead(self, variants: Iterable[Variant], others: Iterable[Variant]) -> None:
        """Put others in the place of all variants of some metrics."""
        for metric in {variant.metric for variant in variants}:
            del self._by[metric]
            self._seen.pop(metric, None)
        for variant in others:
            self.add(variant)


def step(taken: Iterable[Variant], before: Sequence[Variant], after: Sequence[Variant]) -> Step:
    """What an instance did, by what there was of the metrics that it looked at, and what there is of them."""
    had, has = set(map(id, before)), set(map(id, after))
    gone = tuple(variant for variant in before if id(variant) not in has)
    return Step(tuple(taken), gone, tuple(variant for variant in after if id(variant) not in had))
