"""Resolution: which instances a backend consists of, and why."""

from __future__ import annotations

from collections.abc import Collection

from attrs import evolve, frozen

from meter.contracts.catalogue import Catalogue, is_automatic
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.offers import needed
from meter.contracts.editing.writing import toml
from meter.contracts.host import Host
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.options import example, example_word
from meter.contracts.request import Request
from meter.contracts.resolution.asked import ask
from meter.contracts.resolution.candidates import Rejected
from meter.contracts.resolution.closure import Closure, Pending
from meter.contracts.resolution.conflicts import conflicts
from meter.contracts.resolution.handed import Hands, handed
from meter.contracts.resolution.optional import LeftOut, left_out
from meter.contracts.resolution.recommended import NONE, Dropped, Key, Recommended, Taken, recommend


@frozen(kw_only=True)
class Resolved:
    """Instances by rank of asking, what contracts hand to them, what is not there, diagnostics.

    `taken` are recommendations that were followed. `considered` are the plugins, and `labels` the instances, that were
    there at some time while it was found out.
    """

    instances: tuple[Instance, ...]
    hands: Hands
    rejected: tuple[Rejected, ...]
    left_out: tuple[LeftOut, ...]
    taken: tuple[Taken, ...]
    considered: frozenset[str]
    labels: frozenset[str]
    diagnostics: tuple[Diagnostic, ...]


class Resolution:
    """What a request asks for and all that this needs, found once; then with recommendations, as often as is tried."""

    def __init__(self, request: Request, catalogue: Catalogue, host: Host) -> None:
        self.considered: set[str] = set()
        self.labels: set[str] = set()
        out: dict[str, LeftOut] = {}
        while True:
            closure = _closed(request, catalogue, host, out)
            self._remember(closure)
            if not (lost := left_out(closure)):
                break
            out |= lost
        for each in out.values():
            closure.say(each.diagnostic)
        for diagnostic in conflicts(closure.request, closure.roster):
            closure.say(diagnostic)
        _roles(closure)
        for diagnostic in handed(closure.roster, closure.roster)[1]:
            closure.say(diagnostic)
        self._closure = closure
        self._out = tuple(out[label] for label in sorted(out))

    @property
    def recommends(self) -> bool:
        """Whether anything is recommended by what is there."""
        return self._closure.request.recommends and bool(self._closure.roster.stating("recommends"))

    def base(self) -> Resolved:
        """What is asked for and needed, and nothing else."""
        return self._resolved(Recommended((), (), frozenset(), frozenset()))

    def whole(self, only: Collection[Key] | None = None, dropped: Dropped = NONE) -> Resolved:
        """The same with what is recommended, as far as resolution has nothing against it.

        Args: `only` these are followed, all where it is `None`; `dropped` are known to do harm, with plugin and reason.
        """
        mark = self._closure.mark()
        try:
            without = {each.plugin for each in self._out}
            return self._resolved(recommend(self._closure, only, dropped, without))
        finally:
            self._closure.cut(mark)

    def _remember(self, closure: Closure) -> None:
        self.considered |= {instance.contract.name for instance in closure.roster}
        self.labels |= {instance.label for instance in closure.roster}

    def _resolved(self, followed: Recommended) -> Resolved:
        closure = self._closure
        self._remember(closure)
        self.considered |= followed.considered
        self.labels |= followed.labels
        # Copies, as the stages write down in them what they find, and there may be another try.
        instances = [evolve(instance, config={}, origins={}) for instance in closure.roster]
        return Resolved(
            instances=tuple(sorted(instances, key=lambda instance: instance.rank)),
            hands=handed(closure.roster, closure.roster)[0],
            rejected=tuple(sorted(set(closure.rejected))),
            left_out=(*self._out, *followed.left_out),
            taken=followed.taken,
            considered=frozenset(self.considered),
            labels=frozenset(self.labels),
            diagnostics=closure.found,
        )


def _closed(request: Request, catalogue: Catalogue, host: Host, without: Collection[str]) -> Closure:
    """What a request asks for and wants, closed over needs."""
    closure = Closure(request, catalogue, host)
    ask(closure, without)
    wants = dict.fromkeys(request.want)
    closure.close(wants=[Pending(True, True, name, "*", "", request.want.index(name), "want") for name in wants])
    closure.settle()
    return closure


def _told(contract: Contract, *, words: bool) -> str:
    """A plugin with the options that it has to be given. Args: words, as a command has them."""
    options = needed(contract)
    if words:
        given = [example_word(option, name, contract.name) for name, option in options.items()]
        return f"`{' '.join([contract.name, *given])}`"
    examples = {name: toml(example(option, contract.name)) for name, option in options.items()}
    pairs = [f"`config.{contract.name}.{name} = {value}`" for name, value in examples.items()]
    if not pairs:
        return f"`{contract.name}`"
    return language().phrase("text", "plugin-with", plugin=contract.name, options=" and ".join(pairs))


def _roles(closure: Closure) -> None:
    """E-ROLE-COUNT, unless a word that could not be resolved might have been it."""
    if closure.errors():
        return
    for placement, says in language().words["placement"].items():
        count = sum(instance.contract.placement == placement for instance in closure.roster)
        if count >= int(says.get("minimum", 0)):
            continue
        examples = [
            contract
            for contract in closure.catalogue.contracts()
            if contract.placement == placement and is_automatic(contract)
        ]
        facts = {
            "mountpoint": closure.request.mountpoint,
            "role": placement,
            "examples": ", ".join(_told(each, words=closure.request.document is None) for each in examples[:3]),
        }
        spans = (closure.request.span,)
        variant = "" if examples else "none"
        closure.say(Diagnostic(code="E-ROLE-COUNT", facts=facts, spans=spans, clause="placement", variant=variant))
