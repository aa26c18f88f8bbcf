"""Joules: what meter and other tools say of machines whose power is known; `python -m benchmarks.joules`.

The machines are the rows of the energy matrix: counters that advance in a folder, which takes the place of /sys/class
in a mount namespace of each tool, or a fake library of the NVIDIA driver. All tools measure the same machine at the
same time. Then each says alone what one sample costs. Ends with 1 if a number of meter is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.energy.feeder import tree
from benchmarks.energy.machines import MACHINES, ROOT, Feeder, load, namespace, on
from benchmarks.energy.told import MARK
from benchmarks.energy.tools import METER, NEAR, PEERS, Answer, Run, Tool, install
from benchmarks.figure import Figure, absent, environment
from tests import nvml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RAPL_S: Final = 10.0
GPU_S: Final = 3.0
INSTALL: Final = "python -m benchmarks.joules --install"
PATIENCE_S: Final = 90.0
MEMORY: Final = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Counters are files in memory, as those of the kernel: a disk may keep whoever writes to it waiting."""
LATE: Final = 0.005
"""Counters may stand still for so much of a window: half of what joules may be off."""


class Cost(NamedTuple):
    """What one sample of a tool takes on machine A, in microseconds."""

    tool: Tool
    wall_us: float
    cpu_us: float


class CannotError(Exception):
    """The machines cannot be made here; the text says why."""


def answers(rows: Sequence[str], rapl_s: float, gpu_s: float) -> Iterator[Answer]:
    """What each installed tool says of each machine. Raises: CannotError."""
    with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        words = namespace()
        if words is None:
            raise CannotError("nothing gives a command mounts of its own: `unshare -mn` and `unshare -rmn` are refused")
        if nvml.compiler() is None:
            raise CannotError("there is no C compiler for the library of the driver: apt-get install gcc")
        nvml.compiled(folder)
        nvml.machine(folder / "driver")
        (folder / "smi").mkdir()
        (folder / "smi" / "nvidia-smi").write_text("#!/bin/sh\n")
        (folder / "smi" / "nvidia-smi").chmod(0o755)
        for row in rows:
            yield from _measured(row, gpu_s if MACHINES[row].gpus else rapl_s, folder, words)


def _measured(row: str, window_s: float, folder: Path, words: Sequence[str]) -> list[Answer]:
    """All tools at the same time: they begin when each is ready.

    Raises: CannotError, this machine was too busy for the counters to be true.
    """
    machine = MACHINES[row]
    with contextlib.ExitStack() as stack:
        feeder = None if machine.gpus else stack.enter_context(Feeder(folder / row, row))
        begins_with = on(words, folder / row, row)
        tools = [tool for tool in (*METER, *PEERS) if tool.python and tool.measures(row)]
        runs = [Run(tool, row, folder, begins_with, window_s) for tool in tools]
        end = time.monotonic() + PATIENCE_S
        while not all(run.ready for run in runs) and time.monotonic() < end:
            time.sleep(0.05)
        stack.enter_context(load(wanted=machine.loaded))
        if feeder is not None and machine.wraps_after is not None:
            feeder.wrap(machine.wraps_after * window_s)
        for run in runs:
            run.begin()
        end = time.monotonic() + window_s + PATIENCE_S
        found = [run.answer(end) for run in runs]
    if feeder is not None and feeder.longest_s > LATE * window_s:
        raise CannotError(f"this machine is too busy: the counters of {row} stood still for {feeder.longest_s:.2g} s")
    return found


def costs() -> Iterator[Cost]:
    """What one sample of each tool takes; one after the other. Raises: CannotError."""
    words = namespace()
    if words is None:
        raise CannotError("nothing gives a command mounts of its own")
    with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as name:
        tree(Path(name), "A")  # its counters stand still, so that nothing else runs
        for tool in (METER[-1]._replace(name="rapl of meter"), *(each for each in PEERS if each.measures("A"))):
            if tool.python:
                command = [*on(words, Path(name), "A"), tool.python, "-m", f"benchmarks.energy.{tool.module}", "cost"]
                own = {"PYTHONPATH": str(ROOT), "HOME": name, "XDG_CACHE_HOME": name}
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, cwd=name, env=environment(own)
                )
                [line] = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
                yield Cost(tool, **json.loads(line.removeprefix(MARK)))


