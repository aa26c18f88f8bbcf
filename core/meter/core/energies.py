"""The energy of a machine in a time: the series of `hw.energy`, and the total that holds no joule twice.

Takes what the output `collect` says of each series, and what the plan says of parts. Light: it is imported before a
measured command is spawned.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.keys import MACHINE
from meter.core.quantity import Quantity
from meter.core.totals import ENERGY, QUALITIES, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meter.core.faults import Fault
    from meter.core.keys import Key
    from meter.core.totals import Total

DOMAIN: Final = "domain"
"""Its attribute that parts the energy of one thing, such as `package` and `core`."""
PROCESSOR: Final = "cpu_package"
"""The kind of resource that every machine has and whose energy is known of few."""


Place = tuple[tuple[str, str], tuple[tuple[str, str], ...]]
"""The resource and the attributes of a series."""


class Domain(NamedTuple):
    """One part of the machine whose energy is known, or is known to lack."""

    name: str
    energy: Quantity
    counted: bool
    """Whether it is in the total."""
    part_of: str = ""
    """The domain that it is a part of."""
    contains: tuple[str, ...] = ()
    """What it holds, where it is another view of the same joules."""
    place: Place = (("", ""), ())
    """The resource that it is, and what its series says of it besides."""
    partial: Quantity | None = None
    """What was read of it, where that is not all; its energy is missing then."""
    power: Quantity = Quantity.missing("W", "its energy is missing")
    """Its mean power."""
    attributed: Quantity = Quantity.missing("J", "nobody asked whose it is")
    """What of it is that of the command or the process that is measured."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON value: the name, the quantity, and the other fields; `part_of` and `partial` are null without."""
        return {
            "name": self.name,
            **self.energy.to_json(),
            "counted": self.counted,
            "part_of": self.part_of or None,
            "contains": list(self.contains),
            "partial": None if self.partial is None else self.partial.to_json(),
            "power": self.power.to_json(),
            "attributed": self.attributed.to_json(),
        }


class Energy(NamedTuple):
    """The energy of the machine, and the parts that are known.

    `window` is the time that the total is of, and `power` its mean in that time. `attributed` and `unattributed` are
    the total, parted (see `attributing`).
    """

    total: Quantity
    domains: tuple[Domain, ...]
    window: Quantity = Quantity.missing("s", "the energy of the machine is missing")
    power: Quantity = Quantity.missing("W", "the energy of the machine is missing")
    attributed: Quantity = Quantity.missing("J", "nobody asked whose it is")
    unattributed: Quantity = Quantity.missing("J", "nobody asked whose it is")

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return {
            "total": self.total.to_json(),
            "window": self.window.to_json(),
            "power": self.power.to_json(),
            "attributed": self.attributed.to_json(),
            "unattributed": self.unattributed.to_json(),
            "domains": [domain.to_json() for domain in self.domains],
        }


class Structure(NamedTuple):
    """What is part of what, as a plan has it.

    `parents` is the tree of kinds of resources; `emits` are the variants of `hw.energy` that its sources declare.
    """

    parents: Mapping[str, str] = MappingProxyType({})
    emits: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, plan: dict[str, Any]) -> Structure:
        """That of a plan."""
        emits = (variant for plugin in plan["plugins"] for variant in plugin["emits"])
        return cls(plan["resources"], tuple(variant for variant in emits if variant["metric"] == ENERGY))

    def whole(self, attribute: str, value: str) -> str:
        """What a value of an attribute is a part of; the empty text where it is none."""
        return next((str(w) for v in self.emits if (w := v["parts"].get(attribute, {}).get(value))), "")

    def constant(self, attribute: str, value: str) -> bool:
        """Whether whoever declares a value of an attribute knows no other one: it says whose all its series are."""
        known = [v["attributes"][attribute] for v in self.emits if value in (v["attributes"].get(attribute) or ())]
        return attribute != DOMAIN and bool(known) and all(len(values) == 1 for values in known)

    def above(self, kind: str) -> Iterator[str]:
        """The kinds of resources that hold one."""
        while kind := self.parents.get(kind, ""):
            yield kind


