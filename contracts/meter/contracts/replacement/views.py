"""A contract as some configurations see it: what they leave open is open, what they decide is put in.

A new contract is judged by what it says to the configurations that the old one had: an option that is new has its
default there, a word that is new is never given, and a table under a condition that cannot hold is not there. Where the
configuration of one mount is known, all that it decides is put in, on both sides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from meter.contracts import options
from meter.contracts.constraints import holds, parse_constraint
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Contract, Option
from meter.contracts.placeholders import CONFIG

Body = Mapping[str, Any]
Guard = dict[str, tuple[Any, ...]]
"""For each option of a condition the values with which it holds, as the option understands them."""


class Known(NamedTuple):
    """The values of options that are known, as they were written and as the options understand them."""

    raw: Mapping[str, Any]
    canonical: Mapping[str, Any]

    @classmethod
    def of(cls, contract: Contract, given: Mapping[str, Any], names: Iterator[str] | None = None) -> Known:
        """What is given, and the defaults of some options that are not; of all where no names are said."""
        raw = {}
        for name in contract.config if names is None else names:
            value = given.get(name, contract.config[name].default)
            if value is not ABSENT and canonical(contract.config[name], value) is not ABSENT:
                raw[name] = value
        return cls(raw, {name: canonical(contract.config[name], value) for name, value in raw.items()})


def keeps(contract: Contract, known: Known, constraint: str) -> bool:
    """Whether what is known shows that a constraint holds."""
    types = {name: option.type for name, option in contract.config.items()}
    return holds(parse_constraint(constraint), known.canonical, None, types) is True


class Table(NamedTuple):
    """A table of `provides.metrics` or `needs.metrics`: its place in the contract, its condition, what it says."""

    place: int
    guard: Guard
    body: Body


class View(NamedTuple):
    """A contract, with the tables that exist for some configurations apart."""

    body: Body
    metrics: tuple[Table, ...]
    rules: tuple[Table, ...]
    alternatives: tuple[Table, ...]
    """Of `needs.host`."""
    always: bool
    """Whether one of the alternatives exists for every configuration."""


def view(contract: Contract, known: Known, accepted: Mapping[str, Option]) -> View:
    """A contract with what is known put in.

    Args: `accepted` are the options of the old contract, which say what a configuration can give at all.
    """
    body = contract.body
    put = _Put(contract, known, accepted)
    whole = {name: put.constraints(value) if name == "require" else put.value(value) for name, value in body.items()}
    metrics = tuple(table for each in put.tables(body["provides"]["metrics"]) for table in put.metrics(each))
    rules = tuple(put.rule(each) for each in put.tables(body["needs"]["metrics"]))
    alternatives = tuple(put.tables(body["needs"]["host"]))
    return View(whole, metrics, rules, alternatives, put.exhausts(alternatives))


def new_options(new: Contract, old: Contract) -> Iterator[str]:
    """The options that the new contract has and the old one has not."""
    return (name for name in new.config if name not in old.config)


class _Put:
    def __init__(self, contract: Contract, known: Known, accepted: Mapping[str, Option]) -> None:
        self.contract = contract
        self.known = known
        self.accepted = accepted

    def value(self, value: Any) -> Any:
        """A value with the options put in that are known."""
        if isinstance(value, dict):
            return {name: self.value(entry) for name, entry in value.items()}
        if isinstance(value, list):
            return [self.value(entry) for entry in value]
        if not isinstance(value, str) or "${" not in value:
            return value
        if whole := CONFIG.fullmatch(value):
            return self.known.raw.get(whole[1], value)
        return CONFIG.sub(lambda found: str(self.known.raw.get(found[1], found[0])), value)

    def constraints(self, texts: list[str]) -> list[str]:
        """The constraints that what is known does not keep already."""
        return [text for text in texts if not keeps(self.contract, self.known, text)]

    def tables(self, tables: list[Body]) -> Iterator[Table]:
        """The tables that can exist, each with what is open of its condition."""
        for place, body in enumerate(tables):
            guard = self.guard(body["when"])
            if guard is not None:
                yield Table(place, guard, {name: entry for name, entry in body.items() if name != "when"})

    def guard(self, when: Mapping[str, Any]) -> Guard | None:
        """What is open of a condition; None where it cannot hold."""
        found: Guard = {}
        for name, values in sorted(when.items()):
            option = self.contract.config.get(name)
            if option is None:
                return None  # of a contract that is only compared: no configuration can have it
            wanted = [canonical(option, value) for value in (values if isinstance(values, list) else [values])]
            if name in self.known.canonical:
                if self.known.canonical[name] not in wanted:
                    return None
                continue
            old = self.accepted.get(name, option)
            possible = _possible(old)
            wanted = [value for value in wanted if (value is not ABSENT if possible is None else value in possible)]
            if not wanted:
                return None
            if possible is None or any(value not in wanted for value in possible):
                found[name] = tuple(sorted(wanted, key=repr))
        return found

    def exhausts(self, tables: Collection[Table]) -> bool:
        """Whether one of some tables exists, whatever the configuration: the values of one option, all of them."""
        alone: dict[str, set[Any]] = {}
        for table in tables:
            for name, values in table.guard.items() if len(table.guard) == 1 else ():
                alone.setdefault(name, set()).update(values)
        options = {name: self.accepted.get(name, self.contract.config[name]) for name in alone}
        return any(not table.guard for table in tables) or any(
            (possible := _possible(option)) is not None and alone[name].issuperset(possible)
            for name, option in options.items()
        )

    def metrics(self, table: Table) -> Iterator[Table]:
        """A table of metrics with what absence means; one for each name, where the name holds a known list."""
        body = dict(table.body)
        if body.get("additive") is None and "kind" in body:
            body["additive"] = language().says("kind", body["kind"], "additive")
        if body.get("interval") is None and "interval" in self.contract.config:
            body["interval"] = "${config.interval}"
        for whole in self.named(body):
            yield table._replace(body=self.value({key: each for key, each in whole.items() if each is not None}))

    def named(self, body: Body) -> Iterator[Body]:
        """A table for each name, where the name holds a list that is known."""
        name = body.get("name", "")
        found = CONFIG.search(name)
        items = self.known.raw.get(found[1]) if found else None
        if found is None or not isinstance(items, list):
            yield body
            return
        for item in items:
            yield {**body, "name": name.replace(found[0], str(item))}

    def rule(self, table: Table) -> Table:
        """A rule with what absence means."""
        body = {**self.value(table.body), "require": self.constraints(table.body["require"])}
        metric = body["metric"]
        return table._replace(body={**body, "metric": metric if isinstance(metric, list) else [metric]})


def canonical(option: Option, raw: Any) -> Any:
    """A value as the option understands it; `ABSENT` where it does not take it."""
    try:
        return options.canonical(option, raw)
    except options.OptionError:
        return ABSENT


def _possible(option: Option) -> tuple[Any, ...] | None:
    """All values that an option takes; None where they are not few."""
    if option.type == "bool":
        return (False, True)
    return tuple(option.values) if option.type == "enum" else None
