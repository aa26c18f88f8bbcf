"""The plan: what `check` found, as a JSON document that the engine runs and `meter.lock` keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from meter.contracts.claiming import claims_of
from meter.contracts.cycles import Edge
from meter.contracts.digests import canonical_bytes
from meter.contracts.flow import Flow
from meter.contracts.instances import Instance
from meter.contracts.joining import joined
from meter.contracts.language import language
from meter.contracts.live import Step
from meter.contracts.quantities import parse_duration
from meter.contracts.resolution.resolve import Resolved
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
    flowed: Flow,
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
                    "role": instance.contract.role,
                    "because": instance.because,
                    "contract": instance.contract.digest,
                    "exports": dict(sorted(instance.contract.exports.items())),
                    "config": dict(sorted(instance.config.items())),
                    "types": {name: option.type for name, option in sorted(instance.contract.config.items())},
                    "paths": sorted(n for n, o in instance.contract.config.items() if o.type in _PATHS),
                    "origins": dict(sorted(instance.origins.items())),
                    "emits": [variant.to_json() for variant in instance.emits],
                    "alternative": instance.alternative,
                    # In nanoseconds; 0 where the contract does not say how long a call may take.
                    "deadline": parse_duration(instance.contract.deadline or "0s"),
                    "absent": dict(sorted(instance.absent.items())),
                    "received": sorted({v.metric for variants in instance.received.values() for v in variants}),
                    "rules": [compiled.rule.to_json() for compiled in instance.rules],
                }
                for instance in instances
            ],
            "edges": [{"from": e.first, "to": e.then, "because": e.because} for e in edges],
            # Of outputs only: what is behind each of many filters would make a plan grow with the square of its size,
            # and `hops` says it by what each of them changes.
            "schema": {label: metric_json(variants) for label, variants in sorted(flowed.gets.items())},
            "hops": hops(instances, flowed.steps),
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


def hops(instances: Sequence[Instance], steps: Mapping[str, Step]) -> dict[str, Any]:
    """What each instance takes, and what of the metrics behind it is other than before it.

    `takes` has the metric, the instance that gave it, and `part`, the conditions of a selector where only a part was
    taken. `adds` are the metrics that the instance gives, `narrows` what is left of a metric of which a part has
    ended, `ends` the metrics that have ended whole; `meter.contracts.hops` puts them together again.
    """
    found: dict[str, Any] = {}
    there: dict[_Key, list[Variant]] = {}
    now: dict[_Key, _Group] = {}
    for instance in instances:
        step = steps[instance.label]
        takes = list(_takes(step.taken, there, now))
        before = _changed(step, there, now)
        changed = {key: now[key] for key in before if now[key]}
        found[instance.label] = {
            "takes": takes,
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


_Key = tuple[str, str]
"""A metric and who gives it."""
_Group = list[Variant]


def _takes(
    taken: Iterable[Variant], there: Mapping[_Key, Sequence[Variant]], now: Mapping[_Key, _Group]
) -> Iterator[dict[str, str]]:
    """The rows of what an instance takes of what there is; many an output takes all of it."""
    groups: dict[_Key, list[Variant]] = {}
    for variant in taken:
        groups.setdefault((variant.metric, variant.origin), []).append(variant)
    for key in sorted(groups):
        all_of_it = set(map(id, groups[key])) == set(map(id, there[key]))
        parts = [""] if all_of_it else _conditions(_joined(groups[key]), now[key])
        yield from ({"metric": key[0], "from": key[1], "part": part} for part in parts)


def _joined(group: Iterable[Variant]) -> _Group:
    """The series of a metric and giver, whatever else they derive from."""
    return joined({variant._replace(via=frozenset(), sums=frozenset()) for variant in group})


def _changed(step: Step, there: dict[_Key, list[Variant]], known: dict[_Key, _Group]) -> dict[_Key, _Group]:
    """The groups that an instance has changed as they were, empty where there was none.

    `there`, what goes on, and `known`, its groups, get what is behind it: a large backend groups each variant once.
    """
    gone = set(map(id, step.gone))
    keys = {(variant.metric, variant.origin) for variant in (*step.gone, *step.come)}
    for key in keys:
        there[key] = [variant for variant in there.get(key, ()) if id(variant) not in gone]
    for variant in step.come:
        there[variant.metric, variant.origin].append(variant)
    before = {key: known.get(key, []) for key in keys}
    known.update((key, _joined(there[key])) for key in keys)
    return before


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
    names = {name for part in parts for name, _ in _sets(part)}
    alike = {name: {each.get(name) for each in sets} for name in names}
    for part in parts:
        told = [
            f"{name}={'|'.join(sorted(values))}"
            for name, values in _sets(part)
            if values is not None and alike[name] != {values}
        ]
        yield "{" + ",".join(told) + "}" if told else ""


def _sets(variant: Variant) -> Iterator[tuple[str, frozenset[str] | None]]:
    yield "resource", variant.resource
    yield "consumer", variant.consumer
    yield from variant.attributes


_PATHS: Final = ("path", "list<path>", "map<path>")
