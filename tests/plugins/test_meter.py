"""The source `meter`, over what a made engine says and over a real one."""

from __future__ import annotations

import time
import tomllib
from typing import TYPE_CHECKING, Any, Final

import pytest

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core import own
from meter.core.discovery import discover
from meter.core.engine import Engine
from meter.core.plugin import Missing
from meter.core.state import LATENESS, LATER, FilterState, OutputState, SourceState, State
from tests.core.liars import Still
from tests.fake import PLUGINS, SECOND, Cell, Mounted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMITS: Final = (*LATENESS, LATER)
NOBODY: Final = dict.fromkeys(("cpu", "rate", "csv"), 0)


def lateness(**polls: int) -> tuple[int, ...]:
    """Polls by limit; `more` is a name, the others begin with a digit and so with `_`."""
    return tuple(polls.get(limit if limit == LATER else f"_{limit}", 0) for limit in LIMITS)


BEFORE: Final = State(
    (SourceState("cpu", 1, 0, 0, 10, lateness()),),
    (FilterState("rate", 1, 10, 1_000),),
    (OutputState("csv", 1, 20, 3_000, 1, 0, 0, 0, 0),),
    2,
    NOBODY,
    NOBODY,
)
AFTER: Final = State(
    (SourceState("cpu", 12, 3, 2, 110, lateness(_50us=7, _1ms=1, more=1)),),
    (FilterState("rate", 9, 90, 2_500_001_000),),
    (OutputState("csv", 4, 80, 12_000, 9, 5, 60, 7, 8),),
    0,
    {**NOBODY, "csv": 2, "pipeline": 1},
    {**NOBODY, "rate": 1},
)


