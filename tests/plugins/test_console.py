"""The output `console`."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.plugin import Gone, Missing
from meter.core.readings import Row
from meter.core.shown import columns as wide
from meter.plugins.console import screen as screens
from meter.plugins.console.latest import BOLD, DIM, Latest, Table
from meter.plugins.console.screen import Canvas
from tests.plugins.chain import SECOND, Chain, metric, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meter.plugins.console.plugin import Console

MS = 1_000_000
METRICS = [
    metric("system.memory.usage", "gauge", "u64", "By"),
    metric("hw.power", "gauge", "f64", "W"),
    metric("system.cpu.time", "delta", "f64", "s", '{ "cpu.mode" = "str" }'),
]
DEADLINE_S = 20.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TERM": "xterm"}
ENVIRONMENT.pop("NO_COLOR", None)


@contextmanager
def standard_output(file: int | None) -> Iterator[None]:
    """Standard output is this descriptor, or closed, for a while."""
    kept = os.dup(1)
    try:
        if file is None:
            os.close(1)
        else:
            os.dup2(file, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def mounted(*words: str) -> Chain:
    """The output, with what standard output is now."""
    return Chain(METRICS, "console", *words)


def plugin(chain: Chain) -> Console:
    """The output itself."""
    made: Console = chain.outputs["console"].plugin
    return made


def power(chain: Chain, ts: int, watts: float | Missing, of: str = "cpu") -> Row:
    """A row of one series."""
    return Row(chain.columns(chain.key("hw.power", of)), ts, ts - SECOND, [watts])


# ------------------------------------------------------------------------------------------------------------- lines


def test_lines_as_they_are_read(capfd: pytest.CaptureFixture[str]) -> None:
    """Each line is complete in itself, so that `grep` and `awk` need no other one."""
    chain = mounted()
    cores = [
        chain.declared.key("system.cpu.time", None, None, "machine", "machine", {"cpu.mode": mode})
        for mode in ("a", "user")
    ]
    columns = chain.columns(chain.key("system.memory.usage", nic="eth0"), chain.key("hw.power"), *cores)

    chain.write([Row(columns, 1500 * MS, 500 * MS, [1610612736, 0.0123, Missing("EIO"), 0.25])], "console")

    assert capfd.readouterr().out.splitlines() == [
        "2023-11-14T22:13:21.500Z  hw.power             machine of=a                 12.3 mW",
        "2023-11-14T22:13:21.500Z  system.cpu.time      machine cpu.mode=a           missing (EIO)",
        "2023-11-14T22:13:21.500Z  system.cpu.time      machine cpu.mode=user        250 ms in 1 s",
        "2023-11-14T22:13:21.500Z  system.memory.usage  network_interface/eth0 of=a  1.5 GiB",
    ]


def values(text: str) -> list[str]:
    """The values of lines about power."""
    return re.findall(r"(\S+) W$", text, re.MULTILINE)


def test_a_block_is_the_latest_of_each_series(capfd: pytest.CaptureFixture[str]) -> None:
    """Of several rows of a batch the last one is shown, in the order of time."""
    chain = mounted()

    chain.write([*[power(chain, nth * SECOND, nth) for nth in (2, 3)], power(chain, SECOND, 7, "disk")], "console")

    assert values(capfd.readouterr().out) == ["7", "3"]


def test_blocks_are_no_nearer_than_every(capfd: pytest.CaptureFixture[str]) -> None:
    """What comes too early is in the next block, or in the last one; a poll that is late or early by little is not."""
    chain = mounted("every=1s")
    ends = [1000, 1300, 1600, 1999, 2999 - 95, 3500]

    for nth, end in enumerate(ends):
        chain.write([power(chain, end * MS, nth)], "console")
    before = values(capfd.readouterr().out)
    plugin(chain).flush()

    assert before == ["0", "3", "4"]
    assert values(capfd.readouterr().out) == ["5"]


def test_a_block_holds_only_what_is_new(capfd: pytest.CaptureFixture[str]) -> None:
    """A value of a slow source is not told again and again, as if it had been read again."""
    chain = mounted()
    chain.write([power(chain, SECOND, 1), power(chain, SECOND, 10, "disk")], "console")

    chain.write([power(chain, 2 * SECOND, 2)], "console")
    plugin(chain).flush()

    assert values(capfd.readouterr().out) == ["1", "10", "2"]


def test_rows_says_what_it_leaves_out(capfd: pytest.CaptureFixture[str]) -> None:
    """So that nobody takes a part for the whole."""
    chain = mounted("rows=2")

    chain.write([power(chain, SECOND, nth, f"d{nth}") for nth in range(5)], "console")

    lines = capfd.readouterr().out.splitlines()
    assert values("\n".join(lines)) == ["0", "1"]
    assert lines[2:] == ["2023-11-14T22:13:21.000Z  and 3 more series"]


@pytest.mark.parametrize("words", [["every=99ms"], ["every=fast"], ["rows=-1"], ["rows=x"], ["path=x"]])
def test_wrong_options_are_refused_before_anything_runs(words: list[str]) -> None:
    """By the check, with the codes of configuration."""
    assert [code.startswith("E-CONFIG") for code in refusals(METRICS, "console", *words)] == [True]


def test_texts_from_outside_do_not_steer_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """Names and reasons may hold anything, bytes that are no UTF-8 and escape sequences among it."""
    chain = mounted()

    chain.write([power(chain, SECOND, Missing("\x1b[2J\udcff"), "\x1b]0;x\x07\n\udcfe")], "console")

    (line,) = capfd.readouterr().out.splitlines()
    assert line.endswith(r"of=\x1b]0;x\x07\n\udcfe  missing (\x1b[2J\udcff)")


def test_a_pipe_that_is_full_for_a_while() -> None:
    """The engine's next try goes on where the last one stopped: no line is torn or doubled."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    with standard_output(writer):
        chain = mounted()
        output = plugin(chain)
    batch = chain.batch([power(chain, SECOND, nth, f"d{nth:05}") for nth in range(3000)])
    got, tries = b"", 0

    while True:
        tries += 1
        try:
            output.write(batch)
        except BlockingIOError:
            got += os.read(reader, 1 << 20)
        else:
            break
    output.stop()
    os.close(writer)
    got += os.read(reader, 1 << 20)
    os.close(reader)

    assert tries > 2
    assert re.findall(r"of=d(\d+) ", got.decode()) == [f"{nth:05}" for nth in range(3000)]
    assert got.count(b"\n") == 3000


