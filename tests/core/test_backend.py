"""Backends in Python: composed, checked, recorded and run; what is wrong points into the script."""

from __future__ import annotations

import json
import linecache
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit  # noqa: F401  (imported before a test gives up its rights, which may be those to read it)

import meter.core
from meter.core import Backend, ContractError, RunError, RunWarning
from meter.core.mounts import Mounts

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = """\
name = "tank"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[[provides.metrics]]
name = "tank.level"
type = "f64"
unit = "Cel"
kind = "gauge"
resource = ["machine"]
[config.path]
type = "path"
access = "read"
default = "/dev/null"
[config.words]
type = "map<str>"
default = {}
"""
TANK = """\
from meter.core.plugin import Gone, Source

class Plugin(Source):
    polls = 0

    def poll(self, out):
        self.polls += 1
        word = self.config["words"].get("does", "")
        if word == "gone" and self.polls == 3:
            raise Gone
        if word == "fail" and self.polls == 2:
            raise ValueError("no level")
        if word == "start":
            raise ValueError("never")
        out.emit("tank.level", float(self.polls))

    def start(self, context):
        if self.config["words"].get("does") == "start":
            raise ValueError("it is locked")
"""
SINK = """\
name = "sink"
version = "1.0.0"
placement = "output"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
durability = "process"
"""
SINK_CODE = """\
from meter.core.plugin import Output

class Plugin(Output):
    tries = 0

    def write(self, batch):
        self.tries += 1
        if self.tries == 1:
            raise OSError(28, "No space left on device")
"""


class World:
    """A folder that is the working folder, and one with plugins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.plugins = folder / "plugins"
        for name, contract, code in (("tank", SOURCE, TANK), ("sink", SINK, SINK_CODE)):
            (self.plugins / name).mkdir(parents=True)
            (self.plugins / name / "contract.toml").write_text(contract)
            (self.plugins / name / "plugin.py").write_text(code)

    def backend(self, mountpoint: str = "/tank", **options: Any) -> Backend:
        """A backend that may use the plugins."""
        return Backend(mountpoint, plugin_dirs=[self.plugins], **options)

    def files(self) -> list[str]:
        """What lies in the working folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Plugins, and a working folder of its own."""
    made = World(tmp_path)
    monkeypatch.chdir(made.folder)
    monkeypatch.delenv("METER_FILE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return made


def refused(call: Callable[[], object]) -> ContractError:
    """The error of a call that has to be refused."""
    with pytest.raises(ContractError) as found:
        call()
    return found.value


def test_what_is_exported_is_there() -> None:
    """Every name of `meter.core` can be imported from it, and they are sorted as a reader looks for them."""
    names = meter.core.__all__

    assert [name for name in names if getattr(meter.core, name).__name__ != name] == []
    assert names == sorted(names)
    assert not hasattr(meter.core, "nothing")


# -------------------------------------------------------------------------------------------------------------- checked


def test_a_plan_says_order_schema_and_chain(world: World) -> None:
    """What is asked for in any order is put into order; each output's metrics have unit, type and kind."""
    plan = world.backend().add("collect").add("tank#deep").check()

    assert plan.order == ("deep", "collect")
    assert plan.schema == {"collect": (("tank.level", "Cel", "f64", "gauge"),)}
    assert str(plan) == "/tank: deep -> collect"
    assert plan.warnings == ()
    assert json.loads(json.dumps(plan.document))["mountpoint"] == "/tank"


def test_a_check_writes_nothing(world: World) -> None:
    """Neither the check nor a mount in memory leaves a file."""
    backend = world.backend().add("tank").add("collect")
    backend.check()
    backend.mounted()

    assert world.files() == []


def test_options_are_values_of_python(world: World) -> None:
    """Paths, tuples and nested dictionaries mean what the same words mean in a mount file."""
    (world.folder / "level").touch()
    options = {"path": Path("level"), "words": {"does": "nothing"}, "interval": "20ms"}
    plan = world.backend().add("tank", **options).add("collect", metrics=("tank.*",)).check()

    config = {each["instance"]: each["config"] for each in plan.document["plugins"]}
    assert config["tank"] == {"interval": 20_000_000, "path": "level", "words": {"does": "nothing"}}
    assert {name: config["collect"][name] for name in ("metrics", "keep")} == {"metrics": ["tank.*"], "keep": True}


