"""Two collections of contracts, an older and a newer one: which succeeds which, and whether each takes its step.

Plugins are the same where their names are; a single one on each side is, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.replacement import releases, rulebook
from meter.contracts.replacement.compatibility import Change, Comparison, compare

SHOWN = 6
"""So many changes are named as the reason of a step that is owed."""


class Successor(NamedTuple):
    """A plugin of the older collection, of the newer one, or of both."""

    old: Contract | None
    new: Contract | None
    comparison: Comparison | None

    @property
    def plugin(self) -> str:
        """Its name, the newer one where there are two."""
        contract = self.new or self.old
        assert contract is not None
        return contract.name

    @property
    def level(self) -> str:
        """The class of what has changed; a plugin that is gone is missed by whoever mounts it, a new one by nobody."""
        order = language().values("class")
        if self.comparison is not None:
            return self.comparison.level
        return order[-1] if self.new is None else order[1]

    def to_json(self) -> dict[str, Any]:
        """The form of `meter diff --format json`."""
        found = self.comparison
        return {
            "plugin": self.plugin,
            "old": None if self.old is None else self.old.version,
            "new": None if self.new is None else self.new.version,
            "class": self.level,
            "owed": None if found is None else found.owed,
            "taken": None if found is None else found.taken,
            "enough": self.new is not None and (found is None or found.settled),
            "version": None if found is None else releases.next_version(found.old.version, found.owed),
            "changes": [] if found is None else [_change(found, change) for change in found.changes],
        }


def _change(comparison: Comparison, change: Change) -> dict[str, Any]:
    old, new = ({"file": s.file, "line": s.line, "column": s.column} for s in comparison.places(change))
    return {
        "rule": change.rule.name,
        "class": change.level,
        "clause": change.clause,
        "text": change.text,
        "help": change.help,
        "old": old,
        "new": new,
    }


def succession(old: Sequence[Contract], new: Sequence[Contract]) -> list[Successor]:
    """Every plugin of two collections, by name."""
    if len(old) == len(new) == 1:
        return [Successor(old[0], new[0], compare(old[0], new[0]))]
    before: Mapping[str, Contract] = {contract.name: contract for contract in old}
    after: Mapping[str, Contract] = {contract.name: contract for contract in new}
    found = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        both = None if one is None or other is None else compare(one, other)
        found.append(Successor(one, other, both))
    return found


def worst(found: Sequence[Successor]) -> str:
    """The class of the whole."""
    return rulebook.worst(each.level for each in found)


def unsettled(found: Sequence[Successor]) -> Iterator[Diagnostic]:
    """E-VERSION-STEP for each plugin whose version does not say what has changed, or that is gone; W-STATE-LOST."""
    for each in found:
        comparison = each.comparison
        if comparison is None:
            if each.new is None and each.old is not None:
                facts = {"plugin": each.plugin, "old": each.old.version}
                spans = (each.old.source.value("name"),)
                yield Diagnostic(code="E-VERSION-STEP", variant="gone", facts=facts, spans=spans, clause="name")
            continue
        if not comparison.settled:
            yield _step(each.plugin, comparison)
        state = comparison.old.state
        if language().says("state", state, "forgets") and comparison.old.digest != comparison.new.digest:
            facts = {"instance": each.plugin, "what": language().phrase("text", "new-contract")}
            facts["state"] = language().words["state"][state]["description"]
            spans = (comparison.new.source.value("state"),)
            yield Diagnostic(code="W-STATE-LOST", facts=facts, spans=spans, clause="state")


def _step(plugin: str, comparison: Comparison) -> Diagnostic:
    """E-VERSION-STEP."""
    old, new = comparison.old, comparison.new
    back = language().values("step")[0]
    facts = {
        "plugin": plugin,
        "old": old.version,
        "new": new.version,
        "class": comparison.level,
        "owed": comparison.owed,
        "version": releases.next_version(old.version, comparison.owed),
    }
    variant = "back" if comparison.taken == back else "none" if comparison.taken == releases.unchanged() else ""
    reasons = [change for change in comparison.changes if rulebook.step_of(change.level) == comparison.owed]
    return Diagnostic(
        code="E-VERSION-STEP",
        variant=variant,
        facts=facts,
        spans=(new.source.value("version"), old.source.value("version")),
        notes=tuple(rule_note(comparison, change) for change in reasons[:SHOWN]),
        clause="version",
    )


def rule_note(comparison: Comparison, change: Change) -> str:
    """A change in one line: rule, class, text, both places."""
    old, new = (f"{span.file}:{span.line}" for span in comparison.places(change))
    facts = {"rule": change.rule.name, "class": change.level, "says": change.text, "old": old, "new": new}
    return language().phrase("note", "rule", **facts)
