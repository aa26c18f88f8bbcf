"""`meter explain`: why each instance is there and at its place, what it makes of the metrics, what a code means."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from meter.contracts.language import language
from tests.cli.conftest import SOURCE

if TYPE_CHECKING:
    from tests.cli.conftest import Done, Sandbox

CHAIN = (
    "/host", "cpu", "interval=500ms", "memory", "rate", "metrics=system.cpu.time{cpu.mode=user|system}",
    "select", "drop=system.memory.limit", "drop=system.cpu.time{cpu.mode=idle}", "csv", "path=host.csv",
)  # fmt: skip
HEAVY = ("networkx", "numpy", "attrs", "attr", "cattrs", "tomlkit", "configparser", "meter.contracts.language")


def plugin(done: Done, instance: str, place: int = 0) -> Any:
    """What the JSON form says of an instance."""
    return next(each for each in done.json["backends"][place]["plugins"] if each["instance"] == instance)


def lines(text: str) -> list[str]:
    """The words of each line."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_overview_gives_the_reason_of_each_place_in_one_line(sandbox: Sandbox) -> None:
    """One line for each instance: why it is there and why behind the one before it; below it the details."""
    sandbox.mount(*CHAIN)
    told = lines(sandbox.meter("explain", "/host").ok().out)
    assert told[0] == "/host: cpu, memory -> rate -> select -> csv"
    assert told[2:7] == [
        "1 cpu asked for; first",
        "2 memory asked for; after `cpu`: nothing orders the two, so they stand as asked for",
        "3 rate asked for; after `memory`: every filter comes after every source",
        "4 select asked for; after `rate`: every postfilter comes after every filter",
        "5 csv asked for; after `select`: every output comes after every postfilter",
    ]
    assert "takes from cpu: system.cpu.time{cpu.mode=system|user}" in told
    assert "+ system.cpu.time.rate gauge, f64, s/s, of cpu_core, additive" in told
    assert "- system.memory.limit of memory ends here" in told
    assert "cpu.mode: guest, interrupt, iowait, nice, steal, system, user" in told


def test_options_say_where_their_value_was_written(sandbox: Sandbox) -> None:
    """A value of the mount file has file and line there, a default the line of its contract; text and JSON agree."""
    sandbox.mount(*CHAIN)
    numbered = list(enumerate((sandbox.folder / "meter.toml").read_text().splitlines(), start=1))
    line = next(number for number, text in numbered if text.startswith("interval"))
    assert f'interval = "500ms"  (meter.toml:{line})' in sandbox.meter("explain").ok().out
    done = sandbox.meter("explain", "--format", "json").ok()
    [interval] = plugin(done, "cpu")["options"]
    assert interval == {
        "option": "interval", "value": 500_000_000, "text": '"500ms"', "type": "duration",
        "origin": "asked", "file": "meter.toml", "line": line,
    }  # fmt: skip
    [default] = plugin(done, "memory")["options"]
    assert default["origin"] == "default"
    with open(default["file"]) as contract:
        assert contract.read().splitlines()[default["line"] - 1].startswith("default")
    path = sandbox.folder / "meter.toml"
    path.write_text("# a line\n" + path.read_text())
    assert plugin(sandbox.meter("explain", "--format", "json").ok(), "cpu")["options"][0]["line"] == line + 1


def test_an_option_that_every_source_has_is_no_default_of_the_contract(sandbox: Sandbox) -> None:
    """`interval` of a contract that does not declare it comes from the placement."""
    contract = SOURCE.format(name="mine").partition("[config.interval]")[0]
    folder = sandbox.plugin("mine", contract=contract)
    sandbox.mount("/mine", "mine", "csv", "path=a.csv", "--plugin-dir", folder)
    assert 'interval = "1s"  (default of every source)' in sandbox.meter("explain", "/mine", "mine").ok().out


