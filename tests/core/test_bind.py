"""Binding: what rules mean on a real layout, and what a filter sees of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meter.contracts.rules import Gives, Rule, WorstQuality, apply, faults, give
from meter.contracts.selectors import parse
from meter.contracts.variants import Variant
from meter.core.batch import Block
from meter.core.bind import Bound, Says, beside, bind, row_by_row, same_dimension
from meter.core.breach import ContractBreach
from meter.core.keys import EACH, Key, KeySet, Metric
from meter.core.layout import Layout
from tests import strategies
from tests.strategies import series, steady

WORST = WorstQuality(("exact", "measured", "derived", "estimated"))
AGAIN = Gives("${metric}.again")


def key(name: str, id_: str = "", unit: str = "J", kind: str = "gauge", type_: str = "f64", **attributes: str) -> Key:
    """A key of the machine, or of a GPU."""
    metric = Metric(name, type_, unit, kind, additive=kind != "gauge", origin="probe", via=frozenset({"probe"}))
    return Key.make(metric, ("gpu", id_) if id_ else ("machine", ""), attributes=attributes)


def rule(*select: str, **fields: Any) -> Rule:
    """A rule with what a test says about it."""
    return Rule(select=tuple(parse(text) for text in select), **fields)


def block_of(layout: Layout, rows: int = 2) -> Block:
    """A block whose cells are all different: 0, 1, 2, … through each part."""
    parts = tuple(
        np.arange(rows * width).reshape(rows, width).astype({"f64": "f8", "u64": "u8", "i64": "i8"}[dtype])
        for dtype, width in zip(layout.dtypes, layout.widths, strict=True)
    )
    return Block(layout, np.arange(rows) + 10, np.arange(rows), parts)


def names(keys: Any) -> list[str]:
    """Their canonical names."""
    return [each.name for each in keys]


LAYOUT = Layout.of(
    [key("a", "0"), key("a", "1"), key("b"), key("c", type_="u64"), key("d", mode="x"), key("d", mode="y")]
)


class TestKnownLayout:
    """Rules on keys that are known."""

    def test_what_no_rule_selects_passes(self) -> None:
        """And what a rule keeps; nothing else."""
        bound = bind("f", [rule("a", keeps=False), rule("d{mode=x}", gives=AGAIN)], LAYOUT, WORST)

        assert bound.passing is not None
        assert names(bound.passing.keys) == names(
            [key("b"), key("c", type_="u64"), key("d", mode="x"), key("d", mode="y")]
        )
        assert [names(selection.inputs) for selection in bound.selections] == [
            names([key("a", "0"), key("a", "1")]),
            names([key("d", mode="x")]),
        ]
        assert [names(selection.outputs) for selection in bound.selections] == [[], names([key("d.again", mode="x")])]

    def test_nothing_passes_where_all_is_taken(self) -> None:
        """Then there is no layout, rather than an empty one."""
        assert bind("f", [rule("*", keeps=False)], LAYOUT, WORST).passing is None
        assert bind("f", [rule("z")], LAYOUT, WORST) == Bound(LAYOUT, ())

    def test_one_selection_has_one_type(self) -> None:
        """A matrix cannot hold two without loss, so a rule that takes both makes two selections."""
        bound = bind("f", [rule("b"), rule("*")], LAYOUT, WORST)

        assert [(s.place, {k.metric.type for k in s.inputs}) for s in bound.selections] == [
            (0, {"f64"}),
            (1, {"f64"}),
            (1, {"u64"}),
        ]

    def test_the_first_rule_that_selects_a_key_has_it(self) -> None:
        """Whatever its neighbours are."""
        bound = bind("f", [rule("a{resource=machine}"), rule("a"), rule("*")], LAYOUT, WORST)

        assert [(s.place, names(s.inputs)) for s in bound.selections if s.inputs[0].metric.name == "a"] == [
            (1, names([key("a", "0"), key("a", "1")]))
        ]

    def test_what_is_given_says_where_it_comes_from(self) -> None:
        """The instance is the origin, and in the way that the series took."""
        (selection,) = bind("f", [rule("b", gives=Gives("n", kind="delta", unit="${unit}/s", quality="estimated"))],
            LAYOUT, WORST).selections  # fmt: skip

        metric = selection.outputs[0].metric
        assert metric[:4] == ("n", "f64", "J/s", "delta")
        assert (metric.quality, metric.origin, metric.via) == ("estimated", "f", frozenset({"probe", "f"}))

    @pytest.mark.parametrize(
        ("demands", "clause", "words"),
        [
            ({"kind": ("delta", "counter")}, "kind", "`gauge`, not delta or counter"),
            ({"type": ("u64",)}, "type", "`f64`, not u64"),
            ({"unit": "s"}, "unit", "`J`, not s"),
            ({"resource": ("gpu",)}, "resource", "`machine`, not gpu"),
            ({"consumer": ("process",)}, "consumer", "`machine`, not process"),
            ({"attributes": ("mode",)}, "attributes", "`absent`, not mode"),
            ({"additive": True}, "additive", "`false`, not true"),
        ],
    )
    def test_a_key_that_is_not_what_is_demanded_is_a_breach(
        self, demands: dict[str, Any], clause: str, words: str
    ) -> None:
        """With the clause, the key, and what it had to be."""
        with pytest.raises(ContractBreach) as caught:
            bind("f", [rule("b", **demands)], LAYOUT, WORST)

        assert (caught.value.label, caught.value.clause) == ("f", f"needs.metrics.{clause}")
        assert key("b").said in caught.value.detail
        assert words in caught.value.detail

    def test_two_series_that_become_one_are_a_breach(self) -> None:
        """One of them would be lost without a word."""
        with pytest.raises(ContractBreach, match="more than one"):
            bind("f", [rule("b", "x", gives=Gives("n"))], Layout.of([key("b"), key("x")]), WORST)

    def test_merged_series_share_a_column(self) -> None:
        """Each input says which column of the outputs it goes into; what was dropped is the machine's."""
        gives = Gives("${metric}.all", drop=("mode", "resource"), merge="sum")
        first, second = bind("f", [rule("a", "d", gives=gives)], LAYOUT, WORST), [key("a.all"), key("d.all")]
        (selection,) = first.selections

        assert names(selection.outputs) == names(second)
        assert [names(second)[column] for column in selection.groups] == [
            f"{each.metric.name}.all/machine/%/machine/%" for each in selection.inputs
        ]

    def test_a_merged_series_is_as_good_as_its_worst_part(self) -> None:
        """And its rows are as far apart as the farthest."""
        good, bad = key("m", part="1"), key("m", part="2")
        bad = Key(bad.metric._replace(quality="estimated", interval=7), bad.resource, bad.consumer, bad.attributes)
        gives = Gives("n", drop=("part",), merge="sum")
        (selection,) = bind("f", [rule("m", gives=gives)], Layout.of([good, bad]), WORST).selections

        assert (selection.outputs[0].metric.quality, selection.outputs[0].metric.interval) == ("estimated", 7)

    def test_two_shapes_are_not_merged(self) -> None:
        """One of them would be published in the unit of the other."""
        gives = Gives("n", drop=("resource",), merge="max")
        with pytest.raises(ContractBreach, match="more than one"):
            bind("f", [rule("*", gives=gives)], Layout.of([key("b"), key("x", unit="K")]), WORST)

    def test_attributes_are_added(self) -> None:
        """In the order of their names among those that are there."""
        gives = Gives("${metric}", attributes=(("a", "1"), ("z", "2")))
        (selection,) = bind("f", [rule("d", keeps=False, gives=gives)], LAYOUT, WORST).selections

        assert selection.outputs[0].attributes == (("a", "1"), ("mode", "x"), ("z", "2"))

    def test_what_passes_is_known_without_the_rest(self) -> None:
        """Also where a selected key is not what is demanded."""
        rules = [rule("b", kind=("delta",), keeps=False), rule("d", kind=("delta",))]

        layout = beside(rules, LAYOUT)
        assert layout is not None
        assert key("b") not in layout.keys
        assert len(layout.keys) == len(LAYOUT.keys) - 1
        assert beside([rule("*", keeps=False)], LAYOUT) is None


