"""Spans: every key and value of a TOML text is found where it stands."""

import shlex
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time

import pytest
import tomlkit
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meter.contracts.script_block import script_block
from meter.contracts.spans import COMMAND_LINE, Locator, Span, Words

Path = tuple[str | int, ...]

steady = settings(derandomize=True, database=None, deadline=None, max_examples=150)

PLAIN = """\
# a request
[mounts."/host"]
plugins = ["rapl", "cpu#fast", 'csv']   # three

[provides]
capabilities = { "counter.energy" = "1.0" }

[[provides.metrics]]
name = "hw.energy"
unit = "J"
attributes = { domain = ["package", "core"] }

[[provides.metrics]]
name = "hw.power"
unit = "W"
"""

# One of everything that TOML 1.0 has; each value is there once, so that a wrong place shows.
EVERYTHING = r'''# comment = "no key"
top = 1
  indented   =   2   # = 3
"quoted key" = 4
"esc\"aped \u00e9" = 5
'lit.eral' = 6
"" = 7
1234 = 8
dotted.one = 9
dotted . "two.parts" . 'three' = 10
über = "not bare in 1.0"
[table]
basic = "a \"b\" # no comment \\"
literal = 'C:\no\escapes'
multi = """
first \
   "quoted" ""two""
[not.a.table]
x = 1 \"""
last"""
multi-quotes = """a"""""
multi-empty = """"""
multi-literal = \'\'\'
''two'' \
# no comment\'\'\'
multi-literal-quotes = \'\'\'b\'\'\'\'\'
empty = ""
empty-literal = \'\'
unicode = "grün → 温度 🔥"
after-unicode = { "ключ" = "🔥🔥", next = 11 }
integer = +99
hex = 0xDEAD_beef
float = -6.626e-34
infinite = inf
yes = true
moment = 1979-05-27T07:32:00-08:00
blank-moment = 1979-05-27 07:32:00.5
day = 1979-05-27
hour = 07:32:00
array = [12, 13,14 , ]
nested = [[15, 16], [], ["x]", 'y,'], [[17]]]
lines = [   # [ no array
  "one", # , 1
  # "two",

  "]",
  { a = 18, b.c = [ 19 ], d = {} },
  20 # trailing
  , 21,
]
inline = { x = 22, y.z = 23, "q r" = { deep = [ { deeper = 24 } ] }, empty = { } }
[ deep . "a.b" . 'c' ] # header with blanks
value = 25
[deep]
late = 26
[table."sub table"]
value = 27
[[fruit]]
name = "apple"
[fruit.physical]
color = "red"
[fruit.physical.more]
shape = "round"
[[fruit.variety]]
name = "red delicious"
[[fruit.variety]]
name = "granny smith"
[fruit.variety.taste]
sour = 28
[[fruit]]
[[ "fruit" . variety ]]
name = "plantain"
[other]
x = 29
[fruit.physical]
color = "yellow"
[implicit.a.b]
[[implicit.c]]
[end]
last = 30'''.replace(r"\'", "'").replace("über", '"über"')


def written(text: str, span: Span) -> str:
    """The characters of the text that a span covers."""
    lines = text.split("\n")
    start = sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1
    return text[start : start + span.length]


