"""Rows of one cadence at the times of another: beside fractions, whatever the batches were.

The cases are in tests/data/joins.json. Where meter differs from them: Alumet joins points, meter rows with a span. A
delta of the cases is a point there and the end of a row here, so gauges are interpolated at the same instants; deltas
that meet deltas are split by overlap, of which Alumet has no case.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.holding import Held, Piece
from meter.core.joining import Joined, Rows, interpolate, split

PROPERTY = settings(derandomize=True, deadline=None)
CASES: Final[dict[str, dict[str, Any]]] = {
    case["id"]: case for case in json.loads((Path(__file__).parents[1] / "data" / "joins.json").read_text())["cases"]
}
SECOND = 1_000_000_000


def ns(seconds: float) -> int:
    """A time of a case."""
    return round(seconds * SECOND)


def times(seconds: list[float]) -> Any:
    """Times of a case."""
    return np.array([ns(each) for each in seconds], np.int64)


def gauge(points: list[list[float]]) -> Rows:
    """One gauge of a case."""
    ts = times([point[0] for point in points])
    return Rows(ts, ts, np.array([[float(point[1])] for point in points]))


class TestCases:
    """What is expected in tests/data/joins.json."""

    def test_every_case_is_run(self) -> None:
        """A case that is added cannot be overlooked; those of attribution are run with formulas."""
        here = {"bounds-01", "bounds-02", "bounds-04"}
        formulas = {"attr-01", "attr-02", "attr-04", "attr-06"}
        assert CASES.keys() == here | formulas

    @pytest.mark.parametrize("name", ["bounds-01", "bounds-04"])
    def test_bounds(self, name: str) -> None:
        """Only times between the first and the last reading have a result, both included."""
        case = CASES[name]
        series = gauge([[at, 1.0] for at in case["given"]["series_times"]["a"]])
        usable = interpolate(series, times(case["given"]["ref_times"])).there[:, 0].nonzero()[0].tolist()
        expect = case["expect"]
        assert usable == expect.get("usable", list(range(expect.get("first_ref_index", 0), 4)))
        if usable:
            assert usable[-1] == expect["last_ref_index"]

    def test_values(self) -> None:
        """On the line between two readings."""
        case = CASES["bounds-02"]
        joined = interpolate(gauge(case["given"]["series"]), times(case["given"]["at"]))
        assert joined.values[:, 0].tolist() == pytest.approx(case["expect"]["values"], abs=case["tolerance"])

    @pytest.mark.parametrize("name", ["attr-01", "attr-02", "attr-04"])
    def test_bit_for_bit(self, name: str) -> None:
        """The interpolated usage, times the energy, by 100, in that order."""
        case = CASES[name]
        energy = case["given"]["energy"]
        joined = interpolate(gauge(case["given"]["usage"]["p1"]), times([at for at, _ in energy]))
        found = [
            [at, value * float(joined.values[row, 0]) / 100]
            for row, (at, value) in enumerate(energy)
            if joined.there[row, 0]
        ]
        assert found == case["expect"]["results"]["p1"]


# -------------------------------------------------------------------------------------------------------- properties


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Spans one after the other, some of them without length, some with a hole before them."""
    at = draw(st.integers(0, 20))
    found: list[tuple[int, int]] = []
    for _ in range(draw(st.integers(1, 6))):
        at += draw(st.sampled_from([0, 0, 0, 3]))
        end = at + draw(st.sampled_from([0, 1, 2, 5, 10, 30]))
        if found and end == found[-1][1]:
            end += 1
        found.append((at, end))
        at = end
    return found


@st.composite
def deltas(draw: st.DrawFn) -> list[Piece]:
    """Rows of two series, as pieces of one row."""
    pieces = []
    for since, ts in draw(spans()):
        columns = draw(st.sampled_from([(0, 1), (0, 1), (0,), (1,)]))
        values = [draw(st.integers(-50, 50)) / 4 for _ in columns]
        gaps = [draw(st.integers(0, 7)) == 0 for _ in columns]
        reasons = {(0, at): "EIO" for at, gap in enumerate(gaps) if gap}
        pieces.append(
            Piece(
                columns,
                np.array([ts]),
                np.array([since]),
                np.array([values]),
                np.array([gaps]) if any(gaps) else None,
                reasons,
            )
        )
    return pieces


def held(pieces: list[Piece]) -> Held:
    """Pieces as they come."""
    made = Held()
    for piece in pieces:
        made.add(piece)
    return made


def oracle(pieces: list[Piece], column: int, since: int, ts: int) -> Fraction | str | None:
    """What a series has in a span: exactly, or why it is missing, or None."""
    total, there = Fraction(0), False
    missing = None
    for piece in pieces:
        if column not in piece.columns:
            continue
        at = piece.columns.index(column)
        begin, end = int(piece.since[0]), int(piece.ts[0])
        if begin == end:
            part = Fraction(int(since < end <= ts or since == end == ts))
        else:
            part = Fraction(max(0, min(end, ts) - max(begin, since)), end - begin)
        if not part:
            continue
        there = True
        if piece.gaps is not None and piece.gaps[0, at]:
            missing = piece.reasons[0, at]
        else:
            total += part * Fraction(float(piece.values[0, at]))
    return missing if missing is not None else total if there else None


