"""The filter `rate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.plugin import Missing
from meter.core.readings import Row
from tests.plugins.chain import SECOND, Chain, cells, metric, refusals

if TYPE_CHECKING:
    from meter.core.batch import Block


def chain(kind: str, type_: str = "f64", unit: str = "J") -> Chain:
    """`rate` of the one metric of a source."""
    return Chain([metric("m", kind, type_, unit)], "rate", "metrics=m")


def polls(mounted: Chain, seconds: list[float], readings: list[Any]) -> list[Block]:
    """Readings of one series at some times; each row starts where the one before ended."""
    columns = mounted.columns(mounted.key("m"))
    ends = [int(second * SECOND) for second in seconds]
    starts = [ends[0], *ends]
    return mounted.blocks(
        Row(columns, end, start, [reading]) for end, start, reading in zip(ends, starts, readings, strict=False)
    )


@pytest.mark.parametrize(
    ("type_", "seconds", "readings", "rates"),
    [
        ("f64", [0, 1, 3], [0.0, 20.0, 20.0], ["(the span has no length)", 20.0, 10.0]),  # a late poll has a longer row
        ("u64", [0, 0.5], [0, 2**53], ["(the span has no length)", 2.0**54]),
        ("u64", [0, 1], [0, None], ["(the span has no length)", "()"]),
        ("i64", [0, 1], [0, -3], ["(the span has no length)", -3.0]),
        ("f64", [0, 1], [Missing("EIO"), None], ["(EIO)", "()"]),
    ],
)
def test_a_delta_is_divided_by_its_span(
    type_: str, seconds: list[float], readings: list[Any], rates: list[Any]
) -> None:
    """20 J in a second are 20 W; what came in no time has no rate."""
    blocks = polls(chain("delta", type_), seconds, readings)

    assert rates == [value for value, _, _ in cells(blocks, "m.rate")]


@pytest.mark.parametrize(
    ("type_", "seconds", "readings", "rates"),
    [
        ("u64", [0], [5], []),  # the first one gives nothing
        ("u64", [0, 1, 3], [5, 10, 20], [(5.0, 0, 1), (5.0, 1, 3)]),
        ("u64", [0, 2], [2**63, 2**63 + 3], [(1.5, 0, 2)]),  # a float would see no difference
        ("i64", [0, 1], [-(2**63), 2**63 - 1], [(2.0**64, 0, 1)]),
        ("u64", [0, 1, 2], [5, None, 9], [("()", 0, 1), (2.0, 0, 2)]),
        ("f64", [0, 1, 2], [5.0, 3.0, 4.0], [("(the counter went back)", 0, 1), (1.0, 1, 2)]),
    ],
)
def test_a_counter_is_compared_with_its_last_good_reading(
    type_: str, seconds: list[float], readings: list[Any], rates: list[tuple[Any, int, int]]
) -> None:
    """As `difference`, divided by the time between the two readings."""
    blocks = polls(chain("counter", type_), seconds, readings)

    assert [(value, since * SECOND, ts * SECOND) for value, since, ts in rates] == cells(blocks, "m.rate")


def test_what_it_gives() -> None:
    """A gauge in f64, per second, additive as the input is."""
    mounted = chain("delta", "u64", "By")
    block = mounted.blocks([Row(mounted.columns(mounted.key("m")), SECOND, 0, [3])])[-1]

    (key,) = block.layout.keys
    assert key.metric[:5] == ("m.rate", "f64", "By/s", "gauge", True)
    assert frozenset({"made", "rate"}) == key.metric.via


def test_deltas_and_counters_of_one_name_pattern() -> None:
    """Metrics of both kinds and of several types may be selected together; each is treated as what it is."""
    metrics = [metric("x.d", "delta"), metric("x.c", "counter"), metric("x.f", "counter", "f64")]
    mounted = Chain(metrics, "rate", "metrics=x.*")
    columns = mounted.columns(*[mounted.key(name) for name in ("x.d", "x.c", "x.f")])

    blocks = mounted.blocks([Row(columns, SECOND, 0, [4, 10, 1.0]), Row(columns, 3 * SECOND, SECOND, [4, 20, 2.0])])

    found = {name: [value for value, _, _ in cells(blocks, name)] for name in ("x.d.rate", "x.c.rate", "x.f.rate")}
    assert found == {"x.d.rate": [4.0, 2.0], "x.c.rate": [5.0], "x.f.rate": [0.5]}


def test_a_rate_that_no_float_holds_is_missing() -> None:
    """1e308 J in a microsecond: missing, not infinite."""
    (rate,) = cells(polls(chain("delta"), [0, 1e-6], [0.0, 1e308])[1:], "m.rate")[1:]

    assert rate == ("()", 0, 1000)


def test_what_has_no_rate_is_refused() -> None:
    """A gauge is E-FLOW-KIND; a temperature in degrees Celsius per second is no unit."""
    assert refusals([metric("m", "gauge")], "rate", "metrics=m") == ["E-FLOW-KIND"]
    assert refusals([metric("m", "delta", "f64", "Cel")], "rate", "metrics=m") == ["E-FLOW-UNIT"]


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 10**15), st.none() | st.floats(-1e200, 1e200, allow_nan=False)), min_size=1)
)
def test_rate_times_span_is_delta(rows: list[tuple[int, float | None]]) -> None:
    """The rate gives the delta back, but for the rounding of two operations."""
    mounted = chain("delta")
    columns = mounted.columns(mounted.key("m"))
    ts, made = 0, []
    for length, delta in rows:
        made.append(Row(columns, ts + length, ts, [delta]))
        ts += length

    found = cells(mounted.blocks(made), "m.rate")

    assert len(rows) == len(found)
    for (length, delta), (rate, since, end) in zip(rows, found, strict=True):
        assert end - since == length
        if delta is None:
            assert rate == "()"
        else:
            assert rate * (length / 1e9) == pytest.approx(delta, rel=1e-15, abs=1e-300)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(readings=st.lists(st.none() | st.integers(0, 50), max_size=12))
def test_the_rate_of_a_counter_is_that_of_its_difference(readings: list[int | None]) -> None:
    """One hop or two give the same."""
    mounted = Chain([metric("m")], "difference", "metrics=m", "rate", "metrics=m", "metrics=m.delta")
    columns = mounted.columns(mounted.key("m"))

    blocks = mounted.blocks(
        Row(columns, nth * SECOND, max(0, nth - 1) * SECOND, [reading]) for nth, reading in enumerate(readings)
    )

    assert cells(blocks, "m.rate") == cells(blocks, "m.delta.rate")
