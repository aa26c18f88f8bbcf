"""Grams of carbon dioxide of an energy: how they are asked for, and that their parts are the whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core import Quantity, attributing, carbon, energies, measure
from meter.core.keys import Key
from tests.core.test_energies import Counted, joules, structure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ("FRA", "country=FRA"),
        ("world", "country=world"),
        ("", "country="),
        ("g/kWh", "country=g/kWh"),
        ("475g/kWh", "intensity=475 g/(kW.h)"),
        (" 475  g / kWh ", "intensity=475 g/(kW.h)"),
        ("475 g/(kW.h)", "intensity=475 g/(kW.h)"),
        ("475 g/(kWh)", "intensity=475 g/(kW.h)"),
        ("132 g/MJ", "intensity=132 g/MJ"),
        ("0.132 mg/J", "intensity=0.132 mg/J"),
        ("475gCO2e/kWh", "intensity=475 g/(kW.h)"),
        ("475 gCO2eq/kWh", "intensity=475 g/(kW.h)"),
        ("475 g CO2-eq/kWh", "intensity=475 g/(kW.h)"),
        ("475 gCO₂/kWh", "intensity=475 g/(kW.h)"),
        ("0.475 kgCO2e/kWh", "intensity=0.475 kg/(kW.h)"),
        ("4.75e2 kg/MWh", "intensity=4.75e2 kg/(MW.h)"),
        ("-1g/kWh", "intensity=-1 g/(kW.h)"),
        # What is left as it is, the check refuses.
        ("475", "intensity=475"),
        ("475 g/kWhr", "intensity=475 g/kWhr"),
        ("475 g/kW.h", "intensity=475 g/kW.h"),
        ("475 gCO", "intensity=475 gCO"),
    ],
)
def test_what_is_asked_is_an_option_of_the_filter(asked: str, option: str) -> None:
    """What begins with a digit is an intensity, in the spellings of electricity bills; else it is a grid."""
    assert carbon.words(asked) == ["metrics=hw.energy", option]


def grams(of: Counted, value: float | None) -> Counted:
    """The grams of a series of energy."""
    metric = of.key.metric._replace(name=carbon.GRAMS, unit="g", quality="estimated")
    key = Key(metric, of.key.resource, of.key.consumer, of.key.attributes)
    return Counted(key, value, reasons=() if value is not None else ("EIO",))


def found(series: list[Counted], share: Quantity) -> carbon.Carbon:
    """The grams of a machine."""
    energy = attributing.parted(energies.energy(series, "none", structure()), share)
    return carbon.grams("world", series, energy)


SHARE = Quantity(0.25, "1", "estimated")


def test_grams_are_attributed_as_the_joules_are() -> None:
    """Of processors by CPU time; those of a GPU stay in the rest. A sum of both is the total."""
    known = [joules(8, ("cpu_package", "0")), joules(90, ("gpu", "0"))]
    series = [*known, grams(known[0], 16), grams(known[1], 180)]
    made = found(series, SHARE)

    assert [part.value for part in made[1:] if isinstance(part, Quantity)] == [196, 4, 192]
    assert {part.quality for part in made[1:] if isinstance(part, Quantity)} == {"estimated"}
    assert "without gpu-0" in (made.attributed.reason or "")


def test_its_text_is_that_of_the_total() -> None:
    """As a person reads it, with its quality, or why it is missing."""
    known = joules(8, ("cpu_package", "0"))

    assert str(found([known, grams(known, 16)], SHARE)) == "16 g (estimated)"
    assert str(found([known], SHARE)) == "missing (cpu_package-0: no filter has given its grams)"


@pytest.mark.parametrize(
    ("series", "total", "attributed"),
    [
        (
            [joules(8, ("cpu_package", "0"))],
            "cpu_package-0: no filter has given its grams",
            "cpu_package-0: no filter has given its grams",
        ),
        (
            [joules(8, ("cpu_package", "0")), grams(joules(8, ("cpu_package", "0")), None)],
            "cpu_package-0: EIO",
            "cpu_package-0: EIO",
        ),
        ([joules(None, ("cpu_package", "0"))], "the energy of the machine is missing", "the energy of the machine"),
        ([joules(9, ("gpu", "0")), grams(joules(9, ("gpu", "0")), 3)], "", "gpu-0: no source says whose it is"),
    ],
)
def test_grams_that_are_not_known_are_missing(series: list[Counted], total: str, attributed: str) -> None:
    """With the reason, and never as 0."""
    made = found(series, SHARE)

    assert (made.total.value is None) == bool(total)
    assert total in (made.total.reason or "")
    assert made.attributed.value is None
    assert attributed in (made.attributed.reason or "")


@given(
    energy=st.lists(st.tuples(st.sampled_from(("cpu_package", "dram", "gpu")), st.floats(0, 1e12)), max_size=6),
    share=st.floats(0, 1),
    intensity=st.floats(0, 1e4),
)
def test_both_parts_are_the_whole(energy: list[tuple[str, float]], share: float, intensity: float) -> None:
    """For any machine, share and intensity; the grams of a part are to the whole as its joules are."""
    known = [joules(value, (kind, str(place))) for place, (kind, value) in enumerate(energy)]
    series = [*known, *(grams(each, (each.value or 0) * intensity) for each in known)]
    made = found(series, Quantity(share, "1", "estimated"))

    if made.total.value is not None and made.unattributed.value is not None:
        parts = (made.attributed.value or 0) + made.unattributed.value
        assert math.isclose(parts, made.total.value, rel_tol=1e-9, abs_tol=1e-300)
        of_cpu = sum(value for kind, value in energy if kind != "gpu") * intensity * share
        assert math.isclose(made.attributed.value or 0, of_cpu, rel_tol=1e-6, abs_tol=1e-290)


def test_who_asks_for_no_grams_gets_none(tmp_path: Path) -> None:
    """Nor a line in the document or the table that says that they are missing."""
    with measure(sysroot=tmp_path) as m:
        pass

    assert m.carbon is None
    assert m.to_json()["carbon"] is None
    assert "carbon" not in str(m)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("FRO", "did you mean `FRA`?"),
        ("475", "write it with a unit"),
        ("5 kg/kW", "cannot be converted"),
        ("5 g/kW.h", "did you mean `5 g/(kW.h)`?"),
        ("none", "change `intensity` or `country`"),
        ("0 g/kWh", "change `intensity` or `country`"),
    ],
)
def test_a_grid_that_is_none_is_refused_before_the_block(asked: str, why: str, tmp_path: Path) -> None:
    """A ValueError in the line that asks, on a machine with energy as on one without."""
    with pytest.raises(ValueError, match="carbon=") as refused, measure(sysroot=tmp_path, carbon=asked):
        pytest.fail("the block was entered")
    assert why in str(refused.value)
    number: Any = 475
    with pytest.raises(TypeError, match="expected a text"):
        measure(carbon=number)
