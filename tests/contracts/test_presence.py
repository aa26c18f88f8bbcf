"""Metrics that this host does not let a source give."""

import pytest

from meter.contracts.host import Recorded
from tests.contracts.build import filter_, metric, one, output, rule, run, source

HOST = Recorded({("readable", "/proc/a"): "", ("readable", "/proc/b"): "denied /proc/b"})
NEEDS_A = 'resource = ["machine"]\nhost = { readable = ["/proc/a"] }'
NEEDS_B = 'resource = ["machine"]\nhost = { readable = ["/proc/b"] }'
TWO = source("two", metric("m.a", more=NEEDS_A), metric("m.b", more=NEEDS_B))
SINK = output()


def test_a_metric_whose_own_need_is_unmet_is_absent() -> None:
    """With a warning; the others stay."""
    result = run("two sink", TWO, SINK, host=HOST)
    document = one(result, "W-HOST-DEGRADED")

    assert "`two` gives no `m.b` on this host" in document["message"]
    assert "/proc/b" in document["message"]
    assert result.plan is not None
    plugin = result.plan.document["plugins"][0]
    assert [variant["metric"] for variant in plugin["emits"]] == ["m.a"]
    assert list(plugin["absent"]) == ["m.b"]


@pytest.mark.parametrize("lacking", [("m.b", "m.c"), ("m.c", "m.b")])
def test_metrics_that_lack_the_same_are_told_together(lacking: tuple[str, str]) -> None:
    """One cause is one warning, in whatever order the tables of a contract are."""
    more = source("two", metric("m.a", more=NEEDS_A), *(metric(name, more=NEEDS_B) for name in lacking))
    assert (
        "gives no `m.b`, `m.c` on this host"
        in one(run("two sink", more, SINK, host=HOST), "W-HOST-DEGRADED")["message"]
    )


def test_a_metric_without_series_lacks_nothing() -> None:
    """An option that names no value of an attribute leaves none; what the metric needs of the host is not asked for."""
    named = 'attributes = { which = "${config.which}" }\n' + NEEDS_B
    option = 'config.which = { type = "list<str>", default = [] }\n'
    some = source("two", metric("m.a", more=NEEDS_A), metric("m.b", more=named), more=option)
    result = run("two sink", some, SINK, host=HOST)

    assert not result.diagnostics
    assert result.plan is not None
    assert [variant["metric"] for variant in result.plan.document["plugins"][0]["emits"]] == ["m.a"]


def test_a_source_of_which_nothing_is_left() -> None:
    """Cannot work here."""
    only = source("two", metric("m.b", more=NEEDS_B))

    document = one(run("two sink", only, SINK, host=HOST), "E-HOST")
    assert document["help"].endswith(
        "or put another source in the place of `two`, without which `/host` has none that works here"
    )
    assert one(run("two sink", TWO, SINK, host=HOST), "W-HOST-DEGRADED")["help"] == (
        'run meter as root: `sudo "$(command -v meter)" run`'
    )
    gone = Recorded({("readable", "/proc/a"): "", ("readable", "/proc/b"): "missing /proc/b"})
    assert one(run("two sink", TWO, SINK, host=gone), "W-HOST-DEGRADED")["help"] == (
        "nothing has to be done: the other metrics are given all the same"
    )


NEEDS_NONE = '[[needs.host]]\nname = "x"\nreadable = ["/proc/none"]\n'
BARE = Recorded({("readable", "/proc/none"): "denied /proc/none"})
POWER = metric("power", unit="W")
METER = source("meter", POWER, more=NEEDS_NONE)
ESTIMATE = source("guess", POWER + 'quality = "estimated"\n', more="config.tdp.type = 'quantity(W)'")
MENDS = 'run meter as root: `sudo "$(command -v meter)" run`'


def test_another_source_of_the_same_is_named() -> None:
    """The one that measures before the one that estimates, with its options; with what goes with the one that goes."""
    other = source("twin", POWER)
    found = run("meter sink", METER, ESTIMATE, other, SINK, more='config.meter.interval = "2s"\n', host=BARE)
    assert one(found, "E-HOST")["help"] == (
        f"{MENDS}; or put `twin` in the place of `meter` and `config.meter`: it gives `power` on this host"
    )
    assert one(run("meter sink", METER, ESTIMATE, SINK, host=BARE), "E-HOST")["help"] == (
        f'{MENDS}; or put `guess` with `config.guess.tdp` (such as `"10 W"`) in the place of `meter`: it estimates '
        "`power` on this host"
    )
    two = source("two", metric("m.a"))
    assert one(run("two meter sink", two, METER, other, SINK, host=BARE), "E-HOST")["help"] == (
        f"{MENDS}; or put `twin` in the place of `meter`: it gives `power` on this host; or leave `meter` out"
    )


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(source("twin", POWER, more=NEEDS_NONE), id="it cannot work here either"),
        pytest.param(source("twin", metric("power", unit="W", more='resource = ["gpu"]')), id="of something else"),
        pytest.param(source("twin", metric("power", unit="1")), id="it is something else"),
        pytest.param(source("twin", POWER, more='conflicts = { sink = "*" }'), id="a check refuses it"),
    ],
)
def test_what_is_no_other_source_of_it(other: str) -> None:
    """A source that does not work in its place, or gives something else, is not offered."""
    found = one(run("meter sink", METER, other, SINK, host=BARE), "E-HOST")
    last = "put another source in the place of `meter`, without which `/host` has none that works here"
    assert found["help"] == f"{MENDS}; or {last}"


def test_a_source_of_which_nothing_is_left_gives_way_to_another() -> None:
    """What it would have given is what the other one has to give."""
    only = source("two", metric("m.b", more=NEEDS_B))
    twin = source("twin", metric("m.b"))
    document = one(run("two sink", only, twin, SINK, host=HOST), "E-HOST")
    assert document["help"].endswith("or put `twin` in the place of `two`: it gives `m.b` on this host")


def test_a_part_of_a_metric() -> None:
    """The metric is there, of other resources; the warning says of which it is not."""
    gpu = 'resource = ["gpu"]\nhost = { readable = ["/proc/b"] }'
    result = run("two sink", source("two", metric("m", more=NEEDS_A), metric("m", more=gpu)), SINK, host=HOST)
    document = one(result, "W-HOST-DEGRADED")

    assert "gives no `m` of gpu on this host" in document["message"]
    assert result.plan is not None
    assert result.plan.document["plugins"][0]["absent"] == {}


def test_who_needs_an_absent_metric_is_told_why() -> None:
    """The note of E-FLOW-EMPTY says that the host is to blame."""
    taker = filter_("taker", rule("m.b", 'gives = { name = "x" }'))
    result = run("two taker sink", TWO, taker, SINK, host=HOST)

    empty = next(each for each in result.diagnostics if each.code == "E-FLOW-EMPTY")
    assert "`m.b` is absent on this host" in " ".join(empty.notes)
