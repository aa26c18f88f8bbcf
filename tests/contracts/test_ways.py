"""What the help of a diagnostic names: filters that make what is wanted, and plugins that give what is not there."""

from __future__ import annotations

import pytest

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed, Recorded
from tests.contracts.build import (
    DIFFERENCE,
    RATE,
    SELECT,
    catalogue,
    filter_,
    giving,
    metric,
    needing,
    one,
    output,
    pointed,
    requests,
    rule,
    run,
    source,
)

SINK = output()
TICKS = source("ticks", metric("ticks.n", kind="delta", unit="{tick}", type_="u64"))
POWER = source("meter", metric("power", unit="W"))
MILLI = source("meter", metric("energy", unit="mJ", kind="delta", type_="u64"))
BOTH = source("meter", metric("power", unit="W"), metric("energy", unit="J"))
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
NAMED_RATE = filter_(
    "rate", rule("${config.metrics}", 'gives = { name = "${metric}.r", unit = "${unit}/s", kind = "gauge" }'),
    more='config.metrics = { type = "list<metric>" }',
)  # fmt: skip
WINDOWS = filter_(
    "a-windows",
    rule("*{kind=gauge}", 'kind = ["gauge"]\ngives = { name = "${metric}.m", type = "f64", interval = "9s" }'),
)
OPTION = 'config.metrics = { type = "list<metric>", default = ["*"] }'


COLOUR = 'config.colour = { type = "str", default = "" }'


def taking(more: str) -> str:
    """An output whose option selects what it takes, which has to be so."""
    return output("taker", rule("${config.metrics}", more), more=OPTION)


