"""Blocks and batches: timestamps and values of a layout, and what flows through the chain together.

A block is one layout, n rows and the layout's parts, which are read-only matrices. Blocks are handed on, selected and
joined without copying values; whoever changes values makes a new matrix. `build` turns the rows of sources into blocks.

Rows become blocks here and not in `readings`, because sources poll before numpy has been imported.
"""

from __future__ import annotations

import time
from math import isfinite, nan
from struct import Struct, pack
from struct import error as StructError  # noqa: N812  (a lower-case class)
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, SupportsIndex, overload

import numpy as np

from meter.core.layout import Layout
from meter.core.plugin import Missing
from meter.core.rows import CODES, Rows, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meter.core.keys import Key, KeySet
    from meter.core.layout import Place
    from meter.core.rows import Columns, Held, Row

Array = np.ndarray[Any, np.dtype[Any]]

_DTYPES = {"f64": np.dtype(np.float64), "i64": np.dtype(np.int64), "u64": np.dtype(np.uint64)}
DTYPES: Final[Mapping[str, np.dtype[Any]]] = MappingProxyType(_DTYPES)
"""How numpy calls the types of metrics."""

_INT64 = np.dtype(np.int64)
_BOOL = np.dtype(np.bool_)
_SUMMED: Final = 8192
_NO_REASONS: Mapping[tuple[int, int], str] = MappingProxyType({})

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
        reasons: Mapping[tuple[int, int], str] = _NO_REASONS,
        ids: tuple[str, ...] | None = None,
        *,
        sealed: bool = False,
    ) -> None:
        """Args: `sealed`, nobody can write to the arrays, since they are those of blocks or lie over bytes."""
        if masks is None:
            masks = (None,) * len(parts)
        if not sealed:
            # Times are most often those of another block.
            ts, since = ts if is_sealed(ts) else _sealed(ts), since if is_sealed(since) else _sealed(since)
            parts = tuple([_sealed(part) for part in parts])
            masks = tuple([mask if mask is None else _sealed(mask) for mask in masks])
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
            return _read_only(np.empty((len(self.ts), 0)))
        dtypes = {self.layout.dtypes[part] for part, _ in places}
        if len(dtypes) > 1:
            raise TypeError(f"{' and '.join(sorted(dtypes))} in one matrix")
        return _read_only(np.concatenate([_take(self.parts[part], columns) for part, columns in places], axis=1))

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
        return taken[0] if len(taken) == 1 else _read_only(np.concatenate(taken, axis=1))

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


def still_written(array: Array) -> bool:
    """Whether somebody can still write to what an array shows: through itself, or through what it is a view of."""
    base: object = array.base
    if type(base) is np.ndarray:  # the usual case
        return base.flags.writeable or array.flags.writeable
    if type(base) is bytes:  # as what is built of rows: nothing makes these writeable
        return False
    return array.flags.writeable or (base is not None and _still_written(base))


def _still_written(base: object) -> bool:
    """The same of what an array is a view of."""
    if isinstance(base, np.ndarray):
        return base.flags.writeable
    return isinstance(base, bytearray) or (isinstance(base, memoryview) and not base.readonly)


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
    return matrix[:, columns] if isinstance(columns, slice) else _read_only(matrix.take(columns, axis=1))


def is_sealed(array: Array) -> bool:
    """Whether an array is one of a block; `Block.flaw` looks closer."""
    return array.base is not None and not array.flags.writeable


def _sealed(array: Array) -> Array:
    """An array that nobody can make writeable: a view of a read-only one, as numpy would let what has no base.

    A view of what somebody else may write to is copied; its base must not become read-only.
    """
    base: object = array.base
    if base is None:
        array.setflags(False)  # type: ignore[call-arg]  # numpy takes it; by name it costs twice as much, at every hop
        return array.view()
    if type(base) is bytes or (isinstance(base, np.ndarray) and not (base.flags.writeable or array.flags.writeable)):
        return array
    if _still_written(base):
        return _sealed(array.copy())
    array.setflags(write=False)
    return array


def _read_only(array: Array) -> Array:
    array.setflags(write=False)
    return array


def finite(values: Array) -> bool:
    """Whether floats have neither NaN nor infinities among them.

    Not finite numbers outlive the sum of squares, which is one pass over the memory; where great numbers let it
    overflow, each is looked at. So it is with many: from 10,000 on OpenBLAS would wake threads for the sum.
    """
    if values.size > _SUMMED:
        return bool(np.isfinite(values).all())
    return isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def _equal(times: Array, others: Array) -> bool:
    return times is others or np.array_equal(times, others)


