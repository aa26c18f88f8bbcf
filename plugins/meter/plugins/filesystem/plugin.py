"""The source `filesystem`."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings

_PATH = "/proc/self/mountinfo"
_STATES = ("used", "free", "reserved")
_TRIES = 3

# A file system has the number of its block device, and the major number 0 where it has none. These few keep data on
# local storage nevertheless: they span several devices, or lie on flash memory.
_STORES = frozenset({"bcachefs", "btrfs", "ubifs", "zfs"})
_LOOP = b"7"
"""The major number of block devices whose bytes lie in a file of another file system."""

_REMOTE = ("9p", "afs", "beegfs", "ceph", "cifs", "fuse", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
           "pvfs2", "smb", "virtiofs", "wekafs")  # fmt: skip
"""Beginnings of types that ask another host or another program and wait for its answer, for ever if need be."""
_LOCAL_PROGRAM = "fuseblk"

_NO_SIZE = 2**64
_ESCAPED = re.compile(rb"\\([0-3][0-7]{2})")


class Filesystem(Source):
    """Space of mounted file systems, as df(1) counts it.

    Emits `system.filesystem.limit` and `system.filesystem.usage` (By, u64, gauge) by `system.filesystem.state`: `free`
    is what every user may write, `reserved` what only root may, `used` the rest: the states add up to the limit. The
    resource is the mountpoint. By default file systems on local storage are measured, each once however often it is
    mounted, so that they may be summed; see the README for what this leaves out. A file system that cannot be asked is
    missing with the reason, as is a mountpoint of the option `mountpoints` at which nothing is mounted, or nothing that
    `filesystems` permits. Bytes of a mountpoint that are not UTF-8
    are kept as surrogates, as Python reads paths.

    Row: four columns for each file system; mounts that come and go are noticed at each poll.
    Raises: Retry, the mounts could not be read this once, or changed while their space was asked for.
    Source: proc_pid_mountinfo(5); statvfs(3).
    """

    def start(self, context: SourceContext) -> None:
        """Find the file systems.

        Raises: OSError, the mounts cannot be read; ValueError, they are not understood, or `filesystems = "all"` stands
        alone; LookupError, the options leave nothing.
        """
        if self.config["filesystems"] == "all" and not (self.config["types"] or self.config["mountpoints"]):
            raise ValueError(
                '`filesystems = "all"` would ask servers that may never answer: say with `types` or `mountpoints` which'
            )
        self._file = context.open(_PATH)
        try:
            self._take(self._read(), context.columns)
            self._refuse_nothing()
        except BaseException:
            os.close(self._file)
            raise

    def poll(self, out: Readings) -> None:
        """Ask each file system for its space once."""
        for _ in range(_TRIES):
            cells = [cell for place in self._places for cell in _space(place)]
            try:
                text = self._read()
            except OSError as error:
                raise Retry(f"{_PATH}: {error.strerror}") from error
            # What was unmounted before it was asked gives the space of the file system below it.
            if text == self._text:
                if not cells:
                    out.nothing()
                out.row(self._columns, cells)
                return
            self._take(text, out.columns)
        raise Retry(f"{_PATH}: mounts changed each time while their space was asked for")

    def stop(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _read(self) -> bytes:
        """The mounts; the kernel gives a page or so at a time."""
        parts = []
        size = 0
        while part := os.pread(self._file, 1 << 16, size):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _take(self, text: bytes, columns: Callable[[Iterable[ColumnSpec]], Columns]) -> None:
        """Choose among the mounts and declare their columns."""
        self._text = text
        self._mounts = _visible(_parse(text))
        self._places = self._chosen()
        specs = []
        for point, _ in self._places:
            name = point.decode("utf-8", "surrogateescape")
            for state in _STATES:
                told = {"system.filesystem.state": state}
                specs.append(ColumnSpec("system.filesystem.usage", name, attributes=told))
            specs.append(ColumnSpec("system.filesystem.limit", name))
        self._columns = columns(specs)

    def _chosen(self) -> list[_Place]:
        """What is measured, by mountpoint."""
        mounts = [mount for mount in self._mounts.values() if not self._excluded(mount.point)]
        named = {os.path.normpath(os.fsencode(path)) for path in self.config["mountpoints"]}
        base = self.config["filesystems"] == "base"
        if named:
            there = {mount.point: mount for mount in mounts if mount.point in named}
            chosen = self._base(there.values()) if base else there.values()
            return [(point, _why_not(point, there.get(point), chosen)) for point in sorted(named)]
        if self.config["types"]:
            mounts = [mount for mount in mounts if self._asked(mount)]
        return sorted((mount.point, None) for mount in (self._base(mounts) if base else _once(mounts)))

    def _base(self, mounts: Collection[_Mount]) -> Collection[_Mount]:
        """Those whose bytes are in no other one, and that answer at once."""
        parts = any(mount.point == b"/" and mount.type == "overlay" for mount in mounts)
        return _once(
            mount
            for mount in mounts
            if mount.point == b"/"
            or (mount.stores and not (parts and mount.root != b"/") and not _below_remote(mount, self._mounts))
        )

    def _asked(self, mount: _Mount) -> bool:
        return any(fnmatchcase(mount.type, pattern) for pattern in self.config["types"])

    def _excluded(self, point: bytes) -> bool:
        text = point.decode("utf-8", "surrogateescape")
        return any(fnmatchcase(text, pattern) for pattern in self.config["exclude"])

    def _refuse_nothing(self) -> None:
        """Raises: LookupError, the options leave nothing, which is more likely a slip than a wish."""
        if self._places:
            return
        mounts = self._mounts.values()
        if self.config["types"]:
            asked = ", ".join(f"`{pattern}`" for pattern in self.config["types"])
            if not any(map(self._asked, mounts)):
                known = ", ".join(f"`{kind}`" for kind in sorted({mount.type for mount in mounts}))
                raise LookupError(f"no file system of type {asked} is mounted; there are {known}")
            if not any(self._asked(mount) and not self._excluded(mount.point) for mount in mounts):
                raise LookupError(f"`exclude` leaves out every file system of type {asked}; take something out of it")
            raise LookupError(
                f"no file system of type {asked} is among those that may be summed, on local storage and each once;"
                ' take `filesystems = "all"`'
            )
        raise LookupError("no file system on local storage is left to measure; take something out of `exclude`")


class _Mount(NamedTuple):
    """One line of mountinfo: `device` is its number as MAJOR:MINOR, `root` the mounted part of the file system."""

    id: bytes
    parent: bytes
    device: bytes
    root: bytes
    point: bytes
    type: str

    @property
    def stores(self) -> bool:
        """Whether its bytes lie on local storage, and not in a file of another file system."""
        major = self.device.partition(b":")[0]
        return self.type in _STORES or major not in {b"0", _LOOP}

    @property
    def remote(self) -> bool:
        """Whether asking it may wait for another host or another program."""
        return self.type.startswith(_REMOTE) and self.type != _LOCAL_PROGRAM


_Place = tuple[bytes, Missing | None]
"""A mountpoint, and why it cannot be measured, if it cannot."""


def _parse(text: bytes) -> list[_Mount]:
    """The mounts in the kernel's order. Raises: ValueError, a line is none."""
    mounts = []
    for line in text.split(b"\n"):  # not splitlines: a mountpoint may hold other line breaks
        if not line:
            continue
        head, dash, tail = line.partition(b" - ")
        fields, last = head.split(b" "), tail.split(b" ")
        if not dash or len(fields) < 6 or len(last) < 3:
            raise ValueError(f"{_PATH} has a line that is no mount: {line!r}")
        kind = _plain(last[0]).decode("utf-8", "surrogateescape")
        mounts.append(_Mount(fields[0], fields[1], fields[2], _plain(fields[3]), _plain(fields[4]), kind))
    return mounts


