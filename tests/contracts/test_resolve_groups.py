"""Groups of plugins by `alias`, and configuration that contracts hand to others."""

from typing import Any

import pytest

from meter.contracts.check import Checked
from tests.contracts.build import (
    at,
    codes,
    faults,
    filter_,
    giving,
    head,
    metric,
    needing,
    one,
    ordered,
    output,
    pointed,
    rule,
    run,
    source,
)

SINK = output()
TUNED = source(
    "x", more='config.depth = { type = "int", default = 1 }\nconfig.pace = { type = "duration", default = "1s" }'
)


def alias(name: str, *words: str, placement: str = "source") -> str:
    """A plugin that stands for others, too."""
    return (source if placement == "source" else filter_)(name, more=f"alias = {[*words]}\n")


def plugin(result: Checked, label: str) -> dict[str, Any]:
    """An instance of a plan that has to be there."""
    return next(each for each in result.require().document["plugins"] if each["instance"] == label)


class TestAlias:
    """Asking for a plugin asks for its group."""

    def test_the_group_stands_right_behind_it(self) -> None:
        """In the order of its words, before what is asked next."""
        result = run("a b sink", alias("a", "y", "x#z"), source("b"), source("x"), source("y"), SINK)
        assert ordered(result) == ["a", "y", "z", "b", "sink"]
        assert plugin(result, "z")["because"] == "alias of `a`"

    def test_groups_of_groups(self) -> None:
        """Each right behind the one that brings it, and circles end."""
        texts = (alias("a", "b", "c"), alias("b", "d", "a"), source("c"), source("d"), SINK)
        assert ordered(run("a sink", *texts)) == ["a", "b", "d", "c", "sink"]

    def test_a_group_of_itself(self) -> None:
        """Another instance of the plugin brings nothing new."""
        text = filter_("a", more='alias = ["a#two"]')
        assert ordered(run("probe a sink", source(), text, SINK)) == ["probe", "a", "two", "sink"]

    def test_what_is_needed_brings_its_group(self) -> None:
        """However a plugin came in; the group comes before what is needed after it."""
        texts = (needing("n", "a", "z"), alias("a", "x"), source("x"), source("z"), SINK)
        assert ordered(run("n sink", *texts)) == ["n", "a", "x", "z", "sink"]

    def test_members_may_be_asked_for(self) -> None:
        """They keep the place that they were asked for, and may be configured there."""
        result = run("x a sink", alias("a", "x"), TUNED, SINK, more="config.x.depth = 3")
        assert ordered(result) == ["x", "a", "sink"]
        assert (plugin(result, "x")["because"], plugin(result, "x")["config"]["depth"]) == ("asked", 3)

    def test_two_groups_with_one_member(self) -> None:
        """It is one instance, whose group is the first by name, wherever the two are asked."""
        texts = (alias("a", "x"), alias("b", "x"), source("x"), SINK)
        assert plugin(run("b a sink", *texts), "x")["because"] == "alias of `a`"

    def test_a_capability(self) -> None:
        """A word of an alias may name what a plugin provides, as a word of the request."""
        result = run("a sink", alias("a", "energy"), giving("rapl", "energy"), SINK)
        assert plugin(result, "energy")["plugin"] == "rapl"

    def test_a_member_meets_needs(self) -> None:
        """What an alias brings is there before anything is chosen for a need."""
        texts = (needing("n", "energy"), alias("a", "c"), giving("b", "energy", 'status = ["default"]'))
        assert ordered(run("n a sink", *texts, giving("c", "energy"), SINK)) == ["n", "a", "c", "sink"]

    def test_an_unknown_word(self) -> None:
        """The chain and the word are shown."""
        text = alias("a", "zzz")
        document = one(run("n sink", needing("n", "a"), text, SINK), "E-NEED-UNMET")
        assert at(document, text, 1, "a/contract.toml") == "'zzz'"
        assert document["notes"] == ["because asked -> n -> a -> zzz"]
        assert document["clause"] == "alias"

    def test_a_broken_member(self) -> None:
        """Why it cannot be had is told."""
        broken = head("x", "source") + metric("x.x", unit="joules")
        assert "joules" in " ".join(one(run("a sink", alias("a", "x"), broken, SINK), "E-NEED-UNMET")["notes"])

    def test_a_label_that_is_taken(self) -> None:
        """A member never takes the place of another plugin."""
        assert codes(run("b#x a sink", alias("a", "x"), source("b"), source("x"), SINK)) == ["E-LABEL-CLASH"]

    @pytest.mark.parametrize(
        ("word", "code", "place"),
        [("X!", "E-NAME", '"X!"'), ("x=1", "E-OPTION", '"x=1"'), ("x#", "E-NAME", '"x#"'), ("=", "E-OPTION", '"="')],
    )
    def test_words_that_are_none(self, word: str, code: str, place: str) -> None:
        """They are found when the contract is read."""
        text = source("a", more=f'alias = ["{word}"]')
        [fault] = faults(text)
        assert (fault.code, fault.clause) == (code, "alias")
        assert at(fault.to_json(), text, file="contract.toml") == place

    def test_options(self) -> None:
        """Written as on a command line, they belong to the member before them."""
        result = run(
            "a sink", alias("a", "x", "depth=3", "pace=2s", "x#y", "depth=4"), TUNED.replace("x.value", "v"), SINK
        )
        assert codes(result) == ["E-FLOW-CLASH"]  # two instances of one source; but
        result = run("a sink", alias("a", "x", "depth=3", "pace=2s"), TUNED, SINK)
        assert plugin(result, "x")["config"]["pace"] == 2 * 10**9
        assert plugin(result, "x")["origins"] == {
            "depth": "alias of `a`", "pace": "alias of `a`", "interval": "default",
        }  # fmt: skip

    def test_an_option_that_the_request_gives_too(self) -> None:
        """Another value is refused, an equal one is fine however it is written."""
        texts = (alias("a", "x", "pace=2s"), TUNED, SINK)
        assert codes(run("a sink", *texts, more='config.x.pace = "2000ms"')) == []
        document = one(run("a sink", *texts, more='config.x.pace = "3s"'), "E-CONFIG-CLASH")
        assert document["message"] == '`pace` of `x` is "3s", but `a` demands "2s"'
        assert pointed(document, "a sink", 'config.x.pace = "3s"') == '"3s"'
        assert at(document, texts[0], 1, "a/contract.toml") == "2s"

    def test_an_option_that_two_groups_give(self) -> None:
        """They have to agree."""
        texts = (alias("a", "x", "depth=3"), TUNED, SINK)
        assert codes(run("a b sink", alias("b", "x", "depth=3"), *texts)) == []
        document = one(run("a b sink", alias("b", "x", "depth=4"), *texts), "E-CONFIG-CLASH")
        assert '"3" and "4"' in document["message"]

    @pytest.mark.parametrize(
        ("option", "code", "place"),
        [("deep=3", "E-CONFIG-UNKNOWN", "deep"), ("depth=x", "E-CONFIG-TYPE", "x"), ("pace=3", "E-CONFIG-TYPE", "3")],
    )
    def test_an_option_that_is_none(self, option: str, code: str, place: str) -> None:
        """The contract that gives it is pointed at."""
        text = alias("a", "x", option)
        assert at(one(run("a sink", text, TUNED, SINK), code), text, 0, "a/contract.toml") == place


