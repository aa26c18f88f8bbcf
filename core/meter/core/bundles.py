"""Bundles: series of a formula's result whose operands come from the same instances, and are computed together.

Stands between `computing`, which holds rows and knows when they are complete, and `joining`, which knows times only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meter.core.arithmetic import PART, Program, because
from meter.core.arrays import Array
from meter.core.batch import Block
from meter.core.holding import Held
from meter.core.joining import Joined, Rows, interpolate, split
from meter.core.keys import Key, KeySet
from meter.core.layout import Layout
from meter.core.matching import Output, Reduced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meter.contracts.rules import Computes, Operand


class Input:
    """What is held of one operand from one instance."""

    __slots__ = ("columns", "held", "keys", "operand", "waiting")

    def __init__(self, operand: Operand) -> None:
        self.operand = operand
        self.held = Held()
        self.waiting = Held()
        """Of the leading operand what no result was given for yet."""
        self.keys: list[Key] = []
        self.columns: dict[str, int] = {}

    def number(self, key: Key) -> int:
        """The column of a series."""
        found = self.columns.get(key.name)
        if found is None:
            found = self.columns[key.name] = len(self.keys)
            self.keys.append(key)
        return found


class Bundle:
    """Series of the result whose operands come from the same instances, and so have the same bounds in time."""

    def __init__(
        self,
        computes: Computes,
        origins: tuple[tuple[str, ...], ...],
        found: Sequence[Output],
        groups: Sequence[dict[Reduced, list[tuple[str, int]]]],
        inputs: dict[tuple[int, str], Input],
    ) -> None:
        self._computes = computes
        self._keys = [output.key for output in found]
        self._layouts: dict[tuple[int, ...], tuple[Layout, Array]] = {}
        self.leader = origins[computes.lead][0]
        self._sides: list[_Side] = []
        for place, own in enumerate(origins):
            used = list(dict.fromkeys(output.takes[place] for output in found))
            entries = [inputs[place, origin] for origin in own]
            shift = dict(zip(own, np.cumsum([0, *[len(entry.keys) for entry in entries]]).tolist(), strict=False))
            columns = [shift[origin] + column for left in used for origin, column in groups[place][left]]
            sizes = [len(groups[place][left]) for left in used]
            at = {left: column for column, left in enumerate(used)}
            self._sides.append(
                _Side(
                    place == computes.lead,
                    computes.operands[place].delta,
                    tuple(entries),
                    np.array(columns, np.intp),
                    np.cumsum([0, *sizes[:-1]]),
                    np.array([at[output.takes[place]] for output in found], np.intp),
                )
            )

    def give(self, rows: Rows, program: Program, *, end: bool) -> Iterator[Block]:
        """The results of rows of the leading operand."""
        since, ts = rows.since, rows.ts
        if self._computes.operands[self._computes.lead].delta:
            lead = self._lead
            others = [entry for side in self._sides if side.delta for entry in side.inputs if entry is not lead]
            begin = max((entry.held.since for entry in others if entry.held.since is not None), default=None)
            last = min((entry.held.last for entry in others if entry.held.last is not None), default=None)
            if begin is not None:
                since = np.maximum(since, begin)
            if last is not None and end:
                ts = np.minimum(ts, last)
            whole = (since == rows.since) & (ts == rows.ts)
            kept = whole | (since < ts)
            if last is not None:
                kept &= ts <= last
        else:
            kept = np.ones(len(ts), bool)
        if not kept.any():
            return
        length = rows.ts - rows.since
        cut = np.where(length == 0, 1.0, (ts - since) / np.where(length == 0, 1, length))
        sides = [side.joined(rows, since, ts, cut, kept, self._lead) for side in self._sides]
        operands = [joined.values for joined in sides]
        there = sides[0].there.copy()
        for joined in sides[1:]:
            there &= joined.there
        missing = np.zeros(there.shape, bool)
        reasons: dict[tuple[int, int], str] = {}
        for joined in sides:
            if joined.gaps is not None:
                missing |= joined.gaps
                for cell in np.argwhere(joined.gaps).tolist():
                    reasons.setdefault((cell[0], cell[1]), because(PART, joined.reasons.get((cell[0], cell[1]), "")))
        values, faults = program.run(operands)
        since, ts = since[kept], ts[kept]
        for lines, columns in _alike(there):
            layout, order = self._layout(columns)
            own = np.ix_(lines, order)
            told: dict[tuple[int, int], str] = {}
            if reasons:
                row_at = {row: at for at, row in enumerate(lines.tolist())}
                column_at = {column: at for at, column in enumerate(order.tolist())}
                told = {
                    (row_at[row], column_at[column]): why
                    for (row, column), why in reasons.items()
                    if row in row_at and column in column_at
                }
            taken = [(bad[own], why) for bad, why in faults]
            yield block_of(layout, ts[lines], since[lines], values[own], missing[own], told, taken)

    @property
    def _lead(self) -> Input:
        return self._sides[self._computes.lead].inputs[0]

    def _layout(self, columns: tuple[int, ...]) -> tuple[Layout, Array]:
        """The layout of some columns, and the columns in the order of its keys."""
        found = self._layouts.get(columns)
        if found is None:
            if len(self._layouts) >= 64:
                self._layouts.clear()
            at = {self._keys[column]: column for column in columns}
            layout = Layout.of(KeySet(at))
            found = self._layouts[columns] = layout, np.array([at[key] for key in layout.keys], np.intp)
        return found


class _Side(NamedTuple):
    """One operand of a bundle: columns of its inputs side by side, summed in groups, one of which each result takes."""

    leads: bool
    delta: bool
    inputs: tuple[Input, ...]
    columns: Array
    starts: Array
    chosen: Array

    def joined(self, rows: Rows, since: Array, ts: Array, cut: Array, kept: Array, lead: Input) -> Joined:
        """Its values for the kept rows of the leading operand, a column for each result."""
        since, ts = since[kept], ts[kept]
        found = []
        for entry in self.inputs:
            if not (self.leads and entry is lead):
                found.append(self._other(entry, since, ts))
                continue
            own = _own(rows, cut, kept, len(entry.keys))
            if self._summed and rows.there is not None:
                own = _first(own, self._other(entry, since, ts), self.columns[self.starts])
            found.append(own)
        values, there, gaps, reasons = _beside(found, [len(entry.keys) for entry in self.inputs])
        values, there = values[:, self.columns], there[:, self.columns]
        if self._summed:
            values = np.add.reduceat(values, self.starts, axis=1)
            # A sum has the rows of its first series where it leads.
            there = there[:, self.starts] if self.leads else np.logical_or.reduceat(there, self.starts, axis=1)
        values, there = values[:, self.chosen], there[:, self.chosen]
        if gaps is None:
            return Joined(values, there)
        missing = np.logical_or.reduceat(gaps[:, self.columns], self.starts, axis=1)[:, self.chosen]
        return Joined(values, there, missing, self._told(gaps, reasons))

    @property
    def _summed(self) -> bool:
        return len(self.starts) < len(self.columns)

    def _other(self, entry: Input, since: Array, ts: Array) -> Joined:
        """What an input says of spans or instants that are not those of its own rows."""
        return split(entry.held.rows, since, ts) if self.delta else interpolate(entry.held.rows, ts)

    def _told(self, gaps: Array, reasons: Mapping[tuple[int, int], str]) -> dict[tuple[int, int], str]:
        """Why results are missing, as far as it is known of their parts."""
        group = np.searchsorted(self.starts, np.arange(len(self.columns)), "right") - 1
        results: dict[int, list[int]] = {}
        for result, taken in enumerate(self.chosen.tolist()):
            results.setdefault(taken, []).append(result)
        told: dict[tuple[int, int], str] = {}
        for row, at in np.argwhere(gaps[:, self.columns]).tolist():
            why = reasons.get((row, int(self.columns[at])))
            if why is not None:
                for result in results.get(int(group[at]), ()):
                    told.setdefault((row, result), why)
        return told


def _first(own: Joined, other: Joined, first: Array) -> Joined:
    """The own rows of some columns, what is known of the others for these rows."""
    count, width = own.values.shape
    columns = np.zeros(width, bool)
    columns[first[first < width]] = True
    other = _wide(other, width)
    gaps = None
    if own.gaps is not None or other.gaps is not None:
        none = np.zeros((count, width), bool)
        gaps = np.where(columns, none if own.gaps is None else own.gaps, none if other.gaps is None else other.gaps)
    reasons = {cell: why for cell, why in own.reasons.items() if columns[cell[1]]}
    reasons |= {cell: why for cell, why in other.reasons.items() if not columns[cell[1]]}
    there = np.where(columns, own.there, other.there)
    return Joined(np.where(columns, own.values, other.values), there, gaps, reasons)


def _own(rows: Rows, cut: Array, kept: Array, width: int) -> Joined:
    """The leading operand itself: its rows, shortened where they are cut."""
    there = np.ones(rows.values.shape, bool) if rows.there is None else rows.there
    values = rows.values if (cut == 1.0).all() else rows.values * cut[:, None]
    reasons = rows.reasons
    if reasons and not kept.all():
        place = {row: at for at, row in enumerate(kept.nonzero()[0].tolist())}
        reasons = {(place[row], column): why for (row, column), why in reasons.items() if row in place}
    return _wide(Joined(values[kept], there[kept], None if rows.gaps is None else rows.gaps[kept], reasons), width)


def _beside(found: Sequence[Joined], widths: Sequence[int]) -> Joined:
    """Several inputs side by side; one of which no row has come for its latest series is as wide as these."""
    padded = [_wide(joined, width) for joined, width in zip(found, widths, strict=True)]
    if len(padded) == 1:
        return padded[0]
    gaps = None
    if any(joined.gaps is not None for joined in padded):
        gaps = np.concatenate([np.zeros(j.values.shape, bool) if j.gaps is None else j.gaps for j in padded], axis=1)
    begins = itertools.accumulate([0, *widths[:-1]])
    reasons = {
        (row, begin + column): why
        for begin, joined in zip(begins, padded, strict=True)
        for (row, column), why in joined.reasons.items()
    }
    values, there = (np.concatenate(each, axis=1) for each in zip(*[(j.values, j.there) for j in padded], strict=True))
    return Joined(values, there, gaps, reasons)


def _wide(joined: Joined, width: int) -> Joined:
    lacking = width - joined.values.shape[1]
    if not lacking:
        return joined
    none = np.zeros((len(joined.values), lacking))
    return Joined(
        np.concatenate([joined.values, none], axis=1),
        np.concatenate([joined.there, none.astype(bool)], axis=1),
        None if joined.gaps is None else np.concatenate([joined.gaps, none.astype(bool)], axis=1),
        joined.reasons,
    )


def _alike(there: Array) -> Iterator[tuple[Array, tuple[int, ...]]]:
    """Rows and columns that are there together: a block each, as a block has no holes. Nearly always that is one."""
    if there.all():
        yield np.arange(len(there)), tuple(range(there.shape[1]))
        return
    alike: dict[bytes, list[int]] = {}
    for row, line in enumerate(there):
        alike.setdefault(line.tobytes(), []).append(row)
    for rows in alike.values():
        columns = there[rows[0]].nonzero()[0].tolist()
        if columns:
            yield np.array(rows), tuple(columns)


def block_of(
    layout: Layout,
    ts: Array,
    since: Array,
    values: Array,
    missing: Array,
    reasons: dict[tuple[int, int], str],
    faults: Sequence[tuple[Array, str]],
) -> Block:
    """A block of results, columns in the order of its keys."""
    for bad, why in faults:
        for cell in np.argwhere(bad & ~missing).tolist():
            reasons[cell[0], cell[1]] = why
        missing = missing | bad
    if not missing.any():
        return Block(layout, ts, since, (values,))
    return Block(layout, ts, since, (np.where(missing, np.nan, values),), (missing,), reasons)
