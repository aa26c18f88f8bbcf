"""Metrics of other hosts: what a source receives from the output of another meter, by that meter's plan file.

The file is an input of the check, as contracts and the host's answers are. The series keep all that the sender says of
them and get the name of the host that they come from, which tells those of several senders apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from meter.contracts.configured import place as place_of
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.host import DIGEST, SCHEMA, Host, reason, remedy
from meter.contracts.instances import Instance, domain_of, holds_when, interval_of, reemit
from meter.contracts.language import language
from meter.contracts.model import MetricClause
from meter.contracts.order import commensurable, worst_quality
from meter.contracts.placeholders import CONFIG
from meter.contracts.request import Request
from meter.contracts.rules import Rule, apply
from meter.contracts.sent import Sent
from meter.contracts.variants import Domain, Variant

HOST_NAME: Final = "host.name"
"""The attribute that says from which host a series comes; any text, unless the contract says which."""


def received(instance: Instance, request: Request, host: Host) -> list[Diagnostic]:
    """Put in what a source receives from other meters; E-FILE where a plan file of theirs does not say it."""
    found = []
    for place, clause in enumerate(instance.contract.provides.metrics):
        option = CONFIG.fullmatch(clause.schema or "")
        if option is None or option[1] not in instance.config:
            continue
        if not holds_when(clause.when, instance.config, instance.contract.config):
            continue
        reference = instance.config[option[1]]
        answer = host.answer(SCHEMA, reference)
        spans = (
            place_of(instance, request, option[1], ()),
            instance.contract.source.value("provides", "metrics", place, "schema"),
        )
        if answer and not answer.startswith(DIGEST):
            facts = {"path": reference, "why": reason(answer), "help": remedy(answer, "schema")}
            found.append(_unusable(facts, spans))
            continue
        try:
            variants = tuple(_variants(host.sent(reference)))
        except (KeyError, TypeError, ValueError):
            other = f"no-plan {reference.partition('#')[0]}"
            facts = {"path": reference, "why": reason(other), "help": remedy(other, "schema")}
            found.append(_unusable(facts, spans))
            continue
        instance.received[place], clashing = _named(instance, clause, variants)
        for metric, attribute in clashing:
            facts = {"instance": instance.label, "metric": f"`{metric}`", "wanted": attribute}
            spans = (spans[0], instance.contract.source.key("provides", "metrics", place, "attributes", attribute))
            clause_ = "provides.metrics.attributes"
            found.append(Diagnostic(code="E-FLOW-IDENTITY", variant="added", facts=facts, spans=spans, clause=clause_))
    if instance.received:
        reemit(instance)
    return found


def _unusable(facts: dict[str, str], spans: tuple[Any, ...]) -> Diagnostic:
    return Diagnostic(code="E-FILE", variant="schema", facts=facts, spans=spans, clause="provides.metrics.schema")


def _variants(sent: Sent) -> Iterator[Variant]:
    """What a sender's output hands over: the parts that its rules take, in their units, without what it drops.

    Raises: KeyError, TypeError, ValueError; the plan has words that this meter does not know.
    """
    rules = [Rule.from_json(rule) for rule in sent.rules]
    variants = [_variant(row) for row in sent.rows]
    for hit in apply(rules, variants, commensurable)[0]:
        rule = rules[hit.rule]
        part = hit.part.without(rule.drop)
        yield part._replace(unit=rule.unit) if rule.unit and commensurable(rule.unit, part.unit) else part


def _variant(row: dict[str, Any]) -> Variant:
    """A row of a plan as a variant, its words compared with those of this meter.

    Raises: KeyError, TypeError, ValueError.
    """
    words = language().words
    known = [("number", row["type"]), ("kind", row["kind"]), ("quality", row["quality"])]
    known += [(family, kind) for family in ("resource", "consumer") for kind in row[family]]
    for family, word in known:
        if word not in words[family]:
            raise KeyError(word)
    language().units.parse(row["unit"])
    return Variant.from_json({**row_of(row), "parts": row.get("parts", {}), "origin": "", "via": []})


def row_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the instance that gave it."""
    return {name: value for name, value in row.items() if name not in ("from", "parts")}


def _named(
    instance: Instance, clause: MetricClause, variants: tuple[Variant, ...]
) -> tuple[tuple[Variant, ...], list[tuple[str, str]]]:
    """Received metrics as those of an instance, with the attributes that its contract adds; what has these already."""
    added: dict[str, Domain] = {name: domain_of(value, instance.config) for name, value in clause.attributes.items()}
    found, clashing = [], []
    for variant in variants:
        have = {name for name, _ in variant.attributes}
        clashing += [(variant.metric, name) for name in sorted(have.intersection(added))]
        new = {**({} if HOST_NAME in have else {HOST_NAME: None}), **added}
        attributes = {**dict(variant.attributes), **new}
        found.append(
            variant._replace(
                attributes=tuple(sorted(attributes.items())),
                additive=variant.additive if clause.additive is None else clause.additive,
                quality=worst_quality()(variant.quality, clause.quality),
                interval=variant.interval if clause.interval is None else interval_of(clause.interval, instance.config),
                origin=instance.label,
                via=frozenset({instance.label}),
            )
        )
    return tuple(found), list(dict.fromkeys(clashing))
