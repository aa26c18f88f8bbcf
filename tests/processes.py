"""Which processes there are, as tests see them from outside."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none, where it is not there. Source: proc_pid_stat(5)."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def children(parent: int) -> list[int]:
    """The processes that another one has started and not waited for."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    return [pid for pid in pids if stat(pid)[1:2] == [str(parent)]]


def gone(pid: int) -> bool:
    """Whether a process has ended; whoever has to wait for it may not have done so yet."""
    return stat(pid)[:1] in ([], ["Z"])
