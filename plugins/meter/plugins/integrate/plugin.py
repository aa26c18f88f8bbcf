"""The filter `integrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meter.core.history import NEVER, History, Track
from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context

_SECOND = 1e9
_NO_LENGTH = "the span has no length"


class Integrate(Filter):
    """What power comes to over time, in joules.

    `readings = "instant"`: between two good readings the power is taken to change evenly (the trapezoidal rule), so a
    row spans the time from the last good reading; the first one gives nothing, and one that is missing is made up for
    by the next. `readings = "mean"`: a reading is the mean over the span of its row.

    Block: the rows of the input, f64; without those that give nothing, and one block for each group of columns with
    equal spans.
    """

    by_row = ()

    def start(self, context: Context) -> None:
        """Begin without a past."""
        del context
        self._history = History()

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The energy of one block."""
        if not block.rows:
            return
        for selection in selections:
            if self.config["readings"] == "mean":
                yield _of_means(selection, block)
                continue
            if selection.state is None:
                selection.state = self._history.track(selection)
            track: Track = selection.state
            values, missing, reasons = selection.read(block), selection.missing(block), selection.reasons(block)
            before, since = track.step(block, values, missing)
            seconds = np.where(since == NEVER, 0, block.ts[:, None] - since) / _SECOND
            # Halved first: the sum of two large powers is no float, their mean is.
            joules = (before / 2 + values / 2) * seconds
            yield from track.give(block, joules, since, missing, reasons)


def _of_means(selection: Selection, block: Block) -> Block:
    values, missing, reasons = selection.read(block), selection.missing(block), selection.reasons(block)
    spans = (block.ts - block.since)[:, None]
    joules = values * (spans / _SECOND)
    if not spans.all():
        none = np.broadcast_to(spans == 0, values.shape)
        for row, column in np.argwhere(none).tolist():
            reasons.setdefault((row, column), _NO_LENGTH)
        missing = none if missing is None else missing | none
    return selection.give(joules, ts=block.ts, since=block.since, missing=missing, reasons=reasons)
