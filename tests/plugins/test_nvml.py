"""The source `nvml`, on a fake library of the driver with a known truth."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Gone, Missing
from meter.plugins.nvml.parting import Parting
from tests import nvml
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@pytest.fixture
def driver(nvml_driver: nvml.Driver) -> Iterator[nvml.Driver]:
    """Two GPUs of 100 W; afterwards nobody uses the library any more."""
    nvml_driver.reset(2)
    yield nvml_driver
    assert nvml_driver.users == 0


class Gpus:
    """The source, polled at the times of the fake's clock."""

    def __init__(self, driver: nvml.Driver, config: Mapping[str, Any] | None = None) -> None:
        self._driver = driver
        self._seconds = 0.0
        self.mounted = Mounted("nvml", config)
        self.since: dict[str, int] = {}
        """When the rows of the last poll began."""

    def poll(self, seconds: float) -> dict[str, Any]:
        """Numbers or reasons of all series."""
        self._seconds = seconds
        self._driver.clock(seconds)
        rows = self.mounted.rows(round(seconds * SECOND))
        self.since = {key.name: row.since for row in rows for key in row.columns.keys}
        return {
            (key.at(row.id) if row.id else key).name: value.reason if isinstance(value, Missing) else value
            for row in rows
            for key, value in zip(row.columns.keys, row.values, strict=True)
        }

    def energies(self, *seconds: float) -> list[dict[str, Any]]:
        """J of each GPU at each of several polls."""
        polls = [self.poll(each) for each in seconds]
        return [{str(gpu): poll[energy(gpu)] for gpu in range(16) if energy(gpu) in poll} for poll in polls]

    def quality(self, gpu: int) -> tuple[str, str]:
        """That of its energy, with the reason."""
        for _ in range(2):
            self.poll(self._seconds + 1)
        rows = self.mounted.rows(round(self._seconds * SECOND))
        metrics = [key.metric for row in rows for key in row.columns.keys if key.name == energy(gpu)]
        return metrics[0].quality, metrics[0].reason

    def stop(self) -> None:
        """Give the library back."""
        self.mounted.source.stop()


@pytest.fixture
def gpus(driver: nvml.Driver) -> Iterator[Any]:
    """Makes the source; stops what it has made."""
    made: list[Gpus] = []

    def make(config: Mapping[str, Any] | None = None) -> Gpus:
        made.append(Gpus(driver, config))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def energy(gpu: int) -> str:
    """The name of a series."""
    return of("hw.energy", gpu)


def of(metric: str, gpu: int, *attributes: str) -> str:
    """The same of any metric."""
    vendor = [*attributes, "hw.vendor=NVIDIA"]
    return "/".join([metric, "gpu", f"#{gpu}" if gpu < 10 else f"#_{gpu}", "machine", "%", *vendor])


def value_of(name: str, attribute: str) -> str:
    """What an attribute is in the name of a series."""
    return name.partition(f"/{attribute}=")[2].partition("/")[0]


# ------------------------------------------------------------------------------------------------------------- energy


def cases(topic: str) -> list[Any]:
    """The cases of a topic in the shared vectors."""
    document = json.loads((Path(__file__).parents[1] / "data" / "nvml" / "cases.json").read_text())
    return [pytest.param(case, id=case["id"]) for case in document["cases"] if case["topic"] == topic]


@pytest.mark.parametrize("case", cases("nvml-energy"))
def test_energies_of_the_vectors(driver: nvml.Driver, gpus: Any, case: dict[str, Any]) -> None:
    """Power becomes energy by trapezoids, whether it rises or falls; readings of the counter by differences."""
    given, expect = case["given"], case["expect"]
    powers = given.get("power_mW")
    readings = powers or given["energy_counter_mJ"]
    if powers:
        driver.fail(0, "energy", nvml.NOT_SUPPORTED)
        driver.set(0, "instant", powers[0])
    driver.watts(0, 0)
    made, found = gpus(), []
    for second, reading in enumerate(readings):
        driver.set(0, "instant" if powers else "energy", reading)
        found += [each["0"] * 1000 for each in made.energies(second * given.get("dt_s", 1) + 1) if "0" in each]

    assert sum(found) == pytest.approx(expect.get("energy_mJ", expect.get("total_mJ")), abs=1e-9)
    assert found == pytest.approx(expect.get("differences_mJ", found), abs=1e-9)


@pytest.mark.parametrize("case", cases("nvml-source-choice"))
def test_where_energy_comes_from(driver: nvml.Driver, gpus: Any, case: dict[str, Any]) -> None:
    """The counter, else the power now, and the quality says which."""
    for key, answer in case["given"].items():
        if answer != "ok":
            driver.fail(0, {"energy_counter": "energy"}[key], nvml.NOT_SUPPORTED)

    quality, reason = gpus().quality(0)

    assert quality == case["expect"]["quality"]
    assert ("field 186" in reason) is (case["expect"]["from"] == "field_186")


