"""Ordering: which instance comes before which, and the clause behind each pair.

Three steps: nodes, edges, sort. Edges come from clauses (`ordering`, the request's `order`) and from data flow: over
all metrics that could exist, an instance that adds what another reads comes first, one that removes what another
reads comes later. Edges of selectors without wildcard are strong, the others give way where they contradict each
other.

Source: Kahn, Topological sorting of large networks, CACM 5(11), 1962, with a heap in place of the queue, as networkx
has it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from attrs import frozen

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.request import Request
from meter.contracts.rules import WorstQuality, apply, give, named
from meter.contracts.spans import Span
from meter.contracts.variants import Variant

LIMIT: Final = 10_000


class Edge(NamedTuple):
    """`first` comes before `then`; `because` names the clause or the metric."""

    first: str
    then: str
    because: str
    strong: bool
    span: Span | None = None


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


def potential(instances: Iterable[Instance]) -> tuple[list[Reach], bool]:
    """Every read that could happen, as a least fixed point from the sources; whether the limit was passed.

    An instance never reads what derives from itself.
    """
    instances = list(instances)
    filters = [i for i in instances if language().words["placement"][i.contract.placement]["role"] == "filter"]
    pool: dict[Variant, bool] = {variant: False for instance in instances for variant in instance.emits}
    reaches: dict[Reach, None] = {}
    fresh = list(pool)
    quality = worst_quality()
    while fresh:
        made: dict[Variant, bool] = {}
        for instance in filters:
            rules = [compiled.rule for compiled in instance.rules]
            names = named(rules)
            candidates = fresh if names is None else [variant for variant in fresh if variant.metric in names]
            seen = [variant for variant in candidates if instance.label not in variant.via]
            for variant in seen:
                for hit in apply(rules, [variant], commensurable)[0]:
                    rule = rules[hit.rule]
                    literal = hit.item >= 0 and rule.select[hit.item].literal
                    given = give(rule, hit.part, instance.label, quality)
                    changes = given is not None and given.metric == hit.part.metric
                    removes = not rule.keeps
                    place = instance.rules[hit.rule].place
                    reach = Reach(instance.label, variant, hit.part, literal, removes, changes, pool[variant], place)
                    reaches[reach] = None
                    if given is not None and given not in pool:
                        made[given] = changes and made.get(given, True)
        pool.update(made)
        fresh = list(made)
        if len(pool) > LIMIT:
            return list(reaches), True
    return list(reaches), False


def flow_edges(instances: Sequence[Instance], reaches: Sequence[Reach]) -> tuple[list[Edge], list[Diagnostic]]:
    """Edges between filters of one placement, by what they add, remove and read."""
    by_label = {instance.label: instance for instance in instances}
    found: list[Diagnostic] = []
    edges: dict[tuple[str, str, bool], Edge] = {}

    def add(first: str, then: str, because: str, reach: Reach, *, strong: bool) -> None:
        key = (first, then, strong)
        span = by_label[reach.reader].contract.source.key("needs", "metrics", reach.place)
        edge = Edge(first, then, because, strong, span)
        edges[key] = min(edges.get(key, edge), edge)

    timely = {
        (reach.reader, reach.variant.metric)
        for reach in reaches
        if rank(by_label[reach.variant.origin]) <= rank(by_label[reach.reader])
    }
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
        for one, other in itertools.permutations(group, 2):
            if one.reader == other.reader or not one.removes or not one.part.meets(other.part):
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
    edges: list[Edge] = []
    found: list[Diagnostic] = []
    for instance in instances:
        for clause, targets in (
            ("before", instance.contract.ordering.before),
            ("after", instance.contract.ordering.after),
        ):
            for place, target in enumerate(targets):
                span = instance.contract.source.value("ordering", clause, place)
                if target == instance.contract.name:
                    facts = {"plugin": instance.contract.name, "relation": clause, "target": target}
                    found.append(
                        Diagnostic(code="E-SELF-ORDER", facts=facts, spans=(span,), clause=f"ordering.{clause}")
                    )
                    continue
                for other in instances:
                    if other is instance or not other.provides(target):
                        continue
                    first, then = (instance, other) if clause == "before" else (other, instance)
                    because = f"clause: ordering.{clause} of `{instance.contract.name}`"
                    edges.append(Edge(first.label, then.label, because, strong=True, span=span))
    labels = {instance.label for instance in instances}
    span = request.order_span or request.span
    for chain in request.order:
        found += [
            Diagnostic(
                code="W-ORDER-INERT",
                facts={"label": label, "mountpoint": request.mountpoint},
                spans=(span,),
                clause="order",
            )
            for label in chain
            if label not in labels
        ]
        for earlier, later in itertools.pairwise(label for label in chain if label in labels):
            if earlier == later:
                facts = {"plugin": earlier, "relation": "before", "target": later}
                found.append(Diagnostic(code="E-SELF-ORDER", facts=facts, spans=(span,), clause="order"))
            else:
                edges.append(Edge(earlier, later, "asked: order", strong=True, span=span))
    by_label = {instance.label: instance for instance in instances}
    kept = []
    for edge in edges:
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


def order(instances: Sequence[Instance], request: Request) -> Ordered:
    """Order the instances of a backend.

    Topological; of the instances free at one time the least (placement, position asked, generation, word
    position, label) goes first. Equal inputs give equal orders, whatever the order of files, dicts or hashes. O(V
    log V + E).
    """
    reaches, over = potential(instances)
    if over:
        limit = Diagnostic(code="E-FLOW-LIMIT", facts={"limit": str(LIMIT)}, spans=(request.span,))
        return Ordered(order=(), edges=(), diagnostics=(limit,))
    flowing, late = flow_edges(instances, reaches)
    asked, found = asked_edges(instances, request)
    found += late
    edges = flowing + asked
    strong = {(edge.first, edge.then) for edge in edges if edge.strong}
    by_label = {instance.label: instance for instance in instances}
    ring = shortest_ring(sorted(by_label), strong)
    if ring:
        found.append(_cycle(ring, edges, by_label))
    if any(diagnostic.level == "error" for diagnostic in found):
        return Ordered(order=(), edges=(), diagnostics=tuple(found))
    if not edges:
        alone = sorted(by_label, key=lambda label: by_label[label].rank)
        return Ordered(order=tuple(alone), edges=(), diagnostics=tuple(found))

    import networkx as nx  # 13 bare interpreter starts; only the cold path needs it

    weak = {(edge.first, edge.then) for edge in edges if not edge.strong} - strong
    graph: Any = nx.DiGraph()
    graph.add_nodes_from(sorted(by_label))
    graph.add_edges_from(sorted(strong))
    both = graph.copy()
    both.add_edges_from(sorted(weak))
    for component in nx.strongly_connected_components(both):
        inner = {pair for pair in weak if pair[0] in component and pair[1] in component}
        pairs = sorted({tuple(sorted(pair)) for pair in inner})
        for one, other in pairs:
            if not nx.has_path(graph, one, other) and not nx.has_path(graph, other, one):
                found.append(_order_asked(by_label[one], by_label[other]))
        weak -= inner
    graph.add_edges_from(sorted(weak))
    result = tuple(nx.lexicographical_topological_sort(graph, key=lambda label: by_label[label].rank))
    final = {(edge.first, edge.then): edge for edge in sorted(edges, key=lambda e: (e.first, e.then, e.because))}
    kept = tuple(final[pair] for pair in sorted(graph.edges))
    return Ordered(order=result, edges=kept, diagnostics=tuple(found))


def _order_asked(one: Instance, other: Instance) -> Diagnostic:
    first, second = sorted((one, other), key=lambda instance: instance.rank)
    facts = {"first": first.label, "second": second.label}
    spans = (first.span, second.span)
    return Diagnostic(code="W-ORDER-ASKED", facts=facts, spans=spans, clause="order")


def _cycle(ring: Sequence[str], edges: Iterable[Edge], by_label: Mapping[str, Instance]) -> Diagnostic:
    best: dict[tuple[str, str], Edge] = {}
    for edge in sorted(edges, key=lambda e: (not e.strong, e.because)):
        best.setdefault((edge.first, edge.then), edge)
    pairs = list(zip(ring, (*ring[1:], ring[0]), strict=True))
    notes = tuple(language().phrase("note", "before", first=a, then=b, because=best[a, b].because) for a, b in pairs)
    spans = [best[pair].span or by_label[pair[0]].span for pair in pairs]
    text = " -> ".join(f"`{label}`" for label in (*ring, ring[0]))
    return Diagnostic(
        code="E-CYCLE",
        facts={"count": str(len(ring)), "ring": text},
        spans=(by_label[ring[0]].span, *spans),
        clause="ordering",
        notes=notes,
    )


def shortest_ring(labels: Sequence[str], pairs: set[tuple[str, str]]) -> tuple[str, ...]:
    """One shortest cycle, beginning at its least label; the empty tuple where there is none."""
    after: dict[str, list[str]] = {label: [] for label in labels}
    for first, then in sorted(pairs):
        after[first].append(then)
    best: tuple[str, ...] = ()
    for start in labels:
        came: dict[str, str] = {}
        queue = deque([start])
        while queue and start not in came:
            label = queue.popleft()
            for then in after[label]:
                if then not in came:
                    came[then] = label
                    queue.append(then)
        if start not in came:
            continue
        ring = [came[start]]
        while ring[-1] != start:
            ring.append(came[ring[-1]])
        if not best or len(ring) < len(best):
            best = tuple(reversed(ring))
    return best
