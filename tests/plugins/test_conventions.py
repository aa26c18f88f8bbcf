"""The metrics of the built-in sources beside OpenTelemetry's semantic conventions.

The contracts of all built-in sources are read, so a new source is covered as soon as it is there. What differs from the
conventions, or has no name there, stands in a table below with its reason; a reason that is not needed any more fails.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import tomllib
from collections import defaultdict
from enum import Enum
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import opentelemetry.semconv._incubating.attributes
import opentelemetry.semconv._incubating.metrics
import opentelemetry.semconv.attributes
import opentelemetry.semconv.metrics
import pytest

from tests.fake import PLUGINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

OWN_METRICS = {
    "container.disk.operations": "they have it of a process only",
    "container.memory.limit": "they have it of Kubernetes only, as k8s.container.memory.limit",
    "container.memory.parts": "their container.memory.rss is one part of it, and says nothing of the others",
    "container.memory.peak": "they have no peaks",
    "container.paging.limit": "as container.paging.usage",
    "container.paging.operations": "as container.paging.usage",
    "container.paging.usage": "they have page faults of a container, and swap of the machine only",
    "container.pressure.stall_time": "as system.pressure.stall_time",
    "container.thread.count": "they count threads of a process only",
    "demo.random": "made for the tutorial, no measurement",
    "hw.apu.power": "they have no power of a processor and its GPU together, which no sum may hold beside hw.power",
    "hw.apu.power.average": "as hw.apu.power",
    "hw.battery.cycle.count": "they have no cycles of batteries",
    "hw.battery.electric_charge": "they have the share that is left, and no amount",
    "hw.battery.electric_charge.limit": "as hw.battery.electric_charge",
    "hw.battery.energy": "as hw.battery.electric_charge",
    "hw.battery.energy.limit": "as hw.battery.electric_charge",
    "hw.battery.power": "their hw.power of a battery says no direction; this is what it delivers",
    "hw.current": "they have voltage and power only",
    "hw.gpu.energy.busy": "their hw.energy is of all of the time",
    "hw.gpu.memory.busy": "their utilization of memory is the share in use, not the time in which it is busy",
    "hw.gpu.memory.reserved": "what the driver keeps for itself is in neither their usage nor any other name",
    "hw.gpu.memory.shared.limit": "they have no memory of the machine that a GPU uses",
    "hw.gpu.memory.shared.usage": "as hw.gpu.memory.shared.limit",
    "hw.gpu.process.count": "they have no processes of GPUs",
    "hw.gpu.speed": "as hw.cpu.speed, which they have",
    "hw.power_supply.online": "they say how much a supply delivers, not whether it does",
    "hw.power.average": "the driver's own mean beside the power now",
    "meter.chain.waiting": "what meter says of itself; theirs are of SDKs of OpenTelemetry and of programs in general",
    "meter.cpu.time": "as meter.chain.waiting",
    "meter.fault.count": "as meter.chain.waiting",
    "meter.hop.count": "as meter.chain.waiting",
    "meter.hop.points": "as meter.chain.waiting",
    "meter.hop.time": "as meter.chain.waiting",
    "meter.memory.usage": "as meter.chain.waiting",
    "meter.poll.count": "as meter.chain.waiting",
    "meter.poll.lateness": "as meter.chain.waiting",
    "meter.poll.points": "as meter.chain.waiting",
    "meter.poll.retried": "as meter.chain.waiting",
    "meter.queue.batches": "as meter.chain.waiting",
    "meter.queue.memory": "as meter.chain.waiting",
    "meter.queue.points": "as meter.chain.waiting",
    "meter.row.dropped": "as meter.chain.waiting",
    "meter.row.lost": "as meter.chain.waiting",
    "meter.tick.missed": "as meter.chain.waiting",
    "meter.violation.count": "as meter.chain.waiting",
    "meter.wrap.count": "as meter.chain.waiting",
    "meter.write.count": "as meter.chain.waiting",
    "meter.write.failed": "as meter.chain.waiting",
    "meter.write.points": "as meter.chain.waiting",
    "perf.branch.misses": "they have no events of processors; of a process they have some of the kernel's own counters",
    "perf.branches": "as perf.branch.misses",
    "perf.cache.misses": "as perf.branch.misses",
    "perf.cache.references": "as perf.branch.misses",
    "perf.context_switches": "as perf.branch.misses",
    "perf.cpu.time": "as perf.branch.misses",
    "perf.cycles": "as perf.branch.misses",
    "perf.events": "as perf.branch.misses",
    "perf.instructions": "as perf.branch.misses",
    "perf.migrations": "as perf.branch.misses",
    "perf.page_faults": "as perf.branch.misses",
    "process.gpu.energy": "as process.gpu.memory.usage",
    "process.gpu.memory.busy": "as process.gpu.memory.usage",
    "process.gpu.memory.usage": "they have no processes of GPUs",
    "process.gpu.utilization": "as process.gpu.memory.usage",
    "process.memory.proportional": "they have the resident set and the address space only",
    "process.memory.shared": "as process.memory.proportional",
    "process.memory.swap": "as process.memory.proportional",
    "system.context_switches": "they have it of a process only",
    "system.cpu.frequency.limit": "as hw.cpu.speed.limit, which they have, but beside system.cpu.frequency",
    "system.cpu.frequency.policy": "they have no governors",
    "system.cpu.frequency.time": "they have no times at frequencies",
    "system.cpu.load_average.1m": "the name that OpenTelemetry's collector gives it",
    "system.cpu.load_average.5m": "as .1m",
    "system.cpu.load_average.15m": "as .1m",
    "system.pressure.stall_time": "they have no pressure stall information",
    "system.thread.count": "they count processes by state; the kernel counts threads",
}
"""Metrics that the conventions have no name for."""

OWN_ATTRIBUTES = {
    "container.memory.part": "belongs to a metric of our own",
    "cpu.frequency": "belongs to a metric of our own",
    "cpu.frequency.driver": "belongs to a metric of our own",
    "cpu.frequency.governor": "belongs to a metric of our own",
    "cpu.frequency.limit": "belongs to a metric of our own",
    "cpu.frequency.policy": "belongs to a metric of our own",
    "domain": "they do not part the energy of a processor; the word is that of the kernel's powercap",
    "hw.gpu.clock": "belongs to a metric of our own",
    "hw.gpu.context": "belongs to metrics of our own",
    "meter.instance": "belongs to metrics of our own",
    "meter.poll.late": "belongs to a metric of our own",
    "oar.job.id": "they have no batch systems",
    "perf.event": "belongs to a metric of our own",
    "slurm.job.id": "they have no batch systems",
    "slurm.job.step": "they have no batch systems",
    "system.pressure.resource": "belongs to a metric of our own",
    "system.pressure.type": "belongs to a metric of our own",
    "systemd.slice.name": "as systemd.unit.name",
    "systemd.unit.name": "the name that OpenTelemetry's collector gives it",
    "workload.id": "one name for jobs, pods, containers and units: k8s.pod.uid alone would be empty for a job",
    "workload.manager": "as workload.id",
    "workload.part": "as workload.id; of a pod it is what container.id is",
}
"""Attributes that the conventions have no name for."""

OWN_VALUES = {
    ("cpu.mode", "guest"): "they have no mode for what a CPU did for virtual machines; it is part of no other mode",
    ("hw.battery.state", "full"): "they have charging and discharging; the kernel has three states more",
    ("hw.battery.state", "not_charging"): "as full",
    ("hw.battery.state", "unknown"): "as full",
    ("hw.limit_type", "design"): "theirs are limits that something may not exceed; these are sizes of a battery",
    ("hw.limit_type", "full"): "as design",
    ("process.state", "blocked"): "theirs are of processes; a thread that waits for storage is not just `sleeping`",
}
"""Values of attributes that the conventions do not list, where they list values."""

UNITS: dict[str, tuple[str, str]] = {
    "hw.fan.speed": ("{revolution}/min", "UCUM has no rpm"),
}
"""Units that are not those of the conventions: ours, and why."""

NOT_ADDITIVE = {
    "process.memory.usage": "pages that processes share would count once for each of them",
    "process.memory.virtual": "as process.memory.usage",
}
"""Metrics that the conventions would sum, and that must not be."""

KINDS = {"counter": {"delta", "counter"}, "up_down_counter": {"gauge"}, "gauge": {"gauge"}}
"""What each instrument is here."""


class Instrument(NamedTuple):
    """A metric of the conventions: the instrument without `observable`, and its unit."""

    kind: str
    unit: str


class Recorder:
    """A meter of OpenTelemetry that makes nothing and notes what it is asked for."""

    def __init__(self) -> None:
        self.made: dict[str, Instrument] = {}

    def __getattr__(self, method: str) -> Callable[..., None]:
        """Any `create_…` of a meter."""

        def create(*, name: str, unit: str = "", **_: object) -> None:
            self.made[name] = Instrument(method.removeprefix("create_").removeprefix("observable_"), unit)

        return create


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """The modules of a package."""
    for found in pkgutil.iter_modules(package.__path__):
        yield import_module(f"{package.__name__}.{found.name}")


def current(*packages: ModuleType) -> dict[str, bool]:
    """The names in packages, and whether they are in use, not deprecated; of what is there twice, the last one."""
    found = {}
    for module in (module for package in packages for module in modules(package)):
        # That a name is deprecated is said in the text behind the constant, which is there for readers only.
        for node, behind in pairwise(ast.parse(inspect.getsource(module)).body):
            match node, behind:
                case (
                    ast.AnnAssign(value=ast.Constant(value=str(name))),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = not text.strip().startswith("Deprecated")
    return found


@cache
def instruments() -> Mapping[str, Instrument]:
    """The metrics of the conventions that are not deprecated, by name."""
    recorder = Recorder()
    packages = (opentelemetry.semconv._incubating.metrics, opentelemetry.semconv.metrics)
    for module in (module for package in packages for module in modules(package)):
        for name, create in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("create_"):
                create(recorder, *[None] * (len(inspect.signature(create).parameters) - 1))
    in_use = current(*packages)
    return {name: instrument for name, instrument in recorder.made.items() if in_use[name]}


@cache
def attributes() -> set[str]:
    """The attributes of the conventions that are not deprecated."""
    found = current(opentelemetry.semconv._incubating.attributes, opentelemetry.semconv.attributes)
    return {name for name, in_use in found.items() if in_use}


@cache
def values() -> Mapping[str, set[str]]:
    """The values of each attribute for which the conventions list some: CPU_MODE has those of CpuModeValues."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    packages = (opentelemetry.semconv._incubating.attributes, opentelemetry.semconv.attributes)
    for module in (module for package in packages for module in modules(package)):
        enums = {
            name.removesuffix("Values").lower(): {each.value for each in enum}
            for name, enum in inspect.getmembers(module, inspect.isclass)
            if name.endswith("Values") and issubclass(enum, Enum)
        }
        for constant, attribute in vars(module).items():
            if isinstance(attribute, str) and constant.isupper():
                found[attribute] |= enums.get(constant.replace("_", "").lower(), set())
    return {attribute: each for attribute, each in found.items() if each}


