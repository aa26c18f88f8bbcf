"""Matching: which series of a formula's operands belong to each other, by their keys.

The plan says in which ways kinds of series join; here real series do, on equal resource, consumer and attributes. Knows
neither values nor times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.core.breach import ContractBreach
from meter.core.keys import MACHINE, Entity, Key, Metric

if TYPE_CHECKING:
    from meter.contracts.rules import Computes, Operand, Taken
    from meter.contracts.variants import Variant

Reduced = tuple[Entity, Entity, tuple[tuple[str, str], ...]]
"""Of a series what its operand leaves of the key."""
Owner = Callable[[Key, str, tuple[str, ...]], "Entity | None"]


def reduced(operand: Operand, key: Key) -> Reduced:
    """What an operand leaves of a key: of a sum resource and consumer, else all attributes that have several values."""
    attributes = key.attributes
    if operand.sums:
        attributes = ()
    elif operand.drop:
        attributes = tuple([pair for pair in attributes if pair[0] not in operand.drop])
    return key.resource, key.consumer, attributes


class Output(NamedTuple):
    """One series that a formula gives, and what it takes of each operand."""

    key: Key
    takes: tuple[Reduced, ...]


Made = dict[tuple[int, Reduced], Key]
"""Keys that were made of what joins in each way: things come and go, the others stay."""
_MADE = 1 << 15


def outputs(
    computes: Computes, results: Sequence[Variant], known: Sequence[dict[Reduced, Key]], owner: Owner, made: Made
) -> list[Output]:
    """Every series that comes of what is known of each operand, in each of the ways of the plan.

    `known` has for each operand what is left of its keys, with one of these; `owner` says to which package, group and
    the like a series belongs that has to be joined with that of one. Keys that are in `made` are not made anew.
    Raises: ContractBreach, the owner says nothing.
    """
    found: list[Output] = []
    if len(made) > _MADE:
        made.clear()
    for at, (way, result) in enumerate(zip(computes.ways, results, strict=True)):
        metric = Metric.of(result)
        added = _added(result, way.gives)
        kinds = (next(iter(way.gives.resource)), next(iter(way.gives.consumer)))
        for left, takes in _way(way.takes, kinds, known, owner):
            key = made.get((at, left))
            if key is None:
                key = made[at, left] = Key(metric, left[0], left[1], (*left[2], *added))
            found.append(Output(key, takes))
    return found


def _added(result: Variant, computed: Variant) -> list[tuple[str, str]]:
    """The attributes that the rule adds to what its formula gives."""
    have = {name for name, _ in computed.attributes}
    return [(name, next(iter(values or ()), "")) for name, values in result.attributes if name not in have]


def _way(
    takes: Sequence[Taken], kinds: tuple[str, str], known: Sequence[dict[Reduced, Key]], owner: Owner
) -> Iterator[tuple[Reduced, tuple[Reduced, ...]]]:
    """The keys that come about in one way, and what of each operand."""
    # Each step joins one more operand to what those before it have, on the parts of the key that both know.
    done: list[tuple[dict[str, Any], tuple[Reduced, ...]]] = [({}, ())]
    order = sorted(range(len(takes)), key=lambda at: [takes[at].resource != kinds[0], takes[at].consumer != kinds[1]])
    for place in order:
        taken = takes[place]
        own = []
        for left, key in known[place].items():
            if (left[0][0], left[1][0]) != taken[:2] or tuple([name for name, _ in left[2]]) != taken.attributes:
                continue
            own.append((_parts(left, kinds), left, key))
        if not done or not own:
            return
        common = sorted(done[0][0].keys() & own[0][0].keys())
        index: dict[tuple[Any, ...], list[tuple[dict[str, Any], Reduced]]] = {}
        for parts, left, _ in own:
            index.setdefault(tuple([parts[word] for word in common]), []).append((parts, left))
        done = [
            (have | parts, (*chosen, left))
            for have, chosen in done
            for parts, left in index.get(tuple([have[word] for word in common]), ())
            if _belongs(have, left, kinds, known, order, chosen, owner)
        ]
    back = [order.index(place) for place in range(len(takes))]
    for have, chosen in done:
        attributes = tuple(sorted((word[1:], value) for word, value in have.items() if word[0] == "="))
        yield (have["resource"], have["consumer"], attributes), tuple([chosen[at] for at in back])


def _parts(left: Reduced, kinds: tuple[str, str]) -> dict[str, Any]:
    """The parts of the result's key that a series knows: not its own resource where the result has one below it."""
    parts: dict[str, Any] = {f"={name}": value for name, value in left[2]}
    entities = zip(("resource", "consumer"), left[:2], kinds, strict=True)
    return parts | {family: entity for family, entity, kind in entities if entity[0] == kind}


def _belongs(
    have: dict[str, Any],
    left: Reduced,
    kinds: tuple[str, str],
    known: Sequence[dict[Reduced, Key]],
    order: Sequence[int],
    chosen: Sequence[Reduced],
    owner: Owner,
) -> bool:
    """Whether the resource and the consumer of a series are those, or owners of those, that the result has.

    Raises: ContractBreach, it is not known.
    """
    for family, entity, kind in zip(("resource", "consumer"), left[:2], kinds, strict=True):
        if entity[0] == kind or entity == MACHINE:
            continue
        at = 0 if family == "resource" else 1
        of = next((place for place, other in enumerate(chosen) if other[at][0] == kind), None)
        key = None if of is None else known[order[of]][chosen[of]]
        found = None if key is None else owner(key, family, (entity[0],))
        if found is None:
            facts = {"key": str(have.get(family, kind)) if key is None else key.said, "family": family}
            facts["metric"] = "" if key is None else key.metric.name
            raise ContractBreach("", f"needs.metrics.gives.{family}", "owner", **facts, kinds=entity[0])
        if found != entity:
            return False
    return True