class Said:
    """A control that says one state after the other, the last one for ever."""

    def __init__(self, *states: State) -> None:
        self.states = list(states)

    def trigger(self, label: str) -> None:
        """Nobody asks for it."""
        raise NotImplementedError(label)

    def state(self) -> State:
        """The next one."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def mounted(*states: State) -> Mounted:
    """The source of a chain that runs, polled once at 1 s."""
    made = Mounted("meter")
    made.rows(SECOND)
    made.source.post_pipeline_start(Said(*states))
    return made


def polled(made: Mounted, at_s: int, consumer: str = "machine") -> dict[str, Cell]:
    """What a poll gives of one kind of consumer, by metric and the values of its attributes."""
    return {
        " ".join([key.metric.name, *dict(key.attributes).values()]): Cell(value, row.since, row.ts)
        for row in made.rows(at_s * SECOND)
        for key, value in zip(row.columns.keys, row.values, strict=True)
        if key.consumer[0] == consumer
    }


def values(made: Mounted, at_s: int) -> dict[str, Any]:
    """The same as values, of the chain."""
    return {name: cell.value for name, cell in polled(made, at_s).items()}


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """The values that are not 0."""
    return {name: value for name, value in found.items() if value}


def test_counts_begin_at_0_with_the_first_poll() -> None:
    """So the first delta has all that was done by then, and its span begins with the first poll."""
    made = mounted(BEFORE)

    assert polled(made, 3)["meter.poll.count cpu"] == Cell(1, SECOND, 3 * SECOND)


def test_each_number_is_that_of_its_element() -> None:
    """Counts as deltas since the poll before, queues as they are."""
    made = mounted(BEFORE, AFTER)
    values(made, 2)

    assert shown(values(made, 3)) == {
        "meter.poll.count cpu": 11,
        "meter.poll.retried cpu": 2,
        "meter.poll.points cpu": 100,
        "meter.tick.missed cpu": 3,
        "meter.poll.lateness cpu 50us": 7,
        "meter.poll.lateness cpu 1ms": 1,
        "meter.poll.lateness cpu more": 1,
        "meter.hop.count rate": 8,
        "meter.hop.points rate": 80,
        "meter.hop.time rate": 2.5,
        "meter.write.count csv": 8,
        "meter.write.failed csv": 5,
        "meter.write.points csv": 60,
        "meter.row.lost csv": 7,
        "meter.row.dropped csv": 8,
        "meter.queue.batches csv": 4,
        "meter.queue.points csv": 80,
        "meter.queue.memory csv": 12_000,
        "meter.fault.count csv": 2,
        "meter.fault.count pipeline": 1,
        "meter.violation.count rate": 1,
    }


def test_what_did_not_happen_is_0_and_there() -> None:
    """Whoever sums or watches for a rise needs the series before it rises."""
    found = values(mounted(BEFORE, AFTER), 2)

    assert [name.split()[2] for name in found if name.startswith("meter.poll.lateness")] == list(LIMITS)
    assert found["meter.row.lost csv"] == found["meter.violation.count rate"] == 0
    assert found["meter.chain.waiting"] == 2


def test_an_instance_that_is_new_counts_from_0() -> None:
    """Since the poll before it was there."""
    added = AFTER._replace(sources=(*AFTER.sources, SourceState("load", 4, 0, 0, 12, lateness(_50us=4))))
    made = mounted(AFTER, added)
    values(made, 2)

    assert shown(values(made, 3))["meter.poll.count load"] == 4


def test_a_chain_that_does_not_run_yet_says_nothing() -> None:
    """Neither numbers nor a breach of contract; what comes then has the whole span."""
    made = Mounted("meter")
    for second in (1, 2, 3):
        assert values(made, second) == {}
        assert "meter.poll.count" in made.readings.idle
    made.source.post_pipeline_start(Said(BEFORE))

    spans = {cell.since for name, cell in polled(made, 9).items() if "poll" in name}
    assert spans == {SECOND}


def test_limits_of_lateness_are_those_of_the_contract() -> None:
    """In the order of the engine."""
    contract = tomllib.loads((PLUGINS / "meter" / "contract.toml").read_text())
    (shape,) = [each for each in contract["provides"]["metrics"] if each["name"] == "meter.poll.lateness"]

    assert shape["attributes"]["meter.poll.late"] == list(LIMITS)
    assert list(LATENESS.values()) == sorted(LATENESS.values())


class TestProcess:
    """What this very process uses."""

    def test_cpu_time_is_that_of_this_process(self) -> None:
        """What was spent between two polls is between what its clock says inside of them and around them."""
        made = Mounted("meter")
        outer = time.process_time()
        assert list(polled(made, 1, "process")) == ["meter.memory.usage"]
        inner = time.process_time()
        while time.process_time() < inner + 0.05:
            pass
        inside = time.process_time() - inner
        cells = polled(made, 2, "process")
        outside = time.process_time() - outer

        spent = sum(cells[f"meter.cpu.time {mode}"].value for mode in ("user", "system"))
        assert inside - 1e-4 <= spent <= outside + 1e-4
        assert {cell.since for name, cell in cells.items() if "cpu.time" in name} == {SECOND}

    def test_memory_is_what_the_kernel_says(self) -> None:
        """Within what the tests themselves may take or give back meanwhile."""
        cells = polled(Mounted("meter"), 1, "process")
        with open("/proc/self/status", encoding="ascii") as file:
            resident = int(file.read().split("VmRSS:")[1].split()[0]) * 1024

        assert cells["meter.memory.usage"].value == pytest.approx(resident, rel=0.05)

    @pytest.mark.parametrize(
        ("text", "reason"), [(None, "No such file or directory"), ("", "does not say"), ("1 x 3", "does not say")]
    )
    def test_memory_that_cannot_be_read_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, reason: str
    ) -> None:
        """With the reason, and never 0."""
        path = tmp_path / "statm"
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(own, "_STATM", str(path))
        cell = polled(Mounted("meter"), 1, "process")["meter.memory.usage"]

        assert isinstance(cell.value, Missing)
        assert reason in cell.value.reason

    def test_another_sysroot_changes_nothing(self, tmp_path: Path) -> None:
        """The process that measures runs here."""
        assert polled(Mounted("meter", sysroot=tmp_path), 1, "process")["meter.memory.usage"].value > 0


def chain(folder: Path, clock: Still) -> Engine:
    """A real engine over two other sources, a filter and an output, with `meter` in it."""
    words = ["random", "uptime", "interval=500ms", "meter", "convert", "metrics=demo.random", "unit=%", "collect"]
    request, wrong = from_words("/self", words, ["meter", "mount", "/self"])
    assert request is not None, wrong
    catalogue = discover(installed=False).catalogue
    plan = check(request, catalogue, Assumed()).require().document
    contracts = {each["plugin"]: catalogue.entries[each["plugin"]][0].path for each in plan["plugins"]}
    engine = Engine(plan, contracts, folder=folder, clock=clock)
    engine.start()
    engine.poll_now()
    return engine


def points(engine: Engine) -> Iterator[tuple[str, dict[str, str], Any]]:
    """Metric, attributes and value of all that was collected."""
    for batch in engine.outputs[0].output.batches:  # type: ignore[attr-defined]
        for block in batch.blocks:
            for _, key, value in block.points():
                yield key.metric.name, dict(key.attributes), value


def test_the_deltas_of_a_run_add_up_to_what_the_engine_counted(tmp_path: Path) -> None:
    """With its own polls in it: all polls but the last ones, and all lateness."""
    clock = Still()
    engine = chain(tmp_path, clock)
    engine.go()
    for _ in range(8):
        engine.tick(clock.advance(500))
        engine.hand_over()
    clock.advance(500)
    engine.stop()

    sums: dict[tuple[str, str], float] = {}
    for metric, attributes, value in points(engine):
        if "meter.instance" in attributes:
            series = metric, attributes["meter.instance"]
            sums[series] = sums.get(series, 0) + value
    ended = {source.label: source for source in engine.state().sources}
    # Sources are polled in the order of the chain, the last time as well: `meter` asks before its own poll is counted.
    assert sums["meter.poll.count", "random"] == ended["random"].polls
    assert sums["meter.poll.count", "uptime"] == ended["uptime"].polls
    assert sums["meter.poll.count", "meter"] == ended["meter"].polls - 1
    assert sums["meter.poll.lateness", "uptime"] == sum(ended["uptime"].lateness)
    assert engine.faults == []


def test_a_late_poll_and_its_missed_ticks_are_seen(tmp_path: Path) -> None:
    """A pause of 1.7 s: of a source polled twice a second, two ticks are missed and the poll was 1.2 s late."""
    clock = Still()
    engine = chain(tmp_path, clock)
    engine.go()
    engine.tick(clock.advance(1_700))
    clock.advance(100)
    engine.stop()

    found = {
        (metric, attributes.get("meter.poll.late", ""))
        for metric, attributes, value in points(engine)
        if attributes.get("meter.instance") == "uptime"
        and metric in ("meter.tick.missed", "meter.poll.lateness")
        and value
    }
    assert found == {("meter.tick.missed", ""), ("meter.poll.lateness", "more")}
