"""The source `hwmon`, on made chips and on the real ones."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted
from tests.plugins.failing import failing

REAL = Path("/sys/class/hwmon")


class Chips:
    """A /sys/class/hwmon that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "sys" / "class" / "hwmon"
        self.folder.mkdir(parents=True)

    def write(self, number: int, chip: str, **files: object) -> Path:
        """A chip with its files."""
        folder = self.folder / f"hwmon{number}"
        folder.mkdir(exist_ok=True)
        for name, value in {"name": chip, **files}.items():
            (folder / name).write_text(f"{value}\n")
        return folder

    def mount(self, **config: Any) -> Mounted:
        """The source over it."""
        return Mounted("hwmon", config, sysroot=self.root)


@pytest.fixture
def chips(tmp_path: Path) -> Chips:
    """A machine without any."""
    return Chips(tmp_path)


def key(metric: str, sensor: str, chip: str, label: str = "") -> str:
    """The name of a series."""
    place = label or sensor.partition(".")[2]
    return f"{metric}/sensor/{sensor}/machine/%/hw.name={chip}/hw.sensor_location={place}"


def values(mounted: Mounted, seconds: float = 1) -> dict[str, Any]:
    """One poll: numbers or reasons."""
    return {
        name: cell.value.reason if isinstance(cell.value, Missing) else cell.value
        for name, cell in mounted.cells(round(seconds * SECOND)).items()
    }


def test_each_kind_in_its_unit(chips: Chips) -> None:
    """What the kernel says in thousandths and millionths; labels name the place, numbers do where there is none."""
    chips.write(0, "coretemp", temp1_input=27_800, temp1_label="Package id 0", temp2_input=-5_250)
    chips.write(1, "nct6798", in0_input=1_032, fan1_input=1_250, curr1_input=-250, pwm1=128, intrusion0_alarm=0)
    mounted = chips.mount()

    assert values(mounted) == {
        key("hw.temperature", "hwmon0.temp1", "coretemp", "Package id 0"): 27.8,
        key("hw.temperature", "hwmon0.temp2", "coretemp"): -5.25,
        key("hw.current", "hwmon1.curr1", "nct6798"): -0.25,
        key("hw.fan.speed", "hwmon1.fan1", "nct6798"): 1250.0,
        key("hw.voltage", "hwmon1.in0", "nct6798"): 1.032,
    }
    mounted.source.stop()


def test_an_ina3221_by_its_rails(chips: Chips) -> None:
    """As of a Jetson: voltage, current and power of each channel, by the names of the rails; power is derived.

    The chip has labels of its voltages only. Channels from 4 on are voltages of shunts, which the kernel says in uV.
    """
    rails = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    files: dict[str, object] = {f"in{number}_label": rail for number, rail in enumerate(rails, start=1)}
    files |= {"in1_input": 5_000, "in2_input": 19_000, "in3_input": 5_040, "curr1_input": 800, "curr2_input": 120}
    files |= {"in4_input": 4_000, "in7_input": 4_600, "in7_label": "sum of shunt voltages", "curr4_input": 920}
    chips.write(4, "ina3221", **files)
    mounted = chips.mount()
    found = values(mounted)
    powers = [key for row in mounted.rows(2 * SECOND) for key in row.columns.keys if key.metric.name == "hw.power"]
    mounted.source.stop()

    assert found == {
        key("hw.voltage", "hwmon4.in1", "ina3221", "VDD_GPU_SOC"): 5.0,
        key("hw.voltage", "hwmon4.in2", "ina3221", "VDD_CPU_CV"): 19.0,
        key("hw.voltage", "hwmon4.in3", "ina3221", "VIN_SYS_5V0"): 5.04,
        key("hw.voltage", "hwmon4.in4", "ina3221"): 0.004,
        key("hw.voltage", "hwmon4.in7", "ina3221", "sum of shunt voltages"): 0.0046,
        key("hw.current", "hwmon4.curr1", "ina3221", "VDD_GPU_SOC"): 0.8,
        key("hw.current", "hwmon4.curr2", "ina3221", "VDD_CPU_CV"): 0.12,
        key("hw.current", "hwmon4.curr4", "ina3221"): 0.92,
        key("hw.power", "hwmon4.power1", "ina3221", "VDD_GPU_SOC"): pytest.approx(4.0),
        key("hw.power", "hwmon4.power2", "ina3221", "VDD_CPU_CV"): pytest.approx(2.28),
    }
    assert {each.metric.quality for each in powers} == {"derived"}


