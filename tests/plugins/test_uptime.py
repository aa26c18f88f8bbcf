"""The source `uptime`, on made uptime files and on the real one."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from pathlib import Path

KEY = "system.uptime/machine/%/machine/%"


def mount(root: Path, text: str) -> Mounted:
    """The source over a /proc whose uptime has this text."""
    (root / "proc").mkdir()
    (root / "proc" / "uptime").write_text(text)
    return Mounted("uptime", sysroot=root)


def test_the_first_number_is_the_uptime(tmp_path: Path) -> None:
    """The second is the idle time of all cores."""
    mounted = mount(tmp_path, "31536000.25 504576000.00\n")

    assert {name: cell.value for name, cell in mounted.cells(SECOND).items()} == {KEY: 31_536_000.25}
    mounted.source.stop()


def test_each_poll_reads_anew(tmp_path: Path) -> None:
    """The descriptor is kept, the number is not."""
    mounted = mount(tmp_path, "10.00 5.00\n")
    mounted.rows(SECOND)
    (tmp_path / "proc" / "uptime").write_text("11.01 5.00\n")

    assert mounted.cells(2 * SECOND)[KEY].value == 11.01
    mounted.source.stop()


@pytest.mark.parametrize("text", ["", "\n", "up 3 days", "-1.00 2.00", "nan 2.00", "inf 2.00"])
def test_what_is_no_uptime_is_missing(tmp_path: Path, text: str) -> None:
    """With what the file says as the reason, and never 0."""
    mounted = mount(tmp_path, text)

    gap = mounted.cells(SECOND)[KEY].value
    mounted.source.stop()

    assert isinstance(gap, Missing)
    assert repr(text.encode()) in gap.reason


def test_a_file_that_fails_once_is_tried_again(tmp_path: Path) -> None:
    """EISDIR stands for whatever the kernel may answer instead."""
    mounted = mount(tmp_path, "10.00 5.00\n")
    kept = os.dup(mounted.source._file)  # type: ignore[attr-defined]
    folder = os.open(tmp_path, os.O_RDONLY)
    os.dup2(folder, mounted.source._file)  # type: ignore[attr-defined]
    with pytest.raises(Retry, match="/proc/uptime"):
        mounted.rows(SECOND)

    os.dup2(kept, mounted.source._file)  # type: ignore[attr-defined]
    assert mounted.cells(2 * SECOND)[KEY].value == 10
    mounted.source.stop()
    os.close(kept)
    os.close(folder)


def test_the_real_machine_agrees_with_its_clock() -> None:
    """The value lies between two readings of the boot-time clock, but for the 10 ms by which it is rounded down."""
    mounted = Mounted("uptime")
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    uptime = mounted.cells(SECOND)[KEY].value
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    mounted.source.stop()

    assert before - 0.011 <= uptime <= after
