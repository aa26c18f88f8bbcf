"""The source `disk`."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from operator import itemgetter, sub
from resource import RLIMIT_NOFILE, getrlimit
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.core.counters import unwrap
from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_STATS = "/proc/diskstats"
_READ, _WRITE = {"disk.io.direction": "read"}, {"disk.io.direction": "write"}

# Each counter with its place in a line, which begins with major, minor and name. Those that are turned into another
# unit in one way stand together: plain counts, then sectors, then milliseconds.
_COUNTERS: tuple[tuple[str, dict[str, str], int], ...] = (
    ("system.disk.operations", _READ, 3),
    ("system.disk.operations", _WRITE, 7),
    ("system.disk.merged", _READ, 4),
    ("system.disk.merged", _WRITE, 8),
    ("system.disk.io", _READ, 5),
    ("system.disk.io", _WRITE, 9),
    ("system.disk.operation_time", _READ, 6),
    ("system.disk.operation_time", _WRITE, 10),
    ("system.disk.io_time", {}, 12),
)
_SECTORS, _TIMES = 4, 6
_NAME, _FIELDS = 2, 14

_SECTOR = 512  # bytes, whatever the device itself takes for a sector
_PIECE = 1 << 16
_FULL = 1 << 11  # bytes; the kernel fills pieces of a page or more with lines that are far shorter than half of one

# Made of other devices or of memory. Device mapper and md say so in `slaves` too, but without members they have none.
_STACKED = re.compile(r"(?:loop|z?ram|dm-)[0-9]|md[0-9_]")

_AGAIN = Missing("the counters of the device started again")


class Disk(Source):
    """Traffic, operations, busy time and capacity of block devices.

    Emits for each device of the options: `system.disk.io` (By, u64, delta), `system.disk.operations` and
    `system.disk.merged` ({operation}, u64, delta) and `system.disk.operation_time` (s, f64, delta), all by
    `disk.io.direction`; `system.disk.io_time` (s, f64, delta); `system.disk.limit` (By, u64, gauge) from the first poll
    on. A device's first reading is its base. A counter that fell has wrapped at 2^32 where that explains all of its
    device; else the device's counters started again and are missing this once. They are also missing where the kernel
    does not count for a device (`queue/iostats`) and where its line is not understood.

    Row: 10 columns for each device, 1 at its first reading. Resolution of times: 1 ms.
    Raises: Retry, the file could not be read this once; the next delta spans both intervals.
    Source: Linux, Documentation/admin-guide/iostats.rst; Documentation/ABI/testing/procfs-diskstats;
        Documentation/ABI/stable/sysfs-block.
    """

    def start(self, context: SourceContext) -> None:
        """Open the file. Raises: OSError, it cannot be read."""
        self._file = context.open(_STATS)
        self._sysfs = _Sysfs(context)
        self._lines = _Lines(0, [], [], (), {}, None)
        self._settled = False
        self._last = _Reading((), ())
        self._shown: tuple[tuple[str, ...], ...] = ()
        self._columns = context.columns(())
        self._asked = [name for name in self.config["include"] if not set(name) & set("*?[")]

    def poll(self, out: Readings) -> None:
        """Read the file once."""
        text = self._read()
        words = text.split()
        lines, settled = self._lines, self._lines.fit(words)
        if not (settled and self._settled):
            # A device has its members only a moment after it has appeared: what is new is looked at twice.
            lines = self._look(text)
        try:
            now = _Reading(lines.devices, lines.counters(words))
        except ValueError:
            lines, settled = self._look(text), False
            now = _Reading(lines.devices, lines.counters(words))
        last = self._last
        both, before, after = now.devices, last.counters, now.counters
        if last.devices != now.devices:
            known = frozenset(last.devices)
            both = tuple(device for device in now.devices if device in known)
            before, after = last.of(both), now.of(both)
        shown = (both, lines.devices, tuple(lines.blind))
        if shown != self._shown:
            self._columns = out.columns(_columns(*shown))
            self._sysfs.keep((*lines.devices, *lines.blind))
        self._lines, self._settled, self._last, self._shown = lines, settled, now, shown
        cells = _cells(before, after, len(both))
        cells += [*lines.blind.values()] * len(_COUNTERS)
        cells += map(self._sysfs.size, lines.devices)
        cells += map(self._sysfs.size, lines.blind)
        out.row(self._columns, cells)
        for name in self._asked:
            if name not in lines.devices and name not in lines.blind:
                out.emit("system.disk.limit", Missing(self._why_absent(name)), resource_id=name)
        self._asked.clear()

    def stop(self) -> None:
        """Close what is open."""
        os.close(self._file)
        self._sysfs.keep(())

    def _read(self) -> bytes:
        """The whole file; the kernel hands it over in pieces of whole lines, however much is asked for."""
        try:
            text = piece = os.pread(self._file, _PIECE, 0)
            while len(piece) >= _FULL:
                piece = os.pread(self._file, _PIECE, len(text))
                text += piece
        except OSError as error:
            raise Retry(f"{_STATS}: {error.strerror}") from error
        if text and not text.endswith(b"\n"):
            raise Retry(f"{_STATS} ends within a line")
        return text

    def _look(self, text: bytes) -> _Lines:
        """Find the devices of the options, and where their counters are among the words of the file."""
        count = 0
        marks: list[bytes] = []
        places: list[int] = []
        found: dict[str, list[int]] = {}
        blind: dict[str, Missing] = {}
        for line in text.split(b"\n"):
            words = line.split()
            if len(words) > _NAME:
                name = words[_NAME]
                marks.append(name)
                places.append(count + _NAME)
                device = name.decode(errors="backslashreplace")
                # A device that comes while the file is handed over can push another into the next piece once more.
                if device not in found and device not in blind and not self._why_not(device):
                    reason = self._why_blind(device, words)
                    if reason:
                        blind[device] = Missing(reason)
                        marks += words
                        places += range(count, count + len(words))
                    else:
                        found[device] = [count + place for _, _, place in _COUNTERS]
            count += len(words)
        cells = [place for column in zip(*found.values(), strict=True) for place in column]
        return _Lines(count, marks, places, tuple(found), blind, itemgetter(*cells) if cells else None)

    def _why_not(self, device: str) -> str:
        """Why the options leave a device out; empty where they do not."""
        config = self.config
        if device not in config["include"]:
            if not any(fnmatchcase(device, pattern) for pattern in config["include"]):
                return "`include` does not name it"
            if any(fnmatchcase(device, pattern) for pattern in config["exclude"]):
                return "`exclude` leaves it out"
        kind = config["devices"]
        if kind == "all":
            return ""
        names = self._sysfs.names(device)
        if "partition" in names:
            return f'it is a partition, which `devices = "{kind}"` leaves out; take `devices = "all"`'
        if kind == "base" and (_STACKED.match(device) or self._sysfs.stacked(device, names)):
            return 'it is made of other devices or of memory, which `devices = "base"` leaves out; take `"whole"`'
        return "" if names else "it has gone"

    def _why_blind(self, device: str, words: Sequence[bytes]) -> str:
        """Why the counters of a device cannot be had; empty where they can."""
        if len(words) < _FIELDS:
            return f"{_STATS} has {len(words)} fields for `{device}`, not the {_FIELDS} or more that Linux 2.6.25 gives"
        for metric, _, place in _COUNTERS:
            if not words[place].isdigit():
                text = words[place].decode(errors="backslashreplace")
                return f"{_STATS} has `{text}` as field {place + 1} of `{device}`, no number for {metric}"
        if self._sysfs.counted(device):
            return ""
        if self._sysfs.has_requests(device):
            return f"the kernel does not count for `{device}`: its `queue/iostats` is 0, write 1 there"
        # Drivers without requests count by themselves, some of them whatever the setting says, others never.
        if any(int(words[place]) for _, _, place in _COUNTERS):
            return ""
        return f"the kernel may not count for `{device}`: its `queue/iostats` is 0, and so are all of its counters"

    def _why_absent(self, name: str) -> str:
        """Why a device that was asked for by its name is not measured."""
        there = name.encode() in self._lines.marks
        return (there and self._why_not(name)) or f"there is no device `{name}` in {_STATS} yet"


class _Lines(NamedTuple):
    """Where in the words of the file things are.

    `total` words in all, with `marks` at `places`: names of devices, and whole lines of `blind`. `devices` are those of
    the options, whose counters `pick` gives by counter and device; `blind` are those of the options that have no
    counters, with the reason.
    """

    total: int
    marks: list[bytes]
    places: list[int]
    devices: tuple[str, ...]
    blind: dict[str, Missing]
    pick: Callable[[list[bytes]], tuple[bytes, ...]] | None

    def fit(self, words: list[bytes]) -> bool:
        """Whether the file has the same lines as it had, and those without counters have not changed."""
        return len(words) == self.total and [words[place] for place in self.places] == self.marks

    def counters(self, words: list[bytes]) -> Sequence[int]:
        """The counters, by counter and device. Raises: ValueError, one is no number, or below 0."""
        if self.pick is None:
            return ()
        counters = list(map(int, self.pick(words)))
        if min(counters) < 0:
            raise ValueError
        return counters


class _Reading(NamedTuple):
    """One reading: the counters by counter and device."""

    devices: tuple[str, ...]
    counters: Sequence[int]

    def of(self, devices: tuple[str, ...]) -> list[int]:
        """The counters of some of the devices."""
        width = len(self.devices)
        places = {device: place for place, device in enumerate(self.devices)}
        return [self.counters[nth * width + places[device]] for nth in range(len(_COUNTERS)) for device in devices]


class _Sysfs:
    """What /sys says of devices; keeps the files of sizes open, up to a quarter of the descriptors that are allowed."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._files: dict[str, int] = {}
        soft = getrlimit(RLIMIT_NOFILE)[0]
        self._cap = 1024 if soft < 0 else min(1024, soft // 4)  # negative is unlimited

    def names(self, device: str) -> list[str]:
        """The names in the folder of a device; none where it has gone."""
        return self._list(_folder(device))

    def stacked(self, device: str, names: Iterable[str]) -> bool:
        """Whether a device has members, or is a path to another one that shows the same traffic (NVMe multipath)."""
        if "hidden" in names and self._word(f"{_folder(device)}/hidden") == b"1":
            return True
        return bool(self._list(f"{_folder(device)}/slaves"))

    def counted(self, device: str) -> bool:
        """Whether the kernel is told to count what a device, or the whole that a partition is of, does."""
        folder = _folder(device)
        return b"0" not in (self._word(f"{folder}/queue/iostats"), self._word(f"{folder}/../queue/iostats"))

    def has_requests(self, device: str) -> bool:
        """Whether the kernel makes and counts requests for a device; other drivers take what comes as it is."""
        return "mq" in self._list(_folder(device)) or "mq" in self._list(f"{_folder(device)}/..")

    def size(self, device: str) -> int | Missing:
        """Capacity in bytes."""
        file = self._files.get(device)
        try:
            if file is not None:
                return int(os.pread(file, 32, 0)) * _SECTOR
            return self._first_size(device)
        except OSError as error:
            reason = error.strerror
        except ValueError:
            reason = "this is no number"
        self._close(device)  # the device may be there anew, with another file
        return Missing(f"{_folder(device)}/size: {reason}")

    def _first_size(self, device: str) -> int:
        file = self._context.open(f"{_folder(device)}/size")
        self._files[device] = file
        size = int(os.pread(file, 32, 0)) * _SECTOR
        if len(self._files) > self._cap:
            self._close(device)
        return size

    def keep(self, devices: Iterable[str]) -> None:
        """Close the files of all other devices."""
        for device in self._files.keys() - set(devices):
            self._close(device)

    def _close(self, device: str) -> None:
        file = self._files.pop(device, None)
        if file is not None:
            os.close(file)

    def _list(self, path: str) -> list[str]:
        """The names in a folder; none where there is no folder."""
        try:
            return self._context.listdir(path)
        except OSError:
            return []

    def _word(self, path: str) -> bytes:
        """The content of a small file; empty where there is none."""
        try:
            with self._context.open_binary(path) as file:
                return (file.read(32) or b"").strip()
        except OSError:
            return b""


def _folder(device: str) -> str:
    """The folder of a device; the kernel puts `!` there for a `/` in its name."""
    return f"/sys/class/block/{device.replace('/', '!')}"


def _columns(both: Sequence[str], devices: Sequence[str], blind: Sequence[str]) -> list[ColumnSpec]:
    """The columns of a row: counters of devices read twice, then of those that have none, and capacities of all."""
    return [
        *(
            ColumnSpec(metric, device, attributes=attributes)
            for some in (both, blind)
            for metric, attributes, _ in _COUNTERS
            for device in some
        ),
        *(ColumnSpec("system.disk.limit", device) for device in (*devices, *blind)),
    ]


def _cells(before: Sequence[int], after: Sequence[int], width: int) -> list[Any]:
    """What each counter has counted, in the units of the metrics; by counter and device, `width` devices."""
    deltas = list(map(sub, after, before))
    again = unwrap(deltas, before, width) if deltas and min(deltas) < 0 else ()
    cells: list[Any] = deltas[: _SECTORS * width]
    cells += [sectors * _SECTOR for sectors in deltas[_SECTORS * width : _TIMES * width]]
    cells += [milliseconds / 1000 for milliseconds in deltas[_TIMES * width :]]
    for place in again:
        cells[place::width] = [_AGAIN] * len(_COUNTERS)
    return cells
