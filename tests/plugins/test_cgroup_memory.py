"""What the source `cgroup` says of memory and swap, on made trees of both versions and on the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meter.core.plugin import Missing
from meter.plugins.cgroup.tree import Files
from tests.fake import SECOND, Mounted
from tests.plugins.cgroups import USAGE, Tree, values

LIMIT = "container.memory.limit"
SWAP = "container.paging.usage"
SWAP_LIMIT = "container.paging.limit"
PAGES = "container.paging.operations"
MAX_V1 = (2**63 - 1) // 4096 * 4096


class TestMemory:
    """Bytes in use and what for."""

    STAT = (
        "anon 10\nfile 20\nkernel 99\nkernel_stack 1\npagetables 2\nsock 3\nslab_reclaimable 4\nslab_unreclaimable 5\n"
    )

    def test_version_2(self, tree: Tree) -> None:
        """Usage, peak and parts that do not overlap."""
        tree.write("/a", memory_current="100\n", memory_peak="200\n", memory_stat=self.STAT)
        mounted = tree.mount()

        assert values(mounted, SECOND, USAGE) == {"/a": 100}
        assert values(mounted, 2 * SECOND, "container.memory.peak") == {"/a": 200}
        assert values(mounted, 3 * SECOND, "container.memory.parts") == {
            "/a anonymous": 10,
            "/a file": 20,
            "/a kernel_stack": 1,
            "/a page_tables": 2,
            "/a sockets": 3,
            "/a slab_reclaimable": 4,
            "/a slab_unreclaimable": 5,
        }

    def test_version_1(self, old: Tree) -> None:
        """What is below a cgroup is in its parts, as it is in its usage."""
        old.write("memory/a", memory_stat="cache 1\nrss 2\ntotal_cache 30\ntotal_rss 40\n")
        old.write("memory/a", memory_usage_in_bytes="70\n", memory_max_usage_in_bytes="90\n")
        mounted = old.mount()

        assert values(mounted, SECOND, USAGE) == {"/a": 70}
        assert values(mounted, 2 * SECOND, "container.memory.peak") == {"/a": 90}
        assert values(mounted, 3 * SECOND, "container.memory.parts") == {"/a anonymous": 40, "/a file": 30}

    def test_a_kernel_without_peaks(self, tree: Tree) -> None:
        """Before Linux 5.19: missing, and the usage is there."""
        tree.write("/a", memory_current="100\n", memory_stat=self.STAT)
        mounted = tree.mount()

        assert "memory.peak" in values(mounted, SECOND, "container.memory.peak")["/a"]
        assert values(mounted, 2 * SECOND, USAGE) == {"/a": 100}


def swapped(pages_in: int, pages_out: int) -> str:
    """A memory.stat of version 2, as Linux 6.13 and later have it."""
    return f"anon 10\nfile 20\nswapcached 9\npswpin {pages_in}\npswpout {pages_out}\npgscan 9\n"


class TestLimits:
    """What a cgroup may have, with `limits`; no limit is no number."""

    @pytest.mark.parametrize(
        ("text", "limit"),
        [
            ("1073741824\n", 2**30),
            ("0\n", 0),
            ("max\n", "{}: there is no limit"),
            ("-1\n", "{}: this is no number"),
            ("maximum\n", "{}: this is no number"),
            ("", "{}: this is no number"),
        ],
    )
    @pytest.mark.parametrize(("file", "metric"), [("memory.max", LIMIT), ("memory.swap.max", SWAP_LIMIT)])
    def test_version_2(self, tree: Tree, file: str, metric: str, text: str, limit: int | str) -> None:
        """Bytes, of which 0 are some: of memory and of swap by itself; `max` is missing, with the reason."""
        tree.write("/a", **{file: text})

        found = values(tree.mount(limits=True), SECOND, metric)

        assert found == {"/a": limit.format(file) if isinstance(limit, str) else limit}

    @pytest.mark.parametrize(
        ("bytes_", "limited"),
        [
            (2**30, True),
            (2**53, True),
            (MAX_V1, False),
            ((2**63 - 1) // 65536 * 65536, False),
            (2**63 - 1, False),
        ],
    )
    def test_version_1(self, old: Tree, bytes_: int, limited: bool) -> None:  # noqa: FBT001  (a parameter of pytest)
        """The largest number of whole pages, of 4 or of 64 KiB, is no limit."""
        old.write("memory/a", memory_limit_in_bytes=f"{bytes_}\n")

        found = values(old.mount(limits=True), SECOND, LIMIT)

        assert found == {"/a": bytes_ if limited else "memory.limit_in_bytes: there is no limit"}

    def test_version_1_has_none_of_swap_alone(self, old: Tree) -> None:
        """That of both together is not taken for it."""
        old.write("memory/a", **{"memory.memsw.limit_in_bytes": "4096\n"})

        found = values(old.mount(limits=True), SECOND, SWAP_LIMIT)

        assert found == {"/a": "cgroups of version 1 limit swap and memory together only"}

    def test_one_that_cannot_be_read(self, tree: Tree) -> None:
        """Is missing with what the kernel says, and the usage is there."""
        tree.write("/a", memory_current="100\n")
        (tree.folder / "a" / "memory.max").mkdir()
        mounted = tree.mount(limits=True)

        assert values(mounted, SECOND, LIMIT) == {"/a": "/sys/fs/cgroup/a/memory.max: Is a directory"}
        assert "there is no /sys/fs/cgroup/a/memory.swap.max" in values(mounted, 2 * SECOND, SWAP_LIMIT)["/a"]
        assert values(mounted, 3 * SECOND, USAGE) == {"/a": 100}

    def test_a_limit_that_is_changed_counts_at_the_next_poll(self, tree: Tree) -> None:
        """Managers resize containers while they run."""
        tree.write("/a", memory_max="max\n")
        mounted = tree.mount(limits=True)

        first = values(mounted, SECOND, LIMIT)
        tree.write("/a", memory_max="4096\n")

        assert first == {"/a": "memory.max: there is no limit"}
        assert values(mounted, 2 * SECOND, LIMIT) == {"/a": 4096}


class TestSwap:
    """Swap in use and pages swapped, with `paging`."""

    def test_version_2(self, tree: Tree) -> None:
        """Bytes that are in swap, and pages that went in and out since the last poll."""
        tree.write("/a", **{"memory.swap.current": "8192\n", "memory.stat": swapped(5, 7)})
        mounted = tree.mount(paging=True)

        assert values(mounted, SECOND, SWAP) == {"/a": 8192}
        tree.write("/a", memory_stat=swapped(6, 10))
        assert values(mounted, 2 * SECOND, PAGES) == {"/a in": 1, "/a out": 3}

    def test_one_that_comes_counts_from_0(self, tree: Tree) -> None:
        """All of its pages were swapped since the last poll."""
        mounted = tree.mount(paging=True)
        mounted.rows(SECOND)
        tree.write("/a", memory_stat=swapped(5, 7))

        assert values(mounted, 2 * SECOND, PAGES) == {"/a in": 5, "/a out": 7}

    def test_each_cgroup_has_its_own_pages(self, tree: Tree) -> None:
        """Gauges and counters are of the same file, which is read once."""
        for path in ("/a", "/b"):
            tree.write(path, memory_stat=swapped(0, 0))
        mounted = tree.mount(paging=True)
        mounted.rows(SECOND)
        tree.write("/a", memory_stat=swapped(1, 2))
        tree.write("/b", memory_stat=swapped(30, 40))

        assert values(mounted, 2 * SECOND, PAGES) == {"/a in": 1, "/a out": 2, "/b in": 30, "/b out": 40}

    def test_a_kernel_that_does_not_count_pages(self, tree: Tree) -> None:
        """Before Linux 6.13: missing, not 0, and the bytes are there."""
        tree.write("/a", **{"memory.swap.current": "0\n", "memory.stat": TestMemory.STAT})
        mounted = tree.mount(paging=True)

        assert values(mounted, SECOND, SWAP) == {"/a": 0}
        assert values(mounted, 2 * SECOND, PAGES) == {
            "/a in": "memory.stat has no `pswpin`",
            "/a out": "memory.stat has no `pswpout`",
        }

    def test_version_1(self, old: Tree) -> None:
        """Swap stands in memory.stat, with what is below; its `pgpgin` counts charges, and is no swap."""
        old.write("memory/a", memory_stat="swap 1\npgpgin 7\ntotal_rss 40\ntotal_swap 4096\ntotal_pgpgin 9\n")
        mounted = old.mount(paging=True)

        assert values(mounted, SECOND, SWAP) == {"/a": 4096}
        assert values(mounted, 2 * SECOND, PAGES) == {
            "/a in": "cgroups of version 1 do not count swapped pages",
            "/a out": "cgroups of version 1 do not count swapped pages",
        }

    def test_version_1_that_does_not_account_swap(self, old: Tree) -> None:
        """As with `swapaccount=0`: missing, not 0."""
        old.write("memory/a", memory_stat="total_cache 30\ntotal_rss 40\n")

        assert values(old.mount(paging=True), SECOND, SWAP) == {"/a": "memory.stat has no `total_swap`"}

    def test_the_root_has_no_bytes_but_pages(self, tree: Tree) -> None:
        """The root of version 2 has a memory.stat only."""
        tree.write("/", memory_stat=swapped(0, 0))
        mounted = tree.mount("/", paging=True)

        assert "there is no /sys/fs/cgroup/memory.swap.current" in values(mounted, SECOND, SWAP)["/"]
        tree.write("/", memory_stat=swapped(0, 3))
        assert values(mounted, 2 * SECOND, PAGES) == {"/ in": 0, "/ out": 3}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, set()),
        ({"limits": True}, {LIMIT, SWAP_LIMIT}),
        ({"paging": True}, {SWAP, PAGES}),
        ({"limits": True, "paging": True}, {LIMIT, SWAP_LIMIT, SWAP, PAGES}),
    ],
)
@pytest.mark.parametrize("version", [Tree.version_1, Tree.version_2])
def test_only_what_is_asked_for_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: Any, asked: dict[str, bool], names: set[str]
) -> None:
    """Without the options no file is read that was not read before them."""
    tree = version(tmp_path)
    tree.write("/a" if version == Tree.version_2 else "memory/a", memory_stat="")
    opened: list[str] = []
    read = Files.read

    def note(self: Files, folder: str, name: str, identity: int) -> bytes | Missing:
        opened.append(name)
        return read(self, folder, name, identity)

    monkeypatch.setattr(Files, "read", note)
    mounted = tree.mount(**asked)
    mounted.rows(SECOND)
    opened.clear()
    rows = mounted.rows(2 * SECOND)

    assert {key.metric.name for row in rows for key in row.columns.keys} & {LIMIT, SWAP_LIMIT, SWAP, PAGES} == names
    of_memory = [name for name in opened if name.startswith("memory.") and name != "memory.pressure"]
    extra = {"memory.max", "memory.swap.max", "memory.limit_in_bytes"} if "limits" in asked else set()
    extra |= {"memory.swap.current"} if "paging" in asked else set()
    usual = {"memory.current", "memory.peak", "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.stat"}
    assert set(of_memory) <= usual | extra
    assert len(of_memory) == len(set(of_memory))


@pytest.mark.parametrize("option", ["limits", "paging"])
def test_a_host_without_the_controller_has_nothing_of_it(tmp_path: Path, option: str) -> None:
    """The source says so, and that of what is asked for only."""
    tree = Tree(tmp_path)
    tree.write("", cgroup_controllers="cpu\n")
    tree.cpu("/a", 0)
    mounted = tree.mount(**{option: True})
    mounted.rows(SECOND)

    asked = {"limits": {LIMIT, SWAP_LIMIT}, "paging": {SWAP, PAGES}}
    assert mounted.readings.idle & {LIMIT, SWAP_LIMIT, SWAP, PAGES} == asked[option]


def limits() -> dict[str, int | str]:
    """What the files of the topmost cgroups of the real host say."""
    root = Path("/sys/fs/cgroup")
    files = [*root.glob("*/memory.max"), *(root / "memory").glob("*/memory.limit_in_bytes")]
    found: dict[str, int | str] = {}
    for file in files:
        text = file.read_text().strip()
        none = text == "max" or int(text) >= MAX_V1
        found[f"/{file.parent.name}"] = f"{file.name}: there is no limit" if none else int(text)
    return found


@pytest.mark.skipif(not limits(), reason="this host has no cgroups with limits of memory")
def test_the_real_host_agrees_with_its_files() -> None:
    """Read by another reader just before and after, which say the same of what nobody changed meanwhile."""
    before = limits()
    mounted = Mounted("cgroup", {"paths": ["/*"], "limits": True})
    found = values(mounted, SECOND, LIMIT)
    mounted.source.stop()
    after = limits()

    same = before.items() & after.items()
    assert same <= found.items()
