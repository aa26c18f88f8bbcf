"""Resolution: which plugins a backend consists of, and why."""

import pytest

from meter.contracts.catalogue import Catalogue
from tests.contracts.build import (
    catalogue,
    codes,
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
    shown,
    source,
)

SINK = output()
PROBE = source()


class TestAsking:
    """What a word of `plugins` means."""

    def test_an_unknown_plugin(self) -> None:
        """The word is pointed at, and what was meant is offered."""
        document = one(run("probe snk", PROBE, SINK), "E-PLUGIN-UNKNOWN")
        assert pointed(document, "probe snk") == '"snk"'
        assert "did you mean `sink`?" in document["help"]

    def test_a_capability_may_be_asked_for(self) -> None:
        """The instance has the name that was asked."""
        result = run("energy sink", giving("rapl", "energy"), SINK)
        assert ordered(result) == ["energy", "sink"]
        assert result.require().document["plugins"][0]["plugin"] == "rapl"

    @pytest.mark.parametrize("words", ["probe probe", "probe#a probe#a", "energy energy"])
    def test_asked_twice(self, words: str) -> None:
        """The second word is pointed at, the first shown; that another label does not help is said, too."""
        document = one(run(f"{words} sink", PROBE, giving("rapl", "energy"), SINK), "E-DUPLICATE")
        assert pointed(document, f"{words} sink") == f'"{words.split()[1]}"'
        assert pointed(document, f"{words} sink", place=1) == f'"{words.split(maxsplit=1)[0]}"'
        assert document["help"] == ("leave one out: whatever its label, a second one would give the same series again")

    def test_an_output_asked_for_twice(self) -> None:
        """With a label and options of its own there can be a second one."""
        document = one(run("probe sink sink", PROBE, SINK), "E-DUPLICATE")
        assert document["help"] == (
            "leave one out; a second one has a label and options of its own: `sink#other`, with its options below "
            "`config.other`"
        )
        document = one(run("probe sink sink sink#other", PROBE, SINK), "E-DUPLICATE")
        assert "`sink#other-2`" in document["help"], "that label is taken"

    def test_one_plugin_under_two_labels(self) -> None:
        """Labels tell instances apart."""
        texts = (output("sink", more='config.path = { type = "str" }'),)
        more = 'config.a = { path = "1" }\nconfig.b = { path = "2" }\n'
        assert ordered(run("probe sink#b sink#a", PROBE, *texts, more=more)) == ["probe", "b", "a"]

    def test_one_label_for_two_plugins(self) -> None:
        """Neither is taken silently."""
        document = one(run("probe#x other#x sink", PROBE, source("other"), SINK), "E-LABEL-CLASH")
        assert pointed(document, "probe#x other#x sink") == '"other#x"'
        assert document["message"] == "the label `x` is asked for both `other` and `probe`"

    def test_a_name_that_two_files_have(self) -> None:
        """Neither file is taken by the accident of order."""
        files = [("probe", f"{place}/contract.toml", PROBE.encode()) for place in "ab"]
        both = Catalogue.of([*files, ("sink", "sink/contract.toml", SINK.encode())])
        assert both == Catalogue.of([("sink", "sink/contract.toml", SINK.encode()), *reversed(files)])
        from meter.contracts.check import check  # the helper makes catalogues of texts with one file each
        from meter.contracts.host import Assumed
        from tests.contracts.build import request

        document = one(check(request("probe sink"), both, Assumed()), "E-DUPLICATE")
        assert "`a/contract.toml` and `b/contract.toml`" in document["help"]

    def test_a_broken_contract_is_said_when_it_is_asked(self) -> None:
        """Its own faults are the answer, once, and not one of another plugin."""
        broken = source("broken", metric("b", unit="joules"))
        other = source("worse", metric("b", unit="watts"))
        result = run("broken#a broken#b sink", broken, other, SINK)
        assert codes(result) == ["E-CLAUSE-TYPE"]
        assert "joules" in result.diagnostics[0].message

    def test_warnings_of_a_contract_come_with_it(self) -> None:
        """A contract in use says what it leaves out."""
        bare = 'name = "bare"\nversion = "1.0.0"\nplacement = "source"\n' + metric("b")
        assert codes(run("bare sink", bare, SINK)) == ["W-CLAUSE-MISSING"]
        assert codes(run("probe sink", PROBE, bare, SINK)) == []


