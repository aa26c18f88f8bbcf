"""Which table of a new contract takes the place of which table of the old one.

Tables have no names: a metric is known by its name, kinds of resource and consumer, and attributes; a rule by what it
selects and when. Where that does not decide, the most alike are paired, so that a change is said where it was made. The
order of metric tables means nothing; that of rules does where two of them can select the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from meter.contracts import selectors, sysctl
from meter.contracts.digests import canonical_bytes
from meter.contracts.language import ABSENT
from meter.contracts.replacement.lattices import Outcome, implies
from meter.contracts.replacement.views import Body, Guard, Table, View

_KINDS: Final = ("resource", "consumer")
_DEMANDED: Final = ("readable", "capability", "library", "event")
"""Lists of what a table of `needs.host` demands, beside settings of the kernel."""
FOR_PEOPLE: Final = ("name", "mend")
"""What such a table says to people and demands of nobody."""


class Pair(NamedTuple):
    """Two tables of which the new one stands for the old one; outcomes of comparing their kinds, by clause."""

    old: Table
    new: Table
    kinds: tuple[tuple[str, Outcome], ...] = ()


class Pairing(NamedTuple):
    """Tables that stand for each other, those that are gone, those that are new."""

    pairs: tuple[Pair, ...]
    gone: tuple[Table, ...]
    come: tuple[Table, ...]


# ---------------------------------------------------------------------------------------------------------- metrics


class _Atom(NamedTuple):
    """A table of metrics for one kind of resource and one of consumer."""

    table: Table
    resource: str
    consumer: str


def metrics(old: Sequence[Table], new: Sequence[Table]) -> Pairing:
    """Pair tables of metrics: series by series first, then what is left by what is most alike."""
    before, after = (sorted(_atoms(tables), key=_atom_order) for tables in (old, new))
    matched = _match(before, after, _atom_key, _alikeness)
    by_pair: dict[tuple[int, int], list[tuple[_Atom, _Atom]]] = {}
    for one, other in matched:
        by_pair.setdefault((_id(old, one.table), _id(new, other.table)), []).append((one, other))
    left = [atom for atom in before if all(atom is not one for one, _ in matched)]
    fresh = [atom for atom in after if all(atom is not other for _, other in matched)]
    known_old, known_new = {i for i, _ in by_pair}, {j for _, j in by_pair}
    lonely = [table for i, table in enumerate(old) if i not in known_old]
    others = [table for j, table in enumerate(new) if j not in known_new]
    pairs = [Pair(old[i], new[j]) for i, j in sorted(by_pair)]
    for key in _LOOSER:
        found = _match(sorted(lonely, key=_order), sorted(others, key=_order), key, _table_alikeness)
        pairs += [Pair(one, other, tuple(_kinds(one, other))) for one, other in found]
        lonely = [table for table in lonely if all(table is not one for one, _ in found)]
        others = [table for table in others if all(table is not other for _, other in found)]
    said: dict[int, list[tuple[str, Outcome]]] = {}
    gone, come = list(lonely), list(others)
    for atoms, side, whole in ((left, old, gone), (fresh, new, come)):
        for atom in atoms:
            index = _id(side, atom.table)
            place = next((n for n, key in enumerate(sorted(by_pair)) if key[0 if side is old else 1] == index), None)
            if place is None:
                continue  # a table of its own, paired as a whole or gone
            clause = _which(atom, by_pair[sorted(by_pair)[place]], first=side is old)
            if clause is None:
                whole.append(_only(atom))
                continue
            value = getattr(atom, clause)
            change = "narrowed" if side is old else "widened"
            was, now = pairs[place].old.body.get(clause, ABSENT), pairs[place].new.body.get(clause, ABSENT)
            outcome = Outcome(change, was, now, value)
            if (clause, outcome) not in said.setdefault(place, []):
                said[place].append((clause, outcome))
    whole_pairs = [pair._replace(kinds=(*pair.kinds, *said.get(n, ()))) for n, pair in enumerate(pairs)]
    return Pairing(tuple(whole_pairs), tuple(_once(gone)), tuple(_once(come)))


def _atoms(tables: Sequence[Table]) -> Iterator[_Atom]:
    for table in tables:
        for resource in dict.fromkeys(table.body.get("resource", ("",))):
            for consumer in dict.fromkeys(table.body.get("consumer", ("",))):
                yield _Atom(table, resource, consumer)


def _only(atom: _Atom) -> Table:
    return atom.table._replace(body={**atom.table.body, "resource": [atom.resource], "consumer": [atom.consumer]})


def _once(tables: Sequence[Table]) -> Iterator[Table]:
    seen: list[Table] = []
    for table in tables:
        if table not in seen:
            seen.append(table)
            yield table


def _id(tables: Sequence[Table], table: Table) -> int:
    return next(place for place, each in enumerate(tables) if each is table)


def _which(atom: _Atom, matched: Sequence[tuple[_Atom, _Atom]], *, first: bool) -> str | None:
    """Which kind of an atom its table's partner lacks; None where only the two together are not there."""
    mine = [one if first else other for one, other in matched]
    return next((clause for clause in _KINDS if all(getattr(atom, clause) != getattr(m, clause) for m in mine)), None)


