"""The source `nvml`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from meter.core.counters import Deltas, Integral
from meter.core.plugin import Gone, Missing, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings
    from meter.plugins.nvml.gpu import Busy, Gpu, Held
    from meter.plugins.nvml.library import Handle, Library

_HELD: Final = frozenset({"process.gpu.memory.usage"})
_BUSY: Final = frozenset({"process.gpu.utilization", "process.gpu.memory.busy"})
_HAD: Final = "process.gpu.energy"
_USED: Final = "hw.gpu.energy.busy"
_OF_GPUS: Final = frozenset(
    {
        "hw.power",
        "hw.power.average",
        "hw.gpu.utilization",
        "hw.gpu.memory.busy",
        "hw.gpu.memory.usage",
        "hw.gpu.memory.reserved",
        "hw.gpu.memory.limit",
        "hw.temperature",
        "hw.gpu.speed",
        "hw.status",
        "hw.gpu.process.count",
    }
)
"""What is in the row of all GPUs."""


class Nvml(Source):
    """Energy, power, utilization, memory, temperatures, clocks and processes of NVIDIA GPUs.

    Emits for each GPU, by its number: `hw.energy` (J, f64, delta), from the counter of the GPU (measured), or from its
    power, by trapezoids (derived, with the reason); `hw.power` and `hw.power.average` (W); `hw.gpu.utilization` (1) by
    `hw.gpu.task`; `hw.gpu.memory.busy` (1); `hw.gpu.memory.usage`, `.reserved` and `.limit` (By), also of each MIG
    partition `GPU.INSTANCE.COMPUTE`; `hw.temperature` (Cel); `hw.gpu.speed` (Hz); `hw.status`; and with `processes` the
    number of processes and the memory that each uses; with `utilization` also `process.gpu.utilization` (1) by
    `hw.gpu.task` and `process.gpu.memory.busy` (1) of each, `process.gpu.energy` (J, f64, delta, estimated), what it
    has of the GPU's energy, and `hw.gpu.energy.busy` (J, f64, delta, derived), what all of them have.

    What a GPU does not support, or what the driver refuses, is missing with what the driver said; nothing of one GPU
    touches another. A GPU that is lost ends its series, but `hw.status`, which says so, and `hw.energy`, which is
    missing from then on: a sum over GPUs would be too small without a sign.

    Rows: one of about 20 columns for each GPU, one of energies, one or two for each process, with `utilization` one
    more for each GPU and each process that ran something.
    Raises: Gone, the last GPU is lost.
    Source: NVIDIA, NVML API reference, the functions named in `library`; the steps of the counter, 20 ms to 100 ms.
    """

    def start(self, context: SourceContext) -> None:
        """Load the driver's library and find the GPUs.

        Raises: OSError, the library or the driver cannot be used; LookupError, there is no GPU, or none of `gpus`.
        """
        from meter.plugins.nvml.gpu import Gpu  # pynvml, which takes 50 ms: only where GPUs are measured
        from meter.plugins.nvml.library import Library

        self._library: Library = Library()
        try:
            gpus = self._chosen(self._library.gpus())
            driver = self._library.driver()
            asked = {name: self.config[name] for name in ("processes", "utilization")}
            self._gpus: list[Gpu] = [Gpu(self._library, gpu, driver, **asked) for gpu in gpus]
            self._refuse_nothing()
        except BaseException:
            self._library.close()
            raise
        self._context = context
        self._deltas: Deltas[str] = Deltas()
        self._integrals = {gpu.id: Integral() for gpu in self._gpus if gpu.integrates}
        self._columns: Columns | None = None
        self._idle: frozenset[str] = frozenset()
        self._of_processes: dict[tuple[str, ...], Columns] = {}
        self._of_energy: dict[tuple[str, ...], Columns] = {}
        self._of_parts: dict[str, tuple[Columns, Columns]] = {}
        self._previous: int | None = None

    def poll(self, out: Readings) -> None:
        """Ask each GPU once; counters first, as each call may take milliseconds and the rows are of this instant."""
        for gpu in self._gpus:
            gpu.count()
        changed = [gpu.read() for gpu in self._gpus]
        if self._columns is None or any(changed):
            specs = [spec for gpu in self._gpus for spec in gpu.specs()]
            self._columns = out.columns(specs)
            self._idle = _OF_GPUS - {spec.metric for spec in specs}
        out.row(self._columns, [cell for gpu in self._gpus for cell in gpu.cells()])
        silent = self._parts(self._energies(out), out)
        held = [each for gpu in self._gpus for each in gpu.held]
        busy = [each for gpu in self._gpus for each in gpu.busy]
        processes: list[Held | Busy] = [*held, *busy]
        for each in processes:
            out.row(self._of(each, out), each.cells(), of=each.pid)
        idle = self._idle | silent | (frozenset() if held else _HELD) | (frozenset() if busy else _BUSY)
        if idle:
            out.nothing(*idle)
        if all(gpu.fault is not None for gpu in self._gpus):
            raise Gone("the last GPU is lost")

    def stop(self) -> None:
        """Give the library back."""
        self._library.close()

    def _chosen(self, gpus: Sequence[Handle]) -> list[Handle]:
        """The GPUs of the option. Raises: LookupError, there are none, or one that is named is not there."""
        if not gpus:
            raise LookupError("the NVIDIA driver has no GPU; in a container, start it with `--gpus all`")
        for pattern in self.config["gpus"]:
            if not any(_fits(gpu, pattern) for gpu in gpus):
                there = ", ".join(f"{gpu.number} ({gpu.uuid})" for gpu in gpus)
                raise LookupError(f"no GPU fits `{pattern}` of the option `gpus`; there are {there}")
        return [gpu for gpu in gpus if any(_fits(gpu, pattern) for pattern in self.config["gpus"])]

    def _refuse_nothing(self) -> None:
        """Raises: LookupError, none of the GPUs can be used."""
        faults = [gpu.fault.reason for gpu in self._gpus if gpu.fault is not None]
        if len(faults) == len(self._gpus):
            raise LookupError("; ".join(faults))

    def _energies(self, out: Readings) -> dict[str, tuple[float | Missing, int]]:
        """Give the energies, and J of each GPU with its begin; those that begin at one time are a row."""
        given = {}
        found = self._deltas.step(out.ts, {gpu.id: gpu.counted for gpu in self._gpus if gpu.counts})
        rows: dict[int, tuple[list[Gpu], list[float | Missing]]] = {}
        for gpu in self._gpus:
            delta = self._energy(gpu, found, out)
            if delta is not None:
                given[gpu.id] = delta
                gpus, cells = rows.setdefault(delta[1], ([], []))
                gpus.append(gpu)
                cells.append(delta[0])
        for since, (gpus, cells) in rows.items():
            name = tuple([gpu.id for gpu in gpus])
            columns = self._of_energy.get(name)
            if columns is None:
                columns = self._of_energy[name] = out.columns([gpu.energy for gpu in gpus])
            out.row(columns, cells, since=since)
        self._previous = out.ts
        return given

    def _parts(self, energies: Mapping[str, tuple[float | Missing, int]], out: Readings) -> set[str]:
        """Give what of the energies each process has; the metrics of which there is nothing."""
        silent = {_USED, _HAD}
        for gpu in self._gpus:
            if gpu.parting is None:
                continue
            parted = gpu.parting.step(out.ts, out.since, energies.get(gpu.id), gpu.kernels, gpu.there)
            if parted is None:
                continue
            columns = self._of_parts.get(gpu.id)
            if columns is None:
                columns = self._of_parts[gpu.id] = out.columns([gpu.used]), out.columns([gpu.had])
            used, had = columns
            out.row(used, [parted.busy], since=parted.since)
            silent.discard(_USED)
            for pid, joules in parted.each.items():
                out.row(had, [joules], of=pid, since=parted.since)
                silent.discard(_HAD)
        return silent

    def _energy(
        self, gpu: Gpu, found: dict[str, tuple[float | Missing, int]], out: Readings
    ) -> tuple[float | Missing, int] | None:
        """J, and since when; None at a first reading, which is the base."""
        if gpu.fault is not None:
            return gpu.fault, out.since
        if gpu.integrates:
            return self._integrals[gpu.id].step(out.ts, gpu.power, out.since)
        if not gpu.counts:
            return None if self._previous is None else (Missing(gpu.reason), out.since)
        delta = found.get(gpu.id)
        if delta is None or isinstance(delta[0], Missing):
            return delta
        return delta[0] / 1000, delta[1]

    def _of(self, each: Held | Busy, out: Readings) -> Columns:
        """The columns of what is known of processes in one way on one GPU."""
        columns = self._of_processes.get(each.kind)
        if columns is None:
            columns = self._of_processes[each.kind] = out.columns(each.specs())
        return columns


def _fits(gpu: Handle, pattern: str) -> bool:
    return fnmatchcase(str(gpu.number), pattern) or fnmatchcase(gpu.uuid, pattern)
