"""What the source `process` reads only where it is asked for, on made /proc trees and on real processes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing
from meter.plugins.process.parts import Threads
from tests.fake import SECOND, Mounted
from tests.proc import HERTZ, IS_KERNEL, PAGE, Tree, burn, do, nobody, worker

DEFAULT = {"process.memory.usage", "process.memory.virtual", "process.thread.count", "process.cpu.time"}
GROUPS = {
    "shared": {"process.memory.shared"},
    "proportional": {"process.memory.proportional", "process.memory.swap"},
    "descriptors": {"process.unix.file_descriptor.count"},
    "faults": {"process.paging.faults"},
    "switches": {"process.context_switches"},
    "io": {"process.disk.io"},
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One without processes."""
    return Tree(tmp_path)


def cells(mounted: Mounted, ts: int) -> dict[tuple[int, str], Any]:
    """One poll: values by process and the last word of the series; missing ones as reasons."""
    return {
        (int(row.id), key.attributes[0][1] if key.attributes else key.metric.name.removeprefix("process.")): (
            value.reason if isinstance(value, Missing) else value
        )
        for row in mounted.rows(ts)
        for key, value in zip(row.columns.keys, row.values, strict=True)
    }


@pytest.mark.parametrize("asked", [[], *([option] for option in GROUPS), list(GROUPS)])
def test_only_what_is_asked_for_is_read(tree: Tree, asked: list[str]) -> None:
    """Of the other files none is opened: they are not there, and nothing is missing."""
    files = {"io": "io", "shared": "statm", "proportional": "smaps_rollup", "descriptors": "fd/0", "switches": "task/7"}
    tree.write(7, shared=1, pss=1, fds=1, switches={7: (1, 1)})
    for option, name in files.items():
        if option not in asked:
            path = tree.root / "proc/7" / name
            (path / "status" if option == "switches" else path).unlink()
    mounted = Mounted("process", {"pid": [7], **dict.fromkeys(asked, True)}, tree.root)
    mounted.rows(1 * SECOND)
    (row,) = mounted.rows(2 * SECOND)
    mounted.source.stop()

    assert {key.metric.name for key in row.columns.keys} == DEFAULT.union(*(GROUPS[option] for option in asked))
    assert not any(isinstance(value, Missing) for value in row.values)


def test_every_number_is_what_the_kernel_wrote(tree: Tree) -> None:
    """In the units of the metrics: pages and KiB are bytes."""
    tree.write(7, minor=100, major=5, shared=0, pss=0, switches={7: (10, 20)})
    mounted = tree.mount(pid=[7], **dict.fromkeys(GROUPS, True))
    mounted.rows(1 * SECOND)
    tree.write(7, minor=130, major=6, shared=3, pss=700, swap=9, fds=12, switches={7: (11, 25)}, io=(4096, 512))
    found = cells(mounted, 2 * SECOND)
    mounted.source.stop()

    assert {name: value for (_, name), value in found.items()} == {
        "memory.usage": 500 * PAGE,
        "memory.virtual": 0,
        "thread.count": 1,
        "memory.shared": 3 * PAGE,
        "memory.proportional": 700 * 1024,
        "memory.swap": 9 * 1024,
        "unix.file_descriptor.count": 12,
        "user": 0,
        "system": 0,
        "minor": 30,
        "major": 1,
        "voluntary": 1,
        "involuntary": 5,
        "read": 4096,
        "write": 512,
    }


def test_threads_of_the_kernel_have_no_memory_of_their_own(tree: Tree) -> None:
    """The kernel has no file that says so; what is left out of a sum would make the sum missing."""
    tree.write(2, flags=IS_KERNEL)
    tree.write(7)
    mounted = tree.mount(pid=[2, 7], proportional=True)
    found = cells(mounted, SECOND)
    mounted.source.stop()

    assert (found[2, "memory.proportional"], found[2, "memory.swap"]) == (0, 0)
    assert "there is no /proc/7/smaps_rollup" in found[7, "memory.proportional"]


