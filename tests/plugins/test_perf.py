"""The source `perf`, on the real kernel and on made readings."""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Recorded
from meter.core.discovery import discover
from meter.core.perf_event import CACHE, GROUPED, HARDWARE, RAW, SOFTWARE, Counted, numbers, open_counter
from meter.core.plugin import Gone, Missing, SourceContext
from meter.core.readings import BoundSourceContext, Declared
from meter.plugins.perf import plugin as perf
from meter.plugins.perf.events import chosen
from meter.plugins.perf.groups import TOGETHER, Count, Group, Reading, added, counted, grouped, parsed
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.plugins.perf.events import Event

ASKED: Final = {"hardware": True, "software": True, "events": ()}
WORKER: Final = """
import mmap, os, sys, threading, time
for line in sys.stdin:
    exec(line)
    print('done', flush=True)
"""


def permitted() -> str:
    """Why no event of the kernel can be opened here; empty where one can."""
    try:
        os.close(open_counter(SourceContext("perf"), Counted(SOFTWARE, 3, GROUPED), pid=0))
    except OSError as error:
        return f"this machine opens no event: {error}"
    return ""


real = pytest.mark.skipif(bool(permitted()), reason=permitted())


class Worker:
    """A process that does what a test says."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", WORKER], stdin=pipe, stdout=pipe, text=True)
        self.do("pass")

    def do(self, line: str) -> None:
        """Run a line and wait for its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self) -> None:
        """End and reap it."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A process that waits for its lines."""
    made = Worker()
    yield made
    made.end()


def source(**config: Any) -> Mounted:
    """The source, polled once."""
    mounted = Mounted("perf", {"scope": "process", "hardware": False, **config})
    assert mounted.rows(0) == []
    return mounted


def short(mounted: Mounted, seconds: int = 1) -> dict[str, Any]:
    """One poll: numbers or reasons by metric, with the attribute where there is one."""
    return {
        name.split("/")[0] + name.partition("=")[2].join("[]") * ("=" in name): (
            cell.value.reason if isinstance(cell.value, Missing) else cell.value
        )
        for name, cell in mounted.cells(seconds * SECOND).items()
    }


# --------------------------------------------------------------------------------------------------- on the real kernel


@real
def test_page_faults_of_a_process_are_those_that_it_makes(worker: Worker) -> None:
    """It touches 500 pages that are new to it."""
    mounted = source(pid=[worker.process.pid])
    worker.do("m = mmap.mmap(-1, 500 * mmap.PAGESIZE); m.madvise(mmap.MADV_NOHUGEPAGE)")
    before = short(mounted)["perf.page_faults[minor]"]
    worker.do("for at in range(500): m[at * mmap.PAGESIZE] = 1")
    cells = short(mounted, 2)
    mounted.source.stop()

    assert before < 500 <= cells["perf.page_faults[minor]"] < 600
    assert 0 < cells["perf.cpu.time"] < 10


@real
def test_context_switches_are_at_least_the_waits_of_a_process(worker: Worker) -> None:
    """Each wait for a line gives up the CPU."""
    mounted = source(pid=[worker.process.pid])
    for _ in range(50):
        worker.do("time.sleep(0.001)")
    switches = short(mounted)["perf.context_switches"]
    worker.do("pass")
    few = short(mounted, 2)["perf.context_switches"]
    mounted.source.stop()

    assert switches >= 50
    assert few < 50


@real
@pytest.mark.parametrize("children", [True, False])
def test_children_are_counted_with_a_process_where_asked(worker: Worker, children: bool) -> None:  # noqa: FBT001
    """A child that touches 2000 pages is in the count of its parent, or is not."""
    mounted = source(pid=[worker.process.pid], children=children)
    touch = "m = mmap.mmap(-1, 2000 * mmap.PAGESIZE); m.madvise(mmap.MADV_NOHUGEPAGE); "
    touch += "[m.__setitem__(at * mmap.PAGESIZE, 1) for at in range(2000)]; os._exit(0)"
    worker.do(f"exec('if os.fork() == 0: {touch}'); os.wait()")
    faults = short(mounted)["perf.page_faults[minor]"]
    mounted.source.stop()

    assert (faults >= 2000) is children


