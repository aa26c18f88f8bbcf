"""Stalls: polls that are later than 10 ms in two minutes of 1 kHz, or METER_STALLS_MINUTES, and whom they waited for.

The chain is that of `kilohertz`, the loop in C reads the same files at the same time. The kernel says for how long the
thread that polls was ready and had no processor; what is neither that nor late in C, too, waited for meter itself: for
the interpreter's lock, as a rule. It runs only when it is named; `chrt -f 50` before the command tells it with
real-time priority.

Source: Linux, Documentation/scheduler/sched-stats.rst (/proc/PID/schedstat).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from array import array
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import kilohertz
from benchmarks.controls import compiled
from benchmarks.figure import Figure
from benchmarks.hosts import source_path
from benchmarks.polling import WARM_S, C, Pace
from benchmarks.processes import Process
from benchmarks.soak import said_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LATE_NS: Final = 10_000_000
SHOWN: Final = 8
"""So many of those that waited for meter are told with their time and length."""


class Stall(NamedTuple):
    """No poll between two times although there should have been; `waited_ns` of it the thread had no processor."""

    begin_ns: int
    end_ns: int
    waited_ns: int = 0

    @property
    def late_ns(self) -> int:
        """How long it was."""
        return self.end_ns - self.begin_ns

    def meets(self, others: Sequence[Stall]) -> bool:
        """Whether half of it lies in one of these."""
        shared = (min(self.end_ns, other.end_ns) - max(self.begin_ns, other.begin_ns) for other in others)
        return max(shared, default=0) > self.late_ns / 2


def stalls(
    times: Sequence[int], interval_ns: int, longest_ns: int = LATE_NS, delays: Sequence[int] = ()
) -> list[Stall]:
    """The pauses between polls that were longer than they should have been by more than a limit."""
    return [
        Stall(before + interval_ns, at, delays[place + 1] - delays[place] if delays else 0)
        for place, (before, at) in enumerate(pairwise(times))
        if at - before - interval_ns > longest_ns
    ]


def figures() -> Iterator[Figure]:
    """How many stalls there were beside the control, and of which kinds.

    Raises: NoCompilerError.
    """
    pace = Pace(kilohertz.PACE.hertz, 1, 60 * float(os.environ.get("METER_STALLS_MINUTES", "2")))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        times, delays, control = _ran(folder, pace)
    # The first pause is that before the schedule begins.
    own = stalls(times[1:], pace.interval_ns, delays=delays[1:])
    beside = stalls(control, pace.interval_ns)
    waited = [each for each in own if each.waited_ns > each.late_ns / 2]
    rest = [each for each in own if each not in waited]
    short = stalls(control, pace.interval_ns, LATE_NS // 4)
    both = [each for each in rest if each.meets(short)]
    mine = [each for each in rest if each not in both]
    at = ", ".join(f"{each.late_ns / 1e6:.0f} ms at {(each.end_ns - times[0]) / 1e9:.1f} s" for each in mine[:SHOWN])
    yield Figure(f"{pace.span_s / 60:g} min of 1 kHz, later than 10 ms", len(own), len(beside), C, "polls", None)
    yield Figure("  the thread was ready, without processor", len(waited), None, "", "polls", None)
    yield Figure("  the control was late at that time, too", len(both), None, "", "polls", None)
    yield Figure("  waited for meter itself", len(mine), None, "", "polls", None, note=at)
    latest = [max((each.late_ns for each in found), default=0) / 1e6 for found in (own, beside)]
    yield Figure("  latest of all", latest[0], latest[1], C, "ms", None)


def _ran(folder: str, pace: Pace) -> tuple[array[int], array[int], list[int]]:
    """The times of all polls, how long the thread had waited by then, and the times of the control."""
    file = os.path.join(folder, "chain.toml")
    files = kilohertz.write(folder, "panel", kilohertz.FILES, kilohertz.NUMBERS)
    kilohertz.chain(folder, file, pace, files, delays=True)
    ticker = [compiled("ticker", folder), str(pace.interval_ns), str(pace.span_s + WARM_S), *files]
    engine = [sys.executable, "-m", "benchmarks.loop_engine", file, str(pace.span_s), str(WARM_S)]
    env = {"PYTHONPATH": source_path()}
    with Process("stalls", engine, cwd=folder, env=env) as process, Process("ticker", ticker, cwd=folder) as control:
        time.sleep(pace.span_s)
        said_by(process, folder)
        times: list[int] = said_by(control, folder)["times"][0]
    path = os.path.join(folder, f"{pace.hertz}-panel.times")
    return _numbers(path), _numbers(f"{path}.delays"), times


def _numbers(path: str) -> array[int]:
    numbers = array("q")
    with open(path, "rb") as file:
        numbers.frombytes(file.read())
    return numbers