def test_an_older_kernel_lacks_a_line(tree: Tree) -> None:
    """Missing with what lacks, and never 0."""
    tree.write(7, pss=3)
    tree.file(7, "smaps_rollup", "Rss: 5 kB\nPss: 4 kB\n")
    tree.file(7, "io", "rchar: 1\n")
    mounted = tree.mount(pid=[7], proportional=True, io=True)
    mounted.rows(1 * SECOND)
    found = cells(mounted, 2 * SECOND)
    mounted.source.stop()

    assert found[7, "memory.proportional"] == 4096
    assert found[7, "memory.swap"] == "/proc/7/smaps_rollup has no `SwapPss`"
    assert found[7, "read"] == "/proc/7/io has no `read_bytes`"


class TestSwitches:
    """The kernel tells them of each thread, and no more when it has ended."""

    def test_those_of_a_thread_that_ended_stay_in_the_sum(self, tree: Tree) -> None:
        """Up to what was last seen; a new thread counts from 0, also one with the id of another."""
        tree.write(7, switches={7: (10, 1), 8: (100, 2)})
        mounted = tree.mount(pid=[7], switches=True)
        mounted.rows(1 * SECOND)
        steps = [
            ({7: (11, 1), 8: (105, 2)}, (6, 0)),
            ({7: (12, 1)}, (1, 0)),  # 8 has ended
            ({7: (12, 1), 9: (3, 4)}, (3, 4)),  # 9 is new
            ({7: (12, 1), 9: (1, 0)}, (1, 0)),  # this 9 is another one
            ({7: (12, 1), 9: (1, 0)}, (0, 0)),
        ]
        found = []
        for number, (threads, _) in enumerate(steps, start=2):
            tree.threads(7, threads)
            now = cells(mounted, number * SECOND)
            found.append((now[7, "voluntary"], now[7, "involuntary"]))
        mounted.source.stop()

        assert found == [wanted for _, wanted in steps]

    @given(st.lists(st.dictionaries(st.integers(7, 12).map(str), st.integers(0, 50)), min_size=1, max_size=8))
    def test_nothing_that_was_seen_is_lost(self, increments: list[dict[str, int]]) -> None:
        """Threads come and go at will: the sum grows by what each did, and nothing is counted twice."""
        threads = Threads()
        totals: dict[str, int] = {}
        whole = 0
        for step in increments:
            totals = {thread: totals.get(thread, 0) + more for thread, more in step.items()}
            whole += sum(step.values())

            assert threads.step({thread: (total, 2 * total) for thread, total in totals.items()}) == (whole, 2 * whole)

    def test_a_real_process_with_threads(self) -> None:
        """All of its threads, where psutil tells those of the first one; a thread that only sleeps gives up its CPU."""
        with worker() as process:
            mounted = Mounted("process", {"pid": [process.pid], "switches": True, "faults": True})
            mounted.rows(1 * SECOND)
            nap = "[time.sleep(0.001) for _ in range(50)] and None"
            do(process, f"import threading; t = threading.Thread(target=lambda: {nap}); t.start(); t.join()")
            do(process, f"threading.Thread(target=lambda: ({nap}, time.sleep(1000)), daemon=True).start(); {nap}")
            do(process, f"{nap}; bytearray(1 << 24)")
            first = psutil.Process(process.pid).num_ctx_switches()
            found = cells(mounted, 2 * SECOND)
            status = [
                dict(line.split(":", 1) for line in path.read_text().splitlines())
                for path in Path(f"/proc/{process.pid}/task").glob("*/status")
            ]
            mounted.source.stop()

        living = sum(int(each["voluntary_ctxt_switches"]) for each in status)
        assert 100 <= found[process.pid, "voluntary"] <= living
        assert found[process.pid, "voluntary"] > living - first.voluntary
        assert found[process.pid, "minor"] >= (1 << 24) // 2**21  # with huge pages


