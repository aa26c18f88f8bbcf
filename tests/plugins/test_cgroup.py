"""The source `cgroup`: what cgroups of both versions use, on made trees and on the real one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing
from tests.fake import SECOND, Mounted
from tests.plugins.cgroups import CPU, USAGE, Tree, values

if TYPE_CHECKING:
    from collections.abc import Mapping

CASES: list[dict[str, Any]] = [
    case
    for case in json.loads((Path(__file__).parent.parent / "data" / "measurement-cases.json").read_text())["cases"]
    if case["topic"] == "cgroup-delta"
]
REAL = Path("/sys/fs/cgroup")
HERTZ = os.sysconf("SC_CLK_TCK")
IO = "container.disk.io"


def since(mounted: Mounted, ts: int) -> dict[str, int]:
    """One poll: where the span of the CPU time of each cgroup begins."""
    return {row.id: row.since for row in mounted.rows(ts) if row.columns.keys[0].metric.name == CPU}


class TestCpu:
    """CPU time."""

    def test_version_2_counts_microseconds(self, tree: Tree) -> None:
        """Not as Alumet, whose CPU time of cgroups of version 2 is 1000 times too small."""
        tree.cpu("/a", 1000)
        mounted = tree.mount()

        first = values(mounted, SECOND)
        tree.cpu("/a", 2500)

        assert first == {}
        assert values(mounted, 2 * SECOND) == {"/a": 0.0015}

    def test_version_1_counts_nanoseconds(self, old: Tree) -> None:
        """The same metric in the same unit."""
        old.write("cpu,cpuacct/a", cpuacct_usage="1000000\n")
        mounted = old.mount()
        mounted.rows(SECOND)
        old.write("cpu,cpuacct/a", cpuacct_usage="2500000\n")

        assert values(mounted, 2 * SECOND) == {"/a": 0.0015}

    @pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
    def test_known_cases(self, tmp_path: Path, case: dict[str, Any]) -> None:
        """Readings and deltas that are known, in the units of either version."""
        made = Tree(tmp_path)
        unified = "usage_usec" in case["given"]
        made.write("" if unified else "cpuacct", cgroup_controllers="")
        [readings] = [given for given in case["given"].values() if isinstance(given, list)]
        seen: list[int | None] = []
        for place, reading in enumerate(readings, 1):
            if unified:
                made.cpu("/a", reading)
            else:
                made.write("cpuacct/a", cpuacct_usage=f"{reading}\n")
            if place == 1:
                mounted = made.mount()
            cells = values(mounted, place * SECOND)
            seen.append(round(cells["/a"] * 1e9) if cells else None)

        assert seen == case["expect"]["deltas_ns"]

    def test_modes_of_version_2(self, tree: Tree) -> None:
        """In place of the total, so that no sum counts twice."""
        tree.cpu("/a", 0)
        mounted = tree.mount(modes=True)
        mounted.rows(SECOND)
        tree.cpu("/a", 5_000_000, 3_000_000, 2_000_000)

        assert values(mounted, 2 * SECOND) == {"/a user": 3.0, "/a system": 2.0}

    def test_modes_of_version_1_are_ticks(self, old: Tree) -> None:
        """Of 1 / USER_HZ."""
        old.write("cpuacct/a", cpuacct_stat="user 0\nsystem 0\n")
        mounted = old.mount(modes=True)
        mounted.rows(SECOND)
        old.write("cpuacct/a", cpuacct_stat=f"user {3 * HERTZ}\nsystem 1\n")

        assert values(mounted, 2 * SECOND) == {"/a user": 3.0, "/a system": 1 / HERTZ}

    @given(st.lists(st.integers(0, 2**40), min_size=2, max_size=6))
    def test_the_seconds_add_up(self, tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
        """Whatever was counted, the deltas are the last reading less the first."""
        tree = Tree(tmp_path_factory.mktemp("cgroup"))
        tree.write("", cgroup_controllers="")
        mounted = tree.mount()
        seen = []
        for place in range(len(steps)):
            tree.cpu("/a", sum(steps[: place + 1]))
            seen += [round(value * 1_000_000) for value in values(mounted, (place + 1) * SECOND).values()]
        mounted.source.stop()

        assert seen == steps[1:]

    def test_a_counter_that_fell_is_missing_once(self, tree: Tree) -> None:
        """And the next delta counts from there."""
        tree.cpu("/a", 1000)
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.cpu("/a", 400)

        fell = values(mounted, 2 * SECOND)
        tree.cpu("/a", 1_000_400)

        assert fell == {"/a": "the counter went back"}
        assert values(mounted, 3 * SECOND) == {"/a": 1.0}


class TestComingAndGoing:
    """Cgroups live as long as they like."""

    def test_one_that_comes_counts_from_0(self, tree: Tree) -> None:
        """At the first poll that sees it, and not at the next search half a minute later."""
        tree.cpu("/a", 7)
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.cpu("/b", 2_000_000)

        assert values(mounted, 2 * SECOND) == {"/a": 0.0, "/b": 2.0}

    def test_its_span_begins_at_the_previous_poll(self, tree: Tree) -> None:
        """It was not there then."""
        tree.cpu("/a", 7)
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.cpu("/b", 2_000_000)

        assert since(mounted, 2 * SECOND) == {"/a": SECOND, "/b": SECOND + 1}
        assert since(mounted, 3 * SECOND) == {"/a": 2 * SECOND, "/b": 2 * SECOND}

    def test_one_that_goes_is_no_fault(self, tree: Tree) -> None:
        """Alumet told it as a fatal error (its issue 190)."""
        tree.cpu("/a", 7)
        tree.cpu("/b", 7)
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.end("/b")

        assert values(mounted, 2 * SECOND) == {"/a": 0.0}

    def test_all_may_go_and_others_come(self, tree: Tree) -> None:
        """Nothing to measure is said, and no end."""
        tree.cpu("/a", 7)
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.end("/a")

        assert mounted.rows(2 * SECOND) == []
        assert CPU in mounted.readings.idle
        tree.cpu("/b", 1_000_000)
        assert values(mounted, 3 * SECOND) == {"/b": 1.0}

    def test_one_that_comes_again_is_another(self, tree: Tree) -> None:
        """It counts from 0, although its counter is above that of the one before."""
        tree.cpu("/a", 1_000_000)
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.again("/a", 3_000_000)

        assert values(mounted, 2 * SECOND) == {"/a": 3.0}

    def test_one_that_goes_while_it_is_read(self, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
        """The others are read, and it is not missing."""
        tree.cpu("/a", 7)
        tree.cpu("/b", 7)
        mounted = tree.mount()
        mounted.rows(SECOND)
        pread = os.pread

        def read(file: int, size: int, offset: int) -> bytes:
            """Ends `b` as the first file is read; the kernel has nothing in files of ended cgroups."""
            if (tree.folder / "b").exists():
                tree.end("/b")
            if "deleted" in os.readlink(f"/proc/self/fd/{file}"):
                raise OSError(19, "No such device")
            return pread(file, size, offset)

        monkeypatch.setattr(os, "pread", read)

        assert values(mounted, 2 * SECOND) == {"/a": 0.0}

    def test_one_that_is_named_and_not_there(self, tree: Tree) -> None:
        """Is missing once, and measured when it comes."""
        mounted = tree.mount("/a/b")

        first = values(mounted, SECOND, USAGE)
        second = values(mounted, 2 * SECOND, USAGE)
        tree.cpu("/a/b", 500_000)

        assert first == {"/a/b": "there is no cgroup `/a/b` yet"}
        assert second == {}
        assert values(mounted, 3 * SECOND) == {"/a/b": 0.5}


class TestUnreadable:
    """What cannot be read is missing, with the reason."""

    def test_a_controller_that_is_not_enabled(self, tree: Tree) -> None:
        """Is missing and not 0."""
        tree.cpu("/a", 7)

        reason = values(tree.mount(), SECOND, USAGE)["/a"]

        assert reason == (
            "there is no /sys/fs/cgroup/a/memory.current: the kernel or the controller of this cgroup lacks it"
        )

    def test_a_poll_that_cannot_be_read_loses_nothing(self, tree: Tree) -> None:
        """The next delta spans both intervals."""
        tree.cpu("/a", 0)
        mounted = tree.mount()
        mounted.rows(SECOND)
        tree.write("/a", cpu_stat="nr_periods 0\n")

        missing = values(mounted, 2 * SECOND)
        tree.cpu("/a", 3_000_000)

        assert missing == {"/a": "cpu.stat has no `usage_usec`"}
        assert since(mounted, 3 * SECOND) == {"/a": SECOND}

    @pytest.mark.parametrize("text", ["", "many\n", "-1\n", "max\n", "1 2\n", "9" * 19, "9" * 5000])
    def test_what_is_no_number(self, tree: Tree, text: str) -> None:
        """Is missing."""
        tree.write("/a", memory_current=text)

        assert values(tree.mount(), SECOND, USAGE) == {"/a": "memory.current: this is no number"}

    @given(st.binary(max_size=200))
    def test_no_content_of_files_is_a_fault(self, tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
        """Whatever a kernel says, the source goes on."""
        tree = Tree(tmp_path_factory.mktemp("cgroup"))
        tree.write("", cgroup_controllers="io memory pids")
        tree.write("/a")
        for name in ("cpu.stat", "memory.stat", "memory.current", "io.stat", "pids.current"):
            (tree.folder / "a" / name).write_bytes(text)
        mounted = tree.mount()

        mounted.rows(SECOND)
        mounted.rows(2 * SECOND)
        mounted.source.stop()


def test_both_versions_at_once(old: Tree) -> None:
    """Each controller is read where it is; the trees need not have the same cgroups."""
    old.write("unified", cgroup_controllers="io\n")
    shutil.rmtree(old.folder / "blkio")
    old.write("cpuacct/a", cpuacct_usage="0\n")
    old.cpu("unified/a", 77)
    old.write("unified/b", io_stat="8:0 rbytes=0 wbytes=0 rios=0 wios=0\n")
    old.write("memory/c", memory_usage_in_bytes="5\n")
    mounted = old.mount()
    memory = values(mounted, SECOND, USAGE)
    old.write("cpuacct/a", cpuacct_usage="2000000000\n")
    old.write("unified/b", io_stat="8:0 rbytes=6 wbytes=0 rios=1 wios=0\n")

    assert memory == {"/c": 5}
    assert values(mounted, 2 * SECOND) == {"/a": 2.0}
    old.write("unified/b", io_stat="8:0 rbytes=8 wbytes=0 rios=2 wios=0\n")
    assert values(mounted, 3 * SECOND, IO) == {"/b 8:0 read": 2, "/b 8:0 write": 0}


def test_a_controller_that_the_host_lacks_gives_nothing(tmp_path: Path) -> None:
    """And the source says so, which is no silence."""
    tree = Tree(tmp_path)
    tree.write("", cgroup_controllers="cpu\n")
    tree.cpu("/a", 0)
    mounted = tree.mount()
    mounted.rows(SECOND)

    assert {key.metric.name for row in mounted.rows(2 * SECOND) for key in row.columns.keys} == {CPU}
    assert {USAGE, IO, "container.thread.count", "container.pressure.stall_time"} <= mounted.readings.idle


def descriptors() -> int:
    """How many files this program has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_few_descriptors_are_kept(tree: Tree) -> None:
    """A quarter of what is allowed; all others are read all the same, and `stop` closes them."""
    for place in range(60):
        tree.cpu(f"/a{place}", 7)
    soft, hard = getrlimit(RLIMIT_NOFILE)
    before = descriptors()
    setrlimit(RLIMIT_NOFILE, (max(4 * 20, before + 40), hard))
    try:
        mounted = tree.mount()
        cap = getrlimit(RLIMIT_NOFILE)[0] // 4
        mounted.rows(SECOND)
        found = values(mounted, 2 * SECOND)
        kept = descriptors() - before
        mounted.source.stop()
    finally:
        setrlimit(RLIMIT_NOFILE, (soft, hard))

    assert len(found) == 60
    assert kept <= cap
    assert descriptors() == before