def test_one_instance_is_told_whole(sandbox: Sandbox) -> None:
    """Its neighbours on both sides and every metric behind it, those that only pass, too; nothing of others."""
    sandbox.mount(*CHAIN)
    told = lines(sandbox.meter("explain", "/host", "rate").ok().out)
    assert "stands after `memory`: every filter comes after every source" in told
    assert "before `select`: every filter comes before every postfilter" in told
    assert "system.memory.limit gauge, u64, By, of machine, additive" in told
    assert not any(line.startswith(("csv:", "1 ")) for line in told)
    done = sandbox.meter("explain", "/host", "rate", "--format", "json").ok()
    assert [each["instance"] for each in done.json["backends"][0]["plugins"]] == ["rate"]
    assert {row["metric"] for row in plugin(done, "rate")["schema"]} >= {"system.memory.limit", "system.cpu.time.rate"}


def test_what_decides_about_sums_and_windows_is_told(sandbox: Sandbox) -> None:
    """Additive and interval where they are not as the kind has them or a filter changes them, and only there."""
    sandbox.mount(
        *("/w", "cpu", "memory", "aggregate", "metrics=system.memory.usage", "function=max", "window=10s"),
        *("aggregate#sum", "metrics=system.cpu.time", "function=sum", "over=resource", "csv", "path=w.csv"),
    )
    told = lines(sandbox.meter("explain", "/w", "aggregate").ok().out)
    assert "system.cpu.time delta, f64, s, of cpu_core" in told
    assert "system.memory.usage gauge, u64, By, of machine, additive" in told
    assert "+ system.memory.usage.max gauge, u64, By, of machine, derived, not additive, every 10s" in told
    summed = lines(sandbox.meter("explain", "/w", "sum").ok().out)
    assert "+ system.cpu.time.sum delta, f64, s, of machine, derived" in summed
    done = sandbox.meter("explain", "/w", "--format", "json").ok()
    [row] = plugin(done, "aggregate")["adds"]
    assert (row["additive"], row["interval"]) == (False, 10_000_000_000)
    assert done.json["backends"][0]["additive"] == ["counter", "delta"]


NEEDY = SOURCE.replace("[[prov", 'needs.capabilities = {{ energy = "*" }}\n[[prov', 1)


def test_what_is_needed_says_by_whom_and_who_was_not_chosen(sandbox: Sandbox) -> None:
    """An instance that nobody asked for names its need; the candidate that was left out is named."""
    able = SOURCE.replace('status = ["example"]', "status = []").replace(
        "[[prov", 'provides.capabilities = {{ energy = "1.0" }}\n[[prov', 1
    )
    for name in ("alpha", "beta"):
        sandbox.plugin(name, contract=able.format(name=name))
    folder = sandbox.plugin("needy", contract=NEEDY.format(name="needy"))
    sandbox.mount("/e", "needy", "csv", "path=e.csv", "--plugin-dir", folder)
    told = " ".join(sandbox.meter("explain", "/e").ok().out.split())
    assert "energy needed by `needy` for `energy`; after `needy`: nothing orders the two" in told
    assert "what was asked for comes before what is needed" in told
    assert "not chosen for `energy`: beta; `alpha` is as good and comes first by name" in told
    done = sandbox.meter("explain", "/e", "--format", "json").ok()
    assert plugin(done, "energy")["rejected"] == [
        {"plugin": "beta", "for": "energy", "why": "`alpha` is as good and comes first by name"}
    ]


def test_edges_are_told_in_words(sandbox: Sandbox) -> None:
    """Filters that depend on each other say by what metric, on both sides."""
    mount = '[mounts."/c"]\nplugins = ["tally", "rate", "difference", "csv"]\n'
    config = 'config.rate.metrics = ["test.tally.delta"]\nconfig.difference.metrics = ["test.tally"]\n'
    (sandbox.folder / "meter.toml").write_text(mount + config + 'config.csv.path = "c.csv"\n')
    contract = SOURCE.format(name="tally").replace('kind = "gauge"', 'kind = "counter"')
    folder = sandbox.plugin("tally", contract=contract)
    both = [
        " ".join(sandbox.meter("explain", "/c", instance, "--plugin-dir", folder).ok().out.split())
        for instance in ("rate", "difference")
    ]
    assert "stands after `difference`, which gives `test.tally.delta`" in both[0]
    assert "before `rate`, which reads `test.tally.delta`" in both[1]


