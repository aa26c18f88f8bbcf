"""The source `kernel`, on made stat files and on the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from collections.abc import Mapping

SWITCHES = "system.context_switches/machine/%/machine/%"
CREATED = "system.process.created/machine/%/machine/%"
RUNNING = "system.thread.count/machine/%/machine/%/process.state=running"
BLOCKED = "system.thread.count/machine/%/machine/%/process.state=blocked"


class Stat:
    """A /proc/stat that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "proc" / "stat"
        self.file.parent.mkdir()

    def write(
        self, switches: object, created: object, running: object = 1, blocked: object = 0, intr: int = 10
    ) -> None:
        """The file of a machine with one core; a field whose value is None is not there."""
        fields = {
            "ctxt": switches,
            "btime": 1700000000,
            "processes": created,
            "procs_running": running,
            "procs_blocked": blocked,
            "softirq": "5 1 1 1",
        }
        lines = [f"{name} {value}" for name, value in fields.items() if value is not None]
        head = f"cpu  1 1 1 1\ncpu0 1 1 1 1\nintr {'7 ' * intr}\n"
        self.file.write_text(head + "\n".join(lines) + "\n")

    def mount(self) -> Mounted:
        """The source over it."""
        return Mounted("kernel", sysroot=self.root)


@pytest.fixture
def stat(tmp_path: Path) -> Stat:
    """None yet."""
    return Stat(tmp_path)


def poll(mounted: Mounted, seconds: int) -> dict[str, Any]:
    """One poll: values or reasons by the names of the keys."""
    return {
        name: cell.value.reason if isinstance(cell.value, Missing) else cell.value
        for name, cell in mounted.cells(seconds * SECOND).items()
    }


def test_counters_are_differences_and_threads_are_what_is_there(stat: Stat) -> None:
    """The first poll has the threads only; the first reading of a counter is its base."""
    stat.write(switches=2**40, created=50, running=3, blocked=2)
    mounted = stat.mount()
    first = poll(mounted, 1)
    stat.write(switches=2**40 + 1, created=57, running=1, blocked=0)

    second = poll(mounted, 2)
    mounted.source.stop()

    assert first == {RUNNING: 3, BLOCKED: 2}
    assert second == {RUNNING: 1, BLOCKED: 0, SWITCHES: 1, CREATED: 7}


def test_two_polls_give_one_row_over_the_whole_span(stat: Stat) -> None:
    """Its first reading's time is where the row begins."""
    stat.write(1, 1)
    mounted = stat.mount()
    mounted.rows(3 * SECOND)

    [row] = mounted.rows(10 * SECOND)
    mounted.source.stop()

    assert (row.since, row.ts) == (3 * SECOND, 10 * SECOND)


@pytest.mark.parametrize("intr", [0, 2_000, 100_000])
def test_what_is_wanted_stands_behind_any_number_of_interrupts(stat: Stat, intr: int) -> None:
    """However long the file, its end is read."""
    stat.write(1, 2, intr=intr)
    mounted = stat.mount()
    poll(mounted, 1)
    stat.write(11, 22, intr=intr)

    cells = poll(mounted, 2)
    mounted.source.stop()

    assert (cells[SWITCHES], cells[CREATED]) == (10, 20)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (2**32 - 5, 3, 8),  # kernels of 32 bits start again at 0
        (2**32, 3, "the counter `processes` went back"),  # no counter of 32 bits was there
        (100, 99, "the counter `processes` went back"),  # too far from the end of the range
        (2**32 - 5, 2**32 - 6, "the counter `processes` went back"),
    ],
)
def test_a_counter_that_fell_wrapped_or_is_missing_once(
    stat: Stat, before: int, after: int, expected: int | str
) -> None:
    """Never negative, never 0; the other counter is not touched by it."""
    stat.write(10, before)
    mounted = stat.mount()
    poll(mounted, 1)
    stat.write(14, after)
    fell = poll(mounted, 2)
    stat.write(14, after + 2)
    later = poll(mounted, 3)
    mounted.source.stop()

    assert (fell[SWITCHES], fell[CREATED]) == (4, expected)
    assert later[CREATED] == 2


@pytest.mark.parametrize(
    ("fields", "key", "reason"),
    [
        ({"switches": None, "created": 1}, SWITCHES, "this kernel gives no `ctxt` in /proc/stat"),
        ({"switches": 1, "created": None}, CREATED, "this kernel gives no `processes` in /proc/stat"),
        ({"switches": 1, "created": 1, "running": None}, RUNNING, "this kernel gives no `procs_running` in /proc/stat"),
        ({"switches": 1, "created": 1, "blocked": "-1"}, BLOCKED, "/proc/stat has `-1` for `procs_blocked`, no number"),
        ({"switches": "", "created": 1}, SWITCHES, "/proc/stat has `` for `ctxt`, no number"),
    ],
)
def test_what_the_kernel_does_not_say_is_missing(stat: Stat, fields: Mapping[str, Any], key: str, reason: str) -> None:
    """With the reason, and never 0; the rest is there."""
    stat.write(**fields)
    mounted = stat.mount()
    poll(mounted, 1)

    cells = poll(mounted, 2)
    mounted.source.stop()

    assert cells.pop(key) == reason
    assert all(isinstance(value, int) for value in cells.values())
    assert len(cells) == 3