@pytest.mark.parametrize(
    ("texts", "demand", "help_"),
    [
        (
            (TICKS, NAMED_RATE, DIFFERENCE), 'kind = ["gauge"]',
            ('put `rate` before `taker` in `plugins`, and write `config.rate.metrics = ["ticks.n"]` and '
             '`config.taker.metrics = ["*{kind=gauge}"]`: `taker` gets `ticks.n.r` in `{tick}/s` then'),
        ),
        (
            (TICKS, DIFFERENCE), 'kind = ["gauge"]',
            "nothing that reaches `taker` is `gauge`: leave `taker` out, or add a source that gives what it takes",
        ),
        (
            (source("ticks", metric("n", type_="u64")), WINDOWS, CONVERT), 'type = ["f64"]',
            ("put `convert` before `taker` in `plugins`, and write "
             '`config.convert = { metrics = ["n"], unit = "1" }` and `config.taker.metrics = ["*{type=f64}"]`: '
             "`taker` gets `n.c` then"),
        ),
        (
            (POWER, INTEGRATE, CONVERT), 'unit = "J"',
            ('put `integrate` before `taker` in `plugins`, and write `config.integrate.metrics = ["power"]` and '
             '`config.taker.metrics = ["*{unit=J}"]`: `taker` gets `power.e` in `J` then'),
        ),
        (
            (BOTH, INTEGRATE, SELECT), 'unit = "J"',
            ('put `integrate` before `taker` in `plugins`, and write `config.integrate.metrics = ["power"]` and '
             '`config.taker.metrics = ["*{unit=J}"]`: `taker` gets `power.e` in `J` then; to leave `power` out '
             'instead, put `select` there and write `config.select.drop = ["power"]`'),
        ),
        (
            (BOTH, CONVERT, SELECT), 'unit = "J"',
            ('put `select` before `taker` in `plugins`, and write `config.select.drop = ["power"]`: no output gets '
             '`power` then'),
        ),
        (
            (MILLI, CONVERT), 'unit = "J"',
            ('put `convert` before `taker` in `plugins`, and write '
             '`config.convert = { metrics = ["energy"], unit = "J" }` and `config.taker.metrics = ["*", "!energy"]`: '
             "`taker` gets `energy.c` in `J` then"),
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(texts: tuple[str, ...], demand: str, help_: str) -> None:
    """The filter that changes the least, and all that is to be written for it; what does without only if it can."""
    name = "ticks" if "ticks" in texts[0] else "meter"
    [diagnostic] = run(f"{name} taker", *texts, taking(demand)).diagnostics
    assert diagnostic.help == help_


def test_what_another_output_takes_is_only_left_out() -> None:
    """Nothing has to be dropped that has a reader."""
    taker = taking('unit = "J"')
    document = one(run("meter taker sink", BOTH, INTEGRATE, SELECT, taker, SINK), "E-FLOW-UNIT")
    assert document["help"].endswith(
        '`taker` gets `power.e` in `J` then; `config.taker.metrics = ["*{unit=J}"]` alone leaves `power` out'
    )
    document = one(run("meter taker sink", BOTH, CONVERT, SELECT, taker, SINK), "E-FLOW-UNIT")
    assert document["help"] == (
        'leave `power` out: write `config.taker.metrics = ["*{unit=J}"]`: `taker` gets only `energy` then, `sink` '
        "still gets all of it"
    )
    assert run("meter taker sink", BOTH, taker, SINK, more='config.taker.metrics = ["*{unit=J}"]').plan is not None


@pytest.mark.parametrize("form", ["dotted", "inline", "header", "all inline"])
def test_what_the_help_says_mends(form: str) -> None:
    """It is written in the form that the mount file has: a dotted key that adds to an inline table is no TOML."""
    text = output("taker", rule("${config.metrics}", 'kind = ["gauge"]'), more=OPTION + "\n" + COLOUR)
    words, table = "ticks taker", 'config.taker.colour = "red"'
    more = {
        "dotted": table,
        "inline": 'config.taker = { colour = "red" }',
        "header": '[mounts."/host".config.taker]\ncolour = "red"',
        "all inline": 'config = { taker = { colour = "red" } }',
    }[form]
    help_ = one(run(words, TICKS, NAMED_RATE, text, more=more), "E-FLOW-KIND")["help"]
    rate, taker = {
        "dotted": ('config.rate.metrics = ["ticks.n"]', 'config.taker.metrics = ["*{kind=gauge}"]'),
        "inline": ('config.rate.metrics = ["ticks.n"]', 'metrics = ["*{kind=gauge}"]'),
        "header": ('metrics = ["ticks.n"]', 'metrics = ["*{kind=gauge}"]'),
        "all inline": ('rate = { metrics = ["ticks.n"] }', 'metrics = ["*{kind=gauge}"]'),
    }[form]
    places = {
        "dotted": ("", ""),
        "inline": ("", " inside the braces of `config.taker`"),
        "header": (' below `[mounts."/host".config.rate]`', ' below `[mounts."/host".config.taker]`'),
        "all inline": (" inside the braces of `config`", " inside the braces of `config.taker`"),
    }[form]
    assert help_ == (
        f"put `rate` before `taker` in `plugins`, and write `{rate}`{places[0]} and `{taker}`{places[1]}: "
        "`taker` gets `ticks.n.r` in `{tick}/s` then"
    )
    written = {
        "dotted": f"{table}\n{rate}\n{taker}",
        "inline": f'{rate}\nconfig.taker = {{ colour = "red", {taker} }}',
        "header": f'[mounts."/host".config.rate]\n{rate}\n[mounts."/host".config.taker]\ncolour = "red"\n{taker}',
        "all inline": f'config = {{ {rate}, taker = {{ colour = "red", {taker} }} }}',
    }[form]
    assert run("ticks rate taker", TICKS, NAMED_RATE, text, more=written).plan is not None


def test_a_filter_that_is_there() -> None:
    """Where what a filter was given goes on, its option is named, or what to select; no second filter is put in."""
    gives = 'keeps = "${config.keep}"\ngives = { name = "${metric}.r", kind = "gauge" }'
    keeping = filter_(
        "keeping", rule("${config.metrics}", gives),
        more='config.metrics = { type = "list<metric>" }\nconfig.keep = { type = "bool", default = true }',
    )  # fmt: skip
    more = 'config.keeping.metrics = ["ticks.n"]\n'
    taker = taking('kind = ["gauge"]')
    document = one(run("ticks keeping taker", TICKS, keeping, taker, more=more), "E-FLOW-KIND")
    head = "`keeping` is there and makes of it what `taker` takes, but what it was made of goes on, too: write "
    selection = '`config.taker.metrics = ["*{kind=gauge}"]`'
    assert document["help"] == f"{head}`config.keeping.keep = false` or {selection}"
    for line in ("config.keeping.keep = false\n", 'config.taker.metrics = ["*{kind=gauge}"]\n'):
        assert run("ticks keeping taker", TICKS, keeping, taker, more=more + line).plan is not None
    document = one(run("ticks keeping taker sink", TICKS, keeping, taker, SINK, more=more), "E-FLOW-KIND")
    assert document["help"] == f"{head}{selection}", "another output takes the delta"
    named = 'config.taker.metrics = ["ticks.n"]\n'
    document = one(run("ticks keeping taker sink", TICKS, keeping, taker, SINK, more=more + named), "E-FLOW-KIND")
    assert document["help"] == f'{head}`config.taker.metrics = ["ticks.n.r"]`'


def test_another_option_of_the_source() -> None:
    """Where nothing else can be done, the option with which the source gives what can be taken."""
    text = source(
        "ticks", metric("a", type_="i64", more='when = { count = "open" }'),
        metric("b", type_="u64", more='when = { count = ["came", "all"] }'),
        more='config.count = { type = "enum", values = ["open", "came", "all"], default = "open" }',
    )  # fmt: skip
    document = one(run("ticks taker", text, taking('type = ["u64"]')), "E-FLOW-TYPE")
    other = 'let `ticks` give something else: write `config.ticks.count = "came"`'
    assert document["help"] == (
        f"no filter makes of `a` what `taker` takes, and there is no other output for it, so that it is lost: {other}"
    )
    files = output("files", more='durability = "process"\nconfig.path = { type = "path" }')
    document = one(run("ticks taker", text, taking('type = ["u64"]'), SINK, files), "E-FLOW-TYPE")
    assert document["help"] == (
        "no filter makes of `a` what `taker` takes; to keep it, put `files` in the place of `taker`, and write "
        f'`config.files.path = "host.files"`; to keep `taker`, and lose `a`, {other}'
    ), "the one that promises more than `sink` comes first"
    assert run("ticks files", text, files, more='config.files.path = "host.files"\n').plan is not None
    reader = filter_("reader", rule("*", 'type = ["u64"]'))
    assert one(run("ticks reader sink", text, reader, SINK), "E-FLOW-TYPE")["help"] == other, "an output takes it"
    assert run("ticks taker", text, taking('type = ["u64"]'), more='config.ticks.count = "came"\n').plan is not None


def test_an_option_with_which_an_output_takes_all() -> None:
    """It comes first; behind it stands what is lost without it. All of a few metrics are named."""
    text = output(
        "wire", rule("${config.metrics}", 'type = ["u64"]\nwhen = { form = "whole" }'),
        rule("${config.metrics}", 'when = { form = "text" }'),
        more=OPTION + '\nconfig.form = { type = "enum", values = ["text", "whole"], default = "whole" }',
    )  # fmt: skip
    many = source("many", *(metric(f"m{place}") for place in range(4)), metric("n", type_="u64"))
    document = one(run("many wire sink", many, text, SINK), "E-FLOW-TYPE")
    assert "`m0`, `m1`, `m2`, `m3` as `f64`" in document["message"]
    assert document["help"] == (
        'let `wire` take that, too: write `config.wire.form = "text"`; to leave `m0`, `m1`, `m2`, `m3` out instead, '
        'write `config.wire.metrics = ["*{type=u64}"]`: `wire` gets only `n` then, '
        "`sink` still gets all of it"
    )
    assert run("many wire sink", many, text, SINK, more='config.wire.form = "text"\n').plan is not None


def test_an_option_with_which_an_output_takes_other_metrics_only() -> None:
    """It is not offered: what was taken has to be taken still."""
    text = output(
        "wire", rule("${config.metrics}", 'type = ["u64"]\nwhen = { form = "whole" }'),
        rule("${config.metrics}", 'type = ["f64"]\nwhen = { form = "real" }'),
        more=OPTION + '\nconfig.form = { type = "enum", values = ["real", "whole"], default = "whole" }',
    )  # fmt: skip
    both = source("both", metric("m"), metric("n", type_="u64"))
    document = one(run("both wire sink", both, text, SINK), "E-FLOW-TYPE")
    assert "config.wire.form" not in document["help"]


def test_a_unit_that_the_user_asks_for() -> None:
    """A filter whose option says the unit: that, and not the metric, may be what is wrong."""
    more = 'config.convert = { metrics = ["power"], unit = "s" }\n'
    document = one(run("meter convert sink", POWER, CONVERT, SINK, more=more), "E-FLOW-UNIT")
    assert document["help"] == (
        'write `unit = "W"` in the place of `unit` inside the braces of `config.convert`, or another unit that `power` '
        "can be converted to"
    )


def test_what_a_filter_could_take_instead() -> None:
    """Metrics of the wanted kind that reach a filter are named."""
    gauge = source("meter", metric("power", unit="W"), metric("steps", kind="delta"))
    more = 'config.sums.metrics = ["power"]\n'
    sums = filter_(
        "sums", rule("${config.metrics}", 'kind = ["delta"]\ngives = { name = "${metric}.sum" }'),
        more='config.metrics = { type = "list<metric>" }',
    )  # fmt: skip
    document = one(run("meter sums sink", gauge, sums, SINK, more=more), "E-FLOW-KIND")
    assert document["help"] == "take others by `config.sums.metrics`: `steps` are `delta`"


def test_an_output_without_an_option() -> None:
    """What its contract selects can only be dropped before it."""
    two = source("ticks", metric("ticks.n", kind="delta"), metric("ticks.level"))
    text = output("taker", rule("ticks.*", 'kind = ["gauge"]'))
    document = one(run("ticks taker", two, SELECT, text), "E-FLOW-KIND")
    assert document["help"] == (
        'put `select` before `taker` in `plugins`, and write `config.select.drop = ["ticks.n"]`: '
        "no output gets `ticks.n` then"
    )
    document = one(run("ticks taker", two, SELECT, NAMED_RATE, text), "E-FLOW-KIND")
    assert document["help"] == (
        'put `rate` and `select` before `taker` in `plugins`, and write `config.rate.metrics = ["ticks.n"]` and '
        '`config.select.drop = ["ticks.n"]`: `taker` gets `ticks.n.r` in `1/s` then'
    )
    more = 'config.rate.metrics = ["ticks.n"]\nconfig.select.drop = ["ticks.n"]\n'
    assert run("ticks rate select taker", two, SELECT, NAMED_RATE, text, more=more).plan is not None
    document = one(run("ticks taker", two, SELECT, RATE, text), "E-FLOW-KIND")
    assert document["help"] == (
        'put `rate` and `select` before `taker` in `plugins`, and write `config.select.drop = ["ticks.n"]`: '
        "`taker` gets `ticks.n.rate` in `1/s` then"
    )


def test_who_gives_what_is_not_there() -> None:
    """A plugin that is not mounted and gives the metric is named, whatever its conditions."""
    more = 'config.sink.metrics = ["ticks.*", "power{unit=W}"]\n'
    document = one(run("ticks sink", TICKS, POWER, SINK, more=more), "E-FLOW-EMPTY")
    assert document["help"] == "put into `plugins` what gives it: `meter`; metrics there are `ticks.n`"
    wild = 'config.sink.metrics = ["ticks.*", "pow*"]\n'
    document = one(run("ticks sink", TICKS, POWER, SINK, more=wild), "E-FLOW-EMPTY")
    assert document["help"] == "metrics there are `ticks.n`"


NOBODY = Recorded({("readable", "/dev/none"): "missing /dev/none"})
NEEDY = '[[needs.host]]\nname = "x"\nreadable = ["/dev/none"]\n'


def test_who_gives_it_is_sorted_by_what_is_to_be_done() -> None:
    """Who needs nothing comes first, then who needs options, with these; who cannot work on this host is told apart."""
    power = metric("power", unit="W")
    texts = [source("a-device", power, more=NEEDY), source("b-guess", power, more="config.tdp.type = 'quantity(W)'")]
    texts += [source("z-plain", power), TICKS, SINK]
    more = 'config.sink.metrics = ["ticks.*", "power"]\n'
    document = one(run("ticks sink", *texts, more=more, host=NOBODY), "E-FLOW-EMPTY")
    assert document["help"] == (
        'put into `plugins` what gives it: `z-plain` or `b-guess` with `config.b-guess.tdp` (such as `"10 W"`); or, '
        "once this host has what `meter doctor` names, `a-device`; metrics there are `ticks.n`"
    )
    document = one(run("ticks sink", *texts[:1], TICKS, SINK, more=more, host=NOBODY), "E-FLOW-EMPTY")
    assert document["help"] == (
        "put into `plugins` what gives it, once this host has what `meter doctor` names: `a-device`; metrics there are "
        "`ticks.n`"
    )


def test_who_provides_what_is_needed_is_told_with_the_options_that_it_needs() -> None:
    """A capability that several could provide, none of them by itself."""
    guess = giving("b-guess", "heat", 'status = ["example"]\nconfig.tdp.type = "quantity(W)"\n')
    plain = giving("z-plain", "heat", 'status = ["example"]\n')
    document = one(run("needy sink", needing("needy", "heat"), guess, plain, SINK), "E-NEED-UNMET")
    assert document["help"] == (
        'add one of these to the plugins: `z-plain`, `b-guess` with `config.b-guess.tdp` (such as `"10 W"`)'
    )


def test_what_goes_with_an_instance_that_is_left_out() -> None:
    """Its options as they are written, as those of an instance that is not there are refused."""
    rate = filter_("rate", rule("*{kind=delta}", 'kind = ["delta"]\ngives = { name = "${metric}.r" }'), more=COLOUR)
    more = 'config.rate.colour = "red"\nconfig.sink.metrics = ["ticks.n"]\n'
    document = one(run("ticks rate sink", TICKS, rate, SINK, more=more), "E-FLOW-UNREAD")
    assert document["help"].endswith("or leave `rate` and `config.rate` out")
    document = one(run("ticks rate#own sink", TICKS, rate, SINK, more=more.replace(".rate", ".own")), "E-FLOW-UNREAD")
    assert document["help"].endswith("or leave `rate#own` and `config.own` out")
    plain = 'config.sink.metrics = ["ticks.n"]\n'
    document = one(run("ticks rate sink", TICKS, rate, SINK, more=plain), "E-FLOW-UNREAD")
    assert document["help"].endswith("or leave `rate` out")
    rival = source("rival", more='conflicts = { ticks = "*" }\n' + COLOUR)
    document = one(run("ticks rival sink", TICKS, rival, SINK, more='config.rival.colour = "red"\n'), "E-CONFLICT")
    assert document["help"] == "leave `rival` and `config.rival` out, or `ticks`"


def test_what_goes_with_a_word_of_a_command() -> None:
    """Its options stand behind it; they are not repeated."""
    rate = filter_("rate", rule("*{kind=delta}", 'kind = ["delta"]\ngives = { name = "${metric}.r" }'), more=COLOUR)
    words = ["ticks", "rate", "colour=red", "sink", "metrics=ticks.n"]
    request, _ = from_words("/host", words, ["meter", "mount", "/host"])
    assert request is not None
    found = check(request, catalogue(TICKS, rate, SINK), Assumed())
    assert one(found, "E-FLOW-UNREAD")["help"].endswith("or leave `rate` and its options out")


def test_who_lets_it_not_go_on() -> None:
    """Behind a filter that keeps it to itself nothing of it is left; that filter is named."""
    scrub = filter_("scrub", rule("ticks.*", "keeps = false"), placement="prefilter")
    more = 'config.sink.metrics = ["power", "ticks.n"]\n'
    document = one(run("ticks meter scrub sink", TICKS, POWER, scrub, SINK, more=more), "E-FLOW-EMPTY")
    assert document["notes"] == ["`ticks.n` ends at `scrub`, which takes it and does not let it go on"]
    assert document["help"] == "let `scrub` keep it, or take something else; metrics there are `power`"


SCRUB = filter_(
    "scrub", rule("${config.drop}", "keeps = false"), more='config.drop = { type = "list<metric>" }',
    placement="prefilter",
)  # fmt: skip
SCRUBBED = 'config.scrub.drop = ["ticks.n"]\nconfig.rate.metrics = ["ticks.n"]\n'


def test_what_is_dropped_before_it_is_read() -> None:
    """A filter that drops it later keeps what was wished for: it comes first."""
    document = one(run("ticks scrub rate sink", TICKS, SCRUB, SELECT, NAMED_RATE, SINK, more=SCRUBBED), "E-FLOW-EMPTY")
    assert document["help"] == (
        "`scrub` drops it before `rate` reads it: to drop it only after that, put `select` in the place of `scrub`, "
        'and write `config.select.drop = ["ticks.n"]` in the place of `config.scrub`; or let `scrub` keep it: write '
        "`config.scrub.drop = []`"
    )
    more = SCRUBBED.replace("scrub", "select")
    assert run("ticks select rate sink", TICKS, SELECT, NAMED_RATE, SINK, more=more).plan is not None


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ("ticks scrub rate sink", 'order = [["scrub", "rate"]]\n'),
        ("ticks scrub rate all sink", 'config.all.metrics = ["*"]\n'),
    ],
)
def test_what_has_to_be_dropped_early_is_not_dropped_later(words: str, more: str) -> None:
    """Where an order is asked for, or another filter would get it, too, the filter that is there is to keep it."""
    every = filter_(
        "all", rule("${config.metrics}", 'gives = { name = "${metric}.all" }'),
        more='config.metrics = { type = "list<metric>" }',
    )  # fmt: skip
    found = run(words, TICKS, SCRUB, SELECT, NAMED_RATE, every, SINK, more=more + SCRUBBED)
    empty = [each for each in found.diagnostics if each.code == "E-FLOW-EMPTY"]
    assert empty
    assert all(each.help.startswith("let `scrub` keep it: write") for each in empty if "ticks.n" in each.message)


def test_an_origin_that_is_not_mounted() -> None:
    """It is in the catalogue, and can be mounted; or it is not, and nothing of what is there stands for it."""
    more = 'config.sink.metrics = ["*{origin=meter}"]\n'
    known = one(run("ticks sink", TICKS, POWER, SINK, more=more), "E-FLOW-EMPTY")
    other = 'or, for other data, write `config.sink.metrics = ["*{origin=ticks}"]`'
    assert known["help"] == f"put what gives it into `plugins`: `meter`; {other}"
    unknown = one(run("ticks sink", TICKS, SINK, more=more), "E-FLOW-EMPTY")
    assert unknown["help"] == (
        f"the catalogue has no plugin `meter`: add one that gives it (`--plugin-dir DIR`), {other}"
    )


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
    assert document["help"] == (
        "each makes what another one reads: take `a.p` out of what `b` selects or `b.n` out of what `a` selects"
    )


SITES = source(
    "tank", metric("volume", more='attributes = { site = "${config.sites}" }'),
    more='config.sites = { type = "list<str>", default = ["north", "south", "west"] }',
)  # fmt: skip
CLASH, DOUBLE = "E-FLOW-CLASH", "E-FLOW-DOUBLE"


def test_values_that_two_sources_divide() -> None:
    """Two instances of one source each take a part of the values, which is written out and tried."""
    document = one(run("tank#a tank#b sink", SITES, SINK), CLASH)
    settings = ('config.a.sites = ["north", "south"]', 'config.b.sites = ["west"]')
    assert document["help"] == (
        f"let each give series of its own: write `{settings[0]}` and `{settings[1]}`; or leave one out"
    )
    assert run("tank#a tank#b sink", SITES, SINK, more="\n".join(settings)).plan is not None
    more = 'config.a.sites = ["north"]\nconfig.b.sites = ["north"]'
    document = one(run("tank#a tank#b sink", SITES, SINK, more=more), CLASH)
    assert document["help"] == "let each have values of its own in `sites`, or leave one out"
    document = one(run("ticks#a ticks#b sink", TICKS, SINK), CLASH)
    assert document["help"] == "leave one out", "no option of theirs tells series apart"


@pytest.mark.parametrize(
    ("more", "settings", "left"),
    [
        ('config.a.sites = ["north", "east"]\n', 'config.b.sites = ["south", "west"]', ""),
        ('config.b.sites = ["north", "east"]\n', 'config.a.sites = ["south", "west"]', ""),
        (
            'config.a.sites = ["north", "south"]\nconfig.b.sites = ["south", "west"]\n',
            'config.b.sites = ["west"]',
            'config.a.sites = ["north", "south"]\n',
        ),
        (
            'config.a.sites = ["north", "south"]\nconfig.b.sites = ["south"]\n',
            'config.a.sites = ["north"]',
            'config.b.sites = ["south"]\n',
        ),
    ],
    ids=["the first", "the second", "both", "both, of which one has no rest"],
)
def test_what_is_written_is_kept(more: str, settings: str, left: str) -> None:
    """Whoever has values of its own keeps them, and the other one gets the rest: none is lost."""
    document = one(run("tank#a tank#b sink", SITES, SINK, more=more), CLASH)
    assert document["help"] == f"let each give series of its own: write `{settings}`; or leave one out"
    assert run("tank#a tank#b sink", SITES, SINK, more=f"{left or more}{settings}\n").plan is not None


def test_a_second_one_with_the_rest_of_the_values() -> None:
    """It is told at once how there can be one; where nothing is left it needs other values."""
    words, more = "tank tank sink", 'config.tank.sites = ["south", "east"]\n'
    document = one(run(words, SITES, SINK, more=more), "E-DUPLICATE")
    settings = 'config.other.sites = ["north", "west"]'
    assert document["help"] == (
        "leave one out; for a second one with options of its own put `tank#other` in the place of one, and write "
        f"`{settings}`"
    )
    assert run("tank tank#other sink", SITES, SINK, more=more + settings).plan is not None
    assert "`tank#other`, with its options" in one(run(words, SITES, SINK), "E-DUPLICATE")["help"]


def test_results_of_two_filters_have_two_names() -> None:
    """The option that is a part of the name keeps them apart."""
    text = filter_(
        "sums", rule("${config.metrics}", 'gives = { name = "${metric}.sum${config.suffix}", kind = "delta" }'),
        more='config.metrics = { type = "list<metric>" }\nconfig.suffix = { type = "str", default = "" }',
    )  # fmt: skip
    more = 'config.a.metrics = ["ticks.n"]\nconfig.b.metrics = ["ticks.n"]\n'
    document = one(run("ticks sums#a sums#b sink", TICKS, text, SINK, more=more), CLASH)
    assert document["help"] == 'let each give series of its own: write `config.b.suffix = ".b"`; or leave one out'
    assert run("ticks sums#a sums#b sink", TICKS, text, SINK, more=more + 'config.b.suffix = ".b"').plan is not None


def test_one_name_in_two_shapes() -> None:
    """Of two instances of one plugin the option in which they differ is named; else nothing is known of it."""
    text = source(
        "line", metric("n", type_="i64", more='when = { whole = true }\nattributes = { line = "${config.lines}" }'),
        metric("n", more='when = { whole = false }\nattributes = { line = "${config.lines}" }'),
        more='config.whole = { type = "bool", default = false }\nconfig.lines = { type = "list<str>" }',
    )  # fmt: skip
    more = 'config.a = { lines = ["a"], whole = true }\nconfig.b.lines = ["b"]\n'
    document = one(run("line#a line#b sink", text, SINK, more=more), CLASH)
    assert document["help"].startswith("a name has one type, unit and kind in a backend: ")
    assert document["help"].endswith(
        "; or configure both alike (`config.b.whole = true`, or `whole = false` in the place of `whole` inside the "
        "braces of `config.a`), or leave one out"
    )
    assert run("line#a line#b sink", text, SINK, more=more + "config.b.whole = true\n").plan is not None
    assert run("line#a line#b sink", text, SINK, more=more.replace("true", "false")).plan is not None
    other = source("other", metric("ticks.n", unit="W"))
    document = one(run("ticks other sink", TICKS, other, SINK), CLASH)
    assert document["help"].endswith("; or configure both alike, or leave one out")


def test_names_that_fall_on_one() -> None:
    """One of the two is renamed where an option does that, left out of the selection, or dropped before the output."""
    names = 'names = "prometheus"\n'
    both = source("twin", metric("a.b"), metric("a_b"))
    prom = output("prom", more=names)
    document = one(run("twin prom sink", both, SELECT, prom, SINK), CLASH)
    assert document["help"] == 'leave `a_b` out: write `config.prom.metrics = ["*", "!a_b"]`'
    assert run("twin prom sink", both, prom, SINK, more='config.prom.metrics = ["*", "!a_b"]').plan
    fixed = output("prom", rule("*"), more=names)
    document = one(run("twin prom", both, SELECT, fixed), CLASH)
    assert document["help"] == (
        'drop `a_b` before `prom`: put `select` before it, and write `config.select.drop = ["a_b"]`'
    )
    assert run("twin select prom", both, SELECT, fixed, more='config.select.drop = ["a_b"]').plan is not None
    more = 'config.select.drop = ["x"]\n'
    three = source("twin", metric("a.b"), metric("a_b"), metric("x"))
    document = one(run("twin select prom", three, SELECT, fixed, more=more), CLASH)
    assert document["help"] == 'drop `a_b` before `prom`: write `config.select.drop = ["x", "a_b"]`'
    named = source(
        "twin", metric("a.b"), metric("${config.other}"),
        more='config.other = { type = "list<str>", default = ["a_b"] }',
    )  # fmt: skip
    document = one(run("twin prom", named, output("prom", more=names)), CLASH)
    assert document["help"].startswith('give `a_b` another name: write `config.twin.other = ["a_b.other"]`, or ')


def test_what_is_no_part_of_another() -> None:
    """Of values in a tree all that lie in no other one there are selected: nothing is lost, nothing is twice."""
    rapl = source("rapl", metric("hw.energy", kind="delta", unit="J", more=(
        'attributes = { domain = ["package", "core", "uncore", "dram"] }\n'
        'parts = { domain = { core = "package", uncore = "package" } }'
    )))  # fmt: skip
    total = filter_(
        "total",
        rule("${config.metrics}", 'gives = { name = "${metric}.all", drop = ["domain"], merge = "sum" }'),
        more='config.metrics = { type = "list<metric>" }',
    )
    document = one(run("rapl total sink", rapl, total, SINK, more='config.total.metrics = ["hw.energy"]'), DOUBLE)
    settings = 'config.total.metrics = ["hw.energy{domain=dram|package}"]'
    assert document["help"] == f"select only what is no part of another: `{settings}`"
    assert run("rapl total sink", rapl, total, SINK, more=settings).plan is not None
    document = one(run("rapl total sink", rapl, total, SINK, more='config.total.metrics = ["hw.*"]'), DOUBLE)
    assert document["help"] == "select only what is no part of another: `hw.energy{domain=dram|package}`"


def test_what_none_of_the_metrics_is() -> None:
    """A condition that nothing meets is told with what there is."""
    more = 'config.sink.metrics = ["*{origin=mysql}"]\n'
    document = one(run("ticks sink", TICKS, SINK, more=more), "E-FLOW-EMPTY")
    assert document["notes"] == ["none of the metrics has the origin `mysql`: there is `ticks`"]
    assert document["help"].endswith('or, for other data, write `config.sink.metrics = ["*{origin=ticks}"]`')
    assert run("ticks sink", TICKS, SINK, more='config.sink.metrics = ["*{origin=ticks}"]').plan is not None


def test_the_option_by_which_a_filter_keeps_it() -> None:
    """What a filter does not let go on is kept by an option of it, where it has one."""
    scrub = filter_(
        "scrub", rule("${config.drop}", "keeps = false"), placement="prefilter",
        more='config.drop = { type = "list<metric>" }',
    )  # fmt: skip
    more = 'config.sink.metrics = ["power", "ticks.n"]\nconfig.scrub.drop = ["ticks.n", "ticks.*"]\n'
    document = one(run("ticks meter scrub sink", TICKS, POWER, scrub, SINK, more=more), "E-FLOW-EMPTY")
    assert document["help"].startswith(
        'let `scrub` keep it: write `config.scrub.drop = ["ticks.*"]`; or take something'
    )
    keeping = filter_(
        "scrub", rule("ticks.*", 'keeps = "${config.keep}"'), placement="prefilter",
        more='config.keep = { type = "bool", default = false }',
    )  # fmt: skip
    more = 'config.sink.metrics = ["power", "ticks.n"]\n'
    document = one(run("ticks meter scrub sink", TICKS, POWER, keeping, SINK, more=more), "E-FLOW-EMPTY")
    assert document["help"].startswith("let `scrub` keep it: write `config.scrub.keep = true`; or take something")


def test_what_nobody_takes() -> None:
    """An output that could take it, the filter that drops it, or leave out who gives it: each is written out."""
    more = 'config.sink.metrics = ["ticks.n"]\n'
    document = one(run("ticks meter sink", TICKS, POWER, SELECT, SINK, more=more), "E-FLOW-UNREAD")
    take, drop = 'config.sink.metrics = ["ticks.n", "power"]', 'config.select.drop = ["power"]'
    assert document["help"] == (
        f"let `sink` take it, too: write `{take}`; drop it: put `select` into the plugins, and write `{drop}`; "
        "or leave `meter` out"
    )
    assert run("ticks meter sink", TICKS, POWER, SINK, more=take).plan is not None
    assert run("ticks meter select sink", TICKS, POWER, SELECT, SINK, more=more + drop).plan is not None
    more = 'config.sink.metrics = ["!power"]\n'
    document = one(run("ticks meter sink", TICKS, POWER, SELECT, SINK, more=more), "E-FLOW-UNREAD")
    assert document["help"].startswith('let `sink` take it, too: write `config.sink.metrics = ["*"]`; ')
    more = 'config.sink.metrics = ["!pow*"]\n'
    document = one(run("ticks meter sink", TICKS, POWER, SELECT, SINK, more=more), "E-FLOW-UNREAD")
    assert document["help"].startswith("drop it: "), "a pattern leaves it out"


def test_a_version_that_is_there_is_told_beside_the_one_that_is_needed() -> None:
    """Who provides the other version is replaced, not joined by the right one."""
    need = source("a", more='needs.capabilities = { spans = ">=2" }')
    old, new = giving("old", "spans", version="1.4"), giving("new", "spans", 'status = ["example"]', version="2.1")
    document = one(run("old a sink", need, old, new, SINK), "E-NEED-UNMET")
    assert document["message"] == "`a` needs `spans` >=2, and `old` provides 1.4"
    assert document["help"] == "put `new` in the place of `old`"
    document = one(run("old a sink", need, old, SINK), "E-NEED-UNMET")
    assert document["help"] == "take a version of `old` that provides >=2"


@pytest.mark.parametrize("words", ["old older a sink", "older old a sink"])
def test_of_several_wrong_versions_the_same_is_told_in_any_order(words: str) -> None:
    """Which of them is named does not follow from where they stand in `plugins`."""
    need = source("a", more='needs.capabilities = { spans = ">=2" }')
    old, older = giving("old", "spans", version="1.4"), giving("older", "spans", version="1.3")
    document = one(run(words, need, old, older, SINK), "E-NEED-UNMET")

    assert document["message"] == "`a` needs `spans` >=2, and `old` provides 1.4"


def test_another_port() -> None:
    """A port is told with the option that it comes from."""
    server = output(
        "server", more='claims = ["tcp:${config.listen}"]\nconfig.listen = { type = "str", default = "h:90" }'
    )
    document = one(run("meter server#a server#b", POWER, server), "E-CLAIM")
    assert document["help"] == 'let `b` take another port: write `config.b.listen = "h:91"`'
    assert run("meter server#a server#b", POWER, server, more='config.b.listen = "h:91"').plan is not None
    server = output("server", more='claims = ["tcp:h:${config.port}"]\nconfig.port = { type = "int", default = 90 }')
    document = one(run("meter server#a server#b", POWER, server), "E-CLAIM")
    assert document["help"] == "let `b` take another port: write `config.b.port = 91`"
    server = output("server", more='claims = ["tcp:h:90"]')
    assert one(run("meter server#a server#b", POWER, server), "E-CLAIM")["help"] == (
        "give each of them one of its own, or leave one out"
    )


def test_outputs_to_add_are_told_with_their_options() -> None:
    """Whoever adds one should not be refused for the next reason."""
    files = output("files", more='config.path = { type = "path" }\nconfig.size = { type = "size", min = "1KiB" }')
    document = one(run("meter", POWER, files, SINK), "E-ROLE-COUNT")
    assert document["help"] == (
        "a backend needs at least one output; add one to the plugins, such as "
        '`files` with `config.files.path = "host.files"` and `config.files.size = "1KiB"`, `sink`'
    )


def test_an_order_is_shown_with_labels_that_are_there() -> None:
    """The example is one that can be copied."""
    _, found = requests('[mounts."/host"]\nplugins = ["meter", "rate", "select", "sink"]\norder = "1"\n')
    assert [each.help for each in found] == ['leave it out, or write order = [["rate", "select"]]']


def test_the_least_value_is_said_at_once() -> None:
    """Not only when the next value is refused, too."""
    slow = source("slow", more='config.interval = { type = "duration", default = "1s", min = "10ms" }')
    document = one(run("slow sink", slow, SINK, more="config.slow.interval = 0\n"), "E-CONFIG-TYPE")
    assert document["help"].endswith('the larger unit first; at least "10ms"')


def test_one_filter_for_each_unit() -> None:
    """A conversion has one unit: of metrics in two there are two, and both are written out."""
    two = source("ticks", metric("a", unit="By", type_="u64"), metric("b", unit="s", type_="u64"))
    document = one(run("ticks taker", two, CONVERT, taking('type = ["f64"]')), "E-FLOW-TYPE")
    settings = (
        'config.convert-1 = { metrics = ["a"], unit = "By" }',
        'config.convert-2 = { metrics = ["b"], unit = "s" }',
        'config.taker.metrics = ["*{type=f64}"]',
    )
    assert document["help"] == (
        "put `convert#convert-1` and `convert#convert-2` before `taker` in `plugins`, and write "
        + " and ".join(f"`{each}`" for each in settings)
        + ": `taker` gets `a.c` and `b.c` then"
    )
    words = "ticks convert#convert-1 convert#convert-2 taker"
    assert run(words, two, CONVERT, taking('type = ["f64"]'), more="\n".join(settings)).plan is not None


def test_one_filter_for_all_that_is_wrong_in_the_same_way() -> None:
    """Deltas and counters are two diagnostics with one help, as one filter takes both."""
    both = source("ticks", metric("a", kind="delta"), metric("b", kind="counter"))
    helps = {each.help for each in run("ticks taker", both, NAMED_RATE, taking('kind = ["gauge"]')).diagnostics}
    settings = ('config.rate.metrics = ["a", "b"]', 'config.taker.metrics = ["*{kind=gauge}"]')
    help_ = (
        f"put `rate` before `taker` in `plugins`, and write `{settings[0]}` and `{settings[1]}`: "
        "`taker` gets `a.r` in `1/s` and `b.r` in `1/s` then"
    )
    assert helps == {help_}
    assert run("ticks rate taker", both, NAMED_RATE, taking('kind = ["gauge"]'), more="\n".join(settings)).plan


def test_what_else_is_wrong_does_not_end_unread() -> None:
    """A selection that mends one metric leaves out no other one that nobody else takes."""
    both = source("ticks", metric("a", kind="delta"), metric("b", kind="counter"))
    difference = filter_(
        "difference", rule("${config.metrics}", 'kind = ["counter"]\ngives = { name = "${metric}.d", kind = "gauge" }'),
        more='config.metrics = { type = "list<metric>" }',
    )  # fmt: skip
    found = run("ticks taker", both, difference, taking('kind = ["gauge"]')).diagnostics
    [help_] = [each.help for each in found if "`b`" in each.message]
    assert help_.endswith('`config.taker.metrics = ["*", "!b"]`: `taker` gets `b.d` then')


def test_a_filter_of_no_use() -> None:
    """Where nothing is what a filter takes, no list of metrics is held out."""
    rate = filter_(
        "rate", rule("${config.metrics}", 'kind = ["delta", "counter"]\ngives = { name = "${metric}.r" }'),
        more='config.metrics = { type = "list<metric>" }',
    )  # fmt: skip
    more = 'config.rate.metrics = ["*{kind=delta}"]\n'
    document = one(run("meter rate sink", POWER, rate, SINK, more=more), "E-FLOW-EMPTY")
    assert document["help"] == (
        "nothing that reaches `rate` is `delta` or `counter`: leave `rate` and `config.rate` out, or add a source that "
        "gives what it takes"
    )
    two = source("meter", metric("power", unit="W"), metric("steps", kind="counter"))
    document = one(run("meter rate sink", two, rate, SINK, more=more), "E-FLOW-EMPTY")
    assert document["help"] == "metrics there are `steps`", "those alone that it can take"
