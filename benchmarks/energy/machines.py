"""Machines whose power is known: the rows of the energy matrix, and how they come to be for a process."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from benchmarks.figure import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[2]
STEP_S: Final = 0.005
"""So often the counters are renewed."""
GPU_STEP_S: Final = 0.02
"""So often those of GPUs are."""
BUSY: Final = 2
"""So many processes for each processor load a machine."""
_DENY: Final = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""What takes the right to read everything from root."""


class Machine(NamedTuple):
    """A row: joules of a second, which of them add up to its total, and what happens."""

    title: str
    watts: Mapping[str, float]
    total: Sequence[str]
    gpus: Sequence[str] = ()
    """What the fake library of the driver reads; a machine with GPUs has no counters of RAPL."""
    wraps_after: float | None = None
    """When the counters of package and memory start again at 0, as a part of the window."""
    loaded: bool = False
    denied: bool = False

    @property
    def total_w(self) -> float:
        """Power of all that is to be counted."""
        return sum(self.watts[name] for name in self.total)


_A: Final = {"package": 100.0, "core": 60.0, "dram": 10.0}
_BOTH: Final = ("package", "dram")
_GPUS: Final = {"gpu 0": 250.0, "gpu 1": 100.0}
_LINES: Final = ("gpus 2", "0.watts_mw=250000", "1.watts_mw=100000")
MACHINES: Final = {
    "A": Machine("package, core, dram", _A, _BOTH),
    "B": Machine("psys beside package", {"package": 100, "core": 60, "uncore": 5, "psys": 150}, ["package"]),
    "V": Machine("package and dram wrap", _A, _BOTH, wraps_after=0.6),
    "W": Machine("they wrap, machine loaded", _A, _BOTH, wraps_after=0.4, loaded=True),
    "U": Machine("counters not readable", _A, _BOTH, denied=True),
    "N1": Machine("two GPUs", _GPUS, [*_GPUS], _LINES),
    "N2": Machine("GPU 1 without a counter", _GPUS, [*_GPUS], [*_LINES, "1.energy=!3"]),
}


class Feeder:
    """The counters of a machine below a folder; they advance from the begin to the end of a `with` block."""

    def __init__(self, root: Path, row: str) -> None:
        self.longest_s = 0.0
        """How long they were not renewed, known at the end."""
        command = [sys.executable, "-m", "benchmarks.energy.feeder", str(root), row]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.longest_s = float(self._process.communicate()[0] or "nan")

    def wrap(self, after_s: float) -> None:
        """Let the counters of package and memory start again at 0 in so many seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"wrap {after_s}\n")
        self._process.stdin.flush()


def namespace() -> list[str] | None:
    """What gives a command mounts of its own and no network, for root or for who may have a user namespace; or None."""
    for words in (["unshare", "-mn"], ["unshare", "-rmn"]):
        probe = [*words, "mount", "--bind", tempfile.gettempdir(), "/sys/class"]
        if shutil.which("unshare") and not subprocess.run(probe, check=False, capture_output=True).returncode:
            return words
    return None


def on(words: Sequence[str], root: Path, row: str) -> list[str]:
    """What a command begins with so that it finds the counters of a machine; `words` are those of `namespace`."""
    if MACHINES[row].gpus:
        return [*words]
    refused = _DENY if MACHINES[row].denied else ()
    return [*words, "bash", "-c", 'mount --bind "$0" /sys/class && exec "$@"', f"{root}/sys/class", *refused]


@contextlib.contextmanager
def load(*, wanted: bool) -> Iterator[None]:
    """Processes that do nothing but compute, to the end of the block."""
    count = BUSY * (os.cpu_count() or 1) if wanted else 0
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
