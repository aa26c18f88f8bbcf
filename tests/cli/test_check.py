"""`meter check`: what it takes, its forms and exit codes; warm and cold say the same, and no lock breaks it."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import SOURCE

if TYPE_CHECKING:
    from tests.cli.conftest import Sandbox

BROKEN = '[mounts."/bad"]\nplugins = ["cpuu", "csv"]\nconfig.csv.path = "bad.csv"\n'
SOUND = '[mounts."/{0}"]\nplugins = ["cpu", "csv"]\nconfig.csv.path = "{0}.csv"\n'


def write(sandbox: Sandbox, *texts: str, name: str = "meter.toml") -> None:
    """A mount file of these texts."""
    path = sandbox.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(texts))


def test_file_mountpoint_or_nothing(sandbox: Sandbox) -> None:
    """Without an argument all mounts of the file that is found; else mountpoints or a mount file."""
    write(sandbox, SOUND.format("one"), SOUND.format("two"))
    write(sandbox, SOUND.format("three"), name="other/meter.toml")
    write(sandbox, SOUND.format("four"), name="other/four.toml")
    write(sandbox, SOUND.format(""), name="other/top.toml")
    one, two = (f"/{name}: ok, cpu -> csv\n" for name in ("one", "two"))
    before = sandbox.files()
    assert sandbox.meter("check").ok().out == one + two
    assert sandbox.meter("check", "/two").ok().out == two
    assert sandbox.meter("check", "meter.toml").ok().out == one + two
    assert sandbox.meter("check", "/two", "/one").ok().out == two + one
    assert sandbox.meter("check", "other/four.toml").ok().out == "/four: ok, cpu -> csv\n"
    assert sandbox.meter("check", env={"METER_FILE": "other/four.toml"}).ok().out == "/four: ok, cpu -> csv\n"
    assert sandbox.meter("check", "/", "--file", "other/top.toml").ok().out == "/: ok, cpu -> csv\n"
    assert sandbox.files() == before, "a check writes nothing, no lock either"


def test_plugins_are_checked_as_folder_or_contract(sandbox: Sandbox) -> None:
    """A folder of plugins, a contract and a mount file beside its plugins."""
    sandbox.plugin("mine")
    assert sandbox.meter("check", "plugins").ok().out == "plugins: ok\n"
    assert sandbox.meter("check", "plugins/mine/contract.toml").ok().out == "plugins/mine/contract.toml: ok\n"
    write(
        sandbox, '[mounts."/mine"]\nplugins = ["mine", "csv"]\nconfig.csv.path = "a.csv"\n', name="plugins/meter.toml"
    )
    assert sandbox.meter("check", "plugins").ok().out == "/mine: ok, mine -> csv\n1 contract: ok\n"
    sandbox.plugin("broken", contract="name = 1\n")
    done = sandbox.meter("check", "plugins")
    assert done.code == 1
    assert "E-CLAUSE-TYPE" in done.codes


def test_one_broken_mount_does_not_hide_the_others(sandbox: Sandbox) -> None:
    """The sound ones are said to be ok, the broken one has its error at its place in the file, exit 1."""
    write(sandbox, SOUND.format("one"), BROKEN)
    done = sandbox.meter("check")
    assert done.code == 1
    assert done.out == "/one: ok, cpu -> csv\n"
    assert done.codes == ["E-PLUGIN-UNKNOWN"]
    assert done.places == ["meter.toml:6:12"]
    assert sandbox.meter("check", "/one").ok().out == done.out
    assert sandbox.meter("check", "/bad").codes == ["E-PLUGIN-UNKNOWN"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["/nope"], 1, "nothing is mounted at `/nope`"),
        (["/onee"], 1, "did you mean `/one`?"),
        (["one"], 1, "did you mean `/one`?"),
        (["nofile.toml"], 5, "cannot read `nofile.toml`: no such file or directory"),
        (["/nowhere/meter.toml"], 5, "cannot read `/nowhere/meter.toml`"),
        (["nowhere/contract.toml"], 5, "cannot read `nowhere/contract.toml`"),
        (["--file", "nofile.toml"], 5, "cannot read `nofile.toml`"),
        (["--format", "yaml"], 2, "'yaml' is not one of"),
        (["--sysroot", "nowhere"], 2, "does not exist"),
        (["/one", "/two"], 1, "nothing is mounted at `/two`"),
    ],
)
def test_what_is_not_there_is_said(sandbox: Sandbox, words: list[str], code: int, told: str) -> None:
    """A mountpoint, a file, a form that there is not."""
    write(sandbox, SOUND.format("one"))
    done = sandbox.meter("check", *words)
    assert done.code == code
    assert told in " ".join(done.errors.split())
    assert "Traceback" not in done.errors
    assert len(done.codes) <= 1


def test_no_mount_file_at_all(sandbox: Sandbox) -> None:
    """Exit 5 and how to make one; a file that mounts nothing is sound."""
    done = sandbox.meter("check")
    assert done.code == 5
    assert "makes one" in done.errors
    write(sandbox, "")
    assert "nothing is mounted" in sandbox.meter("check").ok().out


def test_strict_makes_warnings_count(sandbox: Sandbox) -> None:
    """A warning is said and exit 0; with --strict exit 3; an error beside it stays 1. From the lock it is the same."""
    contract = SOURCE.format(name="mine").replace('author = "A test <test@example.org>"\n', "")
    folder = sandbox.plugin("mine", contract=contract)
    sandbox.mount("/mine", "mine", "csv", "path=a.csv", "--plugin-dir", folder)
    warm = sandbox.meter("check").ok()
    assert warm.codes == ["W-CLAUSE-MISSING"]
    assert sandbox.meter("check", "--strict").code == 3
    (sandbox.folder / "meter.lock").unlink()
    cold = sandbox.meter("check", "--strict", "--plugin-dir", folder)
    assert cold.code == 3
    assert cold.codes == warm.codes
    with (sandbox.folder / "meter.toml").open("a") as file:
        file.write("\n" + BROKEN)
    assert sandbox.meter("check", "--strict", "--plugin-dir", folder).code == 1


def test_locked_refuses_what_was_changed_by_hand(sandbox: Sandbox) -> None:
    """After a hand edit --locked is E-LOCK-STALE with exit 4; mounting anew mends it. A comment changes nothing."""
    sandbox.mount("/host", "cpu", "csv", "path=host.csv")
    sandbox.meter("check", "--locked").ok()
    path = sandbox.folder / "meter.toml"
    path.write_text("# a comment\n" + path.read_text())
    sandbox.meter("check", "--locked").ok()
    path.write_text(path.read_text().replace('"csv"]', '"memory", "csv"]'))
    done = sandbox.meter("check", "--locked")
    assert done.code == 4
    assert done.codes == ["E-LOCK-STALE"]
    assert sandbox.meter("run", "--locked", "--for", "50ms").code == 4
    assert sandbox.meter("check").ok().out == "/host: ok, cpu, memory -> csv\n"
    assert not (sandbox.folder / "host.csv").exists()
    sandbox.mount("/host")
    assert sandbox.meter("check", "--locked").ok().out == "/host: ok, cpu, memory -> csv\n"


def test_another_meaning_of_a_contract_is_drift(sandbox: Sandbox) -> None:
    """A touched contract is fine, a changed one is E-DRIFT with exit 4 in check and run, until it is mounted anew."""
    folder = sandbox.plugin("mine", "from meter.core.plugin import Source\nclass Plugin(Source):\n    pass\n")
    sandbox.mount("/mine", "mine", "csv", "path=a.csv", "--plugin-dir", folder)
    contract = folder / "mine" / "contract.toml"
    contract.write_text("# a comment\n" + contract.read_text())
    sandbox.meter("check").ok()
    contract.write_text(contract.read_text().replace('unit = "1"', 'unit = "s"'))
    for command in (("check",), ("check", "--locked"), ("run", "--for", "50ms")):
        done = sandbox.meter(*command)
        assert done.code == 4
        assert done.codes == ["E-DRIFT"]
    sandbox.mount("/mine")
    sandbox.meter("check").ok()


def test_json_github_and_sarif(sandbox: Sandbox) -> None:
    """Each form on stdout is whole and has the same diagnostics; stderr is empty; the exit code stays."""
    write(sandbox, SOUND.format("one"), BROKEN)
    found = sandbox.meter("check", "--format", "json")
    assert (found.code, found.errors) == (1, "")
    document = found.json
    assert document["format"] == "meter-check/1"
    assert document["ok"] is False
    backend = document["backends"][0]
    assert backend["mountpoint"] == "/one"
    assert backend["order"] == ["cpu", "csv"]
    assert {plugin["because"] for plugin in backend["plugins"]} == {"asked"}
    times = [metric for metric in backend["schema"]["csv"] if metric["metric"] == "system.cpu.time"]
    assert [(metric["unit"], metric["type"], metric["kind"]) for metric in times] == [("s", "f64", "delta")]
    diagnostic = document["diagnostics"][0]
    assert set(diagnostic) == {"code", "severity", "message", "clause", "spans", "notes", "help", "edit"}
    assert diagnostic["spans"][0]["file"] == "meter.toml"
    github = sandbox.meter("check", "--format", "github")
    assert (github.code, github.errors) == (1, "")
    assert re.fullmatch(
        r"::error file=meter\.toml,line=6,col=12,title=E-PLUGIN-UNKNOWN::no plugin .*`cpuu`.*\n", github.out
    )
    sarif = sandbox.meter("check", "--format", "sarif")
    assert (sarif.code, sarif.errors) == (1, "")
    run = sarif.json["runs"][0]
    assert sarif.json["version"] == "2.1.0"
    result = run["results"][0]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "E-PLUGIN-UNKNOWN"
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("meter.toml", 6)


def test_forms_of_a_sound_mount(sandbox: Sandbox) -> None:
    """No diagnostics: JSON is ok, SARIF has no results, the GitHub form says nothing at all."""
    write(sandbox, SOUND.format("one"))
    assert sandbox.meter("check", "--format", "json").ok().json["ok"] is True
    assert sandbox.meter("check", "--format", "sarif").ok().json["runs"][0]["results"] == []
    assert sandbox.meter("check", "--format", "github").ok().out.strip() == ""


def test_warm_and_cold_say_the_same(sandbox: Sandbox) -> None:
    """What is answered from the lock is, byte for byte, what is found without it, and needs no heavy module."""
    sandbox.mount("/host", "cpu", "interval=20ms", "memory", "csv", "path=host.csv")
    contract = SOURCE.format(name="mine").replace('author = "A test <test@example.org>"\n', "")
    folder = sandbox.plugin("mine", contract=contract)
    sandbox.mount("/second", "mine", "csv", "path=second.csv", "--plugin-dir", folder)
    forms = [("check",), ("check", "/second"), ("check", "--format", "json")]
    traced = sandbox.meter("check", python=("-X", "importtime")).ok()
    modules = {line.rpartition("|")[2].strip() for line in traced.errors.splitlines()}
    assert not modules & {"networkx", "numpy", "attrs", "attr", "cattrs", "orjson", "meter.plugins.cpu"}
    assert "meter.core.lock" in modules
    warm = [sandbox.meter(*form).ok() for form in forms]
    (sandbox.folder / "meter.lock").unlink()
    assert [sandbox.meter(*form, "--plugin-dir", folder).ok() for form in forms] == warm


def edits(lock: Any) -> list[Any]:
    """What a hand can make of a lock: each place removed, or of another type."""
    plan = lock["mounts"]["/host"]["plan"]
    wrong: list[Any] = [None, 7, "x", [], {}, {"format": "meter-lock/10"}, {**lock, "format": "other/1"}]
    other: tuple[Any, ...] = (None, 5, [], {"/host": 7})
    wrong += [{**lock, name: value} for name in ("file", "mounts") for value in other]
    entry = lock["mounts"]["/host"]
    for name in entry:
        wrong.append({**lock, "mounts": {"/host": {**entry, name: [[]]}}})
        wrong.append({**lock, "mounts": {"/host": {key: value for key, value in entry.items() if key != name}}})
    wrong += [{**lock, "mounts": {"/host": {**entry, "plan": {**plan, name: None}}}} for name in ("plugins", "order")]
    return wrong


def test_an_edited_lock_never_breaks_a_check(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a hand makes of meter.lock, check gives the answer of a cold check.

    Most edits go through the commands in this process, which is fifty times quicker; some through the real one.
    """
    from click.testing import CliRunner

    from meter.cli.main import group

    sandbox.mount("/host", "cpu", "csv", "path=host.csv")
    path = sandbox.folder / "meter.lock"
    sound = path.read_bytes()
    monkeypatch.chdir(sandbox.folder)
    for name in [name for name in os.environ if name.startswith("METER_")]:
        monkeypatch.delenv(name)
    runner = CliRunner()
    for wrong in edits(json.loads(sound)):
        path.write_text(json.dumps(wrong))
        done = runner.invoke(group, ["check"])
        assert (done.exit_code, done.stdout) == (0, "/host: ok, cpu -> csv\n"), wrong
        locked = runner.invoke(group, ["check", "--locked"], standalone_mode=False)
        assert locked.exception is None
    for data in (b"", b"{", b"\xff\xfe", b"[" * 100_000, sound[:-200], sound.replace(b'"cpu"', b'"cpv"')):
        path.write_bytes(data)
        assert sandbox.meter("check").ok().out == "/host: ok, cpu -> csv\n"
        assert path.read_bytes() == data
    stale = sandbox.meter("check", "--locked")
    assert (stale.code, stale.codes) == (4, ["E-LOCK-STALE"])
    sandbox.meter("run", "--for", "20ms").ok()
    sandbox.meter("check", "--locked").ok()


