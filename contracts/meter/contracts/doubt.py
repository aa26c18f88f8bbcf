"""Doubt: what nobody knows of a backend because of what is wrong with it.

What only follows from what was said is not said besides, and a stage whose input is not known is left out. All else is
said: two faults that have nothing to do with each other are told together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from meter.contracts.configured import RECOVERED
from meter.contracts.constraints import parse_constraint
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.instances import Instance, flowing, harmless, strangers
from meter.contracts.language import language
from meter.contracts.references import is_secret
from meter.contracts.request import Request

_NAMING: Final = frozenset({"plugins", "optional", "want", "prefer", "recommends"})
"""Words of a request without which nobody knows all instances."""
_LATE: Final = frozenset({"mountpoint", "durability", "order"})
"""Words that say nothing of what is in the chain, and of what flows through it."""


def known_of(request: Request, found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """What resolution has found, without what is missing and may be what could not be told of a request."""
    words = _words(request)
    unsure = {"E-ROLE-COUNT"} if words & _NAMING else set()
    if words - _LATE:
        unsure.add("E-NEED-UNMET")
    return [each for each in found if each.code not in unsure]


def _words(request: Request) -> set[str]:
    """The words of a request of which something could not be told."""
    return {str(path[0]) for path in request.unread}


class Doubt:
    """What is not known of a backend, by its request and by what resolution has said.

    Args: `labels` are all that were there at some time; `found` is what was said.
    """

    def __init__(
        self, request: Request, instances: Sequence[Instance], labels: Collection[str], found: Sequence[Diagnostic]
    ) -> None:
        self._request = request
        self._by_label = {instance.label: instance for instance in instances}
        failed = any(each.level == "error" for each in found)
        unknown = request.config.keys() - self._by_label.keys() - set(labels)
        secret = bool(unknown) and any(is_secret(o.type) for i in instances for o in i.contract.config.values())
        strange = strangers(request, set(self._by_label), labels, hidden=secret)
        whole = not failed and not _words(request) & {*_NAMING, "config"}
        self.strangers = strange if whole else [each for each in strange if self._sure(each)]
        """E-CONFIG-CLASH for tables of the configuration that are of no instance."""
        self.left: set[str] = set()
        """Outputs of which nobody knows what they take; what flows up to them does not depend on it."""
        self.ends = True
        """Whether it is known what each output takes, and so what reaches none of them."""
        known = [self._is_late(*path) for path in request.unread]
        known += [self._beside_flow(each) for each in strange]
        self.chain = failed or not all(known)
        """Whether anything is unknown that decides about the order of instances and what flows through them."""
        self._misspelt = {each.edit.facts["new"] for each in strange if each.edit}
        self._elsewhere = {option for each in strange for option in request.config[each.facts["label"]]}
        self._nobody = {each.facts["role"] for each in found if each.code == "E-ROLE-COUNT"}

    def _sure(self, stranger: Diagnostic) -> bool:
        """Whether a table is of no instance although these are not all known: it can only be meant for one of them."""
        label = stranger.facts["label"]
        asked = {each.label for each in (*self._request.plugins, *self._request.optional)}
        broken = [str(path[1]) for path in self._request.unread if path[0] in _NAMING and len(path) > 1]
        return stranger.edit is not None and label not in asked and not any(label in text for text in broken)

    def _is_late(self, word: str | int, label: str | int = "", *_: str | int) -> bool:
        """Whether what could not be told of a request says nothing of what flows up to the outputs."""
        instance = self._by_label.get(str(label)) if word == "config" else None
        return word in _LATE or (instance is not None and self._is_end(instance))

    def _is_end(self, instance: Instance) -> bool:
        """Whether an instance of which not all is known is an output; it is noted then."""
        if instance.contract.role in ("source", "filter"):
            return False
        self.left.add(instance.label)
        self.ends = False
        return True

    def _beside_flow(self, stranger: Diagnostic) -> bool:
        """Whether a table that is meant for an instance sets nothing there that decides about what flows."""
        meant = self._by_label.get(stranger.edit.facts["new"]) if stranger.edit is not None else None
        options = self._request.config[stranger.facts["label"]]
        if meant is None:
            return False
        return options.keys() <= meant.contract.config.keys() - flowing(meant.contract) or self._is_end(meant)

    def causes(self, instance: Instance, wrong: Sequence[Diagnostic]) -> list[Diagnostic]:
        """What is wrong with an instance's configuration, without what follows; noted is whether flow is in doubt."""
        known = all(each.level == "warning" or harmless(each, instance.contract) for each in wrong)
        self.chain |= not known and not self._is_end(instance)
        return [each for each in wrong if not self._follows(each, instance)]

    def _follows(self, each: Diagnostic, instance: Instance) -> bool:
        """Whether an option is not set, or has its default that does not fit, because of something else.

        An instance that was called otherwise has none of its options. What an instance without a table lacks may well
        stand in one of which there is no instance. What recovers has nothing to name where there is nothing to recover.
        """
        if each.code == "E-CONFIG-MISSING":
            names = {each.facts["option"]}
        elif each.code == "E-CONSTRAINT":
            names = set(parse_constraint(each.facts["constraint"]).names)
        else:
            return False
        recovers = language().words["placement"][instance.contract.placement].get("recovers")
        return (
            not self._request.unread.isdisjoint({("config",), ("config", instance.label)})
            or instance.label in self._misspelt
            or (instance.label not in self._request.config and not names.isdisjoint(self._elsewhere))
            or (names == {RECOVERED} and recovers in self._nobody)
        )