def test_a_valid_lock_is_enough(sandbox: Sandbox) -> None:
    """From an unchanged mount it is told without the contract language, networkx or numpy, and nothing is written."""
    sandbox.mount(*CHAIN)
    before = sandbox.files()
    script = (
        "import sys; sys.argv = ['meter', *sys.argv[1:]]\n"
        "from meter.cli.main import main\n"
        "try: main()\n"
        "finally:\n"
        f"    heavy = [m for m in sys.modules if m in {HEAVY} or m.startswith('meter.plugins.')]\n"
        "    print(sorted(heavy), file=sys.stderr)\n"
    )
    (sandbox.folder.parent / "w.py").write_text(script)
    for words in ("explain", "explain /host rate --format json", "graph", "graph --format dot"):
        done = sandbox.shell(f'"$(command -v python3)" ../w.py {words}', env=_this_python())
        assert (done.code, done.errors) == (0, "[]\n"), words
    assert sandbox.files() == before


def _this_python() -> dict[str, str]:
    """A PATH on which python3 is the one that runs the tests."""
    import sys

    return {
        "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def test_after_a_change_it_checks_anew_and_writes_nothing(sandbox: Sandbox) -> None:
    """A hand edit is explained as it stands now; the lock stays as it was."""
    sandbox.mount(*CHAIN)
    path = sandbox.folder / "meter.toml"
    path.write_text(path.read_text().replace('"memory", ', "").replace('"system.memory.limit", ', ""))
    before = sandbox.files()
    assert lines(sandbox.meter("explain").ok().out)[0] == "/host: cpu -> rate -> select -> csv"
    assert sandbox.files() == before


def test_where_the_check_fails_the_diagnostics_are_told(sandbox: Sandbox) -> None:
    """A request in error has its diagnostics and exit 1; nothing is invented beside them."""
    (sandbox.folder / "meter.toml").write_text('[mounts."/bad"]\nplugins = ["cpuu", "csv"]\nconfig.csv.path = "a"\n')
    done = sandbox.meter("explain", "/bad")
    assert (done.code, done.codes, done.out) == (1, ["E-PLUGIN-UNKNOWN"], "")
    document = sandbox.meter("explain", "/bad", "--format", "json").json
    assert (document["backends"], [each["code"] for each in document["diagnostics"]]) == ([], ["E-PLUGIN-UNKNOWN"])


def test_a_missing_plugin_does_not_hide_what_was_mounted(sandbox: Sandbox) -> None:
    """The lock's plan is explained, marked as what it is, beside the diagnostic and with its exit code."""
    folder = sandbox.plugin("mine")
    sandbox.mount("/mine", "mine", "csv", "path=a.csv", "--plugin-dir", folder)
    for path in (folder / "mine").iterdir():
        path.unlink()
    done = sandbox.meter("explain", "/mine")
    assert (done.code, done.codes) == (1, ["E-PLUGIN-UNKNOWN"])
    assert "This is what was mounted; the check does not pass it now." in done.out
    assert "test.mine" in done.out
    assert sandbox.meter("explain", "/mine", "--format", "json").json["backends"][0]["sound"] is False
    assert sandbox.meter("graph", "/mine").code == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["/nope"], 1, "nothing is mounted at `/nope`"),
        (["/hots"], 1, "did you mean `/host`?"),
        (["host"], 1, "did you mean `/host`?"),
        (["/host", "rat"], 2, "No instance 'rat' at /host. Did you mean 'rate'?"),
        (["/host", "zzz"], 2, "There are: cpu, memory, rate, select, csv."),
        (["E-FLOW-KINDS"], 2, "Did you mean 'E-FLOW-KIND'"),
        (["E-"], 2, "No such code 'E-'"),
        (["FLOW-KIND"], 2, "'FLOW-KIND' is neither a mountpoint nor a code. Did you mean 'E-FLOW-KIND'?"),
        (["flow-knid"], 2, "Did you mean 'E-FLOW-KIND'?"),
        (["csv"], 2, "'csv' is a plugin: `meter plugin info csv` shows it. A mountpoint begins with `/`."),
        (["HOST"], 2, "Did you mean 'E-HOST'?"),
        (["E-FLOW-KIND", "cpu"], 2, "one word too many"),
        (["/host", "--file", "nofile.toml"], 5, "cannot read `nofile.toml`"),
        (["/host", "--format", "yaml"], 2, "'yaml' is not one of"),
    ],
)
def test_what_is_not_there_is_said(sandbox: Sandbox, words: list[str], code: int, told: str) -> None:
    """A mountpoint, an instance, a code, a file, a form that there is not: one error with the nearest name."""
    sandbox.mount(*CHAIN)
    done = sandbox.meter("explain", *words)
    assert (done.code, done.out) == (code, "")
    assert told in " ".join(done.errors.split())
    assert "Traceback" not in done.errors