def test_without_the_power_now_the_other_one_is_integrated(driver: nvml.Driver, gpus: Any) -> None:
    """As an old driver has it; the reason names the function."""
    driver.fail(0, "energy", nvml.NOT_SUPPORTED)
    driver.fail(0, "instant", nvml.NOT_SUPPORTED)
    driver.set(0, "power", 30_000)
    made = gpus()

    assert made.energies(1, 3) == [{}, {"0": 60.0, "1": 200.0}]
    assert made.poll(4)[of("hw.power", 0)] == 30.0
    assert made.quality(0) == (
        "derived",
        "nvmlDeviceGetTotalEnergyConsumption: Not Supported; the power of nvmlDeviceGetPowerUsage was integrated",
    )


def test_a_gpu_without_counter_and_power_is_missing_in_every_total(driver: nvml.Driver, gpus: Any) -> None:
    """With what the driver says of both, and never 0; the other one is there."""
    for key in ("energy", "instant", "power"):
        driver.fail(1, key, nvml.NOT_SUPPORTED)

    first, second = gpus().energies(1, 2)

    assert first == {}
    assert second["0"] == 100.0
    assert "nvmlDeviceGetTotalEnergyConsumption: Not Supported" in second["1"]
    assert "Not Supported (field 186)" in second["1"]


@pytest.mark.parametrize("lacks", [False, True], ids=["N1", "N2"])
@pytest.mark.parametrize("step", [0.1, 1.0, 3.0])
def test_the_energy_matrix(driver: nvml.Driver, gpus: Any, step: float, lacks: bool) -> None:  # noqa: FBT001  (a row)
    """750 J and 300 J in 3 s, at any pace, also where the second GPU has no counter (row N2)."""
    driver.watts(0, 250)
    driver.watts(1, 100)
    if lacks:
        driver.fail(1, "energy", nvml.NOT_SUPPORTED)
    made = gpus()

    polls = made.energies(*(1 + step * n for n in range(round(3 / step) + 1)))

    assert polls[0] == {}
    assert [sum(each[gpu] for each in polls[1:]) for gpu in "01"] == pytest.approx([750, 300], rel=1e-9)
    assert made.quality(1)[0] == ("derived" if lacks else "measured")


def test_joules_are_those_of_the_span_within_a_step_of_the_counter(gpus: Any) -> None:
    """Polls that fall between two steps of 20 ms give a step more or less, and lose none."""
    found = [each["0"] for each in gpus().energies(*(0.113 * n for n in range(1, 60)))[1:]]

    assert all(abs(each - 11.3) <= 2.001 for each in found)
    assert sum(found) == pytest.approx(100 * 0.113 * 58, abs=2.001)


def test_an_energy_that_could_not_be_read_once_is_not_lost(driver: nvml.Driver, gpus: Any) -> None:
    """It is missing, then one delta spans both intervals; of the counter and of integrated power."""
    driver.fail(1, "energy", nvml.NOT_SUPPORTED)
    made = gpus()
    made.poll(1)
    driver.fail(0, "energy", nvml.TIMEOUT)
    driver.fail(1, "instant", nvml.TIMEOUT)
    failed = made.poll(2)
    driver.fail(0, "energy", 0)
    driver.fail(1, "instant", 0)
    driver.clock(3)
    cells = made.mounted.cells(3 * SECOND)

    assert failed[energy(0)] == "nvmlDeviceGetTotalEnergyConsumption: Timeout"
    assert failed[energy(1)] == "nvmlDeviceGetFieldValues: Timeout (field 186)"
    assert [(cells[energy(gpu)].value, cells[energy(gpu)].since) for gpu in (0, 1)] == [(200.0, SECOND)] * 2


def test_a_counter_that_went_back_is_missing_once(driver: nvml.Driver, gpus: Any) -> None:
    """As when the driver was loaded anew: what it had counted is not known."""
    made = gpus()
    made.poll(1)
    driver.set(0, "energy", 0)

    assert made.energies(2, 3) == [{"0": "the counter went back", "1": 100.0}, {"0": 100.0, "1": 100.0}]


# ------------------------------------------------------------------------------------------------------------- faults

FIELDS = {
    "instant": ["hw.power"],
    "average": ["hw.power.average"],
    "utilization": ["hw.gpu.memory.busy", "hw.gpu.utilization/hw.gpu.task=general"],
    "encoder": ["hw.gpu.utilization/hw.gpu.task=encoder"],
    "decoder": ["hw.gpu.utilization/hw.gpu.task=decoder"],
    "memory": ["hw.gpu.memory.limit", "hw.gpu.memory.reserved", "hw.gpu.memory.usage"],
    "temperature": ["hw.temperature/hw.sensor_location=gpu"],
    "memory_temperature": ["hw.temperature/hw.sensor_location=memory"],
    "clock": [f"hw.gpu.speed/hw.gpu.clock={clock}" for clock in ("graphics", "sm", "memory", "video")],
    "compute": ["hw.gpu.process.count/hw.gpu.context=compute"],
    "graphics": ["hw.gpu.process.count/hw.gpu.context=graphics"],
    "energy": ["hw.energy"],
}
"""What is behind each key of the fake."""


def named(gpu: int, series: str) -> str:
    """The name of a series of `FIELDS`."""
    metric, _, attribute = series.partition("/")
    return of(metric, gpu, *([attribute] if attribute else []))


