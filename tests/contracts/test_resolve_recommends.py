"""Recommendations: taken where they do no harm, and never the reason why a mount fails."""

from typing import Any

import pytest

from meter.contracts.check import Checked
from meter.contracts.host import Recorded
from meter.contracts.resolution import trials
from tests.contracts.build import (
    RATE,
    at,
    codes,
    filter_,
    giving,
    metric,
    needing,
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

SINK = output()
PROBE = source()


def recommending(name: str, *names: str, more: str = "") -> str:
    """A source that recommends others."""
    table = ", ".join(f'"{each}" = "*"' for each in names)
    return source(name, more=f"recommends = {{ {table} }}\n{more}")


def clashing(name: str) -> str:
    """A source that gives a metric of `a` in another unit: only the whole check sees it."""
    return source(name, metric("a.value", unit="J"))


A = recommending("a", "b")


def dropped(result: Checked, reason: str) -> dict[str, Any]:
    """The only diagnostic, W-RECOMMEND-DROPPED with a reason, of a plan without `b`."""
    document = one(result, "W-RECOMMEND-DROPPED")
    assert reason in document["message"], document["message"]
    assert "b" not in ordered(result)
    [row] = result.require().document["left_out"]
    assert (row["instance"], row["because"]) == ("b", "recommended by `a` for `b`")
    assert reason in row["why"]
    return document


class TestTaken:
    """What does no harm is there."""

    def test_a_plugin(self) -> None:
        """With its reason."""
        result = run("a sink", A, source("b"), SINK)
        assert (ordered(result), codes(result)) == (["a", "b", "sink"], [])
        assert result.require().document["plugins"][1]["because"] == "recommended by `a` for `b`"

    def test_a_capability(self) -> None:
        """Labelled by it; the candidates that were not taken keep their reason."""
        texts = (recommending("a", "x"), giving("n", "x"), giving("o", "x", 'status = ["tested"]'), SINK)
        result = run("a sink", *texts)
        assert ordered(result) == ["a", "x", "sink"]
        assert [each["plugin"] for each in result.require().document["rejected"]] == ["n"]

    def test_names_come_before_capabilities(self) -> None:
        """What a recommended plugin provides is met."""
        assert ordered(run("a sink", recommending("a", "v", "z"), giving("z", "v"), SINK)) == ["a", "z", "sink"]

    def test_needs_come_first(self) -> None:
        """And are met by what is needed, not by what is recommended."""
        texts = (recommending("a", "b", more='needs.capabilities = { c = "*" }\n'), source("b"), source("c"), SINK)
        assert ordered(run("a sink", *texts)) == ["a", "c", "b", "sink"]
        better = giving("b", "energy", 'status = ["default"]')
        need = recommending("a", "b", more='needs.capabilities = { energy = "*" }\nconflicts = { b = "*" }\n')
        assert ordered(run("a sink", need, better, giving("c", "energy"), SINK)) == ["a", "energy", "sink"]

    def test_what_it_needs_and_recommends_comes_too(self) -> None:
        """To the fixed point."""
        b = source("b", more='needs.capabilities = { c = "*" }\nrecommends = { d = "*" }\nalias = ["e"]\n')
        result = run("a sink", A, b, source("c"), source("d"), source("e"), SINK)
        assert sorted(ordered(result)) == ["a", "b", "c", "d", "e", "sink"]
        assert codes(result) == []

    def test_what_is_there(self) -> None:
        """Is not there twice, and may be of any version that is recommended."""
        assert ordered(run("a b#c sink", A, source("b"), SINK)) == ["a", "c", "sink"]

    def test_a_circle(self) -> None:
        """Two that recommend each other."""
        assert ordered(run("a sink", A, recommending("b", "a"), SINK)) == ["a", "b", "sink"]

    def test_switched_off(self) -> None:
        """Nothing is tried, and nothing is said."""
        result = run("a sink", A, source("b"), SINK, more="recommends = false")
        assert (ordered(result), codes(result)) == (["a", "sink"], [])
        assert codes(run("a sink", recommending("a", "zzz"), SINK, more="recommends = false")) == []

    def test_its_configuration(self) -> None:
        """May stand in the request."""
        b = source("b", more='config.depth = { type = "int" }')
        result = run("a sink", A, b, SINK, more="config.b.depth = 3")
        assert ordered(result) == ["a", "b", "sink"]

    def test_two_that_are_sound_only_together(self) -> None:
        """What one of them leaves open the other closes."""
        counter = source("b", metric("b.count", kind="counter"))
        reader = filter_("c", rule("*{kind=counter}", 'gives = { name = "${metric}.x", kind = "gauge" }'))
        more = 'config.sink.metrics = ["*{kind=gauge}"]'
        assert codes(run("a b sink", A, counter, SINK, more=more)) == ["E-FLOW-UNREAD"]
        result = run("a sink", recommending("a", "b", "c"), counter, reader, SINK, more=more)
        assert (ordered(result), codes(result)) == (["a", "b", "c", "sink"], [])


class TestMissing:
    """What nobody offers is said."""

    def test_nobody_offers_it(self) -> None:
        """At the clause."""
        text = recommending("a", "probf")
        document = one(run("a sink", text, PROBE, SINK), "W-RECOMMEND-MISSING")
        assert document["message"] == "`a` recommends `probf`, which no plugin offers"
        assert "did you mean `probe`?" in document["help"]
        assert pointed(document, "a sink") == '"a"'
        assert at(document, text, 1, "a/contract.toml") == '"probf"'

    def test_in_no_version_that_is_recommended(self) -> None:
        """The range is told."""
        text = source("a", more='recommends = { b = ">=2" }')
        document = one(run("a sink", text, source("b"), SINK), "W-RECOMMEND-MISSING")
        assert document["message"] == "`a` recommends `b` >=2, which no plugin offers"

    def test_two_recommend_it(self) -> None:
        """It is said once, of the first by name, wherever the two are asked."""
        texts = (recommending("a", "zzz"), recommending("c", "zzz"), SINK)
        for words in ("a c sink", "c a sink"):
            assert "`a` recommends" in one(run(words, *texts), "W-RECOMMEND-MISSING")["message"]

    def test_its_configuration_is_no_fault(self) -> None:
        """A mount does not fail because of what is recommended and not there."""
        more = 'config.zzz.depth = 3\norder = [["zzz", "a"]]\n'
        assert codes(run("a sink", recommending("a", "zzz"), SINK, more=more)) == ["W-RECOMMEND-MISSING"]

    def test_its_contract_is_broken(self) -> None:
        """Then that is the reason."""
        broken = source("b", metric("b", unit="joules"))
        dropped(run("a sink", A, broken, SINK), "joules")


class TestDropped:
    """What does harm is left out, with the reason."""

    def test_it_needs_what_is_not_there(self) -> None:
        """Nothing of it stays, not what it needs beside either."""
        b = needing("b", "c", "telepathy")
        document = dropped(run("a sink", A, b, source("c"), SINK), "`b` needs `telepathy`")
        assert pointed(document, "a sink") == '"a"'
        assert at(document, A, 1, "a/contract.toml") == '"b"'

    def test_it_conflicts(self) -> None:
        """With what is there, or what it needs does."""
        b = source("b", more='conflicts = { a = "*" }')
        dropped(run("a sink", A, b, SINK), "`b` conflicts with `a`")
        c = source("c", more='conflicts = { sink = "*" }')
        dropped(run("a sink", A, needing("b", "c"), c, SINK), "`c` conflicts with `sink`")

    def test_its_label_is_taken(self) -> None:
        """Of what it needs, too."""
        result = run("probe#b a sink", PROBE, A, source("b"), SINK)
        assert "the label `b`" in one(result, "W-RECOMMEND-DROPPED")["message"]
        assert ordered(result) == ["b", "a", "sink"]
        dropped(run("probe#c a sink", PROBE, A, needing("b", "c"), source("c"), SINK), "the label `c`")

    @pytest.mark.parametrize(
        ("need", "question"),
        [('needs.host = [{ readable = ["/x"] }]', ("readable", "/x")), ('needs.python = { x = "*" }', ("python", "x"))],
    )
    def test_the_host_cannot_carry_it(self, need: str, question: tuple[str, str]) -> None:
        """As for what is asked, but it is no error."""
        host = Recorded({question: f"{'missing' if question[0] == 'readable' else 'uninstalled'} {question[1]}"})
        dropped(run("a sink", A, source("b", more=need), SINK, host=host), "`b` cannot work on this host")

    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ('config.depth = { type = "int" }', "needs the option `depth`"),
            ("config_for = { a = { depth = 3 } }", "has no option `depth`"),
            ('config_for = { a = { interval = "3s" } }', "`b` demands"),
            ('alias = ["zzz"]', "`b` needs `zzz`"),
        ],
    )
    def test_its_configuration_does_not_work(self, more: str, reason: str) -> None:
        """Nor what it would hand to others."""
        reason = "has no such option" if "no option" in reason else reason
        result = run("a sink", A, source("b", more=more), SINK, more='config.a.interval = "2s"')
        dropped(result, reason)

    def test_it_makes_a_circle(self) -> None:
        """Order is a matter of the whole check."""
        a, c = (
            filter_(name, more=f'ordering.before = ["{then}"]\n{more}')
            for name, then, more in (("a", "b", 'recommends = { b = "*" }\n'), ("c", "a", ""))
        )
        b = filter_("b", more='ordering.before = ["c"]')
        dropped(run("probe a c sink", PROBE, a, b, c, SINK), "wait for each other")

    def test_its_metrics_clash(self) -> None:
        """So is the flow."""
        dropped(run("a sink", A, source("b", metric("a.value", unit="J")), SINK), "`a.value` is given by")

    def test_nobody_reads_it(self) -> None:
        """A metric of it that ends nowhere."""
        result = run("a sink", A, source("b"), SINK, more='config.sink.metrics = ["a.*"]')
        dropped(result, "`b.value` of `b`")

    def test_an_output_that_cannot_take_what_is_there(self) -> None:
        """Whatever its contract demands."""
        b = output("b", rule("*", 'kind = ["counter"]'))
        dropped(run("a sink", A, b, SINK), "cannot take")

    def test_an_output_that_promises_too_little(self) -> None:
        """What the request demands of every output."""
        strong = output(more='durability = "process"\n')
        dropped(run("a sink", A, output("b"), strong, more='durability = "process"'), "promises `volatile`")

    def test_numbers_would_depend_on_the_order_asked(self) -> None:
        """What was certain stays certain."""
        change = 'keeps = false\ngives = { name = "${metric}" }'
        a = filter_("a", rule("*", change), more='recommends = { b = "*" }\n')
        result = run("probe a sink", PROBE, a, filter_("b", rule("*", change)), SINK)
        assert "`a` and `b`" in one(result, "W-RECOMMEND-DROPPED")["message"]

    def test_each_for_itself(self) -> None:
        """One of many that does harm leaves the others alone, wherever it stands among them."""
        names = [f"b{number}" for number in range(9)]
        for bad in names:
            texts = [clashing(name) if name == bad else source(name) for name in names]
            result = run("a sink", recommending("a", *names), *texts, SINK)
            assert set(ordered(result)) == {"a", "sink", *names} - {bad}
            assert f"recommends `{bad}`" in one(result, "W-RECOMMEND-DROPPED")["message"]

    def test_what_it_recommends_goes_with_it(self) -> None:
        """Nobody else recommends it then."""
        b = source("b", metric("a.value", unit="J"), more='recommends = { c = "*" }\n')
        result = run("a sink", A, b, source("c"), SINK)
        assert ordered(result) == ["a", "sink"]
        assert codes(result) == ["W-RECOMMEND-DROPPED"]

    def test_who_recommends_it_was_recommended(self) -> None:
        """The chain is told."""
        result = run("a sink", A, recommending("b", "zzz"), SINK)
        assert one(result, "W-RECOMMEND-MISSING")["notes"] == ["because asked -> a -> b"]

    def test_what_is_optional_and_left_out(self) -> None:
        """Was said already."""
        b = source("b", more='needs.host = [{ readable = ["/x"] }]')
        host = Recorded({("readable", "/x"): "missing /x"})
        result = run("a sink", A, b, SINK, more='optional = ["b"]', host=host)
        assert codes(result) == ["W-HOST-DEGRADED"]

    def test_what_would_take_too_long_is_not_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The work is bounded; the backend is sound in any case."""
        names = [f"b{number}" for number in range(8)]
        texts = [clashing(name) if name in ("b3", "b6") else source(name) for name in names]
        monkeypatch.setattr(trials, "WORK", 1)
        result = run("a sink", recommending("a", *names), *texts, SINK)
        assert result.plan is not None
        assert any("too many" in text for text in said(result))
        for diagnostic in result.diagnostics:
            assert shown(diagnostic)["code"] == "W-RECOMMEND-DROPPED"


class TestBase:
    """A backend that is not sound without recommendations is not sound."""

    def test_they_mend_nothing(self) -> None:
        """What is wrong is wrong without them, too, and they are not tried."""
        result = run("a", recommending("a", "sink", "zzz"), SINK)
        assert codes(result) == ["E-ROLE-COUNT"]

    def test_a_flow_that_they_would_mend(self) -> None:
        """Neither does a reader of a metric that nobody reads."""
        metrics = (metric("a.count", kind="delta"), metric("a.other"))
        counter = source("a", *metrics, more='recommends = { rate = "*" }\n')
        more = 'config.sink.metrics = ["*{kind=gauge}"]'
        assert codes(run("a rate sink", counter, RATE, SINK, more=more)) == []
        assert codes(run("a sink", counter, RATE, SINK, more=more)) == ["E-FLOW-UNREAD"]

    def test_its_own_configuration_clash(self) -> None:
        """A table for an instance that nobody could have meant is an error still."""
        assert codes(run("a sink", A, source("b"), SINK, more="config.zzz.depth = 3")) == ["E-CONFIG-CLASH"]
