"""The filter `aggregate`."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import subprocess
import sys
from collections import defaultdict
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.variants import MACHINE, Variant
from meter.core.batch import Anchor
from meter.core.plugin import Context, Missing
from meter.core.readings import Declared, Row
from meter.plugins.aggregate import plugin, windows
from tests.plugins.chain import SECOND, Chain, cells, metric, refusals
from tests.strategies import steady

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.core.batch import Block
    from meter.core.keys import Key

CASES = json.loads((Path(__file__).parent.parent / "data" / "windows.json").read_text())["cases"]
EPOCH = Anchor(0, 0)
"""Monotonic time 0 is the epoch, so that windows begin at whole multiples of their length."""

KINDS = {"sum": "delta", "mean": "gauge", "min": "gauge", "max": "gauge", "last": "gauge", "quantile": "gauge"}
NAMES = {name: f"m.{'q0.25' if name == 'quantile' else name}" for name in KINDS}


def chain(function: str, *words: str, type_: str = "f64", kind: str = "", anchor: Anchor = EPOCH) -> Chain:
    """The filter on the metric `m` of one source that is polled each second."""
    quantile = ["quantile=0.25"] if function == "quantile" else []
    made = metric("m", kind or KINDS[function], type_)
    return Chain([made], "aggregate", "metrics=m", f"function={function}", *quantile, *words, anchor=anchor)


def polls(mounted: Chain, values: Sequence[Any], *keys: Key, begin: int = 0) -> list[Row]:
    """One row each second, with the values of the keys; the first one ends at second 1 after `begin`."""
    columns = mounted.columns(*(keys or (mounted.key("m"),)))
    return [
        Row(columns, (begin + nth + 1) * SECOND, (begin + nth) * SECOND, value if isinstance(value, list) else [value])
        for nth, value in enumerate(values)
    ]


def results(mounted: Chain, rows: Iterable[Row], name: str) -> list[tuple[Any, int, int]]:
    """Value, begin and end, in seconds, of what the filter gives of rows that are handed over one by one."""
    blocks = [block for row in rows for block in mounted.hand_over([row])] + mounted.finish()
    return [(value, since // SECOND, ts // SECOND) for value, since, ts in cells(blocks, name)]


# -------------------------------------------------------------------------------------------------------- golden values


def instant(text: str) -> int:
    """Nanoseconds since the epoch of a time of one day."""
    time = dt.datetime.fromisoformat(f"2024-02-03T{text}+00:00")
    return round(time.timestamp() * 100) * SECOND // 100


@pytest.mark.parametrize("case", [case for case in CASES if "time" in case["given"]], ids=lambda case: case["id"])
def test_where_windows_begin(case: dict[str, Any]) -> None:
    """At the multiples of their length since the epoch."""
    at, window = instant(case["given"]["time"]), case["given"]["interval"]
    made = [metric("m", "gauge", "f64"), '[config.interval]\ntype = "duration"\ndefault = "10ms"\n']
    mounted = Chain(made, "aggregate", "metrics=m", "function=last", f"window={window}", anchor=EPOCH)
    columns = mounted.columns(mounted.key("m"))
    far = 60 * SECOND

    blocks = mounted.hand_over([Row(columns, at - far, at - far, [0.0]), Row(columns, at, at, [1.0])])
    blocks += mounted.hand_over([Row(columns, at + far, at + far, [2.0])])

    assert [since for value, since, _ in cells(blocks, "m.last") if value == 1.0] == [
        instant(case["expect"]["window_start"])
    ]


@pytest.mark.parametrize("case", [case for case in CASES if "points_u64" in case["given"]], ids=lambda case: case["id"])
def test_windows_of_points(case: dict[str, Any]) -> None:
    """A window is given once a point at its end, or after it, has come. The mean of integers is exact, so it is f64."""
    function, window = case["given"]["function"], case["given"]["interval"]
    mounted = chain(function, f"window={window}", type_="u64")
    columns = mounted.columns(mounted.key("m"))

    blocks: list[Block] = []
    for text, value in case["given"]["points_u64"]:
        blocks += mounted.hand_over([Row(columns, instant(text), instant(text), [value])])

    exact = {"agg-04": [19 / 3, 9 / 2]}  # the case divides whole numbers, and says so
    expected = case["expect"]["windows"]
    given_ = exact.get(case["id"], [value for _, value in expected])
    assert [value for value, _, _ in cells(blocks, f"m.{function}")] == given_
    assert [int(value) for value in given_] == [value for _, value in expected]
    (key,) = {key for block in blocks for key in block.layout.keys if key.metric.name == f"m.{function}"}
    assert key.metric.type == ("f64" if function == "mean" else "u64")
    begins = [since for _, since, _ in cells(blocks, f"m.{function}")]
    assert begins == [instant(text) for text, _ in expected]


@pytest.mark.parametrize(
    "case", [case for case in CASES if {"values_u64", "values_f64"} & set(case["given"])], ids=lambda case: case["id"]
)
def test_values_of_one_window(case: dict[str, Any]) -> None:
    """What becomes of some values; of none nothing, not even a missing one."""
    function = case["given"]["function"]
    type_ = "u64" if "values_u64" in case["given"] else "f64"
    mounted = chain(function, "window=1h", type_=type_)

    found = results(mounted, polls(mounted, case["given"][f"values_{type_}"]), f"m.{function}")

    value = case["expect"]["value"]
    assert [value for value, _, _ in found] == ([] if value is None else [pytest.approx(value, abs=case["tolerance"])])


# ------------------------------------------------------------------------------------------------------------- windows


def test_a_sum_covers_its_rows_and_others_their_window() -> None:
    """A sum says by its span what was counted; a mean is that of the window, from when meter began to when it ended."""
    values = [1.0] * 7

    summed = chain("sum", "window=3s")
    mean = chain("mean", "window=3s")

    assert results(summed, polls(summed, values, begin=1), "m.sum") == [(2.0, 1, 3), (3.0, 3, 6), (2.0, 6, 8)]
    assert results(mean, polls(mean, values, begin=1), "m.mean") == [(1.0, 1, 3), (1.0, 3, 6), (1.0, 6, 8)]


def test_a_window_is_given_when_its_end_has_come() -> None:
    """Not before, so that nothing is given twice, and by whichever source brings the time."""
    mounted = chain("sum", "window=3s")
    other = mounted.columns(mounted.key("m", "b"))

    before = mounted.hand_over(polls(mounted, [1.0, 1.0]))
    after = mounted.hand_over([Row(other, 3 * SECOND, 3 * SECOND - 1, [5.0])])

    assert cells(before, "m.sum") == []
    assert cells(after, "m.sum") == [(2.0, 0, 2 * SECOND), (5.0, 3 * SECOND - 1, 3 * SECOND)]


def test_a_row_that_ends_at_a_border_waits_for_no_other() -> None:
    """Where it is the only one of its window, which ends with it; one without length begins the window after it."""
    mounted = chain("max", "window=2s")
    columns = mounted.columns(mounted.key("m"))
    spans = [(0, 2), (2, 4), (4, 6), (6, 6), (6, 8)]

    given_ = [mounted.hand_over([Row(columns, ts * SECOND, since * SECOND, [float(ts)])]) for since, ts in spans]

    assert [cells(blocks, "m.max") for blocks in given_] == [
        [(2.0, 0, 2 * SECOND)],
        [(4.0, 2 * SECOND, 4 * SECOND)],
        [(6.0, 4 * SECOND, 6 * SECOND)],
        [],
        [(8.0, 6 * SECOND, 8 * SECOND)],
    ]


def test_windows_without_rows_give_nothing() -> None:
    """A machine that was suspended has no windows of that time."""
    mounted = chain("mean", "window=2s")

    found = results(mounted, [*polls(mounted, [1.0]), *polls(mounted, [2.0], begin=8)], "m.mean")

    assert found == [(1.0, 0, 2), (2.0, 8, 9)]


def test_windows_of_windows() -> None:
    """A row that ends at a border covers what lies before it: a minute is made of the ten seconds in it."""
    made = [metric("m", "gauge", "f64")]
    short = ["aggregate#short", "metrics=m", "function=mean", "window=2s"]
    long = ["aggregate#long", "metrics=m.mean", "function=max", "window=6s"]
    mounted = Chain(made, *short, *long, anchor=EPOCH)

    found = results(mounted, polls(mounted, [float(second) for second in range(1, 13)]), "m.mean.max")

    assert found == [(5.5, 0, 6), (11.5, 6, 12)]


def test_a_row_that_is_late_is_not_lost() -> None:
    """Its window is given already, so it goes into the oldest one that is open, and no window is given twice."""
    mounted = chain("mean", "window=2s", "over=of")

    blocks = mounted.hand_over(polls(mounted, [1.0, 1.0, 1.0]))
    blocks += mounted.hand_over(polls(mounted, [10.0], mounted.key("m", "b")))
    blocks += mounted.hand_over(polls(mounted, [1.0, 1.0], begin=3))

    assert cells(blocks, "m.mean") == [(1.0, 0, 2 * SECOND), (4.0, 2 * SECOND, 4 * SECOND)]


def test_rows_may_be_out_of_order() -> None:
    """The last value is the one that was read last, not the one that came last."""
    mounted = chain("last", "window=10s")

    blocks = mounted.hand_over(polls(mounted, [1.0, Missing("EIO"), 3.0, None])[::-1]) + mounted.finish()

    assert cells(blocks, "m.last") == [(3.0, 0, 4 * SECOND)]


def test_the_oldest_window_is_given_first() -> None:
    """Also where its rows came behind those of a later one, as those of another source may in one hand-over."""
    mounted = chain("sum", "window=2s")
    early, late = (polls(mounted, [1.0], mounted.key("m", of), begin=begin) for of, begin in [("a", 0), ("b", 2)])

    assert cells(mounted.hand_over([*late, *early]), "m.sum") == [(1.0, 0, SECOND)]


def test_series_may_begin_and_end_inside_of_a_window() -> None:
    """They are there for a part of it, which is not missing."""
    mounted = chain("sum", "window=10s", "over=of")
    a, b, c = (mounted.key("m", of) for of in "abc")

    rows = [*polls(mounted, [[1.0, 2.0]] * 2, a, b), *polls(mounted, [[1.0, 4.0]] * 2, b, c, begin=2)]

    assert results(mounted, rows, "m.sum") == [(2 * 1.0 + 2 * 2.0 + 2 * 1.0 + 2 * 4.0, 0, 4)]


def test_series_of_several_rows_and_layouts_keep_their_spans() -> None:
    """Each sum says what it covers, whatever it shares a block with."""
    mounted = chain("sum", "window=10s")
    a, b, c = (mounted.key("m", of) for of in "abc")

    rows = [*polls(mounted, [[1.0, 2.0]] * 2, a, b), *polls(mounted, [[1.0, 4.0]] * 2, b, c, begin=2)]

    assert results(mounted, rows, "m.sum") == [(2.0, 0, 2), (6.0, 0, 4), (8.0, 2, 4)]


def test_what_has_ended_is_forgotten() -> None:
    """Series that come and go for as long as meter runs leave nothing behind."""
    mounted = chain("max", "window=2s")
    aggregate = mounted.filters[0].plugin
    given_ = 0

    for nth in range(100):
        given_ += len(cells(mounted.hand_over(polls(mounted, [1.0], mounted.key("m", f"{nth}"), begin=nth)), "m.max"))

    assert given_ == 100
    assert not any(aggregate._windows.values())
    assert aggregate._waiting == []


def test_layouts_that_come_and_go_inside_of_a_window() -> None:
    """Each series is given once, by whichever of many layouts had it, and only those are kept that give something."""
    mounted = chain("sum", "window=10h", "over=of")
    split = chain("sum", "window=10h")

    rows = [row for nth in range(60) for row in polls(mounted, [1.0], mounted.key("m", f"{nth}"), begin=nth)]
    both = [(mounted.key("m", f"{nth}"), mounted.key("m", f"{nth + 1}")) for nth in range(60)]
    pairs = [row for nth, keys in enumerate(both) for row in polls(split, [[1.0, 2.0]], *keys, begin=nth)]
    with patch.object(plugin, "WAITING_BLOCKS", 1):
        merged, apart = results(mounted, rows, "m.sum"), results(split, pairs, "m.sum")

    assert merged == [(60.0, 0, 60)]
    assert sorted(apart) == sorted([(1.0, 0, 1), *[(3.0, nth, nth + 2) for nth in range(59)], (2.0, 59, 60)])


def test_a_layout_that_outlives_the_first_one() -> None:
    """Series keep their place when the layout that they came with is forgotten."""
    mounted = chain("sum", "window=10s")
    a, b = mounted.key("m", "a"), mounted.key("m", "b")
    rows = [*polls(mounted, [1.0], b), *polls(mounted, [[10.0, 2.0]] * 3, a, b, begin=1)]

    with patch.object(plugin, "WAITING_BLOCKS", 1), patch.object(windows, "OWNERS", 1):
        assert results(mounted, rows, "m.sum") == [(30.0, 1, 4), (7.0, 0, 4)]


def test_a_filter_can_be_started_again() -> None:
    """What it held before is not there any more."""
    mounted = chain("sum", "window=10s")
    mounted.hand_over(polls(mounted, [1.0]))
    mounted.filters[0].plugin.stop()
    mounted.filters[0].plugin.start(Context("aggregate", None, EPOCH))

    assert results(mounted, polls(mounted, [2.0], begin=4), "m.sum") == [(2.0, 4, 5)]


# ------------------------------------------------------------------------------------------------------------- missing


@pytest.mark.parametrize(
    ("function", "values", "result"),
    [
        ("sum", [1.0, Missing("EIO"), 2.0], "(a part is missing: EIO)"),  # without it the sum would be a smaller one
        ("sum", [1.0, None], "(a part is missing)"),
        ("sum", [None, Missing("EIO")], "(a part is missing: EIO)"),
        ("mean", [1.0, Missing("EIO"), 2.0], 1.5),
        ("mean", [Missing("EIO"), None], "(nothing was read: EIO)"),
        ("min", [None, 3.0, 2.0], 2.0),
        ("max", [2.0, 3.0, None], 3.0),
        ("max", [None], "(nothing was read)"),
        ("last", [1.0, 2.0, None], 2.0),
        ("last", [None], "(nothing was read)"),
        ("quantile", [None, 4.0, 0.0, 8.0], 2.0),
        ("quantile", [None], "(nothing was read)"),
    ],
)
def test_missing_cells(function: str, values: list[Any], result: Any) -> None:
    """A sum with a missing cell is missing; what is made of any number of cells is made of those that are there."""
    mounted = chain(function, "window=10s")

    assert results(mounted, polls(mounted, values), NAMES[function]) == [(result, 0, len(values))]


def test_a_gap_that_a_later_delta_covers_is_none() -> None:
    """The next good delta after an unreadable poll counts for both, so the sum is complete."""
    mounted = chain("sum", "window=10s")
    columns = mounted.columns(mounted.key("m"))
    rows = polls(mounted, [1.0, Missing("EIO"), Missing("EIO")])

    covered = results(mounted, [*rows, Row(columns, 4 * SECOND, SECOND, [6.0])], "m.sum")

    assert covered == [(7.0, 0, 4)]


def test_a_sum_begins_with_what_it_covers() -> None:
    """A delta that covers a gap may begin before the first row of its window."""
    mounted = chain("sum", "window=10s")
    columns = mounted.columns(mounted.key("m"))
    rows = [Row(columns, 12 * SECOND, 11 * SECOND, [None]), Row(columns, 13 * SECOND, 9 * SECOND, [6.0])]

    with patch.object(plugin, "WAITING_BLOCKS", 1):
        assert results(mounted, rows, "m.sum") == [(6.0, 9, 13)]


def test_a_gap_that_is_covered_in_the_next_window_stays_one() -> None:
    """Which part of the delta lies in which window is not known."""
    mounted = chain("sum", "window=3s")
    columns = mounted.columns(mounted.key("m"))
    rows = polls(mounted, [1.0, 1.0, Missing("EIO")])

    found = results(mounted, [*rows, Row(columns, 4 * SECOND, 2 * SECOND, [6.0])], "m.sum")

    assert found == [("(a part is missing: EIO)", 0, 3), (6.0, 2, 4)]


@pytest.mark.parametrize(
    ("type_", "values", "result"),
    [
        ("u64", [2**64 - 1, 0], 2**64 - 1),
        ("u64", [2**64 - 1, 1], "(the sum does not fit u64)"),
        ("i64", [2**63 - 1, -5, 5], 2**63 - 1),
        ("i64", [-(2**63), -1], "(the sum does not fit i64)"),
        ("f64", [1e308, 1e308], "(the sum does not fit f64)"),
    ],
)
def test_a_sum_that_its_type_does_not_hold_is_missing(type_: str, values: list[Any], result: Any) -> None:
    """Never wrapped, never infinite."""
    mounted = chain("sum", "window=10s", type_=type_)

    assert [value for value, _, _ in results(mounted, polls(mounted, values), "m.sum")] == [result]


def test_a_quantile_between_values_whose_distance_is_no_float() -> None:
    """A quarter of the way from the least to the greatest."""
    mounted = chain("quantile", "window=10s")

    ((found, _, _),) = results(mounted, polls(mounted, [-1.5e308, 1.5e308]), NAMES["quantile"])

    assert found == -0.75e308


def test_each_missing_result_has_its_own_reason() -> None:
    """One mean is of values too great, and its neighbour of none."""
    mounted = chain("mean", "window=10s")
    columns = mounted.columns(mounted.key("m", "a"), mounted.key("m", "b"))
    rows = [Row(columns, second * SECOND, (second - 1) * SECOND, [1.5e308, None]) for second in (1, 2)]

    found = [value for value, _, _ in results(mounted, rows, "m.mean")]

    assert found == ["(the sum of the values does not fit f64)", "(nothing was read)"]


def test_the_mean_of_great_integers_is_rounded_once() -> None:
    """Floats would have lost the units before they are divided."""
    mounted = chain("mean", "window=10s", type_="u64")

    ((mean, _, _),) = results(mounted, polls(mounted, [2**53, 2**53 + 2, 2**53 + 4]), "m.mean")

    assert mean == float(2**53 + 2)


# ---------------------------------------------------------------------------------------------------------------- rows


def test_rows_of_one_time_become_one() -> None:
    """What was born since the last poll comes in a row of its own; the sum is of both and begins with the earlier."""
    mounted = chain("sum", "over=of", type_="u64")
    old, new = mounted.columns(mounted.key("m", "a"), mounted.key("m", "b")), mounted.columns(mounted.key("m", "c"))
    rows = [Row(old, 10, 0, [1, 2]), Row(new, 10, 7, [4]), Row(old, 20, 10, [8, 16])]

    blocks = mounted.hand_over(rows)

    assert cells(blocks, "m.sum") == [(7, 0, 10), (24, 10, 20)]
    assert cells(mounted.finish(), "m.sum") == []


@pytest.mark.parametrize(
    ("function", "result"), [("sum", "(a part is missing: EIO)"), ("mean", 2.0), ("min", 1.0), ("quantile", 1.5)]
)
def test_missing_cells_of_a_row(function: str, result: Any) -> None:
    """As in a window, whether the others stand in the same block or not."""
    mounted = chain(function, "over=of")
    a, b, c = (mounted.key("m", of) for of in "abc")
    other = mounted.key("m", "x", "eth0")
    whole = mounted.columns(a, b, c, other)
    row = Row(whole, 10, 0, [1.0, Missing("EIO"), 3.0, 5.0])
    parts = [
        Row(mounted.columns(a, b), 20, 10, [1.0, Missing("EIO")]),
        Row(mounted.columns(c, other), 20, 12, [3.0, 5.0]),
    ]

    found = cells(mounted.hand_over([row]), NAMES[function]) + cells(mounted.hand_over(parts), NAMES[function])

    assert found == [(result, 0, 10), (5.0, 0, 10), (result, 10, 20), (5.0, 12, 20)]


def test_nothing_of_a_row() -> None:
    """The mean of what could not be read is missing, and its neighbour's is not."""
    mounted = chain("mean", "over=of")
    columns = mounted.columns(mounted.key("m"), mounted.key("m", "a", "eth0"))

    blocks = mounted.hand_over([Row(columns, 10, 0, [Missing("EIO"), 2.0])])

    assert cells(blocks, "m.mean") == [("(nothing was read: EIO)", 0, 10), (2.0, 0, 10)]


