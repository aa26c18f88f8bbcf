"""The latest value of every series, and how it looks as a table or as lines. Never reads a clock."""

from __future__ import annotations

import math
from itertools import groupby
from threading import Lock
from time import gmtime, strftime
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.keys import entity_text
from meter.core.shown import columns, cut, quantity, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.core.batch import Anchor, Batch, Block
    from meter.core.keys import Entity, Key
    from meter.core.layout import Layout

SECOND: Final = 1_000_000_000
PATIENCE_NS: Final = 2 * SECOND
"""How long beyond three of its spans a series may be silent before it counts as ended."""
FAREWELL_NS: Final = 10 * SECOND
"""How long a series that has ended is still shown."""

# Blocks are only read when something is drawn; more of them than this are read at once, so that memory is bounded.
_UNREAD: Final = 64
_NARROWEST: Final = 4

BOLD: Final = "1"
DIM: Final = "2"


class Cell(NamedTuple):
    """The latest value of a series, None where it is missing; its span, and until when the next one may take."""

    key: Key
    value: float | None
    reason: str
    ts: int
    since: int
    anchor: Anchor
    until: int


class Latest:
    """The latest cell of every series. `add` costs next to nothing; `read` is where the work is.

    A series that was silent for three of its spans and two seconds has ended; ten seconds later it is forgotten. What
    counts is the time of the polls.

    What comes less than half an interval after a whole row, as the last poll does at the end of a run, does not take
    its place: what a millisecond brought says little.
    """

    def __init__(self) -> None:
        self.newest = 0
        """The time of the newest row, in monotonic nanoseconds."""
        self._lock: Final = Lock()
        self._unread: dict[Layout, tuple[Block, int, Anchor]] = {}
        self._cells: dict[str, Cell] = {}
        self._fresh: set[str] = set()
        self._order: list[str] | None = None
        self._anchor: Anchor | None = None

    def add(self, batch: Batch) -> None:
        """Take a batch; of each set of series the last block counts."""
        with self._lock:
            self._anchor = batch.anchor
            for block in batch.blocks:
                if block.rows:
                    self._keep(block, batch.anchor)
                    self.newest = max(self.newest, int(block.ts[-1]))
            if len(self._unread) > _UNREAD:
                self._read()

    def _keep(self, block: Block, anchor: Anchor) -> None:
        """Of a block the last row, or the one before where that is whole and the last one is not, is to be read."""
        interval = block.layout.keys[0].metric.interval
        row = block.rows - 1
        if row and _early(int(block.ts[row]), int(block.since[row - 1]), int(block.ts[row - 1]), interval):
            row -= 1
        before = self._unread.get(block.layout)
        if before is not None:
            earlier, at, _ = before
            if _early(int(block.ts[row]), int(earlier.since[at]), int(earlier.ts[at]), interval):
                return
        self._unread[block.layout] = block, row, anchor

    def read(self) -> list[Cell]:
        """The latest cells, sorted by key."""
        with self._lock:
            self._read()
            if self._order is None:
                self._order = sorted(self._cells, key=lambda name: self._cells[name].key.parts)
            return [self._cells[name] for name in self._order]

    def take(self) -> list[Cell]:
        """The cells that are new since the last call, sorted by time and key."""
        with self._lock:
            self._read()
            cells = [self._cells[name] for name in self._fresh if name in self._cells]
            self._fresh.clear()
        return sorted(cells, key=lambda cell: (cell.ts, cell.key))

    @property
    def time(self) -> str:
        """The time of the newest row: hours, minutes and seconds in UTC; empty before the first one."""
        return "" if self._anchor is None else strftime("%H:%M:%SZ", gmtime(self._anchor.wall(self.newest) // SECOND))

    def _read(self) -> None:
        for block, row, anchor in self._unread.values():
            for cell in _cells(block, row, anchor):
                before = self._cells.get(cell.key.name)
                if before is None:
                    self._order = None
                elif before.ts > cell.ts or (
                    before.value is not None and _early(cell.ts, before.since, before.ts, cell.key.metric.interval)
                ):
                    continue
                self._cells[cell.key.name] = cell
                self._fresh.add(cell.key.name)
        self._unread.clear()
        forgotten = [name for name, cell in self._cells.items() if self.newest > cell.until + FAREWELL_NS]
        for name in forgotten:
            del self._cells[name]
            self._fresh.discard(name)
            self._order = None


def _early(ts: int, since_before: int, ts_before: int, interval: int) -> bool:
    """Whether a row is but a piece: it ends less than half an interval after one that is longer than that."""
    return 0 < ts - ts_before < min(interval, ts_before - since_before) / 2


def _cells(block: Block, row: int, anchor: Anchor) -> list[Cell]:
    layout = block.layout
    ts = int(block.ts[row])
    since = int(block.since[row])
    values = [part[row].tolist() for part in block.parts]
    gaps = [None if mask is None else mask[row].tolist() for mask in block.masks]
    cells = []
    for position, (key, (part, column)) in enumerate(zip(layout.keys, layout.address, strict=True)):
        value = values[part][column]
        mask = gaps[part]
        missing = (mask is not None and mask[column]) or not math.isfinite(value)
        until = ts + 3 * max(ts - since, key.metric.interval) + PATIENCE_NS
        reason = block.reasons.get((row, position), "") if missing else ""
        cells.append(Cell(key, None if missing else value, reason, ts, since, anchor, until))
    return cells


# -------------------------------------------------------------------------------------------------------------- texts


def series(key: Key) -> str:
    """What a series is of, without its metric: `cpu_core/3 cpu.mode=user`, `machine`, `cpu_package/0 for process/7`."""
    return " ".join([*_of(key), *_attributes(key).values()])


def _of(key: Key) -> list[str]:
    """The resource, and the consumer where that is not the machine."""
    resource, consumer = _entity(key.resource), _entity(key.consumer)
    return [resource] if consumer == "machine" else [resource, f"for {consumer}"]


def _attributes(key: Key, *, short: bool = False) -> dict[tuple[str, str], str]:
    """The texts of the attributes.

    Args: short, they are called by the last word of their names, `mode=user`, where that tells them apart.
    """
    names = [name for name, _ in key.attributes]
    last = [name.rpartition(".")[2] for name in names]
    if short and len(set(last)) == len(last):
        names = last
    return {pair: f"{visible(name)}={visible(pair[1])}" for name, pair in zip(names, key.attributes, strict=True)}


def _common(cells: Sequence[Cell]) -> set[tuple[str, str]]:
    """The attributes that all of several series have with the same value; none of a single one."""
    if len(cells) < 2:
        return set()
    common = set(cells[0].key.attributes)
    for cell in cells:
        if not common:
            break
        common.intersection_update(cell.key.attributes)
    return common


def _telling(rows: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Of the metric and the words of each row the words that not all rows of the metric have, `…` for others.

    All of them, where these have the same ones.
    """
    shared: dict[str, set[str]] = {}
    for metric, words in rows:
        shared.setdefault(metric, set(words)).intersection_update(words)
    found = []
    for metric, words in rows:
        if shared[metric].issuperset(words):
            found.append(" ".join(words))
            continue
        runs = groupby(words, shared[metric].__contains__)
        found.append(" ".join("…" if same else " ".join(run) for same, run in runs))
    return found


def _entity(entity: Entity) -> str:
    return visible(entity_text(entity))


def value(cell: Cell) -> str:
    """A value with its unit, of a delta also the time in which it came; or that it is missing, and why."""
    if cell.value is None:
        return f"missing ({visible(cell.reason)})" if cell.reason else "missing"
    text = quantity(cell.value, cell.key.metric.unit)
    return f"{text} in {quantity((cell.ts - cell.since) / SECOND, 's')}" if cell.key.metric.kind == "delta" else text


def lines(cells: Sequence[Cell], most: int) -> str:
    """A line for each cell, each of them complete: time, metric, series and value, in columns two blanks apart.

    Args: most, how many cells there are lines for, 0 for all; a last line says how many there are besides.
    """
    shown = cells[:most] if most else cells
    rows = [(_time(cell), visible(cell.key.metric.name), series(cell.key), value(cell)) for cell in shown]
    metric, of = (max((columns(row[place]) for row in rows), default=0) for place in (1, 2))
    text = "".join(
        f"{time}  {_padded(name, metric)}  {_padded(whose, of)}  {said}\n" for time, name, whose, said in rows
    )
    more = len(cells) - len(shown)
    return text + (f"{_time(cells[0])}  and {more} more series\n" if more else "")


def _time(cell: Cell) -> str:
    """The time of a cell: RFC 3339, UTC, milliseconds."""
    second, rest = divmod(cell.anchor.wall(cell.ts), SECOND)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(second))}.{rest // 1_000_000:03}Z"


class Table:
    """A table of the latest cells that fits a place on a terminal.

    Args: most, how many series are shown where there is room for more, 0 for any number; colour, whether headers are
        bold and what has ended is dim.
    """

    def __init__(self, latest: Latest, most: int, *, colour: bool) -> None:
        self.latest: Final = latest
        self._most: Final = most
        self._colour: Final = colour

    def frame(self, width: int, height: int) -> list[str]:
        """At most `height` lines of at most `width` columns: headers, one line for each series, how many there are.

        The last line has how many series are not shown, and the attributes that all of them share. No lines where there
        is nothing yet, or no room.
        """
        cells = self.latest.read()
        if not cells or height < 1:
            return []
        room = max(0, height - 2)
        shown = cells[: min(room, self._most) if self._most else room]
        said = f"{len(shown)} of {len(cells)} series shown" if len(shown) < len(cells) else f"{len(cells)} series"
        common = _common(cells)
        if common:
            shared = [text for pair, text in _attributes(cells[0].key).items() if pair in common]
            said = f"{said}, all {' '.join(shared)}"
        foot = self._painted(_left(f"{self.latest.time}  {said}", width), DIM)
        if height == 1:
            return [foot]
        return [*self._body(shown, common, width), foot]

    def _body(self, cells: Sequence[Cell], common: set[tuple[str, str]], width: int) -> list[str]:
        newest = self.latest.newest
        rows = [("metric", ["series"], "value")]
        for cell in cells:
            said = value(cell)
            told = [text for pair, text in _attributes(cell.key, short=True).items() if pair not in common]
            rows.append(
                (
                    visible(cell.key.metric.name),
                    [*_of(cell.key), *told],
                    f"ended, {said}" if newest > cell.until else said,
                )
            )
        names, values = [name for name, _, _ in rows], [said for _, _, said in rows]
        texts = [" ".join(words) for _, words, _ in rows]
        widths = _fitted((names, texts, values), width - 4)
        if any(columns(text) > widths[1] for text in texts):
            telling = _telling([(name, words) for name, words, _ in rows])
            texts = [part if columns(text) > widths[1] else text for text, part in zip(texts, telling, strict=True)]
            widths = _fitted((names, texts, values), width - 4)
        styles = [BOLD, *(DIM if newest > cell.until else "" for cell in cells)]
        return [
            self._painted(
                _left(
                    f"{_padded(_right(name, widths[0]), widths[0])}  {_padded(_right(whose, widths[1]), widths[1])}  "
                    f"{_padded(_left(said, widths[2]), -widths[2])}",
                    width,
                ).rstrip(),
                style,
            )
            for name, whose, said, style in zip(names, texts, values, styles, strict=True)
        ]

    def _painted(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour and style else text


def _fitted(table: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of metric, series and value: the value gives way beyond half of the room, then the wider of the others."""
    metric, of, said = (max(map(columns, texts)) for texts in table)
    said = min(said, max(2 * _NARROWEST, room // 2, room - metric - of))
    over = metric + of + said - room
    if over > 0:
        # Both are cut down to the same width, but not one that is narrower than that.
        level = max(_NARROWEST, (metric + of - over) // 2)
        if metric <= level:
            of = max(_NARROWEST, of - over)
        elif of <= level:
            metric = max(_NARROWEST, metric - over)
        else:
            metric, of = level, max(_NARROWEST, metric + of - over - level)
    return [metric, of, said]


def _padded(text: str, width: int) -> str:
    """A text with blanks up to a width, behind it or, of a negative one, before it."""
    blanks = " " * (abs(width) - columns(text))
    return text + blanks if width > 0 else blanks + text


def _left(text: str, width: int) -> str:
    """A text of which the end is left out where it is too wide."""
    return text if columns(text) <= width else cut(text, 0, max(0, width - 1)) + "…"


def _right(text: str, width: int) -> str:
    """A text of which the beginning is left out where it is too wide: names differ at their ends."""
    wide = columns(text)
    return text if wide <= width else "…" + cut(text, wide - width + 1, wide)
