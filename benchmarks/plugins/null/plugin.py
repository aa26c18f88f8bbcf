"""The output `null`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.core.plugin import Output

if TYPE_CHECKING:
    from meter.core.batch import Batch


class Plugin(Output):
    """Takes batches and forgets them."""

    def write(self, batch: Batch) -> None:
        """Nothing is delivered anywhere."""
