"""A peer: what a script with psutil and the csv module does; run as a process of its own.

Usage: `python -m benchmarks.loop_psutil FILE INTERVAL GROUP...`; one line of the file for each collection.
"""

from __future__ import annotations

import csv
import sys
import time
from itertools import chain

import psutil


def main(path: str, interval: float, groups: list[str]) -> None:
    """Collect until it is ended."""
    readers = {
        "cpu": lambda: chain.from_iterable(psutil.cpu_times(percpu=True)),
        "memory": psutil.virtual_memory,
        "disk": lambda: chain.from_iterable(psutil.disk_io_counters(perdisk=True).values()),
        "network": lambda: chain.from_iterable(psutil.net_io_counters(pernic=True).values()),
        "load": psutil.getloadavg,
    }
    chosen = [readers[group] for group in groups]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        deadline = time.monotonic()
        while True:
            writer.writerow([time.time(), *chain.from_iterable(read() for read in chosen)])
            file.flush()
            deadline += interval
            time.sleep(max(0.0, deadline - time.monotonic()))


main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
