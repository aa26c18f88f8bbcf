"""Host sources: what measuring a host ten times a second costs, beside other agents that collect and keep the same.

All of them run at the same time and are compared over the same span: noise of the machine falls on all alike. Each
figure is the median of five consecutive windows; what a program needs to start is not in it.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import peers
from benchmarks.figure import Figure, absent, environment
from benchmarks.processes import EndedEarlyError, Process, lines
from meter.core.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

INTERVAL_S: Final = 0.1
WARM_S: Final = 4.0
WINDOW_S: Final = 4.0
WINDOWS: Final = 5
ROOT: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Cost(NamedTuple):
    """CPU seconds for 1,000 collections, collections in a second, resident memory now and at its peak in MiB."""

    cpu_s: float
    rate: float
    rss_mib: float
    peak_mib: float


class Watched(NamedTuple):
    """A process with the number of its collections so far."""

    process: Process
    collections: Callable[[], int]


class Paced:
    """The number of collections of a process that counts none: as many as it is asked for."""

    def __call__(self) -> int:
        """Whole intervals since the machine has started."""
        return round(time.monotonic() / INTERVAL_S)


def watch(watched: Mapping[str, Watched]) -> dict[str, Cost | EndedEarlyError]:
    """The cost of processes that run already, over one span."""
    time.sleep(WARM_S)
    alive: dict[str, Watched] = {}
    costs: dict[str, Cost | EndedEarlyError] = {}
    for name, each in watched.items():
        try:
            each.process.require()
        except EndedEarlyError as error:
            costs[name] = error
        else:
            alive[name] = each
    begin, marks, counts = time.monotonic(), {}, {}
    for name, each in alive.items():
        counts[name] = (time.monotonic(), each.collections())
        marks[name] = [(time.monotonic(), each.process.cpu_s())]
    for window in range(1, WINDOWS + 1):
        time.sleep(max(0.0, begin + window * WINDOW_S - time.monotonic()))
        for name, each in list(alive.items()):
            try:
                each.process.require()
            except EndedEarlyError as error:
                costs[name] = error
                del alive[name]
            else:
                marks[name].append((time.monotonic(), each.process.cpu_s()))
    for name, each in alive.items():
        at, count = counts[name]
        rate = (each.collections() - count) / (time.monotonic() - at)
        if not rate:
            costs[name] = EndedEarlyError(f"{name} runs, but has collected nothing in {WINDOWS * WINDOW_S:g} s")
            continue
        spent = [(c1 - c0) / (t1 - t0) for (t0, c0), (t1, c1) in zip(marks[name], marks[name][1:], strict=False)]
        costs[name] = Cost(1000 * statistics.median(spent) / rate, rate, *each.process.memory_mib())
    return costs


def available() -> list[str]:
    """Those of the groups that a built-in source measures here."""
    known = discover(installed=False).catalogue.entries
    return [group for group in peers.GROUPS if group in known]


def mount(folder: str, groups: Sequence[str], output: Sequence[str]) -> list[str]:
    """Mount the sources at `/host` in a folder; the command that runs them from a valid lock."""
    meter = [sys.executable, "-m", "meter"]
    words = [word for group in groups for word in (group, f"interval={round(INTERVAL_S * 1000)}ms")]
    plugins = ["--plugin-dir", folder]
    command = [*meter, "mount", *plugins, "/host", *words, *output]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment())
    return [*meter, "run", "--locked", *plugins, "/host"]


def figures() -> Iterator[Figure]:
    """CPU seconds and memory of `meter run` with CSV, beside each peer."""
    groups = available()
    for group in peers.GROUPS:
        if group not in groups:
            yield absent(f"host source {group}", "s", "meter has no such plugin; it is left out on all sides")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        command = mount(folder, groups, ["csv", "path=host.csv"])
        path = os.path.join(folder, "host.csv")
        meter = stack.enter_context(Process("meter", command, cwd=folder))
        watched = {"meter": Watched(meter, lambda: lines(path, b",system.memory.limit,"))}
        for make in peers.ALL:
            peer = make(folder, groups, INTERVAL_S)
            if isinstance(peer, peers.Absent):
                yield absent(peer.name, "s", f"not installed; {peer.install}")
                continue
            process = Process(make.__name__, peer.command, cwd=folder, env={"PYTHONPATH": source_path()})
            stack.enter_context(process)
            count = peer.collections
            if peer.scrape is not None:
                time.sleep(0.5)  # until it listens
                scraper = peers.Scraper(peer.scrape, INTERVAL_S)
                stack.callback(scraper.stop)
                count = _count_of(scraper)
            watched[peer.name] = Watched(process, count)
        costs = watch(watched)
    yield from _compared(costs, "+".join(groups))


def source_path() -> str:
    """PYTHONPATH for processes that are modules of the benchmarks."""
    return os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))


def _count_of(scraper: peers.Scraper) -> Callable[[], int]:
    return lambda: scraper.count


def _compared(costs: Mapping[str, Cost | EndedEarlyError], groups: str) -> Iterator[Figure]:
    own = costs["meter"]
    if isinstance(own, EndedEarlyError):
        raise own
    note = f"{own.rate:.2f} Hz; CPU seconds for 1,000 collections"
    yield Figure(f"meter run, {groups}, csv", own.cpu_s, None, "", "s", 1, "s", note=note)
    yield Figure("  resident memory", own.rss_mib, None, "", "MiB", 32, "MiB", note=f"peak {own.peak_mib:.1f} MiB")
    for name, cost in costs.items():
        if name == "meter":
            continue
        if isinstance(cost, EndedEarlyError):
            yield absent(f"  beside {name}", "s", str(cost))
            continue
        bar = 1 if name.startswith("collectd") else None
        note = f"{name}: {cost.rate:.2f} Hz, {cost.rss_mib:.1f} MiB, peak {cost.peak_mib:.1f} MiB"
        yield Figure("  CPU for 1,000 collections", own.cpu_s, cost.cpu_s, name, "s", bar, note=note)
