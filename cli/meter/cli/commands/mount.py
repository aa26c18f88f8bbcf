"""`meter mount` and `meter umount`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from meter.cli import common, render


@click.command()
@click.argument("mountpoint", required=False)
@click.argument("words", nargs=-1, metavar="[PLUGIN[#LABEL] [OPTION=VALUE]...]...")
@click.option("--optional", multiple=True, metavar="WORD", help="As WORD, left out where the host cannot carry it.")
@click.option("--want", multiple=True, metavar="METRIC", help="Find a plugin for this metric.")
@click.option("--prefer", multiple=True, metavar="PLUGIN", help="Choose it where several could be taken.")
@click.option("--order", multiple=True, metavar="A,B,...", help="These instances in this order.")
@click.option("--durability", metavar="WORD", help="What every output must at least promise.")
@click.option("--no-recommends", is_flag=True, help="Add nothing that plugins recommend.")
@common.format_option
@common.file_option
@common.plugin_dir_option
@common.sysroot_option
def mount(
    mountpoint: str | None,
    words: tuple[str, ...],
    format_: str,
    file: str | None,
    plugin_dirs: tuple[str, ...],
    sysroot: str | None,
    **asked: Any,
) -> int:
    """Check a backend and record it in the mount file; nothing is changed when the check finds an error.

    An OPTION=VALUE belongs to the plugin before it. With a MOUNTPOINT alone the backend is checked anew and its plan
    recorded. Without arguments the backends are listed.

    Example: meter mount /host cpu memory csv path=host.csv
    """
    path = common.mount_file(file)
    from meter.contracts import hops
    from meter.contracts.diagnostics import ContractError  # the contract language, which a help text does not need
    from meter.contracts.spans import Words
    from meter.core.mounting import Mounting

    mounts = Mounting(path, plugin_dirs=plugin_dirs, sysroot=sysroot)
    before, asks = _asked(asked)
    before.append(mountpoint or "")
    try:
        if mountpoint is None:
            if asks:
                raise click.UsageError("These options are for a backend: name its mountpoint and its plugins.")
            return _list(mounts.overview(), format_)
        _refuse(words, before, plugin_dirs)
        if words or asks:
            ready = mounts.mount(mountpoint, words, before, asks)
        else:
            ready = mounts.refresh(mountpoint, Words(before).span(len(before) - 1))
    except ContractError as error:
        return common.fail(error.diagnostics, [*before, *words])
    common.show([diagnostic.to_json() for diagnostic in ready.diagnostics], [*before, *words])
    for line in ready.completed:
        common.say(render.visible(line))
    click.echo(f"{ready.plan['mountpoint']}: {hops.chain(ready.plan)}")
    return common.OK


def _asked(asked: Mapping[str, Any]) -> tuple[list[str], dict[str, list[int]]]:
    """The command line up to the mountpoint, and where in it the words of a request stand that options give."""
    before = ["meter", "mount"]
    asks: dict[str, list[int]] = {}
    for name in ("optional", "want", "prefer", "order"):
        for value in asked[name]:
            before += [f"--{name}", value]
            asks.setdefault(name, []).append(len(before) - 1)
    if asked["durability"] is not None:
        before += ["--durability", asked["durability"]]
        asks["durability"] = [len(before) - 1]
    if asked["no_recommends"]:
        before.append("--no-recommends")
        asks["recommends"] = [len(before) - 1]
    return before, asks


def _refuse(words: Sequence[str], before: Sequence[str], plugin_dirs: Sequence[str]) -> None:
    """What would be noticed too late: after the mount, or by the file that cannot hold it.

    Raises: ContractError.
    """
    from meter.contracts.diagnostics import ContractError, Diagnostic  # as in mount
    from meter.contracts.spans import Span, Words

    found: list[Diagnostic] = []
    line = Words([*before, *words])
    for place, word in enumerate([*before, *words]):
        if "=" in word and any("\udc80" <= char <= "\udcff" for char in word):
            span = line.span(place)
            found.append(Diagnostic(code="E-OPTION", variant="not-utf8", facts={"word": word}, spans=(span,)))
    for folder in plugin_dirs:
        if not os.path.isdir(folder):
            spans = (Span(folder, 1, 1),)
            found.append(Diagnostic(code="E-FILE", variant="no-plugin-folder", facts={"path": folder}, spans=spans))
    if found:
        raise ContractError(found)


def _list(rows: list[dict[str, Any]], format_: str) -> int:
    if format_ == "json":
        common.dump_json({"format": "meter-mounts/1", "mounts": rows})
    elif not rows:
        click.echo("nothing is mounted; `meter mount /host cpu csv path=host.csv` does", err=True)
    else:
        table = [[row["mountpoint"], row["state"], " ".join(row["plugins"])] for row in rows]
        click.echo(render.listing(table, ["mountpoint", "state", "plugins"], width=common.width(), prose=True))
    return common.OK


@click.command()
@click.argument("mountpoint")
@common.file_option
def umount(mountpoint: str, file: str | None) -> int:
    """Take a backend out of the mount file. Works when its plugins are missing."""
    from meter.contracts.diagnostics import ContractError  # as in mount
    from meter.contracts.spans import Words
    from meter.core.mounting import Mounting

    before = ["meter", "umount", mountpoint]
    try:
        Mounting(common.mount_file(file)).umount(mountpoint, Words(before).span(2))
    except ContractError as error:
        return common.fail(error.diagnostics, before)
    return common.OK
