"""Layouts: which matrix and which column of a block a key is.

A key set says what there is, a layout where it lies. A block has a tuple of matrices, its parts; a layout addresses
columns of these. Dropping keys and adding matrices make a new layout over the same parts, so that no value is copied. A
part may hold columns that no key of the layout addresses.

Layouts are interned: equal ones are the same object, so that a plan made for one is found again by identity. Never
touches values. Imports no numpy.
"""

from __future__ import annotations

from itertools import groupby
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn, final
from weakref import WeakValueDictionary

from meter.core.keys import KeySet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meter.core.keys import Key

Address = tuple[int, int]
"""Part and column."""

Place = tuple[int, "slice | tuple[int, ...]"]
"""A part and columns of it: a slice where they are neighbours."""

_THINGS = 1 << 12
"""Things of which a layout of each remembers theirs; the oldest are forgotten."""
_CACHE = 256
"""Results kept for each layout; a chain of churning key sets must not grow without bound."""


@final
class Layout:
    """Where the keys of a block lie; immutable, and equal layouts are one object.

    `dtypes` (`f64`, `i64` or `u64`) and `widths` describe the parts, `address` gives part and column of each key, in
    the order of `keys`. Layouts whose keys differ in metadata, such as a unit, are different layouts. `plans` is the
    scratch space of those who prepare something for this layout, under a key of their own.
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_joins",
        "_places",
        "_restrictions",
        "_spans",
        "address",
        "dtypes",
        "each",
        "keys",
        "metrics",
        "plans",
        "widths",
    )

    keys: KeySet
    dtypes: tuple[str, ...]
    widths: tuple[int, ...]
    address: tuple[Address, ...]
    each: bool
    """Whether the keys stand for series of each of many things; a row then says of which."""
    metrics: tuple[str, ...]
    """Names of metrics, each once, in the order of `keys`."""
    plans: dict[Any, Any]
    _at: dict[str, Layout]
    _joins: dict[Layout, Layout]
    _places: dict[str, tuple[Place, ...]]
    _restrictions: dict[KeySet, Layout]
    _spans: dict[str, tuple[int, int]]

    def __new__(
        cls, keys: KeySet, dtypes: tuple[str, ...], widths: tuple[int, ...], address: tuple[Address, ...]
    ) -> Layout:
        """The one layout of these; made where there is none yet."""
        identity = (keys, tuple([key.metric for key in keys]), dtypes, widths, address)
        with _lock:
            found = _interned.get(identity)
            if found is None:
                found = _interned[identity] = cls._make(keys, dtypes, widths, address)
            return found

    @classmethod
    def _make(
        cls, keys: KeySet, dtypes: tuple[str, ...], widths: tuple[int, ...], address: tuple[Address, ...]
    ) -> Layout:
        spans = _spans(keys)
        made = object.__new__(cls)
        keep = object.__setattr__
        keep(made, "keys", keys)
        keep(made, "dtypes", dtypes)
        keep(made, "widths", widths)
        keep(made, "address", address)
        keep(made, "each", any(key.each for key in keys))
        keep(made, "metrics", tuple(spans))
        keep(made, "plans", {})
        keep(made, "_at", {})
        keep(made, "_joins", {})
        keep(made, "_places", {})
        keep(made, "_restrictions", {})
        keep(made, "_spans", spans)
        return made

    @classmethod
    def of(cls, keys: KeySet | Iterable[Key]) -> Layout:
        """The layout of new matrices: one part for each type, types sorted, columns in the order of the keys."""
        ordered = keys if isinstance(keys, KeySet) else KeySet(keys)
        dtypes = tuple(sorted({key.metric.type for key in ordered}))
        part_of = {dtype: part for part, dtype in enumerate(dtypes)}
        widths = [0] * len(dtypes)
        address = []
        for key in ordered:
            part = part_of[key.metric.type]
            address.append((part, widths[part]))
            widths[part] += 1
        return cls(ordered, dtypes, tuple(widths), tuple(address))

    def restrict(self, keys: KeySet) -> Layout:
        """The layout of fewer keys over the same parts; a dictionary hit from the second time on.

        The metadata is this layout's, not that of `keys`.

        Raises: KeyError, a key is not in this layout.
        """
        if keys is self.keys:
            return self
        found = self._restrictions.get(keys)
        if found is None:
            positions = [self.keys.position(key) for key in keys]
            found = Layout(
                KeySet(self.keys[position] for position in positions),
                self.dtypes,
                self.widths,
                tuple([self.address[position] for position in positions]),
            )
            _remember(self._restrictions, keys, found)
        return found

    def join(self, other: Layout) -> Layout:
        """The layout of both key sets over this layout's parts, then the other's; later a dictionary hit.

        Raises: KeyClash, a key is in both.
        """
        found = self._joins.get(other)
        if found is None:
            shift = len(self.widths)
            keys = self.keys.merge(other.keys)
            where = dict(zip(self.keys.names, self.address, strict=True))
            where.update(
                (name, (part + shift, column))
                for name, (part, column) in zip(other.keys.names, other.address, strict=True)
            )
            found = Layout(
                keys,
                self.dtypes + other.dtypes,
                self.widths + other.widths,
                tuple([where[name] for name in keys.names]),
            )
            _remember(self._joins, other, found)
        return found

    def at(self, id_: str) -> Layout:
        """The layout of one of the things that keys with the id `EACH` stand for, over the same parts."""
        found = self._at.get(id_)
        if found is None:
            where = {key.at(id_): address for key, address in zip(self.keys, self.address, strict=True)}
            keys = KeySet(where)
            found = Layout(keys, self.dtypes, self.widths, tuple([where[key] for key in keys]))
            if len(self._at) >= _THINGS:
                del self._at[next(iter(self._at))]
            self._at[id_] = found
        return found

    def span(self, metric: str) -> tuple[int, int]:
        """Begin and end of a metric's keys in `keys`; they are neighbours.

        Raises: KeyError, the layout has no such metric.
        """
        return self._spans[metric]

    def of_part(self, part: int) -> tuple[str, ...]:
        """Names of the metrics that have columns in a part, each once."""
        found: tuple[str, ...] | None = self.plans.get(("metrics", part))
        if found is None:
            named = (key.metric.name for key, at in zip(self.keys, self.address, strict=True) if at[0] == part)
            found = self.plans["metrics", part] = tuple(dict.fromkeys(named))
        return found

    def place(self, metric: str) -> tuple[Place, ...]:
        """Where the columns of a metric lie, in the order of its keys; most often one slice of one part.

        Raises: KeyError, the layout has no such metric.
        """
        found = self._places.get(metric)
        if found is None:
            found = self._places[metric] = self.gather(range(*self._spans[metric]))
        return found

    def gather(self, positions: Iterable[int]) -> tuple[Place, ...]:
        """Where the keys at some positions lie, in that order: runs of one part each.

        Raises: IndexError, there is no such position.
        """
        runs = groupby([self.address[position] for position in positions], key=lambda address: address[0])
        return tuple((part, _columns([column for _, column in run])) for part, run in runs)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(name)

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(name)

    def __copy__(self) -> Layout:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Layout:
        return self

    def __reduce__(
        self,
    ) -> tuple[type[Layout], tuple[KeySet, tuple[str, ...], tuple[int, ...], tuple[Address, ...]]]:
        return Layout, (self.keys, self.dtypes, self.widths, self.address)

    def __repr__(self) -> str:
        parts = ", ".join(f"{dtype}[{width}]" for dtype, width in zip(self.dtypes, self.widths, strict=True))
        return f"Layout({len(self.keys)} keys: {parts})"


# Weak, so that the layouts of what has been unmounted go; locked, as a weak dictionary's get and set are two steps.
_interned: WeakValueDictionary[tuple[Any, ...], Layout] = WeakValueDictionary()
_lock = Lock()


def _spans(keys: KeySet) -> dict[str, tuple[int, int]]:
    """Begin and end of each metric's keys."""
    spans: dict[str, tuple[int, int]] = {}
    for position, key in enumerate(keys):
        begin, _ = spans.get(key.metric.name, (position, position))
        spans[key.metric.name] = (begin, position + 1)
    return spans


def _columns(columns: list[int]) -> slice | tuple[int, ...]:
    begin, end = columns[0], columns[0] + len(columns)
    return slice(begin, end) if columns == list(range(begin, end)) else tuple(columns)


def _remember(cache: dict[Any, Layout], key: object, layout: Layout) -> None:
    if len(cache) >= _CACHE:
        cache.clear()
    cache[key] = layout
