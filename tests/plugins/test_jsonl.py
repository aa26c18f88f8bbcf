"""The output `jsonl`."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.batch import Batch, Block
from meter.core.plugin import Gone, Missing
from meter.core.readings import Row
from meter.plugins.csv.plugin import HEADER
from meter.plugins.jsonl.plugin import JsonLines
from tests.plugins.chain import ANCHOR, SECOND, Chain, metric, refusals

if TYPE_CHECKING:
    from pathlib import Path

    from meter.core.keys import Key
    from meter.core.readings import Columns

METRICS = [metric("net.io", "delta", "u64", "By"), metric("hw.power", "gauge", "f64", "W"), metric("i", "gauge", "i64")]
FIELDS = [*HEADER.decode().strip().split(","), "reason"]


def mounted(path: Path | str) -> Chain:
    """The output on a path."""
    return Chain(METRICS, "jsonl", f"path={path}")


def plugin(chain: Chain) -> JsonLines:
    """The output itself."""
    made: JsonLines = chain.outputs["jsonl"].plugin
    return made


def objects(text: bytes) -> list[dict[str, Any]]:
    """The lines as a consumer reads them; the last one only if it is whole."""
    return [json.loads(line) for line in text.decode("utf-8").split("\n")[:-1]]


def columns(chain: Chain) -> Columns:
    """One column of each type."""
    return chain.columns(chain.key("net.io", "eth0"), chain.key("hw.power", "cpu"), chain.key("i", "x", nic="3"))


def point(key: Key, value: float | Missing) -> tuple[Any, ...]:
    """What must be told of a cell: numbers with their type, as 1 and 1.0 are different texts."""
    gone = isinstance(value, Missing)
    return (
        key.metric.name,
        None if gone else (type(value).__name__, value),
        key.resource,
        dict(key.attributes),
        "missing" if gone else key.metric.quality,
        (value.reason or None) if isinstance(value, Missing) else None,
    )


def told(line: dict[str, Any]) -> tuple[Any, ...]:
    """The same, read back."""
    kind, _, id_ = line["resource"].partition("/")
    value = line["value"]
    return (
        _text(line["metric"]),
        None if value is None else (type(value).__name__, value),
        (kind, _text(id_)),
        {_text(name): _text(text) for name, text in line["attributes"].items()},
        line["quality"],
        None if line["reason"] is None else _text(line["reason"]),
    )


def _text(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def test_a_file_as_it_is_read(tmp_path: Path) -> None:
    """The form that is promised: fields, nanoseconds, kinds with ids, nested attributes, missing cells."""
    chain = mounted(tmp_path / "x.jsonl")
    odd = chain.declared.key("hw.power", "/mnt/a, b", "/sys.slice", "filesystem", "cgroup", {"of": 'ä;=%"\r\n'})
    columns_ = chain.columns(odd, chain.key("net.io", "eth0"))

    chain.write([Row(columns_, 1, 0, [0.1, 2**64 - 1]), Row(columns_, SECOND, 1, [Missing("EIO"), None])], "jsonl")

    power = '"resource":"filesystem//mnt/a, b","consumer":"cgroup//sys.slice","attributes":{"of":"ä;=%\\"\\r\\n"}'
    io = '"unit":"By","kind":"delta","resource":"machine","consumer":"machine","attributes":{"of":"eth0"}'
    first, second = '{"time":"2023-11-14T22:13:20.000000001Z"', '{"time":"2023-11-14T22:13:21.000000000Z"'
    assert (tmp_path / "x.jsonl").read_text("utf-8").splitlines() == [
        f'{first},"metric":"hw.power","value":0.1,"unit":"W","kind":"gauge",{power},"quality":"measured","reason":null}}',
        f'{first},"metric":"net.io","value":18446744073709551615,{io},"quality":"measured","reason":null}}',
        f'{second},"metric":"hw.power","value":null,"unit":"W","kind":"gauge",{power},"quality":"missing","reason":"EIO"}}',
        f'{second},"metric":"net.io","value":null,{io},"quality":"missing","reason":null}}',
    ]


def test_fields_are_the_columns_of_csv(tmp_path: Path) -> None:
    """In the same order in every line, missing or not, so that a reader that guesses a schema guesses it right."""
    chain = mounted(tmp_path / "x.jsonl")

    chain.write([Row(columns(chain), 1, 0, [1, Missing("EIO"), -1])], "jsonl")

    assert [list(line) for line in objects((tmp_path / "x.jsonl").read_bytes())] == [FIELDS] * 3


def test_a_reason_stands_at_its_own_value(tmp_path: Path) -> None:
    """Also in a block of several matrices and many rows, of which only some columns are taken."""
    chain = Chain(METRICS, "jsonl", f"path={tmp_path / 'x.jsonl'}", "metrics=hw.*", "metrics=i")
    values = [
        [nth, Missing(f"power {nth}") if nth % 3 == 0 else 1.0, Missing(f"i {nth}") if nth % 1000 == 1 else nth]
        for nth in range(5000)
    ]

    chain.write([Row(columns(chain), nth + 1, nth, value) for nth, value in enumerate(values)], "jsonl")

    found = objects((tmp_path / "x.jsonl").read_bytes())
    assert [line["reason"] for line in found if line["metric"] == "hw.power"] == [
        None if nth % 3 else f"power {nth}" for nth in range(5000)
    ]
    assert [line["reason"] for line in found if line["metric"] == "i"] == [
        f"i {nth}" if nth % 1000 == 1 else None for nth in range(5000)
    ]


def test_what_is_no_number_is_null_even_where_a_block_does_not_say_so(tmp_path: Path) -> None:
    """NaN and infinities are no JSON; a filter that makes blocks by itself may forget the mask."""
    chain = mounted(tmp_path / "x.jsonl")
    (block,) = chain.blocks([Row(chain.columns(chain.key("hw.power"), chain.key("hw.power", "b")), 1, 0, [1.0, 2.0])])

    plugin(chain).write(
        Batch((Block(block.layout, block.ts, block.since, (np.array([[np.nan, np.inf]]),)),), ANCHOR, 1)
    )

    found = objects((tmp_path / "x.jsonl").read_bytes())
    assert [(line["value"], line["quality"], line["reason"]) for line in found] == [(None, "missing", None)] * 2


def test_bytes_of_a_name_that_are_no_utf8(tmp_path: Path) -> None:
    """A path may hold any bytes; each line is valid JSON in UTF-8 all the same, and tells them apart."""
    chain = mounted(tmp_path / "x.jsonl")
    names = [os.fsdecode(b"a\xff"), "a%FF", "a%", "50%25", "\ud800", "\u2028"]
    keys = [chain.key("hw.power", name) for name in names]

    chain.write([Row(chain.columns(*keys), 1, 0, [Missing(os.fsdecode(b"no \xfe")), *[1.0] * 5])], "jsonl")

    found = objects((tmp_path / "x.jsonl").read_bytes())
    written = [line["attributes"]["of"] for line in found]
    assert sorted(written) == sorted(["a%FF", "a%25FF", "a%", "50%2525", "%ED%A0%80", "\u2028"])
    assert {_text(name) for name in written if name != "%ED%A0%80"} == {*names} - {"\ud800"}
    assert "no %FE" in {line["reason"] for line in found}
    assert (tmp_path / "x.jsonl").read_bytes().count(b"\n") == len(names)


ROWS = st.lists(
    st.tuples(
        st.integers(1, 10**12),
        st.none() | st.integers(0, 2**64 - 1),
        st.floats() | st.text(min_size=1).map(Missing),
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
    """Any number, missing or not, and any text: the json module gives the same points, bit for bit."""
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
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

    wanted = [point(key, value) for block in batch.blocks for _, key, value in block.points()]
    assert sorted(wanted, key=repr) == sorted(map(told, objects(path.read_bytes())), key=repr)


# ------------------------------------------------------------------------------------------------------------- files


def test_it_appends(tmp_path: Path) -> None:
    """A second run goes on where the first one ended."""
    for nth in range(2):
        chain = mounted(tmp_path / "x.jsonl")
        chain.write([Row(columns(chain), nth + 1, nth, [nth, 1.0, 0])], "jsonl")
        plugin(chain).stop()

    found = objects((tmp_path / "x.jsonl").read_bytes())
    assert [line["value"] for line in found if line["metric"] == "net.io"] == [0, 1]


def test_a_file_cut_anywhere_never_gives_a_wrong_number(tmp_path: Path) -> None:
    """Cut at each of its bytes, as kill -9 may do, and gone on with: each line is one that was written."""
    path = tmp_path / "x.jsonl"
    chain = mounted(path)
    before = chain.batch([Row(columns(chain), nth + 1, nth, [nth, nth * 1.41421, -nth]) for nth in range(2)])
    after = chain.batch([Row(columns(chain), 9, 8, [9, None, 9])])
    output = plugin(chain)
    output.write(before)
    output.stop()
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"")
    output.start(None)  # type: ignore[arg-type]
    output.write(after)
    output.stop()
    last = path.read_bytes()

    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        output.start(None)  # type: ignore[arg-type]
        output.write(after)
        output.stop()
        kept = sum(end <= length for end in itertools.accumulate(len(line) for line in lines))
        assert path.read_bytes() == b"".join(lines[:kept]) + last


@pytest.mark.parametrize(
    "text",
    [
        HEADER,
        b'{"a": 1}\n',
        b'{"time": "2023-11-14T22:13:20.000000001Z", "metric": "m"}\n',
        b'{"time":"2023-11-14T22:13:20Z","level":"INFO","msg":"started"}\n',  # a log that begins alike
        b"[]",
        b"\n",
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: bytes) -> None:
    """What is not its own is never changed; the error says what is there, and what to do."""
    (tmp_path / "x.jsonl").write_bytes(text)

    with pytest.raises(ValueError, match=r"`.*x\.jsonl` begins with .*; move it away or take another path"):
        mounted(tmp_path / "x.jsonl")

    assert text == (tmp_path / "x.jsonl").read_bytes()


def test_two_meters_do_not_share_a_file(tmp_path: Path) -> None:
    """The second one is refused while the first one writes."""
    first = mounted(tmp_path / "x.jsonl")

    with pytest.raises(BlockingIOError, match=r"`.*x\.jsonl` is being written by another output or another meter"):
        mounted(tmp_path / "x.jsonl")

    plugin(first).stop()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the path, before anything is measured."""
    with pytest.raises(FileNotFoundError, match=r"nowhere/x\.jsonl"):
        mounted(tmp_path / "nowhere" / "x.jsonl")
    with pytest.raises(IsADirectoryError):
        mounted(tmp_path)
    assert refusals(METRICS, "jsonl") == ["E-CONFIG-MISSING"]


