"""The source `rapl`."""

from __future__ import annotations

import math
import threading
import time
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from meter.core.plugin import Missing, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings
    from meter.plugins.rapl.found import Series

STILL_S: Final = 1.0
"""A counter that has not moved for so long stands still: those of a machine that is on move about each 1 ms.

One that has not moved since its first reading may be of a driver that feeds none, however short that time is.
"""
_NEVER: Final = "since it was first read"
_RESOURCES: Final = {"dram": "dram", "psys": "machine"}
_WRAPS: Final = ColumnSpec("meter.wrap.count")


class Rapl(Source):
    """Energy of each package, its parts and its memory since the previous poll.

    Emits `hw.energy` (J, f64, delta) for each domain that this host has, and `meter.wrap.count` ({wrap}, u64, delta);
    the first poll is their base. A counter that wraps is corrected. One that could not be read, began anew, or jumped
    by more than a processor can take is missing with the reason, and goes on from its next reading. One that stands
    still, or has not moved yet, is missing, too, unless it is of `uncore`; when it moves a row of its own has what it
    counted meanwhile.

    Where the interval is so long that a counter could wrap twice in it, a thread reads them in between.

    Row: a column for each domain, and one; domains with another begin have their own.
    Steps are those of the counters, 61 uJ mostly, which move each 1 ms.
    Source: Linux, Documentation/power/powercap/powercap.rst; drivers/powercap/intel_rapl_common.c;
    arch/x86/events/rapl.c; tests/data/measurement-cases.json (counter-difference, rapl-*).
    """

    def start(self, context: SourceContext) -> None:
        """Find the counters. Raises: LookupError, there is none; ValueError, the kernel's words are not understood."""
        self._series = _found(context, self.config["reader"])
        self._counters = [counter for series in self._series for counter in series.counters]
        self._energies = [_Energy(series) for series in self._series]
        self._columns = context.columns([*map(_column, self._series), _WRAPS])
        self._begun = False
        self._lock = threading.Lock()
        self._guard: _Guard | None = None
        seconds = min(counter.guard_s for counter in self._counters)
        if self.config["interval"] > seconds * 1e9:
            self._guard = _Guard(self._look, seconds)

    def poll(self, out: Readings) -> None:
        """Read each counter once."""
        with self._lock:
            for counter in self._counters:
                counter.look(out.ts)
            found = [energy.step(out.since) for energy in self._energies]
            wraps = sum(counter.wraps for counter in self._counters)
            for counter in self._counters:
                counter.wraps = 0
        if self._begun:
            self._tell(out, found, wraps)
        elif self._guard is not None:
            self._guard.start()
        self._begun = True

    def _tell(self, out: Readings, found: list[tuple[float | Missing, int]], wraps: int) -> None:
        """A row for each begin."""
        if all(since == out.since for _, since in found):
            out.row(self._columns, [*[cell for cell, _ in found], wraps])
            return
        rows: dict[int, tuple[list[ColumnSpec], list[float | Missing]]] = {out.since: ([], [])}
        for series, (cell, since) in zip(self._series, found, strict=True):
            specs, cells = rows.setdefault(since, ([], []))
            specs.append(_column(series))
            cells.append(cell)
        specs, cells = rows[out.since]
        specs.append(_WRAPS)
        cells.append(wraps)
        for since, (specs, cells) in rows.items():
            out.row(out.columns(specs), cells, since=since)

    def stop(self) -> None:
        """Close the files, and end the thread if there is one."""
        if self._guard is not None:
            self._guard.stop()
        for counter in self._counters:
            counter.close()

    def _look(self, ts: int) -> None:
        """Read each counter between two polls."""
        with self._lock:
            for counter in self._counters:
                counter.look(ts)


class _Guard:
    """A thread that calls `look` each so many seconds, with the time in monotonic nanoseconds."""

    def __init__(self, look: Callable[[int], None], seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter-rapl", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self._look(time.monotonic_ns())


def _found(context: SourceContext, reader: str) -> list[Series]:
    """What one of the readers finds. Raises: as `start`."""
    if reader == "perf" or (reader == "auto" and context.alternative.startswith("perf")):  # whatever permits it
        from meter.plugins.rapl import perf  # of two readers one is needed

        found, folder = perf.find(context), perf.FOLDER
    else:
        from meter.plugins.rapl import powercap  # as above

        found, folder = powercap.find(context), powercap.FOLDER
    if not found:
        raise LookupError(f"there is no counter of energy in {folder}: leave this source out on such a machine")
    return found


def _column(series: Series) -> ColumnSpec:
    resource = _RESOURCES.get(series.domain, "cpu_package")
    return ColumnSpec("hw.energy", series.package, resource=resource, attributes={"domain": series.domain})


class _Energy:
    """Joules of all counters of a series; what came while one stood still is kept until it moves again."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._kept = 0.0
        self._since: int | None = None

    def step(self, previous: int) -> tuple[float | Missing, int]:
        """Joules and since when, in monotonic ns, or why they are not known since `previous`. Each counter is asked."""
        taken = [counter.take() for counter in self._series.counters]
        kept, since = self._kept, previous if self._since is None else self._since
        self._kept, self._since = 0.0, None
        for joules in taken:
            if isinstance(joules, Missing):
                return joules, previous
            kept += joules
        still = self._still()
        if still is None:
            return kept, since
        self._kept, self._since = kept, since
        return still, previous

    def _still(self) -> Missing | None:
        """Whether the series stands still: graphics may take nothing, as may one core of several."""
        domain, counters = self._series.domain, self._series.counters
        if domain == "uncore":
            return None
        counter = (min if domain == "core" else max)(counters, key=attrgetter("still_s"))
        if counter.still_s < STILL_S:
            return None
        ever = math.isfinite(counter.still_s)
        return Missing(f"{counter.name} has not moved {f'for {STILL_S:g} s or more' if ever else _NEVER}")
