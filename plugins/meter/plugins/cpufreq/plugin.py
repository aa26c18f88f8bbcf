"""The source `cpufreq`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meter.core.counters import Deltas
from meter.core.plugin import Missing, Retry, Source
from meter.core.sysfs import Attributes
from meter.plugins.cpufreq.policy import FOLDER, FREQUENCY, LIMIT, POLICY, TIME, Policy, State

if TYPE_CHECKING:
    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, ColumnSpec, Readings

_POLICY: Final = re.compile(r"policy([0-9]+)")
_TICKS: Final = 100
"""The kernel counts so many in a second."""


class CpuFreq(Source):
    """The frequency of each CPU that is online, what limits it, and who decides on it.

    Emits by the number of the CPU `system.cpu.frequency` (Hz), that of the hardware where it may be read (measured),
    else what the driver has asked for (estimated, with the reason); `system.cpu.frequency.limit` (Hz) by
    `cpu.frequency.limit`; `system.cpu.frequency.policy`, 1 with driver, governor and policy as attributes; and with
    `states` the time at each frequency, `system.cpu.frequency.time` (s, f64, delta; resolution 10 ms).

    CPUs of one policy share their frequency: each of them has it. Those that go offline end their series.

    Row: 6 columns for each CPU, and one for each frequency.
    Raises: Retry, the policies could not be listed this once.
    Source: Linux, Documentation/admin-guide/pm/cpufreq.rst, Documentation/cpu-freq/cpufreq-stats.rst.
    """

    def start(self, context: SourceContext) -> None:
        """Find the policies. Raises: OSError, they cannot be listed; LookupError, there is none."""
        self._context = context
        self._files = Attributes(context)
        self._policies: dict[str, Policy] = {}
        self._specs: list[ColumnSpec] = []
        self._columns: Columns | None = None
        self._deltas: Deltas[State] = Deltas()
        self._find()
        if not self._policies:
            raise LookupError(f"there is no policy in {FOLDER}: nothing scales the frequency of this machine")

    def poll(self, out: Readings) -> None:
        """Read each policy once."""
        try:
            self._find()
        except OSError as error:
            raise Retry(f"{FOLDER}: {error.strerror}") from error
        said = [each for policy in self._policies.values() for each in policy.read()]
        specs = [spec for spec, _ in said]
        if self._columns is None or specs != self._specs:
            self._specs, self._columns = specs, out.columns(specs)
        out.row(self._columns, [value for _, value in said])
        idle = {FREQUENCY, LIMIT, POLICY} - {spec.metric for spec in specs}
        if self.config["states"] and not self._give_times(out):
            idle.add(TIME)
        if idle:
            out.nothing(*idle)
        self._files.sweep()

    def stop(self) -> None:
        """Close the files."""
        self._files.close()

    def _give_times(self, out: Readings) -> bool:
        """Time at each frequency; those that begin at one time are a row. Whether anybody counts them."""
        counted = {state: ticks for policy in self._policies.values() for state, ticks in policy.times().items()}
        rows: dict[int, dict[State, float | Missing]] = {}
        for state, (ticks, since) in self._deltas.step(out.ts, counted).items():
            rows.setdefault(since, {})[state] = ticks if isinstance(ticks, Missing) else ticks / _TICKS
        for since, cells in rows.items():
            out.row(out.columns([state.spec() for state in cells]), list(cells.values()), since=since)
        return bool(counted)

    def _find(self) -> None:
        """Take the policies that are there now, by their numbers."""
        numbers = sorted(int(found[1]) for name in self._context.listdir(FOLDER) if (found := _POLICY.fullmatch(name)))
        names = [f"policy{number}" for number in numbers]
        if names != list(self._policies):
            self._policies = {name: self._policies.get(name) or Policy(self._files, name) for name in names}
