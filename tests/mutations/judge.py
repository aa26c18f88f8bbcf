"""What the check makes of a mutation: it is refused, warned of, shows in the plan, only in a digest, or nowhere."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from meter.contracts import claims
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked, check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.digests import canonical_bytes, digest
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed
from meter.contracts.instances import holds_when
from meter.contracts.model import Contract, Source
from meter.contracts.mount_tables import from_document, remains
from meter.contracts.placeholders import CONFIG
from meter.contracts.reader import read
from meter.contracts.request import Request
from meter.contracts.shelf import Entry
from tests.misconfig.cases import Answers, cases, shelf
from tests.mutations.documents import dumps
from tests.mutations.mutators import Mutation, of_contract, of_request

ROOT: Final = Path(__file__).parents[2]
REFUSED, WARNED, PLAN, DIGEST, NOWHERE = VERDICTS = ("refused", "warned", "in the plan", "in a digest", "nowhere")


class Fault(NamedTuple):
    """One planted fault: in which file, and the mount files whose check may notice it."""

    target: str
    mutation: Mutation
    mounts: tuple[str, ...]

    @property
    def clause(self) -> str:
        """The clause of a contract, or `request.` and the word of a mount file."""
        return self.mutation.clause if self.target.endswith("contract.toml") else f"request.{self.mutation.clause}"

    @property
    def said(self) -> str:
        """The fault in one line."""
        return f"{self.target}: {self.mutation.kind}: {self.mutation.said}"


class Verdict(NamedTuple):
    """What became of a fault, and the codes that were said."""

    word: str
    codes: tuple[str, ...] = ()


class Host(Assumed):
    """A host that has what the mount files without faults ask for, and nothing else; every path can be written."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: set[tuple[str, str]] = set()
        self.open = True

    def answer(self, kind: str, argument: str) -> str:
        """Why something does not hold."""
        question = (kind, argument)
        if self.open or kind in ("read", "write", "fill", "environment"):
            self.asked.add(question)
            return self.answers.answer(kind, argument)
        return "" if question in self.asked else f"missing {argument}"


