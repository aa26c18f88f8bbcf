"""One cause, one diagnostic: what follows from a fault that is said is not said besides."""

from __future__ import annotations

from meter.contracts.editing.edits import applied
from meter.contracts.findings import SHOWN
from tests.contracts.build import (
    SELECT,
    at,
    codes,
    faults,
    filter_,
    giving,
    metric,
    needing,
    output,
    rule,
    run,
    shown,
    source,
)

ENERGY = source("hw", metric("hw.energy", kind="delta", unit="J"))
POWER = source("hw", metric("hw.energy", kind="delta", unit="J"), metric("hw.power", unit="W"))
PER_SECOND = filter_(
    "rate",
    rule("${config.metrics}", 'gives = { name = "${metric}.rate", kind = "gauge", unit = "${unit}/s" }'),
    more='[config.metrics]\ntype = "list<metric>"\n',
)
OBLIGATORY = '[config.unit]\ntype = "unit"\n'


class TestOptions:
    """Names that are mistyped."""

    PLUGIN = source("probe", metric("a"), more=OBLIGATORY)

    def test_a_misspelt_option_is_not_missing_besides(self) -> None:
        """It can only have been meant."""
        assert codes(run("probe sink", self.PLUGIN, output(), more='config.probe.uni = "J"')) == ["E-CONFIG-UNKNOWN"]

    def test_what_stands_in_the_table_of_a_stranger_is_not_missing_besides(self) -> None:
        """An instance without a table may well be the one that was meant."""
        assert codes(run("probe sink", self.PLUGIN, output(), more='config.p.unit = "J"')) == ["E-CONFIG-CLASH"]

    def test_another_option_is_missing_all_the_same(self) -> None:
        """Nothing that stands in the mount can be it."""
        more = OBLIGATORY + '[config.place]\ntype = "str"\n'
        found = run("probe sink", source("probe", metric("a"), more=more), output(), more='config.p.unit = "J"')

        assert sorted(codes(found)) == ["E-CONFIG-CLASH", "E-CONFIG-MISSING"]

    def test_an_option_that_may_have_been_meant_is_not_missing_besides(self) -> None:
        """Where two are equally near, the help names both."""
        more = '[config.unit]\ntype = "unit"\n[config.uni]\ntype = "unit"\n'
        found = run("probe sink", source("probe", metric("a"), more=more), output(), more='config.probe.unix = "J"')

        assert codes(found) == ["E-CONFIG-UNKNOWN"]


class TestClauses:
    """Clauses of a contract."""

    def test_a_clause_that_may_have_been_meant_is_not_missing_besides(self) -> None:
        """`namex` can be `name` or `names`."""
        said = faults(output().replace("name = ", "namex = ", 1))

        assert [each.code for each in said] == ["E-CLAUSE-UNKNOWN"]

    def test_what_a_wrong_placement_lacks_is_not_missing_besides(self) -> None:
        """A filter that is called a source has rules, and no metrics of its own."""
        said = faults(filter_("probe", rule("*"), placement="source"))

        assert [each.code for each in said] == ["E-CLAUSE-UNKNOWN"]

    def test_a_source_without_metrics_lacks_them(self) -> None:
        """Where nothing says that it is none."""
        assert [each.code for each in faults(filter_("probe", placement="source"))] == ["E-CLAUSE-MISSING"]

    def test_what_recovers_names_nothing_where_there_is_nothing(self) -> None:
        """That there is no output is the cause; which one is meant cannot be said."""
        sink = output().replace('placement = "output"', 'placement = "recover"')

        assert codes(run("hw sink", ENERGY, sink)) == ["E-ROLE-COUNT"]


