"""A command that is forked says, writes and ends with what a command that is started does."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.forks import READ_AT_START, Spare, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Sandbox


@pytest.fixture(scope="module")
def spare() -> Iterator[Spare]:
    """One of this file's own."""
    made = Spare({name: value for name, value in os.environ.items() if name.startswith(READ_AT_START)})
    yield made
    made.close()


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["check", "--nosuch"], 2),
        (["mount", "/host", "memory", "rate", "metrics=system.memory.usage", "csv", "path=ü \udcff.csv"], 1),
        (["explain", "--format", "json", "E-CLAIM"], 0),
        (["exec", "--", "sh", "-c", "cat; exit 7"], 7),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_both_leave_the_same(sandbox: Sandbox, spare: Spare, words: list[str], code: int, *, merged: bool) -> None:
    """Exit code, streams, and what was handed in."""
    timeout, stdin = 60, b"a\n" * 100_000
    forked = spare.run(words, sandbox.folder, sandbox.environment, timeout, stdin, merged=merged)
    there = started(
        words, folder=sandbox.folder, environment=sandbox.environment, timeout=timeout, stdin=stdin, merged=merged
    )

    assert (forked.returncode, there.returncode) == (code, code), forked.stderr or forked.stdout
    if words[0] != "exec":
        assert (forked.stdout, forked.stderr or b"") == (there.stdout, there.stderr or b"")
    elif not merged:
        assert forked.stdout == there.stdout == stdin


def test_one_that_does_not_end_is_ended(sandbox: Sandbox, spare: Spare, tmp_path: Path) -> None:
    """And the next one runs all the same."""
    os.mkfifo(tmp_path / "work" / "meter.toml")
    with pytest.raises(subprocess.TimeoutExpired):
        spare.run(["check"], sandbox.folder, sandbox.environment, 0.2, b"", merged=False)

    assert spare.run(["--version"], sandbox.folder, sandbox.environment, 60, b"", merged=False).returncode == 0
