"""The filter `accumulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meter.core.arrays import DTYPES
from meter.core.history import NEVER, Table
from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.arrays import Array
    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context

_BELOW = "a counter cannot take a delta below 0"


class Accumulate(Filter):
    """What each delta has come to since its counter started.

    Gives `${metric}.total` in the type and unit of the delta: integers exact, floats by a compensated sum. A counter
    starts at 0 where the row of its first delta starts. A delta whose row starts where the last good one ended, or
    before, is added. One that starts later has a hole before it, in which the value was missing or the series away; one
    that the type has no room for has none to go on to: the counter starts again. It starts with 0 instead of the delta
    where that alone would not be less than the counter was, as readers know a new start by the fall.

    Block: the rows of the input. A missing delta, or one below 0, makes the cell missing, with its reason.
    Source: A. Neumaier, Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen, ZAMM 54, 1974; the
    error of each addition as in D. Knuth, The Art of Computer Programming 2, 4.2.2.
    """

    def start(self, context: Context) -> None:
        """Begin without counters."""
        del context
        self._counters: dict[str, _Counters] = {}

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The counters of one block."""
        if not block.rows:
            return
        for selection in selections:
            type_ = selection.inputs[0].metric.type
            counters = self._counters.get(type_)
            if counters is None:
                counters = self._counters[type_] = _Counters(type_)
            deltas, missing, reasons = selection.read(block), selection.missing(block), selection.reasons(block)
            below = deltas < 0
            if below.any():
                for row, column in np.argwhere(below).tolist():
                    reasons[row, column] = _BELOW
                missing = below if missing is None else missing | below
            if selection.state is None or selection.state[0] != counters.version:
                places = counters.places(selection.inputs)
                selection.state = (counters.version, places)
            totals = counters.add(selection.state[1], deltas, missing, block.ts, block.since)
            yield selection.give(totals, ts=block.ts, since=block.since, missing=missing, reasons=reasons)


class _Counters(Table):
    """A line for each series of a type: its sum, what rounding has taken from it, and until when it has counted."""

    def __init__(self, type_: str) -> None:
        dtype = DTYPES[type_]
        super().__init__([("total", dtype), ("error", np.float64), ("until", np.int64)], ("until",))
        self._floats = dtype.kind == "f"

    def add(self, places: Array, deltas: Array, missing: Array | None, ts: Array, since: Array) -> Array:
        """What some counters stand at after each row, [n, k] as the deltas; that of a missing cell is the one before.

        Args: `deltas` [n, k], none of them below 0 but for missing ones; `missing` bool[n, k] or None; `ts` and
            `since` int64[n].
        """
        lines = self.lines[places]
        begins = np.where(since < ts, since, NEVER)  # a row without length says nothing of what was before it
        totals = None
        if missing is None and not self._floats:
            totals = _in_one(lines, deltas, ts, begins)
        if totals is None:
            totals = _row_by_row(lines, deltas, missing, ts, begins)
        self.lines[places] = lines
        return totals


def _in_one(lines: Array, deltas: Array, ts: Array, begins: Array) -> Array | None:
    """The usual case of integers: nothing starts again; None where something does."""
    if (begins[0] > lines["until"]).any() or (begins[1:] > ts[:-1]).any():
        return None
    totals: Array = lines["total"] + np.cumsum(deltas, axis=0, dtype=deltas.dtype)
    if (totals[0] < lines["total"]).any() or (totals[1:] < totals[:-1]).any():  # it went beyond the type
        return None
    lines["total"], lines["until"] = totals[-1], ts[-1]
    return totals


def _row_by_row(lines: Array, deltas: Array, missing: Array | None, ts: Array, begins: Array) -> Array:
    """The definition."""
    total, error, until = lines["total"].copy(), lines["error"].copy(), lines["until"].copy()
    floats = total.dtype.kind == "f"
    totals = np.empty(deltas.shape, total.dtype)
    for row, delta in enumerate(deltas):
        was = total + error if floats else total
        after, rounded = total + delta, error
        if floats:
            more = after - total
            rounded = error + ((total - (after - more)) + (delta - more))
            full = ~np.isfinite(after + rounded)
        else:
            full = after < total
        again = full | (begins[row] > until)
        if again.any():
            unseen = (delta >= was) & (was > 0)
            after = np.where(again, np.where(unseen, total.dtype.type(0), delta), after)
            rounded = np.where(again, 0.0, rounded)
        if missing is None:
            total, error = after, rounded
            until[:] = ts[row]
        else:
            good = ~missing[row]
            total, error = np.where(good, after, total), np.where(good, rounded, error)
            until[good] = ts[row]
        totals[row] = total + error if floats else total
    lines["total"], lines["error"], lines["until"] = total, error, until
    return totals
