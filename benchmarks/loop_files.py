"""A control of `kilohertz`: the barest loop of Python that wakes at absolute deadlines and reads the same files.

Usage: `python -m benchmarks.loop_files INTERVAL_NS SECONDS PRIORITY PATH...`, as `controls/ticker.c`, and prints the
same: without rows, series, lateness, chain or a second thread it is what no engine in Python can be cheaper than.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from array import array

SLACK_NS = 1000


def main(interval_ns: str, seconds: str, priority: str, *paths: str) -> None:
    """Read every file at each deadline and take the numbers out of it; then print what was seen."""
    interval, span = int(interval_ns), int(float(seconds) * 1e9)
    files = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in paths]
    room = span // interval + 2
    times = [array("q", [-1]) * room for _ in files]
    if int(priority):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(int(priority)))
    with open(f"/proc/{threading.get_native_id()}/timerslack_ns", "wb", buffering=0) as slack:
        slack.write(b"%d" % SLACK_NS)
    gc.freeze()
    now, pread, work = time.monotonic_ns, os.pread, list(zip(files, times, strict=True))
    spent = time.process_time_ns()
    first = deadline = now() + interval
    end, tick, missed, total = first + span, 0, 0, 0
    while deadline < end and tick < room:
        remaining = deadline - now()
        if remaining > 0:
            time.sleep(remaining / 1e9)
        woken = at = now()
        for file, polled in work:
            polled[tick] = at
            total += sum(map(int, pread(file, 512, 0).split()))
            at = now()
        tick += 1
        late = (woken - deadline) // interval
        missed += late
        deadline += (late + 1) * interval
    spent = time.process_time_ns() - spent
    said = {"first_ns": first, "end_ns": end, "cpu_ns": spent, "missed": missed, "sum": total}
    print(json.dumps({**said, "times": [polled[:tick].tolist() for polled in times]}))


main(*sys.argv[1:])
