"""The source `paging`, on made files and on the real ones."""

from __future__ import annotations

import mmap
import os
import resource
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted
from tests.strategies import steady

MINOR = "system.paging.faults/machine/%/machine/%/system.paging.fault.type=minor"
MAJOR = "system.paging.faults/machine/%/machine/%/system.paging.fault.type=major"
IN = "system.paging.operations/machine/%/machine/%/system.paging.direction=in"
OUT = "system.paging.operations/machine/%/machine/%/system.paging.direction=out"
USED = "system.paging.usage/machine/%/machine/%/system.paging.state=used"
FREE = "system.paging.usage/machine/%/machine/%/system.paging.state=free"


class Memory:
    """A /proc/vmstat and a /proc/meminfo that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc").mkdir()
        self.events = root / "proc" / "vmstat"
        self.memory = root / "proc" / "meminfo"
        self.swap(0, 0)

    def count(self, swapped_in: object = 0, swapped_out: object = 0, faults: object = 0, major: object = 0) -> None:
        """Counters of events; one that is None is not there."""
        fields = {
            "nr_free_pages": 5,
            "pgpgin": 7,
            "pgpgout": 8,
            "pswpin": swapped_in,
            "pswpout": swapped_out,
            "x_pgfault": 98,
            "pgfault": faults,
            "pgmajfault": major,
            "pgfault_x": 99,
            "thp_swpout": 9,
        }
        self.events.write_text("".join(f"{name} {value}\n" for name, value in fields.items() if value is not None))

    def swap(self, total: object, free: object) -> None:
        """Swap space in kB; a field that is None is not there."""
        fields = {"MemTotal": 16000000, "SwapCached": 11, "SwapTotal": total, "SwapFree": free, "Dirty": 3}
        self.memory.write_text(
            "".join(f"{name + ':':15} {value!s:>8} kB\n" for name, value in fields.items() if value is not None)
        )

    def mount(self) -> Mounted:
        """The source over them."""
        return Mounted("paging", sysroot=self.root)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Without swap, and nothing has happened."""
    made = Memory(tmp_path)
    made.count()
    return made


def poll(mounted: Mounted, seconds: int) -> dict[str, Any]:
    """One poll: values or reasons by the names of the keys."""
    return {
        name: cell.value.reason if isinstance(cell.value, Missing) else cell.value
        for name, cell in mounted.cells(seconds * SECOND).items()
    }


def test_events_are_differences_and_swap_is_what_is_there(memory: Memory) -> None:
    """Minor faults are those that were not major; the first reading of a counter is its base."""
    memory.count(swapped_in=1, swapped_out=2, faults=2**50, major=3)
    memory.swap(1000, 400)
    mounted = memory.mount()
    first = poll(mounted, 1)
    memory.count(swapped_in=11, swapped_out=22, faults=2**50 + 101, major=33)
    memory.swap(1000, 300)

    second = poll(mounted, 2)
    mounted.source.stop()

    assert first == {USED: 600 * 1024, FREE: 400 * 1024}
    assert second == {USED: 700 * 1024, FREE: 300 * 1024, IN: 10, OUT: 20, MINOR: 71, MAJOR: 30}


def test_no_swap_is_0_bytes(memory: Memory) -> None:
    """The kernel says that there is no space: a value, not a gap."""
    mounted = memory.mount()

    assert poll(mounted, 1) == {USED: 0, FREE: 0}
    mounted.source.stop()


def test_two_polls_give_one_row_over_the_whole_span(memory: Memory) -> None:
    """Its first reading's time is where the row begins."""
    mounted = memory.mount()
    mounted.rows(3 * SECOND)

    [row] = mounted.rows(10 * SECOND)
    mounted.source.stop()

    assert (row.since, row.ts) == (3 * SECOND, 10 * SECOND)


@steady
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=20))
def test_minor_and_major_faults_add_up(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]) -> None:
    """Also where major faults are counted before they are counted as faults: none is negative, none is lost."""
    memory = Memory(tmp_path_factory.mktemp("memory"))
    memory.count()
    mounted = memory.mount()
    poll(mounted, 0)
    faults = major = told = 0
    for nth, (more, waiting) in enumerate(steps, 1):
        faults, major = faults + more, major + waiting
        memory.count(faults=faults, major=major)
        cells = poll(mounted, nth)
        assert cells[MAJOR] == waiting
        assert cells[MINOR] >= 0
        told += cells[MINOR]
    memory.count(faults=faults + major, major=major)  # in the end every fault is counted
    told += poll(mounted, len(steps) + 1)[MINOR]
    mounted.source.stop()

    assert told == faults


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (2**32 - 5, 3, 8),  # kernels of 32 bits start again at 0
        (2**32, 3, "the counter `pswpin` went back"),  # no counter of 32 bits was there
        (100, 99, "the counter `pswpin` went back"),  # too far from the end of the range
    ],
)
def test_a_counter_that_fell_wrapped_or_is_missing_once(
    memory: Memory, before: int, after: int, expected: int | str
) -> None:
    """Never negative, never 0; the other counters are not touched by it."""
    memory.count(swapped_in=before)
    mounted = memory.mount()
    poll(mounted, 1)
    memory.count(swapped_in=after, swapped_out=4)
    fell = poll(mounted, 2)
    memory.count(swapped_in=after + 2, swapped_out=4)
    later = poll(mounted, 3)
    mounted.source.stop()

    assert (fell[IN], fell[OUT]) == (expected, 4)
    assert later[IN] == 2


