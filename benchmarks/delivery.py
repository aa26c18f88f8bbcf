"""Delivery: what a batch costs on its way to an output, and what the built-in outputs do with its points.

A batch goes through a queue into the thread of its output; beside it stands a queue of Python with a thread behind it.
Outputs write the same points in turn into files of one folder. CPU time of the process; the best of several repeats.
"""

from __future__ import annotations

import contextlib
import csv
import os
import queue
import select
import tempfile
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.figure import Figure
from benchmarks.loop_engine import PLUGINS
from benchmarks.processes import EndedEarlyError
from meter.core import Backend
from meter.core.batch import Anchor, Batch
from meter.core.plugin import Context
from meter.plugins.spool.plugin import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUTPUTS: Final = 16
BATCHES: Final = 300
"""Each is waited for: queues stay empty."""
REPEATS: Final = 9
PATIENCE_S: Final = 5
SERIES: Final = 100
ROWS: Final = 1000
SINGLES: Final = 200
"""So many batches of one row are one repeat."""
CSV_BAR: Final = 3.0
"""In million points per second."""


def figures() -> Iterator[Figure]:
    """Microseconds for a batch and output, then million points per second of each output."""
    one, many = _batch_us(1), _batch_us(1 + OUTPUTS)
    bare_one, bare_many = _bare_us(1), _bare_us(1 + OUTPUTS)
    own, bare = (many - one) / OUTPUTS, (bare_many - bare_one) / OUTPUTS
    yield Figure("batch from poll to one output", one, bare_one, "SimpleQueue, thread", "us", None)
    yield Figure("  to each further output", own, bare, "SimpleQueue, thread", "us", None)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield from _points(folder)


# --------------------------------------------------------------------------------------------------- queue and thread


def _batch_us(outputs: int) -> float:
    """A poll of one row, its batch, and its way to so many outputs."""
    read, write = os.pipe()
    backend = Backend("/loop", plugin_dirs=PLUGINS).add("tick", series=SERIES, interval="1h")
    for number in range(outputs):
        backend.add(f"bell#b{number}", pipe=write)
    engine = backend.mounted().engine()
    engine.start()
    engine.poll_now()
    engine.go()
    _heard(read, outputs)

    def once() -> None:
        engine.trigger("tick")
        _heard(read, outputs)

    best = _best_us(once)
    engine.stop()
    assert not engine.faults, engine.faults
    os.close(read)
    os.close(write)
    return best


def _bare_us(outputs: int) -> float:
    """An object for so many threads with a queue each, and a byte of each into a pipe."""
    read, write = os.pipe()
    queues: list[queue.SimpleQueue[object | None]] = [queue.SimpleQueue() for _ in range(outputs)]

    def serve(own: queue.SimpleQueue[object | None]) -> None:
        while own.get() is not None:
            os.write(write, b".")

    threads = [threading.Thread(target=serve, args=(each,)) for each in queues]
    for thread in threads:
        thread.start()
    batch = object()

    def once() -> None:
        for each in queues:
            each.put(batch)
        _heard(read, outputs)

    best = _best_us(once)
    for each in queues:
        each.put(None)
    for thread in threads:
        thread.join()
    os.close(read)
    os.close(write)
    return best


def _heard(pipe: int, count: int) -> None:
    """Wait for so many bytes. Raises: EndedEarlyError, they do not come."""
    while count:
        if not select.select([pipe], [], [], PATIENCE_S)[0]:
            raise EndedEarlyError(f"{count} batches did not come in {PATIENCE_S} s")
        count -= len(os.read(pipe, count))


def _best_us(once: Callable[[], None]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.process_time_ns()
        for _ in range(BATCHES):
            once()
        best = min(best, (time.process_time_ns() - begin) / BATCHES / 1e3)
    return best


# ------------------------------------------------------------------------------------------------------------- points


class Made(NamedTuple):
    """Batches with the same rows one by one and all at once, and the plugins that take them."""

    single: Batch
    whole: Batch
    csv: Any
    jsonl: Any
    spool: Any


def _points(folder: str) -> Iterator[Figure]:
    """What outputs and spool do with batches of 100 series, of 1 row and of 1,000."""
    with _made(folder) as made:
        for batch, times in ((made.single, SINGLES), (made.whole, 1)):
            million = SERIES * batch.rows * times / 1e6

            def rate(call: Callable[[], object], times: int = times, million: float = million) -> float:
                return million / _best_s(call, times)

            put = partial(made.spool.put, batch)
            csv, jsonl = (rate(partial(output.write, batch)) for output in (made.csv, made.jsonl))
            kept, back = rate(put), rate(partial(_taken, made.spool))
            bare = rate(partial(_bare, batch, os.path.join(folder, "bare.csv")))
            what = f"{SERIES} series x {batch.rows}"
            bar = CSV_BAR if batch is made.whole else None
            yield Figure(f"csv, {what}", csv, bare, "csv module", "Mpt/s", bar, "Mpt/s", at_least=True)
            yield Figure(f"jsonl, {what}", jsonl, csv, "csv", "Mpt/s", None)
            yield Figure(f"spool, {what}: put", kept, jsonl, "jsonl", "Mpt/s", None)
            yield Figure(f"spool, {what}: take, acknowledge", back, jsonl, "jsonl", "Mpt/s", None)


@contextlib.contextmanager
def _made(folder: str) -> Iterator[Made]:
    """The plugins of a chain that is started and not running, and batches of what it has polled."""
    file = os.path.join(folder, "meter.toml")
    backend = Backend("/loop", file=file, plugin_dirs=PLUGINS).add("tick", series=SERIES)
    backend.add("csv", path="out.csv").add("jsonl", path="out.jsonl")
    engine = backend.mounted().engine()
    engine.start()
    batches = []
    for rows in (1, ROWS):
        for _ in range(rows):
            engine.poll_now()
        raw = engine.taken()
        batches.append(Batch(tuple(engine.blocks(raw)), Anchor(*raw.anchor), rows))
        assert batches[-1].rows == rows
    spool = Spool({"path": os.path.join(folder, "spool"), "limit": 1 << 30, "durability": "process"})
    context = Context("spool")
    context.output = "jsonl"
    spool.start(context)
    outputs = {output.label: output.output for output in engine.outputs}
    try:
        single, whole = batches
        yield Made(single, whole, outputs["csv"], outputs["jsonl"], spool)
    finally:
        spool.stop()
        engine.stop()


def _taken(spool: Spool) -> None:
    assert spool.take() is not None
    spool.acknowledge()


def _bare(batch: Batch, path: str) -> None:
    """The same values by the csv module: what a script would do."""
    with open(path, "a", encoding="utf-8", newline="") as file:
        write = csv.writer(file).writerow
        for block in batch.blocks:
            names = {key: (key.metric.name, key.metric.unit, key.metric.kind, key.said) for key in block.layout.keys}
            for row, key, value in block.points():
                write((batch.anchor.wall(int(block.ts[row])), value, *names[key]))


def _best_s(call: Callable[[], object], times: int) -> float:
    """Seconds for so many calls."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.process_time_ns()
        for _ in range(times):
            call()
        best = min(best, (time.process_time_ns() - begin) / 1e9)
    return best
