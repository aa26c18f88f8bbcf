"""`measure()`: what a block of Python used, whatever is nested in it, beside it, or goes wrong in it."""

from __future__ import annotations

import asyncio
import json
import math
import mmap
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meter.contracts.catalogue import Catalogue
from meter.contracts.host import Assumed, Recorded
from meter.core import Backend, Measurement, Quantity, automatic, energies, measure, measuring, sharing, totals
from meter.core.cuts import CutError, Sources, Window
from meter.core.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERTZ = os.sysconf("SC_CLK_TCK")
DEADLINE_S = 60.0
PYTHONPATH = os.pathsep.join(str(Path(__file__).parents[2] / root) for root in ("core", "contracts", "plugins", "cli"))


class Machine:
    """A machine with one core, whose counters a test moves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc").mkdir()
        self.ticks = 0
        self.spend(0)

    def spend(self, ticks: int) -> None:
        """Let the core spend some ticks in user mode; the file changes in one write, as it is read meanwhile."""
        self.ticks += ticks
        cells = f"{self.ticks:010d} 0 0 0 0 0 0 0 0 0"
        file = os.open(self.root / "proc" / "stat", os.O_WRONLY | os.O_CREAT)
        os.pwrite(file, f"cpu  {cells}\ncpu0 {cells}\nintr 0\n".encode(), 0)
        os.close(file)

    def seen(self, measurement: Measurement) -> float | None:
        """The ticks in user mode that a measurement has of it."""
        [time_] = [
            total
            for total in measurement.metrics
            if total.key.metric.name == "system.cpu.time" and dict(total.key.attributes)["cpu.mode"] == "user"
        ]
        return None if time_.value is None else round(time_.value * HERTZ)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Plans are kept in a folder of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """One machine for all tests, so that its plan is made once; each looks at differences only."""
    return Machine(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sysroot in which no source finds anything."""
    return tmp_path_factory.mktemp("bare")


def burn(seconds: float) -> None:
    """Use so much CPU time of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


# ------------------------------------------------------------------------------------------------------- of the process


def test_the_process_is_measured(bare: Path) -> None:
    """CPU time is what was burnt and not much of it the kernel's own; the duration is no less than one thread's."""
    with measure(sysroot=bare) as m:
        burn(0.05)

    cpu = float(m.cpu_user) + float(m.cpu_system)
    assert float(m.cpu_thread) >= 0.05
    # The kernel divides by ticks what it counts exactly as a whole; both are read one after the other.
    assert cpu >= 0.049
    assert float(m.duration) >= 0.05
    assert m.duration.unit == m.cpu_user.unit == "s"
    assert m.ended


def test_children_that_were_waited_for_count(bare: Path) -> None:
    """What a subprocess burnt in the block is in the CPU time of the process, and not in that of the thread."""
    script = "import time\nwhile time.process_time() < 0.1: pass"
    with measure(sysroot=bare) as m:
        subprocess.run([sys.executable, "-S", "-c", script], check=True)

    assert float(m.cpu_user) + float(m.cpu_system) >= 0.1
    assert float(m.cpu_thread) < 0.1


def test_a_new_peak_of_memory_is_measured_an_old_one_is_not_claimed(bare: Path) -> None:
    """Where the block went beyond all before it, that is the peak; else it is missing, and the bound is told."""
    with measure(sysroot=bare) as first:
        pass
    grown = 64 << 20
    held = _peak_bytes() + grown - _resident_bytes()
    with measure(sysroot=bare) as second, mmap.mmap(-1, held) as memory:
        for page in range(0, held, mmap.PAGESIZE):
            memory[page] = 1
    with measure(sysroot=bare) as third:
        pass

    # Counts of memory are kept for each processor and put together now and then.
    assert float(second.memory_peak) >= grown
    assert first.memory_peak.value is None or float(first.memory_peak) < float(second.memory_peak)
    assert third.memory_peak.value is None
    assert "that the process had before the block" in str(third.memory_peak)
    assert abs(float(second.memory_growth)) < grown


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) * 1024


def _peak_bytes() -> int:
    return _status("VmHWM")


def _resident_bytes() -> int:
    return _status("VmRSS")


# ------------------------------------------------------------------------------------------------------- of the machine


def test_the_machine_is_cut_at_begin_and_end(machine: Machine) -> None:
    """A counter that rose before, in and after the block: the block has what came in it, exactly."""
    with measure(sysroot=machine.root):
        pass
    machine.spend(1000)
    with measure(sysroot=machine.root) as m:
        machine.spend(7)
    machine.spend(100)

    assert machine.seen(m) == 7
    assert m.problems == ()


def test_the_variable_says_where_the_machine_is_read(
    machine: Machine, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the command line; an argument goes before it."""
    monkeypatch.setenv("METER_SYSROOT", str(machine.root))
    with measure() as m:
        machine.spend(7)
    with measure(sysroot=bare) as other:
        machine.spend(9)

    assert machine.seen(m) == 7
    assert other.energy.value is None


def test_nested_blocks_have_numbers_of_their_own(machine: Machine) -> None:
    """The inner one has its part, the outer one the whole."""
    with measure(sysroot=machine.root) as outer:
        machine.spend(1)
        with measure(sysroot=machine.root) as inner:
            machine.spend(2)
            with measure(sysroot=machine.root) as innermost:
                machine.spend(4)
        machine.spend(8)

    assert [machine.seen(m) for m in (outer, inner, innermost)] == [15, 6, 4]
    assert float(outer.duration) >= float(inner.duration) >= float(innermost.duration)


