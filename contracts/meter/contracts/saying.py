"""Saying: what is wrong with a chain, the same once, and no more of it than one wants to read."""

from __future__ import annotations

from collections.abc import Sequence

from meter.contracts.diagnostics import MANY, Diagnostic
from meter.contracts.editing.edits import Edit
from meter.contracts.spans import Span


class Saying:
    """Takes diagnostics, called with their parts; `found` are those that were said, in their order."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self._said: set[object] = set()

    def __call__(
        self,
        code: str,
        spans: Sequence[Span],
        clause: str,
        notes: tuple[str, ...] = (),
        variant: str = "",
        edit: Edit | None = None,
        /,
        **facts: str,
    ) -> None:
        """Say it, unless it was said or there is too much already."""
        place = tuple(spans)
        key = (code, place, clause, notes, variant, tuple(sorted(facts.items())))
        if key in self._said or len(self.found) > MANY:
            return
        self._said.add(key)
        self.found.append(
            Diagnostic(code=code, facts=facts, spans=place, clause=clause, notes=notes, variant=variant, edit=edit)
        )
