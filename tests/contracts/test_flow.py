"""Flow: which metrics there are behind each hop, and that a hop which cannot take them is named."""

import pytest

from tests.contracts.build import (
    DIFFERENCE,
    RATE,
    SELECT,
    codes,
    filter_,
    metric,
    one,
    ordered,
    output,
    pointed,
    rule,
    run,
    said,
    source,
)

ENERGY = metric("hw.energy", kind="delta", unit="J", more='attributes = { domain = ["core", "dram"] }')
POWER = metric("hw.power", unit="W")
SOURCE = source("hw", ENERGY, POWER)
SINK = output()


def schema(words: str, *texts: str, more: str = "", of: str = "sink") -> dict[str, tuple[str, str, str]]:
    """What reaches the output: name -> type, unit, kind."""
    result = run(words, *texts, more=more)
    assert result.plan is not None, said(result)
    return {m["metric"]: (m["type"], m["unit"], m["kind"]) for m in result.plan.document["schema"][of]}


class TestSchema:
    """What a chain gives."""

    def test_through_filters(self) -> None:
        """Units, types and kinds follow the rules."""
        raw = source("raw", metric("a", kind="counter", unit="By", type_="u64"))
        assert schema("raw difference rate sink", raw, DIFFERENCE, RATE, SINK) == {
            "a": ("u64", "By", "counter"),
            "a.delta": ("u64", "By", "delta"),
            "a.delta.rate": ("f64", "By/s", "gauge"),
        }

    def test_select_drops(self) -> None:
        """`!` keeps: all but what is named is dropped."""
        assert list(schema("hw select sink", SOURCE, SELECT, SINK, more='config.select.drop = ["*.power"]')) == [
            "hw.energy"
        ]
        assert list(schema("hw select sink", SOURCE, SELECT, SINK, more='config.select.drop = ["!*.power"]')) == [
            "hw.power"
        ]

    def test_an_output_gets_what_it_selects(self) -> None:
        """`metrics` of an output is its routing."""
        more = 'config.sink = { metrics = ["*{kind=gauge}"] }\nconfig.all = {}'
        assert list(schema("hw sink sink#all", SOURCE, SINK, more=more)) == ["hw.power"]
        assert len(schema("hw sink sink#all", SOURCE, SINK, more=more, of="all")) == 2

    def test_options_make_names_and_values(self) -> None:
        """One metric for each item, one value for each item."""
        disks = source(
            "disks",
            metric("disk.${config.names}.io", more='attributes = { device = "${config.names}" }'),
            more='config.names = { type = "list<str>", default = ["sda", "sdb"] }',
        )
        assert list(schema("disks sink", disks, SINK)) == ["disk.sda.io", "disk.sdb.io"]
        assert list(schema("disks sink", disks, SINK, more='config.disks.names = ["nvme0"]')) == ["disk.nvme0.io"]

    @pytest.mark.parametrize(("given", "there"), [("1s", True), ("1000ms", True), ("2s", True), ("3s", False)])
    def test_guards_compare_values_not_texts(self, given: str, there: bool) -> None:  # noqa: FBT001 one column of a table
        """A duration in a guard is a duration."""
        text = source("p", metric("p.a"), metric("p.b", more='when = { interval = ["1s", "2000ms"] }'))
        assert ("p.b" in schema("p sink", text, SINK, more=f'config.p.interval = "{given}"')) == there

    def test_a_guarded_rule(self) -> None:
        """A rule exists only while its guard holds."""
        text = filter_(
            "f",
            rule("*", 'when = { on = true }\ngives = { name = "${metric}.f" }'),
            more='config.on = { type = "bool", default = false }',
        )
        assert len(schema("hw f sink", SOURCE, text, SINK)) == 2
        assert len(schema("hw f sink", SOURCE, text, SINK, more="config.f.on = true")) == 4


