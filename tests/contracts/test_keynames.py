"""Key names: what a person types has one canonical spelling, and every text has one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.keynames import LARGEST, KeyNameError, canonical, complete, element, escape, increment, join, split

PROPERTY = settings(derandomize=True, deadline=None)
# Texts full of what escaping is about, and texts of anything.
TEXTS = st.text(alphabet="a10\\/%.#_ ", max_size=5) | st.text(max_size=6)
TYPED = st.text(alphabet="a10\\/%.#_ ", max_size=12)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("/", "/"),
        ("/////////", "/"),
        ("/abc/def/ghi/", "/abc/def/ghi"),
        ("//abc////def/ghi/", "/abc/def/ghi"),
        ("/abc/.def/ghi", "/abc/.def/ghi"),
        ("/abc/./ghi", "/abc/ghi"),
        ("/abc/.../ghi", "/abc/.../ghi"),
        ("/abc/def/../ghi", "/abc/ghi"),
        ("/..", "/"),  # there is nothing above the top
        ("/%/..", "/"),
        ("/a\\/b/..", "/"),  # one part, for all its slash
        ("/abc/#0/ghi", "/abc/#0/ghi"),
        ("/abc/#10/ghi", "/abc/#_10/ghi"),
        ("/abc/#_10/ghi", "/abc/#_10/ghi"),
        ("/abc/#10000", "/abc/#____10000"),
        ("/#9223372036854775807", "/#__________________9223372036854775807"),
        ("/#9223372036854775808", "/#9223372036854775808"),  # too large for an array: a text
        ("/abc/#_1", "/abc/#_1"),  # a wrong number of underscores: a text
        ("/abc/#01", "/abc/#01"),
        ("/abc/#", "/abc/#"),  # the array itself
        ("/abc/#def", "/abc/#def"),
        ("/abc/\\#10/ghi", "/abc/\\#10/ghi"),  # the text, not the element
        ("/abc/\\./\\../ghi", "/abc/\\./\\../ghi"),
        ("/abc\\/def/ghi", "/abc\\/def/ghi"),
        ("/abc\\\\/def", "/abc\\\\/def"),  # the first backslash escapes the second, not the separator
        ("/abc/%def/%", "/abc/%def/%"),
        ("/abc/\\%", "/abc/\\%"),
        ("/\\\\%", "/\\\\%"),
        ("/abc/d@ef", "/abc/d@ef"),
    ],
)
def test_a_typed_name_is_made_canonical(typed: str, name: str) -> None:
    """A name may be typed as loosely as a path."""
    assert canonical(typed) == name


@pytest.mark.parametrize(
    "typed",
    [
        "/\\", "/\\\\\\", "/abc/\\def", "/abc/d\\#ef", "/abc/\\.def", "/a/d\\.ef", "/a/\\%b", "/a/d\\%", "/a\\", "/\\@",
        "/abc/\\#_10", "/abc/\\#0", "/abc/\\#01", "/abc/\\#5", "/abc/\\#def", "/\\#", "/\\\\\\%",
        "/\\#9223372036854775808",
    ],
)  # fmt: skip
def test_a_needless_escape_is_refused(typed: str) -> None:
    """A text has one spelling, so an escape of nothing is an error and not a second one."""
    with pytest.raises(KeyNameError, match="key name"):
        canonical(typed)


@pytest.mark.parametrize("typed", ["", "abc", "user/", "user:/abc", "user:abc:/"])
def test_a_whole_name_begins_at_the_top(typed: str) -> None:
    """What is put behind another name may do without."""
    with pytest.raises(KeyNameError):
        complete(typed)
    assert split(typed) == tuple(part for part in typed.split("/") if part)


@PROPERTY
@given(st.lists(TEXTS))
def test_every_text_can_be_a_part(parts: list[str]) -> None:
    """No two sequences of texts have the same name."""
    assert split(join(parts)) == tuple(parts)


@PROPERTY
@given(TYPED)
def test_a_canonical_name_is_canonical(typed: str) -> None:
    """Making a name canonical a second time changes nothing, nor does it change what the name means."""
    try:
        name = canonical("/" + typed)
    except KeyNameError:
        return
    assert canonical(name) == name
    assert split(name) == split("/" + typed)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "%"),
        ("%", "\\%"),
        ("%a", "%a"),  # it means something only alone
        (".", "\\."),
        ("..", "\\.."),
        ("...", "..."),
        ("a/b", "a\\/b"),
        ("a\\b", "a\\\\b"),
        ("#5", "#5"),  # an element as it is written
        ("#_10", "#_10"),
        ("#10", "\\#10"),  # would be read as element 10
        ("#01", "#01"),
        ("#12/x", "#12\\/x"),
    ],
)
def test_a_text_is_escaped_where_it_would_mean_something_else(text: str, part: str) -> None:
    """And only there."""
    assert escape(text) == part


@pytest.mark.parametrize(
    ("part", "number", "following"),
    [
        ("#", None, "#0"),
        ("#0", 0, "#1"),
        ("#9", 9, "#_10"),
        ("#_99", 99, "#__100"),
        ("#_________4000000000", 4_000_000_000, "#_________4000000001"),
        ("#__________________9223372036854775807", LARGEST, None),
        ("#__________________9223372036854775808", None, None),
        ("#10", None, None),  # a text: an element has its underscores
        ("#01", None, None),
        ("#_1", None, None),
        ("#-1", None, None),
        ("noarray", None, None),
        ("", None, None),
    ],
)
def test_elements_of_arrays_are_counted(part: str, number: int | None, following: str | None) -> None:
    """The order of their texts is that of their numbers."""
    assert (element(part), increment(part)) == (number, following)
    if number is not None and following is not None:
        assert part < following
