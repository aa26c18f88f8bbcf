"""Candidates: which contracts could be there for a need, which of them is taken, and why each of the others is not.

One rule for everything that is chosen without being named: preferred by the request, in no conflict with what is
there, able to work on this host, status, version, name. What is there already was looked for before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from meter.contracts import options
from meter.contracts.catalogue import Catalogue, is_automatic, score
from meter.contracts.host import Host
from meter.contracts.host_needs import carries, host_fault
from meter.contracts.instances import holds_when
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Contract, Guard, MetricClause, MetricHost, RuleClause, is_template
from meter.contracts.placeholders import ANY
from meter.contracts.request import Given
from meter.contracts.versions import Version, parse_version, satisfies


class Need(NamedTuple):
    """What has to be there: a plugin or capability in a range of versions, or a metric by its name."""

    name: str
    wanted: str = "*"
    metric: bool = False


class Rejected(NamedTuple):
    """A candidate that was not taken: for what, and why another one was."""

    plugin: str
    need: str
    why: str


class Choice(NamedTuple):
    """The candidate that is taken, those that are as good but for their names, and those that are not taken."""

    contract: Contract
    ties: tuple[str, ...]
    rejected: tuple[Rejected, ...]


def version_of(contract: Contract, name: str) -> Version:
    """The version under which a contract answers to a name; its own where the name is no capability, but a metric."""
    own = name == contract.name
    return parse_version(
        contract.version if own else contract.provides.capabilities.get(name, contract.version), short=True
    )


def answers(contract: Contract, name: str, wanted: str = "*") -> bool:
    """Whether a contract provides a plugin or capability in a range."""
    known = name == contract.name or name in contract.provides.capabilities
    return known and satisfies(version_of(contract, name), wanted)


# -------------------------------------------------------------------------------------------------------------- metrics


class Giving(NamedTuple):
    """A table of a contract that gives a metric: when it exists, its quality, what it needs of the host."""

    guard: Guard
    quality: str
    host: MetricHost | None = None


def giving(contract: Contract, metric: str, *, literal: bool) -> Iterator[Giving]:
    """The tables of a contract that give a metric of that name.

    Also by a template, unless it has to be `literal`, and what another meter sends, which may be anything.
    """
    found = list(contract.tables.get(metric, ()))
    if not literal:
        for name, tables in contract.open_tables.items():
            if name != metric:
                fits = could_make(name, metric)
                found += [each for each in tables if fits or _sent(each[1])]
    for _, table in sorted(found, key=lambda each: each[0]):
        if isinstance(table, MetricClause):
            yield Giving(table.when, table.quality, table.host)
        elif table.gives is not None:
            yield Giving(table.when, table.gives.quality or "")


def could_make(template: str, metric: str) -> bool:
    """Whether a template could be the name of a metric."""
    return is_template(template) and _form(template).fullmatch(metric) is not None


def _sent(table: MetricClause | RuleClause) -> bool:
    """Whether a table stands for what another meter sends."""
    return isinstance(table, MetricClause) and table.schema is not None


def metrics_of(contract: Contract) -> set[str]:
    """The names of the metrics that a contract gives; some may hold placeholders."""
    given = {rule.gives.name for rule in contract.needs.metrics if rule.gives is not None}
    return given | {clause.name for clause in contract.provides.metrics if clause.schema is None}


class Templates:
    """Templates of names, found by what they end or begin with."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._ends: dict[str, list[str]] = {}
        self._begins: dict[str, list[str]] = {}
        """Those that end with a placeholder."""

    def add(self, templates: Iterable[str]) -> None:
        """Take in templates; a name that is none is passed over."""
        for template in templates:
            if is_template(template) and template not in self._known:
                self._known.add(template)
                parts = ANY.split(template)
                by, text = (self._ends, parts[-1]) if parts[-1] else (self._begins, parts[0])
                by.setdefault(text, []).append(template)

    def of(self, metric: str) -> Iterator[str]:
        """Those that could be the name of a metric."""
        for size in range(len(metric) + 1):
            near = self._ends.get(metric[size:], ()) if size < len(metric) else ()
            yield from (each for each in (*near, *self._begins.get(metric[:size], ())) if could_make(each, metric))


@lru_cache(maxsize=1 << 14)
def _form(template: str) -> re.Pattern[str]:
    return re.compile(".+".join(map(re.escape, ANY.split(template))))


def settings(contract: Contract, given: Mapping[str, Given], names: Iterable[str]) -> dict[str, Any]:
    """The values that some options will have; those that cannot be told are left out, and said later."""
    found = {}
    for name in names:
        option = contract.config.get(name)
        if option is None or (name not in given and option.default is ABSENT):
            continue
        try:
            found[name] = given[name].value(option) if name in given else options.canonical(option, option.default)
        except options.OptionError:
            continue
    return found


def stands(contract: Contract, guard: Guard, given: Mapping[str, Given]) -> bool:
    """Whether a guard will hold with the values given."""
    return not guard or holds_when(guard, settings(contract, given, guard), contract.config)


# --------------------------------------------------------------------------------------------------------------- choice


def pool(catalogue: Catalogue, need: Need) -> list[Contract]:
    """The contracts that may be taken for a need without being named, by name."""
    found = (contract for contract in catalogue.mentioning(need.name) if is_automatic(contract))
    if not need.metric:
        return [contract for contract in found if answers(contract, need.name, need.wanted)]
    return [contract for contract in found if any(giving(contract, need.name, literal=True))]


class _Ranked(NamedTuple):
    """A contract by what decides about it; what is better sorts first."""

    preferred: int
    conflict: bool
    lacking: bool
    status: int
    version: Version
    contract: Contract


def choose(
    need: Need, found: Sequence[Contract], prefer: Sequence[str], host: Host, conflict: Callable[[Contract], str]
) -> Choice | None:
    """The best of some contracts for a need, or none.

    Args: `conflict` names the instance that a contract cannot be beside, and is empty where there is none.
    """
    ranked = [
        _Ranked(
            prefer.index(contract.name) if contract.name in prefer else len(prefer),
            bool(conflict(contract)),
            not carries(host, contract),
            -score(contract),
            version_of(contract, need.name),
            contract,
        )
        for contract in sorted(found, key=lambda contract: contract.name)
    ]
    ranked.sort(key=lambda each: each.version, reverse=True)
    ranked.sort(key=lambda each: each[:4])
    if not ranked:
        return None
    best = ranked[0]
    ties = tuple(each.contract.name for each in ranked if each[:5] == best[:5])
    rejected = []
    for each in ranked[1:]:
        name = each.contract.name
        rejected.append(Rejected(name, need.name, _why(each, best, need, host, conflict(each.contract))))
    return Choice(best.contract, ties, tuple(rejected))


def _why(lost: _Ranked, best: _Ranked, need: Need, host: Host, other: str) -> str:
    """What decided between a candidate and the best one."""
    chosen, facts = best.contract.name, {"chosen": best.contract.name}
    if lost.preferred != best.preferred:
        return _text("prefer", chosen=chosen)
    if lost.conflict != best.conflict:
        return _text("conflict", other=other)
    if lost.lacking != best.lacking:
        return _text("host", why=host_fault(lost.contract, host))
    if lost.status != best.status:
        return _text("status", score=str(-lost.status), best=str(-best.status), **facts)
    if lost.version != best.version:
        return _text("version", version=str(lost.version), best=str(best.version), **facts)
    return _text("name", need=need.name, **facts)


def _text(variant: str, **facts: str) -> str:
    return language().phrase("text", "rejected", "text", variant, **facts)
