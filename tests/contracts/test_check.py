"""The whole check: stages, host facts, durability, the plan."""

import json

import pytest

from meter.contracts.diagnostics import ContractError
from meter.contracts.host import Assumed, Recorded
from meter.contracts.plan import FORMAT
from tests.contracts.build import (
    DIFFERENCE,
    RATE,
    catalogue,
    codes,
    contract,
    edges,
    metric,
    one,
    ordered,
    output,
    pointed,
    rule,
    run,
    said,
    shown,
    source,
)

NEED = source(
    "rapl",
    more='[[needs.host]]\nname = "powercap"\nreadable = ["/sys/a", "/sys/b"]\n'
    '[[needs.host]]\nname = "perf"\nreadable = ["/sys/c"]\n',
)
PROBE = source()
SINK = output()


def host(*holds: str, **faults: str) -> Recorded:
    """A host where some questions hold, and why others do not."""
    answers = {("readable", path): "" for path in holds}
    return Recorded(answers | {("readable", f"/sys/{name}"): why for name, why in faults.items()})


FILE_SINK = output("file", rule("*"), more='config.path = { type = "path", access = "write" }')


class TestClaims:
    """Two plugins that write one file would lose the rows of one of them."""

    @pytest.mark.parametrize(
        ("other", "twice"),
        [
            ("a.csv", True),
            ("./a.csv", True),
            ("b/../a.csv", True),
            ("b.csv", False),
            ("/a.csv", False),
            ("/dev/stdout", False),
        ],
    )
    def test_one_file(self, other: str, twice: bool) -> None:  # noqa: FBT001  (one column of a table)
        """However it is written; both places are shown."""
        more = f'config.file.path = "a.csv"\nconfig.more.path = "{other}"\n'
        result = run("probe file file#more", source(), FILE_SINK, more=more)
        assert codes(result) == (["E-CLAIM"] if twice else [])
        if twice:
            document = shown(result.diagnostics[0])
            assert document["message"] == f"`file` and `more` both write `{other}`"
            assert [pointed(document, "probe file file#more", more, place) for place in (0, 1)] == [
                f'"{other}"', '"a.csv"'
            ]  # fmt: skip

    def test_devices_are_nobodys_alone(self) -> None:
        """Two outputs may print."""
        more = 'config.file.path = "/dev/stdout"\nconfig.more.path = "/dev/stdout"\n'
        assert codes(run("probe file file#more", source(), FILE_SINK, more=more)) == []


class TestHost:
    """Host facts are an input."""

    @pytest.mark.parametrize("holds", [("/sys/a", "/sys/b"), ("/sys/c",)])
    def test_one_alternative_is_enough(self, holds: tuple[str, ...]) -> None:
        """All keys of one table."""
        assert ordered(run("rapl sink", NEED, SINK, host=host(*holds)))

    def test_no_alternative_holds(self) -> None:
        """Each reason is told, with what mends it; the need is shown."""
        facts = host("/sys/a", b="denied /sys/b", c="missing /sys/c")
        document = one(run("rapl sink", NEED, SINK, host=facts), "E-HOST")
        assert document["message"] == (
            "`rapl` cannot work on this host: neither of the two ways is open: no permission to read `/sys/b`, and "
            "`/sys/c` does not exist"
        )
        assert document["help"].startswith("`sudo chmod a+r /sys/b` lets everybody read it")
        assert pointed(document, "rapl sink") == '"rapl"'
        assert document["spans"][1]["file"] == "rapl/contract.toml"

    def test_another_machine_can_be_assumed(self) -> None:
        """Checking needs no hardware."""
        assert ordered(run("rapl sink", NEED, SINK, host=Assumed()))

    @pytest.mark.parametrize(
        ("type_", "value", "at"),
        [
            ("path", '"/no/x"', '"/no/x"'),
            ("list<path>", '["/ok", "/no/x"]', '"/no/x"'),
            ("map<path>", '{ a = "/no/x" }', '"/no/x"'),
        ],
    )
    def test_paths(self, type_: str, value: str, at: str) -> None:
        """A path that cannot be written is found before anything was measured."""
        text = output("sink", more=f'config.path = {{ type = "{type_}", access = "write" }}')
        facts = Recorded({("write", "/ok"): "", ("write", "/no/x"): "folder-missing /no"})
        more = f"config.sink.path = {value}\n"
        document = one(run("probe sink", PROBE, text, more=more, host=facts), "E-PATH")
        assert pointed(document, "probe sink", more) == at
        assert document["message"] == "`path` of `sink` is `/no/x`, but the folder `/no` does not exist"
        assert document["help"] == "make it: mkdir -p /no"

    def test_a_default_path(self) -> None:
        """Where nothing was given the instance is the place; reading is another question."""
        text = output("sink", more='config.path = { type = "path", default = "/a", access = "read" }')
        document = one(run("probe sink", PROBE, text, host=Recorded({("write", "/a"): ""})), "E-PATH")
        assert pointed(document, "probe sink") == '"sink"'
        assert ordered(run("probe sink", PROBE, text, host=Recorded({("read", "/a"): ""})))


