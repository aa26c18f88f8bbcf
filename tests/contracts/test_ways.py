"""What the help of a diagnostic names: filters that make what is wanted, and plugins that give what is not there."""

from __future__ import annotations

import pytest

from meter.contracts.host import Assumed
from tests.contracts.build import (
    DIFFERENCE,
    RATE,
    filter_,
    metric,
    one,
    output,
    pointed,
    rule,
    run,
    source,
)

SINK = output()
TICKS = source("ticks", metric("ticks.n", kind="delta", unit="{tick}", type_="u64"))
POWER = source("meter", metric("power", unit="W"))
MILLI = source("meter", metric("energy", unit="mJ", kind="delta", type_="u64"))
INTEGRATE = filter_(
    "integrate", rule("${config.metrics}", 'unit = "W"\ngives = { name = "${metric}.e", unit = "J", kind = "delta" }'),
    more='config.metrics = { type = "list<metric>" }',
)  # fmt: skip
CONVERT = filter_(
    "convert",
    rule("${config.metrics}", 'unit = "${config.unit}"\n'
         'gives = { name = "${metric}.c", type = "f64", unit = "${config.unit}" }'),
    more='config.metrics = { type = "list<metric>" }\nconfig.unit = { type = "unit" }',
)  # fmt: skip
WINDOWS = filter_(
    "a-windows",
    rule("*{kind=gauge}", 'kind = ["gauge"]\ngives = { name = "${metric}.m", type = "f64", interval = "9s" }'),
)
OPTION = 'config.metrics = { type = "list<metric>", default = ["*"] }'


def taking(more: str) -> str:
    """An output whose option selects what it takes, which has to be so."""
    return output("taker", rule("${config.metrics}", more), more=OPTION)


@pytest.mark.parametrize(
    ("texts", "demand", "help_"),
    [
        (
            (TICKS, RATE, DIFFERENCE), 'kind = ["gauge"]',
            ("put `rate` before `taker` and take what it gives, or leave them to others: "
             '`config.taker.metrics = ["*{kind=gauge}"]`'),
        ),
        (
            (TICKS, DIFFERENCE), 'kind = ["gauge"]',
            'take metrics of another kind: `config.taker.metrics = ["*{kind=gauge}"]`',
        ),
        (
            (source("ticks", metric("n", type_="u64")), WINDOWS, CONVERT), 'type = ["f64"]',
            ("put `convert` before `taker` and take what it gives, or leave them to others: "
             '`config.taker.metrics = ["*{type=f64}"]`'),
        ),
        (
            (POWER, INTEGRATE, CONVERT), 'unit = "J"',
            ("put `integrate` before `taker`, or take metrics of its dimension: "
             '`config.taker.metrics = ["*{unit=J}"]`'),
        ),
        (
            (POWER, CONVERT, RATE), 'unit = "J"',
            'take metrics of its dimension: `config.taker.metrics = ["*{unit=J}"]`',
        ),
    ],
)  # fmt: skip
def test_the_filter_that_changes_the_least(texts: tuple[str, ...], demand: str, help_: str) -> None:
    """It takes what is there and makes of it what is wanted; the other way is written out."""
    name = "ticks" if "ticks" in texts[0] else "meter"
    [diagnostic] = run(f"{name} taker", *texts, taking(demand)).diagnostics
    assert diagnostic.help == help_


def test_whole_numbers_are_not_scaled() -> None:
    """The unit is the fault: of the same dimension, but nothing is rounded unasked."""
    document = one(run("meter taker", MILLI, CONVERT, taking('unit = "J"')), "E-FLOW-UNIT")
    message = "`taker` cannot take `energy` in `mJ`, it needs `J`: a whole number (`u64`) is not scaled"
    assert (document["message"], document["help"]) == (message, "put `convert` before `taker`, to `J`")
    assert pointed(document, "meter taker") == '"taker"'


def test_a_literal_rule_names_the_selector_alone() -> None:
    """Where no option selects there is nothing to write."""
    text = output("taker", rule("ticks.*", 'kind = ["gauge"]'))
    document = one(run("ticks taker", TICKS, text), "E-FLOW-KIND")
    assert document["help"] == "take metrics of another kind: `*{kind=gauge}`"


