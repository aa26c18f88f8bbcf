"""Two faults that have nothing to do with each other are said together, and what is not known is not guessed."""

from __future__ import annotations

import pytest

from meter.contracts.check import check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed
from meter.contracts.model import Source
from meter.contracts.mount_tables import remains
from tests.contracts.build import FILE, SELECT, catalogue, codes, filter_, metric, output, rule, run, source

HW = source("hw", metric("hw.energy", kind="delta", unit="J"))
FILED = output("sink", more='[config.path]\ntype = "str"\n[config.depth]\ntype = "int"\ndefault = 1\n')
STEPS = output("steps", rule("*"), more='require = ["config.depth >= 2"]\n[config.depth]\ntype = "int"\ndefault = 1\n')
WRONG = 'config.select.drop = ["hw.power"]\n'
"""A selector that means nothing of what there is."""
SOUND = 'config.select.drop = ["!hw.energy"]\n'


def rest(text: str) -> list[str]:
    """The codes of what is said of a mount file beside what reading it says."""
    parsed = parse_toml(f'[mounts."/host"]\n{text}'.encode(), FILE)
    assert not isinstance(parsed, Diagnostic), parsed.message
    found = remains(parsed[0], Source(FILE, parsed[1]))
    return [
        code for each in found.values() for code in codes(check(each, catalogue(HW, FILED, STEPS, SELECT), Assumed()))
    ]


class TestFlow:
    """What flows is known where what is wrong says nothing of it."""

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ("", "E-CONFIG-MISSING"),
            ("config.sink.path = 7\n", "E-CONFIG-TYPE"),
            ('config.sink.pat = "a"\n', "E-CONFIG-UNKNOWN"),
            ('config.sinks.path = "a"\n', "E-CONFIG-CLASH"),
        ],
    )
    def test_a_wrong_option_hides_no_wrong_selector(self, wrong: str, code: str) -> None:
        """Where the output writes to decides nothing about what it gets."""
        found = run("hw select sink", HW, SELECT, FILED, more=wrong + WRONG)

        assert sorted(codes(found)) == [code, "E-FLOW-EMPTY"]
        assert found.plan is None

    @pytest.mark.parametrize(
        "wrong",
        [
            'config.sink.metric = ["hw.energy"]\n',  # an option that selects is meant
            'config.sink.xyz = "a"\n',  # any option may be meant
            "config.sink.metrics = 7\n",
        ],
    )
    def test_what_an_output_takes_decides_nothing_before_it(self, wrong: str) -> None:
        """A filter with a wrong selector is told all the same; that nothing takes what there is cannot be said."""
        found = run("hw select sink", HW, SELECT, FILED, more='config.sink.path = "a"\n' + wrong + WRONG)
        left = run("hw select sink", HW, SELECT, FILED, more='config.sink.path = "a"\n' + wrong + SOUND)

        assert len(codes(found)) == 2
        assert "E-FLOW-EMPTY" in codes(found)
        assert codes(left) == [code for code in codes(found) if code != "E-FLOW-EMPTY"]

    @pytest.mark.parametrize("wrong", ["config.select.drop = 7\n", 'config.select.droop = ["hw.energy"]\n'])
    def test_what_a_filter_takes_decides_what_there_is_behind_it(self, wrong: str) -> None:
        """Nothing is said of metrics then."""
        more = 'config.sink = { path = "a", metrics = ["hw.power"] }\n' + wrong

        assert len(codes(run("hw select sink", HW, SELECT, FILED, more=more))) == 1

    def test_an_output_that_is_called_a_filter_is_no_filter(self) -> None:
        """That there is no output is what is wrong, and not what the filter takes."""
        joules = filter_("joules", rule("*", 'unit = "s"'), placement="prefilter")

        assert codes(run("hw joules", HW, joules)) == ["E-ROLE-COUNT"]

    def test_a_condition_on_a_wrong_configuration_is_not_said(self) -> None:
        """It may hold with what was meant."""
        assert codes(run("hw steps", HW, STEPS, more='config.steps.depth = "two"\n')) == ["E-CONFIG-TYPE"]

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ("", ["E-CONSTRAINT"]),
            ("config.step.depth = 3\n", ["E-CONFIG-CLASH"]),
            ("config.elsewhere.depth = 3\n", ["E-CONFIG-CLASH"]),
            ("config.elsewhere.other = 3\n", ["E-CONFIG-CLASH", "E-CONSTRAINT"]),
        ],
    )
    def test_a_condition_on_a_default_is_not_said_where_the_option_stands_elsewhere(
        self, more: str, said: list[str]
    ) -> None:
        """In a table that is of no instance: it is that one's."""
        assert sorted(codes(run("hw steps", HW, STEPS, more=more))) == said

    @pytest.mark.parametrize("wrong", ["config.steps = 7", "configx.steps.depth = 3", "config = 7"])
    def test_a_condition_on_a_default_is_not_said_of_a_table_that_is_none(self, wrong: str) -> None:
        """Nobody knows what stood there."""
        assert rest(f'plugins = ["hw", "steps"]\n{wrong}\n') == []


