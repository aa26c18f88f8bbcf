"""Checking: one pure function from request, catalogue and host facts to a plan or diagnostics.

No clock, no files, no hash order: equal inputs give equal bytes. Each stage takes values and gives values; all errors
of a stage are said at once, and a stage begins only on what the one before found sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from attrs import evolve, frozen

from meter.contracts import plan as plans
from meter.contracts.catalogue import Catalogue
from meter.contracts.collector import uncollected
from meter.contracts.configured import missing_instances
from meter.contracts.diagnostics import ContractError, Diagnostic
from meter.contracts.flow import flow
from meter.contracts.host import Host
from meter.contracts.instances import configure, strangers
from meter.contracts.order import order
from meter.contracts.plan import Plan
from meter.contracts.presence import degraded, presence
from meter.contracts.promises import promises
from meter.contracts.request import Request
from meter.contracts.resolve import resolve
from meter.contracts.wanted import wanted


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
    request = evolve(request, order=_ordered(request, {each.label for each in resolved.left_out}))
    found = list(resolved.diagnostics)
    if not _failed(found):
        found += strangers(request, {instance.label for instance in resolved.instances}, resolved.labels)
    for instance in resolved.instances:
        found += configure(instance, request.config.get(instance.label, {}), resolved.hands.get(instance.label, {}))
        found += degraded(instance, host)
    if not _failed(found):
        found += missing_instances(resolved.instances, request)
    if _failed(found):
        return _end(found)
    ordered = order(resolved.instances, request)
    found += ordered.diagnostics
    if _failed(found):
        return _end(found)
    by_label = {instance.label: instance for instance in resolved.instances}
    chain = [by_label[label] for label in ordered.order]
    flowed = flow(chain, catalogue, request)
    found += flowed.diagnostics
    for instance in chain:
        found += presence(instance, request, host)
    found += promises(chain, request)
    if not _failed(found):
        found += wanted(request, chain, flowed.schema)
    if _failed(found):
        return _end(found)
    plan = plans.make(request.mountpoint, chain, ordered.edges, flowed.schema, resolved)
    return _end(found, plan)


def _ordered(request: Request, without: AbstractSet[str]) -> tuple[tuple[str, ...], ...]:
    """The order that a request asks for, without what is optional and left out."""
    return tuple(tuple(label for label in chain if label not in without) for chain in request.order)
