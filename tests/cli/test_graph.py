"""`meter graph`: the drawing, and the forms for Mermaid and Graphviz; no name can break out of its label."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.cli import render
from meter.cli.commands import graph
from tests import strategies

if TYPE_CHECKING:
    from tests.cli.conftest import Sandbox

CHAIN = (
    "/host", "cpu", "memory", "rate", "metrics=system.cpu.time{cpu.mode=user|system}",
    "select", "drop=*.rate{cpu.mode=user}", "csv", "path=host.csv",
)  # fmt: skip
DRAWN = """\
/host

source      cpu ------+-----+
            memory ---|-----+
filter      rate <----'--+--+
postfilter  select <-----'  |
output      csv <-----------'

cpu -> rate
    system.cpu.time{cpu.mode=system|user}

cpu -> csv
    system.cpu.logical.count, system.cpu.time

memory -> csv
    system.memory.limit, system.memory.linux.available, system.memory.usage

rate -> select
    system.cpu.time.rate{cpu.mode=user}

rate -> csv
    system.cpu.time.rate
"""
odd = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    [
        '"',
        "end",
        "`x`",
        "a]b",
        "#35;",
        "&quot;",
        "\\",
        "\\n",
        "style:x#a;",
        "%%",
        "-->|",
        "<b>",
        "\x1b[31m",
        "\u202e",
        "木",
    ]
)


def backend(names: list[str], metrics: list[str]) -> dict[str, Any]:
    """A source for each name but the last, and an output that gets these metrics of each."""
    nodes = [{"instance": name, "plugin": "p", "placement": "source"} for name in names]
    nodes[-1]["placement"] = "output"
    edges = [{"from": name, "to": names[-1], "metrics": metrics} for name in names[:-1]]
    return {"mountpoint": "/" + names[0], "sound": True, "nodes": nodes, "edges": edges}


def test_the_drawing_shows_who_gives_what_to_whom(sandbox: Sandbox) -> None:
    """Rails lead from givers to takers; what passes a filter goes past it; each edge lists its metrics."""
    sandbox.mount(*CHAIN)
    assert sandbox.meter("graph", "/host").ok().out == DRAWN
    assert sandbox.meter("graph").ok().out == DRAWN


def test_short_names_are_drawn(sandbox: Sandbox) -> None:
    """A chain of names of one letter is a drawing, too."""
    sandbox.mount("/s", "random#a", "csv#b", "path=b.csv")
    assert sandbox.meter("graph").ok().out.splitlines()[2:4] == ["source  a ---+", "output  b <--'"]


def test_all_forms_have_the_same_nodes_and_edges(sandbox: Sandbox) -> None:
    """JSON, Mermaid and DOT agree, for all mounts where none is named."""
    sandbox.mount(*CHAIN)
    sandbox.mount("/other", "random", "csv", "path=other.csv")
    document = sandbox.meter("graph", "--format", "json").ok().json
    assert (document["format"], document["diagnostics"]) == ("meter-graph/1", [])
    first, second = document["backends"]
    assert {"from": "cpu", "to": "rate", "metrics": ["system.cpu.time{cpu.mode=system|user}"]} in first["edges"]
    assert second["edges"] == [{"from": "random", "to": "csv", "metrics": ["demo.random"]}]
    edges = sum(len(each["edges"]) for each in document["backends"])
    nodes = sum(len(each["nodes"]) for each in document["backends"])
    mermaid = sandbox.meter("graph", "--format", "mermaid").ok().out
    dot = sandbox.meter("graph", "--format", "dot").ok().out
    assert len(re.findall(r"^ +m\dn\d+ -->", mermaid, re.MULTILINE)) == edges
    assert len(re.findall(r"^ +m\dn\d+\[", mermaid, re.MULTILINE)) == nodes
    assert len(re.findall(r"^ +m\dn\d+ -> m\dn\d+ \[", dot, re.MULTILINE)) == edges
    assert len(re.findall(r"^ +m\dn\d+ \[label", dot, re.MULTILINE)) == nodes


@pytest.mark.parametrize("form", ["text", "mermaid", "dot"])
def test_where_there_is_nothing_to_draw_nothing_is_drawn(sandbox: Sandbox, form: str) -> None:
    """An empty diagram beside an error would be taken for one of what is mounted."""
    done = sandbox.meter("graph", "--format", form)
    assert (done.code, done.codes, done.out) == (5, ["E-FILE"], "")


# A flowchart of the forms that are used, whose labels hold only characters without meaning, and entity codes.
_LABEL = r'"(?:[A-Za-z0-9 ._/,]|#[0-9]+;|<br/>)*"'
MERMAID = re.compile(
    rf"flowchart LR|  +subgraph m\d+[a-z]*\[{_LABEL}\]|  +end"
    rf"|  +m\d+n\d+\[{_LABEL}\]|  +m\d+n\d+ -->\|{_LABEL}\| m\d+n\d+"
)


@given(st.lists(odd, min_size=2, max_size=4, unique=True), st.lists(odd, min_size=1, max_size=3))
@settings(strategies.steady, max_examples=150)
def test_mermaid_labels_hold_nothing_but_text(names: list[str], metrics: list[str]) -> None:
    """Whatever a name is, each line has the form of a flowchart, and its entity codes give the name back."""
    text = list(graph._mermaid([backend(names, metrics)]))
    assert [line for line in text if MERMAID.fullmatch(line) is None] == []
    assert sum(line.strip() == "end" for line in text) == sum("subgraph" in line for line in text)
    labels = [line.partition('["')[2][:-2] for line in text if re.match(r" +m\d+n\d+\[", line)]
    assert [re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label) for label in labels] == list(
        map(render.visible, names)
    )


# A string of the DOT language: `\` is followed by one of the escapes that are used, `&` begins an entity.
DOT_STRING = re.compile(r'"(?:[^"\\&]|\\["\\n]|&amp;)*"')


@given(st.lists(odd, min_size=2, max_size=4, unique=True), st.lists(odd, min_size=1, max_size=3))
@settings(strategies.steady, max_examples=150)
def test_dot_strings_are_closed(names: list[str], metrics: list[str]) -> None:
    """Whatever a name is, it stays inside its string, on one line."""
    for line in graph._dot([backend(names, metrics)]):
        rest = DOT_STRING.sub("", line)
        assert '"' not in rest
        assert "\\" not in rest
        assert line.isprintable()


def test_graphviz_reads_it(sandbox: Sandbox) -> None:
    """`dot` draws a mounted chain, and one of odd names, without a complaint."""
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    sandbox.mount(*CHAIN)
    names = ['"', "\\", "a\\n&lt;", "<b>", "木", "}"]
    for text in (sandbox.meter("graph", "--format", "dot").ok().out, "\n".join(graph._dot([backend(names, names)]))):
        done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("graph ")


@pytest.mark.parametrize("width", [20, 40, 80])
@given(st.lists(odd, min_size=2, max_size=9, unique=True), st.lists(odd, min_size=1, max_size=5))
@settings(strategies.steady, max_examples=60)
def test_the_drawing_fits(width: int, names: list[str], metrics: list[str]) -> None:
    """No line is wider than the terminal, no name steers it, and no metric is lost."""
    text = list(graph._text(backend(names, metrics), width))
    assert all(render.columns(line) <= width and line.isprintable() for line in text)
    listed = re.sub(r"\s", "", "".join(text))
    assert all(re.sub(r"\s", "", render.visible(metric)) in listed for metric in metrics)


def test_more_takers_than_columns_are_listed(sandbox: Sandbox) -> None:
    """Where the rails have no room the instances are named and the edges listed."""
    outputs = [word for number in range(9) for word in (f"csv#o{number}", f"path=o{number}.csv")]
    sandbox.mount("/many", "random", *outputs)
    narrow = sandbox.meter("graph", env={"COLUMNS": "30"}).ok().out
    assert "'" not in narrow
    assert narrow.count("demo.random") == 9
    assert sandbox.meter("graph").ok().out.count("'") == 9


def test_an_unknown_mountpoint_is_said(sandbox: Sandbox) -> None:
    """Exit 1 with the nearest, in a drawing as in JSON."""
    sandbox.mount(*CHAIN)
    done = sandbox.meter("graph", "/hots")
    assert (done.code, done.codes, done.out) == (1, ["E-MOUNT-UNKNOWN"], "")
    assert "did you mean `/host`?" in done.errors
    assert sandbox.meter("graph", "/hots", "--format", "json").json["backends"] == []
