"""Instances that a backend does without where the host cannot carry them."""

from typing import Any

import pytest

from meter.contracts.check import Checked
from meter.contracts.host import Recorded
from tests.contracts.build import (
    at,
    codes,
    filter_,
    giving,
    metric,
    needing,
    one,
    ordered,
    output,
    pointed,
    run,
    shown,
    source,
)

SINK = output()
PROBE = source()
HOST = 'needs.host = [{ readable = ["/dev/gpu"] }]\n'
GPU = source("gpu", more=HOST)
BARE = Recorded({("readable", "/dev/gpu"): "missing /dev/gpu"})
FULL = Recorded({("readable", "/dev/gpu"): ""})
WITH = 'optional = ["gpu"]\n'


def left_out(result: Checked) -> list[dict[str, Any]]:
    """What a plan that has to be there is without."""
    found: list[dict[str, Any]] = result.require().document["left_out"]
    return found


def test_it_is_there_where_the_host_carries_it() -> None:
    """As if it were asked, behind what was."""
    result = run("probe sink", PROBE, GPU, SINK, more=WITH, host=FULL)
    assert (ordered(result), codes(result), left_out(result)) == (["probe", "gpu", "sink"], [], [])
    assert result.require().document["plugins"][1]["because"] == "asked"


def test_it_is_left_out_where_not() -> None:
    """The warning says why, shows both places, and what mends it."""
    result = run("probe sink", PROBE, GPU, SINK, more=WITH, host=BARE)
    assert ordered(result) == ["probe", "sink"]
    document = one(result, "W-HOST-DEGRADED")
    assert document["message"].startswith("`gpu` is left out on this host: ")
    assert "/dev/gpu" in document["message"]
    assert document["help"] == "nothing has to be done: it will be there on a host that has it"
    assert pointed(document, "probe sink", WITH) == '"gpu"'
    assert at(document, GPU, 1, "gpu/contract.toml") == "host"
    [row] = left_out(result)
    assert (row["instance"], row["plugin"], row["because"]) == ("gpu", "gpu", "optional")
    assert "/dev/gpu" in row["why"]
    assert result.require().document["considered"] == ["gpu"]


def test_without_its_library() -> None:
    """A distribution that is not installed is a lack of the host, too."""
    text = source("gpu", more='needs.python = { pynvml = "*" }')
    host = Recorded({("python", "pynvml"): "uninstalled pynvml"})
    document = one(run("probe sink", PROBE, text, SINK, more=WITH, host=host), "W-HOST-DEGRADED")
    assert document["help"] == "install it: `pip install pynvml`"


def test_without_any_metric() -> None:
    """Whoever may not give any of its metrics is no use."""
    denied = 'host = { readable = ["/dev/gpu"] }'
    all_ = source("gpu", metric("a", more=denied), metric("b", more=denied))
    some = source("gpu", metric("a", more=denied), metric("b"))
    assert ordered(run("probe sink", PROBE, all_, SINK, more=WITH, host=BARE)) == ["probe", "sink"]
    assert ordered(run("probe sink", PROBE, some, SINK, more=WITH, host=BARE)) == ["probe", "gpu", "sink"]


def test_a_capability() -> None:
    """The best provider is taken; it is left out where none can be carried."""
    texts = (PROBE, giving("gpu", "energy", HOST), SINK)
    more = 'optional = ["energy"]\n'
    assert codes(run("probe sink", *texts, more=more, host=BARE)) == ["W-HOST-DEGRADED"]
    result = run("probe sink", *texts, giving("cpu", "energy"), more=more, host=BARE)
    assert result.require().document["plugins"][1]["plugin"] == "cpu"


