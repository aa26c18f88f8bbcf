"""The output `jsonl`. Imports no numpy: it starts before the measured command does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from meter.core.appending import Appending
from meter.core.keys import entity_text
from meter.core.lines import Around, Lines, escaped
from meter.core.plugin import Output

if TYPE_CHECKING:
    from meter.core.batch import Batch
    from meter.core.keys import Key
    from meter.core.plugin import Context

_BEGIN: Final = b'{"time":"'
_FIRST: Final = _BEGIN + b'0000-00-00T00:00:00.000000000Z","metric":"'
"""What a file of this form begins with, whatever the digits are."""

# JSON has no form for bytes that are no UTF-8; a `%` that a reader could take for one of these is escaped too.
_ODD: Final = re.compile(r"[\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})")


class JsonLines(Output):
    """One JSON object for each value, one line for each object, appended to a file.

    The fields are those of the CSV file, in its order: time (RFC 3339, UTC, nanoseconds: the end of the row's span),
    metric, value (a number: integers with all their digits, floats with the fewest that read back as the same number),
    unit, kind, resource and consumer (`kind/id`, or the kind alone), attributes (an object of texts) and quality; then
    reason. A missing cell has the value null, the quality `missing` and its reason, which is null where there is none,
    as in every other line.

    What becomes of a batch that cannot be written: see `Appending`.

    Source: RFC 8259; jsonlines.org.
    """

    takes_ids = True

    def start(self, context: Context) -> None:
        """Open the file.

        Raises: OSError, it cannot be opened, or another process writes to it; ValueError, it begins with something
            else than these fields.
        """
        del context
        import orjson  # only processes that write values need it

        def json(what: Any) -> str:
            return orjson.dumps(what).decode()

        def around(key: Key) -> Around:
            attributes = json({_text(name): _text(value) for name, value in key.attributes})
            stem = (
                f',"unit":{json(_text(key.metric.unit))},"kind":{json(key.metric.kind)}'
                f',"resource":{json(entity_text(key.resource, _text))}'
                f',"consumer":{json(entity_text(key.consumer, _text))}'
                f',"attributes":{attributes},"quality":'
            )
            return Around(
                head=f'","metric":{json(_text(key.metric.name))},"value":'.encode(),
                tail=f'{stem}{json(key.metric.quality)},"reason":null}}\n'.encode(),
                gap=f'{stem}"missing","reason":'.encode(),
            )

        def reason(why: str) -> bytes:
            return orjson.dumps(_text(why) or None) + b"}\n"

        self._lines = Lines("jsonl", around, begin=_BEGIN, missing=b"null", reason=reason)
        self._file = Appending(self.config["path"], begins=_FIRST)

    def write(self, batch: Batch) -> None:
        """Append the batch. Raises: OSError, nothing of it is in the file; Gone, nobody reads the pipe any more."""
        self._file.write(self._lines.pieces(batch), batch.seq)

    def stop(self) -> None:
        """Close the file."""
        self._file.close()


def _text(text: str) -> str:
    """A text as JSON can hold it: a byte that is no UTF-8, as Python reads it from paths, as URLs have it."""
    return escaped(text, _ODD)
