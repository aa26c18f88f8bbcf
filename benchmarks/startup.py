"""Start-up: what a command costs before it does anything, beside a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figure import Figure, whole_processes

if TYPE_CHECKING:
    from collections.abc import Iterator

TWELVE = [
    "cpu",
    "memory",
    "process",
    "pid=1",
    "random",
    "rate",
    "metrics=system.cpu.time",
    "rate#pace",
    "metrics=process.cpu.time",
    "select",
    "drop=demo.*",
    "csv#a",
    "path=a.csv",
    "csv#b",
    "path=b.csv",
    "csv#c",
    "path=c.csv",
    "csv#d",
    "path=d.csv",
    "csv#e",
    "path=e.csv",
]


def figures() -> Iterator[Figure]:
    """`--help`, `--version`, a warm and a cold `check` of 12 plugins; best of 7, interleaved."""
    meter = [sys.executable, "-m", "meter"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*meter, "mount", "/host", *TWELVE], check=True, capture_output=True, cwd=folder)
        lock, kept = Path(folder, "meter.lock"), Path(folder, "cold.toml")
        kept.write_text(Path(folder, "meter.toml").read_text(encoding="utf-8"), encoding="utf-8")
        assert lock.exists()
        best = whole_processes(
            {
                "bare": [sys.executable, "-c", "pass"],
                "help": [*meter, "--help"],
                "version": [*meter, "--version"],
                "warm": [*meter, "check"],
                "cold": [*meter, "check", "--file", "cold.toml"],
            },
            runs=7,
            cwd=folder,
        )
    bare = best["bare"]
    yield Figure("meter --help", best["help"], bare, "python -c pass", "ms", 5)
    yield Figure("meter --version", best["version"], bare, "python -c pass", "ms", 5)
    yield Figure("meter check, unchanged, 12 plugins", best["warm"], bare, "python -c pass", "ms", 6)
    yield Figure("meter check, cold, 12 plugins", best["cold"], bare, "python -c pass", "ms", 24)
