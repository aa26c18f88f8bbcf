"""The reader: whatever the bytes, the answer is a contract or diagnostics that point at the place."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.editing.edits import applied
from meter.contracts.language import language
from meter.contracts.reader import read
from tests.contracts.build import at, contract, faults, head, metric, output, rule, shown, source

FILE = "contract.toml"
steady = settings(derandomize=True, database=None, deadline=None, max_examples=200)

FULL = """contract = 1
name = "full"
version = "1.2.3"
interface = ">=1,<2"
placement = "source"
summary = "Everything a source can say"
author = "A <a@example.org>"
licence = "BSD-3-Clause"
status = ["maintained", "unittest"]
require = ["config.interval >= 1ms", "count(config.disks) <= 9"]
x-note = { any = ["thing"] }

[exports]
plugin = "plugin:Full"

[provides.capabilities]
"counter.energy" = "1.0"

[[provides.metrics]]
name = "hw.${config.disks}.energy"
summary = "Energy"
type = "f64"
unit = "J"
kind = "delta"
resource = ["cpu_package"]
attributes = { domain = ["package", "core"], device = "${config.disks}", free = "str" }
quality = "estimated"

[[provides.metrics]]
name = "hw.power"
when = { interval = ["1s", "2s"], deep = true }
type = "f64"
unit = "W"
kind = "gauge"
resource = ["machine"]
additive = true

[needs.capabilities]
other = ">=1,<3"

[[needs.host]]
name = "procfs"
readable = ["/proc/stat"]

[ordering]
before = ["csv"]

