"""Hops: what it costs to verify the contract of each filter, in chains of 1 to 64 of them.

Each filter changes one of ten metrics in place, in the pipeline of a running chain. The control is the same chain of
filters that are believed. Both run in turn.
"""

from __future__ import annotations

import threading
import timeit
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meter.plugins
from benchmarks.batches import METRIC, STATED, Size
from benchmarks.figure import Figure
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.contracts.rules import Rule, WorstQuality
from meter.contracts.variants import Variant
from meter.core.batch import Block
from meter.core.blame import Blame
from meter.core.building import build
from meter.core.elements import FilterElement
from meter.core.faults import Faults
from meter.core.pipeline import Pipeline
from meter.core.plugin import Filter
from meter.core.readings import Columns, Declared, Row
from meter.core.sampling import EVERY, Sampler
from meter.core.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.bind import Selection
    from meter.core.layout import Layout

LENGTHS = (1, 4, 16, 64)
SIZES = (Size(10, 1), Size(10, 1000))
BAR_US = 2.0
ROUNDS = 100
NUMBER = EVERY
"""Calls of a round, so that one of each is looked at closely."""
NAMES = tuple(f"bench.m{number}" for number in range(10))
MADE = (
    f'name = "made"\nplacement = "source"\n{STATED}config.interval = {{ type = "duration", default = "1ms" }}\n'
    + "".join(f'{METRIC}name = "{name}"\nunit = "J"\nkind = "delta"\n' for name in NAMES)
)
DOUBLE = (
    f'name = "double"\nplacement = "filter"\n{STATED}'
    '[[needs.metrics]]\nmetric = "bench.m0"\nkeeps = false\ngives = { name = "${metric}" }\n'
)


class Double(Filter):
    """Twice the value."""

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """A matrix of its own, as any filter makes one."""
        for selection in selections:
            yield selection.give(selection.read(block) * 2.0, ts=block.ts, since=block.since)


class Never(Sampler):
    """Looks at nothing."""

    def due(self, layout: Layout) -> bool:
        """Never."""
        del layout
        return False


class Believed(FilterElement):
    """A filter of which nothing is verified."""

    def __init__(self, label: str, filter_: Filter, rules: Sequence[Rule], quality: WorstQuality) -> None:
        super().__init__(label, filter_, rules, quality)
        self.sampler = Never()

    def accept(self, made: Block, of: Block | None = None, *, closely: bool = False) -> None:
        """Whatever it gives goes on."""


def figures() -> Iterator[Figure]:
    """A hop with and without verification for each length, at one row and at a thousand."""
    collect = Path(next(iter(meter.plugins.__path__))) / "collect" / "contract.toml"
    texts = {"made": MADE, "double": DOUBLE, "collect": collect.read_text()}
    catalogue = Catalogue.of((name, f"{name}/contract.toml", text.encode()) for name, text in texts.items())
    request, wrong = from_words("/bench", ["made", "double", "collect"], ["meter"])
    assert request is not None, wrong
    plan = check(request, catalogue, Assumed()).require().document
    for size in SIZES:
        block = _block(plan, size)
        for length in LENGTHS:
            yield from _chain(plan, block, length, size)


def _block(plan: dict[str, Any], size: Size) -> Block:
    (source,) = [each for each in plan["plugins"] if each["instance"] == "made"]
    declared = Declared("made", [Variant.from_json(each) for each in source["emits"]])
    columns = Columns(tuple(declared.key(name, str(core)) for name in NAMES for core in range(size.keys)))
    values = [1.0] * len(columns.keys)
    (block,) = build([Row(columns, 1000 * (row + 1), 1000 * row, values) for row in range(size.rows)])
    return block


def _pipeline(plan: dict[str, Any], length: int, kind: type[FilterElement]) -> Pipeline:
    """The filters of a chain, without threads and outputs."""
    (entry,) = [each for each in plan["plugins"] if each["instance"] == "double"]
    rules = [Rule.from_json(rule) for rule in entry["rules"]]
    quality = WorstQuality(plan["qualities"])
    faults = Faults(Vault("", {}), lambda _: None, Blame(plan, None, lambda: None))
    delivers: Any = None
    pipeline = Pipeline(delivers, faults, lambda _: None, threading.Event())
    for number in range(length):
        element = kind(f"double#{number}", Double({}), rules, quality)
        element.live = True
        pipeline.filters.append(element)
    return pipeline


def _chain(plan: dict[str, Any], block: Block, length: int, size: Size) -> Iterator[Figure]:
    best = {}
    for kind in (FilterElement, Believed):
        hops = _pipeline(plan, length, kind).hops
        (made,) = hops([block])
        assert made.values("bench.m0")[0, 0] == 2.0**length
        best[hops] = float("inf")
    for _ in range(ROUNDS):
        for hops, least in best.items():
            took = timeit.timeit(partial(hops, [block]), number=NUMBER) / NUMBER / length * 1e6
            best[hops] = min(least, took)
    with_, without = best.values()
    what = f"hop, chain of {length}: {size.points:,} points"
    yield Figure(what, with_, without, "believed", "us", None)
    yield Figure("  verification", with_ - without, without, "believed", "us", BAR_US, "us")
