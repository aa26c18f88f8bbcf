"""A selector that means nothing, where a plugin that is there gives what it names with other options."""

from __future__ import annotations

import pytest

from tests.contracts.build import metric, one, output, run, source

SINK = output()
TICKS = source("ticks", metric("ticks.n", kind="delta", unit="{tick}", type_="u64"))
GUARDED = source(
    "guarded",
    metric("power", more="when = { deep = true, mode = ['b', 'c'] }"),
    metric("power", more="when = { deep = true, mode = 'a' }"),
    metric("far", more="when = { deep = true, mode = ['b', 'c'] }"),
    more="""
[config.deep]
type = "bool"
default = false
[config.mode]
type = "enum"
values = ["a", "b", "c"]
default = "a"
""",
)


@pytest.mark.parametrize(
    ("name", "given", "written"),
    [
        ("power", "", "deep = true"),  # the fewest that do
        ("far", "", 'deep = true, mode = "b"'),
        ("far", "config.guarded.deep = true\n", 'mode = "b"'),
    ],
)
def test_who_gives_it_with_another_option_only(name: str, given: str, written: str) -> None:
    """A plugin that is there needs no second one: its option is told, and what is told mends it."""
    more = f'config.sink.metrics = ["*", "{name}"]\n'
    document = one(run("ticks guarded sink", TICKS, GUARDED, SINK, more=given + more), "E-FLOW-EMPTY")
    lines = [f"config.guarded.{each}" for each in written.split(", ")]
    told = lines[0] if len(lines) == 1 else f"config.guarded = {{ {written} }}"
    assert document["help"] == f"write `{told}`: without it `guarded` does not give it"
    mended = "\n".join(lines) + "\n"
    assert run("ticks guarded sink", TICKS, GUARDED, SINK, more=given + mended + more).plan is not None
