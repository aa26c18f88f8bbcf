"""What each kind of command loads: the cost of a start is counted in modules here, never in time."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = ("core", "contracts", "plugins", "cli")
DEADLINE_S = 60.0

# Writes the names of all loaded modules to the file in $LOADED, each with the file that it was read from.
WRITE = """
import os, sys

def write():
    with open(os.environ["LOADED"], "w") as file:
        for name, module in sorted(sys.modules.items()):
            print(name, getattr(module, "__file__", None) or "-", sep="\\t", file=file)
"""
BARE = f"{WRITE}\nwrite()"
WRAPPER = f"""{WRITE}
sys.argv[0] = "meter"
from meter.cli.main import main

try:
    main()
finally:
    write()
"""

OPENSSL = ("hashlib", "_hashlib", "ssl", "_ssl")
COMPRESSORS = ("shutil", "bz2", "lzma")
ERRORS_ONLY = ("difflib", "traceback", "logging")
PROCESSES = ("subprocess", "multiprocessing", "asyncio", "concurrent")
METADATA = ("importlib.metadata", "email.message", "zipfile")


class Started:
    """`meter` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self._loaded = folder / "loaded"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        roots = os.pathsep.join(str(ROOT / root) for root in ROOTS)
        own = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}
        self._environment = {**kept, **own, "PYTHONPATH": roots, "LOADED": str(self._loaded)}
        self.before = self._modules(BARE)

    def modules(self, *words: str, **more: str) -> dict[str, str]:
        """The modules that a command loads beyond those of a bare interpreter, with their files."""
        loaded = self._modules(WRAPPER, *words, **more)
        return {name: file for name, file in loaded.items() if name not in self.before}

    def _modules(self, code: str, *words: str, **more: str) -> dict[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=self.work,
            env={**self._environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(line.split("\t") for line in self._loaded.read_text().splitlines())

    def without_lock(self) -> None:
        """Forget every plan."""
        (self.work / "meter.lock").unlink()


@pytest.fixture
def started(tmp_path: Path) -> Started:
    """A meter without mounts and with an empty cache."""
    return Started(tmp_path)


def installed(modules: dict[str, str]) -> set[str]:
    """The top-level names of what was loaded from installed distributions."""
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    return {name.partition(".")[0] for name, file in modules.items() if any(file.startswith(f) for f in folders)}


def among(modules: dict[str, str], *unwanted: str) -> list[str]:
    """Which of some modules were loaded."""
    return [name for name in unwanted if name in modules]


LIGHT = {
    "help": (("--help",), {}),
    "version": (("--version",), {}),
    "completion": ((), {"_METER_COMPLETE": "bash_complete", "COMP_WORDS": "meter ", "COMP_CWORD": "1"}),
    "check of an unchanged mount": (("check",), {}),
}


@pytest.mark.parametrize(("words", "more"), LIGHT.values(), ids=LIGHT.keys())
def test_light_commands_load_click_and_nothing_else(
    started: Started, words: tuple[str, ...], more: dict[str, str]
) -> None:
    """Of what is installed; of the standard library nothing that only errors, threads or network need."""
    started.modules("mount", "/host", "cpu", "memory", "csv", "path=host.csv")

    modules = started.modules(*words, **more)

    assert installed(modules) == {"click"}
    assert among(modules, *OPENSSL, *ERRORS_ONLY, *PROCESSES, *METADATA, "meter.plugins") == []


def test_a_run_from_a_valid_lock_loads_numpy_and_orjson_besides(started: Started) -> None:
    """Each megabyte of it stays resident for as long as meter runs: neither OpenSSL nor compressors are among it."""
    started.modules("mount", "/host", "cpu", "memory", "csv", "path=host.csv")

    modules = started.modules("run", "--locked", "/host", "--for", "200ms")

    assert installed(modules) == {"click", "numpy", "orjson"}
    assert among(modules, *OPENSSL, *COMPRESSORS, *ERRORS_ONLY, *PROCESSES, *METADATA) == []


def test_who_polls_for_an_isolated_chain_loads_no_numpy(started: Started) -> None:
    """Nor what the outputs need: that is in the other process."""
    started.modules("mount", "/host", "cpu", "memory", "annotate", "attributes=site=lab", "csv", "path=host.csv")

    modules = started.modules("run", "--isolate", "--locked", "/host", "--for", "200ms")

    assert (started.work / "host.csv").stat().st_size > 0
    assert installed(modules) == {"click"}
    assert among(modules, *OPENSSL, *COMPRESSORS, *ERRORS_ONLY, *PROCESSES, *METADATA, "meter.plugins.csv") == []


ANNOTATE = ("annotate", "attributes=site=lab", "annotate#rack", "attributes=rack=7")
ACCUMULATE = ("accumulate", "metrics=system.cpu.time")
RATE = ("rate", "metrics=system.cpu.time.total")


@pytest.mark.parametrize("filters", [(), (*ACCUMULATE, *RATE), (*RATE, *ACCUMULATE)], ids=["none", "asked", "sorted"])
def test_a_cold_check_without_contradiction_loads_no_graph_library(started: Started, filters: tuple[str, ...]) -> None:
    """Sorting along edges needs none; networkx would be half of the whole start."""
    started.modules("mount", "/host", "cpu", *filters, "csv", "path=host.csv")
    started.without_lock()

    modules = started.modules("check")

    assert among(modules, "attrs") == ["attrs"]  # the check was a cold one
    assert among(modules, "networkx", "numpy", *METADATA) == []


def test_a_cold_check_whose_edges_contradict_each_other_loads_it(started: Started) -> None:
    """Each of two filters changes what the other reads."""
    started.modules("mount", "/host", "cpu", *ANNOTATE, "csv", "path=host.csv")
    started.without_lock()

    assert among(started.modules("check"), "networkx") == ["networkx"]
