"""What a measurement comes to: series over its whole time as JSON values, and the energy that they add up to.

Takes what the output `collect` says of each series. Light: it is imported before a measured command is spawned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from meter.core.keys import MACHINE
from meter.core.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    return Quantity(total.value, metric.unit, metric.quality)


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
        "scope": "command" if key.consumer[0] == "process" else "machine",
        "resource": "/".join(part for part in key.resource if part),
        "consumer": "/".join(part for part in key.consumer if part),
        "attributes": dict(key.attributes),
    }


def energy(totals: Iterable[Total], otherwise: str) -> Energy:
    """The energy of the machine from all series of `hw.energy` that no consumer divides.

    The total is the sum where no two of them can hold the same joules: no two attribute sets on one kind of resource,
    and the machine alone. Else, and where one of them is missing, it is missing: joules are never counted twice, nor a
    part of them taken for the whole.

    Args: `otherwise` is why there is none where no series is there.
    """
    parts = [t for t in totals if t.key.metric.name == ENERGY and t.statistic == "sum" and t.key.consumer == MACHINE]
    known = [(_named(part.key), quantity(part)) for part in parts]
    if not parts:
        return Energy(Quantity.missing("J", otherwise or "no reading of energy came in this time"), ())
    gaps = [f"{name}: {each.reason}" for name, each in known if each.value is None]
    cells = [f"{_named(part.key)}: some of its readings are missing" for part in parts if part.missing]
    if gaps or cells:
        total = Quantity.missing("J", "; ".join(gaps or cells))
    elif not _apart([part.key for part in parts]):
        names = ", ".join(name for name, _ in known)
        total = Quantity.missing("J", f"some of these may be parts of others: {names}")
    else:
        worst = max((each.quality for _, each in known), key=_QUALITIES.index)
        total = Quantity(sum(each.value for _, each in known if each.value is not None), "J", worst)
    counted = total.value is not None
    return Energy(total, tuple(Domain(name, each, counted) for name, each in known))


def _apart(keys: Sequence[Key]) -> bool:
    """Whether no two of these series can hold the same joules."""
    seen: dict[str, tuple[tuple[str, str], ...]] = {}
    for key in keys:
        if seen.setdefault(key.resource[0], key.attributes) != key.attributes:
            return False
    return len(keys) == 1 or MACHINE[0] not in seen


def _named(key: Key) -> str:
    """A part as a person calls it: `cpu_package-0 domain=core`."""
    words = [f"{name}={value}" for name, value in key.attributes]
    return " ".join(["-".join(part for part in key.resource if part), *words])
