"""The filter `attribution`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.core.computing import Computing

if TYPE_CHECKING:
    from meter.core.keys import Entity, Key
    from meter.core.plugin import Context

_PACKAGE = "/sys/devices/system/cpu/cpu{}/topology/physical_package_id"


class Attribution(Computing):
    """New metrics of formulas over others, each under the name that it has in the configuration.

    The check infers unit, kind and series of the results and refuses what would count something twice. Series join on
    equal resource, consumer and attributes, and with what they are part of: a core with its package, everything with
    the machine. The rows of the result are those of the slowest delta; other deltas are split by overlap, gauges
    interpolated. A result with a missing part, a division by zero or a share beyond 1 is missing, and says why.

    Block: f64, the rows of the slowest delta, a block for series with equal spans.
    Source: tests/data/joins.json.
    """

    def start(self, context: Context) -> None:
        """Begin without a past."""
        super().start(context)
        self._context = context

    def owner(self, key: Key, family: str, kinds: tuple[str, ...]) -> Entity | None:
        """The package of a core, as the kernel says; of nothing else is known what it is part of."""
        if family != "resource" or key.resource[0] != "cpu_core" or "cpu_package" not in kinds:
            return None
        try:
            with self._context.open_binary(_PACKAGE.format(key.resource[1])) as file:
                return "cpu_package", str(int(file.read()))
        except (OSError, ValueError):
            return None
