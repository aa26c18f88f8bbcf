"""Spellings: a unit is set right where it can mean one thing only, and left where it could mean two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts import amounts, quantities
from meter.contracts.editing import spellings
from meter.contracts.language import language
from meter.contracts.units import UnitError
from tests.strategies import steady


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("joules", "J"),
        ("Joule", "J"),
        ("JOULES", "J"),
        ("j", "J"),
        ("KJ", "kJ"),
        ("kilowatts", "kW"),
        ("kw", "kW"),
        ("hz", "Hz"),
        ("khz", "kHz"),
        ("bytes", "By"),
        ("B", "By"),
        ("kB/sec", "kBy/s"),
        ("KiB/s", "KiBy/s"),
        ("mebibytes", "MiBy"),
        ("percent", "%"),
        ("°C", "Cel"),
        ("kWh", "kW.h"),
        ("Mbps", "Mbit/s"),
        ("µs", "us"),
        ("{packet}/sec", "{packet}/s"),
        (" J ", "J"),
        ("KB", ""),  # of 1000 bytes or of 1024
        ("kb", ""),  # bits or bytes
        ("mhz", ""),  # milli or mega
        ("mw", ""),
        ("S", ""),  # siemens
        ("M", ""),
        ("J", ""),
        ("", ""),
        ("furlong", ""),
        ("x" * 200, ""),
    ],
)
def test_a_unit_is_set_right_where_it_is_certain(text: str, unit: str) -> None:
    """Names in singular and plural, common short forms, letters of the wrong case where no other unit has them."""
    assert spellings.unit(text) == unit
    if unit:
        language().units.parse(unit)
        with pytest.raises(UnitError):
            language().units.parse(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("10 s", "10s"),
        ("10sec", "10s"),
        ("1.5 minutes", "1.5min"),
        ("10S", "10s"),
        ("1h 30min", "1h30min"),
        ("2hours", "2h"),
        ("10µs", "10us"),
        ("10m", ""),  # minutes or metres
        ("10 M", ""),
        ("10", ""),
        ("ten seconds", ""),
        ("10s", ""),
        ("30min 1h", ""),
        ("10 bytes", ""),
    ],
)
def test_a_duration_is_set_right(text: str, duration: str) -> None:
    """Blanks go and names become units; a bare number has no certain unit."""
    assert spellings.duration(text) == duration
    if duration:
        quantities.parse_duration(duration)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64 KiB", "64KiB"),
        ("10 bytes", "10B"),
        ("1 kilobyte", "1kB"),
        ("64KB", ""),
        ("64K", ""),
        ("1mb", ""),
        ("9", ""),
    ],
)
def test_a_size_is_set_right(text: str, size: str) -> None:
    """As a duration."""
    assert spellings.size(text) == size
    if size:
        quantities.parse_size(size)


@pytest.mark.parametrize(
    ("text", "amount"), [("95 watts", "95 W"), ("3kw", "3kW"), ("95 W", ""), ("95", ""), ("W", "")]
)
def test_an_amount_is_set_right(text: str, amount: str) -> None:
    """The number stays as it is written."""
    assert spellings.amount(text) == amount
    if amount:
        amounts.parse(amount, language().units)


@pytest.mark.parametrize(
    ("text", "wanted", "unit"),
    [
        ("g/kW.h", "g/J", "g/(kW.h)"),
        ("By/s.{core}", "By", ""),  # no parentheses make bytes of it
        ("g/(kW.h)", "g/J", ""),  # has them
        ("g/kW/h", "g/J", ""),  # means the same without
        ("kg/m.s2", "J", ""),
        ("1/m.s/A.K", "1/(m.s.A.K)", "1/(m.s)/(A.K)"),
    ],
)
def test_what_lies_below_a_stroke_is_grouped_where_only_that_fits(text: str, wanted: str, unit: str) -> None:
    """UCUM reads from left to right."""
    assert spellings.grouped(text, wanted) == unit


def test_no_spelling_is_a_unit_of_another_meaning() -> None:
    """What stands in the language as a spelling of a unit is no unit itself, unless it is that very one."""
    words = language().words
    for symbol, says in words["unit"].items():
        for spelling in says.get("alias", "").split():
            assert spellings.unit(spelling) == symbol
    for spelling, says in words["spelling"].items():
        assert spellings.unit(spelling) == says["unit"]


@steady
@given(text=st.text(alphabet="kMmsJWBybitHz/. 0123456789{}°", max_size=12))
def test_what_is_set_right_is_right(text: str) -> None:
    """Whatever comes out can be read, and comes out once only."""
    for spelt, parse in (
        (spellings.unit, language().units.parse),
        (spellings.duration, quantities.parse_duration),
        (spellings.size, quantities.parse_size),
    ):
        if new := spelt(text):
            parse(new)
            assert spelt(new) == ""
