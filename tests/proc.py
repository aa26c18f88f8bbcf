"""A /proc of processes that a test writes, as the kernel prints them, and real processes to measure."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERTZ: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
TICK: Final = SECOND // HERTZ
IS_KERNEL: Final = 0x00200000
"""The flag of threads of the kernel."""

_WORKER = "import os, sys, time\nfor line in sys.stdin:\n    exec(line)\n    print('done', flush=True)\n"
_PLACES: Final = {"flags": 6, "minor": 7, "major": 9, "threads": 17, "virtual": 20, "resident": 21}


class Tree:
    """A /proc that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc" / "sys").mkdir(parents=True)

    def write(self, pid: int, *, parent: int = 1, start: int = 1, user: int = 0, system: int = 0, **more: Any) -> None:
        """A process; times in ticks. `more`: `state`, `name`, and what the other files say.

        `flags`, `minor`, `major`, `threads`, `virtual`, `resident`; `io` (bytes read and written), `uid` (effective),
        `command` (its words), `shared` (pages), `pss` and `swap` (KiB), `fds`, `switches` (of each thread).
        """
        fields = ["0"] * 50
        fields[0] = more.get("state", "S")
        numbers = {1: parent, 11: user, 12: system, 17: 1, 19: start}
        numbers |= {place: more[name] for name, place in _PLACES.items() if name in more}
        for at, value in numbers.items():
            fields[at] = str(value)
        name = more.get("name", "cat")
        self.file(pid, "stat", f"{pid} ({name}) {' '.join(fields)}\n")
        read, write = more.get("io", (0, 0))
        names = ("rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes", "cancelled_write_bytes")
        counts = (7, 7, 7, 7, read, write, 7)
        self.file(pid, "io", "".join(f"{name}: {count}\n" for name, count in zip(names, counts, strict=True)))
        uid = more.get("uid", 0)
        self.file(pid, "status", f"Name:\tUid:\nState:\tS\nUid:\t99\t{uid}\t98\t97\nGid:\t1\t1\t1\t1\n")
        self.file(pid, "cmdline", "".join(f"{word}\0" for word in more.get("command", (name,))))
        if "shared" in more:
            self.file(pid, "statm", f"1000 500 {more['shared']} 7 0 8 0\n")
        if "pss" in more:
            ranges = "5597-7ffc ---p 00000000 00:00 0      [rollup]\nRss:    9000 kB\n"
            rest = f"Pss_Anon:    3 kB\nSwap:    99 kB\nSwapPss:    {more.get('swap', 0)} kB\nLocked:    0 kB\n"
            self.file(pid, "smaps_rollup", f"{ranges}Pss:    {more['pss']} kB\n{rest}")
        for number in range(more.get("fds", 0)):
            self.file(pid, f"fd/{number}", "")
        if "switches" in more:
            self.threads(pid, more["switches"])

    def threads(self, pid: int, switches: dict[int, tuple[int, int]]) -> None:
        """The threads that there are now, with their voluntary and involuntary switches."""
        task = self.root / f"proc/{pid}/task"
        for folder in task.glob("*"):
            if int(folder.name) not in switches:
                _emptied(folder)
        for thread, (voluntary, involuntary) in switches.items():
            lines = f"voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n"
            self.file(pid, f"task/{thread}/status", f"Name:\tcat\nThreads:\t{len(switches)}\n{lines}")

    def file(self, pid: int, name: str, text: str) -> Path:
        """A file of a process, in place: readers keep it open."""
        path = self.root / "proc" / str(pid) / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path

    def end(self, pid: int) -> None:
        """The process is gone; a descriptor that was kept finds nothing more."""
        _emptied(self.root / "proc" / str(pid))

    def mount(self, **config: Any) -> Mounted:
        """The source over it, with disk traffic where nothing else is said."""
        return Mounted("process", {"io": True, **config}, self.root)


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            _emptied(path)
        else:
            path.write_text("")
            path.unlink()
    folder.rmdir()


@contextmanager
def worker() -> Iterator[subprocess.Popen[str]]:
    """A real process that executes lines when asked and is idle otherwise."""
    with subprocess.Popen([sys.executable, "-c", _WORKER], stdin=-1, stdout=-1, text=True) as process:
        try:
            do(process, "pass")
            yield process
        finally:
            process.kill()


def do(process: subprocess.Popen[str], line: str) -> str:
    """Let a worker execute one line; returns what it printed before it was done."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline().strip()
    return answer if answer == "done" else answer + process.stdout.readline().replace("done\n", "")


def burn(process: subprocess.Popen[str]) -> None:
    """Let a worker use 0.3 s of CPU time."""
    do(process, "end = time.process_time() + 0.3; [None for _ in iter(lambda: time.process_time() < end, False)]")


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, where the tests run as root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
