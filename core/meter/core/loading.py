"""Loading: from the place of a contract to the object that it exports.

Only what is mounted is imported, and only here. Built-in plugins are modules of `meter.plugins`; every other plugin
gets a module name of its own, so that two plugins with a `plugin.py` never meet.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any

from meter.contracts.digests import digest


class ExportMissing(Exception):  # noqa: N818  (the word of E-EXPORT-MISSING)
    """What a contract exports cannot be had; `what` names a section [export ...] of CONTRACT.ini, `why` is its text."""

    def __init__(self, plugin: str, export: str, what: str, /, **facts: str) -> None:
        super().__init__(plugin, export, what, facts)
        self.plugin = plugin
        self.export = export
        self.what = what
        self.facts = facts

    @property
    def why(self) -> str:
        """Why it cannot be had, as half a sentence."""
        from meter.contracts.language import language  # the contract language; only a fault needs its words

        return language().phrase("export", self.what, **self.facts)

    def __str__(self) -> str:
        from meter.contracts.language import fill, language  # as in why

        message = language().codes["E-EXPORT-MISSING"].text("message")
        return fill(message, {"plugin": self.plugin, "export": self.export, "why": self.why})


def load(plugin: str, contract: str, export: str) -> Any:
    """The object `MODULE:NAME` of the plugin whose contract file is `contract`.

    Raises: ExportMissing, there is no such module or object; whatever the plugin's own code raises on import.
    """
    module_name, _, attribute = export.partition(":")
    module = _module(plugin, contract, module_name, export)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ExportMissing(plugin, export, "object", file=str(module.__file__), name=attribute) from None


def _module(plugin: str, contract: str, name: str, export: str) -> Any:
    folder, own = os.path.split(contract)
    folder = folder or "."
    stem, suffix = os.path.splitext(own)
    builtin = importlib.import_module("meter.plugins")
    parent, last = os.path.split(folder)
    if any(os.path.normpath(root) == os.path.normpath(parent) for root in builtin.__path__):
        return _imported(plugin, f"meter.plugins.{last}.{name}", export)
    place = os.path.join(folder, *name.split("."))
    file = contract if suffix == ".py" else f"{place}.py"
    if not os.path.isfile(file) and not os.path.isfile(os.path.join(place, "__init__.py")):
        raise ExportMissing(plugin, export, "file", file=file)
    # The folder is a package, so that a plugin's own modules import each other relatively.
    mark = digest(os.fsencode(os.path.realpath(folder)))[:12]
    package = f"meter_plugin_{mark}"
    if suffix == ".py":
        return _execute(f"{package}_{stem}", file, None)
    if package not in sys.modules:
        _execute(package, os.path.join(folder, "__init__.py"), [folder])
    return _imported(plugin, f"{package}.{name}", export)


def _imported(plugin: str, name: str, export: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ExportMissing(plugin, export, "module", name=name.rpartition(".")[2]) from None
        raise


def _execute(name: str, file: str, search: list[str] | None) -> Any:
    if name in sys.modules:
        return sys.modules[name]
    if search is not None and not os.path.isfile(file):
        spec = importlib.util.spec_from_loader(name, None, is_package=True)
        assert spec is not None
        spec.submodule_search_locations = search
    else:
        spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=search)
        assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        if spec.loader is not None:
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
