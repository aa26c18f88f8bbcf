"""The catalogue: every contract that is known, read without running a plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import field, frozen

from meter.contracts.collector import uncollected
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.language import language
from meter.contracts.model import Contract
from meter.contracts.reader import read


@frozen(kw_only=True)
class Entry:
    """One contract file: what it says, or why it cannot be read."""

    name: str
    path: str
    contract: Contract | None
    diagnostics: tuple[Diagnostic, ...] = field(repr=False)


@frozen(kw_only=True)
class Catalogue:
    """Entries by plugin name; a name with several entries is asked for in vain (E-DUPLICATE)."""

    entries: Mapping[str, tuple[Entry, ...]]

    @classmethod
    def of(cls, files: Iterable[tuple[str, str, bytes]]) -> Catalogue:
        """Read contracts from (name that the place suggests, path, bytes); the order does not matter."""
        entries: dict[str, list[Entry]] = {}
        with uncollected():
            for suggested, path, data in sorted(files):
                result = read(data, path, stem=suggested if path.endswith(".py") else "plugin")
                name = result.contract.name if result.contract else suggested
                entry = Entry(name=name, path=path, contract=result.contract, diagnostics=result.diagnostics)
                entries.setdefault(name, []).append(entry)
        return cls(entries={name: tuple(entries[name]) for name in sorted(entries)})

    def contracts(self) -> Iterator[Contract]:
        """Every contract that can be used, sorted by name."""
        for entries in self.entries.values():
            if len(entries) == 1 and entries[0].contract is not None:
                yield entries[0].contract

    def names(self) -> tuple[str, ...]:
        """Names of plugins that a user may ask for, and of capabilities."""
        listed = [contract for contract in self.contracts() if is_listed(contract)]
        capabilities = {name for contract in listed for name in contract.provides.capabilities}
        return tuple(sorted({contract.name for contract in listed} | capabilities))


def is_listed(contract: Contract) -> bool:
    """Whether `meter plugin list` shows it."""
    return not any(language().words["status"][word].get("listed") == "no" for word in contract.status)


def is_automatic(contract: Contract) -> bool:
    """Whether it may be chosen without being named."""
    return not any(language().words["status"][word].get("automatic") == "no" for word in contract.status)


def is_of_spans(contract: Contract) -> bool:
    """Whether it says what was used in a span of time."""
    return not any(language().words["status"][word].get("spans") == "no" for word in contract.status)


def score(contract: Contract) -> int:
    """The sum of the scores of its status words; a word counts once."""
    return sum(int(language().words["status"][word]["score"]) for word in set(contract.status))
