"""The chain: what lies behind the sources, with one face. It takes polled rows and sees that they are delivered.

`Chain` has filters, outputs and who keeps for them in this process; `meter.core.isolation` has the same face for one
that runs in another process. Knows nothing of polling.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple, Protocol

from meter.core.delivery import Delivery
from meter.core.elements import FilterElement, OutputElement, RecoverElement
from meter.core.phases import GRACE_S, Phases, left_s
from meter.core.pipeline import RAW_LIMIT, Pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meter.core.assembly import Assembly
    from meter.core.batch import Block
    from meter.core.blame import Blame
    from meter.core.faults import Faults
    from meter.core.plugin import Control
    from meter.core.polling import Raw
    from meter.core.state import FilterState, OutputState, ProcessState


class Told(NamedTuple):
    """What a chain says of itself: rows and values that came, `waiting` hand-overs, its elements in their order.

    `points` are values by source; `violations` are by instance of the chain. Of a chain in another process it is up to
    a second old; then `processes` says of that one, `elsewhere` is how many breaches were counted there, and `lost` are
    the rows that it took with it.
    """

    rows: int
    gaps: int
    points: Mapping[str, int]
    waiting: int
    filters: tuple[FilterState, ...]
    outputs: tuple[OutputState, ...]
    violations: Mapping[str, int]
    processes: tuple[ProcessState, ...] = ()
    elsewhere: int = 0
    lost: int = 0


class Face(Protocol):
    """What an engine asks of its chain, in the order of a run."""

    @property
    def filters(self) -> list[FilterElement]:
        """The filters that are in this process, in the order of the chain."""

    @property
    def outputs(self) -> list[OutputElement]:
        """The outputs that are in this process."""

    def start(self, anchor: tuple[int, int]) -> None:
        """Make and start every plugin, outputs first; `anchor` is that of the sources."""

    def prepare(self) -> None:
        """All plugins have started, the sources included."""

    @property
    def live(self) -> bool:
        """Whether an output could be started."""

    def open(self) -> None:
        """Let the outputs work."""

    def run(self) -> None:
        """Take what is handed over, from now on."""

    def steer(self, control: Control) -> None:
        """The pipeline runs."""

    def hand_over(self, raw: Raw) -> None:
        """Take polled rows; waits where much waits already."""

    def through(self, handed: int) -> bool:
        """Whether so many hand-overs are dealt with."""

    @property
    def wanted(self) -> bool:
        """Whether what is polled is delivered or kept by somebody."""

    def look(self) -> None:
        """Name who does not come back."""

    def told(self) -> Told:
        """What it has done so far."""

    def give_up_at(self, begin_ns: int, deadline_ns: int) -> None:
        """The run ends: what is not delivered by its deadline is lost, where nobody keeps it."""

    def leave(self, raw: Raw) -> None:
        """Take polled rows while the run ends; where the chain hangs, not for ever."""

    def finish(self) -> Collection[str]:
        """Nothing follows: deliver what is there, within the deadline; who is left behind."""

    def stop(self, behind: Collection[str]) -> None:
        """Stop the plugins but those that were left behind."""

    def kill(self) -> None:
        """End at once what runs in another process; may be called by a signal's handler."""

    def blocks(self, raw: Raw) -> list[Block]:
        """What the chain makes of polled rows.

        Raises: RuntimeError, it is not in this process.
        """


