"""Plugins that do what a test says: good ones, ones that fail in a phase, and ones that break their contract."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core import chain as core_chain
from meter.core.batch import Block
from meter.core.engine import Engine
from meter.core.keys import Key, KeySet
from meter.core.layout import Layout
from meter.core.plugin import Filter, Output, Plugin, Recover, Source
from meter.core.readings import Columns, ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from meter.core.batch import Batch
    from meter.core.bind import Selection
    from meter.core.clock import Clock
    from meter.core.plugin import Control
    from meter.core.readings import Readings

MS = 1_000_000
SECOND = 1_000 * MS
DEADLINE_S = 10.0
"""How long a test waits for another thread before it gives up."""


class World:
    """What the plugins of one test do, and what they did."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        """Instance and phase, in order."""
        self.faults: dict[tuple[str, str], BaseException] = {}
        """What is raised, by instance and phase."""
        self.scripts: dict[str, Callable[..., Any]] = {}
        """What a source polls, a filter runs, or an output does at each write."""
        self.finish: dict[str, Callable[[], Iterable[Block]]] = {}
        self.watermarks: dict[str, Callable[[int], Iterable[Block]]] = {}
        """What a filter gives of what it held back."""
        self.batches: dict[str, list[Batch]] = {}
        self.kept: dict[str, list[Batch]] = {}
        """What is kept for an output."""
        self.put_event = threading.Event()
        """Set when something is kept."""

    def reset(self) -> None:
        """Forget everything; the plugins know this one world only."""
        self.__init__()  # type: ignore[misc]

    def did(self, label: str, phase: str) -> None:
        """Note a phase, and fail in it where the test says so."""
        self.calls.append((label, phase))
        if (label, phase) in self.faults:
            raise self.faults[label, phase]

    def shorten(self, output_: str, room: int) -> int:
        """Forget the oldest that are kept until there is room for one more; how many rows that were."""
        held = self.kept[output_]
        gone = [held.pop(0) for _ in range(len(held) + 1 - room)]
        return sum(batch.rows for batch in gone)

    def phases(self, label: str) -> list[str]:
        """The phases of one instance."""
        return [phase for known, phase in self.calls if known == label]

    def rows(self, label: str = "sink", metric: str | None = None) -> list[tuple[int, int, float]]:
        """Since, end and value of every cell that an output got, in milliseconds; of one metric where it is named."""
        return [
            (int(block.since[row]) // MS, int(block.ts[row]) // MS, float(block.column(key)[row]))
            for batch in self.batches.get(label, [])
            for block in batch.blocks
            for row in range(block.rows)
            for key in block.layout.keys
            if metric in {None, key.metric.name}
        ]

    def metrics(self, label: str = "sink") -> set[str]:
        """The metrics that an output got."""
        blocks = [block for batch in self.batches.get(label, []) for block in batch.blocks]
        return {name for block in blocks for name in block.layout.metrics}


world = World()


class Noted(Plugin):
    """Notes each phase."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.me: str = config["me"]
        world.did(self.me, "__init__")

    def start(self, context: Any) -> None:
        """Note it."""
        del context
        world.did(self.me, "start")

    def pre_pipeline_start(self) -> None:
        """Note it."""
        world.did(self.me, "pre_pipeline_start")

    def post_pipeline_start(self, control: Control) -> None:
        """Note it."""
        del control
        world.did(self.me, "post_pipeline_start")

    def stop(self) -> None:
        """Note it."""
        world.did(self.me, "stop")


class Probe(Noted, Source):
    """Gives `NAME.value`, the number of the poll, unless its script says otherwise."""

    polls = 0

    def poll(self, out: Readings) -> None:
        """Count, or follow the script."""
        world.did(self.me, "poll")
        self.polls += 1
        script = world.scripts.get(self.me)
        if script is None:
            out.emit(f"{self.me}.value", float(self.polls))
        else:
            script(out)


class Hop(Noted, Filter):
    """Gives each selected value again, unless its script says otherwise."""

    def bind(self, selections: Sequence[Selection]) -> None:
        """Note it."""
        del selections
        world.did(self.me, "bind")

    def run(self, selections: Sequence[Selection], block: Block) -> Iterable[Block]:
        """The same values, or what the script makes of them."""
        world.did(self.me, "run")
        made_: Iterable[Block] = world.scripts.get(self.me, again)(selections, block)
        return made_

    def watermark(self, ts: int) -> Iterable[Block]:
        """What the script held back; not noted, as it comes with each hand-over."""
        return world.watermarks[self.me](ts) if self.me in world.watermarks else ()

    def finish(self) -> Iterable[Block]:
        """What the script holds back."""
        world.did(self.me, "finish")
        return world.finish[self.me]() if self.me in world.finish else ()


