"""The sources that all measurements of this process share, made once for each interval and sysroot."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.core import energies, files

if TYPE_CHECKING:
    from meter.core.cuts import Sources


class Machine(NamedTuple):
    """The sources for measurements of one interval and sysroot, or why there are none; why there is no energy.

    `structure` says which energy is part of which.
    """

    sources: Sources | None
    why: str
    no_energy: str
    structure: energies.Structure = energies.Structure()
    slower: tuple[dict[str, Any], ...] = ()


_machines: dict[tuple[str | None, str | None, str | None], Machine] = {}
_lock = threading.RLock()
"""May be taken again: a signal's handler may measure, too."""


def _after_fork() -> None:
    """A child has no thread of the parent, and whatever lock one of these held is held for ever."""
    global _lock  # noqa: PLW0603  (a lock cannot be made free again otherwise)
    _lock = threading.RLock()
    _machines.clear()


os.register_at_fork(after_in_child=_after_fork)


def machine(interval: str | None, sysroot: str | None, carbon: str | None = None) -> Machine:
    """The sources for this interval and sysroot, and for grams by this grid or intensity, made once.

    Raises: ValueError, a source takes no such interval, or there is no such grid or intensity.
    """
    asked = (interval, sysroot, carbon)
    found = _machines.get(asked)
    if found is None:
        with _lock:
            found = _machines.get(asked)
            if found is None:
                found = _machines[asked] = _made(interval, sysroot, carbon)
    return found


def _made(interval: str | None, sysroot: str | None, carbon: str | None) -> Machine:
    from meter.core import automatic
    from meter.core.carbon import OPTIONS
    from meter.core.cuts import Sources
    from meter.core.faults import described

    try:
        chain = automatic.chain(automatic.Asked("/measure", "/", interval=interval, sysroot=sysroot, carbon=carbon))
    except automatic.PlanRefused as error:
        if any(each.option == "interval" for each in error.refused):
            raise ValueError(str(error)) from None
        of_carbon = [each.document for each in error.refused if each.option in OPTIONS]
        if of_carbon:
            told = "; ".join(f"{each['message']}; {each['help']}" for each in of_carbon)
            raise ValueError(f"carbon={carbon!r}: {told}") from None
        why = _no_folder(sysroot) or str(error)
        return Machine(None, why, why)
    except Exception as error:  # noqa: BLE001  (a fault of meter's own must not stop what is measured)
        why = str(error) if isinstance(error, RuntimeError | OSError) else described(error)
        return Machine(None, why, why)
    mounted = chain.mounted
    sources = Sources(mounted.plan.document, mounted.contracts, mounted.folder, sysroot)
    return Machine(sources, "", chain.no_energy, energies.Structure.of(mounted.plan.document), tuple(chain.slowed()))


def _no_folder(sysroot: str | None) -> str:
    """What is wrong with the folder that /proc and /sys are read below; empty where it is there."""
    if sysroot is not None:
        try:
            os.listdir(sysroot)
        except OSError as error:
            return files.fault(sysroot, error).message
    return ""


def checked_carbon(carbon: str | None) -> str | None:
    """A grid or an intensity as text; whether there is such a one the contract of the filter says.

    Raises: TypeError, it is no text.
    """
    if carbon is not None and not isinstance(carbon, str):
        raise TypeError(f"carbon={carbon!r}: expected a text, such as 'FRA' or '475 g/kWh'")
    return carbon


def checked(interval: str | None) -> str | None:
    """An interval that can be read.

    Raises: TypeError, it is no text; ValueError, it is no time.
    """
    if interval is not None:
        from meter.contracts.quantities import QuantityError, parse_duration  # light

        if not isinstance(interval, str):
            raise TypeError(f"interval={interval!r}: expected a text with its unit, such as '100ms'")
        try:
            span = parse_duration(interval)
        except QuantityError as error:
            raise ValueError(f"interval={interval!r}: expected {error.expected}, such as '100ms'") from None
        if not span:
            raise ValueError(f"interval={interval!r}: expected a time above 0, such as '100ms'")
    return interval