def test_threads_measure_at_once(machine: Machine) -> None:
    """Blocks that overlap in two threads: each has what came between its own begin and end."""
    first, second = measure(sysroot=machine.root), measure(sysroot=machine.root)
    steps = [threading.Event() for _ in range(4)]

    def other() -> None:
        steps[0].wait(DEADLINE_S)
        with second:
            steps[1].set()
            steps[2].wait(DEADLINE_S)
        steps[3].set()

    thread = threading.Thread(target=other)
    thread.start()
    with first:
        machine.spend(1)
        steps[0].set()
        assert steps[1].wait(DEADLINE_S)
        machine.spend(2)
    machine.spend(4)
    steps[2].set()
    assert steps[3].wait(DEADLINE_S)
    thread.join()

    assert [machine.seen(first), machine.seen(second)] == [3, 6]


def test_a_block_may_end_in_another_thread(machine: Machine) -> None:
    """All numbers are there but the CPU time of the thread, which would be that of two."""
    m = measure(sysroot=machine.root)
    m.__enter__()
    machine.spend(5)
    thread = threading.Thread(target=m.__exit__, args=(None, None, None))
    thread.start()
    thread.join()

    assert machine.seen(m) == 5
    assert (m.cpu_thread.value, m.cpu_thread.reason) == (None, "the block ended in another thread than it began in")
    assert m.cpu_user.value is not None


def test_polls_in_between_lose_nothing(machine: Machine) -> None:
    """At an interval of 10 ms the sum is that of begin and end, with more readings."""
    with measure(interval="10ms", sysroot=machine.root) as m:
        end = time.monotonic() + DEADLINE_S
        spent = 0
        while m._window is None or m._window._seq < 3:  # these come with further polls
            assert time.monotonic() < end
            machine.spend(1)
            spent += 1
            threading.Event().wait(0.005)

    assert machine.seen(m) == spent
    assert m._window._seq > 3


def test_a_long_block_keeps_no_polls(machine: Machine) -> None:
    """Whatever was polled is summed up: what is held of a block does not grow with its length."""
    held = []
    with measure(sysroot=machine.root) as m:
        for _ in range(100):
            machine.spend(1)
            with measure(sysroot=machine.root):
                pass
            assert m._window is not None
            held.append(len(m._window._collect.batches))

    assert m._window is not None
    assert m._window._seq > 200
    assert max(held) <= 64
    assert machine.seen(m) == 100


def test_neither_measure_nor_exec_keeps_readings(machine: Machine) -> None:
    """Both chains only sum up, however long they run."""
    for name in ("/measure", "/exec"):
        plan = automatic.chain(automatic.Asked(name, "/", sysroot=str(machine.root))).mounted.plan
        [collect] = [each for each in plan.document["plugins"] if each["plugin"] == "collect"]

        assert collect["config"]["keep"] is False


def test_without_sources_the_process_is_measured_all_the_same(bare: Path) -> None:
    """A host that no source can read: the numbers of the process are there, the others say why they are not."""
    with measure(sysroot=bare) as m:
        burn(0.001)

    assert m.duration.value is not None
    assert m.metrics == ()
    assert m.energy.value is None
    assert str(bare) in m.problems[0]
    assert m.to_json()["problems"] == list(m.problems)


def test_energy_is_missing_with_its_reason(machine: Machine) -> None:
    """As long as no source gives it, it is neither 0 nor an estimate."""
    with measure(sysroot=machine.root) as m:
        pass

    assert (m.energy.value, m.energy.unit, m.energy.quality) == (None, "J", "missing")
    assert m.energy.reason


# ------------------------------------------------------------------------------------------------------- with and async


def test_exceptions_go_on_and_the_measurement_is_complete(machine: Machine) -> None:
    """Whatever ends the block, Ctrl-C included: the numbers are there."""
    for kind in (ValueError, KeyboardInterrupt, SystemExit):
        m = measure(sysroot=machine.root)
        with pytest.raises(kind):
            _spend_and_raise(m, machine, kind)

        assert machine.seen(m) == 3


def _spend_and_raise(measurement: Measurement, machine: Machine, kind: type[BaseException]) -> None:
    with measurement:
        machine.spend(3)
        raise kind


def test_a_measurement_is_of_one_block(bare: Path) -> None:
    """Neither at once nor one after the other is it used twice; before its end there are no numbers."""
    m = measure(sysroot=bare)
    with pytest.raises(RuntimeError, match="read it after the block"):
        _ = m.duration
    with m:
        assert "not ended" in f"{m} {m!r} {m._repr_html_()}"
        with pytest.raises(RuntimeError, match="makes one for each block"), m:
            pass
    with pytest.raises(RuntimeError, match="makes one for each block"), m:
        pass

    assert m.ended


def test_the_first_end_counts(machine: Machine) -> None:
    """A second `__exit__` overwrites nothing and reports nothing; one without a begin is an error."""
    reported: list[Measurement] = []
    m = measure(sysroot=machine.root, report=reported.append)
    with pytest.raises(RuntimeError, match="was not begun"):
        m.__exit__(None, None, None)
    with m:
        machine.spend(2)
    before = m.to_json()
    machine.spend(3)
    m.__exit__(None, None, None)

    assert m.to_json() == before
    assert reported == [m]


