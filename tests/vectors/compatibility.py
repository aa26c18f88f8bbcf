"""The cases of a compatibility file: a base contract with two sets of changes, and what the new one is to the old one.

A change sets a dotted path of the base; null deletes, a path that ends in `.+` appends to a list, one that ends in `@`
has dots that belong to its last key. The contracts are compared as far as they can be read: a case may take away what a
contract needs for a mount.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from meter.contracts.language import language
from meter.contracts.model import Contract, Source
from meter.contracts.reader import recall
from meter.contracts.replacement.compatibility import Comparison, compare
from meter.contracts.replacement.facts import MountFacts
from tests.vectors import Outcome

Case = Mapping[str, Any]

KNOWN: Final = frozenset({"interface", "order", "plugins", "capabilities", "provides", "config", "claims", "label"})
"""What a case may know of a mount; anything else is not understood, and so not known."""


def outcomes(document: Mapping[str, Any]) -> Iterator[Outcome]:
    """Run each case against the bases of the file."""
    for case in document["cases"]:
        yield Outcome(case["id"], case["base"], _wrong(case, document["bases"]))


def _wrong(case: Case, bases: Mapping[str, Any]) -> list[str]:
    """What is wrong with a case; one that cannot be run does not stop the others."""
    try:
        return run(case, bases)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the result of this case)
        return [f"{type(error).__name__}: {error}"]


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A base with paths set."""
    document: dict[str, Any] = copy.deepcopy(dict(base))
    for path, value in changes.items():
        _set(document, path, copy.deepcopy(value))
    return document


def _set(document: Any, path: str, value: Any) -> None:
    *above, last = _dotted(path[:-1]) if path.endswith("@") else path.split(".")
    for part in above:
        document = document[int(part)] if isinstance(document, list) else document.setdefault(part, {})
    if last == "+":
        document.append(value)
    elif value is None:
        del document[int(last) if isinstance(document, list) else last]
    elif isinstance(document, list):
        document[int(last)] = value
    else:
        document[last] = value


def _dotted(path: str) -> list[str]:
    """The keys of a path whose last key has dots in it: it begins behind the clause that holds names."""
    parts = path.split(".")
    above: tuple[str, ...] = ()
    for place, part in enumerate(parts):
        clause = language().clauses.get((*above, part))
        if clause is None and not part.isdigit():
            return [*parts[:place], ".".join(parts[place:])]
        if clause is not None:
            above = clause.path
            if clause.type.startswith("map<"):
                return [*parts[: place + 1], ".".join(parts[place + 1 :])]
    return parts


def contract(document: dict[str, Any], name: str) -> Contract:
    """The contract of a document."""
    found = recall(document, Source(f"{name}/contract.toml", ""))
    if found is None:
        raise ValueError(f"the {name} contract has a clause of another type, or lacks an obligatory one")
    return found


def facts(mount: Mapping[str, Any] | None, plugin: str) -> MountFacts | None:
    """What a case knows of the mount; names of instances are those of their plugins."""
    if mount is None:
        return None
    order = mount.get("order")
    names = [*mount.get("plugins", []), *(order or [])]
    others = {name: {name: ""} for name in names if name != plugin}
    capabilities = mount.get("capabilities", mount.get("provides", {}))
    if isinstance(capabilities, list):
        capabilities = dict.fromkeys(capabilities, "")
    known = any(key in mount for key in ("plugins", "capabilities", "provides"))
    if capabilities:
        others["others"] = dict(capabilities)
    config = mount.get("config")
    if isinstance(config, dict) and isinstance(config.get(plugin), dict):
        config = config[plugin]
    return MountFacts(
        label=str(mount.get("label", "")),
        interface=mount.get("interface"),
        order=None if order is None else tuple(order),
        others=others if known else None,
        config=config,
        claims=None if "claims" not in mount else tuple(mount["claims"]),
    )


def comparison(case: Case, bases: Mapping[str, Any]) -> Comparison:
    """What a case compares."""
    old, new = (contract(changed(bases[case["base"]], case[side]), side) for side in ("old", "new"))
    return compare(old, new, facts(case["mount"], old.name))


def run(case: Case, bases: Mapping[str, Any]) -> list[str]:
    """What is not as a case expects it; empty where it passes."""
    found = comparison(case, bases)
    wrong = []
    if found.level != case["class"]:
        rules = ", ".join(change.rule.name for change in found.changes) or "no change"
        wrong.append(f"{found.level} ({rules}) instead of {case['class']}")
    elif found.changes and found.owed != language().words["class"][case["class"]]["step"]:
        wrong.append(f"owes {found.owed}")
    strange = sorted((case["mount"] or {}).keys() - KNOWN)
    return [*wrong, f"not understood of the mount: {', '.join(strange)}"] if wrong and strange else wrong
