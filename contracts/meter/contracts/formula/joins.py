"""Joining: which series of several metrics belong to each other, so that a formula can be computed over them.

Each metric comes as pieces, one for each pair of a resource and a consumer kind. Series join on equal resource,
consumer and attributes. A kind joins with its ancestors: a core's value with that of its package, a package's with the
machine's. An attribute that only one of them has is carried into the result. Where a metric has several series that
would fit, the nearest one takes part: the equal one before that of an ancestor, the part before the total.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from meter.contracts.language import language
from meter.contracts.variants import Domain, Variant

MOST: Final = 256
"""More ways in which the inputs of one formula could join are not followed."""


class Piece(NamedTuple):
    """Series of one metric that have one kind of resource, one of consumer and the same attributes."""

    resource: str
    consumer: str
    attributes: tuple[tuple[str, Domain], ...]
    additive: bool

    @property
    def kinds(self) -> tuple[str, str]:
        """Its kind of resource and its kind of consumer."""
        return self.resource, self.consumer

    @property
    def names(self) -> frozenset[str]:
        """The names of its attributes."""
        return frozenset(name for name, _ in self.attributes)


Pieces = tuple[Piece, ...]
"""What one input has: no two with the same kinds and names of attributes."""


class Joined(NamedTuple):
    """One way in which series join: the piece of each input, and what the result has in its key."""

    pieces: Pieces
    resource: str
    consumer: str
    attributes: tuple[tuple[str, Domain], ...]


class Unjoined(NamedTuple):
    """Two inputs that do not join: their places, by which part of the key, and what each of them has there.

    `why` is `join`, nothing is equal or an ancestor; `values`, the values of an attribute are not the same; `nearest`,
    the first one has several series that are equally near; `many`, there are more than `MOST` ways.
    """

    why: str
    first: int = 0
    second: int = 0
    dimension: str = ""
    these: tuple[str, ...] = ()
    those: tuple[str, ...] = ()


def pinned(hits: Sequence[Variant]) -> frozenset[str]:
    """The attributes that have one value in all of some variants: they tell no series apart and leave the key."""
    found = []
    for name in {name for hit in hits for name, _ in hit.attributes}:
        domains = [dict(hit.attributes).get(name, frozenset()) for hit in hits]
        values = None if None in domains else frozenset().union(*(domain for domain in domains if domain))
        if values is not None and len(values) == 1 and all(domains):
            found.append(name)
    return frozenset(found)


def pieces(hits: Iterable[Variant], without: frozenset[str] | None) -> Pieces:
    """Variants of one metric as pieces, sorted; `without` are attributes that leave the key, `None` is all of them."""
    found: dict[tuple[str, str, tuple[str, ...]], list[Variant]] = {}
    for hit in hits:
        left = hit.without([name for name, _ in hit.attributes] if without is None else without)
        names = tuple(name for name, _ in left.attributes)
        for resource, consumer in itertools.product(left.resource, left.consumer):
            found.setdefault((resource, consumer, names), []).append(left)
    return tuple(
        Piece(
            resource,
            consumer,
            tuple((name, union(dict(each.attributes)[name] for each in group)) for name in names),
            all(each.additive for each in group),
        )
        for (resource, consumer, names), group in sorted(found.items(), key=lambda item: item[0])
    )


def union(domains: Iterable[Domain]) -> Domain:
    """All values of some domains; open where one of them is."""
    known = list(domains)
    return None if None in known else frozenset().union(*(domain for domain in known if domain is not None))


def lineage(family: str, kind: str) -> tuple[str, ...]:
    """A kind of `resource` or `consumer` and all above it, the root last."""
    found = [kind]
    while parent := language().words[family][found[-1]].get("parent", ""):
        found.append(parent)
    return tuple(found)


def join(inputs: Sequence[Pieces]) -> list[Joined] | Unjoined:
    """Every way in which the inputs join, sorted; or two of them that do not. What is read twice is one input."""
    for (first, ones), (second, others) in itertools.combinations(enumerate(inputs), 2):
        fault = _apart(ones, others) or _unequal(ones, others)
        if fault is not None:
            return fault._replace(first=first, second=second)
    keys = _keys(inputs)
    if len(keys) > MOST:
        return Unjoined("many")
    found: list[Joined] = []
    apart: Unjoined | None = None
    for resource, consumer, names in keys:
        nearest = [_nearest(each, resource, consumer, names) for each in inputs]
        ways = list(itertools.islice(itertools.product(*nearest), MOST + 1))
        if len(ways) > MOST:
            return Unjoined("many")
        covering = [way for way in ways if _covers(way, resource, consumer, names)]
        if not covering:
            continue
        for place, taken in enumerate(zip(*covering, strict=True)):
            if len(set(taken)) > 1:
                these, those = sorted(_position(piece) for piece in set(taken))[:2]
                return Unjoined("nearest", place, place, "", these, those)
        way = covering[0]
        attributes = _common(way)
        if isinstance(attributes, str):
            apart = apart or _disjoint(way, attributes)
        else:
            found.append(Joined(way, resource, consumer, attributes))
    if not found and apart is None:  # they join in pairs, not all together
        these, those = (tuple(sorted({piece.resource for piece in inputs[place]})) for place in (0, -1))
        apart = Unjoined("join", 0, len(inputs) - 1, "resource", these, those)
    return found if apart is None or found else apart


def _keys(inputs: Sequence[Pieces]) -> list[tuple[str, str, frozenset[str]]]:
    """The kinds and names of attributes that a result could have, sorted; not all of them where there are too many."""
    every = [piece for each in inputs for piece in each]
    kinds = sorted({piece.resource for piece in every}), sorted({piece.consumer for piece in every})
    together: set[frozenset[str]] = {frozenset()}
    for each in inputs:
        together = {names | piece.names for names in together for piece in each}
        if len(together) > MOST:
            break
    return list(itertools.product(*kinds, sorted(together, key=sorted)))


def _apart(ones: Pieces, others: Pieces) -> Unjoined | None:
    """Whether of two inputs neither has all its series joined with one of the other."""
    for family, kinds in (("resource", 0), ("consumer", 1)):
        these = tuple(sorted({piece.kinds[kinds] for piece in ones}))
        those = tuple(sorted({piece.kinds[kinds] for piece in others}))
        if not (_all_related(family, these, those) or _all_related(family, those, these)):
            return Unjoined("join", dimension=family, these=these, those=those)
    return None


def _all_related(family: str, kinds: Iterable[str], others: Iterable[str]) -> bool:
    """Whether each kind is equal to one of the others, or one is the other's ancestor."""

    def related(kind: str, other: str) -> bool:
        return other in lineage(family, kind) or kind in lineage(family, other)

    return all(any(related(kind, other) for other in others) for kind in kinds)


