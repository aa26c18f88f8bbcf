"""The tools: where each is installed, how it is started, and what it said when it has ended."""

from __future__ import annotations

import csv
import glob
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks.energy.machines import GPU_STEP_S, MACHINES, ROOT, STEP_S
from benchmarks.energy.told import MARK
from benchmarks.figure import environment
from tests import nvml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

VENVS: Final = "~/.cache/metermount-joules"
NEAR: Final = 0.01
"""Joules of meter are right within 1 % and one step of a counter."""
NEAR_OTHER: Final = 0.02
"""Those of others, who say no length: what they do at their begin and end is not in what is known of their window."""
_WAIT: Final = os.WEXITED | os.WNOHANG | os.WNOWAIT


class Tool(NamedTuple):
    """A tool: its name, what of `benchmarks.energy` measures with it, and its package; meter itself has none."""

    name: str
    module: str
    package: str = ""
    smi: bool = False
    """Whether an `nvidia-smi` is in PATH."""

    @property
    def python(self) -> str | None:
        """The interpreter that has it; None where it is not installed."""
        if not self.package:
            return sys.executable
        return os.path.expanduser(f"{VENVS}/{self.module}/bin/python") if self.version else None

    @property
    def version(self) -> str:
        """What is installed, such as `zeus 0.16.0`; empty where nothing is."""
        name = self.package.partition("=")[0].partition("[")[0]
        pattern = os.path.expanduser(f"{VENVS}/{self.module}/lib/python*/site-packages/{name}-*.dist-info")
        found = [os.path.basename(path).removesuffix(".dist-info").replace("-", " ") for path in glob.glob(pattern)]
        return found[0] if found else ""

    def measures(self, row: str) -> bool:
        """Whether it takes part: pyRAPL knows no GPUs, and only there it matters whether a program is in PATH."""
        return self.module != "pyrapl" if MACHINES[row].gpus else "," not in self.name


METER: Final = (Tool("meter exec", "exec"), Tool("meter run", "run"), Tool("measure()", "measure"))
PEERS: Final = (
    Tool("codecarbon", "codecarbon", "codecarbon==3.3.2", smi=True),
    Tool("codecarbon, no nvidia-smi", "codecarbon", "codecarbon==3.3.2"),
    Tool("zeus", "zeus", "zeus==0.16.0"),
    Tool("pyJoules", "pyjoules", "pyJoules[nvidia]==0.5.1"),
    Tool("pyRAPL", "pyrapl", "pyRAPL==0.2.3.1"),
    Tool("carbontracker", "carbontracker", "carbontracker==2.4.7"),
)


def install() -> None:
    """Make the environment of each tool that has none; all together have about 1 GB. Raises: CalledProcessError."""
    base = os.path.join(sys.base_prefix, "bin", "python3")  # an environment of its own may have no pip
    for tool in PEERS:
        if tool.python is None:
            folder = os.path.expanduser(f"{VENVS}/{tool.module}")
            python = f"{folder}/bin/python"
            for words in (
                [base, "-m", "venv", "--without-pip", folder],
                [base, "-m", "pip", "--python", python, "install", "-q", tool.package],
            ):
                subprocess.run(words, check=True, capture_output=True, text=True)


class Answer(NamedTuple):
    """What a tool said of a machine: joules by its names, its total or else their sum, and why there is none."""

    row: str
    tool: Tool
    joules: Mapping[str, float | None]
    total: float | None
    window_s: float
    said: str
    cpu_s: float

    @property
    def truth(self) -> float:
        """Joules of the machine in the window of this tool."""
        return MACHINES[self.row].total_w * self.window_s

    @property
    def right(self) -> bool:
        """Whether it is the truth, or missing with a reason where nothing can be known."""
        machine = MACHINES[self.row]
        if machine.denied:
            return self.total is None and bool(self.said)
        step = machine.total_w * (GPU_STEP_S if machine.gpus else STEP_S)
        near = NEAR_OTHER if self.tool.package else NEAR
        return self.total is not None and abs(self.total - self.truth) <= near * self.truth + step


