"""Settings: how an option is written so that it stands in a request as this is written, for the help of a diagnostic.

A dotted key behind an inline table of the same name is no TOML, and one below the header of another table belongs to
that: so the words follow the form that the mount file has.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from meter.contracts.editing.edits import dotted, key
from meter.contracts.editing.writing import toml
from meter.contracts.language import language
from meter.contracts.request import Request


def setting(request: Request, label: str, options: Mapping[str, Any]) -> str:
    """What to write so that an instance has these options, in backticks, and where that is not plain to see."""
    if request.document is None:
        return _told("command", text=shlex.join(words_of(options)), place=label)
    path = (*request.path, "config", label)
    writer = request.document.writer()
    inline = writer.inline(path)
    if inline is not None:
        below = path[len(inline) :]
        place = dotted(inline[len(request.path) :] or inline)
        if not below and len(options) == 1 and writer.mentioned((*path, *options)):
            return _told("instead", text=_pairs(options), option=next(iter(options)), place=place)
        text = _pairs(options) if not below else f"{dotted(below)} = {toml(options)}"
        return _told("inside", text=text, place=place)
    if writer.headed(path) or (not writer.mentioned(path) and writer.any_headed(path[:-1])):
        return _told("below", text=_pairs(options), place=f"[{dotted(path)}]")
    if len(options) > 1 and not writer.mentioned(path):
        return _told("", text=f"{dotted(path[2:])} = {toml(options)}")
    pairs = (_told("", text=f"{dotted((*path[2:], name))} = {toml(value)}") for name, value in options.items())
    return " and ".join(pairs)


def entry(request: Request, label: str) -> str:
    """An instance as it stands in a request, and its options there, which go where it goes."""
    asked = (each.text for each in (*request.plugins, *request.optional) if each.label == label)
    options = request.config.get(label)
    variant = "" if not options else "command" if request.document is None else "options"
    facts = {"word": next(asked, label), "options": dotted(("config", label))}
    return language().phrase("text", "entry", "text", variant, **facts)


def words_of(options: Mapping[str, Any]) -> list[str]:
    """Options as words of a command, before a shell's quotes."""
    return [f"{name}={each}" for name, value in options.items() for each in _each(value)]


def _told(variant: str, **facts: str) -> str:
    return language().phrase("text", "setting", "text", variant, **facts)


def _each(value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [each if isinstance(each, str) else toml(each) for each in values]


def _pairs(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key(name)} = {toml(value)}" for name, value in options.items())
