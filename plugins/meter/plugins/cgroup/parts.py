"""What the files of a cgroup say: CPU, memory, swap, storage, threads, pressure, of both versions."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.plugin import Missing

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.plugins.cgroup.tree import Hierarchy

_MICROSECONDS: Final = 1_000_000
_NANOSECONDS: Final = 1_000_000_000

# Traffic of a stacked device is also that of the devices below it; these never are the lowest, or lie in memory.
_STACKED: Final = ("dm-", "md", "loop", "ram", "zram")
_DIRECTIONS: Final = ("read", "write")
_NUMBER: Final = re.compile(rb"\d{1,10}:\d{1,10}")
_LARGEST: Final = (1 << 63) - 1
_UNLIMITED: Final = (1 << 63) - (1 << 16)  # version 1 gives 2^63 - 1, in whole pages, where there is no limit
_TOGETHER: Final = Missing("cgroups of version 1 limit swap and memory together only")
_UNCOUNTED: Final = Missing("cgroups of version 1 do not count swapped pages")
_LEAST: Final = 3  # words of a line that tells something of a device

Read = Callable[[str], "bytes | Missing"]
"""Reads the file of this name of one cgroup."""


class Series(NamedTuple):
    """One series of a cgroup; `per` is how many of the kernel's units are one of the metric, 0 keeps an integer."""

    metric: str
    attributes: tuple[tuple[str, str], ...] = ()
    device: str = ""
    per: int = 0


Cells = dict[Series, "int | Missing"]


class Part:
    """What is read of each cgroup of a hierarchy."""

    metrics: tuple[str, ...] = ()

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy

    def begin(self) -> None:
        """A poll begins."""

    def gauges(self, read: Read) -> Cells:
        """What is now. Raises: Vanished, the cgroup has gone."""
        del read
        return {}

    def counters(self, read: Read) -> Cells | Missing:
        """What was counted so far; Missing where not even the series are known. Raises: as `gauges`."""
        del read
        return {}


class Cpu(Part):
    """CPU time: microseconds in version 2, in version 1 nanoseconds, its modes in ticks of the clock."""

    metrics = ("container.cpu.time",)

    def __init__(self, hierarchy: Hierarchy, *, modes: bool) -> None:
        super().__init__(hierarchy)
        hertz = os.sysconf("SC_CLK_TCK")
        keys = ["user", "system"] if modes else [""]
        if hierarchy.unified:
            self._file, per = "cpu.stat", _MICROSECONDS
        elif modes:
            self._file, per = "cpuacct.stat", hertz
        else:
            self._file, per = "cpuacct.usage", _NANOSECONDS
        suffix = "_usec" if hierarchy.unified else ""
        self._series = {
            f"{key or 'usage'}{suffix}": Series(self.metrics[0], (("cpu.mode", key),) if key else (), per=per)
            for key in keys
        }

    def counters(self, read: Read) -> Cells:
        """Time so far."""
        text = read(self._file)
        if self._file == "cpuacct.usage" and not isinstance(text, Missing):
            text = b"usage " + text
        return _named(text, self._file, self._series)


