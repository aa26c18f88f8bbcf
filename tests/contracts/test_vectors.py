"""The cases of resolution and ordering, with the result of libelektra beside ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import vectors

FILE = Path(__file__).parents[1] / "data" / "contract-cases.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    """The order, the choice or the error that the case states, and nothing else."""
    assert vectors.run(case) == []


def test_the_command_says_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that does not pass is named, with what came instead, and the exit code is 1."""
    wrong = {**CASES[0], "meter": {"expect": {"order": ["c", "b", "a"]}}}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"cases": [CASES[1], wrong]}), encoding="utf-8")

    assert vectors.main([str(path)]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{CASES[1]['id']}: passed"
    assert lines[1].startswith(f"{wrong['id']}: failed: order: ['a', 'b', 'c'] instead of")
    assert lines[2] == "1 of 2 passed"
