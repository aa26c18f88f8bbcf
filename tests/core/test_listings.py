"""Files of /proc with a line of counters for each of several things."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.listings import Changes, Lines, Reading, fits_nothing, left_out, named, whole
from meter.core.plugin import Missing, Retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGAIN, OTHER = Missing("again"), Missing("other")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a long file, in lines."""
    (tmp_path / "file").write_bytes(b"".join(b"line %d\n" % nth for nth in range(20_000)))
    descriptor = os.open(tmp_path / "file", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("page", [2048, 4096, 1 << 16, 1 << 20])
def test_a_file_is_read_whole(file: int, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """In whatever pieces of whole lines the kernel hands it over."""
    pread, size = os.pread, os.fstat(file).st_size
    expected = pread(file, size, 0)

    def piece(descriptor: int, most: int, offset: int) -> bytes:
        text = pread(descriptor, min(most, page + 20), offset)
        return text[: text.rindex(b"\n") + 1] if text else text

    monkeypatch.setattr(os, "pread", piece)

    assert whole(file, "it") == expected


def test_a_piece_that_is_not_full_is_the_last(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask once more may cost the kernel milliseconds."""
    asked: list[int] = []

    def piece(_: int, __: int, offset: int) -> bytes:
        asked.append(offset)
        return b"short\n"

    monkeypatch.setattr(os, "pread", piece)

    assert whole(file, "it") == b"short\n"
    assert asked == [0]


def test_a_file_that_cannot_be_read_is_tried_again(file: int, tmp_path: Path) -> None:
    """With its name; also where it ends within a line, as a number may be cut there."""
    os.pwrite(file, b"no line", os.fstat(file).st_size)
    with pytest.raises(Retry, match=r"^/proc/it ends within a line$"):
        whole(file, "/proc/it")

    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(Retry, match=r"^/proc/it: Is a directory$"):
        whole(folder, "/proc/it")
    os.close(folder)


@pytest.mark.parametrize(
    ("include", "exclude", "reason"),
    [
        (["*"], [], ""),
        (["b*", "a"], ["*"], ""),  # named
        (["a*"], ["*"], "`exclude` leaves it out"),
        (["b*"], [], "`include` does not name it"),
        ([], [], "`include` does not name it"),
    ],
)
def test_what_options_leave_out(include: list[str], exclude: list[str], reason: str) -> None:
    """What is named without a pattern stays."""
    assert left_out("a", include, exclude) == reason


def test_names_are_what_has_no_pattern() -> None:
    """Only these can be said to be absent."""
    assert named(["a", "b*", "c?", "[d]", "e"]) == ["a", "e"]


@pytest.mark.parametrize(
    ("include", "exclude", "waits"),
    [
        (["*"], ["lo"], True),
        (["x"], ["*"], True),
        (["x*", "y"], [], True),
        (["x*"], [], False),
        ([], [], False),
        (["*"], ["*"], False),
    ],
)
def test_options_that_fit_nothing_are_told(include: list[str], exclude: list[str], waits: bool) -> None:  # noqa: FBT001  (a truth table)
    """Unless they take in what may come."""
    told = fits_nothing("thing", ["b", "a"], include, exclude)

    assert told == (
        "" if waits else "the options leave no thing to measure; there are `a`, `b`; mend `include` or `exclude`"
    )


def test_a_long_list_of_what_there_is_is_cut() -> None:
    """With how many more there are; and none is said to be none."""
    assert "`m11` and 8 more;" in fits_nothing("thing", [f"m{nth:02}" for nth in range(20)], [], [])
    assert "there are none;" in fits_nothing("thing", [], [], [])


def test_counters_are_found_among_words() -> None:
    """By counter and name; a file with other lines, or with an other line without counters, does not fit."""
    lines = Lines.of(6, [b"a", b"b"], [0, 3], {"a": [1, 2], "b": [4, 5]}, {})

    assert lines.counters(b"a 1 2 b 3 4".split()) == [1, 3, 2, 4]
    assert lines.fit(b"a 1 2 b 3 4".split())
    assert not lines.fit(b"a 1 2 c 3 4".split())
    assert not lines.fit(b"a 1 2 b 3".split())
    assert Lines().counters([]) == ()
    assert Lines.of(1, [b"a"], [0], {}, {"a": AGAIN}).counters([b"a"]) == ()


@pytest.mark.parametrize("word", [b"-1", b"x", b""])
def test_what_is_no_counter_is_refused(word: bytes) -> None:
    """The source then looks at the lines one by one."""
    with pytest.raises(ValueError, match=r"^$|invalid literal"):
        Lines.of(3, [b"a"], [0], {"a": [1, 2]}, {}).counters([b"a", b"1", word])


@given(
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 9), st.integers(0, 9))),
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 9), st.integers(0, 9))),
)
def test_only_what_is_in_both_readings_is_compared(
    old: dict[str, tuple[int, int]], new: dict[str, tuple[int, int]]
) -> None:
    """Each thing with its own counters and identity, whatever else came or went."""
    last, now = (
        Reading(tuple(side), tuple(name * 2 for name in side), [side[name][nth] for nth in (0, 1) for name in side])
        for side in (old, new)
    )

    before, after = now.both(last)

    assert before.names == after.names == tuple(name for name in new if name in old)
    assert before.identities == after.identities == tuple(name * 2 for name in after.names)
    assert list(before.counters) == [old[name][nth] for nth in (0, 1) for name in before.names]
    assert list(after.counters) == [new[name][nth] for nth in (0, 1) for name in after.names]


def test_what_began_anew_or_is_another_has_no_difference() -> None:
    """All of its cells get the reason, and those of others stay; a wrap is corrected."""
    before = Reading(("a", "b", "c", "d"), (1, 2, 3, 4), [10, 10, 10, 2**32 - 1, 5, 5, 5, 5])
    after = Reading(("a", "b", "c", "d"), (1, 9, 3, 4), [12, 12, 3, 1, 5, 6, 7, 8])
    changes = Changes.between(before, after)
    cells: list[Any] = changes.blank([*changes.counts], AGAIN, OTHER)

    assert cells == [2, OTHER, AGAIN, 2, 0, OTHER, AGAIN, 3]
    assert (changes.width, changes.again, changes.other) == (4, {2}, [1])