def test_a_full_device() -> None:
    """The error reaches the engine, which keeps the batch."""
    chain = mounted("/dev/full")

    with pytest.raises(OSError, match="No space left"):
        chain.write([Row(columns(chain), 1, 0, [1, 1.0, 0])], "jsonl")
    plugin(chain).stop()


LIMITED = """
import resource, sys
from pathlib import Path
from meter.core.readings import Row
from tests.plugins.chain import Chain, metric

path = sys.argv[1]
chain = Chain([metric("m", "delta")], "jsonl", f"path={path}")
columns = chain.columns(*[chain.key("m", str(nth)) for nth in range(100)])
output = chain.outputs["jsonl"].plugin
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
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
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
output.write(batch)
output.stop()
print(nth)
"""


@pytest.mark.parametrize("limit", [50_000, 50_001, 77_777])
def test_a_file_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    """EFBIG: the half that was written is taken back, so that the retry neither tears a line nor writes one twice."""
    path = tmp_path / "x.jsonl"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(limit)],
        check=True,
        capture_output=True,
        env=environment,
        text=True,
    )

    said, last = done.stdout.splitlines()
    assert said == "OSError 27"
    assert [line["value"] for line in objects(path.read_bytes())] == [
        nth for nth in range(1, int(last) + 1) for _ in range(100)
    ]


# ------------------------------------------------------------------------------------------------------------- pipes


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    """A closed pipe ends the output: it never opens again, so trying once more would be in vain."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    chain = mounted(tmp_path / "pipe")
    chain.write([Row(columns(chain), 1, 0, [1, 1.0, 0])], "jsonl")
    got = os.read(reader, 1 << 16)
    os.close(reader)

    with pytest.raises(Gone):
        chain.write([Row(columns(chain), 2, 1, [1, 1.0, 0])], "jsonl")
    plugin(chain).stop()
    assert len(objects(got)) == 3


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    """Lines for a pipe such as `| jq` begin with the first value, and nothing else is between them."""
    for _ in range(2):
        chain = mounted("/dev/stdout")
        chain.write([Row(columns(chain), 1, 0, [1, 1.0, 0])], "jsonl")
        plugin(chain).stop()

    assert len(objects(capfd.readouterr().out.encode())) == 6


def test_it_loads_no_numpy() -> None:
    """It starts before the measured command does."""
    code = "import sys, meter.plugins.jsonl.plugin; print({'numpy', 'orjson'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment, text=True)

    assert done.stdout == "set()\n"
