"""The roster: the instances of a backend in the making, found by label, by what they provide and by what they give.

What was put in last can be taken out again, so that something can be tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.resolution.candidates import Templates, answers, metrics_of

LINKS: Final = 16
"""So many instances are named of a line of which each brought the next; of a longer one half as many at each end."""


class _Line(NamedTuple):
    """The first instances of a line of which each brought the next, and how long it is."""

    first: tuple[str, ...]
    length: int


_NOBODY: Final = _Line((), 0)


class Roster:
    """Instances by label, in the order in which they were put in."""

    def __init__(self) -> None:
        self._instances: dict[str, Instance] = {}
        self._by: dict[tuple[str, str], list[Instance]] = {}
        self._lines: dict[str, _Line] = {}
        self._templates = Templates()
        """Those that an instance has or had."""

    def __len__(self) -> int:
        return len(self._instances)

    def __iter__(self) -> Iterator[Instance]:
        return iter(self._instances.values())

    def get(self, label: str) -> Instance | None:
        """The instance of a label, where there is one."""
        return self._instances.get(label)

    def sorted(self) -> list[Instance]:
        """The instances by label."""
        return sorted(self, key=lambda instance: instance.label)

    def add(self, instance: Instance) -> None:
        """Put an instance in."""
        self._instances[instance.label] = instance
        for key in _keys(instance.contract):
            self._by.setdefault(key, []).append(instance)
        first, length = self._lines.get(instance.by, _NOBODY)
        begins = (*first, instance.label) if length < LINKS // 2 else first
        self._lines[instance.label] = _Line(begins, length + 1)
        self._templates.add(instance.contract.open_tables)

    def since(self, mark: int) -> list[Instance]:
        """Those that were put in after the roster had `mark` instances."""
        return list(islice(reversed(self._instances.values()), len(self) - mark))[::-1]

    def cut(self, mark: int) -> None:
        """Take out again whatever was put in after the roster had `mark` instances."""
        while len(self) > mark:
            label, instance = self._instances.popitem()
            del self._lines[label]
            for key in _keys(instance.contract):
                self._by[key].pop()  # it was the last one in each of them, too

    def providers(self, name: str, wanted: str = "*") -> Iterator[Instance]:
        """Those that provide a plugin or capability in a range."""
        return (each for each in self._by.get(("name", name), ()) if answers(each.contract, name, wanted))

    def opponents(self, contract: Contract) -> list[Instance]:
        """Those whose clause `conflicts` names what a contract provides, in whatever range."""
        names = sorted({contract.name, *contract.provides.capabilities})
        return list({each.label: each for name in names for each in self._by.get(("against", name), ())}.values())

    def givers(self, metric: str) -> list[Instance]:
        """Those of which some table gives a metric of that name, literally or by a template that could make it."""
        found = list(self._by.get(("metric", metric), ()))
        for template in self._templates.of(metric):
            found += self._by[("open", template)]
        found += self._by.get(("", "sent"), ())
        return list({each.label: each for each in found}.values())

    def chain(self, label: str, *ends: str) -> str:
        """Why something is there, in words: the instances from the asked one on, and what the last one leads to.

        Of a long line its beginning and its end.
        """
        group, line = self._last(label), self._lines.get(label, _NOBODY)
        before = line.first if line.length > LINKS else ()
        root = self.root(label)
        wanted = root is not None and not root.by and root.need
        links = [
            *([wanted] if wanted else []),
            *before,
            *(["…"] if before else []),
            *(instance.label for instance in group),
            *ends,
        ]
        return language().phrase("note", "chain", "text", "want" if wanted else "", links=" -> ".join(links))

    def root(self, label: str) -> Instance | None:
        """The asked instance that brought another one, or what was wanted."""
        line = self._lines.get(label)
        return None if line is None else self.get(line.first[0])

    def _last(self, label: str) -> list[Instance]:
        """An instance behind those that brought it; of a long line the last ones."""
        most = self._lines.get(label, _NOBODY).length
        found: list[Instance] = []
        while len(found) < (LINKS // 2 if most > LINKS else most):
            instance = self._instances[label]
            found.append(instance)
            label = instance.by
        return found[::-1]

    def stating(self, clause: str) -> list[Instance]:
        """Those whose contracts have one of the clauses that reach out to other instances."""
        return list(self._by.get(("", clause), ()))


def _keys(contract: Contract) -> Iterator[tuple[str, str]]:
    """Under what an instance of a contract is found."""
    yield from (("name", name) for name in {contract.name, *contract.provides.capabilities})
    yield from (("metric", metric) for metric in metrics_of(contract))
    yield from (("against", name) for name in contract.conflicts)
    yield from (("open", name) for name in contract.open_tables)
    if any(clause.schema is not None for clause in contract.provides.metrics):
        yield "", "sent"
    for clause in ("alias", "config_for", "conflicts", "recommends"):
        if getattr(contract, clause):
            yield "", clause
