"""Every diagnostic has a place: whoever makes one says where, or it is made for its words alone."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOR_WORDS = {
    "contracts/meter/contracts/resolution/optional.py": "the reason within another message",
    "core/meter/core/faults.py": "the words of a fault of the engine, which happens at no place of a text",
    "core/meter/core/mounted.py": "why a second process cannot be had, which is asked for at no place of a text",
    "core/meter/core/completing.py": "what a plugin's code has said; `complete` puts the place in",
}
"""Files that make diagnostics without a place, with the reason."""


def test_every_diagnostic_is_made_with_a_place() -> None:
    """In all modules but those that need the words of one."""
    bare = set()
    for path in sorted(file for top in ("contracts", "core", "cli", "plugins") for file in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Diagnostic":
                spans = [each.value for each in node.keywords if each.arg == "spans"]
                if not spans or (isinstance(spans[0], ast.Tuple) and not spans[0].elts):
                    bare.add(path.relative_to(ROOT).as_posix())

    assert bare == set(FOR_WORDS)
