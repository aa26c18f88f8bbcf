"""One counter of energy: what it has counted, whatever it does in between."""

from __future__ import annotations

import math
import os
import shlex
from typing import TYPE_CHECKING, Final

from meter.core.plugin import Missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from meter.core.plugin import SourceContext

SLACK_S: Final = 1.0
"""A reading may be older than its poll, and drivers hand over what came in a while at once."""
GUARD_S: Final = 60.0
"""So often at least a counter is read, however slow the polls are."""
WATTS: Final = 2000.0
"""What a domain can take where the kernel does not say: more than any does, far less than a reset looks like."""


class Unreadable(Exception):  # noqa: N818  (an outcome, as Retry and Gone)
    """A counter has no number now; the text says why."""


class Counter:
    """What a counter has counted since it was last asked, by readings at any times.

    A reading that is lower than the one before has wrapped behind `range`, where the energy that this means is one that
    `watts` can give in that time; else the counter began anew. What it counted in that interval is then missing, as
    it is where a reading failed, and where the last one is so long ago that more than one number could be meant, as
    after the process was stopped for a while; the next good reading is a first one.

    Args: `read` gives the reading or raises Unreadable; `name` is the counter as a person finds it; `per_joule` is so
        many steps for a joule; `range` the greatest reading, None where it is not known.
    """

    __slots__ = (
        *("_alive", "_counted", "_gap", "_last", "_moved", "_round", "_ts"),
        *("close", "name", "per_joule", "range", "read", "watts", "wraps"),
    )

    def __init__(
        self,
        name: str,
        read: Callable[[], int],
        close: Callable[[], None],
        *,
        per_joule: float,
        range_: int | None,
        watts: float,
    ) -> None:
        self.name = name
        self.read = read
        self.close = close
        self.per_joule = per_joule
        self.range = range_
        self.watts = watts
        self.wraps = 0
        self._alive = False
        self._round = math.inf if range_ is None else range_ + 1
        self._counted = 0
        self._gap: Missing | None = None
        self._last: int | None = None
        self._moved = 0
        self._ts: int | None = None

    @property
    def guard_s(self) -> float:
        """So often it has to be read that no two wraps fall between two readings."""
        return GUARD_S if self.range is None else guard_s(self.range / self.per_joule, self.watts)

    @property
    def still_s(self) -> float:
        """For how long it had not moved when it was last read; infinite where it never has since a first reading."""
        return (self._ts - self._moved) / 1e9 if self._alive and self._ts is not None else math.inf

    def look(self, ts: int) -> None:
        """Read it at a time, in monotonic nanoseconds."""
        try:
            now = self.read()
        except Unreadable as error:
            self._lose(Missing(str(error)), ts, None)
            return
        last, before = self._last, self._ts
        if before is None:  # the very first reading
            self._last, self._ts, self._moved = now, ts, ts
            return
        if last is None:
            self._lose(Missing(f"{self.name} could not be read at the begin of this time"), ts, now)
            return
        delta = now - last
        seconds = (ts - before) / 1e9
        most = self.watts * (seconds + SLACK_S) * self.per_joule
        held_back = (
            self.watts * ((ts - self._moved) / 1e9 + SLACK_S) * self.per_joule
        )  # it may come at once after a rest
        if not (0 <= delta <= held_back and most < self._round):
            self._doubt(last, now, most, seconds, ts)
            return
        self._count(delta, now, ts)

    def take(self) -> float | Missing:
        """Joules since the last call, or why they are not known."""
        counted, gap = self._counted, self._gap
        self._counted, self._gap = 0, None
        return counted / self.per_joule if gap is None else gap

    def _doubt(self, last: int, now: int, most: float, seconds: float, ts: int) -> None:
        """A reading that fell, that rose by more than the `most` steps that can be, or that comes late."""
        delta = now - last
        wrapped = delta < 0
        if wrapped:
            if self.range is None:
                self._lose(Missing(f"{self.name} fell from {last} to {now}, and its range is not known"), ts, now)
                return
            delta += self.range + 1
        if delta > most:
            joules = delta / self.per_joule
            what = "began anew" if wrapped else "jumped"
            told = f"{self.name} {what}: it went from {last} to {now} in {seconds:.3g} s"
            self._lose(Missing(f"{told}, which would be {joules / seconds if seconds else joules:.3g} W"), ts, now)
            return
        if delta + self._round <= most:
            told = f"{self.name} was not read for {seconds:.3g} s"
            self._lose(Missing(f"{told}, in which it can start again at 0 more often than a reading tells"), ts, now)
            return
        self.wraps += wrapped
        self._count(delta, now, ts)

    def _count(self, delta: int, now: int, ts: int) -> None:
        self._counted += delta
        self._last, self._ts = now, ts
        if delta:
            self._alive, self._moved = True, ts

    def _lose(self, why: Missing, ts: int, now: int | None) -> None:
        """What was counted since the last call is not known; counting goes on from `now`."""
        self._gap = self._gap or why
        self._last, self._ts, self._moved, self._alive = now, ts, ts, False


def guard_s(range_j: float, watts: float) -> float:
    """Seconds after which a counter is read at the latest: a quarter of the least time in which it can wrap."""
    return min(GUARD_S, range_j / (4 * watts))


class File:
    """A file with one number, kept open; opened again at each reading after one that failed.

    Args: `greatest` is the greatest number that it may hold.
    """

    __slots__ = ("_descriptor", "_greatest", "_last", "_open", "_path", "_place")

    def __init__(self, path: str, context: SourceContext, greatest: int | None) -> None:
        self._path = path
        self._place = context.path(path)  # what a command must name, below `--sysroot` where that is given
        self._open = context.open
        self._greatest = greatest
        self._descriptor: int | None = None
        self._last = -1

    def read(self) -> int:
        """The number. Raises: Unreadable."""
        try:
            if self._descriptor is None:
                self._descriptor = self._open(self._path)
            text = os.pread(self._descriptor, 32, 0)
            number = int(text)
            # A file that was removed keeps its last number where the folder is no real sysfs.
            if number == self._last and not os.fstat(self._descriptor).st_nlink:
                raise FileNotFoundError(2, os.strerror(2))
        except PermissionError as error:
            self.close()
            raise Unreadable(
                f"no permission to read {self._place}: `sudo chmod a+r {shlex.quote(self._place)}`"
            ) from error
        except OSError as error:
            self.close()
            raise Unreadable(f"{self._path}: {error.strerror}") from error
        except ValueError as error:
            raise Unreadable(f"{self._path} holds {text!r}, which is no energy") from error
        if not 0 <= number <= (self._greatest or number):
            raise Unreadable(f"{self._path} holds {number}, which is outside of 0 to {self._greatest}")
        self._last = number
        return number

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._last = -1
