"""The plugin `spool`. Imports no numpy: it starts before the measured command does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meter.core.plugin import Recover
from meter.plugins.spool.segments import Segments
from meter.plugins.spool.text import Writer

if TYPE_CHECKING:
    from meter.core.batch import Batch
    from meter.core.plugin import Context


class Spool(Recover):
    """Keeps batches as lines of JSON in a folder: `path`, and in it one for each output.

    A batch that is handed back is equal to the one that was kept: keys with metadata, times and spans, integers with
    all their digits, floats to the bit, missing cells with their reasons, the clock anchor. It is one write to one
    file, and counts as kept when all of it is there.

    Where more is kept than the limit says, the oldest segment goes, which is an eighth of it.
    """

    def start(self, context: Context) -> None:
        """Open the folder.

        Raises: OSError, it cannot be made or filled, or another process uses it.
        """
        folder = os.path.join(self.config["path"], context.output)
        self._segments = Segments(folder, self.config["limit"], sync=self.config["durability"] == "power")
        self._writer = Writer()
        self._taken: Batch | None = None

    def put(self, batch: Batch) -> int:
        """Append the batch. Raises: OSError, nothing of it is kept."""
        text, new = self._writer.lines(batch)
        if self._segments.turn(len(text)):
            self._writer = Writer()
            text, new = self._writer.lines(batch)
        self._segments.append(text)
        self._writer.wrote(new)
        # Not before: what could not be kept must cost nothing that is.
        dropped = self._segments.trim()
        if dropped:
            self._taken = None
        return dropped

    def take(self) -> Batch | None:
        """The oldest batch. Raises: OSError; ValueError, it cannot be read."""
        if self._taken is None:
            try:
                head = self._segments.head()
                self._taken = None if head is None else head[1].batch(head[0])
            except ValueError as error:
                raise ValueError(f"cannot read {self._segments.damaged()}: {error}; move it away") from error
        return self._taken

    def acknowledge(self) -> None:
        """Forget the oldest batch. Raises: OSError."""
        self._taken = None
        self._segments.acknowledge()

    def rows(self) -> int:
        """The rows in all files, counted there."""
        return self._segments.rows()

    def stop(self) -> None:
        """Close the folder; what is kept stays."""
        self._segments.close()
