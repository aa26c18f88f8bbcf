"""The source `thermal`, on made zones and on the real ones."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted

REAL = Path("/sys/class/thermal")


class Zones:
    """A /sys/class/thermal that a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "sys" / "class" / "thermal"
        self.folder.mkdir(parents=True)

    def write(self, number: int, temp: object, kind: str = "acpitz", **trips: tuple[str, object]) -> Path:
        """A zone with its trip points, each a type and a temperature."""
        zone = self.folder / f"thermal_zone{number}"
        zone.mkdir(exist_ok=True)
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text(f"{temp}\n")
        for trip, (what, limit) in trips.items():
            (zone / f"trip_point_{trip.removeprefix('trip')}_type").write_text(f"{what}\n")
            (zone / f"trip_point_{trip.removeprefix('trip')}_temp").write_text(f"{limit}\n")
        return zone

    def mount(self) -> Mounted:
        """The source over it."""
        return Mounted("thermal", sysroot=self.root)


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    """A machine without any."""
    return Zones(tmp_path)


def key(number: int, kind: str = "acpitz", limit: str = "") -> str:
    """The name of a series."""
    name, attribute = ("hw.temperature.limit", f"hw.limit_type={limit}/") if limit else ("hw.temperature", "")
    return f"{name}/sensor/thermal_zone{number}/machine/%/{attribute}hw.name={kind}"


def values(mounted: Mounted, ts: int = SECOND) -> dict[str, Any]:
    """One poll: degrees or reasons."""
    return {
        name: cell.value.reason if isinstance(cell.value, Missing) else cell.value
        for name, cell in mounted.cells(ts).items()
    }


def test_temperatures_are_degrees_by_zone(zones: Zones) -> None:
    """Thousandths become degrees, the type of a zone is its name; zones of one type stay apart, in their order."""
    zones.write(0, 27800)
    zones.write(10, -5250)
    zones.write(2, 45500, "x86_pkg_temp")
    (zones.folder / "cooling_device0").mkdir()
    mounted = zones.mount()

    assert list(values(mounted).items()) == [(key(0), 27.8), (key(2, "x86_pkg_temp"), 45.5), (key(10), -5.25)]
    mounted.source.stop()


@given(st.integers(-273_150, 2**31 - 2))
def test_any_temperature_is_a_thousandth_of_what_the_file_says(
    tmp_path_factory: pytest.TempPathFactory, thousandths: int
) -> None:
    """From absolute zero on."""
    zones = Zones(tmp_path_factory.mktemp("zones"))
    zones.write(0, thousandths)
    mounted = zones.mount()

    assert values(mounted) == {key(0): thousandths / 1000}
    mounted.source.stop()


def test_the_critical_trip_point_is_the_limit(zones: Zones) -> None:
    """Others are not, and a zone without one has no limit; it is read anew, as it can be set."""
    zone = zones.write(0, 40000, trip0=("passive", 95000), trip1=("critical", 105000), trip2=("hot", 99000))
    zones.write(1, 41000, trip0=("active", 50000))
    mounted = zones.mount()
    first = values(mounted)
    (zone / "trip_point_1_temp").write_text("103000\n")
    second = values(mounted, 2 * SECOND)
    mounted.source.stop()

    assert first == {key(0): 40.0, key(0, limit="critical"): 105.0, key(1): 41.0}
    assert second[key(0, limit="critical")] == 103.0


@pytest.mark.parametrize(
    "text",
    ["", "warm", "21.5", "-274000", "-2147483648", "2147483647"],  # the numbers are what drivers say for "not known"
)
def test_what_is_no_temperature_is_missing(zones: Zones, text: str) -> None:
    """With the file and what it says as the reason, and never 0; the other zones are there."""
    zones.write(0, text)
    zones.write(1, 20000)
    mounted = zones.mount()

    cells = values(mounted)
    mounted.source.stop()

    assert "/sys/class/thermal/thermal_zone0/temp" in cells[key(0)]
    assert text in cells[key(0)]
    assert cells[key(1)] == 20.0


