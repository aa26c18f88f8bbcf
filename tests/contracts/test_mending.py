"""Mending: with its edit made, what a diagnostic said is mended, all else is as it was, and nothing is guessed."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from meter.contracts.check import Checked, check
from meter.contracts.command_line import from_words
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.editing.edits import applied
from meter.contracts.host import Assumed, Recorded
from tests.contracts.build import (
    FILE,
    catalogue,
    codes,
    filter_,
    giving,
    head,
    metric,
    needing,
    output,
    requests,
    rule,
    said,
    source,
)

ACCUMULATE = (
    head("accumulate", "filter") + '[config]\nmetrics = { type = "list<metric>", default = ["*{kind=delta}"] }\n'
    'keep = { type = "bool", default = true }\n[[needs.metrics]]\nmetric = "${config.metrics}"\nkind = ["delta"]\n'
    'keeps = "${config.keep}"\ngives = { name = "${metric}.total", kind = "counter" }\n'
)
SUBTRACT = (
    head("subtract", "filter") + '[config]\nmetrics = { type = "list<metric>" }\n[[needs.metrics]]\n'
    'metric = "${config.metrics}"\nkind = ["counter"]\ngives = { name = "${metric}.delta", kind = "delta" }\n'
)
RATE = (
    head("rate", "filter") + '[config]\nmetrics = { type = "list<metric>" }\n[[needs.metrics]]\n'
    'metric = "${config.metrics}"\nkind = ["delta", "counter"]\n'
    'gives = { name = "${metric}.rate", type = "f64", unit = "${unit}/s", kind = "gauge" }\n'
)
CONVERT = (
    head("convert", "filter") + '[config]\nmetrics = { type = "list<metric>" }\nunit = { type = "unit" }\n'
    'name = { type = "str", default = "${metric}.converted" }\n[[needs.metrics]]\nmetric = "${config.metrics}"\n'
    'unit = "${config.unit}"\ngives = { name = "${config.name}", type = "f64", unit = "${config.unit}" }\n'
)
PROBE = source("probe", metric("p.energy", kind="delta", unit="J"), metric("p.level"))
TAKES = '[config]\nmetrics = { type = "list<metric>", default = ["*"] }\n'
COUNTS = output("counts", rule("${config.metrics}", 'kind = ["gauge", "counter"]'), more=TAKES)
CSV = output("csv")
FILTERS = (ACCUMULATE, SUBTRACT, RATE, CONVERT)


def checked(text: str, contracts: tuple[str, ...]) -> Checked:
    """The only mount of a text, checked."""
    found, diagnostics = requests(text)
    assert not diagnostics, [each.message for each in diagnostics]
    (request,) = found.values()
    return check(request, catalogue(*contracts), Assumed())


def one(text: str, code: str, *contracts: str) -> Diagnostic:
    """The first diagnostic of a code."""
    result = checked(text, contracts)
    return next(each for each in result.diagnostics if each.code == code)


def mended(text: str, code: str, *contracts: str) -> str:
    """The text with the edit of a diagnostic made; the code is not said again."""
    edit = one(text, code, *contracts).edit
    assert edit is not None
    assert {change.file for change in edit.changes} == {FILE}
    new = applied(text, edit.changes)
    again = checked(new, contracts)
    assert code not in codes(again), (new, said(again))
    assert again.plan is not None, (new, said(again))
    return new


def mounted(text: str) -> dict[str, Any]:
    """The table of the only mount."""
    (body,) = tomllib.loads(text)["mounts"].values()
    assert isinstance(body, dict)
    return body


def mount(plugins: str, more: str = "") -> str:
    """A mount file with a comment in each place that has one."""
    words = ", ".join(f'"{word}"' for word in plugins.split())
    return f'# one\n[mounts."/host"] # two\nplugins = [{words}] # three\n{more}'


class TestFilter:
    """A filter that makes of a metric what is wanted."""

    def test_a_delta_for_an_output_of_counters(self) -> None:
        """The filter stands before the output, takes what was wrong, and the output selects what it can take."""
        text = mount("probe csv counts") + '\n# four\n[mounts."/host".config.csv]\nmetrics = ["*"]\n# five\n'
        new = mended(text, "E-FLOW-KIND", PROBE, CSV, COUNTS, *FILTERS)
        assert new == (
            mount("probe csv accumulate counts") + '\n# four\n[mounts."/host".config.csv]\nmetrics = ["*"]\n'
            '\n[mounts."/host".config.accumulate]\nmetrics = ["p.energy"]\n'
            '\n[mounts."/host".config.counts]\nmetrics = ["*{kind=gauge|counter}"]\n# five\n'
        )

    @pytest.mark.parametrize(
        ("more", "new"),
        [
            ('config.counts.metrics = ["p.energy"]', 'config.counts.metrics = ["p.energy.total"]'),
            (
                "config.counts.metrics = ['p.*', 'p.level']",
                "config.counts.metrics = ['p.*{kind=gauge|counter}', 'p.level']",
            ),
            (
                'config = { counts = { metrics = ["p.energy{unit=J}"] } }',
                'counts = { metrics = ["p.energy.total{unit=J}"] }',
            ),
            ('[mounts."/host".config.counts]\nmetrics = ["!p.level"] # c', 'metrics = ["!p.energy", "!p.level"] # c'),
        ],
    )
    def test_a_selection_that_was_written(self, more: str, new: str) -> None:
        """A name becomes that of the new metric; a pattern takes what it can; a list of exclusions has one more."""
        text = mended(mount("probe csv counts", more + "\n"), "E-FLOW-KIND", PROBE, CSV, COUNTS, *FILTERS)
        assert new in text
        assert mounted(text)["plugins"] == ["probe", "csv", "accumulate", "counts"]

    def test_a_second_filter_has_a_label_of_its_own(self) -> None:
        """One that is there already keeps its options."""
        text = mount("probe csv accumulate counts", 'config.accumulate.metrics = ["!*"]\n')
        again = mended(text, "E-FLOW-KIND", PROBE, CSV, COUNTS, *FILTERS)
        assert mounted(again)["plugins"] == [
            *("probe", "csv", "accumulate", "accumulate#accumulate-counts", "counts"),
        ]
        assert mounted(again)["config"]["accumulate"] == {"metrics": ["!*"]}
        assert mounted(again)["config"]["counts"] == {"metrics": ["*{kind=gauge|counter}"]}

    def test_many_metrics_are_not_written_out(self) -> None:
        """What took them says what is meant."""
        many = source("probe", *(metric(f"p.m{nth}", kind="delta") for nth in range(9)), metric("p.level"))
        text = mended(
            mount("probe csv counts", 'config.counts.metrics = ["p.*"]\n'), "E-FLOW-KIND", many, CSV, COUNTS, *FILTERS
        )
        assert mounted(text)["config"]["counts"]["metrics"] == ["p.*{kind=gauge|counter}"]
        assert mounted(text)["config"]["accumulate"]["metrics"] == ["p.*{kind=delta}"]

    def test_a_counter_for_a_filter_of_deltas(self) -> None:
        """Filters of one placement are ordered by what they give and read."""
        sums = filter_(
            "sums", rule("${config.metrics}", 'kind = ["delta"]\ngives = { name = "${metric}.sum" }'), more=TAKES
        )
        counter = source("probe", metric("p.count", kind="counter"))
        text = mount("probe sums csv", 'config.sums.metrics = ["p.count"]\n')
        new = mended(text, "E-FLOW-KIND", counter, sums, CSV, *FILTERS)
        assert mounted(new)["plugins"] == ["probe", "subtract", "sums", "csv"]
        assert mounted(new)["config"] == {"sums": {"metrics": ["p.count.delta"]}, "subtract": {"metrics": ["p.count"]}}

    def test_a_temperature_in_another_unit(self) -> None:
        """What differs by a summand is converted, and the output does not get the old one any more."""
        kelvin = output("kelvin", rule("${config.metrics}", 'unit = "K"'), more=TAKES)
        probe = source("probe", metric("p.inside", unit="Cel"), metric("p.outside", unit="K"))
        new = mended(mount("probe csv kelvin"), "E-FLOW-UNIT", probe, CSV, kelvin, *FILTERS)
        assert mounted(new)["config"]["convert"] == {"metrics": ["p.inside"], "unit": "K"}
        assert mounted(new)["config"]["kelvin"] == {"metrics": ["*", "!p.inside"]}

    @pytest.mark.parametrize(
        ("text", "contracts"),
        [
            (mount("probe csv counts"), (PROBE, CSV, COUNTS, RATE)),  # a rate is something else
            (mount("probe csv counts"), (PROBE, CSV, COUNTS, ACCUMULATE, ACCUMULATE.replace('"accumulate"', '"add"'))),
            (mount("probe csv counts"), (PROBE, CSV, output("counts", rule("*", 'kind = ["gauge"]')), *FILTERS)),
            (mount("probe csv counts", 'config.counts.metrics = ["*{kind=delta}"]'), (PROBE, CSV, COUNTS, RATE)),
            (mount("probe accumulate csv counts"), (PROBE, CSV, COUNTS, *FILTERS)),  # the total is there
            (
                mount("probe csv early"),
                (PROBE, CSV, filter_("early", rule("*", 'kind = ["counter"]'), placement="prefilter"), *FILTERS),
            ),
        ],
        ids=["another unit", "two ways", "no option", "a condition", "a name that is taken", "too late"],
    )
    def test_what_is_not_certain_is_not_offered(self, text: str, contracts: tuple[str, ...]) -> None:
        """Two ways, none that keeps the unit, a selection that no request can change: the help has to do."""
        assert one(text, "E-FLOW-KIND", *contracts).edit is None

    def test_a_command_line_is_not_edited(self) -> None:
        """There is no file to change."""
        request, _ = from_words("/host", ["probe", "csv", "counts"], ["meter", "mount", "/host"])
        assert request is not None
        (fault,) = check(request, catalogue(PROBE, CSV, COUNTS, *FILTERS), Assumed()).diagnostics
        assert (fault.code, fault.edit) == ("E-FLOW-KIND", None)


WORK = source("probe", metric("p.work", kind="counter", unit="J"), metric("p.share", unit="1"))
COMPUTES = filter_(
    "shares",
    rule("${config.formulas}", 'gives = { name = "${item}", unit = "J" }'),
    more='[config.formulas]\ntype = "map<formula>"\n',
)


class TestFormula:
    """A formula that reads a counter, whose value says nothing of a span."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (
                'config.shares.formulas.x = "p.work * p.share" # f\n',
                'config.shares.formulas.x = "p.work.delta * p.share" # f\nconfig.subtract = { metrics = ["p.work"] }\n',
            ),
            (
                "config = { shares = { formulas = { x = 'sum(p.work{unit=J}) + p.work' } } }\n",
                (
                    "config = { subtract = { metrics = ['p.work'] }, shares = { formulas = "
                    "{ x = 'sum(p.work.delta{unit=J}) + p.work.delta' } } }\n"
                ),
            ),
        ],
    )
    def test_a_delta_for_a_formula(self, old: str, new: str) -> None:
        """The filter stands before it, and what it gives is read wherever the counter was."""
        contracts = (WORK, COMPUTES, CSV, *FILTERS)
        text = mended(mount("probe shares csv", old), "E-FLOW-KIND", *contracts)

        assert mounted(text) == mounted(mount("probe subtract shares csv", new))
        assert text.startswith(
            '# one\n[mounts."/host"] # two\nplugins = ["probe", "subtract", "shares", "csv"] # three\n'
        )

    def test_a_second_formula_reads_what_is_there_then(self) -> None:
        """No second filter is put in for it."""
        more = 'config.subtract.metrics = ["p.work"]\nconfig.shares.formulas = { x = "p.work", y = "p.work.delta" }\n'
        edit = one(mount("probe subtract shares csv", more), "E-FLOW-KIND", WORK, COMPUTES, CSV, *FILTERS).edit

        assert edit is not None
        assert (edit.kind, [change.text for change in edit.changes]) == ("rename", ["p.work.delta"])

    @pytest.mark.parametrize(
        "contracts",
        [
            (WORK, COMPUTES, CSV, RATE),  # a rate is something else
            (WORK, COMPUTES, CSV, SUBTRACT, SUBTRACT.replace('"subtract"', '"minus"')),
            (WORK + metric("p.work.delta", kind="delta", unit="J"), COMPUTES, CSV, SUBTRACT),
        ],
        ids=["another unit", "two ways", "a name that is taken"],
    )  # fmt: skip
    def test_what_is_not_certain_is_not_offered(self, contracts: tuple[str, ...]) -> None:
        """The help has to do."""
        text = mount("probe shares csv", 'config.shares.formulas.x = "p.work"\n')

        assert one(text, "E-FLOW-KIND", *contracts).edit is None


