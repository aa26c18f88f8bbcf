"""Mounts: a plan is run only where it is what was asked for, and what is wrong with a mount file is said."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit  # noqa: F401  (imported before a test gives up its rights, which may be those to read it)

from meter.contracts.diagnostics import ContractError
from meter.contracts.spans import Span
from meter.core import lock
from meter.core.mounting import Mounting
from meter.core.mounts import Ready
from tests.core.mount_file import PROBE, World, refused
from tests.core.test_host import folder, nobody

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["folder"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with nothing mounted."""
    return World(tmp_path)


class TestMissingPlugin:
    """A plugin that was taken away disturbs only those who use it."""

    @pytest.fixture(autouse=True)
    def _gone(self, world: World) -> None:
        """`/gone` uses a source that is no longer there."""
        world.contract("gone", PROBE.replace('"probe', '"gone'))
        world.mount("/gone", "gone", "sink")
        world.mount("/host", "probe", "sink")
        (world.plugins / "gone" / "contract.toml").unlink()

    def test_it_is_listed(self, world: World) -> None:
        """With what was asked for."""
        rows = {row["mountpoint"]: row for row in world.mounts().overview()}

        assert rows["/gone"] == {"mountpoint": "/gone", "state": "changed", "plugins": ["gone", "sink"]}
        assert rows["/host"]["state"] == "checked"

    def test_others_run(self, world: World) -> None:
        """From the lock, and after a change."""
        (ready,) = world.mounts().ready(["/host"])
        assert ready.plan["mountpoint"] == "/host"
        world.file.write_text(world.file.read_text() + '\n[mounts."/host".config.probe]\ncount = 2\n')

        (ready,) = world.mounts().ready(["/host"])
        assert ready.rewritten == "/host"

    def test_it_is_refused_with_its_name(self, world: World) -> None:
        """Alone, and where all are asked for."""
        assert refused(lambda: world.mounts().ready(["/gone"])) == ["E-PLUGIN-UNKNOWN"]
        assert refused(lambda: world.mounts().ready([])) == ["E-PLUGIN-UNKNOWN"]

    def test_it_can_be_unmounted(self, world: World) -> None:
        """Without the plugin."""
        world.umount("/gone")

        assert list(tomllib.loads(world.file.read_text())["mounts"]) == ["/host"]
        assert lock.warm(str(world.file), None) is not None