def test_a_lock_that_is_a_folder_is_no_fault(sandbox: Sandbox) -> None:
    """Where meter.lock cannot be read or written, check and run still work, only slower."""
    write(sandbox, SOUND.format("host"))
    (sandbox.folder / "meter.lock").mkdir()
    sandbox.meter("check").ok()
    sandbox.meter("run", "--for", "20ms").ok()


SLIPS = """# head
[mounts."/host"]
plugns = ["cpuu#a", 'memroy', "csv"] # three
durabilty = "proces"

[mounts."/host".config.cvs]
path = "x.csv" # here
[mounts."/host".config.a]
intervall = "1s"
"""
MENDED = (
    SLIPS.replace("plugns", "plugins").replace("cpuu", "cpu").replace("memroy", "memory").replace("cvs", "csv")
    .replace("durabilty", "durability").replace("proces", "process").replace("intervall", "interval")
)  # fmt: skip


def test_fix_mends_what_is_certain_and_keeps_the_rest(sandbox: Sandbox) -> None:
    """Fault behind fault, until the file is sound; each change is shown; comments, quotes and line ends stay."""
    path = sandbox.folder / "meter.toml"
    path.write_bytes(SLIPS.replace("\n", "\r\n").encode())
    before = sandbox.meter("check")
    assert (before.code, before.codes) == (1, ["E-CLAUSE-UNKNOWN", "E-CLAUSE-UNKNOWN"])
    assert before.errors.endswith("`meter check --fix` mends 2 of these\n")
    fixed = sandbox.meter("check", "--fix").ok()
    assert path.read_bytes() == MENDED.replace("\n", "\r\n").encode()
    assert fixed.out.startswith(
        "meter.toml:3: write `plugins` instead of `plugns`\n"
        '  - plugns = ["cpuu#a", \'memroy\', "csv"] # three\n'
        '  + plugins = ["cpuu#a", \'memroy\', "csv"] # three\n'
    )
    assert fixed.out.endswith("/host: ok, a, memory -> csv\n")
    assert (fixed.out.count("  + "), fixed.errors) == (7, "")
    assert sandbox.meter("check", "--fix").ok().out == "/host: ok, a, memory -> csv\n"
    assert not (sandbox.folder / "meter.lock").exists()