class TestSeveralPlaces:
    """One fault that shows in several places of a contract."""

    RULES = "".join(rule(f"m{nth}", 'unit = "${config.unit}"') for nth in range(3))

    def test_an_option_that_there_is_not_is_said_once(self) -> None:
        """With every place, and mended in all of them."""
        text = filter_(
            "p",
            self.RULES.replace("config.unit", "config.unti"),
            rule("m3", 'unit = "${config.unit}"'),
            more='[config.unit]\ntype = "unit"\n',
        )
        (fault,) = faults(text)

        assert [at(shown(fault), text, nth, "contract.toml") for nth in range(3)] == ["unti"] * 3
        assert fault.edit is not None
        assert applied(text, fault.edit.changes) == text.replace("unti", "unit")

    def test_a_misspelt_declaration_is_what_is_mended(self) -> None:
        """Where nobody names it and several name what it was meant to be."""
        text = filter_("p", self.RULES, more='[config.unti]\ntype = "unit"\n')
        (fault,) = faults(text)

        assert fault.edit is not None
        assert applied(text, fault.edit.changes) == text.replace("unti", "unit")

    def test_a_clause_in_several_tables_is_said_once(self) -> None:
        """A misspelt one is mended in all of them."""
        text = filter_("p", "".join(rule(f"m{nth}", "keps = false") for nth in range(3)))
        (fault,) = faults(text)

        assert len(fault.spans) == 3
        assert fault.edit is not None
        assert applied(text, fault.edit.changes) == text.replace("keps", "keeps")

    def test_very_many_places_are_not_all_told(self) -> None:
        """After so many of them the rest is not looked at, and that is said."""
        text = filter_("p", "".join(rule(f"m{nth}", "keps = false") for nth in range(300)))
        said = faults(text)

        assert [each.code for each in said] == ["E-CLAUSE-UNKNOWN", "E-FILE"]
        assert len(said[0].spans) == SHOWN


class TestNeeds:
    """What a plugin that cannot be had would have provided."""

    USER = needing("user", "spans")
    BROKEN = giving("feed", "spans").replace('summary = "s"', "summary = 7")

    def test_a_need_that_a_broken_contract_may_meet_is_not_said(self) -> None:
        """Only the broken one is."""
        assert giving("feed", "spans") != self.BROKEN
        found = run("hw user feed sink", ENERGY, self.USER, self.BROKEN, output())

        assert codes(found) == ["E-CLAUSE-TYPE"]

    def test_a_need_that_a_misspelt_plugin_meets_is_not_said(self) -> None:
        """Only the name is."""
        found = run("hw user feeds sink", ENERGY, self.USER, giving("feed", "spans"), output())

        assert "E-NEED-UNMET" not in codes(found)

    def test_a_need_that_nothing_meets_is_said(self) -> None:
        """Where nothing else is wrong."""
        assert codes(run("hw user sink", ENERGY, self.USER, output())) == ["E-NEED-UNMET"]


class TestSelectors:
    """What a selector that means nothing would have taken, or its rule given."""

    def test_what_it_would_have_given_is_not_missed_besides(self) -> None:
        """Neither right behind it nor further on."""
        more = 'config.rate.metrics = ["hw.energi"]\nconfig.select.drop = ["hw.energy.rate"]'
        found = run("hw rate select sink", ENERGY, PER_SECOND, SELECT, output(), more=more)

        assert codes(found) == ["E-FLOW-EMPTY"]

    def test_what_it_would_have_taken_away_is_not_refused_behind_it(self) -> None:
        """The output cannot take a delta, which `select` was to drop."""
        gauges = output("gauges", rule("*", 'kind = ["gauge"]'))
        more = 'config.select.drop = ["hw.energi"]'
        found = run("hw select gauges", POWER, SELECT, gauges, more=more)

        assert codes(found) == ["E-FLOW-EMPTY"]

    def test_what_has_another_cause_is_said(self) -> None:
        """Both selectors are wrong in their own way."""
        more = 'config.rate.metrics = ["hw.energi"]\nconfig.select.drop = ["nothing.like.it"]'
        found = run("hw rate select sink", ENERGY, PER_SECOND, SELECT, output(), more=more)

        assert codes(found) == ["E-FLOW-EMPTY", "E-FLOW-EMPTY"]

    def test_what_a_mistyped_exception_leaves_out_explains_nothing(self) -> None:
        """An item with `!` gives nothing, and an instance never reads what it gives itself."""
        exception = 'config.rate.metrics = ["*", "!hw.energi"]\nconfig.select.drop = ["hw.energi.rate"]'
        itself = 'config.rate.metrics = ["hw.energi", "hw.energi.rate"]\nconfig.select.drop = ["hw.energy"]'
        for more in (exception, itself):
            found = run("hw rate select sink", ENERGY, PER_SECOND, SELECT, output(), more=more)
            assert codes(found) == ["E-FLOW-EMPTY", "E-FLOW-EMPTY"]

    def test_two_that_wait_for_each_other_are_both_said(self) -> None:
        """Neither explains the other, and silence would be no answer."""
        one = filter_("one", rule("b.value", 'gives = { name = "a.value" }'))
        two = filter_("two", rule("a.value", 'gives = { name = "b.value" }'))
        found = run("hw one two sink", ENERGY, one, two, output())

        assert codes(found)
        assert found.plan is None
