"""Rules that compute: from the formulas of a mount file to metrics in the plan, or a diagnostic inside their text."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.check import Checked, check
from meter.contracts.command_line import from_words
from meter.contracts.editing.edits import applied
from meter.contracts.host import Assumed
from meter.contracts.rules import Rule
from meter.contracts.spans import COMMAND_LINE
from tests.contracts.build import (
    DIFFERENCE,
    RATE,
    SELECT,
    at,
    catalogue,
    codes,
    edges,
    faults,
    filter_,
    head,
    metric,
    one,
    ordered,
    output,
    pointed,
    request,
    rule,
    run,
    said,
    shown,
    source,
)
from tests.strategies import steady

RAPL = source(
    "rapl",
    metric(
        "hw.energy",
        kind="delta",
        unit="J",
        more='resource = ["cpu_package"]\nattributes = { domain = ["package", "core"] }\n'
        'parts = { domain = { core = "package" } }',
    ),
)
CPU = source(
    "cpu",
    metric("system.cpu.time", kind="delta", unit="s", more='attributes = { "cpu.mode" = ["user", "system", "idle"] }'),
)
PROCESS = source(
    "process",
    metric(
        "process.cpu.time",
        kind="delta",
        unit="s",
        more='consumer = ["process"]\nattributes = { "cpu.mode" = ["user", "system"] }',
    ),
    more='[config.interval]\ntype = "duration"\ndefault = "5s"',
)
NVML = source(
    "nvml",
    metric("hw.power", unit="mW", more='resource = ["gpu"]\nadditive = true'),
    metric("gpu.energy", kind="delta", unit="mJ", more='resource = ["gpu"]'),
    metric("gpu.temperature", unit="Cel", more='resource = ["gpu"]'),
    metric("gpu.utilization", unit="%", more='resource = ["gpu"]'),
)
CGROUP = source("cgroup", metric("container.cpu.time", kind="counter", unit="s", more='consumer = ["cgroup"]'))
SINK = output()
OPTIONS = """[config.formulas]
type = "map<formula>"
[config.unit]
type = "unit"
default = "J"
[config.retention]
type = "duration"
default = "20s"
"""
ATTRIBUTION = filter_(
    "attribution",
    rule(
        "${config.formulas}",
        'require = ["config.retention >= 2 * interval"]\n'
        'gives = { name = "${item}", type = "f64", quality = "derived", unit = "${config.unit}" }',
    ),
    more=OPTIONS,
)
ALL = (RAPL, CPU, PROCESS, NVML, CGROUP, SINK, ATTRIBUTION, SELECT, DIFFERENCE, RATE)
EXAMPLE = "hw.energy{domain=package} * sum(process.cpu.time) / sum(system.cpu.time{cpu.mode=user|system})"
WORDS = "rapl cpu process nvml attribution sink"


def formulas(*texts: str, unit: str = "J", more: str = "") -> str:
    """The configuration of `attribution`: `x` is the first formula, `y` the second."""
    lines = [f'config.attribution.formulas.{name} = "{text}"' for name, text in zip("xyz", texts, strict=False)]
    return "\n".join([*lines, f'config.attribution.unit = "{unit}"', more]) + "\n"


def attribute(*texts: str, words: str = WORDS, unit: str = "J", more: str = "") -> Checked:
    """A chain with formulas."""
    return run(words, *ALL, more=formulas(*texts, unit=unit, more=more))


def plugin(result: Checked, label: str = "attribution") -> dict[str, Any]:
    """An instance in a plan that has to be there."""
    assert result.plan is not None, said(result)
    found: dict[str, Any] = next(p for p in result.plan.document["plugins"] if p["instance"] == label)
    return found


def adds(result: Checked, label: str = "attribution") -> list[dict[str, Any]]:
    """What an instance adds, as `explain` shows it."""
    assert result.plan is not None, said(result)
    added: list[dict[str, Any]] = result.plan.document["hops"][label]["adds"]
    return added


class TestPlan:
    """A sound formula."""

    def test_what_it_gives_goes_on(self) -> None:
        """One metric for each name of the map, beside everything that was read."""
        result = attribute(EXAMPLE, "gpu.energy / 2")
        assert [(row["metric"], row["unit"], row["kind"]) for row in adds(result)] == [
            ("x", "J", "delta"),
            ("y", "J", "delta"),
        ]
        row = adds(result)[0]
        assert (row["resource"], row["consumer"], row["attributes"]) == (["cpu_package"], ["process"], {})
        assert (row["quality"], row["additive"], row["interval"]) == ("estimated", True, 5 * 10**9)
        assert result.plan is not None
        names = {each["metric"] for each in result.plan.document["schema"]["sink"]}
        assert {"x", "y", "hw.energy", "gpu.energy", "process.cpu.time", "system.cpu.time"} <= names

    def test_it_is_told_what_it_reads(self) -> None:
        """Whoever explains a mount sees which parts reach a formula."""
        result = attribute(EXAMPLE)
        assert result.plan is not None
        takes = result.plan.document["hops"]["attribution"]["takes"]
        assert [take["metric"] + take["part"] for take in takes] == [
            "hw.energy{domain=package}",
            "process.cpu.time",
            "system.cpu.time{cpu.mode=system|user}",
        ]

    @pytest.mark.parametrize(
        ("text", "unit", "factors", "scale"),
        [
            ("hw.energy{domain=package}", "J", [1.0], 1.0),
            ("gpu.energy", "J", [1.0], 0.001),
            ("gpu.energy", "kJ", [1.0], 1e-6),
            ("hw.power * 2", "W", [1.0], 0.001),
            ("gpu.energy * share(gpu.utilization)", "mJ", [1.0, 0.01], 1.0),
            ("1 - gpu.utilization", "1", [0.01], 1.0),
            ("hw.power / hw.power", "%", [1.0, 1.0], 100.0),
        ],
    )
    def test_carries_what_the_engine_multiplies_with(
        self, text: str, unit: str, factors: list[float], scale: float
    ) -> None:
        """A prefix is no fault: the result is in the demanded unit."""
        result = attribute(text, unit=unit)
        (document,) = plugin(result)["rules"]
        assert document["computes"]["formula"] == text
        assert [operand["factor"] for operand in document["computes"]["operands"]] == factors
        assert document["computes"]["scale"] == scale
        assert document["gives"]["unit"] == adds(result)[0]["unit"] == unit
        read = Rule.from_json(document)
        assert read.to_json() == document
        assert read.computes is not None
        assert len(read.select) == len(read.computes.operands)

    def test_carries_how_series_join(self) -> None:
        """Whoever runs the plan knows neither which attributes are pinned nor what kinds are below each other."""
        result = attribute(EXAMPLE)
        (document,) = plugin(result)["rules"]
        computes = Rule.from_json(document).computes
        assert computes is not None
        energy, process, system = computes.operands
        assert (energy.drop, energy.sums, energy.delta) == (("domain",), False, True)
        assert (process.sums, system.sums) == (True, True)
        assert [operand.origins for operand in computes.operands] == [("rapl",), ("process",), ("cpu",)]
        (way,) = computes.ways
        assert (way.gives.metric, way.gives.resource, way.gives.consumer) == (
            "x",
            frozenset({"cpu_package"}),
            frozenset({"process"}),
        )
        assert [taken.consumer for taken in way.takes] == ["machine", "process", "machine"]

    def test_the_unit_is_the_formulas_where_none_is_demanded(self) -> None:
        """Units multiply."""
        text = filter_(
            "f",
            rule("${config.x}", 'gives = { name = "ratio" }'),
            more='config.x = { type = "formula", default = "gpu.energy / sum(system.cpu.time)" }',
        )
        result = run("nvml cpu f sink", NVML, CPU, text, SINK)
        assert [(row["metric"], row["unit"], row["kind"]) for row in adds(result, "f")] == [("ratio", "mJ/s", "gauge")]

    def test_a_demand_of_the_rule_is_one_of_the_result(self) -> None:
        """Not of what is read: `unit` scales, `kind` is said at the formula."""
        more = 'config.x = { type = "formula", default = "gpu.energy / 2" }'
        text = filter_("f", rule("${config.x}", 'unit = "J"\nkind = ["delta"]\ngives = { name = "x" }'), more=more)
        result = run("nvml f sink", NVML, text, SINK)
        assert adds(result, "f")[0]["unit"] == "J"
        assert plugin(result, "f")["rules"][0]["computes"]["scale"] == 0.001
        more = 'config.f.x = "hw.power * 2"\n'
        text = filter_(
            "f", rule("${config.x}", 'kind = ["delta"]\ngives = { name = "x" }'), more='config.x = { type = "formula" }'
        )
        document = one(run("nvml f sink", NVML, text, SINK, more=more), "E-FLOW-KIND")
        assert pointed(document, "nvml f sink", more) == '"hw.power * 2"'
        assert document["spans"][1]["file"] == "f/contract.toml"

    def test_constraints_are_of_the_result(self) -> None:
        """Its interval is the longest of what it reads."""
        result = attribute(EXAMPLE, more='config.attribution.retention = "9s"')
        document = one(result, "E-CONSTRAINT")
        assert "the interval is `5s`" in document["message"]
        assert codes(attribute("gpu.energy", more='config.attribution.retention = "9s"')) == []

    def test_formulas_may_be_on_the_command_line(self) -> None:
        """`formulas=NAME=FORMULA`, as for any map; a fault points into the word."""
        words = ["nvml", "attribution", "formulas=x=gpu.energy * 2", "sink"]
        found, diagnostics = from_words("/m", words, ["meter", "mount", "/m"])
        assert found is not None, diagnostics
        assert adds(check(found, catalogue(*ALL), Assumed()))[0]["metric"] == "x"
        words[2] = "formulas=x=gpu.energy + hw.power"
        found, _ = from_words("/m", words, ["meter", "mount", "/m"])
        assert found is not None
        document = one(check(found, catalogue(*ALL), Assumed()), "E-FLOW-UNIT")
        line = "meter mount /m nvml attribution 'formulas=x=gpu.energy + hw.power' sink"
        assert at(document, line, file=COMMAND_LINE) == "hw.power"
        words[2] = "formulas=x=gpu.energy *"
        found, _ = from_words("/m", words, ["meter", "mount", "/m"])
        assert found is not None
        document = one(check(found, catalogue(*ALL), Assumed()), "E-CONFIG-TYPE")
        assert at(document, line.replace("+ hw.power", "*"), file=COMMAND_LINE) == "gpu.energy *"

    def test_an_empty_map_computes_nothing(self) -> None:
        """No formula, no rule."""
        assert plugin(run(WORDS, *ALL, more="config.attribution.formulas = {}\n"))["rules"] == []

    def test_two_formulas_may_read_one_metric_twice(self) -> None:
        """A formula takes nothing from others, nor from itself."""
        result = attribute("hw.power / hw.power", "hw.power * 2 / hw.power", unit="1")
        assert [row["metric"] for row in adds(result)] == ["x", "y"]
        more = formulas("gpu.energy * 2") + 'config.select.drop = ["gpu.energy"]\n'
        result = run("nvml attribution select sink", *ALL, more=more)
        assert result.plan is not None, said(result)
        assert "gpu.energy" not in {each["metric"] for each in result.plan.document["schema"]["sink"]}


class TestRefused:
    """What a formula cannot do, with the place inside its text."""

    @pytest.mark.parametrize(
        ("text", "code", "places", "words"),
        [
            # watts times a share are no joules, whatever the label
            (
                "hw.power * sum(process.cpu.time) / sum(system.cpu.time)",
                "E-FLOW-UNIT",
                ['"hw.power * sum(process.cpu.time) / sum(system.cpu.time)"', '"J"'],
                "is in `mW`, not in `J`",
            ),
            ("hw.energy{domain=package} + hw.power", "E-FLOW-UNIT", ["hw.power", "hw.energy{domain=package}"], "adds"),
            ("gpu.temperature * 2", "E-FLOW-UNIT", ["gpu.temperature"], "`Cel`"),
            ("gpu.energy * share(hw.power)", "E-FLOW-UNIT", ["share(hw.power)"], "as a share"),
            ("hw.energy{domain=package} * container.cpu.time", "E-FLOW-KIND", ["container.cpu.time"], "is a `counter`"),
            ("2 * sum(gpu.utilization)", "E-FLOW-KIND", ["sum(gpu.utilization)"], "not additive"),
            ("gpu.energy * gpu.energy", "E-FLOW-KIND", ['"gpu.energy * gpu.energy"'], "degree 2 in time"),
            (
                "hw.energy{domain=package} * process.cpu.time / system.cpu.time{cpu.mode=user|system}",
                "E-FLOW-DOUBLE",
                ["system.cpu.time{cpu.mode=user|system}", "process.cpu.time"],
                "degree 0 in `cpu.mode`",
            ),
            ("sum(hw.energy) * 2", "E-FLOW-DOUBLE", ["sum(hw.energy)"], "`core` of domain is a part of `package`"),
            ("gpu.energy + sum(system.cpu.time) * 0", "E-FLOW-UNIT", ["sum(system.cpu.time) * 0", "gpu.energy"], "`s`"),
            (
                "hw.power{resource=gpu} * hw.energy{domain=package}",
                "E-FLOW-IDENTITY",
                ["hw.energy{domain=package}", "hw.power{resource=gpu}"],
                "never meet: their resource is `gpu`, and `cpu_package`",
            ),
            (
                "process.cpu.time / system.cpu.time * gpu.energy",
                "E-FLOW-IDENTITY",
                ["system.cpu.time", "process.cpu.time"],
                "would lose series",
            ),
            ("hw.energy{domain=dram} * 2", "E-FLOW-EMPTY", ["dram"], "selects nothing"),
            ("sum(hw.enregy) / 2", "E-FLOW-EMPTY", ["hw.enregy"], "selects nothing"),
        ],
    )
    def test_is_one_diagnostic_inside_the_formula(self, text: str, code: str, places: list[str], words: str) -> None:
        """Each place is the smallest part of the text that is wrong, and the message stands alone."""
        more = formulas(text)
        all_words = "rapl cpu process nvml cgroup attribution sink"
        document = one(run(all_words, *ALL, more=more), code)
        assert [pointed(document, all_words, more, place) for place in range(len(document["spans"]))] == places
        assert words in document["message"]
        assert document["clause"].startswith("needs.metrics")

    def test_the_derivation_is_told(self) -> None:
        """Units and degrees of each selector, so that whoever reads it sees where the sum goes wrong."""
        text = "hw.energy{domain=package} * process.cpu.time / system.cpu.time{cpu.mode=user|system}"
        assert one(attribute(text), "E-FLOW-DOUBLE")["notes"] == [
            "`hw.energy{domain=package}` is in `J`, of degree 1 in time, 1 in `cpu_package`",
            "`process.cpu.time` is in `s`, of degree 1 in time, 1 in `cpu.mode`, 1 in `cgroup`, 1 in `process`",
            "`system.cpu.time{cpu.mode=user|system}` is in `s`, of degree 1 in time, 1 in `cpu.mode`",
        ]

    def test_help_for_a_counter_names_the_filter(self) -> None:
        """The catalogue has what makes a delta of it; without it, it is said what is wanted."""
        words, more = "cgroup attribution sink", formulas("container.cpu.time", unit="s")
        assert one(run(words, *ALL, more=more), "E-FLOW-KIND")["help"].startswith("put `difference` before")
        bare = [text for text in ALL if text not in (DIFFERENCE, RATE)]
        assert one(run(words, *bare, more=more), "E-FLOW-KIND")["help"] == "read a delta or a gauge instead"

    def test_a_difference_without_blanks_is_guessed(self) -> None:
        """`a-b` is one name: where there is a metric `a`, a difference was meant."""
        document = one(attribute("gpu.energy-gpu.energy"), "E-FLOW-EMPTY")
        assert "blanks" in document["help"]

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("sum(hw.enregy{domain=core}) / 2", "sum(hw.energy{domain=core}) / 2"),
            ("gpu.energy + gpu.energyy * 2", "gpu.energy + gpu.energy * 2"),
            ("hw.energy{domain=packge}", "hw.energy{domain=package}"),
        ],
    )
    def test_what_was_meant_can_be_put_in(self, text: str, meant: str) -> None:
        """The edit changes the selector and nothing else of the formula."""
        more = formulas(text)
        words = ", ".join(f'"{word}"' for word in WORDS.split())
        mounts = f'[mounts."/host"]\nplugins = [{words}]\n{more}'
        (found,) = run(WORDS, *ALL, more=more).diagnostics
        assert found.code == "E-FLOW-EMPTY"
        assert found.edit is not None
        assert applied(mounts, found.edit.changes) == mounts.replace(text, meant)

    def test_every_formula_has_its_say(self) -> None:
        """Two wrong formulas are two causes, each at its place."""
        more = formulas("hw.power", "gpu.energy + hw.power")
        result = run(WORDS, *ALL, more=more)
        assert codes(result) == ["E-FLOW-UNIT", "E-FLOW-UNIT"]
        assert [pointed(shown(d), WORDS, more) for d in result.diagnostics] == ['"hw.power"', "hw.power"]

    def test_what_reads_it_says_nothing_more(self) -> None:
        """One cause is one diagnostic, in whatever order the plugins are asked for."""
        reader = filter_("carbon", rule("x", 'unit = "J"\ngives = { name = "x.carbon" }'))
        for words in ("nvml carbon attribution sink", "nvml attribution carbon sink"):
            for text in ("hw.power", "hw.powwer", "gpu.energy + hw.power", "gpu.energy * gpu.energy"):
                more = formulas(text) + 'config.sink.metrics = ["x", "x.carbon", "*"]\n'
                result = run(words, *ALL, reader, more=more)
                assert len(codes(result)) == 1, said(result)

    def test_what_it_reads_in_error_is_said_once(self) -> None:
        """A metric that two sources give in two units is unknown, and so is what is computed of it."""
        other = source("other", metric("gpu.energy", kind="delta", unit="J"))
        result = run("nvml other attribution sink", *ALL, other, more=formulas("gpu.energy * 2"))
        assert codes(result) == ["E-FLOW-CLASH"]

    def test_a_formula_over_several_lines(self) -> None:
        """It is read; a fault points at the whole of it."""
        more = 'config.attribution.formulas.x = """\ngpu.energy\n + gpu.energy"""\n'
        assert adds(run("nvml attribution sink", *ALL, more=more))[0]["metric"] == "x"
        more = 'config.attribution.formulas.x = """\ngpu.energy\n + hw.power"""\n'
        document = one(run("nvml attribution sink", *ALL, more=more), "E-FLOW-UNIT")
        assert pointed(document, "nvml attribution sink", more).startswith('"""')

    def test_a_name_that_is_none(self) -> None:
        """The name of a formula becomes that of a metric."""
        more = "config.attribution.formulas.'a b' = 'gpu.energy'\n"
        document = one(run("nvml attribution sink", *ALL, more=more), "E-KEY-NAME")
        assert pointed(document, "nvml attribution sink", more) == "'gpu.energy'"

    def test_a_name_that_is_taken(self) -> None:
        """A formula does not replace a metric."""
        more = "config.attribution.formulas.'gpu.energy' = 'gpu.energy * 2'\nconfig.attribution.unit = 'mJ'\n"
        assert codes(run("nvml attribution sink", *ALL, more=more)) == ["E-FLOW-CLASH"]

    def test_a_default_is_pointed_at_in_its_contract(self) -> None:
        """Nobody wrote it into the mount file."""
        text = filter_(
            "f",
            rule("${config.x}", 'gives = { name = "x", unit = "J" }'),
            more='config.x = { type = "formula", default = "hw.power * hw.pow" }',
        )
        document = one(run("nvml f sink", NVML, text, SINK), "E-FLOW-EMPTY")
        assert at(document, text, file="f/contract.toml") == "hw.pow"
        text = text.replace(" * hw.pow", "")
        document = one(run("nvml f sink", NVML, text, SINK), "E-FLOW-UNIT")
        assert at(document, text, file="f/contract.toml") == '"hw.power"'
        assert at(document, text, 1, file="f/contract.toml") == '"J"'


