"""A number with what has to be said about it: unit, quality, and why there is none.

`Missing` is the last of these alone, in the place of a value. Light: it is used beside a measured program.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Missing:
    """The value of a cell that could not be read, with the reason; never 0."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"Missing({self.reason!r})"


class Quantity(NamedTuple):
    """A value in a unit of UCUM. `quality` is `measured`, `derived`, `estimated` or `missing`.

    A missing one has the value None and a `reason`. `float(quantity)` is the value, and an error where there is none.
    """

    value: float | None
    unit: str
    quality: str = "measured"
    reason: str | None = None

    @classmethod
    def missing(cls, unit: str, reason: str) -> Quantity:
        """A quantity without a value."""
        return cls(None, unit, "missing", reason)

    def to_json(self) -> dict[str, Any]:
        """As a JSON value: `value`, `unit`, `quality`, `reason`."""
        return self._asdict()

    def text(self) -> str:
        """The value with its unit, three digits that matter: `1.23 ms`, `1.5 MiB`, `440 J`; `-` where it is missing."""
        from meter.core.shown import quantity  # regular expressions and Unicode tables; only a text needs them

        return quantity(self.value, self.unit)

    def __str__(self) -> str:
        if self.value is None:
            return f"missing ({self.reason})"
        return self.text() if self.quality == "measured" else f"{self.text()} ({self.quality})"

    def __float__(self) -> float:
        if self.value is None:
            raise ValueError(f"there is no value: {self.reason}")
        return float(self.value)