def _kinds(one: Table, other: Table) -> Iterator[tuple[str, Outcome]]:
    """How the kinds of two tables differ that have no series in common."""
    for clause in _KINDS:
        was, now = one.body.get(clause, []), other.body.get(clause, [])
        if set(was) == set(now):
            continue
        if set(was) < set(now):
            yield from ((clause, Outcome("widened", was, now, word)) for word in now if word not in was)
        elif set(now) < set(was):
            yield from ((clause, Outcome("narrowed", was, now, word)) for word in was if word not in now)
        else:
            yield clause, Outcome("changed", was, now)


def _names(table: Table) -> tuple[str, ...]:
    return tuple(sorted(table.body.get("attributes", ())))


def _atom_key(atom: _Atom) -> Hashable:
    body = atom.table.body
    return (body.get("schema"), body.get("name"), atom.resource, atom.consumer, _names(atom.table))


def _shape(table: Table) -> tuple[Any, ...]:
    return tuple(frozenset(table.body.get(clause, ())) for clause in _KINDS)


_LOOSER: Final[tuple[Callable[[Table], Hashable], ...]] = (
    lambda table: (table.body.get("name"), _names(table)),
    lambda table: (table.body.get("name"), *_shape(table)),
    lambda table: table.body.get("name"),
    lambda table: (*(table.body.get(each) for each in ("type", "unit", "kind")), *_shape(table), _names(table)),
    lambda table: "schema" in table.body,
)


def _alikeness(one: _Atom, other: _Atom) -> tuple[Any, ...]:
    return _table_alikeness(one.table, other.table)


def _table_alikeness(one: Table, other: Table) -> tuple[Any, ...]:
    """The more alike two tables are, the greater."""
    shared = 0
    for name, domain in one.body.get("attributes", {}).items():
        mine = other.body.get("attributes", {}).get(name)
        both = isinstance(domain, list) and isinstance(mine, list)
        shared += len(set(domain) & set(mine)) if both else domain == mine
    equal = sum(one.body.get(key) == other.body.get(key) for key in one.body)
    return (one.guard == other.guard, shared, equal)


def _order(table: Table) -> bytes:
    return canonical_bytes([table.guard, dict(table.body)])


def _atom_order(atom: _Atom) -> tuple[Any, ...]:
    return (atom.resource, atom.consumer, _order(atom.table))


def _match(old: Sequence[Any], new: Sequence[Any], key: Any, alikeness: Any) -> list[tuple[Any, Any]]:
    """Pairs of equal key, the most alike first; of equally alike ones those that come first."""
    by_key: dict[Hashable, tuple[list[Any], list[Any]]] = {}
    for side, entries in enumerate((old, new)):
        for entry in entries:
            by_key.setdefault(key(entry), ([], []))[side].append(entry)
    found: list[tuple[Any, Any]] = []
    for before, after in by_key.values():
        candidates = [(alikeness(a, b), -i - j, -i, a, b) for i, a in enumerate(before) for j, b in enumerate(after)]
        candidates.sort(key=lambda each: each[:3], reverse=True)
        used: list[Any] = []
        for *_, one, other in candidates:
            if not any(each is one or each is other for each in used):
                used += [one, other]
                found.append((one, other))
    return found


# ------------------------------------------------------------------------------------------------------------ rules


def rules(old: Sequence[Table], new: Sequence[Table]) -> Pairing:
    """Pair rules: by all that tells them apart, then by less and less of it, at last in their order."""
    lonely, others = list(old), list(new)
    pairs: list[Pair] = []
    for key in _RULE_KEYS:
        found = _match(lonely, others, key, _rule_alikeness)
        pairs += [Pair(one, other) for one, other in found]
        lonely = [table for table in lonely if all(table is not one for one, _ in found)]
        others = [table for table in others if all(table is not other for _, other in found)]
    if len(lonely) == len(others):
        pairs += [Pair(one, other) for one, other in zip(lonely, others, strict=True)]
        lonely, others = [], []
    return Pairing(tuple(sorted(pairs, key=lambda pair: pair.new.place)), tuple(lonely), tuple(others))


def _guarded(table: Table) -> str:
    return str(sorted(table.guard.items()))


