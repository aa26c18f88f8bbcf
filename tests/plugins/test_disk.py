"""The source `disk`, on made files and on the real ones."""

from __future__ import annotations

import os
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core import Backend
from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted, declared
from tests.strategies import steady

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECTOR = 512
AGAIN = "the counters of the device started again"
DIRECTED = ("system.disk.operations", "system.disk.merged", "system.disk.io", "system.disk.operation_time")
SERIES = [*((metric, way) for metric in DIRECTED for way in ("read", "write")), ("system.disk.io_time", "")]
LIMIT = ("system.disk.limit", "")


class Disks:
    """A /proc/diskstats and a /sys/class/block that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "proc" / "diskstats"
        self.file.parent.mkdir()
        self.sys = root / "sys" / "class" / "block"
        self.sys.mkdir(parents=True)

    def write(self, devices: Mapping[str, Iterable[int]], more: str = " 0 0 0 0 0 0") -> None:
        """The counters of each device in the kernel's order, 11 of them; `more` is what later kernels have besides."""
        lines = [
            f"   8 {nth:7d} {name} {' '.join(map(str, numbers))}{more}"
            for nth, (name, numbers) in enumerate(devices.items())
        ]
        self.file.write_bytes("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))

    def add(self, name: str, sectors: int = 0, **files: str) -> None:
        """A device in /sys, with further files or, where the text ends with `/`, folders."""
        folder = self.sys / name.replace("/", "!")
        (folder / "queue").mkdir(parents=True)
        (folder / "slaves").mkdir()
        (folder / "size").write_text(f"{sectors}\n")
        for file, text in files.items():
            if text.endswith("/"):
                (folder / file / text.strip("/")).mkdir(parents=True)
            else:
                (folder / file.replace("__", "/")).write_text(text)

    def mount(self, **config: Any) -> Mounted:
        """The source over it."""
        return Mounted("disk", config, self.root)


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    """Without any device."""
    return Disks(tmp_path)


def poll(mounted: Mounted, seconds: int) -> dict[str, dict[tuple[str, str], Any]]:
    """One poll: values or reasons by device, metric and direction."""
    found: dict[str, dict[tuple[str, str], Any]] = {}
    for row in mounted.rows(seconds * SECOND):
        for key, value in zip(row.columns.keys, row.values, strict=True):
            way = key.attributes[0][1] if key.attributes else ""
            cell = value.reason if isinstance(value, Missing) else value
            found.setdefault(key.resource[1], {})[key.metric.name, way] = cell
    return found


def counted(cells: Mapping[tuple[str, str], Any]) -> list[Any]:
    """The deltas of a device in the order of SERIES."""
    return [cells[series] for series in SERIES]


FLAT = [100] * 11


# ------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    "more",
    [
        "",  # 14 fields, from Linux 2.6.25 on
        " 0 0 0 0",  # 18, with discards, from 4.18 on
        " 0 0 0 0 0 0",  # 20, with flushes, from 5.5 on
        " 9 9 9 9 9 9 9 9",  # a later kernel may count more
    ],
)
def test_counters_become_bytes_operations_and_seconds(disks: Disks, more: str) -> None:
    """Sectors have 512 bytes, times come in milliseconds; operations under way and weighted time are not taken."""
    disks.add("sda", sectors=1000)
    disks.write({"sda": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}, more)
    mounted = disks.mount()
    first = poll(mounted, 1)
    #                   reads merged sectors ms | writes merged sectors ms | now busy weighted
    disks.write({"sda": [11, 22, 33, 44, 55, 66, 77, 88, 99, 110, 121]}, more)

    second = poll(mounted, 3)
    mounted.source.stop()

    assert first == {"sda": {LIMIT: 1000 * SECTOR}}
    assert counted(second["sda"]) == [10, 50, 20, 60, 30 * SECTOR, 70 * SECTOR, 0.04, 0.08, 0.1]
    assert second["sda"][LIMIT] == 1000 * SECTOR
    assert [type(value) for value in counted(second["sda"])] == [int] * 6 + [float] * 3


