"""Conflicts: instances that cannot be in one backend, by the clause `conflicts` of one of them.

Never against itself: who provides a capability and conflicts with it wants to be its only provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meter.contracts.diagnostics import MANY, Diagnostic
from meter.contracts.editing.settings import entry
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.request import Request
from meter.contracts.resolution.candidates import answers
from meter.contracts.resolution.roster import Roster


def opponent(contract: Contract, roster: Roster) -> str:
    """The least label of an instance that a contract cannot be beside; the empty text where there is none."""
    found = [other.label for name, wanted in contract.conflicts.items() for other in roster.providers(name, wanted)]
    found += [
        other.label
        for other in roster.opponents(contract)
        if any(answers(contract, name, wanted) for name, wanted in other.contract.conflicts.items())
    ]
    return min(found, default="")


def conflicts(request: Request, roster: Roster, among: frozenset[str] | None = None) -> Iterator[Diagnostic]:
    """E-CONFLICT for each two instances that conflict, said once for the two.

    Args: with `among` only pairs of which at least one label is in it.
    """
    pairs: dict[tuple[str, str], tuple[Instance, Instance, str]] = {}
    stating = roster.stating("conflicts")
    if among is not None:
        there = [each for label in sorted(among) if (each := roster.get(label)) is not None]
        near = {each.label: each for new in there for each in (new, *roster.opponents(new.contract))}
        stating = [each for each in near.values() if each.contract.conflicts]
    for instance, other, name in _opponents(roster, stating):
        labels = (instance.label, other.label)
        if among is not None and among.isdisjoint(labels):
            continue
        pairs.setdefault((min(labels), max(labels)), (instance, other, name))
        if len(pairs) > MANY:  # who mends those has mended the others, as a rule
            break
    for instance, other, name in pairs.values():
        yield _conflict(instance, other, name, request, roster)


def _opponents(roster: Roster, stating: Iterable[Instance]) -> Iterator[tuple[Instance, Instance, str]]:
    """Each instance that conflicts with another one, that one, and the name which it conflicts with."""
    for instance in sorted(stating, key=lambda each: each.label):
        for name, wanted in sorted(instance.contract.conflicts.items()):
            for other in sorted(roster.providers(name, wanted), key=lambda each: each.label):
                if other is not instance:
                    yield instance, other, name


def _conflict(instance: Instance, other: Instance, name: str, request: Request, roster: Roster) -> Diagnostic:
    facts = {"first": instance.label, "second": other.label, "name": name}
    facts |= {"entry": entry(request, instance.label), "other": entry(request, other.label)}
    provides = other.span._replace(label=language().phrase("text", "conflict", name=name))
    places = [instance.span, *([provides] if other.span != instance.span else [])]
    places.append(instance.contract.source.key("conflicts", name))
    variant = "exclusive" if answers(instance.contract, name) else ""
    notes = tuple(roster.chain(each.label) for each in (instance, other) if each.by)
    return Diagnostic(
        code="E-CONFLICT", facts=facts, spans=tuple(places), clause="conflicts", notes=notes, variant=variant
    )
