"""The counters of the event sources `power` and `power_core`, opened with perf_event_open(2)."""

from __future__ import annotations

import os
import struct
from functools import partial
from typing import TYPE_CHECKING, Final

from meter.plugins.rapl.counter import WATTS, Counter, Unreadable
from meter.plugins.rapl.found import Found, mirrors, names, read, series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meter.core.plugin import SourceContext
    from meter.plugins.rapl.found import Series

FOLDER: Final = "/sys/bus/event_source/devices"
_EVENTS: Final = {
    "power": {
        "energy-pkg": "package",
        "energy-cores": "core",
        "energy-gpu": "uncore",
        "energy-ram": "dram",
        "energy-psys": "psys",
    },
    "power_core": {"energy-core": "core"},
}
_GREATEST: Final = 2**64 - 1
_CALLS: Final = {"x86_64": 298, "i686": 336}
_CLOSE_ON_EXEC: Final = 8
_ATTRIBUTES: Final = struct.Struct("=IIQ48x")
"""The first version of struct perf_event_attr, of 64 bytes: type, size, config; all else 0 counts from the start on."""


def find(context: SourceContext) -> list[Series]:
    """The counters of this host. Raises: ValueError, what the kernel says of one is not understood."""
    found: list[Found] = []
    for device, events in _EVENTS.items():
        known = {each.domain for each in found}
        found += [each for each in _events(context, device, events) if each.domain not in known]
    alike = mirrors(context)
    # What AMD counts by core is each core's own.
    return series(found, lambda one, other: alike and one.domain == "package" and one.die != other.die)


def _events(context: SourceContext, device: str, events: dict[str, str]) -> Iterator[Found]:
    """The counters of an event source: one for each event and each CPU that stands for a package, die or core."""
    folder = f"{FOLDER}/{device}"
    have = set(names(context, f"{folder}/events"))
    cpus = _numbers(read(context, f"{folder}/cpumask", 4096))
    for event, domain in events.items():
        if event not in have:
            continue
        path = f"{folder}/events/{event}"
        joules = _joules(context, path)
        what = _whole(context, f"{folder}/type"), _config(context, path)
        for cpu in cpus[:1] if domain == "psys" else cpus:  # only that of the first package is of all
            topology = f"/sys/devices/system/cpu/cpu{cpu}/topology"
            package = read(context, f"{topology}/physical_package_id") or "0"
            name = f"the event {event} of CPU {cpu}"
            opened = Event(name, partial(open_event, context, *what, cpu))
            counter = Counter(name, opened.read, opened.close, per_joule=1 / joules, range_=_GREATEST, watts=WATTS)
            yield Found(domain, "" if domain == "psys" else package, read(context, f"{topology}/die_id"), counter)


class Event:
    """An open event; opened again at each reading after one that failed."""

    __slots__ = ("_descriptor", "_name", "_open")

    def __init__(self, name: str, open_: Callable[[], int]) -> None:
        self._name = name
        self._open = open_
        self._descriptor: int | None = None

    def read(self) -> int:
        """What it has counted since it was opened. Raises: Unreadable."""
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            number = int.from_bytes(os.read(self._descriptor, 8), "little")
        except PermissionError as error:
            self.close()
            mends = "`sudo sysctl kernel.perf_event_paranoid=0`, or give meter the capability CAP_PERFMON"
            raise Unreadable(f"no permission to open {self._name}: {mends}") from error
        except OSError as error:
            self.close()
            raise Unreadable(f"{self._name}: {error.strerror}") from error
        return number

    def close(self) -> None:
        """Close the event, if it is open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_event(context: SourceContext, kind: int, config: int, cpu: int) -> int:
    """A descriptor of an event of a CPU, whatever runs on it.

    Raises: OSError, the kernel refuses it, or what is known of it is of another machine, below `--sysroot`.
    """
    import ctypes  # 2 ms; needed for nothing else here

    machine = os.uname().machine
    if context.sysroot is not None or machine not in _CALLS:
        import errno  # only a fault has a number

        raise OSError(errno.ENODEV, "events can be opened on the machine itself only, and on x86")
    attributes = ctypes.create_string_buffer(_ATTRIBUTES.pack(kind, _ATTRIBUTES.size, config), _ATTRIBUTES.size)
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    arguments = [ctypes.c_long(value) for value in (-1, cpu, -1, _CLOSE_ON_EXEC)]
    descriptor: int = call(ctypes.c_long(_CALLS[machine]), attributes, *arguments)
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return descriptor


def _numbers(text: str) -> list[int]:
    """The numbers of a list such as `0,18` or `0-3,7`."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _config(context: SourceContext, path: str) -> int:
    """The config of an event. Raises: ValueError, it is no `event=0x02`."""
    text = read(context, path)
    word, _, number = text.partition("=")
    if word != "event":
        raise ValueError(f"{path} holds {text!r}, expected `event=` and a number")
    return int(number, 0)


def _joules(context: SourceContext, path: str) -> float:
    """Joules of a step of an event. Raises: ValueError, they are not known."""
    unit, scale = read(context, f"{path}.unit"), read(context, f"{path}.scale")
    if unit != "Joules":
        raise ValueError(f"{path}.unit holds {unit!r}, expected `Joules`")
    joules = float(scale)
    if not 0 < joules < 1:
        raise ValueError(f"{path}.scale holds {scale!r}, expected a number between 0 and 1")
    return joules


def _whole(context: SourceContext, path: str) -> int:
    """A whole number. Raises: ValueError, there is none."""
    return int(read(context, path))
