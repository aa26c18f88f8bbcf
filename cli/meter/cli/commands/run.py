"""`meter run`: mounted backends, until stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from meter.cli import common

if TYPE_CHECKING:
    from meter.core.engine import Engine, Fault


def _nanoseconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    from meter.contracts.quantities import QuantityError, parse_duration  # light

    if value is None:
        return None
    try:
        return parse_duration(value)
    except QuantityError as error:
        wanted = f"expected {error.expected}; write it with its unit, such as 10s or 500ms"
        raise click.BadParameter(f"{value!r}: {wanted}") from None


@click.command()
@click.argument("mountpoints", nargs=-1, metavar="[MOUNTPOINT]...")
@click.option("--for", "for_", callback=_nanoseconds, metavar="DURATION", help="Stop after this time, such as 10s.")
@click.option("--locked", is_flag=True, help="Run only what the lock holds: else exit 4.")
@common.file_option
@common.plugin_dir_option
@common.sysroot_option
def run(
    mountpoints: tuple[str, ...],
    for_: int | None,
    locked: bool,  # noqa: FBT001  (click hands options over by name)
    file: str | None,
    plugin_dirs: tuple[str, ...],
    sysroot: str | None,
) -> int:
    """Run mounted backends; without MOUNTPOINT all of them. Ctrl-C and SIGTERM stop in order: a last poll, and every
    row is delivered.

    Exit: 0 ok, 1 contract errors, 4 drift or stale lock, 5 something failed while running.
    """  # noqa: D205  (click shows the paragraph as it stands)
    path = common.mount_file(file)
    plans = _plans(path, tuple(dict.fromkeys(mountpoints)), plugin_dirs, sysroot, locked=locked)
    if isinstance(plans, int):
        return plans
    from pathlib import Path  # the engine; a help text needs none

    from meter.core.engine import Engine

    folder = Path(path).absolute().parent
    root = Path(sysroot).absolute() if sysroot else None
    engines = [Engine(plan, where, folder=folder, sysroot=root, report=_report) for plan, where in plans]
    stopped = threading.Event()
    _on_signals(stopped)
    for engine in engines:
        engine.start()
    started = time.monotonic()
    for (plan, _), engine in zip(plans, engines, strict=True):
        common.say(f"running {plan['mountpoint']}: {common.chain_text(plan)}")
        engine.go()
    _wait(engines, stopped, for_)
    for engine in engines:
        tally = engine.stop()
        late = f", {tally.missed} ticks missed" if tally.missed else ""
        lost = f", {tally.lost} rows lost" if tally.lost else ""
        spent = time.monotonic() - started
        name = engine.plan["mountpoint"]
        common.say(f"ran {name} for {spent:.1f} s: {tally.polls} polls, {tally.rows} rows{late}{lost}")
    return common.FAILED if any(engine.failed for engine in engines) else common.OK


def _plans(
    path: str, mountpoints: tuple[str, ...], plugin_dirs: tuple[str, ...], sysroot: str | None, *, locked: bool
) -> list[tuple[dict[str, Any], dict[str, str]]] | int:
    """The plans to run and where their contracts lie, or an exit code."""
    from meter.core import lock  # light

    entries = lock.warm(path, sysroot)
    if entries is not None and entries and all(name in entries for name in mountpoints):
        return [(entries[n]["plan"], lock.contracts_of(entries[n])) for n in (mountpoints or sorted(entries))]

    from meter.contracts.diagnostics import ContractError  # the contract language: only where something has changed
    from meter.contracts.spans import Words
    from meter.core.mounts import Mounts

    mounts = Mounts(path, plugin_dirs=plugin_dirs, sysroot=sysroot)
    try:
        line = Words(["meter", "run", *mountpoints])
        spans = [line.span(place) for place in range(2, 2 + len(mountpoints))]
        ready = mounts.ready(mountpoints, locked=locked, spans=spans)
    except ContractError as error:
        return common.fail(error.diagnostics, ["meter", "run", *mountpoints])
    for each in ready:
        common.show([diagnostic.to_json() for diagnostic in each.diagnostics])
    return [(each.plan, each.contracts) for each in ready]


def _report(fault: Fault) -> None:
    common.show([common.fault_json(fault)])


def _on_signals(stopped: threading.Event) -> None:
    """The first signal stops in order, a second one at once."""

    def handle(number: int, _frame: object) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, handle)  # the terminal was closed


def _wait(engines: list[Engine], stopped: threading.Event, for_ns: int | None) -> None:
    """Return when stopped, when the time is over, or when nobody has anything to do any more."""
    end = None if for_ns is None else time.monotonic() + for_ns / 1e9
    while not stopped.is_set() and not all(engine.ended.is_set() for engine in engines):
        remaining = 0.2 if end is None else min(0.2, end - time.monotonic())
        if remaining <= 0:
            return
        stopped.wait(remaining)
