"""Selectors: which part of a metric is meant.

`GLOB{key=value|value,...}`; keys are attributes, or one of the reserved `kind type unit resource consumer origin`. In
a list an item that begins with `!` takes away; a list of such items only starts from everything. One piece of code
for the check, over variants, and for `bind`, over real keys: these are variants with one value in each set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from meter.contracts.variants import Variant

_FORM: Final = re.compile(r"(!?)([^{}!\s]+)(?:\{([^{}]*)\})?")
_CONDITION: Final = re.compile(r"([^=,{}\s][^=,{}]*)=([^=,]*)")
_WILDCARDS: Final = frozenset("*?[")
METRIC: Final = re.compile(r"[A-Za-z0-9_./-]+")
"""The names that a metric can have."""
ATTRIBUTE: Final = re.compile(r"[^=,{}|\s!]+")
"""The names that an attribute can have."""
RESERVED: Final = ("kind", "type", "unit", "resource", "consumer", "origin")
"""Keys of conditions that are no attributes."""

Commensurable = Callable[[str, str], bool]
"""Whether two units measure the same dimension."""


class SelectorError(ValueError):
    """A selector is malformed; `why` names the section [text selector-WHY] that says how, with its facts."""

    def __init__(self, text: str, why: str, **facts: str) -> None:
        super().__init__(f"{text}: {why}")
        self.text = text
        self.why = why
        self.facts = facts


class Selector(NamedTuple):
    """One item of a list of selectors."""

    text: str
    excludes: bool
    glob: str
    conditions: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def literal(self) -> bool:
        """Whether the name has no wildcard."""
        return not _WILDCARDS.intersection(self.glob)

    @property
    def everything(self) -> bool:
        """Whether it means all that there is."""
        return self.glob == "*" and not self.conditions and not self.excludes


@lru_cache(maxsize=4096)
def parse(text: str) -> Selector:
    """A selector from its text.

    Raises: SelectorError.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise SelectorError(text, "form")
    conditions = []
    for part in found[3].split(",") if found[3] else ():
        condition = _CONDITION.fullmatch(part.strip())
        if condition is None:
            raise SelectorError(text, "condition", word=part.strip())
        conditions.append((condition[1].strip(), tuple(value.strip() for value in condition[2].split("|"))))
    return Selector(text, bool(found[1]), found[2], tuple(conditions))


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str] | None:
    """A glob as a regular expression: `*` any text, `?` one character, `[...]` one of some; `None` without any."""
    if not _WILDCARDS.intersection(glob):
        return None
    import fnmatch  # kept out of processes that select nothing

    return re.compile(fnmatch.translate(glob))


def matches(glob: str, name: str) -> bool:
    """Whether a metric's name fits a glob."""
    if glob in ("*", name):
        return True
    pattern = _pattern(glob)
    return pattern is not None and pattern.match(name) is not None


def split(variant: Variant, selector: Selector, same_dimension: Commensurable) -> tuple[Variant | None, list[Variant]]:
    """The part of a variant that a selector means, `None` for nothing, and the parts that it does not.

    An attribute with an open domain keeps the open rest: an over-approximation, exact for real keys.
    """
    if not matches(selector.glob, variant.metric):
        return None, [variant]
    inside, outside = variant, []
    for key, values in selector.conditions:
        if key in ("kind", "type", "origin"):
            if getattr(inside, key) not in values:
                return None, [variant]
        elif key == "unit":
            if not any(same_dimension(inside.unit, value) for value in values):
                return None, [variant]
        elif key in ("resource", "consumer"):
            have = inside.resource if key == "resource" else inside.consumer
            if not have & set(values):
                return None, [variant]
            if rest := have - set(values):
                outside.append(_with_kinds(inside, key, rest))
            inside = _with_kinds(inside, key, have & set(values))
        else:
            try:
                domain = inside.domain(key)
            except KeyError:
                return None, [variant]
            if domain is None:
                outside.append(inside)
                inside = inside.with_domain(key, frozenset(values))
                continue
            if not domain & set(values):
                return None, [variant]
            if domain - set(values):
                outside.append(inside.with_domain(key, domain - set(values)))
            inside = inside.with_domain(key, domain & set(values))
    return inside, outside


def _with_kinds(variant: Variant, key: str, kinds: frozenset[str]) -> Variant:
    return variant._replace(resource=kinds) if key == "resource" else variant._replace(consumer=kinds)


def with_condition(selector: Selector, name: str, values: Sequence[str]) -> str:
    """The text of a selector with one more condition."""
    conditions = [(key, each) for key, each in selector.conditions if key != name] + [(name, tuple(values))]
    inside = ",".join(f"{key}={'|'.join(each)}" for key, each in conditions)
    return f"{'!' * selector.excludes}{selector.glob}{{{inside}}}"


class Hit(NamedTuple):
    """A part of a variant and the item of the list that selected it, -1 for a list of exclusions only."""

    item: int
    part: Variant


def split_list(
    variant: Variant, selectors: Sequence[Selector], same_dimension: Commensurable
) -> tuple[list[Hit], list[Variant]]:
    """The parts that a list of selectors means, and those that it does not."""
    if len(selectors) == 1 and selectors[0].everything:  # as most outputs have it
        return [Hit(0, variant)], []
    hits: list[Hit] = []
    rest = [variant]
    if all(selector.excludes for selector in selectors):
        if not selectors:
            return [], rest
        hits, rest = [Hit(-1, variant)], []
    for item, selector in enumerate(selectors):
        if selector.excludes:
            continue
        remaining: list[Variant] = []
        for part in rest:
            inside, outside = split(part, selector, same_dimension)
            if inside is not None:
                hits.append(Hit(item, inside))
            remaining += outside
        rest = remaining
    for selector in selectors:
        if not selector.excludes:
            continue
        kept: list[Hit] = []
        for hit in hits:
            inside, outside = split(hit.part, selector, same_dimension)
            if inside is None:
                kept.append(hit)
            else:
                rest.append(inside)
                kept += [Hit(hit.item, part) for part in outside]
        hits = kept
    return hits, rest
