"""The filter `difference`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core import history
from meter.core.plugin import Missing
from meter.core.readings import Row
from tests.plugins.chain import SECOND, Chain, cells, metric, refusals

if TYPE_CHECKING:
    from meter.core.batch import Block
    from meter.core.keys import Key

GOLDEN = json.loads((Path(__file__).parent.parent / "data" / "counters.json").read_text())["cases"]
NAME = "net.io"
DELTA = "net.io.delta"


def chain(type_: str = "u64", *words: str) -> Chain:
    """`difference` of the one counter of a source."""
    return Chain([metric(NAME, type_=type_)], "difference", f"metrics={NAME}", *words)


def one(mounted: Chain, *readings: Any) -> list[Block]:
    """Readings of one series, a second apart, all in one block."""
    columns = mounted.columns(mounted.key(NAME))
    return mounted.blocks(
        Row(columns, nth * SECOND, max(0, nth - 1) * SECOND, [reading]) for nth, reading in enumerate(readings)
    )


@pytest.mark.parametrize("case", GOLDEN, ids=[case["id"] for case in GOLDEN])
def test_golden_cases(case: dict[str, Any]) -> None:
    """The cases that the helper of sources keeps, the filter keeps too; each poll is a batch of its own."""
    mounted = chain("u64", f"max={case['max'] or 0}")
    columns = mounted.columns(mounted.key(NAME))

    found: list[Any] = []
    for nth, reading in enumerate(case["readings"]):
        value = Missing(reading) if isinstance(reading, str) else reading
        rows = [] if reading == "gone" else [Row(columns, nth * SECOND, max(0, nth - 1) * SECOND, [value])]
        given = cells(mounted.blocks(rows), DELTA)
        found.append(given[0][0] if given else None)

    wanted = [f"({text})" if isinstance(text, str) else text for text in case["expect"]]
    assert wanted == found


@pytest.mark.parametrize(
    ("type_", "readings", "expect"),
    [
        ("u64", [10], []),  # a delta needs two readings
        ("u64", [2**64 - 3, 2**64 - 1], [(2, 0, 1)]),  # exact where a float is not
        ("u64", [0, 2**64 - 1], [(2**64 - 1, 0, 1)]),
        ("i64", [-5, 3], [(8, 0, 1)]),
        ("i64", [-(2**63), 2**63 - 1, 2**63 - 1], [("(the difference is too great for i64)", 0, 1), (0, 1, 2)]),
        ("f64", [0.5, 2.0], [(1.5, 0, 1)]),
        ("u64", [5, None, 9], [("()", 0, 1), (4, 0, 2)]),  # the next good one spans both intervals
        ("f64", [5.0, float("nan"), None, 9.0], [("()", 0, 1), ("()", 1, 2), (4.0, 0, 3)]),
        ("u64", [None, 5, 9], [(4, 1, 2)]),
        ("u64", [9, 5, 6], [("(the counter went back)", 0, 1), (1, 1, 2)]),
        ("u64", [9, Missing("EIO"), 5, 6], [("(EIO)", 0, 1), ("(the counter went back)", 0, 2), (1, 2, 3)]),
        ("f64", [-1e308, 1e308, 1e308], [("()", 0, 1), (0.0, 1, 2)]),  # no float is the difference
    ],
)
@pytest.mark.parametrize("batches", ["one", "one for each row"])
def test_a_delta_is_the_difference_to_the_last_good_reading(
    type_: str, readings: list[Any], expect: list[tuple[Any, int, int]], batches: str
) -> None:
    """Value and span of each delta, whether the readings come in one block or one by one."""
    mounted = chain(type_)
    columns = mounted.columns(mounted.key(NAME))
    rows = [Row(columns, nth * SECOND, max(0, nth - 1) * SECOND, [value]) for nth, value in enumerate(readings)]

    blocks = [block for row in rows for block in mounted.blocks([row])] if batches != "one" else mounted.blocks(rows)

    assert [(value, since * SECOND, ts * SECOND) for value, since, ts in expect] == cells(blocks, DELTA)


@pytest.mark.parametrize(
    ("type_", "readings", "values"),
    [
        ("u64", [250, 4], [10]),  # wrapped once: 255 - 250 + 4 + 1
        ("u64", [250, None, 4], ["()", 10]),
        ("i64", [250, -1, 4], ["(the counter was -1, which is outside of 0 to 255)", 10]),
        ("f64", [250.5, 4.0], [9.5]),
        ("u64", [10, 2**64 - 1, 15], ["(the counter was 18446744073709551615, which is outside of 0 to 255)", 5]),
    ],
)
def test_a_wrap_at_the_known_maximum_is_corrected_once(type_: str, readings: list[Any], values: list[Any]) -> None:
    """With `max` a fall is a wrap, and what cannot be a reading of such a counter is never taken for one."""
    assert values == [value for value, _, _ in cells(one(chain(type_, "max=255"), *readings), DELTA)]


def test_the_usual_case_joins_its_input() -> None:
    """Where every series was read by the poll before, the deltas have the very rows of the counters."""
    mounted = chain()
    columns = mounted.columns(mounted.key(NAME, "a"), mounted.key(NAME, "b"))
    mounted.blocks([Row(columns, SECOND, SECOND, [1, 2])])

    passed, deltas = mounted.blocks([Row(columns, 2 * SECOND, SECOND, [3, 5])])

    assert passed.ts is deltas.ts
    assert passed.since is deltas.since
    assert [value for _, _, value in deltas.points()] == [2, 3]
    assert len(passed.join(deltas).layout.keys) == 4


def test_series_with_different_spans_are_in_different_blocks() -> None:
    """A series that was unreadable has a longer span than its neighbours, and each row says its own."""
    mounted = chain()
    columns = mounted.columns(*[mounted.key(NAME, of) for of in "abc"])
    mounted.blocks([Row(columns, 0, 0, [1, 1, 1])])
    mounted.blocks([Row(columns, 1, 0, [2, None, 3])])

    blocks = [block for block in mounted.blocks([Row(columns, 2, 1, [4, 9, 4])]) if DELTA in block.layout.metrics]

    assert [(block.since.tolist(), [value for _, _, value in block.points()]) for block in blocks] == [
        ([1], [2, 1]),
        ([0], [8]),
    ]


def test_a_series_keeps_its_past_when_others_come_and_go() -> None:
    """Where its column lies says nothing of a series; a new one gives nothing at first."""
    mounted = chain()
    a, b, c = (mounted.key(NAME, of) for of in "abc")
    mounted.blocks([Row(mounted.columns(a, b), 1, 1, [10, 20])])

    second = cells(mounted.blocks([Row(mounted.columns(c, b), 2, 1, [7, 25])]), DELTA)
    third = cells(mounted.blocks([Row(mounted.columns(a, b, c), 3, 2, [50, 26, 9])]), DELTA)

    assert second == [(5, 1, 2)]
    # a was not there at 2: whether it is the same thing is not known
    assert third == [(1, 2, 3), (2, 2, 3)]


@pytest.mark.parametrize(
    ("batches", "expect"),
    [
        ([[5, 6, "gone", 8, 9]], [(1, 0, 1), (1, 3, 4)]),
        ([[5, 6, "gone", None, 9, 10]], [(1, 0, 1), (1, 4, 5)]),
        ([[5, 6, "gone", None, None, 9, 10]], [(1, 0, 1), ("()", 3, 4), (1, 5, 6)]),
        ([[5], [6, "gone", None], [9, 10]], [(1, 0, 1), (1, 4, 5)]),
        ([[5, "gone"], [8, 9]], [(1, 2, 3)]),
        ([[5, None, "gone"], [None, 9, 10]], [("()", 0, 1), (1, 4, 5)]),
        ([[5, "gone", 8, None, "gone"], ["gone", 9, 10]], [("()", 2, 3), (1, 6, 7)]),
    ],
)
def test_a_series_that_was_gone_begins_anew(batches: list[list[Any]], expect: list[tuple[Any, int, int]]) -> None:
    """Also where it comes back in the same block: what was before counts for nothing."""
    mounted = chain()
    columns = mounted.columns(mounted.key(NAME))
    blocks, ts = [], -1
    for batch in batches:
        rows = []
        for reading in batch:
            ts += 1
            if reading != "gone":
                rows.append(Row(columns, ts, max(0, ts - 1), [reading]))
        blocks += mounted.blocks(rows)

    assert cells(blocks, DELTA) == expect


def test_a_missing_cell_holds_no_number() -> None:
    """Even whoever forgets the mask sees nothing that could be taken for a measurement."""
    (*_, deltas) = one(chain(), 9, 5)

    assert deltas.parts[0].tolist() == [[0]]


def test_an_instant_says_nothing_of_the_poll_before() -> None:
    """Counters from elsewhere may have rows without length; they are compared with their last reading all the same."""
    mounted = chain()
    columns = mounted.columns(mounted.key(NAME))

    blocks = mounted.blocks(Row(columns, ts, ts, [ts * 2]) for ts in (1, 5, 6))

    assert cells(blocks, DELTA) == [(8, 1, 5), (2, 5, 6)]


def test_the_input_goes_on_and_other_metrics_never_pass_through_it() -> None:
    """What it selects is kept, what it does not select is not its business."""
    mounted = Chain([metric(NAME), metric("temp", "gauge", "f64", "Cel")], "difference", f"metrics={NAME}")
    columns = mounted.columns(mounted.key("temp"), mounted.key(NAME))

    passed, *given = mounted.blocks([Row(columns, 1, 0, [20.5, 1]), Row(columns, 2, 1, [21.0, 4])])

    assert passed.layout.metrics == (NAME, "temp")
    assert [block.layout.metrics for block in given] == [(DELTA,)]
    assert {"metric": DELTA, "unit": "By", "type": "u64", "kind": "delta"} in mounted.schema["collect"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many series the longest unseen are forgotten; they begin anew and are never counted wrongly."""
    monkeypatch.setattr(history, "REMEMBERED", 8)
    mounted = chain()
    old = mounted.columns(mounted.key(NAME, "old"))
    stays = mounted.columns(mounted.key(NAME, "stays"))
    mounted.blocks([Row(old, 0, 0, [5]), Row(stays, 0, 0, [5])])

    for nth in range(1, 20):
        short = mounted.columns(mounted.key(NAME, f"short {nth}"))
        blocks = mounted.blocks([Row(short, nth, nth, [1]), Row(stays, nth, nth, [5 + nth])])
        assert [(1, nth - 1, nth)] == cells(blocks, DELTA)

    assert cells(mounted.blocks([Row(old, 20, 20, [9])]), DELTA) == []
    assert cells(mounted.blocks([Row(old, 21, 20, [13])]), DELTA) == [(4, 20, 21)]


