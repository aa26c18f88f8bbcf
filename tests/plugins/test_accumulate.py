"""The filter `accumulate`."""

from __future__ import annotations

import math
import operator
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core import history
from meter.core.plugin import Missing
from meter.core.readings import Row
from tests.plugins.chain import Chain, cells, metric, refusals
from tests.strategies import steady

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


TOTAL = "m.total"
BELOW = "(a counter cannot take a delta below 0)"


class Delta(NamedTuple):
    """A value of one series and the span of its row."""

    value: Any
    since: int
    ts: int


def chain(type_: str = "u64", *words: str) -> Chain:
    """`accumulate` of the one delta of a source."""
    return Chain([metric("m", "delta", type_)], "accumulate", *words)


def on(*values: Any) -> list[Delta]:
    """Deltas whose rows follow each other without a hole."""
    return [Delta(value, nth, nth + 1) for nth, value in enumerate(values)]


def totals(mounted: Chain, deltas: Iterable[Delta], *, apart: bool = False) -> list[Any]:
    """What the counter shows, the rows in one block or each in its own."""
    columns = mounted.columns(mounted.key("m"))
    rows = [Row(columns, delta.ts, delta.since, [delta.value]) for delta in deltas]
    blocks = [block for row in rows for block in mounted.blocks([row])] if apart else mounted.blocks(rows)
    return [value for value, _, _ in cells(blocks, TOTAL)]


MOST = 2**64 - 1


@pytest.mark.parametrize("apart", [False, True], ids=["one block", "blocks"])
@pytest.mark.parametrize(
    ("type_", "deltas", "expect"),
    [
        ("u64", on(5), [5]),  # it starts at 0 where the row of the first delta starts
        ("u64", on(5, 0, 7), [5, 5, 12]),
        ("i64", on(5, 2**62, 1), [5, 2**62 + 5, 2**62 + 6]),
        ("u64", on(2**53, 1, 1), [2**53, 2**53 + 1, 2**53 + 2]),  # a float would stay
        ("f64", on(0.5, 0.25), [0.5, 0.75]),
        # what a missing delta held is not known, so the sum does not go on
        ("u64", on(5, None, 3, 4), [5, "()", 3, 7]),
        ("f64", on(5.0, Missing("EIO"), 3.0, 4.0), [5.0, "(EIO)", 3.0, 7.0]),
        ("u64", on(None, 3, 4), ["()", 3, 7]),
        ("u64", on(5, None, None, 3), [5, "()", "()", 3]),
        # 5 then 9 would look like 4 more, so that row shows the new start
        ("u64", on(5, None, 9, 4), [5, "()", 0, 4]),
        ("u64", on(5, None, 5, 4), [5, "()", 0, 4]),
        ("f64", on(5.0, None, 9.0, 4.0), [5.0, "()", 0.0, 4.0]),
        # from 0 nothing can fall
        ("u64", on(0, None, 9), [0, "()", 9]),
        # nothing is lost where the next row spans the missing one, too
        ("u64", [Delta(5, 0, 1), Delta(None, 1, 2), Delta(9, 1, 3), Delta(4, 3, 4)], [5, "()", 14, 18]),
        # the series was away
        ("u64", [Delta(5, 0, 1), Delta(3, 2, 3), Delta(4, 3, 4)], [5, 3, 7]),
        ("u64", [Delta(5, 0, 1), Delta(9, 2, 3), Delta(4, 3, 4)], [5, 0, 4]),
        # rows without length, as instants from elsewhere have, tell of no hole
        ("u64", [Delta(5, 1, 1), Delta(9, 7, 7), Delta(4, 8, 8)], [5, 14, 18]),
        # no room: never wrapped
        ("u64", on(MOST, 0, 1, 1), [MOST, MOST, 1, 2]),
        ("u64", on(MOST - 1, MOST, 7), [MOST - 1, 0, 7]),
        ("i64", on(2**63 - 1, 3), [2**63 - 1, 3]),
        ("f64", on(1.5e308, 1e308, 1.0), [1.5e308, 1e308, 1e308]),
        # a counter does not fall
        ("i64", on(5, -1, 3), [5, BELOW, 3]),
        ("f64", on(5.0, -0.5, 3.0), [5.0, BELOW, 3.0]),
        ("f64", on(1.0, -0.0), [1.0, 1.0]),
    ],
)
def test_a_counter_is_the_sum_since_its_start(
    type_: str, deltas: list[Delta], expect: list[Any], *, apart: bool
) -> None:
    """It goes on where rows follow each other, else it starts again so that whoever reads it can see that."""
    assert expect == totals(chain(type_), deltas, apart=apart)


