"""What instances promise beside their metrics: durability, time, isolation; and what they claim.

Each function takes the whole chain or one instance of it and says what cannot be kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from meter.contracts.catalogue import Catalogue, is_automatic, is_listed
from meter.contracts.claiming import claims, kept_twice
from meter.contracts.configured import RECOVERED
from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.quantities import format_duration, parse_duration
from meter.contracts.request import Request


def promises(chain: Sequence[Instance], request: Request, catalogue: Catalogue) -> list[Diagnostic]:
    """Everything that an ordered chain cannot keep."""
    found: list[Diagnostic] = []
    for instance in chain:
        found += _isolation(instance)
        found += _deadline(instance)
        found += _durability(instance, chain, request, catalogue)
    return [*found, *claims(chain, request), *kept_twice(chain, request)]


# --------------------------------------------------------------------------------------------------------- durability


def _durability(
    instance: Instance, chain: Sequence[Instance], request: Request, catalogue: Catalogue
) -> list[Diagnostic]:
    """E-DURABILITY: an output that promises less than is demanded, by itself and with what recovers it."""
    wanted = request.durability
    if wanted is None or instance.contract.role != "output":
        return []
    rank = language().rank
    promised = [_promised(each) for each in (instance, *recovering(instance, chain))]
    got = max(promised, key=lambda word: rank("durability", word))
    if rank("durability", got) >= rank("durability", wanted):
        return []
    facts = {"instance": instance.label, "got": got, "wanted": wanted, "mountpoint": request.mountpoint}
    facts["less"] = f"--durability {got}" if request.document is None else f'durability = "{got}"'
    there = {each.contract.name for each in chain if each is not instance}
    others = (
        contract.name
        for contract in catalogue.contracts()
        if contract.placement == instance.contract.placement and is_automatic(contract) and is_listed(contract)
        if rank("durability", contract.durability) >= rank("durability", wanted) and contract.name not in there
    )
    facts["others"] = listed(itertools.islice(others, 3))
    said = instance.contract.source.mentions("durability")[:1]  # the default is said nowhere
    spans = (instance.span, *(instance.contract.source.value("durability") for _ in said))
    alone = all(each is instance or each.contract.role != "output" for each in chain)
    variant = ("others" if facts["others"] else "alone") if alone else ""
    return [Diagnostic(code="E-DURABILITY", facts=facts, spans=spans, clause="durability", variant=variant)]


def _promised(instance: Instance) -> str:
    """The durability of an instance: what its option of that name says, else its contract."""
    said = instance.config.get("durability")
    return said if said in language().values("durability") else instance.contract.durability


def recovering(output: Instance, chain: Sequence[Instance]) -> list[Instance]:
    """The instances that get what an output could not deliver: those whose option `for` names it."""
    return [
        each for each in chain if each.contract.role == "recover" and output.label in each.config.get(RECOVERED, ())
    ]


# ------------------------------------------------------------------------------------------------- time and isolation


def _deadline(instance: Instance) -> list[Diagnostic]:
    """E-CONSTRAINT: a source that can take longer for a poll than the time between two of them."""
    deadline = instance.contract.deadline
    if (
        deadline is None
        or instance.contract.role != "source"
        or parse_duration(deadline) <= instance.config["interval"]
    ):
        return []
    facts = {"instance": instance.label, "deadline": deadline}
    facts["interval"] = format_duration(instance.config["interval"])
    spans = (instance.span, instance.contract.source.value("deadline"))
    return [Diagnostic(code="E-CONSTRAINT", facts=facts, spans=spans, clause="deadline", variant="deadline")]


def _isolation(instance: Instance) -> list[Diagnostic]:
    """E-INTERFACE: an isolation that this meter has not."""
    words = language().words["isolation"]
    wanted = instance.contract.isolation
    if words[wanted].get("supported") != "no":
        return []
    had = next(says["description"] for says in words.values() if says.get("supported") != "no")
    facts = {"instance": instance.label, "wanted": wanted, "got": had}
    spans = (instance.span, instance.contract.source.value("isolation"))
    return [Diagnostic(code="E-INTERFACE", facts=facts, spans=spans, clause="isolation", variant="isolation")]