[config.interval]
type = "duration"
default = "1s"
min = "1ms"
[config.disks]
type = "list<str>"
default = ["sda"]
summary = "Which"
[config.deep]
type = "bool"
default = false
"""
RULES = """name = "rules"
version = "1.0.0"
placement = "filter"
[[needs.metrics]]
metric = "${config.metrics}"
when = { how = ["a"] }
type = ["f64"]
kind = ["delta"]
unit = "J"
resource = ["machine"]
consumer = ["machine"]
attributes = ["domain"]
additive = true
require = ["config.window >= 2 * interval"]
keeps = false
gives = { name = "${metric}.mean", type = "f64", unit = "${unit}/s", kind = "gauge", additive = false }
[config]
metrics = { type = "list<metric>", default = ["*"] }
window = { type = "duration", default = "1min" }
how = { type = "enum", values = ["a", "b"], default = "a" }
path = { type = "path", default = "/dev/null", access = "write" }
"""


def only(text: str, code: str) -> dict[str, object]:
    """The only error of a text, as JSON."""
    found = [diagnostic for diagnostic in faults(text) if diagnostic.level == "error"]
    assert [code] == [diagnostic.code for diagnostic in found], [d.message for d in found]
    return shown(found[0])


def test_full_contracts_are_read() -> None:
    """What the language has can be said, and nothing is warned of."""
    assert not faults(FULL)
    assert {"W-CLAUSE-MISSING"} == {diagnostic.code for diagnostic in faults(RULES)}
    read_ = contract(FULL)
    assert read_.provides.metrics[1].when == {"interval": ["1s", "2s"], "deep": True}
    assert contract(RULES).needs.metrics[0].gives is not None


def test_a_first_plugin_needs_three_clauses_and_a_metric() -> None:
    """Everything else has a default; what a reader would miss is a warning."""
    text = 'name = "p"\nversion = "1.0.0"\nplacement = "source"\n' + metric("p.value")
    (warning,) = faults(text)
    assert warning.code == "W-CLAUSE-MISSING"
    assert all(word in warning.message for word in ("`summary`", "`author`", "`licence`"))
    assert contract(text).config["interval"].default == "1s"
    assert contract(text).exports == {"plugin": "plugin:Plugin"}


class TestPlaces:
    """A fault and the place that it is said at."""

    @pytest.mark.parametrize(
        ("old", "new", "code", "pointed"),
        [
            ('unit = "J"', 'unit = "joules"', "E-CLAUSE-TYPE", '"joules"'),
            ('kind = "delta"', 'kind = "deltas"', "E-CLAUSE-TYPE", '"deltas"'),
            ('type = "f64"\nunit = "J"', 'type = "float"\nunit = "J"', "E-CLAUSE-TYPE", '"float"'),
            ('resource = ["cpu_package"]', 'resource = ["machine", "cpu"]', "E-CLAUSE-TYPE", '"cpu"'),
            ('version = "1.2.3"', "version = 1", "E-CLAUSE-TYPE", "1"),
            ('name = "full"', 'name = "Full"', "E-NAME", '"Full"'),
            ('placement = "source"', 'placement = "sauce"', "E-PLACEMENT-UNKNOWN", '"sauce"'),
            ('"unittest"]', '"unitest"]', "E-STATUS-UNKNOWN", '"unitest"'),
            ('"counter.energy" = "1.0"', '"counter.energy" = "one"', "E-CLAUSE-TYPE", '"one"'),
            ('other = ">=1,<3"', 'other = "1"', "E-CLAUSE-TYPE", '"1"'),
            ('plugin = "plugin:Full"', 'plugin = "plugin.Full"', "E-CLAUSE-TYPE", '"plugin.Full"'),
            ('summary = "Which"', "sumary = 1", "E-CLAUSE-UNKNOWN", "sumary"),
            ('before = ["csv"]', 'befor = ["csv"]', "E-CLAUSE-UNKNOWN", "befor"),
            ("additive = true", 'additive = "true"', "E-CLAUSE-TYPE", '"true"'),
            ("additive = true", "additiv = true", "E-CLAUSE-UNKNOWN", "additiv"),
            ('default = "1s"', 'default = "1"', "E-CONFIG-TYPE", '"1"'),
            ('default = "1s"', 'default = "1us"', "E-CONFIG-RANGE", '"1us"'),
            ('min = "1ms"', "min = 1", "E-CONFIG-TYPE", "1"),
            ("deep = true", "dep = true", "E-CONFIG-UNKNOWN", "dep"),
            ("deep = true", "deep = 1", "E-CONFIG-TYPE", "1"),
            ('device = "${config.disks}"', 'device = "${config.deep}"', "E-CLAUSE-TYPE", "deep"),
            ('device = "${config.disks}"', 'device = "${config.disk}"', "E-CONFIG-UNKNOWN", "disk"),
            ("hw.${config.disks}.energy", "hw.${config.deep}.energy", "E-CLAUSE-TYPE", "deep"),
            ("hw.${config.disks}.energy", "hw {.energy", "E-CLAUSE-TYPE", '"hw {.energy"'),
            ("count(config.disks)", "count(config.disk)", "E-CONFIG-UNKNOWN", "disk"),
            ("count(config.disks)", "count(config.deep)", "E-CLAUSE-TYPE", "deep"),
            ("config.interval >= 1ms", "config.deep >= 1", "E-CLAUSE-TYPE", "deep"),
            ("config.interval >= 1ms", "config.interval => 1", "E-CLAUSE-TYPE", '"config.interval => 1"'),
            ('interface = ">=1,<2"', 'interface = ">=2"', "E-INTERFACE", '">=2"'),
            ("contract = 1", "contract = 7", "E-INTERFACE", "7"),
            ('"core"], device', "7], device", "E-CLAUSE-TYPE", "7"),
            ('free = "str" }', 'free = "str" }\nparts = { domain = { core = "all" } }', "E-CLAUSE-TYPE", '"all"'),
            ('free = "str" }', 'free = "str" }\nparts = { domain = { cor = "package" } }', "E-CLAUSE-TYPE", "cor"),
            ("before = [", "durability = 1\n[x-y]\nbefore = [", "E-CLAUSE-UNKNOWN", "durability"),
        ],
    )
    def test_a_fault_is_said_once_at_the_smallest_place(self, old: str, new: str, code: str, pointed: str) -> None:
        """One wrong word in a long contract gives one diagnostic that points at that word."""
        text = FULL.replace(old, new, 1)
        assert text != FULL
        assert pointed == at(only(text, code), text, file=FILE)

    def test_what_a_contract_lacks_that_has_no_table_for_it_is_said_at_its_name(self) -> None:
        """Not at the first character of its text."""
        text = re.sub(r"(?s)\[\[provides\.metrics\]\].*?(?=\[needs)", "", FULL).replace(
            "[provides.capabilities]", "[x-y]"
        )

        assert at(only(text, "E-CLAUSE-MISSING"), text, file=FILE) == '"full"'

    def test_a_table_among_tables_is_pointed_at(self) -> None:
        """What is none of them, and not all."""
        text = output("sink", more='needs.metrics = [{ metric = "*" }, 7]')

        assert at(only(text, "E-CLAUSE-TYPE"), text, file=FILE) == "7"

    def test_a_misspelt_option_is_mended_where_it_is_put_in(self) -> None:
        """Its name, within the text."""
        (fault,) = faults(FULL.replace("hw.${config.disks}.energy", "hw.${config.disk}.energy"))

        assert fault.edit is not None
        assert (
            applied(FULL.replace("hw.${config.disks}.energy", "hw.${config.disk}.energy"), fault.edit.changes) == FULL
        )

    @pytest.mark.parametrize(
        ("old", "new", "code", "pointed"),
        [
            ('"${metric}.mean"', '"${metrik}.mean"', "E-CLAUSE-TYPE", '"${metrik}.mean"'),
            ('"${unit}/s"', '"${unit}/sec"', "E-CLAUSE-TYPE", '"${unit}/sec"'),
            ('metric = "${config.metrics}"', 'metric = "${config.how}"', "E-CLAUSE-TYPE", "how"),
            ('metric = "${config.metrics}"', 'metric = "a b"', "E-CLAUSE-TYPE", '"a b"'),
            ('metric = "${config.metrics}"', 'metric = "*{unit=joules}"', "E-CLAUSE-TYPE", '"*{unit=joules}"'),
            ('metric = "${config.metrics}"', 'metric = "*{kind=gague}"', "E-CLAUSE-TYPE", '"*{kind=gague}"'),
            ('how = ["a"]', 'how = ["c"]', "E-CONFIG-RANGE", '"c"'),
            ("config.window >= 2", "config.windw >= 2", "E-CONFIG-UNKNOWN", "windw"),
            ("keeps = false", "keep = false", "E-CLAUSE-UNKNOWN", "keep"),
            ('values = ["a", "b"], ', "", "E-CLAUSE-MISSING", "how"),
            ('type = "duration"', 'type = "duration", access = "read"', "E-CLAUSE-TYPE", '"read"'),
            ('default = "1min"', 'default = "1min", max = "1s", min = "1h"', "E-CONFIG-RANGE", '"1h"'),
            ('default = ["*"]', 'default = ["*{unit=joules}"]', "E-CONFIG-TYPE", "joules"),
        ],
    )
    def test_rules_point_as_well(self, old: str, new: str, code: str, pointed: str) -> None:
        """The clauses of filters are judged like those of sources."""
        text = RULES.replace(old, new, 1)
        assert text != RULES
        assert pointed == at(only(text, code), text, file=FILE)

    @pytest.mark.parametrize("name", ["name", "version", "placement"])
    def test_a_missing_clause(self, name: str) -> None:
        """What is obligatory is named where it is missing."""
        text = re.sub(rf"(?m)^{name} = .*\n", "", FULL, count=1)
        document = only(text, "E-CLAUSE-MISSING")
        assert f"`{name}`" in str(document["message"])
        assert at(document, text, file=FILE) == ("c" if name == "name" else '"full"')

    @pytest.mark.parametrize("name", ["type", "unit", "kind", "resource"])
    def test_a_missing_clause_of_a_metric(self, name: str) -> None:
        """In a table the table is pointed at."""
        text = re.sub(rf"(?m)^{name} = .*\n", "", FULL, count=1)
        assert at(only(text, "E-CLAUSE-MISSING"), text, file=FILE) == "[[provides.metrics]]"

    def test_a_source_without_metrics(self) -> None:
        """A source says what it emits."""
        document = only(head("p", "source"), "E-CLAUSE-MISSING")
        assert "`provides.metrics`" in str(document["message"])

    def test_all_errors_of_a_contract_are_said_at_once(self) -> None:
        """Nobody mends a contract one run for each fault."""
        text = FULL.replace('unit = "J"', 'unit = "j"').replace('"W"', '"watt"').replace("1.2.3", "1")
        places = [diagnostic.spans[0].line for diagnostic in faults(text)]
        assert len(places) == 3
        assert len(set(places)) == 3

    def test_nearest_names_are_offered(self) -> None:
        """A slip is answered with the name that was meant."""
        found = [d for d in faults(FULL.replace("placement =", "placment =")) if d.code == "E-CLAUSE-UNKNOWN"]
        assert "did you mean `placement`?" in found[0].help

    @pytest.mark.parametrize("placement", ["no", "yes", "lint"])
    def test_a_placement_called_like_a_word_of_the_language(self, placement: str) -> None:
        """Only the placement is wrong then, and no clause becomes obligatory by it."""
        text = FULL.replace('"source"', f'"{placement}"')
        assert at(only(text, "E-PLACEMENT-UNKNOWN"), text, file=FILE) == f'"{placement}"'

    @pytest.mark.parametrize("value", ["[]", "{}", "1", "true", "1979-05-27", '["source"]', "inf"])
    @pytest.mark.parametrize("clause", [c.name for c in language().children(())])
    def test_any_type_in_any_clause(self, clause: str, value: str) -> None:
        """A value of another type is a diagnostic or what the clause takes, never an exception."""
        lines = [line for line in source("p").splitlines() if not line.startswith(f"{clause} ")]
        read(f"{clause} = {value}\n".encode() + "\n".join(lines).encode(), FILE)


def test_a_name_with_x_is_free_everywhere() -> None:
    """`x-…` may stand in every table and changes nothing."""
    text = source("p", metric("p.value", more="x-y = [1, { z = 2 }]\n"), more="x-a = 1\nx-b = { c = 2 }\n")
    assert not faults(text)
    assert contract(text).digest == contract(source("p")).digest


def test_a_list_option_is_bounded_by_items() -> None:
    """`min` and `max` of a list are of the items' type, and a wrong one is the contract's fault."""
    text = source("p", more='config.depths = { type = "list<int>", default = [], min = "one" }\n')
    assert at(only(text, "E-CONFIG-TYPE"), text, file=FILE) == '"one"'


def test_interval_of_a_source_is_a_duration() -> None:
    """The engine polls by it."""
    text = source("p", more='config.interval = { type = "int", default = 1 }\n')
    assert at(only(text, "E-CLAUSE-TYPE"), text, file=FILE) == '"int"'


class TestDigest:
    """What a digest covers."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("Everything a source can say", "Some"),
            ("A <a@example.org>", "B"),
            ('version = "1.2.3"', 'version = "2.0.0"'),
            ('summary = "Which"', 'summary = "What"'),
            ('summary = "Energy"\n', ""),
            ('"BSD-3-Clause"', '"MIT"'),
            ('x-note = { any = ["thing"] }\n', ""),
        ],
    )
    def test_prose_does_not_count(self, old: str, new: str) -> None:
        """What no mount depends on leaves the digest as it is."""
        assert old in FULL
        assert contract(FULL).digest == contract(FULL.replace(old, new, 1)).digest

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('unit = "J"', 'unit = "kJ"'),
            ('kind = "delta"', 'kind = "counter"'),
            ("additive = true", "additive = false"),
            ('"package", "core"', '"package"'),
            ('default = "1s"', 'default = "2s"'),
            ('"1.0"', '"1.1"'),
            (">=1,<3", ">=1,<4"),
            ("/proc/stat", "/proc/cpuinfo"),
            ('before = ["csv"]', "before = []"),
            ("plugin:Full", "plugin:Other"),
            ('quality = "estimated"', ""),
            ("deep = true", "deep = false"),
            ('"maintained", ', ""),  # another choice at the next mount
            (">=1,<2", ">=1"),
        ],
    )
    def test_meaning_counts(self, old: str, new: str) -> None:
        """What a mount was checked with is covered."""
        assert old in FULL
        assert contract(FULL).digest != contract(FULL.replace(old, new, 1)).digest

    def test_the_order_of_tables_does_not_count(self) -> None:
        """Tables and keys may be sorted as one likes."""
        a, b = metric("a"), metric("b", more='attributes = { x = ["1"], y = ["2"] }')
        c = metric("b", more='attributes = { y = ["2"], x = ["1"] }')
        assert contract(source("p", a, b)).digest == contract(source("p", c, a)).digest

    def test_the_order_of_rules_counts(self) -> None:
        """The first rule that selects a part applies."""
        a, b = rule("a"), rule("*")
        assert contract(output("p", a, b)).digest != contract(output("p", b, a)).digest


