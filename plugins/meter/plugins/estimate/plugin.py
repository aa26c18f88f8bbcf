"""The source `estimate`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_STAT: Final = "/proc/stat"
_PACKAGE: Final = "/sys/devices/system/cpu/cpu{}/topology/physical_package_id"
_SECOND: Final = 1e9
_BUSY: Final = (1, 2, 3, 6, 7)
"""user, nice, system, irq and softirq; guests are in the first two, and what was stolen others have used."""
_WENT_BACK: Final = Missing("the counters of CPU time went back")


class Estimate(Source):
    """Energy of each package by a load model: idle power, and the rest of its TDP in proportion to busy CPUs.

    Emits `hw.energy` (J, f64, delta, domain package), always `estimated`: idle x length of the row + busy time x
    (tdp - idle) / cpus. A core's first reading is its base. Where the host does not say of which package a core is, it
    is of package 0. A package with a core whose time fell is missing this once.

    Row: one column for each package. Resolution of busy time: 1 / USER_HZ, 10 ms nearly everywhere.
    Raises: Retry, the file could not be read this once; the next delta spans both intervals.
    Source: tests/data/tdp-cases.json; Linux, Documentation/filesystems/proc.rst (stat).
    """

    def start(self, context: SourceContext) -> None:
        """Open the file. Raises: OSError, it cannot be read."""
        self._context = context
        self._file = context.open(_STAT)
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._busy: dict[str, int] = {}
        self._packages: dict[str, str] = {}

    def poll(self, out: Readings) -> None:
        """Read the file once."""
        before, now = self._busy, self._read()
        if now.keys() != before.keys():
            self._packages = {core: self._package(core) for core in now}
        self._busy = now
        ticks: dict[str, list[int]] = {}
        for core in now:
            if core in before:
                ticks.setdefault(self._packages[core], []).append(now[core] - before[core])
        if ticks:
            columns = out.columns(
                [ColumnSpec("hw.energy", package, attributes={"domain": "package"}) for package in ticks]
            )
            seconds = (out.ts - out.since) / _SECOND
            out.row(columns, [self._joules(each, seconds) for each in ticks.values()])

    def stop(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _joules(self, ticks: list[int], seconds: float) -> float | Missing:
        """What a package is likely to have used, whose cores were busy for so many ticks each."""
        if min(ticks) < 0:
            return _WENT_BACK
        tdp, idle = self.config["tdp"], self.config["idle"]
        joules: float = idle * seconds + sum(ticks) / self._hertz * (tdp - idle) / (self.config["cpus"] or len(ticks))
        return joules

    def _read(self) -> dict[str, int]:
        """The busy ticks of each core."""
        size = 1 << 14
        try:
            # Only the head is wanted, but what follows grows with the machine.
            while len(text := os.pread(self._file, size, 0)) == size and b"\nintr" not in text:
                size *= 2
        except OSError as error:
            raise Retry(f"{_STAT}: {error.strerror}") from error
        lines = [line.split() for line in text.partition(b"\nintr")[0].splitlines()]
        return {
            words[0].decode().removeprefix("cpu"): sum(int(words[nth]) for nth in _BUSY if nth < len(words))
            for words in lines
            if words and words[0].startswith(b"cpu") and words[0] != b"cpu"
        }

    def _package(self, core: str) -> str:
        """The package of a core; the first where the host does not say, as in most containers."""
        try:
            with self._context.open_binary(_PACKAGE.format(core)) as file:
                return str(max(0, int(file.read())))
        except (OSError, ValueError):
            return "0"
