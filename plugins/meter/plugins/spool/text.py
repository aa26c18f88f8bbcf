"""The text of a batch: a line of JSON that gives back the same batch.

Keys stand in lines of their own, once for each layout in a file. A batch line begins with its number of rows, so that
rows can be counted without reading the rest. Knows nothing of files. Imports numpy where there are values only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.keys import Key, KeySet, Metric
from meter.core.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.core.batch import Batch, Block

BATCH: Final = b'{"rows":'
"""What the line of a batch begins with; the number and a comma follow."""
_VIA: Final = Metric._fields.index("via")


class Writer:
    """Makes the lines of batches for one file; remembers which layouts stand in it."""

    def __init__(self) -> None:
        self._known: dict[Layout, int] = {}

    def lines(self, batch: Batch) -> tuple[bytes, list[Layout]]:
        """The lines of a batch and the layouts that are new in it; `wrote` says that these stand in the file."""
        numbers = dict(self._known)
        new = []
        lines = []
        for block in batch.blocks:
            if block.layout not in numbers:
                numbers[block.layout] = len(numbers)
                new.append(block.layout)
                lines.append(_plan(block.layout).line.replace(b"0", str(numbers[block.layout]).encode(), 1))
        document = {
            "rows": batch.rows,
            "seq": batch.seq,
            "anchor": list(batch.anchor),
            "blocks": [_written(block, numbers[block.layout]) for block in batch.blocks],
        }
        lines.append(_dumped(document))
        return b"".join(lines), new

    def wrote(self, layouts: Sequence[Layout]) -> None:
        """The lines of these layouts stand in the file."""
        for layout in layouts:
            self._known[layout] = len(self._known)


class Reader:
    """Makes batches of the lines of one file."""

    def __init__(self) -> None:
        self._layouts: dict[int, Layout] = {}

    def layout(self, line: bytes) -> None:
        """Take in a line that is no batch. Raises: ValueError, it is no line of this form."""
        document = _loaded(line)
        try:
            metrics = [_metric(fields) for fields in document["metrics"]]
            keys = [
                Key(metrics[metric], (kind, id_), (whose, which), [(name, value) for name, value in attributes])
                for metric, kind, id_, whose, which, attributes in document["keys"]
            ]
            address = tuple([(part, column) for part, column in document["address"]])
            made = Layout(KeySet(keys), tuple(document["types"]), tuple(document["widths"]), address)
            self._layouts[document["layout"]] = made
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError("it is no layout") from error

    def batch(self, line: bytes) -> Batch:
        """The batch of a line. Raises: ValueError, it is no line of this form."""
        from meter.core.batch import Anchor, Batch  # numpy

        document = _loaded(line)
        try:
            blocks = tuple([self._block(*block) for block in document["blocks"]])
            return Batch(blocks, Anchor(*document["anchor"]), document["seq"])
        except (KeyError, TypeError, IndexError, OverflowError) as error:
            raise ValueError("it is no batch") from error

    def _block(
        self,
        number: int,
        ts: list[int],
        since: list[int],
        parts: list[list[Any]],
        masks: list[list[int] | None],
        reasons: list[tuple[int, int, str]],
        ids: list[str] | None,
    ) -> Block:
        import numpy as np

        from meter.core.arrays import DTYPES
        from meter.core.batch import Block

        layout = self._layouts[number]
        shapes = [(len(ts), width) for width in layout.widths]
        matrices = [
            np.array(part, DTYPES[dtype]).reshape(shape)
            for part, dtype, shape in zip(parts, layout.dtypes, shapes, strict=True)
        ]
        gaps = []
        for mask, shape in zip(masks, shapes, strict=True):
            gap = None
            if mask is not None:
                gap = np.zeros(shape, np.bool_)
                gap.reshape(-1)[mask] = True
            gaps.append(gap)
        made = Block(
            layout,
            np.array(ts, np.int64),
            np.array(since, np.int64),
            tuple(matrices),
            tuple(gaps),
            {(row, key): why for row, key, why in reasons},
            None if ids is None else tuple(ids),
        )
        made.verify()
        return made


def rows_of(line: bytes) -> int:
    """The rows of the batch that a line has; 0 where it is no batch."""
    if not line.startswith(BATCH):
        return 0
    return int(line[len(BATCH) : line.index(b",")])


class _Plan(NamedTuple):
    """The line of a layout with the number 0, and of each part that has a key the place, and columns that have one."""

    line: bytes
    parts: list[tuple[int, Any]]


def _plan(layout: Layout) -> _Plan:
    """What is written of a layout: no columns that no key addresses."""
    plan: _Plan | None = layout.plans.get("spool")
    if plan is not None:
        return plan
    parts = sorted({part for part, _ in layout.address})
    columns = {part: sorted({column for own, column in layout.address if own == part}) for part in parts}
    metrics = list(dict.fromkeys(key.metric for key in layout.keys))
    document = {
        "layout": 0,
        "metrics": [[*metric[:_VIA], sorted(metric.via), *metric[_VIA + 1 :]] for metric in metrics],
        "keys": [[metrics.index(key.metric), *key.resource, *key.consumer, key.attributes] for key in layout.keys],
        "types": [layout.dtypes[part] for part in parts],
        "widths": [len(columns[part]) for part in parts],
        "address": [[parts.index(part), columns[part].index(column)] for part, column in layout.address],
    }
    taken = [
        (part, slice(None) if columns[part] == list(range(layout.widths[part])) else columns[part]) for part in parts
    ]
    plan = layout.plans["spool"] = _Plan(_dumped(document), taken)
    return plan


def _written(block: Block, number: int) -> list[Any]:
    """What is written of a block."""
    import numpy as np

    parts, masks = [], []
    for part, columns in _plan(block.layout).parts:
        mask = block.masks[part]
        parts.append(np.ascontiguousarray(block.parts[part][:, columns]).reshape(-1))
        masks.append(None if mask is None else np.flatnonzero(mask[:, columns]))
    reasons = [[row, key, why] for (row, key), why in block.reasons.items()]
    ts, since = np.ascontiguousarray(block.ts), np.ascontiguousarray(block.since)
    return [number, ts, since, parts, masks, reasons, block.ids]


def _metric(fields: list[Any]) -> Metric:
    """A metric of its fields; what an older file does not have is as it is by default."""
    made = [*fields[:_VIA], frozenset(fields[_VIA]), *fields[_VIA + 1 :]]
    return Metric(**dict(zip(Metric._fields, made, strict=False)))


def _dumped(document: dict[str, Any]) -> bytes:
    import orjson  # only processes that keep values need it

    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # A name that is no UTF-8, as Python reads it from paths; the standard library escapes its bytes.
        return json.dumps(document, default=lambda array: array.tolist(), separators=(",", ":")).encode() + b"\n"


def _loaded(line: bytes) -> Any:
    import orjson  # as in _dumped

    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)
