"""Which of several providers is taken for a need, and what is said of the others and of a doubtful one."""

import pytest

from meter.contracts.host import Recorded
from tests.contracts.build import (
    codes,
    filter_,
    giving,
    head,
    metric,
    needing,
    one,
    ordered,
    output,
    rule,
    run,
    said,
    source,
)

SINK = output()
NEED = needing("a", "energy")


class TestChoice:
    """One of several providers is taken: present, preferred, available, status, version, name."""

    def chosen(self, *texts: str, more: str = "", host: Recorded | None = None) -> tuple[str, dict[str, str]]:
        """The plugin that meets the need, and why each other does not; nothing else is said."""
        result = run("a sink", NEED, *texts, SINK, more=more, host=host)
        assert codes(result) == [], said(result)
        document = result.require().document
        plugins = {each["instance"]: each["plugin"] for each in document["plugins"]}
        assert {each["for"] for each in document["rejected"]} <= {"energy"}
        rejected = {each["plugin"]: each["why"] for each in document["rejected"]}
        assert plugins["energy"] not in rejected
        assert len(rejected) == len(texts) - 1
        return str(plugins["energy"]), rejected

    def test_by_status(self) -> None:
        """The highest sum of scores, a word counted once."""
        texts = (giving("b", "energy", 'status = ["tested", "tested"]'), giving("c", "energy", 'status = ["unittest"]'))
        assert self.chosen(*texts) == ("c", {"b": "its status counts 500, that of `c` 1000"})

    def test_by_preference(self) -> None:
        """The user's word stands above scores."""
        texts = (giving("b", "energy"), giving("c", "energy", 'status = ["default"]'))
        assert self.chosen(*texts, more='prefer = ["b"]') == ("b", {"c": "the request prefers `b`"})

    def test_by_order_of_preference(self) -> None:
        """The first that can be had."""
        texts = (giving("b", "energy"), giving("c", "energy"))
        assert self.chosen(*texts, more='prefer = ["zzz", "c", "b"]') == ("c", {"b": "the request prefers `c`"})

    def test_by_host(self) -> None:
        """A provider that cannot work here stands back, whatever its score."""
        need = 'status = ["default"]\nneeds.host = [{ readable = ["/sys/x"] }]'
        host = Recorded({("readable", "/sys/x"): "missing /sys/x"})
        chosen, rejected = self.chosen(giving("b", "energy"), giving("c", "energy", need), host=host)
        assert (chosen, list(rejected)) == ("b", ["c"])
        assert rejected["c"].startswith("cannot work on this host: ")
        assert "/sys/x" in rejected["c"]
        assert self.chosen(giving("b", "energy"), giving("c", "energy", need))[0] == "c"

    def test_by_python(self) -> None:
        """So does one whose library is not installed."""
        need = 'status = ["default"]\nneeds.python = { pynvml = "*" }'
        host = Recorded({("python", "pynvml"): "uninstalled pynvml"})
        assert self.chosen(giving("b", "energy"), giving("c", "energy", need), host=host)[0] == "b"

    def test_by_version(self) -> None:
        """Of equal ones the newer."""
        texts = (giving("b", "energy", version="1.9"), giving("c", "energy", version="1.10"))
        assert self.chosen(*texts) == ("c", {"b": "its version is 1.9, that of `c` 1.10"})

    def test_by_conflict(self) -> None:
        """One that cannot be beside what is there stands back, whatever its score."""
        texts = (giving("b", "energy"), giving("c", "energy", 'status = ["default"]\nconflicts = { a = "*" }'))
        assert self.chosen(*texts) == ("b", {"c": "conflicts with `a`"})

    def test_a_conflict_of_the_other_one(self) -> None:
        """It does not matter which of the two states it."""
        need = needing("a", "energy", more='conflicts = { c = "*" }\n')
        texts = (giving("b", "energy"), giving("c", "energy", 'status = ["default"]'))
        result = run("a sink", need, *texts, SINK)
        assert [each["plugin"] for each in result.require().document["rejected"]] == ["c"]

    def test_a_preference_stands_above_conflicts(self) -> None:
        """What the user wants and cannot have is said, not replaced."""
        texts = (giving("b", "energy"), giving("c", "energy", 'conflicts = { a = "*" }'))
        assert codes(run("a sink", NEED, *texts, SINK, more='prefer = ["c"]')) == ["E-CONFLICT"]

    def test_one_that_is_there(self) -> None:
        """A need is met by what was asked, even if better ones exist."""
        texts = (NEED, giving("b", "energy"), giving("c", "energy", 'status = ["default"]'))
        assert ordered(run("a b sink", *texts, SINK)) == ["a", "b", "sink"]

    def test_a_plugin_competes_with_providers_of_its_name(self) -> None:
        """A needed name is a capability, also where a plugin has it."""
        texts = (source("energy", more='status = ["discouraged"]'), giving("b", "energy", 'status = ["recommended"]'))
        assert self.chosen(*texts)[0] == "b"

    def test_an_asked_capability_takes_part(self) -> None:
        """Which plugin a word of the request means is decided and told like a need."""
        texts = (giving("b", "energy", 'status = ["tested"]'), giving("c", "energy"))
        result = run("energy sink", *texts, SINK)
        assert result.require().document["plugins"][0]["plugin"] == "b"
        assert [each["plugin"] for each in result.require().document["rejected"]] == ["c"]

    def test_asked_capabilities_do_not_depend_on_each_others_place(self) -> None:
        """Which of two exclusive plugins is taken first does not follow from the order of the words."""
        alone = 'conflicts = { c = "*", d = "*" }\n'
        texts = (
            giving("b", "one", alone + 'status = ["tested"]'), giving("c", "one"),
            giving("d", "two", 'status = ["tested"]'), giving("e", "two"), SINK,
        )  # fmt: skip
        for words in ("one two sink", "two one sink"):
            result = run(words, *texts)
            plugins = {each["instance"]: each["plugin"] for each in result.require().document["plugins"]}
            assert plugins == {"one": "b", "two": "e", "sink": "sink"}


