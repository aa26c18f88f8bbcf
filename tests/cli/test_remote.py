"""A source of another host, end to end: checked against the sender's plan file, run, refused once that has changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meter.core.lock import empty

if TYPE_CHECKING:
    from tests.cli.conftest import Sandbox

CONTRACT = """
name = "inbox"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[[provides.metrics]]
schema = "${config.schema}"
[config.schema]
type = "schema"
[config.sends]
type = "bool"
default = true
"""
CODE = """
from meter.core.plugin import Source

class Plugin(Source):
    def poll(self, out):
        if self.config["sends"]:
            out.emit("system.uptime", 5.0, attributes={"host.name": "far"})
"""


@pytest.fixture
def world(sandbox: Sandbox) -> Sandbox:
    """A sender's folder with its plan, and a source that receives what it sends."""
    (sandbox.folder / "far").mkdir()
    sandbox.meter("mount", "/far", "uptime", "csv", "path=/dev/null", folder=sandbox.folder / "far").ok()
    sandbox.plugin("inbox", CODE, CONTRACT)
    sandbox.environment["METER_PLUGIN_DIR"] = str(sandbox.folder / "plugins")
    return sandbox


def mount(world: Sandbox, *words: str) -> None:
    """Mount the receiver."""
    world.meter("mount", "/near", "inbox", "interval=20ms", *words, "csv", "path=near.csv").ok()


def test_what_is_received_goes_through_the_chain(world: Sandbox) -> None:
    """With the sender's name, beside series of this host."""
    world.meter("mount", "/near", "inbox", "schema=far/meter.lock", "uptime", "csv", "path=near.csv").ok()
    done = world.meter("explain", "/near", "inbox").ok()
    assert "system.uptime  gauge, f64, s, of machine" in done.out
    assert "host.name: any text" in done.out
    world.meter("run", "/near", "--locked", "--for", "50ms").ok()
    rows = {(row["metric"], row["attributes"]) for row in world.rows("near.csv")}
    assert rows == {("system.uptime", "host.name=far"), ("system.uptime", "")}


def test_a_sender_may_be_silent(world: Sandbox) -> None:
    """What comes from elsewhere comes when it comes."""
    mount(world, "schema=far/meter.lock", "sends=false")
    world.meter("run", "/near", "--for", "400ms").ok()


def test_a_sender_that_sends_something_else_is_noticed(world: Sandbox) -> None:
    """Before the run, by the file alone; a plan that was made anew and says the same is none."""
    mount(world, "schema=far/meter.lock")
    far = world.folder / "far"
    (far / "meter.lock").unlink()
    world.meter("mount", "/far", folder=far).ok()
    world.meter("run", "/near", "--for", "50ms").ok()

    world.meter("umount", "/far", folder=far).ok()
    world.meter("mount", "/far", "uptime", "load", "csv", "path=/dev/null", folder=far).ok()
    for words in (("check",), ("run", "/near", "--for", "50ms"), ("check", "--host", "assume")):
        done = world.meter(*words)
        assert (done.code, done.codes) == (4, ["E-DRIFT"])
        assert "`far/meter.lock` says of the metrics that `inbox` receives something else" in " ".join(
            done.errors.split()
        )
    world.meter("mount", "/near").ok()
    world.meter("run", "/near", "--locked", "--for", "50ms").ok()


def test_one_of_several_outputs_has_to_be_named(world: Sandbox) -> None:
    """The outputs are listed; a name that is nearly one is asked about."""
    far = world.folder / "far"
    world.meter(
        "mount", "/more", "load", "csv#first", "path=/dev/null", "csv#second", "path=/dev/stderr", folder=far
    ).ok()
    words = ("mount", "/near", "inbox", "console")
    done = world.meter(*words[:3], "schema=far/meter.lock", "console")
    assert (done.code, done.codes) == (5, ["E-FILE"])
    assert "it has several outputs: `#/far#csv`, `#/more#first`, `#/more#second`" in " ".join(done.errors.split())
    done = world.meter(*words[:3], "schema=far/meter.lock#/more#secnd", "console")
    assert "did you mean `#/more#second`" in done.errors
    world.meter(*words[:3], "schema=far/meter.lock#/far", "console").ok()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "does not exist"),
        ("", "is no plan file of a meter of this version"),
        ("[1]", "is no plan file of a meter of this version"),
        (json.dumps(empty()), "no backend with an output is mounted in"),
    ],
)
def test_a_file_that_says_nothing(world: Sandbox, text: str | None, why: str) -> None:
    """It is named; the check ends with the code of unreadable files."""
    path = world.folder / "far" / "meter.lock"
    path.unlink()
    if text is not None:
        path.write_text(text)
    done = world.meter("mount", "/near", "inbox", "schema=far/meter.lock", "console")
    assert (done.code, done.codes) == (5, ["E-FILE"])
    assert why in " ".join(done.errors.split())


def test_a_check_for_another_host_reads_the_sender_here(world: Sandbox) -> None:
    """The plan file is one of the files of the check, as contracts are."""
    mount(world, "schema=far/meter.lock")
    (world.folder / "meter.lock").unlink()
    for host in ("assume", "host.json"):
        (world.folder / "host.json").write_bytes(world.meter("doctor", "--format", "json").ok().raw)
        assert world.meter("check", "--host", host).ok().out == "/near: ok, inbox -> csv\n"
