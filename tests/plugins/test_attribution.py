"""The filter `attribution`: what it knows of the host, and a chain of real sources through the engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meter.core import Backend, Missing
from meter.core.breach import ContractBreach
from meter.core.plugin import Context
from meter.plugins.attribution.plugin import Attribution
from tests.core.formulas import Chain, cells

if TYPE_CHECKING:
    from meter.core.keys import Key

SHARE = "sum(process.cpu.time) / sum(system.cpu.time.sum{cpu.mode=user|nice|system|interrupt})"
POWER = "hw.energy{domain=package} * share(core.part)"


def package(root: Path, core: int, number: str) -> None:
    """Write what the kernel says of a core."""
    folder = root / f"sys/devices/system/cpu/cpu{core}/topology"
    folder.mkdir(parents=True)
    (folder / "physical_package_id").write_text(number)


class TestOwner:
    """A core is part of a package."""

    @pytest.fixture
    def chain(self, tmp_path: Path) -> Chain:
        """Two packages with a core each, and one core that cannot be read."""
        package(tmp_path, 0, "0\n")
        package(tmp_path, 1, "1\n")
        made = Chain({"x": POWER}, Attribution)
        made.filter.start(Context("f", tmp_path))
        return made

    def core(self, chain: Chain, number: int) -> Key:
        """The gauge of a core."""
        return chain.declared["cores"].key("core.part", str(number))

    def test_each_core_has_the_energy_of_its_package(self, chain: Chain) -> None:
        """And not that of the other one."""
        rows = [
            chain.row([chain.energy(0), chain.energy(1)], 0, 10, [4.0, 6.0]),
            chain.row([self.core(chain, 0), self.core(chain, 1)], 0, 10, [0.5, 0.25]),
        ]
        assert cells(chain.all(rows)) == {("x of cpu_core/0", 0, 10): 2.0, ("x of cpu_core/1", 0, 10): 1.5}

    def test_what_is_not_known_is_said(self, chain: Chain) -> None:
        """No number is made up."""
        rows = [
            chain.row([chain.energy(0)], 0, 10, [4.0]),
            chain.row([self.core(chain, 7)], 0, 10, [0.5]),
        ]
        with pytest.raises(ContractBreach, match=r"cpu_package `core\.part of cpu_core/7` belongs to"):
            chain.all(rows)


def test_processes_share_the_cpu_time_of_the_machine(tmp_path: Path) -> None:
    """Of real sources through the engine: no share is negative, and one of this very process is there."""
    (tmp_path / "meter.toml").write_text(
        '[mounts."/s"]\nplugins = ["cpu", "process", "aggregate", "attribution", "collect"]\n'
        '[mounts."/s".config]\ncpu.interval = "20ms"\nprocess.interval = "50ms"\n'
        'aggregate = { metrics = ["system.cpu.time"], function = "sum", over = ["resource"] }\n'
        f"process.tree = [{os.getpid()}]\n"
        f'attribution.formulas."process.cpu.share" = "{SHARE}"\n'
    )
    seen: list[float] = []
    with Backend.load("/s", file=tmp_path / "meter.toml").running() as running:
        for _ in range(100):
            sum(number * number for number in range(100_000))
            running.wait(0.02)
            for reading in running.take():
                if reading.key.metric.name == "process.cpu.share" and not isinstance(reading.value, Missing):
                    assert reading.key.metric.unit == "1"
                    assert reading.key.metric.quality == "derived"
                    seen.append(float(reading.value))
            if len(seen) > 3 and max(seen) > 0:
                break

    assert min(seen) >= 0.0
    assert max(seen) > 0.0