class TestOrder:
    """Formulas read by their selectors, whatever their types."""

    def test_makers_come_before_and_readers_behind(self) -> None:
        """Selectors of formulas have no wildcard: the edges are strong, whatever order was asked for."""
        carbon = filter_("carbon", rule("x", 'unit = "J"\ngives = { name = "x.carbon", unit = "g" }'))
        words = "nvml carbon attribution rate sink"
        result = run(words, *ALL, carbon, more=formulas("hw.power / gpu.energy.rate * gpu.energy"))
        assert ordered(result) == ["nvml", "rate", "attribution", "carbon", "sink"]
        assert {("rate", "attribution"), ("attribution", "carbon")} <= set(edges(result))

    def test_chains_of_formulas(self) -> None:
        """One instance may read what another one computes, never what it computes itself."""
        more = (
            'config.attribution.formulas.x = "y * 2"\nconfig."attribution#b".formulas.y = "gpu.energy"\n'
            'config.b.formulas.y = "gpu.energy"\nconfig.b.formulas.z = "y"\n'
        ).replace('config."attribution#b".formulas.y = "gpu.energy"\n', "")
        result = run("nvml attribution attribution#b sink", *ALL, more=more)
        assert codes(result) == ["E-FLOW-EMPTY"]
        result = run("nvml attribution attribution#b sink", *ALL, more=more.replace('config.b.formulas.z = "y"\n', ""))
        assert ordered(result) == ["nvml", "b", "attribution", "sink"]

    def test_two_that_read_each_other_are_a_cycle(self) -> None:
        """Said with both clauses, though neither could be computed."""
        more = 'config.attribution.formulas.x = "y"\nconfig.b.formulas.y = "x"\n'
        document = one(run("nvml attribution attribution#b sink", *ALL, more=more), "E-CYCLE")
        assert "`attribution` -> `b` -> `attribution`" in document["message"]

    def test_what_is_removed_is_read_first(self) -> None:
        """A filter of the same placement that drops an input comes behind."""
        drops = filter_("drops", rule("gpu.energy{resource=gpu}", "keeps = false"), rule("*"))
        result = run("nvml drops attribution sink", *ALL, drops, more=formulas("gpu.energy"))
        assert ordered(result) == ["nvml", "attribution", "drops", "sink"]

    def test_an_input_that_comes_too_late(self) -> None:
        """A postfilter's result is not there yet."""
        late = filter_("late", rule("gpu.energy", 'gives = { name = "${metric}.late" }'), placement="postfilter")
        words = "nvml attribution late sink"
        assert codes(run(words, *ALL, late, more=formulas("gpu.energy.late"))) == ["E-ORDER-PLACEMENT"]

    def test_kinds_decide_who_reads_the_result(self) -> None:
        """`rate` takes deltas: it comes behind a formula that gives one, and reads no gauge."""
        result = run("nvml rate attribution sink", *ALL, more=formulas("gpu.energy * 2"))
        assert ("attribution", "rate") in edges(result)
        result = run("nvml rate attribution sink", *ALL, more=formulas("gpu.energy / gpu.energy", unit="1"))
        assert edges(result) == []