class TestValues:
    """What a filter reads and gives."""

    def test_columns_are_read_in_the_order_of_the_inputs(self) -> None:
        """Wherever they lie in the block."""
        block = block_of(LAYOUT)
        for selection in bind("f", [rule("d", "b")], LAYOUT, WORST).selections:
            read = selection.read(block)
            for place, each in enumerate(selection.inputs):
                assert read[:, place].tolist() == block.column(each).tolist()

    @pytest.mark.parametrize(
        ("have", "wanted", "value", "scaled"),
        [
            ("J", "J", 0.1, 0.1),
            ("kJ", "J", 1.25, 1250.0),
            ("J", "kJ", 1250.0, 1.25),
            ("W.h", "J", 1.0, 3600.0),
            ("J", "W.h", 9.0, 0.0025),  # the float nearest to 1/3600, times 9
            ("ms", "s", 3.0, 0.003),
            ("By", "KiBy", 512.0, 0.5),
            ("Cel", "K", 20.0, 293.15),
        ],
    )
    def test_values_are_scaled_to_the_unit_of_the_rule(
        self, have: str, wanted: str, value: float, scaled: float
    ) -> None:
        """By the exact factor and summand; the filter sees them so, and what passes keeps its unit."""
        layout = Layout.of([key("m", unit=have)])
        block = Block(layout, np.array([1]), np.array([0]), (np.array([[value]]),))
        bound = bind("f", [rule("m", unit=wanted)], layout, WORST)

        assert bound.selections[0].read(block).tolist() == [[scaled]]
        assert bound.passing is layout
        assert block.column("m/machine/%/machine/%").tolist() == [value]

    def test_each_column_has_its_own_factor(self) -> None:
        """Series of one rule may come in different units."""
        layout = Layout.of([key("m", unit="kJ"), key("n", unit="J"), key("o", unit="mJ")])
        block = Block(layout, np.array([1]), np.array([0]), (np.ones((1, 3)),))
        (selection,) = bind("f", [rule("*", unit="J")], layout, WORST).selections

        assert selection.read(block).tolist() == [[1000.0, 1.0, 0.001]]

    def test_integers_are_never_scaled(self) -> None:
        """They would lose bits."""
        with pytest.raises(ContractBreach) as caught:
            bind("f", [rule("m", unit="J")], Layout.of([key("m", unit="kJ", type_="u64")]), WORST)

        assert caught.value.clause == "needs.metrics.unit"

    def test_integers_are_scaled_for_a_rule_that_gives_floats(self) -> None:
        """It says itself that bits may go."""
        layout = Layout.of([key("m", unit="KiBy", type_="u64")])
        block = Block(layout, np.array([1]), np.array([0]), (np.array([[3]], np.uint64),))
        gives = Gives("${metric}.c", type="f64", unit="By")
        (selection,) = bind("f", [rule("m", unit="By", gives=gives)], layout, WORST).selections

        assert selection.read(block).tolist() == [[3072.0]]
        assert selection.outputs[0].metric[:3] == ("m.c", "f64", "By")

    def test_columns_are_given_in_the_order_of_the_outputs(self) -> None:
        """The block has them where its layout says, though names may sort otherwise than those they come from."""
        layout = Layout.of([key("a", str(n)) for n in (2, 10, 9)] + [key("a.b")])
        (selection,) = bind("f", [rule("*", gives=AGAIN)], layout, WORST).selections
        block = block_of(layout)
        given_ = selection.give(selection.read(block) + 0, ts=block.ts, since=block.since)

        given_.verify()
        for source, made in zip(selection.inputs, selection.outputs, strict=True):
            assert given_.column(made).tolist() == block.column(source).tolist()

    def test_what_is_not_finite_is_missing(self) -> None:
        """Also beside cells that the filter itself says are; reasons follow their cells."""
        layout = Layout.of([key("a"), key("b"), key("c")])
        (selection,) = bind("f", [rule("*", gives=AGAIN)], layout, WORST).selections
        values = np.array([[1.0, np.inf, 3.0]])
        mask = np.array([[True, False, False]])
        given_ = selection.give(
            values, ts=np.array([1]), since=np.array([0]), missing=mask, reasons={(0, 0): "why not"}
        )

        assert [repr(value) for *_, value in given_.points()] == ["Missing('why not')", "Missing('')", "3.0"]

    def test_what_is_given_cannot_change_afterwards(self) -> None:
        """A filter may reuse its buffer."""
        layout = Layout.of([key("a")])
        (selection,) = bind("f", [rule("*", gives=AGAIN)], layout, WORST).selections
        buffer = np.ones((4, 1))
        given_ = selection.give(buffer[:2], ts=np.arange(2), since=np.arange(2))
        buffer[:] = 7.0

        assert given_.values("a.again").tolist() == [[1.0], [1.0]]

    @pytest.mark.parametrize("values", [np.ones((2, 1), np.float32), np.ones((2, 2)), np.ones((3, 1)), np.ones(2)])
    def test_what_was_not_promised_cannot_be_given(self, values: Any) -> None:
        """Shape and type are those of the rule."""
        (selection,) = bind("f", [rule("b", gives=AGAIN)], LAYOUT, WORST).selections
        with pytest.raises(ContractBreach) as caught:
            selection.give(values, ts=np.arange(2), since=np.arange(2))

        assert (caught.value.label, caught.value.clause) == ("f", "needs.metrics.gives")

    def test_a_rule_without_gives_gives_nothing(self) -> None:
        """Not even an empty block."""
        (selection,) = bind("f", [rule("b")], LAYOUT, WORST).selections
        with pytest.raises(ContractBreach, match="gives nothing"):
            selection.give(np.ones((2, 0)), ts=np.arange(2), since=np.arange(2))


