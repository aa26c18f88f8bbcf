"""Building: the rows of sources become blocks.

Here and not in `readings` or `rows`, because sources poll before numpy has been imported. A block lies over the very
bytes in which its rows have waited; only where a cell is missing or wrong they are unpacked and looked at one by one.
"""

from __future__ import annotations

from math import isfinite, nan
from struct import Struct, pack
from struct import error as StructError  # noqa: N812  (a lower-case class)
from typing import TYPE_CHECKING, Any, Final, NamedTuple, SupportsIndex

import numpy as np

from meter.core.arrays import DTYPES, finite
from meter.core.batch import NO_REASONS, Block
from meter.core.layout import Layout
from meter.core.quantity import Missing
from meter.core.rows import CODES, Rows, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.core.arrays import Array
    from meter.core.rows import Columns, Held, Row

_INT64: Final = DTYPES["i64"]


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
        return Block(self.layout, ts, since, tuple(parts), tuple(masks), reasons or NO_REASONS, of)

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
