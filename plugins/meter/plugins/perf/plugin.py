"""The source `perf`."""

from __future__ import annotations

import errno
import os
import select
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.perf_event import (
    EXCLUDE_KERNEL,
    GROUPED,
    INHERIT,
    INHERIT_THREAD,
    Counted,
    numbers,
    open_counter,
)
from meter.core.plugin import Gone, Missing, Source
from meter.core.readings import ColumnSpec
from meter.plugins.perf.events import CPU_TIME, Event, chosen
from meter.plugins.perf.groups import Count, Group, added, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings

_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
_HIERARCHIES: Final = (
    ("/sys/fs/cgroup/perf_event/tasks", "/sys/fs/cgroup/perf_event"),
    ("/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup"),
    ("/sys/fs/cgroup/unified/cgroup.controllers", "/sys/fs/cgroup/unified"),
)
"""A file by which each is known, and where it is: the hierarchy of perf of version 1, version 2, both versions."""
_NONE: Final = Missing("there was no such process when measuring began")
_IN_KERNEL: Final = Missing("it happens in the kernel only: say `kernel = true`")
_SCALED: Final = "extrapolated: it shared the counters of the processor with other events"
_NANOSECONDS: Final = 1_000_000_000


class Perf(Source):
    """What events have counted since the previous poll, for processes, control groups and the machine.

    Emits `perf.cycles`, `perf.instructions`, `perf.cache.references`, `perf.cache.misses`, `perf.branches`,
    `perf.branch.misses` (u64), `perf.cpu.time` (s, f64; not of the machine), `perf.context_switches`,
    `perf.migrations`, `perf.page_faults` (u64) and `perf.events` (u64, by `perf.event`), all deltas.

    Where more events are asked for than the processor has counters, the kernel lets them take turns. What was counted
    for a part of the time is extrapolated, and the series is derived from then on; without any turn it is missing. So
    is, with the reason, what the host does not have or permit.

    Row: one for each of them, a column for each event; the first poll is the base. One read for each group of events
    of each thread or CPU.
    Raises: Gone, all of them have ended.
    Source: perf_event_open(2); Linux, kernel/events/core.c.
    """

    def start(self, context: SourceContext) -> None:
        """Open the counters.

        Raises: ValueError, as `check_config`; ProcessLookupError or FileNotFoundError, there is nothing of what is to
            be counted; OSError, nothing can be counted, as below `--sysroot`.
        """
        config = self.config
        self._context = context
        self._absent: list[str] = []
        self._targets: list[_Target] = []
        if context.sysroot is not None:
            told = "events are counted on the machine itself only, not below `--sysroot`: run without that option"
            raise OSError(errno.ENODEV, told)
        check_config(config)
        self._events = [event for event in chosen(config) if event.metric not in context.absent]
        try:
            if config["scope"] == "machine":
                self._targets.append(self._machine())
            for pid in config["pid"]:
                self._add_process(pid)
            for path in config["cgroup"]:
                self._targets.append(self._cgroup(path))
            self._verify()
        except BaseException:
            self.stop()
            raise

    def poll(self, out: Readings) -> None:
        """Read each group once."""
        if not self._targets:
            raise Gone("all that is to be counted has ended")
        for pid in self._absent:
            specs = [_spec(event, "process", pid, scaled=False) for event in self._events]
            out.row(out.columns(specs), [_NONE] * len(specs))
        self._absent.clear()
        for target in list(self._targets):
            ended = target.ended()
            self._give(out, target)
            if ended:
                target.close()
                self._targets.remove(target)

    def stop(self) -> None:
        """Close the counters."""
        for target in self._targets:
            target.close()
        self._targets = []

    def _give(self, out: Readings, target: _Target) -> None:
        """The row of a target."""
        counts = target.step()
        if counts is None:
            return
        scaled = {event for event, count in counts.items() if count.scaled} - target.scaled
        if scaled or target.columns is None:
            target.scaled |= scaled
            specs = [_spec(event, target.kind, target.id, scaled=event in target.scaled) for event in counts]
            target.columns = out.columns(specs)
        out.row(target.columns, [_cell(event, count.value) for event, count in counts.items()])

    def _add_process(self, pid: int) -> None:
        """Count a process, if there is one."""
        try:
            self._targets.append(self._process(pid))
        except (FileNotFoundError, ProcessLookupError):
            self._absent.append(str(pid))

    def _process(self, pid: int) -> _Target:
        """All threads of a process. Raises: FileNotFoundError or ProcessLookupError, there is none; OSError."""
        threads = sorted(int(name) for name in self._context.listdir(f"/proc/{pid}/task"))
        bits = INHERIT if self.config["children"] else INHERIT | INHERIT_THREAD
        target = _Target("process", str(pid), self._events)
        target.watched = os.pidfd_open(pid)
        try:
            for thread in threads:
                with suppress(ProcessLookupError):  # a thread that has just ended
                    self._open(target, bits, pid=thread)
        except BaseException:
            target.close()
            raise
        if not target.groups and not target.reasons:
            target.close()
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return target

    def _cgroup(self, path: str) -> _Target:
        """All that runs in a control group. Raises: FileNotFoundError, there is none; OSError."""
        at = next((at for file, at in _HIERARCHIES if os.path.exists(self._context.path(file))), None)
        if at is None:
            raise FileNotFoundError(errno.ENOENT, "there are no control groups below /sys/fs/cgroup")
        target = _Target("cgroup", path, self._events)
        folder = f"{at}{path}".rstrip("/")
        target.folder = self._context.path(folder)
        descriptor = self._context.open(folder)
        try:
            for cpu in self._cpus():
                self._open(target, 0, pid=descriptor, cpu=cpu, cgroup=True)
        except BaseException:
            target.close()
            raise
        finally:
            os.close(descriptor)
        return target

    def _machine(self) -> _Target:
        """All that runs on any CPU. Raises: OSError."""
        target = _Target("machine", "", [event for event in self._events if event.metric != CPU_TIME])
        try:
            for cpu in self._cpus():
                self._open(target, 0, cpu=cpu)
        except BaseException:
            target.close()
            raise
        return target

    def _cpus(self) -> list[int]:
        """The CPUs that are online. Raises: OSError."""
        file = self._context.open("/sys/devices/system/cpu/online")
        try:
            return numbers(os.pread(file, 4096, 0).decode("ascii"))
        finally:
            os.close(file)

    def _open(self, target: _Target, bits: int, *, pid: int = -1, cpu: int = -1, cgroup: bool = False) -> None:
        """Open the events of a target for a thread or a CPU. Raises: OSError, as `grouped`."""
        kernel = self.config["kernel"]
        bits |= 0 if kernel else EXCLUDE_KERNEL
        events = [event for event in target.events if kernel or not event.inside]
        open_ = partial(self._counter, bits=bits, pid=pid, cpu=cpu, cgroup=cgroup)
        try:
            groups, failed = grouped(events, open_)
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise OSError(errno.EMFILE, f"{error.strerror}: `ulimit -n 65536`, or count fewer events") from error
            raise
        target.groups += groups
        target.failed = {**failed, **target.failed}
        target.reasons |= {event: _IN_KERNEL for event in target.events if event not in events}
        target.reasons |= {event: Missing(_told(event, target, error)) for event, error in target.failed.items()}

    def _counter(self, event: Event, group: int, *, bits: int, pid: int, cpu: int, cgroup: bool) -> int:
        """An open counter. Raises: OSError."""
        what = Counted(event.type, event.config, GROUPED, bits)
        return open_counter(self._context, what, pid=pid, cpu=cpu, group=group, cgroup=cgroup)

    def _verify(self) -> None:
        """Raises: ProcessLookupError, there is nothing to count; OSError, none of it can be counted."""
        if not self._targets:
            raise ProcessLookupError(f"there is no process {', '.join(self._absent)}; name one that runs")
        if any(target.groups for target in self._targets):
            return
        for target in self._targets:
            for event, error in target.failed.items():
                raise type(error)(error.errno, _told(event, target, error))
        raise ValueError("all of these events happen in the kernel only: say `kernel = true`")


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse what types cannot. Raises: ValueError, an event is none, or what is given does not go with `scope`."""
    chosen(config)
    scope = config["scope"]
    for option, kind, example in (("pid", "process", "[1234]"), ("cgroup", "cgroup", '["/user.slice"]')):
        if scope == kind and not config[option]:
            raise ValueError(f'`scope = "{kind}"` counts nothing without `{option}`: say `{option} = {example}`')
        if scope != kind and config[option]:
            raise ValueError(f'`{option}` is not counted with `scope = "{scope}"`: say `scope = "{kind}"`')
    for path in config["cgroup"]:
        if not path.strip("/"):  # of the root Linux 6.18 counts some CPUs only
            raise ValueError(f'`cgroup` has {path!r}, which holds all that runs: say `scope = "machine"`')
        if not path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"`cgroup` has {path!r}, expected a path below the root of all groups as `/user.slice`")


class _Target:
    """What is counted: a process, a control group or the machine, with the groups of its threads or CPUs.

    `reasons` says why an event is not counted; `scaled` are those that were extrapolated once.
    """

    def __init__(self, kind: str, id_: str, events: Iterable[Event]) -> None:
        self.kind = kind
        self.id = id_
        self.events = list(events)
        self.groups: list[Group] = []
        self.failed: dict[Event, OSError] = {}
        self.reasons: dict[Event, Missing] = {}
        self.scaled: set[Event] = set()
        self.columns: Columns | None = None
        self.watched: int | None = None
        self.folder = ""

    def step(self) -> dict[Event, Count] | None:
        """What each event has counted since the last call; None at the first one."""
        found: dict[Event, list[Count]] = {event: [] for event in self.events}
        based = False
        for group in self.groups:
            counts = group.step()
            based |= counts is None
            for event, count in zip(group.events, counts or (), strict=False):
                found[event].append(count)
        if based:
            return None
        return {
            event: Count(self.reasons[event]) if event in self.reasons else added(counts)
            for event, counts in found.items()
        }

    def ended(self) -> bool:
        """Whether it counts nothing more; what it has counted can still be read."""
        if self.watched is not None:
            waiting = select.poll()
            waiting.register(self.watched, select.POLLIN)
            return bool(waiting.poll(0))
        return bool(self.folder) and not os.path.isdir(self.folder)

    def close(self) -> None:
        """Close all that is open."""
        for group in self.groups:
            group.close()
        self.groups = []
        if self.watched is not None:
            os.close(self.watched)
            self.watched = None


class _Denial(NamedTuple):
    """What the setting of the kernel must be at most for a target, and what else helps."""

    paranoid: int
    more: str


_DENIALS: Final = {
    "process": _Denial(1, ", or say `kernel = false`"),
    "cgroup": _Denial(0, ""),
    "machine": _Denial(0, ""),
}


def _told(event: Event, target: _Target, error: OSError) -> str:
    """Why an event cannot be counted, and what mends it."""
    of = f"{target.kind} {target.id}".strip()
    if error.errno in _DENIED:
        denial = _DENIALS[target.kind]
        mends = f"`sudo sysctl -w kernel.perf_event_paranoid={denial.paranoid}`, give meter the capability CAP_PERFMON"
        return f"no permission to count {event.name} of {of}: {mends}{denial.more}"
    return f"this host cannot count {event.name} of {of}: {error.strerror}"


def _cell(event: Event, value: int | Missing) -> float | Missing:
    """A value in the unit of its metric: the kernel says nanoseconds."""
    return value / _NANOSECONDS if event.metric == CPU_TIME and not isinstance(value, Missing) else value


def _spec(event: Event, kind: str, id_: str, *, scaled: bool) -> ColumnSpec:
    """The series of an event."""
    quality, reason = ("derived", _SCALED) if scaled else (None, "")
    attributes = dict(event.attributes)
    return ColumnSpec(
        event.metric, consumer_id=id_ or None, consumer=kind, attributes=attributes, quality=quality, reason=reason
    )
