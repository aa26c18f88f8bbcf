"""What other meters are known to get wrong and no other file tests: `docs/alumet.md` says which test is for what."""

from __future__ import annotations

import os
from itertools import accumulate, combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core import pollers
from meter.core.discovery import discover
from meter.core.engine import Engine
from meter.plugins.collect.plugin import Collect
from tests.core.liars import SECOND, Still
from tests.fake import Mounted
from tests.strategies import steady

if TYPE_CHECKING:
    from pathlib import Path

    from meter.core.batch import Batch

CATALOGUE = discover(installed=False).catalogue
SOURCES = sorted(each.name for each in CATALOGUE.contracts() if each.placement == "source")
HOUR = 3_600 * SECOND
TICK = SECOND // os.sysconf("SC_CLK_TCK")
BUSY = "system.cpu.time/cpu_core/#0/machine/%/cpu.mode=user"


def plan(*words: str) -> dict[str, Any]:
    """The plan of a chain on a host that has everything."""
    asked, wrong = from_words("/m", list(words), ["meter", "mount", "/m"])
    assert asked is not None, wrong
    return check(asked, CATALOGUE, Assumed()).require().document


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("interval", ["0s", "0ns", "999ns"])
def test_no_source_is_polled_without_a_pause(name: str, interval: str) -> None:
    """Every source has a least interval, and each of them is more than nothing."""
    asked, wrong = from_words("/m", [name, f"interval={interval}", "collect"], ["meter", "mount", "/m"])
    assert asked is not None, wrong

    told = [each for each in check(asked, CATALOGUE, Assumed()).diagnostics if each.code == "E-CONFIG-RANGE"]

    assert [each.facts["option"] for each in told] == ["interval"]


@pytest.mark.parametrize("steps", [{}, {7: -HOUR}, {7: HOUR}, {3: -HOUR, 12: 2 * HOUR, 20: -HOUR}])
def test_a_step_of_the_wall_clock_loses_no_row_and_moves_no_window(
    steps: dict[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backwards as well as forwards: the rows, their spans and the windows are those of a clock that keeps its pace."""
    clock, wall, got = Still(), 1_700_000_000 * SECOND, list[tuple[str, int, int]]()

    def keep(_: Collect, batch: Batch) -> None:
        for block in batch.blocks:
            names = [key.metric.name for key in block.layout.keys]
            got.extend(
                (name, int(since), int(ts)) for name in names for since, ts in zip(block.since, block.ts, strict=True)
            )

    monkeypatch.setattr(Collect, "write", keep)
    step = 0
    monkeypatch.setattr(pollers, "anchor", lambda: (clock.time, clock.time + wall + step))
    document = plan(
        "uptime", "interval=100ms", "aggregate", "metrics=system.uptime", "function=max", "window=1s", "collect"
    )
    contracts = {each["plugin"]: CATALOGUE.entries[each["plugin"]][0].path for each in document["plugins"]}
    engine = Engine(document, contracts, folder=tmp_path, clock=clock)
    engine.start()
    engine.poll_now()
    for nth in range(30):
        step += steps.get(nth, 0)
        engine.tick(clock.advance(100))
    clock.advance(50)
    engine.go()
    engine.stop()

    begin = 5_000 * SECOND
    rows = sorted((ts - begin) // 10**6 for name, _, ts in got if name == "system.uptime")
    windows = sorted(
        ((since - begin) // 10**6, (ts - begin) // 10**6) for name, since, ts in got if name != "system.uptime"
    )
    assert engine.faults == []
    assert rows == [*range(0, 3_001, 100), 3_050]
    assert windows == [(0, 1_000), (1_000, 2_000), (2_000, 3_000), (3_000, 3_050)]


@given(st.lists(st.integers(10_000_000, 45_000_000), min_size=1, max_size=12), st.integers(0, TICK))
@settings(steady, max_examples=100)
def test_a_busy_core_is_busy_for_as_long_as_it_was_whatever_the_interval(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[int], offset: int
) -> None:
    """Where the kernel counts in ticks, rows of polls 20 ms apart are off by a tick; their sum is, too, and no more."""
    root = tmp_path_factory.mktemp("root")
    (root / "proc").mkdir()

    def count(now: int) -> None:
        (root / "proc" / "stat").write_text(
            f"cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 {(now + offset) // TICK} 0 0 0 0 0 0 0 0 0\n"
        )

    count(0)
    mounted = Mounted("cpu", {"interval": 20_000_000}, root)
    mounted.rows(0)
    times = list(accumulate(pauses))
    cells = []
    for now in times:
        count(now)
        cells.append(mounted.cells(now)[BUSY])
    mounted.source.stop()

    assert [(cell.since, cell.ts) for cell in cells] == list(zip([0, *times[:-1]], times, strict=True))
    for first, last in combinations(range(len(cells) + 1), 2):
        some = cells[first:last]
        assert abs(sum(cell.value for cell in some) * SECOND - (some[-1].ts - some[0].since)) <= TICK + 1
