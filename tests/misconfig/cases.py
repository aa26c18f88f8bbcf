"""The misconfigurations: for each case a mount file that is refused and its good twin, with what is said of it.

`cases.toml` has the titles, what existing tools do, the code that a case is refused with, the text that the first place
points at, and answers of the host where the case is about the host; what no answer is given for holds. The mount files
are `ID-bad.toml` and `ID-good.toml`, the plugins those of `plugins/` and the built-in ones.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from meter.cli.render import diagnostics_text
from meter.contracts.host import Assumed
from meter.core.discovery import Shelf, builtin_folder
from meter.core.mounts import Mounts

FOLDER: Final = Path(__file__).parent
PLUGINS: Final = FOLDER / "plugins"


class Case(NamedTuple):
    """One misconfiguration.

    `code` is empty where nothing is refused before a run: `running` says then what is seen while running, and `test` is
    the test that shows it. `bad` and `good` are answers of the host. `mended` are the changes of somebody who reads
    nothing but the help: old and new text.
    """

    id: str
    title: str
    tools: str
    links: tuple[str, ...]
    code: str = ""
    points: str = ""
    mended: tuple[tuple[str, str], ...] = ()
    running: str = ""
    tests: tuple[str, ...] = ()
    bad: Mapping[str, str] = {}
    good: Mapping[str, str] = {}

    def file(self, twin: str) -> Path:
        """The mount file of `bad` or `good`; the bad one is missing where nothing that is written can be wrong."""
        return FOLDER / f"{self.id}-{twin}.toml"

    def host(self, twin: str) -> Answers:
        """The host of one of the two."""
        return Answers(self.bad if twin == "bad" else self.good)


class Answers(Assumed):
    """A host that answers as a case says, and otherwise has everything."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers = answers

    def answer(self, kind: str, argument: str) -> str:
        """Why something does not hold."""
        return self.answers.get(f"{kind} {argument}", "")


@cache
def cases() -> tuple[Case, ...]:
    """Every case, in the order of `cases.toml`."""
    document = tomllib.loads((FOLDER / "cases.toml").read_text(encoding="utf-8"))
    found = []
    for name, says in document.items():
        lists: dict[str, Any] = {key: tuple(says.get(key, ())) for key in ("links", "tests", "mended")}
        found.append(Case(id=name, **{**says, **lists}))
    return tuple(found)


@cache
def shelf() -> Shelf:
    """The built-in plugins and those of the cases, read once."""
    return Shelf([str(PLUGINS)])


def mended(case: Case, folder: Path) -> list[dict[str, Any]]:
    """What is said of the bad one once it is changed as its help says."""
    text = case.file("bad").read_text(encoding="utf-8")
    for old, new in case.mended:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = folder / "meter.toml"
    file.write_text(text, encoding="utf-8")
    with contextlib.chdir(FOLDER):
        return Mounts(str(file), shelf=shelf(), host=case.host("good")).check_all(None)[1]


def result(case: Case, twin: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the check says of one of the two: plans of sound backends, diagnostics with places as `place` has them."""
    with contextlib.chdir(FOLDER):
        plans, found = Mounts(case.file(twin).name, shelf=shelf(), host=case.host(twin)).check_all(None)
    for diagnostic in found:
        for span in diagnostic["spans"]:
            span["file"] = place(span["file"])
    return plans, found


def printed(diagnostics: Iterable[Mapping[str, Any]]) -> str:
    """Diagnostics as `meter check` prints them in this folder."""

    def read(file: str) -> str | None:
        path = FOLDER / file if (FOLDER / file).exists() else Path(builtin_folder()) / file
        return path.read_text(encoding="utf-8") if path.exists() else None

    return diagnostics_text(list(diagnostics), colour=False, width=100, read=read)


def place(file: str) -> str:
    """A file as the page names it: the mount files and their plugins relative to this folder, built-in ones by name."""
    if not os.path.isabs(file):
        return file
    path = Path(file)
    return path.relative_to(FOLDER).as_posix() if path.is_relative_to(FOLDER) else f"{path.parent.name}/{path.name}"
