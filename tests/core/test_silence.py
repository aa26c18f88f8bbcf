"""A source that declares a metric and does not give it is named, and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meter.core.plugin import Missing, Retry
from tests.core.liars import Still, chain, metric, output, run, source, started, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meter.core.engine import Engine
    from meter.core.faults import Fault
    from meter.core.readings import Readings

BOTH = (metric("probe.given"), metric("probe.kept"))


@pytest.fixture(autouse=True)
def _past() -> Iterator[None]:
    """Plugins without a past."""
    world.reset()
    yield
    world.reset()


def polled(folder: Path, polls: int, *metrics: str, script: Callable[[Readings], None]) -> Engine:
    """An engine whose source was polled so often, every 100 ms, by a script, beside one that always gives."""
    world.scripts["probe"] = script
    clock = Still()
    engine = started(chain(folder, source("probe", *metrics), source("other"), output()), clock)
    for _ in range(polls - 2):
        engine.tick(clock.advance(100))
    run(engine, clock)
    return engine


def mute(_: Readings) -> None:
    """A script that succeeds and gives nothing."""


def silent(engine: Engine) -> list[Fault]:
    """The breaches."""
    return [fault for fault in engine.faults if fault.code == "E-BREACH"]


def test_success_without_data_is_a_breach(tmp_path: Path) -> None:
    """A source that succeeds and gives nothing is named with the metrics after three intervals, once; others go on."""
    engine = polled(tmp_path, 9, *BOTH, script=mute)

    [fault] = silent(engine)
    assert (fault.instance, fault.clause, fault.variant) == ("probe", "provides.metrics", "silent")
    assert fault.facts["why"] == "within 3 intervals it gave nothing of `probe.given`, `probe.kept`"
    assert engine.failed
    assert len(world.rows(metric="other.value")) == 9


def test_one_metric_of_several(tmp_path: Path) -> None:
    """Only what does not come is named, and what comes is delivered before and after."""
    engine = polled(tmp_path, 9, *BOTH, script=lambda out: out.emit("probe.given", 1.0))

    [fault] = silent(engine)
    assert fault.facts["why"] == "within 3 intervals it gave nothing of `probe.kept`"
    assert len(world.rows(metric="probe.given")) == 9


@pytest.mark.parametrize(("polls", "named"), [(3, 0), (4, 1)])
def test_three_intervals_are_waited(tmp_path: Path, polls: int, named: int) -> None:
    """Four polls are three intervals."""
    assert len(silent(polled(tmp_path, polls, script=mute))) == named


def test_a_late_first_value_is_no_breach(tmp_path: Path) -> None:
    """The fourth poll gives what the first three did not."""
    polls: list[int] = []

    def late(out: Readings) -> None:
        polls.append(0)
        if len(polls) == 4:
            out.emit("probe.value", 1.0)

    assert polled(tmp_path, 12, script=late).faults == []


def test_missing_is_no_silence(tmp_path: Path) -> None:
    """What could not be read was said."""
    engine = polled(tmp_path, 9, script=lambda out: out.emit("probe.value", Missing("unplugged")))
    assert engine.faults == []


def test_polls_that_failed_do_not_count(tmp_path: Path) -> None:
    """A source that says each time that it failed is not silent."""

    def fail(_: Readings) -> None:
        raise Retry("busy")

    engine = polled(tmp_path, 9, script=fail)
    assert engine.faults == []
    assert engine.tally().retries == 9


def test_that_there_is_nothing_can_be_said(tmp_path: Path) -> None:
    """A source that waits for its device says so; once it says so no more, its time begins."""
    polls: list[int] = []

    def wait(out: Readings) -> None:
        polls.append(0)
        if len(polls) <= 6:
            out.nothing()

    assert silent(polled(tmp_path, 9, script=wait)) == []
    polls.clear()
    assert len(silent(polled(tmp_path, 10, script=wait))) == 1


def test_that_there_is_nothing_of_one_metric_can_be_said(tmp_path: Path) -> None:
    """Hardware that does not have it: the others are waited for as before."""
    names = [metric(f"probe.{name}") for name in ("given", "kept", "lacking")]

    def some(out: Readings) -> None:
        out.emit("probe.given", 1.0)
        out.nothing("probe.lacking")

    [fault] = silent(polled(tmp_path, 9, *names, script=some))
    assert fault.facts["why"] == "within 3 intervals it gave nothing of `probe.kept`"


def test_a_metric_may_come_less_often_than_the_source_is_polled(tmp_path: Path) -> None:
    """Its own interval counts: 300 ms are waited three times."""
    slow = metric("probe.value", more='interval = "300ms"')
    assert silent(polled(tmp_path, 9, slow, script=mute)) == []
    assert len(silent(polled(tmp_path, 10, slow, script=mute))) == 1
