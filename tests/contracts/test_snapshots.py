"""Typical faults as a terminal shows them, word for word; `python -m tests.snapshots` writes them anew."""

from __future__ import annotations

import pytest

from tests import snapshots


@pytest.mark.parametrize("name", snapshots.names())
def test_a_fault_looks_as_it_was_read(name: str) -> None:
    """Whoever changes a text has seen what becomes of it."""
    text = (snapshots.FOLDER / f"{name}.txt").read_text()
    assert snapshots.shown(name) == text
    assert all(len(line) <= 80 or line.lstrip().startswith("`") for line in text.splitlines()), (
        "but what is to be copied"
    )


def test_nothing_is_left_over() -> None:
    """Each file belongs to a fault that is shown."""
    assert sorted(path.stem for path in snapshots.FOLDER.glob("*.txt")) == snapshots.names()
