"""The source `rapl` on machines to which things happen: power in steps, wraps, resets, counters that cannot be read.

Each value is the truth within 1 % and one step of the counter, or missing with the reason. Time is the test's own.
"""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.plugin import Missing
from meter.plugins.rapl import plugin
from meter.plugins.rapl.plugin import Rapl
from tests.fake import SECOND, Mounted
from tests.powercap import RANGE, ROWS, Powercap, Zone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

UNIT_UJ: Final = 61
"""What the counter of most processors counts at once; 61.035 uJ."""
RENEWED_S: Final = 0.001
"""So often it is renewed."""
PACKAGE: Final = "intel-rapl:0"
FILE: Final = f"/sys/class/powercap/{PACKAGE}/energy_uj"
AMD_RANGE: Final = 65_532_610_987
"""Of counters whose unit is 15.3 uJ."""

Course = tuple[tuple[float, float], ...]
"""Power in steps: seconds and watts, again and again."""


def joules(course: Course, until_s: float) -> float:
    """What a course comes to from its begin on."""
    period_s = sum(seconds for seconds, _ in course)
    periods, left = divmod(until_s, period_s)
    total = periods * sum(seconds * watts for seconds, watts in course)
    for seconds, watts in course:
        total += min(seconds, max(0.0, left)) * watts
        left -= seconds
    return total


def series(domain: str) -> str:
    """The name of a series."""
    resource = {"dram": "dram/#0", "psys": "machine/%"}.get(domain, "cpu_package/#0")
    return f"hw.energy/{resource}/machine/%/domain={domain}"


class Machine:
    """Counters that follow courses in the steps of real ones, and the source over them."""

    def __init__(self, root: Path, courses: Mapping[str, Course], *, wrap_at_s: float | None = None) -> None:
        named = {place: zone for row in ROWS.values() for place, zone in row.items() if place in courses}
        self.courses = courses
        self.zones = {}
        for nth, (place, course) in enumerate(courses.items()):
            start = 5_000_000_000 + nth * 10**9
            if wrap_at_s is not None:
                start = -round(joules(course, wrap_at_s) * 1e6)
            self.zones[place] = named[place]._replace(start_uj=start)
        self.tree = Powercap(root, self.zones)
        self.offsets = dict.fromkeys(courses, 0)
        self.seconds = 0.0
        self.source: Mounted | None = None

    def uj(self, place: str, seconds: float) -> int:
        """What a counter has counted."""
        renewed = round(seconds / RENEWED_S) * RENEWED_S
        return int(joules(self.courses[place], renewed) * 1e6) // UNIT_UJ * UNIT_UJ

    def at(self, seconds: float) -> None:
        """Let time pass until then."""
        self.seconds = seconds
        for place, zone in self.zones.items():
            if self.tree.file(place).exists():
                counted = zone.start_uj + self.uj(place, seconds) - self.offsets[place]
                self.tree.set(place, counted % (zone.range_uj + 1))

    def reset(self, place: str) -> None:
        """A counter begins at 0 again, as after its driver was loaded anew."""
        self.offsets[place] = self.zones[place].start_uj + self.uj(place, self.seconds)
        self.at(self.seconds)

    def poll(self, seconds: float) -> dict[str, float | str]:
        """What a poll gives: joules or reasons by domain. The first one is the base."""
        self.at(seconds)
        if self.source is None:
            self.source = Mounted("rapl", {"interval": SECOND}, self.tree.root)
        told = self.source.cells(round(seconds * SECOND))
        return {
            name.rpartition("=")[2]: cell.value.reason if isinstance(cell.value, Missing) else cell.value
            for name, cell in told.items()
            if name.startswith("hw.energy")
        }

    def truth(self, begin_s: float, end_s: float) -> dict[str, Any]:
        """What each domain took, within what is allowed."""
        return {
            zone.name.removesuffix("-0"): near(
                joules(self.courses[place], end_s) - joules(self.courses[place], begin_s),
                max(watts for _, watts in self.courses[place]),
            )
            for place, zone in self.zones.items()
        }

    def stop(self) -> None:
        """Close the source."""
        assert self.source is not None
        self.source.source.stop()


