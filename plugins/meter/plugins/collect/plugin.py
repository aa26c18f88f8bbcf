"""The output `collect`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from meter.core.plugin import Missing, Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from meter.core.batch import Anchor, Batch, Block
    from meter.core.keys import Key


class Point(NamedTuple):
    """One cell: its span in monotonic nanoseconds, its series, its value, and what turns its times into wall time."""

    ts: int
    since: int
    key: Key
    value: float | Missing
    anchor: Anchor


class Series(NamedTuple):
    """What one series came to over everything that was collected.

    `value` is what `statistic` says: the `sum` of a delta, the `difference` of a counter between its first and last
    good reading, the `mean` of a gauge, in which each value counts for as long as its row lasts. It is None where there
    is no such number; `reasons`, each once and in order, then say why, as far as it is known.

    `rows` counts all cells, `missing` those without a value. `span_s` is the time that `value` stands for, in seconds.
    `last`, `low` and `high` are of the good cells.
    """

    key: Key
    rows: int
    span_s: float
    value: float | None
    statistic: str
    missing: int
    reasons: tuple[str, ...]
    last: float | None
    low: float | None
    high: float | None


class Collect(Output):
    """Keeps every batch in `batches`, until the process ends."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.batches: list[Batch] = []

    def write(self, batch: Batch) -> None:
        """Keep the batch."""
        self.batches.append(batch)

    def points(self) -> Iterator[Point]:
        """Every cell: batches as they came, rows in their order, series in the order of the keys."""
        for batch in self.batches:
            for block in batch.blocks:
                ts, since = block.ts.tolist(), block.since.tolist()
                for row, key, value in block.points():
                    yield Point(ts[row], since[row], key, value, batch.anchor)

    def table(self) -> list[Series]:
        """What each series came to, sorted by key."""
        columns: dict[Key, _Column] = {}
        for batch in self.batches:
            for block in batch.blocks:
                for position, key in enumerate(block.layout.keys):
                    column = columns.get(key)
                    if column is None:
                        column = columns[key] = _Column(key)
                    column.add(block, position)
        return [columns[key].series() for key in sorted(columns)]


class _Column:
    """The good cells of one series, and what is known of the others."""

    __slots__ = ("key", "missing", "reasons", "since", "ts", "values")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.values: list[float] = []
        self.ts: list[int] = []
        self.since: list[int] = []
        self.missing = 0
        self.reasons: dict[str, None] = {}

    def add(self, block: Block, position: int) -> None:
        """Take the cells of a block's key."""
        part, column = block.layout.address[position]
        values, ts, since = block.parts[part][:, column], block.ts, block.since
        mask = block.masks[part]
        if mask is not None and (gaps := mask[:, column]).any():
            good = ~gaps
            values, ts, since = values[good], ts[good], since[good]
            rows = gaps.nonzero()[0].tolist()
            self.missing += len(rows)
            told = (block.reasons.get((row, position), "") for row in rows)
            self.reasons.update(dict.fromkeys(reason for reason in told if reason))
        self.values += values.tolist()
        self.ts += ts.tolist()
        self.since += since.tolist()

    def series(self) -> Series:
        """What the series came to."""
        values, kind = self.values, self.key.metric.kind
        reasons = dict(self.reasons)
        value: float | None = None
        if kind == "counter":
            statistic, span = "difference", (self.ts[-1] - self.ts[0] if values else 0)
            if any(now < before for before, now in pairwise(values)):
                reasons["the counter went back"] = None
            elif len(values) < 2:
                reasons["a difference needs two readings"] = None
            else:
                value = values[-1] - values[0]
        else:
            spans = [ts - since for ts, since in zip(self.ts, self.since, strict=True)]
            span = sum(spans)
            statistic = "sum" if kind == "delta" else "mean"
            if values:
                value = _sum(values) if kind == "delta" else _mean(values, spans)
        if value is not None and not math.isfinite(value):
            value = None
            reasons["the result is too great for a float"] = None
        return Series(
            self.key,
            rows=len(values) + self.missing,
            span_s=span / 1e9,
            value=value,
            statistic=statistic,
            missing=self.missing,
            reasons=tuple(reasons),
            last=values[-1] if values else None,
            low=min(values) if values else None,
            high=max(values) if values else None,
        )


def _sum(values: list[float]) -> float:
    """The sum: exact for integers, rounded once for floats."""
    if not isinstance(values[0], float):
        return sum(values)
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # beyond the greatest float, on one or both sides of 0
        return math.inf


def _mean(values: list[float], weights: list[int]) -> float:
    """The weighted mean; the plain one where nothing has a weight."""
    if not any(weights):
        weights = [1] * len(values)
    mean = _sum([value * weight for value, weight in zip(values, weights, strict=True)]) / sum(weights)
    # Rounding must not carry it out of what was measured: the mean of equal values is that value.
    return min(max(mean, min(values)), max(values)) if math.isfinite(mean) else mean