@real
def test_threads_are_counted_those_that_there_are_and_new_ones(worker: Worker) -> None:
    """One starts before and one after the counters are opened; each touches 1000 pages."""
    worker.do("m = mmap.mmap(-1, 2000 * mmap.PAGESIZE); m.madvise(mmap.MADV_NOHUGEPAGE)")
    worker.do("touch = lambda first: [m.__setitem__(at * mmap.PAGESIZE, 1) for at in range(first, first + 1000)]")
    worker.do("go = threading.Event(); old = threading.Thread(target=lambda: (go.wait(), touch(0))); old.start()")
    mounted = source(pid=[worker.process.pid], children=False)
    worker.do("new = threading.Thread(target=touch, args=[1000]); new.start(); go.set(); old.join(); new.join()")
    faults = short(mounted)["perf.page_faults[minor]"]
    mounted.source.stop()

    assert faults >= 2000


@real
def test_a_process_that_ends_has_a_last_row_then_the_source_ends(worker: Worker) -> None:
    """What it did before its end is counted."""
    mounted = source(pid=[worker.process.pid])
    worker.do("m = mmap.mmap(-1, 500 * mmap.PAGESIZE); m.madvise(mmap.MADV_NOHUGEPAGE)")
    worker.do("for at in range(500): m[at * mmap.PAGESIZE] = 1")
    worker.end()

    assert short(mounted)["perf.page_faults[minor]"] >= 500
    with pytest.raises(Gone, match="has ended"):
        mounted.rows(2 * SECOND)


@real
def test_the_machine_counts_what_a_process_does(worker: Worker) -> None:
    """Its faults are in those of the machine, which has no CPU time here."""
    try:
        mounted = source(scope="machine")
    except PermissionError as error:
        pytest.skip(str(error))
    worker.do("m = mmap.mmap(-1, 500 * mmap.PAGESIZE); m.madvise(mmap.MADV_NOHUGEPAGE)")
    worker.do("for at in range(500): m[at * mmap.PAGESIZE] = 1")
    cells = short(mounted)
    mounted.source.stop()

    assert cells["perf.page_faults[minor]"] >= 500
    assert "perf.cpu.time" not in cells


@pytest.fixture
def slice_() -> Iterator[str]:
    """A control group of the test's own."""
    at = next((at for file, at in perf._HIERARCHIES if os.path.exists(file)), None)
    path = f"/meter-test-{os.getpid()}"
    try:
        os.mkdir(f"{at}{path}")
    except OSError as error:
        pytest.skip(f"this machine lets no control group be made: {error}")
    yield path
    with suppress(FileNotFoundError):
        os.rmdir(f"{at}{path}")


@real
def test_a_control_group_counts_what_its_processes_do_until_it_is_removed(worker: Worker, slice_: str) -> None:
    """Of processes that come into it, whoever they are; then the source ends."""
    folder = next(at for file, at in perf._HIERARCHIES if os.path.exists(file)) + slice_
    mounted = source(scope="cgroup", cgroup=[slice_])
    worker.do("m = mmap.mmap(-1, 1000 * mmap.PAGESIZE); m.madvise(mmap.MADV_NOHUGEPAGE)")
    worker.do("for at in range(500): m[at * mmap.PAGESIZE] = 1")
    outside = short(mounted)["perf.page_faults[minor]"]
    Path(folder, "cgroup.procs").write_text(str(worker.process.pid))
    worker.do("for at in range(500, 1000): m[at * mmap.PAGESIZE] = 1")
    inside = short(mounted, 2)["perf.page_faults[minor]"]
    worker.end()
    os.rmdir(folder)
    mounted.rows(3 * SECOND)

    assert outside == 0
    assert 500 <= inside < 700
    with pytest.raises(Gone, match="has ended"):
        mounted.rows(4 * SECOND)


def test_a_control_group_that_there_is_not_is_told() -> None:
    """With its path."""
    with pytest.raises(FileNotFoundError, match=r"no-such-group|no control groups"):
        Mounted("perf", {"scope": "cgroup", "cgroup": ["/no-such-group"]})


