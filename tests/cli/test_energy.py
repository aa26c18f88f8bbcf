"""The energy matrix end to end: `exec`, `run` and `measure()` on made machines whose power is known.

A process of its own lets 10 s of such a machine pass, as fast as it can; what comes out is compared with the truth.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.powercap import ROWS, Processors, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cli.conftest import Sandbox, Waiting

ROOT: Final = Path(__file__).parents[2]
TRUTH: Final[dict[str, dict[str, float]]] = {
    "A": {"package-0": 1000, "core-0": 600, "dram-0": 100},
    "B": {"package-0": 1000, "core-0": 600, "uncore-0": 50, "psys": 1500},
    "V": {"package-0": 1000, "core-0": 600, "dram-0": 100},
    "W": {"package-0": 1000, "core-0": 600, "dram-0": 100},
}
TOTAL: Final = {"A": 1100, "B": 1000, "V": 1100, "W": 1100}
STEP_J: Final = 1.0
"""What a counter of 100 W counts in one step of the player."""
DENY: Final = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""What takes the right to read everything from root."""


def player(root: Path, name: str, busy: str = "") -> list[str]:
    """A command that lets 10 s pass on the machine of a row, on which so many processors are busy."""
    words = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.powercap", str(root), name, "10"]
    return [*words, busy] if busy else words


def near(joules: float) -> Any:
    """1 % and one step of a counter."""
    return pytest.approx(joules, rel=0.01, abs=STEP_J)


def deny(root: Path, name: str) -> Sequence[str]:
    """Let nobody read the counters of a machine; what a command has to begin with so that this is so."""
    machine = row(root, name)
    for place in ROWS[name]:
        machine.file(place).chmod(0)
    return DENY if os.geteuid() == 0 else ()


def compared(energy: dict[str, Any], name: str) -> None:
    """Whether a document is right about the machine of a row."""
    domains = {domain["name"]: domain for domain in energy["domains"]}
    assert energy["total"] == {"value": near(TOTAL[name]), "unit": "J", "quality": "derived", "reason": None}
    for domain, joules in TRUTH[name].items():
        assert (domains[domain]["value"], domains[domain]["quality"]) == (near(joules), "measured")
        assert domains[domain]["counted"] is (domain in ("package-0", "dram-0"))
    assert domains["core-0"]["part_of"] == "package-0"
    if name == "B":
        assert domains["psys"]["contains"] == ["package-0"]
        assert (domains["dram"]["value"], domains["dram"]["quality"]) == (None, "missing")


def denied(energy: dict[str, Any], root: Path) -> None:
    """Whether a document says of each domain that it is missing, and what mends it."""
    domains = {domain["name"]: domain for domain in energy["domains"]}
    assert set(domains) == {"package-0", "core-0", "dram-0"}
    for domain in (energy["total"], *domains.values()):
        assert (domain["value"], domain["quality"]) == (None, "missing")
        assert f"no permission to read {root}/sys/class/powercap/intel-rapl:0" in domain["reason"]
        assert f"sudo chmod a+r {root}/sys/class/powercap/intel-rapl:0" in domain["reason"]


@pytest.mark.parametrize("interval", ["20ms", "1s"])
@pytest.mark.parametrize("name", sorted(TRUTH))
def test_exec_measures_the_energy_of_a_command(sandbox: Sandbox, name: str, interval: str) -> None:
    """Each domain and the total, with polls while it runs and with those at its begin and end alone."""
    row(sandbox.folder, name)
    words = ("--sysroot", sandbox.folder, "-i", interval, "--format", "json")
    done = sandbox.meter("exec", *words, "--", *player(sandbox.folder, name)).ok()

    compared(done.json["energy"], name)
    assert done.json["faults"] == []


def test_exec_says_what_is_missing_where_counters_may_not_be_read(sandbox: Sandbox) -> None:
    """Row U: the command runs all the same, and no number stands for what is not known."""
    words = deny(sandbox.folder, "U")
    told = [*words, sys.executable, "-m", "meter", "exec", "--sysroot", str(sandbox.folder)]
    form = subprocess.run(
        [*told, "--format", "json", "true"], capture_output=True, env=sandbox.environment, check=True, timeout=60
    )
    narrow = {**sandbox.environment, "COLUMNS": "60"}
    table = subprocess.run([*told, "true"], capture_output=True, env=narrow, check=True, timeout=60)

    denied(json.loads(form.stdout)["energy"], sandbox.folder)
    lines = [line.strip() for line in table.stderr.decode().splitlines()]
    assert "energy of dram-0 is missing: no permission to read" in lines
    assert "energy is missing: that of package-0 and dram-0 is missing" in " ".join(lines)
    for zone in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1"):
        assert lines.count(f"`sudo chmod a+r {sandbox.folder}/sys/class/powercap/{zone}/energy_uj`") == 1


