"""The examples of CONTRACT.ini tried out: what is refused with a code."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any, Final

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.host import Recorded
from meter.contracts.language import Clause, language
from meter.contracts.model import Source
from meter.contracts.reader import parse_toml, read
from meter.contracts.request import from_document

_FILE: Final = "contract.toml"
_BASE: Final[dict[str, Any]] = {"name": "example", "version": "1.0.0", "placement": "source"}
_STATED: Final = {"summary": "s", "author": "a", "licence": "BSD-3-Clause"}
_SHAPE: Final = {"type": "f64", "unit": "1", "kind": "gauge", "resource": ["machine"]}
_HOST: Final = Recorded({("readable", "/proc/stat"): "", ("write", "/dev/null"): "", ("read", "/dev/null"): ""})
_REQUEST: Final = b'[mounts."/host"]\nplugins = ["probe", "example", "sink"]\n'


def refused(code: str) -> Clause | None:
    """The first clause whose failing example is refused with a code; None where there is none."""
    clauses = (clause for clause in language().clauses.values() if code in clause.codes)
    return next((clause for clause in clauses if any(each.code == code for each in _said(clause))), None)


def _said(clause: Clause) -> Iterator[Diagnostic]:
    """What a clause's failing example gives: put over a small contract, read, and checked in a small backend."""
    import tomlkit  # writes the example's contract; only this needs it

    above = tomllib.loads(clause.fails)
    below: dict[str, Any] = {**_BASE, **_STATED}
    if above.get("placement", "source") == "source":
        below["provides"] = {"metrics": [{"name": "demo.a", **_SHAPE}]}
    document = _over(below, above)
    result = read(tomlkit.dumps(document).encode(), _FILE)
    yield from result.diagnostics
    if result.contract is None:
        return
    probe = {**_BASE, "name": "probe", "provides": {"metrics": [{"name": "probe.value", **_SHAPE}]}}
    sink = {**_BASE, "name": "sink", "placement": "output"}
    catalogue = Catalogue.of(
        (each["name"], f"{each['name']}/{_FILE}", tomlkit.dumps(each).encode()) for each in (document, probe, sink)
    )
    parsed = parse_toml(_REQUEST, "meter.toml")
    assert not isinstance(parsed, Diagnostic)
    requests, _ = from_document(parsed[0], Source("meter.toml", parsed[1]))
    yield from check(requests["/host"], catalogue, _HOST).diagnostics


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables joined, anything else replaced."""
    joined = {
        name: _over(below[name], value) if isinstance(value, dict) and isinstance(below.get(name), dict) else value
        for name, value in above.items()
    }
    return {**below, **joined}
