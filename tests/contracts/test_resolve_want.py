"""Metrics that a request wants by name."""

import pytest

from meter.contracts.host import Recorded
from tests.contracts.build import (
    SELECT,
    at,
    codes,
    filter_,
    metric,
    one,
    ordered,
    output,
    pointed,
    rule,
    run,
    said,
    source,
)

SINK = output()
RAPL = source("rapl", metric("hw.energy"))
WANT = 'want = ["hw.energy"]\n'


def test_a_plugin_is_found() -> None:
    """It has its own name, and says what it is there for."""
    result = run("sink", RAPL, SINK, more=WANT)
    assert ordered(result) == ["rapl", "sink"]
    assert codes(result) == []
    assert result.require().document["plugins"][0]["because"] == "wanted for `hw.energy`"


def test_what_is_there_gives_it() -> None:
    """A plugin that was asked, or a filter that can make the name."""
    tdp = source("tdp", metric("hw.energy"))
    assert ordered(run("tdp sink", tdp, RAPL, SINK, more=WANT)) == ["tdp", "sink"]
    rate = filter_("rate", rule("*", 'gives = { name = "${metric}.rate", unit = "${unit}/s" }'))
    texts = (source(), rate, source("other", metric("probe.value.rate")), SINK)
    assert ordered(run("probe rate sink", *texts, more='want = ["probe.value.rate"]')) == ["probe", "rate", "sink"]


def test_the_best_is_taken() -> None:
    """By preference, host, status, version and name, as for a capability; the others keep their reason."""
    texts = (
        source("a", metric("hw.energy"), more='status = ["tested"]\n'),
        source("b", metric("hw.energy"), more='status = ["default"]\nneeds.host = [{ readable = ["/x"] }]\n'),
        source("c", metric("hw.energy")),
        SINK,
    )
    result = run("sink", *texts, more=WANT, host=Recorded({("readable", "/x"): "missing /x"}))
    assert ordered(result) == ["a", "sink"]
    rejected = {each["plugin"]: each["why"] for each in result.require().document["rejected"]}
    assert rejected["c"] == "its status counts 0, that of `a` 500"
    assert "/x" in rejected["b"]
    assert ordered(run("sink", *texts, more=WANT + 'prefer = ["c"]')) == ["c", "sink"]


def test_a_host_that_denies_the_metric() -> None:
    """Another provider is taken than the one that gives all but this metric here."""
    denied = 'host = { readable = ["/x"] }'
    texts = (source("a", metric("a.a"), metric("hw.energy", more=denied), more='status = ["default"]\n'), RAPL, SINK)
    host = Recorded({("readable", "/x"): "missing /x"})
    assert ordered(run("sink", *texts, more=WANT, host=host)) == ["rapl", "sink"]
    assert ordered(run("a sink", *texts, more=WANT, host=host)) == ["a", "rapl", "sink"]


def test_a_tie_and_an_estimate_are_said() -> None:
    """At the word that wants it."""
    model = 'quality = "estimated"'
    texts = (source("a", metric("hw.energy", more=model)), source("b", metric("hw.energy", more=model)), SINK)
    result = run("sink", *texts, more=WANT)
    assert codes(result) == ["W-PROVIDER-TIE", "W-QUALITY-ESTIMATED"]
    for diagnostic in result.diagnostics:
        assert pointed(diagnostic.to_json(), "sink", WANT) == '"hw.energy"'


def test_what_it_needs_comes_with_it() -> None:
    """And where that is not to be had, the chain begins with the wish."""
    rapl = source("rapl", metric("hw.energy"), more='needs.capabilities = { powercap = "*" }\n')
    assert ordered(run("sink", rapl, source("powercap"), SINK, more=WANT)) == ["rapl", "powercap", "sink"]
    document = one(run("sink", rapl, SINK, more=WANT), "E-NEED-UNMET")
    assert document["notes"] == ["because wanted -> hw.energy -> rapl -> powercap"]
    assert pointed(document, "sink", WANT) == '"hw.energy"'


