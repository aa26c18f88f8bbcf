"""Flow: which metrics there are after each hop, and whether each hop can take what reaches it.

An over-approximation: the real layout always lies inside it, which `bind` verifies while running. A metric that
clashes, and what a hop would have made of a metric that it cannot take, is unknown and causes no further diagnostic:
one cause, one diagnostic. Two hops that cannot take the same metric are two causes, whichever of them comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from meter.contracts.catalogue import Catalogue
from meter.contracts.clashes import Clashes, attributes_text
from meter.contracts.delivery import mixed
from meter.contracts.diagnostics import MANY, Diagnostic, listed, nearest
from meter.contracts.editing.apart import alike, apart, dropping, left_out, renaming, taken_too, told_apart
from meter.contracts.editing.corrected import corrected
from meter.contracts.editing.edits import Edit, clear, renamed, within
from meter.contracts.editing.elsewhere import elsewhere
from meter.contracts.editing.emptied import Emptied
from meter.contracts.editing.fitting import Mender
from meter.contracts.editing.offers import offered
from meter.contracts.editing.settings import entry, setting
from meter.contracts.editing.trouble import FEW, Trouble, some
from meter.contracts.editing.trying import Sound
from meter.contracts.editing.ways import filter_for, givers
from meter.contracts.folding import Folding, Merging
from meter.contracts.host import Host
from meter.contracts.instances import Compiled, Instance
from meter.contracts.language import language
from meter.contracts.live import Live, Step, step
from meter.contracts.nothings import Nothing, causes, lacking
from meter.contracts.order import commensurable, worst_quality
from meter.contracts.request import Request
from meter.contracts.rules import Applied, Fault, Rule, apply, faults, give, merged, named
from meter.contracts.saying import Saying
from meter.contracts.selectors import Selector, matches, parse, split, with_condition
from meter.contracts.spans import COMMAND_LINE
from meter.contracts.spots import selected_at
from meter.contracts.units import UnitError
from meter.contracts.unkept import Broken
from meter.contracts.variants import Variant


@frozen(kw_only=True)
class Flow:
    """What each instance does to the variants, in the order of the chain; what each output gets; diagnostics."""

    steps: Mapping[str, Step]
    gets: Mapping[str, tuple[Variant, ...]]
    diagnostics: tuple[Diagnostic, ...]

    def behind(self, label: str) -> list[Variant]:
        """The variants behind an instance."""
        there: dict[int, Variant] = {}
        for instance, each in self.steps.items():
            for variant in each.gone:
                del there[id(variant)]
            there.update((id(variant), variant) for variant in each.come)
            if instance == label:
                break
        return list(there.values())


Wrong = dict[tuple[int, int, str, str], list[tuple[Fault, Variant]]]
"""What does not meet its rule, by rule, item, clause and what it is."""


@frozen
class _Walk:
    catalogue: Catalogue
    request: Request
    labels: frozenset[str]
    instances: Sequence[Instance]
    ranks: Mapping[str, int]
    """For each instance the place of its placement."""
    emitted: frozenset[str]
    """The names of what sources give."""
    tried: Sound
    """What a help may offer."""
    host: Host
    live: Live = field(factory=Live)
    """What reaches the next source or filter, and every output."""
    steps: dict[str, Step] = field(factory=dict)
    gets: dict[str, tuple[Variant, ...]] = field(factory=dict)
    say: Saying = field(factory=Saying)
    ever: list[Variant] = field(factory=list)
    """All that an instance has given, whether or not something of it goes on."""
    nothings: list[Nothing] = field(factory=list)
    missed: dict[str, int] = field(factory=dict)
    """Metrics that a mistyped selector has let pass, with the rank of its instance: what they are behind is unknown."""
    unknown: set[str] = field(factory=set)
    read: set[tuple[str, str]] = field(factory=set)
    made: dict[tuple[str, str], Instance] = field(factory=dict)
    clashing: Clashes = field(factory=Clashes)
    sources: set[str] = field(factory=set)
    menders: list[Mender] = field(factory=list)
    """The one that was needed, once there was something to mend."""
    broken: dict[tuple[str, int, str, int], Broken] = field(factory=dict)
    """Constraints that are not kept, by instance, rule and interval."""
    absent: dict[str, str] = field(factory=dict)
    ended: dict[str, str] = field(factory=dict)
    """Metrics of which nothing goes on, each with the instance that was the last to get it."""

    # ------------------------------------------------------------------------------------------------ one instance

    def enter(self, instance: Instance) -> None:
        """Lead what goes on through an instance."""
        for variant in instance.emits:
            self.made[instance.label, variant.metric] = instance
        self.ever.extend(instance.emits)
        role = instance.contract.role
        if role == "source":
            self.sources.add(instance.label)
            self.absent.update(instance.absent)
            self.add(instance, instance.emits)
            self.steps[instance.label] = Step(come=instance.emits)
            return
        rules = [compiled.rule for compiled in instance.rules]
        self.empty(instance)
        near = self.live.of(named(rules))
        applied, passing = apply(rules, near, commensurable)
        parts = [hit.part for hit in applied]
        self.read.update((hit.part.origin, hit.part.metric) for hit in applied)
        # Unknown behind this instance, not yet for its own other parts.
        given, doubtful = self.computed(instance, applied)
        taken: list[Variant] = []
        merging: dict[int, list[Merging]] = {}
        wrong: Wrong = {}
        worst = worst_quality()
        for hit in [each for each in applied if each.rule not in given]:  # what a formula reads is not taken
            compiled = instance.rules[hit.rule]
            if compiled.rule.keeps:
                passing.append(hit.part)
            new = give(compiled.rule, hit.part, instance.label, worst)
            if self.sound(instance, compiled, hit, wrong):
                taken.append(hit.part)
            elif new is not None:
                doubtful.add(new.metric)
            if new is None:
                continue
            if new.metric not in doubtful:
                merging.setdefault(hit.rule, []).append(Merging(hit.part, new, hit.item))
            given.setdefault(hit.rule, []).append(new)
            self.made[instance.label, new.metric] = instance
            if new.metric not in doubtful and not self.unit(instance, compiled, new):
                doubtful.add(new.metric)
        for key in wrong:
            self.fault(instance, wrong, key)
        for rule, pairs in merging.items():
            if not Folding(self.request, self.sources, self.say).drops(instance, instance.rules[rule], pairs):
                doubtful |= {variant.metric for variant in given[rule]}
        self.unknown.update(doubtful)
        if role != "filter":
            self.delivered(instance, applied, taken)
            self.gets[instance.label], self.steps[instance.label] = tuple(taken), Step(tuple(parts))
            return
        new_ones = [variant for rule, each in given.items() for variant in self.whole(instance.rules[rule], each)]
        self.ever.extend(new_ones)
        self.behind(instance, parts, near, passing, new_ones)

    def behind(
        self,
        instance: Instance,
        parts: Sequence[Variant],
        near: Sequence[Variant],
        passing: Sequence[Variant],
        new: Sequence[Variant],
    ) -> None:
        """Let go on behind a filter what there is instead of what it looked at."""
        self.live.instead(near, passing)
        self.add(instance, new)
        self.steps[instance.label] = step(parts, near, [*passing, *new])
        if any(not compiled.rule.keeps for compiled in instance.rules):
            gone = {part.metric for part in parts}.difference(each.metric for each in (*passing, *new))
            self.ended.update(dict.fromkeys(gone, instance.label))

    def delivered(self, instance: Instance, applied: Sequence[Applied], taken: Sequence[Variant]) -> None:
        """Whether an output can tell apart what it gets."""
        drops = {compiled.rule.drop for compiled in instance.rules}
        style = instance.contract.names
        if style == "plain" and not any(drops):
            return
        sound = set(taken)
        parts = [(instance.rules[hit.rule].rule.drop, hit.part) for hit in applied if hit.part in sound]
        for each in mixed(style, parts):
            spans = (instance.span, instance.contract.source.key(*each.clause.split(".")))
            facts = {"instance": instance.label, **each.facts}
            if each.variant == "names":
                facts["way"] = self.renaming(instance, each.facts["other"], taken)
            self.say(each.code, spans, each.clause, (), each.variant, **facts)

    def renaming(self, instance: Instance, metric: str, taken: Sequence[Variant]) -> str:
        """What to do with a metric whose name falls on another one in an output."""
        option = next((each.option for each in instance.rules if each.option), "")
        origin = next((part.origin for part in taken if part.metric == metric), "")
        found = []
        if new := renaming(self.request, self.made.get((origin, metric)), metric):
            found.append(apart("rename", metric=metric, settings=new))
        if option and isinstance(instance.config[option], list) and self.takers(instance, [metric]):
            texts = left_out(instance.config[option], metric)
            settings = setting(self.request, instance.label, {option: texts})
            found.append(apart("leave", metric=metric, settings=settings))
        else:
            name, settings = dropping(self.request, self.catalogue, self.instances, [metric])
            variant = "drop" if name else "drop-more" if settings else "names"
            facts = {"metric": metric, "instance": instance.label, "filter": name, "settings": settings}
            found.append(apart(variant, **facts))
        return ", or ".join(found)

    def computed(self, instance: Instance, applied: Sequence[Applied]) -> tuple[dict[int, list[Variant]], set[str]]:
        """What the formulas of an instance give, by the place of their rule; and the names of what is not sound."""
        given: dict[int, list[Variant]] = {}
        doubtful: set[str] = set()
        rules = list(instance.rules)
        for place, compiled in enumerate(rules):
            gives = compiled.rule.gives
            if compiled.formula is None or gives is None:
                continue
            from meter.contracts.formula import computing  # few chains have one

            self.made[instance.label, gives.name] = instance
            parts = computing.reads(compiled.formula, (hit for hit in applied if hit.rule == place))
            if all(parts) and not any(part.metric in self.unknown for each in parts for part in each):
                options = self.request.config.get(instance.label, {})
                found = computing.compute(instance, compiled, compiled.formula, parts, options)
                self.say.found.extend(self.mended(each, instance, compiled, parts) for each in found.diagnostics)
                rules[place] = evolve(compiled, rule=compiled.rule._replace(computes=found.computes))
                if all(self.meets(instance, compiled, each) for each in found.results):
                    made = (give(compiled.rule, each, instance.label, worst_quality()) for each in found.results)
                    given[place] = [each for each in made if each is not None]
            if not given.get(place):
                given[place] = computing.unknown(instance, compiled)
                doubtful.add(gives.name)
        instance.rules = tuple(rules)
        return given, doubtful

    def mended(
        self, diagnostic: Diagnostic, instance: Instance, compiled: Compiled, parts: Sequence[Sequence[Variant]]
    ) -> Diagnostic:
        """The diagnostic of a counter in a formula with the filter that makes something else of it, if there is one."""
        kind = diagnostic.facts.get("kind")
        named = [
            item
            for item, selector in enumerate(compiled.rule.select)
            if diagnostic.facts.get("metric") == f"`{selector.text}`" and any(part.kind == kind for part in parts[item])
        ]
        if not named:
            return diagnostic
        kinds = tuple(word for word, says in language().words["kind"].items() if "degree" in says)
        part = min(parts[named[0]], key=lambda each: str(each.to_json()))
        way = filter_for(self.catalogue, part, "kind", kinds, commensurable)
        fault = Fault("kind", part.kind, kinds)
        edit = self.mender().read(self.trouble(instance, compiled, named[0], fault, {part.metric: part}, {}))
        facts = {**diagnostic.facts, "filter": way}
        return evolve(diagnostic, facts=facts, variant="formula-filter", edit=edit) if way else diagnostic

    def meets(self, instance: Instance, compiled: Compiled, result: Variant) -> bool:
        """Whether what a formula gives is what its rule demands; says why not."""
        if fault := misfit(compiled.rule, result):
            from meter.contracts.formula.computing import undemanded  # few chains have one

            self.say.found.append(undemanded(instance, compiled, fault, self.request.config.get(instance.label, {})))
            return False
        return self.requires(instance, compiled, result)

    @staticmethod
    def whole(compiled: Compiled, given: list[Variant]) -> list[Variant]:
        """What a rule gives, with the parts that it merges put together."""
        gives = compiled.rule.gives
        return merged(given, worst_quality()) if gives is not None and gives.folds else given

    # ---------------------------------------------------------------------------------------------------- demands

    def sound(self, instance: Instance, compiled: Compiled, hit: Applied, wrong: Wrong) -> bool:
        """Whether a part is known and what its rule demands; what it is not is put into `wrong`."""
        rank = self.ranks[instance.label]
        if hit.part.metric in self.unknown or self.missed.get(hit.part.metric, rank) < rank:
            return False
        if fault := misfit(compiled.rule, hit.part):
            wrong.setdefault((hit.rule, hit.item, fault.clause, fault.got), []).append((fault, hit.part))
            return False
        return self.requires(instance, compiled, hit.part)

    def unit(self, instance: Instance, compiled: Compiled, new: Variant) -> bool:
        """Whether the unit of a new metric is one."""
        try:
            language().units.parse(new.unit)
        except UnitError:
            span = instance.contract.source.value("needs", "metrics", compiled.place, "gives", "unit")
            self.say(
                "E-FLOW-UNIT", (instance.span, span), "needs.metrics.gives.unit", (), "template",
                instance=instance.label, metric=f"`{new.metric}`", got=new.unit,
            )  # fmt: skip
            return False
        return True

    def requires(self, instance: Instance, compiled: Compiled, part: Variant) -> bool:
        """Whether a part keeps the rule's constraints; notes which it does not."""
        for constraint in compiled.require:
            if instance.keeps(constraint, part.interval) is False:
                key = (instance.label, compiled.place, constraint.text, part.interval)
                broken = self.broken.setdefault(key, Broken(instance, compiled.place, constraint, part.interval))
                broken.parts.append(part)
                return False
        return True

    def fault(self, instance: Instance, wrong: Wrong, key: tuple[int, int, str, str]) -> None:
        """One selector took what its rule does not: one diagnostic for all that fails in the same way."""
        if len(self.say.found) > MANY:
            return
        compiled, item, group = instance.rules[key[0]], key[1], wrong[key]
        group = sorted(group, key=lambda each: str(each[1].to_json()))  # not in the order that the sources were asked
        fault, part = group[0]
        demanded = instance.contract.source.key("needs", "metrics", compiled.place, *fault.clause.split("."))
        spans = (selected_at(self.request, instance, compiled, item), demanded)
        clause = f"needs.metrics.{fault.clause}"
        parts = {each.metric: each for _, each in group}
        names = sorted(parts)
        metric = some(names)
        facts = {"instance": instance.label, "metric": metric}
        notes = tuple(self.derivation(parts[name]) for name in names[:3])
        edit = None
        if fault.clause in ("unit", "type", "kind"):
            mender = self.mender()
            trouble = self.trouble(instance, compiled, item, fault, parts, wrong)
            alike = [pair for other, each in wrong.items() if other[:3] == key[:3] for pair in each]
            wider = trouble._replace(metrics=frozenset(part.metric for _, part in alike))
            if fault.clause != "type":  # of a whole number beyond 2^53 a floating point number is another one
                edit = mender.filtered(trouble)
            wanted = fault.wanted[:1] if fault.clause == "unit" else fault.wanted
            facts["wanted"] = " or ".join(f"`{word}`" for word in wanted)
            facts["way"] = mender.told(trouble, wider, metric=metric, wanted=facts["wanted"])
        if fault.clause == "unit":
            facts |= {"got": part.unit, "wanted": fault.wanted[0], "type": part.type}
            variant = ""
            if commensurable(part.unit, fault.wanted[0]):
                variant = "offset" if part.type == "f64" else "integer"
            self.say("E-FLOW-UNIT", spans, clause, notes, variant, edit, **facts)
        elif fault.clause in ("type", "kind"):
            code = "E-FLOW-KIND" if fault.clause == "kind" else "E-FLOW-TYPE"
            self.say(code, spans, clause, notes, "", edit, **facts, got=f"`{fault.got}`")
        elif fault.clause in ("gives.attributes", "gives.merge"):
            variant = "added" if fault.clause == "gives.attributes" else "merge"
            facts |= {"wanted": fault.wanted[0], "words": listed(fault.wanted)}
            self.say("E-FLOW-IDENTITY", spans, clause, notes, variant, **facts)
        elif fault.clause == "additive":
            variant = "additive" if fault.wanted[0] == "true" else "not-additive"
            self.say("E-FLOW-KIND", spans, clause, notes, variant, **facts)
        else:
            facts |= {"demand": fault.clause, "got": fault.got, "wanted": listed(fault.wanted)}
            self.say("E-FLOW-IDENTITY", spans, clause, notes, fault.clause, **facts)

    def mender(self) -> Mender:
        """Who looks for what mends a metric that cannot be taken, and remembers what was found."""
        if not self.menders:
            mender = Mender(self.request, self.catalogue, misfit, commensurable, worst_quality(), self.tried)
            self.menders.append(mender)
        return self.menders[0]

    def trouble(
        self,
        instance: Instance,
        compiled: Compiled,
        item: int,
        fault: Fault,
        parts: Mapping[str, Variant],
        wrong: Wrong,
    ) -> Trouble:
        """What an instance cannot take, and what there is beside it in the chain."""
        makers = {part.origin: self.made.get((part.origin, part.metric)) for part in parts.values()}
        source = next(iter(makers.values())) if len(makers) == 1 else None
        return Trouble(
            instance=instance,
            compiled=compiled,
            item=item,
            clause=fault.clause,
            wanted=fault.wanted,
            metrics=frozenset(parts),
            live=list(self.live),
            labels=self.labels,
            filters=[each for each in self.instances if each.label in self.steps and each.rules],
            maker=source if source is not None and source.emits else None,
            takers=self.takers(instance, {part.metric for each in wrong.values() for _, part in each}),
            outputs=frozenset(each.label for each in self.instances if each.contract.role == "output"),
        )

    def takers(self, instance: Instance, metrics: Iterable[str]) -> dict[str, frozenset[str]]:
        """Who else takes some metrics, be it before an instance or behind it; by metric."""
        there = [variant for variant in self.ever if variant.metric in set(metrics)]
        found: dict[str, set[str]] = {}
        for each in self.instances:
            if each is not instance and each.rules:
                for hit in apply([compiled.rule for compiled in each.rules], there, commensurable)[0]:
                    found.setdefault(hit.part.metric, set()).add(each.label)
        return {metric: frozenset(labels) for metric, labels in found.items()}

    def derivation(self, part: Variant) -> str:
        """Where a part comes from."""
        maker = self.made.get((part.origin, part.metric))
        clause = "provides.metrics" if maker and maker.emits else "needs.metrics.gives"
        facts = {"metric": part.metric, "kind": part.kind, "type": part.type, "unit": part.unit}
        return language().phrase("note", "derivation", **facts, origin=part.origin, clause=clause)

    def empty(self, instance: Instance) -> None:
        """E-FLOW-EMPTY: each item that the user wrote has to mean something, and each metric that a rule names."""
        for compiled in instance.rules:
            for item, selector in enumerate(compiled.rule.select):
                sure = selector.literal and not selector.excludes
                if compiled.formula is None and not compiled.asked and (compiled.option or not sure):
                    continue
                positive = selector._replace(excludes=False)
                near = self.live.of({selector.glob} if selector.literal else None)
                if any(split(variant, positive, commensurable)[0] is not None for variant in near):
                    continue
                if selector.glob in self.unknown or any(matches(selector.glob, name) for name in self.unknown):
                    continue
                rank = self.ranks[instance.label]  # where a filter of the same placement stands may be anybody's guess
                ended = {n: by for n, by in self.ended.items() if n not in self.live and self.ranks[by] < rank}
                literal = compiled.asked and selector.literal
                meant = clear(selector.glob, self.emitted) if literal else ""
                if meant and not selector.excludes and not compiled.rule.keeps:
                    self.missed[meant] = min(rank, self.missed.get(meant, rank))
                self.nothings.append(Nothing(instance, compiled, item, selector, ended, meant))

    def rewritten(self, instance: Instance, compiled: Compiled, item: int, meant: str) -> Edit | None:
        """An edit that writes the selector that was meant, be it an item of a list or in a formula."""
        selector = compiled.rule.select[item]
        if compiled.formula is None:
            return renamed(selected_at(self.request, instance, compiled, item), selector.text, meant)
        text, (start, end) = compiled.formula.text, compiled.formula.readings[item].named
        whole = selected_at(self.request, instance, compiled, -1)
        if whole.file == COMMAND_LINE:  # a part of a word that the shell needs quoted
            return None
        return renamed(whole, text, f"{text[:start]}{meant}{text[end:]}", (selector.text, meant))

    def nothing(self, each: Nothing) -> None:
        """Say E-FLOW-EMPTY, with what could have been meant.

        That does not depend on where the instance stands among others that nothing orders: whoever selects what one of
        these gives comes behind it.
        """
        if len(self.say.found) > MANY:
            return
        instance, compiled, item, selector, gone, _ = each
        rank = self.ranks[instance.label]
        live = [
            variant
            for variant in self.ever
            if variant.metric not in gone and instance.label not in variant.via and self.ranks[variant.origin] <= rank
        ]
        names = sorted({variant.metric for variant in live})
        fit = sorted({variant.metric for variant in live if misfit(compiled.rule, variant) is None})
        named = [variant for variant in live if matches(selector.glob, variant.metric)]
        named.sort(key=lambda variant: str(variant.to_json()))  # not in the order that the sources were asked
        notes: tuple[str, ...] = ()
        lacks = lacking(selector, named, commensurable)
        if named:
            notes = (_says(named[0]) if lacks is None else _lacks(selector, lacks),)
        later = ""
        absent = sorted(name for name in self.absent if matches(selector.glob, name) and name not in names)
        notes += tuple(language().phrase("note", "absent", metric=name, why=self.absent[name]) for name in absent[:3])
        ended = sorted(name for name in gone if matches(selector.glob, name))
        notes += tuple(language().phrase("note", "ended", metric=name, instance=gone[name]) for name in ended[:3])
        giving = [] if named or absent or ended else list(givers(self.catalogue, selector))
        able, unable = offered(giving, self.request, self.host)
        part, meant = corrected(selector, live, commensurable)
        near = language().phrase("text", "near", names=f"`{meant}`") + " " if meant else nearest(selector.glob, names)
        some = listed((fit or names)[:FEW]) + (" …" if len(fit or names) > FEW else "")
        span, edit = selected_at(self.request, instance, compiled, item), None
        if compiled.asked:
            edit = self.rewritten(instance, compiled, item, meant) if meant else None
            span = span if part is None else within(span, selector.text, *part)
        variant = "ended" if ended else "" if names else "none"
        if giving:
            variant = "given-nowhere" if not able else "given-lacking" if unable else "given"
        settings = ""
        emptied = Emptied(self.request, self.catalogue, self.instances, self.ranks, self.emitted, self.takers)
        if lacks is not None and not meant:
            settings = emptied.replaced(instance, compiled, item, with_condition(selector, *lacks))
            variant, strangers = emptied.stranger(selector, lacks[0])
            able = " or ".join(f"`{name}`" for name in strangers)
        elif ended and (settings := " and ".join(filter(None, (emptied.kept(gone[name], name) for name in ended)))):
            later = emptied.later(instance, compiled, {gone[name] for name in ended})
            variant = "later" if later else "kept"
        elif giving and (switched := emptied.switched(selector))[0]:
            variant, able, settings = "option", f"`{switched[0]}`", switched[1]
        elif not variant and compiled.formula is None and not fit:
            variant = "useless"
        if compiled.formula is not None and selector.glob not in names and selector.glob.partition("-")[0] in names:
            variant = "minus"
        self.say(
            "E-FLOW-EMPTY",
            [span],
            "needs.metrics.metric",
            notes,
            variant,
            edit,
            selector=selector.text,
            givers=able,
            lacking=unable,
            ender=" and ".join(dict.fromkeys(f"`{gone[name]}`" for name in ended)),
            instance=instance.label,
            entry=entry(self.request, instance.label),
            near=near,
            metrics=some,
            settings=settings,
            later=later,
            wanted=" ".join(_demands(compiled.rule)),
        )

    # ---------------------------------------------------------------------------------------------------- clashes

    def add(self, instance: Instance, new: Iterable[Variant]) -> None:
        """Let what an instance gives go on, and note clashes.

        One name has one type, unit and kind in a backend, and one giver for each series.
        """
        for variant in new:
            metric = variant.metric
            doubtful = metric in self.unknown and metric not in self.clashing
            if not doubtful and self.clashing.enter(instance.label, variant, self.live):
                self.unknown.add(metric)
            self.live.add(variant)

    def kept(self, makers: Sequence[Instance], told: str) -> str:
        """How two instances stay as they are, the last by name in a mount of its own; and what was told."""
        first, second = sorted(makers, key=lambda each: each.label)
        own = elsewhere(self.request, self.instances, second.label, {first.label}, self.tried)
        return apart("own", own=own, way=told) if own else told

    def collisions(self) -> None:
        """E-FLOW-CLASH, of several clashes of a metric the least, whatever the order of the chain.

        Once for each metric; two instances that give the same series of many, as two of one plugin do, are one fault.
        """
        same: dict[tuple[str, str], list[str]] = {}  # metrics of which two instances give the same series
        found = self.clashing.least()
        for metric, clash in found.items():
            if clash.variant == "series":
                same.setdefault(clash.givers, []).append(metric)
        for metric, clash in found.items():
            others = same.get(clash.givers, [metric]) if clash.variant == "series" else [metric]
            if metric != others[0]:
                continue
            makers = [self.made[label, metric] for label in clash.givers]
            spans = sorted(maker.span for maker in makers)
            emits = all(maker.emits for maker in makers)
            first, second = clash.givers
            named = listed(others) if clash.variant == "series" else metric
            way = told_apart if clash.variant == "series" else alike
            told = way(self.request, makers[0], makers[1], others)
            if clash.variant != "series" or makers[0].contract is not makers[1].contract:
                told = self.kept(makers, told)
            self.say(
                "E-FLOW-CLASH", spans, "provides.metrics" if emits else "needs.metrics.gives.name",
                (clash.common,) if clash.common else (), clash.variant,
                metric=named, way=told, first=first, second=second, this=clash.shapes[0], that=clash.shapes[1],
            )  # fmt: skip

    def unread(self) -> None:
        """E-FLOW-UNREAD for the metrics of an instance that end nowhere."""
        if any(diagnostic.code == "E-FLOW-EMPTY" for diagnostic in self.say.found):
            return  # what the empty selector was meant to read is not known
        ends: dict[str, list[str]] = {}
        for label, metric in sorted(set(self.made) - self.read):
            if metric not in self.unknown:
                ends.setdefault(label, []).append(metric)
        for label, metrics in ends.items():
            instance = self.made[label, metrics[0]]
            ways = self.reading(instance, metrics)
            variant = "option" if ways else ""
            facts = {"metric": listed(metrics), "instance": label, "entry": entry(self.request, label), "ways": ways}
            self.say("E-FLOW-UNREAD", [instance.span], "needs.metrics", (), variant, **facts)

    def reading(self, instance: Instance, metrics: Sequence[str]) -> str:
        """How metrics that nobody takes are taken or dropped; empty where neither is a matter of options."""
        name, settings = dropping(self.request, self.catalogue, self.instances, metrics)
        if len(metrics) > FEW or not settings:
            return ""
        variant = "drop" if name else "drop-more"
        drop = language().phrase("text", "unread", "text", variant, filter=name, settings=settings)
        parts = [part for part in self.ever if part.origin == instance.label and part.metric in metrics]
        for output in (each for each in self.instances if each.label in self.gets):
            option = next((each.option for each in output.rules if each.option), "")
            old = output.config.get(option)
            texts = taken_too(old, metrics) if isinstance(old, list) else []
            rules = [each.rule._replace(select=tuple(map(parse, texts))) for each in output.rules if texts]
            hits, rest = apply(rules, parts, commensurable)
            if rules and not rest and not any(misfit(rules[hit.rule], hit.part) for hit in hits):
                taken = setting(self.request, output.label, {option: texts})
                take = language().phrase("text", "unread", "text", "take", output=output.label, settings=taken)
                return f"{take}; {drop}; or "
        return f"{drop}; or "


