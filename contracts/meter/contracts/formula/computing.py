"""Rules that compute: from the formula of a mount file to the metric that it gives, or a diagnostic inside its text.

Beside the flow, which follows every metric: this module knows one rule, and what its selectors read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.formula.faults import FormulaFault
from meter.contracts.formula.formulas import Formula
from meter.contracts.formula.inference import Derived, Refused, anything, infer, possible
from meter.contracts.instances import Compiled, Instance
from meter.contracts.language import language
from meter.contracts.options import At, inside
from meter.contracts.placeholders import CONFIG
from meter.contracts.request import Given
from meter.contracts.rules import Applied, Computes, Fault, Way
from meter.contracts.spans import Span
from meter.contracts.units import UnitError
from meter.contracts.variants import Variant


class Outcome(NamedTuple):
    """What a rule computes, before it is given attributes and the like; or nothing, and why."""

    results: tuple[Variant, ...]
    computes: Computes
    diagnostics: tuple[Diagnostic, ...] = ()


def reads(formula: Formula, hits: Iterable[Applied]) -> list[list[Variant]]:
    """What each selector of a formula reads, of the parts that one rule applies to."""
    found: list[list[Variant]] = [[] for _ in formula.readings]
    for hit in hits:
        found[hit.item].append(hit.part)
    return found


def compute(
    instance: Instance,
    compiled: Compiled,
    formula: Formula,
    parts: Sequence[Sequence[Variant]],
    given: Mapping[str, Given],
) -> Outcome:
    """What a rule computes of what its formula reads; each selector reads something."""
    rule = compiled.rule
    computes = Computes(formula.text)
    assert rule.gives is not None  # the reader has seen to it
    facts = {"instance": instance.label, "item": rule.gives.name}
    inferred = infer(formula, parts)
    if isinstance(inferred, Refused):
        notes = tuple(_derivation(inferred.derived))
        return Outcome((), computes, tuple(_said(instance, compiled, given, f, facts, notes) for f in inferred.faults))
    demanded = rule.gives.unit or rule.unit or inferred.unit.text
    try:
        scale = inferred.scale(language().units.parse(demanded))
    except UnitError:
        facts |= {"got": inferred.unit.text, "wanted": demanded}
        spans = (place(instance, compiled, given), _demand(instance, compiled, given))
        unit = Diagnostic(
            code="E-FLOW-UNIT",
            variant="formula",
            facts=facts,
            spans=spans,
            clause="needs.metrics.gives.unit",
            notes=tuple(_derivation(inferred.derived)),
        )
        return Outcome((), computes, (unit,))
    results = tuple(_given(instance.label, compiled, inferred.variants, demanded))
    ways = tuple(Way(each, takes) for each, takes in zip(results, inferred.takes, strict=True))
    return Outcome(results, Computes(formula.text, inferred.operands, scale, inferred.lead, ways))


_CODES: Final = {"unit": "E-FLOW-UNIT", "type": "E-FLOW-TYPE", "kind": "E-FLOW-KIND", "additive": "E-FLOW-KIND"}


def undemanded(instance: Instance, compiled: Compiled, fault: Fault, given: Mapping[str, Given]) -> Diagnostic:
    """That what a formula gives is not what its rule demands."""
    assert compiled.rule.gives is not None
    facts = {"item": compiled.rule.gives.name, "demand": fault.clause, "got": fault.got}
    return Diagnostic(
        code=_CODES.get(fault.clause, "E-FLOW-IDENTITY"),
        variant="result",
        facts={**facts, "wanted": " or ".join(f"`{word}`" for word in fault.wanted)},
        spans=(
            place(instance, compiled, given),
            instance.contract.source.key("needs", "metrics", compiled.place, *fault.clause.split(".")),
        ),
        clause=f"needs.metrics.{fault.clause}",
    )


def unknown(instance: Instance, compiled: Compiled) -> list[Variant]:
    """What stands for the result of a formula that is wrong: something of its name, whatever it would be."""
    return list(_given(instance.label, compiled, anything()))


class Potential:
    """What the rules of a chain that compute could give in some order, while it becomes known what they could read."""

    def __init__(self, filters: Sequence[Instance]) -> None:
        rules = [(i, place, each) for i in filters for place, each in enumerate(i.rules) if each.formula is not None]
        self._rules = {(instance.label, place): compiled for instance, place, compiled in rules}
        self._hits: dict[tuple[str, int], list[Applied]] = {key: [] for key in self._rules}
        self._noted: set[tuple[str, int]] = set()
        self._silent = set(self._rules)

    def note(self, instance: Instance, hit: Applied) -> None:
        """Note that a rule of an instance could read a part."""
        self._hits[instance.label, hit.rule].append(hit)
        self._noted.add((instance.label, hit.rule))

    def fresh(self) -> Iterator[Variant]:
        """What those rules could give that have something new to read."""
        for key in sorted(self._noted):
            compiled = self._rules[key]
            assert compiled.formula is not None
            found = possible(compiled.formula, reads(compiled.formula, self._hits[key]))
            self._silent -= {key} if found else set()
            yield from _given(key[0], compiled, found)
        self._noted.clear()

    def rest(self) -> Iterator[Variant]:
        """What those would give that have never given anything: they are wrong, yet whoever reads it comes behind."""
        for key in sorted(self._silent):
            yield from _given(key[0], self._rules[key], anything())
        self._silent.clear()


def _given(label: str, compiled: Compiled, variants: Iterable[Variant], unit: str = "") -> Iterator[Variant]:
    """Variants of a formula with the name that its rule gives, and a unit: the given or demanded one, or their own."""
    rule = compiled.rule
    assert rule.gives is not None  # the reader has seen to it
    unit = unit or rule.gives.unit or rule.unit
    for each in variants:
        name, via = rule.gives.name, each.via | {label}
        yield each._replace(metric=name, unit=unit or each.unit, origin=label, via=via)


def place(
    instance: Instance, compiled: Compiled, given: Mapping[str, Given], part: tuple[int, int] | None = None
) -> Span:
    """Where a formula stands, or a part of its text: in the request, else in the contract that has it as a default."""
    at: At = (compiled.item,) if compiled.item else ()
    value = given.get(compiled.option)
    source = instance.contract.source
    span = source.value("config", compiled.option, "default", *at) if value is None else value.locate(at)
    if part is None or compiled.formula is None:
        return span
    return inside(span, at, compiled.formula.text, part)


def _demand(instance: Instance, compiled: Compiled, given: Mapping[str, Given]) -> Span:
    """Where the unit is demanded that a formula does not have: an option of the request, else the contract."""
    clause = instance.contract.needs.metrics[compiled.place]
    path = ("gives", "unit") if clause.gives is not None and clause.gives.unit else ("unit",)
    text = clause.gives.unit if clause.gives is not None and clause.gives.unit else clause.unit
    named = CONFIG.fullmatch(text)
    if named is not None and named[1] in given:
        return given[named[1]].locate(())
    return instance.contract.source.value("needs", "metrics", compiled.place, *path)


def _said(
    instance: Instance,
    compiled: Compiled,
    given: Mapping[str, Given],
    fault: FormulaFault,
    facts: Mapping[str, str],
    notes: tuple[str, ...],
) -> Diagnostic:
    facts = {**facts, **fault.facts}
    if way := fault.facts.get("way"):
        facts["way"] = language().phrase("text", f"formula-{way}", **fault.facts)
    return Diagnostic(
        code=fault.code,
        variant=fault.variant,
        facts=facts,
        spans=tuple(dict.fromkeys(place(instance, compiled, given, part) for part in fault.places)),
        clause="needs.metrics.metric",
        notes=notes,
    )


def _derivation(derived: Iterable[Derived]) -> Iterator[str]:
    """What each selector brings into its formula, each once."""
    phrase = language().phrase
    for each in dict.fromkeys(derived):
        dimensions = (phrase("note", "dimension", degree=str(n), dimension=name) for (_, name), n in each.degrees)
        facts = {"selector": each.text, "unit": each.unit, "degree": str(each.time)}
        yield phrase("note", "degree", **facts, dimensions="".join(dimensions))
