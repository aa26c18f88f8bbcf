"""Polling in several threads: who is slow or hangs delays nobody, and what others may say of the time is still true."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from meter.core import engine as engines
from meter.core import phases, pipeline, polling
from tests.core.liars import (
    DEADLINE_S,
    MS,
    SECOND,
    Part,
    Still,
    chain,
    filter_,
    go,
    inside,
    output,
    rule,
    source,
    started,
    told,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meter.core.engine import Engine
    from meter.core.readings import Readings

pytestmark = pytest.mark.usefixtures("quick")


class Hang:
    """A source's script: hangs from one poll on until it is let go."""

    def __init__(self, metric: str, polls: int = 1) -> None:
        self.reached = threading.Event()
        self.leave = threading.Event()
        self._metric = metric
        self._polls = polls

    def __call__(self, out: Readings) -> None:
        """Give a value, late."""
        if not self._polls:
            self.reached.set()
            assert self.leave.wait(DEADLINE_S)
        else:
            self._polls -= 1
        out.emit(self._metric, 1.0)


class Counts:
    """A source's script that tells when it was polled so often."""

    def __init__(self, metric: str, polls: int) -> None:
        self.done = threading.Event()
        self._metric = metric
        self._polls = polls

    def __call__(self, out: Readings) -> None:
        """Give a value."""
        self._polls -= 1
        if not self._polls:
            self.done.set()
        out.emit(self._metric, 1.0)


@pytest.fixture
def hang() -> Iterator[Hang]:
    """The source `a` hangs at its second poll; it is let go at the end."""
    made = world.scripts["a"] = Hang("a.value")
    yield made
    made.leave.set()


def hanging(folder: Path, clock: Still, hang: Hang, *parts: Part) -> Engine:
    """An engine of which a source hangs since its tick at 100 ms."""
    engine = started(chain(folder, *parts), clock)
    clock.advance(100)
    engine.go()
    engine._pollers.wake()
    assert hang.reached.wait(DEADLINE_S)
    return engine


def waited(true: Callable[[], Any]) -> bool:
    """Whether something becomes true while other threads work."""
    end = time.monotonic() + DEADLINE_S
    while not true() and time.monotonic() < end:
        time.sleep(0.001)
    return bool(true())


class TestGoingFirst:
    """A chain that computes lets polls go first: else it delays each file that they read."""

    def test_it_waits_until_what_is_due_is_polled(self, tmp_path: Path, clock: Still, hang: Hang) -> None:
        """It goes on when the tick is over, and not before."""
        engine = hanging(tmp_path, clock, hang, source("a"), output())
        left: list[float] = []
        chain_ = threading.Thread(target=lambda: left.append(engine._pollers.go_first(DEADLINE_S)))
        chain_.start()
        assert waited(lambda: engine._pollers.first._awaited)
        assert not left

        hang.leave.set()
        chain_.join(DEADLINE_S)
        assert left[0] > 0
        engine.stop()

    def test_its_patience_ends(self, tmp_path: Path, clock: Still, hang: Hang) -> None:
        """Where polls take all the time, the chain works beside them."""
        engine = hanging(tmp_path, clock, hang, source("a"), output())

        assert engine._pollers.go_first(0.001) == 0.0
        hang.leave.set()
        engine.stop()

    def test_nobody_waits_for_a_poll_that_hangs(self, tmp_path: Path, clock: Still, hang: Hang) -> None:
        """Other sources are polled in another thread then, and what they give is not held back by it."""
        engine = hanging(tmp_path, clock, hang, source("a"), output())
        clock.advance(51)

        assert engine._pollers.go_first(DEADLINE_S) > 0
        hang.leave.set()
        engine.stop()

    @pytest.mark.parametrize(("ms", "waits"), [(99, False), (100, True)])
    def test_only_what_is_near_is_waited_for(self, tmp_path: Path, clock: Still, ms: int, *, waits: bool) -> None:
        """Most of the time nothing is due."""
        engine = started(chain(tmp_path, source("a"), output()), clock)
        go(engine, clock)
        clock.advance(ms)

        assert (engine._pollers.go_first(0.001) == 0.0) == waits
        engine.stop()


