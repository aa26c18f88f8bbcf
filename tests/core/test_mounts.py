"""Mounts: the mount file is changed with care, and a plan is run only where it is what was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit  # noqa: F401  (imported before a test gives up its rights, which may be those to read it)

from meter.contracts.diagnostics import ContractError
from meter.contracts.host import Assumed
from meter.contracts.spans import Span, Words
from meter.core import lock, mounts
from meter.core.mounting import Mounting
from meter.core.mounts import Ready
from tests.core.test_host import folder, nobody

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["folder"]

PROBE = """\
name = "probe"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[[provides.metrics]]
name = "probe.value"
type = "f64"
unit = "J"
kind = "gauge"
resource = ["machine"]
[config.flag]
type = "bool"
default = false
[config.count]
type = "int"
default = 1
[config.ratio]
type = "float"
default = 1.0
[config.words]
type = "list<str>"
default = []
[config.secret-file]
type = "path"
access = "read"
default = "/dev/null"
"""
SINK = """\
name = "sink"
version = "1.0.0"
placement = "output"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[config.path]
type = "path"
access = "write"
default = "/dev/null"
"""
HAND = """\
# My measurements.  Keep this line.

title = 1

[mounts."/first"]   # the first
plugins = [ "probe",   "sink" ]    # two

[mounts."/first".config.sink]
path = "first.csv"   # relative

