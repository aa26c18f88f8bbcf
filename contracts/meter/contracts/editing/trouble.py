"""Trouble: metrics that an instance cannot take what there is beside them, and how a filter would help."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from attrs import field, frozen

from meter.contracts.diagnostics import listed
from meter.contracts.instances import Compiled, Instance
from meter.contracts.variants import Variant

FEW: Final = 6
"""So many metrics are written out for a user; of more than that the selector that took them says what is meant."""


class Trouble(NamedTuple):
    """Metrics that an item of a selection took and that its rule cannot take.

    `clause` says what of them is wrong, `wanted` what it has to be; `live` is all that reaches the instance, `labels`
    are those of the chain. `filters` are those before the instance, `maker` is the source that gives all of the
    metrics, if one does, and `takers` are those who take a metric, too, by its name: of these and of all others that
    are wrong; `outputs` are those of the chain.
    """

    instance: Instance
    compiled: Compiled
    item: int
    clause: str
    wanted: tuple[str, ...]
    metrics: frozenset[str]
    live: Sequence[Variant]
    labels: Collection[str]
    filters: Sequence[Instance] = ()
    maker: Instance | None = None
    takers: Mapping[str, frozenset[str]] = MappingProxyType({})
    outputs: frozenset[str] = frozenset()

    @property
    def whole(self) -> list[Variant]:
        """All of the metrics: a name has one type, unit and kind, so that none of it can be taken."""
        found = [variant for variant in self.live if variant.metric in self.metrics]
        return sorted(found, key=lambda variant: str(variant.to_json()))

    @property
    def texts(self) -> list[str]:
        """The selection as it is."""
        if not self.compiled.option:
            return [selector.text for selector in self.compiled.rule.select]
        value = self.instance.config[self.compiled.option]
        return list(value) if isinstance(value, list) else [value]


@frozen(kw_only=True)
class Way:
    """A filter that makes of metrics what is wanted, its options, and what it gives.

    `exact`: it changes nothing but the name and what is wrong. `keeps`: what it takes goes on beside what it gives;
    `option` is the one that says so.
    """

    plugin: str
    given: tuple[Variant, ...]
    options: Mapping[str, Any] = field(factory=dict)
    exact: bool = False
    keeps: bool = True
    option: str = ""
    cost: tuple[Any, ...] = ()


def some(names: Sequence[str]) -> str:
    """Some names, of many the first ones and how many more there are."""
    shown = names if len(names) <= FEW else names[:3]
    return listed(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