@real
def test_without_the_kernel_what_happens_there_is_missing_and_not_0(worker: Worker) -> None:
    """The faults of the process itself are still counted."""
    mounted = source(pid=[worker.process.pid], kernel=False)
    worker.do("m = mmap.mmap(-1, 500 * mmap.PAGESIZE); m.madvise(mmap.MADV_NOHUGEPAGE)")
    worker.do("for at in range(500): m[at * mmap.PAGESIZE] = 1")
    cells = short(mounted)
    mounted.source.stop()

    assert cells["perf.context_switches"] == cells["perf.migrations"] == perf._IN_KERNEL.reason
    assert cells["perf.page_faults[minor]"] >= 500


@real
def test_stop_closes_every_descriptor(worker: Worker) -> None:
    """Those of groups, and those that watch processes."""
    before = set(os.listdir("/proc/self/fd"))
    mounted = source(pid=[worker.process.pid], hardware=True)
    mounted.source.stop()

    assert set(os.listdir("/proc/self/fd")) == before


@real
def test_an_id_without_process_is_missing_once(worker: Worker) -> None:
    """The other one is counted."""
    mounted = Mounted("perf", {"scope": "process", "hardware": False, "pid": [worker.process.pid, 2**22 + 1]})
    first = mounted.cells(0)
    second = mounted.cells(SECOND)
    mounted.source.stop()

    assert {name.split("/")[4].lstrip("#_") for name in first} == {str(2**22 + 1)}
    assert all(cell.value is perf._NONE for cell in first.values())
    assert {name.split("/")[4].lstrip("#_") for name in second} == {str(worker.process.pid)}


def test_no_process_at_all_is_told() -> None:
    """With the ids."""
    with pytest.raises(ProcessLookupError, match=f"there is no process {2**22 + 1}; name one that runs"):
        Mounted("perf", {"scope": "process", "pid": [2**22 + 1]})


# ----------------------------------------------------------------------------------------------------- made readings


def test_a_reading_is_taken_apart() -> None:
    """As PERF_FORMAT_GROUP with both times has it."""
    assert parsed(struct.pack("=5Q", 2, 100, 50, 7, 2**64 - 1), 2) == Reading(100, 50, (7, 2**64 - 1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "a reading has 0 bytes, expected 32"),  # that of a CPU that is offline
        (struct.pack("=4Q", 2, 0, 0, 0), "a reading has 2 counters, expected 1"),
    ],
)
def test_what_is_no_reading_is_refused(text: bytes, told: str) -> None:
    """It is never read as a number."""
    with pytest.raises(ValueError, match=told):
        parsed(text, 1)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (Reading(10, 10, (5,)), Reading(30, 30, (12,)), Count(7)),  # counted all the time
        (Reading(10, 10, (5,)), Reading(10, 10, (5,)), Count(0)),  # the thread slept
        (Reading(0, 0, (0,)), Reading(100, 25, (10,)), Count(40, scaled=True)),  # a quarter of the time
        (Reading(100, 25, (10,)), Reading(200, 125, (30,)), Count(20)),  # only the interval counts
        (Reading(0, 0, (0,)), Reading(3, 2, (1,)), Count(2, scaled=True)),  # 1.5, rounded
        (Reading(0, 0, (0,)), Reading(10**18, 10**18 - 1, (2**63,)), Count(2**63 + 9, scaled=True)),  # exact integers
    ],
)
def test_a_count_is_that_of_the_whole_interval(before: Reading, now: Reading, expected: Count) -> None:
    """Where it had counters for a part, by the rate in it."""
    assert counted(before, now) == [expected]


@pytest.mark.parametrize(
    ("now", "reason"), [(Reading(100, 0, (0,)), "no counter free"), (Reading(100, 100, (-1,)), "went back")]
)
def test_what_was_not_counted_is_missing(now: Reading, reason: str) -> None:
    """And never 0 or negative."""
    [count] = counted(Reading(0, 0, (0,)), now)

    assert isinstance(count.value, Missing)
    assert reason in count.value.reason


def test_a_sum_is_as_good_as_its_worst_part() -> None:
    """Of threads and CPUs: missing where one is, else scaled where one is."""
    missing = Count(Missing("gone"))

    assert added([Count(1), Count(2)]) == Count(3)
    assert added([Count(1), Count(2, scaled=True)]) == Count(3, scaled=True)
    assert added([Count(1), missing]) is missing


# -------------------------------------------------------------------------------------------------- groups and faults


