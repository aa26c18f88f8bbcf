"""Measuring one command: `meter exec`, without a mount.

The chain is every built-in source that needs no option and that the host can carry, `process` on the command's tree,
`collect` in memory and, where asked, a file. Its plan is kept in the user's cache, so that nothing heavy runs before
the command is spawned: numpy comes with the first batch, in the pipeline's thread.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core import command, lock
from meter.core.engine import Engine, Fault, described
from meter.core.version import __version__

if TYPE_CHECKING:
    from meter.core.command import Leftovers, Usage

FORMAT: Final = "meter-exec/1"
COLLECT: Final = "collect"
PROCESS: Final = "process"
MOUNTPOINT: Final = "/exec"
DRAIN_S: Final = 30.0
"""How long the chain may take when the command has ended: the first import of numpy from a slow disk takes seconds."""


class Asked(NamedTuple):
    """What the user wants of `meter exec`, apart from the command."""

    out: str | None = None
    interval: str | None = None
    sysroot: str | None = None


class Refused(NamedTuple):
    """A diagnostic in its JSON form, and the option of a plugin that it is about, if any."""

    document: dict[str, Any]
    option: str


class PlanRefused(Exception):  # noqa: N818  (named as in E-CONFIG-REFUSED)
    """The chain cannot be built, such as for an output file that cannot be written."""

    def __init__(self, refused: Sequence[Refused]) -> None:
        super().__init__("; ".join(each.document["message"] for each in refused))
        self.refused = tuple(refused)


class Measured(NamedTuple):
    """A document in the form of `meter exec --format json`, the exit code, what went wrong while measuring."""

    document: dict[str, Any]
    exit_code: int
    faults: tuple[Fault, ...]


# ------------------------------------------------------------------------------------------------------------- plan


def cache_folder() -> str:
    """Where plans of `exec` are kept: the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "meter")


def plan_for(asked: Asked) -> tuple[dict[str, Any], dict[str, str], list[dict[str, Any]]]:
    """The plan of the chain, for each plugin the path of its contract, and warnings.

    Raises: PlanRefused.
    """
    folder = os.getcwd()
    material = json.dumps([__version__, folder, *asked, _builtin_mark()])
    path = os.path.join(cache_folder(), f"exec-{lock.digest(material.encode())[:32]}.json")
    # A cache that is not there or not sound.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        with open(path, "rb") as file:
            entry = json.loads(file.read())
        if not lock.stale(entry, folder=folder, sysroot=asked.sysroot):
            return entry["plan"], lock.contracts_of(entry), entry["diagnostics"]
    entry = _make_apart(asked, folder)
    with contextlib.suppress(OSError):  # without a cache it is only slower
        os.makedirs(cache_folder(), mode=0o700, exist_ok=True)
        lock.write_together({path: json.dumps(entry).encode()})
    return entry["plan"], lock.contracts_of(entry), entry["diagnostics"]


def _builtin_mark() -> list[int]:
    """Changes when a plugin is added to the built-in ones."""
    from importlib.util import find_spec  # 1 ms; the folder is not otherwise known without importing a plugin

    spec = find_spec("meter.plugins")
    roots = (spec.submodule_search_locations or ()) if spec is not None else ()
    return [os.stat(root).st_mtime_ns for root in roots]


