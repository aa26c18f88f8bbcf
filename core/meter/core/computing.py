"""Computing: the formula of a rule, over series that lie in several blocks and come at different times.

Operands join by their keys, as the plan says in which ways, and in time, as `joining` does. The result has the rows of
the leading operand, the slowest delta: other deltas are split by overlap, gauges interpolated at the end of its rows.
What all operands have in one block is computed at once and never held.

Bounds are exact. A row that begins before another delta is known, or at the end of the run ends behind it, is cut to
what all deltas cover, its own value by the length that is left. Where a gauge is not known before and after the end of
a row there is no result.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from meter.core.arithmetic import PART, Program, because
from meter.core.batch import Array, Block
from meter.core.bind import FormulaSelection, Selection
from meter.core.joining import Held, Joined, Piece, Rows, interpolate, split
from meter.core.keys import Key, KeySet
from meter.core.layout import Layout
from meter.core.matching import Output, Owner, Reduced, outputs, reduced
from meter.core.plugin import Filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meter.contracts.rules import Computes, Operand
    from meter.contracts.variants import Variant
    from meter.core.plugin import Context

PATIENCE: Final = 4
"""So many intervals of the slowest operand one may be late; then what is there without it is computed, and rows that
end earlier than that are forgotten."""
_UNKNOWN: Final = 15_000_000_000
"""The interval, in nanoseconds, of operands that say none."""


class _Input:
    """What is held of one operand from one instance."""

    __slots__ = ("columns", "held", "keys", "operand", "waiting")

    def __init__(self, operand: Operand) -> None:
        self.operand = operand
        self.held = Held()
        self.waiting = Held()
        """Of the leading operand what no result was given for yet."""
        self.keys: list[Key] = []
        self.columns: dict[str, int] = {}

    def number(self, key: Key) -> int:
        """The column of a series."""
        found = self.columns.get(key.name)
        if found is None:
            found = self.columns[key.name] = len(self.keys)
            self.keys.append(key)
        return found


class _Reads(NamedTuple):
    """How a selection hands over what one operand reads from one instance."""

    place: int
    origin: str
    keys: tuple[Key, ...]
    places: list[tuple[int, Any]]
    positions: dict[int, int]
    """Of a key of the layout the column in what is read."""


class _Aligned(NamedTuple):
    """A formula all of whose operands are in one layout: which columns of each make which column of the result."""

    layout: Layout
    operands: tuple[_Gather, ...]
    positions: tuple[tuple[tuple[int, ...], ...], ...]
    """For each operand and column of the result the positions of the keys that take part."""


class _Gather(NamedTuple):
    """Columns of a block as an operand: at `places`, then chosen, then summed in groups that begin at `starts`."""

    places: list[tuple[int, Any]]
    starts: Array | None
    chosen: Array | None
    """Which of the groups each column of the result takes."""


class Computation:
    """One formula while it runs.

    Args: `results` are what the rule gives in each way of the plan; `owner` as that of a filter.
    """

    def __init__(self, computes: Computes, results: Sequence[Variant], owner: Owner) -> None:
        self._computes: Final = computes
        self._results: Final = tuple(results)
        self._owner: Final = owner
        self._program: Final = Program(computes)
        self._inputs: dict[tuple[int, str], _Input] = {}
        self._bundles: list[_Bundle] | None = None
        self._begun: int | None = None
        self._sizes: dict[tuple[int, Reduced], int] = {}
        slowest = max(operand.interval or _UNKNOWN for operand in computes.operands)
        self._patience: Final = PATIENCE * slowest

    def bind(self, selection: FormulaSelection) -> Prepared:
        """Prepare for what the rule reads of one layout.

        Raises: ContractBreach, the owner of a series is not known.
        """
        layout = selection.source
        by: dict[tuple[int, str], list[Key]] = {}
        for key, operands in zip(selection.inputs, selection.operands, strict=True):
            for place in operands:
                by.setdefault((place, key.metric.origin), []).append(key)
        reads = []
        for (place, origin), keys in sorted(by.items()):
            positions = [layout.keys.position(key) for key in keys]
            at = {position: column for column, position in enumerate(positions)}
            reads.append(_Reads(place, origin, tuple(keys), gathered(layout, positions), at))
        return Prepared(tuple(reads), self._aligned(layout, by))

    def _aligned(self, layout: Layout, by: dict[tuple[int, str], list[Key]]) -> _Aligned | None:
        """How to compute in one block, where every operand comes from one instance and is in this layout whole."""
        computes = self._computes
        if len(by) < len(computes.operands) or any(len(operand.origins) > 1 for operand in computes.operands):
            return None
        groups: list[dict[Reduced, list[Key]]] = [{} for _ in computes.operands]
        for (place, _), keys in by.items():
            for key in keys:
                groups[place].setdefault(reduced(computes.operands[place], key), []).append(key)
        smaller = False
        for place, own in enumerate(groups):
            for left, keys in own.items():
                most = self._sizes.get((place, left), 0)
                self._sizes[place, left] = max(most, len(keys))
                smaller |= len(keys) < most
        if smaller:
            return None  # a part of a sum is in another block, such as one that makes up for a missing reading
        known = [{left: keys[0] for left, keys in own.items()} for own in groups]
        found = outputs(computes, self._results, known, self._owner)
        if not found:
            return None
        made = Layout.of(KeySet(output.key for output in found))
        takes = {output.key: output.takes for output in found}
        ordered = [takes[key] for key in made.keys]
        gathers, positions = [], []
        for place, own in enumerate(groups):
            used = list(dict.fromkeys(each[place] for each in ordered))
            at = {left: column for column, left in enumerate(used)}
            columns = [layout.keys.position(key) for left in used for key in own[left]]
            sizes = [len(own[left]) for left in used]
            starts = None if max(sizes) == 1 else np.cumsum([0, *sizes[:-1]])
            chosen = [at[each[place]] for each in ordered]
            whole = chosen == list(range(len(used)))
            gathers.append(_Gather(gathered(layout, columns), starts, None if whole else np.array(chosen, np.intp)))
            positions.append(tuple(tuple([layout.keys.position(key) for key in own[e[place]]]) for e in ordered))
        return _Aligned(made, tuple(gathers), tuple(positions))

    @classmethod
    def of(cls, selection: FormulaSelection, owner: Owner) -> Computation:
        """That of a selection's rule."""
        assert selection.rule.computes is not None  # that is what makes it one
        return cls(selection.rule.computes, selection.results, owner)

    # ------------------------------------------------------------------------------------------------ rows come

    def take(self, prepared: Prepared, block: Block) -> Block | None:
        """A block has come: the result where all operands are in it, else what it has is held."""
        aligned = prepared.aligned
        if aligned is not None:
            return self._at_once(aligned, block)
        if self._begun is None:
            self._begun = int(block.ts.min())
        for reads in prepared.reads:
            entry = self._inputs.get((reads.place, reads.origin))
            if entry is None:
                entry = self._inputs[reads.place, reads.origin] = _Input(self._computes.operands[reads.place])
            count = len(entry.keys)
            columns = tuple([entry.number(key) for key in reads.keys])
            if len(entry.keys) != count:
                self._bundles = None
            gaps = block.take_masks(reads.places)
            reasons = {}
            if gaps is not None and block.reasons:
                at = reads.positions
                reasons = {(row, at[p]): why for (row, p), why in block.reasons.items() if p in at}
            values = block.take(reads.places).astype(np.float64, copy=False)
            piece = Piece(columns, block.ts, block.since, values, gaps, reasons)
            entry.held.add(piece)
            if reads.place == self._computes.lead:
                entry.waiting.add(piece)
        return None

    def _at_once(self, aligned: _Aligned, block: Block) -> Block:
        operands = []
        for places, starts, chosen in aligned.operands:
            values = block.take(places)
            if values.dtype != np.float64:
                values = values.astype(np.float64)
            if starts is not None:
                values = np.add.reduceat(values, starts, axis=1)
            operands.append(values if chosen is None else values.take(chosen, axis=1))
        values, faults = self._program.run(operands)
        if not faults and all(mask is None for mask in block.masks):
            if values.base is not None:
                values = values.copy()
            return Block(aligned.layout, block.ts, block.since, (values,))
        return self._with_gaps(aligned, block, values, faults)

    def _with_gaps(self, aligned: _Aligned, block: Block, values: Array, faults: Sequence[tuple[Array, str]]) -> Block:
        """The same where cells are missing."""
        missing = np.zeros(values.shape, bool)
        reasons: dict[tuple[int, int], str] = {}
        gaps = block.take_masks(gathered(block.layout, range(len(block.layout.keys))))
        if gaps is not None:
            for operand in aligned.positions:
                for column, positions in enumerate(operand):
                    for row, at in np.argwhere(gaps[:, positions]).tolist():
                        missing[row, column] = True
                        why = block.reasons.get((row, positions[at]), "")
                        reasons.setdefault((row, column), because(PART, why))
        return _block(aligned.layout, block.ts, block.since, values, missing, reasons, faults)

    # --------------------------------------------------------------------------------------------- results go

    def watermark(self, ts: int) -> Iterator[Block]:
        """No row that ends earlier than `ts` follows: give what can be computed."""
        limit = ts
        for place, operand in enumerate(self._computes.operands):
            for origin in operand.origins:
                entry = self._inputs.get((place, origin))
                last = self._begun if entry is None else entry.held.last
                if last is not None and ts - last > self._patience:
                    continue  # it has ended, or is too late
                if entry is None or last is None:
                    return
                limit = min(limit, last)
        yield from self._give(limit, end=False)
        for entry in self._inputs.values():
            entry.held.forget(limit - self._patience)
        self._tidy()

    def finish(self) -> Iterator[Block]:
        """The end: give what is left, as far as all operands reach."""
        yield from self._give(2**63 - 1, end=True)

    def _give(self, limit: int, *, end: bool) -> Iterator[Block]:
        lead = self._computes.lead
        leading = {origin: entry for (place, origin), entry in self._inputs.items() if place == lead}
        waiting = {origin: rows for origin, each in leading.items() if len((rows := each.waiting.until(limit)).ts)}
        if not waiting:
            return
        if self._bundles is None:
            self._bundles = list(self._bundled())
        for bundle in self._bundles:
            if bundle.leader in waiting:
                yield from bundle.give(waiting[bundle.leader], self._program, end=end)

    def _bundled(self) -> Iterator[_Bundle]:
        """The series of the result, those together that take their operands from the same instances."""
        computes = self._computes
        groups: list[dict[Reduced, list[tuple[str, int]]]] = [{} for _ in computes.operands]
        known: list[dict[Reduced, Key]] = [{} for _ in computes.operands]
        for (place, origin), entry in sorted(self._inputs.items()):
            for column, key in enumerate(entry.keys):
                left = reduced(entry.operand, key)
                groups[place].setdefault(left, []).append((origin, column))
                known[place].setdefault(left, key)
        together: dict[tuple[tuple[str, ...], ...], list[Output]] = {}
        for output in outputs(computes, self._results, known, self._owner):
            of = tuple(
                tuple(dict.fromkeys(origin for origin, _ in groups[place][left]))
                for place, left in enumerate(output.takes)
            )
            together.setdefault(of, []).append(output)
        for origins, found in together.items():
            yield _Bundle(computes, origins, found, groups, self._inputs)

    def _tidy(self) -> None:
        """Forget series that have no rows any more, as things come and go; not each at once, as it is a new layout."""
        for entry in self._inputs.values():
            if len(entry.keys) < 64:
                continue
            live = sorted(entry.held.live() | entry.waiting.live())
            if len(live) * 2 < len(entry.keys):
                entry.keys = [entry.keys[column] for column in live]
                entry.columns = {key.name: column for column, key in enumerate(entry.keys)}
                new = {old: column for column, old in enumerate(live)}
                entry.held.renumber(new)
                entry.waiting.renumber(new)
                self._bundles = None
                self._sizes.clear()


