"""A contract as values of the model, out of clauses that the reader has checked.

The types are those that CONTRACT.ini says and were judged there, so that nothing is converted but lists, which become
tuples, and tables, which become the class that the model has for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import fields, has

from meter.contracts import model

_Model = TypeVar("_Model")
_WORD = re.compile(r"\w+")


_Conversion = Callable[[Any], Any]
_known: dict[type, tuple[tuple[str, _Conversion | None], ...]] = {}
"""For each class of the model that was built what makes the value of each field; None leaves it as it is."""


def build(cls: type[_Model], body: Mapping[str, Any]) -> _Model:
    """An instance of a class of the model; clauses that are not there have the default of their field."""
    known = _known.get(cls) or _known.setdefault(cls, _conversions(cls))
    return cls(
        **{name: body[name] if convert is None else convert(body[name]) for name, convert in known if name in body}
    )


def _conversions(cls: type) -> tuple[tuple[str, _Conversion | None], ...]:
    """Annotations of the model are read as they are written: `tuple[MetricClause, ...]`, `GivesClause | None`."""
    found = []
    for field in fields(cls):
        written = str(field.type)
        inner = next((each for word in _WORD.findall(written) if has(each := getattr(model, word, str))), None)
        found.append((field.name, _conversion(written, inner)))
    return tuple(found)


def _conversion(written: str, inner: type | None) -> _Conversion | None:
    if written.startswith("tuple["):
        return tuple if inner is None else lambda value: tuple(build(inner, entry) for entry in value)
    if inner is None:
        return None
    if written.startswith("dict["):
        return lambda value: {name: build(inner, entry) for name, entry in value.items()}
    return lambda value: build(inner, value)
