"""Rows that wait for the chain, packed.

A poll leaves bytes behind and nothing that the garbage collector has to look at: with thousands of polls in each
hand-over, its turns would take longer than a tick. Imports no numpy: sources poll before it has been imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from struct import error as StructError  # noqa: N812  (a lower-case class)
from typing import TYPE_CHECKING, Any, overload

from meter.core.readings import Row

if TYPE_CHECKING:
    from meter.core.readings import Columns

_EACH = 3
"""So many entries stand for a row: its columns, what it holds, its id."""
_COLUMNS = itemgetter(0)

Held = bytes | Row
"""What a row holds: times and values as its columns pack them; a row as it is where something is missing or wrong."""


class Rows(Sequence[Row]):
    """Rows of one source, in the order of its polls. One thread adds, others may take."""

    __slots__ = ("_entries",)

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._entries: list[Any] = []
        self.add(rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        for row in rows:
            columns, ts, since, values, id_ = row
            held: Held
            try:
                # It refuses what numpy would round or truncate.
                held = columns.pack(ts, since, *values)
            except (StructError, TypeError, OverflowError):
                held = row
            self._entries += (columns, held, id_)  # in one step, as somebody may take them now

    def take(self) -> Rows:
        """What is there now, away from here."""
        made = Rows()
        made._entries = self._entries[:]
        del self._entries[: len(made._entries)]  # what is added meanwhile stays
        return made

    def runs(self) -> Iterator[tuple[Columns, list[Held], list[str]]]:
        """Columns with what rows of them in a row hold, and their ids."""
        entries = self._entries
        for columns, run in groupby(zip(entries[::_EACH], entries[1::_EACH], entries[2::_EACH], strict=True), _COLUMNS):
            _, held, ids = zip(*run, strict=True)
            yield columns, list(held), list(ids)

    def __len__(self) -> int:
        return len(self._entries) // _EACH

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        begin = range(len(self))[at] * _EACH
        return unpacked(*self._entries[begin : begin + _EACH])


def unpacked(columns: Columns, held: Held, id_: str) -> Row:
    """The row."""
    if isinstance(held, Row):
        return held
    ts, since, *values = columns.unpack(held)
    return Row(columns, ts, since, values, id_)