@pytest.mark.parametrize("code", [nvml.NOT_SUPPORTED, nvml.NO_PERMISSION, nvml.TIMEOUT, nvml.TOO_SMALL, 999])
@pytest.mark.parametrize("key", FIELDS)
def test_what_fails_is_missing_and_nothing_else_is(driver: nvml.Driver, gpus: Any, key: str, code: int) -> None:
    """Each with what the driver said, on this GPU alone, never 0; when it works again it is there again."""
    made = gpus()
    made.poll(1)
    good = made.poll(2)
    driver.fail(1, key, code)
    failed = made.poll(3)
    driver.fail(1, key, 0)
    again = made.poll(4)

    missing = {name for name, value in failed.items() if isinstance(value, str)}
    assert missing == {named(1, series) for series in FIELDS[key]}
    assert all("nvmlDeviceGet" in failed[name] for name in missing)
    assert failed.keys() == good.keys()
    assert {name: again[name] for name in missing - {energy(1)}} == {name: good[name] for name in missing - {energy(1)}}


@pytest.mark.parametrize("key", [key for key in FIELDS if key not in ("energy", "instant")])
def test_what_is_not_supported_is_missing_from_the_start_on(driver: nvml.Driver, gpus: Any, key: str) -> None:
    """With the reason; the driver is asked for it once, and not at each poll."""
    driver.fail(0, key, nvml.NOT_SUPPORTED)
    made = gpus()
    first = made.poll(1)
    before = driver.calls
    second = made.poll(2)

    asked_of_one = 13
    calls = {"clock": 4, "average": 0, "memory_temperature": 0}.get(key, 1)
    assert driver.calls - before == 2 * asked_of_one - calls
    for series in FIELDS[key]:
        assert first[named(0, series)] == second[named(0, series)]
        assert "Not Supported" in second[named(0, series)]
        assert not isinstance(second[named(1, series)], str)


@pytest.mark.parametrize("code", [nvml.TIMEOUT, nvml.NO_PERMISSION, 999])
def test_a_gpu_that_fails_altogether_hides_no_other(driver: nvml.Driver, gpus: Any, code: int) -> None:
    """All of it is missing as long as that lasts; its energy spans the gap afterwards."""
    made = gpus()
    made.poll(1)
    good = made.poll(2)
    driver.fail(0, "all", code)
    failed = made.poll(3)
    driver.fail(0, "all", 0)
    again = made.poll(4)

    first = {name for name in good if "/gpu/#0/" in name and not name.startswith("hw.status/")}
    assert {name for name, value in failed.items() if isinstance(value, str)} == first
    assert {name: failed[name] for name in good.keys() - first} == {name: good[name] for name in good.keys() - first}
    assert again == {**good, energy(0): 200.0}


@pytest.mark.parametrize("code", [nvml.LOST, nvml.RESET])
def test_a_lost_gpu_ends_and_leaves_its_mark(driver: nvml.Driver, gpus: Any, code: int) -> None:
    """Its series end; it is said to have failed, and its energy is missing at every poll from then on."""
    made = gpus()
    before = made.energies(1, 2)[1]
    driver.fail(0, "all", code)
    lost, later = made.poll(3), made.poll(4)

    status = [name for name in later if name.startswith("hw.status/gpu/#0")]
    assert before == {"0": 100.0, "1": 100.0}
    for each in (lost, later):
        assert "GPU 0 has gone" in each[energy(0)]
        assert each[energy(1)] == 100.0
        assert {name.rpartition("hw.state=")[2].partition("/")[0]: each[name] for name in status} == {
            "ok": 0,
            "failed": 1,
        }
        assert {name for name in each if "/gpu/#0/" in name} == {energy(0), *status}


def test_a_gpu_that_is_lost_once_stays_so(driver: nvml.Driver, gpus: Any) -> None:
    """It is not asked again: what it would say then is of a GPU that was reset."""
    made = gpus()
    made.poll(1)
    driver.fail(0, "all", nvml.LOST)
    made.poll(2)
    driver.fail(0, "all", 0)

    assert "GPU 0 has gone" in made.poll(3)[energy(0)]


def test_the_last_lost_gpu_ends_the_source(driver: nvml.Driver, gpus: Any) -> None:
    """What it said in this poll still counts: the energy is missing."""
    made = gpus({"gpus": ["1"]})
    made.poll(1)
    driver.fail(1, "all", nvml.LOST)
    driver.clock(2)
    made.mounted.readings.begin(2 * SECOND)
    with pytest.raises(Gone):
        made.mounted.source.poll(made.mounted.readings)

    values = {
        key.name: row.values[at] for row in made.mounted.readings.take() for at, key in enumerate(row.columns.keys)
    }
    assert isinstance(values[energy(1)], Missing)


@pytest.mark.parametrize(
    ("code", "why"), [(nvml.LOST, "GPU is lost"), (nvml.NO_PERMISSION, "Insufficient Permissions")]
)
def test_a_gpu_that_cannot_be_had_at_the_start_leaves_its_mark(
    driver: nvml.Driver, gpus: Any, code: int, why: str
) -> None:
    """The other one is measured; a total of both is missing, and says why."""
    driver.fail(0, "handle", code)

    assert gpus().energies(1, 2)[1] == {"0": f"GPU 0 cannot be used: {why}", "1": 100.0}


