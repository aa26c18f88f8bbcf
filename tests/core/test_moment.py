"""A moment: a command that handles several mounts reads file, lock and catalogue once, and says the same."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.cli import recorded
from meter.contracts.claims import Held, meetings
from meter.contracts.diagnostics import ContractError
from meter.core import discovery, files, lock
from meter.core.moment import Once
from meter.core.mounts import Mounts
from tests import strategies
from tests.core.mount_file import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meter.contracts.diagnostics import Diagnostic

NAMES = ("/a", "/b", "/c")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three mounts that were never checked, each with a file of its own."""
    found = World(tmp_path)
    tables = (
        f'[mounts."{name}"]\nplugins = ["probe", "sink"]\nconfig.sink.path = "{name[1:]}.csv"\n' for name in NAMES
    )
    found.file.write_text("".join(tables))
    return found


def counted(do: Callable[[], object]) -> dict[str, int]:
    """How often the mount file, the lock and the folders of contracts are read, and files are written."""
    with (
        mock.patch.object(Mounts, "read", autospec=True, side_effect=Mounts.read) as read,
        mock.patch("meter.core.mounts.discover", wraps=discovery.discover) as found,
        mock.patch.object(lock, "read", wraps=lock.read) as locks,
        mock.patch.object(files, "write_together", wraps=files.write_together) as written,
    ):
        do()
    calls = {"file": read, "catalogue": found, "lock": locks, "written": written}
    return {name: each.call_count for name, each in calls.items()}


class TestOnce:
    """Whatever the number of mounts."""

    def test_a_check(self, world: World) -> None:
        """It writes nothing."""
        reads = counted(lambda: world.mounts().check_all(None))
        assert reads == {"file": 1, "catalogue": 1, "lock": 1, "written": 0}

    @pytest.mark.parametrize("asked", [(), NAMES])
    def test_a_run(self, world: World, asked: tuple[str, ...]) -> None:
        """The lock is read again where it is changed, as others may have changed it; it is written with all plans."""
        reads = counted(lambda: world.mounts().ready(asked))
        assert reads == {"file": 1, "catalogue": 1, "lock": 2, "written": 1}
        assert sorted(lock.read(str(world.lock_file))["mounts"]) == list(NAMES)
        assert counted(lambda: world.mounts().ready(asked)) == {"file": 1, "catalogue": 0, "lock": 1, "written": 0}

    def test_what_is_shown_of_them(self, world: World) -> None:
        """Explaining, for one."""
        reads = counted(lambda: recorded.plans(str(world.file), None, [str(world.plugins)], None, ["meter", "x"]))
        assert (reads["file"], reads["catalogue"], reads["written"]) == (1, 1, 0)


@pytest.mark.parametrize("asked", [(), NAMES])
def test_mounts_made_in_one_command_get_along(world: World, asked: tuple[str, ...]) -> None:
    """Two that claim one file are refused, though the lock knows of neither; the sound one is recorded."""
    world.file.write_text(world.file.read_text().replace("c.csv", "a.csv"))
    with pytest.raises(ContractError) as error:
        world.mounts().ready(asked)
    assert [each.code for each in error.value.diagnostics] == ["E-CLAIM"]
    assert sorted(lock.read(str(world.lock_file))["mounts"]) == ["/a", "/b"]


CLAIMS = st.lists(st.sampled_from(["tcp:0.0.0.0:9", "tcp:127.0.0.1:9", "file:a", "file:b"]), max_size=3)


@given(st.dictionaries(st.sampled_from(["/a", "/b", "/c", "/d"]), CLAIMS, min_size=1), st.data())
@settings(strategies.steady, max_examples=150)
def test_the_first_meeting_of_a_backend_is_that_of_all_meetings(
    claimed: dict[str, list[str]], data: st.DataObject
) -> None:
    """With the other backend's claim first."""
    plans = {
        name: {"claims": [{"instance": "x", "claim": each, "option": str(at)} for at, each in enumerate(claims)]}
        for name, claims in claimed.items()
    }
    mine = data.draw(st.sampled_from(sorted(plans)))
    with_mine = (each for each in meetings(plans) if mine in (each.first[0], each.second[0]))
    first = next(with_mine, None)
    if first is not None and first.first[0] == mine:
        first = type(first)(first.second, first.first)
    assert Held(plans).first(mine, plans[mine]) == first


def test_diagnostics_are_said_once(world: World) -> None:
    """In the order in which they came; another one of the same code and place is another one."""
    world.file.write_text('[mounts."/a"]\nplugins = ["gone", "gine"]\n[mounts."/b"]\nplugins = ["gone"]\n')
    found: list[Diagnostic] = [*world.mounts().resolve("/a")[1], *world.mounts().resolve("/b")[1]]
    assert len(found) == 3
    doubled = [*found, *found, *reversed(found)]
    assert Once(doubled).found == list(itertools.islice(doubled, 3))
