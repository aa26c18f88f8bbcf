"""`meter exec` measures a command and is otherwise not there: streams, exit code and signals are the command's."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import Sandbox

if TYPE_CHECKING:
    from tests.cli.conftest import Waiting

TICK_S = 1 / os.sysconf("SC_CLK_TCK")

BURN = """
import os, sys
while sum(os.times()[:2]) < 0.5:
    sum(range(1000))
used = os.times()
with open(sys.argv[1], "w") as file:
    file.write(f"{used.user} {used.system}")
    file.flush()
    os._exit(0)
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """One folder and one cache for the tests that leave nothing behind: the chain is planned once."""
    return Sandbox(tmp_path_factory.mktemp("exec"))


def is_quantity(value: Any, unit: str) -> bool:
    """Whether this is a quantity: with its value, or without it and with the reason."""
    assert set(value) == {"value", "unit", "quality", "reason"}
    assert value["unit"] == unit
    if value["value"] is None:
        return value["quality"] == "missing" and len(value["reason"]) > 10
    return value["quality"] in {"measured", "derived", "estimated"} and value["reason"] is None and value["value"] >= 0


# ----------------------------------------------------------------------------------------------------------- exit code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "exit 255"], 255),
        (["sh", "-c", "kill -KILL $$"], 128 + 9),
        (["sh", "-c", "kill -TERM $$"], 128 + 15),
    ],
)
def test_the_exit_code_is_the_command_s(box: Sandbox, words: list[str], code: int) -> None:
    """Also where a signal ended it: 128 + its number, as a shell says it."""
    done = box.meter("exec", "--format", "json", "--", *words)
    assert done.code == code
    assert done.json["exit_code"] == code
    assert done.json["signal"] == (code - 128 if 128 < code < 255 else None)
    assert done.errors == ""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--", "pyhton3"], 127, "did you mean"),
        (["--", "no/such/file"], 127, "`no/such/file` is not a command that can be found"),
        (["--", ""], 127, "is not a command"),
        (["--", "./plain"], 126, "it has no execute permission; chmod +x ./plain"),
        (["--", "./"], 126, "it is a folder"),
        (["--", "./script"], 126, "give it a first line such as `#!/bin/sh`"),
        (["--", "-x"], 127, "`-x` is not a command that can be found"),
        ([], 2, "Missing argument"),
        (["--"], 2, "Missing argument"),
        (["--fromat", "json", "true"], 2, "'--format'"),
        (["-x", "true"], 2, "No such option '-x'"),
        (["--sysroot", "nowhere", "true"], 2, "'nowhere' does not exist"),
    ],
)
def test_a_command_that_cannot_be_run_is_said(box: Sandbox, words: list[str], code: int, told: str) -> None:
    """127 not found, 126 not executable, each with what to do; 2 for words that meter does not understand."""
    (box.folder / "plain").write_text("")
    (box.folder / "script").write_text("echo hello\n")
    (box.folder / "script").chmod(0o755)
    done = box.meter("exec", *words)
    assert done.code == code
    assert told in " ".join(done.errors.split())
    assert "Traceback" not in done.errors
    assert done.raw == b""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--out", "no/x.csv"], "E-PATH", "--out=no/x.csv"),
        (["--out", "x.xyz"], "E-PATH", "--out=x.xyz"),
        (["--out", "x"], "E-PATH", "--out=x"),
        (["--out", "."], "E-PATH", "--out=."),
        (["--interval", "5"], "E-CONFIG-TYPE", "--interval=5"),
        (["-i", "0s"], "E-CONFIG-RANGE", "--interval=0s"),
        (["--carbon", "FRO"], "E-CONFIG-RANGE", "--carbon=FRO"),
        (["--carbon", ""], "E-CONFIG-RANGE", "--carbon="),
        (["--carbon", "475"], "E-CONFIG-TYPE", "--carbon=475"),
        (["--carbon", "5kg"], "E-CONFIG-TYPE", "--carbon=5kg"),
        (["--carbon", "none"], "E-CONSTRAINT", "--carbon=none"),
        (["--carbon", "0g/kWh"], "E-CONSTRAINT", "--carbon=0g/kWh"),
    ],
)
def test_what_meter_cannot_do_is_said_before_the_command_runs(
    sandbox: Sandbox, words: list[str], code: str, told: str
) -> None:
    """125 with one error that points at the option; the command has not run and no file is left."""
    done = sandbox.meter("exec", *words, "--", "touch", "marker")
    assert done.code == 125
    assert done.codes == [code]
    assert done.places[0].startswith("<command line>:1:12")
    assert f"meter exec {told} -- touch marker" in done.errors
    assert "= help: " in done.errors
    assert sandbox.files() == {}


