"""The status line of a run: on a terminal, renewed about once a second, never mixed with what else is printed.

It is drawn where the cursor is and taken away before anything else is printed. No colour; only what every terminal
understands that is not `dumb`: a carriage return, and erasing to the end of the line (EL of ECMA-48).
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.own import cpu_us, resident_bytes
from meter.core.plugin import Missing
from meter.core.shown import clip, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meter.core.running import Running

EVERY_S: Final = 1.0
_ERASE: Final = b"\r\x1b[K"
_USUAL: Final = 80


class Sample(NamedTuple):
    """What some runs have done by a time; `cpu_us` and `resident` are of all their processes, `queued` are points."""

    time_s: float
    polls: int
    rows: int
    missed: int
    lost: int
    dropped: int
    queued: int
    cpu_us: int
    resident: int | None


def sample(runs: Sequence[Running]) -> Sample:
    """The present state of all these runs together."""
    tallies = [running.tally() for running in runs]
    states = [running.state() for running in runs]
    others = [process for state in states for process in state.processes]
    resident = [
        size for size in (resident_bytes(), *[each.resident for each in others]) if not isinstance(size, Missing)
    ]
    return Sample(
        time.monotonic(),
        sum(tally.polls for tally in tallies),
        sum(tally.rows for tally in tallies),
        sum(tally.missed for tally in tallies),
        sum(tally.lost for tally in tallies),
        sum(tally.dropped for tally in tallies),
        sum(output.waiting_points for state in states for output in state.outputs),
        sum(cpu_us()) + sum(each.user_us + each.system_us for each in others),
        sum(resident) or None,
    )


def told(before: Sample, now: Sample) -> str:
    """The line: rates are over the time between two samples, counts since the start."""
    passed = max(now.time_s - before.time_s, 1e-9)
    parts = [
        f"{(now.polls - before.polls) / passed:.1f} polls/s",
        f"{now.rows} rows",
        f"{now.missed} missed",
        f"{now.lost} lost",
        *([f"{now.dropped} dropped"] if now.dropped else []),
        f"{now.queued} queued",
        f"CPU {(now.cpu_us - before.cpu_us) / 1e4 / passed:.1f} %",
        quantity(now.resident, "By"),
    ]
    return ", ".join(parts)


class StatusLine:
    """The line on standard error; where that is no terminal it does nothing."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._file: int | None = None
        self._runs: Sequence[Running] = ()
        self._last: Sample | None = None
        self._shown = False

    def begin(self, runs: Sequence[Running]) -> None:
        """From now on there is something to say of these runs, unless one of them writes to the terminal itself."""
        file = _terminal()
        if file is not None and not any(_is_written(file, running.plan.document) for running in runs):
            self._runs, self._last, self._file = runs, sample(runs), file

    def renew(self) -> None:
        """Draw it, once the last drawing is old enough."""
        if self._file is None or self._last is None or time.monotonic() - self._last.time_s < EVERY_S * 0.9:
            return
        now = sample(self._runs)
        text = clip(told(self._last, now), _columns(self._file) - 1)
        self._last = now
        with self._lock:
            # A terminal that was halted with Ctrl-S takes nothing: who waited for it would not see a signal to stop.
            if _takes(self._file) and _in_foreground(self._file):
                self._write(_ERASE + text.encode(sys.stderr.encoding, "replace"))
                self._shown = True

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Within this somebody else prints whole lines, from any thread."""
        with self._lock:
            self._erase()
            yield

    def end(self) -> None:
        """Take it away for good."""
        with self._lock:
            self._erase()
            self._file = None

    def _erase(self) -> None:
        if self._shown and self._file is not None and _takes(self._file):
            self._write(_ERASE)
            self._shown = False

    def _write(self, text: bytes) -> None:
        """One write, which the kernel does not mix with those of others."""
        try:
            os.write(self._file if self._file is not None else -1, text)
        except OSError:  # the terminal has gone
            self._file = None


def _terminal() -> int | None:
    """The descriptor of standard error, where that is a terminal that can erase."""
    if sys.stderr is None or os.environ.get("TERM", "") in {"", "dumb"}:
        return None
    try:
        file = sys.stderr.fileno()
    except (OSError, ValueError):
        return None
    return file if os.isatty(file) else None


def _columns(file: int) -> int:
    """How wide the terminal is; `COLUMNS` can make it narrower."""
    asked = os.environ.get("COLUMNS", "")
    try:
        width = os.get_terminal_size(file).columns or _USUAL
    except OSError:
        width = _USUAL
    return min(width, int(asked)) if asked.isdecimal() and int(asked) else width


def _takes(file: int) -> bool:
    try:
        return bool(select.select([], [file], [], 0)[1])
    except (OSError, ValueError):
        return False


def _in_foreground(file: int) -> bool:
    """Whether the terminal is this program's now: in the background it would write over what the user types."""
    try:
        return os.tcgetpgrp(file) == os.getpgrp()
    except OSError:  # not the terminal that controls this process
        return True


def _is_written(file: int, plan: dict[str, Any]) -> bool:
    """Whether a plugin writes lines to this very terminal, such as by the path /dev/stdout."""
    terminal = os.fstat(file).st_rdev
    for entry in plan["plugins"]:
        for path in _texts(entry["config"][name] for name in entry["paths"]):
            try:
                found = os.stat(path)
            except (OSError, ValueError):
                continue
            if stat.S_ISCHR(found.st_mode) and (found.st_rdev == terminal or path == "/dev/tty"):
                return True
    return False


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """The texts in some values, lists and tables included."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | dict):
            yield from _texts(value.values() if isinstance(value, dict) else value)
