"""Formulas over real series: beside an oracle of fractions, whatever the batches were; and the cases of others."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core import holding
from meter.core.plugin import Missing
from tests.core.formulas import Chain, cells, plan

if TYPE_CHECKING:
    from meter.core.keys import Key
    from meter.core.readings import Row

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
CASES: Final[dict[str, dict[str, Any]]] = {
    case["id"]: case for case in json.loads((Path(__file__).parents[1] / "data" / "joins.json").read_text())["cases"]
}
SECOND = 1_000_000_000
ATTRIBUTION = "hw.energy{domain=package} * sum(process.cpu.time) / sum(system.cpu.time{cpu.mode=user|system})"


class TestCases:
    """What is expected in tests/data/joins.json of energy attribution.

    Alumet's energy is a point, meter's a row that ends there; the interpolated usage is the same.
    """

    def run(self, case: dict[str, Any], together: int | None = None) -> list[Any]:
        """The results of a case: time and value; the first `together` rows are a hand-over of their own."""
        chain = Chain({"e": "hw.energy{domain=package} * share(cpu.usage)"})
        energy, usage = [chain.energy()], [chain.usage(1)]
        given_ = case["given"]
        rows = [
            chain.row(energy, round(at * SECOND) - 1, round(at * SECOND), [float(value)])
            for at, value in given_["energy"]
        ]
        rows += [
            chain.row(usage, round(at * SECOND) - 1, round(at * SECOND), [float(value)])
            for at, value in given_["usage"]["p1"]
        ]
        rows.sort(key=lambda row: row.ts)
        blocks = chain.all(rows[:together], rows[together:]) if together else chain.all(rows)
        return sorted((ts, value) for (_, _, ts), value in cells(blocks).items())

    @pytest.mark.parametrize("name", ["attr-01", "attr-02", "attr-04"])
    @pytest.mark.parametrize("together", [None, 3])
    def test_attribution(self, name: str, together: int | None) -> None:
        """At the times of the energy, with the usage interpolated; nothing outside of its first and last reading."""
        case = CASES[name]
        found = self.run(case, together)
        expect = case["expect"]["results"]["p1"]
        assert [ts for ts, _ in found] == [round(at * SECOND) for at, _ in expect]
        # A share in `%` is brought to 1 before the product, in the case behind it; the last bit may differ.
        assert [value for _, value in found] == pytest.approx([value for _, value in expect], rel=1e-14)

    def test_a_result_has_the_attributes_of_all_inputs(self) -> None:
        """But for those that are pinned to one value, and the summed ones."""
        assert CASES["attr-06"]["expect"]["result_attributes"]["pid"] == 7
        chain = Chain({"e": "hw.energy * process.cpu.time / sum(system.cpu.time)"})
        rows = [
            chain.row([chain.energy()], 0, 10, [1.0]),
            chain.row([chain.process(7)], 0, 10, [1.0]),
            chain.row([chain.system()], 0, 10, [1.0]),
        ]
        (block,) = chain.all(rows)
        (key,) = block.layout.keys
        assert (key.resource, key.consumer) == (("cpu_package", "0"), ("process", "7"))
        assert dict(key.attributes) == {"domain": "package", "cpu.mode": "user"}


# ---------------------------------------------------------------------------------------------------------- the oracle


class Series:
    """Rows of one series: since, ts, and the value, or why it is missing."""

    def __init__(self, rows: list[tuple[int, int, Any]]) -> None:
        self.rows = rows

    def part(self, since: int, ts: int) -> Fraction | str | None:
        """What of it lies in a span; None where it has nothing there."""
        total, there, why = Fraction(0), False, None
        for begin, end, value in self.rows:
            share = Fraction(max(0, min(end, ts) - max(begin, since)), end - begin)
            if share:
                there = True
                if isinstance(value, Missing):
                    why = value.reason
                else:
                    total += share * Fraction(value)
        return why if why is not None else total if there else None


@st.composite
def cadence(draw: st.DrawFn, step: int) -> list[int]:
    """The times of the polls of a source."""
    at = draw(st.integers(0, 12))
    times = [at]
    for _ in range(draw(st.integers(1, 6))):
        at += draw(st.integers(1, step))
        times.append(at)
    return times


def numbers() -> st.SearchStrategy[Any]:
    """Values that are exact as floats; some are missing."""
    return st.integers(0, 8).map(lambda number: Missing("EIO") if number == 0 else number / 4)


World = tuple[list["Row"], dict[str, Series]]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Chain, list[Row], dict[str, Series]]:
    """Energy of two packages, CPU time of two modes and of three processes that come and go, each at its own times."""
    chain = Chain({"e": ATTRIBUTION})
    rows: list[Row] = []
    series: dict[str, Series] = {}

    def add(keys: list[Key], since: int, ts: int) -> None:
        values = [draw(numbers()) for _ in keys]
        rows.append(chain.row(keys, since, ts, values))
        for key, value in zip(keys, values, strict=True):
            series.setdefault(key.said, Series([])).rows.append((since, ts, value))

    polls = draw(cadence(20))
    for since, ts in itertools.pairwise(polls):
        add([chain.energy(0), chain.energy(1)], since, ts)
    polls = draw(cadence(6))
    for since, ts in itertools.pairwise(polls):
        add([chain.system("user"), chain.system("system"), chain.system("idle")], since, ts)
    polls = draw(cadence(9))
    for pid in range(3):
        first, last = sorted(draw(st.tuples(st.integers(1, len(polls) - 1), st.integers(1, len(polls) - 1))))
        if pid == 0:
            first, last = 1, len(polls) - 1  # so that the source has begun with its first poll and ends with its last
        for at in range(first, last + 1):
            since = polls[at - 1]
            if at == first and pid:
                since = draw(st.integers(polls[at - 1], polls[at] - 1))  # born in between
            add([chain.process(pid)], since, polls[at])
    rows.sort(key=polled)
    return chain, rows, series


def polled(row: Row) -> tuple[int, str]:
    """By the poll that a row is of."""
    return row.ts, row.columns.keys[0].metric.origin


def parted(rows: list[Row], data: st.DataObject) -> list[list[Row]]:
    """Rows in any hand-overs; what one poll gave comes together, as it does from the engine."""
    polls = [list(group) for _, group in itertools.groupby(rows, key=polled)]
    hand_overs: list[list[Row]] = [[]]
    for poll in polls:
        hand_overs[-1].extend(poll)
        if data.draw(st.booleans()):
            hand_overs.append([])
    return hand_overs


def expected(series: dict[str, Series]) -> dict[tuple[str, int, int], Any]:
    """What `ATTRIBUTION` is, by hand."""
    groups: dict[str, list[Series]] = {"hw": [], "process": [], "system": []}
    for name, each in series.items():
        groups[name.partition(".")[0]].append(each)
    others = (groups["process"], groups["system"])
    begin = max(min(row[0] for each in group for row in each.rows) for group in others)
    end = min(max(row[1] for each in group for row in each.rows) for group in others)
    found: dict[tuple[str, int, int], Any] = {}
    for package in range(2):
        for since, ts, joules in series[f"hw.energy{{domain=package}} of cpu_package/{package}"].rows:
            low, high = max(since, begin), min(ts, end)
            if low >= high:
                continue
            for pid in range(3):
                own = series.get(f"process.cpu.time{{cpu.mode=user}} for process/{pid}")
                part = None if own is None else own.part(low, high)
                if part is None:
                    continue
                whole = [series[f"system.cpu.time{{cpu.mode={mode}}}"].part(low, high) for mode in ("user", "system")]
                cell = (f"e of cpu_package/{package} for process/{pid}", low, high)
                missing = [each for each in (joules, part, *whole) if isinstance(each, Missing | str)]
                if missing:
                    found[cell] = "(a part is missing: EIO)"
                else:
                    total = sum(each for each in whole if isinstance(each, Fraction))
                    assert isinstance(part, Fraction)
                    energy = Fraction(joules) * Fraction(high - low, ts - since)
                    found[cell] = float(energy * part / total) if total else "(division by zero)"
    return found


@given(worlds(), st.data())
@PROPERTY
def test_attribution_is_what_fractions_say(
    world: tuple[Chain, list[Row], dict[str, Series]], data: st.DataObject
) -> None:
    """Each package and process, at any cadence, with gaps, in any batches; and nothing else."""
    chain, rows, series = world
    hand_overs = parted(rows, data)

    found = cells(chain.all(*hand_overs))

    wanted = expected(series)
    assert found.keys() == wanted.keys()
    for cell, value in wanted.items():
        assert found[cell] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-12, abs=1e-12))


@given(worlds(), st.data())
@PROPERTY
def test_batches_never_change_a_bit(world: tuple[Chain, list[Row], dict[str, Series]], data: st.DataObject) -> None:
    """One hand-over, one for each row, any others, and pieces that were put together before: the very same cells."""
    chain, rows, _ = world
    hand_overs = parted(rows, data)
    with patch.object(holding, "MERGED", data.draw(st.sampled_from([0, 1, 8]))):
        found = cells(chain.all(*hand_overs))

    assert found == cells(Chain({"e": ATTRIBUTION}).all(rows))


def test_the_shares_of_all_processes_are_the_energy() -> None:
    """No joule is lost or counted twice, at cadences that never meet."""
    chain = Chain({"e": "hw.energy{domain=package} * sum(process.cpu.time) / sum(system.cpu.time)"})
    rows = [chain.row([chain.energy()], at, at + 10, [5.0]) for at in range(0, 100, 10)]
    rows += [chain.row([chain.process(1), chain.process(2)], at, at + 3, [at / 10, 3.0]) for at in range(0, 120, 3)]
    rows += [chain.row([chain.system()], at, at + 3, [at / 10 + 3.0]) for at in range(0, 120, 3)]
    rows.sort(key=lambda row: row.ts)

    assert sum(cells(chain.all(rows)).values()) == pytest.approx(50.0, rel=1e-14)


class TestOneBlock:
    """Operands of one block are computed at once."""

    def test_nothing_is_held(self) -> None:
        """The result comes with the row, in the very same rows."""
        chain = Chain({"x": "net.io{way=in} / 2 + net.io{way=out}"})
        keys = [chain.declared["net"].key("net.io", attributes={"way": way}) for way in ("in", "out")]
        (made,) = chain.hand_over([chain.row(keys, 0, 5, [3, 4])], watermark=False)
        assert cells([made]) == {("x", 0, 5): 5.5}

    @pytest.mark.parametrize(
        ("text", "values", "result"),
        [
            ("net.io{way=in} / net.io{way=out}", [1, 0], "(division by zero)"),
            ("net.io{way=in} / net.io{way=out}", [0, 0], "(division by zero)"),
            ("net.io{way=in} * 1e300 * 1e300 / net.io{way=out}", [1, 1], "(too great for a number)"),
            ("net.io{way=in} / net.io{way=out}", [Missing("EIO"), 1], "(a part is missing: EIO)"),
            ("net.io{way=in} / net.io{way=out}", [2**53, 2], 2.0**52),
            ("sum(net.io) / 2", [3, Missing("")], "(a part is missing)"),
            ("(net.io{way=in} - net.io{way=out}) * (1 - 0.5)", [1, 4], -1.5),
            ("sum(net.io)", [3, 5], 8.0),
        ],
    )
    def test_arithmetic(self, text: str, values: list[Any], result: Any) -> None:
        """Numbers, and why there is none."""
        chain = Chain({"x": text})
        keys = [chain.declared["net"].key("net.io", attributes={"way": way}) for way in ("in", "out")]
        assert list(cells(chain.all([chain.row(keys, 0, 5, values)])).values()) == [result]

    @pytest.mark.parametrize(("percent", "result"), [(50.0, 0.5), (100.0, 1.0), (101.0, None), (-1.0, None)])
    def test_a_share_has_a_range(self, percent: float, result: float | None) -> None:
        """What the user asserts is looked at while it runs."""
        chain = Chain({"x": "share(cpu.usage)"})
        (value,) = cells(chain.all([chain.row([chain.usage(1)], 0, 5, [percent])])).values()
        assert value == ("(a share is not between 0 and 1)" if result is None else result)

    def test_a_sum_of_which_a_part_comes_in_another_block_is_whole(self) -> None:
        """A row that makes up for a missing reading has a span of its own."""
        chain = Chain({"x": "sum(net.io)"})
        one, other = (chain.declared["net"].key("net.io", attributes={"way": way}) for way in ("in", "out"))
        blocks = chain.hand_over([chain.row([one, other], 0, 10, [1, Missing("EIO")])])
        blocks += chain.hand_over([chain.row([one], 10, 20, [2]), chain.row([other], 0, 20, [8])])
        found = cells(blocks + chain.finish())
        assert found["x", 0, 10] == "(a part is missing: EIO)"
        assert found["x", 10, 20] == 2 + 4


class TestCadence:
    """Whose rows a result has."""

    def test_a_sum_over_two_sources_has_the_rows_of_its_first_series(self) -> None:
        """What the other one has is split, and nothing is counted twice."""
        chain = Chain({"x": "sum(bus.io)"})
        one = chain.declared["one"].key("bus.io", attributes={"way": "in"})
        two = chain.declared["two"].key("bus.io", attributes={"way": "out"})
        rows = [chain.row([one], at, at + 10, [1.0]) for at in (0, 10, 20)]
        rows += [chain.row([two], since, ts, [value]) for since, ts, value in ((0, 5, 4.0), (5, 25, 8.0), (25, 30, 2))]
        rows.sort(key=polled)
        found = cells(chain.all(*([row] for row in rows)))
        assert found == {("x", 0, 10): 1 + 4 + 2, ("x", 10, 20): 1 + 4, ("x", 20, 30): 1 + 2 + 2}

    def test_gauges_alone_have_the_rows_of_the_slowest(self) -> None:
        """The other one is interpolated; outside of its readings there is no result."""
        chain = Chain({"x": "share(cpu.usage) * load"})
        rows = [chain.row([chain.usage(1)], at - 10, at, [50.0]) for at in (5, 15, 25)]
        rows += [chain.row([chain.load()], at - 10, at, [float(at)]) for at in (10, 20)]
        rows.sort(key=polled)
        assert cells(chain.all(rows)) == {("x for process/1", 5, 15): 7.5}

    def test_the_order_of_factors_changes_nothing(self) -> None:
        """The slowest delta leads wherever it stands."""
        texts = ("sum(process.cpu.time) / sum(system.cpu.time) * hw.energy{domain=package}", ATTRIBUTION)
        leads = [plan((("e", text),)) for text in texts]
        rules = [
            next(each for each in document["plugins"] if each["instance"] == "f")["rules"][0] for document in leads
        ]
        leading = [rule["select"][rule["computes"]["lead"]] for rule in rules]
        assert leading == ["hw.energy{domain=package}"] * 2

    def test_only_what_deltas_cover_is_given(self) -> None:
        """The first and the last row are cut, and their energy with them."""
        chain = Chain({"e": ATTRIBUTION})
        rows = [chain.row([chain.energy()], at, at + 10, [10.0]) for at in (0, 10)]
        rows += [chain.row([chain.process(1)], 4, 18, [7.0]), chain.row([chain.system()], 2, 30, [28.0])]
        rows.sort(key=polled)
        of = "e of cpu_package/0 for process/1"
        assert cells(chain.all(rows)) == {(of, 4, 10): pytest.approx(3.0), (of, 10, 18): pytest.approx(4.0)}


class TestHeld:
    """What waits for others."""

    def test_memory_is_bounded_where_an_operand_never_comes(self) -> None:
        """Energy without any CPU time."""
        chain = Chain({"e": ATTRIBUTION})
        for at in range(500):
            chain.hand_over([chain.row([chain.energy()], at * SECOND, (at + 1) * SECOND, [1.0])])
        (computation,) = chain.filter._computations.values()  # type: ignore[attr-defined]  # what else shows memory?
        held = [entry.held.rows.ts for entry in computation._inputs.values()]
        held += [entry.waiting.rows.ts for entry in computation._inputs.values()]
        assert all(len(ts) < 200 for ts in held)

    def test_an_ended_operand_does_not_hold_up_the_others(self) -> None:
        """Where the processes of one source end, nothing is made up; memory does not grow."""
        chain = Chain({"e": ATTRIBUTION})
        found = chain.hand_over([chain.row([chain.process(1)], 0, SECOND, [1.0])])
        for at in range(200):
            rows = [chain.row([chain.system()], at * SECOND, (at + 1) * SECOND, [1.0])]
            rows.append(chain.row([chain.energy()], at * SECOND, (at + 1) * SECOND, [1.0]))
            found += chain.hand_over(rows)
        assert cells(found) == {("e of cpu_package/0 for process/1", 0, SECOND): 1.0}

    def test_series_that_have_ended_are_forgotten(self) -> None:
        """Thousands of short processes."""
        chain = Chain({"e": ATTRIBUTION})
        for at in range(300):
            span = at * SECOND, (at + 1) * SECOND
            rows = [chain.row([chain.process(at)], *span, [1.0]), chain.row([chain.system()], *span, [1.0])]
            chain.hand_over([*rows, chain.row([chain.energy()], *span, [1.0])])
        (computation,) = chain.filter._computations.values()  # type: ignore[attr-defined]
        assert max(len(entry.keys) for entry in computation._inputs.values()) < 150