def _key(variant: Variant) -> Key:
    """The key of a series."""
    metric = Metric(
        variant.metric,
        variant.type,
        variant.unit,
        variant.kind,
        variant.additive,
        variant.quality,
        origin=variant.origin,
    )
    (resource,), (consumer,) = variant.resource, variant.consumer
    attributes = {name: next(iter(values or ())) for name, values in variant.attributes}
    ids = {kind: "" if kind == "machine" else "0" for kind in (resource, consumer)}
    return Key.make(metric, (resource, ids[resource]), (consumer, ids[consumer]), attributes)


@st.composite
def real(draw: st.DrawFn) -> tuple[list[Variant], Layout]:
    """What a contract declares, and a layout inside it."""
    declared = draw(st.lists(strategies.variants(), min_size=1, max_size=4, unique_by=lambda v: v.metric))
    every = [_key(one) for variant in declared for one in series(variant)]
    keys = draw(st.lists(st.sampled_from(every), min_size=1, max_size=12, unique=True))
    return declared, Layout.of(keys)


def attempt(rules: list[Rule], layout: Layout) -> Bound | ContractBreach:
    """What bind says."""
    try:
        return bind("f", rules, layout, WORST)
    except ContractBreach as breach:
        return breach


@settings(steady, max_examples=100)
@given(declared=real(), rules=st.lists(strategies.rules(), min_size=1, max_size=3))
def test_the_real_layout_lies_in_the_variants(declared: tuple[list[Variant], Layout], rules: list[Rule]) -> None:
    """What the check foresees contains what happens: selected parts, what passes, what is given, and every fault."""
    variants, layout = declared
    hits, rest = apply(rules, variants, same_dimension)
    selected = [(hit.rule, hit.part) for hit in hits]
    foreseen = {fault.clause for place, part in selected for fault in faults(rules[place], part, same_dimension)}
    bound = attempt(rules, layout)
    if isinstance(bound, ContractBreach):
        assume(bound.clause != "needs.metrics.gives")
        assert bound.clause.removeprefix("needs.metrics.") in foreseen
        return
    kept = [part for place, part in selected if rules[place].keeps]
    for one in bound.passing.keys if bound.passing else ():
        assert any(part.contains(one.variant()) for part in (*rest, *kept))
    for selection in bound.selections:
        parts = [part for place, part in selected if place == selection.place]
        assert all(any(part.contains(one.variant()) for part in parts) for one in selection.inputs)
        given_ = [give(rules[selection.place], part, "f", WORST) for part in parts]
        for one in selection.outputs:
            assert any(part is not None and part.contains(one.variant()) for part in given_)


