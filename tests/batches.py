"""Batches that hypothesis makes, and what a batch says."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from meter.core.batch import Anchor, Batch, Block
from meter.core.building import build
from meter.core.keys import EACH, Key, KeySet, Metric
from meter.core.plugin import Missing
from meter.core.readings import Columns, Row

ENERGY = Metric("hw.energy", "f64", "J", "delta", additive=True, origin="rapl", interval=10**9)
BYTES = Metric("bytes", "u64", "By", "counter", additive=True, quality="derived", via=frozenset({"a", "b"}))
DRIFT = Metric("drift", "i64", "ns", "gauge", additive=False)
RANGES = {"i64": (-(2**63), 2**63 - 1), "u64": (0, 2**64 - 1)}
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
