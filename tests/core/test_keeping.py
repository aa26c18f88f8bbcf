"""Keeping: what an output cannot deliver is kept, comes back oldest first, and is never lost or doubled unsaid."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meter.core import delivery, elements, keeping
from meter.core.plugin import Gone
from tests.core.liars import DEADLINE_S, Gate, Still, chain, go, keeper, output, run, source, started, told, world

if TYPE_CHECKING:
    from pathlib import Path

    from meter.core.batch import Batch
    from meter.core.engine import Engine


@pytest.fixture(autouse=True)
def _impatient(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain without patience."""
    del quick
    monkeypatch.setattr(keeping, "PAUSE_S", 0.001)
    monkeypatch.setattr(elements, "PATIENCE_S", 0.001)


def more(engine: Engine, clock: Still, count: int) -> None:
    """Poll some times more, a hand-over for each."""
    for _ in range(count):
        engine.tick(clock.advance(100))
        engine.hand_over()


def values(label: str = "sink") -> list[float]:
    """What an output got."""
    return [value for _, _, value in world.rows(label)]


def kept(output_: str = "sink") -> list[float]:
    """What is kept for an output."""
    return [
        float(block.column(key)[row])
        for batch in world.kept.get(output_, [])
        for block in batch.blocks
        for row in range(block.rows)
        for key in block.layout.keys
    ]


def numbers(count: int) -> list[float]:
    """The first values of a source."""
    return [float(number) for number in range(1, count + 1)]


def refuse(_batch: Batch) -> None:
    """An output whose connection was reset."""
    raise OSError(104, "Connection reset by peer")


class Flaky:
    """An output's script that fails as it is told, then works."""

    def __init__(self, fails: list[bool]) -> None:
        self.fails = deque(fails)

    def __call__(self, batch: Batch) -> None:
        """Fail or not."""
        if self.fails and self.fails.popleft():
            refuse(batch)


class Kept:
    """An output's script that fails until something was kept, then works; tells when so many batches were written."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.all = threading.Event()

    def __call__(self, batch: Batch) -> None:
        """Fail or count one."""
        if not world.put_event.is_set():
            refuse(batch)
        self.left -= 1
        if not self.left:
            self.all.set()


def test_what_fails_is_kept_and_comes_back(tmp_path: Path, clock: Still) -> None:
    """In order, once, and nothing stays behind; another output never knows."""
    sink = world.scripts["sink"] = Kept(11)
    engine = started(chain(tmp_path, source(), output(), output("second"), keeper()), clock)
    go(engine, clock)
    more(engine, clock, 10)
    assert sink.all.wait(DEADLINE_S)
    engine.stop()

    assert values() == values("second") == numbers(12)
    assert kept() == []
    assert list(world.kept) == ["sink"]
    assert told(engine) == [("sink", "E-IO", "")]
    assert not engine.failed


def test_what_is_never_delivered_is_there_for_the_next_run(tmp_path: Path, clock: Still) -> None:
    """It is said, no failure, and comes before anything newer."""
    made = chain(tmp_path, source(), output(), keeper())
    world.faults["sink", "write"] = OSError(111, "Connection refused")
    engine = started(made, clock)
    run(engine, clock)

    assert told(engine) == [("sink", "E-IO", ""), ("keeper", "W-KEPT", "")]
    assert engine.faults[-1].facts | {"output": "sink", "rows": "2"} == engine.faults[-1].facts
    assert not engine.failed
    assert engine.tally().lost == 0
    assert kept() == [1.0, 2.0]

    del world.faults["sink", "write"]
    again = started(made, clock)
    run(again, clock)
    assert values() == [1.0, 2.0, 1.0, 2.0]
    assert again.faults == []
    assert kept() == []


def test_an_output_that_hangs_has_everything_kept(tmp_path: Path, clock: Still) -> None:
    """Also what it was writing: that may come twice, and not never. Should it come back after the end, it ends."""
    gate = world.scripts["sink"] = Gate()
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    go(engine, clock)
    assert gate.reached.wait(DEADLINE_S)
    more(engine, clock, 5)
    engine.stop(deadline_s=0.2)
    lost = engine.tally().lost
    gate.open.set()
    assert engine.outputs[0].thread is not None
    engine.outputs[0].thread.join(DEADLINE_S)

    assert lost == 0
    assert kept() == numbers(7)
    assert world.phases("keeper")[-1] == "stop"
    assert ("sink", "E-IO", "left-behind") in told(engine)
    assert ("keeper", "W-KEPT", "") in told(engine)


def test_what_hangs_for_a_while_is_not_delivered_twice(
    tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was writing was kept, and is forgotten there when the write comes back."""
    monkeypatch.setattr(delivery, "HANGS_NS", 0)
    gate = world.scripts["sink"] = Gate()
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    go(engine, clock)
    assert gate.reached.wait(DEADLINE_S)
    put = world.put_event = threading.Event()
    more(engine, clock, 5)
    assert put.wait(DEADLINE_S)
    gate.open.set()
    engine.stop()

    assert values() == numbers(7)
    assert kept() == []


