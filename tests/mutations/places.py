"""Whether what a diagnostic points at is the word at fault: a whole word of one file, and the one that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.spans import Span

_NAMED: Final = re.compile(r"`([^`]*)`|\"([^\"]*)\"")
_WORD: Final = re.compile(r"\w")
OTHERWISE: Final = {
    "E-CLAUSE-MISSING": "what is missing stands nowhere: the place is that of the table that lacks it",
    "E-ROLE-COUNT": "what is missing stands nowhere: the place is that of the list that lacks it",
    "E-FLOW-KIND": "the place is the selector, the message names what it took",
    "E-FLOW-TYPE": "the place is the selector, the message names what it took",
    "E-FLOW-UNIT": "the place is the selector, the message names what it took",
    "E-FLOW-IDENTITY": "the place is the selector, the message names what it took",
    "E-FLOW-DOUBLE": "the place is the selector, the message names what it took",
    "E-KEY-NAME": "the message has the name that was made of the word",
    "E-CLAIM": "the message has what is claimed with the word",
    "E-ORDER-PLACEMENT": "the message has the instances that answer to the word",
    "E-CYCLE": "the message has the whole ring",
    "E-CONSTRAINT": "the message has the option with its value, the place is one of them",
    "E-FILE": "the message says what the text cannot be read as",
}
"""Codes of which the message does not name the word that is pointed at, with the reason."""


def misplaced(diagnostic: Diagnostic, texts: Mapping[str, str], mounts: str) -> str:
    """What is wrong with the places of a diagnostic; the empty text where nothing is.

    Args: `texts` of files by their names, others are read; `mounts` is the name of the mount file.
    """
    if not diagnostic.spans:
        return "no place"
    for span in diagnostic.spans:
        text = texts.get(span.file) or _read(span.file)
        if not text:
            return f"no file {span.file}"
        if (why := _broken(text, span)) and not _nowhere(diagnostic, span):
            return f"{why}: {pointed(text, span)!r} at {span.line}:{span.column}"
    first = diagnostic.spans[0]
    word = pointed(texts.get(first.file) or _read(first.file), first)
    if first.file != mounts or diagnostic.code in OTHERWISE or word[0] in "[{" or _names(diagnostic.message, word):
        return ""
    return f"{word} is not named: {diagnostic.message}"


@cache
def _read(file: str) -> str:
    """The text of a file; empty where there is none."""
    path = Path(file)
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def pointed(text: str, span: Span) -> str:
    """What a place points at; empty where it lies outside."""
    lines = text.split("\n")
    if not 0 < span.line <= len(lines) or not 0 < span.column <= len(lines[span.line - 1]) + 1:
        return ""
    rest = "\n".join([lines[span.line - 1][span.column - 1 :], *lines[span.line :]])
    return rest[: span.length] if len(rest) >= span.length else ""


def _broken(text: str, span: Span) -> str:
    """Why a place holds no whole words."""
    word = pointed(text, span)
    if not word or word != word.strip():
        return "nothing"
    line = text.split("\n")[span.line - 1]
    before = line[span.column - 2 : span.column - 1] if span.column > 1 else ""
    start = sum(len(each) + 1 for each in text.split("\n")[: span.line - 1]) + span.column - 1
    behind = text[start + span.length : start + span.length + 1]
    cut = (_WORD.match(before) and _WORD.match(word[0])) or (_WORD.match(behind) and _WORD.match(word[-1]))
    return "a part of a word" if cut else ""


def _nowhere(diagnostic: Diagnostic, span: Span) -> bool:
    """Whether a file is meant, and nothing in it: its first character."""
    return (span.line, span.column, span.length) == (1, 1, 1) and diagnostic.code in ("E-CLAUSE-MISSING", "E-FILE")


def _names(message: str, word: str) -> bool:
    """Whether a message names a word, the plugin or the label of it, or something of which it is a part."""
    plain = word[1:-1] if word[0] == word[-1] and word[0] in "\"'" and len(word) > 1 else word
    named = {ticked or quoted for ticked, quoted in _NAMED.findall(message)}
    if not plain:
        return '""' in message
    selectors = [name for name in named if "{" in name or name.startswith("!")]
    forms = {plain, plain.partition("#")[0], plain.partition("#")[2]} - {""}
    # A long text is told by its beginning, and a word of it may stand behind that.
    begun = any(name.endswith("…") for name in named)
    return bool(forms & named) or any(plain in name for name in selectors) or begun
