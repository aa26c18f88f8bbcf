"""Hierarchical names, and sets of what has one: sorted, unique, every subtree a contiguous run.

`Named` is anything that is known by such a name; a series (`meter.core.keys.Key`) is one, a bare `Name` another. How
names are written is told in `meter.contracts.keynames`. Imports no numpy.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, NoReturn, Self, TypeVar

from meter.contracts import keynames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PARTS = attrgetter("parts")

N = TypeVar("N", bound="Named")


class NameClash(ValueError):  # noqa: N818  (a fact about two sets, named as in the design)
    """Two sets that had to be disjoint share the member `key`."""

    def __init__(self, key: Named) -> None:
        super().__init__(key.name)
        self.key = key


class Named:
    """What has a hierarchical name; immutable, equal and ordered by it alone.

    Order is that of `parts`, text by text: what lies below a name follows it at once, `a/b` comes before `a.b`, and
    array parts are in the order of their numbers.
    """

    __slots__ = ("_hash", "name", "parts")

    parts: tuple[str, ...]
    """The texts of the parts, without escapes."""
    name: str
    """The canonical name."""
    _hash: int

    def _named(self, parts: tuple[str, ...], name: str) -> None:
        """Give the object its name, once."""
        keep = object.__setattr__
        keep(self, "parts", parts)
        keep(self, "name", name)
        keep(self, "_hash", hash(name))

    def is_below(self, other: Named) -> bool:
        """Whether the other's name is the beginning of this one, part by part."""
        return len(self.parts) > len(other.parts) and self.is_below_or_same(other)

    def is_directly_below(self, other: Named) -> bool:
        """Whether this name is the other's and one part more."""
        return len(self.parts) == len(other.parts) + 1 and self.is_below_or_same(other)

    def is_below_or_same(self, other: Named) -> bool:
        """Whether the other's name is this one or the beginning of it."""
        return self.parts[: len(other.parts)] == other.parts

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(name)

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, Named) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: Named) -> bool:
        return self.parts < other.parts

    def __le__(self, other: Named) -> bool:
        return self.parts <= other.parts

    def __gt__(self, other: Named) -> bool:
        return self.parts > other.parts

    def __ge__(self, other: Named) -> bool:
        return self.parts >= other.parts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Name(Named):
    """A whole name and nothing else: `/system.cpu.time/cpu_core`.

    >>> Name("/a//b/../c/#9").increment()
    Name('/a/c/#_10')
    """

    __slots__ = ()

    def __init__(self, name: str) -> None:
        """Take a name as a person types it.

        Raises: KeyNameError, it is no key name or does not begin with `/`.
        """
        parts = keynames.complete(name)
        self._named(parts, keynames.join(parts))

    @classmethod
    def of(cls, parts: Iterable[str]) -> Self:
        """The name of some texts, whatever they hold."""
        return cls(keynames.join(parts))

    def add(self, name: str) -> Self:
        """The name that lies at `name` from here, as typed: `..` goes up, and never above the top.

        Raises: KeyNameError, it is no key name.
        """
        return type(self)(f"{self.name}/{name}")

    def add_base(self, text: str) -> Self:
        """This name and one part more, whatever the text holds."""
        return type(self).of((*self.parts, text))

    def increment(self) -> Self | None:
        """The name of the next element of the array that this is one of; of `…/#` the first. `None` for all others."""
        last = keynames.increment(self.parts[-1]) if self.parts else None
        return None if last is None else type(self).of((*self.parts[:-1], last))

    def __reduce__(self) -> tuple[type[Name], tuple[str]]:
        return type(self), (self.name,)


class NameSet(Generic[N]):
    """A sorted, unique, immutable set of what has names; of equal ones the last one given stays.

    Equality and hash are those of the names.
    """

    __slots__ = ("_hash", "_index", "_keys")

    clash: ClassVar[type[NameClash]] = NameClash
    """What `merge` raises."""

    def __init__(self, keys: Iterable[N] = ()) -> None:
        unique = {key.name: key for key in keys}
        self._keys = tuple(sorted(unique.values(), key=_PARTS))
        self._index = {key.name: position for position, key in enumerate(self._keys)}
        self._hash: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The canonical names, in order."""
        return tuple(self._index)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[N]:
        return iter(self._keys)

    def __contains__(self, key: object) -> bool:
        return (key.name if isinstance(key, Named) else key) in self._index

    def __getitem__(self, position: int) -> N:
        return self._keys[position]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        # The names are unique and in one order, so that equal sets of names are equal sequences.
        return self._index == other._index if isinstance(other, NameSet) else NotImplemented

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(tuple(self._index))
        return self._hash

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._index)!r})"

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[N, ...]]]:
        return type(self), (self._keys,)

    def lookup(self, key: Named | str) -> N | None:
        """The member equal to a key, or of a canonical name; None where there is none. O(1)."""
        position = self._index.get(key if isinstance(key, str) else key.name)
        return None if position is None else self._keys[position]

    def position(self, key: Named | str) -> int:
        """Where a key, or a canonical name, stands in the order. O(1).

        Raises: KeyError, it is no member.
        """
        return self._index[key if isinstance(key, str) else key.name]

    def below(self, prefix: Named | tuple[str, ...] | str) -> Self:
        """The members whose parts begin with those of `prefix`, the one of that very name included.

        A tuple has texts, as `Named.parts`; a text is a name as typed, see `keynames.split`. The empty prefix is
        above every member. O(log n) and a copy of what is found.

        Raises: KeyNameError, the text is no name.
        """
        begin, end = self._span(prefix)
        return self if end - begin == len(self._keys) else type(self)(self._keys[begin:end])

    def cut(self, prefix: Named | tuple[str, ...] | str) -> tuple[Self, Self]:
        """The members below `prefix`, and those that are not.

        Raises: KeyNameError, the text is no name.
        """
        begin, end = self._span(prefix)
        return type(self)(self._keys[begin:end]), type(self)(self._keys[:begin] + self._keys[end:])

    def merge(self, other: Self, equal: Literal["error", "mine", "theirs"] = "error") -> Self:
        """The members of both sets.

        `equal` says which of two equal members stays, as what they carry may differ: this set's, the other's, or
        neither.

        Raises: `clash` with this set's first member that the other has too, where `equal` is `error`.
        """
        if equal == "error":
            clash = self._index.keys() & other._index.keys()
            if clash:
                raise self.clash(self._keys[min(self._index[name] for name in clash)])
        return type(self)((*other, *self) if equal == "mine" else (*self, *other))

    def __or__(self, other: Self) -> Self:
        """The union; of equal members the other's stays, as an append would have it."""
        return self.merge(other, equal="theirs")

    def __and__(self, other: Self) -> Self:
        """The intersection, with what this set's members carry."""
        return type(self)(key for key in self._keys if key.name in other._index)

    def __sub__(self, other: Self) -> Self:
        """The difference."""
        return type(self)(key for key in self._keys if key.name not in other._index)

    def isdisjoint(self, other: Self) -> bool:
        """Whether no member is in both."""
        return self._index.keys().isdisjoint(other._index.keys())

    def _span(self, prefix: Named | tuple[str, ...] | str) -> tuple[int, int]:
        if isinstance(prefix, str):
            parts = keynames.split(prefix)
        else:
            parts = prefix.parts if isinstance(prefix, Named) else prefix
        length = len(parts)
        begin = bisect_left(self._keys, parts, key=_PARTS)
        return begin, bisect_right(self._keys, parts, begin, key=lambda key: key.parts[:length])
