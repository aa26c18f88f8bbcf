"""Optional instances: those that the request does without where this host cannot carry them, or what they bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.instances import Instance
from meter.contracts.request import Asked
from meter.contracts.resolution.closure import Closure

OPTIONAL: Final = "optional"


class LeftOut(NamedTuple):
    """An instance that might have been there: which plugin, what for, and the warning that says why it is not."""

    label: str
    plugin: str
    because: str
    diagnostic: Diagnostic


def left_out(closure: Closure) -> Mapping[str, LeftOut]:
    """The optional instances that are there and cannot be carried, by label."""
    optional = {asked.label: asked for asked in closure.request.optional}
    groups: dict[str, list[Instance]] = {}
    for each in closure.roster.sorted() if optional else ():
        root = closure.roster.root(each.label)
        # A metric that is wanted may bring what is optional and was left out: then it is no more so.
        if root is not None and not root.need:
            groups.setdefault(root.label, []).append(each)
    found = {}
    for label in sorted(optional.keys() & groups.keys()):
        instance = closure.roster.get(label)
        group = sorted(groups[label], key=lambda each: each is not instance)  # its own reason first
        diagnostic = next(filter(None, (_lacking(closure, optional[label], each) for each in group)), None)
        if instance is not None and diagnostic is not None:
            found[label] = LeftOut(label, instance.contract.name, OPTIONAL, diagnostic)
    return found


def _lacking(closure: Closure, asked: Asked, instance: Instance) -> Diagnostic | None:
    """W-HOST-DEGRADED where this host cannot carry an instance that is there for what was asked."""
    lack = closure.lacking(instance)
    if lack is None:
        return None
    why, help_ = lack.told
    if instance.label != asked.label:
        why = Diagnostic(code="E-HOST", facts={"plugin": instance.contract.name, "why": why}).message
    facts = {"instance": asked.label, "why": why, "help": help_}
    spans = (asked.span, instance.contract.source.key(*lack.path))
    clause = ".".join(part for part in lack.path if isinstance(part, str))
    return Diagnostic(code="W-HOST-DEGRADED", facts=facts, spans=spans, clause=clause, variant=OPTIONAL)
