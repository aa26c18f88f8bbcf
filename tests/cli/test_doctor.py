"""`meter doctor` and `meter check --host FILE`: what a host can do, told there, and checked against elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meter.contracts.doctor import examine
from meter.contracts.host import Recorded
from meter.core.discovery import builtin_folder
from tests.contracts.build import catalogue
from tests.powercap import ROWS, row

if TYPE_CHECKING:
    from tests.cli.conftest import Done, Sandbox

HEAD = """
name = "{name}"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
"""
METRIC = """
[[provides.metrics]]
name = "{name}"
type = "f64"
unit = "W"
kind = "gauge"
resource = ["{of}"]
"""
NEEDS = """
[[needs.host]]
readable = ["/sys/perf"]
capability = ["CAP_PERFMON"]
[[needs.host]]
readable = ["/sys/powercap/*"]
"""
NO_NEED = NEEDS.replace("/sys/powercap/*", "/sys/none")
PYTHON = '[needs.python]\n"no-such-driver" = ">=2,<3"\n'


@pytest.fixture
def host(sandbox: Sandbox) -> Sandbox:
    """Plugins, and a `/sys` where one of them works, one in part, and two do not."""
    sys, proc = sandbox.folder / "tree" / "sys", sandbox.folder / "tree" / "proc" / "self"
    (sys / "powercap").mkdir(parents=True)
    (sys / "powercap" / "a").touch()
    (sys / "perf").touch()
    proc.mkdir(parents=True)
    (proc / "status").write_text("CapEff:\t0000000000000000\n")
    host_ = 'host = {{ readable = ["/sys/dram"], capability = ["CAP_SYS_RAWIO"] }}\n'
    parts = METRIC + METRIC.replace('"]\n', f'"]\n{host_}')
    texts = {
        "watts": HEAD.format(name="watts") + NEEDS + METRIC.format(name="power", of="machine"),
        "perfmon": HEAD.format(name="perfmon") + NO_NEED + METRIC.format(name="p", of="machine"),
        "driver": HEAD.format(name="driver") + PYTHON + METRIC.format(name="d", of="machine"),
        "part": HEAD.format(name="part") + parts.format(name="part.power", of="dram").replace("dram", "machine", 1),
    }  # fmt: skip
    for name, text in texts.items():
        sandbox.plugin(name, "", text)
    sandbox.environment |= {"METER_SYSROOT": str(sandbox.folder / "tree"), "METER_PLUGIN_DIR": "plugins"}
    return sandbox


def finding(done: Done, plugin: str) -> Any:
    """What the JSON form says of a plugin."""
    return next(each for each in done.json["plugins"] if each["plugin"] == plugin)


def record(host: Sandbox) -> Path:
    """Write down the host."""
    path = host.folder / "host.json"
    path.write_bytes(host.meter("doctor", "--format", "json").ok().raw)
    return path


def test_each_plugin_is_told_with_what_mends_it(host: Sandbox) -> None:
    """Commands stand in lines of their own; hardware that is not there has none."""
    done = host.meter("doctor").ok()
    lines = done.out.splitlines()
    capability = "the process does not have the capability"
    drive = lines.index("driver does not work here: the Python distribution `no-such-driver>=2,<3` is not installed")
    assert lines[drive + 1].startswith("  $ ")
    assert lines[drive + 1].endswith(" install 'no-such-driver>=2,<3'")
    text = " ".join(" ".join(lines).split())
    ways = f"{capability} CAP_PERFMON, and `{host.folder}/tree/sys/none` does not exist"
    assert f"perfmon does not work here: neither of the two ways is open: {ways}" in text
    assert text.startswith(f"looked at is `{host.folder}/tree`, and not the machine that meter runs on works here: ")
    assert f"help: `{host.folder}/tree` is looked at, which no command for this machine changes" in text
    assert "--ambient-caps" not in text
    assert f"part gives no `part.power` of dram: `{host.folder}/tree/sys/dram` does not exist; {capability}" in text
    able, _, measurable = " ".join(" ".join(lines[: lines.index("")]).split()).partition("can be measured: ")
    measured = measurable.split(", ")
    assert " watts," in able
    of_itself = [name for name in measured if name.startswith("meter.")]
    assert measured == sorted(["demo.random", "part.power", "power", *of_itself])
    assert not done.errors


def run_for_us(line: str) -> None:
    """Run a command that doctor says, as who needs no sudo."""
    subprocess.run(["bash", "-c", line.replace("sudo ", "")], check=True, capture_output=True)


def test_the_command_of_denied_counters_lets_them_be_read(sandbox: Sandbox) -> None:
    """It names the files of this machine, and once it has run the plugin works; one of a copy is nothing for udev."""
    machine = row(sandbox.folder, "A")
    for place in ROWS["A"]:
        machine.file(place).chmod(0)
    words = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    told = [*words, sys.executable, "-m", "meter", "doctor", "--format", "json", "--sysroot", str(sandbox.folder)]

    def lacks() -> list[Any]:
        done = subprocess.run(told, env=sandbox.environment, capture_output=True, check=True, timeout=60)
        found: list[Any] = next(p["lacks"] for p in json.loads(done.stdout)["plugins"] if p["plugin"] == "rapl")
        return found

    [lack] = lacks()
    [line] = lack["commands"]
    assert str(sandbox.folder) in line
    assert (lack["permanent"], lack["possible"]) == ([], [])
    run_for_us(line)

    assert {machine.file(place).stat().st_mode & 0o777 for place in ROWS["A"]} == {0o444}
    assert lacks() == []


def test_what_is_not_there_may_be_brought(host: Sandbox) -> None:
    """By the commands of the contract: on the machine that runs, and not to a copy of one."""
    need = NO_NEED.replace("[[needs.host]]", '[[needs.host]]\nmend = ["sudo modprobe dark"]')
    needs = need.replace("/sys/perf", "/sys/none")
    host.plugin("dark", "", HEAD.format(name="dark") + needs + METRIC.format(name="dark", of="machine"))
    copied = host.meter("doctor").ok().out.splitlines()
    host.environment.pop("METER_SYSROOT")
    done = host.meter("doctor", "--format", "json").ok()
    lines = host.meter("doctor").ok().out.splitlines()

    assert finding(done, "dark")["lacks"][0]["possible"] == ["sudo modprobe dark"]
    assert lines.count("  $ sudo modprobe dark") == 1
    assert [line for line in copied if "modprobe" in line] == []


def test_where_rights_would_do_they_are_told_alone() -> None:
    """An alternative that lacks rights only is nearer than one whose files a command may bring."""
    need = NO_NEED.replace("[[needs.host]]", '[[needs.host]]\nmend = ["sudo modprobe dim"]')
    lacks = {("capability", "CAP_PERFMON"): "unprivileged CAP_PERFMON", ("readable", "/sys/none"): "missing /sys/none"}
    dim = catalogue(HEAD.format(name="dim") + need + METRIC.format(name="dim", of="machine"))
    [found] = examine(dim, Recorded({("readable", "/sys/perf"): "", **lacks}))

    assert found.lacks[0].possible == ()
    assert "--ambient-caps=+perfmon" in found.lacks[0].commands[0]
    assert "setcap" in found.lacks[0].permanent[0]


def test_events_of_the_processor_are_not_promised_where_it_has_none() -> None:
    """Those of the kernel are given all the same; below a sysroot neither can be counted, which is said once."""
    perf = catalogue((Path(builtin_folder()) / "perf" / "contract.toml").read_text())
    names = {clause.name for contract in perf.contracts() for clause in contract.provides.metrics}
    kernel = {"perf.cpu.time", "perf.context_switches", "perf.migrations", "perf.page_faults"}
    rights = {("sysctl", f"kernel.perf_event_paranoid<={most}"): "" for most in range(3)}
    software = {("event", "software"): "", ("event", "hardware"): "no-counters hardware"}
    [found] = examine(perf, Recorded({**rights, **software}))
    elsewhere = {("event", kind): "elsewhere /tree" for kind in ("software", "hardware")}
    [copied] = examine(perf, Recorded({**rights, **elsewhere}), running=False)

    assert {*found.gives} == kernel
    [lack] = found.lacks
    assert {*lack.metrics} == {f"`{name}`" for name in names - kernel}
    assert lack.why == "the kernel knows no counters of this processor, as on most virtual machines"
    [whole] = copied.lacks
    assert (copied.works, whole.metrics, whole.commands) == (False, (), ())
    assert whole.why == "events are counted on the running machine only, and `/tree` is looked at"


def test_a_narrow_page(host: Sandbox) -> None:
    """What has no room on a line of 40 columns is a word or a command, which is there to be copied."""
    lines = host.meter("doctor", env={"COLUMNS": "40"}).ok().out.splitlines()
    assert [line for line in lines if len(line) > 40 and " " in line.strip() and not line.startswith("  $ ")] == []


def test_what_can_only_be_estimated_is_not_told_as_measured(host: Sandbox) -> None:
    """It stands in a line of its own."""
    metric = METRIC.format(name="guess", of="machine") + 'quality = "estimated"\n'
    host.plugin("guess", "", HEAD.format(name="guess") + metric)
    lines = host.meter("doctor").ok().out.splitlines()

    assert "can only be estimated: guess" in lines
    assert finding(host.meter("doctor", "--format", "json").ok(), "guess")["estimates"] == ["guess"]


def test_the_json_form_has_the_same(host: Sandbox) -> None:
    """Of each plugin whether it works, and of each lack its metrics, reason, help and commands."""
    done = host.meter("doctor", "--format", "json").ok()
    assert [finding(done, name)["works"] for name in ("watts", "perfmon", "driver", "part")] == [
        "yes",
        "no",
        "no",
        "partly",
    ]
    assert finding(done, "part")["metrics"] == ["part.power"]
    [lack] = finding(done, "part")["lacks"]
    assert lack["metrics"] == ["`part.power` of dram"]
    assert (lack["commands"], lack["permanent"]) == ([], [])  # of the tree, and not of this machine
    assert done.json["sysroot"] == str(host.folder / "tree")
    [install] = finding(done, "driver")["lacks"][0]["commands"]
    assert install.endswith(" install 'no-such-driver>=2,<3'")
    assert finding(done, "driver")["metrics"] == []
    answer = f"unprivileged CAP_PERFMON {host.folder / 'tree'}"
    assert {"question": "capability", "argument": "CAP_PERFMON", "answer": answer} in done.json["facts"]
    facts = [(each["question"], each["argument"]) for each in done.json["facts"]]
    assert facts == sorted(set(facts))


def test_a_source_that_could_give_nothing_does_not_work(host: Sandbox) -> None:
    """Its metrics are all that there is to it."""
    more = 'host = { readable = ["/sys/none"] }\n'
    host.plugin("dark", "", HEAD.format(name="dark") + METRIC.format(name="dark", of="machine") + more)
    assert finding(host.meter("doctor", "--format", "json").ok(), "dark")["works"] == "no"


def test_a_record_answers_elsewhere(host: Sandbox) -> None:
    """What was refused here is refused there, and what was sound is."""
    host.meter("mount", "/host", "watts", "csv", "path=host.csv").ok()
    record(host)
    host.environment.pop("METER_SYSROOT")
    assert host.meter("check").codes == ["E-HOST"]
    assert host.meter("check", "--host", "host.json").ok().out == "/host: ok, watts -> csv\n"

    (host.folder / "meter.toml").write_text('[mounts."/p"]\nplugins = ["perfmon", "console"]\n')
    done = host.meter("check", "--host", "host.json")
    assert done.codes == ["E-HOST"]
    assert "does not have the capability CAP_PERFMON" in " ".join(done.errors.split())


def test_a_valid_lock_of_this_host_is_no_answer_for_another(host: Sandbox) -> None:
    """The mount is checked against the record though nothing has changed here."""
    host.meter("mount", "/host", "watts", "csv", "path=host.csv").ok()
    before = (host.folder / "meter.lock").read_bytes()
    path = record(host)
    document = json.loads(path.read_bytes())
    for fact in document["facts"]:
        if fact["argument"] == "/sys/powercap/*":
            fact["answer"] = "missing /sys/powercap/*"
    path.write_text(json.dumps(document))
    done = host.meter("check", "--host", str(path))
    assert (done.code, done.codes) == (1, ["E-HOST"])
    assert "`/sys/powercap/*` does not exist" in done.errors
    assert (host.folder / "meter.lock").read_bytes() == before


def test_what_was_not_recorded_does_not_hold(host: Sandbox) -> None:
    """With the command that records it; answers for the mounts are recorded with those for the plugins."""
    record(host)
    (host.folder / "meter.toml").write_text('[mounts."/p"]\nplugins = ["watts", "csv"]\nconfig.csv.path = "x.csv"\n')
    done = host.meter("check", "--host", "host.json")
    assert done.codes == ["E-PATH"]
    assert "whether `x.csv` can be had was not recorded" in done.errors
    assert "meter doctor --format json > host.json" in done.errors
    record(host)
    assert host.meter("check", "--host", "host.json").ok()


def test_degraded_metrics_are_told_by_the_record(host: Sandbox) -> None:
    """As on the host itself."""
    record(host)
    (host.folder / "meter.toml").write_text('[mounts."/p"]\nplugins = ["part", "console"]\n')
    host.environment.pop("METER_SYSROOT")
    done = host.meter("check", "--host", "host.json")
    assert (done.code, done.codes) == (0, ["W-HOST-DEGRADED"])


def test_broken_contracts_are_said_and_the_others_examined(host: Sandbox) -> None:
    """Nothing hides behind a plugin that cannot be read."""
    host.plugin("broken", "", 'name = "broken"\n')
    done = host.meter("doctor")
    assert done.code == 1
    assert "E-CLAUSE-MISSING" in done.codes
    assert "driver does not work here" in done.out


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such file or directory"),
        (b"{", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"[]", "it is no record of a host"),
        (b'{"format": "meter-check/1", "facts": []}', "it is no record of a host"),
        (b'{"format": "meter-host/1", "facts": {}}', "it is no record of a host"),
        (b'{"format": "meter-host/1", "facts": [{"question": "readable"}]}', "it is no record of a host"),
        (b'{"format": "meter-host/1", "facts": [{"question": "a", "argument": "b", "answer": 1}]}', "it is no record"),
        (
            (
                b'{"format": "meter-host/1", "facts": [{"question": "a", "argument": "b", "answer": ""},'
                b'{"question": "a", "argument": "b", "answer": "missing b"}]}'
            ),
            "it has two answers to the question a `b`",
        ),
    ],
)
def test_a_file_that_is_no_record(host: Sandbox, content: bytes | None, why: str) -> None:
    """It is named, with what writes one; nothing is checked against it."""
    (host.folder / "meter.toml").write_text('[mounts."/p"]\nplugins = ["watts", "console"]\n')
    if content is not None:
        (host.folder / "bad.json").write_bytes(content)
    done = host.meter("check", "--host", "bad.json")
    assert (done.code, done.codes) == (5, ["E-FILE"])
    assert f"cannot read `bad.json`: {why}" in done.errors
    free = "bad.json" if content is None else "host.json"
    assert f"`meter doctor --format json > {free}` writes one" in " ".join(done.errors.split())


def test_no_help_writes_over_a_file_that_is_there(host: Sandbox) -> None:
    """What was given by mistake, such as the mount file, is spared, and so is what is named as a record would be."""
    (host.folder / "meter.toml").write_text('[mounts."/p"]\nplugins = ["watts", "console"]\n')
    (host.folder / "host.json").write_text("{}")
    done = host.meter("check", "--host", "meter.toml")

    told = " ".join(done.errors.split())
    assert "it is no record of a host; `meter doctor --format json > host-2.json` writes one" in told
    assert "json > meter.toml" not in told


def test_a_mount_file_that_cannot_be_read_is_said(host: Sandbox) -> None:
    """The plugins are examined all the same."""
    (host.folder / "meter.toml").write_text("[")
    done = host.meter("doctor")
    assert (done.code, done.codes) == (5, ["E-FILE"])
    assert "driver does not work here" in done.out
    assert host.meter("doctor", "--file", "none.toml").codes == ["E-FILE"]


def test_no_plugin_is_imported(host: Sandbox) -> None:
    """Their code may do anything."""
    (host.folder / "plugins" / "watts" / "plugin.py").write_text("raise SystemExit(9)\n")
    host.meter("doctor").ok()


def test_a_plugin_is_told_which_alternative_holds(host: Sandbox) -> None:
    """By the name of the table."""
    code = """
