"""Where the engine takes time from: a parameter, so that a test can own it."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Where the engine takes time from; a test owns another one."""

    def now(self) -> int:
        """Monotonic nanoseconds."""

    def sleep_until(self, deadline_ns: int, wake: threading.Event) -> None:
        """Return at the deadline, or before it when `wake` is set."""


class MonotonicClock:
    """CLOCK_MONOTONIC."""

    now = staticmethod(time.monotonic_ns)

    def sleep_until(self, deadline_ns: int, wake: threading.Event) -> None:
        """Return at the deadline, or before it when `wake` is set."""
        remaining = (deadline_ns - time.monotonic_ns()) / 1e9
        if remaining > 0.05:
            wake.wait(remaining)
        elif remaining > 0 and not wake.is_set():
            time.sleep(remaining)  # nearer to its deadline than a wait, and short enough to be sat out