def near(wanted: float, most_watts: float) -> Any:
    """Within 1 % and one step: what is counted until the counter is renewed, and its unit at both ends."""
    return pytest.approx(wanted, rel=0.01, abs=most_watts * RENEWED_S + 2 * UNIT_UJ / 1e6)


def steady(row: str) -> dict[str, Course]:
    """The courses of a row of the energy matrix."""
    return {place: ((1.0, zone.watts),) for place, zone in ROWS[row].items()}


BURSTS: Final[dict[str, Course]] = {
    "intel-rapl:0": ((0.35, 240), (0.4, 8), (0.003, 310)),
    "intel-rapl:0:0": ((0.35, 200), (0.4, 1), (0.003, 280)),
    "intel-rapl:0:1": ((0.35, 14), (0.4, 3), (0.003, 15)),
}
IDLE: Final[dict[str, Course]] = {"intel-rapl:0": ((1.0, 0.01),), "intel-rapl:0:1": ((1.0, 0.4),)}
COURSES: Final = {**{row: steady(row) for row in "ABVW"}, "bursts": BURSTS, "idle": IDLE}
POLLS: Final = {
    "each second": [float(nth) for nth in range(1, 11)],
    "ten times slower": [10.0],
    "late": [0.0005, 0.9, 4.8, 4.801, 9.95, 10],
    "faster than the counter": [nth / 4000 for nth in range(1, 40)] + [10],
    "later and later": [sum(range(nth + 1)) / 5.5 for nth in range(1, 11)],
}


@pytest.mark.parametrize("wraps", [None, 0.0004, 4.8, 9.9999])
@pytest.mark.parametrize("polls", POLLS.values(), ids=POLLS)
@pytest.mark.parametrize("name", COURSES)
def test_each_row_in_every_combination(tmp_path: Path, name: str, polls: list[float], wraps: float | None) -> None:
    """Power that is steady, in bursts or nearly 0; counters wrap at once, wherever; polls are late, slow or fast.

    Before its first step a counter is missing, and what it counted until then comes with that.
    """
    machine = Machine(tmp_path, COURSES[name], wrap_at_s=wraps)
    assert machine.poll(0) == {}
    sums: dict[str, float] = {}
    for before, now in itertools.pairwise([0.0, *polls]):
        for domain, value in machine.poll(now).items():
            if isinstance(value, str):
                assert value.endswith("has not moved since it was first read")
                assert domain not in sums
                continue
            assert value == machine.truth(before if domain in sums else 0, now)[domain]
            sums[domain] = sums.get(domain, 0) + value
    machine.stop()

    assert sums == machine.truth(0, polls[-1])


# ------------------------------------------------------------------------------------------------ what is lost, and why


class Event(NamedTuple):
    """What happens at 3.5 s to the counter of a package that is polled each second; the reasons of the polls after."""

    happens: Callable[[Machine, pytest.MonkeyPatch], None]
    reasons: Sequence[str]


def refused(code: int) -> Callable[[Machine, pytest.MonkeyPatch], None]:
    """Each reading of the counter fails."""

    def happens(_: Machine, patch: pytest.MonkeyPatch) -> None:
        system = os.pread

        def pread(file: int, *rest: int) -> bytes:
            if f"/{PACKAGE}/energy_uj" in os.readlink(f"/proc/self/fd/{file}"):
                raise OSError(code, os.strerror(code))
            return system(file, *rest)

        patch.setattr(os, "pread", pread)

    return happens


def unregistered(machine: Machine, patch: pytest.MonkeyPatch) -> None:
    """The driver is unloaded: its files go, and those that are open say so."""
    machine.tree.file(PACKAGE).unlink()
    refused(errno.ENODEV)(machine, patch)


