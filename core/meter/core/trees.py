"""Trees: the mount files and contracts below a folder, as a repository has them. Nothing is imported or run.

What no repository means is left out: hidden folders, `node_modules`, `__pycache__` and virtual environments. Links to
folders are not followed, but for one that is itself a plugin's folder, so that a tree has an end; what a link inside
the tree leads to is found at its own place.
"""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import LIMIT
from meter.contracts.script_block import has_block
from meter.contracts.spans import Span
from meter.core import files
from meter.core.discovery import CONTRACT

MOST: Final = 200_000
"""Files and folders that are looked at; who names a whole disk is told instead of kept waiting."""
MOUNT_FILE: Final = "meter.toml"
_MOUNTS: Final = re.compile(rb"(?m)^[ \t]*(?:\[[ \t]*)?(?:mounts|\"mounts\"|'mounts')[ \t]*(?:[.\]]|=[ \t]*\{)")
"""A line that makes the table `mounts`, also in a file that is no TOML, which has to be said."""
_PASSED_OVER: Final = frozenset({"node_modules", "__pycache__"})
_ENVIRONMENT: Final = "pyvenv.cfg"


class Tree(NamedTuple):
    """Mount files and contracts below a folder, each sorted by path, and what could not be looked at."""

    mounts: tuple[str, ...]
    contracts: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]


class _Seen(Exception):  # noqa: N818  (no fault of anybody: the end of the walk)
    """There are more than `MOST` files and folders."""


class _Walk:
    """One walk over a tree."""

    def __init__(self) -> None:
        self.mounts: list[str] = []
        self.contracts: list[str] = []
        self.found: list[Diagnostic] = []
        self.left = MOST

    def folder(self, folder: str) -> None:
        """Look at a folder and all below it."""
        waiting = [folder]
        while waiting:
            path = waiting.pop()
            try:
                with os.scandir(path) as listing:
                    entries = list(listing)
            except OSError as error:
                self.found.append(files.fault(path, error, "plugin-folder"))
                continue
            self.left -= len(entries)
            if self.left < 0:
                raise _Seen
            if path != folder and any(entry.name == _ENVIRONMENT for entry in entries):
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in _PASSED_OVER:
                        waiting.append(entry.path)
                elif entry.is_dir():
                    if os.path.isfile(linked := os.path.join(entry.path, CONTRACT)):
                        self.contracts.append(linked)
                elif entry.name.endswith((".toml", ".py")) and entry.is_file():
                    self.file(entry.name, entry.path)

    def file(self, name: str, path: str) -> None:
        """Look at a file that may be one of them."""
        if name == CONTRACT:
            self.contracts.append(path)
            return
        if name == MOUNT_FILE:
            self.mounts.append(path)
            return
        try:
            with open(path, "rb") as file:
                data = file.read(LIMIT)
        except OSError as error:
            self.found.append(files.fault(path, error, "plugin"))
            return
        if name.endswith(".py"):
            if has_block(data):
                self.contracts.append(path)
        elif _MOUNTS.search(data):
            self.mounts.append(path)


def find(folder: str) -> Tree:
    """The mount files and contracts below a folder.

    A mount file is a `meter.toml`, or a `.toml` file with a table `mounts`. A contract is a `contract.toml`, or a `.py`
    file with a script block.
    """
    walk = _Walk()
    try:
        walk.folder(folder)
    except _Seen:
        facts = {"path": folder, "limit": f"{MOST:,}"}
        walk.found.append(Diagnostic(code="E-FILE", variant="too-many", facts=facts, spans=(Span(folder, 1, 1),)))
    if not (walk.mounts or walk.contracts or walk.found):
        spans = (Span(folder, 1, 1),)
        walk.found.append(Diagnostic(code="E-CONTRACT-MISSING", variant="folder", facts={"path": folder}, spans=spans))
    problems = sorted(walk.found, key=Diagnostic.order)
    return Tree(tuple(_once(walk.mounts)), tuple(_once(walk.contracts)), tuple(problems))


def _once(paths: list[str]) -> list[str]:
    """Paths sorted, each file once, by its own path where a link leads to it, too; as a person writes them."""
    kept: dict[str, str] = {}
    for path in sorted(paths):
        real = os.path.realpath(path)
        if real not in kept or os.path.abspath(path) == real:
            kept[real] = path
    return sorted(path.removeprefix(f".{os.sep}") for path in kept.values())
