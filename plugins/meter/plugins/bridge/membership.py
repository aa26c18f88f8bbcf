"""In which cgroup a process is, from /proc/PID/cgroup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meter.core.kept import KeptFiles
from meter.core.workloads import place

if TYPE_CHECKING:
    from meter.core.plugin import Context

UNKNOWN: Final = "unknown"
"""Where a process belongs of which nobody can say any more in which cgroup it was. No path of a cgroup is so."""

_V1: Final = {"cpu": ("cpuacct", "cpu"), "memory": ("memory",), "io": ("blkio",), "pids": ("pids",)}
"""The controllers of version 1 for each word of the option `controller`."""
_REMOVED: Final = " (deleted)"
_LONGEST: Final = 1 << 16
_REMEMBERED: Final = 1 << 16


class Membership:
    """The cgroups of processes: each is read once for each hand-over, so that one that moves is followed.

    Of one that has ended since it was measured the last cgroup is known where it was seen before: where its row goes
    on from the one before. Where it does not, the process is a new one, perhaps with the number of one that has ended.

    Args: `controller` says whose hierarchy is meant where cgroups of version 1 have several; `level` which cgroup, the
        innermost (`cgroup`), or that of its `part` or `workload`, as `meter.core.workloads` knows it.
    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, section Processes; cgroups(7).
    """

    def __init__(self, context: Context, controller: str, level: str) -> None:
        self._files = KeptFiles(context, _LONGEST)
        self._controllers = _V1[controller]
        self._level = level
        self._now: dict[str, str | None] = {}
        """What was read in this hand-over; None where there is no such process any more."""
        self._last: dict[str, tuple[str, int]] = {}
        """Where each process was seen last, and until when it was measured then; the oldest ones are forgotten."""
        self.close = self._files.close

    def of(self, pid: str, since: int, ts: int) -> str:
        """The path of the cgroup to which a row of a process belongs, or `UNKNOWN`.

        Args: since, ts, the span of the row in monotonic nanoseconds.
        """
        if pid not in self._now:
            self._now[pid] = self._read(pid)
        path = self._now[pid]
        before = self._last.pop(pid, None)
        if path is None:
            if before is None or since > before[1]:
                return UNKNOWN
            path = before[0]
        self._last[pid] = (path, ts if before is None else max(ts, before[1]))
        if len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]
        return path

    def end(self) -> None:
        """A hand-over is through: next time everything is read anew."""
        if self._now:
            self._now.clear()
            self._files.sweep()

    def _read(self, pid: str) -> str | None:
        if not pid.isdecimal():
            return None
        try:
            text = self._files.read(f"/proc/{pid}/cgroup")
        except OSError:  # it has ended, or may not be looked at
            return None
        path = path_in(text.decode(errors="surrogateescape"), self._controllers)
        if path is None or self._level == "cgroup":
            return path
        found = place(path)
        return found.whole if self._level == "workload" else found.part


def path_in(text: str, controllers: tuple[str, ...]) -> str | None:
    """The path that /proc/PID/cgroup says, of the hierarchy of the first of these controllers that has one of its own.

    Where none has one it is that of version 2. A cgroup that was removed below a process that waits for its parent
    (`(deleted)`) is the one that it was. None: there is no such line.
    """
    unified = None
    found: dict[str, str] = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        path = path.removesuffix(_REMOVED)
        if number == "0" and not names:
            unified = path
        for name in names.split(","):
            found.setdefault(name, path)
    return next((found[name] for name in controllers if name in found), unified)
