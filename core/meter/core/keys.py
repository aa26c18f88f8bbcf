r"""Keys and key sets: what a column of a block means.

A key is one series: a metric of one resource for one consumer, with attributes. Its canonical name is hierarchical, so
that everything of one metric, or of one resource of it, is a contiguous run of any key set. How names are written is
told in `meter.contracts.keynames`. An id that is a decimal number is an array part, `#_10` for `10`, so that processor
2 comes before processor 10; an id that begins with `#` itself has one `#` more.

Layouts add positions of columns; keys know nothing of these, nor of values. Imports no numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from meter.contracts import keynames
from meter.contracts.digests import digest
from meter.contracts.variants import Variant
from meter.core.names import NameClash, Named, NameSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Entity = tuple[str, str]
"""A resource or a consumer: kind and id; the id of a kind that exists once, such as `machine`, is empty."""

MACHINE: Entity = ("machine", "")


def entity_text(entity: Entity, text: Callable[[str], str] = str) -> str:
    """A resource or consumer as `kind/id`, or the kind alone; `text` is how a form writes a text."""
    kind, id_ = entity
    return f"{text(kind)}/{text(id_)}" if id_ else text(kind)


EACH: Final = "\0"
"""The id of each: a key that has it stands for one series of each of many things, and every row says of which.

Nothing has it for a name, as no path and no text of the kernel holds it."""


class Metric(NamedTuple):
    """What all keys of one metric from one instance share; it is not part of a key's identity.

    `type` is `f64`, `i64` or `u64`; `unit` is UCUM; `kind` is `gauge`, `delta` or `counter`. `interval` is the time
    between rows in nanoseconds, 0 where it is not known. `origin` is the instance that gives the metric, `via` every
    instance that it derives from. `reason` is why the source gives this series in no better quality, where it says so.
    """

    name: str
    type: str
    unit: str
    kind: str
    additive: bool
    quality: str = "measured"
    interval: int = 0
    origin: str = ""
    via: frozenset[str] = frozenset()
    reason: str = ""

    @classmethod
    def of(cls, variant: Variant) -> Metric:
        """What the series of a variant share; `Key.variant` is the way back."""
        return cls(
            variant.metric,
            variant.type,
            variant.unit,
            variant.kind,
            variant.additive,
            variant.quality,
            variant.interval,
            variant.origin,
            variant.via,
        )


class Key(Named):
    """One series; immutable, and hashable by its canonical name.

    Two keys are equal when metric name, resource, consumer and attributes are; unit, kind and the rest of `metric` do
    not matter. They sort by `parts`, so numeric ids sort as numbers.

    Raises: ValueError, an attribute has an empty name, one with `=`, or occurs twice.
    """

    __slots__ = ("attributes", "consumer", "metric", "resource")

    metric: Metric
    resource: Entity
    consumer: Entity
    attributes: tuple[tuple[str, str], ...]
    """Sorted by name."""

    def __init__(
        self, metric: Metric, resource: Entity, consumer: Entity, attributes: Iterable[tuple[str, str]] = ()
    ) -> None:
        ordered = tuple(sorted(attributes))
        parts: tuple[str, ...] = (metric.name, resource[0], _id(resource[1]), consumer[0], _id(consumer[1]))
        if ordered:
            names = {name for name, _ in ordered}
            if len(names) != len(ordered) or "" in names or "=" in "".join(names):
                raise ValueError(f"attributes of {metric.name}: {ordered}")
            parts += tuple(f"{name}={value}" for name, value in ordered)
        keep = object.__setattr__
        keep(self, "metric", metric)
        keep(self, "resource", resource)
        keep(self, "consumer", consumer)
        keep(self, "attributes", ordered)
        # Without the `/` of a whole name: a key is named below its host.
        self._named(parts, keynames.join(parts)[1:])

    @classmethod
    def make(
        cls,
        metric: Metric,
        resource: Entity = MACHINE,
        consumer: Entity = MACHINE,
        attributes: Mapping[str, str] | None = None,
    ) -> Key:
        """The key of a metric, of the machine for the machine where nothing else is said.

        Raises: ValueError, as `Key`.
        """
        return cls(metric, resource, consumer, () if attributes is None else attributes.items())

    @property
    def each(self) -> bool:
        """Whether this stands for a series of each of many things."""
        return self.resource[1] == EACH or self.consumer[1] == EACH

    def at(self, id_: str) -> Key:
        """The series of one of the things that this stands for."""
        resource = (self.resource[0], id_) if self.resource[1] == EACH else self.resource
        consumer = (self.consumer[0], id_) if self.consumer[1] == EACH else self.consumer
        return Key(self.metric, resource, consumer, self.attributes)

    @staticmethod
    def parse_name(name: str) -> tuple[str, ...]:
        """What the key of a name was made from: metric, kind and id of both, attributes as `name=value`.

        Raises: KeyNameError, it is no key name.
        """
        parts = keynames.split(name)
        return tuple(_unmade(part) if place in {2, 4} else part for place, part in enumerate(parts))

    @property
    def said(self) -> str:
        """The series as a message names it: `hw.energy{domain=core} of cpu_package/0`."""
        parts = ",".join(f"{name}={value}" for name, value in self.attributes)
        text = f"{self.metric.name}{{{parts}}}" if parts else self.metric.name
        for word, (kind, id_) in (("of", self.resource), ("for", self.consumer)):
            if id_:
                text += f" {word} each {kind}" if id_ == EACH else f" {word} {kind}/{id_}"
        return text

    def variant(self) -> Variant:
        """This series as a variant: every set has one member."""
        metric = self.metric
        return Variant(
            metric=metric.name,
            type=metric.type,
            unit=metric.unit,
            kind=metric.kind,
            additive=metric.additive,
            resource=frozenset((self.resource[0],)),
            consumer=frozenset((self.consumer[0],)),
            attributes=tuple((name, frozenset((value,))) for name, value in self.attributes),
            quality=metric.quality,
            interval=metric.interval,
            origin=metric.origin,
            via=metric.via,
        )

    def __reduce__(self) -> tuple[type[Key], tuple[Metric, Entity, Entity, tuple[tuple[str, str], ...]]]:
        # Made anew: the hash of a text differs from process to process.
        return Key, (self.metric, self.resource, self.consumer, self.attributes)


class KeyClash(NameClash):
    """Two key sets that had to be disjoint share `key`."""

    key: Key


class KeySet(NameSet[Key]):
    """A sorted, unique, immutable set of keys; of equal keys the last one given stays.

    Equality and hash are those of the names; `digest` and `Layout` tell metadata apart too.
    """

    __slots__ = ("_digest",)

    clash = KeyClash

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        super().__init__(keys)
        self._digest: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of names and metadata; equal in every process."""
        if self._digest is None:
            told = [(key.name, *key.metric._replace(via=frozenset()), sorted(key.metric.via)) for key in self._keys]
            text = ascii(told)
            self._digest = digest(text.encode("ascii"))
        return self._digest


def _id(text: str) -> str:
    """An id as a part: a decimal number without leading zeros as the element of an array."""
    if keynames.is_number(text):
        return keynames.array_part(text)
    return f"#{text}" if text.startswith("#") else text


def _unmade(part: str) -> str:
    """The id that a part was made from."""
    number = keynames.element(part)
    return part.removeprefix("#") if number is None else str(number)
