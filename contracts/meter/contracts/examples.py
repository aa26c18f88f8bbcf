"""The examples of CONTRACT.ini tried out: what shows a code, and what is refused with it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Recorded
from meter.contracts.language import Clause, language
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.reader import read

_FILE: Final = "contract.toml"
_BASE: Final[dict[str, Any]] = {"version": "1.0.0", "placement": "source"}
_STATED: Final = {"summary": "s", "author": "a", "licence": "BSD-3-Clause"}
_SHAPE: Final = {"type": "f64", "unit": "1", "kind": "gauge", "resource": ["machine"]}
_HOST: Final = Recorded(
    dict.fromkeys(
        (
            ("readable", "/proc/stat"),
            ("write", "/dev/null"),
            ("read", "/dev/null"),
            ("sysctl", "kernel.perf_event_paranoid<=1"),
            ("event", "software"),
        ),
        "",
    )
)
_REQUEST: Final = '[mounts."/host"]\nplugins = ["probe", "example", "sink"]\n'
_OTHERS: Final[dict[str, dict[str, Any]]] = {"probe": {}, "sink": {"placement": "output"}}
"""Plugins that an example may use without stating them."""


class Example(NamedTuple):
    """What shows a code: the failing example of a `clause`, `mounts` with contracts, or `commands` of a shell."""

    form: str
    text: str
    clause: str = ""


def example_of(code: str) -> Example | None:
    """The example of a code: its own, or that of the first clause whose failing example is refused with it."""
    entry = language().codes[code]
    if entry.example or entry.commands:
        return Example("commands", entry.commands) if entry.commands else Example("mounts", entry.example)
    clauses = (clause for clause in language().clauses.values() if code in clause.codes)
    found = next((clause for clause in clauses if any(each.code == code for each in refused(clause))), None)
    return None if found is None else Example("clause", found.fails, found.name)


def said(code: str, example: Example) -> Diagnostic | None:
    """The diagnostic of a code that an example gives; None for commands, which are not run here."""
    if example.form == "commands":
        return None
    clauses = language().clauses
    path = tuple(example.clause.split("."))
    found = mounted(example.text) if example.form == "mounts" else refused(clauses[path])
    return next((each for each in found if each.code == code), None)


def refused(clause: Clause) -> Iterator[Diagnostic]:
    """What a clause's failing example gives: put over a small contract, read, and checked in a small backend."""
    contract = _contract("example", tomllib.loads(clause.fails), metric="demo.a")
    result = read(contract, _FILE)
    yield from result.diagnostics
    if result.contract is not None:
        yield from _checked(_REQUEST, {"example": contract})


def mounted(text: str) -> Iterator[Diagnostic]:
    """What is to say of the mounts of an example, with the contracts that it states in tables `contracts.NAME`."""
    contracts = tomllib.loads(text).get("contracts", {})
    yield from _checked(text, {name: _contract(name, above) for name, above in contracts.items()})


def stated(text: str) -> frozenset[str]:
    """The plugins that a mount file as an example uses without stating them."""
    document = tomllib.loads(text)
    words = {word for mount in document.get("mounts", {}).values() for word in mount.get("plugins", ())}
    return frozenset(_OTHERS).intersection(word.partition("#")[0] for word in words) - set(
        document.get("contracts", {})
    )


def _checked(text: str, contracts: dict[str, bytes]) -> Iterator[Diagnostic]:
    """What reading the mounts of a text and checking each of them says."""
    others = {name: _contract(name, above) for name, above in _OTHERS.items()}
    catalogue = Catalogue.of((name, f"{name}/{_FILE}", data) for name, data in {**others, **contracts}.items())
    parsed = parse_toml(text.encode(), "meter.toml")
    assert not isinstance(parsed, Diagnostic)
    document = {name: value for name, value in parsed[0].items() if name != "contracts"}
    requests, found = from_document(document, Source("meter.toml", text))
    yield from found
    for mountpoint in sorted(requests):
        yield from check(requests[mountpoint], catalogue, _HOST).diagnostics


def _contract(name: str, above: dict[str, Any], metric: str = "") -> bytes:
    """A contract that states what it has to, as a source one metric, with what an example says over it."""
    import tomlkit  # writes contracts of examples; only this needs it

    below: dict[str, Any] = {"name": name, **_BASE, **_STATED}
    if above.get("placement", "source") == "source":
        below["provides"] = {"metrics": [{"name": metric or f"{name}.value", **_SHAPE}]}
    return tomlkit.dumps(_over(below, above)).encode()


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables joined, anything else replaced."""
    joined = {
        name: _over(below[name], value) if isinstance(value, dict) and isinstance(below.get(name), dict) else value
        for name, value in above.items()
    }
    return {**below, **joined}
