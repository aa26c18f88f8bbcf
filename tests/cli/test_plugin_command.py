"""`meter plugin`: what there is, what each states, what is wrong with a contract; no plugin is imported."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import SOURCE

if TYPE_CHECKING:
    from tests.cli.conftest import Sandbox

BUILT_IN = {"cpu", "memory", "process", "random", "select", "csv"}
IMPORTED = "raise SystemExit('a plugin was imported')\n"


def test_the_list_names_each_plugin_in_the_order_of_a_chain(sandbox: Sandbox) -> None:
    """Sources stand before filters before outputs; what is for meter's own use is not listed; JSON says the same."""
    sandbox.plugin("mine", IMPORTED)
    done = sandbox.meter("plugin", "list", "--plugin-dir", "plugins").ok()
    rows = [line.split()[:2] for line in done.out.splitlines()[1:]]
    names = [name for name, _ in rows]
    assert BUILT_IN | {"mine"} <= set(names)
    assert "collect" not in names
    placements = list(dict.fromkeys(placement for _, placement in rows))
    assert placements == [
        p for p in ("source", "prefilter", "filter", "postfilter", "output", "recover") if p in placements
    ]
    document = sandbox.meter("plugin", "list", "--plugin-dir", "plugins", "--format", "json").ok().json
    assert document["format"] == "meter-plugins/1"
    assert document["broken"] == []
    assert [plugin["name"] for plugin in document["plugins"]] == names
    assert all(plugin["summary"] and plugin["version"] for plugin in document["plugins"])


def test_the_list_of_a_capability(sandbox: Sandbox) -> None:
    """With a word only the plugins that provide it; where none does, what was perhaps meant, and exit 1."""
    contract = SOURCE.format(name="mine").replace(
        "[[prov", '[provides]\ncapabilities = { "counter.rain" = "1.0" }\n[[prov'
    )
    sandbox.plugin("mine", contract=contract)
    one = sandbox.meter("plugin", "list", "counter.rain", "--plugin-dir", "plugins").ok()
    assert [line.split()[0] for line in one.out.splitlines()] == ["plugin", "mine"]
    none = sandbox.meter("plugin", "list", "counter.energi", "--plugin-dir", "plugins")
    assert (none.code, none.raw) == (1, b"")
    assert none.codes == ["E-PLUGIN-UNKNOWN"]
    assert "did you mean `counter.energy`" in none.errors


def test_the_list_goes_on_beside_a_broken_contract(sandbox: Sandbox) -> None:
    """A contract that cannot be read is named with its place, the others are listed, exit 5 as for any such file."""
    sandbox.plugin("broken", contract="name = \n")
    sandbox.plugin("mine", IMPORTED)
    done = sandbox.meter("plugin", "list", "--plugin-dir", "plugins")
    assert done.code == 5
    assert done.codes == ["E-FILE"]
    assert done.places == ["plugins/broken/contract.toml:1:8"]
    assert "mine" in done.out
    document = sandbox.meter("plugin", "list", "--plugin-dir", "plugins", "--format", "json").json
    assert document["broken"] == ["plugins/broken/contract.toml"]


def test_info_shows_metrics_options_and_needs(sandbox: Sandbox) -> None:
    """What a source gives and needs, what its options are; the JSON form has the same metrics and defaults."""
    text = sandbox.meter("plugin", "info", "cpu").ok().out
    for word in ("system.cpu.time", "cpu.mode", "cpu_core", "interval", "1s", "/proc/stat"):
        assert word in text
    document = sandbox.meter("plugin", "info", "cpu", "--format", "json").ok().json
    assert document["format"] == "meter-plugin/1"
    assert {metric["name"] for metric in document["provides"]["metrics"]} >= {"system.cpu.time"}
    assert document["config"]["interval"]["default"] == "1s"
    assert "path" in sandbox.meter("plugin", "info", "csv").ok().out


def test_info_tells_what_an_option_may_be(sandbox: Sandbox) -> None:
    """Its values, where these are named; what is taken in one way with several options is told once."""
    text = sandbox.meter("plugin", "info", "carbon").ok().out

    assert "enum: none, world, AUT, DEU, FRA, POL, USA" in text
    assert text.count("${metric}.carbon") == 1