def test_a_report_that_fails_replaces_nothing(bare: Path) -> None:
    """The function's result comes back with a warning, its exception goes on with a note."""

    def broken(_: Measurement) -> None:
        raise KeyError("disk full")

    @measure(sysroot=bare, report=broken, name="step")
    def divide(by: int) -> float:
        return 1 / by

    with pytest.warns(RuntimeWarning, match="`report` of the measurement step raised KeyError: 'disk full'"):
        assert divide(2) == 0.5
    assert divide.last is not None
    with pytest.raises(ZeroDivisionError) as raised:
        divide(0)
    assert raised.value.__notes__[0].startswith("`report` of the measurement step raised")


def test_tasks_measure_at_once(machine: Machine) -> None:
    """`async with` in two tasks of one thread whose blocks overlap."""
    found: dict[str, Measurement] = {}

    async def task(name: str, before: asyncio.Event, after: asyncio.Event) -> None:
        async with measure(sysroot=machine.root) as found[name]:
            machine.spend(1)
            after.set()
            await before.wait()
            machine.spend(1)

    async def both() -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await asyncio.gather(task("a", one, two), task("b", two, one))

    asyncio.run(both())

    # a begins, spends, waits; b begins, spends and goes on, and ends; a ends.
    assert {name: machine.seen(m) for name, m in found.items()} in (
        {"a": 4, "b": 2},
        {"a": 4, "b": 3},
        {"a": 3, "b": 3},
    )


# ----------------------------------------------------------------------------------------------------------- decorators


def test_a_function_is_measured_at_each_call(machine: Machine) -> None:
    """What it takes and gives stays; `last` is the call before; each call has its own numbers, recursion included."""
    ended: list[Measurement] = []

    @measure(sysroot=machine.root, report=ended.append)
    def down(depth: int, *, step: int = 1) -> int:
        """Docstring."""
        machine.spend(depth)
        return depth if depth <= 1 else down(depth - step) + depth

    before = down.last
    result = down(3)

    assert (before, result, down.__doc__) == (None, 6, "Docstring.")
    assert [machine.seen(m) for m in ended] == [1, 3, 6]
    assert down.last is ended[-1]
    assert down.last.name.endswith("down")


def test_a_bare_decorator_measures(machine: Machine) -> None:
    """`@measure` without parentheses; the name is that of the function. Real sources, whatever this host has."""
    del machine

    @measure
    def work(seconds: float) -> str:
        burn(seconds)
        return "done"

    assert work(0.01) == "done"
    assert work.last is not None
    assert work.last.name.endswith("work")
    assert float(work.last.cpu_thread) >= 0.01


def test_a_method_stays_a_method(bare: Path) -> None:
    """It gets its object."""

    class Model:
        @measure(sysroot=bare, name="fit")
        def fit(self, rate: float) -> tuple[Model, float]:
            return self, rate

    model = Model()

    assert model.fit(0.5) == (model, 0.5)
    assert Model.fit.last is not None
    assert Model.fit.last.name == "fit"


def test_a_failing_call_is_measured(machine: Machine) -> None:
    """The exception goes on, and `last` is the call that failed."""

    @measure(sysroot=machine.root)
    def fail() -> None:
        machine.spend(2)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert fail.last is not None
    assert machine.seen(fail.last) == 2


def test_a_coroutine_function_is_measured_to_its_end(machine: Machine) -> None:
    """Not only until it gives back a coroutine: what comes after an await counts."""

    @measure(sysroot=machine.root)
    async def fetch(ticks: int) -> int:
        machine.spend(ticks)
        await asyncio.sleep(0)
        machine.spend(ticks)
        return ticks

    assert asyncio.iscoroutinefunction(fetch)
    assert asyncio.run(fetch(4)) == 4
    assert fetch.last is not None
    assert machine.seen(fetch.last) == 8


class Called:
    """An object whose call is a coroutine function."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    async def __call__(self, ticks: int) -> int:
        """Spend so much, wait, and spend it again."""
        self.machine.spend(ticks)
        await asyncio.sleep(0)
        self.machine.spend(ticks)
        return ticks


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function that gives what another one gives."""

    def call(*args: Any) -> Any:
        return function(*args)

    return call


def test_what_gives_a_coroutine_is_measured_to_its_end(machine: Machine) -> None:
    """A plain function, and an object with an async `__call__`: not the microseconds of the call."""
    called = Called(machine)
    ended: list[Measurement] = []
    for function in (plain(called), called):
        measured = measure(sysroot=machine.root, report=ended.append)(function)
        coroutine = measured(4)
        before = measured.last

        assert asyncio.run(coroutine) == 4
        assert (before, measured.last) == (None, ended[-1])
        assert machine.seen(ended[-1]) == 8


def test_a_coroutine_that_fails_is_measured(machine: Machine) -> None:
    """The exception comes out of the await."""

    async def fail() -> None:
        machine.spend(3)
        raise ValueError("mine")

    measured = measure(sysroot=machine.root)(plain(fail))
    with pytest.raises(ValueError, match="mine"):
        asyncio.run(measured())
    assert measured.last is not None
    assert machine.seen(measured.last) == 3


