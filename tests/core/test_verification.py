"""Verification while running: whoever lies is named with its clause, and nothing of the lie arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from meter.core import sampling
from meter.core.batch import Block
from meter.core.blame import policies
from meter.core.keys import Key, Metric
from meter.core.layout import Layout
from meter.core.plugin import Missing
from meter.core.sampling import EVERY, Sampler
from meter.core.scrutiny import Given, Imprint, verify_gaps, verify_spans
from tests.core import liars
from tests.core.liars import Still, chain, filter_, metric, output, rule, run, source, started, world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meter.core.engine import Engine
    from meter.core.readings import Readings

pytestmark = pytest.mark.usefixtures("quick")

AGAIN: Final = 'gives = { name = "${metric}.again" }'
WARN: Final = next(word for word, policy in policies().items() if policy.goes_on)
GIVES: Final = "needs.metrics.gives"
SOURCE: Final = [
    metric("probe.value"),
    metric("probe.count", type_="u64"),
    metric("probe.steps", type_="i64", kind="delta"),
    metric("probe.energy", kind="delta"),
    metric("probe.mode", more='attributes = { mode = ["user", "system"] }'),
    metric("probe.gpu", more='resource = ["gpu"]'),
]


def breaches(engine: Engine) -> list[tuple[str, str, str]]:
    """Instance, clause and metric of each breach that was said."""
    return [(f.instance, f.clause, f.facts["metric"]) for f in engine.faults if f.code == "E-BREACH"]


def cells(label: str = "sink") -> dict[str, list[Any]]:
    """What an output got of each metric."""
    found: dict[str, list[Any]] = {}
    for batch in world.batches.get(label, []):
        for block in batch.blocks:
            for _, key, value in block.points():
                found.setdefault(key.metric.name, []).append(value)
    return found


class TestSources:
    """What a source gives is what `provides.metrics` states."""

    @pytest.mark.parametrize(
        ("lie", "clause", "metric_"),
        [
            (liars.undeclared_metric, "provides.metrics", "probe.valve"),
            (liars.undeclared_kind, "provides.metrics.resource", "probe.value"),
            (liars.undeclared_attribute, "provides.metrics.attributes", "probe.value"),
            (liars.undeclared_value, "provides.metrics.attributes", "probe.mode"),
            (liars.no_attribute, "provides.metrics.attributes", "probe.mode"),
            (liars.absent_id, "provides.metrics.resource", "probe.gpu"),
            (liars.float_for_integer, "provides.metrics.type", "probe.count"),
            (liars.below_zero, "provides.metrics.type", "probe.count"),
            (liars.text_for_number, "provides.metrics.type", "probe.value"),
            (liars.same_key_twice, "provides.metrics", "probe.value"),
            (liars.same_key_in_two_rows, "provides.metrics", "probe.value"),
            (liars.same_column_twice, "provides.metrics", "probe.value"),
            (liars.short_row, "provides.metrics", "probe.value"),
            (liars.forged_columns, "provides.metrics", "probe.value"),
            (liars.from_the_future, "provides.metrics", "probe.value"),
            (liars.row_changed_afterwards, "provides.metrics", "probe.count"),  # seen by the pipeline, as are:
            (liars.negative_delta, "provides.metrics.kind", "probe.energy"),
            (liars.negative_delta_of_integers, "provides.metrics.kind", "probe.steps"),
        ],
    )
    def test_a_source_that_lies(
        self, tmp_path: Path, clock: Still, lie: Callable[[Readings], None], clause: str, metric_: str
    ) -> None:
        """Nothing of it arrives; the other source is complete."""
        world.scripts["probe"] = lie
        engine = started(chain(tmp_path, source("probe", *SOURCE), source("other"), output()), clock)
        engine.hand_over()
        run(engine, clock)

        assert set(breaches(engine)) == {("probe", clause, metric_)}
        assert {f.facts["hop"] for f in engine.faults} == {"1"}
        assert engine.failed
        assert not next(each for each in engine.sources if each.label == "probe").live
        assert world.metrics() == {"other.value"}
        assert len(world.rows()) == 2

    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), None, Missing("EIO")], ids=["nan", "inf", "none", "missing"]
    )
    def test_what_could_not_be_read_is_no_lie(self, tmp_path: Path, clock: Still, value: Any) -> None:
        """It is missing."""
        world.scripts["probe"] = lambda out: out.emit("probe.value", value)
        engine = started(chain(tmp_path, source(), output()), clock)
        run(engine, clock)

        assert engine.faults == []
        assert [type(cell) for cell in cells()["probe.value"]] == [Missing, Missing]

    def test_a_counter_that_falls_is_no_lie(self, tmp_path: Path, clock: Still) -> None:
        """It has begun anew, which whoever takes differences knows."""
        totals = iter([5.0, 3.0, 4.0])
        world.scripts["probe"] = lambda out: out.emit("probe.total", next(totals))
        made = chain(tmp_path, source("probe", metric("probe.total", kind="counter")), output())
        engine = started(made, clock)
        run(engine, clock)

        assert engine.faults == []
        assert cells()["probe.total"][:2] == [5.0, 3.0]

    def test_a_delta_below_nothing_is_missing_where_the_source_goes_on(self, tmp_path: Path, clock: Still) -> None:
        """With the reason; from the first lie on every block is looked at, and what is right stays."""
        polls = 0

        def lie(out: Readings) -> None:
            nonlocal polls
            polls += 1
            out.emit("probe.energy", float(-polls if polls % 2 else polls))
            out.emit("probe.value", float(polls))

        world.scripts["probe"] = lie
        made = chain(tmp_path, source("probe", metric("probe.energy", kind="delta"), metric("probe.value")), output())
        engine = made.engine(clock=clock, on_breach=WARN)
        engine.start()
        engine.poll_now()
        engine.hand_over()
        for _ in range(4):
            engine.tick(clock.advance(100))
            engine.hand_over()
        run(engine, clock)

        energy = cells()["probe.energy"]
        assert [cell for cell in energy if not isinstance(cell, Missing)] == [2.0, 4.0, 6.0]
        assert next(cell.reason for cell in energy if isinstance(cell, Missing)).startswith("it gave -1.0")
        assert cells()["probe.value"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        assert len(breaches(engine)) == 1
        assert engine.sources[0].violations == 3


class TestFilters:
    """What a filter gives is what its rules promise."""

    @pytest.mark.parametrize(
        ("lie", "clause"),
        [
            (liars.foreign_layout, GIVES),
            (liars.other_series, GIVES),
            (liars.other_unit, f"{GIVES}.unit"),
            (liars.other_kind, f"{GIVES}.kind"),
            (liars.other_type, f"{GIVES}.type"),
            (liars.other_part, f"{GIVES}.type"),
            (liars.no_block, GIVES),
            (liars.wrong_dtype, GIVES),
            (liars.wrong_dtype_given, GIVES),
            (liars.wrong_shape, GIVES),
            (liars.wrong_shape_given, GIVES),
            (liars.wrong_mask_given, GIVES),
            (liars.writeable, GIVES),
            (liars.opened, GIVES),
            (liars.other_times, GIVES),
            (liars.more_times, GIVES),
            (liars.backwards, GIVES),
            (liars.reversed_rows, GIVES),
            (liars.same_time, GIVES),
            (liars.same_time_in_two_blocks, GIVES),
            (liars.infinite, GIVES),
            (liars.unmarked, GIVES),
            (liars.number_in_a_gap, GIVES),
            (liars.twice, GIVES),
        ],
    )
    def test_a_filter_that_lies(self, tmp_path: Path, clock: Still, lie: Callable[..., Any], clause: str) -> None:
        """Nothing of it arrives; what passes beside it is complete."""
        world.scripts["hop"] = lie
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        run(engine, clock)

        ((instance, broken, metric_),) = breaches(engine)
        assert (instance, broken) == ("hop", clause)
        assert metric_ == {liars.foreign_layout: "probe.value", liars.no_block: ""}.get(lie, "probe.value.again")
        assert engine.faults[0].facts["hop"] == "2"
        assert engine.failed
        assert world.metrics() == {"probe.value"}
        assert len(world.rows()) == 2

    def test_a_series_in_two_layouts(self, tmp_path: Path, clock: Still) -> None:
        """Two values at one time are two, whatever stands beside them."""

        def both(out: Readings) -> None:
            out.emit("probe.a", 1.0)
            out.emit("probe.b", 2)

        world.scripts |= {"probe": both, "hop": liars.same_time_in_two_layouts}
        metrics = [metric("probe.a"), metric("probe.b", type_="u64")]
        rules = [rule("probe.a", AGAIN), rule("probe.b", 'gives = { name = "${metric}.again", type = "f64" }')]
        engine = started(chain(tmp_path, source("probe", *metrics), filter_("hop", *rules), output()), clock)
        run(engine, clock)

        assert breaches(engine) == [("hop", GIVES, "probe.a.again")]
        assert world.metrics() == {"probe.a", "probe.b"}

    def test_what_is_read_only_stays_so(self, tmp_path: Path, clock: Still) -> None:
        """Whoever tries to write to what came from a source, or to make it writeable, is stopped by that and named."""

        def tries(_: Any, block: Block) -> Any:
            base: Any = block.parts[0].base
            for array in (block.ts, block.since, *block.parts, block.parts[0].view(), base):
                with pytest.raises(ValueError, match="WRITEABLE"):
                    array.setflags(write=True)
            block.parts[0][:] = 99.0

        world.scripts["hop"] = tries
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        run(engine, clock)

        (fault,) = engine.faults
        assert (fault.code, fault.instance) == ("E-PLUGIN-RAISED", "hop")
        assert "read-only" in fault.facts["why"]
        assert [value for *_, value in world.rows()] == [1.0, 2.0]

    @pytest.mark.parametrize("lie", [liars.writes, liars.writes_and_raises])
    def test_a_filter_that_opens_what_it_was_given(self, tmp_path: Path, clock: Still, lie: Callable[..., Any]) -> None:
        """What numpy lets it do; what it wrote to, and what shares the memory with that, does not go on."""
        world.scripts["b"] = lie
        filters = [filter_("a", rule("probe.*", AGAIN)), filter_("b", rule("probe.*.again", AGAIN))]
        engine = started(chain(tmp_path, source(), *filters, output()), clock)
        engine.hand_over()
        engine.tick(clock.advance(100))
        engine.hand_over()
        run(engine, clock)

        assert breaches(engine)[-1:] == [("b", "needs.metrics", "probe.value.again")]
        assert cells() == {"probe.value": [2.0, 3.0], "probe.value.again": [2.0, 3.0]}

    def test_a_buffer_that_is_used_again_is_no_harm(self, tmp_path: Path, clock: Still) -> None:
        """A view of what a filter still writes to is copied."""
        buffer = np.zeros((1, 2))

        def reuse(selections: Any, block: Block) -> Any:
            buffer[:] = selections[0].read(block)
            return [liars.made(selections, block, values=buffer[:, :1])]

        world.scripts["hop"] = reuse
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        engine.hand_over()
        run(engine, clock)

        assert engine.faults == []
        assert cells()["probe.value.again"] == [1.0, 2.0]

    def test_held_back_lies_are_seen(self, tmp_path: Path, clock: Still) -> None:
        """What comes at the watermark is looked at like what comes at once."""
        held: list[Block] = []

        def hold(selections: Any, block: Any) -> Any:
            held.extend(liars.infinite(selections, block))
            return ()

        def let_go(_: int) -> list[Block]:
            given, held[:] = held[:], []
            return given

        world.scripts["hop"] = hold
        world.watermarks["hop"] = let_go
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        run(engine, clock)

        assert breaches(engine) == [("hop", GIVES, "probe.value.again")]
        assert world.metrics() == {"probe.value"}

    def test_a_lie_that_begins_later_is_seen_soon(self, tmp_path: Path, clock: Still) -> None:
        """By the sample at the latest, which is no chance: every so-manieth block."""
        blocks = 0

        def later(selections: Any, block: Any) -> Any:
            nonlocal blocks
            blocks += 1
            return liars.infinite(selections, block) if blocks > 3 else liars.again(selections, block)

        world.scripts["hop"] = later
        engine = started(chain(tmp_path, source(), filter_("hop", rule("probe.*", AGAIN)), output()), clock)
        for _ in range(2 * EVERY):
            engine.hand_over()
            engine.tick(clock.advance(100))
        run(engine, clock)

        assert breaches(engine) == [("hop", GIVES, "probe.value.again")]
        assert blocks == EVERY


class TestOutputs:
    """An output has what others have, too."""

    def test_an_output_that_writes_to_its_batch(self, tmp_path: Path, clock: Still) -> None:
        """It is named and left out."""
        world.scripts["sink"] = liars.written
        parts = [source(), filter_("a", rule("probe.*", AGAIN)), output(), output("second")]
        engine = started(chain(tmp_path, *parts), clock)
        run(engine, clock)

        ((instance, clause, _),) = breaches(engine)
        assert (instance, clause) == ("sink", "needs.metrics")
        assert engine.faults[0].facts["hop"] == "3"
        assert engine.outputs[0].violations == 1
        assert engine.failed


class TestSampler:
    """Who is looked at is no chance, and costs no more where blocks are large."""

    def test_the_first_of_each_layout_and_every_so_manieth(self) -> None:
        """Layouts that take turns all get theirs."""
        layouts = [_layout(name) for name in ("a", "b", "c")]
        sampler = Sampler()

        looked = [number for number in range(9 * EVERY) if sampler.due(layouts[number % 3])]

        assert looked[:3] == [0, 1, 2]
        assert looked[3:] == [number * EVERY - 1 for number in range(1, 10)]
        assert {number % 3 for number in looked[3:]} == {0, 1, 2}

    def test_who_was_caught_is_looked_at_always(self) -> None:
        """Whoever lied once may lie again."""
        sampler = Sampler()
        layout = _layout("a")
        sampler.due(layout)
        sampler.suspect = True

        assert all(sampler.due(layout) for _ in range(EVERY))

    def test_memory_does_not_grow_with_layouts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Things that come and go make new ones for as long as meter runs."""
        monkeypatch.setattr(sampling, "LAYOUTS", 4)
        sampler = Sampler()

        assert all(sampler.due(_layout(f"m{number}")) for number in range(20))
        assert len(sampler._known) == 4

    def test_of_a_large_block_all_rows_have_their_turn(self) -> None:
        """A lie in one of a million cells is found in the end."""
        rows, columns = 10_000, 10
        sampler, layout = Sampler(), _layout("a")
        seen: set[int] = set()
        for _ in range(rows * columns // sampling.CELLS + 1):
            sampler.due(layout)
            some = range(rows)[sampler.rows(rows * columns)]
            assert len(some) * columns <= 2 * sampling.CELLS
            seen |= {*some}

        assert len(seen) == rows


class TestScrutiny:
    """What is looked at is what has a key, and what is right is accepted."""

    def test_columns_without_a_key_are_nobodys(self) -> None:
        """What was dropped before may hold anything."""
        one, two = _key("a"), _key("b")
        whole = _block([one, two], [[1.0, np.inf]])

        verify_gaps("f", whole.select(whole.layout.restrict(Layout.of([one]).keys)), Sampler())

    def test_gaps_that_are_marked_are_right(self) -> None:
        """As NaN, or in integers as 0."""
        floats, whole = _key("a"), _key("b", "i64")
        times = np.array([1])
        mask = np.ones((1, 1), bool)
        values = (np.full((1, 1), np.nan), np.zeros((1, 1), np.int64))

        verify_gaps("f", Block(Layout.of([floats, whole]), times, times, values, (mask, mask)), Sampler())

    def test_times_that_follow_each_other_are_right(self) -> None:
        """Also in several blocks, and in blocks between which others' fall."""
        given = Given()
        key = _key("a")
        for times in ([1, 4], [5, 9], [2, 3], [6]):
            block = _block([key], [[1.0]] * len(times), times)
            verify_spans("f", block)
            given.add("f", block, closely=True)

    def test_what_nobody_wrote_to_is_as_it_was(self) -> None:
        """NaN is equal to itself here."""
        block = _block([_key("a")], [[np.nan]])
        imprint = Imprint(block, Sampler())

        imprint.verify("f")


def _key(name: str, type_: str = "f64") -> Key:
    return Key.make(Metric(name, type_, "1", "gauge", additive=False))


def _layout(name: str) -> Layout:
    return Layout.of([_key(name)])


def _block(keys: list[Key], rows: list[list[float]], times: list[int] | None = None) -> Block:
    ts = np.array(times or range(len(rows)), np.int64)
    return Block(Layout.of(keys), ts, ts, (np.array(rows),))
