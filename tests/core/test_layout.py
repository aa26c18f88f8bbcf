"""A layout says where each key lies, and equal layouts are one object."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.keys import Key, KeyClash, KeySet, Metric
from meter.core.layout import Layout

PROPERTY = settings(derandomize=True, deadline=None)

POWER = Metric("hw.power", "f64", "W", "gauge", additive=True)
TIME = Metric("cpu.time", "u64", "ns", "counter", additive=True)
DRIFT = Metric("drift", "i64", "ns", "gauge", additive=False)

KEYS = st.builds(
    Key.make, st.sampled_from([POWER, TIME, DRIFT]), st.tuples(st.just("cpu"), st.integers(0, 12).map(str))
)
KEY_SETS = st.lists(KEYS, max_size=12).map(KeySet)


def cpus(metric: Metric, *numbers: int) -> KeySet:
    """The keys of some processors."""
    return KeySet(Key.make(metric, ("cpu", str(number))) for number in numbers)


def where(layout: Layout) -> dict[Key, tuple[int, int]]:
    """Part and column of each key."""
    return dict(zip(layout.keys, layout.address, strict=True))


class TestOf:
    """The layout of new matrices."""

    def test_there_is_one_part_for_each_type(self) -> None:
        """Types are sorted, and columns are in the order of the keys."""
        layout = Layout.of(cpus(TIME, 0) | cpus(POWER, 10, 2) | cpus(DRIFT, 0))

        assert (layout.dtypes, layout.widths) == (("f64", "i64", "u64"), (2, 1, 1))
        assert layout.metrics == ("cpu.time", "drift", "hw.power")
        assert layout.address == ((2, 0), (1, 0), (0, 0), (0, 1))

    def test_no_keys_need_no_parts(self) -> None:
        """An empty layout is a layout."""
        layout = Layout.of([])

        assert (layout.dtypes, layout.widths, layout.address, layout.metrics) == ((), (), (), ())

    @PROPERTY
    @given(KEY_SETS)
    def test_each_column_belongs_to_one_key_of_its_type(self, keys: KeySet) -> None:
        """The columns of all parts are the keys, each once."""
        layout = Layout.of(keys)

        assert sorted(layout.address) == [
            (part, column) for part, width in enumerate(layout.widths) for column in range(width)
        ]
        assert [layout.dtypes[part] for part, _ in layout.address] == [key.metric.type for key in keys]


class TestIdentity:
    """Layouts are interned."""

    @PROPERTY
    @given(st.lists(KEYS, max_size=12))
    def test_equal_layouts_are_one_object(self, keys: list[Key]) -> None:
        """What has been prepared for a layout is found again, however the layout came about."""
        assert Layout.of(keys) is Layout.of(KeySet(reversed(keys)))

    def test_another_unit_is_another_layout(self) -> None:
        """Keys are equal without their metadata, layouts are not."""
        scaled = Layout.of(cpus(POWER._replace(unit="mW"), 0))

        assert scaled.keys == Layout.of(cpus(POWER, 0)).keys
        assert scaled is not Layout.of(cpus(POWER, 0))

    def test_copies_and_pickles_are_the_same_object(self) -> None:
        """Identity survives what copies a block."""
        layout = Layout.of(cpus(POWER, 0, 1))

        assert copy.copy(layout) is copy.deepcopy(layout) is pickle.loads(pickle.dumps(layout)) is layout

    def test_a_layout_cannot_be_changed(self) -> None:
        """It is shared by all who have equal keys."""
        layout = Layout.of(cpus(POWER, 0))

        with pytest.raises(AttributeError):
            layout.keys = KeySet()
        with pytest.raises(AttributeError):
            del layout.keys

    def test_a_layout_that_nobody_has_is_released(self) -> None:
        """Interning keeps nothing alive, so that processes that come and go leave nothing behind."""
        layout = Layout.of(cpus(POWER._replace(origin="released"), 0, 1))
        layout.join(Layout.of(cpus(TIME._replace(origin="released"), 0)))
        layout.restrict(cpus(POWER, 1))
        trace = weakref.ref(layout)

        del layout
        gc.collect()

        assert trace() is None


class TestRestrict:
    """Fewer keys over the same parts."""

    @PROPERTY
    @given(KEY_SETS, KEY_SETS)
    def test_keys_stay_where_they_were(self, keys: KeySet, some: KeySet) -> None:
        """No value has to be moved."""
        layout = Layout.of(keys)

        restricted = layout.restrict(keys & some)

        assert restricted.keys == keys & some
        assert where(restricted).items() <= where(layout).items()
        assert (restricted.dtypes, restricted.widths) == (layout.dtypes, layout.widths)

    def test_metadata_stays_that_of_the_layout(self) -> None:
        """A set of keys with another unit only says which keys are meant."""
        restricted = Layout.of(cpus(POWER, 0, 1)).restrict(cpus(POWER._replace(unit="mW"), 1))

        assert [key.metric.unit for key in restricted.keys] == ["W"]

    def test_all_keys_are_the_layout_itself(self) -> None:
        """Dropping nothing changes nothing."""
        layout = Layout.of(cpus(POWER, 0, 1))

        assert layout.restrict(layout.keys) is layout.restrict(cpus(POWER, 0, 1)) is layout

    def test_a_second_time_gives_the_same_object(self) -> None:
        """A restriction is made once."""
        layout = Layout.of(cpus(POWER, 0, 1))

        assert layout.restrict(cpus(POWER, 1)) is layout.restrict(cpus(POWER, 1))

    def test_a_key_that_is_not_there_is_refused(self) -> None:
        """A restriction adds nothing."""
        with pytest.raises(KeyError, match="#2"):
            Layout.of(cpus(POWER, 0, 1)).restrict(cpus(POWER, 1, 2))


class TestJoin:
    """The keys of two layouts over the parts of both."""

    @PROPERTY
    @given(KEY_SETS, KEY_SETS)
    def test_the_parts_of_the_other_follow(self, a: KeySet, b: KeySet) -> None:
        """Each key stays in its column, the parts of the other come after these."""
        left, right = Layout.of(a - b), Layout.of(b)

        joined = left.join(right)

        assert joined.keys == a | b
        assert joined.dtypes == left.dtypes + right.dtypes
        assert joined.widths == left.widths + right.widths
        assert where(joined) == where(left) | {
            key: (part + len(left.widths), column) for key, (part, column) in where(right).items()
        }

    def test_a_second_time_gives_the_same_object(self) -> None:
        """A join is made once."""
        left, right = Layout.of(cpus(POWER, 0)), Layout.of(cpus(TIME, 0))

        assert left.join(right) is left.join(right)

    def test_a_key_in_both_is_refused(self) -> None:
        """In a block each key has one column."""
        with pytest.raises(KeyClash) as caught:
            Layout.of(cpus(POWER, 0, 1)).join(Layout.of(cpus(POWER, 1, 2)))

        assert caught.value.key in cpus(POWER, 1)

    def test_what_is_kept_is_bounded(self) -> None:
        """A long-lived layout that meets ever new ones does not grow for ever."""
        layout = Layout.of(cpus(POWER, 0))

        for number in range(600):
            layout.join(Layout.of(cpus(TIME, number)))

        assert len(layout._joins) < 600


class TestPlace:
    """Where the columns of a metric lie."""

    def test_neighbours_are_a_slice(self) -> None:
        """One metric of a new layout is a view."""
        layout = Layout.of(cpus(POWER, 0, 1, 2) | cpus(POWER._replace(name="a"), 0, 1))

        assert layout.place("hw.power") == ((0, slice(2, 5)),)
        assert layout.span("hw.power") == (2, 5)

    def test_columns_with_others_between_are_listed(self) -> None:
        """A restriction may have holes."""
        layout = Layout.of(cpus(POWER, 0, 1, 2)).restrict(cpus(POWER, 0, 2))

        assert layout.place("hw.power") == ((0, (0, 2)),)

    def test_a_metric_in_two_parts_keeps_the_order_of_its_keys(self) -> None:
        """Columns side by side are in the order of the keys, wherever they come from."""
        layout = Layout.of(cpus(POWER, 0, 2, 3)).join(Layout.of(cpus(POWER, 1)))

        assert layout.place("hw.power") == ((0, slice(0, 1)), (1, slice(0, 1)), (0, slice(1, 3)))

    def test_an_unknown_metric_is_refused(self) -> None:
        """Nothing is not the same as no columns."""
        with pytest.raises(KeyError, match="nothing"):
            Layout.of(cpus(POWER, 0)).place("nothing")

    @PROPERTY
    @given(KEY_SETS, KEY_SETS, st.lists(st.integers(0, 11)))
    def test_places_name_the_columns_asked_for(self, a: KeySet, b: KeySet, positions: list[int]) -> None:
        """`gather` is the addresses in another shape."""
        layout = Layout.of(a - b).join(Layout.of(b))
        positions = [position for position in positions if position < len(layout.keys)]

        flat = [
            (part, column)
            for part, columns in layout.gather(positions)
            for column in (range(columns.start, columns.stop) if isinstance(columns, slice) else columns)
        ]

        assert flat == [layout.address[position] for position in positions]