def test_a_coroutine_that_nobody_awaits_leaves_no_thread(machine: Machine) -> None:
    """Its measurement is dropped with it."""

    async def never() -> None:
        pytest.fail("it was awaited")

    coroutines = [measure(sysroot=machine.root)(plain(never))()]
    assert not sources_of(machine).idle
    with pytest.warns(RuntimeWarning, match="never awaited"):
        coroutines.pop().close()  # and dropped: until then one that never began holds its arguments in Python 3.13
    becomes_idle(sources_of(machine))


@pytest.mark.parametrize("kind", ["generator", "async_generator", "Future"])
def test_work_that_comes_after_the_call_is_missing(machine: Machine, kind: str) -> None:
    """What a call gave is used later: no number is that of the call alone, and each says why."""
    loop = asyncio.new_event_loop()
    made: dict[str, Callable[[], Any]] = {
        "generator": _generator,
        "async_generator": _async_generator,
        "Future": loop.create_future,
    }
    measured = measure(sysroot=machine.root)(plain(made[kind]))
    result = measured()
    loop.close()

    assert type(result).__name__ == kind
    m = measured.last
    assert m is not None
    own = [m.duration, m.cpu_user, m.cpu_system, m.cpu_thread, m.memory_growth, m.memory_peak, m.io_read, m.energy]
    why = f"the function returned an object ({kind}) whose work is not done when the call ends"
    assert {(quantity.value, quantity.reason) for quantity in own} == {(None, why)}
    assert (m.metrics, m.problems) == ((), (why,))
    [told] = [line for line in str(m).splitlines() if line.endswith(f" are missing: {why}")]
    assert told.startswith("duration and cpu time, user and ")


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_what_is_made_of_a_function_is_refused(kind: Any) -> None:
    """At the decorator, with the order that works."""
    with pytest.raises(TypeError, match=f"put `@measure` below `@{kind.__name__}`"):
        measure(kind(burn))


def test_static_and_class_methods_are_measured(bare: Path) -> None:
    """Below their decorators."""

    class Model:
        @staticmethod
        @measure(sysroot=bare)
        def size(rate: float) -> float:
            return rate

        @classmethod
        @measure(sysroot=bare)
        def made(cls, rate: float) -> tuple[type, float]:
            return cls, rate

    model: Any = Model  # mypy gives no object of a class to a class method
    assert (model.size(0.5), model.made(0.5)) == (0.5, (Model, 0.5))


def _generator() -> Iterator[int]:
    yield 1


async def _async_generator() -> Any:
    yield 1


@pytest.mark.parametrize("what", [_generator, _async_generator, Machine, 5])
def test_what_runs_in_pieces_is_refused(what: Any) -> None:
    """Generators and classes, at the decorator and with the way out, not with wrong numbers."""
    with pytest.raises(TypeError, match=r"measure\(\)"):
        measure(what)


# -------------------------------------------------------------------------------------------------------------- options


def test_an_interval_that_is_none_is_refused_at_once() -> None:
    """Before anything runs, with what would be one."""
    with pytest.raises(ValueError, match="interval='fast': expected"):
        measure(interval="fast")


def test_an_interval_has_a_unit_and_a_length() -> None:
    """A number is not taken for seconds, and nothing is polled without a pause."""
    given: Any = 1
    with pytest.raises(TypeError, match="interval=1: expected a text with its unit, such as '100ms'"):
        measure(interval=given)
    with pytest.raises(ValueError, match="interval='0s': expected a time above 0"):
        measure(interval="0s")


def test_an_interval_below_what_any_source_takes_is_no_fault(machine: Machine) -> None:
    """Each source is polled as often as its contract permits, and named with how often that is."""
    with measure(interval="1us", sysroot=machine.root) as m:
        pass
    slower = {each["source"]: each["interval"]["value"] for each in m.to_json()["slower"]}
    assert slower["cpu"] == 0.01
    assert "polled every 10 ms only, which their contracts permit: cpu" in str(m)


# ------------------------------------------------------------------------------------------------------- what it leaves


