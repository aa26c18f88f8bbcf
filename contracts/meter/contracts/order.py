"""Ordering: which instance comes before which, and the clause behind each pair.

Three steps: nodes, edges, sort. Edges come from clauses (`ordering`, the request's `order`) and from data flow: over
all metrics that could exist, an instance that adds what another reads comes first, one that removes what another
reads comes later. Edges of selectors without wildcard are strong, the others give way where they contradict each
other.

Source: Kahn, Topological sorting of large networks, CACM 5(11), 1962, with a heap in place of the queue.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attrs import frozen

from meter.contracts.cycles import Edge, cycle
from meter.contracts.diagnostics import MANY, Diagnostic, nearest
from meter.contracts.editing.mending import cut, ordered, unordered
from meter.contracts.editing.trying import Sound, never
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.request import Request
from meter.contracts.rings import shortest_ring
from meter.contracts.rules import Rule, WorstQuality, apply, give, named
from meter.contracts.variants import Variant

if TYPE_CHECKING:
    from meter.contracts.formula.computing import Potential

LIMIT: Final = 10_000
"""Variants that could exist; more are not followed."""
WAYS: Final = 100_000
"""Reads that could happen, and pairs of them of which one takes away what the other reads; more are not followed."""
DEEP: Final = 5_000_000
"""Instances that variants derive from, counted for each variant: those of a row of 3,000 filters; no longer one."""
NEAR: Final = 100
"""So many equal variants are compared with another one that derives from other instances."""


@frozen(kw_only=True)
class Ordered:
    """The order, the edges that made it, diagnostics; no order where there is an error."""

    order: tuple[str, ...]
    edges: tuple[Edge, ...]
    diagnostics: tuple[Diagnostic, ...]


def commensurable(one: str, other: str) -> bool:
    """Whether two unit texts measure the same dimension; a text that is no unit measures none."""
    from meter.contracts.units import UnitError
    from meter.contracts.units import commensurable as same  # named alike; this one takes texts

    units = language().units
    try:
        return one == other or same(units.parse(one), units.parse(other))
    except UnitError:  # made by a template; the flow says so where it is made
        return False


def worst_quality() -> WorstQuality:
    """The order of qualities."""
    return WorstQuality(tuple(language().words["quality"]))


class Reach(NamedTuple):
    """What a filter could do to a variant: read a part, perhaps remove it or change it in place.

    `changed`: the variant itself was made by a change in place; `place` is that of the rule in `needs.metrics`.
    """

    reader: str
    variant: Variant
    part: Variant
    literal: bool
    removes: bool
    changes: bool
    changed: bool
    place: int
    item: int


class TooManyError(Exception):
    """More could happen in a chain than is followed; `variant` and `limit` say of what."""

    def __init__(self, variant: str, limit: int) -> None:
        super().__init__(variant)
        self.variant = variant
        self.limit = limit


def potential(instances: Iterable[Instance]) -> list[Reach]:
    """Every read that could happen, as a least fixed point from the sources.

    An instance never reads what derives from itself. What derives from more than an equal variant is read by nobody
    who does not read that one: it says nothing more of the order, and is not followed.
    Raises: TooManyError, a limit was passed.
    """
    instances = sorted(instances, key=lambda each: each.label)  # so that it is always the same limit that is passed
    filters = [i for i in instances if i.contract.role == "filter"]
    readers = _Readers(filters)
    pool: dict[Variant, bool] = {variant: False for instance in instances for variant in instance.emits}
    reaches: dict[Reach, None] = {}
    computed = _computed(filters)
    known = _Known()
    fresh = list(pool)
    quality = worst_quality()
    deep = 0
    while fresh:
        made: dict[Variant, bool] = {}
        for instance, rules, candidates in readers.of(fresh):
            seen = [variant for variant in candidates if instance.label not in variant.via]
            for variant in seen:
                for hit in apply(rules, [variant], commensurable)[0]:
                    rule = rules[hit.rule]
                    if computed is not None and rule.computes is not None:
                        computed.note(instance, hit)
                    literal = hit.item >= 0 and rule.select[hit.item].literal
                    given = give(rule, hit.part, instance.label, quality) if rule.computes is None else None
                    changes = given is not None and given.metric == hit.part.metric
                    removes = not rule.keeps
                    place = instance.rules[hit.rule].place
                    reach = Reach(
                        instance.label, variant, hit.part, literal, removes, changes, pool[variant], place, hit.item
                    )
                    reaches[reach] = None
                    if given is not None and given not in pool:
                        made[given] = changes and made.get(given, True)
            if len(pool) + len(made) > LIMIT:
                raise TooManyError("", LIMIT)
            if len(reaches) > WAYS:
                raise TooManyError("ways", WAYS)
        if computed is not None:
            made |= {variant: False for variant in computed.fresh() if variant not in pool and variant not in made}
            made = made or dict.fromkeys(computed.rest(), False)
        else:
            made = {variant: changed for variant, changed in made.items() if known.more(variant, changed=changed)}
        pool.update(made)
        fresh = list(made)
        deep += sum(len(variant.via) for variant in fresh)
        if deep > DEEP:
            raise TooManyError("deep", DEEP)
    return list(reaches)


class _Readers:
    """The filters of a chain by the metrics that they could select."""

    def __init__(self, filters: Iterable[Instance]) -> None:
        self._all = [(instance, [compiled.rule for compiled in instance.rules]) for instance in filters]
        self._by: dict[str | None, list[int]] = {}
        """By name; `None` has those that could select any."""
        for place, (_, rules) in enumerate(self._all):
            names = named(rules)
            for name in (None,) if names is None else names:
                self._by.setdefault(name, []).append(place)

    def of(self, variants: Sequence[Variant]) -> Iterator[tuple[Instance, list[Rule], list[Variant]]]:
        """The filters that could select some of the variants, each with its rules and these, in the order of filters.

        Variants of one name are in the order in which they are here, and the names sorted.
        """
        by_name: dict[str, list[Variant]] = {}
        for variant in variants:
            by_name.setdefault(variant.metric, []).append(variant)
        reads: dict[int, list[Variant]] = {place: list(variants) for place in self._by.get(None, ())}
        for name in sorted(by_name):
            for place in self._by.get(name, ()):
                reads.setdefault(place, []).extend(by_name[name])
        for place in sorted(reads):
            yield *self._all[place], reads[place]


class _Known:
    """Variants by all but what they derive from."""

    def __init__(self) -> None:
        self._by: dict[Variant, list[tuple[frozenset[str], bool]]] = {}

    def more(self, variant: Variant, *, changed: bool) -> bool:
        """Whether a variant says more of the order than those that are known; it is known then.

        An equal one that derives from less is read by all that read this one. `changed` makes edges weak.
        """
        known = self._by.setdefault(variant._replace(via=frozenset()), [])
        if any(via <= variant.via and was <= changed for via, was in known[:NEAR]):
            return False
        known.append((variant.via, changed))
        return True


def _computed(filters: Sequence[Instance]) -> Potential | None:
    """What the formulas of a chain could give; `None` where it has none."""
    if not any(compiled.formula for instance in filters for compiled in instance.rules):
        return None
    from meter.contracts.formula.computing import Potential  # few chains have one

    return Potential(filters)


def flow_edges(instances: Sequence[Instance], reaches: Sequence[Reach]) -> tuple[list[Edge], list[Diagnostic]]:
    """Edges between filters of one placement, by what they add, remove and read."""
    by_label = {instance.label: instance for instance in instances}
    found: list[Diagnostic] = []
    edges: dict[tuple[str, str, bool], Edge] = {}

    def add(first: str, then: str, because: str, reach: Reach, *, strong: bool) -> None:
        key = (first, then, strong)
        edge = Edge(first, then, because, strong, reach.reader, reach.place, reach.item)
        edges[key] = min(edges.get(key, edge), edge)

    timely = {
        (reach.reader, reach.variant.metric)
        for reach in reaches
        if rank(by_label[reach.variant.origin]) <= rank(by_label[reach.reader])
    }
    ways = 0
    of: dict[Variant, list[Reach]] = {}
    for reach in reaches:
        of.setdefault(reach.variant, []).append(reach)
    for variant, group in of.items():
        maker = by_label[variant.origin]
        for reach in group:
            reader = by_label[reach.reader]
            if maker.contract.placement == reader.contract.placement:
                add(
                    maker.label,
                    reader.label,
                    f"flow: {variant.metric}",
                    reach,
                    strong=reach.literal and not reach.changed,
                )
            elif reach.literal and rank(maker) > rank(reader) and (reader.label, variant.metric) not in timely:
                found.append(_late(maker, reader, variant.metric))
        removing = [reach for reach in group if reach.removes]
        ways += len(removing) * len(group)
        if ways > WAYS:
            raise TooManyError("ways", WAYS)
        for one, other in itertools.product(removing, group):
            if one.reader == other.reader or not one.part.meets(other.part):
                continue
            first, second = by_label[other.reader], by_label[one.reader]
            if first.contract.placement != second.contract.placement:
                continue
            strong = other.literal and not one.changes
            verb = "changes" if one.changes else "removes"
            add(first.label, second.label, f"flow: `{second.label}` {verb} {variant.metric}", one, strong=strong)
            if one.changes:
                add(second.label, first.label, f"flow: {variant.metric}", other, strong=False)
    sure = {(edge.first, edge.then) for edge in edges.values() if edge.strong}
    return [e for e in edges.values() if e.strong or (e.first, e.then) not in sure], found


def rank(instance: Instance) -> int:
    """The place of an instance's placement in the chain."""
    return language().rank("placement", instance.contract.placement)


