"""One side of a comparison: contracts out of a file or folder, or as a revision of git has them.

`REV:PATH` names what git names so, `origin/main:plugins`; git is only read from, nothing is checked out, and what lies
in a revision is run by nobody.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import LIMIT
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.reader import read
from meter.contracts.script_block import MARK
from meter.contracts.spans import Span
from meter.core.discovery import CONTRACT, in_folder, suggested

PATIENCE_S: Final = 60.0
"""So long git may take for one answer."""


class Side(NamedTuple):
    """The contracts that a word names, sorted by name, and what of it cannot be read."""

    contracts: tuple[Contract, ...]
    diagnostics: tuple[Diagnostic, ...]
    unread: frozenset[str] = frozenset()
    """The names that the places of contracts suggest that cannot be read."""

    def beside(self, other: Side) -> tuple[Contract, ...]:
        """The contracts that can be compared with another side: not those that it has and cannot be read there."""
        return tuple(each for each in self.contracts if each.name not in other.unread)


class _File(NamedTuple):
    """A contract file: what it is called, what its place suggests as the plugin's name, its bytes."""

    path: str
    stem: str
    data: bytes


class _GitError(Exception):
    """Git does not give something; `variant` names the text of E-FILE that says why."""

    def __init__(self, variant: str, **facts: str) -> None:
        super().__init__(variant)
        self.variant = variant
        self.facts = facts


def side(word: str) -> Side:
    """The contracts of a file, a folder, or a `REV:PATH`; what is there as a path is taken as one."""
    revision, colon, path = word.partition(":")
    try:
        files = list(_on_disk(word) if os.path.exists(word) or not colon else _in_git(word, revision, path))
    except _GitError as error:
        return Side((), (_unread(word, error.variant, **error.facts),))
    except FileNotFoundError:
        return Side((), (_unread(word, "no-plugin"),))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return Side((), (_unread(str(error.filename or word), "plugin", why=why),))
    if not files:
        return Side((), (Diagnostic(code="E-CONTRACT-MISSING", facts={"path": word}, spans=(Span(word, 1, 1),)),))
    contracts: list[Contract] = []
    found: list[Diagnostic] = []
    unread: set[str] = set()
    for file in files:
        contract, wrong = _read(file)
        found += wrong
        if contract is None:
            unread.add(file.stem)
            continue
        twice = next((each for each in contracts if each.name == contract.name), None)
        if twice is not None:
            paths = f"`{twice.source.file}` and `{file.path}`"
            spans = (contract.source.value("name"), twice.source.value("name"))
            facts = {"name": contract.name, "paths": paths}
            found.append(Diagnostic(code="E-DUPLICATE", variant="files", facts=facts, spans=spans))
            continue
        contracts.append(contract)
    return Side(tuple(sorted(contracts, key=lambda each: each.name)), tuple(found), frozenset(unread))


def _unread(path: str, variant: str, **facts: str) -> Diagnostic:
    """E-FILE."""
    return Diagnostic(code="E-FILE", variant=variant, facts={"path": path, **facts}, spans=(Span(path, 1, 1),))


def _read(file: _File) -> tuple[Contract | None, list[Diagnostic]]:
    """A contract; one for another plugin interface is compared, too, since that is a change like any other."""
    result = read(file.data, file.path, stem=file.stem if file.path.endswith(".py") else "plugin")
    errors = [each for each in result.diagnostics if each.level == "error"]
    if all(each.code == "E-INTERFACE" and not each.variant for each in errors):
        return result.stated, []
    return None, errors


# --------------------------------------------------------------------------------------------------------------- files


def _on_disk(word: str) -> Iterator[_File]:
    """The contracts of a file, or of a folder and the folders in it.

    Raises: OSError.
    """
    paths = [path for _, path in in_folder(word)] if os.path.isdir(word) else [word]
    for path in paths:
        with open(path, "rb") as file:
            yield _File(path, suggested(path), file.read(LIMIT + 1))


# ----------------------------------------------------------------------------------------------------------------- git


def _in_git(word: str, revision: str, path: str) -> Iterator[_File]:
    """The contracts of a file or folder of a revision, by the same rules as on disk.

    Raises: _GitError.
    """
    _git(["rev-parse", "--git-dir"], "no-repository")
    name = f"{revision}^{{commit}}"
    commit = _git(["rev-parse", "--verify", "--quiet", "--end-of-options", name], "no-revision", revision=revision)
    # From here on the commit: the same one for all files, and no option, whatever the revision is called.
    base = f"{commit.decode().strip()}:{path}"
    kind = _git(["cat-file", "-t", base], "not-in-revision", revision=revision, inside=path or "/").decode().strip()
    if kind == "blob":
        yield _File(word, suggested(word), _blob(base))
        return
    listed = _git(
        ["ls-tree", "-r", "-z", "--name-only", "--full-tree", base], "not-in-revision", revision=revision, inside=path
    )
    stem = "" if not path or path.endswith("/") else "/"
    for inside in sorted(listed.decode("utf-8", "surrogateescape").split("\0")):
        folder, _, last = inside.rpartition("/")
        if (last == CONTRACT and "/" not in folder) or (last.endswith(".py") and not folder):
            data = _blob(f"{base}{stem}{inside}")
            if last == CONTRACT or MARK in data[:LIMIT]:
                shown = f"{word}{stem}{inside}"
                yield _File(shown, suggested(shown), data)


def _blob(name: str) -> bytes:
    """A file of a revision, up to a byte more than a contract may have."""
    return _git(["cat-file", "blob", name], "git")[: LIMIT + 1]


def _git(words: Sequence[str], variant: str, **facts: str) -> bytes:
    """What git answers.

    Raises: _GitError of that variant where it refuses; `no-git` where there is none.
    """
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
    try:
        done = subprocess.run(  # noqa: S603  (no shell; a word from outside is no option, as it follows one or begins so)
            ["git", "--no-pager", *words],  # noqa: S607  (the git of the user)
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
            env=environment,
        )
    except FileNotFoundError:
        raise _GitError("no-git") from None
    except subprocess.TimeoutExpired:
        why = language().phrase("text", "git-silent", seconds=f"{PATIENCE_S:.0f}")
        raise _GitError("git", why=why) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        ended = language().phrase("text", "git-ended", code=str(done.returncode))
        why = said[0].removeprefix("fatal: ") if said else ended
        if variant == "no-repository" and "not a git repository" not in why:  # such as a clone of somebody else
            variant = "git"
        raise _GitError(variant, **facts, why=why)
    return done.stdout
