"""Rules: what a plugin takes, what that must be, and what becomes of it. The one evaluator.

`apply` works on variants: the check calls it with what contracts declare, `bind` with the keys of a real layout. A rule
here is resolved: its selectors are texts, configuration has been put in. For each part of a metric the first rule
that selects it applies, so the answer for a key never depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from meter.contracts import selectors
from meter.contracts.seen import Seen
from meter.contracts.selectors import Commensurable, Selector
from meter.contracts.variants import Variant

_LISTS: Final = ("drop", "resource", "consumer", "tells")


class Gives(NamedTuple):
    """What a rule makes of a metric; `None` is the input's.

    `name` and `unit` are templates, `interval` is in nanoseconds. What `drop` names is no part of the new key, and
    `resource` and `consumer` are the kinds of the new one where they are not empty; `merge` says what becomes of series
    that are one then. `attributes` are added; a value that holds `${` is put in when the
    chain starts. Those of `tells` are added, too, with values that the filter tells for each series.
    """

    name: str
    type: str | None = None
    unit: str | None = None
    kind: str | None = None
    additive: bool | None = None
    quality: str | None = None
    interval: int | None = None
    drop: tuple[str, ...] = ()
    merge: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    resource: tuple[str, ...] = ()
    consumer: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()

    @property
    def added(self) -> tuple[str, ...]:
        """The names of the attributes that are added."""
        return (*[name for name, _ in self.attributes], *self.tells)

    @property
    def folds(self) -> tuple[str, ...]:
        """The dimensions in which series of the input may become one: what is dropped, and kinds that are changed."""
        if not (self.resource or self.consumer):
            return self.drop
        changed = {word for word in ("resource", "consumer") if getattr(self, word)}
        return tuple(sorted(changed.union(self.drop)))

    def to_json(self) -> dict[str, Any]:
        """A JSON value; `from_json` reads it."""
        lists = {name: list(getattr(self, name)) for name in _LISTS}
        return {**self._asdict(), **lists, "attributes": dict(self.attributes)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Gives:
        """What `to_json` made `value` from."""
        attributes = tuple(sorted(value["attributes"].items()))
        tuples = {name: tuple(value[name]) for name in _LISTS}
        return cls(**{**value, **tuples, "attributes": attributes})


class Operand(NamedTuple):
    """What one selector of a formula brings into it.

    It is multiplied with `factor`. `sums`: all series of one resource and consumer are one; else the attributes in
    `drop`, which have one value, are no part of the key. `share`: it lies between 0 and 1. `delta`: it has a span, else
    an instant. `origins` are the instances that it comes from, `interval` is the longest time between two of its rows.
    """

    factor: float
    sums: bool
    share: bool
    drop: tuple[str, ...]
    delta: bool
    origins: tuple[str, ...]
    interval: int

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Operand:
        """What `to_json` of a rule made `value` from."""
        return cls(**{**value, "drop": tuple(value["drop"]), "origins": tuple(value["origins"])})


class Taken(NamedTuple):
    """Which series of an operand take part: kind of resource, of consumer, names of what is left of the attributes."""

    resource: str
    consumer: str
    attributes: tuple[str, ...]


class Way(NamedTuple):
    """One way in which the operands of a formula join: the series that come out, and those of each operand."""

    gives: Variant
    takes: tuple[Taken, ...]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Way:
        """What `to_json` of a rule made `value` from."""
        takes = tuple(Taken(**{**each, "attributes": tuple(each["attributes"])}) for each in value["takes"])
        return cls(Variant.from_json(value["gives"]), takes)


class Computes(NamedTuple):
    """The formula of a rule, whose selectors are those of the rule in the order in which they are written.

    Whoever computes it multiplies what each selector reads with its factor, and the result with `scale`; then it is in
    the unit that the rule gives. The result has the rows of the operand at the place `lead`, the others are joined to
    these. All but the text is known once the metrics have been followed to here.
    """

    formula: str
    operands: tuple[Operand, ...] = ()
    scale: float = 1.0
    lead: int = 0
    ways: tuple[Way, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON value; `from_json` reads it."""
        operands = [{**o._asdict(), "drop": list(o.drop), "origins": list(o.origins)} for o in self.operands]
        ways = [
            {
                "gives": way.gives.to_json(),
                "takes": [{**each._asdict(), "attributes": list(each.attributes)} for each in way.takes],
            }
            for way in self.ways
        ]
        return {**self._asdict(), "operands": operands, "ways": ways}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Computes:
        """What `to_json` made `value` from."""
        operands = tuple(Operand.from_json(each) for each in value["operands"])
        ways = tuple(Way.from_json(each) for each in value["ways"])
        return cls(**{**value, "operands": operands, "ways": ways})


