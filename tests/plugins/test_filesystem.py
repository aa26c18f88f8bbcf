"""The source `filesystem`, on made mounts and on the real ones."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core import Backend, ContractError
from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

BLOCK = 4096
STATES = ("used", "free", "reserved")
NFS = {"kind": "nfs4", "device": "0:60"}
FUSE = {"kind": "fuse.sshfs", "device": "0:61"}


def escaped(path: bytes) -> bytes:
    """A path as the kernel writes it into mountinfo."""
    return b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes([byte]) for byte in path)


def line(
    point: bytes | str,
    id_: int,
    *,
    kind: str = "ext4",
    device: str = "8:1",
    parent: int = 1,
    root: str = "/",
) -> bytes:
    """A line of mountinfo; the source is the type and the device."""
    path = escaped(os.fsencode(point))
    options = b"rw,relatime shared:1 master:2" if id_ % 2 else b"rw"  # the number of fields differs
    head = b"%d %d %b %b %b %b" % (id_, parent, device.encode(), root.encode(), path, options)
    return head + f" - {kind} /dev/{kind}-{device} rw\n".encode()


class Host:
    """A made /proc/self/mountinfo, and what `statvfs` answers for the mountpoints."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "proc" / "self" / "mountinfo"
        self.file.parent.mkdir(parents=True)
        self.asked: list[bytes] = []
        self.answers: dict[bytes, tuple[int, int, int] | OSError] = {}
        self.meanwhile: Callable[[], object] = lambda: None
        self.block = BLOCK

    def write(self, *lines: bytes) -> None:
        """Mount these and nothing else."""
        self.file.write_bytes(b"".join(lines))

    def mount(self, **config: Any) -> Mounted:
        """The source over it."""
        return Mounted("filesystem", config, sysroot=self.root)

    def measured(self, **config: Any) -> list[str]:
        """The mountpoints that are measured."""
        mounted = self.mount(**config)
        points = {key.resource[1] for row in mounted.rows(SECOND) for key in row.columns.keys}
        mounted.source.stop()
        assert sorted(points) == sorted(map(os.fsdecode, self.asked))
        return sorted(points)

    def statvfs(self, path: bytes) -> os.statvfs_result:
        """The answer for a path: blocks, free blocks, and those that are available; by default 100, 40 and 30."""
        self.asked.append(path)
        self.meanwhile()
        answer = self.answers.get(path, (100, 40, 30))
        if isinstance(answer, OSError):
            raise answer
        return os.statvfs_result((BLOCK, self.block, *answer, 0, 0, 0, 0, 255))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A machine with one file system at `/`."""
    made = Host(tmp_path)
    made.write(line("/", 10))
    monkeypatch.setattr(os, "statvfs", made.statvfs)
    return made


def space(mounted: Mounted, ts: int = SECOND) -> dict[str, dict[str, Any]]:
    """One poll: bytes or reasons by mountpoint and state, the limit among these."""
    found: dict[str, dict[str, Any]] = {}
    for row in mounted.rows(ts):
        for key, value in zip(row.columns.keys, row.values, strict=True):
            state = dict(key.attributes).get("system.filesystem.state", "limit")
            cell = value.reason if isinstance(value, Missing) else value
            assert found.setdefault(key.resource[1], {}).setdefault(state, cell) is cell
    return found


# ------------------------------------------------------------------------------------------------------------ the space


def test_states_are_those_of_df(host: Host) -> None:
    """Free is what everybody may write, reserved what only root may, used the rest, in bytes of the fragment size."""
    host.block = 512
    host.answers[b"/"] = (1000, 300, 250)
    mounted = host.mount()

    assert space(mounted) == {"/": {"used": 700 * 512, "free": 250 * 512, "reserved": 50 * 512, "limit": 1000 * 512}}
    mounted.source.stop()


@given(st.lists(st.integers(0, 2**52 - 1), min_size=3, max_size=3).map(sorted).filter(lambda sizes: sizes[2] > 0))
def test_states_add_up_to_the_limit(tmp_path_factory: pytest.TempPathFactory, sizes: Sequence[int]) -> None:
    """Exactly, for whatever a file system answers that does not contradict itself."""
    host = Host(tmp_path_factory.mktemp("host"))
    host.write(line("/", 10))
    host.answers[b"/"] = (sizes[2], sizes[1], sizes[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "statvfs", host.statvfs)
        mounted = host.mount()
        cells = space(mounted)["/"]
    mounted.source.stop()

    assert sum(cells[state] for state in STATES) == cells["limit"] == sizes[2] * BLOCK
    assert cells["free"] == sizes[0] * BLOCK


def test_a_series_is_a_mountpoint_and_a_state(host: Host) -> None:
    """And not what is mounted there, which may change, as where nothing is mounted yet."""
    mounted = host.mount()

    keys = [key for row in mounted.rows(SECOND) for key in row.columns.keys]
    mounted.source.stop()

    assert [dict(key.attributes) for key in keys] == [*({"system.filesystem.state": state} for state in STATES), {}]
    assert {key.resource for key in keys} == {("filesystem", "/")}


@pytest.mark.parametrize("code", [errno.EACCES, errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ENOENT])
def test_what_cannot_be_asked_is_missing(host: Host, code: int) -> None:
    """With the reason, and never 0; the other file systems are there, and the next poll may succeed."""
    host.write(line("/", 10), line("/data", 11, parent=10, device="8:2"))
    mounted = host.mount()
    host.answers[b"/data"] = OSError(code, os.strerror(code))
    failed = space(mounted)
    del host.answers[b"/data"]
    after = space(mounted, 2 * SECOND)
    mounted.source.stop()

    assert failed["/data"] == dict.fromkeys((*STATES, "limit"), f"/data: {os.strerror(code)}")
    assert failed["/"]["limit"] == after["/data"]["limit"] == 100 * BLOCK


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ((0, 0, 0), {"used", "free", "reserved", "limit"}),  # a file system that has no size
        (
            (2**63, 2**62, 2**62),
            {"used", "free", "reserved", "limit"},
        ),  # some say they have no end; 64 bits end earlier
        ((100, 40, 41), {"free", "reserved"}),  # more available than free
        ((100, 40, 2**64 - 5), {"free", "reserved"}),  # a negative number of another system, sent by its server
        ((100, 101, 30), {"used", "free", "reserved"}),  # more free than there is
    ],
)
def test_numbers_that_cannot_be_are_missing(host: Host, answer: tuple[int, int, int], missing: set[str]) -> None:
    """No negative space, no number that does not fit, and nothing that adds up to another limit."""
    host.answers[b"/"] = answer
    mounted = host.mount()

    cells = space(mounted)["/"]
    mounted.source.stop()

    assert {state for state, cell in cells.items() if isinstance(cell, str)} == missing
    assert all(cell.startswith("/: ") for cell in cells.values() if isinstance(cell, str))


# ----------------------------------------------------------------------------------------------------------- the choice


@pytest.mark.parametrize(
    ("kind", "device", "chosen"),
    [
        ("ext4", "259:3", True),
        ("xfs", "253:0", True),  # on LVM
        ("vfat", "8:2", True),
        ("fuseblk", "8:3", True),  # NTFS by a program, on a block device
        ("btrfs", "0:40", True),  # spans devices, so that it has no number of one
        ("zfs", "0:41", True),
        ("proc", "0:21", False),
        ("cgroup2", "0:22", False),
        ("tmpfs", "0:23", False),
        ("overlay", "0:24", False),  # its bytes are counted below it
        ("squashfs", "7:0", False),  # a loop device: its bytes lie in a file
        ("ext4", "7:1", False),
        ("nfs4", "0:60", False),  # may never answer
        ("cifs", "0:62", False),
        ("fuse.sshfs", "0:61", False),
        ("9p", "0:63", False),
        ("autofs", "0:64", False),
    ],
)
def test_file_systems_on_local_storage_are_measured(host: Host, kind: str, device: str, chosen: bool) -> None:  # noqa: FBT001  (a table)
    """Nothing else is even asked unless a user wants it, since a server that is away would never answer."""
    host.write(line("/", 10), line("/x", 11, parent=10, kind=kind, device=device))

    assert host.measured() == (["/", "/x"] if chosen else ["/"])


@pytest.mark.parametrize("kind", ["overlay", "tmpfs", "nfs4", "9p"])
def test_the_root_is_always_measured(host: Host, kind: str) -> None:
    """Whatever it is, as in containers and machines without a disk."""
    host.write(line("/", 10, kind=kind, device="0:50"), line("/proc", 11, parent=10, kind="proc", device="0:3"))

    assert host.measured() == ["/"]


def test_one_file_system_is_measured_once(host: Host) -> None:
    """At the root; else where all of it is mounted; else at the shortest path: no byte counts twice."""
    host.write(
        line("/", 10, device="0:30", kind="btrfs", root="/@"),
        line("/mnt/all", 11, parent=10, device="0:30", kind="btrfs"),
        line("/home", 12, parent=10, device="0:30", kind="btrfs", root="/@home"),
        line("/a", 13, parent=10, device="8:2", root="/part"),
        line("/long/whole", 14, parent=10, device="8:2"),
        line("/bb/part", 15, parent=10, device="8:3", root="/one"),
        line("/b", 16, parent=10, device="8:3", root="/two"),
    )

    assert host.measured() == ["/", "/b", "/long/whole"]


def test_parts_are_left_out_beside_an_overlay_as_root(host: Host) -> None:
    """In a container they mostly lie on the disk of the overlay; a disk of its own is mounted as a whole."""
    host.write(
        line("/", 10, kind="overlay", device="0:50"),
        line("/etc/hosts", 11, parent=10, root="/var/lib/docker/containers/1/hosts"),
        line("/data", 12, parent=10, device="8:16"),
    )

    assert host.measured() == ["/", "/data"]


def test_what_is_hidden_is_not_measured(host: Host) -> None:
    """A path leads to the mount on top; one further up hides all that was below it."""
    host.write(
        line("/", 1, parent=1, kind="rootfs", device="0:1"),  # what a machine starts from, below its root
        line("/", 10, parent=1),
        line("/a", 11, parent=10, device="8:2"),
        line("/a", 12, parent=11, device="8:3"),  # on top of it
        line("/b/c", 13, parent=10, device="8:4"),
        line("/b", 14, parent=10, device="8:5"),  # hides /b/c
        line("/b/d", 15, parent=14, device="8:6"),
    )

    mounted = host.mount()
    devices = {mount.device for mount in mounted.source._mounts.values()}  # type: ignore[attr-defined]
    mounted.source.stop()

    assert host.measured() == ["/", "/a", "/b", "/b/d"]
    assert devices == {b"8:1", b"8:3", b"8:5", b"8:6"}


@pytest.mark.parametrize("remote", [NFS, FUSE])
def test_what_lies_below_a_server_is_not_measured(host: Host, remote: dict[str, str]) -> None:
    """The way to it leads through what may never answer."""
    host.write(
        line("/", 10),
        line("/srv", 11, parent=10, **remote),
        line("/srv/disk", 12, parent=11, device="8:2"),
        line("/srv/disk/deep", 13, parent=12, device="8:3"),
    )

    assert host.measured() == ["/"]


def test_what_lies_below_a_local_program_is_measured(host: Host) -> None:
    """NTFS by a program is on a disk of this machine and waits for nobody else."""
    host.write(
        line("/", 10),
        line("/win", 11, parent=10, kind="fuseblk", device="8:3"),
        line("/win/disk", 12, parent=11, device="8:2"),
    )

    assert host.measured() == ["/", "/win", "/win/disk"]


def test_no_root_is_no_fault(host: Host) -> None:
    """After chroot to a plain folder the root is no mountpoint; what is below is measured."""
    host.write(line("/data", 11, parent=5, device="8:2"), line("/data/more", 12, parent=11, device="8:3"))

    assert host.measured() == ["/data", "/data/more"]


@pytest.fixture
def kinds(host: Host) -> Host:
    """A machine with a disk that is mounted twice, a file with a file system, a server, a program and memory."""
    host.write(
        line("/", 10),
        line("/again", 11, parent=10),
        line("/loop", 12, parent=10, device="7:0"),
        line("/net", 13, parent=10, **NFS),
        line("/far", 14, parent=10, **FUSE),
        line("/run", 15, parent=10, kind="tmpfs", device="0:33"),
    )
    return host


@pytest.mark.parametrize(
    ("types", "measured"),
    [
        (["nfs4"], ["/net"]),
        (["fuse.*"], ["/far"]),
        (["tmpfs", "xfs"], ["/run"]),  # one of them is enough
        (["ext*"], ["/", "/loop"]),
        (["*"], ["/", "/far", "/loop", "/net", "/run"]),
    ],
)
def test_all_of_the_types_are_measured(kinds: Host, types: list[str], measured: list[str]) -> None:
    """Where a user wants all: what is asked for is measured and nothing else, each file system once."""
    assert kinds.measured(filesystems="all", types=types) == measured


@pytest.mark.parametrize("types", [["ext*"], ["*"]])
def test_types_choose_among_those_that_may_be_summed(kinds: Host, types: list[str]) -> None:
    """Unless a user wants all: no byte counts twice, and no server is asked."""
    assert kinds.measured(types=types) == ["/"]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"types": ["nfs*"]}, r"no file system of type `nfs\*` is among .*; take `filesystems = \"all\"`"),
        ({"types": ["ext4"], "exclude": ["*"]}, "`exclude` leaves out every file system of type `ext4`"),
        ({"exclude": ["*"]}, "no file system on local storage is left to measure; take something out of `exclude`"),
    ],
)
def test_options_that_leave_nothing_are_refused(kinds: Host, config: dict[str, Any], reason: str) -> None:
    """They would measure nothing for ever; nothing stays open."""
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(LookupError, match=reason):
        kinds.mount(**config)

    assert set(os.listdir("/proc/self/fd")) == before


def test_all_and_nothing_more_is_refused(host: Host) -> None:
    """It would ask servers that nobody has named."""
    with pytest.raises(ValueError, match="say with `types` or `mountpoints` which"):
        host.mount(filesystems="all")


def test_a_type_that_is_not_there_is_refused(host: Host) -> None:
    """A slip would measure nothing for ever; the types that there are help to find it."""
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(LookupError, match=r"no file system of type `etx4`, `jfs` is mounted; there are `ext4`"):
        host.mount(types=["etx4", "jfs"])

    assert set(os.listdir("/proc/self/fd")) == before


def test_all_mountpoints_that_are_named_are_measured(kinds: Host) -> None:
    """Where a user wants all: of whatever type, one file system twice; and a final slash does not matter."""
    points = ["/run/", "/net", "/", "/again"]

    assert kinds.measured(filesystems="all", mountpoints=points) == ["/", "/again", "/net", "/run"]


@pytest.mark.parametrize(
    ("points", "reasons"),
    [
        (["/", "/again"], {"/again": "/again: the same file system as /, counted once"}),
        (["/again"], {}),  # alone it is counted once too
        (["/loop"], {"/loop": "/loop: a file system of type ext4 that is not on local storage of its own"}),
        (["/", "/net"], {"/net": "/net: a file system of type nfs4 that is not on local storage of its own"}),
    ],
)
def test_a_mountpoint_that_would_count_twice_or_wait_is_missing(
    kinds: Host, points: list[str], reasons: dict[str, str]
) -> None:
    """Unless a user wants all; it is not even asked, and it says what to take."""
    mounted = kinds.mount(mountpoints=points)
    cells = space(mounted)
    mounted.source.stop()

    assert sorted(cells) == points
    for point in points:
        if point in reasons:
            assert set(map(type, cells[point].values())) == {str}
            assert all(text.startswith(reasons[point]) for text in cells[point].values())
            assert all('take `filesystems = "all"`' in text for text in cells[point].values())
        else:
            assert cells[point]["limit"] == 100 * BLOCK
    assert kinds.asked == [os.fsencode(point) for point in points if point not in reasons]


@pytest.mark.parametrize(("filesystems", "codes"), [("base", []), ("all", ["E-FLOW-KIND"])])
def test_a_sum_over_mountpoints_is_allowed_where_it_is_right(
    tmp_path: Path, filesystems: str, codes: list[str]
) -> None:
    """The check refuses it where one file system may stand at two mountpoints."""
    backend = Backend("/space").add("filesystem", filesystems=filesystems, mountpoints=["/", "/copy"])
    backend.add("aggregate", metrics=["system.filesystem.limit"], function="sum", over=["resource"])
    backend.add("csv", path=str(tmp_path / "x.csv"))

    assert refused(backend) == codes


def test_mountpoints_and_exclude_do_not_go_together(tmp_path: Path) -> None:
    """What is named and left out at once would be nothing, for ever."""
    backend = Backend("/space").add("filesystem", mountpoints=["/"], exclude=["/"])

    assert refused(backend.add("csv", path=str(tmp_path / "x.csv"))) == ["E-CONSTRAINT"]


def refused(backend: Backend) -> list[str]:
    """The codes of the errors that the check finds."""
    try:
        backend.check()
    except ContractError as error:
        return [each.code for each in error.diagnostics if each.level == "error"]
    return []


def test_a_mountpoint_without_mount_is_missing(host: Host) -> None:
    """Never the file system that it would lie on; its series go on when it is mounted and when it goes again."""
    mounted = host.mount(mountpoints=["/data"])
    before = mounted.rows(SECOND)[0]
    host.write(line("/", 10), line("/data", 11, parent=10, device="8:2"))
    meanwhile = mounted.rows(2 * SECOND)[0]
    host.write(line("/", 10))
    after = space(mounted, 3 * SECOND)
    mounted.source.stop()

    assert {cell.reason for cell in before.values if isinstance(cell, Missing)} == {"nothing is mounted at /data"}
    assert after == {"/data": dict.fromkeys((*STATES, "limit"), "nothing is mounted at /data")}
    assert meanwhile.values[-1] == 100 * BLOCK
    assert meanwhile.columns.keys == before.columns.keys


def test_what_is_excluded_is_not_measured(host: Host) -> None:
    """By its mountpoint or a pattern of it; the same file system elsewhere is."""
    host.write(
        line("/", 10),
        line("/boot", 11, parent=10, device="8:2"),
        line("/boot/efi", 12, parent=11, device="8:3"),
        line("/copy/of/efi", 13, parent=10, device="8:3"),
    )

    assert host.measured(exclude=["/boot*", "/nowhere"]) == ["/", "/copy/of/efi"]


# ----------------------------------------------------------------------------------------------------------- the mounts


@given(st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_any_name_of_a_mountpoint_is_understood(tmp_path_factory: pytest.TempPathFactory, name: bytes) -> None:
    """Blanks, line breaks, backslashes and bytes that are no UTF-8: just that path is asked, and it is the resource."""
    host = Host(tmp_path_factory.mktemp("host"))
    host.write(line("/", 10), line(b"/" + name, 11, parent=10, device="8:2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "statvfs", host.statvfs)
        mounted = host.mount()
        points = {key.resource[1] for row in mounted.rows(SECOND) for key in row.columns.keys}
    mounted.source.stop()

    assert set(host.asked) == {b"/", b"/" + name}
    assert points == {"/", "/" + name.decode("utf-8", "surrogateescape")}


def test_real_folders_with_hard_names_are_found(tmp_path: Path) -> None:
    """The path that is made of a line of mountinfo is the folder's own, so that it can be asked."""
    host = Host(tmp_path)
    points = [os.path.join(os.fsencode(tmp_path), name) for name in (b"a b", b"a\nb", b"a\\040b", "ä\u2028".encode())]
    for point in points:
        os.mkdir(point)
    host.write(*(line(point, 20 + nth, parent=5, device=f"8:{nth}") for nth, point in enumerate(points)))
    mounted = host.mount()

    cells = space(mounted)
    mounted.source.stop()

    found = os.statvfs(tmp_path)
    assert {point: each["limit"] for point, each in cells.items()} == {
        os.fsdecode(point): found.f_blocks * found.f_frsize for point in points
    }


