"""Fills pages with what the contracts of the built-in plugins say.

A line `<!-- plugins: sections -->` is replaced by one section for each plugin, `<!-- plugins: table -->` by a table of
what sources measure. Everything but `setup` works without Sphinx, which the tests use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract_reference import code, escape, link, table, toml
from meter.contracts.catalogue import is_listed
from meter.contracts.language import ABSENT, language
from meter.core.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Callable

    from meter.contracts.model import Contract, MetricClause, Option, RuleClause


def builtin() -> list[Contract]:
    """The contracts of the built-in plugins that are listed, in the order of the chain."""
    contracts = [c for c in discover(installed=False).catalogue.contracts() if is_listed(c)]
    return sorted(contracts, key=lambda c: (language().rank("placement", c.placement), c.name))


def sections() -> str:
    """One section for each plugin."""
    return "\n\n".join(map(_section, builtin()))


def _section(contract: Contract) -> str:
    status = ", ".join(map(code, contract.status)) or "none"
    blocks = [
        f"## {contract.name}",
        f"{escape(contract.summary)}.",
        f"{contract.placement}, version {contract.version}, {contract.licence}, status {status}",
    ]
    if contract.provides.metrics:
        headers = ["metric", "unit", "type, kind", "resource / consumer", "attributes", "quality", "what it says"]
        blocks.append(table(headers, [_metric(metric) for metric in contract.provides.metrics]))
    if contract.needs.metrics:
        headers = ["takes", "kinds", "gives", "what it took"]
        blocks.append(table(headers, [_rule(rule) for rule in contract.needs.metrics]))
    if contract.config:
        rows = [_option(name, option) for name, option in sorted(contract.config.items())]
        blocks.append(table(["option", "type", "default", "bounds", "meaning"], rows))
    if contract.require:
        blocks.append("Must hold: " + ", ".join(map(code, contract.require)) + ".")
    blocks += [
        f"Needs of the host ({need.name}): can read {', '.join(map(code, need.readable))}."
        for need in contract.needs.host
    ]
    if contract.placement == "output":
        word = contract.durability
        said = language().words["durability"][word]["description"]
        blocks.append(f"Once a batch is written: {link('clause', 'durability')} is {code(word)}, {said}.")
    return "\n\n".join(blocks)


def _metric(metric: MetricClause) -> list[str]:
    attributes = "; ".join(f"{code(name)}: {_domain(values)}" for name, values in sorted(metric.attributes.items()))
    where = f"{', '.join(metric.resource)} / {', '.join(metric.consumer)}"
    kind = f"{metric.type}, {metric.kind}"
    return [code(metric.name), code(metric.unit), kind, where, attributes, metric.quality, escape(metric.summary)]


def _domain(values: Any) -> str:
    return escape(", ".join(values)) if isinstance(values, list | tuple) else escape(str(values))


def _rule(rule: RuleClause) -> list[str]:
    kinds = ", ".join(rule.kind) or "any"
    gives = code(rule.gives.name) if rule.gives else ""
    return [code(rule.metric), kinds, gives, "goes on" if rule.keeps else "ends here"]


def _option(name: str, option: Option) -> list[str]:
    default = "obligatory" if option.default is ABSENT else code(toml(option.default))
    bounds = [f"{word} {code(str(value))}" for word, value in _bounds(option) if value is not ABSENT]
    return [code(name), code(option.type), default, ", ".join(bounds), escape(option.summary)]


def _bounds(option: Option) -> list[tuple[str, Any]]:
    return [("at least", option.min), ("at most", option.max)]


def measured() -> str:
    """What the sources measure: plugin, metrics, what they are about."""
    rows = [
        [code(c.name), ", ".join(sorted({code(m.name) for m in c.provides.metrics})), escape(c.summary)]
        for c in builtin()
        if c.provides.metrics
    ]
    return table(["plugin", "metrics", "what it measures"], rows)


_PARTS: dict[str, Callable[[], str]] = {"sections": sections, "table": measured}


def fill(page: str) -> str:
    """A page with its marks replaced."""
    for name, make in _PARTS.items():
        mark = f"<!-- plugins: {name} -->"
        if mark in page:
            page = page.replace(mark, make())
    return page


def setup(app: Any) -> dict[str, Any]:
    """Let Sphinx call `fill` for every page that it reads."""

    def read(_app: Any, _name: str, source: list[str]) -> None:
        source[0] = fill(source[0])

    app.connect("source-read", read)
    return {"parallel_read_safe": True, "env_version": 1}
