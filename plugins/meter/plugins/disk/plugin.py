"""The source `disk`."""

from __future__ import annotations

import os
import re
from itertools import count
from typing import TYPE_CHECKING, Any

from meter.core.kept import room
from meter.core.listings import Changes, Lines, Reading, fits_nothing, left_out, named, whole
from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
_TRIES = 3

# Made of other devices or of memory. Device mapper and md say so in `slaves` too, but without members they have none.
_STACKED = re.compile(r"(?:loop|z?ram|dm-)[0-9]|md[0-9_]")

_AGAIN = Missing("the counters of the device started again")
_OTHER = Missing("the device was removed, and another one has its name since")


class Disk(Source):
    """Traffic, operations, busy time and capacity of block devices.

    Emits for each device of the options: `system.disk.io` (By, u64, delta), `system.disk.operations` and
    `system.disk.merged` ({operation}, u64, delta) and `system.disk.operation_time` (s, f64, delta), all by
    `disk.io.direction`; `system.disk.io_time` (s, f64, delta); `system.disk.limit` (By, u64, gauge) from the first poll
    on. A device's first reading is its base. A counter that fell has wrapped at 2^32 where that explains all of its
    device; else the device's counters started again and are missing this once, as they are where another device has got
    its name. They are also missing where the kernel
    does not count for a device (`queue/iostats`) and where its line is not understood.

    Row: 10 columns for each device, 1 at its first reading. Resolution of times: 1 ms.
    Raises: Retry, the file could not be read this once, or devices changed meanwhile; the next delta spans both
        intervals.
    Source: Linux, Documentation/admin-guide/iostats.rst; Documentation/ABI/testing/procfs-diskstats;
        Documentation/ABI/stable/sysfs-block.
    """

    def start(self, context: SourceContext) -> None:
        """Open the file.

        Raises: OSError, it cannot be read; LookupError, the patterns of the options fit no device.
        """
        self._file = context.open(_STATS)
        self._sysfs = _Sysfs(context)
        self._lines = Lines()
        self._settled = True
        self._seen: tuple[object, ...] = ((), ())
        self._last = Reading()
        self._shown: tuple[tuple[str, ...], ...] = ()
        self._columns = context.columns(())
        self._asked = named(self.config["include"])
        try:
            self._refuse_nothing()
        except BaseException:
            os.close(self._file)
            raise

    def poll(self, out: Readings) -> None:
        """Read the file once, or again where devices have come or gone."""
        now, limits = self._read()
        lines = self._lines
        before, after = now.both(self._last)
        shown = (after.names, lines.names, tuple(lines.blind))
        if shown != self._shown:
            self._columns = out.columns(_columns(*shown))
            self._sysfs.keep((*lines.names, *lines.blind))
        self._last, self._shown = now, shown
        cells = _cells(Changes.between(before, after))
        cells += [*lines.blind.values()] * len(_COUNTERS)
        cells += limits
        if not cells:
            out.nothing()
        out.row(self._columns, cells)
        for name in self._asked:
            if name not in lines.names and name not in lines.blind:
                out.emit("system.disk.limit", Missing(self._why_absent(name)), resource_id=name)
        self._asked.clear()

    def stop(self) -> None:
        """Close what is open."""
        os.close(self._file)
        self._sysfs.keep(())

    def _read(self) -> tuple[Reading, list[int | Missing]]:
        """The counters of the devices, which are the same before and after, and the capacities."""
        # A device has its members only a moment after it has appeared: what is new is looked at twice.
        again, self._settled = not self._settled, True
        for _ in range(_TRIES):
            text = whole(self._file, _STATS)
            words = text.split()
            if not self._lines.fit(words):
                self._settled = False
            if again or not self._settled:
                self._lines = self._look(text)
                again = False
            try:
                counters = self._lines.counters(words)
            except ValueError:
                self._lines, self._settled = self._look(text), False
                counters = self._lines.counters(words)
            devices = self._lines.names
            limits = [self._sysfs.size(device) for some in (devices, self._lines.blind) for device in some]
            now = Reading(devices, self._sysfs.identities(devices), counters)
            if now[:2] == self._seen:
                return now, limits
            self._seen = now[:2]
        raise Retry(f"{_STATS}: devices came and went each time while it was read")

    def _refuse_nothing(self) -> None:
        """Raises: LookupError, the options leave nothing."""
        text = whole(self._file, _STATS)
        lines = self._look(text)
        if not lines.names and not lines.blind:
            there = [mark.decode(errors="backslashreplace") for mark in lines.marks]
            if told := fits_nothing("device", there, self.config["include"], self.config["exclude"]):
                raise LookupError(f'{told}, or `devices = "{self.config["devices"]}"`')

    def _look(self, text: bytes) -> Lines:
        """Find the devices of the options, and where their counters are among the words of the file."""
        total = 0
        marks: list[bytes] = []
        places: list[int] = []
        found: dict[str, list[int]] = {}
        blind: dict[str, Missing] = {}
        for line in text.split(b"\n"):
            words = line.split()
            if len(words) > _NAME:
                name = words[_NAME]
                marks.append(name)
                places.append(total + _NAME)
                device = name.decode(errors="backslashreplace")
                # A device that comes while the file is handed over can push another into the next piece once more.
                if device not in found and device not in blind and not self._why_not(device):
                    reason = self._why_blind(device, words)
                    if reason:
                        blind[device] = Missing(reason)
                        marks += words
                        places += range(total, total + len(words))
                    else:
                        found[device] = [total + place for _, _, place in _COUNTERS]
            total += len(words)
        return Lines.of(total, marks, places, found, blind)

    def _why_not(self, device: str) -> str:
        """Why the options leave a device out; empty where they do not."""
        kind = self.config["devices"]
        out = left_out(device, self.config["include"], self.config["exclude"])
        if out or kind == "all":
            return out
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


