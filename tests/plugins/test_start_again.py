"""Every built-in plugin can be started again after a stop, as if it were new: nothing is used up at the first start."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core import engine as engines
from meter.core.assembly import Assembly
from meter.core.discovery import discover
from meter.core.engine import Engine
from tests.core.liars import Still

if TYPE_CHECKING:
    from meter.core.faults import Fault

SINK: Final = ("jsonl", "path=sink.jsonl")
TIME: Final = "metrics=system.cpu.time"
SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "accumulate": ("cpu", "accumulate", *SINK),
    "aggregate": ("cpu", "aggregate", TIME, "function=sum", "over=cpu.mode", *SINK),
    "amdgpu": ("amdgpu", *SINK),
    "annotate": ("cpu", "annotate", "attributes=site=lab", *SINK),
    "attribution": ("random", "attribution", "formulas=x=demo.random * 2", *SINK),
    "baseline": ("rapl", "baseline", "metrics=hw.energy", "power=0W", *SINK),
    "battery": ("battery", *SINK),
    "bridge": ("process", "bridge", "sum=process.cpu.time", *SINK),
    "carbon": ("rapl", "carbon", "metrics=hw.energy", "country=FRA", *SINK),
    "cgroup": ("cgroup", "paths=/**", *SINK),
    "collect": ("random", "collect"),
    "console": ("random", "console"),
    "convert": ("cpu", "convert", TIME, "unit=ms", *SINK),
    "cpu": ("cpu", *SINK),
    "cpufreq": ("cpufreq", "states=true", *SINK),
    "csv": ("random", "csv", "path=host.csv"),
    "dedupe": ("load", "dedupe", *SINK),
    "difference": ("cpu", "accumulate", "difference", "metrics=*{kind=counter}", *SINK),
    "disk": ("disk", *SINK),
    "estimate": ("estimate", "tdp=65W", *SINK),
    "filesystem": ("filesystem", *SINK),
    "hwmon": ("hwmon", *SINK),
    "integrate": ("hwmon", "integrate", "metrics=hw.power", *SINK),
    "jsonl": ("random", *SINK),
    "kernel": ("kernel", *SINK),
    "load": ("load", *SINK),
    "memory": ("memory", *SINK),
    "meter": ("meter", *SINK),
    "network": ("network", "connections=true", *SINK),
    "nvml": ("nvml", *SINK),
    "paging": ("paging", *SINK),
    "perf": ("perf", "scope=process", "hardware=false", *SINK),
    "pressure": ("pressure", *SINK),
    "process": ("process", *SINK),
    "random": ("random", *SINK),
    "rapl": ("rapl", *SINK),
    "rate": ("cpu", "rate", TIME, *SINK),
    "select": ("cpu", "load", "select", "drop=system.cpu.load_average.*", *SINK),
    "spool": ("random", *SINK, "spool", "path=kept", "for=jsonl"),
    "thermal": ("thermal", *SINK),
    "uptime": ("uptime", *SINK),
    "workload": ("cgroup", "paths=/**", "workload", "attributes=systemd.unit.name", *SINK),
}
"""A small backend for each plugin."""
MADE: Final = {
    "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
    "sys/fs/cgroup/a.slice/cpu.stat": "usage_usec 1000\nuser_usec 600\nsystem_usec 400\n",
    "sys/fs/cgroup/a.slice/memory.current": "4096\n",
    "sys/class/drm/card0/device/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n",
    "sys/class/drm/card0/device/mem_info_vram_total": "17163091968\n",
    "sys/class/drm/card0/device/hwmon/hwmon0/power1_average": "15000000\n",
    "sys/class/power_supply/BAT0/type": "Battery\n",
    "sys/class/power_supply/BAT0/status": "Discharging\n",
    "sys/class/power_supply/BAT0/power_now": "8200000\n",
    "sys/devices/system/cpu/cpufreq/policy0/affected_cpus": "0\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "2100000\n",
    "sys/devices/system/cpu/cpufreq/policy0/stats/time_in_state": "2100000 7\n",
    "sys/class/hwmon/hwmon0/name": "coretemp\n",
    "sys/class/hwmon/hwmon0/temp1_input": "48000\n",
    "sys/class/hwmon/hwmon0/power1_input": "15000000\n",
    "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone0/temp": "48000\n",
    "sys/class/powercap/intel-rapl:0/name": "package-0\n",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850\n",
    "sys/class/powercap/intel-rapl:0/energy_uj": "1000000\n",
    **dict.fromkeys(
        ("proc/pressure/cpu", "proc/pressure/memory", "proc/pressure/io"),
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
    ),
}
"""What not every host has."""


def test_every_plugin_is_tried() -> None:
    """A new plugin cannot be forgotten."""
    assert list(SENTENCES) == sorted(discover(installed=False).catalogue.entries)


class Kept(Assembly):
    """Takes the plugins that an earlier one has made, as a host does that starts a backend again."""

    def __init__(self, kept: dict[str, Any], *args: Any) -> None:
        super().__init__(*args)
        self.kept = kept

    def construct(self, entry: dict[str, Any]) -> Any:
        """The object of the first start."""
        if entry["instance"] not in self.kept:
            self.kept[entry["instance"]] = super().construct(entry)
        return self.kept[entry["instance"]]


def sysroot(name: str, folder: Path) -> Path | None:
    """A made /proc and /sys for what not every host has, else the real one."""
    if name not in (
        "amdgpu",
        "baseline",
        "battery",
        "carbon",
        "cgroup",
        "cpufreq",
        "hwmon",
        "integrate",
        "thermal",
        "pressure",
        "rapl",
        "workload",
    ):
        return None
    for path, text in MADE.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def cycle(engine: Engine, clock: Still) -> tuple[int, list[Fault]]:
    """Start, poll three times, stop; rows that were polled, and faults."""
    engine.start()
    engine.poll_now()
    for _ in range(2):
        engine.tick(clock.advance(1000))
    clock.advance(500)  # nothing is due when the threads start: the last poll is the only one that follows
    engine.go()
    return engine.stop().rows, engine.faults


@pytest.mark.parametrize("name", list(SENTENCES))
def test_start_stop_start(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The second start of the same object polls, filters and delivers as the first one did, without a fault."""
    if name == "nvml":
        request.getfixturevalue("nvml_driver").reset(1)
    words = list(SENTENCES[name])
    if name in ("bridge", "process", "perf"):
        words.insert(1, f"pid={os.getpid()}")
    asked, wrong = from_words("/again", words, ["meter", "mount", "/again"])
    assert asked is not None, wrong
    catalogue = discover(installed=False).catalogue
    plan = check(asked, catalogue, Assumed()).require().document
    contracts = {each["plugin"]: catalogue.entries[each["plugin"]][0].path for each in plan["plugins"]}
    kept: dict[str, Any] = {}
    monkeypatch.setattr(engines, "Assembly", partial(Kept, kept))
    clock = Still()
    root = sysroot(name, tmp_path / "root")
    runs, lines = [], []
    for _ in range(2):
        runs.append(cycle(Engine(plan, contracts, folder=tmp_path, sysroot=root, clock=clock), clock))
        lines.append(sum(path.read_bytes().count(b"\n") for path in tmp_path.glob("*.*")))

    assert [faults for _, faults in runs] == [[], []]
    assert runs[1][0] == runs[0][0] > 0
    assert sorted(kept) == sorted(plan["order"])
    if "path" in " ".join(words):
        assert lines[1] > lines[0] > 0, "the output has delivered what came in the second run, too"
