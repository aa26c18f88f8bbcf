"""The table `gpu_metrics` of the driver: how it is laid out, and the counter of energy in it.

Source: Linux, drivers/gpu/drm/amd/include/kgd_pp_interface.h, the structures gpu_metrics_v1_3 to v1_8; for the unit of
v1_3 on Aldebaran drivers/gpu/drm/amd/pm/swsmu/inc/pmfw_if/smu13_driver_if_aldebaran.h.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from meter.core.plugin import Missing

JOULES: Final = 2.0**-16
"""One step of the counter; the driver says 15.259 uJ (2^-16)."""
TWO_DIES: Final = frozenset({"1002:7408", "1002:740C"})
"""MI250 and MI250X, of which each die is a GPU and the first one has the power of both."""
_ALDEBARAN: Final = TWO_DIES | {"1002:740F", "1002:7410"}
_APUS: Final = frozenset({"1002:74A0"})
"""Accelerated processing units whose table is that of a GPU: MI300A."""
_HEADER: Final = struct.Struct("=HBB")
_COUNTER: Final = struct.Struct("=Q")
_UNKNOWN: Final = (1 << 64) - 1
"""What the driver fills the table with before it enters what it knows."""


class _Layout(NamedTuple):
    """Where the counter is, and how long the table is; None where only what is behind the counter has changed."""

    counter: int
    size: int | None


_LAYOUTS: Final = {
    3: _Layout(24, 120),
    4: _Layout(24, 288),
    5: _Layout(88, 360),
    6: _Layout(16, 1664),
    7: _Layout(24, 2208),
    8: _Layout(24, None),
}
"""By the content revision of format 1. Of older ones, and of v1_3 of other chips, nobody says the unit."""
_ENERGY_1_3: Final = slice(22, 32)
"""Power and counter in v1_3."""


class Table(NamedTuple):
    """A table whose header is sound."""

    revision: tuple[int, int]
    data: bytes


def table(data: bytes) -> Table | Missing:
    """The table, or why it is none."""
    if len(data) < _HEADER.size:
        return Missing(f"gpu_metrics has {len(data)} bytes, which is no table")
    size, major, minor = _HEADER.unpack_from(data)
    if size > len(data):
        return Missing(f"gpu_metrics has {len(data)} bytes, and says that it has {size}")
    return Table((major, minor), data[:size])


def is_apu(found: Table | Missing | None, chip: str) -> bool:
    """Whether the GPU is a part of a processor: those have formats of their own."""
    return chip in _APUS or (isinstance(found, Table) and found.revision[0] in {2, 3})


def is_second_die(found: Table | Missing | None, chip: str) -> bool:
    """Whether it is the die whose power and energy the driver gives for the other one, and 0 here."""
    if not isinstance(found, Table) or chip not in TWO_DIES or found.revision != (1, 3):
        return False
    return not any(found.data[_ENERGY_1_3])


def counter(found: Table | Missing, chip: str) -> int | Missing:
    """The counter of energy in steps of `JOULES`, or why there is none.

    Args: `chip` is the PCI id, as `1002:740F`.
    """
    if isinstance(found, Missing):
        return found
    major, minor = found.revision
    layout = _LAYOUTS.get(minor) if major == 1 else None
    if layout is None or (minor == 3 and chip not in _ALDEBARAN):
        return Missing(f"gpu_metrics has the format {major}.{minor}, for which no unit of energy is documented")
    length = len(found.data)
    if length != (layout.size or max(length, layout.counter + _COUNTER.size)):
        return Missing(f"gpu_metrics has the format {major}.{minor} with {length} bytes, which is not as documented")
    (count,) = _COUNTER.unpack_from(found.data, layout.counter)
    if count in {0, _UNKNOWN}:
        return Missing("gpu_metrics has no counter of energy in it")
    return int(count)
