"""Queues: the batches that wait for one output, oldest first, bounded in points and in bytes.

Knows no thread and no plugin; each of its calls is safe beside the others. A batch leaves when it is delivered, kept
elsewhere, or counted as lost by whoever lets it go. Where something keeps what the output cannot deliver, the batches
there are older than all that wait here, so that both together are one queue.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from meter.core.batch import Batch


class _Entry(NamedTuple):
    """A batch and what it counts for, which is worth a calculation once."""

    batch: Batch
    points: int
    bytes: int


class OutputQueue:
    """A bounded queue of batches.

    The bounds count what waits and the batch that is being written; where nothing else waits, one more may go beyond
    them, since it has to be somewhere. `kept` says whether there are older batches that are kept elsewhere.
    """

    def __init__(self, points: int, size: int) -> None:
        self.kept = False
        self.points = 0
        self.bytes = 0
        self._max_points = points
        self._max_bytes = size
        self._waiting: deque[_Entry] = deque()
        self._held: _Entry | None = None
        self._safe = False
        """Whether the batch that is being written is the oldest of those that are kept elsewhere."""
        self._moving = False
        self._spilling = False
        self._closed = False
        self._finished = False
        self._nudged = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting) + (self._held is not None)

    @property
    def relaxed(self) -> bool:
        """Whether it is less than half full."""
        return 2 * self.points < self._max_points and 2 * self.bytes < self._max_bytes

    # ------------------------------------------------------------------------------------------------- who fills it

    def put(self, batch: Batch, timeout_s: float = 0.0) -> bool:
        """Append a batch where there is room, now or within some time; whether there was."""
        entry = _Entry(batch, batch.points, batch.nbytes)
        with self._changed:
            if not self._fits(entry):
                self._spilling = True
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: self._fits(entry), timeout_s):
                    return False
            self._append(entry)
            return True

    def force(self, batch: Batch) -> int:
        """Append a batch, and let the oldest go where there is no room; how many rows went."""
        entry = _Entry(batch, batch.points, batch.nbytes)
        lost = 0
        with self._changed:
            first = int(self._moving)
            while len(self._waiting) > first and not self._fits(entry):
                oldest = self._waiting[first]
                del self._waiting[first]
                self._forget(oldest)
                lost += oldest.batch.rows
            self._append(entry)
        return lost

    def close(self) -> None:
        """Say that nothing follows."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # ------------------------------------------------------------------------------------------------ who empties it

    def wait(self) -> bool:
        """Wait for something to deliver; False where nothing will come any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.kept or self._closed)
            return bool(self._waiting or self.kept)

    def take(self) -> Batch | None:
        """The oldest that waits, to be written now; it stays here until `done` or `back`. None where none waits."""
        with self._changed:
            if not self._waiting:
                return None
            self._held, self._safe = self._waiting.popleft(), False
            return self._held.batch

    def taken_elsewhere(self) -> None:
        """What is being written now is the oldest of those that are kept elsewhere."""
        self._safe = True

    def done(self) -> bool:
        """What was being written is delivered; whether it is kept elsewhere, where it can be forgotten now."""
        with self._changed:
            safe, self._safe = self._safe, False
            self._release()
            if self.relaxed:
                self._spilling = False
            return safe

    def back(self) -> None:
        """What was being written is not delivered: it is the oldest again, here or where it is kept."""
        with self._changed:
            if self._safe:
                self._release()
            elif self._held is not None:
                self._waiting.appendleft(self._held)
                self._held = None
            self._safe = False

    def finish(self) -> None:
        """Say that nothing is delivered any more."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def drain(self) -> int:
        """Forget everything that is not kept elsewhere, and end; how many rows that were."""
        with self._changed:
            lost = sum(entry.batch.rows for entry in self._waiting)
            if self._held is not None and not self._safe:
                lost += self._held.batch.rows
            self._waiting.clear()
            self._held, self._safe = None, False
            self.points = self.bytes = 0
            self.kept = self._spilling = False
            self._closed = self._finished = True
            self._changed.notify_all()
        return lost

    # ----------------------------------------------------------------------------- who keeps what cannot be delivered

    def spill(self) -> None:
        """From now on what waits is to be kept elsewhere, until a batch is delivered."""
        with self._changed:
            self._spilling = True
            self._changed.notify_all()

    def nudge(self) -> None:
        """Let `wait_to_move` come back."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def wait_to_move(self, timeout_s: float | None) -> bool:
        """Wait until something is to be kept elsewhere, nothing will be, or somebody nudges; whether something is."""
        with self._changed:
            self._changed.wait_for(lambda: self._to_move or self._over or self._nudged, timeout_s)
            self._nudged = False
            return self._to_move

    def moving(self) -> Batch | None:
        """The oldest that is to be kept elsewhere; it does not go before `moved` says what became of it."""
        with self._changed:
            if not self._to_move:
                return None
            if self._held is not None and not self._safe:
                return self._held.batch
            self._moving = True
            return self._waiting[0].batch

    def moved(self, *, kept: bool) -> None:
        """What was moving is kept elsewhere now, or could not be."""
        with self._changed:
            moving, self._moving = self._moving, False
            if kept:
                self.kept = True
                if moving:
                    self._forget(self._waiting.popleft())
                else:
                    self._safe = True
                self._changed.notify_all()

    def unsafe(self) -> bool:
        """The oldest ones that are kept elsewhere had to go; whether what is being written was among them."""
        with self._changed:
            safe, self._safe = self._safe, False
            if safe:
                self._release()
            return safe

    @property
    def closed(self) -> bool:
        """Whether nothing comes any more."""
        return self._closed

    @property
    def over(self) -> bool:
        """Whether nothing comes, nothing waits, and nothing is delivered any more."""
        with self._changed:
            return self._over

    # ----------------------------------------------------------------------------------------- under the condition

    @property
    def _over(self) -> bool:
        return self._closed and self._finished and not self._waiting

    @property
    def _to_move(self) -> bool:
        return self._spilling and (bool(self._waiting) or (self._held is not None and not self._safe))

    def _fits(self, entry: _Entry) -> bool:
        if not self._waiting:
            return True
        return self.points + entry.points <= self._max_points and self.bytes + entry.bytes <= self._max_bytes

    def _append(self, entry: _Entry) -> None:
        self._waiting.append(entry)
        self.points += entry.points
        self.bytes += entry.bytes
        self._changed.notify_all()

    def _release(self) -> None:
        if self._held is not None:
            self._forget(self._held)
            self._held = None

    def _forget(self, entry: _Entry) -> None:
        self.points -= entry.points
        self.bytes -= entry.bytes
        self._changed.notify_all()
