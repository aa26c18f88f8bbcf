"""Discovery: contracts are found and read, plugins are never imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.core.discovery import builtin_folder, discover, read_folder
from tests.core.test_host import folder, nobody

__all__ = ["folder"]

CONTRACT = """\
name = "{name}"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[[provides.metrics]]
name = "{name}.value"
type = "f64"
unit = "1"
kind = "gauge"
resource = ["machine"]
"""


def plugin(place: Path, name: str = "") -> Path:
    """A plugin's folder whose code must not run."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "contract.toml").write_text(CONTRACT.format(name=name or place.name))
    for module in ("__init__", "plugin"):
        (place / f"{module}.py").write_text("raise SystemExit('a plugin was imported')")
    return place


def single(path: Path, name: str) -> Path:
    """A plugin in one file."""
    body = "".join(f"# {line}\n" for line in CONTRACT.format(name=name).splitlines())
    path.write_text(f"# /// meter\n{body}# ///\nraise SystemExit('a plugin was imported')\n")
    return path


def names(*folders: Path, known: tuple[str, ...] = ()) -> set[str]:
    """The plugins beside the built-in ones."""
    found = discover([str(folder) for folder in folders], known)
    assert found.diagnostics == ()
    return set(found.catalogue.entries) - set(discover(installed=False).catalogue.entries)


def test_built_in_plugins_are_found() -> None:
    """Without importing one, or the package."""
    found = discover(installed=False)

    assert {"cpu", "memory", "process", "random"} <= set(found.catalogue.entries)
    assert found.diagnostics == ()
    assert Path(builtin_folder(), "cpu", "contract.toml").is_file()


def test_a_plugin_folder_is_searched(tmp_path: Path) -> None:
    """Its own contract, those of folders in it, and single files with a contract; nothing deeper."""
    plugin(tmp_path / "all")
    plugin(tmp_path / "all" / "inner")
    plugin(tmp_path / "all" / "inner" / "deeper")
    single(tmp_path / "all" / "file.py", "file")
    (tmp_path / "all" / "helper.py").write_text("raise SystemExit")
    (tmp_path / "all" / "folder.py").mkdir()
    (tmp_path / "all" / "empty").mkdir()

    assert names(tmp_path / "all") == {"all", "inner", "file"}


def test_no_plugin_is_imported(tmp_path: Path) -> None:
    """Whatever is in its code."""
    plugin(tmp_path / "bad")
    single(tmp_path / "worse.py", "worse")
    before = set(sys.modules)

    assert names(tmp_path) == {"bad", "worse"}
    assert not [name for name in set(sys.modules) - before if "bad" in name or "worse" in name]


def test_one_file_is_one_plugin(tmp_path: Path) -> None:
    """Found on several ways, through links too, it is no duplicate."""
    place = plugin(tmp_path / "real" / "probe")
    (tmp_path / "link").symlink_to("real")
    known = (str(place / "contract.toml"), str(tmp_path / "link" / "probe" / "contract.toml"))
    found = discover([str(tmp_path / "real"), str(tmp_path / "link"), str(place)], known)

    assert len(found.catalogue.entries["probe"]) == 1


def test_two_plugins_of_one_name_are_refused_when_asked_for(tmp_path: Path) -> None:
    """Which one is meant nobody can know; who does not ask is not disturbed."""
    plugin(tmp_path / "a" / "probe")
    plugin(tmp_path / "b" / "probe")
    plugin(tmp_path / "b" / "other")
    catalogue = discover([str(tmp_path / "a"), str(tmp_path / "b")]).catalogue

    def codes(*words: str) -> list[str]:
        request, _ = from_words("/x", words, ["meter", "mount", "/x"])
        assert request is not None
        return [diagnostic.code for diagnostic in check(request, catalogue, Assumed()).diagnostics]

    assert "E-DUPLICATE" in codes("probe", "collect")
    assert "E-DUPLICATE" not in codes("other", "collect")


