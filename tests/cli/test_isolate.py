"""`meter run --isolate`: whoever ends one of the two processes, what was polled is delivered or said to be lost."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.processes import children, gone

if TYPE_CHECKING:
    import subprocess

    from tests.cli.conftest import Done, Sandbox, Waiting

SINK = """
contract = 1
name = "sink"
version = "1.0.0"
interface = ">=1,<2"
placement = "output"
summary = "An output of a test"
author = "A test <test@example.org>"
licence = "BSD-3-Clause"
status = ["example"]
"""
GATED = """
import os
import time

from meter.core.plugin import Output


class Plugin(Output):
    rows = 0

    def start(self, context):
        self.folder = os.getcwd()

    def at(self, name):
        return os.path.join(self.folder, name)

    def write(self, batch):
        open(self.at("begun"), "w").close()
        while not os.path.exists(self.at("go")):
            time.sleep(0.01)
        self.rows += batch.rows

    def stop(self):
        with open(self.at("stopped.part"), "w") as file:
            file.write(str(self.rows))
        os.rename(self.at("stopped.part"), self.at("stopped"))
"""
WAITS = """
import os
import sys

from meter.core.plugin import Output


class Plugin(Output):
    def start(self, context):
        print("waits", file=sys.stderr, flush=True)
        os.open("pipe", os.O_WRONLY)

    def write(self, batch):
        pass
"""


def child_of(process: subprocess.Popen[bytes]) -> int:
    """The one process that another one has started."""
    (found,) = children(process.pid)
    return found


def values(sandbox: Sandbox, name: str = "host.jsonl") -> list[Any]:
    """The values in a file, each line of which is whole."""
    path = sandbox.folder / name
    return [json.loads(line)["value"] for line in path.read_text().splitlines()] if path.exists() else []


def polls(done: Done) -> int:
    """The number of polls that a run said at its end."""
    return int(done.errors.split(" polls")[0].rsplit(" ", 1)[1])


@pytest.fixture
def gated(sandbox: Sandbox) -> Sandbox:
    """An output that says when it has begun to write, and waits until it may."""
    folder = sandbox.plugin("sink", GATED, SINK)
    sandbox.mount("/host", "uptime", "interval=10ms", "sink", "--plugin-dir", folder)
    return sandbox


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_both_processes_loses_no_row(sandbox: Sandbox, wait: Waiting, number: signal.Signals) -> None:
    """As a terminal sends it: the one that polls decides, the other one delivers."""
    sandbox.mount("/host", "uptime", "interval=10ms", "jsonl", "path=host.jsonl")
    process = sandbox.start("run", "--isolate", start_new_session=True)
    wait.until(lambda: len(values(sandbox)) > 0)

    os.killpg(process.pid, number)
    done = wait.end(process).ok()

    assert len(values(sandbox)) == polls(done)
    assert "lost" not in done.errors


def test_who_polls_is_killed_and_what_was_handed_over_is_delivered(gated: Sandbox, wait: Waiting) -> None:
    """By the other process, which stops its plugins and ends by itself."""
    process = gated.start("run", "--isolate")
    wait.until((gated.folder / "begun").exists)
    other = child_of(process)

    process.kill()
    process.wait()
    (gated.folder / "go").touch()

    wait.until((gated.folder / "stopped").exists)
    assert int((gated.folder / "stopped").read_text()) > 0
    wait.until(lambda: gone(other))


def test_who_delivers_is_killed_and_the_run_ends_as_a_failed_one(gated: Sandbox, wait: Waiting) -> None:
    """It says by what, and how many rows are lost at most."""
    process = gated.start("run", "--isolate")
    wait.until((gated.folder / "begun").exists)

    os.kill(child_of(process), signal.SIGKILL)
    done = wait.end(process)

    assert done.code == 5
    assert done.codes == ["E-IO", "E-IO"]
    assert "the process of filters and outputs was ended by SIGKILL" in done.errors
    lost = int(done.errors.split("at most ")[1].split(" rows")[0])
    assert 0 < lost <= polls(done)
    assert f"{lost} rows lost" in done.errors
    assert "Traceback" not in done.errors


def test_a_second_signal_ends_both_at_once(gated: Sandbox, wait: Waiting) -> None:
    """Whoever does not want to wait for an output that hangs."""
    process = gated.start("run", "--isolate")
    wait.until((gated.folder / "begun").exists)
    other = child_of(process)
    os.kill(other, signal.SIGSTOP)  # so that it cannot end by itself

    def asked() -> bool:
        process.send_signal(signal.SIGTERM)  # two that come together are one
        return process.poll() is not None

    wait.until(asked)
    assert wait.end(process).code == 128 + signal.SIGTERM
    wait.until(lambda: gone(other))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_of_a_plugin_that_starts_there(
    sandbox: Sandbox, wait: Waiting, number: signal.Signals
) -> None:
    """Nobody reads the named pipe that an output opens; it is named, and meter ends."""
    os.mkfifo(sandbox.folder / "pipe")
    folder = sandbox.plugin("sink", WAITS, SINK)
    sandbox.mount("/host", "uptime", "sink", "--plugin-dir", folder)
    process = sandbox.start("run", "--isolate")
    wait.line(process, "waits")
    other = child_of(process)

    process.send_signal(number)
    done = wait.end(process)

    assert done.code == 5
    assert "`sink` cannot start: Interrupted system call" in done.errors
    assert gone(other)


def test_every_backend_has_a_process_of_its_own(sandbox: Sandbox) -> None:
    """And none is left when they have ended."""
    for name in ("a", "b"):
        sandbox.mount(f"/{name}", "uptime", "interval=20ms", "jsonl", f"path={name}.jsonl")

    sandbox.meter("run", "--isolate", "--for", "300ms").ok()

    assert values(sandbox, "a.jsonl")
    assert values(sandbox, "b.jsonl")


def test_what_stays_in_memory_is_refused_before_anything_starts(sandbox: Sandbox) -> None:
    """With the output at fault and what to do."""
    sandbox.mount("/host", "uptime", "collect", "jsonl", "path=host.jsonl")

    done = sandbox.meter("run", "--isolate", "--for", "100ms")

    assert done.code == 1
    assert done.codes == ["E-INTERFACE"]
    assert "`/host` cannot run isolated: what `collect` keeps in memory would be in another process" in done.errors
    assert not (sandbox.folder / "host.jsonl").exists()
