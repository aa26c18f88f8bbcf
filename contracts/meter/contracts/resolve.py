"""Resolution: which instances a backend consists of, and why."""

from __future__ import annotations

from attrs import frozen

from meter.contracts.asked import ask
from meter.contracts.candidates import Rejected
from meter.contracts.catalogue import Catalogue, is_automatic
from meter.contracts.closure import Closure
from meter.contracts.conflicts import conflicts
from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.handed import Hands, handed
from meter.contracts.host import Host
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.request import Request


@frozen(kw_only=True)
class Resolved:
    """Instances by rank of asking, what contracts hand to them, candidates that were not taken, diagnostics."""

    instances: tuple[Instance, ...]
    hands: Hands
    rejected: tuple[Rejected, ...]
    diagnostics: tuple[Diagnostic, ...]


def resolve(request: Request, catalogue: Catalogue, host: Host) -> Resolved:
    """The instances that a request asks for, and those that they need."""
    closure = Closure(request, catalogue, host)
    ask(closure)
    closure.close()
    closure.settle()
    for diagnostic in conflicts(closure.roster):
        closure.say(diagnostic)
    _roles(closure)
    hands, faults = handed(closure.roster, closure.roster)
    for diagnostic in faults:
        closure.say(diagnostic)
    return Resolved(
        hands=hands,
        instances=tuple(sorted(closure.roster, key=lambda instance: instance.rank)),
        rejected=tuple(sorted(set(closure.rejected))),
        diagnostics=closure.found,
    )


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