class TestClock:
    """CPU time in one number, without `modes`."""

    def test_it_is_the_sum_of_both_modes_where_there_is_no_clock(self, tree: Tree) -> None:
        """Processes of a made or foreign /proc have no clock that could be asked: in ticks."""
        tree.write(os.getpid(), user=100, system=50)
        mounted = tree.mount(pid=[os.getpid()], modes=False)
        mounted.rows(1 * SECOND)
        tree.write(os.getpid(), user=130, system=51)
        found = cells(mounted, 2 * SECOND)
        mounted.source.stop()

        assert found[os.getpid(), "cpu.time"] == pytest.approx(31 / HERTZ)

    def test_it_agrees_with_the_kernel_to_a_tick_of_its_scheduler(self) -> None:
        """With what `wait4` says, to the microsecond: nothing is rounded to 10 ms."""
        with worker() as process:
            mounted = Mounted("process", {"pid": [process.pid], "modes": False})
            before = time.clock_gettime((~process.pid << 3) | 2)
            mounted.rows(1 * SECOND)
            burn(process)
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            found = cells(mounted, 2 * SECOND)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            mounted.source.stop()

        assert found[process.pid, "cpu.time"] == pytest.approx(usage.ru_utime + usage.ru_stime - before, abs=2e-3)
        assert found[process.pid, "cpu.time"] >= 0.3

    def test_small_work_is_not_nothing(self) -> None:
        """What takes less than a tick is 0 by mode, or a whole tick; here it is what it is."""
        with worker() as process:
            mounted = Mounted("process", {"pid": [process.pid], "modes": False})
            mounted.rows(1 * SECOND)
            do(process, "pass")
            found = cells(mounted, 2 * SECOND)
            mounted.source.stop()

        assert 0 < found[process.pid, "cpu.time"] < 0.3


class TestReal:
    """Against psutil and without permission."""

    def test_what_psutil_says(self, tmp_path: Path) -> None:
        """Proportional and shared memory, files that are open; of a process that is idle."""
        config = dict.fromkeys(("shared", "proportional", "descriptors"), True)
        with worker() as process:
            do(process, f"files = [open({str(tmp_path / 'x')!r}, 'wb') for _ in range(20)]")
            mounted = Mounted("process", {"pid": [process.pid], **config})
            found = cells(mounted, SECOND)
            other = psutil.Process(process.pid)
            full, plain, fds = other.memory_full_info(), other.memory_info(), other.num_fds()
            mounted.source.stop()

        # Other processes may map or leave the same pages meanwhile.
        assert found[process.pid, "memory.proportional"] == pytest.approx(full.pss, rel=0.05)
        assert found[process.pid, "memory.swap"] <= full.swap
        assert found[process.pid, "memory.shared"] == pytest.approx(plain.shared, abs=2**20)
        assert found[process.pid, "unix.file_descriptor.count"] == fds >= 23
        assert found[process.pid, "memory.proportional"] < found[process.pid, "memory.usage"]

    def test_what_may_not_be_read_is_missing(self) -> None:
        """With the reason, of that process only and that group only."""
        root = os.geteuid() == 0
        theirs = os.getppid() if root else 1
        config = {"pid": [theirs], **dict.fromkeys(GROUPS, True)}
        with nobody():
            mounted = Mounted("process", config)
            mounted.rows(1 * SECOND)
            found = cells(mounted, 2 * SECOND)
            mounted.source.stop()
        if "no permission" not in str(found[theirs, "read"]):
            pytest.skip("everything may be read here")

        assert found[theirs, "memory.proportional"] == (
            f"no permission to read /proc/{theirs}/smaps_rollup, this needs the right to trace the process"
        )
        assert found[theirs, "memory.swap"] == found[theirs, "memory.proportional"]
        fds = found[theirs, "unix.file_descriptor.count"]  # newer kernels tell it everybody
        assert isinstance(fds, int) or fds.startswith(f"no permission to read /proc/{theirs}/fd,")
        for name in ("memory.usage", "memory.shared", "minor", "voluntary", "user"):
            assert isinstance(found[theirs, name], int | float)


