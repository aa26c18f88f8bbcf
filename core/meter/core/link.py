"""Link: messages between meter's process and one that it has started itself, over a socket that only these two have.

A message is a tuple of a word and plain values, as a pickle behind its length. Rows go as they are packed; their
columns go once and are named by a number from then on. A thread of the link writes, so that whoever says something
waits for nobody and no signal cuts a message in two. Imports no numpy.
"""

from __future__ import annotations

import pickle
import queue
import struct
import threading
from contextlib import suppress
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

from meter.core.polling import Raw
from meter.core.quantity import Missing
from meter.core.rows import PLAIN, Columns, Row, Rows

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from meter.core.keys import Key

PART: Final = 4096
"""So many values go in one message at most: to write one holds the GIL, and a poll may be due."""
COLUMNS_KNOWN: Final = 4096
"""So many columns have a number at one time; the oldest is forgotten, and sent again when it comes again."""
_LENGTH: Final = struct.Struct(">Q")


class Link:
    """One end. `send` and `receive` are for any thread, the latter for one at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._file = end.makefile("rb")
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="meter-link-write", daemon=True)
        self._thread.start()

    def send(self, word: str, *values: Any) -> None:
        """Say something; where nobody listens any more it is forgotten."""
        data = pickle.dumps((word, *values), pickle.HIGHEST_PROTOCOL)
        self._outbox.put(_LENGTH.pack(len(data)) + data)

    def receive(self) -> tuple[Any, ...] | None:
        """What the other one says next; None where it has gone."""
        with suppress(OSError, ValueError):  # reset, or closed here meanwhile
            head = self._file.read(_LENGTH.size)
            if len(head) == _LENGTH.size:
                size = _LENGTH.unpack(head)[0]
                data = self._file.read(size)
                if len(data) == size:
                    message: tuple[Any, ...] = pickle.loads(data)  # noqa: S301  (of the process that we started)
                    return message
        return None

    def flush(self, seconds: float) -> None:
        """Say what was to be said, within some time, and nothing after it."""
        self._outbox.put(None)
        self._thread.join(seconds)

    def close(self) -> None:
        """Let go of the socket; who waits in `receive` comes back."""
        import socket  # it is loaded: this end is one

        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.flush(1.0)

    def release(self) -> None:
        """Close the descriptor; nobody is in `receive` any more."""
        self._file.close()
        self._socket.close()

    def _write(self) -> None:
        while (data := self._outbox.get()) is not None:
            with suppress(OSError):
                self._socket.sendall(data)


class RowsOut:
    """Sends polled rows by `send`."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._numbers: dict[Columns, int] = {}
        self._next = 0
        self._rows: list[tuple[Any, ...]] = []
        """What is not sent yet."""
        self._cells = 0
        """How many values that are."""

    def send(self, raw: Raw) -> None:
        """Send one hand-over."""
        for label, polled in raw.rows:
            for columns, held, ids in (polled if isinstance(polled, Rows) else Rows(polled)).runs():
                number = self._number(columns)
                for each, id_ in zip(held, ids, strict=True):
                    what = each if isinstance(each, bytes) else (each.ts, each.since, plain(each.values))
                    self._rows.append((label, number, what, id_))
                    self._cells += columns.width
                    if self._cells >= PART:
                        self._part()
        self._send("rows", self._rows, raw.anchor, raw.watermark)
        self._rows, self._cells = [], 0

    def _part(self) -> None:
        if self._rows:
            self._send("part", self._rows)
            self._rows, self._cells = [], 0

    def _number(self, columns: Columns) -> int:
        number = self._numbers.get(columns)
        if number is None:
            if len(self._numbers) >= COLUMNS_KNOWN:
                self._part()  # it may have rows of those
                self._send("forget", self._numbers.pop(next(iter(self._numbers))))
            number = self._numbers[columns] = self._next
            self._next += 1
            self._send("columns", number, columns.by, columns.keys)
        return number


class RowsIn:
    """Takes what `RowsOut` has sent."""

    def __init__(self) -> None:
        self.known: dict[int, Columns] = {}
        self._rows: list[tuple[str, Rows]] = []

    def columns(self, number: int, by: str, keys: tuple[Key, ...]) -> None:
        """Columns have a number from now on."""
        self.known[number] = Columns(keys, by)

    def forget(self, number: int) -> None:
        """A number is not used any more, but by rows that came before."""
        del self.known[number]

    def part(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Some rows of a hand-over."""
        for label, number, held, id_ in rows:
            columns = self.known[number]
            if not self._rows or self._rows[-1][0] != label:
                self._rows.append((label, Rows()))
            made = self._rows[-1][1]
            if isinstance(held, bytes):
                made.entries += (columns, held, id_)
            else:
                ts, since, values = held
                made.add([Row(columns, ts, since, values, id_)])

    def rows(self, rows: Sequence[tuple[Any, ...]], anchor: tuple[int, int], watermark: int | None) -> Raw:
        """The last rows of a hand-over: all of it."""
        self.part(rows)
        whole, self._rows = self._rows, []
        return Raw(whole, anchor, watermark)


def plain(values: Sequence[Any]) -> Sequence[Any]:
    """The values of a row without types that the other process may not have, such as a plugin's own."""
    if not PLAIN.issuperset(map(type, values)):
        return [_cell(value) for value in values]
    return values if type(values) in (list, tuple) else list(values)


def _cell(value: Any) -> Any:
    if type(value) in PLAIN:
        return value
    if isinstance(value, Missing):
        return Missing(value.reason)
    try:
        return int(value) if isinstance(value, Integral) else float(value)
    except (ArithmeticError, TypeError, ValueError):
        return repr(value)  # no number: who builds blocks says so, and of which series
