"""Sources of other hosts: their metrics are those that a sender's output sends, by its plan file."""

from __future__ import annotations

from typing import Any

import pytest

from meter.contracts.check import Checked
from meter.contracts.host import Recorded
from meter.contracts.plan import Plan
from meter.contracts.sent import Sent, chosen, outputs, sent
from meter.contracts.variants import Variant
from tests.contracts.build import (
    SELECT,
    codes,
    faults,
    head,
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
)  # fmt: skip

PARTS = (
    'resource = ["cpu_package"]\nattributes = { domain = ["package", "core"] }\n'
    'parts = { domain = { core = "package" } }\nquality = "estimated"\n'
)
SENDER = source(
    "rapl",
    metric("hw.energy", kind="delta", unit="J", more=PARTS),
    metric("hw.power", unit="W", more='interval = "10s"\n'),
    metric("hw.other"),
)
OPTIONS = (
    '[config.schema]\ntype = "schema"\ndefault = "sender.lock"\n'
    '[config.hosts]\ntype = "list<str>"\ndefault = []\n'
)  # fmt: skip


def receiver(name: str = "remote", more: str = "", beside: str = "") -> str:
    """A source of another host."""
    table = f'[[provides.metrics]]\nschema = "${{config.schema}}"\n{more}\n{beside}\n'
    return head(name, "source") + table + OPTIONS


def plan(*texts: str, plugins: str = "rapl sink", more: str = "") -> Plan:
    """The plan of a sender."""
    return run(plugins, *(texts or (SENDER, output())), more=more).require()


def host(**sends: Sent) -> Recorded:
    """A host with plan files of senders."""
    known = {f"{name}.lock": each for name, each in sends.items()}
    return Recorded({("schema", name): f"digest {each.digest}" for name, each in known.items()}, known)


def emits(result: Checked, label: str = "remote") -> list[Variant]:
    """What an instance gives."""
    assert result.plan is not None, said(result)
    entry = next(each for each in result.plan.document["plugins"] if each["instance"] == label)
    return [Variant.from_json(each) for each in entry["emits"]]


def sends(*texts: str, label: str = "sink", **more: Any) -> Sent:
    """What an output of a plan sends."""
    return sent(plan(*texts, **more).document, label)


