"""What a source may give, and how a poll becomes rows."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import Any

import pytest

from meter.contracts.variants import Variant
from meter.core.breach import ContractBreach
from meter.core.plugin import Missing
from meter.core.readings import BoundSourceContext, ColumnSpec, Declared, Readings


def shape(metric: str, type_: str = "f64", **fields: Any) -> Variant:
    """A variant with what a test says about it."""
    return Variant(
        metric,
        type_,
        unit="1",
        kind="gauge",
        additive=False,
        **{"resource": frozenset({"machine"}), "consumer": frozenset({"machine"}), **fields},
    )


DECLARED = [
    shape("load", origin="sensor", interval=5),
    shape("count", "u64"),
    shape("offset", "i64"),
    shape(
        "time",
        resource=frozenset({"cpu_core"}),
        consumer=frozenset({"machine", "process"}),
        attributes=(("cpu.mode", frozenset({"user", "system"})),),
    ),
    shape("energy", resource=frozenset({"cpu_package"}), attributes=(("domain", frozenset({"package", "core"})),)),
    shape("energy", resource=frozenset({"dram"}), attributes=(("domain", frozenset({"dram"})),)),
    shape("note", attributes=(("a", None), ("b", None))),
]


@pytest.fixture
def declared() -> Declared:
    """What the instance `sensor#x` declares."""
    return Declared("sensor#x", DECLARED)


@pytest.fixture
def readings(declared: Declared) -> Readings:
    """Its readings, in a poll at 1000 ns."""
    readings = Readings(declared)
    readings.begin(1_000)
    return readings


class TestDeclared:
    """What lies in the declaration gives keys, everything else a breach that names it."""

    def test_kinds_default_to_the_only_declared_one(self, declared: Declared) -> None:
        """A plugin need not repeat what its contract says."""
        key = declared.key("time", "3", consumer="machine", attributes={"cpu.mode": "user"})

        assert key.resource == ("cpu_core", "3")
        assert key.consumer == ("machine", "")
        assert key.attributes == (("cpu.mode", "user"),)

    def test_a_key_has_the_metric_of_its_variant(self, declared: Declared) -> None:
        """Unit, kind and the rest come from the plan and not from the plugin."""
        metric = declared.key("load").metric

        assert metric == ("load", "f64", "1", "gauge", False, "measured", 5, "sensor", frozenset(), "")

    def test_equal_words_give_the_identical_key(self, declared: Declared) -> None:
        """The check is paid once for each series."""
        first = declared.key("note", attributes={"a": "1", "b": "2"})

        assert declared.key("note", attributes={"a": "1", "b": "2"}) is first
        assert declared.key("note", attributes={"b": "2", "a": "1"}) == first

    @pytest.mark.parametrize(
        ("asked", "clause", "words"),
        [
            (("lode",), "", ["`lode` is not declared", "nearest is `load`"]),
            (("xyz",), "", ["`xyz` is not declared"]),
            (("load", None, None, "cpu_core"), "resource", ["`cpu_core`"]),
            (("time", "0", "1", None, "proces"), "consumer", ["`proces`", "nearest is `process`"]),
            (("time", "0"), "consumer", ["`machine`, `process`"]),  # two kinds: say which
            (("energy", "0"), "resource", ["`cpu_package`, `dram`"]),
            (("load", "0"), "resource", ["has no id", "`0`"]),
            (("time", None, None, None, "machine"), "resource", ["needs the id", "`cpu_core`"]),
            (("time", 0, None, None, "machine"), "resource", ["`0`, an id is text"]),
            (("time", "0", None, None, "process"), "consumer", ["needs the id", "`process`"]),
            (("time", "0", None, None, "machine"), "attributes", ["without its attribute `cpu.mode`"]),
            (("load", None, None, None, None, {"cpu": "1"}), "attributes", ["attribute `cpu`"]),
            (
                ("time", "0", None, None, "machine", {"cpu.mod": "user"}),
                "attributes",
                ["attribute `cpu.mod`", "nearest is `cpu.mode`"],
            ),
            (
                ("time", "0", None, None, "machine", {"cpu.mode": "users"}),
                "attributes",
                ["value `users` of `cpu.mode`", "nearest is `user`"],
            ),
            (("note", None, None, None, None, {"a": "1", "b": 2}), "attributes", ["`2`, a value is text"]),
            (
                # each word is declared, but not together
                ("energy", "0", None, "dram", None, {"domain": "core"}),
                "attributes",
                ["`domain=core` with resource kind `dram`"],
            ),
        ],
    )
    def test_what_is_not_declared_is_a_breach(
        self, declared: Declared, asked: tuple[Any, ...], clause: str, words: list[str]
    ) -> None:
        """The breach names the instance, the clause, what was given, and the nearest declared word."""
        with pytest.raises(ContractBreach) as caught:
            declared.key(*asked)

        assert caught.value.label == "sensor#x"
        assert caught.value.clause == "provides.metrics" + ("." + clause if clause else "")
        assert [word for word in words if word not in caught.value.detail] == []

    @pytest.mark.parametrize("quality", ["measured", "derived", "estimated"])
    def test_a_series_may_be_of_worse_quality_than_the_others(self, quality: str) -> None:
        """One thing has a counter, that of another has to be computed: its series says so, and why."""
        declared = Declared("sensor#x", DECLARED, qualities=("measured", "derived", "estimated"))

        key = declared.columns([ColumnSpec("load", quality=quality, reason="no counter")]).keys[0]

        assert (key.metric.quality, key.metric.reason) == (quality, "no counter")
        assert declared.key("load").metric[:8] == declared.key("load", quality="measured").metric[:8]

    def test_a_series_may_become_worse(self) -> None:
        """From then on its columns say so, and those that had been declared before stay as they were."""
        declared = Declared("sensor#x", DECLARED, qualities=("measured", "derived", "estimated"))
        before = declared.columns([ColumnSpec("load")])
        after = declared.columns([ColumnSpec("load", quality="derived", reason="extrapolated")])

        assert before.keys[0].metric.quality == "measured"
        assert (after.keys[0].metric.quality, after.keys[0].metric.reason) == ("derived", "extrapolated")

    @pytest.mark.parametrize(("declares", "says"), [("estimated", "measured"), ("measured", "guessed")])
    def test_no_series_is_better_than_its_contract(self, declares: str, says: str) -> None:
        """Nor of a quality that there is not."""
        shapes = [shape._replace(quality=declares) for shape in DECLARED]
        declared = Declared("sensor#x", shapes, qualities=("measured", "derived", "estimated"))

        with pytest.raises(ContractBreach, match=f"`load` is said to be `{says}`") as caught:
            declared.columns([ColumnSpec("load", quality=says)])

        assert caught.value.clause == "provides.metrics.quality"

    def test_equal_series_give_the_identical_columns(self, declared: Declared) -> None:
        """What was prepared for columns is found again by identity; a plain tuple is a spec too."""
        specs = [ColumnSpec("load"), ColumnSpec("count")]

        columns = declared.columns(specs)

        assert [key.metric.name for key in columns.keys] == ["load", "count"]
        assert declared.columns([("load",), ("count",)]) is columns  # type: ignore[list-item]
        assert declared.columns(reversed(specs)) is not columns

    def test_a_row_has_no_column_twice(self, declared: Declared) -> None:
        """A series has one value in a row."""
        with pytest.raises(ContractBreach, match="two columns for `load"):
            BoundSourceContext(declared).columns([ColumnSpec("count"), ColumnSpec("load"), ColumnSpec("load")])

    def test_memory_does_not_grow_with_short_lived_objects(self, declared: Declared) -> None:
        """Ids come and go for as long as meter runs; a key that is made again is an equal one."""
        first = declared.key("time", "0", consumer="machine", attributes={"cpu.mode": "user"})
        for number in range(1, 40_000):
            declared.key("time", str(number), consumer="machine", attributes={"cpu.mode": "user"})
        for number in range(100):
            declared.columns([ColumnSpec("time", str(number), None, None, "machine", {"cpu.mode": "user"})])

        assert len(declared._keys) <= 1 << 15
        assert len(declared._columns) <= 64
        assert declared.key("time", "0", consumer="machine", attributes={"cpu.mode": "user"}) == first


class TestReadings:
    """A poll becomes rows."""

    def test_what_is_emitted_becomes_one_row(self, readings: Readings) -> None:
        """Values of one poll stand together, in the order given, and the first poll spans nothing."""
        readings.emit("load", 0.5)
        readings.emit("count", 3)

        (row,) = readings.take()

        assert [key.metric.name for key in row.columns.keys] == ["load", "count"]
        assert (row.ts, row.since, list(row.values)) == (1_000, 1_000, [0.5, 3])

    def test_a_row_starts_at_the_previous_good_poll(self, readings: Readings) -> None:
        """A poll that failed is not there: the next one covers its time too."""
        readings.emit("load", 1.0)
        readings.take()

        readings.begin(2_000)
        readings.emit("load", 2.0)
        readings.drop()
        readings.begin(3_000)
        readings.emit("load", 3.0)
        (row,) = readings.take()

        assert (row.since, row.ts, list(row.values)) == (1_000, 3_000, [3.0])

    def test_a_good_poll_may_be_empty(self, readings: Readings) -> None:
        """With exactly two polls of a delta one row covers the whole span."""
        assert readings.take() == []

        readings.begin(2_000)
        readings.emit("load", 1.0)

        assert [row.since for row in readings.take()] == [1_000]

    def test_a_steady_set_gives_identical_columns(self, readings: Readings) -> None:
        """What a block needs is prepared once and not at each poll."""
        seen = []
        for ts in (1_000, 2_000, 3_000):
            readings.begin(ts)
            readings.emit("load", 1.0)
            readings.emit("count", 1)
            seen += [row.columns for row in readings.take()]

        assert len(seen) == 3
        assert len({id(columns) for columns in seen}) == 1

    def test_spans_are_kept_apart(self, readings: Readings) -> None:
        """What began later is a row of its own."""
        readings.emit("load", 1.0)
        readings.emit("count", 1, since=400)
        readings.emit("offset", 1)

        rows = [(row.since, list(row.values)) for row in readings.take()]

        assert rows == [(1_000, [1.0, 1]), (400, [1])]

    def test_a_span_does_not_start_after_its_poll(self, readings: Readings) -> None:
        """A row never has a negative length."""
        with pytest.raises(ContractBreach, match="starts 1 ns after"):
            readings.emit("load", 1.0, since=1_001)

    def test_one_series_has_one_value_in_a_poll(self, readings: Readings) -> None:
        """Also where the second one says another span."""
        readings.emit("load", 1.0)

        with pytest.raises(ContractBreach, match="given twice"):
            readings.emit("load", 1.0, since=10)

    @pytest.mark.parametrize("order", [("row", "emit"), ("row", "row"), ("emit", "row")])
    def test_one_series_is_in_one_row(self, readings: Readings, order: tuple[str, ...]) -> None:
        """However the two were given, and at each poll."""
        give = {
            "row": lambda: readings.row(readings.columns([ColumnSpec("load")]), [1.0]),
            "emit": lambda: readings.emit("load", 1.0),
        }
        for ts in (1_000, 2_000):
            readings.begin(ts)
            for form in order:
                give[form]()
            with pytest.raises(ContractBreach, match="given twice"):
                readings.take()

    def test_rows_and_single_values_go_together(self, readings: Readings) -> None:
        """Rows come first."""
        for ts in (1_000, 2_000):
            readings.begin(ts)
            readings.emit("load", 1.0)
            readings.row(readings.columns([ColumnSpec("count")]), [2], since=5)
            assert [(row.since, list(row.values)) for row in readings.take()] == [(5, [2]), (1_000, [1.0])]

    def test_a_row_has_a_value_for_each_column(self, readings: Readings) -> None:
        """Neither more nor fewer."""
        with pytest.raises(ContractBreach, match="2 columns got 1 value"):
            readings.row(readings.columns([ColumnSpec("load"), ColumnSpec("count")]), [1.0])

    def test_a_row_without_columns_is_none(self, readings: Readings) -> None:
        """A source with nothing to say says nothing."""
        readings.row(readings.columns([]), [])

        assert readings.take() == []

    @pytest.mark.parametrize(
        ("metric", "value"),
        [
            ("load", True),  # a flag is not 1
            ("load", "1"),
            ("load", b"1"),
            ("load", [1.0]),
            ("load", 1j),
            ("count", -1),
            ("count", 2**64),
            ("count", 1.0),  # an integer keeps all its bits, a float does not
            ("count", False),
            ("offset", 2**63),
            ("offset", -(2**63) - 1),
            ("offset", 0.5),
        ],
    )
    def test_a_value_that_does_not_fit_is_a_breach(self, readings: Readings, metric: str, value: Any) -> None:
        """In both forms, and before it can reach anybody else."""
        with pytest.raises(ContractBreach) as emitted:
            readings.emit(metric, value)
        with pytest.raises(ContractBreach) as given:
            readings.row(readings.columns([ColumnSpec(metric)]), [value])

        assert emitted.value.clause == given.value.clause == "provides.metrics.type"
        assert readings.take() == []

    @pytest.mark.parametrize(
        ("metric", "value"),
        [
            ("load", 1),
            ("load", Fraction(1, 3)),
            ("load", float("nan")),
            ("load", float("inf")),
            ("load", None),
            ("load", Missing("EIO")),
            ("count", 0),
            ("count", 2**64 - 1),
            ("count", None),
            ("count", float("nan")),
            ("count", Missing("EIO")),
            ("offset", -(2**63)),
        ],
    )
    def test_numbers_and_what_is_missing_pass_unchanged(self, readings: Readings, metric: str, value: Any) -> None:
        """Missing stays missing and never becomes 0; a number is the same one, as a float in a column of these."""

        def same(got: object) -> bool:
            return got is value or repr(got) == repr(float(value) if metric == "load" else value)

        readings.emit(metric, value)
        (row,) = readings.take()
        assert same(row.values[0])

        readings.begin(2_000)
        readings.row(readings.columns([ColumnSpec(metric)]), (value,))
        (row,) = readings.take()
        assert same(row.values[0])

    def test_an_unfinished_poll_leaves_nothing(self, readings: Readings) -> None:
        """A source that raised in the middle does not disturb its next poll."""
        readings.emit("load", 1.0)
        readings.begin(2_000)
        readings.emit("load", 2.0)

        assert [list(row.values) for row in readings.take()] == [[2.0]]

    def test_numbers_of_numpy_pass(self, readings: Readings) -> None:
        """A source that computes with numpy need not convert."""
        numpy = pytest.importorskip("numpy")
        readings.emit("load", numpy.float32(0.5))
        readings.emit("count", numpy.uint64(2**63))
        (row,) = readings.take()

        assert list(row.values) == [0.5, 2**63]
        with pytest.raises(ContractBreach):
            readings.emit("load", numpy.bool_(1))


def test_a_row_is_what_it_was_when_it_was_given(readings: Readings) -> None:
    """A source may fill the same list at each poll."""
    values = [1.0]
    readings.row(readings.columns([ColumnSpec("load")]), values)
    values[0] = 2.0
    assert [list(row.values) for row in readings.take()] == [[1.0]]


class TestManyIntegers:
    """A row with so many integers that they are looked at together."""

    @staticmethod
    def row(wrong: object) -> list[Any]:
        """What is left of a row whose 31st number is this."""
        counts = Declared("many", [shape("count", "u64", attributes=(("of", None),)), shape("load")])
        readings = Readings(counts, tolerated=lambda _: True)
        readings.begin(1_000)
        specs = [ColumnSpec("count", attributes={"of": str(number)}) for number in range(40)]
        readings.row(readings.columns([*specs, ColumnSpec("load")]), [*range(30), wrong, *range(9), 0.5])
        (row,) = readings.take()
        return list(row.values)

    @pytest.mark.parametrize("right", [0, 2**64 - 1, None])
    def test_what_fits_stays(self, right: object) -> None:
        """The least, the greatest, and what is missing."""
        assert self.row(right)[30] == right

    @pytest.mark.parametrize("wrong", [-1, 2**64, True, "1"])
    def test_one_that_does_not_fit_is_missing(self, wrong: object) -> None:
        """And no other."""
        found = self.row(wrong)

        assert isinstance(found[30], Missing)
        assert [*found[:30], *found[31:]] == [*range(30), *range(9), 0.5]


def test_polling_needs_neither_numpy_nor_attrs() -> None:
    """A source starts before the pipeline exists, so its imports are those of every short run."""
    imports = "import meter.core.readings, meter.core.counters, meter.plugins.cpu.plugin, meter.plugins.process.plugin"
    code = f"{imports}, sys\nprint(sorted(sys.modules.keys() & {{'numpy', 'attr', 'attrs', 'cattrs', 'difflib'}}))"
    path = [entry for entry in sys.path if entry]

    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
