"""Which events there are, and what the kernel calls them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.perf_event import CACHE, HARDWARE, RAW, SOFTWARE

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULT: Final = "system.paging.fault.type"
CPU_TIME: Final = "perf.cpu.time"


class Event(NamedTuple):
    """An event: its name as perf(1) has it, its series, and its type and config for the kernel.

    `inside` says that it happens in the kernel only.
    """

    name: str
    metric: str
    type: int
    config: int
    attributes: tuple[tuple[str, str], ...] = ()
    inside: bool = False


_HARDWARE: Final = (
    Event("cycles", "perf.cycles", HARDWARE, 0),
    Event("instructions", "perf.instructions", HARDWARE, 1),
    Event("cache-references", "perf.cache.references", HARDWARE, 2),
    Event("cache-misses", "perf.cache.misses", HARDWARE, 3),
    Event("branches", "perf.branches", HARDWARE, 4),
    Event("branch-misses", "perf.branch.misses", HARDWARE, 5),
)
_SOFTWARE: Final = (
    Event("task-clock", CPU_TIME, SOFTWARE, 1),
    Event("context-switches", "perf.context_switches", SOFTWARE, 3, inside=True),
    Event("migrations", "perf.migrations", SOFTWARE, 4, inside=True),
    Event("minor-faults", "perf.page_faults", SOFTWARE, 5, ((FAULT, "minor"),)),
    Event("major-faults", "perf.page_faults", SOFTWARE, 6, ((FAULT, "major"),)),
)
_CACHES: Final = ("L1-dcache", "L1-icache", "LLC", "dTLB", "iTLB", "branch", "node")
_OPERATIONS: Final = ("load", "store", "prefetch")
_NAMED: Final = re.compile(rf"({'|'.join(_CACHES)})-(load|store|prefetch)(?:(-misses)|e?s)")
_RAW: Final = re.compile(r"r([0-9a-f]{1,16})")


def chosen(config: Mapping[str, Any]) -> list[Event]:
    """The events that a configuration asks for. Raises: ValueError, one is no event, or there is none."""
    found = [*(_HARDWARE if config["hardware"] else ()), *(_SOFTWARE if config["software"] else ())]
    found += [_named(name) for name in dict.fromkeys(config["events"])]
    if not found:
        raise ValueError("there is no event to count: say `hardware = true` or `software = true`, or name `events`")
    return found


def _named(name: str) -> Event:
    """An event of a cache, or a raw one. Raises: ValueError."""
    attributes = (("perf.event", name),)
    if raw := _RAW.fullmatch(name):
        return Event(name, "perf.events", RAW, int(raw[1], 16), attributes)
    if parts := _NAMED.fullmatch(name):
        config = _CACHES.index(parts[1]) | _OPERATIONS.index(parts[2]) << 8 | bool(parts[3]) << 16
        return Event(name, "perf.events", CACHE, config, attributes)
    wanted = "one of a cache, such as `L1-dcache-load-misses` or `LLC-stores`, or a raw one, such as `r01c2`"
    raise ValueError(f"`events` has {name!r}, which is no event; expected {wanted}")
