"""The output `collect`."""

from __future__ import annotations

import gc
import math
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.plugin import Missing
from meter.core.readings import Row
from meter.plugins.collect.plugin import HELD, REASONS, Collect, Series
from tests.plugins.chain import ANCHOR, SECOND, Chain, metric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


NAME = "m/machine/%/machine/%/of=a"


def collected(kind: str, type_: str, polls: Sequence[tuple[float, Any]], *, since: float = 0) -> Collect:
    """One series: ends of rows in seconds and values, each a batch of its own; the first row begins at `since`."""
    chain = Chain([metric("m", kind, type_)])
    columns = chain.columns(chain.key("m"))
    begin = int(since * SECOND)
    for second, value in polls:
        end = int(second * SECOND)
        chain.write([Row(columns, end, begin, [value])])
        begin = end
    made: Collect = chain.outputs["collect"].plugin
    return made


def test_it_keeps_everything() -> None:
    """Batches as they came, with their spans, keys and anchors."""
    made = collected("gauge", "f64", [(1, 20.0), (3, Missing("EIO"))])
    cells = [
        (int(block.ts[row]), int(block.since[row]), key.name, value, batch.anchor)
        for batch in made.batches
        for block in batch.blocks
        for row, key, value in block.points()
    ]

    assert [batch.seq for batch in made.batches] == [1, 2]
    assert cells[0] == (SECOND, 0, NAME, 20.0, ANCHOR)
    assert cells[1][:2] == (3 * SECOND, SECOND)
    assert isinstance(cells[1][3], Missing)
    assert cells[1][3].reason == "EIO"


@pytest.mark.parametrize(
    ("kind", "type_", "polls", "value", "span_s"),
    [
        ("delta", "u64", [(1, 2**63), (2, 2**63), (3, 1)], 2**64 + 1, 3),  # more than any matrix holds, and exact
        ("delta", "f64", [(nth, 0.1) for nth in range(1, 11)], 1.0, 10),  # rounded once, not ten times
        ("delta", "u64", [(1, 5), (2, None), (4, 5)], 10, 3),
        ("delta", "u64", [(1, 0)], 0, 1),
        ("gauge", "f64", [(1, 20.0), (4, 40.0)], 35.0, 4),  # 40 for three of four seconds
        ("gauge", "f64", [(1, 20.0), (4, None), (5, 40.0)], 30.0, 2),
        ("gauge", "u64", [(0, 10), (0, 20)], 15.0, 0),  # instants: the plain mean
        ("gauge", "u64", [(0, 10), (1, 20)], 20.0, 1),
        ("gauge", "f64", [(0.1, 0.1), (0.3, 0.1), (0.7, 0.1)], 0.1, 0.7),  # the mean of equal values is that value
        ("counter", "u64", [(0, 2**64 - 5), (2, None), (3, 2**64 - 1)], 4, 3),
        ("counter", "f64", [(1, 0.5), (2, 0.5)], 0.0, 1),
    ],
)
def test_what_a_series_came_to(
    kind: str, type_: str, polls: list[tuple[float, Any]], value: float, span_s: float
) -> None:
    """Deltas are summed, counters subtracted, gauges averaged over time; missing cells stand for nothing."""
    (series,) = collected(kind, type_, polls).table()

    assert (value, {"delta": "sum", "gauge": "mean", "counter": "difference"}[kind]) == (series.value, series.statistic)
    assert type(value) is type(series.value)
    assert span_s == series.span_s
    assert len(polls) == series.rows
    assert sum(value is None for _, value in polls) == series.missing


@pytest.mark.parametrize(
    ("kind", "type_", "polls", "reasons"),
    [
        ("gauge", "f64", [(1, Missing("EIO")), (2, Missing("EPERM")), (3, Missing("EIO"))], ("EIO", "EPERM")),
        ("delta", "u64", [(1, None)], ()),
        ("counter", "u64", [(1, 5)], ("a difference needs two readings",)),
        ("counter", "u64", [(1, 5), (2, Missing("EIO"))], ("EIO", "a difference needs two readings")),
        ("counter", "u64", [(1, 5), (2, 3), (3, 9)], ("the counter went back",)),
        ("delta", "f64", [(1, 1.7e308), (2, 1.7e308)], ("the result is too great for a float",)),
        ("gauge", "f64", [(1, 1.7e308), (2, 1.7e308)], ("the result is too great for a float",)),
    ],
)
def test_what_has_no_value_has_its_reasons(
    kind: str, type_: str, polls: list[tuple[float, Any]], reasons: tuple[str, ...]
) -> None:
    """None and never 0; each reason once, in the order in which it came."""
    (series,) = collected(kind, type_, polls).table()

    assert (None, reasons) == (series.value, series.reasons)