class TestNames:
    """What a process is called, in the key of its series."""

    def test_series_say_what_they_are_of(self, tree: Tree) -> None:
        """The kernel's name and the number of the effective user."""
        tree.write(7, name="a) b", uid=33, switches={7: (1, 1)})
        mounted = tree.mount(pid=[7], names=True, modes=False)
        mounted.rows(1 * SECOND)
        (row,) = mounted.rows(2 * SECOND)
        mounted.source.stop()

        for key in row.columns.keys:
            assert key.consumer == ("process", "7")
            assert dict(key.attributes).items() >= {"process.title": "a) b", "process.user.id": "33"}.items()

    def test_a_new_name_is_a_new_series_that_goes_on(self, tree: Tree) -> None:
        """What was used between two polls is neither lost nor counted twice."""
        tree.write(7, name="sh", user=100)
        mounted = tree.mount(pid=[7], names=True)
        mounted.rows(1 * SECOND)
        found = []
        for number, (name, user) in enumerate((("sh", 110), ("cat", 130), ("cat", 131)), start=2):
            tree.write(7, name=name, user=user)
            (row,) = mounted.rows(number * SECOND)
            place = [dict(key.attributes).get("cpu.mode") for key in row.columns.keys].index("user")
            title = dict(row.columns.keys[place].attributes)["process.title"]
            found.append((title, round(row.values[place] * HERTZ), row.since // SECOND))
        mounted.source.stop()

        assert found == [("sh", 10, 1), ("cat", 20, 2), ("cat", 1, 3)]

    def test_one_that_is_not_there_has_no_name(self, tree: Tree) -> None:
        """It is missing all the same."""
        tree.write(7)
        mounted = tree.mount(pid=[7, 8], names=True)
        rows = mounted.rows(SECOND)
        mounted.source.stop()

        (told,) = [row for row in rows if row.columns.keys[0].consumer == ("process", "8")]
        assert all(isinstance(value, Missing) for value in told.values)

    def test_counters_that_begin_later_have_their_names(self, tree: Tree) -> None:
        """A counter that could not be read at first comes in a row of its own."""
        tree.write(7, io=(5, 5))
        text = (tree.root / "proc/7/io").read_text()
        (tree.root / "proc/7/io").unlink()
        mounted = tree.mount(pid=[7], names=True)
        mounted.rows(1 * SECOND)
        tree.file(7, "io", text)
        mounted.rows(2 * SECOND)
        tree.file(7, "io", text.replace("read_bytes: 5", "read_bytes: 9"))
        rows = mounted.rows(3 * SECOND)
        mounted.source.stop()

        read = [
            (dict(key.attributes)["process.title"], value, row.since)
            for row in rows
            for key, value in zip(row.columns.keys, row.values, strict=True)
            if dict(key.attributes).get("disk.io.direction") == "read"
        ]
        assert read == [("cat", 4, 2 * SECOND)]


def test_effective_users_are_told() -> None:
    """Of a real process of somebody else, where the tests may start one."""
    uid = 65534 if os.geteuid() == 0 else os.geteuid()
    with subprocess.Popen(["sleep", "1000"], user=uid if os.geteuid() == 0 else None) as process:
        mounted = Mounted("process", {"user": [str(uid)], "names": True})
        rows = mounted.rows(SECOND)
        mounted.source.stop()
        process.kill()

    mine = [row for row in rows if row.columns.keys[0].consumer[1] == str(process.pid)]
    assert dict(mine[0].columns.keys[0].attributes) == {"process.title": "sleep", "process.user.id": str(uid)}