def _late(maker: Instance, reader: Instance, metric: str) -> Diagnostic:
    facts = {
        "first": maker.label,
        "second": reader.label,
        "first_placement": maker.contract.placement,
        "second_placement": reader.contract.placement,
        "metric": metric,
    }
    spans = (reader.span, maker.span)
    return Diagnostic(code="E-ORDER-PLACEMENT", facts=facts, spans=spans, clause="needs.metrics", variant="flow")


def asked_edges(instances: Sequence[Instance], request: Request) -> tuple[list[Edge], list[Diagnostic]]:
    """Edges of `ordering` and of the request's `order`; all strong."""
    edges, found = _clause_edges(instances)
    further, others = _order_edges(request, {instance.label for instance in instances})
    by_label = {instance.label: instance for instance in instances}
    found += others
    kept = []
    for edge in (*edges, *further):
        first, then = by_label[edge.first], by_label[edge.then]
        if rank(first) <= rank(then):
            kept.append(edge)
            continue
        facts = {
            "first": first.label,
            "second": then.label,
            "first_placement": first.contract.placement,
            "second_placement": then.contract.placement,
        }
        clause = "order" if edge.because.startswith("asked") else "ordering"
        spans = (edge.span or first.span,)
        found.append(
            Diagnostic(code="E-ORDER-PLACEMENT", facts=facts, spans=spans, clause=clause, notes=(edge.because,))
        )
    return kept, found


