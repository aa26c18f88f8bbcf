"""Plugins that cannot be in one backend."""

import pytest

from tests.contracts.build import at, codes, giving, needing, one, output, pointed, run, source

SINK = output()


def test_by_the_name_of_the_plugin() -> None:
    """Both places in the request are shown, and the clause."""
    text = source("a", more='conflicts = { b = "*" }')
    document = one(run("a b sink", text, source("b"), SINK), "E-CONFLICT")
    assert document["message"] == "`a` conflicts with `b`, which `b` provides"
    assert pointed(document, "a b sink") == '"a"'
    assert pointed(document, "a b sink", place=1) == '"b"'
    assert at(document, text, 2, "a/contract.toml") == "b"
    assert [span["label"] for span in document["spans"]] == ["conflicts with `b`", "provides `b`", "said here"]


@pytest.mark.parametrize("words", ["a b sink", "b a sink"])
def test_by_a_capability(words: str) -> None:
    """Whoever provides it, wherever it is asked."""
    document = one(run(words, source("a", more='conflicts = { x = "*" }'), giving("b", "x"), SINK), "E-CONFLICT")
    assert document["message"] == "`a` conflicts with `x`, which `b` provides"


@pytest.mark.parametrize(("wanted", "found"), [("<2", []), (">=2", ["E-CONFLICT"]), ("*", ["E-CONFLICT"])])
def test_versions(wanted: str, found: list[str]) -> None:
    """Only those in the range."""
    text = source("a", more=f'conflicts = {{ x = "{wanted}" }}')
    assert codes(run("a b sink", text, giving("b", "x", version="2.1"), SINK)) == found


def test_never_against_itself() -> None:
    """Who provides what it conflicts with may be there alone."""
    assert codes(run("a sink", giving("a", "x", 'conflicts = { x = "*", a = "*" }'), SINK)) == []


def test_an_exclusive_provider() -> None:
    """Two of them are one fault, which says what both want."""
    texts = (giving("a", "x", 'conflicts = { x = "*" }'), giving("b", "x", 'conflicts = { x = "*" }'))
    document = one(run("b a sink", *texts, SINK), "E-CONFLICT")
    assert document["message"] == "`a` wants to be the only provider of `x`, and `b` provides it too"


def test_an_exclusive_provider_twice() -> None:
    """Another instance of the plugin is another provider."""
    document = one(run("a#one a#two sink", giving("a", "x", 'conflicts = { x = "*" }'), SINK), "E-CONFLICT")
    assert document["message"] == "`one` wants to be the only provider of `x`, and `two` provides it too"


def test_of_two_names_the_first_is_told() -> None:
    """One cause for two plugins, however many capabilities they quarrel about."""
    text = source("a", more='conflicts = { y = "*", x = "*", b = "*" }')
    other = source("b", more='provides.capabilities = { x = "1.0", y = "1.0" }')
    document = one(run("a b sink", text, other, SINK), "E-CONFLICT")
    assert "`a` conflicts with `b`" in document["message"]


def test_what_is_needed_may_conflict() -> None:
    """The chains say why the two are there."""
    texts = (needing("a", "c"), needing("b", "d"), source("c", more='conflicts = { d = "*" }'), source("d"))
    document = one(run("a b sink", *texts, SINK), "E-CONFLICT")
    assert pointed(document, "a b sink") == '"a"'
    assert pointed(document, "a b sink", place=1) == '"b"'
    assert document["notes"] == ["because asked -> a -> c", "because asked -> b -> d"]
