"""A mounted backend whose sources are `tick`, run as a script does it.

Usage: `python -m benchmarks.loop_engine FILE SECONDS [WARM_S]`: runs `/loop` of a mount file for WARM_S seconds, which
do not count, then for SECONDS, and prints one JSON object about these:

- `nominal`, `polled`, `missed`: deadlines of all sources; polls that met or stood for them; the difference
- `p50_us`, `p99_us`, `max_us`: lateness of the polls
- `first`: the same of that source alone which was polled first
- `cpu`: CPU time of the process by time, in %
- `told_polls`, `told_missed`: what meter itself has counted
- `told_nominal`: what both have to be together, by the times of the polls
- `rows`, `lost`, `faults`: what the chain got, what reached not every output, codes of what went wrong
- `stop_s`: what the end took
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from bisect import bisect

from benchmarks.lateness import Lateness, lateness, tick_of
from meter.core import Backend

PLUGINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugins")


def main(file: str, seconds: str, warm: str = "1") -> None:
    """Run it and print what it did."""
    mounted = Backend.load("/loop", file=file, plugin_dirs=PLUGINS)
    ticks = [each["config"] for each in mounted.plan.document["plugins"] if each["plugin"] == "tick"]
    interval = int(ticks[0]["interval"])
    running = mounted.running()
    running.start()
    running.wait(float(warm))
    before, begin, spent = running.tally(), time.monotonic_ns(), time.process_time_ns()
    running.wait(float(seconds))
    spent, end = time.process_time_ns() - spent, time.monotonic_ns()
    tally = running.stop()
    stopped = time.monotonic_ns()
    times = [_times(config["times"]) for config in ticks]
    first = min(times, key=lambda series: series[0])
    # The last poll of each source is that of the end, which has no deadline.
    bounds = [(series[bisect(series, begin) - 1], series[-2]) for series in times]
    nominal = sum(tick_of(end, first[0], interval) - tick_of(begin, first[0], interval) for begin, end in bounds)
    document = {
        **_told(lateness(times, first[0], interval, begin, end)),
        "first": _told(lateness([first], first[0], interval, begin, end)),
        "cpu": 100 * spent / (end - begin),
        "told_polls": tally.polls - before.polls - len(times),
        "told_missed": tally.missed - before.missed,
        "told_nominal": nominal,
        "rows": tally.rows,
        "lost": tally.lost,
        "faults": [fault.code for fault in running.faults],
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
