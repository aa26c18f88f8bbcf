"""Isolation: a chain in a process of its own, so that nothing of it holds the GIL of the process that polls.

`IsolatedChain` has the face of `meter.core.chain.Chain`. It starts `meter.core.isolated` with a socket that only these
two have, hands polled rows over, and says what comes back: faults, what was done, that nobody takes anything any more.
Imports no numpy; neither does this process for as long as its sources do not.

So many hand-overs are on their way at one time as may wait for a chain, some of them here. What the child says of a
hand-over lets the next one go, so the socket is never where rows wait, and a word to the child is heard at once.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.chain import Told
from meter.core.faults import described, refusal
from meter.core.link import Link, RowsOut
from meter.core.phases import GRACE_S, START_S, left_s
from meter.core.pipeline import PIPELINE, RAW_LIMIT

if TYPE_CHECKING:
    from meter.core.batch import Block
    from meter.core.blame import Blame
    from meter.core.elements import FilterElement, OutputElement
    from meter.core.faults import Faults
    from meter.core.plugin import Control
    from meter.core.polling import Raw
    from meter.core.state import State

ON_THE_WAY: Final = RAW_LIMIT * 3 // 4
"""How many hand-overs the child has at most that are not through; the others of the limit wait here."""
TOLD_S: Final = 1.0
"""How often each process says how it goes."""
DEAF: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal or a service manager sends to both: this process decides what becomes of the run."""
EXIT_S: Final = 2.0
"""How long the child may take to exit once it has done all, and before it is ended."""
# The child finds modules where this process does, and not where it happens to be started.
_BOOT: Final = "import sys; sys.path[:] = sys.argv[2:]; from meter.core.isolated import main; main(int(sys.argv[1]))"


class Setup(NamedTuple):
    """What the child needs to make its chain; as for the engine, paths as texts."""

    plan: dict[str, Any]
    contracts: dict[str, str]
    folder: str
    sysroot: str | None
    on_breach: str | None


class Whether(NamedTuple):
    """Whether an output of the child could be started, and whether anything is delivered or kept there."""

    live: bool
    wanted: bool


