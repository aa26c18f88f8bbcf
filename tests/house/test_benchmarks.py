"""The benchmarks as a program: what can be named, what is printed, what is said of a peer that is not there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import benchmarks.__main__ as program
from benchmarks import catalogue, growth, isolate, kilohertz, peers
from benchmarks.figure import Figure, absent
from benchmarks.lateness import lateness
from benchmarks.polling import Pace, of_engine, said_by
from benchmarks.processes import Process, lines
from benchmarks.stalls import Stall, stalls

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"

ALL = {**program.GROUPS, **program.LONG}
MEASURED = Figure("start", 40.0, 10.0, "bare", "ms", 5)
MISSED = Figure("memory", 40.0, None, "", "MiB", 32, "MiB")


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark that takes no time, called `one`."""

    def figures(name: str) -> Iterator[Figure]:
        assert name == "one"
        yield from (MEASURED, MISSED, absent("peer", "s", "not installed; apt-get install peer"))

    monkeypatch.setattr(program, "GROUPS", {"one": "benchmarks.one"})
    monkeypatch.setattr(program, "figures", figures)


@pytest.mark.parametrize("module", ALL.values(), ids=ALL.keys())
def test_each_benchmark_is_a_module_with_figures(module: str) -> None:
    """It can be imported, and measures nothing before it is asked to."""
    assert callable(import_module(module).figures)


def test_each_benchmark_is_on_its_page() -> None:
    """With a row of its own in the first table."""
    named = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)

    assert sorted(ALL) == sorted(set(named) & set(ALL))


