"""Configuration: typed, closed, with units; what does not fit is said at the value."""

import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.check import Checked, check
from meter.contracts.command_line import from_words as request_from_words
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.written import written
from meter.contracts.host import Assumed, Recorded
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Option
from meter.contracts.options import OptionError, canonical, from_words, parse_type
from tests.contracts.build import catalogue, codes, faults, metric, one, output, pointed, run, said, source
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
    ("quantity(W)", "95 W", 95.0),
    ("quantity(W)", "95W", 95.0),
    ("quantity(W)", "1.5kW", 1500.0),
    ("quantity(W)", "-.5e3 mJ/s", -0.5),
    ("quantity(eV)", "5eV", 5.0),
    ("quantity(K)", "20 Cel", 293.15),
    ("quantity(Cel)", "20 Cel", 20.0),
    ("quantity(1)", "50%", 0.5),
    ("quantity({packet}/s)", "3 1/min", 0.05),
    ("quantity(J/(m2.s))", "1 W/m2", 1.0),
    ("quantity([degF])", "0 Cel", 32.0),
    ("url", "http://localhost:8086", "http://localhost:8086"),
    ("url", "nats+tls://[::1]:4222/a?b=c#d", "nats+tls://[::1]:4222/a?b=c#d"),
    ("url", "https://user@host/", "https://user@host/"),
    ("url", "https://u:${env.PW}@host/?t=${env.TOKEN}", "https://u:${env.PW}@host/?t=${env.TOKEN}"),
    ("secret", "env:TOKEN", "env:TOKEN"),
    ("secret", "file:/run/secrets/a b", "file:/run/secrets/a b"),
    ("schema", "sender.lock", "sender.lock"),
    ("schema", "sender.lock#/host#csv", "sender.lock#/host#csv"),
    ("instance", "csv", "csv"),
    ("list<int>", [1, 2], [1, 2]),
    ("list<instance>", ["a", "b.2"], ["a", "b.2"]),
    ("list<quantity(By/s)>", ["1kBy/s", "8 bit/s"], [1000.0, 1.0]),
    ("map<secret>", {"Authorization": "env:TOKEN"}, {"Authorization": "env:TOKEN"}),
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
    ("quantity(W)", 95),
    ("quantity(W)", "95"),
    ("quantity(W)", "W"),
    ("quantity(W)", ""),
    ("quantity(W)", "95 J"),
    ("quantity(W)", "95 watts"),
    ("quantity(W)", "95  "),
    ("quantity(W)", "95 .W"),
    ("quantity(W)", "1e999 GW"),
    ("quantity(W)", "1" * 200 + "W"),
    ("quantity(W)", "nan W"),
    ("url", "localhost:8086"),
    ("url", "http://"),
    ("url", "http:///path"),
    ("url", "http://host:port"),
    ("url", "http://host:65536"),
    ("url", "http://a b"),
    ("url", "http://user:pw@host"),
    ("url", "http://user:x${env.PW}@host"),
    ("url", 1),
    ("secret", "hunter2"),
    ("secret", "env:"),
    ("secret", "env:A-B"),
    ("secret", "file:"),
    ("secret", 12345),
    ("schema", ""),
    ("schema", "#/host"),
    ("schema", 1),
    ("instance", "Csv"),
    ("instance", "csv#two"),
    ("instance", 1),
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
        tried = {parse_type(type_)[1].partition("(")[0] for type_, _, _ in VALUES}
        assert tried | {"enum"} == set(language().words["option"])

    @pytest.mark.parametrize(
        "text",
        [
            "int>",
            "list<int",
            "list<list<int>>",
            "set<int>",
            "integer",
            "list<>",
            "quantity",
            "quantity(watt)",
            "int(W)",
            "quantity()",
            "list<quantity(W)",
            "map<quantity>",
        ],
    )
    def test_no_types(self, text: str) -> None:
        """A type is a word of the language, or a list or map of one."""
        with pytest.raises(ValueError, match=re.escape(text) if "watt" not in text else "watt"):
            parse_type(text)

    @pytest.mark.parametrize(
        ("type_", "raw", "fields", "relation"),
        [
            ("int", 1, {"min": 2}, "less than `2`"),
            ("int", 3, {"max": 2}, "more than `2`"),
            ("duration", "100us", {"min": "1ms"}, "less than `1ms`"),
            ("size", "2MB", {"max": "1MiB"}, "more than `1MiB`"),
            ("list<int>", [2, 1], {"min": 2}, "less than `2`"),
            ("quantity(W)", "1 kW", {"max": "900 W"}, "more than `900 W`"),
            ("quantity(W)", "1 mW", {"min": "0.01 W"}, "less than `0.01 W`"),
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

    @pytest.mark.parametrize(
        ("type_", "word", "array"),
        [
            ("list<int>", "1,2", "'[1,2]'"),
            ("list<metric>", "a,b{k=1|2,l=3}", """'["a", "b{k=1|2,l=3}"]'"""),  # none in braces
        ],
    )
    def test_a_list_in_one_word(self, type_: str, word: str, array: str) -> None:
        """Is meant where no value holds a comma, and how to write it is said."""
        with pytest.raises(OptionError) as error:
            from_words(option(type_), [word])
        assert error.value.facts["help"].endswith(array)

    def test_a_comma_in_braces_parts_nothing(self) -> None:
        """It is one of a selector."""
        assert from_words(option("list<metric>"), ["a{k=1,l=2}"]) == ["a{k=1,l=2}"]

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
        assert document["help"] == (
            'give it, such as `config.sink.path = "host.sink"` in a mount file, `path=host.sink` behind the plugin in '
            "a command (path: Where to)"
        )

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


class TestQuantity:
    """A number with a unit, in the unit that the plugin works in."""

    @pytest.mark.parametrize(
        ("raw", "help_"),
        [
            (95, 'write it with a unit, such as "95 W"'),
            ("95", 'write it with a unit, such as "95 W"'),
            ("high", 'write it with a unit, such as "10 W"'),
            ("95 watt", 'did you mean `W`? write it with a unit in UCUM\'s form, such as "10 W"'),
            ("95 kw", 'did you mean `kW`? write it with a unit in UCUM\'s form, such as "10 W"'),
            ("95 J", 'write it with a unit, such as "10 W"'),
        ],
    )
    def test_what_to_write(self, raw: object, help_: str) -> None:
        """The number that was given is kept, a word that is nearly a unit is asked about."""
        with pytest.raises(OptionError) as error:
            canonical(option("quantity(W)"), raw)
        assert error.value.facts["help"] == help_

    @given(
        st.fractions(-(10**6), 10**6, max_denominator=1000).map(float),
        st.sampled_from([("W", 1), ("kW", 1000), ("mW", 1e-3), ("J/s", 1), ("kJ/h", 1 / 3.6), ("GW", 1e9)]),
        st.sampled_from(["", " ", "  "]),
    )
    @steady
    def test_conversion(self, number: float, unit: tuple[str, float], blanks: str) -> None:
        """The value is the number times the factor of its unit."""
        value = canonical(option("quantity(W)"), f"{number!r}{blanks}{unit[0]}")
        assert value == pytest.approx(number * unit[1], rel=1e-12)

    @given(st.floats(allow_nan=False, allow_infinity=False))
    @steady
    def test_what_is_shown_is_read(self, number: float) -> None:
        """An explanation shows a value that a mount file could have."""
        text = tomllib.loads(f"x = {written(number, 'quantity(J/(m2.s))')}")["x"]
        assert canonical(option("quantity(J/(m2.s))"), text) == number

    def test_constraints_compare_in_base_units(self) -> None:
        """Watts and kilowatts, and a power times a time with an energy."""
        text = source(
            "p",
            more='require = ["config.power * config.interval <= config.energy", "config.power <= 2 kW"]\n'
            'config.power = { type = "quantity(mW)", default = "1 W" }\n'
            'config.energy = { type = "quantity(kJ)", default = "1 J" }\n',
        )
        assert codes(run("p sink", text, SINK)) == []
        document = one(run("p sink", text, SINK, more='config.p.interval = "2s"\n'), "E-CONSTRAINT")
        assert "`energy` is `0.001 kJ` and `interval` is `2s` and `power` is `1000 mW`" in document["message"]
        kilo = run("p sink", text, SINK, more='config.p = { power = "3kW", energy = "9GJ" }\n')
        assert "demands `config.power <= 2 kW`" in one(kilo, "E-CONSTRAINT")["message"]

    def test_guards(self) -> None:
        """A table that exists for one value exists for the same value in another unit."""
        text = source("p", metric("p.a", more='when = { cap = "1 kW" }\n'), metric("p.b"), more=
            'config.cap = { type = "quantity(W)", default = "5 W" }\n')  # fmt: skip
        assert "p.a" not in str(run("p sink", text, SINK).plan)
        assert "p.a" in str(run("p sink", text, SINK, more='config.p.cap = "1000000 mW"\n').plan)


class TestSecret:
    """What nobody shall see is in no file, no plan and no message."""

    TEXT = source(
        "p",
        more='config.token = { type = "secret", default = "env:TOKEN" }\n'
        'config.headers = { type = "map<secret>", default = {} }\n'
        'config.url = { type = "url", default = "http://h" }\n',
    )

    @pytest.mark.parametrize(
        "more",
        [
            'config.p.token = "hunter2"\n',
            "config.p.token = 4711\n",
            'config.p.headers = { A = "env:X", B = "hunter2" }\n',
            'config.p.headers = ["hunter2"]\n',
            'config.p.url = "http://me:hunter2@host"\n',
            'config.p.url = "hunter2"\n',
            'config.p.tokn = "hunter2"\n',
        ],
    )
    def test_a_literal_is_refused_and_not_shown(self, more: str) -> None:
        """Neither its text nor its line."""
        result = run("p sink", self.TEXT, SINK, more=more)
        (diagnostic,) = result.diagnostics
        document = diagnostic.to_json()
        assert document["code"] in ("E-CONFIG-TYPE", "E-CONFIG-UNKNOWN")
        assert document["spans"][0]["hidden"] is True
        assert "hunter2" not in str(document)
        assert "4711" not in str(document)

    @pytest.mark.parametrize(
        "words",
        [["token=hunter2"], ["headers=A=hunter2"], ["headers=hunter2"], ["headers={ A = hunter2 }"], ["url=hunter2"]],
    )
    def test_words(self, words: list[str]) -> None:
        """Nor those of a command line."""
        request, found = request_from_words("/host", ["p", *words, "sink"], ["meter", "mount", "/host"])
        assert request is not None, found
        (diagnostic,) = check(request, catalogue(self.TEXT, SINK), Assumed()).diagnostics
        assert "hunter2" not in str(diagnostic.to_json())
        assert diagnostic.spans[0].hidden

    @given(
        st.sampled_from(["secret", "list<secret>", "map<secret>", "url", "list<url>", "map<url>"]),
        st.text(alphabet="abcXYZ019 :/@#?{}[]=.$_-", max_size=12).map(lambda text: f"zq{text}qz"),
        st.integers(0, 3),
    )
    @steady
    def test_no_text_is_ever_shown(self, type_: str, text: str, shape: int) -> None:
        """Whatever it is put into, as a value or as a word of the command line."""
        raw = [text, [text], {"a": text}, {"a": [text]}][shape]
        values: list[Callable[[Option], object]] = [
            lambda _: raw,
            lambda each: from_words(each, [text]),
            lambda each: from_words(each, ["a", text]),
        ]
        problems: list[OptionError] = []
        for value in values:
            try:
                canonical(option(type_), value(option(type_)))
            except OptionError as error:
                problems.append(error)
        for problem in problems:
            facts = {"option": "o", "instance": "i", **problem.facts}
            said = Diagnostic(code=problem.code, facts=facts, variant=problem.variant)
            assert problem.hidden
            assert text not in said.message + said.help + said.text("label")

    def test_a_plan_has_the_reference(self) -> None:
        """So has what explains it."""
        plan = run("p sink", self.TEXT, SINK, more='config.p.url = "http://u:${env.PW}@h"\n').require()
        assert plan.document["plugins"][0]["config"]["token"] == "env:TOKEN"
        assert plan.document["plugins"][0]["config"]["url"] == "http://u:${env.PW}@h"

    def test_a_variable_that_is_not_set(self) -> None:
        """Whoever starts meter has to set it; asked for in a default, too."""
        facts = Recorded({("environment", "TOKEN"): "unset TOKEN"})
        document = one(run("p sink", self.TEXT, SINK, host=facts), "E-HOST")
        assert document["message"] == "`p` cannot work on this host: the environment variable `TOKEN` is not set"
        assert pointed(document, "p sink") == '"p"'

    @pytest.mark.parametrize(
        ("option_", "at"),
        [('url = "http://u:${env.PW}@h"', '"http://u:${env.PW}@h"'), ('headers = { A = "env:PW" }', '"env:PW"')],
    )
    def test_the_place_is_shown(self, option_: str, at: str) -> None:
        """A reference is no secret."""
        more = f"config.p.{option_}\n"
        facts = Recorded({("environment", "TOKEN"): "", ("environment", "PW"): "unset PW"})
        document = one(run("p sink", self.TEXT, SINK, more=more, host=facts), "E-HOST")
        assert pointed(document, "p sink", more) == at

    def test_a_file(self) -> None:
        """It has to be one that can be read."""
        more = 'config.p.token = "file:/run/token"\n'
        facts = Recorded({("read", "/run/token"): "unreadable /run/token"})
        document = one(run("p sink", self.TEXT, SINK, more=more, host=facts), "E-PATH")
        assert document["message"] == "`token` of `p` is `/run/token`, but `/run/token` cannot be read"

    def test_a_contract_holds_none(self) -> None:
        """Everybody can read it."""
        text = source("p", more='config.token = { type = "secret", default = "hunter2" }\n')
        (diagnostic,) = faults(text)
        assert diagnostic.code == "E-CONFIG-TYPE"
        assert "hunter2" not in str(diagnostic.to_json())
        assert diagnostic.spans[0].hidden


class TestInstance:
    """A label of the same backend."""

    TEXT = output(
        "spool",
        more='config.for = { type = "list<instance>" }\nconfig.one = { type = "instance", default = "probe" }\n',
    )

    def check(self, more: str) -> Checked:
        """A backend with the spool for something."""
        return run("probe sink sink#two spool", source(), SINK, self.TEXT, more=more)

    def test_there(self) -> None:
        """Labels as the request gives them."""
        assert codes(self.check('config.spool.for = ["sink", "two"]\n')) == []

    def test_not_there(self) -> None:
        """The nearest labels are asked about."""
        more = 'config.spool.for = ["sink", "tow"]\n'
        document = one(self.check(more), "E-CONFIG-RANGE")
        assert document["message"] == "`for` of `spool` is `tow`, not one of `probe`, `sink`, `spool`, `two`"
        assert document["help"].startswith("did you mean `two`?")
        assert pointed(document, "probe sink sink#two spool", more) == '"tow"'

    def test_a_default_that_is_not_there(self) -> None:
        """The instance whose default it is is shown."""
        text = output("spool", more='config.one = { type = "instance", default = "nobody" }\n')
        document = one(run("probe sink spool", source(), SINK, text), "E-CONFIG-RANGE")
        assert pointed(document, "probe sink spool") == '"spool"'

    @pytest.mark.parametrize("type_", ["secret", "url", "instance", "str", "path", "list<url>", "bool", "metric"])
    def test_only_what_has_an_order_has_bounds(self, type_: str) -> None:
        """Words are no numbers."""
        values = {"list<url>": '["http://a"]', "bool": "true", "secret": '"env:A"', "url": '"http://a"'}
        default = values.get(type_, '"a"')
        text = source("p", more=f'config.x = {{ type = "{type_}", default = {default}, min = "a" }}\n')
        (diagnostic,) = faults(text)
        assert diagnostic.code == "E-CLAUSE-TYPE"
        assert diagnostic.clause == "config.*.min"