def energy(
    series: Iterable[Total], otherwise: str, structure: Structure, left_out: Mapping[str, str] = MappingProxyType({})
) -> Energy:
    """The energy of the machine from all series of `hw.energy` that no consumer divides.

    The total is the sum of those that are no part of another one. A series of the machine as a whole beside others, and
    one that may not be summed, is another view of their joules, and not in it. Where two of them may hold the same
    joules all the same, where one of them is missing or not whole, and where there is a part without its whole, it is
    missing: joules are never counted twice, nor a part of them taken for the whole.

    Args: `otherwise` is why there is none where no series is there, or none of processors. `left_out` are the instances
        that gave nothing more from some time on, each with the reason.
    """
    series = [t for t in series if t.key.metric.name == ENERGY and t.statistic == "sum" and t.key.consumer == MACHINE]
    silent = _silent(series, structure, left_out)
    if not series:
        return Energy(Quantity.missing("J", silent or otherwise or "no reading of energy came in this time"), ())
    wholes = [_whole(total.key, structure) for total in series]
    there = {(total.key.resource, total.key.attributes) for total in series}
    parts = [whole in there for whole in wholes]
    things = {total.key.resource for total in series if total.key.metric.additive} - {MACHINE}
    views = [not t.key.metric.additive or (bool(things) and t.key.resource == MACHINE) for t in series]
    domains = []
    for each, whole, part, view in zip(series, wholes, parts, views, strict=True):
        domain = _domain(each, structure, left_out)._replace(counted=not part and not view)
        if part and whole is not None:
            domain = domain._replace(part_of=_name(*whole, structure))
        if view:
            of = zip(series, parts, views, strict=True)
            held = [t.key for t, p, v in of if not p and not v and t.key.metric.origin == each.key.metric.origin]
            domain = domain._replace(contains=tuple(_named(key, structure) for key in held))
        domains.append(domain)
    counted = [t.key for t, domain in zip(series, domains, strict=True) if domain.counted]
    parted = zip(series, wholes, parts, strict=True)
    lost = [_named(t.key, structure) for t, w, part in parted if w is not None and not part]
    total = _sum([domain for domain in domains if domain.counted], counted, lost, structure)
    if silent and total.value is not None:
        total = Quantity.missing("J", silent)
    known = total.value is not None
    domains = [domain._replace(counted=domain.counted and known) for domain in domains]
    found = Energy(total, (*domains, *_absent(series, structure), *_processors(series, otherwise)))
    if not known:
        return found
    longest = max(t.span_s for t, domain in zip(series, domains, strict=True) if domain.counted)
    power = _power([domain for domain in domains if domain.counted])
    return found._replace(window=Quantity(longest, "s"), power=power)


def left_out(finished: Iterable[str], faults: Iterable[Fault]) -> dict[str, str]:
    """Why each source that is finished gives nothing more."""
    told: dict[str, str] = {}
    for instance in finished:
        why = dict.fromkeys(fault.message for fault in faults if fault.instance == instance)
        told[instance] = "; ".join(why) or f"`{instance}` has ended"
    return told


def _domain(total: Total, structure: Structure, left_out: Mapping[str, str]) -> Domain:
    """What is known of a series itself; its energy is missing where its readings do not cover the whole time."""
    known = quantity(total)
    domain = Domain(
        _named(total.key, structure), known, counted=False, place=(total.key.resource, total.key.attributes)
    )
    if known.value is None:
        return domain
    reason = left_out.get(total.key.metric.origin, "")
    if reason or not total.whole:
        why = [*total.reasons, *([reason] if reason else [])]
        told = "; ".join(why) or "some of its readings are missing"
        lacking = Quantity.missing("J", f"{told}; the {known.text()} that were read are not all of it")
        return domain._replace(energy=lacking, partial=known)
    if not total.span_s:
        power = Quantity.missing("W", "no time has passed")
    else:
        power = Quantity(known.value / total.span_s, "W", max(known.quality, "derived", key=QUALITIES.index))
    return domain._replace(power=power)


def _power(counted: Sequence[Domain]) -> Quantity:
    """The mean power of several domains together."""
    known = [domain.power for domain in counted]
    lacking = next((power for power in known if power.value is None), None)
    if lacking is not None:
        return lacking
    worst = max((power.quality for power in known), key=QUALITIES.index)
    return Quantity(sum(power.value or 0 for power in known), "W", worst)


def _silent(series: Sequence[Total], structure: Structure, left_out: Mapping[str, str]) -> str:
    """Why there is nothing from sources of energy that were left out before they gave any."""
    there = {total.key.metric.origin for total in series}
    declared = dict.fromkeys(variant["origin"] for variant in structure.emits)
    return "; ".join(left_out[name] for name in declared if name in left_out and name not in there)


def _whole(key: Key, structure: Structure) -> Place | None:
    """The series that one is a part of by an attribute, whether it is there or not; None where it is no part."""
    for at, (name, value) in enumerate(key.attributes):
        if whole := structure.whole(name, value):
            return key.resource, (*key.attributes[:at], (name, whole), *key.attributes[at + 1 :])
    return None


def _sum(counted: Sequence[Domain], keys: Sequence[Key], lost: Sequence[str], structure: Structure) -> Quantity:
    """The sum of domains, whose series have these keys; missing where it would not be right.

    Args: `lost` are the names of those that are parts of what is not there.
    """
    if not counted:
        return Quantity.missing("J", "nothing that is measured may be summed")
    gaps = _gaps((domain.name, domain.energy.reason) for domain in counted if domain.energy.value is None)
    if gaps:
        return Quantity.missing("J", gaps)
    if lost:
        return Quantity.missing("J", f"these are parts of what is not measured: {', '.join(lost)}")
    if not _apart(keys, structure):
        names = ", ".join(domain.name for domain in counted)
        return Quantity.missing("J", f"some of these may be parts of others: {names}")
    qualities = [domain.energy.quality for domain in counted]
    if any(key.resource != MACHINE for key in keys):
        qualities.append("derived")
    worst = max(qualities, key=QUALITIES.index)
    return Quantity(sum(domain.energy.value or 0 for domain in counted), "J", worst)