def _clause_edges(instances: Sequence[Instance]) -> tuple[list[Edge], list[Diagnostic]]:
    """Edges of the contracts' `ordering`, and E-SELF-ORDER."""
    edges: list[Edge] = []
    found: list[Diagnostic] = []
    called: dict[str, list[Instance]] = {}
    for instance in instances:
        for name in {instance.label, instance.contract.name, *instance.contract.provides.capabilities}:
            called.setdefault(name, []).append(instance)
    for instance in instances:
        ordering = instance.contract.ordering
        for clause, targets in (("before", ordering.before), ("after", ordering.after)):
            for place, target in enumerate(targets):
                span = instance.contract.source.value("ordering", clause, place)
                if target == instance.contract.name:
                    facts = {"plugin": instance.contract.name, "relation": clause, "target": target}
                    edit = cut(instance.contract, target, "ordering", clause, place)
                    path = f"ordering.{clause}"
                    found.append(Diagnostic(code="E-SELF-ORDER", facts=facts, spans=(span,), clause=path, edit=edit))
                    continue
                for other in called.get(target, ()):
                    if other is instance:
                        continue
                    first, then = (instance, other) if clause == "before" else (other, instance)
                    because = f"clause: ordering.{clause} of `{instance.contract.name}`"
                    edge = Edge(first.label, then.label, because, strong=True, span=span, by=instance.label)
                    edges.append(edge)
    return edges, found


def _order_edges(request: Request, labels: set[str]) -> tuple[list[Edge], list[Diagnostic]]:
    """Edges of the request's `order`, W-ORDER-INERT and E-SELF-ORDER."""
    edges: list[Edge] = []
    found: list[Diagnostic] = []
    strangers: dict[str, list[tuple[int, int]]] = {}
    for nth, chain in enumerate(request.order):
        for place, label in enumerate(chain):
            if label not in labels:
                strangers.setdefault(label, []).append((nth, place))
        there = [(label, request.place("order", nth, at)) for at, label in enumerate(chain) if label in labels]
        for (earlier, _), (later, span) in itertools.pairwise(there):
            if earlier == later:
                facts = {"plugin": earlier, "relation": "before", "target": later}
                found.append(Diagnostic(code="E-SELF-ORDER", facts=facts, spans=(span,), clause="order"))
            else:
                edges.append(Edge(earlier, later, "asked: order", strong=True, span=span))
    names = tuple(sorted(labels))
    for nth, (label, places) in enumerate(strangers.items()):
        sought = nth < MANY  # what so many others were meant to be is not looked for
        near = nearest(label, names) if sought else ""
        facts = {"label": label, "mountpoint": request.mountpoint, "near": near}
        spans = tuple(request.place("order", *place) for place in places)
        edit = unordered(request, *places[0], labels) if sought else None
        found.append(Diagnostic(code="W-ORDER-INERT", facts=facts, spans=spans, clause="order", edit=edit))
    return edges, found