BASE: Final = f"{FILE} could not be read at the begin of this time"
EVENTS: Final = {
    "reset": Event(lambda machine, _: machine.reset(PACKAGE), [f"{FILE} began anew"]),
    "permission": Event(refused(errno.EACCES), [f"no permission to read {FILE}: `sudo chmod a+r {FILE}`"] * 2 + [BASE]),
    "error": Event(refused(errno.EIO), [f"{FILE}: {os.strerror(errno.EIO)}"] * 2 + [BASE]),
    "busy": Event(refused(errno.EBUSY), [f"{FILE}: {os.strerror(errno.EBUSY)}"] * 2 + [BASE]),
    "gone": Event(unregistered, [f"{FILE}: {os.strerror(code)}" for code in (errno.ENODEV, errno.ENOENT)] + [BASE]),
}


@pytest.mark.parametrize(
    ("event", "wraps"),
    [
        pytest.param(event, wraps, id=f"{name}, wraps at {wraps}")
        for name, event in EVENTS.items()
        for wraps in (None, 2.5, 3.25, 4.5, 7.5)
        if name != "reset" or wraps is None  # near its end it looks as a wrap, just behind 0 as if it had gone on
    ],
)
def test_what_happens_to_a_counter_costs_its_own_time_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: Event, wraps: float | None
) -> None:
    """Missing with the reason until there is a base again, then right; the other counters are right all the time."""
    machine = Machine(tmp_path, BURSTS, wrap_at_s=wraps)
    machine.poll(0)
    reasons = []
    for second in range(1, 11):
        if second == 4:
            machine.at(3.5)
            event.happens(machine, monkeypatch)
        if second == 6:
            monkeypatch.undo()
            machine.tree.file(PACKAGE).touch()
        told, truth = machine.poll(second), machine.truth(second - 1, second)
        if 0 <= second - 4 < len(event.reasons):
            reasons.append(str(told.pop("package")).replace(str(tmp_path), ""))  # paths are those below the root
            del truth["package"]
        assert told == truth
    machine.stop()

    assert [told[: len(reason)] for told, reason in zip(reasons, event.reasons, strict=True)] == event.reasons


@pytest.mark.parametrize(
    ("range_uj", "limit_uw", "seconds", "what"),
    [
        (RANGE, None, 100, "right"),
        (RANGE, None, 600, "missing"),
        (RANGE, 200_000_000, 300, "right"),  # four times 200 W need 327 s for a wrap
        (RANGE, 200_000_000, 600, "missing"),
        (RANGE, 200_000_000, 7200, "missing"),  # it wraps four times: 21 W would be told for 167 W
        (AMD_RANGE, None, 20, "right"),
        (AMD_RANGE, None, 60, "missing"),
    ],
)
def test_after_a_stop_the_energy_is_right_or_missing(
    tmp_path: Path, range_uj: int, limit_uw: int | None, seconds: float, what: str
) -> None:
    """Nobody reads the counters for a process that is stopped, as with Ctrl-Z; they may wrap more than once."""
    zone = Zone("package-0", 167, 5_000_000_000, range_uj)
    tree = Powercap(tmp_path, {PACKAGE: zone})
    if limit_uw is not None:
        tree.file(PACKAGE, "constraint_0_power_limit_uw").write_text(f"{limit_uw}\n")
    source = Mounted("rapl", {"interval": SECOND}, tmp_path)
    found = []
    for now in (0, 1, 1 + seconds, 2 + seconds):
        tree.at(now)
        found += [cell.value for name, cell in source.cells(round(now * SECOND)).items() if name == series("package")]
    source.source.stop()

    before, stopped, after = found
    assert (before, after) == (167, 167)
    if what == "right":
        assert stopped == pytest.approx(167 * seconds)
    else:
        assert isinstance(stopped, Missing)
        assert stopped.reason.startswith(f"{FILE} was not read for {seconds:.3g} s, in which it can start again at 0")


# ------------------------------------------------------------------------------------------- counters that stand still