@pytest.mark.parametrize(
    ("type_", "deltas", "expect"),
    [
        ("u64", [1, MOST - 1, 7, 1], [6, 0, 7, 8]),  # in the second row
        ("u64", [MOST, 9, 1], [0, 9, 10]),  # in the first one
        ("i64", [1, 2**63 - 1, 7], [6, 0, 7]),
    ],
)
def test_a_sum_that_has_no_room_in_a_later_block(type_: str, deltas: list[int], expect: list[int]) -> None:
    """Where a counter goes on from the block before, it starts again in whichever row there is no room."""
    mounted = chain(type_)

    assert totals(mounted, on(5)) == [5]
    assert totals(mounted, [Delta(value, nth + 1, nth + 2) for nth, value in enumerate(deltas)]) == expect


def test_what_it_gives() -> None:
    """A counter of the delta's type and unit, additive as that is, in the very rows of the delta."""
    mounted = chain()
    passed, block = mounted.blocks([Row(mounted.columns(mounted.key("m")), 2, 1, [3])])

    (key,) = block.layout.keys
    assert key.metric[:5] == (TOTAL, "u64", "By", "counter", True)
    assert (passed.ts is block.ts, passed.since is block.since) == (True, True)


def test_without_options_it_takes_every_delta_and_nothing_else() -> None:
    """`accumulate` alone, put before an output of counters, is enough."""
    mounted = Chain([metric("m", "delta"), metric("n", "delta", "f64", "J"), metric("g", "gauge")], "accumulate")

    assert {said["metric"] for said in mounted.schema["collect"]} == {"m", "n", "g", "m.total", "n.total"}


def test_with_keep_false_the_delta_is_gone() -> None:
    """For outputs that take no deltas."""
    mounted = chain("u64", "keep=false")

    assert {said["metric"] for said in mounted.schema["collect"]} == {TOTAL}


def test_what_is_no_delta_is_refused() -> None:
    """A counter is one already, and a gauge adds up to nothing."""
    for kind in ("counter", "gauge"):
        assert refusals([metric("m", kind)], "accumulate", "metrics=m") == ["E-FLOW-KIND"]


def test_a_series_keeps_its_sum_when_others_come_and_go() -> None:
    """Where its column lies says nothing of a series."""
    mounted = chain()
    a, b, c = (mounted.key("m", of) for of in "abc")
    mounted.blocks([Row(mounted.columns(a, b), 1, 0, [10, 20])])

    second = cells(mounted.blocks([Row(mounted.columns(c, b), 2, 1, [7, 5])]), TOTAL)
    third = cells(mounted.blocks([Row(mounted.columns(a, b, c), 3, 2, [4, 1, 2])]), TOTAL)

    assert [value for value, _, _ in second] == [25, 7]
    assert [value for value, _, _ in third] == [4, 26, 9]  # a was not there at 2


