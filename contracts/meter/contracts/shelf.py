"""Contract files by the name of their plugin, each read when somebody asks for it.

A check asks for the few contracts of its chain; the others of a catalogue need only be found. A file can be asked for
by two names at most: the one that it seems to state, which one search in its text finds, and the one that its place
suggests, which it has where it cannot be read. Whatever the search is not sure of is read at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from meter.contracts.collector import uncollected
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.model import Contract
from meter.contracts.reader import read

_NAME: Final = re.compile(rb"""^name[ \t]*=[ \t]*(?:"([^"\\\n]*)"|'([^'\n]*)')[ \t]*(?:\#.*)?\r?$""", re.MULTILINE)
_HEADER: Final = re.compile(rb"^[ \t]*\[", re.MULTILINE)
_WORD: Final = re.compile(rb"[A-Za-z0-9_-]+")
_OFTEN: Final = 16
"""So often all files are searched for a word, before an index of their words is made."""
_QUOTES: Final = (b'"""', b"'''")
"""What begins a text of several lines, of which one may look like anything."""


@frozen(kw_only=True)
class Entry:
    """One contract file: what it says, or why it cannot be read."""

    name: str
    path: str
    contract: Contract | None
    diagnostics: tuple[Diagnostic, ...] = field(repr=False)


class _File:
    """A file, read on demand and once."""

    __slots__ = ("_entry", "data", "path", "suggested")

    def __init__(self, suggested: str, path: str, data: bytes) -> None:
        self.suggested = suggested
        self.path = path
        self.data = data
        self._entry: Entry | None = None

    def entry(self) -> Entry:
        """What the file says."""
        if self._entry is None:
            result = read(self.data, self.path, stem=self.suggested if self.path.endswith(".py") else "plugin")
            name = result.contract.name if result.contract else self.suggested
            self._entry = Entry(name=name, path=self.path, contract=result.contract, diagnostics=result.diagnostics)
        return self._entry

    def names(self) -> set[str]:
        """The names that its entry could have; the file is read where its text does not tell."""
        header = _HEADER.search(self.data)
        head = self.data if header is None else self.data[: header.start()]
        found = None if self.path.endswith(".py") else _NAME.search(head)
        if found is None or any(quotes in head for quotes in _QUOTES):
            return {self.entry().name}
        return {self.suggested, (found[1] or found[2] or b"").decode(errors="replace")}

    def may_say(self, word: bytes) -> bool:
        """Whether a word could stand in the file; behind an escape anything could."""
        return word in self.data or b"\\" in self.data


class Shelf(Mapping[str, tuple[Entry, ...]]):
    """Entries by plugin name; sorted by name, those of one name in the order of the files."""

    def __init__(self, files: Iterable[tuple[str, str, bytes]]) -> None:
        """Files as (name that the place suggests, path, bytes); their order does not matter."""
        self._files = [_File(*file) for file in sorted(files)]
        self._could: dict[str, list[_File]] = {}
        self._known: dict[str, tuple[Entry, ...]] = {}
        self._searched = 0
        self._index: dict[bytes, list[_File]] = {}
        """Files by the words in them, once they were searched often."""
        with uncollected():
            for file in self._files:
                for name in file.names():
                    self._could.setdefault(name, []).append(file)

    def __getitem__(self, name: str) -> tuple[Entry, ...]:
        """The entries of a name.

        Raises: KeyError, no file has it.
        """
        if name not in self._known:
            found = (file.entry() for file in self._could.get(name, ()))
            self._known[name] = tuple(entry for entry in found if entry.name == name)
        if not self._known[name]:
            raise KeyError(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Every name; every file is read for it."""
        with uncollected():
            return iter(sorted({file.entry().name for file in self._files}))

    def __len__(self) -> int:
        """How many names there are."""
        return sum(1 for _ in self)

    def mentioning(self, word: str) -> Iterator[str]:
        """Names of entries in whose text a word could stand, sorted; only these files are read."""
        sought = word.encode(errors="replace")
        return iter(sorted({file.entry().name for file in self._candidates(sought) if file.may_say(sought)}))

    def _candidates(self, sought: bytes) -> Sequence[_File]:
        """Files among which are all that say a word.

        A word of a document ends where its quotes, dots and blanks are, so that its parts are words of the text.
        """
        parts = _WORD.findall(sought)
        self._searched += 1
        if not parts or self._searched <= _OFTEN:
            return self._files
        if not self._index:
            for file in self._files:
                for found in {b"\\"} if b"\\" in file.data else set(_WORD.findall(file.data)):
                    self._index.setdefault(found, []).append(file)
        rarest = min((self._index.get(part, []) for part in parts), key=len)
        return [*rarest, *self._index.get(b"\\", [])]