def _given(table: Table) -> Any:
    gives = table.body.get("gives")
    return gives.get("name") if isinstance(gives, Mapping) else None


def _selects(table: Table) -> tuple[str, ...]:
    return tuple(table.body["metric"])


_RULE_KEYS: Final[tuple[Callable[[Table], Hashable], ...]] = (
    lambda table: (_selects(table), _guarded(table), _given(table)),
    lambda table: (_selects(table), _guarded(table)),
    lambda table: (_selects(table), _given(table)),
    lambda table: (_guarded(table), _given(table)),
    _selects,
)


def _rule_alikeness(one: Table, other: Table) -> tuple[Any, ...]:
    return (sum(one.body.get(key) == other.body.get(key) for key in one.body),)


def meet(one: Table, other: Table) -> bool:
    """Whether two rules could select the same in some configuration."""
    return not _exclusive(one.guard, other.guard) and not _apart(one.body["metric"], other.body["metric"])


def _exclusive(one: Guard, other: Guard) -> bool:
    """Whether two conditions never hold together."""
    return any(not set(map(repr, one[name])) & set(map(repr, other[name])) for name in one.keys() & other.keys())


def _apart(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two lists of selectors name metrics, and none in common."""
    try:
        parsed = [selectors.parse(text) for text in (*one, *other)]
    except selectors.SelectorError:  # an option, or a formula
        return False
    if not all(each.literal and not each.excludes for each in parsed):
        return False
    return not {each.glob for each in parsed[: len(one)]} & {each.glob for each in parsed[len(one) :]}


def reordered(pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Pair]]:
    """Rules that have changed places, and could select the same."""
    for place, one in enumerate(pairs):
        for other in pairs[place + 1 :]:
            if one.old.place > other.old.place and meet(one.new, other.new):
                yield one, other


def before(table: Table, pairs: Sequence[Pair]) -> bool:
    """Whether a rule stands before one that was there already, and could take what that one selected."""
    return any(pair.new.place > table.place and meet(table, pair.new) for pair in pairs)


# -------------------------------------------------------------------------------------------------------------- host


class _Need(NamedTuple):
    """An alternative: the condition under which it exists, and what it demands."""

    guard: Guard
    demands: frozenset[_Demand]


_Demand = tuple[str, str, tuple[sysctl.Interval, ...]]
"""What is asked, of what, and which numbers will do where it is a setting of the kernel."""


def alternatives(old: View, new: View) -> Iterator[Outcome]:
    """How alternatives of what is needed of the host differ; where none exists nothing is demanded."""
    was, now = (
        [_Need(table.guard, _demands(table.body)) for table in side.alternatives] or [_Need({}, frozenset())]
        for side in (old, new)
    )
    change = ""
    if not _carried(was, now, always=old.always or not old.alternatives):
        change = "added"
    elif not _carried(now, was, always=new.always or not new.alternatives):
        change = "removed"
    elif [each for each in was if each in now] != [each for each in now if each in was]:
        change = "reordered"
    elif was != now:  # an alternative that demands more than another one
        change = "removed"
    if change:
        yield Outcome(change, _shown(old.body["needs"]["host"]), _shown(new.body["needs"]["host"]))


def _carried(one: Sequence[_Need], other: Sequence[_Need], *, always: bool) -> bool:
    """Whether every host that has some alternatives has others, too, as far as their conditions show it.

    Args: always, one of the first exists for every configuration.
    """
    for need in one:
        beside = [each for each in other if not _exclusive(need.guard, each.guard)]
        met = [each for each in beside if _is_met(each.demands, need.demands)]
        # One that is there wherever this is will do; so do all that may be there, as nothing is demanded without them.
        if len(met) < len(beside) and not any(implies(need.guard, each.guard) for each in met):
            return False
    return always or all(not each.demands or any(implies(each.guard, need.guard) for need in one) for each in other)


def _shown(tables: Sequence[Body]) -> Any:
    """Alternatives without what they do not say."""
    keys = [[key for key, value in table.items() if value and key != "mend"] for table in tables]
    return [{key: table[key] for key in said} for table, said in zip(tables, keys, strict=True)] or ABSENT


def _demands(table: Body) -> frozenset[_Demand]:
    found: set[_Demand] = {(key, item, ()) for key in _DEMANDED for item in table[key]}
    return frozenset(found | {("sysctl", name, sysctl.intervals(wanted)) for name, wanted in table["sysctl"].items()})


def _is_met(demands: frozenset[_Demand], had: frozenset[_Demand]) -> bool:
    """Whether a host that has one alternative has another one, too."""
    return all(
        any((kind, name) == (key, item) and sysctl.covers_all(left, numbers) for key, item, numbers in had)
        for kind, name, left in demands
    )