def test_fix_in_other_forms(sandbox: Sandbox) -> None:
    """JSON tells what was changed; GitHub and SARIF forms stay whole on stdout; without --fix SARIF has the fixes."""
    path = sandbox.folder / "meter.toml"
    path.write_text(SLIPS)
    (result, _) = sandbox.meter("check", "--format", "sarif").json["runs"][0]["results"]
    (replacement,) = result["fixes"][0]["artifactChanges"][0]["replacements"]
    assert replacement["insertedContent"] == {"text": "plugins"}
    document = sandbox.meter("check", "--fix", "--format", "json").ok().json
    assert (document["ok"], document["unfixed"], len(document["fixed"])) == (True, [], 7)
    line = SLIPS.split("\n")[2]
    assert document["fixed"][0] == {
        "file": "meter.toml",
        "line": 3,
        "code": "E-CLAUSE-UNKNOWN",
        "title": "write `plugins` instead of `plugns`",
        "diff": [f"-{line}", f"+{line.replace('plugns', 'plugins')}"],
    }
    for form in ("github", "sarif"):
        path.write_text(SLIPS)
        done = sandbox.meter("check", "--fix", "--format", form).ok()
        assert "write `csv` instead of `cvs`" in done.errors
        assert done.out.strip() == "" or done.json["runs"][0]["results"] == []


