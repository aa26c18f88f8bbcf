"""Resolution over a catalogue: what a request with its demands becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meter.contracts.catalogue import Catalogue, score
from meter.contracts.check import Checked, check
from meter.contracts.command_line import from_words
from meter.contracts.diagnostics import ContractError
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.reader import read
from meter.contracts.request import Request
from meter.core.own_check import EXPORT
from tests.vectors import checkconf, plugins

import tomlkit  # isort: skip

Steps = Sequence[Sequence[str]]


def run(case: Mapping[str, Any]) -> dict[str, Any]:
    """What the product says to the steps."""
    steps: Steps = case["steps"]
    words = {step[0] for step in steps}
    if words == {"score"}:
        return scored(steps[0][1])
    if words == {"dbstatus"}:
        return {"dbstatus": states(catalogue(case), [step[1] for step in steps])}
    if "checkconf" in words:
        return checkconf.run(case)
    known = catalogue(case)
    if unread := faults(known):
        return {"error": ", ".join(unread)}
    return told(check(request(steps), known, Assumed()))


def faults(known: Catalogue) -> list[str]:
    """Codes of what is wrong with contracts by themselves: as `meter check` of their folder says before all else."""
    found = (each for entries in known.entries.values() for entry in entries for each in entry.diagnostics)
    return list(dict.fromkeys(each.code for each in found if each.level == "error"))


def scored(words: str) -> dict[str, Any]:
    """What a plugin with these status words weighs."""
    stated = read(plugins.contract("p", {"status": words.split()}).encode(), "contract.toml")
    if stated.contract is None:
        return {"error": ", ".join(dict.fromkeys(diagnostic.code for diagnostic in stated.diagnostics))}
    return {"score": score(stated.contract)}


def states(known: Catalogue, words: Sequence[str]) -> list[str]:
    """Whether each word is a plugin's, a capability's or nobody's."""
    capabilities = {name for each in known.contracts() for name in each.provides.capabilities}
    return ["real" if w in known.entries else "provides" if w in capabilities else "missing" for w in words]


def demanded(steps: Steps, word: str) -> list[str]:
    """The words of all demands of a kind, each once."""
    return sorted({each for step in steps if step[0] == word for each in step[1].split()})


def options(step: Sequence[str]) -> dict[str, str]:
    """The configuration of an `add` step, `k=v,...`."""
    pairs = [pair.partition("=") for text in step[2:] for pair in text.split(",")]
    return {name: value for name, _, value in pairs if name}


def catalogue(case: Mapping[str, Any]) -> Catalogue:
    """The contracts of a case; each plugin has every option that is given to one."""
    steps: Steps = case["steps"]
    asked = asked_for(steps)
    aliased = [
        word.partition("=")[0] for each in case["given"].values() for word in each.get("alias", ()) if "=" in word
    ]
    names = sorted({name for _, given in asked for name in given} | set(aliased))
    texts = {name: plugins.contract(name, given, names) for name, given in case["given"].items()}
    made = {plugins.metric(word) for given in case["given"].values() for word in given.get("metadata", ())}
    ends = plugins.ends(demanded(steps, "need"), demanded(steps, "recommend"), metrics=made)
    return plugins.catalogue(texts | ends)


def asked_for(steps: Steps) -> list[tuple[str, dict[str, str]]]:
    """The instances that steps ask for, in order, with their configuration.

    Raises: ContractError, a command line is none.
    """
    asked: list[tuple[str, dict[str, str]]] = []
    for step in steps:
        if step[0] in ("add", "lookupprovides"):
            asked.append((step[1], options(step)))
        elif step[0] == "cmdadd":
            spoken, found = from_words("/m", [step[1]], ["meter", "mount", "/m"])
            if spoken is None:
                raise ContractError(found)
            for each in spoken.plugins:
                given = {name: value.raw[0] for name, value in spoken.config[each.label].items()}
                asked.append((each.text, given))
    return asked


def request(steps: Steps) -> Request:
    """The request that steps amount to, as a mount file states it.

    Raises: ContractError, a word of it is none.
    """
    asked = asked_for(steps)
    config: dict[str, dict[str, str]] = {}
    for text, given in asked:
        config.setdefault(text.partition("#")[2] or text, {}).update(given)
    body: dict[str, Any] = {
        "plugins": [plugins.SOURCE, *(text for text, _ in asked), plugins.OUTPUT],
        "want": [plugins.metric(word) for word in demanded(steps, "metadata")],
        "recommends": ["resolve", "0"] not in [list(step) for step in steps],
        "config": {label: given for label, given in config.items() if given},
    }
    parsed = parse_toml(tomlkit.dumps({"mounts": {"/m": body}}).encode(), "meter.toml")
    assert isinstance(parsed, tuple), parsed
    requests, found = from_document(parsed[0], Source("meter.toml", parsed[1]))
    if found:
        raise ContractError(found)
    return requests["/m"]


def told(result: Checked) -> dict[str, Any]:
    """What a check gives, by the names that the cases have for it."""
    errors = [diagnostic for diagnostic in result.diagnostics if diagnostic.level == "error"]
    warnings = sorted({each.code for each in result.diagnostics if each.level == "warning"})
    missing = [each.facts["need"].strip("`") for each in result.diagnostics if each.code == "W-RECOMMEND-MISSING"]
    found: dict[str, Any] = {"missing": sorted(missing), "warn": ", ".join(warnings)}
    if result.plan is not None:
        found |= placed(result.plan.document)
    if errors:
        found["error"] = ", ".join(dict.fromkeys(error.code for error in errors))
        found["cycle"] = errors[0].facts.get("ring", "").replace("`", "").split(" -> ")[:-1]
        found["chain"] = " ".join(errors[0].notes).removeprefix("because asked -> ").split(" -> ")
    return found


def placed(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The instances of a plan in their order, and the first of them."""
    seen = [each for each in plan["plugins"] if not each["plugin"].startswith("hidden-")]
    return {"order": [shown(each) for each in seen], "chosen": seen[0]["plugin"] if seen else None}


def shown(instance: Mapping[str, Any]) -> str:
    """An instance as a case writes it: module, #label where it differs, {config}.

    An option that its own code has set back is none that it was given.
    """
    label, plugin, config = str(instance["instance"]), str(instance["plugin"]), instance["config"]
    given = {name: origin for name, origin in sorted(instance["origins"].items()) if origin != "default"}
    told = ",".join(f"{name}={config[name]}" for name, origin in given.items() if config[name] or origin != EXPORT)
    return plugin + (f"#{label}" if label != plugin else "") + (f"{{{told}}}" if told else "")
