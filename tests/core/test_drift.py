"""Drift: a contract that has changed since the mount runs, is checked again or is refused, by what has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.host import Assumed
from meter.contracts.spans import Span
from meter.core import lock
from tests.core.mount_file import PROBE, SINK, World

MIND = """\
name = "mind"
version = "1.0.0"
placement = "filter"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
state = "lost"
[[needs.metrics]]
metric = "*"
gives = { name = "${metric}.total" }
[config.depth]
type = "int"
default = 1
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which `/host` is mounted."""
    world = World(tmp_path)
    world.contract("mind", MIND)
    world.mount("/host", "probe", "mind", "sink")
    return world


def change(world: World, name: str, old: str, new: str) -> None:
    """Change a contract, so that its file is another one, too."""
    path = world.plugins / name / "contract.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) + "# changed\n")


def resolved(world: World, **options: Any) -> tuple[bool, list[Diagnostic]]:
    """Whether the backend runs, and what is said."""
    ready, found = world.mounts().resolve("/host", **options)
    return ready is not None, found


RUNS = [
    # name, old, new, rules
    ("probe", 'version = "1.0.0"', 'version = "1.0.0"\nstatus = ["maintained"]', ["status-changed"]),
    ("probe", "[config.flag]", '[config.more]\ntype = "int"\ndefault = 3\n[config.flag]', ["option-added"]),
    ("mind", 'state = "lost"', 'state = "none"', ["state-kept"]),
    ("mind", 'metric = "*"', 'metric = "*"\nwhen = { depth = 1 }', ["rule-less-often"]),  # not seen here
    ("probe", "default = 1\n", "default = 1\nmin = 1\n", ["minimum-raised"]),
    ("mind", 'state = "lost"', 'state = "lost"\nordering.after = ["nobody"]', ["edge-added"]),
    ("probe", 'resource = ["machine"]', 'resource = ["machine"]\nadditive = true', ["additive-granted"]),
]  # fmt: skip


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize(("name", "old", "new", "rules"), RUNS)
def test_what_may_stand_for_it_runs_with_a_note(
    world: World, name: str, old: str, new: str, rules: list[str], *, locked: bool
) -> None:
    """The note names the rules and both places; it is recorded, where that is allowed, and said no more."""
    before = world.state()
    change(world, name, old, new)
    runs, found = resolved(world, locked=locked)

    assert runs
    assert [(each.code, each.facts["plugin"]) for each in found] == [("W-DRIFT", name)]
    notes = found[0].to_json()["notes"]
    assert [note.split(" ")[0] for note in notes] == rules
    assert all(f"{name}/contract.toml:" in note and "meter.lock:" in note for note in notes)
    assert (world.state() == before) == locked
    if not locked:
        assert resolved(world) == (True, [])


REFUSED = [
    ("probe", 'unit = "J"', 'unit = "W"', ["unit-changed"]),
    ("probe", "default = 1\n", "default = 2\n", ["default-changed"]),
    ("mind", 'name = "${metric}.total"', 'name = "${metric}.sum"', ["given-changed"]),
    ("sink", 'type = "path"', 'type = "str"', ["option-type-changed"]),
    ("probe", "default = 1\n", "", ["default-removed"]),
    ("mind", 'state = "lost"', 'state = "lost"\nneeds.capabilities = { nowhere = "*" }', ["need-added"]),
    ("mind", 'state = "lost"', 'state = "lost"\nordering.before = ["probe"]', ["edge-added"]),
]  # fmt: skip


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize(("name", "old", "new", "rules"), REFUSED)
def test_anything_else_is_refused(
    world: World, name: str, old: str, new: str, rules: list[str], *, locked: bool
) -> None:
    """With the rules, however often it is asked; nothing is written."""
    change(world, name, old, new)
    if 'type = "str"' in new:
        change(world, name, 'access = "write"\n', "")
    before = world.state()
    for _ in range(2):
        runs, found = resolved(world, locked=locked)
        assert not runs
        assert [each.code for each in found] == ["E-DRIFT"]
        document = found[0].to_json()
        assert [note.split(" ")[0] for note in document["notes"]] == rules
        assert [span["file"].rpartition("/")[2] for span in document["spans"]] == [
            "meter.toml",
            "contract.toml",
            "meter.lock",
        ]
        assert all(span["label"] for span in document["spans"])
        assert "`meter mount /host`" in document["help"]
    assert world.state() == before


def test_the_places_are_those_of_the_texts(world: World) -> None:
    """What the contract says now, and what the lock has of it."""
    change(world, "probe", 'unit = "J"', 'unit = "W"')
    spans = resolved(world)[1][0].to_json()["spans"]

    lines = [Path(span["file"]).read_text().split("\n")[span["line"] - 1] for span in spans[1:]]
    assert [line.strip() for line in lines] == ['unit = "W"', '"unit": "J"']


def test_a_mount_accepts_it(world: World) -> None:
    """`meter mount /host`; the lock keeps the new contract then, and no other one."""
    change(world, "probe", 'unit = "J"', 'unit = "W"')
    world.mounts().refresh("/host", Span("x", 1, 1))

    assert resolved(world) == (True, [])
    document = world.locked()
    used = {plugin["contract"] for plugin in document["mounts"]["/host"]["plan"]["plugins"]}
    assert set(document["contracts"]) == used


def test_what_is_only_written_otherwise_is_not_worth_a_word(world: World) -> None:
    """A condition that always holds, a duration in another unit."""
    change(world, "mind", 'metric = "*"', 'metric = "*"\nkeeps = true')
    change(world, "probe", 'resource = ["machine"]', 'resource = ["machine"]\ninterval = "${config.interval}"')

    assert resolved(world) == (True, [])


def test_a_new_metric_that_an_output_takes_is_refused(world: World) -> None:
    """Compatible here only while what the outputs get is the same: a wildcard selects it."""
    more = (
        '[[provides.metrics]]\nname = "probe.more"\ntype = "f64"\nunit = "J"\nkind = "gauge"\nresource = ["machine"]\n'
    )
    change(world, "probe", "[config.flag]", f"{more}[config.flag]")
    runs, found = resolved(world)

    assert not runs
    assert [(each.code, each.variant) for each in found] == [("E-DRIFT", "order")]
    assert found[0].notes[0].startswith("metric-added (compatible-here)")


def test_a_new_metric_that_nobody_takes_is_refused_by_the_check(world: World) -> None:
    """What the check says stands in the notes: a metric that ends nowhere."""
    more = (
        '[[provides.metrics]]\nname = "probe.more"\ntype = "f64"\nunit = "J"\nkind = "gauge"\nresource = ["machine"]\n'
    )
    world.file.write_text(
        world.file.read_text() + '[mounts."/host".config.sink]\nmetrics = ["probe.value", "*.total"]\n'
    )
    change(world, "mind", 'metric = "*"', 'metric = "probe.value"')
    world.mounts().refresh("/host", Span("x", 1, 1))
    change(world, "probe", "[config.flag]", f"{more}[config.flag]")
    runs, found = resolved(world)

    assert not runs
    assert [(each.code, each.variant) for each in found] == [("E-DRIFT", "check")]
    assert any("`probe.more`" in note for note in found[0].notes[1:])


def test_a_plugin_that_nobody_needs_any_more_stays(world: World) -> None:
    """The lock keeps its plugins: a need that is gone takes no metric away."""
    change(world, "sink", 'licence = "BSD-3-Clause"', 'licence = "BSD-3-Clause"\nneeds.capabilities = { extra = "*" }')
    extra = PROBE.replace('"probe', '"extra')
    world.contract("extra", extra)
    world.mounts().refresh("/host", Span("x", 1, 1))
    before = json.loads(world.lock_file.read_bytes())["mounts"]["/host"]["plan"]
    assert "extra" in before["order"]
    change(world, "sink", 'needs.capabilities = { extra = "*" }', "")
    runs, found = resolved(world)

    assert runs
    assert [note.split(" ")[0] for note in found[0].notes] == ["need-removed"]
    after = json.loads(world.lock_file.read_bytes())["mounts"]["/host"]["plan"]
    assert after["order"] == before["order"]
    assert [(each["instance"], each["because"]) for each in after["plugins"]] == [
        (each["instance"], each["because"]) for each in before["plugins"]
    ]
    assert resolved(world) == (True, [])


def test_two_instances_are_judged_each_and_said_once(world: World) -> None:
    """What one of them does not see the other one may: the worse of the two decides."""
    world.mount("/two", "probe", "sink#a", "path=/dev/null", "sink#b")
    world.mount("/one", "probe", "sink", "path=/dev/null")
    change(world, "sink", 'default = "/dev/null"', 'default = "/dev/zero"')
    ready, found = world.mounts().resolve("/two")

    assert ready is None
    assert [(each.code, each.facts["class"]) for each in found] == [("E-DRIFT", "behaviour")]
    assert world.mounts().resolve("/one")[0] is not None


@pytest.mark.parametrize("edited", [{"name": "probe"}, {"unknown": 1}, [], None, {"name": "probe", "version": 3}])
def test_without_the_old_contract_any_change_is_refused(world: World, edited: Any) -> None:
    """A lock in which somebody has edited it: the digest says so, and no rule can be named."""
    document = json.loads(world.lock_file.read_bytes())
    digest = next(p["contract"] for p in document["mounts"]["/host"]["plan"]["plugins"] if p["plugin"] == "probe")
    whole = document["contracts"][digest]
    document["contracts"][digest] = {**whole, **edited} if isinstance(edited, dict) and len(edited) == 1 else edited
    if edited == {"name": "probe"}:
        document["contracts"][digest]["config"] = {}
    world.lock_file.write_bytes(lock.dump(document))
    change(world, "probe", 'version = "1.0.0"', 'version = "1.0.0"\nstatus = ["tested"]')
    runs, found = resolved(world, record=False)

    if edited == {"unknown": 1}:  # what this meter does not know is no part of a contract
        assert runs
        return
    assert not runs
    assert [(each.code, each.notes) for each in found] == [("E-DRIFT", ())]


def test_a_host_that_is_assumed_drifts_as_well(world: World) -> None:
    """What contracts say does not depend on who answers for the host."""
    change(world, "probe", 'unit = "J"', 'unit = "W"')
    ready, found = world.mounts(host=Assumed()).resolve("/host")

    assert ready is None
    assert [each.code for each in found] == ["E-DRIFT"]


class TestState:
    """W-STATE-LOST: who remembers something learns that it is replaced."""

    def test_a_new_contract(self, world: World) -> None:
        """Of the plugin that loses what it remembers, and of no other."""
        change(world, "mind", 'state = "lost"', 'state = "lost"\nneeds.capabilities = { probe = "*" }')
        change(world, "probe", 'unit = "J"', 'unit = "W"')
        ready = world.mounts().refresh("/host", Span("x", 1, 1))

        assert [(each.code, each.facts["instance"]) for each in ready.diagnostics] == [("W-STATE-LOST", "mind")]
        document = ready.diagnostics[0].to_json()
        assert document["message"] == (
            "`mind` gets another version of its contract: what it remembers is lost: totals begin anew"
        )

    def test_a_new_configuration(self, world: World) -> None:
        """By hand, checked anew at the next start; another instance's configuration is none of its business."""
        world.file.write_text(world.file.read_text() + '[mounts."/host".config.probe]\ncount = 7\n')
        assert resolved(world, record=False) == (True, [])
        world.file.write_text(world.file.read_text() + '[mounts."/host".config.mind]\ndepth = 7\n')
        runs, found = resolved(world)

        assert runs
        assert [(each.code, each.facts["instance"]) for each in found] == [("W-STATE-LOST", "mind")]
        assert resolved(world) == (True, [])

    def test_nothing_is_lost_where_nothing_was_remembered(self, world: World) -> None:
        """A first mount, and one that says the same as before."""
        assert world.mounts().refresh("/host", Span("x", 1, 1)).diagnostics == ()
        assert world.mount("/again", "probe", "mind", "sink").diagnostics == ()
        assert SINK.count("state") == 0