@pytest.mark.parametrize("bringing", ['needs.capabilities = { gpu = "*" }', 'alias = ["gpu"]'])
def test_what_it_brings_cannot_be_carried(bringing: str) -> None:
    """Then it cannot be there either, with all of its group."""
    meter = source("meter", more=bringing)
    result = run("probe sink", PROBE, meter, GPU, SINK, more='optional = ["meter"]\n', host=BARE)
    assert ordered(result) == ["probe", "sink"]
    document = one(result, "W-HOST-DEGRADED")
    assert document["message"].startswith("`meter` is left out on this host: `gpu` cannot work on this host: ")
    assert result.require().document["considered"] == ["gpu", "meter"]


def test_what_is_asked_needs_it_too() -> None:
    """What cannot be done without is an error."""
    texts = (PROBE, needing("a", "gpu"), GPU, SINK)
    assert "E-HOST" in codes(run("a sink", *texts, more=WITH, host=BARE))


def test_what_is_wanted_needs_it_too() -> None:
    """So is a metric that only it gives."""
    more = WITH + 'want = ["gpu.value"]\n'
    assert "E-HOST" in codes(run("probe sink", PROBE, GPU, SINK, more=more, host=BARE))


def test_another_provider_takes_its_place() -> None:
    """A need that it would meet is met by what can be carried."""
    texts = (needing("a", "energy"), giving("gpu", "energy", HOST), giving("cpu", "energy"), SINK)
    assert ordered(run("a sink", *texts, more=WITH, host=FULL)) == ["a", "gpu", "sink"]
    result = run("a sink", *texts, more=WITH, host=BARE)
    assert ordered(result) == ["a", "energy", "sink"]
    assert codes(result) == ["W-HOST-DEGRADED"]


def test_words_about_it_are_no_fault() -> None:
    """Its configuration and its place in `order` wait for a host that carries it."""
    more = WITH + 'order = [["rate", "gpu", "probe"]]\nconfig.gpu.interval = "2s"\n'
    texts = (PROBE, GPU, filter_("rate"), SINK)
    result = run("probe rate sink", *texts, more=WITH + 'config.gpu.interval = "2s"\n', host=BARE)
    assert codes(result) == ["W-HOST-DEGRADED"]
    assert "W-ORDER-INERT" not in codes(run("probe rate sink", *texts, more=more, host=BARE))


def test_configuration_of_what_only_it_brings() -> None:
    """Of a member of its group as well."""
    texts = (PROBE, source("gpu", more=HOST + 'alias = ["x"]\n'), source("x"), SINK)
    more = WITH + 'config.x.interval = "2s"\n'
    assert codes(run("probe sink", *texts, more=more, host=BARE)) == ["W-HOST-DEGRADED"]


def test_an_unknown_plugin() -> None:
    """A word that means nothing is an error wherever it stands."""
    document = one(run("probe sink", PROBE, GPU, SINK, more='optional = ["gpv"]\n'), "E-PLUGIN-UNKNOWN")
    assert pointed(document, "probe sink", 'optional = ["gpv"]\n') == '"gpv"'
    assert "did you mean `gpu`?" in document["help"]


def test_asked_and_optional() -> None:
    """One instance cannot be both."""
    document = one(run("gpu sink", GPU, SINK, more=WITH, host=FULL), "E-DUPLICATE")
    assert pointed(document, "gpu sink", WITH) == '"gpu"'
    assert document["spans"][0]["line"] == 3


def test_its_other_faults_are_errors() -> None:
    """Only what this host lacks is put up with."""
    text = source("gpu", more='needs.capabilities = { telepathy = "*" }\n')
    assert codes(run("probe sink", PROBE, text, SINK, more=WITH, host=FULL)) == ["E-NEED-UNMET"]


def test_two_of_them() -> None:
    """Each for itself."""
    texts = (PROBE, GPU, source("net", more='needs.host = [{ readable = ["/net"] }]'), SINK)
    host = Recorded({("readable", "/dev/gpu"): "missing /dev/gpu", ("readable", "/net"): ""})
    result = run("probe sink", *texts, more='optional = ["gpu", "net"]\n', host=host)
    assert ordered(result) == ["probe", "net", "sink"]
    assert [shown(each)["code"] for each in result.diagnostics] == ["W-HOST-DEGRADED"]