def misfit(rule: Rule, part: Variant) -> Fault | None:
    """The first demand of a rule that a part does not meet."""
    for fault in faults(rule, part, commensurable):
        return fault
    # No factor leads from one to the other, and what a temperature rose by has not the summand of a temperature.
    converts = rule.converts and language().says("kind", part.kind, "state")
    units = language().units
    if rule.unit and not converts and units.parse(rule.unit).offset != units.parse(part.unit).offset:
        return Fault("unit", part.unit, (rule.unit,))
    return None


def _says(variant: Variant) -> str:
    """What a metric is, beside what was selected."""
    return language().phrase(
        "note",
        "shape",
        metric=variant.metric,
        kind=variant.kind,
        type=variant.type,
        unit=variant.unit,
        resource="|".join(sorted(variant.resource)),
        consumer="|".join(sorted(variant.consumer)),
        attributes=attributes_text(variant.attributes),
        origin=variant.origin,
    )


def _demands(rule: Rule) -> Iterator[str]:
    """What a rule takes, in backticks."""
    for words in (rule.kind, rule.type, (rule.unit,) if rule.unit else ()):
        if words:
            yield " or ".join(f"`{word}`" for word in words)


def _lacks(selector: Selector, lacks: tuple[str, tuple[str, ...]]) -> str:
    """What none of the metrics that a selector names is, and what they are instead."""
    key, there = lacks
    wanted = next(values for name, values in selector.conditions if name == key)
    facts = {"key": key, "values": listed(wanted), "there": listed(there)}
    return language().phrase("note", "lacks", "text", "" if selector.literal else "any", **facts)


def flow(instances: Sequence[Instance], catalogue: Catalogue, request: Request, host: Host, sound: Sound) -> Flow:
    """Follow every metric along an ordered chain. Args: `sound`, what a help may offer."""
    ranks = {each.label: language().rank("placement", each.contract.placement) for each in instances}
    emitted = frozenset(variant.metric for each in instances for variant in each.emits)
    walk = _Walk(catalogue, request, frozenset(ranks), instances, ranks, emitted, sound, host)
    for instance in instances:
        walk.enter(instance)
    for nothing in causes(walk.nothings, ranks):
        walk.nothing(nothing)
    walk.say.found.extend(each.said(instances, request, sound) for each in walk.broken.values())
    walk.collisions()
    walk.unread()
    return Flow(steps=walk.steps, gets=walk.gets, diagnostics=tuple(walk.say.found))