class TestResolve:
    """Which plan runs."""

    @pytest.fixture(autouse=True)
    def _mounted(self, world: World) -> None:
        """`/host`, checked and recorded."""
        world.mount("/host", "probe", "sink")

    def resolved(self, world: World, **options: Any) -> Ready:
        """The plan of `/host`."""
        ready, diagnostics = world.mounts().resolve("/host", **options)
        assert ready is not None, diagnostics
        return ready

    def codes(self, world: World, **options: Any) -> list[str]:
        """Why there is no plan of `/host`."""
        ready, diagnostics = world.mounts().resolve("/host", **options)
        assert ready is None
        return [diagnostic.code for diagnostic in diagnostics]

    def contract(self, world: World, old: str, new: str, name: str = "probe") -> None:
        """Change a contract."""
        path = world.plugins / name / "contract.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    @pytest.mark.parametrize("locked", [False, True])
    def test_a_lock_that_holds_is_used(self, world: World, *, locked: bool) -> None:
        """Nothing is written."""
        before = world.state()
        ready = self.resolved(world, locked=locked)

        assert (ready.plan, ready.rewritten) == (world.locked()["mounts"]["/host"]["plan"], "")
        assert ready.contracts["probe"] == str(world.plugins / "probe" / "contract.toml")
        assert world.state() == before

    def test_a_hand_edit_is_checked_and_recorded(self, world: World) -> None:
        """From then on the lock holds again."""
        world.file.write_text(world.file.read_text() + '[mounts."/host".config.probe]\ncount = 7\n')
        ready = self.resolved(world)

        assert ready.rewritten == "/host"
        assert ready.plan["plugins"][0]["config"]["count"] == 7
        assert self.resolved(world).rewritten == ""
        assert lock.warm(str(world.file), None) is not None

    def test_a_hand_edit_that_is_wrong_is_refused(self, world: World) -> None:
        """The lock stays as it was."""
        world.file.write_text(world.file.read_text() + '[mounts."/host".config.probe]\ncount = "many"\n')
        before = world.state()

        assert self.codes(world) == ["E-CONFIG-TYPE"]
        assert world.state() == before

    def test_a_comment_is_no_change_of_the_request(self, world: World) -> None:
        """The plan still holds, as its digest is that of what was asked."""
        world.file.write_text("# hello\n" + world.file.read_text())

        assert self.resolved(world, locked=True).rewritten == ""

    def test_locked_means_locked(self, world: World) -> None:
        """A request that was changed, and one that was never checked."""
        world.file.write_text(world.file.read_text().replace('"sink"]', '"sink#two"]'))
        before = world.state()
        assert self.codes(world, locked=True) == ["E-LOCK-STALE"]
        world.lock_file.unlink()
        assert self.codes(world, locked=True) == ["E-LOCK-STALE"]
        assert world.state() == (before[0], None)

    @pytest.mark.parametrize("locked", [False, True])
    def test_a_contract_that_was_only_touched_runs(self, world: World, *, locked: bool) -> None:
        """A comment or another layout of the text is no change of meaning; the lock is made anew, if it may be."""
        self.contract(world, 'type = "f64"', '# a comment\ntype    = "f64"')
        before = world.state()
        ready = self.resolved(world, locked=locked)

        assert ready.plan == json.loads(before[1] or b"")["mounts"]["/host"]["plan"]
        assert (world.state() == before) == locked
        assert (lock.warm(str(world.file), None) is None) == locked

    @pytest.mark.parametrize("locked", [False, True])
    def test_a_contract_that_says_something_else_is_drift(self, world: World, *, locked: bool) -> None:
        """Until `meter mount /host` accepts it."""
        self.contract(world, 'unit = "J"', 'unit = "W"')
        before = world.state()
        assert self.codes(world, locked=locked) == ["E-DRIFT"]
        assert self.codes(world, locked=locked) == ["E-DRIFT"]
        assert world.state() == before
        world.mounts().refresh("/host", Span("x", 1, 1))

        ready = self.resolved(world, locked=True)
        assert ready.plan["schema"]["sink"][0]["unit"] == "W"
        assert world.state()[0] == before[0]

    def test_a_hand_edit_accepts_what_the_contracts_say_now(self, world: World) -> None:
        """Another request is another check; there is no plan that it could drift from."""
        self.contract(world, 'unit = "J"', 'unit = "W"')
        world.file.write_text(world.file.read_text() + '[mounts."/host".config.probe]\ncount = 7\n')

        assert self.resolved(world).plan["schema"]["sink"][0]["unit"] == "W"

    def test_a_new_plugin_never_changes_a_mounted_backend(self, world: World) -> None:
        """Not even where it would be the better choice; only a new request chooses anew."""
        power = '[needs.capabilities]\npower = "*"\n'
        give = '[provides.capabilities]\npower = "1.0.0"\n'
        self.contract(world, "[config.path]", f"{power}[config.path]", "sink")
        world.contract("weak", PROBE.replace('"probe', '"weak').replace("[[", f"{give}[[", 1))
        mounted = world.mount("/power", "probe", "sink").plan
        better = PROBE.replace('"probe', '"better').replace("[[", f"{give}[[", 1)
        world.contract("better", better.replace('version = "1.0.0"', 'version = "2.0.0"'))
        self.contract(world, 'type = "f64"', 'type = "f64"  # touched')
        ready, found = world.mounts().resolve("/power")

        def chosen(plan: dict[str, Any]) -> list[str]:
            return [plugin["plugin"] for plugin in plan["plugins"]]

        assert ready is not None, [fault.message for fault in found]
        assert chosen(mounted) == chosen(ready.plan) == ["probe", "weak", "sink"]
        assert chosen(world.mount("/other", "probe", "sink").plan) == ["probe", "better", "sink"]

    def test_what_was_left_out_comes_back(self, world: World) -> None:
        """An optional plugin is there, with what it needs, once the host carries it; nothing has to be asked for again.

        It is found without the folder of plugins, too, which is named at the mount only.
        """
        device = world.place / "device"
        host = f'[[needs.host]]\nreadable = ["{device}"]\n[needs.capabilities]\ndriver = "*"\n'
        world.contract("gpu", PROBE.replace('"probe', '"gpu').replace("[[", f"{host}[[", 1))
        world.contract("driver", PROBE.replace('"probe', '"driver'))
        world.file.write_text(f'{world.file.read_text()}optional = ["gpu"]\n')
        before = world.mounts().refresh("/host", Span("", 1, 1))
        assert [diagnostic.code for diagnostic in before.diagnostics] == ["W-HOST-DEGRADED"]
        assert before.plan["order"] == ["probe", "sink"]
        device.touch()
        (ready,) = Mounting(str(world.file)).ready(["/host"])

        assert ready.plan["order"] == ["probe", "gpu", "driver", "sink"]
        assert ready.rewritten == "/host"

    @pytest.mark.parametrize("data", [b"", b"[]", b'{"format": "meter-lock/10", "file": "", "mounts": {"/host": 1}}'])
    def test_a_broken_lock_is_made_anew(self, world: World, data: bytes) -> None:
        """Nothing of it is needed."""
        world.lock_file.write_bytes(data)
        ready = self.resolved(world)

        assert ready.rewritten == "/host"
        assert lock.warm(str(world.file), None) is not None

    def test_an_edited_plan_is_not_run(self, world: World) -> None:
        """It is made anew from the request, since the lock is no place to configure."""
        world.lock_file.write_text(world.lock_file.read_text().replace('"count": 1', '"count": 99'))
        ready = self.resolved(world)

        assert ready.plan["plugins"][0]["config"]["count"] == 1

    def test_a_lock_that_cannot_be_written_hinders_nobody(self, world: World) -> None:
        """It is only made anew each time."""
        world.lock_file.unlink()
        world.lock_file.mkdir()

        assert self.resolved(world).rewritten == "/host"
        assert self.resolved(world).rewritten == "/host"

    def test_a_host_that_changed_is_asked_again(self, world: World) -> None:
        """What no longer can be is said, what can be again runs."""
        own = f"{world.file.read_text()}config.sink.path = 'own.csv'\n"
        world.file.write_text(own)
        world.mounts().refresh("/host", Span("", 1, 1))
        (world.place / "own.csv").mkdir()
        assert self.codes(world) == ["E-PATH"]
        (world.place / "own.csv").rmdir()

        assert self.resolved(world).rewritten == ""

    def test_what_is_not_mounted_is_said(self, world: World) -> None:
        """With the nearest name."""
        ready, (fault,) = world.mounts().resolve("/hoost")

        assert ready is None
        assert (fault.code, "`/host`" in fault.help) == ("E-MOUNT-UNKNOWN", True)

    def test_what_is_malformed_is_said_once(self, world: World) -> None:
        """Its own fault, not that it were unknown, nor the faults of others."""
        text = world.file.read_text()
        world.file.write_text(f'{text}[mounts."/bad"]\nplugins = "probe"\n[mounts."/worse"]\n')
        ready, found = world.mounts().resolve("/bad")

        assert ready is None
        assert [(fault.code, fault.spans[0].line) for fault in found] == [("E-CLAUSE-TYPE", 4)]
        assert self.resolved(world).rewritten == ""

    @pytest.mark.parametrize("mountpoint", ["/bad", None])
    def test_what_else_is_wrong_with_what_is_malformed_is_said(self, world: World, mountpoint: str | None) -> None:
        """In one go: a word that is none hides no wrong option of another instance."""
        text = '[mounts."/bad"]\nplugins = ["probe", 7, "sink"]\nconfig.probe.interval = "soon"\n'
        world.file.write_text(world.file.read_text() + text)
        plans, found = world.mounts().check_all(mountpoint)

        assert [fault["code"] for fault in found] == ["E-CLAUSE-TYPE", "E-CONFIG-TYPE"]
        assert [plan["mountpoint"] for plan in plans] == ([] if mountpoint else ["/host"])
        with pytest.raises(ContractError) as refusal:
            world.mounts().ready([mountpoint] if mountpoint else [])
        assert [each.code for each in refusal.value.diagnostics] == ["E-CLAUSE-TYPE", "E-CONFIG-TYPE"]

    def test_checking_writes_nothing(self, world: World) -> None:
        """Whatever is stale, edited or missing."""
        world.file.write_text(world.file.read_text() + '[mounts."/two"]\nplugins = ["probe", "sink"]\n')
        self.contract(world, 'type = "f64"', 'type = "f64"  # touched')
        before = world.state()
        plans, found = world.mounts().check_all(None)

        assert [plan["mountpoint"] for plan in plans] == ["/host", "/two"]
        assert found == []
        assert world.state() == before
        world.lock_file.unlink()
        assert len(world.mounts().check_all("/two")[0]) == 1
        assert world.state() == (before[0], None)


