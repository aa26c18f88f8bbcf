"""Where in a Python script a backend was asked for: what `spans` is to TOML and to the words of a command line.

The cold path: the text of the script is read and parsed only when a backend is checked.
"""

from __future__ import annotations

import ast
import contextlib
import linecache
from typing import TYPE_CHECKING

from meter.contracts.model import Source
from meter.contracts.spans import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.core.backend import Place


class Script(Source):
    """Answers for the document of a request as if that stood in the script.

    Args: `made` is the call of `Backend`, `added` and `optional` for each call of these the label and the place.
    """

    def __init__(
        self, made: Place, added: Sequence[tuple[str, Place]], optional: Sequence[tuple[str, Place]] = ()
    ) -> None:
        super().__init__(made.file, "")
        files = {file: _Text(file) for file in {made.file, *(place.file for _, place in (*added, *optional))}}
        self._made = _Call(made, files[made.file])
        self._calls = {
            word: [(label, _Call(place, files[place.file])) for label, place in calls]
            for word, calls in (("plugins", added), ("optional", optional))
        }

    def key(self, *path: str | int) -> Span:
        """The place of what a path names: an argument's name, or the value that has none."""
        return self._find(path, name=True)

    def mentions(self, *path: str | int) -> tuple[Span, ...]:
        """Where the name of an option stands: once."""
        return (self.key(*path),)

    def value(self, *path: str | int) -> Span:
        """The place of the value at a path."""
        return self._find(path, name=False)

    def _find(self, path: Sequence[str | int], *, name: bool) -> Span:
        match path[2:]:
            case ("plugins" | "optional" as word, int(place), *_):
                return self._calls[word][place][1].first()
            case ("config", str(label), *rest):
                mine = [call for calls in self._calls.values() for known, call in calls if known == label]
                if not rest:
                    return (mine[0] if mine else self._made).first()
                having = [call for call in mine if call.has(str(rest[0]))] or mine
                return having[-1].argument(str(rest[0]), rest[1:], name=name)
            case (str(word), *rest) if word != "plugins":
                return self._made.argument(word, rest, name=name)
            case _:
                return self._made.first()


class _Text:
    """A file of Python: its lines, and the calls in it by their ends. Both are empty where it is not at hand."""

    def __init__(self, file: str) -> None:
        self.lines = linecache.getlines(file)
        self.calls: dict[tuple[int | None, int | None], ast.Call] = {}
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.walk(ast.parse("".join(self.lines))):
                if isinstance(node, ast.Call):
                    self.calls[node.end_lineno, node.end_col_offset] = node


class _Call:
    """One call, with its arguments where the text of the script is at hand."""

    def __init__(self, place: Place, text: _Text) -> None:
        self._place = place
        self._lines = text.lines
        # The interpreter knows where the call ends; no two calls end at one place.
        self._node = text.calls.get((place.end_line, place.end_column))

    def first(self) -> Span:
        """The first argument, else the call."""
        return self._span(self._node.args[0]) if self._node is not None and self._node.args else self._whole()

    def has(self, name: str) -> bool:
        """Whether it has an argument of this name."""
        return self._keyword(name) is not None

    def argument(self, word: str, at: Sequence[str | int], *, name: bool) -> Span:
        """An argument's name or value, or a part of that where it is written out; else the call."""
        keyword = self._keyword(word)
        if keyword is None:
            return self.first()
        if name:
            return self._at(keyword.lineno, keyword.col_offset, len(word))
        node: ast.expr = keyword.value
        for step in at:
            inner = _inside(node, step)
            if inner is None:
                break
            node = inner
        return self._span(node)

    def _keyword(self, name: str) -> ast.keyword | None:
        keywords = self._node.keywords if self._node is not None else []
        return next((keyword for keyword in keywords if keyword.arg == name), None)

    def _whole(self) -> Span:
        return Span(self._place.file, self._place.line, 1)

    def _span(self, node: ast.expr) -> Span:
        text = ast.get_source_segment("".join(self._lines), node) or " "
        return self._at(node.lineno, node.col_offset, len(text))

    def _at(self, line: int, offset: int, length: int) -> Span:
        # The compiler counts in bytes of UTF-8.
        before = self._lines[line - 1].encode()[:offset].decode(errors="replace")
        return Span(self._place.file, line, len(before) + 1, max(1, length))


def _inside(node: ast.expr, step: str | int) -> ast.expr | None:
    """The item of a list, or the value of a dictionary, that is written out."""
    match node, step:
        case (ast.List(elts=items) | ast.Tuple(elts=items), int(place)) if place < len(items):
            return items[place]
        case (ast.Dict(keys=keys, values=values), str(word)):
            pairs = zip(keys, values, strict=True)
            return next((v for k, v in pairs if isinstance(k, ast.Constant) and k.value == word), None)
        case _:
            return None
