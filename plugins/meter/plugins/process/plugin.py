"""The source `process`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from meter.core.plugin import EACH, Missing, Retry, Source
from meter.core.readings import ColumnSpec
from meter.plugins.process.files import Files
from meter.plugins.process.parts import parts
from meter.plugins.process.selection import Selection, verify
from meter.plugins.process.track import Track

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings
    from meter.plugins.process.files import Identity, Stat
    from meter.plugins.process.parts import Cells

_ABSENT: Final = Missing("there was no such process when measuring began")
_OTHER: Final = Missing("it is not one that `name`, `command` and `user` let through")
_ENDED: Final = Missing("the process has ended")
_NANOSECONDS: Final = 1_000_000_000
_SHORTEST_BY_MODE: Final = 50_000_000
"""Five ticks, in nanoseconds: below, what is rounded is more than a fifth of a row."""
_GAUGES: Final = None
_ALL: Final = -1


class Process(Source):
    """CPU time, memory, threads and more of the processes that `pid`, `tree`, `name`, `command` and `user` select.

    Emits, with the process as consumer: `process.cpu.time` (s, f64, delta), by `cpu.mode` with `modes`, ended threads
    included; `process.memory.usage` and `process.memory.virtual` (By, u64, gauge); `process.thread.count` ({thread},
    i64, gauge). Where the options ask for them: `process.memory.shared` (By, u64, gauge);
    `process.memory.proportional` and `process.memory.swap` (By, u64, gauge, additive);
    `process.unix.file_descriptor.count` ({file_descriptor}, i64, gauge); `process.paging.faults` ({fault}, u64, delta);
    `process.context_switches` ({context_switch}, u64, delta); `process.disk.io` (By, u64, delta). What may not be read
    is missing.

    A process that starts between two polls is counted from its birth on. One that ended shows its last times until its
    parent has waited for it, then its series end. A descendant whose parent ended stays in its tree. The ids of `pid`
    and `tree` mean the processes that have them at `start`, not others that get them later.

    Rows: one of all columns for each process, of the gauges at its first reading; further rows of 1 where a counter has
    another span, as one that could not be read before.
    Resolution of times: with `modes` 1 / USER_HZ, 10 ms nearly everywhere; without, that of the kernel's scheduler.
    Raises: Gone, all processes of `pid` and all of `tree` have ended; with the tree 0 there may always be new ones.
        Retry, the processes could not be looked through, as when too many files are open.
    Source: proc(5), clock_getcpuclockid(3); Linux, Documentation/filesystems/proc.rst.
    """

    def start(self, context: SourceContext) -> None:
        """Find the processes of the configuration. Raises: as `Selection`."""
        self._context = context
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._tracks: dict[Identity, Track] = {}
        self._first = True
        self._files = Files(context)
        try:
            self._selection = Selection(self._files, self.config)
        except BaseException:
            self._files.close()
            raise
        self._parts = parts(self._files, self.config)
        self._counting = [part for part in self._parts if part.counters]
        self._showing = [part for part in self._parts if part.gauges]
        self._gauges = [gauge for part in self._parts for gauge in part.gauges]
        self._counters = [counter for part in self._parts for counter in part.counters]
        self._scales = [counter.per for counter in self._counters]
        self._names: bool = self.config["names"]
        self._each: dict[int | None, Columns] = {}
        if not self._names:
            places = (_GAUGES, _ALL, *range(len(self._counters)))
            self._each = {place: self._declare(place, EACH, {}) for place in places}

    def poll(self, out: Readings) -> None:
        """Find the processes that there are and read each of them once."""
        try:
            processes = self._selection.processes()
        except PermissionError:
            raise
        except OSError as error:  # too many open files, no memory: whom that leaves out nobody could tell
            raise Retry(str(error)) from error
        self._rows(out, processes)
        self._first = False
        present = set(self._tracks)
        for part in self._parts:
            part.forget(present)
        self._files.sweep()

    def stop(self) -> None:
        """Close what is open."""
        self._files.close()

    def _rows(self, out: Readings, processes: Sequence[Stat]) -> None:
        """A row for each process; one whose deltas do not all begin with the row has more of them."""
        rows: list[tuple[Columns, Cells, str, int]] = []
        pieces: list[tuple[Columns, Cells, str, int]] = []
        counted = False
        if self._first:
            for reason, pids in ((_ABSENT, self._selection.absent), (_OTHER, self._selection.others())):
                rows += [self._missing(pid, reason, out.since) for pid in pids]
        tracks, self._tracks = self._tracks, {}
        for process in processes:
            identity = process.identity
            track = tracks.get(identity)
            if track is None:
                birth = out.since if self._first else self._birth(process, out.since)
                track = Track(min(birth, out.ts) if birth > out.since else None, len(self._counters))
            self._tracks[identity] = track
            of = "" if self._names else str(identity[0])
            columns = self._named(process, track) if self._names else self._each
            gauges = self._now(process)
            now = [cell for part in self._counting for cell in part.counted(process)]
            since = track.ts
            deltas = track.steady(out.ts, now)
            if deltas is not None:
                gauges += [
                    delta / per if per and not isinstance(delta, Missing) else delta
                    for delta, per in zip(deltas, self._scales, strict=True)
                ]
                rows.append((columns[_ALL], gauges, of, since))
                counted = True
                continue
            rows.append((columns[_GAUGES], gauges, of, out.since))
            for place, (delta, begin) in track.step(out.ts, now).items():
                if place not in columns:
                    columns[place] = self._labelled(process, track, place)
                per = self._scales[place]
                scaled = delta / per if per and not isinstance(delta, Missing) else delta
                pieces.append((columns[place], [scaled], of, begin))
        for each, cells, of, since in (*rows, *pieces):
            out.row(each, cells, of=of, since=since)
        if not rows:
            out.nothing()
        elif not counted and not pieces:
            out.nothing(*{counter.metric for counter in self._counters})

    def _now(self, process: Stat) -> list[float | Missing]:
        """The gauges; of an ended process the kernel shows 0, what it held before is not known any more."""
        if process.ended:
            return [_ENDED] * len(self._gauges)
        return [cell for part in self._showing for cell in part.now(process)]

    def _missing(self, pid: int, reason: Missing, since: int) -> tuple[Columns, Cells, str, int]:
        """The row of a process of which there is nothing to say but why."""
        columns = self._declare(_GAUGES, str(pid), _labels("", "")) if self._names else self._each[_GAUGES]
        return columns, [reason] * len(self._gauges), "" if self._names else str(pid), since

    def _named(self, process: Stat, track: Track) -> dict[int | None, Columns]:
        """The columns of a process that say what it is."""
        try:
            user = self._files.user(process.pid)
        except OSError:
            user = None
        if user is not None or track.labels is None:
            labels = process.name.decode(errors="replace"), "" if user is None else str(user)
            if labels != track.labels:
                track.labels = labels
                track.columns = {}
                for place in (_GAUGES, _ALL):
                    track.columns[place] = self._labelled(process, track, place)
        return track.columns

    def _labelled(self, process: Stat, track: Track, place: int | None) -> Columns:
        return self._declare(place, str(process.pid), _labels(*(track.labels or ("", ""))))

    def _declare(self, place: int | None, consumer: str, labels: Mapping[str, str]) -> Columns:
        """The columns of the gauges, of all, or of one counter."""
        gauges = [ColumnSpec(metric, consumer_id=consumer, attributes=labels) for metric in self._gauges]
        counters = [
            ColumnSpec(counter.metric, consumer_id=consumer, attributes={**counter.attributes, **labels})
            for counter in self._counters
        ]
        if place is _GAUGES:
            return self._context.columns(gauges)
        return self._context.columns([*gauges, *counters] if place == _ALL else [counters[place]])

    def _birth(self, process: Stat, previous: int) -> int:
        """When a process that was not there at the previous poll began, in monotonic nanoseconds.

        The kernel says it in ticks of the clock that runs on in suspend, rounded down: a process that seems to have
        begun in the last tick before the previous poll began after it.
        """
        suspended = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        tick = _NANOSECONDS // self._hertz
        birth = process.start * tick - suspended
        return max(birth, previous + 1) if birth + tick > previous else birth


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse what types cannot.

    Raises: ValueError, a regular expression is none, a name is too long, or an interval is too short for `modes`.
    """
    verify(config)
    if config["modes"] and config["interval"] < _SHORTEST_BY_MODE:
        raise ValueError(
            "by mode the kernel tells CPU time in ticks of 10 ms, so that a row would often have none or twice what was"
            " used: say `modes = false`, or an interval of 50 ms or more"
        )


def _labels(title: str, user: str) -> dict[str, str]:
    """What series say of a process with `names`."""
    return {"process.title": title, "process.user.id": user}
