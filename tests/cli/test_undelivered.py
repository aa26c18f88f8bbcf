"""`meter run` with `spool`: what an output could not deliver comes in a later run, whatever ended the one before."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Sandbox, Waiting

PATH = "path=/dev/full"
WORDS = ("/host", "uptime", "interval=10ms", "jsonl", PATH, "spool", "path=kept", "for=jsonl")
RUN = ("run", "/host", "--for", "300ms")


def kept(sandbox: Sandbox) -> int:
    """How many rows wait for the output."""
    lines = [line for file in segments(sandbox) for line in file.read_bytes().splitlines(keepends=True)]
    return sum(json.loads(line)["rows"] for line in lines if line.startswith(b'{"rows"') and line.endswith(b"\n"))


def segments(sandbox: Sandbox) -> list[Path]:
    """The files of the spool."""
    return sorted((sandbox.folder / "kept" / "jsonl").glob("*.jsonl"))


def mend(sandbox: Sandbox) -> None:
    """Give the output another path."""
    file = sandbox.folder / "meter.toml"
    file.write_text(file.read_text().replace("/dev/full", "host.jsonl"))


def times(sandbox: Sandbox) -> list[str]:
    """When each value that was delivered was read."""
    return [json.loads(line)["time"] for line in (sandbox.folder / "host.jsonl").read_text().splitlines()]


def test_what_could_not_be_delivered_comes_in_the_next_run(sandbox: Sandbox) -> None:
    """Each row once and in order. It is said, and no failure, as nothing is lost."""
    sandbox.mount(*WORDS)
    first = sandbox.meter(*RUN).ok()
    waiting = kept(sandbox)

    assert first.codes == ["E-IO", "W-KEPT"]
    assert f"`spool` keeps {waiting} rows that `jsonl` could not deliver" in first.errors
    assert waiting > 10

    mend(sandbox)
    second = sandbox.meter(*RUN)
    assert second.code == 0
    assert "W-KEPT" not in second.codes
    found = times(sandbox)
    assert found == sorted(set(found))
    assert len(found) > waiting + 10
    assert segments(sandbox) == []


@pytest.mark.parametrize("rows", [1, 40])
def test_what_was_kept_survives_kill_9(sandbox: Sandbox, wait: Waiting, rows: int) -> None:
    """The process is killed while its output fails; all that was kept by then comes first in the next run."""
    sandbox.mount(*WORDS)
    process = sandbox.start(*RUN[:2])
    wait.until(lambda: kept(sandbox) >= rows)
    process.send_signal(signal.SIGKILL)
    process.wait()
    waiting = kept(sandbox)

    mend(sandbox)
    sandbox.meter(*RUN)
    found = times(sandbox)
    assert found == sorted(set(found))
    assert len(found) > waiting + 10
    assert segments(sandbox) == []


def test_without_it_the_same_is_a_failure(sandbox: Sandbox) -> None:
    """What could not be delivered is lost, counted and named."""
    sandbox.mount(*WORDS[:5])
    done = sandbox.meter(*RUN)

    assert done.code == 5
    assert set(done.codes) == {"E-IO"}
    assert "rows could not be delivered" in done.errors
