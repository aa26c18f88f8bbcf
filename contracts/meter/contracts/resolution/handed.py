"""Handed configuration: values that contracts give to other instances, by `config_for` and by the words of an alias.

They stand above defaults and beside what the request says: nobody's value is silently put over another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from meter.contracts import options
from meter.contracts.diagnostics import Diagnostic, listed, nearest
from meter.contracts.instances import Handed, Instance
from meter.contracts.model import Contract
from meter.contracts.request import Given
from meter.contracts.resolution import aliases
from meter.contracts.resolution.roster import Roster

Hands = Mapping[str, Mapping[str, Handed]]
"""For each instance what is handed to it, by option."""


def offers(roster: Roster, label: str, contract: Contract) -> Iterator[tuple[str, Handed]]:
    """What the instances that are there hand to one of a label and contract, by the labels of who does.

    It is not looked at whether the option is there, whether the value fits, and whether two of them agree.
    """
    for giver in sorted(roster.stating("config_for"), key=lambda each: each.label):
        if giver.label == label:
            continue
        for name in sorted({contract.name, *contract.provides.capabilities} & giver.contract.config_for.keys()):
            for option, raw in sorted(giver.contract.config_for[name].items()):
                yield option, Handed(_written(giver.contract, name, option, raw), giver, "config_for")
    for giver in sorted(roster.stating("alias"), key=lambda each: each.label):
        for option, given in sorted(aliases.told(giver.contract).config.get(label, {}).items()):
            yield option, Handed(given, giver, "alias")


def _written(contract: Contract, name: str, option: str, raw: Any) -> Given:
    """A value of a table of `config_for`."""
    path = ("config_for", name, option)
    source = contract.source
    return Given(raw=raw, keys=(source.key(*path),), locate=lambda at: source.value(*path, *at))


def handed(roster: Roster, instances: Iterable[Instance]) -> tuple[Hands, list[Diagnostic]]:
    """What is handed to some instances, each value once, and what of it cannot be."""
    found: list[Diagnostic] = []
    hands: dict[str, dict[str, Handed]] = {}
    if not roster.stating("config_for") and not roster.stating("alias"):
        return hands, found
    for instance in sorted(instances, key=lambda each: each.label):
        taken = hands.setdefault(instance.label, {})
        for option, each in offers(roster, instance.label, instance.contract):
            fault = _fault(instance, option, each) or _clash(roster, instance, option, taken.get(option), each)
            if fault is not None:
                found.append(fault)
            else:
                taken.setdefault(option, each)
    return hands, found


def _fault(instance: Instance, option: str, each: Handed) -> Diagnostic | None:
    """E-CONFIG-UNKNOWN, E-CONFIG-TYPE or E-CONFIG-RANGE: an option does not take what is handed to it."""
    contract = instance.contract
    declared = contract.config.get(option)
    if declared is None:
        facts = {"plugin": contract.name, "option": option, "giver": each.giver.contract.name}
        facts |= {"near": nearest(option, contract.config), "options": listed(sorted(contract.config))}
        spans = each.given.keys[:1]
        variant = "handed" if contract.config else "handed-none"
        return Diagnostic(code="E-CONFIG-UNKNOWN", facts=facts, spans=spans, clause=each.clause, variant=variant)
    try:
        each.given.value(declared)
    except options.OptionError as problem:
        facts = {"option": option, "instance": instance.label, **problem.facts}
        where = each.given.locate(problem.at)._replace(hidden=problem.hidden)
        spans = (where, contract.source.key("config", option))
        return Diagnostic(code=problem.code, facts=facts, spans=spans, clause=each.clause, variant=problem.variant)
    return None


def _clash(roster: Roster, instance: Instance, option: str, first: Handed | None, then: Handed) -> Diagnostic | None:
    """E-CONFIG-CLASH: two contracts hand different values to one option."""
    declared = instance.contract.config[option]
    if first is None or first.given.value(declared) == then.given.value(declared):
        return None
    facts = {"option": option, "instance": instance.label, "first": first.giver.label, "second": then.giver.label}
    facts |= {"this": first.given.shown(declared), "that": then.given.shown(declared)}
    notes = tuple(roster.chain(each.giver.label) for each in (first, then) if each.giver.by)
    spans = (then.given.locate(()), first.given.locate(()))
    return Diagnostic(
        code="E-CONFIG-CLASH", facts=facts, spans=spans, clause=then.clause, notes=notes, variant="contracts"
    )