def test_two_polls_give_one_row_over_the_whole_span(disks: Disks) -> None:
    """The first reading is the base; its time is where the row begins."""
    disks.add("sda")
    disks.write({"sda": FLAT})
    mounted = disks.mount()
    mounted.rows(3 * SECOND)

    [row] = mounted.rows(10 * SECOND)
    mounted.source.stop()

    assert (row.since, row.ts) == (3 * SECOND, 10 * SECOND)


def test_great_counters_stay_exact(disks: Disks) -> None:
    """Integers are never rounded: one sector more is 512 bytes more, however many there were."""
    disks.add("sda")
    disks.write({"sda": [2**60] * 11})
    mounted = disks.mount()
    poll(mounted, 1)
    disks.write({"sda": [2**60 + 1] * 11})

    cells = poll(mounted, 2)["sda"]
    mounted.source.stop()

    assert counted(cells)[:6] == [1, 1, 1, 1, SECTOR, SECTOR]


def test_devices_do_not_mix(disks: Disks) -> None:
    """Each of 300 devices, more than one read of the kernel's hands over, gets its own counters and size."""
    names = [f"sd{nth}" for nth in range(300)]
    for nth, name in enumerate(names):
        disks.add(name, sectors=nth)
    disks.write(dict.fromkeys(names, FLAT))
    mounted = disks.mount()
    poll(mounted, 1)
    disks.write({name: [100 + 11 * nth + place for place in range(11)] for nth, name in enumerate(names)})

    actual = poll(mounted, 2)
    mounted.source.stop()

    expected = {}
    for nth, name in enumerate(names):
        of = [11 * nth + place for place in (0, 4, 1, 5, 2, 6, 3, 7, 9)]
        expected[name] = [*of[:4], *(sectors * SECTOR for sectors in of[4:6]), *(ms / 1000 for ms in of[6:])]
    assert {name: counted(cells) for name, cells in actual.items()} == expected
    assert [actual[name][LIMIT] for name in names] == [nth * SECTOR for nth in range(300)]


@settings(parent=steady, max_examples=40)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["sda", "sdb", "nvme0n1", "cciss/c0d0", "mmcblk0"]),
            st.integers(0, 2**40),
            max_size=5,
        ),
        min_size=2,
        max_size=6,
    )
)
def test_deltas_of_whoever_stays_add_up(tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, int]]) -> None:
    """Whichever devices come and go: what a device was seen to do between two polls is told, and nothing else."""
    disks = Disks(tmp_path_factory.mktemp("disks"))
    for name in ("sda", "sdb", "nvme0n1", "cciss/c0d0", "mmcblk0"):
        disks.add(name)
    totals = dict.fromkeys(("sda", "sdb", "nvme0n1", "cciss/c0d0", "mmcblk0"), 0)
    readings = []
    for step in steps:
        totals = {name: total + step.get(name, 0) for name, total in totals.items()}
        readings.append({name: totals[name] for name in step})
    mounted: Mounted | None = None
    before: dict[str, int] = {}
    for nth, reading in enumerate(readings):
        disks.write({name: [total] * 11 for name, total in reading.items()})
        mounted = mounted or disks.mount()
        actual = poll(mounted, nth)
        reads = {name: cells[SERIES[0]] for name, cells in actual.items() if SERIES[0] in cells}
        assert reads == {name: total - before[name] for name, total in reading.items() if name in before}
        assert set(actual) == set(reading)
        before = reading
    assert mounted is not None
    mounted.source.stop()


# ------------------------------------------------------------------------------------------- devices that come and go


def test_devices_come_and_go(disks: Disks) -> None:
    """One that comes has its first reading as base, one that goes ends its series, and one that is back is new."""
    for name in ("sda", "sdb"):
        disks.add(name)
    disks.write({"sda": [1] * 11})
    mounted = disks.mount()
    seen = [poll(mounted, 1)]
    for second, devices in enumerate(
        [{"sda": 2, "sdb": 500}, {"sda": 4, "sdb": 501}, {"sda": 7}, {"sdb": 600, "sda": 11}, {"sdb": 603, "sda": 16}],
        2,
    ):
        disks.write({name: [total] * 11 for name, total in devices.items()})
        seen.append(poll(mounted, second))
    mounted.source.stop()

    reads = [{name: cells.get(SERIES[0]) for name, cells in each.items()} for each in seen]
    assert reads == [
        {"sda": None},
        {"sda": 1, "sdb": None},
        {"sda": 2, "sdb": 1},
        {"sda": 3},
        {"sda": 4, "sdb": None},
        {"sda": 5, "sdb": 3},
    ]


