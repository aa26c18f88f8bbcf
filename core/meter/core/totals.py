"""What a measurement comes to: series over its whole time as JSON values, and the energy that they add up to.

Takes what the output `collect` says of each series. Light: it is imported before a measured command is spawned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from meter.core.keys import MACHINE
from meter.core.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meter.core.keys import Key

ENERGY: Final = "hw.energy"
"""The metric that every source of energy gives: a delta in joules."""
_QUALITIES: Final = ("measured", "derived", "estimated")


class Total(Protocol):
    """What one series came to; `value` is what `statistic` says, None where there is no such number."""

    @property
    def key(self) -> Key:
        """The series."""

    @property
    def value(self) -> float | None:
        """What it came to."""

    @property
    def statistic(self) -> str:
        """`sum`, `mean` or `difference`."""

    @property
    def missing(self) -> int:
        """How many readings were missing."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why."""


class Domain(NamedTuple):
    """One part of the machine whose energy is known."""

    name: str
    energy: Quantity
    counted: bool
    """Whether it is in the total."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON value: the name, the quantity, `counted`."""
        return {"name": self.name, **self.energy.to_json(), "counted": self.counted}


class Energy(NamedTuple):
    """The energy of the machine, and the parts that are known."""

    total: Quantity
    domains: tuple[Domain, ...]


def quantity(total: Total) -> Quantity:
    """What a series came to; missing with its reasons where there is no number."""
    metric = total.key.metric
    if total.value is None:
        return Quantity.missing(metric.unit, "; ".join(total.reasons) or "it was never read")
    return Quantity(total.value, metric.unit, metric.quality, metric.reason or None)


def to_json(total: Total) -> dict[str, Any]:
    """One series over the whole time. `scope` says whether it is a command's or the whole machine's."""
    key, known = total.key, quantity(total)
    return {
        "metric": key.metric.name,
        "unit": key.metric.unit,
        "kind": key.metric.kind,
        "value": known.value,
        "statistic": total.statistic,
        "quality": known.quality,
        "reason": known.reason,
        "missing_cells": total.missing,
        "additive": key.metric.additive,
        "scope": "command" if key.consumer[0] == "process" else "machine",
        "resource": "/".join(part for part in key.resource if part),
        "consumer": "/".join(part for part in key.consumer if part),
        "attributes": dict(key.attributes),
    }


class Summary(NamedTuple):
    """The machine's metrics as a table has them."""

    lines: tuple[tuple[str, Quantity], ...]
    """For each metric and its attributes what it came to: summed over resources where that may be done."""
    zeros: int
    """How many lines are left out as nothing came in the whole time."""


def summary(metrics: Iterable[dict[str, Any]]) -> Summary:
    """What a table shows of the machine. Takes what `to_json` makes."""
    machine = [metric for metric in metrics if metric["scope"] == "machine"]
    kinds: dict[str, set[str]] = {}
    for metric in machine:
        kinds.setdefault(metric["metric"], set()).add(metric["resource"].partition("/")[0])
    groups: dict[str, list[dict[str, Any]]] = {}
    for metric in machine:
        words = [metric["metric"]]
        if not metric["additive"] and metric["resource"] != MACHINE[0]:
            words.append(metric["resource"])
        elif len(kinds[metric["metric"]]) > 1:  # one of them may be a part of another
            words.append(metric["resource"].partition("/")[0])
        words += [f"{name.rpartition('.')[2]}={value}" for name, value in metric["attributes"].items()]
        how = "" if metric["statistic"] == "sum" else f", {metric['statistic']}"
        groups.setdefault(" ".join(words) + how, []).append(metric)
    lines = []
    for name, group in groups.items():
        known = [Quantity(each["value"], each["unit"], each["quality"], each["reason"]) for each in group]
        gap = next((quantity for quantity in known if quantity.value is None), None)
        worst = max((quantity.quality for quantity in known), key=_QUALITIES.index) if gap is None else ""
        whole = Quantity(sum(quantity.value or 0 for quantity in known), known[0].unit, worst)
        if gap is not None or whole.value or group[0]["statistic"] != "sum":
            lines.append((name, gap or whole))
    return Summary(tuple(lines), len(groups) - len(lines))


def energy(totals: Iterable[Total], otherwise: str, parents: Mapping[str, str]) -> Energy:
    """The energy of the machine from all series of `hw.energy` that no consumer divides.

    The total is the sum where no two of them can hold the same joules: no two attribute sets on one kind of resource,
    and the machine alone. Else, and where one of them is missing, it is missing: joules are never counted twice, nor a
    part of them taken for the whole.

    Args: `otherwise` is why there is none where no series is there; `parents` is the tree of kinds of resources, as the
        plan has it.
    """
    parts = [t for t in totals if t.key.metric.name == ENERGY and t.statistic == "sum" and t.key.consumer == MACHINE]
    known = [(_named(part.key), quantity(part)) for part in parts]
    if not parts:
        return Energy(Quantity.missing("J", otherwise or "no reading of energy came in this time"), ())
    gaps = [f"{name}: {each.reason}" for name, each in known if each.value is None]
    cells = [f"{_named(part.key)}: some of its readings are missing" for part in parts if part.missing]
    if gaps or cells:
        total = Quantity.missing("J", "; ".join(gaps or cells))
    elif not _apart([part.key for part in parts], parents):
        names = ", ".join(name for name, _ in known)
        total = Quantity.missing("J", f"some of these may be parts of others: {names}")
    else:
        worst = max((each.quality for _, each in known), key=_QUALITIES.index)
        total = Quantity(sum(each.value for _, each in known if each.value is not None), "J", worst)
    counted = total.value is not None
    return Energy(total, tuple(Domain(name, each, counted) for name, each in known))


def _apart(keys: Sequence[Key], parents: Mapping[str, str]) -> bool:
    """Whether no two of these series can hold the same joules: one set of attributes for a kind, no kind in another."""
    seen: dict[str, tuple[tuple[str, str], ...]] = {}
    for key in keys:
        if seen.setdefault(key.resource[0], key.attributes) != key.attributes:
            return False
    for kind in seen:
        above = parents.get(kind, "")
        while above:
            if above in seen:
                return False
            above = parents.get(above, "")
    return True


def _named(key: Key) -> str:
    """A part as a person calls it: `cpu_package-0 domain=core`."""
    words = [f"{name}={value}" for name, value in key.attributes]
    return " ".join(["-".join(part for part in key.resource if part), *words])