def _apart(keys: Sequence[Key], structure: Structure) -> bool:
    """Whether no two of these series can hold the same joules.

    Those of one kind have the same attributes, or differ in values of which it is declared what is part of what, or are
    of different things and differ in what says whose they are, such as the vendor; no kind lies in another one.
    """
    seen: dict[str, Key] = {}
    for key in keys:
        first = seen.setdefault(key.resource[0], key)
        if [name for name, _ in first.attributes] != [name for name, _ in key.attributes]:
            return False
        for (name, one), (_, other) in zip(first.attributes, key.attributes, strict=True):
            if one == other or any(name in variant["parts"] for variant in structure.emits):
                continue
            if key.resource == first.resource or not all(structure.constant(name, value) for value in (one, other)):
                return False
    return not any(above in seen for kind in seen for above in structure.above(kind))


def _absent(series: Sequence[Total], structure: Structure) -> Iterator[Domain]:
    """What sources that gave something declare and this machine lacks, so that a total without it says so."""
    there = {(total.key.resource[0], total.key.attributes) for total in series}
    origins = {total.key.metric.origin for total in series}
    for variant in structure.emits:
        if variant["origin"] not in origins or MACHINE[0] in variant["resource"]:
            continue
        if [*variant["attributes"]] != [DOMAIN]:
            continue
        for value in variant["attributes"][DOMAIN] or ():
            place = ((DOMAIN, value),)
            if structure.whole(DOMAIN, value) or any((kind, place) in there for kind in variant["resource"]):
                continue
            yield Domain(value, Quantity.missing("J", "this machine has no counter for it"), counted=False)


def _processors(series: Sequence[Total], otherwise: str) -> Iterator[Domain]:
    """The processors, where no source gives what they take, so that a total without it says so."""
    if otherwise and not any(total.key.resource[0] in (PROCESSOR, MACHINE[0]) for total in series):
        yield Domain(PROCESSOR, Quantity.missing("J", otherwise), counted=False)


def lines(energy: dict[str, Any]) -> Iterator[tuple[str, Quantity]]:
    """What a table shows of the energy of the machine. Takes what `Energy.to_json` makes.

    What is missing in the total is missing in all that follows from it, and not said again.
    """
    total, window, power, rest = (_quantity(energy[name]) for name in ("total", "window", "power", "unattributed"))
    missing = [(domain["name"], domain["reason"]) for domain in energy["domains"] if domain["value"] is None]
    gaps = {name: reason for name, reason in missing if _gaps([(name, reason)]) in (total.reason or "")}
    if gaps and total.reason == _gaps(gaps.items()):  # the lines of these domains have the reasons
        total = Quantity.missing("J", f"that of {' and '.join(gaps)} is missing")
    yield "energy", total
    if rest.value is not None:
        yield "energy, not attributed", rest
    if window.value is not None:
        yield "time of the energy", window
    if power.value is not None:
        yield "power, mean", power
    for domain in energy["domains"]:
        beside = ""
        if domain["part_of"]:
            beside = f" (part of {domain['part_of']})"
        elif domain["contains"]:
            beside = f" (another view of {', '.join(domain['contains'])})"
        elif total.value is not None and not domain["counted"] and domain["value"] is not None:
            beside = " (not in the total)"
        yield f"energy of {domain['name']}{beside}", _quantity(domain)
        if domain["power"]["value"] is not None:
            yield f"power of {domain['name']}, mean", _quantity(domain["power"])


def _gaps(reasons: Iterable[tuple[str, str | None]]) -> str:
    """Why a sum is missing: of each domain that is missing its name and reason."""
    return "; ".join(f"{name}: {reason}" for name, reason in reasons)


def _quantity(document: dict[str, Any]) -> Quantity:
    return Quantity(document["value"], document["unit"], document["quality"], document["reason"])


def _named(key: Key, structure: Structure) -> str:
    """A part as a person calls it: `package-0`, `gpu-0`."""
    return _name(key.resource, key.attributes, structure)


def _name(resource: tuple[str, str], attributes: Sequence[tuple[str, str]], structure: Structure) -> str:
    told = [(name, value) for name, value in attributes if name != DOMAIN and not structure.constant(name, value)]
    words = [f"{name}={value}" for name, value in told]
    kind = dict(attributes).get(DOMAIN, resource[0])
    return " ".join(["-".join(part for part in (kind, resource[1]) if part), *words])