def test_last_low_and_high_are_of_what_was_read() -> None:
    """Missing cells are no lows."""
    (series,) = collected("gauge", "u64", [(1, 7), (2, 3), (3, 9), (4, 5), (5, None)]).table()
    (nothing,) = collected("gauge", "u64", [(1, None)]).table()

    assert (series.last, series.low, series.high) == (5, 3, 9)
    assert (nothing.last, nothing.low, nothing.high) == (None, None, None)


def test_series_of_all_layouts_stand_in_one_table() -> None:
    """A series is one wherever its column lay; the table is sorted by key, and numbers as numbers."""
    chain = Chain([metric("m", "delta"), metric("n", "gauge", "f64")])
    two, ten, other = chain.key("m", nic="2"), chain.key("m", nic="10"), chain.key("n")
    chain.write([Row(chain.columns(ten, other), 1, 0, [1, 0.5])])
    chain.write([Row(chain.columns(two, ten), 2, 1, [10, 100])])

    made: Collect = chain.outputs["collect"].plugin
    table = made.table()

    assert [(two, 10), (ten, 101), (other, 0.5)] == [(series.key, series.value) for series in table]
    assert all(isinstance(series, Series) for series in table)
    assert Chain([metric("m")]).outputs["collect"].plugin.table() == []


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 10**6), st.none() | st.floats(-1e6, 1e6)), min_size=1, max_size=20),
)
def test_a_mean_is_what_the_integral_says(rows: list[tuple[int, float | None]]) -> None:
    """The mean times the span is the sum of value times length, and lies between the lowest and the highest."""
    ends, total = [], 0
    for length, value in rows:
        total += length
        ends.append((total / SECOND, value))

    (series,) = collected("gauge", "f64", ends).table()

    if series.value is None:
        assert all(value is None for _, value in rows)
        return
    assert series.low is not None
    assert series.high is not None
    assert series.low <= series.value <= series.high
    starts = [0, *(int(end * SECOND) for end, _ in ends)]
    integral = sum(
        value * (int(end * SECOND) - start)
        for start, (end, value) in zip(starts, ends, strict=False)
        if value is not None
    )
    assert series.value * series.span_s * SECOND == pytest.approx(integral, rel=1e-9, abs=1e-3)


# ------------------------------------------------------------------------------------------------------ without keeping


class Folding:
    """One series that is only summed up; rows lie end to end, each a batch of its own."""

    def __init__(self, kind: str, type_: str = "u64") -> None:
        self.chain = Chain([metric("m", kind, type_)])
        self.columns = self.chain.columns(self.chain.key("m"))
        self.output = self.chain.outputs["collect"].plugin = Collect({"metrics": ["*"], "keep": False})
        self.end = 0

    def write(self, value: Any, length: int = SECOND) -> None:
        """One more row."""
        begin, self.end = self.end, self.end + length
        self.chain.write([Row(self.columns, self.end, begin, [value])])


def test_what_is_only_summed_up_does_not_grow() -> None:
    """However long a measurement is, it takes as much memory as a short one."""
    folding = Folding("gauge", "f64")

    def grown(batches: int) -> int:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for nth in range(batches):
            folding.write(Missing("EIO") if nth % 7 == 0 else nth / 3)
        assert len(folding.output.batches) == 0
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        grown(4 * HELD)
        # A batch that is kept takes more than 1 KiB.
        assert grown(16 * HELD) < 16 * HELD * 100
    finally:
        tracemalloc.stop()
    (series,) = folding.output.table()
    assert series.rows == 20 * HELD