@pytest.mark.parametrize(
    ("events", "swap", "missing"),
    [
        # built without swap
        ({"swapped_in": None}, {}, {IN: "this kernel gives no `pswpin` in /proc/vmstat"}),
        ({"swapped_out": "x"}, {}, {OUT: "the kernel has `x` for `pswpout`, no number"}),
        ({"faults": None}, {}, {MINOR: "this kernel gives no `pgfault` in /proc/vmstat"}),
        (
            {"major": None},
            {},
            dict.fromkeys((MINOR, MAJOR), "this kernel gives no `pgmajfault` in /proc/vmstat"),
        ),
        ({}, {"total": None}, {USED: "this kernel gives no `SwapTotal` in /proc/meminfo"}),
        ({}, {"free": None}, dict.fromkeys((USED, FREE), "this kernel gives no `SwapFree` in /proc/meminfo")),
        ({}, {"total": 1}, {USED: "/proc/meminfo says that more swap is free than there is"}),
    ],
)
def test_what_the_kernel_does_not_say_is_missing(
    memory: Memory, events: dict[str, Any], swap: dict[str, Any], missing: dict[str, str]
) -> None:
    """With the reason, and never 0; what does not need it is there."""
    memory.count(**events)
    memory.swap(**{"total": 10, "free": 4, **swap})
    mounted = memory.mount()
    poll(mounted, 1)

    cells = poll(mounted, 2)
    mounted.source.stop()

    assert {key: cells.pop(key) for key in missing} == missing
    assert all(isinstance(value, int) for value in cells.values())
    assert len(cells) == 6 - len(missing)


@pytest.mark.parametrize("page", [40, 64, 100])
def test_a_file_in_pieces_is_read_as_far_as_needed(memory: Memory, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """The kernel hands over a page or so of whole lines at a time; each piece makes it count anew."""
    memory.count(1, 2, 30, 4)
    mounted = memory.mount()
    poll(mounted, 1)
    memory.count(11, 22, 133, 44)
    file, pread, reads = mounted.source._events, os.pread, 0  # type: ignore[attr-defined]

    def piece(descriptor: int, size: int, offset: int) -> bytes:
        nonlocal reads
        text = pread(descriptor, size, offset)
        if descriptor != file:
            return text
        reads += 1
        return text[: text.rindex(b"\n", 0, page) + 1] if len(text) > page else text

    monkeypatch.setattr(os, "pread", piece)
    cells = poll(mounted, 2)
    monkeypatch.undo()
    mounted.source.stop()

    assert [cells[key] for key in (IN, OUT, MINOR, MAJOR)] == [10, 20, 63, 40]
    assert reads <= 1 + len(memory.events.read_bytes().split(b"pgmajfault")[0]) // (page // 2)


@pytest.mark.parametrize("torn", ["events", "memory"])
def test_a_failed_poll_loses_nothing(memory: Memory, torn: str) -> None:
    """A number may be cut where a file ends within a line; the next row covers both intervals."""
    mounted = memory.mount()
    mounted.rows(1 * SECOND)
    file: Path = getattr(memory, torn)
    whole = file.read_text()
    file.write_text(whole[: whole.index("pgmajfault") + 12] if torn == "events" else whole[:-4])
    file.write_text(file.read_text().rstrip("\n"))
    with pytest.raises(Retry):
        mounted.rows(2 * SECOND)
    mounted.readings.drop()
    file.write_text(whole)
    memory.count(swapped_in=6)

    cell = mounted.cells(3 * SECOND)[IN]
    mounted.source.stop()

    assert cell == (6, 1 * SECOND, 3 * SECOND)


def counters() -> dict[str, int]:
    """Counters of /proc/vmstat by another reading."""
    return {name: int(value) for name, value in map(str.split, Path("/proc/vmstat").read_text().splitlines())}


def test_the_real_machine_agrees_with_other_readings() -> None:
    """Each counter lies between other readings before and after; pages that were touched are among the faults."""
    mounted = Mounted("paging")
    outer_first = counters()
    poll(mounted, 1)
    inner_first = counters()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with mmap.mmap(-1, 512 * mmap.PAGESIZE) as pages:
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            pages.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, len(pages), mmap.PAGESIZE):
            pages[at] = 1
    touched = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    inner_last = counters()
    cells = poll(mounted, 2)
    outer_last = counters()
    mounted.source.stop()

    pairs = {
        "pswpin": cells[IN],
        "pswpout": cells[OUT],
        "pgmajfault": cells[MAJOR],
        "pgfault": cells[MINOR] + cells[MAJOR],
    }
    for name, value in pairs.items():
        assert inner_last[name] - inner_first[name] <= value <= outer_last[name] - outer_first[name]
    assert touched >= 512
    assert cells[MINOR] >= touched


def test_the_real_swap_agrees_with_psutil() -> None:
    """The total exactly; what is used lies between two readings, or as near as swap traffic of meanwhile explains."""
    mounted = Mounted("paging")
    before = psutil.swap_memory()
    cells = poll(mounted, 1)
    after = psutil.swap_memory()
    mounted.source.stop()

    assert cells[USED] + cells[FREE] == before.total
    assert min(before.used, after.used) - 2**24 <= cells[USED] <= max(before.used, after.used) + 2**24


def test_it_can_be_started_again(memory: Memory) -> None:
    """After `stop` everything is closed, and a new start begins with a new base."""
    count = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        mounted = memory.mount()
        assert list(poll(mounted, 1)) == [USED, FREE]
        mounted.source.stop()

    assert len(os.listdir("/proc/self/fd")) == count


def test_a_file_that_is_not_there_leaves_nothing_open(memory: Memory) -> None:
    """The start fails with the file's name."""
    memory.memory.unlink()
    count = len(os.listdir("/proc/self/fd"))

    with pytest.raises(FileNotFoundError, match="meminfo"):
        memory.mount()

    assert len(os.listdir("/proc/self/fd")) == count
