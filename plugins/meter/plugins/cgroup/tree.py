"""Where control groups are mounted, which of them are selected, and their files."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.kept import KeptFiles
from meter.core.plugin import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meter.core.plugin import SourceContext

ROOT: Final = "/sys/fs/cgroup"
_UNIFIED: Final = f"{ROOT}/unified"
_ANY: Final = "**"
_LEAF: Final = 2  # links of a folder without folders, in the kernel's file systems
_LONGEST: Final = 1 << 16

Pattern = tuple[str, ...]


class Vanished(Exception):  # noqa: N818  (no failure: cgroups come and go)
    """The cgroup is not there any more."""


class Hierarchy(NamedTuple):
    """A tree of cgroups: its root folder, and whether it is of version 2."""

    folder: str
    unified: bool


def hierarchies(context: SourceContext) -> dict[str, Hierarchy]:
    """The hierarchy for each of `cpu`, `memory`, `io`, `pids` and `pressure` that the host has.

    With version 1 each controller has a folder of its own below /sys/fs/cgroup. Where both versions are there, a
    controller is in one of them, and CPU time in both: that of version 1 is taken.
    Raises: FileNotFoundError, cgroups are not mounted; other OSErrors.
    """
    there = context.listdir(ROOT)
    unified = ROOT if "cgroup.controllers" in there else _UNIFIED if "unified" in there else None
    found: dict[str, Hierarchy] = {}
    if unified is not None:
        with context.open_binary(f"{unified}/cgroup.controllers") as file:
            enabled = (file.read(_LONGEST) or b"").decode().split()
        found = {part: Hierarchy(unified, unified=True) for part in ("memory", "io", "pids") if part in enabled}
        found["cpu"] = Hierarchy(unified, unified=True)  # its times are counted without the controller
        if _measures_pressure(context):
            found["pressure"] = found["cpu"]
    if unified != ROOT:
        for part, controller in {"cpu": "cpuacct", "memory": "memory", "io": "blkio", "pids": "pids"}.items():
            names = [name for name in there if controller in name.split(",")]
            if names:  # `cpuacct` may also be a link to `cpu,cpuacct`
                found[part] = Hierarchy(f"{ROOT}/{min(names, key=len)}", unified=False)
    if not found:
        raise FileNotFoundError(f"no cgroups are mounted below {ROOT}")
    return found


def _measures_pressure(context: SourceContext) -> bool:
    try:
        return "cpu" in context.listdir("/proc/pressure")
    except OSError:
        return False


def patterns(paths: Iterable[str]) -> frozenset[Pattern]:
    """Paths as the names that they consist of; the root consists of none."""
    return frozenset(tuple(name for name in path.split("/") if name) for path in paths)


def literal(pattern: Pattern) -> bool:
    """Whether a path means one cgroup."""
    return not any(letter in name for name in pattern for letter in "*?[")


def selected(context: SourceContext, root: str, asked: frozenset[Pattern]) -> dict[str, int]:
    """The cgroups of a hierarchy that are asked for, by path, each with what tells it from others of its name.

    Raises: OSError, the root cannot be listed.
    """
    found = {}
    waiting = [("", os.stat(context.path(root)), asked)]
    while waiting:
        path, status, wanted = waiting.pop()
        if () in wanted:
            found[path or "/"] = status.st_ino
        deeper = [pattern for pattern in wanted if pattern]
        if not deeper or (path and status.st_nlink == _LEAF):
            continue
        try:
            with os.scandir(context.path(root + path)) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        inner = frozenset(_inside(entry.name, deeper))
                        if inner:
                            waiting.append((f"{path}/{entry.name}", entry.stat(follow_symlinks=False), inner))
        except FileNotFoundError:  # it has just gone
            continue
    return found


def _inside(name: str, asked: Iterable[Pattern]) -> Iterator[Pattern]:
    """What is asked for below a folder of this name."""
    for pattern in asked:
        if pattern[0] == _ANY:
            yield pattern
            yield pattern[1:]
        elif fnmatchcase(name, pattern[0]):
            yield pattern[1:]


class Files:
    """Reads files of cgroups; one of a cgroup that has gone cannot be read, also where another has got its name."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._kept = KeptFiles(context, _LONGEST)
        self.sweep = self._kept.sweep
        self.close = self._kept.close

    def read(self, folder: str, name: str, identity: int) -> bytes | Missing:
        """The content of a file, or why it cannot be had. Raises: Vanished, the cgroup has gone."""
        path = f"{folder}/{name}"
        try:
            return self._kept.read(path, (path, identity))
        except OSError as error:
            try:
                there = os.stat(self._context.path(folder)).st_ino == identity
            except OSError:
                there = False
            if not there:
                raise Vanished from None
            if isinstance(error, FileNotFoundError):
                return Missing(f"there is no {path}: the kernel or the controller of this cgroup lacks it")
            return Missing(f"{path}: {error.strerror}")
