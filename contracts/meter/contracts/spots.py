"""Spots: where the words of a request or a contract stand that the flow of metrics speaks of."""

from __future__ import annotations

from meter.contracts.instances import Compiled, Instance
from meter.contracts.placeholders import CONFIG
from meter.contracts.request import Request
from meter.contracts.spans import Span


def selected_at(request: Request, instance: Instance, compiled: Compiled, item: int) -> Span:
    """Where the selector stands that took something: the user's item, else the instance."""
    if compiled.formula is not None:
        from meter.contracts.formula.computing import place  # few chains have one

        part = compiled.formula.readings[item].named if item >= 0 else None
        return place(instance, compiled, request.config.get(instance.label, {}), part)
    given = request.config.get(instance.label, {}).get(compiled.option)
    if given is None:
        return instance.span
    many = given.words or isinstance(given.raw, list)
    return given.locate((item,) if many and item >= 0 else ())


def gives_at(instance: Instance, compiled: Compiled, name: str) -> Span:
    """Where a field of a rule's `gives` stands in the contract."""
    return instance.contract.source.key("needs", "metrics", compiled.place, "gives", name)


def dropped_at(request: Request, instance: Instance, compiled: Compiled, word: str) -> Span:
    """Where the user wrote what is dropped, else the instance."""
    clause = instance.contract.needs.metrics[compiled.place].gives
    option = CONFIG.fullmatch(clause.drop) if clause is not None and isinstance(clause.drop, str) else None
    given = request.config.get(instance.label, {}).get(option[1]) if option is not None else None
    if given is None:
        return instance.span
    words = list(given.raw) if given.words or isinstance(given.raw, list) else []
    return given.locate((words.index(word),) if word in words else ())
