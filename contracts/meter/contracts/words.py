"""The words of a command line: plugins, each with a label or without, and the options behind them.

`cpu#fast interval=1s csv path=host.csv` are five words. A whole line may also come as one word, from a variable or a
unit file: blanks separate its words then, a comma separates options, and in quotes, brackets and braces both are text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from meter.contracts.diagnostics import Diagnostic, diagnostic
from meter.contracts.spans import Span

_LABEL: Final = r"[a-z][a-z0-9_-]*"
_ASKED: Final = re.compile(rf"([a-z][a-z0-9_.-]*)(?:#({_LABEL}))?")
_NUMBERED: Final = re.compile(r"([a-z][a-z0-9_.-]*)#([0-9]+)")
_OPTION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_OPENING: Final = {"{": "}", "[": "]", "(": ")", '"': '"', "'": "'"}


class Place(Protocol):
    """Where a word stands: all of it, or its characters from a start to a stop."""

    def __call__(self, index: int, start: int = ..., stop: int | None = ..., /) -> Span:
        """The place of the word of an index."""


class Value(NamedTuple):
    """A value that an option was given, and where the option's name and the value stand."""

    value: str
    name_span: Span
    value_span: Span


class Spoken(NamedTuple):
    """An instance as it was asked for; `options` has the values of each option."""

    name: str
    label: str
    text: str
    span: Span
    options: dict[str, list[Value]]


def split_name(text: str, *, numbers: bool = False) -> tuple[str, str] | None:
    """Plugin or capability, and label, of `NAME` or `NAME#LABEL`; `None` where the text is neither.

    Without a label the instance has the name as its own. Args: `numbers` takes labels that are numbers, which meter
    gives and a mount file holds.
    """
    found = _ASKED.fullmatch(text) or (_NUMBERED.fullmatch(text) if numbers else None)
    return None if found is None else (found[1], found[2] or found[1])


def parse(words: Sequence[str], place: Place) -> tuple[list[Spoken], list[Diagnostic]]:
    """The instances that words ask for, without those whose word is none and the options behind it; and what is wrong.

    Of a plugin that is asked for several times without a label, the instances are numbered, through the whole line.
    """
    found: list[Diagnostic] = []
    spoken: list[Spoken] = []
    options: dict[str, list[Value]] | None = None
    for word in _words(words, place, found):
        if word.is_plugin:
            named = split_name(word.text)
            if named is None:
                variant = "" if split_name(word.text, numbers=True) is None else "number"
                found.append(diagnostic("E-NAME", word.span, variant, name=word.text))
                options = {}
            else:
                options = {}
                spoken.append(Spoken(*named, word.text, word.span, options))
        elif options is None:
            found.append(diagnostic("E-OPTION", word.span, "first", word=word.text))
        else:
            found += _options(word, options)
    spoken = _numbered(spoken)
    return spoken, [*found, *_clashes(spoken)]


class _Piece(NamedTuple):
    """A part of a word of the command line; `end` is `None` where it is the whole word."""

    text: str
    place: Place
    nth: int
    start: int
    end: int | None

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.place(self.nth, self.start, self.end)

    @property
    def name_span(self) -> Span:
        """Where the name of an option stands."""
        return self.place(self.nth, self.start, self.start + self.text.index("="))

    @property
    def value_span(self) -> Span:
        """Where its value stands."""
        end = self.start + len(self.text) if self.end is None else self.end
        return self.place(self.nth, self.start + self.text.index("=") + 1, end)


class _Word(NamedTuple):
    """A word as it is written; a line's options may be several, each with its place."""

    text: str
    span: Span
    pieces: tuple[_Piece, ...]

    @property
    def is_plugin(self) -> bool:
        """Whether it is a plugin and not options of the one before it."""
        return all("=" not in piece.text for piece in self.pieces)


def _words(words: Sequence[str], place: Place, found: list[Diagnostic]) -> Iterator[_Word]:
    if len(words) == 1 and (not words[0] or any(char in words[0] for char in " \t\n\r,")):
        yield from _line(words[0], place, found)
        return
    for index, word in enumerate(words):
        yield _Word(word, place(index), (_Piece(word, place, index, 0, None),))