class Prepared(NamedTuple):
    """What a computation reads of one layout; `aligned` is None where not all operands are in it."""

    reads: tuple[_Reads, ...]
    aligned: _Aligned | None


class _Bundle:
    """Series of the result whose operands come from the same instances, and so have the same bounds in time."""

    def __init__(
        self,
        computes: Computes,
        origins: tuple[tuple[str, ...], ...],
        found: Sequence[Output],
        groups: Sequence[dict[Reduced, list[tuple[str, int]]]],
        inputs: dict[tuple[int, str], _Input],
    ) -> None:
        self._computes = computes
        self._keys = [output.key for output in found]
        self._layouts: dict[tuple[int, ...], tuple[Layout, Array]] = {}
        self.leader = origins[computes.lead][0]
        self._sides: list[_Side] = []
        for place, own in enumerate(origins):
            used = list(dict.fromkeys(output.takes[place] for output in found))
            entries = [inputs[place, origin] for origin in own]
            shift = dict(zip(own, np.cumsum([0, *[len(entry.keys) for entry in entries]]).tolist(), strict=False))
            columns = [shift[origin] + column for left in used for origin, column in groups[place][left]]
            sizes = [len(groups[place][left]) for left in used]
            at = {left: column for column, left in enumerate(used)}
            self._sides.append(
                _Side(
                    place == computes.lead,
                    computes.operands[place].delta,
                    tuple(entries),
                    np.array(columns, np.intp),
                    np.cumsum([0, *sizes[:-1]]),
                    np.array([at[output.takes[place]] for output in found], np.intp),
                )
            )

    def give(self, rows: Rows, program: Program, *, end: bool) -> Iterator[Block]:
        """The results of rows of the leading operand."""
        since, ts = rows.since, rows.ts
        if self._computes.operands[self._computes.lead].delta:
            lead = self._lead
            others = [entry for side in self._sides if side.delta for entry in side.inputs if entry is not lead]
            begin = max((entry.held.since for entry in others if entry.held.since is not None), default=None)
            last = min((entry.held.last for entry in others if entry.held.last is not None), default=None)
            if begin is not None:
                since = np.maximum(since, begin)
            if last is not None and end:
                ts = np.minimum(ts, last)
            whole = (since == rows.since) & (ts == rows.ts)
            kept = whole | (since < ts)
            if last is not None:
                kept &= ts <= last
        else:
            kept = np.ones(len(ts), bool)
        if not kept.any():
            return
        length = rows.ts - rows.since
        cut = np.where(length == 0, 1.0, (ts - since) / np.where(length == 0, 1, length))
        sides = [side.joined(rows, since, ts, cut, kept, self._lead) for side in self._sides]
        operands = [joined.values for joined in sides]
        there = sides[0].there.copy()
        for joined in sides[1:]:
            there &= joined.there
        missing = np.zeros(there.shape, bool)
        reasons: dict[tuple[int, int], str] = {}
        for joined in sides:
            if joined.gaps is not None:
                missing |= joined.gaps
                for cell in np.argwhere(joined.gaps).tolist():
                    reasons.setdefault((cell[0], cell[1]), because(PART, joined.reasons.get((cell[0], cell[1]), "")))
        values, faults = program.run(operands)
        since, ts = since[kept], ts[kept]
        for lines, columns in _alike(there):
            layout, order = self._layout(columns)
            own = np.ix_(lines, order)
            told: dict[tuple[int, int], str] = {}
            if reasons:
                row_at = {row: at for at, row in enumerate(lines.tolist())}
                column_at = {column: at for at, column in enumerate(order.tolist())}
                told = {
                    (row_at[row], column_at[column]): why
                    for (row, column), why in reasons.items()
                    if row in row_at and column in column_at
                }
            taken = [(bad[own], why) for bad, why in faults]
            yield _block(layout, ts[lines], since[lines], values[own], missing[own], told, taken)

    @property
    def _lead(self) -> _Input:
        return self._sides[self._computes.lead].inputs[0]

    def _layout(self, columns: tuple[int, ...]) -> tuple[Layout, Array]:
        """The layout of some columns, and the columns in the order of its keys."""
        found = self._layouts.get(columns)
        if found is None:
            if len(self._layouts) >= 64:
                self._layouts.clear()
            at = {self._keys[column]: column for column in columns}
            layout = Layout.of(KeySet(at))
            found = self._layouts[columns] = layout, np.array([at[key] for key in layout.keys], np.intp)
        return found


