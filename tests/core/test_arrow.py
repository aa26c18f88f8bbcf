"""Batches go to Arrow and come back; what is exact stays exact."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.arrow import COLUMNS, Encoder, from_arrow, to_arrow
from meter.core.batch import Batch
from meter.core.building import build
from meter.core.keys import Key
from meter.core.plugin import Missing
from meter.core.readings import Columns, Row
from tests.batches import ANCHOR, BYTES, ENERGY, batches, points

pa = pytest.importorskip("pyarrow")

PROPERTY = settings(derandomize=True, deadline=None)


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
