"""Faults planted into the good twins, their contracts and the examples are found, or it is explained why not.

`python -m benchmarks.mutations` plants all of them; here it is a fixed part.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from meter.contracts.language import language
from tests.mutations.causes import Pairs, several
from tests.mutations.census import Census, census, subset
from tests.mutations.documents import dumps
from tests.mutations.judge import NOWHERE, PLAN, REFUSED, Fault, Verdict, bases, by_name, faults, judge
from tests.mutations.mutators import Mutation, of_contract
from tests.mutations.reasons import reasons

PAGE = Path(__file__).parents[2] / "docs" / "misconfigurations.md"
BESIDE = 2
"""A contract with a fault is checked in so many mount files."""
TWICE = 20
"""So many pairs of faults are planted in each mount file."""
PROBE = """
name = "probe"
version = "1.0.0"
placement = "source"
[[provides.metrics]]
name = "probe.value"
type = "f64"
unit = "J"
kind = "delta"
resource = ["machine"]
[config.interval]
type = "duration"
default = "1s"
"""


@cache
def counted() -> Census:
    """What becomes of the part that is planted here."""
    return census(subset())


def test_every_survivor_is_explained() -> None:
    """What is neither refused nor warned of nor in the plan has a reason, written down beside the faults."""
    shown = [f"{verdict.word}: {fault.clause}: {fault.said}" for fault, verdict in counted().unexplained]
    assert shown == []


def test_enough_is_planted() -> None:
    """At least 300 faults, of every kind that there is, and most of them are refused."""
    found = counted()
    assert sum(found.counts.values()) >= 300
    assert found.of("", REFUSED) > sum(found.counts.values()) / 2
    assert len(found.codes) >= 25, "by many codes, and not by one that stands for all"


def test_the_mount_files_are_sound_without_a_fault() -> None:
    """No false alarm: what is planted into is refused for the fault and for nothing else."""
    assert len(bases()) > 35
    for base in bases():
        assert (base.outcome.errors, base.outcome.warnings) == ((), ()), base.name


def test_every_clause_type_has_mutations() -> None:
    """A fault is planted into each place of a contract: left out, called otherwise, of another type."""
    document = tomllib.loads(PROBE)
    kinds: dict[str, set[str]] = {}
    for mutation in of_contract(document):
        assert mutation.document() != document
        kinds.setdefault(mutation.clause, set()).add(mutation.kind)
    assert {"left out", "other name", "other type", "unit", "prefix"} <= kinds["provides.metrics.unit"]
    assert {"other word", "no word"} <= kinds["provides.metrics.kind"]
    assert {"number", "unit left out"} <= kinds["config.*.default"]
    assert set(kinds) <= {clause.name for clause in language().clauses.values()} | {"config.*"}


def test_a_document_is_written_as_it_is() -> None:
    """What is planted is the fault, and not what writing it has made of the rest."""
    for base in bases():
        assert tomllib.loads(dumps(base.document).decode()) == base.document


def test_one_cause_is_one_error() -> None:
    """Of one fault, errors of one code are said; of more codes only where it is written down why.

    All faults in mount files are planted, of those in contracts a part, with some of the mount files that use them.
    """
    mounts = by_name()
    planted = [fault for fault in faults() if fault.target in mounts]
    planted += [fault for fault in subset() if fault.target not in mounts]
    shown = [f"{each.mount}: {each.codes}: {each.fault.said}" for each in several(planted, BESIDE) if each.why is None]
    assert shown == []


def test_of_two_faults_both_are_said() -> None:
    """In different places of a mount file neither hides the other, and they make up no third one, but for reasons."""
    pairs = Pairs()
    shown = [f"{each.one.said} AND {each.other.said}: {each.hidden} {each.besides}" for each in pairs.wrong(TWICE)]
    assert shown == []
    assert pairs.planted >= 500


def test_the_verdict_tells_what_is_noticed() -> None:
    """A text for people is seen nowhere, another file name in the plan, a wrong unit is refused: the judge can fail."""
    base = next(each for each in bases() if each.name.endswith("host.toml"))

    def planted(path: tuple[str, ...], value: object) -> Verdict:
        changed = tomllib.loads(dumps(base.document).decode())
        holder = changed
        for step in path[:-1]:
            holder = holder.setdefault(step, {})
        holder[path[-1]] = value
        return judge(Fault(base.name, Mutation("k", "c", path, "s", changed, dict), (base.name,)))

    config = ("mounts", "/host", "config")
    assert planted(("x-note",), "for people").word == NOWHERE
    assert planted((*config, "csv", "path"), "other.csv").word == PLAN
    assert planted((*config, "cpu", "interval"), "1 parsec") == Verdict(REFUSED, ("E-CONFIG-TYPE",))


@pytest.mark.parametrize("reason", reasons(), ids=lambda reason: reason.clauses[0])
def test_a_reason_is_about_clauses_that_there_are(reason: object) -> None:
    """Its names are clauses, words of a request, or patterns of them."""
    clauses = getattr(reason, "clauses")  # noqa: B009  (pytest gives an object)
    words = {f"request.{word}" for word in language().words["request"]}
    known = {clause.name for clause in language().clauses.values()} | words
    assert all(name in known or "*" in name for name in clauses)


def test_the_page_has_a_row_for_every_kind() -> None:
    """And the reasons of the survivors, as they are in the file."""
    page = PAGE.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| ([a-z ]+) \| +\d", page, re.MULTILINE))
    assert set(counted().kinds()) <= rows
    assert [each.why for each in reasons() if each.why not in page] == []
