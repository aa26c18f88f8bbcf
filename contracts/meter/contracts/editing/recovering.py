"""Recovering: what keeps for an output what it cannot deliver, so that a demanded durability is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from meter.contracts.catalogue import Catalogue, is_listed
from meter.contracts.configured import RECOVERED
from meter.contracts.editing.apart import configured
from meter.contracts.editing.settings import setting
from meter.contracts.editing.trying import Sound, more, otherwise
from meter.contracts.instances import Instance
from meter.contracts.language import ABSENT, language
from meter.contracts.options import example
from meter.contracts.request import Request

DURABILITY = "durability"
"""The clause, and the option that says it instead, for an instance."""


def promised(instance: Instance) -> str:
    """The durability of an instance: what its option of that name says, else its contract."""
    said = instance.config.get(DURABILITY)
    return said if said in language().values(DURABILITY) else instance.contract.durability


def suffices(got: str, wanted: str) -> bool:
    """Whether one durability is as much as another one."""
    return language().rank(DURABILITY, got) >= language().rank(DURABILITY, wanted)


def recovering(label: str, chain: Sequence[Instance]) -> list[Instance]:
    """The instances that get what an output could not deliver: those whose option `for` names it."""
    return [each for each in chain if each.contract.role == "recover" and label in each.config.get(RECOVERED, ())]


def recovered(
    request: Request, catalogue: Catalogue, chain: Sequence[Instance], outputs: Sequence[str], wanted: str, sound: Sound
) -> str:
    """What to write so that some outputs keep a durability: for one that recovers and is there, else to put one in.

    Empty where none does, or a check refuses it.
    """
    say = language().phrase
    new = [label for label in outputs if not recovering(label, chain)]
    facts = {"outputs": " and ".join(f"`{label}`" for label in outputs)}
    keepers = [each for each in chain if each.contract.role == "recover"]
    for instance in sorted(keepers, key=lambda each: each.label):
        for options in _options(request, instance, new, wanted):
            if sound(otherwise(request, instance.label, options)):
                facts["settings"] = setting(request, instance.label, options)
                return say("text", "recovered", "text", "there", keeper=instance.label, **facts)
    labels = {each.label for each in chain} | set(request.config)
    for contract in catalogue.contracts():
        asked = contract.name if contract.name not in labels else f"{contract.name}#{contract.name}-{outputs[0]}"
        label = asked.rpartition("#")[2]
        if contract.role != "recover" or not is_listed(contract) or label in labels:
            continue
        blank = Instance(label=label, contract=contract, span=request.span, because="")
        for options in _options(request, blank, new, wanted):
            if sound(more(request, asked, options)):
                facts["where"] = f" {say('text', 'fit', 'text', 'where')}" if request.document is not None else ""
                facts["settings"] = setting(request, label, options)
                return say("text", "recovered", keeper=asked, **facts)
    return ""


def _options(request: Request, instance: Instance, new: Sequence[str], wanted: str) -> Iterator[dict[str, Any]]:
    """The options with which an instance keeps for some more outputs what they cannot deliver, as is wanted."""
    given = request.config.get(instance.label, {})
    declared = instance.contract.config
    options: dict[str, Any] = {RECOVERED: [*instance.config.get(RECOVERED, ()), *new]} if new else {}
    for name, option in sorted(declared.items()):
        if option.default is ABSENT and name not in given and name != RECOVERED:
            options[name] = example(option, instance.contract.name)
    for stronger in ({}, {DURABILITY: wanted}) if DURABILITY in declared else ({},):
        other = configured(instance, given, {**options, **stronger})
        if other is not None and suffices(promised(other), wanted):
            yield {**options, **stronger}
