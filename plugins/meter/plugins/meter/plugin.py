"""The source `meter`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from meter.core.own import cpu_us, resident_bytes
from meter.core.plugin import Source
from meter.core.state import LATENESS, LATER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meter.core.plugin import Control, SourceContext
    from meter.core.readings import Readings
    from meter.core.state import ProcessState, State

_INSTANCE: Final = "meter.instance"
_LATE: Final = "meter.poll.late"
_LIMITS: Final = (*LATENESS, LATER)
_MODES: Final = ("user", "system")
_HOP_TIME: Final = "meter.hop.time"
_HOPS: Final = ("meter.hop.count", "meter.hop.points", _HOP_TIME)
_NANOSECONDS: Final = 1_000_000_000

Series = tuple[str, str, str]
"""Metric, instance, and the limit of lateness where there is one."""


class Meter(Source):
    """What the chain that it is part of has done since the last poll, what waits in it, and what the process uses.

    Emits of each source, filter and output what the contract says, by `meter.instance`; `meter.chain.waiting`; and of
    this process `meter.cpu.time` (s, f64, delta) by `cpu.mode` and `meter.memory.usage` (By, u64, gauge), which is
    missing where /proc/self/statm says no number. Where the chain runs in a process of its own that is another
    consumer of both, from its second poll on; what is said of it, and of what runs there, is up to a second old.

    The engine counts from 0 on, so the first delta of each count covers all since the first poll; the first poll
    itself gives no deltas, nor does one before the chain runs. An instance that is new since the last poll counts from
    that on. What happens after the last poll, such as what is lost when the run ends, is in the line at its end only.

    Rows: one; a further one where counts have another span than CPU time.
    Source: `meter.core.state`, getrusage(2), proc_pid_statm(5). Files are those of this machine whatever the sysroot.
    """

    def start(self, context: SourceContext) -> None:
        """Forget an earlier run."""
        del context
        self._control: Control | None = None
        self._since: int | None = None
        self._counts: dict[Series, int] = {}
        self._cpu: tuple[int, int] | None = None
        self._pid = str(os.getpid())
        self._others: dict[int, ProcessState] = {}

    def post_pipeline_start(self, control: Control) -> None:
        """Keep what the chain can be asked by."""
        self._control = control

    def poll(self, out: Readings) -> None:
        """Ask the engine and the kernel once each."""
        self._process(out)
        since, control = self._since, self._control
        if since is None:
            self._since = out.ts
        if since is None or control is None:
            out.nothing()  # the chain does not run yet
        else:
            state = control.state()
            self._beside(out, state)
            self._chain(out, state, since)
            self._since = out.ts

    def _process(self, out: Readings) -> None:
        """What this process uses."""
        now, before = cpu_us(), self._cpu
        self._cpu = now
        if before is not None:
            for mode, begin, end in zip(_MODES, before, now, strict=True):
                out.emit("meter.cpu.time", (end - begin) / 1e6, consumer_id=self._pid, attributes={"cpu.mode": mode})
        out.emit("meter.memory.usage", resident_bytes(), consumer_id=self._pid)

    def _beside(self, out: Readings, state: State) -> None:
        """What the processes beside this one use, from when they were seen first."""
        for now in state.processes:
            before = self._others.get(now.pid)
            self._others[now.pid] = now
            pid = str(now.pid)
            if before is not None:
                spent = (now.user_us - before.user_us, now.system_us - before.system_us)
                for mode, delta in zip(_MODES, spent, strict=True):
                    out.emit("meter.cpu.time", delta / 1e6, consumer_id=pid, attributes={"cpu.mode": mode})
            out.emit("meter.memory.usage", now.resident, consumer_id=pid)

    def _chain(self, out: Readings, state: State, since: int) -> None:
        """What the chain did since a time, and what waits in it."""
        before, self._counts = self._counts, dict(_counts(state))
        for series, count in self._counts.items():
            metric, instance, limit = series
            attributes = {_INSTANCE: instance, _LATE: limit} if limit else {_INSTANCE: instance}
            delta = count - before.get(series, 0)
            value = delta / _NANOSECONDS if metric == _HOP_TIME else delta
            out.emit(metric, value, attributes=attributes, since=since)
        for output in state.outputs:
            attributes = {_INSTANCE: output.label}
            out.emit("meter.queue.batches", output.waiting_batches, attributes=attributes)
            out.emit("meter.queue.points", output.waiting_points, attributes=attributes)
            out.emit("meter.queue.memory", output.waiting_bytes, attributes=attributes)
        out.emit("meter.chain.waiting", state.waiting)
        if not state.filters:
            out.nothing(*_HOPS)


def _counts(state: State) -> Iterator[tuple[Series, int]]:
    """All that only grows."""
    for source in state.sources:
        yield ("meter.poll.count", source.label, ""), source.polls
        yield ("meter.poll.retried", source.label, ""), source.retries
        yield ("meter.poll.points", source.label, ""), source.points
        yield ("meter.tick.missed", source.label, ""), source.missed
        for limit, polls in zip(_LIMITS, source.lateness, strict=True):
            yield ("meter.poll.lateness", source.label, limit), polls
    for filter_ in state.filters:
        yield ("meter.hop.count", filter_.label, ""), filter_.batches
        yield ("meter.hop.points", filter_.label, ""), filter_.points
        yield (_HOP_TIME, filter_.label, ""), filter_.spent_ns
    for output in state.outputs:
        yield ("meter.write.count", output.label, ""), output.writes
        yield ("meter.write.failed", output.label, ""), output.failures
        yield ("meter.write.points", output.label, ""), output.points
        yield ("meter.row.lost", output.label, ""), output.lost
        yield ("meter.row.dropped", output.label, ""), output.dropped
    yield from _by_instance("meter.fault.count", state.faults)
    yield from _by_instance("meter.violation.count", state.violations)


def _by_instance(metric: str, counts: Mapping[str, int]) -> Iterator[tuple[Series, int]]:
    for instance, count in counts.items():
        yield (metric, instance, ""), count
