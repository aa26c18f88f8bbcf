"""What a formula gives: unit, kind, series, and that what does not add up is refused with the reason."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.formula.faults import FormulaFault
from meter.contracts.formula.formulas import parse
from meter.contracts.formula.inference import Inferred, Refused, infer, possible
from meter.contracts.language import fill, language
from meter.contracts.order import commensurable
from meter.contracts.selectors import split
from meter.contracts.units import UnitError
from meter.contracts.variants import Variant
from tests.strategies import steady


def metric(name: str, kind: str = "delta", unit: str = "J", resource: str = "machine", **more: Any) -> Variant:
    """A variant; `more` are attributes, with `additive`, `consumer`, `quality`, `interval`, `parts` and `type`."""
    fields: dict[str, Any] = {
        "type": "f64",
        "additive": language().says("kind", kind, "additive"),
        "consumer": "machine",
        "quality": "measured",
        "interval": 0,
        "origin": "s",
        "parts": (),
    }
    fields |= {key: more.pop(key) for key in list(more) if key in fields}
    fields["consumer"] = frozenset(fields["consumer"].split("|"))
    return Variant(
        metric=name,
        unit=unit,
        kind=kind,
        resource=frozenset(resource.split("|")),
        attributes=tuple(
            (key.replace("__", "."), None if values == "*" else frozenset(values.split("|")))
            for key, values in sorted(more.items())
        ),
        via=frozenset({fields["origin"]}),
        **fields,
    )


DOMAINS = (("domain", (("core", "package"), ("uncore", "package"))),)
ENERGY = (
    metric("hw.energy", resource="cpu_package", domain="package|core|uncore", parts=DOMAINS),
    metric("hw.energy", resource="dram", domain="dram"),
    metric("hw.energy", resource="machine", domain="platform"),
)
CHAIN = (
    *ENERGY,
    metric("process.cpu.time", unit="s", consumer="process", cpu__mode="user|system", interval=5, origin="process"),
    metric("system.cpu.time", unit="s", cpu__mode="user|nice|system|idle", interval=1, origin="cpu"),
    metric("core.time", unit="s", resource="cpu_core"),
    metric("package.time", unit="s", resource="cpu_package"),
    metric("cgroup.time", unit="s", consumer="cgroup"),
    metric("task.time", unit="s", consumer="process"),
    metric("container.cpu.time", "counter", "s", consumer="cgroup"),
    metric("hw.power", "gauge", "W", resource="gpu", additive=True),
    metric("gpu.energy", "delta", "mJ", resource="gpu"),
    metric("hw.temperature", "gauge", "Cel", resource="sensor"),
    metric("hw.fan", "gauge", "1", resource="sensor"),
    metric("utilization", "gauge", "1", resource="cpu_core"),
    metric("load", "gauge", "%"),
    metric("share.of.process", "gauge", "%", consumer="process"),
    metric("share.of.core", "gauge", "1", resource="cpu_core"),
    metric("memory", "gauge", "By", type="u64", additive=True, state="used|free"),
    metric("memory.limit", "gauge", "KiBy", type="u64"),
    metric("requests", unit="{request}", type="u64", quality="estimated", route="*"),
    metric("errors", unit="{request}", type="u64", route="*"),
    metric("mixed", unit="s", mode="a|b"),
    metric("mixed", unit="s", resource="machine|gpu"),
    metric("frames", "delta", "1", resource="gpu"),
    metric("frames", "delta", "1", resource="machine", consumer="process"),
    metric("both", "gauge", "1", resource="gpu", consumer="process"),
    metric("traffic", unit="By"),
    metric("traffic", unit="By", direction="in|out"),
    metric("traffic.time", unit="s"),
    metric("traffic.time", unit="s", direction="in|out"),
    metric("split", "gauge", "1", a="x|y"),
    metric("split", "gauge", "1", b="x|y"),
    metric("whole", "gauge", "1", a="x|y", b="x|y"),
)


def hits(text: str, variants: Sequence[Variant] = CHAIN) -> list[list[Variant]]:
    """The parts that each selector of a formula takes."""
    found = [[split(v, reading.selector, commensurable)[0] for v in variants] for reading in parse(text).readings]
    return [[part for part in each if part is not None] for each in found]


def gives(text: str, variants: Sequence[Variant] = CHAIN) -> Inferred:
    """What a formula gives that has to be sound."""
    found = infer(parse(text), hits(text, variants))
    assert isinstance(found, Inferred), said(found)
    return found


def said(found: Refused) -> list[str]:
    """Codes and messages; every fact of every text is there."""
    facts = {"item": "x", "instance": "f", "filter": "difference"}
    texts = []
    for fault in found.faults:
        code = language().codes[fault.code]
        way = fault.facts.get("way")
        help_ = language().phrase("text", f"formula-{way}", **fault.facts) if way else ""
        filled = [
            fill(code.text(which, fault.variant), {**facts, **fault.facts, "way": help_})
            for which in ("message", "label", *(["beside"] if len(fault.places) > 1 else []))
        ]
        assert all(filled)
        texts.append(f"{fault.code}: {filled[0]}")
    return texts


def refused(text: str, variants: Sequence[Variant] = CHAIN) -> FormulaFault:
    """The only fault of a formula that has to have one."""
    found = infer(parse(text), hits(text, variants))
    assert isinstance(found, Refused), found
    assert len(said(found)) == 1
    return found.faults[0]


def told(variant: Variant) -> str:
    """What a variant is, in short: kind, keys, + where it is additive."""
    attributes = [
        f"{name}={'*' if values is None else '|'.join(sorted(values))}" for name, values in variant.attributes
    ]
    keys = [*variant.resource, *variant.consumer, *attributes]
    return f"{variant.kind} {' '.join(key for key in keys if key != 'machine')}{' +' if variant.additive else ''}"


class TestGives:
    """Sound formulas."""

    @pytest.mark.parametrize(
        ("text", "unit", "series"),
        [
            # the example of the design: joules of packages to processes
            (
                "hw.energy{domain=package} * sum(process.cpu.time) / sum(system.cpu.time{cpu.mode=user|nice|system})",
                "J",
                ["delta cpu_package process +"],
            ),
            # the other way round it is the same; parentheses of products mean nothing
            (
                "sum(process.cpu.time) / (sum(system.cpu.time) / hw.energy{domain=package})",
                "J",
                ["delta cpu_package process +"],
            ),
            ("hw.power * sum(process.cpu.time) / sum(system.cpu.time)", "W", ["gauge gpu process +"]),
            # an attribute with one value leaves the key, also where it is the only one there is
            ("hw.energy{domain=core} * 2", "J", ["delta cpu_package +"]),
            ("hw.energy{resource=dram}", "J", ["delta dram +"]),
            ("requests{route=a}", "{request}", ["delta  +"]),
            # with more of them it stays
            ("2 * hw.energy{domain=package|core}", "J", ["delta cpu_package domain=core|package +"]),
            (
                "hw.energy{domain=package|dram}",
                "J",
                ["delta cpu_package domain=package +", "delta dram domain=dram +"],
            ),
            ("sum(hw.energy{domain=package|dram})", "J", ["delta cpu_package +", "delta dram +"]),
            # what divides itself is a gauge, that adds up where the numerator did
            ("sum(process.cpu.time) / sum(system.cpu.time)", "1", ["gauge process +"]),
            ("process.cpu.time{cpu.mode=user} / process.cpu.time{cpu.mode=system}", "1", ["gauge process"]),
            ("errors / requests", "1", ["gauge route=*"]),
            ("errors / sum(requests)", "1", ["gauge route=* +"]),
            # kinds join with their ancestors, the finer one is the result
            ("hw.energy{domain=package} * core.time / package.time", "J", ["delta cpu_core +"]),
            ("cgroup.time * task.time / cgroup.time", "s", ["delta process +"]),
            # the total with the total, the parts with the parts
            ("traffic / traffic.time", "By/s", ["gauge ", "gauge direction=in|out"]),
            ("split * split", "1", ["gauge a=x|y", "gauge b=x|y"]),
            # terms of one dimension and one degree; a number is an intensive thing of the machine
            ("1 - utilization", "1", ["gauge cpu_core"]),
            ("1 - load", "%", ["gauge "]),
            ("memory{state=used} - 2 * memory{state=free}", "By", ["gauge "]),
            ("memory{state=used} / memory.limit", "By/KiBy", ["gauge "]),
            ("sum(memory) / 2", "By", ["gauge "]),
            ("gpu.energy + gpu.energy / 2", "mJ", ["delta gpu +"]),
            ("(task.time + task.time * 0.5) / sum(system.cpu.time)", "1", ["gauge process +"]),
            # a share divides among the dimensions that it alone has
            ("hw.energy{domain=package} * share(share.of.process)", "J", ["delta cpu_package process +"]),
            ("hw.energy{domain=package} * share(share.of.core)", "J", ["delta cpu_core +"]),
            ("task.time * share(share.of.process)", "s", ["delta process +"]),
            ("hw.energy{domain=platform} * (1 - share(load))", "J", ["delta  +"]),
            # integers are read as f64
            ("errors / 2", "{request}", ["delta route=* +"]),
        ],
    )
    def test_unit_kind_and_series(self, text: str, unit: str, series: list[str]) -> None:
        """Units multiply, attributes of one value leave the key, series join."""
        found = gives(text)
        assert [told(variant) for variant in found.variants] == series
        assert {(variant.unit, variant.type) for variant in found.variants} == {(found.unit.text, "f64")}
        assert found.unit.text == unit

    def test_facts_of_the_inputs_are_put_together(self) -> None:
        """The worst quality, the longest interval, every instance; what is computed is not measured."""
        found = gives("sum(process.cpu.time) / sum(system.cpu.time)").variants[0]
        assert (found.quality, found.interval, found.via) == ("derived", 5, frozenset({"process", "cpu"}))
        assert gives("errors / sum(requests)").variants[0].quality == "estimated"
        assert gives("errors").variants[0].quality == "measured"
        assert gives("sum(errors)").variants[0].quality == "derived"

    @pytest.mark.parametrize(
        ("text", "quality"),
        [
            ("hw.energy{domain=package} * sum(process.cpu.time) / sum(system.cpu.time)", "estimated"),
            ("sum(process.cpu.time) / (sum(system.cpu.time) / hw.energy{domain=package})", "estimated"),
            ("(sum(process.cpu.time) / sum(system.cpu.time)) * (2 * hw.energy{domain=package})", "estimated"),
            ("hw.energy{domain=package} * core.time / package.time", "estimated"),
            ("hw.energy{domain=package} * share(share.of.process)", "estimated"),
            ("hw.power * sum(process.cpu.time) / sum(system.cpu.time)", "estimated"),  # of a gauge that adds up, too
            ("sum(process.cpu.time) / sum(system.cpu.time)", "derived"),  # both are measured
            ("task.time * share(share.of.process)", "derived"),  # among those that it is of
            ("2 * hw.energy{domain=package|core}", "derived"),
            ("1 - utilization", "derived"),
            ("(task.time + task.time * 0.5) / sum(system.cpu.time)", "derived"),
        ],
    )
    def test_an_amount_that_is_divided_is_an_estimate(self, text: str, quality: str) -> None:
        """Nobody has measured whose it is; `exec` and `measure()` say the same of it."""
        assert {variant.quality for variant in gives(text).variants} == {quality}

    def test_parts_stay_with_their_attribute(self) -> None:
        """Who sums the result later must not count a part with its whole."""
        assert gives("2 * hw.energy{domain=package|core}").variants[0].parts == DOMAINS
        assert gives("2 * hw.energy{domain=core}").variants[0].parts == ()

    @pytest.mark.parametrize(
        ("text", "demanded", "factors", "scale"),
        [
            ("hw.energy{domain=package}", "J", [1], 1),
            ("hw.energy{domain=package}", "kJ", [1], Fraction(1, 1000)),
            ("gpu.energy", "J", [1], Fraction(1, 1000)),
            ("hw.power * 2", "kW", [1], Fraction(1, 1000)),
            # metrics of two scales are brought into base units before they are added
            ("memory{state=used} - memory.limit", "By", [1, 1024], 1),
            ("memory{state=used} - memory.limit", "KiBy", [1, 1024], Fraction(1, 1024)),
            ("1 - load", "%", [0.01], 100),
            ("task.time * share(share.of.process)", "ms", [1, 0.01], 1000),
            ("memory{state=used} / memory.limit", "%", [1, 1], Fraction(100, 1024)),
        ],
    )
    def test_values_are_scaled(self, text: str, demanded: str, factors: list[float], scale: Fraction) -> None:
        """What each input, and the result, is multiplied with so that the result is in the demanded unit."""
        found = gives(text)
        assert list(found.factors) == [float(factor) for factor in factors]
        assert found.scale(language().units.parse(demanded)) == float(scale)

    @pytest.mark.parametrize(("text", "demanded"), [("hw.power", "J"), ("hw.fan", "Cel"), ("core.time", "1")])
    def test_no_factor_leads_elsewhere(self, text: str, demanded: str) -> None:
        """A unit of another dimension, or one with an offset, is none that the result could be in."""
        with pytest.raises(UnitError):
            gives(text).scale(language().units.parse(demanded))

    def test_what_each_selector_brings_is_told(self) -> None:
        """For the notes of whoever asks why."""
        found = gives("hw.energy{domain=package|core} * share(share.of.process)")
        assert [(d.text, d.unit, d.time, dict(d.degrees)) for d in found.derived] == [
            ("hw.energy{domain=package|core}", "J", 1, {("", "domain"): 1, ("resource", "cpu_package"): 1}),
            ("share(share.of.process)", "1", 0, {("consumer", "process"): 1, ("consumer", "cgroup"): 1}),
        ]


class TestParts:
    """A part of a value beside the value itself."""

    @pytest.mark.parametrize(
        "text",
        [
            "hw.energy{domain=package} - hw.energy{domain=core}",
            "hw.energy{domain=package} - hw.energy{domain=core} - hw.energy{domain=uncore}",
            "hw.energy{domain=core} + hw.energy{domain=uncore}",
            "hw.energy{domain=package} - (hw.energy{domain=core} + hw.energy{domain=uncore})",
            "hw.energy{domain=package} * 0.7 + hw.energy{domain=core} * 0.3",  # weights of a model
            "hw.energy{domain=package} + hw.energy{domain=package}",  # twice the same is said, and not by mistake
        ],
    )
    def test_what_is_left_and_what_lies_beside_is_computed(self, text: str) -> None:
        """Nothing is counted twice in them."""
        assert gives(text).unit.text == "J"

    def test_many_parts_in_many_shapes(self) -> None:
        """Each pair is looked at once, however many shapes of the metric there are; the whole among them is found."""
        values = [f"v{nth}" for nth in range(60)]
        parts = (("d", tuple((value, "w") for value in values)),)
        shapes = [metric("m", d="|".join([*values, "w"]), parts=parts, **{f"k{nth}": "a"}) for nth in range(40)]
        beside = " + ".join(f"m{{d={value}}}" for value in values)
        fault = refused(f"{beside} + m{{d=w}}", shapes)

        assert (fault.code, fault.variant) == ("E-FLOW-DOUBLE", "added")
        assert (fault.facts["part"], fault.facts["whole"]) == ("v0", "w")


class TestRefused:
    """Formulas that would give wrong numbers."""

    @pytest.mark.parametrize(
        ("text", "code", "variant", "place"),
        [
            ("nothing * 2", "E-FLOW-EMPTY", "", "nothing"),
            ("container.cpu.time / 2", "E-FLOW-KIND", "formula", "container.cpu.time"),
            ("sum(utilization)", "E-FLOW-KIND", "sum", "sum(utilization)"),
            ("share(task.time)", "E-FLOW-UNIT", "share", "share(task.time)"),
            ("share(frames{resource=gpu})", "E-FLOW-KIND", "share", "share(frames{resource=gpu})"),
            ("hw.temperature * 2", "E-FLOW-UNIT", "summand", "hw.temperature"),
            ("sum(hw.energy{resource=cpu_package})", "E-FLOW-DOUBLE", "", "sum(hw.energy{resource=cpu_package})"),
            ("sum(mixed)", "E-FLOW-DOUBLE", "total", "sum(mixed)"),
            # a part and its whole, in whatever order and nesting
            ("hw.energy{domain=package} + hw.energy{domain=core}", "E-FLOW-DOUBLE", "added", "hw.energy{domain=core}"),
            ("hw.energy{domain=core} + hw.energy{domain=package}", "E-FLOW-DOUBLE", "added", "hw.energy{domain=core}"),
            (
                "2 * (sum(hw.energy{domain=package}) - (0 - sum(hw.energy{domain=core})))",
                "E-FLOW-DOUBLE",
                "added",
                "sum(hw.energy{domain=core})",
            ),
            ("hw.energy{domain=package} + hw.power", "E-FLOW-UNIT", "terms", "hw.power"),
            ("hw.energy{domain=package} * (1 + hw.power)", "E-FLOW-UNIT", "terms", "hw.power"),
            ("frames{resource=gpu} + both", "E-FLOW-KIND", "terms", "both"),
            ("task.time - sum(system.cpu.time)", "E-FLOW-DOUBLE", "terms", "sum(system.cpu.time)"),
            ("1 + sum(process.cpu.time) / sum(system.cpu.time)", "E-FLOW-DOUBLE", "terms", None),
            ("hw.energy{domain=package} * task.time", "E-FLOW-KIND", "time", "hw.energy{domain=package} * task.time"),
            ("1 / task.time", "E-FLOW-KIND", "time", "1 / task.time"),
            # the unit is right and the sum over modes is not
            (
                "hw.energy{domain=package} * process.cpu.time / system.cpu.time{cpu.mode=user|system}",
                "E-FLOW-DOUBLE",
                "degree",
                "system.cpu.time{cpu.mode=user|system}",
            ),
            ("hw.energy{domain=package} * task.time / package.time", "E-FLOW-DOUBLE", "degree", "package.time"),
            ("hw.energy{domain=package} * core.time / sum(system.cpu.time)", "E-FLOW-DOUBLE", "degree", "core.time"),
            # joules of a package, once for each of its cores
            ("hw.energy{domain=package} * utilization", "E-FLOW-DOUBLE", "degree", "utilization"),
            ("hw.energy{domain=package} / share(share.of.process)", "E-FLOW-DOUBLE", "degree", None),
            (
                "hw.energy{domain=platform} * share(share.of.process) * share(share.of.process)",
                "E-FLOW-DOUBLE",
                "degree",
                None,
            ),
            ("hw.power{resource=gpu} * hw.energy{domain=package}", "E-FLOW-IDENTITY", "join", None),
            ("task.time{resource=machine} * both * utilization", "E-FLOW-IDENTITY", "join", "utilization"),
            ("memory{state=used} / hw.energy{domain=core|package}", "E-FLOW-KIND", "time", None),
            (
                "system.cpu.time{cpu.mode=user|idle} / system.cpu.time{cpu.mode=user|system}",
                "E-FLOW-IDENTITY",
                "values",
                "system.cpu.time{cpu.mode=user|system}",
            ),
            ("frames * both", "E-FLOW-IDENTITY", "nearest", "frames"),
            ("whole * split", "E-FLOW-IDENTITY", "nearest", "split"),
        ],
    )
    def test_says_why_and_where(self, text: str, code: str, variant: str, place: str | None) -> None:
        """One cause is one fault, at the selector or the term that is wrong; every text of it can be filled in."""
        fault = refused(text)
        assert (fault.code, fault.variant) == (code, variant)
        if place is not None:
            start, end = fault.places[0]
            assert text[start:end] == place

    def test_every_selector_has_its_say(self) -> None:
        """Two that cannot be read are two causes."""
        found = infer(parse("container.cpu.time * nothing"), hits("container.cpu.time * nothing"))
        assert isinstance(found, Refused)
        assert [fault.code for fault in found.faults] == ["E-FLOW-KIND", "E-FLOW-EMPTY"]

    def test_what_is_two_things(self) -> None:
        """A name has one unit and one kind in a whole formula."""
        both = (metric("a", unit="J"), metric("a", unit="kJ", resource="gpu"))
        assert refused("a", both).code == "E-FLOW-CLASH"

    def test_too_many_ways_to_join_are_said(self) -> None:
        """Instead of following them all."""
        names = [f"m{place}" for place in range(9)]
        both = [metric(name, "gauge", "1", **{f"p.{name}": "a|b"}) for name in names]
        both += [metric(name, "gauge", "1", **{f"q.{name}": "a|b"}) for name in names]
        fault = refused(" * ".join(names), both)
        assert (fault.code, fault.variant) == ("E-FLOW-LIMIT", "formula")

    def test_a_unit_that_no_number_can_hold(self) -> None:
        """A scale that a float cannot hold is refused, not rounded to nothing."""
        far = (metric("a", "gauge", "Tm10"), metric("b", "gauge", "s"))
        assert refused("*".join(["a"] * 15) + " * b", far).variant == "large"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("errors * requests / sum(requests) / 2", "sum over it: `sum(requests)`"),
            ("hw.energy{domain=package} * utilization", "`share(utilization)`"),
            (
                "hw.energy{domain=package} * task.time / package.time",
                "let one factor alone tell each `cpu_package` apart",
            ),
        ],
    )
    def test_help(self, text: str, words: str) -> None:
        """What is typed to mend it depends on why it does not add up."""
        fault = refused(text)
        assert words in language().phrase("text", f"formula-{fault.facts['way']}", **fault.facts)


FACTORS = (
    "sum(process.cpu.time)",
    "hw.energy{domain=package}",
    "core.time",
    "hw.power",
    "utilization",
    "2",
    "load",
    "memory",
)
PARTS = [f"({a} + {b})" for a in ("gpu.energy", "1", "load") for b in ("gpu.energy * 2", "utilization", "0.5")]


def outcome(found: Inferred | Refused) -> object:
    """What does not depend on how a formula is written."""
    if isinstance(found, Refused):
        return sorted(fault.code for fault in found.faults)
    return (found.variants, found.unit, found.ratio)


class TestRelations:
    """What holds for any formula."""

    @given(st.lists(st.sampled_from((*FACTORS, *PARTS)), min_size=1, max_size=4), st.randoms())
    @steady
    def test_factors_and_terms_have_no_order(self, factors: list[str], random: Any) -> None:
        """Neither the order of factors nor parentheses around them change what a product gives."""
        if not parse_able(" * ".join(factors)):
            return
        text = " * ".join(factors)
        again = list(factors)
        random.shuffle(again)
        grouped = f"{again[0]} * ({' * '.join(again[1:])})" if len(again) > 1 else f"({again[0]})"
        assert outcome(infer(parse(text), hits(text))) == outcome(infer(parse(grouped), hits(grouped)))
        sums, turned = " + ".join(factors), " + ".join(again)
        assert outcome(infer(parse(sums), hits(sums))) == outcome(infer(parse(turned), hits(turned)))

    @given(
        st.lists(st.sampled_from(FACTORS[:5]), min_size=1, max_size=3),
        st.lists(st.sampled_from(FACTORS[:5]), max_size=2),
    )
    @steady
    def test_the_unit_of_a_product_is_the_product_of_units(self, above: list[str], below: list[str]) -> None:
        """Dimensions add up and scales multiply, whatever else is wrong with a formula."""
        text = " * ".join(above) + "".join(f" / {factor}" for factor in below)
        found = infer(parse(text), hits(text))
        if isinstance(found, Refused):
            return
        units = [language().units.parse(each[0].unit) for each in hits(text)]
        ratio = Fraction(1)
        dimension: dict[str, int] = {}
        for place, unit in enumerate(units):
            sign = 1 if place < len(above) else -1
            ratio *= unit.ratio**sign
            for base, power in unit.dimension:
                dimension[base] = dimension.get(base, 0) + sign * power
        assert (found.unit.ratio, dict(found.unit.dimension)) == (ratio, {b: p for b, p in dimension.items() if p})

    @given(st.sampled_from(FACTORS), st.sampled_from(FACTORS), st.randoms())
    @steady
    def test_variants_have_no_order(self, one: str, other: str, random: Any) -> None:
        """Neither files nor hashes change what a formula gives."""
        text = f"{one} * {other} / sum(system.cpu.time)"
        shuffled = list(CHAIN)
        random.shuffle(shuffled)
        first, second = infer(parse(text), hits(text)), infer(parse(text), hits(text, shuffled))
        assert first == second

    @given(st.lists(st.sampled_from((*FACTORS, *PARTS)), min_size=1, max_size=3))
    @steady
    def test_what_it_gives_was_possible(self, factors: list[str]) -> None:
        """The order of a chain has seen every result of the flow."""
        text = " * ".join(factors) + " / sum(system.cpu.time)"
        found = infer(parse(text), hits(text))
        if isinstance(found, Refused):
            assert possible(parse(text), hits(text))
            return
        could = possible(parse(text), hits(text))
        for variant in found.variants:
            assert any(each.contains(variant) and each.via >= variant.via for each in could)


def parse_able(text: str) -> bool:
    """Whether a text names a metric at all."""
    return any(letter.isalpha() for letter in text)
