"""The program of an isolated chain: `meter.core.isolation` starts it and speaks with it.

It has a chain as any engine has, and does phase by phase what it is told. It does not listen to the signals that a
terminal sends to all: whoever polls says when the run ends. Where that one has gone, what is here is delivered and the
program ends.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from meter.core.assembly import Assembly
from meter.core.blame import Blame
from meter.core.chain import Chain
from meter.core.faults import Faults, described
from meter.core.isolation import DEAF, TOLD_S, Setup, Whether
from meter.core.link import Link, RowsIn
from meter.core.own import cpu_us, resident_bytes
from meter.core.phases import GRACE_S
from meter.core.pipeline import PIPELINE
from meter.core.state import ProcessState, SourceState, State
from meter.core.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from meter.core.faults import Fault
    from meter.core.polling import Raw

ORPHAN_S: Final = 5.0
"""How long what is here may take to be delivered when whoever polls has gone."""
FAILED: Final = 1


class Steering:
    """What a plugin of the chain steers the pipeline by: sources are in another process.

    `state` is at once; what it says of sources is up to a second old.
    """

    def __init__(self, child: Isolated) -> None:
        self._child = child

    def trigger(self, label: str) -> None:
        """Poll a source soon, beside its schedule.

        Raises: KeyError, there is no such source.
        """
        if label not in {source.label for source in self._child.sources}:
            raise KeyError(label)
        self._child.link.send("trigger", label)

    def state(self) -> State:
        """What each element has done and holds."""
        return self._child.state()


class Isolated:
    """The chain of this process, and what is heard and said of it."""

    def __init__(self, link: Link, setup: Setup) -> None:
        self.link = link
        self.sources: tuple[SourceState, ...] = ()
        self._known_faults: dict[str, int] = {}
        self._known_violations: dict[str, int] = {}
        self._parent = os.getppid()
        self._stopping = threading.Event()
        self._given_up = False
        self._inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._rows = RowsIn()
        self._received = 0
        self._received_rows = 0
        self._safe_rows = 0
        self._behind: set[str] = set()
        self._finished = False
        folder = setup.folder
        vault = Vault(setup.folder, os.environ)
        self.blame = Blame(setup.plan, setup.on_breach, partial(link.send, "halt"))
        self.faults = Faults(vault, self._report, self.blame)
        sysroot = setup.sysroot
        self._broken = threading.Event()
        self.chain = Chain(
            Assembly(setup.plan, setup.contracts, folder, sysroot, vault, self.faults),
            self.faults,
            self.blame,
            leave_out=partial(link.send, "leave out"),
            stopping=self._stopping,
            ended=self._broken,
            gone=self._tell,
            through=self._through,
        )
        self._does: dict[str, Callable[..., Any]] = {
            "start": self.chain.start,
            "prepare": self.chain.prepare,
            "open": self.chain.open,
            "run": self.chain.run,
            "steer": partial(self.chain.steer, Steering(self)),
            "finish": self._finish,
            "stop": self._stop,
        }
        self._hears: dict[str, Callable[..., Any]] = {
            "columns": self._rows.columns,
            "forget": self._rows.forget,
            "part": self._rows.part,
            "rows": self._take,
            "state": self._learn,
            "give up": self._give_up,
            "interrupt": self.faults.interrupt,
        }

    def serve(self) -> None:
        """Do what is said, in its order, until the end."""
        for loop, name in ((self._listen, "meter-link"), (self._pace, "meter-tell")):
            threading.Thread(target=loop, name=name, daemon=True).start()
        word = ""
        while word != "stop":
            word, *values = self._inbox.get()
            found = self._does[word](*values)
            self._tell()
            self.link.send("answer", word, found, self._whether())
        self.link.flush(GRACE_S)

    # -------------------------------------------------------------------------------------------- in the main thread

    def _finish(self) -> list[str]:
        if not self._finished:  # whoever polls may have gone after it has said so
            self._finished = True
            self._behind = self.chain.finish()
        return sorted(self._behind)

    def _stop(self, behind: Collection[str]) -> None:
        self.chain.stop(self._behind | {*behind})

    # --------------------------------------------------------------------------------------- in the thread that hears

    def _listen(self) -> None:
        while (message := self.link.receive()) is not None:
            word, *values = message
            if word in self._hears:
                self._hears[word](*values)
            else:
                self._inbox.put(message)
        self._orphaned()

    def _take(self, rows: list[tuple[Any, ...]], anchor: tuple[int, int], watermark: int | None) -> None:
        raw: Raw = self._rows.rows(rows, anchor, watermark)
        self._look_at_safe()
        self._received += 1
        self._received_rows += sum([len(polled) for _, polled in raw.rows])
        self.chain.hand_over(raw)

    def _look_at_safe(self) -> None:
        """Where nothing is under way, all that came is safe."""
        rows = self._received_rows  # before the other: what comes meanwhile is not safe
        received = self._received
        if self.chain.pipeline.handled == received and self.chain.drained:
            self._safe_rows = rows

    def _learn(self, sources: tuple[SourceState, ...], faults: dict[str, int], violations: dict[str, int]) -> None:
        self.sources, self._known_faults, self._known_violations = sources, faults, violations

    def _give_up(self, begin_ns: int, deadline_ns: int) -> None:
        self._given_up = True
        self.chain.give_up_at(begin_ns, deadline_ns)
        self._stopping.set()
        self.faults.interrupt()  # where a plugin starts still

    def _orphaned(self) -> None:
        """Nobody polls any more: deliver what is here, and end."""
        if not self._given_up:
            now = time.monotonic_ns()
            self._give_up(now, now + int(ORPHAN_S * 1e9))
        self._inbox.put(("finish",))
        self._inbox.put(("stop", ()))

    # ----------------------------------------------------------------------------------------- in whatever thread it is

    def state(self) -> State:
        """What each element has done and holds; takes no lock."""
        told = self.chain.told()
        points = told.points
        violations = {**self._known_violations, **told.violations}
        faults = {**dict.fromkeys(violations, 0), PIPELINE: 0, **self._known_faults}
        for label, count in dict(self.faults.counts).items():
            faults[label] = max(faults.get(label, 0), count)
        sources = tuple([source._replace(points=points[source.label]) for source in self.sources])
        return State(sources, told.filters, told.outputs, told.waiting, faults, violations)

    def _report(self, fault: Fault) -> None:
        self.link.send("failure" if self.faults.failed else "fault", fault)

    def _whether(self) -> Whether:
        return Whether(self.chain.live, self.chain.wanted)

    def _through(self) -> None:
        """One more hand-over is; in the thread of the pipeline."""
        self._look_at_safe()
        self.link.send("through", self.chain.pipeline.handled, self._safe_rows, self._whether())

    def _tell(self) -> None:
        told = self.chain.told()
        user_us, system_us = cpu_us()
        counts = self.blame.counts()
        told = told._replace(
            points=dict(told.points),
            violations={**told.violations, **counts},
            processes=(ProcessState(os.getpid(), user_us, system_us, resident_bytes()),),
            elsewhere=sum(counts.values()),
        )
        self.link.send("told", told, self._whether())

    def _pace(self) -> None:
        """The thread that says how it goes, and sees who does not come back."""
        broken = False
        while True:
            self._tell()
            self.chain.look()
            if not broken and self._broken.is_set():
                broken = True
                self.link.send("broken")
            if os.getppid() != self._parent and not self._given_up:
                # Its end of the socket may be open still, in a process that was forked from it.
                self._orphaned()
            time.sleep(TOLD_S)


def main(descriptor: int) -> None:
    """Serve whoever has the other end of a socket, then exit."""
    for number in DEAF:
        # Not ignored, which what a plugin starts would inherit.
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DEAF)
    if os.sched_getscheduler(0) in {os.SCHED_FIFO, os.SCHED_RR}:
        # Only who polls is to go before all else.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    end = socket.socket(fileno=descriptor)
    end.set_inheritable(False)
    link = Link(end)
    message = link.receive()
    if message is None:
        return
    child = Isolated(link, Setup(*message[1:]))
    try:
        child.serve()
    except BaseException as error:  # noqa: BLE001  (such as a thread that cannot be had: said, as no other word follows)
        child.faults.fail("E-IO", PIPELINE, variant="pipeline", why=described(error))
        link.flush(GRACE_S)
        raise SystemExit(FAILED) from None
