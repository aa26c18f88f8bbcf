"""Instances: a contract at its place in a request, with its configuration put in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, evolve, field, frozen

from meter.contracts import options, selectors
from meter.contracts.constraints import Constraint, holds, parse_constraint
from meter.contracts.diagnostics import Diagnostic, listed, nearest
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Contract, MetricClause, Option, RuleClause
from meter.contracts.quantities import format_duration
from meter.contracts.request import Given, Request
from meter.contracts.rules import Gives, Rule
from meter.contracts.spans import Span
from meter.contracts.variants import Domain, Variant

_CONFIG = re.compile(r"\$\{config\.([^}]+)\}")


@frozen(kw_only=True)
class Compiled:
    """A rule with its origin: the place in `needs.metrics`, and the option that gave its selectors."""

    rule: Rule
    place: int
    option: str = ""
    asked: bool = False
    require: tuple[Constraint, ...] = ()


@define(kw_only=True, eq=False)
class Instance:
    """One plugin in the backend; the stages fill in what they find."""

    label: str
    contract: Contract
    span: Span
    because: str
    position: int = 1 << 30
    generation: int = 0
    word: int = 0
    config: dict[str, Any] = field(factory=dict)
    origins: dict[str, str] = field(factory=dict)
    emits: tuple[Variant, ...] = ()
    rules: tuple[Compiled, ...] = ()

    @property
    def rank(self) -> tuple[int, int, int, int, str]:
        """Of the instances free at one time the least goes first."""
        placement = language().rank("placement", self.contract.placement)
        return (placement, self.position, self.generation, self.word, self.label)

    def provides(self, name: str) -> bool:
        """Whether it answers to a name: label, plugin or capability."""
        return name in (self.label, self.contract.name) or name in self.contract.provides.capabilities


def configure(instance: Instance, given: Mapping[str, Given]) -> list[Diagnostic]:
    """Put the request's values and the defaults into an instance; emits and rules follow from them."""
    contract = instance.contract
    found: list[Diagnostic] = []
    for name in sorted(given):
        if name not in contract.config:
            facts = {"plugin": contract.name, "option": name, "near": nearest(name, contract.config)}
            facts["options"] = listed(sorted(contract.config))
            unknown = Diagnostic(code="E-CONFIG-UNKNOWN", facts=facts, spans=(given[name].key,), clause="config")
            found.append(unknown if contract.config else evolve(unknown, variant="none"))
    for name, option in sorted(contract.config.items()):
        if name in given:
            value = given[name]
            try:
                raw = options.from_words(option, list(value.raw)) if value.words else value.raw
                instance.config[name] = options.canonical(option, raw)
                instance.origins[name] = "asked"
            except options.OptionError as problem:
                facts = {"option": name, "instance": instance.label, **problem.facts}
                spans = (value.locate(problem.at), contract.source.key("config", name))
                found.append(
                    Diagnostic(
                        code=problem.code, facts=facts, spans=spans, clause=f"config.{name}", variant=problem.variant
                    )
                )
        elif option.default is ABSENT:
            summary = f": {option.summary}" if option.summary else ""
            facts = {"instance": instance.label, "option": name, "type": option.type, "summary": summary}
            found.append(
                Diagnostic(code="E-CONFIG-MISSING", facts=facts, spans=(instance.span,), clause=f"config.{name}")
            )
        else:
            instance.config[name] = options.canonical(option, option.default)
            instance.origins[name] = "default"
    if found:
        return found
    for place, text in enumerate(contract.require):
        constraint = parse_constraint(text)
        if holds(constraint, instance.config) is False:
            span = contract.source.value("require", place)
            found.append(unkept(instance, constraint, span, given, "require"))
    instance.emits = tuple(sorted(_emits(instance), key=lambda variant: str(variant.to_json())))
    instance.rules = tuple(_rules(instance))
    return found


def unkept(
    instance: Instance, constraint: Constraint, span: Span, given: Mapping[str, Given], clause: str, interval: int = 0
) -> Diagnostic:
    """E-CONSTRAINT, at the option that the request gave, else at the instance."""
    say = language().phrase
    values = [say("text", "value", name=name, value=_shown(instance, name)) for name in constraint.names]
    if interval:
        values.append(say("text", "interval", value=format_duration(interval)))
    place = next((given[name].key for name in constraint.names if name in given), instance.span)
    facts = {
        "instance": instance.label,
        "constraint": constraint.text,
        "values": " and ".join(values),
        "names": " or ".join(f"`{name}`" for name in constraint.names),
    }
    variant = "" if constraint.names else "interval"
    return Diagnostic(code="E-CONSTRAINT", facts=facts, spans=(place, span), clause=clause, variant=variant)


