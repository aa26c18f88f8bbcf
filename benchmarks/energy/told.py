"""What the modules of this folder have in common: how they begin, what they hand back, what a sample costs.

`python -m benchmarks.energy.NAME window SECONDS rapl`, or `gpu`, says `ready` when all is imported, waits for a line,
measures, and says a line of JSON. `python -m benchmarks.energy.NAME cost` says what one sample takes. Needs nothing but
Python, as it runs in the environment of each tool.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MARK: Final = "told: "
"""Before the line of JSON; tools print lines of their own."""
KWH: Final = 3.6e6
"""Joules."""
_ROUND_S: Final = 0.02
_ROUNDS, _LEAST = 50, 3


class Told(TypedDict):
    """Joules by what the tool calls them, its total where it gives one, and for how long it measured."""

    joules: Mapping[str, float | None]
    total: float | None
    window_s: float
    note: str


def told(joules: Mapping[str, float | None], window_s: float, *, total: float | None = None, note: str = "") -> Told:
    """What a tool says."""
    return {"joules": dict(joules), "total": total, "window_s": window_s, "note": note}


def wait(seconds: float) -> float:
    """Do nothing for a time; how long it was."""
    begin = time.monotonic()
    time.sleep(seconds)
    return time.monotonic() - begin


def main(window: Callable[[float, str], Told], sample: Callable[[], Callable[[], object]]) -> None:
    """Run as the words say: `window` measures `rapl` or `gpu` for some seconds, what `sample` gives takes a sample."""
    if sys.argv[1] == "cost":
        say(cost(sample()))
        return
    print("ready", flush=True)
    sys.stdin.readline()
    say(window(float(sys.argv[2]), sys.argv[3]))


def say(what: Mapping[str, Any]) -> None:
    """A line that is not one of the tool."""
    print(f"\n{MARK}{json.dumps(what)}", flush=True)


def cost(read: Callable[[], object]) -> dict[str, float]:
    """Wall and CPU time of one sample in microseconds, each the least of several rounds; children do not count."""
    begin = time.perf_counter()
    read()
    took = time.perf_counter() - begin
    count, rounds = max(1, int(_ROUND_S / took)), _LEAST if took > _ROUND_S else _ROUNDS
    best = {"wall_us": float("inf"), "cpu_us": float("inf")}
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            read()
        best["wall_us"] = min(best["wall_us"], (time.perf_counter() - wall) / count * 1e6)
        best["cpu_us"] = min(best["cpu_us"], (time.process_time() - cpu) / count * 1e6)
    return best
