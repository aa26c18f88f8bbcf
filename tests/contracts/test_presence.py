"""Metrics that this host does not let a source give."""

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
