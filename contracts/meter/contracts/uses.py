"""Uses: where a contract names options of its own, and of which types they have to be there.

In guards, templates, claims and constraints. Whether the names are any is for `relations` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from meter.contracts import options
from meter.contracts.constraints import parse_constraint
from meter.contracts.documents import Path
from meter.contracts.language import ABSENT
from meter.contracts.model import Contract, MetricClause, RuleClause
from meter.contracts.placeholders import CONFIG


class Use(NamedTuple):
    """A place of a contract that names an option: which clause, which types it may have, the value of a guard."""

    path: Path
    clause: str
    option: str
    types: tuple[str, ...]
    guard: Any = ABSENT


_WORDS: Final = ("str", "enum", "list<str>", "list<enum>")
_METRICS: Final = ("metric", "list<metric>")
_COMPUTED: Final = (*_METRICS, *options.FORMULAS)
_NUMBERS: Final = options.ORDERED
_PUT_IN: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("keeps",): ("bool",),
    ("unit",): ("unit",),
    ("gives", "name"): ("str", "enum", "int", "float"),
    ("gives", "unit"): ("unit",),
    ("gives", "interval"): ("duration",),
    ("gives", "drop"): ("list<str>", "list<enum>"),
    ("gives", "merge"): ("enum",),
    ("gives", "attributes"): ("map<str>",),
    ("gives", "tells"): ("list<str>", "list<enum>"),
    ("drop",): ("list<str>", "list<enum>"),
}
_OF_METRIC: Final = {"schema": ("schema",), "interval": ("duration",)}
_CLAIMED: Final = ("str", "enum", "int", "path", "url")
_SCALAR: Final = (
    *("bool", "int", "float", "str", "duration", "size", "quantity(*)", "unit", "enum", "path", "url", "instance"),
    "metric",
)
_MANY: Final = ("list<*>", "map<*>")


def _constrained(base: Path, clause: str, texts: Iterable[str]) -> Iterator[Use]:
    """The options that constraints name."""
    for place, text in enumerate(texts):
        constraint = parse_constraint(text)
        for factor in (f for side in (constraint.left, constraint.right) for product in side for f in product):
            if factor.name:
                yield Use((*base, place), clause, factor.name, _MANY if factor.form == "count" else _NUMBERS)


def _put_in(base: Path, rule: RuleClause) -> Iterator[Use]:
    """The options whose values are put into a rule."""
    gives = rule.gives
    for path, types in _PUT_IN.items():
        value = getattr(gives, path[1], None) if len(path) > 1 else getattr(rule, path[0])
        for name in CONFIG.findall(value) if isinstance(value, str) else ():
            yield Use((*base, *path), ".".join(("needs", "metrics", *path)), name, types)


def named_options(contract: Contract) -> Iterator[Use]:
    """Every option that a guard, a template or a constraint names."""
    filters = contract.role == "filter"
    yield from _constrained(("require",), "require", contract.require)
    for place, claim in enumerate(contract.claims):
        for name in CONFIG.findall(claim):
            yield Use(("claims", place), "claims", name, _CLAIMED)
    entries: list[tuple[str, int, MetricClause | RuleClause]] = [
        ("provides", place, clause) for place, clause in enumerate(contract.provides.metrics)
    ]
    entries += [("needs", place, clause) for place, clause in enumerate(contract.needs.metrics)]
    for place, need in enumerate(contract.needs.host):
        for name, guard in need.when.items():
            yield Use(("needs", "host", place, "when", name), "needs.host.when", name, _SCALAR, guard)
    for family, place, entry in entries:
        base: Path = (family, "metrics", place)
        named = "name" if isinstance(entry, MetricClause) else "metric"
        template = entry.name if isinstance(entry, MetricClause) else entry.metric
        for name, guard in entry.when.items():
            yield Use((*base, "when", name), f"{family}.metrics.when", name, _SCALAR, guard)
        for name in CONFIG.findall(template):
            types = _WORDS if isinstance(entry, MetricClause) else _COMPUTED if filters else _METRICS
            yield Use((*base, named), f"{family}.metrics.{named}", name, types)
        if not isinstance(entry, MetricClause):
            yield from _constrained((*base, "require"), "needs.metrics.require", entry.require)
            yield from _put_in(base, entry)
            continue
        for field in ("schema", "interval"):
            text = getattr(entry, field)
            for name in CONFIG.findall(text) if isinstance(text, str) else ():
                yield Use((*base, field), f"provides.metrics.{field}", name, _OF_METRIC[field])
        for attribute, domain in entry.attributes.items():
            for name in CONFIG.findall(domain) if isinstance(domain, str) else ():
                path = (*base, "attributes", attribute)
                yield Use(path, "provides.metrics.attributes", name, ("list<*>",))


def takes(type_: str, types: Iterable[str]) -> bool:
    """Whether a type is one of some patterns of types."""
    return any(fnmatchcase(type_, pattern) for pattern in types)
