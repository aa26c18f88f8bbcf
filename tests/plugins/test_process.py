"""The source `process`, on made /proc trees and on real processes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

import psutil
import pytest

from meter.core.plugin import Gone, Missing
from tests.fake import SECOND, Mounted
from tests.proc import HERTZ, PAGE, TICK, Tree, burn, do, nobody, worker


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One without processes."""
    return Tree(tmp_path)


def descriptors() -> int:
    """How many files this program has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def suspended() -> int:
    """How long the machine was suspended since boot, in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def values(mounted: Mounted, ts: int) -> dict[int, dict[str, Any]]:
    """One poll, values by process and the last word of their series; times in ticks, missing as reasons."""
    found: dict[int, dict[str, Any]] = {}
    for row in mounted.rows(ts):
        for key, value in zip(row.columns.keys, row.values, strict=True):
            word = key.attributes[0][1] if key.attributes else key.metric.name
            cell: Any = value.reason if isinstance(value, Missing) else value
            if key.metric.name == "process.cpu.time":
                cell = round(value * HERTZ, 6)
            found.setdefault(int(row.id), {})[word] = cell
    return found


def spans(mounted: Mounted, ts: int) -> dict[tuple[int, str], int]:
    """One poll, where the span of each delta begins."""
    return {
        (int(row.id), key.attributes[0][1]): row.since
        for row in mounted.rows(ts)
        for key in row.columns.keys
        if key.attributes
    }


class TestGivenProcesses:
    """The option `pid`."""

    @pytest.mark.parametrize("name", ["cat", "a b", "x) (y", ") R 1 1 1", "((", "))"])
    def test_every_field_is_what_the_kernel_wrote(self, tree: Tree, name: str) -> None:
        """Whatever the name of the program, which may hold blanks and parentheses."""
        tree.write(7, user=100, system=50, io=(4096, 512), name=name)
        mounted = tree.mount(pid=[7])
        first = values(mounted, SECOND)
        tree.write(
            7, user=130, system=51, io=(8192, 512), name=name, threads=3, virtual=2**40, resident=10, parent=5, start=1
        )
        second = values(mounted, 2 * SECOND)
        mounted.source.stop()

        assert first == {7: {"process.memory.usage": 0, "process.memory.virtual": 0, "process.thread.count": 1}}
        assert second == {
            7: {
                "process.memory.usage": 10 * PAGE,
                "process.memory.virtual": 2**40,
                "process.thread.count": 3,
                "user": 30,
                "system": 1,
                "read": 4096,
                "write": 0,
            }
        }

    def test_two_polls_give_one_row_over_the_whole_span(self, tree: Tree) -> None:
        """The first reading is the base; its time is where the row begins; all processes share their columns."""
        tree.write(7)
        tree.write(8)
        mounted = tree.mount(pid=[7, 8])
        mounted.rows(3 * SECOND)
        second = mounted.rows(10 * SECOND)
        third = mounted.rows(11 * SECOND)
        mounted.source.stop()

        assert [(row.id, row.since, row.ts) for row in second] == [(pid, 3 * SECOND, 10 * SECOND) for pid in "78"]
        assert len({row.columns for row in (*second, *third)}) == 1

    def test_one_that_ends_ends_its_series_only(self, tree: Tree) -> None:
        """The others go on, and when the last has ended there is nothing to measure any more."""
        tree.write(7)
        tree.write(8)
        mounted = tree.mount(pid=[7, 8])
        mounted.rows(1 * SECOND)
        tree.end(7)

        assert list(values(mounted, 2 * SECOND)) == [8]
        tree.end(8)
        with pytest.raises(Gone):
            mounted.rows(3 * SECOND)
        mounted.source.stop()

    def test_an_id_that_is_used_again_is_another_process(self, tree: Tree) -> None:
        """What gets the id of a process that ended was not asked for."""
        tree.write(7, start=100, user=500)
        mounted = tree.mount(pid=[7])
        mounted.rows(1 * SECOND)
        tree.write(7, start=200, user=3)

        with pytest.raises(Gone):
            mounted.rows(2 * SECOND)
        mounted.source.stop()

    def test_an_id_that_is_not_there_has_ended(self, tree: Tree) -> None:
        """It is missing with the reason, once, and not waited for: whatever gets the id later is something else."""
        tree.write(8)
        mounted = tree.mount(pid=[7, 8])
        tree.write(7)
        first, then = values(mounted, SECOND), values(mounted, 2 * SECOND)
        mounted.source.stop()

        assert first[7] == dict.fromkeys(
            ("process.memory.usage", "process.memory.virtual", "process.thread.count"),
            "there was no such process when measuring began",
        )
        assert set(then) == {8}

    @pytest.mark.parametrize("config", [{"pid": [7]}, {"tree": [7]}])
    def test_ids_of_which_none_is_there_are_refused(self, tree: Tree, config: dict[str, list[int]]) -> None:
        """A chain that could measure nothing at all says so when it starts."""
        with pytest.raises(ProcessLookupError, match="there is no process 7"):
            tree.mount(**config)

    def test_io_that_is_not_counted_is_missing(self, tree: Tree) -> None:
        """A kernel without disk accounting has no such file; the rest is measured."""
        tree.write(7, user=1)
        (tree.root / "proc/7/io").unlink()
        mounted = tree.mount(pid=[7])
        mounted.rows(1 * SECOND)

        cells = values(mounted, 2 * SECOND)[7]
        mounted.source.stop()

        assert cells["user"] == 0
        assert "there is no /proc/7/io" in cells["read"]
        assert cells["write"] == cells["read"]

    def test_it_can_be_started_again(self, tree: Tree) -> None:
        """After a stop the first reading is a base again, and every descriptor was closed."""
        tree.write(7, user=10)
        before = descriptors()
        mounted = tree.mount(pid=[7])
        mounted.rows(1 * SECOND)
        assert descriptors() == before + 2
        mounted.source.stop()
        assert descriptors() == before

        again = tree.mount(pid=[7])

        assert "user" not in values(again, 2 * SECOND)[7]
        again.source.stop()


