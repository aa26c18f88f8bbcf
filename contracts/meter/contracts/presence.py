"""Presence: whether this host lets the instances of a chain work, and which of their metrics it does not.

A need of a plugin that does not hold is an error; one of a single metric makes that metric absent, which is a warning.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from meter.contracts.catalogue import Catalogue
from meter.contracts.configured import missing_secrets
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.settings import entry
from meter.contracts.editing.substitutes import other_source
from meter.contracts.editing.trying import Sound
from meter.contracts.host import ENVIRONMENT, Host, reason, remedy
from meter.contracts.host_needs import (
    Told,
    alternative,
    carries,
    host_faults,
    mended_or_left,
    nearest_alternative,
    python_faults,
    told,
    told_of_alternatives,
    unmet,
)
from meter.contracts.instances import Instance, degrade, emitted, holds_when
from meter.contracts.model import Guard
from meter.contracts.placeholders import AT_START
from meter.contracts.request import At, Request
from meter.contracts.variants import MACHINE, Variant


@frozen
class Surroundings:
    """Where an instance is: in a backend of a request, on a host, with what its help may offer."""

    request: Request
    catalogue: Catalogue
    host: Host
    there: Sequence[Instance]
    """The instances of the backend."""
    sound: Sound

    def mended(self, instance: Instance, told: Told, answers: Sequence[str], emits: Sequence[Variant]) -> str:
        """The help where an instance cannot work. Args: `answers` stand in the way, `emits` is what it would give."""
        others = [each for each in self.there if each is not instance]
        unable = [each.label for each in others if not carries(self.host, each.contract)]
        asked = any(each.label == instance.label for each in self.request.plugins)
        other = ""
        if asked and instance.contract.role == "source":
            other = other_source(self.request, self.catalogue, self.host, instance, emits, unable, self.sound)
        works = any(each.contract.role == "source" and each.label not in unable for each in others)
        last = instance.contract.role == "source" and not works
        left = entry(self.request, instance.label)
        return mended_or_left(told.help, answers, left, self.request.mountpoint, other, last=last)


def presence(instance: Instance, around: Surroundings) -> list[Diagnostic]:
    """E-HOST and E-PATH; the alternative of the host's needs that holds is noted for the plugin."""
    request, host = around.request, around.host
    contract = instance.contract

    def holds(guard: Guard) -> bool:
        return holds_when(guard, instance.config, contract.config)

    instance.alternative = alternative(contract, host, holds)
    found = []
    needs = []
    if whole := host_faults(contract, host, holds):
        needs.append((told_of_alternatives(whole), nearest_alternative(whole), "host"))
    if faults := python_faults(contract, host):
        needs.append((told(faults), faults, "python"))
    for needed, answers, clause in needs:
        spans = (instance.span, contract.source.key("needs", clause))
        help_ = around.mended(instance, needed, answers, instance.emits)
        facts = {"plugin": contract.name, "why": needed.why, "help": help_}
        found.append(Diagnostic(code="E-HOST", facts=facts, spans=spans, clause=f"needs.{clause}"))
    found += _environment(instance, host)
    found += missing_secrets(instance, request, host)
    for name, option in sorted(contract.config.items()):
        value = instance.config.get(name)
        if option.access is None or value is None:
            continue
        paths: dict[At, str] = {(): value}
        if isinstance(value, list | dict):
            paths = {(p,): path for p, path in (value.items() if isinstance(value, dict) else enumerate(value))}
        for at, path in paths.items():
            answer = host.answer(option.access, path)
            if not answer:
                continue
            given = request.config.get(instance.label, {}).get(name)
            span = instance.span if given is None else given.locate(at)
            facts = {"option": name, "instance": instance.label, "path": path, "why": reason(answer)}
            facts["help"] = remedy(answer, "path")
            found.append(Diagnostic(code="E-PATH", facts=facts, spans=(span,), clause="config"))
    return found


def _environment(instance: Instance, host: Host) -> list[Diagnostic]:
    """E-HOST for a variable that the value of an added attribute needs."""
    found = []
    for compiled in instance.rules:
        gives = compiled.rule.gives
        texts = [text for _, text in gives.attributes] if gives is not None else []
        for name in sorted({name for text in texts for name in AT_START.findall(text) if name}):
            if answer := host.answer(ENVIRONMENT, name):
                facts = {"plugin": instance.label, "why": reason(answer), "help": remedy(answer)}
                span = instance.contract.source.key("needs", "metrics", compiled.place, "gives", "attributes")
                clause = "needs.metrics.gives.attributes"
                found.append(Diagnostic(code="E-HOST", facts=facts, spans=(instance.span, span), clause=clause))
    return found


def degraded(instance: Instance, around: Surroundings) -> list[Diagnostic]:
    """W-HOST-DEGRADED for the metrics that this host does not let a source give; they are taken from it.

    E-HOST where nothing is left: then the source has no use here.
    """
    host = around.host
    clauses = instance.contract.provides.metrics
    if not any(clause.host is not None for clause in clauses):
        return []
    whole = host_faults(instance.contract, host, lambda g: holds_when(g, instance.config, instance.contract.config))
    lacking: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for place in sorted({place for place, _ in emitted(instance)}):
        clause = clauses[place]
        faults = unmet(clause.host, host) if clause.host is not None else []
        said = whole and all(set(faults) <= set(answers) for answers in whole)  # of the instance, as E-HOST
        if faults and not said:
            of = "" if clause.resource == tuple(MACHINE) else "|".join(clause.resource)
            lacking.setdefault((of, tuple(faults)), []).append(place)
    without: dict[int, str] = {}
    found = []
    answers: list[str] = []
    for (of, reasons), places in sorted(lacking.items()):
        answers += reasons
        why, help_ = told(reasons, "metric")
        without |= dict.fromkeys(places, why)
        span = instance.contract.source.key("provides", "metrics", places[0], "host")
        metrics = ", ".join(sorted({f"`{clauses[place].name}`" for place in places}))
        facts = {"instance": instance.label, "plugin": instance.contract.name, "metric": metrics, "of": of}
        facts |= {"why": why, "help": help_}
        spans, variant = (instance.span, span), "of" if of else ""
        path = "provides.metrics.host"
        found.append(Diagnostic(code="W-HOST-DEGRADED", facts=facts, spans=spans, clause=path, variant=variant))
    had = tuple(instance.emits)
    degrade(instance, without)
    if had and not instance.emits:
        help_ = around.mended(instance, told(answers), answers, had)
        return [evolve(found[0], code="E-HOST", variant="", facts={**found[0].facts, "help": help_})]
    return found