@pytest.mark.parametrize("fault", ["folder", "torn", "empty"])
def test_a_failed_poll_loses_nothing(stat: Stat, fault: str) -> None:
    """A folder stands for any answer of the kernel, a torn file for a cut number; the next row covers both spans."""
    stat.write(1, 1)
    mounted = stat.mount()
    mounted.rows(1 * SECOND)
    file = mounted.source._file  # type: ignore[attr-defined]
    kept = os.dup(file)
    if fault == "folder":
        folder = os.open(stat.root, os.O_RDONLY)
        os.dup2(folder, file)
        os.close(folder)
    else:
        stat.file.write_text(stat.file.read_text().rstrip("\n") if fault == "torn" else "")
    with pytest.raises(Retry):
        mounted.rows(2 * SECOND)
    mounted.readings.drop()
    os.dup2(kept, file)
    os.close(kept)
    stat.write(6, 1)

    cell = mounted.cells(3 * SECOND)[SWITCHES]
    mounted.source.stop()

    assert cell == (5, 1 * SECOND, 3 * SECOND)


def counters() -> tuple[int, int]:
    """Switches as psutil reads them, and new tasks by another reading of the file."""
    words = dict(line.split(None, 1) for line in Path("/proc/stat").read_text().splitlines())
    return psutil.cpu_stats().ctx_switches, int(words["processes"])


def test_the_real_machine_agrees_with_other_readings() -> None:
    """Each counter lies between what others read before and after, and finds five processes that were started."""
    mounted = Mounted("kernel")
    outer_first = counters()
    poll(mounted, 1)
    inner_first = counters()
    for _ in range(5):
        subprocess.run(["/bin/true"], check=True)
    inner_last = counters()
    cells = poll(mounted, 2)
    outer_last = counters()
    mounted.source.stop()

    for nth, key in enumerate((SWITCHES, CREATED)):
        assert inner_last[nth] - inner_first[nth] <= cells[key] <= outer_last[nth] - outer_first[nth]
    assert cells[CREATED] >= 5
    assert cells[RUNNING] >= 1  # this test runs
    assert cells[BLOCKED] >= 0


def states() -> tuple[int, int]:
    """Threads of the machine that run or could run, and those that wait for storage, by the state of each.

    A thread that sleeps without a chance to be interrupted may wait for storage or for something else.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        try:
            found.append(path.read_text().rpartition(")")[2].split()[0])
        except OSError:
            continue  # it has ended
    return found.count("R"), found.count("D")


def test_threads_of_the_real_machine_agree_with_another_reading_of_the_file() -> None:
    """Each number is what it says before and after, once both say the same."""

    def read() -> dict[str, int]:
        fields = dict(line.split(None, 1) for line in Path("/proc/stat").read_text().splitlines())
        return {RUNNING: int(fields["procs_running"]), BLOCKED: int(fields["procs_blocked"])}

    mounted = Mounted("kernel")
    for nth in range(200):
        before, cells, after = read(), poll(mounted, nth), read()
        threads = {name: cells[name] for name in before}
        if before == threads == after:
            break
    mounted.source.stop()

    assert before == threads == after


@pytest.mark.skipif(
    not Path("/proc/2/comm").is_file() or Path("/proc/2/comm").read_text() != "kthreadd\n",
    reason="not all threads of the machine are shown here",
)
def test_threads_of_the_real_machine_are_those_in_their_states() -> None:
    """Busy children are among the running ones, and those that wait for storage among those that sleep deeply."""
    script = "print(flush=True)\nwhile True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(4)]
    mounted = Mounted("kernel")
    try:
        for each in busy:
            assert each.stdout is not None
            each.stdout.readline()
        for nth in range(100):
            before, cells, after = states(), poll(mounted, nth), states()
            least, most = min(before[0], after[0]), max(before[0], after[0])
            if least <= cells[RUNNING] <= most and cells[BLOCKED] <= max(before[1], after[1]):
                break
        else:
            pytest.fail(f"never so: {cells} where there were {before} before and {after} after")
    finally:
        mounted.source.stop()
        for each in busy:
            each.kill()
            each.communicate()

    assert least >= 4


def test_it_can_be_started_again(stat: Stat) -> None:
    """After `stop` everything is closed, and a new start begins with a new base."""
    stat.write(1, 1)
    count = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        mounted = stat.mount()
        assert list(poll(mounted, 1)) == [RUNNING, BLOCKED]
        mounted.source.stop()

    assert len(os.listdir("/proc/self/fd")) == count
