"""What the kernel says of a process in /proc/PID, and its CPU clock.

Source: proc(5); Linux, Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from meter.core.kept import KeptFiles
from meter.core.plugin import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.core.plugin import SourceContext

Identity = tuple[int, int]
"""Process id and start in clock ticks since boot: an id is used again, both together are not."""

_ENDED: Final = (b"Z", b"X")
_IS_KERNEL: Final = 0x00200000  # PF_KTHREAD of include/linux/sched.h
_CPUCLOCK_SCHED: Final = 2  # include/linux/posix-timers_types.h
_SIZE: Final = 4096
_ENDS: Final = (FileNotFoundError, ProcessLookupError)


class Stat:
    """What /proc/PID/stat says; times in clock ticks, `virtual` in bytes, `resident` in pages.

    One that has `ended` waits for its parent: its times are whole, its memory is gone. Most processes that are looked
    through are not measured, so a number is made of its text when it is asked for.
    """

    __slots__ = ("_fields", "ended", "identity", "name", "parent", "pid", "start")

    def __init__(self, pid: int, text: bytes) -> None:
        self.pid = pid
        # The name in parentheses may itself hold blanks and parentheses.
        end = text.rindex(b")")
        self.name = text[text.index(b"(") + 1 : end]
        """At most 15 bytes, of kernel threads more."""
        self._fields = fields = text[end + 2 :].split(None, 22)
        self.parent = int(fields[1])
        self.start = start = int(fields[19])
        self.identity: Identity = pid, start
        self.ended = fields[0] in _ENDED
        """Whether it only waits for its parent."""

    @property
    def is_kernel(self) -> bool:
        """Whether it is a thread of the kernel, which has no memory of its own."""
        return bool(int(self._fields[6]) & _IS_KERNEL)

    @property
    def faults(self) -> tuple[int, int]:
        """Page faults of all threads: minor, major."""
        return int(self._fields[7]), int(self._fields[9])

    @property
    def times(self) -> tuple[int, int]:
        """CPU time of all threads, ended ones included: user, system."""
        return int(self._fields[11]), int(self._fields[12])

    @property
    def state(self) -> tuple[int, int, int]:
        """Pages in RAM, bytes of address space, threads."""
        return int(self._fields[21]), int(self._fields[20]), int(self._fields[17])


class Files:
    """Reads the files of processes; those that are read at each poll are kept open.

    What cannot be read is Missing with the reason, but for `stat`.
    """

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._kept = KeptFiles(context, _SIZE)
        self.sweep = self._kept.sweep
        self.close = self._kept.close
        self._here = context.sysroot is None and _is_own_view(context)

    def pids(self) -> Iterator[int]:
        """The processes that there are. Raises: OSError."""
        return (int(name) for name in self._context.listdir("/proc") if name.isdecimal())

    def stat(self, pid: int) -> Stat | None:
        """A process; None where there is none any more.

        Raises: PermissionError, it is hidden (hidepid); other OSErrors, as `command`.
        """
        try:
            text = self._kept.read(f"/proc/{pid}/stat")
        except _ENDS:
            return None
        return Stat(pid, text) if text else None

    def command(self, pid: int) -> str:
        """The command line with blanks between its words; empty of kernel threads and of what has ended.

        A program may change it at any time, and it may be long: it is read whole, anew each time.
        Raises: OSError, it cannot be read now, as when too many files are open.
        """
        try:
            with self._context.open_binary(f"/proc/{pid}/cmdline") as file:
                text = file.read() or b""
        except (*_ENDS, PermissionError):
            return ""
        return text.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")

    def user(self, pid: int) -> int | None:
        """The number of the effective user; None of what has ended. Raises: OSError, as `command`."""
        path = f"/proc/{pid}/status"
        try:
            found = _number(self._kept.read(path), b"\nUid:", path, 1)
        except (*_ENDS, PermissionError):
            return None
        return None if isinstance(found, Missing) else found

    def clock(self, pid: int) -> int | Missing | None:
        """CPU time of all threads in nanoseconds, ended ones included; None where the kernel has no such clock here.

        It is that of processes that this process sees, so not of those of a made or foreign /proc.
        Source: clock_getcpuclockid(3).
        """
        if not self._here:
            return None
        try:
            return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
        except OSError:
            return Missing("the process has just ended")

    def traffic(self, pid: int) -> tuple[int | Missing, int | Missing]:
        """Bytes that it made storage read and write so far."""
        path = f"/proc/{pid}/io"
        text = self._text(path)
        if isinstance(text, Missing):
            return text, text
        fields = text.split(None, 12)
        if fields[8:11:2] == [b"read_bytes:", b"write_bytes:"]:  # as every kernel writes them
            return int(fields[9]), int(fields[11])
        return _number(text, b"read_bytes:", path), _number(text, b"\nwrite_bytes:", path)

    def pages(self, pid: int) -> tuple[int, int] | Missing:
        """Pages in RAM, and those of them that are of files or of shared memory."""
        text = self._text(f"/proc/{pid}/statm")
        if isinstance(text, Missing):
            return text
        fields = text.split(None, 3)
        return int(fields[1]), int(fields[2])

    def proportional(self, pid: int) -> tuple[int | Missing, int | Missing]:
        """Bytes in RAM and swapped out, of each page that part which is its own."""
        path = f"/proc/{pid}/smaps_rollup"
        text = self._text(path)
        if isinstance(text, Missing):
            return text, text
        pair = _number(text, b"\nPss:", path), _number(text, b"\nSwapPss:", path)
        ram, swap = (each if isinstance(each, Missing) else each * 1024 for each in pair)
        return ram, swap

    def descriptors(self, pid: int) -> int | Missing:
        """How many files it has open."""
        path = f"/proc/{pid}/fd"
        try:
            # Since Linux 6.2 the size of this folder is their number, for which nobody has to list them.
            size = os.stat(path).st_size if self._here else 0
            return size or len(self._context.listdir(path))
        except PermissionError:
            return _denied(path)
        except _ENDS:
            return _absent(path)
        except OSError as error:
            return Missing(f"{path}: {error.strerror}")

    def threads(self, pid: int) -> list[str] | Missing:
        """The ids of its threads."""
        path = f"/proc/{pid}/task"
        try:
            return self._context.listdir(path)
        except _ENDS:
            return _absent(path)
        except OSError as error:
            return Missing(f"{path}: {error.strerror}")

    def switches(self, pid: int, thread: str) -> tuple[int, int] | Missing | None:
        """How often a thread gave up its CPU, and how often it was taken from it; None where it has ended."""
        path = f"/proc/{pid}/task/{thread}/status"
        try:
            text = self._kept.read(path)
        except _ENDS:
            return None
        except OSError as error:
            return Missing(f"{path}: {error.strerror}")
        voluntary = _number(text, b"\nvoluntary_ctxt_switches:", path)
        involuntary = _number(text, b"\nnonvoluntary_ctxt_switches:", path)
        if isinstance(voluntary, Missing):
            return voluntary
        return involuntary if isinstance(involuntary, Missing) else (voluntary, involuntary)

    def _text(self, path: str) -> bytes | Missing:
        """The content of a file, or why it cannot be had."""
        try:
            return self._kept.read(path) or _absent(path)
        except _ENDS:
            return _absent(path)
        except PermissionError:
            return _denied(path)
        except OSError as error:
            return Missing(f"{path}: {error.strerror}")


def _is_own_view(context: SourceContext) -> bool:
    """Whether /proc counts processes as this process does; that of another pid namespace has other ids."""
    try:
        return os.readlink(context.path("/proc/self")) == str(os.getpid())
    except OSError:
        return False


def _number(text: bytes, name: bytes, path: str, nth: int = 0) -> int | Missing:
    """The number behind a name."""
    words = text.partition(name)[2].split(None, nth + 1)
    if len(words) > nth and words[nth].isdigit():
        return int(words[nth])
    return Missing(f"{path} has no `{name.decode().strip().rstrip(':')}`")


def _denied(path: str) -> Missing:
    return Missing(f"no permission to read {path}, this needs the right to trace the process")


def _absent(path: str) -> Missing:
    return Missing(f"there is no {path}: the process has just ended, or the kernel does not count this")
