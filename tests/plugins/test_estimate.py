"""The source `estimate`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked, check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core import automatic
from meter.core.plugin import Missing, Retry
from tests.contracts.build import run
from tests.fake import PLUGINS, SECOND, Mounted
from tests.plugins.chain import metric, refusals

if TYPE_CHECKING:
    from collections.abc import Mapping

HERTZ: Final = os.sysconf("SC_CLK_TCK")
CASES: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parent.parent / "data" / "tdp-cases.json").read_text())[
    "cases"
]
PER_SECOND: Final = {"ns": 1_000_000_000, "us": 1_000_000, "ms": 1000, "s": 1}
MODES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


def core(**seconds: float) -> str:
    """The counters of a core."""
    return " ".join(str(round(seconds.get(mode, 0) * HERTZ)) for mode in MODES)


class Machine:
    """A made /proc/stat, and the packages of its cores."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc").mkdir()

    def write(self, cores: Mapping[int, str]) -> None:
        """What the kernel has counted, behind a sum that nobody may take."""
        lines = [f"cpu{number} {counters}" for number, counters in cores.items()]
        (self.root / "proc/stat").write_text("\n".join(["cpu  9 9 9 9 9 9 9 9 9 9", *lines, "intr 0", ""]))

    def package(self, number: int, package: str) -> None:
        """Of which package a core is."""
        folder = self.root / f"sys/devices/system/cpu/cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(package)

    def mount(self, **config: float) -> Mounted:
        """The source over it, polled a first time at 0 s."""
        mounted = Mounted("estimate", {"tdp": 100.0, "idle": 0.0, **config}, self.root)
        assert mounted.rows(0) == []
        return mounted


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One with an idle core."""
    made = Machine(tmp_path)
    made.write({0: core()})
    return made


def joules(mounted: Mounted, seconds: float) -> dict[str, Any]:
    """What one poll gives, in joules or reasons, by package."""
    return {
        key.resource[1]: value.reason if isinstance(value, Missing) else value
        for row in mounted.rows(round(seconds * SECOND))
        for key, value in zip(row.columns.keys, row.values, strict=True)
    }


def asked(*words: str) -> Checked:
    """What the check says of real plugins."""
    names = {word.partition("#")[0] for word in words if "=" not in word}
    request, wrong = from_words("/e", list(words), ["meter", "mount", "/e"])
    assert request is not None, wrong
    return check(request, catalogue(*names), Assumed())


def catalogue(*names: str) -> Catalogue:
    """Some built-in contracts."""
    paths = [(name, PLUGINS / name / "contract.toml") for name in sorted(names)]
    return Catalogue.of([(name, str(path), path.read_bytes()) for name, path in paths])


def codes(checked: Checked) -> list[str]:
    """The errors."""
    return [found.code for found in checked.diagnostics if found.level == "error"]


def busy(given: dict[str, Any]) -> dict[str, float]:
    """Seconds by mode that a case says."""
    if "kernel_cpu_time_ms" in given:
        return {mode: time / 1000 for mode, time in given["kernel_cpu_time_ms"].items()}
    return {"user": given["kernel_cpu_time_delta"] / PER_SECOND[given["unit"]]}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES if "energy_J" in case["expect"]])
def test_golden_cases(machine: Machine, case: dict[str, Any]) -> None:
    """Busy time times TDP, of the CPUs that share it; `cpus` is the quotient of both numbers of a case."""
    given = case["given"]
    mounted = machine.mount(tdp=given["tdp_W"], cpus=given["nb_cpu"] / given["nb_vcpu"])
    machine.write({0: core(**busy(given))})

    found = joules(mounted, given["poll_s"])

    assert found == {"0": pytest.approx(case["expect"]["energy_J"], rel=0, abs=case["tolerance"])}


def test_what_is_no_time_is_refused() -> None:
    """As in tdp-07: here the source reads the time itself, so it is a filter that meets another unit."""
    (case,) = [case for case in CASES if "error" in case["expect"]]

    found = metric("busy", "delta", "u64", case["given"]["unit"])

    assert refusals([found], "convert", "metrics=busy", "unit=s") == ["E-FLOW-UNIT"]


def test_only_busy_time_counts(machine: Machine) -> None:
    """Interrupts are, guests are in user already, what waits or was stolen is not."""
    mounted = machine.mount(cpus=1)
    machine.write(
        {0: core(user=3, nice=1, system=1, irq=1, softirq=1, guest=2, guest_nice=1, idle=5, iowait=4, steal=9)}
    )

    assert joules(mounted, 30) == {"0": 700.0}


def test_an_idle_machine_takes_its_idle_power(machine: Machine) -> None:
    """The load model: idle x time, and the rest of the TDP in proportion to what was busy."""
    mounted = machine.mount(idle=20)
    machine.write({0: core(idle=10)})
    assert joules(mounted, 10) == {"0": 200.0}

    machine.write({0: core(idle=15, user=5)})
    assert joules(mounted, 20) == {"0": 200.0 + 5 * 80}


def test_a_machine_that_is_all_busy_takes_its_tdp(machine: Machine) -> None:
    """However many CPUs share it."""
    machine.write(dict.fromkeys(range(4), core()))
    mounted = machine.mount(idle=20)
    machine.write(dict.fromkeys(range(4), core(user=10)))

    assert joules(mounted, 10) == {"0": pytest.approx(1000.0)}


def test_each_package_has_its_own(machine: Machine) -> None:
    """Cores are of the package that the kernel says."""
    for number, package in enumerate(["0\n", "0\n", "1\n", "1\n"]):
        machine.package(number, package)
    machine.write(dict.fromkeys(range(4), core()))
    mounted = machine.mount()
    machine.write({0: core(user=2), 1: core(), 2: core(user=2), 3: core(system=4)})

    assert joules(mounted, 5) == {"0": 100.0, "1": 300.0}


def test_a_new_core_has_no_past(machine: Machine) -> None:
    """Its first reading is a base; a core that goes takes nothing with it."""
    mounted = machine.mount(cpus=1)
    machine.write({0: core(user=1), 1: core(user=500)})
    assert joules(mounted, 5) == {"0": 100.0}

    machine.write({1: core(user=502)})
    assert joules(mounted, 10) == {"0": 200.0}


def test_time_that_fell_is_missing(machine: Machine) -> None:
    """This once, and never a negative energy."""
    machine.write({0: core(user=9)})
    mounted = machine.mount(cpus=1)
    machine.write({0: core(user=1)})
    assert joules(mounted, 5) == {"0": "the counters of CPU time went back"}

    machine.write({0: core(user=2)})
    assert joules(mounted, 10) == {"0": 100.0}


def test_a_file_that_fails_once_loses_nothing(machine: Machine, tmp_path: Path) -> None:
    """EISDIR stands for whatever the kernel may answer; the next row covers both intervals."""
    mounted = machine.mount(cpus=1, idle=10)
    file = mounted.source._file  # type: ignore[attr-defined]  # only so can the kernel be made to fail
    kept, folder = os.dup(file), os.open(tmp_path, os.O_RDONLY)
    os.dup2(folder, file)
    with pytest.raises(Retry, match="/proc/stat"):
        mounted.rows(5 * SECOND)
    os.dup2(kept, file)
    os.close(kept)
    os.close(folder)
    machine.write({0: core(user=4)})

    assert joules(mounted, 10) == {"0": 10 * 10.0 + 4 * 90}


def test_what_it_gives_is_estimated(machine: Machine) -> None:
    """And named as what `rapl` measures."""
    mounted = machine.mount()

    (row,) = mounted.rows(SECOND)

    (key,) = row.columns.keys
    assert (key.metric.name, key.metric.unit, key.metric.kind) == ("hw.energy", "J", "delta")
    assert (key.metric.quality, key.resource, key.attributes) == (
        "estimated",
        ("cpu_package", "0"),
        (("domain", "package"),),
    )


def test_the_real_machine_takes_no_more_than_its_tdp() -> None:
    """And not less than its idle power, but for what ticks are rounded by."""
    mounted = Mounted("estimate", {"tdp": 100.0, "idle": 10.0})
    mounted.rows(SECOND)
    sum(number * number for number in range(200_000))
    found = joules(mounted, 2)
    mounted.source.stop()

    assert found
    assert all(value >= 10.0 for value in found.values())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tdp=65W"], []),
        ([], ["E-CONFIG-MISSING"]),
        (["tdp=65"], ["E-CONFIG-TYPE"]),
        (["tdp=65W", "idle=70W"], ["E-CONSTRAINT"]),
        (["tdp=-1W"], ["E-CONFIG-RANGE"]),
    ],
)
def test_what_it_refuses(words: list[str], expected: list[str]) -> None:
    """By the check, before anything runs."""
    found = codes(asked("estimate", *words, "collect"))

    assert found[: len(expected) or None] == expected


def test_it_is_refused_beside_a_measurement_of_the_same_energy() -> None:
    """Else each joule would be there twice, once of them guessed."""
    assert codes(asked("rapl", "estimate", "tdp=65W", "collect")) == ["E-FLOW-CLASH"]


def test_it_goes_beside_the_energy_of_something_else() -> None:
    """GPUs are measured where the processor is not."""
    assert codes(asked("nvml", "estimate", "tdp=65W", "collect")) == []


@pytest.mark.parametrize(("names", "taken"), [(["rapl"], ["rapl"]), ([], None)])
def test_it_never_chooses_itself(names: list[str], taken: list[str] | None) -> None:
    """Whether something measures the energy that is wanted or nothing does."""
    texts = [(PLUGINS / name / "contract.toml").read_text() for name in ("estimate", "collect", *names)]

    found = run("collect", *texts, more='want = ["hw.energy"]')

    if taken is None:
        assert codes(found) == ["E-NEED-UNMET"]
    else:
        order = found.require().document["order"]
        assert [label for label in order if label != "collect"] == taken


def test_exec_and_measure_do_not_take_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their energy is measured or missing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.root / "cache"))
    plan = automatic.chain(automatic.Asked("/estimate", "/", sysroot=str(machine.root))).mounted.plan

    names = {plugin["plugin"] for plugin in plan.document["plugins"]}
    assert "cpu" in names
    assert "estimate" not in names
