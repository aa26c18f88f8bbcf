"""Blocks of rows that are written out or that hypothesis makes, and what a block says."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from meter.core.batch import Block
from meter.core.building import build
from meter.core.keys import Key, Metric
from meter.core.plugin import Missing
from meter.core.readings import Columns, Row

POWER = Metric("hw.power", "f64", "W", "gauge", additive=True)
TIME = Metric("cpu.time", "u64", "ns", "counter", additive=True)
DRIFT = Metric("drift", "i64", "ns", "gauge", additive=False)

KEYS = st.builds(
    Key.make, st.sampled_from([POWER, TIME, DRIFT]), st.tuples(st.just("cpu"), st.integers(0, 12).map(str))
)
RANGES = {"i64": (-(2**63), 2**63 - 1), "u64": (0, 2**64 - 1)}
GAPS = st.none() | st.sampled_from(["EIO", "ENODEV"]).map(Missing)


def cpu(metric: Metric, number: int = 0) -> Key:
    """The key of one processor."""
    return Key.make(metric, ("cpu", str(number)))


def one(keys: list[Key], *rows: list[Any]) -> Block:
    """The block of some rows, a second apart."""
    columns = Columns(tuple(keys))
    (block,) = build([Row(columns, (at + 1) * 10**9, at * 10**9, values) for at, values in enumerate(rows)])
    return block


def plain(value: object) -> object:
    """A value that compares: what is missing as its reason."""
    return ("missing", value.reason) if isinstance(value, Missing) else value


def points(*blocks: Block) -> dict[tuple[str, int], object]:
    """The value of each name and time."""
    return {(key.name, int(block.ts[row])): plain(value) for block in blocks for row, key, value in block.points()}


def values_of(metric: Metric) -> st.SearchStrategy[Any]:
    """Whatever a source may give for a metric."""
    if metric.type == "f64":
        return GAPS | st.floats()
    return GAPS | st.integers(*RANGES[metric.type])


@st.composite
def sources(draw: st.DrawFn) -> list[Row]:
    """Rows of two sources with keys of their own, in any mixture."""
    keys = draw(st.lists(KEYS, unique=True, max_size=10))
    half = draw(st.integers(0, len(keys)))
    both = [Columns(tuple(keys[:half])), Columns(tuple(keys[half:]))]
    turns = draw(st.lists(st.sampled_from(both), max_size=6))
    return [
        Row(columns, at + 1, at, [draw(values_of(key.metric)) for key in columns.keys])
        for at, columns in enumerate(turns)
    ]
