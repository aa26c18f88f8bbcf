"""Mending: edits of a mount file that put in a filter, say an order, or take out what is too much.

An edit is tried before it is offered: what a new filter gives goes through the same evaluator as in the check, and what
was taken before still has to be.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from meter.contracts import selectors
from meter.contracts.catalogue import Catalogue, is_listed
from meter.contracts.editing.edits import Change, Edit, applied, clear, instead, renamed, rewritten
from meter.contracts.instances import CONFIG, Compiled, Instance, configure
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.request import Given, Request
from meter.contracts.rules import Rule, WorstQuality, give
from meter.contracts.selectors import Commensurable, Selector
from meter.contracts.variants import Variant

_NAMED: Final = 6
"""So many metrics are named one by one; of more than that the selector that took them says what is meant."""


# ---------------------------------------------------------------------------------------------------------- requests


def ordered(request: Request, first: str, then: str) -> Edit | None:
    """Say in `order` that one instance comes before another one."""
    if request.document is None:
        return None
    pair = [first, then]
    if request.order:
        change = request.document.writer().before((*request.path, "order", 0), pair)
    elif request.document.mentions(*request.path, "order"):
        change = instead(request.place("order"), f'[["{first}", "{then}"]]')
    else:
        change = request.document.writer().put((*request.path, "order"), [pair])
    return _edit("order", [change], first=first, then=then)


def unordered(request: Request, chain: int, place: int, labels: Collection[str]) -> Edit | None:
    """Correct a label in `order` that nothing has, or take it out; with its chain where this has one other only."""
    if request.document is None:
        return None
    words = request.order[chain]
    word = words[place]
    written = tomllib.loads(request.document.text)["mounts"][request.mountpoint]["order"]
    if list(map(list, request.order)) != written:  # some of it was left out before
        return None
    if meant := clear(word, set(labels).difference(words)):
        return renamed(request.place("order", chain, place), word, meant)
    path: tuple[str | int, ...] = (*request.path, "order", chain, place)
    if len(words) <= 2:
        path = path[:-1] if len(request.order) > 1 else path[:-2]
    return _edit("remove", [request.document.writer().without(path)], word=word)


def left_out(request: Request, word: str, place: int) -> Edit | None:
    """Take a word out of `plugins`."""
    if request.document is None:
        return None
    return _edit("remove", [request.document.writer().without((*request.path, "plugins", place))], word=word)


def cut(contract: Contract, word: str, *path: str | int) -> Edit | None:
    """Take a word or a key with its value out of a contract."""
    return _edit("remove", [contract.source.writer().without(path)], word=word)


def _edit(kind: str, changes: Iterable[Change | None], **facts: str) -> Edit | None:
    """An edit of all these changes; none where one of them cannot be made."""
    made = tuple(changes)
    found = tuple(change for change in made if change is not None)
    return Edit(kind=kind, changes=found, facts=facts) if len(found) == len(made) else None


# ----------------------------------------------------------------------------------------------------------- filters


class Trouble(NamedTuple):
    """Metrics that an item of a selection took and that its rule cannot take.

    `clause` says what of them is wrong, `wanted` what it has to be; `live` is all that reaches the instance, `labels`
    are those of the chain.
    """

    instance: Instance
    compiled: Compiled
    item: int
    clause: str
    wanted: tuple[str, ...]
    metrics: frozenset[str]
    live: Sequence[Variant]
    labels: Collection[str]

    @property
    def whole(self) -> list[Variant]:
        """All of the metrics: a name has one type, unit and kind, so that none of it can be taken."""
        found = [variant for variant in self.live if variant.metric in self.metrics]
        return sorted(found, key=lambda variant: str(variant.to_json()))

    @property
    def texts(self) -> list[str]:
        """The selection as it is."""
        value = self.instance.config[self.compiled.option]
        return list(value) if isinstance(value, list) else [value]


class _Way(NamedTuple):
    """A filter that makes of metrics what is wanted, its options, and what it gives."""

    plugin: str
    options: dict[str, Any]
    given: tuple[Variant, ...]


class Mender:
    """Looks for the filter that makes of metrics what an instance can take.

    Args: `wrong` says whether a rule cannot take a part; `same_dimension` and `quality`, as the check has them.
    """

    def __init__(
        self,
        request: Request,
        catalogue: Catalogue,
        wrong: Callable[[Rule, Variant], object],
        same_dimension: Commensurable,
        quality: WorstQuality,
    ) -> None:
        self._request = request
        self._catalogue = catalogue
        self._wrong = wrong
        self._same = same_dimension
        self._quality = quality

    def filtered(self, trouble: Trouble) -> Edit | None:
        """Put the one filter that mends it before the instance, with its options, and select what it gives."""
        source, label = self._request.document, trouble.instance.label
        if source is None or not trouble.compiled.option:
            return None
        ways = list(self._ways(trouble))
        names = {variant.metric for variant in trouble.live}
        if len(ways) != 1 or any(variant.metric in names for variant in ways[0].given):
            return None
        (way,) = ways
        asked = self._asked(way.plugin, trouble)
        texts = next((new for new in _selections(trouble, way) if self._holds(trouble, way, new)), None)
        if not asked or texts is None:
            return None
        writer = source.writer()
        last = len(self._request.plugins) - 1
        place = next((n for n, each in enumerate(self._request.plugins) if each.label == label), last)
        path = (*self._request.path, "config")
        changes = [
            writer.before((*self._request.path, "plugins", place), asked),
            writer.put((*path, asked.rpartition("#")[2]), way.options),
            *self._selected(trouble, texts),
        ]
        edit = _edit("insert", changes, filter=asked, instance=label)
        return edit if edit is not None and _is_toml(source.text, edit) else None

    def _asked(self, plugin: str, trouble: Trouble) -> str:
        """The word for a new instance; the empty text where its label is taken."""
        asked = plugin if plugin not in trouble.labels else f"{plugin}#{plugin}-{trouble.instance.label}"
        label = asked.rpartition("#")[2]
        return "" if label in trouble.labels or label in self._request.config else asked

    def _ways(self, trouble: Trouble) -> Iterator[_Way]:
        """Every filter with one rule that changes nothing but the name and what is wrong."""
        place = language().rank("placement", trouble.instance.contract.placement)
        for contract in self._catalogue.contracts():
            role = language().words["placement"][contract.placement]["role"]
            early = language().rank("placement", contract.placement) <= place
            if role != "filter" or not early or len(contract.needs.metrics) != 1 or not is_listed(contract):
                continue
            options = _options(contract, trouble)
            rule = None if options is None else _rule(contract, options, trouble)
            if options is None or rule is None:
                continue
            given = [self._made(rule, part, contract.name, trouble) for part in trouble.whole]
            found = tuple(new for new in given if new is not None)
            if found and len(found) == len(given):
                yield _Way(contract.name, options, found)

    def _made(self, rule: Rule, part: Variant, label: str, trouble: Trouble) -> Variant | None:
        """What a filter makes of a metric; None where it cannot take it, or changes more than it has to."""
        hits, rest = selectors.split_list(part, rule.select, self._same)
        new = give(rule, part, label, self._quality)
        if rest or len(hits) != 1 or new is None or self._wrong(rule, part):
            return None
        kept = {name: getattr(new, name) for name in ("metric", "origin", "via", "quality", trouble.clause)}
        if trouble.clause == "kind":
            kept["additive"] = new.additive  # follows from the kind
        elif trouble.clause == "unit":
            kept["type"] = new.type  # what is converted is no integer any more
        mended = getattr(new, trouble.clause) in trouble.wanted
        return new if mended and new.metric != part.metric and part._replace(**kept) == new else None

    def _holds(self, trouble: Trouble, way: _Way, texts: Sequence[str]) -> bool:
        """Whether a selection takes what the filter gives, nothing that is wrong, and all else as before."""
        rule = trouble.compiled.rule._replace(select=tuple(map(selectors.parse, texts)))
        for variant in trouble.live:
            now = self._parts(variant, rule.select)
            before = set() if variant.metric in trouble.metrics else self._parts(variant, trouble.compiled.rule.select)
            if now != before:
                return False
        taken = [self._parts(variant, rule.select) for variant in way.given]
        return all(taken) and not any(self._wrong(rule, part) for parts in taken for part in parts)

    def _parts(self, variant: Variant, select: Sequence[Selector]) -> set[Variant]:
        return {hit.part for hit in selectors.split_list(variant, select, self._same)[0]}

    def _selected(self, trouble: Trouble, texts: Sequence[str]) -> Iterator[Change | None]:
        """The changes that make another selection of the one that is there."""
        label, option = trouble.instance.label, trouble.compiled.option
        path = (*self._request.path, "config", label, option)
        given = self._request.config.get(label, {}).get(option)
        old = trouble.texts
        if given is None:
            many = isinstance(trouble.instance.config[option], list)
            assert self._request.document is not None
            yield self._request.document.writer().put(path, list(texts) if many else texts[0])
            return
        many = isinstance(given.raw, list)
        for place, text in enumerate(texts):
            if place >= len(old):
                assert self._request.document is not None
                yield self._request.document.writer().before((*path, 0), text) if many else None
            elif text != old[place]:
                yield rewritten(given.locate((place,) if many else ()), old[place], text)


def _is_toml(text: str, edit: Edit) -> bool:
    try:
        tomllib.loads(applied(text, edit.changes))
    except ValueError:
        return False
    return True


def _options(contract: Contract, trouble: Trouble) -> dict[str, Any] | None:
    """The options of a filter for the metrics at hand; None where it takes none by an option."""
    clause = contract.needs.metrics[0]
    selection = CONFIG.fullmatch(clause.metric)
    if selection is None:
        return None
    names = sorted(trouble.metrics)
    if trouble.clause == "kind" and len(names) > _NAMED and trouble.item >= 0:
        kinds = sorted({part.kind for part in trouble.whole})
        names = [with_condition(selectors.parse(trouble.texts[trouble.item]), "kind", kinds)]
    many = contract.config[selection[1]].type != "metric"
    if not many and len(names) != 1:
        return None
    options: dict[str, Any] = {selection[1]: names if many else names[0]}
    unit = CONFIG.fullmatch(clause.unit)
    if unit is not None:
        options[unit[1]] = trouble.wanted[0]
    return options


def _rule(contract: Contract, options: dict[str, Any], trouble: Trouble) -> Rule | None:
    """The rule of a filter with its options put in; None where these are not enough."""
    span = trouble.instance.span
    new = Instance(label=contract.name, contract=contract, span=span, because="")
    given = {name: Given(raw=raw, keys=(span,), locate=lambda _: span) for name, raw in options.items()}
    return None if configure(new, given) or len(new.rules) != 1 else new.rules[0].rule


def _selections(trouble: Trouble, way: _Way) -> Iterator[list[str]]:
    """Selections that could take what the filter gives in the place of what is wrong."""
    old = trouble.texts
    if trouble.item >= 0:
        item = selectors.parse(old[trouble.item])
        renames = {part.metric: new.metric for part, new in zip(trouble.whole, way.given, strict=True)}
        if item.glob in renames:
            yield _replaced(old, trouble.item, old[trouble.item].replace(item.glob, renames[item.glob], 1))
        elif trouble.clause != "unit":  # units that differ in their offset only are one to a condition
            yield _replaced(old, trouble.item, with_condition(item, trouble.clause, trouble.wanted))
    if len(trouble.metrics) <= _NAMED:
        yield [*old, *(f"!{name}" for name in sorted(trouble.metrics))]


def _replaced(texts: Sequence[str], place: int, text: str) -> list[str]:
    return [*texts[:place], text, *texts[place + 1 :]]


def with_condition(selector: Selector, name: str, values: Sequence[str]) -> str:
    """The text of a selector with one more condition."""
    conditions = [(key, each) for key, each in selector.conditions if key != name] + [(name, tuple(values))]
    inside = ",".join(f"{key}={'|'.join(each)}" for key, each in conditions)
    return f"{'!' * selector.excludes}{selector.glob}{{{inside}}}"
