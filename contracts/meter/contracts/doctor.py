"""What a host lets the plugins of a catalogue do: all that each contract needs is asked for, mounted or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import evolve, frozen

from meter.contracts.catalogue import Catalogue, is_listed
from meter.contracts.host import ENVIRONMENT, READ, Host, command, permanent, reason, remedy
from meter.contracts.host_needs import (
    alternatives,
    host_faults,
    nearest_alternative,
    python_faults,
    told_of_alternatives,
    unmet,
)
from meter.contracts.language import ABSENT, language
from meter.contracts.model import Contract, Option
from meter.contracts.options import canonical
from meter.contracts.references import references
from meter.contracts.variants import MACHINE

ESTIMATED: Final = "estimated"
_THERE: Final = frozenset({"missing", "no-library"})
"""Answers that something is not there."""


@frozen(kw_only=True)
class Lack:
    """Something that a plugin cannot do here: everything, where no metrics are named.

    `commands` mend it now, `permanent` mend it for good, and `possible` may bring what is not there.
    """

    metrics: tuple[str, ...]
    why: str
    help: str
    commands: tuple[str, ...]
    permanent: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


@frozen(kw_only=True)
class Finding:
    """One plugin on a host: what it gives there, and what it cannot do."""

    plugin: str
    placement: str
    gives: tuple[str, ...]
    estimates: tuple[str, ...]
    """Those of `gives` that are no better than estimated."""
    lacks: tuple[Lack, ...]

    @property
    def works(self) -> bool:
        """Whether it works at all."""
        return all(lack.metrics for lack in self.lacks)


def examine(catalogue: Catalogue, host: Host, *, running: bool = True) -> list[Finding]:
    """What each listed plugin can do on a host, in the order of the chain, then by name.

    Args: `running`, it is the machine that meter runs on: what may bring something there is no help for a copy of one.
    """
    contracts = [contract for contract in catalogue.contracts() if is_listed(contract)]
    contracts.sort(key=lambda contract: (language().rank("placement", contract.placement), contract.name))
    return [_finding(contract, host, running=running) for contract in contracts]


def _finding(contract: Contract, host: Host, *, running: bool) -> Finding:
    for need in contract.needs.host:
        unmet(need, host)  # a record has to know of every alternative: which of them exist depends on the configuration
    whole = host_faults(contract, host)
    found = []
    if whole:
        best = _lack(nearest_alternative(whole))
        possible = _possible(contract, host) if running else ()
        found.append(evolve(best, why=told_of_alternatives(whole).why, possible=possible))
    found += [_lack(answers) for answers in [python_faults(contract, host)] if answers]
    for _, option in sorted(contract.config.items()):
        _ask_default(option, host)
    told: dict[tuple[str, ...], list[str]] = {}
    gives = []
    for clause in contract.provides.metrics:
        if clause.schema is not None:
            gives.append("")  # whatever another meter sends
            continue
        answers = unmet(clause.host, host) if clause.host is not None else []
        if answers and whole and all(set(answers) <= set(lacking) for lacking in whole):
            continue  # it is said of the plugin already
        if answers:
            of = "" if clause.resource == tuple(MACHINE) else "|".join(clause.resource)
            shown = language().phrase("text", "metric-of", metric=clause.name, of=of) if of else f"`{clause.name}`"
            told.setdefault(tuple(answers), []).append(shown)
        else:
            gives.append(clause.name)
    found += [_lack(answers, dict.fromkeys(metrics)) for answers, metrics in told.items()]
    if told and not gives:  # a source that gives nothing has no use
        found = [evolve(lack, metrics=()) for lack in found]
    works = all(lack.metrics for lack in found)
    names = tuple(dict.fromkeys(name for name in gives if name)) if works else ()
    better = {clause.name for clause in contract.provides.metrics if clause.quality != ESTIMATED}
    return Finding(
        plugin=contract.name,
        placement=contract.placement,
        gives=names,
        estimates=tuple(name for name in names if name not in better),
        lacks=tuple(found),
    )


def _possible(contract: Contract, host: Host) -> tuple[str, ...]:
    """What may bring what is not there, of each alternative that lacks it; nothing where rights alone would do."""
    lacks = [({answer.partition(" ")[0] for answer in unmet(need, host)}, need.mend) for need in alternatives(contract)]
    if any(not keys & _THERE for keys, _ in lacks):
        return ()
    return tuple(dict.fromkeys(command for _, commands in lacks for command in commands))


def _lack(answers: Iterable[str], metrics: Iterable[str] = ()) -> Lack:
    kept = list(dict.fromkeys(answers))
    commands = tuple(dict.fromkeys(text for answer in kept if (text := command(answer))))
    return Lack(
        permanent=tuple(dict.fromkeys(text for answer in kept if (text := permanent(answer)))),
        metrics=tuple(metrics),
        why="; ".join(map(reason, kept)),
        help="; ".join(dict.fromkeys(map(remedy, kept))),
        commands=commands,
    )


def _ask_default(option: Option, host: Host) -> None:
    """Ask what the default of an option needs, so that a record of the host has the answer."""
    if option.default is ABSENT:
        return
    value = canonical(option, option.default)
    for _, reference in references(option.type, value):
        kind, argument = (READ, reference.file) if reference.file else (ENVIRONMENT, reference.variable)
        host.answer(kind, argument)
    if option.access is not None:
        paths = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        for path in paths:
            host.answer(option.access, path)