def test_a_reader_that_has_gone() -> None:
    """`meter run | head` ends when `head` does, and what is left over is no failure."""
    reader, writer = os.pipe()
    with standard_output(writer):
        chain = mounted("every=1s")
    os.close(writer)
    os.close(reader)

    with pytest.raises(Gone):
        chain.write([power(chain, SECOND, 1)], "console")
    plugin(chain).flush()
    plugin(chain).stop()


def test_standard_output_that_is_closed() -> None:
    """The error says what to do."""
    with standard_output(None), pytest.raises(OSError, match=r"`/dev/stdout` is closed; lead it to a file, a pipe or"):
        mounted()


def test_a_full_device() -> None:
    """The error reaches the engine, which keeps the batch and names the output."""
    full = os.open("/dev/full", os.O_WRONLY)
    with standard_output(full):
        chain = mounted()
    os.close(full)

    with pytest.raises(OSError, match="No space left"):
        chain.write([power(chain, SECOND, 1)], "console")
    plugin(chain).flush()  # says it no second time
    plugin(chain).stop()


# ------------------------------------------------------------------------------------------------------------- tables


def table(chain: Chain, *batches: list[Row], rows: int = 0, colour: bool = False) -> Table:
    """The table after some batches."""
    latest = Latest()
    for batch in batches:
        latest.add(chain.batch(batch))
    return Table(latest, rows, colour=colour)


def many(chain: Chain, count: int) -> list[Row]:
    """A row of so many series."""
    keys = [chain.key("hw.power", f"d{nth:05}") for nth in range(count)]
    return [Row(chain.columns(*keys), SECOND, 0, [float(nth) for nth in range(count)])]


