"""JSON Schemas of contracts and mount files, for editors: what CONTRACT.ini says, as far as a schema can say it.

An editor that knows them completes clauses, shows what they mean and underlines what is none; `meter check` says the
rest. Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from meter.contracts import tables
from meter.contracts.language import ABSENT, Clause, language

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_FREE: Final[dict[str, Any]] = {"^x-": {}}
"""Names that anybody may use for what they like."""
_OPTION: Final = {"type": "string", "pattern": r"^\$\{config\.[^}]+\}$"}

Schema = dict[str, Any]


def contracts() -> Schema:
    """The schema of `contract.toml`."""
    clauses = language().clauses.values()
    conditions = [_only_in(clause) for clause in clauses if clause.placements]
    conditions += [_needed_in(clause) for clause in clauses if clause.obligatory in language().words["placement"]]
    return {"$schema": DRAFT, "title": "contract.toml", **_table(()), "allOf": conditions}


def mounts() -> Schema:
    """The schema of `meter.toml`."""
    words = language().words["request"]
    one = {
        "type": "object",
        "properties": {name: {"description": says["description"], **_asked(says)} for name, says in words.items()},
        "required": [name for name, says in words.items() if says["obligatory"] == "yes"],
        **_closed(),
    }
    properties = {"mounts": {"type": "object", "additionalProperties": one}}
    return {"$schema": DRAFT, "title": "meter.toml", "type": "object", "properties": properties, **_closed()}


def _closed() -> Schema:
    return {"patternProperties": _FREE, "additionalProperties": False}


def _asked(says: Mapping[str, str]) -> Schema:
    """The value of a word of a request."""
    family = says.get("values", "").removeprefix("section ")
    return _of_type(says["type"], tuple(language().values(family)) if family else ())


def _of_type(type_: str, values: tuple[str, ...]) -> Schema:
    """The schema of a type as a word of a request has it."""
    container, _, rest = type_.partition("<")
    if container == "list" and rest:
        return {"type": "array", "items": _of_type(rest[:-1], values)}
    if container == "map":
        return {"type": "object", "additionalProperties": {"type": "object"}}
    return _scalar(container, values, numbers=False)


def _table(path: tuple[str, ...]) -> Schema:
    """The table at a path: its clauses and nothing else."""
    clauses = list(language().children(path))
    required = [clause.path[-1] for clause in clauses if clause.obligatory == "yes"]
    others = [clause for clause in clauses if clause.unless is not None]
    table: Schema = {
        "type": "object",
        "properties": {clause.path[-1]: _clause(clause) for clause in clauses},
        **_closed(),
    }
    if required:
        table["required"] = required
    if others:
        table["allOf"] = [{"anyOf": [{"required": [c.path[-1]]}, {"required": [c.unless]}]} for c in others]
    return table


def _clause(clause: Clause) -> Schema:
    shape = tables.shape(clause.type)
    inner = _container(clause, shape)
    if shape.option:
        inner = {"anyOf": [inner, _OPTION]}
    default = {} if clause.default is ABSENT else {"default": clause.default}
    return {"description": clause.description, **inner, **default}


def _container(clause: Clause, shape: tables.Shape) -> Schema:
    if clause.type == "table":
        return _table(clause.path)
    if clause.type == "tables":
        return {"type": "array", "items": _table(clause.path)}
    if shape.container == "map" and shape.item == "table":
        return {"type": "object", "patternProperties": _FREE, "additionalProperties": _table((*clause.path, "*"))}
    item = _scalar(shape.item, clause.values, numbers=clause.numbers)
    if shape.container == "list":
        return {"type": "array", "items": item}
    if shape.container == "map":
        names = {"propertyNames": _scalar(clause.names, (), numbers=False)} if clause.names else {}
        return {"type": "object", "additionalProperties": item, **names}
    return item


def _scalar(type_: str, values: tuple[str, ...], *, numbers: bool) -> Schema:
    """A value without parts; `numbers` lets whole numbers in quotes stand beside the words."""
    if type_ == "enum":
        words: Schema = {"enum": list(values)}
        return {"anyOf": [words, {"type": "string", "pattern": "^[+-]?[0-9]+$"}]} if numbers else words
    if type_ == "option-type":
        return {"type": "string", "pattern": _option_types(language().values("option"))}
    if type_ == "metric":
        return _scalar("selector", (), numbers=False)
    schema: Schema = json.loads(language().words["type"][type_]["schema"])
    return schema


def _option_types(words: Iterable[str]) -> str:
    named = "|".join(
        rf"{re.escape(word)}\(([^()]|\([^()]+\))+\)" if word == "quantity" else re.escape(word) for word in words
    )
    return rf"^(({named})|(list|map)<({named})>)$"


def _at(path: tuple[str, ...], inner: Schema) -> Schema:
    """A condition on a table at a path of a contract, in each table where there are several."""
    for depth in range(len(path), 0, -1):
        clause = language().clauses.get(path[:depth])
        below = {"items": inner} if clause is not None and clause.type == "tables" else inner
        inner = {"properties": {path[depth - 1]: below}}
    return inner


def _placed(placements: Iterable[str]) -> Schema:
    return {"properties": {"placement": {"enum": list(placements)}}, "required": ["placement"]}


def _only_in(clause: Clause) -> Schema:
    """A clause that contracts of some placements may have: the others may not."""
    *above, name = clause.path
    others = [word for word in language().values("placement") if word not in clause.placements]
    return {"if": _placed(others), "then": _at(tuple(above), {"properties": {name: False}})}


def _needed_in(clause: Clause) -> Schema:
    """A clause that contracts of one placement have to have, with one entry at least."""
    *above, name = clause.path
    there = _at(tuple(above), {"required": [name], "properties": {name: {"minItems": 1}}})
    return {"if": _placed([clause.obligatory]), "then": {**there, "required": list(above[:1] or [name])}}
