"""The pipeline: rows become blocks, blocks go through the filters, what comes out is delivered.

One thread, and the only one that needs numpy. A filter that fails is named and gives nothing more; what passes beside
it goes on.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Final

from meter.core.breach import GIVES, ContractBreach
from meter.core.faults import described
from meter.core.keys import KeyClash
from meter.core.phases import HANGS_NS
from meter.core.polling import newest
from meter.core.sampling import Sampler

if TYPE_CHECKING:
    import threading

    from meter.core.batch import Block
    from meter.core.bind import Bound
    from meter.core.delivery import Delivery
    from meter.core.elements import FilterElement
    from meter.core.faults import Faults
    from meter.core.polling import Raw
    from meter.core.rows import Row
    from meter.core.scrutiny import Imprint

PIPELINE: Final = "pipeline"
"""The name of the chain itself in faults."""
RAW_LIMIT: Final = 64
"""How many hand-overs wait for the chain at most; then polling waits."""
COURTESY_S: Final = 0.02
"""So long the chain waits in all, at each hand-over, for polls that are due to go first."""


class Pipeline:
    """The filters of a chain, and the thread that runs them.

    Args: `quarantine` leaves the source of that label out; `ended` is set when the pipeline itself could not go on;
        `through` is called after each hand-over; `after_polls` waits until what is due is polled, for some seconds at
        most, and says how many of them are left.
    """

    def __init__(
        self,
        delivery: Delivery,
        faults: Faults,
        quarantine: Callable[[str], None],
        ended: threading.Event,
        through: Callable[[], None] = lambda: None,
        after_polls: Callable[[float], float] = lambda _: 0.0,
    ) -> None:
        self.filters: list[FilterElement] = []
        self.raw: queue.Queue[Raw | None] = queue.Queue(RAW_LIMIT)
        """What was polled and waits; None at the end."""
        self.rows = 0
        self.gaps = 0
        self.points: Counter[str] = Counter()
        """Values by source, missing ones included."""
        self.handled = 0
        """How many hand-overs are through."""
        self.busy: tuple[str, int] | None = None
        """The filter that runs, since when in monotonic nanoseconds."""
        self._named: tuple[str, int] | None = None
        """Of which call it was said that it hangs."""
        self._samplers: dict[str, Sampler] = {}
        """By source."""
        self._delivery = delivery
        self._faults = faults
        self._quarantine = quarantine
        self._ended = ended
        self._one_more = through
        self._after_polls = after_polls
        self._courtesy_s = 0.0

    def loop(self) -> None:
        """The thread: run the chain over what was polled until its end comes."""
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001  (such as an import that finds no descriptor free)
            self._faults.fail("E-IO", PIPELINE, variant="pipeline", why=described(error))
            self._ended.set()
            while self.raw.get() is not None:  # the poll thread must not wait for somebody who has gone
                self.handled += 1
                self._one_more()
            self._delivery.close()

    def _run(self) -> None:
        from meter.core.batch import Anchor  # numpy, here and not at the start: see the module

        anchor = Anchor.now()
        while (raw := self.raw.get()) is not None:
            anchor = Anchor(*raw.anchor)
            self._courtesy_s = COURTESY_S
            self._delivery.deliver(self.blocks(raw), anchor)
            self.handled += 1
            self._one_more()
        for place, filter_ in enumerate(self.filters):
            if filter_.live:
                self.busy = (filter_.label, time.monotonic_ns())
                with quiet():
                    held = self._held(filter_, "finish", filter_.filter.finish)
                filter_.end()
                self._delivery.deliver(self.hops(held, place + 1), anchor)
        self._delivery.close()

    def _give_way(self) -> None:
        """Let polls go first that are due: here and there, so that what is done in one go is short."""
        if self._courtesy_s:
            self._courtesy_s = self._after_polls(self._courtesy_s)

    def look(self) -> None:
        """Name a filter that does not come back; what was polled waits for it."""
        busy = self.busy
        if busy is not None and busy != self._named and time.monotonic_ns() - busy[1] >= HANGS_NS:
            self._named = busy
            self._faults.add("E-IO", busy[0], variant="filter-hangs", seconds=f"{HANGS_NS / 1e9:g}")

    def blocks(self, raw: Raw) -> list[Block]:
        """What the chain makes of polled rows."""
        watermark = newest(raw.rows) if raw.watermark is None else raw.watermark
        return self.hops(self._built(raw), 0, watermark)

    def _built(self, raw: Raw) -> list[Block]:
        """The blocks of raw rows; a source whose rows cannot be built is quarantined."""
        from meter.core.building import build  # numpy

        rows_of: dict[str, Sequence[Row]] = {}
        for label, rows in raw.rows:
            rows_of[label] = [*rows_of[label], *rows] if label in rows_of else rows
        blocks: list[Block] = []
        for label, rows in rows_of.items():
            self._give_way()
            try:
                built = build(rows)
            except (ValueError, TypeError, OverflowError) as error:
                facts = {"why": str(error), "metric": _meant(rows, str(error))}
                if not self._faults.breached(label, ContractBreach(label, "provides.metrics", "block", **facts)):
                    self._quarantine(label)
            else:
                sound = self._sound(label, built)
                self.points[label] += _points(sound)
                blocks += sound
        self.rows += sum(block.rows for block in blocks)
        self.gaps += sum(int(mask.sum()) for block in blocks for mask in block.masks if mask is not None)
        return blocks

    def _sound(self, label: str, built: Iterable[Block]) -> list[Block]:
        """What a source gave, without what cannot be; where it is not to go on, nothing."""
        from meter.core.scrutiny import verify_deltas, without_negative  # numpy

        sampler = self._samplers.get(label)
        if sampler is None:
            sampler = self._samplers[label] = Sampler()
        out = []
        for block in built:
            sound = block
            if sampler.due(block.layout):
                try:
                    verify_deltas(label, block, sampler)
                except ContractBreach as breach:
                    sampler.suspect = True
                    if not self._faults.breached(label, breach):
                        self._quarantine(label)
                        return []
                    sound = without_negative(block, breach.detail)
            out.append(sound)
        return out

    def hops(self, blocks: list[Block], begin: int = 0, watermark: int | None = None) -> list[Block]:
        """Run blocks through the filters from one on; no row older than the watermark follows."""
        with quiet():
            for filter_ in self.filters[begin:]:
                self._give_way()
                begun = time.monotonic_ns()
                self.busy = (filter_.label, begun)
                filter_.batches += 1
                filter_.points += _points(blocks)
                blocks = [out for block in blocks for out in self._hop(filter_, block)]
                if watermark is not None and filter_.live:
                    blocks += self._held(filter_, "watermark", partial(filter_.filter.watermark, watermark))
                filter_.end()
                filter_.spent_ns += time.monotonic_ns() - begun
        self.busy = None
        return blocks

    def _hop(self, filter_: FilterElement, block: Block) -> list[Block]:
        """One block through one filter. A filter that failed gives nothing; what passes beside it goes on."""
        bound = self._bound(filter_, block)
        passing = None if bound.passing is None else block.select(bound.passing)
        beside = [] if passing is None else [passing]
        if bound.parted:
            for part in block.spread():
                own = self._bound(filter_, part)
                if own.selections and filter_.live:
                    beside += self._through(filter_, own, part, None)
            return beside
        return self._through(filter_, bound, block, passing) if bound.selections and filter_.live else beside

    def _bound(self, filter_: FilterElement, block: Block) -> Bound:
        """What the rules of a filter mean to a block."""
        try:
            bound, breach = filter_.bound(block.layout)
        except BaseException as error:  # noqa: BLE001  (as in _through)
            if filter_.live:
                filter_.live = False
                self._faults.raised(filter_.label, "bind", error)
            bound, breach = filter_.bound(block.layout)
        if breach is not None and filter_.live:
            self._breached(filter_, breach)
        return bound

    def _through(self, filter_: FilterElement, bound: Bound, block: Block, passing: Block | None) -> list[Block]:
        """What passes beside a filter together with what it gives of a block; alone where the filter fails."""
        phase = "bind"
        imprint = filter_.imprint(block) if filter_.sampler.due(block.layout) else None
        try:
            filter_.tell(block.layout, bound)
            phase = "run"
            given = list(filter_.filter.run(bound.selections, block))
            if block.ids is not None:
                given = [made.rows_of(block.ids) if made.ts is block.ts else made for made in given]
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
            filter_.live = False
            self._faults.raised(filter_.label, phase, error)
            given = []
        if imprint is not None and not self._untouched(filter_, imprint):
            return []  # what passes lies in the same arrays
        return self._together(filter_, passing, given, of=block, closely=imprint is not None)

    def _untouched(self, filter_: FilterElement, imprint: Imprint) -> bool:
        """Whether a block is still what it was before a filter had it."""
        try:
            imprint.verify(filter_.label)
        except ContractBreach as breach:
            self._breached(filter_, breach)
            return False
        return True

    def _breached(self, filter_: FilterElement, breach: ContractBreach) -> None:
        """A filter broke its contract: from now on all that it gives is looked at, or nothing comes of it any more."""
        filter_.sampler.suspect = True
        filter_.live = self._faults.breached(filter_.label, breach) and filter_.live

    def _held(self, filter_: FilterElement, phase: str, give: Callable[[], Iterable[Block]]) -> list[Block]:
        """What a filter gives of what it held back. One that fails is left out."""
        try:
            given = list(give())
        except BaseException as error:  # noqa: BLE001  (as in _hop)
            filter_.live = False
            self._faults.raised(filter_.label, phase, error)
            return []
        return self._together(filter_, None, given)

    def _together(
        self,
        filter_: FilterElement,
        passing: Block | None,
        given: list[Block],
        *,
        of: Block | None = None,
        closely: bool = False,
    ) -> list[Block]:
        """What passes beside a filter with what it gave: one block where the rows are the same.

        What breaks the contract is left out, and the filter with all that it gave here unless it may go on.
        Args: `of`, the block that the filter had; `closely`, it is one that is looked at.
        """
        out: list[Block] = []
        whole = passing
        for made in given:
            try:
                filter_.accept(made, of, closely=closely)
                if whole is not None and made.ts is whole.ts and made.since is whole.since:
                    whole = _joined(filter_.label, whole, made)
                elif made.rows:
                    out.append(made)
            except ContractBreach as breach:
                self._breached(filter_, breach)
                if not filter_.live:
                    return [] if passing is None else [passing]
        return out if whole is None else [whole, *out]


def quiet() -> AbstractContextManager[None]:
    """While filters run: numpy warns of nothing, as their results say what is no number.

    Once for all of them: what it takes is as much as two products of small matrices.
    """
    from numpy import errstate  # here and not at the start: see the module

    return errstate(all="ignore")


def _points(blocks: Iterable[Block]) -> int:
    """How many cells blocks have, missing ones included."""
    return sum([len(block.ts) * len(block.layout.keys) for block in blocks])


def _joined(label: str, whole: Block, made: Block) -> Block:
    """The same rows with what was made of them.

    Raises: ContractBreach, a series is there already.
    """
    try:
        return whole.join(made)
    except KeyClash as error:
        facts = {"key": error.key.said, "metric": error.key.metric.name}
        raise ContractBreach(label, GIVES, "there-already", **facts) from error


def _meant(rows: Iterable[Row], text: str) -> str:
    """The metric of the series that a text names; the longest name is meant."""
    keys = {key for row in rows for key in row.columns.keys}
    named = sorted(key for key in keys if key.name in text)
    return max(named, key=lambda key: len(key.name)).metric.name if named else ""
