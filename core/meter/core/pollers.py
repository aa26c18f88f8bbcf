"""The pollers of a run: who of them has which source, and what each may say of the others.

There is one poller, as a thread for each source would cost five times as much, until a source takes longer than the
others can wait: then they go on without each other. Imports no numpy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from meter.core.phases import HANGS_NS
from meter.core.polling import NEVER, STUCK_NS, Poller, Raw, newest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meter.core.clock import Clock
    from meter.core.elements import SourceElement
    from meter.core.faults import Faults
    from meter.core.rows import Rows

STEP_NS: Final = 100_000
"""The clocks run alike, so that a greater difference is a step of the wall clock."""
SLOW_NS: Final = 5_000_000
SELDOM_NS: Final = 500_000
SELDOM: Final = 10
"""A poll of a source that is polled so many times less often than another one disturbs that sooner."""
OVERDUE_NS: Final = 1_000_000_000
"""Filters wait no longer for the rows of a poll: one that hangs must not hold back the windows of all others."""


class Pollers:
    """All pollers of a run: who of them has which source, and what each may say of the others.

    Args: `hand_over` takes what was polled; `wanted` says whether somebody still takes anything; `stopping` is set when
        the run ends; `ended` is set here when nothing is left to poll or nobody takes it.
    """

    def __init__(
        self,
        clock: Clock,
        faults: Faults,
        hand_over: Callable[[Raw], None],
        wanted: Callable[[], bool],
        stopping: threading.Event,
        ended: threading.Event,
    ) -> None:
        self.sources: list[SourceElement] = []
        self.clock = clock
        self.faults = faults
        self.wanted = wanted
        self.stopping = stopping
        self.ended = ended
        self.going = threading.Event()
        """Set when what was polled at the start may be handed over."""
        self.warm = threading.Event()
        """Set when the schedule may go on."""
        self.begun = threading.Event()
        """Set when every source was polled once."""
        self.anchor = anchor()
        self.first = Poller(self)
        self.handed = 0
        """How many hand-overs there were."""
        self._hand_over = hand_over
        self._all: list[Poller] = []
        self._started = 0
        self._live = 0
        """How many of them have not ended."""
        self._lock = threading.Lock()
        self._polled = False
        self._origin: int | None = None

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that poll, or did."""
        with self._lock:
            return [each.thread for each in self._all if each.thread is not None]

    def shortest_ns(self, sources: Iterable[SourceElement] | None = None) -> int:
        """The shortest interval of live sources."""
        live = (each.interval_ns for each in (self.sources if sources is None else sources) if each.live)
        return min(live, default=NEVER)

    def trigger(self, label: str) -> None:
        """Poll a source soon, beside its schedule.

        Raises: KeyError, there is no such source.
        """
        known = {source.label: source for source in self.sources}
        known[label].asked = True
        with self._lock:
            for poller in (self.first, *self._all):
                poller.asked = True
                poller.wake.set()

    def wake(self) -> None:
        """Let every thread look what has changed."""
        with self._lock:
            for poller in self._all:
                poller.wake.set()

    # --------------------------------------------------------------------------------- in the thread of whoever asks

    def poll_now(self) -> None:
        """Poll every live source once, and set its schedule by it: deadlines are whole intervals after this."""
        self._schedule(self.clock.now())
        self.first.tick(self.first.floor, scheduled=False)
        self.begun.set()

    def _schedule(self, origin: int) -> None:
        self._polled = True
        self.first.leave()
        self.first.give((origin, place) for place, source in enumerate(self.sources) if source.live)
        self.first.floor = origin

    def taken(self) -> Raw:
        """The rows that were polled since the last call, where no thread polls."""
        return self._raw(self.first)

    # ------------------------------------------------------------------------------------------------------- threads

    def begin(self) -> None:
        """Start the threads; where the sources were not polled before, they are polled once. `go` lets them go on."""
        if self._all:
            return
        if not self._polled:
            self._schedule(self.clock.now())
        with self._lock:
            self._add(self.first)
        # Who may block says so in its contract.
        for entry in self.first.leave(lambda source: source.blocks):
            self.part([entry])
        self._share_out(self.first)
        with self._lock:
            self._run(self.first)

    def go(self, begin_again: Callable[[], None] | None = None) -> None:
        """Let the threads hand over and keep their schedule; `begin_again` waits until they can be met from now on."""
        for poller in self._all:
            self.hand_over(poller)
        self.going.set()
        if begin_again is not None and not self.stopping.is_set():
            begin_again()
            now = self.clock.now()
            for poller in self._all:
                poller.skip_to(now)
        self.warm.set()

    def release(self) -> None:
        """The run ends: nobody waits for anything but polls."""
        self.going.set()
        self.warm.set()
        self.wake()

    def join(self, give_up_ns: int, grace_s: float) -> list[Poller]:
        """Wait until all have ended; those that did not in time. Who hung before has a moment only."""
        behind = []
        for poller in self._all:  # which may grow meanwhile
            with self._lock:
                thread, busy = poller.thread, poller.busy
            if thread is None:  # it could not be started
                continue
            hangs = busy is not None and self.clock.now() - busy[1] > OVERDUE_NS
            thread.join(grace_s if hangs else max(0.0, (give_up_ns - time.monotonic_ns()) / 1e9) + grace_s)
            if thread.is_alive():
                behind.append(poller)
                if (busy := poller.busy) is not None:
                    source, begin = busy
                    source.missed += (self.clock.now() - begin) // source.interval_ns
        return behind

    def part(self, entries: list[tuple[int, int]], behind: Poller | None = None) -> None:
        """Let another thread poll these sources: next deadline and place of each.

        Args: behind, where a source hangs that they waited for; what was polled there goes on with them, and so does
            that source when it comes back, unless that happens again and again.
        """
        made = Poller(self)
        made.give(entries)
        made.floor = min(deadline for deadline, _ in entries)
        if behind is not None:
            made.floor = min(made.floor, behind.floor)
            made.keep(behind.taken())
            behind.heir = made
        made.asked = True  # one may have been asked for while it waited
        made.wake.set()
        self._share_out(made)
        with self._lock:  # in one go: at the end of a run each that is there is waited for
            self._add(made)
            self._run(made)

    def _add(self, poller: Poller) -> None:
        """Count it; holds the lock."""
        self._all.append(poller)
        self._live += 1

    def _run(self, poller: Poller) -> None:
        """Start its thread; holds the lock. Raises: RuntimeError, the system gives no thread."""
        self._started += 1
        name = "meter-poll" if self._started == 1 else f"meter-poll-{self._started}"
        thread = threading.Thread(target=poller.loop, name=name, daemon=True)
        thread.start()
        poller.thread = thread

    def _share_out(self, poller: Poller) -> None:
        """How long a poll of each source may take until it disturbs the others of its thread."""
        sources = poller.waiting()
        for source in sources:
            shortest = self.shortest_ns(each for each in sources if each is not source)
            least = SELDOM_NS if source.interval_ns >= SELDOM * shortest else SLOW_NS
            source.share_ns = max(least, shortest // 2)

    def origin_at(self, now: int) -> int:
        """The instant that all deadlines count from, in all threads: when the first of them polls."""
        with self._lock:
            if self._origin is None:
                self._origin = now
            return self._origin

    def polled(self) -> None:
        """A poller has polled what it has for the first time."""
        if all(source.polls or not source.live for source in self.sources):
            self.begun.set()

    def left(self, poller: Poller) -> None:
        """A poller has ended."""
        with self._lock:
            self._live -= 1
            last = not self._live
            if not self.stopping.is_set():
                self._all.remove(poller)
        if last:
            self.ended.set()

    def hand_over(self, poller: Poller) -> None:
        """Give what a poller has to the pipeline."""
        raw = self._raw(poller)
        if raw.rows:
            with self._lock:
                self.handed += 1
            self._hand_over(raw)

    def _raw(self, poller: Poller) -> Raw:
        rows = poller.taken()
        mono, wall = now = anchor()
        # Two readings differ by some nanoseconds, which would be seen in the times of what was cut at whole seconds.
        if abs(wall - mono - self.anchor[1] + self.anchor[0]) > STEP_NS:
            self.anchor = now
        return Raw(rows, self.anchor, self._watermark(poller, rows))

    def _watermark(self, poller: Poller, rows: list[tuple[str, Rows]]) -> int | None:
        """The time from which on all rows are still to come."""
        others = [each for each in self._all if each is not poller]
        last = newest(rows)
        if not others or last is None:
            return None
        return min(last, *(each.floor for each in others if not self._overdue(each)), NEVER)

    def _overdue(self, poller: Poller) -> bool:
        busy = poller.busy
        return busy is not None and self.clock.now() - busy[1] > OVERDUE_NS

    # --------------------------------------------------------------------------------------------------------- watch

    @property
    def pace_s(self) -> float:
        """How often somebody has to look for polls that do not come back, in seconds.

        Each look wakes a thread, which takes as long as the poll of some sources: every other interval will do.
        """
        several = len(self.sources) > 1
        return min(max(2 * self.shortest_ns(), STUCK_NS), OVERDUE_NS) / 1e9 if several else OVERDUE_NS / 1e9

    def look(self) -> None:
        """Let sources go on that wait behind one that is being polled for too long; name one that hangs."""
        now = self.clock.now()
        for poller in list(self._all):
            busy = poller.busy
            if busy is None:
                continue
            source, begin = busy
            if now - begin > max(STUCK_NS, self.shortest_ns(poller.waiting())) and (entries := poller.leave()):
                self.part(entries, poller)
            if now - begin >= HANGS_NS and not source.hangs:
                source.hangs = True
                self.faults.add("E-IO", source.label, variant="poll-hangs", seconds=f"{HANGS_NS / 1e9:g}")

    def go_first(self, patience_s: float) -> float:
        """Wait until is polled what is due now or in a moment, for some time at most; how much of that is left.

        Else who reads a file gets the interpreter's lock back only when a busy chain gives it away, at each file.
        """
        begin = time.monotonic()
        for poller in self._all[:]:
            poller.go_first(patience_s)
        return max(0.0, patience_s - (time.monotonic() - begin))

    def left_over(self, poller: Poller) -> Iterator[Raw]:
        """What a poller that hangs has polled and not handed over."""
        raw = self._raw(poller)
        if raw.rows:
            yield raw


def anchor() -> tuple[int, int]:
    """One instant on the monotonic and the wall clock: the tightest of three readings."""
    readings = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(3)]
    before, wall, after = min(readings, key=lambda reading: reading[2] - reading[0])
    return (before + after) // 2, wall
