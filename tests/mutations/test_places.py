"""Each error points at the word at fault: in mount files with planted faults, misconfigurations, snapshots, vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from meter.contracts.check import check
from meter.contracts.diagnostics import ContractError, Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.spans import Span
from tests import snapshots
from tests.misconfig.cases import Case, cases
from tests.mutations.census import subset
from tests.mutations.documents import dumps
from tests.mutations.judge import by_name, catalogue, entry_of, faults, noticing, said
from tests.mutations.places import misplaced
from tests.vectors import builder

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "contract-cases.json").read_text(encoding="utf-8"))
BUILT = [case for case in VECTORS["cases"] if case["level"] == "builder"]


def wrong(found: Iterable[Diagnostic], texts: Mapping[str, str], mounts: str, where: str = "") -> list[str]:
    """What is wrong with the places of some diagnostics."""
    said = ((each.code, misplaced(each, texts, mounts)) for each in found)
    return [f"{code} {why} {where}" for code, why in said if why]


def test_faults_in_mount_files() -> None:
    """Every one that is planted."""
    shown = []
    mounts = by_name()
    for fault in faults():
        if fault.target in mounts:
            document = fault.mutation.document()
            texts = {fault.target: dumps(document).decode()}
            shown += wrong(said(fault, fault.target), texts, fault.target, fault.said)
    assert shown == []


def test_faults_in_contracts() -> None:
    """The part that is planted elsewhere, too."""
    shown = []
    mounts = by_name()
    for fault in subset():
        if fault.target not in mounts:
            base = mounts[noticing(fault)[0]]
            texts = {base.name: dumps(base.document).decode()}
            texts[entry_of(fault).path] = dumps(fault.mutation.document()).decode()
            shown += wrong(said(fault, base.name), texts, base.name, fault.said)
    assert shown == []


@pytest.mark.parametrize(
    "case", [case for case in cases() if case.code and case.file("bad").exists()], ids=lambda case: case.id
)
def test_misconfigurations(case: Case) -> None:
    """What existing tools accept."""
    file = str(case.file("bad"))
    parsed = parse_toml(case.file("bad").read_bytes(), file)
    assert isinstance(parsed, tuple)
    requests, found = from_document(parsed[0], Source(file, parsed[1]))
    for request in requests.values():
        found += check(request, catalogue(), case.host("bad")).diagnostics

    assert wrong(found, {}, file) == []


@pytest.mark.parametrize("name", snapshots.names())
def test_snapshots(name: str) -> None:
    """Typical faults; warnings, too."""
    found, texts = snapshots.found(name)

    assert wrong(found, texts, snapshots.FILE) == []


@pytest.mark.parametrize("case", BUILT, ids=[case["id"] for case in BUILT])
def test_vectors(case: Mapping[str, Any]) -> None:
    """Chains that another builder refuses, too."""
    known = builder.catalogue(case)
    stated = {each.source.file: each.source.text for each in known.contracts()}
    try:
        request = builder.request(case["steps"])
    except (ContractError, KeyError):
        return  # a command line, or a word that is none
    text = request.source.text if request.source is not None else ""

    assert wrong(check(request, known, Assumed()).diagnostics, {**stated, "meter.toml": text}, "meter.toml") == []


class TestTheAudit:
    """It can fail."""

    TEXT = '[mounts."/host"]\nplugins = ["cpuu", "console"]\n'

    @pytest.mark.parametrize(
        ("span", "why"),
        [
            (Span("meter.toml", 2, 13, 4), ""),
            (Span("meter.toml", 2, 13, 3), "a part of a word"),
            (Span("meter.toml", 2, 21, 7), "is not named"),
            (Span("meter.toml", 2, 17, 3), "nothing"),
            (Span("meter.toml", 9, 1, 3), "nothing"),
            (Span("other.toml", 2, 13, 4), "no file"),
        ],
    )
    def test_a_place(self, span: Span, why: str) -> None:
        """Whole, in the file, and the word that is named."""
        diagnostic = Diagnostic(code="E-PLUGIN-UNKNOWN", facts={"name": "cpuu", "near": ""}, spans=(span,))

        assert why in misplaced(diagnostic, {"meter.toml": self.TEXT}, "meter.toml")
        assert bool(why) == bool(misplaced(diagnostic, {"meter.toml": self.TEXT}, "meter.toml"))
