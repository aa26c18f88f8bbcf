"""The engine: when sources are polled, who is left out and who goes on, and that nothing is lost silently."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from meter.core import elements, pollers
from meter.core.plugin import Gone, Missing, Retry
from tests.core import liars
from tests.core.liars import (
    DEADLINE_S,
    MS,
    SECOND,
    Gate,
    Hop,
    Jumping,
    Still,
    chain,
    filter_,
    inside,
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
    from meter.core.faults import Fault
    from meter.core.readings import Readings


pytestmark = pytest.mark.usefixtures("quick")


def codes(engine: Engine) -> list[tuple[str, str]]:
    """Code and instance of each fault."""
    return [(fault.code, fault.instance) for fault in engine.faults]


def only(engine: Engine) -> Fault:
    """The only fault."""
    (fault,) = engine.faults
    return fault


def polled(engine: Engine, label: str) -> list[tuple[int, int]]:
    """Span of each row that waits to be handed over, in milliseconds after the first poll."""
    origin = 5_000_000
    return [
        (row.since // MS - origin, row.ts // MS - origin)
        for name, rows in engine._pollers.first._rows.items()
        for row in rows
        if name == label
    ]


def element(engine: Engine, label: str) -> Any:
    """A source of the engine."""
    return next(source for source in engine.sources if source.label == label)


class TestSchedule:
    """Deadlines are absolute, rows cover all the time, and no tick is invented."""

    def test_deadlines_do_not_drift(self, tmp_path: Path, clock: Still) -> None:
        """However late each poll was, the next deadline is a whole number of intervals after the first poll."""
        engine = started(chain(tmp_path, source(), output()), clock)
        origin = clock.time

        for number in range(1, 50):
            late = number * 37 % 100
            clock.time = origin + number * 100 * MS + late * MS
            assert engine.tick(clock.time) == origin + (number + 1) * 100 * MS
        assert engine.tally()[:2] == (50, 0)

    def test_a_late_tick_is_polled_once_and_counted(self, tmp_path: Path, clock: Still) -> None:
        """The ticks that passed are missed ones, and one row covers all of their time."""
        engine = started(chain(tmp_path, source(), output()), clock)
        origin = clock.time

        upcoming = engine.tick(clock.advance(450))

        assert polled(engine, "probe") == [(0, 0), (0, 450)]
        assert engine.tally()[:2] == (2, 3)
        assert upcoming == origin + 500 * MS

    def test_nothing_is_polled_before_its_time(self, tmp_path: Path, clock: Still) -> None:
        """A wake-up that comes early polls nobody."""
        engine = started(chain(tmp_path, source(), output()), clock)

        assert engine.tick(clock.advance(99)) == clock.time + MS
        assert engine.tally().polls == 1

    def test_sources_of_different_intervals_meet(self, tmp_path: Path, clock: Still) -> None:
        """Deadlines of all sources count from one instant, so that equal times have equal names."""
        parts = [source("fast", interval="100ms"), source("slow", interval="250ms"), source("once", interval="1s")]
        engine = started(chain(tmp_path, *parts, output()), clock)
        for _ in range(20):
            engine.tick(clock.advance(50))

        ends = {label: [end for _, end in polled(engine, label)] for label in ("fast", "slow", "once")}

        assert ends["fast"] == list(range(0, 1001, 100))
        assert ends["slow"] == [0, 250, 500, 750, 1000]
        assert ends["once"] == [0, 1000]

    def test_a_slow_first_poll_does_not_move_the_others(self, tmp_path: Path, clock: Still) -> None:
        """The phase is that of the instant before the first source was polled."""

        def slow(out: Readings) -> None:
            out.emit("a.value", 1.0)
            clock.advance(30)

        world.scripts["a"] = slow
        origin = clock.time
        engine = started(chain(tmp_path, source("a"), source("b"), output()), clock)

        assert engine.tick(clock.time) == origin + 100 * MS

    def test_two_polls_of_a_delta_give_one_row(self, tmp_path: Path, clock: Still) -> None:
        """A run with a poll before and one after has the whole span in one row."""
        before: list[int] = []

        def energy(out: Readings) -> None:
            if before:
                out.emit("probe.energy", 7.0)
            before.append(out.ts)

        world.scripts["probe"] = energy
        engine = started(chain(tmp_path, source("probe", metric("probe.energy", kind="delta")), output()), clock)
        clock.advance(4_900)
        run(engine, clock)

        assert world.rows() == [(5_000_000, 5_005_000, 7.0)]

    def test_nothing_of_a_poll_that_is_tried_again_counts(self, tmp_path: Path, clock: Still) -> None:
        """`Retry` leaves no half poll behind, and the next row covers both intervals."""
        number = 0

        def flaky(out: Readings) -> None:
            nonlocal number
            number += 1
            out.emit("probe.value", float(number))
            if number == 2:
                raise Retry

        world.scripts["probe"] = flaky
        engine = started(chain(tmp_path, source(), output()), clock)
        engine.tick(clock.advance(100))
        engine.tick(clock.advance(100))

        assert polled(engine, "probe") == [(0, 0), (0, 200)]
        assert engine.tally()[:3] == (3, 0, 1)
        assert not engine.failed

    def test_a_source_that_is_gone_ends_alone(self, tmp_path: Path, clock: Still) -> None:
        """What it gave at last is delivered, the other goes on, and it is no failure."""

        def vanish(out: Readings) -> None:
            out.emit("short.value", 3.0)
            raise Gone

        engine = started(chain(tmp_path, source("short"), source("long"), output()), clock)
        world.scripts["short"] = vanish
        engine.tick(clock.advance(100))
        engine.tick(clock.advance(100))
        run(engine, clock)

        assert [end for _, end, _ in world.rows(metric="short.value")] == [5_000_000, 5_000_100]
        assert [end for _, end, _ in world.rows(metric="long.value")] == [5_000_000, 5_000_100, 5_000_200, 5_000_300]
        assert not engine.failed
        assert engine.faults == []

    def test_a_last_poll_that_lies_is_a_breach(self, tmp_path: Path, clock: Still) -> None:
        """`Gone` does not excuse it."""

        def lie(out: Readings) -> None:
            out.row(out.columns([("probe.value",)]), [1.0])  # type: ignore[list-item]
            out.emit("probe.value", 2.0)
            raise Gone

        world.scripts["probe"] = lie
        engine = started(chain(tmp_path, source(), output()), clock)

        assert (only(engine).code, only(engine).clause) == ("E-BREACH", "provides.metrics")
        assert engine.taken().rows == []

    def test_the_run_ends_when_all_sources_are_gone(self, tmp_path: Path) -> None:
        """Whoever waits for the engine is told, and everything was delivered."""
        jumping = Jumping(100)

        def short(out: Readings) -> None:
            out.emit("probe.value", 1.0)
            if jumping.time >= 5_002 * SECOND:
                raise Gone

        world.scripts["probe"] = short
        engine = started(chain(tmp_path, source(interval="1s"), output()), jumping)
        engine.go()

        assert engine.ended.wait(DEADLINE_S)
        engine.stop()
        assert [end for _, end, _ in world.rows()] == [5_000_000, 5_001_000, 5_002_000]
        assert not engine.failed

    def test_the_run_ends_when_nobody_takes(self, tmp_path: Path, clock: Still) -> None:
        """Polling for nobody is no measurement."""
        world.faults["sink", "start"] = OSError(28, "No space left on device")
        engine = started(chain(tmp_path, source(), output()), clock)
        engine.go()

        assert engine.ended.wait(DEADLINE_S)
        engine.stop()
        assert engine.failed

    def test_the_threads_keep_to_the_schedule(self, tmp_path: Path) -> None:
        """The poll thread sleeps until each deadline and no longer."""
        jumping = Jumping(50)
        engine = started(chain(tmp_path, source("a"), source("b", interval="250ms"), output()), jumping)
        engine.go()
        assert jumping.still.wait(DEADLINE_S)
        engine.stop()

        ends = [end - 5_000_000 for _, end, _ in world.rows(metric="a.value")]
        assert ends[:-1] == list(range(0, 4_201, 100))  # 50 instants of both, six in each half second
        assert engine.tally().missed == 0

    def test_a_source_can_be_triggered(self, tmp_path: Path, clock: Still) -> None:
        """It is polled at once, its schedule stays, no tick counts as missed."""
        engine = started(chain(tmp_path, source("a"), source("b"), output()), clock)
        origin = clock.time
        clock.advance(40)
        engine.trigger("b")

        assert engine.tick(clock.time) == origin + 100 * MS
        engine.tick(clock.advance(60))
        assert polled(engine, "a") == [(0, 0), (0, 100)]
        assert polled(engine, "b") == [(0, 0), (0, 40), (40, 100)]
        assert engine.tally().missed == 0
        with pytest.raises(KeyError):
            engine.trigger("c")

    def test_a_trigger_wakes_the_poll_thread(self, tmp_path: Path, clock: Still) -> None:
        """Nobody waits for the interval, which may be an hour."""
        second = threading.Event()

        def note(out: Readings) -> None:
            out.emit("probe.value", 1.0)
            if engine.sources[0].polls:
                second.set()

        world.scripts["probe"] = note
        engine = chain(tmp_path, source(interval="1h"), output()).engine(clock=clock)
        engine.start()
        engine.poll_now()
        clock.advance(10)
        engine.go()
        engine.trigger("probe")

        assert second.wait(DEADLINE_S)
        clock.advance(10)
        engine.stop()
        assert engine.tally().polls == 3


PHASES = {
    "probe": ["__init__", "start", "pre_pipeline_start", "poll", "post_pipeline_start", "stop"],
    "hop": ["__init__", "start", "pre_pipeline_start", "bind", "run", "post_pipeline_start", "finish", "stop"],
    "sink": ["__init__", "start", "pre_pipeline_start", "write", "post_pipeline_start", "flush", "stop"],
}
AGAIN = 'gives = { name = "${metric}.again" }'


class TestLifecycle:
    """Phases come in their order; who fails in one is named and left out."""

    def test_phases_come_in_their_order(self, tmp_path: Path, clock: Still) -> None:
        """Each instance goes through all of them once; operation lies between `pre_pipeline_start` and `stop`."""
        engine = started(chain(tmp_path, source(), filter_("hop", rule("*", AGAIN)), output()), clock)
        run(engine, clock)

        for label, phases in PHASES.items():
            seen = list(dict.fromkeys(world.phases(label)))
            assert sorted(seen) == sorted(phases)
            fixed = [p for p in phases if p.endswith("start") or p in {"__init__", "stop"}]
            assert [p for p in seen if p in fixed] == fixed
            operation = [p for p in phases if p not in fixed]
            assert [p for p in seen if p in operation] == operation
            assert seen[:3] == phases[:3]
            assert seen[-1] == "stop"

    def test_who_takes_is_started_before_who_gives(self, tmp_path: Path, clock: Still) -> None:
        """Nobody's first value finds the next one asleep, and all have started before any `pre_pipeline_start`."""
        engine = chain(tmp_path, source(), filter_("hop", rule("*", AGAIN)), output()).engine(clock=clock)
        engine.start()

        assert [label for label, phase in world.calls if phase == "start"] == ["sink", "hop", "probe"]
        assert [phase for _, phase in world.calls][-3:] == ["pre_pipeline_start"] * 3
        engine.stop()

    def test_a_backend_can_be_started_again(self, tmp_path: Path, clock: Still) -> None:
        """A second run of the plan is like the first one."""
        made = chain(tmp_path, source(), output())
        runs = []
        for _ in range(2):
            world.reset()
            engine = started(made, clock)
            run(engine, clock)
            runs.append(({label: sorted(world.phases(label)) for label in ("probe", "sink")}, len(world.rows())))
            clock.advance(100)

        assert runs[0] == runs[1]

    def test_stopping_twice_is_stopping(self, tmp_path: Path, clock: Still) -> None:
        """The second time nothing happens."""
        world.faults["sink", "write"] = OSError(28, "No space left on device")
        engine = started(chain(tmp_path, source(), output()), clock)
        run(engine, clock)
        before = (engine.tally(), len(engine.faults), len(world.calls))

        assert engine.stop() == before[0]
        assert (engine.tally(), len(engine.faults), len(world.calls)) == before

    @pytest.mark.parametrize("error", [RuntimeError("it broke"), SystemExit(3), KeyboardInterrupt()], ids=type)
    @pytest.mark.parametrize(
        ("label", "phase"),
        [(label, phase) for label, phases in PHASES.items() for phase in phases if phase != "write"],
    )
    def test_who_raises_is_named_and_the_others_go_on(
        self, tmp_path: Path, clock: Still, label: str, phase: str, error: BaseException
    ) -> None:
        """Instance, phase and place in the code; the run has failed, and an unrelated source is delivered."""
        world.faults[label, phase] = error
        parts = [source(), source("other"), filter_("hop", rule("probe.*", AGAIN)), output(), output("second")]
        engine = started(chain(tmp_path, *parts), clock)
        run(engine, clock)

        fault, *more = engine.faults
        assert {(other.code, other.instance) for other in more} <= {("E-IO", "sink")}  # what it could not deliver
        assert (fault.code, fault.instance, fault.facts["phase"]) == ("E-PLUGIN-RAISED", label, phase)
        assert fault.facts["why"].startswith(type(error).__name__)
        assert re.search(r"\(liars\.py:\d+\)$", fault.facts["why"])
        assert engine.failed
        assert len(world.rows("second", "other.value")) == 2

    @pytest.mark.parametrize(
        ("asked", "gives"),
        [
            ("tell", 'gives = { name = "${metric}", tells = ["job"] }'),
            ("owner", 'gives = { name = "${metric}.x", resource = ["gpu"], merge = "max" }'),
        ],
    )
    def test_who_raises_when_asked_of_series_is_named(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch, asked: str, gives: str
    ) -> None:
        """A filter that cannot say whose they are ends neither the chain nor what passes beside it."""

        def no(*_: object) -> None:
            raise RuntimeError("it broke")

        monkeypatch.setattr(Hop, asked, no)
        parts = [source(), source("other"), filter_("hop", rule("probe.value", f"keeps = false\n{gives}")), output()]
        engine = started(chain(tmp_path, *parts), clock)
        run(engine, clock)

        fault = only(engine)
        assert (fault.code, fault.instance, fault.facts["phase"]) == ("E-PLUGIN-RAISED", "hop", "bind")
        assert engine.failed
        assert world.metrics() == {"other.value"}
        assert len(world.rows("sink", "other.value")) == 2

    @pytest.mark.parametrize(
        ("error", "why"),
        [
            (ValueError("`host.csv` begins with\n'a'"), "`host.csv` begins with 'a'"),
            (PermissionError(13, "Permission denied", "/dev/x"), "Permission denied `/dev/x`"),
            (BlockingIOError(11, "`a.csv` is being written"), "`a.csv` is being written"),
            (LookupError("nothing fits `BAT9`; there are AC, BAT0"), "nothing fits `BAT9`; there are AC, BAT0"),
        ],
    )
    def test_who_cannot_start_for_what_it_was_given_says_so(
        self, tmp_path: Path, clock: Still, error: Exception, why: str
    ) -> None:
        """Nothing of its code is to blame, so that neither the kind of error nor a place in it is told."""
        world.faults["sink", "start"] = error
        engine = started(chain(tmp_path, source(), output(), output("second")), clock)
        run(engine, clock)

        fault = engine.faults[0]
        assert (fault.code, fault.variant, fault.facts["why"]) == ("E-PLUGIN-RAISED", "start", why)
        assert engine.failed

    @pytest.mark.parametrize("error", [KeyError("absent"), IndexError("list index out of range")])
    def test_a_slip_in_the_code_is_no_refusal(self, tmp_path: Path, clock: Still, error: Exception) -> None:
        """They are LookupErrors, too, but nobody raises them on purpose: where in the code that was is told."""
        world.faults["sink", "start"] = error
        engine = started(chain(tmp_path, source(), output(), output("second")), clock)
        run(engine, clock)

        fault = engine.faults[0]
        assert (fault.code, fault.variant) == ("E-PLUGIN-RAISED", "")
        assert type(error).__name__ in fault.facts["why"]

    def test_a_formula_is_refused_at_the_start(self, tmp_path: Path, clock: Still) -> None:
        """What this engine cannot compute is said before anything is measured; what it reads goes on."""
        formula = 'config.x = { type = "formula", default = "probe.value * 2" }\n'
        computes = filter_("hop", formula + rule("${config.x}", 'gives = { name = "probe.twice" }'))
        engine = started(chain(tmp_path, source(), computes, output()), clock)
        run(engine, clock)

        fault = only(engine)
        assert (fault.code, fault.instance, fault.variant) == ("E-PLUGIN-RAISED", "hop", "formula")
        assert engine.failed
        assert "start" not in world.phases("hop")
        assert world.metrics() == {"probe.value"}
        assert len(world.rows()) == 2

    @pytest.mark.parametrize("label", ["probe", "hop", "sink"])
    @pytest.mark.parametrize("text", ["raise SystemExit(3)", "import no_such_module_anywhere", "def Plugin(:"])
    def test_who_cannot_be_loaded_is_named(self, tmp_path: Path, clock: Still, label: str, text: str) -> None:
        """Whatever is in its module; the others go on."""
        made = chain(tmp_path, source(), source("other"), filter_("hop", rule("probe.*", AGAIN)), output())
        (tmp_path / label / "plugin.py").write_text(text)
        engine = started(made, clock)
        run(engine, clock)

        fault = engine.faults[0]
        assert (fault.code, fault.instance, fault.facts["phase"]) == ("E-PLUGIN-RAISED", label, "load")
        assert "plugin.py" in fault.facts["why"]
        assert engine.failed
        assert len(world.rows(metric="other.value")) == (0 if label == "sink" else 2)

    def test_an_export_that_is_not_there_is_named(self, tmp_path: Path, clock: Still) -> None:
        """The contract and the code do not agree."""
        made = chain(tmp_path, source(), output())
        (tmp_path / "probe" / "plugin.py").write_text("")
        engine = started(made, clock)

        fault = only(engine)
        assert (fault.code, fault.facts["plugin"], fault.facts["export"]) == (
            "E-EXPORT-MISSING",
            "probe",
            "plugin:Plugin",
        )

    def test_an_error_without_words_is_still_named(self, tmp_path: Path, clock: Still) -> None:
        """An error whose text cannot be made does not take the engine with it."""

        class Mute(Exception):  # noqa: N818
            def __str__(self) -> str:
                raise RuntimeError

        world.faults["probe", "poll"] = Mute()
        engine = started(chain(tmp_path, source(), output()), clock)

        assert re.fullmatch(r"Mute \(liars\.py:\d+\)", only(engine).facts["why"])

    @pytest.mark.parametrize("phase", ["pre_pipeline_start", "post_pipeline_start"])
    def test_who_failed_before_the_operation_takes_no_part_in_it(
        self, tmp_path: Path, clock: Still, phase: str
    ) -> None:
        """It is stopped at the end, since it was started."""
        world.faults["probe", phase] = ValueError()
        engine = started(chain(tmp_path, source(), source("other"), output()), clock)
        polls = len([p for p in world.phases("probe") if p == "poll"])
        run(engine, clock)

        assert len([p for p in world.phases("probe") if p == "poll"]) <= polls + (phase == "post_pipeline_start")
        assert world.phases("probe")[-1] == "stop"
        if phase == "pre_pipeline_start":
            assert "poll" not in world.phases("probe")

    @pytest.mark.parametrize("phase", ["__init__", "start", "pre_pipeline_start", "bind", "run"])
    def test_what_passes_beside_a_quarantined_filter_arrives(self, tmp_path: Path, clock: Still, phase: str) -> None:
        """It gives nothing; what it selected without keeping it stays away, everything else is complete."""
        world.faults["hop", phase] = ValueError()
        metrics = [metric("probe.kept"), metric("probe.taken"), metric("probe.other")]
        rules = [rule("probe.kept", AGAIN), rule("probe.taken", f"keeps = false\n{AGAIN}")]

        def three(out: Readings) -> None:
            for name in ("kept", "taken", "other"):
                out.emit(f"probe.{name}", 1.0)

        world.scripts["probe"] = three
        engine = started(chain(tmp_path, source("probe", *metrics), filter_("hop", *rules), output()), clock)
        engine.hand_over()
        engine.tick(clock.advance(100))
        engine.hand_over()
        run(engine, clock)

        assert world.metrics() == {"probe.kept", "probe.other"}
        assert len(world.rows(metric="probe.kept")) == len(world.rows(metric="probe.other")) == 3
        assert codes(engine) == [("E-PLUGIN-RAISED", "hop")]
        assert engine.tally().lost == 0