def test_what_a_queue_has_no_room_for_is_kept(tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow output with a short queue loses nothing."""
    monkeypatch.setattr(elements, "PATIENCE_S", DEADLINE_S)
    gate = world.scripts["sink"] = Gate()
    engine = started(chain(tmp_path, source(), output(words=("queue_points=2",)), keeper()), clock)
    go(engine, clock)
    assert gate.reached.wait(DEADLINE_S)
    more(engine, clock, 20)
    gate.open.set()
    engine.stop()

    assert values() == numbers(22)
    assert engine.faults == []


def test_an_output_that_does_not_start_has_everything_kept(tmp_path: Path, clock: Still) -> None:
    """Its failure is named; what is polled waits for a run in which it does."""
    world.faults["sink", "start"] = OSError(13, "Permission denied")
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    run(engine, clock)

    assert told(engine) == [("sink", "E-PLUGIN-RAISED", "start"), ("keeper", "W-KEPT", "")]
    assert kept() == [1.0, 2.0]
    assert engine.tally().lost == 0


def test_one_whose_reader_has_gone_needs_nothing_kept(tmp_path: Path, clock: Still) -> None:
    """Nobody takes its rows any more."""
    world.faults["sink", "write"] = Gone("nobody reads it")
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    engine.go()
    assert engine.ended.wait(DEADLINE_S)
    engine.stop()

    assert engine.faults == []
    assert kept() == []


def test_what_cannot_be_kept_waits_in_the_queue(tmp_path: Path, clock: Still) -> None:
    """A full disk is named once; what waits meanwhile is delivered or kept later, and nothing is lost."""
    refusals = iter([True] * 5)

    def put(_batch: Batch) -> int:
        if next(refusals, False):
            raise OSError(28, "No space left on device")
        return 0

    world.scripts["keeper"] = put
    sink = world.scripts["sink"] = Kept(6)
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    go(engine, clock)
    more(engine, clock, 5)
    assert sink.all.wait(DEADLINE_S)
    engine.stop()

    assert values() == numbers(7)
    assert told(engine).count(("keeper", "E-IO", "keep")) == 1
    assert not engine.failed


def test_what_can_neither_be_delivered_nor_kept_is_lost(tmp_path: Path, clock: Still) -> None:
    """Counted, named, and a failure; the run ends within its time."""
    world.faults["sink", "write"] = OSError(111, "Connection refused")
    world.faults["keeper", "put"] = OSError(28, "No space left on device")
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    run(engine, clock, deadline_s=0.2)

    assert told(engine)[-1] == ("sink", "E-IO", "lost")
    assert engine.tally().lost == 2
    assert engine.failed


@pytest.mark.parametrize("phase", ["take", "acknowledge", "start"])
def test_a_keeper_that_fails_is_left_out(tmp_path: Path, clock: Still, phase: str) -> None:
    """It is named, the output delivers what is newer, and what it holds stays there."""
    world.faults["keeper", phase] = RuntimeError("no")
    if phase == "acknowledge":
        world.scripts["sink"] = Kept(0)
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    go(engine, clock)
    more(engine, clock, 3)
    engine.stop()

    assert [fault[:2] for fault in told(engine) if fault[0] == "keeper"] == [("keeper", "E-PLUGIN-RAISED")]
    assert engine.failed
    assert engine.tally().lost == 0
    assert {*values(), *kept()} == set(numbers(5))


def test_what_a_keeper_has_no_room_for_counts_as_lost(tmp_path: Path, clock: Still) -> None:
    """The oldest go; what was being written just then and is delivered after all does not count."""
    world.scripts["keeper"] = lambda _batch: world.shorten("sink", 3)
    world.faults["sink", "write"] = OSError(111, "Connection refused")
    engine = started(chain(tmp_path, source(), output(), keeper()), clock)
    go(engine, clock)
    more(engine, clock, 8)
    engine.stop()

    assert kept() == [8.0, 9.0, 10.0]
    assert engine.tally().lost == 7
    assert ("keeper", "E-IO", "keeper-full") in told(engine)
    assert engine.failed


@given(
    fails=st.lists(st.booleans(), max_size=60),
    refusals=st.lists(st.booleans(), max_size=20),
    room=st.none() | st.integers(2, 5),
    points=st.sampled_from([2, 5, 1_000_000]),
    batches=st.integers(1, 25),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_schedule_of_failures_delivers_keeps_or_counts(
    tmp_path: Path, fails: list[bool], refusals: list[bool], room: int | None, points: int, batches: int
) -> None:
    """Each row is delivered once, kept, or lost and counted; what is delivered, then what is kept, is in order.

    A second run in which nothing fails delivers what is kept before its own.
    """
    world.reset()
    made = CHAINS.get((str(tmp_path), points)) or chain(
        tmp_path, source(), output(words=(f"queue_points={points}",)), output("second"), keeper()
    )
    CHAINS[str(tmp_path), points] = made
    refuse = deque(refusals)

    def put(_batch: Batch) -> int:
        if refuse and refuse.popleft():
            raise OSError(28, "No space left on device")
        return world.shorten("sink", room) if room else 0

    world.scripts["keeper"] = put
    world.scripts["sink"] = Flaky(fails)
    clock = Still()
    engine = started(made, clock)
    go(engine, clock)
    more(engine, clock, batches)
    engine.stop()

    together = [*values(), *kept()]
    assert together == sorted(set(together))
    assert len(together) + engine.tally().lost == batches + 2
    assert values("second") == numbers(batches + 2)
    assert engine.failed is (engine.tally().lost > 0)

    world.scripts.clear()
    world.batches.clear()
    before = kept()
    again = started(made, clock)
    run(again, clock)
    assert values() == [*before, 1.0, 2.0]
    assert kept() == []
    assert again.faults == []


CHAINS: dict[tuple[str, int], Any] = {}
"""Checked once for all examples."""