class TestDemands:
    """What an output or filter cannot take."""

    @pytest.mark.parametrize(
        ("demand", "code", "clause", "words"),
        [
            ('kind = ["gauge", "counter"]', "E-FLOW-KIND", "kind", ["`delta`", "`gauge` or `counter`"]),
            ('type = ["u64"]', "E-FLOW-TYPE", "type", ["`f64`", "`u64`"]),
            ('unit = "W"', "E-FLOW-UNIT", "unit", ["`J`", "`W`"]),
            ('resource = ["gpu"]', "E-FLOW-IDENTITY", "resource", ["`machine`", "`gpu`"]),
            ('consumer = ["process"]', "E-FLOW-IDENTITY", "consumer", ["`process`"]),
            ('attributes = ["pid"]', "E-FLOW-IDENTITY", "attributes", ["no attribute `pid`"]),
            ("additive = false", "E-FLOW-KIND", "additive", ["an additive metric"]),
        ],
    )
    def test_is_named(self, demand: str, code: str, clause: str, words: list[str]) -> None:
        """Both places: who selected it, and the clause that demands; with where the metric comes from."""
        result = run("hw sink", SOURCE, output("sink", rule("hw.energy", demand), rule("*")))
        document = one(result, code)
        assert pointed(document, "hw sink") == '"sink"'
        assert document["spans"][1]["file"] == "sink/contract.toml"
        assert document["clause"] == f"needs.metrics.{clause}"
        assert all(word in document["message"] for word in words)
        assert document["notes"][0].startswith("`hw.energy` is `delta`, `f64`, in `J` since `hw`")

    def test_the_users_item_is_pointed_at(self) -> None:
        """Where the request selected it, there it can be changed."""
        text = output("sink", rule("${config.metrics}", 'kind = ["gauge"]'))
        more = 'config.sink.metrics = ["hw.power", "hw.energy"]\n'
        assert pointed(one(run("hw sink", SOURCE, text, more=more), "E-FLOW-KIND"), "hw sink", more) == '"hw.energy"'

    def test_a_single_selector_is_pointed_at(self) -> None:
        """Also where the option is no list."""
        text = output(
            "sink", rule("${config.one}", 'kind = ["gauge"]'), rule("*"), more='config.one = { type = "metric" }'
        )
        more = 'config.sink.one = "hw.energy"\n'
        assert pointed(one(run("hw sink", SOURCE, text, more=more), "E-FLOW-KIND"), "hw sink", more) == '"hw.energy"'

    def test_a_filter_that_helps_is_offered(self) -> None:
        """The catalogue has what makes the wanted kind of it."""
        result = run("hw sink", SOURCE, RATE, output("sink", rule("*", 'kind = ["gauge"]')))
        assert one(result, "E-FLOW-KIND")["help"].startswith("put `rate` before `sink`")

    def test_values_are_scaled_by_a_factor_only(self) -> None:
        """KJ from J, but never K from Cel: that would need an offset."""
        assert schema("hw sink", SOURCE, output("sink", rule("hw.energy", 'unit = "kJ"'), rule("*")))
        warm = source("warm", metric("t", unit="Cel"))
        document = one(run("warm sink", warm, output("sink", rule("t", 'unit = "K"'))), "E-FLOW-UNIT")
        assert "no factor leads from `Cel` to `K`: " in document["help"]
        assert schema("warm sink", warm, output("sink", rule("t", 'unit = "Cel"')))

    @pytest.mark.parametrize(("kind", "taken"), [("gauge", True), ("delta", False)])
    def test_a_rule_that_gives_the_unit_converts_temperatures(self, kind: str, taken: bool) -> None:  # noqa: FBT001 one column of a table
        """The user sees the new unit; but what a temperature rose by is no temperature."""
        warm = source("warm", metric("t", unit="Cel", kind=kind))
        text = filter_("f", rule("t", 'unit = "K"\ngives = { name = "${metric}.k", unit = "K" }'))
        assert codes(run("warm f sink", warm, text, SINK)) == ([] if taken else ["E-FLOW-UNIT"])

    def test_many_metrics_are_one_diagnostic(self) -> None:
        """One selector took too much: that is one cause."""
        many = source("many", *(metric(f"m{place}", kind="delta") for place in range(7)))
        document = one(run("many sink", many, output("sink", rule("*", 'kind = ["gauge"]'))), "E-FLOW-KIND")
        assert "`m0`, `m1`, `m2` and 4 more" in document["message"]

    @pytest.mark.parametrize("words", ["p q sink", "q p sink"])
    def test_two_causes_are_two_whatever_the_order(self, words: str) -> None:
        """Of one metric each wrong part is said; which does not depend on positions."""
        p = source("p", metric("x", more='resource = ["cpu_core"]'))
        q = source("q", metric("x", more='resource = ["gpu"]'))
        result = run(words, p, q, output("sink", rule("x", 'resource = ["machine"]')))
        assert codes(result) == ["E-FLOW-IDENTITY", "E-FLOW-IDENTITY"]
        assert sorted("cpu_core" in text for text in said(result)) == [False, True]

    @pytest.mark.parametrize("words", ["hw f g sink", "hw g f sink"])
    def test_two_that_cannot_take_it_are_both_named(self, words: str) -> None:
        """Mending one does not mend the other."""
        demand = 'kind = ["gauge"]\ngives = { name = "${metric}.x" }'
        texts = (filter_("f", rule("hw.energy", demand)), filter_("g", rule("hw.energy", demand)))
        assert codes(run(words, SOURCE, *texts, SINK)) == ["E-FLOW-KIND", "E-FLOW-KIND"]

    def test_one_cause_is_one_diagnostic(self) -> None:
        """What derives from a metric in error is unknown: nothing further is said of it."""
        texts = (
            filter_("f", rule("hw.energy", 'kind = ["gauge"]\ngives = { name = "f.out" }')),
            filter_("g", rule("f.out", 'unit = "By"\ngives = { name = "g.out" }')),
            filter_("h", rule("g.out", 'gives = { name = "h.out" }')),
        )
        more = 'config.sink.metrics = ["hw.energy", "f.out", "g.out", "h.out", "hw.power"]'
        assert codes(run("hw f g h sink", SOURCE, *texts, SINK, more=more)) == ["E-FLOW-KIND"]

    def test_a_unit_that_a_template_cannot_make(self) -> None:
        """A temperature has no rate in its own unit; the filter is named, and nothing further is said."""
        warm = source("warm", metric("t", unit="Cel", kind="delta"))
        document = one(run("warm rate sink", warm, RATE, SINK), "E-FLOW-UNIT")
        assert document["clause"] == "needs.metrics.gives.unit"
        more = 'config.sink.metrics = ["*{unit=K}", "t.rate"]'
        assert codes(run("warm rate sink", warm, RATE, SINK, more=more)) == ["E-FLOW-UNIT"]

    def test_constraints_on_the_interval(self) -> None:
        """Inside a rule, `interval` is that of the metric at hand."""
        text = output(
            "sink",
            rule("*", 'require = ["config.window >= 2 * interval"]'),
            more='config.window = { type = "duration", default = "1s" }',
        )
        more = 'config.sink.window = "1s"\n'
        document = one(run("hw sink", SOURCE, text, more=more), "E-CONSTRAINT")
        assert pointed(document, "hw sink", more) == "window"
        assert "the interval is `1s`" in document["message"]
        assert schema("hw sink", SOURCE, text, more='config.sink.window = "2s"')
        assert schema("hw sink", SOURCE, text, more='config.hw.interval = "500ms"')