def places(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every path of a document, with the value there."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, below in value.items():
            yield from places(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from places(below, (*path, index))


def check_values(text: str) -> None:
    """Each scalar and array of the text stands where the locator says."""
    locator = Locator(text, "x.toml")
    for path, value in places(tomllib.loads(text)):
        if not isinstance(value, dict | list):
            assert {"x": value} == tomllib.loads(f"x = {written(text, locator.value(*path))}"), path


def check_keys(text: str) -> None:
    """Each key of the text stands where the locator says."""
    locator = Locator(text, "x.toml")
    for path, _ in places(tomllib.loads(text)):
        if isinstance(path[-1], str):
            assert {path[-1]: 0} == tomllib.loads(f"{written(text, locator.key(*path))} = 0"), path


@pytest.fixture(params=["\n", "\r\n"], ids=["LF", "CRLF"])
def everything(request: pytest.FixtureRequest) -> str:
    """The text that has one of everything, with both line ends."""
    line_end: str = request.param
    return EVERYTHING.replace("\n", line_end)


class TestValue:
    """`Locator.value`."""

    @pytest.mark.parametrize(
        ("path", "line", "column", "text"),
        [
            (("mounts", "/host", "plugins"), 3, 11, """["rapl", "cpu#fast", 'csv']"""),
            (("mounts", "/host", "plugins", 0), 3, 12, '"rapl"'),
            (("mounts", "/host", "plugins", 2), 3, 32, "'csv'"),
            (("provides", "capabilities", "counter.energy"), 6, 37, '"1.0"'),
            (("provides", "metrics", 0, "unit"), 10, 8, '"J"'),
            (("provides", "metrics", 1, "unit"), 15, 8, '"W"'),
            (("provides", "metrics", 0, "attributes", "domain", 1), 11, 37, '"core"'),
            (("provides",), 5, 1, "[provides]"),
            (("provides", "metrics", 1), 13, 1, "[[provides.metrics]]"),
        ],
    )
    def test_a_value_is_found_with_line_and_column(self, path: Path, line: int, column: int, text: str) -> None:
        """Lines and columns count from 1; a table's value is its header."""
        span = Locator(PLAIN, "meter.toml").value(*path)

        assert ("meter.toml", line, column, text) == (span.file, span.line, span.column, written(PLAIN, span))

    def test_every_construct_is_understood(self, everything: str) -> None:
        """Strings of four kinds, dates, arrays, inline tables, headers in any order: no value is taken for another."""
        check_values(everything)

    def test_arrays_and_inline_tables_are_whole(self, everything: str) -> None:
        """The place of an array or inline table reaches from bracket to bracket, over comments and lines."""
        locator = Locator(everything, "x.toml")
        table = tomllib.loads(everything)["table"]

        for name in ("array", "nested", "lines", "inline", "after-unicode"):
            text = written(everything, locator.value("table", name))
            assert {"x": table[name]} == tomllib.loads(f"x = {text}")

    def test_columns_count_characters(self) -> None:
        """A character outside ASCII is one column, whatever its bytes."""
        assert Locator('a = { "é🔥" = "→", b = 1 }', "x").value("a", "b")[1:4] == (1, 23, 1)


class TestKey:
    """`Locator.key`."""

    @pytest.mark.parametrize(
        ("path", "line", "column", "text"),
        [
            (("mounts",), 2, 2, "mounts"),
            (("mounts", "/host"), 2, 9, '"/host"'),
            (("mounts", "/host", "plugins"), 3, 1, "plugins"),
            (("mounts", "/host", "plugins", 1), 3, 20, '"cpu#fast"'),
            (("provides",), 5, 2, "provides"),
            (("provides", "capabilities", "counter.energy"), 6, 18, '"counter.energy"'),
            (("provides", "metrics"), 8, 12, "metrics"),
            (("provides", "metrics", 0), 8, 1, "[[provides.metrics]]"),
            (("provides", "metrics", 1, "name"), 14, 1, "name"),
        ],
    )
    def test_a_key_is_found_with_line_and_column(self, path: Path, line: int, column: int, text: str) -> None:
        """A key is its own part of a header or dotted key, an element of an array of tables its header."""
        span = Locator(PLAIN, "meter.toml").key(*path)

        assert ("meter.toml", line, column, text) == (span.file, span.line, span.column, written(PLAIN, span))

    def test_every_construct_is_understood(self, everything: str) -> None:
        """Bare, quoted, escaped and dotted keys, in headers, lines and inline tables."""
        check_keys(everything)

    def test_a_table_is_where_its_own_header_is(self) -> None:
        """A header that only passes through a table is not its place, if it has one."""
        locator = Locator("[a.b]\n[c]\n[a]\n", "x")

        assert locator.key("a")[1:3] == (3, 2)
        assert locator.key("a", "b")[1:3] == (1, 4)

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            (("provides", "metrics", 0, "kind"), "[[provides.metrics]]"),
            (("provides", "metrics", 0, "unit", "deeper", 3), "unit"),
            (("provides", "metrics", 7, "unit"), "metrics"),
            (("mounts", "/host", "plugins", 9), "plugins"),
            (("mounts", "/gpu", "plugins"), "mounts"),
        ],
    )
    def test_what_is_not_there_points_at_the_nearest_that_is(self, path: Path, text: str) -> None:
        """A missing clause is reported at the table that lacks it, for keys as for values."""
        locator = Locator(PLAIN, "meter.toml")

        assert text == written(PLAIN, locator.key(*path))
        assert text == written(PLAIN, locator.value(*path))

    @pytest.mark.parametrize("text", ["", "\n", "a = 1"])
    def test_at_last_the_text_begins(self, text: str) -> None:
        """Without any ancestor the place is line 1, column 1, even in an empty file."""
        assert Span("x", 1, 1) == Locator(text, "x").key("nowhere")
        assert Span("x", 1, 1) == Locator(text, "x").value()


