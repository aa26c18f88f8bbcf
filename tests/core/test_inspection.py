"""Inspection: whether the code of a plugin is what its contract says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meter.contracts.reader import read
from meter.core.inspection import examine, inspect
from tests.contracts.build import at, filter_, output, shown, source
from tests.core.test_loading import _modules  # noqa: F401  (what a test loads is forgotten)

if TYPE_CHECKING:
    from collections.abc import Sequence

IMPORT = "from meter.core.plugin import Filter, Gone, Output, Source\n"
SOURCE = "class Plugin(Source):\n    def poll(self, out): ...\n"
FILTER = "class Plugin(Filter):\n    def run(self, selections, block): ...\n"
OUTPUT = "class Plugin(Output):\n    def write(self, batch): ...\n"
CHECK = "def check_config(config): ...\n"


def said(place: Path, contract: str, code: str) -> Sequence[tuple[str, str, str]]:
    """Code, message and what is pointed at, of what the code of a plugin is not."""
    folder = place / "p"
    folder.mkdir()
    (folder / "contract.toml").write_text(contract)
    (folder / "plugin.py").write_text(IMPORT + code)
    path = str(folder / "contract.toml")
    found = read(contract.encode(), path).contract
    assert found is not None
    documents = [shown(diagnostic) for diagnostic in examine(found, path)]
    return [(each["code"], each["message"], at(each, contract, file=path)) for each in documents]


@pytest.mark.parametrize(
    ("contract", "code"), [(source("p"), SOURCE), (filter_("p"), FILTER), (output("p"), OUTPUT)], ids="sfo"
)
def test_a_class_of_its_placement_is_fine(tmp_path: Path, contract: str, code: str) -> None:
    """Its own work is written, the rest it has from its base."""
    assert said(tmp_path, contract, code) == []


@pytest.mark.parametrize(
    ("contract", "code", "why"),
    [
        (filter_("p"), SOURCE, "it is made for the role source, not for filter"),
        (source("p"), OUTPUT, "it is made for the role output, not for source"),
        (output("p"), "class Plugin(Output): ...", "it has no `write`, which the role output needs"),
        (source("p"), "class Plugin(Source): ...", "it has no `poll`, which the role source needs"),
        (filter_("p"), "class Plugin: ...", "it has no `run`, which the role filter needs"),
        (filter_("p"), "class Plugin:\n    def run(self, s, b): ...", "it has no `bind`, which the role filter needs"),
        (source("p"), "class Plugin(Source):\n    poll = 3", "it has no `poll`, which the role source needs"),
        (source("p"), "def Plugin(config): ...", "it is `function` and not a class"),
        (source("p"), "Plugin = None", "it is `None` and not a class"),
    ],
)
def test_a_class_of_another_kind_is_named(tmp_path: Path, contract: str, code: str, why: str) -> None:
    """Before anything runs, with what it lacks."""
    ((found, message, _),) = said(tmp_path, contract, code)

    assert found == "E-EXPORT-MISMATCH"
    assert message == f"`p` exports `plugin:Plugin`, which is not what it has to be: {why}"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def check_config(): ...", "it cannot be called with 1 argument"),
        ("def check_config(one, two): ...", "it cannot be called with 1 argument"),
        ("class check_config: ...", "it is `type` and not a function"),
        ("check_config = None", "it is `None` and not a function"),
        ("def check_config(one, two=2, *, three=3): ...", ""),
        ("check_config = lambda *config: None", ""),
        ("check_config = print", ""),
    ],
)
def test_a_function_can_be_called(tmp_path: Path, code: str, why: str) -> None:
    """With what it will be called with."""
    exports = 'exports.check_config = "plugin:check_config"\n'
    found = said(tmp_path, source("p", more=exports), SOURCE + code)

    assert [code for code, _, _ in found] == (["E-EXPORT-MISMATCH"] if why else [])
    assert all(message.endswith(why) and pointed == '"plugin:check_config"' for _, message, pointed in found)


def test_what_is_not_there_is_pointed_at(tmp_path: Path) -> None:
    """Every export is looked at."""
    exports = 'exports = { plugin = "plugin:Plugin", one = "plugin:one", two = "other:two" }\n'
    found = said(tmp_path, source("p", more=exports), SOURCE)

    assert [(code, pointed) for code, _, pointed in found] == [
        ("E-EXPORT-MISSING", '"plugin:one"'),
        ("E-EXPORT-MISSING", '"other:two"'),
    ]


def test_a_free_export_may_be_any_function(tmp_path: Path) -> None:
    """And share it with another one."""
    exports = 'exports = { check_config = "plugin:check_config", serialize = "plugin:check_config" }\n'
    assert said(tmp_path, source("p", more=exports), SOURCE + CHECK) == []


def test_a_hook_that_nothing_calls_is_named(tmp_path: Path) -> None:
    """Its author believes that it works."""
    ((code, message, _),) = said(tmp_path, source("p"), SOURCE + CHECK)

    assert code == "W-EXPORT-UNUSED"
    assert message == "`p` has the function `plugin:check_config`, which its contract does not export"


def test_a_helper_of_the_same_name_is_none(tmp_path: Path) -> None:
    """It could not be called as the hook is."""
    assert said(tmp_path, source("p"), SOURCE + "def check_config(): ...\n") == []


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "1 / 0", "import no_such_module_anywhere", "def f(:"])
def test_code_that_cannot_be_imported_is_named(tmp_path: Path, code: str) -> None:
    """As what it raised, whatever that is."""
    ((found, message, _),) = said(tmp_path, source("p"), code)

    assert found == "E-PLUGIN-RAISED"
    assert "`p` failed in `load`: " in message


def test_a_place_is_inspected_whole(tmp_path: Path) -> None:
    """Sound contracts one by one; what cannot be read is no matter of the code."""
    for name, code in (("a", SOURCE), ("b", "Plugin = 1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "contract.toml").write_text(source(name, more='status = ["tested"]\n'))
        (tmp_path / name / "plugin.py").write_text(IMPORT + code)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "contract.toml").write_text("name = 1")

    found = inspect(str(tmp_path))

    # The author in these texts is "a".
    assert [(each.code, Path(each.spans[0].file).parent.name) for each in found] == [
        ("W-CLAUSE-FORM", "a"),
        ("W-CLAUSE-FORM", "b"),
        ("E-EXPORT-MISMATCH", "b"),
    ]
    assert inspect(str(tmp_path / "nowhere")) == []
