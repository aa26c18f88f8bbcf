"""Selectors that mean nothing, and which of them are so for another reason than that another one is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from meter.contracts.instances import Compiled, Instance
from meter.contracts.selectors import Commensurable, Selector, split
from meter.contracts.variants import Variant


class Nothing(NamedTuple):
    """A selector that means nothing of what reaches its instance, and the metrics of which nothing reaches it."""

    instance: Instance
    compiled: Compiled
    item: int
    selector: Selector
    ended: dict[str, str]
    meant: str
    """The metric of a source that can only have been meant; empty where there is none."""

    def would_give(self) -> set[str]:
        """The names that the rule would have given."""
        gives = self.compiled.rule.gives
        read = {self.selector.glob, self.meant} if self.selector.literal else {self.meant}
        if gives is None or self.selector.excludes:
            return set()
        return {gives.name.replace("${metric}", name) for name in read if name}


FEW: Final = 6
"""Of so many values a condition is written for a user to copy."""


_OF_WHOM: Final = ("resource", "consumer", "origin")
"""Conditions that one may well mistake; of the kind, type or unit somebody wants another metric, made of it."""


def lacking(
    selector: Selector, named: Sequence[Variant], same_dimension: Commensurable
) -> tuple[str, tuple[str, ...]] | None:
    """The condition of a selector that none of the metrics of that name meets, and what it could be instead.

    Only where one condition alone is at fault, and where that says of whom the metric is.
    """
    for at, (key, _) in enumerate(selector.conditions):
        others = selector._replace(conditions=selector.conditions[:at] + selector.conditions[at + 1 :])
        parts = [split(variant, others._replace(excludes=False), same_dimension)[0] for variant in named]
        if key not in _OF_WHOM:
            continue
        there = sorted({value for part in parts if part is not None for value in _values(part, key)})
        if 0 < len(there) <= FEW and not any("{" in value for value in there):
            return key, tuple(there)
    return None


def _values(variant: Variant, key: str) -> Collection[str]:
    value: str | frozenset[str] = getattr(variant, key)
    return (value,) if isinstance(value, str) else value


def causes(nothings: Sequence[Nothing], ranks: Mapping[str, int]) -> list[Nothing]:
    """The selectors that mean nothing, without those that would read what such a one would have given.

    Of some that only wait for each other all are causes. Args: ranks, of each instance the place of its placement.
    """
    makers: dict[str, list[int]] = {}
    for nth, each in enumerate(nothings):
        for name in each.would_give():
            makers.setdefault(name, []).append(nth)
    follows: dict[int, list[int]] = {}
    roots = []
    for nth, each in enumerate(nothings):
        rank = ranks[each.instance.label]
        makes = [
            other
            for other in makers.get(each.selector.glob, ())
            if nothings[other].instance is not each.instance and ranks[nothings[other].instance.label] <= rank
        ]
        for other in makes:
            follows.setdefault(other, []).append(nth)
        if not makes:
            roots.append(nth)
    explained: set[int] = set()
    waiting = list(roots)
    while waiting:
        for nth in follows.get(waiting.pop(), ()):
            if nth not in explained:
                explained.add(nth)
                waiting.append(nth)
    return [each for nth, each in enumerate(nothings) if nth not in explained]