def test_nothing_stays_behind(machine: Machine) -> None:
    """After the last block no thread is left, and no handler of a signal was ever changed."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    pace = sys.getswitchinterval()
    with measure(sysroot=machine.root):
        inside = {number: signal.getsignal(number) for number in signal.valid_signals()}
        names = {thread.name for thread in threading.enumerate()}
    end = time.monotonic() + DEADLINE_S
    while any(thread.name == "meter-measure" for thread in threading.enumerate()):
        assert time.monotonic() < end

    assert "meter-measure" in names
    assert inside == before
    assert sys.getswitchinterval() == pace


def sources_of(machine: Machine) -> Sources:
    """The sources that all measurements of this machine share."""
    sources = sharing._machines[None, str(machine.root), None].sources
    assert sources is not None
    return sources


def becomes_idle(sources: Sources) -> None:
    """Wait until no window is open and no thread runs."""
    end = time.monotonic() + DEADLINE_S
    while not sources.idle:
        assert time.monotonic() < end


def interrupting(function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """A function that Ctrl-C stops right before or right after what it does."""

    def interrupted(*args: Any, **options: Any) -> Any:
        if after:
            function(*args, **options)
        raise KeyboardInterrupt

    return interrupted


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(threading.Thread, "start"), (Sources, "open"), (sharing, "machine")],
    ids=["thread", "open", "machine"],
)
def test_ctrl_c_at_a_begin_breaks_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool
) -> None:
    """Wherever it comes: nothing stays open, and the next block is measured."""
    with measure(sysroot=machine.root):
        pass
    becomes_idle(sources_of(machine))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupting(getattr(owner, name), after=after))
        with pytest.raises(KeyboardInterrupt), measure(sysroot=machine.root):
            pytest.fail("the block was entered")
    with measure(sysroot=machine.root) as m:
        machine.spend(3)
    becomes_idle(sources_of(machine))

    assert (machine.seen(m), m.problems) == (3, ())


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("owner", "name"), [(Sources, "close"), (measuring, "spent")], ids=["close", "usage"])
def test_ctrl_c_at_an_end_breaks_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool
) -> None:
    """Nothing stays open; half of the machine's numbers are none, and the next block is measured."""
    m = measure(sysroot=machine.root)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), m:
        patch.setattr(owner, name, interrupting(getattr(owner, name), after=after))
    becomes_idle(sources_of(machine))
    with measure(sysroot=machine.root) as following:
        machine.spend(3)

    assert (machine.seen(following), following.problems) == (3, ())
    if m.ended:
        assert (m.metrics, m.problems) == ((), ("the end of the measurement was interrupted",))
        assert m.duration.value is not None


def test_a_measurement_that_is_dropped_leaves_no_thread(machine: Machine) -> None:
    """A block that was begun and never ended is forgotten with its measurement."""
    m = measure(sysroot=machine.root)
    m.__enter__()
    assert not sources_of(machine).idle
    del m
    becomes_idle(sources_of(machine))


def test_a_fault_of_the_plan_stops_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: the block runs, and the machine's numbers are missing with the reason."""

    def broken(_: object) -> None:
        raise KeyError("plan")

    monkeypatch.setattr(automatic, "chain", broken)
    with measure(sysroot=tmp_path) as m:
        pass

    assert m.duration.value is not None
    assert m.problems[0].startswith("KeyError: 'plan'")


def test_a_forked_child_claims_nothing(machine: Machine) -> None:
    """A process forked inside of a block: the child's numbers are missing, it can measure anew; the parent's stand."""
    reading, writing = os.pipe()
    with measure(sysroot=machine.root) as m:
        machine.spend(1)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                m.__exit__(None, None, None)
                with measure(sysroot=machine.root) as own:
                    machine.spend(2)
                told = [m.cpu_user.reason, len(m.metrics), machine.seen(own)]
                os.write(writing, json.dumps(told).encode())
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        machine.spend(2)  # what the child spent, which is not known in here, and one tick less
    os.close(writing)
    with open(reading, "rb") as answer:
        told = json.loads(answer.read())

    assert told == ["the process was forked inside of the measurement, and this is the child", 0, 2]
    assert machine.seen(m) == 3
    assert m.cpu_user.value is not None


SCRIPT = """
import atexit, sys, threading
from meter.core import Backend, measure

def late():
    with measure() as m:
        pass
    print("late", m.duration.value > 0)

atexit.register(late)
print("light", not {"numpy", "attrs", "networkx", "asyncio"} & set(sys.modules))
with measure() as m:
    pass
print("planned", "meter.contracts.reader" in sys.modules)
open_at_the_end = measure()
open_at_the_end.__enter__()
"""


def test_scripts_end_as_they_would_without(tmp_path: Path) -> None:
    """Importing is light; a block open at the end and one begun in an exit handler hold nothing up.

    The second process finds the plan in the cache, and loads nothing of the contract language.
    """
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": PYTHONPATH}
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout.split("\n")[:-1])

    assert outputs == [["light True", f"planned {planned}", "late True"] for planned in (True, False)]


# ---------------------------------------------------------------------------------------------------------------- forms


def test_the_json_form(machine: Machine) -> None:
    """Every quantity has value, unit, quality and reason, and it is JSON."""
    with measure(name="step", sysroot=machine.root) as m:
        machine.spend(2)
    document = json.loads(json.dumps(m.to_json(), allow_nan=False))

    quantities = [document["duration"], *document["cpu"].values(), *document["memory"].values()]
    quantities += [*document["io"].values(), document["energy"]["total"]]
    assert (document["format"], document["name"]) == ("meter-measure/1", "step")
    assert all(set(each) == {"value", "unit", "quality", "reason"} for each in quantities)
    assert all((each["value"] is None) == (each["quality"] == "missing") == bool(each["reason"]) for each in quantities)
    assert {metric["scope"] for metric in document["metrics"]} == {"machine"}
    assert document["energy"]["domains"] == document["problems"] == []


def test_the_table_says_whose_each_number_is(machine: Machine) -> None:
    """First what is the process's, then what is the machine's; below, why something is missing."""
    with measure(name="step", sysroot=machine.root) as m:
        machine.spend(HERTZ)
    lines = str(m).splitlines()

    assert lines[0] == f"step: {m.duration.text()}"
    assert lines[2].split() == ["process", "duration", *m.duration.text().split(), "measured"]
    [row] = [line for line in lines if "system.cpu.time mode=user" in line]
    assert row.split()[-3:] == ["1", "s", "measured"]
    [row] = [line for line in lines if line.startswith("machine")]
    assert row.split() == ["machine", "energy", "-", "missing"]
    assert f"energy is missing: {m.energy.reason}" in lines


