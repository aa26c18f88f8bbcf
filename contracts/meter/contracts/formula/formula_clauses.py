"""Clauses of a rule that computes: what may stand beside a formula, which says most of what a rule gives by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from meter.contracts.language import language
from meter.contracts.model import Contract, GivesClause, Option, RuleClause
from meter.contracts.options import FORMULAS

ITEM: Final = "${item}"
"""The placeholder of the name that a formula has in its option."""
_OF_INPUT: Final = ("${metric}", "${unit}")
_FREE: Final = ("name", "unit", "type", "quality", "interval", "attributes")
"""What may be said of a result; the rest follows from the formula."""


class Misfit(NamedTuple):
    """A clause that does not fit its formula: where it stands, and code, variant and facts of the diagnostic."""

    path: tuple[str | int, ...]
    clause: str
    code: str
    variant: str
    facts: dict[str, str]


def misfits(contract: Contract) -> Iterator[Misfit]:
    """What does not fit in the rules of a contract that compute; and `${item}` where nothing is computed."""
    if contract.role != "filter":
        return
    for place, rule in enumerate(contract.needs.metrics):
        name = rule.metric[len("${config.") : -1] if rule.metric.startswith("${config.") else ""
        option = contract.config.get(name)
        base = ("needs", "metrics", place)
        if option is not None and option.type in FORMULAS:
            yield from _computing(base, rule, name, option.type)
        elif rule.gives is not None and ITEM in rule.gives.name and (not name or _selects(option)):
            yield _misfit((*base, "gives", "name"), "no-item", placeholder=ITEM)


def _selects(option: Option | None) -> bool:
    """Whether an option holds selectors; what is none of a rule's options is another fault."""
    return option is not None and option.type.endswith(("metric", "metric>"))


def _computing(base: tuple[str | int, ...], rule: RuleClause, option: str, type_: str) -> Iterator[Misfit]:
    if rule.gives is None:
        description = language().clauses["needs", "metrics", "gives"].description
        yield Misfit(base, "needs.metrics.gives", "E-CLAUSE-MISSING", "", {"description": description})
        return
    if rule.keeps is not True:
        yield _misfit((*base, "keeps"), "computed")
    for field in _stated(rule.gives):
        if field not in _FREE or (field == "type" and rule.gives.type != "f64"):
            yield _misfit((*base, "gives", field), "computed")
    texts = {"name": rule.gives.name, "unit": rule.gives.unit or ""}
    wrong = [(field, word) for field, text in texts.items() for word in _OF_INPUT if word in text]
    if type_.startswith("map") and ITEM not in rule.gives.name:
        yield _misfit((*base, "gives", "name"), "item", placeholder=ITEM, option=option)
    elif not type_.startswith("map") and ITEM in rule.gives.name:
        wrong.append(("name", ITEM))
    for field, word in wrong:
        yield _misfit((*base, "gives", field), "no-item", placeholder=word)


def _stated(gives: GivesClause) -> Iterator[str]:
    """The fields of `gives` that a contract states; what is stated as its default is not told from what is not."""
    for (*path, field), clause in language().clauses.items():
        value: Any = getattr(gives, field) if path == ["needs", "metrics", "gives"] else None
        if value is not None and value not in (clause.default, (), [], {}):
            yield field


def _misfit(path: tuple[str | int, ...], variant: str, **facts: str) -> Misfit:
    clause = ".".join(part for part in path if isinstance(part, str))
    return Misfit(path, clause, "E-CLAUSE-TYPE", variant, facts)