@pytest.mark.parametrize("interval", ["2ms", "1us"])
def test_no_interval_is_too_short_for_a_command_to_run(sandbox: Sandbox, interval: str) -> None:
    """Where every source permits less, such as on a machine without RAPL, all are polled as often as they may be."""
    Processors(sandbox.folder, 2)
    done = sandbox.meter("exec", "--sysroot", sandbox.folder, "-i", interval, "--", "echo", "ran").ok()

    assert done.out == "ran\n"
    assert "polled every 10 ms only, which their contracts permit: cpu, " in done.errors


def test_exec_attributes_by_cpu_time(sandbox: Sandbox) -> None:
    """1100 J while two processors were busy for 10 s: what the command used of these 20 s, it used of the joules."""
    row(sandbox.folder, "A")
    Processors(sandbox.folder, 2)
    words = ("exec", "--sysroot", sandbox.folder, "-i", "20ms", "--format", "json", "--")
    document = sandbox.meter(*words, *player(sandbox.folder, "A", "2")).ok().json
    energy, cpu = document["energy"], sum(document["cpu"][mode]["value"] for mode in ("user", "system"))
    domains = {domain["name"]: domain for domain in energy["domains"]}

    share = cpu / 20
    assert 0 < share < 1
    assert energy["attributed"]["value"] == pytest.approx(TOTAL["A"] * share, rel=0.01)
    assert energy["attributed"]["quality"] == energy["unattributed"]["quality"] == "estimated"
    assert energy["attributed"]["value"] + energy["unattributed"]["value"] == pytest.approx(energy["total"]["value"])
    for name, joules in TRUTH["A"].items():
        assert domains[name]["attributed"]["value"] == pytest.approx(joules * share, rel=0.01)
    assert energy["attributed"]["reason"].startswith("by CPU time, ")


@pytest.mark.parametrize(("asked", "intensity"), [("world", 475), ("60 gCO2e/kWh", 60), ("132 g/MJ", 475.2)])
def test_exec_says_the_grams(sandbox: Sandbox, asked: str, intensity: float) -> None:
    """1100 J are 0.3056 Wh: of a grid by its name, or by a figure; attributed as the joules are."""
    row(sandbox.folder, "A")
    Processors(sandbox.folder, 2)
    words = ("exec", "--sysroot", sandbox.folder, "-i", "20ms", "--format", "json", "--carbon", asked, "--")
    document = sandbox.meter(*words, *player(sandbox.folder, "A", "2")).ok().json
    grams, energy = document["carbon"], document["energy"]

    assert (grams["asked"], grams["total"]["unit"], grams["total"]["quality"]) == (asked, "g", "estimated")
    assert grams["total"]["value"] == pytest.approx(TOTAL["A"] / 3.6e6 * intensity, rel=0.01)
    for part in ("attributed", "unattributed"):
        share = energy[part]["value"] / energy["total"]["value"]
        assert grams[part]["value"] == pytest.approx(grams["total"]["value"] * share)
    assert {metric["metric"] for metric in document["metrics"]} > {"hw.energy", "hw.energy.carbon"}


def test_the_table_shows_grams_where_they_are_asked_for(sandbox: Sandbox) -> None:
    """One line for the command and one for the machine."""
    row(sandbox.folder, "A")
    Processors(sandbox.folder, 2)
    words = ("exec", "--sysroot", sandbox.folder, "--carbon", "FRA", "--")
    done = sandbox.meter(*words, *player(sandbox.folder, "A", "2")).ok()
    lines = [line.split() for line in done.errors.splitlines()]

    assert [line[-1] for line in lines if line[:1] == ["carbon"]] == ["estimated"]
    assert ["carbon,", "attributed", "to", "the", "command"] in [line[:5] for line in lines]


