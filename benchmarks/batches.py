"""Batches: building and handing on blocks of 10 metrics x 10 keys; each result is verified before it is timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.figure import Figure, best_us
from meter.core.batch import Block, build
from meter.core.keys import Key, KeySet, Metric
from meter.core.layout import Layout
from meter.core.readings import Columns, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

METRICS = [Metric(f"bench.m{number}", "f64", "J", "delta", additive=True) for number in range(10)]
KEYS = tuple(Key.make(metric, ("cpu_core", str(core))) for metric in METRICS for core in range(10))


def figures() -> Iterator[Figure]:
    """Build a block from a row of floats, beside numpy alone; drop one metric; add one."""
    columns = Columns(KEYS)
    values = [float(number) for number in range(100)]
    rows = [Row(columns, 1_000_000_000, 0, values)]
    block = build(rows)[0]
    assert block.rows == 1
    assert block.cell(0, KEYS[42]) == values[42]
    control = best_us(lambda: np.array([values]))
    yield Figure("build, 1 row x 100 series", best_us(lambda: build(rows)), control, "np.array", "us", 5, "us")
    fewer = block.layout.restrict(KeySet(KEYS[10:]))
    assert len(block.select(fewer).layout.keys) == 90
    copy = block.parts[0]
    took = best_us(lambda: block.select(fewer))
    yield Figure("select, 1 of 10 metrics dropped", took, best_us(copy.copy), "copy of the matrix", "us", None)
    added = Layout.of(KeySet(Key.make(METRICS[0]._replace(name="bench.new"), ("cpu_core", str(c))) for c in range(10)))
    more = Block(added, block.ts, block.since, (np.zeros((1, 10)),))
    assert len(block.join(more).layout.keys) == 110
    yield Figure("join, 1 metric added", best_us(lambda: block.join(more)), None, "", "us", None)
    many = build([Row(columns, 10**9 + number, 10**9 + number - 1, values) for number in range(1000)])[0]
    assert many.rows == 1000
    long = [Row(columns, 10**9 + number, 10**9 + number - 1, values) for number in range(1000)]
    took = best_us(lambda: build(long), repeats=5)
    yield Figure("build, 1,000 rows x 100 series", 1e5 / took, None, "", "Mpt/s", None)