def test_what_keeps_what_an_output_cannot_deliver(sandbox: Sandbox) -> None:
    """A `recover` plugin takes no metrics, and no placement makes it: what it gets is said, and from whom."""
    sandbox.mount("/host", "cpu", "csv", "path=host.csv", "spool", "for=csv", "path=spool")
    text = sandbox.meter("explain", "/host").ok().out
    assert "  keeps what `csv` cannot deliver, and hands it back\n" in text
    assert "after `csv`: it gets what outputs cannot deliver\n" in text
    assert "takes nothing" not in text
    assert (
        "before `spool`, which gets what outputs cannot deliver\n" in sandbox.meter("explain", "/host", "csv").ok().out
    )


def test_a_code_begins_with_a_sentence(sandbox: Sandbox) -> None:
    """Of what the code is about; the message with the places of its facts follows."""
    lines = sandbox.meter("explain", "E-FLOW-CLASH").ok().out.splitlines()
    assert lines[0] == "error[E-FLOW-CLASH]: Two plugins give the same series, or one name means two things."
    assert lines[2].startswith("  says: `<metric>`") or lines[2].startswith("  says: <metric>")
    assert not any(line.strip() in ("help: <way>", "help: <help>") for line in lines), "a help that is made elsewhere"


def test_without_a_mount_file_and_without_mounts(sandbox: Sandbox) -> None:
    """No file is exit 5 and how to make one; a file that mounts nothing says so."""
    assert sandbox.meter("explain").code == 5
    (sandbox.folder / "meter.toml").write_text("")
    assert "nothing is mounted" in sandbox.meter("explain").ok().out
    assert "nothing is mounted" in sandbox.meter("graph").ok().out


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
def test_no_line_is_wider_than_the_terminal(sandbox: Sandbox, columns: int) -> None:
    """Whatever the terminal, lines are broken and no word is lost."""
    sandbox.mount(*CHAIN)
    wide = sandbox.meter("explain", "/host", env={"COLUMNS": "2000"}).ok().out
    for words in (["/host"], ["/host", "select"], ["E-CLAUSE-TYPE"]):
        done = sandbox.meter("explain", *words, env={"COLUMNS": str(columns)}).ok()
        example = re.search(r"^(refused|an example).*", done.out, re.DOTALL | re.MULTILINE)
        body = done.out[: example.start()] if example else done.out
        assert max(map(len, body.splitlines())) <= columns
    narrow = sandbox.meter("explain", "/host", env={"COLUMNS": str(columns)}).ok().out
    assert re.sub(r"\s", "", narrow) == re.sub(r"\s", "", wide)


def test_colours_only_where_they_are_wanted(sandbox: Sandbox) -> None:
    """A file gets none; FORCE_COLOR asks for them, NO_COLOR forbids them."""
    sandbox.mount(*CHAIN)
    plain = sandbox.meter("explain", env={"NO_COLOR": None}).ok().out
    forced = sandbox.meter("explain", env={"NO_COLOR": None, "FORCE_COLOR": "1"}).ok().out
    assert "\x1b[" not in plain
    assert re.sub(r"\x1b\[\d+m", "", forced) == plain != forced
    assert sandbox.meter("explain", env={"FORCE_COLOR": "1"}).ok().out == plain


def test_names_from_outside_cannot_steer_the_terminal(sandbox: Sandbox) -> None:
    """An attribute's value with an escape sequence is shown, not sent."""
    contract = SOURCE.format(name="mine").replace(
        'resource = ["machine"]', 'resource = ["machine"]\nattributes = { "a" = ["\\u001b[31mred", "b|c"] }'
    )
    folder = sandbox.plugin("mine", contract=contract)
    sandbox.mount("/mine", "mine", "csv", "path=a.csv", "--plugin-dir", folder)
    out = sandbox.meter("explain", "/mine").ok().out
    assert "\x1b" not in out
    assert "\\x1b[31mred" in out