class Kernel:
    """Opens pipes for counters, and refuses as a test says."""

    def __init__(self, **refused: int) -> None:
        self.refused = {name.replace("_", "-"): code for name, code in refused.items()}
        self.opened: list[tuple[str, int]] = []
        self.pipes: dict[int, int] = {}
        self.most = 10**9

    def __call__(self, event: Event, group: int) -> int:
        """A descriptor, or OSError."""
        inside = 1 + sum(leader == group for _, leader in self.opened)
        code = self.refused.get(event.name) or (errno.EINVAL if group >= 0 and inside >= self.most else 0)
        if code:
            raise OSError(code, os.strerror(code))
        reading, writing = os.pipe()
        self.pipes[reading] = writing
        self.opened.append((event.name, group))
        return reading

    def tell(self, group: Group, *numbers: int) -> None:
        """What the next reading of a group is: times and values."""
        leader = group._descriptors[0]
        os.write(self.pipes[leader], struct.pack(f"={1 + len(numbers)}Q", len(group.events), *numbers))

    def close(self) -> None:
        """Close the writing ends."""
        for writing in self.pipes.values():
            os.close(writing)


def names(groups: list[Group]) -> list[list[str]]:
    """The events of each group."""
    return [[event.name for event in group.events] for group in groups]


def test_hardware_and_software_are_in_groups_of_their_own() -> None:
    """Of hardware four at most; software is never short of counters."""
    kernel = Kernel()
    groups, failed = grouped(chosen(ASKED), kernel)
    for group in groups:
        group.close()
    kernel.close()

    assert [len(each) for each in names(groups)] == [TOGETHER, 2, 5]
    assert failed == {}


def test_a_group_that_the_processor_cannot_count_together_is_parted() -> None:
    """It says so with EINVAL when one more is opened."""
    kernel = Kernel()
    kernel.most = 2
    groups, failed = grouped(chosen({**ASKED, "software": False}), kernel)
    for group in groups:
        group.close()
    kernel.close()

    assert names(groups) == [
        ["cycles", "instructions"],
        ["cache-references", "cache-misses"],
        ["branches", "branch-misses"],
    ]
    assert failed == {}


def test_an_event_that_the_host_lacks_hides_no_other() -> None:
    """Nor does one of which the group begins."""
    kernel = Kernel(cycles=errno.ENOENT, branches=errno.EOPNOTSUPP)
    groups, failed = grouped(chosen({**ASKED, "software": False}), kernel)
    for group in groups:
        group.close()
    kernel.close()

    assert names(groups) == [["instructions", "cache-references", "cache-misses", "branch-misses"]]
    assert {event.name: error.errno for event, error in failed.items()} == {
        "cycles": errno.ENOENT,
        "branches": errno.EOPNOTSUPP,
    }


def test_a_process_that_ends_while_it_is_opened_leaves_nothing_open() -> None:
    """What was opened for it is closed."""
    before = set(os.listdir("/proc/self/fd"))
    kernel = Kernel(branches=errno.ESRCH)
    with pytest.raises(ProcessLookupError):
        grouped(chosen(ASKED), kernel)
    kernel.close()

    assert set(os.listdir("/proc/self/fd")) == before


def test_a_group_goes_on_after_a_reading_that_failed() -> None:
    """The next good one is a first one again, and what was counted until then is missing."""
    kernel = Kernel()
    [group], _ = grouped(chosen({**ASKED, "software": False, "hardware": False, "events": ["r01"]}), kernel)
    found = []
    for told in ((1, 1, 5), (), (2, 2, 9), (3, 3, 11)):
        if told:
            kernel.tell(group, *told)
        else:
            os.write(kernel.pipes[group._descriptors[0]], b"x")
        found.append(group.step())
    group.close()
    kernel.close()

    values = [None if counts is None else counts[0].value for counts in found]
    assert values[0] is None
    assert [isinstance(value, Missing) for value in values] == [False, True, True, False]
    assert values[3] == 2