class TestDurability:
    """What a mount demands of its outputs."""

    @pytest.mark.parametrize(
        ("promises", "demands", "enough"),
        [
            ("volatile", "volatile", True),
            ("volatile", "process", False),
            ("process", "process", True),
            ("process", "power", False),
            ("power", "process", True),
        ],
    )
    def test_each_output_promises_enough(self, promises: str, demands: str, enough: bool) -> None:  # noqa: FBT001 one column of a table
        """More is fine, less is named."""
        result = run(
            "probe sink",
            PROBE,
            output("sink", more=f'durability = "{promises}"'),
            more=f'durability = "{demands}"',
        )
        if enough:
            assert codes(result) == []
        else:
            assert pointed(one(result, "E-DURABILITY"), "probe sink") == '"sink"'

    def test_nothing_is_demanded(self) -> None:
        """Without a word volatile is fine, and sources promise nothing."""
        assert ordered(run("probe sink", PROBE, SINK))


class TestStages:
    """All errors of a stage at once; the next begins on sound ground."""

    def test_errors_of_a_stage_come_together(self) -> None:
        """Everything wrong with the words is said in one go."""
        result = run("prob snk a#x b#x", PROBE, SINK, source("a"), source("b"))
        assert codes(result) == ["E-PLUGIN-UNKNOWN", "E-PLUGIN-UNKNOWN", "E-LABEL-CLASH"]

    def test_flow_and_host_come_together(self) -> None:
        """Neither depends on the other."""
        result = run("rapl sink", NEED, SINK, more='config.sink.metrics = ["x"]\ndurability = "power"', host=host())
        assert sorted(codes(result)) == ["E-DURABILITY", "E-FLOW-EMPTY", "E-HOST"]

    def test_a_refusal_is_an_exception_for_who_wants_one(self) -> None:
        """`require` gives the plan or raises with every diagnostic."""
        with pytest.raises(ContractError) as error:
            run("prob sink", PROBE, SINK).require()
        assert [each.code for each in error.value.diagnostics] == ["E-PLUGIN-UNKNOWN"]
        assert "error[E-PLUGIN-UNKNOWN]: no plugin" in str(error.value)

    def test_diagnostics_are_sorted_by_place(self) -> None:
        """Errors before warnings, then file, line and column."""
        bare = 'name = "bare"\nversion = "1.0.0"\nplacement = "source"\n' + metric("b")
        result = run("bare bare#b zzz yyy", bare, SINK)
        assert codes(result) == ["E-PLUGIN-UNKNOWN", "E-PLUGIN-UNKNOWN", "W-CLAUSE-MISSING"]
        assert "zzz" in said(result)[0]


class TestPlan:
    """What is written down."""

    def test_is_json(self) -> None:
        """The engine needs nothing but this document."""
        raw = source("raw", metric("a", kind="counter", unit="By", type_="u64"))
        result = run("raw rate difference sink", raw, DIFFERENCE, RATE, SINK)
        plan = result.require()
        document = json.loads(plan.to_bytes())
        assert document == plan.document
        assert document["format"] == FORMAT
        assert document["order"] == [each["instance"] for each in document["plugins"]]
        assert [each["role"] for each in document["plugins"]] == ["source", "filter", "filter", "output"]
        assert edges(result) == [("difference", "rate")]
        assert document["plugins"][0]["contract"] == contract(raw).digest
        assert document["plugins"][0]["emits"][0]["unit"] == "By"
        assert document["plugins"][3]["rules"][0]["select"] == ["*"]
        assert document["plugins"][0]["exports"] == {"plugin": "plugin:Plugin"}

    def test_paths_are_named(self) -> None:
        """Options that are paths can be made absolute by who knows the folder."""
        options = 'config.path = { type = "path", default = "x" }\nconfig.n = { type = "str", default = "" }'
        text = output("sink", more=options)
        assert run("probe sink", PROBE, text).require().document["plugins"][1]["paths"] == ["path"]

    def test_a_contract_that_is_not_used_is_not_in_it(self) -> None:
        """Plans of equal requests over larger catalogues are equal."""
        one_ = run("probe sink", PROBE, SINK).require().to_bytes()
        assert one_ == run("probe sink", PROBE, SINK, RATE, DIFFERENCE).require().to_bytes()


def test_a_catalogue_lists_plugins_and_capabilities() -> None:
    """What may be asked for; internal plugins are not shown."""
    texts = (
        source("a", more='provides.capabilities = { energy = "1.0" }'),
        source("b", more='status = ["internal"]'),
        source("c", metric("c", unit="joules")),
    )
    assert catalogue(*texts).names() == ("a", "energy")
