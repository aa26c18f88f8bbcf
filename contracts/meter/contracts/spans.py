"""Source positions: where in a TOML text, or on the command line, a clause or a value stands.

`tomllib` gives values and forgets where they stood; a diagnostic has to point. The scanner is apart from the reader
because it judges nothing: the text was accepted before, and what it does not understand it steps over. It opens no
files.
"""

from __future__ import annotations

import re
import shlex
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND_LINE: Final = "<command line>"
"""The `file` of spans that point into the command line."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_KEY: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[^\s.=\[\]{}#,"\']+')
# The run of quotes that closes a multi-line string may begin with one or two quotes of its content (TOML 1.0, String).
_SCALAR: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|[^,\]}#\r\n]*",
    re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}

Range = tuple[int, int]
"""From one character of a text to another one, the last excluded."""
_Part = tuple[str, Range]
_START: Final[Range] = (0, 1)


class Span(NamedTuple):
    """A place in a source text.

    `line` and `column` count from 1, `column` and `length` in characters, not bytes. `length` counts the characters of
    the text from there on, line ends included: who draws it clips it at the end of the line. `label` says what is
    pointed at; a span is made without one. The text of a `hidden` place may be a secret: nobody shows the line.
    """

    file: str
    line: int
    column: int
    length: int = 1
    label: str = ""
    hidden: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON value: file, line, column, length, label, and `hidden` where it is true."""
        value = self._asdict()
        if not self.hidden:
            del value["hidden"]
        return value


class Node:
    """A key of a document: where it and its value stand, and the keys or items below it.

    The value of a table with a header is its header; a table that is only led through has none.
    """

    __slots__ = ("children", "key", "mentions", "tables", "value")

    def __init__(self, key: Range, value: Range | None = None) -> None:
        self.key = key
        self.value = value
        self.mentions: list[Range] = []
        """Everywhere the key is written: in each header and dotted key that leads through it."""
        self.children: dict[str | int, Node] = {}
        self.tables = False
        """Whether it is an array made of `[[headers]]`."""

    def latest(self) -> Node:
        """The table that a header's path goes on in: for an array of tables its last one."""
        return self.children[len(self.children) - 1] if self.tables else self

    def child(self, part: _Part) -> Node:
        """The child of that name, made if there is none; it keeps the place where it was mentioned first."""
        name, range_ = part
        if name not in self.children:
            self.children[name] = Node(range_)
        self.children[name].mentions.append(range_)
        return self.children[name]


class Locator:
    """The places of all keys and values of one TOML 1.0 text that `tomllib` accepts.

    A path has text for a key and an index for an item: `("provides", "metrics", 0, "unit")`. A path that the text does
    not have is answered with the key of its nearest ancestor, at last with the text's first character. Of a text that
    is not TOML the places are a guess.

    Args: text, with either line end; file, the name that the spans carry; `first_line`, the line of that file where the
        text starts. Of a text out of comments the marks of these are blanks here, so that columns and lengths are those
        of the file.
    Source: TOML 1.0.0, toml.io/en/v1.0.0.
    """

    def __init__(self, text: str, file: str, first_line: int = 1) -> None:
        self._file = file
        self._first_line = first_line
        self._lines = [0, *(newline.end() for newline in re.finditer("\n", text))]
        self._text = text

    @cached_property
    def document(self) -> Document:
        """The tree of all keys; made when somebody asks for one of them."""
        return scan(self._text)

    def key(self, *path: str | int) -> Span:
        """The key at a path, without the dots and brackets around it.

        For a table this is its name in its own header, or where it is first mentioned if it has none; for a table of an
        array of tables its whole header; for an item of an array the item.
        """
        node, _ = self._find(path)
        return self._span(node.key)

    def value(self, *path: str | int) -> Span:
        """The text of the value at a path, with its quotes or brackets; for a table with a header, the header."""
        node, found = self._find(path)
        return self._span(node.value if found and node.value else node.key)

    def has(self, *path: str | int) -> bool:
        """Whether the text has something at a path."""
        return self._find(path)[1]

    def mentions(self, *path: str | int) -> tuple[Span, ...]:
        """Everywhere the key at a path is written: a table's is in each header and dotted key that leads through it."""
        node, found = self._find(path)
        return tuple(map(self._span, node.mentions)) if found else ()

    def at(self, start: int, end: int) -> Span:
        """The characters of the text from one to another, which is left out."""
        return self._span((start, end))

    def _find(self, path: tuple[str | int, ...]) -> tuple[Node, bool]:
        node = self.document.root
        for part in path:
            child = node.children.get(part)
            if child is None:
                return node, False
            node = child
        return node, True

    def _span(self, range_: Range) -> Span:
        start, end = range_
        row = bisect_right(self._lines, start) - 1
        return Span(
            file=self._file,
            line=self._first_line + row,
            column=1 + start - self._lines[row],
            length=max(1, end - start),
        )


