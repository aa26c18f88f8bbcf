"""Blocks are handed on without copying a value."""

from __future__ import annotations

import math
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.batch import Anchor, Batch, Block
from meter.core.building import build
from meter.core.keys import KeyClash, KeySet
from meter.core.layout import Layout
from meter.core.plugin import Missing
from meter.core.readings import Row
from tests.core.blocks import DRIFT, KEYS, POWER, TIME, cpu, one, plain, points, sources

PROPERTY = settings(derandomize=True, deadline=None)


class TestBlock:
    """Rows of one layout."""

    def test_arrays_are_read_only(self) -> None:
        """A block that two chains have cannot be changed by one of them."""
        block = one([cpu(POWER, 1), cpu(POWER, 0), cpu(TIME)], [1.0, None, 3])

        for array in (block.ts, block.since, *block.parts, block.masks[0], block.column(cpu(TIME))):
            assert array is not None
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0

    def test_the_values_of_a_metric_are_a_view(self) -> None:
        """Reading a metric copies nothing."""
        block = one([cpu(POWER, 0), cpu(POWER, 1), cpu(POWER._replace(name="other"))], [1.0, 2.0, 3.0])

        assert block.values("hw.power").tolist() == [[1.0, 2.0]]
        assert np.shares_memory(block.values("hw.power"), block.parts[0])

    def test_the_values_of_a_scattered_metric_are_in_the_order_of_its_keys(self) -> None:
        """Where the columns lie does not show, missing cells included; the copy is read-only as the view is."""
        left = one([cpu(POWER, 0), cpu(POWER, 2)], [0.0, 2.0], [10.0, 12.0])
        block = left.join(one([cpu(POWER, 1)], [1.0], [None]))

        values, missing = block.values("hw.power"), block.missing("hw.power")

        assert np.array_equal(values, [[0.0, 1.0, 2.0], [10.0, math.nan, 12.0]], equal_nan=True)
        assert missing is not None
        assert missing.tolist() == [[False, False, False], [False, True, False]]
        assert not values.flags.writeable

    def test_holes_in_a_restriction_do_not_show(self) -> None:
        """A metric without one of its columns is just narrower."""
        block = one([cpu(POWER, number) for number in range(3)], [0.0, 1.0, 2.0])

        selected = block.select(block.layout.restrict(KeySet([cpu(POWER, 0), cpu(POWER, 2)])))

        assert selected.values("hw.power").tolist() == [[0.0, 2.0]]
        assert not selected.values("hw.power").flags.writeable

    def test_a_metric_of_two_types_is_refused(self) -> None:
        """One matrix cannot hold u64 and f64 without loss."""
        block = one([cpu(TIME, 0), cpu(TIME._replace(type="f64"), 1)], [2**63 + 1, 0.5])

        with pytest.raises(TypeError, match="f64 and u64"):
            block.values("cpu.time")

    def test_no_places_are_no_columns(self) -> None:
        """A selection may be empty."""
        block = one([cpu(POWER)], [1.0], [2.0])

        assert block.take(()).shape == (2, 0)
        assert block.take_masks(()) is None

    def test_an_unknown_metric_is_refused(self) -> None:
        """Nothing is not the same as no columns."""
        with pytest.raises(KeyError, match="nothing"):
            one([cpu(POWER)], [1.0]).values("nothing")

    def test_a_row_is_counted_from_either_end(self) -> None:
        """The last row is row -1, with its own reason; a row that is not there is refused."""
        block = one([cpu(POWER)], [1.0], [Missing("EIO")])

        assert plain(block.cell(-1, cpu(POWER))) == ("missing", "EIO")
        with pytest.raises(IndexError):
            block.cell(2, cpu(POWER))

    @PROPERTY
    @given(sources(), st.lists(KEYS).map(KeySet))
    def test_selecting_keeps_the_cells_of_the_keys_selected(self, rows: list[Row], some: KeySet) -> None:
        """Values and reasons follow their keys, the arrays stay the same objects."""
        for block in build(rows):
            selected = block.select(block.layout.restrict(block.layout.keys & some))

            assert selected.parts is block.parts
            assert points(selected) == {
                (name, ts): value for (name, ts), value in points(block).items() if name in some
            }

    def test_selecting_with_a_foreign_layout_is_refused(self) -> None:
        """A layout over other parts would address other values."""
        with pytest.raises(ValueError, match="no restriction"):
            one([cpu(POWER, 0), cpu(POWER, 1)], [1.0, 2.0]).select(Layout.of([cpu(POWER, 0)]))

    @PROPERTY
    @given(sources(), st.lists(KEYS).map(KeySet))
    def test_what_was_divided_can_be_joined(self, rows: list[Row], some: KeySet) -> None:
        """The two sides of a selection joined have the cells of the whole, values and reasons."""
        for block in build(rows):
            keys = block.layout.keys
            inside = block.select(block.layout.restrict(keys & some))
            outside = block.select(block.layout.restrict(keys - some))

            joined = outside.join(inside)

            assert joined.parts == outside.parts + inside.parts
            assert points(joined) == points(block)
            joined.verify()

    def test_joining_rows_of_other_spans_is_refused(self) -> None:
        """Values of different times do not stand in one row."""
        with pytest.raises(ValueError, match="same spans"):
            one([cpu(POWER)], [1.0], [2.0]).join(one([cpu(TIME)], [1]))

    def test_joining_equal_keys_is_refused(self) -> None:
        """A series has one value in a row."""
        with pytest.raises(KeyClash):
            one([cpu(POWER)], [1.0]).join(one([cpu(POWER)], [2.0]))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"parts": ()},
            {"parts": (np.zeros((1, 2)),)},
            {"parts": (np.zeros((2, 1)),)},
            {"parts": (np.zeros((1, 1), dtype=np.int64),)},
            {"ts": np.zeros(1)},
            {"since": np.zeros(2, dtype=np.int64)},
            {"masks": (np.zeros((1, 2), dtype=bool),)},
            {"masks": (np.zeros((1, 1)),)},
        ],
    )
    def test_verify_finds_what_does_not_fit_the_layout(self, wrong: dict[str, Any]) -> None:
        """A filter that gives matrices of another shape or type is found at the next hop."""
        right: dict[str, Any] = {
            "ts": np.ones(1, dtype=np.int64),
            "since": np.zeros(1, dtype=np.int64),
            "parts": (np.zeros((1, 1)),),
        }
        Block(Layout.of([cpu(POWER)]), **right).verify()

        with pytest.raises(ValueError, match="Layout"):
            Block(Layout.of([cpu(POWER)]), **right | wrong).verify()

    def test_a_block_survives_a_pickle(self) -> None:
        """A second process gets the same cells, as read-only as here."""
        block = one([cpu(POWER), cpu(TIME)], [Missing("EIO"), 2**63 + 1])

        copy = pickle.loads(pickle.dumps(block))

        copy.verify()
        assert copy.layout is block.layout
        assert points(copy) == points(block)


