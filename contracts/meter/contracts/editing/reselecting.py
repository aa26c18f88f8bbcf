"""Reselecting: another selection for an instance, that takes what is made of metrics or leaves out what is wrong.

Each is tried with the evaluator of the check: what was taken before still has to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from meter.contracts import selectors
from meter.contracts.editing.trouble import FEW, Trouble, Way
from meter.contracts.rules import Rule
from meter.contracts.selectors import Commensurable
from meter.contracts.variants import Variant

_DEMANDS: Final = ("kind", "type", "unit")
"""What a rule can demand and a condition can say."""


class Selections:
    """Looks for selections, and says what one means.

    Args: as for `Mender`.
    """

    def __init__(self, wrong: Callable[[Rule, Variant], object], same_dimension: Commensurable) -> None:
        self._wrong = wrong
        self._same = same_dimension

    def selection(self, trouble: Trouble, way: Way) -> list[str] | None:
        """A selection that takes what a filter gives in the place of what is wrong."""
        if not trouble.compiled.option:
            return None
        old = [trouble.texts] if not way.keeps else []
        renames = {part.metric: new.metric for part, new in zip(trouble.whole, way.given, strict=True)}
        found = (texts for texts in (*old, *self._selections(trouble, renames)) if self.holds(trouble, way, texts))
        return next(found, None)

    def _selections(self, trouble: Trouble, renames: Mapping[str, str]) -> Iterator[list[str]]:
        """Selections that could take what is made of the metrics, by their new names."""
        old = trouble.texts
        if trouble.item >= 0:
            item = selectors.parse(old[trouble.item])
            if item.glob in renames:
                yield _replaced(old, trouble.item, old[trouble.item].replace(item.glob, renames[item.glob], 1))
                return
        yield from self.without(trouble)

    def without(self, trouble: Trouble) -> Iterator[list[str]]:
        """Selections that could leave out what is wrong."""
        old, rule = trouble.texts, trouble.compiled.rule
        if trouble.item >= 0:
            demands = {name: getattr(rule, name) for name in _DEMANDS if getattr(rule, name)}
            for conditions in ({trouble.clause: trouble.wanted}, demands):
                if text := _conditioned(old[trouble.item], conditions):
                    yield _replaced(old, trouble.item, text)
            if len(old) > 1:
                yield [*old[: trouble.item], *old[trouble.item + 1 :]]
        wrong = {variant.metric for variant in trouble.live if self._faulty(trouble, variant)}
        for names in (trouble.metrics, wrong):
            if len(names) <= FEW:
                yield [*old, *(f"!{name}" for name in sorted(names))]

    def _faulty(self, trouble: Trouble, variant: Variant) -> bool:
        """Whether something is selected of a metric that the rule cannot take."""
        return any(self._wrong(trouble.compiled.rule, part) for part in self.parts(variant, trouble.texts))

    def holds(self, trouble: Trouble, way: Way | None, texts: Sequence[str]) -> bool:
        """Whether a selection takes what the filter gives, nothing that is wrong, and all else as before.

        Other metrics that are wrong may be left out if somebody else takes them: what is said of them mends them. Each
        item has to mean something still.
        """
        rule = trouble.compiled.rule
        made = way.given if way else ()
        gone = trouble.metrics if way and not way.keeps else frozenset[str]()
        live = [variant for variant in trouble.live if variant.metric not in gone]
        names = {variant.metric for variant in made}
        for variant in live:
            now, before = self.parts(variant, texts), self.parts(variant, trouble.texts)
            if variant.metric in names:
                continue
            sound = {part for part in before if not self._wrong(rule, part)}
            free = variant.metric not in trouble.metrics and not trouble.takers.get(variant.metric)
            if now != (before if free else sound) and (variant.metric in trouble.metrics or now != before):
                return False
        taken = [self.parts(variant, texts) for variant in made]
        if not all(taken) or any(self._wrong(rule, part) for parts in taken for part in parts):
            return False
        return all(any(self.means(text, variant) for variant in (*live, *made)) for text in texts)

    def means(self, text: str, variant: Variant) -> bool:
        """Whether an item of a list, an exclusion too, selects something of a metric."""
        selector = selectors.parse(text)._replace(excludes=False)
        return selectors.split(variant, selector, self._same)[0] is not None

    def stays(self, trouble: Trouble, given: Sequence[Variant]) -> bool:
        """Whether the selection holds as it is once what is wrong does not go on."""
        left = [variant for variant in trouble.live if variant.metric not in trouble.metrics]
        texts = trouble.texts
        return all(self.parts(variant, texts) for variant in given) and all(
            any(self.means(text, variant) for variant in left) for text in texts
        )

    def takes_something(self, trouble: Trouble, texts: Sequence[str]) -> bool:
        """Whether a selection takes something that the rule can take."""
        rule = trouble.compiled.rule
        return any(not self._wrong(rule, part) for each in trouble.live for part in self.parts(each, texts))

    def parts(self, variant: Variant, texts: Sequence[str]) -> set[Variant]:
        """What a selection takes of a variant."""
        select = tuple(map(selectors.parse, texts))
        return {hit.part for hit in selectors.split_list(variant, select, self._same)[0]}


def _replaced(texts: Sequence[str], place: int, text: str) -> list[str]:
    return [*texts[:place], text, *texts[place + 1 :]]


def _conditioned(text: str, conditions: Mapping[str, str | tuple[str, ...]]) -> str:
    """The text of a selector with more conditions; empty where one cannot be written, as a unit with braces."""
    for name, values in conditions.items():
        try:
            text = selectors.with_condition(
                selectors.parse(text), name, (values,) if isinstance(values, str) else values
            )
            selectors.parse(text)
        except selectors.SelectorError:
            return ""
    return text