def test_steady_devices_give_identical_columns(disks: Disks) -> None:
    """Columns are declared anew only when the set of devices has changed."""
    disks.add("sda")
    disks.write({"sda": FLAT})
    mounted = disks.mount()
    mounted.rows(SECOND)

    rows = [mounted.rows(nth * SECOND)[0] for nth in (2, 3, 4)]
    mounted.source.stop()

    assert rows[0].columns is rows[1].columns is rows[2].columns


def test_no_device_is_no_row_and_no_fault(disks: Disks) -> None:
    """A machine without disks has none to measure; one that is plugged in later is."""
    disks.write({})
    mounted = disks.mount()
    assert mounted.rows(SECOND) == mounted.rows(2 * SECOND) == []

    disks.add("sda")
    disks.write({"sda": FLAT})
    poll(mounted, 3)
    disks.write({"sda": [104] * 11})

    assert poll(mounted, 4)["sda"][SERIES[0]] == 4
    mounted.source.stop()


def test_files_do_not_pile_up(disks: Disks) -> None:
    """Whatever devices have come and gone, only files of those that there are, are open."""
    disks.add("sd0")
    disks.write({"sd0": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)
    before = len(os.listdir("/proc/self/fd"))
    for nth in range(1, 40):
        disks.add(f"sd{nth}")
        disks.write({f"sd{nth}": FLAT})
        poll(mounted, nth + 1)

    after = len(os.listdir("/proc/self/fd"))
    mounted.source.stop()

    assert after == before


def test_it_can_be_started_again(disks: Disks) -> None:
    """After `stop` everything is closed, and a new `start` begins with a new base."""
    disks.add("sda", sectors=3)
    disks.write({"sda": FLAT})
    count = len(os.listdir("/proc/self/fd"))
    mounted = disks.mount()
    poll(mounted, 1)
    mounted.source.stop()
    assert len(os.listdir("/proc/self/fd")) == count

    again = disks.mount()
    assert poll(again, 1) == {"sda": {LIMIT: 3 * SECTOR}}
    again.source.stop()


# ----------------------------------------------------------------------------------------------------- wrap and reset


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # busy time, the tenth counter, wraps on every kernel
        ([100] * 9 + [2**32 - 10, 0], [101] * 9 + [20, 0], [1] * 4 + [SECTOR] * 2 + [0.001] * 2 + [0.03]),
        # sectors read wrap on kernels of 32 bits
        ([100, 100, 2**32 - 1] + [100] * 8, [101, 100, 0] + [100] * 8, [1, 0, 0, 0, SECTOR, 0, 0.0, 0.0, 0.0]),
        # started again: everything fell
        ([100] * 11, [1] * 11, [AGAIN] * 9),
        # started again: what did not fall is not known either, and what seems to have wrapped did not
        ([100, 100, 2**32 - 1] + [0] * 8, [3, 100, 5] + [7] * 8, [AGAIN] * 9),
        # no counter of 32 bits can have been there, so this is no wrap
        ([100] * 9 + [2**32, 0], [101] * 9 + [20, 0], [AGAIN] * 9),
        # a fall by little, near the end of the range, is no wrap either
        ([100] * 9 + [2**32 - 10, 0], [101] * 9 + [2**32 - 11, 0], [AGAIN] * 9),
        # a fall from the lower half is not explained by a wrap
        ([100] * 9 + [2**31 - 1, 0], [101] * 9 + [0, 0], [AGAIN] * 9),
    ],
)
def test_a_counter_that_fell_wrapped_or_started_again(
    disks: Disks, before: list[int], after: list[int], expected: list[Any]
) -> None:
    """A wrap is corrected; after a reset all of the device is missing once, never 0, never invented; others go on."""
    for name in ("sda", "sdb"):
        disks.add(name)
    disks.write({"sda": before, "sdb": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)
    disks.write({"sda": after, "sdb": [102] * 11})
    fell = poll(mounted, 2)
    disks.write({"sda": [number + 3 for number in after], "sdb": [102] * 11})
    later = poll(mounted, 3)
    mounted.source.stop()

    assert counted(fell["sda"]) == expected
    assert counted(fell["sdb"]) == [2] * 4 + [2 * SECTOR] * 2 + [0.002] * 3
    assert counted(later["sda"]) == [3] * 4 + [3 * SECTOR] * 2 + [0.003] * 3


# ------------------------------------------------------------------------------------------------ which devices, names


@pytest.fixture
def stack(disks: Disks) -> Disks:
    """A disk with a partition, an encrypted volume on it, an array, and what lies on files or in memory."""
    disks.add("sda")
    disks.add("sda1", partition="1\n")
    disks.add("nvme0n1")
    disks.add("nvme0c0n1", hidden="1\n")
    disks.add("dm-0", slaves="sda1/")
    disks.add("dm-1")  # has no members yet
    disks.add("md127", slaves="sda/")
    disks.add("bcache0", slaves="sda/")
    for name in ("loop0", "ram0", "zram0"):
        disks.add(name)
    disks.write(dict.fromkeys((*(path.name for path in disks.sys.iterdir()), "gone"), FLAT))
    return disks


BASE = {"sda", "nvme0n1"}
WHOLE = BASE | {"nvme0c0n1", "dm-0", "dm-1", "md127", "bcache0", "loop0", "ram0", "zram0"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, BASE),  # a byte on any of the others is a byte on one of these, or in memory
        ({"devices": "whole"}, WHOLE),
        ({"devices": "all"}, WHOLE | {"sda1", "gone"}),
        ({"include": ["nvme*"]}, {"nvme0n1"}),
        ({"exclude": ["nvme*"]}, {"sda"}),
        ({"exclude": ["*"], "include": ["sda", "*"]}, {"sda"}),  # named, so it stays
        ({"devices": "whole", "include": ["dm-[0]", "zram*"]}, {"dm-0", "zram0"}),
    ],
)
def test_which_devices_are_measured(stack: Disks, config: dict[str, Any], expected: set[str]) -> None:
    """By default those below all others, so that a sum over devices counts each byte once."""
    mounted = stack.mount(**config)
    poll(mounted, 1)

    seen = {name for name, cells in poll(mounted, 2).items() if SERIES[0] in cells}
    mounted.source.stop()

    assert seen == expected


