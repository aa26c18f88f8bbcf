"""Units compared with an implementation of UCUM that shares nothing with this one: ucumvert, upon pint.

Its base units are kilogram, metre, second, ampere, kelvin, mole, bit and radian; with 8 bits in a byte these are the
ones of CONTRACT.ini, so that dimension and factor of every text have to be equal. Where the two differ the texts stand
in DIFFERENT, each with its reason.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from meter.contracts.language import language
from meter.contracts.units import Dimension, Unit, UnitError, commensurable, conversion

ROOT = Path(__file__).parents[2]
UNITS = language().units

BASES: Final = {
    "kilogram": "kg", "meter": "m", "second": "s", "ampere": "A", "kelvin": "K", "mole": "mol", "bit": "By",
    "radian": "rad",
}  # fmt: skip
"""Base units of the oracle, by their names there."""
EXACT: Final = 1e-12
"""Relative difference of two factors that are one: the oracle counts in floats."""

# A text, whether the oracle and whether meter reads it, and why they differ.
DIFFERENT: Final = [
    ("mCel", False, True, "pint takes no prefix before a unit with an offset; UCUM marks Cel as metric"),
    ("1.5", True, False, "UCUM reads 1 times 5, a person 3/2: refused, so that nobody is misunderstood"),
    ("10.10", True, False, "as 1.5"),
    ("{context switch}", False, True, "UCUM allows no blank in an annotation; nothing is worth less for one"),
    ("W{two words}", False, True, "as {context switch}"),
    ("cW", True, False, "prefixes c, d, da and h are far more often slips than hundredths or hundreds of something"),
    ("PJ", True, False, "P and above are left out, as no metric needs them"),
    ("fs", True, False, "f and below are left out, as no metric needs them"),
    ("[in_i]", True, False, "units that no telemetry writes are left out: a slip that is a unit would not be found"),
]


@cache
def registry() -> Any:
    """The oracle; making it takes seconds."""
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()


def parsed(text: str) -> Any:
    """A unit as a quantity of pint's.

    What is made of numbers and annotations alone comes as a number, an annotation alone as its text, which is worth 1.
    """
    found = registry().from_ucum(text)
    if hasattr(found, "to_base_units"):
        return found
    return (1.0 if isinstance(found, str) else float(found)) * registry().dimensionless


@cache
def oracle(text: str) -> tuple[Dimension, float] | None:
    """Dimension and factor of a unit as the oracle has them, a temperature with its offset; None where it is none."""
    registry()  # an oracle that cannot be made is a fault, and no unit that it does not know
    try:
        found = parsed(text)
    except Exception:  # noqa: BLE001  (errors of its parser, of pint, and of both together have nothing in common)
        return None
    base = found.to_base_units()
    powers = {BASES[name]: int(power) for name, power in base.unit_items()}
    return tuple(sorted(powers.items())), float(base.magnitude) / 8 ** powers.get("By", 0)


def mine(text: str) -> Unit | None:
    """The unit that meter reads; None where it is none."""
    try:
        return UNITS.parse(text)
    except UnitError:
        return None


def prefixed(name: str) -> list[str]:
    """A unit of CONTRACT.ini with every prefix that it takes, but for DIFFERENT: a temperature takes none."""
    atom = UNITS.atoms[name]
    fit = [start for start, prefix in UNITS.prefixes.items() if (atom.binary if prefix.binary else atom.metric)]
    return [name, *(f"{start}{name}" for start in fit if not atom.offset)]


SYMBOLS = [symbol for name in UNITS.atoms for symbol in prefixed(name)]
"""Every unit of CONTRACT.ini with every prefix that it takes."""

_FACTORS = (
    "J",
    "kW",
    "ms",
    "h",
    "By",
    "KiBy",
    "bit",
    "K",
    "g",
    "mol",
    "A",
    "V",
    "Hz",
    "l",
    "%",
    "{packet}",
    "rad",
    "10",
)
_NAMED = [factor for factor in _FACTORS if factor[0].isalpha()]
PRODUCTS = [
    *(f"{one}{sign}{other}" for one, other in itertools.combinations(_FACTORS, 2) for sign in "./"),
    *(f"{one}{power}" for one in _NAMED for power in ("2", "-1", "-3", "+1")),
    *(f"/{one}" for one in _FACTORS),
    *(f"{one}/({other}.s)" for one, other in itertools.pairwise(_FACTORS)),
    *(f"({one}/s).{other}2" for one, other in itertools.pairwise(_NAMED)),
    *(f"{one}{{word}}" for one in _FACTORS if one[0] != "{"),
]
"""Products, quotients, powers, parentheses and annotations."""

# What telemetry writes: Prometheus' base units by their symbols, and what plugins of other agents have.
WRITTEN = [
    "s", "Cel", "m", "By", "1", "V", "A", "J", "W", "g", "%", "kg.m2/s2", "g/(kW.h)", "g/kW.h", "J/(m2.s)", "W/m2",
    "m3/s", "By/s", "kBy/s", "MiBy/s", "bit/s", "Gbit/s", "1/s", "/s", "/min", "W.h", "kW.h", "mW.h", "uJ", "mJ", "nJ",
    "GHz", "MHz", "mV", "mA", "J/s", "J.s-1", "g{CO2}", "g{CO2}/(kW.h)", "{packet}/s", "{operation}/s", "s/s",
    "J/{request}", "J/By", "{a}/{b}", "{a}.{b}", "100.ms", "10.m", "K/W", "[degF]",
]  # fmt: skip


def conventions() -> list[str]:
    """The units of OpenTelemetry's semantic conventions, as their Python package has them."""
    spec = importlib.util.find_spec("opentelemetry.semconv")
    assert spec is not None
    found: set[str] = set()
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).rglob("*.py")):
            found.update(re.findall(r"^Unit: (\S.*)$", path.read_text(encoding="utf-8"), re.MULTILINE))
    return sorted(found)


