"""The source `cgroup`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.core.counters import Deltas
from meter.core.plugin import EACH, Missing, Source
from meter.core.readings import ColumnSpec
from meter.core.workloads import workload
from meter.plugins.cgroup.parts import Series, parts
from meter.plugins.cgroup.tree import Files, Vanished, hierarchies, literal, patterns, selected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings
    from meter.plugins.cgroup.parts import Cells, Part, Read

_METRICS = (
    "container.cpu.time",
    "container.memory.usage",
    "container.memory.peak",
    "container.memory.parts",
    "container.disk.io",
    "container.disk.operations",
    "container.thread.count",
    "container.pressure.stall_time",
)
_ASKED = {
    "limits": ("container.memory.limit", "container.paging.limit"),
    "paging": ("container.paging.usage", "container.paging.operations"),
}


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse what types cannot. Raises: ValueError, several paths are one text: a comma stands for itself in a name."""
    for text in config["paths"]:
        if ",/" in text:
            paths = text.split(",")
            words, array = " ".join(f"'paths={path}'" for path in paths), ", ".join(f'"{path}"' for path in paths)
            raise ValueError(f"`paths` has {text!r}, which is one path: say {words} in a command, [{array}] in a file")


class _Thing(NamedTuple):
    """A cgroup in one hierarchy: `part` is the place of what is read of it, `identity` tells it from later ones."""

    part: int
    path: str
    identity: int


class _Counter(NamedTuple):
    """One counter of a cgroup."""

    thing: _Thing
    series: Series


class _Seen(NamedTuple):
    """The counters of a cgroup at the last poll, and whether they could be read."""

    series: frozenset[Series]
    readable: bool


