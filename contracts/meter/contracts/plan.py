"""The plan: what `check` found, as a JSON document that the engine runs and `meter.lock` keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from meter.contracts.digests import canonical_bytes
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.order import Edge, commensurable
from meter.contracts.promises import claims_of
from meter.contracts.resolution.resolve import Resolved
from meter.contracts.rules import apply
from meter.contracts.variants import Variant

FORMAT: Final = "meter-plan/1"


@frozen
class Plan:
    """One backend, ordered and checked. `document` is a JSON value; equal inputs give equal bytes."""

    document: dict[str, Any]

    def to_bytes(self) -> bytes:
        """The canonical bytes."""
        return canonical_bytes(self.document)


def metric_json(variants: Iterable[Variant]) -> list[dict[str, str]]:
    """The metrics of some variants, as `meter check --format json` shows a schema."""
    shown = {(v.metric, v.unit, v.type, v.kind) for v in variants}
    return [{"metric": m, "unit": u, "type": t, "kind": k} for m, u, t, k in sorted(shown)]


def make(
    mountpoint: str,
    instances: Sequence[Instance],
    edges: Iterable[Edge],
    schema: Mapping[str, Sequence[Variant]],
    resolved: Resolved,
) -> Plan:
    """Write down an ordered, checked backend."""
    there = {instance.contract.name for instance in instances}
    words = language().words
    return Plan(
        {
            "format": FORMAT,
            "mountpoint": mountpoint,
            "order": [instance.label for instance in instances],
            "plugins": [
                {
                    "instance": instance.label,
                    "plugin": instance.contract.name,
                    "version": instance.contract.version,
                    "placement": instance.contract.placement,
                    "role": words["placement"][instance.contract.placement]["role"],
                    "because": instance.because,
                    "contract": instance.contract.digest,
                    "exports": dict(sorted(instance.contract.exports.items())),
                    "config": dict(sorted(instance.config.items())),
                    "types": {name: option.type for name, option in sorted(instance.contract.config.items())},
                    "paths": sorted(n for n, o in instance.contract.config.items() if o.type in _PATHS),
                    "origins": dict(sorted(instance.origins.items())),
                    "emits": [variant.to_json() for variant in instance.emits],
                    "alternative": instance.alternative,
                    "absent": dict(sorted(instance.absent.items())),
                    "received": sorted({v.metric for variants in instance.received.values() for v in variants}),
                    "rules": [compiled.rule.to_json() for compiled in instance.rules],
                }
                for instance in instances
            ],
            "edges": [{"from": e.first, "to": e.then, "because": e.because} for e in edges],
            # Of outputs only: what is behind each of many filters would make a plan grow with the square of its size,
            # and `hops` says it by what each of them changes.
            "schema": {
                instance.label: metric_json(schema[instance.label])
                for instance in sorted(instances, key=lambda each: each.label)
                if words["placement"][instance.contract.placement]["role"] == "output"
            },
            "hops": hops(instances, schema),
            "claims": [
                {"instance": instance.label, "claim": claim, "option": option}
                for instance in sorted(instances, key=lambda each: each.label)
                for claim, option in claims_of(instance)
            ],
            "rejected": [{"plugin": each.plugin, "for": each.need, "why": each.why} for each in resolved.rejected],
            "left_out": [
                {"instance": e.label, "plugin": e.plugin, "because": e.because, "why": e.diagnostic.facts["why"]}
                for e in resolved.left_out
            ],
            # Who checks this backend again looks at these plugins, and at no others that are new in the catalogue.
            "considered": sorted(resolved.considered - there),
            "qualities": list(words["quality"]),
            "additive": sorted(kind for kind, word in words["kind"].items() if word["additive"] == "yes"),
            "resources": {kind: says.get("parent", "") for kind, says in words["resource"].items()},
        }
    )


def hops(instances: Sequence[Instance], schema: Mapping[str, Sequence[Variant]]) -> dict[str, Any]:
    """What each instance takes, and what of the metrics behind it is other than before it.

    `takes` has the metric, the instance that gave it, and `part`, the conditions of a selector where only a part was
    taken. `adds` are the metrics that the instance gives, `narrows` what is left of a metric of which a part has
    ended, `ends` the metrics that have ended whole; `meter.contracts.hops` puts them together again.

    Args: schema, the variants behind each instance; for an output those that it gets.
    """
    words = language().words["placement"]
    found: dict[str, Any] = {}
    live: Sequence[Variant] = ()
    now: dict[tuple[str, str], _Group] = {}
    for instance in instances:
        role = words[instance.contract.placement]["role"]
        rules = [compiled.rule for compiled in instance.rules]
        taken = _grouped(hit.part for hit in apply(rules, live, commensurable)[0]) if role != "source" else {}
        whole = {key: now[key] for key in taken}
        before: dict[tuple[str, str], _Group] = {}
        if role in ("source", "filter"):
            before, now = _changed(live, schema[instance.label], now)
            live = schema[instance.label]
        changed = {key: now[key] for key in before if now[key]}
        found[instance.label] = {
            "takes": [
                {"metric": metric, "from": origin, "part": part}
                for (metric, origin), parts in sorted(taken.items())
                for part in _conditions(parts, whole[metric, origin])
            ],
            "adds": [
                row
                for (_, origin), group in sorted(changed.items())
                if origin == instance.label
                for row in _rows(group)
            ],
            "narrows": [
                row for key, group in sorted(changed.items()) if before[key] not in ([], group) for row in _rows(group)
            ],
            "ends": [{"metric": metric, "from": origin} for metric, origin in sorted(before.keys() - changed.keys())],
        }
    return found


_Group = list[Variant]


def _grouped(variants: Iterable[Variant]) -> dict[tuple[str, str], _Group]:
    """Variants by metric and giver, those of a group joined as far as they are one product set."""
    groups: dict[tuple[str, str], _Group] = {}
    for variant in variants:
        plain = variant._replace(via=frozenset())
        groups.setdefault((variant.metric, variant.origin), []).append(plain)
    return {key: _joined(group) for key, group in groups.items()}


def _changed(
    live: Sequence[Variant], after: Sequence[Variant], known: dict[tuple[str, str], _Group]
) -> tuple[dict[tuple[str, str], _Group], dict[tuple[str, str], _Group]]:
    """The groups that an instance has changed as they were, empty where there was none; `known` gets the new ones.

    Whatever passes an instance is the same object behind it, so that a large backend groups each variant once.
    """
    old, new = dict(zip(map(id, live), live, strict=True)), dict(zip(map(id, after), after, strict=True))
    come = [new[which] for which in new.keys() - old.keys()]
    keys = {(v.metric, v.origin) for v in (*(old[which] for which in old.keys() - new.keys()), *come)}
    # What a source gives is of no group that was there; of the order in a group nothing depends.
    again = _grouped(come if keys.isdisjoint(known) else (v for v in after if (v.metric, v.origin) in keys))
    before = {key: known.get(key, []) for key in keys}
    known.update((key, again.get(key, [])) for key in keys)
    return before, known


def _joined(group: _Group) -> _Group:
    """The same series in fewer variants: two that differ in one set only are one with both sets together."""
    if len(group) == 1:
        return group
    group = sorted(set(group), key=lambda variant: str(variant.to_json()))
    for place, one in enumerate(group):
        for other in group[place + 1 :]:
            whole = _together(one, other)
            if whole is not None:
                return _joined([each for each in group if each not in (one, other)] + [whole])
    return group


def _together(one: Variant, other: Variant) -> Variant | None:
    changed = [
        other._replace(resource=one.resource) == one and one._replace(resource=one.resource | other.resource),
        other._replace(consumer=one.consumer) == one and one._replace(consumer=one.consumer | other.consumer),
    ]
    if [name for name, _ in one.attributes] == [name for name, _ in other.attributes]:
        for (name, mine), (_, theirs) in zip(one.attributes, other.attributes, strict=True):
            both = None if mine is None or theirs is None else mine | theirs
            changed.append(other.with_domain(name, mine) == one and one.with_domain(name, both))
    return next((variant for variant in changed if variant), None)


def _rows(group: _Group) -> Iterator[dict[str, Any]]:
    """The variants of a group as a person reads them."""
    for variant in group:
        document = variant.to_json()
        parts = {"parts": document["parts"]} if variant.parts else {}
        yield {"from": variant.origin} | {name: document[name] for name in _SHOWN} | parts


_SHOWN: Final = (
    *("metric", "type", "unit", "kind", "additive", "quality", "interval"),
    *("resource", "consumer", "attributes"),
)


def _conditions(parts: _Group, whole: _Group) -> Iterator[str]:
    """For each part what tells it from the whole, as `{cpu.mode=user|system}`; empty where it is the whole."""
    if parts == whole:
        yield ""
        return
    sets = [dict(_sets(variant)) for variant in whole]
    for part in parts:
        told = [
            f"{name}={'|'.join(sorted(values))}"
            for name, values in _sets(part)
            if values is not None and any(each.get(name) != values for each in sets)
        ]
        yield "{" + ",".join(told) + "}" if told else ""


def _sets(variant: Variant) -> Iterator[tuple[str, frozenset[str] | None]]:
    yield "resource", variant.resource
    yield "consumer", variant.consumer
    yield from variant.attributes


_PATHS: Final = ("path", "list<path>", "map<path>")
