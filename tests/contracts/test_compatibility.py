"""Replacing one version of a contract by another: every clause is decided, every rule is true of its example."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from meter.contracts import lattices, rulebook
from meter.contracts.compatibility import Comparison, compare
from meter.contracts.facts import _FACTS, MountFacts
from meter.contracts.language import Clause, language
from meter.contracts.rulebook import DiffRule
from tests import vectors_compat
from tests.contracts.build import contract
from tests.contracts.test_language import BASE, METRIC, merged, toml

CASES = json.loads((Path(__file__).parents[1] / "data" / "compatibility-cases.json").read_text(encoding="utf-8"))
STEPS = {"equal": "patch", "subtype": "minor", "compatible-here": "minor", "behaviour": "major", "breaking": "major"}


def text(example: str) -> str:
    """An example put over a small contract, as text."""
    above = tomllib.loads(example)
    below = tomllib.loads(BASE)
    if above.get("placement", "source") == "source":
        below["provides"] = {"metrics": METRIC}
    return "".join(f"{key} = {toml(value)}\n" for key, value in merged(below, above).items())


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
    assert vectors_compat.run(case, CASES["bases"]) == []


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
        if clause.type == "table" and clause.lattice == "one":
            return  # only the clauses below it say something
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


def test_every_fact_of_a_mount_is_asked_by_some_rule() -> None:
    """What nobody asks would never be known."""
    assert set(_FACTS) == {rule.here for rule in rulebook.book().values()} - {""}


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
