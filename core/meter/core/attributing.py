"""Whose energy it is: what of a machine's joules is that of a command, or of a process, by its share of CPU time.

Nothing measures the joules of one process. What is known is how long it ran, and how long all processors were busy in
the same time; the energy of processors and of their memory is parted as that is. This is a model: it takes a second of
one process to cost what a second of any other costs, and shares out what the idle machine takes with it. So all of it
is `estimated`. Light: it is imported before a measured command is spawned.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, Final

from meter.core.keys import MACHINE
from meter.core.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meter.core.energies import Domain, Energy
    from meter.core.totals import Total

CPU_TIME: Final = "system.cpu.time"
"""The metric that says how long each processor was in which mode: a delta in seconds."""
MODE: Final = "cpu.mode"
IDLE: Final = frozenset({"idle", "iowait", "steal"})
"""Modes in which a processor does nothing for this machine."""
BY_CPU_TIME: Final = frozenset({"cpu_package", "cpu_core", "dram"})
"""Kinds of resources whose energy is parted by CPU time."""
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


def parted(energy: Energy, share: Quantity) -> Energy:
    """An energy with what of it is attributed by a share of CPU time, and what is not: both add up to the total.

    What no share of CPU time says anything of, such as that of a GPU, is not attributed; the reason of `attributed`
    names it.
    """
    domains = tuple([domain._replace(attributed=_attributed(domain, share)) for domain in energy.domains])
    energy = energy._replace(domains=domains)
    unit = energy.total.unit
    if energy.total.value is None:
        lacking = Quantity.missing(unit, "that of the machine is missing")
        return energy._replace(attributed=lacking, unattributed=lacking)
    counted = [domain for domain in domains if domain.counted]
    known = [domain.attributed.value for domain in counted if domain.attributed.value is not None]
    without: dict[str, list[str]] = {}
    for domain in counted:
        if domain.attributed.value is None:
            without.setdefault(domain.attributed.reason or "", []).append(domain.name)
    told = [f"{', '.join(names)}: {reason}" for reason, names in without.items()]
    if share.value is None and any(domain.place[0][0] in BY_CPU_TIME for domain in counted):
        lacking = Quantity.missing(unit, share.reason or "")
        return energy._replace(attributed=lacking, unattributed=lacking)
    if not known or share.value is None:
        return energy._replace(attributed=Quantity.missing(unit, "; ".join(told)), unattributed=energy.total)
    value = min(fsum(known), energy.total.value)
    how = f"by CPU time, {100 * share.value:.3g} % of what the processors were busy"
    reason = "; ".join([how, *(f"without {each}" for each in told)])
    return energy._replace(
        attributed=Quantity(value, unit, "estimated", reason),
        unattributed=Quantity(energy.total.value - value, unit, "estimated"),
    )


def _is_busy(total: Total) -> bool:
    key = total.key
    of_machine = key.metric.name == CPU_TIME and total.statistic == "sum" and key.consumer == MACHINE
    return of_machine and dict(key.attributes).get(MODE) not in IDLE


def _attributed(domain: Domain, share: Quantity) -> Quantity:
    """What of one domain is attributed."""
    unit = domain.energy.unit
    if domain.energy.value is None:
        return Quantity.missing(unit, "its energy is missing")
    if domain.place[0][0] not in BY_CPU_TIME:
        return Quantity.missing(unit, "no source says whose it is, and CPU time says nothing of it")
    if share.value is None:
        return Quantity.missing(unit, share.reason or "")
    return Quantity(domain.energy.value * share.value, unit, "estimated")