# What follows is old.
[mounts."/old"]
plugins = ["probe", "sink"]
# closing words
"""


class World:
    """A folder with plugins and a mount file."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.file = place / "meter.toml"
        self.lock_file = place / "meter.lock"
        self.plugins = place / "plugins"
        for name, text in (("probe", PROBE), ("sink", SINK)):
            self.contract(name, text)

    def contract(self, name: str, text: str) -> None:
        """Write a contract; its code must not run."""
        (self.plugins / name).mkdir(parents=True, exist_ok=True)
        (self.plugins / name / "contract.toml").write_text(text)
        (self.plugins / name / "plugin.py").write_text("raise SystemExit('a plugin was imported')")

    def mounts(self, **options: Any) -> Mounting:
        """The mount file as a new process sees it."""
        return Mounting(str(self.file), plugin_dirs=[str(self.plugins)], **options)

    def mount(self, mountpoint: str, *words: str) -> Ready:
        """`meter mount`."""
        return self.mounts().mount(mountpoint, words, ["meter", "mount", mountpoint])

    def umount(self, mountpoint: str) -> None:
        """`meter umount`."""
        self.mounts().umount(mountpoint, Words(["meter", "umount", mountpoint]).span(2))

    def state(self) -> tuple[bytes | None, bytes | None]:
        """The bytes of mount file and lock."""
        read = [path.read_bytes() if path.exists() else None for path in (self.file, self.lock_file)]
        return read[0], read[1]

    def locked(self) -> dict[str, Any]:
        """The lock's document."""
        return lock.read(str(self.lock_file))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with nothing mounted."""
    return World(tmp_path)


def refused(call: Callable[[], Any]) -> list[str]:
    """The codes of the errors with which a call is refused."""
    with pytest.raises(ContractError) as caught:
        call()
    for diagnostic in caught.value.diagnostics:
        assert diagnostic.to_json()["message"]
    return [diagnostic.code for diagnostic in caught.value.diagnostics if diagnostic.level == "error"]


class TestMount:
    """What `meter mount` writes."""

    def test_a_first_mount_makes_the_file(self, world: World) -> None:
        """And a lock that holds at once."""
        world.mount("/host", "probe", "sink")

        assert world.file.read_text() == '[mounts."/host"]\nplugins = ["probe", "sink"]\n'
        entries = lock.warm(str(world.file), None)
        assert entries is not None
        assert list(entries) == ["/host"]

    def test_values_are_written_in_their_types(self, world: World) -> None:
        """As one would write them by hand: what `key=value` said, not what the plan made of it."""
        words = ["flag=true", "count=-3", "ratio=0.5", "words=a", "words=b c", "interval=250ms"]
        ready = world.mount("/host", "probe#fast", *words, "sink", "path=a.csv", "metrics=probe.*")

        config = tomllib.loads(world.file.read_text())["mounts"]["/host"]["config"]
        assert config == {
            "fast": {
                "flag": True, "count": -3, "ratio": 0.5, "words": ["a", "b c"], "interval": "250ms"
            },
            "sink": {"path": "a.csv", "metrics": ["probe.*"]},
        }  # fmt: skip
        planned = {plugin["instance"]: plugin["config"] for plugin in ready.plan["plugins"]}
        assert planned["fast"]["interval"] == 250_000_000
        assert lock.warm(str(world.file), None) is not None

    @pytest.mark.parametrize("end", ["\n", "", "\n\n", "\r\n"])
    def test_what_is_there_stays_as_it_is(self, world: World, end: str) -> None:
        """Comments, order, blanks and line ends; the new mount comes behind them."""
        text = HAND.replace("title = 1\n", "x-title = 1\n").removesuffix("\n") + end
        if end == "\r\n":
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        world.file.write_bytes(text.encode())
        world.mount("/new", "probe", "count=2", "sink")

        written = world.file.read_bytes().decode()
        assert written.startswith(text)
        assert "\r\n" in written or "\r" not in written
        assert written.count("\n") == written.count("\r\n") or "\r" not in written
        assert list(tomllib.loads(written)["mounts"]) == ["/first", "/old", "/new"]
        assert written[len(text) :].replace("\r\n", "\n").lstrip("\n") == (
            '[mounts."/new"]\nplugins = ["probe", "sink"]\n\n[mounts."/new".config.probe]\ncount = 2\n'
        )

    @pytest.mark.parametrize(
        "text",
        [
            'mounts = { "/a" = { plugins = ["probe", "sink"] } }  # on one line\n',
            'mounts."/a".plugins = ["probe", "sink"]\n',
            '[mounts]\n"/a" = { plugins = ["probe", "sink"] }\n"/b".plugins = ["probe", "sink"]\n',
            '[mounts."/a".config.sink]\npath = "a.csv"\n[x-mine]\na = 1\n[mounts."/a"]\nplugins = ["probe", "sink"]\n',
            "[mounts]\n",
            "# nothing but a comment",
        ],
    )
    def test_however_mounts_were_written(self, world: World, text: str) -> None:
        """One more can be added and taken away."""
        world.file.write_text(text)
        before = tomllib.loads(text)
        world.mount("/new", "probe", "count=2", "sink")
        after = tomllib.loads(world.file.read_text())

        assert after["mounts"].pop("/new") == {"plugins": ["probe", "sink"], "config": {"probe": {"count": 2}}}
        assert after == {"mounts": {}, **before}
        world.umount("/new")
        assert {"mounts": {}, **tomllib.loads(world.file.read_text())} == {"mounts": {}, **before}
        for mountpoint in before.get("mounts", {}):
            world.umount(mountpoint)
        assert not tomllib.loads(world.file.read_text()).get("mounts")

    @pytest.mark.parametrize(
        ("mountpoint", "words", "code"),
        [
            ("/first", ["probe", "sink"], "E-MOUNT-TAKEN"),
            ("/broken", ["probe", "sink"], "E-MOUNT-TAKEN"),  # what is malformed is there nevertheless
            ("host", ["probe", "sink"], "E-MOUNT-NAME"),
            ("/a b", ["probe", "sink"], "E-MOUNT-NAME"),
            ("/x", ["prob", "sink"], "E-PLUGIN-UNKNOWN"),
            ("/x", ["Probe!", "sink"], "E-NAME"),
            ("/x", ["a=b", "probe", "sink"], "E-OPTION"),
            ("/x", ["probe", "speed=1", "sink"], "E-CONFIG-UNKNOWN"),
            ("/x", ["probe", "count=many", "sink"], "E-CONFIG-TYPE"),
            ("/x", ["probe", "interval=1", "sink"], "E-CONFIG-TYPE"),
            ("/x", ["probe"], "E-ROLE-COUNT"),
            ("/x", ["probe", "sink", "path=no/such/folder.csv"], "E-PATH"),
            ("/x", ["probe", "secret-file=missing", "sink"], "E-PATH"),
        ],
    )
    def test_what_is_refused_changes_nothing(self, world: World, mountpoint: str, words: list[str], code: str) -> None:
        """Mount file and lock have the same bytes."""
        world.file.write_text(HAND.replace("title", "x-title") + '[mounts."/broken"]\nplugins = "probe"\n')
        world.lock_file.write_bytes(lock.dump(lock.empty()))
        before = world.state()

        assert code in refused(lambda: world.mount(mountpoint, *words))
        assert world.state() == before
        assert sorted(path.name for path in world.place.iterdir()) == ["meter.lock", "meter.toml", "plugins"]

    @pytest.mark.parametrize("again", ["/new", "//new/", "/./new", "/x/../new"])
    def test_a_mountpoint_has_one_spelling(self, world: World, again: str) -> None:
        """However it is typed it is the same one: taken, found, and freed."""
        assert world.mount("//x/..//new/", "probe", "sink").plan["mountpoint"] == "/new"
        assert refused(lambda: world.mount(again, "probe", "sink")) == ["E-MOUNT-TAKEN"]
        assert world.mounts().refresh(again, Span("x", 1, 1)).plan["mountpoint"] == "/new"

        world.umount(again)
        assert not tomllib.loads(world.file.read_text()).get("mounts")

    def test_a_mountpoint_can_hold_any_separator(self, world: World) -> None:
        """An escaped one is none: the name goes through the mount file and back."""
        world.mount("/a\\/b/#10", "probe", "sink")

        assert list(tomllib.loads(world.file.read_text())["mounts"]) == ["/a\\/b/#_10"]
        world.umount("/a\\/b/#10")
        assert world.mounts().overview() == []

    def test_a_refused_first_mount_leaves_no_file(self, world: World) -> None:
        """Not even an empty one."""
        refused(lambda: world.mount("/x", "nothing"))

        assert world.state() == (None, None)

    def test_a_lock_that_cannot_be_written_changes_nothing(self, world: World) -> None:
        """The request would be there without its plan."""
        world.file.write_text(HAND.replace("title", "x-title"))
        world.lock_file.mkdir()
        before = world.file.read_bytes()

        assert refused(lambda: world.mount("/x", "probe", "sink")) == ["E-FILE"]
        assert world.file.read_bytes() == before

    def test_a_mount_file_that_is_called_a_lock_is_not_overwritten(self, world: World) -> None:
        """Its lock has another name."""
        world.file = world.place / "my.lock"
        world.mount("/host", "probe", "sink")

        assert tomllib.loads(world.file.read_text())["mounts"]["/host"]["plugins"] == ["probe", "sink"]

    def test_taken_for_granted_is_not_recorded(self, world: World) -> None:
        """A plan for another machine is no plan for this one."""
        words = ["probe", "sink", "path=/no/such/folder/a.csv"]
        world.mounts(host=Assumed()).mount("/host", words, ["meter", "mount", "/host"])

        assert world.file.exists()
        assert not world.lock_file.exists()


class TestUmount:
    """What `meter umount` takes away."""

    def test_mounting_and_unmounting_leaves_the_text_as_it_was(self, world: World) -> None:
        """Byte for byte."""
        text = HAND.replace("title", "x-title")
        world.file.write_text(text)
        for words in (["probe", "sink"], ["probe", "count=2", "sink", "path=x.csv"]):
            world.mount("/new", *words)
            world.umount("/new")
            assert world.file.read_text() == text
        assert world.locked()["mounts"] == {}

    def test_the_rest_stays_as_it_is(self, world: World) -> None:
        """With the comments before and behind the mount that belong to others."""
        world.file.write_text(HAND)
        world.umount("/first")

        assert world.file.read_text() == (
            "# My measurements.  Keep this line.\n\ntitle = 1\n\n"
            '# What follows is old.\n[mounts."/old"]\nplugins = ["probe", "sink"]\n# closing words\n'
        )

    def test_brackets_in_texts_are_no_headers(self, world: World) -> None:
        """A text of several lines may look like a table."""
        note = '"""\n[mounts."/first"]\n[a]\n"""'
        new = '[mounts."/new"]\nplugins = [\n"probe", "sink",\n]\n[mounts."/new".config.x]\n'
        text = f"{HAND}\n{new}note = {note}\n"
        world.file.write_text(text)
        world.umount("/new")
        assert tomllib.loads(world.file.read_text()) == tomllib.loads(HAND)
        world.file.write_text(text)
        world.umount("/first")

        wanted = tomllib.loads(text)
        del wanted["mounts"]["/first"]
        assert tomllib.loads(world.file.read_text()) == wanted

    def test_what_is_not_mounted_cannot_be_taken_away(self, world: World) -> None:
        """Nothing is changed, and a near name is said."""
        world.mount("/host", "probe", "sink")
        before = world.state()
        with pytest.raises(ContractError) as caught:
            world.umount("/hots")

        (fault,) = caught.value.diagnostics
        assert fault.code == "E-MOUNT-UNKNOWN"
        assert "`/host`" in fault.help
        assert world.state() == before

    def test_the_last_one_goes_too(self, world: World) -> None:
        """What is left is a file in which nothing is mounted."""
        world.mount("/host", "probe", "sink")
        world.umount("/host")

        assert world.file.read_text() == ""
        assert world.mounts().overview() == []


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

    @pytest.mark.parametrize("data", [b"", b"[]", b'{"format": "meter-lock/9", "file": "", "mounts": {"/host": 1}}'])
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


SUBJECT = """
import sys
from meter.core.mounting import Mounting
sys.stdin.readline()
file, plugins, first, count = sys.argv[1:]
for number in range(int(first), int(first) + int(count)):
    name = f"/m{number}"
    Mounting(file, plugin_dirs=[plugins]).mount(name, ["probe", "sink"], ["meter", "mount", name])
