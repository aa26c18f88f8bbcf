"""carbontracker: one epoch, a sample each second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carbontracker.tracker import CarbonTracker

from benchmarks.energy.told import KWH, Told, main, told, wait

if TYPE_CHECKING:
    from collections.abc import Callable


def tracker(components: str) -> CarbonTracker:
    """Two epochs, as after the last one it stops by itself."""
    return CarbonTracker(
        epochs=2,
        monitor_epochs=2,
        update_interval=1,
        components=components,
        devices_by_pid=False,
        verbose=0,
        epochs_before_pred=0,
        decimal_precision=9,
        ignore_errors=False,
    )


def window(seconds: float, kind: str) -> Told:
    """Energy of each component before its factor, and the total with it."""
    made = tracker("gpu" if kind == "gpu" else "cpu")
    made.epoch_start()
    span_s = wait(seconds)
    made.epoch_end()
    inner = made.tracker
    joules = {each.name: float(sum(each.energy_usage(inner.epoch_times))) * KWH for each in inner.components}
    return told(joules, span_s, total=float(inner.total_energy_per_epoch().sum()) * KWH)


def sample() -> Callable[[], object]:
    """What its thread calls each time, of the first component; it sleeps for a second between two readings."""
    made = tracker("cpu")
    made.epoch_start()
    call: Callable[[], object] = made.tracker.components[0].handler.power_usage
    return call


if __name__ == "__main__":
    main(window, sample)
