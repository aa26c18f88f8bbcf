"""The energy of all processes and of all control groups beside that of the machine, on a made host with a known truth.

The host is a tree of files that the real sources `rapl`, `cpu`, `process` and `cgroup` read; their rows go through the
real filters `aggregate` and `attribution`. What each process did in each tick of the clock is known, also of those that
were never seen: so is which part of the energy no process can be given.
"""

from __future__ import annotations

import time
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core.discovery import discover
from meter.core.engine import Engine
from meter.core.plugin import Missing
from meter.core.polling import Raw
from tests.fake import SECOND
from tests.powercap import Powercap, Zone
from tests.proc import HERTZ, IS_KERNEL, TICK, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BEGIN: Final = 5_000 * SECOND
BUSY: Final = "sum(system.cpu.time.sum{cpu.mode=user|nice|system})"
WHOLE: Final = "sum(system.cpu.time.sum)"
GROUPS: Final = ("/system.slice", "/user.slice")
IDLE, INTERRUPT = 0, 1
FIRST: Final = 100
KERNEL: Final = 2


class Life(NamedTuple):
    """A process: the tick of its birth, and that of its end."""

    birth: int
    end: int


class Host:
    """A machine of two cores, and what was done on it: `work[core][tick]` says by whom, or that it was none."""

    def __init__(self, root: Path, lives: Sequence[Life], work: Sequence[Sequence[int]], watts: int = 40) -> None:
        self.lives = lives
        self.pids = numbered(lives)
        self.runs = [[self._runner(tick, word) for tick, word in enumerate(core)] for core in work]
        self.watts = watts
        self.root = root
        self.processes = Tree(root)
        self.package = Powercap(root, {"intel-rapl:0": Zone("package-0", watts)})
        self.groups = root / "sys/fs/cgroup"
        self.groups.mkdir(parents=True)
        (self.groups / "cgroup.controllers").write_text("\n")
        for core in range(len(work)):
            folder = root / f"sys/devices/system/cpu/cpu{core}/topology"
            folder.mkdir(parents=True)
            (folder / "physical_package_id").write_text("0\n")
        self._there: dict[int, int] = {}

    def _runner(self, tick: int, word: int) -> int | None:
        """The process that has a core in a tick: its place; -1 a thread of the kernel, -2 interrupts, None nobody."""
        if word in (IDLE, INTERRUPT):
            return None if word == IDLE else -2
        alive = [-1, *(place for place, life in enumerate(self.lives) if life.birth <= tick < life.end)]
        return alive[word % len(alive)]

    def used(self, place: int | None, begin: int, end: int) -> int:
        """Ticks that a process had, of all cores."""
        return sum(core[begin:end].count(place) for core in self.runs)

    def busy(self, begin: int, end: int) -> int:
        """Ticks of processes and of threads of the kernel."""
        return sum(runner not in (None, -2) for core in self.runs for runner in core[begin:end])

    def seen(self, before: int, now: int) -> dict[int, int]:
        """What each process that is there now did since the poll before, as far as that poll saw it or it is new."""
        found = {self.pids[place]: self.used(place, before, now) for place in self.present(now)}
        return {KERNEL: self.used(-1, before, now), **found}

    def lost(self, before: int, now: int) -> int:
        """What those did since the poll before that are not there any more."""
        gone = {place for place, life in enumerate(self.lives) if life.end <= now}
        return sum(self.used(place, before, now) for place in gone)

    def present(self, tick: int) -> list[int]:
        """The places of the processes that there are."""
        return [place for place, life in enumerate(self.lives) if life.birth <= tick < life.end]

    def at(self, tick: int) -> int:
        """Write all files as they are after so many ticks; the monotonic time, half a tick later."""
        suspended = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        present = {self.pids[place]: place for place in self.present(tick)}
        for pid in self._there.keys() - present.keys():
            self.processes.end(pid)
        self._there = present
        for pid, place in present.items():
            start = (BEGIN + self.lives[place].birth * TICK + suspended) // TICK
            self.processes.write(pid, start=start, user=self.used(place, 0, tick))
        self.processes.write(KERNEL, parent=0, flags=IS_KERNEL, system=self.used(-1, 0, tick))
        lines = []
        for core in self.runs:
            done = core[:tick]
            kernel, interrupts, idle = (done.count(word) for word in (-1, -2, None))
            lines.append(f"{len(done) - kernel - interrupts - idle} 0 {kernel} {idle} 0 {interrupts} 0 0 0 0")
        text = "".join(f"cpu{name} {line}\n" for name, line in [(" ", lines[0]), *enumerate(lines)])
        (self.root / "proc/stat").write_text(f"{text}intr 1\n")
        for nth, group in enumerate(GROUPS):
            places = [place for place in range(len(self.lives)) if place % len(GROUPS) == nth]
            usage = sum(self.used(place, 0, tick) for place in places) * TICK // 1000
            (self.groups / group[1:]).mkdir(exist_ok=True)
            (self.groups / group[1:] / "cpu.stat").write_text(f"usage_usec {usage}\nuser_usec 0\nsystem_usec 0\n")
        self.package.at(tick / HERTZ)
        return BEGIN + tick * TICK + TICK // 2


