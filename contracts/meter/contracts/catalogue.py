"""The catalogue: every contract that is known, read without running a plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import field, frozen

from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.shelf import Entry, Shelf

__all__ = ["Catalogue", "Entry", "is_automatic", "is_listed", "is_of_spans", "score"]


@frozen(kw_only=True)
class Catalogue:
    """Entries by plugin name; a name with several entries is asked for in vain (E-DUPLICATE).

    Contracts are read when they are asked for. What goes through all of them costs as much as reading them.
    """

    entries: Mapping[str, tuple[Entry, ...]]
    _names: list[tuple[str, ...]] = field(factory=list, init=False, eq=False, repr=False)

    @classmethod
    def of(cls, files: Iterable[tuple[str, str, bytes]]) -> Catalogue:
        """The catalogue of some files as (name that the place suggests, path, bytes); the order does not matter."""
        return cls(entries=Shelf(files))

    def only(self, names: Iterable[str]) -> Catalogue:
        """The same catalogue with these plugins alone."""
        return Catalogue(entries={name: self.entries[name] for name in sorted(names) if name in self.entries})

    def contracts(self) -> Iterator[Contract]:
        """Every contract that can be used, sorted by name."""
        return self._usable(self.entries)

    def mentioning(self, word: str) -> Iterator[Contract]:
        """Contracts that can be used and in which a word stands somewhere, sorted by name; perhaps some more.

        Whoever provides, gives or takes the place of something has its name as a whole word or part of one.
        """
        return self._usable(self.saying(word))

    def saying(self, word: str) -> Iterable[str]:
        """Names of plugins in whose contract a word stands, also of those that cannot be used; perhaps some more."""
        return self.entries.mentioning(word) if isinstance(self.entries, Shelf) else self.entries

    def _usable(self, names: Iterable[str]) -> Iterator[Contract]:
        for name in names:
            entries = self.entries[name]
            if len(entries) == 1 and entries[0].contract is not None:
                yield entries[0].contract

    def names(self) -> tuple[str, ...]:
        """Names of plugins that a user may ask for, and of capabilities."""
        if not self._names:  # every contract is read for them; whoever asks, asks for each wrong name
            listed = [contract for contract in self.contracts() if is_listed(contract)]
            capabilities = {name for contract in listed for name in contract.provides.capabilities}
            self._names.append(tuple(sorted({contract.name for contract in listed} | capabilities)))
        return self._names[0]


def is_listed(contract: Contract) -> bool:
    """Whether `meter plugin list` shows it."""
    return not _any_says(contract, "listed")


def is_automatic(contract: Contract) -> bool:
    """Whether it may be chosen without being named."""
    return not _any_says(contract, "automatic")


def is_of_spans(contract: Contract) -> bool:
    """Whether it says what was used in a span of time."""
    return not _any_says(contract, "spans")


def score(contract: Contract) -> int:
    """The sum of the scores of its status words; a word counts once."""
    return sum(map(language().score, set(contract.status)))


def _any_says(contract: Contract, key: str) -> bool:
    """Whether a status word says no to something; a number says nothing."""
    words = language().words["status"]
    return any(words[word].get(key) == "no" for word in contract.status if word in words)
