"""A short run of the fuzzer, and what it would notice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from benchmarks import fuzz, inputs, scenes
from benchmarks.inputs import CONTRACT, Input
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.reader import read
from meter.contracts.spans import Span


@pytest.mark.parametrize("text", inputs.mounts())
def test_the_mount_files_that_are_changed_are_sound(text: str) -> None:
    """A change of what is refused anyway tries little."""
    parsed = parse_toml(text.encode(), "meter.toml")
    assert not isinstance(parsed, Diagnostic)
    requests, found = from_document(parsed[0], Source("meter.toml", text))
    assert not found
    for request in requests.values():
        assert check(request, Catalogue(entries=inputs.builtin()), scenes.Partly()).require()


@pytest.mark.parametrize("text", inputs.contracts())
def test_the_contracts_that_are_changed_are_sound(text: str) -> None:
    """Those that are built in, and one for each clause."""
    assert read(text.encode(), CONTRACT).contract is not None


def test_no_input_fails() -> None:
    """Two thousand of them, of each kind; many are refused, not all for the same reason, and some are sound."""
    summary, _ = fuzz.measured(2000, seed=7)
    assert [(each.number, each.failure) for each in summary.failures] == []
    assert (summary.inputs, len(summary.by_how)) == (2000, 15)
    assert len(summary.codes) > 20
    assert summary.sound > 100


def test_an_input_is_its_number() -> None:
    """So that a failure can be looked at again."""
    assert [inputs.made(number, 3) for number in range(40)] == [inputs.made(number, 3) for number in range(40)]
    assert inputs.made(5, 3) != inputs.made(5, 4)


GIVEN = Input(b"name = 1\n", False, "by hand")
PLACE = Span(CONTRACT, 1, 8)
FACTS = {"path": "a", "why": "it is so"}


def said(**changes: Any) -> Diagnostic:
    """A diagnostic that is complete, but for some changes."""
    return Diagnostic(**{"code": "E-FILE", "facts": FACTS, "spans": (PLACE,), **changes})


def outcome(
    monkeypatch: pytest.MonkeyPatch, found: Diagnostic | Exception | None, seconds: float = 0.0
) -> fuzz.Outcome:
    """What the fuzzer makes of an input of which one thing is found."""

    def contract(given: Input, diagnostics: list[Diagnostic]) -> bool:
        assert given is GIVEN
        if isinstance(found, Exception):
            raise found
        diagnostics += [] if found is None else [found]
        return False

    ticks: Iterator[float] = (seconds * tick for tick in count())
    monkeypatch.setattr(fuzz, "made", lambda _number, _seed: GIVEN)
    monkeypatch.setattr(fuzz, "_contract", contract)
    monkeypatch.setattr("time.process_time", lambda: next(ticks))
    return fuzz.tried(1, 1)


@pytest.mark.parametrize(
    ("found", "seconds", "failure"),
    [
        (said(), 0.0, ""),
        (said(), 1.9, ""),
        (said(), 2.1, "took 2.1 s"),
        (None, 0.0, "neither sound nor refused"),
        (RuntimeError("out of order"), 0.0, "RuntimeError: out of order"),
        (said(facts={}), 0.0, "KeyError"),
        (said(spans=()), 0.0, "it has no place"),
        (said(spans=(PLACE, PLACE._replace(line=3))), 0.0, "is not in the text"),
        (said(spans=(PLACE._replace(column=10),)), 0.0, "is not in the text"),
        (said(spans=(PLACE._replace(length=4),)), 0.0, "is not in the text"),
        (said(notes=("it is ${why}",)), 0.0, "${why} is missing"),
    ],
)
def test_what_it_notices(
    monkeypatch: pytest.MonkeyPatch, found: Diagnostic | Exception | None, seconds: float, failure: str
) -> None:
    """Errors, time, what is missing of a diagnostic, and places that are none."""
    result = outcome(monkeypatch, found, seconds)
    assert failure in result.failure
    assert bool(failure) == bool(result.failure)
    assert (result.codes == {"E-FILE"}) == (not failure)
