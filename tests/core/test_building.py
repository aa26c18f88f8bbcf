"""Rows become blocks without losing a bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

from meter.core.building import build
from meter.core.keys import Metric
from meter.core.plugin import Missing
from meter.core.readings import Columns, Row
from tests.core.blocks import DRIFT, POWER, TIME, cpu, one, plain, points, sources

PROPERTY = settings(derandomize=True, deadline=None)


class TestBuild:
    """Rows of sources become blocks."""

    @PROPERTY
    @given(sources())
    def test_every_value_arrives(self, rows: list[Row]) -> None:
        """Each cell has the value and the type that was given, or is missing with the reason that was given."""
        blocks = build(rows)

        assert points(*blocks) == {
            (key.name, row.ts): ("missing", "")
            if value is None or (isinstance(value, float) and not math.isfinite(value))
            else plain(value)
            for row in rows
            for key, value in zip(row.columns.keys, row.values, strict=True)
        }
        for block in blocks:
            block.verify()

    def test_consecutive_rows_of_the_same_columns_are_one_block(self) -> None:
        """Blocks are as long as they can be, and rows keep their order."""
        a, b = Columns((cpu(POWER, 0),)), Columns((cpu(POWER, 1),))

        blocks = build([Row(a, 1, 0, [1.0]), Row(a, 2, 1, [2.0]), Row(b, 2, 0, [3.0]), Row(a, 3, 2, [4.0])])

        assert [(block.ts.tolist(), block.since.tolist()) for block in blocks] == [
            ([1, 2], [0, 1]),
            ([2], [0]),
            ([3], [2]),
        ]
        assert blocks[0].layout is blocks[2].layout

    def test_no_rows_are_no_blocks(self) -> None:
        """A poll may give nothing."""
        assert build([]) == ()

    def test_columns_are_in_the_order_of_the_keys(self) -> None:
        """A source may declare its columns in any order."""
        block = one([cpu(POWER, 10), cpu(POWER, 2)], [1.5, 2.5], [3.5, 4.5])

        assert block.parts[0].tolist() == [[2.5, 1.5], [4.5, 3.5]]

    @pytest.mark.parametrize(
        ("metric", "number"),
        [
            (TIME, 2**63 + 1),  # no float and no i64 holds it
            (TIME, 2**64 - 1),
            (DRIFT, -(2**63)),
            (DRIFT, 2**53 + 1),
        ],
    )
    def test_integers_keep_all_their_bits(self, metric: Metric, number: int) -> None:
        """A counter never passes through a float, beside floats and beside missing cells neither."""
        block = one([cpu(POWER), cpu(metric, 1), cpu(metric, 2)], [0.5, number, None])

        assert block.cell(0, cpu(metric, 1)) == number

    def test_a_missing_cell_is_masked_and_holds_no_value(self) -> None:
        """NaN is stored, in integers 0; the mask says that it is missing."""
        block = one([cpu(POWER), cpu(POWER, 1), cpu(TIME), cpu(TIME, 1)], [math.inf, 1.0, None, 7])

        floats, integers = block.missing("hw.power"), block.missing("cpu.time")

        assert floats is not None
        assert integers is not None
        assert (floats.tolist(), integers.tolist()) == ([[True, False]], [[True, False]])
        assert np.array_equal(block.values("hw.power"), [[math.nan, 1.0]], equal_nan=True)
        assert block.values("cpu.time").tolist() == [[0, 7]]

    @pytest.mark.parametrize("value", [None, Missing("EIO"), math.nan, math.inf, -math.inf, np.float32(math.nan)])
    @pytest.mark.parametrize("metric", [POWER, TIME])
    def test_what_is_no_number_is_missing(self, metric: Metric, value: object) -> None:
        """Missing is never 0, whatever way a source has to say it."""
        cell = one([cpu(metric), cpu(metric, 1)], [value, 1]).cell(0, cpu(metric))

        assert isinstance(cell, Missing)
        assert cell.reason == getattr(value, "reason", "")

    def test_without_missing_cells_there_are_no_masks(self) -> None:
        """The common case pays nothing for the rare one."""
        block = one([cpu(POWER), cpu(TIME)], [1.0, 2])

        assert (block.masks, dict(block.reasons)) == ((None, None), {})

    def test_only_the_part_with_a_missing_cell_has_a_mask(self) -> None:
        """A failing sensor does not touch the counters beside it."""
        block = one([cpu(POWER), cpu(TIME)], [Missing("EIO"), 2])

        assert [mask is None for mask in block.masks] == [False, True]
        assert dict(block.reasons) == {(0, block.layout.keys.position(cpu(POWER))): "EIO"}

    @pytest.mark.parametrize(
        ("metric", "number"), [(TIME, -1), (TIME, 2**64), (DRIFT, 2**63), (DRIFT, -(2**63) - 1), (POWER, 10**400)]
    )
    @pytest.mark.parametrize("beside", [1, None])
    def test_a_number_outside_its_type_is_refused_by_name(
        self, metric: Metric, number: int, beside: int | None
    ) -> None:
        """A counter never wraps silently."""
        with pytest.raises(OverflowError, match=r"cpu/#2.*outside"):
            one([cpu(metric, 1), cpu(metric, 2)], [beside, number])

    @pytest.mark.parametrize(("metric", "value"), [(TIME, 1.5), (TIME, 1.0), (DRIFT, "1"), (POWER, "1"), (POWER, [])])
    def test_a_value_of_another_type_is_refused_by_name(self, metric: Metric, value: object) -> None:
        """Nothing is truncated or parsed on the way."""
        with pytest.raises(TypeError, match="cpu/#2"):
            one([cpu(metric, 1), cpu(metric, 2)], [1, value])

    def test_numpy_numbers_are_numbers(self) -> None:
        """A source may compute with numpy."""
        block = one([cpu(POWER), cpu(TIME)], [np.float32(0.5), np.uint64(2**63 + 1)])

        assert [value for _, _, value in block.points()] == [2**63 + 1, 0.5]

    def test_a_row_of_another_length_is_refused(self) -> None:
        """A value without a column has no meaning."""
        with pytest.raises(ValueError, match=r"3 values for 2 columns from cpu\.time/cpu/#0"):
            one([cpu(TIME), cpu(POWER)], [1, 2.0, 3.0])

    def test_a_key_twice_in_a_row_is_refused(self) -> None:
        """Which of two values were right?"""
        with pytest.raises(ValueError, match=r"cpu/#1.* twice in one row"):
            one([cpu(POWER, 0), cpu(POWER, 1), cpu(POWER, 1)], [1.0, 2.0, 3.0])

    @pytest.mark.parametrize("same", [True, False])
    def test_a_key_twice_at_one_time_is_refused(self, same: bool) -> None:  # noqa: FBT001  (a parameter)
        """In a batch no series has two values at one time, from one declaration or from two."""
        a = Columns((cpu(POWER, 0), cpu(POWER, 1)))
        b = a if same else Columns((cpu(POWER, 1), cpu(POWER, 2)))

        with pytest.raises(ValueError, match=r"cpu/#\d.* twice at 5 ns"):
            build([Row(a, 5, 0, [1.0, 2.0]), Row(b, 5, 1, [3.0, 4.0])])

    def test_other_keys_at_one_time_are_no_clash(self) -> None:
        """Sources may be polled at the same instant."""
        rows = [Row(Columns((cpu(POWER, number),)), 5, 0, [1.0]) for number in range(4)]

        assert [block.rows for block in build(rows)] == [1, 1, 1, 1]

    def test_columns_without_keys_give_rows_without_values(self) -> None:
        """A source whose objects have all gone still says when it looked."""
        block = one([], [], [])

        assert (block.rows, block.parts, list(block.points())) == (2, (), [])
