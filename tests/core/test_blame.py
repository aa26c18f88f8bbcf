"""Blame: who breaks its contract is named with clause, metric and hop, and the policy says what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meter.contracts.language import language
from meter.core import blame
from meter.core.blame import place, policies
from meter.core.plugin import Missing
from tests.core import liars
from tests.core.liars import (
    DEADLINE_S,
    Jumping,
    Still,
    chain,
    filter_,
    metric,
    output,
    rule,
    run,
    source,
    started,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meter.core.engine import Engine
    from meter.core.readings import Readings

pytestmark = pytest.mark.usefixtures("quick")

AGAIN = 'gives = { name = "${metric}.again" }'
USUAL, *OTHERS = policies()
WARN = next(word for word, policy in policies().items() if policy.goes_on)
STOP = next(word for word, policy in policies().items() if policy.ends)


def breaches(engine: Engine) -> list[tuple[str, str, str]]:
    """Instance, clause and metric of each breach that was said."""
    return [(f.instance, f.clause, f.facts["metric"]) for f in engine.faults if f.code == "E-BREACH"]


def violations(engine: Engine) -> dict[str, int]:
    """How often each element broke its contract, where it did."""
    elements: list[Any] = [*engine.sources, *engine.filters, *engine.outputs]
    return {element.label: element.violations for element in elements if element.violations}


def half(lie: Callable[..., Any]) -> Callable[..., Any]:
    """Lies at every second block."""
    blocks = 0

    def script(selections: Any, block: Any) -> Any:
        nonlocal blocks
        blocks += 1
        return lie(selections, block) if blocks % 2 else liars.again(selections, block)

    return script


def ticks(engine: Engine, clock: Still, count: int) -> None:
    """So many polls, each handed over alone."""
    engine.hand_over()
    for _ in range(count):
        engine.tick(clock.advance(100))
        engine.hand_over()


class TestPlace:
    """Where an instance stands is told by those whose metrics it takes and who takes its own."""

    def test_each_hop_has_its_number_and_neighbours(self, tmp_path: Path) -> None:
        """Sources are the first hop, outputs the last, each filter is one of its own."""
        parts = [
            source("a"),
            filter_("f", rule("a.value", AGAIN)),
            filter_("g", rule("*.again", 'gives = { name = "g" }')),
        ]
        plan = chain(tmp_path, *parts, output()).plan

        places = [tuple(place(plan, label).values()) for label in ("a", "f", "g", "sink")]
        assert places == [
            ("1", "4", "", "`f`, `sink`"),
            ("2", "4", "`a`", "`g`, `sink`"),
            ("3", "4", "`f`", "`sink`"),
            ("4", "4", "`a`, `f`, `g`", ""),
        ]

    def test_of_many_neighbours_the_first_are_named(self, tmp_path: Path) -> None:
        """A sentence stays one."""
        plan = chain(tmp_path, *[source(name) for name in "abcde"], output()).plan

        assert place(plan, "sink")["before"] == "`a`, `b`, `c`, ..."

    def test_a_breach_says_where(self, tmp_path: Path, clock: Still) -> None:
        """Plugin, clause, metric and hop are facts of the fault."""
        world.scripts["hop"] = liars.wrong_dtype
        engine = started(chain(tmp_path, source(), filter_("hop", rule("*", AGAIN)), output()), clock)
        run(engine, clock)

        (fault,) = engine.faults
        assert (fault.instance, fault.clause, fault.facts["metric"]) == (
            "hop",
            "needs.metrics.gives",
            "probe.value.again",
        )
        where = {name: fault.facts[name] for name in ("hop", "hops", "before", "after")}
        assert where == {"hop": "2", "hops": "3", "before": "`probe`", "after": "`sink`"}


class TestPolicies:
    """What becomes of who breaks its contract is what was asked for, and no policy lets a lie pass."""

    def test_one_is_the_usual(self) -> None:
        """Exactly one word of CONTRACT.ini is."""
        assert [word for word in language().values("policy") if language().says("policy", word, "usual")] == [USUAL]
        assert sorted(policies()) == sorted(language().values("policy"))

    def test_what_is_none_is_refused(self, tmp_path: Path) -> None:
        """Before anything starts."""
        with pytest.raises(ValueError, match="'ignore': expected"):
            chain(tmp_path, source(), output()).engine(on_breach="ignore")

    @pytest.mark.parametrize("word", [None, USUAL, STOP])
    def test_a_filter_is_left_out(self, tmp_path: Path, clock: Still, word: str | None) -> None:
        """By default, too; what it gave before stays."""
        world.scripts["hop"] = half(liars.wrong_dtype)
        engine = chain(tmp_path, source(), filter_("hop", rule("*", AGAIN)), output()).engine(
            clock=clock, on_breach=word
        )
        engine.start()
        engine.poll_now()
        ticks(engine, clock, 5)
        run(engine, clock)

        assert breaches(engine) == [("hop", "needs.metrics.gives", "probe.value.again")]
        assert world.metrics() == {"probe.value"}
        assert violations(engine) == {"hop": 1}
        assert engine.failed

    def test_a_filter_goes_on_without_the_lie(self, tmp_path: Path, clock: Still) -> None:
        """Each block that offends is left out, the others are there; it is said once and counted each time."""
        world.scripts["hop"] = half(liars.wrong_dtype)
        engine = chain(tmp_path, source(), filter_("hop", rule("*", AGAIN)), output()).engine(
            clock=clock, on_breach=WARN
        )
        engine.start()
        engine.poll_now()
        ticks(engine, clock, 5)
        run(engine, clock)

        assert len(world.rows(metric="probe.value")) == 7
        assert 0 < len(world.rows(metric="probe.value.again")) < 7
        assert breaches(engine) == [("hop", "needs.metrics.gives", "probe.value.again")]
        assert violations(engine)["hop"] == engine.tally().violations > 1
        assert engine.failed
        assert not engine.halted

    def test_code_that_was_ended_half_way_goes_on_nowhere(self, tmp_path: Path, clock: Still) -> None:
        """Whoever was interrupted may have counted already what nobody got: it is left out, whatever the policy."""
        world.scripts["hop"] = half(liars.wrong_dtype_given)
        engine = chain(tmp_path, source(), filter_("hop", rule("*", AGAIN)), output()).engine(
            clock=clock, on_breach=WARN
        )
        engine.start()
        engine.poll_now()
        ticks(engine, clock, 3)
        run(engine, clock)

        assert world.metrics() == {"probe.value"}
        assert violations(engine) == {"hop": 1}
        assert engine.faults[0].variant == ""  # the help says that it is quarantined

    def test_a_breach_ends_the_run(self, tmp_path: Path) -> None:
        """Whoever waits is told, nothing more is polled but a last time, and what was right is delivered."""
        jumping = Jumping(100)

        def lie(out: Readings) -> None:
            out.emit("probe.valve" if out.ts - out.since and engine.sources[0].polls == 3 else "probe.value", 1.0)

        world.scripts["probe"] = lie
        engine = chain(tmp_path, source(), source("other"), output()).engine(clock=jumping, on_breach=STOP)
        engine.start()
        engine.go()

        assert engine.ended.wait(DEADLINE_S)
        assert engine.halted
        engine.stop()
        assert breaches(engine) == [("probe", "provides.metrics", "probe.valve")]
        assert len(world.rows(metric="probe.value")) == 3
        assert 4 <= len(world.rows(metric="other.value")) <= 5
        assert engine.failed

    def test_an_output_goes_on_without_what_it_may_not_take(self, tmp_path: Path, clock: Still) -> None:
        """A plan that no longer fits the data: what fits is delivered, what does not is lost and told."""
        parts = [source("state"), source("flow", metric("flow.value", kind="delta")), output(), output("second")]
        made = chain(tmp_path, *parts)
        (entry,) = [entry for entry in made.plan["plugins"] if entry["instance"] == "sink"]
        entry["rules"][0]["kind"] = ["delta"]
        engine = made.engine(clock=clock, on_breach=WARN)
        engine.start()
        engine.poll_now()
        ticks(engine, clock, 2)
        run(engine, clock)

        assert breaches(engine) == [("sink", "needs.metrics.kind", "state.value")]
        assert engine.faults[0].facts["hop"] == "2"
        assert world.metrics("sink") == {"flow.value"}
        assert len(world.rows("sink")) == engine.outputs[0].lost == 4
        assert len(world.rows("second")) == 8

    def test_a_silent_source_ends_the_run(self, tmp_path: Path, clock: Still) -> None:
        """Success without data is a breach like any other."""
        world.scripts["probe"] = lambda _: None
        engine = chain(tmp_path, source(), output()).engine(clock=clock, on_breach=STOP)
        engine.start()
        engine.poll_now()
        ticks(engine, clock, 5)

        assert breaches(engine) == [("probe", "provides.metrics", "probe.value")]
        assert engine.halted
        engine.stop()

    def test_what_differs_is_said_once_each(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Clause and metric make the difference; a plugin that makes up names is not said for ever, but counted."""
        monkeypatch.setattr(blame, "SAID_LIMIT", 8)
        number = 0

        def lie(out: Readings) -> None:
            nonlocal number
            number += 1
            out.emit("probe.value", 1.0)
            out.emit("probe.value", 1.0, resource="gpu", resource_id="0")
            out.emit(f"probe.{number}", 1.0)

        world.scripts["probe"] = lie
        engine = chain(tmp_path, source(), output()).engine(clock=clock, on_breach=WARN)
        engine.start()
        engine.poll_now()
        ticks(engine, clock, 19)

        assert len(breaches(engine)) == 8
        assert breaches(engine)[:2] == [
            ("probe", "provides.metrics.resource", "probe.value"),
            ("probe", "provides.metrics", "probe.1"),
        ]
        assert violations(engine) == {"probe": 40}
        run(engine, clock)
        assert len(world.rows(metric="probe.value")) == 21


