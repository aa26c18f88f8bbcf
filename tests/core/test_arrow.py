"""Batches go to Arrow and come back; what is exact stays exact."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.arrow import COLUMNS, Encoder, from_arrow, to_arrow
from meter.core.batch import Anchor, Batch, Block, build
from meter.core.keys import EACH, Key, KeySet, Metric
from meter.core.plugin import Missing
from meter.core.readings import Columns, Row

pa = pytest.importorskip("pyarrow")

PROPERTY = settings(derandomize=True, deadline=None)

ENERGY = Metric("hw.energy", "f64", "J", "delta", additive=True, origin="rapl", interval=10**9)
BYTES = Metric("bytes", "u64", "By", "counter", additive=True, quality="derived", via=frozenset({"a", "b"}))
DRIFT = Metric("drift", "i64", "ns", "gauge", additive=False)
RANGES = {"i64": (-(2**63), 2**63 - 1), "u64": (0, 2**64 - 1)}
IDS = st.text("xy/", min_size=1)
ANCHOR = Anchor(5, 1_700_000_000_000_000_000)

KEYS = st.builds(
    Key.make,
    st.sampled_from([ENERGY, BYTES, DRIFT]),
    st.tuples(st.just("disk"), st.text(min_size=1, max_size=3)),
    st.sampled_from([("machine", ""), ("process", "7")]),
    st.dictionaries(st.text("ab", min_size=1, max_size=2), st.text(max_size=2), max_size=2),
)


def cell(metric: Metric) -> st.SearchStrategy[Any]:
    """Whatever a source may give for a metric."""
    numbers: st.SearchStrategy[Any] = st.floats() if metric.type == "f64" else st.integers(*RANGES[metric.type])
    return numbers | st.none() | st.sampled_from(["EIO", ""]).map(Missing)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Blocks of several layouts, some with things that come and go; no two of one time."""
    blocks: list[Block] = []
    ts = 0
    for _ in range(draw(st.integers(0, 3))):
        keys = draw(st.lists(KEYS, min_size=1, max_size=4, unique=True))
        each = draw(st.booleans())
        if each:
            keys = list(KeySet(Key(key.metric, ("disk", EACH), key.consumer, key.attributes) for key in keys))
        columns = Columns(tuple(keys))
        rows = []
        for _ in range(draw(st.integers(1, 3))):
            ts += draw(st.integers(1, 10**10))
            values = [draw(cell(key.metric)) for key in keys]
            rows.append(
                Row(columns, ts, ts - draw(st.integers(0, 9)), values, draw(st.text("xy/", min_size=1)) if each else "")
            )
        blocks += build(rows)
    return Batch(tuple(blocks), ANCHOR, draw(st.integers(0, 2**40)))


def points(batch: Batch) -> list[Any]:
    """All that a batch says, with the metadata of each cell."""
    out = []
    for block in batch.blocks:
        for row, key, value in block.points():
            told = ("missing", value.reason) if isinstance(value, Missing) else value
            out.append((int(block.ts[row]), int(block.since[row]), key.name, key.metric, type(told), told))
    return sorted(out, key=lambda point: point[:3])


@given(batches())
@PROPERTY
def test_a_batch_comes_back_whole(batch: Batch) -> None:
    """Cells, types, spans, reasons, metadata, anchor and number survive."""
    back = from_arrow(to_arrow(batch))

    assert points(back) == points(batch)
    assert (back.anchor, back.seq) == (batch.anchor, batch.seq)
    for block in back.blocks:
        block.verify()


@given(batches())
@PROPERTY
def test_blocks_that_stay_are_the_blocks_that_went(batch: Batch) -> None:
    """Layouts come back as the very same objects where no row was of each of many things."""
    whole = [block.layout for block in batch.blocks if block.ids is None]
    back = [block.layout for block in from_arrow(to_arrow(batch)).blocks]

    assert {*whole} <= {*back}


