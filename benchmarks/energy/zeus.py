"""zeus: a window of its monitor. Its processes that watch for wraps need a main module that can be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeus.monitor import ZeusMonitor

from benchmarks.energy.told import Told, main, told, wait

if TYPE_CHECKING:
    from collections.abc import Callable


def window(seconds: float, kind: str) -> Told:
    """Energies by the number of the processor, its memory, and the GPU; `None` of all processors is missing."""
    monitor = ZeusMonitor(approx_instant_energy=False)
    del kind
    monitor.begin_window("window", sync_execution=False)
    span_s = wait(seconds)
    found = monitor.end_window("window", sync_execution=False)
    parts = {"CPU": found.cpu_energy, "DRAM": found.dram_energy, "GPU": found.gpu_energy}
    joules = {f"{name} {nth}": value for name, each in parts.items() for nth, value in (each or {}).items()}
    return told(joules, span_s, total=None if joules else found.total_energy, note="" if joules else "no processor")


def sample() -> Callable[[], object]:
    """All that a window reads at one of its ends."""
    monitor = ZeusMonitor(approx_instant_energy=False)
    cpus = monitor.cpus

    def read() -> object:
        return [cpus.get_total_energy_consumption(nth) for nth in range(len(cpus))]

    return read


if __name__ == "__main__":
    main(window, sample)
