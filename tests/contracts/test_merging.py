"""What a rule drops of the key, how it merges, what it adds, and what options put into it."""

import pytest

from meter.contracts.host import Recorded
from tests.contracts.build import codes, filter_, metric, one, output, pointed, request, rule, run, source

TIMES = source(
    "cpus",
    metric(
        "cpu.time", kind="delta", unit="s", more='resource = ["cpu_core"]\nattributes = { mode = ["user", "idle"] }'
    ),
)
SINK = output()
OVER = """
config.over = { type = "list<str>", default = [] }
config.how = { type = "enum", values = ["sum", "mean", "max"], default = "sum" }
config.keep = { type = "bool", default = true }
config.window = { type = "duration", default = "10s" }
config.name = { type = "str", default = "total" }
"""
MERGES = filter_(
    "merges",
    rule(
        "cpu.*",
        'keeps = "${config.keep}"\n'
        'gives = { name = "${metric}.${config.name}", interval = "${config.window}", drop = "${config.over}",'
        ' merge = "${config.how}" }',
    ),
    more=OVER,
)
ROWWISE = filter_("rows", rule("*", 'gives = { name = "${metric}.all", drop = ["resource"], merge = "max" }'))
WORDS = "cpus merges sink"


def given(more: str, *texts: str, words: str = WORDS) -> dict[str, object]:
    """The first variant that the filter gives, as the plan would have it downstream."""
    result = run(words, *(texts or (TIMES, MERGES)), SINK, more=more)
    assert result.plan is not None, codes(result)
    rules = next(p for p in result.plan.document["plugins"] if p["instance"] == words.split()[1])["rules"]
    gives: dict[str, object] = rules[0]["gives"]
    return {**gives, "keeps": rules[0]["keeps"], "needs": rules[0]["additive"]}


class TestOptions:
    """`${config.NAME}` in a rule."""

    def test_are_put_in(self) -> None:
        """Names, durations, lists, words and switches."""
        more = 'config.merges = { over = ["mode"], how = "mean", window = "1min", keep = false, name = "m" }'
        gives = given(more)

        assert (gives["name"], gives["drop"], gives["merge"]) == ("${metric}.m", ["mode"], "mean")
        assert (gives["interval"], gives["keeps"]) == (60 * 10**9, False)

    def test_a_number_in_a_name_is_short(self) -> None:
        """0.5 and not 0.50000; but no two numbers have one name."""
        text = filter_(
            "f",
            rule("cpu.*", 'gives = { name = "${metric}.q${config.q}" }'),
            more='config.q = { type = "float", default = 0.5 }',
        )
        assert given("", TIMES, text, words="cpus f sink")["name"] == "${metric}.q0.5"
        more = "config.f.q = 0.12345678"
        assert given(more, TIMES, text, words="cpus f sink")["name"] == "${metric}.q0.12345678"
        assert given("config.f.q = 1.0", TIMES, text, words="cpus f sink")["name"] == "${metric}.q1"

    @pytest.mark.parametrize("name", ["a b", "", "ä", "x{y}"])
    def test_a_name_that_is_none(self, name: str) -> None:
        """The value is pointed at."""
        text = filter_("f", rule("cpu.*", 'gives = { name = "${config.name}" }'), more=OVER)
        more = f'config.f.name = "{name}"\n'
        document = one(run("cpus f sink", TIMES, text, SINK, more=more), "E-KEY-NAME")

        assert pointed(document, "cpus f sink", more) == f'"{name}"'

    @pytest.mark.parametrize(
        ("field", "option", "type_"),
        [
            ("keeps = '${config.x}'", "x", "int"),
            ("unit = '${config.x}'", "x", "str"),
            ("gives = { name = 'n', interval = '${config.x}' }", "x", "int"),
            ("gives = { name = 'n', drop = '${config.x}' }", "x", "str"),
            ("gives = { name = 'n', merge = '${config.x}' }", "x", "str"),
            ("gives = { name = 'n', attributes = '${config.x}' }", "x", "list<str>"),
            ("gives = { name = 'n.${config.x}' }", "x", "list<str>"),
            ("gives = { name = 'n', unit = '${config.x}' }", "x", "str"),
        ],
    )
    def test_have_the_type_of_their_place(self, field: str, option: str, type_: str) -> None:
        """What cannot be put in is refused when the contract is read; so is an option that is not there."""
        clause = {
            "E-CLAUSE-TYPE": f'config.{option} = {{ type = "{type_}" }}',
            "E-CONFIG-UNKNOWN": f'config.other = {{ type = "{type_}" }}',
        }
        for code, config in clause.items():
            text = filter_("f", rule("cpu.*", field), more=config)
            assert code in codes(run("cpus f sink", TIMES, text, SINK))

    def test_a_unit_that_the_user_names_is_a_demand(self) -> None:
        """Seconds are no bytes, and integers are taken where the rule gives floats."""
        text = filter_(
            "f",
            rule("*", 'unit = "${config.u}"\ngives = { name = "${metric}.c", type = "f64", unit = "${config.u}" }'),
            more='config.u = { type = "unit" }',
        )
        whole = source("ints", metric("n", unit="By", type_="u64"))
        assert codes(run("ints f sink", whole, text, SINK, more='config.f.u = "MiBy"')) == []
        assert codes(run("ints f sink", whole, text, SINK, more='config.f.u = "s"')) == ["E-FLOW-UNIT"]