def _plain(word: bytes) -> bytes:
    """A word without escapes: blanks, line breaks and backslashes stand as three octal digits."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), word) if b"\\" in word else word


def _visible(mounts: Sequence[_Mount]) -> dict[bytes, _Mount]:
    """The mounts that a path leads to, by id: not those below others at the same place or further up."""
    ids = {mount.id for mount in mounts}
    # The parent of the root of a process is not told, or it is its own.
    roots = {mount.id for mount in mounts if mount.parent not in ids or mount.parent == mount.id}
    above = {(b"" if mount.id in roots else mount.parent, mount.point): mount for mount in mounts}
    return {mount.id: mount for mount in mounts if _reached(mount.point, above) == mount.id}


def _reached(point: bytes, above: Mapping[tuple[bytes, bytes], _Mount]) -> bytes:
    """The id of the mount that a path leads to, by the parent and the mountpoint of each."""
    at = b""
    for prefix in _prefixes(point):
        passed = {at}
        while (mount := above.get((at, prefix))) is not None and mount.id not in passed:
            at = mount.id
            passed.add(at)
    return at


def _prefixes(path: bytes) -> Iterator[bytes]:
    """`/`, `/a` and `/a/b` of `/a/b`."""
    yield b"/"
    end = 0
    while path != b"/" and end >= 0:
        end = path.find(b"/", end + 1)
        yield path if end < 0 else path[:end]


def _below_remote(mount: _Mount, mounts: Mapping[bytes, _Mount]) -> bool:
    """Whether the way to a mount leads through one that may wait; all ways lead through the root."""
    passed = set()
    while (parent := mounts.get(mount.parent)) is not None and parent.id not in passed:
        if parent.remote and parent.point != b"/":
            return True
        passed.add(parent.id)
        mount = parent
    return False


def _once(mounts: Iterable[_Mount]) -> Collection[_Mount]:
    """One mount of each file system: the root, else one of all of it, else the one with the shortest path."""
    ranked = sorted(mounts, key=lambda mount: (mount.point != b"/", mount.root != b"/", len(mount.point), mount.point))
    return {mount.device: mount for mount in reversed(ranked)}.values()


def _why_not(point: bytes, mount: _Mount | None, chosen: Collection[_Mount]) -> Missing | None:
    """Why what is mounted at a path that was asked for is not measured; None where it is."""
    if mount in chosen:
        return None
    shown = _shown(point)
    if mount is None:
        return Missing(f"nothing is mounted at {shown}")
    same = next((_shown(each.point) for each in chosen if each.device == mount.device), None)
    if same is not None:
        return Missing(f'{shown}: the same file system as {same}, counted once; take `filesystems = "all"` for both')
    return Missing(
        f"{shown}: a file system of type {mount.type} that is not on local storage of its own;"
        ' take `filesystems = "all"`'
    )


def _shown(point: bytes) -> str:
    return point.decode("utf-8", "backslashreplace")


def _space(place: _Place) -> list[int | Missing]:
    """Used, free, reserved and all bytes of a file system."""
    point, reason = place
    shown = _shown(point)
    if reason is not None:
        return [reason] * 4
    try:
        found = os.statvfs(point)
    except OSError as error:
        return [Missing(f"{shown}: {error.strerror}")] * 4
    size = found.f_frsize
    limit = found.f_blocks * size
    if not 0 < limit < _NO_SIZE:
        return [Missing(f"{shown}: this file system says that it has {limit} bytes")] * 4
    used: int | Missing = (found.f_blocks - found.f_bfree) * size
    free: int | Missing = found.f_bavail * size
    reserved: int | Missing = (found.f_bfree - found.f_bavail) * size
    if found.f_bavail > found.f_bfree:
        free = reserved = Missing(f"{shown}: more bytes are said to be available than free")
    if found.f_bfree > found.f_blocks:
        used = free = reserved = Missing(f"{shown}: more bytes are said to be free than there are")
    return [used, free, reserved, limit]
