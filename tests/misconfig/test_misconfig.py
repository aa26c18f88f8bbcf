"""Each misconfiguration is refused with its code at its place, and its good twin passes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.misconfig.__main__ import PAGE, put
from tests.misconfig.cases import FOLDER, Case, cases, mended, result

NUMBERS = (1, 2, 5, 6, 8, 10, 11, 12, 13, 15, 17, 18, 20, 22, 23, 25, 26, 28, 31, 32, 33, 34, 36, 38)
OURS = (1, 4, 5, 6, 7, 10, 11, 12, 14, 16, 17, 18, 19, 21, 22, 23)
IDS = [*map(str, NUMBERS), *(f"G{number}" for number in OURS)]
ROOT = FOLDER.parents[1]
REFUSED = [pytest.param(case, id=case.id) for case in cases() if case.code]
GOOD = [pytest.param(case, id=case.id) for case in cases() if case.file("good").exists()]


def test_every_case_is_there() -> None:
    """Each has a file that is refused, or says what is seen while running and by which test; none is forgotten."""
    assert [case.id for case in cases()] == IDS
    for case in cases():
        assert case.file("bad").exists() == bool(case.code), case.id
        assert case.code or case.running, case.id
        assert bool(case.tests) == bool(case.running), case.id
        assert case.file("good").exists() or case.tests, case.id
    files = {path.name.rpartition("-")[0] for path in FOLDER.glob("*-*.toml")}
    assert files <= set(IDS)


@pytest.mark.parametrize("case", REFUSED)
def test_the_bad_one_is_refused(case: Case) -> None:
    """With one error, of the code that the case states, whose first place is the fault; and no warning beside it."""
    plans, found = result(case, "bad")
    assert [each["code"] for each in found] == [case.code], [each["message"] for each in found]
    [diagnostic] = found
    assert diagnostic["severity"] == "error"
    span = diagnostic["spans"][0]
    assert span["file"] == case.file("bad").name
    line = case.file("bad").read_text(encoding="utf-8").splitlines()[span["line"] - 1]
    assert line[span["column"] - 1 :][: span["length"]] == case.points
    assert diagnostic["help"]
    assert len(plans) == case.file("bad").read_text(encoding="utf-8").count("[mounts.") - 1


@pytest.mark.parametrize("case", GOOD)
def test_the_good_twin_passes(case: Case) -> None:
    """Without an error and without a warning."""
    plans, found = result(case, "good")
    assert [each["message"] for each in found] == []
    assert plans


def test_every_case_is_mended_by_its_help_or_on_the_host() -> None:
    """What the file itself cannot mend is a matter of the host."""
    assert {case.id for case in cases() if case.code and not case.mended} == {
        case.id for case in cases() if case.code == "E-HOST"
    }


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases() if case.mended])
def test_who_reads_only_the_help_mends_it(case: Case, tmp_path: Path) -> None:
    """Each new word is one that is told, and with these changes nothing is said any more."""
    [diagnostic] = result(case, "bad")[1]
    told = f"{diagnostic['message']}\n{diagnostic['help']}"
    for old, new in case.mended:
        known, words = (set(re.findall(r"[\w.{}=*!|$-]*\w[\w.{}=*!|$-]*", text)) for text in (old, new))
        assert [word for word in sorted(words - known) if word not in told] == []
    assert [each["message"] for each in mended(case, tmp_path)] == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases() if case.tests])
def test_what_is_seen_while_running_has_a_test(case: Case) -> None:
    """The tests that a case names are there."""
    for name in case.tests:
        file, *path = name.split("::")
        nodes: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
        for part in path:
            [node] = [each for each in nodes if isinstance(each, ast.FunctionDef | ast.ClassDef) and each.name == part]
            nodes = node.body
        assert path[-1].startswith("test_")


def steady(page: str) -> str:
    """A page without the numbers of lines, which move whenever a contract gets one more."""
    page = re.sub(r"(contract\.toml):\d+:\d+", r"\1", page)
    return re.sub(r"[ \t]+", " ", re.sub(r"^ *\d* (?=[|=:])", "", page, flags=re.MULTILINE))


def test_the_page_shows_what_meter_says() -> None:
    """`python -m tests.misconfig` would write docs/misconfigurations.md as it is."""
    page = Path(PAGE).read_text(encoding="utf-8")
    assert steady(put(page)) == steady(page), (
        "texts or cases have changed: python -m tests.misconfig writes the page anew"
    )