@pytest.fixture(scope="module")
def chain() -> Chain:
    """A chain to make batches with; what its own output shows does not matter."""
    null = os.open(os.devnull, os.O_WRONLY)
    with standard_output(null):
        made = mounted()
    os.close(null)
    return made


def cpu(chain: Chain) -> list[Row]:
    """A row of two metrics."""
    modes = [
        chain.declared.key("system.cpu.time", "eth0", "/a", "network_interface", "cgroup", {"cpu.mode": mode})
        for mode in ("system", "user")
    ]
    columns = chain.columns(chain.key("system.memory.usage"), *modes)
    return [Row(columns, SECOND, 0, [1536, 0.5, Missing("it went away")])]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            100,
            [
                "metric               series                                                             value",
                "system.cpu.time      network_interface/eth0 for cgroup//a mode=system           500 ms in 1 s",
                "system.cpu.time      network_interface/eth0 for cgroup//a mode=user    missing (it went away)",
                "system.memory.usage  machine of=a                                                     1.5 KiB",
                "22:13:21Z  3 series",
            ],
        ),
        (
            40,
            [
                "metric     series                  value",
                "…cpu.time  …e=system       500 ms in 1 s",
                "…cpu.time  …ode=user  missing (it went …",
                "…ry.usage  …ine of=a             1.5 KiB",
                "22:13:21Z  3 series",
            ],
        ),
    ],
)
def test_a_table_as_it_is_read(chain: Chain, width: int, lines: list[str]) -> None:
    """Attributes by their last word; where it is narrow, the ends of names stay, as these differ, and so do numbers."""
    found = table(chain, cpu(chain)).frame(width, 10)

    assert found == lines


def labelled(chain: Chain, *names: str, job: str = "train-12345") -> list[Row]:
    """A row of each of some metrics with three modes, as `annotate` leaves them."""
    keys = [
        chain.declared.key(name, "eth0", None, "network_interface", "machine", {"cpu.mode": mode, "job": job})
        for name in names
        for mode in ("system", "user")
    ]
    return [Row(chain.columns(*keys), SECOND, 0, [0.5] * len(keys))]


@pytest.fixture(scope="module")
def labels() -> Chain:
    """A chain whose metrics have the attributes of `labelled`."""
    attributes = '{ "cpu.mode" = "str", "job" = "str" }'
    names = ("system.cpu.time", "system.cpu.wait")
    null = os.open(os.devnull, os.O_WRONLY)
    with standard_output(null):
        made = Chain([*METRICS[:2], *[metric(name, "delta", "f64", "s", attributes) for name in names]], "console")
    os.close(null)
    return made


def test_what_all_series_share_is_said_once(labels: Chain) -> None:
    """In the last line, by its whole name, so that rows hold what tells them apart."""
    found = table(labels, labelled(labels, "system.cpu.time", "system.cpu.wait")).frame(80, 10)

    assert found == [
        "metric           series                                      value",
        "system.cpu.time  network_interface/eth0 mode=system  500 ms in 1 s",
        "system.cpu.time  network_interface/eth0 mode=user    500 ms in 1 s",
        "system.cpu.wait  network_interface/eth0 mode=system  500 ms in 1 s",
        "system.cpu.wait  network_interface/eth0 mode=user    500 ms in 1 s",
        "22:13:21Z  4 series, all job=train-12345",
    ]


def test_where_it_is_narrow_rows_keep_what_tells_them_apart(labels: Chain) -> None:
    """What all rows of a metric share gives way first, and only in rows that are too wide."""
    rows = labelled(labels, "system.cpu.time", job="a-job-with-a-name-that-is-long")

    assert table(labels, rows, [power(labels, SECOND, 5.0)]).frame(60, 10) == [
        "metric           series                   value",
        "hw.power         machine of=cpu             5 W",
        "system.cpu.time  … mode=system …  500 ms in 1 s",
        "system.cpu.time  … mode=user …    500 ms in 1 s",
        "22:13:21Z  3 series",
    ]