class TestOverview:
    """What `meter mount` lists."""

    def test_states(self, world: World) -> None:
        """Checked, changed, unchecked and malformed; nothing is checked for it."""
        for name in ("/checked", "/edited"):
            world.mount(name, "probe", "sink")
        text = world.file.read_text().replace('"/edited"]\nplugins = ["probe"', '"/edited"]\nplugins = ["probe#x"')
        world.file.write_text(
            f'{text}[mounts."/new"]\nplugins = ["probe"]\n[mounts."/bad"]\nplugins = 5\n'
            '[mounts."/text"]\nplugins = "cpu"\n'
            '[mounts]\n"/flat" = 1\n'
        )
        rows = world.mounts().overview()

        assert [(row["mountpoint"], row["state"], row["plugins"]) for row in rows] == [
            ("/bad", "malformed", []),
            ("/checked", "checked", ["probe", "sink"]),
            ("/edited", "changed", ["probe#x", "sink"]),
            ("/flat", "malformed", []),
            ("/new", "unchecked", ["probe"]),
            ("/text", "malformed", []),
        ]

    def test_nothing_is_mounted_where_there_is_no_file(self, world: World) -> None:
        """That is no fault."""
        assert world.mounts().overview() == []


class TestFaults:
    """One clear diagnostic each, and nothing changed."""

    def test_a_folder_that_is_read_only(self, folder: Path) -> None:
        """Nothing is left behind in it."""
        folder.chmod(0o755)
        world = World(folder)
        world.file.write_text('[mounts."/old"]\nplugins = ["probe", "sink"]\n')
        (folder / "out.csv").touch(mode=0o666)
        (folder / "out.csv").chmod(0o666)
        world.mounts().check_all(None)  # what is imported on the way may lie where nobody else can read
        names = sorted(path.name for path in folder.iterdir())
        folder.chmod(0o555)
        with nobody():
            codes = refused(lambda: world.mount("/host", "probe", "sink"))
            again = refused(lambda: world.umount("/old"))
            ready, _ = world.mounts().resolve("/old")
        folder.chmod(0o755)

        assert codes == again == ["E-FILE"]
        assert ready is not None
        assert sorted(path.name for path in folder.iterdir()) == names

    @pytest.mark.parametrize(
        ("data", "line"),
        [
            (b"[mounts", 1),
            (b'[mounts."/a"]\nplugins = ["probe"\n', 3),
            (b"a = 1\na = 2\n", 2),
            (b'x = "\xff"\n', 1),
            (b"x = " + b"[" * 5_000, 1),
            (b"#" * (1 << 20) + b"\n", 1),
            (b'\xef\xbb\xbf[mounts."/a"]\n', 1),
        ],
    )
    def test_a_file_that_is_no_toml(self, world: World, data: bytes, line: int) -> None:
        """Whatever is asked for, the answer is the place in the file."""
        world.file.write_bytes(data)
        calls: list[Callable[[], Any]] = [
            lambda: world.mount("/host", "probe", "sink"),
            lambda: world.umount("/a"),
            lambda: world.mounts().overview(),
            lambda: world.mounts().ready([]),
            lambda: world.mounts().check_all(None),
            lambda: world.mounts().refresh("/a", Span("x", 1, 1)),
        ]
        for call in calls:
            with pytest.raises(ContractError) as caught:
                call()
            (fault,) = caught.value.diagnostics
            assert (fault.code, fault.spans[0].file) == ("E-FILE", str(world.file))
            assert fault.spans[0].line == line or "deep" in fault.message
        assert world.state() == (data, None)

    def test_a_file_that_is_a_folder(self, world: World) -> None:
        """It cannot be read."""
        world.file.mkdir()

        assert refused(lambda: world.mount("/host", "probe", "sink")) == ["E-FILE"]
        assert refused(lambda: world.mounts().overview()) == ["E-FILE"]

    @pytest.mark.parametrize("text", ["mounts = 1\n", "mounts = []\n", "[[mounts]]\n"])
    def test_mounts_that_are_no_table(self, world: World, text: str) -> None:
        """Said as such, and nothing is put beside it."""
        world.file.write_text(text)

        assert refused(lambda: world.mount("/host", "probe", "sink")) == ["E-CLAUSE-TYPE"]
        assert refused(lambda: world.umount("/host")) == ["E-MOUNT-UNKNOWN"]
        assert refused(lambda: world.mounts().ready([])) == ["E-CLAUSE-TYPE"]
        assert refused(lambda: world.mounts().overview()) == ["E-CLAUSE-TYPE"]
        assert world.state() == (text.encode(), None)

    def test_a_missing_file(self, world: World) -> None:
        """To run it is a fault, with what makes one; to list it is none."""
        for call in (lambda: world.mounts().ready([]), lambda: world.umount("/x")):
            assert refused(call) == ["E-FILE"]

    def test_an_empty_file_has_nothing_to_run(self, world: World) -> None:
        """That is said rather than running nothing."""
        world.file.touch()

        assert refused(lambda: world.mounts().ready([])) == ["E-FILE"]
        assert world.mounts().check_all(None) == ([], [])

    def test_what_nobody_refreshes(self, world: World) -> None:
        """A name that is no mountpoint, and one that is not mounted."""
        world.mount("/host", "probe", "sink")

        assert refused(lambda: world.mounts().refresh("host", Span("x", 1, 1))) == ["E-MOUNT-NAME"]
        assert refused(lambda: world.mounts().refresh("/other", Span("x", 1, 1))) == ["E-MOUNT-UNKNOWN"]


