"""The source `hwmon`."""

from __future__ import annotations

import errno
import os
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.counters import Deltas
from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Readings

_CLASS: Final = "/sys/class/hwmon"
_GONE: Final = frozenset({errno.ENODEV, errno.ENOENT})
_ENERGY: Final = "hw.energy"
_KINDS: Final = {
    ("power", "input"): ("hw.power", 1_000_000),
    ("power", "average"): ("hw.power.average", 1_000_000),
    ("energy", "input"): (_ENERGY, 1_000_000),
    ("temp", "input"): ("hw.temperature", 1000),
    ("in", "input"): ("hw.voltage", 1000),
    ("curr", "input"): ("hw.current", 1000),
    ("fan", "input"): ("hw.fan.speed", 1),
}
"""The metric of each kind of file, and what its number is divided by: the kernel says uW, uJ, mCel, mV, mA and rpm."""
_FILE: Final = re.compile(r"([a-z]+)([0-9]+)_(input|average)")
_RAILS: Final = "ina3221"
"""A chip that measures voltage and current of three rails: its channels 4 to 7 of voltage are of shunts, in uV, and its
currents have the labels of the voltages. Source: Linux, Documentation/hwmon/ina3221.rst."""
_SHUNTS: Final = frozenset({"in4", "in5", "in6", "in7"})
_MULTIPLIED: Final = "the chip says no power: it is voltage times current of the rail"


