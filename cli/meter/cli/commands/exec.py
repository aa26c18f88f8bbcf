"""`meter exec`: measure a command."""

from __future__ import annotations

from typing import Any

import click

from meter.cli import common, render


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
@click.option("--out", metavar="FILE", help="Write every reading to a file; its suffix chooses the output (.csv).")
@click.option("-i", "--interval", metavar="DURATION", help="Time between two polls of every source.  [default: 1s]")
@common.format_option
@common.sysroot_option
def exec_(argv: tuple[str, ...], out: str | None, interval: str | None, format_: str, sysroot: str | None) -> int:
    """Measure a command: what it and the machine used while it ran. Its output, exit code and signals pass through.

    The table goes to stderr, so that the command's own output can be piped; --format json goes to stdout.

    Exit: that of the command; 127 not found, 126 not executable, 125 meter failed before the start, 128+N killed by N.
    """
    from meter.core.command import CommandNotExecutable, CommandNotFound  # a help text needs none
    from meter.core.execute import Asked, execute

    if argv[0] == "--":
        argv = argv[1:]
    elif argv[0].startswith("-"):
        raise click.NoSuchOption(argv[0], possibilities=["--out", "--interval", "--format", "--sysroot"])
    if not argv:
        raise click.UsageError("there is no command to measure; write it behind `--`")
    faults: list[Any] = []
    try:
        measured = execute(argv, Asked(out, interval, sysroot), faults.append)
    except CommandNotFound as error:
        near = f"; did you mean {' or '.join(f'`{name}`' for name in error.near)}?" if error.near else ""
        click.echo(f"meter: {error}{near}", err=True)
        return error.exit_code
    except CommandNotExecutable as error:
        click.echo(f"meter: {error}" + (f"; {error.hint}" if error.hint else ""), err=True)
        return error.exit_code
    except OSError as error:
        click.echo(f"meter: the command could not be started: {error.strerror or error}", err=True)
        return 125
    except Exception as error:
        if type(error).__name__ != "ContractError":  # imported only where a plan had to be made
            raise
        common.fail(error.diagnostics, ["meter", "exec"])  # type: ignore[attr-defined]  # it is a ContractError
        return 125
    common.show([common.fault_json(fault) for fault in faults])
    if format_ == "json":
        common.dump_json(measured.document)
    else:
        click.echo(report(measured.document, common.width()), err=True)
    return measured.exit_code


def report(document: dict[str, Any], width: int) -> str:
    """The table at the end: what is the command's, then what is the machine's."""
    rows = [["command", name, text, quality] for name, text, quality in _command_rows(document)]
    rows += [["machine", name, text, quality] for name, text, quality in _machine_rows(document)]
    last = ""
    for row in rows:
        row[0], last = ("" if row[0] == last else row[0]), row[0]
    head = f"{' '.join(document['command'])}: {_ending(document)}"
    lines = [head, "", render.table(rows, ["", "measured", "value", "quality"], align="llrl", width=width)]
    if document["left_running"]:
        names = ", ".join(f"{left['name']} ({left['pid']})" for left in document["left_running"])
        lines += ["", f"still running: {names}; what they use from here on is not in the table"]
    if document["missed_ticks"]:
        lines += ["", f"{document['missed_ticks']} polls came too late and were joined with the next; no time is lost"]
    return "\n".join(lines)


def _ending(document: dict[str, Any]) -> str:
    seconds = render.quantity(document["duration"]["value"], "s")
    if document["signal"] is not None:
        return f"killed by signal {document['signal']} after {seconds}"
    return f"exit {document['exit_code']} after {seconds}"


def _command_rows(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = [
        ("duration", document["duration"]),
        ("cpu time, user", document["cpu"]["user"]),
        ("cpu time, system", document["cpu"]["system"]),
        ("largest process", document["memory"]["max_rss"]),
        ("storage, read", document["io"]["read"]),
        ("storage, written", document["io"]["written"]),
        ("energy", document["energy"]["total"]),
    ]
    return [(name, _text(value), _quality(value)) for name, value in rows]


def _text(value: dict[str, Any]) -> str:
    return render.quantity(value["value"], value["unit"])


def _quality(value: dict[str, Any]) -> str:
    return f"{value['quality']}: {value['reason']}" if value["reason"] else str(value["quality"])


def _machine_rows(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The machine's metrics, summed over resources where they may be: one row for each metric and attribute."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for metric in document["metrics"]:
        if metric["scope"] != "machine":
            continue
        attributes = " ".join(f"{name.rpartition('.')[2]}={value}" for name, value in metric["attributes"].items())
        key = (metric["metric"], attributes)
        row = rows.setdefault(key, {**metric, "value": None, "parts": 0})
        row["parts"] += 1
        if metric["value"] is not None:
            row["value"] = (row["value"] or 0) + metric["value"]
        elif row["quality"] != "missing":
            row["quality"], row["reason"] = "missing", metric["reason"]
    out = []
    for (name, attributes), row in rows.items():
        how = {"mean": ", mean", "sum": ""}.get(row["statistic"], f", {row['statistic']}")
        quality = row["quality"] + (f": {row['reason']}" if row["quality"] == "missing" and row["reason"] else "")
        out.append((f"{name} {attributes}".strip() + how, render.quantity(row["value"], row["unit"]), quality))
    return out