def test_a_reader_that_goes_away_is_no_error(sandbox: Sandbox) -> None:
    """`| head -1` gets its line and nothing is complained about."""
    sandbox.mount(*CHAIN)
    for words in ("explain", "explain E-CLAUSE-TYPE", "graph", "graph --format mermaid"):
        done = sandbox.shell(f"meter {words} | head -1; echo ${{PIPESTATUS[0]}}")
        assert done.errors == ""
        assert done.out.splitlines()[-1] in ("0", "141")


# --------------------------------------------------------------------------------------------------------------- codes


def test_a_code_has_its_texts_clauses_and_an_example(sandbox: Sandbox) -> None:
    """Message and help with their variants, the clauses that can cause it, and what is refused with it."""
    told = lines(sandbox.meter("explain", "E-SELF-ORDER").ok().out)
    assert told[0].startswith("error[E-SELF-ORDER]: ")
    assert any(line.startswith("ordering.before: ") for line in told)
    assert told[-3:] == [
        'ordering.before = ["example"]',
        "says: `example` orders itself before `example`, which is itself",
        "help: remove `example`",
    ]
    assert sandbox.meter("explain", "e-self-order").ok().out == sandbox.meter("explain", "E-SELF-ORDER").ok().out


@pytest.mark.parametrize("code", sorted(language().codes))
def test_every_code_can_be_explained(code: str) -> None:
    """All texts of a code are in its explanation, and an example is refused with that very code."""
    from click.testing import CliRunner

    from meter.cli.commands.explain import explain

    done = CliRunner().invoke(explain, [code, "--format", "json"], standalone_mode=False)
    document = json.loads(done.output)
    entry = language().codes[code]
    assert done.return_value == 0
    assert document["message"] == entry.text("message")
    assert {f"{part}.{name}" for name, texts in document["variants"].items() for part in texts} == {
        key for key in entry.texts if "." in key and key.split(".")[0] in ("message", "help")
    }
    assert [each["clause"] for each in document["clauses"]] == [
        clause.name for clause in language().clauses.values() if code in clause.codes
    ]
    text = CliRunner().invoke(explain, [code], standalone_mode=False, env={"COLUMNS": "2000"}).output
    assert text.startswith(("error[", "warning["))
    assert all(each["clause"] in text for each in document["clauses"])


def test_completion_offers_mountpoints_and_instances(sandbox: Sandbox) -> None:
    """A TAB behind `explain` and `graph` lists what is mounted, behind a mountpoint its instances."""
    sandbox.mount(*CHAIN)

    def offered(line: str) -> set[str]:
        words = {"_METER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        return set(sandbox.meter(env=words).out.split())

    assert offered("meter explain ") == offered("meter graph /h") == {"plain,/host"}
    assert offered("meter explain /host c") == {"plain,cpu", "plain,csv"}
    assert offered("meter explain /none c") == set()


def test_what_is_optional_and_left_out_is_told(sandbox: Sandbox) -> None:
    """With the reason, behind the instances that are there."""
    lacking = SOURCE.replace("[[prov", '[[needs.host]]\nreadable = ["/no/such/device"]\n[[prov', 1)
    folder = sandbox.plugin("gpu", contract=lacking.format(name="gpu"))
    request = 'plugins = ["uptime", "csv"]\noptional = ["gpu"]\nconfig.csv.path = "e.csv"\n'
    (sandbox.folder / "meter.toml").write_text(f'[mounts."/e"]\n{request}')
    done = sandbox.meter("explain", "/e", "--plugin-dir", folder).ok()
    assert "left out: gpu, optional; `/no/such/device` does not exist" in done.out
    done = sandbox.meter("explain", "/e", "--plugin-dir", folder, "--format", "json").ok()
    [row] = done.json["backends"][0]["left_out"]
    assert (row["instance"], row["because"]) == ("gpu", "optional")