"""


class TestFaults:
    """One clear diagnostic each, and nothing changed."""

    def test_processes_that_mount_at_once_lose_nothing(self, world: World) -> None:
        """Each waits for the other between reading and writing."""
        here = [str(Path(mounts.__file__).parents[2].parent / part) for part in ("core", "contracts", "plugins")]
        argv = [sys.executable, "-c", SUBJECT, str(world.file), str(world.plugins)]
        processes = [
            subprocess.Popen(
                [*argv, str(first), "8"], stdin=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(here)}
            )
            for first in (0, 8)
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.close()
        assert [process.wait(20) for process in processes] == [0, 0]

        assert set(tomllib.loads(world.file.read_text())["mounts"]) == {f"/m{number}" for number in range(16)}
        entries = lock.warm(str(world.file), None)
        assert entries is not None
        assert len(entries) == 16

    def test_a_folder_that_is_not_there(self, world: World) -> None:
        """With the command that makes it."""
        world.file = world.place / "no" / "such" / "meter.toml"
        with pytest.raises(ContractError) as caught:
            world.mount("/host", "probe", "sink")

        (fault,) = caught.value.diagnostics
        assert fault.code == "E-FILE"
        assert f"mkdir -p {world.file.parent}" in fault.help

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

    def test_mount_refuses_the_second(self, tmp_path: Path) -> None:
        """Nothing is written then; another path is fine."""
        mounts = Mounting(str(tmp_path / "meter.toml"))
        mounts.mount("/a", ["random", "csv", "path=x.csv"], ["meter", "mount", "/a"])
        before = (tmp_path / "meter.toml").read_bytes()

        with pytest.raises(ContractError) as caught:
            mounts.mount("/b", ["random", "csv", "path=x.csv"], ["meter", "mount", "/b"])
        assert [each.code for each in caught.value.diagnostics] == ["E-CLAIM"]
        assert (tmp_path / "meter.toml").read_bytes() == before
        mounts.mount("/b", ["random", "csv", "path=y.csv"], ["meter", "mount", "/b"])