class TestNeeds:
    """Needs are closed to a fixed point."""

    def test_needs_of_needs(self) -> None:
        """However deep: each is there, with the reason."""
        texts = (needing("a", "b"), needing("b", "c"), needing("c", "d"), source("d"))
        result = run("a sink", *texts, SINK)
        assert ordered(result) == ["a", "b", "c", "d", "sink"]
        because = {each["instance"]: each["because"] for each in result.require().document["plugins"]}
        assert because["c"] == "needed by `b` for `c`"

    def test_a_circle_of_needs_is_no_fault(self) -> None:
        """Two plugins may need each other: needing orders nothing."""
        assert ordered(run("a sink", needing("a", "b"), needing("b", "a"), SINK)) == ["a", "b", "sink"]

    def test_concrete_names_come_first(self) -> None:
        """A need that a needed plugin meets pulls in no other."""
        texts = (needing("a", "energy", "zz"), giving("zz", "energy"), giving("b", "energy", 'status = ["default"]'))
        assert ordered(run("a sink", *texts, SINK)) == ["a", "zz", "sink"]

    def test_nothing_provides_it(self) -> None:
        """The chain from the asked plugin on is told, and both places are shown."""
        result = run("a sink", needing("a", "b"), needing("b", "telepathy"), SINK)
        document = one(result, "E-NEED-UNMET")
        assert pointed(document, "a sink") == '"a"'
        assert document["spans"][1]["file"] == "b/contract.toml"
        assert document["notes"][0] == "because asked -> a -> b -> telepathy"

    def test_a_version_that_nobody_has(self) -> None:
        """What there is instead is said."""
        text = source("a", more='needs.capabilities = { b = ">=2" }')
        document = one(run("a sink", text, source("b"), SINK), "E-NEED-UNMET")
        assert document["help"] == "`b` provides 1.0.0; >=2 is wanted"

    def test_versions_of_capabilities(self) -> None:
        """A capability has a version of its own, not the plugin's."""
        text = source("a", more='needs.capabilities = { energy = ">=2" }')
        texts = (giving("old", "energy"), giving("new", "energy", version="2.1"))
        assert ordered(run("a sink", text, *texts, SINK)) == ["a", "energy", "sink"]

    def test_the_needed_contract_is_broken(self) -> None:
        """The reason is its own error, not its first warning."""
        broken = 'name = "b"\nversion = "1.0.0"\nplacement = "source"\n' + metric("b", unit="joules")
        document = one(run("a sink", needing("a", "b"), broken, SINK), "E-NEED-UNMET")
        assert "joules" in " ".join(document["notes"])

    def test_a_plugin_that_needs_itself(self) -> None:
        """It works and is warned of."""
        result = run("a sink", source("a", more='needs.capabilities = { a = "*" }'), SINK)
        assert shown(result.diagnostics[0])["spans"][0]["file"] == "a/contract.toml"
        assert codes(result) == ["W-SELF-NEED"]

    def test_the_label_is_another_plugins(self) -> None:
        """What is pulled in never takes the place of what was asked."""
        result = run("probe#b a sink", PROBE, needing("a", "b"), source("b"), SINK)
        document = one(result, "E-LABEL-CLASH")
        assert "`b`" in document["message"]

    def test_examples_are_never_chosen(self) -> None:
        """A plugin made for a tutorial is there only by its name."""
        result = run("a sink", needing("a", "energy"), giving("b", "energy", 'status = ["example"]'), SINK)
        assert codes(result) == ["E-NEED-UNMET"]

    def test_a_metric_is_needed_by_its_name(self) -> None:
        """A rule that names a metric pulls in who provides it."""
        reader = filter_("double", rule("rapl.value", 'gives = { name = "${metric}.twice" }'))
        assert ordered(run("probe double sink", PROBE, source("rapl"), reader, SINK)) == [
            "probe", "rapl", "double", "sink",
        ]  # fmt: skip

    @pytest.mark.parametrize("name", ["${metric}", "${metric}.x", "rapl.value"])
    def test_a_reader_is_not_its_own_provider(self, name: str) -> None:
        """Also not if it changes the metric in place."""
        reader = filter_("double", rule("rapl.value", f'gives = {{ name = "{name}" }}\nkeeps = false'))
        assert ordered(run("probe double sink", PROBE, source("rapl"), reader, SINK))[1] == "rapl"

    def test_a_metric_that_nothing_provides(self) -> None:
        """It is said like any other need."""
        reader = filter_("double", rule("hw.energy", 'gives = { name = "${metric}.twice" }'))
        document = one(run("probe double sink", PROBE, reader, SINK), "E-NEED-UNMET")
        assert "the metric `hw.energy`" in document["message"]
        assert document["spans"][1]["file"] == "double/contract.toml"

    def test_the_label_of_a_metrics_provider_is_taken(self) -> None:
        """An asked instance is never replaced by a provider that is pulled in."""
        reader = filter_("double", rule("rapl.value", 'gives = { name = "${metric}.twice" }'))
        assert codes(run("probe#rapl double sink", PROBE, source("rapl"), reader, SINK)) == ["E-LABEL-CLASH"]

    def test_wildcards_pull_in_nothing(self) -> None:
        """A rule on many metrics takes what is there."""
        assert ordered(run("probe rate sink", PROBE, source("rapl"), filter_("rate", rule("rapl.*")), SINK)) == [
            "probe", "rate", "sink",
        ]  # fmt: skip


class TestRoles:
    """A backend has a source and an output."""

    @pytest.mark.parametrize(("words", "role"), [("sink", "source"), ("probe", "output")])
    def test_a_role_is_missing(self, words: str, role: str) -> None:
        """What is missing is named, with examples of the catalogue."""
        result = run(words, PROBE, SINK)
        document = shown(next(each for each in result.diagnostics if each.code == "E-ROLE-COUNT"))
        assert role in document["message"]
        assert f"`{'probe' if role == 'source' else 'sink'}`" in document["help"]

    def test_nothing_at_all(self) -> None:
        """An empty mount lacks both."""
        assert codes(run("", PROBE, SINK)) == ["E-ROLE-COUNT", "E-ROLE-COUNT"]

    def test_an_unknown_word_might_have_been_it(self) -> None:
        """One cause, one diagnostic."""
        assert codes(run("prob sink", PROBE, SINK)) == ["E-PLUGIN-UNKNOWN"]


def test_an_unrelated_contract_changes_nothing() -> None:
    """The catalogue may grow, and even break, beside what is used."""
    texts = (needing("a", "b"), source("b"), SINK)
    more = (head("z", "source"), filter_("y", rule("*")), source("x", metric("z.z")), "nonsense")
    assert run("a sink", *texts).require().to_bytes() == run("a sink", *more, *texts).require().to_bytes()
    assert catalogue(*texts, *more).names() == ("a", "b", "sink", "x", "y")