def test_power_of_a_rail_that_cannot_be_known(chips: Chips) -> None:
    """A voltage or a current that is missing is the reason; a power that the chip says itself is taken."""
    chips.write(4, "ina3221", in1_input=5_000, curr1_input="off", in2_input="off", curr2_input=100)
    chips.write(4, "ina3221", in3_input=5_000, curr3_input=100, power3_input=600_000)
    mounted = chips.mount()
    found = values(mounted)
    mounted.source.stop()

    assert "curr1_input holds b'off" in found[key("hw.power", "hwmon4.power1", "ina3221")]
    assert "in2_input holds b'off" in found[key("hw.power", "hwmon4.power2", "ina3221")]
    assert found[key("hw.power", "hwmon4.power3", "ina3221")] == 0.6


def test_voltages_of_other_chips_are_thousandths(chips: Chips) -> None:
    """Whatever their number is."""
    chips.write(1, "nct6798", in4_input=1_032)
    mounted = chips.mount()

    assert values(mounted) == {key("hw.voltage", "hwmon1.in4", "nct6798"): 1.032}
    mounted.source.stop()


@pytest.mark.parametrize("named", ["device", "class"])
def test_the_power_meters_of_grace(chips: Chips, named: str) -> None:
    """Their driver has its files in the folder of the device, and says there what each covers.

    Its name is there, too, or in that of the class, by kernel. Nothing adds the module and its parts.
    """
    powers = {"Module": 560, "Grace": 178, "CPU": 94, "SysIO": 31}
    for number, (part, watts) in enumerate(powers.items(), start=1):
        device = chips.folder / f"hwmon{number}" / "device"
        device.mkdir(parents=True)
        (device / "power1_average").write_text(f"{watts}000000\n")
        (device / "power1_average_interval").write_text("50\n")
        (device / "power1_oem_info").write_text(f"{part} Power Socket 0\n")
        (device / "name" if named == "device" else device.parent / "name").write_text("power_meter\n")
    mounted = chips.mount()
    found = values(mounted)
    # Not `key`, which Python 3.12.1 takes for the name in the comprehension below, too.
    additive = {series.metric.additive for row in mounted.rows(2 * SECOND) for series in row.columns.keys}
    mounted.source.stop()

    assert found == {
        key("hw.power.average", f"hwmon{number}.power1", "power_meter", f"{part} Power Socket 0"): float(watts)
        for number, (part, watts) in enumerate(powers.items(), start=1)
    }
    assert additive == {False}


def test_a_device_beside_its_sensors_is_not_read_twice(chips: Chips) -> None:
    """What stands in the folder of the class is all, as of drivers of today."""
    folder = chips.write(0, "nvme", temp1_input=30_000)
    (folder / "device").mkdir()
    (folder / "device" / "temp2_input").write_text("99000\n")
    chips.write(1, "empty")
    mounted = chips.mount()

    assert values(mounted) == {key("hw.temperature", "hwmon0.temp1", "nvme"): 30.0}
    mounted.source.stop()


def test_power_meters_of_acpi(chips: Chips) -> None:
    """A mean and a value now are different metrics; one whose maker says nothing is called by its number."""
    chips.write(3, "power_meter", power1_average=94_000_000, power1_input=95_500_000, power1_oem_info="")
    mounted = chips.mount()

    assert values(mounted) == {
        key("hw.power.average", "hwmon3.power1", "power_meter"): 94.0,
        key("hw.power", "hwmon3.power1", "power_meter"): 95.5,
    }
    mounted.source.stop()


def test_energy_is_what_the_counter_has_counted(chips: Chips) -> None:
    """The first poll is the base; one that could not be read loses nothing; one that fell is missing once."""
    chip = chips.write(0, "amd_energy", energy1_input=5_000_000, energy1_label="Esocket0")
    mounted = chips.mount()
    name = key("hw.energy", "hwmon0.energy1", "amd_energy", "Esocket0")
    found = [values(mounted, 1)]
    for second, reading in enumerate(["7500000", "what", "12500000", "0", "1"], start=2):
        (chip / "energy1_input").write_text(reading)
        found.append(values(mounted, second))
    mounted.source.stop()

    assert found[0] == {}
    assert found[1] == {name: 2.5}
    assert "holds b'what'" in found[2][name]
    assert found[3:] == [{name: 5.0}, {name: "the counter went back"}, {name: 0.000001}]


