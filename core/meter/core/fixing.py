"""Fixing: the edits that diagnostics carry, put into the files that were checked.

Names and places depend on each other, so a round makes only edits that cannot disturb each other, and the next round
begins with a new check. Only files that the caller names are written, all of a round or none.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

from meter.contracts.diagnostics import ContractError
from meter.contracts.editing import masked
from meter.contracts.editing.edits import Change, applied
from meter.contracts.script_block import script_block
from meter.core import files, lock
from meter.core.discovery import contract_files

ROUNDS: Final = 200
"""Each round mends something and costs a check; what is left after so many is left to a person."""

Texts = dict[str, str]
"""The texts of files by their real paths."""


class Fixed(NamedTuple):
    """An edit that was made. `diff` has the lines that went, behind `-`, and those that came, behind `+`."""

    file: str
    line: int
    code: str
    title: str
    diff: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {**self._asdict(), "diff": list(self.diff)}


class Left(NamedTuple):
    """An edit that was not made; `foreign` where `file` is none of those that may be written.

    Else the file was changed by somebody else meanwhile, or would be no TOML any more.
    """

    file: str
    line: int
    code: str
    title: str
    foreign: bool

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return self._asdict()


class _Proposal(NamedTuple):
    """The edit of a diagnostic."""

    code: str
    title: str
    changes: tuple[Change, ...]

    @property
    def steady(self) -> bool:
        """Whether it replaces one thing where it stands: many of them can be made at once."""
        return len(self.changes) == 1 and self.changes[0].length > 0


class Fixer:
    """Puts edits into files.

    Args: `files` may be written; one that somebody else changes between a check and its edits is left alone.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._files = {os.path.realpath(path) for path in files}
        self._stamps: dict[str, list[Any]] = {}
        self._seen: set[tuple[tuple[str, str], ...]] = set()
        self.watch()

    def watch(self) -> None:
        """Note what the files are like; to be called before each check."""
        self._stamps = {path: lock.stamp(path) for path in self._files}

    def round(self, diagnostics: Iterable[Mapping[str, Any]]) -> list[Fixed]:
        """Make the edits of one check that do not disturb each other; none where there is nothing more to mend.

        Raises: ContractError (E-FILE), a file cannot be written; nothing was changed then.
        """
        diagnostics = list(diagnostics)
        wanted = [each for each in _proposals(diagnostics) if all(map(self._writable, each.changes))]
        paths = sorted({os.path.realpath(change.file) for each in wanted for change in each.changes})
        with _guarded(paths):
            texts = {path: _text(path) for path in paths if self._stamps[path] == lock.stamp(path)}
            chosen = _compatible([each for each in wanted if _fits(each, texts)])
            new = _after(texts, [change for each in chosen for change in each.changes])
            state = tuple(sorted(new.items()))
            if not chosen or state in self._seen:  # edits that undo each other would go on for ever
                return []
            self._seen |= {state, tuple(sorted((path, texts[path]) for path in new))}
            _write(new)
        hidden = {
            (os.path.realpath(span["file"]), span["line"])
            for diagnostic in diagnostics
            for span in diagnostic.get("spans", ())
            if span.get("hidden")
        }
        return [_fixed(each, texts, hidden) for each in chosen]

    def left(self, diagnostics: Iterable[Mapping[str, Any]]) -> list[Left]:
        """Of the edits of a check those that no round makes."""
        found = []
        for each in _proposals(diagnostics):
            foreign = [change for change in each.changes if not self._writable(change)]
            place = (*foreign, *each.changes)[0]
            found.append(Left(place.file, place.line, each.code, each.title, bool(foreign)))
        return found

    def _writable(self, change: Change) -> bool:
        return os.path.realpath(change.file) in self._files


def _proposals(diagnostics: Iterable[Mapping[str, Any]]) -> Iterator[_Proposal]:
    for diagnostic in diagnostics:
        if edit := diagnostic.get("edit"):
            yield _Proposal(diagnostic["code"], edit["title"], tuple(Change(**change) for change in edit["changes"]))


def _compatible(wanted: Sequence[_Proposal]) -> list[_Proposal]:
    """Edits for one round: all replacements that do not touch each other, else the first of the others.

    Others put things in, and what one of them puts in the next one may find there.
    """
    steady = [each for each in wanted if each.steady]
    if not steady:
        return list(wanted[:1])
    chosen: dict[tuple[str, int], _Proposal] = {}
    out = []
    for each in sorted(steady, key=lambda each: each.changes):
        change = each.changes[0]
        last = chosen.get((change.file, change.line))
        if last is None or last.changes[0].column + last.changes[0].length < change.column:
            chosen[change.file, change.line] = each
            out.append(each)
    return out


def _fits(proposal: _Proposal, texts: Texts) -> bool:
    """Whether the files are TOML with an edit made; that of a script is the one in its block."""
    try:
        new = _after(texts, proposal.changes)
        for path, text in new.items():
            block = script_block(text) if path.endswith(".py") else None
            tomllib.loads(text if block is None else block.text)
    except (KeyError, ValueError):
        return False
    return True


def _after(texts: Texts, changes: Iterable[Change]) -> Texts:
    """The texts of the files that some changes are made in."""
    by_path: dict[str, list[Change]] = {}
    for change in changes:
        by_path.setdefault(os.path.realpath(change.file), []).append(change)
    return {path: applied(texts[path], some) for path, some in sorted(by_path.items())}


def _fixed(proposal: _Proposal, texts: Texts, hidden: AbstractSet[tuple[str, int]]) -> Fixed:
    """What an edit alone changed; of the values in its lines only those that it is about, and no secret."""
    first = min(proposal.changes)
    touched: dict[str, list[Change]] = {}
    for change in proposal.changes:
        touched.setdefault(os.path.realpath(change.file), []).append(change)
    masks = {
        path: masked.masked(texts[path], changes, {line for file, line in hidden if file == path})
        for path, changes in touched.items()
        if not path.endswith(".py")
    }
    diff: list[str] = []
    for path, new in _after({**texts, **masks}, proposal.changes).items():
        before, after = (text.split("\n") for text in (masks.get(path, texts[path]), new))
        lines = list(difflib.unified_diff(before, after, n=0, lineterm=""))
        diff += [masked.shown(line.rstrip("\r")) for line in lines[2:] if not line.startswith("@@")]
    return Fixed(first.file, first.line, proposal.code, proposal.title, tuple(diff))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except OSError as error:
        raise ContractError([files.fault(path, error)]) from error


@contextlib.contextmanager
def _guarded(paths: Iterable[str]) -> Iterator[None]:
    """Keep other meters from changing these files at the same time."""
    with contextlib.ExitStack() as stack:
        for folder in sorted({os.path.dirname(path) for path in paths}):
            stack.enter_context(files.guarded(folder or "."))
        yield


def _write(texts: Texts) -> None:
    try:
        for path in texts:
            if not os.access(path, os.W_OK):  # a file can be replaced in its folder though it is read-only itself
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        files.write_together({path: text.encode() for path, text in texts.items()})
    except OSError as error:
        path = error.filename if error.filename in texts else next(iter(texts))
        raise ContractError([files.fault(path, error, "unwritable")]) from error


def contracts_in(folders: Iterable[str]) -> list[str]:
    """The contract files of folders of plugins, or of a contract itself; what cannot be read has none."""
    found: list[str] = []
    for folder in folders:
        with contextlib.suppress(OSError):
            found += contract_files(folder)
    return found
