"""Replacing one version of a contract by another: every clause is decided, every rule is true of its example."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from meter.contracts.host import Recorded
from meter.contracts.language import Clause, language
from meter.contracts.replacement import lattices, releases, rulebook
from meter.contracts.replacement.compatibility import Comparison, compare
from meter.contracts.replacement.facts import _FACTS, MountFacts
from meter.contracts.replacement.rulebook import DiffRule
from tests import vectors
from tests.contracts import build
from tests.contracts.build import contract
from tests.contracts.test_language import BASE, METRIC, merged, toml
from tests.vectors import compatibility

CASES = json.loads((Path(__file__).parents[1] / "data" / "compatibility-cases.json").read_text(encoding="utf-8"))
STEPS = {"equal": "patch", "subtype": "minor", "compatible-here": "minor", "behaviour": "major", "breaking": "major"}


def text(example: str) -> str:
    """An example put over a small contract, as text."""
    above = tomllib.loads(example)
    below = tomllib.loads(BASE)
    if above.get("placement", "source") == "source":
        below["provides"] = {"metrics": METRIC}
    return "".join(f"{key} = {toml(value)}\n" for key, value in merged(below, above).items())


METRIC_A = 'name = "demo.a", type = "f64", unit = "1", kind = "gauge"'


def metrics(*tables: str) -> str:
    """A source with these metrics."""
    return f"provides.metrics = [{', '.join(f'{{ {METRIC_A}, {table} }}' for table in tables)}]\n"


def filter_(rule: str, more: str = "") -> str:
    """A filter with one rule."""
    return f'placement = "filter"\nneeds.metrics = [{{ {rule} }}]\n{more}'


def between(old: str, new: str, mount: MountFacts | None = None) -> Comparison:
    """What two examples differ in."""
    return compare(contract(text(old)), contract(text(new)), mount)


def rules(found: Comparison) -> list[str]:
    """The rules of all changes, the worst first."""
    return [change.rule.name for change in found.changes]


# ------------------------------------------------------------------------------------------------------- the language


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["id"])
def test_case(case: dict[str, Any]) -> None:
    """The class that the case states, and the step that it owes."""
    assert compatibility.run(case, CASES["bases"]) == []


def test_the_command_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tests.vectors FILE`: a case that fails says what came instead and by which rules, exit 1."""
    wrong = {**CASES["cases"][0], "id": "wrong", "class": "breaking"}
    unread = {**CASES["cases"][0], "id": "unread", "new": {"name": 3}}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({**CASES, "cases": [CASES["cases"][0], wrong, unread]}), encoding="utf-8")

    assert vectors.main([str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["compat-01: passed", "wrong: failed: equal (text-changed) instead of breaking"]
    assert lines[2].startswith("unread: failed: ValueError: the new contract has a clause of another type")


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("provides.capabilities.cpu.freq@", ["provides", "capabilities", "cpu.freq"]),
        ("provides.metrics.0.attributes.cpu.mode@", ["provides", "metrics", "0", "attributes", "cpu.mode"]),
        ("recommends.a.b@", ["recommends", "a.b"]),
        ("needs.capabilities.a@", ["needs", "capabilities", "a"]),
    ],
)
def test_a_path_with_dots_in_its_last_key(path: str, keys: list[str]) -> None:
    """Also where the table that the key belongs to is not there yet."""
    document: dict[str, Any] = compatibility.changed({"provides": {"metrics": [{}]}}, {path: "x"})
    for key in keys[:-1]:
        document = document[int(key)] if isinstance(document, list) else document[key]
    assert document == {keys[-1]: "x"}


def test_classes_owe_the_steps_that_the_cases_say() -> None:
    """What a class owes is the same here and there."""
    assert {word: rulebook.step_of(word) for word in language().values("class")} == STEPS