class TestHanging:
    """A poll that does not come back."""

    def test_the_others_go_on(self, tmp_path: Path, hang: Hang) -> None:
        """Sources that waited behind it are polled in their intervals by another thread."""
        other = world.scripts["b"] = Counts("b.value", 20)
        engine = chain(tmp_path, source("a", interval="10ms"), source("b", interval="10ms"), output()).engine()
        engine.start()
        engine.go()

        assert hang.reached.wait(DEADLINE_S)
        assert other.done.wait(DEADLINE_S)
        hang.leave.set()
        engine.stop()
        assert not engine.failed

    def test_what_was_polled_before_goes_on_with_them(self, tmp_path: Path, clock: Still) -> None:
        """Rows that waited in its thread to be handed over do not wait for it."""
        last = world.scripts["c"] = Hang("c.value")
        engine = hanging(tmp_path, clock, last, source("b"), source("c"), output())
        clock.advance(101)
        engine._pollers.look()

        assert waited(lambda: [end for _, end, _ in world.rows(metric="b.value")] == [5_000_000, 5_000_100])
        last.leave.set()
        engine.stop()

    def test_it_joins_the_others_when_it_comes_back(self, tmp_path: Path, clock: Still, hang: Hang) -> None:
        """One thread polls all again, as a second one costs more, and the sources keep their deadlines."""
        engine = hanging(tmp_path, clock, hang, source("a"), source("b"), output())
        clock.advance(150)
        engine._pollers.look()
        assert len(engine._pollers.threads) == 2
        hang.leave.set()

        assert waited(lambda: len(engine._pollers.threads) == 1)
        (thread,) = engine._pollers.threads
        assert thread.name == "meter-poll-2"
        clock.advance(100)
        polls = [each.polls for each in engine.sources]
        engine._pollers.wake()
        assert waited(lambda: all(e.polls > n for e, n in zip(engine.sources, polls, strict=True)))
        clock.advance(1)
        engine.stop()
        assert told(engine) == []

    def test_one_that_hangs_again_and_again_stays_alone(self, tmp_path: Path, clock: Still) -> None:
        """The others wait for it three times."""
        last = world.scripts["c"] = Hang("c.value")
        engine = started(chain(tmp_path, source("b"), source("c"), output()), clock)
        engine.sources[1].slow = 2
        clock.advance(100)
        engine.go()
        engine._pollers.wake()
        assert last.reached.wait(DEADLINE_S)
        clock.advance(101)
        engine._pollers.look()
        last.leave.set()
        assert waited(lambda: engine.sources[1].polls == 2)

        assert sorted(thread.name for thread in engine._pollers.threads) == ["meter-poll", "meter-poll-2"]
        engine.stop()

    def test_it_is_named_once(self, tmp_path: Path, clock: Still, hang: Hang) -> None:
        """After ten seconds, and it is no failure: it may come back."""
        engine = hanging(tmp_path, clock, hang, source("a"), output())
        for _ in range(3):
            clock.advance(9_000)
            engine._pollers.look()

        assert told(engine) == [("a", "E-IO", "poll-hangs")]
        hang.leave.set()
        engine.stop()
        assert not engine.failed

    def test_its_ticks_count_as_missed(self, tmp_path: Path, clock: Still, hang: Hang) -> None:
        """When it comes back, one row covers the whole time, and the ticks that passed are counted."""
        engine = hanging(tmp_path, clock, hang, source("a"), output())
        clock.advance(1_050)
        hang.leave.set()
        assert waited(lambda: engine._pollers.first.busy is None)
        engine._pollers.wake()
        assert waited(lambda: engine.sources[0].polls == 3)
        engine.stop()

        assert engine.tally().missed == 9
        assert [since for since, _, _ in world.rows()][1:3] == [5_000_000, 5_000_100]

    def test_one_that_hangs_at_the_start_delays_nobody(self, tmp_path: Path) -> None:
        """The first poll of all is waited for, but not for ever."""
        first = world.scripts["a"] = Hang("a.value", polls=0)
        other = world.scripts["b"] = Counts("b.value", 3)
        engine = chain(tmp_path, source("a", interval="20ms"), source("b", interval="20ms"), output()).engine()
        engine.start()
        engine.begin(0.1)
        engine.go()

        assert other.done.wait(DEADLINE_S)
        first.leave.set()
        engine.stop()
        assert not engine.failed

    def test_the_end_waits_for_it_a_moment_only(self, tmp_path: Path, clock: Still, hang: Hang) -> None:
        """Who has hung for long is left behind, and the time is that of the others."""
        engine = hanging(tmp_path, clock, hang, source("a"), output())
        clock.advance(5_000)
        begin = time.monotonic()
        engine.stop(60)

        assert time.monotonic() - begin < 30
        assert told(engine) == [("a", "E-IO", "left-behind")]
        assert engine.tally().missed == 50
        assert "stop" not in world.phases("a")
        assert "stop" in world.phases("sink")


