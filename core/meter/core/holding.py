"""Holding: the rows of one operand that may still be needed, until the other operands have come as far.

Stands between what comes in pieces, of ever other series, and `joining`, which takes rows as one. Bounded by whoever
holds: it says what is handed out and what is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from meter.core.joining import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meter.core.arrays import Array


class Piece(NamedTuple):
    """Rows as they came, and the series of each of their columns; `gaps` is None where nothing is missing.

    `there` says which cells there are; None where all are, as in what comes.
    """

    columns: tuple[int, ...]
    ts: Array
    since: Array
    values: Array
    gaps: Array | None
    reasons: Mapping[tuple[int, int], str]
    there: Array | None = None


MERGED: Final = 8
"""More pieces than these are put together once and not anew each time; things that come and go make many."""


class Held:
    """The rows of one input that may still be needed, of any number of series.

    Series are numbered by whoever adds them. Rows come in any pieces; `rows` are the same whatever the pieces were.
    """

    __slots__ = ("_merged", "_pieces", "first", "last", "since", "width")

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._merged: Rows | None = None
        self.width = 0
        self.since: int | None = None
        """Where the spans of the input begin."""
        self.first: int | None = None
        """The end of its earliest row."""
        self.last: int | None = None
        """The end of its latest row."""

    def add(self, piece: Piece) -> None:
        """Rows have come; at least one."""
        self._pieces.append(piece)
        self._merged = None
        self.width = max(self.width, 1 + max(piece.columns))
        since, first, last = int(piece.since.min()), int(piece.ts.min()), int(piece.ts.max())
        self.since = since if self.since is None else min(since, self.since)
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)

    @property
    def rows(self) -> Rows:
        """All rows that are held, those of one span together."""
        if self._merged is None:
            merged = self._merged = self._merge()
            if len(self._pieces) > MERGED:
                columns = tuple(range(self.width))
                self._pieces = [Piece(columns, *merged[:3], merged.gaps, merged.reasons, merged.there)]
        return self._merged

    def _merge(self) -> Rows:
        pieces = self._pieces
        if not pieces:
            none = np.empty(0, np.int64)
            return Rows(none, none, np.empty((0, self.width)), np.empty((0, self.width), bool))
        columns = pieces[0].columns
        ts = np.concatenate([piece.ts for piece in pieces])
        since = np.concatenate([piece.since for piece in pieces])
        dense = columns == tuple(range(self.width)) and all(
            piece.columns == columns and piece.there is None for piece in pieces
        )
        if dense and (np.diff(ts) > 0).all():
            return self._stacked(ts, since)
        order = np.lexsort((since, ts))
        new = np.concatenate([[True], (np.diff(ts[order]) != 0) | (np.diff(since[order]) != 0)])
        line = np.empty(len(order), np.intp)
        line[order] = np.cumsum(new) - 1
        count = int(new.sum())
        values, there = np.zeros((count, self.width)), np.zeros((count, self.width), bool)
        gaps = np.zeros((count, self.width), bool)
        reasons: dict[tuple[int, int], str] = {}
        begin = 0
        for piece in pieces:
            own = line[begin : begin + len(piece.ts)]
            begin += len(piece.ts)
            at = own[:, None], np.array(piece.columns)
            new_values = piece.values if piece.gaps is None else np.where(piece.gaps, 0.0, piece.values)
            if piece.there is None:
                values[at], there[at] = new_values, True
            else:
                values[at] = np.where(piece.there, new_values, values[at])
                there[at] |= piece.there
            if piece.gaps is not None:
                gaps[at] |= piece.gaps
            reasons |= {(int(own[row]), piece.columns[column]): why for (row, column), why in piece.reasons.items()}
        kept = order[new]
        return Rows(
            ts[kept], since[kept], values, None if there.all() else there, gaps if gaps.any() else None, reasons
        )

    def _stacked(self, ts: Array, since: Array) -> Rows:
        """Pieces of the same series in their order."""
        pieces = self._pieces
        values = np.concatenate([piece.values for piece in pieces])
        if all(piece.gaps is None for piece in pieces):
            return Rows(ts, since, values)
        gaps = np.concatenate(
            [np.zeros(piece.values.shape, bool) if piece.gaps is None else piece.gaps for piece in pieces]
        )
        reasons: dict[tuple[int, int], str] = {}
        begin = 0
        for piece in pieces:
            reasons |= {(begin + row, column): why for (row, column), why in piece.reasons.items()}
            begin += len(piece.ts)
        return Rows(ts, since, np.where(gaps, 0.0, values), None, gaps, reasons)

    def until(self, ts: int) -> Rows:
        """Hand out the rows that end at `ts` or earlier, and hold them no longer."""
        rows = self.rows
        taken = rows.ts <= ts
        if taken.all():
            self._pieces = []
        elif taken.any():
            rows = _some(rows, taken)
            self._pieces = [left for piece in self._pieces if (left := _later(piece, ts)) is not None]
        else:
            return _some(rows, taken)
        self._merged = None
        return rows

    def forget(self, ts: int) -> None:
        """No span is asked for that begins at `ts` or earlier: rows that end by then go, and spans begin behind."""
        gone = [int(ended[-1]) for piece in self._pieces if len(ended := np.sort(piece.ts[piece.ts <= ts]))]
        if gone:
            self.since = max(gone) if self.since is None else max(self.since, *gone)
            self._pieces = [left for piece in self._pieces if (left := _later(piece, ts)) is not None]
            self._merged = None

    def live(self) -> set[int]:
        """The series that have rows here."""
        found: set[int] = set()
        for piece in self._pieces:
            if piece.there is None:
                found.update(piece.columns)
            else:
                found.update(piece.columns[at] for at in np.flatnonzero(piece.there.any(axis=0)))
        return found

    def renumber(self, new: Mapping[int, int]) -> None:
        """Series have other numbers from now on; those that have none have no rows here."""
        self._pieces = [_renumbered(piece, new) for piece in self._pieces]
        self.width = len(new)
        self._merged = None


def _some(rows: Rows, taken: Array) -> Rows:
    """Some of the rows, bool[n]."""
    place = {row: at for at, row in enumerate(taken.nonzero()[0].tolist())} if rows.reasons else {}
    return Rows(
        rows.ts[taken],
        rows.since[taken],
        rows.values[taken],
        None if rows.there is None else rows.there[taken],
        None if rows.gaps is None else rows.gaps[taken],
        {(place[row], column): why for (row, column), why in rows.reasons.items() if row in place},
    )


def _later(piece: Piece, ts: int) -> Piece | None:
    """The rows of a piece that end after `ts`."""
    left = piece.ts > ts
    if left.all():
        return piece
    if not left.any():
        return None
    place = {row: at for at, row in enumerate(left.nonzero()[0].tolist())}
    reasons = {(place[row], column): why for (row, column), why in piece.reasons.items() if row in place}
    gaps = None if piece.gaps is None else piece.gaps[left]
    there = None if piece.there is None else piece.there[left]
    return Piece(piece.columns, piece.ts[left], piece.since[left], piece.values[left], gaps, reasons, there)


def _renumbered(piece: Piece, new: Mapping[int, int]) -> Piece:
    """A piece with other numbers for its series, without those that have none."""
    kept = [at for at, column in enumerate(piece.columns) if column in new]
    columns = tuple([new[piece.columns[at]] for at in kept])
    if len(kept) == len(piece.columns):
        return piece._replace(columns=columns)
    place = {at: column for column, at in enumerate(kept)}
    return Piece(
        columns,
        piece.ts,
        piece.since,
        piece.values[:, kept],
        None if piece.gaps is None else piece.gaps[:, kept],
        {(row, place[at]): why for (row, at), why in piece.reasons.items() if at in place},
        None if piece.there is None else piece.there[:, kept],
    )
