"""The filter `bridge`: of processes whose cgroups a made /proc says, and of this process on the real one."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core import Backend, ContractError
from meter.core.breach import ContractBreach
from meter.core.plugin import EACH, Context, Missing
from meter.core.readings import Row
from meter.core.workloads import place
from meter.plugins.bridge.membership import UNKNOWN, Membership, path_in
from tests.plugins.chain import SECOND, Chain, refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meter.core.batch import Block
    from meter.core.keys import Key

PROPERTY = settings(derandomize=True, deadline=None)
ID = "0123456789abcdef" * 4
TIME = "process.cpu.time"
THREADS = "process.thread.count"
MEMORY = "process.memory.usage"

SHAPE = """
[[provides.metrics]]
name = "{name}"
type = "{type_}"
unit = "1"
kind = "{kind}"
resource = ["machine", "gpu"]
consumer = {consumer}
additive = {additive}
attributes = {attributes}
"""


def shape(
    name: str,
    type_: str = "f64",
    kind: str = "delta",
    *,
    consumer: str = '["process"]',
    additive: bool = True,
    attributes: str = "{}",
) -> str:
    """A metric of the made source."""
    return SHAPE.format(
        name=name, type_=type_, kind=kind, consumer=consumer, additive=str(additive).lower(), attributes=attributes
    )


METRICS = (shape(TIME), shape(THREADS, "i64", "gauge"), shape(MEMORY, "u64", "gauge", additive=False))


OPEN: list[Chain] = []
"""Chains whose filters keep files open."""


def started(metrics: Sequence[str], *words: str, sysroot: Path) -> Chain:
    """A chain of the made source, which is closed when the test has ended."""
    OPEN.append(Chain(metrics, *words, sysroot=sysroot))
    return OPEN[-1]


def close() -> None:
    """Close the files that chains keep open."""
    while OPEN:
        for element in OPEN.pop().filters:
            element.plugin.stop()


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    """No test leaves files open."""
    yield
    close()


class Proc:
    """A /proc that says of processes in which cgroup they are."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, pid: str, text: str) -> None:
        """What /proc/PID/cgroup says: lines, or a path alone for version 2."""
        folder = self.root / "proc" / pid
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup").write_text(text if ":" in text else f"0::{text}\n")

    def end(self, pid: str) -> None:
        """The process is gone, and what is kept open of it cannot be read any more."""
        (self.root / "proc" / pid / "cgroup").write_text("")
        (self.root / "proc" / pid / "cgroup").unlink()


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    """Without processes."""
    return Proc(tmp_path)


class Cell(NamedTuple):
    """One cell of a process at a poll."""

    pid: str
    metric: str
    value: float | Missing


def key_of(chain: Chain, metric: str, pid: str) -> Key:
    """A series of the made source."""
    return chain.declared.key(metric, None, pid, "machine", "process")


def rows_of(
    chain: Chain, poll: int, cells: Iterable[Cell], *, each: bool = True, since: Mapping[str, int] | None = None
) -> list[Row]:
    """A row for each process, which ends `poll` seconds after the begin and begins a second before, or at `since`."""
    of: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        of[cell.pid].append(cell)
    rows = []
    for pid, mine in of.items():
        columns = chain.columns(*[key_of(chain, cell.metric, EACH if each else pid) for cell in mine])
        begin = (since or {}).get(pid, poll - 1) * SECOND
        rows.append(Row(columns, poll * SECOND, begin, [cell.value for cell in mine], pid if each else ""))
    return rows


def told(blocks: Iterable[Block]) -> dict[tuple[int, str, str], Any]:
    """Time in seconds, metric and cgroup of each cell of a cgroup with its value, or the reason why it has none."""
    found = {}
    for block in blocks:
        for row, key, value in block.points():
            if key.consumer[0] == "cgroup":
                name = int(block.ts[row]) // SECOND, key.metric.name, key.consumer[1]
                assert name not in found
                found[name] = value.reason if isinstance(value, Missing) else value
    return found


