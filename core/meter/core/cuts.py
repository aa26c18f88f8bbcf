"""One set of sources for all measurements of this process, however they are nested and in whatever threads they are.

Each measurement takes what lies between two cuts: a cut is a poll of every source at the begin or the end of one. In
between the sources are polled at their own pace, as long as a measurement is open. All of this happens in one thread,
which ends with the last open measurement: a signal's handler that raises, such as Ctrl-C, meets no half poll, and a
process that measures nothing has no thread more. The sources stay started for the next measurement.
"""

from __future__ import annotations

import queue
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from meter.core import energies
from meter.core.clock import Clock, MonotonicClock
from meter.core.engine import Engine
from meter.core.faults import described
from meter.core.loading import load
from meter.core.planned import COLLECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike

    from meter.core.batch import Anchor, Block
    from meter.core.faults import Fault
    from meter.core.polling import Raw
    from meter.core.totals import Total

START_S: Final = 30.0
"""How long what is done once may take: numpy from a slow disk takes seconds."""
HELD: Final = 256
"""So many polls are held back in a program without numpy before they are looked at."""


class CutError(Exception):
    """The sources could not be polled for the begin or the end of a measurement; the text says why."""


class _Job:
    """Something to do in the thread of the sources.

    `running` is a lock that its end sets free. It is one of C, as are all that two threads share here: Ctrl-C can leave
    an Event or a Condition, which are Python, locked for ever.
    """

    def __init__(self, what: Callable[[], None]) -> None:
        self.what = what
        self.running = threading.Lock()
        self.running.acquire()
        self.done = False
        self.error = ""


class Window:
    """What was measured between two cuts; complete when `close` has returned.

    `faults` are all of the sources up to its end, as a source that failed stays left out, and `left_out` says why, by
    its name; `missed` counts the polls in between that came too late and were joined with the next.
    """

    def __init__(self) -> None:
        self._collect: Any = None
        self._begin_ns = 0
        self._seq = 0
        self.faults: tuple[Fault, ...] = ()
        self.left_out: dict[str, str] = {}
        self.missed = 0

    def begin(self, collect: Any, begin_ns: int, missed: int) -> None:
        """Start at a time, with an empty output and the polls that were missed before."""
        self._collect = collect
        self._begin_ns = begin_ns
        self.missed = missed

    def end(self, faults: Sequence[Fault], finished: Iterable[str], missed: int) -> None:
        """Nothing follows."""
        self.faults = tuple(faults)
        self.left_out = energies.left_out(finished, faults)
        self.missed = missed - self.missed

    def totals(self) -> Sequence[Total]:
        """What each series came to, sorted by key."""
        found: Sequence[Total] = self._collect.table()
        return found

    def take(self, blocks: Iterable[Block], anchor: Anchor) -> None:
        """Take what was measured after the begin."""
        self._keep([_after(block, self._begin_ns) for block in blocks], anchor)

    def base(self, blocks: Iterable[Block], anchor: Anchor) -> None:
        """Take of the poll at the begin what later readings are counted from: counters."""
        from meter.core.keys import KeySet  # with the first blocks there is numpy

        bases = []
        for block in blocks:
            keys = KeySet(key for key in block.layout.keys if key.metric.kind == "counter")
            if len(keys):
                bases.append(block.select(block.layout.restrict(keys)))
        self._keep(bases, anchor)

    def _keep(self, blocks: list[Block], anchor: Anchor) -> None:
        from meter.core.batch import Batch  # numpy

        if blocks:
            self._seq += 1
            self._collect.write(Batch(tuple(blocks), anchor, self._seq))


