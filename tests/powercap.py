"""Machines with RAPL whose power is known: a tree as of /sys/class/powercap, and counters that advance in it.

`python -m tests.powercap ROOT ROW SECONDS [BUSY]` lets so many seconds pass on the machine of a row of the energy
matrix, in steps of 10 ms, as fast as it can. So many of its 4 processors are busy in them; without this it has none.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

RANGE: Final = 262_143_328_850
STEP_S: Final = 0.01
PROCESSORS: Final = 4


class Zone(NamedTuple):
    """A zone: its name, its power, where its counter begins (below 0: before the end), and its greatest reading."""

    name: str
    watts: float
    start_uj: int = 5_000_000_000
    range_uj: int = RANGE


_AS_A: Final = {"intel-rapl:0": Zone("package-0", 100), "intel-rapl:0:0": Zone("core", 60, 6_000_000_000)}
ROWS: Final[dict[str, dict[str, Zone]]] = {
    "A": {**_AS_A, "intel-rapl:0:1": Zone("dram", 10, 7_000_000_000)},
    "B": {
        **_AS_A,
        "intel-rapl:0:1": Zone("uncore", 5, 1_000_000_000),
        "intel-rapl:1": Zone("psys", 150, 30_000_000_000),
    },
    # The counters wrap when 9 s have passed, or 5 s.
    "V": {
        **_AS_A,
        "intel-rapl:0": Zone("package-0", 100, -900_000_000),
        "intel-rapl:0:1": Zone("dram", 10, -90_000_000),
    },
    "W": {
        **_AS_A,
        "intel-rapl:0": Zone("package-0", 100, -500_000_000),
        "intel-rapl:0:1": Zone("dram", 10, -50_000_000),
    },
}
ROWS["U"] = ROWS["A"]
"""The machines of the energy matrix; of U nothing can be read."""


class Powercap:
    """The tree below a folder; `at` sets the counters to what they are so many seconds after the begin."""

    def __init__(self, root: Path, zones: dict[str, Zone]) -> None:
        self.root = root
        self.folder = root / "sys" / "class" / "powercap"
        self.zones = zones
        for place, zone in zones.items():
            self.make(place, zone)

    def make(self, place: str, zone: Zone) -> Path:
        """A zone, below its package where it is a part, with the link that the kernel makes for each."""
        words = place.split(":")
        above = "/".join(":".join(words[:nth]) for nth in range(2, len(words) + 1))
        folder = self.folder / words[0] / above
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"{zone.name}\n")
        (folder / "max_energy_range_uj").write_text(f"{zone.range_uj}\n")
        link = self.folder / place
        if not link.is_symlink():
            link.symlink_to(f"{words[0]}/{above}")
        self.set(place, zone.start_uj % (zone.range_uj + 1))
        return folder

    def file(self, place: str, name: str = "energy_uj") -> Path:
        """A file of a zone."""
        return self.folder / place / name

    def set(self, place: str, energy_uj: int) -> None:
        """Write a counter in place: readers keep the file open."""
        descriptor = os.open(self.file(place), os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(descriptor, b"%012d\n" % energy_uj, 0)
        os.close(descriptor)

    def at(self, seconds: float) -> None:
        """The counters after so many seconds."""
        for place, zone in self.zones.items():
            self.set(place, (zone.start_uj + round(zone.watts * seconds * 1e6)) % (zone.range_uj + 1))


class Processors:
    """`/proc/stat` below a folder, of a machine on which so many processors are busy."""

    def __init__(self, root: Path, busy: int) -> None:
        self._path = root / "proc" / "stat"
        self._busy = busy
        self._path.parent.mkdir(exist_ok=True)
        self.at(0)

    def at(self, seconds: float) -> None:
        """The counters after so many seconds, in one write, as they are read meanwhile."""
        ticks = round(seconds * os.sysconf("SC_CLK_TCK"))
        cells = [(ticks, 0) if nth < self._busy else (0, ticks) for nth in range(PROCESSORS)]
        cells.insert(0, (ticks * self._busy, ticks * (PROCESSORS - self._busy)))
        lines = [
            f"cpu{nth - 1 if nth else ''} {user:010d} 0 0 {idle:010d} 0 0 0 0 0 0\n"
            for nth, (user, idle) in enumerate(cells)
        ]
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(descriptor, "".join([*lines, "intr 0\n"]).encode(), 0)
        os.close(descriptor)


def row(root: Path, name: str) -> Powercap:
    """The machine of a row of the energy matrix."""
    return Powercap(root, ROWS[name])


def play(root: Path, name: str, seconds: float, busy: int | None = None) -> None:
    """Let time pass on the machine of a row."""
    machine = row(root, name)
    processors = None if busy is None else Processors(root, busy)
    for nth in count(1):
        machine.at(min(nth * STEP_S, seconds))
        if processors is not None:
            processors.at(min(nth * STEP_S, seconds))
        if nth * STEP_S >= seconds:
            return


if __name__ == "__main__":
    play(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), *map(int, sys.argv[4:]))
