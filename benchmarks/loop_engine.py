"""A mounted backend whose sources are `tick`, with the engine that runs every mount.

Usage: `python -m benchmarks.loop_engine FILE SECONDS [WARM_S] [realtime] [isolate]`: runs `/loop` of a mount file for
WARM_S seconds, which do not count, then for SECONDS, and prints one JSON object about these:

- `nominal`, `polled`, `missed`: deadlines of all sources; polls that met or stood for them; the difference
- `p50_us`, `p99_us`, `max_us`: lateness of the polls
- `first`: the same of that source alone which was polled first
- `cpu`: CPU time of the process by time, in %; with `isolate` of the one that polls
- `told_polls`, `told_missed`: what meter itself has counted
- `told_nominal`: what both have to be together, by the times of the polls
- `rows`, `lost`, `faults`: what the chain got, what reached not every output, codes of what went wrong
- `stop_s`: what the end took
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from array import array
from bisect import bisect
from pathlib import Path

from benchmarks.lateness import Lateness, lateness, tick_of
from meter.core import Backend, realtime
from meter.core.clock import MonotonicClock
from meter.core.engine import Engine

PLUGINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugins")


class Told(MonotonicClock):
    """The clock of the engine, which tells one of its deadlines; all others are whole intervals from it."""

    deadline_ns = 0

    def sleep_until(self, deadline_ns: int, wake: threading.Event) -> None:
        """Return at the deadline, or before it when `wake` is set."""
        if not self.deadline_ns:
            self.deadline_ns = deadline_ns
        super().sleep_until(deadline_ns, wake)


def main(file: str, seconds: str, warm: str = "1", *how: str) -> None:
    """Run it and print what it did."""
    mounted = Backend.load("/loop", file=file, plugin_dirs=PLUGINS)
    ticks = [each["config"] for each in mounted.plan.document["plugins"] if each["plugin"] == "tick"]
    interval = int(ticks[0]["interval"])
    clock = Told()
    isolate = "isolate" in how
    folder = Path(mounted.folder)
    engine = Engine(mounted.plan.document, mounted.contracts, folder=folder, clock=clock, isolate=isolate)
    if "realtime" in how:
        realtime.enter()
    engine.start()
    engine.go()
    engine.ended.wait(float(warm))
    tally, begin, spent = engine.tally(), time.monotonic_ns(), time.process_time_ns()
    engine.ended.wait(float(seconds))
    spent, end = time.process_time_ns() - spent, time.monotonic_ns()
    done = engine.stop()
    stopped = time.monotonic_ns()
    times = [_times(config["times"]) for config in ticks]
    first = min(times, key=lambda series: series[0])
    grid = (clock.deadline_ns, interval)
    # The last poll of each source is that of the end, which has no deadline.
    bounds = [(series[bisect(series, begin) - 1], series[-2]) for series in times]
    nominal = sum(tick_of(last, *grid) - tick_of(before, *grid) for before, last in bounds)
    document = {
        **_told(lateness(times, *grid, begin, end)),
        "first": _told(lateness([first], *grid, begin, end)),
        "cpu": 100 * spent / (end - begin),
        "told_polls": done.polls - tally.polls - len(times),
        "told_missed": done.missed - tally.missed,
        "told_nominal": nominal,
        "rows": done.rows,
        "lost": done.lost,
        "faults": [fault.code for fault in engine.faults],
        "stop_s": (stopped - end) / 1e9,
    }
    print(json.dumps(document))


def _told(found: Lateness) -> dict[str, float]:
    return {**found._asdict(), "missed": found.missed}


def _times(path: str) -> array[int]:
    times = array("q")
    with open(path, "rb") as file:
        times.frombytes(file.read())
    return times


if __name__ == "__main__":
    main(*sys.argv[1:])