def test_many_small_floats_lose_nothing() -> None:
    """Plain addition of 20,000 times 0.1 is wrong in the tenth digit."""
    count = 20_000
    columns = (mounted := chain("f64")).columns(mounted.key("m"))

    (_, block) = mounted.blocks(Row(columns, nth + 1, nth, [0.1]) for nth in range(count))

    plain = reduce(operator.add, [0.1] * count)  # `sum` makes up for what is lost from Python 3.12 on
    assert plain != math.fsum([0.1] * count)
    assert block.parts[0][-1, 0] == math.fsum([0.1] * count)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many series those that were not seen for longest are forgotten; the others go on."""
    monkeypatch.setattr(history, "REMEMBERED", 8)
    mounted = chain()
    old = mounted.columns(mounted.key("m", "old"))
    stays = mounted.columns(mounted.key("m", "stays"))
    mounted.blocks([Row(old, 1, 0, [5])])
    for nth in range(1, 20):
        short = mounted.columns(mounted.key("m", f"short {nth}"))
        blocks = mounted.blocks([Row(short, nth, nth - 1, [1]), Row(stays, nth, nth - 1, [2])])
        assert [value for value, _, _ in cells(blocks, TOTAL)] == [1, 2 * nth]

    (counters,) = mounted.filters[0].plugin._counters.values()
    assert len(counters) <= 8
    assert cells(mounted.blocks([Row(old, 20, 1, [9])]), TOTAL) == [(9, 1, 20)]  # a row that would go on


# ------------------------------------------------------------------------------------------------------- properties

HOLES = st.sampled_from(["", "", "", "away", "spans"])
VALUES = st.none() | st.integers(0, 9) | st.integers(0, 2**64 - 1)


@st.composite
def histories(draw: st.DrawFn) -> list[Delta]:
    """Deltas with holes, and with rows that span what was missing before."""
    deltas: list[Delta] = []
    ts, good = 0, 0
    for value, hole in draw(st.lists(st.tuples(VALUES, HOLES), min_size=1, max_size=12)):
        since = ts = ts + (hole == "away")
        if hole == "spans" and value is not None:
            since = good
        ts += 1
        deltas.append(Delta(value, since, ts))
        good = good if value is None else ts
    return deltas


def counted(deltas: Sequence[Delta]) -> list[Any]:
    """The counter of some deltas of a u64, one after the other: the definition."""
    shown: list[Any] = []
    total = until = -1
    for value, since, ts in deltas:
        if value is None:
            shown.append("()")
            continue
        if total >= 0 and since <= until and total + value <= MOST:
            total += value
        else:
            total = 0 if 0 < total <= value else value
        until = ts
        shown.append(total)
    return shown


@steady
@given(deltas=histories(), data=st.data())
def test_batches_do_not_matter(deltas: list[Delta], data: st.DataObject) -> None:
    """However rows are put into blocks, the counter is that of the definition."""
    mounted = chain()
    found: list[Any] = []
    begin = 0
    while begin < len(deltas):
        end = data.draw(st.integers(begin + 1, len(deltas)))
        found += totals(mounted, deltas[begin:end])
        begin = end

    assert counted(deltas) == found


@steady
@given(deltas=histories())
def test_a_difference_of_the_counter_is_what_the_deltas_say(deltas: list[Delta]) -> None:
    """What a reader makes of the counter is the sum of deltas that nothing is missing between, or missing itself.

    But for a counter that stood at 0: it cannot fall.
    """
    mounted = Chain([metric("m", "delta")], "accumulate", "difference", f"metrics={TOTAL}")
    columns = mounted.columns(mounted.key("m"))
    blocks = mounted.blocks(Row(columns, delta.ts, delta.since, [delta.value]) for delta in deltas)
    shown = {ts: value for value, _, ts in cells(blocks, TOTAL)}

    for value, since, ts in cells(blocks, f"{TOTAL}.delta"):
        if isinstance(value, str) or shown[since] == 0:
            continue
        inside = [delta for delta in deltas if since < delta.ts <= ts and delta.value is not None]
        assert value == sum(delta.value for delta in inside)
        assert ts - since == sum(delta.ts - delta.since for delta in inside)


@steady
@given(deltas=st.lists(st.floats(0, 1e300), min_size=1, max_size=40))
def test_floats_are_rounded_as_if_once(deltas: list[float]) -> None:
    """The counter is the exact sum within the last digit, and never falls."""
    found = totals(chain("f64"), on(*deltas))

    exact = Fraction(0)
    for delta, total in zip(deltas, found, strict=True):
        exact += Fraction(delta)
        assert abs(Fraction(total) - exact) <= Fraction(math.ulp(total))
    assert found == sorted(found)
