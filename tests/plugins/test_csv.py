"""The output `csv`."""

from __future__ import annotations

import csv
import datetime as dt
import fcntl
import io
import itertools
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.batch import Batch, Block
from meter.core.plugin import Gone, Missing
from meter.core.readings import Row
from meter.plugins.csv.plugin import HEADER, Csv
from tests.plugins.chain import ANCHOR, SECOND, Chain, metric, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meter.core.readings import Columns

METRICS = [metric("net.io", "delta", "u64", "By"), metric("hw.power", "gauge", "f64", "W"), metric("i", "gauge", "i64")]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def mounted(path: Path | str, *words: str) -> Chain:
    """The output on a path."""
    return Chain(METRICS, *words, "csv", f"path={path}")


def plugin(chain: Chain) -> Csv:
    """The output itself."""
    made: Csv = chain.outputs["csv"].plugin
    return made


class Point(NamedTuple):
    """One line, read back."""

    wall_ns: int
    metric: str
    value: float | None
    unit: str
    kind: str
    resource: tuple[str, str]
    consumer: tuple[str, str]
    attributes: tuple[tuple[str, str], ...]
    quality: str


def points(text: bytes) -> list[Point]:
    """The lines of a file as a consumer reads them; the last one only if it is whole."""
    whole = text[: text.rfind(b"\n") + 1].decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(whole, newline=""), strict=True))
    assert all(len(row) == 9 and None not in row.values() for row in rows)
    return [
        Point(
            wall_ns=_wall(row["time"]),
            metric=unquote(row["metric"]),
            value=_number(row["value"]),
            unit=unquote(row["unit"]),
            kind=row["kind"],
            resource=_entity(row["resource"]),
            consumer=_entity(row["consumer"]),
            attributes=tuple(
                (_text(name), _text(value))
                for name, _, value in (pair.partition("=") for pair in row["attributes"].split(";") if pair)
            ),
            quality=row["quality"],
        )
        for row in rows
    ]


def _wall(text: str) -> int:
    seconds, _, rest = text.removesuffix("Z").partition(".")
    assert len(rest) == 9
    passed = dt.datetime.fromisoformat(f"{seconds}+00:00") - EPOCH
    return (passed.days * 86400 + passed.seconds) * SECOND + int(rest)