def test_what_was_scaled_is_derived_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason; before it is measured, and other events stay so."""
    kernel = Kernel()

    def opened(_: object, what: Counted, *, group: int, **__: Any) -> int:
        found = next(event for event in chosen(ASKED) if (event.type, event.config) == what[:2])
        return kernel(found, group)

    monkeypatch.setattr(perf, "open_counter", opened)
    mounted = Mounted("perf", {"scope": "process", "pid": [os.getpid()]})
    target = mounted.source._targets[0]  # type: ignore[attr-defined]  # of a Source
    del target.groups[3:]  # those of other threads of the test
    told = []
    for at, (enabled, running) in enumerate([(0, 0), (10, 10), (20, 15), (30, 25)]):
        for group in target.groups:
            times = (enabled, running) if group.events[0].name == "cycles" else (enabled, enabled)
            kernel.tell(group, *times, *[2 * running] * len(group.events))
        for row in mounted.rows(at * SECOND):
            pairs = zip(row.columns.keys, row.values, strict=True)
            cells = {key.metric.name: (key.metric.quality, value) for key, value in pairs}
            told.append((cells["perf.cycles"], cells["perf.branches"]))
    mounted.source.stop()
    kernel.close()

    assert told == [
        (("measured", 20), ("measured", 20)),
        (("derived", 20), ("measured", 10)),
        (("derived", 20), ("measured", 20)),
    ]


@pytest.mark.parametrize(
    ("scope", "mends"),
    [
        (
            {"scope": "process", "pid": [os.getpid()]},
            "`sudo sysctl -w kernel.perf_event_paranoid=1`.*CAP_PERFMON.*false",
        ),
        ({"scope": "machine"}, "`sudo sysctl -w kernel.perf_event_paranoid=0`.*CAP_PERFMON"),
    ],
)
def test_where_nothing_is_permitted_the_command_is_told(
    scope: dict[str, Any], mends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the setting that what is counted needs."""

    def denied(*_: Any, **__: Any) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(perf, "open_counter", denied)
    with pytest.raises(PermissionError, match=f"no permission to count cycles of .*{mends}"):
        Mounted("perf", scope)


@pytest.mark.parametrize(
    "asked",
    [
        {"scope": "process", "pid": [1]},
        {"scope": "process", "pid": [2]},
        {"scope": "cgroup", "cgroup": ["/user.slice"]},
        {"scope": "machine"},
    ],
    ids=["a process", "no process", "a cgroup", "the machine"],
)
def test_below_a_sysroot_nothing_is_opened(tmp_path: Path, asked: dict[str, Any]) -> None:
    """What runs on the machine that was copied is not here; that is said, and not which file the copy lacks."""
    (tmp_path / "proc" / "1" / "task" / "1").mkdir(parents=True)
    with pytest.raises(OSError, match="on the machine itself only, not below `--sysroot`"):
        Mounted("perf", asked, tmp_path)


# --------------------------------------------------------------------------------------------------- words of the user


@pytest.mark.parametrize(
    ("name", "type_", "config"),
    [
        ("L1-dcache-loads", CACHE, 0),
        ("L1-dcache-load-misses", CACHE, 0x10000),
        ("LLC-stores", CACHE, 0x102),
        ("dTLB-prefetch-misses", CACHE, 0x10203),
        ("branch-prefetches", CACHE, 0x205),
        ("r01c2", RAW, 0x1C2),
    ],
)
def test_events_of_caches_and_raw_ones_are_those_of_perf(name: str, type_: int, config: int) -> None:
    """PERF_COUNT_HW_CACHE_*: the cache, the operation in the second byte, the result in the third."""
    [event] = chosen({"hardware": False, "software": False, "events": [name]})

    assert (event.type, event.config) == (type_, config)
    assert HARDWARE == 0


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"scope": "process"}, "counts nothing without `pid`"),
        ({"scope": "cgroup"}, "counts nothing without `cgroup`"),
        ({"scope": "machine", "pid": [1]}, '`pid` is not counted with `scope = "machine"`'),
        ({"scope": "cgroup", "cgroup": ["/"]}, 'say `scope = "machine"`'),
        ({"scope": "cgroup", "cgroup": ["/a/../b"]}, "expected a path below the root"),
        ({"scope": "machine", "events": ["L1-load"]}, "'L1-load', which is no event; expected one of a cache"),
        ({"scope": "machine", "hardware": False, "software": False}, "no event to count"),
    ],
)
def test_what_cannot_be_meant_is_refused(config: dict[str, Any], told: str) -> None:
    """When it is mounted, with what to say."""
    whole = {**ASKED, "pid": (), "cgroup": (), **config}
    with pytest.raises(ValueError, match=re.escape(told)):
        perf.check_config(whole)


