"""What holds for any chain: no limit to its length, one order for each output, no loss without a name."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from tests.core.liars import DEADLINE_S, Still, chain, filter_, output, rule, run, source, started, world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meter.core.batch import Batch

BATCHES = 30


pytestmark = pytest.mark.usefixtures("quick")


def test_a_chain_of_a_hundred_filters(tmp_path: Path) -> None:
    """There is no limit to the elements of a chain: each of 100 filters adds its metric to what the one before gave."""
    filters = []
    read = "probe.value"
    for number in range(100):
        given = f"hop.n{number}"
        filters.append(filter_(f"hop{number}", rule(read, f'gives = {{ name = "{given}" }}')))
        read = given
    clock = Still()
    engine = started(chain(tmp_path, source(), *filters, output()), clock)
    run(engine, clock)

    assert engine.faults == []
    assert world.metrics() == {"probe.value", *(f"hop.n{number}" for number in range(100))}
    assert [value for _, _, value in world.rows(metric="hop.n99")] == [1.0, 2.0]


@pytest.mark.parametrize("seed", range(5))
def test_each_output_gets_every_batch_in_its_order(tmp_path: Path, seed: int) -> None:
    """However often each of two outputs fails, each delivers every row once, in the order in which it was polled."""
    done = {label: threading.Event() for label in ("sink", "second")}

    def flaky(label: str) -> Callable[[Batch], None]:
        dice = random.Random(f"{label} {seed}")

        def write(batch: Batch) -> None:
            if dice.random() < 0.5:
                raise OSError(104, "Connection reset by peer")
            if batch.seq == BATCHES:
                done[label].set()

        return write

    world.scripts |= {label: flaky(label) for label in done}
    clock = Still()
    engine = started(chain(tmp_path, source(), output(), output("second")), clock)
    for number in range(BATCHES):
        engine.tick(clock.advance(100)) if number else None
        engine.hand_over()
    clock.advance(100)
    engine.go()
    assert all(event.wait(DEADLINE_S) for event in done.values())
    engine.stop()

    for label in done:
        values = [value for _, _, value in world.rows(label)]
        assert values[:BATCHES] == [float(number) for number in range(1, BATCHES + 1)]
        lost = sum(each.lost for each in engine.outputs if each.label == label)
        assert len(values) + lost == BATCHES + 1, "what is not there was counted"
        assert len(world.batches[label]) == len({batch.seq for batch in world.batches[label]}), "nothing comes twice"
    assert {fault.code for fault in engine.faults} <= {"E-IO"}


def test_more_is_produced_than_can_be_sent(tmp_path: Path) -> None:
    """2,000 rows while an output cannot send: its queue stays bounded, and each row that is dropped is counted, named.

    The other output has all of them.
    """
    world.faults["sink", "write"] = OSError(111, "Connection refused")
    clock = Still()
    engine = started(chain(tmp_path, source(), output(words=("queue_points=200",)), output("second")), clock)
    for _ in range(39):
        for _ in range(50):
            engine.tick(clock.advance(100))
        engine.hand_over()
    for _ in range(48):
        engine.tick(clock.advance(100))
    run(engine, clock)

    assert len(world.rows("second")) == 2_000
    assert engine.tally().lost == 2_000
    named = [fault.facts["rows"] for fault in engine.faults if fault.variant == "lost"]
    assert named == ["2000"]
    assert engine.failed
