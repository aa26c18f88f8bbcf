"""The benchmark of joules: what is counted of what a tool says, when it is right, and that the machines are as told."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks import joules
from benchmarks.energy import tools
from benchmarks.energy.machines import MACHINES, Feeder
from benchmarks.energy.told import MARK, cost
from benchmarks.energy.tools import METER, PEERS, Answer, added, of_exec, of_run
from tests.powercap import ROWS

OWN, PEER = METER[0], PEERS[0]


def answer(row: str, total: float | None, window_s: float = 10, said: str = "", **joules: float | None) -> Answer:
    """What meter said."""
    return Answer(row, OWN, joules, total, window_s, said, 1.0)


@pytest.mark.parametrize("tool", [*METER[2:], *PEERS], ids=lambda tool: tool.name)
def test_each_tool_has_a_module(tool: Any) -> None:
    """Which need not be imported for that: the tool may be absent."""
    assert find_spec(f"benchmarks.energy.{tool.module}") is not None


@pytest.mark.parametrize("row", [row for row, machine in MACHINES.items() if not machine.gpus])
def test_the_machines_are_those_of_the_energy_matrix(row: str) -> None:
    """Each power, and which of them are the total."""
    zones = {zone.name.removesuffix("-0"): zone.watts for zone in ROWS[row].values()}

    assert zones == MACHINES[row].watts
    assert MACHINES[row].total_w == zones["package"] + zones.get("dram", 0)


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (answer("A", 1100), True),
        (answer("A", 1111), True),
        (answer("A", 1112), False),
        (answer("A", 1088), False),
        (answer("A", 550, 5), True),  # of its own window
        (answer("A", 1120)._replace(tool=PEER), True),  # of whose window less is known
        (answer("A", 1124)._replace(tool=PEER), False),
        (answer("A", None, said="no permission"), False),
        (answer("U", None, said="no permission"), True),
        (answer("U", None), False),  # missing without a reason
        (answer("U", 0.0, said="no permission"), False),
        (answer("U", 1100.0), False),  # nobody can know it
        (answer("N1", 1067, 3), True),  # 1 % and 20 ms of 350 W
        (answer("N1", 1068, 3), False),
    ],
)
def test_what_is_right(found: Answer, right: bool) -> None:  # noqa: FBT001  (a row)
    """Within 1 % and a step of the counter; missing with a reason where nothing can be known."""
    assert found.right is right


def test_what_a_user_adds_up() -> None:
    """All that is not called a part of a processor; nothing is not 0."""
    assert added({"package_0": 1000.0, "core_0": 600.0, "uncore_0": 5.0, "dram_0": 100.0}) == 1100.0
    assert added({"CPU 0": 1002.0, "CPU 1": 1502.0}) == 2504.0
    assert added({"CPU": None}) is None
    assert added({}) is None


def test_what_exec_and_run_say_is_read_as_a_user_would() -> None:
    """The total of the document, or the sum of rows between the first and the last."""
    domains = [{"name": "package-0", "value": 7.0}, {"name": "dram-0", "value": None}]
    total = {"value": None, "reason": "dram-0: no permission"}
    energy = {"domains": domains, "total": total, "window": {"value": None}}
    told = of_exec({"energy": energy, "duration": {"value": 2.5}})
    late = of_exec({"energy": {**energy, "window": {"value": 2.6}}, "duration": {"value": 2.5}})
    rows = [
        ("10", "system.cpu.logical.count", "2", ""),
        *(("11", "hw.energy", joules, f"domain={domain}") for domain, joules in (("package", "5"), ("core", "3"))),
        *(("12", "hw.energy", joules, f"domain={domain}") for domain, joules in (("package", "6"), ("dram", "1"))),
    ]
    lines = ["time,metric,value,resource,attributes"]
    lines += [f"2026-11-26T00:00:{second}.500000001Z,{name},{value},x/0,{at}" for second, name, value, at in rows]
    ran = of_run("\n".join(lines))

    assert told == {
        "joules": {"package-0": 7.0, "dram-0": None},
        "total": None,
        "window_s": 2.5,
        "note": "dram-0: no permission",
    }
    assert late["window_s"] == 2.6
    assert ran == {"joules": {"package": 11, "core": 3, "dram": 1}, "total": 12, "window_s": 2.0}
    assert of_run("time,metric\n") == {}


def test_gpus_are_told_apart_by_their_number() -> None:
    """Whatever else is said of them."""
    lines = ["time,metric,value,resource,attributes"]
    lines += [
        f"2026-11-26T00:00:0{s}.000000000Z,hw.energy,{j},gpu/{gpu},hw.vendor=X" for s, gpu, j in ((1, 0, 5), (3, 1, 2))
    ]
    found = of_run("\n".join(lines))

    assert found["joules"] == {"gpu 0": 5.0, "gpu 1": 2.0}
    assert found["total"] == 7.0


def test_the_table_says_how_far_off_and_what_is_wrong() -> None:
    """A line for each tool; a machine that a tool does not take part in stays empty."""
    wrong = answer("B", -261142.0)._replace(tool=PEER)
    lines = list(joules.table([answer("A", 1105.5), answer("U", None, said="no permission"), wrong]))

    assert lines == [
        "| | A: package, core, dram | U: counters not readable | B: psys beside package |",
        "|---|---|---|---|",
        "| meter exec | 1,105.5, +0.5 % | missing |  |",
        f"| {PEER.name} |  |  | **-261,142.0** |",
    ]


def test_the_counters_advance_and_wrap_at_a_word(tmp_path: Path) -> None:
    """They are files as the kernel has them, and whoever feeds them says how late it was."""
    with Feeder(tmp_path, "A") as feeder:
        file = tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"
        before = int(file.read_text())
        feeder.wrap(-3)
        while int(file.read_text()) >= before:
            pass
        after, core = int(file.read_text()), int((file.parent / "intel-rapl:0:0" / "energy_uj").read_text())

    assert before >= 5_000_000_000
    assert 300_000_000 <= after < 5_000_000_000
    assert core >= 6_000_000_000
    assert (file.parent / "name").read_text() == "package-0\n"
    assert feeder.longest_s > 0


def test_a_sample_costs_something() -> None:
    """The least of several rounds."""
    found = cost(lambda: sum(range(1000)))

    assert 0 < found["wall_us"] < 1e6
    assert 0 < found["cpu_us"] < 1e6


def test_a_tool_begins_at_a_word(tmp_path: Path) -> None:
    """It says that it is ready, and then what it measured, on a line of its own; here nothing can be measured."""
    command = [sys.executable, "-m", "benchmarks.energy.measure", "window", "0.01", "rapl"]
    root = Path(joules.__file__).parents[1]
    done = subprocess.run(
        command,
        cwd=root,
        input="\n",
        capture_output=True,
        text=True,
        check=True,
        env={"METER_BENCHMARK_SYSROOT": str(tmp_path), "HOME": str(tmp_path), "PATH": ""},
    )
    first, *_, last = done.stdout.splitlines()
    told = json.loads(last.removeprefix(MARK))

    assert first == "ready"
    assert told["total"] is None
    assert told["note"]
    assert told["window_s"] >= 0.01


def test_a_tool_is_there_when_its_package_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment whose installation broke off is none."""
    monkeypatch.setattr(tools, "VENVS", str(tmp_path))
    (tmp_path / "zeus" / "bin").mkdir(parents=True)
    (tmp_path / "zeus" / "bin" / "python").touch()
    [zeus] = [tool for tool in PEERS if tool.name == "zeus"]
    before = zeus.python, zeus.version
    (tmp_path / "zeus" / "lib" / "python3.11" / "site-packages" / "zeus-0.16.0.dist-info").mkdir(parents=True)

    assert before == (None, "")
    assert (zeus.python, zeus.version) == (str(tmp_path / "zeus" / "bin" / "python"), "zeus 0.16.0")


def test_what_cannot_be_installed_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what pip said, and no traceback."""

    def fail() -> None:
        raise subprocess.CalledProcessError(1, ["pip"], stderr="no network\n")

    monkeypatch.setattr(joules, "install", fail)

    assert joules.main(["--install"]) == 2
    assert "`pip` ended with 1: no network" in capsys.readouterr().err


def test_what_cannot_be_made_here_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With another exit code than that of a wrong number; among all benchmarks it is absent."""
    monkeypatch.setattr(joules, "namespace", lambda: None)

    assert joules.main(["A"]) == 2
    assert "`unshare -mn` and `unshare -rmn` are refused" in capsys.readouterr().err
    assert [figure.note for figure in joules.figures()][-1].startswith("nothing gives a command mounts of its own")


def test_a_machine_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """Is a usage error that names those that there are."""
    with pytest.raises(SystemExit) as ended:
        joules.main(["A", "Z"])

    assert ended.value.code == 2
    assert "no machine is called Z; there are A, B, V, W, U, N1, N2" in capsys.readouterr().err
