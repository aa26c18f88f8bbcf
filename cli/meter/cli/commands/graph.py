"""`meter graph`: which metrics go from which instance to which, as a drawing or for a program that draws."""

from __future__ import annotations

import shutil
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from meter.cli import common, recorded, render

_RAIL: Final = 3
"""Columns from one rail of the drawing to the next."""

_PLAIN: Final = frozenset(string.ascii_letters + string.digits + " ._/,")
"""Characters of a label that mean nothing to Mermaid."""

Backend = Mapping[str, Any]


@click.command()
@click.argument("mountpoint", required=False, metavar="[MOUNTPOINT]", shell_complete=recorded.mountpoints)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "mermaid", "dot", "json"]),
    default="text",
    show_default=True,
    help="Form of output.",
)
@common.file_option
@common.plugin_dir_option
@common.sysroot_option
def graph(
    mountpoint: str | None, format_: str, file: str | None, plugin_dirs: tuple[str, ...], sysroot: str | None
) -> int:
    """Draw which metrics go from which plugin to which; without MOUNTPOINT for all mounts of the mount file.

    What a filter lets pass goes straight from the plugin that gave it to the next one that takes it.

    Exit: 0 drawn, 1 contract errors, 4 drift, 5 a file cannot be read.
    """
    words = ["meter", "graph", *([mountpoint] if mountpoint is not None else [])]
    found, diagnostics = recorded.plans(common.mount_file(file), mountpoint, plugin_dirs, sysroot, words)
    backends = [_document(each) for each in found]
    if format_ == "json":
        common.dump_json({"format": "meter-graph/1", "backends": backends, "diagnostics": diagnostics})
        return common.exit_code(diagnostics)
    common.show(diagnostics, words)
    if diagnostics and not backends:  # a diagram of nothing would look like one of what is mounted
        return common.exit_code(diagnostics)
    if format_ == "mermaid":
        click.echo("\n".join(_mermaid(backends)))
    elif format_ == "dot":
        click.echo("\n".join(_dot(backends)))
    elif backends:
        width = max(20, shutil.get_terminal_size((80, 24)).columns)
        click.echo("\n\n".join("\n".join(_text(backend, width)) for backend in backends))
    else:
        click.echo("nothing is mounted; `meter mount /host cpu csv path=host.csv` does")
    return common.exit_code(diagnostics)


def _document(found: recorded.Recorded) -> dict[str, Any]:
    """A backend as nodes in the order of the chain and edges with the metrics that go along them."""
    from meter.contracts import hops  # light, but a help text needs none

    shown = ("instance", "plugin", "placement")
    return {
        "mountpoint": found.plan["mountpoint"],
        "sound": found.sound,
        "nodes": [{name: plugin[name] for name in shown} for plugin in found.plan["plugins"]],
        "edges": [{"from": a, "to": b, "metrics": metrics} for (a, b), metrics in hops.flows(found.plan).items()],
    }


def _by_placement(backend: Backend) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for node in backend["nodes"]:
        groups.setdefault(node["placement"], []).append(node["instance"])
    return groups


# ---------------------------------------------------------------------------------------------------------------- text


def _text(backend: Backend, width: int) -> Iterator[str]:
    """A drawing, and below it the metrics of each edge.

    Each instance that takes something has a rail: it begins at the first instance that gives it something, with `+`
    at each that does, and ends at its own row.
    """
    note = "" if backend["sound"] else " (as it was mounted; the check does not pass it now)"
    yield render.clip(f"{render.visible(backend['mountpoint'])}{note}", width)
    yield ""
    yield from _drawing(backend, width)
    for edge in backend["edges"]:
        yield ""
        yield render.clip(render.visible(f"{edge['from']} -> {edge['to']}"), width)
        yield from _listed(edge["metrics"], width)