class _Side(NamedTuple):
    """One operand of a bundle: columns of its inputs side by side, summed in groups, one of which each result takes."""

    leads: bool
    delta: bool
    inputs: tuple[_Input, ...]
    columns: Array
    starts: Array
    chosen: Array

    def joined(self, rows: Rows, since: Array, ts: Array, cut: Array, kept: Array, lead: _Input) -> Joined:
        """Its values for the kept rows of the leading operand, a column for each result."""
        since, ts = since[kept], ts[kept]
        found = []
        for entry in self.inputs:
            if not (self.leads and entry is lead):
                found.append(self._other(entry, since, ts))
                continue
            own = _own(rows, cut, kept, len(entry.keys))
            if self._summed and rows.there is not None:
                own = _first(own, self._other(entry, since, ts), self.columns[self.starts])
            found.append(own)
        values, there, gaps, reasons = _beside(found, [len(entry.keys) for entry in self.inputs])
        values, there = values[:, self.columns], there[:, self.columns]
        if self._summed:
            values = np.add.reduceat(values, self.starts, axis=1)
            # A sum has the rows of its first series where it leads.
            there = there[:, self.starts] if self.leads else np.logical_or.reduceat(there, self.starts, axis=1)
        values, there = values[:, self.chosen], there[:, self.chosen]
        if gaps is None:
            return Joined(values, there)
        missing = np.logical_or.reduceat(gaps[:, self.columns], self.starts, axis=1)[:, self.chosen]
        return Joined(values, there, missing, self._told(gaps, reasons))

    @property
    def _summed(self) -> bool:
        return len(self.starts) < len(self.columns)

    def _other(self, entry: _Input, since: Array, ts: Array) -> Joined:
        """What an input says of spans or instants that are not those of its own rows."""
        return split(entry.held.rows, since, ts) if self.delta else interpolate(entry.held.rows, ts)

    def _told(self, gaps: Array, reasons: Mapping[tuple[int, int], str]) -> dict[tuple[int, int], str]:
        """Why results are missing, as far as it is known of their parts."""
        group = np.searchsorted(self.starts, np.arange(len(self.columns)), "right") - 1
        results: dict[int, list[int]] = {}
        for result, taken in enumerate(self.chosen.tolist()):
            results.setdefault(taken, []).append(result)
        told: dict[tuple[int, int], str] = {}
        for row, at in np.argwhere(gaps[:, self.columns]).tolist():
            why = reasons.get((row, int(self.columns[at])))
            if why is not None:
                for result in results.get(int(group[at]), ()):
                    told.setdefault((row, result), why)
        return told


