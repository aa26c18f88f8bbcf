"""The counters of a machine, which advance: `python -m benchmarks.energy.feeder ROOT ROW`.

It makes the tree below ROOT, says `ready`, and renews the counters until its input ends; then it says for how many
seconds they were not renewed at the longest. The line `wrap S` lets those of package, memory and platform start again
at 0 in S seconds. It has real-time priority where that is permitted, as a counter that stands still for a while would
be taken for a fault of the tools.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from pathlib import Path

from benchmarks.energy.machines import MACHINES, STEP_S
from tests.powercap import ROWS, Powercap


def tree(root: Path, row: str) -> Powercap:
    """The counters of a machine, with the files that the kernel has beside them."""
    machine = MACHINES[row]
    made = Powercap(root, dict(ROWS["B" if "psys" in machine.watts else "A"]))
    (made.folder / "intel-rapl" / "subsystem").symlink_to("../../powercap")
    for place in ("intel-rapl", *made.zones):
        made.file(place, "enabled").write_text("1\n")
    for place in made.zones:
        if machine.denied:
            made.file(place).chmod(0)
    return made


def feed(made: Powercap) -> float:
    """Renew the counters until the input ends; the longest time in which they were not renewed, in seconds."""
    begin = last = time.monotonic()
    longest = 0.0
    while True:
        if select.select([sys.stdin], [], [], STEP_S)[0]:
            word, _, seconds = sys.stdin.readline().partition(" ")
            if not word:
                return longest
            at_s = time.monotonic() - begin + float(seconds)
            for place, zone in made.zones.items():
                if zone.name != "core":
                    made.zones[place] = zone._replace(start_uj=-round(zone.watts * at_s * 1e6))
        now = time.monotonic()
        made.at(now - begin)
        longest, last = max(longest, time.monotonic() - last), now


def main() -> None:
    """As above."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    made = tree(Path(sys.argv[1]), sys.argv[2])
    print("ready", flush=True)
    print(feed(made), flush=True)


if __name__ == "__main__":
    main()
