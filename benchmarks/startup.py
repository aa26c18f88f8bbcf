"""Start-up: what a command costs before it does anything, beside a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.figure import Figure, environment, whole_processes

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOTH_WAYS: Final = ("annotate", "attributes=site=lab", "annotate#rack", "attributes=rack=7")
_SOURCES: Final = ("cpu", "memory", "process", "pid=1", "random", "rate", "metrics=system.cpu.time")
_MAKES: Final = ("accumulate", "metrics=process.cpu.time")
_READS: Final = ("rate#pace", "metrics=process.cpu.time.total")
_OUTPUTS: Final = (
    *("select", "drop=demo.*"),
    *("csv#a", "path=a.csv", "csv#b", "path=b.csv", "csv#c", "path=c.csv", "csv#d", "path=d.csv"),
)
TWELVE: Final = (*_SOURCES, *_READS, *_MAKES, *_OUTPUTS)
"""One filter is asked for before the one whose metric it reads, so that the check has to sort."""
SORTED: Final = (*_SOURCES, *_MAKES, *_READS, *_OUTPUTS)
"""The same chain in the order in which it runs."""
CYCLIC: Final = (*_SOURCES, *_BOTH_WAYS, *_OUTPUTS)
"""Each of two filters changes what the other reads: networkx, which finds such cycles, is in the figure."""
PLAIN: Final = ("cpu", "memory", "csv", "path=host.csv")


def figures() -> Iterator[Figure]:
    """`--help`, `--version`, warm and cold checks; best of 7, interleaved."""
    meter = [sys.executable, "-m", "meter"]
    with tempfile.TemporaryDirectory() as folder:
        for name, words in (("meter", TWELVE), ("sorted", SORTED), ("cyclic", CYCLIC), ("plain", PLAIN)):
            file = f"{name}.toml"
            command = [*meter, "mount", "--file", file, "/host", *words]
            subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment())
            text = Path(folder, file).read_text(encoding="utf-8")
            Path(folder, f"cold-{file}").write_text(text, encoding="utf-8")  # a mount file without a lock
        best = whole_processes(
            {
                "bare": [sys.executable, "-c", "pass"],
                "help": [*meter, "--help"],
                "version": [*meter, "--version"],
                "warm": [*meter, "check"],
                "cold": [*meter, "check", "--file", "cold-meter.toml"],
                "sorted": [*meter, "check", "--file", "cold-sorted.toml"],
                "cyclic": [*meter, "check", "--file", "cold-cyclic.toml"],
                "plain": [*meter, "check", "--file", "cold-plain.toml"],
            },
            runs=7,
            cwd=folder,
        )
    bare = best["bare"]
    yield Figure("meter --help", best["help"], bare, "python -c pass", "ms", 5)
    yield Figure("meter --version", best["version"], bare, "python -c pass", "ms", 5)
    yield Figure("meter check, unchanged, 12 plugins", best["warm"], bare, "python -c pass", "ms", 6)
    yield Figure("meter check, cold, 12 plugins", best["cold"], bare, "python -c pass", "ms", 24)
    yield Figure("meter check, cold, asked in order", best["sorted"], bare, "python -c pass", "ms", None)
    yield Figure("meter check, cold, with W-ORDER-ASKED", best["cyclic"], bare, "python -c pass", "ms", 24)
    yield Figure("meter check, cold, 3 plugins", best["plain"], bare, "python -c pass", "ms", None)