def _first(own: Joined, other: Joined, first: Array) -> Joined:
    """The own rows of some columns, what is known of the others for these rows."""
    count, width = own.values.shape
    columns = np.zeros(width, bool)
    columns[first[first < width]] = True
    other = _wide(other, width)
    gaps = None
    if own.gaps is not None or other.gaps is not None:
        none = np.zeros((count, width), bool)
        gaps = np.where(columns, none if own.gaps is None else own.gaps, none if other.gaps is None else other.gaps)
    reasons = {cell: why for cell, why in own.reasons.items() if columns[cell[1]]}
    reasons |= {cell: why for cell, why in other.reasons.items() if not columns[cell[1]]}
    there = np.where(columns, own.there, other.there)
    return Joined(np.where(columns, own.values, other.values), there, gaps, reasons)


def _own(rows: Rows, cut: Array, kept: Array, width: int) -> Joined:
    """The leading operand itself: its rows, shortened where they are cut."""
    there = np.ones(rows.values.shape, bool) if rows.there is None else rows.there
    values = rows.values if (cut == 1.0).all() else rows.values * cut[:, None]
    reasons = rows.reasons
    if reasons and not kept.all():
        place = {row: at for at, row in enumerate(kept.nonzero()[0].tolist())}
        reasons = {(place[row], column): why for (row, column), why in reasons.items() if row in place}
    return _wide(Joined(values[kept], there[kept], None if rows.gaps is None else rows.gaps[kept], reasons), width)