def numbered(lives: Sequence[Life]) -> list[int]:
    """Ids of processes: each has the least that is free at its birth, so that ids are used again at once."""
    pids: dict[int, int] = {}
    for place in sorted(range(len(lives)), key=lambda place: lives[place]):
        taken = {pid for other, pid in pids.items() if lives[other].end > lives[place].birth}
        pids[place] = next(pid for pid in range(FIRST, FIRST + len(lives) + 1) if pid not in taken)
    return [pids[place] for place in range(len(lives))]


Energies = dict[str, dict[str, Any]]
"""Joules or the reason by metric and consumer."""


@cache
def plan(whole: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The plan, and where the contracts are, of a chain that divides by `whole`."""
    energy = "hw.energy{domain=package}"
    words = [
        *("rapl", "reader=powercap", "cpu", "process", "name=*", "modes=false", "cgroup", "paths=/*"),
        *("aggregate", "metrics=system.cpu.time", "function=sum", "over=resource"),
        *("attribution", f"formulas=process.energy={energy} * process.cpu.time / {whole}"),
        f"formulas=container.energy={energy} * container.cpu.time / {whole}",
        "collect",
    ]
    request, wrong = from_words("/whole", words, ["meter", "mount", "/whole", *words])
    assert request is not None, wrong
    catalogue = discover(installed=False).catalogue
    document = check(request, catalogue, Assumed()).require().document
    return document, {each["plugin"]: catalogue.entries[each["plugin"]][0].path for each in document["plugins"]}


class Meter:
    """The chain over a host."""

    def __init__(self, host: Host, folder: Path, whole: str) -> None:
        self.host = host
        host.at(0)
        self.engine = Engine(*plan(whole), folder=folder, sysroot=host.root)
        self.engine.start()

    def poll(self, tick: int) -> Energies:
        """Poll every source once; the energy that is attributed for the time since the poll before."""
        ts = self.host.at(tick)
        rows = []
        for source in self.engine.sources:
            source.readings.begin(ts)
            source.source.poll(source.readings)
            rows.append((source.label, source.readings.take()))
        found: Energies = {"process.energy": {}, "container.energy": {}}
        for block in self.engine.blocks(Raw(rows, (0, 0))):
            for _, key, value in block.points():
                if key.metric.name in found:
                    assert key.metric.unit == "J"
                    cells = found[key.metric.name]
                    assert key.consumer[1] not in cells
                    cells[key.consumer[1]] = value.reason if isinstance(value, Missing) else float(value)
        assert self.engine.faults == []
        return found

    def stop(self) -> None:
        """The end."""
        self.engine.stop()


def amounts(cells: Mapping[str, Any]) -> dict[str, float]:
    """The energies that are more than nothing."""
    return {name: value for name, value in cells.items() if value}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Life], list[list[int]], list[int]]:
    """Processes that come and go, what the cores did, and when it was polled."""
    ticks = draw(st.integers(4, 40))
    births = draw(st.lists(st.integers(0, ticks - 1), max_size=7))
    lives = [Life(birth, birth + draw(st.integers(1, 4) | st.integers(1, ticks))) for birth in births]
    core = st.lists(st.integers(0, 9), min_size=ticks, max_size=ticks)
    polls = draw(st.lists(st.integers(1, ticks), min_size=1, max_size=6, unique=True))
    return lives, [draw(core), draw(core)], [0, *sorted(polls)]


@settings(derandomize=True, max_examples=40, deadline=None)
@given(histories(), st.sampled_from([BUSY, WHOLE]))
def test_what_is_attributed_and_what_is_not_is_the_whole(
    tmp_path_factory: pytest.TempPathFactory, history: tuple[list[Life], list[list[int]], list[int]], whole: str
) -> None:
    """Each process has its part, and what is left is the part of those that ended before they were seen again.

    Of the busy time these are the only ones, and interrupts and idling are shared by who worked; of all time what is
    left is that of interrupts and idling, too. Control groups lose nobody, and have no threads of the kernel.
    """
    lives, work, polls = history
    folder = tmp_path_factory.mktemp("whole")
    host = Host(folder / "host", lives, work)
    meter = Meter(host, folder, whole)
    assert meter.poll(polls[0]) == {"process.energy": {}, "container.energy": {}}
    for before, now in pairwise(polls):
        found = meter.poll(now)
        joules = Fraction(host.watts * (now - before), HERTZ)
        total = host.busy(before, now) if whole == BUSY else len(work) * (now - before)
        seen, lost = host.seen(before, now), host.lost(before, now)
        if total == 0:
            assert {*found["process.energy"].values(), *found["container.energy"].values()} == {"division by zero"}
            continue
        wanted = {str(pid): pytest.approx(float(joules * used / total)) for pid, used in seen.items() if used}
        assert amounts(found["process.energy"]) == wanted
        left = joules - Fraction(sum(amounts(found["process.energy"]).values()))
        others = 0 if whole == BUSY else total - host.busy(before, now)
        assert float(left) == pytest.approx(float(joules * (lost + others) / total), abs=1e-9)

        kernel = host.used(-1, before, now)
        groups = amounts(found["container.energy"])
        assert groups.keys() <= set(GROUPS)
        left = joules - Fraction(sum(groups.values()))
        assert float(left) == pytest.approx(float(joules * (kernel + others) / total), abs=1e-9)
    meter.stop()


@pytest.mark.parametrize(
    ("lives", "attributed"),
    [
        ([Life(0, 99)], 1),  # seen at both polls
        ([Life(12, 99)], 1),  # born between them: from its birth on
        ([Life(0, 18)], 0),  # ended between them: what it did since the first is lost
        ([Life(12, 18)], 0),  # never seen
        ([Life(0, 14), Life(14, 99)], Fraction(6, 10)),  # the id is used again: another process, which began at 0
        ([Life(0, 12), Life(12, 15), Life(15, 99)], Fraction(5, 10)),
    ],
)
def test_what_is_lost_is_what_no_poll_sees(tmp_path: Path, lives: list[Life], attributed: Fraction) -> None:
    """Processes of one id that have a core whenever they live: 40 W in a tenth of a second are theirs, or of nobody.

    Their control groups have them in each case.
    """
    work = [[1 if any(life.birth <= tick < life.end for life in lives) else IDLE for tick in range(20)], [IDLE] * 20]
    host = Host(tmp_path / "host", lives, [[3 * word for word in core] for core in work])
    meter = Meter(host, tmp_path, BUSY)
    meter.poll(10)
    found = meter.poll(20)
    meter.stop()

    assert set(host.pids) == {FIRST}
    assert found["process.energy"].get(str(FIRST), 0.0) == pytest.approx(float(4 * attributed))
    assert sum(found["container.energy"].values()) == pytest.approx(4.0)
