"""The source `battery`, on made supplies and on the real ones."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted
from tests.plugins.failing import failing

if TYPE_CHECKING:
    from collections.abc import Callable

REAL = Path("/sys/class/power_supply")
FOLDER = "/sys/class/power_supply"


class Supplies:
    """A /sys/class/power_supply that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "sys" / "class" / "power_supply"
        self.folder.mkdir(parents=True)

    def write(self, name: str, **files: object) -> Path:
        """A supply with its files, or some of them anew."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for file, value in files.items():
            (folder / file).write_text(f"{value}\n")
        return folder

    def battery(self, name: str = "BAT0", status: str = "Discharging", **files: object) -> Path:
        """A battery."""
        return self.write(name, type="Battery", status=status, **files)

    def mount(self, **config: Any) -> Mounted:
        """The source over it."""
        return Mounted("battery", config, sysroot=self.root)


@pytest.fixture
def supplies(tmp_path: Path) -> Supplies:
    """A machine without any."""
    return Supplies(tmp_path)


@pytest.fixture
def mount(supplies: Supplies, stopped: Callable[[Mounted], Mounted]) -> Callable[..., Mounted]:
    """Makes the source; it is stopped with the test."""
    return lambda **config: stopped(supplies.mount(**config))


def values(mounted: Mounted, seconds: float = 1) -> dict[str, Any]:
    """One poll: numbers or reasons, by metric, supply and what tells series apart besides, but for the names."""
    found = {}
    for row in mounted.rows(round(seconds * SECOND)):
        for key, value in zip(row.columns.keys, row.values, strict=True):
            told = [v for name, v in key.attributes if name not in ("hw.name", "hw.battery.chemistry")]
            name = " ".join(["@".join(part for part in (key.metric.name, key.resource[1]) if part), *told])
            found[name] = value.reason if isinstance(value, Missing) else value
    return found


def power(name: str = "BAT0") -> str:
    """The short name of a series."""
    return f"hw.battery.power@{name}"


HOST = "hw.host.power"


def test_a_battery_in_its_units(supplies: Supplies, mount: Any) -> None:
    """What the kernel says in uWh, uW, uV, tenths of degrees and percent."""
    supplies.battery(energy_now=25_000_000, energy_full=50_000_000, energy_full_design=57_000_000, capacity=50)
    supplies.battery(power_now=12_500_000, voltage_now=11_400_000, current_now=-1_096_491, temp=312, cycle_count=141)
    supplies.battery(time_to_empty_now=7200, model_name="5B10W13930", technology="Li-poly", alarm=0)
    mounted = mount()

    assert values(mounted) == {
        "hw.battery.energy@BAT0": 90_000.0,
        "hw.battery.energy.limit@BAT0 full": 180_000.0,
        "hw.battery.energy.limit@BAT0 design": 205_200.0,
        "hw.battery.charge@BAT0": 0.5,
        "hw.battery.cycle.count@BAT0": 141,
        "hw.battery.time_left@BAT0 discharging": 7200,
        power(): 12.5,
        HOST: 12.5,
        "hw.voltage@BAT0": 11.4,
        "hw.current@BAT0": -1.096491,
        "hw.temperature@BAT0": 31.2,
        "hw.status@BAT0 discharging": 1,
        **{f"hw.status@BAT0 {state}": 0 for state in ("charging", "full", "not_charging", "unknown")},
    }
    (status, *_) = [key for row in mounted.rows(2 * SECOND) for key in row.columns.keys if "status" in key.name]
    assert dict(status.attributes)["hw.name"] == "5B10W13930"
    assert dict(status.attributes)["hw.battery.chemistry"] == "Li-poly"


def test_a_battery_that_knows_charge_and_no_energy(supplies: Supplies, mount: Any) -> None:
    """Its uAh are coulombs; its power is current times voltage, and derived."""
    supplies.battery(charge_now=2_000_000, charge_full=4_000_000, current_now=1_500_000, voltage_now=12_000_000)
    mounted = mount()
    found = values(mounted)
    (key,) = [key for row in mounted.rows(2 * SECOND) for key in row.columns.keys if key.metric.name in power()]

    assert found["hw.battery.electric_charge@BAT0"] == 7200.0
    assert found["hw.battery.electric_charge.limit@BAT0 full"] == 14_400.0
    assert found[power()] == found[HOST] == 18.0
    assert (key.metric.quality, key.metric.reason) == (
        "derived",
        "the battery says no power: it is current times voltage",
    )


@given(st.integers(0, 10**10), st.integers(1, 10**9))
def test_any_number_in_its_unit(tmp_path_factory: pytest.TempPathFactory, energy: int, watts: int) -> None:
    """Each uWh is 3600 uJ; whatever sign a driver gives to the power of a battery that discharges, it delivers it."""
    supplies = Supplies(tmp_path_factory.mktemp("supplies"))
    supplies.battery(energy_now=energy, power_now=watts)
    mounted = supplies.mount()
    first = values(mounted)
    supplies.battery(power_now=-watts)
    second = values(mounted, 2)
    mounted.source.stop()

    assert first["hw.battery.energy@BAT0"] * 1_000_000 == pytest.approx(energy * 3600)
    assert first[power()] == second[power()] == watts / 1_000_000


@pytest.mark.parametrize(
    ("status", "said", "amperes"),
    [
        ("Discharging", -800_000, -0.8),
        ("Discharging", 800_000, -0.8),  # drivers that say it the other way around, or without a sign
        ("Charging", 800_000, 0.8),
        ("Charging", -800_000, 0.8),
        ("Full", -3_000, -0.003),
    ],
)
def test_a_current_into_the_battery_is_above_0(
    supplies: Supplies, mount: Any, status: str, said: int, amperes: float
) -> None:
    """As the kernel documents it, whatever the driver makes of it."""
    supplies.battery(status=status, current_now=said, voltage_now=12_000_000)

    assert values(mount())["hw.current@BAT0"] == amperes


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_who_does_not_discharge_delivers_nothing_that_is_known(supplies: Supplies, mount: Any, status: str) -> None:
    """Charging power is no consumption of the machine: it is missing and says so, and never 0."""
    supplies.battery(status=status, power_now=30_000_000)
    supplies.write("AC", type="Mains", online=1)
    found = values(mount())
    words = status.lower()

    assert found[power()] == f"BAT0 does not discharge (it is {words}), so it delivers nothing"
    assert found[HOST] == "the adapter AC supplies the machine, and what it delivers is not measured"
    assert found[f"hw.status@BAT0 {words.replace(' ', '_')}"] == 1
    assert found["hw.power_supply.online@AC"] == 1


@pytest.mark.parametrize(
    ("online", "host"),
    [
        (0, 9.0),
        (1, "the adapter AC supplies the machine, and what it delivers is not measured"),
        (2, "the adapter AC supplies the machine, and what it delivers is not measured"),  # a programmable one
        ("?", f"{FOLDER}/AC/online holds b'?\\n', which is no number"),
    ],
)
def test_the_machines_power_is_known_on_batteries_only(
    supplies: Supplies, mount: Any, online: object, host: object
) -> None:
    """A battery may discharge beside an adapter: what it delivers is known, what the machine takes is not."""
    supplies.battery(power_now=9_000_000)
    supplies.write("AC", type="Mains", online=online)
    found = values(mount())

    assert found[power()] == 9.0
    assert found[HOST] == host
    assert found["hw.power_supply.online@AC"] == (host if online == "?" else int(host != 9.0))


def test_two_batteries_are_added(supplies: Supplies, mount: Any) -> None:
    """Of those that discharge; a battery of a mouse and a supply before the machine are no part of it."""
    supplies.battery(power_now=5_000_000)
    supplies.battery("BAT1", power_now=7_000_000)
    supplies.battery("BAT2", "Not charging", power_now=0)
    supplies.battery("hidpp_battery_0", power_now=1_000_000, scope="Device")
    supplies.write("ups0", type="UPS", status="Discharging", capacity=90)
    supplies.write("ucsi", type="USB", online=0, voltage_now=5_000_000)
    mounted = mount()
    found = values(mounted)

    assert found[HOST] == 12.0
    assert found[power("hidpp_battery_0")] == 1.0
    assert found["hw.battery.charge@ups0"] == 0.9
    assert found["hw.voltage@ucsi"] == 5.0
    assert [
        key.metric.quality for row in mounted.rows(2 * SECOND) for key in row.columns.keys if key.name[:7] == HOST[:7]
    ]


def test_what_is_not_asked_for_counts_all_the_same(supplies: Supplies, mount: Any) -> None:
    """Its series are left out, the machine's power is not made smaller or better by it."""
    supplies.battery(power_now=5_000_000)
    supplies.battery("BAT1", power_now=7_000_000)
    supplies.write("AC", type="Mains", online=0)
    found = values(mount(supplies=["BAT0"]))

    assert found[HOST] == 12.0
    assert {name.partition("@")[2].partition(" ")[0] for name in found} == {"BAT0", ""}


