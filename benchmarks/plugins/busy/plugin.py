"""The filter `busy`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.core.batch import Block
    from meter.core.bind import Selection


class Plugin(Filter):
    """As a filter that treats each value in Python: it holds the interpreter's lock but for its switches."""

    def run(self, selections: Sequence[Selection], block: Block) -> Iterable[Block]:
        """What came, once the time is spent."""
        end = time.thread_time_ns() + self.config["per_row"] * block.rows
        while time.thread_time_ns() < end:
            pass
        return [each.give(each.read(block) + 0, ts=block.ts, since=block.since) for each in selections]
