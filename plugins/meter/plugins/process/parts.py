"""What is read of each process: gauges, and counters that count from its begin."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from meter.core.plugin import Missing

if TYPE_CHECKING:
    from meter.plugins.process.files import Files, Identity, Stat

Cells = Sequence[float | Missing]

_NANOSECONDS: Final = 1_000_000_000
_PLAIN: Final[Mapping[str, str]] = MappingProxyType({})


class Counter(NamedTuple):
    """One counter; `per` is how many of the kernel's units are one of the metric, 0 keeps an integer."""

    metric: str
    attributes: Mapping[str, str] = _PLAIN
    per: int = 0


class Part:
    """A few numbers of a process that are read together."""

    gauges: ClassVar[tuple[str, ...]] = ()
    counters: tuple[Counter, ...] = ()

    def __init__(self, files: Files) -> None:
        self._files = files

    def now(self, process: Stat) -> Cells:
        """The gauges of a process that has not ended."""
        raise NotImplementedError

    def counted(self, process: Stat) -> Cells:
        """The counters."""
        raise NotImplementedError

    def forget(self, present: set[Identity]) -> None:
        """These processes are all that there are now."""


class State(Part):
    """Memory and threads, as `stat` says them."""

    gauges: ClassVar[tuple[str, ...]] = ("process.memory.usage", "process.memory.virtual", "process.thread.count")

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._page = os.sysconf("SC_PAGE_SIZE")

    def now(self, process: Stat) -> Cells:
        """Bytes in RAM, bytes of address space, threads."""
        resident, virtual, threads = process.state
        return resident * self._page, virtual, threads


class Shared(State):
    """The same, and what of the memory may be that of others, too: both from one file, to fit each other."""

    gauges = (*State.gauges, "process.memory.shared")

    def now(self, process: Stat) -> Cells:
        """Bytes in RAM, bytes of address space, threads, bytes of files and of shared memory."""
        pages = self._files.pages(process.pid)
        if isinstance(pages, Missing):
            return *super().now(process), pages
        _, virtual, threads = process.state
        resident, shared = pages
        return resident * self._page, virtual, threads, shared * self._page


class Proportional(Part):
    """Memory of which each page counts for every process that has it in equal parts."""

    gauges = ("process.memory.proportional", "process.memory.swap")

    def now(self, process: Stat) -> Cells:
        """Bytes in RAM and in swap; kernel threads have none, and no file that says so."""
        return (0, 0) if process.is_kernel else self._files.proportional(process.pid)


class Descriptors(Part):
    """Open files."""

    gauges = ("process.unix.file_descriptor.count",)

    def now(self, process: Stat) -> Cells:
        """Their number."""
        return [self._files.descriptors(process.pid)]


class Modes(Part):
    """CPU time by mode, in ticks of the clock."""

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        hertz = os.sysconf("SC_CLK_TCK")
        self.counters = tuple(Counter("process.cpu.time", {"cpu.mode": mode}, hertz) for mode in ("user", "system"))

    def counted(self, process: Stat) -> Cells:
        """Ticks so far."""
        return process.times


class Clock(Part):
    """CPU time of all modes, by the clock of the process; in ticks where it cannot be had."""

    counters = (Counter("process.cpu.time", _PLAIN, _NANOSECONDS),)

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._tick = _NANOSECONDS // os.sysconf("SC_CLK_TCK")

    def counted(self, process: Stat) -> Cells:
        """Nanoseconds so far."""
        time = self._files.clock(process.pid)
        return [sum(process.times) * self._tick if time is None else time]


class Faults(Part):
    """Page faults."""

    counters = tuple(
        Counter("process.paging.faults", {"system.paging.fault.type": type_}) for type_ in ("minor", "major")
    )

    def counted(self, process: Stat) -> Cells:
        """Faults so far."""
        return process.faults


class Traffic(Part):
    """Bytes of storage."""

    counters = tuple(Counter("process.disk.io", {"disk.io.direction": way}) for way in ("read", "write"))

    def counted(self, process: Stat) -> Cells:
        """Bytes so far."""
        return self._files.traffic(process.pid)


class Switches(Part):
    """Context switches of all threads.

    The kernel says them of each thread alone, and of one that has ended no more: what was last seen of it stays in the
    sum. A thread that comes with the id of one that ended begins at 0, so one that has fallen is another one.
    """

    counters = tuple(
        Counter("process.context_switches", {"process.context_switch.type": type_})
        for type_ in ("voluntary", "involuntary")
    )

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._known: dict[Identity, Threads] = {}

    def counted(self, process: Stat) -> Cells:
        """Switches so far, of what was seen."""
        threads = self._files.threads(process.pid)
        if isinstance(threads, Missing):
            return threads, threads
        found: dict[str, tuple[int, int]] = {}
        for thread in threads:
            pair = self._files.switches(process.pid, thread)
            if isinstance(pair, Missing):
                return pair, pair
            if pair is not None:
                found[thread] = pair
        return self._known.setdefault(process.identity, Threads()).step(found)

    def forget(self, present: set[Identity]) -> None:
        """Of what has gone nothing is kept."""
        for identity in self._known.keys() - present:
            del self._known[identity]


class Threads:
    """The switches of the threads of one process."""

    __slots__ = ("_before", "_living")

    def __init__(self) -> None:
        self._living: dict[str, tuple[int, int]] = {}
        self._before = (0, 0)

    def step(self, now: dict[str, tuple[int, int]]) -> tuple[int, int]:
        """All switches, with those of threads that have ended."""
        for thread, old in self._living.items():
            new = now.get(thread)
            if new is None or new[0] < old[0] or new[1] < old[1]:
                self._before = self._before[0] + old[0], self._before[1] + old[1]
        self._living = now
        voluntary, involuntary = self._before
        return voluntary + sum(each[0] for each in now.values()), involuntary + sum(each[1] for each in now.values())


_OPTIONS: Final[Mapping[str, type[Part]]] = {
    "proportional": Proportional,
    "descriptors": Descriptors,
    "faults": Faults,
    "switches": Switches,
    "io": Traffic,
}


def parts(files: Files, config: Mapping[str, Any]) -> list[Part]:
    """What is read with this configuration."""
    asked = [part for option, part in _OPTIONS.items() if config[option]]
    always = Shared if config["shared"] else State, Modes if config["modes"] else Clock
    return [part(files) for part in (*always, *asked)]