def _unequal(ones: Pieces, others: Pieces) -> Unjoined | None:
    """An attribute of both inputs of which one has values that the other has not; open domains are not known."""
    for name in sorted({name for piece in ones for name, _ in piece.attributes}):
        these, those = (
            union(domain for piece in each for attribute, domain in piece.attributes if attribute == name)
            for each in (ones, others)
        )
        if these is None or not those or these == those:
            continue
        return Unjoined("values", dimension=name, these=tuple(sorted(these)), those=tuple(sorted(those)))
    return None


def _nearest(each: Pieces, resource: str, consumer: str, names: frozenset[str]) -> Pieces:
    """The pieces of one input that could take part in a result, without those that another one is nearer than."""
    above = lineage("resource", resource), lineage("consumer", consumer)
    far = {
        piece: (above[0].index(piece.resource), above[1].index(piece.consumer), names - piece.names)
        for piece in each
        if piece.resource in above[0] and piece.consumer in above[1] and piece.names <= names
    }

    def nearer(one: tuple[int, int, frozenset[str]], other: tuple[int, int, frozenset[str]]) -> bool:
        return one != other and one[0] <= other[0] and one[1] <= other[1] and one[2] <= other[2]

    return tuple(piece for piece, here in far.items() if not any(nearer(there, here) for there in far.values()))


def _covers(way: Pieces, resource: str, consumer: str, names: frozenset[str]) -> bool:
    """Whether a result with this key comes about: one input has its kind of resource, one of consumer, each name."""
    return (
        any(piece.resource == resource for piece in way)
        and any(piece.consumer == consumer for piece in way)
        and names == frozenset().union(*(piece.names for piece in way))
    )


def _position(piece: Piece) -> tuple[str, ...]:
    """A piece as a person tells it from the others of its metric."""
    return (
        f"resource={piece.resource}",
        f"consumer={piece.consumer}",
        *(f"{name}=..." for name in sorted(piece.names)),
    )


def _common(way: Pieces) -> tuple[tuple[str, Domain], ...] | str:
    """The attributes of what joins, with the values that all have; the name of one of which there are none."""
    found: dict[str, Domain] = {}
    for name, domain in (pair for piece in way for pair in piece.attributes):
        known = found.get(name)
        found[name] = domain if known is None else known if domain is None else known & domain
        if not found[name] and found[name] is not None:
            return name
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


def _disjoint(way: Pieces, name: str) -> Unjoined:
    """That pieces have no value of an attribute in common: the first and the last of those that have it."""
    domains = [(place, domain) for place, piece in enumerate(way) for key, domain in piece.attributes if key == name]
    (first, these), (second, those) = domains[0], domains[-1]
    return Unjoined("values", first, second, name, tuple(sorted(these or ())), tuple(sorted(those or ())))
