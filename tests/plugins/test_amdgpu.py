"""The source `amdgpu`, on made GPUs."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from meter.core.plugin import Missing, Retry
from tests import amdgpu
from tests.amdgpu import Gpu, table
from tests.fake import SECOND, Mounted
from tests.plugins.failing import failing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "0000:03:00.0"
OTHER = "0000:0a:00.0"


class Gpus:
    """The source over a made machine; every poll gives numbers and reasons by short names of series."""

    def __init__(self, root: Path, **config: Any) -> None:
        self.mounted = Mounted("amdgpu", config, sysroot=root)
        self.qualities: dict[str, tuple[str, str]] = {}

    def poll(self, seconds: float) -> dict[str, Any]:
        """By metric, GPU and what tells series apart besides, as `hw.temperature@0000:03:00.0 edge`."""
        found = {}
        for row in self.mounted.rows(round(seconds * SECOND)):
            for key, value in zip(row.columns.keys, row.values, strict=True):
                attributes = dict(key.attributes)
                assert attributes.pop("hw.vendor") == "AMD"
                assert key.resource[0] == "gpu"
                told = [v for name, v in attributes.items() if name not in ("hw.id", "hw.name", "hw.gpu.task")]
                name = " ".join([f"{key.metric.name}@{key.resource[1]}", *told])
                found[name] = value.reason if isinstance(value, Missing) else value
                self.qualities[name] = (key.metric.quality, key.metric.reason)
        return found

    def joules(self, *seconds: float, address: str = ADDRESS) -> list[Any]:
        """Energy at each of several polls; None where there is none."""
        return [self.poll(each).get(energy(address)) for each in seconds]


def energy(address: str = ADDRESS) -> str:
    """The short name of a series."""
    return f"hw.energy@{address}"


@pytest.fixture
def gpus(tmp_path: Path) -> Iterator[Any]:
    """Makes the source; stops what it has made, and then no file is open that was not before."""
    before = set(os.listdir("/proc/self/fd"))
    made: list[Gpus] = []

    def make(**config: Any) -> Gpus:
        made.append(Gpus(tmp_path, **config))
        return made[-1]

    yield make
    for each in made:
        each.mounted.source.stop()
    assert set(os.listdir("/proc/self/fd")) == before


# --------------------------------------------------------------------------------------------------------- what it says


def test_each_file_in_its_unit(tmp_path: Path, gpus: Any) -> None:
    """Of a discrete GPU: what the kernel says in millionths, thousandths and percent, by the driver's labels."""
    gpu = Gpu(tmp_path).says(gpu_busy_percent=73, mem_busy_percent=12, product_name="Radeon RX 7900 XTX")
    gpu.says(mem_info_gtt_used=4096, mem_info_gtt_total=1 << 33, unique_id="74a9d1b3c2f0e6d5", pcie_bw="0 0 256")
    gpu.senses(power1_average=178_000_000, power1_input=180_500_000, power1_cap=300_000_000)
    for channel, (label, temp) in enumerate((("edge", 54_000), ("junction", 61_500), ("mem", 70_000)), start=1):
        gpu.senses(**{f"temp{channel}_input": temp, f"temp{channel}_label": label, f"temp{channel}_crit": 100_000})
    gpu.senses(in0_input=981, in0_label="vddgfx", fan1_input=1450, pwm1=80)
    gpu.senses(freq1_input=2_400_000_000, freq1_label="sclk", freq2_input=1_249_000_000, freq2_label="mclk")
    made = gpus()

    assert made.poll(1) == {
        f"hw.power.average@{ADDRESS}": 178.0,
        f"hw.power@{ADDRESS}": 180.5,
        f"hw.gpu.utilization@{ADDRESS}": 0.73,
        f"hw.gpu.memory.busy@{ADDRESS}": 0.12,
        f"hw.gpu.memory.usage@{ADDRESS}": 1 << 30,
        f"hw.gpu.memory.limit@{ADDRESS}": 1 << 34,
        f"hw.gpu.memory.shared.usage@{ADDRESS}": 4096,
        f"hw.gpu.memory.shared.limit@{ADDRESS}": 1 << 33,
        f"hw.temperature@{ADDRESS} edge": 54.0,
        f"hw.temperature@{ADDRESS} junction": 61.5,
        f"hw.temperature@{ADDRESS} mem": 70.0,
        f"hw.voltage@{ADDRESS} vddgfx": 0.981,
        f"hw.fan.speed@{ADDRESS}": 1450.0,
        f"hw.gpu.speed@{ADDRESS} graphics": 2.4e9,
        f"hw.gpu.speed@{ADDRESS} memory": 1.249e9,
        f"hw.status@{ADDRESS} ok": 1,
        f"hw.status@{ADDRESS} failed": 0,
    }
    status = next(key for row in made.mounted.rows(2 * SECOND) for key in row.columns.keys if "status" in key.name)
    assert dict(status.attributes)["hw.id"] == "74a9d1b3c2f0e6d5"
    assert dict(status.attributes)["hw.name"] == "Radeon RX 7900 XTX"


