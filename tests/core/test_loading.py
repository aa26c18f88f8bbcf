"""Loading: the object that a contract exports, wherever the plugin lies."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from meter.core.discovery import builtin_folder
from meter.core.loading import ExportMissing, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    """What a test loads is forgotten."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("meter_plugin_"):
            del sys.modules[name]


def folder(place: Path, **files: str) -> str:
    """A plugin's folder with some modules; the path of its contract."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "contract.toml").write_text("")
    for name, text in files.items():
        (place / f"{name}.py").write_text(text)
    return str(place / "contract.toml")


def test_a_built_in_plugin_is_a_module_of_the_package() -> None:
    """So that whoever imports it gets the same class."""
    from meter.plugins.random.plugin import Random

    assert load("random", f"{builtin_folder()}/random/contract.toml", "plugin:Random") is Random


def test_a_folder_is_a_package_of_its_own(tmp_path: Path) -> None:
    """Its modules import each other relatively, `__init__.py` or not."""
    bare = folder(tmp_path / "bare", plugin="from .helper import WORD", helper="WORD = 'bare'")
    whole = folder(
        tmp_path / "whole",
        __init__="WORD = 'whole'",
        plugin="from . import WORD as FIRST\nfrom .helper import WORD",
        helper="from . import WORD",
    )

    assert load("bare", bare, "plugin:WORD") == "bare"
    assert load("whole", whole, "plugin:FIRST") == load("whole", whole, "plugin:WORD") == "whole"


def test_a_module_may_lie_deeper_or_be_a_package(tmp_path: Path) -> None:
    """`exports` names a module relative to the folder."""
    contract = folder(tmp_path / "deep")
    folder(tmp_path / "deep" / "inner", part="from ..other import WORD")
    folder(tmp_path / "deep" / "whole", __init__="WORD = 2")
    folder(tmp_path / "deep", other="WORD = 1")

    assert load("deep", contract, "inner.part:WORD") == 1
    assert load("deep", contract, "whole:WORD") == 2


def test_a_single_file_is_a_plugin(tmp_path: Path) -> None:
    """Its name does not matter to anybody else's."""
    for word in ("one", "two"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "probe.py").write_text(f"WORD = {word!r}")

    assert [load("p", str(tmp_path / word / "probe.py"), "probe:WORD") for word in ("one", "two")] == ["one", "two"]


def test_plugins_with_equal_module_names_never_meet(tmp_path: Path) -> None:
    """Each gets its own `plugin.py` and its own helper, and no bare name is taken from anybody."""
    for word in ("one", "two"):
        folder(tmp_path / word, plugin="from .helper import WORD", helper=f"WORD = {word!r}")
    before = set(sys.modules)

    assert [load(w, str(tmp_path / w / "contract.toml"), "plugin:WORD") for w in ("one", "two")] == ["one", "two"]
    assert not (set(sys.modules) - before) & {"plugin", "helper"}
    assert str(tmp_path / "one") not in sys.path


def test_a_plugin_is_loaded_once(tmp_path: Path) -> None:
    """Two instances share their module."""
    contract = folder(tmp_path / "p", plugin="class Plugin: ...")

    assert load("p", contract, "plugin:Plugin") is load("p", contract, "plugin:Plugin")


@pytest.mark.parametrize(
    ("export", "why"),
    [
        ("missing:Plugin", "there is no file"),
        ("plugin:Plughin", "has no `Plughin`"),
        ("inner.missing:Plugin", "there is no file"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, export: str, why: str) -> None:
    """The plugin, what it exports, and what of it is missing."""
    contract = folder(tmp_path / "p", plugin="class Plugin: ...")
    with pytest.raises(ExportMissing) as caught:
        load("p", contract, export)

    assert (caught.value.plugin, caught.value.export) == ("p", export)
    assert why in caught.value.why
    assert "`p` exports" in str(caught.value)


def test_what_is_not_there_in_a_built_in_plugin_is_said_too() -> None:
    """There the module is looked up by its name."""
    with pytest.raises(ExportMissing, match="there is no module `nothing`"):
        load("random", f"{builtin_folder()}/random/contract.toml", "nothing:Random")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import no_such_module_anywhere", ModuleNotFoundError),
        ("from .no_such_part import x", ModuleNotFoundError),
        ("raise SystemExit(3)", SystemExit),
        ("1 / 0", ZeroDivisionError),
        ("def Plugin(:", SyntaxError),
    ],
)
@pytest.mark.parametrize("single", [False, True])
def test_an_error_of_the_plugin_surfaces(
    tmp_path: Path, text: str, error: type[BaseException], *, single: bool
) -> None:
    """It is not taken for a missing export, and the next attempt runs the module again."""
    if single:
        contract, export = str(tmp_path / "probe.py"), "probe:Plugin"
        (tmp_path / "probe.py").write_text(text)
        if "from ." in text:
            error = ImportError
    else:
        contract, export = folder(tmp_path / "p", plugin=text), "plugin:Plugin"
    for _ in range(2):
        with pytest.raises(error):
            load("p", contract, export)