def _shown(instance: Instance, name: str) -> str:
    value = instance.config.get(name)
    option = instance.contract.config.get(name)
    if option is not None and option.type == "duration" and isinstance(value, int):
        return f"`{format_duration(value)}`"
    if isinstance(value, list):
        return language().phrase("text", "list-of", count=str(len(value)))
    return options.describe(value)


def holds_when(guard: Mapping[str, Any], config: Mapping[str, Any], declared: Mapping[str, Option]) -> bool:
    """Whether a guard holds: each option has the value, or one of the list; values are written as a request does."""
    return all(
        config.get(name)
        in [options.canonical(declared[name], value) for value in (values if isinstance(values, list) else [values])]
        for name, values in guard.items()
    )


def _emits(instance: Instance) -> Iterator[Variant]:
    for clause in instance.contract.provides.metrics:
        if not holds_when(clause.when, instance.config, instance.contract.config):
            continue
        for name in _names(clause, instance.config):
            additive = clause.additive
            if additive is None:
                additive = language().says("kind", clause.kind, "additive")
            yield Variant(
                metric=name,
                type=clause.type,
                unit=clause.unit,
                kind=clause.kind,
                additive=additive,
                resource=frozenset(clause.resource),
                consumer=frozenset(clause.consumer),
                attributes=tuple(
                    (attribute, _domain(domain, instance.config))
                    for attribute, domain in sorted(clause.attributes.items())
                ),
                quality=clause.quality,
                interval=int(instance.config.get("interval", 0)),
                origin=instance.label,
                via=frozenset({instance.label}),
            )


def _names(clause: MetricClause, config: Mapping[str, Any]) -> Iterator[str]:
    found = _CONFIG.search(clause.name)
    if found is None:
        yield clause.name
        return
    value = config[found[1]]
    for item in value if isinstance(value, list) else [value]:
        yield clause.name.replace(found[0], str(item))


def _domain(domain: Any, config: Mapping[str, Any]) -> Domain:
    if isinstance(domain, list):
        return frozenset(domain)
    found = _CONFIG.fullmatch(domain)
    return None if found is None else frozenset(str(value) for value in config[found[1]])


def _rules(instance: Instance) -> Iterator[Compiled]:
    for place, clause in enumerate(instance.contract.needs.metrics):
        if not holds_when(clause.when, instance.config, instance.contract.config):
            continue
        option = _CONFIG.fullmatch(clause.metric)
        if option is None:
            texts = [clause.metric]
        else:
            value = instance.config[option[1]]
            texts = value if isinstance(value, list) else [value]
        if not texts:
            continue
        name = option[1] if option else ""
        yield Compiled(
            rule=_rule(clause, texts),
            place=place,
            option=name,
            asked=instance.origins.get(name) == "asked",
            require=tuple(parse_constraint(text) for text in clause.require),
        )


def _rule(clause: RuleClause, texts: list[str]) -> Rule:
    gives = clause.gives
    return Rule(
        select=tuple(selectors.parse(text) for text in texts),
        type=clause.type,
        kind=clause.kind,
        unit=clause.unit,
        resource=clause.resource,
        consumer=clause.consumer,
        attributes=clause.attributes,
        additive=clause.additive,
        keeps=clause.keeps,
        gives=None
        if gives is None
        else Gives(
            name=gives.name,
            type=gives.type,
            unit=gives.unit,
            kind=gives.kind,
            additive=gives.additive,
            quality=gives.quality,
        ),
    )


def strangers(request: Request, labels: set[str]) -> list[Diagnostic]:
    """E-CONFIG-CLASH for configuration of instances that are not there."""
    return [
        Diagnostic(
            code="E-CONFIG-CLASH",
            facts={
                "label": label,
                "mountpoint": request.mountpoint,
                "near": nearest(label, labels),
                "instances": listed(sorted(labels)),
            },
            spans=(request.labels.get(label, request.span),),
            clause="config",
        )
        for label in sorted(request.config)
        if label not in labels
    ]