def _moved(reasons: Mapping[tuple[int, int], str], old: KeySet, new: KeySet) -> Iterator[tuple[tuple[int, int], str]]:
    """The reasons of the keys that `new` has too, at their positions there."""
    for (row, position), reason in reasons.items():
        key = old[position]
        if key in new:
            yield (row, new.position(key)), reason


def build(rows: Sequence[Row]) -> tuple[Block, ...]:
    """The blocks of rows that sources gave: one for each run of rows with the same columns object, in their order.

    In f64 columns None, `Missing`, NaN and infinities are missing cells; in integer columns None, `Missing` and the
    same floats. Integers keep all their bits. What the columns need is prepared once and kept in `columns.plan`.

    Raises: OverflowError, an integer is outside its column's type; TypeError, a value is no number, or a float for
        an integer column; ValueError, a key occurs twice at one time or in one row, or a row has not one value for
        each column. All name the key, the last one the first column.
    """
    blocks = []
    taken: dict[int, Layout | set[str]] = {}
    of_each: set[tuple[int, str, Layout]] = set()
    packed = rows if isinstance(rows, Rows) else Rows(rows)
    total = len(packed)
    for columns, held, ids in packed.runs():
        plan: _Plan | None = columns.plan
        if plan is None:
            plan = columns.plan = _Plan(columns)
        block = plan.block(held, ids)
        if total == 1:  # nobody is beside it
            pass
        elif block.ids is None:
            _claim(taken, block.ts.tolist(), block.layout)
        else:
            for ts, id_ in zip(block.ts.tolist(), ids, strict=True):
                if (ts, id_, block.layout) in of_each:
                    raise ValueError(f"{columns.keys[0].at(id_).name} occurs twice at {ts} ns")
                of_each.add((ts, id_, block.layout))
        blocks.append(block)
    return tuple(blocks)


class _Part(NamedTuple):
    """How one matrix is filled from the values of a row."""

    dtype: np.dtype[Any]
    sources: tuple[int, ...]
    """Which value of a row each column takes."""
    places: Array | slice
    """Where that is in what the columns have packed, behind the two times; a slice where steps are equal."""
    positions: tuple[int, ...]
    """Where the key of each column stands in the layout."""
    code: str
    """What `struct` calls the type."""


