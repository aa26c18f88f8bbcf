"""The status line of `meter run`, on a pseudo terminal: it fits, is mixed with nothing, and nothing is left of it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from meter.cli.status import Sample, StatusLine, sample, told
from meter.core import Backend
from tests.cli.conftest import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Sandbox

LINE: Final = re.compile(r"\d+\.\d polls/s, \d+ rows, \d+ missed, \d+ lost, \d+ queued, CPU \d+\.\d %, [\d.]+ MiB")
BAD: Final = """
import os

from meter.core.plugin import Source


class Plugin(Source):
    def poll(self, out):
        if os.path.exists("now"):
            raise RuntimeError("no luck in poll")
        out.emit("test.bad", 1.5)
"""


class Terminal:
    """A pseudo terminal, and what somebody in front of it sees."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.column = 0
        self.seen: set[str] = set()
        """Every text that the lowest line had at some time."""
        self.shut = False
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def close(self) -> None:
        """Both ends."""
        for file in (self.master, self.slave):
            os.close(file)

    def read_until(self, holds: Callable[[], bool]) -> None:
        """Look on until something holds."""
        end = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < end, self.lines
            if select.select([self.master], [], [], 0.05)[0]:
                self._feed(os.read(self.master, 4096).decode())

    def read_to_the_end(self, process: subprocess.Popen[bytes]) -> int:
        """Look on until a process ends; its exit code."""
        self.read_until(lambda: process.poll() is not None)
        while select.select([self.master], [], [], 0)[0]:
            self._feed(os.read(self.master, 4096).decode())
        return int(process.returncode)

    @property
    def text(self) -> str:
        """What is to be seen, without what a long line breaks."""
        return "\n".join(line.rstrip() for line in self.lines)

    def _feed(self, text: str) -> None:
        for piece in re.findall(r"\x1b\[K|[\r\n]|[^\x1b\r\n]", text):
            if piece == "\r":
                self.column = 0
            elif piece == "\n":
                self.lines.append("")
            elif piece == "\x1b[K":
                self.lines[-1] = self.lines[-1][: self.column]
            else:
                if self.column == self.columns:
                    self.lines.append("")
                    self.column = 0
                self.lines[-1] = self.lines[-1][: self.column].ljust(self.column) + piece
                self.column += 1
            self.seen.add(self.lines[-1])


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """One of 100 columns, or of as many as a test says."""
    made = Terminal(getattr(request, "param", 100))
    yield made
    made.close()


@pytest.fixture
def host(sandbox: Sandbox) -> Sandbox:
    """A mount, and a terminal that knows more than a typewriter."""
    sandbox.mount("/host", "cpu", "interval=100ms", "csv", "path=host.csv")
    sandbox.environment["TERM"] = "xterm"
    return sandbox


def start(host: Sandbox, terminal: Terminal, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    """`meter run` with its messages on the terminal."""
    return host.start("run", *words, stderr=terminal.slave, **options)


def written(host: Sandbox) -> int:
    """How many polls are in the file."""
    return (host.folder / "host.csv").read_bytes().count(b",system.cpu.logical.count,")


def test_it_says_how_the_run_goes_and_leaves_nothing(host: Sandbox, terminal: Terminal) -> None:
    """One line, below what was said; behind the end there are the messages of the run alone."""
    process = start(host, terminal)
    terminal.read_until(lambda: LINE.fullmatch(terminal.lines[-1]) is not None)
    assert terminal.lines[:-1] == ["running /host: cpu -> csv"]
    process.send_signal(signal.SIGINT)

    assert terminal.read_to_the_end(process) == 0
    running, ran, rest = terminal.lines
    assert running == "running /host: cpu -> csv"
    assert ran.startswith("ran /host for ")
    assert rest == ""


def test_it_is_renewed_in_its_place(host: Sandbox, terminal: Terminal) -> None:
    """A second line takes the place of the first one."""
    process = start(host, terminal)
    terminal.read_until(lambda: len([text for text in terminal.seen if LINE.fullmatch(text)]) >= 2)
    assert len(terminal.lines) == 2
    process.send_signal(signal.SIGTERM)

    assert terminal.read_to_the_end(process) == 0


@pytest.mark.parametrize(
    ("terminal", "columns"), [(20, None), (100, "20")], indirect=["terminal"], ids=["terminal", "COLUMNS"]
)
def test_it_is_cut_to_a_narrow_terminal(host: Sandbox, terminal: Terminal, columns: str | None) -> None:
    """It ends in `…`, and the last column stays free, as some terminals break the line behind it."""
    if columns:
        host.environment["COLUMNS"] = columns
    process = start(host, terminal)
    terminal.read_until(lambda: re.fullmatch(r"\d+\.\d polls/s, .*…", terminal.lines[-1]) is not None)
    assert len(terminal.lines[-1]) <= 19
    lines = len(terminal.lines)
    process.send_signal(signal.SIGINT)
    assert terminal.read_to_the_end(process) == 0

    assert "…" not in terminal.text
    assert lines == (3 if terminal.columns == 20 else 2)


def test_a_fault_is_told_as_without_it(host: Sandbox, terminal: Terminal) -> None:
    """Whole lines, each from its beginning, and nothing of the status line among them."""
    folder = host.plugin("bad", BAD)
    host.mount("/bad", "bad", "interval=10ms", "csv", "path=bad.csv", "--plugin-dir", folder)
    process = start(host, terminal, "/host", "/bad", "--plugin-dir", str(folder))
    terminal.read_until(lambda: LINE.fullmatch(terminal.lines[-1]) is not None)
    (host.folder / "now").touch()
    terminal.read_until(lambda: "`bad` failed" in terminal.text and LINE.fullmatch(terminal.lines[-1]) is not None)
    process.send_signal(signal.SIGINT)

    assert terminal.read_to_the_end(process) == 5
    told_ = terminal.text.split("\n")
    assert told_[:2] == ["running /host: cpu -> csv", "running /bad: bad -> csv"]
    assert told_[2].startswith("error[E-PLUGIN-RAISED]: `bad` failed in `poll`: RuntimeError: no luck in poll")
    assert "polls/s" not in terminal.text
    assert [line[:5] for line in told_ if line.startswith("ran /")] == ["ran /", "ran /"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TERM": "dumb"}, ()),
        ({"TERM": ""}, ()),
        ({}, ("csv#two", "path=/dev/stdout")),  # its lines would be mixed with it
    ],
    ids=["dumb", "unknown", "lines on the terminal"],
)
def test_it_is_left_out_where_it_would_be_in_the_way(
    host: Sandbox, terminal: Terminal, change: dict[str, str], words: tuple[str, ...]
) -> None:
    """Nothing but the messages, and no control sequence."""
    host.environment |= change
    host.mount("/other", "cpu", "csv", "path=other.csv", *words)
    process = start(host, terminal, "/other", "--for", "1200ms", stdout=terminal.slave)

    assert terminal.read_to_the_end(process) == 0
    assert "ran /other" in terminal.text
    assert not any("polls/s" in text for text in terminal.seen)