def test_files_of_cgroups_that_have_gone_are_closed(tree: Tree) -> None:
    """However many come and go."""
    tree.cpu("/a", 7)
    mounted = tree.mount()
    mounted.rows(SECOND)
    before = descriptors()
    for place in range(2, 12):
        tree.cpu(f"/b{place}", 7)
        mounted.rows(place * SECOND)
        tree.end(f"/b{place}")
    mounted.rows(12 * SECOND)
    after = descriptors()
    mounted.source.stop()

    assert after == before


def counted() -> Mapping[str, int]:
    """The CPU time of the topmost cgroups and of the root of the real host, in nanoseconds."""
    unified = (REAL / "cgroup.controllers").exists()
    root = REAL if unified else REAL / "cpuacct"
    found = {}
    for folder in (root, *(each for each in root.iterdir() if each.is_dir())):
        path = "/" if folder == root else f"/{folder.name}"
        if unified:
            found[path] = int((folder / "cpu.stat").read_text().split()[1]) * 1000
        else:
            found[path] = int((folder / "cpuacct.usage").read_text())
    return found


HAS_CGROUPS = pytest.mark.skipif(
    not any((REAL / name).exists() for name in ("cgroup.controllers", "cpuacct/cpuacct.usage")),
    reason="this host has no cgroups",
)


