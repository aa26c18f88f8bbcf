"""`meter mount` and `meter umount`: each mistake has one clear error and changes nothing; a list never fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.conftest import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Done, Sandbox

FILTER = """
contract = 1
name = "{name}"
version = "1.0.0"
interface = ">=1,<2"
placement = "filter"
summary = "A filter of a test"
author = "A test <test@example.org>"
licence = "BSD-3-Clause"
status = ["example"]
ordering = {{ before = ["{before}"] }}

[[needs.metrics]]
metric = "system.memory.limit"
gives = {{ name = "${{metric}}.{name}" }}
"""


class Mistake(NamedTuple):
    """Words behind `meter mount`, the code of the one error, the word that it points at, what its text says."""

    words: tuple[str | bytes, ...]
    code: str
    at: str
    told: str
    exit_code: int = 1


MISTAKES = {
    "unknown plugin": Mistake(
        ("/host", "cpuu", "csv", "path=a.csv"), "E-PLUGIN-UNKNOWN", "cpuu", "did you mean `cpu`?"
    ),
    "unknown option": Mistake(
        ("/host", "cpu", "intervall=1s", "csv", "path=a.csv"),
        "E-CONFIG-UNKNOWN",
        "intervall",
        "did you mean `interval`?",
    ),
    "option out of range": Mistake(
        ("/host", "cpu", "interval=1ms", "csv", "path=a.csv"), "E-CONFIG-RANGE", "1ms", "less than `10ms`"
    ),
    "option without its unit": Mistake(
        ("/host", "cpu", "interval=2", "csv", "path=a.csv"),
        "E-CONFIG-TYPE",
        "2",
        'write it with a unit, such as "2s"',
    ),
    "obligatory option missing": Mistake(("/host", "cpu", "csv"), "E-CONFIG-MISSING", "csv", "needs the option `path`"),
    "no output": Mistake(("/host", "cpu"), "E-ROLE-COUNT", "/host", "such as `console`, `csv path=host.csv`"),
    "no source": Mistake(("/host", "csv", "path=a.csv"), "E-ROLE-COUNT", "/host", "add one to the plugins"),
    "bad mountpoint": Mistake(("host", "cpu", "csv", "path=a.csv"), "E-MOUNT-NAME", "host", "such as `/host`"),
    "mountpoint taken": Mistake(
        ("/taken", "cpu", "csv", "path=a.csv"), "E-MOUNT-TAKEN", "/taken", "`meter umount /taken` frees it"
    ),
    "output folder missing": Mistake(
        ("/host", "cpu", "csv", "path=no/a.csv"), "E-PATH", "no/a.csv", "make it: mkdir -p"
    ),
    "output below a file": Mistake(
        ("/host", "cpu", "csv", "path=meter.toml/a.csv"), "E-PATH", "meter.toml/a.csv", "is no folder"
    ),
    "output is a folder": Mistake(("/host", "cpu", "csv", "path=."), "E-PATH", ".", "name a file in it"),
    "option before any plugin": Mistake(
        ("/host", "interval=1s", "cpu", "csv", "path=a.csv"), "E-OPTION", "interval=1s", "begin with a plugin"
    ),
    "empty word": Mistake(("/host", "cpu", "", "csv", "path=a.csv"), "E-NAME", "''", "beginning with a letter"),
    "very long word": Mistake(
        ("/host", "x" * 100_000, "csv", "path=a.csv"), "E-PLUGIN-UNKNOWN", "xxx", "`meter plugin list` shows"
    ),
    "plugin that is not UTF-8": Mistake(
        ("/host", b"c\xffpu", "csv", "path=a.csv"), "E-NAME", "'c", "beginning with a letter"
    ),
    "option that is not UTF-8": Mistake(
        ("/host", "cpu", "csv", b"path=a\xff.csv"), "E-OPTION", "'path=a", "a mount file holds UTF-8 only"
    ),
    "plugin twice": Mistake(
        ("/host", "cpu", "cpu", "csv", "path=a.csv"),
        "E-DUPLICATE",
        "cpu",
        "options of its own: `cpu#other`",
    ),
    "folder of plugins that is not there": Mistake(
        ("/host", "cpu", "csv", "path=a.csv", "--plugin-dir", "no"), "E-FILE", "", "name a folder with plugins", 5
    ),
    "one word too few": Mistake(("/nope",), "E-MOUNT-UNKNOWN", "/nope", "mounted is `/taken`"),
}


def one_error(done: Done, code: str, told: str, exit_code: int = 1) -> None:
    """Exactly one error, of this code, with a place, a help, and these words; no traceback."""
    assert "Traceback" not in done.errors
    assert done.codes == [code], done.errors
    assert done.code == exit_code
    assert done.raw == b""
    assert len(done.places) == 1
    assert re.search(r"^ *= help: \S", done.errors, re.MULTILINE)
    # Long texts are wrapped, so blanks count as one.
    assert " ".join(told.split()) in " ".join(done.errors.split())
    assert done.errors.endswith("\n1 error\n")


def pointed(done: Done) -> str:
    """What the `^` of the only error stand below."""
    lines = done.errors.split("\n")
    below = next(number for number, line in enumerate(lines) if re.fullmatch(r" *\| +\^+.*", line))
    start, marks = lines[below].index("^"), lines[below].count("^")
    return lines[below - 1][start : start + marks]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_on_the_command_line_has_one_error_and_changes_nothing(sandbox: Sandbox, name: str) -> None:
    """One error with its code, its place on the command line and a help; meter.toml and meter.lock keep each byte."""
    mistake = MISTAKES[name]
    # `/taken` stands there without a lock: whatever is mounted must not be touched.
    (sandbox.folder / "meter.toml").write_text('# mine\n[mounts."/taken"]\nplugins = ["cpu", "csv"]\n')
    before = sandbox.files()
    done = sandbox.meter("mount", *mistake.words)
    one_error(done, mistake.code, mistake.told, mistake.exit_code)
    if mistake.at:
        assert done.places[0].startswith("<command line>:1:")
        assert mistake.at in pointed(done)
    assert len(done.errors) < 5_000
    assert sandbox.files() == before


@pytest.mark.parametrize("name", ["unknown plugin", "no output", "output folder missing"])
def test_the_first_mount_that_fails_leaves_no_file(sandbox: Sandbox, name: str) -> None:
    """Where nothing is mounted yet, neither meter.toml nor meter.lock is made."""
    mistake = MISTAKES[name]
    one_error(sandbox.meter("mount", *mistake.words), mistake.code, mistake.told)
    assert sandbox.files() == {}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder that cannot be written: without its mode where that counts, else on a disk that is read-only."""
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    for words in (["--bind", str(folder), str(folder)], ["-o", "remount,ro,bind", str(folder)]):
        if subprocess.run(["mount", *words], check=False, capture_output=True).returncode:
            subprocess.run(["umount", str(folder)], check=False, capture_output=True)
            pytest.skip("root without the right to mount cannot make a folder read-only")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_an_output_folder_that_cannot_be_written(sandbox: Sandbox) -> None:
    """A folder without the right to write, or on a read-only disk: E-PATH at the option, nothing is changed."""
    with read_only(sandbox.folder / "sealed"):
        done = sandbox.meter("mount", "/host", "cpu", "csv", "path=sealed/a.csv")
    one_error(done, "E-PATH", "take another folder")
    assert pointed(done) == "sealed/a.csv"
    assert sandbox.files() == {}


