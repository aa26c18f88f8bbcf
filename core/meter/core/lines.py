"""Lines: the text of a batch in which every value has a line of its own.

What formats such as CSV and JSON Lines share: what stands around a value does not change from row to row, so it is made
once for each layout, and orjson formats a whole matrix of numbers in one call. Knows nothing of files. Imports no
numpy: outputs start before the measured command does.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meter.core.batch import Anchor, Batch, Block
    from meter.core.keys import Key
    from meter.core.layout import Layout

# Lists of some thousand texts stay in the cache of the processor; of a hundred thousand they cost three times as much.
_CHUNK: Final = 2048
_NO_NUMBER: Final = b"null"
"""How orjson writes NaN and infinities."""


class Around(NamedTuple):
    """What stands around the values of one series: before a value, behind it, behind a missing one."""

    head: bytes
    tail: bytes
    gap: bytes


class Lines:
    """A form of lines: `begin`, the time, `head`, the value, `tail`.

    The time is the end of the row's span, as RFC 3339 says, in UTC with nanoseconds. A value is the shortest text that
    reads back as the same number; integers have all their digits. Lines are ordered by block, then by row.

    Args:
        name: of the form, no other one's: what is made for a layout is kept there under it.
        around: what stands around the values of a series; `tail` and `gap` end the line, the latter without `reason`.
        begin: what stands before the time.
        missing: what stands in the place of a missing value.
        reason: what ends the line of a missing value, behind `gap`, given why it is missing (empty where that is not
            known); without it nothing does.
    """

    def __init__(
        self,
        name: str,
        around: Callable[[Key], Around],
        *,
        begin: bytes = b"",
        missing: bytes = b"",
        reason: Callable[[str], bytes] | None = None,
    ) -> None:
        import orjson  # only processes that write values need it

        self._dumps: Callable[[Any], bytes] = lambda array: orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
        self._name: Final = name
        self._around: Final = around
        self._stamp: Final = begin.replace(b"%", b"%%") + b"%b.%09dZ"
        self._missing: Final = missing
        self._reason: Final = reason

    def pieces(self, batch: Batch) -> list[bytes]:
        """The lines of a batch, some thousand in each piece."""
        return [piece for block in batch.blocks for piece in self._block(block, batch.anchor)]

    def _block(self, block: Block, anchor: Anchor) -> Iterator[bytes]:
        plan = self._plan(block.layout)
        ids = block.ids
        width = len(plan.heads)
        times = self._times(anchor.wall(block.ts).tolist())
        rows = max(1, _CHUNK // width)
        for begin in range(0, len(times), rows):
            stamps = times[begin : begin + rows]
            end = begin + len(stamps)
            pieces = [b""] * (4 * width * len(stamps))
            pieces[0::4] = [stamp for stamp in stamps for _ in range(width)]
            values = self._values(plan, block, begin, end)
            pieces[2::4] = values
            plans = [plan] * len(stamps) if ids is None else [self._plan(block.layout.at(i)) for i in ids[begin:end]]
            pieces[1::4] = [head for own in plans for head in own.heads]
            pieces[3::4] = [tail for own in plans for tail in own.tails]
            for cell in _gaps(plan, block, begin, end, values):
                row, place = divmod(cell, width)
                pieces[4 * cell + 2] = self._missing
                pieces[4 * cell + 3] = self._gap(plan, block, begin + row, place, plans[row].gaps[place])
            yield b"".join(pieces)

    def _plan(self, layout: Layout) -> _Plan:
        place = ("lines", self._name)
        plan: _Plan | None = layout.plans.get(place)
        if plan is None:
            plan = layout.plans[place] = _plan(layout, self._around)
        return plan

    def _gap(self, plan: _Plan, block: Block, row: int, place: int, gap: bytes) -> bytes:
        """What ends the line of a missing cell."""
        return gap if self._reason is None else gap + self._reason(block.reasons.get((row, plan.keys[place]), ""))

    def _values(self, plan: _Plan, block: Block, begin: int, end: int) -> list[bytes]:
        """The texts of the values of some rows, row by row."""
        texts = [
            self._dumps(block.parts[part.place][begin:end, part.columns].ravel())[1:-1].split(b",")
            for part in plan.parts
        ]
        if len(texts) == 1:
            return texts[0]
        return [
            value
            for row in range(end - begin)
            for part, values in zip(plan.parts, texts, strict=True)
            for value in values[row * part.width : (row + 1) * part.width]
        ]

    def _times(self, walls: Sequence[int]) -> list[bytes]:
        """What lines begin with, from nanoseconds since the epoch."""
        texts = []
        second, text = None, b""
        for wall in walls:
            whole, rest = divmod(wall, 1_000_000_000)
            if whole != second:
                second, text = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)).encode()
            texts.append(self._stamp % (text, rest))
        return texts


def escaped(text: str, odd: re.Pattern[str]) -> str:
    """A text in which each character that `odd` finds is written as URLs have it.

    A byte that is no UTF-8, as Python reads it from paths, is written as itself.
    """
    return odd.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    errors = "surrogateescape" if "\udc80" <= found[0] <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", errors))


class _Part(NamedTuple):
    """Columns of one matrix: which matrix, which columns, how many, and where the first one stands in a row."""

    place: int
    columns: slice | list[int]
    width: int
    begin: int


class _Plan(NamedTuple):
    """What surrounds the values of one row, by part and column, and where the key of each stands in the layout."""

    parts: list[_Part]
    keys: list[int]
    heads: list[bytes]
    tails: list[bytes]
    gaps: list[bytes]


def _plan(layout: Layout, around: Callable[[Key], Around]) -> _Plan:
    """What surrounds the values of a layout."""
    parts: list[_Part] = []
    keys: list[int] = []
    for part in range(len(layout.widths)):
        mine = [(column, at) for at, (place, column) in enumerate(layout.address) if place == part]
        if mine:
            columns = [column for column, _ in mine]
            first = columns[0]
            run = columns == list(range(first, first + len(columns)))
            parts.append(
                _Part(part, slice(first, first + len(columns)) if run else columns, len(columns), begin=len(keys))
            )
            keys += [at for _, at in mine]
    ends = [around(layout.keys[at]) for at in keys]
    return _Plan(parts, keys, [end.head for end in ends], [end.tail for end in ends], [end.gap for end in ends])


def _gaps(plan: _Plan, block: Block, begin: int, end: int, values: list[bytes]) -> Iterator[int]:
    """The missing cells of some rows, counted row by row; what is no number is missing, whatever the mask says."""
    width = len(plan.heads)
    if _NO_NUMBER in values:
        yield from [cell for cell, value in enumerate(values) if value == _NO_NUMBER]
    for part in plan.parts:
        mask = block.masks[part.place]
        if mask is not None:
            for row, column in zip(*map(_ints, mask[begin:end, part.columns].nonzero()), strict=True):
                yield row * width + part.begin + column


def _ints(array: Any) -> list[int]:
    numbers: list[int] = array.tolist()
    return numbers
