"""The measuring engine and the interface that plugins are written against.

Names are imported on first use: `from meter.core import Source` brings neither numpy nor the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meter.contracts.diagnostics import ContractError, Diagnostic
    from meter.core.arrow import from_arrow, to_arrow
    from meter.core.backend import Backend
    from meter.core.batch import Batch, Block
    from meter.core.bind import Selection
    from meter.core.measuring import Measured, Measurement, measure
    from meter.core.mounted import Mounted
    from meter.core.planned import Plan
    from meter.core.plugin import Context, Control, Filter, Gone, Missing, Output, Retry, Source, SourceContext
    from meter.core.quantity import Quantity
    from meter.core.readings import Readings
    from meter.core.running import Reading, RunError, Running, RunWarning

__all__ = [
    "Backend",
    "Batch",
    "Block",
    "Context",
    "ContractError",
    "Control",
    "Diagnostic",
    "Filter",
    "Gone",
    "Measured",
    "Measurement",
    "Missing",
    "Mounted",
    "Output",
    "Plan",
    "Quantity",
    "Reading",
    "Readings",
    "Retry",
    "RunError",
    "RunWarning",
    "Running",
    "Selection",
    "Source",
    "SourceContext",
    "from_arrow",
    "measure",
    "to_arrow",
]

_WHERE = {
    "meter.contracts.diagnostics": ("ContractError", "Diagnostic"),
    "meter.core.arrow": ("from_arrow", "to_arrow"),
    "meter.core.backend": ("Backend",),
    "meter.core.batch": ("Batch", "Block"),
    "meter.core.bind": ("Selection",),
    "meter.core.measuring": ("Measured", "Measurement", "measure"),
    "meter.core.mounted": ("Mounted",),
    "meter.core.planned": ("Plan",),
    "meter.core.quantity": ("Quantity",),
    "meter.core.readings": ("Readings",),
    "meter.core.running": ("Reading", "RunError", "RunWarning", "Running"),
}


def __getattr__(name: str) -> Any:
    """Import the module that has `name`; everything not named in `_WHERE` lives in `plugin`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # keeps numpy out until a block is needed

    where = next((module for module, names in _WHERE.items() if name in names), "meter.core.plugin")
    return getattr(import_module(where), name)
