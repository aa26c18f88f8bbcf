"""The source `load`, on made loadavg files and on the real one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from pathlib import Path

KEYS = tuple(f"system.cpu.load_average.{minutes}m/machine/%/machine/%" for minutes in (1, 5, 15))


def mount(root: Path, text: str) -> Mounted:
    """The source over a /proc whose loadavg has this text."""
    (root / "proc").mkdir()
    (root / "proc" / "loadavg").write_text(text)
    return Mounted("load", sysroot=root)


def test_averages_are_passed_on_in_their_order(tmp_path: Path) -> None:
    """The file says 1, 5 and 15 minutes in this order, then other things."""
    mounted = mount(tmp_path, "0.07 12.50 1024.99 3/512 4711\n")

    cells = mounted.cells(SECOND)
    mounted.source.stop()

    assert {name: cell.value for name, cell in cells.items()} == dict(zip(KEYS, (0.07, 12.5, 1024.99), strict=True))


def test_each_poll_reads_anew(tmp_path: Path) -> None:
    """The descriptor is kept, the numbers are not."""
    mounted = mount(tmp_path, "1.00 2.00 3.00 1/2 3\n")
    mounted.rows(SECOND)
    (tmp_path / "proc" / "loadavg").write_text("4.00 2.00 3.00 1/2 3\n")

    assert mounted.cells(2 * SECOND)[KEYS[0]].value == 4
    mounted.source.stop()


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", KEYS),
        ("1.00 2.00", KEYS[2:]),  # cut off
        ("1.00 2,00 3.00 1/2 3\n", KEYS[1:2]),
        ("nan inf -1.00 1/2 3\n", KEYS),
    ],
)
def test_what_is_no_load_is_missing(tmp_path: Path, text: str, missing: tuple[str, ...]) -> None:
    """With what the file says as the reason, and never 0; the other numbers are there."""
    mounted = mount(tmp_path, text)

    cells = mounted.cells(SECOND)
    mounted.source.stop()

    gaps = {name: cell.value for name, cell in cells.items() if isinstance(cell.value, Missing)}
    assert sorted(gaps) == sorted(missing)
    assert len(cells) == len(KEYS)
    assert all(repr(text.encode()) in gap.reason for gap in gaps.values())


def test_a_file_that_fails_once_is_tried_again(tmp_path: Path) -> None:
    """EISDIR stands for whatever the kernel may answer instead."""
    mounted = mount(tmp_path, "1.00 2.00 3.00 1/2 3\n")
    kept = os.dup(mounted.source._file)  # type: ignore[attr-defined]
    folder = os.open(tmp_path, os.O_RDONLY)
    os.dup2(folder, mounted.source._file)  # type: ignore[attr-defined]
    with pytest.raises(Retry, match="/proc/loadavg"):
        mounted.rows(SECOND)

    os.dup2(kept, mounted.source._file)  # type: ignore[attr-defined]
    assert mounted.cells(2 * SECOND)[KEYS[0]].value == 1
    mounted.source.stop()
    os.close(kept)
    os.close(folder)


def test_the_real_machine_agrees_with_getloadavg() -> None:
    """Within what one renewal of the averages, which may lie between the two readings, can change."""
    mounted = Mounted("load")
    before = os.getloadavg()
    cells = mounted.cells(SECOND)
    after = os.getloadavg()
    mounted.source.stop()

    for name, low, high in zip(KEYS, map(min, before, after), map(max, before, after), strict=True):
        assert low - 0.01 <= cells[name].value <= high + 0.01
