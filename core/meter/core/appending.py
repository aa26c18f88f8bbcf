"""Appending: a file or pipe that takes whole texts, each of them once and none of them half.

What the outputs that write lines share: they make the text of a batch, `Appending` sees that all of it is there or
nothing. Knows no batch and no format; a text ends with a newline. Imports no numpy.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from meter.core.plugin import Gone

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAIL: Final = 1 << 16
_VECTOR: Final = 1024
"""How many pieces Linux takes in one call (IOV_MAX)."""
_DIGIT: Final = re.compile(rb"[0-9]")
_STANDARD: Final[Mapping[str, int]] = {"/dev/stdout": 1, "/dev/stderr": 2}


class Appending:
    """A path that texts are appended to.

    A text is written as a whole or not at all: a file is cut back to where it ended before; of a pipe the rest is
    written first by the next try. A file that was deleted meanwhile is made again. One process writes to a file at
    a time. A last line without newline, which is what kill -9 or a power failure may leave, is cut off when the file is
    opened. Pipes, terminals, `/dev/stdout` and `/dev/stderr` are neither locked nor cut.

    Args:
        path: what is written to; the name of a pipe waits for its reader.
        header: the line that a new or empty file, and every pipe, begins with; none where it is empty.
        begins: what a file of this form begins with, where that is no header; `0` stands for any digit. A file
            that begins with something else is refused and left as it is.

    Raises: OSError, it cannot be opened, or another process writes to it; ValueError, it begins with something else.
    """

    def __init__(self, path: str, *, header: bytes = b"", begins: bytes = b"") -> None:
        self.path: Final = path
        self._header: Final = header
        self._begins: Final = begins or header
        self._rest: tuple[int, bytes] | None = None
        self._torn: int | None = None
        self._file, self._seekable = self._open()
        try:
            if header and (not self._seekable or not os.fstat(self._file).st_size):
                self._append([header])
        except BaseException as error:
            os.close(self._file)
            if isinstance(error, OSError) and error.strerror is not None and error.filename is None:
                error.filename = path
            raise

    def fileno(self) -> int:
        """The descriptor."""
        return self._file

    def write(self, pieces: list[bytes], seq: int) -> None:
        """Append a text that is given in pieces; it is one write to the kernel.

        Args: seq, the number of the text: the same one again is the next try of what could not be written.

        Raises: Gone, nobody reads the pipe any more; OSError, nothing of the text is in the file, or the rest of it
            is kept for the next try where it is a pipe.
        """
        try:
            self._write(pieces, seq)
        except OSError as error:
            if error.strerror is not None and error.filename is None:
                error.filename = self.path  # what is done with a descriptor does not say it
            raise

    def _write(self, pieces: list[bytes], seq: int) -> None:
        if not self._seekable:
            self._stream(b"".join(pieces), seq)
            return
        self._mend()
        if not os.fstat(self._file).st_nlink:
            self._begin_anew()
        self._append(pieces if os.fstat(self._file).st_size else [self._header, *pieces])

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):  # whoever opens it next cuts off what is torn
            self._mend()
        os.close(self._file)

    def _open(self) -> tuple[int, bool]:
        """A descriptor that appends, and whether it is a file, which is this process's alone then."""
        path = self.path
        if path in _STANDARD:
            # Opening the link anew would lose the offset that is shared with the shell, and fails for a socket.
            return standard(path), False
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except FileNotFoundError:
            regular = True
        # Reading too, to see the beginning; a pipe open for reading would never say that its reader has gone.
        mode = os.O_RDWR | os.O_CREAT if regular else os.O_WRONLY
        file = os.open(path, mode | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            if regular:
                self._claim(file)
        except BaseException:
            os.close(file)
            raise
        return file, regular

    def _claim(self, file: int) -> None:
        """Make sure that a file is this process's alone, has this form and ends with a whole line."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            why = f"`{self.path}` is being written by another output or another meter; give each its own path"
            raise BlockingIOError(errno.EWOULDBLOCK, why) from error
        head = _DIGIT.sub(b"0", os.pread(file, len(self._begins), 0))
        if head == self._begins:
            os.ftruncate(file, _last_line(file))
        elif self._begins.startswith(head):
            os.ftruncate(file, 0)
        else:
            first = os.pread(file, 200, 0).partition(b"\n")[0].decode(errors="replace")
            what = "the columns of meter" if self._header else "a line of meter"
            raise ValueError(f"`{self.path}` begins with {first!r}, not with {what}; move it away or take another path")

    def _begin_anew(self) -> None:
        """Make a file of the name again where somebody has deleted it: what is written to no name is lost.

        Raises: OSError, it cannot be made, such as in a folder that has gone too.
        """
        made, seekable = self._open()
        os.close(self._file)
        self._file, self._seekable = made, seekable

    def _append(self, pieces: list[bytes]) -> None:
        """Write a text, all of it or nothing."""
        size = os.fstat(self._file).st_size if self._seekable else 0
        done = 0
        try:
            # Not joined before: of a long text that would take twice the memory, and page faults half of the time.
            for begin in range(0, len(pieces), _VECTOR):
                group = pieces[begin : begin + _VECTOR]
                taken = os.writev(self._file, group)
                done += taken
                if taken < sum(map(len, group)):
                    rest = memoryview(b"".join(group))[taken:]
                    while rest:
                        taken = os.write(self._file, rest)
                        done += taken
                        rest = rest[taken:]
        except BaseException:
            if self._seekable and done:
                self._torn = size
                self._mend()
            raise

    def _mend(self) -> None:
        """Take back what a failed write has left; where that fails too, the next call tries it again."""
        if self._torn is not None:
            os.ftruncate(self._file, self._torn)
            self._torn = None

    def _stream(self, text: bytes, seq: int) -> None:
        """Append to what cannot be taken back: what a failed write has left over is written first."""
        if self._rest is not None:
            last, left = self._rest
            text = left if last == seq else left + text
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except BrokenPipeError as error:
            raise Gone(f"nobody reads `{self.path}` any more") from error
        except BaseException:
            if len(rest) < len(text):
                self._rest = (seq, bytes(rest))
            raise
        self._rest = None


def standard(path: str) -> int:
    """A descriptor of `/dev/stdout` or `/dev/stderr`, to be closed by the caller.

    Raises: OSError, it is closed.
    """
    file = _STANDARD[path]
    # Where it was closed at the start, its number belongs to whatever file was opened first.
    stream = sys.__stdout__ if file == 1 else sys.__stderr__
    if stream is not None:
        with suppress(OSError):
            return os.dup(file)
    raise OSError(errno.EBADF, f"`{path}` is closed; lead it to a file, a pipe or a terminal")


def _last_line(file: int) -> int:
    """The length of a file up to its last newline; 0 where it has none."""
    end = os.fstat(file).st_size
    while end:
        begin = max(0, end - _TAIL)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