class Sources:
    """The sources of a plan, polled at cuts.

    Args: the plan has an output `collect`; `contracts`, `folder` and `sysroot` are as for the engine. `patience_s` is
        how long a program waits for a cut: a source that hangs must not stop what it measures.
    """

    def __init__(
        self,
        plan: dict[str, Any],
        contracts: dict[str, str],
        folder: str | PathLike[str],
        sysroot: str | PathLike[str] | None = None,
        *,
        patience_s: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or MonotonicClock()
        self._engine = Engine(plan, contracts, folder=folder, sysroot=sysroot, clock=self._clock)
        self._entry = next(each for each in plan["plugins"] if each["instance"] == COLLECT)
        self._contract = contracts[self._entry["plugin"]]
        self._patience_s = patience_s
        self._collect: Any = None
        self._lock = threading.RLock()
        """May be taken again: a signal's handler may measure, too."""
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._hangs = False
        self._deadline = 0
        self._open: list[Window] = []
        self._pending: list[tuple[Raw, tuple[Window, ...], Window | None]] = []

    @property
    def idle(self) -> bool:
        """Whether no measurement is open and no thread runs."""
        worker = self._worker
        return worker is None or not worker.is_alive()

    def open(self, window: Window) -> None:
        """Begin to measure: every source was polled when this returns.

        Whoever asks has the window before it is open, and can leave it whatever happens meanwhile.

        Raises: CutError.
        """
        if self._collect is None:
            self._ask(self._start, START_S)
        self._cut(self._begin, window)

    def close(self, window: Window) -> None:
        """End a measurement: every source was polled, and the window has all of it, when this returns.

        Raises: CutError.
        """
        self._cut(self._end, window)

    def leave(self, window: Window) -> None:
        """Forget a window, soon, open or not. Takes no lock, so that it may be called wherever an object ends."""
        self._jobs.put(_Job(partial(self._leave, window)))

    def stop(self) -> None:
        """Stop the sources; no measurement is open."""
        self._engine.stop()

    # ------------------------------------------------------------------------------------------ in the thread that asks

    def _cut(self, what: Callable[[Window], None], window: Window) -> None:
        try:
            self._ask(partial(what, window), self._patience_s if "numpy" in sys.modules else START_S)
        except BaseException:  # Ctrl-C, too: a window whose begin or end was interrupted is nobody's any more
            self.leave(window)
            raise

    def _ask(self, what: Callable[[], None], patience_s: float) -> None:
        job = _Job(what)
        if self._hangs:
            raise CutError("a source has not answered since an earlier measurement")
        self._jobs.put(job)
        with self._lock:
            # Not a flag but the thread itself: Ctrl-C may come at any point of its start.
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(target=self._work, name="meter-measure", daemon=True)
                try:
                    self._worker.start()
                except RuntimeError as error:  # as at the end of the interpreter
                    raise CutError(str(error)) from error
        if not job.running.acquire(timeout=patience_s):
            with self._lock:
                self._hangs = not job.done
            raise CutError(f"a source did not answer within {patience_s:g} s")
        if job.error:
            raise CutError(job.error)

    # ---------------------------------------------------------------------------------------------------- in the thread

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._worker is not threading.current_thread():
                    return  # its start was interrupted, and another one works
                if self._jobs.empty() and not self._open:
                    self._worker = None
                    return
            try:
                job = self._jobs.get(timeout=max(0.0, (self._deadline - self._clock.now()) / 1e9))
            except queue.Empty:
                job = _Job(self._tick)
            try:
                job.what()
            except Exception as error:  # noqa: BLE001  (a fault of meter's own must not stop what is measured)
                job.error = described(error)
                self._engine.raised(COLLECT, "measure", error)
                self._deadline = self._clock.now() + 10**9
            with self._lock:
                self._hangs = False
                job.done = True
            job.running.release()

    def _start(self) -> None:
        if self._collect is None:
            self._engine.start()
            made = load(self._entry["plugin"], self._contract, self._entry["exports"]["plugin"])
            self._collect = partial(made, self._entry["config"])

    def _tick(self) -> None:
        upcoming = self._engine.tick(self._clock.now())
        self._deadline = self._clock.now() + 10**9 if upcoming is None else upcoming
        self._pending.append((self._engine.taken(), tuple(self._open), None))
        # Importing numpy takes 0.1 s, and its threads then spin for a while: where the program has none, that waits for
        # the end of a measurement, as long as little is held back.
        if "numpy" in sys.modules or len(self._pending) > HELD:
            self._process()

    def _poll(self) -> None:
        self._engine.poll_now()
        self._deadline = self._clock.now() + min((s.interval_ns for s in self._engine.sources if s.live), default=10**9)

    def _begin(self, window: Window) -> None:
        """Poll, and leave the rest for later: what follows is measured."""
        window.begin(self._collect(), self._clock.now(), self._engine.tally().missed)
        self._poll()
        self._pending.append((self._engine.taken(), tuple(self._open), window))
        self._open.append(window)

    def _end(self, window: Window) -> None:
        self._poll()
        self._pending.append((self._engine.taken(), tuple(self._open), None))
        self._leave(window)
        self._process()
        window.end(self._engine.faults, self._engine.finished, self._engine.tally().missed)

    def _leave(self, window: Window) -> None:
        if window in self._open:
            self._open.remove(window)

    def _process(self) -> None:
        """Run the chain over what was polled, and give each window its part."""
        from meter.core.batch import Anchor  # numpy

        pending, self._pending = self._pending, []
        for raw, takers, begun in pending:
            blocks = [part for block in self._engine.blocks(raw) for part in block.spread()]
            anchor = Anchor(*raw.anchor)
            for window in takers:
                window.take(blocks, anchor)
            if begun is not None:
                begun.base(blocks, anchor)


def _after(block: Block, begin_ns: int) -> Block:
    """A block without what came before a time: a delta that reaches back is missing, a gauge counts from then on."""
    early = block.since < begin_ns
    if not early.any():
        return block
    import numpy as np  # it is loaded, as there are blocks

    from meter.core.batch import Block

    parts = list(block.parts)
    masks = [
        np.zeros(part.shape, bool) if mask is None else mask.copy()
        for part, mask in zip(block.parts, block.masks, strict=True)
    ]
    reasons = dict(block.reasons)
    rows = early.nonzero()[0]
    for position, (key, (part, column)) in enumerate(zip(block.layout.keys, block.layout.address, strict=True)):
        if key.metric.kind == "delta":
            masks[part][rows, column] = True
            if not parts[part].flags.writeable:
                parts[part] = parts[part].copy()
            parts[part][rows, column] = np.nan if key.metric.type == "f64" else 0  # as a block promises
            reasons.update({(row, position): "it could not be read at the begin" for row in rows.tolist()})
    since = np.maximum(block.since, begin_ns)
    return Block(block.layout, block.ts, since, tuple(parts), tuple(masks), reasons)
