"""What the end-to-end tests of the command share: a folder of their own, and the real command run in it."""

from __future__ import annotations

import csv
import json
import os
import re
import select
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests import forks
from tests.forks import METER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DEADLINE_S = 30.0

_FAULT = re.compile(r"^(error|warning)\[([EW]-[A-Z-]+)\]: (.*)$", re.MULTILINE)
_PLACE = re.compile(r"^ *--> (.*)$", re.MULTILINE)

SOURCE = """
contract = 1
name = "{name}"
version = "1.0.0"
interface = ">=1,<2"
placement = "source"
summary = "A source of a test"
author = "A test <test@example.org>"
licence = "BSD-3-Clause"
status = ["example"]

[[provides.metrics]]
name = "test.{name}"
type = "f64"
unit = "1"
kind = "gauge"
resource = ["machine"]

[config.interval]
type = "duration"
default = "100ms"
min = "1ms"
"""


class Done(NamedTuple):
    """What a command that has ended left: exit code, stdout, stderr."""

    code: int
    raw: bytes
    errors: str

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.raw.decode()

    @property
    def json(self) -> Any:
        """Standard output as a JSON document."""
        return json.loads(self.raw)

    @property
    def codes(self) -> list[str]:
        """The codes of all diagnostics on stderr."""
        return [code for _, code, _ in _FAULT.findall(self.errors)]

    @property
    def places(self) -> list[str]:
        """Where the diagnostics on stderr point: `FILE:LINE:COLUMN`."""
        return _PLACE.findall(self.errors)

    def ok(self) -> Done:
        """The same, which has to be without error and without a traceback."""
        assert self.code == 0, self.errors
        assert "Traceback" not in self.errors
        return self


class Sandbox:
    """A folder with a home of its own. `meter` runs the real command in it and waits; `start` does not wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.home = folder / "home"
        self.folder.mkdir()
        self.home.mkdir()
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("METER_", "XDG_"))
        }
        self.environment |= {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "NO_COLOR": "1",
        }
        for name in ("COLUMNS", "FORCE_COLOR", "CLICOLOR_FORCE", "PYTHONIOENCODING"):
            self.environment.pop(name, None)
        self.started: list[subprocess.Popen[bytes]] = []

    def meter(
        self,
        *words: str | bytes | Path,
        stdin: bytes = b"",
        env: Mapping[str, str | None] | None = None,
        folder: Path | None = None,
        python: Sequence[str] = (),
    ) -> Done:
        """Run `meter WORDS…` to its end. `exec`, which measures processes, and what has words for Python is started."""
        start = partial(forks.started, python=python) if python or words[:1] == ("exec",) else forks.run
        done = start(
            words, folder=folder or self.folder, environment=self._environment(env), timeout=DEADLINE_S, stdin=stdin
        )
        return Done(done.returncode, done.stdout, done.stderr.decode(errors="surrogateescape"))

    def shell(self, script: str, env: Mapping[str, str | None] | None = None) -> Done:
        """Run a line of bash, in which `meter` is the real command."""
        head = f'meter() {{ "{METER[0]}" -m meter "$@"; }}\n'
        done = subprocess.run(
            ["bash", "-c", head + script],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env=self._environment(env),
            timeout=DEADLINE_S,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode(errors="surrogateescape"))

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start `meter WORDS…`, with pipes for stdout and stderr; it is ended with the test."""
        settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [*METER, *words], cwd=self.folder, env=self._environment(None), **(settings | options)
        )
        self.started.append(process)
        return process

    def mount(self, *words: str | Path) -> Done:
        """`meter mount WORDS…`, which has to succeed."""
        return self.meter("mount", *words).ok()

    def plugin(self, name: str, code: str = "", contract: str = SOURCE) -> Path:
        """A plugin of this name in the folder `plugins`, which is returned. Without code it has none."""
        folder = self.folder / "plugins" / name
        folder.mkdir(parents=True)
        (folder / "contract.toml").write_text(contract.format(name=name) if contract is SOURCE else contract)
        if code:
            (folder / "plugin.py").write_text(code)
        return folder.parent

    def files(self) -> dict[str, bytes]:
        """All files below the working folder with their bytes."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and os.access(path, os.R_OK)
        }

    def rows(self, name: str = "host.csv") -> list[dict[str, str]]:
        """The lines of a CSV file by column; each has all columns and the header is there once."""
        text = (self.folder / name).read_text()
        assert text.endswith("\n")
        assert text.count("time,metric,value") == 1
        rows = list(csv.DictReader(text.splitlines()))
        assert all(None not in row and None not in row.values() for row in rows)
        return rows

    def _environment(self, changes: Mapping[str, str | None] | None) -> dict[str, str]:
        merged = {**self.environment, **(changes or {})}
        return {name: value for name, value in merged.items() if value is not None}


def _line(process: subprocess.Popen[bytes], text: str, stream: str = "stderr") -> str:
    """Wait for a line of a process that has this text; everything up to it."""
    pipe = getattr(process, stream)
    end = time.monotonic() + DEADLINE_S
    read = b""
    while text.encode() not in read or not read.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
        # One byte at a time: what is read ahead into a buffer would be missing from `communicate`.
        byte = os.read(pipe.fileno(), 1) if ready else b""
        assert byte, f"{text!r} did not come, but {read!r}"
        read += byte
    return read.decode()


def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.005)


def _end(process: subprocess.Popen[bytes]) -> Done:
    """Wait for the end of a process."""
    out, errors = process.communicate(timeout=DEADLINE_S)
    return Done(process.returncode, out or b"", (errors or b"").decode(errors="surrogateescape"))


class Waiting:
    """Waits with a deadline: `line` for a line of output, `until` for a condition, `end` for the end of a process."""

    line = staticmethod(_line)
    until = staticmethod(_until)
    end = staticmethod(_end)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A folder and a home of the test's own; what was started there ends with the test."""
    box = Sandbox(tmp_path)
    yield box
    for process in box.started:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def wait() -> Waiting:
    """Waiting with a deadline."""
    return Waiting()
