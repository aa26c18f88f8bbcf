"""Variants: product sets of series, the currency of the checker.

A variant stands for every series of one metric whose resource kind, consumer kind and attribute values lie in its
sets. A real series is a variant whose sets have one member each, so that the same code judges both. Named tuples, not
attrs classes: the running engine needs them and must start without attrs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

Domain = frozenset[str] | None
"""The values that an attribute may have; `None` is open: any text."""
Parts = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""For an attribute which of its values are parts of which other: `(attribute, ((part, whole), …))`, both sorted."""
MACHINE: Final = frozenset({"machine"})
"""The root of the trees of resources and consumers."""


class Variant(NamedTuple):
    """A product set of series of one metric.

    `attributes` is sorted by name; `parts` says which of their values are parts of others. `interval` is the time
    between rows in nanoseconds, 0 where it is not known. `origin` is the instance that gives it, `via` every instance
    that it derives from, its origin included. `sums` are the series that were added up to it, where the keys of these
    are lost, by the name that they would have now and without what does not tell series apart.
    """

    metric: str
    type: str
    unit: str
    kind: str
    additive: bool
    resource: frozenset[str]
    consumer: frozenset[str]
    attributes: tuple[tuple[str, Domain], ...] = ()
    quality: str = "measured"
    interval: int = 0
    origin: str = ""
    via: frozenset[str] = frozenset()
    parts: Parts = ()
    sums: frozenset[Variant] = frozenset()

    def domain(self, attribute: str) -> Domain:
        """The values of an attribute; raises KeyError where the variant has no such attribute."""
        for name, values in self.attributes:
            if name == attribute:
                return values
        raise KeyError(attribute)

    def with_domain(self, attribute: str, values: Domain) -> Variant:
        """The same variant with other values for an attribute that it has."""
        return self._replace(
            attributes=tuple((name, values if name == attribute else have) for name, have in self.attributes)
        )

    def contains(self, other: Variant) -> bool:
        """Whether every series of `other` is one of this variant's."""
        return (
            (self.metric, self.type, self.unit, self.kind) == (other.metric, other.type, other.unit, other.kind)
            and other.resource <= self.resource
            and other.consumer <= self.consumer
            and len(self.attributes) == len(other.attributes)
            and all(
                mine == name and (values is None or (theirs is not None and theirs <= values))
                for (mine, values), (name, theirs) in zip(self.attributes, other.attributes, strict=True)
            )
        )

    def meets(self, other: Variant) -> bool:
        """Whether one series could belong to both; attributes that only one of them has tell them apart."""
        return (
            self.metric == other.metric
            and bool(self.resource & other.resource)
            and bool(self.consumer & other.consumer)
            and len(self.attributes) == len(other.attributes)
            and all(
                mine == name and (values is None or theirs is None or bool(values & theirs))
                for (mine, values), (name, theirs) in zip(self.attributes, other.attributes, strict=True)
            )
        )

    def without(self, dimensions: Collection[str]) -> Variant:
        """The same variant without some attributes; without its `resource` or `consumer` it is of the machine."""
        return self._replace(
            resource=MACHINE if "resource" in dimensions else self.resource,
            consumer=MACHINE if "consumer" in dimensions else self.consumer,
            attributes=tuple(pair for pair in self.attributes if pair[0] not in dimensions),
            parts=tuple(pair for pair in self.parts if pair[0] not in dimensions),
        )

    @property
    def counted(self) -> frozenset[Variant]:
        """The series that its values count: those that were added up to it, or itself."""
        return self.sums or frozenset((self._replace(**_COUNTED),))

    def together(self, other: Variant, worst_quality: Callable[[str, str], str]) -> Variant:
        """The least variant that holds both, where they have the same attributes; of its facts the weaker ones."""
        return self._replace(
            additive=self.additive and other.additive,
            resource=self.resource | other.resource,
            consumer=self.consumer | other.consumer,
            attributes=tuple(
                (name, None if values is None or others is None else values | others)
                for (name, values), (_, others) in zip(self.attributes, other.attributes, strict=True)
            ),
            quality=worst_quality(self.quality, other.quality),
            interval=max(self.interval, other.interval),
            via=self.via | other.via,
            parts=both(self.parts, other.parts),
            sums=self.sums | other.sums,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON value with sorted sets; equal variants give equal values."""
        sums = sorted((each.to_json() for each in self.sums), key=str)
        return {
            "metric": self.metric,
            "type": self.type,
            "unit": self.unit,
            "kind": self.kind,
            "additive": self.additive,
            "resource": sorted(self.resource),
            "consumer": sorted(self.consumer),
            "attributes": {name: None if values is None else sorted(values) for name, values in self.attributes},
            "quality": self.quality,
            "interval": self.interval,
            "origin": self.origin,
            "via": sorted(self.via),
            "parts": {name: dict(pairs) for name, pairs in self.parts},
            **({"sums": sums} if sums else {}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Variant:
        """The variant that `to_json` made `value` from."""
        return cls(
            **{
                **value,
                "resource": frozenset(value["resource"]),
                "consumer": frozenset(value["consumer"]),
                "attributes": tuple(
                    (name, None if values is None else frozenset(values))
                    for name, values in sorted(value["attributes"].items())
                ),
                "via": frozenset(value["via"]),
                "parts": parts_of(value["parts"]),
                "sums": frozenset(map(cls.from_json, value.get("sums", ()))),
            }
        )


_COUNTED: Final[Mapping[str, Any]] = MappingProxyType(
    {"type": "", "unit": "", "kind": "", "quality": "", "interval": 0, "origin": "", "via": frozenset()}
)
"""Of what is counted: all that does not tell series apart."""


def parts_of(table: Mapping[str, Mapping[str, str]]) -> Parts:
    """The table of a contract, attribute to part to whole, as a variant has it."""
    return tuple((name, tuple(sorted(pairs.items()))) for name, pairs in sorted(table.items()) if pairs)


def both(one: Parts, other: Parts) -> Parts:
    """What one or the other says; of a part with two wholes the lesser name, whatever the order."""
    if one == other:
        return one
    table: dict[str, dict[str, str]] = {}
    for name, pairs in (*one, *other):
        for part, whole in pairs:
            known = table.setdefault(name, {})
            known[part] = min(known.get(part, whole), whole)
    return parts_of(table)