class TestLiars:
    """Who breaks its contract is named with the clause and left out; nothing of the lie arrives."""

    def test_a_filter_that_changes_what_came_in(self, tmp_path: Path, clock: Still) -> None:
        """It cannot: times and values of a block are read-only, for good."""

        def change(_selections: Any, block: Any) -> Any:
            block.ts.setflags(write=True)
            block.ts[:] = 0

        world.scripts["hop"] = change
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        run(engine, clock)

        assert codes(engine) == [("E-PLUGIN-RAISED", "hop")]
        assert [end for _, end, _ in world.rows()] == [5_000_000, 5_000_100]

    def test_a_filter_may_give_a_part_of_what_it_promised(self, tmp_path: Path, clock: Still) -> None:
        """Columns that have nothing to say may be left out, whatever layout that makes."""
        from meter.core.history import narrow

        metrics = [metric("probe.a"), metric("probe.b")]

        def both(out: Readings) -> None:
            out.emit("probe.a", 1.0)
            out.emit("probe.b", 2.0)

        def first(selections: Any, block: Any) -> Any:
            one = narrow(selections[0], [0], block.layout)
            return [one.give(one.read(block) + 0, ts=block.ts, since=block.since)]

        world.scripts |= {"probe": both, "hop": first}
        engine = started(chain(tmp_path, source("probe", *metrics), filter_("hop", rule("*", AGAIN)), output()), clock)
        run(engine, clock)

        assert engine.faults == []
        assert world.metrics() == {"probe.a", "probe.b", "probe.a.again"}

    def test_a_filter_that_lies_at_the_end(self, tmp_path: Path, clock: Still) -> None:
        """What `finish` gives is verified, too."""
        held: list[Any] = []

        def hold(_selections: Any, block: Any) -> Any:
            held.append(block)
            return ()

        world.scripts["hop"] = hold
        world.finish["hop"] = lambda: held
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        run(engine, clock)

        assert (only(engine).code, only(engine).clause) == ("E-BREACH", "needs.metrics.gives")
        assert len(world.rows()) == 2

    @pytest.mark.parametrize("phase", ["run", "watermark", "finish"])
    def test_numpy_warns_filters_of_nothing(self, tmp_path: Path, clock: Still, phase: str) -> None:
        """A warning would be an error here, and printed beside the table of a user; a result says itself what it is."""

        def great() -> None:
            np.multiply(np.array([1e300]), 1e300)

        def run_(selections: Any, block: Any) -> Any:
            if phase == "run":
                great()
            return liars.again(selections, block)

        def later(*_: Any) -> Any:
            great()
            return ()

        world.scripts["hop"] = run_
        if phase == "watermark":
            world.watermarks["hop"] = later
        elif phase == "finish":
            world.finish["hop"] = later
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        run(engine, clock)

        assert engine.faults == []

    @pytest.mark.parametrize("role", ["filter", "output"])
    def test_what_a_rule_does_not_allow_is_said_once(self, tmp_path: Path, clock: Still, role: str) -> None:
        """A plan that no longer fits the data: the instance is left out, said once, and what passes arrives."""
        parts = [source(), source("other"), filter_("hop", rule("probe.*", AGAIN)), output(), output("second")]
        made = chain(tmp_path, *parts)
        label = {"filter": "hop", "output": "sink"}[role]
        (entry,) = [entry for entry in made.plan["plugins"] if entry["instance"] == label]
        entry["rules"][0]["kind"] = ["delta"]
        entry["rules"][0]["keeps"] = False
        engine = started(made, clock)
        engine.hand_over()
        engine.tick(clock.advance(100))
        engine.hand_over()
        run(engine, clock)

        assert [(f.code, f.instance, f.clause) for f in engine.faults if f.code == "E-BREACH"] == [
            ("E-BREACH", label, "needs.metrics.kind")
        ]
        assert engine.failed
        assert len(world.rows("second", "other.value")) == 3
        assert len(world.rows("second", "probe.value")) == (0 if role == "filter" else 3)
        if role == "output":
            assert element(engine, "probe").live
            assert engine.outputs[0].lost == 6

    def test_memory_does_not_grow_with_layouts(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Short-lived objects make new layouts as long as meter runs; what is remembered of them is bounded."""
        monkeypatch.setattr(elements, "BINDINGS_LIMIT", 4)
        monkeypatch.setattr(elements, "SERIES_LIMIT", 4)
        number = 0

        def churn(out: Readings) -> None:
            nonlocal number
            number += 1
            out.emit("probe.value", 1.0, resource_id=str(number))

        world.scripts["probe"] = churn
        value = metric("probe.value", more='resource = ["gpu"]')
        engine = started(chain(tmp_path, source("probe", value), filter_("hop", rule("*", AGAIN)), output()), clock)
        for _ in range(20):
            engine.tick(clock.advance(100))
        run(engine, clock)

        (hop,), (sink,) = engine.filters, engine.outputs
        assert engine.faults == []
        assert len(world.rows(metric="probe.value.again")) == 22
        known: list[dict[Any, Any]] = [hop.bindings, hop.told, hop.promised, hop.gone, hop.verified, sink.routes]
        assert [len(each) for each in known] == [4, 4, 4, 4, 4, 4]

    def test_what_lives_long_stays_promised(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many short-lived series come and go beside it."""
        monkeypatch.setattr(elements, "BINDINGS_LIMIT", 3)
        monkeypatch.setattr(elements, "SERIES_LIMIT", 8)
        number = 0

        def churn(out: Readings) -> None:
            nonlocal number
            number += 1
            out.emit("probe.value", 1.0, resource_id="long")
            for nth in range(5):
                out.emit("probe.value", 1.0, resource_id=f"{number}-{nth}")

        world.scripts["probe"] = churn
        value = metric("probe.value", more='resource = ["gpu"]')
        engine = started(chain(tmp_path, source("probe", value), filter_("hop", rule("*", AGAIN)), output()), clock)
        for _ in range(60):
            engine.tick(clock.advance(100))
        run(engine, clock)

        assert engine.faults == []
        assert len(world.rows(metric="probe.value.again")) == 6 * 62

    def test_what_was_held_back_for_long_is_still_what_was_promised(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The layouts that it came in are forgotten by then, its series are not."""
        monkeypatch.setattr(elements, "BINDINGS_LIMIT", 2)
        held: list[Any] = []
        number = 0

        def churn(out: Readings) -> None:
            nonlocal number
            number += 1
            out.emit("probe.value", 1.0, resource_id=str(number))

        def keep(selections: Any, block: Any) -> Any:
            held.extend(liars.again(selections, block))
            return ()

        world.scripts |= {"probe": churn, "hop": keep}
        world.finish["hop"] = lambda: held
        value = metric("probe.value", more='resource = ["gpu"]')
        engine = started(chain(tmp_path, source("probe", value), filter_("hop", rule("*", AGAIN)), output()), clock)
        for _ in range(20):
            engine.tick(clock.advance(100))
        run(engine, clock)

        assert engine.faults == []
        assert len(world.rows(metric="probe.value.again")) == 22


class TestOutputs:
    """Nothing is lost silently, in whatever state an output is."""

    def test_what_could_not_be_delivered_is_tried_again(self, tmp_path: Path, clock: Still) -> None:
        """The same batch, before all later ones; once it works, everything was delivered once and in order."""
        tries: list[int] = []
        worked = threading.Event()

        def flaky(batch: Batch) -> None:
            tries.append(batch.seq)
            if len(tries) < 4:
                raise OSError(28, "No space left on device", "/mnt/host.csv")
            worked.set()

        world.scripts["sink"] = flaky
        made = chain(tmp_path, source(), output())
        engine = made.engine(clock=clock)
        engine.start()
        for number in range(5):
            engine.tick(clock.advance(100)) if number else engine.poll_now()
            engine.hand_over()
        clock.advance(100)
        engine.go()
        assert worked.wait(DEADLINE_S)
        engine.stop()

        assert [end - 5_000_000 for _, end, _ in world.rows()] == [0, 100, 200, 300, 400, 500]
        assert tries[:5] == [1, 1, 1, 1, 2]
        assert engine.tally().lost == 0
        assert not engine.failed
        fault = only(engine)
        assert (fault.code, fault.instance) == ("E-IO", "sink")
        assert fault.facts["why"] == "No space left on device `/mnt/host.csv`"

    def test_one_whose_reader_has_gone_ends_without_a_fault(self, tmp_path: Path, clock: Still) -> None:
        """Nobody takes its rows any more, so none is lost; with the last output the run has ended."""
        world.faults["sink", "write"] = Gone("nobody reads it")
        engine = started(chain(tmp_path, source(), output()), clock)
        engine.go()

        assert engine.ended.wait(DEADLINE_S)
        engine.stop()

        assert engine.faults == []
        assert engine.tally().lost == 0
        assert not engine.failed

    @pytest.mark.parametrize("error", [OSError(32, "Broken pipe"), SystemExit(1), ValueError("x")], ids=type)
    def test_what_never_works_is_counted_and_named(self, tmp_path: Path, clock: Still, error: BaseException) -> None:
        """The other output is complete."""
        world.faults["sink", "write"] = error
        engine = started(chain(tmp_path, source(), output(), output("second")), clock)
        for _ in range(5):
            engine.tick(clock.advance(100))
        run(engine, clock)

        assert [(f.code, f.instance, f.facts.get("rows")) for f in engine.faults][-1] == ("E-IO", "sink", "7")
        assert {f.instance for f in engine.faults} == {"sink"}
        assert engine.tally().lost == 7
        assert engine.failed
        assert len(world.rows("second")) == 7

    def test_one_that_fails_does_not_hold_up_the_others(self, tmp_path: Path, clock: Still) -> None:
        """Its queue is bounded: the oldest batches go, and are counted."""
        world.faults["sink", "write"] = OSError(28, "No space left on device")
        engine = started(chain(tmp_path, source(), output(words=("queue_points=2",)), output("second")), clock)
        engine.hand_over()
        for _ in range(5):
            engine.tick(clock.advance(100))
            engine.hand_over()
        run(engine, clock)

        assert [output.lost for output in engine.outputs] == [7, 0]
        assert len(world.rows("second")) == 7

    @pytest.mark.parametrize("words", [("queue_points=2",), ("queue_bytes=1100B",)])
    def test_a_slow_output_loses_nothing(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
    ) -> None:
        """Its queue is bounded, in points and in bytes; what does not fit waits before it."""
        monkeypatch.setattr(elements, "PATIENCE_S", DEADLINE_S)
        gate = world.scripts["sink"] = Gate()
        engine = started(chain(tmp_path, source(), output(words=words)), clock)
        engine.hand_over()
        for _ in range(9):
            engine.tick(clock.advance(100))
            engine.hand_over()
        clock.advance(100)
        engine.go()
        assert gate.reached.wait(DEADLINE_S)
        assert len(engine.outputs[0].queue) <= 2
        gate.open.set()
        engine.stop()

        assert [end - 5_000_000 for _, end, _ in world.rows()] == list(range(0, 1_001, 100))
        assert engine.tally().lost == 0
        assert engine.faults == []

    @pytest.mark.parametrize("words", [("queue_points=2",), ()])
    def test_one_that_hangs_is_left_behind(self, tmp_path: Path, clock: Still, words: tuple[str, ...]) -> None:
        """`stop` returns, says who hangs and how many rows that cost, and the other output was closed in order."""
        gate = world.scripts["sink"] = Gate()
        engine = started(chain(tmp_path, source(), output(words=words), output("second")), clock)
        engine.hand_over()
        for _ in range(9):
            engine.tick(clock.advance(100))
            engine.hand_over()
        clock.advance(100)
        engine.go()
        assert gate.reached.wait(DEADLINE_S)
        before = time.monotonic()
        engine.stop(deadline_s=0.1)
        spent = time.monotonic() - before
        phases = world.phases("sink")
        gate.open.set()
        assert engine.outputs[0].thread is not None
        engine.outputs[0].thread.join(DEADLINE_S)

        assert spent < DEADLINE_S / 2
        assert ("E-IO", "sink") in codes(engine)
        assert {instance for _, instance in codes(engine)} == {"sink"}
        assert engine.outputs[0].lost == 11
        assert engine.failed
        assert "stop" not in phases
        assert len(world.rows("second")) == 11
        assert world.phases("second")[-2:] == ["flush", "stop"]

    def test_a_source_that_hangs_is_left_behind(self, tmp_path: Path, clock: Still) -> None:
        """What was polled before is delivered, and the outputs are closed in order."""
        reached, leave = threading.Event(), threading.Event()

        def hang(out: Readings) -> None:
            if engine.sources[0].polls:
                reached.set()
                assert leave.wait(DEADLINE_S)
            out.emit("probe.value", 1.0)

        world.scripts["probe"] = hang
        engine = chain(tmp_path, source(), source("other"), output()).engine(clock=clock)
        engine.start()
        engine.poll_now()
        clock.advance(100)
        engine.go()
        engine.trigger("probe")
        assert reached.wait(DEADLINE_S)
        engine.stop(deadline_s=0.1)
        left, phases = codes(engine), world.phases("probe")
        leave.set()
        engine._pollers.threads[0].join(DEADLINE_S)

        assert left == [("E-IO", "probe")]
        assert {row[2] for row in world.rows()} == {1.0}
        assert len(world.rows()) == 2
        assert world.phases("sink")[-2:] == ["flush", "stop"]
        assert "stop" not in phases


class TestStop:
    """The end is in order."""

    def test_every_row_that_was_polled_arrives(self, tmp_path: Path, clock: Still) -> None:
        """Also those that were not handed over yet, and a last poll."""
        engine = started(chain(tmp_path, source(), source("other"), output()), clock)
        for _ in range(300):
            engine.tick(clock.advance(100))
        run(engine, clock)

        assert engine.tally().rows == 604
        assert len(world.rows(metric="probe.value")) == len(world.rows(metric="other.value")) == 302

    @pytest.mark.parametrize(("interval_ms", "rows"), [(1, 100), (10, 25), (100, 3), (200, 2), (300, 1)])
    def test_rows_of_fast_sources_wait_for_each_other(self, tmp_path: Path, interval_ms: int, rows: int) -> None:
        """A quarter of a second, less where there are many; slow ones for nobody."""
        clock = Jumping(4 * rows)
        engine = chain(tmp_path, source(interval=f"{interval_ms}ms"), output()).engine(clock=clock)
        engine.start()
        engine.go()
        assert clock.still.wait(DEADLINE_S)
        engine.stop()

        assert [batch.rows for batch in world.batches["sink"]][:4] == [1, rows, rows, rows]

    def test_what_filters_hold_back_arrives(self, tmp_path: Path, clock: Still) -> None:
        """`finish` comes in the order of the chain, so that the next filter still gets it."""
        held: list[Any] = []

        def keep(selections: Any, block: Any) -> Any:
            held.extend(liars.again(selections, block))
            return ()

        world.scripts["hold"] = keep
        world.finish["hold"] = lambda: held
        once = rule("probe.value", 'gives = { name = "${metric}.held" }')
        more = rule("probe.value.held", 'gives = { name = "${metric}.more" }')
        made = chain(tmp_path, source(), filter_("hold", once), filter_("hop", more), output())
        engine = started(made, clock)
        for _ in range(5):
            engine.tick(clock.advance(100))
        run(engine, clock)

        assert world.metrics() == {"probe.value", "probe.value.held", "probe.value.held.more"}
        assert [len(world.rows(metric=name)) for name in sorted(world.metrics())] == [7, 7, 7]
        assert [label for label, phase in world.calls if phase == "finish"] == ["hold", "hop"]

    def test_what_a_filter_held_back_goes_on_at_the_watermark(self, tmp_path: Path, clock: Still) -> None:
        """Once for each hand-over, with the newest time in it, through the next filter and to the output."""
        held: list[Any] = []
        marks: list[int] = []

        def keep(selections: Any, block: Any) -> Any:
            held.extend(liars.again(selections, block))
            return ()

        def give(ts: int) -> Any:
            marks.append(ts)
            return [held.pop(0) for _ in range(len(held))]

        world.scripts["hold"] = keep
        world.watermarks["hold"] = give
        once = rule("probe.value", 'gives = { name = "${metric}.held" }')
        more = rule("probe.value.held", 'gives = { name = "${metric}.more" }')
        made = chain(tmp_path, source(), source("other"), filter_("hold", once), filter_("hop", more), output())
        engine = started(made, clock)
        run(engine, clock)

        assert marks == sorted(marks)
        assert marks[-1] == clock.time
        assert len(world.rows(metric="probe.value.held.more")) == len(world.rows(metric="probe.value")) == 2
        assert held == []

    def test_a_filter_that_fails_at_the_watermark(self, tmp_path: Path, clock: Still) -> None:
        """It is named with the phase and left out; what passes beside it goes on."""

        def fail(_ts: int) -> Any:
            raise RuntimeError("no")

        world.watermarks["hop"] = fail
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        run(engine, clock)

        assert codes(engine) == [("E-PLUGIN-RAISED", "hop")]
        assert only(engine).facts["phase"] == "watermark"
        assert len(world.rows(metric="probe.value")) == 2

    def test_a_pipeline_that_cannot_go_on_is_said(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Such as for want of descriptors: nothing hangs, and what a run lost is no secret."""

        def fail(_raw: Any) -> Any:
            raise OSError(24, "Too many open files", "numpy")

        engine = started(chain(tmp_path, source(), output()), clock)
        monkeypatch.setattr(inside(engine).pipeline, "_built", fail)
        run(engine, clock)

        assert codes(engine) == [("E-IO", "pipeline")]
        assert only(engine).facts["why"].startswith("Too many open files `numpy`")
        assert engine.failed
        assert world.phases("sink")[-2:] == ["flush", "stop"]

    @pytest.mark.parametrize(("step", "moved"), [(5_000, False), (-5_000, False), (SECOND, True), (-SECOND, True)])
    def test_the_anchor_moves_with_a_step_of_the_wall_clock_only(
        self, tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch, step: int, *, moved: bool
    ) -> None:
        """Two readings of two clocks differ by some nanoseconds, which say nothing."""
        engine = started(chain(tmp_path, source(), output()), clock)
        mono, wall = engine.taken().anchor
        monkeypatch.setattr(pollers, "anchor", lambda: (mono + SECOND, wall + SECOND + step))

        mono_now, wall_now = engine.taken().anchor

        assert wall_now - mono_now - (wall - mono) == (step if moved else 0)

    def test_stopping_does_not_wait_for_an_interval(self, tmp_path: Path) -> None:
        """A minute between two polls is no minute at the end; this one runs by the real clock."""
        engine = chain(tmp_path, source(interval="60s"), output()).engine()
        engine.start()
        engine.go()
        engine.stop()

        assert engine.tally()[:2] == (2, 0)
        assert len(world.rows()) == 2
        assert engine.faults == []

    def test_stopping_before_the_threads_started(self, tmp_path: Path, clock: Still) -> None:
        """What was started is stopped."""
        engine = started(chain(tmp_path, source(), output()), clock)
        engine.stop()

        assert world.phases("probe")[-1] == world.phases("sink")[-1] == "stop"

    def test_missing_cells_arrive_as_missing(self, tmp_path: Path, clock: Still) -> None:
        """With their reason, and never as 0."""
        world.scripts["probe"] = lambda out: out.emit("probe.value", Missing("EIO"))
        engine = started(chain(tmp_path, source(), output()), clock)
        run(engine, clock)

        cells = [cell for batch in world.batches["sink"] for block in batch.blocks for *_, cell in block.points()]
        assert [cell.reason for cell in cells if isinstance(cell, Missing)] == ["EIO", "EIO"]
