"""Edits: a change lands where it is meant, keeps everything else, and is offered only where it is certain."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.edits import Change, applied, before, clear, distance, instead, renamed, rewritten, within
from meter.contracts.spans import COMMAND_LINE, Locator, Span, Words
from tests.strategies import steady

TEXT = 'a = 1\r\n# é\nb = ["x", \'y#z\']\n"c d" = "e\\"f"\n'


class TestApplied:
    """`applied`."""

    def test_changes_of_one_text_do_not_move_each_other(self) -> None:
        """Places are those of the text before all changes, whatever order these come in."""
        changes = [Change("f", 3, 6, 3, '"long"'), Change("f", 1, 1, 1, "alpha"), Change("f", 3, 1, 0, "# b\n")]
        assert applied(TEXT, changes).startswith('alpha = 1\r\n# é\n# b\nb = ["long", ')

    def test_a_change_of_several_lines_counts_their_ends(self) -> None:
        """What goes may reach over line ends, of both kinds."""
        assert applied("a\r\nb\nc", [Change("f", 1, 2, 4, "-")]) == "a-c"

    @pytest.mark.parametrize(
        "changes",
        [
            [Change("f", 1, 1, 3, "x"), Change("f", 1, 2, 1, "y")],
            [Change("f", 9, 1, 0, "x")],
            [Change("f", 5, 1, 4, "x")],
        ],
        ids=["overlap", "no such line", "beyond the end"],
    )
    def test_what_cannot_be_applied_is_an_error(self, changes: list[Change]) -> None:
        """Half of an edit is none."""
        with pytest.raises(ValueError, match=r"\d"):
            applied(TEXT, changes)

    @steady
    @given(text=st.text(alphabet="ab\r\n", max_size=12), data=st.data())
    def test_a_change_is_a_slice(self, text: str, data: st.DataObject) -> None:
        """Lines and columns lead to the offset that they stand for."""
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, len(text)))
        line, column = text.count("\n", 0, start) + 1, start - (text.rfind("\n", 0, start) + 1) + 1
        assert applied(text, [Change("f", line, column, stop - start, "X")]) == text[:start] + "X" + text[stop:]


class TestPlaces:
    """`rewritten`, `within`, `before`, `instead`."""

    def test_a_part_of_a_text_is_found_inside_its_quotes(self) -> None:
        """Plain quotes are stepped over; of a text with escapes the whole is meant."""
        locator = Locator(TEXT, "f")
        assert within(locator.value("b", 1), "y#z", 2, 3) == Span("f", 3, 14, 1)
        assert within(locator.value("c d"), 'e"f', 0, 1) == locator.value("c d")
        assert within(Words(["meter", "x:y"]).span(1), "x:y", 2, 3) == Span(COMMAND_LINE, 1, 9, 1)

    @pytest.mark.parametrize(
        ("path", "old", "new", "line"),
        [
            (("b", 1), "y#z", "w#z", "b = [\"x\", 'w#z']"),
            (("b", 1), "y#z", "it's", 'b = ["x", "it\'s"]'),
            (("c d",), 'e"f', "g", '"c d" = "g"'),
        ],
    )
    def test_a_text_keeps_its_quotes(self, path: tuple[str | int, ...], old: str, new: str, line: str) -> None:
        """What stands around a text stays, unless the new one needs other quotes."""
        text = applied(TEXT, [rewritten(Locator(TEXT, "f").value(*path), old, new)])
        assert line in text.split("\n")

    @pytest.mark.parametrize(
        ("path", "old", "new"), [(("a",), "a", "x y"), (("a",), "a", "b2"), (("c d",), "c d", "c")]
    )
    def test_a_key_is_quoted_where_it_has_to_be(self, path: tuple[str, ...], old: str, new: str) -> None:
        """A renamed key is that key to TOML."""
        text = applied(TEXT, [rewritten(Locator(TEXT, "f").key(*path), old, new)])
        document = tomllib.loads(text)
        assert new in document
        assert old not in document

    def test_a_word_is_quoted_as_a_shell_needs_it(self) -> None:
        """A word of a command line that needs no quotes gets none."""
        words = Words(["meter", "check", "/hsot"])
        line = words.text
        for new, shown in (("/host", "meter check /host"), ("/a b", "meter check '/a b'")):
            assert applied(line, [rewritten(words.span(2), "/hsot", new)]) == shown

    def test_before_and_instead(self) -> None:
        """An insertion covers nothing, a replacement what the place covers."""
        span = Span("f", 1, 1, 5)
        assert applied(TEXT, [before(span, "x = 0\n")]).startswith("x = 0\na = 1\r\n")
        assert applied(TEXT, [instead(span, "b2 = 2")]).startswith("b2 = 2\r\n")

    @steady
    @given(old=st.text(max_size=6), new=st.text(max_size=6))
    def test_any_text_becomes_any_other(self, old: str, new: str) -> None:
        """However a text is written, TOML reads the new one in its place."""
        for text in (f"x = {toml(old)}", f"x = '{old}'", f'x = """{old}"""'):
            try:
                if tomllib.loads(text) != {"x": old}:
                    continue
            except tomllib.TOMLDecodeError:
                continue
            span = Locator(text, "f").value("x")
            assert tomllib.loads(applied(text, [rewritten(span, old, new)])) == {"x": new}


def toml(text: str) -> str:
    """A basic string with every character escaped."""
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


class TestClear:
    """`clear`."""

    @pytest.mark.parametrize(
        ("name", "candidates", "meant"),
        [
            ("memroy", ["memory", "cpu", "disk"], "memory"),
            ("cpuu", ["cpu", "gpu", "csv"], "cpu"),
            ("intervall", ["interval", "max"], "interval"),
            ("per_cpu", ["per-cpu", "percpu2"], "per-cpu"),
            ("Memory", ["memory"], "memory"),
            ("cpv", ["cpu", "csv"], ""),  # one letter from both
            ("gpu", ["cpu"], ""),  # another word
            ("cvs", ["csv", "cpu"], "csv"),
            ("rat", ["rate", "date"], "rate"),
            ("colour", ["color", "colours"], ""),
            ("durabilty", ["durability"], "durability"),
            ("recieve", ["receive"], "receive"),
            ("accumlatte", ["accumulate", "aggregate"], "accumulate"),
            ("ab", ["abc"], ""),
            ("network", ["netlink"], ""),
            ("", ["a"], ""),
            ("same", ["same"], ""),
            ("x" * 5000, ["x" * 5001], ""),
        ],
    )
    def test_only_one_meaning_is_taken(self, name: str, candidates: list[str], meant: str) -> None:
        """Where two names could have been meant, none is."""
        assert clear(name, candidates) == meant
        assert clear(name, reversed(candidates)) == clear(name, candidates)

    @steady
    @given(one=st.text("abc", max_size=5), other=st.text("abc", max_size=5))
    def test_distance_is_a_number_of_letters(self, one: str, other: str) -> None:
        """0 for the same, equal both ways, no more than the longer name and no less than the difference in length."""
        found = distance(one, other)
        assert (found == 0) == (one == other)
        assert found == distance(other, one)
        assert abs(len(one) - len(other)) <= found <= max(len(one), len(other))

    @pytest.mark.parametrize(("one", "other", "letters"), [("ab", "ba", 1), ("abc", "acb", 1), ("abcd", "bd", 2)])
    def test_swapped_letters_are_one(self, one: str, other: str, letters: int) -> None:
        """The commonest slip of all."""
        assert distance(one, other) == letters


def test_an_edit_leaves_with_its_diagnostic() -> None:
    """JSON has title and changes; without an edit `null`."""
    span = Span("meter.toml", 2, 12, 6)
    edit = renamed(span, "cpuu", "cpu")
    told = Diagnostic(code="E-PLUGIN-UNKNOWN", facts={"name": "cpuu", "near": ""}, spans=(span,), edit=edit).to_json()
    assert told["edit"] == {
        "title": "write `cpu` instead of `cpuu`",
        "changes": [{"file": "meter.toml", "line": 2, "column": 13, "length": 4, "text": "cpu"}],
    }
    assert Diagnostic(code="E-NAME", facts={"name": "x"}).to_json()["edit"] is None