class TestWhatComesOut:
    """Values, and of which cgroup they are."""

    def test_the_processes_of_a_cgroup_are_added_up(self, proc: Proc) -> None:
        """Each metric by itself, under its own name; what no list names passes."""
        chain = started(METRICS, "bridge", f"sum={TIME}", f"sum={THREADS}", sysroot=proc.root)
        for pid, path in {"1": "/a", "2": "/b", "3": "/a"}.items():
            proc.put(pid, path)
        cells = [Cell(pid, TIME, 0.5 * int(pid)) for pid in "123"] + [Cell(pid, THREADS, 7) for pid in "123"]
        cells += [Cell(pid, MEMORY, 4096) for pid in "123"]

        blocks = chain.hand_over(rows_of(chain, 1, cells))

        assert told(blocks) == {
            (1, TIME, "/a"): 2.0,
            (1, TIME, "/b"): 1.0,
            (1, THREADS, "/a"): 14,
            (1, THREADS, "/b"): 7,
        }
        left = {(key.metric.name, key.consumer[0]) for block in blocks for _, key, _ in block.points()}
        assert left == {(TIME, "cgroup"), (THREADS, "cgroup"), (MEMORY, "process")}

    def test_what_is_not_additive_is_merged_under_another_name(self, proc: Proc) -> None:
        """Least, mean and greatest process: 0.1, the mean of three as a float, 0.3 of the page's number."""
        words = [f"min={MEMORY}", "bridge#mean", f"mean={MEMORY}", "bridge#max", f"max={MEMORY}", "keep=true"]
        chain = started(METRICS, "bridge#min", "keep=true", *words[:1], *words[1:3], "keep=true", *words[3:],
                      sysroot=proc.root)  # fmt: skip
        for pid in "123":
            proc.put(pid, "/a")

        blocks = chain.hand_over(rows_of(chain, 1, [Cell(pid, MEMORY, 10 ** int(pid)) for pid in "123"]))

        assert told(blocks) == {
            (1, f"{MEMORY}.min", "/a"): 10,
            (1, f"{MEMORY}.mean", "/a"): 370.0,
            (1, f"{MEMORY}.max", "/a"): 1000,
        }

    def test_the_mean_of_what_can_be_added_is_no_third_of_it(self, proc: Proc) -> None:
        """Alumet's bridge takes the mean of everything: three processes with 7 threads each have 21 here."""
        chain = started(METRICS, "bridge", f"sum={THREADS}", sysroot=proc.root)
        for pid in "123":
            proc.put(pid, "/a")

        assert told(chain.hand_over(rows_of(chain, 1, [Cell(pid, THREADS, 7) for pid in "123"]))) == {
            (1, THREADS, "/a"): 21
        }

    def test_different_resources_are_not_merged(self, proc: Proc) -> None:
        """The memory that a cgroup has of two GPUs stays apart, as Alumet's bridge does not keep it."""
        chain = started((shape("g", "u64", "gauge"),), "bridge", "sum=g", sysroot=proc.root)
        proc.put("1", "/a")
        keys = [chain.declared.key("g", gpu, EACH, "gpu", "process") for gpu in ("x", "y")]

        (block,) = chain.hand_over([Row(chain.columns(*keys), SECOND, 0, [3, 4], "1")])

        assert {(key.resource, key.consumer): value for _, key, value in block.points()} == {
            (("gpu", "x"), ("cgroup", "/a")): 3,
            (("gpu", "y"), ("cgroup", "/a")): 4,
        }

    def test_a_missing_process_makes_its_cgroup_missing(self, proc: Proc) -> None:
        """Without it the sum would be a smaller, wrong number; the greatest of what is there is one all the same."""
        chain = started(METRICS, "bridge", f"sum={THREADS}", f"max={MEMORY}", sysroot=proc.root)
        for pid, path in {"1": "/a", "2": "/a", "3": "/b"}.items():
            proc.put(pid, path)
        cells = [Cell("1", THREADS, 2), Cell("2", THREADS, Missing("EACCES")), Cell("3", THREADS, 5)]
        cells += [Cell("1", MEMORY, 9), Cell("2", MEMORY, Missing("EACCES")), Cell("3", MEMORY, Missing("EIO"))]

        assert told(chain.hand_over(rows_of(chain, 1, cells))) == {
            (1, THREADS, "/a"): "a part is missing: EACCES",
            (1, THREADS, "/b"): 5,
            (1, f"{MEMORY}.max", "/a"): 9,
            (1, f"{MEMORY}.max", "/b"): "nothing was read: EIO",
        }

    def test_a_sum_that_the_type_does_not_hold_is_missing(self, proc: Proc) -> None:
        """Never wrapped."""
        chain = started(METRICS, "bridge", f"sum={THREADS}", sysroot=proc.root)
        for pid in "12":
            proc.put(pid, "/a")

        assert told(chain.hand_over(rows_of(chain, 1, [Cell(pid, THREADS, 2**62) for pid in "12"]))) == {
            (1, THREADS, "/a"): "the sum does not fit i64"
        }

    def test_the_span_is_that_of_the_longest_row(self, proc: Proc) -> None:
        """A process that has just begun has a shorter one, in a block of its own."""
        chain = started(METRICS, "bridge", f"sum={TIME}", sysroot=proc.root)
        for pid in "12":
            proc.put(pid, "/a")

        (block,) = chain.hand_over(
            rows_of(chain, 4, [Cell("1", TIME, 0.25), Cell("2", TIME, 0.5)], since={"1": 3, "2": 1})
        )

        assert (block.since.tolist(), block.ts.tolist()) == ([SECOND], [4 * SECOND])
        assert told([block]) == {(4, TIME, "/a"): 0.75}

    def test_series_stay_where_keep_says_so(self, proc: Proc) -> None:
        """Both kinds of consumer under one name."""
        chain = started(METRICS, "bridge", f"sum={TIME}", "keep=true", sysroot=proc.root)
        proc.put("1", "/a")

        blocks = chain.hand_over(rows_of(chain, 1, [Cell("1", TIME, 0.5)]))

        assert {(key.consumer, value) for block in blocks for _, key, value in block.points()} == {
            (("process", "1"), 0.5),
            (("cgroup", "/a"), 0.5),
        }

    def test_the_worse_quality_holds(self, proc: Proc) -> None:
        """A sum with an estimated part is estimated."""
        chain = started(METRICS, "bridge", f"sum={TIME}", sysroot=proc.root)
        rows = []
        for pid, quality in {"1": "estimated", "2": None}.items():
            proc.put(pid, "/a")
            key = chain.declared.key(TIME, None, EACH, "machine", "process", {}, quality, "why")
            rows.append(Row(chain.columns(key), SECOND, 0, [1.0], pid))

        (block,) = chain.hand_over(rows)

        assert [key.metric.quality for key in block.layout.keys] == ["estimated"]
        assert told([block]) == {(1, TIME, "/a"): 2.0}