def test_a_contract_that_cannot_be_read_keeps_its_place(tmp_path: Path) -> None:
    """The name of its folder is not free, and the others are found."""
    plugin(tmp_path / "good")
    (plugin(tmp_path / "broken") / "contract.toml").write_text("= nonsense")
    (plugin(tmp_path / "huge") / "contract.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    (plugin(tmp_path / "binary") / "contract.toml").write_bytes(b"\xff\xfe\x00")
    entries = discover([str(tmp_path)]).catalogue.entries

    assert entries["good"][0].contract is not None
    for name in ("broken", "huge", "binary"):
        assert entries[name][0].contract is None
        assert [diagnostic.code for diagnostic in entries[name][0].diagnostics] == ["E-FILE"]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_folder_that_cannot_be_searched_is_said(tmp_path: Path, name: str) -> None:
    """Others are searched nevertheless."""
    (tmp_path / "file").touch()
    plugin(tmp_path / "good" / "probe")
    found = discover([str(tmp_path / name), str(tmp_path / "good")])

    (fault,) = found.diagnostics
    assert (fault.code, fault.facts["path"], fault.spans[0].file) == (
        "E-FILE",
        str(tmp_path / name),
        str(tmp_path / name),
    )
    assert "probe" in found.catalogue.entries


def test_what_nobody_may_read_is_said(folder: Path) -> None:
    """A folder, a contract, and a single file."""
    folder.chmod(0o755)
    plugin(folder / "shut").chmod(0o000)
    (plugin(folder / "secret-probe") / "contract.toml").chmod(0o000)
    single(folder / "single.py", "single").chmod(0o000)
    discover()  # what is imported on the way may lie where nobody else can read
    with nobody():
        found = discover([str(folder), str(folder / "shut")], installed=False)
    (folder / "shut").chmod(0o755)

    assert [fault.code for fault in found.diagnostics] == ["E-FILE"] * 3
    assert {Path(fault.facts["path"]).relative_to(folder).parts[0] for fault in found.diagnostics} == {
        "shut",
        "secret-probe",
        "single.py",
    }


def _distribution(place: Path, name: str, entry_points: str) -> None:
    """A distribution that is installed there."""
    info = place / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_installed_plugins_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their entry points, in the package that these name; one without a contract is none."""
    plugin(tmp_path / "my_package" / "probe", "my-probe")
    entry_points = "[meter.plugins]\nmy-probe = my_package.probe\nnothing = my_package.nothing:Plugin\n"
    _distribution(tmp_path, "mine", entry_points)
    _distribution(tmp_path, "other", "[console_scripts]\nother = other:main\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert names() == {"my-probe"}
    assert "my-probe" not in discover(installed=False).catalogue.entries
    assert not [name for name in sys.modules if name.startswith("my_package")]


def test_a_broken_distribution_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may install a file that is malformed."""
    plugin(tmp_path / "my_package" / "probe", "my-probe")
    _distribution(tmp_path, "mine", "[meter.plugins]\nmy-probe = my_package.probe\n")
    _distribution(tmp_path, "broken", "[meter.plugins]\nthis is no entry point\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert names() == {"my-probe"}


def test_known_contracts_are_found_again(tmp_path: Path) -> None:
    """Those that a lock names, wherever they lie; one that is gone is no fault here."""
    known = str(plugin(tmp_path / "far" / "probe") / "contract.toml")

    assert names(known=(known, str(tmp_path / "gone" / "contract.toml"))) == {"probe"}


def test_a_known_contract_gives_way_to_one_that_is_found(tmp_path: Path) -> None:
    """Of two environments with meter, the lock may be of the other one: its plugins are not this one's, too."""
    here, far = (plugin(tmp_path / name / "probe") / "contract.toml" for name in ("here", "far"))
    entries = discover([str(tmp_path / "here")], (str(far),)).catalogue.entries

    assert [entry.path for entry in entries["probe"]] == [str(here)]
    entries = discover([str(tmp_path / "here")], contracts=(str(far),)).catalogue.entries
    assert [entry.path for entry in entries["probe"]] == [str(far), str(here)]


class TestReadFolder:
    """What `meter check` says of contracts that nobody has mounted."""

    def test_every_contract_of_a_folder_is_read(self, tmp_path: Path) -> None:
        """Faults of all of them."""
        plugin(tmp_path / "good")
        (plugin(tmp_path / "one") / "contract.toml").write_text("= 1")
        (plugin(tmp_path / "two") / "contract.toml").write_text("= 2")

        assert [fault.code for fault in read_folder(str(tmp_path))] == ["E-FILE", "E-FILE"]
        assert read_folder(str(tmp_path / "good")) == []
        assert read_folder(str(tmp_path / "good" / "contract.toml")) == []

    def test_a_single_file_is_read(self, tmp_path: Path) -> None:
        """One without a contract is said to have none."""
        (tmp_path / "none.py").write_text("x = 1\n")

        assert read_folder(str(single(tmp_path / "probe.py", "probe"))) == []
        assert [fault.code for fault in read_folder(str(tmp_path / "none.py"))] == ["E-CONTRACT-MISSING"]

    def test_nothing_to_read_is_said(self, tmp_path: Path) -> None:
        """A folder without a contract, and what is not there."""
        assert [fault.code for fault in read_folder(str(tmp_path))] == ["E-CONTRACT-MISSING"]
        assert [fault.code for fault in read_folder(str(tmp_path / "gone"))] == ["E-FILE"]
