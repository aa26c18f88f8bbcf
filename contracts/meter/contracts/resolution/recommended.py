"""Recommendations: what plugins work better with, added where it does no harm.

Each is a transaction: its candidate with all that this brings is put in, and taken out again where that would be an
error. What only a whole check can have against one is found by trials, which are apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from attrs import evolve

from meter.contracts.diagnostics import MANY, Diagnostic, nearest
from meter.contracts.instances import Instance, configure
from meter.contracts.model import Contract
from meter.contracts.resolution.closure import Closure, Pending
from meter.contracts.resolution.conflicts import conflicts
from meter.contracts.resolution.handed import handed
from meter.contracts.resolution.optional import LeftOut

Dropped = Mapping["Key", tuple[str, str]]
"""Recommendations that are known to do harm: which plugin that would be, and why."""


NONE: Final[Dropped] = MappingProxyType({})


class Key(NamedTuple):
    """What is recommended, by whomever."""

    name: str
    wanted: str


class Taken(NamedTuple):
    """A recommendation that was followed: what, and by which plugin."""

    key: Key
    plugin: str


class Recommended(NamedTuple):
    """What became of the recommendations: followed ones in the order in which they were, and those left out."""

    taken: tuple[Taken, ...]
    left_out: tuple[LeftOut, ...]
    considered: frozenset[str]
    labels: frozenset[str]


def recommend(
    closure: Closure, only: Collection[Key] | None, dropped: Dropped, without: Collection[str]
) -> Recommended:
    """Follow the recommendations of all that is there, and of what that brings.

    Only some are followed where `only` is not `None`, and the others passed over in silence; what is dropped is said.
    That plugins are not there `without` which the request does needs no second warning.
    """
    tried: set[Key] = set()
    followed = _Followed([], [], set(), set(), set())
    mark = 0
    while fresh := closure.roster.since(mark):
        mark = len(closure.roster)
        for pending in sorted(each for instance in fresh for each in _pending(closure, instance)):
            key = Key(pending.name, pending.wanted)
            if (
                key in tried
                or any(closure.roster.providers(*key))
                or (only is not None and key not in (*only, *dropped))
            ):
                continue
            tried.add(key)
            followed.labels.add(pending.name)
            if key in dropped:
                followed.leave(closure, pending, *dropped[key])
            else:
                _follow(closure, pending, without, followed)
    return Recommended(
        tuple(followed.taken), tuple(followed.left_out), frozenset(followed.considered), frozenset(followed.labels)
    )


def _pending(closure: Closure, instance: Instance) -> Iterator[Pending]:
    """The recommendations of an instance, as needs."""
    for word, (name, wanted) in enumerate(sorted(instance.contract.recommends.items())):
        abstract = name not in closure.catalogue.entries
        yield Pending(False, abstract, name, wanted, instance.label, word, "recommends")


class _Followed(NamedTuple):
    """What became of recommendations so far."""

    taken: list[Taken]
    left_out: list[LeftOut]
    considered: set[str]
    labels: set[str]
    missing: set[str]

    def leave(self, closure: Closure, pending: Pending, plugin: str, why: str) -> None:
        """Leave one out, and say why."""
        because = f"recommended by `{pending.label}` for `{pending.name}`"
        diagnostic = _said(closure, pending, "W-RECOMMEND-DROPPED", why=why)
        closure.say(diagnostic)
        self.left_out.append(LeftOut(pending.name, plugin, because, diagnostic))


def _follow(closure: Closure, pending: Pending, without: Collection[str], followed: _Followed) -> None:
    """One transaction."""
    mark = closure.mark()
    contract = closure.choose(pending.need, lambda: closure.place(pending))
    if contract is None:
        closure.cut(mark)
        if broken := closure.broken(pending.name):
            followed.leave(closure, pending, pending.name, broken[0])
        else:
            followed.missing.add(pending.name)
            near = nearest(pending.name, closure.catalogue.names()) if len(followed.missing) <= MANY else ""
            closure.say(_said(closure, pending, "W-RECOMMEND-MISSING", near=near))
        return
    faults = list(_tried(closure, pending, contract))
    new = closure.roster.since(mark.instances)
    followed.considered.update(instance.contract.name for instance in new)
    followed.labels.update(instance.label for instance in new)
    if not faults:
        followed.taken.append(Taken(Key(pending.name, pending.wanted), contract.name))
        return
    closure.cut(mark)
    if contract.name not in without:
        followed.leave(closure, pending, contract.name, first(faults).message)


def _tried(closure: Closure, pending: Pending, contract: Contract) -> Iterator[Diagnostic]:
    """Put a candidate in with all that it brings; the errors that this makes."""
    mark = closure.mark()
    taken = closure.roster.get(pending.name)
    if taken is not None:
        closure.clash(taken, contract, pending.name, closure.place(pending))
        yield from closure.errors(mark)
        return
    closure.generation += 1
    because = f"recommended by `{pending.label}` for `{pending.name}`"
    closure.bring(pending.name, contract, because, pending)
    closure.close(mark.instances)
    closure.settle(mark)
    new = closure.roster.since(mark.instances)
    for diagnostic in conflicts(closure.request, closure.roster, frozenset(instance.label for instance in new)):
        closure.say(diagnostic)
    yield from closure.errors(mark)
    for instance in new:
        if (lack := closure.lacking(instance)) is not None:
            facts = {"plugin": instance.contract.name, "why": lack.told.why, "help": lack.told.help}
            yield Diagnostic(code="E-HOST", facts=facts, spans=(instance.span,))
    reaching = any(instance.contract.config_for or instance.contract.alias for instance in new)
    configured = list(closure.roster) if reaching else new
    hands, faults = handed(closure.roster, configured)
    yield from faults
    for instance in configured:
        copy = evolve(instance, config={}, origins={}, emits=(), rules=())
        found = configure(copy, closure.request.config.get(copy.label, {}), hands.get(copy.label, {}))
        yield from (each for each in found if each.level == "error")


def _said(closure: Closure, pending: Pending, code: str, **facts: str) -> Diagnostic:
    """What is said of a recommendation that is not followed."""
    instance = closure.roster.get(pending.label)
    assert instance is not None
    need = f"`{pending.name}`" + (f" {pending.wanted}" if pending.wanted != "*" else "")
    facts = {"plugin": instance.contract.name, "need": need, **facts}
    spans = (instance.span, closure.place(pending))
    notes = (closure.roster.chain(instance.label),) if instance.by else ()
    return Diagnostic(code=code, facts=facts, spans=spans, clause=pending.clause, notes=notes)


def first(faults: Sequence[Diagnostic]) -> Diagnostic:
    """The fault that is told of several: not by its place, which depends on the order of the words."""
    return min(faults, key=lambda each: (each.code, each.message))
