"""Isolation: ticks and lateness at 1 kHz beside a filter that computes in Python, with `--isolate` and without.

The filter takes 300 us of CPU time for each row, which is 30 % of a core, and holds the interpreter's lock meanwhile.
Both are the same mounted backend, in turn.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from typing import TYPE_CHECKING, Final

from benchmarks.figure import Figure, absent
from benchmarks.kilohertz import refused_realtime
from benchmarks.loop_engine import PLUGINS
from benchmarks.polling import TICKS_BAR, WARM_S, Pace, add_source, of_engine, said_by
from meter.core import Backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.polling import Ran

PACE: Final = Pace(1000, span_s=2.5)
NUMBERS: Final = "1 2"
HERE: Final = "one process"


def figures() -> Iterator[Figure]:
    """Ticks polled, lateness, CPU time of the process that polls."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = mount(folder, PACE)
        yield from told("isolated", folder, file)
        if why := refused_realtime():
            yield absent("real-time priority", "%", why)
        else:
            yield from told("isolated, real-time", folder, file, "realtime")


def told(what: str, folder: str, file: str, *how: str) -> Iterator[Figure]:
    """The figures of one way to run."""
    words = [sys.executable, "-m", "benchmarks.loop_engine", file, str(PACE.span_s), str(WARM_S), *how]
    here: list[Ran] = []
    apart: list[Ran] = []
    for _ in range(PACE.rounds):
        here.append(of_engine(said_by(words, folder)))
        apart.append(of_engine(said_by([*words, "isolate"], folder)))

    def figure(name: str, field: str, unit: str, bar: float | None = None, of: str = "x") -> Figure:
        two, one = (statistics.median(getattr(ran, field) for ran in rans) for rans in (apart, here))
        return Figure(f"{what}, {name}", two, one, HERE, unit, bar, of, field == "percent")

    yield figure("ticks polled", "percent", "%", TICKS_BAR, "%")
    yield figure("lateness p50", "p50_us", "us")
    yield figure("lateness p99", "p99_us", "us", 1)
    yield figure("lateness max", "max_us", "us")
    yield figure("CPU of who polls", "cpu", "%")


def mount(folder: str, pace: Pace) -> str:
    """A mount file with two numbers of a file, the filter and an output that throws everything away."""
    numbers = os.path.join(folder, "numbers.txt")
    with open(numbers, "w", encoding="ascii") as file:
        file.write(f"{NUMBERS}\n")
    path = os.path.join(folder, "busy.toml")
    add_source(Backend("/loop", file=path, plugin_dirs=PLUGINS), "tick", pace, folder, [numbers]).add("busy").add(
        "null"
    ).mounted()
    return path
