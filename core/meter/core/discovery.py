"""Discovery: where contracts lie. Files are read, no plugin is imported."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from meter.contracts.catalogue import Catalogue
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import LIMIT
from meter.contracts.reader import ReadContract, read
from meter.contracts.script_block import MARK
from meter.contracts.spans import Span
from meter.core import files

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

CONTRACT = "contract.toml"
GROUP = "meter.plugins"
"""The group of entry points of distributions with plugins."""


class Discovered(NamedTuple):
    """The catalogue, and folders that could not be read."""

    catalogue: Catalogue
    diagnostics: tuple[Diagnostic, ...]


def builtin_folder() -> str:
    """The folder of the built-in plugins, found without importing one."""
    from importlib.util import find_spec  # only the cold path looks for plugins

    spec = find_spec("meter.plugins")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return next(iter(spec.submodule_search_locations))


def discover(
    plugin_dirs: Iterable[str] = (),
    known: Iterable[str] = (),
    *,
    contracts: Iterable[str] = (),
    installed: bool = True,
) -> Discovered:
    """Read the contracts of built-in plugins, `--plugin-dir` folders, entry points and contract files.

    Args: `known`, contract files that a lock knows: each where nothing else has its name, as those of another
        environment that meter is installed in, too, are none of this one; `contracts`, other files.
    """
    found: dict[str, tuple[str, str, bytes]] = {}
    problems: list[Diagnostic] = []
    paths = list(in_folder(builtin_folder()))
    for folder in plugin_dirs:
        try:
            inside = list(in_folder(folder))
        except OSError as error:
            problems.append(files.fault(folder, error, "plugin-folder"))
            continue
        paths += inside
    if installed:
        paths += _installed()
    paths += [(suggested(path), path) for path in contracts if os.path.isfile(path)]
    _read_all(paths, found, problems)
    further: dict[str, tuple[str, str, bytes]] = {}
    others = [path for path in known if os.path.isfile(path) and os.path.realpath(path) not in found]
    _read_all([(suggested(path), path) for path in others], further, problems)
    if further:
        there = Catalogue.of(found.values()).entries
        found |= {real: file for real, file in further.items() if _name(file) not in there}
    return Discovered(Catalogue.of(found.values()), tuple(problems))


def _name(file: tuple[str, str, bytes]) -> str:
    """The name of the plugin that a contract file is of."""
    return next(iter(Catalogue.of([file]).entries))


def _read_all(
    paths: Iterable[tuple[str, str]], found: dict[str, tuple[str, str, bytes]], problems: list[Diagnostic]
) -> None:
    """Read files, each once, whatever it is called."""
    for stem, path in paths:
        real = os.path.realpath(path)
        if real in found:
            continue
        try:
            with open(path, "rb") as file:
                found[real] = (stem, path, file.read(LIMIT + 1))
        except OSError as error:
            problems.append(files.fault(path, error))


class Shelf:
    """The catalogue of some folders and contract files, read once for all who know of nothing else."""

    def __init__(self, plugin_dirs: Iterable[str] = (), contracts: Iterable[str] = ()) -> None:
        self.plugin_dirs = tuple(plugin_dirs)
        self.contracts = tuple(contracts)
        self._read: Discovered | None = None
        self._files: frozenset[str] = frozenset()

    def read(self, known: Iterable[str] = ()) -> Discovered:
        """What `discover` finds, with further `known` contract files."""
        if self._read is None:
            self._read = discover(self.plugin_dirs, contracts=self.contracts)
            entries = self._read.catalogue.entries.values()
            self._files = frozenset(os.path.realpath(entry.path) for each in entries for entry in each)
        others = [path for path in known if os.path.isfile(path) and os.path.realpath(path) not in self._files]
        return discover(self.plugin_dirs, others, contracts=self.contracts) if others else self._read


def read_folder(target: str) -> list[Diagnostic]:
    """Every diagnostic of a contract file, or of all contracts in a folder and its subfolders."""
    try:
        paths = contract_files(target)
    except OSError as error:
        return [files.fault(target, error, "plugin")]
    if not paths:
        return [Diagnostic(code="E-CONTRACT-MISSING", facts={"path": target}, spans=(Span(target, 1, 1),))]
    return read_files(paths)


def read_files(paths: Iterable[str]) -> list[Diagnostic]:
    """Every diagnostic of some contract files, each by itself."""
    return [diagnostic for path in paths for diagnostic in read_file(path).diagnostics]


def read_file(path: str) -> ReadContract:
    """The contract of a file, or why there is none."""
    try:
        with open(path, "rb") as file:
            return read(file.read(LIMIT + 1), path, stem=suggested(path) if path.endswith(".py") else "plugin")
    except FileNotFoundError:
        spans = (Span(path, 1, 1),)
        return ReadContract(None, (Diagnostic(code="E-FILE", variant="no-plugin", facts={"path": path}, spans=spans),))
    except OSError as error:
        return ReadContract(None, (files.fault(path, error, "plugin"),))


def read_together(shelf: Shelf) -> list[Diagnostic]:
    """What is wrong with the contract files of a shelf in the company of all others."""
    from meter.contracts.together import together  # only folders of plugins are looked at as a whole

    catalogue, problems = shelf.read()
    return [*problems, *together(catalogue, shelf.contracts)]


def contract_files(target: str) -> list[str]:
    """The contracts of a folder and its subfolders; of a file itself.

    Raises: OSError, the folder cannot be read.
    """
    return [path for _, path in in_folder(target)] if os.path.isdir(target) else [target]


def suggested(path: str) -> str:
    """The name that a contract's place suggests, should the contract not say it."""
    if path.endswith(".py"):
        return os.path.basename(path)[:-3]
    return os.path.basename(os.path.dirname(os.path.abspath(path)))


