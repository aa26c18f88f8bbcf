"""`meter check`: is what is mounted, a file or a whole folder sound? An unchanged mount is answered from the lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from meter.cli import common
from meter.cli.targets import Targets, sorted_out

if TYPE_CHECKING:
    from meter.cli.fixes import Mended
    from meter.contracts.host import Host
    from meter.core.discovery import Shelf

_DIAGNOSTIC = ("code", "severity", "message", "clause", "spans", "notes", "help", "edit")
_SPAN = ("file", "line", "column", "length", "label")


@click.command()
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER|MOUNTPOINT]...")
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
@click.option("--fix", is_flag=True, help="Change the checked files where what was meant is certain, and check again.")
@click.option(
    "--host",
    default="probe",
    show_default=True,
    metavar="probe|assume|FILE",
    help="Ask this host, take for granted what is needed, or take what `meter doctor --format json` has written.",
)
@common.file_option
@common.plugin_dir_option
@common.sysroot_option
def check(
    targets: tuple[str, ...],
    format_: str,
    *,
    strict: bool,
    locked: bool,
    fix: bool,
    host: str,
    file: str | None,
    plugin_dirs: tuple[str, ...],
    sysroot: str | None,
) -> int:
    """Check mounts, mount files, contracts or folders of them; runs nothing, and changes nothing without --fix.

    Without an argument all mounts of the mount file are checked. Of a folder all mount files and contracts below it
    are: the contracts beside each other, the mounts with these plugins.

    Exit: 0 sound, 1 contract errors, 3 warnings with --strict, 4 drift or stale lock, 5 a file cannot be read.
    """
    asked = sorted_out(targets, file)

    def found() -> Found:
        return _found(asked, plugin_dirs, sysroot, locked=locked, host=host)

    if not fix:
        return _show(found(), asked, format_, strict=strict, mended=None)
    from meter.cli import fixes  # the contract language, which a check of an unchanged mount does without

    found_then, mended = fixes.mend(found, [*asked.files, *asked.contracts], plugin_dirs)
    return _show(found_then, asked, format_, strict=strict, mended=mended)


class Found(NamedTuple):
    """Backends that are sound, diagnostics, and how many contracts without an error were looked at by themselves."""

    backends: list[dict[str, Any]]
    diagnostics: list[Mapping[str, Any]]
    contracts: int


def _found(asked: Targets, plugin_dirs: Sequence[str], sysroot: str | None, *, locked: bool, host: str) -> Found:
    """What is to say of all that was asked for."""
    shelf, alone, beside = None, [], []
    if asked.contracts:
        from meter.core import discovery  # the contract language

        shelf = discovery.Shelf(plugin_dirs, asked.contracts)
        alone = [diagnostic.to_json() for diagnostic in discovery.read_files(asked.contracts)]
        beside = [diagnostic.to_json() for diagnostic in discovery.read_together(shelf)]
    backends: list[dict[str, Any]] = []
    mounted: list[Mapping[str, Any]] = []
    points = [(asked.file, name, place) for name, place in asked.mountpoints]
    for path, mountpoint, place in [*points, *((path, None, 0) for path in asked.mounts)]:
        words = asked.words[: place + 1]
        plans, others = _mounts(
            path, mountpoint, plugin_dirs, sysroot, locked=locked, host=host, shelf=shelf, words=words
        )
        backends += [backend(plan, path) for plan in plans]
        mounted += others
    beside = [each for each in beside if not any(_same_cause(each, other) for other in mounted)]
    broken = {span["file"] for each in (*alone, *beside) if each["severity"] == "error" for span in each["spans"][:1]}
    sound = sum(path not in broken for path in asked.contracts)
    shown = _unique([*asked.problems, *alone, *beside, *mounted])
    return Found(backends, common.for_here(shown) if host == "probe" else shown, sound)


def _host(asked: str) -> Host | None:
    """Who answers for the host; None for this host itself.

    Raises: ContractError, the file cannot be read or is no record of a host.
    """
    from meter.contracts.host import Assumed  # the contract language, which `--host probe` may do without
    from meter.core import record

    if asked == "probe":
        return None
    return Assumed() if asked == "assume" else record.read(asked)


def _same_cause(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a mount says the same of a contract as the contract beside others."""
    places = [[(span["file"], span["line"]) for span in each["spans"]] for each in (one, other)]
    same = one["message"] == other["message"] or not set(places[0]).isdisjoint(places[1])
    return bool(one["code"] == other["code"] and same)


