"""The filter `carbon`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.batch import Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context

TABLE: Final = Path(__file__).parent / "intensity.toml"


class Carbon(Filter):
    """Energy times the carbon intensity of the grid.

    Gives `${metric}.carbon` (g, f64, delta) for each series: grams of CO2 equivalent, always `estimated`. The contract
    hands energy over in kilowatt-hours and refuses what is none. Which series are parts of others stays known, so that
    no sum counts them twice.

    Block: the rows of the input, f64. What is missing stays missing with its reason.
    Source: intensity.toml, beside this file.
    """

    by_row = ("delta",)

    def start(self, context: Context) -> None:
        """Look the intensity up."""
        del context
        self._intensity: float = self.config["intensity"] or intensity(self.config["country"])

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The grams of one block."""
        if not block.rows:
            return
        for selection in selections:
            grams = selection.read(block).astype("f8", copy=False) * self._intensity
            missing, reasons = selection.missing(block), selection.reasons(block)
            yield selection.give(grams, ts=block.ts, since=block.since, missing=missing, reasons=reasons)


def intensity(country: str) -> float:
    """Grams of CO2 equivalent for each kilowatt-hour of a country in the table.

    Raises: KeyError, the country is not there, which the contract rules out.
    """
    return float(tomllib.loads(TABLE.read_text("utf-8"))[country]["intensity"])