@pytest.mark.parametrize("clause", language().clauses.values(), ids=lambda clause: clause.name)
class TestClause:
    """Each clause of CONTRACT.ini."""

    def test_its_words_are_there(self, clause: Clause) -> None:
        """Variance and lattice are sections, and the lattice is one that is compared."""
        assert clause.variance in language().words["variance"]
        assert clause.lattice in language().words["lattice"]
        assert clause.type == "table" or clause.lattice in {*lattices.COMPARE, *WHOLE}

    def test_each_outcome_has_a_rule_and_a_class(self, clause: Clause) -> None:
        """Nothing that can become of a clause is left to a rule for anything."""
        if not says_something(clause):
            return
        for outcome in rulebook.outcomes(clause):
            rule = rulebook.rule_of(clause, outcome)
            assert rule.name != rulebook.FALLBACK, outcome
            assert rulebook.level_of(clause, outcome) in language().words["class"]


WHOLE = {"table", "shapes", "rules", "alternatives", "options", "option-type", "default", "kinds", "apart"}
"""Lattices that need more than two values."""


@pytest.mark.parametrize("rule", rulebook.book().values(), ids=lambda rule: rule.name)
class TestRule:
    """Each section [rule ...]."""

    def test_is_about_clauses_and_outcomes_that_there_are(self, rule: DiffRule) -> None:
        """With a class, and with the fact of a mount that is known to be asked."""
        clauses = [language().clauses[tuple(name.split("."))] for name in rule.clauses]
        for clause in clauses:
            assert set(rule.change) & set(rulebook.outcomes(clause)), clause.name
        assert {change for clause in clauses for change in rulebook.outcomes(clause)} >= set(rule.change)
        assert rule.here in {"", *_FACTS}
        assert not rule.level or rule.level in language().words["class"]

    def test_its_texts_are_whole(self, rule: DiffRule) -> None:
        """Every fact is one that changes have, and no text ends in a stop."""
        facts = dict.fromkeys(("of", "clause", "name", "old", "new"), "x")
        for said in (rule.text(facts), rule.help(facts)):
            assert said
            assert "${" not in said
            assert not said.endswith(".")

    def test_its_example_differs_by_it_alone(self, rule: DiffRule) -> None:
        """One way it is this rule, and only this; the same contract twice is equal."""
        if rule.name == rulebook.FALLBACK:
            return
        says = language().words["rule"][rule.name]
        old, new = (says.get(f"example.{side}", "") for side in ("old", "new"))
        if "schema" in old and "schema" not in language().words["option"]:
            pytest.skip("no option has this type yet")
        found = between(old, new)
        assert rules(found) == [rule.name]
        clause = language().clauses[tuple(found.changes[0].clause.split("."))]
        assert found.level == rulebook.level_of(clause, found.changes[0].outcome.change)
        assert found.owed == STEPS[found.level]
        assert rules(between(old, old)) == rules(between(new, new)) == []


def without(document: Any, path: tuple[str, ...]) -> Any:
    """A document without what stands at a clause's path, in every table of a list and under every name."""
    if isinstance(document, list):
        return [without(entry, path) for entry in document]
    if not isinstance(document, dict):
        return document
    if len(path) == 1:
        return {key: value for key, value in document.items() if key != path[0]}
    return {key: without(value, path[1:]) if path[0] in ("*", key) else value for key, value in document.items()}


UNSHOWN = [
    # Clauses whose example is their default, and which no rule has as its own example.
    (filter_('metric = "*", gives = { name = "x", merge = "max", drop = ["resource"] }'),
     filter_('metric = "*", gives = { name = "x", merge = "max" }')),
    (metrics('resource = ["gpu"]'), metrics('resource = ["gpu"], host = { capability = ["CAP_PERFMON"] }')),
    (metrics('resource = ["gpu"]'), metrics('resource = ["gpu"], host = { library = ["libx.so.1"] }')),
]  # fmt: skip


