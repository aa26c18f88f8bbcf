"""Batches as Arrow tables in long form, one row for each cell, and back.

Stands between the chain, which knows no Arrow, and what reads measurements as a table: data frames, Parquet, other
machines. pyarrow is an extra (`metermount[arrow]`) and is imported when a batch is encoded or decoded, not before.

The schema never changes, so that the batches of a run can be one stream: what a metric is stands in a dictionary beside
its points and not in the metadata of the schema. Only anchor and number of a batch stand there.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from meter.core.arrays import DTYPES, Array
from meter.core.batch import Anchor, Batch, Block
from meter.core.keys import Entity, Key, KeySet, Metric, entity_text
from meter.core.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

COLUMNS: Final = ("metric", "unit", "resource", "consumer", "attributes", "about")
"""The columns that are dictionaries of texts. `resource` and `consumer` are `kind/id`; `attributes` and `about`, which
holds the rest of what a metric is, are JSON."""

_SEQ, _ANCHOR = b"meter.seq", b"meter.anchor"
_PREPARED: Final = 16
"""Shapes of batches for which columns are kept: a run has one or two."""


class Encoder:
    """Batches of one run as record batches of one schema, with dictionaries that only grow.

    A text keeps its code for as long as the encoder lives, so a stream or a table of many batches needs no dictionary
    twice; where things come and go for days, another encoder for each file keeps them small. Each shape of a batch is
    prepared once; then only times and values are new.
    """

    def __init__(self) -> None:
        import pyarrow as pa  # an extra

        self._pa: Any = pa
        codes = pa.dictionary(pa.int32(), pa.string())
        time = pa.timestamp("ns", tz="UTC")
        self.schema: Final = pa.schema(
            [
                pa.field("time", time, nullable=False),
                pa.field("since", time, nullable=False),
                *[pa.field(name, codes, nullable=False) for name in COLUMNS],
                ("value", pa.float64()),
                ("i64", pa.int64()),
                ("u64", pa.uint64()),
                ("reason", pa.string()),
            ]
        )
        self._time = time
        self._codes: list[dict[str, int]] = [{} for _ in COLUMNS]
        self._dictionaries: list[Any] = [None for _ in COLUMNS]
        self._layouts: dict[tuple[Layout, str], Array] = {}
        self._prepared: dict[tuple[Any, ...], _Prepared] = {}

    def encode(self, batch: Batch) -> pa.RecordBatch:
        """A batch in long form: block by block, row by row, keys in their order.

        `value` is null where a cell is missing, and `reason` says why. Integers stand exactly in `i64` or `u64`, and in
        `value` as the nearest float.
        """
        pa = self._pa
        blocks = [block for block in batch.blocks if block.rows and len(block.layout.keys)]
        shape = tuple([(block.layout, len(block.ts), block.ids) for block in blocks])
        prepared = self._prepared.get(shape)
        if prepared is None:
            prepared = self._prepare(shape)
        shift = batch.anchor.wall_ns - batch.anchor.mono_ns
        ts = _joined([block.ts if width == 1 else np.repeat(block.ts, width) for block, width in prepared.of(blocks)])
        since = _joined(
            [block.since if width == 1 else np.repeat(block.since, width) for block, width in prepared.of(blocks)]
        )
        gaps, reasons = _missing(blocks)
        values = _joined([_floats(block) for block in blocks])
        count = len(ts)
        arrays = [
            self._plain(self._time, ts + shift),
            self._plain(self._time, since + shift),
            *prepared.columns,
            self._plain(pa.float64(), values, gaps),
            *[self._integers(blocks, dtype, gaps, prepared) for dtype in ("i64", "u64")],
            prepared.no_reasons
            if reasons is None
            else pa.array([None if why is None else _valid(why) for why in reasons], pa.string()),
        ]
        assert count == prepared.cells
        told = {_ANCHOR: b"%d,%d" % batch.anchor, _SEQ: b"%d" % batch.seq}
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema.with_metadata(told))

    def _plain(self, kind: Any, values: Array, gaps: Array | None = None) -> Any:
        """Numbers over the memory of an array."""
        pa = self._pa
        valid = None if gaps is None else pa.py_buffer(np.packbits(~gaps, bitorder="little"))
        return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))])

    def _integers(self, blocks: Sequence[Block], dtype: str, gaps: Array | None, prepared: _Prepared) -> Any:
        """The exact values of one type of integers; null elsewhere."""
        kind = {"i64": self._pa.int64(), "u64": self._pa.uint64()}[dtype]
        elsewhere = prepared.elsewhere[dtype]
        if elsewhere is None:
            return prepared.none[dtype]
        values = _joined([_of_type(block, dtype) for block in blocks])
        return self._plain(kind, values, elsewhere if gaps is None else elsewhere | gaps)

    def _prepare(self, shape: tuple[tuple[Layout, int, tuple[str, ...] | None], ...]) -> _Prepared:
        pa = self._pa
        known = [len(codes) for codes in self._codes]
        widths = [len(layout.keys) for layout, _, _ in shape]
        codes = [self._series(layout, rows, ids) for layout, rows, ids in shape]
        together = np.concatenate([np.empty((len(COLUMNS), 0), np.int32), *codes], axis=1)
        if known != [len(codes) for codes in self._codes]:
            self._prepared.clear()  # their dictionaries are older: a stream would have to be told of each change
        for place, texts in enumerate(self._codes):
            if known[place] != len(texts) or self._dictionaries[place] is None:
                self._dictionaries[place] = pa.array([_valid(text) for text in texts], pa.string())
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(np.ascontiguousarray(line)), dictionary, safe=False)
            for line, dictionary in zip(together, self._dictionaries, strict=True)
        ]
        count = together.shape[1]
        types: Array = np.concatenate(
            [
                np.empty(0, "U3"),
                *[np.tile([key.metric.type for key in layout.keys], rows) for layout, rows, _ in shape],
            ]
        )
        none = {"i64": pa.nulls(count, pa.int64()), "u64": pa.nulls(count, pa.uint64())}
        elsewhere = {dtype: types != dtype if (types == dtype).any() else None for dtype in none}
        made = _Prepared(count, tuple(widths), tuple(columns), elsewhere, none, pa.nulls(count, pa.string()))
        if len(self._prepared) >= _PREPARED:
            del self._prepared[next(iter(self._prepared))]
        self._prepared[shape] = made
        return made

    def _series(self, layout: Layout, rows: int, ids: tuple[str, ...] | None) -> Array:
        """The codes of each cell, int32[column, cell]."""
        if ids is None:
            return np.tile(self._coded(layout, ""), rows)
        return np.concatenate([self._coded(layout, id_) for id_ in ids], axis=1)

    def _coded(self, layout: Layout, id_: str) -> Array:
        found = self._layouts.get((layout, id_))
        if found is None:
            if len(self._layouts) >= 1 << 12:
                self._layouts.clear()
            keys = [key.at(id_) for key in layout.keys] if layout.each else layout.keys
            lines = [
                [codes.setdefault(text, len(codes)) for codes, text in zip(self._codes, _texts(key), strict=True)]
                for key in keys
            ]
            found = self._layouts[layout, id_] = np.array(lines, np.int32).reshape(-1, len(COLUMNS)).T
        return found


class _Prepared(NamedTuple):
    """What the batches of one shape have in common: Arrow columns, and which cells are of no type of integers."""

    cells: int
    widths: tuple[int, ...]
    columns: tuple[Any, ...]
    elsewhere: dict[str, Array | None]
    none: dict[str, Any]
    no_reasons: Any

    def of(self, blocks: Sequence[Block]) -> Iterable[tuple[Block, int]]:
        """The blocks of a batch of this shape, with the number of their keys."""
        return zip(blocks, self.widths, strict=True)


def to_arrow(batch: Batch) -> pa.RecordBatch:
    """One batch as `Encoder.encode` gives it; who has several of a run keeps an `Encoder`.

    Raises: ModuleNotFoundError, pyarrow is not installed: it comes with `metermount[arrow]`.
    """
    return Encoder().encode(batch)


def _joined(arrays: Sequence[Array]) -> Array:
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)


def _cells(block: Block, pieces: Sequence[Array], dtype: Any) -> Array:
    """Something of each cell, row by row in the order of the keys: matrices that lie as the parts do, as one line."""
    layout = block.layout
    whole = layout.plans.get("whole")
    if whole is None:
        whole = layout.plans["whole"] = layout.address == tuple((0, at) for at in range(layout.widths[0]))
    if whole:
        return np.ascontiguousarray(pieces[0], dtype).reshape(-1)
    places = layout.plans.get("cells")
    if places is None:
        places = layout.plans["cells"] = [
            (
                part,
                [at for at, address in enumerate(layout.address) if address[0] == part],
                [column for own, column in layout.address if own == part],
            )
            for part in sorted({part for part, _ in layout.address})
        ]
    out = np.zeros((block.rows, len(layout.keys)), dtype)
    for part, into, columns in places:
        out[:, into] = pieces[part][:, columns]
    return out.reshape(-1)


def _floats(block: Block) -> Array:
    return _cells(block, block.parts, np.float64)


def _of_type(block: Block, dtype: str) -> Array:
    """The values of one type, 0 elsewhere."""
    whole = DTYPES[dtype]
    pieces = [
        part if own == dtype else np.zeros(part.shape, whole)
        for part, own in zip(block.parts, block.layout.dtypes, strict=True)
    ]
    return _cells(block, pieces, whole)


def _missing(blocks: Sequence[Block]) -> tuple[Array | None, list[str | None] | None]:
    """Which cells are missing, and the reason of each; None where none is, or none is known."""
    if all(mask is None for block in blocks for mask in block.masks):
        return None, None
    gaps = []
    for block in blocks:
        pieces = [
            np.zeros(part.shape, bool) if mask is None else mask
            for part, mask in zip(block.parts, block.masks, strict=True)
        ]
        gaps.append(_cells(block, pieces, bool))
    missing = _joined(gaps)
    if not any(block.reasons for block in blocks):
        return missing, None
    reasons: list[str | None] = [None] * len(missing)
    begin = 0
    for block in blocks:
        width = len(block.layout.keys)
        for (row, position), why in block.reasons.items():
            reasons[begin + row * width + position] = why
        begin += block.rows * width
    return missing, reasons


# --------------------------------------------------------------------------------------------------------------- texts


def _texts(key: Key) -> tuple[str, ...]:
    """What the dictionaries hold of a key, in the order of `COLUMNS`."""
    metric = key.metric
    about = {**metric._asdict(), "via": sorted(metric.via)}
    del about["name"], about["unit"]
    return (
        metric.name,
        metric.unit,
        entity_text(key.resource),
        entity_text(key.consumer),
        _json(dict(key.attributes)),
        _json(about),
    )


def _valid(text: str) -> str:
    """The text where it is Unicode; bytes of a file's name that are none are written as escapes, as Arrow has UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _key(texts: Sequence[str]) -> Key:
    """The key that `_texts` made these from."""
    name, unit, resource, consumer, attributes, about = texts
    told = json.loads(about)
    metric = Metric(name=name, unit=unit, **{**told, "via": frozenset(told["via"])})
    return Key(metric, _parted(resource), _parted(consumer), json.loads(attributes).items())


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _parted(text: str) -> Entity:
    kind, _, id_ = text.partition("/")
    return kind, id_


