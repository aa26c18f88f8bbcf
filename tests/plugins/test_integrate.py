"""The filter `integrate`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.plugin import Missing
from meter.core.readings import Row
from tests.plugins.chain import SECOND, Chain, cells, metric, refusals


def chain(unit: str = "W", *words: str) -> Chain:
    """`integrate` of the one metric of a source."""
    return Chain([metric("m", "gauge", "f64", unit)], "integrate", "metrics=m", *words)


def energy(mounted: Chain, seconds: list[float], readings: list[Any], name: str = "m.energy") -> list[tuple[Any, ...]]:
    """Energy, begin and end in seconds of each row that comes of readings at some times."""
    columns = mounted.columns(mounted.key("m"))
    ends = [int(second * SECOND) for second in seconds]
    starts = [ends[0], *ends]
    rows = (Row(columns, end, start, [value]) for end, start, value in zip(ends, starts, readings, strict=False))
    return [(value, since / SECOND, ts / SECOND) for value, since, ts in cells(mounted.blocks(rows), name)]


@pytest.mark.parametrize(
    ("seconds", "readings", "found"),
    [
        ([0], [5.0], []),  # the first one gives nothing
        ([0, 1], [0.1, 0.15], [(0.125, 0, 1)]),
        ([0, 1, 3], [10.0, 20.0, 20.0], [(15.0, 0, 1), (40.0, 1, 3)]),  # a late poll has a longer row
        ([0, 1, 2], [10.0, Missing("EIO"), 20.0], [("(EIO)", 0, 1), (30.0, 0, 2)]),
        ([0, 1], [1e308, 1e308], [(1e308, 0, 1)]),
    ],
)
def test_power_changes_evenly_between_two_readings(
    seconds: list[float], readings: list[Any], found: list[tuple[Any, ...]]
) -> None:
    """The mean of both times the time between them."""
    assert energy(chain(), seconds, readings) == found


def test_the_whole_is_that_of_the_trapezoidal_rule() -> None:
    """Readings of 100, 150, 150, 120, 200 mW, one a second, are 570 mJ."""
    found = energy(chain("mW"), [0, 1, 2, 3, 4], [100.0, 150.0, 150.0, 120.0, 200.0])

    assert sum(value for value, _, _ in found) == pytest.approx(0.570, rel=1e-12)


def test_a_mean_stands_for_the_span_of_its_row() -> None:
    """Times its length; the first row has none."""
    found = energy(chain("W", "readings=mean"), [0, 2, 3], [7.0, 10.0, 20.0])

    assert found == [("(the span has no length)", 0, 0), (20.0, 0, 2), (20.0, 2, 3)]


def test_what_is_missing_of_a_mean_is_missing() -> None:
    """Nobody knows what the mean was."""
    assert energy(chain("W", "readings=mean"), [0, 2], [7.0, Missing("EIO")])[1:] == [("(EIO)", 0, 2)]


def test_what_it_gives() -> None:
    """Joules in f64, a delta, derived from what was measured, under the name that the option says."""
    mounted = Chain([metric("hw.power", "gauge", "f64", "kW")], "integrate", "metrics=hw.power", "name=hw.energy")
    columns = mounted.columns(mounted.key("hw.power"))
    made = mounted.blocks([Row(columns, 0, 0, [1.0]), Row(columns, SECOND, 0, [1.0])])[-1]

    (key,) = made.layout.keys
    assert key.metric[:4] == ("hw.energy", "f64", "J", "delta")
    assert key.metric.quality == "derived"
    assert made.column(key).tolist() == [1000.0]


@pytest.mark.parametrize(
    ("kind", "unit", "code"),
    [("delta", "W", "E-FLOW-KIND"), ("counter", "J", "E-FLOW-KIND"), ("gauge", "Cel", "E-FLOW-UNIT")],
)
def test_what_is_no_power_is_refused(kind: str, unit: str, code: str) -> None:
    """The integral of an amount has no meaning, nor have joules of a temperature."""
    assert code in refusals([metric("m", kind, "f64", unit)], "integrate", "metrics=m")


@settings(derandomize=True, max_examples=100, deadline=None)
@given(lengths=st.lists(st.integers(1, 10**12), min_size=1, max_size=20), watts=st.floats(0, 1e6))
def test_a_constant_power_adds_up_to_power_times_time(lengths: list[int], watts: float) -> None:
    """However it was polled."""
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + length)
    found = energy(chain(), [end / SECOND for end in ends], [watts] * len(ends))

    whole = watts * (int(ends[-1] / SECOND * SECOND) / 1e9)
    assert sum(value for value, _, _ in found) == pytest.approx(whole, rel=1e-12, abs=1e-12)
