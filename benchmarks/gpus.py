"""GPUs: what a poll of `nvml` costs beside C that makes the same calls of the same library.

The library is the fake of the tests, as the driver's own needs a GPU. Its calls take no time, or as long as those of a
fast driver; the first shows what meter adds, the second what share of a poll that is.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.controls import NoCompilerError, compiled
from benchmarks.figure import Figure, absent
from benchmarks.readings import poll_us
from tests import nvml

if TYPE_CHECKING:
    from collections.abc import Iterator

GPUS: Final = 8
CALLS: Final = 13
"""Of the library, for each GPU at each poll."""
COSTS_NS: Final = {0: None, 10_000: 1.2, 50_000: 1.2}
"""How long a call takes, with the bar: that of a real driver is answered by the kernel, and often by the GPU."""


def figures() -> Iterator[Figure]:
    """A poll of eight GPUs for each GPU, by how long a call takes; all in processes of their own state."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            control = compiled("gpus", folder, ["-ldl"])
            library = nvml.compiled(Path(folder))
        except NoCompilerError as error:
            yield absent("poll of nvml", "us", str(error))
            return
        ctypes.CDLL(str(library))  # pynvml finds it by its name then
        for cost, bar in COSTS_NS.items():
            lines = [f"gpus {GPUS}", *(f"{gpu}.cost_ns={cost}" for gpu in range(GPUS))]
            environment = nvml.environment(Path(folder), library, lines)
            os.environ["FAKE_NVML"] = environment["FAKE_NVML"]
            rounds = "2000" if not cost else "20"
            done = subprocess.run([control, str(library), rounds], check=True, capture_output=True)
            best = int(done.stdout.split()[0]) / 1e3 / GPUS
            name = f"poll of nvml, each of {GPUS}, calls of {cost / 1e3:g} us"
            yield Figure(name, poll_us("nvml", []) / GPUS, best, f"C, the same {CALLS} calls", "us", bar)