class TestWhereAProcessIs:
    """Moves, ends, numbers that are used again."""

    def summed(self, chain: Chain, poll: int, values: Mapping[str, float], **more: Any) -> dict[str, Any]:
        """One poll of the CPU time of processes: that of each cgroup."""
        blocks = chain.hand_over(
            rows_of(chain, poll, [Cell(pid, TIME, value) for pid, value in values.items()], **more)
        )
        return {cgroup: value for (_, _, cgroup), value in told(blocks).items()}

    @pytest.fixture
    def chain(self, proc: Proc) -> Chain:
        """A sum."""
        return started(METRICS, "bridge", f"sum={TIME}", sysroot=proc.root)

    def test_one_that_moves_is_followed(self, proc: Proc, chain: Chain) -> None:
        """From the poll on that finds it in the other cgroup."""
        proc.put("1", "/a")
        first = self.summed(chain, 1, {"1": 1.0})
        proc.put("1", "/b")

        assert (first, self.summed(chain, 2, {"1": 2.0})) == ({"/a": 1.0}, {"/b": 2.0})

    def test_the_last_row_of_one_that_has_ended_is_of_its_cgroup(self, proc: Proc, chain: Chain) -> None:
        """It ended between the poll and the filter; where it was is known from the poll before."""
        proc.put("1", "/a")
        self.summed(chain, 1, {"1": 1.0})
        proc.end("1")

        assert self.summed(chain, 2, {"1": 0.5}) == {"/a": 0.5}

    def test_what_nobody_knows_is_said_to_be_unknown(self, proc: Proc, chain: Chain) -> None:
        """A process that was gone before it was ever seen: nothing of it vanishes."""
        proc.put("1", "/a")

        assert self.summed(chain, 1, {"1": 1.0, "2": 0.25, "3": 0.5}) == {"/a": 1.0, UNKNOWN: 0.75}

    def test_a_number_that_is_used_again_is_another_process(self, proc: Proc, chain: Chain) -> None:
        """Its row does not go on from the one before, so the old cgroup is not taken for its own."""
        proc.put("1", "/a")
        self.summed(chain, 1, {"1": 1.0})
        proc.end("1")

        assert self.summed(chain, 5, {"1": 0.5}, since={"1": 4}) == {UNKNOWN: 0.5}

    def test_a_number_that_is_used_again_is_read_again(self, proc: Proc, chain: Chain) -> None:
        """What is known of the first one is not that of the second."""
        proc.put("1", "/a")
        proc.put("2", "/c")
        self.summed(chain, 1, {"1": 1.0})
        proc.end("1")
        self.summed(chain, 2, {"2": 1.0})
        proc.put("1", "/b")

        assert self.summed(chain, 3, {"1": 0.5, "2": 1.0}) == {"/b": 0.5, "/c": 1.0}

    def test_the_kernel_says_that_one_has_ended(self, tmp_path: Path) -> None:
        """A real process, whose file is kept open: its last row is of its cgroup, one that does not go on is not."""
        members = Membership(Context("b"), "cpu", "cgroup")
        own = path_in(Path("/proc/self/cgroup").read_text(), ("cpuacct", "cpu"))
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=tmp_path) as child:
            pid = str(child.pid)
            there = members.of(pid, 0, SECOND)
            members.end()
        last = members.of(pid, SECOND, 2 * SECOND)
        members.end()
        later = members.of(pid, 4 * SECOND, 5 * SECOND)
        members.close()

        assert (there, last, later) == (own, own, UNKNOWN)

    def test_files_of_ended_processes_are_closed(self, proc: Proc, chain: Chain) -> None:
        """However many there were."""
        before = len(os.listdir("/proc/self/fd"))
        for poll in range(1, 30):
            proc.put(str(poll), "/a")
            self.summed(chain, poll, {str(poll): 1.0})
            proc.end(str(poll))
        close()

        assert len(os.listdir("/proc/self/fd")) == before

    def test_those_of_another_host_are_refused(self, proc: Proc) -> None:
        """The numbers of its processes mean others here."""
        proc.put("1", "/a")
        chain = started(
            (shape(TIME, attributes='{ "host.name" = "str" }'),), "bridge", f"sum={TIME}", sysroot=proc.root
        )
        key = chain.declared.key(TIME, None, EACH, "machine", "process", {"host.name": "elsewhere.invalid"})

        with pytest.raises(ContractBreach) as caught:
            chain.hand_over([Row(chain.columns(key), SECOND, 0, [1.0], "1")])
        assert caught.value.clause == "needs.metrics.gives.consumer"


