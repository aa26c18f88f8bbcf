"""Versions and ranges, by Semantic Versioning 2.0.0."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.versions import covers, parse_version, satisfies, stands_for
from tests.strategies import steady

# semver.org, section 11, and some beside
ASCENDING = [
    "0.0.0", "0.0.1", "0.9.9", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
    "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-a", "1.0.1", "1.2.0", "1.10.0",
]  # fmt: skip


@pytest.mark.parametrize(("low", "high"), list(itertools.pairwise(ASCENDING)))
def test_order(low: str, high: str) -> None:
    """Precedence is that of the specification: numbers by value, words by characters, releases behind pre-releases."""
    assert parse_version(low) < parse_version(high)
    assert parse_version(high) != parse_version(low)


def test_build_metadata_does_not_count() -> None:
    """`+build` is no part of the order."""
    assert parse_version("1.0.0+a.b") == parse_version("1.0.0+c")
    assert str(parse_version("1.0.0+a.b")) == "1.0.0+a.b"


@pytest.mark.parametrize("text", ["", "1", "1.2", "01.0.0", "1.0.0-01", "1.0.0-", "1.0.0+", "v1.0.0", "1.٣.0"])
def test_what_is_no_version(text: str) -> None:
    """The grammar of the specification, no more."""
    with pytest.raises(ValueError, match=r".*"):
        parse_version(text)


@pytest.mark.parametrize(
    ("wanted", "version", "inside"),
    [
        ("*", "0.0.1", True),
        (">=1,<2", "1.0.0", True),
        (">=1,<2", "1.99.0", True),
        (">=1,<2", "2.0.0", False),
        (">=1,<2", "0.9.9", False),
        (">= 1.2 , < 1.4", "1.3.9", True),
        ("==1.2", "1.2.0", True),
        ("==1.2", "1.2.1", False),
        ("!=1.2.3", "1.2.3", False),
        (">1", "1.0.1", True),
        ("<=1.0.0-rc.1", "1.0.0-beta", True),
        (">=1", "1.0.0-rc.1", False),
    ],
)
def test_ranges(wanted: str, version: str, inside: bool) -> None:  # noqa: FBT001 one column of a table
    """All comparisons hold; parts left out are 0."""
    assert satisfies(parse_version(version), wanted) == inside


@pytest.mark.parametrize("wanted", ["", "1", "~1", ">=", ">=x", ">=1,", ">=1 <2", "1.*"])
def test_what_is_no_range(wanted: str) -> None:
    """Other notations are refused, also behind a comparison that fails."""
    for text in (wanted, f"<0,{wanted}"):
        with pytest.raises(ValueError, match=r".*"):
            satisfies(parse_version("1.0.0"), text)


NUMBERS = st.tuples(*[st.integers(0, 30)] * 3)


@given(NUMBERS, NUMBERS)
@steady
def test_releases_compare_like_their_numbers(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    """1.10 is newer than 1.9."""
    versions = [parse_version(".".join(map(str, numbers))) for numbers in (one, other)]
    assert (versions[0] < versions[1]) == (one < other)
    assert satisfies(versions[0], f">={versions[1]}") == (one >= other)


@pytest.mark.parametrize(
    ("outer", "inner", "holds"),
    [
        ("*", ">=1", True),
        (">=1", "*", False),
        (">=1", ">=1.4", True),
        (">=1.4", ">=1", False),
        (">=1,<3", ">=1,<2", True),
        (">=1,<2", ">=2,<3", False),
        (">=1", ">1", True),
        (">1", ">=1", False),
        ("!=1.5", "<1.5", True),
        ("!=1.5", ">=1,<2", False),
        (">=1,<2", "==1.9.9", True),
        (">=2", "<1,>1", True),  # nothing lies in the inner one
        ("<2.0.0", ">=1,<2", True),
    ],
)
def test_a_range_covers_another(outer: str, inner: str, holds: bool) -> None:  # noqa: FBT001  (a table)
    """Every version of the inner range lies in the outer one."""
    assert covers(outer, inner) is holds


SOME = ["0.9.0", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.4.0", "1.5.0", "2.0.0-1", "2.0.0", "3.1.0"]
LIMITS = st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]).flatmap(
    lambda op: st.sampled_from(["0.9", "1", "1.4", "2", "2.0.0-1"]).map(lambda version: op + version)
)
RANGES = st.lists(LIMITS, max_size=3).map(lambda parts: ",".join(parts) or "*")


@given(RANGES, RANGES)
@settings(steady, max_examples=500)
def test_covering_is_true_of_versions(outer: str, inner: str) -> None:
    """Where one covers the other no version is in the inner range alone."""
    alone = [v for v in SOME if satisfies(parse_version(v), inner) and not satisfies(parse_version(v), outer)]
    assert not (covers(outer, inner) and alone)
    assert covers(inner, inner)


@pytest.mark.parametrize(
    ("new", "old", "holds"),
    [
        ("1.1", "1.0", True),
        ("1.0", "1.0", True),
        ("1.0", "1.1", False),
        ("2.0", "1.0", False),
        ("0.1.1", "0.1.0", True),
        ("0.2", "0.1", False),  # before 1.0.0 the second number is the major one
        ("1.0", "0.9", False),
    ],
)
def test_a_version_stands_for_another(new: str, old: str, holds: bool) -> None:  # noqa: FBT001  (a table)
    """It is not lower, and of the same major version."""
    assert stands_for(parse_version(new, short=True), parse_version(old, short=True)) is holds
