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

    from meter.core.keys import Key
    from meter.core.totals import Total

DOMAIN: Final = "domain"
"""Its attribute that parts the energy of one thing, such as `package` and `core`."""


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

    def to_json(self) -> dict[str, Any]:
        """As a JSON value: the name, the quantity, `counted`, `part_of` (null where it is no part), `contains`."""
        told = {"counted": self.counted, "part_of": self.part_of or None, "contains": list(self.contains)}
        return {"name": self.name, **self.energy.to_json(), **told}


class Energy(NamedTuple):
    """The energy of the machine, and the parts that are known."""

    total: Quantity
    domains: tuple[Domain, ...]


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


def energy(series: Iterable[Total], otherwise: str, structure: Structure) -> Energy:
    """The energy of the machine from all series of `hw.energy` that no consumer divides.

    The total is the sum of those that are no part of another one. A series of the machine as a whole beside others, and
    one that may not be summed, is another view of their joules, and not in it. Where two of them may hold the same
    joules all the same, where one of them is missing, and where there is a part without its whole, it is missing:
    joules are never counted twice, nor a part of them taken for the whole.

    Args: `otherwise` is why there is none where no series is there.
    """
    series = [t for t in series if t.key.metric.name == ENERGY and t.statistic == "sum" and t.key.consumer == MACHINE]
    if not series:
        return Energy(Quantity.missing("J", otherwise or "no reading of energy came in this time"), ())
    wholes = [_whole(total.key, structure) for total in series]
    there = {(total.key.resource, total.key.attributes) for total in series}
    parts = [whole in there for whole in wholes]
    things = {total.key.resource for total in series if total.key.metric.additive} - {MACHINE}
    views = [not t.key.metric.additive or (bool(things) and t.key.resource == MACHINE) for t in series]
    counted = [t for t, part, view in zip(series, parts, views, strict=True) if not part and not view]
    lost = [t for t, whole, part in zip(series, wholes, parts, strict=True) if whole is not None and not part]
    total = _sum(counted, lost, structure)
    domains = []
    for each, whole, part, view in zip(series, wholes, parts, views, strict=True):
        named = _named(each.key, structure)
        domain = Domain(named, quantity(each), not (part or view) and total.value is not None)
        if part and whole is not None:
            domain = domain._replace(part_of=_name(*whole, structure))
        if view:
            of = tuple(_named(t.key, structure) for t in counted if t.key.metric.origin == each.key.metric.origin)
            domain = domain._replace(contains=of)
        domains.append(domain)
    return Energy(total, (*domains, *_absent(series, structure)))


Place = tuple[tuple[str, str], tuple[tuple[str, str], ...]]
"""The resource and the attributes of a series."""


def _whole(key: Key, structure: Structure) -> Place | None:
    """The series that one is a part of by an attribute, whether it is there or not; None where it is no part."""
    for at, (name, value) in enumerate(key.attributes):
        if whole := structure.whole(name, value):
            return key.resource, (*key.attributes[:at], (name, whole), *key.attributes[at + 1 :])
    return None


def _sum(counted: Sequence[Total], lost: Sequence[Total], structure: Structure) -> Quantity:
    """The sum of series; missing where it would not be right."""
    if not counted:
        return Quantity.missing("J", "nothing that is measured may be summed")
    known = [(_named(total.key, structure), quantity(total)) for total in counted]
    gaps = [f"{name}: {each.reason}" for name, each in known if each.value is None]
    cells = [f"{_named(t.key, structure)}: some of its readings are missing" for t in counted if t.missing]
    if gaps or cells:
        return Quantity.missing("J", "; ".join(gaps or cells))
    if lost:
        names = ", ".join(_named(total.key, structure) for total in lost)
        return Quantity.missing("J", f"these are parts of what is not measured: {names}")
    if not _apart([total.key for total in counted], structure):
        names = ", ".join(name for name, _ in known)
        return Quantity.missing("J", f"some of these may be parts of others: {names}")
    qualities = [each.quality for _, each in known]
    if any(total.key.resource != MACHINE for total in counted):
        qualities.append("derived")
    worst = max(qualities, key=QUALITIES.index)
    return Quantity(sum(each.value for _, each in known if each.value is not None), "J", worst)


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


def lines(domains: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Quantity]]:
    """What a table shows of the parts of energy. Takes what `Domain.to_json` makes."""
    domains = list(domains)
    total = any(domain["counted"] for domain in domains)
    for domain in domains:
        beside = " (not in the total)" if total and not domain["counted"] and domain["value"] is not None else ""
        if domain["part_of"]:
            beside = f" (part of {domain['part_of']})"
        elif domain["contains"]:
            beside = f" (another view of {', '.join(domain['contains'])})"
        known = Quantity(domain["value"], domain["unit"], domain["quality"], domain["reason"])
        yield f"energy of {domain['name']}{beside}", known


def _named(key: Key, structure: Structure) -> str:
    """A part as a person calls it: `package-0`, `gpu-0`."""
    return _name(key.resource, key.attributes, structure)


def _name(resource: tuple[str, str], attributes: Sequence[tuple[str, str]], structure: Structure) -> str:
    told = [(name, value) for name, value in attributes if name != DOMAIN and not structure.constant(name, value)]
    words = [f"{name}={value}" for name, value in told]
    kind = dict(attributes).get(DOMAIN, resource[0])
    return " ".join(["-".join(part for part in (kind, resource[1]) if part), *words])
