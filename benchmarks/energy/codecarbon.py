"""codecarbon: its offline tracker, one sample each second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codecarbon import OfflineEmissionsTracker

from benchmarks.energy.told import KWH, Told, main, told, wait

if TYPE_CHECKING:
    from collections.abc import Callable


def tracker() -> OfflineEmissionsTracker:
    """Writes no file, so that nothing but measuring is in it."""
    return OfflineEmissionsTracker(
        country_iso_code="FRA",
        measure_power_secs=1,
        output_methods=[],
        save_to_file=False,
        log_level="warning",
        allow_multiple_runs=True,
    )


def window(seconds: float, kind: str) -> Told:
    """Energies of processor and memory with their total, or of the GPUs alone: where there is no counter it guesses."""
    made = tracker()
    made.start()
    span_s = wait(seconds)
    made.stop()
    found = made.final_emissions_data
    if kind == "gpu":
        return told({"GPU": found.gpu_energy * KWH}, span_s)
    parts = {"CPU": found.cpu_energy, "RAM": found.ram_energy}
    return told({name: each * KWH for name, each in parts.items()}, span_s, total=found.energy_consumed * KWH)


def sample() -> Callable[[], object]:
    """What its scheduler calls each time."""
    made = tracker()
    made.start()
    made._scheduler.stop()  # noqa: SLF001  (only our own calls count)
    call: Callable[[], object] = made._measure_power_and_energy  # noqa: SLF001  (what its scheduler calls)
    return call


if __name__ == "__main__":
    main(window, sample)
