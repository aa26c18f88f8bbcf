"""Phases: the plugins of one process are started, told that all is ready, given control, and stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from meter.core.faults import Faults
    from meter.core.plugin import Control

GRACE_S: Final = 0.5
"""How long beyond the deadline of a stop a thread may take to see it."""
HANGS_NS: Final = 10_000_000_000
"""How long a poll, a filter or a write may take until its plugin is said to hang."""
START_S: Final = 30.0
"""How long a plugin may take to start: another machine may have to answer."""


def left_s(deadline_ns: int) -> float:
    """How long it is until a monotonic time, in seconds; 0 behind it."""
    return max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9)


class Phases:
    """Calls the phases of plugins; who fails in one is a fault. `leave_out` is called with the label of who does."""

    def __init__(self, faults: Faults, leave_out: Callable[[str], None]) -> None:
        self._faults = faults
        self._leave_out = leave_out
        self._started: list[tuple[str, Any]] = []

    def start(self, label: str, plugin: Any, context: Any) -> bool:
        """Start a plugin; whether it did."""
        if not self._faults.bounded(label, "start", lambda: plugin.start(context), START_S):
            return False
        self._started.append((label, plugin))
        return True

    def prepare(self) -> None:
        """Tell those that have started that all have."""
        for label, plugin in self._started:
            if not self._faults.bounded(label, "pre_pipeline_start", plugin.pre_pipeline_start, START_S):
                self._leave_out(label)

    def steer(self, control: Control) -> None:
        """Give them what steers the running pipeline."""
        for label, plugin in self._started:
            call = partial(plugin.post_pipeline_start, control)
            if not self._faults.bounded(label, "post_pipeline_start", call, START_S):
                self._leave_out(label)

    def stop(self, behind: Collection[str], give_up_ns: int) -> None:
        """Stop them, once. Args: `behind`, who hangs and is left as it is; `give_up_ns`, the end of the time."""
        for label, plugin in self._started:
            if label not in behind:
                self._faults.bounded(label, "stop", plugin.stop, left_s(give_up_ns) + GRACE_S)
        self._started.clear()
