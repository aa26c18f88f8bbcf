"""The reader of CONTRACT.ini's dialect gives what configparser gives."""

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts import language
from meter.contracts.ini import IniError, sections
from tests.strategies import steady

LINES = ("[a]", "[b c]", "x = 1", "x.y =  two = 2 ", "z =", "    more", "\tx = of the value", "", "  ", "; no", " ;no")


def by_configparser(text: str) -> dict[str, dict[str, str]]:
    """The sections of a text, read by the standard library as CONTRACT.ini's head says.

    Raises: configparser.Error.
    """
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=("=",), comment_prefixes=(";",), inline_comment_prefixes=None, strict=True
    )
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # the documented way to keep case
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_contract_ini_is_read_as_configparser_reads_it() -> None:
    """Every section and option, in the same order."""
    text = language.text()
    mine, theirs = sections(text), by_configparser(text)
    assert mine == theirs
    assert [(name, list(body)) for name, body in mine.items()] == [(name, list(body)) for name, body in theirs.items()]


@given(st.lists(st.sampled_from(LINES), max_size=12))
@steady
def test_any_text_is_read_or_refused_as_by_configparser(lines: list[str]) -> None:
    """Blank lines, comments and continued values anywhere; what one refuses, the other refuses."""
    text = "\n".join(lines)
    try:
        theirs: dict[str, dict[str, str]] | None = by_configparser(text)
    except configparser.Error:
        theirs = None
    try:
        mine: dict[str, dict[str, str]] | None = sections(text)
    except IniError:
        mine = None
    if mine is None and theirs is not None:  # the only thing that is not taken over
        assert any(line[:1].isspace() and line.strip() and line.strip()[0] != ";" for line in lines)
        return
    assert mine == theirs


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1", "line 1"),
        ("[a]\nx = 1\nx = 2", "line 3"),
        ("[a]\n\n[a]", "line 3"),
        ("[a]\n  x = 1", "line 2"),
        ("[a]\nno option", "line 2"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text: str, line: str) -> None:
    """Nothing is dropped silently."""
    with pytest.raises(IniError, match=line):
        sections(text)