def plugins() -> list[str]:
    """The units that contracts of the built-in plugins have."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("plugins/meter/plugins/*/contract.toml"))]
    return sorted({unit for text in texts for unit in re.findall(r'^unit = "([^"$]+)"$', text, re.MULTILINE)})


NO_UCUM: Final = {
    "rpm": "OpenTelemetry's unit of a fan; UCUM has no such unit, it is written {revolution}/min",
    "Cel/s": "a unit on a scale with an offset stands alone (UCUM, section 21)",
    "Cel2": "as Cel/s",
    "J/": "nothing behind the slash",
    "watt": "units have symbols, names are no UCUM",
    "kkW": "one prefix",
}
"""Texts that are no units, with the reason; both refuse them."""
TEXTS = sorted({*SYMBOLS, *PRODUCTS, *WRITTEN, *conventions(), *plugins()} - NO_UCUM.keys())


def test_there_is_much_to_compare() -> None:
    """Each source of texts gives some, and they are far more than are written anywhere."""
    assert len(SYMBOLS) > 200
    assert len(conventions()) > 50
    assert len(plugins()) > 10
    assert len(TEXTS) > 600


def test_dimension_and_factor() -> None:
    """Equal for every text."""
    wrong = {}
    for text in TEXTS:
        unit, known = mine(text), oracle(text)
        if unit is None or known is None:
            wrong[text] = (unit, known)
            continue
        factor = unit.scale + unit.offset  # what one of it is in base units
        if unit.dimension != known[0] or abs(factor - known[1]) > EXACT * abs(known[1]):
            wrong[text] = (unit, known)
    assert wrong == {}


@pytest.mark.parametrize(("text", "there", "here", "reason"), DIFFERENT)
def test_known_differences(text: str, there: bool, here: bool, reason: str) -> None:  # noqa: FBT001  (columns of a table)
    """They are as the table says, so that it does not age."""
    assert (oracle(text) is not None, mine(text) is not None) == (there, here), reason


@pytest.mark.parametrize("text", sorted(NO_UCUM))
def test_what_is_no_unit_there_is_none_here(text: str) -> None:
    """Both say so."""
    assert (oracle(text), mine(text)) == (None, None)


PAIRED = sorted({*UNITS.atoms, *WRITTEN, *conventions()} - NO_UCUM.keys())
KEPT_APART: Final = {"By", "rad"}
"""Dimensions that pint has not: bytes and radians are plain numbers there, as UCUM has it for bytes."""


def test_commensurability() -> None:
    """Two units can be compared where pint says so, but for bytes, radians and plain numbers, which are kept apart."""
    units = {text: (UNITS.parse(text), parsed(text)) for text in PAIRED}
    compared = 0
    for one, other in itertools.combinations(PAIRED, 2):
        (first, theirs), (second, others) = units[one], units[other]
        same = theirs.dimensionality == others.dimensionality
        apart = any(dict(first.dimension).get(base) != dict(second.dimension).get(base) for base in KEPT_APART)
        assert commensurable(first, second) == (same and not apart), (one, other)
        compared += same and not apart
    assert compared > 100


PAIRS = [
    ("kW.h", "J"), ("W", "kJ/h"), ("KiBy", "bit"), ("MiBy/s", "kbit/s"), ("l/min", "m3/s"), ("%", "[ppm]"),
    ("eV", "uJ"), ("bar", "kPa"), ("g/(kW.h)", "kg/MJ"), ("GHz", "/min"), ("V.A", "mW"), ("Cel", "K"),
    ("[degF]", "Cel"), ("K", "[degF]"), ("100.ms", "s"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("value", [0, 1, -3.5, 1e6])
def test_conversion(one: str, other: str, value: float) -> None:
    """A value in one unit is the same in the other, there and back; temperatures with their offset."""
    for start, end in ((one, other), (other, one)):
        factor, summand = conversion(UNITS.parse(start), UNITS.parse(end))
        first, then = parsed(start), parsed(end)  # a number before the unit, as in 100.ms, is its magnitude
        there = registry().Quantity(value * float(first.magnitude), first.units).to(then.units)
        wanted = float(there.magnitude) / float(then.magnitude)
        assert value * factor + summand == pytest.approx(wanted, rel=1e-9, abs=1e-9), (start, end)
