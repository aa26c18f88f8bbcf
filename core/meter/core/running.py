"""A run of a backend in Python: it is begun and ended, looked at, and what it has kept is taken."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from meter.core.planned import COLLECT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from meter.core.batch import Batch
    from meter.core.engine import Engine, Tally
    from meter.core.faults import Fault
    from meter.core.keys import Key
    from meter.core.planned import Plan
    from meter.core.quantity import Missing
    from meter.core.state import State


class Reading(NamedTuple):
    """One value that was read: when, in nanoseconds since the epoch, and of which series."""

    time_ns: int
    key: Key
    value: float | Missing


class RunError(RuntimeError):
    """A run did not deliver all that it should have: `faults` say which plugin failed and why."""

    def __init__(self, text: str, faults: Sequence[Fault]) -> None:
        super().__init__(text)
        self.faults = tuple(faults)


class RunWarning(UserWarning):
    """Something went wrong in a run and was made good: nothing is lost that was not to be dropped."""


class Running:
    """A backend that runs between `with` and the end of its block, or between `start` and `stop`.

    At the end of the block the sources are polled a last time and all is delivered, whether the block ends by itself or
    by an exception. Where a plugin failed or rows were lost, RunError is raised then; an exception of the block goes on
    and has a note of it. Faults after which nothing is lost are RunWarnings. `faults` has all of them.
    """

    def __init__(self, plan: Plan, engine: Engine, *, realtime: bool = False) -> None:
        """Args: `engine`, not started; `realtime`, take real-time priority while it runs."""
        self.plan: Final = plan
        self._engine = engine
        self._realtime = realtime
        self._urgent = False
        self._entered = False
        self._goes = False

    def prepare(self) -> None:
        """Start the plugins and nothing else. What fails is a fault and left out.

        Raises: RuntimeError, it was started before; ContractError, real-time priority was asked for and is not
        permitted: then nothing was started.
        """
        if self._entered:
            raise RuntimeError(f"a run of {self.plan.mountpoint} is started once; `mounted.running()` makes another")
        if self._realtime:
            self._hurry()
        self._entered = True
        self._engine.start()

    def _hurry(self) -> None:
        """Take real-time priority until `stop`. Raises: ContractError, the system does not permit it."""
        from meter.core import realtime  # few ask for it

        try:
            realtime.enter()
        except OSError as error:
            from meter.contracts.diagnostics import ContractError  # the contract language: only a fault needs it

            raise ContractError([realtime.refused(error)]) from error
        self._urgent = True

    def start(self) -> None:
        """Start the plugins, where `prepare` has not, then the threads.

        Raises: as `prepare`.
        """
        if not self._entered or self._goes:
            self.prepare()
        self._goes = True
        self._engine.go()

    def stop(self, deadline_s: float = 5.0) -> Tally:
        """Poll a last time and deliver everything, within a deadline; what was done. A second call changes nothing."""
        try:
            return self._engine.stop(deadline_s)
        finally:
            if self._urgent:
                from meter.core import realtime  # as in _hurry

                self._urgent = False
                realtime.leave()

    def kill(self) -> None:
        """End at once what runs in another process, with whatever it has; may be called by a signal's handler."""
        self._engine.chain.kill()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is left to measure, or for a time in seconds; whether nothing is left."""
        return self._engine.ended.wait(timeout_s)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to measure: every source has ended, or nobody takes what they give."""
        return self._engine.ended.is_set()

    @property
    def halted(self) -> bool:
        """Whether a breach of contract has ended the run, as its policy says."""
        return self._engine.halted

    @property
    def failed(self) -> bool:
        """Whether a plugin was left out or something could not be delivered."""
        return self._engine.failed

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What went wrong so far."""
        return tuple(self._engine.faults)

    def tally(self) -> Tally:
        """What was done so far: polls, rows, ticks missed, rows lost."""
        return self._engine.tally()

    def state(self) -> State:
        """What each plugin has done and what waits for it at this moment; stops nobody."""
        return self._engine.state()

    def take(self) -> list[Reading]:
        """What the output `collect` has got since the last call, in the order of delivery; it is kept no longer.

        Raises: LookupError, the backend has no `collect` that keeps readings.
        """
        return [
            Reading(batch.anchor.wall(int(block.ts[row])), key, value)
            for batch in self.batches()
            for block in batch.blocks
            for row, key, value in block.points()
        ]

    def batches(self) -> list[Batch]:
        """The same as batches, as `to_arrow` takes them.

        Raises: LookupError, as `take`.
        """
        plugins = self.plan.document["plugins"]
        labels = [each["instance"] for each in plugins if each["plugin"] == COLLECT and each["config"]["keep"]]
        if not labels:
            raise LookupError(f"{self.plan.mountpoint} keeps no readings; give it the output: .add({COLLECT!r})")
        taken: list[Batch] = []
        for output in self._engine.outputs:
            if output.label in labels and output.output is not None:
                held: Any = output.output
                count = len(held.batches)
                taken += held.batches[:count]
                del held.batches[:count]  # its thread only appends
        return taken

    def __enter__(self) -> Self:
        self.prepare()
        engine = self._engine
        if not engine.live:
            self.stop()
            raise RunError(self._told("it could not be started"), self.faults)
        engine.go()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if not self.faults:
            return
        text = self._told("it did not deliver everything" if self.failed else "nothing is lost, but")
        if error is not None:
            error.add_note(text)
        elif self.failed:
            raise RunError(text, self.faults)
        else:
            warnings.warn(text, RunWarning, stacklevel=2)

    def _told(self, what: str) -> str:
        return f"{self.plan.mountpoint}: {what}: " + "; ".join(fault.message for fault in self.faults)

    def __repr__(self) -> str:
        return f"<Running {self.plan}>"
