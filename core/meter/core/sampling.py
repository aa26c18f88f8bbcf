"""Which blocks are looked at closely: what takes time with every value is verified by sample.

It is no chance: the first block of each layout, then one in `EVERY`, and every one of a plugin that was caught lying.
Of a large block some rows are looked at, others each time. Imports no numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from meter.core.layout import Layout

EVERY: Final = 31
"""A prime, so that layouts which take turns all get theirs."""
CELLS: Final = 1 << 10
"""About so many cells of one matrix are looked at."""
LAYOUTS: Final = 1 << 10
"""So many layouts are known to have been looked at; the oldest ones are forgotten."""


class Sampler:
    """Says which blocks of one plugin are looked at, and which of their rows."""

    __slots__ = ("_known", "_seen", "suspect")

    def __init__(self) -> None:
        self.suspect = False
        """Whether every block is."""
        self._seen = 0
        self._known: dict[Layout, None] = {}

    def due(self, layout: Layout) -> bool:
        """Whether the next block is, which has this layout."""
        self._seen += 1
        if layout in self._known:
            return self.suspect or not self._seen % EVERY
        if len(self._known) >= LAYOUTS:
            del self._known[next(iter(self._known))]
        self._known[layout] = None
        return True

    def rows(self, cells: int) -> slice:
        """Which rows of a matrix of so many cells: all of a small one."""
        step = max(1, cells // CELLS)
        return slice(self._seen % step, None, step)