def test_json_has_the_documented_fields(one: None, capsys: pytest.CaptureFixture[str]) -> None:
    """One object for each line; the page lists the fields of all."""
    del one
    documented = re.findall(r"^- `(\w+)`: ", PAGE.read_text(), re.MULTILINE)

    program.main(["one", "--json"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [sorted(each) for each in found] == [sorted(documented)] * 3
    assert [each["met"] for each in found] == [True, False, None]
    assert [each["ratio"] for each in found] == [4.0, None, None]


def test_the_table_says_what_is_met_and_what_is_absent(one: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A peer that is not installed has a line, with the command that installs it."""
    del one
    program.main([])
    _, measured, missed, peer = capsys.readouterr().out.splitlines()

    assert measured.endswith(" yes")
    assert missed.endswith(" NO")
    assert "absent" in peer
    assert peer.endswith("not installed; apt-get install peer")


@pytest.mark.usefixtures("one")
def test_what_takes_long_runs_only_when_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without names the others run."""
    monkeypatch.setattr(program, "LONG", {"long": "benchmarks.long"})
    monkeypatch.setattr(program, "figures", lambda name: iter([MEASURED._replace(name=name)]))

    program.main(["--json"])
    program.main(["long", "--json"])

    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["one", "long"]


def test_an_unknown_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """It runs nothing and says which there are."""
    with pytest.raises(SystemExit) as ended:
        program.main(["startup", "startpu"])

    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    assert f"no benchmark is called startpu; there are {', '.join(ALL)}" in said.err


def test_a_program_that_ends_by_itself_is_said_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What it said is the reason; no traceback, and the exit code tells."""

    def figures(_: str) -> Iterator[Figure]:
        with Process("peer", ["sh", "-c", "echo no such device; exit 3"], cwd=str(tmp_path)) as peer:
            os.waitid(os.P_PID, peer.pid, os.WEXITED | os.WNOWAIT)
            peer.require()
        yield MEASURED

    monkeypatch.setattr(program, "figures", figures)
    with pytest.raises(SystemExit) as ended:
        program.main(["startup"])

    assert ended.value.code == 1
    assert "startup: peer has ended with 3: no such device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("", 5.0, 1.0, "", "ms", 5), True),  # the bar itself is met
        (Figure("", 5.1, 1.0, "", "ms", 5), False),
        (Figure("", 3.0, None, "", "Mpt/s", 3, "Mpt/s", at_least=True), True),
        (Figure("", 2.9, None, "", "Mpt/s", 3, "Mpt/s", at_least=True), False),
        (Figure("", 991.0, 1000.0, "truth", "J", 0.01, near=True), True),
        (Figure("", 1011.0, 1000.0, "truth", "J", 0.01, near=True), False),
        (Figure("", 989.0, 1000.0, "truth", "J", 0.01, near=True), False),
        (Figure("", 5.0, 1.0, "", "ms", None), None),  # without a bar there is nothing to meet
        (Figure("", 5.0, None, "", "ms", 5), None),  # a ratio to a control that is not there
    ],
)
def test_a_bar_bounds_the_ratio_or_the_value(figure: Figure, met: bool | None) -> None:  # noqa: FBT001  (a row of a table)
    """What it bounds is said by `of`."""
    assert figure.met is met


def test_a_peer_that_is_not_installed_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is taken for one that costs nothing."""
    monkeypatch.setattr(peers, "program", lambda _: None)

    made = [make(str(tmp_path), peers.GROUPS, 0.1) for make in (peers.collectd, peers.glances, peers.node_exporter)]

    assert [type(peer) for peer in made] == [peers.Absent] * 3


def test_a_stall_is_a_pause_beyond_the_interval() -> None:
    """It begins when the next poll was due; how long the thread had no processor meanwhile is known of each."""
    times, delays = [0, 10, 45, 55, 70], [5, 6, 30, 31, 31]

    assert stalls(times, 10, 20, delays) == [Stall(20, 45, 24)]
    assert stalls(times, 10, 3) == [Stall(20, 45), Stall(65, 70)]


@pytest.mark.parametrize(
    ("others", "met"),
    [
        ([Stall(0, 16), Stall(90, 99)], True),
        ([Stall(0, 15)], False),  # half of it is not more than half
        ([], False),
    ],
)
def test_a_stall_is_that_of_the_machine_if_the_control_has_it_too(others: list[Stall], met: bool) -> None:  # noqa: FBT001  (a row of a table)
    """More than half of it, in one piece."""
    assert Stall(10, 20).meets(others) is met


def test_a_process_is_ended_by_its_block(tmp_path: Path) -> None:
    """Its CPU time and memory can be read until then, and it is reaped."""
    with Process("sleeper", ["sleep", "60"], cwd=str(tmp_path)) as process:
        cpu_s = process.cpu_s()
        rss_mib, peak_mib = process.memory_mib()
        process.require()

    assert 0 <= cpu_s < 60
    assert 0 < rss_mib <= peak_mib
    with pytest.raises(FileNotFoundError):
        process.cpu_s()


def test_collections_are_counted_by_marked_lines(tmp_path: Path) -> None:
    """A file that is not there yet has none."""
    path = tmp_path / "host.csv"
    assert lines(str(path)) == 0

    path.write_text("a,1\nb,2\na,3\n")

    assert lines(str(path)) == 3
    assert lines(str(path), b"a,") == 2


def test_the_made_contracts_can_be_read_and_mounted() -> None:
    """The smallest catalogue with every kind of contract in its backend."""
    read_s, check_s = catalogue.once(200)

    assert read_s > 0
    assert check_s > 0


def test_lateness_is_that_of_the_first_deadline_a_poll_stands_for() -> None:
    """Deadlines at 1000, 1100, ..., 1500; the poll at 1330 stands for 1200 and 1300."""
    found = lateness([[1000, 1101, 1330, 1402, 1599]], 1000, 100, 1000, 1500)

    assert (found.nominal, found.polled, found.missed) == (5, 4, 1)
    assert (found.p50_us, found.max_us) == (0.001, 0.130)
    assert found.percent == 80


def test_lateness_of_several_sources_is_put_together() -> None:
    """Each has all deadlines; a poll beside the schedule stands for none."""
    found = lateness([[1000, 1100], [1010, 1050, 1190]], 1000, 100, 1000, 1200)

    assert (found.nominal, found.polled) == (4, 4)
    assert found.max_us == 0.090


def test_no_poll_at_all_has_no_lateness() -> None:
    """It is an error and not a figure."""
    with pytest.raises(ValueError, match="no poll between 1000 and 1200"):
        lateness([[900]], 1000, 100, 1000, 1200)


def test_the_chain_of_the_benchmarks_runs(tmp_path: Path) -> None:
    """A source that reads files, five filters and an output, for half a second; what it did is told."""
    paths = kilohertz.write(str(tmp_path), "panel", 2, 4)
    kilohertz.chain(str(tmp_path), str(tmp_path / "meter.toml"), Pace(100, span_s=0.5), paths)

    command = [sys.executable, "-m", "benchmarks.loop_engine", str(tmp_path / "meter.toml"), "0.5", "0"]
    done = subprocess.run(command, cwd=PAGE.parents[1], capture_output=True, check=True)
    said = json.loads(done.stdout)

    assert (said["faults"], said["lost"]) == ([], 0)
    assert 1 <= said["polled"] <= said["nominal"]
    assert said["rows"] >= said["polled"]


@pytest.mark.parametrize("how", [(), ("isolate",)], ids=["here", "apart"])
def test_the_chain_beside_a_busy_filter_runs(tmp_path: Path, how: tuple[str, ...]) -> None:
    """In one process and in two, through the filter."""
    file = isolate.mount(str(tmp_path), Pace(100, span_s=0.5))

    ran = of_engine(said_by([sys.executable, "-m", "benchmarks.loop_engine", file, "0.3", "0.1", *how], str(tmp_path)))

    assert 0 < ran.percent <= 100


def test_a_chain_grows_by_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its polls are timed as soon as there are enough of them."""
    monkeypatch.setattr(growth, "SPAN_S", 0)

    assert growth.poll_us(growth.with_plugins(2)) > 0
    assert growth.poll_us(growth.with_sources(2)) > 0
    assert growth.poll_us(growth.with_series(2)) > 0