def test_a_grid_that_is_near_is_told(box: Sandbox) -> None:
    """Also where there is no energy: a mistyped word is no reason to measure something else."""
    done = box.meter("exec", "--carbon", "fra", "--", "true")

    assert done.code == 125
    assert "did you mean `FRA`?" in done.errors


def test_no_executable_path(box: Sandbox) -> None:
    """With an empty PATH or without one names are not found, paths are."""
    assert box.meter("exec", "nosuch", env={"PATH": ""}).code == 127
    assert box.meter("exec", "/bin/sh", "-c", "exit 4", env={"PATH": ""}).code == 4
    assert box.meter("exec", "sh", "-c", "exit 4", env={"PATH": None}).code == 4


# ------------------------------------------------------------------------------------------------- streams and options


def test_streams_pass_through_untouched(box: Sandbox) -> None:
    """Every byte of stdin and stdout, and stderr before the table; of meter only the table is added, on stderr."""
    data = bytes(range(256)) * 512
    done = box.meter("exec", "--", "sh", "-c", "printf 'a\\377\\n' >&2; exec cat", stdin=data)
    assert done.code == 0
    assert done.raw == data
    assert done.errors.startswith("a\udcff\nsh -c ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["printf", "%s,", "-la", "--format", "--help", "--"], "-la,--format,--help,--,"),
        (["--", "printf", "%s,", "--out", "--", "-x"], "--out,--,-x,"),
        (["-i", "1s", "printf", "%s,", "-i"], "-i,"),
        (["--", "-dashed"], "dashed"),
    ],
)
def test_what_stands_behind_the_command_is_the_command_s(box: Sandbox, words: list[str], told: str) -> None:
    """No option of the command is eaten, with and without `--`; a command may begin with a dash behind `--`."""
    folder = box.folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "-dashed").write_text("#!/bin/sh\nprintf dashed\n")
    (folder / "-dashed").chmod(0o755)
    done = box.meter("exec", *words, env={"PATH": f"{folder}:{os.environ['PATH']}"}).ok()
    assert done.out == told


def test_closed_and_broken_streams_change_nothing(box: Sandbox) -> None:
    """Closed stdin, stdout, stderr, a full disk below each, a reader that goes away: the command's exit code stays.

    The command finds the streams as meter found them.
    """
    script = """
    meter exec -- sh -c 'exit 3' <&- >&- 2>&-; echo "$?"
    meter exec --format json -- sh -c 'exit 3' >&-; echo "$?"
    meter exec --format json -- sh -c 'exit 3' 2>/dev/null >/dev/full; echo "$?"
    meter exec -- sh -c 'exit 3' 2>/dev/full; echo "$?"
    meter exec --format json -- sh -c 'exit 3' | head -1 >/dev/null; echo "${PIPESTATUS[0]}"
    meter exec --format json -- sh -c 'exit 3' | true; echo "${PIPESTATUS[0]}"
    meter exec -- sh -c '[ -e /proc/self/fd/1 ] && exit 1; exit 3' >&- 2>/dev/null; echo "$?"
    """
    done = box.shell(script)
    assert done.out.split() == ["3"] * 7
    assert done.errors == ""


def test_a_full_disk_below_the_json_is_said(box: Sandbox) -> None:
    """One line, no traceback."""
    done = box.shell("meter exec --format json true >/dev/full")
    assert done.code == 0
    assert done.errors == "meter: the output cannot be written: no space left on device\n"


# ------------------------------------------------------------------------------------------------------------- signals


def test_a_signal_to_meter_reaches_the_command(sandbox: Sandbox, wait: Waiting) -> None:
    """SIGTERM is passed on; the command decides, and what it used is still told."""
    script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.02; done"
    process = sandbox.start("exec", "--format", "json", "--", "sh", "-c", script)
    wait.line(process, "ready", "stdout")
    process.send_signal(signal.SIGTERM)
    done = wait.end(process)
    assert done.code == 9
    told, _, document = done.out.partition("\n")
    assert told == "got"
    assert json.loads(document)["exit_code"] == 9


