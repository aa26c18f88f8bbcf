"""The output `collect`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.plugin import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from meter.core.batch import Batch, Block
    from meter.core.keys import Key
    from meter.core.layout import Layout

HELD: Final = 64
"""So many batches wait before they are folded into the totals: a short measurement then pays for it when it is read."""
REASONS: Final = 16
"""So many reasons of a series are told: texts that name what comes and goes would be without end."""
_NEVER: Final = 2**63
"""Later than any time in monotonic nanoseconds."""


class Series(NamedTuple):
    """What one series came to over everything that was collected.

    `value` is what `statistic` says: the `sum` of a delta, the `difference` of a counter between its first and last
    good reading, the `mean` of a gauge, in which each value counts for as long as its row lasts. It is None where there
    is no such number; `reasons`, each once and in order, then say why, as far as it is known.

    `rows` counts all cells, `missing` those without a value. `span_s` is the time that `value` stands for, in seconds;
    it is `whole` where no time between the begin of the first cell and the end of the last one lacks, good or not: a
    later delta may cover a gap. `last`, `low` and `high` are of the good cells.
    """

    key: Key
    rows: int
    span_s: float
    whole: bool
    value: float | None
    statistic: str
    missing: int
    reasons: tuple[str, ...]
    last: float | None
    low: float | None
    high: float | None


class Collect(Output):
    """Keeps every batch in `batches` until it is taken out; with `keep = false` only what the series come to.

    Without `keep` its size is that of the series, however long it runs; `batches` then holds those that wait to be
    folded.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.batches: list[Batch] = []
        self._keep: Final[bool] = config["keep"]
        self._totals = _Totals()

    def write(self, batch: Batch) -> None:
        """Keep the batch, or what it adds to the totals."""
        self.batches.append(batch)
        if not self._keep and len(self.batches) >= HELD:
            self._fold()

    def table(self) -> list[Series]:
        """What each series came to, sorted by key; with `keep` over the batches that are still here."""
        if self._keep:
            totals = _Totals()
            totals.add(self.batches)
            return totals.table()
        self._fold()
        return self._totals.table()

    def _fold(self) -> None:
        batches, self.batches = self.batches, []
        self._totals.add(batches)


class _Totals:
    """What all series came to so far."""

    def __init__(self) -> None:
        self._columns: dict[Key, _Column] = {}

    def add(self, batches: Iterable[Batch]) -> None:
        """Fold batches in, in the order in which they came."""
        columns_of: dict[Layout, list[_Column]] = {}
        for batch in batches:
            for block in batch.blocks:
                columns = columns_of.get(block.layout)
                if columns is None:
                    columns = columns_of[block.layout] = [self._column(key) for key in block.layout.keys]
                _share_out(block, columns)
        for column in {id(column): column for columns in columns_of.values() for column in columns}.values():
            column.fold()

    def table(self) -> list[Series]:
        """What each series came to, sorted by key."""
        return [self._columns[key].series() for key in sorted(self._columns)]

    def _column(self, key: Key) -> _Column:
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = _Column(key)
        return column


def _share_out(block: Block, columns: list[_Column]) -> None:
    """Give each column the cells of its key."""
    ts, spans = block.ts.tolist(), (block.ts - block.since).tolist()
    matrices = [part.T.tolist() for part in block.parts]
    gaps = [None if mask is None or not mask.any() else mask.T.tolist() for mask in block.masks]
    for position, (column, (part, at)) in enumerate(zip(columns, block.layout.address, strict=True)):
        values, gap = matrices[part][at], gaps[part]
        if gap is None or True not in gap[at]:
            column.values += values
            column.ts += ts
            column.spans += spans
            continue
        for row, absent in enumerate(gap[at]):
            if absent:
                column.lacks(block.reasons.get((row, position), ""), ts[row], spans[row])
            else:
                column.values.append(values[row])
                column.ts.append(ts[row])
                column.spans.append(spans[row])


