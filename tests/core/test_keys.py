"""Keys have canonical names that sort well, and key sets obey the laws of sets."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts import keynames
from meter.contracts.variants import Variant
from meter.core.keys import Key, KeyClash, KeySet, Metric

PROPERTY = settings(derandomize=True, deadline=None)

POWER = Metric("hw.power", "f64", "W", "gauge", additive=True)

# Texts full of what escaping is about, and texts of anything.
TEXTS = st.text(alphabet="aB0\\/%.#_= ", max_size=4) | st.text(max_size=6)
ATTRIBUTES = st.dictionaries(TEXTS.filter(lambda name: name and "=" not in name), TEXTS, max_size=2)
ENTITIES = st.tuples(TEXTS, TEXTS | st.integers(0, 200).map(str))
ANY_KEY = st.builds(
    Key.make, TEXTS.map(lambda name: POWER._replace(name=name)), ENTITIES, ENTITIES, attributes=ATTRIBUTES
)

# Few names, so that sets meet.
FEW_KEYS = st.builds(
    Key.make,
    st.sampled_from(["a", "a.b", "a/b", "b"]).map(lambda name: POWER._replace(name=name)),
    st.tuples(st.sampled_from(["cpu", "cpus"]), st.sampled_from(["", "0", "1", "10", "x"])),
)
KEY_SETS = st.lists(FEW_KEYS, max_size=12).map(KeySet)
PREFIXES = FEW_KEYS.flatmap(lambda key: st.integers(0, len(key.parts)).map(lambda length: key.parts[:length]))


def cpu(number: str, metric: Metric = POWER) -> Key:
    """The key of one processor."""
    return Key.make(metric, ("cpu", number))


def raw_parts(key: Key) -> tuple[str, ...]:
    """What a key was made from."""
    return (key.metric.name, *key.resource, *key.consumer, *(f"{name}={value}" for name, value in key.attributes))


class TestName:
    """The canonical name of a key."""

    def test_a_name_has_metric_resource_consumer_and_attributes_in_order(self) -> None:
        """A name reads from the general to the particular, attributes sorted by name."""
        key = Key.make(POWER, ("cpu", "10"), ("process", "7"), {"state": "user", "mode": "a/b"})

        assert key.name == "hw.power/cpu/#_10/process/#7/mode=a\\/b/state=user"

    def test_by_default_the_machine_is_measured_for_the_machine(self) -> None:
        """The machine has an empty id, which is written `%`."""
        assert Key.make(POWER).name == "hw.power/machine/%/machine/%"

    @pytest.mark.parametrize(
        ("text", "part"),
        [
            ("", "%"),
            ("%", "\\%"),  # a literal percent sign is not the empty part
            (".", "\\."),
            ("a/b", "a\\/b"),
            ("3", "#3"),
            ("10", "#_10"),
            ("100", "#__100"),
            ("0", "#0"),
            ("00", "00"),  # a leading zero: another id than 0, so a text
            ("-1", "-1"),
            ("9223372036854775807", "#__________________9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"),  # no array is that long
            ("\N{ARABIC-INDIC DIGIT THREE}", "\N{ARABIC-INDIC DIGIT THREE}"),  # decimal to Python, not a number here
            ("#", "##"),
            ("#3", "##3"),  # the text, not the number
            ("#_10", "##_10"),
            ("#/", "##\\/"),
        ],
    )
    def test_an_id_is_escaped(self, text: str, part: str) -> None:
        """Each id has one spelling, which no other id has."""
        assert cpu(text).name.startswith(f"hw.power/cpu/{part}/machine/")

    def test_only_ids_become_array_parts(self) -> None:
        """A number as metric, kind or value of an attribute stays a text."""
        key = Key.make(POWER._replace(name="1"), ("2", "3"), ("4", "5"), {"6": "7"})

        assert key.name == "1/2/#3/4/#5/6=7"

    @PROPERTY
    @given(ANY_KEY)
    def test_a_name_gives_back_what_the_key_was_made_from(self, key: Key) -> None:
        """No two series have the same name, whatever texts they are made from."""
        assert Key.parse_name(key.name) == raw_parts(key)

    @PROPERTY
    @given(ANY_KEY)
    def test_a_canonical_name_is_canonical(self, key: Key) -> None:
        """Reading a canonical name changes nothing."""
        assert keynames.split(key.name) == key.parts
        assert keynames.canonical(f"/{key.name}") == f"/{key.name}"


class TestKey:
    """What makes two keys the same."""

    def test_metadata_is_not_identity(self) -> None:
        """A series stays the same when its unit is another."""
        scaled = POWER._replace(unit="mW")

        assert cpu("1") == cpu("1", scaled)
        assert hash(cpu("1")) == hash(cpu("1", scaled))

    def test_the_order_of_attributes_does_not_matter(self) -> None:
        """Attributes are a mapping."""
        assert Key.make(POWER, attributes={"a": "1", "b": "2"}) == Key.make(POWER, attributes={"b": "2", "a": "1"})

    @PROPERTY
    @given(ANY_KEY, ANY_KEY)
    def test_order_is_total_and_agrees_with_equality(self, a: Key, b: Key) -> None:
        """Of two keys one is less, or they are equal."""
        assert [a < b, a == b, a > b].count(True) == 1
        assert ((a <= b), (a >= b)) == ((a < b or a == b), (a > b or a == b))

    @PROPERTY
    @given(st.lists(st.integers(0, 10**12), unique=True))
    def test_numeric_ids_sort_as_numbers(self, numbers: list[int]) -> None:
        """Processor 2 comes before processor 10."""
        assert [key.resource[1] for key in KeySet(cpu(str(number)) for number in numbers)] == [
            str(number) for number in sorted(numbers)
        ]

    def test_a_key_cannot_be_changed(self) -> None:
        """A key is in many sets, so it stays what it is."""
        key = cpu("1")

        with pytest.raises(AttributeError):
            key.metric = POWER
        with pytest.raises(AttributeError):
            del key.name

    @pytest.mark.parametrize("attributes", [[("", "x")], [("a=b", "x")], [("a", "x"), ("a", "y")]])
    def test_attributes_that_would_be_ambiguous_are_refused(self, attributes: list[tuple[str, str]]) -> None:
        """`a=b` = `c` and `a` = `b=c` would be one name, and one name twice two values."""
        with pytest.raises(ValueError, match="attributes of"):
            Key(POWER, ("cpu", "0"), ("machine", ""), attributes)

    def test_a_key_is_a_variant_of_singletons(self) -> None:
        """The checker's code judges real keys too."""
        metric = Metric("e", "u64", "J", "counter", True, "estimated", 10, "rapl", frozenset({"rapl"}))

        assert Key.make(metric, ("cpu", "1"), ("process", "2"), {"b": "x", "a": "y"}).variant() == Variant(
            metric="e",
            type="u64",
            unit="J",
            kind="counter",
            additive=True,
            resource=frozenset({"cpu"}),
            consumer=frozenset({"process"}),
            attributes=(("a", frozenset({"y"})), ("b", frozenset({"x"}))),
            quality="estimated",
            interval=10,
            origin="rapl",
            via=frozenset({"rapl"}),
        )

    def test_a_key_survives_a_pickle(self) -> None:
        """A second process gets equal keys."""
        key = Key.make(POWER, ("cpu", "1"), attributes={"a": "x"})

        copy = pickle.loads(pickle.dumps(key))

        assert (copy, copy.metric, copy.attributes) == (key, key.metric, key.attributes)


