"""Ways: which filter would make of a metric what is wanted, and which plugin gives one that is not there.

For the help of a diagnostic: names to type. Whether the edit that puts a filter in mends all is tried elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from meter.contracts.catalogue import Catalogue, is_listed
from meter.contracts.language import language
from meter.contracts.model import Contract, RuleClause
from meter.contracts.placeholders import CONFIG
from meter.contracts.rules import Rule
from meter.contracts.selectors import Commensurable, Selector, matches
from meter.contracts.variants import Variant

_SHAPE: Final = ("type", "unit", "kind")


def filter_for(
    catalogue: Catalogue,
    part: Variant,
    clause: str,
    wanted: tuple[str, ...],
    same_dimension: Commensurable,
    unit: str = "",
) -> str:
    """The filter that makes of a part one of the wanted type, kind or unit, and changes the least; empty if none does.

    Args: clause, which of the three is wrong; unit, the one that is demanded as well, if any is.
    """
    found = []
    for contract in catalogue.contracts():
        if not is_listed(contract) or contract.role != "filter":
            continue
        for rule in contract.needs.metrics:
            if rule.gives is None or not _takes(rule, part, same_dimension):
                continue
            fits = not unit or _made(rule, part, "unit", (unit,), same_dimension)
            if fits and _made(rule, part, clause, wanted, same_dimension):
                found.append((changes(rule, clause), contract.name))
    return min(found)[1] if found else ""


def _takes(rule: RuleClause, part: Variant, same_dimension: Commensurable) -> bool:
    """Whether a rule takes a part, as far as its contract says."""
    unit = rule.unit
    return (
        (not rule.type or part.type in rule.type)
        and (not rule.kind or part.kind in rule.kind)
        and (not unit or CONFIG.fullmatch(unit) is not None or same_dimension(part.unit, unit))
        and (rule.additive is None or rule.additive == part.additive)
    )


def _made(rule: RuleClause, part: Variant, clause: str, wanted: tuple[str, ...], same_dimension: Commensurable) -> bool:
    """Whether what a rule gives is what is wanted."""
    assert rule.gives is not None
    if clause != "unit":
        return (getattr(rule.gives, clause) or getattr(part, clause)) in wanted
    unit = rule.gives.unit or "${unit}"
    if CONFIG.fullmatch(unit) is not None:  # what the user says, of the dimension that it was
        return same_dimension(part.unit, wanted[0])
    taken = part.unit if not rule.unit or CONFIG.fullmatch(rule.unit) else rule.unit
    made = unit.replace("${unit}", f"({taken})" if unit != "${unit}" and "/" in taken else taken)
    return same_dimension(made, wanted[0])


def already(rule: Rule, part: Variant, same_dimension: Commensurable) -> bool:
    """Whether a part is what a rule makes of others: of the same kind, and of its unit but for a factor."""
    gives = rule.gives
    if gives is None or gives.kind is None or "${" in (gives.unit or ""):
        return False
    return part.kind == gives.kind and (not gives.unit or same_dimension(part.unit, gives.unit))


def changes(rule: RuleClause, clause: str) -> tuple[int, int]:
    """How much a rule changes beside what is wrong: of series and their times, and of values."""
    gives = rule.gives
    assert gives is not None
    series = (gives.drop, gives.merge, gives.interval, gives.resource, gives.consumer)
    named = (gives.attributes, gives.tells)
    values = [getattr(gives, name) for name in _SHAPE if name != clause]
    return sum(map(bool, (*series, *named))), sum(map(bool, values))


def droppers(catalogue: Catalogue) -> Iterator[tuple[Contract, str]]:
    """Filters that do nothing but drop what an option of theirs selects, with that option; the last to drop first."""
    found = []
    for contract in catalogue.contracts():
        clauses = contract.needs.metrics
        option = CONFIG.fullmatch(clauses[0].metric) if len(clauses) == 1 else None
        role = contract.role
        if option is None or role != "filter" or clauses[0].gives is not None or clauses[0].keeps is not False:
            continue
        if is_listed(contract):
            found.append((-language().rank("placement", contract.placement), contract.name, contract, option[1]))
    yield from ((contract, option) for _, _, contract, option in sorted(found, key=lambda each: each[:2]))


def givers(catalogue: Catalogue, selector: Selector) -> Iterator[Contract]:
    """Plugins that give a metric that a selector names, whatever its conditions; none where the name has wildcards."""
    if selector.literal:
        for contract in catalogue.mentioning(selector.glob):
            if is_listed(contract) and any(matches(selector.glob, name) for name in _names(contract)):
                yield contract


def _names(contract: Contract) -> Iterator[str]:
    yield from (clause.name for clause in contract.provides.metrics)
    yield from (rule.gives.name for rule in contract.needs.metrics if rule.gives is not None)