def test_members_that_come_late_are_seen(disks: Disks) -> None:
    """A device that gets its members only after it has appeared gives no deltas by default."""
    disks.add("bcache0", sectors=1)
    disks.write({"bcache0": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)
    (disks.sys / "bcache0" / "slaves" / "sda").mkdir()

    assert poll(mounted, 2) == poll(mounted, 3) == {}
    mounted.source.stop()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sdz", "there is no device `sdz` in /proc/diskstats yet"),
        ("sda1", 'it is a partition, which `devices = "base"` leaves out; take `devices = "all"`'),
        ("dm-0", 'it is made of other devices or of memory, which `devices = "base"` leaves out; take `"whole"`'),
    ],
)
def test_a_named_device_that_is_not_measured_says_why(stack: Disks, name: str, reason: str) -> None:
    """Once, and what else is asked for is measured."""
    mounted = stack.mount(include=[name, "sda"])

    first, second = poll(mounted, 1), poll(mounted, 2)
    mounted.source.stop()

    assert first[name] == {LIMIT: reason}
    assert list(second) == ["sda"]


@pytest.mark.parametrize(
    ("devices", "additive"),
    [("base", True), ("whole", False), ("all", False)],
)
def test_a_sum_over_devices_is_allowed_where_it_is_right(tmp_path: Path, devices: str, additive: bool) -> None:  # noqa: FBT001  (a truth table)
    """The plan says of each metric that it is additive with the devices below all others, and not with more."""
    plan = Backend("/disk").add("disk", devices=devices).add("csv", path=str(tmp_path / "x.csv")).check()

    assert [each["additive"] for each in plan.document["plugins"][0]["emits"]] == [additive] * 6