def _number(text: str) -> float | None:
    if not text:
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _text(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def _entity(text: str) -> tuple[str, str]:
    kind, _, id_ = text.partition("/")
    return _text(kind), _text(id_)


def wanted(batch: Batch) -> list[Point]:
    """The points of a batch, in no particular order within a row."""
    found = []
    for block in batch.blocks:
        for row, key, value in block.points():
            missing = isinstance(value, Missing)
            found.append(
                Point(
                    batch.anchor.wall(int(block.ts[row])),
                    key.metric.name,
                    None if missing else value,  # type: ignore[arg-type]
                    key.metric.unit,
                    key.metric.kind,
                    key.resource,
                    key.consumer,
                    key.attributes,
                    "missing" if missing else key.metric.quality,
                )
            )
    return found


def columns(chain: Chain) -> Columns:
    """One column of each type."""
    return chain.columns(chain.key("net.io", "eth0"), chain.key("hw.power", "cpu"), chain.key("i", "x", nic="3"))


def test_a_file_as_it_is_read(tmp_path: Path) -> None:
    """The form that is promised: columns, nanoseconds, kinds with ids, escapes, missing cells."""
    chain = mounted(tmp_path / "x.csv")
    odd = chain.declared.key("hw.power", "/mnt/a, b", "/sys.slice", "filesystem", "cgroup", {"of": 'ä;=%"\r\n'})
    columns_ = chain.columns(odd, chain.key("net.io", "eth0"))

    chain.write([Row(columns_, 1, 0, [0.1, 2**64 - 1]), Row(columns_, SECOND, 1, [Missing("EIO"), 0])], "csv")

    assert (tmp_path / "x.csv").read_text("utf-8").splitlines() == [
        "time,metric,value,unit,kind,resource,consumer,attributes,quality",
        (
            "2023-11-14T22:13:20.000000001Z,hw.power,0.1,W,gauge,"
            "filesystem/%2Fmnt%2Fa%2C b,cgroup/%2Fsys.slice,of=ä%3B%3D%25%22%0D%0A,measured"
        ),
        "2023-11-14T22:13:20.000000001Z,net.io,18446744073709551615,By,delta,machine,machine,of=eth0,measured",
        (
            "2023-11-14T22:13:21.000000000Z,hw.power,,W,gauge,"
            "filesystem/%2Fmnt%2Fa%2C b,cgroup/%2Fsys.slice,of=ä%3B%3D%25%22%0D%0A,missing"
        ),
        "2023-11-14T22:13:21.000000000Z,net.io,0,By,delta,machine,machine,of=eth0,measured",
    ]


@pytest.mark.parametrize(
    ("unit", "text"),
    [("%", "%"), ("By/s", "By/s"), ("{a,b}", "{a%2Cb}"), ("{%2C}", "{%252C}"), ("{ä=;}", "{ä=;}")],
)
def test_units_are_readable(tmp_path: Path, unit: str, text: str) -> None:
    """A unit is itself wherever that is unambiguous."""
    chain = Chain([metric("m", "gauge", "f64", unit)], "csv", f"path={tmp_path / 'x.csv'}")

    chain.write([Row(chain.columns(chain.key("m")), 1, 0, [1.5])], "csv")

    assert text == (tmp_path / "x.csv").read_text("utf-8").splitlines()[1].split(",")[3]
    assert [unit] == [point.unit for point in points((tmp_path / "x.csv").read_bytes())]


def test_only_what_is_routed_to_it_is_written(tmp_path: Path) -> None:
    """Columns of a matrix that `metrics` does not select are not written."""
    chain = Chain(METRICS, "csv", f"path={tmp_path / 'x.csv'}", "metrics=hw.*{of=b}", "metrics=hw.*{of=d}")
    keys = [*(chain.key("hw.power", of) for of in "abcd"), chain.key("net.io")]

    chain.write([Row(chain.columns(*keys), 1, 0, [1.0, 2.0, 3.0, Missing("EIO"), 5])], "csv")

    assert [point.value for point in points((tmp_path / "x.csv").read_bytes())] == [2.0, None]


def test_what_is_no_number_is_missing_even_where_a_block_does_not_say_so(tmp_path: Path) -> None:
    """A filter that makes blocks by itself may forget the mask."""
    chain = mounted(tmp_path / "x.csv")
    (block,) = chain.blocks([Row(chain.columns(chain.key("hw.power"), chain.key("hw.power", "b")), 1, 0, [1.0, 2.0])])
    broken = Block(block.layout, block.ts, block.since, (np.array([[np.nan, np.inf]]),))

    plugin(chain).write(Batch((broken,), ANCHOR, 1))

    assert [(point.value, point.quality) for point in points((tmp_path / "x.csv").read_bytes())] == [
        (None, "missing")
    ] * 2


def test_bytes_of_a_name_that_are_no_utf8(tmp_path: Path) -> None:
    """A path may hold any bytes; the file is UTF-8 all the same, and tells them apart."""
    chain = mounted(tmp_path / "x.csv")
    name = os.fsdecode(b"a\xff")

    chain.write([Row(chain.columns(chain.key("hw.power", name), chain.key("hw.power", "\ud800")), 1, 0, [1, 2])], "csv")

    first, second = points((tmp_path / "x.csv").read_bytes())
    assert (("of", name),) == first.attributes
    assert b"of=%ED%A0%80," in (tmp_path / "x.csv").read_bytes()
    assert second.value == 2


ROWS = st.lists(
    st.tuples(
        st.integers(1, 10**12),
        st.none() | st.integers(0, 2**64 - 1),
        st.floats(),
        st.none() | st.integers(-(2**63), 2**63 - 1),
    ),
    min_size=1,
    max_size=8,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(rows=ROWS, texts=st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_what_is_read_back_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]], texts: list[str]
) -> None:
    """Any number, missing or not, and any text: the csv module gives the same points."""
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    chain = mounted(path)
    columns_ = chain.columns(
        chain.key("net.io", texts[0]), chain.key("hw.power", texts[1]), chain.key("i", nic=texts[0])
    )
    ends = list(itertools.accumulate(length for length, *_ in rows))
    batch = chain.batch(
        Row(columns_, end, end - length, values) for end, (length, *values) in zip(ends, rows, strict=True)
    )

    plugin(chain).write(batch)
    plugin(chain).stop()

    assert sorted(wanted(batch), key=str) == sorted(points(path.read_bytes()), key=str)