def test_a_single_series_keeps_its_attributes(chain: Chain) -> None:
    """Nothing tells it apart, and all of it tells what it is."""
    assert table(chain, [power(chain, SECOND, 5.0)]).frame(80, 10)[1].split() == [
        "hw.power",
        "machine",
        "of=cpu",
        "5",
        "W",
    ]


BATCHES = [
    pytest.param(lambda rows: [rows], id="one batch"),
    pytest.param(lambda rows: [[row] for row in rows], id="batches"),
]


@pytest.mark.parametrize("looked", [False, True], ids=["once", "each time"])
@pytest.mark.parametrize("batched", BATCHES)
@pytest.mark.parametrize(
    ("spans", "watts"),
    [
        ([(0, 1000), (1000, 2000), (2000, 2001)], 2000),  # the last poll of a run
        ([(0, 1000), (1000, 2000), (2000, 2499)], 2000),
        ([(0, 1000), (1000, 2000), (2000, 2500)], 2500),
        ([(0, 100), (100, 150)], 150),  # polls that are all short, such as those of a command
        ([(0, 3_600_000), (3_600_000, 3_601_000)], 3_601_000),  # it was halted for an hour
        ([(0, 1000), (1000, 1400), (1400, 1800)], 1800),  # what is shown is never older than half an interval
        ([(0, 1), (1, 2)], 2),
        ([(5, 5), (5, 6)], 6),  # an instant is no whole row
    ],
)
def test_a_piece_of_an_interval_does_not_take_the_place_of_a_whole_one(
    chain: Chain,
    spans: list[tuple[int, int]],
    watts: int,
    batched: Callable[[list[Row]], list[list[Row]]],
    *,
    looked: bool,
) -> None:
    """At the end a person sees what the last interval brought, however rows come in batches, and whenever one looks."""
    latest = Latest()
    columns = chain.columns(chain.key("hw.power"))
    for batch in batched([Row(columns, ts * MS, since * MS, [float(ts)]) for since, ts in spans]):
        latest.add(chain.batch(batch))
        if looked:
            latest.read()

    assert [cell.value for cell in latest.read()] == [watts]


def test_a_piece_of_an_interval_takes_the_place_of_what_is_missing(chain: Chain) -> None:
    """A value of a short time says more than none."""
    latest = Latest()
    for row in (power(chain, SECOND, Missing("EIO")), power(chain, SECOND + MS, 5.0)):
        latest.add(chain.batch([row]))
        latest.read()

    assert [cell.value for cell in latest.read()] == [5.0]


@settings(derandomize=True, max_examples=100, deadline=None)
@given(width=st.integers(1, 120), height=st.integers(0, 40), of=st.text(min_size=1), reason=st.text())
def test_a_table_fits_its_place(chain: Chain, width: int, height: int, of: str, reason: str) -> None:
    """No line is wider than the place, and there are no more of them, whatever names and reasons hold."""
    found = table(chain, cpu(chain), many(chain, 20), [power(chain, SECOND, Missing(reason), of)]).frame(width, height)

    assert len(found) == min(height, 26)
    assert max((wide(line) for line in found), default=0) <= width
    assert all(line.isprintable() for line in found)


@pytest.mark.parametrize(
    ("height", "rows", "foot"),
    [
        (12, 0, "10 of 5000 series shown"),
        (12, 3, "3 of 5000 series shown"),
        (2, 0, "0 of 5000 series shown"),
        (1, 0, "0 of 5000 series shown"),
        (6000, 0, "5000 series"),
    ],
)
def test_what_there_is_no_room_for_is_counted(chain: Chain, height: int, rows: int, foot: str) -> None:
    """Thousands of series say how many of them are shown."""
    found = table(chain, many(chain, 5000), rows=rows).frame(80, height)

    assert found[-1] == f"22:13:21Z  {foot}"


