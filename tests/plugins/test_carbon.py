"""The filter `carbon`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from meter.core.plugin import Missing
from meter.core.readings import Row
from meter.plugins.carbon.plugin import TABLE, intensity
from tests.plugins.chain import PLUGINS, Chain, cells, checked, metric, refusals

if TYPE_CHECKING:
    from meter.core.batch import Block

CASES: Final[list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent.parent / "data" / "carbon-cases.json").read_text()
)["cases"]
FRANCE: Final = ("carbon", "metrics=e", "country=FRA")
PARTS: Final = """
[[provides.metrics]]
name = "e"
type = "f64"
unit = "J"
kind = "delta"
resource = ["cpu_package"]
attributes = { domain = ["package", "core", "dram"] }
parts = { domain = { core = "package" } }
"""


def energy(unit: str = "J", type_: str = "f64", kind: str = "delta") -> str:
    """The one metric of the source."""
    return metric("e", kind, type_, unit)


def one(mounted: Chain, *readings: Any) -> list[Block]:
    """Readings of one series, a nanosecond apart, all in one block."""
    columns = mounted.columns(mounted.key("e"))
    return mounted.blocks(Row(columns, nth + 1, nth, [reading]) for nth, reading in enumerate(readings))


def option(given: dict[str, Any]) -> str:
    """How a case says the intensity."""
    return f"country={given['country']}" if "country" in given else f"intensity={given['intensity_g_per_kWh']} g/(kW.h)"


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_golden_cases(case: dict[str, Any]) -> None:
    """Energy in any unit, the intensity as a number or by country."""
    given = case["given"]
    chain = Chain([energy(given["unit"])], "carbon", "metrics=e", option(given))

    ((grams, since, ts),) = cells(one(chain, float(given["energy"])), "e.carbon")

    assert grams == pytest.approx(case["expect"]["carbon_g"], rel=0, abs=case["tolerance"])
    assert (since, ts) == (0, 1)


@pytest.mark.parametrize("amount", ["475.2 g/(kW.h)", "132 g/MJ", "0.132 mg/J", "475.2 kg/(MW.h)", "132 ng/mJ"])
def test_the_intensity_is_mass_over_energy(amount: str) -> None:
    """In any unit of it; a kilowatt-hour is 3.6 MJ."""
    ((grams, _, _),) = cells(one(Chain([energy()], "carbon", "metrics=e", f"intensity={amount}"), 3.6e6), "e.carbon")

    assert grams == pytest.approx(475.2)


def test_the_world_is_the_average_of_the_cases() -> None:
    """Its word and its number are the same."""
    assert {case["given"]["intensity_g_per_kWh"] for case in CASES if case["given"]["mode"] == "world average"} == {
        intensity("world")
    }


def test_the_contract_names_just_the_countries_of_the_table() -> None:
    """So that the check alone, which runs no code, refuses others."""
    contract = tomllib.loads((PLUGINS / "carbon" / "contract.toml").read_text())
    table = tomllib.loads(TABLE.read_text())

    assert contract["config"]["country"]["values"] == ["none", "world", *sorted(table.keys() - {"world"})]


def test_each_figure_has_a_source_and_each_country_a_year() -> None:
    """Nothing in the table is invented: countries are those of the cases."""
    table = tomllib.loads(TABLE.read_text())

    assert all(each["source"] for each in table.values())
    assert [name for name, each in table.items() if "year" not in each] == ["world"]
    assert table.keys() - {"world"} == {case["given"]["country"] for case in CASES if "country" in case["given"]}


@pytest.mark.parametrize("type_", ["f64", "u64", "i64"])
def test_what_it_gives(type_: str) -> None:
    """Grams that are estimated, of the same resource and attributes; the energy goes on."""
    passed, block = one(Chain([energy("mJ", type_)], *FRANCE), 3_600_000_000)

    (old,), (new,) = passed.layout.keys, block.layout.keys
    assert new.metric[:6] == ("e.carbon", "f64", "g", "delta", True, "estimated")
    assert (old.resource, old.consumer, old.attributes) == (new.resource, new.consumer, new.attributes)
    assert [value for value, _, _ in cells([block], "e.carbon")] == [pytest.approx(56.039)]


@pytest.mark.parametrize(("reading", "shown"), [(Missing("EIO"), "(EIO)"), (None, "()")])
def test_what_is_missing_stays_missing(reading: Any, shown: str) -> None:
    """With its reason, and never 0."""
    assert [(shown, 0, 1)] == cells(one(Chain([energy()], *FRANCE), reading), "e.carbon")


@pytest.mark.parametrize(
    ("metrics", "words", "codes"),
    [
        ([energy()], ["country=FRB"], ["E-CONFIG-RANGE"]),
        ([energy()], [], ["E-CONSTRAINT"]),  # nothing says the intensity
        ([energy()], ["country=FRA", "intensity=50 g/(kW.h)"], ["E-CONSTRAINT"]),  # both do
        ([energy()], ["intensity=-1 g/(kW.h)"], ["E-CONFIG-RANGE"]),
        ([energy()], ["intensity=50 g"], ["E-CONFIG-TYPE"]),
        ([energy()], ["intensity=50 g/kW.h"], ["E-CONFIG-TYPE"]),  # (g/kW).h
        ([energy(unit="W")], ["country=FRA"], ["E-FLOW-UNIT"]),
        ([energy(kind="counter")], ["country=FRA"], ["E-FLOW-KIND"]),
        ([energy(kind="gauge")], ["country=FRA"], ["E-FLOW-KIND"]),
    ],
)
def test_what_it_refuses(metrics: list[str], words: list[str], codes: list[str]) -> None:
    """By the check, before anything runs."""
    assert refusals(metrics, "carbon", "metrics=e", *words) == codes


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], '`intensity` is `0 g/(kW.h)` and `country` is "none"'),
        (["country=none"], '`intensity` is `0 g/(kW.h)` and `country` is "none"'),
        (["intensity=0 g/MJ"], '`intensity` is `0 g/(kW.h)` and `country` is "none"'),
        (["country=FRA", "intensity=5 g/MJ"], '`intensity` is `18 g/(kW.h)` and `country` is "FRA"'),
    ],
)
def test_what_says_the_intensity_is_named(words: list[str], values: str) -> None:
    """Both options, as either may be changed; the interval has no part in it."""
    found = checked([energy()], "carbon", "metrics=e", *words).diagnostics
    (facts,) = [each.facts for each in found if each.level == "error"]

    assert (facts["values"], facts["names"], facts["ways"]) == (values, "`intensity` or `country`", "")


def test_an_unknown_country_is_told_the_nearest_one() -> None:
    """In the help of the message."""
    found = checked([energy()], "carbon", "metrics=e", "country=FRB").diagnostics

    assert ["FRA" in each.facts["near"] for each in found if each.level == "error"] == [True]


def test_a_counter_of_energy_goes_through_difference() -> None:
    """As the refusal of a counter says."""
    chain = Chain([energy(kind="counter")], "difference", "metrics=e", "carbon", "metrics=e.delta", "country=FRA")

    assert [value for value, _, _ in cells(one(chain, 0.0, 3.6e6), "e.delta.carbon")] == [pytest.approx(56.039)]


@pytest.mark.parametrize(
    ("selected", "codes"),
    [
        ("e.carbon", ["E-FLOW-DOUBLE"]),
        ("e.carbon{domain=package|core}", ["E-FLOW-DOUBLE"]),
        ("e.carbon{domain=package|dram}", []),
    ],
)
def test_the_carbon_of_a_part_is_part_of_that_of_the_whole(selected: str, codes: list[str]) -> None:
    """A sum that would count grams twice is refused as one of joules is."""
    words = ("aggregate", f"metrics={selected}", "function=sum", "over=domain")

    assert refusals([PARTS], *FRANCE, *words) == codes


def test_the_carbon_of_a_sum_has_counted_nothing_twice() -> None:
    """Where the sum comes first it is refused there."""
    words = ("aggregate", "metrics=e", "function=sum", "over=domain", "carbon", "metrics=e.sum", "country=FRA")

    assert refusals([PARTS], *words) == ["E-FLOW-DOUBLE"]
