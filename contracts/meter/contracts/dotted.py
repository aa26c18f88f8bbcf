"""Keys of TOML with very many dots, found before a parser is asked.

The time of `tomllib` grows with the square of the parts of a key, so that a file of a few kilobytes would keep it busy
for hours. Nobody else needs such a key either: tables are not nested that deep.
"""

from __future__ import annotations

import re
from typing import Final

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


def longest_key(text: str, deepest: int) -> int:
    """Where a key with more parts than `deepest` begins, counted in characters; -1 where there is none."""
    if not any(line.count(".") >= deepest for line in text.split("\n")):
        return -1
    for piece in _PIECE.finditer(text):
        key = piece["key"]
        if key and key.count(".") >= deepest and sum(part == "." for part in _PART.findall(key)) >= deepest:
            return piece.start()
    return -1