def test_blocks_that_are_written_in_pieces(tmp_path: Path) -> None:
    """A block of many rows and types has each line once, in the order of time, with its gaps at their places."""
    chain = mounted(tmp_path / "x.csv")
    values = [[nth, nth / 7 if nth % 1000 else None, -nth if nth % 777 else None] for nth in range(5000)]
    batch = chain.batch(Row(columns(chain), nth + 1, nth, value) for nth, value in enumerate(values))

    plugin(chain).write(batch)

    found = points((tmp_path / "x.csv").read_bytes())
    assert sorted(wanted(batch), key=str) == sorted(found, key=str)
    assert sorted(point.wall_ns for point in found) == [point.wall_ns for point in found]


# ------------------------------------------------------------------------------------------------------------- files


def test_it_appends(tmp_path: Path) -> None:
    """A second run goes on where the first one ended, with one header."""
    for nth in range(2):
        chain = mounted(tmp_path / "x.csv")
        chain.write([Row(columns(chain), nth + 1, nth, [nth, 1.0, 0])], "csv")
        plugin(chain).stop()

    text = (tmp_path / "x.csv").read_bytes()
    assert text.count(HEADER) == 1
    assert [point.value for point in points(text) if point.metric == "net.io"] == [0, 1]


@pytest.mark.parametrize(
    "text", [b"time,value\n1,2\n", b"no newline", HEADER[:-1] + b",x\n", HEADER[:-1] + b"\r\n", b"\n"]
)
def test_a_file_with_other_columns_is_refused(tmp_path: Path, text: bytes) -> None:
    """What is not its own is never changed; the error says what is there, and what to do."""
    (tmp_path / "x.csv").write_bytes(text)

    with pytest.raises(ValueError, match=r"`.*x\.csv` begins with .*; move it away or take another path"):
        mounted(tmp_path / "x.csv")

    assert text == (tmp_path / "x.csv").read_bytes()


def test_two_meters_do_not_share_a_file(tmp_path: Path) -> None:
    """The second one is refused while the first one writes, and may write afterwards."""
    first = mounted(tmp_path / "x.csv")

    with pytest.raises(BlockingIOError, match=r"`.*x\.csv` is being written by another output or another meter"):
        mounted(tmp_path / "x.csv")

    plugin(first).stop()
    plugin(mounted(tmp_path / "x.csv")).stop()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the path, before anything is measured."""
    with pytest.raises(FileNotFoundError, match=r"nowhere/x\.csv"):
        mounted(tmp_path / "nowhere" / "x.csv")
    with pytest.raises(IsADirectoryError):
        mounted(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        mounted("/dev/full")
    assert refusals(METRICS, "csv") == ["E-CONFIG-MISSING"]


def test_a_file_that_others_have_emptied_gets_its_header_again(tmp_path: Path) -> None:
    """Rotation by copy and truncate leaves a file that can be read."""
    chain = mounted(tmp_path / "x.csv")
    chain.write([Row(columns(chain), 1, 0, [1, 1.0, 0])], "csv")
    os.truncate(tmp_path / "x.csv", 0)

    chain.write([Row(columns(chain), 2, 1, [2, 1.0, 0])], "csv")

    assert {2} == {point.value for point in points((tmp_path / "x.csv").read_bytes()) if point.metric == "net.io"}


def test_a_file_cut_anywhere_never_gives_a_wrong_number(tmp_path: Path) -> None:
    """Cut at each of its bytes, as kill -9 may do, and gone on with: each line is one that was written."""
    path = tmp_path / "x.csv"
    chain = mounted(path)
    before = chain.batch([Row(columns(chain), nth + 1, nth, [nth, nth * 1.41421, -nth]) for nth in range(2)])
    after = chain.batch([Row(columns(chain), 9, 8, [9, None, 9])])
    output = plugin(chain)
    output.write(before)
    output.stop()
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)[1:]

    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        output.start(None)  # type: ignore[arg-type]
        output.write(after)
        output.stop()
        kept = (
            sum(end <= length for end in itertools.accumulate((len(line) for line in lines), initial=len(HEADER))) - 1
        )
        assert path.read_bytes().startswith(HEADER + b"".join(lines[: max(0, kept)]))
        assert points(whole)[: max(0, kept)] == points(path.read_bytes())[:-3]
        assert sorted(wanted(after), key=str) == sorted(points(path.read_bytes())[-3:], key=str)


@pytest.mark.parametrize("length", [1, 1 << 16, 200_000])
def test_a_torn_line_of_any_length_is_cut_off(tmp_path: Path, length: int) -> None:
    """However far back the last newline is."""
    (tmp_path / "x.csv").write_bytes(HEADER + b"a" * length)

    plugin(mounted(tmp_path / "x.csv")).stop()

    assert (tmp_path / "x.csv").read_bytes() == HEADER


# ------------------------------------------------------------------------------------------------------------- faults

FULL = """
import resource, sys
from pathlib import Path
from meter.core.readings import Row
from tests.plugins.chain import Chain, metric