def said(joined: Joined, row: int, column: int) -> float | str | None:
    """The same of a result."""
    if column >= joined.there.shape[1] or not joined.there[row, column]:
        return None
    if joined.gaps is not None and joined.gaps[row, column]:
        return joined.reasons.get((row, column), "")
    return float(joined.values[row, column])


@given(deltas(), spans())
@PROPERTY
def test_a_delta_is_split_by_overlap(pieces: list[Piece], others: list[tuple[int, int]]) -> None:
    """Each span gets of each row the part that it covers, as fractions say; what is missing stays missing."""
    since, ts = (np.array(each, np.int64) for each in zip(*others, strict=True))

    joined = split(held(pieces).rows, since, ts)

    for row, (begin, end) in enumerate(others):
        for column in (0, 1):
            expected = oracle(pieces, column, begin, end)
            got = said(joined, row, column)
            if isinstance(expected, Fraction):
                assert got == pytest.approx(float(expected), abs=1e-12)
            else:
                assert got == expected


@given(deltas(), st.lists(st.integers(0, 250), max_size=6, unique=True))
@PROPERTY
def test_the_parts_of_a_delta_are_the_whole(pieces: list[Piece], cuts: list[int]) -> None:
    """Nothing is lost and nothing doubled by any cuts between begin and end."""
    whole = [piece._replace(gaps=None, reasons={}) for piece in pieces]
    edges = [-1, *sorted(cuts), 300]

    joined = split(held(whole).rows, np.array(edges[:-1]), np.array(edges[1:]))

    total = sum(float(piece.values.sum()) for piece in whole)
    assert joined.values.sum() == pytest.approx(total, abs=1e-9)


@given(deltas(), spans(), st.data())
@PROPERTY
def test_pieces_never_change_a_number(pieces: list[Piece], others: list[tuple[int, int]], data: st.DataObject) -> None:
    """Rows that came together, one by one, or behind forgotten ones give the same bits."""
    since, ts = (np.array(each, np.int64) for each in zip(*others, strict=True))
    whole = split(held(pieces).rows, since, ts)
    together: list[Piece] = []
    for piece in pieces:
        if together and together[-1].columns == piece.columns and data.draw(st.booleans()):
            together[-1] = beside(together[-1], piece)
        else:
            together.append(piece)
    some = held(together)
    some.forget(int(since.min()) - 1)

    again = split(some.rows, since, ts)

    assert [said(again, row, at) for row in range(len(ts)) for at in (0, 1)] == [
        said(whole, row, at) for row in range(len(ts)) for at in (0, 1)
    ]


def beside(one: Piece, other: Piece) -> Piece:
    """Two pieces of the same series as one."""
    gaps = [np.zeros(piece.values.shape, bool) if piece.gaps is None else piece.gaps for piece in (one, other)]
    shift = len(one.ts)
    return Piece(
        one.columns,
        np.concatenate([one.ts, other.ts]),
        np.concatenate([one.since, other.since]),
        np.concatenate([one.values, other.values]),
        np.concatenate(gaps),
        {**one.reasons, **{(shift + row, at): why for (row, at), why in other.reasons.items()}},
    )


@given(deltas(), st.lists(st.integers(-5, 250), min_size=1, max_size=8))
@PROPERTY
def test_a_gauge_is_on_the_line_between_its_neighbours(pieces: list[Piece], at: list[int]) -> None:
    """As fractions say; nothing before the first reading of a series and behind its last."""
    joined = interpolate(held(pieces).rows, np.array(at, np.int64))

    for row, ts in enumerate(at):
        for column in (0, 1):
            own = [
                (int(piece.ts[0]), piece.columns.index(column), piece) for piece in pieces if column in piece.columns
            ]
            before = [each for each in own if each[0] <= ts]
            after = [each for each in own if each[0] >= ts]
            got = said(joined, row, column)
            if not before or not after:
                assert got is None
                continue
            (low, left, one), (high, right, other) = before[-1], after[0]
            if any(p.gaps is not None and p.gaps[0, c] for p, c in ((one, left), (other, right))):
                assert got == "EIO"
                continue
            x, y = Fraction(float(one.values[0, left])), Fraction(float(other.values[0, right]))
            weight = Fraction(ts - low, high - low) if high > low else Fraction(0)
            assert got == pytest.approx(float(x + weight * (y - x)), abs=1e-12)


def row(since: int, ts: int, value: float, *, missing: bool = False) -> Piece:
    """One row of one series."""
    gaps = np.array([[True]]) if missing else None
    reasons = {(0, 0): "EIO"} if missing else {}
    return Piece((0,), np.array([ts]), np.array([since]), np.array([[value]]), gaps, reasons)


class TestGaps:
    """A missing delta, and the next good one that counts from before it."""

    def test_a_later_row_makes_up_for_a_missing_one_in_the_same_span(self) -> None:
        """The good row has the whole delta."""
        joined = split(held([row(0, 1, 0, missing=True), row(0, 2, 6.0)]).rows, np.array([0]), np.array([2]))
        assert said(joined, 0, 0) == 6.0

    def test_a_span_that_ends_before_that_row_is_missing(self) -> None:
        """Else its value would depend on what has come when it is computed."""
        rows = held([row(0, 1, 0, missing=True), row(0, 2, 6.0)]).rows
        joined = split(rows, np.array([0, 1]), np.array([1, 2]))
        assert [said(joined, at, 0) for at in (0, 1)] == ["EIO", 3.0]
