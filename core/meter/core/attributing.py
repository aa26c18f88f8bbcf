"""Whose energy it is: what of a machine's joules is that of a command, or of a process.

Nothing measures the joules of one process. Of processors and of their memory it is known how long it ran, and how long
all of them were busy in the same time; their energy is parted as that is. Of a GPU a source may have parted the energy
between two of its readings by what each process ran there. Both are models: they take a second of one process to cost
what a second of any other costs. The first shares out what the idle machine takes, too; of a GPU that is nobody's. So
all of it is `estimated`. Light: it is imported before a measured command is spawned.
"""

from __future__ import annotations

from math import fsum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from meter.core.keys import MACHINE
from meter.core.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from meter.core.energies import Domain, Energy, Place
    from meter.core.totals import Total

CPU_TIME: Final = "system.cpu.time"
"""The metric that says how long each processor was in which mode: a delta in seconds."""
MODE: Final = "cpu.mode"
IDLE: Final = frozenset({"idle", "iowait", "steal"})
"""Modes in which a processor does nothing for this machine."""
BY_CPU_TIME: Final = frozenset({"cpu_package", "cpu_core", "dram"})
"""Kinds of resources whose energy is parted by CPU time."""
HAD: Final = "process.gpu.energy"
"""The metric that says what a process has of the energy of a GPU: a delta in joules."""
BUSY: Final = "hw.gpu.energy.busy"
"""The metric that says what all of them have; a GPU without it is parted by nobody."""
FOLLOWED: Final = "process.cpu.time"
"""The metric that every process of a command has that was seen."""
SAMPLED_S: Final = 1.0
"""So long it may take until something is known of what processes ran on a GPU."""
_NOBODY: Final = "no source says whose it is"
TICK_S: Final = 0.01
"""The kernel counts the time of each processor in each mode in ticks of this length (USER_HZ of time(7))."""


def share(series: Iterable[Total], cpu: Quantity) -> Quantity:
    """The share of a CPU time, in s, of all the time that the processors were busy; between 0 and 1, `estimated`.

    Missing where one of both is not known, or where they cannot be of the same machine and time: a CPU time that is
    greater than all of it by more than ticks can explain.
    """
    if cpu.value is None:
        return Quantity.missing("1", f"its CPU time is missing: {cpu.reason}")
    busy = [total for total in series if _is_busy(total)]
    if not busy:
        return Quantity.missing("1", "no source says how long the processors were busy")
    for total in busy:
        if total.value is None or not total.whole:
            gap = "; ".join(total.reasons) or "it was not read throughout"
            return Quantity.missing("1", f"how long the processors were busy is not known: {gap}")
    seconds = fsum(total.value or 0 for total in busy)
    if cpu.value > seconds + len(busy) * TICK_S:
        told = f"its CPU time of {cpu.text()} is more than the {Quantity(seconds, 's').text()} of all processors"
        return Quantity.missing("1", f"{told} that the sources have counted")
    if seconds <= 0:
        return Quantity.missing("1", "the processors were busy for less than the kernel counts")
    return Quantity(min(1.0, cpu.value / seconds), "1", "estimated")


def processes(series: Iterable[Total], pid: int) -> frozenset[str]:
    """The ids of a process and of all that were followed with it."""
    return frozenset({total.key.consumer[1] for total in series if total.key.metric.name == FOLLOWED} | {str(pid)})


