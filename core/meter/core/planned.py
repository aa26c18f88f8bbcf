"""The plan of a backend as a value of Python: what a check gives to a script, and what is mounted and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLLECT: Final = "collect"
"""The output that keeps batches in memory; `Running.take` and `Running.batches` hand them out."""


class Planned(NamedTuple):
    """A metric at some place of a chain."""

    metric: str
    unit: str
    type: str
    kind: str


class Plan:
    """A backend that was checked: `str(plan)` is its chain in one line.

    `document` is what the engine runs and `meter.lock` keeps, a JSON value; `warnings` are diagnostics in the form of
    `meter check --format json`.
    """

    __slots__ = ("document", "warnings")

    def __init__(self, document: Mapping[str, Any], warnings: Sequence[Mapping[str, Any]] = ()) -> None:
        self.document: Final = dict(document)
        self.warnings: Final = tuple(warnings)

    @property
    def mountpoint(self) -> str:
        """Where it is mounted."""
        return str(self.document["mountpoint"])

    @property
    def order(self) -> tuple[str, ...]:
        """The instances in the order in which data passes them."""
        return tuple(self.document["order"])

    @property
    def schema(self) -> dict[str, tuple[Planned, ...]]:
        """For each output the metrics that reach it."""
        outputs = [each["instance"] for each in self.document["plugins"] if each["role"] == "output"]
        return {
            label: tuple(
                Planned(each["metric"], each["unit"], each["type"], each["kind"])
                for each in self.document["schema"][label]
            )
            for label in outputs
        }

    @property
    def chain(self) -> str:
        """The instances of each placement, `->` between placements."""
        from meter.contracts.hops import chain  # only a text needs it

        return chain(self.document)

    def __str__(self) -> str:
        return f"{self.mountpoint}: {self.chain}"

    def __repr__(self) -> str:
        return f"<Plan of {self}>"