def test_no_gpu_that_can_be_used(driver: nvml.Driver) -> None:
    """The source does not start, and says why of each."""
    driver.fail(0, "handle", nvml.NO_PERMISSION)
    driver.fail(1, "handle", nvml.LOST)

    with pytest.raises(LookupError, match="GPU 0 cannot be used: Insufficient Permissions; GPU 1 cannot be used"):
        Gpus(driver)


def test_no_gpu_at_all(driver: nvml.Driver) -> None:
    """As in a container that was given none."""
    driver.reset(0)

    with pytest.raises(LookupError, match="has no GPU; in a container, start it with `--gpus all`"):
        Gpus(driver)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (nvml.NOT_LOADED, "Driver Not Loaded; load it with `sudo modprobe nvidia`"),
        (nvml.NO_PERMISSION, "Insufficient Permissions; let this user read and write /dev/nvidiactl"),
        (18, "version mismatch.; the driver was updated: restart the machine"),
        (999, "Unknown Error; see what `nvidia-smi` says"),
    ],
)
def test_a_driver_that_cannot_be_used(driver: nvml.Driver, code: int, words: str) -> None:
    """What it says, and what mends it."""
    driver.load(code)

    with pytest.raises(OSError, match=words):
        Gpus(driver)
    driver.load(0)


# ----------------------------------------------------------------------------------------------------- what is measured


def test_the_numbers_of_a_gpu(driver: nvml.Driver, gpus: Any) -> None:
    """Each in the unit of its name; memory in use is without what is reserved."""
    driver.set(0, "instant", 123_456)

    values = gpus().poll(1)

    assert values[of("hw.power", 0)] == 123.456
    assert values[of("hw.power.average", 0)] == 100.0
    assert values[of("hw.gpu.utilization", 0, "hw.gpu.task=general")] == 0.75
    assert values[of("hw.gpu.utilization", 0, "hw.gpu.task=encoder")] == 0.1
    assert values[of("hw.gpu.utilization", 0, "hw.gpu.task=decoder")] == 0.2
    assert values[of("hw.gpu.memory.busy", 0)] == 0.3
    assert values[of("hw.gpu.memory.usage", 0)] == 2 << 30
    assert values[of("hw.gpu.memory.reserved", 0)] == 1 << 28
    assert values[of("hw.gpu.memory.limit", 0)] == 8 << 30
    assert values[of("hw.temperature", 0, "hw.sensor_location=gpu")] == 40.0
    assert values[of("hw.temperature", 0, "hw.sensor_location=memory")] == 50.0
    assert values[of("hw.gpu.speed", 0, "hw.gpu.clock=graphics")] == 1.0e9
    assert values[of("hw.gpu.speed", 0, "hw.gpu.clock=video")] == 1.003e9


def test_the_status_says_which_gpu_it_is(gpus: Any) -> None:
    """By model, UUID and version of the driver."""
    about = ["hw.driver_version=999.99", "hw.id=GPU-00000000-0000-0000-0000-000000000001", "hw.name=Fake GPU 1"]

    values = gpus().poll(1)

    assert values[of("hw.status", 1, *about, "hw.state=ok")] == 1
    assert values[of("hw.status", 1, *about, "hw.state=failed")] == 0


def test_processes_by_context(driver: nvml.Driver, gpus: Any) -> None:
    """One with both contexts is in both lists of the driver, with the same memory: it counts once."""
    driver.set(0, "compute", 2)
    driver.set(0, "graphics", 2)
    driver.set(0, "graphics_pid", 1001)
    made = gpus()

    values = made.poll(1)
    found = {
        name: value for name, value in values.items() if name.startswith("process.gpu.memory.usage/gpu/#0/process/")
    }

    assert sorted(value_of(name, "hw.gpu.context") for name in found) == ["both", "compute", "graphics"]
    assert set(found.values()) == {1 << 20}
    assert values[of("hw.gpu.process.count", 0, "hw.gpu.context=compute")] == 2
    assert values[of("hw.gpu.process.count", 0, "hw.gpu.context=graphics")] == 2


def test_processes_come_and_go(driver: nvml.Driver, gpus: Any) -> None:
    """More than there was room for are found at once."""
    made = gpus({"gpus": ["0"]})
    counts = []
    for second, there in enumerate([0, 3, 500, 1, 0], start=1):
        driver.set(0, "compute", there)
        counts.append(sum(name.startswith("process.gpu.memory.usage/") for name in made.poll(second)))

    assert counts == [0, 3, 500, 1, 0]


def test_a_process_of_which_the_driver_knows_no_memory(driver: nvml.Driver, gpus: Any) -> None:
    """It is there, and its memory is missing."""
    driver.set(0, "compute", 1)
    driver.set(0, "process_memory", 2**64 - 1)

    values = gpus({"gpus": ["0"]}).poll(1)

    assert [value for name, value in values.items() if name.startswith("process.gpu.memory.usage/")] == [
        "the driver does not say what this process uses"
    ]