class Words:
    """The places of words in a command line, as a shell would need it written.

    `text` is that line, the words quoted where necessary and with one blank between them; columns count in it.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._written = tuple(map(shlex.quote, self._words))
        self._left = tuple(accumulate((len(written) + 1 for written in self._written), initial=0))
        self.text: Final = " ".join(self._written)

    def span(self, index: int, start: int = 0, length: int | None = None) -> Span:
        """A word, or `length` characters of it from `start` on (counted from 0 in the word itself, without quotes).

        Without `length` up to the word's end; the whole word has its quotes. An index past the last word gives the
        place after the line, where that word would have been.
        """
        if not 0 <= index < len(self._words):
            return Span(COMMAND_LINE, 1, len(self.text) + 1)
        word = self._words[index]
        left, written = self._left[index], self._written[index]
        stop = len(word) if length is None else min(len(word), start + length)
        if start >= stop or (start == 0 and length is None):
            return Span(COMMAND_LINE, 1, left + 1, max(1, len(written)))
        first = _quoted_at(word, start, quoted=written != word)
        last = _quoted_at(word, stop - 1, quoted=written != word)
        return Span(COMMAND_LINE, 1, left + first + 1, last - first + 1)


def _quoted_at(word: str, index: int, *, quoted: bool) -> int:
    """Where the character of a word stands in `shlex.quote(word)`, which writes a quote as `'"'"'`."""
    if not quoted:
        return index
    return 1 + index + 4 * word[:index].count("'") + (2 if word[index] == "'" else 0)


class Statement(NamedTuple):
    """A header or a pair of a key and its value, from its first character to its last one, without comment."""

    range: Range
    header: bool


class Document(NamedTuple):
    """The tree of all keys of a text, and its headers and pairs in their order."""

    root: Node
    statements: tuple[Statement, ...]


def scan(text: str, until: int | None = None) -> Document:
    """Where everything stands in a TOML 1.0 text; of another text it is a guess.

    Args: `until`, statements that begin at this character or behind it are left out.
    """
    return _Scanner(text).document(len(text) if until is None else min(until, len(text)))


class _Scanner:
    """One pass over a text; its methods take a position and give the one behind what they read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root = Node(_START, _START)

    def document(self, until: int) -> Document:
        """The tree of all keys of the statements that begin before a character."""
        statements: list[Statement] = []
        table = self._root
        at = self._skip(0)
        while at < until:
            header = self._text[at] == "["
            if header:
                table, end = self._header(at)
            else:
                end = self._pair(table, at)
            statements.append(Statement((at, end), header))
            if end == at:
                end = self._text.find("\n", at)
            if end < 0:
                break
            at = self._skip(end)
        return Document(self._root, tuple(statements))

    def _header(self, at: int) -> tuple[Node, int]:
        brackets = 2 if self._text.startswith("[[", at) else 1
        parts, end = self._parts(at + brackets)
        if self._text.startswith("]" * brackets, end):
            end += brackets
        header = (at, end)
        if not parts:
            return Node(header, header), end
        table = self._descend(self._root, parts[:-1])
        node = table.child(parts[-1])
        if brackets == 1:
            node.key, node.value = parts[-1][1], header
            return node.latest(), end
        if not node.tables:
            node.tables = True
            node.value = header
            node.children.clear()
        item = node.children[len(node.children)] = Node(header, header)
        return item, end

    def _pair(self, table: Node, at: int) -> int:
        """`key = value`; gives `at` itself where there is none."""
        parts, end = self._parts(at)
        if not parts or not self._text.startswith("=", end):
            return at
        return self._value(self._descend(table, parts), self._space(end + 1))

    def _parts(self, at: int) -> tuple[list[_Part], int]:
        parts: list[_Part] = []
        at = self._space(at)
        while match := _KEY.match(self._text, at):
            parts.append((_name(match[0]), match.span()))
            at = self._space(match.end())
            if not self._text.startswith(".", at):
                break
            at = self._space(at + 1)
        return parts, at

    def _descend(self, table: Node, parts: list[_Part]) -> Node:
        for part in parts:
            table = table.child(part).latest()
        return table

    def _value(self, node: Node, at: int) -> int:
        match self._text[at : at + 1]:
            case "[":
                end = self._array(node, at + 1)
            case "{":
                end = self._inline_table(node, at + 1)
            case _:
                scalar = _SCALAR.match(self._text, at)
                end = at + len(scalar[0].rstrip(" \t")) if scalar else at
        node.value = (at, end)
        return end

    def _array(self, node: Node, at: int) -> int:
        index = 0
        while (at := self._skip(at)) < len(self._text) and self._text[at] != "]":
            item = Node((at, at))
            end = self._value(item, at)
            if end == at:  # a comma; or what no array has, which is stepped over
                at += 1
                continue
            item.key = (at, end)
            node.children[index] = item
            index += 1
            at = end
        return min(at + 1, len(self._text))

    def _inline_table(self, node: Node, at: int) -> int:
        while (at := self._skip(at)) < len(self._text) and self._text[at] != "}":
            at = max(at + 1, self._pair(node, at))
        return min(at + 1, len(self._text))

    def _skip(self, at: int) -> int:
        """Past blanks, line ends and comments."""
        match = _BLANK.match(self._text, at)
        return match.end() if match else at

    def _space(self, at: int) -> int:
        """Past blanks within the line."""
        match = _SPACE.match(self._text, at)
        return match.end() if match else at


def _name(written: str) -> str:
    """What a key is called: without quotes, and without escapes where it has double ones."""
    if written[0] == '"':
        return _ESCAPE.sub(_unescaped, written[1:-1])
    return written[1:-1] if written[0] == "'" else written


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if digits is None:
        return _ESCAPED.get(match[4], match[4])
    code = int(digits, 16)
    return chr(code) if code <= 0x10FFFF else "\ufffd"
