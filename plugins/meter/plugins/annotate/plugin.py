"""The prefilter `annotate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meter.core.batch import Block
from meter.core.keys import KeySet
from meter.core.layout import Layout
from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.bind import Selection


class Annotate(Filter):
    """The selected series with more attributes; nothing else about them changes.

    The names and values stand in the rule, and the engine has put host and environment in. No value is copied: the
    new series address the matrices of the old ones.
    """

    by_row = ("gauge", "delta", "counter")

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """The same rows under other keys, over the same matrices."""
        for selection in selections:
            if selection.state is None:
                selection.state = _renamed(selection, block.layout)
            renamed: _Renamed = selection.state
            place = renamed.positions
            yield Block(
                renamed.layout,
                block.ts,
                block.since,
                tuple([block.parts[part] for part in renamed.parts]),
                tuple([block.masks[part] for part in renamed.parts]),
                {(row, place[old]): why for (row, old), why in block.reasons.items() if old in place},
            )


class _Renamed(NamedTuple):
    """The columns of a selection under their new keys."""

    layout: Layout
    parts: tuple[int, ...]
    """Which matrices of the block it has."""
    positions: dict[int, int]
    """From where a key stood to where it stands."""


def _renamed(selection: Selection, old: Layout) -> _Renamed:
    """The layout of what a selection gives, over the parts that its columns lie in."""
    of = {new: old.keys.position(key) for key, new in zip(selection.inputs, selection.outputs, strict=True)}
    keys = KeySet(of)
    places = [of[key] for key in keys]
    parts = sorted({old.address[place][0] for place in places})
    number = {part: at for at, part in enumerate(parts)}
    address = [(number[old.address[place][0]], old.address[place][1]) for place in places]
    layout = Layout(
        keys,
        tuple([old.dtypes[part] for part in parts]),
        tuple([old.widths[part] for part in parts]),
        tuple(address),
    )
    return _Renamed(layout, tuple(parts), {place: at for at, place in enumerate(places)})