@HAS_CGROUPS
def test_the_real_host_gives_what_its_controllers_count() -> None:
    """Memory and threads of the cgroups below the root, as numbers that can be; the root itself need not have them."""
    folders = {"memory": USAGE, "pids": "container.thread.count"}
    unified = REAL / "cgroup.controllers"
    names = {folder: ("memory.current" if folder == "memory" else "pids.current") for folder in folders}
    if not unified.exists():
        names["memory"] = "memory.usage_in_bytes"
    mounted = Mounted("cgroup", {"paths": ["/*"]})
    mounted.rows(SECOND)
    rows = mounted.rows(2 * SECOND)
    mounted.source.stop()
    found = {
        (key.metric.name, row.id): value
        for row in rows
        for key, value in zip(row.columns.keys, row.values, strict=True)
        if key.metric.kind == "gauge" and not isinstance(value, Missing)
    }

    assert all(isinstance(value, int) and value >= 0 for value in found.values())
    for folder, metric in folders.items():
        root = REAL if unified.exists() else REAL / folder
        there = {f"/{each.parent.name}" for each in root.glob(f"*/{names[folder]}")} if root.is_dir() else set()
        given_ = {path for name, path in found if name == metric}
        # One may come or go meanwhile.
        assert len(given_ ^ there) <= len(there) / 2


@HAS_CGROUPS
def test_the_real_host_agrees_with_its_files() -> None:
    """Read by another reader just before and after, the counters hold what the source gives between them."""
    mounted = Mounted("cgroup", {"paths": ["/", "/*"]})
    outer = counted()
    mounted.rows(SECOND)
    inner = counted()
    sum(range(1_000_000))
    later = counted()
    found = values(mounted, 2 * SECOND)
    last = counted()
    mounted.source.stop()

    assert "/" in found
    for path in outer.keys() & inner.keys() & later.keys() & last.keys():
        assert later[path] - inner[path] <= round(found[path] * 1e9) <= last[path] - outer[path]
