"""Numbers that others measure, too: power of modules by `hwmon`, and how busy CPUs are by `cpu`.

The cases are in tests/data/host-cases.json.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core import Backend, ContractError, Missing
from meter.core.readings import Row
from tests.fake import SECOND, Mounted
from tests.plugins.chain import Chain, cells, metric

if TYPE_CHECKING:
    from collections.abc import Mapping

CASES: Final[dict[str, dict[str, Any]]] = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[1] / "data" / "host-cases.json").read_text())["cases"]
}
HERTZ: Final = os.sysconf("SC_CLK_TCK")


def case(name: str) -> tuple[dict[str, Any], dict[str, Any], float]:
    """What is given, what is expected, and within how much."""
    found = CASES[name]
    return found["given"], found["expect"], found["tolerance"]


def test_every_case_has_a_test() -> None:
    """A case that is added to the file cannot be overlooked."""
    assert set(CASES) == {"grace-01", "grace-02", "cpupct-01", "cpupct-02", "cpupct-04"}


# -------------------------------------------------------------------------------------------------------------- power


def meters(root: Path, microwatts: Mapping[str, int]) -> Path:
    """A machine with a power meter of ACPI for each of some parts."""
    for nth, (label, power) in enumerate(microwatts.items()):
        folder = root / "sys" / "class" / "hwmon" / f"hwmon{nth}"
        folder.mkdir(parents=True)
        for name, value in {"name": "power_meter", "power1_label": label, "power1_average": power}.items():
            (folder / name).write_text(f"{value}\n")
    return root


def test_power_of_a_module_becomes_energy(tmp_path: Path) -> None:
    """Microwatts of the kernel through `hwmon` and `integrate`."""
    given_, expect, tolerance = case("grace-01")
    chain = Chain([metric("p", "gauge", "f64", "W")], "integrate", "metrics=p")
    columns = chain.columns(chain.key("p"))
    root = meters(tmp_path, {"grace": given_["power_uW"][0]})
    source = Mounted("hwmon", {}, root)
    rows = []
    for nth, power in enumerate(given_["power_uW"]):
        (root / "sys/class/hwmon/hwmon0/power1_average").write_text(f"{power}\n")
        ts = round(nth * given_["dt_s"] * SECOND)
        [cell] = source.cells(ts).values()
        rows.append(Row(columns, ts, ts, [cell.value]))
    source.source.stop()
    [(joules, _, _)] = cells(chain.blocks(rows), "p.energy")

    assert joules * 1000 == pytest.approx(expect["energy_mJ"], abs=tolerance)


def test_what_is_left_of_a_module_is_computed_of_its_meters(tmp_path: Path) -> None:
    """Through the engine: sensors are parts of one machine when `aggregate` has left out which chip each is."""
    given_, expect, tolerance = case("grace-02")
    parts = {name.removesuffix("_uW"): power for name, power in given_.items()}
    mean = {name: f"hw.power.average.mean{{hw.sensor_location={name}}}" for name in parts}
    root = meters(tmp_path, parts)
    backend = (
        Backend("/grace", sysroot=root)
        .add("hwmon", interval="100ms")
        .add("aggregate", metrics=["hw.power.average"], function="mean", over=["resource"])
        .add("attribution", formulas={"dram": f"{mean['grace']} - {mean['cpu']} - {mean['sysio']}"})
        .add("collect")
    )
    found: list[float | Missing] = []
    with backend.mounted().running() as running:
        while not found:
            running.wait(0.02)
            found += [each.value for each in running.take() if each.key.metric.name == "dram"]

    assert found[0] == pytest.approx(expect["dram_uW"] / 1e6, abs=tolerance)


# --------------------------------------------------------------------------------------------------------------- CPUs


class Cores:
    """A /proc/stat, and the source over it."""

    def __init__(self, root: Path, cores: int) -> None:
        self.file = root / "proc" / "stat"
        self.file.parent.mkdir(parents=True)
        self.cores = cores
        self.write(0, 0)
        self.source = Mounted("cpu", {}, root)

    def write(self, user: float, idle: float) -> None:
        """Ticks that each core has spent until now."""
        lines = [f"cpu{core} {user:.0f} 0 0 {idle:.0f} 0 0 0 0 0 0" for core in range(self.cores)]
        self.file.write_text("\n".join(["cpu  0 0 0 0 0 0 0 0 0 0", *lines, "intr 0", "ctxt 0", "btime 5", ""]))

    def poll(self, seconds: float) -> dict[str, float]:
        """Seconds by mode over all cores, and `count`: how many are online."""
        found: dict[str, float] = {}
        for name, cell in self.source.cells(round(seconds * SECOND)).items():
            assert not isinstance(cell.value, Missing)
            mode = name.partition("cpu.mode=")[2] or "count"
            found[mode] = found.get(mode, 0) + cell.value
        return found


def test_how_busy_the_machine_is(tmp_path: Path) -> None:
    """By all cores that are online, whichever may be used; by their time, and by the time between two polls."""
    given_, expect, tolerance = case("cpupct-01")
    cores = Cores(tmp_path, given_["online_cores"])
    cores.poll(0)
    busy = given_["cpu_time_delta_s"] / cores.cores
    cores.write(busy * HERTZ, (given_["dt_s"] - busy) * HERTZ)
    found = cores.poll(given_["dt_s"])
    cores.source.source.stop()

    count, user = found.pop("count"), found["user"]
    assert 100 * user / given_["dt_s"] / count == pytest.approx(expect["cpu_percent"], abs=tolerance)
    assert 100 * user / sum(found.values()) == pytest.approx(expect["cpu_percent"], abs=tolerance)


def test_one_sample_says_nothing(tmp_path: Path) -> None:
    """Not 0 either."""
    given_, expect, _ = case("cpupct-02")
    cores = Cores(tmp_path, 2)
    found = [cores.poll(second) for second in range(given_["samples"])]
    cores.source.source.stop()

    assert sum(len(set(each) - {"count"}) for each in found) == expect["points"]


@settings(max_examples=25, deadline=None)
@given(ticks=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20))
def test_no_share_is_above_all(tmp_path_factory: pytest.TempPathFactory, ticks: list[tuple[int, int]]) -> None:
    """Of polls as short as two ticks, in which the kernel may count more of them than there was time."""
    given_, _, _ = case("cpupct-04")
    cores = Cores(tmp_path_factory.mktemp("stat"), 1)
    cores.poll(0)
    user = idle = 0
    for nth, (more, rest) in enumerate(ticks, start=1):
        user, idle = user + more, idle + rest
        cores.write(user, idle)
        found = cores.poll(nth * given_["poll_ms"] / 1000)
        del found["count"]
        assert found["user"] <= sum(found.values()) == pytest.approx((more + rest) / HERTZ)
    cores.source.source.stop()


def test_less_than_a_tick_is_refused() -> None:
    """As nothing is counted in most of such polls."""
    tick_ms = case("cpupct-04")[0]["clock_tick_ms"]
    with pytest.raises(ContractError) as caught:
        Backend("/fast").add("cpu", interval=f"{tick_ms - 1}ms").add("collect").check(assume=True)

    assert [each.code for each in caught.value.diagnostics] == ["E-CONFIG-RANGE"]
    assert Backend("/fast").add("cpu", interval=f"{tick_ms}ms").add("collect").check(assume=True).order