@st.composite
def lives(draw: st.DrawFn) -> list[dict[str, tuple[str | None, float | None, int]]]:
    """Polls: for each process its cgroup (None: gone before it could be read), its CPU time and its threads."""
    cgroup = st.sampled_from([None, "/", "/a", "/a/b", "/c"])
    seconds = st.integers(0, 2**20).map(lambda number: number / 1024) | st.none()
    of = st.tuples(cgroup, seconds, st.integers(-(2**40), 2**40))
    return draw(st.lists(st.dictionaries(st.sampled_from(list("123456")), of), min_size=1, max_size=5))


class TestTheWhole:
    """Whatever processes do, the cgroups come to what the processes came to."""

    @PROPERTY
    @given(polls=lives(), together=st.booleans(), each=st.booleans())
    def test_nothing_is_lost_or_counted_twice(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        polls: Sequence[Mapping[str, tuple[str | None, float | None, int]]],
        together: bool,  # noqa: FBT001  (a parameter of hypothesis)
        each: bool,  # noqa: FBT001
    ) -> None:
        """At each time, of each metric; a cgroup is missing where one of its processes is, and nowhere else."""
        proc = Proc(tmp_path_factory.mktemp("proc"))
        chain = started(METRICS, "bridge", f"sum={TIME}", f"sum={THREADS}", sysroot=proc.root)
        there: set[str] = set()
        whole: dict[tuple[int, str], Fraction] = defaultdict(Fraction)
        gaps: dict[tuple[int, str], int] = defaultdict(int)
        blocks: list[Block] = []
        for number, processes in enumerate(polls, start=1):
            rows: list[Row] = []
            for pid in there - processes.keys():
                proc.end(pid)
            there = {pid for pid in there if pid in processes}
            for pid, (cgroup, seconds, threads) in processes.items():
                if cgroup is not None:
                    proc.put(pid, cgroup)
                    there.add(pid)
                elif pid in there:
                    proc.end(pid)
                    there.discard(pid)
                value = Missing("EIO") if seconds is None else seconds
                cells = [Cell(pid, TIME, value), Cell(pid, THREADS, threads)]
                rows += rows_of(chain, number, cells, each=each)
                whole[number, THREADS] += threads
                whole[number, TIME] += Fraction(seconds or 0)
                gaps[number, TIME] += seconds is None
            if not rows:
                continue
            parts = [rows] if together else [rows[:1], rows[1:]]
            for part in parts[:-1]:
                blocks += chain.blocks(part)
            blocks += chain.hand_over(parts[-1] or parts[0][:0]) if parts[-1] else chain.finish()

        close()
        found: dict[tuple[int, str], Fraction] = defaultdict(Fraction)
        missing: dict[tuple[int, str], int] = defaultdict(int)
        for (number, metric, _), value in told(blocks).items():
            if isinstance(value, str):
                assert value == "a part is missing: EIO"
                missing[number, metric] += 1
            else:
                found[number, metric] += Fraction(value)
        assert {(number, metric) for number, metric, _ in told(blocks)} == whole.keys()
        for name, amount in whole.items():
            assert bool(missing[name]) == bool(gaps[name])
            if not gaps[name]:
                assert found[name] == amount

    @PROPERTY
    @given(
        values=st.lists(st.floats(0, 1e9) | st.none(), min_size=1, max_size=6),
        cgroups=st.lists(st.sampled_from(["/a", "/b"]), min_size=6, max_size=6),
    )
    def test_least_mean_and_greatest_are_those_of_what_is_there(
        self, tmp_path_factory: pytest.TempPathFactory, values: list[float | None], cgroups: list[str]
    ) -> None:
        """Beside plain Python."""
        proc = Proc(tmp_path_factory.mktemp("proc"))
        metrics = (shape("g", "f64", "gauge", additive=False),)
        chain = started(metrics, "bridge", "mean=g", "keep=true", "bridge#b", "max=g", sysroot=proc.root)
        truth: dict[str, list[float]] = defaultdict(list)
        cells = []
        for number, (value, cgroup) in enumerate(zip(values, cgroups, strict=False), start=1):
            proc.put(str(number), cgroup)
            cells.append(Cell(str(number), "g", Missing("EIO") if value is None else value))
            truth[cgroup] += [] if value is None else [value]

        found = told(chain.hand_over(rows_of(chain, 1, cells)))
        close()

        for cgroup, mine in truth.items():
            if mine:
                assert found[1, "g.max", cgroup] == max(mine)
                assert math.isclose(found[1, "g.mean", cgroup], math.fsum(mine) / len(mine), rel_tol=1e-14)
            else:
                assert found[1, "g.max", cgroup] == "nothing was read: EIO"
        assert len(found) == 2 * len(truth)