class TestEmpty:
    """What a person names has to mean something."""

    @pytest.mark.parametrize(
        ("item", "place"),
        [
            ("hw.enrgy", '"hw.enrgy"'),
            ("*{kind=counter}", '"*{kind=counter}"'),
            ("!gpu.*", "gpu.*"),
            ("hw.energy{domain=gpu}", "gpu"),
        ],
    )
    def test_an_item_of_the_request(self, item: str, place: str) -> None:
        """The word that nothing has is pointed at, also in an exclusion; what is there is listed."""
        more = f'config.sink.metrics = ["*", "{item}"]\n'
        document = one(run("hw sink", SOURCE, SINK, more=more), "E-FLOW-EMPTY")
        assert pointed(document, "hw sink", more) == place
        assert "`hw.energy`" in document["help"]

    def test_near_misses_say_what_differs(self) -> None:
        """The metric is there, but of another kind."""
        more = 'config.sink.metrics = ["*", "hw.energy{kind=gauge}"]\n'
        document = one(run("hw sink", SOURCE, SINK, more=more), "E-FLOW-EMPTY")
        assert document["notes"][0].startswith("`hw.energy` is there, but its kind is delta")

    def test_a_default_may_select_nothing(self) -> None:
        """The contract's own wildcard takes what is there."""
        assert ordered(run("hw difference sink", SOURCE, DIFFERENCE, SINK))

    def test_a_metric_that_a_rule_names(self) -> None:
        """A contract's literal name is a need: a provider whose option switches it off does not meet it."""
        off = source(
            "off",
            metric("off.a"),
            metric("off.b", more="when = { deep = true }"),
            more='config.deep = { type = "bool", default = false }',
        )
        text = filter_("f", rule("off.b", 'gives = { name = "x" }'))
        assert pointed(one(run("off f sink", off, text, SINK), "E-FLOW-EMPTY"), "off f sink") == '"f"'
        assert ordered(run("off f sink", off, text, SINK, more="config.off.deep = true"))


