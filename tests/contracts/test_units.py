"""Units: dimension and scale of UCUM texts, what is refused, and conversions between units."""

import configparser
import doctest
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts import units as module
from meter.contracts.units import LONGEST, Dimension, UnitError, Units, commensurable, conversion, load, product

ROOT = Path(__file__).parents[2]
# The tables stand in the contract language, or beside the module.
TABLES = [ROOT / "CONTRACT.ini"]
GOLDEN = json.loads((ROOT / "tests/data/units.json").read_text(encoding="utf-8"))["cases"]

steady = settings(derandomize=True, database=None, deadline=None)


def tables() -> Units:
    """The units of the contract language."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep case
    parser.read(TABLES, encoding="utf-8")
    return load(parser)


UNITS = tables()
JOULE = (("kg", 1), ("m", 2), ("s", -2))
WATT = (("kg", 1), ("m", 2), ("s", -3))
VOLT = (("A", -1), ("kg", 1), ("m", 2), ("s", -3))
PASCAL = (("kg", 1), ("m", -1), ("s", -2))
BYTE = (("By", 1),)
SECOND = (("s", 1),)
HERTZ = (("s", -1),)
KELVIN = (("K", 1),)
BYTE_RATE = (("By", 1), ("s", -1))

KNOWN: list[tuple[str, Dimension, Fraction | int]] = [
    # plain numbers, parts of a whole, annotations
    ("1", (), 1),
    ("10", (), 10),
    ("%", (), Fraction(1, 100)),
    ("[ppm]", (), Fraction(1, 10**6)),
    ("{packet}", (), 1),
    ("{context switch}", (), 1),
    ("1{packet}", (), 1),
    ("%{idle}", (), Fraction(1, 100)),
    # time
    ("s", SECOND, 1),
    ("ms", SECOND, Fraction(1, 10**3)),
    ("us", SECOND, Fraction(1, 10**6)),
    ("ns", SECOND, Fraction(1, 10**9)),
    ("ps", SECOND, Fraction(1, 10**12)),
    ("min", SECOND, 60),
    ("h", SECOND, 3600),
    ("d", SECOND, 86400),
    ("10.s", SECOND, 10),
    ("10.ms", SECOND, Fraction(1, 100)),
    # rates, which have three spellings
    ("Hz", HERTZ, 1),
    ("GHz", HERTZ, 10**9),
    ("1/s", HERTZ, 1),
    ("/s", HERTZ, 1),
    ("s-1", HERTZ, 1),
    ("/min", HERTZ, Fraction(1, 60)),
    ("{packet}/s", HERTZ, 1),
    ("%/s", HERTZ, Fraction(1, 100)),
    # energy and power
    ("J", JOULE, 1),
    ("mJ", JOULE, Fraction(1, 1000)),
    ("uJ", JOULE, Fraction(1, 10**6)),
    ("W.s", JOULE, 1),
    ("W.h", JOULE, 3600),
    ("kW.h", JOULE, 3_600_000),
    ("mW.h", JOULE, Fraction(36, 10)),
    ("N.m", JOULE, 1),
    ("kg.m2/s2", JOULE, 1),
    ("kg.m2.s-2", JOULE, 1),
    ("cal", JOULE, Fraction("4.184")),
    ("kcal", JOULE, 4184),
    ("eV", JOULE, Fraction("1.602176634e-19")),
    ("V.A.s", JOULE, 1),
    ("W", WATT, 1),
    ("kW", WATT, 1000),
    ("mW", WATT, Fraction(1, 1000)),
    ("W{dc}", WATT, 1),
    ("J/s", WATT, 1),
    ("J/(10.s)", WATT, Fraction(1, 10)),
    ("kW.h/d", WATT, Fraction(3_600_000, 86400)),
    ("V.A", WATT, 1),
    # the order of . and / is from left to right
    ("J/s.s", JOULE, 1),
    ("/s.s", (), 1),
    ("g/kW.h", (("m", -2), ("s", 4)), Fraction(3600, 10**6)),
    ("g/(kW.h)", (("m", -2), ("s", 2)), Fraction(1, 10**3 * 3_600_000)),
    ("J/(s/m)", (("kg", 1), ("m", 3), ("s", -3)), 1),
    # electricity
    ("A", (("A", 1),), 1),
    ("mA", (("A", 1),), Fraction(1, 1000)),
    ("mA.h", (("A", 1), ("s", 1)), Fraction(36, 10)),
    ("C", (("A", 1), ("s", 1)), 1),
    ("V", VOLT, 1),
    ("mV", VOLT, Fraction(1, 1000)),
    ("J/C", VOLT, 1),
    ("Ohm", (("A", -2), ("kg", 1), ("m", 2), ("s", -3)), 1),
    ("V/A", (("A", -2), ("kg", 1), ("m", 2), ("s", -3)), 1),
    ("kOhm", (("A", -2), ("kg", 1), ("m", 2), ("s", -3)), 1000),
    ("F", (("A", 2), ("kg", -1), ("m", -2), ("s", 4)), 1),
    ("uF", (("A", 2), ("kg", -1), ("m", -2), ("s", 4)), Fraction(1, 10**6)),
    # mechanics
    ("m", (("m", 1),), 1),
    ("km", (("m", 1),), 1000),
    ("m2", (("m", 2),), 1),
    ("m+2", (("m", 2),), 1),
    ("mm2", (("m", 2),), Fraction(1, 10**6)),
    ("l", (("m", 3),), Fraction(1, 1000)),
    ("ml", (("m", 3),), Fraction(1, 10**6)),
    ("l/min", (("m", 3), ("s", -1)), Fraction(1, 60_000)),
    ("g", (("kg", 1),), Fraction(1, 1000)),
    ("kg", (("kg", 1),), 1),
    ("g{CO2e}", (("kg", 1),), Fraction(1, 1000)),
    ("N", (("kg", 1), ("m", 1), ("s", -2)), 1),
    ("Pa", PASCAL, 1),
    ("bar", PASCAL, 10**5),
    ("mbar", PASCAL, 100),
    ("mol", (("mol", 1),), 1),
    ("rad/s", (("rad", 1), ("s", -1)), 1),
    ("{revolution}/min", HERTZ, Fraction(1, 60)),
    # information: both families of prefixes
    ("By", BYTE, 1),
    ("bit", BYTE, Fraction(1, 8)),
    ("kBy", BYTE, 1000),
    ("KiBy", BYTE, 1024),
    ("MiBy", BYTE, 2**20),
    ("GiBy", BYTE, 2**30),
    ("TiBy", BYTE, 2**40),
    ("Kibit", BYTE, 128),
    ("By/s", BYTE_RATE, 1),
    ("Mbit/s", BYTE_RATE, 125_000),
    ("GiBy/s", BYTE_RATE, 2**30),
    # temperature
    ("K", KELVIN, 1),
    ("mK", KELVIN, Fraction(1, 1000)),
    ("W/K", (("K", -1), *WATT), 1),
]

REFUSED = [
    # (text, position of the first character that is wrong)
    ("", 0),
    (" ", 0),
    ("k", 0),  # a prefix alone
    ("kX", 0),
    ("KW", 0),  # K is not kilo
    ("dW", 0),  # UCUM's deci is left out
    ("PW", 0),
    ("w", 0),
    ("sec", 0),
    ("Wh", 0),  # W.h
    ("kmin", 0),  # minutes take no prefix
    ("k%", 0),
    ("k[degF]", 0),
    ("kkW", 0),
    ("k W", 0),
    ("W ", 1),
    ("Kis", 0),  # a binary prefix before something other than information
    ("KiW", 0),
    ("µs", 0),
    ("°C", 0),
    ("m²", 0),
    ("m^2", 0),
    ("m/", 2),
    ("/", 1),
    ("//s", 1),
    ("m//s", 2),
    ("m..s", 2),
    (".s", 0),
    ("J/X", 2),
    ("J.(s", 4),
    ("J)", 1),
    ("()", 1),
    ("(/s)", 1),
    ("(m)2", 3),
    ("m123", 3),
    ("m-", 1),
    ("10s", 2),  # 10.s
    ("1.5", 1),  # UCUM: 1 times 5
    ("1.5.s", 1),
    ("10-3", 2),
    ("-1", 0),
    ("0.s", 0),
    ("1/0", 2),
    ("{}", 0),
    ("{packet", 0),
    ("{a}{b}", 3),
    ("{a{b}}", 0),
    ("W{dc}2", 5),
    ("${unit}", 0),
    ("[degF", 0),
    ("W\n", 1),
    # units with an offset take no part in products
    ("Cel/s", 0),
    ("W/Cel", 2),
    ("/Cel", 1),
    ("Cel2", 0),
    ("10.Cel", 3),
    ("[degF].h", 0),
    # what a float could not hold, and what would take long to read
    ("Gm99", 0),
    ("pm99", 0),
    ("(" * 500 + "s" + ")" * 500, 100),
]


class TestParse:
    """`Units.parse`."""

    @pytest.mark.parametrize(("text", "dimension", "scale"), KNOWN)
    def test_a_text_has_its_dimension_and_exact_scale(
        self, text: str, dimension: Dimension, scale: Fraction | int
    ) -> None:
        """Dimension and scale are those of UCUM, as exact fractions, and the text is kept."""
        unit = UNITS.parse(text)

        assert (tuple(sorted(dimension)), scale, 0.0, text) == (unit.dimension, unit.ratio, unit.offset, unit.text)

    @pytest.mark.parametrize(("text", "at"), REFUSED)
    def test_what_is_no_unit_is_refused_at_its_place(self, text: str, at: int) -> None:
        """No unit is guessed; the error says where reading ended."""
        with pytest.raises(UnitError) as caught:
            UNITS.parse(text)

        assert (text, at) == (caught.value.text, caught.value.at)

    @pytest.mark.parametrize("case", GOLDEN, ids=[case["id"] for case in GOLDEN])
    def test_prefixes_agree_with_other_telemetry(self, case: dict[str, Any]) -> None:
        """The prefixed units of Alumet's suite are read alike, and what it refuses is refused."""
        text, expect = case["given"]["text"], case["expect"]

        if "error" in expect:
            with pytest.raises(UnitError):
                UNITS.parse(text)
        else:
            times = {"plain": 1.0, "kilo": 1000.0, "milli": 0.001}[expect["prefix"]]
            assert (times, 0.0) == conversion(UNITS.parse(text), UNITS.parse(expect["base"]))

    @pytest.mark.parametrize(
        ("text", "value", "kelvin"),
        [("Cel", 0.0, 273.15), ("Cel", 100.0, 373.15), ("mCel", 36_600.0, 309.75), ("[degF]", 32.0, 273.15)],
    )
    def test_temperatures_have_an_offset(self, text: str, value: float, kelvin: float) -> None:
        """A value v is `scale * v + offset` kelvin."""
        unit = UNITS.parse(text)

        assert unit.dimension == KELVIN
        assert kelvin == pytest.approx(unit.scale * value + unit.offset, abs=1e-12)

    @steady
    @given(text=st.text(alphabet="kmMiuBystJWCel1209./-+(){}[]% ", max_size=12))
    def test_any_text_is_a_unit_or_a_unit_error(self, text: str) -> None:
        """Whatever a user types, no other error comes out, and the position lies in the text."""
        try:
            at, scale = 0, UNITS.parse(text).scale
        except UnitError as error:
            at, scale = error.at, 1.0

        assert 0 <= at <= len(text)
        assert 0.0 < scale < float("inf")


