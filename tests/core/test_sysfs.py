"""Attributes of devices: numbers and words, or why there are none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from meter.core.plugin import Context, Missing
from meter.core.sysfs import Attributes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = "/sys/class/thing/value"


@pytest.fixture
def value(tmp_path: Path) -> Path:
    """The file of an attribute."""
    file = tmp_path / "sys" / "class" / "thing" / "value"
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def attributes(tmp_path: Path) -> Iterator[Attributes]:
    """What reads it; closed afterwards, and then no file is open that was not before."""
    before = os.listdir("/proc/self/fd")
    made = Attributes(Context("test", tmp_path))
    yield made
    made.close()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(("text", "number"), [("7\n", 7), ("-12", -12), (" 0 ", 0), (f"{2**64}\n", 2**64)])
def test_a_number(value: Path, attributes: Attributes, text: str, number: int) -> None:
    """Whatever white space is around it; written anew, it is read anew."""
    value.write_text("1")
    first = attributes.number(PATH)
    value.write_text(text)

    assert (first, attributes.number(PATH)) == (1, number)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", "b''"), ("1.5\n", r"b'1.5\n'"), ("x" * 4000, "b'" + "x" * 64 + "'"), ("\xff", r"b'\xc3\xbf'")],
)
def test_what_is_no_number(value: Path, attributes: Attributes, text: str, shown: str) -> None:
    """The reason has the file and the beginning of what is in it."""
    value.write_text(text)
    found = attributes.number(PATH)

    assert isinstance(found, Missing)
    assert found.reason == f"{PATH} holds {shown}, which is no number"


def test_words(value: Path, attributes: Attributes) -> None:
    """Bytes that are no text are shown, not refused."""
    value.write_bytes(b"Not charging\xff \n")

    assert attributes.text(PATH) == "Not charging\\xff"


def test_what_cannot_be_read(value: Path, attributes: Attributes) -> None:
    """A file that is not there and a folder in its place; it is read once it can be."""
    absent = [attributes.number(PATH), attributes.text(PATH), attributes.data(PATH)]
    value.mkdir()
    folder = attributes.number(PATH)
    value.rmdir()
    value.write_text("3")

    assert {each.reason for each in absent if isinstance(each, Missing)} == {f"{PATH}: No such file or directory"}
    assert isinstance(folder, Missing)
    assert folder.reason == f"{PATH}: Is a directory"
    assert attributes.number(PATH) == 3
    assert attributes.names("/sys/class/thing") == ["value"]
    assert attributes.names("/sys/class/nothing") == []


def test_what_is_not_read_any_more_is_closed(value: Path, attributes: Attributes) -> None:
    """At the second sweep after its last reading."""
    value.write_text("3")
    before = len(os.listdir("/proc/self/fd"))
    attributes.number(PATH)
    attributes.sweep()
    kept = len(os.listdir("/proc/self/fd"))
    attributes.sweep()

    assert (kept, len(os.listdir("/proc/self/fd"))) == (before + 1, before)