def test_without_processes_nobody_asks_for_them(driver: nvml.Driver, gpus: Any) -> None:
    """Two calls of the driver fewer for each GPU."""
    driver.set(0, "compute", 1)
    made = gpus({"processes": False})
    made.poll(1)
    before = driver.calls
    values = made.poll(2)

    assert driver.calls - before == 2 * 11
    assert not [name for name in values if "process" in name]


def shares(values: Mapping[str, Any], gpu: int = 0, pid: int = 1000) -> dict[str, Any]:
    """What a poll has of what a process does on a GPU."""
    found = {}
    for name, value in values.items():
        metric, resource, id_, _, process = name.split("/")[:5]
        about = metric in ("process.gpu.utilization", "process.gpu.memory.busy") and resource == "gpu"
        if about and (int(id_.strip("#_")), int(process.strip("#_"))) == (gpu, pid):
            found[value_of(name, "hw.gpu.task") or "memory"] = value
    return found


def all_of(value: Any) -> dict[str, Any]:
    """The same for each share."""
    return dict.fromkeys(("general", "memory", "encoder", "decoder"), value)


NO_SAMPLE = "the driver has no sample of this process since the last poll"


def test_what_a_process_does_is_the_mean_of_its_samples(driver: nvml.Driver, gpus: Any) -> None:
    """Of those since the last poll, each once, of each process and GPU by itself; what was before is not in it."""
    for gpu in (0, 1):
        driver.set(gpu, "compute", 2)
    driver.sample(0, 1000, 0.5, 99, 99, 99, 99)
    for seconds, percents in ((1.2, (40, 10, 0, 4)), (1.4, (60, 20, 0, 5)), (1.9, (95, 30, 3, 0)), (2.5, (7, 0, 0, 0))):
        driver.sample(0, 1000, seconds, *percents)
    driver.sample(0, 1001, 1.5, 1, 2, 3, 4)
    driver.sample(1, 1000, 1.5, 100, 0, 0, 0)
    made = gpus({"utilization": True})
    first, second, third = (made.poll(seconds) for seconds in (1, 2, 3))

    assert shares(first) == {}
    assert shares(second) == pytest.approx({"general": 0.65, "memory": 0.2, "encoder": 0.01, "decoder": 0.03})
    assert shares(second, pid=1001) == {"general": 0.01, "memory": 0.02, "encoder": 0.03, "decoder": 0.04}
    assert shares(second, gpu=1) == {"general": 1.0, "memory": 0, "encoder": 0, "decoder": 0}
    assert shares(third) == {"general": 0.07, "memory": 0, "encoder": 0, "decoder": 0}
    assert shares(third, pid=1001) == all_of(NO_SAMPLE)


def test_a_process_without_samples_is_missing_and_one_that_has_gone_ends(driver: nvml.Driver, gpus: Any) -> None:
    """That the driver has no sample at all is no error, and not 0; the last samples of one that ended are there."""
    driver.set(0, "compute", 1)
    made = gpus({"gpus": ["0"], "utilization": True})
    made.poll(1)
    idle = made.poll(2)
    driver.sample(0, 1000, 2.5, 50, 0, 0, 0)
    driver.set(0, "compute", 0)
    ended, after = made.poll(3), made.poll(4)

    assert shares(idle) == all_of(NO_SAMPLE)
    assert shares(ended) == {"general": 0.5, "memory": 0, "encoder": 0, "decoder": 0}
    assert shares(after) == {}


@pytest.mark.parametrize("code", [nvml.NOT_SUPPORTED, nvml.NO_PERMISSION, nvml.TIMEOUT, nvml.TOO_SMALL, 999])
def test_samples_that_cannot_be_had_are_missing_on_that_gpu(driver: nvml.Driver, gpus: Any, code: int) -> None:
    """Of each process there with what the driver said; the other GPU's are there, and what else is known, too."""
    for gpu in (0, 1):
        driver.set(gpu, "compute", 1)
        driver.sample(gpu, 1000, 1.5, 50, 40, 30, 20)
    driver.fail(0, "samples", code)
    made = gpus({"utilization": True})
    first, second = made.poll(1), made.poll(2)

    for poll in (first, second):
        assert shares(poll).keys() == all_of("").keys()
        assert all(value.startswith("nvmlDeviceGetProcessUtilization: ") for value in shares(poll).values())
    assert shares(second, gpu=1) == {"general": 0.5, "memory": 0.4, "encoder": 0.3, "decoder": 0.2}
    missing = {name.partition("/")[0] for name, value in second.items() if isinstance(value, str)}
    assert missing == {"process.gpu.utilization", "process.gpu.memory.busy", "hw.gpu.energy.busy"}


def test_samples_that_are_not_supported_are_asked_for_once(driver: nvml.Driver, gpus: Any) -> None:
    """One call of the driver more than without them, on the GPU that has them."""
    driver.fail(0, "samples", nvml.NOT_SUPPORTED)
    made = gpus({"utilization": True})
    made.poll(1)
    before = driver.calls
    made.poll(2)

    assert driver.calls - before == 13 + 14