def _drawing(backend: Backend, width: int) -> Iterator[str]:
    names = [node["instance"] for node in backend["nodes"]]
    takers = [name for name in names if any(edge["to"] == name for edge in backend["edges"])]
    pairs = {(edge["from"], edge["to"]) for edge in backend["edges"]}
    placements = [node["placement"] for node in backend["nodes"]]
    room = width - _RAIL * len(takers) - 2
    longest = max(map(len, placements))
    free = room - longest - 2
    column = min(max(render.columns(render.visible(name)) for name in names), free)
    if free < 4:  # too many rails for the terminal: the list below says it all
        for placement, labels in _by_placement(backend).items():
            yield render.clip(f"{placement}: {render.visible(', '.join(labels))}", width)
        return
    begins = {taker: min(names.index(giver) for giver, to in pairs if to == taker) for taker in takers}
    before = ""
    for row, (name, placement) in enumerate(zip(names, placements, strict=True)):
        label = render.clip(render.visible(name), column)
        blanks = column - render.columns(label)
        gives = [at for at, taker in enumerate(takers) if (name, taker) in pairs]
        ends = takers.index(name) if name in takers else -1
        last = max([ends, *gives])
        cells = []
        for at, taker in enumerate(takers):
            open_ = begins[taker] < row < names.index(taker)
            line = "-" if at <= last else " "
            mark = "'" if at == ends else "+" if at in gives else "|" if open_ else line
            cells.append(line * (_RAIL - 1) + mark)
        start = "<" if ends >= 0 else "-" if gives else " "
        fill = ("-" if last >= 0 else " ") * blanks
        shown = placement if placement != before else ""
        before = placement
        yield f"{shown:<{longest}}  {label} {start}{fill}{''.join(cells)}".rstrip()


def _listed(metrics: Sequence[str], width: int) -> Iterator[str]:
    """Metrics, as many in a line as fit; a longer one is broken anywhere."""
    room = width - 5  # an indent, and a comma at the end
    line = ""
    for metric in metrics:
        text = render.visible(metric)
        if line and render.columns(line) + 2 + render.columns(text) > room:
            yield f"    {line},"
            line = ""
        line = f"{line}, {text}" if line else text
        while render.columns(line) > room:
            piece = line
            while render.columns(piece) > room:
                piece = piece[:-1]
            yield f"    {piece}"
            line = line[len(piece) :]
    if line:
        yield f"    {line}"


# ---------------------------------------------------------------------------------------------------- mermaid and dot


def _mermaid(backends: Sequence[Backend]) -> Iterator[str]:
    """A flowchart, a subgraph for each mountpoint and in it one for each placement.

    Source: mermaid.js.org/syntax/flowchart.html, quoted labels and entity codes.
    """
    yield "flowchart LR"
    for number, backend in enumerate(backends):
        ids = {node["instance"]: f"m{number}n{at}" for at, node in enumerate(backend["nodes"])}
        yield f'  subgraph m{number}["{_entities(backend["mountpoint"])}"]'
        for placement, labels in _by_placement(backend).items():
            yield f'    subgraph m{number}{placement}["{_entities(placement)}"]'
            yield from (f'      {ids[label]}["{_entities(label)}"]' for label in labels)
            yield "    end"
        for edge in backend["edges"]:
            label = "<br/>".join(map(_entities, edge["metrics"]))
            yield f'    {ids[edge["from"]]} -->|"{label}"| {ids[edge["to"]]}'
        yield "  end"


def _entities(text: str) -> str:
    """A text in which whatever could mean something to Mermaid is an entity code."""
    return "".join(char if char in _PLAIN else f"#{ord(char)};" for char in render.visible(text))


def _dot(backends: Sequence[Backend]) -> Iterator[str]:
    """A directed graph with a cluster for each mountpoint; instances of one placement are of one rank.

    Source: graphviz.org/doc/info/lang.html, quoted strings; `&` begins an HTML entity in them.
    """
    yield "digraph meter {"
    yield "  rankdir=LR;"
    yield "  node [shape=box];"
    for number, backend in enumerate(backends):
        ids = {node["instance"]: f"m{number}n{at}" for at, node in enumerate(backend["nodes"])}
        yield f"  subgraph cluster_{number} {{"
        yield f'    label="{_quoted(backend["mountpoint"])}";'
        for node in backend["nodes"]:
            label = "\\n".join(map(_quoted, (node["instance"], node["placement"])))
            yield f'    {ids[node["instance"]]} [label="{label}"];'
        for labels in _by_placement(backend).values():
            yield f"    {{ rank=same; {' '.join(f'{ids[label]};' for label in labels)} }}"
        for edge in backend["edges"]:
            label = "\\n".join(map(_quoted, edge["metrics"]))
            yield f'    {ids[edge["from"]]} -> {ids[edge["to"]]} [label="{label}"];'
        yield "  }"
    yield "}"


def _quoted(text: str) -> str:
    return render.visible(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