class Cgroup(Source):
    """CPU time, memory, swap, disk traffic, threads and pressure of the cgroups that `paths` selects.

    Emits, with the cgroup as consumer: `container.cpu.time` (s, f64, delta), by `cpu.mode` where `modes` says so;
    `container.memory.usage`, `container.memory.peak` and `container.memory.parts` (By, u64, gauge);
    `container.disk.io` (By, u64, delta) and `container.disk.operations` ({operation}, u64, delta) by device and
    direction; `container.thread.count` ({thread}, i64, gauge); `container.pressure.stall_time` (s, f64, delta).
    With `limits`: `container.memory.limit` and `container.paging.limit` (By, u64, gauge), missing where there is none.
    With `paging`: `container.paging.usage` (By, u64, gauge) and `container.paging.operations` ({operation}, u64,
    delta) by `system.paging.direction`, one for each page.

    All but limits include the cgroups below. What a host has no controller for is not there; what cannot be read is
    missing. A cgroup that was not there at the previous poll counts from 0, since that poll; one that has gone ends.

    Rows: for each cgroup one of gauges of each controller, and one of deltas for each controller and device.
    Resolution of times: 1 microsecond in version 2, 1 nanosecond in version 1, there 1 / USER_HZ by mode.
    Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.
    """

    def start(self, context: SourceContext) -> None:
        """Find the hierarchies. Raises: FileNotFoundError, there are none; other OSErrors."""
        self._context = context
        asked = {name: self.config[name] for name in ("modes", *_ASKED)}
        self._parts: list[Part] = parts(hierarchies(context), context, **asked)
        self._metrics = [*_METRICS, *(metric for name in _ASKED if asked[name] for metric in _ASKED[name])]
        self._patterns = patterns(self.config["paths"])
        self._files = Files(context)
        self._deltas: Deltas[_Counter] = Deltas()
        self._seen: dict[_Thing, _Seen] = {}
        self._columns: dict[tuple[str, tuple[Series, ...]], Columns] = {}
        self._first = True

    def poll(self, out: Readings) -> None:
        """Find the selected cgroups and read each of them once."""
        gauges: dict[_Thing, Cells] = {}
        counters: dict[_Counter, int | Missing] = {}
        born: dict[_Counter, int] = {}
        seen: dict[_Thing, _Seen] = {}
        for thing in self._things():
            part = self._parts[thing.part]
            try:
                gauges[thing] = part.gauges(self._reader(thing))
                cells = part.counters(self._reader(thing))
            except Vanished:
                gauges.pop(thing, None)
                continue
            before = self._seen.get(thing)
            readable = not isinstance(cells, Missing)
            if isinstance(cells, Missing):
                cells = dict.fromkeys(before.series if before else (), cells)
            seen[thing] = _Seen(frozenset(cells), readable)
            fresh = not self._first and (before is None or before.readable)
            for series, value in cells.items():
                counter = _Counter(thing, series)
                counters[counter] = value
                if fresh and (before is None or series not in before.series):
                    born[counter] = out.since + 1  # it was not there at the previous poll
        deltas = self._deltas.step(out.ts, counters, born)
        self._seen = seen
        self._give(out, gauges, deltas)
        given = {series.metric for cells in gauges.values() for series in cells}
        given |= {counter.series.metric for counter in counters}
        if idle := [metric for metric in self._metrics if metric not in given]:
            out.nothing(*idle)
        self._first = False
        self._files.sweep()

    def stop(self) -> None:
        """Close what is open."""
        self._files.close()

    def _things(self) -> list[_Thing]:
        """The selected cgroups of each hierarchy, sorted."""
        folders = {part.hierarchy.folder for part in self._parts}
        found = {folder: sorted(selected(self._context, folder, self._patterns).items()) for folder in folders}
        for part in self._parts:
            part.begin()
        return [
            _Thing(place, path, identity)
            for place, part in enumerate(self._parts)
            for path, identity in found[part.hierarchy.folder]
        ]

    def _reader(self, thing: _Thing) -> Read:
        """Reads files of a cgroup by their names."""
        folder = self._parts[thing.part].hierarchy.folder + thing.path.rstrip("/")
        return partial(self._files.read, folder, identity=thing.identity)

    def _give(
        self, out: Readings, gauges: Mapping[_Thing, Cells], deltas: Mapping[_Counter, tuple[float | Missing, int]]
    ) -> None:
        """The rows: what is now, and what was counted; what has another span has a row of its own."""
        columns, self._columns = self._columns, {}
        rows: dict[tuple[str, str, int, int], list[tuple[Series, float | Missing]]] = {}
        for thing, cells in gauges.items():
            if cells:
                rows[thing.path, "", thing.part, out.since] = list(cells.items())
        for (thing, series), (delta, since) in deltas.items():
            value = delta if isinstance(delta, Missing) or not series.per else delta / series.per
            rows.setdefault((thing.path, series.device, thing.part, since), []).append((series, value))
        if self._first:
            for path in self._absent():
                rows[path, "", 0, out.since] = [(Series(_METRICS[1]), Missing(f"there is no cgroup `{path}` yet"))]
        for (path, _, _, since), row in rows.items():
            wanted = tuple(series for series, _ in row)
            key = (path if self.config["names"] else "", wanted)
            declared = self._columns[key] = self._columns.get(key) or columns.get(key) or self._declare(path, wanted)
            out.row(declared, [value for _, value in row], of="" if self.config["names"] else path, since=since)

    def _declare(self, path: str, wanted: Sequence[Series]) -> Columns:
        """Columns of each cgroup, or of this one where its series say what it is of."""
        names: dict[str, str] = {}
        consumer = EACH
        if self.config["names"]:
            found = workload(path)
            names = {"workload.manager": found.manager, "workload.id": found.id, "workload.part": found.part}
            consumer = path
        return self._context.columns(
            ColumnSpec(series.metric, series.device or None, consumer, attributes={**dict(series.attributes), **names})
            for series in wanted
        )

    def _absent(self) -> list[str]:
        """The cgroups that are named and not there, where the host measures memory."""
        if not any(_METRICS[1] in part.metrics for part in self._parts):
            return []
        asked = {"/" + "/".join(pattern) for pattern in self._patterns if literal(pattern)}
        return sorted(asked - {thing.path for thing in self._seen})
