"""What holds for all tests: signals do what they do in a terminal, also where the tests run in the background.

A shell starts background jobs with some signals ignored; the commands that tests start would inherit that.
"""

from __future__ import annotations

import signal

for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
