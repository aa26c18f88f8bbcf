"""The source `cpu`, on made stat files and on the real one."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from pathlib import Path

HERTZ = os.sysconf("SC_CLK_TCK")
MODES = ("user", "nice", "system", "idle", "iowait", "interrupt", "steal", "guest")
COUNT = "system.cpu.logical.count/machine/%/machine/%"


class Stat:
    """A /proc/stat that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "proc" / "stat"
        self.file.parent.mkdir()

    def write(self, cores: dict[int, str], intr: int = 10) -> None:
        """Counters of each core as the kernel prints them, behind their sum."""
        total = " ".join("9" for _ in next(iter(cores.values())).split())
        lines = [f"cpu  {total}", *(f"cpu{core} {counters}" for core, counters in cores.items())]
        self.file.write_text("\n".join([*lines, f"intr {'0 ' * intr}", "ctxt 123", "btime 5", ""]))

    def mount(self) -> Mounted:
        """The source over it."""
        return Mounted("cpu", sysroot=self.root)


@pytest.fixture
def stat(tmp_path: Path) -> Stat:
    """An empty one."""
    return Stat(tmp_path)


def key(core: int, mode: str) -> str:
    """The name of a series; cores below 10."""
    return f"system.cpu.time/cpu_core/#{core}/machine/%/cpu.mode={mode}"


def ticks(mounted: Mounted, ts: int) -> dict[int, dict[str, Any]]:
    """One poll, in ticks or reasons, by core and mode."""
    found: dict[int, dict[str, Any]] = {}
    for row in mounted.rows(ts):
        for each, value in zip(row.columns.keys, row.values, strict=True):
            if each.metric.name == "system.cpu.time":
                cell = value.reason if isinstance(value, Missing) else round(value * HERTZ, 6)
                found.setdefault(int(each.resource[1]), {})[each.attributes[0][1]] = cell
    return found


def test_modes_are_differences_in_seconds(stat: Stat) -> None:
    """Interrupt is both kinds of it, guests are taken out of user and nice, and the modes add up to the whole."""
    stat.write({0: "100 10 50 1000 20 5 6 7 40 4"})
    mounted = stat.mount()
    mounted.rows(SECOND)
    #                user nice system idle iowait irq softirq steal guest guest_nice
    stat.write({0: "200 40 51 1003 24 6 8 12 80 10"})

    cells = mounted.cells(2 * SECOND)
    mounted.source.stop()

    expected = {
        "user": 100 - 40,
        "nice": 30 - 6,
        "system": 1,
        "idle": 3,
        "iowait": 4,
        "interrupt": 1 + 2,
        "steal": 5,
        "guest": 40 + 6,
    }
    assert {mode: round(cells[key(0, mode)].value * HERTZ, 6) for mode in MODES} == expected
    assert sum(expected.values()) == 100 + 30 + 1 + 3 + 4 + 1 + 2 + 5
    assert cells[COUNT].value == 1


def test_two_polls_give_one_row_over_the_whole_span(stat: Stat) -> None:
    """The first reading is the base; its time is where the row begins."""
    stat.write({0: "0 0 0 0 0 0 0 0 0 0"})
    mounted = stat.mount()

    first = mounted.cells(3 * SECOND)
    stat.write({0: "500 0 0 0 0 0 0 0 0 0"})
    second = mounted.cells(10 * SECOND)
    mounted.source.stop()

    assert list(first) == [COUNT]
    assert second[key(0, "user")] == (500 / HERTZ, 3 * SECOND, 10 * SECOND)


def test_a_failed_poll_loses_nothing(stat: Stat) -> None:
    """The next delta covers the time of the poll that failed."""
    stat.write({0: "0 0 0 0 0 0 0 0 0 0"})
    mounted = stat.mount()
    mounted.rows(1 * SECOND)
    kept, folder = os.dup(mounted.source._file), os.open(stat.root, os.O_RDONLY)  # type: ignore[attr-defined]
    os.dup2(folder, mounted.source._file)  # type: ignore[attr-defined]
    with pytest.raises(Retry):
        mounted.rows(2 * SECOND)
    mounted.readings.drop()
    os.dup2(kept, mounted.source._file)  # type: ignore[attr-defined]
    stat.write({0: "7 0 0 0 0 0 0 0 0 0"})

    assert mounted.cells(3 * SECOND)[key(0, "user")] == (7 / HERTZ, 1 * SECOND, 3 * SECOND)
    mounted.source.stop()
    os.close(kept)
    os.close(folder)


@pytest.mark.parametrize("mode", ["idle", "iowait"])
def test_a_counter_that_fell_is_missing_once(stat: Stat, mode: str) -> None:
    """Never negative, never 0, and the other modes are not touched by it."""
    fields = {"idle": "0 0 0 {} 0 0 0 0 0 0", "iowait": "0 0 0 0 {} 0 0 0 0 0"}[mode]
    stat.write({0: fields.format(100), 1: fields.format(100)})
    mounted = stat.mount()
    mounted.rows(SECOND)

    stat.write({0: fields.format(90), 1: fields.format(103)})
    fell = ticks(mounted, 2 * SECOND)
    stat.write({0: fields.format(95), 1: fields.format(103)})
    after = ticks(mounted, 3 * SECOND)
    mounted.source.stop()

    assert fell[0][mode] == f"the counter of `{mode}` went back"
    assert fell[1][mode] == 3
    assert [value for other, value in fell[0].items() if other != mode] == [0] * 7
    assert after[0][mode] == 5