class IsolatedChain:
    """The chain of another process.

    Args: as for `Chain`; `trigger` polls the source of a label soon, `state` is that of the engine.
    """

    def __init__(
        self,
        setup: Setup,
        faults: Faults,
        blame: Blame,
        *,
        leave_out: Callable[[str], None],
        ended: threading.Event,
        gone: Callable[[], None],
        trigger: Callable[[str], None],
        state: Callable[[], State],
    ) -> None:
        self.filters: list[FilterElement] = []
        self.outputs: list[OutputElement] = []
        self.raw: queue.Queue[Raw | None] = queue.Queue(RAW_LIMIT - ON_THE_WAY)
        """What was polled and waits here; None at the end."""
        self.pid: int | None = None
        """The child, until it was waited for."""
        self._setup = setup
        self._faults = faults
        self._state = state
        self._ended = ended
        self._gone = gone
        self._told = Told(0, 0, {}, 0, (), (), {})
        self._told_ns = 0
        self._give_up_ns = 0
        self._live = False
        self._wanted = True
        self._dead = False
        """Whether the child has gone before it had done all."""
        self._over = False
        """Whether it has done all."""
        self._answers: dict[str, Any] = {}
        self._taken = 0
        """Hand-overs that went to the child."""
        self._through = 0
        """Those of them that are through."""
        self._polled_rows = 0
        self._safe_rows = 0
        """Rows of which nothing waits for an output any more."""
        self._finishing = False
        self._changed = threading.Condition()
        self._reaping = threading.Lock()
        self._link: Link | None = None
        self._reader = threading.Thread(target=self._listen, name="meter-link", daemon=True)
        self._sender = threading.Thread(target=self._send, name="meter-hand-over", daemon=True)
        self._takes: dict[str, Callable[..., None]] = {
            "answer": self._answered,
            "fault": partial(faults.relay, failed=False),
            "failure": partial(faults.relay, failed=True),
            "told": self._tells,
            "through": self._is_through,
            "leave out": leave_out,
            "trigger": trigger,
            "halt": blame.end,
            "broken": ended.set,
        }

    # ------------------------------------------------------------------------------------------------------- start

    def start(self, anchor: tuple[int, int]) -> None:
        """Start the child; it makes and starts its plugins."""
        ours, theirs = socket.socketpair()
        with theirs:
            end = theirs.fileno()
            words = [sys.executable, "-c", _BOOT, str(end), *map(str, sys.path)]
            # The same number twice: this descriptor alone is kept open in the child.
            keep = [(os.POSIX_SPAWN_DUP2, end, end)]
            try:
                self.pid = os.posix_spawn(sys.executable, words, os.environ, file_actions=keep, setsigmask=DEAF)
            except OSError as error:
                ours.close()
                self._dead = True
                self._faults.fail("E-IO", PIPELINE, variant="chain-start", why=refusal(error))
                return
        self._link = Link(ours)
        self._reader.start()
        self._link.send("setup", *self._setup)
        self._ask("start", anchor)

    def prepare(self) -> None:
        """All plugins have started."""
        self._ask("prepare")

    @property
    def live(self) -> bool:
        """Whether an output could be started."""
        return self._live and not self._dead

    def open(self) -> None:
        """Let the outputs work."""
        self._ask("open")

    def run(self) -> None:
        """Send what is handed over, from now on."""
        self._say("run")
        self._sender.start()

    def steer(self, control: Control) -> None:
        """Let the plugins steer; what they say comes here."""
        del control  # what the child has speaks with this object
        self._say_state()
        self._ask("steer")

    def _ask(self, word: str, *values: Any) -> None:
        """Let the child do something and wait until it has; a signal that interrupts is handed on."""
        self._answers.pop(word, None)
        self._say(word, *values)
        plugins = len(self._setup.plan["plugins"])
        self._answer(word, START_S * plugins + EXIT_S)

    def _answer(self, word: str, seconds: float) -> Any:
        """What the child answers; None where it does not, in time."""
        end = time.monotonic() + seconds
        while True:
            try:
                with self._changed:
                    self._changed.wait_for(lambda: word in self._answers or self._dead, end - time.monotonic())
                return self._answers.get(word)
            except InterruptedError:
                self._say("interrupt")

    def _say(self, word: str, *values: Any) -> None:
        if self._link is not None:
            self._link.send(word, *values)

    def _say_state(self) -> None:
        self._told_ns = time.monotonic_ns()
        state = self._state()
        self._say("state", state.sources, dict(state.faults), dict(state.violations))

    # --------------------------------------------------------------------------------------------------- operation

    def hand_over(self, raw: Raw) -> None:
        """Queue polled rows; waits where much waits already."""
        self.raw.put(raw)

    def through(self, handed: int) -> bool:
        """Whether the child has so many hand-overs behind it."""
        return self._through >= handed or self._dead

    @property
    def wanted(self) -> bool:
        """Whether what is polled is delivered or kept by somebody, as was last said."""
        return self._wanted and not self._dead

    def look(self) -> None:
        """See whether the child still runs; who does not come back there is named there."""
        if self._reap(0):
            self._lost()

    def told(self) -> Told:
        """What the child last said, and what was lost with it."""
        waiting = len(self.raw.queue) + self._taken - self._through
        lost = self._polled_rows - self._safe_rows if self._dead else 0
        return self._told._replace(waiting=waiting, lost=lost)

    def blocks(self, raw: Raw) -> list[Block]:
        """Nothing: they are made in another process.

        Raises: RuntimeError, always.
        """
        raise RuntimeError(f"the blocks of {len(raw.rows)} sources are made in another process: run without `isolate`")

    def kill(self) -> None:
        """End the child at once; may be called by a signal's handler."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _send(self) -> None:
        """The thread that hands over: as much as the child may have."""
        try:
            self._send_all()
        except BaseException as error:  # noqa: BLE001  (such as memory that cannot be had)
            self._faults.fail("E-IO", PIPELINE, variant="pipeline", why=described(error))
            self._give_up_child()
            self._ended.set()
            self._send_all()

    def _send_all(self) -> None:
        out = RowsOut(self._say)
        while (raw := self.raw.get()) is not None:
            self._polled_rows += sum([len(rows) for _, rows in raw.rows])
            with self._changed:
                self._changed.wait_for(lambda: self._dead or self._taken - self._through < ON_THE_WAY)
            self._taken += 1
            if self._dead:
                continue  # who polls must not wait for somebody who has gone
            out.send(raw)
            if time.monotonic_ns() - self._told_ns >= TOLD_S * 1e9:
                self._say_state()
        self._finish()

    # ----------------------------------------------------------------------------------------- what the child says

    def _listen(self) -> None:
        """The thread that hears the child, until that has gone."""
        assert self._link is not None
        while (message := self._link.receive()) is not None:
            self._takes[message[0]](*message[1:])
        if self._over:
            return
        if not self._reap(EXIT_S):
            self.kill()
            self._reap(EXIT_S)
        self._lost()

    def _answered(self, word: str, value: Any, state: Whether) -> None:
        self._know(state)
        with self._changed:
            self._over = self._over or word == "stop"
            self._answers[word] = value
            self._changed.notify_all()

    def _tells(self, told: Told, state: Whether) -> None:
        self._told = told
        self._know(state)

    def _know(self, state: Whether) -> None:
        wanted, self._wanted, self._live = self._wanted, state.wanted, state.live
        if wanted and not state.wanted:
            self._gone()

    def _is_through(self, handed: int, safe_rows: int, state: Whether) -> None:
        self._know(state)
        with self._changed:
            self._through, self._safe_rows = handed, safe_rows
            self._changed.notify_all()

    def _lost(self) -> None:
        """The child has gone before its time: name it, and end the run."""
        if self._over or not self._give_up_child():
            return
        status = self._status
        if status is None:
            self._faults.fail("E-IO", PIPELINE, variant="chain-gone")
        elif status < 0:
            self._faults.fail("E-IO", PIPELINE, variant="chain-killed", signal=_signal(-status))
        else:
            self._faults.fail("E-IO", PIPELINE, variant="chain-exit", status=str(status))
        self._gone()
        self._ended.set()

    # --------------------------------------------------------------------------------------------------------- end

    def give_up_at(self, begin_ns: int, deadline_ns: int) -> None:
        """The run ends: what is not delivered by its deadline is lost, where nobody keeps it."""
        self._give_up_ns = deadline_ns
        self._say("give up", begin_ns, deadline_ns)

    def leave(self, raw: Raw) -> None:
        """Queue polled rows where there is room in time."""
        self._put(raw)

    def finish(self) -> Collection[str]:
        """Nothing follows: wait until the child has delivered what it has; who is left behind there."""
        if self._link is None:  # it was never started
            return ()
        if self._sender.ident is None or not self._put(None):
            self._finish()
        found = self._answer("finish", self._budget_s())
        if found is None:
            self._leave_behind()
        return found or ()

    def stop(self, behind: Collection[str]) -> None:
        """Let the child stop its plugins but those that were left behind, and see that it ends."""
        if self._link is not None and not self._dead:
            self._say("stop", sorted(behind))
            self._answer("stop", self._budget_s())
            if "stop" not in self._answers:
                self._leave_behind()
        if not self._reap(0 if self._dead else EXIT_S):
            self.kill()
            self._reap(EXIT_S)
        self._end_threads()
        if self._dead and (lost := self.told().lost):
            self._faults.fail("E-IO", PIPELINE, variant="chain-lost", rows=str(lost))

    def _leave_behind(self) -> None:
        """The child does not answer: what it has is lost."""
        if self._give_up_child():
            self._faults.fail("E-IO", PIPELINE, variant="left-behind")

    def _give_up_child(self) -> bool:
        """Expect nothing of it any more; whether something was until now."""
        with self._changed:
            before, self._dead = self._dead, True
            self._changed.notify_all()
        return not before

    def _end_threads(self) -> None:
        if self._sender.ident is not None:
            self._put(None)
            self._sender.join(GRACE_S)
        if self._link is not None:
            self._link.close()
            if self._reader.ident is not None:
                self._reader.join(GRACE_S)
            self._link.release()
            self._link = None

    def _finish(self) -> None:
        """Say that nothing follows, once."""
        with self._changed:
            said, self._finishing = self._finishing, True
        if not said:
            self._say("finish")

    def _put(self, raw: Raw | None) -> bool:
        try:
            self.raw.put(raw, timeout=left_s(self._give_up_ns) + GRACE_S)
        except queue.Full:
            return False
        return True

    def _budget_s(self) -> float:
        """How long the child may take for its end, in seconds: each of its threads and plugins may be waited for."""
        return left_s(self._give_up_ns) + 2 * GRACE_S * (len(self._setup.plan["plugins"]) + 1) + EXIT_S

    _status: int | None = None
    """With what the child has ended, below zero by a signal; None where nobody knows."""

    def _reap(self, patience_s: float) -> bool:
        """Whether the child has ended, now or within some time; it is no zombie then."""
        end = time.monotonic() + patience_s
        with self._reaping:
            while (pid := self.pid) is not None:
                try:
                    # Not waited for before nobody can send a signal to its number any more.
                    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                    if found is not None:
                        self.pid = None
                        self._status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                        return True
                except ChildProcessError:  # somebody else has waited for it
                    self.pid = None
                    return True
                if time.monotonic() >= end:
                    return False
                time.sleep(0.002)
        return True


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one
        return str(number)
