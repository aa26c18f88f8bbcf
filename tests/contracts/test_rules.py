"""Rules: one evaluator for what contracts declare and for the keys of a real layout."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.language import language
from meter.contracts.order import commensurable, worst_quality
from meter.contracts.rules import Gives, Rule, WorstQuality, apply, faults, give
from meter.contracts.selectors import parse
from meter.contracts.variants import Variant
from tests import strategies
from tests.strategies import series, steady

HW = Variant(
    metric="hw.energy",
    type="f64",
    unit="J",
    kind="delta",
    additive=True,
    resource=frozenset({"machine"}),
    consumer=frozenset({"machine"}),
    attributes=(("domain", frozenset({"core", "dram"})),),
    origin="rapl",
    via=frozenset({"rapl"}),
)


def rule(*texts: str, **fields: object) -> Rule:
    """A rule with the selectors of these texts."""
    return Rule(select=tuple(parse(text) for text in texts), **fields)  # type: ignore[arg-type]  # fields of Rule


class TestApply:
    """Which rule takes which part."""

    def test_the_first_rule_that_selects_a_part_applies(self) -> None:
        """What one rule took is not there for the next; the rest passes."""
        applied, passing = apply([rule("*{domain=core}"), rule("hw.*{domain=core|dram}")], [HW], commensurable)
        assert [(each.rule, each.part.domain("domain")) for each in applied] == [
            (0, frozenset({"core"})),
            (1, frozenset({"dram"})),
        ]
        assert passing == []

    def test_what_no_rule_selects_passes(self) -> None:
        """A plugin sees what it asks for and nothing else."""
        assert apply([rule("sys.*")], [HW], commensurable) == ([], [HW])

    @given(st.lists(strategies.rules(), max_size=3), st.lists(strategies.variants(open_=False), max_size=3))
    @steady
    def test_rules_part_variants(self, rules: list[Rule], variants: list[Variant]) -> None:
        """Selected and passing parts are the variants, no series is lost or doubled."""
        applied, passing = apply(rules, variants, commensurable)
        found = [each for part in [*(a.part for a in applied), *passing] for each in series(part)]
        assert sorted(map(str, found)) == sorted(str(each) for variant in variants for each in series(variant))

    @given(st.lists(strategies.rules(), max_size=3), strategies.variants())
    @steady
    def test_a_real_series_is_judged_as_its_variant_was(self, rules: list[Rule], variant: Variant) -> None:
        """What happens to a key while running lies inside what the check said of its variant."""
        declared, passing = apply(rules, [variant], commensurable)
        gives = [given for a in declared if (given := give(rules[a.rule], a.part, "f", worst_quality())) is not None]
        for key in series(variant):
            real, rest = apply(rules, [key], commensurable)
            assert len(real) + len(rest) == 1
            for each in rest:
                assert any(part.contains(each) for part in passing)
            for hit in real:
                inside = [a for a in declared if a.rule == hit.rule and a.item == hit.item]
                assert any(a.part.contains(hit.part) for a in inside)
                made = give(rules[hit.rule], hit.part, "f", worst_quality())
                assert made is None or any(given.contains(made) for given in gives)

    @given(strategies.rules(), strategies.variants())
    @steady
    def test_a_part_that_the_check_found_sound_has_sound_series(self, one: Rule, variant: Variant) -> None:
        """No hop may break a demand that the check took as met."""
        for each in apply([one], [variant], commensurable)[0]:
            if not faults(one, each.part, commensurable):
                assert not any(faults(one, key, commensurable) for key in series(each.part))

    @given(st.lists(strategies.rules(), max_size=3), strategies.variants(), strategies.variants())
    @steady
    def test_the_answer_for_a_key_does_not_depend_on_its_neighbours(
        self, rules: list[Rule], variant: Variant, other: Variant
    ) -> None:
        """Another metric in the layout changes nothing."""
        alone = apply(rules, [variant], commensurable)
        both = apply(rules, [variant, other], commensurable)
        assert both[0][: len(alone[0])] == alone[0]
        assert both[1][: len(alone[1])] == alone[1]


class TestFaults:
    """What a rule demands."""

    @pytest.mark.parametrize(
        ("fields", "clause"),
        [
            ({}, None),
            ({"kind": ("delta",)}, None),
            ({"kind": ("gauge", "counter")}, "kind"),
            ({"type": ("u64",)}, "type"),
            ({"unit": "kJ"}, None),
            ({"unit": "W"}, "unit"),
            ({"resource": ("machine", "gpu")}, None),
            ({"resource": ("gpu",)}, "resource"),
            ({"consumer": ("process",)}, "consumer"),
            ({"attributes": ("domain",)}, None),
            ({"attributes": ("domain", "pid")}, "attributes"),
            ({"additive": True}, None),
            ({"additive": False}, "additive"),
        ],
    )
    def test_a_demand_that_is_not_met_is_named(self, fields: dict[str, object], clause: str | None) -> None:
        """The clause, what the part is, what it had to be."""
        found = faults(rule("*", **fields), HW, commensurable)
        assert [fault.clause for fault in found] == ([] if clause is None else [clause])
        assert all(fault.got and fault.wanted for fault in found)

    def test_only_floating_point_is_scaled(self) -> None:
        """Integers in another unit would have to be rounded; in the same one they are what they are."""
        whole = HW._replace(type="u64")
        assert [fault.clause for fault in faults(rule("*", unit="kJ"), whole, commensurable)] == ["unit"]
        assert not faults(rule("*", unit="J"), whole, commensurable)


class TestGive:
    """What a rule makes."""

    @pytest.mark.parametrize(
        ("template", "unit", "made"),
        [
            ("${unit}/s", "J", "J/s"),
            ("${unit}/s", "By/h", "By/h/s"),
            ("${unit}", "J", "J"),
            (None, "J", "J"),
            ("1/${unit}", "s", "1/s"),
            ("1/${unit}", "By/s", "1/(By/s)"),
            ("W", "J", "W"),
        ],
    )
    def test_units(self, template: str | None, unit: str, made: str) -> None:
        """A template is filled so that the result means what it says."""
        given = give(
            rule("*", gives=Gives("x", unit=template)), HW._replace(unit=unit), "f", WorstQuality(["measured"])
        )
        assert given is not None
        assert given.unit == made
        assert language().units.parse(made)

    def test_a_field_left_out_is_the_inputs(self) -> None:
        """Only what is said changes; origin and descent are the instance's."""
        given = give(rule("*", gives=Gives("${metric}.x")), HW, "f", worst_quality())
        assert given == HW._replace(metric="hw.energy.x", origin="f", via=frozenset({"rapl", "f"}))

    @pytest.mark.parametrize(
        ("have", "said", "made"),
        [
            ("measured", "derived", "derived"),
            ("estimated", "derived", "estimated"),
            ("derived", None, "derived"),
            ("missing", "measured", "missing"),
        ],
    )
    def test_quality_never_gets_better(self, have: str, said: str | None, made: str) -> None:
        """The worse of input and declaration."""
        given = give(rule("*", gives=Gives("x", quality=said)), HW._replace(quality=have), "f", worst_quality())
        assert given is not None
        assert given.quality == made

    def test_a_value_in_the_rules_unit_goes_on_in_it(self) -> None:
        """What is handed over in J gives `${unit}` = J."""
        given = give(
            rule("*", unit="J", gives=Gives("x", unit="${unit}/s")), HW._replace(unit="kJ"), "f", worst_quality()
        )
        assert given is not None
        assert given.unit == "J/s"


@given(strategies.rules(), strategies.variants())
@steady
def test_what_the_plan_keeps_is_what_was_checked(one: Rule, variant: Variant) -> None:
    """Rules and variants survive JSON."""
    assert Rule.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert Variant.from_json(json.loads(json.dumps(variant.to_json()))) == variant


@given(strategies.variants(open_=False), strategies.variants(open_=False))
@steady
def test_meeting_and_containing_are_about_series(one: Variant, other: Variant) -> None:
    """`meets` is a common series of one name, `contains` is all of them."""
    shape = (one.metric, one.type, one.unit, one.kind) == (other.metric, other.type, other.unit, other.kind)
    plain = [
        {each._replace(type="", unit="", kind="", additive=False, origin="") for each in series(variant)}
        for variant in (one, other)
    ]
    assert one.meets(other) == bool(plain[0] & plain[1])
    assert one.contains(other) == (shape and plain[1] <= plain[0])
