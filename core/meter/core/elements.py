"""The elements of a running chain: a plugin with what the engine knows of it.

They hold state and say what a layout means to them; the loops that move them, and every thread, are the engine's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from meter.core.breach import GIVES, ContractBreach
from meter.core.queues import OutputQueue
from meter.core.readings import BoundSourceContext, Declared, Readings
from meter.core.sampling import Sampler
from meter.core.silence import Silence
from meter.core.state import FilterState, OutputState, SourceState, no_lateness

if TYPE_CHECKING:
    from os import PathLike

    from meter.contracts.rules import Rule, WorstQuality
    from meter.contracts.variants import Variant
    from meter.core.batch import Batch, Block
    from meter.core.bind import Bound
    from meter.core.keys import Entity, Key, Metric
    from meter.core.layout import Layout
    from meter.core.plugin import Filter, Output, Recover, Source
    from meter.core.scrutiny import Given, Imprint

PATIENCE_S: Final = 1.0
"""How long the chain waits in all for room in one queue, until that is half empty again."""
DROP_OLDEST: Final = "drop-oldest"
"""The policy of an output that would rather have the newest than all."""
BINDINGS_LIMIT: Final = 1024
SERIES_LIMIT: Final = 1 << 18


class SourceElement:
    """A source with its schedule."""

    def __init__(
        self,
        label: str,
        source: Source,
        declared: Declared,
        interval_ns: int,
        sysroot: str | PathLike[str] | None,
        received: Collection[str] = (),
        *,
        blocks: bool = False,
        tolerated: Callable[[ContractBreach], bool] = lambda _: False,
    ) -> None:
        """Args: received, metrics from other meters, silent for as long as they like; tolerated, that of Readings."""
        self.label = label
        self.source = source
        self.context = BoundSourceContext(declared, sysroot)
        self.readings = Readings(declared, tolerated)
        self.interval_ns = interval_ns
        own = {name: interval for name, interval in declared.intervals().items() if name not in received}
        self.silence: Silence | None = Silence(own)
        self.live = False
        self.blocks = blocks
        """Whether its contract says that a call may take long."""
        self.asked = False
        """Whether it is to be polled beside its schedule."""
        self.share_ns = 0
        """How long a poll may take until it disturbs others of its thread."""
        self.slow = 0
        """How many polls in a row took longer."""
        self.hangs = False
        self.polls = 0
        self.missed = 0
        self.retries = 0
        self.violations = 0
        """How often it broke its contract; so in every element."""
        self.lateness = no_lateness()
        """Polls by how long after their deadline they were, as `LATENESS` says."""

    def state(self, points: int) -> SourceState:
        """What it did; `points` are the values that came of it."""
        return SourceState(self.label, self.polls, self.missed, self.retries, points, tuple(self.lateness))


class FilterElement:
    """A filter with its rules and what they mean on each layout seen so far."""

    def __init__(self, label: str, filter_: Filter, rules: Sequence[Rule], quality: WorstQuality) -> None:
        self.label = label
        self.filter = filter_
        self.rules = rules
        self.quality = quality
        self.live = False
        self.violations = 0
        self.batches = 0
        self.points = 0
        """Values that came to it, missing ones included."""
        self.spent_ns = 0
        self.bindings: dict[Layout, Bound] = {}
        self.told: dict[Layout, Bound] = {}
        """Of which of these the filter was told."""
        self.promised: dict[tuple[str, Metric], int] = {}
        """The series that the rules give on the layouts that are known, and on how many of them."""
        self.gone: dict[tuple[str, Metric], None] = {}
        """Series that were promised on layouts that are forgotten; the oldest ones are forgotten too."""
        self.verified: dict[Layout, None] = {}
        """Layouts that hold nothing else; the oldest ones are forgotten."""
        self.sampler = Sampler()
        self._given: Given | None = None
        self._results: list[Variant] | None = None

    def state(self) -> FilterState:
        """What it was given and how long it took."""
        return FilterState(self.label, self.batches, self.points, self.spent_ns)

    def bound(self, layout: Layout) -> tuple[Bound, ContractBreach | None]:
        """The rules on a layout, resolved once; where it is not what they demand, what passes beside them and why.

        Raises: whatever the filter raises when it is asked of series; from then on what passes beside it is known.
        """
        found = self.bindings.get(layout)
        breach = None
        if found is None:
            from meter.core.bind import Bound, Says, beside, bind  # numpy

            try:
                if layout.each and not self._unparted(layout):
                    found = Bound(beside(self.rules, layout), (), parted=True)
                else:
                    found = bind(self.label, self.rules, layout, self.quality, Says(self._owner, self._told))
            except ContractBreach as error:
                found, breach = Bound(beside(self.rules, layout), ()), error
            except BaseException:
                self.bindings[layout] = Bound(beside(self.rules, layout), ())
                raise
            if len(self.bindings) >= BINDINGS_LIMIT:
                self._withdraw(self.bindings.pop(next(iter(self.bindings))))
            self.bindings[layout] = found
            for series in _series(found):
                self.promised[series] = self.promised.get(series, 0) + 1
        return found, breach

    def _unparted(self, layout: Layout) -> bool:
        """Whether rows of many things may reach the filter together."""
        from meter.core.bind import row_by_row  # as in bound
        from meter.core.keys import EACH

        family = getattr(self.filter, "regroups", "")
        if family and all(getattr(key, family)[1] == EACH for key in layout.keys):
            return True
        return row_by_row(self.rules, layout, getattr(self.filter, "by_row", ()))

    def _owner(self, key: Key, family: str, kinds: tuple[str, ...]) -> Entity:
        """The new resource or consumer of a series, as the filter says.

        Raises: ContractBreach, it says none; whatever the filter raises.
        """
        from meter.core.bind import nobody  # as in bound
        from meter.core.keys import MACHINE

        found = self.filter.owner(key, family, kinds) if kinds != (MACHINE[0],) else None
        return nobody(key, family, kinds) if found is None else found

    def _told(self, key: Key, names: tuple[str, ...]) -> Mapping[str, str]:
        """Attributes of a series, as the filter tells them.

        Raises: ContractBreach, it tells nothing; whatever the filter raises.
        """
        from meter.core.bind import silent  # as in bound

        found = self.filter.tell(key, names)
        return silent(key, names) if found is None else found

    def _computed(self, key: Key) -> bool:
        """Whether a formula of the rules gives a series: which ones do is not known before all operands have come."""
        from meter.core.bind import computed  # as in bound

        if self._results is None:
            self._results = [each for rule in self.rules for each in computed(rule, self.label, self.quality)]
        series = key.variant()
        return any(
            each.contains(series)
            and (each.additive, each.quality, each.interval, each.origin, each.via)
            == (series.additive, series.quality, series.interval, series.origin, series.via)
            for each in self._results
        )

    def _withdraw(self, bound: Bound) -> None:
        """A layout is forgotten; what was held back of it may still come."""
        for series in _series(bound):
            self.promised[series] -= 1
            if not self.promised[series]:
                del self.promised[series]
                if len(self.gone) >= SERIES_LIMIT:
                    del self.gone[next(iter(self.gone))]
                self.gone.pop(series, None)
                self.gone[series] = None

    def tell(self, layout: Layout, bound: Bound) -> None:
        """Let the filter prepare for the selections of a layout, once."""
        if self.told.get(layout) is not bound:
            self.filter.bind(bound.selections)
            _remember(self.told, layout, bound)

    def end(self) -> None:
        """A hand-over is through: what was given in it is forgotten."""
        if self._given is not None:
            self._given.clear()

    def imprint(self, block: Block) -> Imprint:
        """What a block holds before the filter gets it."""
        from meter.core.scrutiny import Imprint  # numpy, which is loaded when there is a block

        return Imprint(block, self.sampler)

    def accept(self, made: Block, of: Block | None = None, *, closely: bool = False) -> None:
        """Whether a block that the filter gave is one that its contract promises.

        Args: `of`, what it was made of, looked at `closely` or not; None where that was held back before.
        Raises: ContractBreach.
        """
        self.verify(made, of)
        closely = closely or (of is None and self.sampler.due(made.layout))
        if closely:
            from meter.core.scrutiny import verify_gaps, verify_spans  # as in imprint

            if of is None or made.ts is not of.ts or made.since is not of.since:
                verify_spans(self.label, made)
            verify_gaps(self.label, made, self.sampler)
        if self._given is None:
            from meter.core.scrutiny import Given  # as in imprint

            self._given = Given()
        self._given.add(self.label, made, closely=closely)

    def verify(self, block: Block, of: Block | None = None) -> None:
        """Whether a block has the series that the rules promise, or a part of them, in arrays of their types.

        Args: `of`, as in accept.
        Raises: ContractBreach.
        """
        layout: Layout | None = getattr(block, "layout", None)
        if layout not in self.verified:
            if layout is None:
                raise ContractBreach(self.label, GIVES, "no-block", got=type(block).__name__)
            self._promises(layout)
            _remember(self.verified, layout, None)
        flaw = block.flaw(of)
        if flaw is not None:
            metric = ", ".join(block.layout.metrics if flaw.part is None else block.layout.of_part(flaw.part))
            facts = {"name": flaw.name, "got": flaw.got, "wanted": flaw.wanted, "metric": metric}
            raise ContractBreach(self.label, GIVES, "array" if flaw.wanted else "writeable", **facts)

    def _promises(self, layout: Layout) -> None:
        """Whether the rules give each series of a layout, as it is there.

        Raises: ContractBreach.
        """
        for key, (part, _) in zip(layout.keys, layout.address, strict=True):
            series = (key.name, key.metric)
            if series not in self.promised and series not in self.gone and not self._computed(key):
                raise self._foreign(key)
            if layout.dtypes[part] != key.metric.type:
                facts = {"key": key.said, "metric": key.metric.name, "got": layout.dtypes[part]}
                raise ContractBreach(self.label, f"{GIVES}.type", "other", **facts, wanted=key.metric.type)

    def _foreign(self, key: Key) -> ContractBreach:
        """The breach of a series that no rule gives; where one gives it in another form, of that."""
        facts = {"key": key.said, "metric": key.metric.name}
        for name, metric in (*self.promised, *self.gone):
            if name != key.name:
                continue
            for field in ("type", "unit", "kind"):
                got, wanted = getattr(key.metric, field), getattr(metric, field)
                if got != wanted:
                    return ContractBreach(self.label, f"{GIVES}.{field}", "other", **facts, got=got, wanted=wanted)
        return ContractBreach(self.label, GIVES, "foreign", **facts)


def _series(bound: Bound) -> Iterator[tuple[str, Metric]]:
    """The series that the rules give."""
    return ((key.name, key.metric) for selection in bound.selections for key in selection.outputs)


def _remember(known: dict[Layout, Any], layout: Layout, what: Any) -> None:
    """Remember something of a layout; key sets that churn make new ones for as long as meter runs."""
    if len(known) >= BINDINGS_LIMIT:
        del known[next(iter(known))]
    known[layout] = what


class OutputElement:
    """An output with its routing, its queue and its thread."""

    def __init__(
        self, label: str, output: Output, rules: Sequence[Rule], quality: WorstQuality, config: Mapping[str, Any]
    ) -> None:
        """Args: config, the options that every output has."""
        self.label = label
        self.output = output
        self.rules = rules
        self.quality = quality
        self.live = False
        self.started = False
        self.gone = False
        self.failing = False
        self.attempts = 0
        """How often a batch was tried in vain."""
        self.writes = 0
        self.failures = 0
        self.points = 0
        """Values that were delivered, missing ones included."""
        self.violations = 0
        self.sampler = Sampler()
        self.writing_since: int | None = None
        self.hangs = False
        self.patience_s = PATIENCE_S
        """How long the chain still waits for room in the queue."""
        self.stuck = False
        """Whether it took nothing after the deadline, so that nobody waits for it any more."""
        self.doubtful = 0
        """Rows that had to go where they were kept, of which some are being written and may be delivered yet."""
        self.drops = config["overflow"] == DROP_OLDEST
        self.lost = 0
        self.dropped = 0
        """Rows that went as the option `overflow` says."""
        self.queue = OutputQueue(config["queue_points"], config["queue_bytes"])
        self.thread: threading.Thread | None = None
        self.keeper: RecoverElement | None = None
        self.routes: dict[Layout, Layout | None] = {}

    @property
    def moves(self) -> bool:
        """Whether something seems to leave its queue."""
        if self.live and not self.failing and not self.hangs:
            return True
        return self.keeper is not None and self.keeper.live and not self.keeper.failing

    @property
    def wanted(self) -> bool:
        """Whether it takes anything, or somebody keeps it for when it does."""
        return self.live or (self.keeper is not None and self.keeper.live and not self.started)

    def state(self) -> OutputState:
        """What waits for it, what it has delivered and what it never got."""
        queue = self.queue
        waiting = len(queue), queue.points, queue.bytes
        return OutputState(self.label, *waiting, self.writes, self.failures, self.points, self.lost, self.dropped)

    def lose(self, rows: int) -> None:
        """Count rows that are not delivered; what nobody takes any more is not lost."""
        if not self.gone:
            self.lost += rows

    def route(self, block: Block) -> Block | None:
        """The part of a block that the output takes."""
        try:
            layout = self.routes[block.layout]
        except KeyError:
            from meter.core.bind import bind  # numpy
            from meter.core.keys import KeySet

            bound = bind(self.label, self.rules, block.layout, self.quality)
            keys = KeySet(key for selection in bound.selections for key in selection.inputs)
            layout = block.layout.restrict(keys) if len(keys) else None
            _remember(self.routes, block.layout, layout)
        return None if layout is None else block.select(layout)

    def imprints(self, batch: Batch) -> list[Imprint]:
        """What the blocks of a batch hold before the output gets it, where it is one that is looked at closely."""
        if not batch.blocks or not self.sampler.due(batch.blocks[0].layout):
            return []
        from meter.core.scrutiny import Imprint  # numpy, which is loaded when there is a batch

        return [Imprint(block, self.sampler) for block in batch.blocks]

    def parts(self, block: Block) -> list[Block]:
        """The part of a block that the output takes, in blocks that it knows how to read."""
        part = self.route(block)
        if part is None:
            return []
        return [part] if part.ids is None or getattr(self.output, "takes_ids", False) else part.spread()


class RecoverElement:
    """What keeps the batches that one output cannot deliver, with its thread."""

    def __init__(self, label: str, recover: Recover, output: str) -> None:
        self.label = label
        self.recover = recover
        self.output = output
        self.live = False
        self.failing = False
        self.full = False
        self.violations = 0
        self.turn = threading.Lock()
        """Held while a batch changes its place, so that there is one oldest."""
        self.thread: threading.Thread | None = None