class Memory(Part):
    """Bytes charged to a cgroup and all below it, in memory and in swap, and its own limits of both."""

    metrics = (
        *("container.memory.usage", "container.memory.peak", "container.memory.parts"),
        *("container.memory.limit", "container.paging.limit"),
        *("container.paging.usage", "container.paging.operations"),
    )

    def __init__(self, hierarchy: Hierarchy, *, limits: bool, paging: bool) -> None:
        super().__init__(hierarchy)
        usage, peak, limit, swap_limit, swap = (
            Series(f"container.{name}")
            for name in ("memory.usage", "memory.peak", "memory.limit", "paging.limit", "paging.usage")
        )
        swapped = {
            f"pswp{direction}": Series("container.paging.operations", (("system.paging.direction", direction),))
            for direction in ("in", "out")
        }
        self._counted = swapped if paging else {}
        self._lacking: Cells = {}
        if hierarchy.unified:
            self._files = {"memory.current": usage, "memory.peak": peak}
            self._limits = {"memory.max": limit, "memory.swap.max": swap_limit} if limits else {}
            parts = {
                "anon": "anonymous",
                "file": "file",
                "kernel_stack": "kernel_stack",
                "pagetables": "page_tables",
                "sock": "sockets",
                "slab_reclaimable": "slab_reclaimable",
                "slab_unreclaimable": "slab_unreclaimable",
            }
        else:
            self._files = {"memory.usage_in_bytes": usage, "memory.max_usage_in_bytes": peak}
            self._limits = {"memory.limit_in_bytes": limit} if limits else {}
            self._lacking = {swap_limit: _TOGETHER} if limits else {}
            parts = {"total_rss": "anonymous", "total_cache": "file"}
        self._words = {
            word: Series("container.memory.parts", (("container.memory.part", part),)) for word, part in parts.items()
        }
        if paging and hierarchy.unified:
            self._files["memory.swap.current"] = swap
        elif paging:
            self._words["total_swap"] = swap
        self._stat: bytes | Missing = b""

    def gauges(self, read: Read) -> Cells:
        """Bytes now."""
        cells: Cells = {series: _number(read(name), name) for name, series in self._files.items()}
        cells |= {series: _limit(read(name), name) for name, series in self._limits.items()}
        self._stat = read("memory.stat")
        return cells | self._lacking | _named(self._stat, "memory.stat", self._words)

    def counters(self, read: Read) -> Cells:
        """Pages so far, of the cgroup whose gauges were read last: memory.stat is the dearest of its files."""
        del read
        if not self.hierarchy.unified:
            return dict.fromkeys(self._counted.values(), _UNCOUNTED)
        return _named(self._stat, "memory.stat", self._counted) if self._counted else {}


class Pids(Part):
    """Threads, which the kernel calls pids here."""

    metrics = ("container.thread.count",)

    def gauges(self, read: Read) -> Cells:
        """Threads now."""
        return {Series(self.metrics[0]): _number(read("pids.current"), "pids.current")}


class Pressure(Part):
    """Time in which tasks were stalled, in microseconds."""

    metrics = ("container.pressure.stall_time",)

    def counters(self, read: Read) -> Cells:
        """Time so far."""
        cells: Cells = {}
        for resource in ("cpu", "memory", "io"):
            name = f"{resource}.pressure"
            text = read(name)
            for line in ("some", "full"):
                attributes = (("system.pressure.resource", resource), ("system.pressure.type", line))
                series = Series(self.metrics[0], attributes, per=_MICROSECONDS)
                cells[series] = text if isinstance(text, Missing) else _total(text, line, name)
        return cells