def test_what_is_no_counter_is_refused() -> None:
    """A gauge has no deltas, and without `metrics` there is nothing to do."""
    assert refusals([metric("temp", "gauge", "f64", "Cel")], "difference", "metrics=temp") == ["E-FLOW-KIND"]
    assert refusals([metric(NAME)], "difference") == ["E-CONFIG-MISSING"]
    assert refusals([metric(NAME)], "difference", f"metrics={NAME}", "max=-1") == ["E-CONFIG-RANGE"]


# ------------------------------------------------------------------------------------------------------- properties


class Poll(NamedTuple):
    """What one poll read: values by series, None for unreadable; a series that is not there was not seen."""

    seen: dict[str, int | None]
    begins_batch: bool


POLLS = st.lists(
    st.builds(
        Poll,
        st.dictionaries(st.sampled_from("abcd"), st.none() | st.integers(0, 9) | st.integers(0, 2**64 - 1)),
        st.booleans(),
    ),
    max_size=12,
)


def deltas_of(polls: list[Poll]) -> dict[tuple[str, int], tuple[Any, int]]:
    """Value and since of each delta by series and time, one poll after the other: the definition."""
    found: dict[tuple[str, int], tuple[Any, int]] = {}
    for of in "abcd":
        base: tuple[int, int] | None = None
        before = False
        for ts, poll in enumerate(polls):
            if of not in poll.seen:
                before, base = False, None
                continue
            reading = poll.seen[of]
            if reading is None:
                if before:
                    found[of, ts] = ("()", ts - 1)
            else:
                if base is not None:
                    fell = reading < base[0]
                    found[of, ts] = ("(the counter went back)" if fell else reading - base[0], base[1])
                base = (reading, ts)
            before = True
    return found


