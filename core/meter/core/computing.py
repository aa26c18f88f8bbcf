"""Computing: the formula of a rule, over series that lie in several blocks and come at different times.

Operands join by their keys, as the plan says in which ways, and in time, as `joining` does. The result has the rows of
the leading operand, the slowest delta: other deltas are split by overlap, gauges interpolated at the end of its rows.
What all operands have in one block is computed at once and never held.

Bounds are exact. A row that begins before another delta is known, or at the end of the run ends behind it, is cut to
what all deltas cover, its own value by the length that is left. Where a gauge is not known before and after the end of
a row there is no result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from meter.core.arithmetic import PART, Program, because
from meter.core.arrays import Array
from meter.core.batch import Block, indexed
from meter.core.bind import FormulaSelection, Selection
from meter.core.bundles import Bundle, Input, block_of
from meter.core.holding import Piece
from meter.core.keys import Key, KeySet
from meter.core.layout import Layout
from meter.core.matching import Output, Owner, Reduced, outputs, reduced
from meter.core.plugin import Filter

if TYPE_CHECKING:
    from meter.contracts.rules import Computes
    from meter.contracts.variants import Variant
    from meter.core.plugin import Context

PATIENCE: Final = 4
"""So many intervals of the slowest operand one may be late; then what is there without it is computed, and rows that
end earlier than that are forgotten."""
_UNKNOWN: Final = 15_000_000_000
"""The interval, in nanoseconds, of operands that say none."""


_SIZES: Final = 1 << 16
"""Of so many groups it is remembered how many series they have; things that come and go make ever new ones."""


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
    everything: list[tuple[int, Any]]
    """The places of all keys."""


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
        self._inputs: dict[tuple[int, str], Input] = {}
        self._bundles: list[Bundle] | None = None
        self._begun: int | None = None
        self._sizes: dict[tuple[int, Reduced], int] = {}
        self._keys: dict[tuple[int, Reduced], Key] = {}
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
            reads.append(_Reads(place, origin, tuple(keys), indexed(layout.gather(positions)), at))
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
        if len(self._sizes) > _SIZES:
            self._sizes.clear()
        for place, own in enumerate(groups):
            for left, keys in own.items():
                most = self._sizes.get((place, left), 0)
                self._sizes[place, left] = max(most, len(keys))
                smaller |= len(keys) < most
        if smaller:
            return None  # a part of a sum is in another block, such as one that makes up for a missing reading
        known = [{left: keys[0] for left, keys in own.items()} for own in groups]
        found = outputs(computes, self._results, known, self._owner, self._keys)
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
            gathers.append(
                _Gather(indexed(layout.gather(columns)), starts, None if whole else np.array(chosen, np.intp))
            )
            positions.append(tuple(tuple([layout.keys.position(key) for key in own[e[place]]]) for e in ordered))
        everything = indexed(layout.gather(range(len(layout.keys))))
        return _Aligned(made, tuple(gathers), tuple(positions), everything)

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
                entry = self._inputs[reads.place, reads.origin] = Input(self._computes.operands[reads.place])
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
            return Block(aligned.layout, block.ts, block.since, (values,))
        return self._with_gaps(aligned, block, values, faults)

    def _with_gaps(self, aligned: _Aligned, block: Block, values: Array, faults: Sequence[tuple[Array, str]]) -> Block:
        """The same where cells are missing."""
        missing = np.zeros(values.shape, bool)
        reasons: dict[tuple[int, int], str] = {}
        gaps = block.take_masks(aligned.everything)
        if gaps is not None:
            for operand in aligned.positions:
                for column, positions in enumerate(operand):
                    for row, at in np.argwhere(gaps[:, positions]).tolist():
                        missing[row, column] = True
                        why = block.reasons.get((row, positions[at]), "")
                        reasons.setdefault((row, column), because(PART, why))
        return block_of(aligned.layout, block.ts, block.since, values, missing, reasons, faults)

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

    def _bundled(self) -> Iterator[Bundle]:
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
        for output in outputs(computes, self._results, known, self._owner, self._keys):
            of = tuple(
                tuple(dict.fromkeys(origin for origin, _ in groups[place][left]))
                for place, left in enumerate(output.takes)
            )
            together.setdefault(of, []).append(output)
        for origins, found in together.items():
            yield Bundle(computes, origins, found, groups, self._inputs)

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
