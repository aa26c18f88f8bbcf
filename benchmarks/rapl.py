"""RAPL: what reading a domain of a processor costs, beside C that keeps the same files open.

The counters are files of a temporary folder, so the time that a kernel takes to read its own is not in either. Those
of two packages with their cores and memory are read at each poll.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.controls import NoCompilerError, compiled
from benchmarks.figure import Figure
from benchmarks.readings import ROUNDS, poll_us

if TYPE_CHECKING:
    from collections.abc import Iterator

ZONES: Final = {
    f"intel-rapl:{package}{part}": name
    for package in range(2)
    for part, name in (("", f"package-{package}"), (":0", "core"), (":1", "dram"))
}
BAR_US: Final = 5


def figures() -> Iterator[Figure]:
    """One domain: the bar is in microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        files = [_zone(Path(folder), *zone) for zone in ZONES.items()]
        took = poll_us("rapl", [], Path(folder)) / len(files)
        name = "poll of rapl, each of 6 domains"
        try:
            reader = compiled("reader", folder)
        except NoCompilerError as error:
            yield Figure(name, took, None, "C, files kept open", "us", BAR_US, of="us", note=str(error))
            return
        best = subprocess.run([reader, ROUNDS, *files], check=True, capture_output=True).stdout.split()[0]
        yield Figure(name, took, int(best) / 1e3 / len(files), "C, files kept open", "us", BAR_US, of="us")


def _zone(root: Path, place: str, name: str) -> str:
    """A zone of powercap; the path of its counter."""
    zone = root / "sys" / "class" / "powercap" / place
    zone.mkdir(parents=True)
    for file, text in {"name": name, "max_energy_range_uj": "262143328850", "energy_uj": "123456789012"}.items():
        (zone / file).write_text(f"{text}\n")
    return str(zone / "energy_uj")
