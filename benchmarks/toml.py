"""TOML texts out of Python values, the keys of tables in any order that is asked for."""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def document(values: dict[str, Any], rng: Random | None = None) -> str:
    """A document, one line for each key at the top; with `rng` the keys of every table are shuffled."""
    return "".join(f"{key(name)} = {value(entry, rng)}\n" for name, entry in _pairs(values, rng))


def value(entry: Any, rng: Random | None = None) -> str:
    """An inline value."""
    match entry:
        case bool():
            return str(entry).lower()
        case float() if not math.isfinite(entry):
            return "nan" if math.isnan(entry) else f"{'-' if entry < 0 else ''}inf"
        case dict():
            return "{" + ", ".join(f"{key(name)} = {value(each, rng)}" for name, each in _pairs(entry, rng)) + "}"
        case list():
            return "[" + ", ".join(value(each, rng) for each in entry) + "]"
        case str():
            return _text(entry)
        case datetime() | date() | time():
            return entry.isoformat()
    return str(entry)


def key(name: str) -> str:
    """A key, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")  # the one control character JSON has bare


def _pairs(table: dict[str, Any], rng: Random | None) -> list[tuple[str, Any]]:
    pairs = list(table.items())
    if rng is not None:
        rng.shuffle(pairs)
    return pairs
