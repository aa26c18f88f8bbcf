"""The source `process`."""

from __future__ import annotations

import os
import time
from resource import RLIMIT_NOFILE, getrlimit
from typing import TYPE_CHECKING, NamedTuple

from meter.core.counters import Deltas
from meter.core.plugin import Gone, Missing, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

Identity = tuple[int, int]
"""Process id and start in clock ticks since boot: an id is used again, both together are not."""

_COUNTERS = {
    "user": ("process.cpu.time", {"cpu.mode": "user"}),
    "system": ("process.cpu.time", {"cpu.mode": "system"}),
    "read": ("process.disk.io", {"disk.io.direction": "read"}),
    "write": ("process.disk.io", {"disk.io.direction": "write"}),
}
_GAUGES = ("process.memory.usage", "process.memory.virtual", "process.thread.count")
_ENDED = (b"Z", b"X")
_NANOSECONDS = 1_000_000_000


class Process(Source):
    """CPU time, memory, threads and disk traffic of the processes of `pid` and of the trees below those of `tree`.

    Emits, with the process as consumer: `process.cpu.time` (s, f64, delta) by `cpu.mode`, ended threads included;
    `process.memory.usage` and `process.memory.virtual` (By, u64, gauge); `process.thread.count` ({thread}, i64, gauge);
    `process.disk.io` (By, u64, delta) by `disk.io.direction`, missing where /proc/PID/io may not be read.

    A process that starts between two polls is counted from its birth on. One that ended shows its last times until its
    parent has waited for it, then its series end. A descendant whose parent ended stays in its tree. The ids of `pid`
    and `tree` mean the processes that have them at `start`, not others that get them later.

    Row: 7 columns for each process, 3 at its first reading; further rows of 4 for those born since the previous poll.
    Resolution of times: 1 / USER_HZ, 10 ms nearly everywhere.
    Raises: Gone, all processes of `pid` and all of `tree` have ended; with the tree 0 there may always be new ones.
    Source: proc_pid_stat(5), proc_pid_io(5); Linux, Documentation/filesystems/proc.rst.
    """

    def start(self, context: SourceContext) -> None:
        """Find the processes of the configuration.

        Raises: ProcessLookupError, there is none of them; OSError, one of them is hidden.
        """
        self._context = context
        self._files = _Files(context)
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._deltas: Deltas[tuple[Identity, str]] = Deltas()
        self._polled: set[Identity] | None = None
        tree = self.config["tree"]
        self._pids = self._identities(self.config["pid"])
        self._tree = self._identities(pid for pid in tree if pid != 0)
        self._own = self._identities([os.getpid()] if 0 in tree else ())
        self._absent = sorted({pid for pid in (*self.config["pid"], *tree) if pid} - {*self._pids, *self._tree})
        if not (self._pids or self._tree or self._own):
            asked = ", ".join(str(pid) for pid in sorted({*self.config["pid"], *tree}))
            raise ProcessLookupError(f"there is no process {asked}; name one that runs")

    def poll(self, out: Readings) -> None:
        """Find the processes that there are and read each of them once."""
        processes = self._descendants() if self._tree or self._own else {}
        for pid, identity in list(self._pids.items()):
            found = processes.get(pid) or self._stat(pid)
            if found is None or found.identity != identity:
                del self._pids[pid]
            else:
                processes[pid] = found
        if not processes and not self._own:
            raise Gone("every process to measure has ended")
        ordered = [processes[pid] for pid in sorted(processes)]
        self._gauges(out, ordered)
        self._counters(out, ordered)
        self._polled = {process.identity for process in ordered}
        self._files.sweep()

    def stop(self) -> None:
        """Close what is open."""
        self._files.sweep()
        self._files.sweep()

    def _gauges(self, out: Readings, processes: Iterable[_Stat]) -> None:
        for pid in self._absent:
            self._state(out, pid, [Missing("there was no such process when measuring began")] * 3)
        self._absent.clear()
        for process in processes:
            now = [process.resident * self._page, process.virtual, process.threads]
            # The kernel shows the memory of an ended process as 0; what it held before is not known any more.
            self._state(out, process.pid, [Missing("the process has ended")] * 3 if process.ended else now)

    def _state(self, out: Readings, pid: int, values: Sequence[int | Missing]) -> None:
        for metric, value in zip(_GAUGES, values, strict=True):
            out.emit(metric, value, consumer_id=str(pid))

    def _counters(self, out: Readings, processes: Iterable[_Stat]) -> None:
        readings: dict[tuple[Identity, str], float | Missing] = {}
        births: dict[tuple[Identity, str], int] = {}
        for process in processes:
            read, write = self._io(process.pid)
            counters = {"user": process.user, "system": process.system, "read": read, "write": write}
            readings.update({(process.identity, name): value for name, value in counters.items()})
            if self._polled is not None and process.identity not in self._polled:
                birth = self._birth(process, out.since)
                births.update({(process.identity, name): birth for name in counters})
        for ((pid, _), name), (value, since) in self._deltas.step(out.ts, readings, births).items():
            metric, attributes = _COUNTERS[name]
            if metric == "process.cpu.time" and not isinstance(value, Missing):
                value /= self._hertz  # noqa: PLW2901  (from ticks to seconds)
            out.emit(metric, value, consumer_id=str(pid), attributes=attributes, since=since)

    def _birth(self, process: _Stat, previous: int) -> int:
        """When a process that was not there at the previous poll began, in monotonic nanoseconds.

        The kernel says it in ticks of the clock that runs on in suspend, rounded down: a process that seems to have
        begun in the last tick before the previous poll began after it.
        """
        suspended = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        tick = _NANOSECONDS // self._hertz
        birth = process.start * tick - suspended
        return max(birth, previous + 1) if birth + tick > previous else birth

    def _descendants(self) -> dict[int, _Stat]:
        """The processes of all trees; those of this program's own tree without the program."""
        everything: dict[int, _Stat] = {}
        children: dict[int, list[int]] = {}
        for name in self._context.listdir("/proc"):
            if name.isdecimal():
                try:
                    process = self._stat(int(name))
                except PermissionError:  # hidden by the mount option hidepid
                    continue
                if process is not None:
                    everything[process.pid] = process
                    children.setdefault(process.parent, []).append(process.pid)
        members = {pid for pid, identity in self._tree.items() if _is(everything.get(pid), identity)}
        waiting = [*members, *self._own]
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child not in members:
                    members.add(child)
                    waiting.append(child)
        self._tree = {pid: everything[pid].identity for pid in members}
        return {pid: everything[pid] for pid in members}

    def _identities(self, pids: Iterable[int]) -> dict[int, Identity]:
        """The present processes of these ids; one that there is not is left out."""
        found = {pid: self._stat(pid) for pid in pids}
        return {pid: process.identity for pid, process in found.items() if process is not None}

    def _stat(self, pid: int) -> _Stat | None:
        """A process; None where there is none any more."""
        text = self._files.read(f"/proc/{pid}/stat")
        if not text:
            return None
        # The name in parentheses may itself hold blanks and parentheses.
        fields = text[text.rindex(b")") + 2 :].split(None, 22)
        parent, user, system, threads, start, virtual, resident = [
            int(fields[at]) for at in (1, 11, 12, 17, 19, 20, 21)
        ]
        return _Stat(pid, fields[0] in _ENDED, parent, start, user, system, threads, virtual, resident)

    def _io(self, pid: int) -> tuple[int | Missing, int | Missing]:
        """Bytes read and written so far."""
        path = f"/proc/{pid}/io"
        try:
            text = self._files.read(path)
        except PermissionError:
            reason = Missing(f"no permission to read {path}, this needs the right to trace the process")
            return reason, reason
        if not text:
            reason = Missing(f"there is no {path}: the process has just ended, or the kernel does not count disk I/O")
            return reason, reason
        fields = text.split()  # rchar wchar syscr syscw read_bytes write_bytes, each after its name
        return int(fields[9]), int(fields[11])


