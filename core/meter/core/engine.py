"""The engine: runs a plan. Sources are polled, the chain makes batches of it, outputs deliver them.

Three kinds of thread, each with one job: those that poll read (`polling`, no numpy), the pipeline thread builds blocks
and runs the chain (`pipeline`), each output has a thread and a bounded queue (`delivery`). One more looks whether any
of them does not come back. All behind the sources is one `chain`. Whoever fails is named and left out; the others go
on. Never prints, never exits.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.assembly import Assembly
from meter.core.blame import Blame
from meter.core.chain import Chain, Face
from meter.core.clock import Clock, MonotonicClock
from meter.core.elements import FilterElement, OutputElement, SourceElement
from meter.core.faults import Fault, Faults
from meter.core.phases import GRACE_S, Phases
from meter.core.pipeline import PIPELINE
from meter.core.pollers import Pollers
from meter.core.state import State
from meter.core.vault import Vault

if TYPE_CHECKING:
    from os import PathLike

    from meter.core.batch import Block
    from meter.core.polling import Poller, Raw

FIRST_S: Final = 5.0
"""How long the first poll of all sources is waited for."""
SWITCH_S: Final = 0.0001
"""How long a busy pipeline may keep the interpreter's lock from a thread that polls, at each file that this reads: with
the 5 ms of Python one read delays a 1 kHz poll by five ticks. Less than this costs both of them more than it gives."""
WARM_S: Final = 1.0
"""How long the first batch is waited for, where the schedule begins behind it."""
WARM_NS: Final = 50_000_000
"""Where something is polled more often than this, the chain has its first batch before the schedule begins: what it
prepares then takes up to 40 ms, which would delay polls."""


class Tally(NamedTuple):
    """What a run did. `missed` ticks were coalesced into later polls, `lost` rows reached not every output."""

    polls: int
    missed: int
    retries: int
    rows: int
    lost: int
    gaps: int = 0
    """Values that were missing in what was polled."""
    dropped: int = 0
    """Rows that went as the option `overflow` of an output says."""
    violations: int = 0
    """How often a plugin broke its contract."""


class Engine:
    """Runs one plan.

    `start` starts the plugins, `poll_now` polls every source once, `go` starts the threads, `stop` polls a last time,
    drains the chain and closes everything. `faults` grows while it runs; `report` is called with each.

    Args: `plan` is the document of a Plan; `contracts` says for each plugin where its contract lies; `folder` is
        where relative paths of the configuration start; `on_breach` is a word of the sections [policy ...] of
        CONTRACT.ini and says what becomes of a plugin that breaks its contract; with `isolate` all that lies behind
        the sources runs in a process of its own.
    Raises: ValueError, there is no such policy.
    """

    def __init__(
        self,
        plan: dict[str, Any],
        contracts: dict[str, str],
        *,
        folder: str | PathLike[str],
        sysroot: str | PathLike[str] | None = None,
        clock: Clock | None = None,
        report: Callable[[Fault], None] = lambda _: None,
        on_breach: str | None = None,
        isolate: bool = False,
    ) -> None:
        self.plan = plan
        self.ended = threading.Event()
        """Set when nothing is left to poll, or nobody takes it."""
        vault = Vault(str(folder), os.environ)
        self._blame = Blame(plan, on_breach, self._wake)
        self._faults = Faults(vault, report, self._blame)
        self._stopping = threading.Event()
        self._assembly = Assembly(plan, contracts, folder, sysroot, vault, self._faults)
        self.chain: Face = self._isolated_chain(on_breach) if isolate else self._chain()
        """What lies behind the sources."""
        self._pollers = Pollers(
            clock or MonotonicClock(),
            self._faults,
            self.chain.hand_over,
            lambda: self.chain.wanted and not self._blame.ended,
            self._stopping,
            self.ended,
        )
        self._phases = Phases(self._faults, self._leave_out)
        self._stopped = False
        self._behind: frozenset[str] = frozenset()
        self._watched = False
        self._over = threading.Event()

    def _isolated_chain(self, on_breach: str | None) -> Face:
        from meter.core.isolation import IsolatedChain, Setup  # sockets, which an ordinary run does without

        made, sysroot = self._assembly, self._assembly.sysroot
        root = None if sysroot is None else str(sysroot)
        return IsolatedChain(
            Setup(made.plan, made.contracts, str(made.folder), root, on_breach),
            self._faults,
            self._blame,
            leave_out=self._leave_out,
            ended=self.ended,
            gone=self._wake,
            trigger=self.trigger,
            state=self.state,
        )

    def _chain(self) -> Face:
        return Chain(
            self._assembly,
            self._faults,
            self._blame,
            leave_out=self._leave_out,
            stopping=self._stopping,
            ended=self.ended,
            gone=self._wake,
            after_polls=self._after_polls,
        )

    @property
    def sources(self) -> list[SourceElement]:
        """The sources, in the order of the plan."""
        return self._pollers.sources

    @property
    def finished(self) -> frozenset[str]:
        """The sources that give nothing more: they failed, did not come back, or said that nothing follows."""
        return frozenset(source.label for source in self.sources if not source.live) | self._behind

    @property
    def filters(self) -> list[FilterElement]:
        """The filters that are in this process, in the order of the chain."""
        return self.chain.filters

    @property
    def outputs(self) -> list[OutputElement]:
        """The outputs that are in this process."""
        return self.chain.outputs

    @property
    def faults(self) -> list[Fault]:
        """What went wrong so far."""
        return self._faults.seen

    @property
    def failed(self) -> bool:
        """Whether an element was quarantined or something could not be delivered."""
        return self._faults.failed

    @property
    def halted(self) -> bool:
        """Whether a breach of contract has ended the run, as its policy says."""
        return self._blame.ended

    def raised(self, label: str, phase: str, error: BaseException) -> None:
        """Remember what went wrong in code that is called beside the engine."""
        self._faults.raised(label, phase, error)

    def _after_polls(self, patience_s: float) -> float:
        return self._pollers.go_first(patience_s)

    # ------------------------------------------------------------------------------------------------------ phases

    def start(self) -> None:
        """Load and start every plugin, outputs first. Failures are faults."""
        self.chain.start(self._pollers.anchor)
        for element in self._assembly.sources():
            self._blame.watch(element)
            self.sources.insert(0, element)
            element.live = self._phases.start(element.label, element.source, element.context)
        self.chain.prepare()
        self._phases.prepare()

    @property
    def live(self) -> bool:
        """Whether there is something to poll and somebody takes it."""
        return any(source.live for source in self.sources) and self.chain.live

    def _leave_out(self, label: str) -> None:
        for source in self.sources:
            if source.label == label:
                source.live = False

    def _wake(self) -> None:
        self._pollers.wake()

    def begin(self, patience_s: float = FIRST_S) -> None:
        """Start the threads that poll, and wait until every source was polled once, or for some time in seconds."""
        sys.setswitchinterval(SWITCH_S)
        if not self._watched:
            self._watched = True
            threading.Thread(target=self._watch, name="meter-watch", daemon=True).start()
        self._pollers.begin()
        self._pollers.begun.wait(patience_s)

    def go(self) -> None:
        """Start all threads."""
        self.chain.open()
        # Where somebody measures already, a pause would be a gap.
        fast = self._pollers.shortest_ns() < WARM_NS and not self._watched
        self.begin(WARM_S if fast else 0)
        self.chain.run()
        self._pollers.go(self._warm if fast else None)
        self.chain.steer(self)
        self._phases.steer(self)

    def _warm(self) -> None:
        """Wait until what was polled first is through the chain and delivered."""
        end = time.monotonic() + WARM_S
        while time.monotonic() < end and not self._stopping.is_set():
            handed = self._pollers.handed
            if handed and self.chain.through(handed):
                return
            time.sleep(0.001)

    def _watch(self) -> None:
        """The thread that sees who does not come back."""
        while not self._over.wait(self._pollers.pace_s):
            self._pollers.look()
            self.chain.look()

    def stop(self, deadline_s: float = 5.0) -> Tally:
        """Poll a last time, drain the chain, close everything; what cannot be delivered in time is counted, named.

        Whoever hangs in its own code is left behind, and what it holds with it; the others are closed.
        """
        if self._stopped:
            return self.tally()
        self._stopped = True
        now = time.monotonic_ns()
        give_up_ns = now + int(deadline_s * 1e9)
        self.chain.give_up_at(now, give_up_ns)
        self._stopping.set()
        self._pollers.release()
        # What was polled has the other half of the time to become safe.
        behind = {self._poller_left_behind(each) for each in self._pollers.join((now + give_up_ns) // 2, GRACE_S)}
        self._behind = frozenset(behind)
        behind.update(self.chain.finish())
        self._over.set()
        self.chain.stop(behind)
        self._phases.stop(behind, give_up_ns)
        return self.tally()

    def _poller_left_behind(self, poller: Poller) -> str:
        """Name the source that does not come back; what was polled before goes on to the outputs."""
        busy = poller.busy
        name = "poll" if busy is None else busy[0].label
        self._faults.fail("E-IO", name, variant="left-behind")
        for raw in self._pollers.left_over(poller):
            self.chain.leave(raw)
        return name

    def tally(self) -> Tally:
        """What was done so far."""
        told = self.chain.told()
        return Tally(
            polls=sum(source.polls for source in self.sources),
            missed=sum(source.missed for source in self.sources),
            retries=sum(source.retries for source in self.sources),
            rows=told.rows,
            lost=sum(output.lost for output in told.outputs) + told.lost,
            gaps=told.gaps,
            dropped=sum(output.dropped for output in told.outputs),
            violations=self._blame.violations + told.elsewhere,
        )

    def state(self) -> State:
        """What each element has done and holds at this moment; takes no lock."""
        told = self.chain.told()
        violations = dict(told.violations)
        for source in self.sources:
            violations[source.label] = violations.get(source.label, 0) + source.violations
        return State(
            tuple([source.state(told.points.get(source.label, 0)) for source in self.sources]),
            told.filters,
            told.outputs,
            told.waiting,
            {PIPELINE: 0, **dict.fromkeys(violations, 0), **self._faults.counts},
            violations,
            told.processes,
        )

    # --------------------------------------------------------------- for who takes the places of the threads, or steers

    def trigger(self, label: str) -> None:
        """Poll a source now, beside its schedule.

        Raises: KeyError, there is no such source.
        """
        self._pollers.trigger(label)

    def poll_now(self) -> None:
        """Poll every live source once, and set its schedule by it: deadlines are whole intervals after this."""
        self._pollers.poll_now()

    def tick(self, now: int) -> int | None:
        """Poll what is due at `now`; the next deadline, or None where no source is left."""
        return self._pollers.first.tick(now)

    def taken(self) -> Raw:
        """The rows that were polled since the last call."""
        return self._pollers.taken()

    def hand_over(self) -> None:
        """Give what was polled to the pipeline now."""
        self._pollers.first.hand_over(0)

    def blocks(self, raw: Raw) -> list[Block]:
        """What the chain makes of polled rows."""
        return self.chain.blocks(raw)