def in_folder(folder: str) -> Iterator[tuple[str, str]]:
    """Contracts of a folder: its own, those of its subfolders, and single files with a script block."""
    own = os.path.join(folder, CONTRACT)
    if os.path.isfile(own):
        yield suggested(own), own
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        inside = os.path.join(path, CONTRACT)
        if os.path.isfile(inside):
            yield name, inside
        elif name.endswith(".py") and os.path.isfile(path) and _has_block(path):
            yield name[:-3], path


def _has_block(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return MARK in file.read(LIMIT)
    except OSError:
        return True  # said when it is read


def _installed() -> Iterator[tuple[str, str]]:
    """Contracts of distributions with an entry point in the group `meter.plugins`: the folder of the named package."""
    if not any(map(_may_name_plugins, sys.path)):
        return
    for entry in sorted(_entry_points()):
        parts = entry.value.partition(":")[0].split(".")
        for root in sys.path:
            path = os.path.join(root or ".", *parts, CONTRACT)
            if os.path.isfile(path):
                yield entry.name, path
                break


def is_trusted(path: str) -> bool:
    """Whether the code beside a contract may run when a backend is mounted: it is built-in, or was installed."""
    real = os.path.realpath(path)
    builtin = os.path.realpath(builtin_folder())
    return os.path.commonpath([real, builtin]) == builtin or any(
        os.path.realpath(installed) == real for _, installed in _installed()
    )


def _may_name_plugins(root: str) -> bool:
    """Whether a folder of `sys.path` could hold a distribution with plugins.

    Files are searched for the name of the group: most hosts have no such distribution, and finding that out with
    importlib.metadata costs more than reading every contract. Whatever is no folder, such as a zip file, could.
    """
    if str(root).endswith(".egg"):
        return True
    try:
        names = os.listdir(root or ".")
    except NotADirectoryError:
        return True
    except OSError:
        return False
    infos = [name for name in names if name.endswith((".dist-info", ".egg-info"))]
    return any(_mentions(os.path.join(root, name, "entry_points.txt")) for name in infos)


def _mentions(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return GROUP.encode() in file.read()
    except OSError:  # nearly every distribution has none
        return False


def _entry_points() -> Iterable[EntryPoint]:
    """The entry points of the group `meter.plugins`; a distribution that does not say its own well has none."""
    from importlib.metadata import distributions, entry_points  # 4 bare interpreter starts; only the cold path asks

    try:
        return entry_points(group=GROUP)
    except Exception:  # noqa: BLE001  (what a malformed file raises is not documented)
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for distribution in distributions():
            with contextlib.suppress(Exception):
                mine = tuple(entry for entry in distribution.entry_points if entry.group == GROUP)
                found.setdefault(distribution.name, mine)
        return [entry for entries in found.values() for entry in entries]