class TestClaimsAcrossMounts:
    """What two mounts of one file cannot both have."""

    TWO = (
        '[mounts."/a"]\nplugins = ["random", "csv"]\nconfig.csv.path = "x.csv"\n'
        '[mounts."/b"]\nplugins = ["random", "csv"]\nconfig.csv.path = "./x.csv"\n'
    )

    def test_a_file_with_two_that_meet(self, tmp_path: Path) -> None:
        """Said once, at the second one; the first may stand."""
        (tmp_path / "meter.toml").write_text(self.TWO, encoding="utf-8")
        plans, found = Mounting(str(tmp_path / "meter.toml")).check_all(None)

        assert [each["code"] for each in found] == ["E-CLAIM"]
        assert [plan["mountpoint"] for plan in plans] == ["/a"]
        assert "`csv of /a` claims `file:x.csv`" in found[0]["message"]

    def test_run_records_none_that_meets(self, tmp_path: Path) -> None:
        """A hand edit does not slip into the lock."""
        mounts = Mounting(str(tmp_path / "meter.toml"))
        (tmp_path / "meter.toml").write_text(self.TWO, encoding="utf-8")

        for _ in range(2):
            with pytest.raises(ContractError) as caught:
                mounts.ready([])
            assert [each.code for each in caught.value.diagnostics] == ["E-CLAIM"]
        assert lock.warm(mounts.path, None) is None
