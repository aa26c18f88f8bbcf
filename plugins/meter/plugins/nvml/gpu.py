"""One GPU: what is asked of its driver at each poll, and the series that come of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pynvml

from meter.core.plugin import EACH, Missing
from meter.core.readings import ColumnSpec
from meter.plugins.nvml import library as nvml
from meter.plugins.nvml.parting import Parting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meter.plugins.nvml.library import Handle, Library, Part, Probe, Value

_CLOCKS: Final = {
    "graphics": pynvml.NVML_CLOCK_GRAPHICS,
    "sm": pynvml.NVML_CLOCK_SM,
    "memory": pynvml.NVML_CLOCK_MEM,
    "video": pynvml.NVML_CLOCK_VIDEO,
}
_VENDOR: Final = {"hw.vendor": "NVIDIA"}
"""On every series: with it, those of GPUs of another maker are other series."""
_MEMORY: Final = ("hw.gpu.memory.usage", "hw.gpu.memory.reserved", "hw.gpu.memory.limit")
_UNKNOWN: Final = Missing("nothing has been read yet")
_NO_SAMPLE: Final = Missing("the driver has no sample of this process since the last poll")
_SHARES: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("process.gpu.utilization", {"hw.gpu.task": "general"}),
    ("process.gpu.memory.busy", {}),
    ("process.gpu.utilization", {"hw.gpu.task": "encoder"}),
    ("process.gpu.utilization", {"hw.gpu.task": "decoder"}),
)


class Held(NamedTuple):
    """What one process holds of a GPU or partition: bytes, by a context `compute`, `graphics` or `both`."""

    resource: str
    id: str
    pid: str
    context: str
    memory: Value

    @property
    def kind(self) -> tuple[str, ...]:
        """Those of one kind have the same series; a row says of which process."""
        return self.resource, self.id, self.context

    def specs(self) -> list[ColumnSpec]:
        """The series."""
        attributes = {"hw.gpu.context": self.context, **_VENDOR}
        return [ColumnSpec("process.gpu.memory.usage", self.id, EACH, self.resource, "process", attributes)]

    def cells(self) -> list[Value]:
        """One for each of `specs`."""
        return [self.memory]


class Busy(NamedTuple):
    """What one process did on a GPU or partition since the last poll: shares of time, in the order of `_SHARES`."""

    resource: str
    id: str
    pid: str
    shares: list[Value]

    @property
    def kind(self) -> tuple[str, ...]:
        """As of `Held`."""
        return self.resource, self.id

    def specs(self) -> list[ColumnSpec]:
        """The series."""
        return [
            ColumnSpec(metric, self.id, EACH, self.resource, "process", {**attributes, **_VENDOR})
            for metric, attributes in _SHARES
        ]

    def cells(self) -> list[Value]:
        """One for each of `specs`."""
        return self.shares


class Gpu:
    """A GPU that can be read, or why it cannot.

    Args: `processes` says whether they are read, too, and `utilization` whether what each of them does is.
    """

    def __init__(self, library: Library, gpu: Handle, driver: str, *, processes: bool, utilization: bool) -> None:
        self.id = str(gpu.number)
        self.fault = gpu.fault
        """Why it gives nothing any more; None while it does."""
        self.held: list[Held] = []
        """The processes of the last poll."""
        self.busy: list[Busy] = []
        """What they did since the poll before."""
        self.parting = Parting() if processes and utilization else None
        """Whose its energy is; None where nobody asks."""
        self.kernels: dict[str, int] | Missing | None = gpu.fault
        """What each process ran, as `Samples` has it."""
        self.counted: Value = _UNKNOWN
        """The energy counter at the last poll in mJ, where there is one."""
        self.power: Value = _UNKNOWN
        """W at the last poll."""
        self.integrates = False
        """Whether energy has to be computed from power."""
        self.reason = ""
        """Why, or why there is none at all."""
        self._library = library
        self._about = {"hw.driver_version": driver, "hw.id": gpu.uuid, "hw.name": gpu.model, **_VENDOR}
        self._partitions: list[_Partition] = []
        self._known: list[tuple[int, int, int]] = []
        self._asks_processes = processes
        self._asks_utilization = processes and utilization
        self._named = gpu.handle is not None
        if self._named:
            self._begin(library, gpu.handle)

    def _begin(self, library: Library, handle: Any) -> None:
        self._mig = nvml.Partitions(library, handle)
        self._energy = nvml.energy(library, handle)
        self._fields = nvml.fields(library, handle)
        self._usage = nvml.power(library, handle)
        self._probes: list[Probe] = [
            nvml.utilization(library, handle),
            nvml.coder(library, handle, "Encoder"),
            nvml.coder(library, handle, "Decoder"),
            nvml.memory(library, handle),
            nvml.temperature(library, handle),
            *(nvml.clock(library, handle, kind) for kind in _CLOCKS.values()),
        ]
        # Those of a GPU with partitions are found in its partitions.
        kinds = ("Compute", "Graphics") if self._asks_processes and not self._mig.enabled else ()
        self._processes = [nvml.Processes(library, handle, kind) for kind in kinds]
        self._samples = nvml.Samples(library, handle) if self._asks_utilization else None
        now, usage = self._fields.read()[0], self._usage.read()[0]
        self._instant = not isinstance(now, Missing) or isinstance(usage, Missing)
        self._choose(now if self._instant else usage)

    def _choose(self, power: Value) -> None:
        """Where energy comes from: the counter; else power, of which the driver says what there is; else nowhere."""
        self._energy.read()
        if self._energy.answer not in nvml.REFUSED:
            return
        lacking = nvml.why("nvmlDeviceGetTotalEnergyConsumption", self._energy.answer)
        if isinstance(power, Missing) and self._usage.answer in nvml.REFUSED:
            self.reason = f"{lacking}; {power.reason}"
            return
        self.integrates = True
        of = "the power now (field 186)" if self._instant else "the power of nvmlDeviceGetPowerUsage"
        self.reason = f"{lacking}; {of} was integrated"

    @property
    def energy(self) -> ColumnSpec:
        """The series of its energy."""
        quality = "derived" if self.integrates else "measured"
        reason = self.reason if self.integrates else ""
        return ColumnSpec("hw.energy", self.id, attributes=_VENDOR, quality=quality, reason=reason)

    @property
    def used(self) -> ColumnSpec:
        """The series of what its processes have of it together."""
        return self._spec("hw.gpu.energy.busy")

    @property
    def had(self) -> ColumnSpec:
        """The series of what a process has of it."""
        return ColumnSpec("process.gpu.energy", self.id, EACH, "gpu", "process", _VENDOR)

    @property
    def there(self) -> frozenset[str]:
        """The processes that the driver lists."""
        return frozenset(each.pid for each in self.held)

    @property
    def counts(self) -> bool:
        """Whether it has an energy counter."""
        return not self.integrates and not self.reason

    def count(self) -> None:
        """Ask for the energy counter."""
        if self.fault is None and self.counts:
            self.counted = self._energy.read()[0]

    def read(self) -> bool:
        """Ask the driver for everything else; whether the series are others than at the last poll."""
        if self.fault is not None:
            return False
        fields = list(self._fields.read())
        if not self._instant:
            fields[:1] = self._usage.read()
        self.power = fields[0]
        self._cells = fields
        for probe in self._probes:
            self._cells += probe.read()
        self.held = []
        self._cells += self._groups(self._processes, "gpu", self.id)
        changed = self._find_partitions() if self._mig.enabled else False
        for partition in self._partitions:
            self._cells += partition.memory.read()
            self._cells += self._groups(partition.processes, "gpu_partition", partition.id)
        if self._samples is not None:
            self.busy = self._shares(self._samples)
            self.kernels = self._samples.kernels
        answers = [each.answer for each in (self._fields, self._energy, *self._probes)]
        answers += [each.answer for each in self._processes]
        answers += [] if self._samples is None else [self._samples.answer]
        lost = next((answer for answer in answers if answer in nvml.LOST), 0)
        if lost:
            self._lose(Missing(f"{pynvml.NVMLError(lost)}: GPU {self.id} has gone"))
            return True
        return changed

    def _lose(self, reason: Missing) -> None:
        """Nothing is there any more but that it failed."""
        self.fault = self.power = self.counted = self.kernels = reason
        self.held, self.busy = [], []
        self._cells = []
        self._partitions = []

    def cells(self) -> list[Value]:
        """What the last poll gave, one for each of `specs`."""
        if not self._named:
            return []
        return [*self._cells, *((1, 0) if self.fault is None else (0, 1))]

    def specs(self) -> list[ColumnSpec]:
        """The series of `cells`."""
        if not self._named:
            return []
        specs: list[ColumnSpec] = []
        if self.fault is None:
            specs += [
                self._spec("hw.power"),
                self._spec("hw.power.average"),
                self._spec("hw.temperature", {"hw.sensor_location": "memory"}),
                self._spec("hw.gpu.utilization", {"hw.gpu.task": "general"}),
                self._spec("hw.gpu.memory.busy"),
                self._spec("hw.gpu.utilization", {"hw.gpu.task": "encoder"}),
                self._spec("hw.gpu.utilization", {"hw.gpu.task": "decoder"}),
                *_sizes("gpu", self.id),
                self._spec("hw.temperature", {"hw.sensor_location": "gpu"}),
                *(self._spec("hw.gpu.speed", {"hw.gpu.clock": clock}) for clock in _CLOCKS),
                *_counts("gpu", self.id, self._processes),
            ]
        for partition in self._partitions:
            specs += _sizes("gpu_partition", partition.id)
            specs += _counts("gpu_partition", partition.id, partition.processes)
        for state in ("ok", "failed"):
            specs.append(ColumnSpec("hw.status", self.id, attributes={**self._about, "hw.state": state}))
        return specs

    def _spec(self, metric: str, attributes: Mapping[str, str] = MappingProxyType({})) -> ColumnSpec:
        return ColumnSpec(metric, self.id, attributes={**attributes, **_VENDOR})

    def _groups(self, processes: Sequence[nvml.Processes], resource: str, id_: str) -> list[Value]:
        """How many processes there are of each kind of context; what each holds goes to `held`."""
        found = [each.read() for each in processes]
        known = [each for each in found if not isinstance(each, Missing)]
        for kind, group in zip(("compute", "graphics"), found, strict=False):
            if not isinstance(group, Missing):
                for pid, memory in group.items():
                    both = sum(pid in each for each in known) > 1
                    if not both or kind == "compute":  # the driver says the same memory in both lists
                        self.held.append(Held(resource, id_, pid, "both" if both else kind, memory))
        return [group if isinstance(group, Missing) else len(group) for group in found]

    def _shares(self, samples: nvml.Samples) -> list[Busy]:
        """What each process did; of one that is there and of which nothing is known, why."""
        found = samples.read()
        if found is None:
            return []
        known, reason = ({}, found) if isinstance(found, Missing) else (found, _NO_SAMPLE)
        there: dict[tuple[str, str, str], list[Value]] = {
            each[:3]: [reason] * len(_SHARES) for each in self.held if each.pid not in known
        }
        lacking = [Busy(*each, shares) for each, shares in there.items()]
        return [*(Busy("gpu", self.id, pid, shares) for pid, shares in known.items()), *lacking]

    def _find_partitions(self) -> bool:
        """Look for the partitions that there are now; whether they have changed."""
        parts = self._mig.find()
        known = [part[:3] for part in parts]
        if known == self._known:
            return False
        self._known = known
        self._partitions = [_Partition(self._library, self.id, part, self._asks_processes) for part in parts]
        return True


class _Partition:
    """What is read of a MIG partition; the driver knows neither its power nor its utilization."""

    def __init__(self, library: Library, gpu: str, part: Part, processes: bool) -> None:  # noqa: FBT001  (as of Gpu)
        self.id = f"{gpu}.{part.instance}.{part.compute}"
        self.memory = nvml.memory(library, part.handle)
        self.processes = [nvml.Processes(library, part.handle, "Compute")] if processes else []


def _counts(resource: str, id_: str, processes: Sequence[nvml.Processes]) -> list[ColumnSpec]:
    kinds = ("compute", "graphics")[: len(processes)]
    return [
        ColumnSpec("hw.gpu.process.count", id_, None, resource, None, {"hw.gpu.context": kind, **_VENDOR})
        for kind in kinds
    ]


def _sizes(resource: str, id_: str) -> list[ColumnSpec]:
    return [ColumnSpec(metric, id_, resource=resource, attributes=_VENDOR) for metric in _MEMORY]
