"""`nvml` in `meter exec`, `meter run` and `measure()`, each a process that finds a fake driver as it would a real one.

The fake has a known truth: its counters step every 20 ms at a fixed power by the monotonic clock. No test asserts how
long anything took: what is compared are joules with the times that were measured beside them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import meter.plugins.nvml
from tests import nvml

WATTS = {"gpu-0": 250, "gpu-1": 100}
STEP_S = 0.02
DEADLINE_S = 60


class Machine:
    """A folder in which `meter` finds two GPUs."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder = folder
        self.root = nvml.machine(folder / "root")
        self._library = library
        self.gpus()

    def gpus(self, *lines: str) -> None:
        """What the fake reads besides."""
        both = ["gpus 2", "0.watts_mw=250000", "1.watts_mw=100000", *lines]
        own = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache"), "NO_COLOR": "1"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("METER_", "XDG_"))}
        self.environment = {**kept, **own, **nvml.environment(self.folder, self._library, both)}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command to its end."""
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def meter(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`meter COMMAND WORDS...` on this machine."""
        return self.run(sys.executable, "-m", "meter", command, "--sysroot", str(self.root), *words)

    def exec(self, *words: str) -> tuple[dict[str, Any], float]:
        """The document of `exec`, and how long the sources were polled, from the first to the last poll, in s."""
        done = self.meter("exec", "--format", "json", "--out", "all.jsonl", *words)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        times = seconds(self.rows("all.jsonl", "hw.gpu.memory.limit"))
        return document, times[-1] - times[0]

    def rows(self, path: str, metric: str) -> list[dict[str, Any]]:
        """The rows of a metric in a file that meter wrote."""
        lines = (self.folder / path).read_text().splitlines()
        return [row for row in map(json.loads, lines) if row["metric"] == metric]


def seconds(rows: list[dict[str, Any]]) -> list[float]:
    """The times of rows, each once and in order."""
    return sorted({datetime.fromisoformat(row["time"][:26] + "+00:00").timestamp() for row in rows})


@pytest.fixture
def machine(tmp_path: Path, nvml_library: Path) -> Machine:
    """Two GPUs without a fault."""
    return Machine(tmp_path, nvml_library)


def truth(gpu: str, span_s: float) -> Any:
    """J, within 1 % and one step of the counter."""
    return pytest.approx(WATTS[gpu] * span_s, abs=WATTS[gpu] * (0.01 * span_s + STEP_S))


@pytest.mark.parametrize(("faults", "second"), [([], "measured"), (["1.energy=!3"], "derived")], ids=["N1", "N2"])
@pytest.mark.parametrize("pace", ["100ms", "1s"])
def test_exec_gives_the_joules_of_the_energy_matrix(
    machine: Machine, faults: list[str], second: str, pace: str
) -> None:
    """Of each GPU, with the quality of each and why; the total is their sum, and derived. At any pace the same."""
    machine.gpus(*faults)

    document, span_s = machine.exec("--interval", pace, "--", "sleep", "3")

    found = {domain["name"]: domain for domain in document["energy"]["domains"] if domain["name"] in WATTS}
    assert span_s > 2.99  # by the wall clock, which may be set meanwhile
    assert {name: each["value"] for name, each in found.items()} == {gpu: truth(gpu, span_s) for gpu in WATTS}
    assert [each["quality"] for each in found.values()] == ["measured", second]
    assert [each["counted"] for each in found.values()] == [True, True]
    total = document["energy"]["total"]
    assert total["value"] == pytest.approx(sum(each["value"] for each in found.values()))
    assert total["quality"] == "derived"
    if faults:
        assert "nvmlDeviceGetTotalEnergyConsumption: Not Supported" in found["gpu-1"]["reason"]