class TestOffset:
    """`first_line`, and a text in comments."""

    @pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
    def test_a_contract_in_comments_points_into_the_real_file(self, end: str) -> None:
        """Spans of a script block lead to the same characters of the script, those of several lines, too."""
        lines = ["import sys", "# /// meter", '# name = "x"', "#", "# [provides]", "# list = [", '#   "é",']
        lines += ["#", '#   """a', '# b""",', "# ]", "# ///"]
        script = "".join(line + end for line in lines)
        block = script_block(script)
        assert block is not None
        locator = Locator(block.located, "x.py", first_line=block.line)

        assert written(script, locator.value("name")) == '"x"'
        assert written(script, locator.key("provides")) == "provides"
        assert written(script, locator.value("provides", "list", 0)) == '"é"'
        assert written(script, locator.value("provides", "list", 1)) == f'"""a{end}# b"""'
        assert written(script, locator.value("provides", "list")).endswith(f'b""",{end}# ]')
        assert Span("x.py", 3, 1) == locator.key("version")


class TestMentions:
    """`Locator.mentions`."""

    def test_a_key_is_found_wherever_it_is_written(self) -> None:
        """In headers that lead through it, in dotted keys, in its own line; of a name elsewhere nothing."""
        text = "[a.b]\nx = 1\n[a.'b'.c]\nb = 2\n[d]\n[a]\nb.d = 3\n[[e]]\nb = 4\n[[e]]\n[e.f]\n"
        locator = Locator(text, "x")

        assert [(span.line, written(text, span)) for span in locator.mentions("a", "b")] == [
            (1, "b"),
            (3, "'b'"),
            (7, "b"),
        ]
        assert [span.line for span in locator.mentions("a")] == [1, 3, 6]
        assert [span.line for span in locator.mentions("e")] == [8, 10, 11]
        assert [span.line for span in locator.mentions("e", 0, "b")] == [9]
        assert locator.mentions("nowhere") == ()