@given(st.lists(batches(), min_size=1, max_size=3))
@PROPERTY
def test_a_stream_has_one_schema_and_dictionaries_that_only_grow(stream: list[Batch]) -> None:
    """A text keeps its code; so the batches are one table without another dictionary."""
    encoder = Encoder()
    made = [encoder.encode(batch) for batch in stream]

    for one, other in itertools.pairwise(made):
        assert one.schema.equals(other.schema)
        for name in COLUMNS:
            known = one.column(name).dictionary.to_pylist()
            assert other.column(name).dictionary.to_pylist()[: len(known)] == known


@given(st.lists(batches(), min_size=1, max_size=3))
@PROPERTY
def test_a_table_of_several_batches_holds_all_their_cells(stream: list[Batch]) -> None:
    """Written as a stream of bytes and read as one table."""
    encoder = Encoder()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, encoder.encode(stream[0]).schema) as writer:
        for batch in stream:
            writer.write_batch(encoder.encode(batch))
    table = pa.ipc.open_stream(sink.getvalue()).read_all()

    assert points(from_arrow(table)) == sorted(
        [point for batch in stream for point in points(batch)], key=lambda point: point[:3]
    )


def test_an_integer_keeps_its_last_bit() -> None:
    """2^64 - 1 is no float."""
    key = Key.make(BYTES)
    (block,) = build([Row(Columns((key,)), 2, 1, [2**64 - 1])])

    encoded = to_arrow(Batch((block,), ANCHOR, 0))

    assert encoded.column("u64").to_pylist() == [2**64 - 1]
    assert encoded.column("value").to_pylist() == [float(2**64)]
    assert encoded.column("i64").to_pylist() == [None]


def test_a_reader_sees_wall_time_unit_and_reason() -> None:
    """Columns that need no knowledge of meter."""
    key = Key.make(ENERGY, ("cpu_package", "0"), attributes={"domain": "package"})
    (block,) = build([Row(Columns((key,)), 7, 5, [Missing("EIO")])])

    encoded = to_arrow(Batch((block,), ANCHOR, 3))
    times = [encoded.column(name)[0].value - ANCHOR.wall_ns for name in ("time", "since")]
    row = encoded.drop_columns(["time", "since"]).to_pylist()[0]

    assert times == [2, 0]
    assert (row["metric"], row["unit"], row["resource"], row["consumer"]) == (
        "hw.energy",
        "J",
        "cpu_package/0",
        "machine",
    )
    assert (row["attributes"], row["value"], row["reason"]) == ('{"domain":"package"}', None, "EIO")


def test_a_shape_seen_before_is_not_prepared_again() -> None:
    """The columns of texts are the same objects."""
    key = Key.make(ENERGY)
    columns = Columns((key,))
    encoder = Encoder()
    one, two = (encoder.encode(Batch(build([Row(columns, at, at, [1.0])]), ANCHOR, at)) for at in (1, 2))

    assert one.column("metric").equals(two.column("metric"))
    assert one.column("metric").indices.buffers()[1].address == two.column("metric").indices.buffers()[1].address


def test_a_name_that_is_no_unicode_does_not_fail() -> None:
    """File names are bytes; what is no UTF-8 is written as Python escapes it."""
    key = Key.make(ENERGY, ("filesystem", "/mnt/\udcff"))
    (block,) = build([Row(Columns((key,)), 2, 1, [1.0])])

    assert to_arrow(Batch((block,), ANCHOR, 0)).column("resource").to_pylist() == ["filesystem//mnt/\\udcff"]


def test_a_foreign_table_is_refused() -> None:
    """No times can be told without the anchor."""
    with pytest.raises(ValueError, match=r"meter\.anchor"):
        from_arrow(pa.table({"time": [1]}))
    encoded = to_arrow(Batch((), ANCHOR, 0))
    with pytest.raises(ValueError, match="no column unit"):
        from_arrow(encoded.drop_columns(["unit"]))
