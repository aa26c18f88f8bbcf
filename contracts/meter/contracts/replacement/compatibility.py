"""May a new version of a contract replace the old one? Every change by its rule, and what follows from all of them.

The relation of design 4.5: anywhere, here, with other numbers, or not at all. CONTRACT.ini decides clause by clause
(`variance`, `lattice`, the sections [rule ...]); this module walks two contracts side by side and asks what is known of
a mount. Pure: neither files nor clock, and it never checks the mount itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from meter.contracts import options
from meter.contracts.language import ABSENT, Clause, language
from meter.contracts.model import Contract, Option
from meter.contracts.replacement import lattices, pairing, releases, rulebook
from meter.contracts.replacement.facts import Case, MountFacts, harmless
from meter.contracts.replacement.lattices import Outcome, Path, written
from meter.contracts.replacement.rulebook import DiffRule
from meter.contracts.replacement.views import Known, Table, View, canonical, new_options, view
from meter.contracts.spans import Span

_APART: Final = ("apart", "kinds")
"""Lattices of clauses that are no change of their own; kinds come with a pair of tables."""


@frozen(kw_only=True)
class Change:
    """One difference: the rule that it falls under, its class, where it stands in the old and in the new contract."""

    rule: DiffRule
    level: str
    clause: str
    old_at: Path
    new_at: Path
    outcome: Outcome = field(repr=False)
    facts: Mapping[str, str] = field(factory=dict, eq=lambda facts: sorted(facts.items()))

    @property
    def text(self) -> str:
        """What has changed, in words."""
        return self.rule.text(self.facts)

    @property
    def help(self) -> str:
        """What follows from it, or what avoids it."""
        return self.rule.help(self.facts)


@frozen(kw_only=True)
class Comparison:
    """All changes from one contract to another, the worst first; no change of the version is among them."""

    old: Contract
    new: Contract
    changes: tuple[Change, ...]

    @property
    def level(self) -> str:
        """The class of the whole: that of the worst change."""
        return rulebook.worst(change.level for change in self.changes)

    @property
    def owed(self) -> str:
        """The version step that a release with these changes owes at least."""
        return rulebook.step_of(self.level) if self.changes else releases.unchanged()

    @property
    def taken(self) -> str:
        """The version step that was taken."""
        return releases.step(self.old.version, self.new.version)

    @property
    def settled(self) -> bool:
        """Whether the step that was taken is enough."""
        return releases.enough(self.old.version, self.new.version, self.owed)

    def places(self, change: Change) -> tuple[Span, Span]:
        """Where a change stands in the old and in the new text; what is not there, where it would have stood."""
        return self.old.source.value(*change.old_at), self.new.source.value(*change.new_at)


def compare(old: Contract, new: Contract, mount: MountFacts | None = None) -> Comparison:
    """Compare two versions of a contract, for any mount, or for one of which something is known."""
    fresh = Known.of(new, {}, new_options(new, old))
    nothing = Known({}, {})
    changes = list(_Walk(old, new, nothing, fresh).run())
    if mount is not None:
        unseen = {(change.rule.name, change.old_at, change.new_at) for change in changes}
        if mount.config is not None:
            decided = (Known.of(contract, mount.config) for contract in (old, new))
            unseen -= {(each.rule.name, each.old_at, each.new_at) for each in _Walk(old, new, *decided).run()}
        else:
            unseen.clear()
        changes = [_here(change, old, new, mount, unseen) for change in changes]
    order = language().values("class")
    changes.sort(key=lambda each: (-order.index(each.level), each.rule.name, str(each.new_at), str(each.old_at)))
    return Comparison(old=old, new=new, changes=tuple(changes))


def _here(
    change: Change, old: Contract, new: Contract, mount: MountFacts, unseen: set[tuple[str, Path, Path]]
) -> Change:
    """A change with the class that it has in one mount: what the mount does not see is only to be checked again."""
    here = releases.checked()
    if rulebook.worst((change.level, here)) == here:
        return change
    key = (change.rule.name, change.old_at, change.new_at)
    if key in unseen or harmless(change.rule.here, Case(change.outcome, change.new_at, old, new, mount)):
        return evolve(change, level=here)
    return change


class _Walk:
    """One walk along the clauses, on what some configurations see of both contracts."""

    def __init__(self, old: Contract, new: Contract, before: Known, after: Known) -> None:
        self.old, self.new = old, new
        self.was: View = view(old, before, old.config)
        self.now: View = view(new, after, old.config)

    def run(self) -> Iterator[Change]:
        """Every change, once."""
        seen: list[Change] = []
        for change in self.table((), self.was.body, self.now.body, (), (), ""):
            if change not in seen:
                seen.append(change)
                yield change

    def table(
        self, path: tuple[str, ...], old: Mapping[str, Any], new: Mapping[str, Any], at: Path, there: Path, of: str
    ) -> Iterator[Change]:
        """The changes of one table, clause by clause."""
        for clause in language().children(path):
            name = clause.path[-1]
            if clause.lattice in _APART:
                continue
            was, now = old.get(name, ABSENT), new.get(name, ABSENT)
            if clause.lattice in _WHOLE:
                yield from _WHOLE[clause.lattice](self, clause, was, now, (*at, name), (*there, name), of)
            elif clause.type == "table":
                was, now = (each if isinstance(each, Mapping) else {} for each in (was, now))
                yield from self.table(clause.path, was, now, (*at, name), (*there, name), of)
            else:
                found = lattices.COMPARE[clause.lattice](clause, was, now)
                yield from self.said(clause, found, (*at, name), (*there, name), of)

    def said(self, clause: Clause, found: Iterator[Outcome], at: Path, there: Path, of: str) -> Iterator[Change]:
        """Outcomes as changes."""
        for outcome in found:
            facts = {
                "of": of,
                "clause": clause.path[-1],
                "name": f"`{outcome.name}`" if outcome.name else language().phrase("text", "anything-else"),
                "old": written(outcome.old),
                "new": written(outcome.new),
            }
            yield Change(
                rule=rulebook.rule_of(clause, outcome.change),
                level=rulebook.level_of(clause, outcome.change),
                clause=clause.name,
                old_at=(*at, *outcome.old_at),
                new_at=(*there, *outcome.new_at),
                outcome=outcome,
                facts=facts,
            )

    # ------------------------------------------------------------------------------------------ clauses with a whole

    def optional(self, clause: Clause, old: Any, new: Any, at: Path, there: Path, of: str) -> Iterator[Change]:
        """A table that may be missing."""
        missing = [each is ABSENT or each is None for each in (old, new)]
        if missing == [False, False]:
            yield from self.table(clause.path, old, new, at, there, of)
        elif missing != [True, True]:
            was, now = (ABSENT if lacks else each.get("name") for each, lacks in zip((old, new), missing, strict=True))
            outcome = Outcome("added" if missing[0] else "removed", was, now)
            yield from self.said(clause, iter((outcome,)), at, there, of)

    def metrics(self, clause: Clause, old: Any, new: Any, at: Path, there: Path, of: str) -> Iterator[Change]:
        """The metrics of a source."""
        del old, new, of
        found = pairing.metrics(self.was.metrics, self.now.metrics)
        for pair in found.pairs:
            places = (*at, pair.old.place), (*there, pair.new.place)
            of = _metric(pair.new)
            was, now = ({**table.body, "when": table.guard} for table in (pair.old, pair.new))
            yield from self.table(clause.path, was, now, *places, of)
            for name, outcome in pair.kinds:
                inner = language().clauses[*clause.path, name]
                yield from self.said(inner, iter((outcome,)), (*places[0], name), (*places[1], name), of)
        yield from self.whole_tables(clause, found, at, there, _metric)

    def rules(self, clause: Clause, old: Any, new: Any, at: Path, there: Path, of: str) -> Iterator[Change]:
        """The rules of a filter or an output."""
        del old, new, of
        found = pairing.rules(self.was.rules, self.now.rules)
        when = language().clauses[*clause.path, "when"]
        for pair in found.pairs:
            places = (*at, pair.old.place), (*there, pair.new.place)
            of = _rule(pair.new)
            yield from self.table(
                clause.path, {**pair.old.body, "when": {}}, {**pair.new.body, "when": {}}, *places, of
            )
            for outcome in lattices.COMPARE[when.lattice](when, pair.old.guard, pair.new.guard):
                if outcome.change == "widened" and pairing.before(pair.new, found.pairs):
                    yield from self.said(clause, iter((Outcome("inserted"),)), *places, of)
                else:
                    where = (*places[0], "when"), (*places[1], "when")
                    yield from self.said(when, iter((outcome,)), *where, of)
        for one, other in pairing.reordered(found.pairs):
            outcome = Outcome("reordered", one.old.body["metric"], _rule(other.new))
            changed = self.said(clause, iter((outcome,)), (*at, one.old.place), (*there, one.new.place), _rule(one.new))
            yield from (evolve(each, facts={**each.facts, "new": _rule(other.new)}) for each in changed)
        stealing = tuple(table for table in found.come if pairing.before(table, found.pairs))
        rest = found._replace(come=tuple(table for table in found.come if table not in stealing))
        yield from self.whole_tables(clause, rest, at, there, _rule)
        for table in stealing:
            yield from self.said(clause, iter((Outcome("inserted"),)), at, (*there, table.place), _rule(table))

    def whole_tables(self, clause: Clause, found: pairing.Pairing, at: Path, there: Path, of: Any) -> Iterator[Change]:
        """Tables that are gone, and new ones."""
        for table in found.gone:
            yield from self.said(clause, iter((Outcome("removed"),)), (*at, table.place), there, of(table))
        for table in found.come:
            yield from self.said(clause, iter((Outcome("added"),)), at, (*there, table.place), of(table))

    def host(self, clause: Clause, old: Any, new: Any, at: Path, there: Path, of: str) -> Iterator[Change]:
        """What is needed of the host; names of alternatives, and what may mend them, are only for people."""
        found = list(pairing.alternatives(self.was, self.now))
        yield from self.said(clause, iter(found), at, there, of)
        for key in pairing.FOR_PEOPLE:
            was, now = ([table[key] for table in tables] for tables in (old, new))
            if not found and was != now:
                told = language().clauses[*clause.path, key]
                yield from self.said(told, iter((Outcome("changed", was, now),)), at, there, of)

    def options(self, clause: Clause, old: Any, new: Any, at: Path, there: Path, of: str) -> Iterator[Change]:
        """The options."""
        del old, new, of
        before, after = self.old.config, self.new.config
        for name in sorted(before.keys() | after.keys()):
            where = (*at, name), (*there, name)
            if name not in after:
                yield from self.said(clause, iter((Outcome("removed", name=name),)), where[0], there, "")
            elif name not in before:
                default = after[name].default
                outcome = Outcome("demanded" if default is ABSENT else "added", new=default, name=name)
                yield from self.said(clause, iter((outcome,)), at, where[1], "")
            else:
                yield from self.option(clause, name, before[name], after[name], where)

    def option(self, clause: Clause, name: str, old: Option, new: Option, where: tuple[Path, Path]) -> Iterator[Change]:
        """One option that both contracts have. Where its type is another one, its other clauses say nothing more."""
        of = f"`{name}`"
        clauses = {each.path[-1]: each for each in language().children((*clause.path, "*"))}
        bare = evolve(options.item_of(new), min=ABSENT, max=ABSENT)
        alike = new.type == old.type or _takes_all(old.type, new.type)
        for key, each in clauses.items():
            was, now = (value if (value := getattr(o, key)) is not None else ABSENT for o in (old, new))
            if each.lattice == "option-type":
                change = "widened" if alike else "changed"
                found: Iterator[Outcome] = iter((Outcome(change, was, now),) if was != now else ())
            elif was != now and not self.comparable(each, old, new, alike=alike):
                continue
            elif each.lattice == "default":
                found = _default(was, now, old, new)
            elif each.lattice in ("at-least", "at-most"):
                bounds = (ABSENT if v is ABSENT else canonical(bare, v) for v in (was, now))
                found = (o._replace(old=was, new=now) for o in lattices.COMPARE[each.lattice](each, *bounds))
            else:
                found = lattices.COMPARE[each.lattice](each, was, now)
            yield from self.said(each, found, (*where[0], key), (*where[1], key), of)

    @staticmethod
    def comparable(clause: Clause, old: Option, new: Option, *, alike: bool) -> bool:
        """Whether a clause of an option can say more than its type: words of an enum are none of a text."""
        return rulebook.is_ignored(clause) or (alike and (clause.lattice != "accepted" or old.type == new.type))


def _default(was: Any, now: Any, old: Option, new: Option) -> Iterator[Outcome]:
    """How two defaults differ, as their options understand them."""
    if (was is ABSENT) != (now is ABSENT):
        yield Outcome("added" if was is ABSENT else "removed", was, now)
    elif was is not ABSENT and canonical(old, was) != canonical(new, now):
        yield Outcome("changed", was, now)


def _takes_all(old: str, new: str) -> bool:
    """Whether one type takes all that another one takes, with the same meaning."""
    (container, item), (other, wider) = options.parse_type(old), options.parse_type(new)
    return (
        container == other and wider in language().words["option"][item.partition("(")[0]].get("taken-by", "").split()
    )


def _metric(table: Table) -> str:
    return f"`{table.body.get('name') or table.body.get('schema')}`"


def _rule(table: Table) -> str:
    return language().phrase("text", "rule-of", name=" ".join(table.body["metric"]))


_WHOLE: Final = {
    "table": _Walk.optional,
    "shapes": _Walk.metrics,
    "rules": _Walk.rules,
    "alternatives": _Walk.host,
    "options": _Walk.options,
}
"""By lattice, those that need more than two values."""
