"""Delivery: each output has its own bounded queue and thread, tries again with growing pauses, loses nothing unsaid."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from meter.core.breach import ContractBreach
from meter.core.faults import described
from meter.core.plugin import Gone

if TYPE_CHECKING:
    from meter.core.batch import Anchor, Batch, Block
    from meter.core.elements import OutputElement
    from meter.core.faults import Faults

BACK_OFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Delivery:
    """The outputs of a chain, with their threads.

    `give_up_ns` is when a run that stops gives up, in monotonic nanoseconds.

    Args: `stopping` is set when the run ends; `gone` is called when an output takes nothing any more.
    """

    def __init__(self, faults: Faults, stopping: threading.Event, gone: Callable[[], None]) -> None:
        self.outputs: list[OutputElement] = []
        self.give_up_ns: int | None = None
        self._faults = faults
        self._stopping = stopping
        self._gone = gone
        self._seq = 0

    @property
    def wanted(self) -> bool:
        """Whether some output still takes anything."""
        return any(output.live for output in self.outputs)

    def go(self) -> None:
        """Start the threads."""
        for output in self.outputs:
            output.thread = threading.Thread(
                target=self._loop, args=(output,), name=f"meter-{output.label}", daemon=True
            )
            output.thread.start()

    # -------------------------------------------------------------------------------------- in the pipeline's thread

    def deliver(self, blocks: list[Block], anchor: Anchor) -> None:
        """Give each output the part that it takes."""
        from meter.core.batch import Batch  # numpy

        if not blocks:
            return
        self._seq += 1
        for output in self.outputs:
            try:
                routed = tuple([part for block in blocks for part in output.parts(block)])
            except ContractBreach as error:
                if output.live:
                    output.live = False
                    self._faults.raised(output.label, "bind", error)
                output.lose(sum(block.rows for block in blocks))
                continue
            if routed:
                self._enqueue(output, Batch(routed, anchor, self._seq))

    def close(self) -> None:
        """Tell each output that nothing follows; one whose queue stays full does not keep the others from it."""
        waiting = list(self.outputs)
        while waiting:
            for output in list(waiting):
                if not output.queue.full() or self._past_deadline():
                    self._put(output, None)
                    waiting.remove(output)
            if waiting:
                time.sleep(0.01)

    def _enqueue(self, output: OutputElement, batch: Batch) -> None:
        """Queue a batch. A slow output makes the chain wait; one that fails must not, so its oldest batch goes."""
        if not output.live:
            output.lose(batch.rows)
            return
        self._put(output, batch)

    def _put(self, output: OutputElement, batch: Batch | None) -> None:
        """Queue a batch, or the end; after the deadline an output that took nothing for a while gets no more time."""
        while True:
            over = self._past_deadline()
            try:
                output.queue.put(batch, block=not output.stuck, timeout=0.1)
            except queue.Full:
                output.stuck = over
                if output.failing or over:
                    _drop_oldest(output)
            else:
                return

    def _past_deadline(self) -> bool:
        return self.give_up_ns is not None and time.monotonic_ns() >= self.give_up_ns

    # ---------------------------------------------------------------------------------------- in the outputs' threads

    def _loop(self, output: OutputElement) -> None:
        while (batch := output.queue.get()) is not None:
            if output.live:
                output.held = batch.rows
                self._write(output, batch)
                output.held = 0
            else:
                output.lose(batch.rows)
        if output.started and not output.gone:  # also one that was quarantined: what it took before is delivered
            self._faults.guarded(output.label, "flush", output.output.flush)

    def _write(self, output: OutputElement, batch: Batch) -> None:
        """Write a batch, again and again with back-off until it is delivered or the run is given up."""
        attempt = 0
        while True:
            try:
                output.output.write(batch)
            except Gone:
                output.live = False
                output.gone = True
                self._gone()  # it may have been the last one
                return
            except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
                if not output.failing:
                    output.failing = True
                    self._faults.add("E-IO", output.label, why=described(error))
            else:
                output.failing = False
                return
            pause = BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)]
            attempt += 1
            if self._stopping.is_set():
                # While stopping, a few more tries in the time that is left; once they were in vain, one for each batch.
                if attempt > 3 or output.lost or self._past_deadline():
                    output.lose(batch.rows)
                    return
                time.sleep(min(pause, 0.1))
            else:
                self._stopping.wait(pause)

    # ------------------------------------------------------------------------------------------------------ at the end

    def left_over(self) -> None:
        """Count and name what the outputs never got round to."""
        for output in self.outputs:
            while True:
                try:
                    batch = output.queue.get_nowait()
                except queue.Empty:
                    break
                if batch is not None:
                    output.lose(batch.rows)
            with contextlib.suppress(queue.Full):  # should its thread come back, it ends
                output.queue.put_nowait(None)
            if output.lost:
                self._faults.fail("E-IO", output.label, variant="lost", rows=str(output.lost))


def _drop_oldest(output: OutputElement) -> None:
    with contextlib.suppress(queue.Empty):
        oldest = output.queue.get_nowait()
        output.lose(oldest.rows if oldest is not None else 0)
