"""The last good readings of series: what filters that look back count from.

Stands beside `counters`, which does the same for what a source reads by itself: here whole matrices are looked at, the
layout may change from block to block, and a series keeps its past wherever its column lies. Never reads a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from meter.core.arrays import DTYPES, Array
from meter.core.bind import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meter.core.batch import Block
    from meter.core.keys import Key
    from meter.core.layout import Layout

NEVER: Final = -(2**63)
"""The time of what has not happened."""

# Short-lived objects give new series for as long as meter runs; what is remembered is bounded.
REMEMBERED = 1 << 16
_PARTS_REMEMBERED = 64


class Table:
    """A line for each series, wherever its column lies from block to block. Filters that look back keep it.

    Of more than 65,536 series those with the least time in the last field are forgotten, and are new when they come
    back. `lines` is a structured array; `version` grows when lines have moved and places have to be asked for anew.

    Args: `fields` are names and types of the fields. Those of type int64 with a name in `times` are `NEVER` at first,
        everything else is 0; the last of them says what is forgotten.
    """

    __slots__ = ("_of", "_times", "lines", "version")

    def __init__(self, fields: Sequence[tuple[str, Any]], times: Sequence[str]) -> None:
        self._of: dict[str, int] = {}
        self._times: Final = tuple(times)
        self.lines: Array = np.zeros(0, list(fields))
        self.version = 0

    def __len__(self) -> int:
        return len(self._of)

    def places(self, keys: Sequence[Key]) -> Array:
        """The lines of some series; new ones have no past."""
        new = [key.name for key in keys if key.name not in self._of]
        if new:
            if len(self._of) + len(new) > max(REMEMBERED, 2 * len(keys)):
                self._forget({key.name for key in keys})
            size = len(self._of)
            self._of.update((name, size + at) for at, name in enumerate(new))
            fresh = np.zeros(len(new), self.lines.dtype)
            for name in self._times:
                fresh[name] = NEVER
            self.lines = np.concatenate([self.lines, fresh])
        return np.array([self._of[key.name] for key in keys], np.intp)

    def _forget(self, needed: set[str]) -> None:
        """Keep the series that are needed now, and the half with the latest times."""
        names = list(self._of)
        latest = np.argsort(self.lines[self._times[-1]])[-(REMEMBERED // 2) :]
        kept = sorted({*latest.tolist(), *(self._of[name] for name in needed if name in self._of)})
        self._of = {names[line]: at for at, line in enumerate(kept)}
        self.lines = self.lines[kept]
        self.version += 1


class Parts:
    """A selection that can be given in parts; those that it was given in are remembered."""

    __slots__ = ("_parts", "selection")

    def __init__(self, selection: Selection) -> None:
        self.selection: Final = selection
        self._parts: Final[dict[tuple[int, ...], Selection]] = {}

    def give(
        self,
        block: Block,
        values: Array,
        since: Array,
        missing: Array | None,
        reasons: Mapping[tuple[int, int], str],
    ) -> Iterator[Block]:
        """Blocks of what the selection gives: one for each group of columns that have the same spans.

        Nearly always that is one. Cells whose `since` is `NEVER` are in none.
        """
        if (since == since[:, :1]).all():
            groups = [tuple(range(since.shape[1]))]
        else:
            alike: dict[bytes, list[int]] = {}
            for column, spans in enumerate(since.T.copy()):
                alike.setdefault(spans.tobytes(), []).append(column)
            groups = [tuple(columns) for columns in alike.values()]
        for columns in groups:
            starts = since[:, columns[0]]
            whole = len(groups) == 1
            taken, gaps, told = values, missing, reasons
            if not whole:
                taken = values[:, columns]
                gaps = None if missing is None else missing[:, columns]
                place = {column: at for at, column in enumerate(columns)}
                told = {(row, place[column]): why for (row, column), why in reasons.items() if column in place}
            rows = (starts != NEVER).nonzero()[0]
            ts = block.ts
            if len(rows) < len(ts):
                if not len(rows):
                    continue
                taken, ts, starts = taken[rows], ts[rows], starts[rows]
                gaps = None if gaps is None else gaps[rows]
                order = {row: at for at, row in enumerate(rows.tolist())}
                told = {(order[row], column): why for (row, column), why in told.items() if row in order}
            selection = self.selection if whole else self._part(columns, block.layout)
            # The very array of the block where it says the same, so that both are seen to have the same rows.
            same = ts is block.ts and np.array_equal(starts, block.since)
            since_ = block.since if same else starts.copy()
            yield selection.give(taken, ts=ts, since=since_, missing=gaps, reasons=dict(told))

    def _part(self, columns: tuple[int, ...], layout: Layout) -> Selection:
        """The selection of some columns only."""
        found = self._parts.get(columns)
        if found is None:
            if len(self._parts) >= _PARTS_REMEMBERED:
                self._parts.clear()
            found = self._parts[columns] = narrow(self.selection, columns, layout)
        return found


class Steps(NamedTuple):
    """What came before each cell, [n, k] like the cells.

    `before` is the last good value before it, 0 where there is none. `since` is when that was read; for a missing cell
    the time of the row before. Where it is `NEVER` there is nothing to count from, and the cell gives nothing.
    """

    before: Array
    since: Array


class Track(Parts):
    """The past of the columns of one selection; made by `History.track`."""

    __slots__ = ("_keys", "_places", "_table", "_version")

    def __init__(self, selection: Selection, table: Table) -> None:
        super().__init__(selection)
        self._keys: Final = selection.inputs
        self._table: Final = table
        self._version = -1
        self._places: Array = np.zeros(0, np.intp)

    def step(self, block: Block, values: Array, missing: Array | None) -> Steps:
        """What each cell of a block is counted from; the last good ones are remembered for the next block.

        A missing cell keeps what was before it. A series that was not in the poll before, which is where the span of
        its row starts, is a new one: whatever it counted in between, or whether it is the same thing, is not known. A
        row whose span has no length says nothing of the poll before.

        Args: `values` [n, k] and `missing` bool[n, k] or None, one row for each of the block and one column for each
            of the selection's `inputs`; n is at least 1.
        """
        table = self._table
        if self._version != table.version:
            self._places = table.places(self._keys)
            self._version = table.version
        places, ts, start = self._places, block.ts, block.since
        lines = table.lines
        value, read, seen = lines["value"][places], lines["read"][places], lines["seen"][places]
        if start[0] < ts[0]:
            gone = seen < start[0]
            read[gone] = NEVER
            seen[gone] = NEVER
        cut = _cuts(ts, start)
        if missing is None and cut is None:
            lines["value"][places] = values[-1]
            lines["read"][places] = lines["seen"][places] = ts[-1]
            if len(ts) == 1:
                return Steps(value[None], read[None])
            since = np.empty(values.shape, np.int64)
            since[0] = read
            since[1:] = ts[:-1, None]
            return Steps(np.concatenate([value[None], values[:-1]]), since)
        return self._gaps(ts, values, missing, cut, (value, read, seen))

    def _gaps(
        self, ts: Array, values: Array, missing: Array | None, cut: Array | None, past: tuple[Array, Array, Array]
    ) -> Steps:
        """The same where cells or whole rows are missing."""
        value, read, seen = past
        row = np.arange(len(ts))[:, None]
        # The first row of each run without a cut; nothing before it counts.
        first = np.zeros_like(row) if cut is None else np.maximum.accumulate(np.where(cut, row[:, 0], 0))[:, None]
        good = np.broadcast_to(row, values.shape) if missing is None else np.where(missing, -1, row)
        last = np.maximum.accumulate(good, axis=0)
        prior = np.concatenate([np.full((1, values.shape[1]), -1), last[:-1]])
        inside = prior >= first
        earlier = first == 0
        before = np.where(
            inside, np.take_along_axis(values, prior.clip(0), axis=0), np.where(earlier, value, value.dtype.type(0))
        )
        since = np.where(inside, ts[prior.clip(0)], np.where(earlier, read, NEVER))
        if missing is not None:
            shown = np.empty(values.shape, np.int64)
            shown[0] = seen
            shown[1:] = np.where(row == first, NEVER, np.concatenate([ts[:1], ts[:-1]])[:, None])[1:]
            since = np.where(missing, shown, since)
        kept = last[-1] >= first[-1]
        outside = np.where(earlier[-1], read, NEVER)
        lines, places = self._table.lines, self._places
        lines["value"][places] = np.where(kept, values[last[-1].clip(0), np.arange(values.shape[1])], value)
        lines["read"][places] = np.where(kept, ts[last[-1].clip(0)], outside)
        lines["seen"][places] = ts[-1]
        return Steps(before, since)


class History:
    """The last good reading of each series that a filter has seen.

    Of more than 65,536 series, those that were not seen for the longest time are forgotten; each is a new one when it
    comes back, so that nothing wrong is counted.
    """

    __slots__ = ("_tables",)

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}

    def track(self, selection: Selection) -> Track:
        """The past of the columns of a selection."""
        type_ = selection.inputs[0].metric.type
        table = self._tables.get(type_)
        if table is None:
            fields = [("value", DTYPES[type_]), ("read", np.int64), ("seen", np.int64)]
            table = self._tables[type_] = Table(fields, ("read", "seen"))
        return Track(selection, table)


def rise(values: Array, before: Array) -> Array:
    """By how much values have grown: exact, in u64 for integers of any type; without meaning where they fell."""
    if values.dtype.kind == "f":
        return np.subtract(values, before)
    # Two's complement: the difference of two i64 that rose is right as a u64, even where it is no i64.
    return np.subtract(values.view(np.uint64), before.view(np.uint64))


def narrow(selection: Selection, columns: Sequence[int], layout: Layout) -> Selection:
    """A selection of some of the columns of another, on the layout that it was bound to."""
    inputs = [selection.inputs[column] for column in columns]
    return Selection(selection.place, selection.rule, layout, inputs, [selection.outputs[column] for column in columns])


def _cuts(ts: Array, start: Array) -> Array | None:
    """The rows, of those after the first, before which there was a poll without them; None where there is none."""
    if len(ts) == 1:
        return None
    cut = np.zeros(len(ts), bool)
    cut[1:] = (start[1:] > ts[:-1]) & (start[1:] < ts[1:])
    return cut if cut.any() else None
