"""`meter run` writes what the kernel says, loses nothing when it is stopped, and names what fails beside the others."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter, defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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


def test_the_file_says_what_proc_says(sandbox: Sandbox, wait: Waiting) -> None:
    """The sums of CPU time lie between what passed between the first and the last poll's neighbours, give and take
    three ticks; the memory values are those of /proc/meminfo and add up to the whole of it.
    """
    sandbox.mount("/host", "cpu", "memory", "csv", "path=host.csv")
    outer = cpu_times()
    process = sandbox.start("run", "/host", "--for", "2s")
    # The second row of a gauge is there after the second poll, the base of all sums was read by then.
    wait.until(lambda: b"system.cpu.time" in (sandbox.folder / "host.csv").read_bytes() if csv_there() else False)
    inner_begin = cpu_times()
    wait.until(lambda: (sandbox.folder / "host.csv").read_bytes().count(b"system.memory.limit") >= 3)
    inner_end = cpu_times()
    done = wait.end(process).ok()
    after = cpu_times()
    rows = sandbox.rows()
    found = sums(rows)
    assert found.keys() == outer.keys()
    slack = TICKS / HERTZ
    for key, total in found.items():
        if key[1] == "iowait":  # the kernel documents that it may fall
            continue
        assert total <= after[key] - outer[key] + slack, key
        assert total >= inner_end[key] - inner_begin[key] - slack, key
    limits = {row["value"] for row in rows if row["metric"] == "system.memory.limit"}
    assert limits == {str(memory_limit())}
    by_time: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["metric"] == "system.memory.usage":
            by_time[row["time"]] += int(row["value"])
    assert set(by_time.values()) == {memory_limit()}
    assert polls(done) == len(by_time) + sum(row["metric"] == "system.cpu.logical.count" for row in rows)