def test_ctrl_c_ends_the_command_and_meter_tells_what_it_used(sandbox: Sandbox, wait: Waiting) -> None:
    """Ctrl-C goes to the whole group: the command ends by it, meter with 130 and its table."""
    process = sandbox.start("exec", "--", "sh", "-c", "echo ready; exec sleep 60", process_group=0)
    wait.line(process, "ready", "stdout")
    os.killpg(process.pid, signal.SIGINT)
    done = wait.end(process)
    assert done.code == 130
    assert "killed by signal 2 after" in done.errors


def test_what_is_left_running_is_named(box: Sandbox) -> None:
    """A process that outlives the command is named with its pid, in the JSON form and below the table."""
    script = "sleep 60 >/dev/null 2>&1 & "
    document = box.meter("exec", "--format", "json", "--", "sh", "-c", script).ok().json
    assert [left["name"] for left in document["left_running"]] == ["sleep"]
    text = box.meter("exec", "--", "sh", "-c", script).ok().errors
    pid = int(text.split("still running: sleep (")[1].split(")")[0])
    for left in (document["left_running"][0]["pid"], pid):
        os.kill(left, signal.SIGKILL)


def test_cpu_time_of_orphans_is_told(box: Sandbox) -> None:
    """What a process used that the command never waited for is no part of its CPU time, and said beside it."""
    script = f"({sys.executable} -S burn.py own >/dev/null & ) ; while [ ! -s own ]; do sleep 0.05; done; sleep 0.3"
    (box.folder / "burn.py").write_text(BURN)
    done = box.meter("exec", "--format", "json", "--", "sh", "-c", script).ok()
    user, system = map(float, (box.folder / "own").read_text().split())

    assert done.json["orphans"]["ended"] == 1
    assert done.json["orphans"]["cpu"]["value"] >= user + system
    assert done.json["cpu"]["user"]["value"] < user


def test_memory_of_a_process_that_has_ended_is_missing(box: Sandbox) -> None:
    """The last poll sees the command as a zombie, whose memory the kernel shows as 0: no mean takes that in."""
    hold = "x = bytearray(b'x') * 100_000_000; import time; time.sleep(0.5)"
    words = ("--", sys.executable, "-S", "-c", hold)
    short = box.meter("exec", "--format", "json", "--", "true").ok().json
    long = box.meter("exec", "-i", "20ms", "--format", "json", *words).ok().json

    (usage,) = [metric for metric in short["metrics"] if metric["metric"] == "process.memory.usage"]
    assert (usage["value"], usage["quality"], usage["reason"]) == (None, "missing", "the process has ended")
    (usage,) = [metric for metric in long["metrics"] if metric["metric"] == "process.memory.usage"]
    assert 50_000_000 < usage["value"] < long["memory"]["max_rss"]["value"]


# ------------------------------------------------------------------------------------------------------------- numbers


def test_the_json_form(box: Sandbox) -> None:
    """Every quantity has value, unit, quality and reason; what there is no source for is null with its reason."""
    done = box.meter("exec", "--format", "json", "-i", "20ms", "--", "sleep", "0.2").ok()
    document = done.json
    assert document["format"] == "meter-exec/1"
    assert document["command"] == ["sleep", "0.2"]
    assert document["runs"] == 1
    assert is_quantity(document["duration"], "s")
    assert 0.2 <= document["duration"]["value"] < 5
    for value in document["cpu"].values():
        assert is_quantity(value, "s")
    assert set(document["cpu"]) == {"user", "system"}
    assert is_quantity(document["memory"]["max_rss"], "By")
    assert is_quantity(document["io"]["read"], "By")
    assert is_quantity(document["io"]["written"], "By")
    energy = document["energy"]
    assert energy["domains"] == []
    for name in ("total", "attributed"):
        assert is_quantity(energy[name], "J")
        assert energy[name]["value"] is None
    names = {metric["metric"] for metric in document["metrics"]}
    assert names >= {"system.cpu.time", "system.memory.usage", "process.cpu.time", "process.memory.usage"}
    # Not by mode: that would be in ticks of 10 ms, and most commands are short.
    assert [metric["attributes"] for metric in document["metrics"] if metric["metric"] == "process.cpu.time"] == [{}]
    for metric in document["metrics"]:
        assert metric["scope"] == ("command" if metric["metric"].startswith("process.") else "machine")
        assert (metric["value"] is None) == (metric["quality"] == "missing") == bool(metric["reason"])
        assert metric["statistic"] == ("sum" if metric["kind"] == "delta" else "mean")
    # Sources are polled before, about every 20 ms, and after; a loaded machine joins polls and counts them.
    assert document["polls"] + document["missed_ticks"] >= 3 * 8
    assert document["left_running"] == document["faults"] == []