def test_the_table_of_a_notebook_is_escaped(bare: Path) -> None:
    """A name, or a path in a reason, is text and no markup."""
    with measure(name="<script>&", sysroot=bare) as m:
        pass
    html = m._repr_html_()

    assert "&lt;script&gt;&amp;" in html
    assert "<script>" not in html
    assert html.count("<tr>") == html.count("</tr>") == 11


def test_no_name_steers_a_terminal(bare: Path) -> None:
    """What is not printable in a name is shown as its escape."""
    with measure(name="\x1b[31mred", sysroot=bare) as m:
        pass

    assert "\x1b" not in str(m)
    assert str(m).startswith("\\x1b[31mred: ")


@pytest.mark.parametrize(
    ("quantity", "text", "long"),
    [
        (Quantity(0.001234, "s"), "1.23 ms", "1.23 ms"),
        (Quantity(75.5, "s"), "75.5 s", "75.5 s"),
        (Quantity(0, "s"), "0 s", "0 s"),
        (Quantity(0.9999, "s"), "1 s", "1 s"),  # not 1e+03 ms
        (Quantity(440.25, "J", "derived"), "440 J", "440 J (derived)"),
        (Quantity(1536, "By"), "1.5 KiB", "1.5 KiB"),
        (Quantity(-(5 << 20), "By"), "-5 MiB", "-5 MiB"),
        (Quantity(1023.9, "By"), "1 KiB", "1 KiB"),
        (Quantity(12345, "{packet}"), "12345", "12345"),
        (Quantity.missing("J", "no source"), "-", "missing (no source)"),
    ],
)
def test_quantities_read_well(quantity: Quantity, text: str, long: str) -> None:
    """Three digits that matter and a prefix; quality and reason where they are not the plain ones."""
    assert (quantity.text(), str(quantity)) == (text, long)


def test_a_missing_quantity_is_no_number() -> None:
    """`float` gives the value, or an error with the reason, never 0."""
    assert float(Quantity(2, "J")) == 2.0
    with pytest.raises(ValueError, match="no source"):
        float(Quantity.missing("J", "no source"))


# ----------------------------------------------------------------------------------------------- sources that misbehave

CONTRACT = """\
name = "well"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[[provides.metrics]]
name = "well.{kind}"
type = "f64"
unit = "1"
kind = "{kind}"
resource = ["machine"]
[config.path]
type = "path"
[config.interval]
type = "duration"
default = "1h"
"""
CODE = """\
from pathlib import Path

from meter.core.plugin import Retry, Source

class Plugin(Source):
    base = None

    def poll(self, out):
        text = Path(self.config["path"]).read_text()
        if text.startswith("hang"):
            Path(text[4:]).read_text()
            text = "0"
        if text == "retry":
            raise Retry
        if text == "boom":
            raise ValueError("dry")
        value = float(text)
        if self.base is not None:
            out.emit("well.delta", value - self.base)
        self.base = value
        out.emit("well.gauge", value)
        out.emit("well.counter", value)
"""


class Well:
    """A source that gives what stands in a file, as delta, gauge and counter."""

    def __init__(self, folder: Path, patience_s: float = DEADLINE_S) -> None:
        plugin = folder / "plugins" / "well"
        plugin.mkdir(parents=True)
        head, metric = CONTRACT.split("[[provides.metrics]]")
        metric, options = metric.split("[config.path]")
        metrics = "".join("[[provides.metrics]]" + metric.format(kind=kind) for kind in ("delta", "gauge", "counter"))
        (plugin / "contract.toml").write_text(f"{head}{metrics}[config.path]{options}")
        (plugin / "plugin.py").write_text(CODE)
        self.path = folder / "level"
        self.holds("0")
        backend = Backend("/well", plugin_dirs=[plugin.parent]).add("well", path=self.path).add("collect")
        mounted = backend.mounted()
        folder_ = Path(mounted.folder)
        self.sources = Sources(mounted.plan.document, mounted.contracts, folder_, patience_s=patience_s)

    def holds(self, text: object) -> None:
        """What the next polls find."""
        self.path.write_text(str(text))

    def begun(self) -> Window:
        """A window that has begun."""
        window = Window()
        self.sources.open(window)
        return window

    def measured(self, *levels: object) -> dict[str, totals.Total]:
        """A window that begins at the first of these, ends at the last, and has one more window begun at the others."""
        self.holds(levels[0])
        window = self.begun()
        for level in levels[1:-1]:
            self.holds(level)
            self.sources.close(self.begun())
        self.holds(levels[-1])
        self.sources.close(window)
        self.faults = [fault.code for fault in window.faults]
        return {total.key.metric.kind: total for total in window.totals()}


def test_each_kind_is_cut_as_it_has_to_be(tmp_path: Path) -> None:
    """A delta is summed, a counter counted from the begin on; a gauge is what was seen after the begin."""
    well = Well(tmp_path)
    well.measured(0, 3)
    found = well.measured(10, 12, 17)

    assert (found["delta"].value, found["counter"].value) == (7, 7)
    assert 12 <= (found["gauge"].value or 0) <= 17


