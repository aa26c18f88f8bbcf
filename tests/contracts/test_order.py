"""Ordering: which instance comes before which, and the clause behind each pair."""

import itertools

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.rings import shortest_ring
from tests.contracts.build import (
    DIFFERENCE,
    RATE,
    SELECT,
    codes,
    edges,
    filter_,
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
)
from tests.strategies import steady

PROBE = source("probe", metric("a", kind="counter"))
SINK = output()


def plain(name: str, clause: str = "", placement: str = "filter") -> str:
    """A filter that reads nothing."""
    return filter_(name, placement=placement, more=clause)


class TestClauses:
    """`ordering` and the request's `order`."""

    @pytest.mark.parametrize(
        "clause", ['ordering.before = ["b"]', 'ordering.before = ["one"]', 'ordering.before=["x"]']
    )
    def test_before(self, clause: str) -> None:
        """A target is a plugin, a label or a capability."""
        b = plain("b", 'provides.capabilities = { x = "1.0" }')
        result = run("probe b#one a sink", PROBE, plain("a", clause), b, SINK)
        assert ordered(result) == ["probe", "a", "one", "sink"]
        assert edges(result) == [("a", "one")]

    def test_after(self) -> None:
        """The other way round."""
        assert ordered(run("probe a b sink", PROBE, plain("a", 'ordering.after = ["b"]'), plain("b"), SINK)) == [
            "probe", "b", "a", "sink",
        ]  # fmt: skip

    def test_an_absent_target_is_no_fault(self) -> None:
        """A clause about a plugin that is not there says nothing."""
        assert ordered(run("probe a sink", PROBE, plain("a", 'ordering.after = ["b"]'), SINK))

    def test_only_what_an_edge_forces_moves(self) -> None:
        """Unrelated instances stay in the order asked."""
        texts = (plain("a", 'ordering.before = ["c"]'), plain("b"), plain("c"), plain("d"))
        assert ordered(run("probe d c b a sink", PROBE, *texts, SINK)) == ["probe", "d", "b", "a", "c", "sink"]

    def test_more_than_ten(self) -> None:
        """Positions are numbers, not texts."""
        names = [f"p{place}" for place in range(12)]
        result = run(f"probe {' '.join(names)} sink", PROBE, *map(plain, names), SINK)
        assert ordered(result) == ["probe", *names, "sink"]

    def test_itself(self) -> None:
        """Nothing comes before itself; two instances of one contract say it once."""
        result = run("probe a#x a#y sink", PROBE, plain("a", 'ordering.before = ["b", "a"]'), SINK)
        document = one(result, "E-SELF-ORDER")
        assert document["spans"][0]["file"] == "a/contract.toml"
        assert document["clause"] == "ordering.before"

    def test_itself_in_the_request(self) -> None:
        """`order` may not repeat a label."""
        document = one(run("probe a sink", PROBE, plain("a"), SINK, more='order = [["a", "a"]]'), "E-SELF-ORDER")
        assert pointed(document, "probe a sink", 'order = [["a", "a"]]') == '"a"'
        assert document["spans"][0]["column"] == len('order = [["a", "')

    @pytest.mark.parametrize(
        ("words", "clause", "more"),
        [
            ("a", 'ordering.before = ["probe"]', ""),
            ("a", 'ordering.after = ["sink"]', ""),
            ("a", "", 'order = [["sink", "a"]]'),
        ],
    )
    def test_against_the_placement(self, words: str, clause: str, more: str) -> None:
        """Placement comes first: a clause against it cannot be kept."""
        document = one(run(f"probe {words} sink", PROBE, plain("a", clause), SINK, more=more), "E-ORDER-PLACEMENT")
        assert document["clause"] == ("order" if more else "ordering")

    def test_with_the_placement(self) -> None:
        """A clause that says what the placement does is fine."""
        texts = (
            plain("a", 'ordering.after = ["probe"]\nordering.before = ["sink", "z"]'),
            plain("z", "", "postfilter"),
        )
        assert ordered(run("z a probe sink", PROBE, *texts, SINK)) == ["probe", "a", "z", "sink"]

    def test_order_names_nobody(self) -> None:
        """A warning: it may come from a time when the instance was there."""
        result = run("probe a sink", PROBE, plain("a"), SINK, more='order = [["a", "b"], ["b", "a"]]')
        assert one(result, "W-ORDER-INERT")["message"] == "`order` names `b`, which is not in `/host`"
        assert result.plan is not None