class TestReceived:
    """The series are those of the sender, each with the name of its host."""

    def test_all_is_kept(self) -> None:
        """Type, unit, kind, kinds of resource, attributes, parts, quality and interval."""
        [energy, other, power] = emits(run("remote sink", receiver(), output(), host=host(sender=sends())))
        assert (energy.metric, energy.unit, energy.kind, energy.quality) == ("hw.energy", "J", "delta", "estimated")
        assert energy.resource == {"cpu_package"}
        assert energy.attributes == (("domain", frozenset({"core", "package"})), ("host.name", None))
        assert energy.parts == (("domain", (("core", "package"),)),)
        assert (energy.origin, set(energy.via), energy.interval) == ("remote", {"remote"}, 10**9)
        assert (power.interval, power.attributes) == (10**10, (("host.name", None),))
        assert other.metric == "hw.other"

    def test_only_what_the_output_gets(self) -> None:
        """What its rules select, in the units that they demand, without what it drops."""
        texts = (
            SENDER,
            output("sink", rule("hw.power", 'unit = "kW"'), rule("hw.energy{domain=package}", 'drop = ["domain"]')),
            SELECT,
        )
        sender = sends(*texts, plugins="rapl select sink", more='config.select.drop = ["hw.other"]\n')
        [energy, power] = emits(run("remote sink", receiver(), output(), host=host(sender=sender)))
        assert (power.metric, power.unit) == ("hw.power", "kW")
        assert energy.attributes == (("host.name", None),)

    def test_what_a_filter_makes(self) -> None:
        """The metrics at the output, not those of the sources."""
        text = head("half", "filter") + rule("hw.power", 'keeps = false\ngives = { name = "${metric}.half" }')
        sender = sends(SENDER, text, output(), plugins="rapl half sink")
        names = [each.metric for each in emits(run("remote sink", receiver(), output(), host=host(sender=sender)))]
        assert names == ["hw.energy", "hw.other", "hw.power.half"]

    def test_attributes_are_added(self) -> None:
        """A list, an option or any text; the name of the host is one of them."""
        more = 'attributes = { "host.name" = "${config.hosts}", site = ["lab"] }\n'
        result = run(
            "remote sink",
            receiver(more=more),
            output(),
            more='config.remote.hosts = ["a"]\n',
            host=host(sender=sends()),
        )
        assert dict(emits(result)[1].attributes) == {"host.name": frozenset({"a"}), "site": frozenset({"lab"})}

    def test_an_attribute_that_is_there(self) -> None:
        """A series has each attribute once; the host's name of a relayed one stays."""
        more = 'attributes = { domain = ["all"] }\n'
        document = one(run("remote sink", receiver(more=more), output(), host=host(sender=sends())), "E-FLOW-IDENTITY")
        assert document["message"] == "`remote` cannot give `hw.energy` the attribute `domain`: it has one"
        relayed = source("far", metric("far.x", more='attributes = { "host.name" = ["b"] }\n'))
        sender = sends(relayed, output(), plugins="far sink")
        [variant] = emits(run("remote sink", receiver(), output(), host=host(sender=sender)))
        assert variant.attributes == (("host.name", frozenset({"b"})),)

    def test_quality_interval_and_additivity_of_the_table(self) -> None:
        """The quality is the worse of the two; what the table says of time and sums stands."""
        more = 'quality = "derived"\ninterval = "1min"\nadditive = true\n'
        [energy, other, _] = emits(run("remote sink", receiver(more=more), output(), host=host(sender=sends())))
        assert (energy.quality, other.quality) == ("estimated", "derived")
        assert (other.interval, other.additive) == (60 * 10**9, True)

    def test_a_guard(self) -> None:
        """Without the table nothing is received, and no file is looked for."""
        more = 'when = { interval = "5s" }\n'
        text = receiver(more=more, beside=metric("own.x"))
        assert [each.metric for each in emits(run("remote sink", text, output()))] == ["own.x"]

    def test_what_is_needed_of_the_host(self) -> None:
        """Where it does not hold nothing is received."""
        text = receiver(more='host = { readable = ["/x"] }\n', beside=metric("own.x"))
        facts = host(sender=sends())
        facts.facts = {**facts.facts, ("readable", "/x"): "missing /x"}
        result = run("remote sink", text, output(), host=facts)
        assert "W-HOST-DEGRADED" in codes(result)
        assert [each.metric for each in emits(result)] == ["own.x"]


class TestSeveral:
    """Two hosts never have the same series."""

    def both(self, more: str, config: str = "") -> Checked:
        """Two senders that send the same metrics."""
        facts = host(a=sends(), b=sends())
        config = 'config.one.schema = "a.lock"\nconfig.two.schema = "b.lock"\n' + config
        return run("remote#one remote#two sink", receiver(more=more), output(), more=config, host=facts)

    def test_they_clash(self) -> None:
        """As long as nothing says which host each of them is."""
        result = self.both("")
        assert set(codes(result)) == {"E-FLOW-CLASH"}
        assert "the same series twice" in shown(result.diagnostics[0])["message"]

    def test_names_of_hosts_tell_them_apart(self) -> None:
        """By their configuration."""
        more = 'attributes = { "host.name" = "${config.hosts}" }\n'
        assert codes(self.both(more, 'config.one.hosts = ["a"]\nconfig.two.hosts = ["b"]\n')) == []
        assert set(codes(self.both(more, 'config.one.hosts = ["a"]\nconfig.two.hosts = ["a"]\n'))) == {"E-FLOW-CLASH"}

    def test_this_host_is_another_one(self) -> None:
        """Its own series have no name of a host."""
        assert codes(run("rapl remote sink", SENDER, receiver(), output(), host=host(sender=sends()))) == []


class TestNeeds:
    """What is received meets needs of the chain."""

    def test_a_filter_reads_it(self) -> None:
        """A need of a metric brings in no other source."""
        text = head("half", "filter") + rule("hw.power", 'gives = { name = "${metric}.half" }')
        result = run("remote half sink", SENDER, receiver(), text, output(), host=host(sender=sends()))
        assert ordered(result) == ["remote", "half", "sink"]

    def test_what_is_not_sent(self) -> None:
        """It is said at the filter."""
        text = head("half", "filter") + rule("hw.powr", 'gives = { name = "${metric}.half" }')
        result = run("remote half sink", receiver(), text, output(), host=host(sender=sends()))
        assert "E-FLOW-EMPTY" in codes(result)


