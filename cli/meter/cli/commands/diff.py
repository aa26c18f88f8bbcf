"""`meter diff`: may the new contracts stand for the old ones, and do their versions say so?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from meter.cli import common, render

_RULES = 2
"""Columns that the changes of a plugin are moved in by."""


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="Form of output.",
)
def diff(old: str, new: str, format_: str) -> int:
    """Compare contracts: what has changed, what it means to those who use the plugins, and the version step owed.

    OLD and NEW are contract files, plugins, folders of plugins, or REV:PATH, what git has at that path in a revision.
    Nothing is checked out, and no plugin runs.

    Exit: 0 every version says what has changed, 1 one does not or a plugin is gone, 5 something cannot be read.

    Example: meter diff origin/main:plugins plugins
    """
    from meter.contracts.diagnostics import Diagnostic  # the contract language, which a help text does not need
    from meter.contracts.replacement.succession import succession, unsettled, worst
    from meter.core.revisions import side

    before, after = sides = [side(word) for word in (old, new)]
    found = succession(before.beside(after), after.beside(before))
    unread = [diagnostic for each in sides for diagnostic in each.diagnostics]
    if any(not each.contracts for each in sides):
        found = []  # what is on one side alone would be said of every plugin of the other
    said = sorted([*unread, *unsettled(found)], key=Diagnostic.order)
    diagnostics = [diagnostic.to_json() for diagnostic in said]
    status = common.FAILED if unread else common.exit_code(diagnostics)
    if format_ == "json":
        common.dump_json(
            {
                "format": "meter-diff/1",
                "ok": status == common.OK,
                "class": worst(found) if found else None,
                "plugins": [each.to_json() for each in found],
                "diagnostics": diagnostics,
            }
        )
    elif format_ == "github":
        click.echo(render.github(_placed(diagnostics)))
    elif format_ == "sarif":
        from meter.core.version import __version__  # only this form names it

        common.dump_json(render.sarif(_placed(diagnostics), __version__, common.source(["meter", "diff", old, new])))
    else:
        for line in _text([each.to_json() for each in found], common.width()):
            click.echo(line)
        common.show([{**each, "notes": []} for each in diagnostics])  # the changes stand above
    return status


def _placed(diagnostics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Diagnostics with the places that CI can show: what only a revision has is no file of the checkout."""
    return [{**each, "spans": [s for s in each["spans"] if os.path.exists(s["file"])]} for each in diagnostics]


def _text(plugins: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    """What has become of each plugin; those with nothing to say are counted."""
    same = [each for each in plugins if not each["changes"] and each["old"] == each["new"]]
    for plugin in plugins:
        if plugin in same:
            continue
        yield from render.wrapped(_head(plugin), width)
        for change in plugin["changes"]:
            yield from _change(change, width)
    if same:
        yield f"{len(same)} plugin{'' if len(same) == 1 else 's'} unchanged"


def _head(plugin: Mapping[str, Any]) -> str:
    """Versions, class and steps of a plugin in one line."""
    name, old, new = plugin["plugin"], plugin["old"], plugin["new"]
    if old is None:
        return f"{name} {new}: new"
    if new is None:
        return f"{name} {old}: gone, which is {plugin['class']}"
    versions = f"{old} -> {new}" if old != new else new
    if not plugin["changes"]:
        return f"{name} {versions}: no changes"
    owed = f"{plugin['owed']} step owed, {plugin['taken']} taken"
    return f"{name} {versions}: {plugin['class']}, {owed}" + ("" if plugin["enough"] else f"; take {plugin['version']}")


def _change(change: Mapping[str, Any], width: int) -> Iterator[str]:
    """A change: class and rule, what it is, both places."""
    inner = max(width - 2 * _RULES, 1)
    old, new = (f"{place['file']}:{place['line']}" for place in (change["old"], change["new"]))
    yield from render.wrapped(f"{change['class']}: {change['rule']} ({change['clause']})", width - _RULES, _RULES)
    yield from render.wrapped(change["text"], inner, 2 * _RULES)
    yield from render.wrapped(f"{old} -> {new}", inner, 2 * _RULES)
