r"""Keys and key sets: what a column of a block means.

A key is one series: a metric of one resource for one consumer, with attributes. Its canonical name is hierarchical, so
that everything of one metric, or of one resource of it, is a contiguous run of any key set. Names follow libelektra's:

- parts are joined with `/`; inside a part `\` is `\\` and `/` is `\/`
- the empty part is `%`; a part that is just `%`, `.` or `..` is `\%`, `\.` or `\..`
- an id that is a decimal number is an array part: `3` is `#3`, `10` is `#_10`, `100` is `#__100`, so that the order of
  texts is the order of numbers; any other part that begins with `#` begins with `\#`

Layouts add positions of columns; keys know nothing of these, nor of values. Imports no numpy.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn

from meter.contracts.digests import digest
from meter.contracts.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Entity = tuple[str, str]
"""A resource or a consumer: kind and id; the id of a kind that exists once, such as `machine`, is empty."""

MACHINE: Entity = ("machine", "")

_PARTS = attrgetter("parts")
_SEGMENT = re.compile(r"\\(?:%|\.\.?)|(?:\\#)?(?:[^\\/]|\\[\\/])*", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ARRAY = re.compile(r"#(_*)(0|[1-9][0-9]*)")


class KeyClash(ValueError):  # noqa: N818  (a fact about two key sets, named as in the design)
    """Two key sets that had to be disjoint share `key`."""

    def __init__(self, key: Key) -> None:
        super().__init__(key.name)
        self.key = key


class Metric(NamedTuple):
    """What all keys of one metric from one instance share; it is not part of a key's identity.

    `type` is `f64`, `i64` or `u64`; `unit` is UCUM; `kind` is `gauge`, `delta` or `counter`. `interval` is the time
    between rows in nanoseconds, 0 where it is not known. `origin` is the instance that gives the metric, `via` every
    instance that it derives from.
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


class Key:
    """One series; immutable, and hashable by its canonical name.

    Two keys are equal when metric name, resource, consumer and attributes are; unit, kind and the rest of `metric` do
    not matter. They sort by `parts`, so numeric ids sort as numbers.

    Raises: ValueError, an attribute has an empty name, one with `=`, or occurs twice.
    """

    __slots__ = ("_hash", "attributes", "consumer", "metric", "name", "parts", "resource")

    metric: Metric
    resource: Entity
    consumer: Entity
    attributes: tuple[tuple[str, str], ...]
    """Sorted by name."""
    parts: tuple[str, ...]
    """Canonical: metric, kind and id of resource and of consumer, then `name=value` of each attribute."""
    name: str
    """`parts` joined with `/`."""
    _hash: int

    def __init__(
        self, metric: Metric, resource: Entity, consumer: Entity, attributes: Iterable[tuple[str, str]] = ()
    ) -> None:
        ordered = tuple(sorted(attributes))
        parts: tuple[str, ...] = (
            _escape(metric.name),
            _escape(resource[0]),
            _escape_id(resource[1]),
            _escape(consumer[0]),
            _escape_id(consumer[1]),
        )
        if ordered:
            names = {name for name, _ in ordered}
            if len(names) != len(ordered) or "" in names or "=" in "".join(names):
                raise ValueError(f"attributes of {metric.name}: {ordered}")
            parts += tuple(_escape(f"{name}={value}") for name, value in ordered)
        name = "/".join(parts)
        keep = object.__setattr__
        keep(self, "metric", metric)
        keep(self, "resource", resource)
        keep(self, "consumer", consumer)
        keep(self, "attributes", ordered)
        keep(self, "parts", parts)
        keep(self, "name", name)
        keep(self, "_hash", hash(name))

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

    @staticmethod
    def parse_name(name: str) -> tuple[str, ...]:
        """The parts of a name without escapes: the texts that `Key` was made from, attributes as `name=value`.

        Raises: ValueError, as `canonical`.
        """
        return tuple(_unescape(part) for part in canonical(name))

    @property
    def said(self) -> str:
        """The series as a message names it: `hw.energy{domain=core} of cpu_package/0`."""
        parts = ",".join(f"{name}={value}" for name, value in self.attributes)
        text = f"{self.metric.name}{{{parts}}}" if parts else self.metric.name
        for word, (kind, id_) in (("of", self.resource), ("for", self.consumer)):
            if id_:
                text += f" {word} {kind}/{id_}"
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

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(name)

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(name)

    def __reduce__(self) -> tuple[type[Key], tuple[Metric, Entity, Entity, tuple[tuple[str, str], ...]]]:
        # Made anew: the hash of a text differs from process to process.
        return Key, (self.metric, self.resource, self.consumer, self.attributes)

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, Key) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: Key) -> bool:
        return self.parts < other.parts

    def __le__(self, other: Key) -> bool:
        return self.parts <= other.parts

    def __gt__(self, other: Key) -> bool:
        return self.parts > other.parts

    def __ge__(self, other: Key) -> bool:
        return self.parts >= other.parts

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


