"""The example of the energy of each job, on a made host whose jobs are known to the joule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meter.contracts.check import check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.core.discovery import discover
from meter.core.engine import Engine
from meter.core.plugin import Missing
from meter.core.polling import Raw
from tests.plugins.test_attribution_whole import Host, Life

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = Path(__file__).parents[2] / "examples" / "jobs.toml"
UID = "2b801b7a-5266-4386-864e-45ed71136539"
ID = "0123456789abcdef" * 4
JOB = "/slurm/uid_1000/job_7"
POD = f"/kubepods/burstable/pod{UID}"
ONE, OTHER, THIRD = 5, 6, 7
"""Words of `work` that say which of three processes has a core."""


class Run:
    """The example as it lies there, over a host."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        text = EXAMPLE.read_text(encoding="utf-8")
        parsed = parse_toml(text.encode(), "jobs.toml")
        assert not isinstance(parsed, Diagnostic)
        requests, wrong = from_document(parsed[0], Source("jobs.toml", text))
        assert not wrong
        (request,) = requests.values()
        catalogue = discover(installed=False).catalogue
        plan = check(request, catalogue, Assumed()).require().document
        paths = {each["plugin"]: catalogue.entries[each["plugin"]][0].path for each in plan["plugins"]}
        host.at(0)
        host.processes.write(1, parent=0)
        host.processes.file(1, "cgroup", "0::/init.scope\n")
        self.engine = Engine(plan, paths, folder=folder, sysroot=host.root)
        self.engine.start()

    def poll(self, tick: int, cgroups: Mapping[int, str]) -> dict[tuple[str, ...], Any]:
        """Poll every source once, of processes in some cgroups: joules by cgroup, job and pod."""
        ts = self.host.at(tick)
        rows = []
        for source in self.engine.sources:
            source.readings.begin(ts)
            source.source.poll(source.readings)
            rows.append((source.label, source.readings.take()))
        for pid, path in cgroups.items():
            self.host.processes.file(pid, "cgroup", f"0::{path}\n")
        found = {}
        for block in self.engine.blocks(Raw(rows, (0, 0))):
            for _, key, value in block.points():
                assert key.metric[:4] == ("process.energy", "f64", "J", "delta")
                told = dict(key.attributes)
                name = (key.consumer[1], told["slurm.job.id"], told["k8s.pod.uid"])
                found[name] = value.reason if isinstance(value, Missing) else value
        assert self.engine.faults == []
        return {name: value for name, value in found.items() if value}


def test_each_job_has_the_joules_of_its_processes(tmp_path: Path) -> None:
    """40 W are parted by CPU time: two steps of a job are one consumer, and a pod has what its container has."""
    work = [[ONE] * 30, [OTHER] * 10 + [THIRD] * 20]
    host = Host(tmp_path / "host", [Life(0, 99)] * 3, work)
    first, second, third = host.pids
    cgroups = {first: f"{JOB}/step_0", second: f"{JOB}/step_1/task_0", third: f"{POD}/{ID}"}
    run = Run(host, tmp_path)
    nothing = run.poll(0, cgroups)
    both = run.poll(10, cgroups)
    each = run.poll(20, cgroups)
    moved = run.poll(30, {**cgroups, first: "/system.slice/web.service"})
    run.engine.stop()

    assert nothing == {}
    assert both == {(JOB, "7", ""): pytest.approx(4.0)}
    assert each == {(JOB, "7", ""): pytest.approx(2.0), (POD, "", UID): pytest.approx(2.0)}
    assert moved == {
        ("/system.slice/web.service", "", ""): pytest.approx(2.0),
        (POD, "", UID): pytest.approx(2.0),
    }


def test_a_job_that_nobody_saw_is_in_the_sum(tmp_path: Path) -> None:
    """A process that was gone before its cgroup could be read: its joules are there, of `unknown`."""
    host = Host(tmp_path / "host", [Life(0, 99)] * 3, [[ONE] * 10, [OTHER] * 10])
    first, *_ = host.pids
    run = Run(host, tmp_path)
    run.poll(0, {first: JOB})
    found = run.poll(10, {first: JOB})
    run.engine.stop()

    assert found == {(JOB, "7", ""): pytest.approx(2.0), ("unknown", "", ""): pytest.approx(2.0)}