def test_a_battery_that_says_0_does_not_know_yet(supplies: Supplies, mount: Any) -> None:
    """As firmware does after the adapter was pulled out: a machine that runs takes something."""
    supplies.battery(power_now=0)
    found = values(mount())

    assert found[power()] == found[HOST] == "BAT0 discharges and says 0 W: it does not know yet"


def test_an_empty_bay(supplies: Supplies, mount: Any) -> None:
    """Its state is missing and says why, the other battery's power is that of the machine."""
    supplies.battery(power_now=5_000_000)
    supplies.battery("BAT1", "Unknown", present=0, power_now=0)
    found = values(mount())

    assert found[HOST] == 5.0
    assert found["hw.status@BAT1 full"] == found[power("BAT1")] == "there is no battery in BAT1"


@pytest.mark.parametrize("code", [errno.ENODATA, errno.EAGAIN, errno.EBUSY, errno.EIO, errno.ENODEV])
def test_what_the_firmware_does_not_say_is_missing_once(
    supplies: Supplies, mount: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """With the file and what the kernel says; the rest is there, and the series goes on."""
    supplies.battery(power_now=5_000_000, capacity=50, voltage_now=12_000_000)
    mounted = mount()
    steady = values(mounted)
    refused = failing(monkeypatch, {"/power_now": code, "/capacity": code})
    silent = values(mounted, 2)
    refused.clear()

    assert silent["hw.battery.charge@BAT0"] == f"{FOLDER}/BAT0/capacity: {os.strerror(code)}"
    assert silent[power()] == silent[HOST] == f"{FOLDER}/BAT0/power_now: {os.strerror(code)}"
    assert silent["hw.voltage@BAT0"] == 12.0
    assert values(mounted, 3) == steady


@pytest.mark.parametrize("text", ["", "half", "50.5", "\udcff"])
def test_odd_content_is_missing(supplies: Supplies, mount: Any, text: str) -> None:
    """With the file and what it says."""
    folder = supplies.battery(voltage_now=12_000_000)
    (folder / "capacity").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = values(mount())

    assert found["hw.battery.charge@BAT0"].startswith(f"{FOLDER}/BAT0/capacity holds b'")
    assert found["hw.voltage@BAT0"] == 12.0


def test_a_state_that_is_none(supplies: Supplies, mount: Any) -> None:
    """No state is made up, and no power is taken for one."""
    supplies.battery(status="Exploding", power_now=5_000_000)
    found = values(mount())

    why = f"{FOLDER}/BAT0/status holds 'Exploding', which is no state"
    assert {value for name, value in found.items() if name.startswith("hw.status")} == {why}
    assert found[power()] == found[HOST] == why


def test_what_cannot_be_read_is_missing(supplies: Supplies, mount: Any) -> None:
    """As a folder in the place of a file, which nobody can read, root neither."""
    folder = supplies.battery(capacity=50)
    (folder / "power_now").mkdir()
    (folder / "energy_now").mkdir()
    found = values(mount())

    assert found["hw.battery.energy@BAT0"] == f"{FOLDER}/BAT0/energy_now: Is a directory"
    assert found[power()] == f"{FOLDER}/BAT0/power_now: Is a directory"
    assert found["hw.battery.charge@BAT0"] == 0.5


def test_supplies_come_and_go(supplies: Supplies, mount: Any) -> None:
    """A dock with an adapter and a second battery: their series begin and end."""
    supplies.battery(capacity=50)
    mounted = mount()
    alone = values(mounted)
    dock = [supplies.battery("BAT1", capacity=80), supplies.write("AC", type="Mains", online=1)]
    both = values(mounted, 2)
    for folder in dock:
        shutil.rmtree(folder)
    after = values(mounted, 3)

    assert both["hw.battery.charge@BAT1"] == 0.8
    assert both["hw.power_supply.online@AC"] == 1
    assert after == alone
    assert not any("BAT1" in name or "AC" in name for name in alone)


def test_a_supply_that_is_being_removed(supplies: Supplies, mount: Any) -> None:
    """Its folder is still there and its files are not: what it said is missing, and nothing fails."""
    supplies.write("AC", type="Mains", online=0)
    folder = supplies.battery(capacity=50)
    mounted = mount()
    shutil.rmtree(folder)
    folder.mkdir()
    mounted.source.stop()
    found = values(mounted, 2)

    assert found["hw.battery.charge@BAT0"] == f"{FOLDER}/BAT0/capacity: No such file or directory"
    assert found["hw.power_supply.online@AC"] == 0


def test_supplies_that_cannot_be_listed_are_tried_again(supplies: Supplies, mount: Any) -> None:
    """The poll fails, the next one may succeed."""
    supplies.battery(capacity=50)
    mounted = mount()
    away = supplies.folder.rename(supplies.folder.with_name("away"))
    with pytest.raises(Retry, match=FOLDER):
        values(mounted)
    away.rename(supplies.folder)

    assert values(mounted, 2)["hw.battery.charge@BAT0"] == 0.5


def test_names_that_are_not_there_are_refused(supplies: Supplies, mount: Any) -> None:
    """With those that are; and a machine without any."""
    with pytest.raises(LookupError, match="there is neither a battery nor an adapter in /sys/class/power_supply"):
        mount()
    supplies.battery()
    supplies.write("AC", type="Mains", online=0)
    with pytest.raises(LookupError, match="nothing fits `BAT7` of the option `supplies`; there are AC, BAT0"):
        mount(supplies=["BAT*", "BAT7"])


@pytest.mark.skipif(not any(REAL.glob("*/type")), reason="this machine has neither a battery nor an adapter")
def test_the_real_machine_has_its_supplies() -> None:
    """Each is there, with numbers or reasons."""
    mounted = Mounted("battery")
    found = values(mounted)
    mounted.source.stop()

    assert {folder.parent.name for folder in REAL.glob("*/type")} <= {
        name.partition("@")[2].partition(" ")[0] for name in found
    }