@settings(steady, max_examples=100)
@given(declared=real(), rules=st.lists(strategies.rules(), min_size=1, max_size=3))
def test_every_key_passes_or_is_selected(declared: tuple[list[Variant], Layout], rules: list[Rule]) -> None:
    """None is lost and none is selected twice; only what is kept is in both. No demand, no breach."""
    _, layout = declared
    free = [Rule(select=each.select, keeps=each.keeps) for each in rules]
    bound = bind("f", free, layout, WORST)
    selected = [(s.place, one) for s in bound.selections for one in s.inputs]
    passing = bound.passing.keys if bound.passing else KeySet()

    assert len({one.name for _, one in selected}) == len(selected)
    assert set(passing) | {one for _, one in selected} == set(layout.keys)
    assert set(passing) & {one for _, one in selected} == {one for place, one in selected if free[place].keeps}
    assert beside(free, layout) is bound.passing


class TestTelling:
    """Rules whose attributes the filter tells of each series."""

    SERIES = Layout.of([key("a", "0"), key("a", "1"), key("d")])
    TELLS = rule("a", keeps=False, gives=Gives("${metric}", tells=("job", "step")))

    def test_each_series_has_what_the_filter_says_of_it(self) -> None:
        """What it does not say is empty; what the rule does not select is not asked for."""
        bound = bind(
            "f", [self.TELLS], self.SERIES, WORST, Says(teller=lambda k, _: {"job": k.resource[1], "other": "x"})
        )

        (selection,) = bound.selections
        assert [each.attributes for each in selection.outputs] == [
            (("job", "0"), ("step", "")),
            (("job", "1"), ("step", "")),
        ]
        assert [each.resource[1] for each in selection.inputs] == ["0", "1"]

    def test_the_check_knows_that_they_are_there(self) -> None:
        """With any text; what is made of a real series lies in what it says of the metric."""
        (selection,) = bind("f", [self.TELLS], self.SERIES, WORST, Says(teller=lambda *_: {"job": "7"})).selections
        made = give(self.TELLS, self.SERIES.keys[0].variant(), "f", WORST)

        assert made is not None
        assert made.attributes == (("job", None), ("step", None))
        assert made.contains(selection.outputs[0].variant())

    def test_nothing_said_is_a_breach(self) -> None:
        """An attribute is never made up."""
        with pytest.raises(ContractBreach) as caught:
            bind("f", [self.TELLS], self.SERIES, WORST)

        assert "does not tell job, step of `a" in caught.value.detail

    def test_things_have_to_be_parted(self) -> None:
        """What is told of each differs, so their keys do."""
        each = Layout.of([Key.make(Metric("a", "f64", "1", "gauge", additive=False), ("disk", EACH))])

        assert not row_by_row([self.TELLS], each, ("gauge",))
        assert row_by_row([rule("a", gives=Gives("n"))], each, ("gauge",))


