"""What an engine says of itself: each count is of the element, and of what it did and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from meter.core.plugin import Missing, Retry
from meter.core.state import LATENESS, LATER, FilterState, OutputState, SourceState
from tests.core.liars import (
    DEADLINE_S,
    MS,
    Gate,
    Still,
    chain,
    filter_,
    foreign_layout,
    keeper,
    metric,
    output,
    rule,
    run,
    source,
    started,
    world,
)

if TYPE_CHECKING:
    from pathlib import Path

    from meter.core.batch import Batch
    from meter.core.engine import Engine
    from meter.core.plugin import Control
    from meter.core.readings import Readings

pytestmark = pytest.mark.usefixtures("quick")

AGAIN = rule("probe.value", 'gives = { name = "${metric}.again" }')


def lateness(engine: Engine, label: str = "probe") -> dict[str, int]:
    """The limits by which polls of a source were counted, and how many."""
    (state,) = [state for state in engine.state().sources if state.label == label]
    return {limit: n for limit, n in zip([*LATENESS, LATER], state.lateness, strict=True) if n}


def test_all_counts_begin_at_nothing(tmp_path: Path) -> None:
    """Every element is there before anything ran, in the order of the chain, and the chain itself among the faults."""
    engine = chain(tmp_path, source(), filter_("hop", AGAIN), output(), keeper()).engine()
    engine.start()
    state = engine.state()

    assert state.sources == (SourceState("probe", 0, 0, 0, 0, (0,) * len([*LATENESS, LATER])),)
    assert state.filters == (FilterState("hop", 0, 0, 0),)
    assert state.outputs == (OutputState("sink", *[0] * 8),)
    assert state.waiting == 0
    assert state.violations == dict.fromkeys(("probe", "hop", "sink", "keeper"), 0)
    assert state.faults == {**state.violations, "pipeline": 0}


class TestLateness:
    """Counted is the time from the deadline to the reading."""

    @pytest.mark.parametrize(
        ("late_ns", "limit"),
        [
            (0, "50us"),
            (50_000, "50us"),  # a limit belongs to what it limits
            (50_001, "100us"),
            (3 * MS, "5ms"),
            (1_000 * MS, "1s"),
            (1_000 * MS + 1, "more"),
        ],
    )
    def test_a_poll_counts_at_the_first_limit_that_it_keeps(
        self, tmp_path: Path, clock: Still, late_ns: int, limit: str
    ) -> None:
        """And at no other one."""
        engine = started(chain(tmp_path, source(interval="10s"), output()), clock)
        clock.time += 10_000 * MS + late_ns
        engine.tick(clock.time)

        assert lateness(engine) == {limit: 1}

    def test_a_poll_without_a_deadline_does_not_count(self, tmp_path: Path, clock: Still) -> None:
        """The first one, one that was asked for, and the last one."""
        engine = started(chain(tmp_path, source(), output()), clock)
        engine.trigger("probe")
        engine.tick(clock.advance(50))
        clock.advance(10)
        engine.go()
        engine.stop()

        assert engine.state().sources[0].polls == 3
        assert lateness(engine) == {}

    def test_waiting_for_another_source_is_lateness(self, tmp_path: Path, clock: Still) -> None:
        """Both are due at one time; the first one takes 30 ms."""
        engine = started(chain(tmp_path, source("a"), source("b"), output()), clock)

        def slow(out: Readings) -> None:
            out.emit("a.value", 1.0)
            clock.advance(30)

        world.scripts["a"] = slow
        engine.tick(clock.advance(100))

        assert (lateness(engine, "a"), lateness(engine, "b")) == ({"50us": 1}, {"50ms": 1})

    def test_ticks_that_were_missed_are_in_the_lateness_of_one_poll(self, tmp_path: Path, clock: Still) -> None:
        """Counted from the first deadline that passed."""
        engine = started(chain(tmp_path, source(), output()), clock)
        engine.tick(clock.advance(450))

        assert engine.state().sources[0].missed == 3
        assert lateness(engine) == {"1s": 1}


def test_polls_that_gave_nothing_are_counted(tmp_path: Path, clock: Still) -> None:
    """As polls, and besides."""

    def never(_: Readings) -> None:
        raise Retry

    world.scripts["probe"] = never
    engine = started(chain(tmp_path, source(), output()), clock)
    engine.tick(clock.advance(100))
    state = engine.state().sources[0]

    assert (state.polls, state.retries) == (2, 2)


def test_points_are_cells_of_each_element(tmp_path: Path, clock: Still) -> None:
    """Missing ones included: 3 polls of 2, each with one more behind the filter."""

    def poll(out: Readings) -> None:
        out.emit("probe.value", 1.0)
        out.emit("probe.other", Missing("nobody knows"))

    world.scripts["probe"] = poll
    parts = [source("probe", metric("probe.value"), metric("probe.other")), filter_("hop", AGAIN), output()]
    engine = started(chain(tmp_path, *parts), clock)
    engine.tick(clock.advance(100))
    run(engine, clock)
    state = engine.state()

    assert (state.sources[0].points, state.filters[0].points, state.outputs[0].points) == (6, 6, 9)


def test_the_time_of_a_hop_counts_batches_and_grows(tmp_path: Path, clock: Still) -> None:
    """Each hand-over is one batch; a filter that is left out costs nearly nothing and is counted on."""
    engine = started(chain(tmp_path, source(), filter_("hop", AGAIN), output()), clock)
    before = engine.state().filters[0]
    engine.blocks(engine.taken())
    once = engine.state().filters[0]
    engine.tick(clock.advance(100))
    engine.blocks(engine.taken())
    twice = engine.state().filters[0]

    assert (before.batches, once.batches, twice.batches) == (0, 1, 2)
    assert before.spent_ns == 0 < once.spent_ns < twice.spent_ns


def test_what_waits_is_there_until_it_is_delivered(tmp_path: Path, clock: Still) -> None:
    """With the batch that is being written."""
    gate = world.scripts["sink"] = Gate()
    engine = started(chain(tmp_path, source(), output()), clock)
    engine.hand_over()
    assert engine.state().waiting == 1
    engine.go()
    assert gate.reached.wait(DEADLINE_S)
    held = engine.state()
    gate.open.set()
    engine.stop()
    ended = engine.state()

    assert held.waiting == 0
    assert held.outputs[0][1:3] == (1, 1)
    assert held.outputs[0].waiting_bytes > 0
    assert held.outputs[0].points == 0
    assert ended.outputs[0][1:4] == (0, 0, 0)
    assert ended.outputs[0].points == 2


def test_attempts_to_write_and_those_in_vain_are_counted(tmp_path: Path, clock: Still) -> None:
    """The first batch needs three attempts."""
    fails = [OSError("no"), OSError("no")]

    def flaky(_: Batch) -> None:
        if fails:
            raise fails.pop()

    world.scripts["sink"] = flaky
    engine = started(chain(tmp_path, source(), output()), clock)
    engine.go()
    engine.tick(clock.advance(100))
    engine.hand_over()
    engine.stop()
    state = engine.state().outputs[0]

    assert state.failures == 2
    assert state.writes - state.failures == len(world.batches["sink"])
    assert state.points == 3


def test_what_is_lost_is_counted_once_it_is_certain(tmp_path: Path, clock: Still) -> None:
    """So the count never falls: who has no room drops what is just being written, which is delivered after all."""
    gate = Gate()
    tries: list[Batch] = []

    def sink(batch: Batch) -> None:
        tries.append(batch)
        if len(tries) == 1:
            raise OSError(111, "Connection refused")
        gate(batch)

    world.scripts.update(sink=sink, keeper=lambda _: world.shorten("sink", 1))
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    engine.go()
    assert gate.reached.wait(DEADLINE_S)
    engine.tick(clock.advance(100))
    engine.hand_over()
    end = time.monotonic() + DEADLINE_S
    while engine.state().outputs[0].waiting_batches or world.kept["sink"] == tries[:1]:
        assert time.monotonic() < end, "nothing was dropped"
    while_writing = engine.state().outputs[0].lost
    gate.open.set()
    engine.stop()

    assert while_writing == 0
    assert len(world.rows()) + engine.state().outputs[0].lost == 3


def test_faults_and_violations_are_of_their_instance(tmp_path: Path, clock: Still) -> None:
    """A breach of contract is both; what else a plugin raises is a fault only."""
    world.scripts.update(hop=foreign_layout, other=lambda _: 1 / 0)
    engine = started(chain(tmp_path, source(), source("other"), filter_("hop", AGAIN), output()), clock)
    run(engine, clock)
    state = engine.state()

    assert {label: n for label, n in state.faults.items() if n} == {"hop": 1, "other": 1}
    assert {label: n for label, n in state.violations.items() if n} == {"hop": 1}


def test_a_plugin_can_ask(tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the control that it gets when the chain runs."""
    got: list[Any] = []

    def keep(_: object, control: Control) -> None:
        got.append(control.state())

    monkeypatch.setattr("tests.core.liars.Noted.post_pipeline_start", keep)
    engine = started(chain(tmp_path, source(), output()), clock)
    run(engine, clock)

    assert [state.sources[0].label for state in got] == ["probe", "probe"]