@cache
def shapes() -> Mapping[str, list[dict[str, Any]]]:
    """What all built-in sources provide: the tables of each metric."""
    found = defaultdict(list)
    for path in sorted(PLUGINS.glob("*/contract.toml")):
        contract = tomllib.loads(path.read_text())
        if contract["placement"] == "source":
            for shape in contract["provides"]["metrics"]:
                found[shape["name"]].append(shape)
    return found


def told() -> set[str]:
    """The attributes that built-in filters can tell of series, by a list that their contract has."""
    found: set[str] = set()
    for path in sorted(PLUGINS.glob("*/contract.toml")):
        contract = tomllib.loads(path.read_text())
        for rule in contract.get("needs", {}).get("metrics", []):
            option = rule.get("gives", {}).get("tells", "").removeprefix("${config.").removesuffix("}")
            found.update(contract["config"][option]["values"] if option else [])
    return found


def used() -> set[str]:
    """The attributes of all built-in plugins."""
    given = {name for tables in shapes().values() for shape in tables for name in shape.get("attributes", {})}
    return given | told()


def given() -> list[tuple[str, str]]:
    """The values that built-in sources give to attributes for which the conventions list some."""
    return sorted(
        {
            (name, value)
            for tables in shapes().values()
            for shape in tables
            for name, each in shape.get("attributes", {}).items()
            if name in values() and each != "str"
            for value in each
        }
    )


