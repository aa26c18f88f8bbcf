"""Edits: changes of a source text that mend a diagnostic, as values; whoever may write files applies them.

An edit is made only where what was meant is certain: one clear name, one spelling of a unit, one way to stand. What is
likely and not certain stays in the help.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from attrs import field, frozen

from meter.contracts.language import language
from meter.contracts.spans import COMMAND_LINE, Span

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SHORTEST: Final = 3
_SHORT: Final = 4
_LONG: Final = 8
"""Names of so many letters: of a shorter one nobody knows what it was meant to be, a short one can be another word."""
_LONGEST: Final = 100
"""Comparing a longer name would cost more and more."""


class Change(NamedTuple):
    """`length` characters of a file, from a place on, become `text`; without length it is put in before the place.

    Lines and columns count from 1, columns and length in characters; length counts line ends, too.
    """

    file: str
    line: int
    column: int
    length: int
    text: str

    def to_json(self) -> dict[str, Any]:
        """A JSON value: file, line, column, length, text."""
        return self._asdict()


@frozen(kw_only=True)
class Edit:
    """Changes that belong together; `kind` names the section [edit KIND] of CONTRACT.ini with its title."""

    kind: str
    changes: tuple[Change, ...]
    facts: Mapping[str, str] = field(factory=dict, eq=lambda facts: sorted(facts.items()))

    @property
    def title(self) -> str:
        """What it does, in a few words."""
        return language().phrase("edit", self.kind, "title", **self.facts)

    def to_json(self) -> dict[str, Any]:
        """The form of `meter check --format json`."""
        return {"title": self.title, "changes": [change.to_json() for change in self.changes]}


# ---------------------------------------------------------------------------------------------------------- places


def before(span: Span, text: str) -> Change:
    """A text put in before a place."""
    return Change(span.file, span.line, span.column, 0, text)


def instead(span: Span, text: str) -> Change:
    """A text in the place of another one."""
    return Change(span.file, span.line, span.column, span.length, text)


def within(span: Span, text: str, start: int, stop: int) -> Span:
    """The characters from `start` to `stop` of a text that is written at a place; the whole text has its quotes.

    The whole place, too, where the text is written with escapes, in several lines, or as a shell needs it quoted.
    """
    quotes = span.length - len(text)
    if quotes not in (0, 2) or not 0 <= start < stop <= len(text) or stop - start == len(text):
        return span
    return span._replace(column=span.column + quotes // 2 + start, length=stop - start)


def rewritten(span: Span, old: str, new: str) -> Change:
    """The change that makes of a key or text, written at a place, another one; its quotes stay where they can."""
    quotes = span.length - len(old)
    plain = _plain(span, new) if quotes == 0 else new.isprintable() and not set(new) & set("\"'\\")
    if quotes not in (0, 2) or not plain:
        return instead(span, shlex.quote(new) if span.file == COMMAND_LINE else quoted(new))
    return Change(span.file, span.line, span.column + quotes // 2, len(old), new)


def _plain(span: Span, new: str) -> bool:
    """Whether a text can stand without quotes where another one does."""
    return shlex.quote(new) == new if span.file == COMMAND_LINE else _BARE.fullmatch(new) is not None


def quoted(text: str) -> str:
    """A text as a basic string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A name as a key of TOML."""
    return name if _BARE.fullmatch(name) else quoted(name)


def dotted(path: Iterable[str | int]) -> str:
    """A path as a dotted key of TOML."""
    return ".".join(key(str(part)) for part in path)


def renamed(places: Span | Iterable[Span], old: str, new: str, part: tuple[str, str] | None = None) -> Edit:
    """An edit that writes one name for another, wherever it is written.

    Args: `part`, the names, where `old` and `new` hold more than them.
    """
    spans = [places] if isinstance(places, Span) else places
    facts = dict(zip(("old", "new"), part or (old, new), strict=True))
    return Edit(kind="rename", changes=tuple(rewritten(span, old, new) for span in spans), facts=facts)


def applied(text: str, changes: Iterable[Change]) -> str:
    """The text of a file after changes of it that do not overlap.

    Raises: ValueError, a change lies outside of the text, or two overlap.
    """
    changes = tuple(changes)
    spots = sorted(zip(offsets(text, changes), (change.text for change in changes), strict=True))
    out: list[str] = []
    done = 0
    for (start, end), new in spots:
        if start < done or end > len(text):
            raise ValueError(start)
        out += [text[done:start], new]
        done = end
    return "".join([*out, text[done:]])


def offsets(text: str, changes: Iterable[Change]) -> list[tuple[int, int]]:
    """Where each change begins and ends in the text, in characters from 0.

    Raises: ValueError, a change lies in a line that the text does not have.
    """
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    found = ((_offset(starts, change), change.length) for change in changes)
    return [(start, start + length) for start, length in found]


def _offset(starts: list[int], change: Change) -> int:
    if not 0 < change.line <= len(starts):
        raise ValueError(change.line)
    return starts[change.line - 1] + change.column - 1


# ----------------------------------------------------------------------------------------------------------- names


def clear(name: str, candidates: Iterable[str]) -> str:
    """The one candidate that a mistyped name can only mean; the empty text where there is none, or more than one."""
    found = likely(name, candidates)
    return found[0] if len(found) == 1 else ""


def likely(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """The candidates that a mistyped name can mean, sorted; all are equally near.

    One letter left out, put in or swapped with its neighbour; of names of five letters and more also a wrong one, of
    eight and more two of these; every other candidate is further away. Case and the choice of `-`, `_` and `.` do not
    count.
    """
    if not _SHORTEST <= len(name) <= _LONGEST:
        return ()
    others = set(candidates) - {name}
    loose = _loose(name)
    alike = [candidate for candidate in others if _loose(candidate) == loose]
    if alike:
        return tuple(sorted(alike))
    most = 2 if len(name) >= _LONG else 1
    letters = set(name)
    near = sorted(
        (wrong, candidate)
        for candidate in others
        if abs(len(candidate) - len(name)) <= most and len(letters.symmetric_difference(candidate)) <= 2 * most
        if (wrong := distance(name, candidate, most)) <= most
    )
    best = [candidate for wrong, candidate in near if wrong == near[0][0]]
    if len(best) == 1 and len(name) <= _SHORT and len(best[0]) == len(name) and sorted(best[0]) != sorted(name):
        return ()  # `gpu` is no slip for `cpu`
    return tuple(best)


@lru_cache(maxsize=1 << 15)
def _loose(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.casefold())


def distance(one: str, other: str, most: int | None = None) -> int:
    """How many letters have to be put in, left out, replaced or swapped with their neighbour to get from one to other.

    Where these are more than `most`, some number that is more.

    Source: the restricted edit distance of Damerau, A technique for computer detection and correction of spelling
    errors, CACM 7(3), 1964.
    """
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, wanted in enumerate(other, start=1):
            best = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        if most is not None and min(*row, *rows[-1]) > most:  # a swap leads over two rows
            return most + 1
        rows.append(row)
    return rows[-1][-1]
