"""Polling: ticks, lateness and CPU time of the engine, beside a C loop that keeps the same deadlines.

The engine is a mounted backend in a process of its own: a source that gives two numbers which never change, an output
that throws everything away. `kilohertz` has sources that read, and a chain.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.controls import NoCompilerError, compiled
from benchmarks.figure import Figure, environment
from benchmarks.hosts import source_path
from benchmarks.lateness import lateness
from benchmarks.loop_engine import PLUGINS
from benchmarks.processes import EndedEarlyError
from meter.core import Backend
from meter.core.realtime import PRIORITY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROUNDS: Final = 5
WARM_S: Final = 0.7
"""Until numpy is there and each cache is warm."""
SPAN_S: Final = 1.4
SECOND_NS: Final = 1_000_000_000
P99_BAR: Final = 1.5
TICKS_BAR: Final = 99.5
C: Final = "C loop"
PYTHON: Final = "Python loop"


class Pace(NamedTuple):
    """A rate in Hz, and how often how many seconds of it are measured."""

    hertz: int
    rounds: int = ROUNDS
    span_s: float = SPAN_S

    @property
    def interval_ns(self) -> int:
        """Between two deadlines."""
        return SECOND_NS // self.hertz


PACES: Final = (Pace(1, 1, 5), Pace(100), Pace(1000), Pace(5000), Pace(10000))
BARRED: Final = 1000
"""The rate in Hz for which there are bars; the others are told."""


class Ran(NamedTuple):
    """What one program did in a round, as `benchmarks.loop_engine` tells it."""

    percent: float
    p50_us: float
    p99_us: float
    max_us: float
    first_p99_us: float
    cpu: float


def figures() -> Iterator[Figure]:
    """Ticks polled, lateness and CPU time at each rate."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for pace in PACES:
            file = os.path.join(folder, f"{pace.hertz}.toml")
            backend = Backend("/loop", file=file, plugin_dirs=PLUGINS)
            add_source(backend, "tick", pace, folder).add("null").mounted()
            barred = pace.hertz == BARRED
            yield from told(f"{pace.hertz} Hz", Rounds(folder, file, pace), barred=barred)


def add_source(
    backend: Backend, name: str, pace: Pace, folder: str, files: Sequence[str] = (), **options: Any
) -> Backend:
    """The same backend with one more source `tick`, which may have further options."""
    room = round((pace.span_s + WARM_S + 1) * pace.hertz) + 10
    label = name.rpartition("#")[2]
    times = os.path.join(folder, f"{pace.hertz}-{label}.times")
    interval = f"{pace.interval_ns // 1000}us"
    return backend.add(name, interval=interval, files=list(files), times=times, room=room, groups=[label], **options)


class Rounds:
    """Rounds of a mounted backend and of its controls in turn, in processes of their own.

    Args: `files` are what the controls read at each tick; with `hurried` all have real-time priority; with `bare` a
        loop of Python is a control besides.
    """

    def __init__(
        self,
        folder: str,
        file: str,
        pace: Pace,
        files: Sequence[str] = (),
        *,
        hurried: bool = False,
        bare: bool = False,
    ) -> None:
        self.own: list[Ran] = []
        self.controls: dict[str, list[Ran]] = {C: []}
        self.why = ""
        """Why there is no control in C."""
        given = [str(pace.interval_ns), str(pace.span_s), str(PRIORITY) if hurried else "0", *files]
        loops: dict[str, list[str]] = {}
        try:
            loops[C] = [compiled("ticker", folder), *given]
        except NoCompilerError as error:
            self.why = str(error)
        if bare:
            loops[PYTHON] = [sys.executable, "-m", "benchmarks.loop_files", *given]
        engine = [sys.executable, "-m", "benchmarks.loop_engine", file, str(pace.span_s), str(WARM_S)]
        engine += ["realtime"] if hurried else []
        for _ in range(pace.rounds):
            self.own.append(of_engine(said_by(engine, folder)))
            for name, loop in loops.items():
                self.controls.setdefault(name, []).append(of_control(said_by(loop, folder), pace))

    def median(self, name: str, control: str = C) -> tuple[float, float | None]:
        """A field of the engine and of a control, over the rounds."""
        own, beside = ([float(getattr(ran, name)) for ran in rans] for rans in (self.own, self.controls[control]))
        return statistics.median(own), statistics.median(beside) if beside else None


def told(
    what: str, rounds: Rounds, *, barred: bool, cpu_bar: float | None = None, many: bool = False
) -> Iterator[Figure]:
    """The figures of rounds; `barred` says whether the bars of 1 kHz hold, `many` that several are polled at a tick."""

    def figure(name: str, field: str, unit: str, bar: float | None, of: str, *, at_least: bool = False) -> Figure:
        own, control = rounds.median(field)
        return Figure(f"{what}, {name}", own, control, C, unit, bar, of, at_least, rounds.why)

    yield figure("ticks polled", "percent", "%", TICKS_BAR if barred else None, "%", at_least=True)
    yield figure("lateness p50", "p50_us", "us", None, "x")
    yield figure("lateness p99", "p99_us", "us", P99_BAR if barred else None, "x")
    if many:
        yield figure("lateness p99, first", "first_p99_us", "us", None, "x")
    yield figure("lateness max", "max_us", "us", None, "x")
    yield figure("CPU of a core", "cpu", "%", cpu_bar, "%")
    if PYTHON in rounds.controls:
        for name, field, unit in (("lateness p99", "p99_us", "us"), ("CPU of a core", "cpu", "%")):
            yield Figure(f"{what}, {name}", *rounds.median(field, PYTHON), PYTHON, unit, None)


def said_by(command: Sequence[str], folder: str) -> Mapping[str, Any]:
    """What a program prints."""
    env = environment({"PYTHONPATH": source_path()})
    done = subprocess.run(command, check=True, capture_output=True, cwd=folder, env=env)
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def of_engine(said: Mapping[str, Any]) -> Ran:
    """What the engine did. Raises: EndedEarlyError, something went wrong in it."""
    if said["faults"] or said["lost"]:
        raise EndedEarlyError(f"the engine has failed: {json.dumps(said)}")
    percent = 100 * said["polled"] / said["nominal"]
    return Ran(percent, said["p50_us"], said["p99_us"], said["max_us"], said["first"]["p99_us"], said["cpu"])


def of_control(said: Mapping[str, Any], pace: Pace) -> Ran:
    """The same of the control."""
    spans = (said["first_ns"], pace.interval_ns, said["first_ns"], said["end_ns"])
    all_, first = (lateness(times, *spans) for times in (said["times"], said["times"][:1]))
    cpu = 100 * said["cpu_ns"] / (said["end_ns"] - said["first_ns"])
    return Ran(all_.percent, all_.p50_us, all_.p99_us, all_.max_us, first.p99_us, cpu)