class TestFactor:
    """`commensurable` and `conversion`."""

    @pytest.mark.parametrize(
        ("have", "want", "times"),
        [
            ("J", "J", 1.0),
            ("mJ", "J", 0.001),
            ("J", "mJ", 1000.0),
            ("uJ", "mJ", 0.001),
            ("By", "KiBy", 1 / 1024),
            ("bit", "By", 0.125),
            ("Mbit/s", "kBy/s", 125.0),
            ("W.h", "J", 3600.0),
            ("kW.h", "MJ", 3.6),
            ("min", "h", 1 / 60),
            ("1", "%", 100.0),
            ("{packet}/s", "Hz", 1.0),
            ("mV.mA", "W", 1e-6),
            ("Cel", "Cel", 1.0),
            ("Cel{core}", "Cel", 1.0),
            ("mK", "K", 0.001),
        ],
    )
    def test_the_factor_is_the_nearest_float(self, have: str, want: str, times: float) -> None:
        """Scales are divided as fractions, so that nothing is rounded twice."""
        assert (times, 0.0) == conversion(UNITS.parse(have), UNITS.parse(want))

    @pytest.mark.parametrize(
        ("have", "value", "want", "there"),
        [
            ("Cel", 20.0, "K", 293.15),
            ("K", 0.0, "Cel", -273.15),
            ("Cel", -40.0, "[degF]", -40.0),
            ("[degF]", 212.0, "Cel", 100.0),
            ("mCel", 42_500.0, "Cel", 42.5),
            ("mCel", 0.0, "K", 273.15),
        ],
    )
    def test_temperatures_have_a_summand(self, have: str, value: float, want: str, there: float) -> None:
        """Units with different zeros measure the same thing; boiling water is known in all of them."""
        a, b = UNITS.parse(have), UNITS.parse(want)
        factor, summand = conversion(a, b)

        assert commensurable(a, b)
        assert value * factor + summand == pytest.approx(there, abs=1e-9)

    @pytest.mark.parametrize(
        ("have", "want"), [("J", "W"), ("By", "1"), ("{packet}", "By"), ("rad/s", "Hz"), ("mol", "1"), ("V.A", "V/A")]
    )
    def test_different_things_have_no_factor(self, have: str, want: str) -> None:
        """Energy is not power, and bytes, angles and moles are not plain numbers."""
        a, b = UNITS.parse(have), UNITS.parse(want)

        assert not commensurable(a, b)
        with pytest.raises(UnitError) as caught:
            conversion(a, b)
        assert have == caught.value.text

    @steady
    @given(
        have=st.sampled_from([row[0] for row in KNOWN if row[1] == JOULE]),
        want=st.sampled_from([row[0] for row in KNOWN if row[1] == JOULE]),
    )
    def test_back_and_forth_is_one(self, have: str, want: str) -> None:
        """Two factors in opposite directions undo each other."""
        a, b = UNITS.parse(have), UNITS.parse(want)

        assert conversion(a, b)[0] * conversion(b, a)[0] == pytest.approx(1.0, rel=1e-15)