@pytest.mark.parametrize("value", [None, b"x", {1: "x"}, {"x"}, [object()]])
def test_what_no_option_takes_is_a_type_error_where_it_stands(value: object) -> None:
    """A value that TOML has nothing for is refused by the call that gives it, and told what would do."""
    with pytest.raises(TypeError, match=r"`path` of `csv` is a \w+; give a text"):
        Backend("/x").add("csv", path=value)


def test_a_check_elsewhere_takes_the_host_for_granted(world: World) -> None:
    """`assume` is for machines where it will not run: the folder of the output is not there."""
    backend = world.backend().add("tank").add("csv", path="nowhere/host.csv")

    assert [d.code for d in refused(backend.check).diagnostics] == ["E-PATH"]
    assert backend.check(assume=True).order == ("tank", "csv")


def test_words_of_a_mount_file_mean_the_same(world: World) -> None:
    """`durability`, `prefer` and `order` are checked as those of `meter.toml`."""
    backend = world.backend(durability="power", prefer=["tank"], order=[["tank", "sink"]])

    [fault] = refused(backend.add("tank").add("sink").check).diagnostics
    assert fault.code == "E-DURABILITY"


def test_what_is_wanted_optional_and_recommended(world: World) -> None:
    """A metric brings its plugin, and a plugin that this host cannot carry is left out, with its options."""
    contract = SOURCE.replace('"tank', '"pump').replace("[[", '[[needs.host]]\nreadable = ["/no/pump"]\n[[', 1)
    (world.plugins / "pump").mkdir()
    (world.plugins / "pump" / "contract.toml").write_text(contract)
    backend = world.backend(want=["tank.level"], recommends=False).add("sink").optional("pump", interval="2s")
    plan = backend.check()

    assert plan.order == ("tank", "sink")
    [warning] = plan.warnings
    assert warning["code"] == "W-HOST-DEGRADED"
    with open(__file__, encoding="utf-8") as script:
        line = script.read().split("\n")[warning["spans"][0]["line"] - 1]
    assert line[warning["spans"][0]["column"] - 1 :].startswith('"pump"')
    assert backend.check(assume=True).order == ("pump", "tank", "sink")


def test_a_wish_that_cannot_be_met_is_pointed_at(world: World) -> None:
    """In the list that was handed over."""
    backend = Backend("/tank", plugin_dirs=world.plugins, want=["tank.level", "tank.levl"]).add("sink")
    [fault] = refused(backend.check).diagnostics

    assert fault.code == "E-NEED-UNMET"
    with open(__file__, encoding="utf-8") as script:
        line = script.read().split("\n")[fault.spans[0].line - 1]
    assert line[fault.spans[0].column - 1 :].startswith('"tank.levl"')


# -------------------------------------------------------------------------------------------------------------- refused

SCRIPT = """\
backend = Backend(
    "/tank",
    plugin_dirs=PLUGINS, durability="solid",
)
other = Backend("/tank", plugin_dirs=PLUGINS).add("tank", words={"dü": "x"}).add("tank#ü",
    interval="2")
third = (
    Backend("/tank", plugin_dirs=PLUGINS)
    .add("tank", interval="2")
    .add("sink", size="1").add("csv", path="a.csv", metrics=["tank.*", "fish.*"])
)
given = {"interval": "2"}
fourth = Backend("/tank", plugin_dirs=PLUGINS).add("collect").add("tank", **given)
"""


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("backend", [*[("E-ROLE-COUNT", 2, '"/tank"')] * 2, ("E-CLAUSE-TYPE", 3, '"solid"')]),
        ("other", [("E-NAME", 5, '"tank#ü"')]),
        ("third", [("E-CONFIG-TYPE", 9, '"2"'), ("E-CONFIG-UNKNOWN", 10, "size")]),
        ("fourth", [("E-CONFIG-TYPE", 13, '"tank"')]),  # given from elsewhere: the plugin is pointed at
    ],
)
def test_diagnostics_point_at_the_argument(world: World, name: str, places: list[tuple[str, int, str]]) -> None:
    """Line, column and length are those of the argument that is wrong, in characters, also in a chain of calls."""
    path = world.folder / "script.py"
    path.write_text(SCRIPT)
    linecache.checkcache()
    known: dict[str, Any] = {"Backend": Backend, "PLUGINS": [world.plugins]}
    exec(compile(path.read_text(), str(path), "exec"), known)

    lines = SCRIPT.splitlines()
    found = []
    for each in refused(known[name].check).diagnostics:
        span = each.spans[0]
        assert span.file == str(path)
        found.append((each.code, span.line, lines[span.line - 1][span.column - 1 : span.column - 1 + span.length]))
    assert found == places


