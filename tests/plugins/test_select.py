"""The postfilter `select`."""

from __future__ import annotations

import pytest

from meter.core.building import build
from meter.core.readings import Row
from tests.plugins.chain import Chain, metric, refusals

METRICS = [
    metric("hw.energy", "delta", "f64", "J", '{ "domain" = ["package", "core"] }'),
    metric("hw.power", "gauge", "f64", "W"),
    metric("net.io"),
]


def dropped(*items: str) -> list[str]:
    """The series that are left of four."""
    mounted = Chain(METRICS, "select", *[f"drop={item}" for item in items])
    keys = [
        mounted.declared.key("hw.energy", resource="machine", consumer="machine", attributes={"domain": "package"}),
        mounted.declared.key("hw.energy", resource="machine", consumer="machine", attributes={"domain": "core"}),
        mounted.key("hw.power"),
        mounted.key("net.io"),
    ]
    blocks = mounted.blocks([Row(mounted.columns(*keys), 1, 0, [1.0, 2.0, 3.0, 4])])
    return [f"{key.metric.name} {value}" for block in blocks for _, key, value in block.points()]


@pytest.mark.parametrize(
    ("items", "left"),
    [
        (["hw.power"], ["hw.energy 2.0", "hw.energy 1.0", "net.io 4"]),
        (["hw.energy{domain=core}"], ["hw.energy 1.0", "hw.power 3.0", "net.io 4"]),  # a part of a metric
        (["hw.*"], ["net.io 4"]),
        (["hw.*", "!hw.power"], ["hw.power 3.0", "net.io 4"]),
        (["!hw.*"], ["hw.energy 2.0", "hw.energy 1.0", "hw.power 3.0"]),  # everything but these
        (["*"], []),
    ],
)
def test_what_is_dropped_goes_no_further(items: list[str], left: list[str]) -> None:
    """What an item selects is gone, the rest is untouched."""
    assert left == dropped(*items)


def test_it_copies_nothing() -> None:
    """The matrices behind it are those before it."""
    mounted = Chain(METRICS, "select", "drop=hw.power")
    columns = mounted.columns(mounted.key("hw.power"), mounted.key("net.io"))
    rows = [Row(columns, 1, 0, [3.0, 4])]

    (source,) = build(rows)

    (block,) = mounted.filters[0].hop(source)

    assert block.layout.metrics == ("net.io",)
    assert source.parts is block.parts


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["select"], "E-CONFIG-MISSING"),
        (["select", "drop=hw.enrgy"], "E-FLOW-EMPTY"),  # a slip of the pen
    ],
)
def test_what_drops_nothing_is_refused(words: list[str], code: str) -> None:
    """Without `drop`, or with a name that nothing has, it would do nothing unnoticed."""
    assert [code] == refusals(METRICS, *words)