class Sink(Noted, Output):
    """Keeps every batch, after its script allowed it."""

    def write(self, batch: Batch) -> None:
        """Keep it."""
        world.did(self.me, "write")
        if self.me in world.scripts:
            world.scripts[self.me](batch)
        world.batches.setdefault(self.me, []).append(batch)

    def flush(self) -> None:
        """Note it."""
        world.did(self.me, "flush")


class Keep(Noted, Recover):
    """Keeps batches in the world, where they outlive the run."""

    def start(self, context: Any) -> None:
        """Note it."""
        super().start(context)
        self.kept = world.kept.setdefault(context.output, [])

    def put(self, batch: Batch) -> int:
        """Keep it, after the script allowed it."""
        world.did(self.me, "put")
        dropped: int = world.scripts[self.me](batch) if self.me in world.scripts else 0
        self.kept.append(batch)
        world.put_event.set()
        return dropped

    def take(self) -> Batch | None:
        """The oldest."""
        world.did(self.me, "take")
        return self.kept[0] if self.kept else None

    def acknowledge(self) -> None:
        """Forget the oldest."""
        world.did(self.me, "acknowledge")
        del self.kept[0]

    def rows(self) -> int:
        """What is left."""
        return sum(batch.rows for batch in self.kept)


# ------------------------------------------------------------------------------------------------ filters that lie


def again(selections: Sequence[Selection], block: Block) -> list[Block]:
    """No lie: what each selection took."""
    return [s.give(s.read(block) + 0, ts=block.ts, since=block.since) for s in selections if s.layout is not None]


def made(selections: Sequence[Selection], block: Block, **parts: Any) -> Block:
    """A block of the promised layout with other parts."""
    layout = parts.get("layout") or Layout.of(selections[0].outputs)
    values = parts.get("values", np.ones((block.rows, 1)))
    return Block(layout, parts.get("ts", block.ts), parts.get("since", block.since), (values,))


def foreign_layout(selections: Sequence[Selection], block: Block) -> list[Block]:
    """The series that came in, which is not what the rule gives."""
    return [made(selections, block, layout=Layout.of(selections[0].inputs))]


def no_block(selections: Sequence[Selection], block: Block) -> list[Any]:
    """Something else."""
    del selections, block
    return [42]