# ---------------------------------------------------------------------------------------------------------------- back


def from_arrow(table: pa.RecordBatch | pa.Table) -> Batch:
    """The batch that a record batch, or a table of several of one run, was made from.

    All cells with their times, spans, reasons and metadata come back, anchor and number too (of several batches those
    of the first). Neighbouring cells of one span are one row, neighbouring rows with the same keys one block.

    Raises: ValueError, it lacks a column or what `to_arrow` notes in the metadata of its schema.
    """
    told = table.schema.metadata or {}
    if _ANCHOR not in told or _SEQ not in told:
        raise ValueError("no meter.anchor and meter.seq in the metadata of the schema")
    mono, wall = (int(number) for number in told[_ANCHOR].split(b","))
    anchor = Anchor(mono, wall)
    lacking = sorted({"time", "since", "value", "i64", "u64", "reason", *COLUMNS}.difference(table.schema.names))
    if lacking:
        raise ValueError(f"no column {', '.join(lacking)}")
    cells = _Table(table, wall - mono)
    return Batch(tuple(cells.blocks()), anchor, int(told[_SEQ]))


class _Table:
    """The columns of a table as numpy arrays."""

    def __init__(self, table: Any, shift: int) -> None:
        import pyarrow as pa  # an extra; whoever has a table has it

        self.ts = _numbers(table, "time", pa.int64()) - shift
        self.since = _numbers(table, "since", pa.int64()) - shift
        self.gaps = np.asarray(_column(table, "value").is_null().to_numpy(zero_copy_only=False))
        self.numbers = {
            "f64": np.where(self.gaps, np.nan, _numbers(table, "value", pa.float64())),
            "i64": _numbers(table, "i64", pa.int64()),
            "u64": _numbers(table, "u64", pa.uint64()),
        }
        reason = _column(table, "reason")
        self.reasons = None if reason.null_count == len(reason) else reason.to_pylist()
        self.keys, self.series = _series(table)

    def blocks(self) -> Iterable[Block]:
        """Its blocks."""
        count = len(self.ts)
        if not count:
            return
        new = (np.diff(self.ts) != 0) | (np.diff(self.since) != 0)
        starts = [0, *(new.nonzero()[0] + 1).tolist(), count]
        rows = [row for begin, end in itertools.pairwise(starts) for row in self._rows(begin, end)]
        begin = 0
        while begin < len(rows):
            same = self.series[slice(*rows[begin])].tobytes()
            end = begin + 1
            while end < len(rows) and self.series[slice(*rows[end])].tobytes() == same:
                end += 1
            yield self._block(rows[begin:end])
            begin = end

    def _rows(self, begin: int, end: int) -> Iterable[tuple[int, int]]:
        """Cells of one span as rows: no series is twice in one."""
        own = self.series[begin:end]
        if len(set(own.tolist())) == len(own):  # np.unique would import numpy.ma
            yield begin, end
            return
        seen: set[int] = set()
        for at, series in enumerate(own.tolist(), begin):
            if series in seen:
                yield begin, at
                begin, seen = at, set()
            seen.add(series)
        yield begin, end

    def _block(self, rows: Sequence[tuple[int, int]]) -> Block:
        first, (begin, end) = rows[0][0], rows[0]
        given = [self.keys[series] for series in self.series[begin:end].tolist()]
        layout = Layout.of(KeySet(given))
        column = {key: at for at, key in enumerate(given)}
        order = np.array([column[key] for key in layout.keys], np.intp)
        shape = (len(rows), end - begin)
        cells = (first + np.arange(shape[0] * shape[1]).reshape(shape))[:, order]
        parts: list[Array] = []
        masks: list[Array | None] = []
        for part, dtype in enumerate(layout.dtypes):
            own = cells[:, [at for at, address in enumerate(layout.address) if address[0] == part]]
            gaps = self.gaps[own]
            parts.append(self.numbers[dtype][own])
            masks.append(gaps if gaps.any() else None)
        told: dict[tuple[int, int], str] = {}
        if self.reasons is not None:
            for row, line in enumerate(cells.tolist()):
                told |= {(row, at): why for at, cell in enumerate(line) if (why := self.reasons[cell]) is not None}
        starts = cells.min(axis=1)
        return Block(layout, self.ts[starts], self.since[starts], tuple(parts), tuple(masks), told)


def _column(table: Any, name: str) -> Any:
    column = table.column(name)
    return column.combine_chunks() if hasattr(column, "combine_chunks") else column


def _numbers(table: Any, name: str, kind: Any) -> Array:
    """A column as numbers, 0 where it is null."""
    column = _column(table, name).cast(kind)
    if column.null_count:
        column = column.fill_null(0)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _series(table: Any) -> tuple[list[Key], Array]:
    """The keys of a table, and which of them each cell has."""
    series = np.zeros(table.num_rows, np.int64)
    dictionaries: list[list[str]] = []
    for name in COLUMNS:
        column = _column(table, name)
        column = column if hasattr(column, "dictionary") else column.dictionary_encode()
        texts = column.dictionary.to_pylist()
        codes = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        # Renumbered after each column, so that the product never leaves 64 bits.
        found, series = np.unique(series * max(1, len(texts)) + codes, return_inverse=True)
        of = [(int(each) // max(1, len(texts)), int(each) % max(1, len(texts))) for each in found]
        before = dictionaries or [[]]
        dictionaries = [[*before[own], texts[code]] for own, code in of]
    return [_key(texts) for texts in dictionaries], series.reshape(-1)