class TestNeed:
    """A need that one plugin meets, which is only taken by its name."""

    READER = filter_("twice", rule("demo.load", 'gives = { name = "${metric}.twice" }'))
    USER = needing("user", "spans")
    EXAMPLE = 'status = ["example"]\n'

    @pytest.mark.parametrize(
        ("text", "provider", "plugins"),
        [
            (mount("probe user csv"), giving("feed", "spans", EXAMPLE), ["probe", "feed", "user", "csv"]),
            (
                mount("probe twice csv"),
                source("feed", metric("demo.load"), more=EXAMPLE),
                ["probe", "feed", "twice", "csv"],
            ),
            (
                mount("probe csv", 'want = ["demo.load"]\n'),
                source("feed", metric("demo.load"), more=EXAMPLE),
                ["feed", "probe", "csv"],
            ),
        ],
        ids=["capability", "metric", "wanted"],
    )
    def test_the_one_provider_is_put_in(self, text: str, provider: str, plugins: list[str]) -> None:
        """Before whoever needs it, and nothing else changes."""
        new = mended(text, "E-NEED-UNMET", PROBE, CSV, self.READER, self.USER, provider)

        assert mounted(new) == {**mounted(text), "plugins": plugins}

    @pytest.mark.parametrize(
        "providers",
        [
            (giving("feed", "spans", EXAMPLE), giving("food", "spans", EXAMPLE)),
            (giving("feed", "spans", EXAMPLE + '[config.where]\ntype = "str"\n'),),
            (giving("feed", "spans", EXAMPLE + 'needs.host = [{ readable = ["/nowhere"] }]\n'),),
            (giving("feed", "spans", EXAMPLE + 'conflicts = { probe = "*" }\n'),),
        ],
        ids=["two providers", "an option that nobody knows", "not on this host", "a conflict"],
    )
    def test_what_is_not_certain_is_not_put_in(self, providers: tuple[str, ...]) -> None:
        """The help names who provides it."""
        found, _ = requests(mount("probe user csv"))
        host = Recorded({("readable", "/nowhere"): "missing /nowhere"})
        known = catalogue(PROBE, CSV, self.USER, *providers)
        result = check(found["/host"], known, host)

        assert [each.edit for each in result.diagnostics if each.code == "E-NEED-UNMET"] == [None]