def test_what_the_driver_has_no_file_for_is_no_series(tmp_path: Path, gpus: Any) -> None:
    """As of a virtual function, which has memory and nothing else; its energy is missing and says why."""
    Gpu(tmp_path).without("name").monitor.rmdir()
    made = gpus()

    assert set(made.poll(1)) == {
        f"{name}@{ADDRESS}" for name in ("hw.gpu.memory.usage", "hw.gpu.memory.limit", "hw.status")
    } - {f"hw.status@{ADDRESS}"} | {f"hw.status@{ADDRESS} {state}" for state in ("ok", "failed")}
    assert made.poll(2)[energy()] == "it has no counter of energy; it has no sensor of power"


def test_only_gpus_of_the_driver_are_taken(tmp_path: Path, gpus: Any) -> None:
    """Neither those of other drivers nor the connectors of displays, nor a partition that is no device of its own."""
    Gpu(tmp_path).watts(20)
    other = Gpu(tmp_path, 0, OTHER, "8086:56A0")
    other.says(uevent=f"DRIVER=i915\nPCI_ID=8086:56A0\nPCI_SLOT_NAME={OTHER}")
    Gpu(tmp_path, 2, OTHER).says(uevent="DRIVER=amdgpu\nMODALIAS=platform:amdgpu_xcp")
    (other.card.parent / "card1-DP-1").mkdir()

    assert {name.partition("@")[2].partition(" ")[0] for name in gpus().poll(1)} == {ADDRESS}


# ------------------------------------------------------------------------------------------------------ where energy is


@pytest.mark.parametrize(
    ("revision", "chip"),
    [
        ((1, 3), amdgpu.MI210),
        ((1, 4), amdgpu.MI300X),
        ((1, 5), amdgpu.MI300X),
        ((1, 6), amdgpu.MI300X),
        ((1, 7), amdgpu.MI300X),
        ((1, 8), amdgpu.MI300X),
    ],
)
def test_the_counter_where_its_unit_is_documented(
    tmp_path: Path, gpus: Any, revision: tuple[int, int], chip: str
) -> None:
    """Steps of 2^-16 J, measured, whatever the power is; it is where the structure of the revision has it."""
    gpu = Gpu(tmp_path, chip=chip).watts(555).counts(1000, revision)
    made = gpus()
    first = made.joules(1)
    gpu.counts(1250.5, revision)
    second = made.joules(2)
    gpu.counts(1250.5 + 2**-16, revision)
    third = made.joules(3)

    assert [first, second, third] == [[None], [250.5], [2**-16]]
    assert made.qualities[energy()] == ("measured", "")


