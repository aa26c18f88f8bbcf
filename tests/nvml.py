"""The fake library of the NVIDIA driver: compiled once, set by hooks in this process or by a file in another one."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SOURCE = Path(__file__).parent / "data" / "nvml" / "fake_nvml.c"
NAME = "libnvidia-ml.so.1"

NOT_SUPPORTED, NO_PERMISSION, TOO_SMALL, NOT_LOADED, TIMEOUT, LOST, RESET = 3, 4, 7, 9, 10, 15, 16


def compiler() -> str | None:
    """A C compiler; the fake cannot be without one."""
    return shutil.which("gcc") or shutil.which("cc")


def compiled(folder: Path, *more: str) -> Path:
    """The library in a folder, with more flags of the compiler."""
    library = folder / NAME
    flags = ["-O1", "-shared", "-fPIC", f"-Wl,-soname,{NAME}", "-o", str(library), str(SOURCE), "-lpthread", *more]
    subprocess.run([compiler() or "cc", *flags], check=True, capture_output=True)
    return library


class Driver:
    """The fake in this process: how it answers, and a clock that the test moves.

    Loaded before pynvml, it is what pynvml finds: the linker knows it by the name that is in the file.
    """

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.fake_calls.restype = self._library.fake_since.restype = ctypes.c_uint64

    def reset(self, gpus: int) -> None:
        """So many GPUs of 100 W without a fault, at the time 0."""
        self._library.fake_reset(gpus)

    def clock(self, seconds: float) -> None:
        """Set the time; 0 is that of `reset`."""
        self._library.fake_clock(ctypes.c_uint64(max(1, round(seconds * 1e9))))

    def watts(self, gpu: int, watts: float) -> None:
        """What a GPU takes from the clock's beginning on, and what it says that it takes."""
        self._library.fake_watts(gpu, ctypes.c_uint64(round(watts * 1000)))

    def set(self, gpu: int, key: str, value: int) -> None:
        """A number of a GPU, by a key of the file."""
        assert self._library.fake_set(gpu, key.encode(), ctypes.c_uint64(value)) == 0, key

    def sample(self, gpu: int, pid: int, seconds: float, *percents: int) -> None:
        """A sample of a process that is there from a time on: percent of kernels, memory, encoder and decoder."""
        assert self._library.fake_sample(gpu, pid, ctypes.c_uint64(round(seconds * 1e6)), *percents) == 0

    def since(self, gpu: int) -> float:
        """The time in s from which on samples were asked for last."""
        return float(self._library.fake_since(gpu)) / 1e6

    def fail(self, gpu: int, key: str, code: int) -> None:
        """What the calls behind a key answer; 0 ends it."""
        assert self._library.fake_fail(gpu, key.encode(), code) == 0, key

    def load(self, code: int) -> None:
        """What initializing answers."""
        self._library.fake_load(code)

    @property
    def calls(self) -> int:
        """Calls about a GPU since `reset`."""
        return int(self._library.fake_calls())

    @property
    def users(self) -> int:
        """How often the library is initialized and not given back."""
        return int(self._library.fake_users())


def environment(folder: Path, library: Path, lines: Iterable[str]) -> dict[str, str]:
    """What another process is started with so that it finds the fake, which reads these lines."""
    state = folder / "gpus.conf"
    state.write_text("".join(f"{line}\n" for line in lines))
    return {"LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML": str(state)}


def machine(folder: Path) -> Path:
    """A `--sysroot` that has the driver's file and nothing else, so that other sources are left out."""
    driver = folder / "proc" / "driver" / "nvidia"
    driver.mkdir(parents=True)
    (driver / "version").write_text("NVRM version: fake\n")
    return folder
