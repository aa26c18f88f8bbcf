"""The examples of docs/scripting.md: each is typed, runs in an empty folder, and prints what the page shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from meter.core import measure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scripting.md"
DEADLINE_S = 120.0
SOURCES = os.pathsep.join(str(ROOT / root) for root in ("core", "contracts", "plugins", "cli"))

_EXAMPLE = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A block of Python, the line where it begins, and the output that the page shows."""

    line: int
    code: str
    shown: str

    @property
    def name(self) -> str:
        """Its name as a module."""
        return f"line_{self.line}"

    def write(self, folder: Path) -> Path:
        """Make a file of it."""
        path = folder / f"{self.name}.py"
        path.write_text(self.code)
        return path


def examples() -> list[Example]:
    """The examples of the page."""
    text = PAGE.read_text()
    return [Example(text.count("\n", 0, each.start()) + 2, each[1], each[2] or "") for each in _EXAMPLE.finditer(text)]


def run(*words: str | Path, folder: Path) -> str:
    """What a module of Python prints; it has to end well."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    own = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": SOURCES, "MYPYPATH": SOURCES}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**kept, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_every_block_of_python_is_an_example() -> None:
    """None is written so that these tests do not see it."""
    assert len(examples()) == PAGE.read_text().count("```python") >= 9


@pytest.fixture(scope="module")
def typing_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy found out of meter itself, which need not be found again."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.tools("mypy")
def test_the_examples_are_typed(tmp_path: Path, typing_cache: Path) -> None:
    """Strictly, as a user would check them: the interface says all that they need."""
    (tmp_path / "examples").mkdir()
    files = [example.write(tmp_path / "examples") for example in examples()]
    settings = ["--strict", "--namespace-packages", "--explicit-package-bases", "--follow-imports=silent"]

    run("-m", "mypy", *settings, "--cache-dir", typing_cache, *files, folder=tmp_path)


METHODS = """
from meter.core import measure

class Model:
    @measure
    def fit(self, rate: float, *, steps: int = 1) -> float:
        return rate * steps

rate: float = Model().fit(0.5, steps=2)
Model().fit("fast")  # type: ignore[arg-type]
Model().fit(0.5, step=2)  # type: ignore[call-arg]
text: str = Model().fit(0.5)  # type: ignore[assignment]
"""


@pytest.mark.tools("mypy")
def test_a_measured_method_keeps_its_types(tmp_path: Path, typing_cache: Path) -> None:
    """A wrong argument is seen: an `ignore` that is not needed would be an error."""
    (tmp_path / "methods.py").write_text(METHODS)
    settings = ["--strict", "--namespace-packages", "--explicit-package-bases", "--follow-imports=silent"]

    run("-m", "mypy", *settings, "--cache-dir", typing_cache, tmp_path / "methods.py", folder=tmp_path)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_prints_what_the_page_shows(example: Example, tmp_path: Path) -> None:
    """It runs by itself, a test with pytest; `...` stands for any text."""
    if "to_arrow" in example.code:
        pytest.importorskip("pyarrow")
    path = example.write(tmp_path)
    if "import pytest" in example.code:
        assert " passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", path, folder=tmp_path)
        return
    output = run("-W", "error", path, folder=tmp_path)

    wanted = ".*?".join(map(re.escape, example.shown.strip().split("...")))
    assert re.fullmatch(wanted, output.strip(), re.DOTALL), output


def test_the_document_of_a_measurement_is_described() -> None:
    """Every key of `to_json` has its place on the page."""
    with measure() as m:
        pass
    document = json.loads(json.dumps(m.to_json()))
    parts = ("cpu", "memory", "io", "energy")
    keys = [*(f"{part}.{key}" for part in parts for key in document[part]), *(set(document) - set(parts))]
    page = PAGE.read_text()

    assert [key for key in keys if f"`{key}`" not in page] == []


def test_every_number_of_a_measurement_is_described() -> None:
    """Each public property that is a number has its row."""
    page = PAGE.read_text()
    names = [name for name, value in vars(type(measure())).items() if isinstance(value, property) and name[0] != "_"]

    assert "energy" in names
    assert [name for name in names if f"`{name}`" not in page and name != "ended"] == []