@settings(derandomize=True, max_examples=200, deadline=None)
@given(polls=POLLS)
def test_batches_do_not_matter(polls: list[Poll]) -> None:
    """However polls are put into batches, each delta is that of the definition, and in no other block."""
    mounted = chain()
    batches: list[list[Row]] = [[]]
    for ts, poll in enumerate(polls):
        if poll.begins_batch:
            batches.append([])
        keys: list[Key] = [mounted.key(NAME, of) for of in poll.seen]
        if keys:
            batches[-1].append(Row(mounted.columns(*keys), ts, max(0, ts - 1), list(poll.seen.values())))

    found: dict[tuple[str, int], tuple[Any, int]] = {}
    for batch in batches:
        for block in mounted.blocks(batch):
            if DELTA not in block.layout.metrics:
                continue
            for row, key, value in block.points():
                at = (dict(key.attributes)["of"], int(block.ts[row]))
                assert at not in found
                shown = f"({value.reason})" if isinstance(value, Missing) else value
                found[at] = (shown, int(block.since[row]))

    assert deltas_of(polls) == found


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    steps=st.lists(st.none() | st.integers(0, 2**60), min_size=1, max_size=15).filter(lambda s: s[0] is not None),
    batches=st.sampled_from(["one", "one for each row"]),
)
def test_nothing_is_lost(steps: list[int | None], batches: str) -> None:
    """The deltas add up to the last reading less the first one, and their spans to the time between these."""
    mounted = chain()
    columns = mounted.columns(mounted.key(NAME))
    total, readings = 0, []
    for step in steps:
        total += step or 0
        readings.append(None if step is None else total)
    rows = [Row(columns, nth, max(0, nth - 1), [reading]) for nth, reading in enumerate(readings)]

    blocks = [block for row in rows for block in mounted.blocks([row])] if batches != "one" else mounted.blocks(rows)

    good = [(value, since, ts) for value, since, ts in cells(blocks, DELTA) if not isinstance(value, str)]
    last = max(nth for nth, reading in enumerate(readings) if reading is not None)
    assert (readings[last] or 0) - (readings[0] or 0) == sum(value for value, _, _ in good)
    assert last == sum(ts - since for _, since, ts in good)
