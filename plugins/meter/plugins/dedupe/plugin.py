"""The postfilter `dedupe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meter.core.arrays import DTYPES
from meter.core.history import NEVER, Parts, Table
from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.arrays import Array
    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context


class Dedupe(Filter):
    """The gauges without the values that equal the one given before.

    A value is given where the series is new or was away, where it differs from the value before, where that was missing
    or this one is, and where the next row, if it is as long as this one, would end more than `every` after the last one
    given. Equal is what compares equal: -0.0 is 0.0, and one missing cell equals another, whatever the reasons.

    Block: the rows in which something is given, their spans unchanged; one block for each group of series that are
    given in the same rows.
    """

    def start(self, context: Context) -> None:
        """Begin without a past."""
        del context
        self._given: dict[str, _Given] = {}

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """What of a block is given."""
        if not block.rows:
            return
        for selection in selections:
            type_ = selection.inputs[0].metric.type
            given = self._given.get(type_)
            if given is None:
                given = self._given[type_] = _Given(type_)
            known: _Known | None = selection.state
            if known is None or known.version != given.version:
                parts = Parts(selection) if known is None else known.parts
                known = selection.state = _Known(given.version, given.places(selection.inputs), parts)
            values, missing, reasons = selection.read(block), selection.missing(block), selection.reasons(block)
            shown = given.step(known.places, values, missing, block.ts, block.since, self.config["every"])
            yield from known.parts.give(block, values, np.where(shown, block.since[:, None], NEVER), missing, reasons)


class _Known(NamedTuple):
    """What belongs to a selection: the lines of its series, and what splits its columns into blocks."""

    version: int
    places: Array
    parts: Parts


class _Given(Table):
    """A line for each series of a type: its last cell, when a cell was last given, when the series was last seen."""

    def __init__(self, type_: str) -> None:
        fields = [("value", DTYPES[type_]), ("gap", np.bool_), ("given", np.int64), ("seen", np.int64)]
        super().__init__(fields, ("given", "seen"))

    def step(self, places: Array, values: Array, missing: Array | None, ts: Array, since: Array, every: int) -> Array:
        """Which cells are given, bool[n, k]; the last ones are remembered."""
        lines = self.lines[places]
        gaps = np.zeros(values.shape, np.bool_) if missing is None else missing
        earlier = np.concatenate([lines["value"][None], values[:-1]])
        gap_earlier = np.concatenate([lines["gap"][None], gaps[:-1]])
        shown: Array = ((values != earlier) & ~gaps) | (gaps != gap_earlier)
        begins = np.where(since < ts, since, NEVER)  # a row without length says nothing of the poll before
        shown[0] |= (lines["seen"] == NEVER) | (begins[0] > lines["seen"])
        shown[1:] |= (begins[1:] > ts[:-1])[:, None]
        given = lines["given"]
        for row, following in enumerate((2 * ts - since).tolist()):
            shown[row] |= given < following - every
            given[shown[row]] = ts[row]
        lines["value"], lines["gap"], lines["seen"] = values[-1], gaps[-1], ts[-1]
        self.lines[places] = lines
        return shown
