"""One supply: a battery, or an adapter that feeds the machine, and what it says at each poll."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.plugin import Missing
from meter.core.readings import ColumnSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meter.core.sysfs import Attributes

Value = float | Missing

CLASS: Final = "/sys/class/power_supply"
CHARGING: Final = "charging"
DISCHARGING: Final = "discharging"
_STATES: Final = {
    "Charging": CHARGING,
    "Discharging": DISCHARGING,
    "Full": "full",
    "Not charging": "not_charging",
    "Unknown": "unknown",
}
_BATTERIES: Final = frozenset({"Battery", "UPS"})
_POWER: Final = "hw.battery.power"
_MICRO: Final = 1_000_000
_HOUR_S: Final = 3600


class _Unit(NamedTuple):
    """What a number is multiplied with, then divided by."""

    times: int
    per: int


_OF_HOURS: Final = _Unit(_HOUR_S, _MICRO)
_FILES: Final[dict[str, tuple[str, dict[str, str], _Unit]]] = {
    "energy_now": ("hw.battery.energy", {}, _OF_HOURS),
    "energy_full": ("hw.battery.energy.limit", {"hw.limit_type": "full"}, _OF_HOURS),
    "energy_full_design": ("hw.battery.energy.limit", {"hw.limit_type": "design"}, _OF_HOURS),
    "charge_now": ("hw.battery.electric_charge", {}, _OF_HOURS),
    "charge_full": ("hw.battery.electric_charge.limit", {"hw.limit_type": "full"}, _OF_HOURS),
    "charge_full_design": ("hw.battery.electric_charge.limit", {"hw.limit_type": "design"}, _OF_HOURS),
    "capacity": ("hw.battery.charge", {}, _Unit(1, 100)),
    "cycle_count": ("hw.battery.cycle.count", {}, _Unit(1, 1)),
    "time_to_empty_now": ("hw.battery.time_left", {"hw.battery.state": DISCHARGING}, _Unit(1, 1)),
    "time_to_full_now": ("hw.battery.time_left", {"hw.battery.state": CHARGING}, _Unit(1, 1)),
}
"""Metric and attributes of each file of a battery. The kernel says uWh, uAh, percent and s."""
_NAMED: Final[dict[str, tuple[str, _Unit]]] = {
    "voltage_now": ("hw.voltage", _Unit(1, _MICRO)),
    "current_now": ("hw.current", _Unit(1, _MICRO)),
    "temp": ("hw.temperature", _Unit(1, 10)),
}
"""The same of those whose series have the name of the supply. The kernel says uV, uA and tenths of Cel."""
METRICS: Final = frozenset(
    [metric for metric, *_ in _FILES.values()]
    + [metric for metric, _ in _NAMED.values()]
    + [_POWER, "hw.power_supply.online", "hw.status"]
)


class Power(NamedTuple):
    """What a battery delivers, and whether it had to be computed of current and voltage."""

    watts: Value
    computed: bool


class Supply:
    """A supply, whose files are known since it was found.

    Args: `name` is its folder, such as `BAT0`; `kind` what `type` says.
    """

    def __init__(self, files: Attributes, name: str, kind: str) -> None:
        self.name = name
        self.is_battery = kind in _BATTERIES
        self._files = files
        self._there = frozenset(files.names(f"{CLASS}/{name}"))
        self.feeds = kind != "UPS" and self._word("scope") != "Device"
        """Whether it is a part of the machine: neither a mouse nor what stands before the machine."""
        self._label = self._word("model_name") or name if self.is_battery else kind
        self._chemistry = self._word("technology") or "Unknown"
        self.state: str | Missing = "unknown"
        """What the battery did at the last poll."""
        self.power = Power(Missing(""), computed=False)
        self.online: int | Missing = 0
        """Whether the adapter supplied anything at the last poll; there are several ways to be online."""

    def _word(self, name: str) -> str:
        text = self._files.text(f"{CLASS}/{self.name}/{name}") if name in self._there else ""
        return "" if isinstance(text, Missing) else text

    def _number(self, name: str) -> int | Missing:
        return self._files.number(f"{CLASS}/{self.name}/{name}")

    @property
    def present(self) -> bool:
        """Whether there is a battery in its bay."""
        return "present" not in self._there or self._number("present") != 0

    def read(self) -> list[tuple[ColumnSpec, Value]]:
        """What it says now."""
        return list(self._of_battery() if self.is_battery else self._of_adapter())

    def _of_adapter(self) -> Iterator[tuple[ColumnSpec, Value]]:
        self.online = self._number("online")
        online = self.online if isinstance(self.online, Missing) else int(self.online != 0)
        yield self._spec("hw.power_supply.online", "sensor", {"hw.name": self._label}), online
        if "voltage_now" in self._there:
            volts = _scaled(self._number("voltage_now"), _NAMED["voltage_now"][1])
            yield self._spec("hw.voltage", "sensor", {"hw.name": self._label}), volts

    def _of_battery(self) -> Iterator[tuple[ColumnSpec, Value]]:
        self.state = self._state()
        for name, (metric, attributes, unit) in _FILES.items():
            if name in self._there:
                yield self._spec(metric, "battery", attributes), _scaled(self._number(name), unit)
        for name, (metric, unit) in _NAMED.items():
            if name in self._there:
                number = self._number(name)
                directed = self._directed(number) if name == "current_now" else number
                yield self._spec(metric, "battery", {"hw.name": self._label}), _scaled(directed, unit)
        if self._there & {"power_now", "current_now"}:
            self.power = self._delivered()
            quality, reason = ("derived", _COMPUTED) if self.power.computed else (None, "")
            spec = ColumnSpec(_POWER, self.name, resource="battery", quality=quality, reason=reason)
            yield spec, self.power.watts
        about = {"hw.battery.chemistry": self._chemistry, "hw.name": self._label}
        for state in _STATES.values():
            now: Value = self.state if isinstance(self.state, Missing) else int(state == self.state)
            yield self._spec("hw.status", "battery", {**about, "hw.battery.state": state}), now

    def _spec(self, metric: str, resource: str, attributes: Mapping[str, str]) -> ColumnSpec:
        return ColumnSpec(metric, self.name, resource=resource, attributes=attributes)

    def _state(self) -> str | Missing:
        if not self.present:
            return Missing(f"there is no battery in {self.name}")
        text = self._files.text(f"{CLASS}/{self.name}/status")
        if isinstance(text, Missing) or text in _STATES:
            return text if isinstance(text, Missing) else _STATES[text]
        return Missing(f"{CLASS}/{self.name}/status holds {text[:64]!r}, which is no state")

    def _directed(self, current: int | Missing) -> int | Missing:
        """A current with the sign that the kernel documents, whatever the driver makes of it."""
        if isinstance(current, Missing) or self.state not in (CHARGING, DISCHARGING):
            return current
        return -abs(current) if self.state == DISCHARGING else abs(current)

    def _delivered(self) -> Power:
        """W, from `power_now`, else from current and voltage. Both are below 0 of some drivers."""
        computed = "power_now" not in self._there
        if isinstance(self.state, Missing):
            return Power(self.state, computed)
        if self.state != DISCHARGING:
            words = self.state.replace("_", " ")
            return Power(Missing(f"{self.name} does not discharge (it is {words}), so it delivers nothing"), computed)
        if computed:
            watts = _product(self._number("current_now"), self._number("voltage_now"))
        else:
            power = self._number("power_now")
            watts = power if isinstance(power, Missing) else abs(power) / _MICRO
        if watts == 0:
            return Power(Missing(f"{self.name} discharges and says 0 W: it does not know yet"), computed)
        return Power(watts, computed)


_COMPUTED: Final = "the battery says no power: it is current times voltage"


def _product(current: int | Missing, voltage: int | Missing) -> Value:
    """W of uA and uV."""
    if isinstance(current, Missing):
        return current
    return voltage if isinstance(voltage, Missing) else abs(current) / _MICRO * (voltage / _MICRO)


def _scaled(number: int | Missing, unit: _Unit) -> Value:
    if isinstance(number, Missing) or unit == (1, 1):
        return number
    return number * unit.times / unit.per


def found(files: Attributes, names: list[str]) -> Iterator[Supply]:
    """The supplies of some names; one that says no type is being removed."""
    for name in names:
        kind = files.text(f"{CLASS}/{name}/type")
        if not isinstance(kind, Missing):
            yield Supply(files, name, kind)