def contract(rule_: str, type_: str = "map<formula>", placement: str = "filter") -> str:
    """A contract with one rule over the option `x`."""
    return head("f", placement) + f'config.x = {{ type = "{type_}" }}\n' + rule("${config.x}", rule_)


SOUND = {
    "x": (
        "gpu.energy * 2",
        "hw.energy{domain=package} / 3",
        "hw.energy{domain=package} - hw.energy{domain=core}",
        EXAMPLE,
    ),
    "y": ("x * 2", "x / 2 - x / 4", "hw.power / hw.power"),
    "z": ("x.rate", "y", "hw.power"),
}
WRONG = ("x * hw.power", "hw.power + gpu.energy", "nothing * 2", "sum(hw.energy)", "x.rate * gpu.temperature")


@given(
    st.fixed_dictionaries({name: st.sampled_from(texts) for name, texts in SOUND.items()}),
    st.sampled_from(["", "", *WRONG]),
    st.permutations(["rapl", "cpu", "process", "nvml", "rate", "bare", "bare#b", "bare#c", "sink"]),
)
@settings(steady, max_examples=100)
def test_the_order_of_plugins_means_nothing(texts: dict[str, str], wrong: str, words: list[str]) -> None:
    """Permuting `plugins` changes neither edges, schemas and rules nor diagnostics; a wrong formula is one cause."""
    bare = filter_("bare", rule("${config.formulas}", 'gives = { name = "${item}" }'), more=OPTIONS)
    more = [
        f'config.bare.formulas = {{ x = "{wrong or texts["x"]}" }}',
        f'config.b.formulas = {{ y = "{texts["y"]}" }}',
        f'config.c.formulas = {{ z = "{texts["z"]}" }}',
    ]
    results = [run(" ".join(order), *ALL, bare, more="\n".join(more) + "\n") for order in (sorted(words), words)]
    assert said(results[0]) == said(results[1])
    assert len([code for code in codes(results[0]) if code.startswith("E-")]) == (1 if wrong else 0)
    if results[0].plan is None or results[1].plan is None:
        return
    documents = [result.plan.document for result in results if result.plan is not None]
    for part in ("edges", "schema"):
        assert documents[0][part] == documents[1][part]
    assert {p["instance"]: p["rules"] for p in documents[0]["plugins"]} == {
        p["instance"]: p["rules"] for p in documents[1]["plugins"]
    }


