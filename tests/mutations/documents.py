"""TOML documents as values: written, walked and changed at one place."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

Path = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def dumps(document: dict[str, Any]) -> bytes:
    """The text of a document: each entry of the top in one line."""
    return "".join(f"{_key(name)} = {_value(value)}\n" for name, value in document.items()).encode()


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False)
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return "{ " + ", ".join(f"{_key(name)} = {_value(each)}" for name, each in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case int() | float():
            return repr(value)
    raise TypeError(value)


def nodes(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every entry and item of a document with its path, from the top down."""
    pairs: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        pairs += value.items()
    elif isinstance(value, list):
        pairs += enumerate(value)
    for name, each in pairs:
        yield (*path, name), each
        yield from nodes(each, (*path, name))


def _above(document: dict[str, Any], path: Path) -> tuple[dict[str, Any], Any]:
    """A copy of a document, and in it what holds the last part of a path."""
    changed = copy.deepcopy(document)
    holder: Any = changed
    for step in path[:-1]:
        holder = holder[step]
    return changed, holder


def replaced(document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The document with another value at a path."""
    changed, holder = _above(document, path)
    holder[path[-1]] = value
    return changed


def removed(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """The document without what is at a path."""
    changed, holder = _above(document, path)
    del holder[path[-1]]
    return changed


def renamed(document: dict[str, Any], path: Path, name: str) -> dict[str, Any]:
    """The document with another key at a path, at the same place."""
    changed, holder = _above(document, path)
    entries = [(name if key == path[-1] else key, value) for key, value in holder.items()]
    holder.clear()
    holder.update(entries)
    return changed


def shown(path: Path) -> str:
    """A path as a person writes it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{_key(step)}" if text else _key(step)
    return text
