"""What instances promise beside their metrics: durability, time, isolation; and what they claim.

Each function takes the whole chain or one instance of it and says what cannot be kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from meter.contracts.catalogue import Catalogue, is_automatic, is_listed
from meter.contracts.claiming import claims, kept_twice
from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.editing.elsewhere import elsewhere
from meter.contracts.editing.recovering import promised, recovered, recovering, suffices
from meter.contracts.editing.settings import entry
from meter.contracts.editing.trying import Sound, never
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.quantities import format_duration, parse_duration
from meter.contracts.request import Request


def promises(
    chain: Sequence[Instance], request: Request, catalogue: Catalogue, sound: Sound = never
) -> list[Diagnostic]:
    """Everything that an ordered chain cannot keep. Args: `sound`, what a help may offer."""
    found: list[Diagnostic] = []
    for instance in chain:
        found += _isolation(instance)
        found += _deadline(instance)
    found += _durability(chain, request, catalogue, sound)
    return [*found, *claims(chain, request), *kept_twice(chain, request)]


# --------------------------------------------------------------------------------------------------------- durability


def _durability(
    chain: Sequence[Instance], request: Request, catalogue: Catalogue, sound: Sound
) -> Iterator[Diagnostic]:
    """E-DURABILITY: outputs that promise less than is demanded, by themselves and with what recovers them."""
    wanted = request.durability
    outputs = {each.label: each for each in chain if each.contract.role == "output"}
    weak = (
        {}
        if wanted is None
        else {label: got for label, each in outputs.items() if not suffices(got := _kept(each, chain), wanted)}
    )
    if wanted is None or not weak:
        return
    way = recovered(request, catalogue, chain, sorted(weak), wanted, sound)
    for label, got in weak.items():
        instance = outputs[label]
        facts = {"instance": label, "got": got, "wanted": wanted, "mountpoint": request.mountpoint}
        facts["entry"] = entry(request, label)
        facts["less"] = f"--durability {got}" if request.document is None else f'durability = "{got}"'
        facts["others"] = listed(itertools.islice(_stronger(instance, wanted, catalogue, chain), 3))
        others = outputs.keys() - {label}
        facts["way"] = way or (elsewhere(request, chain, label, others, sound, durability=None) if others else "")
        variant = "kept" if way else "apart" if facts["way"] else ""
        if not variant and not others:
            variant = "others" if facts["others"] else "alone"
        said = instance.contract.source.mentions("durability")[:1]  # the default is said nowhere
        spans = (instance.span, *(instance.contract.source.value("durability") for _ in said))
        yield Diagnostic(code="E-DURABILITY", facts=facts, spans=spans, clause="durability", variant=variant)


def _kept(output: Instance, chain: Sequence[Instance]) -> str:
    """The durability of an output, by itself or with what recovers it."""
    told = [promised(each) for each in (output, *recovering(output.label, chain))]
    return max(told, key=lambda word: language().rank("durability", word))


def _stronger(output: Instance, wanted: str, catalogue: Catalogue, chain: Sequence[Instance]) -> Iterator[str]:
    """The outputs of the catalogue that could stand in the place of one, and promise as much as is wanted."""
    there = {each.contract.name for each in chain if each is not output}
    for contract in catalogue.contracts():
        alike = contract.placement == output.contract.placement and is_automatic(contract) and is_listed(contract)
        if alike and suffices(contract.durability, wanted) and contract.name not in there:
            yield contract.name


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
