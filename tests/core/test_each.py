"""Rows of things that come and go: one layout for all of them, and the same numbers as with keys of their own."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core.batch import Anchor, Batch, Block
from meter.core.breach import ContractBreach
from meter.core.building import build
from meter.core.discovery import discover
from meter.core.engine import Engine
from meter.core.keys import MACHINE, Key, Metric
from meter.core.layout import Layout
from meter.core.plugin import EACH, Missing
from meter.core.polling import Raw
from meter.core.readings import Columns, ColumnSpec, Readings, Row
from tests.core import liars
from tests.fake import SECOND, declared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROPERTY = settings(derandomize=True, deadline=None)
TIME = Metric("process.cpu.time", "f64", "s", "delta", additive=True)
MEMORY = Metric("process.memory.usage", "u64", "By", "gauge", additive=False)


def of(thing: str, metric: Metric, **attributes: str) -> Key:
    """The series of a process."""
    return Key.make(metric, MACHINE, ("process", thing), attributes)


EACH_KEY = (of(EACH, TIME, mode="user"), of(EACH, TIME, mode="system"), of(EACH, MEMORY))


def plain(value: object) -> object:
    """A value that compares."""
    return ("missing", value.reason) if isinstance(value, Missing) else value


def cells(*blocks: Block) -> list[tuple[int, int, str, object]]:
    """Span, name and value of each cell, sorted."""
    return sorted(
        (int(block.ts[row]), int(block.since[row]), key.name, plain(value))
        for block in blocks
        for row, key, value in block.points()
    )


@st.composite
def polls(draw: st.DrawFn) -> list[dict[str, list[Any]]]:
    """Some polls, with the values of the things that there are at each."""
    gap = st.sampled_from([None, Missing("EACCES")])
    values = st.tuples(st.floats(0, 1e6) | gap, st.floats(0, 1e6) | gap, st.integers(0, 2**64 - 1) | gap).map(list)
    return draw(st.lists(st.dictionaries(st.sampled_from(["7", "12", "a/b", "%"]), values), max_size=4))


def of_each(given_: list[dict[str, list[Any]]]) -> list[Row]:
    """The polls as rows of each."""
    columns = Columns(EACH_KEY)
    return [
        Row(columns, (at + 1) * SECOND, at * SECOND, values, thing)
        for at, things in enumerate(given_)
        for thing, values in things.items()
    ]


def of_own(given_: list[dict[str, list[Any]]]) -> list[Row]:
    """The same as rows whose keys name the thing."""
    return [
        Row(Columns(tuple(key.at(row.id) for key in EACH_KEY)), row.ts, row.since, row.values)
        for row in of_each(given_)
    ]


class TestBlocks:
    """The block of such rows."""

    @PROPERTY
    @given(polls())
    def test_they_are_what_rows_with_own_keys_would_be(self, given_: list[dict[str, list[Any]]]) -> None:
        """Every span, key, value and reason."""
        assert cells(*build(of_each(given_))) == cells(*build(of_own(given_)))

    @PROPERTY
    @given(polls())
    def test_parted_they_are_the_same(self, given_: list[dict[str, list[Any]]]) -> None:
        """A block for each thing, which is sound, with its own keys and without ids."""
        blocks = build(of_each(given_))
        parted = [part for block in blocks for part in block.spread()]

        assert cells(*parted) == cells(*blocks)
        for part in parted:
            part.verify()
            assert part.ids is None
            assert len({key.consumer for key in part.layout.keys}) == 1

    @PROPERTY
    @given(polls())
    def test_they_survive_pickling(self, given_: list[dict[str, list[Any]]]) -> None:
        """To another process, say."""
        blocks = build(of_each(given_))

        assert cells(*pickle.loads(pickle.dumps(blocks))) == cells(*blocks)

    def test_one_layout_has_all_of_them(self) -> None:
        """Whoever comes or goes."""
        (first,) = build(of_each([{"7": [1.0, 2.0, 3]}]))
        (second,) = build(of_each([{"8": [1.0, 2.0, 3], "9": [1.0, 2.0, 3]}]))

        assert first.layout is second.layout
        assert second.ids == ("8", "9")

    def test_no_thing_has_two_rows_at_one_time(self) -> None:
        """Of the same columns."""
        with pytest.raises(ValueError, match=r"process/.*7.* occurs twice"):
            build([*of_each([{"7": [1.0, 2.0, 3]}]), *of_each([{"7": [1.0, 2.0, 3]}])])

    def test_ids_without_keys_of_each_are_no_block(self) -> None:
        """Nor keys of each without ids, nor too few of them."""
        (block,) = build(of_each([{"7": [1.0, 2.0, 3], "8": [1.0, 2.0, 3]}]))
        (own,) = build(of_own([{"7": [1.0, 2.0, 3]}]))
        for wrong in (block.rows_of(None), block.rows_of(("7",)), own.rows_of(("7",))):
            with pytest.raises(ValueError, match="ids of"):
                wrong.verify()

    def test_rows_of_other_things_do_not_join(self) -> None:
        """Even at equal times."""
        (block,) = build(of_each([{"7": [1.0, 2.0, 3]}]))
        other = Block(block.layout, block.ts, block.since, block.parts, block.masks, {}, ("8",))
        with pytest.raises(ValueError, match="same spans"):
            block.join(other)


class TestReadings:
    """What a source may give."""

    def given(self, *rows: tuple[list[ColumnSpec], str]) -> list[Row]:
        """A poll of the contract of `process` with these rows, each of ones."""
        known = declared("process")
        readings = Readings(known)
        readings.begin(SECOND)
        for specs, thing in rows:
            columns = known.columns(specs)
            readings.row(columns, [1] * len(columns.keys), of=thing)
        return readings.take()

    def test_a_row_says_of_which(self) -> None:
        """By the id that it was given."""
        spec = ColumnSpec("process.thread.count", consumer_id=EACH)

        assert [row.id for row in self.given(([spec], "7"), ([spec], "8"))] == ["7", "8"]

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([(EACH, "")], "the row of `process.thread.count for each process` names none of them: its id is ''"),
            ([(EACH, EACH)], "names none of them"),
            ([("7", "8")], "a row of `process.thread.count for process/7` got the id '8', and its columns are not"),
            ([(EACH, "7"), (EACH, "7")], "`process.thread.count for process/7` was given twice"),
            ([("7", ""), (EACH, "7")], "`process.thread.count for process/7` was given twice"),
        ],
    )
    def test_what_is_not_one_row_for_each_thing_is_a_breach(self, rows: list[tuple[str, str]], said: str) -> None:
        """It names the series."""
        with pytest.raises(ContractBreach) as caught:
            self.given(*[([ColumnSpec("process.thread.count", consumer_id=id_)], thing) for id_, thing in rows])

        assert said in caught.value.detail

    def test_two_kinds_of_rows_may_not_share_a_series(self) -> None:
        """For one thing; for different ones they may."""
        one, other = [ColumnSpec(name, consumer_id=EACH) for name in ("process.thread.count", "process.memory.usage")]

        assert len(self.given(([one, other], "7"), ([one], "8"))) == 2
        with pytest.raises(ContractBreach) as caught:
            self.given(([one, other], "7"), ([one], "7"))
        assert "`process.thread.count for process/7` was given twice" in caught.value.detail

    def test_columns_are_of_each_all_or_none(self) -> None:
        """A row cannot be of a thing in one column only."""
        with pytest.raises(ContractBreach) as caught:
            self.given(
                (
                    [
                        ColumnSpec("process.thread.count", consumer_id=EACH),
                        ColumnSpec("process.memory.usage", consumer_id="7"),
                    ],
                    "7",
                )
            )
        assert "a column `process.memory.usage for process/7`, which is not of each" in caught.value.detail

    def test_a_single_value_names_its_thing(self) -> None:
        """`emit` has no row to say it."""
        readings = Readings(declared("process"))
        readings.begin(SECOND)
        readings.emit("process.thread.count", 1, consumer_id=EACH)

        with pytest.raises(ContractBreach) as caught:
            readings.take()
        assert "names none of them" in caught.value.detail


class TestChain:
    """Filters and outputs, whatever they know of it."""

    @staticmethod
    def engine(folder: Path, *words: str) -> Engine:
        """A started chain of the source `process`."""
        sentence = ["process", "tree=0", "io=true", *words]
        request, wrong = from_words("/each", sentence, ["meter", "mount", "/each", *sentence])
        assert request is not None, wrong
        catalogue = discover(installed=False).catalogue
        plan = check(request, catalogue, Assumed()).require().document
        contracts = {each["plugin"]: catalogue.entries[each["plugin"]][0].path for each in plan["plugins"]}
        engine = Engine(plan, contracts, folder=folder)
        engine.start()
        return engine

    @staticmethod
    def polls(engine: Engine, *, own: bool) -> Iterator[Raw]:
        """Three polls of processes that come and go; with keys of their own, or of each."""
        readings = engine.sources[0].readings
        for number, things in enumerate([["7", "8"], ["8", "a/b"], ["8", "a/b", "9"]], start=1):
            readings.begin(number * SECOND)
            for at, thing in enumerate(things):
                id_ = thing if own else EACH
                specs = [
                    ColumnSpec("process.cpu.time", consumer_id=id_, attributes={"cpu.mode": "user"}),
                    ColumnSpec("process.cpu.time", consumer_id=id_, attributes={"cpu.mode": "system"}),
                    ColumnSpec("process.memory.usage", consumer_id=id_),
                    ColumnSpec("process.disk.io", consumer_id=id_, attributes={"disk.io.direction": "read"}),
                ]
                values = [number + at, 0.5 * at, 100 * at, Missing("EACCES") if at == 1 else number]
                readings.row(readings.columns(specs), values, of="" if own else thing, since=number * SECOND - 9 - at)
            yield Raw([("process", readings.take())], (0, 0))

    @pytest.mark.parametrize(
        "words",
        [
            ["convert", "metrics=process.cpu.time", "unit=ms"],
            ["rate", "metrics=process.*{kind=delta}"],
            ["annotate", "attributes=site=lab"],
            ["select", "drop=process.memory.*"],
            ["accumulate", "metrics=process.cpu.time"],
            ["accumulate", "metrics=process.cpu.time", "rate#again", "metrics=*{kind=counter}"],
            ["dedupe", "metrics=process.memory.usage"],
            ["aggregate", "metrics=process.cpu.time", "function=sum", "over=cpu.mode"],
            ["aggregate", "metrics=process.cpu.time", "function=sum", "over=consumer", "over=cpu.mode"],
            [
                "convert",
                "metrics=process.cpu.time",
                "unit=ms",
                "aggregate",
                "metrics=*{unit=ms}",
                "function=sum",
                "over=cpu.mode",
            ],
        ],
    )
    @pytest.mark.parametrize("sink", [["csv", "path=out"], ["jsonl", "path=out"]])
    def test_the_file_is_the_same(self, words: list[str], sink: list[str], tmp_path: Path) -> None:
        """Line for line, in some order."""
        files = []
        for own in (True, False):
            folder = tmp_path / str(own)
            folder.mkdir()
            engine = self.engine(folder, *words, *sink)
            batches = [(engine.blocks(raw), raw.anchor) for raw in self.polls(engine, own=own)]
            batches.append(([made for each in engine.filters for made in each.filter.finish()], (0, 0)))
            (out,) = engine.outputs
            for seq, (blocks, anchor) in enumerate(batches):
                parts = tuple([part for block in blocks for part in out.parts(block)])
                out.output.write(Batch(parts, Anchor(*anchor), seq))
            assert engine.faults == []
            engine.stop()
            files.append(sorted((folder / "out").read_text().splitlines()))

        assert files[0] == files[1]
        assert len(files[0]) > 5

    @pytest.mark.parametrize("takes_ids", [True, False])
    def test_an_output_gets_what_it_knows_how_to_read(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        takes_ids: bool,  # noqa: FBT001  (a parameter of pytest)
    ) -> None:
        """Rows of many things together, or a block for each of them, through the threads of a run."""
        monkeypatch.setattr(liars.Sink, "takes_ids", takes_ids)
        liars.world.reset()
        clock = liars.Still()
        given = liars.metric("probe.value", more='consumer = ["process"]')

        def poll(out: Readings) -> None:
            columns = out.columns([ColumnSpec("probe.value", consumer_id=EACH)])
            for thing in ("7", "8"):
                out.row(columns, [1.0], of=thing)

        liars.world.scripts["probe"] = poll
        engine = liars.started(liars.chain(tmp_path, liars.source("probe", given), liars.output()), clock)
        liars.run(engine, clock)

        blocks = [block for batch in liars.world.batches["sink"] for block in batch.blocks]
        assert engine.faults == []
        assert {block.ids is None for block in blocks} == {not takes_ids}
        assert {key.consumer[1] for block in blocks for _, key, _ in block.points()} == {"7", "8"}

    def test_what_works_row_by_row_is_called_once(self, tmp_path: Path) -> None:
        """However many things there are; what does not is called for each."""
        blocks = {}
        for words in (["convert", "metrics=process.cpu.time", "unit=ms"], ["accumulate", "metrics=process.cpu.time"]):
            engine = self.engine(tmp_path, *words, "collect")
            first, *_ = self.polls(engine, own=False)
            blocks[words[0]] = [block.ids for block in engine.blocks(first)]
            engine.stop()

        assert blocks["convert"] == [("7", "8")]
        assert blocks["accumulate"] == [("7", "8"), None, None]

    def test_who_regroups_gets_them_together(self, tmp_path: Path) -> None:
        """A filter that says itself whose each row is; what it gives is of each of these, and passes as such."""
        engine = self.engine(tmp_path, "bridge", "sum=process.cpu.time", "convert", "metrics=*{unit=s}", "unit=ms",
                             "collect")  # fmt: skip
        first, *_ = self.polls(engine, own=False)
        given = [block for block in engine.blocks(first) if block.layout.keys[0].consumer[0] == "cgroup"]
        engine.stop()

        assert engine.faults == []
        assert {key.consumer for block in given for key in block.layout.keys} == {("cgroup", EACH)}
        assert all(block.ids is not None and len(block.ids) == block.rows for block in given)
        assert {name for block in given for name in block.layout.metrics} == {
            "process.cpu.time",
            "process.cpu.time.converted",
        }

    @pytest.mark.parametrize(
        ("resource", "consumer", "parted"),
        [(MACHINE, ("process", EACH), False), (("disk", EACH), ("process", "7"), True)],
    )
    def test_who_regroups_consumers_gets_resources_parted(
        self,
        tmp_path: Path,
        resource: tuple[str, str],
        consumer: tuple[str, str],
        parted: bool,  # noqa: FBT001  (a parameter of pytest)
    ) -> None:
        """It says of processes whose they are, and knows nothing of disks that come and go."""
        engine = self.engine(tmp_path, "bridge", "sum=process.cpu.time", "collect")
        bound, breach = engine.filters[0].bound(Layout.of([Key.make(TIME, resource, consumer)]))
        engine.stop()

        assert (bound.parted, breach) == (parted, None)