def test_who_gives_what_is_not_there() -> None:
    """A plugin that is not mounted and gives the metric is named, whatever its conditions."""
    more = 'config.sink.metrics = ["ticks.*", "power{unit=W}"]\n'
    document = one(run("ticks sink", TICKS, POWER, SINK, more=more), "E-FLOW-EMPTY")
    assert document["help"] == "put into `plugins` what gives it: `meter`; metrics there are `ticks.n`"
    wild = 'config.sink.metrics = ["ticks.*", "pow*"]\n'
    document = one(run("ticks sink", TICKS, POWER, SINK, more=wild), "E-FLOW-EMPTY")
    assert document["help"] == "metrics there are `ticks.n`"


def test_who_lets_it_not_go_on() -> None:
    """Behind a filter that keeps it to itself nothing of it is left; that filter is named."""
    scrub = filter_("scrub", rule("ticks.*", "keeps = false"), placement="prefilter")
    more = 'config.sink.metrics = ["power", "ticks.n"]\n'
    document = one(run("ticks meter scrub sink", TICKS, POWER, scrub, SINK, more=more), "E-FLOW-EMPTY")
    assert document["notes"] == ["`ticks.n` ends at `scrub`, which takes it and does not let it go on"]
    assert document["help"] == "let `scrub` keep it, or take something else; metrics there are `power`"


def test_what_two_givers_have_in_common() -> None:
    """The values that both can give are told, as they are what has to be told apart."""
    p, q = (source(name, metric("x", more=f'attributes = {{ site = ["{name}", "both"] }}')) for name in ("p", "q"))
    document = one(run("p q sink", p, q, SINK), "E-FLOW-CLASH")
    assert document["notes"] == ["both can give it with resource machine, consumer machine, site is both"]


def test_a_ring_of_what_is_read_shows_where_it_is_asked() -> None:
    """Filters whose options select each other's results: the items are pointed at."""
    more = 'config.a.metrics = ["power", "b.n"]\nconfig.b.metrics = ["ticks.n", "a.p"]\n'
    a, b = (
        filter_(name, rule("${config.metrics}", f'gives = {{ name = "{gives}" }}'),
                more='config.metrics = { type = "list<metric>" }')
        for name, gives in (("a", "a.p"), ("b", "b.n"))
    )  # fmt: skip
    document = one(run("meter ticks a b sink", POWER, TICKS, a, b, SINK, more=more, host=Assumed()), "E-CYCLE")
    words = "meter ticks a b sink"
    assert [pointed(document, words, more, place) for place in range(3)] == ['"a"', '"a.p"', '"b.n"']
    assert document["help"] == "let one of them read something else: each makes what another one reads"


def test_how_long_a_window_has_to_be() -> None:
    """Where one option is compared, what it has to be is said."""
    text = filter_(
        "w", rule("*", 'require = ["config.window >= 3 * interval"]\ngives = { name = "${metric}.w" }'),
        more='config.window = { type = "duration" }',
    )  # fmt: skip
    more = 'config.meter.interval = "10s"\nconfig.w.window = "20s"\n'
    document = one(run("meter w sink", POWER, text, SINK, more=more), "E-CONSTRAINT")
    assert document["help"] == "change `window` to `30s` or more"


def test_outputs_that_promise_enough_are_named() -> None:
    """Three of them, by name; where there is none the demand is what can be changed."""
    good = [output(f"safe-{n}", more='durability = "power"') for n in range(4)]
    demand = 'durability = "process"\n'
    document = one(run("meter sink", POWER, SINK, *good, more=demand), "E-DURABILITY")
    assert (
        document["help"]
        == "take an output that promises `process`, such as `safe-0`, `safe-1`, `safe-2`, or demand less"
    )
    document = one(run("meter sink", POWER, SINK, more=demand), "E-DURABILITY")
    assert document["help"] == "take an output that promises `process`, or demand less"
