"""Writing into a TOML text: keys and items put in or taken out, as changes that leave all other text as it is.

The text decides how: beside its neighbours on one line or on lines of their own, in an inline table, below a header or
behind dotted keys. What cannot be written that way is not written: the answer is then None.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from meter.contracts.editing.edits import Change, key, quoted
from meter.contracts.spans import Document, Node, Statement, scan

Path = tuple[str | int, ...]

_REST: Final = re.compile(r"[ \t]*(,?)[ \t]*")
_ENDS: Final = re.compile(r"(?:#[^\n]*)?(?:\r?\n|\Z)")
"""The end of a line, perhaps behind a comment."""


def toml(value: Any) -> str:
    """A value as TOML on one line.

    >>> toml({"metrics": ["*"], "keep": False})
    '{ metrics = ["*"], keep = false }'
    """
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key(name)} = {toml(each)}" for name, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


class Writer:
    """Changes of one text that `tomllib` accepts.

    Args: text, file, first_line: as for `Locator`; `document`, where everything stands in it, if that is known.
    """

    def __init__(self, text: str, file: str, first_line: int = 1, document: Document | None = None) -> None:
        self._text = text
        self._file = file
        self._first_line = first_line
        self._end = "\r\n" if "\r\n" in text else "\n"
        self._document = scan(text) if document is None else document

    # ------------------------------------------------------------------------------------------------------- forms

    def inline(self, path: Path) -> Path | None:
        """The innermost inline table on a path: nothing can be added to it from outside."""
        found = None
        for length in range(1, len(path) + 1):
            node = self._node(path[:length])
            if node is not None and self._is_inline(node):
                found = path[:length]
        return found

    def headed(self, path: Path) -> bool:
        """Whether a table has a header of its own."""
        node = self._node(path)
        if node is None or node.value is None:
            return False
        return self._text[node.value[0]] == "[" and node.value[0] <= node.key[0]

    def any_headed(self, path: Path) -> bool:
        """Whether a table or one right below it has a header of its own."""
        node = self._node(path)
        return self.headed(path) or (node is not None and any(self.headed((*path, name)) for name in node.children))

    def mentioned(self, path: Path) -> bool:
        """Whether a key is there."""
        return self._node(path) is not None

    # ------------------------------------------------------------------------------------------------------- items

    def before(self, item: Path, value: Any) -> Change | None:
        """A value put into an array before one of its items; on a line of its own where the item has one."""
        node = self._node(item)
        if node is None:
            return None
        at = node.key[0]
        margin = self._text[self._line(at) : at]
        return self._change(at, at, toml(value) + (f",{self._end}{margin}" if not margin.strip() else ", "))

    def without(self, path: Path) -> Change | None:
        """An item of an array, or a key with its value, taken out; with its comma, and with the line that was its own.

        Comments stay, but for the one behind what goes.
        """
        node = self._node(path)
        if node is None or node.value is None:
            return None
        start, end = node.key[0], node.value[1]
        if not isinstance(path[-1], int) and not self._stands_alone(path, node):
            return None
        rest = _REST.match(self._text, end)
        behind = rest.end() if rest else end
        if not self._text[self._line(start) : start].strip() and (ends := _ENDS.match(self._text, behind)):
            return self._change(self._line(start), ends.end(), "")
        if rest and rest[1]:
            return self._change(start, behind, "")
        before = self._text[:start].rstrip()
        return self._change(len(before) - 1 if before.endswith(",") else start, end, "")

    def _stands_alone(self, path: Path, node: Node) -> bool:
        """Whether a key is written without dots, so that it and its value are all that has to go."""
        return len(node.mentions) == 1 and self._text[: node.key[0]].rstrip(" \t")[-1:] != "." and path != ()

    # -------------------------------------------------------------------------------------------------------- keys

    def put(self, path: Path, value: Any) -> Change | None:
        """A key that is not there yet, with its value; the tables above it are made as far as they are not there."""
        nodes = [self._document.root]
        for part in path[:-1]:
            below = nodes[-1].children.get(part)
            if below is None:
                break
            nodes.append(below)
        depth = len(nodes) - 1
        inline = [at for at, node in enumerate(nodes) if self._is_inline(node)]
        if inline:
            return self._into_inline(nodes[inline[-1]], path[inline[-1] :], value)
        if (beside := self._beside(nodes[-1])) is not None:
            statement, at = beside
            return self._line_below(statement, self._text[self._line(at) : at] + self._pair(path[depth:], value))
        header = nodes[-1].value
        if depth == len(path) - 1 and not isinstance(value, Mapping):
            if header is None or not depth:
                return None
            last = self._section(header[0])[-1]
            line = self._text[self._line(last.range[0]) : last.range[0]]
            margin = "" if line.strip() else line
            return self._line_below(last, margin + self._pair(path[depth:], value))
        if any(isinstance(part, int) for part in path):
            return None
        table = value if isinstance(value, Mapping) else {str(path[-1]): value}
        return self._new_table(path if table is value else path[:-1], table, nodes[-1])

    def _is_inline(self, node: Node) -> bool:
        return node.value is not None and self._text[node.value[0]] == "{"

    @staticmethod
    def _pair(path: Path, value: Any) -> str:
        return f"{'.'.join(key(str(part)) for part in path)} = {toml(value)}"

    def _into_inline(self, table: Node, path: Path, value: Any) -> Change:
        """A pair behind the opening brace."""
        return self._behind_brace(table, self._pair(path, value))

    def _behind_brace(self, table: Node, pair: str) -> Change:
        at = table.value[0] + 1 if table.value else 0
        return self._change(at, at, f" {pair}{',' if table.children else ' '}")

    def into(self, table: Path, pair: str) -> Change:
        """A pair, as it is written, put into an inline table."""
        node = self._node(table)
        assert node is not None
        return self._behind_brace(node, pair)

    def gone(self, start: int, end: int) -> Change:
        """A statement taken out, with its line where there is nothing else on it."""
        if not self._text[self._line(start) : start].strip() and (ends := _ENDS.match(self._text, self._blank(end))):
            return self._change(self._line(start), ends.end(), "")
        return self._change(start, end, "")

    def _blank(self, at: int) -> int:
        """Past blanks within the line."""
        return at + len(self._text[at:]) - len(self._text[at:].lstrip(" \t"))

    def _beside(self, table: Node) -> tuple[Statement, int] | None:
        """The first pair that has a key of a table, and where that begins; None where the table has a header."""
        if table.value is not None:
            return None
        for child in table.children.values():
            for start, _ in child.mentions:
                statement = self._statement(start)
                if not statement.header:
                    return statement, start
        return None

    def _new_table(self, path: Path, table: Mapping[str, Any], above: Node) -> Change:
        """A table with a header, behind the last statement of those below the table that it belongs to."""
        lines = [f"[{'.'.join(key(str(part)) for part in path)}]"]
        lines += [self._pair((name,), value) for name, value in table.items()]
        last = self._section(max(_places(above)))[-1]
        return self._line_below(last, self._end.join(lines), blank=True)

    # ------------------------------------------------------------------------------------------------------- places

    def _node(self, path: Path) -> Node | None:
        node: Node | None = self._document.root
        for part in path:
            node = node.children.get(part) if node is not None else None
        return node

    def _statement(self, at: int) -> Statement:
        """The statement that a place lies in."""
        return next(each for each in reversed(self._document.statements) if each.range[0] <= at)

    def _section(self, at: int) -> list[Statement]:
        """The statement that a place lies in, and the pairs behind it up to the next header."""
        first = self._statement(at)
        behind = (each for each in self._document.statements if each.range[0] > first.range[0])
        return [first, *itertools.takewhile(lambda each: not each.header, behind)]

    def _line(self, at: int) -> int:
        """Where the line of a place begins."""
        return self._text.rfind("\n", 0, at) + 1

    def _line_below(self, statement: Statement, text: str, *, blank: bool = False) -> Change:
        """Lines put in below a statement and the comment behind it."""
        end = self._text.find("\n", statement.range[1])
        at = len(self._text) if end < 0 else end - (self._text[end - 1] == "\r")
        return self._change(at, at, self._end * (1 + blank) + text)

    def _change(self, start: int, end: int, text: str) -> Change:
        line = self._text.count("\n", 0, start)
        return Change(self._file, self._first_line + line, start - self._line(start) + 1, end - start, text)


def _places(node: Node) -> Iterator[int]:
    """The beginnings of all that belongs to a key."""
    yield from (start for start, _ in node.mentions)
    yield node.key[0]
    for child in node.children.values():
        yield from _places(child)