def test_no_clause_changes_in_silence() -> None:
    """Whatever clause is stated, changed or left out, some change says so: by examples, both ways."""
    pairs = [(says.get("example.old", ""), says.get("example.new", "")) for says in language().words["rule"].values()]
    texts = [(text(old), text(new)) for old, new in (*pairs, *UNSHOWN)]
    for clause in language().clauses.values():
        whole = text(clause.passes)
        bare = without(tomllib.loads(whole), clause.path)
        texts.append((whole, "".join(f"{key} = {toml(value)}\n" for key, value in bare.items())))
    said = {"contract"}  # of the version of the language there is but one
    for one, other in texts:
        if any(diagnostic.level == "error" for each in (one, other) for diagnostic in build.faults(each)):
            continue  # without an obligatory clause
        old, new = contract(one), contract(other)
        said |= {change.clause for change in (*compare(old, new).changes, *compare(new, old).changes)}
    assert {clause.name for clause in language().clauses.values() if says_something(clause)} - said == set()


def says_something(clause: Clause) -> bool:
    """Whether a clause can change by itself; of some tables only the clauses below can."""
    return bool(rulebook.outcomes(clause)) and (clause.type != "table" or clause.lattice != "one")


def test_every_fact_of_a_mount_is_asked_by_some_rule() -> None:
    """What nobody asks would never be known."""
    assert set(_FACTS) == {rule.here for rule in rulebook.book().values()} - {""} == set(language().words["fact"])


def test_every_lattice_is_the_one_of_some_clause() -> None:
    """And its outcomes are said once each."""
    assert {clause.lattice for clause in language().clauses.values()} == set(language().words["lattice"])
    for name, says in language().words["lattice"].items():
        outcomes = [word for side in rulebook.SIDES for word in says.get(side, "").split()]
        assert len(outcomes) == len(set(outcomes)), name


def test_the_outcomes_in_the_code_are_those_of_the_lattices() -> None:
    """No outcome can come up that no lattice has."""
    known = {
        word
        for says in language().words["lattice"].values()
        for s in rulebook.SIDES
        for word in says.get(s, "").split()
    }
    for module in ("lattices", "pairing", "compatibility"):
        source = (Path(lattices.__file__).parent / f"{module}.py").read_text(encoding="utf-8")
        said = set(re.findall(r'Outcome\(\s*"([a-z]+)"', source)) | set(
            re.findall(r'change(?: |=)= ?"([a-z]+)"', source)
        )
        assert said <= known, module


def test_a_change_of_nothing_but_the_version_is_none() -> None:
    """The number is a claim, not a fact."""
    found = between("", 'version = "7.0.0"')
    assert (rules(found), found.level, found.owed, found.taken) == ([], "equal", "none", "major")


# ----------------------------------------------------------------------------------------------------- what is the same

SPAN = 'config.w = { type = "duration", default = "9s" }'

