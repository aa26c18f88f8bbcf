"""Batches: what is done with blocks of 10 metrics, at 10 to 100,000 points, through the filters that do it.

Filters are those of a chain that was checked, bound to the real layout. Each result is verified before it is timed;
beside it stands what numpy alone takes for the same numbers, without keys, units, spans or missing cells.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import meter.plugins
from benchmarks.figure import Figure, absent, best_us
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.contracts.rules import Rule, WorstQuality
from meter.contracts.variants import Variant
from meter.core.batch import Anchor, Batch, Block
from meter.core.building import build
from meter.core.computing import Computing
from meter.core.elements import FilterElement
from meter.core.holding import Held, Piece
from meter.core.joining import interpolate, split
from meter.core.keys import KeySet
from meter.core.layout import Layout
from meter.core.pipeline import quiet
from meter.core.plugin import Context
from meter.core.readings import Columns, Declared, Row
from meter.plugins.aggregate.plugin import WAITING_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meter.core.bind import Selection
    from meter.core.keys import Key

STATED = 'version = "1.0.0"\nsummary = "s"\nauthor = "a"\nlicence = "BSD-3-Clause"\n'
METRIC = '[[provides.metrics]]\ntype = "f64"\nresource = ["cpu_core"]\n'
DELTAS = tuple(f"bench.m{number}" for number in range(9))
MADE = (
    f'name = "made"\nplacement = "source"\n{STATED}config.interval = {{ type = "duration", default = "1ms" }}\n'
    + "".join(f'{METRIC}name = "{name}"\nunit = "J"\nkind = "delta"\n' for name in DELTAS)
    + f'{METRIC}name = "bench.part"\nunit = "1"\nkind = "gauge"\n'
)
FORMULAS = (
    f'name = "formulas"\nplacement = "filter"\n{STATED}config.text = {{ type = "formula" }}\n'
    '[[needs.metrics]]\nmetric = "${config.text}"\ngives = { name = "bench.derived" }\n'
)
BARS = {"build": 5, "convert": 3, "aggregate": 3, "derive": 4}
"""In microseconds, for 10 metrics of 10 keys each."""


class Size(NamedTuple):
    """So many rows of 10 metrics of so many keys."""

    keys: int
    rows: int

    @property
    def points(self) -> int:
        """Cells of a block."""
        return 10 * self.keys * self.rows


SIZES = (Size(1, 1), Size(10, 1), Size(10, 10), Size(10, 1000))


class Chain:
    """A source of 10 metrics, and filters behind it."""

    def __init__(self) -> None:
        folder = Path(next(iter(meter.plugins.__path__)))
        texts = {"made": MADE, "formulas": FORMULAS}
        for name in ("convert", "aggregate", "collect"):
            texts[name] = (folder / name / "contract.toml").read_text()
        words = ["made", "convert", "metrics=bench.m0", "unit=kJ", "aggregate", "metrics=bench.m*", "function=sum"]
        words += ["window=1s", "formulas", "text=bench.m1 * bench.part", "collect"]
        request, wrong = from_words("/bench", words, ["meter"])
        assert request is not None, wrong
        files = [(name, f"{name}/contract.toml", text.encode()) for name, text in texts.items()]
        document = check(request, Catalogue.of(files), Assumed()).require().document
        self.plugins = {each["instance"]: each for each in document["plugins"]}
        self.quality = WorstQuality(document["qualities"])
        self.declared = Declared("made", [Variant.from_json(each) for each in self.plugins["made"]["emits"]])

    def keys(self, count: int) -> tuple[Key, ...]:
        """The series of some cores."""
        names = (*DELTAS, "bench.part")
        return tuple(self.declared.key(name, str(core)) for name in names for core in range(count))

    def bound(self, label: str, layout: Layout) -> tuple[Any, Sequence[Selection]]:
        """A filter, and what it selects of a layout."""
        entry = self.plugins[label]
        made: Any = Computing
        if label != "formulas":
            made = getattr(import_module(f"meter.plugins.{label}.plugin"), label.capitalize())
        element = FilterElement(label, made(entry["config"]), [Rule.from_json(r) for r in entry["rules"]], self.quality)
        element.filter.start(Context(label, None, (0, 0)))
        bound, breach = element.bound(layout)
        assert breach is None
        element.tell(layout, bound)
        return element.filter, bound.selections


def figures() -> Iterator[Figure]:
    """Every operation at every size; then joins of rows that have other times."""
    chain = Chain()
    for size in SIZES:
        with quiet():  # as the filters of a chain are
            found = list(_operations(chain, size))
        yield from found
    yield from _joins()


def _operations(chain: Chain, size: Size) -> Iterator[Figure]:
    keys = chain.keys(size.keys)
    columns = Columns(keys)
    values = [float(number + 1) for number in range(len(keys))]
    rows = [Row(columns, 1000 * (row + 1), 1000 * row, values) for row in range(size.rows)]
    (block,) = build(rows)
    matrix = np.array([values] * size.rows)
    assert block.rows == size.rows
    assert all(block.cell(-1, key) == value for key, value in zip(keys, values, strict=True))
    repeats = 9 if size.points < 10_000 else 5

    def figure(
        what: str, call: Callable[[], object], control: Callable[[], object] | None, name: str, of: int = 1
    ) -> Figure:
        took = best_us(call, repeats=repeats) / of
        beside = None if control is None else best_us(control, repeats=repeats)
        bar = BARS.get(what.split(maxsplit=1)[0].rstrip(",")) if size == Size(10, 1) else None
        return Figure(f"{what}: {size.points:,} points", took, beside, name, "us", bar, "us")

    yield figure("build", lambda: build(rows), lambda: np.array([row.values for row in rows]), "np.array")
    batch = Batch((block,), Anchor(0, 10**18), 1)
    yield figure("fork", batch.fork, None, "")
    layout = block.layout
    kept = KeySet(key for key in keys if key.metric.name != "bench.m0")
    fewer = layout.restrict(kept)
    assert len(block.select(fewer).layout.keys) == 9 * size.keys
    yield figure("select 9 of 10 metrics", lambda: block.select(layout.restrict(kept)), matrix.copy, "copy")
    one = slice(0, size.keys)
    yield from _filters(chain, block, matrix, one, figure)
    extra = Layout.of(KeySet(chain.declared.key("bench.m0", f"x{core}") for core in range(size.keys)))
    more = Block(extra, block.ts, block.since, (np.zeros((size.rows, size.keys)),))
    assert len(block.join(more).layout.keys) == 11 * size.keys
    wide = more.parts[0]
    yield figure(
        "join 1 metric", lambda: block.join(more), lambda: np.concatenate([matrix, wide], axis=1), "concatenate"
    )
    whole = layout.keys
    assert len(whole.below("bench.m1")) == size.keys
    yield figure("below a prefix", lambda: whole.below("bench.m1"), None, "")
    yield figure("cut a prefix", lambda: whole.cut("bench.m1"), None, "")
    try:
        import pyarrow as pa  # an extra

        from meter.core.arrow import Encoder
    except ImportError:
        yield absent(f"to_arrow: {size.points:,} points", "us", "no pyarrow: pip install 'metermount[arrow]'")
        return
    encoder = Encoder()
    assert encoder.encode(batch).num_rows == size.points
    flat = matrix.ravel()
    yield figure("to_arrow", lambda: encoder.encode(batch), lambda: pa.array(flat), "pa.array of values")


def _filters(
    chain: Chain,
    block: Block,
    matrix: Any,
    one: slice,
    figure: Callable[..., Figure],
) -> Iterator[Figure]:
    convert, selections = chain.bound("convert", block.layout)
    (made,) = convert.run(selections, block)
    assert np.array_equal(made.parts[0], matrix[:, one] * 0.001)
    yield figure(
        "convert 1 metric", lambda: list(convert.run(selections, block)), lambda: matrix[:, one] * 0.001, "multiply"
    )
    aggregate, summed = chain.bound("aggregate", block.layout)
    assert not list(aggregate.run(summed, block))
    (window,) = aggregate.watermark(10**9)
    assert np.array_equal(window.parts[0][0], matrix[:, : 9 * one.stop].sum(axis=0))

    def add() -> None:
        # It adds some blocks up together: the call that does it must be in what is timed.
        for _ in range(WAITING_BLOCKS):
            aggregate.run(summed, block)
            aggregate.watermark(1)

    yield figure("aggregate in a window", add, lambda: matrix.sum(axis=0), "sum", WAITING_BLOCKS)
    derive, read = chain.bound("formulas", block.layout)
    (made,) = derive.run(read, block)
    part = slice(9 * one.stop, 10 * one.stop)
    other = slice(one.stop, 2 * one.stop)
    assert np.array_equal(made.parts[0], matrix[:, other] * matrix[:, part])
    yield figure(
        "derive a * b", lambda: list(derive.run(read, block)), lambda: matrix[:, other] * matrix[:, part], "multiply"
    )


def _joins() -> Iterator[Figure]:
    """100 series, a row each 10 ms, at the rows of another input each 1 s."""
    ts = np.arange(1, 10_001, dtype=np.int64) * 10_000_000
    values = np.ones((len(ts), 100))
    held = Held()
    held.add(Piece(tuple(range(100)), ts, ts - 10_000_000, values, None, {}))
    rows = held.rows
    ends = np.arange(1, 101, dtype=np.int64) * 1_000_000_003
    ends = ends[ends <= ts[-1]]
    starts = ends - 1_000_000_000
    assert np.allclose(split(rows, starts, ends).values, 100.0)
    reduced = best_us(lambda: np.add.reduceat(values, np.arange(0, len(ts), 100), axis=0), repeats=5)
    took = best_us(lambda: split(rows, starts, ends), repeats=5)
    yield Figure("split 1,000,000 cells by overlap", took, reduced, "reduceat", "us", None)
    assert interpolate(rows, ends).there.all()
    took = best_us(lambda: interpolate(rows, ends), repeats=5)
    alone = best_us(lambda: [np.interp(ends, ts, values[:, column]) for column in range(100)], repeats=5)
    yield Figure("interpolate 100 gauges at 99 times", took, alone, "np.interp", "us", None)