# ------------------------------------------------------------------------------------------------------------ contract


def test_what_it_gives() -> None:
    """Type, unit, additivity, quality and interval of the results."""
    shapes = {}
    for function, name in NAMES.items():
        mounted = chain(function, "window=4s", type_="u64")
        blocks = mounted.hand_over(polls(mounted, [1] * 5))
        (key,) = [key for block in blocks for key in block.layout.keys if key.metric.name == name]
        assert (key.metric.interval, key.metric.quality) == (4 * SECOND, "derived")
        shapes[function] = key.metric[1:5]

    assert shapes == {
        "sum": ("u64", "By", "delta", True),
        "mean": ("f64", "By", "gauge", False),
        "min": ("u64", "By", "gauge", False),
        "max": ("u64", "By", "gauge", False),
        "last": ("u64", "By", "gauge", False),
        "quantile": ("f64", "By", "gauge", False),
    }


@pytest.mark.parametrize(
    ("kind", "words", "codes"),
    [
        ("gauge", ["function=mean"], ["E-CONSTRAINT"]),  # neither window nor dimension: it would do nothing
        ("gauge", ["function=mean", "window=1s"], ["E-CONSTRAINT"]),  # one row in each window
        ("gauge", ["function=last", "window=2s", "over=of"], ["E-CONSTRAINT"]),  # which is the last of several
        ("gauge", ["function=last", "over=of"], ["E-CONSTRAINT"]),
        ("gauge", ["function=sum", "window=2s"], ["E-FLOW-KIND"]),  # a sum of levels depends on how often it is read
        ("gauge", ["function=sum", "over=of"], ["E-FLOW-KIND"]),  # gauges are not additive unless they say so
        ("delta", ["function=mean", "window=2s"], ["E-FLOW-KIND"]),  # depends on how often it is read: rate first
        ("counter", ["function=max", "over=of"], ["E-FLOW-KIND"]),
        ("counter", ["function=sum", "over=of"], []),
        ("delta", ["function=sum", "over=colour"], ["E-FLOW-IDENTITY"]),
        ("delta", ["function=sum", "over=resource"], ["E-FLOW-DOUBLE"]),  # a machine and its interfaces
        ("gauge", ["function=max", "over=resource"], []),
        ("gauge", ["function=median", "window=2s"], ["E-CONFIG-RANGE"]),
        ("gauge", ["function=quantile", "quantile=1.5", "window=2s"], ["E-CONFIG-RANGE"]),
        *[  # it would be ignored
            ("gauge", [f"function={name}", "quantile=0.9", "window=2s"], ["E-CONSTRAINT"])
            for name in ("mean", "min", "max", "last")
        ],
        ("gauge", ["function=mean", "quantile=0.9", "over=of"], ["E-CONSTRAINT"]),
        ("delta", ["function=sum", "quantile=0.9", "window=2s"], ["E-CONSTRAINT"]),
        ("delta", ["function=sum", "quantile=0.9", "over=of"], ["E-CONSTRAINT"]),
        ("gauge", ["function=quantile", "quantile=0.9", "window=2s"], []),
        ("gauge", ["window=2s"], ["E-CONFIG-MISSING"]),
        ("gauge", ["function=mean", "window=2s", "suffix=a b"], ["E-KEY-NAME"]),
    ],
)
def test_what_could_not_be_right_is_refused(kind: str, words: list[str], codes: list[str]) -> None:
    """Before anything runs."""
    assert refusals([metric("m", kind)], "aggregate", "metrics=m", *words) == codes


