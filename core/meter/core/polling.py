"""Polling: the schedule of the sources, and the thread that keeps it.

Deadlines are absolute, one heap has those of all sources, each poll reads the clock once. Imports no numpy: what is
polled goes as rows to whoever builds blocks of them.
"""

from __future__ import annotations

import collections
import heapq
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.breach import ContractBreach
from meter.core.plugin import Gone, Retry
from meter.core.silence import INTERVALS

if TYPE_CHECKING:
    from meter.core.clock import Clock
    from meter.core.elements import SourceElement
    from meter.core.faults import Faults
    from meter.core.readings import Row
    from meter.core.silence import Silence

HAND_OVER_NS: Final = 250_000_000
"""Rows wait at most this long for others of fast sources before they go to the pipeline together.

Each batch wakes the chain and every output, which costs as much as the polls of some sources."""
MANY: Final = 64
SOON_NS: Final = 100_000_000
"""Where there are many rows already, they wait less: a large block would keep the GIL from a fast poll for too long."""
STEP_NS: Final = 100_000
"""The clocks run alike, so that a greater difference is a step of the wall clock."""


class Raw(NamedTuple):
    """What a poll thread hands over: rows by source, in the order of their polls, and the clock anchor."""

    rows: list[tuple[str, list[Row]]]
    anchor: tuple[int, int]


class Poller:
    """Polls sources when they are due.

    Args: `hand_over` takes what was polled, and None at the end; `wanted` says whether somebody still takes anything;
        `stopping` is set when the run ends; `ended` is set here when nothing is left to poll or nobody takes it.
    """

    def __init__(
        self,
        clock: Clock,
        faults: Faults,
        hand_over: Callable[[Raw | None], None],
        wanted: Callable[[], bool],
        stopping: threading.Event,
        ended: threading.Event,
    ) -> None:
        self.sources: list[SourceElement] = []
        self.wake = threading.Event()
        self.polling = ""
        """The source that is being polled."""
        self.anchor = anchor()
        self._clock = clock
        self._faults = faults
        self._hand_over = hand_over
        self._wanted = wanted
        self._stopping = stopping
        self._ended = ended
        self._asked: collections.deque[int] = collections.deque()
        self._rows: list[tuple[str, list[Row]]] = []
        self._heap: list[tuple[int, int]] = []
        self._handed = 0
        self._polled = False

    def trigger(self, label: str) -> None:
        """Poll a source soon, beside its schedule.

        Raises: KeyError, there is no such source.
        """
        places = {source.label: place for place, source in enumerate(self.sources)}
        self._asked.append(places[label])
        self.wake.set()

    def poll_now(self) -> None:
        """Poll every live source once, and set its schedule by it: deadlines are whole intervals after this."""
        origin = self._clock.now()
        self._polled = True
        self._heap = []
        for place, source in enumerate(self.sources):
            if source.live:
                self._poll(source)
                self._heap.append((origin + source.interval_ns, place))
        heapq.heapify(self._heap)

    def tick(self, now: int) -> int | None:
        """Poll what is due at `now`; the next deadline, or None where no source is left.

        A late source is polled once; the ticks that passed are counted and their span falls into this poll's row.
        """
        while self._asked:
            asked = self.sources[self._asked.popleft()]
            if asked.live:
                self._poll(asked)
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline, place = heapq.heappop(heap)
            source = self.sources[place]
            if not source.live:
                continue
            late = (now - deadline) // source.interval_ns
            source.missed += late
            self._poll(source)
            source.late(source.readings.ts - deadline)
            if source.live:
                heapq.heappush(heap, (deadline + (late + 1) * source.interval_ns, place))
        return heap[0][0] if heap else None

    def _poll(self, source: SourceElement) -> None:
        readings = source.readings
        self.polling = source.label
        readings.begin(self._clock.now())
        rows: list[Row] = []
        try:
            source.source.poll(readings)
            rows = readings.take()
            if source.silence is not None:
                self._listen(source, source.silence, rows)
        except Retry:
            readings.drop()
            source.retries += 1
        except Gone:
            source.live = False
            rows = self._last_rows(source)
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
            source.live = False
            readings.drop()
            self._faults.raised(source.label, "poll", error)
        source.polls += 1
        self.polling = ""
        if rows:
            self._rows.append((source.label, rows))

    def _listen(self, source: SourceElement, silence: Silence, rows: list[Row]) -> None:
        """Name what a source declares and does not give. It is not left out: what it gives is right."""
        if overdue := silence.poll(source.readings.ts, rows, source.readings.idle):
            facts = {"metrics": ", ".join(f"`{name}`" for name in overdue), "intervals": str(INTERVALS)}
            breach = ContractBreach(source.label, "provides.metrics", "silent", **facts)
            self._faults.fail("E-BREACH", source.label, breach.clause, variant="silent", why=breach.detail)
        if silence.over:
            source.silence = None

    def _last_rows(self, source: SourceElement) -> list[Row]:
        """What a source gave in the poll in which it said `Gone`."""
        try:
            return source.readings.take()
        except ContractBreach as error:
            self._faults.raised(source.label, "poll", error)
            return []

    def taken(self) -> Raw:
        """The rows that were polled since the last call."""
        rows, self._rows = self._rows, []
        mono, wall = now = anchor()
        # Two readings differ by some nanoseconds, which would be seen in the times of what was cut at whole seconds.
        if abs(wall - mono - self.anchor[1] + self.anchor[0]) > STEP_NS:
            self.anchor = now
        return Raw(rows, self.anchor)

    def hand_over(self, now: int) -> None:
        """Give what was polled to the pipeline; waits where that is far behind."""
        if self._rows:
            self._hand_over(self.taken())
        self._handed = now

    def loop(self) -> None:
        """The thread: poll until `stopping` is set, then once more, and say that this was the end."""
        if not self._polled:
            self.poll_now()
        try:
            self.hand_over(self._clock.now())
            while not self._stopping.is_set():
                deadline = self._heap[0][0] if self._heap else None
                if deadline is None or not self._wanted():
                    self._ended.set()
                    self._stopping.wait()
                    break
                self._clock.sleep_until(deadline, self.wake)
                self.wake.clear()
                if self._stopping.is_set():
                    break
                now = self._clock.now()
                upcoming = self.tick(now)
                patience = SOON_NS if len(self._rows) >= MANY else HAND_OVER_NS
                if upcoming is None or upcoming - now >= patience or now - self._handed >= patience:
                    self.hand_over(now)
            for source in self.sources:
                if source.live:
                    self._poll(source)
            self.hand_over(self._clock.now())
        finally:
            self._hand_over(None)


def anchor() -> tuple[int, int]:
    """One instant on the monotonic and the wall clock: the tightest of three readings."""
    readings = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(3)]
    before, wall, after = min(readings, key=lambda reading: reading[2] - reading[0])
    return (before + after) // 2, wall
