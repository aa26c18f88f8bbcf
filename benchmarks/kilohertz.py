"""A thousand times a second: sources that read files, and a chain of filters, beside a C loop that reads the same.

Each source reads one file that it keeps open; `panel` reads ten, which are 100 series, and they go through five
filters. The control has neither series nor filters, threads or batches: it reads the clock and the files, and takes
every number out of them. So does a loop of Python, which says what an engine in Python cannot be cheaper than. With
real-time priority, which all have then, other loads of the machine delay none.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, Final

from benchmarks.figure import Figure, absent
from benchmarks.loop_engine import PLUGINS
from benchmarks.polling import Pace, Rounds, add_source, told
from meter.core import Backend, realtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACE: Final = Pace(1000, span_s=1.5)
SOURCES: Final = 16
FILES: Final = 10
NUMBERS: Final = 10
"""In each file of `panel`."""
CPU_BARS: Final = {"sources": 8, "chain": 10}
"""In % of a core."""


def figures() -> Iterator[Figure]:
    """Ticks polled, lateness and CPU time of both, with ordinary and with real-time priority."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        one = write(folder, "source", SOURCES, 2)
        sources = os.path.join(folder, "sources.toml")
        backend = Backend("/loop", file=sources, plugin_dirs=PLUGINS)
        for number, path in enumerate(one):
            add_source(backend, f"tick#s{number}", PACE, folder, [path])
        backend.add("null").mounted()
        ten = write(folder, "panel", FILES, NUMBERS)
        filters = os.path.join(folder, "chain.toml")
        chain(folder, filters, PACE, ten)
        for hurried in (False, True):
            suffix = ", real-time" if hurried else ""
            if hurried and (why := refused_realtime()):
                yield absent("real-time priority", "%", why)
                continue
            rounds = Rounds(folder, sources, PACE, one, hurried=hurried, bare=True)
            yield from told(f"{SOURCES} sources{suffix}", rounds, barred=True, cpu_bar=CPU_BARS["sources"], many=True)
            rounds = Rounds(folder, filters, PACE, ten, hurried=hurried, bare=True)
            yield from told(f"5 filters{suffix}", rounds, barred=True, cpu_bar=CPU_BARS["chain"])


def refused_realtime() -> str:
    """Why there is no real-time priority here, or nothing."""
    try:
        realtime.enter()
    except OSError as error:
        return f"{error.strerror}: it needs CAP_SYS_NICE"
    realtime.leave()
    return ""


def write(folder: str, name: str, files: int, numbers: int) -> list[str]:
    """Files of numbers with six digits; their paths."""
    paths = []
    for file in range(files):
        paths.append(os.path.join(folder, f"{name}{file}.txt"))
        with open(paths[-1], "w", encoding="ascii") as made:
            made.write(" ".join(str(100_000 + 1000 * file + number) for number in range(numbers)) + "\n")
    return paths


def chain(folder: str, file: str, pace: Pace, files: Sequence[str], **options: Any) -> None:
    """Mount a source of 100 series with five filters behind it: a half are counters, a half gauges.

    The source may have further options.
    """
    backend = Backend("/loop", file=file, plugin_dirs=PLUGINS)
    add_source(backend, "tick#panel", pace, folder, files, **options)
    backend.add("annotate", attributes={"site": "here"})
    backend.add("rate", metrics=["bench.count"])
    backend.add("convert", metrics=["bench.level"], unit="kJ")
    backend.add("aggregate", metrics=["bench.level"], function="mean", window="100ms")
    backend.add("select", drop=["bench.count"])
    backend.add("null").mounted()
