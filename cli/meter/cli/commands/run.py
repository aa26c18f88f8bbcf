"""`meter run`: mounted backends, until stopped."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import click

from meter.cli import common

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from meter.cli.status import StatusLine
    from meter.core.engine import Tally
    from meter.core.faults import Fault
    from meter.core.mounted import Mounted
    from meter.core.running import Running
    from meter.core.state import State


def _nanoseconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    from meter.contracts.quantities import QuantityError, parse_duration  # light

    if value is None:
        return None
    try:
        return parse_duration(value)
    except QuantityError as error:
        wanted = f"expected {error.expected}; write it with its unit, such as 10s or 500ms"
        raise click.BadParameter(f"{value!r}: {wanted}") from None


if TYPE_CHECKING:
    _Word = click.ParamType[str]
else:
    _Word = click.ParamType  # not generic in older versions


class _Policy(_Word):
    """A word of the sections [policy ...] of CONTRACT.ini, which is only read where the option is used or explained."""

    name = "policy"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The words, as of a choice."""
        del param, ctx
        return f"[{'|'.join(_policies())}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word itself, where it is one."""
        if value not in _policies():
            self.fail(f"{value!r}: expected {' or '.join(_policies())}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words that begin so."""
        from click.shell_completion import CompletionItem  # only a completion needs it

        del ctx, param
        return [CompletionItem(word) for word in _policies() if word.startswith(incomplete)]


def _policies() -> list[str]:
    from meter.core.blame import policies  # the contract language, which a sound run does without

    return list(policies())


@click.command()
@click.argument("mountpoints", nargs=-1, metavar="[MOUNTPOINT]...")
@click.option("--for", "for_", callback=_nanoseconds, metavar="DURATION", help="Stop after this time, such as 10s.")
@click.option("--locked", is_flag=True, help="Run only what the lock holds: else exit 4.")
@click.option(
    "--on-breach",
    type=_Policy(),
    help="What becomes of a plugin that breaks its contract; the first is the usual one.",
)
@click.option("--realtime", is_flag=True, help="Run before all that has no real-time priority, or not at all.")
@click.option("--isolate", is_flag=True, help="Run filters and outputs in a second process, for strict rates.")
@common.file_option
@common.plugin_dir_option
@common.sysroot_option
def run(  # noqa: PLR0917  (click hands options over by name)
    mountpoints: tuple[str, ...],
    for_: int | None,
    locked: bool,  # noqa: FBT001  (click hands options over by name)
    on_breach: str | None,
    realtime: bool,  # noqa: FBT001  (as above)
    isolate: bool,  # noqa: FBT001  (as above)
    file: str | None,
    plugin_dirs: tuple[str, ...],
    sysroot: str | None,
) -> int:
    """Run mounted backends; without MOUNTPOINT all of them. Ctrl-C and SIGTERM stop in order: a last poll, and every
    row is delivered.

    Exit: 0 ok, 1 contract errors, 4 drift or stale lock, 5 something failed while running.
    """  # noqa: D205  (click shows the paragraph as it stands)
    from meter.cli.status import StatusLine  # light, but a help text needs none
    from meter.contracts import keynames

    path = common.mount_file(file)
    backends = _backends(
        path, tuple(dict.fromkeys(map(keynames.tidy, mountpoints))), plugin_dirs, sysroot, locked=locked
    )
    if isinstance(backends, int):
        return backends
    if isolate and (against := [each for mounted in backends for each in mounted.against_isolation()]):
        return common.fail(against)
    if realtime and (refused := _refused_realtime()):
        return refused
    gc.enable()
    several = len(backends) > 1
    line = StatusLine()
    runs = [
        mounted.running(
            partial(_report, line, mounted.plan.mountpoint if several else ""), on_breach=on_breach, isolate=isolate
        )
        for mounted in backends
    ]
    stop = _Stop(runs)
    started = time.monotonic()
    for running in runs:
        stop.prepare(running)
    gc.collect()  # what the check has left, before anything has a deadline
    for running in runs:
        if not stop.asked.is_set():
            common.say(f"running {running.plan.mountpoint}: {running.plan.chain}")
            running.start()
    line.begin(runs)
    _wait(runs, stop.asked, for_, line)
    line.end()
    for running in runs:
        tally = running.stop()
        spent = time.monotonic() - started
        name = running.plan.mountpoint
        common.say(f"ran {name} for {spent:.1f} s: {_told(tally, running.state())}")
    return common.FAILED if any(running.failed for running in runs) else common.OK


def _backends(
    path: str, mountpoints: tuple[str, ...], plugin_dirs: tuple[str, ...], sysroot: str | None, *, locked: bool
) -> list[Mounted] | int:
    """The backends to run, or an exit code."""
    from meter.core.mounted import held, load  # a help text needs none

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


def _refused_realtime() -> int:
    """Give this process real-time priority, to its end; the exit code where the system refuses it."""
    from meter.contracts.spans import Words  # light; a run without the option needs neither
    from meter.core import realtime

    words = ["meter", "run", "--realtime"]
    try:
        realtime.enter()
    except OSError as error:
        return common.fail([realtime.refused(error, (Words(words).span(2),))], words)
    return common.OK


def _told(tally: Tally, state: State) -> str:
    """What a run did, in one line, and which sources gave nothing: what they are to measure may not have been there.

    After a single poll that says nothing, as it is the base of what is counted.
    """
    parts = [(tally.polls, "poll", ""), (tally.rows, "row", "")]
    parts += [(tally.gaps, "value", " missing"), (tally.missed, "tick", " missed"), (tally.lost, "row", " lost")]
    parts += [(tally.dropped, "row", " dropped"), (tally.violations, "violation", " of contract")]
    shown = [(n, word, how) for n, word, how in parts if n or not how]
    told = [f"{n} {word}{'' if n == 1 else 's'}{how}" for n, word, how in shown]
    told += [f"nothing from `{source.label}`" for source in state.sources if source.polls > 1 and not source.points]
    return ", ".join(told)


def _report(line: StatusLine, mountpoint: str, fault: Fault) -> None:
    document = common.fault_json(fault)
    if mountpoint:
        from meter.contracts.language import language  # it is loaded, as there is a fault

        document["notes"].append(language().phrase("note", "backend", mountpoint=mountpoint))
    with line.aside():
        common.show([document])


class _Stop:
    """Stops in order at the first signal, at once at the second one.

    While plugins start, the first one interrupts what they wait for, such as the reader of a named pipe.
    """

    def __init__(self, runs: list[Running]) -> None:
        self.asked = threading.Event()
        self._runs = runs
        self._starts = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
            signal.signal(signal.SIGHUP, self._handle)  # the terminal was closed

    def prepare(self, running: Running) -> None:
        """Start the plugins of a run, unless a stop was asked for."""
        if self.asked.is_set():
            return
        self._starts = True
        with contextlib.suppress(InterruptedError):
            running.prepare()
        self._starts = False

    def _handle(self, number: int, _frame: object) -> None:
        if self.asked.is_set():
            for running in self._runs:
                running.kill()
            os._exit(128 + number)
        self.asked.set()
        if self._starts:
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))


def _wait(runs: list[Running], stopped: threading.Event, for_ns: int | None, line: StatusLine) -> None:
    """Return when stopped, when the time is over, when a breach ends the run, or when nobody has anything to do."""
    end = None if for_ns is None else time.monotonic() + for_ns / 1e9
    settled = False
    while not (stopped.is_set() or any(run.halted for run in runs) or all(run.ended for run in runs)):
        remaining = 0.5 if end is None else min(0.5, end - time.monotonic())
        if remaining <= 0:
            return
        stopped.wait(remaining)
        line.renew()
        if not settled and all(run.tally().rows for run in runs):
            # Modules, plans and what filters have prepared stay to the end: no later collection goes through them.
            settled = True
            gc.freeze()
