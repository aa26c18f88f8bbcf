"""Delivery: bounded queues, and outputs that are slow, fail or hang without holding up anybody."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from meter.core import delivery, elements
from meter.core.pipeline import RAW_LIMIT
from tests.core.liars import DEADLINE_S, Gate, Still, chain, go, inside, output, run, source, started, world

if TYPE_CHECKING:
    from pathlib import Path

    from meter.core.batch import Batch
    from meter.core.engine import Engine

MANY = 3 * RAW_LIMIT


@pytest.fixture(autouse=True)
def _impatient(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain without patience."""
    del quick
    monkeypatch.setattr(elements, "PATIENCE_S", 0.001)


def told(engine: Engine, label: str = "sink") -> list[tuple[str, str]]:
    """Code and variant of each fault of an instance."""
    return [(fault.code, fault.variant) for fault in engine.faults if fault.instance == label]


def refuse(_batch: Batch) -> None:
    """An output whose connection was reset."""
    raise OSError(104, "Connection reset by peer")


class Counted:
    """An output's script that tells when so many batches were written."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.all = threading.Event()

    def __call__(self, _batch: Batch) -> None:
        """Count one."""
        self.left -= 1
        if not self.left:
            self.all.set()


@pytest.mark.parametrize("words", [(), ("overflow=drop-oldest",)], ids=["block", "drop-oldest"])
@pytest.mark.parametrize("trouble", ["hangs", "raises"])
def test_neither_polling_nor_others_wait_for_an_output(
    tmp_path: Path, clock: Still, words: tuple[str, ...], trouble: str
) -> None:
    """While one output hangs or fails, more is polled than all queues hold, and the other output gets everything."""
    gate = Gate()
    world.scripts["sink"] = gate if trouble == "hangs" else refuse
    others = world.scripts["second"] = Counted(MANY)
    engine = started(chain(tmp_path, source(), output(words=("queue_points=2", *words)), output("second")), clock)
    go(engine, clock)
    for _ in range(MANY - 1):
        engine.tick(clock.advance(100))
        engine.hand_over()

    assert others.all.wait(DEADLINE_S)
    gate.open.set()
    engine.stop(deadline_s=0.2)
    sink = engine.outputs[0]
    assert len(world.rows("second")) == MANY + 1
    assert len(world.rows()) + sink.lost + sink.dropped == MANY + 1


def test_a_chain_that_is_pressed_waits_for_nobody(
    tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However patient it is: where half of what may wait for it does, polling would have to wait next."""
    monkeypatch.setattr(elements, "PATIENCE_S", 1e9)
    gate = world.scripts["sink"] = Gate()
    engine = started(chain(tmp_path, source(), output(words=("queue_points=2",)), output("second")), clock)
    go(engine, clock)
    for _ in range(MANY):
        engine.tick(clock.advance(100))
        engine.hand_over()  # would wait for ever
    gate.open.set()
    engine.stop()

    assert len(world.rows("second")) == MANY + 2
    assert engine.outputs[0].lost > 0


def test_one_that_hangs_is_named_once(tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no failure as long as nothing is lost by it."""
    monkeypatch.setattr(delivery, "HANGS_NS", 0)
    gate = world.scripts["sink"] = Gate()
    others = world.scripts["second"] = Counted(1)
    engine = started(chain(tmp_path, source(), output(), output("second")), clock)
    go(engine, clock)
    assert others.all.wait(DEADLINE_S)
    assert gate.reached.wait(DEADLINE_S)
    others.left, others.all = 4, threading.Event()
    for _ in range(4):
        engine.tick(clock.advance(100))
        engine.hand_over()
    assert others.all.wait(DEADLINE_S)
    gate.open.set()
    engine.stop()

    assert told(engine).count(("E-IO", "hangs")) == 1
    assert not engine.failed
    assert len(world.rows()) == 6


def test_dropping_what_is_oldest_is_no_failure(tmp_path: Path, clock: Still) -> None:
    """Where that is what the user asked for: it is named, and counted at the end."""
    gate = world.scripts["sink"] = Gate()
    words = ("queue_points=2", "overflow=drop-oldest")
    engine = started(chain(tmp_path, source(), output(words=words)), clock)
    go(engine, clock)
    assert gate.reached.wait(DEADLINE_S)
    for _ in range(MANY):
        engine.tick(clock.advance(100))
        engine.hand_over()
    gate.open.set()
    tally = engine.stop()

    assert told(engine) == [("W-DROPPED", ""), ("W-DROPPED", "total")]
    assert engine.faults[-1].facts["rows"] == str(tally.dropped)
    assert not engine.failed
    assert tally.lost == 0
    ends = [end for _, end, _ in world.rows()]
    assert ends == sorted(ends)
    assert len(ends) + tally.dropped == MANY + 2
    assert ends[-1] == clock.time // 1_000_000


def test_what_a_full_queue_loses_is_a_failure(tmp_path: Path, clock: Still) -> None:
    """Named when it begins, and counted at the end."""
    gate = world.scripts["sink"] = Gate()
    engine = started(chain(tmp_path, source(), output(words=("queue_points=2",))), clock)
    go(engine, clock)
    assert gate.reached.wait(DEADLINE_S)
    for _ in range(MANY):
        engine.tick(clock.advance(100))
        engine.hand_over()
    gate.open.set()
    tally = engine.stop()

    assert told(engine) == [("E-IO", "full"), ("E-IO", "lost")]
    assert engine.failed
    assert len(world.rows()) + tally.lost == MANY + 2


class Pauses(threading.Event):
    """An event that nobody has to wait for; notes for how long they would have."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note it."""
        if timeout is not None and threading.current_thread().name == "meter-sink":
            self.noted.append(timeout)
            return self.is_set()
        return super().wait(timeout)


def test_pauses_double_up_to_a_bound(tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same each time, and from the beginning once the output has worked."""
    monkeypatch.undo()
    tries: list[int] = []
    done = threading.Event()

    def flaky(batch: Batch) -> None:
        tries.append(batch.seq)
        if len(tries) < 14 and len(tries) != 11:
            raise OSError(28, "No space left on device")
        if len(tries) == 14:
            done.set()

    world.scripts["sink"] = flaky
    engine = started(chain(tmp_path, source(), output()), clock)
    pauses: Any = Pauses()
    monkeypatch.setattr(inside(engine).delivery, "_stopping", pauses)
    engine.hand_over()
    engine.tick(clock.advance(100))
    engine.hand_over()
    engine.go()
    assert done.wait(DEADLINE_S)
    engine.stop()

    assert tries[:14] == [1] * 11 + [2] * 3
    assert pauses.noted[:12] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 0.05, 0.1]


def test_a_run_in_which_all_is_well_says_nothing(tmp_path: Path, clock: Still) -> None:
    """Nobody is named, nothing counted, and the queue is empty at the end."""
    engine = started(chain(tmp_path, source(), output()), clock)
    run(engine, clock)
    queue = engine.outputs[0].queue

    assert engine.faults == []
    assert (len(queue), queue.points, queue.bytes) == (0, 0, 0)
