"""Many variants of one metric: joined, compared and followed without going through all pairs, and with the same end."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts import clashes, order
from meter.contracts.check import Checked, check
from meter.contracts.claims import Taken, meet
from meter.contracts.clashes import Clashes
from meter.contracts.delivery import mixed
from meter.contracts.doubling import doubled, twice
from meter.contracts.host import Assumed
from meter.contracts.joining import joined
from meter.contracts.live import Live, Step, step
from meter.contracts.resolution.candidates import Templates, could_make
from meter.contracts.rules import WorstQuality, merged
from meter.contracts.seen import Seen
from meter.contracts.variants import Domain, Variant
from tests import strategies
from tests.contracts.build import catalogue, codes, filter_, metric, one, output, request, rule, run, source
from tests.strategies import Scene

BASE = Variant("m", "f64", "1", "gauge", False, frozenset({"machine"}), frozenset({"machine"}))
RESOURCES = st.frozensets(st.sampled_from(["machine", "cpu_package", "cpu_core"]), min_size=1)
CONSUMERS = st.frozensets(st.sampled_from(["machine", "process"]), min_size=1)
DOMAINS: st.SearchStrategy[Domain] = st.one_of(st.none(), st.frozensets(st.sampled_from("uvw"), min_size=1))


@st.composite
def variants(draw: st.DrawFn) -> Variant:
    """A variant of one of few shapes, with few values, so that many of them have something in common."""
    names = draw(st.sampled_from([(), ("a",), ("a", "b"), ("a", "b")]))
    attributes = tuple((name, draw(DOMAINS)) for name in names)
    return BASE._replace(
        unit=draw(st.sampled_from(["1", "1", "1", "s"])),
        resource=draw(RESOURCES),
        consumer=draw(CONSUMERS),
        attributes=attributes,
        origin=draw(st.sampled_from("xyz")),
    )


def together(one: Variant, other: Variant) -> Variant | None:
    """Two variants that differ in one set only, with both sets together."""
    if len(one.attributes) != len(other.attributes):
        return None
    for name in ("resource", "consumer"):
        if other._replace(**{name: getattr(one, name)}) == one:
            return one._replace(**{name: getattr(one, name) | getattr(other, name)})
    for (name, mine), (_, theirs) in zip(one.attributes, other.attributes, strict=True):
        if other.with_domain(name, mine) == one:
            return one.with_domain(name, None if mine is None or theirs is None else mine | theirs)
    return None


def pair_by_pair(group: list[Variant]) -> list[Variant]:
    """What joining means: the first pair that can be joined, again and again."""
    group = sorted(set(group), key=lambda each: str(each.to_json()))
    for first, second in combinations(group, 2):
        if (whole := together(first, second)) is not None:
            return pair_by_pair([each for each in group if each not in (first, second)] + [whole])
    return group


@given(st.lists(variants(), max_size=14))
@settings(strategies.steady, max_examples=200)
def test_joined_variants_are_those_that_are_joined_pair_by_pair(group: list[Variant]) -> None:
    """Whatever is looked up instead of compared."""
    assert joined(group) == pair_by_pair(group)


@given(st.lists(variants(), max_size=14), variants())
@settings(strategies.steady, max_examples=200)
def test_seen_variants_that_meet_are_all_that_do(group: list[Variant], variant: Variant) -> None:
    """In the order in which they were added, each once."""
    assert list(Seen(group).meeting(variant)) == [each for each in dict.fromkeys(group) if variant.meets(each)]


def merged_one_by_one(given: list[Variant], worst: WorstQuality) -> list[Variant]:
    """What merging means: each with all that it has a series in common with, and these with all that the whole has."""
    out: list[Variant] = []
    for variant in given:
        whole = variant
        while met := [each for each in out if each.meets(whole) and each.unit == whole.unit]:
            out.remove(met[0])
            whole = met[0].together(whole, worst)
        out.append(whole)
    return out


@given(st.lists(variants(), max_size=12))
@settings(strategies.steady, max_examples=200)
def test_merged_variants_are_those_that_are_merged_one_by_one(given: list[Variant]) -> None:
    """In the same order, too: what is looked up is what would have been found."""
    worst = WorstQuality(("measured",))
    given = [variant._replace(origin="x") for variant in given]
    assert merged(given, worst) == merged_one_by_one(given, worst)


PARTS = st.sampled_from([(), (("a", (("u", "v"),)),), (("a", (("u", "v"), ("v", "w"))),)])


@given(st.lists(st.tuples(variants(), PARTS), max_size=10), st.sampled_from(["a", "b", "resource", "consumer"]))
@settings(strategies.steady, max_examples=200)
def test_what_is_counted_twice_is_the_first_pair_that_is(
    given: list[tuple[Variant, tuple[tuple[str, tuple[tuple[str, str], ...]], ...]]], dimension: str
) -> None:
    """Of all pairs of parts that become one series."""
    group = [(part._replace(parts=parts), part.without({dimension})) for part, parts in given]
    pairs = (
        (one, other, double)
        for one, other in product(range(len(group)), repeat=2)
        if group[one][1].meets(group[other][1])
        and (double := doubled(group[one][0], group[other][0], dimension)) is not None
    )
    assert twice(group, dimension) == next(pairs, None)


@given(st.lists(st.tuples(st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a"), ()]), variants()), max_size=10))
@settings(strategies.steady, max_examples=200)
def test_what_an_output_cannot_tell_apart_is_the_first_pair(taken: list[tuple[tuple[str, ...], Variant]]) -> None:
    """Of the parts of a metric, sorted, where none of them is already more than one series without what is dropped."""
    taken = [
        (drop, part._replace(attributes=tuple((name, frozenset(min(each or "u"))) for name, each in part.attributes)))
        for drop, part in taken
    ]
    told = sorted(taken, key=lambda each: (each[0], str(each[1].to_json())))
    pairs = (
        [word for word in drop if word in other]
        for (drop, one), (other, two) in combinations(told, 2)
        if (left := [word for word in drop if word in other])
        and not one.meets(two)
        and one.without(left).meets(two.without(left))
    )
    words = next(pairs, [])
    assert [each.facts["word"] for each in mixed("plain", taken)] == words[:1]


HOSTS = st.sampled_from(["", "*", "0.0.0.0:", "127.0.0.1:", "localhost:", "[::]:", "[::1]:", "10.0.0.1:"])
PORTS = st.builds("{}:{}{}".format, st.sampled_from(["tcp", "udp"]), HOSTS, st.sampled_from(["0", "9", "10"]))
NAMES = st.builds(
    "{}:{}".format, st.sampled_from(["file", "unix", "lock"]), st.sampled_from(["a", "./a", "/dev/a", "b"])
)


@given(st.lists(st.one_of(PORTS, NAMES), max_size=12), st.one_of(PORTS, NAMES))
@settings(strategies.steady, max_examples=200)
def test_claims_are_found_by_what_they_meet(claims: list[str], claim: str) -> None:
    """All of them, in the order in which they were taken."""
    taken = Taken()
    for each in claims:
        taken.add(each)
    assert list(taken.meeting(claim)) == [at for at, each in enumerate(claims) if meet(each, claim)]


TEMPLATES = st.sampled_from(["${metric}.a", "a.${metric}", "${metric}", "a.${config.x}.a", "${a}${b}", "a", "${a}a"])


@given(st.lists(TEMPLATES, max_size=7), st.text("ab.", min_size=1, max_size=6))
@settings(strategies.steady, max_examples=200)
def test_templates_are_found_by_what_they_could_make(templates: list[str], metric_: str) -> None:
    """Each once."""
    found = Templates()
    found.add(templates)
    assert sorted(found.of(metric_)) == sorted({each for each in templates if could_make(each, metric_)})


class TestLive:
    """What goes on along a chain."""

    @given(st.lists(st.tuples(variants(), st.sampled_from("mno")), max_size=10), st.sets(st.sampled_from("mno")))
    @settings(strategies.steady, max_examples=100)
    def test_of_some_metrics_all_their_variants_are_found(
        self, given: list[tuple[Variant, str]], names: set[str]
    ) -> None:
        """In the order in which they came."""
        live = Live()
        added = [variant._replace(metric=metric) for variant, metric in given]
        for variant in added:
            live.add(variant)
        for name in names:
            assert live.of({name}) == [each for each in added if each.metric == name]
        assert sorted(live.of(None), key=str) == sorted(added, key=str)

    def test_what_stands_instead_meets_what_comes_then(self) -> None:
        """And what was taken out does not."""
        live = Live()
        one, other = BASE._replace(origin="x"), BASE._replace(origin="y")
        live.add(one)
        assert list(live.meeting(BASE)) == [one]
        live.instead([one], [other])
        assert list(live.meeting(BASE)) == [other]

    def test_a_step_has_what_changed_and_nothing_else(self) -> None:
        """Whatever passes is the same object."""
        kept, gone, come = (BASE._replace(metric=name) for name in "kgc")
        assert step([gone], [kept, gone], [kept, come]) == Step((gone,), (gone,), (come,))


class TestClashes:
    """The clash that is told."""

    def told(self, group: list[Variant]) -> dict[str, clashes.Clash]:
        """The clashes of variants that come one behind the other."""
        found, live = Clashes(), Live()
        for variant in group:
            found.enter(variant.origin, variant, live)
            live.add(variant)
        return found.least()

    @given(st.data(), st.lists(variants(), min_size=2, max_size=8), st.sampled_from([0, 2, clashes.PAIRS]))
    @settings(strategies.steady, max_examples=200)
    def test_it_does_not_depend_on_the_order(self, data: st.DataObject, group: list[Variant], pairs: int) -> None:
        """Of one shape, however many pairs have series in common."""
        group = [variant._replace(unit="1") for variant in dict.fromkeys(group)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clashes, "PAIRS", pairs)
            assert self.told(group) == self.told(data.draw(st.permutations(group)))

    def test_of_many_shapes_the_least_two_are_told(self) -> None:
        """By the labels of who gives them."""
        group = [BASE._replace(unit=unit, origin=origin) for unit, origin in (("s", "c"), ("1", "b"), ("m", "a"))]
        (clash,) = self.told(group).values()
        assert clash.givers == ("a", "b")
        assert clash.shapes == ("f64, m, gauge", "f64, 1, gauge")


class TestPotential:
    """What could be read in some order, without following everything that derives from something in many ways."""

    PROBE = source("probe", metric("m"))

    @given(strategies.scenes(), st.sampled_from([0, 1]))
    @settings(strategies.steady, max_examples=150)
    def test_what_is_not_followed_changes_nothing(self, scene: Scene, near: int) -> None:
        """The plan is that which following everything gives, and so is each refusal."""

        def checked() -> Checked:
            return check(request(" ".join(scene.plugins), scene.more), catalogue(*scene.contracts), Assumed())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(order, "NEAR", near)
            everything = checked()
        if "E-FLOW-LIMIT" not in codes(everything):
            assert checked() == everything

    def ring(self, size: int) -> list[str]:
        """Filters that each make a metric of the source's, and the same of the next one's."""
        return [
            filter_(
                f"p{place}",
                rule(f"g{(place + 1) % size}", f'gives = {{ name = "g{place}" }}'),
                rule("m", f'gives = {{ name = "g{place}" }}'),
            )
            for place in range(size)
        ]

    def test_a_ring_of_many_metrics_is_a_ring(self) -> None:
        """Though what derives from what in it are more ways than are followed."""
        words = " ".join(f"p{place}" for place in range(150))
        document = one(run(f"probe {words} sink", self.PROBE, *self.ring(150), output("sink")), "E-CYCLE")
        assert document["message"].startswith("150 ")

    def test_a_row_that_is_too_long_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the limit in its message."""
        monkeypatch.setattr(order, "DEEP", 40)
        names = [f"p{place}" for place in range(10)]
        texts = [
            filter_(name, rule(before, f'gives = {{ name = "{name}" }}'))
            for before, name in zip(["m", *names], names, strict=False)
        ]
        document = one(run(f"probe {' '.join(names)} sink", self.PROBE, *texts, output("sink")), "E-FLOW-LIMIT")
        assert "40 steps" in document["message"]


def test_of_a_long_line_of_needs_both_ends_are_told() -> None:
    """Who brought what is named from the asked plugin on, and up to the need that nothing meets."""
    names = [f"p{place:02}" for place in range(40)]
    texts = [
        source(name, metric(name), more=f'needs.capabilities = {{ {need} = "*" }}\n')
        for name, need in zip(names, [*names[1:], "gone"], strict=True)
    ]
    document = one(run("p00 sink", *texts, output("sink")), "E-NEED-UNMET")
    (note,) = document["notes"]
    assert note.startswith("because asked -> p00 -> p01 -> ")
    assert note.endswith(" -> p07 -> … -> p32 -> p33 -> p34 -> p35 -> p36 -> p37 -> p38 -> p39 -> gone")
