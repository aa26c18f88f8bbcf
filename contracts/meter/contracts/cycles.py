"""Cycles: edges between instances, and E-CYCLE for a ring of them, with what opens it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from attrs import evolve

from meter.contracts.diagnostics import Diagnostic, listed
from meter.contracts.editing.edits import Edit
from meter.contracts.editing.elsewhere import elsewhere
from meter.contracts.editing.splitting import Split, split
from meter.contracts.editing.trying import LONG, Sound
from meter.contracts.editing.writing import toml
from meter.contracts.instances import Compiled, Instance
from meter.contracts.language import language
from meter.contracts.request import Request
from meter.contracts.selectors import matches
from meter.contracts.spans import Span

SHOWN: Final = 12
"""Edges of a ring that are told."""


class Edge(NamedTuple):
    """`first` comes before `then`; `because` names the clause or the metric.

    The clause is at `span`, the request's if it is of no instance, or it is the rule of `reader` at `place` in its
    `needs.metrics`, with the item of its selection: few edges are ever shown.
    """

    first: str
    then: str
    because: str
    strong: bool
    reader: str = ""
    place: int = 0
    item: int = -1
    span: Span | None = None
    by: str = ""
    """The instance whose clause it is."""


def cycle(
    ring: Sequence[str],
    edges: Iterable[Edge],
    by_label: Mapping[str, Instance],
    request: Request,
    sound: Sound,
) -> Diagnostic:
    """E-CYCLE for a ring of labels whose edges are among these."""
    best: dict[tuple[str, str], Edge] = {}
    for edge in sorted(edges, key=lambda e: (not e.strong, e.because)):
        best.setdefault((edge.first, edge.then), edge)
    pairs = list(zip(ring, (*ring[1:], ring[0]), strict=True))[:SHOWN]
    notes = tuple(language().phrase("note", "before", first=a, then=b, because=best[a, b].because) for a, b in pairs)
    spans = []
    for pair in pairs:
        edge = best[pair]
        rule = _read(edge, by_label[edge.reader], request) if edge.reader else None
        spans.append(edge.span or rule or by_label[pair[0]].span)
    shown = (*ring, ring[0]) if len(ring) <= SHOWN else (*ring[:SHOWN], "…", ring[0])
    text = " -> ".join(f"`{label}`" if label != "…" else label for label in shown)
    facts = {"count": str(len(ring)), "ring": text}
    asked = [pair for pair in pairs if not (best[pair].by or best[pair].reader)]
    others = dict.fromkeys(best[pair].by or best[pair].reader for pair in pairs if pair not in asked)
    variant, edit = "", None
    if all(best[pair].reader for pair in pairs):
        facts["way"], edit = _opened([best[pair] for pair in pairs], by_label, request, sound)
        variant = "flow"
    elif asked and others:
        facts |= {"first": asked[0][0], "then": asked[0][1], "others": listed(others)}
        facts["turned"] = _turned(request, *asked[0], sound)
        variant = "turned" if facts["turned"] else "asked"
    elif asked:
        variant = "order"
    elif len(ring) <= SHOWN and (apart := _apart(ring, by_label, request, sound)):
        variant, facts["way"] = "apart", apart
    return Diagnostic(
        code="E-CYCLE",
        facts=facts,
        spans=(by_label[ring[0]].span, *spans),
        clause="ordering",
        notes=notes,
        variant=variant,
        edit=edit,
    )


def _turned(request: Request, first: str, then: str, sound: Sound) -> str:
    """The order that is asked for with two labels the other way round; empty where a check refuses that, too."""
    chains = []
    for chain in request.order:
        places = [chain.index(label) for label in (first, then) if label in chain]
        if len(places) == 2 and places[0] < places[1]:
            turned = list(chain)
            turned[places[0]], turned[places[1]] = then, first
            chains.append(tuple(turned))
        else:
            chains.append(chain)
    if not sound(evolve(request, order=tuple(chains))):
        return ""
    if request.document is None:
        return " ".join(f"--order {','.join(chain)}" for chain in chains)
    return f"order = {toml(chains)}"


def _apart(ring: Sequence[str], by_label: Mapping[str, Instance], request: Request, sound: Sound) -> str:
    """How one of a ring, the last by name that can, does its work in a mount of its own."""
    chain = list(by_label.values())
    for label in sorted(ring, reverse=True):
        if told := elsewhere(request, chain, label, set(ring) - {label}, sound):
            return told
    return ""


def _of(maker: Instance, compiled: Compiled) -> set[int]:
    """The items of a selection that name what an instance could give."""
    given = [each.rule.gives.name.replace("${metric}", "*") for each in maker.rules if each.rule.gives is not None]
    select = [each for each in compiled.rule.select if each.literal and not each.excludes]
    return {compiled.rule.select.index(each) for each in select if any(matches(name, each.glob) for name in given)}


def _opened(
    edges: Sequence[Edge],
    by_label: Mapping[str, Instance],
    request: Request,
    sound: Sound,
) -> tuple[str, Edit | None]:
    """What opens a ring of reads, and the edit that does so and loses nothing."""
    say = language().phrase
    items = []
    kept: Split | None = None
    for edge in edges:
        reader = by_label[edge.reader]
        for compiled in reader.rules:
            if compiled.place == edge.place and compiled.asked and compiled.formula is None and edge.item >= 0:
                text = compiled.rule.select[edge.item].text
                items.append(say("text", "ring", "text", "item", item=text, reader=reader.label))
                places = _of(by_label[edge.first], compiled)
                kept = kept or split(request, reader, compiled.option, places, set(by_label), sound)
    way = say("text", "ring", "text", "items" if items else "", items=" or ".join(dict.fromkeys(items)))
    if kept is None or len(kept.own) + len(kept.rest) > LONG:
        return way, kept.edit if kept is not None else None
    facts = {"asked": kept.asked, "reader": kept.reader, "own": kept.own, "rest": kept.rest}
    where = f" {say('text', 'fit', 'text', 'where')}" if request.document is not None else ""
    return say("text", "ring", "text", "split", **facts, where=where, way=way), kept.edit


def _read(edge: Edge, reader: Instance, request: Request) -> Span:
    """Where it is said what an instance reads: the item of the request's selection, else the rule of its contract."""
    option = next((compiled.option for compiled in reader.rules if compiled.place == edge.place), "")
    given = request.config.get(reader.label, {}).get(option)
    if given is None:
        return reader.contract.source.key("needs", "metrics", edge.place)
    many = given.words or isinstance(given.raw, list)
    return given.locate((edge.item,) if many and edge.item >= 0 else ())
