"""Deltas of accumulating counters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.counters import Deltas, counted, unwrap
from meter.core.plugin import Missing

CASES = json.loads((Path(__file__).parent.parent / "data" / "counters.json").read_text())["cases"]


def reading(value: Any) -> dict[str, Any]:
    """One poll of the counter `c`, as the cases write it."""
    if value == "gone":
        return {}
    return {"c": Missing("unreadable") if value == "unreadable" else value}


def plain(delta: tuple[float | Missing, int] | None) -> Any:
    """A delta as the cases write it."""
    if delta is None:
        return None
    return delta[0].reason if isinstance(delta[0], Missing) else delta[0]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_deltas_are_those_of_the_cases(case: dict[str, Any]) -> None:
    """The first reading gives nothing, a wrap is corrected once, and what cannot be known is missing, never 0."""
    deltas: Deltas[str] = Deltas(case["max"])

    actual = [plain(deltas.step(ts, reading(value)).get("c")) for ts, value in enumerate(case["readings"])]

    assert actual == case["expect"]


@given(
    increments=st.lists(st.integers(0, 2**40), min_size=1, max_size=30),
    first=st.integers(0, 2**63),
    readable=st.data(),
)
def test_an_unreadable_poll_loses_nothing(increments: list[int], first: int, readable: st.DataObject) -> None:
    """Whatever polls fail, deltas add up to the last good reading less the first, and spans join without a gap."""
    deltas: Deltas[str] = Deltas()
    value = first
    good, given_deltas = [(0, first)], []
    deltas.step(0, {"c": first})

    for ts, increment in enumerate(increments, 1):
        value += increment
        ok = readable.draw(st.booleans())
        delta, since = deltas.step(ts, {"c": value if ok else Missing("EIO")})["c"]
        assert ok is not isinstance(delta, Missing)
        if not isinstance(delta, Missing):
            assert since == good[-1][0]
            good.append((ts, value))
            given_deltas.append(delta)

    assert sum(given_deltas) == good[-1][1] - first


@given(
    wrap=st.integers(1, 2**64 - 1),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_a_wrapping_counter_loses_nothing_either(wrap: int, shares: list[float]) -> None:
    """As long as it wraps at most once in an interval, the deltas add up to what was counted."""
    increments = [min(int(share * wrap), wrap) for share in shares]
    deltas: Deltas[str] = Deltas(wrap)
    total = 0
    deltas.step(0, {"c": 0})

    counted: list[float] = []
    for ts, increment in enumerate(increments, 1):
        total += increment
        delta, _ = deltas.step(ts, {"c": total % (wrap + 1)})["c"]
        assert not isinstance(delta, Missing)
        counted.append(delta)

    assert counted == increments


def test_integers_stay_integers() -> None:
    """A counter beyond 2**53 loses no unit, which a float would."""
    deltas: Deltas[str] = Deltas()
    deltas.step(0, {"c": 2**63})

    assert deltas.step(1, {"c": 2**63 + 1}) == {"c": (1, 0)}


def test_what_was_born_since_is_counted_from_its_birth() -> None:
    """A counter that began at 0 after the previous poll needs no base, and its span begins with it."""
    deltas: Deltas[str] = Deltas()
    deltas.step(1_000, {})

    assert deltas.step(2_000, {"c": 7}, {"c": 1_400}) == {"c": (7, 1_400)}
    assert deltas.step(3_000, {"c": 9}, {"c": 1_400}) == {"c": (2, 2_000)}  # an old birth says nothing


@pytest.mark.parametrize(
    ("previous", "birth"),
    [
        (None, 500),  # at the first poll nothing is known to be new
        (1_000, 1_000),  # as old as the previous poll
        (1_000, 500),
    ],
)
def test_what_may_be_older_has_no_base(previous: int | None, birth: int) -> None:
    """Without knowing that a counter is new its first reading gives nothing."""
    deltas: Deltas[str] = Deltas()
    if previous is not None:
        deltas.step(previous, {})

    assert deltas.step(2_000, {"c": 7}, {"c": birth}) == {}


def test_a_birth_that_could_not_be_read_is_not_forgotten() -> None:
    """The first good reading of a counter born in between spans everything since its birth."""
    deltas: Deltas[str] = Deltas()
    deltas.step(1_000, {})

    assert plain(deltas.step(2_000, {"c": Missing("EIO")}, {"c": 1_400})["c"]) == "EIO"
    assert deltas.step(3_000, {"c": 9}, {"c": 1_400}) == {"c": (9, 1_400)}


def test_a_birth_replaces_what_had_the_name_before() -> None:
    """A name used again by something new starts at 0, it does not go on, nor back."""
    deltas: Deltas[str] = Deltas()
    deltas.step(1_000, {"c": 500})

    assert deltas.step(2_000, {"c": 7}, {"c": 1_400}) == {"c": (7, 1_400)}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_counts_as_unreadable(value: float) -> None:
    """NaN is no base from which every later delta would be NaN."""
    deltas: Deltas[str] = Deltas()
    deltas.step(0, {"c": 1.0})

    assert plain(deltas.step(1, {"c": value})["c"]) == "the counter was not a finite number"
    assert deltas.step(2, {"c": 3.5}) == {"c": (2.5, 0)}


def test_counters_are_independent() -> None:
    """One that fails or goes says nothing about the others."""
    deltas: Deltas[str] = Deltas()
    deltas.step(0, {"a": 1, "b": 1})
    deltas.step(1, {"a": 2, "b": Missing("EIO")})

    assert deltas.step(2, {"b": 4, "c": 1}) == {"b": (3, 0)}
    assert deltas.step(3, {"a": 9, "b": 5, "c": 2}) == {"b": (1, 2), "c": (1, 2)}


@pytest.mark.parametrize(
    ("before", "now", "counts"),
    [
        (5, 7, 2),
        (7, 7, 0),
        (2**32 - 1, 0, 1),
        (2**32 - 10, 5, 15),
        (2**31, 0, None),  # half of the range is no wrap
        (2**32, 0, None),  # nothing wraps there
        (2**64 - 1, 3, None),
    ],
)
def test_a_lone_counter_wraps_at_32_bits_or_began_anew(before: int, now: int, counts: int | None) -> None:
    """Where only one counter says it, a fall by more than half of the range is a wrap."""
    fell = Missing("fell")

    assert counted(before, now, fell) == (fell if counts is None else counts)


def test_what_is_missing_stays_missing() -> None:
    """On either side, with its own reason."""
    gap, fell = Missing("gap"), Missing("fell")

    assert counted(gap, 1, fell) is counted(1, gap, fell) is gap


def test_a_thing_began_anew_where_a_wrap_does_not_explain_all_its_falls() -> None:
    """Two counters of three things: the first wrapped, of the second one counter fell from beyond 32 bits."""
    before = [2**32 - 5, 2**32 - 5, 10, 7, 2**40, 10]
    now = [5, 5, 11, 8, 3, 12]
    deltas = [after - first for first, after in zip(before, now, strict=True)]

    assert unwrap(deltas, before, 3) == {1}
    assert [deltas[at] for at in (0, 2, 3, 5)] == [10, 1, 1, 2]
