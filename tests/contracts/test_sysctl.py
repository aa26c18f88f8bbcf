"""Settings of the kernel: their files, and ranges of whole numbers."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts import sysctl
from tests.strategies import steady

OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
NUMBERS = range(-6, 7)
"""All that lie beside the limits of `RANGES`, and some beyond."""
COMPARISONS = st.tuples(st.sampled_from(sorted(OPERATORS)), st.integers(-4, 4))
RANGES = st.lists(COMPARISONS, min_size=1, max_size=4)


def meant(comparisons: list[tuple[str, int]]) -> set[int]:
    """The numbers that each comparison lets through."""
    return {number for number in NUMBERS if all(OPERATORS[sign](number, limit) for sign, limit in comparisons)}


def text(comparisons: list[tuple[str, int]]) -> str:
    """The range as a contract has it."""
    return ",".join(f"{sign}{limit}" for sign, limit in comparisons)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("kernel.perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid"),
        ("kernel/perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid"),
        ("net/ipv4/conf/eth0.1/forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"),
        ("net.ipv4.conf.eth0/1.forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"),
    ],
)
def test_a_name_is_a_file_as_for_sysctl(name: str, path: str) -> None:
    """Its first separator separates, the other one stands for itself."""
    assert sysctl.is_name(name)
    assert sysctl.path(name) == path


@pytest.mark.parametrize("name", ["", "kernel", "kernel.", ".kernel", "kernel..x", "a/../b", "../a/b", "a b.c", "a.ü"])
def test_what_leads_elsewhere_is_no_name(name: str) -> None:
    """Nothing but a file below /proc/sys is ever read."""
    assert not sysctl.is_name(name)


@pytest.mark.parametrize(
    "wanted", ["", "1", "=1", "<=", "<=x", "<=1.5", "<=1,", "<= - 1", "<1,>5", "*", "<=\u0661", "<=1_0"]
)
def test_what_is_no_range_is_refused(wanted: str) -> None:
    """Nor is one in which no number lies."""
    with pytest.raises(sysctl.RangeError):
        sysctl.intervals(wanted)


@given(RANGES, RANGES)
@settings(steady, max_examples=400)
def test_ranges_mean_the_numbers_in_them(one: list[tuple[str, int]], other: list[tuple[str, int]]) -> None:
    """What lies in it, what covers what, when two are the same, and the nearest number that will do."""
    numbers, others = meant(one), meant(other)
    if not numbers:
        with pytest.raises(sysctl.RangeError):
            sysctl.intervals(text(one))
        return

    assert {number for number in NUMBERS if sysctl.within(number, text(one))} == numbers
    for value in range(-5, 6):
        distance = min(abs(number - value) for number in numbers)
        assert sysctl.nearest(value, text(one)) == min(n for n in numbers if abs(n - value) == distance)
    if others:
        assert sysctl.covers(text(one), text(other)) is (others <= numbers)
        assert (sysctl.intervals(text(one)) == sysctl.intervals(text(other))) is (others == numbers)


@pytest.mark.parametrize(
    ("requirement", "parts"),
    [
        ("kernel.perf_event_paranoid<=1", ("kernel.perf_event_paranoid", "<=1")),
        ("net.core.somaxconn>=1,!=7", ("net.core.somaxconn", ">=1,!=7")),
        ("kernel.x", ("kernel.x", "")),
    ],
)
def test_a_question_has_both(requirement: str, parts: tuple[str, str]) -> None:
    """The name, and the numbers that will do."""
    assert sysctl.split(requirement) == parts
