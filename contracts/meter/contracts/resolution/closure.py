"""The closure of a backend: its instances, and those that they need, to a fixed point.

Nothing here depends on the order of files or tables, and on that of asked words only in which of two words is pointed
at. Each round takes the needs of what the round before has brought, sorted by name, plugins before capabilities, and
labels what it adds by the need. What was added last can be taken back, so that something can be tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from attrs import evolve

from meter.contracts import selectors
from meter.contracts.catalogue import Catalogue, is_automatic, is_listed, score
from meter.contracts.diagnostics import MANY, Diagnostic, listed, nearest
from meter.contracts.editing.edits import Edit
from meter.contracts.editing.mending import added, cut
from meter.contracts.editing.offers import by_effort, with_options
from meter.contracts.host import Host
from meter.contracts.host_needs import Lacking, carries, lacking, unmet
from meter.contracts.instances import Instance
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Contract, Guard
from meter.contracts.request import Asked, Request
from meter.contracts.resolution.aliases import members
from meter.contracts.resolution.candidates import (
    Choice,
    Giving,
    Need,
    Rejected,
    answers,
    choose,
    giving,
    metrics_of,
    pool,
    stands,
    version_of,
)
from meter.contracts.resolution.conflicts import opponent
from meter.contracts.resolution.handed import offers
from meter.contracts.resolution.roster import Roster
from meter.contracts.spans import Span


class Pending(NamedTuple):
    """A need with who has it, where; sorted as needs are met: concrete names, capabilities, metrics."""

    metric: bool
    abstract: bool
    name: str
    wanted: str
    label: str
    word: int
    clause: str

    @property
    def need(self) -> Need:
        """What has to be there."""
        return Need(self.name, self.wanted, self.metric)


class Mark(NamedTuple):
    """How much there was at some moment."""

    instances: int
    said: int
    rejected: int
    unmet: int
    generation: int


class Closure:
    """Instances in the making, with what is to be said about them."""

    def __init__(self, request: Request, catalogue: Catalogue, host: Host) -> None:
        self.request = request
        self.catalogue = catalogue
        self.host = host
        self.roster = Roster()
        self.rejected: list[Rejected] = []
        self.generation = 0
        self._said: dict[tuple[str, ...], Diagnostic] = {}
        self._errors = 0
        self._unmet: list[Pending] = []
        self._metrics: tuple[str, ...] | None = None
        self.broken_off: set[str] = set()
        """Plugins that are asked for and cannot be had, whatever they would have provided."""

    # ----------------------------------------------------------------------------------------------------- what is said

    @property
    def found(self) -> tuple[Diagnostic, ...]:
        """Everything that was said."""
        return tuple(self._said.values())

    def say(self, diagnostic: Diagnostic, *key: str) -> None:
        """Say something; once for a key, and of very many errors only the first."""
        key = key or (str(len(self._said)),)
        if key not in self._said and not (self.crowded and diagnostic.level == "error"):
            self._said[key] = diagnostic
            self._errors += diagnostic.level == "error"

    @property
    def crowded(self) -> bool:
        """Whether so many errors were said that no other is worth looking for."""
        return self._errors > MANY

    def errors(self, mark: Mark | None = None) -> list[Diagnostic]:
        """The errors that were said since a moment, or all."""
        return [each for each in self.found[mark.said if mark else 0 :] if each.level == "error"]

    def mark(self) -> Mark:
        """This moment."""
        return Mark(len(self.roster), len(self._said), len(self.rejected), len(self._unmet), self.generation)

    def cut(self, mark: Mark) -> None:
        """Take back everything since a moment."""
        self.roster.cut(mark.instances)
        while len(self._said) > mark.said:
            self._errors -= self._said.popitem()[1].level == "error"
        del self.rejected[mark.rejected :], self._unmet[mark.unmet :]
        self.generation = mark.generation

    # -------------------------------------------------------------------------------------------------------- instances

    def add(self, instance: Instance) -> None:
        """Take an instance in; warnings about its contract come with it."""
        self.roster.add(instance)
        for entry in self.catalogue.entries[instance.contract.name]:
            for place, diagnostic in enumerate(entry.diagnostics):
                self.say(diagnostic, "contract", entry.path, str(place))

    def clash(self, taken: Instance, contract: Contract, label: str, span: Span) -> None:
        """E-LABEL-CLASH: a label is wanted for a second plugin; said once for the two."""
        first, second = sorted((taken.contract.name, contract.name))
        facts = {"label": label, "first": first, "second": second}
        spans = (span, taken.span)
        self.say(Diagnostic(code="E-LABEL-CLASH", facts=facts, spans=spans), "clash", label, contract.name)

    def choose(
        self, need: Need, place: Callable[[], Span], makers: Sequence[Contract] | None = None
    ) -> Contract | None:
        """The best candidate for a need; the others are remembered, and what is doubtful about it is said.

        Args: `place` finds where it is needed, which costs something.
        """
        found = pool(self.catalogue, need) if makers is None else makers
        choice = choose(need, found, self.request.prefer, self.host, lambda each: opponent(each, self.roster))
        if choice is None:
            return None
        self.rejected += choice.rejected
        for diagnostic in _doubts(choice, need, place):
            self.say(diagnostic)
        return choice.contract

    # ------------------------------------------------------------------------------------------------------------ needs

    def close(self, mark: int = 0, wants: Iterable[Pending] = ()) -> None:
        """Bring what the instances since a moment group by aliases and need, and so on to a fixed point."""
        pending = list(wants)
        while True:
            self.group(mark)
            pending += [need for instance in self.roster.since(mark) for need in self.needs(instance)]
            if not pending:
                return
            self.generation += 1
            mark = len(self.roster)
            for need in sorted(pending):
                if not self.met(need):
                    self.meet(need)
            pending = []

    def group(self, mark: int) -> None:
        """Ask for what stands in the aliases of the instances since a moment, and in the aliases of these."""
        while fresh := self.roster.since(mark):
            mark = len(self.roster)
            for instance in sorted(fresh, key=lambda each: each.label):
                for place, asked in enumerate(members(instance.contract)):
                    self.join(instance, asked, place)

    def join(self, instance: Instance, asked: Asked, place: int) -> None:
        """Bring one word of an alias in, unless it is there."""
        taken = self.roster.get(asked.label)
        if taken is not None and answers(taken.contract, asked.name):
            return
        contract = self.named(asked.name)
        if contract is None and asked.name not in self.catalogue.entries:
            contract = self.choose(Need(asked.name), lambda: asked.span)
        if contract is None:
            self.unmet(Pending(False, False, asked.name, "*", instance.label, place, "alias"), asked.span)
        elif taken is not None:
            self.clash(taken, contract, asked.label, asked.span)
        else:
            self.add(
                Instance(
                    label=asked.label,
                    contract=contract,
                    span=instance.span,
                    because=f"alias of `{instance.label}`",
                    by=instance.label,
                    position=instance.position,
                    generation=instance.generation,
                    word=instance.word,
                    anchor=instance.anchor or instance.label,
                    behind=(*instance.behind, place),
                )
            )

    def named(self, name: str) -> Contract | None:
        """The contract of a plugin by its name, where it can be had."""
        entries = self.catalogue.entries.get(name, ())
        return entries[0].contract if len(entries) == 1 else None

    def needs(self, instance: Instance) -> list[Pending]:
        """The needs of an instance."""
        contract = instance.contract
        found = []
        for word, (name, wanted) in enumerate(sorted(contract.needs.capabilities.items())):
            abstract = name not in self.catalogue.entries
            found.append(Pending(False, abstract, name, wanted, instance.label, word, "needs.capabilities"))
        for word, rule in enumerate(contract.needs.metrics):
            if rule.metric.startswith("${"):
                continue
            selector = selectors.parse(rule.metric)
            if selector.literal and not selector.excludes and self.stands(contract, rule.when, instance.label):
                found.append(Pending(True, True, selector.glob, "*", instance.label, word, "needs.metrics"))
        return found

    def met(self, need: Pending) -> bool:
        """Whether what is there meets a need; who reads a metric is not its own provider."""
        if not need.metric:
            return any(self.roster.providers(need.name, need.wanted))
        return any(
            self.gives(other.contract, table, other.label)
            for other in self.roster.givers(need.name)
            if other.label != need.label
            for table in giving(other.contract, need.name, literal=False)
        )

    def gives(self, contract: Contract, table: Giving, label: str) -> bool:
        """Whether a table that gives a metric will exist, and this host lets it."""
        here = table.host is None or not unmet(table.host, self.host)
        return here and self.stands(contract, table.guard, label)

    def stands(self, contract: Contract, guard: Guard, label: str) -> bool:
        """Whether a guard would hold, by the request, by what others hand over, or by default."""
        if not guard:
            return True
        given = {option: each.given for option, each in reversed(list(offers(self.roster, label, contract)))}
        return stands(contract, guard, {**given, **self.request.config.get(label, {})})

    def lacking(self, instance: Instance) -> Lacking | None:
        """Why this host cannot carry an instance, as it will be configured; `None` where it can."""
        contract = instance.contract
        return lacking(contract, self.host, lambda guard: self.stands(contract, guard, instance.label))

    def meet(self, need: Pending) -> None:
        """Take the best candidate for a need in; where there is none, the need waits for the end."""
        makers = self.makers(need) if need.metric else None
        contract = self.choose(need.need, lambda: self.place(need), makers)
        if contract is None:
            self._unmet.append(need)
            return
        label = contract.name if need.metric else need.name
        taken = self.roster.get(label)
        if taken is not None:
            if taken.contract is not contract:  # else it is there and does not give the metric now: the flow says why
                self.clash(taken, contract, label, self.place(need))
            return
        because = f"needed by `{need.label}` for `{need.name}`" if need.label else f"wanted for `{need.name}`"
        self.bring(label, contract, because, need)

    def bring(self, label: str, contract: Contract, because: str, need: Pending) -> None:
        """Take an instance in that something there needs, or the request wants."""
        brings = self.roster.get(need.label)
        span = self.place(need) if brings is None else brings.span
        self.add(
            Instance(
                label=label,
                contract=contract,
                span=span,
                because=because,
                by=need.label,
                need=need.name,
                generation=self.generation,
                word=need.word,
            )
        )

    def makers(self, need: Pending) -> list[Contract]:
        """The contracts that give a metric, without whoever reads it; those first that give it as they are."""
        reader = self.roster.get(need.label)
        found = [each for each in pool(self.catalogue, need.need) if reader is None or each is not reader.contract]
        now = [
            each
            for each in found
            if any(self.gives(each, table, each.name) for table in giving(each, need.name, literal=True))
        ]
        return now or found

    def place(self, need: Pending) -> Span:
        """Where a need stands: in a contract, or in the request."""
        instance = self.roster.get(need.label)
        if instance is None:
            return self.request.place("want", need.word)
        return instance.contract.source.key(*need.clause.split("."), need.word if need.metric else need.name)

    # ----------------------------------------------------------------------------------------------- at the fixed point

    def settle(self, mark: Mark | None = None) -> None:
        """Say which needs nothing meets, and who meets only its own; of what came since a moment, or of all."""
        for need in self._unmet[mark.unmet if mark else 0 :]:
            if not self.crowded and not self.met(need):
                self.unmet(need, self.place(need))
        for instance in self.roster.since(mark.instances if mark else 0):
            for name, wanted in sorted(instance.contract.needs.capabilities.items()):
                providers = self.roster.providers(name, wanted)
                if answers(instance.contract, name, wanted) and list(islice(providers, 2)) == [instance]:
                    span = instance.contract.source.key("needs", "capabilities", name)
                    facts = {"plugin": instance.contract.name, "need": name}
                    edit = cut(instance.contract, name, "needs", "capabilities", name)
                    diagnostic = Diagnostic(
                        code="W-SELF-NEED", facts=facts, spans=(span,), clause="needs.capabilities", edit=edit
                    )
                    self.say(diagnostic, "self", instance.contract.name, name)

    def unmet(self, need: Pending, place: Span) -> None:
        """E-NEED-UNMET: nothing meets what is needed at a place of the contract."""
        name, wanted = need.name, need.wanted
        if self.broken_off and not self.broken_off.isdisjoint(self.catalogue.saying(name)):
            return  # one of these may well be who meets it
        instance = self.roster.get(need.label)
        near = () if need.metric else self.catalogue.mentioning(name)
        providers = [contract for contract in near if answers(contract, name)]
        automatic = [contract for contract in providers if is_automatic(contract)]
        fits = [contract for contract in providers if answers(contract, name, wanted)]
        if need.metric:  # those that may be chosen were not found
            fits = [each for each in self.catalogue.mentioning(name) if any(giving(each, name, literal=True))]
            fits = [each for each in fits if instance is None or each is not instance.contract]
        named = ", ".join(with_options(contract, self.request) for contract in by_effort(fits, self.host))
        others = [
            language().phrase("text", "provides", plugin=contract.name, version=str(version_of(contract, name)))
            for contract in automatic
        ]
        notes = (*([self.roster.chain(need.label, name)] if instance else []), *self.broken(name))
        present = (each for each in self.roster.providers(name) if each is not instance)
        have = min(present, key=lambda each: each.label, default=None)  # however they were asked for
        variant = ("named-one" if len(fits) == 1 else "named") if named else "range" if others else ""
        if have is not None and variant:
            variant = "version" if named else "version-none"
        if need.metric and named:
            variant = "metric-named" if instance else "want-named"
        elif need.metric:
            variant = "metric" if instance else "want"
        facts = {
            "plugin": instance.contract.name if instance else "",
            "need": f"`{name}`" + (f" {wanted}" if wanted != "*" else ""),
            "mountpoint": self.request.mountpoint,
            "near": nearest(name, self.metrics() if need.metric else self.catalogue.names()),
            "others": ", ".join(others),
            "named": named,
            "wanted": wanted,
            "have": have.label if have else "",
            "version": str(version_of(have.contract, name)) if have else "",
        }
        spans = (instance.span, place) if instance else (place,)
        fault = Diagnostic(code="E-NEED-UNMET", facts=facts, spans=spans, clause=need.clause, notes=notes)
        edit = self.added(fits[0], need.label) if len(fits) == 1 and have is None else None
        self.say(evolve(fault, variant=variant, edit=edit), *("unmet", need.label, name))

    def added(self, contract: Contract, label: str) -> Edit | None:
        """Put the one plugin that meets a need into `plugins`, where it needs no options and can be there.

        Args: label, of the instance that needs it; before what has brought that it is put in.
        """
        able = is_listed(contract) and carries(self.host, contract) and not opponent(contract, self.roster)
        asked = [each.label for each in (*self.request.plugins, *self.request.optional)]
        free = contract.name not in asked and self.roster.get(contract.name) is None
        set_ = self.request.config.get(contract.name, {})
        lacks = any(option.default is ABSENT and name not in set_ for name, option in contract.config.items())
        if not able or not free or lacks:
            return None
        root = self.roster.root(label)
        return added(self.request, contract.name, root.label if root is not None else "")

    def metrics(self) -> tuple[str, ...]:
        """The names of metrics that plugins give."""
        if self._metrics is None:  # every contract is read for them; whoever asks, asks for each wrong name
            names = {name for contract in self.catalogue.contracts() for name in metrics_of(contract)}
            self._metrics = tuple(sorted(name for name in names if "${" not in name))
        return self._metrics

    def broken(self, name: str) -> tuple[str, ...]:
        """Why the contracts of a name cannot be had."""
        entries = self.catalogue.entries.get(name, ())
        notes: tuple[str, ...] = ()
        for entry in entries:
            faults = [each.message for each in entry.diagnostics if each.level == "error"]
            notes += tuple(language().phrase("note", "broken", path=entry.path, why=fault) for fault in faults[:1])
        if len(entries) > 1:
            notes += (language().phrase("note", "twice", paths=listed(entry.path for entry in entries)),)
        return notes


def _doubts(choice: Choice, need: Need, place: Callable[[], Span]) -> Iterable[Diagnostic]:
    """What a user should know about a plugin that chose itself."""
    chosen, speaks = choice.contract, language()
    if len(choice.ties) > 1:
        facts = {"providers": listed(choice.ties), "need": need.name, "chosen": chosen.name}
        yield Diagnostic(code="W-PROVIDER-TIE", facts=facts, spans=(place(),))
    if need.name != chosen.name and score(chosen) <= speaks.low:
        poor = sorted({word for word in chosen.status if speaks.score(word) < 0})
        facts = {"plugin": chosen.name, "need": need.name, "words": listed(poor)}
        yield Diagnostic(code="W-STATUS-LOW", facts=facts, spans=(place(),), clause="status")
    tables = list(giving(chosen, need.name, literal=True)) if need.metric else []
    if tables and all(table.quality and speaks.says("quality", table.quality, "warns") for table in tables):
        facts = {"plugin": chosen.name, "metric": need.name}
        clause = "provides.metrics.quality"
        yield Diagnostic(code="W-QUALITY-ESTIMATED", facts=facts, spans=(place(),), clause=clause)
