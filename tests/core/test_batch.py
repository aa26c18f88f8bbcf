"""Rows become blocks without losing a bit, and blocks are handed on without copying a value."""

from __future__ import annotations

import math
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.batch import Anchor, Batch, Block, build
from meter.core.keys import Key, KeyClash, KeySet, Metric
from meter.core.layout import Layout
from meter.core.plugin import Missing
from meter.core.readings import Columns, Row

PROPERTY = settings(derandomize=True, deadline=None)

POWER = Metric("hw.power", "f64", "W", "gauge", additive=True)
TIME = Metric("cpu.time", "u64", "ns", "counter", additive=True)
DRIFT = Metric("drift", "i64", "ns", "gauge", additive=False)

KEYS = st.builds(
    Key.make, st.sampled_from([POWER, TIME, DRIFT]), st.tuples(st.just("cpu"), st.integers(0, 12).map(str))
)
RANGES = {"i64": (-(2**63), 2**63 - 1), "u64": (0, 2**64 - 1)}
GAPS = st.none() | st.sampled_from(["EIO", "ENODEV"]).map(Missing)


def cpu(metric: Metric, number: int = 0) -> Key:
    """The key of one processor."""
    return Key.make(metric, ("cpu", str(number)))


def one(keys: list[Key], *rows: list[Any]) -> Block:
    """The block of some rows, a second apart."""
    columns = Columns(tuple(keys))
    (block,) = build([Row(columns, (at + 1) * 10**9, at * 10**9, values) for at, values in enumerate(rows)])
    return block


def plain(value: object) -> object:
    """A value that compares: what is missing as its reason."""
    return ("missing", value.reason) if isinstance(value, Missing) else value


def points(*blocks: Block) -> dict[tuple[str, int], object]:
    """The value of each name and time."""
    return {(key.name, int(block.ts[row])): plain(value) for block in blocks for row, key, value in block.points()}


def values_of(metric: Metric) -> st.SearchStrategy[Any]:
    """Whatever a source may give for a metric."""
    if metric.type == "f64":
        return GAPS | st.floats()
    return GAPS | st.integers(*RANGES[metric.type])


@st.composite
def sources(draw: st.DrawFn) -> list[Row]:
    """Rows of two sources with keys of their own, in any mixture."""
    keys = draw(st.lists(KEYS, unique=True, max_size=10))
    half = draw(st.integers(0, len(keys)))
    both = [Columns(tuple(keys[:half])), Columns(tuple(keys[half:]))]
    turns = draw(st.lists(st.sampled_from(both), max_size=6))
    return [
        Row(columns, at + 1, at, [draw(values_of(key.metric)) for key in columns.keys])
        for at, columns in enumerate(turns)
    ]


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
