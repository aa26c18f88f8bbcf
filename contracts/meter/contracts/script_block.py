"""The contract in a Python file: a block of comments from `# /// meter` to `# ///`, as PEP 723 has it."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from meter.contracts.spans import Span

MARK: Final = b"# /// meter"
"""How it begins."""
_BEGIN: Final = re.compile(r"(?m)^# /// meter[ \t]*\r?\n")
_COMMENT: Final = re.compile(r"#(?: .*)?\r?\n?")
_END: Final = re.compile(r"# ///[ \t]*\r?\n?")
_HASH: Final = re.compile(r"(?m)^# ?")


class ScriptBlock(NamedTuple):
    """The contract in a Python file: its text, its first line, and the text in which `Source` finds places."""

    text: str
    line: int
    located: str


def script_block(text: str) -> ScriptBlock | None:
    """The contract in a `# /// meter` block of a Python file."""
    end = 0
    while (begin := _BEGIN.search(text, end)) is not None:
        end = begin.end()
        while (line := _COMMENT.match(text, end)) is not None and line[0]:
            if _END.fullmatch(line[0]):
                block = text[begin.end() : end]
                body = _HASH.sub("", block)  # not splitlines, which also ends lines at characters that TOML allows
                located = _HASH.sub(lambda mark: " " * len(mark[0]), block)
                return ScriptBlock(body, text.count("\n", 0, begin.end()) + 1, located)
            end = line.end()
    return None


def in_script(span: Span, block: ScriptBlock) -> Span:
    """A place of a script's contract as a place of the script."""
    lines = (*block.located.split("\n"), "")
    marks = len(lines[span.line - 1]) - len((*block.text.split("\n"), "")[span.line - 1])
    return span._replace(line=span.line + block.line - 1, column=span.column + marks)


def has_block(data: bytes) -> bool:
    """Whether a Python file has a contract in its comments; one in a text of the program is none."""
    if MARK not in data:
        return False
    import tokenize  # only a file that has the mark is looked at closely

    wanted = MARK.decode()
    try:
        tokens = tokenize.tokenize(io.BytesIO(data).readline)
        return any(token.type == tokenize.COMMENT and token.string.rstrip() == wanted for token in tokens)
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError):
        return True  # said when it is read
