"""`python -m benchmarks [NAME...] [--json]`: each figure beside its control, as a ratio, with its bar.

Nothing here is a test: machines are noisy. Whole processes are the best of several interleaved runs, functions the
best of several repeats; only ratios are worth keeping.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from benchmarks import batches, readings, startup
from benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUPS: dict[str, Callable[[], Iterator[Figure]]] = {
    "startup": startup.figures,
    "batches": batches.figures,
    "readings": readings.figures,
}


def main() -> None:
    """Run the groups that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(GROUPS)}")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(GROUPS))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    if not arguments.json:
        print(Figure.header())
    for name in arguments.names or GROUPS:
        for figure in GROUPS[name]():
            print(json.dumps(figure.to_json()) if arguments.json else figure.line())
            sys.stdout.flush()


main()
