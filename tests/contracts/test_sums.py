"""Sums under another name: what was added up once is not added to itself, to its parts or to its whole."""

from __future__ import annotations

import pytest

from meter.contracts.check import Checked
from meter.contracts.rules import Gives, Rule, WorstQuality, give
from meter.contracts.selectors import parse
from meter.contracts.variants import MACHINE, Variant
from tests.contracts.build import RATE, codes, filter_, metric, one, output, rule, run, source

RAPL = source(
    "rapl",
    metric(
        "energy",
        kind="delta",
        unit="J",
        more='resource = ["cpu_package"]\nattributes = { domain = ["package", "core"] }\n'
        'parts = { domain = { core = "package" } }\nadditive = true',
    ),
    metric(
        "energy",
        kind="delta",
        unit="J",
        more='resource = ["dram"]\nattributes = { domain = ["dram"] }\nadditive = true',
    ),
    metric("energy", kind="delta", unit="J", more='attributes = { domain = ["psys"] }\nadditive = true'),
)
TOTAL = filter_(
    "total",
    rule("${config.what}", 'gives = { name = "${metric}.sum", drop = "${config.over}", merge = "${config.how}" }'),
    more='config.what = { type = "list<metric>" }\n'
    'config.over = { type = "list<str>", default = ["resource", "domain"] }\n'
    'config.how = { type = "enum", values = ["sum", "max"], default = "sum" }',
)
FORMULA = filter_(
    "formula",
    rule(
        "${config.formulas}", 'gives = { name = "${item}", type = "f64", quality = "derived", unit = "${config.unit}" }'
    ),
    more='[config.formulas]\ntype = "map<formula>"\n[config.unit]\ntype = "unit"\ndefault = "J"\n',
)
SINK = output()


def checked(formula: str, what: str = "energy{domain=package}", chain: str = "total", more: str = "") -> Checked:
    """A formula behind a sum of what a selector means."""
    options = f'config.total.what = ["{what}"]\nconfig.formula.formulas."x" = "{formula}"\n{more}'
    return run(f"rapl {chain} formula sink", RAPL, TOTAL, RATE, FORMULA, SINK, more=options)


@pytest.mark.parametrize(
    ("formula", "what", "variant"),
    [
        ("energy{domain=psys} + energy.sum", "energy{domain=package}", "`cpu_package` of resource twice"),
        ("energy.sum + energy{domain=psys}", "energy{domain=dram}", "`dram` of resource twice"),
        (
            "energy.sum + energy{domain=psys}",
            "energy{domain=psys}",
            "`energy` twice: what was added up is added once more",
        ),
        ("energy.sum - (1 - energy{domain=psys})", "energy{domain=package}", "`cpu_package` of resource twice"),
        ("energy{domain=psys} + energy{domain=package}", "energy{domain=package}", "it is a part of `machine`"),
        ("energy{domain=psys} + sum(energy{domain=package})", "energy{domain=dram}", "it is a part of `machine`"),
    ],
)
def test_what_a_sum_counts_is_not_added_to_it(formula: str, what: str, variant: str) -> None:
    """Although it has another name and other keys."""
    formula = formula.replace("(1 -", "(0 * energy.sum -")
    document = one(checked(formula, what), "E-FLOW-DOUBLE")
    assert variant in document["message"]


@pytest.mark.parametrize(
    ("formula", "what"),
    [
        ("energy{domain=psys} - energy.sum", "energy{domain=package}"),  # the rest
        ("energy{domain=psys} + 0.1 * energy.sum", "energy{domain=package}"),  # a model's weight
        ("energy{domain=psys} / energy.sum", "energy{domain=package}"),
    ],
)
def test_what_is_no_sum_of_both(formula: str, what: str) -> None:
    """A difference, a weight and a quotient count nothing twice."""
    result = checked(formula, what, more='config.formula.unit = "1"' if "/" in formula else "")
    assert codes(result) == []


def test_sums_of_different_things_are_added() -> None:
    """Processors and their memory, each added up by itself."""
    more = """config.b = { what = ["energy{domain=dram}"] }"""
    options = f'config.total.what = ["energy{{domain=package}}"]\n{more}\n'
    other = TOTAL.replace('"${metric}.sum"', '"${metric}.all"').replace('name = "total"', 'name = "b"')
    text = options + 'config.formula.formulas."x" = "energy.sum + energy.all"'
    assert codes(run("rapl total b formula sink", RAPL, TOTAL, other, FORMULA, SINK, more=text)) == []


def test_the_greatest_of_all_counts_nothing() -> None:
    """Only what was added up is in a sum."""
    more = 'config.total.how = "max"'
    assert "E-FLOW-DOUBLE" not in codes(checked("energy{domain=psys} + energy.max", more=more))


def test_the_greatest_of_sums_is_no_sum() -> None:
    """What was added up is lost where it is merged in another way."""
    worst = WorstQuality(("measured", "derived"))
    base = Variant("m", "f64", "J", "delta", True, frozenset({"gpu"}), MACHINE, (("d", frozenset({"x"})),))
    total = give(Rule((parse("*"),), gives=Gives("${metric}.sum", drop=("d",), merge="sum")), base, "f", worst)
    assert total is not None
    assert total.sums
    most = give(Rule((parse("*"),), gives=Gives("${metric}.max", drop=("resource",), merge="max")), total, "g", worst)
    assert most is not None
    assert not most.sums


def test_a_sum_that_changes_its_name_counts_the_same() -> None:
    """Its rate is one of the rates of what it counts."""
    result = checked("energy{domain=psys} + energy.sum", chain="total rate", more="")
    assert codes(result) == ["E-FLOW-DOUBLE"]
    rates = checked("energy.rate{domain=psys} + energy.sum.rate", chain="total rate", more='config.formula.unit = "W"')
    assert codes(rates) == ["E-FLOW-DOUBLE"]


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ("sum(energy{domain=package})", "y + energy{domain=package}", ["E-FLOW-DOUBLE"]),
        ("sum(energy{domain=core})", "y + energy.sum", ["E-FLOW-DOUBLE"]),
        ("sum(energy{domain=core}) * 2", "y + energy.sum", []),  # a model
        ("energy.sum - sum(energy{domain=core})", "y + sum(energy{domain=core})", []),  # put together again
    ],
)
def test_a_formula_counts_what_it_adds_up(first: str, second: str, wrong: list[str]) -> None:
    """Its result goes into another formula as what it is."""
    again = FORMULA.replace('name = "formula"', 'name = "again"')
    options = 'config.total = { what = ["energy{domain=package}"], over = ["domain"] }\n'
    options += f'config.formula.formulas."y" = "{first}"\nconfig.again.formulas."x" = "{second}"\n'
    assert codes(run("rapl total formula again sink", RAPL, TOTAL, FORMULA, again, SINK, more=options)) == wrong


def test_a_plan_has_what_is_counted() -> None:
    """A variant is read back as it was written, and of two together all that both count is counted."""
    rule_ = Rule((parse("*"),), gives=Gives("${metric}.sum", drop=("resource",), merge="sum"))
    base = Variant("m", "f64", "J", "delta", True, frozenset({"gpu"}), MACHINE, origin="s", via=frozenset({"s"}))
    worst = WorstQuality(("measured", "derived"))
    made = give(rule_, base, "f", worst)
    other = give(rule_, base._replace(resource=frozenset({"dram"})), "f", worst)

    assert made is not None
    assert other is not None
    assert {(each.metric, each.resource, each.origin) for each in made.counted} == {("m", frozenset({"gpu"}), "")}
    assert Variant.from_json(made.to_json()) == made
    assert len(made.together(other, worst).counted) == 2
