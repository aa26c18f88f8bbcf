"""Fitting: what mends a metric that an instance cannot take, as words for people and, where it is certain, as an edit.

A filter that makes of it what is wanted, an option of one that is there, a selection that does without it, or another
option of its source. Each is tried before it is offered: what a filter gives goes through the same evaluator as in the
check, and what was taken before still has to be.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from meter.contracts.catalogue import Catalogue
from meter.contracts.diagnostics import listed
from meter.contracts.editing.apart import configured, dropping
from meter.contracts.editing.edits import Change, Edit, applied, rewritten
from meter.contracts.editing.makers import Makers
from meter.contracts.editing.mending import edit_of
from meter.contracts.editing.reselecting import Selections
from meter.contracts.editing.settings import entry, setting
from meter.contracts.editing.substitutes import substitute
from meter.contracts.editing.trouble import FEW, Trouble, Way, some
from meter.contracts.editing.trying import Sound, never
from meter.contracts.editing.ways import already, filter_for
from meter.contracts.instances import Instance, holds_when
from meter.contracts.language import language
from meter.contracts.model import MetricClause, RuleClause
from meter.contracts.placeholders import CONFIG
from meter.contracts.request import Given, Request
from meter.contracts.rules import Rule, WorstQuality, apply
from meter.contracts.selectors import Commensurable
from meter.contracts.variants import Variant

_Words = list[tuple[str, Mapping[str, Any]]]
"""New instances, as `plugins` names them, with their options."""


class Mender:
    """Looks for what makes of metrics what an instance can take.

    Args: `wrong` says whether a rule cannot take a part; `same_dimension` and `quality`, as the check has them; `sound`
        what a help may offer.
    """

    def __init__(
        self,
        request: Request,
        catalogue: Catalogue,
        wrong: Callable[[Rule, Variant], object],
        same_dimension: Commensurable,
        quality: WorstQuality,
        sound: Sound = never,
    ) -> None:
        self._request = request
        self._catalogue = catalogue
        self._wrong = wrong
        self._same = same_dimension
        self._makers = Makers(catalogue, wrong, same_dimension, quality)
        self._selections = Selections(wrong, same_dimension)
        self._sound_request = sound
        self._known: dict[tuple[Any, ...], str] = {}
        self._sound: dict[tuple[str, int], frozenset[str]] = {}

    # ------------------------------------------------------------------------------------------------------- edits

    def filtered(self, trouble: Trouble) -> Edit | None:
        """Put the one filter that mends it before the instance, with its options, and select what it gives."""
        source, label = self._request.document, trouble.instance.label
        if source is None or not trouble.compiled.option:
            return None
        ways = [way for way in self._makers.ways(trouble) if way.exact and way.options]
        names = {variant.metric for variant in trouble.live}
        if len(ways) != 1 or any(variant.metric in names for variant in ways[0].given):
            return None
        (way,) = ways
        asked = self._asked(way.plugin, trouble)
        texts = self._selections.selection(trouble, way)
        if not asked or texts is None:
            return None
        made = [*self._put_in(trouble, asked, way), *self._selected(trouble, texts)]
        edit = edit_of("insert", made, filter=asked, instance=label)
        return edit if edit is not None and _is_toml(source.text, edit) else None

    def read(self, trouble: Trouble) -> Edit | None:
        """Let a formula read what a filter makes of a counter: one that is there, else the only one, put before it."""
        source, label = self._request.document, trouble.instance.label
        given = self._request.config.get(label, {}).get(trouble.compiled.option)
        if source is None or given is None or trouble.compiled.formula is None:
            return None
        (metric,) = trouble.metrics
        for way in self._makers.existing(trouble):
            if all(map(self._makers.is_exact, [trouble] * len(way.given), trouble.whole, way.given)):
                new = way.given[0].metric
                return edit_of("rename", [self._reading(trouble, given, new)], old=metric, new=new)
        ways = [way for way in self._makers.ways(trouble) if way.exact and way.options]
        names = {variant.metric for variant in trouble.live}
        asked = self._asked(ways[0].plugin, trouble) if len(ways) == 1 else ""
        if not asked or ways[0].given[0].metric in names:
            return None
        made = [*self._put_in(trouble, asked, ways[0]), self._reading(trouble, given, ways[0].given[0].metric)]
        edit = edit_of("insert", made, filter=asked, instance=label)
        return edit if edit is not None and _is_toml(source.text, edit) else None

    def _put_in(self, trouble: Trouble, asked: str, way: Way) -> list[Change | None]:
        """The changes that put a filter with its options before the instance, or before the last one that is asked."""
        assert self._request.document is not None
        writer, label = self._request.document.writer(), trouble.instance.label
        last = len(self._request.plugins) - 1
        place = next((n for n, each in enumerate(self._request.plugins) if each.label == label), last)
        return [
            writer.before((*self._request.path, "plugins", place), asked),
            writer.put((*self._request.path, "config", asked.rpartition("#")[2]), way.options),
        ]

    @staticmethod
    def _reading(trouble: Trouble, given: Given, new: str) -> Change:
        """The change that lets a formula read another metric wherever it reads the one that is wrong."""
        assert trouble.compiled.formula is not None
        text = trouble.compiled.formula.text
        for reading in reversed(trouble.compiled.formula.readings):
            if reading.selector.glob in trouble.metrics:
                start, end = reading.named
                text = text[:start] + text[start:end].replace(reading.selector.glob, new, 1) + text[end:]
        item = trouble.compiled.item
        return rewritten(given.locate((item,) if item else ()), trouble.compiled.formula.text, text)

    # ------------------------------------------------------------------------------------------------------- words

    def told(self, trouble: Trouble, wider: Trouble, **facts: str) -> str:
        """What mends it, in the words of a request.

        Args: wider, all that the item took and that is wrong in the same clause, so that one filter may do for all;
            facts, `metric` and `wanted` as the message has them.
        """
        facts["instance"] = trouble.instance.label
        facts["entry"] = entry(self._request, trouble.instance.label)
        facts["where"] = "" if self._request.document is None else f" {_say('where')}"
        if trouble.clause == "kind" and all(already(trouble.compiled.rule, part, self._same) for part in trouble.whole):
            got = {"kind": trouble.whole[0].kind, "unit": trouble.whole[0].unit}
            return _say("already", **facts, **got, without=self._told_without(trouble, facts))
        if (
            told := self._by_option(wider, facts)
            or self._there(trouble, facts)
            or self._for_all(trouble, wider, facts)
            or self._by_filter(trouble, facts)
        ):
            return told
        leaves, without = self._leaving(trouble), self._told_without(trouble, facts)
        if ways := self._fitting(trouble):
            return _say("keep", **facts, filter=ways[0].plugin, without=without)
        if name := "" if self._scales(trouble) else self._named(trouble):
            return _say("some", **facts, filter=name, without=without)
        if leaves is not None:
            variant, left = ("drop", "") if leaves[0] else ("leave", self._left(trouble))
            return _say(variant, **facts, filter=leaves[0], settings=leaves[1], left=left)
        return self._without_filter(trouble, facts)

    def _by_option(self, wider: Trouble, facts: Mapping[str, str]) -> str:
        """The option of an output with which it takes all that it selects, and what to write; empty without one."""
        instance = wider.instance
        if instance.contract.role != "output":
            return ""
        for options, new in self._switched(instance, instance.contract.needs.metrics):
            if self._takes_all(wider, new):
                settings = setting(self._request, instance.label, options)
                return _say("own", **facts, settings=settings, without=self._told_without(wider, facts))
        return ""

    def _switched(
        self, instance: Instance, tables: Iterable[MetricClause | RuleClause]
    ) -> Iterator[tuple[dict[str, Any], Instance]]:
        """The options that make a table hold which does not, and the instance with them, for each that can be had."""
        given = self._request.config.get(instance.label, {})
        for table in tables:
            if table.when and not holds_when(table.when, instance.config, instance.contract.config):
                options = {name: each[0] if isinstance(each, list) else each for name, each in table.when.items()}
                new = configured(instance, given, options)
                if new is not None:
                    yield options, new

    def _takes_all(self, trouble: Trouble, new: Instance) -> bool:
        """Whether an instance with other options can take whatever it would select, and selects what it did."""
        rules = [compiled.rule for compiled in new.rules]
        hits, _ = apply(rules, trouble.live, self._same)
        if any(self._wrong(rules[hit.rule], hit.part) for hit in hits):
            return False
        taken = {hit.part for hit in hits}
        return all(self._selections.parts(variant, trouble.texts) <= taken for variant in trouble.live)

    def _left(self, trouble: Trouble) -> str:
        """What an instance still gets without what is wrong, where that is little enough, and who gets all of it."""
        rules = [compiled.rule for compiled in trouble.instance.rules]
        hits, _ = apply(rules, trouble.live, self._same)
        names = sorted({hit.part.metric for hit in hits if not self._wrong(rules[hit.rule], hit.part)})
        told = []
        if 0 < len(names) <= FEW:
            told.append(_say("left", instance=trouble.instance.label, metrics=listed(names)))
        takers = [trouble.takers.get(metric, frozenset()) & trouble.outputs for metric in trouble.metrics]
        if others := frozenset.intersection(*takers) if takers else frozenset[str]():
            told.append(_say("still", others=" and ".join(f"`{label}`" for label in sorted(others))))
        return f": {', '.join(told)}" if told else ""

    def _for_all(self, trouble: Trouble, wider: Trouble, facts: Mapping[str, str]) -> str:
        """One filter for all that is wrong in one way, if there is more than the trouble at hand; looked for once."""
        if wider.metrics == trouble.metrics:
            return ""
        key = (wider.instance.label, wider.compiled.place, wider.item, wider.clause, wider.metrics)
        if key not in self._known:
            self._known[key] = self._by_filter(wider, {**facts, "metric": some(sorted(wider.metrics))})
        return self._known[key]

    def _there(self, trouble: Trouble, facts: Mapping[str, str]) -> str:
        """The filter that is there and makes of all of it what is wanted, and what is to be written."""
        for way in self._makers.existing(trouble):
            if settings := self._settings_of(trouble, way):
                return _say("there", **facts, filter=way.plugin, settings=" or ".join(settings))
        return ""

    def _by_filter(self, trouble: Trouble, facts: Mapping[str, str]) -> str:
        """The filter to put in that makes of all of it what is wanted, and all that is to be written."""
        leaves = self._leaving(trouble)
        for way, words in self._plans(trouble):
            if found := self._insertion(trouble, way, words):
                without = self._told_without(trouble, facts)
                if leaves is not None and not leaves[0] and found[1].endswith(leaves[1]):
                    without = _say("without-same", **facts, settings=leaves[1])
                if leaves is not None and leaves[0] and leaves[0] in found[0]:
                    without = ""
                variant = "insert" if found[1] else "plain"
                made = self._gets(trouble, way)
                return _say(variant, **facts, filters=found[0], settings=found[1], made=made, without=without)
        return ""

    @staticmethod
    def _gets(trouble: Trouble, way: Way) -> str:
        """What the instance gets then, where that is called otherwise."""
        before = {variant.metric: variant.unit for variant in trouble.whole}
        after = {variant.metric: variant.unit for variant in way.given}
        if after.keys() <= before.keys() or len(after) > FEW:
            return ""
        units = set(before.values()) != set(after.values())
        names = [f"`{name}` in `{unit}`" if units else f"`{name}`" for name, unit in sorted(after.items())]
        return _say("made", instance=trouble.instance.label, metrics=" and ".join(names))

    def _plans(self, trouble: Trouble) -> Iterator[tuple[Way, _Words]]:
        """One filter for all of it, else one for each unit; with the words and options of the instances to put in."""
        for way in self._fitting(trouble):
            if asked := self._asked(way.plugin, trouble):
                yield way, [(asked, way.options)]
        units = sorted({part.unit for part in trouble.whole})
        given: dict[Variant, Variant] = {}
        words: _Words = []
        for nth, unit in enumerate(units if 1 < len(units) <= FEW else (), start=1):
            alike = frozenset(part.metric for part in trouble.whole if part.unit == unit)
            group = trouble._replace(metrics=alike)
            way_of = next(iter(self._fitting(group)), None)
            label = "" if way_of is None else f"{way_of.plugin}-{nth}"
            if way_of is None or label in trouble.labels or label in self._request.config:
                return
            words.append((f"{way_of.plugin}#{label}", way_of.options))
            given.update(zip(group.whole, way_of.given, strict=True))
        if words:
            yield Way(plugin="", given=tuple(given[part] for part in trouble.whole)), words

    def _fitting(self, trouble: Trouble) -> list[Way]:
        """The filters that make of it what can be taken, those first that change the least."""
        found = (way for way in self._makers.ways(trouble) if self._makers.takes(trouble, way))
        return sorted(found, key=lambda way: way.cost)

    def _told_without(self, trouble: Trouble, facts: Mapping[str, str]) -> str:
        """How it is done without what is wrong, to stand behind something else; empty where nothing would be left."""
        leaves = self._leaving(trouble)
        if leaves is None:
            return ""
        variant, left = ("without-drop", "") if leaves[0] else ("without", self._left(trouble))
        return _say(variant, **facts, filter=leaves[0], settings=leaves[1], left=left)

    def _without_filter(self, trouble: Trouble, facts: Mapping[str, str]) -> str:
        """What mends it where neither a filter nor another selection does."""
        if trouble.maker is not None and (options := self._other(trouble, trouble.maker)):
            maker = trouble.maker.label
            settings = setting(self._request, maker, options)
            instead = self._substitute(trouble)
            variant = "instead" if instead else "lost" if trouble.instance.contract.role == "output" else "other"
            return _say(variant, **facts, source=maker, settings=settings, instead=instead)
        if option := self._unit_option(trouble):
            settings = setting(self._request, trouble.instance.label, {option: trouble.whole[0].unit})
            return _say("unit", **facts, settings=settings)
        if trouble.compiled.option and (others := self._others(trouble)):
            more = " …" if len(others) > FEW else ""
            name = f"config.{trouble.instance.label}.{trouble.compiled.option}"
            return _say("takes", **facts, option=name, others=listed(others[:FEW]) + more)
        return _say("none", **facts)

    def _substitute(self, trouble: Trouble) -> str:
        """The output that takes all of it, in the place of the one that cannot; empty without one."""

        def takes(new: Instance) -> bool:
            rules = [compiled.rule for compiled in new.rules]
            hits, rest = apply(rules, trouble.whole, self._same)
            return not rest and not any(self._wrong(rules[hit.rule], hit.part) for hit in hits)

        if trouble.instance.contract.role != "output":
            return ""
        return substitute(self._request, self._catalogue, trouble.instance, takes, self._sound_request)

    def _unit_option(self, trouble: Trouble) -> str:
        """The option that says which unit is demanded, if that is what does not fit."""
        clause = trouble.instance.contract.needs.metrics[trouble.compiled.place]
        option = CONFIG.fullmatch(clause.unit) if trouble.clause == "unit" else None
        return option[1] if option is not None and not self._scales(trouble) else ""

    def _others(self, trouble: Trouble) -> list[str]:
        """Metrics that reach the instance, that it could take and does not select."""
        label, rule = trouble.instance.label, trouble.compiled.rule
        there = (each for each in trouble.live if label not in each.via and not self._wrong(rule, each))
        there = (each for each in there if not self._selections.parts(each, trouble.texts))
        return sorted({variant.metric for variant in there})

    def _insertion(self, trouble: Trouble, way: Way, words: _Words) -> tuple[str, str] | None:
        """The filters to put in, and what to write for it; None where that would not be enough."""
        if {variant.metric for variant in trouble.live}.intersection(new.metric for new in way.given):
            return None
        filters = [asked for asked, _ in words]
        settings = [setting(self._request, asked.rpartition("#")[2], options) for asked, options in words if options]
        texts = self._selections.selection(trouble, way)
        if trouble.compiled.option and texts is not None:
            if texts != trouble.texts:
                settings.append(self._option(trouble, texts))
        elif not trouble.compiled.option and way.keeps and (dropper := self._dropper(trouble, way)):
            filters += [dropper[0]] if dropper[0] else []
            settings.append(dropper[1])
        elif trouble.compiled.option or way.keeps:
            return None
        return " and ".join(f"`{each}`" for each in filters), " and ".join(settings)

    def _option(self, trouble: Trouble, texts: Sequence[str]) -> str:
        option = trouble.compiled.option
        many = isinstance(trouble.instance.config[option], list)
        return setting(self._request, trouble.instance.label, {option: list(texts) if many else texts[0]})

    def _settings_of(self, trouble: Trouble, way: Way) -> list[str]:
        """What to write where a filter that is there makes what is wanted, and what it takes goes on, too."""
        found = []
        if way.option and self._only(trouble, way.plugin) and self._selections.stays(trouble, way.given):
            found.append(setting(self._request, way.plugin, {way.option: False}))
        texts = self._selections.selection(trouble, way) if trouble.compiled.option else None
        if texts is not None:
            found.append(self._option(trouble, texts))
        return found

    def _leaving(self, trouble: Trouble) -> tuple[str, str] | None:
        """How all is taken as before but what is wrong: a filter to put in, if one is needed, and what to write.

        What nobody else takes has to be dropped. None where nothing would be left.
        """
        if trouble.compiled.option and all(trouble.takers.get(name) for name in trouble.metrics):
            for texts in self._selections.without(trouble):
                if self._selections.holds(trouble, None, texts) and self._selections.takes_something(trouble, texts):
                    return "", self._option(trouble, texts)
        return self._dropper(trouble) if self._selections.stays(trouble, ()) else None

    @staticmethod
    def _only(trouble: Trouble, label: str) -> bool:
        """Whether nobody else takes the metrics but a filter and the instance."""
        return all(trouble.takers.get(metric, frozenset()) <= {label} for metric in trouble.metrics)

    def _scales(self, trouble: Trouble) -> bool:
        """Whether only a factor or a summand is missing, so that a filter of another dimension is no help."""
        return trouble.clause == "unit" and any(self._same(part.unit, trouble.wanted[0]) for part in trouble.whole)

    def _named(self, trouble: Trouble) -> str:
        """The filter that could make of it what is wanted, with options that nobody but the user knows."""
        unit = trouble.compiled.rule.unit if trouble.clause == "kind" else ""
        return filter_for(self._catalogue, trouble.whole[0], trouble.clause, trouble.wanted, self._same, unit)

    def _dropper(self, trouble: Trouble, way: Way | None = None) -> tuple[str, str] | None:
        """The filter that drops before an output what it cannot take, and what to write for it."""
        if trouble.instance.contract.role == "filter":
            return None
        given = way.given if way else ()
        new = [part for variant in given for part in self._selections.parts(variant, trouble.texts)]
        if not self._sound_names(trouble) and all(self._wrong(trouble.compiled.rule, part) for part in new):
            return None
        names = sorted(trouble.metrics)
        got = sorted({getattr(part, trouble.clause) for part in trouble.whole})
        if len(names) > FEW and trouble.clause != "unit":
            names = [f"*{{{trouble.clause}={'|'.join(got)}}}"]
        name, settings = dropping(self._request, self._catalogue, trouble.filters, names)
        return (name, settings) if settings else None

    def _sound_names(self, trouble: Trouble) -> frozenset[str]:
        """The metrics of which the instance takes something by this rule that it can take; worked out once."""
        key = trouble.instance.label, trouble.compiled.place
        if key not in self._sound:
            rule = trouble.compiled.rule
            parts = ((each, self._selections.parts(each, trouble.texts)) for each in trouble.live)
            sound = (each for each, taken in parts if any(not self._wrong(rule, part) for part in taken))
            self._sound[key] = frozenset(variant.metric for variant in sound)
        return self._sound[key]

    def _other(self, trouble: Trouble, maker: Instance) -> dict[str, Any]:
        """Other options with which a source gives nothing but what can be taken; empty where there are none."""
        for options, new in self._switched(maker, maker.contract.provides.metrics):
            parts = [self._selections.parts(variant, trouble.texts) for variant in new.emits]
            if parts and all(parts) and not any(self._wrong(trouble.compiled.rule, p) for each in parts for p in each):
                return options
        return {}

    # -------------------------------------------------------------------------------------------------------- ways

    def _asked(self, plugin: str, trouble: Trouble) -> str:
        """The word for a new instance; the empty text where its label is taken."""
        asked = plugin if plugin not in trouble.labels else f"{plugin}#{plugin}-{trouble.instance.label}"
        label = asked.rpartition("#")[2]
        return "" if label in trouble.labels or label in self._request.config else asked

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


def _say(variant: str, **facts: str) -> str:
    return language().phrase("text", "fit", "text", variant, **facts)