def _beside(found: Sequence[Joined], widths: Sequence[int]) -> Joined:
    """Several inputs side by side; one of which no row has come for its latest series is as wide as these."""
    padded = [_wide(joined, width) for joined, width in zip(found, widths, strict=True)]
    if len(padded) == 1:
        return padded[0]
    gaps = None
    if any(joined.gaps is not None for joined in padded):
        gaps = np.concatenate([np.zeros(j.values.shape, bool) if j.gaps is None else j.gaps for j in padded], axis=1)
    begins = itertools.accumulate([0, *widths[:-1]])
    reasons = {
        (row, begin + column): why
        for begin, joined in zip(begins, padded, strict=True)
        for (row, column), why in joined.reasons.items()
    }
    values, there = (np.concatenate(each, axis=1) for each in zip(*[(j.values, j.there) for j in padded], strict=True))
    return Joined(values, there, gaps, reasons)


def _wide(joined: Joined, width: int) -> Joined:
    lacking = width - joined.values.shape[1]
    if not lacking:
        return joined
    none = np.zeros((len(joined.values), lacking))
    return Joined(
        np.concatenate([joined.values, none], axis=1),
        np.concatenate([joined.there, none.astype(bool)], axis=1),
        None if joined.gaps is None else np.concatenate([joined.gaps, none.astype(bool)], axis=1),
        joined.reasons,
    )


