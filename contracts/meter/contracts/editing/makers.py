"""Makers: the filters that make of metrics what is wanted, of the catalogue with the options for it or of the chain.

What one gives goes through the same evaluator as in the check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from meter.contracts import selectors
from meter.contracts.catalogue import Catalogue, is_listed
from meter.contracts.editing.apart import configured
from meter.contracts.editing.trouble import FEW, Trouble, Way
from meter.contracts.editing.ways import changes
from meter.contracts.instances import Instance
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.placeholders import CONFIG
from meter.contracts.rules import Rule, WorstQuality, give
from meter.contracts.selectors import Commensurable
from meter.contracts.variants import Variant


class Makers:
    """Looks for filters that make of metrics what an instance can take.

    Args: as for `Mender`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        wrong: Callable[[Rule, Variant], object],
        same_dimension: Commensurable,
        quality: WorstQuality,
    ) -> None:
        self._catalogue = catalogue
        self._wrong = wrong
        self._same = same_dimension
        self._quality = quality

    def ways(self, trouble: Trouble) -> Iterator[Way]:
        """Every filter with one rule that takes the metrics and gives others."""
        place = language().rank("placement", trouble.instance.contract.placement)
        for contract in self._catalogue.contracts():
            role = contract.role
            early = language().rank("placement", contract.placement) <= place
            if role != "filter" or not early or len(contract.needs.metrics) != 1 or not is_listed(contract):
                continue
            options = _options(contract, trouble)
            rule = None if options is None else _rule(contract, options, trouble)
            if options is None or rule is None or rule.gives is None:
                continue
            given = [self._made(rule, part, contract.name) for part in trouble.whole]
            found = tuple(new for new in given if new is not None)
            if found and len(found) == len(given):
                exact = all(map(self.is_exact, [trouble] * len(found), trouble.whole, found))
                cost = (*changes(contract.needs.metrics[0], trouble.clause), contract.name)
                yield Way(plugin=contract.name, given=found, options=options, exact=exact, keeps=rule.keeps, cost=cost)

    def existing(self, trouble: Trouble) -> Iterator[Way]:
        """Every filter of the chain that makes of the metrics what goes on to the instance."""
        there = {(variant.origin, variant.metric) for variant in trouble.live}
        for instance in trouble.filters:
            given: list[Variant] = []
            keeping: set[str] = set()
            for part in trouble.whole:
                for compiled in instance.rules:
                    new = None if compiled.formula else self._made(compiled.rule, part, instance.label)
                    if new is not None and (instance.label, new.metric) in there:
                        given.append(new)
                        clause = instance.contract.needs.metrics[compiled.place].keeps
                        option = CONFIG.fullmatch(clause) if isinstance(clause, str) else None
                        keeping.add(option[1] if option else "")
                        break
            way = Way(plugin=instance.label, given=tuple(given), option=keeping.pop() if len(keeping) == 1 else "")
            if given and len(given) == len(trouble.whole) and self.takes(trouble, way):
                yield way

    def _made(self, rule: Rule, part: Variant, label: str) -> Variant | None:
        """What a filter makes of a metric; None where it cannot take it, or not all of it."""
        hits, rest = selectors.split_list(part, rule.select, self._same)
        new = give(rule, part, label, self._quality)
        if rest or len(hits) != 1 or new is None or self._wrong(rule, part):
            return None
        return new if new.metric != part.metric else None

    @staticmethod
    def is_exact(trouble: Trouble, part: Variant, new: Variant) -> bool:
        """Whether nothing is changed but the name and what is wrong."""
        kept = {name: getattr(new, name) for name in ("metric", "origin", "via", "quality", trouble.clause)}
        if trouble.clause == "kind":
            kept["additive"] = new.additive  # follows from the kind
        elif trouble.clause == "unit":
            kept["type"] = new.type  # what is converted is no integer any more
        return getattr(new, trouble.clause) in trouble.wanted and part._replace(**kept) == new

    def takes(self, trouble: Trouble, way: Way) -> bool:
        """Whether the rule can take what a filter gives."""
        return not any(self._wrong(trouble.compiled.rule, new) for new in way.given)


def _options(contract: Contract, trouble: Trouble) -> dict[str, Any] | None:
    """The options of a filter for the metrics at hand; none where its contract says what it takes.

    None where it cannot be told to take them.
    """
    clause = contract.needs.metrics[0]
    selection = CONFIG.fullmatch(clause.metric)
    if selection is None:
        return {}
    names = sorted(trouble.metrics)
    if trouble.clause == "kind" and len(names) > FEW and trouble.item >= 0:
        kinds = sorted({part.kind for part in trouble.whole})
        names = [selectors.with_condition(selectors.parse(trouble.texts[trouble.item]), "kind", kinds)]
    many = contract.config[selection[1]].type != "metric"
    if not many and len(names) != 1:
        return None
    options: dict[str, Any] = {selection[1]: names if many else names[0]}
    unit = CONFIG.fullmatch(clause.unit)
    if unit is not None:
        units = {trouble.wanted[0]} if trouble.clause == "unit" else {part.unit for part in trouble.whole}
        if len(units) != 1:
            return None
        options[unit[1]] = units.pop()
    return options


def _rule(contract: Contract, options: Mapping[str, Any], trouble: Trouble) -> Rule | None:
    """The rule of a filter with its options put in; None where these are not enough."""
    blank = Instance(label=contract.name, contract=contract, span=trouble.instance.span, because="")
    new = configured(blank, {}, options)
    return None if new is None or len(new.rules) != 1 else new.rules[0].rule
