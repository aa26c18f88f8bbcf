"""The filter `convert`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.building import build
from meter.core.plugin import Missing
from meter.core.readings import Row
from tests.plugins.chain import Chain, cells, metric, refusals
from tests.strategies import steady

if TYPE_CHECKING:
    from meter.core.batch import Block


def chain(type_: str, unit: str, to: str, *words: str, kind: str = "gauge") -> Chain:
    """`convert` of the one metric of a source."""
    return Chain([metric("m", kind, type_, unit)], "convert", "metrics=m", f"unit={to}", *words)


def one(mounted: Chain, *readings: Any) -> list[Block]:
    """Readings of one series, a nanosecond apart, all in one block."""
    columns = mounted.columns(mounted.key("m"))
    return mounted.blocks(Row(columns, nth + 1, nth, [reading]) for nth, reading in enumerate(readings))


@pytest.mark.parametrize(
    ("type_", "unit", "to", "reading", "value"),
    [
        ("f64", "J", "kJ", 1500.0, 1.5),
        ("f64", "W.h", "J", 2.5, 9000.0),
        ("f64", "%", "1", 12.5, 0.125),
        ("f64", "By/s", "MBy/min", 1e6, 60.0),
        ("f64", "J", "J", 0.1, 0.1),  # no factor, no rounding
        ("f64", "Cel", "K", 21.5, 294.65),  # these have a summand, too
        ("f64", "[degF]", "Cel", 212.0, 100.0),
        ("i64", "Cel", "mK", 20, 293_150.0),
        ("u64", "By", "GiBy", 3 * 2**29, 1.5),
        ("u64", "us", "ns", 1500, 1_500_000.0),
        ("i64", "mV", "V", -1500, -1.5),
        ("u64", "By", "By", 7, 7.0),
        ("u64", "By", "By", 2**53 + 1, 2.0**53),  # integers above 2^53 are rounded
        ("u64", "By", "kBy", None, "()"),
        ("u64", "By", "By", Missing("EIO"), "(EIO)"),
        ("f64", "J", "J", Missing("EIO"), "(EIO)"),
        ("f64", "kJ", "J", 1e308, "(the value is too great for a float in this unit)"),
        ("f64", "kJ", "J", -1e308, "(the value is too great for a float in this unit)"),
    ],
)
def test_values_are_those_in_the_other_unit(type_: str, unit: str, to: str, reading: Any, value: Any) -> None:
    """The factor is exact, what is missing keeps its reason, and no infinity comes out."""
    assert [(value, 0, 1)] == cells(one(chain(type_, unit, to), reading), "m.converted")


@pytest.mark.parametrize("kind", ["gauge", "delta", "counter"])
def test_what_it_gives(kind: str) -> None:
    """The new unit in f64; kind, resource and attributes stay."""
    mounted = chain("u64", "By", "kBy", kind=kind)

    passed, block = one(mounted, 1)

    (old,), (new,) = passed.layout.keys, block.layout.keys
    assert new.metric[:5] == ("m.converted", "f64", "kBy", kind, kind != "gauge")
    assert (old.resource, old.consumer, old.attributes) == (new.resource, new.consumer, new.attributes)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("${metric}.kilo", {"a.x.kilo", "a.y.kilo"}),
        ("kilo.${metric}", {"kilo.a.x", "kilo.a.y"}),
    ],
)
def test_the_new_name_is_made_of_the_old_one(name: str, made: set[str]) -> None:
    """Several metrics take one instance."""
    metrics = [metric(name_, "gauge", "f64", "J") for name_ in ("a.x", "a.y")]
    mounted = Chain(metrics, "convert", "metrics=a.*", "unit=kJ", f"name={name}")

    assert {said["metric"] for said in mounted.schema["collect"]} == {"a.x", "a.y"} | made


def test_the_rows_are_those_of_the_input() -> None:
    """The engine puts both into one block, as their times are the very same arrays."""
    passed, block = one(chain("f64", "J", "kJ"), 1.0, 2.0)

    assert (passed.ts is block.ts, passed.since is block.since) == (True, True)


def test_what_is_not_kept_is_gone() -> None:
    """With `keep=false` only the new metric goes on."""
    (block,) = one(chain("f64", "J", "kJ", "keep=false"), 1.0)

    assert block.layout.metrics == ("m.converted",)


def test_values_of_the_source_are_not_written_to() -> None:
    """In its own unit the values are a copy, or the matrix as it is."""
    mounted = chain("f64", "J", "J")
    rows = [Row(mounted.columns(mounted.key("m")), 1, 0, [2.0])]
    (source,) = build(rows)

    given_ = mounted.filters[0].hop(source)

    assert [block.parts[0].tolist() for block in given_] == [[[2.0]], [[2.0]]]
    assert not any(block.parts[0].flags.writeable for block in given_)


@pytest.mark.parametrize(
    ("unit", "words", "codes"),
    [
        ("By", ["metrics=m", "unit=J"], ["E-FLOW-UNIT"]),
        ("By", ["metrics=m", "unit=By/s"], ["E-FLOW-UNIT"]),
        ("Cel", ["metrics=m", "unit=J"], ["E-FLOW-UNIT"]),
        ("By", ["metrics=m", "unit=furlong"], ["E-CONFIG-TYPE"]),
        ("By", ["metrics=m"], ["E-CONFIG-MISSING"]),
        ("By", ["unit=kBy"], ["E-CONFIG-MISSING"]),
        ("By", ["metrics=n", "unit=kBy"], ["E-FLOW-EMPTY"]),
        ("By", ["metrics=m", "unit=kBy", "name=${metric}"], ["E-FLOW-CLASH"]),  # a name has one unit
        ("By", ["metrics=m", "unit=kBy", "name=a b"], ["E-KEY-NAME"]),
        ("By", ["metrics=m", "unit=kBy", "name=${unit}.x"], ["E-KEY-NAME"]),
    ],
)
def test_what_cannot_be_converted_is_refused(unit: str, words: list[str], codes: list[str]) -> None:
    """By the check, before anything runs."""
    assert codes == refusals([metric("m", "gauge", "f64", unit)], "convert", *words)


@pytest.mark.parametrize("kind", ["delta", "counter"])
def test_what_a_temperature_rose_by_is_no_temperature(kind: str) -> None:
    """20 degrees more are 20 K more and not 293 K."""
    assert refusals([metric("m", kind, "f64", "Cel")], "convert", "metrics=m", "unit=K") == ["E-FLOW-UNIT"]


def test_two_metrics_cannot_become_one_series() -> None:
    """Without `${metric}` in the name, series of several metrics may meet."""
    metrics = [metric("a", "gauge", "f64", "J"), metric("b", "gauge", "f64", "J")]

    assert refusals(metrics, "convert", "metrics=?", "unit=kJ", "name=c") == ["E-FLOW-CLASH"]


@steady
@given(
    value=st.floats(-1e290, 1e290, allow_subnormal=False),
    units=st.sampled_from([("J", "kJ"), ("J", "kW.h"), ("s", "d"), ("By", "GiBy"), ("m/s", "km/h")]),
)
def test_there_and_back(value: float, units: tuple[str, str]) -> None:
    """Both ways give the value again, but for the rounding of two factors and two products."""
    unit, to = units
    ((there, _, _),) = cells(one(chain("f64", unit, to), value), "m.converted")
    ((back, _, _),) = cells(one(chain("f64", to, unit), there), "m.converted")

    assert back == pytest.approx(value, rel=5e-16, abs=1e-290)