IN_PLACE = rule("*", 'keeps = false\ngives = { name = "${metric}" }')
CHANGES = (filter_("a", IN_PLACE), filter_("b", IN_PLACE))


class TestOrder:
    """`order` and `plugins`."""

    @pytest.mark.parametrize(
        ("more", "line"),
        [
            ("", 'plugins = ["probe", "b", "a", "csv"] # three\norder = [["b", "a"]]\n'),
            ("order = [] # o\n", '\norder = [["b", "a"]] # o\n'),
            ('order = [["csv", "late"]]\n', '\norder = [["b", "a"], ["csv", "late"]]\n'),
        ],
    )
    def test_an_order_that_decides_is_written_down(self, more: str, line: str) -> None:
        """As it is now, so that it stays."""
        plugins = "probe b a csv late" if "late" in more else "probe b a csv"
        assert line in mended(mount(plugins, more), "W-ORDER-ASKED", PROBE, CSV, output("late"), *CHANGES)

    @pytest.mark.parametrize(
        ("order", "left"),
        [
            ('[["probe", "gone", "csv"]]', 'order = [["probe", "csv"]]\n'),
            ('[["probe", "gone"], ["probe", "csv"]]', 'order = [["probe", "csv"]]\n'),
            ('[["gone", "csv"]] # why', 'plugins = ["probe", "csv"] # three\n# end\n'),
            ('[["prob", "csv"]]', 'order = [["probe", "csv"]]\n'),
        ],
    )
    def test_a_label_that_nothing_has_goes(self, order: str, left: str) -> None:
        """A slip is corrected; else the label goes, and what would order nothing without it."""
        assert left in mended(mount("probe csv", f"order = {order}\n# end\n"), "W-ORDER-INERT", PROBE, CSV)

    def test_a_plugin_asked_for_twice(self) -> None:
        """The second one goes."""
        assert mended(mount("probe csv probe"), "E-DUPLICATE", PROBE, CSV) == mount("probe csv")


class TestContract:
    """Words of a contract."""

    @pytest.mark.parametrize(
        ("more", "code", "left"),
        [
            ('ordering.before = ["probe", "x"]', "E-SELF-ORDER", 'ordering.before = ["x"]'),
            ('ordering = { after = ["probe"] }', "E-SELF-ORDER", "ordering = { after = [] }"),
            ('needs.capabilities = { probe = "*", csv = "*" }', "W-SELF-NEED", 'needs.capabilities = { csv = "*" }'),
            ('[needs.capabilities]\nprobe = "*" # me\ncsv = "*"', "W-SELF-NEED", '[needs.capabilities]\ncsv = "*"\n'),
        ],
    )
    def test_what_a_plugin_asks_of_itself_goes(self, more: str, code: str, left: str) -> None:
        """From the contract, which is the place that is wrong."""
        text = source("probe", more=more)
        edit = one(mount("probe csv"), code, text, CSV).edit
        assert edit is not None
        assert {change.file for change in edit.changes} == {"probe/contract.toml"}
        new = applied(text, edit.changes)
        assert left in new
        assert code not in codes(checked(mount("probe csv"), (new, CSV)))