class TestDoubts:
    """What a plugin that chose itself should be known for."""

    def test_a_tie_is_said(self) -> None:
        """The first by name is taken, and how to say which."""
        result = run("a sink", NEED, giving("c", "energy"), giving("b", "energy"), SINK)
        document = one(result, "W-PROVIDER-TIE")
        assert document["help"] == 'say which one: prefer = ["b"]'
        assert document["spans"][0]["file"] == "a/contract.toml"
        rejected = {"plugin": "c", "for": "energy", "why": "`b` is as good and comes first by name"}
        assert result.require().document["rejected"] == [rejected]

    def test_a_low_status_is_said(self) -> None:
        """Only what counts against it."""
        document = one(run("a sink", NEED, giving("b", "energy", 'status = ["orphan", "nodep"]'), SINK), "W-STATUS-LOW")
        assert document["message"] == "`b` is taken for `energy`, though its status is `orphan`"

    @pytest.mark.parametrize(
        ("words", "status"),
        [
            ("a sink", '["limited", "nodep"]'),  # -500: not so low
            ("a b sink", '["orphan"]'),  # was asked for
        ],
    )
    def test_no_low_status(self, words: str, status: str) -> None:
        """A status that is not so low is not said, nor is that of what was asked for."""
        assert codes(run(words, NEED, giving("b", "energy", f"status = {status}"), SINK)) == []

    def test_a_plugin_that_is_needed_by_its_name(self) -> None:
        """A contract that names its provider has chosen it."""
        assert codes(run("a sink", needing("a", "b"), source("b", more='status = ["orphan"]'), SINK)) == []

    READER = filter_("double", rule("hw.energy", 'gives = { name = "${metric}.twice" }'))

    @pytest.mark.parametrize("placement", ["source", "filter"])
    def test_an_estimate_is_said(self, placement: str) -> None:
        """A metric that nobody asked to be estimated."""
        model = (
            source("tdp", metric("hw.energy", more='quality = "estimated"'))
            if placement == "source"
            else filter_("tdp", rule("probe.value", 'gives = { name = "hw.energy", quality = "estimated" }'))
        )
        document = one(run("probe double sink", source(), self.READER, model, SINK), "W-QUALITY-ESTIMATED")
        assert document["message"] == "`tdp` is taken for `hw.energy`, and only estimates it"
        assert document["spans"][0]["file"] == "double/contract.toml"

    def test_an_estimate_that_was_asked_for(self) -> None:
        """Whoever asks for it knows it; and so is a plugin that also measures the metric."""
        model = source("tdp", metric("hw.energy", more='quality = "estimated"'))
        both = source(
            "tdp",
            metric("hw.energy", more='quality = "estimated"\nattributes = { p = ["x"] }'),
            metric("hw.energy", more='attributes = { p = ["y"] }'),
        )
        assert codes(run("tdp double sink", self.READER, model, SINK)) == []
        assert codes(run("probe double sink", source(), self.READER, both, SINK)) == []