class TestRings:
    """A cycle is told as one smallest ring."""

    def ring(self, words: str, *texts: str) -> tuple[str, list[str]]:
        """The ring as written, and what each note says."""
        document = one(run(f"probe {words} sink", PROBE, *texts, SINK), "E-CYCLE")
        labels = document["message"].partition(": ")[2].replace("`", "").split(" -> ")
        assert labels[0] == labels[-1] == min(labels)
        assert len(document["notes"]) == len(labels) - 1
        for note, (first, then) in zip(document["notes"], itertools.pairwise(labels), strict=True):
            assert note.startswith(f"`{first}` goes before `{then}` (")
        assert pointed(document, f"probe {words} sink") == f'"{labels[0]}"'
        assert {span["file"] for span in document["spans"][1:]} <= {f"{label}/contract.toml" for label in labels}
        return " ".join(labels), document["notes"]

    def test_two(self) -> None:
        """Each waits for the other."""
        texts = (plain("a", 'ordering.before = ["b"]'), plain("b", 'ordering.before = ["a"]'))
        ring, notes = self.ring("b a", *texts)
        assert ring == "a b a"
        assert notes[0] == "`a` goes before `b` (clause: ordering.before of `a`)"

    def test_three(self) -> None:
        """The ring follows the clauses, also where they say `after`."""
        texts = (
            plain("a", 'ordering.before = ["b"]'),
            plain("b", 'ordering.before = ["c"]'),
            plain("c", 'ordering.after = ["x"]\nordering.before = ["a"]'),
        )
        assert self.ring("c a b", *texts)[0] == "a b c a"

    def test_branches_are_left_out(self) -> None:
        """Of several rings the smallest, without what only hangs on it."""
        texts = (
            plain("a", 'ordering.before = ["b"]'),
            plain("b", 'ordering.before = ["c", "z"]'),
            plain("c", 'ordering.before = ["d", "y"]'),
            plain("d", 'ordering.before = ["a", "c"]'),
            plain("y"),
            plain("z", 'ordering.before = ["y"]'),
        )
        assert self.ring("z y d c b a", *texts)[0] == "c d c"

    def test_two_targets_are_no_ring(self) -> None:
        """Two plugins behind one wait for nobody else."""
        texts = (plain("a", 'ordering.before = ["d", "c"]'), plain("c"), plain("d"), plain("e"))
        assert ordered(run("probe c e d a sink", PROBE, *texts, SINK)) == ["probe", "e", "a", "c", "d", "sink"]

    def test_metrics_make_rings_too(self) -> None:
        """Two filters that each name what the other gives."""
        texts = (
            filter_("f", rule("g.out", 'gives = { name = "f.out" }'), rule("a", 'gives = { name = "f.out" }')),
            filter_("g", rule("f.out", 'gives = { name = "g.out" }'), rule("a", 'gives = { name = "g.out" }')),
        )
        _, notes = self.ring("f g", *texts)
        assert "flow: f.out" in notes[0]

    def test_the_least_of_equal_rings(self) -> None:
        """Which ring is told does not depend on the order of anything."""
        pairs = [("d", "c"), ("c", "d"), ("b", "a"), ("a", "b")]
        assert shortest_ring(pairs) == shortest_ring(pairs[::-1]) == ("a", "b")
        assert shortest_ring([("a", "b"), ("b", "c")]) == ()

    @given(st.sets(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=14))
    @settings(steady, max_examples=300)
    def test_the_shortest_ring_is_one(self, pairs: set[tuple[str, str]]) -> None:
        """It is as long as the shortest simple cycle; in less work than that takes it has no short cut at least."""
        rings = list(nx.simple_cycles(nx.DiGraph(pairs)))
        shortest, quick = shortest_ring(pairs), shortest_ring(pairs, work=1)
        assert len(shortest) == min(map(len, rings), default=0)
        assert bool(quick) == bool(rings)
        for ring in filter(None, (shortest, quick)):
            assert ring[0] == min(ring)
            own = set(zip(ring, (*ring[1:], ring[0]), strict=True))
            assert own == {pair for pair in pairs if set(pair) <= set(ring)}

    def test_a_ring_of_many(self) -> None:
        """The first edges are told; how many there are is said."""
        names = [f"r{place:03}" for place in range(300)]
        texts = [
            filter_(name, more=f'ordering.before = ["{then}"]') for name, then in itertools.pairwise((*names, names[0]))
        ]
        document = one(run(f"probe {' '.join(names)} sink", PROBE, *texts, SINK), "E-CYCLE")
        assert document["message"].startswith("300 plugins wait for each other: `r000` -> `r001`")
        assert document["message"].endswith("… -> `r000`")
        assert len(document["notes"]) == len(document["spans"]) - 1 == 12