class TestSlow:
    """A poll that comes back after the others were due."""

    def slow(self, clock: Still, ms: int) -> Callable[[Readings], None]:
        """A script that takes some time."""

        def poll(out: Readings) -> None:
            clock.advance(ms)
            out.emit("a.value", 1.0)

        return poll

    def threads(self, tmp_path: Path, clock: Still, ms: list[int]) -> int:
        """How many threads poll when `a` has taken so long at each of its polls, beside one that is polled in 10 ms."""
        engine = started(chain(tmp_path, source("a", interval="1s"), source("b", interval="10ms"), output()), clock)
        engine._pollers.begin()
        engine._pollers.go()
        assert clock.asleep.wait(DEADLINE_S)
        for number, each in enumerate(ms):
            world.scripts["a"] = self.slow(clock, each)
            clock.time = 5_001 * SECOND + number * SECOND
            polls = engine.sources[0].polls
            engine._pollers.wake()
            assert waited(lambda polls=polls: engine.sources[0].polls > polls)  # type: ignore[misc]  # a bound default
        found = waited(lambda: len(engine._pollers.threads) > 1) if len(ms) > 2 and min(ms) > 5 else False
        count = len(engine._pollers.threads)
        world.scripts.clear()
        engine.stop()
        assert found is (count > 1)
        return count

    def test_it_gets_a_thread_of_its_own(self, tmp_path: Path, clock: Still) -> None:
        """After three polls that took more than half of the shortest interval."""
        assert self.threads(tmp_path, clock, [6, 6, 6]) == 2

    def test_one_that_was_slow_now_and_then_does_not(self, tmp_path: Path, clock: Still) -> None:
        """Any source is slow when the machine is busy."""
        assert self.threads(tmp_path, clock, [6, 6, 1, 6, 6]) == 1


def test_who_may_block_has_a_thread_from_the_start(tmp_path: Path) -> None:
    """Its contract says so: `deadline`."""
    part = source("a", interval="1s")
    slow = Part("a", part.contract.replace('version = "1.0.0"\n', 'version = "1.0.0"\ndeadline = "500ms"\n'), *part[2:])
    engine = chain(tmp_path, slow, source("b"), output()).engine()
    engine.start()
    engine.go()
    names = sorted(thread.name for thread in engine._pollers.threads)
    engine.stop()

    assert names == ["meter-poll", "meter-poll-2"]
    assert {metric for batch in world.batches["sink"] for block in batch.blocks for metric in block.layout.metrics} == {
        "a.value",
        "b.value",
    }


