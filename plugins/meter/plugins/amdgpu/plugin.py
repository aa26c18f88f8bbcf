"""The source `amdgpu`."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from meter.core.plugin import Missing, Retry, Source
from meter.core.sysfs import Attributes
from meter.plugins.amdgpu.card import CLASS, GIVES, Card, found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meter.core.plugin import SourceContext
    from meter.core.readings import Columns, Readings

_CARD: Final = re.compile(r"card[0-9]+")
_ENERGY: Final = "hw.energy"


class AmdGpu(Source):
    """Energy, power, utilization, memory, temperatures, voltages, fans and clocks of AMD GPUs.

    Emits for each GPU, by its PCI address: `hw.energy` (J, f64, delta), from a counter (measured) or from its power, by
    trapezoids (derived, with the reason); `hw.power` and `hw.power.average` (W); `hw.gpu.utilization` and
    `hw.gpu.memory.busy` (1); `hw.gpu.memory.usage`, `.limit`, `.shared.usage` and `.shared.limit` (By);
    `hw.temperature` (Cel), `hw.voltage` (V), `hw.fan.speed` ({revolution}/min) and `hw.gpu.speed` (Hz), as far as the
    driver has a file for them; `hw.status`.

    What cannot be read is missing with the reason, and so is all of a GPU that sleeps, but its memory: it would wake.
    Nothing of one GPU touches another. One that is removed ends its series, but `hw.status`, which says so, and
    `hw.energy`, which is missing until it is back: a sum over GPUs would be too small without a sign.

    Rows: one of about 15 columns for each GPU, one of energies.
    Raises: Retry, the GPUs could not be listed this once.
    Source: Linux, Documentation/gpu/amdgpu/thermal.rst and driver-misc.rst, Documentation/hwmon/sysfs-interface.rst,
        Documentation/ABI/testing/sysfs-devices-power; `metrics` for the table of the driver.
    """

    def start(self, context: SourceContext) -> None:
        """Find the GPUs.

        Raises: OSError, they cannot be listed; LookupError, there is none, or none of `gpus`.
        """
        self._context = context
        self._files = Attributes(context)
        self._cards: dict[str, Card] = {}
        self._names: list[str] = []
        self._columns: Columns | None = None
        self._idle: frozenset[str] = frozenset()
        try:
            self._find(_listed(context))
            self._refuse_nothing()
        except BaseException:
            self._files.close()
            raise

    def poll(self, out: Readings) -> None:
        """Read each GPU once."""
        try:
            names = _listed(self._context)
        except OSError as error:
            raise Retry(f"{CLASS}: {error.strerror}") from error
        others = names != self._names
        if others:
            self._find(names)
        changed = [card.read() for card in self._cards.values()]
        if self._columns is None or others or any(changed):
            specs = [spec for card in self._cards.values() for spec in card.specs()]
            self._columns = out.columns(specs)
            self._idle = GIVES - {spec.metric for spec in specs}
        out.row(self._columns, [cell for card in self._cards.values() for cell in card.cells()])
        self._give_energies(out)
        if self._idle:
            out.nothing(*self._idle)
        self._files.sweep()

    def stop(self) -> None:
        """Close the files."""
        self._files.close()

    def _give_energies(self, out: Readings) -> None:
        """J of each GPU; those that begin at one time are a row."""
        rows: dict[int, tuple[list[Card], list[float | Missing]]] = {}
        for card in self._cards.values():
            delta = card.energy(out.ts, out.since)
            if delta is not None:
                givers, cells = rows.setdefault(delta[1], ([], []))
                givers.append(card)
                cells.append(delta[0])
        if not any(card.has_energy for card in self._cards.values()):
            out.nothing(_ENERGY)
        for since, (givers, cells) in rows.items():
            out.row(out.columns([card.energy_spec for card in givers]), cells, since=since)

    def _find(self, names: list[str]) -> None:
        """Take the GPUs that are new, and note those that have gone."""
        for card in self._cards.values():
            if card.name not in names:
                card.lose()
        there = {card.name for card in self._cards.values() if card.fault is None}
        for name, about in found(self._files, [name for name in names if name not in there]):
            if any(_fits(name, about, pattern) for pattern in self.config["gpus"]):
                self._cards[about["PCI_SLOT_NAME"]] = Card(self._files, name, about)
        self._names = names

    def _refuse_nothing(self) -> None:
        """Raises: LookupError, there are no GPUs, or one that is named is not there."""
        there = list(found(self._files, self._names))
        if not there:
            raise LookupError(f"the driver amdgpu has no GPU in {CLASS}")
        for pattern in self.config["gpus"]:
            if not any(_fits(name, about, pattern) for name, about in there):
                known = ", ".join(f"{about['PCI_SLOT_NAME']} ({name})" for name, about in there)
                raise LookupError(f"no GPU fits `{pattern}` of the option `gpus`; there are {known}")


def _listed(context: SourceContext) -> list[str]:
    """The cards, in the order of their numbers; the folder has their connectors, too."""
    found = [name for name in context.listdir(CLASS) if _CARD.fullmatch(name)]
    return sorted(found, key=lambda name: (len(name), name))


def _fits(name: str, about: Mapping[str, str], pattern: str) -> bool:
    return fnmatchcase(about["PCI_SLOT_NAME"], pattern) or fnmatchcase(name, pattern)
