"""Keeping: what an output cannot deliver is kept by a `recover` plugin, and comes back before anything newer.

An output cannot deliver when a write has failed, when it hangs, when its queue is full, and when the run ends before it
got round. Then what waits for it is moved to where it is kept, oldest first, by a thread of its own: the output's may
hang. The output goes on with the oldest that is kept. Neither blocks the chain.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from meter.core.faults import described

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meter.core.batch import Batch
    from meter.core.elements import OutputElement, RecoverElement
    from meter.core.faults import Faults

PAUSE_S: Final = 0.5
"""How long after a batch could not be kept it is tried again; until then it waits in its queue."""
LAST_TRIES: Final = 3
"""How often it is tried while the run ends."""
_SLICE_S: Final = 0.05


class Keeping:
    """The two ends of what is kept: where batches go, and where they come back.

    Of an output for which nobody keeps anything it is the queue alone.
    """

    def __init__(self, faults: Faults, stopping: threading.Event) -> None:
        self._faults = faults
        self._stopping = stopping
        self._hand_over_ns: int | None = None

    def go(self, output: OutputElement) -> None:
        """Start the thread."""
        keeper = output.keeper
        if keeper is None or not keeper.live:
            output.keeper = None
            return
        output.queue.kept = True  # by a run before, perhaps
        if not output.live:
            output.queue.spill()
        keeper.thread = threading.Thread(
            target=self._loop, args=(output, keeper), name=f"meter-{keeper.label}", daemon=True
        )
        keeper.thread.start()

    def hand_over_at(self, time_ns: int, outputs: Iterable[OutputElement]) -> None:
        """From that time on everything is kept, and nothing delivered where something keeps it."""
        self._hand_over_ns = time_ns
        for output in outputs:
            output.queue.nudge()

    def left_over(self, output: OutputElement) -> None:
        """Say what is kept for the next start."""
        keeper = output.keeper
        if keeper is None or not keeper.live or (keeper.thread is not None and keeper.thread.is_alive()):
            return
        try:
            rows = keeper.recover.rows()
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
            self._faults.raised(keeper.label, "rows", error)
            return
        if rows:
            self._faults.add("W-KEPT", keeper.label, output=output.label, rows=str(rows))

    # ---------------------------------------------------------------------------------------- in the outputs' threads

    def next(self, output: OutputElement) -> Batch | None:
        """The oldest batch that is not delivered; waits for one. None at the end."""
        queue, keeper = output.queue, output.keeper
        while queue.wait():
            if keeper is None:
                batch = queue.take()
            elif keeper.live and self._late():
                return None
            else:
                with keeper.turn:
                    batch = self._taken(output, keeper) or queue.take()
            if batch is not None:
                return batch
        return None

    def done(self, output: OutputElement, batch: Batch) -> None:
        """A batch is delivered."""
        keeper = output.keeper
        if keeper is None:
            output.queue.done()
            return
        with keeper.turn:
            if output.doubtful:
                output.lose(max(0, output.doubtful - batch.rows))
                output.doubtful = 0
            if output.queue.done() and keeper.live:
                try:
                    keeper.recover.acknowledge()
                except BaseException as error:  # noqa: BLE001  (as in left_over)
                    self._quarantine(output, keeper, "acknowledge", error)

    def back(self, output: OutputElement) -> None:
        """A batch could not be delivered."""
        keeper = output.keeper
        if keeper is None:
            output.queue.back()
            return
        with keeper.turn:
            output.lose(output.doubtful)
            output.doubtful = 0
            output.queue.back()
        output.queue.spill()

    def _taken(self, output: OutputElement, keeper: RecoverElement) -> Batch | None:
        """The oldest that is kept."""
        if not output.queue.kept or not keeper.live:
            return None
        try:
            batch = keeper.recover.take()
        except BaseException as error:  # noqa: BLE001  (as in left_over)
            self._quarantine(output, keeper, "take", error)
            return None
        if batch is None:
            output.queue.kept = False
        else:
            output.queue.taken_elsewhere()
        return batch

    # ------------------------------------------------------------------------------- in the threads of those who keep

    def _loop(self, output: OutputElement, keeper: RecoverElement) -> None:
        queue = output.queue
        last_tries = LAST_TRIES
        while keeper.live and last_tries:
            late = self._late()
            if late and not output.gone:
                queue.spill()
            if not queue.wait_to_move(_SLICE_S if self._stopping.is_set() else None):
                if queue.over or (late and queue.closed):
                    return
            elif not self._move(output, keeper):
                last_tries -= late
                time.sleep(_SLICE_S) if self._stopping.is_set() else self._stopping.wait(PAUSE_S)

    def _move(self, output: OutputElement, keeper: RecoverElement) -> bool:
        """Keep one batch; whether that went well."""
        with keeper.turn:
            batch = output.queue.moving()
            if batch is None:
                return True
            try:
                dropped = keeper.recover.put(batch)
            except BaseException as error:  # noqa: BLE001  (as in left_over)
                output.queue.moved(kept=False)
                if not keeper.failing:
                    keeper.failing = True
                    facts = {"output": output.label, "why": described(error)}
                    self._faults.add("E-IO", keeper.label, variant="keep", **facts)
                return False
            keeper.failing = False
            if dropped:
                if output.queue.unsafe():
                    output.doubtful += dropped
                else:
                    output.lose(dropped)
                if not keeper.full:
                    keeper.full = True
                    self._faults.fail("E-IO", keeper.label, variant="keeper-full", output=output.label)
            output.queue.moved(kept=True)
            return True

    def _late(self) -> bool:
        return self._hand_over_ns is not None and time.monotonic_ns() >= self._hand_over_ns

    def _quarantine(self, output: OutputElement, keeper: RecoverElement, phase: str, error: BaseException) -> None:
        """Leave out who cannot give back what it keeps; the output goes on with what is newer."""
        keeper.live = False
        output.queue.kept = False
        self._faults.raised(keeper.label, phase, error)
        output.queue.nudge()
