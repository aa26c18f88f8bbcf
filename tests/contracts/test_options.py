"""Configuration: typed, closed, with units; what does not fit is said at the value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.check import check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.host import Assumed
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Option
from meter.contracts.options import OptionError, canonical, from_words, parse_type
from meter.contracts.request import from_words as request_from_words
from tests.contracts.build import catalogue, codes, one, output, pointed, run, said, source
from tests.strategies import steady

SINK = output()


def option(type_: str, **fields: Any) -> Option:
    """An option of a type."""
    return Option(type=type_, summary="", values=fields.pop("values", ()), **fields)


VALUES = [
    ("bool", True, True),
    ("int", -3, -3),
    ("int", 2**63 - 1, 2**63 - 1),
    ("float", 1, 1.0),
    ("float", 0.5, 0.5),
    ("str", "", ""),
    ("duration", "1.5s", 1_500_000_000),
    ("duration", "1h30min", 5_400_000_000_000),
    ("size", "64KiB", 65536),
    ("unit", "By/s", "By/s"),
    ("path", "host.csv", "host.csv"),
    ("metric", "hw.*{kind=delta}", "hw.*{kind=delta}"),
    ("formula", "sum(a{k=v}) * 2", "sum(a{k=v}) * 2"),
    ("list<int>", [1, 2], [1, 2]),
    ("list<duration>", [], []),
    ("map<size>", {"a": "1kB"}, {"a": 1000}),
    ("map<formula>", {"a.b": "c / d"}, {"a.b": "c / d"}),
]
NO_VALUES = [
    ("bool", 1),
    ("bool", "true"),
    ("int", True),
    ("int", 1.0),
    ("int", "1"),
    ("int", 2**63),
    ("float", "1"),
    ("float", float("nan")),
    ("float", float("inf")),
    ("str", 1),
    ("duration", 1),
    ("duration", "1"),
    ("duration", "1 s"),
    ("duration", "1s1s"),
    ("size", 10),
    ("size", "10"),
    ("size", "1.5B"),
    ("unit", "joules"),
    ("unit", 1),
    ("path", ""),
    ("path", "a\0b"),
    ("metric", "a b"),
    ("metric", "*{unit=joules}"),
    ("metric", "*{resource=cpu}"),
    ("formula", "a * -b"),
    ("formula", "a{kind=rate}"),
    ("formula", 2),
    ("list<int>", 1),
    ("list<int>", ["a"]),
    ("map<int>", []),
    ("map<int>", {"a": "b"}),
]


class TestCanonical:
    """From TOML to what a plugin gets."""

    @pytest.mark.parametrize(("type_", "raw", "value"), VALUES)
    def test_values(self, type_: str, raw: object, value: object) -> None:
        """Durations are whole nanoseconds, sizes whole bytes, everything else itself."""
        found = canonical(option(type_), raw)
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize(("type_", "raw"), NO_VALUES)
    def test_no_values(self, type_: str, raw: object) -> None:
        """What was given, what was wanted and what to write."""
        with pytest.raises(OptionError) as error:
            canonical(option(type_), raw)
        assert error.value.code == "E-CONFIG-TYPE"
        assert all(error.value.facts[fact] for fact in ("got", "wanted", "help"))

    def test_every_type_is_tried(self) -> None:
        """A type added to the language is added here."""
        assert {parse_type(type_)[1] for type_, _, _ in VALUES} | {"enum"} == set(language().words["option"])

    @pytest.mark.parametrize("text", ["int>", "list<int", "list<list<int>>", "set<int>", "integer", "list<>"])
    def test_no_types(self, text: str) -> None:
        """A type is a word of the language, or a list or map of one."""
        with pytest.raises(ValueError, match=text.replace("<", ".").replace(">", ".")):
            parse_type(text)

    @pytest.mark.parametrize(
        ("type_", "raw", "fields", "relation"),
        [
            ("int", 1, {"min": 2}, "less than `2`"),
            ("int", 3, {"max": 2}, "more than `2`"),
            ("duration", "100us", {"min": "1ms"}, "less than `1ms`"),
            ("size", "2MB", {"max": "1MiB"}, "more than `1MiB`"),
            ("list<int>", [2, 1], {"min": 2}, "less than `2`"),
            ("enum", "c", {"values": ("a", "b")}, "not one of `a`, `b`"),
        ],
    )
    def test_ranges(self, type_: str, raw: object, fields: dict[str, Any], relation: str) -> None:
        """Bounds are in the option's own type, and bound each item of a list."""
        with pytest.raises(OptionError) as error:
            canonical(option(type_, **fields), raw)
        assert error.value.code == "E-CONFIG-RANGE"
        problem = error.value
        said = Diagnostic(code=problem.code, facts=problem.facts, variant=problem.variant)
        assert said.text("label") == relation

    def test_bounds_belong_to_the_range(self) -> None:
        """`min` and `max` themselves are allowed."""
        assert [canonical(option("duration", min="1s", max="2s"), raw) for raw in ("1s", "2s")] == [10**9, 2 * 10**9]