class Outcome(NamedTuple):
    """What the check says of a mount file: codes of errors and warnings, plans without digests, digests."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    plans: bytes
    digests: bytes


class Base:
    """A mount file without a fault."""

    def __init__(self, path: Path, answers: Answers) -> None:
        self.name = path.relative_to(ROOT).as_posix()
        self.document = tomllib.loads(path.read_text(encoding="utf-8"))
        self.host = Host(answers)
        self.outcome = self.check(self.document, catalogue())
        assert not self.outcome.errors, (self.name, self.outcome.errors)
        self.host.open = False
        self.instances = self._instances()

    @cached_property
    def mutations(self) -> tuple[Mutation, ...]:
        """Every mutation of the file."""
        return tuple(of_request(self.document, self.contracts))

    @property
    def contracts(self) -> dict[str, Contract]:
        """The contract of each label."""
        return {label: contract for label, (contract, _) in self.instances.items()}

    def errors(self, document: dict[str, Any], known: Catalogue | None = None) -> list[Diagnostic]:
        """The errors that are said of a document in place of the file, or beside another catalogue."""
        _, _, found = self._checked(document, known or catalogue())
        return [each for each in found if each.level == "error"]

    def _checked(
        self, document: dict[str, Any], known: Catalogue
    ) -> tuple[dict[str, Request], dict[str, Checked], list[Diagnostic]]:
        parsed = parse_toml(dumps(document), self.name)
        assert isinstance(parsed, tuple), parsed
        source = Source(self.name, parsed[1])
        requests, faults = from_document(parsed[0], source)
        for rest in remains(parsed[0], source).values():
            faults += [each for each in check(rest, known, self.host).diagnostics if each.level == "error"]
        checked = {name: check(request, known, self.host) for name, request in sorted(requests.items())}
        return requests, checked, [*faults, *(each for one in checked.values() for each in one.diagnostics)]

    def check(self, document: dict[str, Any], known: Catalogue) -> Outcome:
        """Check a document in place of the file."""
        requests, checked, found = self._checked(document, known)
        plans = {name: one.plan.document for name, one in checked.items() if one.plan is not None}
        errors = sorted({each.code for each in found if each.level == "error"})
        errors += ["E-CLAIM"] * (not errors and any(claims.meetings(plans)))
        warnings = sorted({each.code for each in found if each.level == "warning"})
        digests = [[request.digest() for _, request in sorted(requests.items())], list(map(_digests, plans.values()))]
        bare = {name: _without_digests(plan) for name, plan in plans.items()}
        return Outcome(tuple(errors), tuple(warnings), canonical_bytes(bare), canonical_bytes(digests))

    def _instances(self) -> dict[str, tuple[Contract, dict[str, Any]]]:
        """Contract and configuration of each label."""
        parsed = parse_toml(dumps(self.document), self.name)
        assert isinstance(parsed, tuple)
        requests, _ = from_document(parsed[0], Source(self.name, parsed[1]))
        found: dict[str, tuple[Contract, dict[str, Any]]] = {}
        for request in requests.values():
            plan = check(request, catalogue(), self.host).require().document
            for plugin in plan["plugins"]:
                [entry] = catalogue().entries[plugin["plugin"]]
                assert entry.contract is not None
                found[plugin["instance"]] = (entry.contract, plugin["config"])
        return found

    def judge(self, document: dict[str, Any], known: Catalogue) -> Verdict:
        """What became of a fault in the request, or in a contract of the catalogue."""
        outcome = self.check(document, known)
        if outcome.errors:
            return Verdict(REFUSED, outcome.errors)
        if outcome.warnings != self.outcome.warnings:
            return Verdict(WARNED, outcome.warnings)
        if outcome.plans != self.outcome.plans:
            return Verdict(PLAN)
        return Verdict(DIGEST if outcome.digests != self.outcome.digests else NOWHERE)


def _without_digests(plan: Mapping[str, Any]) -> dict[str, Any]:
    plugins = [{name: value for name, value in plugin.items() if name != "contract"} for plugin in plan["plugins"]]
    return {**plan, "plugins": plugins}


def _digests(plan: Mapping[str, Any]) -> list[str]:
    return [plugin["contract"] for plugin in plan["plugins"]]


@cache
def catalogue() -> Catalogue:
    """The plugins of the cases and the built-in ones."""
    known = shelf().read().catalogue
    return Catalogue(entries={name: known.entries[name] for name in known.entries})


@cache
def bases() -> tuple[Base, ...]:
    """The good twins and the example mounts."""
    found = [Base(case.file("good"), case.host("good")) for case in cases() if case.file("good").exists()]
    return (*found, *(Base(path, Answers({})) for path in sorted((ROOT / "examples").glob("*.toml"))))


@cache
def faults() -> tuple[Fault, ...]:
    """Every fault of every mount file, and of every contract that one of them uses."""
    return tuple(_faults())


def _faults() -> Iterator[Fault]:
    used: dict[str, tuple[str, list[str]]] = {}
    for base in bases():
        for mutation in base.mutations:
            yield Fault(base.name, mutation, (base.name,))
        for contract in base.contracts.values():
            file, mounts = used.setdefault(contract.name, (contract.source.file, []))
            if base.name not in mounts:
                mounts.append(base.name)
    for _, (file, mounts) in sorted(used.items()):
        document = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        name = Path(file)
        shown = name.relative_to(ROOT if name.is_relative_to(ROOT) else name.parents[2]).as_posix()
        for mutation in of_contract(document):
            yield Fault(shown, mutation, tuple(mounts))


def noticing(fault: Fault) -> list[str]:
    """The mount files whose check may notice a fault, in an order that is another one for each."""
    return sorted(fault.mounts, key=lambda name: digest(f"{name} {fault.said}".encode()))


_said: dict[tuple[int, str], tuple[Mutation, list[Diagnostic]]] = {}
"""Errors by mutation and mount file. The mutation is kept, so that no other one has its id."""


def said(fault: Fault, name: str) -> list[Diagnostic]:
    """The errors that the check of a mount file says of a fault; several tests ask, and it is checked once."""
    key = (id(fault.mutation), name)
    if key not in _said:
        base = by_name()[name]
        if fault.target == name:
            errors = base.errors(fault.mutation.document())
        else:
            errors = base.errors(base.document, with_fault(fault))
        _said[key] = (fault.mutation, errors)
    return _said[key][1]


def judge(fault: Fault) -> Verdict:
    """What becomes of a fault: the gravest that one of its mount files notices."""
    mounts = by_name()
    if fault.target in mounts:
        return mounts[fault.target].judge(fault.mutation.document(), catalogue())
    known = with_fault(fault)
    gravest = Verdict(NOWHERE)
    for name in fault.mounts:
        base = mounts[name]
        verdict = base.judge(base.document, known)
        if VERDICTS.index(verdict.word) < VERDICTS.index(gravest.word):
            gravest = verdict
        if gravest.word in (REFUSED, WARNED, PLAN):
            break
    return gravest


@cache
def by_name() -> dict[str, Base]:
    """The mount files by their names."""
    return {base.name: base for base in bases()}


def guarded(fault: Fault) -> bool:
    """Whether a fault is in a table that is not there in any of its mount files.

    Its guard does not hold, or it is a rule whose list of selectors, an option, is empty.
    """
    path = fault.mutation.path
    if path[:2] not in (("provides", "metrics"), ("needs", "metrics")) or len(path) < 3:
        return False
    for name in fault.mounts:
        for contract, config in by_name()[name].instances.values():
            if contract.source.file.endswith(fault.target):
                tables: Any = contract.provides.metrics if path[0] == "provides" else contract.needs.metrics
                table = tables[path[2]]
                named = CONFIG.fullmatch(getattr(table, "metric", ""))
                if holds_when(table.when, config, contract.config) and (named is None or config.get(named[1]) != []):
                    return False
    return True


def entry_of(fault: Fault) -> Entry:
    """The sound contract of a fault."""
    return next(
        entry for entries in catalogue().entries.values() for entry in entries if entry.path.endswith(fault.target)
    )


def with_fault(fault: Fault) -> Catalogue:
    """The catalogue with a faulty contract in the place of the sound one."""
    sound = entry_of(fault)
    result = read(dumps(fault.mutation.document()), sound.path)
    name = result.contract.name if result.contract else sound.name
    entry = Entry(name=name, path=sound.path, contract=result.contract, diagnostics=result.diagnostics)
    entries = {other: each for other, each in catalogue().entries.items() if other != sound.name}
    entries[name] = (*entries.get(name, ()), entry)
    return Catalogue(entries=dict(sorted(entries.items())))