@pytest.mark.parametrize(
    ("kernel", "shown"),
    [
        ("cciss/c0d0", "cciss/c0d0"),  # the kernel's name; /sys has `!` for `/`
        ("nvme0n1", "nvme0n1"),
        ("md_d{0}=x,y", "md_d{0}=x,y"),
        ("100", "100"),
        ("ü", "ü"),
        ("a\udcffb", "a\\xffb"),
    ],
)
def test_odd_names(disks: Disks, kernel: str, shown: str) -> None:
    """A name is the kernel's; bytes that are no UTF-8 are shown as such."""
    disks.add(shown, sectors=8)
    disks.write({"sda": FLAT, kernel: FLAT})
    mounted = disks.mount(devices="whole", exclude=["sda"])
    poll(mounted, 1)
    disks.write({"sda": FLAT, kernel: [107] * 11})

    actual = poll(mounted, 2)
    mounted.source.stop()

    assert list(actual) == [shown]
    assert actual[shown][SERIES[0]] == 7
    assert actual[shown][LIMIT] == 8 * SECTOR


# ----------------------------------------------------------------------------------------------- what cannot be read


OFF = "the kernel does not count for `{}`: its `queue/iostats` is 0, write 1 there"
SILENT = "the kernel may not count for `{}`: its `queue/iostats` is 0, and so are all of its counters"


@pytest.mark.parametrize(
    ("files", "counters", "expected"),
    [
        ({"queue__iostats": "1\n"}, [0] * 11, 0),
        ({"queue__iostats": "0\n", "mq": "/"}, [0] * 11, OFF),
        ({"queue__iostats": "0\n", "mq": "/"}, [100] * 11, OFF),  # switched off after it had counted
        ({"queue__iostats": "0\n"}, [0] * 11, SILENT),  # NVMe multipath before Linux 6.0 never counts
        ({"queue__iostats": "0\n"}, [100] * 11, 0),  # bcache counts whatever the setting says
    ],
)
def test_what_the_kernel_does_not_count_is_missing(
    disks: Disks, files: dict[str, str], counters: list[int], expected: str | int
) -> None:
    """Counters that stand still because nobody counts say nothing, and are no 0; the capacity is known."""
    disks.add("sda", sectors=2, **files)
    disks.add("sdb")
    disks.write({"sda": counters, "sdb": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)

    cells = poll(mounted, 2)
    mounted.source.stop()

    reason = expected.format("sda") if isinstance(expected, str) else expected
    assert counted(cells["sda"]) == [reason] * 9
    assert cells["sda"][LIMIT] == 2 * SECTOR
    assert counted(cells["sdb"]) == [0] * 9


def test_counting_that_begins_is_seen(disks: Disks) -> None:
    """Once a counter moves the device is counted, with that reading as its base."""
    disks.add("pmem0", queue__iostats="0\n")
    mounted = None
    seen = []
    for second, total in enumerate((0, 0, 7, 10)):
        disks.write({"pmem0": [total] * 11})
        mounted = mounted or disks.mount()
        seen.append(poll(mounted, second)["pmem0"].get(SERIES[0]))
    assert mounted is not None
    mounted.source.stop()

    assert seen == [SILENT.format("pmem0")] * 2 + [None, 3]


def test_a_partition_is_counted_as_its_whole(disks: Disks) -> None:
    """The setting is the one of the device above it."""
    whole = disks.root / "sys" / "devices" / "sda"
    (whole / "sda1").mkdir(parents=True)
    (whole / "sda1" / "partition").write_text("1\n")
    (whole / "sda1" / "size").write_text("1\n")
    (whole / "queue").mkdir()
    (whole / "queue" / "iostats").write_text("0\n")
    (whole / "mq").mkdir()
    (disks.sys / "sda1").symlink_to(whole / "sda1")
    disks.write({"sda1": FLAT})
    mounted = disks.mount(devices="all")
    poll(mounted, 1)

    cells = poll(mounted, 2)["sda1"]
    mounted.source.stop()

    assert counted(cells) == [OFF.format("sda1")] * 9


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("8 1 sdb 1 2 3 4", "/proc/diskstats has 7 fields for `sdb`, not the 14 or more that Linux 2.6.25 gives"),
        (
            "8 1 sdb 1 x 3 4 5 6 7 8 9 10 11",
            "/proc/diskstats has `x` as field 5 of `sdb`, no number for system.disk.merged",
        ),
        (
            "8 1 sdb 1 -2 3 4 5 6 7 8 9 10 11",
            "/proc/diskstats has `-2` as field 5 of `sdb`, no number for system.disk.merged",
        ),
    ],
)
@pytest.mark.parametrize("since", ["always", "the third poll"])
def test_a_line_that_is_not_understood_is_missing(disks: Disks, line: str, reason: str, since: str) -> None:
    """With what stands there, and never 0; the other devices go on."""
    for name in ("sda", "sdb"):
        disks.add(name)
    disks.write({"sda": FLAT, "sdb": FLAT}, "")
    good = disks.file.read_text()
    bad = good.splitlines(keepends=True)[0] + line + "\n"
    if since == "always":
        disks.file.write_text(bad)
    mounted = disks.mount()
    poll(mounted, 1)
    poll(mounted, 2)
    disks.file.write_text(bad)

    cells = poll(mounted, 3)
    disks.file.write_text(good)
    poll(mounted, 4)
    healed = poll(mounted, 5)
    mounted.source.stop()

    assert counted(cells["sdb"]) == [reason] * 9
    assert counted(cells["sda"]) == [0] * 9
    assert counted(healed["sdb"]) == [0] * 9


