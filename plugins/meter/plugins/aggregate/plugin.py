"""The filter `aggregate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from meter.core.plugin import Filter
from meter.plugins.aggregate.windows import Grouping, Window, gathered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meter.core.arrays import Array
    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context
    from meter.plugins.aggregate.windows import Rows

# Blocks wait until there are some, as numpy adds up many rows for little more than one.
WAITING_BLOCKS: Final = 64
WAITING_CELLS: Final = 1 << 20

_NEVER: Final = 2**63 - 1


class Aggregate(Filter):
    """One value of several: of those in a window of time, of those of several series, or of both.

    Gives `${metric}.` with the function's name behind it: sum, min, max and last in the type of the input, mean and
    quantiles in f64. All cells of a window of all series that become one are pooled. A row that covers a span belongs
    to the window in which it ends, and one that ends at a border to the window before it; a row without length that
    lies at a border belongs to the window after it. A window is given when time has come to its end, and the last one
    at the end of the run. One without rows gives nothing.

    A sum covers exactly the rows that it holds and says so by its span; other results cover the window, as far as meter
    ran in it. A sum with a missing cell is missing, unless a later cell of the same window makes up for it; other
    results are of the cells that are there, and missing where none is. Integers are added exactly, and a sum that its
    type does not hold is missing. A row that is too late for its window goes into the oldest one that is open.

    Without windows each time is a window of its own: rows of several blocks that end at the same time are one.

    Block: windows, one row for each window and group of series with equal spans; else the rows of the input.
    Source: tests/data/windows.json.
    """

    def start(self, context: Context) -> None:
        """Begin without a past."""
        self._length: int = self.config["window"]
        # The time since the epoch of the monotonic time 0.
        self._offset = context.wall(0)
        self._waiting: list[tuple[Selection, Block]] = []
        self._cells = 0
        self._windows: dict[tuple[int, str], dict[int, Window]] = {}
        """By rule and type, then by number."""
        self._open = -_NEVER
        """The number of the oldest window that takes rows."""
        self._lowest = _NEVER
        """Where the oldest window begins that rows lie in, in monotonic time."""
        self._due = _NEVER
        """Where it ends."""
        self._begun = _NEVER
        """Where the first row begins."""
        self._seen = -_NEVER
        """The latest time that is known."""

    def run(self, selections: Sequence[Selection], block: Block) -> Iterable[Block]:
        """Keep the block for the watermark."""
        rows = block.rows
        if not rows:
            return ()
        for selection in selections:
            self._waiting.append((selection, block))
            self._cells += rows * len(selection.inputs)
        if self._length:
            first = _inside(block.ts[0], block.since[0]).item()
            if first < self._lowest:
                self._expect(first)
            if len(self._waiting) >= WAITING_BLOCKS or self._cells >= WAITING_CELLS:
                self._absorb()
        return ()

    def watermark(self, ts: int) -> Iterable[Block]:
        """Without windows the rows that came; else those windows whose end has come."""
        if not self._length:
            return self._rows() if self._waiting else ()
        if ts < self._due:
            return ()
        self._absorb()
        self._seen = max(self._seen, ts)
        self._open = max(self._open, (ts + self._offset) // self._length)
        return self._closed(self._open)

    def finish(self) -> Iterable[Block]:
        """What is there of windows that are not over."""
        if not self._length:
            return self._rows() if self._waiting else ()
        self._absorb()
        return self._closed(_NEVER)

    def _expect(self, ts: int) -> None:
        """Rows lie in windows from that of a time on: the end of that one is waited for."""
        number = max((ts + self._offset) // self._length, self._open)
        self._lowest = number * self._length - self._offset
        self._due = self._lowest + self._length

    def _taken(self) -> dict[Selection, Rows]:
        """The rows that waited."""
        blocks: dict[Selection, list[Block]] = {}
        for selection, block in self._waiting:
            blocks.setdefault(selection, []).append(block)
        self._waiting = []
        self._cells = 0
        return {selection: gathered(selection, each) for selection, each in blocks.items()}

    def _grouping(self, selection: Selection) -> Grouping:
        """How the columns of a selection go together."""
        if selection.state is None:
            selection.state = Grouping(selection, self.config["function"], self.config["quantile"])
        grouping: Grouping = selection.state
        return grouping

    # ----------------------------------------------------------------------------------------------------- windows

    def _absorb(self) -> None:
        """Put the rows that waited into their windows."""
        added: list[tuple[Window, Selection, Rows]] = []
        for selection, rows in self._taken().items():
            self._begun = min(self._begun, int(rows.since.min()))
            self._seen = max(self._seen, int(rows.ts[-1]))
            numbers = (_inside(rows.ts, rows.since) + self._offset) // self._length
            np.maximum(numbers, self._open, out=numbers)
            added += self._add(selection, rows, numbers)
        for window, selection, rows in added:
            window.mend(selection, rows)

    def _add(self, selection: Selection, rows: Rows, numbers: Array) -> list[tuple[Window, Selection, Rows]]:
        """Put rows into the windows that they have the numbers of; says which went where."""
        added = []
        grouping = self._grouping(selection)
        windows = self._windows.setdefault((selection.place, selection.inputs[0].metric.type), {})
        for number in sorted(set(numbers.tolist())):  # np.unique would import numpy.ma here: 10 ms
            window = windows.get(number)
            if window is None:
                window = windows[number] = Window(grouping.function)
            some = rows.some(numbers == number)
            window.add(selection, grouping, some)
            added.append((window, selection, some))
        return added

    def _closed(self, end: int) -> Iterator[Block]:
        """Give the windows before a number, and forget them."""
        for _, windows in sorted(self._windows.items()):
            for number in sorted(windows):
                if number < end:
                    begin = number * self._length - self._offset
                    whole = (max(begin, self._begun), min(begin + self._length, self._seen))
                    span = None if self.config["function"] == "sum" else whole
                    yield from windows.pop(number).give(span)
        left = [number for windows in self._windows.values() for number in windows]
        self._lowest = self._due = _NEVER
        if left:
            self._lowest = min(left) * self._length - self._offset
            self._due = self._lowest + self._length

    # -------------------------------------------------------------------------------------------------------- rows

    def _rows(self) -> Iterator[Block]:
        """The results of rows that waited; those that end at the same time and go into the same series are one."""
        taken = self._taken()
        kinds: dict[tuple[int, str], list[Selection]] = {}
        for selection in taken:
            kinds.setdefault((selection.place, selection.inputs[0].metric.type), []).append(selection)
        for _, selections in sorted(kinds.items()):
            if _apart([(selection, taken[selection]) for selection in selections]):
                for selection in selections:
                    yield self._direct(selection, taken[selection])
                continue
            for selection in selections:
                self._add(selection, taken[selection], taken[selection].ts)
            for windows in self._windows.values():
                for ts in sorted(windows):
                    yield from windows.pop(ts).give(None)

    def _direct(self, selection: Selection, rows: Rows) -> Block:
        """The results of rows that meet no others."""
        grouping = self._grouping(selection)
        function = grouping.function
        found = function.result(function.reduce(grouping.apart(rows)))
        missing, reasons = grouping.missing(found, rows)
        return selection.give(found.values, ts=rows.ts, since=rows.since, missing=missing, reasons=reasons)


def _inside(ts: Array, since: Array) -> Array:
    """A time in the window that each row belongs to: what covers a span and ends at a border lies before it."""
    inside: Array = ts - (since < ts)
    return inside


def _apart(taken: Sequence[tuple[Selection, Rows]]) -> bool:
    """Whether no two selections give the same series at the same time."""
    for at, (selection, rows) in enumerate(taken):
        for other, others in taken[:at]:
            if not set(rows.ts.tolist()).isdisjoint(others.ts.tolist()):
                names = {key.name for key in other.outputs}
                if any(key.name in names for key in selection.outputs):
                    return False
    return True
