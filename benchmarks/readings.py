"""Readings: what a poll of a host source costs, beside psutil and beside C reading the same.

C keeps the files open and takes all numbers out of their text, which is the floor. A poll of meter does more: it takes
differences, checks the contract and gives rows.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil

from benchmarks.controls import NoCompilerError, compiled
from benchmarks.figure import Figure, best_us
from meter.core.discovery import discover
from meter.core.loading import load
from meter.core.readings import BoundSourceContext, Declared, Readings
from meter.core.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

PROCESSES: Final = 200
"""So many idle processes the source `process` scans."""
ROUNDS: Final = "2000"


class Peer(NamedTuple):
    """What reads the same as a source: psutil's function, and the files for C; none where the source calls no file.

    `options` are those of the source, `what` stands behind its name; both read `things`, and the figure is of one.
    """

    psutil: Callable[[], object]
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    what: str = ""
    things: int = 1


def figures() -> Iterator[Figure]:
    """One poll of each source, beside psutil, which is the bar, and beside C, which is the floor."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        try:
            reader = compiled("reader", folder)
            why = ""
        except NoCompilerError as error:
            reader, why = "", str(error)
        pids = [stack.enter_context(_idle()).pid for _ in range(PROCESSES)]
        watched = [psutil.Process(pid) for pid in pids]
        peers = [
            ("cpu", Peer(lambda: psutil.cpu_times(percpu=True), ("/proc/stat",))),
            ("memory", Peer(psutil.virtual_memory, ("/proc/meminfo",))),
            ("disk", Peer(lambda: psutil.disk_io_counters(perdisk=True), ("/proc/diskstats",))),
            ("network", Peer(lambda: psutil.net_io_counters(pernic=True), ("/proc/net/dev",))),
            ("filesystem", Peer(lambda: [psutil.disk_usage(each.mountpoint) for each in psutil.disk_partitions()])),
            ("kernel", Peer(psutil.cpu_stats, ("/proc/stat",))),
            ("paging", Peer(psutil.swap_memory, ("/proc/vmstat",))),
            ("uptime", Peer(psutil.boot_time)),
            ("process", _processes(watched)),
            ("process", _processes(watched, io=True)),
        ]
        for name, peer in peers:
            took = poll_us(name, list(peer.options)) / peer.things
            yield Figure(f"poll of {name}{peer.what}", took, best_us(peer.psutil) / peer.things, "psutil", "us", 1)
            if peer.files and reader:
                best = subprocess.run([reader, ROUNDS, *peer.files], check=True, capture_output=True).stdout.split()[0]
                yield Figure("  the same", took, int(best) / 1e3 / peer.things, "C, files kept open", "us", None)
            elif peer.files:
                yield Figure("  the same", took, None, "C, files kept open", "us", None, note=why)


def _processes(watched: Sequence[psutil.Process], *, io: bool = False) -> Peer:
    """The source `process` with its default, or with disk traffic, which is a file more."""

    def all_of(process: psutil.Process) -> Sequence[object]:
        with process.oneshot():
            known = process.cpu_times(), process.memory_info(), process.num_threads()
            return (*known, process.io_counters()) if io else known

    names = ("stat", "io") if io else ("stat",)
    return Peer(
        lambda: [all_of(each) for each in watched],
        tuple(f"/proc/{each.pid}/{name}" for each in watched for name in names),
        (*(f"pid={each.pid}" for each in watched), *(["io=true"] if io else [])),
        f"{' with io' if io else ''}, each of {len(watched)}",
        len(watched),
    )


@contextlib.contextmanager
def _idle() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until the end."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def poll_us(name: str, options: list[str], sysroot: Path | None = None) -> float:
    """The best time of one poll of a source in microseconds; of /proc and /sys below a folder where it is given."""
    poll, stop = started(name, options, sysroot)
    best = best_us(poll)
    stop()
    return best


def started(
    name: str, options: list[str], sysroot: Path | None = None
) -> tuple[Callable[[], None], Callable[[], None]]:
    """What polls a source, which was polled once, and what stops it."""
    from meter.contracts.command_line import from_words
    from meter.contracts.instances import Instance, configure

    entry = discover(installed=False).catalogue.entries[name][0]
    assert entry.contract is not None
    instance = Instance(label=name, contract=entry.contract, span=entry.contract.source.key(), because="asked")
    request, wrong = from_words("/readings", [name, *options], [name, *options])
    assert request is not None, wrong
    assert not configure(instance, request.config.get(name, {}))
    source: Any = load(name, entry.path, entry.contract.exports["plugin"])(instance.config)
    declared = Declared(name, instance.emits)
    source.start(BoundSourceContext(declared, sysroot))
    readings, polled = Readings(declared), Rows()

    def poll() -> None:
        readings.begin(time.monotonic_ns())
        source.poll(readings)
        readings.give(polled)  # as a poller does; the chain takes them later
        polled.entries.clear()

    poll()
    return poll, source.stop
