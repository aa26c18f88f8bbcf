"""Names are a tree: what lies below what, which comes first, and sets of them."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.keynames import KeyNameError
from meter.core.names import Name, NameSet

PROPERTY = settings(derandomize=True, deadline=None)
NAMES = st.lists(st.sampled_from(["a", "b", "a/b", "", ".", "#_10", "#9", "%"]), max_size=4).map(Name.of)


@pytest.mark.parametrize(
    ("base", "name", "there"),
    [
        ("/a", "b", "/a/b"),
        ("/", "../user", "/user"),
        ("/more/level", "../../x", "/x"),
        ("/more", "../../../x", "/x"),  # there is nothing above the top
        ("/s", ".../user", "/s/.../user"),
        ("/", "///sw/../sw//././MyApp", "/sw/MyApp"),
        ("/abc", "/abc//def////ghi/", "/abc/abc/def/ghi"),
        ("/abc", "", "/abc"),
        ("/a\\/b", "..", "/"),
        ("/", "\\.", "/\\."),
        ("/a", "#10", "/a/#_10"),
    ],
)
def test_a_name_is_found_from_another(base: str, name: str, there: str) -> None:
    """As a path is from a folder."""
    assert Name(base).add(name) == Name(there)


@pytest.mark.parametrize(
    ("text", "there"),
    [("a/b", "/x/a\\/b"), (".", "/x/\\."), ("..", "/x/\\.."), ("", "/x/%"), ("#_10", "/x/#_10"), ("#10", "/x/\\#10")],
)
def test_any_text_can_be_put_below_a_name(text: str, there: str) -> None:
    """It means nothing but itself."""
    added = Name("/x").add_base(text)

    assert added.name == there
    assert added.parts == ("x", text)
    assert added.is_directly_below(Name("/x"))


def test_what_is_no_name_is_refused() -> None:
    """Whole or not."""
    with pytest.raises(KeyNameError):
        Name("a")
    with pytest.raises(KeyNameError):
        Name("/a").add("\\x")


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        ("/a/b/c", "/a", (True, False, True)),
        ("/a/b", "/a", (True, True, True)),
        ("/a", "/a", (False, False, True)),
        ("/a", "/a/b", (False, False, False)),
        ("/ab", "/a", (False, False, False)),  # a beginning of the text, not of the parts
        ("/a\\/b", "/a", (False, False, False)),
        ("/a", "/", (True, True, True)),
    ],
)
def test_names_lie_below_each_other(one: str, other: str, relation: tuple[bool, bool, bool]) -> None:
    """Below, directly below, below or the same."""
    first, second = Name(one), Name(other)

    assert (first.is_below(second), first.is_directly_below(second), first.is_below_or_same(second)) == relation


def test_order_is_that_of_the_texts_of_parts() -> None:
    """Escapes do not matter, and what lies below a name follows it at once."""
    names = ["/x/aa/b", "/x/a\\/b", "/x/A", "/x/%a", "/x/\\%", "/x/%", "/x", "/x/a\\/", "/x/aA", "/x/#10", "/x/#9"]

    assert NameSet(map(Name, names)).names == (
        "/x", "/x/%", "/x/#9", "/x/#_10", "/x/\\%", "/x/%a", "/x/A", "/x/a\\/", "/x/a\\/b", "/x/aA", "/x/aa/b",
    )  # fmt: skip


@pytest.mark.parametrize(("name", "after"), [("/a/#", "/a/#0"), ("/a/#9", "/a/#_10"), ("/a", None), ("/", None)])
def test_elements_are_counted(name: str, after: str | None) -> None:
    """The name of an array gives the first; what is none gives none."""
    assert Name(name).increment() == (None if after is None else Name(after))


@PROPERTY
@given(st.lists(NAMES), NAMES)
def test_cut_takes_a_subtree(names: list[Name], top: Name) -> None:
    """All that is below or the same, in one run; the rest stays, and the set itself is not changed."""
    whole = NameSet(names)
    inside, rest = whole.cut(top)

    assert list(inside) == [name for name in whole if name.is_below_or_same(top)]
    assert inside == whole.below(top) == whole.below(top.name)
    assert inside | rest == whole == NameSet(names)


@PROPERTY
@given(NAMES)
def test_a_name_survives_a_pickle(name: Name) -> None:
    """A second process gets an equal one."""
    copy = pickle.loads(pickle.dumps(name))

    assert (copy, hash(copy), copy.parts) == (name, hash(name), name.parts)