class TestBatch:
    """Blocks that flow together."""

    def test_rows_and_points_are_counted_over_all_blocks(self) -> None:
        """Missing cells are points too."""
        batch = Batch((one([cpu(POWER), cpu(TIME)], [1.0, 2], [None, 3]), one([cpu(DRIFT)], [1])), Anchor(0, 0), seq=1)

        assert (batch.rows, batch.points) == (3, 5)

    def test_a_fork_is_the_batch_itself(self) -> None:
        """What cannot change needs no copy."""
        batch = Batch((one([cpu(POWER)], [1.0]),), Anchor(0, 0), seq=1)

        assert batch.fork() is batch


class TestAnchor:
    """One instant on two clocks."""

    def test_wall_time_is_as_far_from_the_anchor_as_monotonic_time(self) -> None:
        """Times become wall times without a rounding, one by one and as an array."""
        anchor = Anchor(mono_ns=1_000, wall_ns=1_700_000_000_000_000_123)

        assert anchor.wall(1_005) == 1_700_000_000_000_000_128
        assert anchor.wall(np.array([1_000, 995])).tolist() == [1_700_000_000_000_000_123, 1_700_000_000_000_000_118]

    def test_of_three_readings_the_tightest_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interruption between the clocks does not skew the anchor."""
        mono = iter([0, 900, 1_000, 1_010, 2_000, 2_500])
        wall = iter([50_000, 51_005, 53_000])
        clocks = SimpleNamespace(monotonic_ns=lambda: next(mono), time_ns=lambda: next(wall))
        monkeypatch.setattr("meter.core.batch.time", clocks)

        assert Anchor.now() == Anchor(mono_ns=1_005, wall_ns=51_005)
