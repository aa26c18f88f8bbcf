"""`meter mount` and `meter umount`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

from meter.cli import common, render


@click.command()
@click.argument("mountpoint", required=False)
@click.argument("words", nargs=-1, metavar="[PLUGIN[#LABEL] [OPTION=VALUE]...]...")
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
    from meter.core.mounts import Mounts

    mounts = Mounts(path, plugin_dirs=plugin_dirs, sysroot=sysroot)
    before = ["meter", "mount", mountpoint or ""]
    try:
        if mountpoint is None:
            return _list(mounts.overview(), format_)
        _refuse(words, before, plugin_dirs)
        ready = mounts.mount(mountpoint, words, before) if words else mounts.refresh(mountpoint, Words(before).span(2))
    except ContractError as error:
        return common.fail(error.diagnostics, [*before, *words])
    common.show([diagnostic.to_json() for diagnostic in ready.diagnostics], [*before, *words])
    for line in ready.completed:
        common.say(render.visible(line))
    click.echo(f"{ready.plan['mountpoint']}: {hops.chain(ready.plan)}")
    return common.OK


def _refuse(words: Sequence[str], before: Sequence[str], plugin_dirs: Sequence[str]) -> None:
    """What would be noticed too late: after the mount, or by the file that cannot hold it.

    Raises: ContractError.
    """
    from meter.contracts.diagnostics import ContractError, Diagnostic  # as in mount
    from meter.contracts.spans import Span, Words

    found: list[Diagnostic] = []
    line = Words([*before, *words])
    for place, word in enumerate(words, start=len(before)):
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
        click.echo(render.table(table, ["mountpoint", "state", "plugins"], width=common.width()))
    return common.OK


@click.command()
@click.argument("mountpoint")
@common.file_option
def umount(mountpoint: str, file: str | None) -> int:
    """Take a backend out of the mount file. Works when its plugins are missing."""
    from meter.contracts.diagnostics import ContractError  # as in mount
    from meter.contracts.spans import Words
    from meter.core.mounts import Mounts

    before = ["meter", "umount", mountpoint]
    try:
        Mounts(common.mount_file(file)).umount(mountpoint, Words(before).span(2))
    except ContractError as error:
        return common.fail(error.diagnostics, before)
    return common.OK
