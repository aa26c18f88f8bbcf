"""Documents: the bytes of a TOML file become a value, or the one diagnostic that says why they do not.

Whoever wrote them: what is too large, too deep or too long is refused before it costs time or a stack.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.repeated import repeated
from meter.contracts.model import Source
from meter.contracts.spans import Span

LIMIT: Final = 1 << 20
"""A contract or mount file of more bytes is refused unread."""
DEEPEST: Final = 32
"""Tables and lists nested deeper than this are refused; what walks a document need not fear for its stack."""

_PLACE: Final = re.compile(r"\(at line (\d+), column (\d+)\)")
_PAIR: Final = re.compile(r"[ \t]*([^=\[{#\s][^=\[{#]*?)[ \t]*=")
_LONG: Final = re.compile(r"[0-9][0-9_]{18}|0[xob]")
"""What a whole number that no i64 holds has in it."""

# Texts and comments are stepped over as a whole; one that does not end goes on to the end of its line or of the text,
# so that no character is looked at twice.
_PIECE: Final = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"{3,5}|\Z)'
    r"|'''.*?(?:'{3,5}|\Z)"
    r'|(?P<key>(?:[^\s.=,\[\]{}#"\']+|"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?)'
    r'(?:[ \t]*\.[ \t]*(?:[^\s.=,\[\]{}#"\']+|"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?))*)'
    r"|#[^\n]*",
    re.DOTALL,
)
_PART: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?|\.', re.DOTALL)

Path = tuple[str | int, ...]


def parse_toml(data: bytes, file: str) -> tuple[dict[str, Any], str] | Diagnostic:
    """A TOML document and its text, or why it cannot be read (E-FILE)."""

    def problem(variant: str, span: Span | None = None, **facts: str) -> Diagnostic:
        place = span or Span(file, 1, 1)
        return Diagnostic(code="E-FILE", variant=variant, facts={"path": file, **facts}, spans=(place,))

    if len(data) > LIMIT:
        return problem("too-large", size=str(len(data)), limit=str(LIMIT))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        start = data.rfind(b"\n", 0, error.start) + 1
        span = Span(file, line, len(data[start : error.start].decode("utf-8")) + 1)
        return problem("not-utf8", span)
    deep = longest_key(text, DEEPEST)
    if deep >= 0 or text.startswith("\ufeff"):
        deepest = Span(file, text.count("\n", 0, deep) + 1, deep - text.rfind("\n", 0, deep)) if deep >= 0 else None
        return problem("too-deep" if deep >= 0 else "bom", deepest, limit=str(DEEPEST))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _not_toml(error, text, file)
    except RecursionError:
        return problem("too-deep", limit=str(DEEPEST))
    except ValueError as error:  # a date that does not exist, an integer of thousands of digits
        return problem("bad-value", why=str(error))
    if _LONG.search(text) and (path := _too_large(document)):
        span = Source(file, text).value(*path)
        return problem("too-long", span, name=str(path[-1]))
    if _depth(document) > DEEPEST:
        return problem("too-deep", limit=str(DEEPEST))
    return document, text


def _key_before(line: str, span: Span) -> Span:
    """The key of the pair that ends at a place of a line; the place, where the pair begins in another line."""
    found = _PAIR.match(line[: span.column - 1])
    return span if found is None else span._replace(column=found.start(1) + 1, length=len(found[1]))


def _not_toml(error: tomllib.TOMLDecodeError, text: str, file: str) -> Diagnostic:
    """Why a text is not TOML, and where."""
    why = str(error)
    place = _PLACE.search(why)
    lines = text.split("\n")
    span = Span(file, int(place[1]), int(place[2])) if place else Span(file, len(lines), len(lines[-1]) + 1)
    at = sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1
    if found := repeated(text, file, at):
        facts = {"path": file, **found.facts}
        return Diagnostic(code="E-FILE", variant=found.variant, facts=facts, spans=found.spans, edit=found.edit)
    if why.startswith("Cannot overwrite"):  # said behind the value: the key is there already
        span = _key_before(lines[span.line - 1], span)
    why = _PLACE.sub("", why).replace("(at end of document)", "at the end of the document").strip()
    facts = {"path": file, "why": f"{why[:1].lower()}{why[1:]}"}
    return Diagnostic(code="E-FILE", variant="not-toml", facts=facts, spans=(span,))


def _depth(document: Any) -> int:
    """How deep tables and lists are nested; more than `DEEPEST` is not counted further."""
    depth, level = 0, [document]
    while level and depth <= DEEPEST:
        below = [value.values() if isinstance(value, dict) else value for value in level]
        level = [entry for values in below for entry in values if isinstance(entry, dict | list)]
        depth += 1
    return depth


def _too_large(document: dict[str, Any]) -> Path:
    """The place of a whole number that no i64 holds; empty where there is none."""
    level: list[tuple[Path, Any]] = [((), document)]
    for _ in range(DEEPEST):
        below: list[tuple[Path, Any]] = []
        for path, value in level:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            below += [((*path, name), entry) for name, entry in pairs]
        for path, value in below:
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                return path
        level = [(path, value) for path, value in below if isinstance(value, dict | list)]
    return ()


def longest_key(text: str, deepest: int) -> int:
    """Where a key with more parts than `deepest` begins, counted in characters; -1 where there is none.

    Asked before the parser: the time of `tomllib` grows with the square of the parts of a key, so that a file of a few
    kilobytes would keep it busy for hours. Nobody needs such a key: tables are not nested that deep.
    """
    if not any(line.count(".") >= deepest for line in text.split("\n")):
        return -1
    for piece in _PIECE.finditer(text):
        key = piece["key"]
        if key and key.count(".") >= deepest and sum(part == "." for part in _PART.findall(key)) >= deepest:
            return piece.start()
    return -1
