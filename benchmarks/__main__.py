"""`python -m benchmarks [NAME...] [--json]`: each figure beside its control, as a ratio, with its bar.

Nothing here is a test: machines are noisy. Whole processes are the best of several interleaved runs, functions the
best of several repeats, long-running processes the median of windows that all share; only ratios are worth keeping.
All benchmarks together take about eleven minutes.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from benchmarks.figure import Figure
from benchmarks.processes import EndedEarlyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GROUPS: Final = {
    "startup": "benchmarks.startup",
    "catalogue": "benchmarks.catalogue",
    "hostile": "benchmarks.hostile",
    "fuzz": "benchmarks.fuzz",
    "permutations": "benchmarks.permutations",
    "exec": "benchmarks.command",
    "hosts": "benchmarks.hosts",
    "engine": "benchmarks.engine",
    "batches": "benchmarks.batches",
    "hops": "benchmarks.hops",
    "readings": "benchmarks.readings",
    "gpus": "benchmarks.gpus",
    "rapl": "benchmarks.rapl",
    "polling": "benchmarks.polling",
    "kilohertz": "benchmarks.kilohertz",
    "isolate": "benchmarks.isolate",
    "growth": "benchmarks.growth",
    "delivery": "benchmarks.delivery",
    "churn": "benchmarks.churn",
}
"""The module of each benchmark; imported when it runs, so that none measures what another has loaded."""
LONG: Final = {"soak": "benchmarks.soak", "stalls": "benchmarks.stalls", "joules": "benchmarks.joules"}
"""Those that take many minutes, and run only when they are named."""


def main(words: Sequence[str] | None = None) -> None:
    """Run the benchmarks that are named, or all that are not long."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(GROUPS)}; or {', '.join(LONG)}")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.names) - {*GROUPS, *LONG})
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join([*GROUPS, *LONG])}")
    if not arguments.json:
        print(Figure.header())
    for name in arguments.names or GROUPS:
        try:
            for figure in figures(name):
                print(json.dumps({"benchmark": name, **figure.to_json()}) if arguments.json else figure.line())
                sys.stdout.flush()
        except EndedEarlyError as error:
            parser.exit(1, f"{parser.prog}: {name}: {error}\n")
        except subprocess.CalledProcessError as error:
            said = (error.stderr or b"").decode(errors="replace").strip()
            parser.exit(1, f"{parser.prog}: {name}: `{shlex.join(error.cmd)}` ended with {error.returncode}\n{said}\n")


def figures(name: str) -> Iterator[Figure]:
    """The figures of a benchmark, one after the other."""
    found: Iterator[Figure] = import_module({**GROUPS, **LONG}[name]).figures()
    return found


if __name__ == "__main__":
    main()