@pytest.mark.parametrize(("text", "found"), [("0-3,7\n", [0, 1, 2, 3, 7]), ("0", [0]), ("", [])])
def test_lists_of_the_kernel(text: str, found: list[int]) -> None:
    """CPUs that are online."""
    assert numbers(text) == found


HARDWARE_METRICS: Final = {event.metric for event in chosen({**ASKED, "software": False})}


@pytest.mark.parametrize(
    ("words", "codes", "absent"),
    [
        ([], ["W-HOST-DEGRADED"], HARDWARE_METRICS),  # one warning names all of them
        (["events=r01c2"], ["W-HOST-DEGRADED"], {*HARDWARE_METRICS, "perf.events"}),
        (["hardware=false"], [], set()),  # nothing is lacking of what was asked for
        (["software=false"], ["E-HOST"], None),
        (["hardware=false", "software=false", "events=LLC-loads"], ["E-HOST"], None),
    ],
)
def test_what_a_processor_without_counters_cannot_give_is_told_before_it_runs(
    words: list[str], codes: list[str], absent: set[str] | None
) -> None:
    """It was tried; the events of the kernel are counted all the same."""
    asked = ["perf", "scope=process", "pid=1", *words, "collect"]
    request, _ = from_words("/m", asked, ["meter", "mount", "/m"])
    assert request is not None
    facts = {("event", "software"): "", ("event", "hardware"): "no-counters hardware"}
    facts |= {("sysctl", f"kernel.perf_event_paranoid<={most}"): "" for most in range(3)}
    result = check(request, discover().catalogue, Recorded(facts))

    assert [each.code for each in result.diagnostics] == codes
    found = None if result.plan is None else {*result.plan.document["plugins"][0]["absent"]}
    assert found == absent


@real
def test_what_the_host_does_not_give_is_not_opened(worker: Worker) -> None:
    """To give it all the same would be a breach."""
    context = BoundSourceContext(Declared("perf", [], absent=HARDWARE_METRICS))
    config = {**ASKED, "scope": "process", "pid": [worker.process.pid], "cgroup": [], "children": True, "kernel": True}
    made = perf.Perf(config)
    made.start(context)
    opened = {event.metric for event in made._events}
    made.stop()

    assert opened == {event.metric for event in chosen({**ASKED, "hardware": False})}


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"scope": "process", "pid": [1]}, 1),
        ({"scope": "process", "pid": [1], "kernel": False}, 2),
        ({"scope": "cgroup", "cgroup": ["/a.slice"]}, 0),
        ({"scope": "machine"}, 0),
        ({"scope": "machine", "kernel": False}, 0),
    ],
)
@pytest.mark.parametrize("paranoid", [-1, 0, 1, 2, 3])
def test_what_the_kernel_does_not_permit_is_refused_before_it_runs(
    options: dict[str, Any], most: int, paranoid: int
) -> None:
    """As perf_event_open(2) says of /proc/sys/kernel/perf_event_paranoid; with CAP_PERFMON all is permitted."""
    words = [f"{name}={str(value).strip('[]').lower()}" for name, value in options.items()]
    request, _ = from_words("/m", ["perf", *(word.replace("'", "") for word in words), "collect"], ["meter"])
    assert request is not None
    catalogue = discover(installed=False).catalogue
    answers = {
        ("sysctl", f"kernel.perf_event_paranoid<={n}"): ""
        if paranoid <= n
        else f"other-value kernel.perf_event_paranoid<={n} {paranoid}"
        for n in range(3)
    }
    files = {("readable", "/proc/sys/kernel/perf_event_paranoid"): ""}
    files |= {("event", kind): "" for kind in ("software", "hardware")}
    denied = {("capability", "CAP_PERFMON"): "unprivileged CAP_PERFMON"}

    found = [each.code for each in check(request, catalogue, Recorded({**answers, **files, **denied})).diagnostics]
    able = check(request, catalogue, Recorded({**answers, **files, ("capability", "CAP_PERFMON"): ""}))

    assert found == ([] if paranoid <= most else ["E-HOST"])
    assert able.plan is not None
