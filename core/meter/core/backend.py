"""Backends in Python: composed in a script, or read from a mount file; checked, and run.

The command line does the same through this module. It imports nothing heavy: a mounted backend whose lock holds is run
without the contract language.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from meter.contracts import keynames
from meter.core import environment, lock
from meter.core.own_check import EXPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType, TracebackType

    from meter.contracts.catalogue import Catalogue
    from meter.contracts.check import Checked
    from meter.contracts.diagnostics import Diagnostic
    from meter.contracts.request import Request
    from meter.contracts.spans import Span
    from meter.core.batch import Batch
    from meter.core.engine import Engine, Tally
    from meter.core.faults import Fault
    from meter.core.keys import Key
    from meter.core.plugin import Missing
    from meter.core.state import State

COLLECT: Final = "collect"
"""The output that keeps batches in memory; `Running.take` and `Running.batches` hand them out."""


class Planned(NamedTuple):
    """A metric at some place of a chain."""

    metric: str
    unit: str
    type: str
    kind: str


class Plan:
    """A backend that was checked: `str(plan)` is its chain in one line.

    `document` is what the engine runs and `meter.lock` keeps, a JSON value; `warnings` are diagnostics in the form of
    `meter check --format json`.
    """

    __slots__ = ("document", "warnings")

    def __init__(self, document: Mapping[str, Any], warnings: Sequence[Mapping[str, Any]] = ()) -> None:
        self.document: Final = dict(document)
        self.warnings: Final = tuple(warnings)

    @property
    def mountpoint(self) -> str:
        """Where it is mounted."""
        return str(self.document["mountpoint"])

    @property
    def order(self) -> tuple[str, ...]:
        """The instances in the order in which data passes them."""
        return tuple(self.document["order"])

    @property
    def schema(self) -> dict[str, tuple[Planned, ...]]:
        """For each output the metrics that reach it."""
        outputs = [each["instance"] for each in self.document["plugins"] if each["role"] == "output"]
        return {
            label: tuple(
                Planned(each["metric"], each["unit"], each["type"], each["kind"])
                for each in self.document["schema"][label]
            )
            for label in outputs
        }

    @property
    def chain(self) -> str:
        """The instances of each placement, `->` between placements."""
        from meter.contracts.hops import chain  # only a text needs it

        return chain(self.document)

    def __str__(self) -> str:
        return f"{self.mountpoint}: {self.chain}"

    def __repr__(self) -> str:
        return f"<Plan of {self}>"


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
            from meter.core.mounts import paths_of  # as in _checked

            shown = [diagnostic.to_json() for diagnostic in checked.diagnostics]
            plan = Plan(checked.require().document, shown)
            return Mounted(plan, paths_of(checked, catalogue), self._folder, self._sysroot)
        from meter.core.mounts import Mounts

        mounts = Mounts(self._file, plugin_dirs=self._plugin_dirs, sysroot=self._sysroot)
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
        path = lock.find_mount_file(None if file is None else os.fspath(file), dict(os.environ)) or "meter.toml"
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
        from meter.contracts.request import from_document, remains
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


class Mounted:
    """A backend with a plan that may run.

    `contracts` says for each plugin where its contract lies; `folder` is where relative paths of its configuration
    start.
    """

    __slots__ = ("contracts", "folder", "plan", "sysroot")

    def __init__(self, plan: Plan, contracts: Mapping[str, str], folder: str, sysroot: str | None = None) -> None:
        self.plan: Final = plan
        self.contracts: Final = dict(contracts)
        self.folder: Final = folder
        self.sysroot: Final = sysroot

    def running(
        self,
        report: Callable[[Fault], None] | None = None,
        *,
        on_breach: str | None = None,
        realtime: bool = False,
        isolate: bool = False,
    ) -> Running:
        """A run of this backend, to be entered with `with`. `report` is called with each fault, in some thread.

        `on_breach` says what becomes of a plugin that breaks its contract, as `meter run --on-breach` does. With
        `realtime` every thread of this process has real-time priority during the run, as with `meter run --realtime`;
        with `isolate` filters and outputs run in a second process, as with `meter run --isolate`.

        Raises: ValueError, there is no such policy. ContractError, with `isolate`, where `collect` is an output: what
            it keeps would be in the other process.
        """
        return Running(self, report, on_breach=on_breach, realtime=realtime, isolate=isolate)

    def engine(
        self, report: Callable[[Fault], None] | None = None, *, on_breach: str | None = None, isolate: bool = False
    ) -> Engine:
        """An engine with this plan, not started: for who needs its phases one by one.

        Raises: as `running`.
        """
        if isolate and (refused := self.against_isolation()):
            from meter.contracts.diagnostics import ContractError  # only a refusal needs it

            raise ContractError(refused)
        from pathlib import Path  # the engine; a check needs none

        from meter.core.engine import Engine

        return Engine(
            self.plan.document,
            self.contracts,
            folder=Path(self.folder),
            sysroot=Path(self.sysroot).absolute() if self.sysroot else None,
            report=report or (lambda _: None),
            on_breach=on_breach,
            isolate=isolate,
        )

    def against_isolation(self) -> list[Diagnostic]:
        """Why it cannot run with `isolate`: somebody takes what an output keeps in the memory of this process."""
        plugins = self.plan.document["plugins"]
        labels = [each["instance"] for each in plugins if each["plugin"] == COLLECT]
        if not labels:
            return []
        from meter.contracts.diagnostics import Diagnostic  # only a refusal needs it

        facts = {"mountpoint": self.plan.mountpoint}
        return [
            Diagnostic(code="E-INTERFACE", variant="isolate", facts={"instance": label, **facts}) for label in labels
        ]

    def __repr__(self) -> str:
        return f"<Mounted {self.plan}>"


class Reading(NamedTuple):
    """One value that was read: when, in nanoseconds since the epoch, and of which series."""

    time_ns: int
    key: Key
    value: float | Missing


class RunError(RuntimeError):
    """A run did not deliver all that it should have: `faults` say which plugin failed and why."""

    def __init__(self, text: str, faults: Sequence[Fault]) -> None:
        super().__init__(text)
        self.faults = tuple(faults)


class RunWarning(UserWarning):
    """Something went wrong in a run and was made good: nothing is lost that was not to be dropped."""


class Running:
    """A backend that runs between `with` and the end of its block, or between `start` and `stop`.

    At the end of the block the sources are polled a last time and all is delivered, whether the block ends by itself or
    by an exception. Where a plugin failed or rows were lost, RunError is raised then; an exception of the block goes on
    and has a note of it. Faults after which nothing is lost are RunWarnings. `faults` has all of them.
    """

    def __init__(
        self,
        mounted: Mounted,
        report: Callable[[Fault], None] | None = None,
        *,
        on_breach: str | None = None,
        realtime: bool = False,
        isolate: bool = False,
    ) -> None:
        self.plan: Final = mounted.plan
        self._engine = mounted.engine(report, on_breach=on_breach, isolate=isolate)
        self._realtime = realtime
        self._urgent = False
        self._entered = False
        self._goes = False

    def prepare(self) -> None:
        """Start the plugins and nothing else. What fails is a fault and left out.

        Raises: RuntimeError, it was started before; ContractError, real-time priority was asked for and is not
        permitted: then nothing was started.
        """
        if self._entered:
            raise RuntimeError(f"a run of {self.plan.mountpoint} is started once; `mounted.running()` makes another")
        if self._realtime:
            self._hurry()
        self._entered = True
        self._engine.start()

    def _hurry(self) -> None:
        """Take real-time priority until `stop`. Raises: ContractError, the system does not permit it."""
        from meter.core import realtime  # few ask for it

        try:
            realtime.enter()
        except OSError as error:
            from meter.contracts.diagnostics import ContractError  # the contract language: only a fault needs it

            raise ContractError([realtime.refused(error)]) from error
        self._urgent = True

    def start(self) -> None:
        """Start the plugins, where `prepare` has not, then the threads.

        Raises: as `prepare`.
        """
        if not self._entered or self._goes:
            self.prepare()
        self._goes = True
        self._engine.go()

    def stop(self, deadline_s: float = 5.0) -> Tally:
        """Poll a last time and deliver everything, within a deadline; what was done. A second call changes nothing."""
        try:
            return self._engine.stop(deadline_s)
        finally:
            if self._urgent:
                from meter.core import realtime  # as in _hurry

                self._urgent = False
                realtime.leave()

    def kill(self) -> None:
        """End at once what runs in another process, with whatever it has; may be called by a signal's handler."""
        self._engine.chain.kill()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is left to measure, or for a time in seconds; whether nothing is left."""
        return self._engine.ended.wait(timeout_s)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to measure: every source has ended, or nobody takes what they give."""
        return self._engine.ended.is_set()

    @property
    def halted(self) -> bool:
        """Whether a breach of contract has ended the run, as its policy says."""
        return self._engine.halted

    @property
    def failed(self) -> bool:
        """Whether a plugin was left out or something could not be delivered."""
        return self._engine.failed

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What went wrong so far."""
        return tuple(self._engine.faults)

    def tally(self) -> Tally:
        """What was done so far: polls, rows, ticks missed, rows lost."""
        return self._engine.tally()

    def state(self) -> State:
        """What each plugin has done and what waits for it at this moment; stops nobody."""
        return self._engine.state()

    def take(self) -> list[Reading]:
        """What the output `collect` has got since the last call, in the order of delivery; it is kept no longer.

        Raises: LookupError, the backend has no `collect` that keeps readings.
        """
        return [
            Reading(batch.anchor.wall(int(block.ts[row])), key, value)
            for batch in self.batches()
            for block in batch.blocks
            for row, key, value in block.points()
        ]

    def batches(self) -> list[Batch]:
        """The same as batches, as `to_arrow` takes them.

        Raises: LookupError, as `take`.
        """
        plugins = self.plan.document["plugins"]
        labels = [each["instance"] for each in plugins if each["plugin"] == COLLECT and each["config"]["keep"]]
        if not labels:
            raise LookupError(f"{self.plan.mountpoint} keeps no readings; give it the output: .add({COLLECT!r})")
        taken: list[Batch] = []
        for output in self._engine.outputs:
            if output.label in labels and output.output is not None:
                held: Any = output.output
                count = len(held.batches)
                taken += held.batches[:count]
                del held.batches[:count]  # its thread only appends
        return taken

    def __enter__(self) -> Self:
        self.prepare()
        engine = self._engine
        if not engine.live:
            self.stop()
            raise RunError(self._told("it could not be started"), self.faults)
        engine.go()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if not self.faults:
            return
        text = self._told("it did not deliver everything" if self.failed else "nothing is lost, but")
        if error is not None:
            error.add_note(text)
        elif self.failed:
            raise RunError(text, self.faults)
        else:
            warnings.warn(text, RunWarning, stacklevel=2)

    def _told(self, what: str) -> str:
        return f"{self.plan.mountpoint}: {what}: " + "; ".join(told(fault) for fault in self.faults)

    def __repr__(self) -> str:
        return f"<Running {self.plan}>"


def told(fault: Fault) -> str:
    """A fault in one sentence."""
    from meter.contracts.diagnostics import Diagnostic  # only a fault needs the contract language

    return Diagnostic(code=fault.code, facts=fault.facts, clause=fault.clause, variant=fault.variant).message


def held(file: str, mountpoints: Sequence[str] = (), *, sysroot: str | None = None) -> list[Mounted] | None:
    """What `load` gives where the lock holds each of these plans, else None. Loads nothing of the contract language."""
    entries = lock.warm(file, sysroot, list(map(keynames.tidy, mountpoints)))
    if entries is None:
        return None
    folder = os.path.dirname(os.path.abspath(file))
    return [
        Mounted(
            Plan(entries[name]["plan"], entries[name]["diagnostics"]),
            lock.contracts_of(entries[name]),
            folder,
            sysroot,
        )
        for name in entries
    ]


def load(
    file: str,
    mountpoints: Sequence[str] = (),
    *,
    plugin_dirs: Sequence[str] = (),
    sysroot: str | None = None,
    locked: bool = False,
    spans: Sequence[Span] = (),
) -> list[Mounted]:
    """Backends of a mount file, all of them where none is named; `spans` say where each was named, as typed.

    The lock is written anew where that is needed. The warnings of a plan are those of a check that was made now.

    Raises: ContractError with what is wrong with any of them.
    """
    from meter.core.mounts import Mounts  # the contract language, which `held` does without

    mounts = Mounts(file, plugin_dirs=plugin_dirs, sysroot=sysroot)
    return [
        Mounted(Plan(each.plan, [d.to_json() for d in each.diagnostics]), each.contracts, mounts.folder, sysroot)
        for each in mounts.ready(list(map(keynames.tidy, mountpoints)), locked=locked, spans=spans)
    ]


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
