"""The engine: runs a plan. Sources are polled, the chain makes batches of it, outputs deliver them.

Three kinds of thread, each with one job: the poll thread reads (no numpy), the pipeline thread builds blocks and runs
the chain, each output has a thread and a bounded queue. Whoever fails is named and left out; the others go on. Never
prints, never exits.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.contracts import references
from meter.core import own_check
from meter.core.breach import ContractBreach
from meter.core.clock import Clock, MonotonicClock
from meter.core.elements import FilterElement, OutputElement, SourceElement, filled
from meter.core.keys import KeyClash
from meter.core.loading import ExportFault, load_class
from meter.core.plugin import Context, Gone, Retry
from meter.core.readings import Declared
from meter.core.silence import INTERVALS
from meter.core.vault import SecretMissing, Vault

if TYPE_CHECKING:
    from pathlib import Path

    from meter.core.batch import Anchor, Batch, Block
    from meter.core.readings import Row
    from meter.core.silence import Silence

HAND_OVER_NS: Final = 250_000_000
"""Rows wait at most this long for others of fast sources before they go to the pipeline together.

Each batch wakes the chain and every output, which costs as much as the polls of some sources."""
MANY: Final = 64
SOON_NS: Final = 100_000_000
"""Where there are many rows already, they wait less: a large block would keep the GIL from a fast poll for too long."""
STEP_NS: Final = 100_000
"""The clocks run alike, so that a greater difference is a step of the wall clock."""
RAW_LIMIT: Final = 64
GRACE_S: Final = 0.5
"""How long beyond the deadline of `stop` a thread may take to see it."""
BACK_OFF_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Fault(NamedTuple):
    """Something went wrong while running: the code of a diagnostic, its facts, its clause."""

    code: str
    instance: str
    facts: dict[str, str]
    clause: str = ""
    variant: str = ""


class Tally(NamedTuple):
    """What a run did. `missed` ticks were coalesced into later polls, `lost` rows reached not every output."""

    polls: int
    missed: int
    retries: int
    rows: int
    lost: int
    gaps: int = 0
    """Values that were missing in what was polled."""


class Raw(NamedTuple):
    """What the poll thread hands over: rows by source, in the order of their polls, and the clock anchor."""

    rows: list[tuple[str, list[Row]]]
    anchor: tuple[int, int]


def refusal(error: OSError) -> str:
    """What the system refused, and of which file."""
    name = f" `{error.filename}`" if error.filename and f"`{error.filename}`" not in str(error.strerror) else ""
    return f"{error.strerror or error}{name}"


def described(error: BaseException) -> str:
    """An error in one line, with the place in the plugin's code."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen"):
            place = f" ({os.path.basename(file)}:{trace.tb_lineno})"
        trace = trace.tb_next
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (the text of a plugin's own error is the plugin's code, too)
        text = ""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, TimeoutError):
        return refusal(error)
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


# ----------------------------------------------------------------------------------------------------------- engine