class _Stat(NamedTuple):
    """What /proc/PID/stat says; times in clock ticks, `virtual` in bytes, `resident` in pages.

    One that has `ended` waits for its parent: its times are whole, its memory is gone.
    """

    pid: int
    ended: bool
    parent: int
    start: int
    user: int
    system: int
    threads: int
    virtual: int
    resident: int

    @property
    def identity(self) -> Identity:
        return self.pid, self.start


class _Files:
    """Reads small files again and again, by descriptors that it keeps.

    Opening costs more than reading. A quarter of the descriptors that the system allows are kept, at most 1024; what
    exceeds them is opened each time.
    """

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._kept: dict[str, int] = {}
        self._used: set[str] = set()
        soft = getrlimit(RLIMIT_NOFILE)[0]
        self._cap = 1024 if soft < 0 else min(1024, soft // 4)  # negative is unlimited

    def read(self, path: str) -> bytes | None:
        """The content, at most 4096 bytes; None where the process has gone. Raises: PermissionError, other OSErrors."""
        self._used.add(path)
        kept = self._kept.get(path)
        if kept is not None:
            try:
                return os.pread(kept, 4096, 0)
            except ProcessLookupError:  # it ended; another process may have its id by now
                os.close(self._kept.pop(path))
        try:
            file = self._context.open(path)
        except (FileNotFoundError, ProcessLookupError):
            return None
        try:
            text = os.pread(file, 4096, 0)
        except ProcessLookupError:
            os.close(file)
            return None
        except OSError:
            os.close(file)
            raise
        if len(self._kept) < self._cap:
            self._kept[path] = file
        else:
            os.close(file)
        return text

    def sweep(self) -> None:
        """Close what has not been read since the last sweep."""
        for path in self._kept.keys() - self._used:
            os.close(self._kept.pop(path))
        self._used.clear()


def _is(process: _Stat | None, identity: Identity) -> bool:
    return process is not None and process.identity == identity
