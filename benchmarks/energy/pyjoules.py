"""pyJoules: a trace of one tag, over all devices that it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyJoules.device import DeviceFactory
from pyJoules.device.nvidia_device import NvidiaGPUDomain
from pyJoules.energy_meter import EnergyMeter

from benchmarks.energy.told import Told, main, told, wait

if TYPE_CHECKING:
    from collections.abc import Callable

_MICRO, _MILLI = 1e-6, 1e-3


def window(seconds: float, kind: str) -> Told:
    """Energies by the names of its domains; those of GPUs are in mJ, others in uJ."""
    devices = DeviceFactory.create_devices()
    factors = {
        repr(domain): _MILLI if isinstance(domain, NvidiaGPUDomain) else _MICRO
        for device in devices
        for domain in device.get_configured_domains()
    }
    meter = EnergyMeter(devices)
    del kind
    meter.start(tag="window")
    span_s = wait(seconds)
    meter.stop()
    found = meter.get_trace()[0].energy
    return told({name: value * factors[name] for name, value in found.items()}, span_s)


def sample() -> Callable[[], object]:
    """A reading of each device."""
    devices = DeviceFactory.create_devices()
    return lambda: [device.get_energy() for device in devices]


if __name__ == "__main__":
    main(window, sample)
