"""Blocks and batches: timestamps and values of a layout, and what flows through the chain together.

A block is one layout, n rows and the layout's parts, which are read-only matrices. Blocks are handed on, selected and
joined without copying values; whoever changes values makes a new matrix.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

import numpy as np

from meter.core.arrays import DTYPES, is_sealed, read_only, seal, still_written
from meter.core.quantity import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meter.core.arrays import Array
    from meter.core.keys import Key, KeySet
    from meter.core.layout import Layout, Place

_DTYPES: Final = dict(DTYPES)  # not through the proxy: `Block.flaw` looks at every hop
_INT64: Final = DTYPES["i64"]
_BOOL: Final = np.dtype(np.bool_)

NO_REASONS: Final[Mapping[tuple[int, int], str]] = MappingProxyType({})
"""Of a block in which nothing is known of missing cells."""

# Measured with tracemalloc in CPython 3.11: what a block takes beside its numbers, and each text that it has.
_BLOCK_BYTES: Final = 1024
_TEXT_BYTES: Final = 200


class Anchor(NamedTuple):
    """One instant on two clocks, both in nanoseconds; turns monotonic into wall time."""

    mono_ns: int
    wall_ns: int

    @classmethod
    def now(cls) -> Anchor:
        """The present instant: the tightest of three readings of the wall clock between two of the monotonic one."""
        readings = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(3)]
        before, wall, after = min(readings, key=lambda reading: reading[2] - reading[0])
        return cls((before + after) // 2, wall)

    @overload
    def wall(self, ts: int) -> int: ...
    @overload
    def wall(self, ts: Array) -> Array: ...
    def wall(self, ts: int | Array) -> int | Array:
        """Nanoseconds since the epoch of a monotonic time, or of each of an int64 array of these."""
        return ts + (self.wall_ns - self.mono_ns)


class Block:
    """n rows of one layout; its arrays are read-only for good: who has the block cannot make them writeable again.

    `ts` int64[n]: the end of each row's span in monotonic nanoseconds; `since` int64[n]: its start. `parts`: one matrix
    [n, width] for each part of the layout, of its type. `masks`: for each part a bool matrix of that shape, true where
    the cell is missing, or None where none is. A missing cell holds NaN, in integers 0. `reasons` says why cells are
    missing where that is known, by row and position of the key.

    `ids`, n texts, is there where rows are of many short-lived things, such as processes: the keys of the layout have
    the id `EACH`, and each row says of which thing it is. So things come and go, and the layout stays. None elsewhere.

    The constructor trusts the shapes; `verify` compares them.
    """

    __slots__ = ("ids", "layout", "masks", "parts", "reasons", "since", "ts")

    def __init__(
        self,
        layout: Layout,
        ts: Array,
        since: Array,
        parts: tuple[Array, ...],
        masks: tuple[Array | None, ...] | None = None,
        reasons: Mapping[tuple[int, int], str] = NO_REASONS,
        ids: tuple[str, ...] | None = None,
        *,
        sealed: bool = False,
    ) -> None:
        """Args: `sealed`, nobody can write to the arrays, since they are those of blocks or lie over bytes."""
        if masks is None:
            masks = (None,) * len(parts)
        if not sealed:
            # Times are most often those of another block.
            ts, since = ts if is_sealed(ts) else seal(ts), since if is_sealed(since) else seal(since)
            parts = tuple([seal(part) for part in parts])
            masks = tuple([mask if mask is None else seal(mask) for mask in masks])
        self.layout: Final = layout
        self.ts: Final = ts
        self.since: Final = since
        self.parts: Final = parts
        self.masks: Final = masks
        self.reasons: Final = reasons
        self.ids: Final = ids

    @property
    def rows(self) -> int:
        """How many rows, n."""
        return len(self.ts)

    @property
    def nbytes(self) -> int:
        """About how much memory it keeps from being freed: of matrices the whole, even where few columns have a key."""
        arrays = (self.ts, self.since, *self.parts, *[mask for mask in self.masks if mask is not None])
        texts = len(self.reasons) + (0 if self.ids is None else len(self.ids))
        return _BLOCK_BYTES + sum([array.nbytes for array in arrays]) + _TEXT_BYTES * texts

    def values(self, metric: str) -> Array:
        """The columns of a metric, [n, k] in the order of its keys; a view where they are neighbours in one part.

        Raises: KeyError, the layout has no such metric; TypeError, its keys have different types.
        """
        return self.take(_places(self.layout, metric))

    def missing(self, metric: str) -> Array | None:
        """Which cells of `values` are missing, bool[n, k]; None where nothing is missing in its parts.

        Raises: as `values`.
        """
        return self.take_masks(_places(self.layout, metric))

    def take(self, places: Sequence[Place | tuple[int, Array]]) -> Array:
        """The columns at some places, side by side, [n, k]; read-only, and a view where that is one slice.

        Places are those of `Layout.gather`; an intp array of columns is taken faster than a tuple of them.

        Raises: TypeError, the places are of different types, which one matrix cannot hold without loss.
        """
        if len(places) == 1:
            part, columns = places[0]
            return _take(self.parts[part], columns)
        if not places:
            return read_only(np.empty((len(self.ts), 0)))
        dtypes = {self.layout.dtypes[part] for part, _ in places}
        if len(dtypes) > 1:
            raise TypeError(f"{' and '.join(sorted(dtypes))} in one matrix")
        return read_only(np.concatenate([_take(self.parts[part], columns) for part, columns in places], axis=1))

    def take_masks(self, places: Sequence[Place | tuple[int, Array]]) -> Array | None:
        """Which cells of `take` are missing, bool[n, k]; None where nothing is missing in the parts of these places."""
        masks = self.masks
        for part, _ in places:
            if masks[part] is not None:
                break
        else:
            return None
        taken = [
            _take(np.zeros(self.parts[part].shape, dtype=bool) if (mask := masks[part]) is None else mask, columns)
            for part, columns in places
        ]
        return taken[0] if len(taken) == 1 else read_only(np.concatenate(taken, axis=1))

    def column(self, key: Key | str) -> Array:
        """The values of one key, [n], a view.

        Raises: KeyError, the layout has no such key.
        """
        part, column = self.layout.address[self.layout.keys.position(key)]
        return self.parts[part][:, column]

    def cell(self, row: int, key: Key | str) -> float | int | Missing:
        """One value; `Missing` with its reason, or an empty one, where it is missing.

        Raises: KeyError, the layout has no such key; IndexError, there is no such row.
        """
        return self._cell(range(len(self.ts))[row], self.layout.keys.position(key))

    def _cell(self, row: int, position: int) -> float | int | Missing:
        part, column = self.layout.address[position]
        mask = self.masks[part]
        if mask is not None and mask[row, column]:
            return Missing(self.reasons.get((row, position), ""))
        value: float | int = self.parts[part][row, column].item()
        return value

    def points(self) -> Iterator[tuple[int, Key, float | int | Missing]]:
        """Row, key and value of each cell, row by row in the order of the keys; slow, for tests and tables."""
        for row in range(len(self.ts)):
            for position, key in enumerate(self.layout.keys):
                yield row, key if self.ids is None else key.at(self.ids[row]), self._cell(row, position)

    def spread(self) -> list[Block]:
        """The same for who knows nothing of `ids`: a block for each thing, with its own keys, over the same arrays."""
        if self.ids is None:
            return [self]
        rows_of: dict[str, list[int]] = {}
        for row, id_ in enumerate(self.ids):
            rows_of.setdefault(id_, []).append(row)
        return [self._only(id_, rows) for id_, rows in rows_of.items()]

    def _only(self, id_: str, rows: list[int]) -> Block:
        """The rows of one thing."""
        layout = self.layout.at(id_)
        run = slice(rows[0], rows[0] + len(rows))
        taken: slice | list[int] = run if rows[-1] - rows[0] == len(rows) - 1 else rows
        reasons = self.reasons
        if reasons:
            new = {row: at for at, row in enumerate(rows)}
            place = [layout.keys.position(key.at(id_)) for key in self.layout.keys]
            reasons = {(new[row], place[at]): why for (row, at), why in reasons.items() if row in new}
        masks = [None if mask is None or not mask[taken].any() else mask[taken] for mask in self.masks]
        parts = tuple([part[taken] for part in self.parts])
        return Block(layout, self.ts[taken], self.since[taken], parts, tuple(masks), reasons)

    def rows_of(self, ids: tuple[str, ...] | None) -> Block:
        """The same rows, each of one of these things."""
        if ids is self.ids:
            return self
        return Block(self.layout, self.ts, self.since, self.parts, self.masks, self.reasons, ids, sealed=True)

    def select(self, layout: Layout) -> Block:
        """The same rows with fewer keys, over the same arrays; `layout` is from `restrict` of this block's layout.

        Raises: ValueError, the layout addresses other parts.
        """
        if layout is self.layout:
            return self
        if layout.widths != self.layout.widths or layout.dtypes != self.layout.dtypes:
            raise ValueError(f"{layout!r} is no restriction of {self.layout!r}")
        reasons = self.reasons
        if reasons:
            reasons = dict(_moved(reasons, self.layout.keys, layout.keys))
        return Block(layout, self.ts, self.since, self.parts, self.masks, reasons, self.ids, sealed=True)

    def join(self, other: Block) -> Block:
        """The same rows with the keys of both blocks, over the arrays of both.

        Raises: ValueError, the rows are not of the same spans and things; KeyClash, a key is in both.
        """
        if not (_equal(self.ts, other.ts) and _equal(self.since, other.since) and self.ids == other.ids):
            raise ValueError(f"{self!r} and {other!r} do not cover the same spans")
        layout = self.layout.join(other.layout)
        reasons = self.reasons
        if reasons or other.reasons:
            reasons = dict(_moved(reasons, self.layout.keys, layout.keys))
            reasons.update(_moved(other.reasons, other.layout.keys, layout.keys))
        parts, masks = self.parts + other.parts, self.masks + other.masks
        return Block(layout, self.ts, self.since, parts, masks, reasons, self.ids, sealed=True)

    def verify(self) -> None:
        """Compare shapes, types and read-only flags with the layout; about 1 µs, whatever the number of rows.

        Raises: ValueError, with what does not agree.
        """
        flaw = self.flaw()
        if flaw is not None:
            raise ValueError(f"{flaw.name} of {self.layout!r}: {flaw.got}, not {flaw.wanted or 'read-only'}")

    def flaw(self, of: Block | None = None) -> Flaw | None:
        """The first of its arrays whose shape, type or read-only flag is not that of the layout; None where all are.

        Args: `of`, a block that was verified; times that are the same object as its are not verified again.
        """
        layout, ts, since, parts, masks = self.layout, self.ts, self.since, self.parts, self.masks
        rows = len(ts)
        if not len(parts) == len(masks) == len(layout.widths):
            return Flaw("parts", f"{len(parts)}, {len(masks)}", str(len(layout.widths)))
        if of is None or ts is not of.ts or since is not of.since:
            for name, array in (("ts", ts), ("since", since)):
                if array.shape != (rows,) or array.dtype != _INT64 or still_written(array):
                    return Flaw.of(name, array, _INT64, (rows,))
        dtypes, widths = layout.dtypes, layout.widths
        for place, part in enumerate(parts):
            dtype = _DTYPES[dtypes[place]]
            if part.dtype is not dtype and part.dtype != dtype:
                return Flaw.of("values", part, dtype, (rows, widths[place]), place)
            if part.shape != (rows, widths[place]) or still_written(part):
                return Flaw.of("values", part, dtype, (rows, widths[place]), place)
            mask = masks[place]
            if mask is not None and (mask.shape != part.shape or mask.dtype != _BOOL or still_written(mask)):
                return Flaw.of("masks", mask, _BOOL, part.shape, place)
        ids = self.ids
        if (ids is None) is layout.each or (ids is not None and len(ids) != rows):
            return Flaw("ids", "0" if ids is None else str(len(ids)), str(rows if layout.each else 0))
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        # Made anew: numpy forgets read-only flags.
        return Block, (self.layout, self.ts, self.since, self.parts, self.masks, dict(self.reasons), self.ids)

    def __repr__(self) -> str:
        return f"Block({len(self.ts)} rows of {self.layout!r})"


class Flaw(NamedTuple):
    """What is wrong with an array of a block: what there is and what there should be.

    `part` is the place of the matrix, where it is one; `wanted` is empty where somebody can still write to the array.
    """

    name: str
    got: str
    wanted: str
    part: int | None = None

    @classmethod
    def of(cls, name: str, array: Array, dtype: np.dtype[Any], shape: tuple[int, ...], part: int | None = None) -> Flaw:
        """That of an array, which should have this type and shape."""
        right = array.dtype == dtype and array.shape == shape
        return cls(name, f"{array.dtype}{list(array.shape)}", "" if right else f"{dtype}{list(shape)}", part)


class Batch(NamedTuple):
    """The blocks that flow through the chain together, with one clock anchor and a running number."""

    blocks: tuple[Block, ...]
    anchor: Anchor
    seq: int

    @property
    def rows(self) -> int:
        """How many rows all blocks have."""
        return sum(len(block.ts) for block in self.blocks)

    @property
    def points(self) -> int:
        """How many cells all blocks have, missing ones included."""
        return sum(len(block.ts) * len(block.layout.keys) for block in self.blocks)

    @property
    def nbytes(self) -> int:
        """About how much memory all blocks keep from being freed."""
        return sum([block.nbytes for block in self.blocks])

    def fork(self) -> Batch:
        """The batch for a second chain: itself, as nothing in it can change."""
        return self


def indexed(places: Iterable[Place]) -> list[tuple[int, Any]]:
    """Places of a layout as `Block.take` takes them fastest."""
    return [
        (part, columns if isinstance(columns, slice) else np.array(columns, dtype=np.intp)) for part, columns in places
    ]


def _places(layout: Layout, metric: str) -> Sequence[Place | tuple[int, Array]]:
    """The places of a metric, as numpy takes them fastest; once for each layout."""
    found: Sequence[Place | tuple[int, Array]] | None = layout.plans.get(("values", metric))
    if found is None:
        found = layout.plans["values", metric] = indexed(layout.place(metric))
    return found


def _take(matrix: Array, columns: slice | tuple[int, ...] | Array) -> Array:
    return matrix[:, columns] if isinstance(columns, slice) else read_only(matrix.take(columns, axis=1))


def _equal(times: Array, others: Array) -> bool:
    return times is others or np.array_equal(times, others)


def _moved(reasons: Mapping[tuple[int, int], str], old: KeySet, new: KeySet) -> Iterator[tuple[tuple[int, int], str]]:
    """The reasons of the keys that `new` has too, at their positions there."""
    for (row, position), reason in reasons.items():
        key = old[position]
        if key in new:
            yield (row, new.position(key)), reason
