"""The contract model: a contract as values, one field for each clause of CONTRACT.ini.

The reader has checked types, words and obligation and has put in defaults, so no field has a default here but those of
clauses whose absence means something. A test compares these classes with CONTRACT.ini.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from attrs import field, frozen

from meter.contracts.digests import canonical_bytes, digest
from meter.contracts.editing.writing import Writer
from meter.contracts.language import ABSENT, language
from meter.contracts.spans import Locator, Span


class Source:
    """The text that something was read from; its positions are found when a diagnostic asks for them.

    Args: `located`, the text with blanks for the marks of comments, where it was taken out of these; `first_line`,
        where it begins in the file.
    """

    def __init__(self, file: str, text: str, *, first_line: int = 1, located: str | None = None) -> None:
        self.file = file
        self.text = text
        self._first_line = first_line
        self._located = text if located is None else located
        self._locator: Locator | None = None

    @property
    def _locate(self) -> Locator:
        if self._locator is None:
            self._locator = Locator(self._located, self.file, first_line=self._first_line)
        return self._locator

    def key(self, *path: str | int) -> Span:
        """The place of a key or table header."""
        return self._locate.key(*path)

    def value(self, *path: str | int) -> Span:
        """The place of a value."""
        return self._locate.value(*path)

    def has(self, *path: str | int) -> bool:
        """Whether the text has something at a path."""
        return self._locate.has(*path)

    def mentions(self, *path: str | int) -> tuple[Span, ...]:
        """Everywhere that a key is written."""
        return self._locate.mentions(*path)

    def writer(self) -> Writer:
        """What makes changes of the text."""
        return Writer(self._located, self.file, self._first_line, self._locate.document)


Guard = dict[str, Any]


@frozen(kw_only=True)
class MetricHost:
    """The table `host` of a metric: what this metric alone needs of the host."""

    readable: tuple[str, ...]
    capability: tuple[str, ...]
    library: tuple[str, ...]
    event: tuple[str, ...]
    sysctl: dict[str, str]


@frozen(kw_only=True)
class MetricClause:
    """A table of `provides.metrics`.

    With a `schema` name, type, unit, kind and resource are empty; `interval` may be a text `${config.NAME}`.
    """

    name: str = ""
    summary: str
    when: Guard
    type: str = ""
    unit: str = ""
    kind: str = ""
    resource: tuple[str, ...] = ()
    consumer: tuple[str, ...]
    attributes: dict[str, Any]
    parts: dict[str, dict[str, str]]
    quality: str
    additive: bool | None = None
    interval: str | None = None
    schema: str | None = None
    host: MetricHost | None = None


@frozen(kw_only=True)
class GivesClause:
    """The table `gives` of a rule; `None` is the input's. What is `Any` may be a text `${config.NAME}` instead."""

    name: str
    type: str | None = None
    unit: str | None = None
    kind: str | None = None
    resource: tuple[str, ...]
    consumer: tuple[str, ...]
    drop: Any
    attributes: Any
    tells: Any
    additive: bool | None = None
    quality: str | None = None
    interval: str | None = None
    merge: str | None = None


@frozen(kw_only=True)
class RuleClause:
    """A table of `needs.metrics`; `keeps`, `unit` and `drop` may be a text `${config.NAME}`."""

    metric: str
    when: Guard
    type: tuple[str, ...]
    kind: tuple[str, ...]
    unit: str
    resource: tuple[str, ...]
    consumer: tuple[str, ...]
    attributes: tuple[str, ...]
    require: tuple[str, ...]
    keeps: Any
    drop: Any
    additive: bool | None = None
    gives: GivesClause | None = None


@frozen(kw_only=True)
class HostNeed:
    """A table of `needs.host`: one alternative."""

    name: str
    when: Guard
    readable: tuple[str, ...]
    capability: tuple[str, ...]
    library: tuple[str, ...]
    event: tuple[str, ...]
    sysctl: dict[str, str]
    mend: tuple[str, ...]


@frozen(kw_only=True)
class Provides:
    """The table `provides`."""

    capabilities: dict[str, str]
    metrics: tuple[MetricClause, ...]


@frozen(kw_only=True)
class Needs:
    """The table `needs`."""

    capabilities: dict[str, str]
    python: dict[str, str]
    host: tuple[HostNeed, ...]
    metrics: tuple[RuleClause, ...]


@frozen(kw_only=True)
class Ordering:
    """The table `ordering`."""

    before: tuple[str, ...]
    after: tuple[str, ...]


@frozen(kw_only=True)
class Option:
    """A table of `config`."""

    type: str
    summary: str
    values: tuple[str, ...]
    default: Any = ABSENT
    min: Any = ABSENT
    max: Any = ABSENT
    access: str | None = None


@frozen(kw_only=True)
class Contract:
    """A whole contract. `body` is what it was made of: its clauses as plain values, with defaults put in."""

    contract: int
    name: str
    version: str
    interface: str
    placement: str
    summary: str
    author: str
    licence: str
    status: tuple[str, ...]
    exports: dict[str, str]
    durability: str
    state: str
    isolation: str
    claims: tuple[str, ...]
    names: str
    recommends: dict[str, str]
    conflicts: dict[str, str]
    alias: tuple[str, ...]
    config_for: dict[str, dict[str, Any]]
    require: tuple[str, ...]
    provides: Provides
    needs: Needs
    ordering: Ordering
    config: dict[str, Option]
    deadline: str | None = None
    source: Source = field(eq=False, repr=False)
    body: Any = field(eq=False, repr=False)

    @property
    def role(self) -> str:
        """What the engine does with the plugin: `source`, `filter`, `output` or `recover`, by its placement."""
        return language().words["placement"][self.placement]["role"]

    @cached_property
    def digest(self) -> str:
        """Covers every clause whose change could matter to a mount; few contracts of a catalogue are asked for it."""
        return digest(canonical_bytes(_material(self.body, ())))

    @cached_property
    def tables(self) -> dict[str, list[tuple[int, MetricClause | RuleClause]]]:
        """The tables that give a metric, by its name as it is written, each with its place among all of them."""
        named: list[tuple[str, MetricClause | RuleClause]] = [(each.name, each) for each in self.provides.metrics]
        named += [(rule.gives.name, rule) for rule in self.needs.metrics if rule.gives is not None]
        found: dict[str, list[tuple[int, MetricClause | RuleClause]]] = {}
        for place, (name, table) in enumerate(named):
            found.setdefault(name, []).append((place, table))
        return found

    @cached_property
    def open_tables(self) -> dict[str, list[tuple[int, MetricClause | RuleClause]]]:
        """Those of them that could give metrics of other names: by a template, or what another meter sends."""
        return {
            name: kept
            for name, tables in self.tables.items()
            if (kept := [each for each in tables if is_template(name) or getattr(each[1], "schema", None) is not None])
        }


def is_template(name: str) -> bool:
    """Whether the name of a metric could be many; one that is changed in place is none that is not there already."""
    return "${" in name and name != "${metric}"


def _material(value: Any, path: tuple[str, ...]) -> Any:
    """What of a contract counts for its digest: not clauses of variance `ignored`; lists of metrics are sorted."""
    if isinstance(value, dict):
        clauses = language().clauses
        out = {}
        for name, entry in value.items():
            clause = clauses.get((*path, name))
            if clause is not None and clause.variance == "ignored":
                continue
            below = (*path, name) if clause is not None else (*path, "*")
            out[name] = _material(entry, below)
        return out
    if isinstance(value, list):
        items = [_material(entry, path) for entry in value]
        return sorted(items, key=canonical_bytes) if path == ("provides", "metrics") else items
    return value
