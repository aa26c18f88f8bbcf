"""Joining in time: what rows of one cadence say of the spans and instants of another.

Deltas are split by overlap: of a row that lies in two spans each gets the part that it covers. Gauges are interpolated
between two neighbours; before the first and behind the last reading there is no value, nothing is extrapolated.
Knows neither formulas nor layouts, and never reads a clock.

Nothing here depends on how rows came together in batches: a result is a sum over the rows of its own span, never a
difference of running totals, so that its last bit is the same wherever what is held begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from meter.core.arrays import Array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NONE: Final[Mapping[tuple[int, int], str]] = {}


class Rows(NamedTuple):
    """Rows of one input by the time of their end; `ts` and `since` int64[n], one column for each series.

    `values` f64[n, k] is 0 where nothing is. `there` bool[n, k] says which cells there are, `gaps` which of these are
    missing; None where all are there, or none is missing. `reasons` by row and column.
    """

    ts: Array
    since: Array
    values: Array
    there: Array | None = None
    gaps: Array | None = None
    reasons: Mapping[tuple[int, int], str] = _NONE


class Joined(NamedTuple):
    """What rows say of m other spans or instants: `values` f64[m, k], 0 where nothing is.

    `there` bool[m, k]: false where nothing is known, as the series has no reading there. `gaps` and `reasons` as in
    `Rows`.
    """

    values: Array
    there: Array
    gaps: Array | None = None
    reasons: Mapping[tuple[int, int], str] = _NONE


def split(rows: Rows, since: Array, ts: Array) -> Joined:
    """Deltas of rows for other spans, from `since` to `ts`, int64[m].

    Each row gives every span the part of its value that it overlaps it with; one without length goes whole to the span
    that it lies in, and at a border to the one that ends there. A span with a missing part is missing, unless a later
    row that ends in it too covers that part.
    """
    spans, own, weights = _overlaps(rows, since, ts)
    count, width = len(ts), rows.values.shape[1]
    values, there = np.zeros((count, width)), np.zeros((count, width), bool)
    if not len(spans):
        return Joined(values, there)
    starts = np.concatenate([[0], (np.diff(spans) != 0).nonzero()[0] + 1])
    found = spans[starts]
    parts = rows.values[own]
    whole = (weights == 1.0).all()
    values[found] = np.add.reduceat(parts if whole else parts * weights[:, None], starts, axis=0)
    if rows.there is None:
        there[found] = True
    else:
        there[found] = np.logical_or.reduceat(rows.there[own], starts, axis=0)
    if rows.gaps is None:
        return Joined(values, there)
    gaps = np.zeros((count, width), bool)
    reasons: dict[tuple[int, int], str] = {}
    for pair, column in np.argwhere(rows.gaps[own]).tolist():
        span, row = int(spans[pair]), int(own[pair])
        if _mended(rows, row, column, own[spans == span], int(ts[span])):
            continue
        gaps[span, column] = True
        if (why := rows.reasons.get((row, column))) is not None:
            reasons.setdefault((span, column), why)
    return Joined(np.where(gaps, 0.0, values), there, gaps if gaps.any() else None, reasons)


def _overlaps(rows: Rows, since: Array, ts: Array) -> tuple[Array, Array, Array]:
    """Each pair of a span and a row that overlap, by span, and which part of the row lies in the span."""
    instant = since == ts
    first = np.where(instant, np.searchsorted(rows.ts, since, "left"), np.searchsorted(rows.ts, since, "right"))
    # A row may begin before its predecessor does, where it makes up for a missing one.
    earliest = np.minimum.accumulate(rows.since[::-1])[::-1]
    behind = np.searchsorted(earliest, ts, "right")
    counts = np.maximum(behind - first, 0)
    spans = np.repeat(np.arange(len(ts)), counts)
    own = np.arange(len(spans)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    begin, end, lower, upper = rows.since[own], rows.ts[own], since[spans], ts[spans]
    overlap = np.minimum(end, upper) - np.maximum(begin, lower)
    length = end - begin
    inside = (length == 0) & (((lower < end) & (end <= upper)) | ((lower == end) & (upper == end)))
    kept = (overlap > 0) | inside
    weights = np.where(length == 0, 1.0, overlap / np.where(length == 0, 1, length))
    return spans[kept], own[kept], weights[kept]


def _mended(rows: Rows, gap: int, column: int, others: Array, end: int) -> bool:
    """Whether a good row of the same series covers a missing one, and ends in the same span."""
    assert rows.gaps is not None
    good = ~rows.gaps[others, column]
    if rows.there is not None:
        good &= rows.there[others, column]
    covers = (rows.since[others] <= rows.since[gap]) & (rows.ts[others] >= rows.ts[gap]) & (rows.ts[others] <= end)
    return bool((good & covers).any())


def interpolate(rows: Rows, ts: Array) -> Joined:
    """Gauges of rows at other instants, int64[m]: on the line between the readings before and after.

    Where there is a reading at the very instant it is the result. Between two readings of which one is missing nothing
    is known: the result is missing.
    """
    count, width = len(ts), rows.values.shape[1]
    values, there, gaps = np.zeros((count, width)), np.zeros((count, width), bool), np.zeros((count, width), bool)
    reasons: dict[tuple[int, int], str] = {}
    for lines, columns in _patterns(rows.there, width):
        times = rows.ts if lines is None else rows.ts[lines]
        if not len(times):
            continue
        after = np.searchsorted(times, ts, "left")
        inside = ((ts >= times[0]) & (after < len(times))).nonzero()[0]
        after = after[inside]
        exact = times[after] == ts[inside]
        before = np.where(exact, after, after - 1)
        low, high = (before, after) if lines is None else (lines[before], lines[after])
        # On seconds, as the difference of nanoseconds would round the weight in another way than others do.
        length = np.where(exact, 1, rows.ts[high] - rows.ts[low]) / 1e9
        weight = (((ts[inside] - rows.ts[low]) / 1e9) / length)[:, None]
        at = np.ix_(inside, columns)
        left, right = rows.values[np.ix_(low, columns)], rows.values[np.ix_(high, columns)]
        values[at] = np.where(exact[:, None], left, (1 - weight) * left + weight * right)
        there[at] = True
        if rows.gaps is not None:
            gaps[at] = rows.gaps[np.ix_(low, columns)] | rows.gaps[np.ix_(high, columns)]
            for row, column in np.argwhere(gaps[at]).tolist():
                cells = [(int(end[row]), int(columns[column])) for end in (low, high)]
                why = next((rows.reasons[cell] for cell in cells if cell in rows.reasons), None)
                if why is not None:
                    reasons[int(inside[row]), int(columns[column])] = why
    values[gaps] = 0.0
    return Joined(values, there, gaps if gaps.any() else None, reasons)


def _patterns(there: Array | None, width: int) -> Sequence[tuple[Array | None, Array]]:
    """Columns that have cells in the same rows, and these rows; None where it is all of them."""
    if there is None or there.all():
        return [(None, np.arange(width))]
    alike: dict[bytes, list[int]] = {}
    for column in range(width):
        alike.setdefault(there[:, column].tobytes(), []).append(column)
    return [(there[:, columns[0]].nonzero()[0], np.array(columns)) for columns in alike.values()]
