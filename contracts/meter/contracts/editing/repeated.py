"""Repeated: a statement of a TOML text that adds to an inline table, or says a second time what another one has said.

`tomllib` refuses both with words for programmers; whoever typed the line has to know where it belongs.
"""

from __future__ import annotations

import tomllib
from typing import Any, NamedTuple

from meter.contracts.editing.edits import Edit, dotted
from meter.contracts.editing.writing import Path, Writer
from meter.contracts.spans import Locator, Span, Statement, scan


class Repeated(NamedTuple):
    """What is wrong with a statement: a variant of E-FILE with its facts, the places, and the edit if there is one."""

    variant: str
    facts: dict[str, str]
    spans: tuple[Span, ...]
    edit: Edit | None = None


class _Said(NamedTuple):
    """A header, or a pair of a key and its value: its path below the document or its header, and places in the text."""

    path: Path
    start: int
    key: int
    """Where the key ends."""
    value: tuple[int, int]
    header: bool


def repeated(text: str, file: str, at: int) -> Repeated | None:
    """What is wrong with the statement that ends behind a character of a text; None where it is something else."""
    statements = scan(text, at).statements
    said = _said(text, statements[-1]) if statements else None
    if said is None:
        return None
    before = text[: said.start]
    above = next((_said(text, each) for each in reversed(statements[:-1]) if each.header), None)
    try:
        document = tomllib.loads(before)
    except ValueError:
        return None
    prefix = () if said.header or above is None else _latest(document, above.path)
    path = (*prefix, *said.path)
    if not said.header and len(said.path) == 1 and not _has(document, path):
        return None  # a new key of a table that may have it
    place = Locator(text, file).at(said.start, said.key)
    known = Locator(before, file)
    writer = Writer(before, file, document=known.document)
    inline = writer.inline(path)
    if inline is not None and inline != path:
        pair = f"{dotted(path[len(inline) :])} = {text[slice(*said.value)]}"
        shown = dotted(inline[len(prefix) :] if inline[: len(prefix)] == prefix else inline)
        facts = {"key": text[said.start : said.key], "place": shown, "text": pair}
        if said.header:
            return Repeated("inline-table", facts, (place, known.key(*inline)))
        changes = (writer.into(inline, pair), Writer(text, file).gone(said.start, said.value[1]))
        return Repeated("inline", facts, (place, known.key(*inline)), Edit(kind="into", changes=changes, facts=facts))
    if known.mentions(*path) and not text.startswith("[[", said.start) and (said.header or _has(document, path)):
        facts = {"key": text[said.start : said.key]}
        return Repeated("twice-table" if said.header else "twice", facts, (place, known.key(*path)))
    return None


def _said(text: str, statement: Statement) -> _Said | None:
    """A statement, taken apart; None where it is not one by itself."""
    start, end = statement.range
    node = scan(text[start:end]).root
    path: list[str | int] = []
    while not path or node.value is None:
        if len(node.children) != 1:
            return None
        [(name, child)] = node.children.items()
        path.append(name)
        node = child.latest()
    value = start + node.value[0], start + node.value[1]
    return _Said(tuple(path), start, end if statement.header else start + node.key[1], value, statement.header)


def _latest(document: Any, path: Path) -> Path:
    """The path of a header, with the place of the last table of an array of tables."""
    found: list[str | int] = []
    for part in path:
        document = document[part]
        found.append(part)
        if isinstance(document, list):
            found.append(len(document) - 1)
            document = document[-1]
    return tuple(found)


def _has(document: Any, path: Path) -> bool:
    try:
        for part in path:
            document = document[part]
    except (KeyError, IndexError, TypeError):
        return False
    return True
