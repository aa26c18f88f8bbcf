"""The chain of `meter exec` and `measure()`, and how long its plan is kept."""

from __future__ import annotations

import importlib.util
import shutil
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

import pytest

from meter.core.automatic import Asked, PlanRefused, cache_folder, chain
from meter.core.discovery import builtin_folder

if TYPE_CHECKING:
    from pathlib import Path

ENERGY = "/sys/class/powercap/intel-rapl*/energy_uj"


class World:
    """A machine that has CPUs and no energy, a copy of the built-in contracts, and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugins = folder / "plugins"
        (folder / "root" / "proc").mkdir(parents=True)
        (folder / "root" / "proc" / "stat").touch()
        only = shutil.ignore_patterns("*.py", "*.md", "__pycache__")
        shutil.copytree(builtin_folder(), self.plugins, ignore=only)

    def order(self) -> tuple[str, ...]:
        """The plugins of the chain that is asked for."""
        asked = Asked("/exec", str(self.folder), sysroot=str(self.folder / "root"), carbon="FRA")
        return chain(asked).mounted.plan.order

    def edit(self, plugin: str, old: str, new: str) -> None:
        """Change the contract of a plugin."""
        path = self.plugins / plugin / "contract.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """One in which the chain was planned once."""
    made = World(tmp_path)
    spec = ModuleSpec("meter.plugins", None, is_package=True)
    spec.submodule_search_locations = [str(made.plugins)]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "meter.plugins" else find(name))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    order = made.order()
    assert "cpu" in order
    assert not {"carbon", "rapl"} & set(order)
    return made


def test_the_contract_of_a_filter_that_could_not_be_taken_is_looked_at_again(world: World) -> None:
    """Without energy grams are only asked for, of a filter that the plan does not have."""
    world.edit("carbon", '"FRA", ', "")
    with pytest.raises(PlanRefused, match="FRA"):
        world.order()


def test_the_contract_of_a_source_that_was_left_out_is_looked_at_again(world: World) -> None:
    """It may need something else of the host now."""
    world.edit("rapl", ENERGY, "/proc/stat")
    assert "rapl" in world.order()


def test_a_new_plugin_is_looked_at(world: World) -> None:
    """Or one that has gone, in the folder of the built-in ones."""
    shutil.rmtree(world.plugins / "cpu")
    assert "cpu" not in world.order()


def test_one_plan_is_kept_however_often_contracts_change(world: World) -> None:
    """And the plan that is kept is used where nothing has changed."""
    world.edit("rapl", ENERGY, "/proc/stat")
    shutil.rmtree(world.plugins / "uptime")
    changed = world.order()
    (kept,) = (world.folder / "cache" / "meter").iterdir()
    before = kept.stat().st_mtime_ns

    assert cache_folder() == str(kept.parent)
    assert world.order() == changed
    assert kept.stat().st_mtime_ns == before
