"""Measuring one command: `meter exec`, without a mount.

The chain is that of `automatic`, with `process` on the command's tree and, where asked, a file. Nothing heavy runs
before the command is spawned: numpy comes with the first batch, in the pipeline's thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from meter.core import attributing, automatic, carbon, command, energies, totals
from meter.core.planned import COLLECT
from meter.core.quantity import Quantity

if TYPE_CHECKING:
    from meter.core.automatic import Automatic
    from meter.core.command import Leftovers, Usage
    from meter.core.engine import Engine
    from meter.core.faults import Fault

FORMAT: Final = "meter-exec/1"
DRAIN_S: Final = 30.0
"""How long the chain may take when the command has ended: the first import of numpy from a slow disk takes seconds."""


class Asked(NamedTuple):
    """What the user wants of `meter exec`, apart from the command."""

    out: str | None = None
    interval: str | None = None
    sysroot: str | None = None
    carbon: str | None = None


class Measured(NamedTuple):
    """A document in the form of `meter exec --format json`, the exit code, what went wrong while measuring."""

    document: dict[str, Any]
    exit_code: int
    faults: tuple[Fault, ...]


def execute(argv: Sequence[str], asked: Asked, report: Callable[[Fault], None]) -> Measured:
    """Run a command and measure it: a poll before it is spawned, polls while it runs, a poll when it has ended.

    Raises: PlanRefused and OSError before the spawn; CommandNotFound, CommandNotExecutable.
    """
    command.find(argv[0])
    chain = automatic.chain(automatic.Asked("/exec", os.getcwd(), *asked, children=True), apart=True)
    engine = chain.mounted.engine(report)
    subreaper = command.become_subreaper()
    with command.signals():
        engine.start()
        engine.begin()
        try:
            running = command.start(argv)
        except BaseException:
            engine.stop()
            raise
        engine.go()
        running.wait()
        engine.stop(DRAIN_S)
        usage = running.finish()
        left = command.leftovers()
    left = left if subreaper else command.Leftovers((), 0, 0.0)
    document = _document(argv, asked, running.pid, usage, chain, engine, left)
    return Measured(document, usage.exit_code, tuple(engine.faults))


def _document(
    argv: Sequence[str], asked: Asked, pid: int, usage: Usage, chain: Automatic, engine: Engine, left: Leftovers
) -> dict[str, Any]:
    from meter.core.own import contained  # only what follows needs it

    collect: Any = next(output.output for output in engine.outputs if output.label == COLLECT)
    tally, table = engine.tally(), collect.table()
    structure = energies.Structure.of(chain.mounted.plan.document)
    left_out = energies.left_out(engine.finished, engine.faults)
    cpu = Quantity(usage.user_s + usage.system_s, "s")
    energy = energies.energy(table, chain.no_energy, structure, left_out)
    own = attributing.processes(table, pid)
    gpus = attributing.of_gpus(table, own, foreign=contained())
    energy = attributing.parted(energy, attributing.share(table, cpu), gpus)
    return {
        "format": FORMAT,
        "command": list(argv),
        "exit_code": usage.exit_code,
        "signal": usage.signal,
        "runs": 1,
        "duration": Quantity((usage.ended_ns - usage.started_ns) / 1e9, "s").to_json(),
        "cpu": {"user": Quantity(usage.user_s, "s").to_json(), "system": Quantity(usage.system_s, "s").to_json()},
        "memory": {"max_rss": _peak(usage).to_json()},
        "io": {
            "read": Quantity(usage.read_bytes, "By").to_json(),
            "written": Quantity(usage.written_bytes, "By").to_json(),
        },
        "energy": energy.to_json(),
        "carbon": None if asked.carbon is None else carbon.grams(asked.carbon, table, energy).to_json(),
        "metrics": [totals.to_json(series, own) for series in table],
        "left_running": [{"pid": pid, "name": name} for pid, name in left.running],
        "orphans": {"ended": left.orphans, "cpu": Quantity(left.orphans_cpu_s, "s").to_json()},
        "polls": tally.polls,
        "slower": chain.slowed(),
        "missed_ticks": tally.missed,
        "faults": [fault.code for fault in engine.faults],
    }


def _peak(usage: Usage) -> Quantity:
    if usage.peak_rss_bytes is not None:
        return Quantity(usage.peak_rss_bytes, "By")
    floor = f"it is at most the {usage.max_rss_floor_bytes / 2**20:.1f} MiB that the kernel enters for meter itself"
    return Quantity.missing("By", floor)