def _undeclared(out: Readings) -> None:
    out.emit("probe.valve", 1.0)
    out.emit("probe.count", 3)
    out.emit("probe.value", 2.0)


def _unfit(out: Readings) -> None:
    out.emit("probe.count", 1.5)
    out.emit("probe.value", 2.0)


def _unfit_in_a_row(out: Readings) -> None:
    out.row(out.columns([("probe.count",), ("probe.value",)]), [-1, 2.0])  # type: ignore[list-item]


def _twice(out: Readings) -> None:
    out.emit("probe.count", 1)
    out.emit("probe.value", 2.0)
    out.emit("probe.count", 2)


def _late(out: Readings) -> None:
    out.emit("probe.count", 1, since=out.ts + 1)
    out.emit("probe.value", 2.0)


def _short(out: Readings) -> None:
    out.row(out.columns([("probe.count",)]), [])  # type: ignore[list-item]
    out.emit("probe.value", 2.0)


def _two_rows(out: Readings) -> None:
    out.row(out.columns([("probe.value",)]), [2.0])  # type: ignore[list-item]
    out.row(out.columns([("probe.value",), ("probe.count",)]), [2.0, 1])  # type: ignore[list-item]


class TestWarnedSources:
    """A source that may go on is not interrupted, so that what it counts stays right; the lie alone is left out."""

    @pytest.mark.parametrize(
        ("lie", "count", "value"),
        [
            (_undeclared, 3, 2.0),
            (_unfit, Missing, 2.0),  # the cell is there, and nobody knows what is in it
            (_unfit_in_a_row, Missing, 2.0),
            (_twice, Missing, 2.0),  # which of both is right?
            (_late, None, 2.0),
            (_short, None, 2.0),
            (_two_rows, None, None),  # as above: of two rows none is taken
        ],
    )
    def test_the_rest_of_the_poll_is_there(
        self, tmp_path: Path, clock: Still, lie: Callable[[Readings], None], count: Any, value: Any
    ) -> None:
        """Each series as it was given, missing, or not there."""
        world.scripts["probe"] = lie
        metrics = [metric("probe.value"), metric("probe.count", type_="u64")]
        engine = chain(tmp_path, source("probe", *metrics), output()).engine(clock=clock, on_breach=WARN)
        engine.start()
        engine.poll_now()
        got = {key.metric.name: cell for block in engine.blocks(engine.taken()) for _, key, cell in block.points()}
        run(engine, clock)

        assert engine.sources[0].live
        assert got.get("probe.value") == value
        if count is Missing:
            assert isinstance(got["probe.count"], Missing)
            assert "probe.count" in got["probe.count"].reason
        else:
            assert got.get("probe.count") == count
        assert violations(engine) == {"probe": 2}

    def test_the_next_row_begins_where_the_lie_ended(self, tmp_path: Path, clock: Still) -> None:
        """What was left out is a gap: the next delta has its own span and no other."""
        polls = 0

        def lie(out: Readings) -> None:
            nonlocal polls
            polls += 1
            if polls > 1:
                out.emit("probe.energy" if polls != 3 else "probe.enemy", float(polls))

        world.scripts["probe"] = lie
        made = chain(tmp_path, source("probe", metric("probe.energy", kind="delta")), output())
        engine = made.engine(clock=clock, on_breach=WARN)
        engine.start()
        engine.poll_now()
        ticks(engine, clock, 3)
        run(engine, clock)

        origin = 5_000_000
        assert [(since - origin, ts - origin, value) for since, ts, value in world.rows()] == [
            (0, 100, 2.0),
            (200, 300, 4.0),
            (300, 400, 5.0),
        ]

    def test_rows_that_change_after_they_were_given_are_left_out(self, tmp_path: Path, clock: Still) -> None:
        """The pipeline sees it; the source goes on."""
        polls = 0

        def lie(out: Readings) -> None:
            nonlocal polls
            polls += 1
            values: list[Any] = [float(polls) if polls != 2 else None]  # what has no gap cannot change
            out.row(out.columns([("probe.value",)]), values)  # type: ignore[list-item]
            if polls == 2:
                values[0] = "two"

        world.scripts["probe"] = lie
        engine = chain(tmp_path, source(), output()).engine(clock=clock, on_breach=WARN)
        engine.start()
        engine.poll_now()
        ticks(engine, clock, 3)
        run(engine, clock)

        assert [value for _, _, value in world.rows()] == [1.0, 3.0, 4.0, 5.0]
        assert breaches(engine) == [("probe", "provides.metrics", "probe.value")]


def test_columns_of_another_instance_are_none_of_its_own(tmp_path: Path, clock: Still) -> None:
    """Two instances of a class that keeps columns in the class would give each other's series."""
    kept: list[Any] = []

    def share(out: Readings) -> None:
        if not kept:
            kept.append(out.columns([("a.value",)]))  # type: ignore[list-item]
        out.row(kept[0], [1.0])

    world.scripts |= {"a": share, "b": share}
    engine = started(chain(tmp_path, source("a"), source("b"), output()), clock)
    run(engine, clock)

    assert breaches(engine) == [("b", "provides.metrics", "a.value")]
    assert world.metrics() == {"a.value"}
