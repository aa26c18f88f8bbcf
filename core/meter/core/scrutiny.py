"""Looking closely at a block: what may not be told by its layout, shapes and types.

Whoever finds something raises it as a breach of contract. `meter.core.sampling` says when somebody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from meter.core.arrays import Array, finite
from meter.core.batch import Block
from meter.core.breach import GIVES, ContractBreach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meter.core.keys import Key
    from meter.core.layout import Layout
    from meter.core.sampling import Sampler

_DELTA: Final = "delta"


class _Columns(NamedTuple):
    """Columns of one part: their keys, and where they are, None where they are all."""

    part: int
    at: Array | None
    keys: tuple[Key, ...]


def _columns(layout: Layout, kind: str = "") -> tuple[_Columns, ...]:
    """The columns that keys of a layout have, of one kind where that is named; once for each layout."""
    found: tuple[_Columns, ...] | None = layout.plans.get(("columns", kind))
    if found is None:
        of: dict[int, list[tuple[int, Key]]] = {}
        for key, (part, column) in zip(layout.keys, layout.address, strict=True):
            if kind in ("", key.metric.kind):
                of.setdefault(part, []).append((column, key))
        made = []
        for part, columns in sorted(of.items()):
            at = [column for column, _ in columns]
            whole = at == list(range(layout.widths[part]))
            made.append(_Columns(part, None if whole else np.array(at, np.intp), tuple([key for _, key in columns])))
        found = layout.plans["columns", kind] = tuple(made)
    return found


def _taken(matrix: Array, columns: _Columns, rows: slice) -> Array:
    some = matrix[rows]
    return some if columns.at is None else some[:, columns.at]


class Imprint:
    """What a block holds before a plugin gets it into its hands."""

    __slots__ = ("_arrays", "_before")

    def __init__(self, block: Block, sampler: Sampler) -> None:
        metrics = block.layout.metrics
        arrays = [("ts", block.ts, metrics), ("since", block.since, metrics)]
        for columns in _columns(block.layout):
            metrics = block.layout.of_part(columns.part)
            arrays.append(("values", block.parts[columns.part], metrics))
            mask = block.masks[columns.part]
            if mask is not None:
                arrays.append(("masks", mask, metrics))
        self._arrays = [(name, array[sampler.rows(array.size)], metrics) for name, array, metrics in arrays]
        self._before = [array.tobytes() for _, array, _ in self._arrays]

    def verify(self, label: str) -> None:
        """Whether it still holds that.

        Raises: ContractBreach, the plugin has written to it.
        """
        for (name, array, metrics), before in zip(self._arrays, self._before, strict=True):
            if array.tobytes() != before:
                raise ContractBreach(label, "needs.metrics", "touched", name=name, metric=", ".join(metrics))


def verify_spans(label: str, block: Block) -> None:
    """Whether each row ends no earlier than it begins, and they are in the order of time, no two at one.

    Raises: ContractBreach.
    """
    metric = ", ".join(block.layout.metrics)
    if (block.since > block.ts).any():
        raise ContractBreach(label, GIVES, "backwards", metric=metric)
    steps = np.diff(block.ts)
    if (steps < 0).any():
        raise ContractBreach(label, GIVES, "order", metric=metric)
    if block.ids is None:
        twice = not steps.all()
    else:
        twice = len(set(zip(block.ts.tolist(), block.ids, strict=True))) < block.rows
    if twice:
        raise ContractBreach(label, GIVES, "same-time", metric=metric)


def verify_gaps(label: str, block: Block, sampler: Sampler) -> None:
    """Whether what is missing is marked and holds nothing, and all else is a finite number.

    Raises: ContractBreach.
    """
    for columns in _columns(block.layout):
        matrix, mask = block.parts[columns.part], block.masks[columns.part]
        rows = sampler.rows(matrix.size)
        values = _taken(matrix, columns, rows)
        gaps = None if mask is None else _taken(mask, columns, rows)
        if gaps is None and (values.dtype.kind != "f" or finite(values)):
            continue  # the usual case
        if values.dtype.kind == "f":
            wrong = ~np.isfinite(values)
            if gaps is not None:
                wrong &= ~gaps
            _none(label, "not-finite", wrong, values, columns)
        if gaps is not None:
            held = ~np.isnan(values) if values.dtype.kind == "f" else values != 0
            _none(label, "in-a-gap", gaps & held, values, columns)


def _none(label: str, what: str, wrong: Array, values: Array, columns: _Columns) -> None:
    """Whether no cell is wrong.

    Raises: ContractBreach, with the first that is.
    """
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        key = columns.keys[column]
        facts = {"key": key.said, "metric": key.metric.name, "value": str(values[row, column].item())}
        raise ContractBreach(label, GIVES, what, **facts)


class Given:
    """The blocks that one plugin has given in one hand-over, in which no series has two values at one time."""

    __slots__ = ("_ends", "_first", "_more", "_names")

    def __init__(self) -> None:
        self._first: dict[Layout, Block] = {}
        self._more: dict[Layout, list[Block]] = {}
        """All blocks of the layouts that have several."""
        self._ends: dict[Layout, int] = {}
        """The last time of each of these."""
        self._names: dict[str, Layout] = {}

    def clear(self) -> None:
        """A new hand-over begins."""
        self._first.clear()
        if self._more or self._names:
            self._more.clear()
            self._ends.clear()
            self._names.clear()

    def add(self, label: str, block: Block, *, closely: bool) -> None:
        """One more; `closely`, those of other layouts are looked at, too.

        Raises: ContractBreach, a series has two values at one time.
        """
        first = self._first.setdefault(block.layout, block)
        if first is not block:
            self._again(label, first, block)
        if closely:
            self._beside(label, block)

    def _again(self, label: str, first: Block, block: Block) -> None:
        """One more of a layout that others have; most often it begins after they have ended."""
        if not block.rows:
            return
        layout = block.layout
        before = self._more.setdefault(layout, [first])
        end = self._ends.get(layout, int(first.ts[-1]) if first.rows else 0)
        if block.ts[0] <= end:
            _apart(label, layout.keys.names, block, before)
        self._ends[layout] = max(end, int(block.ts[-1]))
        before.append(block)

    def _beside(self, label: str, block: Block) -> None:
        """One more beside layouts that may have series of it."""
        layout = block.layout
        others = {self._names.setdefault(name, layout) for name in layout.keys.names} - {layout}
        for other in others:
            names = [name for name in layout.keys.names if self._names[name] is other]
            _apart(label, names, block, self._more.get(other) or [self._first[other]])


def _apart(label: str, names: Iterable[str], block: Block, others: Iterable[Block]) -> None:
    """Whether a block and some others have no row of one time, of the things that they are of.

    Raises: ContractBreach, they have, and so one of these series has two values.
    """
    mine = set(_times(block))
    for other in others:
        if both := mine.intersection(_times(other)):
            name = next(iter(names))
            key = next(key for key in block.layout.keys if key.name == name)
            key = key.at(min(both)[1]) if key.each else key
            raise ContractBreach(label, GIVES, "same-time-again", key=key.said, metric=key.metric.name)


def _times(block: Block) -> Iterator[tuple[int, str]]:
    """When each row ends, and the thing that it is of."""
    return zip(block.ts.tolist(), block.ids or [""] * block.rows, strict=True)


def verify_deltas(label: str, block: Block, sampler: Sampler) -> None:
    """Whether what a source has counted is not less than nothing.

    Raises: ContractBreach.
    """
    for columns in _columns(block.layout, _DELTA):
        matrix = block.parts[columns.part]
        values = _taken(matrix, columns, sampler.rows(matrix.size))
        if values.dtype.kind != "u" and (wrong := values < 0).any():
            row, column = np.argwhere(wrong)[0]
            key = columns.keys[column]
            facts = {"key": key.said, "metric": key.metric.name, "value": str(values[row, column].item())}
            raise ContractBreach(label, "provides.metrics.kind", "negative", **facts)


def without_negative(block: Block, why: str) -> Block:
    """The same where each delta that is less than nothing is missing."""
    parts, masks, reasons = list(block.parts), list(block.masks), dict(block.reasons)
    for columns in _columns(block.layout, _DELTA):
        matrix, mask = parts[columns.part], masks[columns.part]
        wrong = np.zeros(matrix.shape, bool)
        at = slice(None) if columns.at is None else columns.at
        wrong[:, at] = matrix[:, at] < 0
        parts[columns.part] = np.where(wrong, matrix.dtype.type(np.nan if matrix.dtype.kind == "f" else 0), matrix)
        masks[columns.part] = wrong if mask is None else mask | wrong
        places = {address: place for place, address in enumerate(block.layout.address)}
        for row, column in np.argwhere(wrong).tolist():
            reasons[row, places[columns.part, column]] = why
    return Block(block.layout, block.ts, block.since, tuple(parts), tuple(masks), reasons, block.ids)