def test_a_mount_file_whose_folder_cannot_be_written(sandbox: Sandbox) -> None:
    """The mount file itself cannot be made: E-FILE with exit 5."""
    with read_only(sandbox.folder / "sealed"):
        done = sandbox.meter("mount", "/host", "cpu", "csv", "path=/dev/stdout", "--file", "sealed/meter.toml")
        assert os.listdir(sandbox.folder / "sealed") == []
    one_error(done, "E-FILE", "cannot", 5)


@pytest.mark.parametrize("command", [("mount", "/host", "cpu", "csv", "path=a.csv"), ("mount",), ("umount", "/host")])
def test_a_mount_file_that_cannot_be_read(sandbox: Sandbox, command: tuple[str, ...]) -> None:
    """Without the right to read, or where it is a folder: E-FILE that names it, exit 5."""
    path = sandbox.folder / "meter.toml"
    if os.geteuid() == 0:  # root may read everything
        path.mkdir()
    else:
        path.write_text("")
        path.chmod(0)
    done = sandbox.meter(*command)
    one_error(done, "E-FILE", "cannot read `meter.toml`", 5)
    assert not (sandbox.folder / "meter.lock").exists()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'[mounts."/host"]\nplugins = ["cpu"\n', "meter.toml:3:1"),
        (b'[mounts."/host"]\nplugins = cpu\n', "meter.toml:2:11"),
        (b"# \xc3\xa4\n# a\xff\n", "meter.toml:2:4"),
    ],
)
def test_a_malformed_mount_file_is_pointed_at(sandbox: Sandbox, text: bytes, place: str) -> None:
    """What is no TOML has an error with line and column, exit 5, and is not overwritten."""
    (sandbox.folder / "meter.toml").write_bytes(text)
    done = sandbox.meter("mount", "/other", "cpu", "csv", "path=a.csv")
    one_error(done, "E-FILE", "cannot read `meter.toml`", 5)
    assert done.places == [place]
    assert sandbox.files() == {"meter.toml": text}


