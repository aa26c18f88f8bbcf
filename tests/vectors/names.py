"""The name of a plugin: its contract has to be able to state it, and a request to ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meter.contracts.command_line import from_words
from meter.contracts.reader import read
from tests.vectors import plugins


def run(case: Mapping[str, Any]) -> dict[str, Any]:
    """Plugin and label that the text names, or what is wrong with it."""
    ((_, text),) = case["steps"]
    request, found = from_words("/m", [plugins.SOURCE, text], ["meter", "mount", "/m"])
    if request is None:
        return {"error": ", ".join(dict.fromkeys(diagnostic.code for diagnostic in found))}
    _, asked = request.plugins
    stated = read(plugins.contract(asked.name, {}).encode(), "contract.toml")
    if stated.contract is None:
        return {"error": ", ".join(dict.fromkeys(diagnostic.code for diagnostic in stated.diagnostics))}
    return {"module": asked.name, "label": asked.label, "ok": True}
