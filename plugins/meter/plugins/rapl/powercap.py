"""The counters of /sys/class/powercap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meter.plugins.rapl.counter import WATTS, Counter, File, Unreadable
from meter.plugins.rapl.found import Found, mirrors, names, read, series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.core.plugin import SourceContext
    from meter.plugins.rapl.found import Series

FOLDER: Final = "/sys/class/powercap"
_MSR: Final = "intel-rapl"
_MMIO: Final = "intel-rapl-mmio"
_PARTS: Final = ("core", "uncore", "dram")

_LEAST_WATTS: Final = 500.0
_MOST_WATTS: Final = 10_000.0
_PEAK: Final = 4
"""A package may take so many times its limit, which is one of a mean, for a short time."""


def find(context: SourceContext) -> list[Series]:
    """The counters of this host.

    The same register may be there under two names: below `intel-rapl` and `intel-rapl-mmio`, and, on processors whose
    dies have no counter of their own, once for each die. It is taken once.
    """
    found = list(_zones(context, _MSR))
    known = {(each.domain, each.package) for each in found}
    for twin in _zones(context, _MMIO):
        if (twin.domain, twin.package) in known:
            twin.counter.close()
        else:
            found.append(twin)
    platform = [each for each in found if each.domain == "psys"][1:]  # only that of the first package is of all
    found = [each for each in found if each not in platform]
    several = len({(each.domain, each.package) for each in found}) < len(found)
    alike = several and mirrors(context)
    return series(found, lambda one, other: alike or _one_register(one.counter, other.counter))


def _one_register(one: Counter, other: Counter) -> bool:
    """Whether two counters are one: what the second shows lies between two readings of the first."""
    try:
        before, between, after = one.read(), other.read(), one.read()
    except Unreadable:
        return False
    return before <= between <= after


def _zones(context: SourceContext, control: str) -> Iterator[Found]:
    """The zones of a control type whose names are known, packages before their parts."""
    for name in names(context, FOLDER):
        words = name.split(":")
        if words[0] != control or len(words) not in (2, 3):
            continue
        said = read(context, f"{FOLDER}/{name}/name")
        above = said if len(words) == 2 else read(context, f"{FOLDER}/{words[0]}:{words[1]}/name")
        package, die = _place(above, words[1])
        if len(words) == 3:
            domain = said if said in _PARTS else ""
        else:
            domain = next((each for each in ("package", "psys") if said.startswith(each)), "")
        if domain:
            yield Found(domain, "" if domain == "psys" else package, die, _counter(context, f"{FOLDER}/{name}"))


def _place(name: str, otherwise: str) -> tuple[str, str]:
    """The package and the die of `package-0` or `package-0-die-1`."""
    words = name.split("-")
    if words[0] != "package" or len(words) < 2:
        return otherwise, ""
    return words[1], words[3] if words[2:3] == ["die"] and len(words) > 3 else ""


def _counter(context: SourceContext, folder: str) -> Counter:
    path = f"{folder}/energy_uj"
    greatest = _number(read(context, f"{folder}/max_energy_range_uj"))
    file = File(path, context, greatest)
    return Counter(path, file.read, file.close, per_joule=1e6, range_=greatest, watts=_watts(context, folder))


def _watts(context: SourceContext, folder: str) -> float:
    """The most that a zone can take, from its limits where it has any."""
    limits = [
        _number(read(context, f"{folder}/{name}")) or 0
        for name in names(context, folder)
        if name.startswith("constraint_") and name.endswith(("_max_power_uw", "_power_limit_uw"))
    ]
    watts = _PEAK * max(limits, default=0) / 1e6
    return min(max(watts, _LEAST_WATTS), _MOST_WATTS) if watts else WATTS


def _number(text: str) -> int | None:
    """A number above 0; None where the text is none."""
    return int(text) if text.isdecimal() and int(text) else None
