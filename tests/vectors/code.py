"""The code of a case's plugin, as Python that is loaded.

A plugin of Elektra is a table of functions; `get` is what makes it one, which here is the class of a filter. `set` is
the function that looks at the configuration, and any other one is a function of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

FUNCTIONS: Final = ("get", "set", "commit", "error")
"""What a plugin has where a case does not say."""

_EXPORTS: Final = {"get": "plugin", "set": "check_config"}
_OBJECTS: Final = {"get": "Plugin", "set": "check_config"}
_TEXTS: Final = {
    "get": "class Plugin(Filter):\n    def run(self, selections, block):\n        return ()\n",
    "set": "def check_config(config):\n    return None\n",
}


def exports(given: Mapping[str, Any]) -> dict[str, str]:
    """What a plugin exports: for each function the one that is exported as it."""
    stated = given.get("exports", given.get("functions", FUNCTIONS))
    return dict(stated) if isinstance(stated, Mapping) else {name: name for name in stated}


def clause(exported: Mapping[str, str]) -> dict[str, str]:
    """The clause `exports` of its contract."""
    return {_EXPORTS.get(name, name): f"plugin:{_OBJECTS.get(of, of)}" for name, of in exported.items()}


def module(functions: Sequence[str], exported: Iterable[str]) -> str:
    """A module with these functions; a function of the table that is exported without being there is `None`."""
    texts = ["from meter.core.plugin import Filter, Source\n"]
    texts += [_TEXTS.get(name, f"def {name}():\n    return None\n") for name in functions]
    for name in sorted(set(exported) - set(functions)):
        known = name in _OBJECTS or name in FUNCTIONS
        other = f"class {name}(Source):\n    def poll(self, out):\n        out.nothing()\n"
        texts.append(f"{_OBJECTS.get(name, name)} = None\n" if known else other)
    return "\n\n".join(texts)
