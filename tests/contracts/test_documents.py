"""The bytes of a file are a TOML document, or one diagnostic says where and why they are none."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import DEEPEST, LIMIT, longest_key, parse_toml
from meter.contracts.reader import read
from tests.contracts.build import shown, source

FILE = "contract.toml"
PARTS = ".".join("a" * 40)


class TestFiles:
    """Bytes that are no document."""

    @pytest.mark.parametrize(
        ("data", "line", "column"),
        [
            (b"name = \n", 1, 8),
            (b'name = "a"\nname = "b"\n', 2, 1),
            (b'name = "a\n', 1, 10),
            (b"[a]\n[a]\n", 2, 1),
            (b"x = 2024-02-30\n", 1, 5),
            (b"x = 1\ny = [1,\n", 3, 1),
            (b"x = 1\n# \xc3\xa9 \xff\n", 2, 5),
            (b"\xff", 1, 1),
            (b"x = 1\r\ny = =\r\n", 2, 5),
            (b"x = 1\ny = 9223372036854775808\n", 2, 5),
            (b"[a]\nb = [1, { c = -9223372036854775809 }]\n", 2, 15),
        ],
    )
    def test_what_is_not_toml_says_where(self, data: bytes, line: int, column: int) -> None:
        """Line and column are those of the text, in characters."""
        (error,) = read(data, FILE).diagnostics
        assert error.code == "E-FILE"
        assert (error.spans[0].line, error.spans[0].column) == (line, column)
        assert shown(error)["message"].startswith("cannot read `contract.toml`: ")

    @pytest.mark.parametrize(
        "data",
        [
            b"x = " + b"[" * 100_000,
            b"x = " + b"[" * 400 + b"]" * 400,
            b"x = " + b"{a=" * 300 + b"1" + b"}" * 300,
            b"[" + b".".join([b"a"] * 300) + b"]\n",
            b".".join([b"a"] * 300) + b" = 1\n",
            b"x = " + b"1" * 5000,
            b"x = 0x" + b"f" * 5000,
            b"x" * (LIMIT + 1),
        ],
        ids=["open", "lists", "tables", "header", "dotted", "digits", "hexadecimal", "huge"],
    )
    def test_deep_and_huge_documents(self, data: bytes) -> None:
        """Size and depth are bounded where the text is read, so nothing behind has to fear for its stack."""
        (error,) = read(data, FILE).diagnostics
        assert shown(error)["code"] == "E-FILE"

    @pytest.mark.parametrize("depth", range(1, 64))
    def test_any_depth_in_a_free_value(self, depth: int) -> None:
        """There is no depth at which the parser is content and what follows is not."""
        value = "[" * depth + "]" * depth
        read((source("p") + f'[config.x]\ntype = "str"\ndefault = {value}\nx-y = {value}\n').encode(), FILE)

    @given(st.text(max_size=60))
    @settings(derandomize=True, database=None, deadline=None, max_examples=200)
    def test_parsing_gives_a_document_exactly_for_toml(self, text: str) -> None:
        """Nothing that is TOML within the bounds is refused."""
        parsed = parse_toml(text.encode("utf-8", errors="replace"), FILE)
        try:
            tomllib.loads(text)
        except ValueError:
            assert not isinstance(parsed, tuple)
        else:
            assert isinstance(parsed, tuple)


def refused(text: str) -> Diagnostic:
    """Why a text is no TOML document for meter."""
    found = parse_toml(text.encode(), "contract.toml")
    assert isinstance(found, Diagnostic)
    return found


class TestKeysOfManyParts:
    """A parser that would need hours for them is not asked."""

    @pytest.mark.parametrize(
        ("text", "line", "column"),
        [
            (f"{PARTS} = 1", 1, 1),
            (f"a = 1\n  [{PARTS}]\n", 2, 4),
            (f"a = 1\n[[ {PARTS} ]]\n", 2, 4),
            (f"a = {{ b = 1, {PARTS} = 1 }}", 1, 14),
            ('"a" . ' * 40 + "a = 1", 1, 1),
            (f"a = '''\n'''\n{PARTS} = 1", 3, 1),
        ],
    )
    def test_they_are_found(self, text: str, line: int, column: int) -> None:
        """Wherever a key can stand; the place is its own."""
        found = refused(text)
        assert (found.code, found.variant, found.spans[0][1:3]) == ("E-FILE", "too-deep", (line, column))

    @pytest.mark.parametrize(
        "text",
        [
            f'a = "{PARTS}"',
            f"a = '{PARTS}'",
            f'a = """\n{PARTS}\n"""',
            f"a = '''\n{PARTS} = 1\n'''",
            f"# {PARTS}",
            f'"{PARTS}" = 1',
            f"'{PARTS}' = 1",
            ".".join("a" * (DEEPEST - 1)) + " = 1",
            f'a = "\\"{PARTS}"',
        ],
    )
    def test_texts_and_comments_are_none(self, text: str) -> None:
        """Dots mean nothing in them."""
        assert longest_key(text, DEEPEST) == -1
        assert not isinstance(parse_toml(text.encode(), "contract.toml"), Diagnostic)


def test_a_byte_order_mark_is_named() -> None:
    """Nobody sees it in an editor."""
    document = shown(refused("\ufeffname = 1"))
    assert "byte order mark" in document["message"]
    assert "UTF-8" in document["help"]