def plugin_need(sandbox: Sandbox) -> tuple[Path, list[str]]:
    """A plugin with a need that nobody provides."""
    contract = SOURCE.format(name="needy").replace(
        "\n[[provides", '\n[needs.capabilities]\nunicorn = ">=1"\n\n[[provides'
    )
    return sandbox.plugin("needy", contract=contract), ["needy"]


def plugin_cycle(sandbox: Sandbox) -> tuple[Path, list[str]]:
    """Two filters, each of which wants to come first."""
    sandbox.plugin("one", contract=FILTER.format(name="one", before="two"))
    return sandbox.plugin("two", contract=FILTER.format(name="two", before="one")), ["memory", "one", "two"]


def plugin_clause(sandbox: Sandbox) -> tuple[Path, list[str]]:
    """A contract with a clause that there is not."""
    contract = SOURCE.format(name="odd").replace("\nsummary", '\nprovider = "x"\nsummary')
    return sandbox.plugin("odd", contract=contract), ["odd"]


@pytest.mark.parametrize(
    ("make", "code", "told", "at"),
    [
        (plugin_need, "E-NEED-UNMET", "`needy` needs `unicorn`", "plugins/needy/contract.toml"),
        (plugin_cycle, "E-CYCLE", "wait for each other", "plugins/one/contract.toml"),
        (plugin_clause, "E-CLAUSE-UNKNOWN", "did you mean `provides`?", "plugins/odd/contract.toml"),
    ],
)
def test_a_contract_that_cannot_be_kept(
    sandbox: Sandbox, make: Callable[[Sandbox], tuple[Path, list[str]]], code: str, told: str, at: str
) -> None:
    """A need that nobody provides, a cycle, an unknown clause: one error that names the plugin and the clause."""
    folder, plugins = make(sandbox)
    before = sandbox.files()
    done = sandbox.meter("mount", "/host", *plugins, "csv", "path=a.csv", "--plugin-dir", "plugins")
    one_error(done, code, told)
    assert at in done.errors
    assert sandbox.files() == before
    assert folder.is_dir()


