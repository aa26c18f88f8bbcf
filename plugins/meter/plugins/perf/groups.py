"""Groups of counters that the kernel counts together, and what their readings mean."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from meter.core.perf_event import SOFTWARE
from meter.core.plugin import Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.plugins.perf.events import Event

TOGETHER: Final = 4
"""So many events of hardware are in a group: more may never have a counter at one time, and then none counts."""
_WAITED: Final = Missing("the processor had no counter free for it in this time: count fewer events")
_BACK: Final = Missing("the counter went back")


class Opener(Protocol):
    """Opens a counter of an event beside the one that leads the group, which is -1 for a first one."""

    def __call__(self, event: Event, group: int) -> int:
        """A descriptor. Raises: OSError."""


class Reading(NamedTuple):
    """What a group has counted since it was opened.

    Times in nanoseconds: for which it should have counted, and for which it had counters.
    """

    enabled: int
    running: int
    values: tuple[int, ...]


class Count(NamedTuple):
    """What an event has counted in an interval; `scaled`, it was extrapolated from a part of that."""

    value: int | Missing
    scaled: bool = False


def parsed(text: bytes, count: int) -> Reading:
    """A reading of a group of so many counters. Raises: ValueError, it is none."""
    if len(text) != 8 * (3 + count):
        raise ValueError(f"a reading has {len(text)} bytes, expected {8 * (3 + count)}")
    number, enabled, running, *values = struct.unpack(f"={3 + count}Q", text)
    if number != count:
        raise ValueError(f"a reading has {number} counters, expected {count}")
    return Reading(enabled, running, tuple(values))


def counted(before: Reading, now: Reading) -> list[Count]:
    """What each event has counted between two readings.

    A group that had counters for a part of the time only is taken to have counted at the same rate in the rest of it.
    """
    enabled, running = now.enabled - before.enabled, now.running - before.running
    return [_count(new - old, enabled, running) for old, new in zip(before.values, now.values, strict=True)]


def _count(delta: int, enabled: int, running: int) -> Count:
    if delta < 0 or enabled < 0 or running < 0:
        return Count(_BACK)
    if enabled == running:
        return Count(delta)
    if running == 0:
        return Count(_WAITED)
    return Count((2 * delta * enabled + running) // (2 * running), scaled=True)


def added(counts: Sequence[Count]) -> Count:
    """The sum over threads or CPUs; missing where one of them is."""
    total = 0
    for count in counts:
        if isinstance(count.value, Missing):
            return count
        total += count.value
    return Count(total, any(count.scaled for count in counts))


class Group:
    """Open counters, which the kernel lets count at the same times, and what they had counted when last read."""

    __slots__ = ("_descriptors", "_last", "events")

    def __init__(self, event: Event, descriptor: int) -> None:
        self.events = [event]
        self._descriptors = [descriptor]
        self._last: Reading | Missing | None = None

    def takes(self, event: Event) -> bool:
        """Whether an event may come in: software is never short of counters, hardware is."""
        software = self.events[0].type == SOFTWARE
        return software is (event.type == SOFTWARE) and (software or len(self.events) < TOGETHER)

    def add(self, event: Event, open_: Opener) -> None:
        """Open one more counter. Raises: OSError."""
        self._descriptors.append(open_(event, self._descriptors[0]))
        self.events.append(event)

    def step(self) -> list[Count] | None:
        """What each event has counted since the last call; None at the first one, which is the base."""
        before, self._last = self._last, self._read()
        if before is None and isinstance(self._last, Reading):
            return None
        for reading in (self._last, before):
            if isinstance(reading, Missing):
                return [Count(reading)] * len(self.events)
        assert isinstance(before, Reading)
        assert isinstance(self._last, Reading)
        return counted(before, self._last)

    def close(self) -> None:
        """Close the counters."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _read(self) -> Reading | Missing:
        """One read for all of them."""
        try:
            return parsed(os.read(self._descriptors[0], 8 * (4 + len(self.events))), len(self.events))
        except OSError as error:
            return Missing(f"the counters of {self._names}: {error.strerror}")
        except ValueError as error:
            return Missing(f"the counters of {self._names}: {error}; a CPU may have been taken offline")

    @property
    def _names(self) -> str:
        return ", ".join(event.name for event in self.events)


def grouped(events: Sequence[Event], open_: Opener) -> tuple[list[Group], dict[Event, OSError]]:
    """Groups of the events that could be opened, and why others could not.

    Raises: ProcessLookupError, what is to be counted has ended; OSError, there are too many open files.
    """
    groups: list[Group] = []
    failed: dict[Event, OSError] = {}
    try:
        for event in events:
            try:
                _place(groups, event, open_)
            except OSError as error:
                if error.errno in (errno.ESRCH, errno.EMFILE, errno.ENFILE):
                    raise
                failed[event] = error
    except OSError:
        for group in groups:
            group.close()
        raise
    return groups, failed


def _place(groups: list[Group], event: Event, open_: Opener) -> None:
    """Open an event in the last group that takes it, else in a new one. Raises: OSError."""
    if groups and groups[-1].takes(event):
        try:
            groups[-1].add(event, open_)
        except OSError as error:
            if error.errno != errno.EINVAL:  # else the processor cannot count all of them together
                raise
        else:
            return
    groups.append(Group(event, open_(event, -1)))