class TestOwner:
    """Rules whose metrics are of another resource or consumer."""

    PROCESSES = Layout.of([key("a", "0"), key("a", "1"), key("a", "2")])
    PACKAGE = rule("a", gives=Gives("${metric}.sum", resource=("cpu_package",), merge="sum"))

    def test_series_go_where_the_filter_says(self) -> None:
        """Those of one owner are merged."""
        of = {"0": "0", "1": "0", "2": "1"}
        bound = bind("f", [self.PACKAGE], self.PROCESSES, WORST, Says(lambda k, *_: ("cpu_package", of[k.resource[1]])))

        (selection,) = bound.selections
        assert [each.resource for each in selection.outputs] == [("cpu_package", "0"), ("cpu_package", "1")]
        assert selection.groups == (0, 0, 1)

    def test_the_machine_needs_no_answer(self) -> None:
        """There is one."""
        whole = rule("a", gives=Gives("${metric}.sum", resource=("machine",), merge="sum"))

        (selection,) = bind("f", [whole], self.PROCESSES, WORST).selections
        assert [each.resource for each in selection.outputs] == [("machine", "")]

    @pytest.mark.parametrize("answer", [None, ("gpu", "0")], ids=["nothing", "of another kind"])
    def test_no_owner_is_a_breach(self, answer: tuple[str, str] | None) -> None:
        """A series is never given to somebody by chance."""
        says = Says() if answer is None else Says(owner=lambda *_: answer)
        with pytest.raises(ContractBreach) as caught:
            bind("f", [self.PACKAGE], self.PROCESSES, WORST, says)

        assert "does not say which resource of kind cpu_package" in caught.value.detail