SAME = [
    ("order of metrics", metrics('resource = ["machine"]', 'resource = ["gpu"]'),
     metrics('resource = ["gpu"]', 'resource = ["machine"]')),
    ("two tables for two kinds", metrics('resource = ["machine", "gpu"]'),
     metrics('resource = ["machine"]', 'resource = ["gpu"]')),
    ("what the kind says anyway", metrics('resource = ["gpu"]'), metrics('resource = ["gpu"], additive = false')),
    ("the interval that is meant anyway", metrics('resource = ["gpu"]'),
     metrics('resource = ["gpu"], interval = "${config.interval}"')),
    ("a duration written otherwise", 'config.interval = { type = "duration", default = "1s" }',
     'config.interval = { type = "duration", default = "1000ms" }'),
    ("order of words", 'config.m = { type = "enum", values = ["a", "b"], default = "a" }',
     'config.m = { type = "enum", values = ["b", "a"], default = "a" }'),
    ("order of edges", 'ordering.before = ["x", "y"]', 'ordering.before = ["y", "x"]'),
    ("a condition for every word", filter_('metric = "*", when = { m = ["b", "a"] }',
     'config.m = { type = "enum", values = ["a", "b"], default = "a" }'),
     filter_('metric = "*"', 'config.m = { type = "enum", values = ["a", "b"], default = "a" }')),
    ("a relation from the other side", filter_('metric = "*", require = ["2 * interval <= config.w"]', SPAN),
     filter_('metric = "*", require = ["config.w >= interval * 2"]', SPAN)),
    ("no versions but these", 'needs.capabilities = { x = ">=1,<2" }', 'needs.capabilities = { x = "<2.0.0,>=1" }'),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_what_means_the_same_is_no_change(old: str, new: str) -> None:
    """Neither way."""
    assert rules(between(old, new)) == rules(between(new, old)) == []


OPTION = 'config.fast = { type = "bool", default = false }\n'
WIDER = 'config.m = { type = "enum", values = ["a", "b"], default = "a" }\n'
NARROW = 'config.m = { type = "enum", values = ["a"], default = "a" }\n'

GPU = metrics('resource = ["gpu"]')

NEW_OPTIONS = [
    # What is new is behind an option that no old configuration has.
    (GPU, metrics('resource = ["gpu"]', 'resource = ["dram"], when = { fast = true }') + OPTION),
    # What was there stays where the option has its default.
    (metrics('resource = ["gpu"]'), metrics('resource = ["gpu"], when = { fast = false }') + OPTION),
    # A rule for a word that no old configuration can say.
    (filter_('metric = "*"', NARROW), filter_('metric = "*", when = { m = "b" } }, { metric = "*"', WIDER)),
    # A selector, a name and a span become options.
    (filter_('metric = "a.*", gives = { name = "x", interval = "10s" }'),
     filter_('metric = "${config.sel}", gives = { name = "${config.as}", interval = "${config.span}" }',
             'config.sel = { type = "list<metric>", default = ["a.*"] }\nconfig.as = { type = "str", default = "x" }\n'
             'config.span = { type = "duration", default = "10s" }\n')),
    # One metric for each item, and the default has the one that there was.
    (metrics('resource = ["gpu"]').replace("demo.a", "demo.x"),
     GPU.replace("demo.a", "demo.${config.of}") + 'config.of = { type = "list<str>", default = ["x"] }'),
    # A relation that the default keeps.
    ("", 'require = ["config.depth < 3"]\nconfig.depth = { type = "int", default = 2 }\n'),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), NEW_OPTIONS)
def test_what_only_new_configurations_see_replaces(old: str, new: str) -> None:
    """Every old configuration means what it meant: a subtype, with nothing but options and words more."""
    found = between(old, new)

    assert found.level == "subtype", rules(found)
    assert set(rules(found)) <= {"option-added", "words-added"}


# ----------------------------------------------------------------------------------------------------------- in a mount

F = 'placement = "filter"\n'
X = 'ordering.before = ["x"]\n'

D = 'config.d = { type = "int", default = 1 }'
DEMANDED = 'config.d = { type = "int" }'

WITH_B = 'config.b = { type = "bool", default = false }\n'