PARTS = (
    "J",
    "s",
    "By",
    "%",
    "{packet}",
    "W{dc}",
    "km",
    "m2",
    "J/s",
    "/s",
    "g/kW.h",
    "kg.m/(s.s)",
    "1",
    "10.m",
    "[ppm]",
)


class TestProduct:
    """The unit of a product of values."""

    @pytest.mark.parametrize(
        ("factors", "text"),
        [
            ([("J", 1), ("s", 1), ("s", -1)], "J"),  # what divides itself leaves nothing
            ([("W", 1), ("s", 1)], "W.s"),
            ([("s", 1), ("W", 1)], "W.s"),
            ([("J/s", 1), ("s", 1)], "J"),
            ([("J", 1), ("g/kW.h", -1)], "J.kW/g/h"),  # from left to right: (g/kW).h
            ([("By", 1), ("By", -1)], "1"),
            ([("s", -1)], "/s"),
            ([("10.m", 1), ("10.m", 1)], "100.m.m"),  # `10.10` is none
            ([("m", 1), ("kg.m/(s.s)", 1)], "(kg.m/(s.s)).m"),
        ],
    )
    def test_has_a_text(self, factors: list[tuple[str, int]], text: str) -> None:
        """The shortest one that needs no unit to be known by another name, whatever the order."""
        assert product([(UNITS.parse(unit), exponent) for unit, exponent in factors]).text == text

    @given(st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from((1, -1))), max_size=6), st.randoms())
    @steady
    def test_is_exact_and_has_no_order(self, factors: list[tuple[str, int]], random: Any) -> None:
        """Dimensions add, scales multiply, and the text means the same."""
        units = [(UNITS.parse(text), exponent) for text, exponent in factors]
        whole = product(units)
        ratio = Fraction(1)
        for unit, exponent in units:
            ratio *= unit.ratio**exponent
        assert whole.ratio == ratio
        again = list(units)
        random.shuffle(again)
        assert product(again) == whole
        if len(whole.text) <= LONGEST:
            read = UNITS.parse(whole.text)
            assert (read.dimension, read.ratio) == (whole.dimension, whole.ratio)
        back = product([(whole, 1), *((unit, -exponent) for unit, exponent in units)])
        assert not back.dimension
        assert back.ratio == 1

    @pytest.mark.parametrize(("text", "times"), [("Cel", 1), ("[degF]", 1), ("Tm10", 15)])
    def test_what_has_none(self, text: str, times: int) -> None:
        """Temperatures with an offset are multiplied with nothing; a scale has bounds."""
        with pytest.raises(UnitError):
            product([(UNITS.parse(text), 1)] * times)