class TestWords:
    """From `option=value` words."""

    @pytest.mark.parametrize(
        ("type_", "texts", "raw"),
        [
            ("bool", ["true"], True),
            ("bool", ["yes"], "yes"),
            ("int", ["-5"], -5),
            ("int", ["1" * 5000], "1" * 5000),
            ("float", ["1e3"], 1000.0),
            ("float", ["x"], "x"),
            ("str", ["1"], "1"),
            ("duration", ["1s"], "1s"),
            ("list<str>", ["a", "b"], ["a", "b"]),
            ("list<int>", ["1"], [1]),
            ("list<int>", ["[1, 2]"], [1, 2]),
            ("map<int>", ["a=1", "b=2"], {"a": 1, "b": 2}),
            ("map<int>", ["{a = 1}"], {"a": 1}),
        ],
    )
    def test_texts(self, type_: str, texts: list[str], raw: object) -> None:
        """A word means what the type says; what does not fit stays a text, for the message."""
        assert from_words(option(type_), texts) == raw

    @pytest.mark.parametrize(
        ("type_", "texts"),
        [
            ("int", ["1", "2"]),
            ("list<int>", ["[1"]),
            ("map<int>", ["{a}"]),
            ("map<str>", ["a"]),
            ("map<str>", ["a=1", "a=2"]),
        ],
    )
    def test_no_texts(self, type_: str, texts: list[str]) -> None:
        """A single value given twice is no silent last one."""
        with pytest.raises(OptionError) as error:
            from_words(option(type_), texts)
        assert error.value.code == "E-CONFIG-TYPE"

    @given(st.sampled_from([type_ for type_, _, _ in VALUES]), st.lists(st.text(max_size=8), min_size=1, max_size=3))
    @steady
    def test_any_words(self, type_: str, texts: list[str]) -> None:
        """Words of a command line give a value or an option error."""
        try:
            value = canonical(option(type_), from_words(option(type_), texts))
        except OptionError as error:
            assert error.code.startswith("E-CONFIG-")  # noqa: PT017 both outcomes are right
        else:
            assert value is not ABSENT


class TestMount:
    """Configuration in a request."""

    TEXT = source(
        "p",
        more='config.depth = { type = "int", default = 1, min = 0, max = 9 }\n'
        'config.names = { type = "list<str>", default = [] }\n'
        'config.mode = { type = "enum", values = ["fast", "slow"], default = "fast" }\n',
    )

    @pytest.mark.parametrize(
        ("line", "code", "at"),
        [
            ("depht = 1", "E-CONFIG-UNKNOWN", "depht"),
            ('depth = "1"', "E-CONFIG-TYPE", '"1"'),
            ("depth = 10", "E-CONFIG-RANGE", "10"),
            ("names = ['a', 1]", "E-CONFIG-TYPE", "1"),
            ("mode = 'fats'", "E-CONFIG-RANGE", "'fats'"),
            ("interval = 1", "E-CONFIG-TYPE", "1"),
            ("interval = '1us'", "E-CONFIG-RANGE", "'1us'"),
        ],
    )
    def test_faults_point_at_the_value(self, line: str, code: str, at: str) -> None:
        """The smallest place, and the clause that declares the option."""
        more = f"config.p.{line}\n"
        document = one(run("p sink", self.TEXT, SINK, more=more), code)
        assert pointed(document, "p sink", more) == at
        if code != "E-CONFIG-UNKNOWN":
            assert document["spans"][1]["label"] == "declared here"

    def test_near_options(self) -> None:
        """A slip is answered with the option that was meant and with all that there are."""
        help_ = one(run("p sink", self.TEXT, SINK, more="config.p.depht = 1"), "E-CONFIG-UNKNOWN")["help"]
        assert "`depth`? its options are `depth`, `interval`, `mode`, `names`" in help_

    def test_all_faults_at_once(self) -> None:
        """Of all instances."""
        more = "config.p = { depth = 10, mode = 1 }\nconfig.sink.x = 1"
        assert sorted(codes(run("p sink", self.TEXT, SINK, more=more))) == [
            "E-CONFIG-RANGE", "E-CONFIG-TYPE", "E-CONFIG-UNKNOWN",
        ]  # fmt: skip

    def test_an_option_without_default(self) -> None:
        """It has to be given, and the help says how."""
        text = output("sink", more='config.path = { type = "path", summary = "Where to" }')
        document = one(run("p sink", self.TEXT, text), "E-CONFIG-MISSING")
        assert pointed(document, "p sink") == '"sink"'
        assert "path=… (path: Where to)" in document["help"]

    def test_configuration_for_nobody(self) -> None:
        """A label that is not there; nothing is dropped silently."""
        more = "config.snk = { path = 'x' }\n"
        document = one(run("p sink", self.TEXT, SINK, more=more), "E-CONFIG-CLASH")
        assert pointed(document, "p sink", more) == "snk"
        assert "did you mean `sink`?" in document["help"]

    def test_what_is_asked_and_what_is_default(self) -> None:
        """The plan tells the two apart, values are canonical."""
        result = run("p sink", self.TEXT, SINK, more='config.p.interval = "1.5s"')
        document = result.require().document["plugins"][0]
        assert document["config"] == {"depth": 1, "interval": 1_500_000_000, "mode": "fast", "names": []}
        assert document["origins"] == {"depth": "default", "interval": "asked", "mode": "default", "names": "default"}

    @pytest.mark.parametrize(
        ("words", "code", "column"),
        [
            (["p", "depth=x", "sink"], "E-CONFIG-TYPE", 24),
            (["p", "depth=1", "depth=2", "sink"], "E-CONFIG-TYPE", 32),
            (["p", "names=a", "sink", "metrics=nothing"], "E-FLOW-EMPTY", 39),
            (["p", "nam=a", "sink"], "E-CONFIG-UNKNOWN", 18),
        ],
    )
    def test_words_are_pointed_at(self, words: list[str], code: str, column: int) -> None:
        """On the command line the value is the place, or the name of the option where that is wrong."""
        request, faults = request_from_words("/h", words, ["meter", "mount", "/h"])
        assert request is not None
        assert not faults
        result = check(request, catalogue(self.TEXT, SINK), Assumed())
        assert codes(result) == [code], said(result)
        assert result.diagnostics[0].spans[0].column == column
