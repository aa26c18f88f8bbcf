"""Completion: a request with what the own code of trusted plugins makes of their configuration.

Only whoever mounts completes; a check imports no plugin. What is completed is written into the mount file together
with the plan, so that it stands there for everybody to see and a start finds nothing left to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from attrs import evolve

from meter.contracts import options
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked
from meter.contracts.diagnostics import ContractError, Diagnostic
from meter.contracts.editing.written import plain, written
from meter.contracts.model import Contract
from meter.contracts.request import Given, Request
from meter.contracts.spans import Span
from meter.core import own_check
from meter.core.discovery import is_trusted
from meter.core.faults import described
from meter.core.loading import ExportFault
from meter.core.own_check import EXPORT, ConfigMismatch, ConfigRefused

Values = dict[str, dict[str, Any]]
"""For each instance values of options, as TOML has them."""


class Completed(NamedTuple):
    """A checked request, and what of it the plugins' own code has completed."""

    request: Request
    checked: Checked
    values: Values


def complete(
    request: Request, catalogue: Catalogue, checked: Checked, check: Callable[[Request], Checked]
) -> Completed:
    """Complete a checked request until no plugin wants to change anything more; each is heard once.

    Args: `check` checks the request anew, with what was completed.
    Raises: ContractError: the request is refused, by the check or by a plugin's own code.
    """
    values: Values = {}
    while True:
        if checked.plan is None:
            notes = tuple(_note(label, name, value) for label, table in values.items() for name, value in table.items())
            raise ContractError([evolve(each, notes=(*each.notes, *notes)) for each in checked.diagnostics])
        found: list[Diagnostic] = []
        changes: Values = {}
        for plugin in checked.plan.document["plugins"]:
            entry = catalogue.entries[plugin["plugin"]][0]
            if EXPORT not in plugin["exports"] or not is_trusted(entry.path):
                continue
            assert entry.contract is not None
            answer = _heard(plugin, entry.contract, entry.path, again=plugin["instance"] in values)
            if isinstance(answer, Diagnostic):
                spans = (_place(request, plugin["instance"]), entry.contract.source.value("exports", EXPORT))
                found.append(evolve(answer, spans=spans))
            elif answer:
                changes[plugin["instance"]] = answer
        if found:
            raise ContractError([*checked.diagnostics, *found])
        if not changes:
            own_check.mark(checked.plan.document, values)
            return Completed(request, checked, values)
        values |= changes
        request = _changed(request, changes)
        checked = check(request)


def _heard(plugin: Mapping[str, Any], contract: Contract, path: str, *, again: bool) -> dict[str, Any] | Diagnostic:
    """What a plugin's own code changes, or what is wrong, without a place.

    Args: `again`, it was heard before: what it has completed has to be as it wants it.
    """
    try:
        wanted = _wanted(plugin, contract, path)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (a plugin may raise anything)
        return _told(plugin, error)
    if wanted and again:
        return _told(plugin, ConfigMismatch("unsteady", option=min(wanted)))
    return wanted


def _told(plugin: Mapping[str, Any], error: BaseException) -> Diagnostic:
    facts = {"instance": plugin["instance"], "plugin": plugin["plugin"]}
    if isinstance(error, ConfigRefused):
        return Diagnostic(code="E-CONFIG-REFUSED", facts={**facts, "why": error.why}, clause="exports")
    if isinstance(error, ConfigMismatch):
        every = {"option": "", "got": "", "wanted": "", **error.facts}
        return Diagnostic(code="E-EXPORT-MISMATCH", variant=error.variant, facts={**facts, **every}, clause="exports")
    if isinstance(error, ExportFault):
        faulty = {**facts, "export": error.export, "why": error.why}
        return Diagnostic(code=error.code, facts=faulty, clause="exports")
    raised = {**facts, "phase": EXPORT, "why": described(error)}
    return Diagnostic(code="E-PLUGIN-RAISED", facts=raised, clause="exports")


def _wanted(plugin: Mapping[str, Any], contract: Contract, path: str) -> dict[str, Any]:
    """What a plugin's own code changes, as TOML has it.

    Raises: as `own_check.ask`; ConfigMismatch, a value is none of its option.
    """
    wanted = {}
    for name, value in sorted(own_check.ask(plugin, path).items()):
        option = contract.config[name]
        raw = plain(value, option.type)
        try:
            if options.canonical(option, raw) == plugin["config"][name]:
                continue
        except options.OptionError as problem:
            diagnostic = Diagnostic(code=problem.code, facts=problem.facts, variant=problem.variant)
            got = options.kind_of(raw) if problem.hidden else options.describe(raw)
            raise ConfigMismatch("value", option=name, got=got, wanted=diagnostic.text("label")) from problem
        wanted[name] = raw
    return wanted


def _place(request: Request, label: str) -> Span:
    """Where the configuration of an instance stands, else where it was asked for, else the request."""
    return next(iter(request.labels.get(label, ())), request.asked_at(label))


def _changed(request: Request, changes: Values) -> Request:
    """A request with other values."""
    config = {label: dict(table) for label, table in request.config.items()}
    for label, values in changes.items():
        for name, raw in values.items():
            old = config.get(label, {}).get(name)
            span = _place(request, label) if old is None else old.locate(())
            config.setdefault(label, {})[name] = Given(raw=raw, keys=(span,), locate=_everywhere(span))
    return evolve(request, config=config)


def _everywhere(span: Span) -> Callable[[tuple[str | int, ...]], Span]:
    return lambda _: span


def _note(label: str, name: str, value: Any) -> str:
    from meter.contracts.language import language  # loaded, as there is a check

    return language().phrase("note", "completed", instance=label, option=name, value=written(value, ""))


def lines(values: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What was completed, in a line for each option."""
    for label, table in sorted(values.items()):
        for name, value in sorted(table.items()):
            yield _note(label, name, value)
