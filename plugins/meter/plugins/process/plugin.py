"""The source `process`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from meter.core.counters import Deltas
from meter.core.kept import KeptFiles
from meter.core.plugin import EACH, Gone, Missing, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_Cells = Sequence[float | Missing]

Identity = tuple[int, int]
"""Process id and start in clock ticks since boot: an id is used again, both together are not."""

_COUNTERS = {
    "user": ("process.cpu.time", {"cpu.mode": "user"}),
    "system": ("process.cpu.time", {"cpu.mode": "system"}),
    "read": ("process.disk.io", {"disk.io.direction": "read"}),
    "write": ("process.disk.io", {"disk.io.direction": "write"}),
}
_TIMES = ("user", "system")
_STATE = ("process.memory.usage", "process.memory.virtual", "process.thread.count")
_ABSENT = (Missing("there was no such process when measuring began"),) * len(_STATE)
_ENDED_STATE = (Missing("the process has ended"),) * len(_STATE)
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

    Rows: one of 7 columns for each process, of 3 at its first reading; further rows of 1 where a counter has another
    span, as one that could not be read before.
    Resolution of times: 1 / USER_HZ, 10 ms nearly everywhere.
    Raises: Gone, all processes of `pid` and all of `tree` have ended; with the tree 0 there may always be new ones.
    Source: proc_pid_stat(5), proc_pid_io(5); Linux, Documentation/filesystems/proc.rst.
    """

    def start(self, context: SourceContext) -> None:
        """Find the processes of the configuration.

        Raises: ProcessLookupError, there is none of them; OSError, one of them is hidden.
        """
        self._context = context
        self._files = KeptFiles(context, 4096)
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._tracks: dict[Identity, _Track] = {}
        self._first = True
        states = [ColumnSpec(metric, consumer_id=EACH) for metric in _STATE]
        counters = {
            name: ColumnSpec(metric, consumer_id=EACH, attributes=attributes)
            for name, (metric, attributes) in _COUNTERS.items()
        }
        self._state = context.columns(states)
        self._whole = context.columns([*states, *counters.values()])
        self._counters = {name: context.columns([spec]) for name, spec in counters.items()}
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
        self._rows(out, [processes[pid] for pid in sorted(processes)])
        self._files.sweep()

    def stop(self) -> None:
        """Close what is open."""
        self._files.close()

    def _rows(self, out: Readings, processes: Sequence[_Stat]) -> None:
        """A row for each process; one whose deltas do not all begin with the row has more of them."""
        states: list[tuple[str, _Cells]] = [(str(pid), _ABSENT) for pid in self._absent]
        self._absent.clear()
        wholes: list[tuple[str, _Cells, int]] = []
        pieces: list[tuple[str, str, float | Missing, int]] = []
        tracks, self._tracks = self._tracks, {}
        for process in processes:
            name = str(process.pid)
            # The kernel shows the memory of an ended process as 0; what it held before is not known any more.
            state: _Cells = (
                _ENDED_STATE if process.ended else (process.resident * self._page, process.virtual, process.threads)
            )
            now = (process.user, process.system, *self._io(process.pid))
            track = tracks.get(process.identity)
            if track is None:
                birth = out.since if self._first else self._birth(process, out.since)
                track = _Track(min(birth, out.ts) if birth > out.since else None)
            self._tracks[process.identity] = track
            since = track.ts
            deltas = track.steady(out.ts, now)
            if deltas is not None:
                wholes.append((name, (*state, *self._seconds(deltas[:2]), *deltas[2:]), since))
            else:
                states.append((name, state))
                pieces += [(name, each, delta, begin) for each, (delta, begin) in track.step(out.ts, now).items()]
        self._first = False
        for name, state in states:
            out.row(self._state, state, of=name)
        for name, cells, since in wholes:
            out.row(self._whole, cells, of=name, since=since)
        for name, counter, delta, since in pieces:
            cells = self._seconds([delta]) if counter in _TIMES else [delta]
            out.row(self._counters[counter], cells, of=name, since=since)

    def _seconds(self, ticks: Iterable[float | Missing]) -> list[float | Missing]:
        """Times, given by the kernel in ticks."""
        return [cell if isinstance(cell, Missing) else cell / self._hertz for cell in ticks]

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
        try:
            text = self._files.read(f"/proc/{pid}/stat")
        except (FileNotFoundError, ProcessLookupError):
            return None
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
        except (FileNotFoundError, ProcessLookupError):
            text = b""
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


class _Track:
    """The counters of one process from poll to poll.

    Nearly always all of them could be read now and before, and none has fallen; or one cannot be read at all, and
    then never could. What is else goes through `Deltas`, until it is so again.
    """

    __slots__ = ("_deltas", "_last", "ts")

    def __init__(self, birth: int | None) -> None:
        """Args: birth, when it began at 0, where that is known."""
        self.ts = birth or 0
        """When the counters were as they are known: where the span of the next whole row begins."""
        self._last: _Cells | None = None if birth is None else (0,) * len(_COUNTERS)
        self._deltas: Deltas[str] | None = None

    def steady(self, ts: int, now: _Cells) -> list[float | Missing] | None:
        """The deltas of all counters since `ts` of this; None where they are not so simple."""
        if self._last is None:
            return None
        deltas: list[float | Missing] = []
        for before, value in zip(self._last, now, strict=True):
            if type(before) is int and type(value) is int and value >= before:
                deltas.append(value - before)
            elif isinstance(before, Missing) and isinstance(value, Missing):
                deltas.append(value)
            else:
                return None
        self.ts = ts
        self._last = now
        return deltas

    def step(self, ts: int, now: _Cells) -> dict[str, tuple[float | Missing, int]]:
        """The deltas that there are, and since when."""
        deltas = self._deltas
        if deltas is None:
            if self._last is None:  # the first reading is the base
                self._last, self.ts = now, ts
                return {}
            deltas = Deltas()
            deltas.step(self.ts, dict(zip(_COUNTERS, self._last, strict=True)))
        found = deltas.step(ts, dict(zip(_COUNTERS, now, strict=True)))
        whole = not any(isinstance(value, Missing) for value in now)
        self._last, self._deltas, self.ts = (now, None, ts) if whole else (None, deltas, ts)
        return found


def _is(process: _Stat | None, identity: Identity) -> bool:
    return process is not None and process.identity == identity
