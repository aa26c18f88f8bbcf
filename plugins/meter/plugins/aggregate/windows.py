"""Windows: the parts of the results that are not complete yet, by the series that will be given.

A window belongs to one rule and one type. What it holds lies in lines, one for each series of the result, so that it
outlasts the layouts that come and go meanwhile. Knows no clock: which window a row lies in is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from meter.core.arithmetic import PART, because
from meter.core.arrays import DTYPES, Array
from meter.core.batch import Block
from meter.core.bind import Selection
from meter.core.reductions import Cells, Function, function

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meter.core.reductions import Result


class Rows(NamedTuple):
    """Rows of one selection in the order of their times.

    `values` [n, k] and `gaps` bool[n, k] or None, one column for each of its inputs; `ts` and `since` int64[n];
    `reasons` by row and column.
    """

    values: Array
    gaps: Array | None
    ts: Array
    since: Array
    reasons: Mapping[tuple[int, int], str]

    def some(self, rows: Array) -> Rows:
        """Some of them; `rows` bool[n]."""
        if rows.all():
            return self
        reasons: Mapping[tuple[int, int], str] = {}
        if self.reasons:
            place = {row: at for at, row in enumerate(rows.nonzero()[0].tolist())}
            reasons = {(place[row], column): why for (row, column), why in self.reasons.items() if row in place}
        gaps = None if self.gaps is None else self.gaps[rows]
        return Rows(self.values[rows], gaps, self.ts[rows], self.since[rows], reasons)


def gathered(selection: Selection, blocks: Sequence[Block]) -> Rows:
    """The rows of a selection in several blocks of its layout."""
    if len(blocks) == 1:
        (block,) = blocks
        return _sorted(
            Rows(selection.read(block), selection.missing(block), block.ts, block.since, selection.reasons(block))
        )
    values = np.concatenate([selection.read(block) for block in blocks])
    ts, since = (np.concatenate(times) for times in zip(*[(block.ts, block.since) for block in blocks], strict=True))
    gaps = None
    reasons: dict[tuple[int, int], str] = {}
    masks = [selection.missing(block) for block in blocks]
    if any(mask is not None for mask in masks):
        gaps = np.zeros(values.shape, bool)
        begin = 0
        for block, mask in zip(blocks, masks, strict=True):
            if mask is not None:
                gaps[begin : begin + block.rows] = mask
                reasons.update({(begin + row, at): why for (row, at), why in selection.reasons(block).items()})
            begin += block.rows
    return _sorted(Rows(values, gaps, ts, since, reasons))


def _sorted(rows: Rows) -> Rows:
    if len(rows.ts) == 1 or not (rows.ts[1:] < rows.ts[:-1]).any():
        return rows
    order = np.argsort(rows.ts, kind="stable")
    place = {row: at for at, row in enumerate(order.tolist())}
    return Rows(
        rows.values[order],
        None if rows.gaps is None else rows.gaps[order],
        rows.ts[order],
        rows.since[order],
        {(place[row], column): why for (row, column), why in rows.reasons.items()},
    )


class Grouping:
    """How the columns of a selection go together, and what becomes of them; made once for each selection."""

    __slots__ = ("_groups", "_order", "_sizes", "_starts", "function")

    def __init__(self, selection: Selection, name: str, quantile: float) -> None:
        self.function: Final[Function] = function(name, DTYPES[selection.inputs[0].metric.type], quantile)
        self._groups: Final = np.array(selection.groups, np.intp)
        order = np.argsort(self._groups, kind="stable")
        self._order: Final = None if (order == np.arange(len(order))).all() else order
        self._sizes: Final = np.bincount(self._groups, minlength=len(selection.outputs))
        self._starts: Final = np.cumsum(self._sizes) - self._sizes

    def pooled(self, rows: Rows) -> Cells:
        """The cells of all rows, group by group."""
        count = len(rows.ts)
        if count == 1:
            return self.apart(rows, 0)
        gaps = None if rows.gaps is None else self._arranged(rows.gaps).T.ravel()
        return Cells(self._arranged(rows.values).T.ravel(), gaps, self._starts * count, self._sizes * count, rows.ts)

    def apart(self, rows: Rows, row: int | slice = slice(None)) -> Cells:
        """The cells of each row by itself."""
        gaps = None if rows.gaps is None else self._arranged(rows.gaps)[row]
        return Cells(self._arranged(rows.values)[row], gaps, self._starts, self._sizes, rows.ts)

    def missing(self, found: Result, rows: Rows) -> tuple[Array | None, dict[tuple[int, int], str]]:
        """Which cells of the results of each row are missing, bool[n, g], and why."""
        faults = list(found.faults)
        if self.function.complete and rows.gaps is not None:
            faults.append((np.logical_or.reduceat(self._arranged(rows.gaps), self._starts, axis=-1), PART))
        if not faults:
            return None, {}
        told: dict[tuple[int, int], str] = {}
        for (row, column), why in rows.reasons.items():
            told.setdefault((row, int(self._groups[column])), why)
        missing = np.zeros(found.values.shape, bool)
        reasons: dict[tuple[int, int], str] = {}
        for where, text in faults:
            missing |= where
            for cell in np.argwhere(where).tolist():
                reasons[cell[0], cell[1]] = because(text, told.get((cell[0], cell[1]), ""))
        return missing, reasons

    def _arranged(self, matrix: Array) -> Array:
        return matrix if self._order is None else matrix.take(self._order, axis=1)


class _Gap:
    """Missing cells of one series that follow each other, as one span."""

    __slots__ = ("output", "since", "ts", "why")

    def __init__(self, since: int, ts: int, why: str, output: str) -> None:
        self.since = since
        self.ts = ts
        self.why = why
        self.output = output


class Window:
    """What is known of one window: the parts of each series that it will give, and what was missing."""

    __slots__ = (
        "_columns",
        "_function",
        "_gaps",
        "_lines",
        "_owner",
        "_owners",
        "_parts",
        "_places",
        "_room",
        "_since",
        "_ts",
        "_why",
    )

    def __init__(self, function_: Function) -> None:
        self._function = function_
        self._parts: list[Array] = []
        self._since: Array = np.zeros(0, np.int64)
        self._ts: Array = self._since
        self._owners: list[Selection] = []
        """The selections that its rows came from; each promises the series that it has."""
        self._owner: Array = np.zeros(0, np.intp)
        """For each line the selection that gives it."""
        self._columns: Array = self._owner
        """For each line its column there."""
        self._room = OWNERS
        self._places: dict[Selection, Array] = {}
        self._lines: dict[str, int] = {}
        self._gaps: dict[str, list[_Gap]] = {}
        self._why: dict[str, str] = {}

    def add(self, selection: Selection, grouping: Grouping, rows: Rows) -> None:
        """Put rows into it."""
        function_ = self._function
        parts = function_.reduce(grouping.pooled(rows))
        since, ts = rows.since.min(), rows.ts[-1]
        if not self._owners:
            self._owners.append(selection)
            self._parts = parts
            count = len(selection.outputs)
            self._since, self._ts = np.full(count, since), np.full(count, ts)
            self._owner, self._columns = np.zeros(count, np.intp), np.arange(count)
        elif not self._lines and self._owners[0] is selection:
            self._parts = function_.merge(self._parts, parts)
            np.minimum(self._since, since, out=self._since)
            np.maximum(self._ts, ts, out=self._ts)
        else:
            places = self._found(selection)
            merged = function_.merge([mine[places] for mine in self._parts], parts)
            for mine, new in zip(self._parts, merged, strict=True):
                mine[places] = new
            self._since[places] = np.minimum(self._since[places], since)
            self._ts[places] = np.maximum(self._ts[places], ts)
        if rows.gaps is not None:
            if function_.complete:
                self._miss(selection, rows)
            else:
                for (_, column), why in rows.reasons.items():
                    self._why.setdefault(selection.outputs[selection.groups[column]].name, why)

    def _found(self, selection: Selection) -> Array:
        """The lines of a selection's outputs; new ones are added."""
        places = self._places.get(selection)
        if places is not None:
            return places
        if not self._lines:
            first = self._owners[0]
            self._lines = {key.name: line for line, key in enumerate(first.outputs)}
            self._places[first] = np.arange(len(first.outputs))
        lines = self._lines
        size = len(lines)
        for key in selection.outputs:
            lines.setdefault(key.name, len(lines))
        new = len(lines) - size
        if new:
            self._parts = [
                np.concatenate([mine, none]) for mine, none in zip(self._parts, self._function.empty(new), strict=True)
            ]
            self._since = np.concatenate([self._since, np.full(new, _NEVER)])
            self._ts = np.concatenate([self._ts, np.full(new, -_NEVER)])
            self._owner = np.concatenate([self._owner, np.zeros(new, np.intp)])
            self._columns = np.concatenate([self._columns, np.zeros(new, np.intp)])
        places = self._places[selection] = np.array([lines[key.name] for key in selection.outputs], np.intp)
        self._own(selection, places.tolist(), size)
        return places

    def _own(self, selection: Selection, lines: Sequence[int], size: int) -> None:
        """Let a selection give its series, unless another one has it from a source of lower quality.

        The newest is preferred, as its layout is the one that lives on. The worst quality holds for the whole: it is
        not the one that the rule declares, since of that and the input's the worse was taken.
        """
        declared = selection.rule.gives and selection.rule.gives.quality
        owner = len(self._owners)
        self._owners.append(selection)
        for column, (line, key) in enumerate(zip(lines, selection.outputs, strict=True)):
            if line < size and key.metric.quality == declared:
                before = self._owners[self._owner[line]].outputs[self._columns[line]]
                if before.metric.quality != declared:
                    continue
            self._owner[line], self._columns[line] = owner, column
        if len(self._owners) > self._room:
            self._release()

    def _release(self) -> None:
        """Forget the selections that give nothing: layouts come and go more often than series do."""
        kept, self._owner = np.unique(self._owner, return_inverse=True)
        self._owners = [self._owners[owner] for owner in kept.tolist()]
        self._places = {each: self._places[each] for each in self._owners}
        self._room = 2 * len(self._owners) + OWNERS

    # -------------------------------------------------------------------------------------------------------- gaps

    def _miss(self, selection: Selection, rows: Rows) -> None:
        """Note missing cells."""
        assert rows.gaps is not None
        for row, column in np.argwhere(rows.gaps).tolist():
            since, ts, why = int(rows.since[row]), int(rows.ts[row]), rows.reasons.get((row, column), "")
            known = self._gaps.setdefault(selection.inputs[column].name, [])
            if known and known[-1].since <= since <= known[-1].ts:
                known[-1].ts = max(ts, known[-1].ts)
                known[-1].why = known[-1].why or why
            else:
                known.append(_Gap(since, ts, why, selection.outputs[selection.groups[column]].name))

    def mend(self, selection: Selection, rows: Rows) -> None:
        """Forget gaps that a later row covers: the next good delta after a missing one spans both intervals."""
        if not self._gaps:
            return
        for column, key in enumerate(selection.inputs):
            gaps = self._gaps.get(key.name)
            if gaps is None:
                continue
            good = slice(None) if rows.gaps is None else ~rows.gaps[:, column]
            since, ts = rows.since[good], rows.ts[good]
            left = [gap for gap in gaps if not ((since <= gap.since) & (ts >= gap.ts)).any()]
            if left:
                self._gaps[key.name] = left
            else:
                del self._gaps[key.name]

    # ------------------------------------------------------------------------------------------------------ giving

    def give(self, span: tuple[int, int] | None) -> Iterator[Block]:
        """The results: of `span`, or where that is None of the span of the rows that each is made of."""
        result = self._function.result(self._parts)
        missing, reasons = self._missing(result)
        since, ts = self._since, self._ts
        if span is not None:
            since, ts = np.full(len(since), span[0]), np.full(len(ts), span[1])
        for owner, lines in self._owned():
            selection = self._owners[owner]
            for alike in _alike(since, ts, lines):
                columns = self._columns[alike].tolist()
                giving = selection
                if columns != list(range(len(selection.outputs))):
                    giving = _narrow(selection, columns)
                gaps = None if missing is None else missing[alike][None]
                told = {(0, at): reasons[line] for at, line in enumerate(alike.tolist()) if line in reasons}
                first = alike[:1]
                yield giving.give(
                    result.values[alike][None], ts=ts[first], since=since[first], missing=gaps, reasons=told
                )

    def _owned(self) -> Iterable[tuple[int, Array]]:
        """The selections that give something, and the lines that they give in the order of their columns."""
        if not self._lines:
            return [(0, np.arange(len(self._owner)))]
        order = np.lexsort((self._columns, self._owner))
        ends = np.searchsorted(self._owner[order], np.arange(len(self._owners) + 1))
        return [
            (owner, order[begin:end])
            for owner, (begin, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
            if begin < end
        ]

    def _missing(self, result: Result) -> tuple[Array | None, dict[int, str]]:
        """Which lines are missing, and why."""
        if not result.faults and not self._gaps:
            return None, {}
        missing = np.zeros(len(self._since), bool)
        reasons: dict[int, str] = {}
        names = self._names() if self._gaps or self._why else {}
        for gaps in self._gaps.values():
            for gap in gaps:
                line = names[gap.output]
                missing[line] = True
                if line not in reasons or (gap.why and reasons[line] == PART):
                    reasons[line] = because(PART, gap.why)
        told = {names[name]: why for name, why in self._why.items()}
        for where, text in result.faults:
            for line in where.nonzero()[0].tolist():
                missing[line] = True
                reasons.setdefault(line, because(text, told.get(line, "")))
        return missing, reasons

    def _names(self) -> Mapping[str, int]:
        """The lines by the names of their series."""
        return self._lines or {key.name: line for line, key in enumerate(self._owners[0].outputs)}


_NEVER: Final = 2**63 - 1

OWNERS: Final = 16
"""So many selections may give nothing before it is looked for them."""


def _alike(since: Array, ts: Array, lines: Array) -> list[Array]:
    """Lines in groups of equal spans; nearly always that is one."""
    starts, ends = since[lines], ts[lines]
    if (starts == starts[0]).all() and (ends == ends[0]).all():
        return [lines]
    groups: dict[tuple[int, int], list[int]] = {}
    for line, *span in zip(lines.tolist(), starts.tolist(), ends.tolist(), strict=True):
        groups.setdefault((span[0], span[1]), []).append(line)
    return [np.array(group, np.intp) for _, group in sorted(groups.items())]


def _narrow(selection: Selection, columns: Sequence[int]) -> Selection:
    """A selection that gives only some of what another one does."""
    assert selection.layout is not None
    outputs: list[Any] = [selection.outputs[column] for column in columns]
    return Selection(selection.place, selection.rule, selection.layout, (), outputs, ())
