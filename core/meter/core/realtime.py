"""Real-time priority, where the user asks for it: of the whole process, and back.

A thread that polls alone would be a trap: another one that the kernel may preempt while it holds the interpreter's lock
would keep it waiting for longer than without. So every thread of the process gets the priority; those that are started
later inherit it (sched(7)). Those that poll go before the others: of two with one priority the second waits until the
first one has nothing to do.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from meter.core.faults import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meter.contracts.diagnostics import Diagnostic
    from meter.contracts.spans import Span

PRIORITY: Final = 50
"""Of threads that poll: above all that has none, not above the kernel's own threads that serve interrupts."""
_ROUNDS: Final = 8
"""A thread may start others while the list of threads is gone through."""

_Policy = tuple[int, int]
_ORDINARY: Final = (os.SCHED_OTHER, 0)
_POLLING: Final = (os.SCHED_FIFO, PRIORITY)
_WANTED: Final = (os.SCHED_FIFO, PRIORITY - 1)
_GIVEN: Final = (_WANTED, _POLLING)

_lock = threading.Lock()
_runs = 0
_before: dict[int, _Policy] = {}
"""What threads had, by their number, while a run has asked for more."""


def enter() -> None:
    """Give every thread of the process real-time priority, until as many `leave` as `enter`.

    Raises: OSError, the system does not permit it; then nothing has changed.
    """
    global _runs  # noqa: PLW0603  (the process has one priority)
    with _lock:
        if not _runs:
            _raise_all()
        _runs += 1


def leave() -> None:
    """Give every thread what it had, and those that were started meanwhile what the caller of `enter` had."""
    global _runs  # noqa: PLW0603  (as above)
    with _lock:
        _runs -= 1
        if not _runs:
            _restore()


def go_first() -> None:
    """Let the calling thread go before the others, where `enter` has given them real-time priority."""
    if _runs and _policy(0) == _WANTED:
        _set(0, _POLLING)


def refused(error: OSError, spans: tuple[Span, ...] = ()) -> Diagnostic:
    """Why `enter` was refused and what mends it; `spans` say where it was asked for."""
    from meter.contracts.diagnostics import Diagnostic  # the contract language: only a fault needs it

    facts = {"why": refusal(error), "priority": str(PRIORITY), "interpreter": os.path.realpath(sys.executable)}
    return Diagnostic(code="E-HOST", variant="realtime", facts=facts, spans=spans)


def _raise_all() -> None:
    own = threading.get_native_id()
    _before[own] = _policy(own) or _ORDINARY
    try:
        _set(own, _POLLING)
        _set(own, _WANTED)
    except OSError:
        _before.clear()
        raise
    for thread, policy in _others(lambda policy: policy not in _GIVEN):
        _before[thread] = policy
        with suppress(ProcessLookupError):  # it has ended
            _set(thread, _WANTED)


def _restore() -> None:
    usual = next(iter(_before.values()))
    if usual not in _GIVEN:
        for thread, _ in _others(lambda policy: policy in _GIVEN):
            # It has ended, or had a policy that this call cannot give.
            with suppress(OSError):
                _set(thread, _before.get(thread, usual))
    _before.clear()


def _others(wanted: Callable[[_Policy], bool]) -> Iterator[tuple[int, _Policy]]:
    """Threads of the process whose policy is such; again until there is none, as each may start others meanwhile."""
    for _ in range(_ROUNDS):
        found = [
            (thread, policy)
            for thread in sorted(map(int, os.listdir("/proc/self/task")))
            if (policy := _policy(thread)) is not None and wanted(policy)
        ]
        if not found:
            return
        yield from found


def _policy(thread: int) -> _Policy | None:
    """What a thread has; None of one that has ended."""
    with suppress(ProcessLookupError):
        return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
    return None


def _set(thread: int, policy: _Policy) -> None:
    os.sched_setscheduler(thread, policy[0], os.sched_param(policy[1]))