class Run:
    """A tool in a folder of its own: it says when it is ready, begins at a word, and ends by itself."""

    def __init__(self, tool: Tool, row: str, folder: Path, begins_with: Sequence[str], window_s: float) -> None:
        self.tool, self.row, self._window_s = tool, row, window_s
        self._shared = folder
        self._folder = folder / f"{row} {tool.name}"
        self._folder.mkdir()
        self._out, self._err = self._folder / "out", self._folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [*begins_with, *self._words()],
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
            )

    def _environment(self) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        own = {
            "HOME": str(self._folder),
            "XDG_CACHE_HOME": str(self._folder),
            "PATH": f"{self._shared / 'smi'}:{path}" if self.tool.smi else path,
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
            "COLUMNS": "1000",
        }
        if MACHINES[self.row].gpus:
            own |= nvml.environment(self._folder, self._shared / nvml.NAME, MACHINES[self.row].gpus)
            own["METER_BENCHMARK_SYSROOT"] = str(self._shared / "driver")
        return environment(own)

    def _words(self) -> list[str]:
        gpus = MACHINES[self.row].gpus
        meter = f'"{self.tool.python}" -m meter'
        root = f' --sysroot "{self._shared / "driver"}"' if gpus else ""
        gate = "echo ready; read _; exec"
        match self.tool.module:
            case "exec":
                line = f"{gate} {meter} exec{root} --format json -- sleep {self._window_s}"
            case "run":
                mount = (
                    f"{meter} mount{root} /energy {'nvml' if gpus else 'cpu rapl'} csv path=energy.csv >&2 || exit 1"
                )
                line = f"{mount}; {gate} {meter} run{root} /energy --for {self._window_s}s"
            case module:
                kind = "gpu" if gpus else "rapl"
                return [str(self.tool.python), "-m", f"benchmarks.energy.{module}", "window", str(self._window_s), kind]
        return ["bash", "-c", line]

    @property
    def ended(self) -> bool:
        """Whether it has; what it used is not asked for yet."""
        return os.waitid(os.P_PID, self._process.pid, _WAIT) is not None

    @property
    def ready(self) -> bool:
        """Whether it waits for the word, or has ended."""
        return b"ready\n" in self._out.read_bytes() or self.ended

    def begin(self) -> None:
        """Say the word; who has ended hears nothing."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def answer(self, deadline: float) -> Answer:
        """What it said, once it has ended; after the deadline it is ended."""
        while not self.ended:
            if time.monotonic() > deadline:
                self._process.kill()
            time.sleep(0.02)
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        found = self._found()
        joules = found.get("joules", {})
        total = found.get("total")
        if total is None and not found.get("note"):
            total = added(joules)
        silent = joules and not MACHINES[self.row].denied
        said = found.get("note") or ("" if silent else self._last_words())
        window_s = found.get("window_s", self._window_s)
        return Answer(self.row, self.tool, joules, total, window_s, said, usage.ru_utime + usage.ru_stime)

    def _found(self) -> dict[str, Any]:
        text = self._out.read_text(errors="replace")
        if self.tool.module == "exec":
            document = text.partition("ready\n")[2]
            return of_exec(json.loads(document)) if document.strip() else {}
        if self.tool.module == "run":
            path = self._folder / "energy.csv"
            return of_run(path.read_text()) if path.exists() else {}
        lines = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]
        return dict(json.loads(lines[-1])) if lines else {}

    def _last_words(self) -> str:
        """What it says of permissions or as a diagnostic, else its last line: of a traceback the error."""
        text = self._err.read_text(errors="replace") + self._out.read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith((MARK, "ready"))]
        told = [line for line in lines if line.startswith("error[") or "ermission" in line] or lines[-1:]
        return told[0] if told else f"nothing, and ended with {self._process.returncode}"


def added(joules: Mapping[str, float | None]) -> float | None:
    """What a user gets who adds up what is not called a part of a processor; None where there is nothing."""
    values = [value for name, value in joules.items() if value is not None and not name.startswith(("core", "uncore"))]
    return sum(values) if values else None


def of_exec(document: Mapping[str, Any]) -> dict[str, Any]:
    """What `meter exec` says of energy."""
    energy = document["energy"]
    return {
        "joules": {each["name"]: each["value"] for each in energy["domains"]},
        "total": energy["total"]["value"],
        "window_s": energy["window"]["value"] or document["duration"]["value"],
        "note": energy["total"]["reason"] or "",
    }


def of_run(text: str) -> dict[str, Any]:
    """The sums over the rows of a file, from its first row to its last; the total is of what is no part of another."""
    sums: dict[str, float] = {}
    rows = list(csv.DictReader(text.splitlines()))
    for each in rows:
        if each["metric"] == "hw.energy":
            attributes = dict(pair.split("=", 1) for pair in each["attributes"].split(";") if pair)
            name = attributes.get("domain") or each["resource"].replace("/", " ")
            sums[name] = sums.get(name, 0.0) + float(each["value"] or "nan")
    if not sums:
        return {}
    total = sum(value for name, value in sums.items() if name in ("package", "dram") or name.startswith("gpu"))
    begin, end = (datetime.fromisoformat(each["time"][:26] + "+00:00") for each in (rows[0], rows[-1]))
    return {"joules": sums, "total": total, "window_s": (end - begin).total_seconds()}