class TestDropping:
    """Parts of the key that the new metric lacks."""

    def test_series_that_become_one_are_no_clash(self) -> None:
        """Two parts of one metric that differ in what is dropped are merged."""
        parts = source(
            "p",
            metric("m", kind="delta", more='resource = ["cpu_core"]\nattributes = { a = ["1"] }'),
            metric("m", kind="delta", more='resource = ["cpu_core"]\nattributes = { a = ["2"] }'),
        )
        text = filter_("f", rule("m", 'gives = { name = "${metric}.s", drop = ["a"], merge = "sum" }'))
        assert codes(run("p f sink", parts, text, SINK)) == []

    def test_without_merging_is_refused(self) -> None:
        """The contract does not say what becomes of the series."""
        text = filter_("f", rule("cpu.*", 'gives = { name = "n", drop = ["mode"] }'))
        document = one(run("cpus f sink", TIMES, text, SINK), "E-FLOW-IDENTITY")
        assert document["message"] == "`f` drops `mode` of `cpu.time` and does not say how to merge the series"

    def test_a_word_that_nothing_has_needs_no_way_to_merge(self) -> None:
        """Nothing becomes one: it is the word alone that is refused."""
        text = filter_("f", rule("cpu.*", 'gives = { name = "n", drop = ["mod"] }'))
        document = one(run("cpus f sink", TIMES, text, SINK), "E-FLOW-IDENTITY")
        assert document["message"].startswith("`f` cannot drop `mod`")

    def test_a_word_that_nothing_has(self) -> None:
        """It is pointed at, and the nearest is named."""
        more = 'config.merges.over = ["mod"]\n'
        document = one(run(WORDS, TIMES, MERGES, SINK, more=more), "E-FLOW-IDENTITY")
        assert pointed(document, WORDS, more) == '"mod"'
        assert "`mode`" in document["help"]

    def test_only_what_is_additive_is_summed(self) -> None:
        """A sum of temperatures is none."""
        warm = source("warm", metric("cpu.heat", more='attributes = { a = ["1", "2"] }'))
        more = 'config.merges.over = ["a"]\n'
        result = run("warm merges sink", warm, MERGES, SINK, more=more)
        assert one(result, "E-FLOW-KIND")["message"].endswith("it takes an additive metric")
        assert codes(run("warm merges sink", warm, MERGES, SINK, more=f'{more}config.merges.how = "max"')) == []

    @pytest.mark.parametrize(("how", "additive"), [("sum", None), ("mean", False), ("max", False)])
    def test_what_is_no_sum_is_not_additive(self, how: str, additive: bool | None) -> None:  # noqa: FBT001 one column of a table
        """The maxima of two cores are not the maximum of both together."""
        gives = given(f'config.merges = {{ over = ["mode"], how = "{how}" }}')
        assert (gives["additive"], gives["needs"]) == (additive, True if how == "sum" else None)

    @pytest.mark.parametrize(
        ("one_", "other", "over", "twice"),
        [
            ("cpu_core", "cpu_package", "resource", True),
            ("cpu_core", "machine", "resource", True),
            ("cpu_core", "disk", "resource", False),
            ("cpu_core", "machine", "a", False),
        ],
    )
    def test_a_value_with_its_part(self, one_: str, other: str, over: str, twice: bool) -> None:  # noqa: FBT001 one column of a table
        """A core's time is in its package's."""
        both = source(
            "p",
            metric("cpu.m", kind="delta", more=f'resource = ["{one_}"]\nattributes = {{ a = ["1"] }}'),
            metric("cpu.m", kind="delta", more=f'resource = ["{other}"]\nattributes = {{ a = ["1"] }}'),
        )
        more = f'config.merges.over = ["{over}"]\n'
        assert codes(run("p merges sink", both, MERGES, SINK, more=more)) == (["E-FLOW-DOUBLE"] if twice else [])
        assert codes(run("p merges sink", both, MERGES, SINK, more=f'{more}config.merges.how = "max"')) == []

    def test_parts_with_their_total(self) -> None:
        """What has no `a` is the total over it."""
        both = source(
            "p",
            metric("cpu.m", kind="delta", more='attributes = { a = ["1", "2"] }'),
            metric("cpu.m", kind="delta"),
        )
        more = 'config.merges.over = ["a"]\n'
        document = one(run("p merges sink", both, MERGES, SINK, more=more), "E-FLOW-DOUBLE")
        assert "is the total over it" in document["message"]

    def test_of_a_process_and_its_group(self) -> None:
        """Consumers are a tree as well."""
        both = source(
            "p",
            metric("cpu.m", kind="delta", more='consumer = ["process"]'),
            metric("cpu.m", kind="delta", more='consumer = ["cgroup"]'),
        )
        more = 'config.merges.over = ["consumer"]\n'
        assert codes(run("p merges sink", both, MERGES, SINK, more=more)) == ["E-FLOW-DOUBLE"]

    def test_rows_of_two_sources_are_not_merged_one_by_one(self) -> None:
        """Their times differ; in windows they meet."""
        p = source("p", metric("cpu.m", kind="delta", more='resource = ["cpu_core"]'))
        q = source("q", metric("cpu.m", kind="delta", more='resource = ["disk"]'))
        assert codes(run("p q rows sink", p, q, ROWWISE, SINK)) == ["E-FLOW-IDENTITY"]
        more = 'config.merges.over = ["resource"]\n'
        assert codes(run("p q merges sink", p, q, MERGES, SINK, more=more)) == []

    def test_two_series_that_stay_apart_may_come_from_two_sources(self) -> None:
        """Only what would be merged has to have one time."""
        p = source("p", metric("cpu.m", more='resource = ["cpu_core"]\nattributes = { a = ["1"] }'))
        q = source("q", metric("cpu.m", more='resource = ["disk"]\nattributes = { a = ["2"] }'))
        assert codes(run("p q rows sink", p, q, ROWWISE, SINK)) == []


