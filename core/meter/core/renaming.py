"""Series under other keys, without copying a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meter.core.batch import Block
from meter.core.keys import KeySet
from meter.core.layout import Layout

if TYPE_CHECKING:
    from meter.core.bind import Selection


def renamed(selection: Selection, block: Block) -> Block:
    """The same rows of what a selection takes, as what it gives, over the same matrices; uses its `state`."""
    if selection.state is None:
        selection.state = _renaming(selection, block.layout)
    renaming: _Renaming = selection.state
    place = renaming.positions
    return Block(
        renaming.layout,
        block.ts,
        block.since,
        tuple([block.parts[part] for part in renaming.parts]),
        tuple([block.masks[part] for part in renaming.parts]),
        {(row, place[old]): why for (row, old), why in block.reasons.items() if old in place},
    )


class _Renaming(NamedTuple):
    """The columns of a selection under their new keys."""

    layout: Layout
    parts: tuple[int, ...]
    """Which matrices of the block it has."""
    positions: dict[int, int]
    """From where a key stood to where it stands."""


def _renaming(selection: Selection, old: Layout) -> _Renaming:
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
    return _Renaming(layout, tuple(parts), {place: at for at, place in enumerate(places)})
