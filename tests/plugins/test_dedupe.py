"""The postfilter `dedupe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core import history
from meter.core.plugin import Missing
from meter.core.readings import Row
from meter.plugins.console.latest import Latest, Table
from tests.plugins.chain import SECOND, Chain, cells, metric, refusals
from tests.strategies import steady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.core.batch import Block
    from meter.core.keys import Key

MS = 1_000_000


def chain(type_: str = "f64", *words: str) -> Chain:
    """`dedupe` of the one gauge of a source."""
    return Chain([metric("m", "gauge", type_, "W")], "dedupe", *words)


def one(mounted: Chain, *values: Any, apart: bool = False) -> list[tuple[Any, int, int]]:
    """What is given of values of one series, a millisecond apart: value, and begin and end in milliseconds."""
    columns = mounted.columns(mounted.key("m"))
    rows = [Row(columns, (nth + 1) * MS, nth * MS, [value]) for nth, value in enumerate(values)]
    blocks = [block for row in rows for block in mounted.blocks([row])] if apart else mounted.blocks(rows)
    return [(value, since // MS, ts // MS) for value, since, ts in cells(blocks, "m")]


@pytest.mark.parametrize("apart", [False, True], ids=["one block", "blocks"])
@pytest.mark.parametrize(
    ("type_", "values", "expect"),
    [
        ("f64", [1.0, 1.0, 2.0, 2.0, 1.0], [(1.0, 0, 1), (2.0, 2, 3), (1.0, 4, 5)]),
        ("u64", [2**53, 2**53 + 1, 2**53 + 1], [(2**53, 0, 1), (2**53 + 1, 1, 2)]),  # a float sees no difference
        ("i64", [-1, -1, 1], [(-1, 0, 1), (1, 2, 3)]),
        ("f64", [0.0, -0.0, 0.0], [(0.0, 0, 1)]),  # they are equal
        ("f64", [1.0, 1.0000000000000002], [(1.0, 0, 1), (1.0000000000000002, 1, 2)]),
        # a missing cell is no value
        ("f64", [1.0, None, None, 1.0, 1.0], [(1.0, 0, 1), ("()", 1, 2), (1.0, 3, 4)]),
        ("u64", [0, None, 0], [(0, 0, 1), ("()", 1, 2), (0, 2, 3)]),
        ("f64", [float("nan"), Missing("EIO"), 1.0], [("()", 0, 1), (1.0, 2, 3)]),
        ("f64", [Missing("EIO"), float("nan"), 1.0], [("(EIO)", 0, 1), (1.0, 2, 3)]),
    ],
)
def test_a_repetition_is_left_out(
    type_: str, values: list[Any], expect: list[tuple[Any, int, int]], *, apart: bool
) -> None:
    """The first of equal cells is given, with the span that it had."""
    assert expect == one(chain(type_), *values, apart=apart)


@pytest.mark.parametrize("apart", [False, True], ids=["one block", "blocks"])
@pytest.mark.parametrize(
    ("every", "ends"),
    [
        ("1ms", [1, 2, 3, 4, 5, 6, 7]),
        ("3ms", [1, 4, 7]),
        ("3500us", [1, 4, 7]),  # the row after would be too late
        ("6ms", [1, 7]),
        ("1h", [1]),
        ("100000d", [1]),
    ],
)
def test_an_unchanged_value_is_given_again_in_time(every: str, ends: list[int], *, apart: bool) -> None:
    """No two given rows are further apart than `every`, as long as polls are regular."""
    assert ends == [ts for _, _, ts in one(chain("f64", f"every={every}"), *[1.0] * 7, apart=apart)]


def test_a_change_begins_the_time_anew() -> None:
    """`every` counts from what was given last, for whatever reason."""
    assert [ts for _, _, ts in one(chain("f64", "every=3ms"), 1.0, 1.0, 2.0, 2.0, 2.0, 2.0)] == [1, 3, 6]


def test_a_missing_cell_is_repeated_in_time_too() -> None:
    """Who reads the output sees that the series is there and has no value."""
    assert [ts for _, _, ts in one(chain("f64", "every=2ms"), None, None, None)] == [1, 3]


def test_a_series_that_was_away_is_given_when_it_comes_back() -> None:
    """What it was in between is not known."""
    mounted = chain()
    columns = mounted.columns(mounted.key("m"))
    rows = [Row(columns, ts, since, [1.0]) for since, ts in [(0, 1), (1, 2), (3, 4), (4, 5), (9, 10)]]

    found = cells(mounted.blocks(rows[:4]), "m") + cells(mounted.blocks(rows[4:]), "m")

    assert [ts for _, _, ts in found] == [1, 4, 10]


def test_an_instant_says_nothing_of_the_poll_before() -> None:
    """Rows without length, as readings from elsewhere have, are compared whenever the one before was."""
    mounted = chain()
    columns = mounted.columns(mounted.key("m"))

    found = cells(mounted.blocks(Row(columns, ts, ts, [1.0]) for ts in (1, 5, 6)), "m")

    assert [ts for _, _, ts in found] == [1]


@pytest.mark.parametrize(("seconds", "shown"), [(30, "5 W"), (61, "5 W"), (250, "ended, 5 W")])
def test_a_steady_series_has_not_ended(seconds: int, shown: str) -> None:
    """Who shows the latest values knows from the plan how long a steady gauge may be silent."""
    mounted = Chain([metric("m", "gauge", "f64", "W"), metric("other", "delta", "f64", "J")], "dedupe", "every=1min")
    steady_, other = mounted.columns(mounted.key("m")), mounted.columns(mounted.key("other"))
    latest = Latest()
    for end in range(1, seconds + 1):
        rows = [Row(steady_, end * SECOND, (end - 1) * SECOND, [5.0])] if end < 62 else []
        latest.add(mounted.batch([*rows, Row(other, end * SECOND, (end - 1) * SECOND, [1.0])]))
        latest.read()

    frame = Table(latest, 0, colour=False).frame(80, 24)
    assert [line.split(maxsplit=2)[2] for line in frame if line.startswith("m ")] == [shown]


def polled(mounted: Chain, *polls: dict[str, Any]) -> list[list[Block]]:
    """What is given of several series, each poll in a block of its own."""
    given_ = []
    for nth, poll in enumerate(polls):
        columns = mounted.columns(*[mounted.key("m", of) for of in poll])
        given_.append(mounted.blocks([Row(columns, nth + 1, nth, list(poll.values()))]))
    return given_


def series(block: Block) -> dict[str, list[Any]]:
    """The values of each series of a block."""
    columns = {key: block.column(key).tolist() for key in block.layout.keys}
    return {dict(key.attributes)["of"]: values for key, values in columns.items()}


def test_a_poll_gives_at_most_one_block() -> None:
    """Of the series that have changed; none where nothing has."""
    first, second, third = polled(
        chain(), {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 1.0, "b": 2.5, "c": 3.5}, {"a": 1.0, "b": 2.5, "c": 3.5}
    )

    assert [series(block) for block in first] == [{"a": [1.0], "b": [2.0], "c": [3.0]}]
    assert [series(block) for block in second] == [{"b": [2.5], "c": [3.5]}]
    assert third == []


def test_series_that_are_given_in_the_same_rows_share_a_block() -> None:
    """Three of four are alike; the fourth one has other rows."""
    mounted = chain()
    columns = mounted.columns(*[mounted.key("m", of) for of in "abcd"])
    values = [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 1.0, 1.0], [3.0, 2.0, 3.0, 3.0]]

    blocks = mounted.blocks(Row(columns, nth + 1, nth, row) for nth, row in enumerate(values))

    assert [(block.ts.tolist(), series(block)) for block in blocks] == [
        ([1, 3], {"a": [1.0, 3.0], "c": [1.0, 3.0], "d": [1.0, 3.0]}),
        ([1, 2], {"b": [1.0, 2.0]}),
    ]


def test_reasons_go_with_their_cells() -> None:
    """Also where rows and columns before them are left out."""
    mounted = chain()
    columns = mounted.columns(mounted.key("m", "a"), mounted.key("m", "b"))
    values: list[list[Any]] = [[1.0, 1.0], [1.0, 1.0], [1.0, Missing("EIO")]]

    blocks = mounted.blocks(Row(columns, nth + 1, nth, row) for nth, row in enumerate(values))

    assert [value for value, _, ts in cells(blocks, "m") if ts == 3] == ["(EIO)"]


def test_what_is_given_whole_keeps_its_rows() -> None:
    """The engine puts it beside what else has these rows, as the times are the very same arrays."""
    mounted = Chain([metric("m", "gauge", "f64", "W"), metric("c")], "dedupe")
    columns = mounted.columns(mounted.key("m"), mounted.key("c"))

    passed, block = mounted.blocks([Row(columns, 2, 1, [1.0, 1])])

    assert (passed.layout.metrics, block.layout.metrics) == (("c",), ("m",))
    assert (passed.ts is block.ts, passed.since is block.since) == (True, True)


def test_only_gauges_are_thinned_out() -> None:
    """Two equal deltas are two amounts: left out, one would be lost."""
    assert refusals([metric("m", "delta")], "dedupe", "metrics=m") == ["E-FLOW-KIND"]
    assert refusals([metric("m", "counter")], "dedupe", "metrics=m") == ["E-FLOW-KIND"]
    assert refusals([metric("m", "gauge")], "dedupe", "every=0s") == ["E-CONFIG-RANGE"]


def test_it_comes_behind_every_filter() -> None:
    """A filter before it sees every value, whatever the order in which they were asked for."""
    mounted = Chain([metric("m", "gauge", "f64", "W")], "dedupe", "convert", "metrics=m", "unit=kW")

    assert [element.label for element in mounted.filters] == ["convert", "dedupe"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many series those that were not seen for longest are forgotten; they are given once more."""
    monkeypatch.setattr(history, "REMEMBERED", 8)
    mounted = chain()
    polled(mounted, {"old": 1.0})

    for nth in range(1, 20):
        columns = mounted.columns(mounted.key("m", f"short {nth}"), mounted.key("m", "stays"))
        blocks = mounted.blocks([Row(columns, nth + 1, nth, [1.0, 2.0])])
        assert [set(series(block)) for block in blocks] == [{f"short {nth}"} | ({"stays"} if nth == 1 else set())]

    (given_,) = mounted.filters[0].plugin._given.values()
    assert len(given_) <= 8
    assert cells(mounted.blocks([Row(mounted.columns(mounted.key("m", "old")), 21, 1, [1.0])]), "m") == [(1.0, 1, 21)]


