"""Plugins that are put into a backend one by one: who may be there, and in which order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked, check
from meter.contracts.host import Assumed
from meter.core.inspection import examine
from tests.vectors import builder, code, places, plugins

Case = Mapping[str, Any]


def run(case: Case) -> dict[str, Any]:
    """What the product says to the backend, and to each step of it that asks whether it is complete."""
    added: list[str] = []
    valid: list[bool] = []
    for word, *rest in case["steps"]:
        if word == "badd":
            added += rest
        elif word == "bvalid":
            valid.append(not faults(case, added))
    found: dict[str, Any] = {"valid": valid} if valid else {}
    if wrong := faults(case, added):
        return {**found, "error": ", ".join(wrong)}
    return {**found, "accepted": True, "order": order(case, added)}


def faults(case: Case, added: Sequence[str]) -> list[str]:
    """Codes of what is wrong with the backend as a whole, and with the code of its plugins."""
    known = catalogue(case, ordered=False)
    result = checked(known, added)
    wrong = [each.code for each in result.diagnostics if each.level == "error"]
    wrong += [fault for name in added for fault in code_faults(case, known, name)]
    return list(dict.fromkeys(wrong))


def code_faults(case: Case, known: Catalogue, name: str) -> Iterator[str]:
    """Codes of what the code of a plugin is not that its places demand."""
    entries = known.entries.get(name, ())
    if not entries or entries[0].contract is None:
        return
    given = case["given"][name]
    exported = code.exports(given)
    public = [function for function in given.get("functions", code.FUNCTIONS) if function in exported]
    with tempfile.TemporaryDirectory() as folder:
        plugins.write(folder, {name: {"contract": "", "code": code.module(public, exported.values())}})
        path = str(Path(folder) / name / "contract.toml")
        yield from (each.code for each in examine(entries[0].contract, path) if each.level == "error")


def order(case: Case, added: Sequence[str]) -> list[str]:
    """The plugins as they were put in, those of each place in the order of its chain."""
    out = list(added)
    known = catalogue(case, ordered=True)
    for place in sorted({place for name in added for place in case["given"][name].get("places", ())}):
        members = [name for name in added if place in case["given"][name].get("places", ())]
        chain = iter(checked(known, members).require().document["order"][1:-1])
        out = [next(chain) if name in members else name for name in out]
    return out


def checked(known: Catalogue, added: Sequence[str]) -> Checked:
    """The check of a mount with some plugins."""
    return check(builder.request([["add", name] for name in added]), known, Assumed())


def catalogue(case: Case, *, ordered: bool) -> Catalogue:
    """The contracts of a case, with what they say of order or without."""
    shared = {option for given in case["given"].values() for option in given.get("config_needs", ())}
    texts = {name: tomlkit.dumps(stated(name, given, ordered=ordered)) for name, given in case["given"].items()}
    return plugins.catalogue(texts | plugins.ends(shared=sorted(shared)))


def stated(name: str, given: Mapping[str, Any], *, ordered: bool) -> dict[str, Any]:
    """The contract of a plugin, which exports what its places call; without what a case says it lacks."""
    if given.get("infos") is False:
        return {"name": name}
    out = plugins.document(name, given if ordered else {**given, "before": ()})
    if "places" not in given:
        del out["placement"]
        return out
    out["placement"] = places.placement(given["places"])
    demanded = {function: function for function in places.calls(given["places"])}
    return {**out, "exports": code.clause({**demanded, **code.exports(given)})}