class Driver:
    """What stands between a test and `os.pread`: some zones fail."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self._pread = os.pread

    def pread(self, file: int, size: int, offset: int) -> bytes:
        """As the driver of the zone answers."""
        zone = os.path.basename(os.path.dirname(os.readlink(f"/proc/self/fd/{file}")))
        if zone in self.failing:
            code = self.failing[zone]
            raise OSError(code, os.strerror(code))
        return self._pread(file, size, offset)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """One that answers until a test says otherwise."""
    made = Driver()
    monkeypatch.setattr(os, "pread", made.pread)
    return made


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EINVAL, errno.ENODATA, errno.EIO, errno.ENXIO])
def test_a_sleeping_device_is_missing_once(zones: Zones, driver: Driver, code: int) -> None:
    """With what the kernel says as the reason; the series goes on when the device wakes, the others are not touched."""
    zones.write(0, 30000)
    zones.write(1, 31000)
    mounted = zones.mount()
    steady = mounted.rows(SECOND)[0].columns

    driver.failing = {"thermal_zone0": code}
    asleep = values(mounted, 2 * SECOND)
    driver.failing = {}
    awake = mounted.rows(3 * SECOND)[0]
    mounted.source.stop()

    assert os.strerror(code) in asleep[key(0)]
    assert asleep[key(1)] == 31.0
    assert awake.columns is steady
    assert awake.values == [30.0, 31.0]


def test_zones_come_and_go(zones: Zones) -> None:
    """A zone gives its series from the first poll that sees it, and ends it when it has gone."""
    zones.write(0, 30000)
    mounted = zones.mount()
    alone = values(mounted, SECOND)
    wireless = zones.write(1, 50000, "iwlwifi_1")
    both = values(mounted, 2 * SECOND)
    shutil.rmtree(wireless)
    after = values(mounted, 3 * SECOND)
    mounted.source.stop()

    assert alone == after == {key(0): 30.0}
    assert both == {key(0): 30.0, key(1, "iwlwifi_1"): 50.0}


def test_a_zone_whose_number_another_one_gets_is_not_taken_for_it(zones: Zones, driver: Driver) -> None:
    """The old one is missing at the poll that finds it removed, the new one is read from the next poll on."""
    old = zones.write(0, 30000)
    mounted = zones.mount()
    shutil.rmtree(old)
    zones.write(0, 60000, "nvme")
    driver.failing = {"thermal_zone0": errno.ENODEV}
    removed = values(mounted, SECOND)
    driver.failing = {}
    anew = values(mounted, 2 * SECOND)
    mounted.source.stop()

    assert os.strerror(errno.ENODEV) in removed[key(0)]
    assert anew == {key(0, "nvme"): 60.0}


def test_zones_that_cannot_be_listed_are_tried_again(zones: Zones) -> None:
    """The poll fails, the next one may succeed."""
    zones.write(0, 30000)
    mounted = zones.mount()
    away = zones.folder.rename(zones.folder.with_name("away"))
    with pytest.raises(Retry, match="/sys/class/thermal"):
        mounted.rows(SECOND)

    away.rename(zones.folder)
    assert values(mounted, 2 * SECOND) == {key(0): 30.0}
    mounted.source.stop()


def test_a_machine_without_zones_is_refused(zones: Zones) -> None:
    """Where the check was told to assume that there are some; it says so instead of measuring nothing."""
    with pytest.raises(LookupError, match="there is no thermal zone in /sys/class/thermal"):
        zones.mount()


def test_stopping_closes_every_file(zones: Zones) -> None:
    """Also those of zones that went meanwhile."""
    zones.write(0, 30000, trip0=("critical", 1))
    gone = zones.write(1, 30000, trip0=("critical", 1))
    before = set(os.listdir("/proc/self/fd"))
    mounted = zones.mount()
    shutil.rmtree(gone)
    mounted.rows(SECOND)
    mounted.source.stop()

    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not any(REAL.glob("thermal_zone*")), reason="this machine has no thermal zone")
def test_the_real_machine_agrees_with_its_files() -> None:
    """Each zone is there; its temperature and its limit are between what its files say before and after."""

    def degrees(file: Path) -> float | None:
        try:
            return int(file.read_text()) / 1000
        except (OSError, ValueError):
            return None

    def read() -> dict[str, float | None]:
        found = {}
        for zone in REAL.glob("thermal_zone*"):
            number, kind = int(zone.name.removeprefix("thermal_zone")), (zone / "type").read_text().strip()
            found[key(number, kind)] = degrees(zone / "temp")
            critical = [trip for trip in zone.glob("trip_point_*_type") if trip.read_text().strip() == "critical"]
            if critical:
                limit = min(critical, key=lambda trip: trip.name).name.replace("_type", "_temp")
                found[key(number, kind, limit="critical")] = degrees(zone / limit)
        return found

    mounted = Mounted("thermal")
    for nth in range(1, 51):
        before, cells, after = read(), values(mounted, nth * SECOND), read()
        known = {name for name in before if before[name] is not None and before[name] == after[name]}
        if all(cells[name] == before[name] for name in known if not isinstance(cells[name], str)):
            break
    else:
        pytest.fail(f"never so: {cells} where there was {before} before and {after} after")
    mounted.source.stop()

    assert cells.keys() == before.keys()
