"""Counters of the kernel, opened with perf_event_open(2). Loads ctypes only when one is opened."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from meter.core.plugin import Context

HARDWARE: Final = 0
SOFTWARE: Final = 1
CACHE: Final = 3
RAW: Final = 4

FIRST: Final = {"software": (SOFTWARE, 0), "hardware": (HARDWARE, 0)}
"""Type and config of the event that each kind has wherever it has any: the clock of the CPU, its cycles."""
ANY: Final = -1
"""Any process, or any CPU."""
GROUPED: Final = 1 | 2 | 8
"""A reading holds how many counters a group has, the time enabled and the time running in ns, and each value."""
INHERIT: Final = 1 << 1
EXCLUDE_KERNEL: Final = 1 << 5 | 1 << 6
"""What the kernel and a hypervisor do is not counted."""
INHERIT_THREAD: Final = 1 << 35
"""Only threads inherit, not processes. Linux 5.13."""

_CALLS: Final = {
    "x86_64": 298,
    "i686": 336,
    "aarch64": 241,
    "riscv64": 241,
    "loongarch64": 241,
    "ppc64le": 319,
    "s390x": 331,
}
_OF_CGROUP: Final = 4
_CLOSE_ON_EXEC: Final = 8
_ATTRIBUTES: Final = struct.Struct("=IIQ16xQQ16x")
"""The first version of struct perf_event_attr, of 64 bytes: type, size, config, read_format, flags."""


class Counted(NamedTuple):
    """What a counter counts: an event by its type and config, and how it is read; counting starts at once.

    `form` is the form of a reading, 0 for the bare number; `bits` are flags such as `INHERIT`.
    """

    type: int
    config: int
    form: int = 0
    bits: int = 0


def open_counter(
    context: Context, counted: Counted, *, pid: int = ANY, cpu: int = ANY, group: int = -1, cgroup: bool = False
) -> int:
    """A descriptor of a counter: of a thread `pid` or of all that runs, on one CPU or on any.

    Args: `group` is the descriptor of the counter that leads the group; with `cgroup`, `pid` is that of its folder.
    Raises: OSError, the kernel refuses it, or what is known of it is of another machine, below `--sysroot`.
    """
    import ctypes  # 2 ms; needed for nothing else here

    machine = os.uname().machine
    if context.sysroot is not None or machine not in _CALLS:
        import errno  # only a fault has a number

        raise OSError(errno.ENODEV, "events can be opened on the machine itself only, and on a known processor")
    packed = _ATTRIBUTES.pack(counted.type, _ATTRIBUTES.size, counted.config, counted.form, counted.bits)
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    flags = _CLOSE_ON_EXEC | (_OF_CGROUP if cgroup else 0)
    arguments = [ctypes.c_long(value) for value in (pid, cpu, group, flags)]
    attributes = ctypes.create_string_buffer(packed, _ATTRIBUTES.size)
    descriptor: int = call(ctypes.c_long(_CALLS[machine]), attributes, *arguments)
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return descriptor


def numbers(text: str) -> list[int]:
    """The numbers of a list of the kernel such as `0,18` or `0-3,7`."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
