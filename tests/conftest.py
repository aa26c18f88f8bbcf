"""What holds for all tests: signals as in a terminal, and properties that do not depend on the machine's speed.

A shell starts background jobs with some signals ignored; the commands that tests start would inherit that. A property
that writes files may take long on a busy machine, which says nothing of what it claims.
"""

from __future__ import annotations

import signal

from hypothesis import settings

for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

settings.register_profile("everywhere", deadline=None, derandomize=True)
settings.load_profile("everywhere")