def test_a_begin_that_could_not_be_read_is_no_begin(tmp_path: Path) -> None:
    """The delta after it reaches back before the block: it is missing with its reason, not too great."""
    well = Well(tmp_path)
    well.measured(0, 3)
    found = well.measured("retry", 8)

    assert (found["delta"].value, found["delta"].reasons) == (None, ("it could not be read at the begin",))
    assert found["gauge"].value == 8
    assert well.faults == []


def test_a_cell_that_is_cut_off_holds_nothing(tmp_path: Path) -> None:
    """What is under the mask is NaN, as blocks promise, and not the value that reached back."""
    well = Well(tmp_path)
    well.measured(0, 3)
    well.holds("retry")
    window = well.begun()
    well.holds(8)
    well.sources.close(window)
    cells = [
        float(block.parts[part][row, column])
        for batch in window._collect.batches
        for block in batch.blocks
        for key, (part, column) in zip(block.layout.keys, block.layout.address, strict=True)
        for row in range(block.rows)
        if key.metric.kind == "delta"
    ]

    assert [math.isnan(cell) for cell in cells] == [True]


def test_an_end_that_could_not_be_read_is_no_end(tmp_path: Path) -> None:
    """What is not known of the block is not there, and not 0; the next block has its own."""
    well = Well(tmp_path)
    found = well.measured(0, "retry")
    again = well.measured(5, 9)

    assert "delta" not in found
    assert again["delta"].value == 4


def test_a_source_that_fails_is_a_fault_of_every_later_block(tmp_path: Path) -> None:
    """It stays left out, so that each measurement that lacks it says so."""
    well = Well(tmp_path)
    well.measured(0, "boom")
    first = well.faults
    well.measured(0, 5)

    assert first == well.faults == ["E-PLUGIN-RAISED"]


def test_a_source_that_hangs_stops_no_program(tmp_path: Path) -> None:
    """The block goes on without the machine's numbers; once the source answers, the next blocks have them."""
    well = Well(tmp_path, patience_s=0.05)
    well.sources.close(well.begun())
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    well.holds(f"hang{gate}")
    with pytest.raises(CutError, match=r"did not answer within 0\.05 s"):
        well.begun()
    with pytest.raises(CutError, match="since an earlier measurement"):
        well.begun()
    well.holds("3")
    with open(gate, "w") as opened:  # returns when the source reads
        opened.write("")
    end = time.monotonic() + DEADLINE_S
    while not well.sources.idle:
        assert time.monotonic() < end

    assert well.measured(4, 6)["delta"].value == 2


def test_ctrl_c_while_a_block_begins_leaves_nothing_open(tmp_path: Path) -> None:
    """It comes out of the begin at once and stops no source; the block that was not entered is forgotten."""
    well = Well(tmp_path)
    well.sources.close(well.begun())
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    well.holds(f"hang{gate}")
    main, interrupted = threading.get_ident(), threading.Event()

    def interrupt() -> None:
        with open(gate, "w") as opened:  # returns when the source reads
            signal.pthread_kill(main, signal.SIGINT)
            interrupted.wait(DEADLINE_S)
            opened.write("")

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        well.begun()
    well.holds("3")
    interrupted.set()
    thread.join()
    end = time.monotonic() + DEADLINE_S
    while not well.sources.idle:
        assert time.monotonic() < end

    assert well.measured(4, 6)["delta"].value == 2
    assert well.faults == []


