"""Corrected: the selector that was meant by one that selects nothing of what is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from meter.contracts.editing.edits import clear
from meter.contracts.selectors import RESERVED, Commensurable, Selector, SelectorError, matches, parse, split
from meter.contracts.variants import Variant


def corrected(
    selector: Selector, live: Sequence[Variant], same_dimension: Commensurable
) -> tuple[tuple[int, int] | None, str]:
    """The part of a selector's text that is wrong, and the text that was meant; empty where that is not certain.

    The name is wrong where no metric has it, else an attribute or value that none of those has.
    """
    text = selector.text
    named = [variant for variant in live if matches(selector.glob, variant.metric)]
    if not named:
        start = text.index(selector.glob)
        place = start, start + len(selector.glob)
        meant = clear(selector.glob, {variant.metric for variant in live}) if selector.literal else ""
        return place, _checked(_put(text, place, meant), live, same_dimension) if meant else ""
    faults = list(_faults(selector, named))
    new = text
    for place, words in reversed(faults):
        meant = clear(text[slice(*place)], words)
        if not meant:
            return faults[0][0], ""
        new = _put(new, place, meant)
    return faults[0][0] if faults else None, _checked(new, live, same_dimension) if faults else ""


def _faults(selector: Selector, named: Sequence[Variant]) -> Iterator[tuple[tuple[int, int], Iterable[str]]]:
    """Attributes and values in a selector's conditions that no metric has, and those that there are."""
    attributes = {name for variant in named for name, _ in variant.attributes}
    for key, values in selector.conditions:
        if key in RESERVED:
            continue
        if key not in attributes:
            yield _place(selector.text, rf"(?<=[{{,])\s*({re.escape(key)})\s*(?==)"), attributes
            continue
        domains = [domain for variant in named for name, domain in variant.attributes if name == key]
        known = set().union(*(domain for domain in domains if domain is not None))
        for value in values if None not in domains else ():
            if value not in known:
                yield _place(selector.text, rf"(?<=[=|])\s*({re.escape(value)})\s*(?=[|,}}])"), known


def _place(text: str, pattern: str) -> tuple[int, int]:
    found = re.search(pattern, text)
    return found.span(1) if found else (0, len(text))


def _put(text: str, place: tuple[int, int], word: str) -> str:
    return f"{text[: place[0]]}{word}{text[place[1] :]}"


def _checked(text: str, live: Sequence[Variant], same_dimension: Callable[[str, str], bool]) -> str:
    """A selector's text, should it select anything."""
    try:
        selector = parse(text)._replace(excludes=False)
    except SelectorError:
        return ""
    return text if any(split(variant, selector, same_dimension)[0] is not None for variant in live) else ""
