"""Parts: values of an attribute that lie in other values of it are never summed with them."""

import pytest

from meter.contracts.rules import WorstQuality
from meter.contracts.variants import Variant
from tests.contracts.build import codes, faults, filter_, metric, one, output, rule, run, source

RAPL = source(
    "rapl",
    metric(
        "energy",
        kind="delta",
        unit="J",
        more='resource = ["cpu_package"]\nattributes = { domain = ["psys", "package", "core", "uncore"] }\n'
        'parts = { domain = { core = "package", uncore = "package", package = "psys" } }',
    ),
)
TOTAL = filter_(
    "total",
    rule("${config.what}", 'gives = { name = "${metric}.sum", drop = ["domain"], merge = "${config.how}" }'),
    more='config.what = { type = "list<metric>", default = ["energy"] }\n'
    'config.how = { type = "enum", values = ["sum", "max"], default = "sum" }',
)
SINK = output()


def total(selector: str, how: str = "sum") -> list[str]:
    """The codes of a sum over `domain` of what a selector means."""
    more = f'config.total = {{ what = ["{selector}"], how = "{how}" }}'
    return codes(run("rapl total sink", RAPL, TOTAL, SINK, more=more))


@pytest.mark.parametrize("domain", ["package|core", "psys|core", "psys|package", "package|core|uncore"])
def test_a_value_and_its_part_are_not_summed(domain: str) -> None:
    """Directly or through what lies between them."""
    assert total(f"energy{{domain={domain}}}") == ["E-FLOW-DOUBLE"]


@pytest.mark.parametrize("domain", ["package", "core|uncore", "psys"])
def test_values_beside_each_other_are_summed(domain: str) -> None:
    """Cores and the rest of a package are no parts of each other."""
    assert total(f"energy{{domain={domain}}}") == []


def test_only_sums_count() -> None:
    """The greatest of a whole and its part is no count."""
    assert total("energy", "max") == []


def test_the_message_names_part_and_whole() -> None:
    """It says which value lies in which, and what to select."""
    document = one(run("rapl total sink", RAPL, TOTAL, SINK), "E-FLOW-DOUBLE")

    assert "`core` of domain is a part of `package`" in document["message"]
    assert "energy{domain=psys}" in document["help"]


def test_parts_survive_a_filter_that_keeps_the_attribute() -> None:
    """A converted metric has the parts of its input."""
    same = filter_("same", rule("energy", 'gives = { name = "${metric}.same" }'))
    more = 'config.total.what = ["energy.same"]'

    assert codes(run("rapl same total sink", RAPL, same, TOTAL, SINK, more=more)) == ["E-FLOW-DOUBLE"]


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ("parts = { mode = { core = 'package' } }", "parts of `mode`, which the metric has not"),
        ("parts = { domain = { dram = 'package' } }", "`dram`, which `domain` cannot be"),
        ("parts = { domain = { core = 'board' } }", "`board`, which `domain` cannot be"),
        ("parts = { domain = { core = 'package', package = 'core' } }", "a part of itself"),
        ("parts = { domain = { core = 'core' } }", "a part of itself"),
    ],
)
def test_parts_that_are_none(parts: str, word: str) -> None:
    """An attribute or value that is not there, and circles, are refused when the contract is read."""
    more = f'resource = ["machine"]\nattributes = {{ domain = ["package", "core"] }}\n{parts}'
    found = faults(source("s", metric("m", kind="delta", more=more)))

    assert [each.code for each in found] == ["E-CLAUSE-TYPE"]
    assert word in found[0].message


def test_a_variant_survives_json_and_merging_with_its_parts() -> None:
    """What is written to a plan is read back; of two variants together the parts of both hold."""
    one_part = (("d", (("a", "b"),)),)
    base = Variant("m", "f64", "J", "delta", additive=True, resource=frozenset({"machine"}), consumer=frozenset())
    left = base._replace(attributes=(("d", frozenset({"a", "b"})),), parts=one_part)
    right = left._replace(parts=(("d", (("c", "b"),)),))

    assert Variant.from_json(left.to_json()) == left
    whole = left.together(right, WorstQuality(("measured", "derived")))
    assert whole.parts == (("d", (("a", "b"), ("c", "b"))),)
    assert whole.without(["d"]).parts == ()