def order(instances: Sequence[Instance], request: Request, sound: Sound = never) -> Ordered:
    """Order the instances of a backend.

    Topological; of the instances free at one time the least (placement, position asked, generation, word
    position, label) goes first. Equal inputs give equal orders, whatever the order of files, dicts or hashes. O(V
    log V + E). Args: `sound`, what a help may offer.
    """
    try:
        flowing, late = flow_edges(instances, potential(instances))
    except TooManyError as error:
        facts, spans = {"limit": str(error.limit)}, (request.span,)
        limit = Diagnostic(code="E-FLOW-LIMIT", facts=facts, spans=spans, variant=error.variant)
        return Ordered(order=(), edges=(), diagnostics=(limit,))
    asked, found = asked_edges(instances, request)
    found += late
    edges = flowing + asked
    strong = {(edge.first, edge.then) for edge in edges if edge.strong}
    weak = {(edge.first, edge.then) for edge in edges if not edge.strong} - strong
    by_label = {instance.label: instance for instance in instances}
    ranked = sorted(by_label, key=lambda label: by_label[label].rank)
    place = {label: nth for nth, label in enumerate(ranked)}
    # Where no edge leads back, sorting gives what the topological sort would: each time the least is free.
    follows = all(place[first] < place[then] for first, then in strong | weak)
    if not follows and len(_least_first(ranked, strong)) < len(ranked):
        ring = shortest_ring(strong)
        found.append(cycle(ring, edges, by_label, request, sound))
    if any(diagnostic.level == "error" for diagnostic in found):
        return Ordered(order=(), edges=(), diagnostics=tuple(found))
    if not follows:
        ranked, given_way = _sorted(ranked, strong, weak)
        weak -= given_way
        closed = _closure(ranked, strong, place)
        for one, other in sorted({(min(pair), max(pair)) for pair in given_way}):
            if not closed[one] >> place[other] & 1 and not closed[other] >> place[one] & 1:
                found.append(_order_asked(by_label[one], by_label[other], request))
    final = {(edge.first, edge.then): edge for edge in sorted(edges, key=lambda e: (e.first, e.then, e.because))}
    kept = tuple(final[pair] for pair in sorted(strong | weak))
    return Ordered(order=tuple(ranked), edges=kept, diagnostics=tuple(found))


_Pairs = Collection[tuple[str, str]]


def _sorted(ranked: Sequence[str], strong: _Pairs, weak: _Pairs) -> tuple[list[str], set[tuple[str, str]]]:
    """The order, and the weak edges that gave way to it: those inside a cycle of weak and strong ones.

    The strong ones have no cycle.
    """
    ordered = _least_first(ranked, {*strong, *weak})
    if len(ordered) == len(ranked):
        return ordered, set()
    import networkx as nx  # 13 bare interpreter starts; only edges that contradict each other need it

    graph: Any = nx.DiGraph()
    graph.add_edges_from(sorted({*strong, *weak}))
    part = {label: nth for nth, labels in enumerate(nx.strongly_connected_components(graph)) for label in labels}
    inner = {pair for pair in weak if part[pair[0]] == part[pair[1]]}
    return _least_first(ranked, {*strong, *weak} - inner), inner


def _least_first(ranked: Sequence[str], pairs: _Pairs) -> list[str]:
    """The order in which each time the first of `ranked` goes that waits for nobody; without those on or behind cycles.

    As `lexicographical_topological_sort` of networkx, whose import takes as long as the whole check without it.
    """
    place = {label: nth for nth, label in enumerate(ranked)}
    after: list[list[int]] = [[] for _ in ranked]
    waits = [0] * len(ranked)
    for first, then in pairs:
        after[place[first]].append(place[then])
        waits[place[then]] += 1
    free = [nth for nth, count in enumerate(waits) if not count]
    ordered = []
    while free:
        nth = heapq.heappop(free)
        ordered.append(ranked[nth])
        for behind in after[nth]:
            waits[behind] -= 1
            if not waits[behind]:
                heapq.heappush(free, behind)
    return ordered


def _closure(ordered: Sequence[str], pairs: _Pairs, place: Mapping[str, int]) -> dict[str, int]:
    """For each label the set of those behind it along edges, as bits by `place`; `ordered` agrees with the edges."""
    after: dict[str, list[str]] = {label: [] for label in ordered}
    for first, then in pairs:
        after[first].append(then)
    behind: dict[str, int] = {}
    for label in reversed(ordered):
        bits = 0
        for then in after[label]:
            bits |= behind[then] | 1 << place[then]
        behind[label] = bits
    return behind


def _order_asked(one: Instance, other: Instance, request: Request) -> Diagnostic:
    first, second = sorted((one, other), key=lambda instance: instance.rank)
    facts = {"first": first.label, "second": second.label}
    spans = (first.span, second.span)
    edit = ordered(request, first.label, second.label)
    return Diagnostic(code="W-ORDER-ASKED", facts=facts, spans=spans, clause="order", edit=edit)