class TestContract:
    """What a contract may say beside a formula."""

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            (contract('gives = { name = "${item}", kind = "delta" }'), "kind"),
            (contract('gives = { name = "${item}", type = "u64" }'), "type"),
            (contract('gives = { name = "${item}", additive = true }'), "additive"),
            (contract('gives = { name = "${item}", drop = ["a"], merge = "sum" }'), "drop"),
            (contract('gives = { name = "${item}", resource = ["machine"] }'), "resource"),
            (contract('keeps = false\ngives = { name = "${item}" }'), "keeps"),
            (contract('gives = { name = "x" }'), "name"),  # all formulas would have this name
            (contract('gives = { name = "${item}" }', "formula"), "name"),  # one formula has none
            (contract('gives = { name = "${metric}.${item}" }'), "name"),
            (contract('gives = { name = "${item}", unit = "${unit}/s" }'), "unit"),
            (contract('gives = { name = "${item}" }', "list<metric>"), "name"),
        ],
    )
    def test_what_cannot_stand_there(self, text: str, place: str) -> None:
        """Kind, series and additivity follow from the formula."""
        fault = shown(next(fault for fault in faults(text) if fault.code == "E-CLAUSE-TYPE"))
        assert at(fault, text, file="contract.toml") == place
        assert fault["clause"].endswith(place)

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            (contract(""), "E-CLAUSE-MISSING"),  # what would it be called
            (contract('gives = { name = "${item}" }', "list<formula>"), "E-CLAUSE-TYPE"),  # a list has no names
            (contract("", placement="output"), "E-CLAUSE-TYPE"),  # an output gives nothing
        ],
    )
    def test_what_is_none(self, text: str, code: str) -> None:
        """A rule that computes gives something that has a name."""
        assert [fault.code for fault in faults(text) if shown(fault)] == [code]

    @pytest.mark.parametrize(
        "text",
        [
            contract('gives = { name = "p.${item}", type = "f64", unit = "J", quality = "estimated" }'),
            contract('gives = { name = "${item}", interval = "1s", attributes = { site = "lab" } }'),
            contract('kind = ["delta"]\nunit = "J"\ngives = { name = "x" }', "formula"),
        ],
    )
    def test_what_may_stand_there(self, text: str) -> None:
        """Name, unit and what no formula says."""
        assert faults(text) == []

    def test_attributes_and_quality_are_put_on_the_result(self) -> None:
        """As on what any other rule gives; an interval, too."""
        text = contract('gives = { name = "p.${item}", quality = "estimated", attributes = { site = "lab" } }')
        result = run("nvml f sink", NVML, text, SINK, more='config.f.x.y = "gpu.energy / 2"')
        (row,) = adds(result, "f")
        assert (row["metric"], row["quality"], row["attributes"]) == ("p.y", "estimated", {"site": ["lab"]})

    def test_permutations_give_equal_plans(self) -> None:
        """Neither the order of formulas in the file nor that of plugins means anything."""
        texts = [EXAMPLE, "gpu.energy / 2", "hw.power / hw.power * gpu.energy"]
        plans = set()
        for order in ("xyz", "zyx", "yzx"):
            lines = [f'config.attribution.formulas.{name} = "{texts["xyz".index(name)]}"' for name in order]
            found = check(request(WORDS, "\n".join(lines) + "\n"), catalogue(*ALL), Assumed())
            assert found.plan is not None, said(found)
            plans.add(found.plan.to_bytes())
        assert len(plans) == 1