def test_each_source_is_polled_as_often_as_its_contract_permits(sandbox: Sandbox) -> None:
    """What takes no such interval is polled less often and named; the others are polled as they were asked to be."""
    row(sandbox.folder, "A")
    Processors(sandbox.folder, 2)
    words = ("--sysroot", sandbox.folder, "-i", "5ms")
    form = sandbox.meter("exec", *words, "--format", "json", "--", *player(sandbox.folder, "A", "2")).ok().json
    table = sandbox.meter("exec", *words, "--", "true").ok()

    slower = {each["source"]: each["interval"]["value"] for each in form["slower"]}
    assert slower["cpu"] == 0.01
    assert "rapl" not in slower
    compared(form["energy"], "A")
    assert "polled every 10 ms only, which their contracts permit: cpu, " in table.errors


def test_a_counter_that_went_away_midway_is_no_measured_energy(sandbox: Sandbox) -> None:
    """Neither in its own line nor in the total; what was read of it stands apart, and what was whole stays."""
    machine = row(sandbox.folder, "A")
    gone = machine.file("intel-rapl:0:1")
    ends = f"{shlex.join(player(sandbox.folder, 'A'))} && rm -r {gone} && mkdir {gone} && sleep 0.1"
    words = ("exec", "--sysroot", sandbox.folder, "-i", "20ms", "--format", "json", "--", "sh", "-c", ends)
    energy = sandbox.meter(*words).ok().json["energy"]
    domains = {domain["name"]: domain for domain in energy["domains"]}

    assert (domains["dram-0"]["value"], domains["dram-0"]["quality"]) == (None, "missing")
    assert domains["dram-0"]["partial"]["value"] == near(100)
    assert (domains["package-0"]["value"], domains["package-0"]["partial"]) == (near(1000), None)
    assert energy["total"]["value"] is None
    assert "dram-0: " in energy["total"]["reason"]


def test_the_table_of_exec_says_what_is_part_of_what(sandbox: Sandbox) -> None:
    """A line for the total and for each domain."""
    row(sandbox.folder, "B")
    done = sandbox.meter("exec", "--sysroot", sandbox.folder, "--", *player(sandbox.folder, "B")).ok()
    lines = {" ".join(line.split()).removeprefix("machine ") for line in done.errors.splitlines()}
    means = {line.partition(", mean")[0] for line in lines if line.startswith("power")}

    assert means == {"power", "power of package-0", "power of core-0", "power of uncore-0", "power of psys"}
    assert {
        "energy 1 kJ derived",
        "energy of package-0 1 kJ measured",
        "energy of core-0 (part of package-0) 600 J measured",
        "energy of psys (another view of package-0) 1.5 kJ measured",
        "energy of dram - missing",
        "energy of dram is missing: this machine has no counter for it",
    } <= lines


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_run_writes_the_energy(sandbox: Sandbox, wait: Waiting, name: str) -> None:
    """The rows of a file add up to the truth, before and after which counters stand still; wraps are counted."""
    row(sandbox.folder, name)
    sandbox.mount("/energy", "rapl", "interval=20ms", "csv", "path=host.csv", "--sysroot", sandbox.folder)
    running = sandbox.start("run", "/energy", "--sysroot", sandbox.folder)
    file = sandbox.folder / "host.csv"
    wait.until(lambda: file.exists() and "hw.energy" in file.read_text())
    subprocess.run(player(sandbox.folder, name), check=True)
    running.send_signal(signal.SIGINT)
    assert wait.end(running).code == 0

    rows = sandbox.rows()
    sums: dict[str, float] = {}
    for each in rows:
        if each["metric"] == "hw.energy":
            domain = each["attributes"].removeprefix("domain=")
            sums[domain] = sums.get(domain, 0) + float(each["value"] or 0)  # missing while it stands still
    wraps = sum(int(each["value"]) for each in rows if each["metric"] == "meter.wrap.count")
    assert sums == {domain.partition("-")[0]: near(joules) for domain, joules in TRUTH[name].items()}
    assert wraps == (2 if name in "VW" else 0)


