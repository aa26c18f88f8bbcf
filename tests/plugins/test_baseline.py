"""The filter `baseline`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing
from meter.core.readings import Row
from tests.plugins.chain import SECOND, Chain, cells, checked, metric, refusals
from tests.strategies import steady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.core.batch import Block

TEN = ("baseline", "metrics=e", "power=10 W")
DOUBT = (*TEN, "of=uncertainty", "uncertainty=500 mW")


def energy(unit: str = "J", type_: str = "f64", kind: str = "delta") -> str:
    """The one metric of the source."""
    return metric("e", kind, type_, unit)


def rows(mounted: Chain, readings: Sequence[tuple[float, Any]]) -> list[Block]:
    """Rows of one series, one behind the other, each with its length in seconds."""
    columns, since, found = mounted.columns(mounted.key("e")), 0, []
    for length, reading in readings:
        ts = since + round(length * SECOND)
        found.append(Row(columns, ts, since, [reading]))
        since = ts
    return mounted.blocks(found)


def values(blocks: Sequence[Block], name: str = "e.active") -> list[Any]:
    """The cells of a metric, in time."""
    return [value for value, _, _ in cells(blocks, name)]


@pytest.mark.parametrize(
    ("unit", "type_", "length", "reading", "left"),
    [
        ("J", "f64", 1, 12.0, 2.0),
        ("J", "f64", 4, 50.0, 10.0),  # a late poll has more of both
        ("mJ", "u64", 0.5, 6000, 1.0),
        ("kJ", "f64", 10, 1.0, 900.0),
        ("J", "f64", 1, 10.0, 0.0),
        ("J", "f64", 0, 3.0, 3.0),  # no length, no baseline
    ],
)
def test_the_power_is_taken_off_for_the_length_of_the_row(
    unit: str, type_: str, length: float, reading: float, left: float
) -> None:
    """In joules, whatever the unit of the input."""
    assert values(rows(Chain([energy(unit, type_)], *TEN), [(length, reading)])) == [pytest.approx(left)]


def test_what_it_gives() -> None:
    """A derived energy of the same resource and attributes; the whole energy goes on."""
    passed, block = rows(Chain([energy()], *TEN), [(1, 12.0)])

    (old,), (new,) = passed.layout.keys, block.layout.keys
    assert new.metric[:6] == ("e.active", "f64", "J", "delta", True, "derived")
    assert (old.resource, old.consumer, old.attributes) == (new.resource, new.consumer, new.attributes)


@pytest.mark.parametrize(
    ("words", "reading", "shown"),
    [
        ([], 9.0, "(less than the baseline by 1 J)"),
        (["uncertainty=500 mW"], 9.0, "(less than the baseline by 1 J)"),
        (["uncertainty=1 W"], 9.0, "(less than the baseline, by no more than its uncertainty)"),
        ([], Missing("EIO"), "(EIO)"),
        ([], None, "()"),
    ],
)
def test_what_is_not_known_is_missing(words: list[str], reading: Any, shown: str) -> None:
    """Never negative and never 0; the rows around it are there."""
    found = values(rows(Chain([energy()], *TEN, *words), [(1, 12.0), (1, reading), (1, 13.0)]))

    assert found == [2.0, shown, 3.0]


def test_a_sum_with_a_row_below_the_baseline_is_missing() -> None:
    """What is left out would make it too great."""
    words = ("aggregate", "metrics=e.active", "function=sum", "over=of")
    chain = Chain([energy()], *TEN, *words)
    columns = chain.columns(chain.key("e", "a"), chain.key("e", "b"))

    made = chain.hand_over([Row(columns, SECOND, 0, [12.0, 9.0])])

    assert values(made, "e.active.sum") == ["(a part is missing: less than the baseline by 1 J)"]


def test_the_uncertainty_is_a_metric_of_its_own() -> None:
    """Joules in proportion to the length of the row; missing where the energy is."""
    made = rows(Chain([energy()], *DOUBT), [(1, 12.0), (4, 50.0), (1, Missing("EIO"))])

    assert values(made, "e.active.uncertainty") == [0.5, 2.0, "(EIO)"]
    assert [key.metric[:6] for key in made[-1].layout.keys] == [
        ("e.active.uncertainty", "f64", "J", "delta", True, "derived")
    ]


def test_energy_and_uncertainty_stand_side_by_side() -> None:
    """Of two instances, with the same two numbers."""
    chain = Chain([energy()], *TEN, "baseline#doubt", *DOUBT[1:])

    made = rows(chain, [(2, 25.0)])

    assert (values(made), values(made, "e.active.uncertainty")) == ([5.0], [1.0])


@pytest.mark.parametrize(
    ("metrics", "words", "codes"),
    [
        ([energy()], TEN[:2], ["E-CONFIG-MISSING"]),
        ([energy()], (*TEN[:2], "power=10 J"), ["E-CONFIG-TYPE"]),
        ([energy()], (*TEN[:2], "power=-1 W"), ["E-CONFIG-RANGE"]),
        ([energy()], (*TEN, "uncertainty=-1 W"), ["E-CONFIG-RANGE"]),
        ([energy()], (*TEN, "of=uncertainty"), ["E-CONSTRAINT"]),
        ([energy(unit="W")], TEN, ["E-FLOW-UNIT"]),
        ([energy(kind="counter")], TEN, ["E-FLOW-KIND"]),
        ([energy(kind="gauge")], TEN, ["E-FLOW-KIND"]),
        ([energy()], (*TEN, "baseline#again", *TEN[1:]), ["E-FLOW-CLASH"]),
    ],
)
def test_what_it_refuses(metrics: list[str], words: tuple[str, ...], codes: list[str]) -> None:
    """By the check, before anything runs."""
    assert refusals(metrics, *words) == codes


def test_an_uncertainty_that_is_not_known_is_told_with_what_asks_for_it() -> None:
    """The option that asks may be changed as well; the interval has no part in it."""
    found = checked([energy()], *TEN, "of=uncertainty").diagnostics
    (facts,) = [each.facts for each in found if each.level == "error"]

    assert facts["values"] == '`uncertainty` is `0 W` and `of` is "uncertainty"'
    assert facts["names"] == "`uncertainty` or `of`"


@steady
@given(st.lists(st.tuples(st.integers(1, 50), st.floats(50.0, 1e6)), min_size=1, max_size=9))
def test_what_is_left_and_the_baseline_are_the_energy(readings: list[tuple[int, float]]) -> None:
    """Over rows of any length: nothing is lost, and nothing is taken off twice."""
    tenths = [(length / 10, reading) for length, reading in readings]

    left = values(rows(Chain([energy()], *TEN), tenths))

    total = sum(reading for _, reading in tenths)
    assert sum(left) + 10 * sum(length for length, _ in tenths) == pytest.approx(total)