def test_cpu_time_agrees_with_the_command_s_own_reading(sandbox: Sandbox) -> None:
    """User and system time are what the command itself reads at its end, within a tick or 5 %."""
    (sandbox.folder / "burn.py").write_text(BURN)
    done = sandbox.meter("exec", "--format", "json", "--", sys.executable, "-S", "burn.py", "own").ok()
    user, system = map(float, (sandbox.folder / "own").read_text().split())
    cpu = done.json["cpu"]
    total = cpu["user"]["value"] + cpu["system"]["value"]
    assert abs(total - (user + system)) <= max(TICK_S, 0.05 * total)
    assert cpu["user"]["value"] >= 0.4
    assert done.json["duration"]["value"] >= total * 0.95
    machine = [
        metric["value"]
        for metric in done.json["metrics"]
        if metric["metric"] == "system.cpu.time" and metric["attributes"]["cpu.mode"] in {"user", "system"}
    ]
    # The machine spent on it at least what the command did: the kernel counts by ticks on each core.
    assert sum(machine) >= total - 0.05 * total - TICK_S * len(machine)


def test_the_table_says_whose_each_number_is(box: Sandbox) -> None:
    """On stderr: first what is the command's, then what is the machine's; what is missing says why below."""
    done = box.meter("exec", "--", "sh", "-c", "exit 3")
    assert done.raw == b""
    lines = done.errors.splitlines()
    assert lines[0].startswith("sh -c 'exit 3': exit 3 after ")
    scope = ""
    scopes: dict[str, str] = {}
    for line in lines[3:]:
        if not line:
            break
        scope = line[:9].strip() or scope
        scopes[line[9:].split("  ")[0]] = scope
    own = "energy, attributed to the command"
    assert scopes["duration"] == scopes["cpu time, user"] == scopes[own] == "command"
    assert scopes["energy"] == "machine"
    machine = [name for name, of in scopes.items() if of == "machine" and name != "energy"]
    assert machine
    assert all(name.startswith("system.") for name in machine)
    assert set(scopes.values()) == {"command", "machine"}
    assert "energy is missing: `amdgpu` cannot be used: " in done.errors


def test_words_that_are_no_text_are_shown_and_steer_nothing(box: Sandbox) -> None:
    """Escape sequences and bytes that are no UTF-8: visible in the table, escaped in valid JSON."""
    words = ("--", "printf", b"\x1b[31m\xff")
    text = box.meter("exec", *words).ok()
    assert text.raw == b"\x1b[31m\xff"
    assert "\x1b" not in text.errors
    assert "printf '\\x1b[31m\\udcff': exit 0" in text.errors
    form = box.meter("exec", "--format", "json", *words, env={"PYTHONIOENCODING": "utf-8:strict"}).ok()
    assert json.loads(form.raw.removeprefix(text.raw).decode())["command"] == ["printf", "\x1b[31m\udcff"]


def test_a_narrow_terminal_and_a_long_command(box: Sandbox) -> None:
    """On 60 columns no line is longer, however long the command is; COLUMNS without a terminal breaks nothing."""
    (box.folder / "long.sh").write_text(f"exec {sys.executable} -m meter exec -- true {'x' * 300} \n")
    done = box.shell("command -v script >/dev/null || exit 77; script -qec 'stty cols 60; sh long.sh' /dev/null")
    if done.code == 77:
        pytest.skip("there is no `script` to make a terminal with")
    assert done.code == 0
    assert max(len(line) for line in done.out.splitlines()) <= 60
    assert "system.cpu.logical.count, mean" in done.out
    assert box.meter("exec", "true", env={"COLUMNS": "1"}).ok().raw == b""


# ---------------------------------------------------------------------------------------------------- files and caches


