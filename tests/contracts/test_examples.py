"""Examples: each code has one, and what it shows is what happens."""

from __future__ import annotations

import tomllib

import pytest

from meter.contracts.examples import Example, example_of, mounted, refused, said, stated
from meter.contracts.language import language
from tests.contracts.build import shown

CODES = sorted(language().codes)
OF_THE_WORLD = {
    *("E-CONTRACT-MISSING", "E-OPTION", "E-FILE", "E-IO", "W-CLAUSE-MISSING", "E-MOUNT-TAKEN", "E-MOUNT-UNKNOWN"),
    *("E-LOCK-STALE", "E-DRIFT", "W-DRIFT", "W-STATE-LOST", "E-VERSION-STEP", "E-BREACH", "E-PLUGIN-RAISED"),
    *("E-EXPORT-MISSING", "E-EXPORT-MISMATCH", "W-EXPORT-UNUSED", "W-CLAUSE-FORM", "E-CONFIG-REFUSED"),
    *("W-DROPPED", "W-KEPT"),
}
"""Codes that only a command can show, since they are about files, words of a command line, or running."""


def example(code: str) -> Example:
    """The example of a code, which there has to be."""
    found = example_of(code)
    assert found is not None, f"{code} has no example: give it `example` or `commands` in CONTRACT.ini"
    return found


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_an_example_that_is_refused_with_it(code: str) -> None:
    """Whoever asks what a code means sees a small text that is refused with that very code, and what is said of it."""
    found = example(code)
    assert (found.form == "commands") == (code in OF_THE_WORLD)
    if found.form != "commands":
        diagnostic = said(code, found)
        assert diagnostic is not None
        assert shown(diagnostic)["code"] == code


@pytest.mark.parametrize("code", [code for code in CODES if language().codes[code].example])
def test_an_example_of_its_own_shows_one_fault(code: str) -> None:
    """A mount file that shows a code shows that code alone, once or more, so that nobody has to ask which is meant."""
    assert {each.code for each in mounted(language().codes[code].example)} == {code}


@pytest.mark.parametrize("code", CODES)
def test_a_level_is_said_and_is_that_of_the_name(code: str) -> None:
    """`E-` is an error, `W-` a warning; an example and commands exclude each other."""
    entry = language().codes[code]
    assert language().words["code"][code].get("level") == entry.level == {"E": "error", "W": "warning"}[code[0]]
    assert not (entry.example and entry.commands)


def test_an_example_of_a_clause_is_borrowed() -> None:
    """Where the failing example of a clause is refused with a code, this need not be said twice."""
    found = example("E-SELF-ORDER")
    assert (found.form, found.clause) == ("clause", "ordering.before")
    assert "E-SELF-ORDER" in {each.code for each in refused(language().clauses["ordering", "before"])}


def test_plugins_that_an_example_does_not_state_are_named() -> None:
    """A reader is told what `probe` and `sink` are."""
    text = example("E-DUPLICATE").text
    assert stated(text) == {"probe", "sink"}
    assert stated(text.replace("probe", "other")) == {"sink"}
    assert set(tomllib.loads(text)) == {"mounts"}
