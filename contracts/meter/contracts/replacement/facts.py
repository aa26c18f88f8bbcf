"""What is known of a mount, and whether that shows that a change takes no harm there.

Every fact may be missing: `None` is not known, and what is not known shows nothing. A fact that holds does not make a
new contract right for the mount; it makes it worth another check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from attrs import field, frozen

from meter.contracts import options
from meter.contracts.claims import meet
from meter.contracts.host import PYTHON, SYSCTL, Host
from meter.contracts.host_needs import host_faults, setting
from meter.contracts.instances import holds_when
from meter.contracts.language import ABSENT
from meter.contracts.model import Contract
from meter.contracts.placeholders import CONFIG
from meter.contracts.quantities import QuantityError, parse_duration
from meter.contracts.replacement.lattices import Outcome, Path
from meter.contracts.replacement.views import Known, keeps
from meter.contracts.versions import parse_version, satisfies


@frozen(kw_only=True)
class MountFacts:
    """What is known of the mount in which an instance of the plugin stands."""

    label: str = ""
    """The instance; where it is empty, that of the plugin's own name."""
    interface: str | None = None
    """The version of meter's plugin interface."""
    order: tuple[str, ...] | None = None
    """The labels of all instances, as they are ordered."""
    others: Mapping[str, Mapping[str, str]] | None = None
    """For each other instance the plugin and the capabilities that it is, with their versions; empty: not known."""
    config: Mapping[str, Any] | None = None
    """The options of the instance that the request gives, as TOML values; the others have their defaults."""
    claims: tuple[str, ...] | None = None
    """What other instances of all mounts claim, options put in."""
    host: Host | None = field(default=None, eq=False)
    """Who answers questions about the host."""


class Case(NamedTuple):
    """A change: its outcome and where it stands in the new contract; both contracts, and what is known of a mount."""

    outcome: Outcome
    at: Path
    old: Contract
    new: Contract
    mount: MountFacts


Fact = Callable[[Case], bool]


def harmless(fact: str, case: Case) -> bool:
    """Whether what is known of a mount shows that a change takes no harm there; `fact` is a rule's `here`."""
    return bool(fact) and _FACTS[fact](case)


def _interface(case: Case) -> bool:
    known = case.mount.interface
    return known is not None and satisfies(parse_version(known, short=True), case.outcome.new)


def _order(case: Case) -> bool:
    """Whether an edge more is true in the order that is mounted; what is not there is no fault."""
    mount = case.mount
    label = mount.label or case.old.name
    if mount.order is None or label not in mount.order:
        return False
    target = str(case.outcome.new)
    places = [
        place
        for place, other in enumerate(mount.order)
        if other != label and (other == target or target in (mount.others or {}).get(other, ()))
    ]
    mine = mount.order.index(label)
    if case.at[1] == "before":
        return all(place > mine for place in places)
    return all(place < mine for place in places)


def _versions_of(name: str, mount: MountFacts) -> list[str]:
    """The versions in which other instances provide a plugin or capability; empty texts are not known."""
    return [names[name] for names in (mount.others or {}).values() if name in names]


def _provided(case: Case) -> bool:
    """Whether some instance provides what is needed now; the plugin itself may."""
    name = case.outcome.name
    own = {case.new.name: case.new.version, **case.new.provides.capabilities}
    versions = [*_versions_of(name, case.mount), *([own[name]] if name in own else [])]
    return any(_fits(version, case.outcome.new) for version in versions)


def _fits(version: str, wanted: str) -> bool:
    return wanted.strip() == "*" or (bool(version) and satisfies(parse_version(version, short=True), wanted))


def _absent(case: Case) -> bool:
    """Whether no other instance provides what is excluded, or what configuration is for."""
    if case.mount.others is None:
        return False
    versions = _versions_of(case.outcome.name, case.mount)
    excluded = case.outcome.new if isinstance(case.outcome.new, str) else "*"
    return not any(not version or satisfies(parse_version(version, short=True), excluded) for version in versions)


def _claims(case: Case) -> bool:
    """Whether what is claimed now can be had beside all that others claim."""
    if case.mount.claims is None or case.mount.config is None:
        return False
    known = Known.of(case.new, case.mount.config).raw
    claim = CONFIG.sub(lambda found: str(known.get(found[1], found[0])), str(case.outcome.new))
    return not any(meet(claim, other) for other in case.mount.claims)


def _host(case: Case) -> bool:
    """Whether the host has what the plugin, or one of its metrics, needs now."""
    if case.mount.host is None:
        return False
    if isinstance(case.outcome.new, str):
        kind = str(case.at[case.at.index("host") + 1])  # a clause of a table is called as the question that it asks
        needed = setting(case.outcome.name, case.outcome.new) if kind == SYSCTL else case.outcome.new
        return not case.mount.host.answer(kind, needed)
    known = None if case.mount.config is None else Known.of(case.new, case.mount.config).canonical
    holds = None if known is None else lambda guard: holds_when(guard, known, case.new.config)
    return not host_faults(case.new, case.mount.host, holds)


def _python(case: Case) -> bool:
    asked = case.outcome.name if case.outcome.new == "*" else f"{case.outcome.name}{case.outcome.new}"
    return case.mount.host is not None and not case.mount.host.answer(PYTHON, asked)


def _config(case: Case) -> bool:
    """Whether the instance's value of an option is the same as before."""
    if case.mount.config is None:
        return False
    name = str(case.at[1]) if len(case.at) > 1 else case.outcome.name
    if name not in case.new.config:
        return name not in case.mount.config
    values = []
    for option in (case.old.config[name], case.new.config[name]):
        raw = case.mount.config.get(name, option.default)
        try:
            values.append(ABSENT if raw is ABSENT else options.canonical(option, raw))
        except options.OptionError:
            return False
    return values[0] is not ABSENT and values[0] == values[1]


def _interval(case: Case) -> bool:
    """Whether one call fits into the interval of the instance."""
    if case.mount.config is None:
        return False
    if case.new.role != "source":
        return True
    try:
        value = Known.of(case.new, case.mount.config).canonical.get("interval")
        return isinstance(value, int) and parse_duration(case.outcome.new) <= value
    except QuantityError:
        return False


def _holds(case: Case) -> bool:
    """Whether the configuration keeps a constraint; one about the interval of a metric is not known."""
    if case.mount.config is None:
        return False
    return keeps(case.new, Known.of(case.new, case.mount.config), case.outcome.new)


_FACTS: Final[Mapping[str, Fact]] = {
    "interface": _interface,
    "order": _order,
    "provided": _provided,
    "absent": _absent,
    "claims": _claims,
    "host": _host,
    "python": _python,
    "config": _config,
    "interval": _interval,
    "holds": _holds,
}
"""By the word that a rule has as `here`."""