ALL = 'gives = {{ name = "all", drop = ["resource"], merge = "{how}" }}'


class TestOneName:
    """Several metrics that become one: what is merged is judged by what it becomes."""

    @pytest.mark.parametrize(
        "other", [metric("a.y", unit="K"), metric("a.y", type_="u64"), metric("a.y", kind="delta")]
    )
    def test_of_two_shapes_is_a_clash(self, other: str) -> None:
        """Watts and kelvins have no maximum."""
        both = source("p", metric("a.x", more='resource = ["gpu"]'), other)
        text = filter_("f", rule("a.*", ALL.format(how="max")))
        assert codes(run("p f sink", both, text, SINK)) == ["E-FLOW-CLASH"]

    def test_a_value_with_its_part(self) -> None:
        """Also where the part has a name of its own."""
        both = source(
            "p",
            metric("a.x", kind="delta", more='resource = ["cpu_package"]'),
            metric("a.core", kind="delta", more='resource = ["cpu_core"]'),
        )
        text = filter_("f", rule("a.*", ALL.format(how="sum")))
        document = one(run("p f sink", both, text, SINK), "E-FLOW-DOUBLE")
        assert document["message"].startswith("`f` would count `a.core`, `a.x` twice")

    def test_rows_of_two_sources(self) -> None:
        """Whatever their metrics are called."""
        p = source("p", metric("a.x", kind="delta", more='resource = ["gpu"]'))
        q = source("q", metric("a.y", kind="delta", more='resource = ["disk"]'))
        assert codes(run("p q f sink", p, q, filter_("f", rule("a.*", ALL.format(how="sum"))), SINK)) == [
            "E-FLOW-IDENTITY"
        ]

    def test_rows_of_two_sources_behind_a_filter(self) -> None:
        """A filter gives both, and their rows still come from two sources."""
        p = source("p", metric("a.x", kind="delta", more='resource = ["gpu"]'))
        q = source("q", metric("a.x", kind="delta", more='resource = ["disk"]'))
        through = filter_("g", rule("a.x", 'keeps = false\ngives = { name = "${metric}" }'), placement="prefilter")
        document = one(run("p q g rows sink", p, q, through, ROWWISE, SINK), "E-FLOW-IDENTITY")
        assert "of `p` and `q` row by row" in document["message"]