def test_a_run_in_the_background_leaves_the_terminal_alone(host: Sandbox, terminal: Terminal) -> None:
    """Somebody else types there; with job control, as in a shell."""
    command = [sys.executable, "-m", "meter", "run", "/host", "--for", "1200ms"]
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", "bash", "-c", f"set -m; {shlex.join(command)} & wait $!"],
        cwd=host.folder,
        env=host.environment,
        stdin=terminal.slave,
        stdout=subprocess.DEVNULL,
        stderr=terminal.slave,
    )
    host.started.append(process)

    assert terminal.read_to_the_end(process) == 0
    assert "ran /host" in terminal.text
    assert not any("polls/s" in text for text in terminal.seen)


def test_a_halted_terminal_does_not_hold_up_the_end(host: Sandbox, terminal: Terminal) -> None:
    """After Ctrl-S nothing is drawn, so SIGTERM is seen, and all rows are written before anything is said of it."""
    process = start(host, terminal)
    terminal.read_until(lambda: LINE.fullmatch(terminal.lines[-1]) is not None)
    termios.tcflow(terminal.slave, termios.TCOOFF)
    polls, threads = written(host), os.listdir(f"/proc/{process.pid}/task")
    terminal.read_until(lambda: written(host) > polls + 20)  # for so long that the line would have been renewed
    process.send_signal(signal.SIGTERM)
    # The threads that poll, run the chain and write are gone.
    terminal.read_until(lambda: len(os.listdir(f"/proc/{process.pid}/task")) <= len(threads) - 3)
    termios.tcflow(terminal.slave, termios.TCOON)

    assert terminal.read_to_the_end(process) == 0


def test_a_pipe_gets_none(host: Sandbox) -> None:
    """What is written to a file is what it was before."""
    done = host.meter("run", "/host", "--for", "1200ms").ok()

    assert re.fullmatch(r"running /host: cpu -> csv\nran /host for 1\.\d s: \d+ polls, \d+ rows\n", done.errors)


def test_a_terminal_that_goes_away_stops_nothing(host: Sandbox, terminal: Terminal) -> None:
    """The line is given up, the run goes on to its end."""
    process = start(host, terminal, "--for", "2500ms")
    terminal.read_until(lambda: LINE.fullmatch(terminal.lines[-1]) is not None)
    os.close(terminal.master)
    terminal.master = os.open(os.devnull, os.O_RDONLY)

    assert process.wait(DEADLINE_S) == 0
    assert len(host.rows()) > 0


def test_its_numbers() -> None:
    """Rates are over the time between two samples, counts since the start; memory that is not known is a dash."""
    before = Sample(10.0, 100, 90, 1, 0, 0, 5, 1_000_000, 1 << 20)
    now = Sample(12.0, 130, 115, 3, 4, 0, 7, 1_500_000, 42 << 20)

    assert told(before, now) == "15.0 polls/s, 115 rows, 3 missed, 4 lost, 7 queued, CPU 25.0 %, 42 MiB"
    dropped = now._replace(dropped=6, resident=None)
    assert told(before, dropped) == "15.0 polls/s, 115 rows, 3 missed, 4 lost, 6 dropped, 7 queued, CPU 25.0 %, -"


def test_several_runs_are_counted_together() -> None:
    """As one line stands for the whole program."""
    made = [Backend(f"/{name}").add("random", interval="1h").add("collect").mounted() for name in "ab"]
    with made[0].running() as one, made[1].running() as two:
        while one.tally().rows + two.tally().rows < 2:
            one.wait(0.005)
        both = sample([one, two])

    assert both[1:6] == (2, 2, 0, 0, 0)


def test_without_a_terminal_it_does_nothing() -> None:
    """Every call is allowed."""
    line = StatusLine()
    line.begin([])
    line.renew()
    with line.aside():
        line.end()
