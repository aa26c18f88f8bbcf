"""What holds for all tests: signals and bytecode as in a terminal, and properties without a time limit.

A shell starts background jobs with some signals ignored; the commands that tests start would inherit that. Where Python
may keep no bytecode, each of these commands compiles all of meter anew, twice the work of what it has to do. A property
that writes files may take long on a busy machine, which says nothing of what it claims. And how many workers there are.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile("everywhere", deadline=None, derandomize=True)
settings.load_profile("everywhere")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """What `-n auto` means: one worker more than processors, as some tests wait for a second or for a process."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return len(os.sched_getaffinity(0)) + 1