def test_mounts_come_and_go(host: Host) -> None:
    """A mount gives its series from the first poll that sees it and ends it when it goes; the others go on."""
    mounted = host.mount()
    steady = mounted.rows(SECOND)[0].columns.keys
    host.write(line("/", 10), line("/usb", 11, parent=10, device="8:17"))
    both = space(mounted, 2 * SECOND)
    host.write(line("/", 10))
    after = mounted.rows(3 * SECOND)[0].columns.keys
    mounted.source.stop()

    assert sorted(both) == ["/", "/usb"]
    assert after == steady


def test_what_is_unmounted_while_it_is_asked_is_not_measured(host: Host) -> None:
    """The path would lead to the file system below, whose space is none of it."""
    host.write(line("/", 10), line("/usb", 11, parent=10, device="8:17"))
    mounted = host.mount()
    host.meanwhile = lambda: host.write(line("/", 10))

    cells = space(mounted)
    mounted.source.stop()

    assert host.asked == [b"/", b"/usb", b"/"]
    assert sorted(cells) == ["/"]


def test_mounts_that_never_rest_are_tried_again(host: Host) -> None:
    """The poll fails instead of giving what may belong to another file system; the next one may succeed."""
    mounted = host.mount()
    ids = iter(range(20, 40))
    host.meanwhile = lambda: host.write(line("/", next(ids)))
    with pytest.raises(Retry, match="mounts changed"):
        mounted.rows(SECOND)

    host.meanwhile = lambda: None
    assert space(mounted, 2 * SECOND)["/"]["limit"] == 100 * BLOCK
    mounted.source.stop()