class TestKeySet:
    """A sorted, unique, immutable set of keys."""

    @PROPERTY
    @given(st.lists(ANY_KEY))
    def test_iteration_is_sorted_and_unique(self, keys: list[Key]) -> None:
        """The order of a set does not depend on how it came about."""
        assert list(KeySet(keys)) == sorted(set(keys))

    def test_of_equal_keys_the_last_stays(self) -> None:
        """A later key replaces an equal one, and the size stays."""
        assert [key.metric.unit for key in KeySet([cpu("1"), cpu("1", POWER._replace(unit="mW"))])] == ["mW"]

    @PROPERTY
    @given(KEY_SETS, KEY_SETS)
    def test_union_intersection_and_difference_are_those_of_sets(self, a: KeySet, b: KeySet) -> None:
        """`|`, `&` and `-` mean what they mean for Python's sets."""
        assert (set(a | b), set(a & b), set(a - b)) == (set(a) | set(b), set(a) & set(b), set(a) - set(b))

    @PROPERTY
    @given(KEY_SETS, KEY_SETS, KEY_SETS)
    def test_the_laws_of_sets_hold(self, a: KeySet, b: KeySet, c: KeySet) -> None:
        """Union and intersection commute, associate, distribute and absorb."""
        assert a | b == b | a
        assert a & b == b & a
        assert (a | b) | c == a | (b | c)
        assert a & (b | c) == (a & b) | (a & c)
        assert a | (a & b) == a
        assert a - (b | c) == (a - b) - c
        assert a.isdisjoint(b) == (len(a & b) == 0)

    @PROPERTY
    @given(KEY_SETS, KEY_SETS, PREFIXES)
    def test_below_distributes_over_union(self, a: KeySet, b: KeySet, prefix: tuple[str, ...]) -> None:
        """It does not matter whether sets are joined before or after a subtree is taken."""
        assert (a | b).below(prefix) == a.below(prefix) | b.below(prefix)

    @PROPERTY
    @given(KEY_SETS, PREFIXES)
    def test_below_is_all_keys_that_begin_with_the_prefix(self, keys: KeySet, prefix: tuple[str, ...]) -> None:
        """`a` is above `a/cpu` and not above `a.b/cpu`; a text means the same as the parts."""
        expected = [key for key in keys if key.parts[: len(prefix)] == prefix]

        assert list(keys.below(prefix)) == expected
        assert list(keys.below(keynames.join(prefix))) == expected

    @PROPERTY
    @given(KEY_SETS, PREFIXES)
    def test_a_subtree_is_contiguous(self, keys: KeySet, prefix: tuple[str, ...]) -> None:
        """What belongs together stands together."""
        positions = [keys.position(key) for key in keys.below(prefix)]

        assert positions == list(range(positions[0], positions[0] + len(positions)) if positions else [])

    @PROPERTY
    @given(KEY_SETS, PREFIXES)
    def test_cut_divides_the_set(self, keys: KeySet, prefix: tuple[str, ...]) -> None:
        """Each key is inside or outside, none is in both."""
        inside, outside = keys.cut(prefix)

        assert inside == keys.below(prefix)
        assert inside | outside == keys
        assert inside.isdisjoint(outside)

    @PROPERTY
    @given(KEY_SETS, FEW_KEYS)
    def test_lookup_finds_members_by_key_and_by_name(self, keys: KeySet, key: Key) -> None:
        """Membership, lookup and position agree."""
        if key in keys:
            assert keys.lookup(key) is keys.lookup(key.name) is keys[keys.position(key)]
        else:
            assert keys.lookup(key) is None
            assert key.name not in keys
            with pytest.raises(KeyError):
                keys.position(key)

    @pytest.mark.parametrize(("equal", "unit"), [("mine", "W"), ("theirs", "mW")])
    def test_merge_keeps_the_metadata_that_was_asked_for(self, equal: Literal["mine", "theirs"], unit: str) -> None:
        """Which of two equal keys stays is said, not guessed."""
        mine, theirs = KeySet([cpu("1")]), KeySet([cpu("1", POWER._replace(unit="mW")), cpu("2")])

        merged = mine.merge(theirs, equal=equal)

        assert [key.metric.unit for key in merged] == [unit, "W"]

    def test_merge_refuses_equal_keys_by_default(self) -> None:
        """The error has the first key that is in both."""
        with pytest.raises(KeyClash) as caught:
            KeySet([cpu("1"), cpu("2"), cpu("3")]).merge(KeySet([cpu("3"), cpu("2")]))

        assert caught.value.key == cpu("2")

    @PROPERTY
    @given(KEY_SETS, KEY_SETS)
    def test_equal_sets_have_equal_hashes_and_digests(self, a: KeySet, b: KeySet) -> None:
        """Equality is that of the names; here all metadata is equal too."""
        assert (a == b) == (a.names == b.names) == (a.digest == b.digest)
        if a == b:
            assert hash(a) == hash(b)

    def test_the_digest_tells_metadata_apart(self) -> None:
        """Two machines with equal digests agree on units as well."""
        assert KeySet([cpu("1")]).digest != KeySet([cpu("1", POWER._replace(unit="mW"))]).digest

    def test_the_digest_does_not_depend_on_the_process(self) -> None:
        """It can be written to a file and compared later."""
        keys = KeySet([cpu("\udcff", POWER._replace(via=frozenset({"a", "b", "c"}))), cpu("\N{SNOWMAN}")])

        assert keys.digest == "15259af14649398fda8eea170994c339f973eefb85fe84c4d47b4e1a16a3098f"

    def test_a_key_set_survives_a_pickle(self) -> None:
        """A second process gets an equal set."""
        keys = KeySet([cpu("1"), cpu("2")])

        assert pickle.loads(pickle.dumps(keys)) == keys

    def test_a_key_set_compares_with_other_things_as_unequal(self) -> None:
        """Neither a key nor a set of them is equal to anything else."""
        assert KeySet([cpu("1")]) != (cpu("1"),)
        assert cpu("1") != cpu("1").name

    def test_keys_are_on_the_light_path(self) -> None:
        """Keys and layouts bring neither numpy nor attrs, so that a command can start before these are there."""
        code = "import sys, meter.core.layout; print(sorted({'numpy', 'attr', 'attrs'} & set(sys.modules)))"

        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Key.make(POWER), "hw.power"),
        (Key.make(POWER, ("gpu", "0")), "hw.power of gpu/0"),
        (
            Key.make(POWER, ("gpu", "0"), ("process", "7"), {"b": "2", "a": "1"}),
            "hw.power{a=1,b=2} of gpu/0 for process/7",
        ),
    ],
)
def test_a_series_is_named_for_people(key: Key, said: str) -> None:
    """What is the machine's is not said."""
    assert key.said == said