def test_several_mistakes_are_said_at_once(sandbox: Sandbox) -> None:
    """Whoever makes two mistakes is told both, each once."""
    done = sandbox.meter("mount", "/host", "cpu", "intervall=1s", "csv")
    assert done.codes == ["E-CONFIG-UNKNOWN", "E-CONFIG-MISSING"]
    assert done.errors.endswith("\n2 errors\n")
    assert sandbox.files() == {}


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (("cpu", "intervall=1s", "C@V", "csv", "path=x.csv"), ["E-CONFIG-UNKNOWN", "E-NAME"]),
        (("cpuu", "C@V", "path=x.csv"), ["E-PLUGIN-UNKNOWN", "E-NAME"]),
        (("cpu", "interval=soon", "load#cpu", "csv", "path=x.csv"), ["E-CONFIG-TYPE", "E-LABEL-CLASH"]),
        (("cpu", "interval=soon", "csv", "path=x.csv", "--durability", "ever"), ["E-CONFIG-TYPE", "E-CLAUSE-TYPE"]),
        (("path=x.csv", "cpu"), ["E-OPTION"]),
    ],
)
def test_a_word_that_is_none_hides_no_other_mistake(sandbox: Sandbox, words: tuple[str, ...], codes: list[str]) -> None:
    """And nothing is said that may only follow from it, such as that there is no output."""
    assert sorted(sandbox.meter("mount", "/host", *words).codes) == sorted(codes)


def test_mounts_come_and_go_and_comments_stay(sandbox: Sandbox) -> None:
    """Mounting and unmounting again gives back the mount file as it was, comments and all; the lock forgets it."""
    text = '# by hand\n[mounts."/mine"] # stays\nplugins = ["cpu", "csv"]\nconfig.csv.path = "mine.csv"\n'
    (sandbox.folder / "meter.toml").write_text(text)
    done = sandbox.mount("/host", "cpu#fast", "interval=20ms", "memory", "csv", "path=a b.csv")
    assert done.out == "/host: fast, memory -> csv\n"
    assert done.errors == ""
    whole = (sandbox.folder / "meter.toml").read_text()
    assert whole.startswith(text)
    assert 'interval = "20ms"' in whole
    assert sandbox.meter("umount", "/host").ok().out == ""
    assert (sandbox.folder / "meter.toml").read_text() == text
    assert "/host" not in (sandbox.folder / "meter.lock").read_text()
    assert sandbox.meter("umount", "/host").codes == ["E-MOUNT-UNKNOWN"]


def test_the_list_says_what_is_mounted_also_without_the_plugin(sandbox: Sandbox) -> None:
    """`meter mount` lists; a mount whose plugin is gone is listed as changed and can be unmounted."""
    nothing = sandbox.meter("mount").ok()
    assert nothing.raw == b""
    assert "nothing is mounted" in nothing.errors
    assert sandbox.meter("mount", "--format", "json").json == {"format": "meter-mounts/1", "mounts": []}
    folder = sandbox.plugin("mine")
    sandbox.mount("/host", "cpu", "csv", "path=a.csv")
    sandbox.mount("/mine", "mine", "csv", "path=b.csv", "--plugin-dir", folder)
    rows = sandbox.meter("mount").ok().out.splitlines()
    assert [row.split()[:2] for row in rows] == [["mountpoint", "state"], ["/host", "checked"], ["/mine", "checked"]]
    shutil.rmtree(folder)
    listed = sandbox.meter("mount", "--format", "json").ok().json["mounts"]
    assert listed == [
        {"mountpoint": "/host", "state": "checked", "plugins": ["cpu", "csv"]},
        {"mountpoint": "/mine", "state": "changed", "plugins": ["mine", "csv"]},
    ]
    assert sandbox.meter("check", "/mine").codes == ["E-PLUGIN-UNKNOWN"]
    sandbox.meter("umount", "/mine").ok()
    assert sandbox.meter("check").ok().out == "/host: ok, cpu -> csv\n"


