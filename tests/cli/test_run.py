"""`meter run` writes what the kernel says, loses nothing when it is stopped, and names what fails beside the others."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tomllib
from collections import Counter, defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fake import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Done, Sandbox, Waiting

MODES = ("user", "nice", "system", "idle", "iowait", "interrupt", "steal", "guest")
HERTZ = os.sysconf("SC_CLK_TCK")
TICKS = 3
"""Ticks by which /proc/stat, read twice at one time, may differ: the kernel adds up what runs while it is read."""

RAISES = """
from meter.core.plugin import Source


class Plugin(Source):
    def start(self, context):
        self.polls = 0
        if "{phase}" == "start":
            raise RuntimeError("no luck in start")

    def poll(self, out):
        self.polls += 1
        if "{phase}" == "poll" and self.polls == 3:
            raise RuntimeError("no luck in poll")
        out.emit("test.{name}", 1.5)
"""

FILTER = """
contract = 1
name = "worse"
version = "1.0.0"
interface = ">=1,<2"
placement = "filter"
summary = "A filter of a test"
author = "A test <test@example.org>"
licence = "BSD-3-Clause"
status = ["example"]

[[needs.metrics]]
metric = "system.memory.limit"
gives = { name = "${metric}.worse" }
"""

FILTER_CODE = """
from meter.core.plugin import Filter


class Plugin(Filter):
    def run(self, selections, block):
        raise RuntimeError("no luck in run")
"""


def cpu_times() -> dict[tuple[str, str], float]:
    """What /proc/stat says now, in seconds by core and mode; guest is taken out of user and nice."""
    times = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice = map(int, fields[:10])
            values = [user - guest, nice - guest_nice, system, idle, iowait, irq + softirq, steal, guest + guest_nice]
            times.update({(name[3:], mode): value / HERTZ for mode, value in zip(MODES, values, strict=True)})
    return times


def count(sandbox: Sandbox, metric: str, name: str = "host.csv") -> int:
    """How many values of a metric a file has by now, 0 where it is not there yet."""
    path = sandbox.folder / name
    return path.read_bytes().count(f",{metric},".encode()) if path.exists() else 0


def sums(rows: list[dict[str, str]]) -> dict[tuple[str, str], float]:
    """The sums of `system.cpu.time` by core and mode."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        if row["metric"] == "system.cpu.time" and row["quality"] != "missing":
            assert row["kind"] == "delta"
            assert row["unit"] == "s"
            core, mode = row["resource"].removeprefix("cpu_core/"), row["attributes"].removeprefix("cpu.mode=")
            found[core, mode] += float(row["value"])
    return found


def polls(done: Done) -> int:
    """The number of polls that a run said at its end."""
    return int(done.errors.split(" polls")[0].rsplit(" ", 1)[1])


def memory_limit() -> int:
    """MemTotal in bytes."""
    return int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]) * 1024


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A folder on a disk of 64 KiB; skips where it cannot be made."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("only root can mount a small tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def between(
    found: dict[tuple[str, str], float], low: dict[tuple[str, str], float], high: dict[tuple[str, str], float]
) -> None:
    """Each sum lies between what two brackets say, give and take three ticks; `iowait` may fall, says the kernel."""
    slack = TICKS / HERTZ + 1e-9
    assert found.keys() == high.keys()
    for key, total in found.items():
        if key[1] != "iowait":
            assert low[key] - slack <= total <= high[key] + slack, key


def difference(
    before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]
) -> dict[tuple[str, str], float]:
    """How much each time has grown."""
    return {key: after[key] - before[key] for key in before}


