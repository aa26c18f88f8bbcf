"""The postfilter `select`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.core.batch import Block
    from meter.core.bind import Selection


class Select(Filter):
    """Drops what `drop` selects. The contract alone does it: its rule keeps nothing and gives nothing."""

    by_row = ("gauge", "delta", "counter")

    def run(self, selections: Sequence[Selection], block: Block) -> Iterable[Block]:
        """Give nothing."""
        del selections, block
        return ()