V1 = "9:name=systemd:/system.slice/x.service\n4:memory:/m\n3:cpu,cpuacct:/c\n2:blkio:/i\n0::/u\n"


@pytest.mark.parametrize(
    ("text", "controllers", "path"),
    [
        ("0::/a/b\n", ("cpuacct", "cpu"), "/a/b"),
        (V1, ("cpuacct", "cpu"), "/c"),
        (V1, ("memory",), "/m"),
        (V1, ("blkio",), "/i"),
        (V1, ("pids",), "/u"),  # a host with both versions: this controller is with version 2
        ("0::/a (deleted)\n", ("pids",), "/a"),
        ("0::/a:b\n", ("pids",), "/a:b"),
        ("1:name=systemd:/x\n", ("pids",), None),
        ("", ("pids",), None),
    ],
)
def test_what_the_kernel_says(text: str, controllers: tuple[str, ...], path: str | None) -> None:
    """Of the hierarchy of the controller, else of version 2."""
    assert path_in(text, controllers) == path


@pytest.mark.parametrize(
    ("path", "part", "whole"),
    [
        ("/slurm/uid_1/job_7/step_0/task_3", "/slurm/uid_1/job_7/step_0", "/slurm/uid_1/job_7"),
        ("/slurm/uid_1/job_7", "/slurm/uid_1/job_7", "/slurm/uid_1/job_7"),
        (
            "/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0",
            "/system.slice/slurmstepd.scope/job_7/step_batch",
            "/system.slice/slurmstepd.scope/job_7",
        ),
        (f"/kubepods/pod{ID[:32]}/{ID}/x", f"/kubepods/pod{ID[:32]}/{ID}", f"/kubepods/pod{ID[:32]}"),
        (f"/kubepods/pod{ID[:32]}", f"/kubepods/pod{ID[:32]}", f"/kubepods/pod{ID[:32]}"),
        ("/oar/jane_7/x", "/oar/jane_7", "/oar/jane_7"),
        (f"/docker/{ID}/x", f"/docker/{ID}", f"/docker/{ID}"),
        ("/system.slice/web.service/worker", "/system.slice/web.service/worker", "/system.slice/web.service"),
        ("/a/b", "/a/b", "/a/b"),
    ],
)
def test_which_cgroup_a_level_means(tmp_path: Path, path: str, part: str, whole: str) -> None:
    """That of the step, container or unit, or that of the job or pod; each lies in it, and is its own."""
    proc = Proc(tmp_path)
    proc.put("1", path)
    levels = {level: Membership(Context("b", tmp_path), "cpu", level) for level in ("cgroup", "part", "workload")}

    found = [each.of("1", 0, 1) for each in levels.values()]
    for each in levels.values():
        each.close()

    assert found == [path, part, whole]
    assert place(whole).whole == whole
    assert place(part).part == part


