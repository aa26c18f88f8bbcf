"""Readings: what a poll of a host source costs, beside psutil reading the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from benchmarks.figure import Figure, best_us
from meter.core.discovery import discover
from meter.core.loading import load
from meter.core.readings import BoundSourceContext, Declared, Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEERS: dict[str, Callable[[], object]] = {
    "cpu": lambda: psutil.cpu_times(percpu=True),
    "memory": psutil.virtual_memory,
    "disk": lambda: psutil.disk_io_counters(perdisk=True),
    "network": lambda: psutil.net_io_counters(pernic=True),
    "filesystem": lambda: [psutil.disk_usage(each.mountpoint) for each in psutil.disk_partitions()],
    "kernel": psutil.cpu_stats,
    "paging": psutil.swap_memory,
    "uptime": psutil.boot_time,
}


def figures() -> Iterator[Figure]:
    """One poll of each source that has a peer; no bar of its own, the peer is the bar."""
    from meter.contracts.instances import Instance, configure

    catalogue = discover(installed=False).catalogue
    for name, peer in PEERS.items():
        entry = catalogue.entries[name][0]
        assert entry.contract is not None
        instance = Instance(label=name, contract=entry.contract, span=entry.contract.source.key(), because="asked")
        assert not configure(instance, {})
        source = load(name, entry.path, entry.contract.exports["plugin"])(instance.config)
        declared = Declared(name, instance.emits)
        source.start(BoundSourceContext(declared))
        readings = Readings(declared)

        def poll(source: object = source, readings: Readings = readings) -> None:
            readings.begin(time.monotonic_ns())
            source.poll(readings)  # type: ignore[attr-defined]  # loaded from its contract
            readings.take()

        poll()
        yield Figure(f"poll of {name}", best_us(poll), best_us(peer), "psutil", "us", 1)
        source.stop()