class Chain:
    """A chain in this process.

    Args: `leave_out` is called with the label of a source whose rows cannot be used; `stopping` is set when the run
        ends; `ended` is set here when the chain cannot go on; `gone` is called when an output takes nothing any more,
        `through` when one more hand-over is; `after_polls` as that of Pipeline.
    """

    def __init__(
        self,
        assembly: Assembly,
        faults: Faults,
        blame: Blame,
        *,
        leave_out: Callable[[str], None],
        stopping: threading.Event,
        ended: threading.Event,
        gone: Callable[[], None],
        through: Callable[[], None] = lambda: None,
        after_polls: Callable[[float], float] = lambda _: 0.0,
    ) -> None:
        self._assembly = assembly
        self._faults = faults
        self._blame = blame
        self._give_up_ns = 0
        self._keepers: dict[str, RecoverElement] = {}
        self._phases = Phases(faults, self._quarantine)
        self.delivery = Delivery(faults, stopping, gone, lambda: 2 * self.pipeline.raw.qsize() > RAW_LIMIT)
        self.pipeline = Pipeline(self.delivery, faults, leave_out, ended, through, after_polls)
        self._thread = threading.Thread(target=self.pipeline.loop, name="meter-pipeline", daemon=True)

    @property
    def filters(self) -> list[FilterElement]:
        """The filters, in the order of the chain."""
        return self.pipeline.filters

    @property
    def outputs(self) -> list[OutputElement]:
        """The outputs."""
        return self.delivery.outputs

    # ------------------------------------------------------------------------------------------------------- start

    def start(self, anchor: tuple[int, int]) -> None:
        """Make and start every plugin, outputs first."""
        for element, context, made in self._assembly.chain(anchor):
            self._blame.watch(element)
            if isinstance(element, FilterElement):
                self.filters.insert(0, element)
                element.live = made and self._phases.start(element.label, element.filter, context)
            elif isinstance(element, RecoverElement):
                self._keepers.setdefault(element.output, element)
                element.live = made and self._phases.start(element.label, element.recover, context)
            else:
                self.outputs.insert(0, element)
                element.live = made and self._phases.start(element.label, element.output, context)
                element.started = element.live
                element.keeper = self._keepers.get(element.label)

    def prepare(self) -> None:
        """All plugins have started, the sources included."""
        self._phases.prepare()

    @property
    def live(self) -> bool:
        """Whether an output could be started."""
        return any(output.live for output in self.outputs)

    def open(self) -> None:
        """Start the threads of outputs."""
        self.delivery.go()

    def run(self) -> None:
        """Start the thread of the pipeline."""
        self._thread.start()

    def steer(self, control: Control) -> None:
        """Give the plugins what steers the pipeline."""
        self._phases.steer(control)

    def _quarantine(self, label: str) -> None:
        for element in self._elements():
            if element.label == label:
                element.live = False

    def _elements(self) -> list[FilterElement | OutputElement | RecoverElement]:
        return [*self.filters, *self.outputs, *self._keepers.values()]

    # --------------------------------------------------------------------------------------------------- operation

    def hand_over(self, raw: Raw) -> None:
        """Queue polled rows; waits where much waits already."""
        self.pipeline.raw.put(raw)

    def through(self, handed: int) -> bool:
        """Whether so many hand-overs are delivered."""
        return self.pipeline.handled >= handed and self.drained

    @property
    def drained(self) -> bool:
        """Whether nothing waits for an output."""
        return not any(len(output.queue) for output in self.outputs)

    @property
    def wanted(self) -> bool:
        """Whether what is polled is delivered or kept by somebody."""
        return self.delivery.wanted

    def look(self) -> None:
        """Name a filter that does not come back."""
        self.pipeline.look()

    def told(self) -> Told:
        """What it has done so far; takes no lock."""
        return Told(
            self.pipeline.rows,
            self.pipeline.gaps,
            self.pipeline.points,
            len(self.pipeline.raw.queue),
            tuple([filter_.state() for filter_ in self.filters]),
            tuple([output.state() for output in self.outputs]),
            {element.label: element.violations for element in self._elements()},
        )

    def blocks(self, raw: Raw) -> list[Block]:
        """What the chain makes of polled rows."""
        return self.pipeline.blocks(raw)

    # --------------------------------------------------------------------------------------------------------- end

    def give_up_at(self, begin_ns: int, deadline_ns: int) -> None:
        """The run ends: what is not delivered by its deadline is lost, where nobody keeps it."""
        self._give_up_ns = deadline_ns
        self.delivery.give_up_at(begin_ns, deadline_ns)

    def leave(self, raw: Raw) -> None:
        """Queue polled rows where there is room in time."""
        self._put(raw)

    def finish(self) -> set[str]:
        """Nothing follows: deliver what is there, within the deadline; who is left behind."""
        self._put(None)
        threads = (self._thread, *self.delivery.threads)
        behind = {self._left_behind(thread) for thread in threads if not self._join(thread)}
        self.delivery.left_over()
        return behind

    def stop(self, behind: Collection[str]) -> None:
        """Stop the plugins but those that were left behind."""
        self._phases.stop(behind, self._give_up_ns)

    def kill(self) -> None:
        """Nothing of it is elsewhere."""

    def _put(self, raw: Raw | None) -> None:
        """Tell the pipeline what came last, or that nothing follows; where it hangs, nobody waits for ever."""
        if self._thread.ident is not None:
            with contextlib.suppress(queue.Full):
                self.pipeline.raw.put(raw, timeout=left_s(self._give_up_ns) + GRACE_S)

    def _join(self, thread: threading.Thread) -> bool:
        """Whether a thread ended in time."""
        if thread.ident is not None:  # it was started
            thread.join(left_s(self._give_up_ns) + GRACE_S)
        return not thread.is_alive()

    def _left_behind(self, thread: threading.Thread) -> str:
        """Name who did not end."""
        name = thread.name.removeprefix("meter-")
        if thread is self._thread and (busy := self.pipeline.busy) is not None:
            name = busy[0]
        self._faults.fail("E-IO", name, variant="left-behind")
        return name