class TestConfigFor:
    """Values for whoever provides a capability."""

    def test_every_other_provider(self) -> None:
        """By the name of a plugin or of a capability; never the giver itself."""
        option = 'config.depth = { type = "int", default = 1 }\n'
        texts = (
            giving("a", "store", option + "config_for = { store = { depth = 3 }, y = { depth = 4 } }"),
            giving("x", "store", option), source("y", more=option), source("z", more=option), SINK,
        )  # fmt: skip
        result = run("a x y z sink", *texts)
        depths = {label: plugin(result, label)["config"]["depth"] for label in "axyz"}
        assert depths == {"a": 1, "x": 3, "y": 4, "z": 1}
        assert plugin(result, "x")["origins"]["depth"] == "config_for of `a`"

    def test_nobody_provides_it(self) -> None:
        """Then there is nobody to configure."""
        assert codes(run("a sink", source("a", more="config_for = { store = { depth = 3 } }"), SINK)) == []

    def giver(self, name: str, value: str, option: str = "depth") -> str:
        """A source that configures `x`."""
        return source(name, more=f"config_for = {{ x = {{ {option} = {value} }} }}\n")

    def test_two_demand_different_values(self) -> None:
        """Neither wins: both clauses are shown, wherever the two were asked."""
        texts = (self.giver("a", "3"), self.giver("b", "4"), TUNED, SINK)
        for words in ("a b x sink", "x b a sink"):
            document = one(run(words, *texts), "E-CONFIG-CLASH")
            assert document["message"] == "`a` and `b` demand different values of `depth` of `x`: `3` and `4`"
            assert at(document, texts[1], 0, "b/contract.toml") == "4"
            assert at(document, texts[0], 1, "a/contract.toml") == "3"

    def test_two_demand_the_same(self) -> None:
        """However it is written."""
        texts = (self.giver("a", '"2s"', "pace"), self.giver("b", '"2000ms"', "pace"), TUNED, SINK)
        assert codes(run("a b x sink", *texts)) == []

    def test_the_request_says_something_else(self) -> None:
        """Neither the user nor the contract is overruled."""
        texts = (self.giver("a", "3"), TUNED, SINK)
        assert codes(run("a x sink", *texts, more="config.x.depth = 3")) == []
        document = one(run("a x sink", *texts, more="config.x.depth = 5"), "E-CONFIG-CLASH")
        assert document["message"] == "`depth` of `x` is `5`, but `a` demands `3`"
        assert pointed(document, "a x sink", "config.x.depth = 5") == "5"

    @pytest.mark.parametrize(
        ("option", "value", "code", "place"),
        [
            ("deep", "3", "E-CONFIG-UNKNOWN", "deep"),
            ("depth", '"3"', "E-CONFIG-TYPE", '"3"'),
            ("pace", '"3"', "E-CONFIG-TYPE", '"3"'),
        ],
    )
    def test_what_it_cannot_be(self, option: str, value: str, code: str, place: str) -> None:
        """The contract that hands it over is pointed at."""
        text = self.giver("a", value, option)
        document = one(run("a x sink", text, TUNED, SINK), code)
        assert at(document, text, 0, "a/contract.toml") == place
        assert document["clause"] == "config_for"

    def test_an_obligatory_option(self) -> None:
        """What is handed over need not be given by the request."""
        text = source("x", more='config.depth = { type = "int" }')
        assert codes(run("a x sink", self.giver("a", "3"), text, SINK)) == []

    def test_it_decides_about_guards(self) -> None:
        """A plugin may need a metric that its provider gives because it says so."""
        dram = "when = { dram = true }"
        rapl = source(
            "rapl",
            metric("rapl.v"),
            metric("hw.energy", more=dram),
            more='config.dram = { type = "bool", default = false }',
        )
        reader = filter_(
            "double", rule("hw.energy", 'gives = { name = "x" }'), more="config_for = { rapl = { dram = true } }"
        )
        assert ordered(run("rapl double sink", rapl, reader, SINK)) == ["rapl", "double", "sink"]
        assert ordered(run("probe double sink", source(), rapl, reader, SINK)) == ["probe", "rapl", "double", "sink"]

    def test_who_hands_it_over_may_be_needed(self) -> None:
        """The chain says why it is there."""
        texts = (self.giver("a", "3"), self.giver("b", "4"), needing("n", "b"), TUNED, SINK)
        assert one(run("a n x sink", *texts), "E-CONFIG-CLASH")["notes"] == ["because asked -> n -> b"]