def test_nothing_yet_is_no_table(chain: Chain) -> None:
    """Before the first batch, and after an empty one."""
    assert table(chain).frame(80, 24) == []
    assert table(chain, []).frame(80, 24) == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "5 W"),
        (6, "5 W"),  # three spans of a second and two seconds after the first one
        (7, "ended, 5 W"),
        (16, "ended, 5 W"),
        (17, None),
    ],
)
def test_a_series_that_has_ended(chain: Chain, seconds: int, said: str | None) -> None:
    """It is marked after a while and disappears later; the others tell how much time has passed."""
    later = [] if seconds == 1 else [[power(chain, seconds * SECOND, 1.0, "other")]]

    found = table(chain, [power(chain, SECOND, 5.0)], *later).frame(80, 24)

    assert [line.split("of=cpu")[1].strip() for line in found if "of=cpu" in line] == ([] if said is None else [said])


def test_a_slow_source_has_not_ended(chain: Chain) -> None:
    """How long a series may be silent goes by the span of its rows."""
    hourly = [Row(chain.columns(chain.key("hw.power", "slow")), 3600 * SECOND, 0, [1.0])]

    found = table(chain, hourly, [power(chain, 2 * 3600 * SECOND, 1.0)]).frame(80, 24)

    assert "ended" not in "".join(found)


def test_series_that_come_and_go_do_not_pile_up(chain: Chain) -> None:
    """Short-lived processes leave nothing behind, whether somebody looks or not."""
    latest = Latest()
    for nth in range(1, 400):
        latest.add(chain.batch([power(chain, nth * SECOND, 1.0, f"p{nth}")]))

    assert len(latest.read()) < 20
    assert len(latest.take()) < 20


def test_an_older_row_does_not_replace_a_newer_one(chain: Chain) -> None:
    """A series may lie in several sets of series, which come in any order."""
    both = chain.columns(chain.key("hw.power", "cpu"), chain.key("hw.power", "b"))
    found = table(chain, [power(chain, 3 * SECOND, 3.0)], [Row(both, 2 * SECOND, SECOND, [2.0, 2.0])]).frame(80, 24)

    assert [line.split()[-2] for line in found[1:-1]] == ["2", "3"]


def test_colours(chain: Chain) -> None:
    """Headers are bold, what has ended and the last line dim; without colours no byte of a line is an escape."""
    batches = [power(chain, SECOND, 5.0)], [power(chain, 10 * SECOND, 1.0, "other")]

    head, ended, there, foot = table(chain, *batches, colour=True).frame(80, 24)
    plain = table(chain, *batches).frame(80, 24)

    assert (head, ended, foot) == tuple(
        f"\x1b[{style}m{line}\x1b[0m" for style, line in ((BOLD, plain[0]), (DIM, plain[1]), (DIM, plain[3]))
    )
    assert there == plain[2]


# ------------------------------------------------------------------------------------------------------ on a terminal


class Terminal:
    """So much of a terminal as is needed to see what a person sees: margins, cursor, erasing.

    Source: as `meter.plugins.console.screen`.
    """

    _TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|\x1b([78D])|([\r\n])|([^\x1b\r\n]+)")

    def __init__(self, width: int = 40, height: int = 12) -> None:
        self.width, self.height = width, height
        self.lines = [""] * height
        self.gone: list[str] = []
        self.row = self.column = 0
        self.saved = (0, 0)
        self.margins = (0, height - 1)

    def feed(self, text: str) -> None:
        """Take what a program writes; a line end is also a carriage return, as the kernel has it."""
        end = 0
        for token in self._TOKEN.finditer(text):
            assert token.start() == end, text[end : token.start()]
            end = token.end()
            private, numbers, letter, escape, control, printed = token.groups()
            if escape == "7":
                self.saved = (self.row, self.column)
            elif escape == "8":
                self.row, self.column = self.saved
            elif escape == "D" or control == "\n":
                self._down()
                self.column = 0 if control else self.column
            elif control == "\r":
                self.column = 0
            elif printed:
                self._print(printed)
            elif not private:
                self._sequence(letter, [int(number) for number in numbers.split(";") if number])
        assert end == len(text)

    def _print(self, text: str) -> None:
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = (line[: self.column] + text + line[self.column + len(text) :])[: self.width]
        self.column = min(self.column + len(text), self.width - 1)

    def _down(self) -> None:
        top, bottom = self.margins
        if self.row == bottom:
            gone = self.lines.pop(top)
            self.lines.insert(bottom, "")
            self.gone += [gone] if top == 0 else []
        else:
            self.row = min(self.row + 1, self.height - 1)

    def _sequence(self, letter: str, numbers: list[int]) -> None:
        if letter == "r":
            top, bottom = numbers or (1, self.height)
            assert 1 <= top < bottom <= self.height
            self.margins = (top - 1, bottom - 1)
            self.row = self.column = 0
        elif letter == "H":
            self.row, self.column = numbers[0] - 1, numbers[1] - 1
        elif letter == "A":
            self.row = max(self.row - numbers[0], 0)
        elif letter == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            self.lines[self.row + 1 :] = [""] * (self.height - self.row - 1)
        elif letter == "K":
            self.lines[self.row] = ""
        else:
            assert letter in "mhl", letter


