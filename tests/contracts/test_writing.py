"""Writing into TOML: what is put in or taken out is that and nothing else, however the text is written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.editing.edits import Change, applied
from meter.contracts.editing.writing import Path, Writer, toml
from tests.strategies import steady

HOST = '[mounts."/host"]\nplugins = ["cpu", "csv"] # two\n'
FORMS = {
    "headers": HOST + '[mounts."/host".config.csv]\npath = "x" # here\n\n# next\n[mounts."/b"]\nplugins = ["d"]\n',
    "dotted": HOST + 'config.csv.path = "x" # here\n[mounts."/b"]\nplugins = ["d"]\n',
    "no config": "# first\n" + HOST,
    "no line end": HOST.rstrip("\n"),
    "inline config": HOST + 'config = { csv = { path = "x" } }\n',
    "inline mount": '[mounts]\n"/host" = { plugins = ["cpu", "csv"], config.csv = { path = "x" } }\n',
    "inline mounts": 'mounts = { "/host" = { plugins = ["cpu", "csv"] } }\nx-a = 1\n',
    "empty config": HOST + "config = {}\n",
    "dotted mount": '[mounts]\n"/host".plugins = ["cpu", "csv"]\n"/b".plugins = ["d"]\n',
    "top": '# c\nmounts."/host".plugins = ["cpu", "csv"]\nmounts."/b".plugins = ["d"]\n[x-a]\nb = 1\n',
    "out of order": '[mounts."/host".config.csv]\npath = "x"\n[mounts."/b"]\nplugins = []\n' + HOST + "[x-y]\nz = 1\n",
    "config header": HOST + '[mounts."/host".config]\ncsv.path = "x"\n',
    "indented": "[mounts]\n  [mounts.'/host']\n  plugins = ['cpu', 'csv']\n  [mounts.'/host'.config.csv]\n  path = 1",
    "lines": '[mounts."/host"]\nplugins = [\n  "cpu", # one\n  # of files\n  "csv" # two\n]\n',
}
MOUNT: Path = ("mounts", "/host")


def done(text: str, change: Change | None) -> str:
    """A text with a change made, which there has to be."""
    assert change is not None
    return applied(text, [change])


@pytest.fixture(params=["\n", "\r\n"], ids=["LF", "CRLF"])
def end(request: pytest.FixtureRequest) -> str:
    """A line end."""
    return str(request.param)


@pytest.mark.parametrize("form", FORMS)
class TestRequest:
    """A mount file in each form that one may have."""

    def test_an_item_is_put_before_another(self, form: str, end: str) -> None:
        """At its place in the list; all that was there before is there, in its order."""
        text = FORMS[form].replace("\n", end)
        wanted = tomllib.loads(text)
        wanted["mounts"]["/host"]["plugins"].insert(1, "rate")
        new = done(text, Writer(text, "f").before((*MOUNT, "plugins", 1), "rate"))
        assert tomllib.loads(new) == wanted
        assert kept(text, new)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("order",), [["a", "b"]]),
            (("durability",), "process"),
            (("config", "rate"), {"metrics": ["a", "b{c=d}"], "keep": False}),
            (("config", "csv", "metrics"), ["*{kind=gauge}"]),
        ],
        ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
    )
    def test_a_key_is_put_in(self, form: str, path: Path, value: Any, end: str) -> None:
        """In its table, which is made where it is not there; all else is as it was, comments and blanks included."""
        text = FORMS[form].replace("\n", end)
        wanted = tomllib.loads(text)
        table = wanted["mounts"]["/host"]
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = value
        new = done(text, Writer(text, "f").put((*MOUNT, *path), value))
        assert tomllib.loads(new) == wanted, new
        assert kept(text, new)
        assert ("\r" in new) == (end == "\r\n")

    @pytest.mark.parametrize("place", [0, 1])
    def test_an_item_is_taken_out(self, form: str, place: int, end: str) -> None:
        """With its comma and the line that it had for itself."""
        text = FORMS[form].replace("\n", end)
        wanted = tomllib.loads(text)
        del wanted["mounts"]["/host"]["plugins"][place]
        new = done(text, Writer(text, "f").without((*MOUNT, "plugins", place)))
        assert tomllib.loads(new) == wanted, new
        assert kept(new, text)


def kept(old: str, new: str) -> bool:
    """Whether the new text is the old one with one piece put in."""
    start = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return any(new.endswith(old[at:]) for at in range(start + 1) if new.startswith(old[:at])) and len(new) >= len(old)


@pytest.mark.parametrize(
    ("text", "path", "left"),
    [
        ("a = [1, 2, 3]\n", ("a", 1), "a = [1, 3]\n"),
        ("a = [1, 2, ]\n", ("a", 1), "a = [1, ]\n"),
        ("a = [ 1 ]\n", ("a", 0), "a = [  ]\n"),
        ("a = [\n  1, # one\n  2, # two\n]\n", ("a", 0), "a = [\n  2, # two\n]\n"),
        ("a = [\n  1, # one\n  2 # two\n]\n", ("a", 1), "a = [\n  1, # one\n]\n"),
        ("a = [\n  1,\n  # of two\n  2]\n", ("a", 1), "a = [\n  1,\n  # of two\n  ]\n"),
        ("a = [1,\n  2]\n", ("a", 1), "a = [1]\n"),
        ("a = [[1, 2], [3]]\n", ("a", 0, 1), "a = [[1], [3]]\n"),
        ("a = [[1, 2], [3]]\n", ("a", 0), "a = [[3]]\n"),
        ("a = 1\nb = [\n 2] # x\nc = 3\n", ("b",), "a = 1\nc = 3\n"),
        ("a = { b = 1, c = 2, d = 3 }\n", ("a", "c"), "a = { b = 1, d = 3 }\n"),
        ("a = { b = 1, c = 2 }\n", ("a", "c"), "a = { b = 1 }\n"),
        ("a = { b = 1 }\n", ("a", "b"), "a = {  }\n"),
        ("a = 1", ("a",), ""),
    ],
)
def test_what_is_taken_out_leaves_no_trace(text: str, path: Path, left: str) -> None:
    """Commas, blanks and lines that belonged to it go, comments of others stay."""
    assert done(text, Writer(text, "f").without(path)) == left
    tomllib.loads(left)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.b = 1\na.c = 2\n", ("a",)),
        ("a.b = 1\n", ("a", "b")),
        ("[a]\nb = 1\n[a.c]\n", ("a", "c")),
        ("a = 1\n", ("b",)),
        ("a = [1]\n", ("a", 1)),
    ],
)
def test_what_cannot_be_taken_out_alone_stays(text: str, path: Path) -> None:
    """A table over several lines, a dotted key, what is not there: no change, and no wrong one."""
    change = Writer(text, "f").without(path)
    if change is not None:
        wanted = tomllib.loads(text)
        table: Any = wanted
        for part in path[:-1]:
            table = table[part]
        del table[path[-1]]
        assert tomllib.loads(applied(text, [change])) == wanted


@pytest.mark.parametrize(
    ("text", "path"), [("a = 1\n", ("b",)), ("[[a]]\nb = 1\n", ("a", 0, "c", "d")), ("a = 1\n", ("a", 0))]
)
def test_what_cannot_be_put_in_is_not(text: str, path: Path) -> None:
    """A key of the document itself, a table of an array: nothing that an edit needs."""
    writer = Writer(text, "f")
    assert (writer.before(path, 1) if isinstance(path[-1], int) else writer.put(path, 1)) is None


def test_places_are_those_of_the_file() -> None:
    """Of a text out of comments the lines count from its first one."""
    text = '  name = "x"\n  ordering.before = ["a", "b"]\n'
    assert Writer(text, "x.py", 7).without(("ordering", "before", 0)) == Change("x.py", 8, 22, 5, "")


values = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below, max_size=3),
    max_leaves=6,
)


@steady
@given(value=values)
def test_a_value_is_written_as_toml(value: Any) -> None:
    """On one line, and read back the same."""
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}
    assert "\n" not in toml(value)