class TestClash:
    """One name has one type, unit and kind, and each series one giver."""

    @pytest.mark.parametrize(
        ("more", "clash"),
        [
            ("", True),
            ('attributes = { a = ["1"] }', False),
            ('resource = ["gpu"]', False),
            ('consumer = ["process"]', False),
        ],
    )
    def test_series(self, more: str, clash: bool) -> None:  # noqa: FBT001 one column of a table
        """Two givers are fine while their keys cannot meet."""
        result = run("p q sink", source("p", metric("x")), source("q", metric("x", more=more)), SINK)
        assert codes(result) == (["E-FLOW-CLASH"] if clash else [])

    @pytest.mark.parametrize(("one_", "other", "clash"), [("1", "1", True), ("1", "2", False), ("*", "1", True)])
    def test_attribute_values(self, one_: str, other: str, clash: bool) -> None:  # noqa: FBT001 one column of a table
        """Closed sets that are disjoint tell series apart, an open one may hold anything."""
        domain = '"str"' if one_ == "*" else f'["{one_}"]'
        p = source("p", metric("x", more=f"attributes = {{ a = {domain} }}"))
        q = source("q", metric("x", more=f'attributes = {{ a = ["{other}"] }}'))
        assert codes(run("p q sink", p, q, SINK)) == (["E-FLOW-CLASH"] if clash else [])

    @pytest.mark.parametrize("words", ["p q r sink", "r q p sink", "q r sink p"])
    def test_the_same_two_are_named_whatever_the_order(self, words: str) -> None:
        """Of three givers the least two by label, with the shapes in their order."""
        texts = (
            source("p", metric("x", unit="J")),
            source("q", metric("x", unit="W")),
            source("r", metric("x", unit="W")),
        )
        document = one(run(words, *texts, SINK), "E-FLOW-CLASH")
        assert document["message"] == "`x` is given by `p` and `q` as f64, J, gauge and as f64, W, gauge"
        assert {pointed(document, words, place=place) for place in (0, 1)} == {'"p"', '"q"'}

    @pytest.mark.parametrize("words", ["p q r sink", "r q p sink", "q r sink p"])
    def test_also_where_all_series_meet(self, words: str) -> None:
        """Three givers of one series are one diagnostic, about the same two."""
        document = one(run(words, *(source(name, metric("x")) for name in "pqr"), SINK), "E-FLOW-CLASH")
        assert document["message"].startswith("`p` and `q` both give `x`")

    def test_two_instances_of_one_source(self) -> None:
        """Asking twice for one source gives each series twice: one fault, however many metrics it has."""
        document = one(run("hw#a hw#b sink", SOURCE, SINK), "E-FLOW-CLASH")
        assert document["message"].startswith("`a` and `b` both give `hw.energy`, `hw.power`")

    def test_a_filter_that_gives_what_is_there(self) -> None:
        """A new metric needs a new name."""
        text = filter_("f", rule("hw.power", 'gives = { name = "hw.energy", unit = "J", kind = "delta" }'))
        assert codes(
            run("hw f sink", source("hw", metric("hw.energy", kind="delta", unit="J"), POWER), text, SINK)
        ) == ["E-FLOW-CLASH"]

    @pytest.mark.parametrize("change", ['unit = "kJ"', 'kind = "gauge"', 'type = "u64"'])
    def test_a_change_in_place_keeps_the_shape(self, change: str) -> None:
        """A name means one thing in a whole backend, before and behind a filter."""
        text = filter_("f", rule("hw.energy", f'keeps = false\ngives = {{ name = "${{metric}}", {change} }}'))
        document = one(run("hw f sink", SOURCE, text, SINK), "E-FLOW-CLASH")
        assert document["clause"] == "needs.metrics.gives.name"

    def test_a_change_in_place(self) -> None:
        """Values may change."""
        text = filter_("f", rule("hw.energy", 'keeps = false\ngives = { name = "${metric}", quality = "estimated" }'))
        assert len(schema("hw f sink", SOURCE, text, SINK)) == 2


class TestUnread:
    """A metric that nothing takes was measured in vain."""

    def test_is_said_for_its_source(self) -> None:
        """One diagnostic for each instance, with all of its metrics."""
        document = one(run("hw sink", SOURCE, output("sink", rule("nothing*"))), "E-FLOW-UNREAD")
        assert document["message"].endswith("takes `hw.energy`, `hw.power` of `hw`")
        assert pointed(document, "hw sink") == '"hw"'

    def test_of_a_filter(self) -> None:
        """What a filter makes has to arrive too."""
        text = filter_("f", rule("hw.power", 'gives = { name = "f.out" }'))
        more = 'config.sink.metrics = ["hw.*"]'
        document = one(run("hw f sink", SOURCE, text, SINK, more=more), "E-FLOW-UNREAD")
        assert document["message"].endswith("takes `f.out` of `f`")

    def test_dropping_is_a_decision(self) -> None:
        """`select` reads what it drops."""
        more = 'config.select.drop = ["hw.power"]\n'
        assert ordered(run("hw select sink", SOURCE, SELECT, SINK, more=more))
