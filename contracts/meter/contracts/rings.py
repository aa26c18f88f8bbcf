"""Rings: a shortest cycle of a graph, in bounded work.

To find a shortest cycle takes time with the product of nodes and edges. A chain of plugins has few nodes, for which
that is nothing; of thousands that all wait for each other, any ring without a short cut says as much.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

WORK: Final = 1_000_000
"""Edges that are followed in search of a shortest ring: all of a graph of 1,000 nodes and as many edges."""

_After = Mapping[str, Sequence[str]]


def shortest_ring(pairs: Collection[tuple[str, str]], work: int = WORK) -> tuple[str, ...]:
    """One shortest cycle of directed edges, beginning at its least label; the empty tuple where there is none.

    Where that would take more than `work` steps: one that no edge shortens, out of the shortest through the least
    labels. The order of the edges does not matter.
    """
    import networkx as nx  # 13 bare interpreter starts; only a chain that has one needs it

    graph: Any = nx.DiGraph(sorted(pairs))
    part = {label: nth for nth, labels in enumerate(nx.strongly_connected_components(graph)) for label in labels}
    after = {label: [then for then in graph[label] if part[then] == part[label]] for label in sorted(graph)}
    best: tuple[str, ...] = ()
    for start, following in after.items():
        if not following:
            continue
        if best and work <= 0:
            return _from_least(_without_short_cuts(best, after))
        ring, steps = _through(start, after, len(best) - 1 if best else len(after))
        work -= steps
        best = ring or best
    return best


def _through(start: str, after: _After, longest: int) -> tuple[tuple[str, ...], int]:
    """A shortest cycle through a node, empty if it has more than `longest` nodes, and how many edges were followed."""
    came: dict[str, str] = {}
    queue = deque([(start, 0)])
    steps = 0
    while queue and start not in came:
        label, depth = queue.popleft()
        if depth >= longest:
            break
        steps += len(after[label])
        for then in after[label]:
            if then not in came:
                came[then] = label
                queue.append((then, depth + 1))
    if start not in came:
        return (), steps
    ring = [came[start]]
    while ring[-1] != start:
        ring.append(came[ring[-1]])
    return tuple(reversed(ring)), steps


def _without_short_cuts(ring: tuple[str, ...], after: _After) -> tuple[str, ...]:
    """A ring out of nodes of this one between which there are no other edges than its own.

    From each node on goes the edge that leads furthest along the ring; the first that leads to where it has been closes
    the new one.
    """
    place = {label: nth for nth, label in enumerate(ring)}
    kept = {ring[0]: 0}
    label = ring[0]
    while True:
        here = place[label]
        ahead = [then for then in after[label] if then in kept or place.get(then, -1) > here]
        furthest = max(ahead, key=lambda then: (place[then] - here) % len(ring) or len(ring))
        if furthest in kept:
            return tuple(kept)[kept[furthest] :]
        kept[furthest] = len(kept)
        label = furthest


def _from_least(ring: tuple[str, ...]) -> tuple[str, ...]:
    least = ring.index(min(ring))
    return ring[least:] + ring[:least]