class TestCheck:
    """What is refused when it is mounted."""

    @pytest.mark.parametrize(
        ("metrics", "words", "codes"),
        [
            # memory pages that processes share would count once for each
            (METRICS, ["bridge", f"sum={MEMORY}"], ["E-FLOW-KIND"]),
            (METRICS, ["bridge", f"mean={TIME}"], ["E-FLOW-KIND"]),
            # the sum of the counters that there are falls when a process ends
            ((shape("c", kind="counter"),), ["bridge", "sum=c"], ["E-FLOW-KIND"]),
            ((shape("c", consumer='["machine"]'),), ["bridge", "sum=c"], ["E-FLOW-IDENTITY"]),
            (METRICS, ["bridge"], ["E-CONSTRAINT"]),
            (METRICS, ["bridge", "sum=nothing"], ["E-FLOW-EMPTY"]),
            # a process is a part of its cgroup
            (
                METRICS,
                ["bridge", f"sum={TIME}", "keep=true", "aggregate", f"metrics={TIME}", "function=sum", "over=consumer"],
                ["E-FLOW-DOUBLE"],
            ),
            # one cgroup may lie in another
            (
                METRICS,
                ["bridge", f"sum={TIME}", "aggregate", f"metrics={TIME}", "function=sum", "over=consumer"],
                ["E-FLOW-DOUBLE"],
            ),
            # the cgroups are there already, by the kernel's own count
            (
                (*METRICS, shape(TIME, consumer='["cgroup"]')),
                ["bridge", f"sum={TIME}{{consumer=process}}"],
                ["E-FLOW-CLASH"],
            ),
            (METRICS, ["bridge#a", f"sum={TIME}", "keep=true", "bridge#b", f"sum={TIME}{{consumer=process}}"],
             ["E-FLOW-CLASH"]),
        ],
    )  # fmt: skip
    def test_a_wrong_sum_is_refused(self, metrics: Sequence[str], words: Sequence[str], codes: Sequence[str]) -> None:
        """By its kind, or since it would count twice."""
        assert refusals(metrics, *words) == codes

    def test_cgroups_that_are_counted_already_are_refused(self, tmp_path: Path) -> None:
        """Of real plugins: `perf` counts cycles of a cgroup itself; the processes in it would count once more."""
        backend = Backend("/twice").add("perf#p", scope="process", pid=[1]).add("perf#c", scope="cgroup", cgroup=["/a"])
        backend.add("bridge", sum=["perf.cycles{consumer=process}"]).add("csv", path=str(tmp_path / "x.csv"))

        with pytest.raises(ContractError) as caught:
            backend.check(assume=True)
        assert [each.code for each in caught.value.diagnostics if each.level == "error"] == ["E-FLOW-CLASH"]