def test_check_says_before_the_run_that_counters_may_not_be_read(sandbox: Sandbox) -> None:
    """Row U: with the file, the command that mends it, and the exit code 1; a backend is not mounted then."""
    words = deny(sandbox.folder, "U")
    (sandbox.folder / "meter.toml").write_text('[mounts."/e"]\nplugins = ["rapl", "csv"]\nconfig.csv.path = "e.csv"\n')
    told = [*words, sys.executable, "-m", "meter"]
    for command in (["check"], ["run", "/e"]):
        done = subprocess.run(
            [*told, *command, "--sysroot", str(sandbox.folder)],
            cwd=sandbox.folder,
            env={**sandbox.environment, "COLUMNS": "400"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 1
        assert "error[E-HOST]: `rapl` cannot work on this host: neither of the two ways is open: " in done.stderr
        assert "ways is open: no permission to read" in done.stderr
        assert f"sudo chmod a+r {sandbox.folder}/sys/class/powercap/intel-rapl*/energy_uj" in done.stderr


MEASURE: Final = """
import json, subprocess, sys
from meter.core import measure
root, *command = sys.argv[1:]
with measure(sysroot=root, interval="5ms", carbon="36 g/kWh") as m:
    if command:
        subprocess.run(command, check=True)
print(json.dumps(m.to_json()))
"""


@pytest.mark.parametrize("name", [*sorted(TRUTH), "U"])
def test_measure_knows_the_energy_of_a_block(sandbox: Sandbox, name: str) -> None:
    """As exec; where the counters may not be read, the program goes on and the number says why it is missing."""
    row(sandbox.folder, name)
    words = deny(sandbox.folder, name) if name == "U" else ()
    command = [] if name == "U" else player(sandbox.folder, name)
    done = subprocess.run(
        [*words, sys.executable, "-c", MEASURE, str(sandbox.folder), *command],
        env=sandbox.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["problems"] == []
    if name == "U":
        denied(document["energy"], sandbox.folder)
        assert (document["carbon"]["total"]["value"], document["slower"]) == (None, [])
    else:
        compared(document["energy"], name)
        assert document["carbon"]["total"]["value"] == pytest.approx(document["energy"]["total"]["value"] / 1e5)


@pytest.mark.parametrize(
    "metrics", ["hw.energy{domain=package|core}", "hw.energy{domain=package|psys}", "hw.energy{domain=dram|psys}"]
)
def test_joules_that_are_there_twice_are_not_summed(sandbox: Sandbox, metrics: str) -> None:
    """A domain and what it is a part of, nor the platform and what it holds; the help says what may be summed."""
    words = (f"metrics={metrics}", "function=sum", "over=domain", "over=resource")
    row(sandbox.folder, "B")
    done = sandbox.meter("mount", "--sysroot", sandbox.folder, "/e", "rapl", "aggregate", *words, "csv", "path=e.csv")

    assert done.code == 1
    assert done.codes == ["E-FLOW-DOUBLE"]


def test_packages_and_their_memory_are_summed(sandbox: Sandbox) -> None:
    """What is no part of each other."""
    words = ("metrics=hw.energy{domain=package|dram}", "function=sum", "over=domain", "over=resource")
    row(sandbox.folder, "A")
    sandbox.mount("--sysroot", sandbox.folder, "/e", "rapl", "aggregate", *words, "csv", "path=e.csv")


def test_explain_says_which_reader_the_host_permits(sandbox: Sandbox) -> None:
    """By the name of the alternative of `needs.host` that holds."""
    row(sandbox.folder, "A")
    sandbox.mount("--sysroot", sandbox.folder, "/e", "rapl", "csv", "path=e.csv")
    done = sandbox.meter("explain", "/e", "rapl", "--sysroot", sandbox.folder).ok()

    assert "  works with  powercap, the first alternative of `needs.host` that holds here" in done.out


def test_doctor_names_the_counters_that_may_not_be_read(sandbox: Sandbox) -> None:
    """With one command for all of them, in a line of its own."""
    words = deny(sandbox.folder, "U")
    told = [*words, sys.executable, "-m", "meter", "doctor", "--sysroot", str(sandbox.folder)]
    done = subprocess.run(told, env=sandbox.environment, capture_output=True, text=True, check=False, timeout=60)

    text = " ".join(done.stdout.split())
    assert "rapl does not work here: neither of the two ways is open: no permission to read" in text
    assert f"  $ sudo chmod a+r {sandbox.folder}/sys/class/powercap/intel-rapl*/energy_uj\n" in done.stdout
