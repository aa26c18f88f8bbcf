"""The page for those who come from Alumet: nothing on it is a name that there is not."""

from __future__ import annotations

import ast
import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core.discovery import discover

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "alumet.md").read_text(encoding="utf-8")
CATALOGUE = discover(installed=False).catalogue
KNOWN: dict[str, list[str]] = json.loads((ROOT / "tests" / "data" / "alumet.json").read_text(encoding="utf-8"))
"""What Alumet's plugins create, and the plugins: read in its source text at the commit that the page names."""


@cache
def rows(*heads: str) -> list[dict[str, str]]:
    """The lines of all tables with these columns."""
    found = []
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        head, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        if tuple(head) == heads:
            found += [dict(zip(head, line, strict=True)) for line in lines]
    return found


def spans(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


LINES = rows("Alumet", "its unit", "in meter", "metric", "unit", "remark")
MEASURED = [line for line in LINES if line["in meter"] != "not measured"]


@pytest.mark.parametrize("line", [pytest.param(line, id=f"{line['Alumet']} {line['metric']}") for line in MEASURED])
def test_what_meter_measures_is_there_in_that_unit(line: dict[str, str]) -> None:
    """The words are a chain that the check accepts, the metric reaches its output, and its unit is the one shown."""
    [words], [metric], [unit] = (spans(line[column]) for column in ("in meter", "metric", "unit"))
    chain = [*shlex.split(words), "collect#one", f"metrics={metric}", "collect#rest"]
    asked, wrong = from_words("/alumet", chain, ["meter", "mount", "/alumet"])
    assert asked is not None, wrong

    checked = check(asked, CATALOGUE, Assumed())

    assert [each.message for each in checked.diagnostics if each.level == "error"] == []
    assert checked.plan is not None
    name = metric.partition("{")[0]
    assert {(each["metric"], each["unit"]) for each in checked.plan.document["schema"]["one"]} == {(name, unit)}


def test_what_is_not_measured_says_why() -> None:
    """And has neither a metric nor a unit."""
    lacking = [line for line in LINES if line not in MEASURED]
    assert lacking
    assert [line for line in lacking if line["metric"] or line["unit"] or len(line["remark"].split()) < 3] == []


def test_every_metric_of_alumet_has_a_line() -> None:
    """None is left out, and none was made up."""
    named = {name for line in LINES for name in spans(line["Alumet"].partition(", `domain`")[0])}
    attributes = {"kind", "memory_type", "sensor", "grace_*", "job_id", "job_step", "user_id", "uid", "name"}
    attributes |= {"namespace", "node", "lm_sensors_temperature"}  # of a plugin that is not in that agent yet
    assert named - attributes == set(KNOWN["metrics"])


def test_every_plugin_of_alumet_has_a_line() -> None:
    """With plugins that there are, or `none` and why."""
    lines = rows("Alumet", "in meter", "remark")
    named = {name for line in lines for name in re.split(r"[, ]+", line["Alumet"])}
    assert [name for name in KNOWN["plugins"] if name not in named] == []
    for line in lines:
        assert spans(line["in meter"]) or (line["in meter"] == "none" and line["remark"])
        assert [name for name in spans(line["in meter"]) if name not in CATALOGUE.entries] == []


TESTS = sorted({name for line in rows("in Alumet", "in meter", "test") for name in spans(line["test"])})


@pytest.mark.parametrize("name", TESTS)
def test_what_shows_that_meter_does_otherwise_is_a_test(name: str) -> None:
    """Each one that the page names is there."""
    file, *path = name.split("::")
    nodes: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for part in path:
        [node] = [each for each in nodes if isinstance(each, ast.FunctionDef | ast.ClassDef) and each.name == part]
        nodes = node.body
    assert path[-1].startswith("test_")


def test_every_fault_has_a_test() -> None:
    """What meter does instead is said, and shown by one at least."""
    lines = rows("in Alumet", "in meter", "test")
    assert len(lines) > 30
    assert [line for line in lines if not spans(line["test"]) or not line["in meter"]] == []