HERE = [
    # What an option has in the mount is the same as before, whatever the default is now.
    (D, D.replace("1", "2"),
     {"config": {"d": 1}}, "compatible-here"),
    (D, D.replace("1", "2"), {"config": {}}, "behaviour"),
    (D, "", {"config": {}}, "compatible-here"),
    (D, "", {"config": {"d": 1}}, "breaking"),
    (D, 'config.d = { type = "int", default = 1, min = 1 }',
     {"config": {"d": 0}}, "breaking"),
    (D, 'config.d = { type = "int", default = 1, min = 1 }',
     {"config": {}}, "compatible-here"),
    (WIDER, NARROW, {"config": {"m": "b"}}, "breaking"),
    (WIDER, NARROW, {"config": {"m": "a"}}, "compatible-here"),
    (D, DEMANDED, {"config": {"d": 1}}, "compatible-here"),
    ("", DEMANDED, {"config": {}}, "breaking"),
    # A table that the configuration does not have may change as it likes.
    (metrics('resource = ["gpu"], when = { m = "b" }') + WIDER,
     metrics('resource = ["gpu"], when = { m = "b" }').replace('"gauge"', '"delta"') + WIDER,
     {"config": {}}, "compatible-here"),
    (metrics('resource = ["gpu"], when = { m = "b" }') + WIDER,
     metrics('resource = ["gpu"], when = { m = "b" }').replace('"gauge"', '"delta"') + WIDER,
     {"config": {"m": "b"}}, "breaking"),
    # Relations and deadlines are looked up in the configuration.
    ("", 'require = ["config.interval >= 500ms"]', {"config": {}}, "compatible-here"),
    ("", 'require = ["config.interval >= 500ms"]', {"config": {"interval": "100ms"}}, "breaking"),
    ("", 'deadline = "500ms"', {"config": {}}, "compatible-here"),
    ("", 'deadline = "500ms"', {"config": {"interval": "100ms"}}, "breaking"),
    ('deadline = "100ms"', 'deadline = "500ms"', {"config": {"interval": "2s"}}, "compatible-here"),
    # Order, neighbours, claims.
    (F, F + X, {"order": ("example", "x")}, "compatible-here"),
    (F, F + X, {"order": ("x", "example")}, "breaking"),
    (F, F + X, {"order": ("example",)}, "compatible-here"),
    (F, F + X, {"order": ("y", "example"), "others": {"y": {"y": "1.0.0", "x": "1.0"}}}, "breaking"),
    (F, F + X, {}, "breaking"),
    ("", 'needs.capabilities = { x = ">=1.1" }', {"others": {"y": {"x": "1.2"}}}, "compatible-here"),
    ("", 'needs.capabilities = { x = ">=1.1" }', {"others": {"y": {"x": "1.0"}}}, "breaking"),
    ("", 'needs.capabilities = { x = ">=1.1" }', {"others": {"y": {"x": ""}}}, "breaking"),
    ("", 'needs.capabilities = { x = "*" }', {"others": {"y": {"x": ""}}}, "compatible-here"),
    ('needs.capabilities = { x = ">=1" }', 'needs.capabilities = { x = ">=1.1" }', {"others": {"y": {"x": "1.1"}}},
     "compatible-here"),
    ("", 'conflicts = { x = "*" }', {"others": {"y": {"y": "1.0.0"}}}, "compatible-here"),
    ("", 'conflicts = { x = "<1" }', {"others": {"y": {"x": "1.0"}}}, "compatible-here"),
    ("", 'conflicts = { x = "*" }', {"others": {"y": {"x": "1.0"}}}, "breaking"),
    ("", 'conflicts = { x = "<1" }', {"others": {"y": {"x": ""}}}, "breaking"),
    ("", "config_for = { x = { d = 1 } }", {"others": {"y": {"y": ""}}}, "compatible-here"),
    ("", "config_for = { x = { d = 1 } }", {"others": {"x": {"x": ""}}}, "breaking"),
    ("config_for = { x = { d = 1 } }", "", {"others": {"y": {"y": ""}}}, "compatible-here"),
    ("", 'claims = ["tcp:0.0.0.0:90"]', {"claims": ("tcp:127.0.0.1:91",), "config": {}}, "compatible-here"),
    ("", 'claims = ["tcp:0.0.0.0:90"]', {"claims": ("tcp:127.0.0.1:90",), "config": {}}, "breaking"),
    # The host, and this meter.
    ("", 'needs.host = [{ readable = ["/a"] }]', {"host": Recorded({("readable", "/a"): ""})}, "compatible-here"),
    ("", 'needs.host = [{ readable = ["/a"] }]', {"host": Recorded({})}, "breaking"),
    (metrics('resource = ["gpu"]'), metrics('resource = ["gpu"], host = { capability = ["CAP_PERFMON"] }'),
     {"host": Recorded({("capability", "CAP_PERFMON"): ""})}, "compatible-here"),
    (metrics('resource = ["gpu"]'), metrics('resource = ["gpu"], host = { library = ["libx.so.1"] }'),
     {"host": Recorded({("library", "libx.so.1"): ""})}, "compatible-here"),
    (metrics('resource = ["gpu"]'), metrics('resource = ["gpu"], host = { readable = ["/a"] }'), {"host": Recorded({})},
     "breaking"),
    (metrics('resource = ["gpu"]'), metrics('resource = ["gpu"], host = { sysctl = { "kernel.x" = "<= 1" } }'),
     {"host": Recorded({("sysctl", "kernel.x<=1"): ""})}, "compatible-here"),
    (metrics('resource = ["gpu"], host = { sysctl = { "kernel.x" = "<=2" } }'),
     metrics('resource = ["gpu"], host = { sysctl = { "kernel.x" = "<=1" } }'),
     {"host": Recorded({("sysctl", "kernel.x<=1"): "other-value kernel.x<=1 2"})}, "breaking"),
    ("", 'needs.host = [{ sysctl = { "kernel.x" = "<=1" } }]', {"host": Recorded({("sysctl", "kernel.x<=1"): ""})},
     "compatible-here"),
    (WITH_B, WITH_B + 'needs.host = [{ readable = ["/a"], when = { b = true } }]',
     {"host": Recorded({}), "config": {"b": False}}, "compatible-here"),
    (WITH_B, WITH_B + 'needs.host = [{ readable = ["/a"], when = { b = true } }]',
     {"host": Recorded({}), "config": {"b": True}}, "breaking"),
    ("", 'needs.python = { lib = ">=2" }', {"host": Recorded({("python", "lib>=2"): ""})}, "compatible-here"),
    ("", 'needs.python = { lib = "*" }', {"host": Recorded({})}, "breaking"),
    ('interface = ">=1"', 'interface = ">=1,<2"', {"interface": "1.4"}, "compatible-here"),
    ('interface = ">=1"', 'interface = ">=1,<2"', {"interface": "2"}, "breaking"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "mount", "level"), HERE)
