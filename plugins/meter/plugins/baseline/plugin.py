"""The filter `baseline`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.arrays import Array
    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context

_SECOND: Final = 1e9
_WITHIN: Final = "less than the baseline, by no more than its uncertainty"
_BELOW: Final = "less than the baseline by {:.6g} J"


class Baseline(Filter):
    """What is left of energy without the power of the idle machine, or how uncertain that power makes it.

    Gives `${metric}.active` (J, f64, delta): the energy of a row less the baseline times the length of the row. Where
    that is below 0 it is missing and says so, as a delta is not negative and a 0 would be an energy that nobody
    measured. With `of = "uncertainty"` gives `${metric}.active.uncertainty` (J, f64, delta): the uncertainty of the
    power times the length of the row, which adds up over rows, as the baseline is off by the same in all of them.

    Block: the rows of the input, f64. What is missing stays missing with its reason.
    """

    by_row = ("delta",)

    def start(self, context: Context) -> None:
        """Take the two powers, in watts."""
        del context
        self._power: float = self.config["power"]
        self._uncertainty: float = self.config["uncertainty"]
        self._of_energy: bool = self.config["of"] == "energy"

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """What is above the baseline in one block, or how uncertain it is."""
        if not block.rows:
            return
        seconds = ((block.ts - block.since) / _SECOND)[:, None]
        for selection in selections:
            yield self._active(selection, block, seconds) if self._of_energy else self._doubt(selection, block, seconds)

    def _active(self, selection: Selection, block: Block, seconds: Array) -> Block:
        """The energy above the baseline."""
        missing, reasons = selection.missing(block), selection.reasons(block)
        active = selection.read(block).astype(np.float64, copy=False) - self._power * seconds
        below = active < 0
        if missing is not None:
            below &= ~missing
        if below.any():
            for row, column in np.argwhere(below).tolist():
                lacking = -active[row, column]
                within = lacking <= self._uncertainty * seconds[row, 0]
                reasons[row, column] = _WITHIN if within else _BELOW.format(lacking)
            missing = below if missing is None else missing | below
        return selection.give(active, ts=block.ts, since=block.since, missing=missing, reasons=reasons)

    def _doubt(self, selection: Selection, block: Block, seconds: Array) -> Block:
        """The uncertainty of that energy; where there is no energy, there is none."""
        doubt = np.repeat(self._uncertainty * seconds, len(selection.inputs), axis=1)
        missing, reasons = selection.missing(block), selection.reasons(block)
        return selection.give(doubt, ts=block.ts, since=block.since, missing=missing, reasons=reasons)