def test_run_gives_the_joules_of_each_row(machine: Machine) -> None:
    """Each row those of its own span; the second GPU has no counter."""
    machine.gpus("1.energy=!3")
    mounted = machine.meter("mount", "/gpu", "nvml", "interval=200ms", "jsonl", "path=gpu.jsonl")
    done = machine.meter("run", "/gpu", "--for", "2s")

    assert (mounted.returncode, done.returncode) == (0, 0), mounted.stderr + done.stderr
    polls = seconds(machine.rows("gpu.jsonl", "hw.gpu.memory.limit"))
    spans = [later - earlier for earlier, later in pairwise(polls)]
    for gpu in (0, 1):
        rows = [row for row in machine.rows("gpu.jsonl", "hw.energy") if row["resource"] == f"gpu/{gpu}"]
        assert len(rows) == len(spans)
        assert {row["quality"] for row in rows} == {("measured", "derived")[gpu]}
        assert sum(row["value"] for row in rows) == truth(f"gpu-{gpu}", sum(spans))


def test_run_gives_what_processes_do(machine: Machine) -> None:
    """Samples of a known share, of each poll that had some; the GPU that has none says so."""
    samples = [f"0.sample=1000,{ms * 1000},40,25,0,5" for ms in range(20, 10_000, 20)]
    machine.gpus("0.compute=1", "1.compute=1", "1.samples=!3", *samples)
    mounted = machine.meter("mount", "/gpu", "nvml", "interval=200ms", "utilization=true", "jsonl", "path=gpu.jsonl")
    done = machine.meter("run", "/gpu", "--for", "1s")

    assert (mounted.returncode, done.returncode) == (0, 0), mounted.stderr + done.stderr
    rows = machine.rows("gpu.jsonl", "process.gpu.utilization") + machine.rows("gpu.jsonl", "process.gpu.memory.busy")
    # The last poll comes at the end of the run, which may be too soon for a sample.
    known = [row for row in rows if row["resource"] == "gpu/0" and row["value"] is not None]
    first = {(row["attributes"].get("hw.gpu.task"), row["value"]) for row in known}
    second = {(row["value"], row["reason"]) for row in rows if row["resource"] == "gpu/1"}
    assert first == {("general", 0.4), (None, 0.25), ("encoder", 0), ("decoder", 0.05)}
    assert second == {(None, "nvmlDeviceGetProcessUtilization: Not Supported")}


MEASURED = """
import json, sys, time
from meter.core import measure

with measure(sysroot=sys.argv[1]):
    pass
with measure(sysroot=sys.argv[1]) as m:
    time.sleep(2)
parts = {domain.name: [domain.energy.value, domain.energy.quality] for domain in m.domains}
print(json.dumps({"span": m.window.value, "total": m.energy.value, "quality": m.energy.quality, "parts": parts}))
"""


@pytest.mark.parametrize(("faults", "second"), [([], "measured"), (["1.energy=!3"], "derived")], ids=["N1", "N2"])
def test_measure_gives_the_joules_of_a_block(machine: Machine, faults: list[str], second: str) -> None:
    """Those of the time that it says that they are of, however late the last reading came."""
    machine.gpus(*faults)

    done = machine.run(sys.executable, "-c", MEASURED, str(machine.root))
    found = json.loads(done.stdout)

    assert found["span"] >= 2
    assert found["parts"]["gpu-0"] == [truth("gpu-0", found["span"]), "measured"]
    assert found["parts"]["gpu-1"] == [truth("gpu-1", found["span"]), second]
    assert found["parts"].pop("cpu_package") == [None, "missing"]
    assert found["total"] == pytest.approx(sum(value for value, _ in found["parts"].values()))


