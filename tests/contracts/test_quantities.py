"""Durations and sizes: what a text is worth, what is refused, and that writing and reading agree."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts import quantities
from meter.contracts.quantities import (
    LARGEST,
    QuantityError,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

steady = settings(derandomize=True, database=None, deadline=None)
amounts = st.one_of(
    st.integers(0, LARGEST),
    # round numbers, as people write them
    st.builds(
        lambda number, unit: min(number * unit, LARGEST),
        st.integers(0, 5000),
        st.sampled_from([1, 250, 1000, 1024, 10**6, 2**20, 10**9, 60 * 10**9, 3600 * 10**9, 2**40]),
    ),
)


class TestParseDuration:
    """`parse_duration`."""

    @pytest.mark.parametrize(
        ("text", "ns"),
        [
            ("0s", 0),
            ("1ns", 1),
            ("1us", 1_000),
            ("100ms", 100_000_000),
            ("1s", 1_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.1s", 100_000_000),  # no binary fraction, and exact all the same
            ("1.000000001s", 1_000_000_001),
            ("5min", 300_000_000_000),
            ("1h30min", 5_400_000_000_000),
            ("1.5h0.5s", 5_400_500_000_000),
            ("2d", 172_800_000_000_000),
            ("1d2h3min4s5ms6us7ns", 93_784_005_006_007),
            ("9223372036854775807ns", LARGEST),
            ("007s", 7_000_000_000),
        ],
    )
    def test_a_duration_is_exact_nanoseconds(self, text: str, ns: int) -> None:
        """Each unit, decimals and sums of them mean one whole number of nanoseconds."""
        assert ns == parse_duration(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "1",  # of what?
            "s",
            "-1s",
            "+1s",
            "1 s",
            " 1s",
            "1s\n",
            "1m",  # a metre, a month, a minute?
            "1S",
            "1.s",
            ".5s",
            "1e3s",
            "1,5s",
            "1s1h",  # the larger unit comes first
            "1s1s",
            "0.5ns",
            "1.0000000001s",
            "9223372036854775808ns",
            "106752d",
            "\u0661s",  # a digit, but not of ASCII
            "1" * 5000 + "s",
        ],
    )
    def test_what_is_no_duration_is_refused_with_its_text(self, text: str) -> None:
        """A unit is never guessed and nothing is rounded; the error carries the text and what was expected."""
        with pytest.raises(QuantityError) as caught:
            parse_duration(text)

        assert text == caught.value.text
        assert caught.value.expected


class TestFormatDuration:
    """`format_duration`."""

    @pytest.mark.parametrize(
        ("ns", "text"),
        [
            (0, "0s"),
            (1, "1ns"),
            (100_000_000, "100ms"),  # not 0.1s
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1min"),
            (90_000_000_000, "90s"),
            (5_400_000_000_000, "90min"),
            (3_601_000_000_000, "1h1s"),
            (86_400_000_000_000, "1d"),
            (129_600_000_000_000, "36h"),
        ],
    )
    def test_the_text_is_the_one_a_person_would_write(self, ns: int, text: str) -> None:
        """Few digits, no leading `0.`, the largest unit among equals."""
        assert text == format_duration(ns)

    @steady
    @given(ns=amounts)
    def test_reading_gives_back_what_was_written(self, ns: int) -> None:
        """No duration is changed by writing it into a lock or a message."""
        assert ns == parse_duration(format_duration(ns))

    @pytest.mark.parametrize("ns", [-1, LARGEST + 1])
    def test_what_could_not_be_read_is_not_written(self, ns: int) -> None:
        """A duration outside the range of an i64 is refused in both directions."""
        with pytest.raises(QuantityError):
            format_duration(ns)


class TestParseSize:
    """`parse_size`."""

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("0B", 0),
            ("1B", 1),
            ("1kB", 1000),
            ("1MB", 10**6),
            ("2GB", 2 * 10**9),
            ("1TB", 10**12),
            ("1KiB", 1024),
            ("1.5KiB", 1536),
            ("64MiB", 64 * 2**20),
            ("1GiB", 2**30),
            ("1TiB", 2**40),
            ("0.1kB", 100),
            ("1By", 1),
            ("1kBy", 1000),
            ("1MiBy", 2**20),
        ],
    )
    def test_a_size_is_whole_bytes(self, text: str, size: int) -> None:
        """Powers of 1000 and of 1024 are told apart, and UCUM's names mean the same."""
        assert size == parse_size(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "1",
            "B",
            "-1B",
            "1 B",
            "1KB",
            "1kb",
            "1kib",
            "1M",
            "1kiB",
            "1k",
            "0.5B",
            "1.0001kB",
            "1MB1kB",
            "8388608TiB",
        ],
    )
    def test_what_is_no_size_is_refused_with_its_text(self, text: str) -> None:
        """Neither unit nor case is guessed, and half a byte does not exist."""
        with pytest.raises(QuantityError) as caught:
            parse_size(text)

        assert text == caught.value.text


class TestFormatSize:
    """`format_size`."""

    @pytest.mark.parametrize(
        ("size", "text"),
        [(0, "0B"), (999, "999B"), (1000, "1kB"), (1536, "1.5KiB"), (64 * 2**20, "64MiB"), (2_500_000, "2.5MB")],
    )
    def test_the_text_is_the_one_a_person_would_write(self, size: int, text: str) -> None:
        """The family of units is chosen that needs fewer digits."""
        assert text == format_size(size)

    @steady
    @given(size=amounts)
    def test_reading_gives_back_what_was_written(self, size: int) -> None:
        """No size is changed by writing it."""
        assert size == parse_size(format_size(size))

    @pytest.mark.parametrize("size", [-1, LARGEST + 1])
    def test_what_could_not_be_read_is_not_written(self, size: int) -> None:
        """A size outside the range of an i64 is refused in both directions."""
        with pytest.raises(QuantityError):
            format_size(size)


def test_the_examples_of_the_docstrings_hold() -> None:
    """What the documentation shows is what happens."""
    assert doctest.testmod(quantities).failed == 0
