"""Contracts beside each other: names that are there twice, needs that nothing meets. No mount is needed to see it.

The check of a mount says the same of what it asks for; this is for folders of plugins, mounted or not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from meter.contracts import selectors
from meter.contracts.catalogue import Catalogue, Entry
from meter.contracts.diagnostics import MANY, Diagnostic, nearest
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.placeholders import ANY
from meter.contracts.resolution.candidates import Templates
from meter.contracts.spans import Span
from meter.contracts.versions import Version, parse_version, satisfies


def together(catalogue: Catalogue, paths: Collection[str]) -> list[Diagnostic]:
    """What is wrong with the contracts of some files in the company of a whole catalogue, sorted by place."""
    mine = frozenset(paths)
    found = list(_twice(catalogue, mine))
    offers = _Offers(catalogue)
    for entries in catalogue.entries.values():
        for entry in entries:
            if entry.contract is not None and entry.path in mine:
                found += offers.unmet(entry.contract)
    return sorted(found, key=Diagnostic.order)


def _twice(catalogue: Catalogue, mine: frozenset[str]) -> Iterator[Diagnostic]:
    """E-DUPLICATE: names that more than one contract has."""
    for name, entries in catalogue.entries.items():
        if len(entries) > 1 and any(entry.path in mine for entry in entries):
            own_first = sorted(entries, key=lambda entry: (entry.path not in mine, entry.path))
            facts = {"name": name, "paths": " and ".join(f"`{entry.path}`" for entry in entries)}
            spans = tuple(map(_name, own_first))
            yield Diagnostic(code="E-DUPLICATE", variant="files", facts=facts, spans=spans, clause="name")


def _name(entry: Entry) -> Span:
    return Span(entry.path, 1, 1) if entry.contract is None else entry.contract.source.value("name")


class _Offers:
    """What a catalogue provides, by name."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.names = catalogue.names()
        self.versions: dict[str, list[tuple[str, Version]]] = {}
        self.metrics: set[str] = set()
        templates: set[str] = set()
        for contract in catalogue.contracts():
            self.versions.setdefault(contract.name, []).append((contract.name, parse_version(contract.version)))
            for name, version in contract.provides.capabilities.items():
                self.versions.setdefault(name, []).append((contract.name, parse_version(version, short=True)))
            given = [rule.gives.name for rule in contract.needs.metrics if rule.gives is not None]
            for name in (*given, *(metric.name for metric in contract.provides.metrics)):
                (templates if "${" in name else self.metrics).add(name)
        self.made = Templates()
        self.made.add(name for name in templates if ANY.fullmatch(name) is None)
        self.all_metrics = tuple(sorted(self.metrics))
        self._sought = 0

    def unmet(self, contract: Contract) -> Iterator[Diagnostic]:
        """E-NEED-UNMET: capabilities and metrics that a contract needs and nothing offers."""
        for name, wanted in sorted(contract.needs.capabilities.items()):
            offered = self.versions.get(name, [])
            if any(satisfies(version, wanted) for _, version in offered):
                continue
            texts = [language().phrase("text", "provides", plugin=who, version=str(it)) for who, it in sorted(offered)]
            span = contract.source.key("needs", "capabilities", name)
            need = f"`{name}`" + (f" {wanted}" if wanted != "*" else "")
            facts = {"plugin": contract.name, "need": need, "near": self.near(name, self.names)}
            facts |= {"others": ", ".join(texts), "wanted": wanted}
            variant = "range-nowhere" if texts else "nowhere"
            clause = "needs.capabilities"
            yield Diagnostic(code="E-NEED-UNMET", variant=variant, facts=facts, spans=(span,), clause=clause)
        for place, rule in enumerate(contract.needs.metrics):
            if rule.when or rule.metric.startswith("${"):
                continue
            selector = selectors.parse(rule.metric)
            if selector.literal and not self.given(selector.glob):
                span = contract.source.value("needs", "metrics", place, "metric")
                near = self.near(selector.glob, self.all_metrics)
                facts = {"plugin": contract.name, "need": f"`{selector.glob}`", "near": near}
                clause = "needs.metrics.metric"
                yield Diagnostic(
                    code="E-NEED-UNMET", variant="metric-nowhere", facts=facts, spans=(span,), clause=clause
                )

    def given(self, metric: str) -> bool:
        """Whether a plugin gives a metric of this name, or could make it out of another one's."""
        return metric in self.metrics or any(self.made.of(metric))

    def near(self, name: str, names: tuple[str, ...]) -> str:
        """The nearest of some names; what very many others were meant to be is not looked for."""
        self._sought += 1
        return nearest(name, names) if self._sought <= MANY else ""