def test_an_operation_under_way_may_be_negative(disks: Disks) -> None:
    """Kernels had faults by which the number of operations under way fell below 0; it is not read."""
    disks.add("sda")
    disks.write({"sda": [1, 2, 3, 4, 5, 6, 7, 8, -1, 10, 11]})
    mounted = disks.mount()
    poll(mounted, 1)

    assert counted(poll(mounted, 2)["sda"]) == [0] * 9
    mounted.source.stop()


@pytest.mark.parametrize("size", ["", "many\n", None])
def test_a_size_that_cannot_be_read_is_missing(disks: Disks, size: str | None) -> None:
    """With the file in the reason; the counters go on, and the next poll tries again."""
    disks.add("sda", sectors=1)
    disks.write({"sda": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)
    file = disks.sys / "sda" / "size"
    if size is None:
        file.unlink()
        file.mkdir()  # the kept descriptor still reads the old file; a new start reads this
        mounted.source.stop()
        mounted = disks.mount()
        poll(mounted, 1)
    else:
        file.write_text(size)

    cells = poll(mounted, 2)["sda"]
    mounted.source.stop()

    assert cells[LIMIT].startswith("/sys/class/block/sda/size: ")
    assert counted(cells) == [0] * 9


OTHER = "the device was removed, and another one has its name since"


def remove(mounted: Mounted, disks: Disks, device: str) -> None:
    """What a kept file of a removed device answers: an error, for which a folder stands."""
    folder = os.open(disks.root, os.O_RDONLY)
    os.dup2(folder, mounted.source._sysfs._files[device])  # type: ignore[attr-defined]
    os.close(folder)


def test_another_device_of_the_same_name_is_not_taken_for_it(disks: Disks) -> None:
    """Although its counters are higher: missing once with the reason, then what it counts; its capacity at once."""
    for name in ("sda", "sdb"):
        disks.add(name, sectors=1)
    disks.write({"sda": FLAT, "sdb": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)
    remove(mounted, disks, "sda")
    (disks.sys / "sda" / "size").write_text("5\n")
    disks.write({"sda": [150] * 11, "sdb": [101] * 11})
    other = poll(mounted, 2)
    disks.write({"sda": [153] * 11, "sdb": [101] * 11})
    later = poll(mounted, 3)
    mounted.source.stop()

    assert counted(other["sda"]) == [OTHER] * 9
    assert other["sda"][LIMIT] == 5 * SECTOR
    assert counted(other["sdb"])[:4] == [1] * 4
    assert counted(later["sda"])[:4] == [3] * 4


def test_more_devices_than_files_may_be_open_are_told_apart_too(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what number their file has, which the kernel gives only once."""
    monkeypatch.setattr("meter.core.kept.getrlimit", lambda _: (4, 4))
    for name in ("sda", "sdb"):
        disks.add(name)
    disks.write({"sda": FLAT, "sdb": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)
    size = disks.sys / "sdb" / "size"
    size.rename(size.with_name("old"))  # so that its number is not free
    size.write_text("7\n")
    disks.write({"sda": [102] * 11, "sdb": [150] * 11})

    cells = poll(mounted, 2)
    mounted.source.stop()

    assert counted(cells["sda"])[:4] == [2] * 4
    assert counted(cells["sdb"]) == [OTHER] * 9
    assert cells["sdb"][LIMIT] == 7 * SECTOR


def test_a_device_made_anew_while_it_is_read_has_its_own_base(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read just before it was replaced is never the base of the one behind it."""
    disks.add("sda")
    disks.write({"sda": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)
    sysfs: Any = mounted.source._sysfs  # type: ignore[attr-defined]
    size = sysfs.size

    def replaced(device: str) -> Any:
        monkeypatch.setattr(sysfs, "size", size)
        remove(mounted, disks, device)
        disks.write({"sda": [500] * 11})
        return size(device)

    monkeypatch.setattr(sysfs, "size", replaced)  # between the counters and what tells whose they are
    second = poll(mounted, 2)
    disks.write({"sda": [507] * 11})
    third = poll(mounted, 3)
    mounted.source.stop()

    assert counted(second["sda"]) == [OTHER] * 9
    assert counted(third["sda"])[:4] == [7] * 4


def test_devices_that_never_rest_are_tried_again(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The poll fails instead of guessing; the next one spans both intervals."""
    for name in ("sda", "sdb"):
        disks.add(name)
    disks.write({"sda": FLAT, "sdb": FLAT})
    mounted = disks.mount()
    poll(mounted, 1)
    sysfs: Any = mounted.source._sysfs  # type: ignore[attr-defined]
    size = sysfs.size

    def replaced(device: str) -> Any:
        if device == "sdb":
            remove(mounted, disks, device)
        return size(device)

    monkeypatch.setattr(sysfs, "size", replaced)
    with pytest.raises(Retry, match="came and went"):
        mounted.rows(2 * SECOND)
    mounted.readings.drop()
    monkeypatch.undo()
    disks.write({"sda": [104] * 11, "sdb": FLAT})

    cells = poll(mounted, 3)
    mounted.source.stop()

    assert counted(cells["sda"])[:4] == [4] * 4


@pytest.mark.parametrize(
    "config", [{"include": ["nope*"]}, {"include": ["sda[0-9]"]}, {"include": []}, {"exclude": ["*"]}]
)
def test_options_that_leave_nothing_are_refused(stack: Disks, config: dict[str, Any]) -> None:
    """With what there is; they would measure nothing for ever. Nothing stays open."""
    count = len(os.listdir("/proc/self/fd"))
    with pytest.raises(LookupError, match="the options leave no device to measure; there are `bcache0`, `dm-0`"):
        stack.mount(**config)

    assert len(os.listdir("/proc/self/fd")) == count


def test_a_file_that_ends_within_a_line_is_read_again(disks: Disks) -> None:
    """A number may be cut there; nothing is taken of it, and the next row covers both intervals."""
    disks.add("sda")
    disks.write({"sda": FLAT})
    mounted = disks.mount()
    mounted.rows(1 * SECOND)
    whole = disks.file.read_text()
    disks.file.write_text(whole.rstrip("\n"))
    with pytest.raises(Retry):
        mounted.rows(2 * SECOND)
    mounted.readings.drop()
    disks.write({"sda": [105] * 11})

    [row] = mounted.rows(3 * SECOND)
    mounted.source.stop()

    assert (row.values[0], row.since) == (5, 1 * SECOND)


def test_a_failed_poll_loses_nothing(disks: Disks) -> None:
    """EISDIR stands for whatever the kernel may answer instead; the next delta covers the time of both."""
    disks.add("sda")
    disks.write({"sda": FLAT})
    mounted = disks.mount()
    mounted.rows(1 * SECOND)
    kept, folder = os.dup(mounted.source._file), os.open(disks.root, os.O_RDONLY)  # type: ignore[attr-defined]
    os.dup2(folder, mounted.source._file)  # type: ignore[attr-defined]
    with pytest.raises(Retry):
        mounted.rows(2 * SECOND)
    mounted.readings.drop()
    os.dup2(kept, mounted.source._file)  # type: ignore[attr-defined]
    disks.write({"sda": [109] * 11})

    [row] = mounted.rows(3 * SECOND)
    mounted.source.stop()
    os.close(kept)
    os.close(folder)

    assert (row.values[0], row.since) == (9, 1 * SECOND)


def test_a_file_in_pieces_is_read_whole(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel hands over at most a page or so of whole lines, however much is asked for."""
    names = [f"sd{nth:02d}" for nth in range(90)]
    for name in names:
        disks.add(name)
    disks.write(dict.fromkeys(names, FLAT))
    mounted = disks.mount()
    file, pread = mounted.source._file, os.pread  # type: ignore[attr-defined]

    def page(descriptor: int, size: int, offset: int) -> bytes:
        text = pread(descriptor, size, offset)
        return text[: text.rindex(b"\n", 0, 4096) + 1] if descriptor == file and len(text) > 4096 else text

    monkeypatch.setattr(os, "pread", page)
    seen = poll(mounted, 1)
    monkeypatch.undo()
    mounted.source.stop()

    assert list(seen) == names


# ---------------------------------------------------------------------------------------------------- the real machine


def test_the_contract_declares_what_is_emitted() -> None:
    """Each series of a device is declared, and none twice."""
    keys = [
        declared("disk").key(metric, "sda", attributes={"disk.io.direction": way} if way else {})
        for metric, way in [*SERIES, LIMIT]
    ]

    assert len({key.name for key in keys}) == len(SERIES) + 1


PLACES = itemgetter(0, 4, 1, 5, 2, 6, 3, 7, 9)


def real() -> dict[str, list[int]]:
    """The counters of each whole device from /sys/block, in the order of SERIES."""
    return {
        folder.name.replace("!", "/"): [int(word) for word in PLACES((folder / "stat").read_text().split())]
        for folder in Path("/sys/block").iterdir()
    }


@pytest.mark.skipif(not Path("/sys/block").is_dir(), reason="needs /sys/block")
def test_the_real_machine_agrees_with_sysfs(tmp_path: Path) -> None:
    """Each counter of each device lies between what its own file says before and after."""
    mounted = Mounted("disk", {"devices": "whole"})
    outer_first = real()
    poll(mounted, 1)
    inner_first = real()
    with (tmp_path / "written").open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    inner_last = real()
    actual = poll(mounted, 2)
    outer_last = real()
    mounted.source.stop()

    assert set(actual) == set(outer_first)
    scale = [1] * 4 + [SECTOR] * 2 + [0.001] * 3
    for name, cells in actual.items():
        for nth, value in enumerate(counted(cells)):
            if not isinstance(value, str):
                least = (inner_last[name][nth] - inner_first[name][nth]) * scale[nth]
                most = (outer_last[name][nth] - outer_first[name][nth]) * scale[nth]
                assert least - 1e-9 <= value <= most + 1e-9
        sectors = int(Path("/sys/block", name.replace("/", "!"), "size").read_text())
        assert cells[LIMIT] == sectors * SECTOR


def test_the_real_machine_agrees_with_psutil(tmp_path: Path) -> None:
    """Each delta of each device lies between what psutil says before and after."""
    fields = ("read_count", "write_count", "read_merged_count", "write_merged_count", "read_bytes", "write_bytes")

    def read() -> dict[str, list[float]]:
        found = psutil.disk_io_counters(perdisk=True, nowrap=False)
        return {
            name: [
                *(getattr(each, field) for field in fields),
                *(ms / 1000 for ms in (each.read_time, each.write_time, each.busy_time)),
            ]
            for name, each in found.items()
        }

    mounted = Mounted("disk", {"devices": "whole"})
    outer_first = read()
    poll(mounted, 1)
    inner_first = read()
    with (tmp_path / "written").open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    inner_last = read()
    actual = poll(mounted, 2)
    outer_last = read()
    mounted.source.stop()

    known = {name: cells for name, cells in actual.items() if not isinstance(cells[SERIES[0]], str)}
    assert known.keys() <= outer_first.keys()
    for name, cells in known.items():
        for nth, value in enumerate(counted(cells)):
            assert inner_last[name][nth] - inner_first[name][nth] - 1e-9 <= value
            assert value <= outer_last[name][nth] - outer_first[name][nth] + 1e-9
