"""The output `csv`. Imports no numpy: it starts before the measured command does."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.plugin import Gone, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meter.core.batch import Anchor, Batch, Block
    from meter.core.keys import Entity, Key
    from meter.core.layout import Layout
    from meter.core.plugin import Context

HEADER: Final = b"time,metric,value,unit,kind,resource,consumer,attributes,quality\n"

# Lists of some thousand texts stay in the cache of the processor; of a hundred thousand they cost three times as much.
_CHUNK = 2048
_TAIL = 1 << 16
_PLAN: Final = ("csv", "lines")
_NO_NUMBER: Final = b"null"
"""How orjson writes NaN and infinities."""

# Nothing needs quotes then, and no text can end a line: what was cut off by kill -9 is known by its missing newline.
_TEXT: Final = re.compile(r'[\x00-\x1f\x7f;=/,%"\ud800-\udfff]')
# Names of metrics and units keep `/`, `=`, `;` and a `%` that no reader takes for an escape: `By/s` and `%` are units.
_WORD: Final = re.compile(r'[\x00-\x1f\x7f,"\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})')


class Csv(Output):
    """One line for each value, appended to a file.

    The columns are time (RFC 3339, UTC, nanoseconds: the end of the row's span), metric, value (the shortest text that
    reads back as the same number), unit, kind, resource and consumer (`kind/id`, or the kind alone), attributes
    (`name=value;name=value`) and quality. A missing cell has no value and the quality `missing`.

    A batch is written as a whole or not at all: a file is cut back to where it ended before; of a pipe the rest is
    written first by the next try. A file that was deleted meanwhile is made again. One process writes to a file at
    a time. A last line without newline, which is what kill -9 or a power failure may leave, is cut off by the next
    start.
    """

    def start(self, context: Context) -> None:
        """Open the file, and write the header where there is none.

        Raises: OSError, it cannot be opened, or another process writes to it; ValueError, it begins with other columns.
        """
        del context
        import orjson  # only processes that write values need it

        self._dumps: Callable[[Any], bytes] = lambda array: orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
        self._rest: tuple[int, bytes] | None = None
        self._torn: int | None = None
        self._file, self._seekable = _open(self.config["path"])
        try:
            if self._seekable:
                _claim(self._file, self.config["path"])
            if not self._seekable or not os.fstat(self._file).st_size:
                self._append(HEADER)
        except BaseException:
            os.close(self._file)
            raise

    def write(self, batch: Batch) -> None:
        """Append the batch. Raises: OSError, nothing of it is in the file."""
        if not self._seekable:
            self._stream(batch)
            return
        self._mend()
        if not os.fstat(self._file).st_nlink:
            self._begin_anew()
        lines = b"".join(self._lines(batch))
        self._append(lines if os.fstat(self._file).st_size else HEADER + lines)

    def _begin_anew(self) -> None:
        """Make a file of the name again where somebody has deleted it: what is written to no name is lost.

        Raises: OSError, it cannot be made, such as in a folder that has gone too.
        """
        made, seekable = _open(self.config["path"])
        try:
            if seekable:
                _claim(made, self.config["path"])
        except BaseException:
            os.close(made)
            raise
        os.close(self._file)
        self._file, self._seekable = made, seekable

    def stop(self) -> None:
        """Close the file."""
        with suppress(OSError):  # the next start cuts off what is torn
            self._mend()
        os.close(self._file)

    def _append(self, text: bytes) -> None:
        """Write a text, all of it or nothing."""
        size = os.fstat(self._file).st_size if self._seekable else 0
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except BaseException:
            if self._seekable and len(rest) < len(text):
                self._torn = size
                self._mend()
            raise

    def _mend(self) -> None:
        """Take back what a failed write has left; where that fails too, the next call tries it again."""
        if self._torn is not None:
            os.ftruncate(self._file, self._torn)
            self._torn = None

    def _stream(self, batch: Batch) -> None:
        """Append to what cannot be taken back: what a failed write has left over is written first."""
        texts = [b"".join(self._lines(batch))]
        if self._rest is not None:
            seq, left = self._rest
            texts = [left] if seq == batch.seq else [left, *texts]
        rest = memoryview(b"".join(texts))
        whole = len(rest)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except BrokenPipeError as error:
            raise Gone(f"nobody reads `{self.config['path']}` any more") from error
        except BaseException:
            if len(rest) < whole:
                self._rest = (batch.seq, bytes(rest))
            raise
        self._rest = None

    def _lines(self, batch: Batch) -> Iterator[bytes]:
        """The text of a batch in pieces."""
        for block in batch.blocks:
            plan: _Plan | None = block.layout.plans.get(_PLAN)
            if plan is None:
                plan = block.layout.plans[_PLAN] = _plan(block.layout)
            yield from self._block(plan, block, batch.anchor)

    def _block(self, plan: _Plan, block: Block, anchor: Anchor) -> Iterator[bytes]:
        width = len(plan.heads)
        times = _times(anchor.wall(block.ts).tolist())
        rows = max(1, _CHUNK // width)
        for begin in range(0, len(times), rows):
            stamps = times[begin : begin + rows]
            end = begin + len(stamps)
            pieces = [b""] * (4 * width * len(stamps))
            pieces[0::4] = [stamp for stamp in stamps for _ in range(width)]
            pieces[1::4] = plan.heads * len(stamps)
            values = self._values(plan, block, begin, end)
            pieces[2::4] = values
            pieces[3::4] = plan.tails * len(stamps)
            for cell in _gaps(plan, block, begin, end, values):
                pieces[4 * cell + 2] = b""
                pieces[4 * cell + 3] = plan.gaps[cell % width]
            yield b"".join(pieces)

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


class _Part(NamedTuple):
    """Columns of one matrix: which matrix, which columns, how many, and where the first one stands in a row."""

    place: int
    columns: slice | list[int]
    width: int
    begin: int


class _Plan(NamedTuple):
    """What surrounds the values of one row, by part and column: up to the value, after it, after a missing one."""

    parts: list[_Part]
    heads: list[bytes]
    tails: list[bytes]
    gaps: list[bytes]


def _plan(layout: Layout) -> _Plan:
    """What surrounds the values of a layout."""
    parts: list[_Part] = []
    keys: list[Key] = []
    for part in range(len(layout.widths)):
        mine = [
            (column, key) for key, (place, column) in zip(layout.keys, layout.address, strict=True) if place == part
        ]
        if mine:
            columns = [column for column, _ in mine]
            first = columns[0]
            run = columns == list(range(first, first + len(columns)))
            parts.append(
                _Part(part, slice(first, first + len(columns)) if run else columns, len(columns), begin=len(keys))
            )
            keys += [key for _, key in mine]
    stems = [f",{_word(key.metric.unit)},{key.metric.kind},{_identity(key)}," for key in keys]
    return _Plan(
        parts,
        heads=[f",{_word(key.metric.name)},".encode() for key in keys],
        tails=[f"{stem}{key.metric.quality}\n".encode() for stem, key in zip(stems, keys, strict=True)],
        gaps=[f"{stem}missing\n".encode() for stem in stems],
    )


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


def _times(walls: Sequence[int]) -> list[bytes]:
    """Times as RFC 3339 says, from nanoseconds since the epoch."""
    texts = []
    second, text = None, b""
    for wall in walls:
        whole, rest = divmod(wall, 1_000_000_000)
        if whole != second:
            second, text = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)).encode()
        texts.append(b"%b.%09dZ" % (text, rest))
    return texts


def _identity(key: Key) -> str:
    """The columns resource, consumer and attributes."""
    attributes = ";".join(f"{_text(name)}={_text(value)}" for name, value in key.attributes)
    return f"{_entity(key.resource)},{_entity(key.consumer)},{attributes}"


def _entity(entity: Entity) -> str:
    kind, id_ = entity
    return f"{_text(kind)}/{_text(id_)}" if id_ else _text(kind)


def _text(text: str) -> str:
    return _TEXT.sub(_escape, text)


def _word(text: str) -> str:
    return _WORD.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    """One character as URLs have it; a byte that is no UTF-8, as Python reads it from paths, as itself."""
    errors = "surrogateescape" if "\udc80" <= found[0] <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", errors))


def _open(path: str) -> tuple[int, bool]:
    """A descriptor that appends to a path, and whether it is a file that can be cut."""
    if path in _STANDARD:
        # Opening the link anew would lose the offset that is shared with the shell, and fails for a socket.
        return os.dup(_STANDARD[path]), False
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        regular = True
    # Reading too, to see the header; a pipe that is open for reading would never say that its reader has gone.
    mode = os.O_RDWR | os.O_CREAT if regular else os.O_WRONLY
    return os.open(path, mode | os.O_APPEND | os.O_CLOEXEC, 0o666), regular


_STANDARD: Final[Mapping[str, int]] = {"/dev/stdout": 1, "/dev/stderr": 2}


def _claim(file: int, path: str) -> None:
    """Make sure that a file is this process's alone, has these columns and ends with a whole line."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        why = f"`{path}` is being written by another output or another meter; give each its own path"
        raise BlockingIOError(errno.EWOULDBLOCK, why) from error
    head = os.pread(file, len(HEADER), 0)
    if head == HEADER:
        os.ftruncate(file, _last_line(file))
    elif HEADER.startswith(head):
        os.ftruncate(file, 0)
    else:
        first = os.pread(file, 200, 0).partition(b"\n")[0].decode(errors="replace")
        raise ValueError(
            f"`{path}` begins with {first!r}, not with the columns of meter; move it away or take another path"
        )


def _last_line(file: int) -> int:
    """The length of a file up to its last newline; it has one."""
    end = os.fstat(file).st_size
    while True:
        begin = max(0, end - _TAIL)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
