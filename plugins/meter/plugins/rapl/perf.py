"""The counters of the event sources `power` and `power_core`, opened with perf_event_open(2)."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Final

from meter.core.perf_event import Counted, numbers, open_counter
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
    cpus = numbers(read(context, f"{folder}/cpumask", 4096))
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
            mends = "`sudo sysctl -w kernel.perf_event_paranoid=0`, or give meter the capability CAP_PERFMON"
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
    """A descriptor of an event of a CPU, whatever runs on it. Raises: OSError, as `open_counter`."""
    return open_counter(context, Counted(kind, config), cpu=cpu)


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
