"""Delivery: whether an output can tell apart what it gets: names that fall together, parts of the key that it drops."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from meter.contracts import names
from meter.contracts.diagnostics import listed
from meter.contracts.doubling import KINDS
from meter.contracts.seen import Crowd
from meter.contracts.variants import MACHINE, Variant


class Mixed(NamedTuple):
    """Series that an output would write as one: the code, the variant of its text, the clause, and facts."""

    code: str
    variant: str
    clause: str
    facts: dict[str, str]


def mixed(style: str, taken: Sequence[tuple[tuple[str, ...], Variant]]) -> Iterator[Mixed]:
    """What an output mixes up.

    Args: `style`, how it writes names; `taken`, the parts that it gets, each with what its rule drops of the key.
    """
    parts = sorted(taken, key=lambda each: (each[0], str(each[1].to_json())))
    yield from _dropped(parts)
    if style != "plain":
        yield from _names(style, [part for _, part in parts])


def _dropped(taken: Sequence[tuple[tuple[str, ...], Variant]]) -> Iterator[Mixed]:
    """Parts of the key that an output does not carry and that tell series apart; once for each metric."""
    said: set[str] = set()
    taken = [(drop, part) for drop, part in taken if drop]
    for drop, part in taken:
        telling = [word for word in drop if _tells(part, word)]
        if telling and part.metric not in said:
            said.add(part.metric)
            facts = {"metric": f"`{part.metric}`", "words": listed(telling), "word": telling[0]}
            yield Mixed("E-FLOW-IDENTITY", "carried", "needs.metrics.drop", facts)
    by_name: dict[str, list[tuple[tuple[str, ...], Variant]]] = {}
    for drop, part in taken:
        if part.metric not in said:
            by_name.setdefault(part.metric, []).append((drop, part))
    for metric, parts in by_name.items():
        if left := _falling_together(parts):
            facts = {"metric": f"`{metric}`", "words": listed(left), "word": left[0]}
            yield Mixed("E-FLOW-IDENTITY", "carried", "needs.metrics.drop", facts)


def _falling_together(taken: Sequence[tuple[tuple[str, ...], Variant]]) -> list[str]:
    """What two parts of a metric both lack that tells them apart; of the first two of which this can be said."""
    without: dict[tuple[tuple[str, ...], tuple[str, ...]], Crowd] = {}
    drops = list(dict.fromkeys(drop for drop, _ in taken))
    for drop, other in itertools.product(drops, repeat=2):
        left = tuple(word for word in drop if word in other)
        if left:
            crowd = without[drop, other] = Crowd()
            for place, (_, part) in ((at, each) for at, each in enumerate(taken) if each[0] == other):
                crowd.add(part.without(left), place)
    for place, (drop, one) in enumerate(taken):
        behind = [
            (at, other)
            for other in drops
            if (drop, other) in without
            for at in without[drop, other].meeting(one.without([word for word in drop if word in other]))
            if at > place and not one.meets(taken[at][1])
        ]
        if behind:
            return [word for word in drop if word in min(behind)[1]]
    return []


def _tells(part: Variant, word: str) -> bool:
    """Whether series of a variant can differ in a part of the key only."""
    if word in KINDS:
        return bool(getattr(part, word) != MACHINE)
    return any(name == word and (values is None or len(values) > 1) for name, values in part.attributes)


def _names(style: str, parts: Sequence[Variant]) -> Iterator[Mixed]:
    """Metrics, and attributes of one metric, that have one name in the output's form."""
    of: dict[str, str] = {}
    clashing: set[str] = set()
    for part in parts:
        name = names.metric(style, part.metric, part.unit, part.kind)
        first = of.setdefault(name, part.metric)
        if first != part.metric and name not in clashing:
            clashing.add(name)
            facts = {"metric": first, "other": part.metric, "name": name}
            yield Mixed("E-FLOW-CLASH", "names", "names", facts)
    for part in parts:
        words: dict[str, str] = {}
        for attribute, _ in part.attributes:
            word = names.attribute(style, attribute)
            known = words.setdefault(word, attribute)
            if known != attribute and f"{part.metric} {word}" not in clashing:
                clashing.add(f"{part.metric} {word}")
                facts = {"metric": part.metric, "other": attribute, "name": word, "attribute": known}
                yield Mixed("E-FLOW-CLASH", "attributes", "names", facts)