class TestTrees:
    """The option `tree`."""

    def test_descendants_are_found_and_others_are_not(self, tree: Tree) -> None:
        """However deep, and in whatever order their ids are."""
        for pid, parent in {10: 1, 5: 10, 20: 5, 3: 20, 11: 1, 12: 11}.items():
            tree.write(pid, parent=parent)
        mounted = tree.mount(tree=[10])

        assert list(values(mounted, SECOND)) == [3, 5, 10, 20]
        mounted.source.stop()

    def test_zero_is_what_meter_started_without_meter(self, tree: Tree) -> None:
        """It has no end: nothing may be running yet."""
        tree.write(os.getpid(), parent=1)
        mounted = tree.mount(tree=[0])
        assert values(mounted, 1 * SECOND) == {}

        child = os.getpid() + 1
        tree.write(child, parent=os.getpid())
        assert list(values(mounted, 2 * SECOND)) == [child]
        mounted.source.stop()

    def test_meter_is_measured_where_it_belongs_to_another_tree(self, tree: Tree) -> None:
        """The zero takes meter out of its own tree and not out of others."""
        tree.write(3, parent=1)
        tree.write(os.getpid(), parent=3)
        mounted = tree.mount(tree=[0, 3])

        assert sorted(values(mounted, 1 * SECOND)) == [3, os.getpid()]
        mounted.source.stop()

    def test_one_that_is_born_is_counted_from_its_birth(self, tree: Tree) -> None:
        """Its base is 0 and its span begins with it; from then on it is like the others."""
        tree.write(10)
        mounted = tree.mount(tree=[10])
        ago = suspended()
        mounted.rows(1000 * SECOND)
        start = (1000 * SECOND + 250 * TICK + ago) // TICK
        tree.write(11, parent=10, start=start, user=40, io=(5, 6))

        mounted.readings.begin(1010 * SECOND)
        mounted.source.poll(mounted.readings)
        rows = mounted.readings.take()

        born = [row for row in rows if row.since != 1000 * SECOND]
        assert [round(born[0].values[3] * HERTZ, 6), *born[0].values[4:]] == [40, 0, 5, 6]
        assert [row.id for row in born] == ["11"]
        assert abs(born[0].since - (1000 * SECOND + 250 * TICK)) <= TICK
        assert set(spans(mounted, 1020 * SECOND).values()) == {1010 * SECOND}
        mounted.source.stop()

    @pytest.mark.parametrize(
        ("ticks", "counted"),
        [
            (-0.5, True),  # its birth is rounded down to before the previous poll, which had not seen it
            (-50, False),  # it was there and came into the tree some other way: nobody knows what it did before
            (2_000, True),  # a clock that is ahead: never after the poll that sees it
        ],
    )
    def test_a_birth_lies_between_the_polls(self, tree: Tree, ticks: float, counted: bool) -> None:  # noqa: FBT001
        """Spans neither overlap nor have a negative length."""
        tree.write(10)
        mounted = tree.mount(tree=[10])
        ago = suspended()
        previous = (5_000 * SECOND + ago) // TICK * TICK - ago + TICK // 2
        mounted.rows(previous)
        start = int((previous + ago + ticks * TICK) // TICK)
        tree.write(11, parent=10, start=start, user=40)

        found = {name: since for name, since in spans(mounted, previous + SECOND).items() if name[0] == 11}
        mounted.source.stop()

        assert bool(found) is counted
        assert all(previous < since <= previous + SECOND for since in found.values())

    def test_an_id_that_is_used_again_begins_at_zero(self, tree: Tree) -> None:
        """Neither does the old process go back, nor does the new one go on from it."""
        ago = suspended()
        tree.write(10)
        tree.write(11, parent=10, start=1, user=500)
        mounted = tree.mount(tree=[10])
        mounted.rows(1000 * SECOND)
        tree.write(11, parent=10, start=(1003 * SECOND + ago) // TICK, user=20)

        assert values(mounted, 1010 * SECOND)[11]["user"] == 20
        mounted.source.stop()

    def test_an_id_used_again_elsewhere_is_left(self, tree: Tree) -> None:
        """Descent is a matter of processes and not of ids."""
        tree.write(10)
        tree.write(11, parent=10, start=1)
        mounted = tree.mount(tree=[10])
        mounted.rows(1 * SECOND)
        tree.write(11, parent=1, start=2)

        assert list(values(mounted, 2 * SECOND)) == [10]
        mounted.source.stop()

    def test_orphans_stay(self, tree: Tree) -> None:
        """A descendant whose parent ended is the child of somebody else, and so are its own children descendants."""
        tree.write(10)
        tree.write(11, parent=10)
        mounted = tree.mount(tree=[10])
        mounted.rows(1 * SECOND)
        tree.end(10)
        tree.write(11, parent=1)
        tree.write(12, parent=11)

        assert sorted(values(mounted, 2 * SECOND)) == [11, 12]
        tree.end(11)
        tree.end(12)
        with pytest.raises(Gone):
            mounted.rows(3 * SECOND)
        mounted.source.stop()

    def test_both_options_name_one_process_once(self, tree: Tree) -> None:
        """A process is measured once, however often it was meant."""
        tree.write(10)
        tree.write(11, parent=10)
        mounted = tree.mount(tree=[10, 11], pid=[11, 10])

        assert list(values(mounted, SECOND)) == [10, 11]
        mounted.source.stop()

    def test_descriptors_are_bounded(self, tree: Tree) -> None:
        """A quarter of what the system allows is kept, the rest is opened each time, and all is measured."""
        soft, hard = getrlimit(RLIMIT_NOFILE)
        for pid in range(100, 300):
            tree.write(pid, parent=100)
        before = descriptors()
        limit = before + 256  # other tests of this process may have left some open
        setrlimit(RLIMIT_NOFILE, (limit, hard))
        try:
            mounted = tree.mount(tree=[100])
            found = [len(values(mounted, ts * SECOND)) for ts in (1, 2)]
            kept = descriptors() - before
            for pid in range(101, 300):
                tree.end(pid)
            values(mounted, 3 * SECOND)
            left = descriptors() - before
            mounted.source.stop()
        finally:
            setrlimit(RLIMIT_NOFILE, (soft, hard))

        assert found == [200, 200]
        assert kept == limit // 4
        assert left <= 2  # of what has ended nothing is kept


class TestRealProcesses:
    """Against psutil and what the kernel says about children that were waited for."""

    def test_an_idle_process_reads_as_with_psutil(self, tmp_path: Path) -> None:
        """Exactly but for CPU time, which both round to ticks: one tick."""
        with worker() as process:
            mounted = Mounted("process", {"pid": [process.pid], "io": True})
            other = psutil.Process(process.pid)
            mounted.rows(1 * SECOND)
            before, io = other.cpu_times(), other.io_counters()
            burn(process)
            do(process, f"file = open({str(tmp_path / 'x')!r}, 'wb'); file.write(bytes(1 << 20)); file.flush()")
            do(process, "os.fsync(file.fileno())")
            do(process, "import threading; threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()")
            cells = values(mounted, 2 * SECOND)[process.pid]
            after, io_after, memory = other.cpu_times(), other.io_counters(), other.memory_info()
            mounted.source.stop()

        assert cells["user"] == pytest.approx((after.user - before.user) * HERTZ, abs=1)
        assert cells["system"] == pytest.approx((after.system - before.system) * HERTZ, abs=1)
        assert cells["user"] + cells["system"] >= 0.3 * HERTZ - 2
        assert cells["read"] == io_after.read_bytes - io.read_bytes
        assert cells["write"] == io_after.write_bytes - io.write_bytes
        assert cells["process.memory.virtual"] == memory.vms
        assert cells["process.memory.usage"] == pytest.approx(memory.rss, abs=2**20)
        assert cells["process.thread.count"] == 2

    def test_a_zombie_gives_its_last_times_once(self) -> None:
        """What it used between the last poll and its end is not lost, and agrees with `wait4` within two ticks."""
        with worker() as process:
            mounted = Mounted("process", {"pid": [process.pid], "io": True})
            before = psutil.Process(process.pid).cpu_times()
            mounted.rows(1 * SECOND)
            burn(process)
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            last = values(mounted, 2 * SECOND)[process.pid]
            then = values(mounted, 3 * SECOND)[process.pid]
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            with pytest.raises(Gone):
                mounted.rows(4 * SECOND)
            mounted.source.stop()

        assert last["user"] == pytest.approx((usage.ru_utime - before.user) * HERTZ, abs=2)
        assert last["system"] == pytest.approx((usage.ru_stime - before.system) * HERTZ, abs=2)
        assert last["process.memory.usage"] == last["process.memory.virtual"] == "the process has ended"
        assert (then["user"], then["system"]) == (0, 0)

    def test_what_meter_starts_is_counted_from_its_birth(self) -> None:
        """All of its time, over a span that lies between the two polls; meter itself is not in it."""
        mounted = Mounted("process", {"tree": [0]})
        previous = time.monotonic_ns()
        mounted.rows(previous)
        with worker() as process:
            burn(process)
            now = time.monotonic_ns()
            rows = mounted.rows(now)
            total = psutil.Process(process.pid).cpu_times()
        mounted.source.stop()

        cells = {
            (row.id, key.attributes[0][1]): (value, row.since)
            for row in rows
            for key, value in zip(row.columns.keys, row.values, strict=True)
            if key.metric.name == "process.cpu.time"
        }
        child = str(process.pid)
        assert str(os.getpid()) not in {pid for pid, _ in cells}
        assert cells[child, "user"][0] == pytest.approx(total.user, abs=2 / HERTZ)
        assert cells[child, "system"][0] == pytest.approx(total.system, abs=2 / HERTZ)
        assert previous < cells[child, "user"][1] < now

    def test_a_real_orphan_stays(self) -> None:
        """A grandchild goes on being measured after its parent was ended and waited for."""
        with worker() as process:
            grandchild = int(do(process, "child = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '1000'); print(child)"))
            try:
                mounted = Mounted("process", {"tree": [process.pid]})
                assert list(values(mounted, 1 * SECOND)) == sorted([process.pid, grandchild])
                process.kill()
                process.wait()

                assert list(values(mounted, 2 * SECOND)) == [grandchild]
                mounted.source.stop()
            finally:
                os.kill(grandchild, 9)

    def test_a_kept_descriptor_outlives_no_process(self) -> None:
        """When a process has ended and was waited for, its file says so at once."""
        with worker() as process:
            mounted = Mounted("process", {"pid": [process.pid, os.getpid()]})
            assert sorted(values(mounted, 1 * SECOND)) == sorted([process.pid, os.getpid()])
            process.kill()
            process.wait()

            assert list(values(mounted, 2 * SECOND)) == [os.getpid()]
            mounted.source.stop()

    def test_io_of_others_is_missing_without_permission(self) -> None:
        """With the reason, for that process only; everything else is measured."""
        root = os.geteuid() == 0
        theirs = os.getppid() if root else 1
        with subprocess.Popen(["sleep", "1000"], user=65534 if root else None) as process, nobody():
            mounted = Mounted("process", {"pid": [theirs, process.pid], "io": True})
            mounted.rows(1 * SECOND)
            cells = values(mounted, 2 * SECOND)
            mounted.source.stop()
            process.kill()
        if theirs == 1 and "no permission" not in str(cells[1]["read"]):
            pytest.skip("everything may be read here")

        assert f"no permission to read /proc/{theirs}/io" in cells[theirs]["read"]
        assert cells[theirs]["write"] == cells[theirs]["read"]
        assert cells[theirs]["user"] >= 0
        assert cells[process.pid]["read"] >= 0