@pytest.mark.parametrize(
    ("data", "chip", "why"),
    [
        # What chips before MI200 count in is said nowhere.
        (table((1, 3), 5 * amdgpu.JOULE), amdgpu.NAVI31, "format 1.3, for which no unit of energy is documented"),
        (table((1, 1), 5 * amdgpu.JOULE), amdgpu.MI210, "format 1.1, for which no unit"),
        (table((1, 9), 5 * amdgpu.JOULE), amdgpu.MI300X, "format 1.9, for which no unit"),
        # The driver fills the table with ones before it enters what it knows.
        (table((1, 4), (1 << 64) - 1), amdgpu.MI300X, "no counter of energy in it"),
        (table((1, 4), 0), amdgpu.MI300X, "no counter of energy in it"),
        # A structure that is not the documented one.
        (table((1, 4), 5 * amdgpu.JOULE, size=296), amdgpu.MI300X, "format 1.4 with 296 bytes"),
        (table((1, 8), 5 * amdgpu.JOULE, size=31), amdgpu.MI300X, "format 1.8 with 31 bytes"),
        (table((1, 4), 5 * amdgpu.JOULE)[:100], amdgpu.MI300X, "100 bytes, and says that it has 288"),
        (b"\x01", amdgpu.MI300X, "1 bytes, which is no table"),
        (b"", amdgpu.MI300X, "0 bytes, which is no table"),
    ],
)
def test_power_where_the_counter_is_not_known_well(tmp_path: Path, gpus: Any, data: bytes, chip: str, why: str) -> None:
    """Integrated by trapezoids, derived, and the reason says what is wrong with the counter."""
    gpu = Gpu(tmp_path, chip=chip).tells(data).watts(100)
    made = gpus()
    found = made.joules(1)
    gpu.watts(300)
    found += made.joules(3, 4)

    assert found == [None, 400.0, 300.0]
    quality, reason = made.qualities[energy()]
    assert quality == "derived"
    assert why in reason
    assert reason.endswith("; the mean power (power1_average) was integrated")


def test_a_counter_of_the_hardware_monitor(tmp_path: Path, gpus: Any) -> None:
    """In uJ; it goes before the table."""
    gpu = Gpu(tmp_path, chip=amdgpu.MI300X).counts(7).senses(energy1_input=5_000_000)
    made = gpus()
    found = made.joules(1)
    gpu.senses(energy1_input=7_500_000)

    assert [*found, *made.joules(2)] == [None, 2.5]
    assert made.qualities[energy()] == ("measured", "")


@pytest.mark.parametrize(
    ("average", "now", "why"),
    [
        (100, 400, "the mean power (power1_average) was integrated"),
        (None, 100, "the power now (power1_input) was integrated"),  # a kernel since 6.6, where a chip has no mean
        (OSError(errno.EOPNOTSUPP, ""), 100, "the power now (power1_input) was integrated"),
    ],
)
def test_the_mean_power_or_that_now(
    tmp_path: Path, gpus: Any, monkeypatch: pytest.MonkeyPatch, average: Any, now: float, why: str
) -> None:
    """Whichever the kernel has of the chip; the mean loses no peaks between polls."""
    gpu = Gpu(tmp_path).watts(now, "power1_input")
    if average is not None:
        gpu.watts(1 if isinstance(average, OSError) else average)
    if isinstance(average, OSError) and average.errno:
        failing(monkeypatch, {"power1_average": average.errno})
    made = gpus()

    assert made.joules(1, 2) == [None, 100.0]
    assert made.qualities[energy()][1].endswith(why)


