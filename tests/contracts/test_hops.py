"""What a plan says of its hops: what each takes, adds and ends, where metrics go, why each stands where it does."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings

from meter.contracts import hops
from meter.contracts import plan as plans
from meter.contracts.check import Checked, check
from meter.contracts.host import Assumed
from meter.contracts.variants import Variant
from tests import strategies
from tests.contracts.build import (
    SELECT,
    catalogue,
    filter_,
    head,
    metric,
    output,
    request,
    rule,
    run,
    said,
    source,
)
from tests.strategies import Scene

MODES = 'attributes = { mode = ["idle", "system", "user"] }'
CPU = source("cpu", metric("time", kind="delta", unit="s", more=MODES), metric("count", type_="u64"))
RATE = filter_(
    "rate",
    rule("${config.metrics}", 'gives = { name = "${metric}.rate", unit = "${unit}/s", kind = "gauge" }'),
    more='[config.metrics]\ntype = "list<metric>"\n',
)
SINK = output("sink")


def plan(result: Checked) -> dict[str, Any]:
    """The document of a plan that has to be there."""
    assert result.plan is not None, said(result)
    return result.plan.document


def reasons(result: Checked, instance: str) -> list[tuple[str, ...]]:
    """Why an instance stands where it does, without empty fields."""
    return [tuple(filter(None, reason)) for reason in hops.placed(plan(result), instance)]


class TestFlow:
    """What is taken, added, narrowed and ended."""

    @given(strategies.scenes())
    @settings(strategies.steady, max_examples=150)
    def test_hops_put_together_are_the_schema_of_the_check(self, scene: Scene) -> None:
        """Behind every source and filter the metrics are those that the flow found, whatever the chain."""
        with mock.patch("meter.contracts.check.plans.make", wraps=plans.make) as made:
            result = check(request(" ".join(scene.plugins), scene.more), catalogue(*scene.contracts), Assumed())
        if result.plan is None:
            return
        document, flowed = result.plan.document, made.call_args.args[3]
        for plugin in document["plugins"]:
            if plugin["role"] not in ("source", "filter"):
                continue
            rows = hops.behind(document, plugin["instance"])
            shapes = [{name: row[name] for name in ("metric", "unit", "type", "kind")} for row in rows]
            unique = [shape for at, shape in enumerate(shapes) if shape not in shapes[:at]]
            assert sorted(unique, key=lambda row: list(row.values())) == sorted(
                plans.metric_json(flowed.behind(plugin["instance"])),
                key=lambda row: [row[name] for name in ("metric", "unit", "type", "kind")],
            )

    @given(strategies.scenes())
    @settings(strategies.steady, max_examples=150)
    def test_what_outputs_take_is_what_they_get(self, scene: Scene) -> None:
        """The metrics that go to an output are those of its schema, each from an instance before it."""
        result = check(request(" ".join(scene.plugins), scene.more), catalogue(*scene.contracts), Assumed())
        if result.plan is None:
            return
        document = result.plan.document
        for plugin in document["plugins"]:
            label = plugin["instance"]
            takes = document["hops"][label]["takes"]
            assert all(document["order"].index(take["from"]) < document["order"].index(label) for take in takes)
            if plugin["role"] == "output":
                assert {take["metric"] for take in takes} == {row["metric"] for row in document["schema"][label]}

    def test_a_part_is_told_by_its_conditions(self) -> None:
        """A filter that takes two of three modes takes `{mode=system|user}`, an output the whole without conditions."""
        document = plan(run("cpu rate sink", CPU, RATE, SINK, more='config.rate.metrics = ["time{mode=user|system}"]'))

        assert document["hops"]["rate"]["takes"] == [{"metric": "time", "from": "cpu", "part": "{mode=system|user}"}]
        assert {take["part"] for take in document["hops"]["sink"]["takes"]} == {""}
        assert hops.flows(document) == {
            ("cpu", "rate"): ["time{mode=system|user}"],
            ("cpu", "sink"): ["count", "time"],
            ("rate", "sink"): ["time.rate"],
        }

    def test_parts_that_pass_and_parts_that_are_kept_are_one_metric_again(self) -> None:
        """A rule that takes a part and keeps it changes nothing of what goes on."""
        document = plan(run("cpu rate sink", CPU, RATE, SINK, more='config.rate.metrics = ["time{mode=user}"]'))

        assert document["hops"]["rate"]["narrows"] == document["hops"]["rate"]["ends"] == []
        [time] = [row for row in hops.behind(document, "rate") if row["metric"] == "time"]
        assert time["attributes"] == {"mode": ["idle", "system", "user"]}

    def test_what_is_dropped_narrows_or_ends(self) -> None:
        """Of a metric that is dropped in part the rest is shown, one that is dropped whole has ended."""
        more = 'config.select.drop = ["time{mode=idle}", "count"]'
        hop = plan(run("cpu select sink", CPU, SELECT, SINK, more=more))["hops"]["select"]

        assert [(row["metric"], row["attributes"]) for row in hop["narrows"]] == [
            ("time", {"mode": ["system", "user"]})
        ]
        assert hop["ends"] == [{"metric": "count", "from": "cpu"}]

    def test_a_change_in_place_ends_the_old_and_adds_the_new(self) -> None:
        """The metric of the same name has another giver behind the filter."""
        mark = filter_("mark", rule("count", 'keeps = false\ngives = { name = "${metric}" }'))
        hop = plan(run("cpu mark sink", CPU, mark, SINK))["hops"]["mark"]

        assert hop["ends"] == [{"metric": "count", "from": "cpu"}]
        assert [(row["metric"], row["from"]) for row in hop["adds"]] == [("count", "mark")]

    def test_a_plan_holds_the_types_of_options(self) -> None:
        """Whoever shows a value can write it as a mount file does."""
        cpu, rate, _ = plan(run("cpu rate sink", CPU, RATE, SINK, more='config.rate.metrics = ["time"]'))["plugins"]

        assert cpu["types"] == {"interval": "duration"}
        assert rate["types"] == {"metrics": "list<metric>"}


def passing(name: str, *rules: str, more: str = "") -> str:
    """A filter with a rule for what is not there, so that it has no edge by itself."""
    return filter_(name, *(rules or [rule("count")]), more=more)


class TestPlace:
    """Why an instance stands where it does."""

    def test_placements(self) -> None:
        """Neighbours of different placements are told apart by these; the first and the last have one neighbour."""
        result = run("sink cpu mark", CPU, passing("mark"), SINK)

        assert reasons(result, "cpu") == [("before", "mark", "placement")]
        assert reasons(result, "mark") == [("after", "cpu", "placement"), ("before", "sink", "placement")]
        assert reasons(result, "sink") == [("after", "mark", "placement")]

    def test_nothing_orders_the_two(self) -> None:
        """The position asked decides between neighbours that no edge ties."""
        result = run("cpu two one sink", CPU, passing("one"), passing("two"), SINK)

        assert ("before", "one", "asked") in reasons(result, "two")
        assert ("after", "two", "asked") in reasons(result, "one")

    @pytest.mark.parametrize(
        ("first", "then", "more", "rule_", "subject"),
        [
            (filter_("a", rule("count", 'gives = { name = "x" }')), passing("b", rule("x")), "", "gives", "x"),
            (passing("a"), passing("b", rule("count", "keeps = false")), "", "removes", "count"),
            (passing("a", more='ordering.before = ["b"]\n'), passing("b"), "", "clause", "ordering.before"),
            (passing("a"), passing("b", more='ordering.after = ["a"]\n'), "", "clause", "ordering.after"),
            (passing("a"), passing("b"), 'order = [["a", "b"]]', "order", ""),
        ],
    )
    def test_edges_say_their_rule(self, first: str, then: str, more: str, rule_: str, subject: str) -> None:
        """Each kind of edge is told on both sides, whatever the position asked."""
        drop = SELECT.replace('name = "select"', 'name = "end"')  # so that `x` is read in any case
        result = run("cpu b a end sink", CPU, first, then, drop, SINK, more=more + '\nconfig.end.drop = ["time"]')

        expected = ("after", "a", rule_, subject) if subject else ("after", "a", rule_)
        assert expected in [reason[: len(expected)] for reason in reasons(result, "b")]
        assert any(reason[:3] == ("before", "b", rule_) for reason in reasons(result, "a"))

    def test_a_change_in_place_is_an_edge_of_its_own(self) -> None:
        """Who reads the old values comes before whoever changes them, which is told as such."""
        change = passing("change", rule("*", 'keeps = false\ngives = { name = "${metric}" }'))
        result = run(
            "cpu change reader sink", CPU, change, passing("reader"), SINK, more='order = [["reader", "change"]]'
        )

        assert ("after", "reader", "changes", "count") in reasons(result, "change")
        assert ("before", "change", "changes", "count") in reasons(result, "reader")

    def test_odd_words_are_no_other_rule(self) -> None:
        """A reason of a form that is not known is shown as it is."""
        document = {
            "order": ["a", "b"],
            "edges": [{"from": "a", "to": "b", "because": "since `x` says"}],
            "plugins": [],
        }

        [reason] = list(hops.placed({**document, "plugins": _nodes("a", "b")}, "b"))
        assert (reason.rule, reason.subject) == ("clause", "since `x` says")


def _nodes(*labels: str) -> list[dict[str, str]]:
    return [{"instance": label, "placement": "filter"} for label in labels]


def test_candidates_stand_with_the_instance_that_was_chosen() -> None:
    """A plugin that could have met a need is told with the one that meets it."""
    energy = 'provides.capabilities = { energy = "1.0" }\n'
    needy = head("a", "source") + 'needs.capabilities = { energy = "*" }\n' + metric("a.value")
    texts = [
        source(name, metric(f"{name}.v"), more=energy + f'status = ["{word}"]\n')
        for name, word in (("b", "maintained"), ("c", "tested"))
    ]
    document = plan(run("a sink", needy, *texts, SINK))

    assert hops.candidates(document) == {"energy": [("c", "energy", "its status counts 500, that of `b` 4000")]}


def test_sets_that_differ_in_one_dimension_are_joined() -> None:
    """Two parts of a metric are one where that says the same, and stay two where it would say more."""
    from meter.contracts.plan import _joined  # what a plan cannot easily be led to

    base = Variant("m", "f64", "1", "gauge", False, frozenset({"machine"}), frozenset({"machine"}))
    a, b = (base._replace(attributes=(("k", frozenset(k)), ("l", frozenset(k)))) for k in ("x", "y"))
    mixed = base._replace(attributes=(("k", frozenset("x")), ("l", frozenset("y"))))

    assert _joined([a, b]) == [a, b]
    assert _joined([a, mixed]) == [base._replace(attributes=(("k", frozenset("x")), ("l", frozenset("xy"))))]
    assert _joined([a, a]) == [a]
