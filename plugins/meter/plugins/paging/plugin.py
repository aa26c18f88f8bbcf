"""The source `paging`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meter.core.counters import counted
from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_EVENTS, _MEMORY = "/proc/vmstat", "/proc/meminfo"
_COUNTERS = ("pswpin", "pswpout", "pgfault", "pgmajfault")
_SPACES = ("SwapTotal", "SwapFree")
_STATES = ("used", "free")

_COUNTER_MARKS = {field: f"\n{field} ".encode() for field in _COUNTERS}
_SPACE_MARKS = {field: f"\n{field}:".encode() for field in _SPACES}
_LACKING = {
    **{field: Missing(f"this kernel gives no `{field}` in {_EVENTS}") for field in _COUNTERS},
    **{field: Missing(f"this kernel gives no `{field}` in {_MEMORY}") for field in _SPACES},
}
_WENT_BACK = {field: Missing(f"the counter `{field}` went back") for field in _COUNTERS}
_NEGATIVE = Missing(f"{_MEMORY} says that more swap is free than there is")

_PIECE = 1 << 14


class Paging(Source):
    """Page faults, pages swapped in and out, and how much swap is used.

    Emits `system.paging.faults` ({fault}, u64, delta) by `system.paging.fault.type`, where `minor` is `pgfault` without
    `pgmajfault`; `system.paging.operations` ({operation}, u64, delta) by `system.paging.direction`, one for each page;
    `system.paging.usage` (By, u64, gauge) by `system.paging.state` from the first poll on, 0 where there is no swap.
    What the kernel does not say, and what needs that, is missing; a counter that fell has wrapped at 2^32 where that
    explains it, and else is missing this once.

    Row: 6 columns, 2 at the first poll.
    Raises: Retry, a file could not be read this once; the next delta spans both intervals.
    Source: Linux, Documentation/filesystems/proc.rst (meminfo); include/linux/vm_event_item.h; mm/memory.c.
    """

    def start(self, context: SourceContext) -> None:
        """Open the files. Raises: OSError, one cannot be read."""
        usage = [ColumnSpec("system.paging.usage", attributes={"system.paging.state": state}) for state in _STATES]
        self._usage = context.columns(usage)
        self._all = context.columns(
            [
                *usage,
                *(
                    ColumnSpec("system.paging.operations", attributes={"system.paging.direction": direction})
                    for direction in ("in", "out")
                ),
                *(
                    ColumnSpec("system.paging.faults", attributes={"system.paging.fault.type": kind})
                    for kind in ("minor", "major")
                ),
            ]
        )
        self._last: list[int | Missing] = []
        self._owed = 0
        self._events = context.open(_EVENTS)
        try:
            self._memory = context.open(_MEMORY)
        except OSError:
            os.close(self._events)
            raise

    def poll(self, out: Readings) -> None:
        """Read each file once."""
        events, memory = self._read_events(), self._read_memory()
        now = [_counter(events, field) for field in _COUNTERS]
        total, free = [_space(memory, field) for field in _SPACES]
        usage = (_difference(total, free), free)
        last, self._last = self._last, now
        if not last:
            out.row(self._usage, usage)
            return
        pages_in, pages_out, faults, major = map(counted, last, now, _WENT_BACK.values())
        out.row(self._all, (*usage, pages_in, pages_out, self._minor(faults, major), major))

    def stop(self) -> None:
        """Close the files."""
        os.close(self._events)
        os.close(self._memory)

    def _minor(self, faults: int | Missing, major: int | Missing) -> int | Missing:
        """Faults that were not major.

        The kernel counts a fault as major when it begins to wait and as a fault when it is done: between two readings
        there can be more major ones than there are in all. What is too many is taken from the next reading.
        """
        if isinstance(faults, Missing):
            return faults
        if isinstance(major, Missing):
            return major
        minor = faults - major - self._owed
        self._owed = max(0, -minor)
        return max(0, minor)

    def _read_events(self) -> bytes:
        """The file as far as the last field that is wanted; the kernel may hand it over in pieces of whole lines.

        Each further piece makes the kernel count everything anew.
        """
        mark = _COUNTER_MARKS["pgmajfault"]
        try:
            text = piece = b"\n" + os.pread(self._events, _PIECE, 0)
            while mark not in text and piece:
                piece = os.pread(self._events, _PIECE, len(text) - 1)
                text += piece
        except OSError as error:
            raise Retry(f"{_EVENTS}: {error.strerror}") from error
        if not text.endswith(b"\n"):
            raise Retry(f"{_EVENTS} ends within a line")
        return text

    def _read_memory(self) -> bytes:
        try:
            text = b"\n" + os.pread(self._memory, _PIECE, 0)
        except OSError as error:
            raise Retry(f"{_MEMORY}: {error.strerror}") from error
        if not text.endswith(b"\n"):
            raise Retry(f"{_MEMORY} ends within a line")
        return text


def _counter(text: bytes, field: str) -> int | Missing:
    """A counter of events."""
    begin = text.find(_COUNTER_MARKS[field])
    if begin < 0:
        return _LACKING[field]
    begin += len(_COUNTER_MARKS[field])
    return _number(text[begin : text.index(b"\n", begin)], field)


def _space(text: bytes, field: str) -> int | Missing:
    """A field in bytes; the kernel writes `kB` and means 1024 bytes."""
    begin = text.find(_SPACE_MARKS[field])
    if begin < 0:
        return _LACKING[field]
    begin += len(_SPACE_MARKS[field])
    number = _number(text[begin : text.index(b"\n", begin)].removesuffix(b"kB").strip(), field)
    return number if isinstance(number, Missing) else number * 1024


def _number(word: bytes, field: str) -> int | Missing:
    if not word.isdigit():
        return Missing(f"the kernel has `{word.decode(errors='backslashreplace')}` for `{field}`, no number")
    return int(word)


def _difference(total: int | Missing, free: int | Missing) -> int | Missing:
    """What is used."""
    if isinstance(total, Missing):
        return total
    if isinstance(free, Missing):
        return free
    return total - free if total >= free else _NEGATIVE