def _make_apart(asked: Asked, folder: str) -> dict[str, Any]:
    """A plan made by a forked process: what the check needs in memory would count as the command's (see `Usage`).

    Raises: PlanRefused; RuntimeError, the process has ended without an answer.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reading)
            with open(writing, "wb") as answer:
                answer.write(json.dumps(_answer(asked, folder)).encode())
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
    if "refused" in made:
        raise PlanRefused([Refused(**each) for each in made["refused"]])
    if "raised" in made:
        raise RuntimeError(made["raised"])
    entry: dict[str, Any] = made["entry"]
    return entry


def _answer(asked: Asked, folder: str) -> dict[str, Any]:
    from meter.contracts.diagnostics import ContractError  # as in _make

    try:
        return {"entry": _make(asked, folder)}
    except ContractError as error:
        return {
            "refused": [{"document": d.to_json(), "option": d.facts.get("option", "")} for d in error.diagnostics],
        }
    except Exception as error:  # noqa: BLE001  (a fault of meter's own; the parent raises it)
        return {"raised": described(error)}


def _make(asked: Asked, folder: str) -> dict[str, Any]:
    from meter.contracts.check import check  # the contract language: only where no plan is cached
    from meter.contracts.diagnostics import ContractError
    from meter.contracts.request import from_words
    from meter.core.discovery import discover
    from meter.core.host import Probe
    from meter.core.mounts import paths_of

    catalogue = discover(installed=False).catalogue
    probe = Probe(folder, asked.sysroot)
    request, found = from_words(MOUNTPOINT, _words(asked, catalogue, probe), ["meter", "exec"])
    if request is None:
        raise ContractError(found)
    checked = check(request, catalogue, probe)
    plan = checked.require().document
    shown = [diagnostic.to_json() for diagnostic in checked.diagnostics]
    return lock.make_entry(plan, request.digest(), paths_of(checked, catalogue), probe, shown)


def _words(asked: Asked, catalogue: Any, probe: Any) -> list[str]:
    """The words that would mount the chain."""
    from meter.contracts.catalogue import is_automatic  # as in _make
    from meter.contracts.language import ABSENT
    from meter.contracts.resolve import host_fault

    pace = [f"interval={asked.interval}"] if asked.interval else []
    words: list[str] = []
    sources = [c for c in catalogue.contracts() if c.placement == "source" and is_automatic(c)]
    # Where the host can carry none, all are asked for: the check says why of each.
    for contract in [c for c in sources if not host_fault(c, probe)] or sources:
        obligatory = [name for name, option in contract.config.items() if option.default is ABSENT]
        if contract.name == PROCESS:
            words += [PROCESS, "tree=0", *pace]
        elif not obligatory and not contract.require:
            words += [contract.name, *pace]
    words.append(COLLECT)
    if asked.out is not None:
        words += [_output_for(asked.out, catalogue), f"path={asked.out}"]
    return words


def _output_for(path: str, catalogue: Any) -> str:
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


# -------------------------------------------------------------------------------------------------------------- run


def execute(argv: Sequence[str], asked: Asked, report: Callable[[Fault], None]) -> Measured:
    """Run a command and measure it: a poll before it is spawned, polls while it runs, a poll when it has ended.

    Raises: PlanRefused and OSError before the spawn; CommandNotFound, CommandNotExecutable.
    """
    command.find(argv[0])
    plan, contracts, _ = plan_for(asked)
    engine = Engine(
        plan,
        contracts,
        folder=Path.cwd(),
        sysroot=Path(asked.sysroot) if asked.sysroot else None,
        report=report,
    )
    subreaper = command.become_subreaper()
    with command.signals():
        engine.start()
        engine.poll_now()
        try:
            running = command.start(argv)
        except BaseException:
            engine.stop()
            raise
        engine.go()
        running.wait()
        engine.stop(DRAIN_S)
        usage = running.finish()
        left = command.leftovers()
    collect = next(output.output for output in engine.outputs if output.label == COLLECT)
    document = _document(argv, usage, collect, engine, left if subreaper else command.Leftovers((), 0, 0.0))
    return Measured(document, usage.exit_code, tuple(engine.faults))


def quantity(value: float | None, unit: str, quality: str = "measured", reason: str | None = None) -> dict[str, Any]:
    """A value as the JSON form has it; a missing one has the value null and its reason."""
    return {"value": value, "unit": unit, "quality": "missing" if value is None else quality, "reason": reason}


def _document(argv: Sequence[str], usage: Usage, collect: Any, engine: Engine, left: Leftovers) -> dict[str, Any]:
    tally = engine.tally()
    peak = usage.peak_rss_bytes
    floor = f"it is at most the {usage.max_rss_floor_bytes / 2**20:.1f} MiB that the kernel enters for meter itself"
    return {
        "format": FORMAT,
        "command": list(argv),
        "exit_code": usage.exit_code,
        "signal": usage.signal,
        "runs": 1,
        "duration": quantity((usage.ended_ns - usage.started_ns) / 1e9, "s"),
        "cpu": {"user": quantity(usage.user_s, "s"), "system": quantity(usage.system_s, "s")},
        "memory": {"max_rss": quantity(peak, "By", reason=None if peak is not None else floor)},
        "io": {"read": quantity(usage.read_bytes, "By"), "written": quantity(usage.written_bytes, "By")},
        "energy": {
            "total": quantity(None, "J", reason="no source of energy is mounted in this chain"),
            "domains": [],
            "attributed": quantity(None, "J", reason="no source of energy is mounted in this chain"),
        },
        "metrics": [_metric(series) for series in collect.table()],
        "left_running": [{"pid": pid, "name": name} for pid, name in left.running],
        "orphans": {"ended": left.orphans, "cpu": quantity(left.orphans_cpu_s, "s")},
        "polls": tally.polls,
        "missed_ticks": tally.missed,
        "faults": [fault.code for fault in engine.faults],
    }


def _metric(series: Any) -> dict[str, Any]:
    """One series over the whole run. `scope` says whether it is the command's or the whole machine's."""
    key = series.key
    value = series.value
    return {
        "metric": key.metric.name,
        "unit": key.metric.unit,
        "kind": key.metric.kind,
        "value": value,
        "statistic": series.statistic,
        "quality": "missing" if value is None else key.metric.quality,
        "reason": None if value is not None else "; ".join(series.reasons) or "it was never read",
        "missing_cells": series.missing,
        "scope": "command" if key.consumer[0] == "process" else "machine",
        "resource": "/".join(part for part in key.resource if part),
        "consumer": "/".join(part for part in key.consumer if part),
        "attributes": dict(key.attributes),
    }