def test_info_tells_each_way_in_which_a_host_will_do(sandbox: Sandbox) -> None:
    """All that an alternative asks for stands in one line, with the options for which it is there."""
    needs = (
        '[[needs.host]]\nreadable = ["/dev/mine"]\nlibrary = ["libmine.so.1"]\nwhen = { interval = "1s" }\n'
        '[[needs.host]]\ncapability = ["CAP_PERFMON"]\nsysctl = { "kernel.perf_event_paranoid" = "<=1" }\n'
    )
    sandbox.plugin("mine", contract=SOURCE.format(name="mine").replace("[[prov", f"{needs}[[prov", 1))

    lines = sandbox.meter("plugin", "info", "mine", "--plugin-dir", "plugins").ok().out.splitlines()

    first = 'needs of the host: with { interval = "1s" }: can read /dev/mine, the library libmine.so.1'
    at = lines.index(first)
    assert lines[at + 1] == "or the capability CAP_PERFMON, the setting kernel.perf_event_paranoid <=1"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["info", "cpuu"], 1, "did you mean `cpu`?"),
        (["info", ""], 1, "no plugin or capability is called ``"),
        (["info"], 2, "Missing argument 'NAME'"),
        (["cpu"], 2, "No such command 'cpu'. `meter plugin info cpu` shows that plugin."),
        (["lst"], 2, "Did you mean 'list'?"),
        (["check", "nowhere"], 5, "cannot read `nowhere`: no such file or folder"),
        (["check", "."], 1, "`.` holds no contract"),
        (["list", "--plugin-dir", "nowhere"], 5, "cannot read `nowhere`"),
    ],
)
def test_wrong_words_are_said(sandbox: Sandbox, words: list[str], code: int, told: str) -> None:
    """A name, a command, a folder that there is not: one clear error and no traceback."""
    done = sandbox.meter("plugin", *words)
    assert done.code == code
    assert told in " ".join(done.errors.split())
    assert "Traceback" not in done.errors
    assert len(done.codes) <= 1


def test_check_judges_a_folder_a_file_and_a_script(sandbox: Sandbox) -> None:
    """A sound contract is ok in each form, a warning is an error with --strict only, broken ones have all errors."""
    folder = sandbox.plugin("mine", IMPORTED)
    for target in ("plugins", "plugins/mine", "plugins/mine/contract.toml"):
        assert sandbox.meter("plugin", "check", target).ok().out == f"{target}: ok\n"
    block = "".join(f"# {line}".rstrip() + "\n" for line in SOURCE.format(name="single").strip().split("\n"))
    (sandbox.folder / "single.py").write_text(f"# /// meter\n{block}# ///\n{IMPORTED}")
    assert sandbox.meter("plugin", "check", "single.py").ok().out == "single.py: ok\n"
    contract = folder / "mine" / "contract.toml"
    contract.write_text(contract.read_text().replace('licence = "BSD-3-Clause"\n', ""))
    assert sandbox.meter("plugin", "check", "plugins").ok().codes == ["W-CLAUSE-MISSING"]
    assert sandbox.meter("plugin", "check", "plugins", "--strict").code == 3
    contract.write_text(contract.read_text().replace('unit = "1"', 'unit = "one"').replace("kind", "kin"))
    broken = sandbox.meter("plugin", "check", "plugins")
    assert broken.code == 1
    assert set(broken.codes) == {"E-CLAUSE-TYPE", "E-CLAUSE-UNKNOWN", "W-CLAUSE-MISSING"}
    assert broken.raw == b""
    info = sandbox.meter("plugin", "info", "mine", "--plugin-dir", "plugins")
    assert info.code == 1
    assert set(info.codes) >= {"E-CLAUSE-TYPE", "E-CLAUSE-UNKNOWN"}


def test_a_full_check_compares_the_code_with_the_contract(sandbox: Sandbox) -> None:
    """Nothing is imported without it; with it the author learns what does not fit."""
    sandbox.plugin("mine", "print('imported')\nfrom meter.core.plugin import Output\nclass Plugin(Output): ...\n")
    assert sandbox.meter("plugin", "check", "plugins").ok().out == "plugins: ok\n"
    done = sandbox.meter("plugin", "check", "plugins", "--full")
    assert done.code == 1
    assert done.codes == ["E-EXPORT-MISMATCH"]
    assert "made for the role output, not for source" in " ".join(done.errors.split())


