"""What an author is told of a plugin: its contract and its code."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import tomlkit

from meter.contracts.diagnostics import Diagnostic
from meter.core.discovery import read_folder
from meter.core.inspection import inspect
from tests.vectors import code, places, plugins


def run(case: Mapping[str, Any]) -> dict[str, Any]:
    """The first error, else how many things are missing or not as they should be."""
    ((_, name),) = case["steps"]
    given = case["given"][name]
    exported = code.exports(given)
    text = code.module(given.get("functions", list(exported)), exported.values())
    with tempfile.TemporaryDirectory() as folder:
        plugins.write(folder, {name: {"contract": tomlkit.dumps(stated(name, given)), "code": text}})
        found = [*read_folder(folder), *inspect(folder)]
    errors = list(dict.fromkeys(diagnostic.code for diagnostic in found if diagnostic.level == "error"))
    return {"error": ", ".join(errors)} if errors else {"warnings": sum(map(things, found))}


def stated(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The contract: only what the case states is in it."""
    out = plugins.document(name, given)
    for clause in plugins.STATED:
        del out[clause]
    out |= {word: given[of] for word, of in (("author", "author"), ("summary", "description")) if of in given}
    if "licence" in given:
        out["licence"] = {"BSD": "BSD-3-Clause"}.get(given["licence"], given["licence"])  # the one that Elektra has
    if "status" not in given:
        del out["status"]
    if "places" in given:
        out["placement"] = places.placement(given["places"])
    else:
        del out["placement"]
    if given.get("version") is not None:
        version = int(given["version"])
        out["interface"] = f">={version},<{version + 1}"
    return {**out, "exports": code.clause(code.exports(given))}


def things(warning: Diagnostic) -> int:
    """How many things one diagnostic names: clauses that are missing, marks of an address."""
    named = warning.facts.get("clauses") or warning.facts.get("lacking") or "`one`"
    return named.count("`") // 2