from meter.core.plugin import Source

class Plugin(Source):
    def start(self, context):
        self.way = context.alternative

    def poll(self, out):
        out.emit("way.value", {"first": 1.0, "second": 2.0}[self.way])
"""
    needs = NO_NEED.replace("[[needs.host]]", '[[needs.host]]\nname = "first"', 1) + (
        '[[needs.host]]\nname = "second"\nreadable = ["/sys/powercap/*"]\n'
    )
    host.plugin("way", code, HEAD.format(name="way") + needs + METRIC.format(name="way.value", of="machine"))
    host.meter("mount", "/way", "way", "csv", "path=way.csv").ok()
    host.meter("run", "/way", "--locked", "--for", "50ms").ok()
    assert {row["value"] for row in host.rows("way.csv")} == {"2.0"}


def test_a_record_knows_of_every_alternative(host: Sandbox) -> None:
    """Which of them exists depends on the options of a mount, which the record need not have seen."""
    setting = host.folder / "tree" / "proc" / "sys" / "kernel" / "own"
    setting.parent.mkdir(parents=True)
    setting.write_text("2\n")
    options = '[config.scope]\ntype = "enum"\nvalues = ["own", "all"]\ndefault = "own"\n'
    needs = (
        '[[needs.host]]\nwhen = { scope = "own" }\nsysctl = { "kernel.own" = "<=2" }\n'
        '[[needs.host]]\nwhen = { scope = "all" }\nsysctl = { "kernel.own" = "<=0" }\n'
    )
    host.plugin("events", "", HEAD.format(name="events") + options + needs + METRIC.format(name="e", of="machine"))
    path = record(host)
    (host.folder / "meter.toml").write_text(
        '[mounts."/own"]\nplugins = ["events", "console"]\n'
        '[mounts."/all"]\nplugins = ["events", "console"]\nconfig.events.scope = "all"\n'
    )

    own = host.meter("check", "/own", "--host", str(path))
    all_ = host.meter("check", "/all", "--host", str(path))

    assert own.ok().out.startswith("/own: ok")
    assert all_.codes == ["E-HOST"]
    assert "the setting `kernel.own` is 2, not `<=0`" in all_.errors
    assert "which no command for this machine changes" in " ".join(all_.errors.split())


@pytest.mark.parametrize("words", [("perf", "scope=process", "pid=1"), ("rapl",)], ids=lambda words: words[0])
def test_events_below_a_sysroot_are_refused_when_they_are_mounted(host: Sandbox, words: tuple[str, ...]) -> None:
    """As `run` would refuse them: they are those of the kernel that runs, whatever the tree has and permits."""
    tree = host.folder / "tree"
    (tree / "proc" / "self" / "status").write_text("CapEff:\tffffffffffffffff\n")
    power = tree / "sys" / "bus" / "event_source" / "devices" / "power" / "events"
    power.mkdir(parents=True)
    (power / "energy-pkg").write_text("event=0x02\n")
    done = host.meter("mount", "/p", *words, "csv", "path=p.csv")

    assert (done.code, done.codes) == (1, ["E-HOST"])
    told = " ".join(done.errors.split())
    assert f"events are counted on the running machine only, and `{host.folder}/tree` is looked at" in told
    assert ("run without `--sysroot` and METER_SYSROOT" in told) is (words[0] == "perf")  # `rapl` has another way
