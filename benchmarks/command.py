"""`meter exec`: what measuring a command costs the command, beside the bare command and other tools that wrap one."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING, Final

from benchmarks import peers
from benchmarks.figure import Figure, absent, whole_processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SLEEPS: Final = 5
COMPUTES: Final = 3
SLEEP: Final = ("sleep", "1")
BUSY: Final = (sys.executable, "-c", "x = 0\nfor i in range(36_000_000): x += i")

_TRACKED: Final = """\
import subprocess, sys
from codecarbon import OfflineEmissionsTracker

tracker = OfflineEmissionsTracker(
    country_iso_code="FRA", save_to_file=False, log_level="critical", allow_multiple_runs=True
)
tracker.start()
subprocess.run(sys.argv[1:], check=True)
tracker.stop()
"""


def figures() -> Iterator[Figure]:
    """Wall time beyond a sleep of one second, and that of a command that computes for two; best of several."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        wrappers: dict[str, Sequence[str]] = {"meter": [sys.executable, "-m", "meter", "exec", "--"]}
        if found := peers.program("perf"):
            wrappers["perf stat"] = [found, "stat", "-o", "perf.txt", "--"]
        own = {"XDG_CACHE_HOME": folder}
        whole_processes({"plan": [*wrappers["meter"], "true"]}, runs=1, cwd=folder, env=own)
        slept = {"bare": SLEEP, **{name: [*words, *SLEEP] for name, words in wrappers.items()}}
        busy = {"bare": BUSY, **{name: [*words, *BUSY] for name, words in wrappers.items()}}
        sleeps = whole_processes(slept, runs=SLEEPS, cwd=folder, env=own)
        computes = whole_processes(busy, runs=COMPUTES, cwd=folder, env=own)
        tracked = _tracked(folder)
    over = {name: (took - sleeps["bare"]) / 1e3 for name, took in sleeps.items()}
    yield Figure("exec -- sleep 1, beyond the bare command", over["meter"], None, "", "s", 0.15, "s")
    if "perf stat" in over:
        yield Figure("  perf stat, the same", over["perf stat"], None, "", "s", None)
    else:
        yield absent("  perf stat, the same", "s", f"not installed; {peers.PERF}")
    if tracked is None:
        yield absent("  codecarbon, the same", "s", f"not installed; {peers.CODECARBON}")
    else:
        yield Figure("  codecarbon, the same", tracked - sleeps["bare"] / 1e3, None, "", "s", None, note="best of 2")
    yield Figure(
        "exec -- a command that computes", computes["meter"], computes["bare"], "the command alone", "ms", 1.05
    )
    if "perf stat" in computes:
        took = computes["perf stat"]
        yield Figure("  perf stat, the same", took, computes["bare"], "the command alone", "ms", None)


def _tracked(folder: str) -> float | None:
    """Seconds of a sleep of one second below codecarbon's tracker; None where it is not installed."""
    script = peers.program("codecarbon")
    if script is None:
        return None
    python = os.path.join(os.path.dirname(os.path.realpath(script)), "python")
    command = [python, "-c", _TRACKED, *SLEEP]
    return whole_processes({"codecarbon": command}, runs=2, cwd=folder)["codecarbon"] / 1e3
