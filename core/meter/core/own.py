"""What this process itself uses. Imports no numpy."""

from __future__ import annotations

import os
from resource import RUSAGE_SELF, getrusage
from typing import Final

from meter.core.quantity import Missing

_STATM: Final = "/proc/self/statm"
_FIRST_NAMESPACE: Final = 0xEFFFFFFC


def cpu_us() -> tuple[int, int]:
    """CPU time of all threads so far in user and in system mode, in microseconds. Source: getrusage(2)."""
    used = getrusage(RUSAGE_SELF)
    return round(used.ru_utime * 1e6), round(used.ru_stime * 1e6)


def contained() -> bool:
    """Whether this process may have other ids for those who count from outside, as the driver of a GPU does.

    Source: pid_namespaces(7); PROC_PID_INIT_INO of include/linux/proc_ns.h is the namespace that the kernel began with.
    """
    try:
        return os.stat("/proc/self/ns/pid").st_ino != _FIRST_NAMESPACE
    except OSError:
        return False


def resident_bytes() -> int | Missing:
    """Memory in RAM. Source: proc_pid_statm(5), its second field, in pages."""
    try:
        with open(_STATM, "rb", buffering=0) as file:
            return int(file.read(256).split(None, 2)[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError as error:
        return Missing(f"{_STATM}: {error.strerror}")
    except (ValueError, IndexError):
        return Missing(f"{_STATM} does not say how many pages are resident")