class Hwmon(Source):
    """What the sensors of the hardware monitors say.

    Emits for each sensor, such as `sensor/hwmon2.power1`: `hw.power` and `hw.power.average` (W), `hw.energy` (J, f64,
    delta), `hw.temperature` (Cel), `hw.voltage` (V), `hw.current` (A) and `hw.fan.speed` ({revolution}/min). `hw.name`
    is the name of the chip, `hw.sensor_location` the label of the sensor, or its number where it has none. The power of
    a rail of an INA3221 is its voltage times its current, and derived.

    A sensor that cannot be read, as one that sleeps or only root may read, is missing with the reason. Chips that come
    and go begin and end their series. Nothing is summed: one sensor may be a part of another one.

    Raises: Retry, the chips could not be listed this once.
    Source: Linux, Documentation/hwmon/sysfs-interface.rst.
    """

    def start(self, context: SourceContext) -> None:
        """Find the sensors. Raises: OSError, they cannot be listed; LookupError, there is none of the chips asked."""
        self._context = context
        self._chips: dict[str, _Chip] = {}
        self._removed: set[str] = set()
        self._deltas: Deltas[str] = Deltas()
        self._names: list[str] = []
        self._find(sorted(context.listdir(_CLASS), key=_place))
        if not any(chip.sensors for chip in self._chips.values()):
            asked = ", ".join(f"`{pattern}`" for pattern in self.config["chips"])
            raise LookupError(f"no chip of {_CLASS} with a sensor fits {asked} of `chips`; there are {self._there()}")
        self._columns = context.columns(self._specs())

    def poll(self, out: Readings) -> None:
        """Read each sensor once."""
        for name in self._removed:
            self._close(name)
        try:
            names = sorted(self._context.listdir(_CLASS), key=_place)
        except OSError as error:
            raise Retry(f"{_CLASS}: {error.strerror}") from error
        if names != self._names or self._removed:
            self._removed.clear()
            self._find(names)
            self._columns = out.columns(self._specs())
        counters: dict[str, int | Missing] = {}
        cells: list[float | Missing] = []
        for name, chip in self._chips.items():
            found: dict[str, float | Missing] = {}
            for sensor in chip.sensors:
                number = self._read(name, sensor)
                if sensor.metric == _ENERGY:
                    counters[sensor.id] = number
                else:
                    found[sensor.path] = number if isinstance(number, Missing) else number / sensor.per
            cells += found.values()
            cells += (rail.watts(found) for rail in chip.rails)
        out.row(self._columns, cells)
        self._give_energies(out, counters)
        given = {spec.metric for spec in self._specs()}
        given |= {sensor.metric for chip in self._chips.values() for sensor in chip.sensors}
        if idle := {metric for metric, _ in _KINDS.values()} - given:
            out.nothing(*idle)

    def stop(self) -> None:
        """Close the files."""
        for name in list(self._chips):
            self._close(name)

    def _give_energies(self, out: Readings, counters: dict[str, int | Missing]) -> None:
        """J of each counter; those that begin at one time are a row."""
        rows: dict[int, dict[str, float | Missing]] = {}
        for id_, (delta, since) in self._deltas.step(out.ts, counters).items():
            rows.setdefault(since, {})[id_] = delta if isinstance(delta, Missing) else delta / 1_000_000
        if not rows:
            return
        sensors = {sensor.id: sensor for chip in self._chips.values() for sensor in chip.sensors}
        for since, cells in rows.items():
            columns = out.columns(sensors[id_].spec() for id_ in cells)
            out.row(columns, list(cells.values()), since=since)

    def _find(self, names: list[str]) -> None:
        """Open the sensors of chips that are new, and forget those that have gone."""
        self._names = names
        for name in [name for name in self._chips if name not in names]:
            self._close(name)
        found: dict[str, _Chip] = {}
        try:
            for name in names:
                if chip := self._chips.get(name) or self._open(name):
                    found[name] = chip
        except OSError:
            for chip in found.values():
                _close(chip.sensors)
            self._chips = {}
            self._names = []
            raise
        self._chips = found

    def _open(self, name: str) -> _Chip | None:
        """A chip; None where it is being removed, or is not asked for."""
        sensors: list[_Sensor] = []
        try:
            folder, files = self._where(f"{_CLASS}/{name}")
            chip = self._chip_in(folder)
            if not any(fnmatchcase(chip, pattern) for pattern in self.config["chips"]):
                return None
            for file in files:
                parts = _FILE.fullmatch(file)
                kind = None if parts is None else _KINDS.get((parts[1], parts[3]))
                if parts is not None and kind is not None:
                    channel, (metric, per) = parts[1] + parts[2], kind
                    if chip == _RAILS and channel in _SHUNTS:
                        per *= 1000
                    label = self._label(folder, files, chip, channel)
                    path = f"{folder}/{file}"
                    sensors.append(_Sensor(f"{name}.{channel}", metric, per, chip, label, path, self._descriptor(path)))
        except OSError as error:
            _close(sensors)
            if error.errno in _GONE:
                return None
            raise
        return _Chip(chip, tuple(sensors), tuple(_rails(name, sensors)) if chip == _RAILS else ())

    def _where(self, folder: str) -> tuple[str, list[str]]:
        """The folder with the sensors and its files: drivers of an older kind have them in that of the device."""
        for at in (folder, f"{folder}/device"):
            files = sorted(self._context.listdir(at), key=_place)
            if any(_FILE.fullmatch(file) for file in files):
                return at, files
            if "device" not in files:
                break
        return folder, []

    def _chip_in(self, folder: str) -> str:
        """The name of a chip; it may stand beside the class's link to the device, or in the device alone."""
        try:
            return self._text(f"{folder}/name")
        except FileNotFoundError:
            above, _, last = folder.rpartition("/")
            if last != "device":
                return self._text(f"{folder}/device/name")
            return self._text(f"{above}/name")

    def _label(self, folder: str, files: Sequence[str], chip: str, channel: str) -> str:
        """What a sensor is called: by its label, by what the maker says of an ACPI power meter, by its rail."""
        names = [f"{channel}_label", f"{channel}_oem_info"]
        if chip == _RAILS:
            names.append(channel.replace("curr", "in") + "_label")
        for name in names:
            if name in files and (text := self._text(f"{folder}/{name}")):
                return text
        return channel

    def _descriptor(self, path: str) -> int | Missing:
        """An open file, or why it cannot be opened. Raises: FileNotFoundError, it has just gone."""
        try:
            return self._context.open(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            return Missing(f"{path}: {error.strerror}")

    def _text(self, path: str) -> str:
        file = self._context.open(path)
        try:
            return os.pread(file, 256, 0).decode("utf-8", "backslashreplace").strip()
        finally:
            os.close(file)

    def _read(self, chip: str, sensor: _Sensor) -> int | Missing:
        """What a file says."""
        if isinstance(sensor.descriptor, Missing):
            return sensor.descriptor
        try:
            text = os.pread(sensor.descriptor, 64, 0)
        except OSError as error:
            if error.errno in _GONE:
                self._removed.add(chip)
            return Missing(f"{sensor.path}: {error.strerror}")
        try:
            return int(text)
        except ValueError:
            return Missing(f"{sensor.path} holds {text!r}, which is no number")

    def _specs(self) -> Iterable[ColumnSpec]:
        """The series of all but energy."""
        specs = []
        for chip in self._chips.values():
            specs += [sensor.spec() for sensor in chip.sensors if sensor.metric != _ENERGY]
            specs += [rail.spec() for rail in chip.rails]
        return specs

    def _there(self) -> str:
        """The chips that there are."""
        found = []
        for name in self._names:
            try:
                found.append(self._chip_in(f"{_CLASS}/{name}"))
            except OSError:
                continue
        return ", ".join(sorted(set(found))) or "none"

    def _close(self, name: str) -> None:
        if chip := self._chips.pop(name, None):
            _close(chip.sensors)


class _Sensor(NamedTuple):
    """A sensor: the id of its series, its metric and what its numbers are divided by; chip and label; its file."""

    id: str
    metric: str
    per: int
    chip: str
    label: str
    path: str
    descriptor: int | Missing

    def spec(self) -> ColumnSpec:
        """Its series."""
        attributes = {"hw.name": self.chip, "hw.sensor_location": self.label}
        return ColumnSpec(self.metric, self.id, attributes=attributes)


class _Rail(NamedTuple):
    """A rail whose power is computed: the id of its series, and its two sensors."""

    id: str
    volts: _Sensor
    amperes: _Sensor

    def spec(self) -> ColumnSpec:
        """Its series."""
        volts = self.volts
        channel = self.id.rpartition(".")[2]
        label = channel if volts.label == volts.id.rpartition(".")[2] else volts.label
        spec = volts._replace(id=self.id, metric="hw.power", label=label).spec()
        return spec._replace(quality="derived", reason=_MULTIPLIED)

    def watts(self, found: Mapping[str, float | Missing]) -> float | Missing:
        """W of what the sensors of the chip said, by path."""
        volts, amperes = found[self.volts.path], found[self.amperes.path]
        if isinstance(volts, Missing):
            return volts
        return amperes if isinstance(amperes, Missing) else volts * amperes


class _Chip(NamedTuple):
    """A hardware monitor: what its driver calls it, its sensors, and the rails whose power has to be computed."""

    name: str
    sensors: tuple[_Sensor, ...]
    rails: tuple[_Rail, ...]


def _rails(chip: str, sensors: Sequence[_Sensor]) -> Iterator[_Rail]:
    """Those with a voltage and a current and no power of their own."""
    by_id = {sensor.id: sensor for sensor in sensors}
    for number in ("1", "2", "3"):
        volts, amperes = by_id.get(f"{chip}.in{number}"), by_id.get(f"{chip}.curr{number}")
        if volts is not None and amperes is not None and f"{chip}.power{number}" not in by_id:
            yield _Rail(f"{chip}.power{number}", volts, amperes)


def _close(sensors: Iterable[_Sensor]) -> None:
    for sensor in sensors:
        if not isinstance(sensor.descriptor, Missing):
            os.close(sensor.descriptor)


def _place(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Sorts numbers in names as numbers."""
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name))
