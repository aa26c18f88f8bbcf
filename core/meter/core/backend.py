"""Backends in Python: composed in a script, checked, and mounted.

It imports nothing heavy: only a check loads the contract language.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from meter.contracts import keynames
from meter.core import environment
from meter.core.mounted import Mounted, held, load
from meter.core.own_check import EXPORT
from meter.core.planned import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType

    from meter.contracts.catalogue import Catalogue
    from meter.contracts.check import Checked
    from meter.contracts.diagnostics import Diagnostic
    from meter.contracts.request import Request


class Place(NamedTuple):
    """A call in a Python script: its line, and where it ends; lines count from 1, columns in bytes from 0."""

    file: str
    line: int
    end_line: int | None
    end_column: int | None

    @classmethod
    def of(cls, frame: FrameType) -> Place:
        """The call that a frame is in just now."""
        code = frame.f_code
        ends = next(islice(code.co_positions(), frame.f_lasti // 2, None), (None,) * 4)
        return cls(code.co_filename, frame.f_lineno, ends[1], ends[3])


class Backend:
    """A chain of plugins, composed in Python.

    >>> backend = Backend("/host").add("cpu", interval="100ms").add("csv", path="host.csv")
    >>> print(backend.check())
    /host: cpu -> csv

    What a plugin writes or reads by a relative path lies in the folder of `file`, else in the present working folder.

    Args:
        mountpoint: its name, such as `/host`; taken as loosely as a path.
        file: a mount file, in which `mounted` records it; without one nothing is written.
        plugin_dirs: folders with further plugins, or one such folder; else those of $METER_PLUGIN_DIR.
        sysroot: read /proc and /sys below this folder; else below $METER_SYSROOT, where that is set.
        want, prefer, durability, order, recommends: as in `meter.toml`.
    """

    def __init__(
        self,
        mountpoint: str,
        *,
        file: str | os.PathLike[str] | None = None,
        plugin_dirs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        sysroot: str | os.PathLike[str] | None = None,
        want: Sequence[str] = (),
        prefer: Sequence[str] = (),
        durability: str | None = None,
        order: Sequence[Sequence[str]] = (),
        recommends: bool = True,
    ) -> None:
        self.mountpoint: Final = keynames.tidy(mountpoint)
        self._file = None if file is None else os.path.abspath(file)
        self._folder = os.getcwd() if self._file is None else os.path.dirname(self._file)
        self._plugin_dirs = [os.path.abspath(folder) for folder in environment.plugin_dirs(plugin_dirs)]
        root = environment.sysroot(sysroot)
        self._sysroot = None if root is None else os.path.abspath(root)
        self._plugins: list[str] = []
        self._config: dict[str, dict[str, Any]] = {}
        asked = {"want": want, "prefer": prefer, "durability": durability, "order": order}
        self._asked = {name: _plain("Backend", name, value) for name, value in asked.items() if value}
        if not recommends:
            self._asked["recommends"] = False
        self._made = Place.of(sys._getframe(1))  # noqa: SLF001  (the place of the call is what errors point at)
        self._added: list[tuple[str, Place]] = []
        self._optional: list[str] = []
        self._beside: list[tuple[str, Place]] = []

    def add(self, plugin: str, /, **options: Any) -> Self:
        """The same backend with one more plugin: `"cpu"`, or `"cpu#fast"` for the instance `fast` of it.

        Options are texts with their unit (`interval="100ms"`), numbers, booleans, lists, dictionaries and paths. One
        whose name is no word of Python is handed over as `**{"secret-file": "key"}`. Nothing is checked yet.

        Raises: TypeError, no option of any plugin takes a value like this.
        """
        self._plugins.append(plugin)
        self._added.append((self._configured(plugin, options), Place.of(sys._getframe(1))))  # noqa: SLF001  (as above)
        return self

    def optional(self, plugin: str, /, **options: Any) -> Self:
        """As `add`, for a plugin that is left out, with a warning, where the host cannot carry it.

        Raises: TypeError, as `add`.
        """
        self._optional.append(plugin)
        self._beside.append((self._configured(plugin, options), Place.of(sys._getframe(1))))  # noqa: SLF001  (as above)
        return self

    def _configured(self, plugin: str, options: Mapping[str, Any]) -> str:
        """Take in the options of a plugin; its label."""
        label = plugin.partition("#")[2] or plugin.partition("#")[0]
        given = self._config.setdefault(label, {})
        given.update({name: _plain(plugin, name, value) for name, value in options.items()})
        return label

    def check(self, *, assume: bool = False) -> Plan:
        """The plan of this backend. Runs no plugin, writes nothing.

        Args: `assume` takes for granted what is needed of the host: for a check where it will not run.

        Raises: ContractError; its `diagnostics` point into the script.
        """
        checked = self._checked(assume=assume)[0]
        return Plan(checked.require().document, [diagnostic.to_json() for diagnostic in checked.diagnostics])

    def mounted(self) -> Mounted:
        """This backend, ready to run. With a `file` it is recorded there, as `meter mount` does.

        What is recorded already with the same request stays as it is, so that a script can be run again.

        Raises: ContractError; nothing was written then. E-MOUNT-TAKEN, the file has another backend of this name.
        """
        if self._file is None:
            checked, catalogue = self._checked(complete=True)
            from meter.core.lock_text import paths_of  # as in _checked

            shown = [diagnostic.to_json() for diagnostic in checked.diagnostics]
            plan = Plan(checked.require().document, shown)
            return Mounted(plan, paths_of(checked, catalogue), self._folder, self._sysroot)
        from meter.core.mounting import Mounting

        mounts = Mounting(self._file, plugin_dirs=self._plugin_dirs, sysroot=self._sysroot)
        request = self._request(lambda rest: mounts.check(rest, mounts.catalogue()[0])[0])
        ready = mounts.record_request(request, self._body())
        shown = [diagnostic.to_json() for diagnostic in ready.diagnostics]
        return Mounted(Plan(ready.plan, shown), ready.contracts, self._folder, self._sysroot)

    @classmethod
    def load(
        cls,
        mountpoint: str,
        *,
        file: str | os.PathLike[str] | None = None,
        plugin_dirs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        sysroot: str | os.PathLike[str] | None = None,
        locked: bool = False,
    ) -> Mounted:
        """A backend of a mount file, ready to run: `meter run MOUNTPOINT` does the same.

        Args: `file` is found as on the command line where it is not given: $METER_FILE, ./meter.toml, then the user's
            configuration folder. `plugin_dirs` and `sysroot` are as in `Backend`. With `locked` only what the lock
            holds is run.

        Raises: ContractError.
        """
        path = environment.mount_file(file)
        root, folders = environment.sysroot(sysroot), environment.plugin_dirs(plugin_dirs)
        backends = held(path, [mountpoint], sysroot=root)
        if backends is None:
            from meter.core.script import Script  # the contract language, which `held` does without

            spans = [Script(Place.of(sys._getframe(1)), ()).key("mounts", mountpoint)]  # noqa: SLF001  (as in Backend)
            backends = load(path, [mountpoint], plugin_dirs=folders, sysroot=root, locked=locked, spans=spans)
        return backends[0]

    def __repr__(self) -> str:
        return f"<Backend {self.mountpoint}: {', '.join(self._plugins) or 'empty'}>"

    def _body(self) -> dict[str, Any]:
        """The table that stands for it in a mount file."""
        config = {label: dict(given) for label, given in self._config.items() if given}
        optional = {"optional": list(self._optional)} if self._optional else {}
        return {"plugins": list(self._plugins), **optional, **self._asked, **({"config": config} if config else {})}

    def _request(self, check: Callable[[Request], Checked]) -> Request:
        """The request.

        Args: `check` says what else is wrong with one of which some words are none.
        Raises: ContractError, a name or a word is none, or a folder of plugins is not there.
        """
        from meter.contracts.diagnostics import ContractError, Diagnostic  # as in _checked
        from meter.contracts.mount_tables import from_document, remains
        from meter.core.moment import all_wrong
        from meter.core.script import Script

        script = Script(self._made, self._added, self._beside)
        document = {"mounts": {self.mountpoint: self._body()}}
        requests, found = from_document(document, script)
        spans = (script.value("mounts", self.mountpoint, "plugin_dirs"),)
        lacking = [folder for folder in self._plugin_dirs if not os.path.isdir(folder)]
        found += [
            Diagnostic(code="E-FILE", variant="no-plugin-folder", facts={"path": folder}, spans=spans)
            for folder in lacking
        ]
        if lacking:  # whether a plugin is there is not known then
            raise ContractError(found)
        if self.mountpoint not in requests:
            raise ContractError(all_wrong(found, remains(document, script).get(self.mountpoint), check))
        return requests[self.mountpoint]

    def _checked(self, *, assume: bool = False, complete: bool = False) -> tuple[Checked, Catalogue]:
        """What the check says, which is a plan, and what it knew of.

        Args: with `complete` the own code of trusted plugins may complete their configuration, as `meter mount` does.
        Raises: ContractError.
        """
        from meter.contracts.check import check  # the contract language, which running a valid lock does without
        from meter.contracts.diagnostics import ContractError
        from meter.contracts.host import Assumed
        from meter.core.discovery import discover
        from meter.core.host import Beside, Probe

        probe = Probe(self._folder, self._sysroot)
        host = Beside(Assumed(), probe) if assume else probe

        def known() -> tuple[Catalogue, tuple[Diagnostic, ...]]:
            if self._file is None:
                return discover(self._plugin_dirs)
            from meter.core.mounts import Mounts  # as above

            return Mounts(self._file, plugin_dirs=self._plugin_dirs).catalogue()

        request = self._request(lambda rest: check(rest, known()[0], host))
        catalogue, problems = known()
        checked = check(request, catalogue, host)
        if checked.plan is None or problems:
            raise ContractError([*problems, *checked.diagnostics])
        if complete and any(EXPORT in plugin["exports"] for plugin in checked.plan.document["plugins"]):
            from meter.core import completing  # the engine, which a check does without

            checked = completing.complete(
                request, catalogue, checked, lambda request: check(request, catalogue, host)
            ).checked
        return checked, catalogue


def _plain(plugin: str, name: str, value: Any) -> Any:
    """A value of Python as TOML has it.

    Raises: TypeError, TOML has nothing like it.
    """
    if isinstance(value, os.PathLike):
        return _plain(plugin, name, os.fspath(value))
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(plugin, name, each) for each in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(plugin, name, each) for key, each in value.items()}
    kinds = "a text, a number, a boolean, a list, a dictionary with texts as keys, or a path"
    hint = 'times and sizes are texts with their unit, such as "100ms"'
    raise TypeError(f"`{name}` of `{plugin}` is a {type(value).__name__}; give {kinds}; {hint}")