def test_a_gpu_that_is_lost_while_a_command_runs_is_marked_in_the_total(machine: Machine) -> None:
    """The other one is there; a sum of both would be too small, so it is missing."""
    machine.gpus("1.lost_after_ms=800")

    document, span_s = machine.exec("--interval", "100ms", "--", "sleep", "2")

    total = document["energy"]["total"]
    found = {domain["name"]: domain for domain in document["energy"]["domains"]}
    assert (total["value"], total["quality"]) == (None, "missing")
    assert "gpu-1" in total["reason"]
    assert found["gpu-0"]["value"] == truth("gpu-0", span_s)
    assert (found["gpu-1"]["value"], found["gpu-1"]["quality"]) == (None, "missing")
    assert 0 < found["gpu-1"]["partial"]["value"] < truth("gpu-1", span_s).expected
    assert "were read are not all of it" in found["gpu-1"]["reason"]


RUNS = """
import os, sys, time

begin = time.monotonic()
with open(sys.argv[1], "ab", buffering=0) as file:
    while time.monotonic() < begin + 1:
        us = time.monotonic_ns() // 1000
        file.write(f"0 {os.getpid()} {us} 60\\n0 1 {us} 20\\n".encode())  # in one step, as it is read meanwhile
        time.sleep(0.02)
time.sleep(1)
"""
"""A command that runs on GPU 0 for a second, with another process beside it, and then for a second no more."""


def test_exec_attributes_the_energy_of_a_gpu(machine: Machine) -> None:
    """Of what both had the command has its share; the rest and the time in which nobody ran is not its own.

    The second GPU does not say what runs there: nothing of it is attributed, and that is told.
    """
    machine.gpus("1.samples=!3")
    samples = machine.folder / "samples"
    samples.touch()
    machine.environment["FAKE_NVML_SAMPLES"] = str(samples)

    document, _ = machine.exec("--interval", "100ms", "--", sys.executable, "-c", RUNS, str(samples))

    energy = document["energy"]
    of_command, reason = energy["attributed"]["value"], energy["attributed"]["reason"]
    first, second, _ = energy["domains"]
    [busy] = [each["value"] for each in document["metrics"] if each["metric"] == "hw.gpu.energy.busy" and each["value"]]
    assert of_command == first["attributed"]["value"] == pytest.approx(0.75 * busy)
    assert 0.5 * WATTS["gpu-0"] < busy < first["value"]  # a busy machine may keep it from running for a while
    had = {each["scope"]: each["value"] for each in document["metrics"] if each["metric"] == "process.gpu.energy"}
    assert had == {"command": pytest.approx(0.75 * busy), "other": pytest.approx(0.25 * busy)}
    assert energy["attributed"]["quality"] == first["attributed"]["quality"] == "estimated"
    assert of_command + energy["unattributed"]["value"] == pytest.approx(energy["total"]["value"])
    assert second["attributed"]["value"] is None
    assert second["attributed"]["reason"] == (
        "no source says whose it is: nvmlDeviceGetProcessUtilization: Not Supported"
    )
    assert "of gpu-0 by what its processes ran there; without gpu-1: no source says whose it is" in reason


IN_A_BLOCK = f"""
import json, sys
from meter.core import measure

with measure(sysroot=sys.argv[2], interval="100ms") as m:
    exec({RUNS!r})
print(json.dumps(m.to_json()))
"""


def test_measure_attributes_the_energy_of_a_gpu(machine: Machine) -> None:
    """As `exec` does: the process of the block has its share of what ran."""
    samples = machine.folder / "samples"
    samples.touch()
    machine.environment["FAKE_NVML_SAMPLES"] = str(samples)

    done = machine.run(sys.executable, "-c", IN_A_BLOCK, str(samples), str(machine.root))
    document = json.loads(done.stdout)

    first, second, _ = document["energy"]["domains"]
    busy = [each["value"] for each in document["metrics"] if each["metric"] == "hw.gpu.energy.busy"]
    assert [first["attributed"]["value"], second["attributed"]["value"]] == [pytest.approx(0.75 * busy[0]), 0]
    assert document["energy"]["attributed"]["value"] == first["attributed"]["value"]