def test_samples_that_could_not_be_had_once_are_in_the_next_mean(driver: nvml.Driver, gpus: Any) -> None:
    """It spans both intervals."""
    driver.set(0, "compute", 1)
    made = gpus({"gpus": ["0"], "utilization": True})
    made.poll(1)
    driver.sample(0, 1000, 1.5, 20, 0, 0, 0)
    driver.sample(0, 1000, 2.5, 60, 0, 0, 0)
    driver.fail(0, "samples", nvml.TIMEOUT)
    failed = made.poll(2)
    driver.fail(0, "samples", 0)

    assert shares(failed) == all_of("nvmlDeviceGetProcessUtilization: Timeout")
    assert shares(made.poll(3))["general"] == pytest.approx(0.4)


def test_samples_are_asked_for_from_the_newest_on(driver: nvml.Driver, gpus: Any) -> None:
    """Of each GPU by itself: a driver may give the mean of all that it is asked for as one sample."""
    driver.sample(0, 1000, 0.5, 90, 0, 0, 0)
    driver.sample(0, 1001, 1.7, 20, 0, 0, 0)
    driver.sample(0, 1000, 1.5, 20, 0, 0, 0)
    made = gpus({"utilization": True})
    asked = []
    for seconds in (1, 2, 3):
        made.poll(seconds)
        asked.append((driver.since(0), driver.since(1)))

    assert asked == [(0, 0), (0.5, 0), (1.7, 0)]


def test_samples_that_the_driver_gives_again_count_once(driver: nvml.Driver, gpus: Any) -> None:
    """Drivers are known to give older ones than were asked for."""
    driver.set(0, "compute", 1)
    driver.set(0, "stale", 1)
    for seconds, percent in ((0.5, 90), (1.5, 20), (2.5, 60)):
        driver.sample(0, 1000, seconds, percent, 0, 0, 0)
    made = gpus({"gpus": ["0"], "utilization": True})
    polls = [shares(made.poll(seconds)) for seconds in (1, 2, 3, 4)]

    assert [each.get("general") for each in polls] == [None, 0.2, 0.6, NO_SAMPLE]


def test_more_samples_than_there_was_room_for(driver: nvml.Driver, gpus: Any) -> None:
    """All of them are in the mean."""
    driver.set(0, "compute", 1)
    for n in range(500):
        driver.sample(0, 1000, 1.1 + n / 1000, n % 100, 0, 0, 0)
    made = gpus({"gpus": ["0"], "utilization": True})
    made.poll(1)

    assert shares(made.poll(2))["general"] == pytest.approx(0.495)


def test_samples_that_say_nothing_are_not_taken(driver: nvml.Driver, gpus: Any) -> None:
    """Entries of no process are left out; more than 100 % is missing and never a number."""
    driver.set(0, "compute", 1)
    driver.sample(0, 0, 1.3, 50, 50, 50, 50)
    driver.sample(0, 1000, 1.4, 50, 2**32 - 1, 0, 0)
    made = gpus({"gpus": ["0"], "utilization": True})
    made.poll(1)
    values = made.poll(2)

    assert shares(values) == {
        "general": 0.5,
        "memory": "the driver says that a process used more than 100 % of the time",
        "encoder": 0,
        "decoder": 0,
    }
    assert shares(values, pid=0) == {}


@pytest.mark.parametrize("config", [{}, {"utilization": True, "processes": False}])
def test_nobody_asks_for_samples_without_need(driver: nvml.Driver, gpus: Any, config: dict[str, Any]) -> None:
    """Only where the option says so, and processes are measured."""
    driver.set(0, "compute", 1)
    driver.sample(0, 1000, 1.5, 50, 0, 0, 0)
    made = gpus(config)
    made.poll(1)
    before = driver.calls

    assert shares(made.poll(2)) == {}
    assert driver.calls - before == 2 * (13 if config.get("processes", True) else 11)


def test_of_mig_partitions_the_driver_has_no_samples(driver: nvml.Driver, gpus: Any) -> None:
    """Each process of a partition is missing with the driver's answer."""
    driver.set(0, "mig", 2)
    driver.set(0, "compute", 1)
    values = gpus({"gpus": ["0"], "utilization": True}).poll(1)

    found = {name: value for name, value in values.items() if name.startswith("process.gpu.utilization/gpu_partition/")}
    assert len(found) == 2 * 3
    assert set(found.values()) == {"nvmlDeviceGetProcessUtilization: Not Supported"}


# ----------------------------------------------------------------------------------------- whose the energy of a GPU is


def had(values: Mapping[str, Any], gpu: int = 0) -> dict[int, float]:
    """J of each process on a GPU."""
    names = {name: name.split("/") for name in values if name.startswith("process.gpu.energy/")}
    return {int(part[4].strip("#_")): values[name] for name, part in names.items() if int(part[2].strip("#_")) == gpu}


def busy(gpu: int = 0) -> str:
    """The name of the series of what all of them have."""
    return of("hw.gpu.energy.busy", gpu)


def ran(driver: nvml.Driver, pid: int, percent: int, *, since: float, until: float, gpu: int = 0) -> None:
    """Let a process run from a time on until another one, with a sample each 100 ms."""
    for tenth in range(round(since * 10) + 1, round(until * 10) + 1):
        driver.sample(gpu, pid, tenth / 10, percent, 0, 0, 0)


