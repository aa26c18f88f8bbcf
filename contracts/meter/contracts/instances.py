"""Instances: a contract at its place in a request, with its configuration put in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attrs import define, evolve, field, frozen

from meter.contracts import options, references, selectors
from meter.contracts.constraints import Constraint, holds, parse_constraint
from meter.contracts.diagnostics import MANY, Diagnostic, listed, nearest
from meter.contracts.editing.edits import clear, likely, renamed
from meter.contracts.editing.writing import toml
from meter.contracts.formula.formula_clauses import ITEM
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Contract, GivesClause, MetricClause, Option, RuleClause
from meter.contracts.placeholders import AT_START, CONFIG
from meter.contracts.quantities import parse_duration
from meter.contracts.request import Given, Request
from meter.contracts.rules import Computes, Gives, Rule
from meter.contracts.selectors import ATTRIBUTE, METRIC, RESERVED
from meter.contracts.spans import Span
from meter.contracts.unkept import unkept
from meter.contracts.variants import Domain, Variant, parts_of

if TYPE_CHECKING:
    from meter.contracts.formula.formulas import Formula

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
"""No configuration."""


@frozen(kw_only=True)
class Compiled:
    """A rule with its origin: the place in `needs.metrics`, and the option that gave its selectors.

    Of a rule that computes, its `formula`, and the name that it has in a map of them.
    """

    rule: Rule
    place: int
    option: str = ""
    asked: bool = False
    require: tuple[Constraint, ...] = ()
    formula: Formula | None = None
    item: str = ""


@define(kw_only=True, eq=False)
class Instance:
    """One plugin in the backend; the stages fill in what they find.

    `by` is the instance that brought it, empty for what was asked, `need` what it was brought for. What an alias brings
    stands right behind it: it has the rank of `anchor`, the first one of the group, and its place in it, `behind`.
    """

    label: str
    contract: Contract
    span: Span
    because: str
    by: str = ""
    need: str = ""
    position: int = 1 << 30
    generation: int = 0
    word: int = 0
    anchor: str = ""
    behind: tuple[int, ...] = ()
    config: dict[str, Any] = field(factory=dict)
    origins: dict[str, str] = field(factory=dict)
    emits: tuple[Variant, ...] = ()
    absent: dict[str, str] = field(factory=dict)
    alternative: str = ""
    """The name of the table of `needs.host` that holds."""
    received: dict[int, tuple[Variant, ...]] = field(factory=dict)
    """What comes from other meters, by the place of its table in `provides.metrics`."""
    """Metrics that this host does not let it give, each with the reason."""
    rules: tuple[Compiled, ...] = ()

    @property
    def rank(self) -> tuple[int, int, int, int, str, tuple[int, ...], str]:
        """Of the instances free at one time the least goes first."""
        placement = language().rank("placement", self.contract.placement)
        group = (self.anchor or self.label, self.behind)
        return (placement, self.position, self.generation, self.word, *group, self.label)

    @property
    def types(self) -> dict[str, str]:
        """The types of its options."""
        return {name: option.type for name, option in self.contract.config.items()}

    def keeps(self, constraint: Constraint, interval: int | None = None) -> bool | None:
        """Whether its configuration keeps a constraint; `None` where something is not set or not known."""
        return holds(constraint, self.config, interval, self.types)

    def provides(self, name: str) -> bool:
        """Whether it answers to a name: label, plugin or capability."""
        return name in (self.label, self.contract.name) or name in self.contract.provides.capabilities


class Handed(NamedTuple):
    """A value that a contract hands to an option of another instance: who does, and by which clause."""

    given: Given
    giver: Instance
    clause: str

    @property
    def origin(self) -> str:
        """Where the value comes from, as the plan says it."""
        return f"{self.clause} of `{self.giver.label}`"


def configure(
    instance: Instance, given: Mapping[str, Given], handed: Mapping[str, Handed] = NOTHING
) -> list[Diagnostic]:
    """Put the request's values, those of other contracts and the defaults in; emits and rules follow from them.

    Args: `handed` is what other contracts want; a request that says something else is refused.
    """
    contract = instance.contract
    found: list[Diagnostic] = []
    misspelt: set[str] = set()
    for name in sorted(given):
        if name not in contract.config and len(found) <= MANY:
            meant = likely(name, [option for option in contract.config if option not in given])
            misspelt.update(meant)
            found.append(_unknown(contract, name, given[name], meant))
    for name, option in sorted(contract.config.items()):
        if name in given:
            value = given[name]
            raw = value.raw
            try:
                raw = options.from_words(option, list(value.raw)) if value.words else raw
                instance.config[name] = options.canonical(option, raw)
                instance.origins[name] = "asked"
            except options.OptionError as problem:
                facts = {"option": name, "instance": instance.label, **problem.facts}
                span = value.locate(problem.at)
                where = problem.narrowed(span, raw)._replace(hidden=problem.hidden)
                spans, clause = (where, contract.source.key("config", name)), f"config.{name}"
                fault = Diagnostic(code=problem.code, facts=facts, spans=spans, clause=clause, variant=problem.variant)
                found.append(evolve(fault, edit=problem.edit(span, raw)))
            else:
                found += _other(instance, option, name, value, handed.get(name))
        elif name in handed:
            instance.config[name] = handed[name].given.value(option)
            instance.origins[name] = handed[name].origin
        elif name in misspelt:
            continue
        elif option.default is ABSENT:
            summary = f": {option.summary}" if option.summary else ""
            facts = {"instance": instance.label, "option": name, "type": option.type, "summary": summary}
            facts |= _shown_example(contract, name, option)
            found.append(
                Diagnostic(code="E-CONFIG-MISSING", facts=facts, spans=(instance.span,), clause=f"config.{name}")
            )
        else:
            instance.config[name] = options.canonical(option, option.default)
            instance.origins[name] = "default"
    if not all(harmless(each, contract) for each in found):
        return found
    for place, text in enumerate(() if found else contract.require):
        constraint = parse_constraint(text)
        if instance.keeps(constraint) is False:
            span = contract.source.value("require", place)
            found.append(unkept(instance, constraint, span, given, "require"))
    reemit(instance)
    instance.rules = tuple(_rules(instance))
    for compiled in instance.rules:
        found += _names_of(instance, compiled, given)
    return found


def flowing(contract: Contract) -> set[str]:
    """The options of a contract on which it depends what flows and how often."""
    given, read = contract.provides.metrics, contract.needs.metrics
    text = repr((given, read))
    guards = {name for when in (*(each.when for each in given), *(each.when for each in read)) for name in when}
    return {"interval", *guards, *(name for name in contract.config if f"config.{name}" in text)}


def harmless(fault: Diagnostic, contract: Contract) -> bool:
    """Whether what is wrong with a configuration leaves known what flows."""
    option = fault.facts.get("option", "")
    if fault.code == "E-CONFIG-UNKNOWN":
        meant = likely(option, contract.config)
        return bool(meant) and flowing(contract).isdisjoint(meant)
    known = ("E-CONFIG-MISSING", "E-CONFIG-TYPE", "E-CONFIG-RANGE", "E-CONFIG-CLASH")
    return fault.code in known and option not in flowing(contract)


def _unknown(contract: Contract, name: str, given: Given, meant: Sequence[str]) -> Diagnostic:
    """E-CONFIG-UNKNOWN for an option that a contract does not have."""
    facts = {"plugin": contract.name, "option": name, "near": nearest(name, contract.config)}
    facts["options"] = listed(sorted(contract.config))
    if len(meant) == 1:
        facts["near"] = f"{language().phrase('text', 'near', names=f'`{meant[0]}`')} "
    edit = renamed(given.keys, name, meant[0]) if len(meant) == 1 else None
    # What was meant for a secret may stand behind a name that is none.
    hidden = any(references.is_secret(option.type) for option in contract.config.values())
    at = tuple(span._replace(hidden=hidden) for span in given.keys[:1])
    variant = "" if contract.config else "none"
    return Diagnostic(code="E-CONFIG-UNKNOWN", facts=facts, spans=at, clause="config", variant=variant, edit=edit)


def _shown_example(contract: Contract, name: str, option: Option) -> dict[str, str]:
    """What could be written for an option, in a mount file and in a command."""
    value = options.example(option, contract.name)
    if option.type.removeprefix("list<").rstrip(">") == "metric":
        taken = f"*{_taken([rule for rule in contract.needs.metrics if rule.metric == f'${{config.{name}}}'])}"
        value = [taken] if isinstance(value, list) else taken
    return {"example": toml(value), "word": options.word(name, value)}


def _taken(rules: Sequence[RuleClause]) -> str:
    """The conditions of a selector under which all of these rules take what it selects."""
    units = {rule.unit for rule in rules}
    kinds = [kind for rule in rules[:1] for kind in rule.kind if all(kind in each.kind for each in rules)]
    said = [f"kind={'|'.join(kinds)}"] if kinds else []
    if len(units) == 1 and (unit := units.pop()) and not CONFIG.search(unit):  # one of an option may not be said yet
        said.append(f"unit={unit}")
    return f"{{{','.join(said)}}}" if said else ""


def _other(instance: Instance, option: Option, name: str, value: Given, each: Handed | None) -> Iterator[Diagnostic]:
    """E-CONFIG-CLASH: the request wants another value than a contract."""
    if each is None or each.given.value(option) == instance.config[name]:
        return
    facts = {"option": name, "instance": instance.label, "giver": each.giver.label}
    facts |= {"got": value.shown(option), "wanted": each.given.shown(option)}
    spans = (value.locate(()), each.given.locate(()))
    yield Diagnostic(code="E-CONFIG-CLASH", facts=facts, spans=spans, clause=each.clause, variant="request")


def holds_when(guard: Mapping[str, Any], config: Mapping[str, Any], declared: Mapping[str, Option]) -> bool:
    """Whether a guard holds: each option has the value, or one of the list; values are written as a request does."""
    return all(
        config.get(name)
        in [options.canonical(declared[name], value) for value in (values if isinstance(values, list) else [values])]
        for name, values in guard.items()
    )


def degrade(instance: Instance, without: Mapping[int, str]) -> None:
    """Take back what clauses of `provides.metrics` give, by their places, each with the reason."""
    left = [variant for place, variant in emitted(instance) if place not in without]
    instance.emits = tuple(sorted(left, key=lambda variant: str(variant.to_json())))
    gone = {variant.metric: without[place] for place, variant in emitted(instance) if place in without}
    instance.absent = {name: why for name, why in sorted(gone.items()) if all(v.metric != name for v in left)}


def reemit(instance: Instance) -> None:
    """Note what a source gives by all that is known of it."""
    given = (variant for _, variant in emitted(instance))
    instance.emits = tuple(sorted(given, key=lambda variant: str(variant.to_json())))


def emitted(instance: Instance) -> Iterator[tuple[int, Variant]]:
    """What a source gives by its configuration, each with the place of its clause in `provides.metrics`."""
    for place, clause in enumerate(instance.contract.provides.metrics):
        if not holds_when(clause.when, instance.config, instance.contract.config):
            continue
        yield from ((place, variant) for variant in instance.received.get(place, ()))
        attributes = tuple(
            (attribute, domain_of(domain, instance.config)) for attribute, domain in sorted(clause.attributes.items())
        )
        if any(domain is not None and not domain for _, domain in attributes):
            continue  # an option has no value for it, so there is no series
        for name in _names(clause, instance.config) if clause.schema is None else ():
            additive = clause.additive
            if additive is None:
                additive = language().says("kind", clause.kind, "additive")
            yield (
                place,
                Variant(
                    metric=name,
                    type=clause.type,
                    unit=clause.unit,
                    kind=clause.kind,
                    additive=additive,
                    resource=frozenset(clause.resource),
                    consumer=frozenset(clause.consumer),
                    attributes=attributes,
                    quality=clause.quality,
                    interval=interval_of(clause.interval, instance.config),
                    origin=instance.label,
                    via=frozenset({instance.label}),
                    parts=parts_of(clause.parts),
                ),
            )


def interval_of(said: str | None, config: Mapping[str, Any]) -> int:
    """The time between rows in nanoseconds, of the clause or else of the option."""
    value = config.get("interval", 0) if said is None else _put(said, config)
    return parse_duration(value) if isinstance(value, str) else int(value)


def _names(clause: MetricClause, config: Mapping[str, Any]) -> Iterator[str]:
    found = CONFIG.search(clause.name)
    if found is None:
        yield clause.name
        return
    value = config[found[1]]
    for item in value if isinstance(value, list) else [value]:
        yield clause.name.replace(found[0], str(item))


def domain_of(domain: Any, config: Mapping[str, Any]) -> Domain:
    """The values that a contract says of an attribute, with those of the option that it names put in."""
    if isinstance(domain, list):
        return frozenset(domain)
    found = CONFIG.fullmatch(domain)
    return None if found is None else frozenset(str(value) for value in config[found[1]])


def _rules(instance: Instance) -> Iterator[Compiled]:
    for place, clause in enumerate(instance.contract.needs.metrics):
        if not holds_when(clause.when, instance.config, instance.contract.config):
            continue
        option = CONFIG.fullmatch(clause.metric)
        if option is None:
            texts = [clause.metric]
        else:
            value = instance.config[option[1]]
            texts = value if isinstance(value, list) else [value]
        if not texts:
            continue
        name = option[1] if option else ""
        compiled = Compiled(
            rule=_rule(clause, instance.config),
            place=place,
            option=name,
            asked=instance.origins.get(name) == "asked",
            require=tuple(parse_constraint(text) for text in clause.require),
        )
        if name and instance.contract.config[name].type in options.FORMULAS:
            yield from _computing(compiled, texts[0])
        else:
            select = tuple(selectors.parse(text) for text in texts)
            yield evolve(compiled, rule=compiled.rule._replace(select=select))


def _computing(compiled: Compiled, value: str | dict[str, str]) -> Iterator[Compiled]:
    """A rule for each formula of an option; `${item}` in its name is the one that the formula has there."""
    from meter.contracts.formula.formulas import parse  # few contracts have one

    for item, text in sorted(value.items()) if isinstance(value, dict) else [("", value)]:
        formula = parse(text)
        gives = compiled.rule.gives
        rule = compiled.rule._replace(
            select=tuple(reading.selector for reading in formula.readings),
            computes=Computes(text),
            gives=None if gives is None else gives._replace(name=gives.name.replace(ITEM, item)),
        )
        yield evolve(compiled, rule=rule, formula=formula, item=item)


def _rule(clause: RuleClause, config: Mapping[str, Any]) -> Rule:
    """A rule without its selectors."""
    gives = clause.gives
    additive = clause.additive
    if gives is not None and _sums(gives, config):
        additive = True
    return Rule(
        select=(),
        type=clause.type,
        kind=clause.kind,
        unit=_put(clause.unit, config),
        resource=clause.resource,
        consumer=clause.consumer,
        attributes=clause.attributes,
        additive=additive,
        keeps=_put(clause.keeps, config),
        drop=tuple(sorted(set(_put(clause.drop, config)))),
        gives=None if gives is None else _gives(gives, config),
    )


def _gives(gives: GivesClause, config: Mapping[str, Any]) -> Gives:
    drop, merge, interval, tells = (
        _put(value, config) for value in (gives.drop, gives.merge, gives.interval, gives.tells)
    )
    additive = gives.additive
    folds = drop or gives.resource or gives.consumer
    if folds and merge is not None and additive is None and not language().says("merge", merge, "sums"):
        additive = False
    return Gives(
        name=CONFIG.sub(lambda found: _text(config[found[1]]), gives.name),
        type=gives.type,
        unit=None if gives.unit is None else CONFIG.sub(lambda found: str(config[found[1]]), gives.unit),
        kind=gives.kind,
        additive=additive,
        quality=gives.quality,
        interval=parse_duration(interval) if isinstance(interval, str) else interval,
        drop=tuple(sorted(set(drop))),
        merge=merge,
        attributes=tuple(sorted(_put(gives.attributes, config).items())),
        resource=tuple(sorted(set(gives.resource))),
        consumer=tuple(sorted(set(gives.consumer))),
        tells=tuple(sorted(set(tells))),
    )


def _sums(gives: GivesClause, config: Mapping[str, Any]) -> bool:
    """Whether a rule adds values of different series."""
    merge = _put(gives.merge, config)
    folds = _put(gives.drop, config) or gives.resource or gives.consumer
    return bool(folds) and merge is not None and language().says("merge", merge, "sums")


def _put(value: Any, config: Mapping[str, Any]) -> Any:
    """A value of a rule, or that of the option that it names."""
    found = CONFIG.fullmatch(value) if isinstance(value, str) else None
    return value if found is None else config[found[1]]


def _text(value: Any) -> str:
    """A value as a part of a name."""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _names_of(instance: Instance, compiled: Compiled, given: Mapping[str, Given]) -> Iterator[Diagnostic]:
    """E-KEY-NAME: names that the configuration makes and that are none."""
    gives = compiled.rule.gives
    if gives is None:
        return
    clause = instance.contract.needs.metrics[compiled.place].gives
    wrong = [("name", "", gives.name)] if not METRIC.fullmatch(gives.name.replace("${metric}", "x")) else []
    wrong += [
        ("attributes", "attribute", name)
        for name, _ in gives.attributes
        if name in RESERVED or not ATTRIBUTE.fullmatch(name)
    ]
    wrong += [("attributes", "placeholder", name) for name, text in gives.attributes if "${" in AT_START.sub("", text)]
    wrong += [("tells", "attribute", name) for name in gives.tells if name in RESERVED or not ATTRIBUTE.fullmatch(name)]
    for field_, variant, name in wrong:
        path = f"needs.metrics.gives.{field_}"
        place = instance.contract.source.value("needs", "metrics", compiled.place, "gives", field_)
        template = getattr(clause, field_)
        named = CONFIG.findall(template) if isinstance(template, str) else []
        at = (name,) if variant and named else ()
        if compiled.item and not variant:
            named, at = [compiled.option], (compiled.item,)
        spans = [given[option].locate(at) for option in named if option in given] or [instance.span]
        facts = {"instance": instance.label, "name": name, "reserved": listed(RESERVED)}
        facts["placeholders"] = language().phrase("text", "placeholders")
        yield Diagnostic(code="E-KEY-NAME", facts=facts, spans=(*spans, place), clause=path, variant=variant)


def strangers(
    request: Request, labels: set[str], considered: Collection[str] = (), *, hidden: bool = False
) -> list[Diagnostic]:
    """E-CONFIG-CLASH for configuration of instances that are not there, and were not `considered` either.

    Args: hidden, whether what was meant for a secret may stand there.
    """
    found: list[Diagnostic] = []
    free = labels - set(request.config)
    for label in sorted(request.config):
        if label in labels or label in considered:
            continue
        if len(found) > MANY:
            break
        facts = {"label": label, "mountpoint": request.mountpoint}
        facts |= {"near": nearest(label, labels), "instances": listed(sorted(labels))}
        spans = request.labels.get(label, ())
        meant = clear(label, free)
        edit = renamed(spans, label, meant) if meant and spans else None
        place = tuple(span._replace(hidden=hidden) for span in spans[:1]) or (request.span,)
        found.append(Diagnostic(code="E-CONFIG-CLASH", facts=facts, spans=place, clause="config", edit=edit))
    return found
