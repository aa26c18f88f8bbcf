"""`meter run`: mounted backends, until stopped."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import click

from meter.cli import common

if TYPE_CHECKING:
    from meter.core.backend import Mounted, Running
    from meter.core.engine import Fault


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
    backends = _backends(path, tuple(dict.fromkeys(mountpoints)), plugin_dirs, sysroot, locked=locked)
    if isinstance(backends, int):
        return backends
    gc.enable()
    runs = [mounted.running(_report) for mounted in backends]
    stopped = threading.Event()
    _on_signals(stopped)
    for running in runs:
        common.say(f"running {running.plan.mountpoint}: {running.plan.chain}")
        running.start()
    started = time.monotonic()
    _wait(runs, stopped, for_)
    for running in runs:
        tally = running.stop()
        late = f", {tally.missed} ticks missed" if tally.missed else ""
        lost = f", {tally.lost} rows lost" if tally.lost else ""
        spent = time.monotonic() - started
        name = running.plan.mountpoint
        common.say(f"ran {name} for {spent:.1f} s: {tally.polls} polls, {tally.rows} rows{late}{lost}")
    return common.FAILED if any(running.failed for running in runs) else common.OK


def _backends(
    path: str, mountpoints: tuple[str, ...], plugin_dirs: tuple[str, ...], sysroot: str | None, *, locked: bool
) -> list[Mounted] | int:
    """The backends to run, or an exit code."""
    from meter.core.backend import held, load  # a help text needs none

    backends = held(path, mountpoints, sysroot=sysroot)
    if backends is not None:
        return backends
    from meter.contracts.diagnostics import ContractError  # the contract language: only where something has changed
    from meter.contracts.spans import Words

    words = ["meter", "run", *mountpoints]
    spans = [Words(words).span(place) for place in range(2, len(words))]
    try:
        backends = load(path, mountpoints, plugin_dirs=plugin_dirs, sysroot=sysroot, locked=locked, spans=spans)
    except ContractError as error:
        return common.fail(error.diagnostics, words)
    for each in backends:
        common.show(each.plan.warnings)
    return backends


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


def _wait(runs: list[Running], stopped: threading.Event, for_ns: int | None) -> None:
    """Return when stopped, when the time is over, or when nobody has anything to do any more."""
    end = None if for_ns is None else time.monotonic() + for_ns / 1e9
    while not stopped.is_set() and not all(running.ended for running in runs):
        remaining = 0.5 if end is None else min(0.5, end - time.monotonic())
        if remaining <= 0:
            return
        stopped.wait(remaining)