def _unique(diagnostics: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each diagnostic once: several mounts can use one contract."""
    out: list[Mapping[str, Any]] = []
    for diagnostic in diagnostics:
        if diagnostic not in out:
            out.append(diagnostic)
    return out


def _mounts(
    path: str,
    mountpoint: str | None,
    plugin_dirs: Sequence[str],
    sysroot: str | None,
    *,
    locked: bool,
    host: str,
    shelf: Shelf | None,
    words: Sequence[str],
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Plans of a mount file that are sound, and diagnostics; `words` ends with the mountpoint, where there is one."""
    from meter.contracts import keynames  # light
    from meter.core import lock  # light

    mountpoint = None if mountpoint is None else keynames.tidy(mountpoint)
    entries = lock.warm(path, sysroot, () if mountpoint is None else (mountpoint,)) if host == "probe" else None
    if entries is not None:
        found = [diagnostic for entry in entries.values() for diagnostic in entry["diagnostics"]]
        return [entry["plan"] for entry in entries.values()], found

    from meter.contracts.diagnostics import ContractError  # the contract language: only where something has changed
    from meter.contracts.spans import Words
    from meter.core.mounts import Mounts

    try:
        mounts = Mounts(path, plugin_dirs=plugin_dirs, sysroot=sysroot, host=_host(host), shelf=shelf)
        span = None if mountpoint is None else Words(words).span(len(words) - 1)
        plans, found = mounts.check_all(mountpoint, locked=locked, span=span)
        return list(plans), list(found)
    except ContractError as error:
        return [], [diagnostic.to_json() for diagnostic in error.diagnostics]


def backend(plan: Mapping[str, Any], file: str) -> dict[str, Any]:
    """A plan as `meter check --format json` shows it."""
    shown = ("instance", "plugin", "version", "placement", "because")
    return {
        "mountpoint": plan["mountpoint"],
        "file": file,
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


def _show(found: Found, asked: Targets, format_: str, *, strict: bool, mended: Mended | None) -> int:
    backends, diagnostics, _ = found
    status = common.exit_code(diagnostics, strict=strict)
    ok = status in (common.OK, common.STRICT)
    if format_ == "json":
        shown = [
            {**_ordered(each, _DIAGNOSTIC), "spans": [_ordered(span, _SPAN) for span in each["spans"]]}
            for each in diagnostics
        ]
        document = {"format": "meter-check/1", "ok": ok, "backends": backends, "diagnostics": shown}
        common.dump_json(document if mended is None else {**document, **mended.to_json()})
        return status
    if mended is not None:
        mended.show(to_stderr=format_ != "text")
    if format_ in ("github", "sarif"):
        from meter.cli import render  # light, but only these forms need it here
        from meter.core.version import __version__

        if format_ == "github":
            click.echo(render.github(diagnostics))
        else:
            common.dump_json(render.sarif(diagnostics, __version__, common.source(asked.words)))
        return status
    for line in _lines(found, asked):
        click.echo(line)
    common.show(diagnostics, asked.words, here=False)
    if mended is None and (certain := sum(map(_is_certain, diagnostics))):
        hint = f"`meter check --fix` mends {certain} of these"
        common.say(hint)
    return status


def _lines(found: Found, asked: Targets) -> Iterator[str]:
    """What is sound: a line for each backend, and one for the contracts."""
    from meter.contracts import hops  # light, but JSON does without

    for each in found.backends:
        file = f"{each['file']} " if len(asked.files) > 1 else ""
        yield f"{file}{each['mountpoint']}: ok, {hops.chain(each)}"
    alone = len(asked.words) == 3 and not asked.files
    if alone and asked.contracts and found.contracts == len(asked.contracts):
        yield f"{asked.words[2]}: ok"
    elif found.contracts and not alone:
        yield f"{found.contracts} contract{'s' * (found.contracts > 1)}: ok"
    elif not found.backends and not found.diagnostics:
        yield "nothing is mounted; `meter mount /host cpu csv path=host.csv` does"


def _is_certain(diagnostic: Mapping[str, Any]) -> bool:
    """Whether `--fix` mends a diagnostic: whether it has an edit, and of files."""
    edit = diagnostic["edit"]
    return edit is not None and all(change["file"] != common.COMMAND_LINE for change in edit["changes"])
