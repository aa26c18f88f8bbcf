"""The source `load`."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_PATH = "/proc/loadavg"
_METRICS = ("system.cpu.load_average.1m", "system.cpu.load_average.5m", "system.cpu.load_average.15m")


class Load(Source):
    """The three load averages of the machine.

    Emits `system.cpu.load_average.1m`, `.5m` and `.15m` ({thread}, f64, gauge): threads that run, wait for a CPU or are
    in uninterruptible sleep. What the file does not say as a number is missing.

    Row: three columns, in steps of 0.01.
    Raises: Retry, the file could not be read this once.
    Source: proc_loadavg(5); Linux, kernel/sched/loadavg.c.
    """

    def start(self, context: SourceContext) -> None:
        """Open the file. Raises: OSError, it cannot be read."""
        self._columns = context.columns(map(ColumnSpec, _METRICS))
        self._file = context.open(_PATH)

    def poll(self, out: Readings) -> None:
        """Read the file once."""
        try:
            text = os.pread(self._file, 256, 0)
        except OSError as error:
            raise Retry(f"{_PATH}: {error.strerror}") from error
        words = text.split(None, 3)
        out.row(self._columns, [_load(words, place, text) for place in range(len(_METRICS))])

    def stop(self) -> None:
        """Close the file."""
        os.close(self._file)


def _load(words: list[bytes], place: int, text: bytes) -> float | Missing:
    """One of the numbers with which the file begins."""
    try:
        load = float(words[place])
    except (IndexError, ValueError):
        load = math.nan
    return load if 0 <= load < math.inf else Missing(f"{_PATH} does not begin with three load averages: {text!r}")