def _line(text: str, place: Place, found: list[Diagnostic]) -> Iterator[_Word]:
    """The words of a line that is one word of the command line."""
    cuts = _cuts(text)
    if cuts is None:
        found.append(diagnostic("E-OPTION", place(0), "open", word=text))
        return
    for begin, end in _between(text, cuts, 0, len(text), str.isspace):
        pieces = [
            _Piece(text[start:stop], place, 0, start, stop)
            for start, stop in _between(text, cuts, begin, end, ",".__eq__)
        ]
        if pieces:
            yield _Word(text[begin:end], place(0, begin, end), tuple(pieces))


def _cuts(text: str) -> list[int] | None:
    """The places of blanks and commas outside of quotes, brackets and braces; `None` where one of these stays open."""
    cuts: list[int] = []
    open_: list[str] = []
    for place, char in enumerate(text):
        if open_ and char == open_[-1]:
            open_.pop()
        elif char in _OPENING and (not open_ or open_[-1] not in "\"'"):
            open_.append(_OPENING[char])
        elif not open_ and (char.isspace() or char == ","):
            cuts.append(place)
    return None if open_ else cuts


def _between(
    text: str, cuts: Sequence[int], begin: int, end: int, divides: Callable[[str], bool]
) -> Iterator[tuple[int, int]]:
    """What lies between the cuts whose character divides; nothing where nothing lies between two."""
    for place in [*(cut for cut in cuts if begin <= cut < end and divides(text[cut])), end]:
        if place > begin:
            yield begin, place
        begin = place + 1


def _options(word: _Word, options: dict[str, list[Value]]) -> Iterator[Diagnostic]:
    """Add the options of a word; what is wrong with them."""
    said: set[str] = set()
    for piece in word.pieces:
        name, equals, value = piece.text.partition("=")
        if not equals:
            yield diagnostic("E-OPTION", piece.span, "comma", word=piece.text, whole=word.text)
        elif not _OPTION.fullmatch(name):
            yield diagnostic("E-OPTION", piece.span, word=piece.text)
        elif name in said:
            yield diagnostic("E-OPTION", piece.span, "twice", word=piece.text, option=name, whole=word.text)
        else:
            said.add(name)
            if piece.end is not None:  # in a word by itself the shell has seen the quotes
                value = _unquoted(value)
            options.setdefault(name, []).append(Value(value, piece.name_span, piece.value_span))


def _unquoted(value: str) -> str:
    """A value of a line without the quotes around it."""
    return value[1:-1] if len(value) > 1 and value[0] in "\"'" and value[0] == value[-1] else value


def _numbered(spoken: list[Spoken]) -> list[Spoken]:
    """Instances that have not even their plugin's name to themselves get numbers, but not two that are alike."""
    times = Counter(each.name for each in spoken if each.label == each.name)
    alike = Counter((each.name, repr(_values(each))) for each in spoken if "#" not in each.text)
    out = []
    number = 0
    for each in spoken:
        if "#" in each.text or times[each.name] == 1 or alike[each.name, repr(_values(each))] > 1:
            out.append(each)
            continue
        out.append(each._replace(label=str(number), text=f"{each.name}#{number}"))
        number += 1
    return out


def _values(each: Spoken) -> dict[str, list[str]]:
    return {name: [each.value for each in values] for name, values in sorted(each.options.items())}


def _clashes(spoken: Sequence[Spoken]) -> Iterator[Diagnostic]:
    """E-DUPLICATE for an instance that is there twice, E-LABEL-CLASH for a label that is given twice."""
    first: dict[str, Spoken] = {}
    for each in spoken:
        known = first.setdefault(each.label, each)
        if known is each:
            continue
        spans = (each.span, known.span)
        if "#" not in each.text and known.text == each.text:
            facts = {"name": each.text, "plugin": each.name, "label": "other"}
            yield Diagnostic(code="E-DUPLICATE", facts=facts, spans=spans)
        else:
            one, other = sorted((known.name, each.name))
            facts = {"label": each.label, "first": one, "second": other}
            variant = "twice" if one == other else ""
            yield Diagnostic(code="E-LABEL-CLASH", variant=variant, facts=facts, spans=spans)