def test_the_energy_of_a_gpu_is_that_of_the_processes_that_ran_there(driver: nvml.Driver, gpus: Any) -> None:
    """Two share it as their percents are, then one is alone, then nobody runs and it is nobody's; of each GPU."""
    ran(driver, 1000, 60, since=1, until=3)
    ran(driver, 1001, 20, since=1, until=2)
    ran(driver, 1001, 5, since=2, until=3, gpu=1)
    made = gpus({"utilization": True})
    first, *polls = [made.poll(seconds) for seconds in (1, 2, 3, 4)]

    assert (had(first), busy() in first) == ({}, False)
    assert [had(each) for each in polls] == [{1000: 75, 1001: 25}, {1000: 100}, {}]
    assert [each[busy()] for each in polls] == [100, 100, 0]
    assert [had(each, gpu=1) for each in polls] == [{}, {1001: 100}, {}]
    assert [each[busy(1)] for each in polls] == [0, 100, 0]


def test_a_process_that_ends_early_has_what_it_ran(driver: nvml.Driver, gpus: Any) -> None:
    """It ran as much as the other one for half of the time; nothing of it is lost as it has gone, nor made up."""
    driver.set(0, "compute", 2)
    ran(driver, 1000, 40, since=1, until=1.5)
    ran(driver, 1001, 40, since=1, until=3)
    made = gpus({"gpus": ["0"], "utilization": True})
    made.poll(1)
    driver.set(0, "compute", 0)

    assert had(made.poll(2)) == pytest.approx({1000: 100 / 3, 1001: 200 / 3})
    assert had(made.poll(3)) == {1001: 100}


def test_energy_of_a_gpu_that_is_lost_is_nobodys(driver: nvml.Driver, gpus: Any) -> None:
    """It is missing from then on, with the reason; what was parted before stays, and so does the other GPU."""
    for gpu in (0, 1):
        ran(driver, 1000, 50, since=1, until=3, gpu=gpu)
    made = gpus({"utilization": True})
    made.poll(1)
    before = made.poll(2)
    driver.fail(0, "all", nvml.LOST)
    lost, later = made.poll(3), made.poll(4)

    assert had(before) == {1000: 100}
    for each in (lost, later):
        assert "GPU 0 has gone" in each[busy()]
        assert had(each) == {}
    assert had(lost, gpu=1) == {1000: 100}
    assert later[busy(1)] == 0


@pytest.mark.parametrize("lacks", ["samples", "mig"])
def test_energy_is_not_parted_where_the_driver_does_not_say_what_ran(
    driver: nvml.Driver, gpus: Any, lacks: str
) -> None:
    """It says so beside a GPU on which it does."""
    for gpu in (0, 1):
        ran(driver, 1000, 50, since=1, until=2, gpu=gpu)
    if lacks == "mig":
        driver.set(0, "mig", 2)
    else:
        driver.fail(0, "samples", nvml.NOT_SUPPORTED)
    made = gpus({"utilization": True})
    made.poll(1)
    values = made.poll(2)

    assert values[busy()] == "nvmlDeviceGetProcessUtilization: Not Supported"
    assert had(values) == {}
    assert (values[busy(1)], had(values, gpu=1)) == (100, {1000: 100})


@pytest.mark.parametrize("key", ["energy", "samples"])
def test_energy_that_could_not_be_parted_once_is_parted_with_the_next(driver: nvml.Driver, gpus: Any, key: str) -> None:
    """Its own samples and those of the next interval together, over both."""
    ran(driver, 1000, 60, since=1, until=3)
    ran(driver, 1001, 60, since=2, until=3)
    made = gpus({"gpus": ["0"], "utilization": True})
    made.poll(1)
    driver.fail(0, key, nvml.TIMEOUT)
    failed = made.poll(2)
    driver.fail(0, key, 0)
    again = made.poll(3)

    assert failed[busy()].endswith(": Timeout")
    assert had(failed) == {}
    assert (again[busy()], made.since[busy()]) == (200, SECOND)
    assert had(again) == pytest.approx({1000: 400 / 3, 1001: 200 / 3})


def test_between_two_samples_the_last_one_holds(driver: nvml.Driver, gpus: Any) -> None:
    """Of who is still there, and for less than a second: the driver need not sample as often as it is asked."""
    driver.set(0, "compute", 2)
    driver.sample(0, 1000, 1.1, 60, 0, 0, 0)
    driver.sample(0, 1001, 1.1, 20, 0, 0, 0)
    made = gpus({"gpus": ["0"], "utilization": True})
    made.poll(1)
    both, held = had(made.poll(1.2)), had(made.poll(1.4))
    driver.set(0, "compute", 1)
    alone, over = had(made.poll(1.6)), had(made.poll(2.2))

    assert both == held == pytest.approx({1000: 15, 1001: 5})
    assert alone == pytest.approx({1000: 20})
    assert over == {}


