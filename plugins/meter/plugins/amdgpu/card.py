"""One GPU: what is read of it at each poll, and the series that come of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.plugin import Missing
from meter.core.readings import ColumnSpec
from meter.plugins.amdgpu import metrics
from meter.plugins.amdgpu.energy import Energy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meter.core.sysfs import Attributes
    from meter.plugins.amdgpu.energy import Delta

Value = float | Missing

CLASS: Final = "/sys/class/drm"
VENDOR: Final = {"hw.vendor": "AMD"}
_TABLE: Final = "gpu_metrics"
_PERCENT: Final = 100
_ASLEEP: Final = frozenset({"suspended", "suspending"})

_DEVICE: Final[dict[str, tuple[str, dict[str, str], int]]] = {
    "gpu_busy_percent": ("hw.gpu.utilization", {"hw.gpu.task": "general"}, _PERCENT),
    "mem_busy_percent": ("hw.gpu.memory.busy", {}, _PERCENT),
    "mem_info_vram_used": ("hw.gpu.memory.usage", {}, 1),
    "mem_info_vram_total": ("hw.gpu.memory.limit", {}, 1),
    "mem_info_gtt_used": ("hw.gpu.memory.shared.usage", {}, 1),
    "mem_info_gtt_total": ("hw.gpu.memory.shared.limit", {}, 1),
}
"""The files of the device: metric, attributes, and what their number is divided by."""
_CLOCKS: Final = {"freq1": "graphics", "freq2": "memory"}
_POWERS: Final = {"power1_input": "power", "power1_average": "power.average"}
_CHANNELS: Final = {
    "temp": ("hw.temperature", 1000),
    "in": ("hw.voltage", 1000),
    "fan": ("hw.fan.speed", 1),
    "freq": ("hw.gpu.speed", 1),
}
"""The kinds of channels of its hardware monitor; the kernel says uW of powers, mCel, mV, rpm and Hz."""
_CHANNEL: Final = re.compile(r"((temp|in|fan|freq)[0-9]+)_input")
GIVES: Final = frozenset(
    [metric for metric, *_ in _DEVICE.values()]
    + [metric for metric, _ in _CHANNELS.values()]
    + [f"{of}.{power}" for of in ("hw", "hw.apu") for power in _POWERS.values()]
)
"""The metrics of which a GPU has those whose files it has."""


class Sensor(NamedTuple):
    """A file and its series; `wakes` says whether a GPU that sleeps would have to wake for it."""

    spec: ColumnSpec
    path: str
    per: int
    wakes: bool


class Card:
    """A GPU that is there, or why it is not any more.

    Args: `name` is that of the card, as `card0`; `about` is what `uevent` says of it.
    """

    def __init__(self, files: Attributes, name: str, about: Mapping[str, str]) -> None:
        self.name = name
        self.id = about["PCI_SLOT_NAME"]
        self.fault: Missing | None = None
        self._files = files
        self._folder = f"{CLASS}/{name}/device"
        self._chip = about.get("PCI_ID", "").upper()
        self._apu = self._second = self._known = False
        self._sensors: tuple[Sensor, ...] = ()
        self._asleep: Missing | None = None
        self._energy = Energy(files, self._folder, self._chip)
        self._look()
        self._about = {
            "hw.id": self._word("unique_id") or self.id,
            "hw.name": self._word("product_name") or self._chip.lower(),
        }

    def _word(self, name: str) -> str:
        text = self._files.text(f"{self._folder}/{name}")
        return "" if isinstance(text, Missing) else text

    def _look(self) -> None:
        """Find its files, and what it is; the table that tells is read only while it does not sleep."""
        monitor = self._monitor()
        paths = {name: f"{monitor}/{name}" for name in self._files.names(monitor)} if monitor else {}
        self._asleep = self._sleep()
        table: metrics.Table | Missing | None = None
        if _TABLE in self._files.names(self._folder):
            data = self._asleep or self._files.data(f"{self._folder}/{_TABLE}")
            table = data if isinstance(data, Missing) else metrics.table(data)
            self._known = bool(monitor) and not isinstance(data, Missing)
        else:
            self._known = bool(monitor)
        self._apu = "in1_input" in paths or metrics.is_apu(table, self._chip)  # only APUs have that voltage
        self._second = metrics.is_second_die(table, self._chip)
        self._energy.sensors = paths
        self._sensors = (*self._of_device(), *self._of_monitor(paths))

    def _monitor(self) -> str:
        """The folder of its hardware monitor; empty where it has none, as of a virtual function."""
        folder = f"{self._folder}/hwmon"
        return next((f"{folder}/{name}" for name in self._files.names(folder)), "")

    def _sleep(self) -> Missing | None:
        """Why nothing may be read that wakes the GPU; None where it is awake."""
        state = self._files.text(f"{self._folder}/power/runtime_status")
        if isinstance(state, Missing) or state not in _ASLEEP:
            return None
        return Missing(f"the GPU sleeps (power/runtime_status: {state}), and would have to wake to be read")

    def _of_device(self) -> Iterator[Sensor]:
        for name in self._files.names(self._folder):
            if name in _DEVICE:
                metric, attributes, per = _DEVICE[name]
                yield self._sensor(metric, f"{self._folder}/{name}", per, attributes, wakes=per == _PERCENT)

    def _of_monitor(self, paths: Mapping[str, str]) -> Iterator[Sensor]:
        for name, path in paths.items():
            if name in _POWERS and not self._second:
                metric = f"{'hw.apu' if self._apu else 'hw'}.{_POWERS[name]}"
                yield self._sensor(metric, path, 1_000_000, {})
            elif parts := _CHANNEL.fullmatch(name):
                metric, per = _CHANNELS[parts[2]]
                label = self._files.text(path.removesuffix("input") + "label")
                attributes = _told(parts[2], parts[1], parts[1] if isinstance(label, Missing) else label)
                if attributes is not None:
                    yield self._sensor(metric, path, per, attributes)

    def _sensor(self, metric: str, path: str, per: int, attributes: Mapping[str, str], *, wakes: bool = True) -> Sensor:
        return Sensor(ColumnSpec(metric, self.id, attributes={**attributes, **VENDOR}), path, per, wakes)

    def read(self) -> bool:
        """See whether it sleeps; whether the series are others than before."""
        if self.fault is not None:
            return False
        if self._known:
            self._asleep = self._sleep()
            return False
        before = self._sensors
        self._look()
        return self._sensors != before

    def lose(self) -> None:
        """It was removed; it gives nothing any more but that."""
        self.fault = Missing(f"the GPU {self.id} has gone")
        self._sensors = ()

    def cells(self) -> list[Value]:
        """What it says now, one for each of `specs`."""
        return [*map(self._cell, self._sensors), *((1, 0) if self.fault is None else (0, 1))]

    def specs(self) -> list[ColumnSpec]:
        """The series of `cells`."""
        states = [{**self._about, "hw.state": state, **VENDOR} for state in ("ok", "failed")]
        return [
            *(sensor.spec for sensor in self._sensors),
            *(ColumnSpec("hw.status", self.id, attributes=attributes) for attributes in states),
        ]

    def _cell(self, sensor: Sensor) -> Value:
        if sensor.wakes and self._asleep is not None:
            return self._asleep
        number = self._files.number(sensor.path)
        if isinstance(number, Missing) or sensor.per == 1:
            return number
        if sensor.per == _PERCENT and not 0 <= number <= _PERCENT:
            return Missing(f"{sensor.path} holds {number}, which is no percentage")
        return number / sensor.per

    @property
    def has_energy(self) -> bool:
        """Whether its energy is its own: a second die's is in the first one's, an APU's in that of the processor."""
        return not (self._second or self._apu)

    def energy(self, ts: int, previous: int) -> Delta:
        """J; None at a first reading, which is the base, and where it has no energy of its own."""
        if not self.has_energy:
            return None
        return self._energy.step(ts, previous, self._asleep) if self.fault is None else (self.fault, previous)

    @property
    def energy_spec(self) -> ColumnSpec:
        """The series of its energy."""
        reason = self._energy.reason
        quality = "derived" if reason else "measured"
        return ColumnSpec("hw.energy", self.id, attributes=VENDOR, quality=quality, reason=reason)


def _told(kind: str, channel: str, label: str) -> dict[str, str] | None:
    """The attributes of a channel; None where nothing is known of it."""
    if kind == "freq":
        return {"hw.gpu.clock": _CLOCKS[channel]} if channel in _CLOCKS else None
    return {} if kind == "fan" else {"hw.sensor_location": label}


def found(files: Attributes, names: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Those of some cards that the driver has, with what `uevent` says of them."""
    for name in names:
        text = files.text(f"{CLASS}/{name}/device/uevent")
        lines = [] if isinstance(text, Missing) else text.splitlines()
        about = dict(line.split("=", 1) for line in lines if "=" in line)
        if about.get("DRIVER") == "amdgpu" and about.get("PCI_SLOT_NAME"):
            yield name, about