def test_levels_that_are_additive_have_a_sum() -> None:
    """Of the rows of one time, such as the memory of all processes; never over time."""
    additive = metric("m", "gauge") + "additive = true\n"

    assert refusals([additive], "aggregate", "metrics=m", "function=sum", "over=of") == []
    assert refusals([additive], "aggregate", "metrics=m", "function=sum", "window=2s") == ["E-FLOW-KIND"]


def test_several_aggregates_of_one_metric() -> None:
    """They would give the same series; a suffix tells them apart."""
    short = ["aggregate#a", "metrics=m", "function=mean", "window=2s"]
    long = ["aggregate#b", "metrics=m", "function=mean", "window=4s"]
    made = [metric("m", "gauge")]

    assert refusals(made, *short, *long) == ["E-FLOW-CLASH"]
    assert refusals(made, *short, *long, "suffix=.long") == []


def test_what_was_aggregated_goes_on_unless_it_shall_not() -> None:
    """`keep=false` leaves the results alone."""
    kept, dropped = chain("sum", "over=of"), chain("sum", "over=of", "keep=false")

    names = [
        sorted({key.metric.name for block in mounted.hand_over(polls(mounted, [1.0])) for key in block.layout.keys})
        for mounted in (kept, dropped)
    ]

    assert names == [["m", "m.sum"], ["m.sum"]]