def test_what_is_known_of_a_mount_decides(old: str, new: str, mount: dict[str, Any], level: str) -> None:
    """Only a fact that shows it makes a change compatible-here; for any mount the change is none of these."""
    assert between(old, new, MountFacts(**mount)).level == level
    assert between(old, new).level in {"breaking", "behaviour"}


ABC = 'resource = ["gpu"], attributes = { m = ["a", "b", "c"] }'

WITH_M = 'config.m = { type = "enum", values = ["a", "b"], default = "a" }\n'

CLASSES = [
    ("a range that lies elsewhere", 'needs.capabilities = { x = ">=1,<2" }', 'needs.capabilities = { x = ">=2,<3" }',
     "breaking"),
    ("an alternative more", 'needs.host = [{ readable = ["/a"] }]',
     'needs.host = [{ readable = ["/a"] }, { readable = ["/b"] }]', "subtype"),
    ("an alternative less", 'needs.host = [{ readable = ["/a"] }, { readable = ["/b"] }]',
     'needs.host = [{ readable = ["/a"] }]', "breaking"),
    ("an alternative that needs less", 'needs.host = [{ readable = ["/a", "/b"] }]',
     'needs.host = [{ readable = ["/a"] }]', "subtype"),
    ("a setting of which more will do", 'needs.host = [{ sysctl = { "kernel.x" = "<=1" } }]',
     'needs.host = [{ sysctl = { "kernel.x" = "<=2" } }]', "subtype"),
    ("a setting of which less will do", 'needs.host = [{ sysctl = { "kernel.x" = "<=2" } }]',
     'needs.host = [{ sysctl = { "kernel.x" = "<=1" } }]', "breaking"),
    ("a setting in other words", 'needs.host = [{ sysctl = { "kernel.x" = "<=1" } }]',
     'needs.host = [{ sysctl = { "kernel.x" = "< 2" } }]', "equal"),
    ("an alternative that is there for each value", WITH_M + 'needs.host = [{ readable = ["/a"] }]',
     WITH_M + 'needs.host = [{ readable = ["/a"], when = { m = ["a", "b"] } }]', "equal"),
    ("an alternative that is there for fewer values", WITH_M + 'needs.host = [{ readable = ["/a"] }]',
     WITH_M + 'needs.host = [{ readable = ["/a"], when = { m = "a" } }]', "subtype"),
    ("one of two that is there for fewer values",
     WITH_M + 'needs.host = [{ readable = ["/a"] }, { readable = ["/b"] }]',
     WITH_M + 'needs.host = [{ readable = ["/a"] }, { readable = ["/b"], when = { m = "a" } }]', "breaking"),
    ("an alternative that is there for more values",
     WITH_M + 'needs.host = [{ readable = ["/a"], when = { m = "a" } }]',
     WITH_M + 'needs.host = [{ readable = ["/a"] }]', "breaking"),
    ("an alternative for another value", WITH_M + 'needs.host = [{ readable = ["/a"], when = { m = "a" } }]',
     WITH_M + 'needs.host = [{ readable = ["/a"], when = { m = "a" } }, { readable = ["/b"], when = { m = "b" } }]',
     "breaking"),
    ("an alternative more beside one for each value",
     WITH_M + 'needs.host = [{ readable = ["/a"], when = { m = "a" } }, { readable = ["/b"], when = { m = "b" } }]',
     WITH_M + 'needs.host = [{ readable = ["/a"], when = { m = "a" } }, { readable = ["/b"], when = { m = "b" } }, '
     '{ capability = ["CAP_PERFMON"] }]', "subtype"),
    ("an alternative with a setting", 'needs.host = [{ capability = ["CAP_PERFMON"] }]',
     'needs.host = [{ capability = ["CAP_PERFMON"] }, { sysctl = { "kernel.x" = "<=1" } }]', "subtype"),
    ("a setting of a metric of which more will do",
     metrics('resource = ["gpu"], host = { sysctl = { "kernel.x" = "<=1" } }'),
     metrics('resource = ["gpu"], host = { sysctl = { "kernel.x" = "<=2" } }'), "subtype"),
    ("the name of an alternative", 'needs.host = [{ name = "x", readable = ["/a"] }]',
     'needs.host = [{ name = "y", readable = ["/a"] }]', "equal"),
    ("a set of values that lies elsewhere", metrics('resource = ["gpu"], attributes = { m = ["a", "b"] }'),
     metrics('resource = ["gpu"], attributes = { m = ["b", "c"] }'), "behaviour"),
    ("any text instead of some", metrics('resource = ["gpu"], attributes = { m = ["a"] }'),
     metrics('resource = ["gpu"], attributes = { m = "str" }'), "compatible-here"),
    ("some texts instead of any", metrics('resource = ["gpu"], attributes = { m = "str" }'),
     metrics('resource = ["gpu"], attributes = { m = ["a"] }'), "behaviour"),
    ("a shape more of a metric", metrics('resource = ["gpu"]'), metrics('resource = ["gpu"]', 'resource = ["dram"]'),
     "compatible-here"),
    ("a shape less of a metric", metrics('resource = ["gpu"]', 'resource = ["dram"]'), metrics('resource = ["gpu"]'),
     "breaking"),
    ("the whole of a part", metrics(ABC + ', parts = { m = { a = "b" } }'),
     metrics(ABC + ', parts = { m = { a = "c" } }'), "breaking"),
    ("a recommendation becomes a need", 'recommends = { x = "*" }', 'needs.capabilities = { x = "*" }', "breaking"),
    ("a capability before 1.0", 'provides.capabilities = { x = "0.1" }', 'provides.capabilities = { x = "0.2" }',
     "breaking"),
    ("a rule behind others that select else", filter_('metric = "a"'), filter_('metric = "a" }, { metric = "b"'),
     "compatible-here"),
    ("a rule before others that select else", filter_('metric = "a"'), filter_('metric = "b" }, { metric = "a"'),
     "compatible-here"),
    ("rules that select else change places", filter_('metric = "a" }, { metric = "b"'),
     filter_('metric = "b" }, { metric = "a"'), "equal"),
    ("a rule that applies more often, before another",
     filter_('metric = "a", when = { m = "a" } }, { metric = "a"', WIDER),
     filter_('metric = "a", keeps = false }, { metric = "a"', WIDER), "breaking"),
    ("any type instead of some", filter_('metric = "a", type = ["f64"]'), filter_('metric = "a"'), "subtype"),
    ("some types instead of any", filter_('metric = "a"'), filter_('metric = "a", type = ["f64"]'), "breaking"),
    ("an option that may be left out now", 'config.d = { type = "int" }', 'config.d = { type = "int", default = 3 }',
     "subtype"),
    ("words that are any text now", 'config.d = { type = "list<enum>", values = ["a"] }',
     'config.d = { type = "list<str>" }', "subtype"),
    ("any text that must be a word now", 'config.d = { type = "str" }', 'config.d = { type = "enum", values = ["a"] }',
     "breaking"),
    ("a limit in another unit", 'config.d = { type = "duration", min = "1s" }',
     'config.d = { type = "duration", min = "1000ms" }', "equal"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "level"), [row[1:] for row in CLASSES], ids=[row[0] for row in CLASSES])