def test_nobody_gives_it() -> None:
    """A near name of a metric is offered, and not that of a plugin."""
    more = 'want = ["hw.enrgy"]\n'
    document = one(run("rapl sink", RAPL, source("hw"), SINK, more=more), "E-NEED-UNMET")
    assert document["message"] == "the metric `hw.enrgy` is wanted in `/host`, and no plugin gives it"
    assert "did you mean `hw.energy`?" in document["help"]
    assert pointed(document, "rapl sink", more) == '"hw.enrgy"'


def test_its_label_is_taken() -> None:
    """What was asked is never replaced."""
    more = WANT + "config.x = {}"
    assert codes(run("probe#rapl sink", source(), RAPL, SINK, more=WANT)) == ["E-LABEL-CLASH"], more


def test_wanted_twice() -> None:
    """Is wanted once."""
    assert ordered(run("sink", RAPL, SINK, more='want = ["hw.energy", "hw.energy"]')) == ["rapl", "sink"]


def test_two_metrics_of_one_plugin() -> None:
    """The first one brings it."""
    both = source("rapl", metric("hw.energy"), metric("hw.power"))
    assert ordered(run("sink", both, SINK, more='want = ["hw.power", "hw.energy"]')) == ["rapl", "sink"]


READER = filter_("double", rule("hw.energy", 'gives = { name = "${metric}.twice" }'))


class TestAtTheOutputs:
    """A metric that is wanted has to get somewhere."""

    def test_no_output_selects_it(self) -> None:
        """The selection of each output is shown."""
        more = WANT + 'config.sink.metrics = ["*.twice"]\n'
        document = one(run("double sink", READER, RAPL, SINK, more=more), "E-FLOW-EMPTY")
        assert document["message"] == "`hw.energy` is wanted, and no output gets it: `sink` select others"
        assert pointed(document, "double sink", more) == '"hw.energy"'
        assert pointed(document, "double sink", more, place=1) == '["*.twice"]'

    def test_a_filter_drops_it(self) -> None:
        """It is named."""
        more = WANT + 'config.select.drop = ["hw.energy"]\n'
        document = one(run("double select sink", READER, RAPL, SELECT, SINK, more=more), "E-FLOW-EMPTY")
        assert "`select` drops it" in document["message"]
        assert pointed(document, "double select sink", more, place=1) == '"select"'

    def test_nothing_gives_it_now(self) -> None:
        """Who could is named."""
        option = 'config.dram = { type = "bool", default = false }\n'
        rapl = source("rapl", metric("rapl.v"), metric("hw.energy", more="when = { dram = true }"), more=option)
        document = one(run("sink", rapl, SINK, more=WANT), "E-FLOW-EMPTY")
        assert document["help"] == "`rapl` can give it with other options"
        assert ordered(run("sink", rapl, SINK, more=WANT + "config.rapl.dram = true")) == ["rapl", "sink"]

    def test_one_cause_one_diagnostic(self) -> None:
        """A metric that reaches nobody at all is said by its giver."""
        result = run("probe sink", source(), RAPL, SINK, more=WANT + 'config.sink.metrics = ["probe.*"]\n')
        assert codes(result) == ["E-FLOW-UNREAD"], said(result)

    def test_one_output_is_enough(self) -> None:
        """Another may select other metrics."""
        more = WANT + 'config.b.metrics = ["probe.*"]\n'
        assert codes(run("probe sink sink#b", source(), RAPL, SINK, more=more)) == []


@pytest.mark.parametrize("text", ["*", "hw.energy{domain=package}", "", "!hw.energy"])
def test_what_is_no_name(text: str) -> None:
    """Only whole names can be wanted."""
    from tests.contracts.build import requests  # the helper for sound requests refuses it

    mount = f'[mounts."/host"]\nplugins = ["sink"]\nwant = ["{text}"]\n'
    found, [fault] = requests(mount)
    assert (found, fault.code) == ({}, "E-NAME")
    assert at(fault.to_json(), mount) == f'"{text}"'
