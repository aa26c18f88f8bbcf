"""The measuring engine and the interface that plugins are written against.

Names are imported on first use: `from meter.core import Source` brings neither numpy nor the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meter.core.batch import Batch, Block
    from meter.core.bind import Selection
    from meter.core.plugin import Context, Control, Filter, Gone, Missing, Output, Retry, Source, SourceContext
    from meter.core.readings import Readings

__all__ = [
    "Batch",
    "Block",
    "Context",
    "Control",
    "Filter",
    "Gone",
    "Missing",
    "Output",
    "Readings",
    "Retry",
    "Selection",
    "Source",
    "SourceContext",
]

_WHERE = {"Batch": "batch", "Block": "batch", "Readings": "readings", "Selection": "bind"}


def __getattr__(name: str) -> Any:
    """Import the module that has `name`; everything not named in `_WHERE` lives in `plugin`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # keeps numpy out until a block is needed

    return getattr(import_module(f"meter.core.{_WHERE.get(name, 'plugin')}"), name)
