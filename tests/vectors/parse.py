"""The text of a command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meter.contracts.command_line import from_words
from meter.contracts.request import Request


def run(case: Mapping[str, Any]) -> dict[str, Any]:
    """The instances that the text asks for, or what is wrong with it."""
    ((_, text),) = case["steps"]
    request, diagnostics = from_words("/m", [text], ["meter", "mount", "/m"])
    if request is None:
        return {"error": ", ".join(dict.fromkeys(diagnostic.code for diagnostic in diagnostics))}
    return {"parsed": shown(request)}


def shown(request: Request) -> list[str]:
    """The instances as the cases write them: plugin, #label where it is another word, {options}."""
    out = []
    for asked in request.plugins:
        options = request.config.get(asked.label, {})
        given = ",".join(f"{name}={value}" for name in sorted(options) for value in options[name].raw)
        label = "" if asked.label == asked.name else f"#{asked.label}"
        out.append(f"{asked.name}{label}" + (f"{{{given}}}" if given else ""))
    return out
