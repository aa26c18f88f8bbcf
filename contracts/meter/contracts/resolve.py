"""Resolution: the instances of a backend, needs closed to a fixed point.

Nothing here depends on the order of files, tables or asked words: each round takes the unmet needs sorted by name,
concrete plugins before capabilities, and labels what it adds by the need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from meter.contracts import selectors
from meter.contracts.catalogue import Catalogue, is_automatic, score
from meter.contracts.diagnostics import Diagnostic, listed, nearest
from meter.contracts.edits import clear, renamed, within
from meter.contracts.host import Host
from meter.contracts.host_needs import carries
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.request import Asked, Request
from meter.contracts.spans import Span
from meter.contracts.versions import Version, parse_version, satisfies


@frozen(kw_only=True)
class Resolved:
    """Instances by rank of asking, candidates that were not taken, diagnostics."""

    instances: tuple[Instance, ...]
    rejected: tuple[tuple[str, str], ...]
    diagnostics: tuple[Diagnostic, ...]


def version_of(contract: Contract, name: str) -> Version:
    """The version under which a contract answers to a name."""
    text = contract.version if name == contract.name else contract.provides.capabilities[name]
    return parse_version(text, short=True)


def answers(contract: Contract, name: str, wanted: str) -> bool:
    """Whether a contract provides a plugin or capability in a range."""
    known = name == contract.name or name in contract.provides.capabilities
    return known and satisfies(version_of(contract, name), wanted)


class _Resolver:
    def __init__(self, request: Request, catalogue: Catalogue, host: Host) -> None:
        self.request = request
        self.catalogue = catalogue
        self.host = host
        self.instances: dict[str, Instance] = {}
        self.found: list[Diagnostic] = []
        self.rejected: set[tuple[str, str]] = set()
        self.unmet: set[tuple[str, str]] = set()

    def say(
        self, code: str, *spans: Span, clause: str = "", notes: tuple[str, ...] = (), variant: str = "", **facts: str
    ) -> None:
        self.found.append(Diagnostic(code=code, facts=facts, spans=spans, clause=clause, notes=notes, variant=variant))

    def run(self) -> Resolved:
        for position, asked in enumerate(self.request.plugins):
            self.ask(asked, position)
        generation = 1
        while self.round(generation):
            generation += 1
        self.roles()
        instances = tuple(sorted(self.instances.values(), key=lambda instance: instance.rank))
        return Resolved(instances=instances, rejected=tuple(sorted(self.rejected)), diagnostics=tuple(self.found))

    def ask(self, asked: Asked, position: int) -> None:
        """One word of the request."""
        entries = self.catalogue.entries.get(asked.name, ())
        if len(entries) > 1:
            paths = " and ".join(f"`{entry.path}`" for entry in entries)
            self.say("E-DUPLICATE", asked.span, variant="files", name=asked.name, paths=paths)
            return
        if entries and entries[0].contract is None:
            faults = [each for each in entries[0].diagnostics if each.level == "error"]
            self.found += [each for each in faults if each not in self.found]
            return
        contract = entries[0].contract if entries else self.choose(asked.name, "*", asked.span)
        if contract is None:
            self.unknown(asked)
            return
        taken = self.instances.get(asked.label)
        if taken is None:
            because = "asked"
            self.add(
                Instance(label=asked.label, contract=contract, span=asked.span, because=because, position=position)
            )
        elif taken.contract is contract:
            self.say("E-DUPLICATE", asked.span, taken.span, name=asked.text, plugin=asked.name)
        else:
            self.clash(taken, contract, asked.label, asked.span)

    def unknown(self, asked: Asked) -> None:
        """E-PLUGIN-UNKNOWN; a name that is asked for already is not what was meant."""
        names = self.catalogue.names()
        facts = {"name": asked.name, "near": nearest(asked.name, names)}
        labels = {each.label for each in self.request.plugins} if asked.label == asked.name else ()
        meant = clear(asked.name, set(names).difference(labels))
        edit = None
        if meant:
            edit = renamed(asked.span, asked.text, meant + asked.text[len(asked.name) :], (asked.name, meant))
        span = within(asked.span, asked.text, 0, len(asked.name))
        self.found.append(Diagnostic(code="E-PLUGIN-UNKNOWN", facts=facts, spans=(span,), edit=edit))

    def clash(self, taken: Instance, contract: Contract, label: str, span: Span) -> None:
        """E-LABEL-CLASH: a label is wanted for a second plugin; said once for the two."""
        if (label, contract.name) in self.unmet:
            return
        self.unmet.add((label, contract.name))
        first, second = sorted((taken.contract.name, contract.name))
        self.say("E-LABEL-CLASH", span, taken.span, label=label, first=first, second=second)

    def add(self, instance: Instance) -> None:
        """Take an instance in; warnings about its contract come with it."""
        self.instances[instance.label] = instance
        for entry in self.catalogue.entries[instance.contract.name]:
            self.found += [each for each in entry.diagnostics if each not in self.found]

    def candidates(self, name: str, wanted: str) -> list[tuple[tuple[object, ...], Contract]]:
        """Contracts that answer to a name, the best first."""
        pool = [c for c in self.catalogue.mentioning(name) if answers(c, name, wanted) and is_automatic(c)]
        return self.ranked(pool, name)

    def ranked(self, pool: list[Contract], name: str) -> list[tuple[tuple[object, ...], Contract]]:
        prefer = self.request.prefer
        keyed = []
        for contract in pool:
            known = name == contract.name or name in contract.provides.capabilities
            version = version_of(contract, name if known else contract.name)
            unavailable = not carries(self.host, contract)
            preferred = prefer.index(contract.name) if contract.name in prefer else len(prefer)
            keyed.append(((preferred, unavailable, -score(contract)), version, contract))
        keyed.sort(key=lambda item: item[2].name)
        keyed.sort(key=lambda item: item[1], reverse=True)
        keyed.sort(key=lambda item: item[0])
        return [((*key, version), contract) for key, version, contract in keyed]

    def choose(self, name: str, wanted: str, span: Span, pool: list[Contract] | None = None) -> Contract | None:
        """The best candidate; the others are remembered, a tie is said."""
        ranked = self.candidates(name, wanted) if pool is None else self.ranked(pool, name)
        if not ranked:
            return None
        best = ranked[0][1]
        ties = [contract.name for key, contract in ranked if key == ranked[0][0]]
        if len(ties) > 1:
            self.say("W-PROVIDER-TIE", span, providers=listed(ties), need=name, chosen=best.name)
        self.rejected |= {(contract.name, name) for _, contract in ranked[1:]}
        return best

    def needs(self, instance: Instance) -> Iterator[tuple[bool, str, str, int, str]]:
        """Unmet needs of an instance: is it a metric, name, range, place of the word, clause."""
        for word, (name, wanted) in enumerate(sorted(instance.contract.needs.capabilities.items())):
            holders = [other for other in self.instances.values() if self.meets(other, name, wanted)]
            if not holders:
                yield False, name, wanted, word, "needs.capabilities"
            elif holders == [instance]:
                self.self_need(instance, name)
        for word, rule in enumerate(instance.contract.needs.metrics):
            if rule.when or rule.metric.startswith("${"):
                continue
            selector = selectors.parse(rule.metric)
            others = [other for other in self.instances.values() if other is not instance]
            if selector.literal and not any(metric_of(other, selector.glob) for other in others):
                yield True, selector.glob, "*", word, "needs.metrics"

    def meets(self, instance: Instance, name: str, wanted: str) -> bool:
        return answers(instance.contract, name, wanted)

    def self_need(self, instance: Instance, name: str) -> None:
        span = instance.contract.source.key("needs", "capabilities", name)
        diagnostic = Diagnostic(
            code="W-SELF-NEED", facts={"plugin": instance.contract.name, "need": name}, spans=(span,)
        )
        if diagnostic not in self.found:
            self.found.append(diagnostic)

    def round(self, generation: int) -> bool:
        """Meet the needs of all instances that are there; whether one was added."""
        pending = [
            (is_metric, name not in self.catalogue.entries, name, wanted, instance.label, word, clause)
            for instance in sorted(self.instances.values(), key=lambda each: each.label)
            for is_metric, name, wanted, word, clause in self.needs(instance)
        ]
        added = False
        for is_metric, _, name, wanted, label, word, clause in sorted(pending):
            instance = self.instances[label]
            if not is_metric and any(self.meets(other, name, wanted) for other in self.instances.values()):
                continue
            others = [other for other in self.instances.values() if other is not instance]
            if is_metric and any(metric_of(other, name) for other in others):
                continue
            span = instance.contract.source.key(*clause.split("."), *((word,) if is_metric else (name,)))
            pool = None
            if is_metric:
                makers = [c for c in self.catalogue.mentioning(name) if c is not instance.contract and is_automatic(c)]
                pool = [c for c in makers if gives_metric(c, name)]
            contract = self.choose(name, wanted, span, pool)
            if contract is None:
                self.unmet_need(instance, name, wanted, span, clause, is_metric=is_metric)
                continue
            chosen = contract.name if is_metric else name
            if chosen in self.instances:
                self.clash(self.instances[chosen], contract, chosen, span)
                continue
            because = f"needed by `{label}` for `{name}`"
            new = Instance(
                label=chosen,
                contract=contract,
                span=instance.span,
                because=because,
                generation=generation,
                word=word,
            )
            self.add(new)
            added = True
        return added

    def unmet_need(
        self, instance: Instance, name: str, wanted: str, span: Span, clause: str, *, is_metric: bool
    ) -> None:
        if (instance.label, name) in self.unmet:
            return
        self.unmet.add((instance.label, name))
        others = sorted(
            language().phrase("text", "provides", plugin=contract.name, version=str(version_of(contract, name)))
            for contract in self.catalogue.mentioning(name)
            if not is_metric and answers(contract, name, "*")
        )
        entries = self.catalogue.entries.get(name, ())
        notes: tuple[str, ...] = (self.chain(instance, name),)
        for entry in entries:
            faults = [each.message for each in entry.diagnostics if each.level == "error"]
            notes += tuple(language().phrase("note", "broken", path=entry.path, why=fault) for fault in faults[:1])
        if len(entries) > 1:
            notes += (language().phrase("note", "twice", paths=listed(entry.path for entry in entries)),)
        self.say(
            "E-NEED-UNMET",
            instance.span,
            span,
            variant="metric" if is_metric else "range" if others else "",
            clause=clause,
            notes=notes,
            plugin=instance.contract.name,
            need=f"`{name}`" + (f" {wanted}" if wanted != "*" else ""),
            mountpoint=self.request.mountpoint,
            near=nearest(name, self.catalogue.names()),
            others=", ".join(others),
            wanted=wanted,
        )

    def chain(self, instance: Instance, name: str) -> str:
        """Why the need is there, from the asked plugin on."""
        links = [name, instance.label]
        while instance.because != "asked":
            instance = self.instances[instance.because.split("`")[1]]
            links.append(instance.label)
        return language().phrase("note", "chain", links=" -> ".join(reversed(links)))

    def roles(self) -> None:
        """E-ROLE-COUNT, unless a word that could not be resolved might have been it."""
        if any(diagnostic.level == "error" for diagnostic in self.found):
            return
        for placement, says in language().words["placement"].items():
            count = sum(instance.contract.placement == placement for instance in self.instances.values())
            if count >= int(says.get("minimum", 0)):
                continue
            examples = [
                contract.name
                for contract in self.catalogue.contracts()
                if contract.placement == placement and is_automatic(contract)
            ]
            self.say(
                "E-ROLE-COUNT",
                self.request.span,
                clause="placement",
                variant="" if examples else "none",
                mountpoint=self.request.mountpoint,
                role=placement,
                examples=listed(examples[:3]),
            )


def gives_metric(contract: Contract, name: str) -> bool:
    """Whether a contract provides a metric of that literal name, or gives one by a rule."""
    return any(clause.name == name for clause in contract.provides.metrics) or any(
        rule.gives is not None and rule.gives.name == name for rule in contract.needs.metrics
    )


def metric_of(instance: Instance, name: str) -> bool:
    """Whether an instance may give a metric: literally, or by a template that could make the name."""
    if gives_metric(instance.contract, name):
        return True
    templates = [rule.gives.name for rule in instance.contract.needs.metrics if rule.gives is not None]
    templates += [clause.name for clause in instance.contract.provides.metrics]
    for template in templates:
        fixed = _PLACEHOLDER.split(template)
        if template == "${metric}" or len(fixed) == 1:  # changed in place: no name that is not there already
            continue
        if re.fullmatch(".+".join(map(re.escape, fixed)), name):
            return True
    return False


_PLACEHOLDER: Final = re.compile(r"\$\{[^}]*\}")


def resolve(request: Request, catalogue: Catalogue, host: Host) -> Resolved:
    """The instances that a request asks for, and those that they need."""
    return _Resolver(request, catalogue, host).run()
