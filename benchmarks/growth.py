"""Growth: what one poll costs from the sources to the end of the chain, by series, plugins and sources.

A poll of every source gives one row each, which the chain takes at once: what a hop costs is not shared by many rows.
CPU time of the process that runs the phases of an engine one by one; the median over half a second of polls.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.figure import Figure
from benchmarks.loop_engine import PLUGINS
from meter.core import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FACTOR: Final = 1.3
"""A bar: how much more than N times as much N times as many may cost."""
SPAN_S: Final = 0.5
LEAST: Final = 9
"""So many polls at least."""


class Grows(NamedTuple):
    """What is made larger, to which sizes, and the chain of a size."""

    what: str
    sizes: tuple[int, ...]
    chain: Callable[[int], Backend]


def figures() -> Iterator[Figure]:
    """One poll of each size beside the size before."""
    for what, sizes, chain in (
        Grows("series", (100, 1000, 10_000, 100_000), with_series),
        Grows("plugins", (1, 4, 16, 64), with_plugins),
        Grows("sources", (1, 16, 64, 256), with_sources),
    ):
        before: tuple[int, float] | None = None
        for size in sizes:
            took = poll_us(chain(size))
            name = f"one poll, {what}: {size}"
            if before is None:
                yield Figure(name, took, None, "", "us", None)
            else:
                bar = FACTOR * size / before[0]
                yield Figure(name, took, before[1], f"{what}: {before[0]}", "us", bar)
            before = (size, took)


def poll_us(backend: Backend) -> float:
    """One poll of every source and what the chain makes of it, in microseconds."""
    engine = backend.mounted().engine()
    engine.start()

    def once() -> float:
        begin = time.process_time_ns()
        engine.poll_now()
        blocks = engine.blocks(engine.taken())
        took = time.process_time_ns() - begin
        assert blocks
        return took / 1e3

    once()  # layouts are bound
    once()
    took: list[float] = []
    while len(took) < LEAST or sum(took) < SPAN_S * 1e6:
        took.append(once())
    engine.stop()
    assert not engine.faults, engine.faults
    return statistics.median(took)


def with_series(count: int) -> Backend:
    """A source of so many series, half of which a filter converts."""
    return _loop().add("tick", series=count).add("convert", metrics=["bench.level"], unit="kJ").add("null")


def with_plugins(count: int) -> Backend:
    """So many filters; each gives a metric more, of ten series."""
    backend = _loop().add("tick", series=20)
    for number in range(count):
        backend.add(f"convert#c{number}", metrics=["bench.level"], unit="kJ", name=f"bench.level.{number}")
    return backend.add("null")


def with_sources(count: int) -> Backend:
    """So many sources of two series."""
    backend = _loop()
    for number in range(count):
        backend.add(f"tick#s{number}", groups=[f"s{number}"])
    return backend.add("convert", metrics=["bench.level"], unit="kJ").add("null")


def _loop() -> Backend:
    return Backend("/loop", plugin_dirs=PLUGINS)
