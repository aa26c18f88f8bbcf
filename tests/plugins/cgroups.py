"""Trees of cgroups that a test writes, and the source `cgroup` over them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from meter.core.plugin import Missing
from tests.fake import Mounted

if TYPE_CHECKING:
    from pathlib import Path

CPU = "container.cpu.time"
USAGE = "container.memory.usage"


class Tree:
    """A /sys/fs/cgroup that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "sys" / "fs" / "cgroup"
        self.folder.mkdir(parents=True)

    def write(self, path: str, **files: str) -> None:
        """Files of a cgroup; `cpu_stat` is `cpu.stat`, by the first `_`."""
        folder = self.folder / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("_", ".", 1)).write_text(text)

    def cpu(self, path: str, usage: int, user: int = 0, system: int = 0) -> None:
        """CPU time of a cgroup of version 2, in microseconds."""
        self.write(path, cpu_stat=f"usage_usec {usage}\nuser_usec {user}\nsystem_usec {system}\nnr_periods 0\n")

    def end(self, path: str) -> None:
        """The cgroup is gone."""
        shutil.rmtree(self.folder / path.lstrip("/"))

    def again(self, path: str, usage: int) -> None:
        """A cgroup goes and another one gets its name; the file system cannot give it the same number."""
        self.cpu(f"{path}.new", usage)
        self.end(path)
        (self.folder / f"{path}.new".lstrip("/")).rename(self.folder / path.lstrip("/"))

    def device(self, number: str, name: str, *members: str) -> None:
        """A block device."""
        folder = self.root / "sys" / "dev" / "block" / number
        (folder / "slaves").mkdir(parents=True)
        (folder / "uevent").write_text(f"MAJOR=8\nDEVNAME={name}\nDEVTYPE=disk\n")
        for member in members:
            (folder / "slaves" / member).mkdir()

    def mount(self, *paths: str, **config: bool) -> Mounted:
        """The source over it."""
        return Mounted("cgroup", {"paths": list(paths) or ["/*"], **config}, self.root)

    @classmethod
    def version_2(cls, root: Path) -> Tree:
        """Version 2 with all controllers, without cgroups."""
        made = cls(root)
        made.write("", cgroup_controllers="cpuset cpu io memory pids\n")
        return made

    @classmethod
    def version_1(cls, root: Path) -> Tree:
        """Version 1 as systemd mounts it, without cgroups."""
        made = cls(root)
        for controller in ("cpu,cpuacct", "memory", "blkio", "pids", "systemd"):
            made.write(controller, cgroup_procs="")
        (made.folder / "cpuacct").symlink_to("cpu,cpuacct")
        return made


def values(mounted: Mounted, ts: int, metric: str = CPU) -> dict[str, Any]:
    """One poll: the values or reasons of one metric by cgroup, or by cgroup and attributes and device."""
    found: dict[str, Any] = {}
    for row in mounted.rows(ts):
        for key, value in zip(row.columns.keys, row.values, strict=True):
            if key.metric.name == metric:
                parts = [row.id or key.consumer[1], key.resource[1], *(text for _, text in key.attributes)]
                found[" ".join(filter(None, parts))] = value.reason if isinstance(value, Missing) else value
    return found