def test_class(old: str, new: str, level: str) -> None:
    """Cases that no example of a rule shows."""
    found = between(old, new)

    assert found.level == level, rules(found)


# ------------------------------------------------------------------------------------------------------------- versions

STEPS_TAKEN = [
    # old, new, step, what is enough for
    ("1.0.0", "1.0.0", "none", ["none"]),
    ("1.0.0", "1.0.1", "patch", ["none", "patch"]),
    ("1.0.9", "1.1.0", "minor", ["none", "patch", "minor"]),
    ("1.9.9", "2.0.0", "major", ["none", "patch", "minor", "major"]),
    ("1.1.0", "1.0.9", "back", []),
    ("0.1.0", "0.1.1", "minor", ["none", "patch", "minor"]),  # before 1.0.0 each step counts as the next greater one
    ("0.1.0", "0.2.0", "major", ["none", "patch", "minor", "major"]),
    ("0.9.0", "1.0.0", "major", ["none", "patch", "minor", "major"]),
    ("1.0.0-rc.1", "1.0.0-rc.2", "patch", ["none", "patch", "minor", "major"]),  # before a release nothing is promised
    ("1.0.0-rc.1", "1.0.0", "patch", ["none", "patch", "minor", "major"]),
    ("1.0.0", "2.0.0-rc.1", "major", ["none", "patch", "minor", "major"]),
    ("1.0.0", "1.0.0+build", "none", ["none"]),
]


@pytest.mark.parametrize(("old", "new", "step", "enough"), STEPS_TAKEN)
def test_version_step(old: str, new: str, step: str, enough: list[str]) -> None:
    """Which step was taken, and what it covers."""
    assert releases.step(old, new) == step
    owed = [word for word in language().values("step") if word != "back"]
    assert [word for word in owed if releases.enough(old, new, word)] == enough


@pytest.mark.parametrize(
    ("old", "owed", "new"),
    [
        ("1.2.3", "none", "1.2.3"),
        ("1.2.3", "patch", "1.2.4"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "major", "2.0.0"),
        ("0.2.3", "minor", "0.2.4"),
        ("0.2.3", "major", "0.3.0"),
        ("1.2.3-rc.1", "major", "1.2.3"),
    ],
)
def test_the_version_to_take(old: str, owed: str, new: str) -> None:
    """It is enough, and no lower one of that form would be."""
    assert releases.next_version(old, owed) == new
    assert releases.enough(old, new, owed)
