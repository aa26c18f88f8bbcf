"""What a measurement comes to: series over its whole time as JSON values, and lines of a table.

Takes what the output `collect` says of each series. Light: it is imported before a measured command is spawned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from meter.core.keys import MACHINE, entity_text
from meter.core.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from meter.core.keys import Key

ENERGY: Final = "hw.energy"
"""The metric that every source of energy gives: a delta in joules."""
_APART: Final = (ENERGY, f"{ENERGY}.carbon")
"""What a table shows in lines of its own."""
_POWER: Final = "W"
"""The unit of what is told of each thing: a sum of powers would not say that one of several things has none."""
QUALITIES: Final = ("measured", "derived", "estimated")
"""From best to worst."""


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

    @property
    def span_s(self) -> float:
        """The time that `value` stands for, in s."""

    @property
    def whole(self) -> bool:
        """Whether that is all of the time from the first reading to the last, those that are missing included."""


def quantity(total: Total) -> Quantity:
    """What a series came to; missing with its reasons where there is no number."""
    metric = total.key.metric
    if total.value is None:
        return Quantity.missing(metric.unit, "; ".join(total.reasons) or "it was never read")
    return Quantity(total.value, metric.unit, metric.quality, metric.reason or None)


def to_json(total: Total, own: Collection[str] = ()) -> dict[str, Any]:
    """One series over the whole time. `scope` says whether it is a command's or the whole machine's.

    Args: `own` are the ids of the command's processes; those of others are neither.
    """
    whose, id_ = total.key.consumer
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
        "scope": "machine" if whose != "process" else "command" if id_ in own else "other",
        "resource": entity_text(key.resource),
        "consumer": entity_text(key.consumer),
        "attributes": dict(key.attributes),
    }


def remarks(lines: Iterable[tuple[str, Quantity]]) -> list[str]:
    """What is said of lines below the table: why they are missing, or no better; once for those of one reason."""
    told: dict[tuple[str, str], list[str]] = {}
    for name, known in lines:
        if known.reason:
            told.setdefault((known.quality, known.reason), []).append(name)
    return [
        f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {quality}: {reason}"
        for (quality, reason), names in told.items()
    ]


def slowed(slower: Iterable[dict[str, Any]]) -> list[str]:
    """What is said of sources that were polled less often than was asked. Takes what `Automatic.slowed` makes."""
    paces: dict[str, list[str]] = {}
    for each in slower:
        paces.setdefault(Quantity(**each["interval"]).text(), []).append(each["source"])
    return [
        f"polled every {pace} only, which their contracts permit: {', '.join(names)}" for pace, names in paces.items()
    ]


class Summary(NamedTuple):
    """The machine's metrics as a table has them."""

    lines: tuple[tuple[str, Quantity], ...]
    """For each metric and its attributes what it came to: summed over resources where that may be done."""
    zeros: int
    """How many lines are left out as nothing came in the whole time."""


def summary(metrics: Iterable[dict[str, Any]]) -> Summary:
    """What a table shows of the machine beside its energy. Takes what `to_json` makes."""
    of_machine = (m for m in metrics if m["scope"] == "machine")
    machine = [m for m in of_machine if m["metric"] not in _APART or m["consumer"] != MACHINE[0]]
    kinds: dict[str, set[str]] = {}
    for metric in machine:
        kinds.setdefault(metric["metric"], set()).add(metric["resource"].partition("/")[0])
    groups: dict[str, list[dict[str, Any]]] = {}
    for metric in machine:
        words = [metric["metric"]]
        apart = not metric["additive"] or metric["unit"] == _POWER
        if apart and metric["resource"] != MACHINE[0]:
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
        worst = max((quantity.quality for quantity in known), key=QUALITIES.index) if gap is None else ""
        whole = Quantity(sum(quantity.value or 0 for quantity in known), known[0].unit, worst)
        if gap is not None or whole.value or group[0]["statistic"] != "sum":
            lines.append((name, gap or whole))
    return Summary(tuple(lines), len(groups) - len(lines))
