"""The rules of the house: where things lie, who imports whom, and what light commands must not load."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.powercap import row

ROOT = Path(__file__).parents[2]
ROOTS = ("core", "contracts", "plugins", "cli")
DEADLINE_S = 60.0

THIRD_PARTY = ("networkx", "numpy", "attrs", "attr", "cattrs", "tomlkit", "rich")
HEAVY = (*THIRD_PARTY, "configparser", "meter.plugins.", "meter.contracts.language")
"""Names of modules, and with a final point of packages of which no module may be there."""

# Runs the command line, then writes the names of all loaded modules to the file in $LOADED. At the first spawn they
# are written to $LOADED.spawn.
WRAPPER = """
import os, sys

def write(path):
    names = "\\n".join(sorted(sys.modules))
    with open(path, "w") as file:
        file.write(names)

def hook(event, args):
    at_spawn = os.environ["LOADED"] + ".spawn"
    if event in ("os.posix_spawn", "os.exec", "subprocess.Popen") and not os.path.exists(at_spawn):
        write(at_spawn)

sys.addaudithook(hook)
sys.argv[0] = "meter"
from meter.cli.main import main

try:
    main()
finally:
    write(os.environ["LOADED"])
"""


class Meter:
    """`meter` in a folder of its own, with the modules that its commands load."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self._loaded = folder / "loaded"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        roots = os.pathsep.join(str(ROOT / root) for root in ROOTS)
        own = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}
        self._environment = {**kept, **own, "PYTHONPATH": roots, "LOADED": str(self._loaded)}

    def run(self, *words: str, status: int = 0, **more: str) -> str:
        """The output of a command that ends with this status."""
        done = subprocess.run(
            [sys.executable, "-c", WRAPPER, *words],
            cwd=self.work,
            env={**self._environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def loaded(self, at: str = "") -> set[str]:
        """The modules that the last command had loaded, in the end or `at` some event."""
        return set(Path(f"{self._loaded}{at}").read_text().split())

    def forget_spawn(self) -> None:
        """Take the next spawn for the first one."""
        Path(f"{self._loaded}.spawn").unlink(missing_ok=True)


@pytest.fixture
def meter(tmp_path: Path) -> Meter:
    """A meter without mounts and with an empty cache."""
    return Meter(tmp_path)


def among(forbidden: tuple[str, ...], loaded: set[str]) -> list[str]:
    """Which loaded modules are forbidden."""
    exact = {name for name in forbidden if not name.endswith(".")}
    packages = tuple(name for name in forbidden if name.endswith("."))
    return sorted(name for name in loaded if name in exact or (packages and name.startswith(packages)))


# ------------------------------------------------------------------------------------------------------ light and heavy


@pytest.mark.parametrize("words", [("--help",), ("--version",)], ids=" ".join)
def test_help_and_version_are_light(meter: Meter, words: tuple[str, ...]) -> None:
    """Neither loads what only a check or a run needs."""
    assert "meter" in meter.run(*words)
    assert among(HEAVY, meter.loaded()) == []


def test_completion_is_light(meter: Meter) -> None:
    """A TAB lists the commands and loads nothing heavy."""
    output = meter.run(_METER_COMPLETE="bash_complete", COMP_WORDS="meter ", COMP_CWORD="1")

    assert {"plain,exec", "plain,mount", "plain,check"} <= set(output.split())
    assert among(HEAVY, meter.loaded()) == []


def test_a_check_of_unchanged_mounts_is_light(meter: Meter) -> None:
    """It answers from the lock; after a change of the request the contract language is there, which shows the guard."""
    meter.run("mount", "/host", "cpu", "memory", "csv", "path=host.csv")

    assert meter.run("check") == "/host: ok, cpu, memory -> csv\n"
    assert among(HEAVY, meter.loaded()) == []

    with (meter.work / "meter.toml").open("a") as file:
        file.write('[mounts."/more"]\nplugins = ["random", "csv"]\nconfig.csv.path = "more.csv"\n')
    meter.run("check")
    assert "meter.contracts.language" in meter.loaded()


def test_a_run_from_a_valid_lock_reads_no_contract(meter: Meter) -> None:
    """Neither graphs nor the contract language are loaded; numpy is, with the first batch."""
    meter.run("mount", "/host", "cpu", "memory", "csv", "path=host.csv")
    meter.run("run", "/host", "--for", "200ms")

    assert "numpy" in meter.loaded()
    assert among(("networkx", "attrs", "attr", "cattrs", "meter.contracts.language"), meter.loaded()) == []
    assert (meter.work / "host.csv").read_text().count("\n") > 1


def test_windows_import_nothing_when_they_end(meter: Meter) -> None:
    """What a chain needs is there with its first batch: an import is a pause, such as of numpy.ma by np.unique."""
    windows = ("aggregate", "metrics=system.cpu.time", "function=sum", "window=50ms")
    meter.run("mount", "/host", "cpu", "interval=10ms", *windows, "csv", "path=a.csv")
    meter.run("run", "/host", "--for", "300ms")

    assert (meter.work / "a.csv").read_text().count("\n") > 1
    assert "numpy" in meter.loaded()
    assert among(("numpy.ma",), meter.loaded()) == []


@pytest.mark.parametrize("words", [(), ("--sysroot", ".", "--carbon", "FRA")], ids=["plain", "carbon"])
def test_a_measured_command_is_spawned_before_numpy_is_loaded(meter: Meter, words: tuple[str, ...]) -> None:
    """With a cached plan nothing heavy runs before the command, so that little of meter is in its measurement."""
    row(meter.work, "A")
    meter.run("exec", *words, "--", "true")
    meter.forget_spawn()

    document = json.loads(meter.run("exec", *words, "--format", "json", "--", "sleep", "0.2"))

    assert among(("numpy", "networkx", "attrs", "cattrs", "meter.contracts.language"), meter.loaded(".spawn")) == []
    assert "meter.core.engine" in meter.loaded(".spawn")
    assert document["exit_code"] == 0


# ---------------------------------------------------------------------------------------------------- where things lie


def test_the_four_roots_share_one_namespace() -> None:
    """`meter` is a PEP 420 namespace: a package of that name would hide it, in a root or wherever Python starts."""
    assert [path for root in ROOTS for path in (ROOT / root).rglob("meter/__init__.py")] == []
    assert [_packages(ROOT / root / "meter") for root in ROOTS] == [[root] for root in ROOTS]


def _packages(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"]


@pytest.mark.parametrize("root", ROOTS)
def test_each_package_is_typed(root: str) -> None:
    """Type checkers of others see the annotations (PEP 561)."""
    assert (ROOT / root / "meter" / root / "py.typed").is_file()
    assert (ROOT / root / "meter" / root / "__init__.py").is_file()


def test_imports_go_down_only() -> None:
    """The order is cli, plugins, core, contracts, and no plugin imports another."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / root) for root in ROOTS)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_licence_is_bsd_3_clause() -> None:
    """LICENSE has the three conditions, and the metadata name it."""
    text = " ".join((ROOT / "LICENSE").read_text().split())
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert text.count("Redistributions") == 2
    assert "Neither the name of" in text
    assert 'THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS"' in text
    assert (metadata["license"], metadata["license-files"]) == ("BSD-3-Clause", ["LICENSE"])


# With brackets, so that this file does not hold what it looks for.
_PRIVATE = re.compile(r"[/](home/[a-z]|root\b|Users/)|py[p]i\.|python[h]osted")


def test_no_file_names_a_home_or_a_registry() -> None:
    """What is tracked, or could be, holds no path of somebody's machine and no host that packages come from."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("the tree is no git checkout")
    found = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if path.is_file():
            text = path.read_bytes().decode(errors="replace")
            found += [f"{name}: {hit[0]}" for hit in _PRIVATE.finditer(text)]

    assert found == []