@pytest.mark.parametrize("text", ["", "warm", "21.5"])
def test_what_is_no_number_is_missing(chips: Chips, text: str) -> None:
    """With the file and what it says; the other sensors are there."""
    chips.write(0, "chip", temp1_input=text, temp2_input=20_000)
    mounted = chips.mount()

    found = values(mounted)
    mounted.source.stop()

    assert "/sys/class/hwmon/hwmon0/temp1_input" in found[key("hw.temperature", "hwmon0.temp1", "chip")]
    assert found[key("hw.temperature", "hwmon0.temp2", "chip")] == 20.0


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENODATA, errno.EIO, errno.ENXIO])
def test_a_sleeping_sensor_is_missing_once(chips: Chips, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """With what the kernel says; the series goes on when it wakes."""
    chips.write(0, "nvme", temp1_input=30_000, temp2_input=31_000)
    mounted = chips.mount()
    steady = mounted.rows(SECOND)[0].columns
    refused = failing(monkeypatch, {"/temp1_input": code})
    asleep = values(mounted, 2)
    refused.clear()
    awake = mounted.rows(3 * SECOND)[0]
    mounted.source.stop()

    assert os.strerror(code) in asleep[key("hw.temperature", "hwmon0.temp1", "nvme")]
    assert asleep[key("hw.temperature", "hwmon0.temp2", "nvme")] == 31.0
    assert awake.columns is steady
    assert awake.values == [30.0, 31.0]


def test_chips_come_and_go(chips: Chips) -> None:
    """A chip gives its series from the first poll that sees it, and ends them when it has gone."""
    chips.write(0, "coretemp", temp1_input=30_000)
    mounted = chips.mount()
    alone = values(mounted, 1)
    wireless = chips.write(10, "iwlwifi", temp1_input=50_000)
    both = values(mounted, 2)
    shutil.rmtree(wireless)
    after = values(mounted, 3)
    mounted.source.stop()

    assert alone == after == {key("hw.temperature", "hwmon0.temp1", "coretemp"): 30.0}
    assert both == {**alone, key("hw.temperature", "hwmon10.temp1", "iwlwifi"): 50.0}


def test_some_chips(chips: Chips) -> None:
    """By names or patterns; where none fits, those that are there are told."""
    chips.write(0, "coretemp", temp1_input=30_000)
    chips.write(1, "nvme", temp1_input=40_000)
    mounted = chips.mount(chips=["core*"])

    assert values(mounted) == {key("hw.temperature", "hwmon0.temp1", "coretemp"): 30.0}
    mounted.source.stop()
    with pytest.raises(
        LookupError,
        match="no chip of /sys/class/hwmon with a sensor fits `acpitz` of `chips`; there are coretemp, nvme",
    ):
        chips.mount(chips=["acpitz"])


def test_chips_that_cannot_be_listed_are_tried_again(chips: Chips) -> None:
    """The poll fails, the next one may succeed."""
    chips.write(0, "coretemp", temp1_input=30_000)
    mounted = chips.mount()
    away = chips.folder.rename(chips.folder.with_name("away"))
    with pytest.raises(Retry, match="/sys/class/hwmon"):
        mounted.rows(SECOND)

    away.rename(chips.folder)
    assert values(mounted, 2) == {key("hw.temperature", "hwmon0.temp1", "coretemp"): 30.0}
    mounted.source.stop()


def test_stopping_closes_every_file(chips: Chips) -> None:
    """Also those of chips that went meanwhile, and those of a source that did not start."""
    chips.write(0, "coretemp", temp1_input=30_000, energy1_input=1)
    gone = chips.write(1, "nvme", temp1_input=40_000)
    before = set(os.listdir("/proc/self/fd"))
    mounted = chips.mount()
    shutil.rmtree(gone)
    mounted.rows(SECOND)
    mounted.source.stop()
    (chips.folder / "hwmon2" / "name").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        chips.mount()

    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not any(REAL.glob("hwmon*/*_input")), reason="this machine has no sensor")
def test_the_real_machine_has_its_sensors() -> None:
    """Each file is a series, with a number or a reason."""
    mounted = Mounted("hwmon")
    found = {name.split("/")[2] for second in (1, 2) for name in values(mounted, second)}
    mounted.source.stop()

    kinds = ("power", "energy", "temp", "in", "curr", "fan")
    files = {f"{file.parent.name}.{file.name.removesuffix('_input')}" for file in REAL.glob("hwmon*/*_input")}
    assert {file for file in files if file.partition(".")[2].rstrip("0123456789") in kinds} <= found