class TestApart:
    """What never becomes one series is never counted twice."""

    @pytest.mark.parametrize(
        ("parts", "over"),
        [
            (('resource = ["cpu_package"]\nattributes = { a = ["1"] }', 'resource = ["gpu"]'), "a"),
            (('resource = ["gpu"]\nattributes = { slot = ["1"] }', 'resource = ["machine"]'), "resource"),
        ],
    )
    def test_series_of_other_kinds_or_attributes(self, parts: tuple[str, str], over: str) -> None:
        """A package by domain beside a GPU without, summed over the domains."""
        both = source("p", *(metric("cpu.m", kind="delta", more=more) for more in parts))
        assert codes(run("p merges sink", both, MERGES, SINK, more=f'config.merges.over = ["{over}"]\n')) == []

    def test_a_consumer_that_can_lie_in_another(self) -> None:
        """A control group has those below it in its numbers."""
        groups = source("p", metric("cpu.m", kind="delta", more='consumer = ["cgroup"]'))
        result = run("p merges sink", groups, MERGES, SINK, more='config.merges.over = ["consumer"]\n')
        assert "one `cgroup` can lie in another" in one(result, "E-FLOW-DOUBLE")["message"]


class TestInterval:
    """The time between rows."""

    def test_is_what_the_rule_gives(self) -> None:
        """A later filter's constraint is held against it."""
        text = filter_("g", rule("cpu.time.total", "require = ['interval >= 1s']\ngives = { name = 'n' }"))
        more = 'config.merges = { window = "500ms", over = ["mode"] }\n'
        document = one(run("cpus merges g sink", TIMES, MERGES, text, SINK, more=more), "E-CONSTRAINT")
        assert "the interval is `500ms`" in document["message"]


class TestAttributes:
    """Attributes that a rule adds."""

    TEXT = filter_(
        "mark",
        rule("*", 'keeps = false\ngives = { name = "${metric}", attributes = "${config.attributes}" }'),
        placement="prefilter",
        more='config.attributes = { type = "map<str>" }',
    )

    def test_are_there_downstream(self) -> None:
        """A fixed text can be selected by; a placeholder can be anything."""
        more = 'config.mark.attributes = { site = "lab", job = "${env.JOB}" }\nconfig.sink.metrics = ["*{%s}"]'
        assert codes(run("cpus mark sink", TIMES, self.TEXT, SINK, more=more % "site=lab")) == []
        assert codes(run("cpus mark sink", TIMES, self.TEXT, SINK, more=more % "job=17")) == []
        assert codes(run("cpus mark sink", TIMES, self.TEXT, SINK, more=more % "site=home")) == ["E-FLOW-EMPTY"]

    def test_one_that_is_there_is_not_replaced(self) -> None:
        """Series would become one without a word."""
        more = 'config.mark.attributes = { mode = "x" }\n'
        document = one(run("cpus mark sink", TIMES, self.TEXT, SINK, more=more), "E-FLOW-IDENTITY")
        assert document["message"] == "`mark` cannot give `cpu.time` the attribute `mode`: it has one"
        assert document["help"] == "take another name, or select other metrics"

    @pytest.mark.parametrize("name", ["kind", "resource", "a b", "a=b", "", "{"])
    def test_names_that_are_none(self, name: str) -> None:
        """They could not be selected by."""
        more = f'config.mark.attributes = {{ "{name}" = "x" }}\n'
        document = one(run("cpus mark sink", TIMES, self.TEXT, SINK, more=more), "E-KEY-NAME")
        assert document["message"] == f"`mark` cannot give a metric the attribute `{name}`"

    @pytest.mark.parametrize("text", ["${", "${host}", "${env.}", "${env.1}", "a${config.b}"])
    def test_placeholders_that_are_none(self, text: str) -> None:
        """They would be written as they are."""
        more = f'config.mark.attributes = {{ a = "{text}" }}\n'
        document = one(run("cpus mark sink", TIMES, self.TEXT, SINK, more=more), "E-KEY-NAME")
        assert "`${env.NAME}`" in document["help"]
        assert pointed(document, "cpus mark sink", more) == f'"{text}"'

    def test_a_variable_that_is_not_set_is_a_fact_of_the_host(self) -> None:
        """Nothing would be measured; the name is said before anything runs."""
        more = 'config.mark.attributes = { job = "${env.JOB}" }\n'
        host = Recorded({("environment", "JOB"): "unset JOB"})
        document = one(run("cpus mark sink", TIMES, self.TEXT, SINK, more=more, host=host), "E-HOST")
        assert "the environment variable `JOB` is not set" in document["message"]


def test_a_request_has_tables_of_texts() -> None:
    """Maps are written inline or as words."""
    assert request("cpus", 'config.mark.attributes = { a = "b" }').config["mark"]["attributes"].raw == {"a": "b"}