@pytest.mark.parametrize("first", ["measured", "estimated"])
def test_the_worst_quality_of_what_is_merged_holds(first: str) -> None:
    """In whatever order the rows of two sources come: what has an estimated part is estimated."""
    mounted = chain("sum", "window=10s", "over=of")
    second = {"measured": "estimated", "estimated": "measured"}[first]
    words: dict[str, Any] = {"metric": "m", "type": "f64", "unit": "By", "kind": "delta", "additive": True}
    words |= {"resource": MACHINE, "consumer": MACHINE, "attributes": (("of", None),)}
    for nth, (of, quality) in enumerate([("a", first), ("b", second)]):
        declared = Declared(of, [Variant(**words, quality=quality, origin=of)])
        key = declared.key("m", attributes={"of": of})
        mounted.hand_over([Row(declared.interned((key,)), nth + 1, 0, [1.0])])

    keys = [(key.metric.quality, value) for block in mounted.finish() for _, key, value in block.points()]
    assert keys == [("estimated", 2.0)]


# ---------------------------------------------------------------------------------------------------------- properties


few = settings(steady, max_examples=50)
"""To draw a story takes longer than to run it, and each of the functions has its own."""


class Cell(NamedTuple):
    """One cell that a source has given."""

    key: Key
    since: int
    ts: int
    value: Any