class TestFaults:
    """A plan file that does not say it is named, with what to write."""

    @pytest.mark.parametrize(
        ("answer", "why", "help_"),
        [
            ("missing /x/sender.lock", "`/x/sender.lock` does not exist", ""),
            ("no-plan /x/sender.lock", "`/x/sender.lock` is no plan file", "meter.lock of the sender"),
            ("no-output /x/sender.lock", "no backend with an output is mounted", "meter.lock of the sender"),
            ("several #/a#csv #/b#csv", "it has several outputs: `#/a#csv`, `#/b#csv`", "#/host#csv"),
            ("unknown-output #/a#cvs #/a#csv #/b#x", "it has no output `#/a#cvs`", "did you mean `#/a#csv`?"),
        ],
    )
    def test_answers(self, answer: str, why: str, help_: str) -> None:
        """At the option, or at the instance whose default it is."""
        facts = Recorded({("schema", "sender.lock"): answer})
        document = one(run("remote sink", receiver(), output(), host=facts), "E-FILE")
        assert document["message"].startswith(f"cannot tell from `sender.lock` what is received: {why}")
        assert help_ in document["help"]
        assert pointed(document, "remote sink") == '"remote"'
        more = 'config.remote.schema = "sender.lock"\n'
        document = one(run("remote sink", receiver(), output(), more=more, host=facts), "E-FILE")
        assert pointed(document, "remote sink", more) == '"sender.lock"'

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "rate"},
            {"type": "f32"},
            {"unit": "joules"},
            {"resource": ["moon"]},
            {"quality": "good"},
            {"metric": None},
        ],
    )
    def test_words_of_another_version(self, change: dict[str, Any]) -> None:
        """What this meter does not know is refused as a whole."""
        whole = sends()
        broken = whole._replace(rows=[*whole.rows, {**whole.rows[0], **change}])
        if change == {"metric": None}:
            broken = whole._replace(rules=[{"select": 3}])
        document = one(run("remote sink", receiver(), output(), host=host(sender=broken)), "E-FILE")
        assert "is no plan file of a meter of this version" in document["message"]

    @pytest.mark.parametrize(
        "clause",
        [
            'name = "x"',
            'type = "f64"',
            'unit = "1"',
            'kind = "gauge"',
            'resource = ["machine"]',
            'consumer = ["machine"]',
            'parts = { domain = { core = "package" } }',
        ],
    )
    def test_what_the_sender_says_stands_not_in_the_contract(self, clause: str) -> None:
        """It would be said twice."""
        found = [each for each in faults(receiver(more=clause)) if each.code == "E-CLAUSE-UNKNOWN"]
        [diagnostic] = found
        document = shown(diagnostic)
        assert document["message"].endswith(f"`provides.metrics.{clause.partition(' ')[0]}` and `schema` in one table")


class TestSent:
    """Which output of a plan file is meant."""

    def mounts(self) -> dict[str, Any]:
        """A plan file with two mounts, one of which has two outputs."""
        two = plan(SENDER, output("sink"), output("other"), plugins="rapl sink other").document
        return {"/a": {"plan": plan().document}, "/b": {"plan": two}}

    def test_outputs(self) -> None:
        """By mountpoint and label."""
        assert list(outputs(self.mounts())) == ["/a#sink", "/b#other", "/b#sink"]

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ("", ["/a#sink", "/b#other", "/b#sink"]),
            ("/a", ["/a#sink"]),
            ("/b", ["/b#other", "/b#sink"]),
            ("/b#sink", ["/b#sink"]),
            ("/c", []),
            ("/a#other", []),
        ],
    )
    def test_chosen(self, wanted: str, found: list[str]) -> None:
        """A mountpoint is enough where it has one output."""
        assert chosen(outputs(self.mounts()), wanted) == found

    def test_digest(self) -> None:
        """It changes with what is sent, and not with how the chain is made."""
        same = sends(SENDER, output(), head("idle", "filter") + rule("none.*"), plugins="rapl idle sink")
        assert same.digest == sends().digest
        texts = (SENDER, output(), SELECT)
        less = sends(*texts, plugins="rapl select sink", more='config.select.drop = ["hw.other"]\n')
        assert less.digest != same.digest
        assert sends(SENDER, output("sink", rule("*{kind=gauge}"), rule("*"))).digest != same.digest
