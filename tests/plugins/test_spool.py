"""What `spool` keeps: the same batches, in order and bounded, none lost or misread whatever ends the process."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from meter.core.batch import Batch
from meter.core.building import build
from meter.core.keys import EACH, Key, Metric
from meter.core.plugin import Context
from meter.core.readings import Columns, Row
from meter.plugins.spool.plugin import Spool
from meter.plugins.spool.text import Reader, Writer
from tests.batches import ANCHOR, batches, points
from tests.core.test_host import nobody
from tests.plugins.chain import metric, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROPERTY = settings(derandomize=True, deadline=None)
LIMIT = 256 << 20
VALUE = Metric("a.value", "u64", "By", "delta", additive=True)


def spool(path: Path | str, limit: int = LIMIT, durability: str = "process") -> Spool:
    """A started one, for the output `sink`."""
    made = Spool({"path": str(path), "limit": limit, "durability": durability, "for": ["sink"]})
    context = Context("spool")
    context.output = "sink"
    made.start(context)
    return made


def batch(number: int, width: int = 3, rows: int = 1) -> Batch:
    """Batch of a number: each of its values is that number."""
    columns = Columns(tuple(Key.make(VALUE, ("disk", f"d{nth}")) for nth in range(width)))
    return Batch(
        build([Row(columns, number * 1000 + row + 1, number * 1000 + row, [number] * width) for row in range(rows)]),
        ANCHOR,
        number,
    )


def handed_back(made: Spool) -> Iterator[int]:
    """The numbers of the batches that come back, each of which must be whole; they are acknowledged."""
    while (found := made.take()) is not None:
        wanted = batch(found.seq, len(found.blocks[0].layout.keys), found.rows)
        assert points(found) == points(wanted)
        made.acknowledge()
        yield found.seq


def files(path: Path) -> list[Path]:
    """The segments of the output `sink`, the oldest first."""
    return sorted((path / "sink").glob("*.jsonl"))


def exact(kept: Batch) -> list[Any]:
    """All that makes blocks what they are, NaN as itself."""
    return [
        (
            [(key.name, key.metric) for key in block.layout.keys],
            block.layout.dtypes,
            block.ts.tolist(),
            block.since.tolist(),
            [repr(block.column(key).tolist()) for key in block.layout.keys],
            [None if mask is None else mask.tolist() for mask in block.masks],
            dict(block.reasons),
            block.ids,
        )
        for block in kept.blocks
    ]


class TestText:
    """A line gives back the batch that it was made of."""

    @given(st.lists(batches(), min_size=1, max_size=3))
    @PROPERTY
    def test_a_batch_comes_back_as_it_was(self, kept: list[Batch]) -> None:
        """Layouts, types, spans, bits of numbers, masks, reasons, metadata, ids, anchor and number."""
        writer, reader = Writer(), Reader()
        for each in kept:
            text, new = writer.lines(each)
            writer.wrote(new)
            *layouts, line = text.splitlines(keepends=True)
            for layout in layouts:
                reader.layout(layout)
            back = reader.batch(line)

            assert exact(back) == exact(each)
            assert (back.anchor, back.seq, back.rows) == (each.anchor, each.seq, each.rows)
            assert [block.layout for block in back.blocks] == [block.layout for block in each.blocks]

    def test_a_line_of_an_older_meter_is_read(self) -> None:
        """One that says nothing of why a series is no better: what a metric has got since is as it is by default."""
        kept = batch(1, width=1, rows=1)
        layout, line = Writer().lines(kept)[0].splitlines(keepends=True)
        document = json.loads(layout)
        document["metrics"] = [fields[:9] for fields in document["metrics"]]
        reader = Reader()
        reader.layout(json.dumps(document).encode())

        assert exact(reader.batch(line)) == exact(kept)

    def test_what_no_key_addresses_is_not_written(self) -> None:
        """An output that takes a column of a wide matrix does not keep the others."""
        (wide,) = batch(1, width=500, rows=2).blocks
        narrow = wide.select(wide.layout.restrict(type(wide.layout.keys)([wide.layout.keys[7]])))
        text, _ = Writer().lines(Batch((narrow,), ANCHOR, 1))
        layout, line = text.splitlines(keepends=True)
        reader = Reader()
        reader.layout(layout)

        assert len(text) < 500
        assert points(reader.batch(line)) == points(Batch((narrow,), ANCHOR, 1))

    @pytest.mark.parametrize("name", ["\udcff.mnt", "ä", "\0", '"\\\n', EACH])
    def test_any_name_comes_back(self, name: str) -> None:
        """Also one whose bytes are no Unicode, and one with characters that end lines elsewhere."""
        columns = Columns((Key.make(VALUE, ("disk", name), attributes={"of": name}),))
        kept = Batch(build([Row(columns, 2, 1, [2**64 - 1], "x" if name == EACH else "")]), ANCHOR, 1)
        layout, line = Writer().lines(kept)[0].splitlines(keepends=True)
        reader = Reader()
        reader.layout(layout)

        assert exact(reader.batch(line)) == exact(kept)

    @pytest.mark.parametrize(
        "line",
        [
            b"{}\n",
            b"[]\n",
            b"\0\0\n",
            b'{"rows":\n',
            b'{"rows":1}\n',
            b'{"rows":1,"seq":1,"anchor":[1],"blocks":[]}\n',
            b'{"rows":1,"seq":1,"anchor":[1,2],"blocks":[[7,[1],[0],[[1]],[null],[],null]]}\n',
        ],
    )
    def test_another_line_is_refused(self, line: bytes) -> None:
        """Nothing is made of what was not written here."""
        with pytest.raises(ValueError, match=r"it is no batch|Expecting|unexpected"):
            Reader().batch(line)


class Kept(RuleBasedStateMachine):
    """A spool beside a list: puts, hand-backs, acknowledgements and ends of the process in any order."""

    limit = LIMIT

    @initialize()
    def begin(self) -> None:
        """A new folder."""
        import tempfile

        self.folder = tempfile.mkdtemp()
        self.spool = spool(self.folder, self.limit)
        self.there: deque[int] = deque()
        self.number = 0

    @rule(rows=st.integers(1, 40), width=st.integers(1, 20))
    def put(self, rows: int, width: int) -> None:
        """One more; what went for it was the oldest."""
        self.number += 1
        dropped = self.spool.put(batch(self.number, width, rows))
        self.there.append(self.number)
        self.sizes = {**getattr(self, "sizes", {}), self.number: rows}
        while dropped:
            dropped -= self.sizes[self.there.popleft()]
            assert dropped >= 0
        assert self.there, "never the newest"

    @rule()
    def take(self) -> None:
        """The oldest, again and again."""
        for _ in range(2):
            found = self.spool.take()
            assert (None if found is None else found.seq) == (self.there[0] if self.there else None)

    @precondition(lambda self: self.there)
    @rule()
    def acknowledge(self) -> None:
        """The oldest goes."""
        self.spool.acknowledge()
        self.there.popleft()

    @rule(torn=st.booleans())
    def end(self, torn: bool) -> None:  # noqa: FBT001  (hypothesis hands it over by name)
        """The process ends, perhaps while it writes, and another one begins."""
        self.spool.stop()
        if torn:
            names = sorted(name for name in os.listdir(f"{self.folder}/sink") if name.endswith(".jsonl"))
            if names:
                with open(f"{self.folder}/sink/{names[-1]}", "ab") as file:
                    file.write(b'{"rows":3,"seq":1,"anchor":[5,1700')
        self.spool = spool(self.folder, self.limit)

    @invariant()
    def counted(self) -> None:
        """The rows that wait are counted, and the bound is kept."""
        if hasattr(self, "spool"):
            assert self.spool.rows() == sum(self.sizes[number] for number in self.there)
            assert sum(os.stat(f"{self.folder}/sink/{name}").st_size for name in os.listdir(f"{self.folder}/sink")) <= (
                self.limit + 64
            )

    def teardown(self) -> None:
        """Everything that is left comes back in its order."""
        if hasattr(self, "spool"):
            assert list(handed_back(self.spool)) == list(self.there)
            self.spool.stop()


class Short(Kept):
    """The same with a limit that is reached soon."""

    limit = 64 << 10


for machine in (Kept, Short):
    machine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None, derandomize=True)
TestKept = Kept.TestCase
TestShort = Short.TestCase


def test_a_file_cut_at_each_byte(tmp_path: Path) -> None:
    """Of what a torn write has left, whole batches come back and nothing else."""
    made = spool(tmp_path / "a")
    ends = [0]
    for number in range(1, 5):
        made.put(batch(number))
        ends.append(files(tmp_path / "a")[0].stat().st_size)
    made.stop()
    text = files(tmp_path / "a")[0].read_bytes()

    for cut in range(len(text) + 1):
        (tmp_path / "b" / "sink").mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / "sink" / "000000000001.jsonl").write_bytes(text[:cut])
        again = spool(tmp_path / "b")
        assert list(handed_back(again)) == list(range(1, sum(end <= cut for end in ends)))
        again.put(batch(9))
        assert list(handed_back(again)) == [9]
        again.stop()
        for left in (tmp_path / "b" / "sink").iterdir():
            left.unlink()


def test_what_was_not_acknowledged_comes_again(tmp_path: Path) -> None:
    """After a start the oldest is the first that was not; where the note of that is gone, all come again."""
    made = spool(tmp_path)
    for number in range(1, 7):
        made.put(batch(number))
    for _ in range(2):
        made.take()
        made.acknowledge()
    made.take()
    made.stop()

    made = spool(tmp_path)
    assert made.take() is not None
    assert made.rows() == 4
    made.stop()
    (tmp_path / "sink" / "acknowledged").write_bytes(b"1 1\n")
    assert list(handed_back(spool(tmp_path))) == [1, 2, 3, 4, 5, 6]


def test_nothing_stays_behind(tmp_path: Path) -> None:
    """Segments go when all in them is acknowledged."""
    made = spool(tmp_path, limit=64 << 10)
    for number in range(1, 60):
        made.put(batch(number, width=10))
    assert len(files(tmp_path)) > 1
    assert len(list(handed_back(made))) == 59

    assert files(tmp_path) == []
    made.stop()


def test_one_batch_that_is_larger_than_all_that_may_be_kept(tmp_path: Path) -> None:
    """It is kept alone."""
    made = spool(tmp_path, limit=64 << 10)
    made.put(batch(1))
    assert made.put(batch(2, width=1000, rows=50)) == 1
    assert list(handed_back(made)) == [2]
    made.stop()


def test_a_folder_is_one_meters(tmp_path: Path) -> None:
    """Two would mix their batches; the second one is refused and says so."""
    first = spool(tmp_path)
    with pytest.raises(BlockingIOError, match="is being used by another meter; give each its own path"):
        spool(tmp_path)
    first.stop()
    spool(tmp_path).stop()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A clear error at the start; nothing is half there."""
    tmp_path.chmod(0o555)
    with nobody(), pytest.raises(PermissionError):
        spool(tmp_path / "new")