def test_a_plugin_is_never_run_by_a_mount(sandbox: Sandbox) -> None:
    """Checking reads contracts alone: a plugin whose code would fail on import is mounted, checked and listed."""
    folder = sandbox.plugin("mine", "raise SystemExit('imported')\n")
    sandbox.mount("/host", "mine", "csv", "path=a.csv", "--plugin-dir", folder)
    sandbox.meter("mount").ok()
    sandbox.meter("check", "--plugin-dir", folder).ok()


def test_messages_have_colours_only_where_they_are_asked_for(sandbox: Sandbox) -> None:
    """No escape sequences in a pipe; with FORCE_COLOR there are; NO_COLOR forbids them again."""
    words = ("mount", "/host", "cpuu", "csv", "path=a.csv")
    plain = sandbox.meter(*words, env={"NO_COLOR": None})
    forced = sandbox.meter(*words, env={"NO_COLOR": None, "FORCE_COLOR": "1"})
    forbidden = sandbox.meter(*words, env={"FORCE_COLOR": "1"})
    assert "\x1b[" not in plain.errors
    assert "\x1b[1;31merror[E-PLUGIN-UNKNOWN]" in forced.errors
    assert forbidden.errors == plain.errors == re.sub(r"\x1b\[[0-9;]*m", "", forced.errors)


def test_a_working_folder_that_is_gone_is_said(sandbox: Sandbox) -> None:
    """In a folder that was deleted each command says so in one line."""
    for command in ("mount /host cpu csv path=a.csv", "check", "run", "umount /host"):
        done = sandbox.shell(f"mkdir gone; cd gone; rmdir ../gone; meter {command}")
        assert done.code == 5
        assert done.errors == "meter: the working folder is gone; change to another one\n"


def test_words_of_a_request_are_options(sandbox: Sandbox) -> None:
    """They are written to the mount file as a hand would; what is left out keeps its options there."""
    lacking = SOURCE.replace("[[prov", '[[needs.host]]\nreadable = ["/no/such/device"]\n[[prov', 1)
    folder = sandbox.plugin("gpu", contract=lacking.format(name="gpu"))
    done = sandbox.meter(
        *("mount", "/m", "cpu", "csv", "path=m.csv", "--optional", "gpu interval=2s", "--want", "system.memory.usage"),
        *("--prefer", "memory", "--order", "memory,cpu", "--durability", "process", "--no-recommends"),
        *("--plugin-dir", folder),
    ).ok()
    assert done.out == "/m: memory, cpu -> csv\n"
    assert done.codes == ["W-HOST-DEGRADED"]
    assert (
        (sandbox.folder / "meter.toml").read_text()
        == """\
[mounts."/m"]
plugins = ["cpu", "csv"]
optional = ["gpu"]
want = ["system.memory.usage"]
prefer = ["memory"]
durability = "process"
order = [["memory", "cpu"]]
recommends = false

[mounts."/m".config.csv]
path = "m.csv"

[mounts."/m".config.gpu]
interval = "2s"
"""
    )
    known = sandbox.meter("explain", "/m").ok()  # out of the lock: the warning is about the file, not the command line
    assert "meter.toml:3:13" in known.errors


def test_options_of_a_request_need_a_mountpoint(sandbox: Sandbox) -> None:
    """A list of mounts wants nothing."""
    done = sandbox.meter("mount", "--want", "system.memory.usage")
    assert done.code == 2
    assert "name its mountpoint" in done.errors
    assert sandbox.files() == {}


@pytest.mark.parametrize("columns", [50, 90])
def test_diagnostics_are_as_wide_as_asked(sandbox: Sandbox, columns: int) -> None:
    """`COLUMNS` holds where there is no terminal, too; only a line that names a file may be longer."""
    words = ("/host", "cpu", "load", "rate", "metrics=system.cpu.load_average.1m", "csv", "path=host.csv")
    done = sandbox.meter("mount", *words, env={"COLUMNS": str(columns)})
    lines = [line for line in done.errors.splitlines() if ":::" not in line]
    assert columns - 15 < max(map(len, lines)) <= columns
