"""What this process and its children have used so far, as the kernel counts it.

Light: it is read right before and right after what is measured.
"""

from __future__ import annotations

import os
import threading
import time
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Final, NamedTuple

BLOCK_BYTES: Final = 512
"""The unit of `ru_inblock` and `ru_oublock` on Linux, whatever the file system's own."""


class Spent(NamedTuple):
    """What the kernel has counted for this process: times in s, the rest in By; None where it does not say."""

    pid: int
    thread: int
    resident: int | None
    peak: int | None
    user: float
    system: float
    thread_s: float
    read: int
    written: int


def spent(*, ends: bool = False) -> Spent:
    """What this process has used so far.

    The clocks are read last at a begin and first at an end: reading the memory takes CPU time itself.

    Source: getrusage(2) of the process and of its children that were waited for; proc_pid_status(5).
    """
    known = None if ends else memory()
    thread_s = time.thread_time()
    own, children = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
    resident, peak = known or memory()
    return Spent(
        os.getpid(),
        threading.get_ident(),
        resident,
        peak,
        own.ru_utime + children.ru_utime,
        own.ru_stime + children.ru_stime,
        thread_s,
        (own.ru_inblock + children.ru_inblock) * BLOCK_BYTES,
        (own.ru_oublock + children.ru_oublock) * BLOCK_BYTES,
    )


def memory() -> tuple[int | None, int | None]:
    """Memory in RAM now and at most so far, in bytes; from VmHWM, as getrusage begins with the peak of the parent."""
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:
            text = file.read(4096)
        resident, peak = [int(text.split(mark, 1)[1].split(None, 1)[0]) * 1024 for mark in (b"VmRSS:", b"VmHWM:")]
    except (OSError, ValueError, IndexError):
        return None, None
    return resident, peak
