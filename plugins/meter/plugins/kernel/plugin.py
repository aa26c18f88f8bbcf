"""The source `kernel`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meter.core.counters import counted
from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_STAT = "/proc/stat"
_COUNTERS = ("ctxt", "processes")
_GAUGES = ("procs_running", "procs_blocked")

_MARKS = {field: f"\n{field} ".encode() for field in (*_COUNTERS, *_GAUGES)}
_LACKING = {field: Missing(f"this kernel gives no `{field}` in {_STAT}") for field in _MARKS}
_WENT_BACK = {field: Missing(f"the counter `{field}` went back") for field in _COUNTERS}


class Kernel(Source):
    """Context switches, new processes and threads, and how many threads run or wait for storage.

    Emits `system.context_switches` ({context_switch}, u64, delta), `system.process.created` ({process}, u64, delta) and
    `system.thread.count` ({thread}, u64, gauge) by `process.state`, from the first poll on: `running` are the threads
    that run or could run, that of this source included, `blocked` those that wait for storage. What the kernel does not
    say is missing; a counter that fell has wrapped at 2^32 where that explains it, and else is missing this once.

    Row: 4 columns, 2 at the first poll.
    Raises: Retry, the file could not be read this once; the next delta spans both intervals.
    Source: Linux, Documentation/filesystems/proc.rst (stat); fs/proc/stat.c.
    """

    def start(self, context: SourceContext) -> None:
        """Open the file. Raises: OSError, it cannot be read."""
        gauges = [ColumnSpec("system.thread.count", attributes={"process.state": "running"})]
        gauges += [ColumnSpec("system.thread.count", attributes={"process.state": "blocked"})]
        counters = [ColumnSpec("system.context_switches"), ColumnSpec("system.process.created")]
        self._gauges = context.columns(gauges)
        self._all = context.columns([*gauges, *counters])
        self._size = 1 << 14
        self._last: list[int | Missing] = []
        self._file = context.open(_STAT)

    def poll(self, out: Readings) -> None:
        """Read the file once."""
        text = self._read()
        gauges = [_number(text, field) for field in _GAUGES]
        now = [_number(text, field) for field in _COUNTERS]
        last, self._last = self._last, now
        if last:
            deltas = map(counted, last, now, _WENT_BACK.values())
            out.row(self._all, [*gauges, *deltas])
        else:
            out.row(self._gauges, gauges)

    def stop(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _read(self) -> bytes:
        """The whole file: what is wanted stands behind the interrupts, of which there may be many."""
        try:
            while len(text := os.pread(self._file, self._size, 0)) == self._size:
                self._size *= 2
        except OSError as error:
            raise Retry(f"{_STAT}: {error.strerror}") from error
        if not text.endswith(b"\n"):
            raise Retry(f"{_STAT} ends within a line")
        return text


def _number(text: bytes, field: str) -> int | Missing:
    """The number behind the name of a field; searched from the end, which is nearer."""
    begin = text.rfind(_MARKS[field])
    if begin < 0:
        return _LACKING[field]
    begin += len(_MARKS[field])
    word = text[begin : text.index(b"\n", begin)]
    if not word.isdigit():
        return Missing(f"{_STAT} has `{word.decode(errors='backslashreplace')}` for `{field}`, no number")
    return int(word)
