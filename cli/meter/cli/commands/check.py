"""`meter check`: is what is mounted, or a file, sound? An unchanged mount is answered from the lock."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from meter.cli import common

_DIAGNOSTIC = ("code", "severity", "message", "clause", "spans", "notes", "help", "edit")
_SPAN = ("file", "line", "column", "length", "label")


@click.command()
@click.argument("target", required=False, metavar="[FILE|FOLDER|MOUNTPOINT]")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="Form of output.",
)
@click.option("--strict", is_flag=True, help="Warnings count: exit 3.")
@click.option("--locked", is_flag=True, help="The lock has to belong to the request: else exit 4.")
@click.option(
    "--host",
    type=click.Choice(["probe", "assume"]),
    default="probe",
    show_default=True,
    help="Ask this host, or take for granted what is needed of it.",
)
@common.file_option
@common.plugin_dir_option
@common.sysroot_option
def check(
    target: str | None,
    format_: str,
    strict: bool,  # noqa: FBT001  (click hands options over by name)
    locked: bool,  # noqa: FBT001  (as strict)
    host: str,
    file: str | None,
    plugin_dirs: tuple[str, ...],
    sysroot: str | None,
) -> int:
    """Check mounts, a mount file, a contract or a folder of plugins; runs nothing and changes nothing.

    Without an argument all mounts of the mount file are checked.

    Exit: 0 sound, 1 contract errors, 3 warnings with --strict, 4 drift or stale lock, 5 a file cannot be read.
    """
    mountpoint, folder = None, None
    if target in (None, "/") or not (os.path.exists(target) or target.endswith((".toml", ".py"))):
        mountpoint = target
    elif os.path.isdir(target):
        inside = os.path.join(target, "meter.toml")
        folder = target
        file = inside if os.path.isfile(inside) else None
    elif os.path.basename(target) == "contract.toml" or target.endswith(".py"):
        folder = target
    else:
        file = target
    backends: list[dict[str, Any]] = []
    diagnostics: list[Mapping[str, Any]] = []
    if folder is not None:
        diagnostics += [d for d in _contracts(folder) if file is None or d["code"] != "E-CONTRACT-MISSING"]
        plugin_dirs = (*plugin_dirs, folder) if os.path.isdir(folder) else plugin_dirs
    if folder is None or file is not None:
        found = _mounts(common.mount_file(file), mountpoint, plugin_dirs, sysroot, locked=locked, host=host)
        backends, diagnostics = found[0], [*diagnostics, *found[1]]
    words = ["meter", "check", *([mountpoint] if mountpoint is not None else [])]
    return _show(backends, _unique(diagnostics), format_, strict=strict, folder=folder, words=words)


def _unique(diagnostics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each diagnostic once: several mounts can use one contract."""
    out: list[Mapping[str, Any]] = []
    for diagnostic in diagnostics:
        if diagnostic not in out:
            out.append(diagnostic)
    return out


def _mounts(
    path: str, mountpoint: str | None, plugin_dirs: tuple[str, ...], sysroot: str | None, *, locked: bool, host: str
) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
    """Backends that are sound, and diagnostics."""
    from meter.core import lock  # light

    entries = lock.warm(path, sysroot, () if mountpoint is None else (mountpoint,)) if host == "probe" else None
    if entries is not None:
        found = [diagnostic for entry in entries.values() for diagnostic in entry["diagnostics"]]
        return [backend(entry["plan"]) for entry in entries.values()], found

    from meter.contracts.diagnostics import ContractError  # the contract language: only where something has changed
    from meter.contracts.spans import Words
    from meter.core.mounts import Mounts

    mounts = Mounts(path, plugin_dirs=plugin_dirs, sysroot=sysroot, assume=host == "assume")
    try:
        span = None if mountpoint is None else Words(["meter", "check", mountpoint]).span(2)
        plans, found = mounts.check_all(mountpoint, locked=locked, span=span)
        return [backend(plan) for plan in plans], list(found)
    except ContractError as error:
        return [], [diagnostic.to_json() for diagnostic in error.diagnostics]


def backend(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan as `meter check --format json` shows it."""
    shown = ("instance", "plugin", "version", "placement", "because")
    return {
        "mountpoint": plan["mountpoint"],
        "order": plan["order"],
        "plugins": [{name: plugin[name] for name in shown} for plugin in plan["plugins"]],
        "edges": [_ordered(edge, ("from", "to", "because")) for edge in plan["edges"]],
        "schema": {
            plugin["instance"]: [
                _ordered(metric, ("metric", "unit", "type", "kind")) for metric in plan["schema"][plugin["instance"]]
            ]
            for plugin in plan["plugins"]
            if plugin["role"] == "output"
        },
    }


def _ordered(document: Mapping[str, Any], first: Sequence[str]) -> dict[str, Any]:
    """The same with its fields in this order: the lock has them sorted by name, a new plan as they were made."""
    return {**dict.fromkeys(name for name in first if name in document), **document}


def _contracts(target: str) -> list[Mapping[str, Any]]:
    """Diagnostics of a contract file, or of all contracts of a folder."""
    from meter.core.discovery import read_folder  # the contract language

    return [diagnostic.to_json() for diagnostic in read_folder(target)]


def _show(
    backends: list[dict[str, Any]],
    diagnostics: list[Mapping[str, Any]],
    format_: str,
    *,
    strict: bool,
    folder: str | None,
    words: Sequence[str],
) -> int:
    status = common.exit_code(diagnostics, strict=strict)
    ok = status in (common.OK, common.STRICT)
    if format_ == "json":
        shown = [
            {**_ordered(each, _DIAGNOSTIC), "spans": [_ordered(span, _SPAN) for span in each["spans"]]}
            for each in diagnostics
        ]
        document = {"format": "meter-check/1", "ok": ok, "backends": backends, "diagnostics": shown}
        common.dump_json(document)
        return status
    if format_ in ("github", "sarif"):
        from meter.cli import render  # light, but only these forms need it here
        from meter.core.version import __version__

        if format_ == "github":
            click.echo(render.github(diagnostics))
        else:
            common.dump_json(render.sarif(diagnostics, __version__))
        return status
    from meter.contracts import hops  # light, but JSON does without

    for entry in backends:
        click.echo(f"{entry['mountpoint']}: ok, {hops.chain(entry)}")
    common.show(diagnostics, words)
    if not backends and not diagnostics:
        click.echo(f"{folder}: ok" if folder else "nothing is mounted; `meter mount /host cpu csv path=host.csv` does")
    return status