class Story(NamedTuple):
    """What sources give, by hand-over, and every cell of it."""

    hands: list[list[Row]]
    cells: list[Cell]


@st.composite
def stories(draw: st.DrawFn, mounted: Chain, values: st.SearchStrategy[Any]) -> Story:
    """Two sources with times of their own, whose series come, go and cannot be read, now and then for several polls."""
    hands, found = [], []
    keys = [mounted.key("m", of, nic) for of in "ab" for nic in (None, "eth0")]
    good: dict[str, int] = {}
    shown: dict[str, int] = {}
    ts = draw(st.integers(-5, 5))
    for _ in range(draw(st.integers(1, 10))):
        rows = []
        for _ in range(draw(st.integers(1, 3))):
            ts += draw(st.integers(1, 7))
            starts: dict[int, list[tuple[Key, Any]]] = defaultdict(list)
            for key in draw(st.lists(st.sampled_from(keys), unique=True, min_size=1)):
                value = draw(st.one_of(values, values, values, st.none()))
                # A delta counts from the last good reading; of some sources what was missed is lost.
                lost = draw(st.integers(0, 3)) == 0
                since = shown.get(key.name, ts - 1) if value is None or lost else good.get(key.name, ts - 1)
                shown[key.name] = ts
                if value is not None:
                    good[key.name] = ts
                starts[since].append((key, value))
                found.append(Cell(key, since, ts, value))
            for since, pairs in starts.items():
                rows.append(Row(mounted.columns(*(key for key, _ in pairs)), ts, since, [value for _, value in pairs]))
        hands.append(rows)
    return Story(hands, found)


