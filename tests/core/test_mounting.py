"""Mounting: the mount file is changed with care, whole or not at all, and what others wrote there stays."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from meter.contracts.diagnostics import ContractError
from meter.contracts.host import Assumed
from meter.contracts.spans import Span
from meter.core import lock, mounting
from meter.core.mounting import Mounting
from tests.core.mount_file import World, refused

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


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with nothing mounted."""
    return World(tmp_path)


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
        here = [str(Path(mounting.__file__).parents[2].parent / part) for part in ("core", "contracts", "plugins")]
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
