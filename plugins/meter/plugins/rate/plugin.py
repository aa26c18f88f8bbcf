"""The filter `rate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meter.core.history import NEVER, History, Track, narrow, rise
from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.arrays import Array
    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context

_SECOND = 1e9
_NO_LENGTH = "the span has no length"


class Rate(Filter):
    """What deltas and counters come to per second of the span that they stand for.

    Gives `${metric}.rate` in `${unit}/s`. A delta is divided by the length of its row; a row without length is missing.
    A counter is compared with its last good reading, which is the start of the span: the first one gives nothing, one
    that fell is missing and the next one counts from there, and a missing one is made up for by the next.

    Block: the rows of the input, f64; for counters without those that give nothing, and one block for each group of
    columns with equal spans.
    """

    by_row = ("delta",)

    def start(self, context: Context) -> None:
        """Begin without a past."""
        del context
        self._history = History()

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The rates of one block."""
        if not block.rows:
            return
        for selection in selections:
            if selection.state is None:
                selection.state = self._split(selection, block)
            kinds: _Kinds = selection.state
            if kinds.deltas is not None:
                yield _of_deltas(kinds.deltas, block)
            if kinds.counters is not None:
                yield from _of_counters(kinds.counters, block)

    def _split(self, selection: Selection, block: Block) -> _Kinds:
        """The columns of a selection by kind."""
        counts = [key.metric.kind == "counter" for key in selection.inputs]
        if not any(counts):
            return _Kinds(selection, None)
        if all(counts):
            return _Kinds(None, self._history.track(selection))
        deltas = [column for column, counter in enumerate(counts) if not counter]
        counters = [column for column, counter in enumerate(counts) if counter]
        return _Kinds(
            narrow(selection, deltas, block.layout),
            self._history.track(narrow(selection, counters, block.layout)),
        )


class _Kinds(NamedTuple):
    """A selection by kind; None where it has none of a kind."""

    deltas: Selection | None
    counters: Track | None


def _of_deltas(selection: Selection, block: Block) -> Block:
    values, missing, reasons = selection.read(block), selection.missing(block), selection.reasons(block)
    rates, missing = _divided(values, (block.ts - block.since)[:, None], missing, reasons)
    return selection.give(rates, ts=block.ts, since=block.since, missing=missing, reasons=reasons)


def _of_counters(track: Track, block: Block) -> Iterator[Block]:
    selection = track.selection
    values, missing, reasons = selection.read(block), selection.missing(block), selection.reasons(block)
    before, since = track.step(block, values, missing)
    known = since != NEVER
    fell = (values < before) & known
    if missing is not None:
        fell &= ~missing
    if fell.any():
        for row, column in np.argwhere(fell).tolist():
            reasons[row, column] = "the counter went back"
        missing = fell if missing is None else missing | fell
    spans = np.where(known, block.ts[:, None] - np.where(known, since, 0), 1)
    rates, missing = _divided(rise(values, before), spans, missing, reasons)
    yield from track.give(block, rates, since, missing, reasons)


def _divided(
    values: Array, spans: Array, missing: Array | None, reasons: dict[tuple[int, int], str]
) -> tuple[Array, Array | None]:
    """Values per second, f64[n, k], and what is missing; `spans` int64 in nanoseconds, [n, k] or [n, 1]."""
    if spans.all():
        # In this order integers of up to 9 million are rounded once.
        return values * _SECOND / spans, missing
    none = np.broadcast_to(spans == 0, values.shape)
    for row, column in np.argwhere(none).tolist():
        reasons.setdefault((row, column), _NO_LENGTH)
    missing = none if missing is None else missing | none
    return _divided(values, np.where(spans == 0, 1, spans), missing, reasons)