@pytest.mark.parametrize("damage", [b"0" * 30, b"\0" * 30, b'{"rows":1,"seq":7}\n'])
def test_a_damaged_line_is_named(tmp_path: Path, damage: bytes) -> None:
    """File and place; nothing is made up, nothing skipped."""
    made = spool(tmp_path)
    for number in (1, 2, 3):
        made.put(batch(number))
    made.stop()
    (file,) = files(tmp_path)
    text = bytearray(file.read_bytes())
    begin = text.index(b'{"rows"', text.index(b'{"rows"') + 1)
    text[begin + 9 : begin + 9 + len(damage)] = damage
    file.write_bytes(text)
    made = spool(tmp_path)
    assert made.take() is not None
    made.acknowledge()

    with pytest.raises(ValueError, match=rf"cannot read `{file}` before byte \d+: .*; move it away"):
        made.take()
    made.stop()


def filled(made: Spool) -> tuple[int, int | None]:
    """Put batches until there is no room; the number of the one that had none, and the error's."""
    for number in range(1, 10_000):
        try:
            made.put(batch(number))
        except OSError as error:
            return number, error.errno
    raise AssertionError


@pytest.mark.parametrize("limit", [3_000, 3_001, 4_444])
def test_a_disk_that_is_full_for_a_while(tmp_path: Path, limit: int) -> None:
    """Nothing of a batch that has no room is there, none that was kept goes for it, and the next try is kept once."""
    made = spool(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        number, why = filled(made)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert why == errno.EFBIG
    for again in (number, number + 1):
        made.put(batch(again))

    assert list(handed_back(made)) == list(range(1, number + 2))
    made.stop()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "meter", str(tmp_path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_system_that_is_full(small: Path) -> None:
    """ENOSPC: what was kept is there, in order, and there is room again when it was handed back."""
    made = spool(small)
    number, why = filled(made)
    assert why == errno.ENOSPC
    assert list(handed_back(made)) == list(range(1, number))
    made.put(batch(number))
    assert list(handed_back(made)) == [number]
    made.stop()


def test_what_is_to_survive_the_loss_of_power_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch before `put` returns; the names of new files and folders, too. A sync that fails keeps nothing."""
    synced: list[str] = []
    fail: list[OSError] = []

    def sync(file: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        if fail:
            raise fail.pop()

    monkeypatch.setattr(os, "fdatasync", sync)
    monkeypatch.setattr(os, "fsync", sync)
    spool(tmp_path / "a").put(batch(1))
    assert synced == []

    made = spool(tmp_path, durability="power")
    made.put(batch(1))
    made.put(batch(2))
    assert synced == [str(tmp_path / "sink"), str(tmp_path), *[str(tmp_path / "sink" / "000000000001.jsonl")] * 2]

    fail.append(OSError(5, "Input/output error"))
    with pytest.raises(OSError, match="Input/output error"):
        made.put(batch(3))
    made.put(batch(3))
    assert list(handed_back(made)) == [1, 2, 3]
    made.stop()


WRITES = """
import sys
from tests.plugins.test_spool import batch, spool

made = spool(sys.argv[1])
number = int(sys.argv[2])
while True:
    number += 1
    made.put(batch(number, width=number % 50 + 1))
    print("put", number, flush=True)
    if number % 3 == 0:
        taken = made.take().seq
        print("taken", taken, flush=True)
        made.acknowledge()
        print("acknowledged", taken, flush=True)
"""


def test_what_was_kept_survives_kill_9(tmp_path: Path) -> None:
    """Killed again and again: all that was kept and not taken comes back, in order, none misread, none twice.

    Nothing that was acknowledged comes back; what was taken just then may.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    said: dict[str, set[int]] = {"put": set(), "taken": set(), "acknowledged": set()}
    for kill in range(6):
        # One more may have been kept than was told.
        command = [sys.executable, "-c", WRITES, str(tmp_path), str(max(said["put"], default=0) + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
            assert process.stdout is not None
            told = [next(process.stdout) for _ in range(20 + 37 * kill)]
            process.send_signal(signal.SIGKILL)
            told += [line for line in process.stdout if line.endswith("\n")]
        for word, number in map(str.split, told):
            said[word].add(int(number))

    back = list(handed_back(spool(tmp_path)))

    assert back == sorted(set(back))
    assert said["put"] - said["taken"] <= set(back)
    assert not said["acknowledged"] & set(back)


def test_refusals() -> None:
    """What the check says before anything runs."""
    metrics = [metric("m")]

    assert refusals(metrics, "csv", "path=x.csv", "spool", "path=kept", "for=csv") == []
    assert refusals(metrics, "spool", "for=collect") == ["E-CONFIG-MISSING"]
    assert refusals(metrics, "spool", "path=kept") == ["E-CONFIG-MISSING"]
    assert refusals(metrics, "spool", "path=kept", "for=made") == ["E-CONFIG-RANGE"]
    assert refusals(metrics, "spool", "path=kept", "for=collect", "limit=1KiB") == ["E-CONFIG-RANGE"]
    assert refusals(metrics, "spool", "path=kept", "for=collect", "durability=volatile") == ["E-CONFIG-RANGE"]
    two = ("csv", "path=x.csv", "spool#a", "path=kept", "for=csv", "spool#b", "path=kept", "for=collect")
    assert refusals(metrics, *two) == ["E-CLAIM"]