def figures() -> Iterator[Figure]:
    """Joules beside the truth, then microseconds of a sample beside those of `rapl`; meter has a bar of 1 %."""
    for tool in PEERS:
        if tool.python is None and "," not in tool.name:
            yield absent(tool.name, "J", f"not installed; {INSTALL}")
    try:
        for answer in answers([*MACHINES], RAPL_S, GPU_S):
            yield _figure(answer)
        own = None
        for cost in costs():
            own = own or cost
            note = f"CPU {cost.cpu_us:.3g} us"
            yield Figure(
                f"a sample of {cost.tool.name}", cost.wall_us, own.wall_us, "source rapl", "us", None, note=note
            )
    except CannotError as error:
        yield absent("joules", "J", str(error))


def _figure(answer: Answer) -> Figure:
    machine = MACHINES[answer.row]
    name = f"{answer.row}, {machine.title}: {answer.tool.name}"
    note = "; ".join(part for part in (said_of(answer), answer.said) if part)
    if machine.denied:
        return Figure(name, answer.total, None, "nothing can be known", "J", None, note=note)
    bar = None if answer.tool.package else NEAR
    return Figure(name, answer.total, answer.truth, "truth", "J", bar, near=True, note=note)


def said_of(answer: Answer) -> str:
    """Joules by the names that the tool gives them."""
    told = [f"{name} {'missing' if value is None else f'{value:.1f}'}" for name, value in answer.joules.items()]
    return ", ".join(told)


def table(found: Sequence[Answer]) -> Iterator[str]:
    """The answers in Markdown: a line for each tool, a column for each machine; what is wrong is bold."""
    rows = [*dict.fromkeys(answer.row for answer in found)]
    cells = {(answer.row, answer.tool): answer for answer in found}
    yield "| | " + " | ".join(f"{row}: {MACHINES[row].title}" for row in rows) + " |"
    yield "|" + "---|" * (len(rows) + 1)
    for tool in dict.fromkeys(answer.tool for answer in found):
        yield f"| {tool.name} | " + " | ".join(_cell(cells.get((row, tool))) for row in rows) + " |"


def _cell(answer: Answer | None) -> str:
    """Joules, and how far off the truth of the tool's own window they are."""
    if answer is None:
        return ""
    text = "missing" if answer.total is None else f"{answer.total:,.1f}"
    off = 0 if answer.total is None else answer.total / answer.truth - 1
    if answer.total is not None and abs(off) <= 1 and not MACHINES[answer.row].denied:
        text += f", {100 * off:+.1f} %"
    return text if answer.right else f"**{text}**"


def main(words: Sequence[str] | None = None) -> int:
    """Print the table and what stands behind it; 1 if a number of meter is wrong, 2 where nothing can be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joules", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(MACHINES)}; all if none is named")
    parser.add_argument("--rapl", type=float, default=RAPL_S, metavar="S", help="seconds of a window with counters")
    parser.add_argument("--gpu", type=float, default=GPU_S, metavar="S", help="seconds of a window with GPUs")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="how often each machine is measured")
    parser.add_argument("--install", action="store_true", help="install the other tools below ~/.cache, about 1 GB")
    arguments = parser.parse_args(words)
    unknown = sorted({*arguments.rows} - {*MACHINES})
    if unknown:
        parser.error(f"no machine is called {', '.join(unknown)}; there are {', '.join(MACHINES)}")
    if arguments.install:
        try:
            install()
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "").strip().splitlines() or ["nothing"]
            print(
                f"{parser.prog}: `{shlex.join(error.cmd)}` ended with {error.returncode}: {said[-1]}", file=sys.stderr
            )
            return 2
    wrong = False
    try:
        for _ in range(arguments.rounds):
            found = list(answers(arguments.rows or [*MACHINES], arguments.rapl, arguments.gpu))
            print("\n".join(table(found)), end="\n\n")
            for each in found:
                print(f"{each.row} {each.tool.name}: {said_of(each)} in {each.window_s:.2f} s, CPU {each.cpu_s:.2f} s")
                if each.said:
                    print(f"    {each.said}")
            wrong |= any(not each.right for each in found if not each.tool.package)
        for cost in costs():
            print(f"a sample of {cost.tool.name}: {cost.wall_us:.1f} us, of CPU {cost.cpu_us:.1f} us")
    except CannotError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    for tool in PEERS:
        print(f"{tool.version}" if tool.python else f"{tool.name} was left out: not installed; {INSTALL}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