class Engine:
    """Runs one plan.

    `failed` says whether an element was quarantined or something could not be delivered. `start` starts the
    plugins, `poll_now` polls every source once, `go` starts the threads, `stop` polls a last time, drains the chain
    and closes everything. `faults` grows while it runs; `report` is called with each.

    Args: `plan` is the document of a Plan; `contracts` says for each plugin where its contract lies; `folder` is
    where relative
        paths of the configuration start.
    """

    def __init__(
        self,
        plan: dict[str, Any],
        contracts: dict[str, str],
        *,
        folder: Path,
        sysroot: Path | None = None,
        clock: Clock | None = None,
        report: Callable[[Fault], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self.contracts = contracts
        self.folder = folder
        self.sysroot = sysroot
        self.clock = clock or MonotonicClock()
        self.report = report
        self.faults: list[Fault] = []
        self.sources: list[SourceElement] = []
        self.filters: list[FilterElement] = []
        self.outputs: list[OutputElement] = []
        self.ended = threading.Event()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._stopped = False
        self._asked: collections.deque[int] = collections.deque()
        self._polling = ""
        self._lock = threading.Lock()
        self._started: list[tuple[str, Any]] = []
        self._rows: list[tuple[str, list[Row]]] = []
        self._raw: queue.Queue[Raw | None] = queue.Queue(RAW_LIMIT)
        self._threads: list[threading.Thread] = []
        self._heap: list[tuple[int, int]] = []
        self._handed = 0
        self._polled = False
        self.failed = False
        self._vault = Vault(str(folder), os.environ)
        self._seq = 0
        self._count = 0
        self._gaps = 0
        self._give_up_ns: int | None = None
        self._anchor = _anchor()

    # ------------------------------------------------------------------------------------------------------- faults

    def fault(self, code: str, instance: str, clause: str = "", variant: str = "", **facts: str) -> None:
        """Remember and report a fault."""
        told = {name: self._vault.masked(text) for name, text in facts.items()}
        fault = Fault(code, instance, {"instance": instance, **told}, clause, variant)
        with self._lock:
            self.faults.append(fault)
        self.report(fault)

    def raised(self, label: str, phase: str, error: BaseException) -> None:
        """Remember what a plugin raised; it is quarantined, which makes the run a failed one."""
        self.failed = True
        if isinstance(error, ContractBreach):
            self.fault("E-BREACH", label, error.clause, why=error.detail)
        elif isinstance(error, SecretMissing):
            from meter.contracts.host import reason, remedy  # the contract language; only a fault needs its words

            why, help_ = reason(error.answer), remedy(error.answer, "secret")
            self.fault("E-HOST", label, clause="config", plugin=label, why=why, help=help_)
        elif phase == "start" and isinstance(error, OSError | ValueError):
            # What it was given is not as it needs it: nothing of its code is to blame.
            why = refusal(error) if isinstance(error, OSError) else " ".join(str(error).split())
            self.fault("E-PLUGIN-RAISED", label, variant="start", phase=phase, why=why)
        elif isinstance(error, ExportFault):
            self.fault(error.code, label, plugin=error.plugin, export=error.export, why=error.why)
        else:
            self.fault("E-PLUGIN-RAISED", label, phase=phase, why=described(error))

    # ------------------------------------------------------------------------------------------------------ phases

    def start(self) -> None:
        """Load and start every plugin, outputs first: whoever gives finds somebody to take. Failures are faults."""
        from meter.contracts.rules import Rule, WorstQuality
        from meter.contracts.variants import Variant

        quality = WorstQuality(self.plan["qualities"])
        for entry in reversed(self.plan["plugins"]):
            label = entry["instance"]
            rules = [Rule.from_json(rule) for rule in entry["rules"]]
            plugin = self._construct(entry)
            try:
                rules = [filled(rule, label, os.environ) for rule in rules]
            except ContractBreach as error:
                plugin = None
                self.raised(label, "start", error)
            if plugin is not None and any(rule.computes is not None for rule in rules):
                # Nothing of its own would come, and nobody would miss it: said instead of run without it.
                plugin, self.failed = None, True
                self.fault("E-PLUGIN-RAISED", label, variant="formula", phase="start", why="")
            context = Context(label, self.sysroot, self._anchor)
            context.alternative = entry["alternative"]
            if entry["role"] == "source":
                if plugin is None:
                    continue
                variants = [Variant.from_json(variant) for variant in entry["emits"]]
                declared = Declared(label, variants, entry["absent"])
                interval = int(entry["config"]["interval"])
                source = SourceElement(label, plugin, declared, interval, self.sysroot, entry["received"])
                source.context.alternative = entry["alternative"]
                self.sources.insert(0, source)
                source.live = self._start(label, plugin, source.context)
            elif entry["role"] == "filter":
                filter_ = FilterElement(label, plugin, rules, quality)
                self.filters.insert(0, filter_)
                filter_.live = plugin is not None and self._start(label, plugin, context)
            elif entry["role"] == "recover":
                # Left out it would lose what the plan promises to keep: said instead of run without it.
                self.failed = True
                self.fault("E-PLUGIN-RAISED", label, variant="recover", phase="start", why="")
            else:
                output = OutputElement(label, plugin, rules, quality)
                self.outputs.insert(0, output)
                output.live = plugin is not None and self._start(label, plugin, context)
                output.started = output.live
        for label, plugin in self._started:
            if not self._guarded(label, "pre_pipeline_start", plugin.pre_pipeline_start):
                self._quarantine(label)

    def _construct(self, entry: dict[str, Any]) -> Any:
        label = entry["instance"]
        config = dict(entry["config"])
        for name in entry["paths"]:
            config[name] = self._absolute(config[name])
        phase = own_check.EXPORT
        try:
            if own_check.EXPORT in entry["exports"] and not self._completed(entry):
                return None
            phase = "load"
            for name, value in config.items():
                config[name] = references.filled(entry["types"][name], value, self._vault.look)
            made = load_class(
                entry["plugin"], self.contracts[entry["plugin"]], entry["exports"]["plugin"], entry["role"]
            )
            phase = "__init__"
            return made(config)
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
            self.raised(label, phase, error)
            return None

    def _completed(self, entry: dict[str, Any]) -> bool:
        """Whether a plugin's own code leaves its configuration as it is; says what it would change, or why it refuses.

        Raises: what its code raises, ExportMissing, ExportMismatch.
        """
        label = entry["instance"]
        facts = {
            "plugin": entry["plugin"],
            "option": "",
            "got": "",
            "wanted": "",
            "mountpoint": self.plan["mountpoint"],
        }
        try:
            wanted = own_check.ask(entry, self.contracts[entry["plugin"]])
        except own_check.ConfigRefused as error:
            self.fault("E-CONFIG-REFUSED", label, "exports", **facts, why=error.why)
        except own_check.ConfigMismatch as error:
            self.fault("E-EXPORT-MISMATCH", label, "exports", error.variant, **{**facts, **error.facts})
        else:
            if not wanted:
                return True
            from meter.contracts.editing.written import written  # only a fault shows a value

            name = min(wanted)
            value = written(wanted[name], entry["types"][name])
            self.fault("E-CONFIG-REFUSED", label, "exports", "changed", **{**facts, "option": name}, value=value)
        self.failed = True
        return False

    def _absolute(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._absolute(each) for each in value]
        if isinstance(value, dict):
            return {name: self._absolute(each) for name, each in value.items()}
        return str(self.folder / value)

    def _start(self, label: str, plugin: Any, context: Context) -> bool:
        if not self._guarded(label, "start", lambda: plugin.start(context)):
            return False
        self._started.append((label, plugin))
        return True

    def _guarded(self, label: str, phase: str, call: Callable[[], None]) -> bool:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  (as in _construct)
            self.raised(label, phase, error)
            return False
        return True

    def go(self) -> None:
        """Start the threads."""
        # The default of 5 ms lets a busy pipeline delay a 1 kHz poll by five ticks.
        sys.setswitchinterval(0.0005)
        jobs: list[tuple[str, Callable[[], None]]] = [("poll", self._poll_loop), ("pipeline", self._pipeline_loop)]
        for name, job in jobs:
            self._threads.append(threading.Thread(target=job, name=f"meter-{name}", daemon=True))
        for output in self.outputs:
            output.thread = threading.Thread(
                target=self._output_loop, args=(output,), name=f"meter-{output.label}", daemon=True
            )
            output.thread.start()
        for thread in self._threads:
            thread.start()
        for label, plugin in self._started:
            if not self._guarded(label, "post_pipeline_start", partial(plugin.post_pipeline_start, self)):
                self._quarantine(label)

    def stop(self, deadline_s: float = 5.0) -> Tally:
        """Poll a last time, drain the chain, close everything; what cannot be delivered in time is counted, named.

        Whoever hangs in its own code is left behind, and what it holds with it; the others are closed.
        """
        if self._stopped:
            return self.tally()
        self._stopped = True
        self._give_up_ns = time.monotonic_ns() + int(deadline_s * 1e9)
        self._stopping.set()
        self._wake.set()
        behind = set()
        for thread in self._threads:
            if not self._join(thread):
                behind.add(self._left_behind(thread))
        for output in self.outputs:
            if output.thread is not None and not self._join(output.thread):
                behind.add(self._left_behind(output.thread))
                output.lose(output.held)
        for output in self.outputs:
            self._left_over(output)
        for label, plugin in self._started:
            if label not in behind:
                self._guarded(label, "stop", plugin.stop)
        self._started.clear()
        return self.tally()

    def _join(self, thread: threading.Thread) -> bool:
        """Whether a thread ended in time."""
        assert self._give_up_ns is not None
        thread.join(max(0.0, (self._give_up_ns - time.monotonic_ns()) / 1e9) + GRACE_S)
        return not thread.is_alive()

    def _left_behind(self, thread: threading.Thread) -> str:
        """Name who did not end; where it is a source, what was polled before goes on to the outputs."""
        name = thread.name.removeprefix("meter-")
        if thread is self._threads[0]:
            name = self._polling or name
            self._end_of_rows()
        self.failed = True
        self.fault("E-IO", name, variant="left-behind")
        return name

    def _end_of_rows(self) -> None:
        """What the poll thread does at its end, in its place."""
        with contextlib.suppress(queue.Full):
            self._raw.put_nowait(self.taken())
            self._raw.put_nowait(None)

    def _left_over(self, output: OutputElement) -> None:
        """Count what an output never got round to."""
        while True:
            try:
                batch = output.queue.get_nowait()
            except queue.Empty:
                break
            if batch is not None:
                output.lose(batch.rows)
        with contextlib.suppress(queue.Full):  # should its thread come back, it ends
            output.queue.put_nowait(None)
        if output.lost:
            self.failed = True
            self.fault("E-IO", output.label, variant="lost", rows=str(output.lost))

    def tally(self) -> Tally:
        """What was done so far."""
        return Tally(
            polls=sum(source.polls for source in self.sources),
            missed=sum(source.missed for source in self.sources),
            retries=sum(source.retries for source in self.sources),
            rows=self._count,
            lost=sum(output.lost for output in self.outputs),
            gaps=self._gaps,
        )

    # --------------------------------------------------------------------------------------------------------- poll

    def trigger(self, label: str) -> None:
        """Poll a source now, beside its schedule.

        Raises: KeyError, there is no such source.
        """
        places = {source.label: place for place, source in enumerate(self.sources)}
        self._asked.append(places[label])
        self._wake.set()

    def poll_now(self) -> None:
        """Poll every live source once, and set its schedule by it: deadlines are whole intervals after this."""
        origin = self.clock.now()
        self._polled = True
        self._heap = []
        for place, source in enumerate(self.sources):
            if source.live:
                self._poll(source)
                self._heap.append((origin + source.interval_ns, place))
        heapq.heapify(self._heap)

    def tick(self, now: int) -> int | None:
        """Poll what is due at `now`; the next deadline, or None where no source is left.

        A late source is polled once; the ticks that passed are counted and their span falls into this poll's row.
        """
        while self._asked:
            asked = self.sources[self._asked.popleft()]
            if asked.live:
                self._poll(asked)
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline, place = heapq.heappop(heap)
            source = self.sources[place]
            if not source.live:
                continue
            late = (now - deadline) // source.interval_ns
            source.missed += late
            self._poll(source)
            if source.live:
                heapq.heappush(heap, (deadline + (late + 1) * source.interval_ns, place))
        return heap[0][0] if heap else None

    def _poll(self, source: SourceElement) -> None:
        readings = source.readings
        self._polling = source.label
        readings.begin(self.clock.now())
        rows: list[Row] = []
        try:
            source.source.poll(readings)
            rows = readings.take()
            if source.silence is not None:
                self._listen(source, source.silence, rows)
        except Retry:
            readings.drop()
            source.retries += 1
        except Gone:
            source.live = False
            rows = self._last_rows(source)
        except BaseException as error:  # noqa: BLE001  (as in _construct)
            source.live = False
            readings.drop()
            self.raised(source.label, "poll", error)
        source.polls += 1
        self._polling = ""
        if rows:
            self._rows.append((source.label, rows))

    def _listen(self, source: SourceElement, silence: Silence, rows: list[Row]) -> None:
        """Name what a source declares and does not give. It is not left out: what it gives is right."""
        if overdue := silence.poll(source.readings.ts, rows, source.readings.idle):
            self.failed = True
            facts = {"metrics": ", ".join(f"`{name}`" for name in overdue), "intervals": str(INTERVALS)}
            breach = ContractBreach(source.label, "provides.metrics", "silent", **facts)
            self.fault("E-BREACH", source.label, breach.clause, variant="silent", why=breach.detail)
        if silence.over:
            source.silence = None

    def _last_rows(self, source: SourceElement) -> list[Row]:
        """What a source gave in the poll in which it said `Gone`."""
        try:
            return source.readings.take()
        except ContractBreach as error:
            self.raised(source.label, "poll", error)
            return []

    def taken(self) -> Raw:
        """The rows that were polled since the last call."""
        rows, self._rows = self._rows, []
        mono, wall = now = _anchor()
        # Two readings differ by some nanoseconds, which would be seen in the times of what was cut at whole seconds.
        if abs(wall - mono - self._anchor[1] + self._anchor[0]) > STEP_NS:
            self._anchor = now
        return Raw(rows, self._anchor)

    def _hand_over(self, now: int) -> None:
        if self._rows:
            self._raw.put(self.taken())
        self._handed = now

    def _poll_loop(self) -> None:
        if not self._polled:
            self.poll_now()
        try:
            self._hand_over(self.clock.now())
            while not self._stopping.is_set():
                deadline = self._heap[0][0] if self._heap else None
                if deadline is None or not self._somebody_takes():
                    self.ended.set()
                    self._stopping.wait()
                    break
                self.clock.sleep_until(deadline, self._wake)
                self._wake.clear()
                if self._stopping.is_set():
                    break
                now = self.clock.now()
                upcoming = self.tick(now)
                patience = SOON_NS if len(self._rows) >= MANY else HAND_OVER_NS
                if upcoming is None or upcoming - now >= patience or now - self._handed >= patience:
                    self._hand_over(now)
            for source in self.sources:
                if source.live:
                    self._poll(source)
            self._hand_over(self.clock.now())
        finally:
            self._raw.put(None)

    def _somebody_takes(self) -> bool:
        return any(output.live for output in self.outputs)

    # ----------------------------------------------------------------------------------------------------- pipeline

    def blocks(self, raw: Raw) -> list[Block]:
        """What the chain makes of polled rows."""
        newest = max((row.ts for _, rows in raw.rows for row in rows), default=None)
        return self._chain(self._built(raw), 0, newest)

    def _pipeline_loop(self) -> None:
        try:
            self._pipeline()
        except BaseException as error:  # noqa: BLE001  (such as an import that finds no descriptor free)
            self.failed = True
            self.fault("E-IO", "pipeline", variant="pipeline", why=described(error))
            self.ended.set()
            while self._raw.get() is not None:  # the poll thread must not wait for somebody who has gone
                pass
            self._close()

    def _pipeline(self) -> None:
        from meter.core.batch import Anchor  # numpy, here and not at the start: see the module

        anchor = Anchor.now()
        while (raw := self._raw.get()) is not None:
            anchor = Anchor(*raw.anchor)
            self._deliver(self.blocks(raw), anchor)
        for place, filter_ in enumerate(self.filters):
            if filter_.live:
                self._deliver(self._chain(self._held(filter_, "finish", filter_.filter.finish), place + 1), anchor)
        self._close()

    def _close(self) -> None:
        """Tell each output that nothing follows; one whose queue stays full does not keep the others from it."""
        waiting = list(self.outputs)
        while waiting:
            for output in list(waiting):
                if not output.queue.full() or self._past_deadline():
                    self._put(output, None)
                    waiting.remove(output)
            if waiting:
                time.sleep(0.01)

    @staticmethod
    def _drop_oldest(output: OutputElement) -> None:
        with contextlib.suppress(queue.Empty):
            oldest = output.queue.get_nowait()
            output.lose(oldest.rows if oldest is not None else 0)

    def _built(self, raw: Raw) -> list[Block]:
        """The blocks of raw rows; a source whose rows cannot be built is quarantined."""
        from meter.core.batch import build  # numpy

        rows_of: dict[str, list[Row]] = {}
        for label, rows in raw.rows:
            rows_of.setdefault(label, []).extend(rows)
        blocks: list[Block] = []
        for label, rows in rows_of.items():
            try:
                blocks += build(rows)
            except (ValueError, TypeError, OverflowError) as error:
                self._quarantine(label)
                self.failed = True
                self.fault("E-BREACH", label, "provides.metrics", why=str(error))
        self._count += sum(block.rows for block in blocks)
        self._gaps += sum(int(mask.sum()) for block in blocks for mask in block.masks if mask is not None)
        return blocks

    def _quarantine(self, label: str) -> None:
        elements: list[SourceElement | FilterElement | OutputElement] = [*self.sources, *self.filters, *self.outputs]
        for element in elements:
            if element.label == label:
                element.live = False

    def _chain(self, blocks: list[Block], begin: int, newest: int | None = None) -> list[Block]:
        """Run blocks through the filters from one on; no row older than `newest` follows."""
        for filter_ in self.filters[begin:]:
            blocks = [out for block in blocks for out in self._hop(filter_, block)]
            if newest is not None and filter_.live:
                blocks += self._held(filter_, "watermark", partial(filter_.filter.watermark, newest))
        return blocks

    def _hop(self, filter_: FilterElement, block: Block) -> list[Block]:
        """One block through one filter. A filter that failed gives nothing; what passes beside it goes on."""
        bound, breach = filter_.bound(block.layout)
        passing = None if bound.passing is None else block.select(bound.passing)
        if breach is not None and filter_.live:
            filter_.live = False
            self.raised(filter_.label, "bind", breach)
        if bound.selections and filter_.live:
            phase = "bind"
            try:
                filter_.tell(block.layout, bound)
                phase = "run"
                given = list(filter_.filter.run(bound.selections, block))
                for made in given:
                    filter_.verify(made)
                return _together(filter_.label, passing, given)
            except BaseException as error:  # noqa: BLE001  (as in _construct)
                filter_.live = False
                self.raised(filter_.label, phase, error)
        return [] if passing is None else [passing]

    def _held(self, filter_: FilterElement, phase: str, give: Callable[[], Iterable[Block]]) -> list[Block]:
        """What a filter gives of what it held back. One that fails is left out."""
        try:
            blocks = [block for block in give() if block.rows]
            for block in blocks:
                filter_.verify(block)
        except BaseException as error:  # noqa: BLE001  (as in _construct)
            filter_.live = False
            self.raised(filter_.label, phase, error)
            return []
        return blocks

    def _deliver(self, blocks: list[Block], anchor: Anchor) -> None:
        """Give each output the part that it takes."""
        from meter.core.batch import Batch  # numpy

        if not blocks:
            return
        self._seq += 1
        for output in self.outputs:
            try:
                routed = tuple(part for block in blocks if (part := output.route(block)) is not None)
            except ContractBreach as error:
                if output.live:
                    output.live = False
                    self.raised(output.label, "bind", error)
                output.lose(sum(block.rows for block in blocks))
                continue
            if routed:
                self._enqueue(output, Batch(routed, anchor, self._seq))

    def _enqueue(self, output: OutputElement, batch: Batch) -> None:
        """Queue a batch. A slow output makes the chain wait; one that fails must not, so its oldest batch goes."""
        if not output.live:
            output.lose(batch.rows)
            return
        self._put(output, batch)

    def _put(self, output: OutputElement, batch: Batch | None) -> None:
        """Queue a batch, or the end; after the deadline an output that took nothing for a while gets no more time."""
        while True:
            over = self._past_deadline()
            try:
                output.queue.put(batch, block=not output.stuck, timeout=0.1)
            except queue.Full:
                output.stuck = over
                if output.failing or over:
                    self._drop_oldest(output)
            else:
                return

    # ------------------------------------------------------------------------------------------------------ outputs

    def _past_deadline(self) -> bool:
        return self._give_up_ns is not None and time.monotonic_ns() >= self._give_up_ns

    def _output_loop(self, output: OutputElement) -> None:
        while (batch := output.queue.get()) is not None:
            if output.live:
                output.held = batch.rows
                self._write(output, batch)
                output.held = 0
            else:
                output.lose(batch.rows)
        if output.started and not output.gone:  # also one that was quarantined: what it took before is delivered
            self._guarded(output.label, "flush", output.output.flush)

    def _write(self, output: OutputElement, batch: Batch) -> None:
        """Write a batch, again and again with back-off until it is delivered or the run is given up."""
        attempt = 0
        while True:
            try:
                output.output.write(batch)
            except Gone:
                output.live = False
                output.gone = True
                self._wake.set()  # it may have been the last one
                return
            except BaseException as error:  # noqa: BLE001  (as in _construct)
                if not output.failing:
                    output.failing = True
                    self.fault("E-IO", output.label, why=described(error))
            else:
                output.failing = False
                return
            pause = BACK_OFF_S[min(attempt, len(BACK_OFF_S) - 1)]
            attempt += 1
            if self._stopping.is_set():
                # While stopping, a few more tries in the time that is left; once they were in vain, one for each batch.
                if attempt > 3 or output.lost or self._past_deadline():
                    output.lose(batch.rows)
                    return
                time.sleep(min(pause, 0.1))
            else:
                self._stopping.wait(pause)


def _together(label: str, passing: Block | None, given: list[Block]) -> list[Block]:
    """What passes beside a filter with what it gave: one block where the rows are the same.

    Raises: ContractBreach, a series is in both, or was given twice.
    """
    out: list[Block] = []
    whole = passing
    for made in given:
        if whole is not None and made.ts is whole.ts and made.since is whole.since:
            try:
                whole = whole.join(made)
            except KeyClash as error:
                raise ContractBreach(label, "needs.metrics.gives", "there-already", key=error.key.said) from error
        elif made.rows:
            out.append(made)
    return out if whole is None else [whole, *out]


def _anchor() -> tuple[int, int]:
    """One instant on the monotonic and the wall clock: the tightest of three readings."""
    readings = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(3)]
    before, wall, after = min(readings, key=lambda reading: reading[2] - reading[0])
    return (before + after) // 2, wall