def known() -> list[str]:
    """The metrics of ours that the conventions name."""
    return sorted(shapes().keys() & instruments().keys())


def additive(name: str) -> bool:
    """Whether any table of a metric says that its values may be summed."""
    return any(shape.get("additive", shape["kind"] != "gauge") for shape in shapes()[name])


@pytest.mark.parametrize("name", sorted(shapes()))
def test_a_metric_has_the_name_of_the_conventions(name: str) -> None:
    """Or stands in the table of those that have none there, with its reason."""
    assert (name in instruments()) is (name not in OWN_METRICS)


@pytest.mark.parametrize("name", sorted(used()))
def test_an_attribute_has_the_name_of_the_conventions(name: str) -> None:
    """Or stands in the table of those that have none there, with its reason."""
    assert (name in attributes()) is (name not in OWN_ATTRIBUTES)


@pytest.mark.parametrize(("name", "value"), given())
def test_a_value_of_an_attribute_is_one_of_the_conventions(name: str, value: str) -> None:
    """Or stands in the table of those that they do not list, with its reason."""
    assert (value in values()[name]) is ((name, value) not in OWN_VALUES)


@pytest.mark.parametrize("name", known())
def test_a_metric_has_the_unit_of_the_conventions(name: str) -> None:
    """Or the one of the table of differences, with its reason."""
    wanted = UNITS[name][0] if name in UNITS else instruments()[name].unit

    assert {shape["unit"] for shape in shapes()[name]} == {wanted}


