"""pyRAPL: a measurement of all packages and their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyRAPL

from benchmarks.energy.told import Told, main, told, wait

if TYPE_CHECKING:
    from collections.abc import Callable


def window(seconds: float, kind: str) -> Told:
    """Energies by package and by its memory."""
    pyRAPL.setup()
    measurement = pyRAPL.Measurement("window")
    del kind
    measurement.begin()
    span_s = wait(seconds)
    measurement.end()
    parts = {"pkg": measurement.result.pkg, "dram": measurement.result.dram}
    joules = {f"{name} {nth}": each / 1e6 for name, values in parts.items() for nth, each in enumerate(values or ())}
    return told(joules, span_s, note="" if joules else "an empty list")


def sample() -> Callable[[], object]:
    """What is read at one end of a measurement."""
    pyRAPL.setup()
    call: Callable[[], object] = pyRAPL.Measurement("cost")._sensor.energy  # noqa: SLF001  (what it calls)
    return call


if __name__ == "__main__":
    main(window, sample)
