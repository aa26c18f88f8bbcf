"""The output `console`. Imports no numpy: it starts before the measured command does."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from meter.core.appending import Appending, standard
from meter.core.plugin import Gone, Output
from meter.plugins.console.latest import Latest, Table, lines
from meter.plugins.console.screen import Screen

if TYPE_CHECKING:
    from meter.core.batch import Batch
    from meter.core.plugin import Context

_STDOUT: Final = "/dev/stdout"
# Polls are microseconds early or late: of a source with the interval `every` no block may be left out for that.
_EARLY: Final = 0.9


class Console(Output):
    """The latest value of every series, on standard output.

    On a terminal it is a table at the lower end, drawn anew at most once in `every`, by a thread of its own; what
    others write scrolls above it. At the end the table stays as text. Elsewhere, and where TERM is `dumb` or not set,
    it is plain lines: after `every` at the earliest, one for each series that has a new value.

    Values between two tables or blocks are not shown: whoever wants each one takes `csv` or `jsonl`.
    """

    def start(self, context: Context) -> None:
        """Take the terminal, or begin lines. Raises: OSError, standard output is closed."""
        del context
        self._latest = Latest()
        self._screen: Screen | None = None
        self._seq: int | None = None
        self._due = 0
        self._text = b""
        self._failing = False
        file = standard(_STDOUT)
        try:
            if os.isatty(file) and os.environ.get("TERM", "") not in {"", "dumb"}:
                self._table = Table(self._latest, self.config["rows"], colour=not os.environ.get("NO_COLOR"))
                self._screen = Screen.join(file, self._table, self.config["every"] / 1e9)
            else:
                self._lines = Appending(_STDOUT)
        finally:
            os.close(file)

    def write(self, batch: Batch) -> None:
        """Show the batch, or keep it for the next block of lines.

        Raises: Gone, nobody reads any more; OSError, it cannot be written.
        """
        if self._screen is not None:
            self._latest.add(batch)
            self._screen.changed()
            if self._screen.error is not None:
                raise Gone("the terminal has gone") from self._screen.error
            return
        if batch.seq != self._seq:  # else it is the next try, of the same text
            self._seq = batch.seq
            self._text = self._block(batch)
        if self._text:
            self._failing = True
            self._lines.write([self._text], batch.seq)
            self._failing = False

    def _block(self, batch: Batch) -> bytes:
        """The lines of what is new, or nothing yet."""
        self._latest.add(batch)
        newest = self._latest.newest
        if newest < self._due:
            return b""
        self._due = newest + int(_EARLY * self.config["every"])
        return self._news()

    def _news(self) -> bytes:
        return lines(self._latest.take(), self.config["rows"]).encode("utf-8", "backslashreplace")

    def flush(self) -> None:
        """Write what was kept, unless the last try has failed. Raises: OSError, it cannot be written."""
        if self._screen is None and not self._failing:
            with suppress(Gone):  # whoever reads no more misses nothing
                self._lines.write([self._news()], (self._seq or 0) + 1)

    def stop(self) -> None:
        """Give the terminal back."""
        if self._screen is None:
            self._lines.close()
        else:
            self._screen.leave(self._table)
