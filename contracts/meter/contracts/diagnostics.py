"""Diagnostics: a code with facts and places; the words come from CONTRACT.ini.

A diagnostic keeps facts, not sentences, until it leaves through `to_json`; whoever renders it needs that form only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from meter.contracts.language import language
from meter.contracts.spans import Span

_FACT: Final = re.compile(r"\$\{(\w+)\}")


@frozen(kw_only=True)
class Diagnostic:
    """One fault, said once. `spans` begins with the place that is wrong, others follow; `notes` say why."""

    code: str
    facts: Mapping[str, str] = field(factory=dict, eq=lambda facts: sorted(facts.items()))
    spans: tuple[Span, ...] = ()
    clause: str = ""
    notes: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """`error` or `warning`."""
        return language().codes[self.code].level

    @property
    def message(self) -> str:
        """What is wrong, understandable alone."""
        return self._fill(language().codes[self.code].message)

    @property
    def help(self) -> str:
        """What to change."""
        return self._fill(language().codes[self.code].help)

    def _fill(self, text: str) -> str:
        return _FACT.sub(lambda found: self.facts[found[1]], text)

    def to_json(self) -> dict[str, Any]:
        """The form of `meter check --format json`."""
        label = self._fill(language().codes[self.code].label)
        spans = [span if span.label or place else span._replace(label=label) for place, span in enumerate(self.spans)]
        return {
            "code": self.code,
            "severity": self.level,
            "message": self.message,
            "clause": self.clause or None,
            "spans": [span.to_json() for span in spans],
            "notes": list(self.notes),
            "help": self.help or None,
            "edit": None,
        }

    def order(self) -> tuple[Any, ...]:
        """Sorts diagnostics by place, then by code and text."""
        place = [(span.file, span.line, span.column) for span in self.spans]
        return (self.level, place, self.code, self.message, self.notes)


class ContractError(Exception):
    """A request was refused; `diagnostics` say why, errors and warnings, sorted by place."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=Diagnostic.order))
        super().__init__("\n".join(f"{d.level}[{d.code}]: {d.message}" for d in self.diagnostics))


def nearest(name: str, candidates: Iterable[str]) -> str:
    """`did you mean ...? ` for the candidates that resemble `name`, nearest first, else the empty text."""
    import difflib  # only a fault looks for what was meant

    pool = sorted(set(candidates))
    found = difflib.get_close_matches(name, pool, n=3, cutoff=0.6)
    if not found and len(name) > 2:
        found = [candidate for candidate in pool if candidate.startswith(name) or name in candidate.split(".")][:3]
    return f"did you mean {' or '.join(f'`{word}`' for word in found)}? " if found else ""


def listed(words: Iterable[str]) -> str:
    """Words in backticks, separated by commas."""
    return ", ".join(f"`{word}`" for word in words)
