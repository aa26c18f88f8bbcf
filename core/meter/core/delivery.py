"""Delivery: each output has a bounded queue and a thread, tries again with growing pauses, loses nothing unsaid.

The chain waits a moment for room in a queue that is full, but never so long that polling would have to wait, too. What
an output cannot deliver may be kept elsewhere: see `keeping`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from meter.core import elements
from meter.core.breach import ContractBreach
from meter.core.faults import described
from meter.core.keeping import Keeping
from meter.core.phases import HANGS_NS
from meter.core.plugin import Gone

if TYPE_CHECKING:
    from meter.core.batch import Anchor, Batch, Block
    from meter.core.elements import OutputElement
    from meter.core.faults import Faults
    from meter.core.scrutiny import Imprint

BACK_OFF_S: Final = tuple(min(0.05 * 2**attempt, 5.0) for attempt in range(8))
"""The pause after each attempt; the last one stands for all that follow."""
LAST_TRIES: Final = 3
"""How often a batch is tried again while the run ends."""
_SLICE_S: Final = 0.05
_LAST_S: Final = 0.1


class Delivery:
    """The outputs of a chain, with their threads.

    Args: `stopping` is set when the run ends; `gone` is called when an output takes nothing any more; `pressed` says
        whether so much waits for the chain that it can wait for nobody.
    """

    def __init__(
        self, faults: Faults, stopping: threading.Event, gone: Callable[[], None], pressed: Callable[[], bool]
    ) -> None:
        self.outputs: list[OutputElement] = []
        self._faults = faults
        self._stopping = stopping
        self._gone = gone
        self._pressed = pressed
        self._keeping = Keeping(faults, stopping)
        self._give_up_ns: int | None = None
        self._seq = 0

    @property
    def wanted(self) -> bool:
        """Whether what is polled is delivered or kept by somebody."""
        return any(output.wanted for output in self.outputs)

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads of outputs, then of those who keep what these cannot deliver."""
        keepers = [output.keeper.thread for output in self.outputs if output.keeper is not None]
        return [thread for thread in (*[output.thread for output in self.outputs], *keepers) if thread is not None]

    def go(self) -> None:
        """Start the threads."""
        for output in self.outputs:
            self._keeping.go(output)
            output.thread = threading.Thread(
                target=self._loop, args=(output,), name=f"meter-{output.label}", daemon=True
            )
            output.thread.start()

    def give_up_at(self, begin_ns: int, deadline_ns: int) -> None:
        """The run ends: what is not delivered by its deadline is lost, where nobody keeps it."""
        self._give_up_ns = deadline_ns
        # What is kept has the other half of the time to become safe.
        self._keeping.hand_over_at((begin_ns + deadline_ns) // 2, self.outputs)

    # -------------------------------------------------------------------------------------- in the pipeline's thread

    def deliver(self, blocks: list[Block], anchor: Anchor) -> None:
        """Give each output the part that it takes; those with room get it first and wait for nobody."""
        from meter.core.batch import Batch  # numpy

        self._watch()
        if not blocks:
            return
        self._seq += 1
        full: list[tuple[OutputElement, Batch]] = []
        for output in self.outputs:
            routed = self._routed(output, blocks)
            if not routed:
                continue
            batch = Batch(tuple(routed), anchor, self._seq)
            if not output.wanted:
                output.lose(batch.rows)
            elif not output.queue.put(batch):
                full.append((output, batch))
            elif output.queue.relaxed:
                output.patience_s = elements.PATIENCE_S
        for output, batch in full:
            if not self._waited(output, batch):
                self._overflow(output, batch)

    def _routed(self, output: OutputElement, blocks: list[Block]) -> list[Block]:
        """What an output takes of some blocks. One that its rules do not allow is lost, and all where it ends there."""
        routed: list[Block] = []
        for block in blocks:
            try:
                routed += output.parts(block)
            except ContractBreach as breach:
                if output.live:
                    output.live = self._faults.breached(output.label, breach)
                if not output.live:
                    output.lose(sum(each.rows for each in blocks))
                    return []
                output.lose(block.rows)
        return routed

    def close(self) -> None:
        """Tell each output that nothing follows."""
        for output in self.outputs:
            output.queue.close()

    def _waited(self, output: OutputElement, batch: Batch) -> bool:
        """Wait for room in a queue for as long as may be; whether there was some."""
        while (patience := self._patience(output)) > 0:
            begin = time.monotonic_ns()
            if output.queue.put(batch, min(patience, _SLICE_S)):
                return True
            output.patience_s -= (time.monotonic_ns() - begin) / 1e9
            output.stuck = patience <= _LAST_S and self._past_deadline()
        return False

    def _patience(self, output: OutputElement) -> float:
        """How long the chain may wait for room in a queue now."""
        if output.drops or not output.moves:
            return 0.0
        if self._give_up_ns is not None:  # nothing else is to be done
            left = (self._give_up_ns - time.monotonic_ns()) / 1e9
            return max(left, 0.0 if output.stuck else _LAST_S)
        return 0.0 if self._pressed() else output.patience_s

    def _overflow(self, output: OutputElement, batch: Batch) -> None:
        """Queue a batch at the cost of the oldest ones. Where the user asked for that it is no failure."""
        rows = output.queue.force(batch)
        if not rows:
            return
        if not output.drops:
            if not output.lost:
                self._faults.fail("E-IO", output.label, variant="full")
            output.lose(rows)
        else:
            if not output.dropped:
                self._faults.add("W-DROPPED", output.label)
            output.dropped += rows

    def _watch(self) -> None:
        """Name an output whose write does not come back."""
        now = time.monotonic_ns()
        for output in self.outputs:
            since = output.writing_since
            if since is not None and not output.hangs and now - since >= HANGS_NS:
                output.hangs = True
                output.queue.spill()
                self._faults.add("E-IO", output.label, variant="hangs", seconds=f"{HANGS_NS / 1e9:g}")

    def _past_deadline(self) -> bool:
        return self._give_up_ns is not None and time.monotonic_ns() >= self._give_up_ns

    # ---------------------------------------------------------------------------------------- in the outputs' threads

    def _loop(self, output: OutputElement) -> None:
        while output.live and (batch := self._keeping.next(output)) is not None:
            if not self._write(output, batch) and output.live and not self._again(output):
                break
        if output.started and not output.live:
            output.lose(output.queue.drain())
        output.queue.finish()
        if output.started and not output.gone:  # also one that was quarantined: what it took before is delivered
            self._faults.guarded(output.label, "flush", output.output.flush)

    def _write(self, output: OutputElement, batch: Batch) -> bool:
        """Write a batch; whether it is delivered."""
        output.writing_since = time.monotonic_ns()
        output.writes += 1
        imprints = output.imprints(batch)
        try:
            output.output.write(batch)
        except Gone:
            output.live = False
            output.gone = True
            self._gone()  # it may have been the last one
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
            self._keeping.back(output)
            output.attempts += 1
            output.failures += 1
            if not output.failing:
                output.failing = True
                self._faults.add("E-IO", output.label, why=described(error))
        else:
            self._keeping.done(output, batch)
            output.attempts = 0
            output.points += batch.points
            output.failing = False
            self._untouched(output, imprints)
            return True
        finally:
            output.writing_since = None
            output.hangs = False
        return False

    def _untouched(self, output: OutputElement, imprints: list[Imprint]) -> None:
        """Whether a batch is what it was before the output had it: others read it, too."""
        try:
            for imprint in imprints:
                imprint.verify(output.label)
        except ContractBreach as breach:
            output.sampler.suspect = True
            output.live = self._faults.breached(output.label, breach)

    def _again(self, output: OutputElement) -> bool:
        """Pause after a write that failed; whether there is time for another one."""
        pause = BACK_OFF_S[min(output.attempts, len(BACK_OFF_S)) - 1]
        if not self._stopping.is_set():
            self._stopping.wait(pause)
            return True
        # While stopping, a few more tries in the time that is left; once they were in vain, one for each batch.
        if output.attempts > LAST_TRIES or output.lost or self._past_deadline():
            if output.keeper is not None and output.keeper.live:
                return False
            if (batch := output.queue.take()) is not None:
                output.queue.done()
                output.lose(batch.rows)
            return True
        time.sleep(min(pause, 0.1))
        return True

    # ------------------------------------------------------------------------------------------------------ at the end

    def left_over(self) -> None:
        """Count and name what the outputs never got round to, and what is kept for the next start."""
        for output in self.outputs:
            output.lose(output.queue.drain() + output.doubtful)  # should its thread come back, it ends
            if output.lost:
                self._faults.fail("E-IO", output.label, variant="lost", rows=str(output.lost))
            if output.dropped:
                self._faults.add("W-DROPPED", output.label, variant="total", rows=str(output.dropped))
            self._keeping.left_over(output)
