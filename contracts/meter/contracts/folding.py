"""Folding: whether what a rule drops of the key can be dropped.

The series that it merges then have to have their rows at the same times, and a sum may count nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from attrs import frozen

from meter.contracts.diagnostics import listed, nearest
from meter.contracts.doubling import summable, twice
from meter.contracts.editing.edits import clear, renamed
from meter.contracts.editing.settings import setting
from meter.contracts.instances import Compiled, Instance
from meter.contracts.language import language
from meter.contracts.request import Request
from meter.contracts.saying import Saying
from meter.contracts.seen import Crowd
from meter.contracts.selectors import parse, with_condition
from meter.contracts.spots import dropped_at, gives_at, selected_at
from meter.contracts.variants import Variant


class Merging(NamedTuple):
    """A part that a rule takes, and what it makes of it."""

    part: Variant
    new: Variant
    item: int
    """The item of the selection that took the part."""


@frozen
class Folding:
    """Judges what rules merge, behind some sources; `say` takes what is wrong."""

    request: Request
    sources: set[str]
    say: Saying

    def drops(self, instance: Instance, compiled: Compiled, merging: Sequence[Merging]) -> bool:
        """Whether what a rule drops of the key can be dropped; says why not."""
        gives = compiled.rule.gives
        if gives is None or not gives.folds:
            return True
        known = sorted({name for each in merging for name, _ in each.part.attributes} | {"resource", "consumer"})
        spans = (selected_at(self.request, instance, compiled, -1), gives_at(instance, compiled, "drop"))
        sound = True
        for word in gives.drop:
            if word not in known:
                facts = {"word": word, "near": nearest(word, known), "known": listed(known)}
                spans = (dropped_at(self.request, instance, compiled, word), *spans[1:])
                clause = "needs.metrics.gives.drop"
                meant = clear(word, known) if spans[0] != instance.span else ""
                edit = renamed(spans[0], word, meant) if meant else None
                self.say("E-FLOW-IDENTITY", spans, clause, (), "drop", edit, instance=instance.label, **facts)
                sound = False
        by_name: dict[str, list[Merging]] = {}
        for each in sorted(merging, key=lambda each: str(each.part.to_json())):
            by_name.setdefault(each.new.metric, []).append(each)
        for group in by_name.values():
            sound &= self._cadence(instance, compiled, group)
            if gives.merge is not None and language().says("merge", gives.merge, "sums"):
                sound &= self._once(instance, compiled, group)
        return sound

    def _cadence(self, instance: Instance, compiled: Compiled, group: Sequence[Merging]) -> bool:
        """Whether series that are merged row by row have their rows at the same times: those of one source have."""
        gives = compiled.rule.gives
        assert gives is not None
        if gives.interval is not None:
            return True
        crowd = Crowd()
        via = [each.part.via & self.sources for each in group]
        for place, each in enumerate(group if len(set(via)) > 1 else ()):
            crowd.add(each.new, place)
        for place, one in enumerate(group if len(set(via)) > 1 else ()):
            behind = [at for at in crowd.meeting(one.new) if at > place and via[at] != via[place]]
            if behind:
                other, ones, others = group[min(behind)], via[place], via[min(behind)]
                first, second = (
                    sorted((min(ones), min(others))) if min(ones) != min(others) else sorted(ones ^ others)[:2]
                )
                item = one.item if one.item == other.item else -1
                spans = (selected_at(self.request, instance, compiled, item), gives_at(instance, compiled, "drop"))
                facts = {"metric": _both(one, other), "first": first, "second": second}
                clause = "needs.metrics.gives.drop"
                self.say("E-FLOW-IDENTITY", spans, clause, (), "cadence", instance=instance.label, **facts)
                return False
        return True

    def _once(self, instance: Instance, compiled: Compiled, group: Sequence[Merging]) -> bool:
        """Whether a sum counts nothing twice: no value together with a part of it."""
        gives = compiled.rule.gives
        assert gives is not None
        clause = "needs.metrics.gives.drop"
        for word in gives.folds:
            found = twice([(each.part, each.new) for each in group], word)
            if found is not None:
                one, other, double = group[found[0]], group[found[1]], found[2]
                item = one.item if one.item == other.item else -1
                spans = (selected_at(self.request, instance, compiled, item), gives_at(instance, compiled, "drop"))
                facts = {"metric": _both(one, other), "dimension": word, "part": double.part, "whole": double.whole}
                kept = summable([each.part for each in group], gives.folds, word, double.whole)
                facts["selection"] = self._narrowed(instance, compiled, other.part.metric, *kept)
                self.say("E-FLOW-DOUBLE", spans, clause, (), double.how, instance=instance.label, **facts)
                return False
        return True

    def _narrowed(
        self, instance: Instance, compiled: Compiled, metric: str, dimension: str, values: tuple[str, ...]
    ) -> str:
        """What to write so that of a metric only some values of a dimension are selected."""
        select = compiled.rule.select
        found = [with_condition(each, dimension, values) if each.glob == metric else each.text for each in select]
        if compiled.option and found != [each.text for each in select]:
            many = isinstance(instance.config[compiled.option], list)
            return setting(self.request, instance.label, {compiled.option: found if many else found[0]})
        return f"`{with_condition(parse(metric), dimension, values)}`"


def _both(one: Merging, other: Merging) -> str:
    """The metrics that would be merged."""
    return listed(sorted({one.part.metric, other.part.metric}))
