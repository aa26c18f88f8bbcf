"""Resolution: which instances a backend consists of, and why."""

from __future__ import annotations

from collections.abc import Collection

from attrs import frozen

from meter.contracts.asked import ask
from meter.contracts.candidates import Rejected
from meter.contracts.catalogue import Catalogue, is_automatic
from meter.contracts.closure import Closure, Pending
from meter.contracts.conflicts import conflicts
from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.handed import Hands, handed
from meter.contracts.host import Host
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.optional import LeftOut, left_out
from meter.contracts.request import Request


@frozen(kw_only=True)
class Resolved:
    """Instances by rank of asking, what contracts hand to them, what is not there, diagnostics.

    `considered` are the plugins, and `labels` the instances, that were there at some time while it was found out.
    """

    instances: tuple[Instance, ...]
    hands: Hands
    rejected: tuple[Rejected, ...]
    left_out: tuple[LeftOut, ...]
    considered: frozenset[str]
    labels: frozenset[str]
    diagnostics: tuple[Diagnostic, ...]


def resolve(request: Request, catalogue: Catalogue, host: Host) -> Resolved:
    """The instances that a request asks for, and those that they need."""
    considered: set[str] = set()
    labels: set[str] = set()
    out: dict[str, LeftOut] = {}
    while True:
        closure = _closed(request, catalogue, host, out)
        considered |= {instance.contract.name for instance in closure.roster}
        labels |= {instance.label for instance in closure.roster}
        if not (lost := left_out(closure)):
            break
        out |= lost
    for each in out.values():
        closure.say(each.diagnostic)
    for diagnostic in conflicts(closure.roster):
        closure.say(diagnostic)
    _roles(closure)
    hands, faults = handed(closure.roster, closure.roster)
    for diagnostic in faults:
        closure.say(diagnostic)
    return Resolved(
        instances=tuple(sorted(closure.roster, key=lambda instance: instance.rank)),
        hands=hands,
        rejected=tuple(sorted(set(closure.rejected))),
        left_out=tuple(out[label] for label in sorted(out)),
        considered=frozenset(considered),
        labels=frozenset(labels),
        diagnostics=closure.found,
    )


def _closed(request: Request, catalogue: Catalogue, host: Host, without: Collection[str]) -> Closure:
    """What a request asks for and wants, closed over needs."""
    closure = Closure(request, catalogue, host)
    ask(closure, without)
    wants = dict.fromkeys(request.want)
    closure.close(wants=[Pending(True, True, name, "*", "", request.want.index(name), "want") for name in wants])
    closure.settle()
    return closure


def _roles(closure: Closure) -> None:
    """E-ROLE-COUNT, unless a word that could not be resolved might have been it."""
    if closure.errors():
        return
    for placement, says in language().words["placement"].items():
        count = sum(instance.contract.placement == placement for instance in closure.roster)
        if count >= int(says.get("minimum", 0)):
            continue
        examples = [
            contract.name
            for contract in closure.catalogue.contracts()
            if contract.placement == placement and is_automatic(contract)
        ]
        facts = {"mountpoint": closure.request.mountpoint, "role": placement, "examples": listed(examples[:3])}
        spans = (closure.request.span,)
        variant = "" if examples else "none"
        closure.say(Diagnostic(code="E-ROLE-COUNT", facts=facts, spans=spans, clause="placement", variant=variant))