def test_a_table_does_not_end_what_is_summed_up() -> None:
    """What comes after it is in the next one."""
    folding = Folding("delta")
    folding.write(5)
    first = folding.output.table()
    folding.write(7)

    assert [first[0].value, folding.output.table()[0].value, folding.output.table()[0].value] == [5, 12, 12]


def test_reasons_are_not_without_end() -> None:
    """Texts that name what comes and goes: the first ones are told, and that there were others."""
    folding = Folding("gauge")
    for nth in range(3 * HELD):
        folding.write(Missing(f"no process {nth}"))
    (series,) = folding.output.table()

    assert series.reasons == (*(f"no process {nth}" for nth in range(REASONS)), "and others")
    assert series.missing == 3 * HELD


@pytest.mark.parametrize(
    ("rows", "whole"),
    [
        ([(1, 2.0), (2, 3.0)], True),
        ([(1, 2.0), (2, None), (3, 4.0)], False),
        ([(1, None), (2, 3.0)], False),
        ([(1, 2.0), (2, None)], False),
        ([(1, None)], False),
    ],
)
def test_a_series_says_whether_time_lacks_in_it(rows: list[tuple[int, float | None]], whole: bool) -> None:  # noqa: FBT001  (a table)
    """From the begin of its first cell to the end of its last one, wherever the gap is."""
    (series,) = collected("delta", "f64", rows).table()

    assert series.whole is whole


@pytest.mark.parametrize(("since", "whole"), [(1, True), (2, False)])
def test_a_delta_may_cover_a_gap(since: int, whole: bool) -> None:  # noqa: FBT001  (a table)
    """A counter that could not be read once has counted on: the next delta reaches back before the gap."""
    folding = Folding("delta", "f64")
    folding.write(2.0)
    folding.write(Missing("EIO"))
    folding.chain.write([Row(folding.columns, 3 * SECOND, since * SECOND, [5.0])])
    (series,) = folding.output.table()

    assert (series.missing, series.whole) == (1, whole)


class Cell(NamedTuple):
    """A value that was read, and the length of its row in ns."""

    value: float
    length: int


LENGTHS = st.integers(0, 10**10)
INTEGERS = st.tuples(st.none() | st.integers(0, 2**64 - 1), LENGTHS)
FLOATS = st.tuples(st.none() | st.floats(-1e290, 1e290), LENGTHS)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["delta", "gauge", "counter"]),
    cells=st.lists(INTEGERS, min_size=1, max_size=HELD * 2) | st.lists(FLOATS, min_size=1, max_size=HELD * 2),
    cuts=st.sets(st.integers(0, HELD * 2)),
)
def test_running_totals_are_those_of_all_values_at_once(
    kind: str, cells: list[tuple[float | None, int]], cuts: set[int]
) -> None:
    """Wherever it is cut into parts, nothing is rounded in between."""
    integer = not any(isinstance(value, float) for value, _ in cells)
    folding = Folding(kind, "u64" if integer else "f64")
    for nth, (value, length) in enumerate(cells):
        folding.write(value, length)
        if nth in cuts:
            folding.output.table()
    (series,) = folding.output.table()

    good = [Cell(value, length) for value, length in cells if value is not None]
    assert (len(cells), len(cells) - len(good)) == (series.rows, series.missing)
    assert at_once(kind, good) == series.value
    values = [cell.value for cell in good]
    assert (min(values, default=None), max(values, default=None)) == (series.low, series.high)
    assert (values[-1] if values else None) == series.last
    if kind != "counter":
        assert series.span_s == sum(cell.length for cell in good) / 1e9


def at_once(kind: str, good: list[Cell]) -> float | None:
    """What a series comes to, from all good cells."""
    values = [cell.value for cell in good]
    if kind == "counter":
        sound = len(values) > 1 and all(before <= now for before, now in pairwise(values))
        return values[-1] - values[0] if sound else None
    if not values:
        return None
    total: Callable[[list[float]], float] = math.fsum if isinstance(values[0], float) else sum
    if kind == "delta":
        return total(values)
    weights = [cell.length for cell in good]
    if not any(weights):
        weights = [1] * len(good)
    mean = total([value * weight for value, weight in zip(values, weights, strict=True)]) / sum(weights)
    return min(max(mean, min(values)), max(values))
