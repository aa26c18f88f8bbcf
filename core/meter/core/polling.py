"""Polling: a thread with a list of absolute deadlines, which polls the sources that it has.

`pollers` says which these are. Imports no numpy: what is polled goes as rows to whoever builds blocks of them.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core import realtime
from meter.core.breach import ContractBreach
from meter.core.faults import described
from meter.core.plugin import Gone, Retry
from meter.core.rows import Rows
from meter.core.silence import INTERVALS
from meter.core.state import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.core.elements import SourceElement
    from meter.core.pollers import Pollers
    from meter.core.rows import Row
    from meter.core.silence import Silence

HAND_OVER_NS: Final = 250_000_000
"""Rows wait at most this long for others of fast sources before they go to the pipeline together.

Each batch wakes the chain and every output, which costs as much as the polls of some sources."""
MANY: Final = 64
SOON_NS: Final = 100_000_000
"""Where there are many rows already, they wait less: a large block would keep the GIL from a fast poll for too long."""
SLOW_POLLS: Final = 3
"""After so many slow polls in a row a source gets a thread of its own: one may be slow because of others."""
FAST_NS: Final = 100_000_000
"""Where nothing is polled so often, the kernel may join wake-ups within 50 us, as it does by default."""
_SLACK_NS: Final = 1_000
NEAR_NS: Final = 200_000
"""About so long the chain works in one go: it begins nothing where something is due sooner."""
STUCK_NS: Final = 50_000_000
"""So long a poll takes at least before others go on without it; on a busy machine any may take 20 ms."""
NEVER: Final = 1 << 62
"""A time that does not come."""


class Raw(NamedTuple):
    """What a poller hands over: rows by source, those of each in the order of its polls, and the clock anchor.

    No row that is older than `watermark` follows, in monotonic nanoseconds; where it is None, the newest row says so.
    """

    rows: Sequence[tuple[str, Sequence[Row]]]
    anchor: tuple[int, int]
    watermark: int | None = None


def newest(rows: Iterable[tuple[str, Sequence[Row]]]) -> int | None:
    """When the last of some rows ends; those of a source are in the order of time. None where there is none."""
    ends = [polled.newest if isinstance(polled, Rows) else polled[-1].ts for _, polled in rows if polled]
    return max(ends, default=None)


class Poller:
    """Polls the sources whose deadlines it has, in a thread."""

    def __init__(self, pollers: Pollers) -> None:
        self.wake = threading.Event()
        self.asked = False
        """Whether a source is to be polled beside its schedule."""
        self.busy: tuple[SourceElement, int] | None = None
        """Which source is being polled, since when."""
        self.floor = 0
        """None of its rows that are not handed over yet is older, nor will any be."""
        self.thread: threading.Thread | None = None
        self.heir: Poller | None = None
        """Who has got what waited here for the poll that lasts."""
        self._turn = NEVER
        """When the tick is due that it sleeps until, or is busy with."""
        self._awaited = False
        """Whether somebody waits until that is over."""
        self._over = threading.Event()
        self._closed = False
        self._pollers = pollers
        self._sources = pollers.sources
        self._clock = pollers.clock
        self._waiting: list[tuple[int, int]] = []
        """The next deadline and the place of each source, sorted: most often many are due at once, and all go back."""
        self._due: list[tuple[int, int]] = []
        """What this tick has still to poll, the latest first; only ever popped from while it polls."""
        self._again: list[tuple[int, int]] = []
        """What this tick has polled, with the next deadlines."""
        self._rows: defaultdict[str, Rows] = defaultdict(Rows)
        """What was polled and is not handed over, by source."""
        self._polled = 0
        """How many polls that were, at most."""
        self._lock = threading.Lock()
        """Held by whoever changes deadlines or takes rows: another poller may get them while a source hangs here."""
        self._handed = 0

    # --------------------------------------------------------------------------------------------------- deadlines

    def give(self, entries: Iterable[tuple[int, int]]) -> None:
        """Let it poll more sources: the next deadline and the place of each."""
        with self._lock:
            self._waiting += entries
            self._waiting.sort()

    def adopt(self, entry: tuple[int, int]) -> bool:
        """Let it poll a source from its next deadline on; whether it does not end just now."""
        with self._lock:
            if self._closed:
                return False
            self.floor = min(self.floor, entry[0])
            insort(self._waiting, entry)
        self.wake.set()
        return True

    def _close(self) -> bool:
        """Whether there is nothing left to poll, and nothing comes any more."""
        with self._lock:
            self._closed = not self._waiting
            return self._closed

    def leave(self, wanted: Callable[[SourceElement], bool] = lambda _: True) -> list[tuple[int, int]]:
        """Take sources that wait here away from it, and give them back: next deadline and place."""
        with self._lock:
            # Each entry is popped once, by whoever comes first: this tick goes on with what is left.
            for entries in (self._due, self._again):
                while entries:
                    with suppress(IndexError):
                        self._waiting.append(entries.pop())
            taken: list[tuple[int, int]] = []
            kept: list[tuple[int, int]] = []
            for entry in self._waiting:
                (taken if wanted(self._sources[entry[1]]) else kept).append(entry)
            self._waiting[:] = sorted(kept)
        return taken

    def waiting(self) -> list[SourceElement]:
        """Its live sources, without one that is being polled."""
        with self._lock:
            entries = (*self._waiting, *self._due, *self._again)
            return [source for _, place in entries if (source := self._sources[place]).live]

    def begin_at(self, origin: int) -> None:
        """Count the deadlines of sources that were not polled yet from an instant on."""
        with self._lock:
            self._waiting[:] = sorted([(origin, place) for _, place in self._waiting])
        self.floor = origin

    def skip_to(self, now: int) -> None:
        """Go on with the first deadlines after `now`; those before it are not missed, as nobody was to meet them."""
        with self._lock:
            for at, (deadline, place) in enumerate(self._waiting):
                interval = self._sources[place].interval_ns
                self._waiting[at] = deadline + max(0, -((deadline - now) // interval)) * interval, place
            self._waiting.sort()

    def _take(self) -> tuple[int, int] | None:
        """Take the source that would be next."""
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None

    def upcoming(self) -> int | None:
        """The next deadline, or None where no source is left."""
        with self._lock:
            return self._waiting[0][0] if self._waiting else None

    # ----------------------------------------------------------------------------------------------------- polling

    def tick(self, now: int, *, scheduled: bool = True) -> int | None:
        """Poll what is due at `now`; the next deadline, or None where no source is left.

        A late source is polled once; the ticks that passed are counted and their span falls into this poll's row. A
        first poll is not `scheduled`: it has no deadline that it could be late for.
        """
        if self.asked:
            self._poll_asked(now)
        waiting, due, again = self._waiting, self._due, self._again
        with self._lock:
            count = bisect_left(waiting, (now + 1,))
            due += reversed(waiting[:count])
            del waiting[:count]
        self._polled += count
        time = self._clock.now()
        while due:
            try:
                deadline, place = due.pop()
            except IndexError:  # others poll it
                break
            source = self._sources[place]
            if not source.live:
                continue
            interval = source.interval_ns
            behind = now - deadline
            late = behind // interval if behind >= interval else 0
            source.missed += late
            if scheduled:
                source.lateness[place_of(time - deadline)] += 1
            begin, time = time, self.poll(source, time)
            if not source.live:
                continue
            upcoming = (deadline + (late + 1) * interval, place)
            if time - begin <= source.share_ns:
                source.slow = 0
            elif self._elsewhere(source, upcoming):
                continue
            again.append(upcoming)
        with self._lock:
            waiting += again
            again.clear()
            waiting.sort()
            return waiting[0][0] if waiting else None

    def _elsewhere(self, source: SourceElement, upcoming: tuple[int, int]) -> bool:
        """Whether a source that was slow is polled in another thread from now on."""
        source.slow += 1
        heir, self.heir = self.heir, None
        often = source.slow >= SLOW_POLLS
        if heir is not None:  # the others did not wait for it
            return not often and heir.adopt(upcoming)
        if often and self._pollers.warm.is_set() and self.waiting():
            self._pollers.part([upcoming])
            return True
        return False

    def _poll_asked(self, now: int) -> None:
        self.asked = False
        self.floor = min(self.floor, now)
        for source in self.waiting():
            if source.asked:
                source.asked = False
                self.poll(source, self._clock.now())

    def poll(self, source: SourceElement, begin: int) -> int:
        """Poll one source at a time; when it is through.

        Where several are polled in turn, that is the time of the next one: a clock is read once for each.
        """
        readings = source.readings
        self.busy = (source, begin)
        readings.begin(begin)
        try:
            source.source.poll(readings)
            if source.silence is None:
                readings.give(self._rows[source.label])
            else:
                self._listen(source, source.silence)
        except Retry:
            readings.drop()
            source.retries += 1
        except Gone:
            source.live = False
            self._last_rows(source)
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
            source.live = False
            readings.drop()
            self._pollers.faults.raised(source.label, "poll", error)
        source.polls += 1
        self.busy = None
        return self._clock.now()

    def _listen(self, source: SourceElement, silence: Silence) -> None:
        """Name what a source declares and does not give. It is not left out: what it gives is right."""
        rows = source.readings.take()
        self._rows[source.label].add(rows)
        if overdue := silence.poll(source.readings.ts, rows, source.readings.idle):
            metrics = {"metrics": ", ".join(f"`{name}`" for name in overdue), "metric": ", ".join(overdue)}
            breach = ContractBreach(source.label, "provides.metrics", "silent", **metrics, intervals=str(INTERVALS))
            self._pollers.faults.breached(source.label, breach, variant="silent")
        if silence.over:
            source.silence = None

    def _last_rows(self, source: SourceElement) -> None:
        """Take what a source gave in the poll in which it said `Gone`."""
        try:
            source.readings.give(self._rows[source.label])
        except ContractBreach as error:
            self._pollers.faults.raised(source.label, "poll", error)

    # -------------------------------------------------------------------------------- in the thread of who computes

    def go_first(self, patience_s: float) -> None:
        """Wait until it has polled what is due now or in a moment, for some time at most."""
        if self._near:
            self._over.clear()
            self._awaited = True
            if self._near:  # still
                self._over.wait(patience_s)

    @property
    def _near(self) -> bool:
        return -STUCK_NS < self._turn - self._clock.now() < NEAR_NS

    # ------------------------------------------------------------------------------------------------------ thread

    def loop(self) -> None:
        """The thread: poll until the run ends, then once more; sooner, where no source is left."""
        try:
            realtime.go_first()
            _exact_wake_ups(self._pollers.shortest_ns())
            self._run()
            self._next_turn(None)
        except BaseException as error:  # noqa: BLE001  (as of a clock or a thread that cannot be had)
            self._pollers.faults.fail("E-IO", "poll", variant="polling", why=described(error))
        finally:
            self.hand_over(self._clock.now())
            self._pollers.left(self)

    def taken(self) -> list[tuple[str, Rows]]:
        """The rows that were polled since the last call, by source."""
        with self._lock:
            self._polled = 0
            found = [(label, polled.take()) for label, polled in list(self._rows.items())]
        return [(label, rows) for label, rows in found if rows]

    def keep(self, polled: Iterable[tuple[str, Rows]]) -> None:
        """Hand over what another one has polled."""
        self._rows.update(polled)

    def _run(self) -> None:
        pollers = self._pollers
        if not pollers.begun.is_set() and not pollers.stopping.is_set():
            now = self._clock.now()
            self.begin_at(pollers.origin_at(now))
            self.tick(now, scheduled=False)
            pollers.polled()
        pollers.going.wait()
        self.hand_over(self._clock.now())
        pollers.warm.wait()
        while pollers.wanted() and not pollers.stopping.is_set():
            # Whether anybody still takes what is polled is asked as often as it is handed over.
            if self._round(self.upcoming()) is None and self._close():
                return
        if not pollers.stopping.is_set():
            pollers.ended.set()
            pollers.stopping.wait()
        self._last_polls()

    def _round(self, upcoming: int | None) -> int | None:
        """Poll until what was polled is handed over, or somebody wakes this thread; the next deadline."""
        clock, stopping, wake = self._clock, self._pollers.stopping, self.wake
        while upcoming is not None:
            self._next_turn(upcoming)
            clock.sleep_until(upcoming, wake)
            if stopping.is_set():
                return None
            woken = wake.is_set()
            if woken:
                wake.clear()
                if not self._pollers.wanted():
                    return upcoming
            now = clock.now()
            upcoming = self.tick(now)
            patience = SOON_NS if self._polled >= MANY else HAND_OVER_NS
            if upcoming is None or upcoming - now >= patience or now - self._handed >= patience:
                self.hand_over(now)
                return upcoming
            if woken:
                return upcoming
        return None

    def _next_turn(self, upcoming: int | None) -> None:
        """A tick is over."""
        self._turn = NEVER if upcoming is None else upcoming
        if self._awaited:
            self._awaited = False
            self._over.set()

    def _last_polls(self) -> None:
        """Poll every source once more; taken one by one, as those behind one that hangs go elsewhere."""
        self.floor = min(self.floor, self._clock.now())
        while (entry := self._take()) is not None:
            if (source := self._sources[entry[1]]).live:
                self.poll(source, self._clock.now())

    def hand_over(self, now: int) -> None:
        """Give what was polled to the pipeline; waits where that is far behind."""
        self._pollers.hand_over(self)
        upcoming = self.upcoming()
        self.floor = NEVER if upcoming is None else upcoming
        self._handed = now


def _exact_wake_ups(interval_ns: int) -> None:
    """Ask the kernel to wake this thread in time, and not up to 50 us later (proc_pid_timerslack_ns(5))."""
    if interval_ns < FAST_NS:
        with suppress(OSError), open(f"/proc/{threading.get_native_id()}/timerslack_ns", "wb", buffering=0) as file:
            os.write(file.fileno(), b"%d" % _SLACK_NS)
