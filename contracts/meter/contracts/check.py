"""Checking: one pure function from request, catalogue and host facts to a plan or diagnostics.

No clock, no files, no hash order: equal inputs give equal bytes. Each stage takes values and gives values; all errors
of a stage are said at once, and a stage begins only on what the one before found sound.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from attrs import frozen

from meter.contracts import plan as plans
from meter.contracts.catalogue import Catalogue
from meter.contracts.collector import uncollected
from meter.contracts.diagnostics import ContractError, Diagnostic
from meter.contracts.flow import flow
from meter.contracts.host import ENVIRONMENT, READ, WRITE, Host, reason, remedy
from meter.contracts.host_needs import host_faults, python_faults, told, told_of_alternatives
from meter.contracts.instances import Instance, configure, strangers
from meter.contracts.language import language
from meter.contracts.order import order
from meter.contracts.plan import Plan
from meter.contracts.request import At, Request
from meter.contracts.resolve import resolve
from meter.contracts.rules import PLACEHOLDER
from meter.contracts.spans import Span


@frozen(kw_only=True)
class Checked:
    """A plan, or none and at least one error; warnings in both cases; sorted by place."""

    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]

    def require(self) -> Plan:
        """The plan.

        Raises: ContractError with every diagnostic where there is none.
        """
        if self.plan is None:
            raise ContractError(self.diagnostics)
        return self.plan


def _end(found: Sequence[Diagnostic], plan: Plan | None = None) -> Checked:
    once: list[Diagnostic] = []
    for diagnostic in sorted(found, key=Diagnostic.order):
        if diagnostic not in once[-1:]:  # two instances of one plugin have one contract
            once.append(diagnostic)
    return Checked(plan=plan, diagnostics=tuple(once))


def _failed(found: Sequence[Diagnostic]) -> bool:
    return any(diagnostic.level == "error" for diagnostic in found)


def check(request: Request, catalogue: Catalogue, host: Host) -> Checked:
    """Check a request: resolve, configure, order, flow, host."""
    with uncollected():
        return _check(request, catalogue, host)


def _check(request: Request, catalogue: Catalogue, host: Host) -> Checked:
    resolved = resolve(request, catalogue, host)
    found = list(resolved.diagnostics)
    if not _failed(found):
        found += strangers(request, {instance.label for instance in resolved.instances})
    for instance in resolved.instances:
        found += configure(instance, request.config.get(instance.label, {}))
    if _failed(found):
        return _end(found)
    ordered = order(resolved.instances, request)
    found += ordered.diagnostics
    if _failed(found):
        return _end(found)
    by_label = {instance.label: instance for instance in resolved.instances}
    chain = [by_label[label] for label in ordered.order]
    flowed = flow(chain, catalogue, request.config)
    found += flowed.diagnostics
    for instance in chain:
        found += _on_host(instance, request, host)
        found += _durability(instance, request)
    found += _claims(chain, request)
    if _failed(found):
        return _end(found)
    plan = plans.make(request.mountpoint, chain, ordered.edges, flowed.schema, resolved.rejected)
    return _end(found, plan)


def _on_host(instance: Instance, request: Request, host: Host) -> list[Diagnostic]:
    """E-HOST and E-PATH."""
    found = []
    needs = []
    if alternatives := host_faults(instance.contract, host):
        needs.append((told_of_alternatives(alternatives), "host"))
    if faults := python_faults(instance.contract, host):
        needs.append((told(faults), "python"))
    for (why, help_), clause in needs:
        spans = (instance.span, instance.contract.source.key("needs", clause))
        facts = {"plugin": instance.contract.name, "why": why, "help": help_}
        found.append(Diagnostic(code="E-HOST", facts=facts, spans=spans, clause=f"needs.{clause}"))
    found += _environment(instance, host)
    for name, option in sorted(instance.contract.config.items()):
        value = instance.config.get(name)
        if option.access is None or value is None:
            continue
        question = WRITE if option.access == "write" else READ
        paths: dict[At, str] = {(): value}
        if isinstance(value, list | dict):
            paths = {(p,): path for p, path in (value.items() if isinstance(value, dict) else enumerate(value))}
        for at, path in paths.items():
            answer = host.answer(question, path)
            if not answer:
                continue
            given = request.config.get(instance.label, {}).get(name)
            span = instance.span if given is None else given.locate(at)
            facts = {"option": name, "instance": instance.label, "path": path, "why": reason(answer)}
            facts["help"] = remedy(answer, "path")
            found.append(Diagnostic(code="E-PATH", facts=facts, spans=(span,), clause="config"))
    return found


def _claims(chain: Sequence[Instance], request: Request) -> list[Diagnostic]:
    """E-CLAIM: two options of a backend that write one file; what lies in /dev is nobody's alone."""
    found = []
    taken: dict[str, tuple[Instance, Span]] = {}
    for instance in sorted(chain, key=lambda each: each.label):
        for name, option in sorted(instance.contract.config.items()):
            path = instance.config.get(name)
            if option.access != "write" or not isinstance(path, str) or path.startswith("/dev/"):
                continue
            given = request.config.get(instance.label, {}).get(name)
            place = (instance, instance.span if given is None else given.locate(()))
            first = taken.setdefault(posixpath.normpath(path), place)
            if first is not place:
                facts = {"first": first[0].label, "second": instance.label, "path": path}
                spans = (place[1], first[1])
                found.append(Diagnostic(code="E-CLAIM", facts=facts, spans=spans, clause="config.*.access"))
    return found


def _environment(instance: Instance, host: Host) -> list[Diagnostic]:
    """E-HOST for a variable that the value of an added attribute needs."""
    found = []
    for compiled in instance.rules:
        gives = compiled.rule.gives
        texts = [text for _, text in gives.attributes] if gives is not None else []
        for name in sorted({name for text in texts for name in PLACEHOLDER.findall(text) if name}):
            if answer := host.answer(ENVIRONMENT, name):
                facts = {"plugin": instance.label, "why": reason(answer), "help": remedy(answer)}
                span = instance.contract.source.key("needs", "metrics", compiled.place, "gives", "attributes")
                clause = "needs.metrics.gives.attributes"
                found.append(Diagnostic(code="E-HOST", facts=facts, spans=(instance.span, span), clause=clause))
    return found


def _durability(instance: Instance, request: Request) -> list[Diagnostic]:
    """E-DURABILITY: an output that promises less than is demanded."""
    wanted, got = request.durability, instance.contract.durability
    role = language().words["placement"][instance.contract.placement]["role"]
    if (
        wanted is None
        or role != "output"
        or language().rank("durability", got) >= language().rank("durability", wanted)
    ):
        return []
    facts = {"instance": instance.label, "got": got, "wanted": wanted, "mountpoint": request.mountpoint}
    return [Diagnostic(code="E-DURABILITY", facts=facts, spans=(instance.span,), clause="durability")]
