"""The lock: written whole or not at all, believed only where all of it still holds."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meter.core import lock
from meter.core.host import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

PLAN = {
    "mountpoint": "/host",
    "claims": [],
    "plugins": [{"instance": "cpu", "config": {"interval": 10**9, "ratio": 0.1}}],
}


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A mount file with a contract beside it and a lock that holds; the path of the mount file."""
    (tmp_path / "contract.toml").write_text("name = 'cpu'\n")
    (tmp_path / "meter.toml").write_text('[mounts."/host"]\nplugins = ["cpu"]\n')
    (tmp_path / "stat").touch()
    probe = Probe(str(tmp_path))
    probe.answer("read", "stat")
    probe.answer("write", "out.csv")
    entry = lock.make_entry(PLAN, "digest", {"cpu": str(tmp_path / "contract.toml")}, probe, [])
    document: dict[str, Any] = {"format": lock.FORMAT, "file": lock.digest((tmp_path / "meter.toml").read_bytes())}
    document |= {"mounts": {"/host": entry}, "contracts": {}}
    (tmp_path / "meter.lock").write_bytes(lock.dump(document))
    return tmp_path / "meter.toml"


def entry_of(mounted: Path) -> dict[str, Any]:
    """The entry that the lock holds."""
    found: dict[str, Any] = lock.read(lock.lock_path(str(mounted)))["mounts"]["/host"]
    return found


@pytest.mark.parametrize(
    ("mount_file", "name"),
    [
        ("meter.toml", "meter.lock"),
        ("/etc/my.meter.toml", "/etc/my.meter.lock"),
        ("meter", "meter.lock"),
        ("meter.lock", "meter.lock.lock"),  # never the mount file itself
    ],
)
def test_the_lock_lies_beside_its_mount_file(mount_file: str, name: str) -> None:
    """With a name of its own."""
    assert lock.lock_path(mount_file) == name


class TestReading:
    """Whatever lies there, the answer is a document or why there is none."""

    def test_where_there_is_none_it_is_empty(self, tmp_path: Path) -> None:
        """A first mount needs no lock."""
        assert lock.read(str(tmp_path / "meter.lock")) == lock.empty()

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"", "no JSON"),
            (b"{", "no JSON"),
            (b"\xff\xfe", "no JSON"),
            (b"[" * 200_000, "no JSON"),  # deeper than any stack
            (b"[]", "not of the format"),
            (b"null", "not of the format"),
            (b'{"format": "meter-lock/1"}', "not of the format"),
            (b'{"format": ["meter-lock/10"]}', "not of the format"),
            (b'{"format": "meter-lock/10"}', "edited"),
            (b'{"format": "meter-lock/10", "file": 1, "mounts": {}}', "edited"),
            (b'{"format": "meter-lock/10", "file": "", "mounts": []}', "edited"),
            (b'{"format": "meter-lock/10", "file": "", "mounts": {}, "contracts": []}', "edited"),
        ],
    )
    def test_what_is_no_lock_is_refused(self, tmp_path: Path, data: bytes, why: str) -> None:
        """With half a sentence that says why."""
        (tmp_path / "meter.lock").write_bytes(data)
        with pytest.raises(lock.LockError, match=why):
            lock.read(str(tmp_path / "meter.lock"))

    def test_a_huge_file_is_not_read_to_its_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """`/dev/zero` has none."""
        monkeypatch.setattr(lock, "LIMIT", 1 << 16)
        (tmp_path / "meter.lock").symlink_to("/dev/zero")
        with pytest.raises(lock.LockError, match="more than 65536 bytes"):
            lock.read(str(tmp_path / "meter.lock"))

    def test_a_folder_is_no_lock(self, tmp_path: Path) -> None:
        """The system's own words say it."""
        with pytest.raises(lock.LockError, match="directory"):
            lock.read(str(tmp_path))

    def test_writing_and_reading_are_inverse(self, mounted: Path) -> None:
        """Whatever JSON is in a plan; the text has one line for each leaf, so that a diff reads well."""
        text = (mounted.parent / "meter.lock").read_text()
        document = lock.read(str(mounted.parent / "meter.lock"))

        assert document["mounts"]["/host"]["plan"] == PLAN
        assert lock.dump(document).decode() == text
        assert all(len(line.split('": ')) <= 2 for line in text.splitlines())


