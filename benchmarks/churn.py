"""Short-lived things: what 400 processes cost a chain at each poll, of which 20 are new, beside 400 that stay.

The chain is `convert` and `csv`, run in this process from rows to the file; the control gives the same values with keys
of their own, so that every change makes a new layout.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.figure import Figure
from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core.batch import Anchor, Batch
from meter.core.discovery import discover
from meter.core.engine import Engine
from meter.core.keys import EACH
from meter.core.polling import Raw
from meter.core.readings import ColumnSpec
from meter.core.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

THINGS: Final = 400
POLLS: Final = 40
SECOND: Final = 1_000_000_000
_COLUMNS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("process.memory.usage", {}),
    ("process.memory.virtual", {}),
    ("process.thread.count", {}),
    ("process.cpu.time", {"cpu.mode": "user"}),
    ("process.cpu.time", {"cpu.mode": "system"}),
    ("process.disk.io", {"disk.io.direction": "read"}),
    ("process.disk.io", {"disk.io.direction": "write"}),
)


def figures() -> Iterator[Figure]:
    """Milliseconds for one poll, from rows to the file."""
    steady, restless = _poll_ms(new=0, own=False), _poll_ms(new=20, own=False)
    own = _poll_ms(new=20, own=True)
    yield Figure(f"{THINGS} processes, 20 new at each poll", restless, steady, "none new", "ms", None)
    yield Figure("  the same", restless, own, "keys of their own", "ms", None)


def _poll_ms(*, new: int, own: bool) -> float:
    """The median over polls."""
    words = ["process", "tree=0", "io=true", "convert", "metrics=process.cpu.time", "unit=ms", "csv", "path=out.csv"]
    request, wrong = from_words("/churn", words, words)
    assert request is not None, wrong
    catalogue = discover(installed=False).catalogue
    plan = check(request, catalogue, Assumed()).require().document
    contracts = {each["plugin"]: catalogue.entries[each["plugin"]][0].path for each in plan["plugins"]}
    took = []
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(plan, contracts, folder=Path(folder))
        engine.start()
        assert not engine.faults
        readings, (out,) = engine.sources[0].readings, engine.outputs
        first = 1000
        each = [ColumnSpec(metric, None, EACH, attributes=attributes) for metric, attributes in _COLUMNS]
        columns = readings.columns(each)
        for poll in range(1, POLLS + 1):
            readings.begin(poll * SECOND)
            begin = time.perf_counter()
            for thing in range(first, first + THINGS):
                id_ = str(thing)
                if own:
                    for metric, attributes in _COLUMNS:
                        readings.emit(metric, 5, consumer_id=id_, attributes=attributes)
                else:
                    readings.row(columns, (5,) * len(_COLUMNS), of=id_)
            polled = Rows()
            readings.give(polled)
            blocks = engine.blocks(Raw([("process", polled)], (0, 0)))
            parts = tuple([part for block in blocks for part in out.parts(block)])
            out.output.write(Batch(parts, Anchor(0, 0), poll))
            took.append(time.perf_counter() - begin)
            first += new
        engine.stop()
    return sorted(took)[len(took) // 2] * 1e3
