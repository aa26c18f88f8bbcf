"""Rows that wait for the chain: packed, and still the rows that they were."""

from __future__ import annotations

import gc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.keys import Key, Metric
from meter.core.plugin import Missing
from meter.core.readings import Columns, Row
from meter.core.rows import Rows

NUMBERS = {
    "f64": st.floats(allow_nan=False),
    "i64": st.integers(-(2**63), 2**63 - 1),
    "u64": st.integers(0, 2**64 - 1),
}
TYPES = tuple(NUMBERS)


def columns_of(types: tuple[str, ...]) -> Columns:
    """Columns of some types."""
    metrics = [Metric(f"m{at}.x", type_, "1", "gauge", additive=False) for at, type_ in enumerate(types)]
    return Columns(tuple(Key.make(metric, resource=("machine", "")) for metric in metrics), "made")


COLUMNS = [columns_of(types) for types in (("f64",), ("u64", "f64"), ("i64", "u64", "f64", "f64"))]


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Rows of some columns in turn, of which some have gaps."""
    found = []
    for at in range(draw(st.integers(0, 8))):
        columns = draw(st.sampled_from(COLUMNS))
        gap = st.just(None) | st.just(Missing("EIO"))
        values: list[Any] = [draw(NUMBERS[key.metric.type] | gap) for key in columns.keys]
        found.append(Row(columns, at * 10, at * 10 - 7, values, draw(st.sampled_from(["", "17"]))))
    return found


@given(rows())
def test_what_is_kept_is_what_came(made: list[Row]) -> None:
    """Times, values to the last bit, gaps with their reasons and ids, in their order, also one by one."""
    kept = Rows(made)
    assert [(*row[:3], list(row.values), row.id) for row in kept] == [(*row[:3], row.values, row.id) for row in made]
    assert len(kept) == len(made)
    if made:
        assert (kept[0].ts, kept[-1].ts, [row.ts for row in kept[1:]]) == (
            made[0].ts,
            made[-1].ts,
            [row.ts for row in made[1:]],
        )


@given(rows(), rows())
def test_what_is_taken_is_not_there_any_more(first: list[Row], second: list[Row]) -> None:
    """Each row goes to the chain once."""
    kept = Rows(first)
    assert [row.ts for row in kept.take()] == [row.ts for row in first]
    kept.add(second)
    assert [row.ts for row in kept.take()] == [row.ts for row in second]
    assert not kept


@given(rows())
def test_runs_are_of_the_same_columns(made: list[Row]) -> None:
    """A block is made of each, so that series of one source stay in the order of time."""
    runs = list(Rows(made).runs())
    assert [columns for columns, held, _ in runs for _ in held] == [row.columns for row in made]
    assert [id_ for _, _, ids in runs for id_ in ids] == [row.id for row in made]
    assert all(one is not other for (one, *_), (other, *_) in pairwise(runs))


@pytest.mark.parametrize("columns", COLUMNS, ids=repr)
def test_a_poll_leaves_nothing_for_the_garbage_collector(columns: Columns) -> None:
    """Thousands of rows wait for the chain; if its turns had to look at each, polls would come late."""
    kept = Rows()
    gc.collect()
    before = gc.get_count()[0]
    for at in range(100):
        kept.add([Row(columns, at, at, [at] * len(columns.keys))])
    assert gc.get_count()[0] - before < 20
    assert len(kept) == 100
