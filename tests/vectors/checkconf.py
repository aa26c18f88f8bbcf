"""Plugins that look at their own configuration when they are mounted.

Code runs then only where it is installed, so the plugins of a case are a distribution on the path. What a case gives to
the backend as a whole is configuration of the output, which is none of the plugin's.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import tomlkit

from meter.contracts.diagnostics import ContractError
from meter.core.mounting import Mounting
from tests.vectors import builder, code, plugins

FUNCTIONS: Final = {
    "lookup": "    if not config[{0!r}]:\n        raise ValueError({0!r} + ' is missing')\n",
    "append": "    return {{{0!r}: 'test'}}\n",
    "delete": "    return dict.fromkeys(config, '')\n",
}
"""What the functions of the cases do, each in its way with an option."""
OPTIONS: Final = ("a", "b")


def run(case: Mapping[str, Any]) -> dict[str, Any]:
    """What mounting the plugins says."""
    steps: Sequence[Sequence[str]] = case["steps"]
    words = {step[0]: step[1] for step in steps}
    shared = builder.options(["backendconf", "", words.get("backendconf", "")])
    asked = [step for step in steps if step[0] == "add"]
    with tempfile.TemporaryDirectory() as site, tempfile.TemporaryDirectory() as folder, installed(site):
        write(site, case, words["checkconf"], shared)
        file = Path(folder) / "meter.toml"
        line = [*words_of(plugins.SOURCE, {})]
        for step in asked:
            line += words_of(step[1], builder.options(step))
        line += words_of(plugins.OUTPUT, shared)
        try:
            ready = Mounting(str(file)).mount("/m", line, ["meter", "mount", "/m"])
        except ContractError as error:
            return {"error": ", ".join(dict.fromkeys(each.code for each in error.diagnostics if each.level == "error"))}
        config = tomllib.loads(file.read_text(encoding="utf-8"))["mounts"]["/m"].get("config", {})
        found = builder.placed(ready.plan)
        return {**found, "keep_backend_conf": config.get(plugins.OUTPUT, {}) == shared}


def words_of(plugin: str, given: Mapping[str, str]) -> list[str]:
    """An instance as the words of a command line."""
    return [plugin, *(f"{name}={value}" for name, value in given.items())]


def write(site: str, case: Mapping[str, Any], function: str, shared: Mapping[str, str]) -> None:
    """The plugins of a case as an installed distribution; each looks at its configuration in the same way."""
    name, _, option = function.partition("_")
    text = code.module(["get"], ["get"]) + "\n\ndef check_config(config):\n" + FUNCTIONS[name].format(option)
    exports = code.clause({"get": "get", "set": "set"})
    files = {
        plugin: {
            "contract": tomlkit.dumps({**plugins.document(plugin, given, OPTIONS), "exports": exports}),
            "code": text,
        }
        for plugin, given in case["given"].items()
    }
    files |= {name: {"contract": text} for name, text in plugins.ends(shared=shared).items()}
    plugins.write(site, files)
    about = Path(site) / "case-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: case\nVersion: 1.0\n", encoding="utf-8")
    entries = "\n".join(f"{name} = {name}" for name in files)
    (about / "entry_points.txt").write_text(f"[meter.plugins]\n{entries}\n", encoding="utf-8")


@contextmanager
def installed(site: str) -> Iterator[None]:
    """Have a folder on the path, and forget what was loaded of it."""
    before = set(sys.modules)
    sys.path.insert(0, site)
    try:
        yield
    finally:
        sys.path.remove(site)
        for name in set(sys.modules) - before:
            if name.startswith("meter_plugin_"):
                del sys.modules[name]
