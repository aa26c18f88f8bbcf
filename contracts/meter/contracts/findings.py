"""Findings: what is wrong with one contract, each fault said once, and of no more places than one wants to read."""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve

from meter.contracts.diagnostics import MANY, Diagnostic
from meter.contracts.editing.edits import Edit
from meter.contracts.language import language
from meter.contracts.model import Source
from meter.contracts.spans import Span

SHOWN: Final = 12
"""So many places are told of one fault."""
_UNSAID: Final = {
    "E-CONFIG-UNKNOWN": "clause",
    "E-CONFIG-RANGE": "clause",
    "E-CONFIG-TYPE": "clause",
    "E-CLAUSE-UNKNOWN": "",
}
"""Codes that are said once of several places, each with the fact that its message does not have."""


class EnoughError(Exception):
    """A file has so many errors that the rest of it is not looked at."""


class Findings:
    """The diagnostics of one document, in the order in which they are found."""

    def __init__(self, document: dict[str, Any], source: Source) -> None:
        self.found: list[Diagnostic] = []
        self._said = 0
        self._alike: dict[tuple[Any, ...], int] = {}
        """The places in `found` of what may be said of several places of the document."""
        name = document.get("name")
        self._subject = (
            f"`{name}`" if isinstance(name, str) else language().phrase("text", "contract-in", path=source.file)
        )

    def say(
        self, code: str, span: Span, clause: str, variant: str = "", edit: Edit | None = None, /, **facts: str
    ) -> None:
        """Note a diagnostic at a place of the document; what was said of another one is said of both.

        Raises: EnoughError.
        """
        facts = {"subject": self._subject, "clause": clause, **facts}
        new = Diagnostic(code=code, facts=facts, spans=(span,), clause=clause, variant=variant, edit=edit)
        key = (code, variant, tuple(sorted(pair for pair in facts.items() if pair[0] != _UNSAID.get(code))))
        known = self._alike.setdefault(key, len(self.found)) if code in _UNSAID else len(self.found)
        if known < len(self.found):
            self.found[known] = _together(self.found[known], new)
        else:
            self.found.append(new)
        self._said += 1
        if self._said > MANY:
            raise EnoughError

    @property
    def failed(self) -> bool:
        """Whether there is an error among them."""
        return any(diagnostic.level == "error" for diagnostic in self.found)


def _together(first: Diagnostic, other: Diagnostic) -> Diagnostic:
    """What is said of one place, said of another one, too; the edits of both mend both."""
    spans = (*first.spans, *(span._replace(label=other.text("label")) for span in other.spans))
    edit = first.edit
    if edit is not None and other.edit is not None and other.edit != edit:
        edit = evolve(edit, changes=(*edit.changes, *other.edit.changes)) if edit.facts == other.edit.facts else None
    return evolve(first, spans=spans[:SHOWN], edit=edit if other.edit is not None else None)