class TestTables:
    """The units and prefixes of the contract language."""

    def test_a_symbol_has_one_reading(self) -> None:
        """No prefix and unit together spell another unit, or another prefix and unit."""
        spelled = [
            prefix + atom
            for prefix, facts in UNITS.prefixes.items()
            for atom, unit in UNITS.atoms.items()
            if (unit.binary if facts.binary else unit.metric)
        ]

        assert len(spelled) == len(set(spelled))
        assert not set(spelled) & set(UNITS.atoms)

    def test_every_unit_can_be_written(self) -> None:
        """Each unit of the table is read as itself, and says what it is."""
        for name, atom in UNITS.atoms.items():
            unit = UNITS.parse(name)

            assert (atom.dimension, atom.scale, atom.offset) == (unit.dimension, unit.ratio, unit.shift)
            assert atom.description

    def test_prefixes_are_those_of_telemetry(self) -> None:
        """Deci and its neighbours are left out, so that a slip is not a tenth."""
        assert set("pnumkMGT") | {"Ki", "Mi", "Gi", "Ti"} == set(UNITS.prefixes)


class TestLoad:
    """`load`."""

    def test_other_sections_are_passed_over(self) -> None:
        """The contract language may hold whatever else it needs."""
        units = load({"unit s": {"dimension": "s"}, "clause name": {"type": "str"}, "prefix k": {"factor": "1e3"}})

        assert (list(units.atoms), list(units.prefixes)) == (["s"], ["k"])

    @pytest.mark.parametrize(
        "section", [{"scale": "1/"}, {"dimension": "kg*m"}, {"dimension": "s2.5"}, {"metric": "true"}]
    )
    def test_a_unit_that_cannot_be_read_is_an_error(self, section: dict[str, str]) -> None:
        """A slip in the table is not taken for a default."""
        with pytest.raises(ValueError, match=r".+"):
            load({"unit x": section})

    def test_a_prefix_needs_its_factor(self) -> None:
        """A prefix without a factor is not worth 1."""
        with pytest.raises(KeyError):
            load({"prefix k": {}})


def test_the_examples_of_the_docstrings_hold() -> None:
    """What the documentation shows is what happens."""
    assert doctest.testmod(module).failed == 0