def test_no_energy_is_parted_by_what_cannot_be(driver: nvml.Driver, gpus: Any) -> None:
    """A driver that says more than 100 % of one process says nothing of the others' shares."""
    driver.sample(0, 1000, 1.5, 101, 0, 0, 0)
    driver.sample(0, 1001, 1.5, 50, 0, 0, 0)
    made = gpus({"gpus": ["0"], "utilization": True})
    made.poll(1)
    values = made.poll(2)

    assert values[busy()] == "the driver says that a process used more than 100 % of the time"
    assert had(values) == {}


def test_without_samples_no_energy_is_parted(driver: nvml.Driver, gpus: Any) -> None:
    """Nobody has asked."""
    ran(driver, 1000, 60, since=1, until=2)
    made = gpus()
    made.poll(1)

    assert not {name for name in made.poll(2) if name.startswith(("process.gpu.energy/", "hw.gpu.energy.busy/"))}


PERCENTS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 300), max_size=3)
GAP = Missing("gap")


@given(
    steps=st.lists(
        st.tuples(
            st.integers(1, 3 * SECOND),
            st.floats(0, 1e6) | st.just(GAP),
            PERCENTS | st.just(GAP) | st.none(),
            st.frozensets(st.sampled_from("abc")),
        ),
        max_size=12,
    )
)
def test_parts_and_rest_are_the_whole(steps: list[tuple[int, Any, Any, frozenset[str]]]) -> None:
    """For any readings: what processes have adds up to what is busy, which is all energy of its time, or nothing."""
    parting, ts = Parting(), 0
    parting.step(0, 0, None, None, frozenset())
    waiting, since = 0.0, 0
    for span, joules, percents, there in steps:
        previous, ts = ts, ts + span
        parted = parting.step(ts, previous, (joules, previous), percents, there)
        assert parted is not None
        waiting += 0.0 if isinstance(joules, Missing) else joules
        if isinstance(parted.busy, Missing):
            assert parted.each == {}
            if percents is None:
                waiting, since = 0.0, ts
            continue
        assert parted.since == since
        assert math.isclose(sum(parted.each.values()), parted.busy, rel_tol=1e-9, abs_tol=1e-300)
        assert parted.busy in (0, pytest.approx(waiting))
        assert all(value >= 0 for value in parted.each.values())
        waiting, since = 0.0, ts


def part(metric: str, id_: str, *attributes: str) -> str:
    """The name of a series of a partition."""
    return "/".join([metric, "gpu_partition", id_, "machine", "%", *attributes, "hw.vendor=NVIDIA"])


def test_mig_partitions_have_memory_and_processes(driver: nvml.Driver, gpus: Any) -> None:
    """Power, energy and temperature are those of the GPU: the driver knows no others. Processes count once."""
    driver.set(0, "mig", 2)
    driver.set(0, "compute", 3)
    made = gpus({"gpus": ["0"]})
    made.poll(1)
    values = made.poll(2)

    processes = [name for name in values if name.startswith("process.gpu.memory.usage/")]
    assert values[part("hw.gpu.memory.limit", "0.1.0")] == 4 << 30
    assert values[part("hw.gpu.memory.usage", "0.2.0")] == 1 << 30
    assert values[part("hw.gpu.process.count", "0.1.0", "hw.gpu.context=compute")] == 3
    assert len(processes) == 6
    assert all("/gpu_partition/" in name for name in processes)
    assert values[energy(0)] == 100.0
    assert "Not Supported" in values[of("hw.gpu.utilization", 0, "hw.gpu.task=general")]


def test_mig_partitions_come_and_go(driver: nvml.Driver, gpus: Any) -> None:
    """From the first poll that sees them on, and with it their series."""
    driver.set(0, "mig", 1)
    made = gpus({"gpus": ["0"]})
    seen = []
    for second, there in enumerate([1, 3, 2], start=1):
        driver.set(0, "mig", there)
        seen.append([name for name in made.poll(second) if name.startswith("hw.gpu.memory.limit/gpu_partition/")])

    wanted = [part("hw.gpu.memory.limit", f"0.{n}.0") for n in (1, 2, 3)]
    assert seen == [wanted[:1], wanted, wanted[:2]]


@pytest.mark.parametrize(
    ("patterns", "measured"),
    [
        (["*"], {"0", "1"}),
        (["1"], {"1"}),
        (["GPU-*-000000000000"], {"0"}),
        (["GPU-00000000-0000-0000-0000-000000000001", "0"], {"0", "1"}),
    ],
)
def test_some_gpus(gpus: Any, patterns: list[str], measured: set[str]) -> None:
    """By number or UUID, or patterns of them."""
    assert gpus({"gpus": patterns}).energies(1, 2)[1].keys() == measured


def test_a_gpu_that_is_not_there(driver: nvml.Driver) -> None:
    """What is there is told."""
    with pytest.raises(LookupError, match=r"no GPU fits `7` of the option `gpus`; there are 0 \(GPU-0.*, 1 \(GPU-0"):
        Gpus(driver, {"gpus": ["0", "7"]})


def test_equal_polls_have_the_identical_columns(gpus: Any) -> None:
    """What the chain has prepared for them is found again."""
    made = gpus()
    made.poll(1)
    made.poll(2)

    second, third = ([row.columns for row in made.mounted.rows(n * SECOND)] for n in (3, 4))

    assert [a is b for a, b in zip(second, third, strict=True)] == [True, True]
