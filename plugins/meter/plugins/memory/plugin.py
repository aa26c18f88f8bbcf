"""The source `memory`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_STATES = ("used", "free", "buffers", "cached")
_FIELDS = ("MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SReclaimable")

# With the line break before it: `Cached:` alone would be found in `SwapCached:`.
_MARKS = tuple(f"\n{field}:".encode() for field in _FIELDS)
_LACKING = {field: Missing(f"this kernel gives no `{field}` in /proc/meminfo") for field in _FIELDS}
_NEGATIVE = Missing("/proc/meminfo says that more is free and cached than there is")


class Memory(Source):
    """Memory of the machine by state, as free(1) counts it.

    Emits `system.memory.usage` (By, u64, gauge) for the states `free`, `buffers`, `cached` (`Cached` + `SReclaimable`)
    and `used` (the rest of `MemTotal`), so that the states add up to `system.memory.limit` (`MemTotal`), and
    `system.memory.linux.available` (`MemAvailable`, Linux 3.14). What the kernel does not say, and what needs that, is
    missing.

    Row: six columns, one instant; the kernel does not read its own counts at one time, they may differ by some pages.
    Raises: Retry, the file could not be read this once.
    Source: Linux, Documentation/filesystems/proc.rst (meminfo); procps-ng 3.3, free(1).
    """

    def start(self, context: SourceContext) -> None:
        """Open the file. Raises: OSError, it cannot be read."""
        self._columns = context.columns(
            [
                *(ColumnSpec("system.memory.usage", attributes={"system.memory.state": state}) for state in _STATES),
                ColumnSpec("system.memory.linux.available"),
                ColumnSpec("system.memory.limit"),
            ]
        )
        self._file = context.open("/proc/meminfo")

    def poll(self, out: Readings) -> None:
        """Read the file once."""
        try:
            text = b"\n" + os.pread(self._file, 16384, 0)
        except OSError as error:
            raise Retry(f"/proc/meminfo: {error.strerror}") from error
        total, free, available, buffers, pages, slab = [
            _bytes(text, mark, field) for mark, field in zip(_MARKS, _FIELDS, strict=True)
        ]
        cached = _sum(pages, slab)
        rest = _sum(free, buffers, cached)
        used: int | Missing
        if isinstance(total, Missing) or isinstance(rest, Missing):
            used = total if isinstance(total, Missing) else rest
        else:
            used = total - rest if total >= rest else _NEGATIVE
        out.row(self._columns, (used, free, buffers, cached, available, total))

    def stop(self) -> None:
        """Close the file."""
        os.close(self._file)


def _bytes(text: bytes, mark: bytes, field: str) -> int | Missing:
    """A field in bytes; the kernel writes `kB` and means 1024 bytes."""
    begin = text.find(mark)
    if begin < 0:
        return _LACKING[field]
    begin += len(mark)
    return int(text[begin : text.index(b"kB", begin)]) * 1024


def _sum(*amounts: int | Missing) -> int | Missing:
    """The sum, or the first that is missing."""
    total = 0
    for amount in amounts:
        if isinstance(amount, Missing):
            return amount
        total += amount
    return total