def test_a_bad_word_hides_no_other_fault(world: World) -> None:
    """A script is told all at once, as the command line is: by `check` and where it would be mounted."""
    for file in (None, world.folder / "meter.toml"):
        backend = Backend("/tank", file=file, plugin_dirs=[world.plugins], durability="solid", want=["tank.#"])
        backend.add("tank", interval="2").add("collect", size="1").add("tank#ü")
        for call in (backend.check, backend.mounted):
            codes = [each.code for each in refused(call).diagnostics]
            assert codes == ["E-CLAUSE-TYPE", "E-NAME", "E-CONFIG-TYPE", "E-CONFIG-UNKNOWN", "E-NAME"]
    assert world.files() == []


def test_an_item_of_a_list_is_pointed_at(world: World) -> None:
    """Of a selector that selects nothing the place is the selector, not the list."""
    backend = world.backend().add("tank").add("collect", metrics=["tank.*", "fish.*"])

    [fault] = refused(backend.check).diagnostics
    span = fault.spans[0]
    line = linecache.getline(span.file, span.line)
    assert (fault.code, line[span.column - 1 :][: span.length]) == ("E-FLOW-EMPTY", '"fish.*"')


def test_a_script_without_text_is_pointed_at_by_line(world: World) -> None:
    """Where the source is not at hand, as in a string that was executed, the line is all that is known."""
    known: dict[str, Any] = {"backend": world.backend()}
    exec("\n\nbackend.add('nothing')", known)

    [fault] = refused(known["backend"].add("collect").check).diagnostics
    assert fault.spans[0][:3] == ("<string>", 3, 1)


def test_the_text_of_the_error_reads_well(world: World) -> None:
    """Each diagnostic with code, place and help, one below the other, as it stands at the end of a traceback."""
    error = refused(world.backend().add("tanks").add("collect").check)

    first, place, remedy = str(error).splitlines()
    assert first == "error[E-PLUGIN-UNKNOWN]: no plugin or capability is called `tanks`"
    assert place.startswith(f"  --> {__file__}:")
    assert remedy.startswith("  help: did you mean `tank`?")


def test_a_folder_of_plugins_that_is_not_there_is_refused(world: World) -> None:
    """It is no silent lack of plugins: neither for a check nor for a mount file, which stays unwritten."""
    backend = Backend("/x", file="meter.toml", plugin_dirs=[world.folder / "nowhere"]).add("memory").add("collect")

    for call in (backend.check, backend.mounted):
        [fault] = refused(call).diagnostics
        assert (fault.code, fault.spans[0].file) == ("E-FILE", __file__)
    assert world.files() == []


# ------------------------------------------------------------------------------------------------------------- recorded


def test_a_file_records_it_as_the_command_does(world: World) -> None:
    """With `file` the mount file has the request, the lock the plan, and a second time nothing changes."""
    options: dict[str, Any] = {"interval": "20ms", "words": {"x": "y", "ü ": "[]"}}
    words: dict[str, Any] = {"durability": "process", "prefer": ["tank"], "order": [["tank", "sink"]]}
    words |= {"want": ["tank.level"], "recommends": False}
    backend = world.backend(file="meter.toml", **words).add("tank#a", **options).add("sink", metrics=["tank.*", "*"])
    backend.optional("sink#b")
    backend.mounted()
    before = {name: (world.folder / name).read_bytes() for name in world.files()}
    backend.mounted()

    assert sorted(before) == ["meter.lock", "meter.toml"]
    assert {name: (world.folder / name).read_bytes() for name in world.files()} == before
    assert tomllib.loads(before["meter.toml"].decode())["mounts"]["/tank"] == {
        "plugins": ["tank#a", "sink"],
        "optional": ["sink#b"],
        **words,
        "config": {"a": options, "sink": {"metrics": ["tank.*", "*"]}},
    }
    assert Mounts("meter.toml", plugin_dirs=[str(world.plugins)]).overview()[0]["state"] == "checked"


