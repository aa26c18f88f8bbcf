"""Hostile input has an answer that is complete, and never another error. `benchmarks.hostile` has it large."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks import hostile
from meter.contracts import order
from meter.contracts.diagnostics import MANY, Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.reader import read
from meter.contracts.spans import Span
from tests.contracts.build import shown


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that small cases can pass, too."""
    monkeypatch.setattr(order, "WAYS", 2000)
    monkeypatch.setattr(order, "DEEP", 2000)


@pytest.mark.parametrize("case", hostile.CASES.values(), ids=hostile.CASES.keys())
def test_each_case_is_answered(case: hostile.Case) -> None:
    """With the codes that it should have, each said with a place, a message and a help."""
    documents = [shown(diagnostic) for diagnostic in case.run(case.small)]
    assert {document["code"] for document in documents} == case.codes
    assert json.loads(json.dumps(documents)) == documents


class TestManyErrors:
    """Reading stops after the first hundred, and says so."""

    def test_of_a_contract(self) -> None:
        """In the order of the walk, which is not that of the file."""
        found = read("".join(f"k{number:04} = 1\n" for number in range(300)).encode(), "contract.toml").diagnostics
        assert [each.code for each in found] == ["E-CLAUSE-UNKNOWN"] * MANY + ["E-FILE"]
        assert found[-1].spans == (Span("contract.toml", MANY + 1, 1, 5),)
        assert str(MANY) in found[-1].message

    def test_of_a_mount_file(self) -> None:
        """None of its mounts is taken, as it is not known which are sound."""
        text = '[mounts."/a"]\nplugins = ["cpu"]\n' + "".join(f"[mounts.'/m{number}']\n" for number in range(300))
        parsed = parse_toml(text.encode(), "meter.toml")
        assert not isinstance(parsed, Diagnostic)
        requests, found = from_document(parsed[0], Source("meter.toml", text))
        assert requests == {}
        assert [each.code for each in found] == ["E-CLAUSE-MISSING"] * MANY + ["E-FILE"]


@pytest.mark.parametrize("name", hostile.TRICKS)
def test_a_mountpoint_leads_nowhere_else(name: str) -> None:
    """Nothing that a path could make of it: no way up, no empty part, nothing invisible."""
    document: Any = {"mounts": {name.replace("\\u0000", "\0").replace("\\n", "\n"): {"plugins": ["cpu"]}}}
    requests, found = from_document(document, Source("meter.toml", ""))
    assert requests == {}
    assert [each.code for each in found] == ["E-MOUNT-NAME"]


def test_a_long_fact_is_cut() -> None:
    """A message stays one that can be read; the place has the whole name."""
    found = read(f"{'k' * 50_000} = 1".encode(), "contract.toml").diagnostics
    unknown = next(shown(each) for each in found if each.code == "E-CLAUSE-UNKNOWN")
    assert len(unknown["message"]) < 1200
    assert "k…`" in unknown["message"]
    assert unknown["spans"][0]["length"] == 50_000
