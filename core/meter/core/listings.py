"""Files of /proc with a line of counters for each of several things: whole readings, places of words, deltas.

What the sources of such files share; imports no numpy.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from operator import itemgetter, sub
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.core.counters import unwrap
from meter.core.plugin import Missing, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

_TOLD = 12
_PIECE = 1 << 16
_FULL = 1 << 11  # bytes; the kernel fills pieces of a page or more with lines that are far shorter than half of one


def whole(file: int, path: str) -> bytes:
    """The whole of a file that the kernel hands over in pieces of whole lines, however much is asked for.

    A piece that is not full is the last one. To ask once more would be safe too, but for some files, such as
    /proc/net/tcp, the kernel then searches all of its table again, which takes milliseconds.

    Args: `path` names the file in reasons.
    Raises: Retry, it cannot be read this once, or ends within a line.
    """
    try:
        text = piece = os.pread(file, _PIECE, 0)
        while len(piece) >= _FULL:
            piece = os.pread(file, _PIECE, len(text))
            text += piece
    except OSError as error:
        raise Retry(f"{path}: {error.strerror}") from error
    if text and not text.endswith(b"\n"):
        raise Retry(f"{path} ends within a line")
    return text


def named(names: Iterable[str]) -> list[str]:
    """Those of an option's names that are no shell patterns."""
    return [name for name in names if not set(name) & set("*?[")]


def left_out(name: str, include: Sequence[str], exclude: Sequence[str]) -> str:
    """Why the options `include` and `exclude` leave something out; empty where they do not.

    What `include` has without a pattern stays, whatever `exclude` says.
    """
    if name in include:
        return ""
    if not any(fnmatchcase(name, pattern) for pattern in include):
        return "`include` does not name it"
    if any(fnmatchcase(name, pattern) for pattern in exclude):
        return "`exclude` leaves it out"
    return ""


def fits_nothing(what: str, there: Iterable[str], include: Sequence[str], exclude: Sequence[str]) -> str:
    """What to tell where none of what there is, is measured; empty where more may come that the options take in.

    That is so where `include` has a name, or `*`: a pattern that fits nothing is more likely a slip than a wish.
    """
    if named(include) or ("*" in include and "*" not in exclude):
        return ""
    known = sorted(there)
    some = ", ".join(f"`{name}`" for name in known[:_TOLD]) + (f" and {len(known) - _TOLD} more" * (len(known) > _TOLD))
    return f"the options leave no {what} to measure; there are {some or 'none'}; mend `include` or `exclude`"


class Lines(NamedTuple):
    """Where in the words of a file things are.

    `total` words in all, with `marks` at `places`: names, and the whole lines of `blind`. `names` are those that are
    measured, whose counters `pick` gives by counter and name; `blind` are those whose counters cannot be had, with the
    reason.
    """

    total: int = 0
    marks: Sequence[bytes] = ()
    places: Sequence[int] = ()
    names: tuple[str, ...] = ()
    blind: Mapping[str, Missing] = {}
    pick: Callable[[list[bytes]], tuple[bytes, ...]] | None = None

    @classmethod
    def of(
        cls,
        total: int,
        marks: list[bytes],
        places: list[int],
        found: Mapping[str, Sequence[int]],
        blind: Mapping[str, Missing],
    ) -> Lines:
        """The same with the places of all counters of each name; every name has as many, and several of them."""
        cells = [place for column in zip(*found.values(), strict=True) for place in column]
        return cls(total, marks, places, tuple(found), blind, itemgetter(*cells) if cells else None)

    def fit(self, words: list[bytes]) -> bool:
        """Whether the file has the same lines as it had, and those without counters have not changed."""
        return len(words) == self.total and [words[place] for place in self.places] == self.marks

    def counters(self, words: list[bytes]) -> Sequence[int]:
        """The counters, by counter and name. Raises: ValueError, one is no number, or below 0."""
        if self.pick is None:
            return ()
        counters = list(map(int, self.pick(words)))
        if min(counters) < 0:
            raise ValueError
        return counters


class Reading(NamedTuple):
    """One reading: counters by counter and name, and what tells each named thing from others that had its name."""

    names: tuple[str, ...] = ()
    identities: tuple[object, ...] = ()
    counters: Sequence[int] = ()

    def of(self, names: Sequence[str]) -> Reading:
        """Some of the things."""
        places = {name: place for place, name in enumerate(self.names)}
        wanted = [places[name] for name in names]
        width = len(self.names)
        starts = range(0, len(self.counters), width) if width else ()
        counters = [self.counters[start + place] for start in starts for place in wanted]
        return Reading(tuple(names), tuple([self.identities[place] for place in wanted]), counters)

    def both(self, last: Reading) -> tuple[Reading, Reading]:
        """Of this reading and the one before it, what is in both; the same names in the same order."""
        if last.names == self.names:
            return last, self
        known: Container[str] = frozenset(last.names)
        names = [name for name in self.names if name in known]
        return last.of(names), self.of(names)


class Changes(NamedTuple):
    """What was counted between two readings of the same names: by counter and name, `width` names.

    `again` are the places of things whose counters began anew, `other` those of things that are others than before.
    """

    counts: list[Any]
    width: int
    again: set[int]
    other: list[int]

    @classmethod
    def between(cls, before: Reading, after: Reading) -> Changes:
        """Counters that fell are corrected where they have wrapped, see `meter.core.counters.unwrap`."""
        width = len(after.names)
        counts: list[Any] = list(map(sub, after.counters, before.counters))
        again = unwrap(counts, before.counters, width) if counts and min(counts) < 0 else set()
        other: list[int] = []
        if before.identities != after.identities:
            pairs = zip(before.identities, after.identities, strict=True)
            other = [place for place, (old, new) in enumerate(pairs) if old != new]
        return cls(counts, width, again, other)

    def blank(self, cells: list[Any], again: Missing, other: Missing) -> list[Any]:
        """Cells by counter and name, made of the counts, with the reason where there is nothing to tell."""
        for places, reason in ((self.again, again), (self.other, other)):
            for place in places:
                cells[place :: self.width] = [reason] * len(cells[place :: self.width])
        return cells