class TestStale:
    """An entry holds only where nothing that made it true has changed."""

    def why(self, mounted: Path, **place: Any) -> str:
        """Why the entry is stale."""
        return lock.stale(entry_of(mounted), **{"folder": str(mounted.parent), "sysroot": None, **place})

    def test_an_unchanged_one_holds(self, mounted: Path) -> None:
        """And the light path believes it."""
        assert self.why(mounted) == ""
        assert lock.warm(str(mounted), None) == {"/host": entry_of(mounted)}

    def test_only_what_is_wanted_has_to_hold(self, mounted: Path) -> None:
        """Another mount of the file that has to be checked anew slows nobody; one that is not there is not warm."""
        path = lock.lock_path(str(mounted))
        document = lock.read(path)
        old = {**document["mounts"]["/host"], "meter": "0.0.1"}
        document["mounts"]["/old"] = {**old, "seal": lock._seal(old)}
        Path(path).write_bytes(lock.dump(document))

        assert lock.warm(str(mounted), None, ("/host",)) == {"/host": entry_of(mounted)}
        assert lock.warm(str(mounted), None) is None
        assert lock.warm(str(mounted), None, ("/old",)) is None
        assert lock.warm(str(mounted), None, ("/host", "/none")) is None

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda folder: (folder / "contract.toml").write_text("name = 'other'\n"), "contract of `cpu` was touched"),
            (lambda folder: os.utime(folder / "contract.toml", ns=(1, 1)), "contract of `cpu` was touched"),
            (lambda folder: (folder / "contract.toml").unlink(), "contract of `cpu` was touched"),
            (lambda folder: (folder / "stat").unlink(), "the host has changed"),
            (lambda folder: (folder / "out.csv").mkdir(), "the host has changed"),
        ],
    )
    def test_what_changed_is_said(self, mounted: Path, change: Callable[[Path], None], why: str) -> None:
        """Contracts by size and time, the host by its answers."""
        change(mounted.parent)

        assert why in self.why(mounted)
        assert lock.warm(str(mounted), None) is None

    def test_another_place_is_another_entry(self, mounted: Path, tmp_path: Path) -> None:
        """Relative paths and `/proc` would be others."""
        assert self.why(mounted, folder="/elsewhere") == "it was made in another place"
        assert self.why(mounted, sysroot=str(tmp_path)) == "it was made in another place"
        assert lock.warm(str(mounted), str(tmp_path)) is None

    def test_another_meter_checks_anew(self, mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its contract language may be another."""
        monkeypatch.setattr(lock, "__version__", "99.0.0")

        assert self.why(mounted).startswith("it was made by meter ")

    def test_a_host_that_changes_back_is_the_same(self, mounted: Path) -> None:
        """Answers are compared, not times."""
        (mounted.parent / "stat").unlink()
        (mounted.parent / "stat").touch()

        assert self.why(mounted) == ""


class TestWarm:
    """The light path answers only where all holds, and otherwise leaves it to the check."""

    def test_an_edited_mount_file_is_not_warm(self, mounted: Path) -> None:
        """Also where only a comment was added: the check will see that."""
        mounted.write_text(mounted.read_text() + "# a comment\n")

        assert lock.warm(str(mounted), None) is None

    def test_a_missing_file_is_not_warm(self, mounted: Path) -> None:
        """Neither the mount file nor the lock."""
        (mounted.parent / "meter.lock").unlink()
        assert lock.warm(str(mounted), None) is None
        assert lock.warm(str(mounted.parent / "gone.toml"), None) is None

    def test_a_lock_of_another_file_is_not_warm(self, mounted: Path) -> None:
        """It names no file where one of the mounts is missing in it."""
        document = lock.read(str(mounted.parent / "meter.lock"))
        (mounted.parent / "meter.lock").write_bytes(lock.dump({**document, "file": ""}))

        assert lock.warm(str(mounted), None) is None

    def test_an_edited_lock_never_raises_and_never_runs(self, mounted: Path) -> None:
        """Each value of it is replaced or taken away in turn, but for contracts, which only say what has changed."""
        path = mounted.parent / "meter.lock"
        whole = json.loads(path.read_bytes())
        for place in list(_places(whole)):
            others: list[Any] = [None, [], "x", 1, ..., *([] if place == ("contracts",) else [{}])]
            for value in others:
                document = copy.deepcopy(whole)
                _put(document, place, value)
                if document == whole:
                    continue
                path.write_text(json.dumps(document))
                assert not lock.warm(str(mounted), None), (place, value)

    def test_an_edited_entry_is_left_out(self, mounted: Path) -> None:
        """The others still are there."""
        document = json.loads((mounted.parent / "meter.lock").read_bytes())
        document["mounts"]["/other"] = {**document["mounts"]["/host"], "request": "x"}
        (mounted.parent / "meter.lock").write_text(json.dumps(document))

        found = lock.read(str(mounted.parent / "meter.lock"))
        assert (list(found["mounts"]), found["file"]) == (["/host"], "")


def _places(value: Any, at: tuple[Any, ...] = ()) -> Any:
    """The path of every value in a document."""
    for name, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*at, name)
        if isinstance(each, dict | list):
            yield from _places(each, (*at, name))


def _put(document: Any, place: tuple[Any, ...], value: Any) -> None:
    """Replace what is at a path; the ellipsis takes it away."""
    for name in place[:-1]:
        document = document[name]
    if value is ...:
        del document[place[-1]]
    else:
        document[place[-1]] = value


class TestPlaces:
    """Where something stands in the text of a lock."""

    @pytest.mark.parametrize(
        ("path", "line"),
        [
            ((), "{"),
            (("b",), ' "b": {'),
            (("b", "x", 1), '   "two",'),
            (("b", "x", 2, "k"), '    "k": 1'),
            (("b", "y"), '  "y": {}'),
            (("c",), ' "c": 3'),
            (("b", "missing", "deeper"), ' "b": {'),  # the nearest above that is there
            (("b", "x", 9), '  "x": ['),
            (("b", "x", "no"), '  "x": ['),
            (("c", "deeper"), ' "c": 3'),
        ],
    )
    def test_a_place_is_that_of_the_text(self, path: tuple[str | int, ...], line: str) -> None:
        """The line that `dump` writes, and the column behind its blanks."""
        document = {"c": 3, "a": [], "b": {"y": {}, "x": ["one", "two", {"k": 1}]}}
        row, column = lock.place(document, path)

        text = lock.dump(document).decode().split("\n")[row - 1]
        assert text == line
        assert column == len(text) - len(text.lstrip()) + 1
