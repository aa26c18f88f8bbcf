"""What the source `cgroup` says of storage, threads and pressure, on made trees of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake import SECOND
from tests.plugins.cgroups import Tree, values

IO = "container.disk.io"


class TestStorage:
    """Traffic by device."""

    @pytest.fixture(autouse=True)
    def devices(self, tmp_path: Path) -> None:
        """A disk, an encrypted volume on it and a loop device."""
        made = Tree.__new__(Tree)
        made.root = tmp_path
        made.device("8:0", "sda")
        made.device("253:0", "dm-0", "sda")
        made.device("7:0", "loop0")

    def test_version_2(self, tree: Tree) -> None:
        """Bytes and operations of devices by their names; a stacked one is left out, as it would count twice."""
        line = "{} rbytes={} wbytes={} rios={} wios={} dbytes=9 dios=9\n"
        tree.write("/a", io_stat=line.format("8:0", 0, 0, 0, 0))
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.write("/a", io_stat="".join(line.format(each, 4096, 512, 3, 1) for each in ("8:0", "253:0", "7:0")))

        assert values(mounted, 2 * SECOND, IO) == {"/a sda read": 4096, "/a sda write": 512}

    def test_operations(self, tree: Tree) -> None:
        """Are counted beside the bytes."""
        tree.write("/a", io_stat="")
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.write("/a", io_stat="8:0 rbytes=4096 wbytes=512 rios=3 wios=1\n")

        assert values(mounted, 2 * SECOND, "container.disk.operations") == {"/a sda read": 3, "/a sda write": 1}

    def test_a_device_that_comes_counts_from_0(self, tree: Tree) -> None:
        """A cgroup has a line of those that it has used."""
        tree.write("/a", io_stat="8:0 rbytes=1 wbytes=1 rios=1 wios=1\n")
        mounted = tree.mount()
        mounted.rows(SECOND)
        more = "8:16 rbytes=7 wbytes=8 rios=1 wios=1\n"
        tree.write("/a", io_stat="8:0 rbytes=1 wbytes=1 rios=1 wios=1\n" + more)

        found = values(mounted, 2 * SECOND, IO)

        assert found == {"/a sda read": 0, "/a sda write": 0, "/a 8:16 read": 7, "/a 8:16 write": 8}

    def test_a_file_that_becomes_readable_is_no_birth(self, tree: Tree) -> None:
        """What was counted before nobody has measured."""
        tree.cpu("/a", 0)
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.write("/a", io_stat="8:0 rbytes=1000000 wbytes=0 rios=1 wios=0\n")

        assert values(mounted, 2 * SECOND, IO) == {}

    @pytest.mark.parametrize("suffix", ["", "_recursive"])
    @pytest.mark.parametrize(
        ("metric", "file"), [(IO, "io_service_bytes"), ("container.disk.operations", "io_serviced")]
    )
    def test_version_1(self, old: Tree, suffix: str, metric: str, file: str) -> None:
        """With what is below the cgroup, where the kernel tells it; bytes and operations have a file each."""
        text = "8:0 Read {}\n8:0 Write {}\n8:0 Sync 9\n8:0 Async 9\n8:0 Discard 9\n8:0 Total 9\nTotal 99\n"

        def write(read: int, wrote: int) -> None:
            for name in ("io_service_bytes", "io_serviced"):
                old.write("blkio/a", **{f"blkio_throttle.{name}": text.format(0, 0)})
                there = (read, wrote) if name == file else (1, 1)
                old.write("blkio/a", **{f"blkio_throttle.{name}{suffix}": text.format(*there)})

        write(0, 0)
        mounted = old.mount()
        mounted.rows(SECOND)
        write(4096, 512)

        assert values(mounted, 2 * SECOND, metric) == {"/a sda read": 4096, "/a sda write": 512}


def test_threads(tree: Tree) -> None:
    """The kernel calls them pids."""
    tree.write("/a", pids_current="12\n")

    assert values(tree.mount(), SECOND, "container.thread.count") == {"/a": 12}


def test_threads_of_version_1(old: Tree) -> None:
    """The same file, in a hierarchy of its own."""
    old.write("pids/a", pids_current="12\n")
    old.write("pids/a/b", pids_current="5\n")

    assert values(old.mount("/a", "/a/b"), SECOND, "container.thread.count") == {"/a": 12, "/a/b": 5}


@pytest.mark.parametrize("both", [False, True])
def test_pressure_is_told_by_version_2_only(old: Tree, both: bool) -> None:  # noqa: FBT001  (a parameter of pytest)
    """Where there is no cgroup of it there is nothing, and the source says so; of a host with both there is."""
    (old.root / "proc" / "pressure").mkdir(parents=True)
    (old.root / "proc" / "pressure" / "cpu").write_text("")
    old.write("pids/a", pids_current="12\n")
    if both:
        line = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
        old.write("unified", cgroup_controllers="\n")
        old.write("unified/a", cpu_pressure=line)
    mounted = old.mount()
    mounted.rows(SECOND)
    if both:
        old.write("unified/a", cpu_pressure=line.replace("total=0", "total=500000"))

    found = values(mounted, 2 * SECOND, "container.pressure.stall_time")

    assert found.get("/a cpu some") == (0.5 if both else None)
    assert ("container.pressure.stall_time" in mounted.readings.idle) is not both


def test_pressure(tree: Tree) -> None:
    """Of each resource, some and full, in seconds."""
    (tree.root / "proc" / "pressure").mkdir(parents=True)
    (tree.root / "proc" / "pressure" / "cpu").write_text("")
    line = "{} avg10=0.00 avg60=0.00 avg300=0.00 total={}\n"

    def write(some: int, full: int) -> None:
        text = line.format("some", some) + line.format("full", full)
        tree.write("/a", cpu_pressure=text, memory_pressure=text)

    write(0, 0)
    mounted = tree.mount()
    mounted.rows(SECOND)
    write(500_000, 250_000)

    found = values(mounted, 2 * SECOND, "container.pressure.stall_time")

    assert {name: each for name, each in found.items() if " io " not in name} == {
        "/a cpu some": 0.5,
        "/a cpu full": 0.25,
        "/a memory some": 0.5,
        "/a memory full": 0.25,
    }
    assert "io.pressure" in found["/a io some"]
