"""Checking: one pure function from request, catalogue and host facts to a plan or diagnostics.

No clock, no files, no hash order: equal inputs give equal bytes. Each stage takes values and gives values; all errors
of a stage are said at once, and a stage begins only on what the one before found sound.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Final

from attrs import evolve, frozen

from meter.contracts import plan as plans
from meter.contracts.catalogue import Catalogue
from meter.contracts.collector import uncollected
from meter.contracts.configured import missing_instances
from meter.contracts.diagnostics import MANY, ContractError, Diagnostic, cut_short
from meter.contracts.doubt import Doubt, known_of
from meter.contracts.editing.trying import Sound, never
from meter.contracts.flow import flow
from meter.contracts.host import Host
from meter.contracts.instances import Instance, configure
from meter.contracts.order import order
from meter.contracts.plan import Plan
from meter.contracts.presence import Surroundings, degraded, presence
from meter.contracts.promises import promises
from meter.contracts.remote import received
from meter.contracts.request import Request
from meter.contracts.resolution.recommended import Dropped, Key
from meter.contracts.resolution.resolve import Resolution, Resolved
from meter.contracts.resolution.trials import soundest
from meter.contracts.resolution.wanted import wanted

TRIED: Final = 1_000
"""Words of requests that are checked to see whether a help may offer them; what would be more is not offered."""


@frozen(kw_only=True)
class Checked:
    """A plan, or none and at least one error; warnings in both cases; sorted by place."""

    plan: Plan | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> list[Diagnostic]:
        """The errors alone."""
        return [diagnostic for diagnostic in self.diagnostics if diagnostic.level == "error"]

    def require(self) -> Plan:
        """The plan.

        Raises: ContractError with every diagnostic where there is none.
        """
        if self.plan is None:
            raise ContractError(self.diagnostics)
        return self.plan


def _end(found: Sequence[Diagnostic], plan: Plan | None = None) -> Checked:
    once: list[Diagnostic] = []
    for diagnostic in sorted(found, key=Diagnostic.order):
        if diagnostic not in once[-1:]:  # two instances of one plugin have one contract
            once.append(diagnostic)
    errors = [diagnostic for diagnostic in once if diagnostic.level == "error"]
    if len(errors) > MANY:
        once = list(cut_short(errors, errors[MANY].spans[0].file))
    return Checked(plan=plan, diagnostics=tuple(once))


def _harms(diagnostic: Diagnostic) -> bool:
    """Whether it is an error, or says that the numbers depend on the order asked."""
    return diagnostic.level == "error" or diagnostic.code == "W-ORDER-ASKED"


def _failed(found: Sequence[Diagnostic]) -> bool:
    return any(diagnostic.level == "error" for diagnostic in found)


def check(request: Request, catalogue: Catalogue, host: Host) -> Checked:
    """Check a request: resolve, configure, order, flow, host.

    One of which not everything could be told has no plan, and no more is said than what is wrong all the same.
    """
    with uncollected():
        return _check(request, catalogue, host, _Tries(catalogue, host))


class _Tries:
    """Requests that a help could offer, each checked whole; not for ever."""

    def __init__(self, catalogue: Catalogue, host: Host) -> None:
        self._catalogue = catalogue
        self._host = host
        self._work = TRIED

    def sound(self, known: Collection[Diagnostic]) -> Sound:
        """Says whether a check has nothing against a request but what is known.

        Where an option is none nothing is offered: its value may be a secret, and would stand in what is told.
        """
        if any(each.code.startswith("E-CONFIG-") or any(span.hidden for span in each.spans) for each in known):
            return never

        def tried(request: Request) -> bool:
            self._work -= len(request.plugins) + len(request.optional)
            if self._work < 0:
                return False
            # It stands in no file: nothing in it is looked for there.
            found = _check(evolve(request, source=None), self._catalogue, self._host, None).diagnostics
            return not any(_harms(each) and each not in known for each in found)

        return tried


def _check(request: Request, catalogue: Catalogue, host: Host, tries: _Tries | None) -> Checked:
    resolution = Resolution(request, catalogue, host)
    resolved = resolution.base()
    if request.unread or not resolution.recommends or _failed(resolved.diagnostics):
        return _Stages(request, catalogue, host, resolved, tries=tries).end()
    whole = resolution.whole()
    less = evolve(resolved, labels=whole.labels) if whole.taken else whole
    base = _Stages(request, catalogue, host, less, tries=tries)
    if base.failed:  # of recommendations nothing is said then
        quiet = set(map(id, whole.diagnostics)) - set(map(id, resolved.diagnostics))
        return _end([each for each in base.found if id(each) not in quiet])
    if not whole.taken:
        return base.end()

    def attempt(only: Collection[Key] | None, dropped: Dropped) -> _Stages:
        everything = only is None and not dropped  # which is tried first, and not again
        return _Stages(request, catalogue, host, whole if everything else resolution.whole(only, dropped), base.found)

    return soundest(attempt).end()


class _Stages:
    """The stages behind resolution, each only on what the one before found sound.

    `harm` is what stands against it beside what is `known`: errors, and numbers that depend on the order asked.
    """

    def __init__(
        self,
        request: Request,
        catalogue: Catalogue,
        host: Host,
        resolved: Resolved,
        known: Sequence[Diagnostic] = (),
        tries: _Tries | None = None,
    ) -> None:
        there = {instance.label for instance in resolved.instances}
        self.request = evolve(request, order=_ordered(request, resolved.labels - there))
        self.catalogue = catalogue
        self.host = host
        self.resolved = resolved
        self._tries = tries
        self.found = known_of(request, resolved.diagnostics)
        self._plan = self._run()
        self.taken = resolved.taken
        self.size = len(there)
        self.harm = [each for each in self.found if _harms(each) and each not in known]

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return _failed(self.found)

    def end(self) -> Checked:
        """The plan, where nothing is wrong, and everything that was said."""
        return _end(self.found, None if self._plan is None else self._plan())

    def _run(self) -> Callable[[], Plan] | None:
        """All stages; what makes the plan, where there is one."""
        request, resolved, found = self.request, self.resolved, self.found
        doubt, sound = self._configured()
        if doubt.chain:
            around = self._around()
            found += (each for instance in sound for each in presence(instance, around))
            return None
        request = evolve(request, order=_ordered(request, doubt.left))
        ordered = order([each for each in resolved.instances if each.label not in doubt.left], request, self._sound())
        found += ordered.diagnostics
        if _failed(ordered.diagnostics):
            return None
        by_label = {instance.label: instance for instance in resolved.instances}
        chain = [by_label[label] for label in ordered.order]
        flowed = flow(chain, self.catalogue, request, self.host, self._sound())
        found += (each for each in flowed.diagnostics if doubt.ends or each.code != "E-FLOW-UNREAD")
        around = self._around()
        for instance in chain:
            if instance in sound:
                found += presence(instance, around)
        if len(sound) == len(resolved.instances):
            found += promises(chain, request, self.catalogue, self._sound())
        if not self.failed:
            found += wanted(request, chain, flowed)
        if self.failed or request.unread:
            return None
        return lambda: plans.make(request.mountpoint, chain, ordered.edges, flowed, resolved)

    def _sound(self) -> Sound:
        """Says of a request whether a check has nothing against it but what is known until now."""
        return never if self._tries is None else self._tries.sound(tuple(self.found))

    def _around(self) -> Surroundings:
        """Where each instance is."""
        return Surroundings(self.request, self.catalogue, self.host, self.resolved.instances, self._sound())

    def _configured(self) -> tuple[Doubt, Collection[Instance]]:
        """Configure all instances: what is not known then, and the instances with which nothing is wrong."""
        request, resolved, host, found = self.request, self.resolved, self.host, self.found
        doubt = Doubt(request, resolved.instances, resolved.labels, found)
        found += doubt.strangers
        around = self._around()
        errors = 0
        sound: dict[Instance, None] = {}
        for instance in resolved.instances:
            if errors > MANY:  # no other one is told
                break
            given, hands = request.config.get(instance.label, {}), resolved.hands.get(instance.label, {})
            wrong = configure(instance, given, hands)
            wrong += received(instance, request, host)
            wrong += degraded(instance, around)
            told = doubt.causes(instance, wrong)
            errors += sum(each.level == "error" for each in told)
            found += told
            if not _failed(wrong):
                sound[instance] = None
        if not self.failed:
            found += islice(missing_instances(resolved.instances, request), MANY + 1)
        return doubt, sound


def _ordered(request: Request, without: AbstractSet[str]) -> tuple[tuple[str, ...], ...]:
    """The order that a request asks for, without what is optional and left out."""
    return tuple(tuple(label for label in chain if label not in without) for chain in request.order)