class _Plan:
    """How rows of some columns become a block."""

    __slots__ = ("columns", "layout", "parts")

    def __init__(self, columns: Columns) -> None:
        keys = columns.keys
        layout = Layout.of(keys)
        source = {key.name: index for index, key in enumerate(keys)}
        if len(source) != len(keys):
            twice = next(key for index, key in enumerate(keys) if source[key.name] != index)
            raise ValueError(f"{twice.name} occurs twice in one row")
        self.columns = columns
        self.layout = layout
        of_part: list[list[tuple[int, int]]] = [[] for _ in layout.dtypes]
        for position, (key, (part, _)) in enumerate(zip(layout.keys, layout.address, strict=True)):
            of_part[part].append((source[key.name], position))
        self.parts = tuple(map(_part, layout.dtypes, of_part))

    def block(self, held: Sequence[Held], ids: Sequence[str]) -> Block:
        """The block of rows that all have these columns."""
        of = tuple(ids) if self.columns.each else None
        try:
            packed = b"".join(held)  # type: ignore[arg-type]  # where one is no bytes, it says so
        except TypeError:
            return self._with_gaps(held, ids, of)
        count = len(held)
        flat = np.frombuffer(packed, _INT64)
        words = flat.reshape(count, -1)
        parts = []
        for part in self.parts:
            places = part.places
            # Over bytes, as nothing makes these writeable.
            if type(places) is not slice:
                matrix = np.frombuffer(words.take(places, axis=1).tobytes(), part.dtype)
            elif count > 1 or places.step > 1:
                matrix = np.frombuffer(words[:, places].tobytes(), part.dtype)
            else:
                matrix = np.frombuffer(packed, part.dtype, len(part.sources), 8 * places.start)
            matrix = matrix.reshape(count, -1)
            if part.code == "d" and not finite(matrix):
                return self._with_gaps(held, ids, of)
            parts.append(matrix)
        times = flat if count == 1 else np.frombuffer(words[:, :2].T.tobytes(), _INT64)
        return Block(self.layout, times[:count], times[count : 2 * count], tuple(parts), ids=of, sealed=True)

    def _with_gaps(self, held: Sequence[Held], ids: Sequence[str], of: tuple[str, ...] | None) -> Block:
        """The same where a cell is missing or wrong."""
        rows = [unpacked(self.columns, each, id_) for each, id_ in zip(held, ids, strict=True)]
        for row in rows:
            if len(row.values) != self.columns.width:
                names = ", ".join(key.name for key in self.columns.keys[:1])
                raise ValueError(f"{len(row.values)} values for {self.columns.width} columns from {names}")
        ts, since = np.array([[row.ts for row in rows], [row.since for row in rows]], _INT64)
        parts: list[Array] = []
        masks: list[Array | None] = []
        reasons: dict[tuple[int, int], str] = {}
        for part in self.parts:
            picked = [[row.values[source] for source in part.sources] for row in rows]
            matrix, gaps = self._floats(part, picked) if part.code == "d" else self._integers(part, picked)
            parts.append(matrix)
            found = False
            for row, column in zip(*[index.tolist() for index in gaps.nonzero()], strict=True):
                found = True
                value = picked[row][column]
                if isinstance(value, Missing) and value.reason:
                    reasons[row, part.positions[column]] = value.reason
            masks.append(gaps if found else None)
        return Block(self.layout, ts, since, tuple(parts), tuple(masks), reasons or _NO_REASONS, of)

    def _floats(self, part: _Part, picked: list[list[Any]]) -> tuple[Array, Array]:
        """A matrix of floats, and which of its cells are missing."""
        plain = [[nan if value is None or isinstance(value, Missing) else value for value in row] for row in picked]
        matrix = self._packed(part, plain)
        gaps = ~np.isfinite(matrix)
        return np.where(gaps, nan, matrix), gaps

    def _integers(self, part: _Part, picked: list[list[Any]]) -> tuple[Array, Array]:
        """A matrix of integers, and which of its cells are missing."""
        gaps = [[_is_gap(value) for value in values] for values in picked]
        filled = [
            [0 if gap else value for value, gap in zip(values, row, strict=True)]
            for values, row in zip(picked, gaps, strict=True)
        ]
        return self._packed(part, filled), np.array(gaps, dtype=bool)

    def _packed(self, part: _Part, filled: list[list[Any]]) -> Array:
        pack_row = Struct(f"{len(part.sources)}{part.code}").pack
        try:
            packed = b"".join([pack_row(*values) for values in filled])
        except (StructError, TypeError, OverflowError) as error:
            raise self._blame(part, filled) from error
        return np.frombuffer(packed, part.dtype).reshape(len(filled), -1)

    def _blame(self, part: _Part, filled: list[list[Any]]) -> Exception:
        """Which key's value cannot be packed, and why."""
        for values in filled:
            for value, position in zip(values, part.positions, strict=True):
                key = self.layout.keys[position]
                try:
                    pack(part.code, value)
                except (StructError, TypeError, OverflowError):
                    if isinstance(value, SupportsIndex):
                        return OverflowError(f"{key.name}: {value} is outside {key.metric.type}")
                    return TypeError(f"{key.name}: {value!r} is not {key.metric.type}")
        raise AssertionError(filled)


def _part(dtype: str, columns: Sequence[tuple[int, int]]) -> _Part:
    """How to fill the matrix whose columns take some values of a row."""
    sources = tuple(source for source, _ in columns)
    places = [source + 2 for source in sources]
    begin, step = places[0], max(1, places[1] - places[0]) if len(places) > 1 else 1
    run = slice(begin, begin + step * len(places), step)
    return _Part(
        DTYPES[dtype],
        sources,
        run if places == list(range(run.start, run.stop, step)) else np.array(places, dtype=np.intp),
        tuple(position for _, position in columns),
        CODES[dtype],
    )


def _is_gap(value: object) -> bool:
    return (
        value is None or isinstance(value, Missing) or (isinstance(value, float | np.floating) and not isfinite(value))
    )


def _claim(taken: dict[int, Layout | set[str]], times: Sequence[int], layout: Layout) -> None:
    """Note that keys have a row at each of some times.

    Raises: ValueError, one of them has one already.
    """
    free = dict.fromkeys(times, layout)
    if len(free) == len(times) and taken.keys().isdisjoint(free):
        taken.update(free)
        return
    for ts in times:
        have = taken.setdefault(ts, set())
        if not isinstance(have, set):
            have = taken[ts] = set(have.keys.names)
        for name in layout.keys.names:
            if name in have:
                raise ValueError(f"{name} occurs twice at {ts} ns")
        have.update(layout.keys.names)