path, limit = sys.argv[1], int(sys.argv[2])
chain = Chain([metric("m", "delta")], "csv", f"path={path}")
columns = chain.columns(*[chain.key("m", str(nth)) for nth in range(100)])
output = chain.outputs["csv"].plugin
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
good = b""
for nth in range(1, 1000):
    batch = chain.batch([Row(columns, nth, nth - 1, [nth] * 100)])
    try:
        output.write(batch)
    except OSError as error:
        print(type(error).__name__, error.errno)
        break
    good = Path(path).read_bytes()
assert Path(path).read_bytes() == good, "a half written batch was left"
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
else:
    Path(path).with_name("ballast").unlink()
output.write(batch)
output.stop()
print(nth)
"""


def filled(path: Path, limit: int) -> list[str]:
    """What a process says that writes until the file or its file system is full, and once more when there is room."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(limit)], check=True, capture_output=True, env=environment, text=True
    )
    return done.stdout.splitlines()


def whole(path: Path, batches: int) -> None:
    """Each of the batches is in the file, once."""
    counted = [point.value for point in points(path.read_bytes())]
    assert [nth for nth in range(1, batches + 1) for _ in range(100)] == counted
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("limit", [20_000, 20_001, 33_333])
def test_a_file_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    """EFBIG: the half that was written is taken back, so that the retry neither tears a line nor writes one twice."""
    said, last = filled(tmp_path / "x.csv", limit)

    assert said == "OSError 27"
    whole(tmp_path / "x.csv", int(last))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "meter", str(tmp_path)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_file_system(small: Path) -> None:
    """ENOSPC, as EFBIG: nothing torn, nothing lost, nothing twice."""
    (small / "ballast").write_bytes(b"x" * 20_000)

    said, last = filled(small / "x.csv", 0)

    assert said == "OSError 28"
    whole(small / "x.csv", int(last))


KILLED = """
import sys
from meter.core.readings import Row
from tests.plugins.chain import Chain, metric

chain = Chain([metric("m", "delta")], "csv", f"path={sys.argv[1]}")
columns = chain.columns(*[chain.key("m", str(nth)) for nth in range(100)])
for nth in range(1, 1_000_000):
    chain.write([Row(columns, nth, nth - 1, [nth] * 100)], "csv")
    print(nth, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """After `write` has returned no end of the process loses it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "x.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "50\n":
                process.send_signal(signal.SIGKILL)
                break
        acknowledged = max([50, *(int(line) for line in process.stdout if line.endswith("\n"))])

    plugin(mounted(tmp_path / "x.csv")).stop()

    found = [int(point.value or 0) for point in points((tmp_path / "x.csv").read_bytes())]
    assert [nth for nth in range(1, acknowledged + 1) for _ in range(100)] == found[: acknowledged * 100]
    assert sorted(found) == found


