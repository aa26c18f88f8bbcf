"""Emptied: what mends a selector that means nothing: another condition, or an option of who drops what it means."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from meter.contracts.catalogue import Catalogue
from meter.contracts.editing.apart import configured
from meter.contracts.editing.settings import setting
from meter.contracts.editing.ways import droppers
from meter.contracts.instances import Compiled, Instance, holds_when
from meter.contracts.language import language
from meter.contracts.placeholders import CONFIG
from meter.contracts.request import Request
from meter.contracts.selectors import Selector


@frozen
class Emptied:
    """A chain of which some selectors mean nothing.

    `ranks` are the places of the placements of its instances, by label; `emitted` the metrics of its sources; `takers`
    says who takes metrics beside an instance, by metric.
    """

    _request: Request
    _catalogue: Catalogue
    _instances: Sequence[Instance]
    _ranks: Mapping[str, int]
    _emitted: frozenset[str]
    _takers: Callable[[Instance, Iterable[str]], dict[str, frozenset[str]]]

    def replaced(self, instance: Instance, compiled: Compiled, item: int, text: str) -> str:
        """What to write so that one item of a selection is another one."""
        old = instance.config.get(compiled.option)
        if compiled.formula is not None or old is None:
            return f"`{text}`"
        new = [text if place == item else each for place, each in enumerate(old)] if isinstance(old, list) else text
        return setting(self._request, instance.label, {compiled.option: new})

    def stranger(self, selector: Selector, key: str) -> tuple[str, list[str]]:
        """The variant of the help where a condition of a selector does not hold, and the origins that are not here."""
        wanted = next(values for name, values in selector.conditions if name == key)
        strangers = [each for each in wanted if key == "origin" and each not in self._ranks]
        if not strangers:
            return "condition", []
        known = [each for each in strangers if each in self._catalogue.entries]
        return ("origin-known", known) if known else ("origin", strangers)

    def switched(self, selector: Selector) -> tuple[str, str]:
        """The instance here that gives a metric with other options alone, and what to write; empty where none does."""
        ways = [
            (len(options), instance.label, options, instance)
            for instance in self._instances
            for clause in instance.contract.provides.metrics
            if selector.literal and clause.name == selector.glob
            for options in [_unmet(clause.when, instance)]
        ]
        for _, label, options, instance in sorted(ways, key=lambda way: way[:2]):
            new = configured(instance, self._request.config.get(label, {}), options)
            if new is not None and any(each.metric == selector.glob for each in new.emits):
                return label, setting(self._request, label, options)
        return "", ""

    def later(self, instance: Instance, compiled: Compiled, labels: Collection[str]) -> str:
        """How metrics are dropped only behind an instance: by a filter that comes later, in the place of another one.

        Empty where that would change anything else: what other filters get, or an order or options that are written.
        """
        ender = next(each for each in self._instances if each.label in labels)
        given = self._request.config.get(ender.label, {})
        if len(labels) != 1 or instance.contract.role != "filter" or not compiled.rule.keeps or len(given) != 1:
            return ""
        if self._request.document is None or any(ender.label in chain for chain in self._request.order):
            return ""
        known = list(droppers(self._catalogue))
        option = next((option for contract, option in known if contract.name == ender.contract.name), "")
        texts = ender.config.get(option)
        if option not in given or not isinstance(texts, list) or not set(texts) <= set(self._emitted):
            return ""
        others = self._takers(instance, texts).values()
        filters = {each.label for each in self._instances if each.contract.role == "filter"} - {ender.label}
        if any(filters & labels for labels in others):
            return ""
        for contract, name in known:
            free = contract.name not in self._ranks and contract.name not in self._request.config
            rank = language().rank("placement", contract.placement)
            if free and rank > self._ranks[instance.label]:
                settings = setting(self._request, contract.name, {name: texts})
                facts = {"ender": ender.label, "filter": contract.name, "settings": settings}
                return language().phrase("text", "later", instance=instance.label, **facts)
        return ""

    def kept(self, label: str, metric: str) -> str:
        """What to write so that a filter lets a metric go on; empty where its contract alone says that it does not."""
        ender = next(each for each in self._instances if each.label == label)
        for compiled in ender.rules:
            clause = ender.contract.needs.metrics[compiled.place].keeps
            option = CONFIG.fullmatch(clause) if isinstance(clause, str) else None
            if not compiled.rule.keeps and option is not None:
                return setting(self._request, label, {option[1]: True})
            old = ender.config.get(compiled.option)
            if not compiled.rule.keeps and isinstance(old, list) and metric in old:
                return setting(self._request, label, {compiled.option: [text for text in old if text != metric]})
        return ""


def _unmet(when: Mapping[str, Any], instance: Instance) -> dict[str, Any]:
    """The options of a guard that an instance has otherwise, with a value with which it holds."""
    return {
        name: each[0] if isinstance(each, list) else each
        for name, each in when.items()
        if not holds_when({name: each}, instance.config, instance.contract.config)
    }
