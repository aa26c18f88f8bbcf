"""What this process itself uses. Imports no numpy."""

from __future__ import annotations

import os
from resource import RUSAGE_SELF, getrusage
from typing import Final

from meter.core.plugin import Missing

_STATM: Final = "/proc/self/statm"


def cpu_us() -> tuple[int, int]:
    """CPU time of all threads so far in user and in system mode, in microseconds. Source: getrusage(2)."""
    used = getrusage(RUSAGE_SELF)
    return round(used.ru_utime * 1e6), round(used.ru_stime * 1e6)


def resident_bytes() -> int | Missing:
    """Memory in RAM. Source: proc_pid_statm(5), its second field, in pages."""
    try:
        with open(_STATM, "rb", buffering=0) as file:
            return int(file.read(256).split(None, 2)[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError as error:
        return Missing(f"{_STATM}: {error.strerror}")
    except (ValueError, IndexError):
        return Missing(f"{_STATM} does not say how many pages are resident")
