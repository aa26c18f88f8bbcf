"""Grams of carbon dioxide of the energy of a machine, where somebody asks for them: by a grid, or by an intensity.

The grams come from a filter of the chain that provides the capability `energy.carbon`; here is only what it is asked,
and what its series add up to. Light: it is imported before a measured command is spawned.
"""

from __future__ import annotations

import re
from math import fsum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core.quantity import Quantity
from meter.core.totals import ENERGY, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meter.core.energies import Domain, Energy
    from meter.core.totals import Total

CAPABILITY: Final = "energy.carbon"
"""What a filter provides that gives `${metric}.carbon` in grams for each of its option `metrics`.

Its option `country` names a grid, its option `intensity` is mass over energy, as in `g/(kW.h)`, in the place of one.
"""
OPTIONS: Final = ("country", "intensity")
GRAMS: Final = f"{ENERGY}.carbon"
"""The metric that it gives of energy."""
_AMOUNT: Final = re.compile(r"\s*([+-]?[0-9.][0-9.eE+-]*)\s*(.*?)\s*", re.DOTALL)
_OF_CARBON: Final = re.compile(r"(?<=g)\s*CO(?:2|₂)[ _-]?(?:eq?)?(?=\s*/)", re.IGNORECASE)
_HOURS: Final = re.compile(r"/\(?([A-Za-z]?W)h\)?$")


def words(asked: str) -> list[str]:
    """The options of the filter for what a person asks: `FRA`, `475g/kWh`, `0.475 kgCO2e/kWh`.

    What begins with a digit is an intensity. Its mass may say of what it is, and `/kWh` stands for `/(kW.h)`, as on
    an electricity bill; the rest has to be a unit of UCUM, where `g/kW.h` is `(g/kW).h`, which the check refuses.
    """
    found = _AMOUNT.fullmatch(asked)
    if found is None:
        return ["metrics=" + ENERGY, f"{OPTIONS[0]}={asked}"]
    unit = _HOURS.sub(r"/(\1.h)", _OF_CARBON.sub("", found[2]).replace(" ", ""))
    return ["metrics=" + ENERGY, f"{OPTIONS[1]}={found[1]} {unit}".rstrip()]


class Carbon(NamedTuple):
    """Grams of the energy of a machine, and of the parts of it (see `attributing`); `asked` is by what."""

    asked: str
    total: Quantity
    attributed: Quantity
    unattributed: Quantity

    def __str__(self) -> str:
        return str(self.total)

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return {
            "asked": self.asked,
            "total": self.total.to_json(),
            "attributed": self.attributed.to_json(),
            "unattributed": self.unattributed.to_json(),
        }


def grams(asked: str, series: Iterable[Total], energy: Energy) -> Carbon:
    """The grams of the domains that are in the total of an energy, attributed as their joules are."""
    if energy.total.value is None:
        lacking = Quantity.missing("g", "the energy of the machine is missing")
        return Carbon(asked, lacking, lacking, lacking)
    of_carbon = (total for total in series if total.key.metric.name == GRAMS)
    known_of = {(total.key.resource, total.key.attributes): quantity(total) for total in of_carbon}
    counted = [(domain, known_of.get(domain.place)) for domain in energy.domains if domain.counted]
    for domain, known in counted:
        if known is None or known.value is None:
            gap = "no filter has given its grams" if known is None else known.reason
            lacking = Quantity.missing("g", f"{domain.name}: {gap}")
            return Carbon(asked, lacking, lacking, lacking)
    total = fsum(known.value or 0 for _, known in counted if known is not None)
    whole = Quantity(total, "g", "estimated")
    if energy.attributed.value is None:
        lacking = Quantity.missing("g", energy.attributed.reason or "")
        rest = lacking if energy.unattributed.value is None else whole
        return Carbon(asked, whole, lacking, rest)
    shares = ((known.value or 0) * _share(domain) for domain, known in counted if known is not None)
    value = min(fsum(shares), total)
    attributed = Quantity(value, "g", "estimated", energy.attributed.reason)
    return Carbon(asked, whole, attributed, Quantity(total - value, "g", "estimated"))


def lines(document: dict[str, Any] | None) -> Iterator[tuple[str, Quantity]]:
    """What a table shows of the machine. Takes what `Carbon.to_json` makes; nothing where nobody asked."""
    if document is not None:
        yield "carbon", Quantity(**document["total"])


def _share(domain: Domain) -> float:
    """What part of a domain is attributed."""
    if not domain.energy.value or domain.attributed.value is None:
        return 0.0
    return domain.attributed.value / domain.energy.value
