"""`meter doctor`: what this host can measure, what hinders it, and the command that mends it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from meter.cli import common, render

if TYPE_CHECKING:
    from meter.contracts.catalogue import Catalogue
    from meter.contracts.diagnostics import Diagnostic
    from meter.contracts.doctor import Finding, Lack
    from meter.core.host import Probe


@click.command()
@common.format_option
@common.file_option
@common.plugin_dir_option
@common.sysroot_option
def doctor(format_: str, file: str | None, plugin_dirs: tuple[str, ...], sysroot: str | None) -> int:
    """Say of every plugin whether this host lets it work: why not, and which command mends it. Runs no plugin.

    The JSON form is a record of this host: `meter check --host FILE` checks against it on another machine. It has the
    answers for all plugins, and for the mounts of the mount file where there is one.
    """
    from meter.contracts.doctor import examine  # the contract language, which a help text does not need

    catalogue, probe, problems = _asked(common.mount_file(file), plugin_dirs, sysroot, explicit=file is not None)
    findings = [_for_here(finding) for finding in examine(catalogue, probe, running=sysroot is None)]
    shown = [diagnostic.to_json() for diagnostic in problems]
    for entries in catalogue.entries.values():
        for entry in entries:
            faults = [d.to_json() for d in entry.diagnostics if d.level == "error"]
            shown += [fault for fault in faults if fault not in shown]
    if format_ == "json":
        from meter.core import record  # only the record needs it

        plugins = [_document(finding) for finding in findings]
        document = {"format": record.FORMAT, "sysroot": sysroot, "facts": record.to_json(probe.facts)}
        common.dump_json({**document, "plugins": plugins})
    else:
        click.echo("\n".join(_page(findings, common.width(), sysroot)))
    common.show(shown)
    return common.exit_code(shown)


def _asked(
    path: str, plugin_dirs: Sequence[str], sysroot: str | None, *, explicit: bool
) -> tuple[Catalogue, Probe, list[Diagnostic]]:
    """Every contract, and a probe that was asked all that the mounts of a file need.

    Args: explicit, a mount file that is not there is a fault.
    """
    from meter.contracts.check import check  # as in doctor
    from meter.contracts.diagnostics import ContractError
    from meter.core.mounts import Mounts

    mounts = Mounts(path, plugin_dirs=plugin_dirs, sysroot=sysroot)
    catalogue, found = mounts.catalogue()
    probe, problems = mounts.probe(), list(found)
    if explicit or os.path.exists(path):
        try:
            for request in mounts.read()[1].values():
                check(request, catalogue, probe)
        except ContractError as error:
            problems += error.diagnostics
    return catalogue, probe, problems


def _for_here(finding: Finding) -> Finding:
    """A finding whose commands call meter as it was called."""
    from attrs import evolve  # loaded with the contract language

    def own(lines: Sequence[str]) -> tuple[str, ...]:
        return tuple(map(common.called, lines))

    lacks = [
        evolve(each, help=common.called(each.help), commands=own(each.commands), permanent=own(each.permanent))
        for each in finding.lacks
    ]
    return evolve(finding, lacks=tuple(lacks))


def _state(finding: Finding) -> str:
    return "no" if not finding.works else "partly" if finding.lacks else "yes"


def _document(finding: Finding) -> dict[str, Any]:
    """What a record says of a plugin, beside the answers."""
    return {
        "plugin": finding.plugin,
        "placement": finding.placement,
        "works": _state(finding),
        "metrics": list(finding.gives),
        "estimates": list(finding.estimates),
        "lacks": [
            {
                "metrics": list(lack.metrics),
                "why": lack.why,
                "help": lack.help,
                "commands": list(lack.commands),
                "permanent": list(lack.permanent),
                "possible": list(lack.possible),
            }
            for lack in finding.lacks
        ],
    }


def _page(findings: Sequence[Finding], width: int, sysroot: str | None) -> Iterator[str]:
    """All findings: a table of those that work, and what the others lack."""
    width = max(40, width)
    if sysroot is not None:
        from meter.contracts.language import language  # as in doctor

        yield from _folded("", language().phrase("text", "tree", path=sysroot), width)
    able = [finding.plugin for finding in findings if not finding.lacks]
    yield from _folded("works here: ", ", ".join(able) or "nothing", width)
    metrics = {name for finding in findings for name in finding.gives}
    measured = {name for finding in findings for name in finding.gives if name not in finding.estimates}
    yield from _folded("can be measured: ", ", ".join(sorted(measured)) or "nothing", width)
    if metrics - measured:
        yield from _folded("can only be estimated: ", ", ".join(sorted(metrics - measured)), width)
    for finding in findings:
        for lack in finding.lacks:
            yield ""
            yield from _lacking(finding, lack, width)


def _lacking(finding: Finding, lack: Lack, width: int) -> Iterator[str]:
    """What a plugin lacks, and what mends it: a command in a line of its own, that it can be copied."""
    from meter.contracts.language import language  # as in doctor

    what = f"gives no {', '.join(lack.metrics)}" if lack.metrics else "does not work here"
    yield from _folded(f"{finding.plugin} {what}: ", lack.why, width)
    if not lack.commands and not lack.possible:
        yield from _folded("  help: ", lack.help, width)
    for lines, word in ((lack.commands, ""), (lack.permanent, "permanent"), (lack.possible, "possible")):
        if lines and word:
            yield from _folded("  ", language().phrase("text", word), width)
        for line in lines:
            yield f"  $ {render.visible(line)}"


def _folded(head: str, text: str, width: int) -> Iterator[str]:
    """A text behind its head, in lines of so many columns; further lines are indented."""
    whole = render.visible(head + text)
    yield from textwrap.wrap(whole, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
