"""The source `random`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meter.core.plugin import Source

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings


class Random(Source):
    """A byte of the kernel's random numbers.

    Emits `demo.random` (1, u64, gauge): 0 to 255, one for each poll.
    Source: random(4), `/dev/urandom`.
    """

    def start(self, context: SourceContext) -> None:
        """Open the device. Raises: OSError, there is none."""
        self._device = context.open("/dev/urandom")

    def poll(self, out: Readings) -> None:
        """One byte, one reading."""
        out.emit("demo.random", os.read(self._device, 1)[0])

    def stop(self) -> None:
        """Close the device."""
        os.close(self._device)
