"""A control: the sources of a locked backend in the barest loop, without engine, chain or output.

Usage: `python -m benchmarks.loop_sources LOCK MOUNTPOINT`; polls until it is ended and throws every row away.
"""

from __future__ import annotations

import sys
import time

from meter.contracts.variants import Variant
from meter.core import lock
from meter.core.loading import load
from meter.core.readings import BoundSourceContext, Declared, Readings
from meter.core.rows import Rows


def main(path: str, mountpoint: str) -> None:
    """Poll every source once in its interval; all have the same one."""
    entry = lock.read(path)["mounts"][mountpoint]
    contracts = lock.contracts_of(entry)
    polled = []
    rows = Rows()
    interval = 0
    for plugin in entry["plan"]["plugins"]:
        if plugin["role"] != "source":
            continue
        made = load(plugin["plugin"], contracts[plugin["plugin"]], plugin["exports"]["plugin"])(plugin["config"])
        declared = Declared(plugin["instance"], [Variant.from_json(each) for each in plugin["emits"]])
        made.start(BoundSourceContext(declared))
        polled.append((made.poll, Readings(declared)))
        interval = int(plugin["config"]["interval"])
    deadline = time.monotonic_ns()
    while True:
        for poll, readings in polled:
            readings.begin(time.monotonic_ns())
            poll(readings)
            readings.give(rows)
            rows.entries.clear()
        deadline += interval
        time.sleep(max(0, deadline - time.monotonic_ns()) / 1e9)


main(*sys.argv[1:])
