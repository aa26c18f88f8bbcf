"""The cases of a vector file against the checker: `python -m tests.vectors FILE` says of each whether it passes.

A case gives plugins as neutral clauses (provides, needs, before, status) and steps as a user would take them. Here each
plugin becomes a contract and the steps a request. The plugins have no role of their own: all are filters, and a source
and an output stand beside them unseen. What has to be in the backend without being asked (`need`) is needed by that
output. A status word that the language does not have weighs nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from meter.contracts.catalogue import Catalogue, Entry
from meter.contracts.check import Checked, check
from meter.contracts.host import Assumed
from meter.contracts.language import language
from meter.contracts.model import Source
from meter.contracts.reader import parse_toml, read
from meter.contracts.request import Request, from_document

Case = Mapping[str, Any]

SOURCE: Final = "hidden-source"
OUTPUT: Final = "hidden-output"
STATED: Final = 'summary = "s"\nauthor = "a"\nlicence = "MIT"\n'
METRIC: Final = "{ name = 'hidden', type = 'f64', unit = '1', kind = 'gauge', resource = ['machine'] }"


def quoted(words: Sequence[str]) -> str:
    """A TOML array of texts."""
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def contract(name: str, clauses: Mapping[str, Sequence[str]], options: Sequence[str]) -> str:
    """The contract of a case's plugin."""
    status = [word for word in clauses.get("status", ()) if word in language().words["status"]]
    lines = [f"name = '{name}'", "version = '1.0.0'", "placement = 'filter'", STATED, f"status = {quoted(status)}"]
    lines += [f"provides.capabilities.'{word}' = '1.0'" for word in clauses.get("provides", ()) if word != name]
    lines += [f"needs.capabilities.'{word}' = '*'" for word in clauses.get("needs", ())]
    lines.append(f"ordering.before = {quoted(clauses.get('before', ()))}")
    lines += [f"config.'{option}' = {{ type = 'str', default = '' }}" for option in options]
    return "\n".join(lines)


def hidden(needs: Sequence[str]) -> dict[str, str]:
    """The source and the output that every case has."""
    both = f"version = '1.0.0'\n{STATED}"
    source = f"name = '{SOURCE}'\nplacement = 'source'\n{both}provides.metrics = [{METRIC}]\n"
    output = f"name = '{OUTPUT}'\nplacement = 'output'\n{both}"
    return {SOURCE: source, OUTPUT: output + "".join(f"needs.capabilities.'{need}' = '*'\n" for need in needs)}


def options(step: Sequence[str]) -> dict[str, str]:
    """The configuration of an `add` step, `k=v,...`."""
    pairs = [pair.partition("=") for text in step[2:] for pair in text.split(",")]
    return {name: value for name, _, value in pairs if name}


def catalogue(case: Case) -> Catalogue:
    """The contracts of a case."""
    steps = case["steps"]
    names = sorted({name for step in steps if step[0] == "add" for name in options(step)})
    needs = sorted({word for step in steps if step[0] == "need" for word in step[1].split()})
    texts = {name: contract(name, clauses, names) for name, clauses in case["given"].items()} | hidden(needs)
    entries = {}
    for name, text in sorted(texts.items()):
        path = f"{name}/contract.toml"
        result = read(text.encode(), path)
        entry = Entry(name=name, path=path, contract=result.contract, diagnostics=result.diagnostics)
        entries[name] = (entry,)
    return Catalogue(entries=entries)


def request(case: Case) -> Request:
    """The request that a case's steps amount to."""
    added = [step for step in case["steps"] if step[0] in ("add", "lookupprovides")]
    plugins = [SOURCE, *(step[1] for step in added), OUTPUT]
    lines = ["[mounts.'/m']", f"plugins = {quoted(plugins)}"]
    for step in added:
        label = step[1].partition("#")[2] or step[1]
        lines += [f"config.'{label}'.'{name}' = '{value}'" for name, value in options(step).items()]
    parsed = parse_toml("\n".join(lines).encode(), "case")
    assert isinstance(parsed, tuple), parsed
    requests, faults = from_document(parsed[0], Source("case", parsed[1]))
    assert not faults, faults
    return requests["/m"]


def shown(instance: Mapping[str, Any]) -> str:
    """An instance as a case writes it: module, #label where it differs, {config}."""
    label, plugin = str(instance["instance"]), str(instance["plugin"])
    asked = [name for name, origin in sorted(instance["origins"].items()) if origin == "asked"]
    config = ",".join(f"{name}={instance['config'][name]}" for name in asked)
    return plugin + (f"#{label}" if label != plugin else "") + (f"{{{config}}}" if config else "")


def differences(expect: Mapping[str, Any], result: Checked) -> list[str]:
    """What a check does not give as a case expects it."""
    errors = [diagnostic for diagnostic in result.diagnostics if diagnostic.level == "error"]
    warnings = sorted({diagnostic.code for diagnostic in result.diagnostics} - {error.code for error in errors})
    found: dict[str, Any] = {"missing": []}
    if result.plan is not None:
        instances = [each for each in result.plan.document["plugins"] if not each["plugin"].startswith("hidden-")]
        found["order"] = [shown(each) for each in instances]
        found["chosen"] = next((each["plugin"] for each in instances), None)
    if errors:
        found["error"] = errors[0].code
        notes = " ".join(errors[0].notes)
        found["cycle"] = errors[0].facts.get("ring", "").replace("`", "").split(" -> ")[:-1]
        found["chain"] = notes.removeprefix("because asked -> ").split(" -> ")
    found["warn"] = ", ".join(warnings)
    wrong = [
        f"{key}: {found.get(key)} instead of {wanted}" for key, wanted in expect.items() if found.get(key) != wanted
    ]
    if len(errors) > 1:
        wrong.append(f"more than one error: {[error.code for error in errors]}")
    if "warn" not in expect and warnings:
        wrong.append(f"warnings: {warnings}")
    return wrong


def states(case: Case) -> list[str]:
    """What `dbstatus` asks: whether a name is a plugin's, a capability's or nobody's."""
    known = catalogue(case)
    capabilities = {name for each in known.contracts() for name in each.provides.capabilities}
    words = [step[1] for step in case["steps"]]
    return ["real" if w in known.entries else "provides" if w in capabilities else "missing" for w in words]


def run(case: Case) -> list[str]:
    """What is wrong with a case; empty where it passes."""
    expect = case["meter"]["expect"]
    if all(step[0] == "dbstatus" for step in case["steps"]):
        found = states(case)
        return [] if found == expect["dbstatus"] else [f"{found} instead of {expect['dbstatus']}"]
    return differences(expect, check(request(case), catalogue(case), Assumed()))


def main(arguments: Sequence[str]) -> int:
    """Print a line for each case; 1 when one fails."""
    cases = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))["cases"]
    failed = 0
    for case in cases:
        wrong = run(case)
        failed += bool(wrong)
        print(f"{case['id']}: {'failed: ' + '; '.join(wrong) if wrong else 'passed'}")  # noqa: T201 a command's output
    print(f"{len(cases) - failed} of {len(cases)} passed")  # noqa: T201 a command's output
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