def test_energy_that_nothing_says_is_missing_with_all_reasons(
    tmp_path: Path, gpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until something says it; then it begins."""
    Gpu(tmp_path).watts(50).counts(1, (1, 3))
    errors = failing(monkeypatch, {"power1_average": errno.EINVAL, "gpu_metrics": errno.EOPNOTSUPP})
    made = gpus()
    first, second = made.joules(1, 2)
    errors.clear()
    later = made.joules(3, 4)

    assert first is None
    assert "gpu_metrics: Operation not supported" in second
    assert "power1_average: Invalid argument" in second
    assert later == [None, 50.0]


# ------------------------------------------------------------------------------------------------ counters that are bad


def test_a_counter_that_runs_backwards_is_missing_once(tmp_path: Path, gpus: Any) -> None:
    """As some were seen to; the next delta begins there."""
    gpu = Gpu(tmp_path, chip=amdgpu.MI300X).watts(200)
    made, found = None, []
    for second, joules in enumerate([1000, 1200, 900, 1100], start=1):
        gpu.counts(joules)
        made = made or gpus()
        found += made.joules(second)

    assert found == [None, 200.0, "the counter went back", 200.0]


def test_a_counter_that_stands_still_is_missing(tmp_path: Path, gpus: Any) -> None:
    """As that of MI100 was seen to until a reboot; between polls that are close to each other it need not move."""
    gpu = Gpu(tmp_path, chip=amdgpu.MI300X).watts(200).counts(1000)
    made = gpus()
    found = made.joules(1, 1.05, 1.2)
    gpu.counts(1100)
    found += made.joules(1.7, 1.75)

    assert found == [None, 0.0, "the counter of energy stands still", 100.0, 0.0]


def test_a_cause_that_lasts_has_one_reason(tmp_path: Path, gpus: Any) -> None:
    """However long a counter stands still, or by how much it is too fast: `exec` tells each reason once."""
    Gpu(tmp_path, chip=amdgpu.MI300X).watts(200).counts(1000)
    gpu = Gpu(tmp_path, 2, OTHER, amdgpu.MI300X).senses(power1_cap_max=750_000_000)
    still, fast, made = set(), set(), None
    for second in range(1, 6):
        gpu.counts(2000 * second**2)
        made = made or gpus()
        found = made.poll(second)
        still.add(found.get(energy()))
        fast.add(found.get(energy(OTHER)))

    assert still == {None, "the counter of energy stands still"}
    assert fast == {None, "the counter of energy says more than 1500 W, which is 2 times the highest limit of power"}


def test_a_counter_that_jumps_is_missing(tmp_path: Path, gpus: Any) -> None:
    """More than twice the highest limit of power is no energy that the GPU has used; without a limit it is believed."""
    gpu = Gpu(tmp_path, chip=amdgpu.MI300X).senses(power1_cap_max=750_000_000).counts(1000)
    Gpu(tmp_path, 2, OTHER, amdgpu.MI300X).counts(1000)
    made = gpus()
    made.poll(1)
    gpu.counts(2499)
    fast = made.joules(2)
    gpu.counts(2499 + 1501)
    jump = made.joules(3)

    assert fast == [1499.0]
    assert jump == ["the counter of energy says more than 1500 W, which is 2 times the highest limit of power"]


def test_the_second_die_has_no_energy_of_its_own(tmp_path: Path, gpus: Any) -> None:
    """MI250: the driver gives the power of both dies for the first one and 0 for the other, which is no number."""
    first = Gpu(tmp_path, 1, ADDRESS, amdgpu.MI250).watts(300).counts(10, (1, 3))
    Gpu(tmp_path, 2, OTHER, amdgpu.MI250).watts(0).tells(table((1, 3), 0, power=0))
    made = gpus()
    made.poll(1)
    first.counts(310, (1, 3))
    found = made.poll(2)

    assert {name: value for name, value in found.items() if "power" in name or "energy" in name} == {
        f"hw.power.average@{ADDRESS}": 300.0,
        energy(): 300.0,
    }


@pytest.mark.parametrize("how", ["voltage", "table 2", "table 3", "chip"])
def test_power_of_a_gpu_in_a_processor_holds_the_processor(tmp_path: Path, gpus: Any, how: str) -> None:
    """It is another metric, and no energy comes of it: `rapl` counts those joules. Each sign of such a GPU suffices."""
    gpu = Gpu(tmp_path, chip=amdgpu.MI300A if how == "chip" else "1002:1638").watts(15).watts(17, "power1_input")
    if how == "voltage":
        gpu.senses(in1_input=900, in1_label="vddnb")
    elif how != "chip":
        gpu.tells(table((int(how.removeprefix("table ")), 0), 0))
    made = gpus()
    made.poll(1)

    assert {name: value for name, value in made.poll(2).items() if "power" in name or "energy" in name} == {
        f"hw.apu.power.average@{ADDRESS}": 15.0,
        f"hw.apu.power@{ADDRESS}": 17.0,
    }


# ------------------------------------------------------------------------------------------------- asleep, failed, gone


def test_a_gpu_that_sleeps_is_not_woken(tmp_path: Path, gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read of it that wakes it, and that is missing; its memory is known, the other GPU is not touched."""
    gpu = Gpu(tmp_path).watts(100).counts(1, (1, 3)).says(gpu_busy_percent=3).state("suspended")
    Gpu(tmp_path, 2, OTHER).watts(40)
    read: set[str] = set()
    pread = os.pread

    def note(file: int, size: int, offset: int) -> bytes:
        read.add(os.readlink(f"/proc/self/fd/{file}"))
        return pread(file, size, offset)

    monkeypatch.setattr(os, "pread", note)
    made = gpus()
    made.poll(1)
    found = made.poll(2)

    why = "the GPU sleeps (power/runtime_status: suspended), and would have to wake to be read"
    assert found[f"hw.power.average@{ADDRESS}"] == found[f"hw.gpu.utilization@{ADDRESS}"] == found[energy()] == why
    assert found[f"hw.gpu.memory.usage@{ADDRESS}"] == 1 << 30
    assert found[energy(OTHER)] == 40.0
    waking = ("_input", "_average", "gpu_metrics", "_percent", "_cap_max")
    assert not [path for path in read if str(gpu.card) in path and path.endswith(waking)]


def test_power_of_a_time_with_sleep_is_not_made_up(tmp_path: Path, gpus: Any) -> None:
    """Between the last reading before it and the first after it nobody knows; then it goes on."""
    gpu = Gpu(tmp_path).watts(100)
    made = gpus()
    found = made.joules(1, 2)
    gpu.state("suspended")
    found += made.joules(3)
    gpu.state("active").watts(200)
    found += made.joules(4, 5)

    assert found[:2] == [None, 100.0]
    assert "sleeps" in found[2]
    assert found[3] == "the GPU has slept since the reading before, and nobody says what it took"
    assert found[4] == 200.0


def test_a_counter_goes_on_after_sleep(tmp_path: Path, gpus: Any) -> None:
    """It has counted what came meanwhile."""
    gpu = Gpu(tmp_path, chip=amdgpu.MI300X).counts(100)
    made = gpus()
    made.poll(1)
    gpu.state("suspending")
    asleep = made.joules(2)
    gpu.state("active").counts(160)

    assert "suspending" in asleep[0]
    assert made.joules(3) == [60.0]


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EPERM, errno.EIO])
def test_a_gpu_that_refuses_hides_no_other_one(
    tmp_path: Path, gpus: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """EBUSY and EPERM are what kernels answer of a GPU that sleeps or is reset; with power, joules span the gap."""
    Gpu(tmp_path).watts(100).says(gpu_busy_percent=50)
    Gpu(tmp_path, 2, OTHER).watts(40)
    made = gpus()
    made.poll(1)
    errors = failing(monkeypatch, dict.fromkeys(("hwmon4/power1_average", "card1/device/gpu_busy_percent"), code))
    refused = made.poll(2)
    errors.clear()
    after = made.poll(3)

    for name in (f"hw.power.average@{ADDRESS}", f"hw.gpu.utilization@{ADDRESS}", energy()):
        assert refused[name].endswith(f": {os.strerror(code)}")
        assert "/sys/class/drm/card1/device/" in refused[name]
    assert refused[energy(OTHER)] == after[energy(OTHER)] == 40.0
    assert after[energy()] == 200.0
    assert after[f"hw.gpu.utilization@{ADDRESS}"] == 0.5


def test_a_busy_table_is_asked_again_before_power_is_taken(
    tmp_path: Path, gpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there is a counter is not decided while the driver has no time; after it all comes by the counter."""
    gpu = Gpu(tmp_path, chip=amdgpu.MI300X).watts(100).counts(1000)
    errors = failing(monkeypatch, {"gpu_metrics": errno.EBUSY})
    made = gpus()
    found = made.joules(1, 2)
    errors.clear()
    found += made.joules(3)
    gpu.counts(1007)
    found += made.joules(4)

    assert found == [None, "gpu_metrics: Device or resource busy", None, 7.0]
    assert made.qualities[energy()] == ("measured", "")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("gpu_busy_percent", "101", "holds 101, which is no percentage"),
        ("gpu_busy_percent", "-1", "holds -1, which is no percentage"),
        ("gpu_busy_percent", "", "which is no number"),
        ("gpu_busy_percent", "x" * 5000, "which is no number"),
    ],
)
def test_odd_content_is_missing(tmp_path: Path, gpus: Any, name: str, text: str, why: str) -> None:
    """With the file and what it says, in few words."""
    Gpu(tmp_path).says(**{name: text})

    found = gpus().poll(1)[f"hw.gpu.utilization@{ADDRESS}"]

    assert f"/card1/device/{name} holds" in found
    assert why in found
    assert len(found) < 200


def test_what_cannot_be_opened_is_missing(tmp_path: Path, gpus: Any) -> None:
    """As a folder in the place of a file, which nobody can read, root neither."""
    gpu = Gpu(tmp_path)
    (gpu.device / "gpu_busy_percent").mkdir()
    (gpu.monitor / "temp1_input").mkdir()
    (gpu.device / "gpu_metrics").mkdir()
    gpu.watts(30)
    made = gpus()
    made.poll(1)
    found = made.poll(2)

    assert found[f"hw.gpu.utilization@{ADDRESS}"].endswith("gpu_busy_percent: Is a directory")
    assert found[f"hw.temperature@{ADDRESS} temp1"].endswith("temp1_input: Is a directory")
    assert found[energy()] == 30.0


def test_a_gpu_that_is_pulled_out_leaves_its_mark(tmp_path: Path, gpus: Any) -> None:
    """Its series end but its state, and its energy is missing, so that no sum is too small; it may come back."""
    gpu = Gpu(tmp_path).watts(100)
    Gpu(tmp_path, 2, OTHER).watts(40)
    made = gpus()
    made.poll(1)
    gpu.remove()
    gone, still = made.poll(2), made.poll(3)
    Gpu(tmp_path, 7).watts(60)
    back = [made.poll(second) for second in (4, 5)]

    for each in (gone, still):
        assert {name: value for name, value in each.items() if ADDRESS in name} == {
            energy(): f"the GPU {ADDRESS} has gone",
            f"hw.status@{ADDRESS} ok": 0,
            f"hw.status@{ADDRESS} failed": 1,
        }
        assert each[energy(OTHER)] == 40.0
    assert back[0][f"hw.status@{ADDRESS} ok"] == 1
    assert back[1][energy()] == 60.0


def test_files_that_vanish_are_missing(tmp_path: Path, gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while the driver is being unloaded: what is still open says that its device has gone."""
    gpu = Gpu(tmp_path).watts(100).senses(temp1_input=50_000)
    failing(monkeypatch, {" (deleted)": errno.ENODEV})
    made = gpus()
    made.poll(1)
    gpu.without("power1_average", "temp1_input")
    found = made.poll(2)

    assert found[f"hw.temperature@{ADDRESS} temp1"].endswith("temp1_input: No such file or directory")
    assert found[f"hw.power.average@{ADDRESS}"].endswith("power1_average: No such file or directory")
    assert found[energy()].endswith("power1_average: No such file or directory")
    assert found[f"hw.gpu.memory.usage@{ADDRESS}"] == 1 << 30


def test_a_monitor_that_comes_late_is_found(tmp_path: Path, gpus: Any) -> None:
    """The driver makes it after the card."""
    gpu = Gpu(tmp_path).without("name")
    gpu.monitor.rmdir()
    made = gpus()
    early = made.poll(1)
    gpu.monitor.mkdir()
    gpu.watts(80)
    later = [made.poll(second) for second in (2, 3)]

    assert f"hw.power.average@{ADDRESS}" not in early
    assert later[0][f"hw.power.average@{ADDRESS}"] == 80.0
    assert later[1][energy()] == 80.0


# -------------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize("pattern", [OTHER, "card2", "0000:0a:*"])
def test_some_gpus(tmp_path: Path, gpus: Any, pattern: str) -> None:
    """By PCI address, name of the card, or a pattern of either."""
    Gpu(tmp_path).watts(1)
    Gpu(tmp_path, 2, OTHER).watts(2)

    found = gpus(gpus=[pattern]).poll(1)

    assert {name.partition("@")[2].partition(" ")[0] for name in found} == {OTHER}


def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, gpus: Any) -> None:
    """With those that are."""
    Gpu(tmp_path)
    Gpu(tmp_path, 12, OTHER)

    with pytest.raises(LookupError) as refused:
        gpus(gpus=["card1", "card3"])
    assert str(refused.value) == (
        f"no GPU fits `card3` of the option `gpus`; there are {ADDRESS} (card1), {OTHER} (card12)"
    )


def test_a_machine_without_any_is_refused(tmp_path: Path, gpus: Any) -> None:
    """Where the check was told to assume that there is one."""
    Gpu(tmp_path).says(uevent="DRIVER=i915")

    with pytest.raises(LookupError, match="the driver amdgpu has no GPU in /sys/class/drm"):
        gpus()


def test_gpus_that_cannot_be_listed_are_tried_again(tmp_path: Path, gpus: Any) -> None:
    """The poll fails, the next one spans both intervals."""
    gpu = Gpu(tmp_path).watts(10)
    made = gpus()
    made.poll(1)
    away = gpu.card.parent.rename(tmp_path / "away")
    with pytest.raises(Retry, match="/sys/class/drm"):
        made.poll(2)
    away.rename(gpu.card.parent)

    assert made.joules(3) == [20.0]
