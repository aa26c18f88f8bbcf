"""The source `rapl`, on made machines whose power is known."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing, SourceContext
from meter.core.readings import BoundSourceContext
from meter.plugins.rapl import perf
from meter.plugins.rapl.counter import Counter, guard_s
from meter.plugins.rapl.plugin import Rapl
from tests.fake import SECOND, Mounted, declared
from tests.powercap import RANGE, Powercap, Zone, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DATA: Final = Path(__file__).parent.parent / "data"
CASES: Final[list[dict[str, Any]]] = [
    case
    for name in ("measurement-cases.json", "rapl-cases.json")
    for case in json.loads((DATA / name).read_text())["cases"]
]
WRAPS: Final = "meter.wrap.count/machine/%/machine/%"

Joules = dict[str, float | str]


def key(domain: str, package: str = "0") -> str:
    """The name of a series."""
    resource = {"dram": f"dram/#{package}", "psys": "machine/%"}.get(domain, f"cpu_package/#{package}")
    return f"hw.energy/{resource}/machine/%/domain={domain}"


def told(cells: dict[str, Any]) -> dict[str, Any]:
    """Values, and reasons of what is missing."""
    return {name: c.value.reason if isinstance(c.value, Missing) else c.value for name, c in cells.items()}


def mounted(machine: Powercap, **config: Any) -> Mounted:
    """The source on a machine, polled once: its base."""
    source = Mounted("rapl", {"interval": SECOND, **config}, machine.root)
    assert source.rows(0) == []
    return source


def measured(machine: Powercap, polls: Iterable[float], **config: Any) -> dict[str, float]:
    """The sums over polls at these seconds; no cell is missing."""
    source = mounted(machine, **config)
    sums: dict[str, float] = {}
    for seconds in polls:
        machine.at(seconds)
        for name, cell in source.cells(round(seconds * SECOND)).items():
            assert not isinstance(cell.value, Missing)
            assert cell.value >= 0
            sums[name] = sums.get(name, 0) + cell.value
    source.source.stop()
    return sums


# ----------------------------------------------------------------------------------------------------- energy matrix

TRUTH: Final = {
    "A": {key("package"): 1000, key("core"): 600, key("dram"): 100, WRAPS: 0},
    "B": {key("package"): 1000, key("core"): 600, key("uncore"): 50, key("psys"): 1500, WRAPS: 0},
    "V": {key("package"): 1000, key("core"): 600, key("dram"): 100, WRAPS: 2},
    "W": {key("package"): 1000, key("core"): 600, key("dram"): 100, WRAPS: 2},
}
POLLS: Final = {
    "each second": [*range(1, 11)],
    "each tenth": [nth / 10 for nth in range(1, 101)],
    "ten times slower": [10],
    "late": [0.001, 0.9, 4.8, 4.801, 9.95, 10],
    "at the wraps": [4.999, 5, 5.001, 9, 9.001, 10],
}


@pytest.mark.parametrize("name", sorted(TRUTH))
@pytest.mark.parametrize("polls", POLLS.values(), ids=POLLS)
def test_the_energy_matrix(tmp_path: Path, name: str, polls: list[float]) -> None:
    """Joules of 10 s are the truth, whenever the polls are; wraps are corrected and counted."""
    assert measured(row(tmp_path, name), polls) == pytest.approx(TRUTH[name], rel=1e-9)


@pytest.mark.parametrize("where", ["open", "read"])
def test_unreadable_counters_are_missing_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Row U: each domain by itself, never 0, and no exception; when it is mended, the second poll measures again."""
    machine = row(tmp_path, "U")
    system = getattr(os, "pread" if where == "read" else "open")

    def refuse(what: Any, *rest: Any) -> Any:
        path = os.readlink(f"/proc/self/fd/{what}") if where == "read" else os.fspath(what)
        if path.endswith("/energy_uj"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return system(what, *rest)

    monkeypatch.setattr(os, "pread" if where == "read" else "open", refuse)
    source = Mounted("rapl", {"interval": SECOND}, tmp_path)
    assert source.rows(0) == []
    denied = told(source.cells(SECOND))
    monkeypatch.undo()
    machine.at(5)
    again = told(source.cells(2 * SECOND))
    machine.at(6)
    mended = told(source.cells(3 * SECOND))
    source.source.stop()

    for domain, place in {"package": "intel-rapl:0", "core": "intel-rapl:0:0", "dram": "intel-rapl:0:1"}.items():
        path = f"/sys/class/powercap/{place}/energy_uj"
        below = f"{tmp_path}{path}"
        assert denied[key(domain)] == f"no permission to read {below}: `sudo chmod a+r {below}`"
        assert again[key(domain)] == f"{path} could not be read at the begin of this time"
    assert mended == {key("package"): 100, key("core"): 60, key("dram"): 10, WRAPS: 0}


# -------------------------------------------------------------------------------------------------------- golden cases


def cases(*topics: str) -> list[Any]:
    """The cases of some topics."""
    return [pytest.param(case, id=case["id"]) for case in CASES if case["topic"] in topics]


def one(root: Path, range_uj: int | None = RANGE, place: str = "intel-rapl:0", name: str = "package-0") -> Powercap:
    """A machine with one counter."""
    machine = Powercap(root, {"intel-rapl:0": Zone("package-0", 0), place: Zone(name, 0)})
    machine.file(place, "max_energy_range_uj").write_text("" if range_uj is None else f"{range_uj}\n")
    return machine


PLACES: Final = {
    "package": ("intel-rapl:0", "package-0"),
    "uncore": ("intel-rapl:0:0", "uncore"),
    "dram": ("intel-rapl:0:0", "dram"),
    "psys": ("intel-rapl:1", "psys"),
}


@pytest.mark.parametrize(
    "case", [each for each in cases("rapl-powercap-overflow") if "domain" in each.values[0]["given"]]
)
def test_two_readings_are_a_difference(tmp_path: Path, case: dict[str, Any]) -> None:
    """The numbers of another tool's tests; a first reading gives nothing, an equal one 0. The polls are 60 s apart."""
    given, expect = case["given"], case["expect"]
    place, name = PLACES[given["domain"]]
    machine = one(tmp_path, given["max_energy_range_uj"], place, name)
    machine.set(place, given["reading_uj"] if given["previous_uj"] is None else given["previous_uj"])
    source = mounted(machine)
    machine.set(place, given["reading_uj"])
    cells = told(source.cells(60 * SECOND))
    source.source.stop()

    if "points" not in expect:
        assert cells[key(given["domain"])] == pytest.approx(expect["energy_J"], rel=0, abs=case["tolerance"])
        assert cells[WRAPS] == expect["wrapped"]


@pytest.mark.parametrize("case", cases("rapl-robustness"))
def test_what_cannot_be_told_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    """A reset, a counter that fell whose range is not known, errors of a reading: with a reason, and never a number."""
    given = case["given"]
    machine = one(tmp_path, given.get("max_energy_range_uj"))
    machine.set("intel-rapl:0", given.get("previous_uj", 5_000_000))
    source = mounted(machine)
    reasons = []
    ts = 0
    for error in given.get("read_error", [""]):
        ts += SECOND
        if error == "empty read":
            os.truncate(machine.file("intel-rapl:0"), 0)
            reasons.append(told(source.cells(ts))[key("package")])
            machine.set("intel-rapl:0", 6_000_000)
        elif error:
            with monkeypatch.context() as patch:
                patch.setattr(os, "pread", failing(getattr(errno, error)))
                reasons.append(told(source.cells(ts))[key("package")])
        else:
            machine.set("intel-rapl:0", given["reading_uj"])
            reasons.append(told(source.cells(ts))[key("package")])
            continue
        ts += SECOND
        assert "begin" in told(source.cells(ts))[key("package")]  # the next good reading is a first one again
    machine.set("intel-rapl:0", 6_500_000 if "read_error" in given else given["reading_uj"] + 500_000)
    assert told(source.cells(ts + SECOND))[key("package")] in (0.5, 1.5)
    source.source.stop()

    assert all(isinstance(reason, str) and "/sys/class/powercap/intel-rapl:0/energy_uj" in reason for reason in reasons)


def failing(code: int) -> Callable[..., bytes]:
    """A reading that always fails."""

    def pread(*_: Any) -> bytes:
        raise OSError(code, os.strerror(code))

    return pread


@pytest.mark.parametrize("case", cases("rapl-wrap-time"))
def test_counters_are_read_before_they_can_wrap_twice(case: dict[str, Any]) -> None:
    """A quarter of the time of a wrap at the most power that is plausible, 60 s at most."""
    given, expect = case["given"], case["expect"]
    range_j = given.get("range_J") or expect["range_J"]
    if "guard_read_s" in expect:
        assert guard_s(range_j, given["max_plausible_W"]) == expect["guard_read_s"]
    else:
        assert range_j == pytest.approx(2 ** given["counter_bits"] * given["energy_unit_uJ"] / 1e6)
        assert range_j / given["power_W"] == pytest.approx(expect["wrap_after_s"], abs=case["tolerance"])
        assert guard_s(range_j, given["power_W"]) <= expect["wrap_after_s"] / 4


# ------------------------------------------------------------------------------------------------------- what is found


def test_zones_that_show_one_register_are_taken_once(tmp_path: Path) -> None:
    """That of the memory-mapped interface beside that of the processor itself; alone it is taken."""
    twins = {
        "intel-rapl:0": Zone("package-0", 100),
        "intel-rapl-mmio:0": Zone("package-0", 100, 5_000_000_010),
        "intel-rapl-mmio:0:0": Zone("dram", 10),
    }
    assert measured(Powercap(tmp_path, twins), [10]) == {key("package"): 1000, key("dram"): 100, WRAPS: 0}


def test_dies_with_counters_of_their_own_add_up(tmp_path: Path) -> None:
    """To their package, as do their parts."""
    dies = {
        "intel-rapl:0": Zone("package-0-die-0", 60, 5_000_000),
        "intel-rapl:0:0": Zone("dram", 4, 6_000_000),
        "intel-rapl:1": Zone("package-0-die-1", 40, 7_000_000),
        "intel-rapl:1:0": Zone("dram", 6, 8_000_000),
        "intel-rapl:2": Zone("package-1-die-0", 30, 9_000_000),
    }
    found = measured(Powercap(tmp_path, dies), [10])
    assert found == {key("package"): 1000, key("dram"): 100, key("package", "1"): 300, WRAPS: 0}


def test_dies_that_show_the_count_of_their_package_are_taken_once(tmp_path: Path) -> None:
    """On any processor where they read the same, whatever comes in between."""
    machine = Powercap(tmp_path, {"intel-rapl:0": Zone("package-0-die-0", 100)})
    machine.make("intel-rapl:1", Zone("package-0-die-1", 100))
    machine.file("intel-rapl:1").unlink()
    machine.file("intel-rapl:1").hardlink_to(machine.file("intel-rapl:0"))

    assert measured(machine, [10]) == {key("package"): 1000, WRAPS: 0}


@pytest.mark.parametrize("vendor", ["AuthenticAMD", "HygonGenuine"])
def test_dies_of_amd_have_one_counter(tmp_path: Path, vendor: str) -> None:
    """Also where it moved between two readings."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 23\n")
    dies = {f"intel-rapl:{die}": Zone(f"package-0-die-{die}", 100, 5_000_000 + die) for die in range(4)}

    assert measured(Powercap(tmp_path, dies), [10]) == {key("package"): 1000, WRAPS: 0}


@pytest.mark.parametrize("case", cases("rapl-sum"))
def test_domains_of_the_golden_sums(tmp_path: Path, case: dict[str, Any]) -> None:
    """Each zone is a series of its domain and package; per-core counters are those of perf, see there."""
    zones: dict[str, Zone] = {}
    package = -1
    for said, joules in case["given"]["zones_J"].items():
        name = said.split("/")[-1].split(" ")[-1]
        part = name in ("core", "uncore", "dram")
        package += not part
        nth = sum(place.startswith(f"intel-rapl:{package}:") for place in zones)
        zones[f"intel-rapl:{package}" + (f":{nth}" if part else "")] = Zone(name, joules / 10, 10**9 * (len(zones) + 1))
    found = measured(Powercap(tmp_path, zones), [10])
    total = sum(joules for name, joules in found.items() if name.endswith(("=package", "=dram")))

    assert total == pytest.approx(case["expect"]["total_J"], abs=case["tolerance"])
    assert len(found) == len(zones) + 1


def test_only_the_first_platform_is_taken(tmp_path: Path) -> None:
    """Where each package shows one, that of the first is of the whole machine."""
    zones = {
        "intel-rapl:0": Zone("package-0", 100),
        "intel-rapl:1": Zone("package-1", 90),
        "intel-rapl:2": Zone("psys", 300),
        "intel-rapl:3": Zone("psys-1", 7, 8_000_000_000),
    }
    found = measured(Powercap(tmp_path, zones), [10])
    assert found == {key("package"): 1000, key("package", "1"): 900, key("psys"): 3000, WRAPS: 0}


def test_no_series_is_a_total_of_others(tmp_path: Path) -> None:
    """Other tools give sums of domains beside them under one name, and whatever adds up all counts them twice."""
    zones = {
        "intel-rapl:0": Zone("package-0", 60),
        "intel-rapl:0:0": Zone("dram", 4, 6_000_000_000),
        "intel-rapl:1": Zone("package-1", 40, 7_000_000_000),
        "intel-rapl:1:0": Zone("dram", 6, 8_000_000_000),
    }
    found = measured(Powercap(tmp_path, zones), [10])
    assert sum(joules for name, joules in found.items() if name != WRAPS) == 1100


def test_a_wrap_is_that_of_one_counter(tmp_path: Path) -> None:
    """Of a sum of dies only what has wrapped is corrected: other tools correct the sum, and show 260 kW."""
    dies = {
        "intel-rapl:0": Zone("package-0-die-0", 60, -1_000_000),
        "intel-rapl:1": Zone("package-0-die-1", 40, 200_000_000_000),
    }
    assert measured(Powercap(tmp_path, dies), [1, 2, 10]) == {key("package"): 1000, WRAPS: 1}


@pytest.mark.parametrize("after_s", [0.0005, 0.02, 0.999])
def test_a_counter_that_has_not_moved_yet_is_missing_in_the_shortest_run(tmp_path: Path, after_s: float) -> None:
    """Nothing says that somebody feeds it; what it counted comes with its first step."""
    machine = Powercap(tmp_path, {"intel-rapl:0": Zone("package-0", 100)})
    source = mounted(machine)
    still = source.cells(round(after_s * SECOND))[key("package")]
    machine.at(1)
    moved = source.cells(SECOND)[key("package")]
    source.source.stop()
    assert isinstance(still.value, Missing)
    assert still.value.reason == "/sys/class/powercap/intel-rapl:0/energy_uj has not moved since it was first read"
    assert (moved.value, moved.since) == (100, 0)


def test_a_counter_that_moved_less_than_a_second_ago_gives_0(tmp_path: Path) -> None:
    """Other tools leave such a reading out, and its time with it."""
    machine = Powercap(tmp_path, {"intel-rapl:0": Zone("package-0", 100)})
    source = mounted(machine)
    machine.at(1)
    source.rows(SECOND)
    cell = source.cells(2 * SECOND - 1)[key("package")]
    source.source.stop()
    assert (cell.value, cell.since, cell.ts) == (0, SECOND, 2 * SECOND - 1)


def test_what_is_no_counter_of_energy_is_left_alone(tmp_path: Path) -> None:
    """Zones of other drivers and of names that nobody knows."""
    machine = Powercap(tmp_path, {"intel-rapl:0": Zone("package-0", 100), "intel-rapl:0:0": Zone("cache", 7)})
    machine.make("dtpm:0", Zone("soc", 1))

    assert measured(machine, [10]) == {key("package"): 1000, WRAPS: 0}


@pytest.mark.parametrize("reader", ["auto", "powercap", "perf"])
def test_a_machine_without_counters_is_refused(tmp_path: Path, reader: str) -> None:
    """Where the check was told to assume that there are some."""
    with pytest.raises(LookupError, match="there is no counter of energy in /sys/"):
        Mounted("rapl", {"reader": reader}, tmp_path)


# ------------------------------------------------------------------------------------------------ what happens to them


@given(
    st.lists(st.tuples(st.floats(0.001, 100), st.floats(0, 1900)), min_size=1, max_size=30),
    st.integers(0, RANGE),
)
def test_any_polling_adds_up(steps: list[tuple[float, float]], start: int) -> None:
    """Whatever the power up to the plausible one and the times between two readings, through any number of wraps."""
    now = [start]
    counter = Counter("c", lambda: now[0] % (RANGE + 1), lambda: None, per_joule=1e6, range_=RANGE, watts=2000)
    counter.look(0)
    counter.take()
    ts, total = 0, 0.0
    for seconds, watts in steps:
        ts += round(seconds * SECOND)
        now[0] += round(seconds * watts * 1e6)
        counter.look(ts)
        taken = counter.take()
        assert not isinstance(taken, Missing)
        total += taken

    assert total == pytest.approx((now[0] - start) / 1e6)


@given(st.lists(st.integers(0, RANGE), min_size=2, max_size=20), st.floats(0.0001, 100))
def test_no_reading_gives_a_negative_or_huge_number(readings: list[int], seconds: float) -> None:
    """Whatever a counter says."""
    now = [0]
    counter = Counter("c", lambda: now[0], lambda: None, per_joule=1e6, range_=RANGE, watts=2000)
    for nth, reading in enumerate(readings):
        now[0] = reading
        counter.look(round(nth * seconds * SECOND))
        taken = counter.take()
        assert isinstance(taken, Missing) or 0 <= taken <= 2000 * (seconds + 1.1)


@pytest.mark.parametrize(("limits", "joules"), [({}, 40_000), ({"constraint_0_max_power_uw": 95_000_000}, 9_000)])
def test_a_reset_is_told_from_a_wrap_by_the_limits_of_the_package(
    tmp_path: Path, limits: dict[str, int], joules: int
) -> None:
    """What it can give in 10 s at four times its limit, 500 W at least, and 2000 W where it says none."""
    machine = one(tmp_path)
    for name, value in limits.items():
        machine.file("intel-rapl:0", name).write_text(f"{value}\n")
    cells = []
    for fall in (joules - 20_100, joules):
        machine.set("intel-rapl:0", RANGE - fall * 10**6 if fall > 0 else RANGE)
        source = mounted(machine)
        machine.set("intel-rapl:0", 0)
        cells.append(told(source.cells(10 * SECOND))[key("package")])
        source.source.stop()

    assert not isinstance(cells[0], str)
    assert "began anew" in cells[1]


def test_a_zone_that_vanishes_is_missing_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    """As when the driver is loaded anew; the other zones are not touched."""
    machine = row(tmp_path, "A")
    source = mounted(machine)
    machine.file("intel-rapl:0:1").unlink()
    machine.set("intel-rapl:0", 5_100_000_000)
    gone = told(source.cells(SECOND))
    still = told(source.cells(2 * SECOND))
    machine.set("intel-rapl:0:1", 42)
    back = told(source.cells(3 * SECOND))
    machine.set("intel-rapl:0:1", 10_000_042)
    on = told(source.cells(4 * SECOND))
    source.source.stop()

    path = "/sys/class/powercap/intel-rapl:0:1/energy_uj"
    assert gone[key("dram")] == still[key("dram")] == f"{path}: {os.strerror(errno.ENOENT)}"
    assert gone[key("package")] == 100
    assert back[key("dram")] == f"{path} could not be read at the begin of this time"
    assert on[key("dram")] == 10


def test_a_reading_above_the_range_is_no_number(tmp_path: Path) -> None:
    """It is missing, and the next one is a first one again."""
    machine = one(tmp_path)
    source = mounted(machine)
    machine.set("intel-rapl:0", RANGE + 1)
    cells = told(source.cells(SECOND))
    source.source.stop()

    assert f"{RANGE + 1}, which is outside of 0 to {RANGE}" in cells[key("package")]


# -------------------------------------------------------------------------------------------------------------- guard


def threads() -> list[threading.Thread]:
    """The threads of the source."""
    return [each for each in threading.enumerate() if each.name == "meter-rapl"]


def test_slow_polls_have_a_thread_that_reads_in_between(tmp_path: Path) -> None:
    """So no wrap is lost in a poll of 2 hours, in which the counters wrap twice; it ends with the source."""
    machine = row(tmp_path, "A")
    source = Mounted("rapl", {"interval": 7200 * SECOND}, tmp_path)
    assert isinstance(source.source, Rapl)
    assert threads() == []
    source.rows(0)
    assert len(threads()) == 1
    for minute in range(1, 120):
        machine.at(minute * 60)
        source.source._look(minute * 60 * SECOND)
    machine.at(7200)
    cells = told(source.cells(7200 * SECOND))
    source.source.stop()

    assert cells == pytest.approx(
        {key("package"): 720_000, key("core"): 432_000, key("dram"): 72_000, WRAPS: 3}, rel=1e-9
    )
    assert threads() == []


def test_usual_polls_need_no_thread(tmp_path: Path) -> None:
    """The interval is far below the time of a wrap."""
    source = mounted(row(tmp_path, "A"))
    assert threads() == []
    source.source.stop()


def test_the_thread_reads_in_time(tmp_path: Path) -> None:
    """Where a range is so small that it wraps in less than the interval of a second."""
    machine = one(tmp_path, 10**6)
    source = Mounted("rapl", {"interval": 60 * SECOND}, tmp_path)
    source.rows(0)
    seen = threading.Event()
    assert isinstance(source.source, Rapl)
    counter = source.source._counters[0]
    read = counter.read

    def reading() -> int:
        if threading.current_thread().name == "meter-rapl":
            seen.set()
        return read()

    counter.read = reading
    assert machine.file("intel-rapl:0").exists()
    assert seen.wait(30)
    source.source.stop()


def test_stopping_closes_every_file(tmp_path: Path) -> None:
    """And it can be started again."""
    machine = row(tmp_path, "A")
    before = set(os.listdir("/proc/self/fd"))
    source = mounted(machine)
    source.source.stop()
    assert set(os.listdir("/proc/self/fd")) == before


# --------------------------------------------------------------------------------------------------------------- perf

SCALE: Final = 2.0**-32


class Events:
    """A machine with event sources; what its events have counted comes through pipes, as a test says."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.pipes: dict[tuple[int, int, int], int] = {}
        self.denied = False
        monkeypatch.setattr(perf, "open_event", self.open)

    def device(self, name: str, kind: int, cpus: str, events: dict[str, int]) -> Path:
        """An event source."""
        folder = self.root / "sys/bus/event_source/devices" / name
        (folder / "events").mkdir(parents=True)
        (folder / "type").write_text(f"{kind}\n")
        (folder / "cpumask").write_text(f"{cpus}\n")
        for event, config in events.items():
            (folder / "events" / event).write_text(f"event={config:#04x}\n")
            (folder / "events" / f"{event}.unit").write_text("Joules\n")
            (folder / "events" / f"{event}.scale").write_text("2.3283064365386962890625e-10\n")
        return folder

    def package(self, cpu: int, package: int, die: int = 0) -> None:
        """Where a CPU is."""
        folder = self.root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        (folder / "die_id").write_text(f"{die}\n")

    def open(self, context: Any, kind: int, config: int, cpu: int) -> int:
        """As the kernel does; an event counts from 0 on."""
        del context
        if self.denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        reading, self.pipes[kind, config, cpu] = os.pipe()
        self.count({(kind, config, cpu): 0})
        return reading

    def count(self, joules: dict[tuple[int, int, int], float]) -> None:
        """What the next reading of each event gives."""
        for event, each in joules.items():
            os.write(self.pipes[event], round(each / SCALE).to_bytes(8, "little"))

    def mount(self) -> Mounted:
        """The source over them, polled once."""
        source = Mounted("rapl", {"reader": "perf", "interval": SECOND}, self.root)
        assert source.rows(0) == []
        return source


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Events:
    """A machine without any."""
    return Events(tmp_path, monkeypatch)


INTEL: Final = {"energy-cores": 1, "energy-pkg": 2, "energy-ram": 3, "energy-psys": 5}


def test_events_are_the_same_domains(events: Events) -> None:
    """Two packages, each with its memory; psys is of all, and so of the first one."""
    events.device("power", 12, "0,18", INTEL)
    events.package(0, 0)
    events.package(18, 1)
    source = events.mount()
    assert set(events.pipes) == {(12, c, cpu) for c in (1, 2, 3) for cpu in (0, 18)} | {(12, 5, 0)}
    events.count({event: event[1] * 100 + event[2] for event in events.pipes})
    cells = told(source.cells(10 * SECOND))
    source.source.stop()

    assert cells == {
        key("core"): 100,
        key("core", "1"): 118,
        key("package"): 200,
        key("package", "1"): 218,
        key("dram"): 300,
        key("dram", "1"): 318,
        key("psys"): 500,
        WRAPS: 0,
    }


def test_cores_of_amd_are_summed_over_their_package(events: Events) -> None:
    """The golden sum; dies whose events are those of the package are taken once."""
    (case,) = (each for each in CASES if each["id"] == "rsum-06")
    cores = case["given"]["core_counters_J"]
    (events.root / "proc").mkdir()
    (events.root / "proc" / "cpuinfo").write_text("vendor_id\t: AuthenticAMD\n")
    events.device("power", 12, "0,2", {"energy-pkg": 2})
    events.device("power_core", 13, "0-3", {"energy-core": 1})
    for cpu in range(4):
        events.package(cpu, 0, cpu // 2)
    source = events.mount()
    events.count({(12, 2, 0): case["given"]["zones_J"]["package-0"]})
    events.count({(13, 1, cpu): joules for cpu, joules in enumerate(cores)})
    cells = told(source.cells(SECOND))
    source.source.stop()

    assert cells == {key("package"): case["expect"]["total_J"], key("core"): case["expect"]["cores_J"], WRAPS: 0}
    assert (12, 2, 2) not in events.pipes


def test_an_event_that_may_not_be_opened_is_missing_with_what_mends_it(events: Events) -> None:
    """And goes on when it may."""
    events.device("power", 12, "0", {"energy-pkg": 2})
    events.denied = True
    source = events.mount()
    denied = told(source.cells(SECOND))
    events.denied = False
    source.rows(2 * SECOND)
    events.count({(12, 2, 0): 7})
    mended = told(source.cells(3 * SECOND))
    source.source.stop()

    assert denied[key("package")].startswith("no permission to open the event energy-pkg of CPU 0: `sudo sysctl ")
    assert mended == {key("package"): 7, WRAPS: 0}


@pytest.mark.parametrize(
    ("file", "text", "told_of"),
    [
        ("energy-pkg", "umask=0x02", "expected `event=`"),
        ("energy-pkg.unit", "Watts", "expected `Joules`"),
        ("energy-pkg.scale", "0", "expected a number between 0 and 1"),
    ],
)
def test_an_event_that_is_not_understood_is_refused(events: Events, file: str, text: str, told_of: str) -> None:
    """It might count something else."""
    folder = events.device("power", 12, "0", {"energy-pkg": 2})
    (folder / "events" / file).write_text(text)
    with pytest.raises(ValueError, match=f"{file} holds .*{told_of}"):
        events.mount()


def test_the_host_says_which_reader(events: Events) -> None:
    """The alternative of `needs.host` that holds, unless the option names one."""
    row(events.root, "A")
    events.device("power", 12, "0", {"energy-pkg": 2})
    found = {}
    asked = (
        ("auto", "powercap"),
        ("auto", "perf"),
        ("auto", "perf-permitted"),
        ("powercap", "perf"),
        ("perf", "powercap"),
    )
    for reader, alternative in asked:
        made = Rapl({"reader": reader, "interval": SECOND})
        bound = BoundSourceContext(declared("rapl"), events.root)
        bound.alternative = alternative
        made.start(bound)
        found[reader, alternative] = made._counters[0].name.split(" ")[0]
        made.stop()

    assert found == {
        ("auto", "powercap"): "/sys/class/powercap/intel-rapl:0/energy_uj",
        ("auto", "perf"): "the",
        ("auto", "perf-permitted"): "the",
        ("powercap", "perf"): "/sys/class/powercap/intel-rapl:0/energy_uj",
        ("perf", "powercap"): "the",
    }


def test_events_of_another_machine_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below `--sysroot` the number of an event source is that of the machine that was copied."""
    with monkeypatch.context() as patch:
        Events(tmp_path, patch).device("power", 1, "0", {"energy-pkg": 0})  # here this would be a clock of the CPU
    source = Mounted("rapl", {"reader": "perf", "interval": SECOND}, tmp_path)
    source.rows(0)
    cells = told(source.cells(SECOND))
    source.source.stop()

    assert "on the machine itself only" in cells[key("package")]


def test_the_call_opens_an_event_of_the_kernel() -> None:
    """A clock of the CPU (type 1, config 0) stands for an event of RAPL; it counts, and each reading is a whole one."""
    try:
        descriptor = perf.open_event(SourceContext("rapl"), 1, 0, 0)
    except OSError as error:
        pytest.skip(f"this machine opens no event: {error}")
    first, second = (int.from_bytes(os.read(descriptor, 8), "little") for _ in range(2))
    os.close(descriptor)

    assert 0 < first < second < 10**12


def test_no_reader_loads_ctypes_until_an_event_is_opened() -> None:
    """It takes longer than all else of the source."""
    code = (
        "import sys, meter.plugins.rapl.plugin as _, meter.plugins.rapl.powercap as _, meter.plugins.rapl.perf as _\n"
    )
    code += "print('ctypes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
