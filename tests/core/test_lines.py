"""The text of batches of lines; the forms themselves are tested with the outputs that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meter.core.batch import Anchor, Batch
from meter.core.building import build
from meter.core.keys import Key, Metric
from meter.core.lines import Around, Lines
from meter.core.plugin import Missing
from meter.core.readings import Columns, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

POWER = Metric("power", "f64", "W", "gauge", additive=False)
COUNT = Metric("count", "i64", "1", "gauge", additive=False)


def lines(name: str = "test") -> Lines:
    """A form of which each part can be told from the others; `%` is nothing special in it."""

    def around(key: Key) -> Around:
        name = key.resource[1].encode()
        return Around(head=b" %%%b=" % name, tail=b";\n", gap=b" gap(")

    return Lines(name, around, begin=b"100% ", missing=b"?", reason=lambda why: why.encode() + b")\n")


def rows(count: int, width: int) -> Iterator[Row]:
    """Rows of both types, with every seventh value missing."""
    keys = [Key.make(metric, ("disk", f"{metric.name}{nth}")) for metric in (POWER, COUNT) for nth in range(width)]
    columns = Columns(tuple(keys))
    for row in range(count):
        values = [
            Missing(f"{row}.{nth}") if (row + nth) % 7 == 0 else (row + nth / 4 if nth < width else -row)
            for nth in range(2 * width)
        ]
        yield Row(columns, row + 1, row, values)


@pytest.mark.parametrize(("count", "width"), [(1, 1), (1, 3000), (3000, 1), (50, 41), (1025, 1)])
def test_each_value_has_its_line(count: int, width: int) -> None:
    """However a block is cut into pieces: time, series, value and reason belong to each other."""
    batch = Batch(tuple(build(list(rows(count, width)))), Anchor(0, 0), 1)

    text = b"".join(lines().pieces(batch)).decode()

    wanted = []
    for block in batch.blocks:
        for row, key, value in block.points():
            time = f"100% 1970-01-01T00:00:00.{row + 1:09}Z %{key.resource[1]}="
            gone = isinstance(value, Missing)
            wanted.append(f"{time}? gap({value.reason})" if gone else f"{time}{value!r};")  # type: ignore[union-attr]
    assert sorted(text.splitlines()) == sorted(wanted)


def test_two_forms_of_one_batch_do_not_meet() -> None:
    """What is kept for a layout is kept for a form."""
    batch = Batch(tuple(build(list(rows(1, 1)))), Anchor(0, 0), 1)
    first = b"".join(lines("a").pieces(batch))

    other = Lines("b", lambda _: Around(b" ", b"\n", b"\n"))

    assert b"".join(other.pieces(batch)).count(b"=") == 0
    assert b"".join(lines("a").pieces(batch)) == first


def test_nothing_is_no_line() -> None:
    """A batch without blocks."""
    assert lines().pieces(Batch((), Anchor(0, 0), 1)) == []