@lru_cache
def once(function: str, type_: str, *over: str) -> Chain:
    """The filter on a source that may be polled each nanosecond; checked once, as that is what takes long."""
    made = [metric("m", KINDS[function], type_), '[config.interval]\ntype = "duration"\ndefault = "1ns"\n']
    quantile = ["quantile=0.25"] if function == "quantile" else []
    words = ["metrics=m", f"function={function}", *quantile, "window=2ns", *over]
    return Chain(made, "aggregate", *words)


def restarted(mounted: Chain, window: int, wall: int) -> Chain:
    """The chain anew, with windows of some nanoseconds, and the time since the epoch at the monotonic time 0."""
    aggregate = mounted.filters[0].plugin
    aggregate.config = {**aggregate.config, "window": window}
    aggregate.start(Context("aggregate", None, (0, wall)))
    return mounted


def number(cell: Cell, length: int, offset: int) -> int:
    """In which window a cell lies: (begin, end] for spans, [begin, end) for instants."""
    wall = cell.ts + offset
    return -(-wall // length) - 1 if cell.since < cell.ts else wall // length


def expected(function: str, type_: str, pool: Sequence[Cell]) -> Any:
    """What becomes of the cells of one window, or of one time, in plain Python."""
    there = [cell for cell in pool if cell.value is not None]
    values = [cell.value for cell in there]
    if function == "sum":
        gaps = [cell for cell in pool if cell.value is None]
        for gap in gaps:
            if not any(c.key == gap.key and c.since <= gap.since and c.ts >= gap.ts for c in there):
                return "(a part is missing)"
        if type_ == "f64":
            return pytest.approx(math.fsum(values), rel=1e-12, abs=1e-12 * sum(map(abs, values)))
        low, high = (0, 2**64 - 1) if type_ == "u64" else (-(2**63), 2**63 - 1)
        return sum(values) if low <= sum(values) <= high else f"(the sum does not fit {type_})"
    if not values:
        return "(nothing was read)"
    if function == "mean":
        exact = Fraction(sum(map(Fraction, values))) / len(values)
        return float(exact) if type_ != "f64" else pytest.approx(float(exact), rel=1e-12, abs=1e-6)
    if function == "last":
        return max(there, key=lambda cell: cell.ts).value
    if function == "quantile":
        return pytest.approx(np.quantile(np.array(values, dtype=float), 0.25), rel=1e-12, abs=1e-9)
    return {"min": min, "max": max}[function](values)


NUMBERS = {
    "f64": st.floats(-1e6, 1e6),
    "u64": st.integers(0, 9) | st.integers(0, 2**64 - 1),
    "i64": st.integers(-9, 9) | st.integers(-(2**63), 2**63 - 1),
}


@pytest.mark.parametrize("function", sorted(KINDS))
@few
@given(data=st.data())
def test_windows_are_those_of_plain_python(function: str, data: st.DataObject) -> None:
    """Whatever comes, goes, is missing, and is handed over together: every cell is in one window of one result."""
    type_ = data.draw(st.sampled_from(sorted(NUMBERS)))
    dropped = [] if function == "last" else data.draw(st.sampled_from([[], ["of"]]))
    length, offset = data.draw(st.integers(2, 20)), data.draw(st.integers(0, 10**18))
    mounted = restarted(once(function, type_, *[f"over={word}" for word in dropped]), length, offset)
    story = data.draw(stories(mounted, NUMBERS[type_]))

    waiting, owners = data.draw(st.sampled_from([1, 3, 64])), data.draw(st.sampled_from([1, 3]))
    with patch.object(plugin, "WAITING_BLOCKS", waiting), patch.object(windows, "OWNERS", owners):
        blocks = [block for rows in story.hands for block in mounted.hand_over(rows)] + mounted.finish()

    pools: dict[tuple[Any, int], list[Cell]] = defaultdict(list)
    for cell in story.cells:
        of = None if dropped else cell.key.attributes
        pools[(cell.key.resource, of), number(cell, length, offset)].append(cell)
    begun, seen = min(cell.since for cell in story.cells), max(cell.ts for cell in story.cells)
    wanted = []
    for (_, window), pool in pools.items():
        begin = window * length - offset
        span = (max(begin, begun), min(begin + length, seen))
        if function == "sum":
            span = (min(cell.since for cell in pool), max(cell.ts for cell in pool))
        wanted.append((span, pool[0].key.resource, "" if dropped else pool[0].key.attributes, pool))
    found = sorted(
        (
            ((int(block.since[row]), int(block.ts[row])), key.resource, "" if dropped else key.attributes, value)
            for block in blocks
            for row, key, value in block.points()
            if key.metric.name == NAMES[function]
        ),
        key=lambda each: str(each[:3]),
    )
    wanted.sort(key=lambda each: str(each[:3]))
    assert [each[:3] for each in found] == [each[:3] for each in wanted]
    for (*_, value), (*_, pool) in zip(found, wanted, strict=True):
        assert (f"({value.reason})" if isinstance(value, Missing) else value) == expected(function, type_, pool)


@pytest.mark.parametrize("function", sorted(set(KINDS) - {"last"}))
@few
@given(data=st.data())
def test_rows_are_those_of_plain_python(function: str, data: st.DataObject) -> None:
    """The same for rows: those that end at one time and go into one series are one."""
    type_ = data.draw(st.sampled_from(sorted(NUMBERS)))
    mounted = restarted(once(function, type_, "over=of"), 0, 0)
    story = data.draw(stories(mounted, NUMBERS[type_]))

    blocks = [block for rows in story.hands for block in mounted.hand_over(rows)] + mounted.finish()

    pools: dict[tuple[int, Any], list[Cell]] = defaultdict(list)
    for cell in story.cells:
        # A cell of the same row cannot make up for one that is missing.
        pools[cell.ts, cell.key.resource].append(cell)
    found = {
        (int(block.ts[row]), key.resource): (value, int(block.since[row]))
        for block in blocks
        for row, key, value in block.points()
        if key.metric.name == NAMES[function]
    }
    assert found.keys() == pools.keys()
    for place, pool in pools.items():
        value, since = found[place]
        assert since == min(cell.since for cell in pool)
        assert (f"({value.reason})" if isinstance(value, Missing) else value) == expected(function, type_, pool)


@steady
@given(
    spans=st.lists(st.tuples(st.integers(1, 10**10), st.integers(0, 2**40)), min_size=1),
    length=st.integers(2, 10**11),
    wall=st.integers(0, 2 * 10**18),
    cuts=st.lists(st.integers(1, 5)),
)
def test_the_sums_of_all_windows_are_the_sum_of_all_deltas(
    spans: list[tuple[int, int]], length: int, wall: int, cuts: list[int]
) -> None:
    """Nothing is lost and nothing counted twice, and the spans of the sums follow each other without a hole."""
    mounted = restarted(once("sum", "u64"), length, wall)
    columns = mounted.columns(mounted.key("m"))
    rows, ts = [], 0
    for span, delta in spans:
        rows.append(Row(columns, ts + span, ts, [delta]))
        ts += span
    blocks: list[Block] = []
    while rows:
        count = cuts.pop() if cuts else 1
        blocks += mounted.hand_over(rows[:count])
        rows = rows[count:]
    found = cells(blocks + mounted.finish(), "m.sum")

    assert sum(value for value, _, _ in found) == sum(delta for _, delta in spans)
    assert found[0][1] == 0
    assert found[-1][2] == ts
    assert all(ended == begun for (_, _, ended), (_, begun, _) in pairwise(found))


@steady
@given(values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=300))
def test_sums_of_floats_are_close(values: list[float]) -> None:
    """Within a few ulp of the sum of the magnitudes, however many batches they come in."""
    mounted = restarted(once("sum", "f64"), 3600 * SECOND, 0)

    with patch.object(plugin, "WAITING_BLOCKS", 4):
        ((found, _, _),) = results(mounted, polls(mounted, values), "m.sum")

    assert abs(Fraction(found) - sum(map(Fraction, values))) <= Fraction(10**-15) * sum(map(Fraction, map(abs, values)))


