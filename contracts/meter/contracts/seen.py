"""Variants that were seen, and those of them that could have a series in common with another one.

One metric may have thousands of variants; two that differ in the values of their first attribute are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meter.contracts.variants import Variant

_Key = tuple[str, tuple[str, ...], str | None]


class Seen:
    """A set of variants, in the order in which they were added."""

    def __init__(self, variants: Iterable[Variant] = ()) -> None:
        self._by: dict[_Key, dict[Variant, None]] = {}
        self._all: dict[tuple[str, tuple[str, ...]], dict[Variant, None]] = {}
        for variant in variants:
            self.add(variant)

    def add(self, variant: Variant) -> None:
        """Note a variant."""
        metric, names, values = _shape(variant)
        self._all.setdefault((metric, names), {})[variant] = None
        for value in (None,) if values is None else values:
            self._by.setdefault((metric, names, value), {})[variant] = None

    def meeting(self, variant: Variant) -> Iterator[Variant]:
        """Those with which a variant could have a series in common."""
        metric, names, values = _shape(variant)
        if values is None:
            near = self._all.get((metric, names), {})
        else:
            near = {}
            for value in (None, *sorted(values)):
                near |= self._by.get((metric, names, value), {})
        return (each for each in near if variant.meets(each))


def _shape(variant: Variant) -> tuple[str, tuple[str, ...], frozenset[str] | None]:
    """Metric, names of attributes, and the values of the first one; None is any text, or that there is none."""
    names = tuple(name for name, _ in variant.attributes)
    return variant.metric, names, variant.attributes[0][1] if variant.attributes else None