class TestStrangers:
    """Tables of a configuration that are of no instance."""

    def test_one_that_can_only_be_of_another_is_said_beside_a_duplicate(self) -> None:
        """It is no word of `plugins`, and one letter is wrong."""
        found = run("hw hw sink", HW, FILED, more='config.sinks.path = "a"\n')

        assert sorted(codes(found)) == ["E-CONFIG-CLASH", "E-DUPLICATE"]

    def test_one_of_a_plugin_that_cannot_be_had_is_not_said(self) -> None:
        """It is that of the word."""
        found = run("hw sink sinks", HW, FILED, more='config.sinks.path = "a"\nconfig.sink.path = "b"\n')

        assert codes(found) == ["E-PLUGIN-UNKNOWN"]


class TestRest:
    """What is said of a mount file of which not everything can be told."""

    def test_an_option_is_wrong_beside_a_plugin_that_is_none(self) -> None:
        """The word is said by the reader; the option is of another instance."""
        assert rest('plugins = ["hw", 7, "sink"]\nconfig.sink.path = 3\n') == ["E-CONFIG-TYPE"]

    def test_a_misspelt_plugin_is_said_beside_a_table_that_is_none(self) -> None:
        """Which plugin is meant does not depend on its options."""
        assert rest('plugins = ["hv", "sink"]\nconfig.sink = 7\n') == ["E-PLUGIN-UNKNOWN"]

    @pytest.mark.parametrize(
        "text",
        [
            'plugins = ["hw", 7]\n',  # the output may be what is none
            'plugins = ["hw", "si nk"]\nconfig.sink.path = "a"\n',  # and the table may be of it
            'plugins = ["hw", "sink"]\nconfig.sink = 7\n',
            'plugins = ["hw", "sink"]\nconfig = 7\n',
            'plugins = ["hw", "sink"]\nconfigx.sink.path = "a"\n',
            'pluginsx = ["hw"]\n',
            "plugins = 7\n",
        ],
    )
    def test_what_may_follow_is_not_said(self, text: str) -> None:
        """Nobody knows what stood there."""
        assert rest(text) == []

    def test_a_durability_that_is_none_hides_no_wrong_selector(self) -> None:
        """What flows does not depend on what is promised."""
        text = 'plugins = ["hw", "select", "sink"]\nconfig.sink.path = "a"\ndurability = "forever"\n'
        assert rest(text + WRONG) == ["E-FLOW-EMPTY"]

    def test_nothing_is_left_of_a_sound_mount(self) -> None:
        """What is to be mounted is a request."""
        assert rest('plugins = ["hw", "sink"]\nconfig.sink.path = "a"\n') == []

    @pytest.mark.parametrize(
        ("mountpoint", "more"), [("/host", 'durability = "forever"'), ("/host", "order = 7"), ("/ho st", "")]
    )
    def test_there_is_no_plan_of_a_rest(self, mountpoint: str, more: str) -> None:
        """Also where nothing else is wrong with it."""
        text = f'[mounts."{mountpoint}"]\nplugins = ["hw", "sink"]\nconfig.sink.path = "a"\n{more}\n'
        parsed = parse_toml(text.encode(), FILE)
        assert not isinstance(parsed, Diagnostic)
        (one,) = remains(parsed[0], Source(FILE, text)).values()

        assert check(one, catalogue(HW, FILED), Assumed()).plan is None
