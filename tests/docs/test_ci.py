"""The jobs of ci.md: their files are what the services read, and their commands run in the page's repository."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_docs import ROOT, Shell, blocks

PAGE = "docs/ci.md"
INSTALL = 'python -m pip install "$METER"'


def job(name: str) -> Any:
    """A file of the page that a service reads, parsed."""
    yaml = import_module("yaml")  # only who has the extra `docs` has it
    [block] = [block for block in blocks(PAGE) if block.mark == "file" and block.says == name]
    return yaml.safe_load(block.text)


def commands(name: str) -> list[str]:
    """The commands of a job but the one that installs meter."""
    document = job(name)
    if name.startswith(".github"):
        steps = document["jobs"]["check"]["steps"]
        found = [step["run"] for step in steps if "run" in step]
    else:
        found = document["meter"]["script"]
    assert found[0] == INSTALL
    return list(found[1:])


@pytest.fixture
def repository(tmp_path: Path) -> Shell:
    """The page's repository, mounted."""
    shell = Shell(tmp_path)
    for block in blocks(PAGE):
        if block.mark == "file":
            shell.write(block)
    assert shell.run("meter mount /host") == (0, "/host: cpu, memory -> csv\n")
    return shell


@pytest.mark.tools("yaml")
@pytest.mark.parametrize("name", [".github/workflows/meter.yml", ".gitlab-ci.yml"])
def test_the_commands_of_a_job_run(repository: Shell, name: str) -> None:
    """On the sound repository each ends with 0; a request that was edited by hand makes a job fail, as it is locked."""
    assert [repository.run(command)[0] for command in commands(name)] == [0, 0]
    mounts = repository.folder / "meter.toml"
    mounts.write_text(mounts.read_text().replace('"cpu"', '"cpuu"'))
    assert sorted(repository.run(command)[0] for command in commands(name)) == [0, 4], "one decides, one reports"
    [made] = [path for path in repository.folder.glob("meter*") if path.suffix in (".sarif", ".json")]
    assert json.loads(made.read_text())
    assert {".sarif": "E-PLUGIN-UNKNOWN", ".json": "E-LOCK-STALE"}[made.suffix] in made.read_text()


@pytest.mark.tools("yaml")
def test_what_a_job_uploads_is_what_it_made() -> None:
    """The names of files agree."""
    upload = [step["with"]["sarif_file"] for step in job(".github/workflows/meter.yml")["jobs"]["check"]["steps"][-1:]]
    assert commands(".github/workflows/meter.yml")[-1].endswith(f"> {upload[0]} || true")
    [kept] = job(".gitlab-ci.yml")["meter"]["artifacts"]["paths"]
    assert commands(".gitlab-ci.yml")[0].endswith(f"> {kept} || true")


def test_meters_own_check_is_one_call() -> None:
    """`.ci/run` does as the page advises, and so does CONTRIBUTING.md."""
    script = (ROOT / ".ci" / "run").read_text()
    [line] = [line.strip() for line in script.splitlines() if line.startswith("meter check ")]
    assert "examples plugins" in line
    assert "--strict" in line


def test_what_the_test_command_skips_is_run_later() -> None:
    """Who needs a tool that the extra `test` does not have is marked, and `.ci/run` runs what is marked."""
    files = [path for path in Path(__file__).parent.glob("*.py") if path.name != "conftest.py"]
    asked = {name for path in files for name in re.findall(r"importorskip\(\"(\w+)", path.read_text())}
    assert asked <= {"pyarrow"}, "the extra `test` has it"
    assert "-m pytest -q tests/docs -m tools" in (ROOT / ".ci" / "run").read_text()