def test_every_reading_goes_to_a_file(sandbox: Sandbox) -> None:
    """`--out x.csv` has the readings of the machine and of the command; a second run appends."""
    sandbox.meter("exec", "--out", "x.csv", "-i", "20ms", "--", "sleep", "0.2").ok()
    rows = sandbox.rows("x.csv")
    consumers = {row["metric"].partition(".")[0]: row["consumer"].partition("/")[0] for row in rows}
    assert consumers == {"system": "machine", "process": "process"}
    assert len({row["time"] for row in rows if row["metric"] == "system.memory.limit"}) >= 4
    sandbox.meter("exec", "--out", str(sandbox.folder / "x.csv"), "--", "true").ok()
    assert len(sandbox.rows("x.csv")) > len(rows)


def test_a_file_that_cannot_be_written_never_changes_the_exit_code(sandbox: Sandbox) -> None:
    """The fault is named on stderr and in the document, the table is there, the exit code is the command's."""
    done = sandbox.shell("ulimit -f 0; meter exec --out x.csv -- sh -c 'exit 3'")
    assert done.code == 3
    assert "File too large" in done.errors
    assert "sh -c 'exit 3': exit 3 after" in done.errors
    assert "Traceback" not in done.errors


def modules(errors: str) -> set[str]:
    """The modules that `-X importtime` names."""
    return {line.rpartition("|")[2].strip() for line in errors.splitlines() if line.startswith("import time:")}


def test_the_second_run_uses_the_plan_of_the_first(sandbox: Sandbox) -> None:
    """The plan is kept in the user's cache, so that the second run needs neither networkx nor the contract language."""
    heavy = {"meter.contracts.model", "meter.contracts.reader"}
    first = sandbox.meter("exec", "true", python=("-X", "importtime")).ok()
    assert heavy <= modules(first.errors)
    kept = list((sandbox.home / "cache" / "meter").iterdir())
    assert len(kept) == 1
    assert kept[0].parent.stat().st_mode & 0o077 == 0
    second = sandbox.meter("exec", "true", python=("-X", "importtime")).ok()
    assert not {"networkx", *heavy} & modules(second.errors)
    assert "numpy" in modules(second.errors)
    for broken in (b"[]", b"[" * 100_000, kept[0].read_bytes()[:-9]):
        kept[0].write_bytes(broken)
        sandbox.meter("exec", "true").ok()


@pytest.mark.parametrize(
    "environment",
    [
        {"XDG_CACHE_HOME": "/dev/null/cache"},
        {"XDG_CACHE_HOME": None, "HOME": "/proc/nowhere"},
        {"XDG_CACHE_HOME": None, "HOME": None},
    ],
)
def test_without_a_cache_it_is_only_slower(sandbox: Sandbox, environment: dict[str, str | None]) -> None:
    """A cache folder or a home that cannot be written, or none at all."""
    done = sandbox.meter("exec", "--format", "json", "true", env=environment)
    assert (done.code, done.errors) == (0, "")
    assert done.json["exit_code"] == 0


def test_few_descriptors_and_a_folder_that_is_gone(box: Sandbox) -> None:
    """With ten open files it still measures; in a folder that was deleted it says so, 125."""
    assert box.shell("ulimit -n 10; meter exec -- sh -c 'exit 3'").code == 3
    done = box.shell("mkdir gone; cd gone; rmdir ../gone; meter exec true")
    assert done.code == 125
    assert done.errors == "meter: the working folder is gone; change to another one\n"


def test_sysroot_leaves_out_what_is_not_there(sandbox: Sandbox) -> None:
    """Of a fake /proc with one file that file is read, to the last digit; where it has nothing, 125 says so."""
    proc = sandbox.folder / "root" / "proc"
    proc.mkdir(parents=True)
    words = ("exec", "--sysroot", "root", "--format", "json", "true")
    nothing = sandbox.meter(*words)
    assert (nothing.code, set(nothing.codes)) == (125, {"E-HOST"})
    (proc / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 40 kB\n")
    metrics = {metric["metric"]: metric for metric in sandbox.meter(*words).ok().json["metrics"]}
    assert metrics["system.memory.limit"]["value"] == 100 * 1024
    assert metrics["system.memory.linux.available"]["quality"] == "missing"
    assert "MemAvailable" in metrics["system.memory.linux.available"]["reason"]