@pytest.mark.parametrize("name", known())
def test_a_metric_has_the_kind_of_the_conventions(name: str) -> None:
    """A counter is a delta or a counter, all else a gauge; what goes up and down may be summed, with few exceptions."""
    instrument = instruments()[name].kind

    assert {shape["kind"] for shape in shapes()[name]} <= KINDS[instrument]
    if instrument == "up_down_counter":
        assert additive(name) is (name not in NOT_ADDITIVE)


def test_no_reason_outlives_its_need() -> None:
    """Each entry of a table is of a metric or attribute that there is, and states a difference that there is."""
    assert OWN_METRICS.keys() <= shapes().keys()
    assert OWN_ATTRIBUTES.keys() <= used()
    assert [name for name in UNITS if name not in known() or UNITS[name][0] == instruments()[name].unit] == []
    assert [name for name in NOT_ADDITIVE if name not in known() or instruments()[name].kind != "up_down_counter"] == []
    assert all(OWN_METRICS.values())
    assert all(OWN_ATTRIBUTES.values())
    assert OWN_VALUES.keys() <= set(given())
    assert all(OWN_VALUES.values())


def test_the_conventions_are_read_as_they_are() -> None:
    """Each instrument, what is deprecated and what became stable: a reader that finds nothing would let all pass."""
    assert instruments()["system.cpu.time"] == Instrument("counter", "s")
    assert instruments()["system.filesystem.usage"] == Instrument("up_down_counter", "By")
    assert instruments()["hw.temperature"] == Instrument("gauge", "Cel")
    assert "system.network.dropped" not in instruments()
    assert {"cpu.mode", "network.transport"} <= attributes()
    assert "system.cpu.state" not in attributes()
    assert {"user", "iowait"} <= values()["cpu.mode"]
    assert values()["disk.io.direction"] == {"read", "write"}
    assert len(given()) > 30
