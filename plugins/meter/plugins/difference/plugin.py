"""The filter `difference`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meter.core.history import NEVER, History, Track, rise
from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.arrays import Array
    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context


class Difference(Filter):
    """What each counter has counted since its last good reading.

    Gives `${metric}.delta` in the type and unit of the counter; integers are exact. The first reading of a series
    gives nothing, its time is the `since` of the next row. A missing cell stays missing, and the next good one spans
    both intervals. A counter that fell has wrapped once where `max` is known; else it was reset: this cell is missing,
    and the next one counts from here. A reading outside of 0 to `max` is missing and counts as unreadable.

    Block: the rows of the input, without those that give nothing; one block for each group of columns with equal spans.
    Source: tests/data/counters.json.
    """

    def start(self, context: Context) -> None:
        """Begin without a past."""
        del context
        self._history = History()

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The deltas of one block."""
        if not block.rows:
            return
        for selection in selections:
            if selection.state is None:
                selection.state = self._history.track(selection)
            yield from self._deltas(selection.state, block)

    def _deltas(self, track: Track, block: Block) -> Iterator[Block]:
        """The deltas of one selection."""
        values = track.selection.read(block)
        missing = track.selection.missing(block)
        reasons = track.selection.reasons(block)
        top = self.config["max"]
        if top:
            missing = _outside(values, missing, top, reasons)
        before, since = track.step(block, values, missing)
        deltas = rise(values, before)
        fell = (values < before) & (since != NEVER)
        if missing is not None:
            fell &= ~missing
        if values.dtype == np.int64:
            # What came out above the greatest i64 is negative here.
            deltas = deltas.view(np.int64)
            missing = _add(missing, (deltas < 0) & (values >= before), reasons, "the difference is too great for i64")
        if fell.any():
            if top:
                for row, column in np.argwhere(fell).tolist():
                    deltas[row, column] = top - before[row, column].item() + values[row, column].item() + 1
            else:
                missing = _add(missing, fell, reasons, "the counter went back")
        yield from track.give(block, deltas, since, missing, reasons)


def _outside(values: Array, missing: Array | None, top: int, reasons: dict[tuple[int, int], str]) -> Array | None:
    """What is missing when readings outside of 0 to `top` are."""
    outside = (values > top) | (values < 0)
    if not outside.any():
        return missing
    for row, column in np.argwhere(outside).tolist():
        reading = values[row, column].item()
        reasons[row, column] = f"the counter was {reading}, which is outside of 0 to {top}"
    return outside if missing is None else missing | outside


def _add(missing: Array | None, more: Array, reasons: dict[tuple[int, int], str], why: str) -> Array | None:
    """What is missing when more cells are, for one reason."""
    if not more.any():
        return missing
    for row, column in np.argwhere(more).tolist():
        reasons.setdefault((row, column), why)
    return more if missing is None else missing | more
