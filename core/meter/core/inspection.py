"""Inspection: what the author of a plugin should know of it, beyond what its contract says wrong.

The code is imported and compared with the contract, which only the author asks for: a check of mounts runs no plugin.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.language import language
from meter.contracts.lint import lint
from meter.core.discovery import contract_files, read_file
from meter.core.faults import described
from meter.core.loading import ExportFault, load_class, load_function

if TYPE_CHECKING:
    from meter.contracts.model import Contract


def inspect(target: str) -> list[Diagnostic]:
    """Advice about the sound contracts at a place, and in what their code is not as they say."""
    found: list[Diagnostic] = []
    try:
        paths = contract_files(target)
    except OSError:
        return []  # said when it is read
    for path in paths:
        contract = read_file(path).contract
        if contract is not None:
            found += [*lint(contract), *examine(contract, path)]
    return found


def examine(contract: Contract, path: str) -> Iterator[Diagnostic]:
    """What of the exports of a contract is not there, or not what it has to be; hooks that are not exported."""
    entries = language().words["entry"]
    sound = True
    for name, export in sorted(contract.exports.items()):
        says = entries.get(name, {})
        role = contract.role
        arguments = int(says["arguments"]) if "arguments" in says else None
        try:
            if says.get("form") == "class":
                load_class(contract.name, path, export, role)
            else:
                load_function(contract.name, path, export, arguments)
        except ExportFault as fault:
            sound = False
            facts = {"plugin": contract.name, "export": export, "why": fault.why}
            yield _said(contract, name, fault.code, facts)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything on import, SystemExit included)
            sound = False
            facts = {"instance": contract.name, "phase": "load", "why": described(error)}
            yield _said(contract, name, "E-PLUGIN-RAISED", facts)
    if sound:
        yield from _unused(contract, path)


def _unused(contract: Contract, path: str) -> Iterator[Diagnostic]:
    """W-EXPORT-UNUSED: the module of the class has a function that would be called if it were exported."""
    module = contract.exports["plugin"].partition(":")[0]
    for name, says in language().words["entry"].items():
        if says["form"] == "class" or name in contract.exports:
            continue
        export = f"{module}:{name}"
        try:
            load_function(contract.name, path, export, int(says["arguments"]))
        except ExportFault:
            continue
        facts = {"plugin": contract.name, "name": name, "export": export}
        yield _said(contract, "", "W-EXPORT-UNUSED", facts)


def _said(contract: Contract, export: str, code: str, facts: dict[str, str]) -> Diagnostic:
    """A diagnostic about an export, at its place where the contract states it."""
    source = contract.source
    stated = export in tomllib.loads(source.text).get("exports", {})
    span = source.value("exports", export) if stated else source.key()
    return Diagnostic(code=code, facts=facts, spans=(span,), clause="exports")