class _Sum:
    """A running sum: exact for integers, rounded once for floats."""

    __slots__ = ("_parts", "_whole")

    def __init__(self) -> None:
        self._whole = 0
        self._parts: list[float] = []
        """Floats that add up exactly to the sum so far: there are few, as each is less than the last digit of the one
        before it."""

    def add(self, values: list[Any]) -> None:
        """Add values of one type."""
        if not isinstance(values[0], float):
            self._whole += sum(values)
            return
        rest, parts = [*self._parts, *values], []
        try:
            while part := math.fsum(rest):
                parts.append(part)
                rest.append(-part)
        except (OverflowError, ValueError):  # beyond the greatest float, on one or both sides of 0
            parts = [math.inf]
        self._parts = parts

    def value(self, *, integer: bool) -> float:
        """The sum so far."""
        return self._whole if integer else math.fsum(self._parts)


class _Column:
    """The good cells of one series as far as its totals need them, and what is known of the others.

    `values`, `ts` and `spans` (lengths of rows in ns) wait to be folded.
    """

    __slots__ = (
        "_back",
        "_begin",
        "_count",
        "_end",
        "_first",
        "_high",
        "_last",
        "_low",
        "_missing",
        "_reasons",
        "_span",
        "_sum",
        "_weighted",
        "key",
        "spans",
        "ts",
        "values",
    )

    def __init__(self, key: Key) -> None:
        self.key = key
        self.values: list[Any] = []
        self.ts: list[int] = []
        self.spans: list[int] = []
        self._count = 0
        self._missing = 0
        self._reasons: dict[str, None] = {}
        self._first = self._last = (0, math.nan)
        """Time and value of a good reading."""
        self._low, self._high = math.inf, -math.inf
        self._begin, self._end = _NEVER, 0
        """The time of all cells, good or not."""
        self._back = False
        self._span = 0
        self._sum = _Sum()
        self._weighted = _Sum()

    def lacks(self, reason: str, ts: int, span: int) -> None:
        """Count a cell without a value, and the time that it would stand for."""
        self._missing += 1
        self._begin, self._end = min(self._begin, ts - span), max(self._end, ts)
        if reason and reason not in self._reasons:
            self._reasons[reason if len(self._reasons) < REASONS else "and others"] = None

    def fold(self) -> None:
        """Add the values that wait to the totals."""
        values, ts, spans = self.values, self.ts, self.spans
        if not values:
            return
        self.values, self.ts, self.spans = [], [], []
        kind = self.key.metric.kind
        if kind == "counter":
            back = any(now < before for before, now in pairwise((self._last[1], *values)))  # NaN is less than nothing
            self._back = self._back or back
        else:
            self._sum.add(values)
        if kind == "gauge":
            self._weighted.add([value * span for value, span in zip(values, spans, strict=True)])
        if not self._count:
            self._first = (ts[0], values[0])
        self._last = (ts[-1], values[-1])
        self._begin, self._end = min(self._begin, ts[0] - spans[0]), max(self._end, ts[-1])
        self._low, self._high = min(self._low, *values), max(self._high, *values)
        self._span += sum(spans)
        self._count += len(values)

    def series(self) -> Series:
        """What the series came to."""
        kind = self.key.metric.kind
        reasons = dict(self._reasons)
        value: float | None = None
        if kind == "counter":
            statistic, span = "difference", self._last[0] - self._first[0]
            if self._back:
                reasons["the counter went back"] = None
            elif self._count < 2:
                reasons["a difference needs two readings"] = None
            else:
                value = self._last[1] - self._first[1]
        else:
            statistic, span = ("sum" if kind == "delta" else "mean"), self._span
            if self._count:
                value = self._sum.value(integer=self._integer) if kind == "delta" else self._mean()
        if value is not None and not math.isfinite(value):
            value = None
            reasons["the result is too great for a float"] = None
        read = self._count > 0
        return Series(
            self.key,
            rows=self._count + self._missing,
            span_s=span / 1e9,
            whole=read and (not self._missing or span == self._end - self._begin),
            value=value,
            statistic=statistic,
            missing=self._missing,
            reasons=tuple(reasons),
            last=self._last[1] if read else None,
            low=self._low if read else None,
            high=self._high if read else None,
        )

    @property
    def _integer(self) -> bool:
        return self.key.metric.type != "f64"

    def _mean(self) -> float:
        """The weighted mean; the plain one where nothing has a weight."""
        total, weight = (self._weighted, self._span) if self._span else (self._sum, self._count)
        mean = total.value(integer=self._integer) / weight
        # Rounding must not carry it out of what was measured: the mean of equal values is that value.
        return min(max(mean, self._low), self._high) if math.isfinite(mean) else mean
