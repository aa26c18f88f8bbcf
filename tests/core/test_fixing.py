"""Fixing: edits land in the files that may be written, whole or not at all, and nothing else of these changes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from meter.contracts.diagnostics import ContractError
from meter.core.fixing import Fixer, contracts_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = '# é\r\nplugins = ["cpuu", "memroy"] # two\r\n[x]\r\na = 1\r\n'


def change(file: Path | str, line: int, column: int, length: int, text: str) -> dict[str, Any]:
    """A change in its JSON form."""
    return {"file": str(file), "line": line, "column": column, "length": length, "text": text}


def wrong(*changes: dict[str, Any], title: str = "mend it") -> dict[str, Any]:
    """A diagnostic with an edit."""
    return {"code": "E-NAME", "edit": {"title": title, "changes": list(changes)}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a text of all line ends and letters."""
    path = tmp_path / "meter.toml"
    path.write_bytes(TEXT.encode())
    return path


def test_edits_of_one_round_keep_everything_else(file: Path) -> None:
    """Line ends, comments and letters outside ASCII stay as they are; what changed is told line by line."""
    file.chmod(0o640)
    first, second = change(file, 2, 13, 4, "cpu"), change(file, 2, 21, 6, "memory")
    made = Fixer([str(file)]).round([wrong(first), {"code": "E-NAME", "edit": None}, wrong(second, title="other")])
    assert file.read_bytes() == TEXT.replace("cpuu", "cpu").replace("memroy", "memory").encode()
    assert [(each.line, each.title) for each in made] == [(2, "mend it"), (2, "other")]
    assert made[0].diff == ('-plugins = ["cpuu", "memroy"] # two', '+plugins = ["cpu", "memroy"] # two')
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == ["meter.toml"]


def test_replacements_come_before_insertions_and_these_one_by_one(file: Path) -> None:
    """What is put in can depend on what was put in before; a new check comes between."""
    fixer = Fixer([str(file)])
    insert = wrong(change(file, 2, 12, 0, '"disk", '))
    replace = wrong(change(file, 2, 13, 4, "cpu"))
    assert len(fixer.round([insert, replace, insert])) == 1
    assert '["cpu", "memroy"]' in file.read_text()
    fixer.watch()
    assert len(fixer.round([insert, insert])) == 1
    assert '["disk", "cpu", "memroy"]' in file.read_text()


def test_what_touches_waits_for_the_next_round(file: Path) -> None:
    """Of two edits that overlap or meet the first one is made."""
    made = Fixer([str(file)]).round([wrong(change(file, 2, 13, 4, "cpu")), wrong(change(file, 2, 12, 6, '"gpu"'))])
    assert len(made) == 1
    assert '["gpu", "memroy"]' in file.read_text()


def test_an_edit_of_two_files_is_made_in_both_or_in_none(file: Path, tmp_path: Path) -> None:
    """Where one of its files may not be written, the other one stays as it is and the edit is named."""
    other = tmp_path / "other.toml"
    other.write_text("b = 1\n")
    both = wrong(change(file, 4, 1, 1, "z"), change(other, 1, 1, 1, "z"))
    fixer = Fixer([str(file)])
    assert fixer.round([both]) == []
    assert file.read_bytes() == TEXT.encode()
    assert [(each.file, each.foreign) for each in fixer.left([both])] == [(str(other), True)]
    assert len(Fixer([str(file), str(other)]).round([both])) == 1
    assert (other.read_text(), "z = 1" in file.read_text()) == ("z = 1\n", True)


@pytest.mark.parametrize(
    "edit",
    [
        lambda path: wrong(change(path, 2, 12, 6, "cpu")),  # no TOML any more
        lambda path: wrong(change(path, 9, 1, 0, "x")),  # no such line
        lambda _: wrong(change("<command line>", 1, 1, 1, "x")),
    ],
)
def test_what_cannot_be_made_is_left(file: Path, edit: Callable[[Path], dict[str, Any]]) -> None:
    """Nothing is written; the edit is told."""
    fixer = Fixer([str(file)])
    assert fixer.round([edit(file)]) == []
    assert file.read_bytes() == TEXT.encode()
    assert len(fixer.left([edit(file)])) == 1


def test_a_file_that_somebody_else_changed_is_left_alone(file: Path) -> None:
    """Its places are not those of the check any more."""
    fixer = Fixer([str(file)])
    file.write_bytes(b"# new\n" + TEXT.encode())
    edit = wrong(change(file, 2, 13, 4, "cpu"))
    assert fixer.round([edit]) == []
    assert file.read_bytes() == b"# new\n" + TEXT.encode()
    assert [each.foreign for each in fixer.left([edit])] == [False]


def test_edits_that_undo_each_other_end(file: Path) -> None:
    """A text that was there before is not written again."""
    fixer = Fixer([str(file)])
    there, back = wrong(change(file, 2, 13, 4, "gpuu")), wrong(change(file, 2, 13, 4, "cpuu"))
    assert len(fixer.round([there])) == 1
    fixer.watch()
    assert fixer.round([back]) == []
    assert "gpuu" in file.read_text()


def test_a_file_that_cannot_be_written_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only file is not replaced behind its back: E-FILE, and nothing is changed."""
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # root may write everything
    with pytest.raises(ContractError) as refused:
        Fixer([str(file)]).round([wrong(change(file, 2, 13, 4, "cpu"))])
    (fault,) = refused.value.diagnostics
    assert (fault.code, fault.variant, fault.facts["path"]) == ("E-FILE", "unwritable", str(file))
    assert file.read_bytes() == TEXT.encode()


def test_other_meters_wait_for_the_folder_of_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that `meter mount` keeps to itself, too: of a mount at the same time neither change is lost."""
    held: list[str] = []
    monkeypatch.setattr("fcntl.flock", lambda descriptor, _: held.append(os.readlink(f"/proc/self/fd/{descriptor}")))

    Fixer([str(file)]).round([wrong(change(file, 2, 13, 4, "cpu"))])

    assert held == [str(file.parent)]


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    """The file behind it is changed."""
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    assert len(Fixer([str(link)]).round([wrong(change(link, 2, 13, 4, "cpu"))])) == 1
    assert link.is_symlink()
    assert '["cpu", ' in file.read_text()


def test_contracts_of_folders(tmp_path: Path) -> None:
    """Those of subfolders and scripts; a folder that is not there has none."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "contract.toml").write_text("")
    (tmp_path / "s.py").write_text("# /// meter\n# ///\n")
    (tmp_path / "t.py").write_text("")
    found = contracts_in([str(tmp_path), str(tmp_path / "gone" / "x"), str(tmp_path / "s.py")])
    names = [os.path.relpath(path, tmp_path) for path in found]
    assert names == ["p/contract.toml", "s.py", "gone/x", "s.py"]
