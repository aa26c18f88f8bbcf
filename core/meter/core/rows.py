"""Rows over declared columns, and how they wait for the chain: packed.

A poll leaves bytes behind and nothing that the garbage collector has to look at: with thousands of polls in each
hand-over, its turns would take longer than a tick. Imports no numpy: sources poll before it has been imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from struct import Struct
from struct import error as StructError  # noqa: N812  (a lower-case class)
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

from meter.core.plugin import Missing

if TYPE_CHECKING:
    from meter.core.keys import Key

EACH_ROW: Final = 3
"""So many entries stand for a row: its columns, what it holds, its id."""
REFUSED: Final = (StructError, TypeError, OverflowError)
"""What `Columns.pack` raises where a value is none of its column, or missing."""
PLAIN: Final = frozenset({int, float, Missing, type(None)})
"""The very types that a cell most often has, which need no closer look."""
CODES: Final[Mapping[str, str]] = MappingProxyType({"f64": "d", "i64": "q", "u64": "Q"})
"""What `struct` calls the types of metrics."""


class Columns:
    """The columns of a row: unique keys in the order in which they were declared.

    Two are the same when they are identical. `plan` belongs to whoever builds blocks: scratch kept beside the columns.
    `each` says whether the keys stand for series of each of many things, which a row then names one of. `by` is the
    instance that declared them, `width` says how many there are.
    """

    __slots__ = ("by", "each", "keys", "kinds", "pack", "plan", "unpack", "width")

    def __init__(self, keys: tuple[Key, ...], by: str = "") -> None:
        self.keys = keys
        self.by = by
        self.plan: Any = None
        self.each = any(key.each for key in keys)
        self.width = len(keys)
        runs = [f"{len(list(run))}{code}" for code, run in groupby([CODES[key.metric.type] for key in keys])]
        whole = Struct("2q" + "".join(runs))
        self.pack = whole.pack
        """The times and the values of a row as bytes, of each eight; refuses what numpy would round or truncate."""
        self.unpack = whole.unpack
        self.kinds: tuple[type, ...] | None = None
        """The types of a row that were plain, as those of the next ones most often are, too."""

    def plain(self, kinds: tuple[type, ...]) -> bool:
        """Whether values of these types are what `pack` takes or refuses as the contract does."""
        if not kinds or not PLAIN.issuperset(kinds):
            return False
        self.kinds = kinds
        return True

    def __repr__(self) -> str:
        return f"Columns({', '.join(key.name for key in self.keys)})"


class Row(NamedTuple):
    """Values for the span from `since` to `ts`, both in monotonic nanoseconds; one value for each column.

    A value is a number, or `None`, NaN, an infinity or a `Missing` where it could not be read. `id` names the thing
    where the columns are those of each.
    """

    columns: Columns
    ts: int
    since: int
    values: Sequence[Any]
    id: str = ""


Held = bytes | Row
"""What a row holds: times and values as its columns pack them; a row as it is where something is missing or wrong."""


class Rows(Sequence[Row]):
    """Rows of one source, in the order of its polls. One thread adds, others may take.

    `entries` has columns, what the row holds and its id, in turn: numbers and texts only, in one list.
    """

    __slots__ = ("entries",)

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.entries: list[Any] = []
        if rows:
            self.add(rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        for row in rows:
            columns, ts, since, values, id_ = row
            held: Held
            try:
                held = columns.pack(ts, since, *values)
            except REFUSED:
                held = row
            self.entries += (columns, held, id_)  # in one step, as somebody may take them now

    def take(self) -> Rows:
        """What is there now, away from here."""
        made = Rows()
        made.entries = self.entries[:]
        del self.entries[: len(made.entries)]  # what is added meanwhile stays
        return made

    @property
    def newest(self) -> int:
        """When the last row ends. Raises: IndexError, there is none."""
        held = self.entries[-2]
        return held.ts if type(held) is Row else int.from_bytes(held[:8], sys.byteorder, signed=True)

    @property
    def columns(self) -> list[Columns]:
        """The columns of each row."""
        return self.entries[::EACH_ROW]

    @property
    def ids(self) -> list[str]:
        """The id of each row."""
        return self.entries[2::EACH_ROW]

    def runs(self) -> Iterator[tuple[Columns, list[Held], list[str]]]:
        """Columns with what rows of them in a row hold, and their ids."""
        columns, held, ids = self.columns, self.entries[1::EACH_ROW], self.ids
        if columns and columns.count(columns[0]) == len(columns):  # most often
            yield columns[0], held, ids
            return
        begin = 0
        for one, run in groupby(columns):
            end = begin + len(list(run))
            yield one, held[begin:end], ids[begin:end]
            begin = end

    def __len__(self) -> int:
        return len(self.entries) // EACH_ROW

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        begin = range(len(self))[at] * EACH_ROW
        return unpacked(*self.entries[begin : begin + EACH_ROW])


def unpacked(columns: Columns, held: Held, id_: str) -> Row:
    """The row."""
    if isinstance(held, Row):
        return held
    ts, since, *values = columns.unpack(held)
    return Row(columns, ts, since, values, id_)