def test_this_process_is_in_its_cgroup(tmp_path: Path) -> None:
    """On the real /proc, through the engine: the cgroup has what its only process has, and its threads."""
    path = path_in(Path("/proc/self/cgroup").read_text(), ("cpuacct", "cpu"))
    backend = Backend("/own").add("process", pid=[os.getpid()], modes=False, interval="20ms")
    backend.add("bridge", sum=[TIME, THREADS], keep=True).add("csv", path=str(tmp_path / "x.csv"))
    with backend.mounted().running():
        sum(i * i for i in range(200_000))

    lines = [line.split(",") for line in (tmp_path / "x.csv").read_text().splitlines()[1:]]
    of: dict[str, dict[tuple[str, ...], str]] = {"process": {}, "cgroup": {}}
    for time, metric, value, _, _, _, consumer, attributes, _ in lines:
        if metric in (TIME, THREADS):
            of[consumer.partition("/")[0]][time, metric, attributes] = value
    assert of["process"]
    assert of["cgroup"] == of["process"]
    assert {line[6].replace("%2F", "/") for line in lines if line[6].startswith("cgroup")} == {f"cgroup/{path}"}


def test_energy_of_processes_is_that_of_their_cgroups(tmp_path: Path) -> None:
    """What a formula gives each process of this tree, one of which ends, is what the cgroups have at each time."""
    backend = Backend("/jobs").add("estimate", tdp="65W", interval="50ms").add("cpu", interval="50ms")
    backend.add("process", tree=[os.getpid()], interval="50ms")
    backend.add("aggregate", metrics=["system.cpu.time"], function="sum", over=["resource"])
    busy = "sum(system.cpu.time.sum{cpu.mode=user|nice|system})"
    formula = f"hw.energy{{domain=package}} * sum(process.cpu.time) / {busy}"
    backend.add("attribution", formulas={"process.energy": formula}).add("bridge", sum=["process.energy"], keep=True)
    backend.add("select", drop=["!process.energy"]).add("csv", path=str(tmp_path / "x.csv"))
    with backend.mounted().running():
        for _ in range(2):
            subprocess.run([sys.executable, "-c", "sum(i * i for i in range(3_000_000))"], check=True)

    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for line in (tmp_path / "x.csv").read_text().splitlines()[1:]:
        time, _, value, _, _, _, consumer, _, quality = line.split(",")
        if quality != "missing":
            sums[time][consumer.partition("/")[0]] += float(value)
    assert sums
    for of in sums.values():
        assert math.isclose(of["process"], of["cgroup"], rel_tol=1e-12, abs_tol=1e-12)
    assert sum(of["cgroup"] for of in sums.values()) > 0