def _alike(there: Array) -> Iterator[tuple[Array, tuple[int, ...]]]:
    """Rows and columns that are there together: a block each, as a block has no holes. Nearly always that is one."""
    if there.all():
        yield np.arange(len(there)), tuple(range(there.shape[1]))
        return
    alike: dict[bytes, list[int]] = {}
    for row, line in enumerate(there):
        alike.setdefault(line.tobytes(), []).append(row)
    for rows in alike.values():
        columns = there[rows[0]].nonzero()[0].tolist()
        if columns:
            yield np.array(rows), tuple(columns)


def gathered(layout: Layout, positions: Sequence[int]) -> list[tuple[int, Any]]:
    """Where the keys at some positions lie, as `Block.take` takes them fastest."""
    return [
        (part, columns if isinstance(columns, slice) else np.array(columns, dtype=np.intp))
        for part, columns in layout.gather(positions)
    ]


def _block(
    layout: Layout,
    ts: Array,
    since: Array,
    values: Array,
    missing: Array,
    reasons: dict[tuple[int, int], str],
    faults: Sequence[tuple[Array, str]],
) -> Block:
    """A block of results, columns in the order of its keys."""
    for bad, why in faults:
        for cell in np.argwhere(bad & ~missing).tolist():
            reasons[cell[0], cell[1]] = why
        missing = missing | bad
    if not missing.any():
        return Block(layout, ts, since, (values if values.base is None else values.copy(),))
    return Block(layout, ts, since, (np.where(missing, np.nan, values),), (missing,), reasons)


class Computing(Filter):
    """A filter that computes the formulas of its rules; nothing else is asked of it."""

    computes = True

    def start(self, context: Context) -> None:
        """Begin without a past."""
        del context
        self._computations: dict[int, Computation] = {}

    def bind(self, selections: Sequence[Selection]) -> None:
        """Prepare for a layout."""
        for selection in selections:
            if isinstance(selection, FormulaSelection):
                computation = self._computations.get(selection.place)
                if computation is None:
                    computation = self._computations[selection.place] = Computation.of(selection, self.owner)
                selection.state = computation, computation.bind(selection)

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """What can be computed of one block; the rest is held."""
        if not block.rows:
            return
        for selection in selections:
            if selection.state is not None:
                computation, prepared = selection.state
                made = computation.take(prepared, block)
                if made is not None:
                    yield made

    def watermark(self, ts: int) -> Iterator[Block]:
        """What was held and can be computed now."""
        for computation in self._computations.values():
            yield from computation.watermark(ts)

    def finish(self) -> Iterator[Block]:
        """What is left."""
        for computation in self._computations.values():
            yield from computation.finish()
