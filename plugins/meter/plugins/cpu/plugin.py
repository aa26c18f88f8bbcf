"""The source `cpu`."""

from __future__ import annotations

import os
from operator import add, sub
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings

_MODES = ("user", "nice", "system", "idle", "iowait", "interrupt", "steal", "guest")

# The kernel counts user and guest one after the other and rounds each down to ticks, so that their difference can fall
# by a tick or two although neither did. Such a fall is no time that went back.
_ROUNDED = frozenset({"user", "nice"})
_ROUNDING = 2

_WENT_BACK = {mode: Missing(f"the counter of `{mode}` went back") for mode in _MODES}
_COUNTERS = {
    "user": 1,
    "nice": 2,
    "system": 3,
    "idle": 4,
    "iowait": 5,  # since Linux 2.5.41
    "interrupt": 7,  # since Linux 2.6.0
    "steal": 8,  # since Linux 2.6.11
    "guest": 9,  # since Linux 2.6.24; the tenth, guest_nice, since 2.6.33, was part of nice before
}
"""How many counters a core has at least where the kernel counts a mode."""


class Cpu(Source):
    """Time of each core by mode, and how many cores are online.

    Emits `system.cpu.time` (s, f64, delta) for each core and mode: time since the previous good poll. `interrupt` is
    irq + softirq; `guest` is guest + guest_nice and is taken out of `user` and `nice`, in which the kernel counts it
    too, so that the modes add up to the whole. Emits `system.cpu.logical.count` ({cpu}, u64, gauge) from the first poll
    on; a core's first reading is its base. A mode whose counter fell (`idle` and `iowait` may) is missing this once.

    Row: 1 + 8 x cores columns. Resolution: 1 / USER_HZ, 10 ms nearly everywhere.
    Raises: Retry, the file could not be read this once; the next delta spans both intervals.
    Source: Linux, Documentation/filesystems/proc.rst (stat); kernel/sched/cputime.c (`account_guest_time`).
    """

    def start(self, context: SourceContext) -> None:
        """Open the file. Raises: OSError, it cannot be read."""
        self._file = context.open("/proc/stat")
        self._size = 1 << 14
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._last = _Counters([], [], 10)
        self._cores: list[bytes] = []
        self._columns = self._declare(context.columns)

    def poll(self, out: Readings) -> None:
        """Read the file once."""
        last, now = self._last, self._read()
        before, ticks = last.ticks, now.ticks
        if now.cores != last.cores:
            cores = [core for core in now.cores if core in last.cores]
            before, ticks = last.of(cores), now.of(cores)
        else:
            cores = now.cores
        if cores != self._cores:
            self._cores = cores
            self._columns = self._declare(out.columns)
        hertz = self._hertz
        cells: list[Any] = [delta / hertz for delta in map(sub, ticks, before)]
        if cells and min(cells) < 0:
            self._mend(cells, before, now)
        for mode in (mode for mode, least in _COUNTERS.items() if now.fields < least):
            begin = _MODES.index(mode) * len(cores)
            cells[begin : begin + len(cores)] = [Missing(f"this kernel does not count `{mode}`")] * len(cores)
        cells.append(len(now.cores))
        self._last = now
        out.row(self._columns, cells)

    def stop(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _declare(self, columns: Callable[[Iterable[ColumnSpec]], Columns]) -> Columns:
        """The columns of the present cores, by mode and core, and of their number."""
        return columns(
            [
                *(
                    ColumnSpec("system.cpu.time", core.removeprefix(b"cpu").decode(), attributes={"cpu.mode": mode})
                    for mode in _MODES
                    for core in self._cores
                ),
                ColumnSpec("system.cpu.logical.count"),
            ]
        )

    def _read(self) -> _Counters:
        """The counters of each core."""
        try:
            # Only the head is wanted, but what follows grows with the machine. Before the line of interrupts has begun
            # there may be more cores.
            while len(text := os.pread(self._file, self._size, 0)) == self._size and b"\nintr" not in text:
                self._size *= 2
        except OSError as error:
            raise Retry(f"/proc/stat: {error.strerror}") from error
        # One split and ten slices for all cores: half the time of a loop over lines. The first line is the sum.
        words = text.partition(b"\nintr")[0].split()
        width = len(text.partition(b"\n")[0].split())
        cores = words[width::width]
        counters = [list(map(int, words[width + nth :: width])) for nth in range(1, min(width, 11))]
        fields = len(counters)
        counters += [[0] * len(cores)] * (10 - fields)
        user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice = counters
        ticks = [
            *map(sub, user, guest),
            *map(sub, nice, guest_nice),
            *system,
            *idle,
            *iowait,
            *map(add, irq, softirq),
            *steal,
            *map(add, guest, guest_nice),
        ]
        return _Counters(cores, ticks, fields)

    def _mend(self, cells: list[Any], before: list[int], now: _Counters) -> None:
        """Replace what fell: by 0, with the greater base kept, where it was rounding, else by what is missing."""
        for at, cell in enumerate(cells):
            if cell >= 0:
                continue
            mode, core = _MODES[at // len(self._cores)], self._cores[at % len(self._cores)]
            if mode in _ROUNDED and -round(cell * self._hertz) <= _ROUNDING:
                cells[at] = 0.0
                now.ticks[_MODES.index(mode) * len(now.cores) + now.cores.index(core)] = before[at]
            else:
                cells[at] = _WENT_BACK[mode]


class _Counters(NamedTuple):
    """One reading: `ticks` by mode and core, `fields` the number of counters that the kernel has for a core."""

    cores: list[bytes]
    ticks: list[int]
    fields: int

    def of(self, cores: list[bytes]) -> list[int]:
        """The ticks of some of the cores, by mode and core."""
        places = [self.cores.index(core) for core in cores]
        return [self.ticks[mode * len(self.cores) + at] for mode in range(len(_MODES)) for at in places]