def test_fix_leaves_what_is_not_certain(sandbox: Sandbox) -> None:
    """A name with two near ones, and a value that nobody can know, stay; the exit code is that of what is left."""
    text = '[mounts."/host"]\nplugins = ["cpv", "memory"]\nconfig.memory = { interval = 10 }\n'
    write(sandbox, text)
    done = sandbox.meter("check", "--fix")
    assert (done.code, done.codes, done.out) == (1, ["E-PLUGIN-UNKNOWN", "E-CONFIG-TYPE"], "")
    assert (sandbox.folder / "meter.toml").read_text() == text
    assert "--fix" not in sandbox.meter("check").errors


def test_fix_changes_contracts_of_the_checked_folder_only(sandbox: Sandbox) -> None:
    """Those of the folder that was named, as the target or with --plugin-dir; others are as they are installed."""
    folder = sandbox.plugin("mine", contract=SOURCE.format(name="mine").replace("gauge", "guage"))
    contract = folder / "mine" / "contract.toml"
    write(sandbox, '[mounts."/host"]\nplugins = ["mine", "csv"]\nconfig.csv.path = "x.csv"\n')
    fixed = sandbox.meter("check", "--fix", folder).ok()
    assert 'kind = "gauge"' in contract.read_text()
    assert fixed.out.count("\n  + ") == 1
    contract.write_text(contract.read_text().replace("gauge", "guage"))
    sandbox.meter("check", "--fix", "--plugin-dir", folder).ok()
    assert 'kind = "gauge"' in contract.read_text()


def test_fix_does_not_touch_a_command_line(sandbox: Sandbox) -> None:
    """A mistyped mountpoint is said, with the word that was meant."""
    write(sandbox, SOUND.format("host"))
    done = sandbox.meter("check", "/hsot", "--fix")
    assert (done.code, done.codes) == (1, ["E-MOUNT-UNKNOWN"])
    assert "not changed, as it is none of the checked files: <command line>:1: write `/host` instead" in done.errors