# ------------------------------------------------------------------------------------------------------------- pipes


def test_a_pipe_that_is_full_for_a_while(tmp_path: Path) -> None:
    """What cannot be taken back is gone on with: the reader gets every byte once."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    chain = mounted(tmp_path / "pipe")
    output = plugin(chain)
    fcntl.fcntl(output._file, fcntl.F_SETFL, os.O_NONBLOCK)
    batches = [
        chain.batch(
            [Row(columns(chain), 1000 * part + nth + 1, 1000 * part + nth, [nth, 0.1, 0]) for nth in range(1000)]
        )
        for part in range(2)
    ]

    got = b""
    tries = 0
    for batch in batches:
        while True:
            tries += 1
            try:
                output.write(batch)
            except BlockingIOError:
                got += os.read(reader, 50_000)
            else:
                break
    output.stop()
    while piece := os.read(reader, 1 << 20):
        got += piece
    os.close(reader)

    assert tries > 4
    assert got.startswith(HEADER)
    assert [point.wall_ns for batch in batches for point in wanted(batch)] == [point.wall_ns for point in points(got)]
    assert sorted([point for batch in batches for point in wanted(batch)], key=str) == sorted(points(got), key=str)


def test_a_batch_that_was_given_up_leaves_no_torn_line(tmp_path: Path) -> None:
    """The next batch comes after the rest of the one before."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    chain = mounted(tmp_path / "pipe")
    output = plugin(chain)
    fcntl.fcntl(output._file, fcntl.F_SETFL, os.O_NONBLOCK)
    big = chain.batch([Row(columns(chain), nth + 1, nth, [nth, 0.1, 0]) for nth in range(500)])
    small_ = chain.batch([Row(columns(chain), 501, 500, [1, 0.1, 0])])
    with pytest.raises(BlockingIOError):
        output.write(big)
    got = os.read(reader, 1 << 20)

    output.write(small_)
    output.stop()
    got += os.read(reader, 1 << 20)
    os.close(reader)

    assert sorted(wanted(big) + wanted(small_), key=str) == sorted(points(got), key=str)


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    """A closed pipe ends the output: it never opens again, so trying once more would be in vain."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    chain = mounted(tmp_path / "pipe")
    os.close(reader)

    with pytest.raises(Gone):
        chain.write([Row(columns(chain), 1, 0, [1, 1.0, 0])], "csv")
    plugin(chain).stop()


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    """Two outputs on the same terminal do not lock each other out, and leave it open."""
    for _ in range(2):
        chain = mounted("/dev/stdout")
        chain.write([Row(columns(chain), 1, 0, [1, 1.0, 0])], "csv")
        plugin(chain).stop()

    text = capfd.readouterr().out
    assert text.count(HEADER.decode()) == 2
    assert text.count("\n") == 8


def test_it_loads_no_numpy() -> None:
    """It starts before the measured command does."""
    modules = "meter.plugins.csv.plugin, meter.plugins.collect.plugin"
    code = f"import sys, {modules}; print({{'numpy', 'orjson'}} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment, text=True)

    assert done.stdout == "set()\n"


def test_a_file_that_is_deleted_meanwhile_is_made_again(tmp_path: Path) -> None:
    """What is written after somebody has deleted the file is in a new one of the same name, header first."""
    path = tmp_path / "host.csv"
    chain = mounted(path)
    output = plugin(chain)
    columns = chain.columns(chain.key("hw.power"))
    output.write(chain.batch([Row(columns, SECOND, 0, [1.0])]))
    path.unlink()

    output.write(chain.batch([Row(columns, 2 * SECOND, SECOND, [2.0])]))
    output.stop()

    header, line = path.read_bytes().splitlines(keepends=True)
    assert header == HEADER
    assert line.split(b",")[2] == b"2.0"