class _Sysfs:
    """What /sys says of devices; keeps the files of sizes open, up to a quarter of the descriptors that are allowed.

    A kept file cannot be read any more once its device is removed, also where another one has got its name. Files that
    are opened anew each time tell devices by their numbers in /sys, which the kernel does not give twice.
    """

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._files: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._nth: dict[str, int] = {}
        self._next = count(1)
        self._cap = room()

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
        if file is not None:
            try:
                return _bytes(os.pread(file, 32, 0), device)
            except OSError:
                self._forget(device)  # it has gone; another one may have its name
        try:
            return self._first_size(device)
        except OSError as error:
            self._forget(device)
            return Missing(f"{_folder(device)}/size: {error.strerror}")

    def identities(self, devices: Iterable[str]) -> tuple[int, ...]:
        """What tells each device, as it was when its size was read, from others of its name; 0 where nothing does."""
        return tuple([self._nth.get(device, 0) for device in devices])

    def _first_size(self, device: str) -> int | Missing:
        file = self._context.open(f"{_folder(device)}/size")
        self._files[device] = file
        number = os.fstat(file).st_ino
        if self._numbers.get(device) != number:
            self._numbers[device] = number
            self._nth[device] = next(self._next)
        text = os.pread(file, 32, 0)
        if len(self._files) > self._cap:
            self._close(device)
        return _bytes(text, device)

    def keep(self, devices: Iterable[str]) -> None:
        """Forget all other devices."""
        for device in self._numbers.keys() - set(devices):
            self._forget(device)

    def _forget(self, device: str) -> None:
        self._close(device)
        self._numbers.pop(device, None)
        self._nth.pop(device, None)

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


def _bytes(text: bytes, device: str) -> int | Missing:
    """Bytes of sectors."""
    try:
        return int(text) * _SECTOR
    except ValueError:
        return Missing(f"{_folder(device)}/size: this is no number")


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


def _cells(changes: Changes) -> list[Any]:
    """What each counter has counted, in the units of the metrics; by counter and device."""
    counts, sectors, times = changes.counts, _SECTORS * changes.width, _TIMES * changes.width
    cells = counts[:sectors]
    cells += [each * _SECTOR for each in counts[sectors:times]]
    cells += [milliseconds / 1000 for milliseconds in counts[times:]]
    return changes.blank(cells, _AGAIN, _OTHER)
