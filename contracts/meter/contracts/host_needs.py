"""What contracts need of the host, as questions to it, and what is said where an answer is no.

One place for all tables that need something of the host: alternatives of `needs.host`, what `needs.python` names, and
the need of one metric. Nothing here decides what becomes of a plugin or a metric whose need is not met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from meter.contracts.host import (
    CAPABILITY,
    EVENT,
    LIBRARY,
    PYTHON,
    READABLE,
    SYSCTL,
    Host,
    lasting,
    missing,
    reason,
    remedy,
)
from meter.contracts.language import language
from meter.contracts.model import Contract, Guard, HostNeed

# What somebody can do about comes first: where a file may not be read, another alternative lacks its file for good.
_FIRST = ("denied", "unprivileged", "other-value")


Holds = Callable[[Guard], bool]
"""Whether the condition of a table holds for the configuration of an instance."""


class Table(Protocol):
    """A table of the contract that needs something of the host."""

    @property
    def readable(self) -> tuple[str, ...]:
        """Patterns of files."""

    @property
    def capability(self) -> tuple[str, ...]:
        """Capabilities of Linux."""

    @property
    def library(self) -> tuple[str, ...]:
        """Shared libraries."""

    @property
    def sysctl(self) -> Mapping[str, str]:
        """Settings of the kernel, each with the numbers that will do."""

    @property
    def event(self) -> tuple[str, ...]:
        """Kinds of events that the kernel counts."""


class Told(NamedTuple):
    """Unmet needs in words: half a sentence, and what mends them."""

    why: str
    help: str


def unmet(table: Table, host: Host) -> list[str]:
    """The answers that say why a table does not hold; empty where it holds in all its keys.

    What a copy of a machine lacks besides says nothing where it is the running one that is needed.
    """
    answers = [answer for question in _asked(table) if (answer := host.answer(*question))]
    return [answer for answer in answers if answer.startswith("elsewhere ")] or answers


def alternatives(contract: Contract, holds: Holds | None = None) -> tuple[HostNeed, ...]:
    """The tables of `needs.host` that exist for a configuration.

    Where that is not known any of them may; where none is there for every configuration, nothing may be needed at all.
    """
    needs = contract.needs.host
    if holds is None:
        return needs if any(not need.when for need in needs) else ()
    return tuple(need for need in needs if holds(need.when))


def lacking_rights(contract: Contract, host: Host) -> list[tuple[str, str]]:
    """The questions that a host says no to where a plugin lacks rights and nothing else; empty where it lacks more."""
    if host_faults(contract, host) and not python_faults(contract, host):
        for need in alternatives(contract):
            no = {question: answer for question in _asked(need) if (answer := host.answer(*question))}
            if all(map(_is_right, no.values())):
                return list(no)
    return []


def _asked(table: Table) -> list[tuple[str, str]]:
    """The questions of a table."""
    asked = [(READABLE, pattern) for pattern in table.readable]
    asked += [(CAPABILITY, name) for name in table.capability]
    asked += [(LIBRARY, name) for name in table.library]
    asked += [(EVENT, name) for name in table.event]
    return asked + [(SYSCTL, setting(name, wanted)) for name, wanted in sorted(table.sysctl.items())]


def setting(name: str, wanted: str) -> str:
    """A setting of the kernel and the numbers that will do, as the question SYSCTL has them: without blanks."""
    return name + "".join(wanted.split())


def host_faults(contract: Contract, host: Host, holds: Holds | None = None) -> list[list[str]]:
    """For each alternative that exists the answers that say why it does not hold; empty where one does, or none exists.

    Args: holds, of the instance's configuration, where that is known.
    """
    reasons = []
    for need in alternatives(contract, holds):
        faults = unmet(need, host)
        if not faults:
            return []
        reasons.append(faults)
    return reasons


def alternative(contract: Contract, host: Host, holds: Holds) -> str:
    """The name of the first table of `needs.host` that exists and holds; empty where none does."""
    return next((need.name for need in alternatives(contract, holds) if not unmet(need, host)), "")


def python_faults(contract: Contract, host: Host) -> list[str]:
    """The answers about distributions of `needs.python` that are not there in the wanted range."""
    asked = [name if wanted == "*" else f"{name}{wanted}" for name, wanted in sorted(contract.needs.python.items())]
    return [answer for argument in asked if (answer := host.answer(PYTHON, argument))]


def carries(host: Host, contract: Contract) -> bool:
    """Whether a plugin can work on a host at all."""
    return not host_faults(contract, host) and not python_faults(contract, host)


def host_fault(contract: Contract, host: Host) -> str:
    """Why a plugin cannot work on a host at all, in words; the empty text where it can."""
    found = [told_of_alternatives(faults).why] if (faults := host_faults(contract, host)) else []
    found += [told(lacking).why] if (lacking := python_faults(contract, host)) else []
    return "; ".join(found)


def told(answers: Iterable[str], variant: str = "") -> Told:
    """Answers that all stand in the way, in words; what mends each of them, in a variant where there is one."""
    kept = list(dict.fromkeys(answers))
    return Told("; ".join(map(reason, kept)), "; ".join(dict.fromkeys(remedy(answer, variant) for answer in kept)))


def told_of_alternatives(reasons: Iterable[list[str]], variant: str = "") -> Told:
    """What stands in the way of each alternative, in words, and what mends the one that is the nearest to hold.

    What all of them lack is said once, behind what tells them apart. Where something is not there at all, rights that
    are lacking, too, are not told: they would not help. Of one that lacks all that another one does, and more, nothing
    is said.
    """
    whole = list(reasons)
    kept = _least([answer for answer in answers if not _is_right(answer)] or answers for answers in whole)
    common = [answer for answer in kept[0] if all(answer in answers for answers in kept)] if len(kept) > 1 else []
    apart = [[answer for answer in answers if answer not in common] for answers in kept]
    why = _none_of(apart)
    why = f"{why}; {told(common).why}" if common else why
    return Told(why, told(nearest_alternative(whole), variant).help)


def _least(reasons: Iterable[list[str]]) -> list[list[str]]:
    """The answers of the alternatives of which no other one lacks less."""
    kept = list({frozenset(answers): answers for answers in reversed(list(reasons))}.values())[::-1]
    return [answers for answers in kept if not any(set(other) < set(answers) for other in kept)]


def _none_of(reasons: Sequence[list[str]]) -> str:
    """Why none of some alternatives holds, in words, each said once."""
    ways = list(dict.fromkeys(" and ".join(dict.fromkeys(map(reason, answers))) for answers in reasons))
    if len(ways) == 1:
        return ways[0]
    paths = [missing(answers[0]) if len(answers) == 1 else "" for answers in reasons]
    two = len(ways) == 2
    if all(paths):
        shown = [f"`{path}`" for path in dict.fromkeys(paths)]
        variant, joined = ("missing-two", " nor ".join(shown)) if two else ("missing", ", ".join(shown))
        return language().phrase("text", "alternatives", "text", variant, paths=joined)
    variant, joined = ("two", ", and ") if two else ("", "; ")
    return language().phrase("text", "alternatives", "text", variant, count=str(len(ways)), ways=joined.join(ways))


def mended_or_left(help_: str, answers: Iterable[str], entry: str, mountpoint: str, other: str, *, last: bool) -> str:
    """The help where a plugin cannot work: what mends it, another source in its place, or to leave it out.

    Args: `answers` stand in the way, `entry` is the instance with what goes with it, `other` tells the other source,
    `last`, whether the backend has no source beside it that works.
    """
    say = language().phrase
    leave = say("text", "leave-out", "text", "last" if last else "", entry=entry, mountpoint=mountpoint)
    if other:
        leave = other if last else say("text", "leave-out", "text", "other", other=other, leave=leave)
    if any(map(lasting, answers)):
        return say("text", "leave-out", "text", "assume", leave=leave)
    return f"{help_}; or {leave}"


def nearest_alternative(reasons: Sequence[list[str]]) -> list[str]:
    """The answers of the first alternative that lacks only rights, which can be given; else of the first one."""
    able = [answers for answers in reasons if all(map(_is_right, answers))]
    return (able or reasons)[0]


def _is_right(answer: str) -> bool:
    """Whether somebody can do about it."""
    return answer.partition(" ")[0] in _FIRST


class Lacking(NamedTuple):
    """What a plugin lacks on a host, in words, and where its contract needs it."""

    told: Told
    path: tuple[str | int, ...]


def lacking(contract: Contract, host: Host, holds: Holds) -> Lacking | None:
    """Why a host cannot carry a plugin that is optional, or lets it give none of its metrics; `None` where it can."""
    if whole := host_faults(contract, host, holds):
        return Lacking(told_of_alternatives(whole, "optional"), ("needs", "host"))
    if faults := python_faults(contract, host):
        return Lacking(told(faults, "optional"), ("needs", "python"))
    tables = [clause.host for clause in contract.provides.metrics if clause.host is not None]
    denied = [unmet(table, host) for table in tables]
    if not tables or len(tables) < len(contract.provides.metrics) or not all(denied):
        return None
    return Lacking(
        told((answer for answers in denied for answer in answers), "optional"), ("provides", "metrics", 0, "host")
    )