class Io(Part):
    """Traffic on devices that are not made of others."""

    metrics = ("container.disk.io", "container.disk.operations")

    def __init__(self, hierarchy: Hierarchy, context: SourceContext) -> None:
        super().__init__(hierarchy)
        self._context = context
        self._names: dict[bytes, str] = {}

    def begin(self) -> None:
        """Numbers may be of other devices than before."""
        self._names.clear()

    def counters(self, read: Read) -> Cells | Missing:
        """Bytes and operations so far, of each device that the cgroup has used."""
        return self._unified(read) if self.hierarchy.unified else self._throttled(read)

    def _unified(self, read: Read) -> Cells | Missing:
        """`8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`; a device without any may lack its fields."""
        text = read("io.stat")
        if isinstance(text, Missing):
            return text
        cells: Cells = {}
        words = ((self.metrics[0], (b"rbytes", b"wbytes")), (self.metrics[1], (b"rios", b"wios")))
        for number, *fields in filter(None, map(bytes.split, text.splitlines())):
            device = self._device(number)
            pairs = dict(field.split(b"=", 1) for field in fields if b"=" in field)
            if device and pairs:
                for metric, names in words:
                    for direction, name in zip(_DIRECTIONS, names, strict=True):
                        series = Series(metric, (("disk.io.direction", direction),), device)
                        cells[series] = _number(pairs.get(name, b""), f"io.stat of {device}")
        return cells

    def _throttled(self, read: Read) -> Cells | Missing:
        """`8:0 Read 4096`; kernels before 5.2 do not tell what is below a cgroup with it."""
        cells: Cells = {}
        for metric, file in zip(self.metrics, ("io_service_bytes", "io_serviced"), strict=True):
            text = read(f"blkio.throttle.{file}_recursive")
            if isinstance(text, Missing):
                text = read(f"blkio.throttle.{file}")
            if isinstance(text, Missing):
                return text
            for words in map(bytes.split, text.splitlines()):
                direction = words[1].decode(errors="replace").lower() if len(words) >= _LEAST else ""
                if direction in _DIRECTIONS and (device := self._device(words[0])):
                    series = Series(metric, (("disk.io.direction", direction),), device)
                    cells[series] = _number(words[2], f"blkio.throttle.{file} of {device}")
        return cells

    def _device(self, number: bytes) -> str:
        """The name of a device; the number where it has none, and empty where it is made of others or is none."""
        if number not in self._names:
            self._names[number] = self._named(number.decode()) if _NUMBER.fullmatch(number) else ""
        return self._names[number]

    def _named(self, number: str) -> str:
        folder = f"/sys/dev/block/{number}"
        try:
            with self._context.open_binary(f"{folder}/uevent") as file:
                lines = (file.read(4096) or b"").decode(errors="replace").splitlines()
        except OSError:
            return number
        name = next((line.removeprefix("DEVNAME=") for line in lines if line.startswith("DEVNAME=")), number)
        try:
            members = self._context.listdir(f"{folder}/slaves")
        except OSError:
            members = []
        return "" if members or name.startswith(_STACKED) else name


def parts(
    found: Mapping[str, Hierarchy], context: SourceContext, *, modes: bool, limits: bool, paging: bool
) -> list[Part]:
    """What can be read of the cgroups of these hierarchies, and is asked for."""
    makers: dict[str, Callable[[Hierarchy], Part]] = {
        "cpu": lambda hierarchy: Cpu(hierarchy, modes=modes),
        "memory": lambda hierarchy: Memory(hierarchy, limits=limits, paging=paging),
        "io": lambda hierarchy: Io(hierarchy, context),
        "pids": Pids,
        "pressure": Pressure,
    }
    return [make(found[name]) for name, make in makers.items() if name in found]


def _named(text: bytes | Missing, file: str, wanted: Mapping[str, Series]) -> Cells:
    """The numbers of lines `name number`."""
    if isinstance(text, Missing):
        return dict.fromkeys(wanted.values(), text)
    found = dict(words for words in map(bytes.split, text.splitlines()) if len(words) == 2)
    return {
        series: _number(found[word.encode()], file) if word.encode() in found else Missing(f"{file} has no `{word}`")
        for word, series in wanted.items()
    }


def _number(text: bytes | Missing, file: str) -> int | Missing:
    if isinstance(text, Missing):
        return text
    digits = text.strip()
    if digits.isdigit() and len(digits) <= len(str(_LARGEST)) and (number := int(digits)) <= _LARGEST:
        return number
    return Missing(f"{file}: this is no number")


def _limit(text: bytes | Missing, file: str) -> int | Missing:
    """Bytes; missing where there is no limit, which is no number of bytes."""
    if isinstance(text, bytes) and text.strip() == b"max":
        return Missing(f"{file}: there is no limit")
    number = _number(text, file)
    return Missing(f"{file}: there is no limit") if isinstance(number, int) and number >= _UNLIMITED else number


def _total(text: bytes, line: str, file: str) -> int | Missing:
    """The total of a line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`."""
    for words in map(bytes.split, text.splitlines()):
        if words and words[0] == line.encode() and words[-1].startswith(b"total="):
            return _number(words[-1].removeprefix(b"total="), file)
    return Missing(f"{file} has no total of `{line}`")
