"""A chain in a second process does what it does in this one, and neither process can take the other down unsaid."""

from __future__ import annotations

import json
import os
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from meter.core import Backend, ContractError, Missing, RunError, RunWarning, link
from meter.core.isolation import IsolatedChain
from meter.core.keys import EACH, Key, Metric
from meter.core.link import RowsIn, RowsOut, plain
from meter.core.polling import Raw
from meter.core.readings import Columns, Row
from tests.processes import children

if TYPE_CHECKING:
    from collections.abc import Callable

    from meter.core.engine import Engine
    from meter.core.faults import Fault
    from meter.core.running import Running

DEADLINE_S = 30.0
ANCHOR = (1_000_000_000, 1_700_000_000_000_000_000)
SECOND = 1_000_000_000

SOURCE = """\
name = "tank"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[[provides.metrics]]
name = "tank.level"
type = "f64"
unit = "Cel"
kind = "gauge"
resource = ["machine"]
"""
TANK = """\
from meter.core.plugin import Source

class Plugin(Source):
    polls = 0

    def poll(self, out):
        self.polls += 1
        out.emit("tank.level", float(self.polls))
"""
SINK = """\
name = "sink"
version = "1.0.0"
placement = "output"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
durability = "process"
"""
SECRET = """\
[config.token]
type = "secret"
"""
SINK_CODE = """\
import os, time
from meter.core.plugin import Gone, Output

class Plugin(Output):
    tries = 0

    def start(self, context):
        {start}

    def write(self, batch):
        self.tries += 1
        {write}

    def stop(self):
        {stop}
"""
HOP = """\
name = "hop"
version = "1.0.0"
placement = "filter"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[[needs.metrics]]
metric = "tank.level"
gives = { name = "${metric}.again" }
"""
HOP_CODE = """\
import json, os
from meter.core.plugin import Filter

class Plugin(Filter):
    def run(self, selections, block):
        {run}

    def post_pipeline_start(self, control):
        {steer}
"""
COPY = "return [each.give(each.read(block) + 0, ts=block.ts, since=block.since) for each in selections]"
NOTHING = {"start": "pass", "write": "pass", "stop": "pass"}


class World:
    """A folder that is the working folder, and one with plugins whose code the test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.plugins = folder / "plugins"
        for name, contract in (("tank", SOURCE), ("sink", SINK), ("hop", HOP)):
            (self.plugins / name).mkdir(parents=True)
            (self.plugins / name / "contract.toml").write_text(contract)
        self.code("tank", TANK)
        self.sink()

    def code(self, name: str, text: str) -> None:
        """The code of a plugin."""
        (self.plugins / name / "plugin.py").write_text(text)

    def sink(self, **does: str) -> None:
        """What the output does in some of its phases, as lines of code."""
        self.code("sink", SINK_CODE.format_map({**NOTHING, **does}))

    def hop(self, run: str = "return []", steer: str = "pass") -> None:
        """What the filter does."""
        self.code("hop", HOP_CODE.format_map({"run": run, "steer": steer}))

    def backend(self, mountpoint: str = "/tank") -> Backend:
        """A backend that may use the plugins."""
        return Backend(mountpoint, plugin_dirs=[self.plugins])

    def tank(self, *others: str, **sink: Any) -> Backend:
        """The source, some filters and the output."""
        backend = self.backend().add("tank", interval="20ms")
        for other in others:
            backend.add(other)
        return backend.add("sink", **sink)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Plugins, and a working folder of its own."""
    made = World(tmp_path)
    monkeypatch.chdir(made.folder)
    return made


def waited(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.002)


def child(running: Running) -> int:
    """The process of the chain."""
    chain = running._engine.chain
    assert isinstance(chain, IsolatedChain)
    assert chain.pid is not None
    return chain.pid


def outcome(faults: tuple[Fault, ...]) -> list[tuple[Any, ...]]:
    """What is to be the same wherever the chain runs."""
    return [tuple(fault) for fault in faults]


