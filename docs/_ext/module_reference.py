"""Fills a page with what the modules of a room are, by the first lines of their docstrings.

A line `<!-- modules: ROOT -->` of a page is replaced before it is parsed; ROOT is a folder at the top, such as
`core`. A module that says nothing of itself ends the build. Everything but `setup` works without Sphinx, which the
tests use.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract_reference import code, escape, table

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_MARK = re.compile(r"^<!-- modules: (\w+) -->$", re.MULTILINE)


def modules(root: str) -> Iterator[tuple[str, Path]]:
    """The modules and packages of a root with their dotted names, each package before what is in it."""
    top = ROOT / root
    for path in sorted(top.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name)):
        parts = path.relative_to(top).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def summary(path: Path) -> str:
    """The first line of a module's docstring. Raises: ValueError, there is none."""
    said = ast.get_docstring(ast.parse(path.read_bytes()))
    if not said:
        raise ValueError(f"{path} says nothing of itself")
    return said.partition("\n")[0]


def rows(root: str) -> str:
    """The table of a root."""
    return table(["module", "what it is"], [[code(name), escape(summary(path))] for name, path in modules(root)])


def fill(text: str) -> str:
    """A page with its marks replaced."""
    return _MARK.sub(lambda found: rows(found[1]), text)


def setup(app: Any) -> dict[str, Any]:
    """Let Sphinx call `fill` for every page that it reads."""

    def read(_app: Any, _name: str, source: list[str]) -> None:
        source[0] = fill(source[0])

    app.connect("env-get-outdated", lambda *_: ["architecture"])  # a new module does not change the page's file
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "env_version": 1}
