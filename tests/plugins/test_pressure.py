"""The source `pressure`, on made pressure files and on the real ones."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fake import Cell

ALL = {("cpu", "some"), ("memory", "some"), ("memory", "full"), ("io", "some"), ("io", "full"), ("irq", "full")}
REAL = Path("/proc/pressure")


class Psi:
    """A /proc/pressure that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "proc" / "pressure"
        self.folder.mkdir(parents=True)

    def write(self, **totals: tuple[int | None, int | None]) -> None:
        """Totals in microseconds of `some` and `full` of each resource, as the kernel prints them."""
        for resource, (some, full) in totals.items():
            lines = {"some": some, "full": full}
            text = "".join(
                f"{line} avg10=1.23 avg60=4.56 avg300=7.89 total={total}\n"
                for line, total in lines.items()
                if total is not None
            )
            (self.folder / resource).write_text(text)

    def mount(self) -> Mounted:
        """The source over it."""
        return Mounted("pressure", sysroot=self.root)


@pytest.fixture
def psi(tmp_path: Path) -> Psi:
    """One in which nothing has ever waited."""
    made = Psi(tmp_path)
    made.write(cpu=(0, 0), memory=(0, 0), io=(0, 0), irq=(None, 0))
    return made


def key(resource: str, line: str) -> str:
    """The name of a series."""
    attributes = f"system.pressure.resource={resource}/system.pressure.type={line}"
    return f"system.pressure.stall_time/machine/%/machine/%/{attributes}"


def values(cells: Mapping[str, Cell]) -> dict[tuple[str, str], float | str]:
    """Seconds or reasons, by resource and line."""
    found = {}
    for series in ALL:
        cell = cells.get(key(*series))
        if cell is not None:
            found[series] = cell.value.reason if isinstance(cell.value, Missing) else cell.value
    assert len(found) == len(cells)
    return found


def test_totals_become_seconds_of_waiting(psi: Psi) -> None:
    """Each line of each resource is its own series; what the kernel calls full of cpu is none."""
    psi.write(cpu=(10, 1), memory=(20, 2), io=(30, 3), irq=(None, 4))
    mounted = psi.mount()
    mounted.rows(SECOND)
    psi.write(
        cpu=(10 + 500_000, 1 + 9),
        memory=(20 + 250_000, 2 + 125_000),
        io=(30 + 1_000_000, 3 + 1),
        irq=(None, 4 + 62_500),
    )

    cells = mounted.cells(2 * SECOND)
    mounted.source.stop()

    assert values(cells) == {
        ("cpu", "some"): 0.5,
        ("memory", "some"): 0.25,
        ("memory", "full"): 0.125,
        ("io", "some"): 1.0,
        ("io", "full"): 0.000001,
        ("irq", "full"): 0.0625,
    }


def test_two_polls_give_one_row_over_the_whole_span(psi: Psi) -> None:
    """The first reading is the base and gives nothing."""
    mounted = psi.mount()

    first = mounted.cells(3 * SECOND)
    psi.write(cpu=(7_000_000, 0))
    second = mounted.cells(10 * SECOND)
    mounted.source.stop()

    assert first == {}
    assert second[key("cpu", "some")] == (7.0, 3 * SECOND, 10 * SECOND)


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=8))
def test_seconds_add_up_to_what_was_counted(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    """Whatever a total does, the deltas add up to its last reading less its first."""
    psi = Psi(tmp_path_factory.mktemp("psi"))
    totals = [sum(steps[: place + 1]) for place in range(len(steps))]
    psi.write(cpu=(totals[0], None))
    mounted = psi.mount()
    mounted.rows(SECOND)

    waited = []
    for place, total in enumerate(totals[1:], 2):
        psi.write(cpu=(total, None))
        waited.append(mounted.cells(place * SECOND)[key("cpu", "some")].value)
    mounted.source.stop()

    assert [round(seconds * 1_000_000) for seconds in waited] == steps[1:]


def test_a_total_that_fell_is_missing_once(psi: Psi) -> None:
    """What it had counted is unknown; the next delta counts from where it is now."""
    psi.write(memory=(100, 100))
    mounted = psi.mount()
    mounted.rows(SECOND)

    psi.write(memory=(40, 1_000_100))
    fell = values(mounted.cells(2 * SECOND))
    psi.write(memory=(2_000_040, 1_000_100))
    after = values(mounted.cells(3 * SECOND))
    mounted.source.stop()

    assert "back" in str(fell["memory", "some"])
    assert fell["memory", "full"] == 1.0
    assert after["memory", "some"] == 2.0


def test_a_resource_that_the_kernel_lacks_is_missing(psi: Psi) -> None:
    """With its file as the reason, and never 0; the others are there."""
    (psi.folder / "irq").unlink()
    mounted = psi.mount()
    mounted.rows(SECOND)

    cells = values(mounted.cells(2 * SECOND))
    mounted.source.stop()

    assert {series for series, value in cells.items() if isinstance(value, str)} == {("irq", "full")}
    assert cells["irq", "full"] == "this kernel has no /proc/pressure/irq"


@pytest.mark.parametrize("text", ["", "some avg10=0.00\n", "some total=many\n", "full total=1\n", "\n\n"])
def test_a_file_without_a_total_is_missing(psi: Psi, text: str) -> None:
    """With the line that was looked for."""
    (psi.folder / "cpu").write_text(text)
    mounted = psi.mount()
    mounted.rows(SECOND)

    cells = values(mounted.cells(2 * SECOND))
    mounted.source.stop()

    assert cells["cpu", "some"] == "/proc/pressure/cpu has no total of `some`"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EOPNOTSUPP, "psi=1"),  # the kernel was started with psi=0
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_an_unreadable_poll_loses_nothing(psi: Psi, monkeypatch: pytest.MonkeyPatch, code: int, reason: str) -> None:
    """It is missing with the reason, and the next delta spans both intervals."""
    mounted = psi.mount()
    mounted.rows(SECOND)

    def fail(*_: int) -> bytes:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fail)
        failed = values(mounted.cells(2 * SECOND))
    psi.write(io=(3_000_000, 0))
    after = mounted.cells(3 * SECOND)
    mounted.source.stop()

    assert all(reason in str(value) for value in failed.values())
    assert set(failed) == ALL
    assert after[key("io", "some")] == (3.0, SECOND, 3 * SECOND)


@pytest.mark.skipif(not os.access(REAL / "cpu", os.R_OK), reason="this kernel has no pressure information")
def test_the_real_machine_agrees_with_its_files() -> None:
    """Read by another reader just before and after, the totals hold what the source gives between them."""
    mounted = Mounted("pressure")
    outer = totals()
    mounted.rows(SECOND)
    inner = totals()
    sum(range(1_000_000))
    inner = grown(inner)
    cells = values(mounted.cells(2 * SECOND))
    outer = grown(outer)
    mounted.source.stop()

    for series, most in outer.items():
        value = cells[series]
        assert isinstance(value, float)
        assert inner[series] <= round(value * 1_000_000) <= most
    assert {series for series in ALL if isinstance(cells[series], str)} == ALL - set(outer)


def grown(before: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """By how much the totals are more than they were."""
    now = totals()
    return {series: now[series] - total for series, total in before.items()}


def totals() -> dict[tuple[str, str], int]:
    """What the files say, in microseconds, but for full of cpu."""
    found = {}
    for path in REAL.iterdir():
        for line in path.read_text().splitlines():
            word, *fields = line.split()
            if (path.name, word) != ("cpu", "full"):
                found[path.name, word] = int(dict(field.split("=") for field in fields)["total"])
    return found
