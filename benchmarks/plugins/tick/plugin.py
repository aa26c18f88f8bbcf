"""The source `tick`."""

from __future__ import annotations

import os
from array import array
from typing import TYPE_CHECKING

from meter.core.plugin import Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

METRICS = ("bench.count", "bench.level")


class Plugin(Source):
    """Reads files that it keeps open, and remembers when.

    Emits `bench.count` (By, u64, counter) and `bench.level` (J, f64, gauge): the numbers in turn, `item` is the place,
    `group` the first of the option.
    The room for times is taken at the start, so that the process does not grow by them.
    """

    def start(self, context: SourceContext) -> None:
        """Open the files; they keep how many numbers they have. Raises: OSError, one cannot be read."""
        self._files = [context.open(path) for path in self.config["files"]]
        # Counters are whole numbers, levels have digits as measured ones do.
        self._constant = [place + 0.1234567 if place % 2 else place for place in range(self.config["series"])]
        self._times = array("q", [0]) * self.config["room"]
        # Likewise; a reading of it at each poll would be part of what is measured elsewhere.
        self._delays = array("q", [0]) * (self.config["room"] if self.config["delays"] else 0)
        self._schedstat = -1
        self._polls = 0
        group = self.config["groups"][0]
        self._columns = context.columns(
            ColumnSpec(METRICS[place % 2], attributes={"item": str(place), "group": group})
            for place in range(len(self._numbers()))
        )

    def poll(self, out: Readings) -> None:
        """Read each file once."""
        if self._polls < len(self._times):
            self._times[self._polls] = out.ts
            if self._delays:
                self._delays[self._polls] = self._delay()
        self._polls += 1
        out.row(self._columns, self._numbers())

    def _numbers(self) -> Sequence[float]:
        if not self._files:
            return self._constant
        numbers: list[int] = []
        for file in self._files:
            numbers += map(int, os.pread(file, 512, 0).split())
        return numbers

    def _delay(self) -> int:
        """How long this thread has waited for a processor in all, in nanoseconds (sched-stats.rst of the kernel)."""
        if self._schedstat < 0:
            self._schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        return int(os.pread(self._schedstat, 64, 0).split()[1])

    def stop(self) -> None:
        """Write the times, close the files. Raises: OSError."""
        with open(self.config["times"], "wb") as file:
            self._times[: self._polls].tofile(file)
        if self._delays:
            os.close(self._schedstat)
            with open(f"{self.config['times']}.delays", "wb") as file:
                self._delays[: self._polls].tofile(file)
        for each in self._files:
            os.close(each)
