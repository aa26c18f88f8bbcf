"""What a formula adds up: whether it counts anything twice, and what its result counts.

A variant counts the series that were added up to it, or itself, whatever its name is now (`Variant.counted`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from meter.contracts.doubling import KINDS, doubled, wholes
from meter.contracts.formula.faults import FormulaFault, fault
from meter.contracts.formula.formulas import Node, Product, Reading, Sum
from meter.contracts.formula.joins import Joined
from meter.contracts.seen import Seen
from meter.contracts.selectors import with_condition
from meter.contracts.variants import Variant


def twice(reading: Reading, hits: Sequence[Variant]) -> Iterator[FormulaFault]:
    """What a sum over all attributes would count twice: a value and a part of it, or a total beside its parts."""
    ordered = sorted(hits, key=_text)
    for one, other in itertools.product(ordered, ordered):
        if not (one.resource & other.resource and one.consumer & other.consumer):
            continue
        for name, _ in one.attributes:
            if (double := doubled(one, other, name)) is not None:
                glob = reading.selector.glob
                facts = {"metric": f"`{glob}`", "dimension": name, "part": double.part, "whole": double.whole}
                facts["selection"] = f"`{with_condition(reading.selector, name, wholes(ordered, name, double.whole))}`"
                yield fault("E-FLOW-DOUBLE", double.how, [reading], **facts)


def added(node: Node, hits: Sequence[Sequence[Variant]]) -> Iterator[FormulaFault]:
    """What is added, or taken off, beside what holds it already. A term with a factor is a weight of a model."""
    if isinstance(node, Product):
        yield from (each for _, factor in node.factors for each in added(factor, hits))
    elif isinstance(node, Sum):
        terms = sorted({(sign, term.selector.text): term for sign, term in _terms(node)}.items())
        for ((sign, _), part), ((same, _), whole) in itertools.permutations(terms, 2):
            if sign == same:
                yield from _beside(part, whole, hits)
        inner = (term for _, term in node.terms if not isinstance(term, Sum))
        yield from (each for term in inner for each in added(term, hits))


def adds_up(node: Node, hits: Sequence[Sequence[Variant]], way: Joined) -> Iterator[Variant]:
    """What the result counts where it is nothing but a sum; what is taken off is in it no more."""
    if isinstance(node, Sum):
        if all(sign > 0 and isinstance(term, Sum | Reading) for sign, term in node.terms):
            for _, term in node.terms:
                yield from adds_up(term, hits, way)
    elif isinstance(node, Reading):
        piece = way.pieces[node.place]
        for hit in hits[node.place]:
            if hit.additive and piece.resource in hit.resource and piece.consumer in hit.consumer:
                own = hit._replace(resource=frozenset({piece.resource}), consumer=frozenset({piece.consumer}))
                yield from own.counted


def _terms(node: Sum, sign: int = 1) -> Iterator[tuple[int, Reading]]:
    """What is read for its own sake in a sum and in the sums in it, each with the sign that it has in the end."""
    for own, term in node.terms:
        if isinstance(term, Sum):
            yield from _terms(term, sign * own)
        elif isinstance(term, Reading):
            yield sign * own, term


def _beside(part: Reading, whole: Reading, hits: Sequence[Sequence[Variant]]) -> Iterator[FormulaFault]:
    """Whether what one reading counts is, or lies in, what another one does, by an attribute or as a kind of thing."""
    counted, others = _counted(hits[part.place]), _counted(hits[whole.place])
    for metric in sorted(counted.keys() & others.keys()):
        ones, all_ = counted[metric], Seen(others[metric])
        if part.selector.glob != whole.selector.glob and any(next(all_.meeting(one), None) for one in ones):
            facts = {"metric": f"`{metric}`", "selector": part.selector.text}
            yield fault("E-FLOW-DOUBLE", "again", [part, whole], **facts)
        attributes = sorted({name for each in (*ones, *others[metric]) for name, _ in each.parts})
        for name in (*attributes, *KINDS):
            for one, other in itertools.product(_unlike(ones, name), _unlike(others[metric], name)):
                double = doubled(one, other, name) if _apart_in(one, other, name) else None
                if double is not None and not double.how:
                    facts = {"dimension": name, "part": double.part, "whole": double.whole}
                    yield fault("E-FLOW-DOUBLE", "added", [part, whole], **facts, selector=part.selector.text)


def _counted(hits: Sequence[Variant]) -> dict[str, list[Variant]]:
    """What values count, by metric."""
    found: dict[str, list[Variant]] = {}
    for each in sorted({each for hit in hits for each in hit.counted}, key=_text):
        found.setdefault(each.metric, []).append(each)
    return found


def _unlike(counted: Sequence[Variant], name: str) -> list[Variant]:
    """One of all that are alike in a dimension and of the same kinds of things; none without it."""
    found: dict[object, Variant] = {}
    for each in counted:
        attributes = dict(each.attributes)
        if name in attributes or name in KINDS:
            key = each.resource, each.consumer, attributes.get(name), dict(each.parts).get(name)
            found.setdefault(key, each)
    return list(found.values())


def _apart_in(one: Variant, other: Variant, name: str) -> bool:
    """Whether two can be of the same things, but for a dimension."""
    return all(getattr(one, kind) & getattr(other, kind) for kind in KINDS if kind != name)


def _text(variant: Variant) -> str:
    return str(variant.to_json())
