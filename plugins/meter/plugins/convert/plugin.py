"""The filter `convert`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.batch import Block
    from meter.core.bind import Selection

_TOO_GREAT = "the value is too great for a float in this unit"


class Convert(Filter):
    """The values of some metrics in another unit, each under a new name.

    The contract does it: its rule demands `unit`, so that values are handed over in it, and what is not commensurable
    is refused by the check. Kind, resource and attributes stay, the type is f64; integers above 2^53 are rounded.

    Block: the rows of the input, f64. What is missing stays missing with its reason; what no float holds is missing.
    """

    by_row = ("gauge", "delta", "counter")

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The block in the other unit."""
        if not block.rows:
            return
        for selection in selections:
            values = selection.read(block).astype(np.float64, copy=False)
            missing, reasons = selection.missing(block), selection.reasons(block)
            made = selection.give(values, ts=block.ts, since=block.since, missing=missing, reasons=reasons)
            if made.masks[0] is not None:
                # Infinities are seen by `give` anyway; to look for them before it would cost every block a pass.
                for row, column in np.argwhere(np.isinf(values)).tolist():
                    reasons[row, column] = _TOO_GREAT
                made = selection.give(values, ts=block.ts, since=block.since, missing=missing, reasons=reasons)
            yield made
