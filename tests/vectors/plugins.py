"""The plugins of cases as contracts, and as folders with code.

A case knows no measurements: its plugins are filters with a rule for each metadata name, and a source and an output
stand beside them unseen. What has to be there without being asked for is needed, or recommended, by that output.
What a plugin hands to the shared configuration goes to the capability `shared`, which the output provides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import tomlkit

from meter.contracts import keynames
from meter.contracts.catalogue import Catalogue

Given = Mapping[str, Any]

SOURCE: Final = "hidden-source"
OUTPUT: Final = "hidden-output"
SHARED: Final = "shared"
METRIC: Final = "hidden"
STATED: Final = {"summary": "s", "author": "A <a@example.org>", "licence": "MIT"}


def document(name: str, given: Given, options: Iterable[str] = (), placement: str = "filter") -> dict[str, Any]:
    """The contract of a case's plugin; `options` are those that some step gives a value."""
    out: dict[str, Any] = {"name": name, "version": "1.0.0", "placement": placement, **STATED}
    out["status"] = list(given.get("status", ()))
    out["provides"] = {"capabilities": {word: "1.0" for word in given.get("provides", ()) if word != name}}
    out["needs"] = {
        "capabilities": dict.fromkeys(given.get("needs", ()), "*"),
        "metrics": [
            {"metric": raw(metric(word)), "gives": {"name": metric(word), "attributes": {"plugin": name}}}
            for word in given.get("metadata", ())
        ],
    }
    out["recommends"] = dict.fromkeys(given.get("recommends", ()), "*")
    out["conflicts"] = dict.fromkeys(given.get("conflicts", ()), "*")
    out["ordering"] = {"before": list(given.get("before", ()))}
    out["alias"] = list(given.get("alias", ()))
    out["config_for"] = {SHARED: dict(given["config_needs"])} if given.get("config_needs") else {}
    out["config"] = {option: {"type": "str", "default": ""} for option in options}
    return out


def contract(name: str, given: Given, options: Iterable[str] = (), placement: str = "filter") -> str:
    """The same as a text."""
    return tomlkit.dumps(document(name, given, options, placement))


def metric(metadata: str) -> str:
    """The metric that a metadata name is here. A name with the index of an element stands for the whole array."""
    parts = keynames.split(metadata)
    return "/".join("_" if part == "#" or keynames.element(part) is not None else part for part in parts)


def raw(name: str) -> str:
    """The metric that a plugin makes another one of."""
    return f"{METRIC}/{name}"


def ends(
    needs: Sequence[str] = (), recommends: Sequence[str] = (), shared: Iterable[str] = (), metrics: Iterable[str] = ()
) -> dict[str, str]:
    """The contracts of the source and the output that every case has; `metrics` are those that plugins make."""
    source = document(SOURCE, {}, placement="source")
    stated = {"type": "f64", "unit": "1", "kind": "gauge", "resource": ["machine"]}
    names = [METRIC, *sorted(set(map(raw, metrics)))]
    source |= {"provides": {"metrics": [{"name": name, **stated} for name in names]}, "needs": {}}
    output = document(OUTPUT, {"needs": needs, "recommends": recommends, "provides": [SHARED]}, shared, "output")
    del output["needs"]["metrics"]  # as a placement implies them: all that comes
    return {SOURCE: tomlkit.dumps(source), OUTPUT: tomlkit.dumps(output)}


def catalogue(texts: Mapping[str, str]) -> Catalogue:
    """The contracts of a case, none of which is a file."""
    return Catalogue.of((name, f"{name}/contract.toml", text.encode()) for name, text in texts.items())


def write(folder: str, files: Mapping[str, Mapping[str, str]]) -> None:
    """Folders of plugins: for each the text of its contract, and that of its code where it has some."""
    for name, texts in files.items():
        place = Path(folder) / name
        place.mkdir()
        (place / "contract.toml").write_text(texts["contract"], encoding="utf-8")
        if "code" in texts:
            (place / "plugin.py").write_text(texts["code"], encoding="utf-8")