def test_another_request_does_not_replace_what_is_mounted(world: World) -> None:
    """A script never changes what somebody mounted; the file stays as it is."""
    world.backend(file="meter.toml").add("tank").add("sink").mounted()
    text = (world.folder / "meter.toml").read_text()
    other = world.backend(file="meter.toml").add("tank", interval="2s").add("sink")

    [fault] = refused(other.mounted).diagnostics
    assert (fault.code, fault.spans[0].file) == ("E-MOUNT-TAKEN", __file__)
    assert (world.folder / "meter.toml").read_text() == text


def test_a_refused_backend_leaves_no_file(world: World) -> None:
    """Nothing is written where the check finds an error."""
    refused(world.backend(file="meter.toml").add("tank").add("sink", size=1).mounted)

    assert world.files() == []


def test_relative_paths_start_at_the_mount_file(world: World) -> None:
    """With a `file` elsewhere its folder counts, as for `meter run`, not the working folder."""
    (world.folder / "deep").mkdir()
    backend = world.backend(file="deep/meter.toml").add("tank", interval="10ms").add("csv", path="tank.csv")
    with backend.mounted().running():
        pass

    assert (world.folder / "deep" / "tank.csv").read_text().count("tank.level") >= 2


def test_a_mount_is_loaded_and_run_from_its_lock(world: World) -> None:
    """`load` finds the file as the command does, and takes the plan that is in the lock."""
    world.backend(file="meter.toml").add("tank", interval="10ms").add("collect").mounted()
    locked = json.loads((world.folder / "meter.lock").read_text())["mounts"]["/tank"]["plan"]
    mounted = Backend.load("/tank", locked=True)

    assert mounted.plan.document == locked
    with mounted.running() as running:
        pass
    assert {reading.key.metric.name for reading in running.take()} == {"tank.level"}


def test_a_mount_that_is_not_there_is_pointed_at(world: World) -> None:
    """The call of `load` is the place of E-MOUNT-UNKNOWN, and the nearest name is told."""
    world.backend(file="meter.toml").add("tank").add("sink").mounted()
    [fault] = refused(lambda: Backend.load("/tanks")).diagnostics

    assert (fault.code, fault.spans[0].file) == ("E-MOUNT-UNKNOWN", __file__)
    assert "`/tank`" in fault.help


# ------------------------------------------------------------------------------------------------------------------ run


def test_the_end_of_the_block_polls_and_delivers(world: World) -> None:
    """However short the block, there is a poll at its begin and one at its end, and both are delivered."""
    backend = world.backend().add("tank", interval="1h").add("collect")
    with backend.mounted().running() as running:
        pass

    assert [reading.value for reading in running.take()] == [1.0, 2.0]
    assert (running.tally().polls, running.tally().lost, running.faults) == (2, 0, ())
    assert running.take() == []


def test_an_exception_of_the_block_goes_on_and_all_is_delivered(world: World) -> None:
    """Whoever leaves by an exception has the rows and sees that exception."""
    running = world.backend().add("tank", interval="1h").add("collect").mounted().running()
    with pytest.raises(KeyError), running:
        raise KeyError("mine")

    assert [reading.value for reading in running.take()] == [1.0, 2.0]


def test_a_plugin_that_failed_is_an_error_at_the_end(world: World) -> None:
    """What was left out is named with its error, and what was measured before is there."""
    running = world.backend().add("tank", interval="1h", words={"does": "fail"}).add("collect").mounted().running()
    with pytest.raises(RunError, match=r"`tank` failed in `poll`: ValueError: no level") as found, running:
        pass

    assert [fault.code for fault in found.value.faults] == ["E-PLUGIN-RAISED"]
    assert [reading.value for reading in running.take()] == [1.0]


def test_a_failure_does_not_hide_the_exception_of_the_block(world: World) -> None:
    """The exception goes on with a note of what failed besides."""
    running = world.backend().add("tank", words={"does": "fail"}).add("collect").mounted().running()
    with pytest.raises(KeyError) as found, running:
        raise KeyError("mine")

    assert "no level" in found.value.__notes__[0]


def test_what_was_made_good_is_a_warning(world: World) -> None:
    """An output that failed once and then took the batch has lost nothing."""
    running = world.backend().add("tank", interval="1h").add("sink").mounted().running()
    with pytest.warns(RunWarning, match="`sink` cannot deliver: No space left"), running:
        pass

    assert not running.failed
    assert running.tally().lost == 0