class KeySet:
    """A sorted, unique, immutable set of keys; of equal keys the last one given stays.

    Equality and hash are those of the names; `digest` and `Layout` tell metadata apart too.
    """

    __slots__ = ("_digest", "_hash", "_index", "_keys")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        unique = {key.name: key for key in keys}
        self._keys = tuple(sorted(unique.values(), key=_PARTS))
        self._index = {key.name: position for position, key in enumerate(self._keys)}
        self._hash: int | None = None
        self._digest: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The canonical names, in order."""
        return tuple(self._index)

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of names and metadata; equal in every process."""
        if self._digest is None:
            text = ascii([(key.name, *key.metric[:-1], sorted(key.metric.via)) for key in self._keys])
            self._digest = digest(text.encode("ascii"))
        return self._digest

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __contains__(self, key: object) -> bool:
        return (key.name if isinstance(key, Key) else key) in self._index

    def __getitem__(self, position: int) -> Key:
        return self._keys[position]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        # The names are unique and in one order, so that equal sets of names are equal sequences.
        return self._index == other._index if isinstance(other, KeySet) else NotImplemented

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(tuple(self._index))
        return self._hash

    def __repr__(self) -> str:
        return f"KeySet({list(self._index)!r})"

    def __reduce__(self) -> tuple[type[KeySet], tuple[tuple[Key, ...]]]:
        return KeySet, (self._keys,)

    def lookup(self, key: Key | str) -> Key | None:
        """The member equal to a key, or of a canonical name; None where there is none. O(1)."""
        position = self._index.get(key if isinstance(key, str) else key.name)
        return None if position is None else self._keys[position]

    def position(self, key: Key | str) -> int:
        """Where a key, or a canonical name, stands in the order. O(1).

        Raises: KeyError, it is no member.
        """
        return self._index[key if isinstance(key, str) else key.name]

    def below(self, prefix: tuple[str, ...] | str) -> KeySet:
        """The members whose parts begin with those of `prefix`, the key of that very name included.

        A tuple has canonical parts, as `Key.parts`; a text is a name as typed, see `canonical`. The empty prefix is
        above every key. O(log n) and a copy of what is found.

        Raises: ValueError, the text is no name.
        """
        begin, end = self._span(prefix)
        return self if end - begin == len(self._keys) else KeySet(self._keys[begin:end])

    def cut(self, prefix: tuple[str, ...] | str) -> tuple[KeySet, KeySet]:
        """The members below `prefix`, and those that are not.

        Raises: ValueError, the text is no name.
        """
        begin, end = self._span(prefix)
        return (
            KeySet(self._keys[begin:end]),
            KeySet(self._keys[:begin] + self._keys[end:]),
        )

    def merge(self, other: KeySet, equal: Literal["error", "mine", "theirs"] = "error") -> KeySet:
        """The members of both sets.

        `equal` says which of two equal keys stays, as their metadata may differ: this set's, the other's, or neither.

        Raises: KeyClash with this set's first key that the other has too, where `equal` is `error`.
        """
        if equal == "error":
            clash = self._index.keys() & other._index.keys()
            if clash:
                raise KeyClash(self._keys[min(self._index[name] for name in clash)])
        return KeySet((*other, *self) if equal == "mine" else (*self, *other))

    def __or__(self, other: KeySet) -> KeySet:
        """The union; of equal keys the other's stays, as an append would have it."""
        return self.merge(other, equal="theirs")

    def __and__(self, other: KeySet) -> KeySet:
        """The intersection, with this set's metadata."""
        return KeySet(key for key in self._keys if key.name in other._index)

    def __sub__(self, other: KeySet) -> KeySet:
        """The difference."""
        return KeySet(key for key in self._keys if key.name not in other._index)

    def isdisjoint(self, other: KeySet) -> bool:
        """Whether no key is in both."""
        return self._index.keys().isdisjoint(other._index.keys())

    def _span(self, prefix: tuple[str, ...] | str) -> tuple[int, int]:
        parts = canonical(prefix) if isinstance(prefix, str) else prefix
        length = len(parts)
        begin = bisect_left(self._keys, parts, key=_PARTS)
        return begin, bisect_right(self._keys, parts, begin, key=lambda key: key.parts[:length])


def canonical(name: str) -> tuple[str, ...]:
    r"""The canonical parts of a name as a person types it.

    Repeated, leading and closing `/` and the part `.` say nothing; `..` takes the part before it away; `#10` gets its
    underscores. A canonical name gives the parts that it was joined from. `#` before anything but a number is text.

    Raises: ValueError, a `\` before what needs none (`\d`, `a\#b`, `\.a`), or at the end.

    >>> canonical("/system.cpu.time//cpu/#10/")
    ('system.cpu.time', 'cpu', '#_10')
    """
    parts: list[str] = []
    for segment in _segments(name):
        if _SEGMENT.fullmatch(segment) is None:
            raise ValueError(f"part {segment} of the key name {name}")
        if segment == "..":
            del parts[-1:]
        elif segment.startswith("#"):
            array = _ARRAY.fullmatch(segment)
            number = "" if array is None else array[2]
            if array is not None and len(array[1]) in {0, len(number) - 1}:
                parts.append(_escape_id(number))
            else:
                parts.append("\\" + segment)
        elif segment not in {"", "."}:
            parts.append(segment)
    return tuple(parts)


def _segments(name: str) -> Iterator[str]:
    """The texts between the separators, escapes kept."""
    begin = 0
    escaped = False
    for position, character in enumerate(name):
        if character == "/" and not escaped:
            yield name[begin:position]
            begin = position + 1
        escaped = character == "\\" and not escaped
    yield name[begin:]


def _escape(text: str) -> str:
    """A text as one part."""
    if text.isalnum():  # most are; nothing else here applies to these
        return text
    escaped = text.replace("\\", "\\\\").replace("/", "\\/")
    if not text:
        return "%"
    return "\\" + escaped if text[0] == "#" or text in {"%", ".", ".."} else escaped


def _escape_id(text: str) -> str:
    """An id as one part: a decimal number without leading zeros as an array part."""
    if text.isdecimal() and text.isascii() and (text[0] != "0" or text == "0"):
        return f"#{'_' * (len(text) - 1)}{text}"
    return _escape(text)


def _unescape(part: str) -> str:
    """The text of one canonical part."""
    if part == "%":
        return ""
    return part.lstrip("#_") if part.startswith("#") else _ESCAPED.sub(r"\1", part)