def test_a_drawing_stands_at_the_lower_end(canvas: tuple[Canvas, Terminal]) -> None:
    """What others write before and between drawings stays whole above it, and the cursor is theirs."""
    drawer, terminal = canvas
    terminal.feed("running\n")

    terminal.feed(drawer.draw(["one", "two"]))
    terminal.feed("error: a\n  long one\n")
    terminal.feed(drawer.draw(["three", "four"]))
    terminal.feed("half")
    terminal.feed(drawer.draw(["five", "six"]))
    terminal.feed(" a line\n")

    assert terminal.lines == ["running", "error: a", "  long one", "half a line", *[""] * 6, "five", "six"]


@pytest.fixture
def canvas() -> tuple[Canvas, Terminal]:
    """A canvas and the terminal that it is for."""
    terminal = Terminal()
    made = Canvas()
    made.resize(terminal.width, terminal.height)
    return made, terminal


def test_many_messages_scroll_above_it(canvas: tuple[Canvas, Terminal]) -> None:
    """They go where all lines of a terminal go, and none of them into the drawing."""
    drawer, terminal = canvas
    terminal.feed(drawer.draw(["one", "two"]))

    for nth in range(30):
        terminal.feed(f"message {nth}\n")
        terminal.feed(drawer.draw(["three", "four"]))

    assert terminal.lines[-3:] == ["", "three", "four"]
    assert [*terminal.gone, *terminal.lines[:-3]] == [f"message {nth}" for nth in range(30)]


def test_it_grows_and_does_not_shrink(canvas: tuple[Canvas, Terminal]) -> None:
    """More lines push up what stands above; fewer leave their places empty, so that nothing jumps."""
    drawer, terminal = canvas
    terminal.feed("".join(f"m{nth}\n" for nth in range(11)))

    terminal.feed(drawer.draw(["a"]))
    terminal.feed(drawer.draw(["b", "c", "d"]))
    assert (terminal.gone, terminal.lines) == (
        ["m0", "m1", "m2"],
        [*(f"m{nth}" for nth in range(3, 11)), "", "b", "c", "d"],
    )
    terminal.feed(drawer.draw(["e"]))

    assert terminal.lines[-4:] == ["", "e", "", ""]


def test_the_end_leaves_text_and_a_terminal_as_it_was(canvas: tuple[Canvas, Terminal]) -> None:
    """The last table stands where the cursor was, what is written then stands below, and everything scrolls again."""
    drawer, terminal = canvas
    terminal.feed("running\n")
    terminal.feed(drawer.draw(["one", "two"]))

    terminal.feed(drawer.finish(["three", "four"]))
    terminal.feed("ran\n")

    assert terminal.lines == ["running", "three", "four", "ran", *[""] * 8]
    assert terminal.margins == (0, 11)


@pytest.mark.parametrize(
    ("size", "room"),
    [((80, 24), (80, 18)), ((80, 4), (80, 2)), ((80, 3), (80, 0)), ((0, 0), (80, 18)), ((1, 1), (1, 0))],
)
def test_room_is_left_for_messages(size: tuple[int, int], room: tuple[int, int]) -> None:
    """A terminal that does not know its size is taken for the usual one; a tiny one is left alone."""
    canvas = Canvas()
    canvas.resize(*size)

    assert canvas.room == room


