"""Files are changed whole or not at all, and by one meter at a time."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from meter.core import files


class TestWriting:
    """Files that belong together are changed together."""

    def test_files_are_written(self, tmp_path: Path) -> None:
        """New ones and old ones, and nothing else is left."""
        (tmp_path / "a").write_bytes(b"old")
        files.write_together({str(tmp_path / "a"): b"new", str(tmp_path / "b"): b"too"})

        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new", "b": b"too"}

    @pytest.mark.parametrize("existing", [True, False])
    @pytest.mark.parametrize("fails", ["missing/b", "folder"])
    def test_where_one_cannot_be_written_none_is(self, tmp_path: Path, fails: str, *, existing: bool) -> None:
        """Its folder is not there, or it is a folder itself."""
        (tmp_path / "folder").mkdir()
        if existing:
            (tmp_path / "a").write_bytes(b"old")
        before = sorted(tmp_path.iterdir())
        with pytest.raises(OSError, match="directory"):
            files.write_together({str(tmp_path / "a"): b"new", str(tmp_path / fails): b"too"})

        assert sorted(tmp_path.iterdir()) == before
        assert not existing or (tmp_path / "a").read_bytes() == b"old"

    @pytest.mark.parametrize("existing", [True, False])
    def test_a_fault_at_the_last_step_is_undone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, existing: bool
    ) -> None:
        """The first file is as it was, with its mode, when the second one cannot be renamed."""
        if existing:
            (tmp_path / "a").write_bytes(b"old")
            (tmp_path / "a").chmod(0o640)
        replace = os.replace

        def refuse(source: str, target: str) -> None:
            if target.endswith("/b"):
                raise OSError(5, "Input/output error")
            replace(source, target)

        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="Input/output"):
            files.write_together({str(tmp_path / "a"): b"new", str(tmp_path / "b"): b"too"})

        assert {p.name: (p.read_bytes(), stat.S_IMODE(p.stat().st_mode)) for p in tmp_path.iterdir()} == (
            {"a": (b"old", 0o640)} if existing else {}
        )

    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
    def test_a_file_keeps_its_mode(self, tmp_path: Path, mode: int) -> None:
        """What nobody else could read nobody else can read afterwards."""
        (tmp_path / "a").touch()
        (tmp_path / "a").chmod(mode)
        files.write_together({str(tmp_path / "a"): b"new"})

        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        """Whoever keeps the file elsewhere finds it changed there."""
        (tmp_path / "dotfiles").mkdir()
        (tmp_path / "dotfiles" / "real").write_bytes(b"old")
        (tmp_path / "a").symlink_to("dotfiles/real")
        files.write_together({str(tmp_path / "a"): b"new"})

        assert (tmp_path / "a").is_symlink()
        assert (tmp_path / "dotfiles" / "real").read_bytes() == b"new"
