"""Segments: lines in files of a folder, read from the oldest, forgotten as they are acknowledged, bounded in size.

A file is appended to and never changed; it goes as a whole. Each start begins a new one, so that a last line which
kill -9 or a loss of power has torn stays the last one of its file, and is not read. How far lines are acknowledged
stands in a file of its own: `SEGMENT OFFSET`. Where that is lost, lines come again, and none is missing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from typing import Final

from meter.core.appending import Appending
from meter.plugins.spool.text import BATCH, Reader, rows_of

HEADER: Final = b'{"spool":1}\n'
"""The first line of each file: the version of its form."""
_SEGMENT: Final = re.compile(r"([0-9]{12})\.jsonl")
_PLACE: Final = re.compile(rb"([0-9]{12}) ([0-9]{20})\n")
_LARGEST: Final = 4 << 20
_SHARE: Final = 8
"""A segment is at most this part of the whole, as room is made by segments."""


class Segments:
    """The lines of a folder, for one process at a time.

    Args: `limit`, how many bytes are kept; where one batch alone is larger it is kept all the same. `sync`, whether
        each text is on the disk when `append` returns.

    Raises: OSError, the folder cannot be used, or another process uses it.
    """

    def __init__(self, folder: str, limit: int, *, sync: bool) -> None:
        os.makedirs(folder, exist_ok=True)
        self._folder: Final = folder
        self._limit: Final = limit
        self._sync: Final = sync
        self._directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._claim()
            self._acknowledged = os.open(
                os.path.join(folder, "acknowledged"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666
            )
        except BaseException:
            os.close(self._directory)
            raise
        found = _PLACE.fullmatch(os.pread(self._acknowledged, 64, 0))
        self._place = (int(found[1]), int(found[2])) if found else (0, 0)
        """The segment and offset of the oldest line that is not acknowledged."""
        self._note()  # what is written over later has its room on the disk
        self._sizes = self._found()
        self._writing: Appending | None = None
        self._reading: _Reading | None = None
        self._head: tuple[bytes, int] | None = None

    # -------------------------------------------------------------------------------------------------------- append

    def turn(self, size: int) -> bool:
        """Whether a text of some size is to be the first of a new segment."""
        if self._writing is not None and self._sizes[max(self._sizes)] + size > min(_LARGEST, self._limit // _SHARE):
            self._end_segment()
        return self._writing is None

    def trim(self) -> int:
        """Let the oldest segments go where more is kept than may be; how many rows went."""
        rows = 0
        while len(self._sizes) > 1 and sum(self._sizes.values()) > self._limit:
            oldest = min(self._sizes)
            lost = self._rows(oldest)
            try:
                self._remove(oldest)
            except OSError:  # what was appended is kept, whatever becomes of this
                break
            rows += lost
        return rows

    def append(self, text: bytes) -> None:
        """Append lines, all of them or none.

        Raises: OSError.
        """
        if self._writing is None:
            number = max(*self._sizes, self._place[0], 0) + 1
            self._writing = Appending(self._path(number), header=HEADER)
            self._sizes[number] = len(HEADER)
            if self._sync:
                for folder in (self._folder, os.path.dirname(self._folder)):
                    _sync(folder)
        number = max(self._sizes)
        self._writing.write([text], 0)
        if self._sync:
            try:
                os.fdatasync(self._writing.fileno())
            except OSError:
                self._end_segment()  # how much of it is there is not known; it is read up to here
                raise
        self._sizes[number] += len(text)

    # ---------------------------------------------------------------------------------------------------------- take

    def head(self) -> tuple[bytes, Reader] | None:
        """The oldest batch line that is not acknowledged, with what reads it.

        Raises: OSError; ValueError, a line before it cannot be read.
        """
        while self._sizes and self._head is None:
            oldest = min(self._sizes)
            if self._reading is None:
                self._reading = _Reading(self._path(oldest), self._place[1] if self._place[0] == oldest else 0)
            self._head = self._reading.batch(self._sizes[oldest])
            if self._head is None:
                if oldest == max(self._sizes) and self._writing is not None:
                    return None
                self._remove(oldest)
        if self._head is None or self._reading is None:
            return None
        return self._head[0], self._reading.reader

    def acknowledge(self) -> None:
        """Forget the oldest batch line."""
        if self.head() is None or self._head is None:
            return
        self._place = (min(self._sizes), self._head[1])
        self._head = None
        self._note()
        if self._place[1] >= self._sizes[self._place[0]]:
            self._remove(self._place[0])

    def rows(self) -> int:
        """How many rows wait."""
        return sum(self._rows(number) for number in sorted(self._sizes))

    def damaged(self) -> str:
        """Where the line is that could not be read."""
        return "" if self._reading is None else f"`{self._reading.path}` before byte {self._reading.at}"

    def close(self) -> None:
        """Close everything; what waits stays."""
        self._end_segment()
        self._end_reading()
        os.close(self._acknowledged)
        os.close(self._directory)

    # --------------------------------------------------------------------------------------------------------- files

    def _claim(self) -> None:
        try:
            fcntl.flock(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            why = f"`{self._folder}` is being used by another meter; give each its own path"
            raise BlockingIOError(errno.EWOULDBLOCK, why) from error

    def _note(self) -> None:
        """Note how far lines are acknowledged."""
        with suppress(OSError):  # they come again, which is no reason to keep nothing
            os.pwrite(self._acknowledged, b"%012d %020d\n" % self._place, 0)

    def _found(self) -> dict[int, int]:
        """The segments that are there, with their sizes; what is acknowledged as a whole goes."""
        sizes = {}
        for name in os.listdir(self._folder):
            if found := _SEGMENT.fullmatch(name):
                number = int(found[1])
                size = os.stat(os.path.join(self._folder, name)).st_size
                if number < self._place[0] or (number == self._place[0] and size <= self._place[1]):
                    os.unlink(os.path.join(self._folder, name))
                else:
                    sizes[number] = size
        return sizes

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, f"{number:012d}.jsonl")

    def _end_segment(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _remove(self, number: int) -> None:
        """Take the oldest segment away, with all that is still in it."""
        if number == max(self._sizes):
            self._end_segment()
        self._end_reading()
        self._head = None
        os.unlink(self._path(number))
        del self._sizes[number]

    def _rows(self, number: int) -> int:
        """The rows of a segment that are not acknowledged."""
        begin = self._place[1] if self._place[0] == number else 0
        with open(self._path(number), "rb") as file:
            file.seek(begin)
            return sum(rows_of(line) for line in file if line.endswith(b"\n"))


def _sync(folder: str) -> None:
    """Make the names in a folder safe."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class _Reading:
    """The batch lines of one segment that end behind a place."""

    def __init__(self, path: str, begin: int) -> None:
        self.path = path
        self.at = 0
        self.reader = Reader()
        self._begin = begin
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._lines: list[bytes] = []
        """Those that were read and not looked at, the last one first."""

    def batch(self, size: int) -> tuple[bytes, int] | None:
        """The next line of a batch and where it ends; None where the segment ends, at `size`.

        Raises: OSError; ValueError, a line cannot be read.
        """
        while (line := self._next(size)) is not None:
            self.at += len(line)
            if self.at == len(line) and line != HEADER:
                raise ValueError(f"it begins with {line[:40]!r}")
            if not line.startswith(BATCH):
                if line != HEADER:
                    self.reader.layout(line)
            elif self.at > self._begin:
                return line, self.at
        return None

    def _next(self, size: int) -> bytes | None:
        """The next line; None where there is none that is whole."""
        if not self._lines and self.at < size:
            self._lines = os.pread(self._file, size - self.at, self.at).splitlines(keepends=True)[::-1]
        if not self._lines or not self._lines[-1].endswith(b"\n"):
            return None
        return self._lines.pop()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
