"""`amdgpu` in `meter exec` and `measure()`, beside other sources that see the same GPUs or other ones.

The made GPUs say a constant power, which is the truth; joules are compared with the times that were measured beside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core import measure
from tests import nvml
from tests.amdgpu import Gpu, table
from tests.fake import PLUGINS
from tests.plugins.test_nvml_runs import seconds

if TYPE_CHECKING:
    from pathlib import Path

AMD = "gpu-0000:03:00.0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with a GPU of 150 W, one of 15 W in its processor, and the same two as hardware monitors."""
    root = tmp_path / "root"
    gpus = [Gpu(root).watts(150), Gpu(root, 2, "0000:0a:00.0", "1002:1638").watts(15).tells(table((2, 3), 0))]
    monitors = root / "sys" / "class" / "hwmon"
    monitors.mkdir()
    for gpu in gpus:
        (monitors / gpu.monitor.name).symlink_to(gpu.monitor)
    return root


def execute(folder: Path, root: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`meter exec` of a second on a made machine."""
    own = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "NO_COLOR": "1", "COLUMNS": "300"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("METER_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-m", "meter", "exec", "--sysroot", str(root), *words, "--", "sleep", "1"],
        cwd=folder,
        env={**kept, **own, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def document(folder: Path, root: Path, **environment: str) -> tuple[dict[str, Any], float]:
    """What `exec` says, and how long the GPUs were polled, in s."""
    done = execute(folder, root, "--format", "json", "--out", "all.jsonl", **environment)
    found: dict[str, Any] = json.loads(done.stdout)
    rows = [json.loads(line) for line in (folder / "all.jsonl").read_text().splitlines()]
    times = seconds([row for row in rows if row["metric"] == "hw.power.average"])
    return found, times[-1] - times[0]


def test_exec_counts_a_gpu_once(tmp_path: Path, root: Path) -> None:
    """Its joules are those of its power; what is in a processor and what a sensor shows is not added."""
    found, span_s = document(tmp_path, root)

    energy = found["energy"]
    assert [(each["name"], each["counted"], each["quality"]) for each in energy["domains"]] == [
        (AMD, True, "derived"),
        ("cpu_package", False, "missing"),
    ]
    assert energy["total"]["value"] == pytest.approx(150 * span_s, rel=1e-3)
    assert "the mean power (power1_average) was integrated" in energy["domains"][0]["reason"]


def test_each_of_several_gpus_is_a_device_of_its_own(tmp_path: Path) -> None:
    """Named, with the joules of its own power; one of which nothing is known is listed, and marks the total."""
    root = tmp_path / "root"
    Gpu(root).watts(150)
    Gpu(root, 2, "0000:43:00.0").watts(50)
    Gpu(root, 3, "0000:83:00.0")
    gpus = [AMD, "gpu-0000:43:00.0", "gpu-0000:83:00.0"]

    found, span_s = document(tmp_path, root)
    lines = [" ".join(line.split()).removeprefix("machine ") for line in execute(tmp_path, root).stderr.splitlines()]

    domains = found["energy"]["domains"]
    assert [(each["name"], each["quality"]) for each in domains] == [
        *zip(gpus, ("derived", "derived", "missing"), strict=True),
        ("cpu_package", "missing"),
    ]
    assert domains[0]["value"] == pytest.approx(150 * span_s, rel=1e-3)
    assert domains[1]["value"] == pytest.approx(50 * span_s, rel=1e-3)
    assert found["energy"]["total"]["value"] is None
    assert f"energy is missing: that of {gpus[2]} is missing" in lines
    assert f"energy of {gpus[2]} is missing: it has no counter of energy; it has no sensor of power" in lines
    assert [line for line in lines if line.startswith("hw.power")] == [
        "hw.power.average gpu/0000:03:00.0 vendor=AMD, mean 150 W measured",
        "hw.power.average gpu/0000:43:00.0 vendor=AMD, mean 50 W measured",
    ]


def test_gpus_of_two_vendors_are_in_one_total(tmp_path: Path, root: Path, nvml_library: Path) -> None:
    """Each by its own source, in one chain: 150 W, and 100 W that a counter counts in steps of 20 ms."""
    nvml.machine(root)
    environment = nvml.environment(tmp_path, nvml_library, ["gpus 1", "0.watts_mw=100000"])

    found, span_s = document(tmp_path, root, **environment)

    values = {each["name"]: each["value"] for each in found["energy"]["domains"]}
    assert values.pop("cpu_package") is None
    assert set(values) == {AMD, "gpu-0"}
    assert values["gpu-0"] == pytest.approx(100 * span_s, abs=3)
    assert found["energy"]["total"]["value"] == pytest.approx(sum(values.values()))


def test_the_table_says_where_derived_energy_comes_from(tmp_path: Path, root: Path) -> None:
    """Whose joules come from power is said, as what is missing is."""
    lines = execute(tmp_path, root).stderr.splitlines()

    why = "it has no counter of energy; the mean power (power1_average) was integrated"
    assert f"energy of {AMD} is derived: {why}" in lines


def test_a_gpu_that_sleeps_is_not_left_out_of_a_total_without_a_sign(root: Path) -> None:
    """The total of a block of Python is missing and says which GPU sleeps; that of the other one is there."""
    Gpu(root, 3, "0000:43:00.0").watts(9).state("suspended")

    with measure(sysroot=root) as m:
        sum(range(1000))

    assert m.energy.value is None
    assert m.energy.reason is not None
    assert "gpu-0000:43:00.0: the GPU sleeps" in m.energy.reason
    assert {domain.name: domain.energy.quality for domain in m.domains} == {
        AMD: "derived",
        "gpu-0000:43:00.0": "missing",
        "cpu_package": "missing",
    }


WINDOWS = (
    "aggregate",
    "metrics=hw.energy{resource=gpu}",
    "function=sum",
    "over=resource",
    "over=hw.vendor",
    "window=10s",
)


@pytest.mark.parametrize(
    "words",
    [
        ("amdgpu", "nvml", "hwmon", "thermal", "rapl"),
        ("amdgpu", "nvml", *WINDOWS),
        ("amdgpu", "integrate", "metrics=hw.power.average"),
    ],
)
def test_it_goes_with_what_sees_the_same(words: tuple[str, ...]) -> None:
    """No series is given twice, and the joules of both vendors can be summed."""
    names = sorted(path.parent.name for path in PLUGINS.glob("*/contract.toml"))
    files = [(name, f"{name}/contract.toml", (PLUGINS / name / "contract.toml").read_bytes()) for name in names]
    request, wrong = from_words("/m", [*words, "jsonl", "path=x.jsonl"], ["meter", "mount", "/m"])
    assert request is not None, wrong

    found = check(request, Catalogue.of(files), Assumed())

    assert [each.to_json() for each in found.diagnostics if each.level == "error"] == []
