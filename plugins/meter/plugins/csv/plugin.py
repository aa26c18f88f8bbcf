"""The output `csv`. Imports no numpy: it starts before the measured command does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meter.core.appending import Appending
from meter.core.keys import entity_text
from meter.core.lines import Around, Lines, escaped
from meter.core.plugin import Output

if TYPE_CHECKING:
    from meter.core.batch import Batch
    from meter.core.keys import Key
    from meter.core.plugin import Context

HEADER: Final = b"time,metric,value,unit,kind,resource,consumer,attributes,quality\n"

# Nothing needs quotes then, and no text can end a line: what was cut off by kill -9 is known by its missing newline.
_TEXT: Final = re.compile(r'[\x00-\x1f\x7f;=/,%"\ud800-\udfff]')
# Names of metrics and units keep `/`, `=`, `;` and a `%` that no reader takes for an escape: `By/s` and `%` are units.
_WORD: Final = re.compile(r'[\x00-\x1f\x7f,"\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})')


class Csv(Output):
    """One line for each value, appended to a file.

    The columns are time (RFC 3339, UTC, nanoseconds: the end of the row's span), metric, value (the shortest text that
    reads back as the same number), unit, kind, resource and consumer (`kind/id`, or the kind alone), attributes
    (`name=value;name=value`) and quality. A missing cell has no value and the quality `missing`.

    A batch is written as a whole or not at all: a file is cut back to where it ended before; of a pipe the rest is
    written first by the next try. A file that was deleted meanwhile is made again. One process writes to a file at
    a time. A last line without newline, which is what kill -9 or a power failure may leave, is cut off by the next
    start.
    """

    takes_ids = True

    def start(self, context: Context) -> None:
        """Open the file, and write the header where there is none.

        Raises: OSError, it cannot be opened, or another process writes to it; ValueError, it begins with other columns.
        """
        del context
        self._lines = Lines("csv", _around)
        self._file = Appending(self.config["path"], header=HEADER)

    def write(self, batch: Batch) -> None:
        """Append the batch. Raises: OSError, nothing of it is in the file; Gone, nobody reads the pipe any more."""
        self._file.write(self._lines.pieces(batch), batch.seq)

    def stop(self) -> None:
        """Close the file."""
        self._file.close()


def _around(key: Key) -> Around:
    """What stands around the values of a series."""
    stem = f",{_word(key.metric.unit)},{key.metric.kind},{_identity(key)},"
    return Around(
        head=f",{_word(key.metric.name)},".encode(),
        tail=f"{stem}{key.metric.quality}\n".encode(),
        gap=f"{stem}missing\n".encode(),
    )


def _identity(key: Key) -> str:
    """The columns resource, consumer and attributes."""
    attributes = ";".join(f"{_text(name)}={_text(value)}" for name, value in key.attributes)
    return f"{entity_text(key.resource, _text)},{entity_text(key.consumer, _text)},{attributes}"


def _text(text: str) -> str:
    return escaped(text, _TEXT)


def _word(text: str) -> str:
    return escaped(text, _WORD)