# --------------------------------------------------------------------------------------------------------------- energy


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({("readable", "/sys/energy_uj"): "denied /sys/energy_uj"}, "`joules` cannot be used: "),
        ({("readable", "/sys/energy_uj"): ""}, "no source of energy is mounted in this chain"),
    ],
)
def test_why_there_is_no_energy_is_told(facts: dict[tuple[str, str], str], why: str) -> None:
    """Where a source of energy was left out for the host's sake, the reason is that of the host, with the path."""
    head, metric = CONTRACT.split("[[provides.metrics]]")
    metric = metric.split("[config.path]")[0].format(kind="delta").replace("well.delta", "hw.energy")
    need = '[[needs.host]]\nname = "files"\nreadable = ["/sys/energy_uj"]\n'
    text = f"{head}[[provides.metrics]]{metric}{need}".replace('"well"', '"joules"').replace('"1"', '"J"')
    catalogue = Catalogue.of([("joules", "/plugins/joules/contract.toml", text.encode())])
    told = automatic._no_energy({"plugins": []}, catalogue, Recorded(facts))

    assert told.startswith(why)
    assert ("/sys/energy_uj" in told) == ("cannot" in told)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One sentence, and not what each source lacks in it."""
    with measure(sysroot=tmp_path / "none") as m:
        pass

    why = f"cannot read `{tmp_path / 'none'}`: no such file or directory"
    assert (m.energy.reason, m.problems) == (why, (why,))


def test_why_there_is_no_energy_of_processors_is_told() -> None:
    """Where GPUs are measured, only what hinders the sources of processors is; where both are, nothing is."""

    class Bare(Assumed):
        def answer(self, kind: str, argument: str) -> str:
            return f"missing {argument}" if kind == "readable" else super().answer(kind, argument)

    def told(*kinds: str) -> str:
        emits = [{"metric": "hw.energy", "resource": [kind]} for kind in kinds]
        return automatic._no_energy({"plugins": [{"emits": emits}]}, discover(installed=False).catalogue, Bare())

    assert re.findall(r"`(\w+)` cannot be used", told("gpu")) == ["rapl"]
    assert told("gpu", "cpu_package") == ""


@pytest.mark.parametrize(
    ("lacks", "sysroot", "followed"), [("", None, True), ("nvidia", None, False), ("", "/other", False)]
)
def test_processes_are_followed_only_where_their_part_of_a_gpu_can_be_told(
    lacks: str, sysroot: str | None, *, followed: bool
) -> None:
    """That of the children of a program; elsewhere nothing is polled for it, nor are processes of another machine."""

    class Host(Assumed):
        def answer(self, kind: str, argument: str) -> str:
            return "absent" if lacks and lacks in argument else super().answer(kind, argument)

    catalogue = discover(installed=False).catalogue
    contracts = {contract.name: contract for contract in catalogue.contracts()}
    chosen = [each.name for each in automatic._chosen(automatic.Asked("/m", "/", sysroot=sysroot), catalogue, Host())]

    assert ("nvml" in chosen, "process" in chosen) == (not lacks, followed)
    assert automatic._parting(contracts["nvml"]) == ["processes=true", "utilization=true"]
    assert automatic._parting(contracts["cpu"]) == []


def test_energy_of_a_source_is_in_the_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that gives `hw.energy` is all that is needed: the total is there, with its parts."""
    plugin = tmp_path / "plugins" / "watts"
    plugin.mkdir(parents=True)
    head, metric = CONTRACT.split("[[provides.metrics]]")
    metric, _ = metric.split("[config.path]")
    metric = metric.format(kind="delta").replace("well.delta", "hw.energy").replace('"1"', '"J"')
    (plugin / "contract.toml").write_text(f"{head}[[provides.metrics]]{metric}".replace("well", "watts"))
    (plugin / "plugin.py").write_text(
        "from meter.core.plugin import Source\n\nclass Plugin(Source):\n    def poll(self, out):\n"
        "        if out.since < out.ts:\n            out.emit('hw.energy', 2.5)\n"
    )
    mounted = Backend("/m", plugin_dirs=[plugin.parent]).add("watts").add("collect").mounted()
    sources = Sources(mounted.plan.document, mounted.contracts, Path(mounted.folder))
    made: Callable[..., Any] = _machine_of(sources)
    monkeypatch.setattr("meter.core.sharing.machine", made)
    with measure() as m:
        pass

    assert m.energy == Quantity(2.5, "J")
    [domain] = m.to_json()["energy"]["domains"]
    assert {"name": "machine", **m.energy.to_json(), "counted": True, "part_of": None, "contains": []}.items() <= (
        domain.items()
    )
    assert domain["power"] == m.power.to_json()
    assert m.power.value == pytest.approx(2.5 / float(m.window))
    assert float(m.window) >= float(m.duration)
    assert (m.attributed.value, m.unattributed) == (None, m.energy)
    assert "CPU time says nothing of it" in str(m.attributed)


LATE = """\
from pathlib import Path

from meter.core.plugin import Source

class Plugin(Source):
    base = None

    def poll(self, out):
        joules = float(Path("{level}").read_text())
        if self.base is not None:
            out.emit("hw.energy", joules - self.base)
        self.base = joules
"""


class Owned:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> int:
        """Its time."""
        return round(self.seconds * 1e9)

    def sleep_until(self, deadline_ns: int, wake: threading.Event) -> None:
        """Nobody sleeps: what is due is polled when somebody asks."""
        raise NotImplementedError


def test_energy_is_told_with_the_time_that_it_is_of(tmp_path: Path) -> None:
    """A machine of 100 W and a block of 3 s whose last reading is 0.1 s late: 310 J in 3.1 s, and not in the 3 s."""
    plugin = tmp_path / "plugins" / "watts"
    plugin.mkdir(parents=True)
    head, metric = CONTRACT.split("[[provides.metrics]]")
    metric = metric.format(kind="delta").replace("well.delta", "hw.energy").replace('"1"', '"J"')
    metric = metric.replace('[config.path]\ntype = "path"\n', "")
    (plugin / "contract.toml").write_text(f"{head}[[provides.metrics]]{metric}".replace("well", "watts"))
    (plugin / "plugin.py").write_text(LATE.format(level=tmp_path / "level"))
    mounted = Backend("/m", plugin_dirs=[plugin.parent]).add("watts").add("collect").mounted()
    clock = Owned()
    sources = Sources(mounted.plan.document, mounted.contracts, Path(mounted.folder), clock=clock)

    def passes(seconds: float) -> None:
        clock.seconds += seconds
        (tmp_path / "level").write_text(str(100 * clock.seconds))

    window = Window()
    passes(0)
    sources.open(window)
    passes(3)  # the block
    passes(0.1)  # until its end is polled
    sources.close(window)
    found = energies.energy(window.totals(), "", energies.Structure.of(mounted.plan.document))

    assert found.total.value == pytest.approx(310)
    assert found.window.value == pytest.approx(3.1)
    assert found.window.quality == "measured"
    assert found.power.value == pytest.approx(100)
    assert dict(energies.lines(found.to_json()))["time of the energy"] == found.window


def _machine_of(sources: Sources) -> Callable[..., Any]:
    from meter.core.sharing import Machine

    return lambda *_: Machine(sources, "", "")