def test_rounding_of_guests_is_no_time_that_went_back(stat: Stat) -> None:
    """User without guests seems to fall by a tick when only the guest's counter got over its next tick."""
    mounted_values = []
    stat.write({0: "10 0 0 0 0 0 0 0 4 0"})
    mounted = stat.mount()
    mounted.rows(SECOND)
    for poll, (user, guest) in enumerate([(10, 5), (11, 5), (11, 6), (13, 6)], 2):
        stat.write({0: f"{user} 0 0 0 0 0 0 0 {guest} 0"})
        mounted_values.append(ticks(mounted, poll * SECOND)[0]["user"])
    mounted.source.stop()

    assert mounted_values == [0, 0, 0, 1]
    assert sum(mounted_values) == (13 - 6) - (10 - 4)


def test_cores_come_and_go(stat: Stat) -> None:
    """A core that comes online gives its first row one poll later; one that goes ends its series; others go on."""
    zero = "{0} 0 0 0 0 0 0 0 0 0"
    stat.write({0: zero.format(0), 1: zero.format(0)})
    mounted = stat.mount()
    mounted.rows(1 * SECOND)
    stat.write({0: zero.format(1), 1: zero.format(1)})
    steady = mounted.rows(2 * SECOND)
    stat.write({0: zero.format(2), 1: zero.format(2), 2: zero.format(1000)})
    plugged = ticks(mounted, 3 * SECOND)
    stat.write({0: zero.format(3), 1: zero.format(3), 2: zero.format(1001)})
    joined = ticks(mounted, 4 * SECOND)
    stat.write({0: zero.format(4), 2: zero.format(1002)})
    left = mounted.cells(5 * SECOND)
    stat.write({0: zero.format(5), 1: zero.format(9), 2: zero.format(1003)})
    back = ticks(mounted, 6 * SECOND)
    stat.write({0: zero.format(6), 1: zero.format(11)})
    again = mounted.rows(7 * SECOND)
    mounted.source.stop()

    assert {core: modes["user"] for core, modes in plugged.items()} == {0: 1, 1: 1}
    assert {core: modes["user"] for core, modes in joined.items()} == {0: 1, 1: 1, 2: 1}
    assert key(1, "user") not in left
    assert left[COUNT].value == 2
    assert sorted(back) == [0, 2]  # core 1 is new again
    assert again[0].columns is steady[0].columns


def test_steady_cores_give_identical_columns(stat: Stat) -> None:
    """Columns are declared anew only when the set of cores has changed."""
    stat.write({0: "0 0 0 0 0 0 0 0 0 0"})
    mounted = stat.mount()
    mounted.rows(SECOND)

    assert mounted.rows(2 * SECOND)[0].columns is mounted.rows(3 * SECOND)[0].columns
    mounted.source.stop()


@pytest.mark.parametrize(
    ("counters", "lacking"),
    [
        ("1 1 1 1 1 1 1 1 1", []),  # no guest_nice, before Linux 2.6.33
        ("1 1 1 1 1 1 1 1", ["guest"]),  # before Linux 2.6.24
        ("1 1 1 1 1 1 1", ["guest", "steal"]),  # before Linux 2.6.11
        ("1 1 1 1 1 1", ["guest", "interrupt", "steal"]),  # half of what interrupt is
        ("1 1 1 1", ["guest", "interrupt", "iowait", "steal"]),  # Linux 2.4, and what imitates it
        ("1 1 1 1 1 1 1 1 1 1 1 1", []),  # a later kernel may count more
    ],
)
def test_what_a_kernel_does_not_count_is_missing(stat: Stat, counters: str, lacking: list[str]) -> None:
    """With the reason, and never 0."""
    stat.write({0: counters, 1: counters})
    mounted = stat.mount()
    mounted.rows(SECOND)

    cells = ticks(mounted, 2 * SECOND)
    mounted.source.stop()

    for core in (0, 1):
        assert sorted(mode for mode, cell in cells[core].items() if isinstance(cell, str)) == lacking


def test_many_cores_and_interrupts(stat: Stat) -> None:
    """However long the file, every core is there."""
    cores = dict.fromkeys(range(1024), f"{2**40} 0 0 {2**40} 0 0 0 0 0 0")
    stat.write(cores, intr=100_000)
    mounted = stat.mount()
    mounted.rows(SECOND)

    cells = mounted.cells(2 * SECOND)
    mounted.source.stop()

    assert len(cells) == 1 + 1024 * len(MODES)
    assert cells[COUNT].value == 1024


def test_the_real_machine_agrees_with_psutil() -> None:
    """Each mode of each core within 0.2 s over a stretch of work; what was worked is found in user time."""
    mounted = Mounted("cpu")
    before = psutil.cpu_times(percpu=True)
    mounted.rows(SECOND)
    worked = time.process_time()
    while time.process_time() - worked < 0.5:
        sum(range(10_000))
    cells = mounted.cells(2 * SECOND)
    after = psutil.cpu_times(percpu=True)
    mounted.source.stop()

    def expected(core: int, mode: str) -> float:
        first, last = before[core], after[core]
        parts = {
            "user": {"user": 1, "guest": -1},
            "nice": {"nice": 1, "guest_nice": -1},
            "interrupt": {"irq": 1, "softirq": 1},
            "guest": {"guest": 1, "guest_nice": 1},
        }.get(mode, {mode: 1})
        return float(sum(sign * (getattr(last, field) - getattr(first, field)) for field, sign in parts.items()))

    cores = [name for name in cells if name.endswith("cpu.mode=user")]
    assert cells[COUNT].value == len(before) == len(cores)
    assert sum(cells[name].value for name in cores) >= 0.5 - 0.1
    for nth, name in enumerate(cores):
        for mode in MODES:
            value = cells[name.removesuffix("user") + mode].value
            if not isinstance(value, Missing):
                assert value >= 0
                assert value == pytest.approx(expected(nth, mode), abs=0.2)
