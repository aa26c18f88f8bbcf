"""The source `random`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from pathlib import Path


def test_each_poll_gives_one_byte() -> None:
    """256 polls give numbers from 0 to 255, and not always the same."""
    mounted = Mounted("random")

    values = [cell.value for ts in range(256) for cell in mounted.cells(ts * SECOND).values()]
    mounted.source.stop()

    assert len(values) == 256
    assert set(values) <= set(range(256))
    assert len(set(values)) > 1  # equal by chance once in 256**255


def test_it_can_be_started_again(tmp_path: Path) -> None:
    """What `stop` released `start` takes again; /dev is the real one whatever the root of /proc."""
    mounted = Mounted("random", sysroot=tmp_path)
    mounted.source.stop()
    again = Mounted("random", sysroot=tmp_path)

    assert len(again.cells(SECOND)) == 1
    again.source.stop()