def test_an_old_driver(machine: Machine, tmp_path: Path) -> None:
    """One without the newer call for temperatures is asked by the older one."""
    (tmp_path / "old").mkdir()
    machine._library = nvml.compiled(tmp_path / "old", "-DOLD_DRIVER")
    machine.gpus()

    machine.exec("--", "true")

    rows = machine.rows("all.jsonl", "hw.temperature")
    assert {row["value"] for row in rows if row["attributes"]["hw.sensor_location"] == "gpu"} == {40}


def test_a_driver_that_is_not_loaded_is_told_and_hides_nothing_else(machine: Machine) -> None:
    """The command is measured all the same."""
    machine.gpus("load !9")

    done = machine.meter("exec", "--format", "json", "--", "true")

    assert done.returncode == 0
    assert "`nvml` cannot start: the NVIDIA driver cannot be used: Driver Not Loaded; load it with" in " ".join(
        done.stderr.split()
    )
    assert json.loads(done.stdout)["energy"]["total"]["value"] is None


def test_doctor_says_what_hinders_it(machine: Machine) -> None:
    """Where there is the driver and not its library, how to find the package; where it has all, that it works."""
    works = machine.meter("doctor").stdout
    machine.environment["LD_LIBRARY_PATH"] = ""
    lacks = " ".join(machine.meter("doctor").stdout.split())

    assert re.search(r"works here: [^:]*\bnvml\b", works)
    if nvml.NAME in lacks:  # else this machine has the real one
        assert "nvml does not work here: the shared library `libnvidia-ml.so.1` is not on the path" in lacks
        assert "apt-file search -l libnvidia-ml.so.1" in lacks


def test_where_it_is_optional_it_is_left_out_with_a_warning(machine: Machine) -> None:
    """Of a host without the driver; the rest of the mount runs."""
    (machine.root / "proc" / "driver" / "nvidia" / "version").unlink()
    text = '[mounts."/host"]\nplugins = ["uptime", "jsonl"]\noptional = ["nvml"]\nconfig.jsonl.path = "host.jsonl"\n'
    (machine.folder / "meter.toml").write_text(text)

    (machine.root / "proc" / "uptime").write_text("100.0 1.0\n")
    done = machine.meter("check")

    assert done.returncode == 0, done.stderr
    assert "warning[W-HOST-DEGRADED]" in done.stderr
    assert "nvml" in done.stderr


def test_exec_polls_it_as_often_as_it_may_be(machine: Machine) -> None:
    """An interval that suits other sources does not leave the GPUs out, nor is it refused."""
    machine.gpus()
    (machine.root / "proc" / "stat").write_text("cpu  1 0 0 0 0 0 0 0 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0\nintr 0\n")

    document, span_s = machine.exec("--interval", "20ms", "--", "sleep", "1")

    assert {each["source"]: each["interval"]["value"] for each in document["slower"]}["nvml"] == 0.1
    found = {domain["name"]: domain for domain in document["energy"]["domains"]}
    assert found["gpu-0"]["value"] == truth("gpu-0", span_s)


def test_polls_faster_than_the_counters_are_refused(machine: Machine) -> None:
    """Before anything runs."""
    done = machine.meter("mount", "/gpu", "nvml", "interval=50ms", "jsonl", "path=gpu.jsonl")

    assert done.returncode == 1
    assert "error[E-CONFIG-RANGE]" in done.stderr
    assert "100ms" in done.stderr


def test_the_example_of_the_readme(machine: Machine) -> None:
    """Its commands give what it shows."""
    machine.gpus("1.energy=!3")
    readme = (Path(meter.plugins.nvml.__file__).parent / "README.md").read_text()
    [block] = re.findall(r"```console\n(.*?)```", readme, re.DOTALL)
    own = f'meter() {{ local word=$1; shift; "{sys.executable}" -m meter "$word" --sysroot "{machine.root}" "$@"; }}\n'

    for command, shown in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block, re.MULTILINE):
        done = machine.run("bash", "-c", own + command)
        assert (done.returncode, done.stdout) == (0, shown), done.stderr
