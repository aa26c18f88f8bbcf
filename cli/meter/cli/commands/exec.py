"""`meter exec`: measure a command."""

from __future__ import annotations

import gc
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from meter.cli import common, render

if TYPE_CHECKING:
    from meter.core.automatic import Refused
    from meter.core.quantity import Quantity


_ASKED_BY: Final = {"path": "out", "country": "carbon", "intensity": "carbon"}
"""Options of plugins that an option of this command stands for, under another name."""


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
@click.option("--out", metavar="FILE", help="Write every reading to a file; its suffix chooses the output (.csv).")
@click.option("-i", "--interval", metavar="DURATION", help="Time between two polls of every source.  [default: 1s]")
@click.option("--carbon", metavar="GRID", help="Grams of CO2, too: of a grid such as FRA, or by 475g/kWh.")
@common.format_option
@common.sysroot_option
def exec_(
    argv: tuple[str, ...], out: str | None, interval: str | None, carbon: str | None, format_: str, sysroot: str | None
) -> int:
    """Measure a command: what it and the machine used while it ran. Its output, exit code and signals pass through.

    The table goes to stderr, so that the command's own output can be piped; --format json goes to stdout.

    Exit: that of the command; 127 not found, 126 not executable, 125 meter failed before the start, 128+N killed by N.
    """
    from meter.core.automatic import PlanRefused  # a help text needs none
    from meter.core.command import CommandNotExecutable, CommandNotFound
    from meter.core.execute import Asked, execute

    gc.enable()
    faults: list[Any] = []
    try:
        measured = execute(argv, Asked(out, interval, sysroot, carbon), faults.append)
    except CommandNotFound as error:
        near = f"; did you mean {' or '.join(f'`{name}`' for name in error.near)}?" if error.near else ""
        common.say(f"meter: {error}{near}")
        return error.exit_code
    except CommandNotExecutable as error:
        common.say(f"meter: {error}" + (f"; {error.hint}" if error.hint else ""))
        return error.exit_code
    except OSError as error:
        common.say(f"meter: {common.refusal(error, 'the command could not be started')}")
        return 125
    except PlanRefused as error:
        _refuse(error.refused, argv, {"out": out, "interval": interval, "carbon": carbon})
        return 125
    common.show([common.fault_json(fault) for fault in faults])
    if format_ == "text":
        common.say(report(measured.document, common.width()))
        return measured.exit_code
    try:
        common.dump_json(measured.document)
        sys.stdout.flush()
    except OSError as error:  # the exit code stays that of the command
        common.silence()
        if not isinstance(error, BrokenPipeError):
            common.say(f"meter: {common.refusal(error, 'the output cannot be written')}")
    return measured.exit_code


def _refuse(refused: Sequence[Refused], argv: Sequence[str], options: Mapping[str, str | None]) -> None:
    """Say why the chain cannot be built, at the option of the command line that asked for it; each option once."""
    from meter.contracts.spans import Words  # only refusals need it

    given = {name: value for name, value in options.items() if value is not None}
    words = ["meter", "exec", *(f"--{name}={value}" for name, value in given.items()), "--", *argv]
    places = {name: place for place, name in enumerate(given, start=2)}
    line = Words(words)
    shown: dict[str, dict[str, Any]] = {}
    for document, option_name in refused:
        option = _ASKED_BY.get(option_name, option_name)
        spans = [span for span in document["spans"] if span["file"] not in (common.COMMAND_LINE, "--out")]
        if option in places:
            first = document["spans"][0]
            spans = [{**first, **line.span(places[option])._asdict(), "label": first["label"]}, *spans]
        shown.setdefault(option or document["message"], {**document, "spans": spans})
    common.show(list(shown.values()), words)


def report(document: dict[str, Any], width: int) -> str:
    """The table at the end: what is the command's, then what is the machine's."""
    from meter.core import carbon, energies, totals  # they are loaded, as there is a document

    machine = totals.summary(document["metrics"])
    found = [("command", *line) for line in _command_lines(document)]
    energy = (*energies.lines(document["energy"]), *carbon.lines(document["carbon"]))
    found += [("machine", *line) for line in (*energy, *machine.lines)]
    rows: list[list[str]] = []
    last = ""
    for scope, name, quantity in found:
        rows.append(["" if scope == last else scope, name, quantity.text(), quantity.quality])
        last = scope
    ending = f": {_ending(document)}"
    head = render.clip(render.visible(shlex.join(document["command"])), max(20, width - len(ending))) + ending
    lines = [head, "", render.table(rows, ["", "measured", "value", "quality"], align="lmrl", width=width)]
    remarks = totals.remarks((name, quantity) for _, name, quantity in found)
    if remarks:
        lines += ["", *(line for text in remarks for line in render.hanging(text, width))]
    if machine.zeros:
        zeros = f"{machine.zeros} more metrics of the machine stayed 0; --format json has them"
        lines += ["", textwrap.fill(zeros, max(20, width))]
    slowed = totals.slowed(document["slower"])
    if slowed:
        lines += ["", *(line for text in slowed for line in render.hanging(text, width))]
    if document["left_running"]:
        names = ", ".join(f"{render.visible(left['name'])} ({left['pid']})" for left in document["left_running"])
        lines += ["", f"still running: {names}; what they use from here on is not in the table"]
    if orphans := document["orphans"]["ended"]:
        spent = render.quantity(document["orphans"]["cpu"]["value"], "s")
        whose = "1 process" if orphans == 1 else f"{orphans} processes"
        lines += ["", f"{whose} that the command did not wait for used {spent} of CPU time, which is not in the table"]
    if document["missed_ticks"]:
        late = f"{document['missed_ticks']} polls came too late and were joined with the next; no time is lost"
        lines += ["", textwrap.fill(late, max(20, width))]
    return "\n".join(lines)


def _ending(document: dict[str, Any]) -> str:
    seconds = render.quantity(document["duration"]["value"], "s")
    if document["signal"] is not None:
        return f"killed by signal {document['signal']} after {seconds}"
    return f"exit {document['exit_code']} after {seconds}"


def _command_lines(document: dict[str, Any]) -> list[tuple[str, Quantity]]:
    """What a table shows of the command itself."""
    from meter.core.quantity import Quantity  # as in report

    found = [
        ("duration", document["duration"]),
        ("cpu time, user", document["cpu"]["user"]),
        ("cpu time, system", document["cpu"]["system"]),
        ("largest process", document["memory"]["max_rss"]),
        ("storage, read", document["io"]["read"]),
        ("storage, written", document["io"]["written"]),
        ("energy, attributed to the command", document["energy"]["attributed"]),
    ]
    if document["carbon"] is not None:
        found.append(("carbon, attributed to the command", document["carbon"]["attributed"]))
    return [(name, Quantity(**value)) for name, value in found]
