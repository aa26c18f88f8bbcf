"""Rows of an operand are held for as long as they may be needed, and no longer."""

from __future__ import annotations

from meter.core.holding import Held
from tests.core.test_joining import held, row


class TestHeld:
    """What is held, and how long."""

    def test_rows_are_handed_out_once(self) -> None:
        """Those of a piece that end later stay."""
        both = held([row(0, 1, 1.0), row(1, 2, 2.0)])
        assert both.until(1).ts.tolist() == [1]
        assert both.until(5).ts.tolist() == [2]
        assert both.until(9).ts.tolist() == []

    def test_memory_is_bounded(self) -> None:
        """Of many rows only those stay that end after what is asked for."""
        many = Held()
        for at in range(1000):
            many.add(row(at, at + 1, 1.0))
            many.forget(at - 3)
        assert len(many.rows.ts) == 4

    def test_spans_begin_behind_what_is_forgotten(self) -> None:
        """Nobody computes with half of a span."""
        both = held([row(0, 1, 1.0), row(1, 2, 2.0)])
        both.forget(1)
        assert both.since == 1