class TestGuards:
    """A table that exists for some configurations only."""

    OPTION = 'config.dram = { type = "bool", default = false }\n'
    GIVES = metric("hw.energy", more="when = { dram = true }")

    def test_a_rule_that_does_not_exist_needs_nothing(self) -> None:
        """A metric is needed where the guard of the rule holds, by default or by the request."""
        reader = filter_(
            "double", rule("hw.energy", 'when = { dram = true }\ngives = { name = "x" }'), more=self.OPTION
        )
        texts = (source(), source("rapl", metric("hw.energy")), reader, SINK)
        assert ordered(run("probe double sink", *texts)) == ["probe", "double", "sink"]
        assert ordered(run("probe double sink", *texts, more="config.double.dram = true")) == [
            "probe", "rapl", "double", "sink",
        ]  # fmt: skip

    def test_who_does_not_give_it_now_is_no_provider(self) -> None:
        """Neither is it taken where another gives the metric, nor does its being there meet the need."""
        reader = filter_("double", rule("hw.energy", 'gives = { name = "x" }'))
        guarded = source("rapl", metric("rapl.value"), self.GIVES, more=self.OPTION + 'status = ["default"]')
        texts = (source(), guarded, source("tdp", metric("hw.energy")), reader, SINK)
        assert ordered(run("probe double sink", *texts)) == ["probe", "tdp", "double", "sink"]
        assert ordered(run("rapl double sink", *texts)) == ["rapl", "tdp", "double", "sink"]
        assert ordered(run("rapl double sink", *texts, more="config.rapl.dram = true")) == ["rapl", "double", "sink"]

    def test_who_could_give_it_and_does_not(self) -> None:
        """Is there once; the flow says what is missing."""
        reader = filter_("double", rule("hw.energy", 'gives = { name = "x" }'))
        guarded = source("rapl", metric("rapl.value"), self.GIVES, more=self.OPTION)
        assert codes(run("rapl double sink", guarded, reader, SINK)) == ["E-FLOW-EMPTY"]

    def test_what_is_excluded_is_not_needed(self) -> None:
        """`!name` takes away: it pulls nothing in, and there may be nothing to take away."""
        keep = filter_("keep", rule("!hw.energy"))
        assert ordered(run("probe keep sink", source(), source("rapl", metric("hw.energy")), keep, SINK)) == [
            "probe", "keep", "sink",
        ]  # fmt: skip


def test_a_plugin_that_is_only_taken_by_its_name() -> None:
    """It is no help to say that nothing offers what it offers."""
    document = one(run("a sink", NEED, giving("b", "energy", 'status = ["example"]'), SINK), "E-NEED-UNMET")
    assert document["help"] == "add `b` to the plugins"


def test_a_broken_provider_is_none() -> None:
    """A contract that cannot be read provides nothing."""
    broken = head("b", "source") + 'provides.capabilities = { energy = "1.0" }\nnonsense = 1\n' + metric("b.b")
    assert ordered(run("a sink", NEED, broken, giving("c", "energy"), SINK)) == ["a", "energy", "sink"]
