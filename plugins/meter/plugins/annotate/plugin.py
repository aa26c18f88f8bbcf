"""The prefilter `annotate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.core.plugin import Filter
from meter.core.renaming import renamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.batch import Block
    from meter.core.bind import Selection


class Annotate(Filter):
    """The selected series with more attributes; nothing else about them changes.

    The names and values stand in the rule, and the engine has put host and environment in. No value is copied: the
    new series address the matrices of the old ones.
    """

    by_row = ("gauge", "delta", "counter")

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The same rows under other keys, over the same matrices."""
        for selection in selections:
            yield renamed(selection, block)
