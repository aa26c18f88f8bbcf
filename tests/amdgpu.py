"""Made AMD GPUs: the files of the driver below a root, with a table `gpu_metrics` whose counter a test sets."""

from __future__ import annotations

import shutil
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

JOULE = 1 << 16
"""Steps of the counter."""
NAVI31, MI210, MI250, MI300A, MI300X = "1002:744C", "1002:740F", "1002:740C", "1002:74A0", "1002:74A1"
SIZES = {(1, 3): 120, (1, 4): 288, (1, 5): 360, (1, 6): 1664, (1, 7): 2208, (1, 8): 3872, (2, 3): 152}
OFFSETS = {(1, 5): 88, (1, 6): 16}
"""Of the counter, where it is not 24: the fields of each structure of kgd_pp_interface.h before it, added up."""


def table(revision: tuple[int, int], counter: int, *, power: int = 100, size: int | None = None) -> bytes:
    """A table as the driver makes it: full of ones but for its header and what it knows, here power and the counter."""
    length = SIZES.get(revision, 200) if size is None else size
    data = bytearray(b"\xff" * max(length, 34))
    struct.pack_into("=HBB", data, 0, length, *revision)
    struct.pack_into("=H", data, 22 if revision == (1, 3) else 10, power)
    struct.pack_into("=Q", data, OFFSETS.get(revision, 24), counter)
    return bytes(data[:length])


class Gpu:
    """One GPU; its files are written in place, as what has a file open goes on with it."""

    def __init__(self, root: Path, card: int = 1, address: str = "0000:03:00.0", chip: str = NAVI31) -> None:
        self.card = root / "sys" / "class" / "drm" / f"card{card}"
        self.device = self.card / "device"
        self.monitor = self.device / "hwmon" / f"hwmon{card + 3}"
        self.monitor.mkdir(parents=True)
        (self.device / "power").mkdir()
        self.says(uevent=f"DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_ID={chip}\nPCI_SLOT_NAME={address}")
        self.says(vendor="0x1002", mem_info_vram_total=1 << 34, mem_info_vram_used=1 << 30)
        self.state("active")
        self.senses(name="amdgpu")

    def says(self, **files: object) -> Gpu:
        """Files of the device."""
        for name, value in files.items():
            (self.device / name).write_text(f"{value}\n")
        return self

    def senses(self, **files: object) -> Gpu:
        """Files of its hardware monitor."""
        for name, value in files.items():
            (self.monitor / name).write_text(f"{value}\n")
        return self

    def watts(self, watts: float, name: str = "power1_average") -> Gpu:
        """What a sensor of power says."""
        return self.senses(**{name: round(watts * 1_000_000)})

    def counts(self, joules: float, revision: tuple[int, int] = (1, 4)) -> Gpu:
        """The table, with a counter that has counted so much."""
        return self.tells(table(revision, round(joules * JOULE)))

    def tells(self, data: bytes) -> Gpu:
        """The table."""
        (self.device / "gpu_metrics").write_bytes(data)
        return self

    def state(self, word: str) -> Gpu:
        """What its power management does."""
        (self.device / "power" / "runtime_status").write_text(f"{word}\n")
        return self

    def without(self, *names: str) -> Gpu:
        """Take files of the hardware monitor away."""
        for name in names:
            (self.monitor / name).unlink()
        return self

    def remove(self) -> None:
        """Pull it out."""
        shutil.rmtree(self.card)