def test_many_mounts_are_all_seen(host: Host) -> None:
    """However long the file."""
    host.write(
        line("/", 10), *(line(f"/m/{nth:04}", 20 + nth, parent=10, device=f"8:{nth + 2}") for nth in range(2000))
    )

    assert len(host.measured()) == 2001


@pytest.mark.parametrize("text", [b"nonsense\n", b"10 1 8:1 / /\n", b"10 1 8:1 / / rw - ext4\n", b"a - b - c\n"])
def test_a_line_that_is_no_mount_is_refused(host: Host, text: bytes) -> None:
    """With the line, and nothing stays open."""
    host.file.write_bytes(line("/", 10) + text)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="a line that is no mount") as caught:
        host.mount()

    assert repr(text.strip()) in str(caught.value)
    assert set(os.listdir("/proc/self/fd")) == before


# ---------------------------------------------------------------------------------------------------- the real machine


def settled(read: Callable[[], dict[str, int]], source: Callable[[], dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """What another reading says before and after ours, once both say the same, and the same cells of ours.

    If need be again: others may have written a block between the two, and deleted it.
    """
    found = None
    for _ in range(100):
        before, cells, after = read(), source(), read()
        if before == after:
            found = before, {name: cells[name] for name in before}
            if found[0] == found[1]:
                break
    return found or pytest.skip("the file system never rests")


def real_space() -> dict[str, Any]:
    """One poll of the root of this machine."""
    mounted = Mounted("filesystem", {"mountpoints": ["/"]})
    cells = space(mounted)["/"]
    mounted.source.stop()
    return cells


def test_the_real_machine_agrees_with_statvfs() -> None:
    """The root, to the byte, with what was asked before and after."""

    def read() -> dict[str, int]:
        found = os.statvfs("/")
        size, free = found.f_frsize, found.f_bfree
        of_user = {"free": found.f_bavail * size, "reserved": (free - found.f_bavail) * size}
        return {"limit": found.f_blocks * size, "used": (found.f_blocks - free) * size, **of_user}

    expected, cells = settled(read, real_space)

    assert cells == expected


def test_the_real_machine_agrees_with_psutil() -> None:
    """The root, to the byte, with what was asked before and after; psutil has no `reserved`: it is the rest."""

    def read() -> dict[str, int]:
        limit, used, free = psutil.disk_usage("/")[:3]
        return {"limit": limit, "used": used, "free": free, "reserved": limit - used - free}

    expected, cells = settled(read, real_space)

    assert cells == expected


@pytest.mark.skipif(shutil.which("df") is None, reason="there is no df")
def test_the_real_machine_agrees_with_df() -> None:
    """The root by another program, to the byte, asked before and after."""

    def read() -> dict[str, int]:
        words = ["df", "-B1", "--output=size,used,avail", "/"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip("this df is not of GNU")
        return dict(zip(("limit", "used", "free"), map(int, done.stdout.splitlines()[1].split()), strict=True))

    expected, cells = settled(read, real_space)

    assert cells == expected


def test_every_file_system_of_the_real_machine_has_its_limit() -> None:
    """As psutil has it, of all that are measured by default."""
    mounted = Mounted("filesystem")
    cells = space(mounted)
    mounted.source.stop()

    known = {point: each["limit"] for point, each in cells.items() if not isinstance(each["limit"], str)}
    assert known
    assert known == {point: psutil.disk_usage(point).total for point in known}
