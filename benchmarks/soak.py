"""Soak: 1 kHz with 100 series and five filters for ten minutes, or for METER_SOAK_MINUTES.

Every tick must have been polled or counted as missed, and memory must not grow. The loop in C reads the same files
at the same time. It runs only when it is named.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks import kilohertz
from benchmarks.controls import NoCompilerError, compiled
from benchmarks.figure import Figure
from benchmarks.hosts import source_path
from benchmarks.polling import WARM_S, C, Pace, of_control, of_engine
from benchmarks.processes import EndedEarlyError, Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SETTLED_S: Final = 60
"""Memory of the first minute does not count; of a shorter run it is the first half."""
PATIENCE_S: Final = 30
PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") / 1024


def figures() -> Iterator[Figure]:
    """Ticks that nobody has counted, those missed, growth of memory, and what the end took."""
    seconds = 60 * float(os.environ.get("METER_SOAK_MINUTES", "10"))
    pace = Pace(1000, 1, seconds)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        file = os.path.join(folder, "chain.toml")
        files = kilohertz.write(folder, "panel", kilohertz.FILES, kilohertz.NUMBERS)
        kilohertz.chain(folder, file, pace, files)
        command = [sys.executable, "-m", "benchmarks.loop_engine", file, str(seconds), str(WARM_S)]
        process = stack.enter_context(Process("soak", command, cwd=folder, env={"PYTHONPATH": source_path()}))
        control, why = None, ""
        try:
            ticker = [compiled("ticker", folder), str(pace.interval_ns), str(seconds), "0", *files]
        except NoCompilerError as error:
            why = str(error)
        else:
            control = stack.enter_context(Process("ticker", ticker, cwd=folder))
        sizes = list(_sizes(process, seconds))
        said = said_by(process, folder)
        beside = control and of_control(said_by(control, folder), pace)
    own = of_engine(said)
    untold = abs(said["told_nominal"] - said["told_polls"] - said["told_missed"])
    what = f"{seconds / 60:g} min of 1 kHz"
    note = f"{said['told_nominal']} deadlines, {said['told_missed']} told as missed"
    yield Figure(f"{what}, ticks untold", untold, None, "", "ticks", 0, "ticks", note=note)
    for name, field, unit, bar in (
        ("ticks polled", "percent", "%", None),
        ("lateness p50", "p50_us", "us", None),
        ("lateness p99", "p99_us", "us", None),
        ("lateness max", "max_us", "us", None),
        ("CPU of a core", "cpu", "%", kilohertz.CPU_BARS["chain"]),
    ):
        other = None if beside is None else getattr(beside, field)
        yield Figure(f"  {name}", getattr(own, field), other, C, unit, bar, "%", note=why)
    slope, first, last = _growth(sizes)
    note = f"from {first:.0f} to {last:.0f} KiB"
    yield Figure("  growth of resident memory", slope, None, "", "KiB/min", None, note=note)
    yield Figure("  time to stop", said["stop_s"], None, "", "s", 1, "s")


def _sizes(process: Process, seconds: float) -> Iterator[tuple[float, float]]:
    """Resident memory in KiB by seconds, once in a second, until before the end."""
    begin = time.monotonic()
    while (at := time.monotonic() - begin) < seconds:
        process.require()
        with open(f"/proc/{process.pid}/statm", "rb") as file:
            yield at, int(file.read().split()[1]) * PAGE_KIB
        time.sleep(1 - at % 1)


def said_by(process: Process, folder: str) -> Mapping[str, Any]:
    """What a process prints at its end.

    Raises: EndedEarlyError, it does not come to its end, or says something else.
    """
    for _ in range(PATIENCE_S * 10):
        try:
            process.require()
        except EndedEarlyError as error:
            with open(os.path.join(folder, f"{process.name}.log"), encoding="utf-8") as file:
                text = file.read()
            try:
                found: Mapping[str, Any] = json.loads(text)
            except ValueError:
                raise error from None
            return found
        time.sleep(0.1)
    raise EndedEarlyError(f"{process.name} does not come to its end")


def _growth(sizes: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """KiB in a minute by a straight line, and the first and the last size that count."""
    settled = min(SETTLED_S, sizes[-1][0] / 2)
    counted = [(at, size) for at, size in sizes if at >= settled]
    slope = statistics.linear_regression(*zip(*counted, strict=True)).slope
    return 60 * slope, counted[0][1], counted[-1][1]
