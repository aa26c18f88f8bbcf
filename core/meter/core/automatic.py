"""The chain that is measured with where nobody mounted one: for `meter exec` and for `measure`.

It is every built-in source that needs no option and that the host can carry, and `collect` in memory. Its plan is kept
in the user's cache, so that the contract language is loaded only where something has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core import carbon, files, lock
from meter.core.attributing import HAD
from meter.core.energies import PROCESSOR
from meter.core.faults import described
from meter.core.mounted import Mounted
from meter.core.planned import COLLECT, Plan
from meter.core.quantity import Quantity
from meter.core.totals import ENERGY
from meter.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from meter.contracts.catalogue import Catalogue
    from meter.contracts.host import Host
    from meter.contracts.model import Contract
    from meter.contracts.sent import Sent

PROCESS: Final = "process"
_OF_TREE: Final = ("tree=0", "modes=false", "io=true")
"""What it is asked of the processes of a command."""


class Asked(NamedTuple):
    """What the chain has to do.

    `mountpoint` is its name in faults. `children` measures the processes that this one starts, too, as is done anyway
    where a source says what each process has of the energy of a GPU. `out` is a file for every reading, whose suffix
    chooses the output; relative to `folder`. `carbon` is a grid or an intensity for grams of carbon dioxide. A source
    whose contract permits no polls as often as `interval` is polled as often as it may be.
    """

    mountpoint: str
    folder: str
    out: str | None = None
    interval: str | None = None
    sysroot: str | None = None
    carbon: str | None = None
    children: bool = False


class Refused(NamedTuple):
    """A diagnostic in its JSON form, and the option of a plugin that it is about, if any."""

    document: dict[str, Any]
    option: str


class PlanRefused(Exception):  # noqa: N818  (named as in E-CONFIG-REFUSED)
    """The chain cannot be built, such as for an output file that cannot be written."""

    def __init__(self, refused: Sequence[Refused]) -> None:
        super().__init__("; ".join(each.document["message"] for each in refused))
        self.refused = tuple(refused)


class Automatic(NamedTuple):
    """The chain, and why there is no energy in it, or none of processors; that is empty where there is.

    `slower` are the sources that are polled less often than was asked, with the time between two polls in ns.
    """

    mounted: Mounted
    no_energy: str
    slower: dict[str, int]

    def slowed(self) -> list[dict[str, Any]]:
        """The same as JSON values: `source`, and `interval` as a quantity."""
        return [{"source": name, "interval": Quantity(ns / 1e9, "s").to_json()} for name, ns in self.slower.items()]


def chain(asked: Asked, *, apart: bool = False) -> Automatic:
    """The chain, from the cache where it still holds.

    Args: `apart` lets a forked process make the plan where the cache has none: what the check needs in memory does not
        stay then (see `Usage` of `command`). Not for a process with threads.

    Raises: PlanRefused; with `apart` RuntimeError, the process has ended without an answer.
    """
    roots = _builtin_folders()
    marks = _marks(roots)
    material = json.dumps([__version__, *asked, roots])
    path = os.path.join(cache_folder(), f"{asked.mountpoint.strip('/')}-{lock.digest(material.encode())[:32]}.json")
    # A cache that is not there or not sound.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        with open(path, "rb") as file:
            made = json.loads(file.read())
        if made["contracts"] == marks and not lock.stale(made["entry"], folder=asked.folder, sysroot=asked.sysroot):
            return _automatic(made, asked)
    made = _make_apart(asked) if apart else _answer(asked)
    if "refused" in made:
        raise PlanRefused([Refused(**each) for each in made["refused"]])
    if "raised" in made:
        raise RuntimeError(made["raised"])
    with contextlib.suppress(OSError):  # without a cache it is only slower
        os.makedirs(cache_folder(), mode=0o700, exist_ok=True)
        files.write_together({path: json.dumps({**made, "contracts": marks}).encode()})
    return _automatic(made, asked)


def cache_folder() -> str:
    """Where plans are kept: the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "meter")


def _automatic(made: dict[str, Any], asked: Asked) -> Automatic:
    entry = made["entry"]
    plan = Plan(entry["plan"], tuple(entry["diagnostics"]))
    mounted = Mounted(plan, lock.contracts_of(entry), asked.folder, asked.sysroot)
    return Automatic(mounted, made["no_energy"], made["slower"])


def _builtin_folders() -> list[str]:
    """Where the built-in plugins are."""
    from importlib.util import find_spec  # 1 ms; the folder is not otherwise known without importing a plugin

    spec = find_spec("meter.plugins")
    return list((spec.submodule_search_locations or ()) if spec is not None else ())


