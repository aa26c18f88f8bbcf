"""JSON Schemas: what an editor would accept is what the reader accepts, as far as a schema can say it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meter.contracts import schema
from meter.contracts.language import Clause, language
from meter.contracts.reader import read
from tests.contracts.test_language import example

ROOT = Path(__file__).parents[2]
CLAUSES = list(language().clauses.values())
CONTRACTS = jsonschema.Draft202012Validator(schema.contracts())
MOUNTS = jsonschema.Draft202012Validator(schema.mounts())
READING = {"E-CLAUSE-TYPE", "E-CLAUSE-MISSING", "E-CLAUSE-UNKNOWN", "E-PLACEMENT-UNKNOWN", "E-STATUS-UNKNOWN", "E-NAME"}
BEYOND = {
    "provides.metrics.unit": "whether a text is a unit takes a grammar and a table",
    "provides.metrics.parts": "names that other clauses of the same metric have",
}
"""Clauses whose failing example no schema can refuse, each with the reason."""


def errors(validator: jsonschema.Draft202012Validator, document: Any) -> list[str]:
    """What a schema says against a document."""
    return [error.message for error in validator.iter_errors(document)]


def test_schemas_are_schemas() -> None:
    """Both are of the draft that they name, and plain JSON."""
    for each in (schema.contracts(), schema.mounts()):
        jsonschema.Draft202012Validator.check_schema(each)
        assert each["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("plugins/**/contract.toml")), ids=lambda path: path.parent.name)
def test_contracts_of_built_in_plugins_are_valid(path: Path) -> None:
    """What is shipped would not be underlined."""
    assert not errors(CONTRACTS, tomllib.loads(path.read_text()))


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.toml")), ids=lambda path: path.name)
def test_mount_files_of_the_examples_are_valid(path: Path) -> None:
    """As the contracts."""
    assert not errors(MOUNTS, tomllib.loads(path.read_text()))


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.name)
class TestExamples:
    """The examples of CONTRACT.ini."""

    def test_what_passes_is_valid(self, clause: Clause) -> None:
        """A schema refuses nothing that the reader accepts."""
        assert not errors(CONTRACTS, tomllib.loads(example(clause, clause.passes)))

    def test_what_cannot_be_read_is_refused(self, clause: Clause) -> None:
        """A wrong type, a word that there is not, a clause that is missing or in the wrong placement."""
        text = example(clause, clause.fails)
        said = {each.code for each in read(text.encode(), "contract.toml").diagnostics}
        refused = bool(errors(CONTRACTS, tomllib.loads(text)))
        assert refused == bool(said & READING and clause.name not in BEYOND), said


BASE = 'name = "x"\nversion = "1.0.0"\n'
METRIC = '[[provides.metrics]]\nname = "x.a"\ntype = "f64"\nunit = "1"\nkind = "gauge"\nresource = ["machine"]\n'


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (BASE + 'placement = "source"\n' + METRIC, True),
        (BASE + 'placement = "source"\n', False),  # a source gives metrics
        (BASE + 'placement = "source"\nprovides.metrics = []\n', False),
        (BASE + 'placement = "output"\n', True),
        (BASE + 'placement = "output"\n' + METRIC, False),  # nothing else does
        (BASE + 'placement = "source"\ndurability = "process"\n' + METRIC, False),
        (BASE + 'placement = "output"\ndurability = "process"\nx-note = { any = [1] }\n', True),
        (BASE + 'placement = "output"\nneeds.metrics = [{ metric = "*", keeps = false }]\n', False),
        (BASE + 'placement = "filter"\nneeds.metrics = [{ metric = "*", keeps = "${config.keep}" }]\n', True),
        (BASE + 'placement = "filter"\nconfig.depth = { type = "list<quantity(W)>", x-a = 1 }\n', True),
        (BASE + 'placement = "filter"\nconfig.depth = { type = "list<integer>" }\n', False),
        (BASE + 'placement = "filter"\nconfig.depth = { default = 1 }\n', False),
        (BASE + 'placement = "source"\nprovides.metrics = [{ schema = "${config.schema}" }]\n', True),
    ],
)
def test_placements_and_free_names(text: str, valid: bool) -> None:  # noqa: FBT001  (a column of the table)
    """Conditions hang on the placement; `x-` is free everywhere."""
    assert bool(errors(CONTRACTS, tomllib.loads(text))) != valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('[mounts."/a"]\nplugins = ["cpu"]\norder = [["a", "b"]]\nwant = ["hw.energy"]\n', True),
        ('[mounts."/a"]\nplugins = ["cpu"]\n[mounts."/a".config.cpu]\na = 1\n', True),
        ('[mounts."/a"]\nplugins = ["cpu"]\ndurability = "process"\nx-note = 1\n', True),
        ('[mounts."/a"]\nplugins = ["cpu"]\ndurability = "proces"\n', False),
        ('[mounts."/a"]\nplugin = ["cpu"]\n', False),
        ('[mounts."/a"]\nplugins = "cpu"\n', False),
        ('[mounts."/a"]\nplugins = ["cpu"]\norder = ["a"]\n', False),
        ('[mounts."/a"]\nplugins = ["cpu"]\nconfig = { cpu = 1 }\n', False),
        ('[mount."/a"]\nplugins = ["cpu"]\n', False),
        ("x-any = 1\n", True),
    ],
)  # fmt: skip
def test_words_of_a_request(text: str, valid: bool) -> None:  # noqa: FBT001  (a column of the table)
    """Those of CONTRACT.ini, in their types, and no others."""
    assert bool(errors(MOUNTS, tomllib.loads(text))) != valid


def test_every_clause_and_word_is_described() -> None:
    """An editor shows what CONTRACT.ini says of it."""
    text = str(schema.contracts())
    assert all(clause.description in text or repr(clause.description)[1:-1] in text for clause in CLAUSES)
    text = str(schema.mounts())
    assert all(repr(says["description"])[1:-1] in text for says in language().words["request"].values())