class TestFlowEdges:
    """Edges of data: who adds comes before who reads, who removes comes behind."""

    def test_a_reader_of_what_another_makes(self) -> None:
        """Whatever the order asked."""
        for words in itertools.permutations(["probe", "rate", "difference", "sink"]):
            result = run(" ".join(words), PROBE, DIFFERENCE, RATE, SINK)
            assert ordered(result) == ["probe", "difference", "rate", "sink"]
            assert edges(result) == [("difference", "rate")]
            assert codes(result) == []
        assert result.require().document["edges"][0]["because"] == "flow: a.delta"

    @pytest.mark.parametrize("selector", ["a.delta", "a.delta{kind=delta}", "*.delta", "*{origin=difference}"])
    def test_parts_are_compared(self, selector: str) -> None:
        """Only a selector that means what is made waits for it."""
        for words in ("difference x", "x difference"):
            x = filter_("x", rule(selector, 'gives = { name = "${metric}.x" }'))
            assert ordered(run(f"probe {words} sink", PROBE, DIFFERENCE, x, SINK))[1:3] == ["difference", "x"]

    @pytest.mark.parametrize("selector", ["a", "*{kind=counter}", "b.*"])
    def test_other_parts_do_not_wait(self, selector: str) -> None:
        """A selector that cannot mean it leaves the order asked."""
        x = filter_("x", rule(selector, 'gives = { name = "${metric}.x", kind = "gauge", additive = false }'))
        assert edges(run("probe x difference sink", PROBE, DIFFERENCE, x, SINK)) == []

    @pytest.mark.parametrize("selector", ["a", "*"])
    def test_who_removes_comes_behind_readers(self, selector: str) -> None:
        """Nothing is taken away before it was read."""
        drop = filter_("drop", rule("a", "keeps = false"))
        x = filter_("x", rule(selector, 'gives = { name = "${metric}.x" }'))
        for words in ("x drop", "drop x"):
            result = run(f"probe {words} sink", PROBE, drop, x, SINK)
            assert ordered(result)[1:3] == ["x", "drop"]
            assert result.require().document["edges"] == [
                {"from": "x", "to": "drop", "because": "flow: `drop` removes a"}
            ]

    def test_other_placements_need_no_edge(self) -> None:
        """Placement orders them already."""
        result = run("select probe rate difference sink", PROBE, DIFFERENCE, RATE, SELECT, SINK, more=DROP)
        assert ordered(result) == ["probe", "difference", "rate", "select", "sink"]
        assert edges(result) == [("difference", "rate")]

    def test_a_metric_made_later_cannot_be_read(self) -> None:
        """A filter that names what a later placement makes."""
        late = filter_("late", rule("a", 'gives = { name = "late.out" }'), placement="postfilter")
        reader = filter_("reader", rule("late.out", 'gives = { name = "x" }'))
        result = run("probe reader late sink", PROBE, late, reader, SINK)
        document = one(result, "E-ORDER-PLACEMENT")
        assert pointed(document, "probe reader late sink") == '"reader"'
        assert pointed(document, "probe reader late sink", place=1) == '"late"'

    def test_a_metric_that_is_also_changed_later(self) -> None:
        """Reading the one from the source is fine."""
        late = filter_("late", rule("a", 'gives = { name = "${metric}" }\nkeeps = false'), placement="postfilter")
        reader = filter_("reader", rule("a", 'gives = { name = "x" }'))
        assert ordered(run("probe late reader sink", PROBE, late, reader, SINK)) == ["probe", "reader", "late", "sink"]

    def test_no_instance_waits_for_itself(self) -> None:
        """A wildcard filter does not read what derives from itself."""
        x = filter_("x", rule("*", 'gives = { name = "${metric}.x" }'))
        result = run("probe x sink", PROBE, x, SINK)
        assert [each["metric"] for each in result.require().document["schema"]["sink"]] == ["a", "a.x"]

    def test_too_many_possibilities(self) -> None:
        """Wildcard filters that feed each other are stopped before they fill the memory."""
        names = [f"f{place}" for place in range(8)]
        texts = [filter_(name, rule("*", f'gives = {{ name = "${{metric}}.{name}" }}')) for name in names]
        document = one(run(f"probe {' '.join(names)} sink", PROBE, *texts, SINK), "E-FLOW-LIMIT")
        assert "10000" in document["message"]


