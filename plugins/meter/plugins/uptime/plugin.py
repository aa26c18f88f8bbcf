"""The source `uptime`."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_PATH = "/proc/uptime"


class Uptime(Source):
    """How long the machine has been running.

    Emits `system.uptime` (s, f64, gauge), time in suspend included, rounded down to 10 ms. It is missing where the file
    does not begin with a number.

    Row: one column.
    Raises: Retry, the file could not be read this once.
    Source: proc_uptime(5); Linux, fs/proc/uptime.c (`uptime_proc_show`).
    """

    def start(self, context: SourceContext) -> None:
        """Open the file. Raises: OSError, it cannot be read."""
        self._columns = context.columns([ColumnSpec("system.uptime")])
        self._file = context.open(_PATH)

    def poll(self, out: Readings) -> None:
        """Read the file once."""
        try:
            text = os.pread(self._file, 256, 0)
        except OSError as error:
            raise Retry(f"{_PATH}: {error.strerror}") from error
        try:
            seconds = float(text.split(None, 1)[0])
        except (IndexError, ValueError):
            seconds = math.nan
        known = 0 <= seconds < math.inf
        out.row(self._columns, [seconds if known else Missing(f"{_PATH} does not begin with an uptime: {text!r}")])

    def stop(self) -> None:
        """Close the file."""
        os.close(self._file)
