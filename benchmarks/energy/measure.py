"""meter's `measure()`; `--sysroot` in METER_BENCHMARK_SYSROOT."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.energy.told import Told, main, told, wait
from meter.core import measure

if TYPE_CHECKING:
    from collections.abc import Callable


def window(seconds: float, kind: str) -> Told:
    """Energies by domain; the total is meter's own."""
    del kind
    with measure(sysroot=os.environ.get("METER_BENCHMARK_SYSROOT")) as measured:
        wait(seconds)
    document = measured.to_json()["energy"]
    joules = {each["name"]: each["value"] for each in document["domains"]}
    window_s = measured.window.value or measured.duration.value or 0.0
    return told(joules, window_s, total=document["total"]["value"], note=document["total"]["reason"] or "")


def sample() -> Callable[[], object]:
    """A poll of the source, with all that it does until its row is there."""
    from benchmarks.readings import started  # more than a window needs

    return started("rapl", [])[0]


if __name__ == "__main__":
    main(window, sample)
