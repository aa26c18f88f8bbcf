"""Comparing two values of a clause: the outcomes that its lattice in CONTRACT.ini has, each with what it is about.

A value may be missing (`ABSENT`). What an outcome means, better or worse, is not said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from meter.contracts import sysctl, tables
from meter.contracts.constraints import Constraint, parse_constraint
from meter.contracts.editing import edits
from meter.contracts.language import ABSENT, Clause, language
from meter.contracts.quantities import QuantityError, parse_duration
from meter.contracts.versions import covers, parse_version, stands_for

Path = tuple[str | int, ...]


class Outcome(NamedTuple):
    """One way in which two values differ: what was and is said, of which member, where that is below the clause."""

    change: str
    old: Any = ABSENT
    new: Any = ABSENT
    name: str = ""
    old_at: Path = ()
    new_at: Path = ()


Compare = Callable[[Clause, Any, Any], Iterator[Outcome]]


def written(value: Any) -> str:
    """A value as TOML writes it; a missing one in words."""
    if value is ABSENT or value is None:
        return language().phrase("text", "nothing")
    return f"`{value if isinstance(value, str) and value else _toml(value)}`"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return edits.quoted(value)
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{edits.key(name)} = {_toml(each)}" for name, each in value.items()) + " }"
    return str(value)


def _missing(value: Any) -> bool:
    return value is ABSENT or value is None


# ---------------------------------------------------------------------------------------------------------- one value


def _one(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    if _same(clause, old) != _same(clause, new):
        yield Outcome("changed", old, new)


def _same(clause: Clause, value: Any) -> Any:
    """A value in the form in which equal ones are equal; a duration is a number, however it is written."""
    if clause.type.startswith("duration") and isinstance(value, str):
        try:
            return parse_duration(value)
        except QuantityError:  # an option's placeholder
            return value
    return None if _missing(value) else value


def _set(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    del clause
    if _unordered(old) != _unordered(new):
        yield Outcome("changed", old, new)


def _unordered(value: Any) -> Any:
    return frozenset(value) if isinstance(value, list | tuple) else value


def _ranked(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    one, other = clause.values.index(old), clause.values.index(new)
    if one != other:
        yield Outcome("raised" if other > one else "lowered", old, new)


def _flag(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    del clause
    rank = {False: 0, True: 2}
    one, other = (1 if _missing(value) or isinstance(value, str) else rank[value] for value in (old, new))
    if one != other or (one == 1 and old != new and not (_missing(old) and _missing(new))):
        # Two options of which nobody knows the values: it may be withdrawn.
        yield Outcome("granted" if other > one else "withdrawn", old, new)


def _demanded(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    del clause
    if _missing(old) != _missing(new):
        yield Outcome("added" if _missing(old) else "removed", old, new)
    elif not _missing(old) and old != new:
        yield Outcome("changed", old, new)


def _range(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    beyond = _COVERS[tables.shape(clause.type).item]
    if not beyond(new, old):
        yield Outcome("narrowed", old, new)
    elif not beyond(old, new):
        yield Outcome("widened", old, new)


_COVERS: Final[Mapping[str, Callable[[str, str], bool]]] = {"range": covers, "numbers": sysctl.covers}
"""By the type of a clause whether a range of it has all that another one has."""


def _at_least(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    if _missing(old) and _missing(new):
        return
    if _missing(old) or _missing(new):
        yield Outcome("added" if _missing(old) else "removed", old, new)
        return
    one, other = _same(clause, old), _same(clause, new)
    if one != other:
        yield Outcome("raised" if other > one else "lowered", old, new)


# ------------------------------------------------------------------------------------------------------- many values


def _pairs(old: Any, new: Any) -> Iterator[tuple[str, Any, Any, Path, Path]]:
    """Members of two lists or maps by name: what each side says of it, and where."""
    one, other = _members(old), _members(new)
    for name in sorted(one.keys() | other.keys()):
        was, at = one.get(name, (ABSENT, ()))
        now, there = other.get(name, (ABSENT, ()))
        yield name, was, now, at, there


def _members(value: Any) -> dict[str, tuple[Any, Path]]:
    if isinstance(value, Mapping):
        return {name: (entry, (name,)) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return {str(entry): (str(entry), (place,)) for place, entry in reversed(list(enumerate(value)))}
    return {} if _missing(value) else {str(value): (value, ())}


def _each(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    for name, was, now, at, there in _pairs(old, new):
        if was is ABSENT or now is ABSENT:
            yield Outcome("added" if was is ABSENT else "removed", was, now, name, at, there)
        elif _same(clause, was) != _same(clause, now):
            yield Outcome("changed", was, now, name, at, there)


def _versions(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    for outcome in _each(clause, old, new):
        if outcome.change != "changed":
            yield outcome
            continue
        was, now = (parse_version(text, short=True) for text in (outcome.old, outcome.new))
        if was != now:
            yield outcome._replace(change="raised" if stands_for(now, was) else "lowered")


def _ranges(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    for outcome in _each(clause, old, new):
        if outcome.change != "changed":
            yield outcome
        else:
            changes = [each.change for each in _range(clause, outcome.old, outcome.new)]
            yield from (outcome._replace(change=change) for change in changes)


def _excluded(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    for outcome in _each(clause, old, new):
        if outcome.change != "changed":
            yield outcome
        elif not covers(outcome.old, outcome.new):
            yield outcome._replace(change="widened")
        elif not covers(outcome.new, outcome.old):
            yield outcome._replace(change="narrowed")


def _accepted(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    """Each word that only one side takes; an empty list takes any, which has no name."""
    del clause
    was, now = dict.fromkeys(old or ()), dict.fromkeys(new or ())
    if not was or not now:
        if was or now:
            yield Outcome("narrowed" if now else "widened", old, new)
        return
    for change, these, others in (("narrowed", was, now), ("widened", now, was)):
        yield from (Outcome(change, old, new, word) for word in these if word not in others)


def _constraints(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    del clause
    one, other = ({relation(text): (place, text) for place, text in enumerate(texts)} for texts in (old, new))
    for key in sorted(one.keys() - other.keys()):
        yield Outcome("removed", one[key][1], ABSENT, one[key][1], (one[key][0],), ())
    for key in sorted(other.keys() - one.keys()):
        yield Outcome("added", ABSENT, other[key][1], other[key][1], (), (other[key][0],))


def relation(text: str) -> str:
    """A constraint in a form that does not depend on the order of sums and products, nor on its side."""
    constraint: Constraint = parse_constraint(text)
    turned = {">": "<", ">=": "<=", "<": "<", "<=": "<="}
    left, right = (
        sorted(str(sorted((f.form, f.name, str(f.number), f.dimension) for f in product)) for product in side)
        for side in (constraint.left, constraint.right)
    )
    if constraint.op.startswith(">") or (constraint.op not in turned and right < left):
        left, right = right, left
    return f"{left} {turned.get(constraint.op, constraint.op)} {right}"


def _domains(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    """Attributes with their values: a list, any text, or those of an option, of which nobody knows how many."""
    del clause
    for name, was, now, at, there in _pairs(old, new):
        if was is ABSENT or now is ABSENT:
            yield Outcome("added" if was is ABSENT else "removed", was, now, name, at, there)
            continue
        gone, come = _beyond(was, now), _beyond(now, was)
        if gone:
            yield Outcome("narrowed", gone, now, name, at, there)
        if come:
            yield Outcome("widened", was, come, name, at, there)


def _beyond(domain: Any, other: Any) -> Any:
    """What of a domain another one may not have; empty where it has all."""
    if other in (domain, ANY_TEXT):
        return None
    if isinstance(domain, list) and isinstance(other, list):
        return [word for word in domain if word not in other]
    return domain


ANY_TEXT: Final = "str"
"""The domain of an attribute that takes any text."""


def _parts(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    del clause
    one, other = (
        {(of, part): whole for of, wholes in each.items() for part, whole in wholes.items()} for each in (old, new)
    )
    for key in sorted(one.keys() | other.keys()):
        was, now = one.get(key, ABSENT), other.get(key, ABSENT)
        name = f"{key[0]}={key[1]}"
        if was is not ABSENT and was != now:
            yield Outcome("removed", was, now, name, key, key)
        if now is not ABSENT and was != now:
            yield Outcome("added", was, now, name, key, key)


def _guard(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    """Conditions as `meter.contracts.replacement.views` has them."""
    del clause
    if not implies(old, new):
        yield Outcome("narrowed", _condition(old), _condition(new))
    elif not implies(new, old):
        yield Outcome("widened", _condition(old), _condition(new))


def implies(one: Mapping[str, tuple[Any, ...]], other: Mapping[str, tuple[Any, ...]]) -> bool:
    """Whether a condition holds wherever another one does."""
    return all(name in one and all(value in values for value in one[name]) for name, values in other.items())


def _condition(guard: Mapping[str, tuple[Any, ...]]) -> Any:
    return {name: list(values) for name, values in guard.items()} or ABSENT


def _selector(clause: Clause, old: Any, new: Any) -> Iterator[Outcome]:
    del clause
    if [text.strip() for text in old] != [text.strip() for text in new]:
        yield Outcome("changed", *(each[0] if len(each) == 1 else each for each in (old, new)))


COMPARE: Final[Mapping[str, Compare]] = {
    "one": _one,
    "set": _set,
    "selector": _selector,
    "members": _each,
    "entries": _each,
    "constraints": _constraints,
    "versions": _versions,
    "ranges": _ranges,
    "range": _range,
    "excluded": _excluded,
    "accepted": _accepted,
    "ranked": _ranked,
    "at-least": _at_least,
    "at-most": _at_least,
    "flag": _flag,
    "demanded": _demanded,
    "guard": _guard,
    "domains": _domains,
    "parts": _parts,
}
"""By lattice; those that need more than two values are compared by who knows the whole contract."""
