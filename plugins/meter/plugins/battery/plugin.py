"""The source `battery`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from meter.core.plugin import Missing, Retry, Source
from meter.core.readings import ColumnSpec
from meter.core.sysfs import Attributes
from meter.plugins.battery.supply import CLASS, DISCHARGING, METRICS, found

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings
    from meter.plugins.battery.supply import Supply, Value

_HOST: Final = "hw.host.power"


class Battery(Source):
    """Charge, energy, power and state of batteries, and whether adapters supply the machine.

    Emits for each battery, such as `battery/BAT0`, as far as it says it: `hw.battery.charge` (1), `hw.battery.energy`
    and its `.limit` (J), or `hw.battery.electric_charge` and its `.limit` (C), `hw.battery.power` (W),
    `hw.battery.time_left` (s), `hw.battery.cycle.count` ({cycle}), `hw.voltage` (V), `hw.current` (A),
    `hw.temperature` (Cel) and `hw.status`; for each adapter, such as `sensor/AC`, `hw.power_supply.online` and
    `hw.voltage`; of the machine `hw.host.power` (W).

    `hw.battery.power` is what a battery delivers, and missing while it does not discharge. `hw.host.power` is the sum
    of all, asked for or not, and missing as soon as an adapter supplies anything: what that delivers is not measured.

    Row: about 15 columns for each battery.
    Raises: Retry, the supplies could not be listed this once.
    Source: Linux, Documentation/ABI/testing/sysfs-class-power, Documentation/power/power_supply_class.rst.
    """

    def start(self, context: SourceContext) -> None:
        """Find the supplies.

        Raises: OSError, they cannot be listed; LookupError, there is none, or none of `supplies`.
        """
        self._context = context
        self._files = Attributes(context)
        self._names: list[str] = []
        self._supplies: list[Supply] = []
        self._specs: list[ColumnSpec] = []
        self._columns: Columns | None = None
        try:
            self._find(sorted(context.listdir(CLASS)))
            self._refuse_nothing()
        except BaseException:
            self._files.close()
            raise

    def poll(self, out: Readings) -> None:
        """Read each supply once."""
        try:
            names = sorted(self._context.listdir(CLASS))
        except OSError as error:
            raise Retry(f"{CLASS}: {error.strerror}") from error
        if names != self._names:
            self._find(names)
        said = [each for supply in self._supplies for each in supply.read() if self._is_asked(supply.name)]
        host = self._host()
        if host is not None:
            said.append((ColumnSpec(_HOST), host))
        specs = [spec for spec, _ in said]
        if self._columns is None or specs != self._specs:
            self._specs, self._columns = specs, out.columns(specs)
        out.row(self._columns, [value for _, value in said])
        idle = (METRICS | {_HOST}) - {spec.metric for spec in specs}
        if idle:
            out.nothing(*idle)
        self._files.sweep()

    def stop(self) -> None:
        """Close the files."""
        self._files.close()

    def _host(self) -> Value | None:
        """W of the machine, or why they are not known; None where it has no battery to know them from."""
        batteries = [supply for supply in self._supplies if supply.is_battery and supply.feeds and supply.present]
        if not batteries:
            return None
        for adapter in (supply for supply in self._supplies if not supply.is_battery and supply.feeds):
            if isinstance(adapter.online, Missing):
                return adapter.online
            if adapter.online:
                return Missing(f"the adapter {adapter.name} supplies the machine, and what it delivers is not measured")
        for battery in batteries:
            if isinstance(battery.state, Missing):
                return battery.state
        watts = 0.0
        for power in (battery.power.watts for battery in batteries if battery.state == DISCHARGING):
            if isinstance(power, Missing):
                return power
            watts += power
        return watts or Missing("no battery discharges, and no adapter supplies the machine")

    def _find(self, names: list[str]) -> None:
        """Take the supplies that are new, and forget those that have gone."""
        known = {supply.name: supply for supply in self._supplies if supply.name in names}
        new = {supply.name: supply for supply in found(self._files, [name for name in names if name not in known])}
        both = {**known, **new}
        self._supplies = [both[name] for name in names if name in both]
        self._names = names

    def _is_asked(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.config["supplies"])

    def _refuse_nothing(self) -> None:
        """Raises: LookupError, there are no supplies, or one that is named is not there."""
        if not self._names:
            raise LookupError(f"there is neither a battery nor an adapter in {CLASS}")
        for pattern in self.config["supplies"]:
            if not any(fnmatchcase(name, pattern) for name in self._names):
                raise LookupError(
                    f"nothing fits `{pattern}` of the option `supplies`; there are {', '.join(self._names)}"
                )
