"""Clashes: instances that give one metric with different types, units or kinds, or the same series of it.

Of several clashes of a metric one is told, the least, whatever the order in which the variants came.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from meter.contracts.language import language
from meter.contracts.live import Live
from meter.contracts.seen import Seen
from meter.contracts.variants import Domain, Variant

PAIRS: Final = 10_000
"""So many pairs of variants of one metric that have series in common are compared; of more any one is told."""

Shape = tuple[str, str, str]
"""Type, unit and kind."""


class Clash(NamedTuple):
    """Two instances that give one metric, sorted by label; the least clash of a metric is said."""

    givers: tuple[str, str]
    variant: str
    shapes: tuple[str, str] = ("", "")
    common: str = ""
    """What a series that both could give is."""


class _Metric:
    """What is known of one metric."""

    __slots__ = ("given", "least", "pairs", "ranked", "shapes")

    def __init__(self) -> None:
        self.shapes: dict[Shape, str] = {}
        """Each shape with the least label that gives it, also sorted."""
        self.ranked: list[tuple[str, Shape]] = []
        self.least: Clash | None = None
        self.pairs = 0
        self.given: list[Variant] = []
        """All that was given of it since there were too many pairs, and what went on then."""

    def others(self, shape: Shape) -> tuple[str, Shape] | None:
        """The least label that gives another shape, with that one."""
        return next((each for each in self.ranked[:2] if each[1] != shape), None)

    def note(self, label: str, shape: Shape) -> None:
        """Note who gives a shape."""
        known = self.shapes.get(shape)
        if known is None or label < known:
            if known is not None:
                self.ranked.remove((known, shape))
            self.shapes[shape] = label
            insort(self.ranked, (label, shape))


class Clashes:
    """The clashes of a chain that is followed."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}

    def __contains__(self, metric: str) -> bool:
        return metric in self._metrics and self._metrics[metric].least is not None

    def enter(self, label: str, variant: Variant, live: Live) -> bool:
        """Note what an instance gives beside what goes on; whether it clashes with that."""
        known = self._metrics.setdefault(variant.metric, _Metric())
        shape = (variant.type, variant.unit, variant.kind)
        found = list(self._shapes(known, label, shape)) or list(self._series(known, label, variant, live))
        known.note(label, shape)
        if found:
            known.least = min(found if known.least is None else [known.least, *found])
        return bool(found)

    def _shapes(self, known: _Metric, label: str, shape: Shape) -> Iterator[Clash]:
        other = known.others(shape)
        if other is not None:
            (one, this), (two, that) = sorted([other, (label, shape)])
            yield Clash((one, two), "", (", ".join(this), ", ".join(that)))

    def _series(self, known: _Metric, label: str, variant: Variant, live: Live) -> Iterator[Clash]:
        if known.pairs > PAIRS:
            known.given.append(variant)
            return
        for each in live.meeting(variant):
            known.pairs += 1
            one, two = sorted((each.origin, label))
            yield Clash((one, two), "series", common=_common(variant, each))
            if known.pairs > PAIRS:
                known.given = [*live.of({variant.metric}), variant]
                return

    def least(self) -> dict[str, Clash]:
        """For each metric that clashes the clash that is told, by name."""
        found = {}
        for metric, known in sorted(self._metrics.items()):
            if known.least is not None:
                crowded = known.pairs > PAIRS and known.least.variant == "series"
                found[metric] = _first(known.given) if crowded else known.least
        return found


def _first(variants: Iterable[Variant]) -> Clash:
    """The first variant, of all sorted, that has a series in common with one before it, as a clash."""
    seen = Seen()
    for variant in sorted(variants, key=lambda each: (each.origin, str(each.to_json()))):
        for each in seen.meeting(variant):
            return Clash((each.origin, variant.origin), "series", common=_common(variant, each))
        seen.add(variant)
    raise AssertionError("no two variants clash")  # pairs of them were counted


def _common(one: Variant, other: Variant) -> str:
    """What a series is that could belong to both of two variants."""
    pairs = zip(one.attributes, other.attributes, strict=True)
    attributes = [
        (name, theirs if mine is None else mine if theirs is None else mine & theirs)
        for (name, mine), (_, theirs) in pairs
    ]
    facts = {word: "|".join(sorted(getattr(one, word) & getattr(other, word))) for word in ("resource", "consumer")}
    return language().phrase("note", "common", **facts, attributes=attributes_text(attributes))


def attributes_text(attributes: Iterable[tuple[str, Domain]]) -> str:
    """Attributes with their values, as a part of a note."""
    texts = []
    for name, values in attributes:
        facts = {"name": name, "values": "|".join(sorted(values or ()))}
        texts.append(language().phrase("note", "attribute", "text", "open" if values is None else "", **facts))
    return "".join(texts)
