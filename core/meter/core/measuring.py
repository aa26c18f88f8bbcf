"""Measuring a piece of a Python program: `measure()`, as a context manager and as a decorator.

What the process used is read from the kernel's counters at the begin and at the end, what the machine used comes from
the sources of `automatic` between two cuts (see `cuts`). Nothing here stops the program that is measured: what cannot
be measured is missing with its reason. No signal handler is installed, and no thread stays behind a measurement.
"""

from __future__ import annotations

import functools
import os
import time
import warnings
import weakref
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    overload,
)

from meter.core import attributing, energies, environment, sharing, totals
from meter.core.carbon import Carbon, grams
from meter.core.quantity import Quantity
from meter.core.spent import Spent, spent

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from meter.core.cuts import Sources, Window
    from meter.core.energies import Domain, Energy
    from meter.core.totals import Total

P = ParamSpec("P")
Rest = ParamSpec("Rest")
Owner = TypeVar("Owner")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

FORMAT: Final = "meter-measure/1"

_FORKED: Final = "the process was forked inside of the measurement, and this is the child"
_INTERRUPTED: Final = "the end of the measurement was interrupted"


class Measured(Protocol[P, R_co]):
    """A function whose calls are measured; `last` is the measurement of the call that ended last, None before."""

    last: Measurement | None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: Measured[Concatenate[Owner, Rest], R], instance: Owner, owner: type | None = None
    ) -> Callable[Rest, R]: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A method stays one."""


class Measurement:
    """What a block of Python used, from `with` to its end; made by `measure`.

    Every number is a Quantity. Those of the process count all of its threads and the children that ended and were
    waited for in the block. Those of the machine count everything that ran on it.

    It measures one block: a second `with` needs another one.
    """

    def __init__(
        self,
        name: str = "",
        *,
        interval: str | None = None,
        sysroot: str | os.PathLike[str] | None = None,
        carbon: str | None = None,
        report: Callable[[Measurement], object] | None = None,
    ) -> None:
        self.name: Final = name
        self._interval = sharing.checked(interval)
        root = environment.sysroot(sysroot)
        self._sysroot = None if root is None else os.path.abspath(root)
        self._asked_carbon = sharing.checked_carbon(carbon)
        self._report = report
        self._machine: sharing.Machine | None = None
        self._window: Window | None = None
        self._leave: weakref.finalize[[Window], Measurement] | None = None
        self._why = ""
        self._void = ""
        self._begin: Spent | None = None
        self._end: Spent | None = None
        self._begin_ns = 0
        self._end_ns = 0
        self._totals: tuple[Total, ...] | None = None
        self._parts: Energy | None = None

    # ------------------------------------------------------------------------------------------------------- measuring

    def __enter__(self) -> Self:
        """Begin.

        Raises: RuntimeError, it was used before; ValueError, there is no such grid.
        """
        if self._begin is not None:
            raise RuntimeError("this measurement was begun before; `with measure()` makes one for each block")
        self._begin = spent()  # whoever enters it a second time while it waits finds it begun
        try:
            self._machine = sharing.machine(self._interval, self._sysroot, self._asked_carbon)
            self._why = self._machine.why
            if self._machine.sources is not None:
                self._open(self._machine.sources)
            self._begin = spent()
            self._begin_ns = time.monotonic_ns()
        except BaseException:  # Ctrl-C, too
            self._forget("")
            self._begin = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and hand over to `report`; an exception of the block goes on. A second call changes nothing.

        Raises: RuntimeError, it was not begun.
        """
        end_ns = time.monotonic_ns()
        if self._begin is None:
            raise RuntimeError("this measurement was not begun; `with measure()` begins it")
        if self._end is not None:
            return
        try:
            self._end = spent(ends=True)
            self._end_ns = end_ns
            self._close()
        except BaseException:  # Ctrl-C: what the machine did until here is not known as a whole
            self._forget(_INTERRUPTED)
            raise
        if self._report is not None:
            self._hand_over(self._report, error)

    async def __aenter__(self) -> Self:
        """As `with`; the event loop waits meanwhile."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As `with`."""
        self.__exit__(kind, error, trace)

    def _open(self, sources: Sources) -> None:
        from meter.core.cuts import CutError, Window  # it is loaded, as there are sources

        # The window is known here before it is open: whatever stops the block or drops this object, it is left.
        window = self._window = Window()
        self._leave = weakref.finalize(self, sources.leave, window)
        self._leave.atexit = False
        try:
            sources.open(window)
        except CutError as problem:
            self._forget(str(problem))

    def _close(self) -> None:
        machine, window = self._machine, self._window
        if self._forked:
            self._forget(_FORKED)
        elif machine is not None and machine.sources is not None and window is not None:
            from meter.core.cuts import CutError  # it is loaded, as there are sources

            try:
                machine.sources.close(window)
            except CutError as problem:
                self._forget(str(problem))
            if self._leave is not None:
                self._leave.detach()
        if self._void:
            self._forget(self._void)

    def _forget(self, why: str) -> None:
        """Do without numbers of the machine."""
        if self._leave is not None:
            self._leave()
        self._why, self._window = why, None

    def _hand_over(self, report: Callable[[Measurement], object], error: BaseException | None) -> None:
        """Call `report`; what it raises replaces neither the result of a block nor its exception."""
        try:
            report(self)
        except Exception as problem:  # noqa: BLE001  (it is the user's code, and may raise anything)
            from meter.core.faults import described  # it is loaded where there are sources

            text = f"`report` of the measurement {self.name or 'without a name'} raised {described(problem)}"
            if error is not None:
                error.add_note(text)
            else:
                warnings.warn(text, RuntimeWarning, stacklevel=3)

    def __call__(self, function: Callable[P, R], /) -> Measured[P, R]:
        """The function, measured at each call; one that gives a coroutine, until that has ended.

        Where it gives a generator or something else to wait for, its work is not done when the call ends: the numbers
        of that call are missing.

        Raises: TypeError, a generator function or a class: their code runs in pieces between that of others; measure
            the block that uses them. A static or class method: it is made of the measured function. ValueError, there
            is no such grid.
        """
        import inspect  # only decorators need it

        what = getattr(function, "__qualname__", repr(function))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function) or isinstance(function, type):
            raise TypeError(f"`{what}` is no plain function; put `with measure():` around the code that uses it")
        if isinstance(function, staticmethod | classmethod):
            kind = type(function).__name__
            raise TypeError(f"put `@measure` below `@{kind}` of `{what}`: measure() takes the function itself")
        if not callable(function):
            raise TypeError(f"measure() takes a function, not {what}; options have names, such as name={what}")
        if self._interval is not None or self._asked_carbon is not None:
            sharing.machine(self._interval, self._sysroot, self._asked_carbon)
        name = self.name or what

        def again() -> Measurement:
            options = {"interval": self._interval, "sysroot": self._sysroot, "carbon": self._asked_carbon}
            return Measurement(name, report=ended, **options)

        def ended(measurement: Measurement) -> None:
            measured.last = measurement
            if self._report is not None:
                self._report(measurement)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                async with again():
                    return await function(*args, **kwargs)

            measured = cast("Measured[P, R]", call_async)
        else:

            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> R:
                measurement = again()
                measurement.__enter__()
                try:
                    result = function(*args, **kwargs)
                except BaseException as error:
                    measurement.__exit__(type(error), error, error.__traceback__)
                    raise
                if isinstance(result, CoroutineType):
                    return cast("R", _to_its_end(measurement, result))
                if isinstance(result, GeneratorType | AsyncGeneratorType) or hasattr(type(result), "__await__"):
                    measurement._void = _LATER.format(type(result).__name__)  # noqa: SLF001  (one of this class)
                measurement.__exit__(None, None, None)
                return result

            measured = cast("Measured[P, R]", call)
        measured.last = None
        return measured

    # --------------------------------------------------------------------------------------------------------- numbers

    @property
    def ended(self) -> bool:
        """Whether there are numbers."""
        return self._end is not None

    @property
    def duration(self) -> Quantity:
        """From begin to end, in s."""
        self._both()
        if self._void:
            return Quantity.missing("s", self._void)
        return Quantity((self._end_ns - self._begin_ns) / 1e9, "s")

    @property
    def cpu_user(self) -> Quantity:
        """CPU time of the process outside of the kernel, in s."""
        return self._difference("user", "s")

    @property
    def cpu_system(self) -> Quantity:
        """CPU time of the process inside of the kernel, in s."""
        return self._difference("system", "s")

    @property
    def cpu_thread(self) -> Quantity:
        """CPU time of the thread that the block ran in alone, in s; missing where it ended in another one."""
        begin, end = self._both()
        if not self._lost and begin.thread != end.thread:
            return Quantity.missing("s", "the block ended in another thread than it began in")
        return self._difference("thread_s", "s")

    @property
    def memory_peak(self) -> Quantity:
        """The most memory that the process had in RAM in the block, in By; missing where it had more before.

        The kernel keeps the peak since the start of the process (VmHWM of proc_pid_status(5)): below that of the time
        before the block, that of the block is not known. What earlier measurements or other threads took counts too.
        """
        begin, end = self._both()
        if self._lost:
            return Quantity.missing("By", self._lost)
        if begin.peak is None or end.peak is None:
            return Quantity.missing("By", "this system has no /proc/self/status")
        if end.peak <= begin.peak:
            before = Quantity(begin.peak, "By").text()
            return Quantity.missing("By", f"it is at most the {before} that the process had before the block")
        return Quantity(end.peak, "By")

    @property
    def memory_growth(self) -> Quantity:
        """By how much the process has more memory in RAM at the end than at the begin, in By; negative if less."""
        begin, end = self._both()
        if self._lost:
            return Quantity.missing("By", self._lost)
        if begin.resident is None or end.resident is None:
            return Quantity.missing("By", "this system has no /proc/self/status")
        return Quantity(end.resident - begin.resident, "By")

    @property
    def io_read(self) -> Quantity:
        """Bytes that came from storage, and not from the page cache, in By."""
        return self._difference("read", "By")

    @property
    def io_written(self) -> Quantity:
        """Bytes made dirty in the page cache, which go to storage later or never, in By."""
        return self._difference("written", "By")

    @property
    def energy(self) -> Quantity:
        """The energy of the machine in its `window`, in J; missing where no source gives it, or it is not whole."""
        return self._energy().total

    @property
    def window(self) -> Quantity:
        """The time that `energy` is of, in s: from the last reading before the block to the first one after it.

        It is longer than `duration`, on a busy machine by as much as the thread that polls had to wait. What the
        machine took in the block alone nobody has read, so energy and mean power are those of the window.
        """
        return self._energy().window

    @property
    def power(self) -> Quantity:
        """The mean power of the machine in its window, in W; missing where its energy is."""
        return self._energy().power

    @property
    def attributed(self) -> Quantity:
        """What of `energy` is the process's, by its share of the CPU time, in J; never better than `estimated`.

        Its reason says what share that is, and what of the energy no CPU time says anything of (see `attributing`).
        """
        return self._energy().attributed

    @property
    def unattributed(self) -> Quantity:
        """The rest of `energy`, in J: of other processes, of the idle machine, and of what is not attributed."""
        return self._energy().unattributed

    @property
    def carbon(self) -> Carbon | None:
        """Grams of carbon dioxide of `energy`: `total`, `attributed`, `unattributed`; None where nobody asked."""
        asked = self._asked_carbon
        return None if asked is None else grams(asked, self.metrics, self._energy())

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The parts of the machine whose energy is known."""
        return self._energy().domains

    @property
    def metrics(self) -> tuple[Total, ...]:
        """What each series of the machine came to, sorted by key: `key`, `value`, `statistic`, `missing`, `reasons`.

        Deltas are summed over the block, gauges averaged over its time.
        """
        self._both()
        if self._totals is None:
            self._totals = () if self._window is None else tuple(self._window.totals())
        return self._totals

    @property
    def problems(self) -> tuple[str, ...]:
        """Why metrics of the machine are missing or not whole: what failed, each in one sentence; empty if nothing."""
        self._both()
        faults = () if self._window is None else self._window.faults
        return (*([self._why] if self._why else []), *dict.fromkeys(fault.message for fault in faults))

    def _energy(self) -> Energy:
        self._both()
        if self._parts is not None:
            return self._parts
        machine = self._machine or sharing.Machine(None, "", "")
        left_out = {} if self._window is None else self._window.left_out
        found = energies.energy(self.metrics, self._why or machine.no_energy, machine.structure, left_out)
        from meter.core.own import contained  # only what was measured needs it

        gpus = attributing.of_gpus(self.metrics, self._own(), foreign=contained())
        self._parts = attributing.parted(found, attributing.share(self.metrics, self._cpu()), gpus)
        return self._parts

    def _own(self) -> frozenset[str]:
        """The ids of the process and of its children."""
        begin, _ = self._both()
        return attributing.processes(self.metrics, begin.pid)

    def _cpu(self) -> Quantity:
        """CPU time of the process, in s."""
        user, system = self.cpu_user, self.cpu_system
        return user if user.value is None or system.value is None else Quantity(user.value + system.value, "s")

    @property
    def _forked(self) -> bool:
        begin, end = self._both()
        return begin.pid != end.pid

    @property
    def _lost(self) -> str:
        """Why the numbers of the process are missing; empty where they are not."""
        return _FORKED if self._forked else self._void

    def _both(self) -> tuple[Spent, Spent]:
        if self._begin is None or self._end is None:
            raise RuntimeError("the measurement has not ended; read it after the block")
        return self._begin, self._end

    def _difference(self, name: str, unit: str) -> Quantity:
        begin, end = self._both()
        if self._lost:
            return Quantity.missing(unit, self._lost)
        return Quantity(getattr(end, name) - getattr(begin, name), unit)

    # ---------------------------------------------------------------------------------------------------------- forms

    def to_json(self) -> dict[str, Any]:
        """The document `meter-measure/1`, with the fields of `meter exec --format json` as far as they are here."""
        own = self._own()
        return {
            "format": FORMAT,
            "name": self.name,
            "duration": self.duration.to_json(),
            "cpu": {
                "user": self.cpu_user.to_json(),
                "system": self.cpu_system.to_json(),
                "thread": self.cpu_thread.to_json(),
            },
            "memory": {"max_rss": self.memory_peak.to_json(), "growth": self.memory_growth.to_json()},
            "io": {"read": self.io_read.to_json(), "written": self.io_written.to_json()},
            "energy": self._energy().to_json(),
            "carbon": None if self.carbon is None else self.carbon.to_json(),
            "metrics": [totals.to_json(total, own) for total in self.metrics],
            "slower": [] if self._machine is None else list(self._machine.slower),
            "missed_ticks": 0 if self._window is None else self._window.missed,
            "problems": list(self.problems),
        }

    def __str__(self) -> str:
        """The table."""
        from meter.core import presenting  # only a text needs it

        return presenting.text(self)

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        from meter.core import presenting  # only notebooks need it

        return presenting.html(self)

    def __repr__(self) -> str:
        state = self.duration.text() if self.ended else "not ended"
        return f"<Measurement {self.name}: {state}>" if self.name else f"<Measurement: {state}>"


@overload
def measure(function: Callable[P, R], /) -> Measured[P, R]: ...
@overload
def measure(
    function: None = None,
    /,
    *,
    name: str = "",
    interval: str | None = None,
    sysroot: str | os.PathLike[str] | None = None,
    carbon: str | None = None,
    report: Callable[[Measurement], object] | None = None,
) -> Measurement: ...
def measure(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str = "",
    interval: str | None = None,
    sysroot: str | os.PathLike[str] | None = None,
    carbon: str | None = None,
    report: Callable[[Measurement], object] | None = None,
) -> Measured[P, R] | Measurement:
    """A measurement of a block, entered with `with`; before a function, as `@measure`, one of each of its calls.

    Blocks may be nested and run in several threads and tasks at once: each has numbers of its own, and all share one
    set of sources.

    Args:
        function: what `@measure` stands before.
        name: what is measured, shown in the table; the name of the function where there is one.
        interval: the time between two polls of the machine's sources, such as "100ms"; their own one is 1s. The begin
            and the end are exact whatever it is.
        sysroot: read /proc and /sys of the machine below this folder; else below $METER_SYSROOT, where that is set.
        carbon: grams of carbon dioxide of the energy, too: of a grid, such as "FRA", or by an intensity, such as
            "475 g/kWh".
        report: called with each measurement when it has ended.

    Raises: TypeError and ValueError, the interval, grid or intensity is none, or the function cannot be measured.
    """
    measurement = Measurement(name, interval=interval, sysroot=sysroot, carbon=carbon, report=report)
    return measurement if function is None else measurement(function)


_LATER: Final = "the function returned an object ({}) whose work is not done when the call ends"


async def _to_its_end(measurement: Measurement, coroutine: CoroutineType[Any, Any, R]) -> R:
    """What a coroutine gives, with the measurement that its making began."""
    try:
        result = await coroutine
    except BaseException as error:
        measurement.__exit__(type(error), error, error.__traceback__)
        raise
    measurement.__exit__(None, None, None)
    return result
