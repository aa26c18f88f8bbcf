"""Versions of Python distributions, compared with the library that pip uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from meter.contracts import distributions

NUMBERS = st.integers(min_value=0, max_value=12).map(str)


def optional(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The parts one after another, or nothing."""
    return st.one_of(st.just(""), st.tuples(*parts).map("".join))


VERSIONS = st.tuples(
    optional(NUMBERS, st.just("!")),
    st.lists(NUMBERS, min_size=1, max_size=4).map(".".join),
    optional(st.sampled_from(["a", "b", "rc", "-alpha.", ".beta", "c", "_pre_", "preview", "-rc."]), NUMBERS),
    optional(st.sampled_from([".post", "-", "rev", "-r"]), NUMBERS),
    optional(st.sampled_from([".dev", "dev", "-dev-"]), NUMBERS),
    st.sampled_from(["", "+local.1", "+abc"]),
).map("".join)


@given(VERSIONS, VERSIONS)
def test_order(one: str, other: str) -> None:
    """As `packaging` orders them; what follows a `+` is not looked at."""
    first, second = (Version(text.partition("+")[0]) for text in (one, other))
    mine, theirs = distributions.order(one), distributions.order(other)
    assert mine is not None
    assert theirs is not None
    assert (mine < theirs, mine == theirs) == (first < second, first == second), (one, other)


@given(st.text(alphabet="0123456789.abcrdevpost-_!+ v", max_size=14))
def test_what_is_no_version(text: str) -> None:
    """The same texts are refused."""
    try:
        Version(text)
    except InvalidVersion:
        assert distributions.order(text) is None
    else:
        assert distributions.order(text) is not None


RELEASES = st.lists(NUMBERS, min_size=1, max_size=3).map(".".join)


@given(RELEASES, st.lists(st.tuples(st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), RELEASES), min_size=1))
def test_range(version: str, parts: list[tuple[str, str]]) -> None:
    """As a requirement of pip."""
    wanted = ",".join(map("".join, parts))
    assert distributions.within(version, wanted) == SpecifierSet(wanted).contains(version), wanted


@given(st.text(alphabet="abC-_.9", min_size=1, max_size=8))
def test_name(name: str) -> None:
    """As pip spells it."""
    assert distributions.normal(name) == canonicalize_name(name)


@pytest.mark.parametrize(
    ("requirement", "name", "wanted"),
    [("rich", "rich", "*"), ("rich>=13,<15", "rich", ">=13,<15"), ("a.b!=1", "a.b", "!=1")],
)
def test_split(requirement: str, name: str, wanted: str) -> None:
    """A requirement is a name and a range."""
    assert distributions.split(requirement) == (name, wanted)


@pytest.mark.parametrize(
    ("version", "wanted", "lies"),
    [("any", "*", True), ("any", ">=1", False), ("1", "about 1", False), ("1", ">=x", False)],
)
def test_what_cannot_be_compared(version: str, wanted: str, lies: bool) -> None:  # noqa: FBT001  (a column of a table)
    """It lies in no range but `*`."""
    assert distributions.within(version, wanted) is lies