@pytest.mark.parametrize("wakes_uj", [1, 50_000_000, 9_000_000_000], ids=["a step", "50 J", "all of 90 s at 100 W"])
@pytest.mark.parametrize("place", ["intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:2", "intel-rapl:1"])
def test_a_counter_that_stands_still_is_missing_and_its_joules_come_once(
    tmp_path: Path, place: str, wakes_uj: int
) -> None:
    """Before it moves at all, and from a second after it last moved on until it moves again; the others are right."""
    names = dict(zip(("package-0", "core", "uncore", "dram", "psys"), (100, 60, 5, 10, 150), strict=True))
    places = ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:0:2", "intel-rapl:1")
    zones = {at: Zone(*named) for at, named in zip(places, names.items(), strict=True)}
    tree = Powercap(tmp_path, zones)
    source = Mounted("rapl", {"interval": SECOND}, tmp_path)
    source.rows(0)
    stands = tree.file(place).read_text()
    name = series(zones[place].name.removesuffix("-0"))
    told = {}
    for now in (0.25, 0.5, 0.999, 1.5, 2.25, 90, 90.5):
        tree.at(now)
        tree.set(place, int(stands) + (now >= 0.5) * 40_000 + (now >= 90) * wakes_uj + (now > 90) * 3_000_000)
        cells = source.cells(round(now * SECOND))
        told[now] = cells.pop(name)
        for at, zone in zones.items():
            if at != place:
                cell = cells[series(zone.name.removesuffix("-0"))]
                assert cell.value == pytest.approx(zone.watts * (cell.ts - cell.since) / 1e9)
        assert {cell.since for cell in cells.values()} == {source.readings.since}
    source.source.stop()

    file = f"/sys/class/powercap/{place}/energy_uj"
    assert told[0.25].value.reason == f"{file} has not moved since it was first read"
    assert [(told[now].value, told[now].since) for now in (0.5, 0.999)] == [(0.04, 0), (0, SECOND // 2)]
    assert [told[now].value.reason for now in (1.5, 2.25)] == [f"{file} has not moved for 1 s or more"] * 2
    assert told[90].value == wakes_uj / 1e6
    assert told[90].since == round(0.999 * SECOND)
    assert (told[90.5].value, told[90.5].since) == (3, 90 * SECOND)


def test_graphics_that_take_nothing_took_nothing(tmp_path: Path) -> None:
    """A graphics unit may be off for as long as it likes."""
    tree = Powercap(tmp_path, {PACKAGE: Zone("package-0", 10), f"{PACKAGE}:0": Zone("uncore", 0)})
    source = Mounted("rapl", {"interval": SECOND}, tmp_path)
    source.rows(0)
    for now in (1, 2, 60):
        tree.at(now)
        assert source.cells(now * SECOND)[series("uncore")].value == 0
    source.source.stop()


@pytest.mark.parametrize("domain", ["package", "core"])
def test_of_several_counters_a_package_needs_all_and_the_cores_one(tmp_path: Path, domain: str) -> None:
    """A die that stands still makes its package missing, and what the other die took meanwhile comes with it."""
    dies = {f"intel-rapl:{nth}": Zone(f"package-0-die-{nth}", 10, (5 + nth) * 10**9) for nth in range(2)}
    parts = {f"intel-rapl:{nth}:0": Zone("core", 4, (8 + nth) * 10**9) for nth in range(2)}
    tree = Powercap(tmp_path, {**dies, **parts})
    source = Mounted("rapl", {"interval": SECOND}, tmp_path)
    source.rows(0)
    place = "intel-rapl:1" if domain == "package" else "intel-rapl:1:0"
    told = []
    for now in (1, 2, 3):
        tree.at(now)
        if now < 3:
            tree.set(place, {**dies, **parts}[place].start_uj)
        value = source.cells(now * SECOND)[series(domain)].value
        told.append(value.reason if isinstance(value, Missing) else value)
    source.source.stop()

    file = f"/sys/class/powercap/{place}/energy_uj"
    still = [f"{file} has not moved since it was first read"] * 2
    assert told == ([*still, 60] if domain == "package" else [4, 4, 16])


# -------------------------------------------------------------------------------------------------- reads between polls


class Clock:
    """Stands for what the thread waits with, and for its clock: each wait lets the time of a machine pass at once."""

    def __init__(self, machine: Machine, end_s: float) -> None:
        self.waits: list[float] = []
        self._machine = machine
        self._end_s = end_s
        self._ended = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Whether it is to end; lets the seconds pass if not."""
        if self._machine.seconds + seconds >= self._end_s:
            self._ended.set()
            return True
        self.waits.append(seconds)
        self._machine.at(self._machine.seconds + seconds)
        return False

    def monotonic_ns(self) -> int:
        """The time of the machine."""
        return round(self._machine.seconds * SECOND)

    def set(self) -> None:
        """The source stops."""

    def reached(self) -> bool:
        """Whether the thread came to the end."""
        return self._ended.wait(30)


@pytest.mark.parametrize(
    ("hours", "course"),
    [(1, ((1.0, 200.0),)), (1, ((1.0, 73.0),)), (6, ((600.0, 350.0), (1800.0, 20.0)))],
    ids=["200 W", "73 W: less than a wrap", "bursts of 10 min"],
)
def test_a_poll_each_hour_loses_no_wrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int, course: Course
) -> None:
    """The thread that reads in between does so soon enough, and the poll has the truth."""
    machine = Machine(tmp_path, {PACKAGE: course})
    source = Mounted("rapl", {"interval": hours * 3600 * SECOND}, tmp_path)
    assert isinstance(source.source, Rapl)
    guard = source.source._guard
    assert guard is not None
    clock = Clock(machine, hours * 3600)
    monkeypatch.setattr(guard, "_ended", clock)
    monkeypatch.setattr(plugin, "time", clock)
    machine.at(0)
    assert source.rows(0) == []
    assert clock.reached()
    machine.at(hours * 3600)
    cells = source.cells(hours * 3600 * SECOND)
    source.source.stop()

    total = joules(course, hours * 3600)
    assert cells[series("package")].value == near(total, 350)
    assert cells["meter.wrap.count/machine/%/machine/%"].value == (5_000_000_000 + total * 1e6) // (RANGE + 1)
    assert {*clock.waits} == {min(60.0, RANGE / 1e6 / 8000)}


# ----------------------------------------------------------------------------------------------------------- properties

COURSE: Final = st.lists(st.tuples(st.floats(0.01, 30), st.floats(0.1, 450)), min_size=1, max_size=5).map(tuple)
GAP: Final = st.one_of(st.floats(0.001, 0.1), st.floats(0.1, 10), st.floats(10, 60))
WHAT: Final = st.sampled_from(["", "", "", "", "reset", "gone"])


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(sorted(ROWS["A"])), COURSE, min_size=1),
    st.lists(st.tuples(GAP, WHAT), min_size=1, max_size=25),
    st.none() | st.floats(0, 300),
)
def test_the_sum_of_deltas_is_the_truth(
    courses: dict[str, Course], polls: list[tuple[float, str]], wraps: float | None
) -> None:
    """Of any courses and polls, less the spans that are missing, which are those in which something happened."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), courses, wrap_at_s=wraps)
        machine.poll(0)
        now, lost = 0.0, False
        sums: dict[str, float] = dict.fromkeys(machine.truth(0, 0), 0)
        known: dict[str, float] = dict.fromkeys(sums, 0)
        first = min(courses)
        name = machine.zones[first].name.removesuffix("-0")
        for gap, what in polls:
            before, now = now, now + gap
            gone = what == "gone"
            if gone:
                machine.tree.file(first).unlink(missing_ok=True)
            elif not machine.tree.file(first).exists():
                machine.tree.file(first).touch()
            if what == "reset":
                machine.at(before)
                machine.reset(first)
            told = machine.poll(now)
            happened = {name} if what or lost else set()
            for place, zone in machine.zones.items():
                domain = zone.name.removesuffix("-0")
                value = told[domain]
                if domain not in happened:
                    assert isinstance(value, float), value
                    sums[domain] += value
                    known[domain] += joules(courses[place], now) - joules(courses[place], before)
            assert not (gone or lost) or isinstance(told[name], str)
            lost = gone
        machine.stop()

    steps = len(polls) * 2
    for domain, total in sums.items():
        assert total == pytest.approx(known[domain], rel=0.01, abs=steps * (450 * RENEWED_S + UNIT_UJ / 1e6)), domain
