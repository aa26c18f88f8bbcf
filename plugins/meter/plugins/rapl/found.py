"""What both readers find: counters of energy, each of one domain of one package."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meter.core.plugin import SourceContext
    from meter.plugins.rapl.counter import Counter

_MIRRORING: Final = ("AuthenticAMD", "HygonGenuine")


class Found(NamedTuple):
    """A counter with what it counts; `package` is the number of the package, `die` that of its die where it has one."""

    domain: str
    package: str
    die: str
    counter: Counter


class Series(NamedTuple):
    """One series: the counters that add up to it."""

    domain: str
    package: str
    counters: tuple[Counter, ...]


def series(found: Iterable[Found], mirrored: Callable[[Found, Found], bool]) -> list[Series]:
    """Counters by domain and package, in the order in which they were found; those that show one register once.

    Args: `mirrored`, whether two counters of one domain of one package do.
    """
    groups: dict[tuple[str, str], list[Found]] = {}
    for each in found:
        group = groups.setdefault((each.domain, each.package), [])
        if any(mirrored(other, each) for other in group):
            each.counter.close()
        else:
            group.append(each)
    return [Series(*of, tuple(each.counter for each in group)) for of, group in groups.items()]


def mirrors(context: SourceContext) -> bool:
    """Whether the dies of a package have one counter of energy, which each of them shows as its own.

    Source: Linux, arch/x86/events/rapl.c: the scope of the counter is the package on AMD and Hygon.
    """
    text = read(context, "/proc/cpuinfo", 4096)
    line = next((line for line in text.splitlines() if line.startswith("vendor_id")), "")
    return line.rpartition(":")[2].strip() in _MIRRORING


def read(context: SourceContext, path: str, size: int = 256) -> str:
    """The text of a small file; empty where it cannot be read."""
    try:
        file = context.open(path)
    except OSError:
        return ""
    try:
        return os.pread(file, size, 0).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(file)


def names(context: SourceContext, path: str) -> list[str]:
    """The names in a folder, by their numbers; none where it cannot be listed."""
    try:
        found = context.listdir(path)
    except OSError:
        return []
    return sorted(found, key=lambda name: [(len(part), part) for part in name.split(":")])