def wrong_dtype(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Half as many bits."""
    return [made(selections, block, values=np.ones((block.rows, 1), np.float32))]


def wrong_dtype_given(selections: Sequence[Selection], block: Block) -> list[Block]:
    """The same through `give`."""
    return [selections[0].give(np.ones((block.rows, 1), np.float32), ts=block.ts, since=block.since)]


def wrong_shape(selections: Sequence[Selection], block: Block) -> list[Block]:
    """One column too many."""
    return [made(selections, block, values=np.ones((block.rows, 2)))]


def wrong_shape_given(selections: Sequence[Selection], block: Block) -> list[Block]:
    """The same through `give`."""
    return [selections[0].give(np.ones((block.rows, 2)), ts=block.ts, since=block.since)]


def wrong_mask_given(selections: Sequence[Selection], block: Block) -> list[Block]:
    """A mask of another shape than the values."""
    mask = np.ones((block.rows + 1, 1), bool)
    return [selections[0].give(np.ones((block.rows, 1)), ts=block.ts, since=block.since, missing=mask)]


def writeable(selections: Sequence[Selection], block: Block) -> list[Block]:
    """A matrix that it can still write to when others read it."""
    values = np.ones((block.rows, 1))
    lie = made(selections, block, values=values)
    values.setflags(write=True)
    return [lie]


def other_times(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Times that are no int64."""
    return [made(selections, block, ts=block.ts.astype(np.float64))]


def more_times(selections: Sequence[Selection], block: Block) -> list[Block]:
    """More times than rows."""
    return [made(selections, block, ts=np.arange(block.rows + 1))]


def twice(selections: Sequence[Selection], block: Block) -> list[Block]:
    """The same series twice in the same rows."""
    return [*again(selections, block), *again(selections, block)]


def other_unit(selections: Sequence[Selection], block: Block) -> list[Block]:
    """The series that is promised, in another unit."""
    return [_as(selections, block, unit="kJ")]


def other_kind(selections: Sequence[Selection], block: Block) -> list[Block]:
    """A total where a state is promised."""
    return [_as(selections, block, kind="counter")]


def other_type(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Whole numbers, and said to be."""
    return [_as(selections, block, type="i64", values=np.ones((block.rows, 1), np.int64))]


def other_series(selections: Sequence[Selection], block: Block) -> list[Block]:
    """The metric that is promised, of somebody else."""
    key = selections[0].outputs[0]
    return [made(selections, block, layout=Layout.of([Key.make(key.metric, resource=("gpu", "7"))]))]


def other_part(selections: Sequence[Selection], block: Block) -> list[Block]:
    """A layout in which the series is of another type than its metric."""
    layout = Layout(KeySet(selections[0].outputs), ("i64",), (1,), ((0, 0),))
    return [made(selections, block, layout=layout, values=np.ones((block.rows, 1), np.int64))]


def _as(selections: Sequence[Selection], block: Block, values: Any = None, **field: Any) -> Block:
    key = selections[0].outputs[0]
    layout = Layout.of([Key(key.metric._replace(**field), key.resource, key.consumer, key.attributes)])
    return made(selections, block, layout=layout, values=np.ones((block.rows, 1)) if values is None else values)


def opened(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Below what it gives is a matrix that it makes writeable again."""
    lie = made(selections, block)
    assert lie.parts[0].base is not None
    lie.parts[0].base.setflags(write=True)
    return [lie]


def backwards(selections: Sequence[Selection], block: Block) -> list[Block]:
    """A row that ends before it begins."""
    return [made(selections, block, since=block.ts + 1)]


def reversed_rows(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Two rows, the later one first."""
    times = np.array([block.ts[0] + 1, block.ts[0]])
    return [made(selections, block, ts=times, since=times, values=np.ones((2, 1)))]


def same_time(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Two rows that end together."""
    times = block.ts[[0, 0]]
    return [made(selections, block, ts=times, since=times, values=np.ones((2, 1)))]


def same_time_in_two_blocks(selections: Sequence[Selection], block: Block) -> list[Block]:
    """One value now, and one more for the same time."""
    return [made(selections, block, ts=block.ts.copy()), made(selections, block, ts=block.ts.copy())]


def same_time_in_two_layouts(selections: Sequence[Selection], block: Block) -> list[Block]:
    """The same, the second time beside another series."""
    layout = Layout.of(KeySet(key for selection in selections for key in selection.outputs))
    both = made(selections, block, ts=block.ts.copy(), layout=layout, values=np.ones((block.rows, len(layout.keys))))
    return [made(selections, block, ts=block.ts.copy()), both]


def infinite(selections: Sequence[Selection], block: Block) -> list[Block]:
    """What is no measurement, and is not marked as missing."""
    return [made(selections, block, values=np.full((block.rows, 1), np.inf))]


def unmarked(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Nothing, and not marked as missing."""
    return [made(selections, block, values=np.full((block.rows, 1), np.nan))]


def number_in_a_gap(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Marked as missing, and whoever forgets to look at the marks reads a number."""
    mask = np.ones((block.rows, 1), bool)
    layout = Layout.of(selections[0].outputs)
    return [Block(layout, block.ts, block.since, (np.full((block.rows, 1), 7.0),), (mask,))]


def writes(selections: Sequence[Selection], block: Block) -> list[Block]:
    """Opens what it was given to read, writes to it, and closes it again."""
    base = block.parts[-1].base
    assert base is not None
    base.setflags(write=True)
    base[:] = 99.0
    base.setflags(write=False)
    return again(selections, block)


def writes_and_raises(selections: Sequence[Selection], block: Block) -> list[Block]:
    """The same, and then fails in another way."""
    writes(selections, block)
    raise RuntimeError("nothing to see here")


def written(batch: Batch) -> None:
    """An output that does the same."""
    base = batch.blocks[0].parts[-1].base
    assert base is not None
    base.setflags(write=True)
    base[:] = 99.0
    base.setflags(write=False)


# ------------------------------------------------------------------------------------------------ sources that lie


def undeclared_metric(out: Readings) -> None:
    """A metric that the contract does not have."""
    out.emit("probe.valve", 1.0)


def undeclared_kind(out: Readings) -> None:
    """A kind of resource that the metric does not have."""
    out.emit("probe.value", 1.0, resource="gpu", resource_id="0")


def undeclared_attribute(out: Readings) -> None:
    """An attribute that the metric does not have."""
    out.emit("probe.value", 1.0, attributes={"mode": "user"})


def undeclared_value(out: Readings) -> None:
    """A value that the attribute does not have."""
    out.emit("probe.mode", 1.0, attributes={"mode": "idle"})


def no_attribute(out: Readings) -> None:
    """A metric without the attribute that tells its series apart."""
    out.emit("probe.mode", 1.0)


def absent_id(out: Readings) -> None:
    """Which one of many is not said."""
    out.emit("probe.gpu", 1.0)


def float_for_integer(out: Readings) -> None:
    """A part of a whole number."""
    out.emit("probe.count", 1.5)


def below_zero(out: Readings) -> None:
    """Less than an unsigned number can be."""
    out.emit("probe.count", -1)


def text_for_number(out: Readings) -> None:
    """What is no number at all."""
    out.emit("probe.value", "much")


def same_key_twice(out: Readings) -> None:
    """Two values of one series in one poll."""
    out.emit("probe.value", 1.0)
    out.emit("probe.value", 2.0)


def same_key_in_two_rows(out: Readings) -> None:
    """The same in two rows."""
    out.row(out.columns([ColumnSpec("probe.value")]), [1.0])
    out.row(out.columns([ColumnSpec("probe.value"), ColumnSpec("probe.count")]), [2.0, 1])


def same_column_twice(out: Readings) -> None:
    """The same in one row."""
    out.columns([ColumnSpec("probe.value"), ColumnSpec("probe.value")])


def short_row(out: Readings) -> None:
    """Fewer values than columns."""
    out.row(out.columns([ColumnSpec("probe.value")]), [])


def forged_columns(out: Readings) -> None:
    """Columns that it made by itself, in a unit of its own."""
    metric_ = out.columns([ColumnSpec("probe.value")]).keys[0].metric
    out.row(Columns((Key.make(metric_._replace(unit="kJ")),)), [1.0])


def from_the_future(out: Readings) -> None:
    """A row that begins after it ended."""
    out.emit("probe.value", 1.0, since=out.ts + 1)


def row_changed_afterwards(out: Readings) -> None:
    """A row with a gap, which is kept as it is, that it writes to after it was handed over."""
    values: list[Any] = [None]
    out.row(out.columns([ColumnSpec("probe.count")]), values)
    values[0] = "one"


def negative_delta(out: Readings) -> None:
    """Less came than nothing."""
    out.emit("probe.energy", -1.0)


def negative_delta_of_integers(out: Readings) -> None:
    """The same in whole numbers, beside others."""
    out.emit("probe.steps", -1)
    out.emit("probe.count", 1)


# ------------------------------------------------------------------------------------------------------------ chain


class Part(NamedTuple):
    """One plugin of a chain: contract, the class that runs, and `option=value` words."""

    name: str
    contract: str
    plugin: str
    words: tuple[str, ...] = ()


def metric(name: str, *, kind: str = "gauge", type_: str = "f64", unit: str = "J", more: str = "") -> str:
    """A table of `provides.metrics`."""
    resource = "" if "resource" in more else 'resource = ["machine"]\n'
    return (
        f'[[provides.metrics]]\nname = "{name}"\ntype = "{type_}"\nunit = "{unit}"\nkind = "{kind}"\n{resource}{more}\n'
    )


def rule(selector: str, more: str = "") -> str:
    """A table of `needs.metrics`."""
    return f'[[needs.metrics]]\nmetric = "{selector}"\n{more}\n'


def _contract(name: str, placement: str, *tables: str) -> str:
    head = f'name = "{name}"\nversion = "1.0.0"\nplacement = "{placement}"\nsummary = "s"\nauthor = "a"\n'
    return f'{head}licence = "BSD-3-Clause"\nconfig.me = {{ type = "str", default = "{name}" }}\n' + "\n".join(tables)


def source(name: str = "probe", *metrics: str, interval: str = "100ms") -> Part:
    """A source; without metrics it gives `NAME.value`."""
    text = _contract(name, "source", *(metrics or [metric(f"{name}.value")]))
    return Part(name, text, "Probe", (f"interval={interval}",))


def filter_(name: str, *rules: str) -> Part:
    """A filter."""
    return Part(name, _contract(name, "filter", *rules), "Hop")


def output(name: str = "sink", *rules: str, words: tuple[str, ...] = ()) -> Part:
    """An output, with `option=value` words."""
    return Part(name, _contract(name, "output", *rules), "Sink", words)


def keeper(name: str = "keeper", *, outputs: tuple[str, ...] = ("sink",)) -> Part:
    """What keeps batches of outputs."""
    return Part(name, _contract(name, "recover"), "Keep", tuple(f"for={label}" for label in outputs))


class Chain(NamedTuple):
    """A checked plan and where its contracts lie."""

    plan: dict[str, Any]
    contracts: dict[str, str]
    folder: Path

    def engine(self, **options: Any) -> Engine:
        """An engine of it."""
        return Engine(self.plan, self.contracts, folder=self.folder, **options)


def inside(engine: Engine) -> core_chain.Chain:
    """What lies behind the sources of an engine, in this process."""
    assert isinstance(engine.chain, core_chain.Chain)
    return engine.chain


def chain(folder: Path, *parts: Part) -> Chain:
    """Check the parts as `meter mount` does, with a plugin folder for each."""
    files = {}
    words: list[str] = []
    for part in parts:
        place = folder / part.name
        place.mkdir(exist_ok=True)
        (place / "contract.toml").write_text(part.contract)
        (place / "plugin.py").write_text(f"from tests.core.liars import {part.plugin} as Plugin\n")
        files[part.name] = str(place / "contract.toml")
        words += [part.name, *part.words]
    request, diagnostics = from_words("/test", words, ["meter", "mount", "/test"])
    assert request is not None, diagnostics
    known = Catalogue.of((name, path, (folder / name / "contract.toml").read_bytes()) for name, path in files.items())
    return Chain(check(request, known, Assumed()).require().document, files, folder)


# ----------------------------------------------------------------------------------------------------------- clocks


class Still:
    """A clock that a test moves; whoever sleeps by it sleeps until woken."""

    def __init__(self) -> None:
        self.time = 5_000 * SECOND
        self.asleep = threading.Event()
        """Set when somebody sleeps by it."""

    def now(self) -> int:
        """The present."""
        return self.time

    def advance(self, ms: int) -> int:
        """Move on; the new present."""
        self.time += ms * MS
        return self.time

    def sleep_until(self, deadline_ns: int, wake: threading.Event) -> None:
        """Sleep until woken."""
        del deadline_ns
        self.asleep.set()
        assert wake.wait(DEADLINE_S)


class Jumping(Still):
    """A clock that is at each deadline as soon as somebody waits for it; after some deadlines it stands still."""

    def __init__(self, jumps: int) -> None:
        super().__init__()
        self.jumps = jumps
        self.still = threading.Event()

    def sleep_until(self, deadline_ns: int, wake: threading.Event) -> None:
        """Jump, or sleep until woken."""
        if self.jumps:
            self.jumps -= 1
            self.time = deadline_ns
        else:
            self.time += 1
            self.still.set()
            assert wake.wait(DEADLINE_S)


class Gate:
    """An output's script: nobody gets through until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, batch: Batch) -> None:
        """Wait."""
        del batch
        self.reached.set()
        assert self.open.wait(DEADLINE_S)


def run(engine: Engine, clock: Still, *, deadline_s: float = 5.0) -> None:
    """Start the threads and stop: the last poll is 100 ms after the one before."""
    clock.advance(100)
    engine.go()
    engine.stop(deadline_s)


def go(engine: Engine, clock: Still) -> None:
    """Start the threads, of which none polls before it is woken: the test polls in its place."""
    engine.go()
    assert clock.asleep.wait(DEADLINE_S)


def started(made_: Chain, clock: Clock) -> Engine:
    """An engine whose sources were polled once."""
    engine = made_.engine(clock=clock)
    engine.start()
    engine.poll_now()
    return engine


def told(engine: Engine) -> list[tuple[str, str, str]]:
    """Instance, code and variant of each fault."""
    return [(fault.instance, fault.code, fault.variant) for fault in engine.faults]


def leave(_: object) -> NoReturn:
    """A script that ends the process, as a plugin must not."""
    raise SystemExit(3)