def _marks(roots: Sequence[str]) -> list[list[Any]]:
    """Stamps of all built-in contracts: which plugins a plan has not, and why, is said by theirs."""
    folders = sorted(entry.path for root in roots for entry in os.scandir(root) if entry.is_dir())
    return [lock.stamp(f"{folder}/contract.toml") for folder in folders]


def _make_apart(asked: Asked) -> dict[str, Any]:
    """The answer of a forked process.

    Raises: RuntimeError, it has ended without one.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reading)
            with open(writing, "wb") as answer:
                answer.write(json.dumps(_answer(asked)).encode())
            status = 0
        finally:
            os._exit(status)  # neither exit handlers nor buffers of the parent are the child's
    os.close(writing)
    with open(reading, "rb") as answer:
        data = answer.read()
    os.waitpid(pid, 0)
    if not data:
        raise RuntimeError("the plan could not be made")
    made: dict[str, Any] = json.loads(data)
    return made


def _answer(asked: Asked) -> dict[str, Any]:
    from meter.contracts.diagnostics import ContractError  # as in _make

    try:
        return _make(asked)
    except ContractError as error:
        return {
            "refused": [{"document": d.to_json(), "option": d.facts.get("option", "")} for d in error.diagnostics],
        }
    except Exception as error:  # noqa: BLE001  (a fault of meter's own; whoever asked raises it)
        return {"raised": described(error)}


def _make(asked: Asked) -> dict[str, Any]:
    from meter.contracts.check import check  # the contract language: only where no plan is cached
    from meter.contracts.command_line import from_words
    from meter.contracts.diagnostics import ContractError
    from meter.core.discovery import discover
    from meter.core.host import Probe
    from meter.core.lock_text import paths_of

    catalogue = discover(installed=False).catalogue
    probe = Probe(asked.folder, asked.sysroot)
    host = _Granting(probe, _denied(catalogue, probe))
    sources = _chosen(asked, catalogue, host)
    paces = _paces(asked, sources)
    emitting = {contract.name for contract in _givers(catalogue)} & {contract.name for contract in sources}
    if asked.carbon is not None and not emitting:
        _check_carbon(asked.carbon, catalogue)
    words = _words(asked, catalogue, sources, paces, grams=bool(emitting))
    request, found = from_words(asked.mountpoint, words, ["meter", "exec"])
    if request is None:
        raise ContractError(found)
    checked = check(request, catalogue, host)
    plan = checked.require().document
    shown = [diagnostic.to_json() for diagnostic in checked.diagnostics]
    entry = lock.make_entry(plan, request.digest(), paths_of(checked, catalogue), probe, shown)
    slower = {name: ns for name, ns in paces.items() if asked.interval is not None and ns}
    return {"entry": entry, "no_energy": _no_energy(plan, catalogue, probe), "slower": slower}


class _Granting:
    """A host that says yes to some questions, whatever it would say."""

    def __init__(self, host: Host, granted: Collection[tuple[str, str]]) -> None:
        self._host = host
        self._granted = granted

    def answer(self, kind: str, argument: str) -> str:
        """The answer of the host, or that it holds."""
        answer = self._host.answer(kind, argument)
        return "" if (kind, argument) in self._granted else answer

    def sent(self, reference: str) -> Sent:
        """What an output of another meter sends."""
        return self._host.sent(reference)


def _denied(catalogue: Catalogue, host: Host) -> set[tuple[str, str]]:
    """What sources of energy need and may not have: they are mounted all the same, and say what is missing, and why."""
    from meter.contracts.host_needs import lacking_rights  # as in _make

    return {question for contract in _givers(catalogue) for question in lacking_rights(contract, host)}


def _givers(catalogue: Catalogue, kind: str = "") -> list[Contract]:
    """The sources of energy, or those of the energy of one kind of resource."""
    gives = {c.name: [m.resource for m in c.provides.metrics if m.name == ENERGY] for c in _sources(catalogue)}
    return [c for c in _sources(catalogue) if any(not kind or kind in resource for resource in gives[c.name])]


def _sources(catalogue: Catalogue) -> list[Contract]:
    """The sources that choose themselves, of those that say something of a span of time."""
    from meter.contracts.catalogue import is_automatic, is_of_spans  # as in _make

    return [c for c in catalogue.contracts() if c.placement == "source" and is_automatic(c) and is_of_spans(c)]


def _chosen(asked: Asked, catalogue: Catalogue, host: Host) -> list[Contract]:
    """The sources of the chain; where the host can carry none, all: the check says why of each."""
    from meter.contracts.host_needs import host_fault
    from meter.contracts.language import ABSENT  # as in _make

    sources = _sources(catalogue)
    able = [c for c in sources if not host_fault(c, host)]
    here = asked.sysroot is None  # else the processes below it are others'
    followed = asked.children or (here and any(_parting(contract) for contract in able))
    chosen = []
    for contract in able or sources:
        obligatory = [name for name, option in contract.config.items() if option.default is ABSENT]
        if followed if contract.name == PROCESS else not (obligatory or contract.require):
            chosen.append(contract)
    return chosen


def _parting(contract: Contract) -> list[str]:
    """The words with which a source says what each process has of the energy of a GPU; empty where it cannot."""
    options: dict[str, Any] = {}
    for metric in contract.provides.metrics:
        if metric.name == HAD:
            options.update(metric.when)
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in options.items()]


def _paces(asked: Asked, sources: Sequence[Contract]) -> dict[str, int]:
    """The sources that may not be polled as often as was asked, with the least time between two polls in ns.

    None where what was asked is no time: the check refuses it.
    """
    from meter.contracts.language import ABSENT  # as in _make
    from meter.contracts.quantities import QuantityError, parse_duration

    try:
        wanted = parse_duration(asked.interval or "")
    except QuantityError:
        return {}
    limits = {contract.name: contract.config["interval"].min for contract in sources}
    least = {name: parse_duration(limit) for name, limit in limits.items() if limit is not ABSENT}
    return {name: ns for name, ns in least.items() if ns > wanted > 0}


def _words(
    asked: Asked, catalogue: Catalogue, sources: Sequence[Contract], paces: Mapping[str, int], *, grams: bool
) -> list[str]:
    """The words that would mount the chain. Args: `grams`, the energy is there that grams are asked of."""
    from meter.contracts.quantities import format_duration  # as in _make

    words: list[str] = []
    for contract in sources:
        words += [contract.name, *(_OF_TREE if contract.name == PROCESS else _parting(contract))]
        if asked.interval:
            pace = paces.get(contract.name)
            words.append(f"interval={format_duration(pace) if pace else asked.interval}")
    if asked.carbon is not None and grams:
        words += [_carbon_filter(catalogue), *carbon.words(asked.carbon)]
    words += [COLLECT, "keep=false"]
    if asked.out is not None:
        words += [_output_for(asked.out, catalogue), f"path={asked.out}"]
    return words


def _carbon_filter(catalogue: Catalogue) -> str:
    """The filter that gives grams: the best one that provides it."""
    from meter.contracts.catalogue import score  # as in _make

    able = [c for c in catalogue.contracts() if carbon.CAPABILITY in c.provides.capabilities]
    return min(able, key=lambda contract: (-score(contract), contract.name)).name


def _check_carbon(asked: str, catalogue: Catalogue) -> None:
    """Check what is asked for where no energy is there to see it at: on a host that has everything.

    Raises: ContractError.
    """
    from meter.contracts.check import check  # as in _make
    from meter.contracts.command_line import from_words
    from meter.contracts.diagnostics import ContractError
    from meter.contracts.host import Assumed

    words = [_givers(catalogue)[0].name, _carbon_filter(catalogue), *carbon.words(asked), COLLECT]
    request, found = from_words("/carbon", words, ["meter", "exec"])
    if request is None:
        raise ContractError(found)
    check(request, catalogue, Assumed()).require()


def _no_energy(plan: dict[str, Any], catalogue: Catalogue, host: Host) -> str:
    """Why no source of a plan gives energy, or none that of processors: the host, where it is that; else empty."""
    from meter.contracts.host_needs import host_fault  # as in _make

    emits = (variant for plugin in plan["plugins"] for variant in plugin["emits"] if variant["metric"] == ENERGY)
    kinds = {kind for variant in emits for kind in variant["resource"]}
    if PROCESSOR in kinds:
        return ""
    lacking = _givers(catalogue, PROCESSOR) if kinds else _givers(catalogue)
    faults = [f"`{c.name}` cannot be used: {fault}" for c in lacking if (fault := host_fault(c, host))]
    return "; ".join(faults) or ("" if kinds else "no source of energy is mounted in this chain")


def _output_for(path: str, catalogue: Catalogue) -> str:
    """The output plugin that writes files of this suffix: the one that is named like it.

    Raises: ContractError, none is.
    """
    from meter.contracts.diagnostics import ContractError, Diagnostic  # as in _make
    from meter.contracts.spans import Span

    writers = {c.name for c in catalogue.contracts() if c.placement == "output" and "path" in c.config}
    suffix = os.path.splitext(path)[1].removeprefix(".")
    if suffix in writers:
        return suffix
    known = ", ".join(f"`.{name}`" for name in sorted(writers))
    facts = {
        "path": path,
        "option": "out",
        "instance": "exec",
        "suffix": suffix,
        "known": known,
    }
    variant = "suffix" if suffix else "no-suffix"
    raise ContractError([Diagnostic(code="E-PATH", variant=variant, facts=facts, spans=(Span("--out", 1, 1),))])