def test_whoever_ends_the_run_meets_no_thread_that_has_not_begun(
    tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that is made for a source while the run ends cannot be joined before it has begun."""
    engine = started(chain(tmp_path, source("a"), source("b"), output()), clock)
    begun = threading.Thread.start
    seen: list[str] = []

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("meter-poll"):
            # Whoever joins looks with the lock.
            assert engine._pollers._lock.locked()
            assert all(other.is_alive() for poller in engine._pollers._all if (other := poller.thread) is not None)
            seen.append(thread.name)
        begun(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    go(engine, clock)
    engine._pollers.part(engine._pollers.first.leave(lambda each: each.label == "b"))
    engine.stop()

    assert seen == ["meter-poll", "meter-poll-2"]
    assert engine.faults == []


class TestWatermark:
    """Filters that wait for all rows of a time are told when they are there."""

    @pytest.fixture
    def marks(self) -> list[int]:
        """What the filter `hop` is told, in milliseconds after the first poll."""
        found: list[int] = []

        def note(ts: int) -> list[Any]:
            found.append((ts - 5_000 * SECOND) // MS)
            return []

        world.watermarks["hop"] = note
        return found

    def run(self, tmp_path: Path, clock: Still, hang: Hang, ms: int) -> None:
        """The poll of `a` begins at 100 and hangs for some time, then `b` is polled."""
        hop = filter_("hop", rule("*", 'gives = { name = "${metric}.again" }'))
        engine = hanging(tmp_path, clock, hang, source("b", interval="600ms"), source("a"), hop, output())
        clock.advance(ms)
        engine._pollers.look()
        assert waited(lambda: len(world.rows(metric="b.value.again")) == 2)
        hang.leave.set()
        engine.stop()

    def test_the_rows_of_a_poll_that_lasts_are_waited_for(
        self, tmp_path: Path, clock: Still, hang: Hang, marks: list[int]
    ) -> None:
        """None of another thread is told to be past while one that is older may come."""
        self.run(tmp_path, clock, hang, 700)

        assert marks[:2] == [0, 100]

    def test_those_of_one_that_hangs_are_not(self, tmp_path: Path, clock: Still, hang: Hang, marks: list[int]) -> None:
        """It must not hold back the windows of all others."""
        self.run(tmp_path, clock, hang, 5_000)

        assert marks[:2] == [0, 5_100]


class TestPhases:
    """Who hangs when it starts or stops."""

    def test_a_start_that_hangs_is_left_out(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The others start."""
        monkeypatch.setattr(phases, "START_S", 0.01)
        leave = threading.Event()
        made = chain(tmp_path, source("a"), source("b"), output())
        engine = made.engine(clock=clock)
        monkeypatch.setattr("tests.core.liars.Probe.start", lambda self, _: self.me == "a" and leave.wait(DEADLINE_S))
        engine.start()
        leave.set()

        assert told(engine) == [("a", "E-IO", "phase-hangs")]
        assert [each.live for each in engine.sources] == [False, True]
        engine.stop()
        assert "stop" not in world.phases("a")

    def test_who_hangs_when_the_pipeline_runs_is_left_out(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run has begun, and can be stopped."""
        leave = threading.Event()
        engine = started(chain(tmp_path, source("a"), source("b"), output()), clock)
        monkeypatch.setattr(phases, "START_S", 0.01)
        monkeypatch.setattr(
            "tests.core.liars.Probe.post_pipeline_start", lambda self, _: self.me == "a" and leave.wait(DEADLINE_S)
        )
        engine.go()
        leave.set()
        engine.stop()

        assert told(engine) == [("a", "E-IO", "phase-hangs")]
        assert [each.live for each in engine.sources] == [False, True]

    def test_a_stop_that_hangs_keeps_nobody(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The others are stopped, and who hangs is named."""
        leave = threading.Event()
        engine = started(chain(tmp_path, source("a"), source("b"), output()), clock)
        monkeypatch.setattr(phases, "GRACE_S", 0.01)
        monkeypatch.setattr("tests.core.liars.Probe.stop", lambda self: self.me == "a" and leave.wait(DEADLINE_S))
        engine.stop(0.01)
        leave.set()

        assert told(engine) == [("a", "E-IO", "phase-hangs")]
        assert "stop" in world.phases("sink")

    def test_a_filter_that_hangs_is_named(self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is the one that what was polled waits for."""
        reached, leave = threading.Event(), threading.Event()

        def hang(_selections: object, _block: object) -> list[Any]:
            reached.set()
            assert leave.wait(DEADLINE_S)
            return []

        monkeypatch.setattr(pipeline, "HANGS_NS", 0)
        world.scripts["hop"] = hang
        hop = filter_("hop", rule("*", 'gives = { name = "${metric}.again" }'))
        engine = started(chain(tmp_path, source(), hop, output()), clock)
        engine.go()
        assert reached.wait(DEADLINE_S)
        inside(engine).pipeline.look()
        inside(engine).pipeline.look()
        leave.set()
        engine.stop()

        assert told(engine) == [("hop", "E-IO", "filter-hangs")]


def test_the_chain_is_warm_before_a_fast_schedule_begins(tmp_path: Path) -> None:
    """The first batch is delivered, and the deadlines count from then on."""
    engine = chain(tmp_path, source(interval="5ms"), output()).engine()
    engine.start()
    engine.go()
    delivered = len(world.rows())
    engine.stop()

    assert delivered >= 1
    assert polling.FAST_NS > engines.WARM_NS
