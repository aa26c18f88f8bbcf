"""Trees: which files below a folder are mount files and contracts."""

from __future__ import annotations

from pathlib import Path

import pytest

from meter.core import trees
from meter.core.trees import find
from tests.core.test_discovery import plugin, single
from tests.core.test_host import folder, nobody

__all__ = ["folder"]

MOUNTS = '[mounts."/host"]\nplugins = ["cpu", "csv"]\n'


def write(path: Path, text: str = MOUNTS) -> Path:
    """A file with a text, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def paths(found: tuple[str, ...], root: Path) -> list[str]:
    """What was found, relative to the root."""
    return [Path(path).relative_to(root).as_posix() for path in found]


def test_what_a_repository_has(tmp_path: Path) -> None:
    """Mount files whatever their name, contracts of folders and of single files, at any depth, sorted by path."""
    write(tmp_path / "meter.toml")
    write(tmp_path / "fleet" / "b" / "web.toml")
    write(tmp_path / "fleet" / "a" / "meter.toml", "not = toml =")
    plugin(tmp_path / "probes" / "deep" / "one")
    plugin(tmp_path / "probes" / "two")
    single(tmp_path / "probes" / "three.py", "three")
    write(tmp_path / "pyproject.toml", "[project]\nname = 'mounts'\n")
    write(tmp_path / "setup.py", "import this\n")

    tree = find(str(tmp_path))

    assert paths(tree.mounts, tmp_path) == ["fleet/a/meter.toml", "fleet/b/web.toml", "meter.toml"]
    assert paths(tree.contracts, tmp_path) == [
        "probes/deep/one/contract.toml",
        "probes/three.py",
        "probes/two/contract.toml",
    ]
    assert tree.diagnostics == ()


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (MOUNTS, True),
        ('x-note = "a"\n  [ mounts . "/host" ]\n', True),
        ("[mounts]\n", True),
        ('mounts = { "/host" = { plugins = [] } }\n', True),
        ('mounts."/host".plugins = []\n', True),
        ('"mounts"."/host".plugins = []\n', True),
        ('[mounts."/host"\nplugins = [\n', True),  # no TOML: that has to be said
        ("mounts = ['/dev']\n", False),  # of another program
        ("[mountsx]\n", False),
        ("[tool.mounts]\n", False),
        ("# [mounts]\n", False),
    ],
)
def test_a_mount_file_has_the_table_mounts(tmp_path: Path, text: str, is_one: bool) -> None:  # noqa: FBT001  (a table)
    """However it is written; also where the file is no TOML any more."""
    write(tmp_path / "some.toml", text)
    write(tmp_path / "meter.toml", "")
    assert paths(find(str(tmp_path)).mounts, tmp_path) == ["meter.toml", *["some.toml"] * is_one]


def test_what_no_repository_means_is_left_out(tmp_path: Path) -> None:
    """Hidden folders, what npm and Python install, virtual environments by any name; the named folder never."""
    root = tmp_path / ".hidden"
    for name in (".git", ".venv", "node_modules", "__pycache__", "env", "a/b/node_modules"):
        write(root / name / "x" / "meter.toml")
        plugin(root / name / "one")
    write(root / "env" / "pyvenv.cfg", "")
    write(root / "pyvenv.cfg", "")
    write(root / "kept" / "meter.toml")

    tree = find(str(root))

    assert paths(tree.mounts, root) == ["kept/meter.toml"]
    assert tree.contracts == ()


def test_links_make_no_loop_and_nothing_twice(tmp_path: Path) -> None:
    """A link to a plugin's folder is followed, one to any other folder is not; each file is found once."""
    inside = tmp_path / "tree"
    plugin(inside / "own")
    write(inside / "meter.toml")
    plugin(tmp_path / "elsewhere" / "linked")
    write(tmp_path / "elsewhere" / "meter.toml")
    (inside / "loop").symlink_to(inside)
    (inside / "out").symlink_to(tmp_path / "elsewhere")
    (inside / "linked").symlink_to(tmp_path / "elsewhere" / "linked")
    (inside / "again").symlink_to(inside / "own")
    (inside / "nowhere").symlink_to(inside / "gone")
    (inside / "a.toml").symlink_to(inside / "meter.toml")

    tree = find(str(inside))

    assert paths(tree.mounts, inside) == ["meter.toml"]
    assert paths(tree.contracts, inside) == ["linked/contract.toml", "own/contract.toml"]


def test_a_tree_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder with too much below it this is said, beside what was found before."""
    for number in range(20):
        write(tmp_path / f"{number}" / "x.txt")
    monkeypatch.setattr(trees, "MOST", 30)
    [fault] = find(str(tmp_path)).diagnostics
    assert (fault.code, fault.message) == (
        "E-FILE",
        f"cannot look through `{tmp_path}`: there are more than 30 files and folders below it",
    )
    monkeypatch.setattr(trees, "MOST", 40)
    assert [each.variant for each in find(str(tmp_path)).diagnostics] == ["folder"]


def test_a_folder_without_any_is_said(tmp_path: Path) -> None:
    """A check that checks nothing is no success."""
    (tmp_path / "empty").mkdir()
    [fault] = find(str(tmp_path)).diagnostics
    assert (fault.code, fault.message) == (
        "E-CONTRACT-MISSING",
        f"below `{tmp_path}` there is neither a contract nor a mount file",
    )


def test_what_cannot_be_read_is_said(folder: Path) -> None:
    """A shut folder and a shut file; the rest is found."""
    write(folder / "shut" / "meter.toml")
    write(folder / "shut.toml")
    write(folder / "shut.py", "")
    write(folder / "meter.toml")
    (folder / "shut").chmod(0)
    for name in ("shut.toml", "shut.py"):
        (folder / name).chmod(0)
    with nobody():
        tree = find(str(folder))
    (folder / "shut").chmod(0o755)
    assert paths(tree.mounts, folder) == ["meter.toml"]
    assert [each.code for each in tree.diagnostics] == ["E-FILE"] * 3