def of_gpus(series: Iterable[Total], own: Collection[str], *, foreign: bool = False) -> dict[Place, Quantity]:
    """What of the energy of each GPU is that of some processes, in J, where a source has parted it by processes.

    Args: `own` are their ids. `foreign` says that others may count processes in another way, as in a container: where
        none of them is one of these, nothing is known.
    """
    series = [total for total in series if total.key.metric.name in (HAD, BUSY)]
    ours = [total for total in series if total.key.metric.name == HAD and total.key.consumer[1] in own]
    found: dict[Place, Quantity] = {}
    for total in series:
        if total.key.metric.name != BUSY or total.statistic != "sum":
            continue
        place = total.key.resource, total.key.attributes
        if total.value is None or not total.whole:
            gap = "; ".join(total.reasons) or "it was not read throughout"
            found[place] = Quantity.missing("J", f"{_NOBODY}: {gap}")
        elif not total.value and total.span_s < SAMPLED_S:
            found[place] = Quantity.missing("J", f"{_NOBODY}: what runs there is known only after up to a second")
        elif total.value and foreign and not ours:
            gap = "in a container its driver may have other ids of processes, and none of those that it has is here"
            found[place] = Quantity.missing("J", f"{_NOBODY}: {gap}")
        else:
            joules = fsum(each.value or 0 for each in ours if (each.key.resource, each.key.attributes) == place)
            found[place] = Quantity(joules, "J", "estimated")
    return found


def parted(energy: Energy, share: Quantity, gpus: Mapping[Place, Quantity] = MappingProxyType({})) -> Energy:
    """An energy with what of it is attributed, and what is not: both add up to the total.

    What neither a share of CPU time nor `gpus` (see `of_gpus`) says anything of is not attributed; the reason of
    `attributed` names it.
    """
    domains = tuple([domain._replace(attributed=_attributed(domain, share, gpus)) for domain in energy.domains])
    energy = energy._replace(domains=domains)
    unit = energy.total.unit
    if energy.total.value is None:
        lacking = Quantity.missing(unit, "that of the machine is missing")
        return energy._replace(attributed=lacking, unattributed=lacking)
    counted = [domain for domain in domains if domain.counted]
    by_cpu = any(_goes_by_cpu(domain) for domain in counted)
    if share.value is None and by_cpu:
        lacking = Quantity.missing(unit, share.reason or "")
        return energy._replace(attributed=lacking, unattributed=lacking)
    known = [domain.attributed.value for domain in counted if domain.attributed.value is not None]
    without: dict[str, list[str]] = {}
    for domain in counted:
        if domain.attributed.value is None:
            without.setdefault(domain.attributed.reason or "", []).append(domain.name)
    told = [f"{', '.join(names)}: {reason}" for reason, names in without.items()]
    if not known:
        return energy._replace(attributed=Quantity.missing(unit, "; ".join(told)), unattributed=energy.total)
    value = min(fsum(known), energy.total.value)
    how = []
    if by_cpu:
        how.append(f"by CPU time, {100 * (share.value or 0):.3g} % of what the processors were busy")
    how += [_told(domain) for domain in counted if not _goes_by_cpu(domain) and domain.attributed.value is not None]
    reason = "; ".join([*how, *(f"without {each}" for each in told)])
    return energy._replace(
        attributed=Quantity(value, unit, "estimated", reason),
        unattributed=Quantity(energy.total.value - value, unit, "estimated"),
    )


def _is_busy(total: Total) -> bool:
    key = total.key
    of_machine = key.metric.name == CPU_TIME and total.statistic == "sum" and key.consumer == MACHINE
    return of_machine and dict(key.attributes).get(MODE) not in IDLE


def _goes_by_cpu(domain: Domain) -> bool:
    return domain.place[0][0] in BY_CPU_TIME


def _told(domain: Domain) -> str:
    """How much of a GPU is attributed."""
    part = (domain.attributed.value or 0) / domain.energy.value if domain.energy.value else 0
    return f"{100 * part:.3g} % of {domain.name} by what its processes ran there"


def _attributed(domain: Domain, share: Quantity, gpus: Mapping[Place, Quantity]) -> Quantity:
    """What of one domain is attributed."""
    unit = domain.energy.unit
    if domain.energy.value is None:
        return Quantity.missing(unit, "its energy is missing")
    if not _goes_by_cpu(domain):
        known = gpus.get(domain.place, Quantity.missing(unit, f"{_NOBODY}, and CPU time says nothing of it"))
        return known if known.value is None else known._replace(value=min(known.value, domain.energy.value))
    if share.value is None:
        return Quantity.missing(unit, share.reason or "")
    return Quantity(domain.energy.value * share.value, unit, "estimated")
