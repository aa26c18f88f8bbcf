"""Numbers that others measure, too: counters, their units, and how polls come together in batches.

The cases are in tests/data/measurement-cases.json, those of units in tests/data/units.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from meter.core.counters import Deltas
from meter.core.plugin import Missing
from meter.core.polling import HAND_OVER_NS
from meter.core.readings import Row
from tests.core.liars import DEADLINE_S, Jumping, output, source, started, world
from tests.core.liars import chain as mounted
from tests.core.liars import metric as gauge
from tests.plugins.chain import Chain, cells, metric, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.core.readings import Readings

CASES: Final[list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent.parent / "data" / "measurement-cases.json").read_text()
)["cases"]

NOT_HERE: Final = {
    "rapl-08": "a total over packages: a sum over resources, which is not arithmetic of a counter",
    "flush-09": "an interval of 0 is refused by the check: see the test of that",
}
"""Cases that no table below runs, with the reason. No case has `corrected` and `wrapped` compared, as meter does not
say which deltas it has corrected, nor `update_rounds`: a command wakes the poll thread at once, there is no interval
after which it looks for one."""


def of(*topics: str) -> list[Any]:
    """The cases of some topics that are run, with their names."""
    return [
        pytest.param(case, id=case["id"]) for case in CASES if case["topic"] in topics and case["id"] not in NOT_HERE
    ]


def test_every_case_is_run_or_listed() -> None:
    """A case that is added to the file cannot be overlooked."""
    run = of("counter-difference", "cgroup-delta", "rapl-powercap-overflow", "flush-rounds")

    assert sorted(case["id"] for case in CASES) == sorted([param.id for param in run] + list(NOT_HERE))


# --------------------------------------------------------------------------------------------------------- counters

COUNTERS = of("counter-difference", "cgroup-delta", "rapl-powercap-overflow")
GONE: Final = "gone"
UNITS: Final = {"rapl-powercap-overflow": ("uJ", "J"), "cgroup-delta": ("ns", "ns"), "counter-difference": ("1", "1")}


def readings(given: dict[str, Any]) -> list[Any]:
    """The polls of a case."""
    for name in ("readings_ns", "usage_usec", "cpuacct_usage_ns"):
        if name in given:
            return list(given[name])
    if "next_reading" in given:
        return [*given["readings"], GONE, given["next_reading"]]
    two = [given.get("previous", given.get("previous_uj")), given.get("reading", given.get("reading_uj"))]
    return [reading for reading in two if reading is not None]


def units(case: dict[str, Any]) -> tuple[str, str]:
    """The unit of the readings, and that of what is expected."""
    return ("us", "ns") if "usage_usec" in case["given"] else UNITS[case["topic"]]


def greatest(case: dict[str, Any]) -> int | None:
    """Where the counter starts again."""
    found: int | None = case["given"].get("max", case["given"].get("max_energy_range_uj"))
    return found


def compared(case: dict[str, Any], last: Any) -> None:
    """Whether the last delta, None for none, is what is expected."""
    expect = case["expect"]
    if "error" in expect:
        assert isinstance(last, str)
        assert last
    elif expect.get("points") == 0:
        assert last is None
    else:
        wanted = expect["deltas_ns"][-1] if "deltas_ns" in expect else expect.get("difference", expect.get("energy_J"))
        assert wanted == (last if wanted is None else pytest.approx(last, rel=0, abs=case["tolerance"]))


@pytest.mark.parametrize("case", COUNTERS)
def test_deltas_of_a_source(case: dict[str, Any]) -> None:
    """What sources make of their counters; the factor is that of the units."""
    deltas: Deltas[str] = Deltas(greatest(case))
    found = [
        deltas.step(ts, {} if reading == GONE else {"c": reading}).get("c")
        for ts, reading in enumerate(readings(case["given"]))
    ][-1]

    value = None if found is None else found[0]
    times = {("us", "ns"): 1000, ("uJ", "J"): 1e-6}.get(units(case), 1)
    compared(case, value.reason if isinstance(value, Missing) else None if value is None else value * times)


@pytest.mark.parametrize("case", COUNTERS)
def test_difference_and_convert(case: dict[str, Any]) -> None:
    """The same from a raw counter by filters: differences in its unit, then the unit that is asked for."""
    unit, to = units(case)
    words = ("difference", "metrics=m", f"max={greatest(case) or 0}")
    chain = Chain([metric("m", unit=unit)], *words, "convert", "metrics=m.delta", f"unit={to}", "name=d")
    columns = chain.columns(chain.key("m"))

    last: Any = None
    for ts, reading in enumerate(readings(case["given"])):
        rows = [] if reading == GONE else [Row(columns, ts, max(0, ts - 1), [reading])]
        found = cells(chain.blocks(rows), "d")
        last = found[0][0] if found else None

    compared(case, last)


# ------------------------------------------------------------------------------------------------- polls in a batch


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No test sees what the plugins of another one did."""
    world.reset()
    yield
    world.reset()


def batches(folder: Path, interval_us: int, points: int, polls: int) -> list[tuple[int, int]]:
    """Rows and points of each batch that an output gets, of the first poll and of some more; not of the last one."""
    names = [f"probe.v{place}" for place in range(points)]

    def emit(out: Readings) -> None:
        for name in names:
            out.emit(name, 1.0)

    world.scripts["probe"] = emit
    clock = Jumping(polls)
    parts = (source("probe", *map(gauge, names), interval=f"{interval_us}us"), output())
    engine = started(mounted(folder, *parts), clock)
    engine.go()
    assert clock.still.wait(DEADLINE_S)
    engine.stop()
    assert engine.faults == []
    return [(batch.rows, batch.points) for batch in world.batches["sink"]][:-1]


FLUSH = of("flush-rounds")


@pytest.mark.parametrize("case", [param for param in FLUSH if "flush_rounds" in param.values[0]["expect"]])
def test_polls_of_a_hand_over(tmp_path: Path, case: dict[str, Any]) -> None:
    """There is no setting for it: fast rows wait for each other for a while, here the flush interval of the case.

    The first poll goes on at once.
    """
    given, rounds = case["given"], case["expect"]["flush_rounds"]
    interval_us, rest = divmod(HAND_OVER_NS * given["poll"], given["flush"] * 1_000)
    assert rest == 0

    found = batches(tmp_path, interval_us, 1, 3 * rounds)

    assert [rows for rows, _ in found] == [1, rounds, rounds, rounds]


@pytest.mark.parametrize("case", [param for param in FLUSH if "points_per_buffer" in param.values[0]["expect"]])
def test_points_of_a_flush_interval(tmp_path: Path, case: dict[str, Any]) -> None:
    """However rows are put into batches, all points of the interval reach the output."""
    given = case["given"]
    polls = given["flush_s"] * 1000 // given["poll_ms"]

    first, *more = batches(tmp_path, given["poll_ms"] * 1000, given["points_per_poll"], polls)

    assert first == (1, given["points_per_poll"])
    assert sum(points for _, points in more) == case["expect"]["points_per_buffer"]
    assert {rows for rows, _ in more} == {max(1, HAND_OVER_NS // (given["poll_ms"] * 1_000_000))}


def test_an_interval_of_zero_is_refused() -> None:
    """As in flush-09: by the check, before anything runs."""
    (case,) = [case for case in CASES if case["id"] == "flush-09"]

    assert "error" in case["expect"]
    assert refusals([metric("m")], f"interval={case['given']['poll']}s") == ["E-CONFIG-RANGE"]