def test_small_deltas_are_not_swallowed() -> None:
    """A window of many batches keeps what each addition rounds off."""
    mounted = chain("sum", "window=1h")

    with patch.object(plugin, "WAITING_BLOCKS", 1):
        ((found, _, _),) = results(mounted, polls(mounted, [1.0, *[1e-16] * 1000]), "m.sum")

    assert found == 1 + 1e-13


# ------------------------------------------------------------------------------------------------------ the real thing


def test_time_of_the_machine_is_what_its_cores_spent(tmp_path: Path) -> None:
    """In a real run the sums over modes and cores, by row and by window, are those of what csv holds besides."""
    words = ["cpu", "interval=100ms", "aggregate#rows", "metrics=system.cpu.time", "function=sum", "suffix=.rows"]
    words += ["over=cpu.mode", "over=resource", "aggregate#windows", "metrics=system.cpu.time", "function=sum"]
    words += ["over=cpu.mode", "over=resource", "window=500ms", "csv", "path=out.csv"]
    meter = [sys.executable, "-m", "meter"]
    subprocess.run([*meter, "mount", "/cpu", *words], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([*meter, "run", "/cpu", "--for", "1s"], cwd=tmp_path, check=True, capture_output=True)

    with (tmp_path / "out.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["metric"].startswith("system.cpu.time")]

    totals: dict[str, float] = defaultdict(float)
    for line in lines:
        totals[line["metric"]] += float(line["value"])
        assert line["resource"] == ("machine" if "sum" in line["metric"] else line["resource"])
    assert set(totals) == {"system.cpu.time", "system.cpu.time.sum", "system.cpu.time.sum.rows"}
    assert totals["system.cpu.time"] > 0
    assert totals["system.cpu.time.sum"] == pytest.approx(totals["system.cpu.time"], rel=1e-12)
    assert totals["system.cpu.time.sum.rows"] == pytest.approx(totals["system.cpu.time"], rel=1e-12)
