"""Selectors: which part of a metric is meant, and that nothing is lost between the parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.contracts.order import commensurable
from meter.contracts.selectors import SelectorError, matches, parse, split, split_list
from meter.contracts.variants import Variant
from tests import strategies
from tests.strategies import series, steady

ENERGY = Variant(
    metric="hw.energy",
    type="f64",
    unit="J",
    kind="delta",
    additive=True,
    resource=frozenset({"cpu_package", "gpu"}),
    consumer=frozenset({"machine"}),
    attributes=(("domain", frozenset({"core", "package"})), ("pid", None)),
    origin="rapl",
)


class TestGrammar:
    """Texts that are selectors."""

    @pytest.mark.parametrize(
        ("text", "excludes", "glob", "conditions"),
        [
            ("*", False, "*", ()),
            ("hw.*", False, "hw.*", ()),
            ("!hw.*", True, "hw.*", ()),
            ("a{}", False, "a", ()),
            ("a{k=v}", False, "a", (("k", ("v",)),)),
            ("a{cpu.mode=user|nice, kind=delta}", False, "a", (("cpu.mode", ("user", "nice")), ("kind", ("delta",)))),
            ("a{k=}", False, "a", (("k", ("",)),)),
            (" a ", False, "a", ()),
        ],
    )
    def test_what_is_a_selector(self, text: str, excludes: bool, glob: str, conditions: tuple[object, ...]) -> None:  # noqa: FBT001 one column of a table
        """A selector is a glob, conditions on the key, and a sign that takes away."""
        found = parse(text)
        assert (found.excludes, found.glob, found.conditions) == (excludes, glob, conditions)

    @pytest.mark.parametrize(
        "text", ["", "!", "a b", "a{", "a}", "a{k}", "a{=v}", "a{k=v}b", "!!a", "{k=v}", "a{k=v}}"]
    )
    def test_what_is_none(self, text: str) -> None:
        """Anything else says why it cannot be read."""
        with pytest.raises(SelectorError) as error:
            parse(text)
        assert error.value.why
        assert error.value.text == text

    @given(st.text(max_size=12))
    @steady
    def test_any_text_is_a_selector_or_not(self, text: str) -> None:
        """Reading never fails in another way, and what is read matches or does not."""
        try:
            found = parse(text)
        except SelectorError:
            return
        assert matches(found.glob, "hw.energy") in (True, False)
        assert found.literal == (not set(found.glob) & set("*?["))

    @pytest.mark.parametrize(
        ("glob", "name", "fits"),
        [
            ("*", "anything", True),
            ("hw.*", "hw.energy", True),
            ("hw.*", "hwmon", False),
            ("hw.?nergy", "hw.energy", True),
            ("hw.[ef]nergy", "hw.energy", True),
            ("HW.energy", "hw.energy", False),
            ("hw.energy", "hw.energy.rate", False),
            ("hw", "hw.energy", False),
            ("[", "[", True),
        ],
    )
    def test_globs(self, glob: str, name: str, fits: bool) -> None:  # noqa: FBT001 one column of a table
        """A glob covers the whole name, in its case."""
        assert matches(glob, name) == fits


class TestSplit:
    """The part that is meant and the rest."""

    @pytest.mark.parametrize(
        ("text", "count", "rest"),
        [
            ("*", 12, 0),
            ("hw.power", 0, 12),
            ("*{kind=delta}", 12, 0),
            ("*{kind=gauge|counter}", 0, 12),
            ("*{unit=kJ}", 12, 0),  # commensurable
            ("*{unit=W}", 0, 12),
            ("*{unit=nonsense}", 0, 12),
            ("*{origin=rapl}", 12, 0),
            ("*{origin=tdp}", 0, 12),
            ("*{resource=gpu}", 6, 6),
            ("*{resource=disk}", 0, 12),
            ("*{domain=core}", 6, 6),
            ("*{domain=core|dram}", 6, 6),
            ("*{domain=core,resource=gpu}", 3, 9),
            ("*{colour=red}", 0, 12),  # no such attribute: it does not select the total
        ],
    )
    def test_parts(self, text: str, count: int, rest: int) -> None:
        """A condition takes the series that fulfil it, a metric without the attribute has none."""
        inside, outside = split(ENERGY, parse(text), commensurable)
        assert (0 if inside is None else len(list(series(inside)))) == count
        assert sum(len(list(series(part))) for part in outside) == rest

    def test_an_open_attribute_keeps_its_rest(self) -> None:
        """Which other values there are is not known: the rest is an over-approximation."""
        inside, outside = split(ENERGY, parse("*{pid=1|2}"), commensurable)
        assert inside is not None
        assert inside.domain("pid") == frozenset({"1", "2"})
        assert outside == [ENERGY]

    @given(strategies.variants(open_=False), strategies.selectors())
    @steady
    def test_a_selector_parts_a_variant(self, variant: Variant, text: str) -> None:
        """Of closed domains the parts are disjoint and their union is the variant."""
        inside, outside = split(variant, parse(text), commensurable)
        parts = outside if inside is None else [inside, *outside]
        found = [each for part in parts for each in series(part)]
        assert len(found) == len(set(found))
        assert set(found) == set(series(variant))

    @given(strategies.variants(open_=False), st.lists(strategies.selectors(), max_size=4))
    @steady
    def test_a_list_parts_a_variant(self, variant: Variant, texts: list[str]) -> None:
        """Hits and rest of a list are disjoint too, and make the variant together."""
        hits, rest = split_list(variant, [parse(text) for text in texts], commensurable)
        found = [each for part in [*(hit.part for hit in hits), *rest] for each in series(part)]
        assert len(found) == len(set(found))
        assert set(found) == set(series(variant))

    @given(strategies.variants(open_=False), st.lists(strategies.selectors(), min_size=1, max_size=4))
    @steady
    def test_a_list_means_what_its_items_mean(self, variant: Variant, texts: list[str]) -> None:
        """A series is selected iff an item takes it (or there are none but exclusions) and no exclusion does."""
        items = [parse(text) for text in texts]
        hits, _ = split_list(variant, items, commensurable)
        selected = {each for hit in hits for each in series(hit.part)}
        for each in series(variant):
            taken = [item for item in items if split(each, item, commensurable)[0] is not None]
            wanted = any(not item.excludes for item in taken) or all(item.excludes for item in items)
            assert (each in selected) == (wanted and not any(item.excludes for item in taken))

    def test_exclusions_only_start_from_everything(self) -> None:
        """`["!hw.*"]` is all but hw; where the exclusion stands does not matter."""
        power = ENERGY._replace(metric="sys.power")
        (hit,), rest = split_list(power, [parse("!hw.*")], commensurable)
        assert (hit.item, hit.part, rest) == (-1, power, [])
        assert split_list(ENERGY, [parse("!hw.*")], commensurable) == ([], [ENERGY])
        before = split_list(ENERGY, [parse("!*{domain=core}"), parse("*")], commensurable)[0]
        behind = split_list(ENERGY, [parse("*"), parse("!*{domain=core}")], commensurable)[0]
        assert [hit.part for hit in before] == [hit.part for hit in behind]

    def test_an_empty_list_selects_nothing(self) -> None:
        """No item, no part."""
        assert split_list(ENERGY, [], commensurable) == ([], [ENERGY])

    def test_the_item_that_took_a_part_is_known(self) -> None:
        """The first item of a list that selects a series has it, so that a diagnostic can point."""
        hits, _ = split_list(ENERGY, [parse("*{domain=core}"), parse("hw.*")], commensurable)
        assert [(hit.item, hit.part.domain("domain")) for hit in hits] == [
            (0, frozenset({"core"})),
            (1, frozenset({"package"})),
        ]