ODD = ("[]", "{}", "nan", "-1", "0x7fff", "1979-05-27", '"${config.x}"', '"\\u0000"', "'''", "é", "[[", "]]")
WORDS = st.sampled_from([*re.findall(r'"[^"\n]*"|[\w.-]+|[\[\]{}=,]', FULL + RULES), *ODD])


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A valid contract with some lines deleted, doubled or moved and some words changed."""
    lines = draw(st.sampled_from([FULL, RULES])).split("\n")
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["delete", "double", "move", "word", "word", "word", "value", "value"])):
            case "delete":
                del lines[place]
            case "double":
                lines.insert(place, lines[place])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
            case "word":
                words = re.findall(r'"[^"\n]*"|[\w.-]+|\s+|.', lines[place]) or [""]
                words[draw(st.integers(0, len(words) - 1))] = draw(WORDS)
                lines[place] = "".join(words)
            case "value":
                name, equals, _ = lines[place].partition("=")
                lines[place] = name + equals + draw(WORDS)
        lines = lines or [""]
    return "\n".join(lines)


def judged(data: bytes, file: str) -> None:
    """A contract without error, or errors that are complete; and the same answer again."""
    result = read(data, file)
    errors = [diagnostic for diagnostic in result.diagnostics if diagnostic.level == "error"]
    assert (result.contract is None) == bool(errors)
    for diagnostic in result.diagnostics:
        shown(diagnostic)
    assert result.diagnostics == read(data, file).diagnostics


class TestFuzz:
    """Texts that nobody wrote."""

    @given(st.binary(max_size=200))
    @steady
    def test_any_bytes(self, data: bytes) -> None:
        """Reading is a total function of bytes, as a file and as a script."""
        judged(data, FILE)
        judged(b"# /// meter\n# " + data.replace(b"\n", b"\n# ") + b"\n# ///\n", "p.py")

    @given(mutations())
    @settings(steady, max_examples=600)
    def test_any_slip_in_a_contract(self, text: str) -> None:
        """Deleted, doubled, moved and changed lines give a contract or diagnostics, nothing else."""
        judged(text.encode(), FILE)

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
    @steady
    def test_any_default(self, value: object) -> None:
        """`default` takes any TOML value of the option's type, and says so of any other."""
        text = str(value).replace("'", '"').replace("None", "{}").replace("True", "true").replace("False", "false")
        for type_ in ("int", "list<int>", "str", "map<duration>", "unit", "metric"):
            judged((source("p") + f'[config.x]\ntype = "{type_}"\ndefault = {text}\n').encode(), FILE)