DROP = 'config.select = { drop = ["a"] }\n'


class TestAskedOrder:
    """Where only wildcards and changes in place say something, the position in `plugins` decides, and says so."""

    CHANGE = 'gives = { name = "${metric}" }\nkeeps = false'
    CASES = (
        ("*", CHANGE, "*", CHANGE),
        ("a", CHANGE, "a", CHANGE),
        ("*", CHANGE, "a", 'gives = { name = "${metric}.x" }'),
        ("*", 'gives = { name = "${metric}.f" }', "*", 'gives = { name = "${metric}.g" }'),
        ("*", "keeps = false", "*", "keeps = false"),
    )

    @pytest.mark.parametrize("case", CASES)
    def test_is_said(self, case: tuple[str, str, str, str]) -> None:
        """The order asked is the order, the warning shows how to fix it."""
        texts = (filter_("f", rule(case[0], case[1])), filter_("g", rule(case[2], case[3])))
        for words in ("f g", "g f"):
            result = run(f"probe {words} sink", PROBE, *texts, output("sink", rule("none*")))
            assert [code for code in codes(result) if code != "E-FLOW-UNREAD"] == ["W-ORDER-ASKED"], said(result)
            document = shown(next(each for each in result.diagnostics if each.code == "W-ORDER-ASKED"))
            first, second = words.split()
            assert document["help"] == f'fix it: order = [["{first}", "{second}"]]'
            assert pointed(document, f"probe {words} sink") == f'"{first}"'
            if result.plan is not None:
                assert ordered(result)[1:3] == words.split()

    @pytest.mark.parametrize("case", CASES)
    def test_can_be_fixed(self, case: tuple[str, str, str, str]) -> None:
        """What the help says is enough."""
        texts = (filter_("f", rule(case[0], case[1])), filter_("g", rule(case[2], case[3])))
        result = run("probe g f sink", PROBE, *texts, SINK, more='order = [["f", "g"]]')
        assert "W-ORDER-ASKED" not in codes(result)
        if result.plan is not None:
            assert ordered(result)[1:3] == ["f", "g"]

    def test_wildcards_that_agree_are_ordered(self) -> None:
        """Without a contradiction wildcards order like names."""
        texts = (filter_("f", rule("*.delta", 'gives = { name = "${metric}.f" }')), DIFFERENCE)
        result = run("probe f difference sink", PROBE, *texts, SINK)
        assert codes(result) == []
        assert ordered(result)[1:3] == ["difference", "f"]