def ran(backend: Backend, rows: int = 3, *, isolate: bool = True, on_breach: str | None = None) -> Running:
    """A run until some rows were through, or it has ended by itself."""
    running = backend.mounted().running(isolate=isolate, on_breach=on_breach)
    running.start()
    waited(lambda: running.tally().rows >= rows or running.ended or running.halted)
    running.stop(DEADLINE_S)
    return running


# ------------------------------------------------------------------------------------------------------------- rows


def metric(name: str, type_: str = "f64", kind: str = "gauge") -> Metric:
    """A metric of a source `tank`."""
    return Metric(name, type_, "1", kind, additive=kind == "delta", origin="tank", via=frozenset({"tank"}))


def columns(*names: str) -> Columns:
    """Columns of a source `tank`."""
    return Columns(tuple(Key.make(metric(name)) for name in names), "tank")


class Wire:
    """Both ends of rows, with the messages between them."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.inside = RowsIn()
        self.came: list[Raw] = []
        self.out = RowsOut(self._take)

    def _take(self, word: str, *values: Any) -> None:
        self.words.append(word)
        found = getattr(self.inside, word)(*values)
        if word == "rows":
            self.came.append(found)


def spread(raw: Raw) -> list[tuple[Any, ...]]:
    """Each row with its source and its keys."""
    return [
        (label, row.columns.keys, row.columns.by, row.ts, row.since, list(row.values), row.id)
        for label, rows in raw.rows
        for row in rows
    ]


class TestRows:
    """What is polled comes out of the other process as it was."""

    def test_rows_come_as_they_were_in_however_many_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Order, times, ids and gaps included."""
        monkeypatch.setattr(link, "PART", 3)
        one, two = columns("a", "b"), columns("c")
        each = Columns((Key.make(metric("d"), resource=("process", EACH)),), "tank")
        rows = [Row(one, 5, 1, [1.0, 2.0]), Row(two, 5, 1, (3,)), Row(one, 6, 5, [None, 4.0])]
        raw = Raw([("tank", rows), ("other", [Row(each, 6, 5, [1.0], "17")])], ANCHOR, 4)
        wire = Wire()

        wire.out.send(raw)

        assert wire.words.count("part") > 0
        assert [spread(came) for came in wire.came] == [spread(raw)]
        assert wire.came[0][1:] == raw[1:]

    def test_columns_go_once_and_are_the_same_object_from_then_on(self) -> None:
        """What is prepared for them is prepared once."""
        wire, one = Wire(), columns("a")

        for ts in (1, 2):
            wire.out.send(Raw([("tank", [Row(one, ts, 0, [1.0])])], ANCHOR))

        assert wire.words.count("columns") == 1
        assert wire.came[0].rows[0][1][0].columns is wire.came[1].rows[0][1][0].columns

    def test_columns_are_not_forgotten_before_their_rows_have_come(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One hand-over may have rows of more columns than are remembered."""
        monkeypatch.setattr(link, "COLUMNS_KNOWN", 2)
        wire = Wire()
        raw = Raw([("tank", [Row(columns(name), 1, 0, [1.0]) for name in "abc"])], ANCHOR)

        wire.out.send(raw)

        assert [spread(came) for came in wire.came] == [spread(raw)]

    def test_columns_that_churn_are_forgotten_on_both_sides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And sent again when they come again."""
        monkeypatch.setattr(link, "COLUMNS_KNOWN", 2)
        wire, made = Wire(), [columns(name) for name in "abc"]

        for one in (*made, made[0]):
            wire.out.send(Raw([("tank", [Row(one, 1, 0, [1.0])])], ANCHOR))

        assert len(wire.inside.known) == 2
        assert [spread(raw)[0][1] for raw in wire.came] == [one.keys for one in (*made, made[0])]

    @pytest.mark.parametrize(
        ("value", "as_"),
        [
            (1, 1),
            (2.5, 2.5),
            (None, None),
            (2**64 - 1, 2**64 - 1),
            (Fraction(1, 4), 0.25),  # a type that the other process may not have
            (Fraction(10**400), repr(Fraction(10**400))),  # no number of this type: refused with its series there
            (np.float64(1.5), 1.5),  # would import numpy here
            (np.uint64(2**64 - 1), 2**64 - 1),
        ],
    )
    def test_values_are_plain(self, value: Any, as_: Any) -> None:
        """Numbers keep all their bits."""
        (found,) = plain((value,))

        assert (found, type(found)) == (as_, type(as_))

    def test_what_is_missing_keeps_its_reason(self) -> None:
        """A plugin may have a class of its own for it."""

        class Unread(Missing):
            pass

        (found,) = plain([Unread("EIO")])

        assert type(found) is Missing
        assert found.reason == "EIO"


def deliver(engine: Engine, raws: list[Raw]) -> None:
    """Let a chain deliver rows."""
    chain = engine.chain
    chain.start(ANCHOR)
    chain.prepare()
    chain.open()
    chain.run()
    chain.steer(engine)
    for raw in raws:
        chain.hand_over(raw)
    now = time.monotonic_ns()
    chain.give_up_at(now, now + int(DEADLINE_S * 1e9))
    chain.stop(chain.finish())
    assert engine.faults == []


def test_the_same_rows_give_the_same_files(world: World) -> None:
    """Through filters that hold back, merge and compute, into every byte of two formats."""

    def mounted(name: str) -> Backend:
        backend = world.backend().add("tank", interval="100ms")
        backend.add("aggregate", metrics=["tank.level"], function="mean", window="1s")
        backend.add("annotate", attributes={"site": "lab"})
        return backend.add("csv", path=f"{name}.csv").add("jsonl", path=f"{name}.jsonl")

    engine = mounted("polled").mounted().engine()
    polled = next(iter(engine._assembly.sources())).readings
    raws = []
    for hand_over in range(100):
        rows = []
        for row in range(5):
            polled.begin(ANCHOR[0] + (5 * hand_over + row) * 100_000_000)
            polled.emit("tank.level", Missing("EIO") if row == 3 else hand_over + row / 4)
            rows += polled.take()
        raws.append(Raw([("tank", rows)], ANCHOR))

    for name, isolate in (("here", False), ("apart", True)):
        deliver(mounted(name).mounted().engine(isolate=isolate), raws)

    for suffix in ("csv", "jsonl"):
        here, apart = ((world.folder / f"{name}.{suffix}").read_bytes() for name in ("here", "apart"))
        assert here.count(b"\n") > 500
        assert here == apart


# ----------------------------------------------------------------------------------------------------------- faults


FAULTS = {
    "a filter that raises": {"hop": "raise RuntimeError('no luck')"},
    "a filter that lies": {"hop": "return [block]"},
    "an output that fails once": {"write": "if self.tries == 1: raise OSError(28, 'No space left on device')"},
    "an output that cannot start": {"start": "raise ValueError('it is locked')"},
    "an output that cannot stop": {"stop": "raise RuntimeError('stuck')"},
}


@pytest.mark.parametrize("does", FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_those_of_a_chain_in_this_process(world: World, does: dict[str, str]) -> None:
    """Code, facts, clause, variant, and whether the run has failed."""
    does = dict(does)
    world.hop(does.pop("hop", COPY))
    world.sink(**does)

    here, apart = (ran(world.tank("hop"), isolate=isolate) for isolate in (False, True))

    assert outcome(here.faults) != []
    assert outcome(apart.faults) == outcome(here.faults)
    assert apart.failed == here.failed
    assert apart.tally().violations == here.tally().violations


def test_a_secret_is_in_no_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked up in the other process, which masks it before it says anything."""
    monkeypatch.setenv("TOKEN", "swordfish")
    with (world.plugins / "sink" / "contract.toml").open("a") as contract:
        contract.write(SECRET)
    world.sink(write="raise OSError(5, 'cannot log in with ' + self.config['token'])")

    running = ran(world.tank(token="env:TOKEN"))

    assert "cannot log in with …" in running.faults[0].facts["why"]
    assert "swordfish" not in str(running.faults)


def test_a_breach_may_end_the_run(world: World) -> None:
    """As the policy says."""
    world.hop("return [block]")

    running = ran(world.tank("hop"), rows=1 << 30, on_breach="stop")

    assert running.halted


def test_who_breaks_its_contract_may_go_on(world: World) -> None:
    """As the policy says: each breach is counted, the first one is said."""
    world.hop("return [block]")
    running = world.tank("hop").mounted().running(isolate=True, on_breach="warn")
    running.start()
    waited(lambda: running.state().violations.get("hop", 0) > 1)
    running.stop()

    assert [fault.code for fault in running.faults] == ["E-BREACH"]
    assert running.tally().violations == running.state().violations["hop"]


def test_a_source_whose_rows_cannot_be_used_is_left_out(world: World) -> None:
    """Which is seen where blocks are built, and done where it is polled."""
    engine = world.tank().mounted().engine(isolate=True)
    engine.start()
    engine.poll_now()
    rows = engine.taken().rows
    engine.chain.open()
    engine.chain.run()

    engine.chain.hand_over(Raw([*rows, *rows], ANCHOR))

    waited(lambda: not engine.sources[0].live)
    assert engine.stop().violations == 1


def test_where_no_output_can_start_the_block_is_not_entered(world: World) -> None:
    """As without isolation."""
    world.sink(start="raise ValueError('it is locked')")

    with pytest.raises(RunError, match="it is locked"), world.tank().mounted().running(isolate=True):
        pytest.fail("it was entered")


def test_an_output_whose_reader_has_gone_ends_the_run(world: World) -> None:
    """Nobody takes anything any more, and that is no failure."""
    world.sink(write="raise Gone")
    running = world.tank().mounted().running(isolate=True)

    with running:
        assert running.wait(DEADLINE_S)

    assert running.faults == ()


def test_what_an_output_keeps_here_cannot_be_had(world: World) -> None:
    """Refused before anything starts."""
    mounted = world.tank().add("collect").mounted()

    with pytest.raises(ContractError, match="`/tank` cannot run isolated: what `collect` keeps"):
        mounted.running(isolate=True)
    assert children(os.getpid()) == []


# -------------------------------------------------------------------------------------------------------- processes


def test_nothing_is_left_of_it(world: World) -> None:
    """Neither a process nor a descriptor nor a thread, whether it ran or was only started."""
    before = sorted(os.listdir("/proc/self/fd")), threading.active_count()
    with world.tank().mounted().running(isolate=True) as running:
        waited(lambda: running.tally().rows)
    running = world.tank().mounted().running(isolate=True)
    running.prepare()
    running.stop()

    assert children(os.getpid()) == []
    assert (sorted(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_what_was_not_started_is_stopped_at_once(world: World) -> None:
    """As a backend that comes after the one that a signal has interrupted."""
    running = world.tank().mounted().running(isolate=True)

    assert running.stop(DEADLINE_S).polls == 0
    assert running.faults == ()


def test_rows_that_cannot_be_sent_end_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as for want of memory: it is said, nobody waits, and what was not sent counts as lost."""

    def fail(_out: RowsOut, _raw: Raw) -> None:
        raise MemoryError

    monkeypatch.setattr(RowsOut, "send", fail)
    running = world.tank().mounted().running(isolate=True)
    running.start()

    assert running.wait(DEADLINE_S)
    tally = running.stop()
    assert [fault.variant for fault in running.faults] == ["pipeline", "chain-lost"]
    assert tally.lost == tally.polls
    assert children(os.getpid()) == []


def test_the_end_of_the_block_delivers_all(world: World) -> None:
    """Rows that were polled are rows in the file."""
    backend = world.backend().add("tank", interval="5ms").add("jsonl", path="all.jsonl")
    with backend.mounted().running(isolate=True) as running:
        waited(lambda: running.tally().rows)

    tally = running.tally()
    lines = [json.loads(line) for line in (world.folder / "all.jsonl").read_text().splitlines()]
    assert [line["value"] for line in lines] == [float(poll + 1) for poll in range(tally.polls)]
    assert tally.rows == tally.polls
    assert tally.lost == 0


def test_a_child_that_is_killed_is_named_and_ends_the_run(world: World) -> None:
    """With an upper bound of what is lost."""
    world.sink(write="open('begun', 'w').close(); time.sleep(3600)")
    running = world.tank().mounted().running(isolate=True)
    running.start()
    waited((world.folder / "begun").exists)

    os.kill(child(running), 9)
    assert running.wait(DEADLINE_S)
    tally = running.stop()

    assert [(fault.code, fault.variant) for fault in running.faults] == [
        ("E-IO", "chain-killed"),
        ("E-IO", "chain-lost"),
    ]
    assert running.faults[0].facts["signal"] == "SIGKILL"
    assert 0 < tally.lost <= tally.polls
    assert running.faults[1].facts["rows"] == str(tally.lost)
    assert children(os.getpid()) == []


def test_what_was_delivered_before_it_was_killed_is_not_lost(world: World) -> None:
    """The bound counts what came since an output last had everything."""
    world.sink(write="open('written', 'a').write('x' * batch.rows)")
    running = world.tank().mounted().running(isolate=True)
    running.start()
    chain = running._engine.chain
    assert isinstance(chain, IsolatedChain)
    waited(lambda: chain._safe_rows > 0)

    os.kill(child(running), 9)
    assert running.wait(DEADLINE_S)
    tally = running.stop()

    assert tally.lost < tally.polls
    assert (world.folder / "written").stat().st_size >= tally.polls - tally.lost


def test_a_plugin_that_ends_its_process_is_seen(world: World) -> None:
    """No plugin may, but one can."""
    world.sink(write="os._exit(7)")
    running = world.tank().mounted().running(isolate=True)
    running.start()
    assert running.wait(DEADLINE_S)
    running.stop()

    assert [fault.variant for fault in running.faults] == ["chain-exit", "chain-lost"]
    assert running.faults[0].facts["status"] == "7"


def test_a_process_that_cannot_be_started_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as for want of its program."""
    monkeypatch.setattr("sys.executable", "/nonexistent/python")

    with pytest.raises(RunError, match="cannot be started: No such file or directory"):
        world.tank().mounted().running(isolate=True).__enter__()
    assert children(os.getpid()) == []


def test_an_output_that_hangs_is_left_behind(world: World) -> None:
    """The run ends in time, it is named, and its process ends with the run."""
    world.sink(write="open('begun', 'w').close(); time.sleep(3600)")
    running = world.tank().mounted().running(isolate=True)
    running.start()
    waited((world.folder / "begun").exists)
    pid = child(running)

    running.stop(0.1)

    assert [(fault.variant, fault.instance) for fault in running.faults] == [("left-behind", "sink"), ("lost", "sink")]
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_that_does_not_answer_is_left_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that was stopped: the run ends, what it had counts as lost, and it is ended."""
    monkeypatch.setattr("meter.core.isolation.EXIT_S", 0.01)
    monkeypatch.setattr("meter.core.isolation.GRACE_S", 0.01)
    running = world.tank().mounted().running(isolate=True)
    running.start()
    waited(lambda: running.tally().rows)
    pid = child(running)

    os.kill(pid, 19)
    running.stop(0.01)

    assert (running.faults[0].variant, running.faults[0].instance) == ("left-behind", "pipeline")
    assert not Path(f"/proc/{pid}").exists()


def test_a_slow_chain_slows_polling_and_loses_nothing(world: World) -> None:
    """What may wait is bounded, wherever it waits."""
    world.hop("open('begun', 'w').close()\n        while not os.path.exists('go'): pass\n        " + COPY)
    backend = world.backend().add("tank", interval="1ms").add("hop").add("jsonl", path="all.jsonl")
    engine = backend.mounted().engine(isolate=True)
    engine.start()
    engine.poll_now()
    raw = engine.taken()
    engine.chain.open()
    engine.chain.run()
    sent = 0

    def hand_over() -> None:
        nonlocal sent
        for _ in range(200):
            row = raw.rows[0][1][0]
            engine.chain.hand_over(Raw([("tank", [row._replace(ts=row.ts + sent + 1)])], ANCHOR))
            sent += 1

    poller = threading.Thread(target=hand_over)
    poller.start()
    waited((world.folder / "begun").exists)
    waited(lambda: engine.state().waiting >= 64)
    assert engine.state().waiting <= 66  # one is on its way to either queue
    assert poller.is_alive()
    (world.folder / "go").touch()
    poller.join(DEADLINE_S)
    engine.stop(DEADLINE_S)

    assert len((world.folder / "all.jsonl").read_text().splitlines()) == 2 * 200


# ---------------------------------------------------------------------------------------------------------- control


def test_a_plugin_can_steer_sources_of_the_other_process(world: World) -> None:
    """It asks for a poll, and sees what each element has done; what is no source is a KeyError."""
    world.hop(
        COPY,
        "state = control.state()\n"
        "        try: control.trigger('sink')\n"
        "        except KeyError as error: wrong = str(error)\n"
        "        control.trigger('tank')\n"
        "        told = [[each.label for each in part] for part in state[:3]]\n"
        "        open('told', 'w').write(json.dumps([told, wrong]))",
    )
    backend = world.backend().add("tank", interval="1h").add("hop").add("sink")
    running = backend.mounted().running(isolate=True)
    with running:
        waited(lambda: running.tally().polls >= 2)  # one at the start, the next one in an hour

    assert json.loads((world.folder / "told").read_text()) == [[["tank"], ["hop"], ["sink"]], "'sink'"]


def test_its_state_is_seen_here(world: World) -> None:
    """Filters, outputs and the other process."""
    world.hop(COPY)
    running = world.tank("hop").mounted().running(isolate=True)
    with running:
        pid = child(running)
        waited(lambda: running.tally().rows)
    state = running.state()

    assert [each.label for each in state.filters] == ["hop"]
    assert state.filters[0].batches > 0
    assert [(each.label, each.lost) for each in state.outputs] == [("sink", 0)]
    assert state.sources[0].points == running.tally().rows
    assert [process.pid for process in state.processes] == [pid]
    assert state.processes[0].user_us > 0


def test_meter_says_of_both_processes_what_they_use(world: World) -> None:
    """Two consumers, each with its CPU time and memory."""
    running = (
        world.backend().add("meter", interval="100ms").add("jsonl", path="self.jsonl").mounted().running(isolate=True)
    )
    with running:
        pids = {str(os.getpid()), str(child(running))}
        waited(lambda: _users("meter.cpu.time") == pids)

    assert _users("meter.memory.usage") == pids
    assert running.faults == ()


def _users(metric_: str) -> set[str]:
    """The processes of which the file says something."""
    path = Path("self.jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return {row["consumer"].removeprefix("process/") for row in rows if row["metric"] == metric_}


# ------------------------------------------------------------------------------------------------------------- spool


def test_what_an_output_cannot_deliver_is_kept(world: World) -> None:
    """In the other process, and found by the next run wherever that has its chain."""

    def backend(path: str) -> Backend:
        made = world.backend().add("tank", interval="20ms").add("jsonl", path=path)
        return made.add("spool", path="kept", **{"for": ["jsonl"]})

    with pytest.warns(RunWarning), backend("/dev/full").mounted().running(isolate=True) as running:
        waited(lambda: running.tally().rows)
    assert [fault.code for fault in running.faults] == ["E-IO", "W-KEPT"]
    kept = int(running.faults[1].facts["rows"])
    assert kept == running.tally().polls

    with backend("all.jsonl").mounted().running(isolate=True) as again:
        waited(lambda: again.tally().rows)

    assert len((world.folder / "all.jsonl").read_text().splitlines()) == kept + again.tally().polls
