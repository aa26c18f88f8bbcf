"""The cases of contracts and keys, with the result of libelektra beside ours."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import vectors
from tests.vectors import builder, cases

FILE = Path(__file__).parents[1] / "data" / "contract-cases.json"
DOCUMENT = json.loads(FILE.read_text(encoding="utf-8"))
CASES = [case for case in DOCUMENT["cases"] if case["meter"]["verdict"] != "not-applicable"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    """What the case expects, and nothing that it does not."""
    assert cases.wrong(case) == []


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case["level"] == "builder" and "warn" not in case["meter"]["expect"]],
    ids=lambda case: case["id"],
)
def test_nothing_is_warned_of_that_a_case_does_not_expect(case: dict[str, Any]) -> None:
    """A warning that nobody can do something about would hide the others."""
    assert not builder.run(case).get("warn")


class TestCommand:
    """`python -m tests.vectors FILE`."""

    def test_it_says_what_failed_and_what_was_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A case that does not pass is named, with what came instead, and the exit code is 1."""
        left_out = next(case for case in DOCUMENT["cases"] if case["meter"]["verdict"] == "not-applicable")
        wrong = {**CASES[0], "meter": {"verdict": "same", "expect": {"order": ["c", "b", "a"]}}}
        path = tmp_path / "cases.json"
        path.write_text(json.dumps({**DOCUMENT, "cases": [CASES[1], wrong, left_out]}), encoding="utf-8")

        assert vectors.main([str(path)]) == 1

        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{CASES[1]['id']}: passed"
        assert lines[1].startswith(f"{wrong['id']}: failed: order: ['a', 'b', 'c'] instead of ['c', 'b', 'a']")
        assert lines[2] == f"{left_out['id']}: not applicable"
        assert lines[-1] == "1 of 2 passed, 1 not applicable"

    @pytest.mark.parametrize("text", ['{"format": "other/1", "cases": []}', "{", "[]"])
    def test_it_refuses_what_it_does_not_understand(self, tmp_path: Path, text: str) -> None:
        """A file of another form has neither passed nor failed: exit 2."""
        path = tmp_path / "cases.json"
        path.write_text(text, encoding="utf-8")

        assert vectors.main([str(path)]) == 2
        assert vectors.main([str(tmp_path / "missing.json")]) == 2
        assert vectors.main([]) == 2

    def test_it_passes_where_all_do(self, tmp_path: Path) -> None:
        """Exit 0, also for a file of nothing."""
        path = tmp_path / "cases.json"
        path.write_text(json.dumps({**DOCUMENT, "cases": CASES[:2]}), encoding="utf-8")

        assert vectors.main([str(path)]) == 0
