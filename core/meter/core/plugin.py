"""What a plugin is written against: base classes, contexts, outcomes.

Imports no numpy: a source must be able to start and poll before the pipeline exists. Phases are called in the order
`__init__`, `start`, `pre_pipeline_start`, operation, `post_pipeline_start`, `stop`; a plugin can be started again
after `stop`. Each phase hands over an object that can do just what is right in that phase.
"""

from __future__ import annotations

import os
import time
from typing import IO, TYPE_CHECKING, Any, Protocol

from meter.core.keys import EACH as EACH  # noqa: PLC0414  (handed on: plugins are written against this module)
from meter.core.quantity import Missing as Missing  # noqa: PLC0414  (as EACH)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from os import PathLike

    from meter.core.batch import Batch, Block
    from meter.core.bind import Selection
    from meter.core.keys import Entity, Key
    from meter.core.readings import Columns, ColumnSpec, Readings
    from meter.core.state import State


class Retry(Exception):  # noqa: N818  (an outcome that a caller treats, not a failure; named as in Alumet)
    """This poll or write failed, the next may succeed. Use it for what passes: EIO once, a refused connection."""


class Gone(Exception):  # noqa: N818  (as Retry)
    """What is measured has ended for good: its process exited, its device was removed. A normal end."""


class Context:
    """What a plugin may ask of its host while it starts and runs."""

    alternative: str = ""
    """The name of the first table of `needs.host` in the contract that holds here."""
    output: str = ""
    """The label of the output for which a `recover` plugin keeps batches."""

    def __init__(
        self, label: str, sysroot: str | PathLike[str] | None = None, anchor: tuple[int, int] | None = None
    ) -> None:
        self.label = label
        self.sysroot = sysroot
        self._anchor = anchor or (time.monotonic_ns(), time.time_ns())

    def wall(self, ts: int) -> int:
        """Nanoseconds since the epoch of a monotonic time, by the wall clock as it was when the chain started.

        A step of that clock moves nothing here, so that what is cut at whole minutes keeps its length.
        """
        mono, wall = self._anchor
        return ts - mono + wall

    def path(self, path: str) -> str:
        """Where `path` really lies: `/proc` and `/sys` are below `--sysroot` where that is given."""
        if self.sysroot is not None and (path + "/").startswith(("/proc/", "/sys/")):
            return f"{self.sysroot}{path}"
        return path

    def open(self, path: str) -> int:
        """A descriptor that reads `path`, to be kept and read with `os.pread`; the plugin closes it in `stop`.

        Raises: OSError as `os.open`.
        """
        return os.open(self.path(path), os.O_RDONLY | os.O_CLOEXEC)

    def open_binary(self, path: str) -> IO[bytes]:
        """The same as an unbuffered file object."""
        return open(self.path(path), "rb", buffering=0)

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, unsorted."""
        return os.listdir(self.path(path))


class SourceContext(Context):
    """The context of a source: declares columns besides."""

    absent: frozenset[str] = frozenset()
    """Metrics of the contract that this host does not let the source give; to give one all the same is a breach."""

    def columns(self, specs: Iterable[ColumnSpec]) -> Columns:
        """Declare the columns of a row once; each must lie in what the contract provides.

        Raises: ContractBreach, a metric, kind, attribute or value is not declared.
        """
        raise NotImplementedError


class Plugin:
    """What all plugins share."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Keep the effective configuration; touch nothing of the host yet.

        Durations are integer nanoseconds, sizes integer bytes, paths absolute.
        """
        self.config = config

    def pre_pipeline_start(self) -> None:
        """All plugins have started, nothing runs yet."""

    def post_pipeline_start(self, control: Control) -> None:
        """The pipeline runs; `control` steers it."""

    def stop(self) -> None:
        """Release everything that `start` took; a later `start` may follow."""


class Control(Protocol):
    """Steers a running pipeline."""

    def trigger(self, label: str) -> None:
        """Poll a source now, beside its schedule."""

    def state(self) -> State:
        """What each element has done and holds at this moment; costs some microseconds and stops nobody."""


class Source(Plugin):
    """Reads a part of the world at each tick."""

    def start(self, context: SourceContext) -> None:
        """Open what is read at each poll."""

    def poll(self, out: Readings) -> None:
        """Read once and give the readings to `out`; `out.ts` is the time of this poll.

        Raises: Retry, nothing could be read this time; Gone, there is nothing to read any more. Any other error
            quarantines this source; the others go on.
        """
        raise NotImplementedError


class Filter(Plugin):
    """Makes new series from those that its rules select."""

    by_row: Collection[str] = ()
    """Kinds of metric of which it treats each row by itself, so that the rows of a block may be of many things.

    Such blocks have `ids`; of other kinds a filter gets them parted, a block for each thing, which costs more."""

    regroups: str = ""
    """`consumer` or `resource` where it says itself, row by row, whose each row is from now on.

    Then it gets rows of many things unparted, and its `owner` names the new ones as `EACH`: what it gives has `ids`."""

    computes: bool = False
    """Whether it computes the formulas of its rules, as `meter.core.computing.Computing` does."""

    def start(self, context: Context) -> None:
        """Open what is needed while running."""

    def bind(self, selections: Sequence[Selection]) -> None:
        """A layout is seen for the first time; prepare for its selections."""

    def owner(self, key: Key, family: str, kinds: tuple[str, ...]) -> Entity | None:
        """The resource or consumer (`family`) that a series goes to by a rule that gives one of other `kinds`.

        Asked once for each series of a layout, before `bind`; `None` breaks the contract. The machine is not asked for.
        """
        del key, family, kinds
        return None

    def tell(self, key: Key, names: tuple[str, ...]) -> Mapping[str, str] | None:
        """The values of the attributes that a rule tells (`gives.tells`) of a series; what is left out is empty.

        Asked once for each series of a layout, before `bind`; `None` breaks the contract.
        """
        del key, names
        return None

    def run(self, selections: Sequence[Selection], block: Block) -> Iterable[Block]:
        """The blocks that the selections give; made with `Selection.give`.

        What no rule selects, and what `keeps`, passes beside the filter. numpy warns of nothing meanwhile.
        """
        raise NotImplementedError

    def watermark(self, ts: int) -> Iterable[Block]:
        """The blocks of one hand-over are through, and no row with an earlier end than `ts` follows.

        Give what was held back for others of its time: series of several blocks that are merged, windows that are over.
        Behind another filter that holds back, rows may still come that are older; they must not be lost.
        """
        del ts
        return ()

    def finish(self) -> Iterable[Block]:
        """The end: give what is still held back."""
        return ()


class Output(Plugin):
    """Delivers batches."""

    takes_ids = False
    """Whether it knows that the rows of a block may be of many things (`Block.ids`); else it gets them parted."""

    def start(self, context: Context) -> None:
        """Open where the batches go."""

    def write(self, batch: Batch) -> None:
        """Deliver; on return the batch is as safe as the contract's `durability` says.

        Raises: Gone, nobody takes batches any more, such as a pipe whose reader has ended: the output ends, which is no
            failure. Any other error: the batch is kept and written again with back-off; a write that failed half way
            has to undo its half.
        """
        raise NotImplementedError

    def flush(self) -> None:
        """Deliver what is buffered; the last call before `stop`."""


class Recover(Plugin):
    """Keeps what one output cannot deliver, and hands it back, oldest first.

    There is an object for each output that the option `for` names. Its calls never overlap; they come from several
    threads. When `put` returns, the batch is as safe as the contract's `durability` says.
    """

    def start(self, context: Context) -> None:
        """Open where batches are kept for `context.output`; those of an earlier run are handed back first."""

    def put(self, batch: Batch) -> int:
        """Keep a batch, behind those that are kept already.

        Returns: how many rows of the oldest batches had to go for it; they are counted as lost.

        Raises: any error, it is not kept, and nothing of it: it waits in memory and comes again.
        """
        raise NotImplementedError

    def take(self) -> Batch | None:
        """The oldest batch; the same one again until `acknowledge`. None where nothing is kept."""
        raise NotImplementedError

    def acknowledge(self) -> None:
        """The oldest batch was delivered: forget it. Perhaps nobody has taken it: it was kept while it was written."""
        raise NotImplementedError

    def rows(self) -> int:
        """How many rows are kept; asked at the end, before `stop`."""
        raise NotImplementedError
