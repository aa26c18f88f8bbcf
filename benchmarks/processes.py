"""Processes that a benchmark starts: their CPU time and memory; each is ended by its own pid.

CPU time is that of the process with all its threads, those that have ended included, and of its children that it has
waited for. It is read from the process's CPU clock, which counts nanoseconds where `utime` and `stime` in
/proc/PID/stat are rounded to ticks of 10 ms, a sixth of what a light agent uses in ten seconds.

Source: clock_getcpuclockid(3); include/linux/posix-timers_types.h (`CPUCLOCK_SCHED`); proc(5).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING, Final, Self

from benchmarks.figure import environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

_CPUCLOCK_SCHED: Final = 2
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PATIENCE_S: Final = 10.0


class EndedEarlyError(Exception):
    """A process that was to be measured has ended by itself; the text is the end of what it said."""


class Process:
    """A process that runs from here to the end of a `with` block; what it prints goes to a file in `cwd`."""

    def __init__(self, name: str, command: Sequence[str], *, cwd: str, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._log = os.path.join(cwd, f"{name}.log")
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def require(self) -> None:
        """Make sure that it still runs.

        Raises: EndedEarlyError.
        """
        if self._process.poll() is not None:
            with open(self._log, encoding="utf-8", errors="replace") as log:
                said = log.read().strip().splitlines()
            raise EndedEarlyError(f"{self.name} has ended with {self._process.returncode}: {' / '.join(said[-3:])}")

    def cpu_s(self) -> float:
        """CPU seconds so far."""
        with open(f"/proc/{self.pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        children = (int(fields[13]) + int(fields[14])) / _TICKS
        return time.clock_gettime((~self.pid << 3) | _CPUCLOCK_SCHED) + children

    def memory_mib(self) -> tuple[float, float]:
        """Resident memory now and its peak, in MiB."""
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as file:
            says = dict(line.split(":", 1) for line in file)
        return int(says["VmRSS"].split()[0]) / 1024, int(says["VmHWM"].split()[0]) / 1024


def lines(path: str, marker: bytes = b"") -> int:
    """The lines of a file, or those that hold a text; 0 where there is no such file."""
    count = 0
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        for line in file:
            count += marker in line
    return count