class Rule(NamedTuple):
    """A resolved rule; an empty tuple of types, kinds, resources or consumers takes any.

    A rule that `computes` a formula reads and takes nothing: what its selectors mean goes on as it would without it,
    and what the rule demands is demanded of the result. `drop` names parts of the key that an output does not carry.
    """

    select: tuple[Selector, ...]
    type: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    unit: str = ""
    resource: tuple[str, ...] = ()
    consumer: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    additive: bool | None = None
    keeps: bool = True
    drop: tuple[str, ...] = ()
    gives: Gives | None = None
    computes: Computes | None = None

    @property
    def converts(self) -> bool:
        """Whether it gives the metric in the unit that it demands: a conversion that the user sees in the result."""
        return bool(self.unit) and self.gives is not None and self.gives.unit == self.unit

    def to_json(self) -> dict[str, Any]:
        """A JSON value; `from_json` reads it."""
        return {
            **{name: list(item) if isinstance(item, tuple) else item for name, item in self._asdict().items()},
            "select": [selector.text for selector in self.select],
            "gives": None if self.gives is None else self.gives.to_json(),
            "computes": None if self.computes is None else self.computes.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Rule:
        """The rule that `to_json` made `value` from."""
        fields: dict[str, Any] = {n: tuple(item) if isinstance(item, list) else item for n, item in value.items()}
        fields["select"] = tuple(selectors.parse(text) for text in value["select"])
        fields["gives"] = None if value["gives"] is None else Gives.from_json(value["gives"])
        if value["computes"] is not None:
            fields["computes"] = Computes.from_json(value["computes"])
        return cls(**fields)


class Applied(NamedTuple):
    """One part that a rule selected: places of the rule and of the item in its list."""

    rule: int
    item: int
    part: Variant


_KINDS: Final = frozenset({"resource", "consumer"})
"""What can be dropped of every key."""


class Fault(NamedTuple):
    """A part is not what its rule demands: the clause, what it is, what it had to be."""

    clause: str
    got: str
    wanted: tuple[str, ...]


def apply(
    rules: Sequence[Rule], variants: Iterable[Variant], same_dimension: Commensurable
) -> tuple[list[Applied], list[Variant]]:
    """Split variants by rules: the parts that a rule selects, and those that pass since no rule does."""
    applied: list[Applied] = []
    passing: list[Variant] = []
    names = named(rules)
    for variant in variants:
        if names is not None and variant.metric not in names:
            passing.append(variant)
            continue
        rest = [variant]
        for place, rule in enumerate(rules):
            if rule.computes is not None:
                applied += _read(place, rule, variant, same_dimension)
                continue
            remaining: list[Variant] = []
            for part in rest:
                hits, outside = selectors.split_list(part, rule.select, same_dimension)
                applied += [Applied(place, item, inside) for item, inside in hits]
                remaining += outside
            rest = remaining
        passing += rest
    return applied, passing


def _read(place: int, rule: Rule, variant: Variant, same_dimension: Commensurable) -> Iterator[Applied]:
    """What the selectors of a formula read of a variant, each by itself."""
    for item, selector in enumerate(rule.select):
        inside, _ = selectors.split(variant, selector, same_dimension)
        if inside is not None:
            yield Applied(place, item, inside)


def named(rules: Iterable[Rule]) -> frozenset[str] | None:
    """The metrics that rules can select at most; `None` where a selector has a wildcard or a list only exclusions.

    In large backends most rules name their metrics, and most variants are of others.
    """
    names: set[str] = set()
    for rule in rules:
        wanted = [selector for selector in rule.select if not selector.excludes]
        if (rule.select and not wanted) or not all(selector.literal for selector in wanted):
            return None
        names.update(selector.glob for selector in wanted)
    return frozenset(names)


def faults(rule: Rule, part: Variant, same_dimension: Commensurable) -> list[Fault]:
    """Where a selected part is not what the rule demands; empty when all is well."""
    found = []
    if rule.type and part.type not in rule.type:
        found.append(Fault("type", part.type, rule.type))
    if rule.kind and part.kind not in rule.kind:
        found.append(Fault("kind", part.kind, rule.kind))
    if rule.additive is not None and part.additive != rule.additive:
        found.append(Fault("additive", str(part.additive).lower(), (str(rule.additive).lower(),)))
    if rule.unit:
        if not same_dimension(part.unit, rule.unit):
            found.append(Fault("unit", part.unit, (rule.unit,)))
        elif part.unit != rule.unit and "f64" not in (part.type, rule.gives and rule.gives.type):
            found.append(Fault("unit", part.unit, (rule.unit,)))  # whole numbers are not scaled
    if rule.resource and not part.resource <= set(rule.resource):
        found.append(Fault("resource", "|".join(sorted(part.resource)), rule.resource))
    if rule.consumer and not part.consumer <= set(rule.consumer):
        found.append(Fault("consumer", "|".join(sorted(part.consumer)), rule.consumer))
    if not rule.attributes and rule.gives is None:  # as nearly all rules of outputs have it
        return found
    have = {name for name, _ in part.attributes}
    found += [Fault("attributes", "absent", (name,)) for name in rule.attributes if name not in have]
    if rule.gives is not None:
        left = have.difference(rule.gives.drop)
        found += [Fault("gives.attributes", "present", (name,)) for name in rule.gives.added if name in left]
        if rule.gives.merge is None and (folded := _folded(rule.gives, part, have)):
            found.append(Fault("gives.merge", "", folded))
    return found


def _folded(gives: Gives, part: Variant, have: set[str]) -> tuple[str, ...]:
    """The dimensions of a part that are dropped or changed; a kind that stays as it is is not."""
    changed = {word for word in _KINDS if getattr(gives, word) and set(getattr(gives, word)) != getattr(part, word)}
    return tuple(sorted(changed.union((have | _KINDS).intersection(gives.drop))))


def give(rule: Rule, part: Variant, label: str, worst_quality: WorstQuality) -> Variant | None:
    """What an instance makes of a part by a rule; `None` where the rule gives nothing."""
    if rule.gives is None:
        return None
    gives = rule.gives
    sums = _counts(gives, part)
    if gives.drop:
        part = part.without(gives.drop)
    if gives.resource:
        part = part._replace(resource=frozenset(gives.resource))
    if gives.consumer:
        part = part._replace(consumer=frozenset(gives.consumer))
    if gives.attributes or gives.tells:
        said = [(name, None if "${" in text else frozenset({text})) for name, text in gives.attributes]
        added = [*said, *[(name, None) for name in gives.tells]]
        part = part._replace(attributes=tuple(sorted([*part.attributes, *added], key=lambda pair: pair[0])))
    return part._replace(
        metric=gives.name.replace("${metric}", part.metric),
        type=gives.type or part.type,
        unit=_unit(gives.unit or "${unit}", rule.unit or part.unit),
        kind=gives.kind or part.kind,
        additive=part.additive if gives.additive is None else gives.additive,
        quality=part.quality if gives.quality is None else worst_quality(part.quality, gives.quality),
        interval=part.interval if gives.interval is None else gives.interval,
        origin=label,
        via=part.via | {label},
        sums=sums,
    )


def _counts(gives: Gives, part: Variant) -> frozenset[Variant]:
    """The series whose sum a part becomes or stays, by the names that they would have behind the rule."""
    if gives.merge is not None and gives.folds:
        return part.counted if gives.merge == "sum" and part.additive else frozenset()
    if "${metric}" not in gives.name:
        return part.sums
    return frozenset([each._replace(metric=gives.name.replace("${metric}", each.metric)) for each in part.sums])


def merged(given: Iterable[Variant], worst_quality: WorstQuality) -> list[Variant]:
    """Variants that one merging rule gives: those of one shape that could have a series in common are one."""
    seen = Seen()
    out: dict[Variant, None] = {}
    for variant in given:
        whole = variant
        while (met := next((each for each in seen.meeting(whole) if _alike(each, whole)), None)) is not None:
            del out[met]
            seen.remove(met)
            whole = met.together(whole, worst_quality)
        out[whole] = None
        seen.add(whole)
    return list(out)


def _alike(one: Variant, other: Variant) -> bool:
    return (one.type, one.unit, one.kind) == (other.type, other.unit, other.kind)


def _unit(template: str, unit: str) -> str:
    """A unit put into a template; behind a `/` a unit of several parts needs parentheses."""
    whole = f"({unit})" if set(unit) & {"/", "."} else unit
    return template.replace("/${unit}", f"/{whole}").replace("${unit}", unit)


class WorstQuality:
    """The worse of two qualities, by their order in CONTRACT.ini; the plan carries that order to the engine."""

    def __init__(self, order: Sequence[str]) -> None:
        self.order = tuple(order)

    def __call__(self, one: str, other: str) -> str:
        """The worse of the two."""
        return max(one, other, key=self.order.index)
