"""The plan: what `check` found, as a JSON document that the engine runs and `meter.lock` keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.order import Edge
from meter.contracts.reader import canonical_bytes
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
    rejected: Iterable[tuple[str, str]],
) -> Plan:
    """Write down an ordered, checked backend."""
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
                    "paths": sorted(n for n, o in instance.contract.config.items() if o.type in _PATHS),
                    "origins": dict(sorted(instance.origins.items())),
                    "emits": [variant.to_json() for variant in instance.emits],
                    "rules": [compiled.rule.to_json() for compiled in instance.rules],
                }
                for instance in instances
            ],
            "edges": [{"from": e.first, "to": e.then, "because": e.because} for e in edges],
            "schema": {label: metric_json(variants) for label, variants in sorted(schema.items())},
            "rejected": [{"plugin": plugin, "for": need} for plugin, need in sorted(rejected)],
            "qualities": list(words["quality"]),
        }
    )


_PATHS: Final = ("path", "list<path>", "map<path>")