def test_where_nothing_can_be_measured_the_block_is_not_entered(world: World) -> None:
    """A chain whose only source does not start is an error before the block."""
    running = world.backend().add("tank", words={"does": "start"}).add("collect").mounted().running()
    with pytest.raises(RunError, match=r"could not be started.*it is locked"), running:
        pytest.fail("the block was entered")


def test_faults_are_reported_as_they_come(world: World) -> None:
    """`report` gets each fault while it runs."""
    faults: list[str] = []
    mounted = world.backend().add("tank", interval="1h", words={"does": "fail"}).add("collect").mounted()
    running = mounted.running(lambda fault: faults.append(fault.code))
    running.start()
    running.stop()

    assert faults == ["E-PLUGIN-RAISED"]


def test_a_source_that_has_ended_ends_the_wait(world: World) -> None:
    """`wait` returns when nothing is left to measure, which is no failure."""
    mounted = world.backend().add("tank", interval="1ms", words={"does": "gone"}).add("collect").mounted()
    with mounted.running() as running:
        assert running.wait(30)

    assert [reading.value for reading in running.take()] == [1.0, 2.0]
    assert running.ended


def test_a_run_is_started_once(world: World) -> None:
    """The plan can be run again, a run cannot."""
    mounted = world.backend().add("tank", interval="1h").add("collect").mounted()
    running = mounted.running()
    with running:
        pass
    with pytest.raises(RuntimeError, match="started once"):
        running.start()
    with mounted.running() as again:
        pass

    assert len(again.take()) == 2


def test_readings_need_their_output(world: World) -> None:
    """Without `collect` nothing is kept, and the error says what to add."""
    running = world.backend().add("tank").add("sink").mounted().running()
    with pytest.raises(LookupError, match=r"\.add\('collect'\)"):
        running.take()


def test_readings_that_are_only_summed_up_are_none(world: World) -> None:
    """A `collect` that keeps none says so, and not that none came."""
    running = world.backend().add("tank").add("collect", keep=False).mounted().running()
    with pytest.raises(LookupError, match=r"\.add\('collect'\)"):
        running.take()


@pytest.mark.parametrize("kind", [str, Path])
def test_one_folder_of_plugins_is_one(world: World, kind: type[str | Path]) -> None:
    """A text is a folder, and not one for each of its letters."""
    folder = kind(world.plugins)

    assert Backend("/tank", plugin_dirs=folder).add("tank").add("collect").check().order == ("tank", "collect")
    world.backend(file="meter.toml").add("tank").add("collect").mounted()
    assert Backend.load("/tank", file="meter.toml", plugin_dirs=folder).plan.order == ("tank", "collect")


def test_variables_hold_where_no_argument_says_otherwise(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`METER_PLUGIN_DIR` and `METER_SYSROOT`, as on the command line; empty ones say nothing."""
    monkeypatch.setenv("METER_PLUGIN_DIR", os.pathsep.join(["", str(world.plugins)]))
    monkeypatch.setenv("METER_SYSROOT", str(tmp_path / "nothing"))

    assert Backend("/tank").add("tank").add("collect").check().order == ("tank", "collect")
    with pytest.raises(ContractError) as error:
        Backend("/cpu").add("cpu").add("collect").check()
    assert [each.code for each in error.value.diagnostics] == ["E-HOST"]
    Backend("/cpu", sysroot="/").add("cpu").add("collect").check()
    Backend("/tank", file="meter.toml").add("tank").add("collect").mounted()
    assert Backend.load("/tank", file="meter.toml").plan.order == ("tank", "collect")
    monkeypatch.setenv("METER_SYSROOT", "")
    Backend("/cpu").add("cpu").add("collect").check()


def test_the_wall_clock_of_readings_is_that_of_the_system(world: World) -> None:
    """Times are nanoseconds since the epoch: within what the files of the run say."""
    before = _stamp(world.folder / "before")
    with world.backend().add("tank", interval="1h").add("collect").mounted().running() as running:
        pass
    after = _stamp(world.folder / "after")

    times = [reading.time_ns for reading in running.take()]
    # Files are stamped by ticks of the kernel, up to 10 ms late.
    assert before - 10_000_000 <= times[0] <= times[1] <= after + 10_000_000


def _stamp(path: Path) -> int:
    path.touch()
    return os.stat(path).st_mtime_ns