class Pty:
    """A real pseudo terminal; standard output while `with` lasts."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.master, self.slave = os.openpty()
        self.resize(width, height)
        self.text = ""

    def resize(self, width: int, height: int) -> None:
        """As a person who drags a corner of the window."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def until(self, seen: Callable[[str], object]) -> str:
        """Everything that was written, as soon as it has this."""
        end = time.monotonic() + DEADLINE_S
        while not seen(self.text):
            assert select.select([self.master], [], [], max(0.0, end - time.monotonic()))[0], self.text
            try:
                piece = os.read(self.master, 1 << 16)
            except OSError:  # the last program has closed it
                piece = b""
            assert piece, self.text
            self.text += piece.decode()
        return self.text

    def close(self) -> None:
        """Close both ends."""
        for file in (self.master, self.slave):
            if file >= 0:
                os.close(file)
        self.master = self.slave = -1


@pytest.fixture
def pty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pty]:
    """A terminal of 80 columns and 24 lines."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    made = Pty()
    yield made
    made.close()


def live(pty: Pty, *words: str) -> Chain:
    """The output on a terminal."""
    with standard_output(pty.slave):
        return mounted("every=100ms", *words)


def test_a_terminal_gets_a_table(pty: Pty) -> None:
    """It is kept up to date at its place, and the terminal is given back at the end."""
    chain = live(pty)
    chain.write([power(chain, SECOND, 5.0)], "console")
    pty.until(lambda text: "5 W" in text and text.endswith("\x1b8"))
    chain.write([power(chain, 2 * SECOND, 7.0)], "console")
    pty.until(lambda text: "7 W" in text and text.endswith("\x1b8"))
    plugin(chain).flush()
    plugin(chain).stop()

    terminal = Terminal(80, 24)
    terminal.feed(pty.until(lambda text: text.endswith("\r\n")))

    assert [line.split() for line in terminal.lines if line] == [
        ["metric", "series", "value"],
        ["hw.power", "machine", "of=cpu", "7", "W"],
        ["22:13:22Z", "1", "series"],
    ]
    assert terminal.margins == (0, 23)


def test_a_change_of_size_is_followed(pty: Pty) -> None:
    """Without a new value, too."""
    chain = live(pty)
    chain.write(many(chain, 100), "console")
    pty.until(lambda text: "16 of 100 series shown" in text)

    pty.resize(60, 12)

    text = pty.until(lambda text: "7 of 100 series shown" in text)
    plugin(chain).stop()
    assert "\x1b[1;3r" in text


def test_a_terminal_that_has_gone(pty: Pty) -> None:
    """A closed window ends the output, which is no failure."""
    chain = live(pty)
    chain.write([power(chain, SECOND, 5.0)], "console")
    pty.until(lambda text: "5 W" in text)
    pty.close()
    chain.write([power(chain, 2 * SECOND, 5.0)], "console")
    thread = plugin(chain)._screen._thread  # type: ignore[union-attr]
    thread.join(DEADLINE_S)

    with pytest.raises(Gone):
        chain.write([power(chain, 3 * SECOND, 5.0)], "console")
    plugin(chain).stop()


def test_a_terminal_that_was_halted_stops_nobody(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-S: neither a batch nor the end waits for Ctrl-Q."""
    monkeypatch.setattr(screens, "JOIN_S", 0.05)
    chain = live(pty)
    termios.tcflow(pty.slave, termios.TCOOFF)

    for nth in range(1, 50):
        chain.write(many(chain, nth), "console")
    plugin(chain).stop()

    assert select.select([pty.master], [], [], 0)[0] == []
    termios.tcflow(pty.slave, termios.TCOON)


