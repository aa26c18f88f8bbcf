"""Loading: from the place of a contract to the object that it exports.

Only what is mounted is imported, and only here; what is exported has to be what the placement demands. Built-in plugins
are modules of `meter.plugins`; every other plugin gets a module name of its own, so that two plugins with a `plugin.py`
never meet.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final

from meter.contracts.digests import digest
from meter.core.plugin import Filter, Output, Plugin, Recover, Source

if TYPE_CHECKING:
    from collections.abc import Callable

_BASES: Final[dict[str, tuple[type[Plugin], tuple[str, ...]]]] = {
    "source": (Source, ("poll",)),
    "filter": (Filter, ("run",)),
    "output": (Output, ("write",)),
    "recover": (Recover, ("put", "take", "acknowledge", "rows")),
}
"""For each role the class that says what is called, and the methods that a plugin has to write itself."""


class ExportFault(Exception):  # noqa: N818  (a fact about a plugin, named by its codes)
    """What a contract exports is not there, or is not what it has to be.

    `code` is that of the diagnostic; `what` names a section of CONTRACT.ini, whose family is `family`, and `why` is its
    text.
    """

    code: ClassVar[str]
    family: ClassVar[str]

    def __init__(self, plugin: str, export: str, what: str, /, **facts: str) -> None:
        super().__init__(plugin, export, what, facts)
        self.plugin = plugin
        self.export = export
        self.what = what
        self.facts = facts

    @property
    def why(self) -> str:
        """What is wrong, as half a sentence."""
        from meter.contracts.language import language  # the contract language; only a fault needs its words

        return language().phrase(self.family, self.what, **self.facts)

    def __str__(self) -> str:
        from meter.contracts.language import fill, language  # as in why

        message = language().codes[self.code].text("message")
        return fill(message, {"plugin": self.plugin, "export": self.export, "why": self.why})


class ExportMissing(ExportFault):
    """What a contract exports cannot be had."""

    code = "E-EXPORT-MISSING"
    family = "export"


class ExportMismatch(ExportFault):
    """What a contract exports is there, and is not what the placement demands."""

    code = "E-EXPORT-MISMATCH"
    family = "mismatch"


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


def load_class(plugin: str, contract: str, export: str, role: str) -> type[Any]:
    """The class that a contract exports as `plugin`, for a role in the chain.

    Raises: ExportMissing, ExportMismatch; whatever the plugin's own code raises on import.
    """
    made = load(plugin, contract, export)
    if not isinstance(made, type):
        raise ExportMismatch(plugin, export, "class", got=_told(made))
    base, own = _BASES[role]
    others = [name for name, (other, _) in _BASES.items() if name != role and issubclass(made, other)]
    if others and not issubclass(made, base):
        raise ExportMismatch(plugin, export, "role", got=others[0], role=role)
    calls = [*own, *(name for name in dir(base) if not name.startswith("_") and callable(getattr(base, name)))]
    for name in calls:
        found = getattr(made, name, None)
        if not callable(found) or (name in own and found is getattr(base, name, None)):
            raise ExportMismatch(plugin, export, "method", method=name, role=role)
    return made


def load_function(plugin: str, contract: str, export: str, arguments: int | None = None) -> Callable[..., Any]:
    """A function that a contract exports, to be called with some arguments where their number is given.

    Raises: as `load_class`.
    """
    made = load(plugin, contract, export)
    if not callable(made) or (arguments is not None and isinstance(made, type)):
        raise ExportMismatch(plugin, export, "function", got=_told(made))
    if arguments is not None and not _takes(made, arguments):
        raise ExportMismatch(plugin, export, "arguments", count=str(arguments))
    return made  # type: ignore[no-any-return]  # it is callable, and no more is known of it


def _takes(made: Callable[..., Any], arguments: int) -> bool:
    """Whether something can be called with so many arguments; what does not say it is believed."""
    import inspect  # tokenize and ast behind it; only who calls a plugin's function before the start needs it

    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*[None] * arguments)
    except TypeError:
        return False
    return True


def _told(made: object) -> str:
    """What something is, in a word."""
    return "None" if made is None else type(made).__name__


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
