"""Real-time priority is had by every thread of a run, or nothing runs and the message says what permits it."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from meter.core.realtime import PRIORITY
from tests.cli.conftest import DEADLINE_S, Done

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Sandbox

THREADS = """
import os
import threading

from meter.core.plugin import Source


class Plugin(Source):
    def poll(self, out):
        threads = [int(name) for name in os.listdir("/proc/self/task")]
        behind = [priority(each) for each in threads if each != threading.get_native_id()]
        out.emit("test.threads", sum(not 0 < each < priority(0) for each in behind))


def priority(thread):
    try:
        return os.sched_getparam(thread).sched_priority if os.sched_getscheduler(thread) == os.SCHED_FIFO else 0
    except ProcessLookupError:  # it has ended meanwhile
        return 1
"""
"""How many threads of the process, beside its own, have no real-time priority or are not behind it."""

SCRIPT = """
import os, sys, threading
from meter.core import Backend, ContractError

mounted = Backend("/host", plugin_dirs="plugins").add("threads", interval="10ms").add("collect").mounted()
own = threading.Event()
waiting = threading.Thread(target=own.wait, daemon=True)
waiting.start()
running = mounted.running(realtime=True)
try:
    with running:
        own.wait(0.05)
except ContractError as error:
    print(error.diagnostics[0].code, running.tally().polls)
else:
    print({reading.value for reading in running.take()})
print([os.sched_getscheduler(each.native_id) == os.SCHED_OTHER for each in (threading.main_thread(), waiting)])
"""
RUN: Final = ("-m", "meter", "run", "--for", "300ms", "--plugin-dir", "plugins")
_PR_CAPBSET_DROP: Final = 24
_CAP_SYS_NICE: Final = 23


def limited(priority: int) -> Callable[[], None]:
    """Takes the capability from a child before it is executed, and permits it this real-time priority."""

    def limit() -> None:
        # Refused to who is not root, who has not the capability either.
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_RTPRIO, (priority, priority))

    return limit


def run(sandbox: Sandbox, *words: str, permitted: int | None = None) -> Done:
    """Run a program of Python to its end, with the rights of this process or those that `limited` leaves."""
    done = subprocess.run(
        [sys.executable, *words],
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd=sandbox.folder,
        env=sandbox.environment,
        timeout=DEADLINE_S,
        preexec_fn=None if permitted is None else limited(permitted),
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


@pytest.fixture
def mounted(sandbox: Sandbox) -> Sandbox:
    """A backend `/host` whose only source looks at the threads of its process."""
    sandbox.mount("/host", "threads", "csv", "path=host.csv", "--plugin-dir", sandbox.plugin("threads", THREADS))
    return sandbox


@pytest.fixture(params=[None, PRIORITY], ids=["by right", "by limit"])
def permitted(request: pytest.FixtureRequest) -> int | None:
    """Ways in which a process may have real-time priority; those that this host has not are left out."""
    permitted: int | None = request.param
    try:
        subprocess.run(
            [sys.executable, "-c", f"import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param({PRIORITY}))"],
            check=True,
            capture_output=True,
            preexec_fn=None if permitted is None else limited(permitted),
        )
    except subprocess.SubprocessError:
        pytest.skip("this host does not permit real-time priority to the tests in this way")
    return permitted


def test_every_thread_of_a_run_has_it(mounted: Sandbox, permitted: int | None) -> None:
    """That of the chain, those of outputs and the first one; those that poll go before them."""
    run(mounted, *RUN, "--realtime", permitted=permitted).ok()

    assert {row["value"] for row in mounted.rows()} == {"0.0"}


def test_a_run_that_does_not_ask_has_it_not(mounted: Sandbox) -> None:
    """Nobody gets it unasked: it can take the machine from all others."""
    run(mounted, *RUN).ok()

    assert "0.0" not in {row["value"] for row in mounted.rows()}


def test_where_it_is_not_permitted_nothing_runs(mounted: Sandbox) -> None:
    """The message has the commands that permit it, with the program that this Python really is."""
    done = run(mounted, *RUN, "--realtime", permitted=0)

    assert (done.code, done.codes, done.places) == (1, ["E-HOST"], ["<command line>:1:11"])
    assert "real-time priority: Operation not permitted" in done.errors
    assert f"sudo setcap cap_sys_nice+ep {os.path.realpath(sys.executable)}" in done.errors
    assert f"sudo prlimit --pid $$ --rtprio={PRIORITY}" in done.errors
    assert f"LimitRTPRIO={PRIORITY}" in done.errors
    assert "running" not in done.errors
    assert not (mounted.folder / "host.csv").exists()


def test_a_script_has_it_while_the_backend_runs(mounted: Sandbox, permitted: int | None) -> None:
    """Threads of the script have it, too, as all wait for one lock; afterwards each has what it had."""
    assert run(mounted, "-c", SCRIPT, permitted=permitted).ok().out == "{0.0}\n[True, True]\n"


def test_a_script_without_the_right_is_told_before_anything_runs(mounted: Sandbox) -> None:
    """As of a host that lacks something else; nothing was polled."""
    assert run(mounted, "-c", SCRIPT, permitted=0).ok().out == "E-HOST 0\n[True, True]\n"


POLICY = """
import os

from meter.core.plugin import Output


class Plugin(Output):
    def write(self, batch):
        with open("policies", "w") as file:
            for name in os.listdir("/proc/self/task"):
                print(os.sched_getscheduler(int(name)) == os.SCHED_OTHER, file=file)
"""


def test_the_process_of_an_isolated_chain_has_no_priority(sandbox: Sandbox) -> None:
    """Only who polls goes before all else."""
    contract = (
        'name = "policy"\nversion = "1.0.0"\nplacement = "output"\nsummary = "s"\nauthor = "a"\nlicence = "MIT"\n'
    )
    folder = sandbox.plugin("policy", POLICY, contract)
    sandbox.mount("/host", "uptime", "interval=20ms", "policy", "--plugin-dir", folder)

    done = sandbox.meter("run", "--realtime", "--isolate", "--for", "300ms", "--plugin-dir", folder)

    if done.codes == ["E-HOST"]:
        pytest.skip("this host does not permit real-time priority to the tests in this way")
    assert done.ok()
    assert set((sandbox.folder / "policies").read_text().split()) == {"True"}