def test_a_reader_that_goes_away_is_no_error_of_meter(sandbox: Sandbox) -> None:
    """`| head -1` gets its line and meter says nothing; where the pipe was closed early it ends with 141, as others."""
    script = """
    for words in "plugin list" "plugin list --format json" "mount" "check --format json" "--help" "plugin info cpu"; do
        meter $words | head -1
        echo "${PIPESTATUS[0]}"
        meter $words | true
        echo "${PIPESTATUS[0]}"
    done
    """
    sandbox.mount("/host", "cpu", "csv", "path=host.csv")
    done = sandbox.shell(script)
    assert done.errors == ""
    lines = done.out.splitlines()
    assert lines[::3] == [
        "plugin       placement   version  summary",
        "{",
        "mountpoint  state    plugins",
        "{",
        lines[12],
        lines[15],
    ]
    assert set(lines[1::3]) <= {"0", "141"}
    assert set(lines[2::3]) <= {"0", "141"}


def test_a_full_disk_below_stdout_is_one_line(sandbox: Sandbox) -> None:
    """What cannot be written is said in one line, exit 5."""
    for words in ("plugin list", "plugin info cpu --format json", "check --host assume"):
        sandbox.folder.joinpath("meter.toml").write_text("[mounts]\n")
        done = sandbox.shell(f"meter {words} > /dev/full")
        assert done.code == 5
        assert done.errors == "meter: the output cannot be written: no space left on device\n"


def test_closed_standard_streams(sandbox: Sandbox) -> None:
    """Without stdin, stdout or stderr each command ends as it would with them."""
    done = sandbox.shell("meter plugin list <&- >&- 2>&-; echo $?; meter plugin info nope >&- 2>&-; echo $?")
    assert done.out.split() == ["0", "1"]
    assert done.errors == ""


def test_a_terminal_without_utf_8(sandbox: Sandbox) -> None:
    """On a terminal in another encoding a table has no character that cannot be shown; JSON is UTF-8 everywhere."""
    sandbox.plugin("mine", contract=SOURCE.format(name="mine").replace("A source of", "Ω, a source of"))
    environment = {"PYTHONIOENCODING": "latin-1"}
    words = ("plugin", "list", "--plugin-dir", "plugins")
    assert b"\\u03a9, a source" in sandbox.meter(*words, env=environment).ok().raw
    document = json.loads(sandbox.meter(*words, "--format", "json", env=environment).ok().raw)
    assert "Ω, a source of a test" in {plugin["summary"] for plugin in document["plugins"]}


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("words", ["info process", "info aggregate", "list"])
def test_no_name_is_cut(sandbox: Sandbox, words: str, columns: int) -> None:
    """Neither of a plugin nor of a metric or an option: they are what one asks for."""
    wide, narrow = (
        sandbox.meter("plugin", *words.split(), env={"COLUMNS": str(width)}).ok().out for width in (500, columns)
    )
    names = {line.split()[0] for line in wide.splitlines()[3:] if "  " in line.strip()}
    names -= {"metric", "option", "takes"}
    assert names
    assert [name for name in sorted(names) if name not in narrow.replace("\n    ", "")] == []


def test_a_narrow_list_of_mounts(sandbox: Sandbox) -> None:
    """Every plugin is there."""
    sandbox.mount("/host", *["cpu", "memory", "disk", "network", "load", "kernel", "paging", "csv", "path=host.csv"])
    assert sandbox.meter("mount", env={"COLUMNS": "40"}).ok().out.splitlines() == [
        *("/host", "    state checked", "    cpu memory disk network load kernel", "    paging csv"),
    ]


def test_a_narrow_terminal(sandbox: Sandbox) -> None:
    """No line of a table is wider than a terminal of 60 columns."""
    terminal = f'script -qec "stty cols 60; {sys.executable} -m meter plugin list" /dev/null'
    done = sandbox.shell(f"command -v script > /dev/null || exit 77; {terminal}")
    if done.code == 77:
        pytest.skip("there is no `script` to make a terminal with")
    assert done.code == 0
    assert all(len(line) <= 60 for line in done.out.splitlines())
    assert "…" in done.out
