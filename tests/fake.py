"""A source plugin mounted without an engine, over the real /proc or a made one."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import meter.plugins.cpu
from meter.contracts.variants import Variant
from meter.core.readings import BoundSourceContext, Declared, Readings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meter.core.plugin import Source
    from meter.core.readings import Row

PLUGINS = Path(meter.plugins.cpu.__file__).parent.parent
SECOND = 1_000_000_000


class Cell(NamedTuple):
    """A value and the span that it stands for."""

    value: Any
    since: int
    ts: int


def declared(name: str) -> Declared:
    """What the contract of a built-in source lets it emit; reads what a test needs of a contract and no more."""
    contract = tomllib.loads((PLUGINS / name / "contract.toml").read_text())
    shapes = [variant(shape) for shape in contract["provides"]["metrics"]]
    return Declared(name, shapes, qualities=("measured", "derived", "estimated", "missing"))


def variant(shape: Mapping[str, Any]) -> Variant:
    """One table of `provides.metrics` without placeholders and guards."""
    attributes = shape.get("attributes", {})
    return Variant(
        metric=shape["name"],
        type=shape["type"],
        unit=shape["unit"],
        kind=shape["kind"],
        additive=shape.get("additive", shape["kind"] != "gauge"),
        resource=frozenset(shape["resource"]),
        consumer=frozenset(shape.get("consumer", ["machine"])),
        attributes=tuple(
            (name, None if isinstance(values, str) else frozenset(values))
            for name, values in sorted(attributes.items())
        ),
        quality=shape.get("quality", "measured"),
        origin=shape.get("origin", ""),
    )


class Mounted:
    """A started source with its readings; polled at the times that a test says, in nanoseconds."""

    def __init__(self, name: str, config: Mapping[str, Any] | None = None, sysroot: Path | None = None) -> None:
        contract = tomllib.loads((PLUGINS / name / "contract.toml").read_text())
        module, _, attribute = contract["exports"]["plugin"].partition(":")
        defaults = {option: clause["default"] for option, clause in contract["config"].items() if "default" in clause}
        plugin = getattr(import_module(f"meter.plugins.{name}.{module}"), attribute)
        self.source: Source = plugin({**defaults, **(config or {})})
        self.readings = Readings(declared(name))
        self.source.start(BoundSourceContext(declared(name), sysroot))

    def rows(self, ts: int) -> list[Row]:
        """What one poll gives."""
        self.readings.begin(ts)
        self.source.poll(self.readings)
        return self.readings.take()

    def cells(self, ts: int) -> dict[str, Cell]:
        """What one poll gives, by the canonical names of the keys."""
        return {
            key.name: Cell(value, row.since, row.ts)
            for row in self.rows(ts)
            for key, value in zip(row.columns.keys, row.values, strict=True)
        }
