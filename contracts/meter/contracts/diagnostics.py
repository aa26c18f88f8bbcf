"""Diagnostics: a code with facts and places; the words come from CONTRACT.ini.

A diagnostic keeps facts, not sentences, until it leaves through `to_json`; whoever renders it needs that form only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from heapq import nsmallest
from itertools import islice, pairwise
from typing import Any, Final

from attrs import field, frozen

from meter.contracts.editing.edits import Edit
from meter.contracts.language import fill, language
from meter.contracts.spans import Span

MANY: Final = 100
"""So many errors of one file are told; who meets more mends the first ones first."""


@frozen(kw_only=True)
class Diagnostic:
    """One fault, said once. `spans` begins with the place that is wrong, others follow; `notes` say why.

    `variant` chooses `message.VARIANT`, `help.VARIANT`, … where CONTRACT.ini has them, else the plain text stands.
    `edit` mends it, where what was meant is certain.
    """

    code: str
    facts: Mapping[str, str] = field(factory=dict, eq=lambda facts: sorted(facts.items()))
    spans: tuple[Span, ...] = ()
    clause: str = ""
    notes: tuple[str, ...] = ()
    variant: str = ""
    edit: Edit | None = None

    @property
    def level(self) -> str:
        """`error` or `warning`."""
        return language().codes[self.code].level

    @property
    def message(self) -> str:
        """What is wrong, understandable alone."""
        return self.text("message")

    @property
    def help(self) -> str:
        """What to change."""
        return self.text("help")

    def text(self, which: str) -> str:
        """One of its texts with its facts."""
        return fill(language().codes[self.code].text(which, self.variant), self.facts)

    def to_json(self) -> dict[str, Any]:
        """The form of `meter check --format json`."""
        labels = [self.text("label"), *[self.text("beside")] * len(self.spans[1:])]
        spans = [
            span if span.label else span._replace(label=label) for span, label in zip(self.spans, labels, strict=False)
        ]
        return {
            "code": self.code,
            "severity": self.level,
            "message": self.message,
            "clause": self.clause or None,
            "spans": [span.to_json() for span in spans],
            "notes": list(self.notes),
            "help": self.help or None,
            "edit": None if self.edit is None else self.edit.to_json(),
        }

    def order(self) -> tuple[Any, ...]:
        """Sorts diagnostics by place, then by code and text."""
        place = [(span.file, span.line, span.column) for span in self.spans]
        return (self.level, place, self.code, self.message, self.notes)


def diagnostic(code: str, span: Span, variant: str = "", **facts: str) -> Diagnostic:
    """A diagnostic at one place; the fact `clause` is the clause that it is about."""
    return Diagnostic(code=code, facts=facts, spans=(span,), clause=facts.get("clause", ""), variant=variant)


class ContractError(Exception):
    """A request was refused; `diagnostics` say why, errors and warnings, sorted by place.

    Its text has each diagnostic with its first place and what mends it, for a traceback.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=Diagnostic.order))
        super().__init__("\n".join(line for each in self.diagnostics for line in _lines(each)))


def _lines(diagnostic: Diagnostic) -> Iterator[str]:
    yield f"{diagnostic.level}[{diagnostic.code}]: {diagnostic.message}"
    for span in diagnostic.spans[:1]:
        yield f"  --> {span.file}:{span.line}:{span.column}"
    if diagnostic.help:
        yield f"  help: {diagnostic.help}"


def cut_short(found: Sequence[Diagnostic], path: str, *, whole: bool = True) -> Sequence[Diagnostic]:
    """What is said about a file: where it is very much, the beginning, and at the next place that there is more.

    Args: whole, whether the rest of the file was looked at.
    """
    if len(found) <= MANY and whole:
        return found
    facts, last = {"path": path, "limit": str(MANY)}, found[: MANY + 1][-1]
    return [*found[:MANY], Diagnostic(code="E-FILE", variant="errors", facts=facts, spans=last.spans[:1])]


def nearest(name: str, candidates: Iterable[str]) -> str:
    """A question, with a blank behind it, for the candidates nearest to `name`; the empty text where none is near."""
    import difflib  # only a fault looks for what was meant

    pool = _sorted(candidates) if isinstance(candidates, tuple) else sorted(set(candidates))
    found = difflib.get_close_matches(name, pool if len(pool) <= MANY else _likeliest(name, pool), n=3, cutoff=0.6)
    if not found and len(name) > 2:
        near = (candidate for candidate in pool if name in candidate)
        found = list(islice((each for each in near if each.startswith(name) or name in each.split(".")), 3))
    names = " or ".join(f"`{word}`" for word in found)
    return f"{language().phrase('text', 'near', names=names)} " if found else ""


def _likeliest(name: str, pool: Sequence[str]) -> list[str]:
    """The candidates that have the most letters and pairs of letters of a name: comparing all would take too long."""
    letters = _letters(name)
    ranked = ((-len(letters & _letters(each)) / (len(name) + len(each)), each) for each in pool)
    return [each for _, each in nsmallest(MANY, ranked)]


@lru_cache(maxsize=4)
def _sorted(candidates: tuple[str, ...]) -> Sequence[str]:
    """The candidates of which many names are looked for: sorted once."""
    return sorted(set(candidates))


@lru_cache(maxsize=1 << 15)
def _letters(name: str) -> frozenset[str]:
    return frozenset(name).union(map("".join, pairwise(name)))


def listed(words: Iterable[str]) -> str:
    """Words in backticks, separated by commas."""
    return ", ".join(f"`{word}`" for word in words)
