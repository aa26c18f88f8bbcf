"""A filter with formulas behind made sources: checked as `meter mount` checks it, driven without an engine."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from meter.contracts.rules import Rule, WorstQuality
from meter.contracts.variants import Variant
from meter.core.batch import Block
from meter.core.building import build
from meter.core.computing import Computing
from meter.core.elements import FilterElement
from meter.core.pipeline import quiet
from meter.core.plugin import Context, Missing
from meter.core.readings import Declared, Row
from tests.contracts.build import filter_, metric, output, rule, run, said, source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.core.keys import Key
    from meter.core.plugin import Filter


def interval(text: str) -> str:
    """How often a source is polled."""
    return f'[config.interval]\ntype = "duration"\ndefault = "{text}"\n'


RAPL = source(
    "rapl",
    metric(
        "hw.energy",
        kind="delta",
        unit="J",
        more='resource = ["cpu_package"]\nattributes = { domain = ["package", "core"] }\n'
        'parts = { domain = { core = "package" } }',
    ),
    more=interval("10s"),
)
CPU = source(
    "cpu",
    metric("system.cpu.time", kind="delta", unit="s", more='attributes = { "cpu.mode" = ["user", "system", "idle"] }'),
    metric("load", more="additive = false"),
    more=interval("1s"),
)
PROCESS = source(
    "process",
    metric(
        "process.cpu.time",
        kind="delta",
        unit="s",
        more='consumer = ["process"]\nattributes = { "cpu.mode" = ["user", "system"] }',
    ),
    metric("cpu.usage", unit="%", more='consumer = ["process"]'),
    more=interval("2s"),
)
NET = source("net", metric("net.io", kind="delta", unit="By", type_="u64", more='attributes = { way = ["in", "out"] }'))
CORES = source("cores", metric("core.part", more='resource = ["cpu_core"]'))
ONE, TWO = (
    source(name, metric("bus.io", kind="delta", unit="By", more=f'attributes = {{ way = ["{way}"] }}'))
    for name, way in (("one", "in"), ("two", "out"))
)
SOURCES = {"one": ONE, "two": TWO, "rapl": RAPL, "cpu": CPU, "process": PROCESS, "net": NET, "cores": CORES}
FILTER = filter_(
    "f",
    rule("${config.formulas}", 'gives = { name = "${item}", quality = "derived" }'),
    more='[config.formulas]\ntype = "map<formula>"\n',
)


@cache
def plan(formulas: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The plan of a chain with these formulas."""
    lines = [f'config.f.formulas."{name}" = "{text}"' for name, text in formulas]
    result = run(
        "one two rapl cpu process net cores f sink", *SOURCES.values(), FILTER, output(), more="\n".join(lines) + "\n"
    )
    assert result.plan is not None, said(result)
    return result.plan.document


class Chain:
    """Sources, and a filter `f` with one formula for each name."""

    def __init__(self, formulas: dict[str, str], filter_class: type[Filter] = Computing) -> None:
        document = plan(tuple(formulas.items()))
        plugins = {each["instance"]: each for each in document["plugins"]}
        self.declared = {
            name: Declared(name, [Variant.from_json(each) for each in plugins[name]["emits"]]) for name in SOURCES
        }
        rules = [Rule.from_json(each) for each in plugins["f"]["rules"]]
        self.filter = filter_class({})
        self.element = FilterElement("f", self.filter, rules, WorstQuality(document["qualities"]))
        self.filter.start(Context("f"))

    def energy(self, package: int = 0, domain: str = "package") -> Key:
        """A series of `rapl`."""
        return self.declared["rapl"].key("hw.energy", str(package), attributes={"domain": domain})

    def system(self, mode: str = "user") -> Key:
        """A series of `cpu`."""
        return self.declared["cpu"].key("system.cpu.time", attributes={"cpu.mode": mode})

    def load(self) -> Key:
        """The gauge of `cpu`."""
        return self.declared["cpu"].key("load")

    def process(self, pid: int, mode: str = "user") -> Key:
        """A series of `process`."""
        return self.declared["process"].key("process.cpu.time", None, str(pid), attributes={"cpu.mode": mode})

    def usage(self, pid: int) -> Key:
        """The gauge of `process`."""
        return self.declared["process"].key("cpu.usage", None, str(pid))

    def row(self, keys: Sequence[Key], since: int, ts: int, values: Sequence[Any]) -> Row:
        """A row of some series of one source."""
        return Row(self.declared[keys[0].metric.origin].interned(tuple(keys)), ts, since, list(values))

    def hand_over(self, rows: Iterable[Row], *, watermark: bool = True) -> list[Block]:
        """What the filter makes of rows that come together."""
        taken = list(rows)
        blocks = [made for block in build(taken) for made in self.hop(block)]
        if watermark and taken:
            blocks += self.held(self.filter.watermark(max(row.ts for row in taken)))
        return blocks

    def hop(self, block: Block) -> list[Block]:
        """What it makes of a block."""
        bound, breach = self.element.bound(block.layout)
        if breach is not None:
            raise breach
        if bound.parted:
            return [made for part in block.spread() for made in self.hop(part)]
        self.element.tell(block.layout, bound)
        return self.held(self.filter.run(bound.selections, block))

    def held(self, blocks: Iterable[Block]) -> list[Block]:
        """Blocks that it gives, verified as the engine does."""
        with quiet():
            found = list(blocks)
        for block in found:
            self.element.accept(block, closely=True)
            assert block.rows
        self.element.end()
        return found

    def finish(self) -> list[Block]:
        """The end."""
        return self.held(self.filter.finish())

    def all(self, *hand_overs: Iterable[Row]) -> list[Block]:
        """What comes of a whole run."""
        return [block for rows in hand_overs for block in self.hand_over(rows)] + self.finish()


Cell = tuple[str, int, int]
"""Series, since, ts."""


def cells(blocks: Iterable[Block]) -> dict[Cell, Any]:
    """Every cell; a missing one as its reason in brackets."""
    found: dict[Cell, Any] = {}
    for block in blocks:
        for row, key, value in block.points():
            cell = (key.said, int(block.since[row]), int(block.ts[row]))
            assert cell not in found
            found[cell] = f"({value.reason})" if isinstance(value, Missing) else value
    return found
