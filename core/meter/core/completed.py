"""Which values of a plan a plugin's own code has completed, as its `origins` say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ORIGIN: Final = "check_config"


def mark(plan: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> None:
    """Note in a plan which values were completed."""
    for plugin in plan["plugins"]:
        for name in values.get(plugin["instance"], ()):
            plugin["origins"][name] = ORIGIN


def remembered(plan: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Note in a plan of a request which of its values were completed when the plan before it was made."""
    known = {plugin["instance"]: plugin for plugin in before["plugins"]}
    for plugin in plan["plugins"]:
        old = known.get(plugin["instance"], {"origins": {}})
        for name, origin in plugin["origins"].items():
            if (
                origin == "asked"
                and old["origins"].get(name) == ORIGIN
                and old["config"][name] == plugin["config"][name]
            ):
                plugin["origins"][name] = ORIGIN
