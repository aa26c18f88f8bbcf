"""Unkept: E-CONSTRAINT for a relation between options and intervals, with each side of it that could be changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attrs import field, frozen

from meter.contracts import options
from meter.contracts.constraints import Constraint, bounds, holds
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.edits import dotted
from meter.contracts.editing.trying import otherwise
from meter.contracts.editing.writing import toml
from meter.contracts.editing.written import written
from meter.contracts.language import language
from meter.contracts.placeholders import CONFIG
from meter.contracts.quantities import QuantityError, format_duration, format_size, parse_duration

if TYPE_CHECKING:
    from meter.contracts.editing.trying import Sound
    from meter.contracts.instances import Instance
    from meter.contracts.model import Option
    from meter.contracts.request import Given, Request
    from meter.contracts.spans import Span
    from meter.contracts.variants import Variant

LONG: Final = 6
DIGITS: Final = 3
"""A duration or size of more characters is told with so many digits."""


class Pace(NamedTuple):
    """The option of an instance that says how often there are rows of something."""

    instance: Instance
    option: str


@frozen
class Broken:
    """A constraint that the rule at a place in `needs.metrics` does not keep for some parts of one interval."""

    instance: Instance
    place: int
    constraint: Constraint
    interval: int
    parts: list[Variant] = field(factory=list)

    def said(self, chain: Sequence[Instance], request: Request, sound: Sound) -> Diagnostic:
        """Once for all parts, with the options of all who give them."""
        span = self.instance.contract.source.value("needs", "metrics", self.place, "require")
        given = request.config.get(self.instance.label, {})
        paces = {(pace.instance.label, pace.option): pace for part in self.parts for pace in _paces(chain, part)}
        clause = "needs.metrics.require"
        found = [paces[key] for key in sorted(paces)]

        def can(raw: str, value: int) -> bool:
            """Whether all who give the parts can be as quick: a source in its time, a filter of what it gets."""
            return all(_is_free(pace.instance, value) or sound(_otherwise(request, pace, raw)) for pace in found)

        guards = _guards(self.instance, self.place)
        return unkept(self.instance, self.constraint, span, given, clause, self.interval, found, can, guards=guards)


def _guards(instance: Instance, place: int) -> list[str]:
    """The options by which a rule is in force: of its own `when`, and of those before it that read the same."""
    rules = instance.contract.needs.metrics
    same = (rule for rule in rules[: place + 1] if rule.metric == rules[place].metric)
    return sorted({name for rule in same for name in rule.when})


def _is_free(instance: Instance, interval: int) -> bool:
    """Whether an instance gives rows at an interval whatever it gets."""
    deadline = instance.contract.deadline
    return instance.contract.role == "source" and (deadline is None or parse_duration(deadline) <= interval)


def _otherwise(request: Request, pace: Pace, raw: str) -> Request:
    return otherwise(request, pace.instance.label, {pace.option: raw})


def _paces(chain: Sequence[Instance], part: Variant) -> Iterator[Pace]:
    """Whose option says the interval of a part: the last filter's that it had a new one from, else the sources'."""
    there = [instance for instance in chain if instance.label in part.via]
    for instance in reversed(there):
        for compiled in instance.rules:
            gives = instance.contract.needs.metrics[compiled.place].gives
            if gives is None or compiled.rule.gives is None or compiled.rule.gives.interval != part.interval:
                continue
            option = CONFIG.fullmatch(gives.interval or "")
            yield from [Pace(instance, option[1])] if option is not None else []
            return
    for instance in there:
        texts = [clause.interval or "" for clause in instance.contract.provides.metrics]
        names = ["interval", *(found[1] for text in texts if (found := CONFIG.fullmatch(text)) is not None)]
        known = (name for name in names if instance.config.get(name) == part.interval)
        name = next(known, "") if instance.contract.role == "source" else ""
        yield from [Pace(instance, name)] if name else []


def unkept(
    instance: Instance,
    constraint: Constraint,
    span: Span,
    given: Mapping[str, Given],
    clause: str,
    interval: int = 0,
    paces: Sequence[Pace] = (),
    can: Callable[[str, int], bool] = lambda *_: True,
    *,
    guards: Sequence[str] = (),
) -> Diagnostic:
    """E-CONSTRAINT, at the option that the request gave, else at the instance; `guards` are options that demand it."""
    say = language().phrase
    names = [*constraint.names, *(name for name in guards if name not in constraint.names)]
    values = [say("text", "value", name=name, value=_shown(instance, name)) for name in names]
    if interval and (constraint.of_interval or not values):
        values.append(say("text", "interval", value=format_duration(interval)))
    asked = next((name for name in names if name in given), "")
    ways = list(_ways(instance, constraint, interval, paces, can))
    facts = {
        "instance": instance.label,
        "constraint": constraint.text,
        "values": " and ".join(values),
        "names": " or ".join(f"`{name}`" for name in names),
        "ways": ", or ".join(ways),
    }
    if asked:
        facts["option"] = asked
    place = given[asked].keys[0] if asked else instance.span
    variant = "ways" if ways else "" if names else "interval"
    return Diagnostic(code="E-CONSTRAINT", facts=facts, spans=(place, span), clause=clause, variant=variant)


def _shown(instance: Instance, name: str) -> str:
    value = instance.config.get(name)
    if isinstance(value, list):
        return language().phrase("text", "list-of", count=str(len(value)))
    text = written(value, instance.types.get(name, ""))
    return options.describe(value) if isinstance(value, str | dict) else f"`{text.strip(chr(34))}`"


def _ways(
    instance: Instance,
    constraint: Constraint,
    interval: int,
    paces: Sequence[Pace],
    can: Callable[[str, int], bool],
) -> Iterator[str]:
    """What each option would have to be so that a constraint is kept, all else as it is; the nearest value, tried."""
    say = language().phrase
    for (form, name), (word, number) in bounds(constraint, instance.config, interval, instance.types).items():
        if form == "config":
            raw = _raw(instance.contract.config[name], number, up=word == "least")
            value = _canonical(instance.contract.config[name], raw)
            if value is not None and holds(constraint, {**instance.config, name: value}, interval, instance.types):
                yield say("text", "bound", "text", word, name=name, bound=toml(raw))
            continue
        declared = [pace.instance.contract.config[pace.option] for pace in paces]
        raws = [_raw(option, number, up=word == "least") for option in declared]
        values = list(map(_canonical, declared, raws))
        kept = [each and holds(constraint, instance.config, each, instance.types) for each in values]
        if kept and all(kept) and can(raws[0], values[0]):
            names = "` and `".join(dotted(("config", pace.instance.label, pace.option)) for pace in paces)
            yield say("text", "bound", "text", word, name=names, bound=toml(raws[0]))


def _raw(option: Option, number: Fraction, *, up: bool) -> Any:
    """The nearest value of an option, as TOML has it, that is not below, or not above, a number; None without one."""
    toward = math.ceil if up else math.floor
    whole = toward(number * 10**9 if option.type == "duration" else number)
    form = {"duration": format_duration, "size": format_size}.get(option.type)
    try:
        if form is not None and len(form(whole)) > LONG:  # 6666666666ns: nobody wants it that exact
            step = 10 ** (len(str(whole)) - DIGITS)
            whole = toward(Fraction(whole, step)) * step
        if form is not None:
            return form(whole)
    except QuantityError:
        return None
    if option.type == "int":
        return whole
    return float(number) if option.type == "float" else None


def _canonical(option: Option, raw: Any) -> Any:
    """The value of an option; None where it has no such one."""
    try:
        return None if raw is None else options.canonical(option, raw)
    except options.OptionError:
        return None
