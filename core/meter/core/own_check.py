"""What a plugin's own code says of its configuration: `check_config`, which refuses, leaves or completes it.

Light: the engine asks each plugin that exports it before it is made. Whoever mounts asks those whose code is trusted,
and writes down what they complete (`completing`); the `origins` of a plan remember which values that are.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from meter.core.loading import load_function

EXPORT: Final = "check_config"
"""Under this name a plugin exports it, and a plan says it of values that it has completed."""


class ConfigRefused(Exception):  # noqa: N818  (the word of E-CONFIG-REFUSED)
    """A plugin refuses its configuration; `why` is the text of its ValueError."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why: Final = why


class ConfigMismatch(Exception):  # noqa: N818  (the word of E-EXPORT-MISMATCH)
    """What a plugin gave is no configuration of it: `variant` of the code, and its facts."""

    def __init__(self, variant: str, /, **facts: str) -> None:
        super().__init__(variant, facts)
        self.variant: Final = variant
        self.facts: Final = facts


def ask(entry: Mapping[str, Any], contract: str) -> dict[str, Any]:
    """The options that a plugin wants to have otherwise, as it gave them; empty where it leaves all as it is.

    It sees its configuration as the plan has it: references in the place of secrets, paths as they were written.

    Args: `entry`, the plugin in a plan; `contract`, where its contract lies.
    Raises: ConfigRefused; ConfigMismatch; ExportMissing; ExportMismatch; whatever else its code raises.
    """
    function = load_function(entry["plugin"], contract, entry["exports"][EXPORT], 1)
    config = entry["config"]
    try:
        answer = function(copy.deepcopy(config))
    except ValueError as error:
        raise ConfigRefused(" ".join(str(error).split()) or type(error).__name__) from error
    if answer is None:
        return {}
    if not isinstance(answer, Mapping):
        raise ConfigMismatch("shape", got=type(answer).__name__)
    for name in answer:
        if name not in config:
            raise ConfigMismatch("unknown", option=str(name))
    return {name: value for name, value in answer.items() if not _same(value, config[name])}


def _same(one: Any, other: Any) -> bool:
    """Whether two values of an option are one; a tuple is a list, and neither true nor false is a number."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def mark(plan: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> None:
    """Note in a plan which values were completed."""
    for plugin in plan["plugins"]:
        for name in values.get(plugin["instance"], ()):
            plugin["origins"][name] = EXPORT


def remembered(plan: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Note in a plan of a request which of its values were completed when the plan before it was made."""
    known = {plugin["instance"]: plugin for plugin in before["plugins"]}
    for plugin in plan["plugins"]:
        old = known.get(plugin["instance"], {"origins": {}})
        for name, origin in plugin["origins"].items():
            if (
                origin == "asked"
                and old["origins"].get(name) == EXPORT
                and old["config"][name] == plugin["config"][name]
            ):
                plugin["origins"][name] = EXPORT