class TestWords:
    """`Words`."""

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ((0,), "meter"),
            ((2,), "rapl"),
            ((3,), "'a b=it'\"'\"'s'"),  # the word as a shell needs it
            ((3, 4), "it'\"'\"'s"),
            ((3, 2, 1), "b"),
            ((3, 6, 1), "'"),
            ((3, 7), "s"),
            ((4,), "''"),
            ((5, 0, 8), "interval"),
            ((5, 9, 99), "1s"),
            ((5, 99), "interval=1s"),  # past its end: the word
        ],
    )
    def test_a_word_or_part_of_it_is_found_as_written(self, arguments: tuple[int, ...], text: str) -> None:
        """Quotes that a shell needs are counted, in front of the place and inside it."""
        words = Words(["meter", "mount", "rapl", "a b=it's", "", "interval=1s"])
        span = words.span(*arguments)

        assert (COMMAND_LINE, 1, text) == (span.file, span.line, written(words.text, span))

    def test_a_missing_word_is_behind_the_last(self) -> None:
        """What should have followed is pointed at where it would stand."""
        assert Span(COMMAND_LINE, 1, 12) == Words(["meter", "mount"]).span(2)

    @steady
    @given(words=st.lists(st.text(max_size=6), min_size=1, max_size=4), data=st.data())
    def test_a_character_is_found_whatever_is_quoted(self, words: list[str], data: st.DataObject) -> None:
        """Each character of each word is at its place, and each whole word is that word to a shell."""
        located = Words(words)
        index = data.draw(st.integers(0, len(words) - 1))
        line = located.text.replace("\n", " ")
        whole = located.span(index)

        assert [words[index]] == shlex.split(located.text[whole.column - 1 : whole.column - 1 + whole.length])
        for at, character in enumerate(words[index].replace("\n", " ")):
            assert character == written(line, located.span(index, at, 1)._replace(line=1))


class TestSpan:
    """`Span`."""

    def test_a_span_is_five_facts(self) -> None:
        """Editors and CI read file, line, column, length and label."""
        assert Span("x", 2, 3, 4, "here").to_json() == {
            "file": "x",
            "line": 2,
            "column": 3,
            "length": 4,
            "label": "here",
        }


keys = st.one_of(st.sampled_from(["a", "b-c", "1", "with.dot", "", 'q"', "é"]), st.text(max_size=4))
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.text(alphabet="\"'\\\n#=[]{}, a", max_size=12),
    st.dates(min_value=date(1000, 1, 1)),
    st.times().map(lambda value: time(value.hour, value.minute, value.second)),
    st.datetimes(min_value=datetime(1000, 1, 1)),  # noqa: DTZ001  TOML has moments without offset
)
values = st.recursive(
    scalars,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(keys, below, max_size=3)),
    max_leaves=8,
)
documents = st.dictionaries(keys, values, max_size=4)


class TestGenerated:
    """Texts that nobody wrote."""

    @steady
    @given(document=documents)
    def test_every_leaf_stands_where_its_value_is(self, document: dict[str, object]) -> None:
        """Whatever tomlkit writes, the text at a leaf's place means the leaf, and the text at a key's place the key."""
        text = tomlkit.dumps(document)
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            assume(False)  # what tomlkit wrote is no TOML

        check_values(text)
        check_keys(text)

    @steady
    @given(document=documents)
    def test_every_leaf_of_a_script_stands_where_its_value_is(self, document: dict[str, object]) -> None:
        """In the comments of a Python file, too: what a place covers is the leaf, but for the marks of its lines."""
        text = tomlkit.dumps(document)
        script = "import sys\n# /// meter\n" + "".join(f"# {line}\n" for line in text.split("\n")) + "# ///\n"
        block = script_block(script)
        assume(block is not None and "\r" not in text)
        assert block is not None
        locator = Locator(block.located, "x.py", first_line=block.line)
        for path, value in places(tomllib.loads(block.text)):
            if not isinstance(value, dict | list):
                covered = written(script, locator.value(*path)).replace("\n# ", "\n")
                assert {"x": value} == tomllib.loads(f"x = {covered}"), path

    @steady
    @given(text=st.text(alphabet="ab.=[]{}\"'\\#, \r\n1u", max_size=40))
    def test_a_text_that_is_no_toml_still_has_places(self, text: str) -> None:
        """Nothing raises and nothing hangs, and where the text is TOML after all, its leaves are found."""
        locator = Locator(text, "x")

        assert locator.value("a", 0, "b").line <= text.count("\n") + 1
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return
        check_values(text)
        check_keys(text)