def test_two_tables_share_a_terminal(pty: Pty) -> None:
    """Of two mounts in one run, each has its part, and both stand there at the end."""
    first, second = live(pty), live(pty)
    first.write([power(first, SECOND, 5.0)], "console")
    second.write(many(second, 100), "console")
    pty.until(lambda text: re.search(r"5 W.*of 100 series shown[^\n]*\x1b8$", text))
    plugin(first).stop()
    plugin(second).stop()

    terminal = Terminal(80, 40)
    terminal.feed(pty.until(lambda text: text.endswith("\r\n")).rpartition("\x1b[J")[2])

    lines = [line for line in terminal.lines if line]
    assert [lines[0].split()[0], lines[1].split()[-2:], lines[2].split()[-1]] == ["metric", ["5", "W"], "series"]
    assert "of 100 series shown" in lines[-1]


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_can_nothing_gets_lines(pty: Pty, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """TERM=dumb, and none."""
    monkeypatch.setenv("TERM", term)
    chain = live(pty)

    chain.write([power(chain, SECOND, 5.0)], "console")
    plugin(chain).stop()

    assert pty.until(lambda text: "\n" in text) == "2023-11-14T22:13:21.000Z  hw.power  machine of=cpu  5 W\r\n"


def test_no_color(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR leaves the table, without bold and dim."""
    monkeypatch.setenv("NO_COLOR", "1")
    chain = live(pty)
    chain.write([power(chain, SECOND, 5.0)], "console")

    text = pty.until(lambda text: "1 series" in text)
    plugin(chain).stop()

    assert re.findall(r"\x1b\[[0-9;]*m", text) == []


def end_of(command: list[str], act: Callable[[subprocess.Popen[bytes]], object]) -> tuple[str, int]:
    """What a program wrote to its terminal, and how it ended, after something was done once its table is there."""
    pty = Pty()
    end = pty.slave
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=end, stderr=end, env=ENVIRONMENT) as process:
        os.close(pty.slave)
        pty.slave = -1
        pty.until(lambda text: "series" in text)
        act(process)
        try:
            while True:
                pty.text += os.read(pty.master, 1 << 16).decode()
        except OSError:  # it has ended
            pass
        code = process.wait(DEADLINE_S)
    pty.close()
    return pty.text, code


def test_ctrl_c_leaves_a_terminal_as_it_was(tmp_path: Path) -> None:
    """The real command: what it says itself stands above and below the table, and is not in it."""
    meter = [sys.executable, "-c", "import sys; sys.argv[0] = 'meter'; from meter.cli.main import main; main()"]
    file = ["--file", str(tmp_path / "meter.toml")]
    options = ["memory", "interval=50ms", "console", "every=100ms"]
    subprocess.run([*meter, "mount", *file, "/m", *options], check=True, env=ENVIRONMENT, capture_output=True)

    text, code = end_of([*meter, "run", *file, "/m"], lambda process: process.send_signal(2))

    terminal = Terminal(80, 24)
    terminal.feed(text)
    lines = [line for line in terminal.lines if line]
    assert code == 0
    assert terminal.margins == (0, 23)
    assert lines[0] == "running /m: memory -> console"
    assert lines[1].startswith("metric ")
    assert lines[-1].startswith("ran /m for ")


RAISES = """
import sys
from tests.plugins.test_console import SECOND, mounted, power
chain = mounted("every=100ms")
chain.write([power(chain, SECOND, 5.0)], "console")
sys.stdin.readline()
raise RuntimeError("nobody has called stop")
"""


def test_an_exception_leaves_a_terminal_as_it_was() -> None:
    """Where nobody calls `stop`, the end of the interpreter gives the terminal back."""
    text, code = end_of([sys.executable, "-c", RAISES], lambda process: process.communicate(b"\n"))

    terminal = Terminal(80, 24)
    terminal.feed(text)
    assert code == 1
    assert "RuntimeError: nobody has called stop" in terminal.lines
    assert terminal.margins == (0, 23)


def test_it_loads_neither_numpy_nor_rich() -> None:
    """It starts before the measured command does, and draws by itself."""
    code = "import sys, meter.plugins.console.plugin; print({'numpy', 'rich', 'orjson'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=ENVIRONMENT, text=True)

    assert done.stdout == "set()\n"
