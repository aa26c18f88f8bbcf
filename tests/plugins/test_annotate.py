"""The prefilter `annotate`."""

from __future__ import annotations

import os
from typing import Any

import pytest

from meter.core.assembly import filled
from meter.core.batch import Block
from meter.core.building import build
from meter.core.elements import FilterElement
from meter.core.plugin import Missing
from meter.core.readings import Row
from tests.plugins.chain import Chain, metric, refusals

METRICS = [metric("m", "gauge", "f64", "W"), metric("n", "gauge", "f64", "J"), metric("c")]


def chain(*words: str) -> Chain:
    """`annotate` of a source with a gauge `m`, a gauge `n` and a counter `c`."""
    return Chain(METRICS, "annotate", *words)


def row(mounted: Chain, *values: Any, names: str = "mnc") -> Row:
    """One row with a value of each metric."""
    return Row(mounted.columns(*[mounted.key(name) for name in names]), 2, 1, list(values))


def shown(blocks: list[Block]) -> dict[str, Any]:
    """Value, or reason, of each series; a series is its metric and attributes."""
    found: dict[str, Any] = {}
    for block in blocks:
        for _, key, value in block.points():
            name = ",".join([key.metric.name, *(f"{attribute}={text}" for attribute, text in key.attributes)])
            assert name not in found
            found[name] = value.reason if isinstance(value, Missing) else value
    return found


def test_every_series_gets_the_attributes() -> None:
    """Without `metrics` all of them; they are sorted in among those that there are."""
    mounted = chain("attributes=site=lab", "attributes=hall=7")

    assert shown(mounted.blocks([row(mounted, 1.5, 2.5, 3)])) == {
        "m,hall=7,of=a,site=lab": 1.5,
        "n,hall=7,of=a,site=lab": 2.5,
        "c,hall=7,of=a,site=lab": 3,
    }


def test_only_what_is_selected_gets_them() -> None:
    """The rest is as it was."""
    mounted = chain("attributes=site=lab", "metrics=m")

    assert shown(mounted.blocks([row(mounted, 1.5, 2.5, 3)])) == {"m,of=a,site=lab": 1.5, "n,of=a": 2.5, "c,of=a": 3}


def test_nothing_else_changes() -> None:
    """Name, type, unit, kind, resource and quality are those of before, and the old series is gone."""
    mounted = chain("attributes=site=lab")
    (old,) = build([row(mounted, 1.5, names="m")])

    (new,) = mounted.filters[0].hop(old)

    (was,), (now,) = old.layout.keys, new.layout.keys
    assert now.metric._replace(origin="made", via=was.metric.via) == was.metric
    assert (now.resource, now.consumer) == (was.resource, was.consumer)


def test_no_value_is_copied() -> None:
    """The matrices, masks and times are those of before."""
    mounted = chain("attributes=site=lab")
    (old,) = build([row(mounted, 1.5, None, 3)])

    floats, integers = mounted.filters[0].hop(old)

    assert floats.parts[0] is old.parts[0]
    assert floats.masks[0] is old.masks[0]
    assert integers.parts[0] is old.parts[1]
    for block in (floats, integers):
        assert (block.ts is old.ts, block.since is old.since) == (True, True)


def test_missing_cells_keep_their_reasons_when_the_order_of_keys_changes() -> None:
    """A key with another attribute may stand elsewhere; each cell goes with its key."""
    mounted = Chain([metric("m", "gauge", "f64", "W")], "annotate", "attributes=a=1", "metrics=m{of=x|z}")
    keys = [mounted.key("m", of) for of in "xyz"]

    blocks = mounted.blocks([Row(mounted.columns(*keys), 2, 1, [1.0, Missing("of y"), Missing("of z")])])

    assert shown(blocks) == {"m,a=1,of=x": 1.0, "m,of=y": "of y", "m,a=1,of=z": "of z"}


def test_several_of_them_add_up() -> None:
    """The second one takes what the first one gave."""
    first, second = chain("attributes=site=lab"), chain("attributes=job=17", "metrics=c")

    blocks = [made for block in first.blocks([row(first, 1.5, 2.5, 3)]) for made in second.filters[0].hop(block)]

    assert shown(blocks) == {"m,of=a,site=lab": 1.5, "n,of=a,site=lab": 2.5, "c,job=17,of=a,site=lab": 3}


def test_a_map_may_be_written_as_a_table() -> None:
    """The same two attributes in one word."""
    mounted = chain('attributes={site = "lab", "rack.no" = "7"}')

    assert set(shown(mounted.blocks([row(mounted, 1.5, names="m")]))) == {"m,of=a,rack.no=7,site=lab"}


def test_host_and_environment_are_put_in_at_the_start() -> None:
    """As the engine does it; what the filter gives passes its verification."""
    mounted = chain("attributes=host=${host.name}", "attributes=job=${env.SLURM_JOB_ID}-x")
    before = mounted.filters[0]
    rules = [filled(rule, "annotate", {"SLURM_JOB_ID": "17"}) for rule in before.rules]
    element = FilterElement("annotate", before.plugin, rules, before.worst)
    (old,) = build([row(mounted, 1.5, 2.5, 3)])

    bound, breach = element.bound(old.layout)
    given = list(element.filter.run(bound.selections, old))
    for block in given:
        element.verify(block)

    host = os.uname().nodename
    assert breach is None
    assert set(shown(given)) == {f"{name},host={host},job=17-x,of=a" for name in "mnc"}


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ([], ["E-CONFIG-MISSING"]),
        (["attributes=of=b"], ["E-FLOW-IDENTITY"]),  # it has one
        (["attributes=unit=W"], ["E-KEY-NAME"]),  # a word of selectors
        (["attributes=a b=W"], ["E-KEY-NAME"]),
        (["attributes=site=${site}"], ["E-KEY-NAME"]),
        (["attributes={site = 1}"], ["E-CONFIG-TYPE"]),
        (["attributes=site=lab", "metrics=x"], ["E-FLOW-EMPTY"]),
    ],
)
def test_what_cannot_be_added_is_refused(words: list[str], codes: list[str]) -> None:
    """By the check, before anything runs."""
    assert codes == refusals(METRICS, "annotate", *words)