def test_mount_and_run_write_what_the_machine_did(sandbox: Sandbox) -> None:
    """`meter run --for 2s` ends after 2 s with what /proc/stat and /proc/meminfo confirm; a second run appends.

    Each sum of CPU time lies between 0 and what /proc/stat grew by around the run, the header is there once.
    """
    sandbox.mount("/host", "cpu", "memory", "csv", "path=host.csv")
    before = cpu_times()
    done = sandbox.meter("run", "/host", "--for", "2s").ok()
    passed = difference(before, cpu_times())
    rows = sandbox.rows()
    between(sums(rows), dict.fromkeys(passed, 0.0), passed)
    # Of 2 s at least 1.9 s are in the sums of each core; interrupts may be counted nowhere, so give and take 10 %.
    for core in {core for core, _ in passed}:
        assert sum(total for (where, _), total in sums(rows).items() if where == core) >= 1.9 * 0.9
    usage: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["metric"] == "system.memory.usage":
            usage[row["time"]] += int(row["value"])
    assert set(usage.values()) == {memory_limit()}
    assert {row["value"] for row in rows if row["metric"] == "system.memory.limit"} == {str(memory_limit())}
    available = [int(row["value"]) for row in rows if row["metric"] == "system.memory.linux.available"]
    assert all(0 < value < memory_limit() for value in available)
    assert polls(done) == len(usage) + sum(row["metric"] == "system.cpu.logical.count" for row in rows)
    assert len(usage) in (3, 4)
    first = (sandbox.folder / "host.csv").read_bytes()
    twice = sandbox.meter("run", "/host", "/host", "--for", "50ms").ok()
    assert twice.errors.count("running /host") == 1
    again = (sandbox.folder / "host.csv").read_bytes()
    assert again.startswith(first)
    assert len(sandbox.rows()) > len(rows)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_loses_no_row(sandbox: Sandbox, wait: Waiting, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a closed terminal in the middle: as many values of each gauge as polls were said, exit 0.

    The CPU times lie between what /proc/stat grew by within the run and around it.
    """
    sandbox.mount("/host", "cpu", "interval=20ms", "csv", "path=host.csv")
    outer = cpu_times()
    process = sandbox.start("run")
    wait.until(lambda: count(sandbox, "system.cpu.logical.count") >= 1)
    inner = cpu_times()
    wait.until(lambda: count(sandbox, "system.cpu.logical.count") >= 10)
    inside = difference(inner, cpu_times())
    process.send_signal(number)
    done = wait.end(process).ok()
    rows = sandbox.rows()
    between(sums(rows), inside, difference(outer, cpu_times()))
    series = Counter((row["metric"], row["resource"], row["attributes"]) for row in rows)
    assert {n for (metric, _, _), n in series.items() if metric == "system.cpu.logical.count"} == {polls(done)}
    assert {n for (metric, _, _), n in series.items() if metric == "system.cpu.time"} == {polls(done) - 1}


def test_two_polls_make_one_row_over_the_whole_span(sandbox: Sandbox, wait: Waiting) -> None:
    """With an interval of an hour there are a first and a last poll, and one delta for each series between them."""
    sandbox.mount("/host", "cpu", "interval=1h", "csv", "path=host.csv")
    outer = cpu_times()
    process = sandbox.start("run", "/host")
    wait.until(lambda: count(sandbox, "system.cpu.logical.count") == 1)
    inner = cpu_times()
    # Something to see besides 0: this very process is busy for 10 ticks.
    wait.until(lambda: sum(difference(inner, cpu_times()).values()) > 10 * len(outer) / len(MODES) / HERTZ)
    inside = difference(inner, cpu_times())
    process.send_signal(signal.SIGINT)
    done = wait.end(process).ok()
    assert polls(done) == 2
    rows = sandbox.rows()
    series = Counter((row["metric"], row["resource"], row["attributes"]) for row in rows)
    assert series.pop(("system.cpu.logical.count", "machine", "")) == 2
    assert set(series.values()) == {1}
    between(sums(rows), inside, difference(outer, cpu_times()))


def test_what_meter_says_of_itself_is_written_like_all_else(sandbox: Sandbox) -> None:
    """Every metric of the contract comes, nothing is missing; the polls add up to those that are said at the end."""
    words = ["cpu", "interval=20ms", "meter", "interval=50ms", "rate", "metrics=system.cpu.time"]
    sandbox.mount("/self", *words, "jsonl", "path=self.jsonl")
    done = sandbox.meter("run", "--for", "400ms").ok()
    lines = [json.loads(line) for line in (sandbox.folder / "self.jsonl").read_text().splitlines()]
    own = [line for line in lines if line["metric"].startswith("meter.")]
    contract = tomllib.loads((PLUGINS / "meter" / "contract.toml").read_text())
    assert {line["metric"] for line in own} == {each["name"] for each in contract["provides"]["metrics"]}
    assert {line["quality"] for line in own} == {"measured"}
    # Of the last poll of `meter` only the next one would tell.
    assert sum(line["value"] for line in own if line["metric"] == "meter.poll.count") == polls(done) - 1
    assert done.codes == []


def test_a_second_ctrl_c_ends_at_once(sandbox: Sandbox, wait: Waiting) -> None:
    """While a plugin hangs in `stop`, the second Ctrl-C ends meter with 130."""
    code = RAISES.format(phase="", name="slow") + (
        "\n    def stop(self):\n        import sys, time\n        print('stopping', file=sys.stderr, flush=True)\n"
        "        time.sleep(60)\n"
    )
    folder = sandbox.plugin("slow", code)
    sandbox.mount("/host", "slow", "csv", "path=host.csv", "--plugin-dir", folder)
    process = sandbox.start("run")
    wait.line(process, "running")
    process.send_signal(signal.SIGINT)
    wait.line(process, "stopping")
    process.send_signal(signal.SIGINT)
    assert wait.end(process).code == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_for_the_reader_of_a_pipe(
    sandbox: Sandbox, wait: Waiting, number: signal.Signals
) -> None:
    """Nobody reads the named pipe that a plugin opens in `start`; it is named, and meter ends."""
    os.mkfifo(sandbox.folder / "pipe")
    code = RAISES.format(phase="", name="slow").replace(
        "        self.polls = 0\n",
        "        import os, sys\n        self.polls = 0\n        print('waits', file=sys.stderr, flush=True)\n"
        "        os.open('pipe', os.O_WRONLY)\n",
    )
    folder = sandbox.plugin("slow", code)
    sandbox.mount("/host", "slow", "memory", "csv", "path=host.csv", "--plugin-dir", folder)
    process = sandbox.start("run")
    wait.line(process, "waits")
    process.send_signal(number)
    done = wait.end(process)
    assert done.code == 5
    assert "`slow` cannot start: Interrupted system call" in done.errors


def test_faults_of_several_runs_say_whose_they_are(sandbox: Sandbox) -> None:
    """One plugin may be in each of them."""
    folder = sandbox.plugin("bad", RAISES.format(phase="start", name="bad"))
    for name in ("a", "b"):
        sandbox.mount(f"/{name}", "bad", "memory", "csv", f"path={name}.csv", "--plugin-dir", folder)
    done = sandbox.meter("run", "--for", "50ms")
    assert done.code == 5
    assert [line.strip() for line in done.errors.splitlines() if "note: of" in line] == [
        "= note: of `/a`",
        "= note: of `/b`",
    ]


LIES = RAISES.format(phase="", name="lies").replace("1.5)", "'much' if self.polls % 2 else 1.5)")


def test_a_breach_is_named_with_its_hop_and_leaves_the_plugin_out(sandbox: Sandbox) -> None:
    """No other plugin, and no other mount, has less for it."""
    folder = sandbox.plugin("lies", LIES)
    sandbox.mount("/bad", "lies", "interval=20ms", "memory", "csv", "path=bad.csv", "--plugin-dir", folder)
    sandbox.mount("/good", "memory", "interval=20ms", "csv", "path=good.csv")
    done = sandbox.meter("run", "--for", "300ms")

    assert done.code == 5
    assert "note: clause `provides.metrics.type`, metric `test.lies`" in done.errors
    assert "note: at hop 1 of 2, before `csv`" in done.errors
    assert "1 violation of contract" in done.errors
    assert {row["metric"].split(".")[0] for row in sandbox.rows("bad.csv")} == {"system"}
    assert sandbox.rows("good.csv")


def test_a_breach_may_end_the_run(sandbox: Sandbox) -> None:
    """By itself, with all its mounts."""
    folder = sandbox.plugin("lies", LIES)
    sandbox.mount("/bad", "lies", "interval=20ms", "csv", "path=bad.csv", "--plugin-dir", folder)
    sandbox.mount("/good", "memory", "interval=20ms", "csv", "path=good.csv")
    done = sandbox.meter("run", "--on-breach", "stop")

    assert done.code == 5
    assert "the run ends" in done.errors
    assert "1 violation of contract" in done.errors


def test_a_plugin_may_go_on_without_its_lies(sandbox: Sandbox) -> None:
    """What offends is missing and counted, what does not is there, and the run has failed all the same."""
    folder = sandbox.plugin("lies", LIES)
    sandbox.mount("/host", "lies", "interval=20ms", "csv", "path=host.csv", "--plugin-dir", folder)
    done = sandbox.meter("run", "--for", "200ms", "--on-breach", "warn")

    assert done.code == 5
    assert done.errors.count("E-BREACH") == 1
    told = [re.search(rf"(\d+) {what}", done.errors) for what in ("values? missing", "violations? of contract")]
    assert told[0]
    assert told[1]
    assert told[0][1] == told[1][1]
    assert {row["value"] for row in sandbox.rows("host.csv")} == {"1.5", ""}


def test_a_policy_that_is_none_is_refused(sandbox: Sandbox) -> None:
    """With those that there are."""
    done = sandbox.meter("run", "--on-breach", "ignore")

    assert done.code == 2
    assert "'ignore': expected quarantine or warn or stop" in done.errors


FREEZES = """
import gc

from meter.core.plugin import Gone, Source


class Plugin(Source):
    def start(self, context):
        self.begin = gc.get_freeze_count()  # Python 3.12 begins with some

    def poll(self, out):
        out.emit("test.frozen", gc.get_freeze_count() - self.begin)
        if gc.get_freeze_count() > self.begin:
            raise Gone
"""


def test_what_stays_to_the_end_is_not_searched_for_garbage(sandbox: Sandbox) -> None:
    """Once rows have gone through, modules and plans are left to themselves: a collection among them is a pause."""
    sandbox.mount("/host", "frozen", "csv", "path=host.csv", "--plugin-dir", sandbox.plugin("frozen", FREEZES))
    sandbox.meter("run", "--for", "20s", "--plugin-dir", "plugins").ok()

    first, *_, last = [float(row["value"]) for row in sandbox.rows()]
    assert first == 0
    assert last > 10_000


def test_missing_values_are_counted(sandbox: Sandbox) -> None:
    """A file of empty values is not what anybody wanted; the last line of a run says how many there are."""
    code = RAISES.format(phase="", name="gaps").replace("1.5)", "None)")
    sandbox.mount(
        "/host", "gaps", "interval=20ms", "csv", "path=host.csv", "--plugin-dir", sandbox.plugin("gaps", code)
    )
    done = sandbox.meter("run", "--for", "50ms").ok()
    found = re.search(r"(\d+) polls, (\d+) rows, (\d+) values missing", done.errors)
    assert found is not None
    assert len(set(found.groups())) == 1


@pytest.mark.parametrize("isolate", [(), ("--isolate",)], ids=["one process", "isolated"])
def test_a_source_that_gave_nothing_is_named(sandbox: Sandbox, isolate: tuple[str, ...]) -> None:
    """A slip in a name is no fault, as such a process may come: the line at the end says that none came."""
    sandbox.mount("/none", "process", "name=no-such-one", "interval=50ms", "csv", "path=none.csv")
    sandbox.mount("/some", "process", f"pid={os.getpid()}", "interval=50ms", "csv", "path=some.csv")

    done = sandbox.meter("run", *isolate, "--for", "300ms").ok()

    ends = {line.split()[1]: line for line in done.errors.splitlines() if line.startswith("ran ")}
    assert re.search(r": \d+ polls, 0 rows, (\d+ ticks? missed, )?nothing from `process`$", ends["/none"])
    assert "nothing from" not in ends["/some"]


def test_sysroot_gives_its_own_numbers(sandbox: Sandbox, wait: Waiting) -> None:
    """What is read below `--sysroot` is what the file says, to the last digit."""
    proc = sandbox.folder / "root" / "proc"
    proc.mkdir(parents=True)
    stat = proc / "stat"
    head = "cpu  {0} 0 0 0 0 0 0 0 0 0\ncpu0 {0} 22 33 44 55 66 77 88 10 2\ncpu5 100 0 0 0 0 0 0 0 0 0\nintr 1\n"
    stat.write_text(head.format(1000))
    (proc / "meminfo").write_text(
        "MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 600 kB\nBuffers: 50 kB\nCached: 200 kB\n"
        "SwapCached: 7 kB\nSReclaimable: 40 kB\n"
    )
    root = proc.parent
    sandbox.mount("/host", "cpu", "interval=1h", "memory", "interval=1h", "csv", "path=host.csv", "--sysroot", root)
    process = sandbox.start("run", "--sysroot", root)
    wait.until(lambda: count(sandbox, "system.cpu.logical.count") == count(sandbox, "system.memory.limit") == 1)
    with stat.open("r+b", buffering=0) as file:  # one write of the same length: no poll sees half of it
        file.write(head.format(1042).encode())
    process.send_signal(signal.SIGINT)
    wait.end(process).ok()
    rows = sandbox.rows()
    expected = {(core, mode): 0.0 for core in ("0", "5") for mode in MODES} | {("0", "user"): 42 / HERTZ}
    assert sums(rows) == expected
    gauges = {(row["metric"], row["attributes"]): row["value"] for row in rows if row["kind"] == "gauge"}
    state = "system.memory.state"
    assert gauges == {
        ("system.cpu.logical.count", ""): "2",
        ("system.memory.limit", ""): str(1000 * 1024),
        ("system.memory.linux.available", ""): str(600 * 1024),
        ("system.memory.usage", f"{state}=free"): str(300 * 1024),
        ("system.memory.usage", f"{state}=buffers"): str(50 * 1024),
        ("system.memory.usage", f"{state}=cached"): str(240 * 1024),
        ("system.memory.usage", f"{state}=used"): str(410 * 1024),
    }


# ------------------------------------------------------------------------------------------------- what fails meanwhile


def complete(sandbox: Sandbox, done: Done, sources: int, name: str = "host.csv") -> None:
    """`cpu` gave a row at each of its polls and each is in the file. `sources` have as many polls as it or fewer."""
    rows = sandbox.rows(name)
    gauge = sum(row["metric"] == "system.cpu.logical.count" for row in rows)
    assert gauge >= 5
    assert gauge <= polls(done) <= sources * (gauge + 1)
    series = Counter((row["resource"], row["attributes"]) for row in rows if row["metric"] == "system.cpu.time")
    assert set(series.values()) == {gauge - 1}


@pytest.mark.parametrize("phase", ["start", "poll"])
def test_a_source_that_raises_is_named_and_left_out(sandbox: Sandbox, phase: str) -> None:
    """Raised in `start` or in the third `poll`: the source is named with the place, the others go on, exit 5."""
    folder = sandbox.plugin("bad", RAISES.format(phase=phase, name="bad"))
    words = ["cpu", "interval=20ms", "bad", "interval=20ms", "csv", "path=host.csv"]
    sandbox.mount("/host", *words, "--plugin-dir", folder)
    done = sandbox.meter("run", "--for", "300ms")
    assert done.code == 5
    assert done.codes == ["E-PLUGIN-RAISED"]
    assert f"`bad` failed in `{phase}`: RuntimeError: no luck in {phase} (plugin.py:" in done.errors
    complete(sandbox, done, sources=2)
    assert count(sandbox, "test.bad") == {"start": 0, "poll": 2}[phase]


def test_a_filter_that_raises_is_named_and_left_out(sandbox: Sandbox) -> None:
    """Raised in `run`: the filter is named, what passes beside it and what it selected reach the file, exit 5."""
    folder = sandbox.plugin("worse", FILTER_CODE, FILTER)
    words = ["cpu", "interval=20ms", "memory", "interval=20ms", "worse", "csv", "path=host.csv"]
    sandbox.mount("/host", *words, "--plugin-dir", folder)
    done = sandbox.meter("run", "--for", "300ms")
    assert done.code == 5
    assert done.codes == ["E-PLUGIN-RAISED"]
    assert "`worse` failed in `run`: RuntimeError: no luck in run (plugin.py:" in done.errors
    complete(sandbox, done, sources=2)
    assert count(sandbox, "system.memory.linux.available") == count(sandbox, "system.memory.limit") >= 5
    assert count(sandbox, "system.memory.limit.worse") == 0


def test_a_plugin_without_its_code_is_named_and_left_out(sandbox: Sandbox) -> None:
    """The code went away after the mount: E-EXPORT-MISSING, the others go on, exit 5; the mount still lists."""
    folder = sandbox.plugin("bad", RAISES.format(phase="", name="bad"))
    sandbox.mount("/host", "cpu", "interval=20ms", "bad", "csv", "path=host.csv", "--plugin-dir", folder)
    (folder / "bad" / "plugin.py").unlink()
    done = sandbox.meter("run", "--for", "300ms")
    assert done.code == 5
    assert done.codes == ["E-EXPORT-MISSING"]
    assert "`bad`" in done.errors
    complete(sandbox, done, sources=1)


def test_a_full_disk_is_named_and_the_other_file_is_complete(sandbox: Sandbox, wait: Waiting) -> None:
    """A disk of 64 KiB runs full: said once, no torn line, the lost rows are counted, the other file has all rows."""
    with small_disk(sandbox.folder / "disk"):
        words = ["cpu", "interval=10ms", "csv", "path=host.csv", "csv#small", "path=disk/small.csv"]
        sandbox.mount("/host", *words)
        process = sandbox.start("run")
        said = wait.line(process, "E-IO")
        process.send_signal(signal.SIGTERM)
        done = wait.end(process)
        done = done._replace(errors=said + done.errors)
        small = len({row["time"] for row in sandbox.rows("disk/small.csv")})
    assert done.code == 5
    assert set(done.codes) == {"E-IO"}
    assert "`small` cannot deliver: No space left on device" in done.errors
    assert "`csv`" not in done.errors.split("ran /host")[0].split("running")[1].split("\n", 1)[1]
    complete(sandbox, done, sources=1)
    rows = len({row["time"] for row in sandbox.rows() if row["metric"] == "system.cpu.logical.count"})
    lost = int(done.errors.split(" rows lost")[0].rsplit(" ", 1)[1])
    assert small + lost == rows == polls(done)


def test_a_file_that_may_not_grow_is_named_and_the_other_output_goes_on(sandbox: Sandbox) -> None:
    """With a limit on the size of files: said, no torn line, the output that is a pipe has all rows, exit 5."""
    sandbox.mount("/host", "cpu", "interval=10ms", "csv", "path=host.csv", "csv#pipe", "path=/dev/stdout")
    done = sandbox.shell("ulimit -f 16; meter run --for 400ms")
    assert done.code == 5
    assert set(done.codes) == {"E-IO"}
    assert "`csv` cannot deliver: File too large" in done.errors
    sandbox.rows()
    (sandbox.folder / "pipe.csv").write_bytes(done.raw)
    complete(sandbox, done, sources=1, name="pipe.csv")


def test_an_output_folder_that_is_deleted_meanwhile_is_named(sandbox: Sandbox, wait: Waiting) -> None:
    """The folder of a file is deleted while it is written: the output is named, the other one is complete, exit 5."""
    (sandbox.folder / "gone").mkdir()
    words = ["cpu", "interval=20ms", "csv", "path=host.csv", "csv#two", "path=gone/two.csv"]
    sandbox.mount("/host", *words)
    process = sandbox.start("run", "--for", "10s")
    wait.until(lambda: count(sandbox, "system.cpu.logical.count", "gone/two.csv") >= 3)
    (sandbox.folder / "gone" / "two.csv").unlink()
    (sandbox.folder / "gone").rmdir()
    reached = count(sandbox, "system.cpu.logical.count") + 5
    wait.until(lambda: count(sandbox, "system.cpu.logical.count") >= reached)
    process.send_signal(signal.SIGINT)
    done = wait.end(process)
    complete(sandbox, done, sources=1)
    assert done.code == 5
    assert "`two`" in done.errors


def test_two_runs_never_write_one_file(sandbox: Sandbox, wait: Waiting) -> None:
    """A second meter on the same file is refused by name, the first one goes on and its file stays whole."""
    sandbox.mount("/host", "cpu", "interval=20ms", "csv", "path=host.csv")
    process = sandbox.start("run")
    wait.until(lambda: count(sandbox, "system.cpu.logical.count") >= 1)
    second = sandbox.meter("run", "--for", "1s")
    assert second.code == 5
    assert "is being written by another output or another meter" in " ".join(second.errors.split())
    wait.until(lambda: count(sandbox, "system.cpu.logical.count") >= 6)
    process.send_signal(signal.SIGTERM)
    complete(sandbox, wait.end(process).ok(), sources=1)


def test_a_reader_of_the_messages_that_goes_away_loses_no_row(sandbox: Sandbox) -> None:
    """`meter run 2>&1 | head -1` and closed standard streams: all backends run on, are stopped and closed in order."""
    for name in ("one", "two"):
        sandbox.mount(f"/{name}", "cpu", "interval=20ms", "csv", f"path={name}.csv")
    done = sandbox.shell("meter run --for 300ms 2>&1 | head -1; echo ${PIPESTATUS[0]}").ok()
    assert done.out == "running /one: cpu -> csv\n0\n"
    done = sandbox.shell("meter run --for 300ms <&- >&- 2>&-")
    assert done.code == 0
    for name in ("one", "two"):
        rows = sandbox.rows(f"{name}.csv")
        assert len({row["time"] for row in rows}) >= 12


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["/nope"], 1, "nothing is mounted at `/nope`"),
        (["/hots"], 1, "did you mean `/host`?"),
        (["--for", "5"], 2, "write it with its unit"),
        (["--file", "nofile.toml"], 5, "cannot read `nofile.toml`"),
    ],
)
def test_what_cannot_be_run_is_said(sandbox: Sandbox, words: list[str], code: int, told: str) -> None:
    """A mountpoint, a duration or a file that there is not."""
    (sandbox.folder / "meter.toml").write_text('[mounts."/host"]\nplugins = ["cpu", "csv"]\n')
    done = sandbox.meter("run", *words)
    assert done.code == code
    assert told in " ".join(done.errors.split())
    assert "Traceback" not in done.errors


def test_an_output_whose_reader_has_gone_ends_the_run(sandbox: Sandbox) -> None:
    """`meter run | head` ends by itself when nobody reads any more, without a fault."""
    sandbox.mount("/host", "cpu", "interval=10ms", "csv", "path=/dev/stdout")

    done = sandbox.shell("meter run --for 30s | head -2; exit ${PIPESTATUS[0]}")

    assert done.code == 0
    assert done.codes == []
    assert "rows lost" not in done.errors
