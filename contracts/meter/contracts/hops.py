"""Reading a plan: the metrics behind each instance, where they go, and why each instance stands where it does.

It works on the plan's document alone, so that an explanation out of a valid lock loads nothing of the contract
language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

Row = dict[str, Any]
"""A metric as the plan has it.

Name, giver (`from`), type, unit, kind, whether it is additive, quality, interval in nanoseconds (0: not known), kinds
of resource and consumer, attributes.
"""


def behind(plan: Mapping[str, Any], instance: str) -> list[Row]:
    """The metrics behind an instance, sorted by name and giver; an output changes nothing of them."""
    rows: list[Row] = []
    for label in plan["order"]:
        hop = plan["hops"][label]
        gone = {(row["metric"], row["from"]) for row in (*hop["ends"], *hop["narrows"])}
        rows = [row for row in rows if (row["metric"], row["from"]) not in gone]
        rows += [*hop["narrows"], *hop["adds"]]
        if label == instance:
            break
    return sorted(rows, key=lambda row: (row["metric"], row["from"]))


def flows(plan: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Which metrics go from which instance to which, as selectors; pairs in the order of the chain.

    What a filter lets pass goes from the instance that gave it straight to whoever takes it next.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for label in plan["order"]:
        for take in plan["hops"][label]["takes"]:
            found.setdefault((take["from"], label), []).append(take["metric"] + take["part"])
    place = {label: at for at, label in enumerate(plan["order"])}
    return dict(sorted(found.items(), key=lambda item: (place[item[0][0]], place[item[0][1]])))


class Reason(NamedTuple):
    """Why an instance stands before or after another one.

    `rule` is `placement`, `gives`, `removes`, `changes`, `clause`, `order` or `asked`; `subject` the metric, or the
    clause and `plugin` the plugin that states it. `asked`: nothing orders the two but the request.
    """

    side: str
    other: str
    rule: str
    subject: str = ""
    plugin: str = ""


_FORMS: Final = (
    ("removes", re.compile(r"flow: `.*` removes (?P<subject>.*)", re.DOTALL)),
    ("changes", re.compile(r"flow: `.*` changes (?P<subject>.*)", re.DOTALL)),
    ("gives", re.compile(r"flow: (?P<subject>.*)", re.DOTALL)),
    ("clause", re.compile(r"clause: (?P<subject>.*) of `(?P<plugin>.*)`", re.DOTALL)),
    ("order", re.compile(r"asked: order")),
)


def chain(plan: Mapping[str, Any]) -> str:
    """A chain in one line: the instances of each placement, `->` between placements."""
    groups: dict[str, list[str]] = {}
    for plugin in plan["plugins"]:
        groups.setdefault(plugin["placement"], []).append(plugin["instance"])
    return " -> ".join(", ".join(labels) for labels in groups.values())


def placed(plan: Mapping[str, Any], instance: str) -> Iterator[Reason]:
    """Why an instance stands where it does: every edge of the order, and its neighbours that no edge ties to it.

    Edges first, in the order of the chain, then the neighbour before and the one behind. Of two neighbours without an
    edge the first one was free to go when the chain had come so far, and its rank was the lesser: that is its
    placement, or else the place in the request.
    """
    order = plan["order"]
    at = order.index(instance)
    tied = set()
    edges = sorted(plan["edges"], key=lambda edge: (order.index(edge["from"]), order.index(edge["to"])))
    for edge in edges:
        if instance in (edge["from"], edge["to"]):
            side, other = ("before", edge["to"]) if edge["from"] == instance else ("after", edge["from"])
            tied.add(other)
            yield _reason(side, other, edge["because"])
    placement = {plugin["instance"]: plugin["placement"] for plugin in plan["plugins"]}
    for side, place in (("after", at - 1), ("before", at + 1)):
        if 0 <= place < len(order) and order[place] not in tied:
            other = order[place]
            same = placement[other] == placement[instance]
            yield Reason(side, other, "asked" if same else "placement")


def _reason(side: str, other: str, because: str) -> Reason:
    for rule, form in _FORMS:
        if found := form.fullmatch(because):
            return Reason(side, other, rule, **found.groupdict())
    return Reason(side, other, "clause", because)


class Candidate(NamedTuple):
    """A plugin that could have been there instead: for what, and why it is not."""

    plugin: str
    need: str
    why: str


def candidates(plan: Mapping[str, Any]) -> dict[str, list[Candidate]]:
    """For each instance the plugins that could have been there instead.

    A candidate for something that no instance says it is there for stands at the empty label.
    """
    by_need: dict[str, str] = {}
    for plugin in plan["plugins"]:
        needed = re.fullmatch(r"(?:needed by `.*`|recommended by `.*`|wanted) for `(.*)`", plugin["because"])
        by_need.setdefault(needed[1] if needed else plugin["instance"], plugin["instance"])
    found: dict[str, list[Candidate]] = {}
    for row in plan["rejected"]:
        found.setdefault(by_need.get(row["for"], ""), []).append(Candidate(row["plugin"], row["for"], row["why"]))
    return found