# ------------------------------------------------------------------------------------------------------- properties


class Poll(NamedTuple):
    """What one poll read; a series that is not there was not seen."""

    seen: dict[str, float | None]
    begins_batch: bool


POLLS = st.lists(
    st.builds(
        Poll, st.dictionaries(st.sampled_from("abcd"), st.none() | st.sampled_from([0.0, 1.0, 2.0])), st.booleans()
    ),
    max_size=14,
)
EVERY = 4


def thinned(polls: Sequence[Poll]) -> dict[tuple[str, int], float | None]:
    """What is given, by series and time, one poll after the other: the definition."""
    found: dict[tuple[str, int], float | None] = {}
    for of in "abcd":
        last: tuple[float | None, int] | None = None
        for ts, poll in enumerate(polls, 1):
            if of not in poll.seen:
                last = None
            elif last is None or poll.seen[of] != last[0] or ts + 1 > last[1] + EVERY:
                last = (poll.seen[of], ts)
                found[of, ts] = poll.seen[of]
    return found


def given_of(polls: Sequence[Poll]) -> dict[tuple[str, int], float | None]:
    """What the plugin gives of the polls; each cell is in one block."""
    mounted = chain("f64", f"every={EVERY}ms")
    batches: list[list[Row]] = [[]]
    for ts, poll in enumerate(polls, 1):
        if poll.begins_batch:
            batches.append([])
        keys: list[Key] = [mounted.key("m", of) for of in poll.seen]
        if keys:
            batches[-1].append(Row(mounted.columns(*keys), ts * MS, (ts - 1) * MS, list(poll.seen.values())))
    found: dict[tuple[str, int], float | None] = {}
    for batch in batches:
        for block in mounted.blocks(batch):
            for row, key, value in block.points():
                at = (dict(key.attributes)["of"], int(block.ts[row]) // MS)
                assert at not in found
                found[at] = None if isinstance(value, Missing) else value
    return found


@steady
@given(polls=POLLS)
def test_batches_do_not_matter(polls: list[Poll]) -> None:
    """However polls are put into batches, what is given is what the definition says."""
    assert thinned(polls) == given_of(polls)


@steady
@given(polls=POLLS)
def test_carrying_the_last_value_on_gives_everything_back(polls: list[Poll]) -> None:
    """What is left out is what was given before it, and that is less than `every` ago."""
    found = given_of(polls)

    for ts, poll in enumerate(polls, 1):
        for of, value in poll.seen.items():
            at = max(when for which, when in found if which == of and when <= ts)
            assert found[of, at] == value
            assert ts - at < EVERY
